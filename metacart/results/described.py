"""The named estimands and every tau of any fit, as the numbers of a table of refits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.inference.records import design_of, spec_of
from metacart.results.numbers import describe, limit_errors
from metacart.results.summary import estimand_draws, spread_draws

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["NUMBERS", "Numbers", "described", "missing_like", "named_draws", "read_described"]

Numbers = dict[str, float]
NUMBERS = ("median", "lower", "upper", "mcse", "mcse_lower", "mcse_upper")


def named_draws(
    fit: xr.DataTree,
    views: Mapping[str, str],
    at: Mapping[str, Any] | None,
    kept: NDArray[np.bool_] | None = None,
) -> Iterator[tuple[str, str, NDArray[np.float64]]]:
    """Yield view, estimand and draws (chain, draw); tau at last.

    `views` are those of the whole, of which a part may have one alone; `kept` as for
    ``estimand_draws``.
    """
    for view, words in views.items():
        # without a comparison that carries the bias both views are one
        group = view if view in fit.children else "posterior"
        for name, draws in estimand_draws(fit, at=at, group=group, kept=kept).items():
            yield view, f"{name} ({words})" if words else name, draws
    spreads = spread_draws(fit["posterior"].to_dataset(), spec_of(fit), design_of(fit))
    for name, draws in spreads.items():
        yield "posterior", name, draws


def described(
    fit: xr.DataTree, views: Mapping[str, str], at: Mapping[str, Any] | None
) -> dict[str, Numbers]:
    """Return median, limits and their errors by estimand."""
    return {
        name: describe(draws) | limit_errors(draws)
        for _, name, draws in named_draws(fit, views, at)
    }


def read_described(
    fit: xr.DataTree, _: object, *, views: Mapping[str, str], at: Mapping[str, Any] | None
) -> dict[str, Numbers]:
    """Return the same of a refit, as its reader."""
    return described(fit, views, at)


def missing_like(numbers: Mapping[str, Numbers]) -> dict[str, Numbers]:
    """Return the rows of a fit that there is not."""
    return {estimand: dict.fromkeys(NUMBERS, np.nan) for estimand in numbers}
