"""The gate that draws must pass before anything is said from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Attempt", "Verdict", "convergence", "longer"]

# MCSE as a share of the posterior SD: for means, and for the 2.5 and 97.5 % quantiles
MEAN_SHARE, TAIL_SHARE, R_HAT = 0.02, 0.05, 1.01


class Attempt(NamedTuple):
    """One run of an engine: with which settings, how many draws a chain, and why it failed."""

    method: str
    settings: str
    draws: int
    failure: str


class Verdict(NamedTuple):
    """Why draws must not be used, and the worst Monte Carlo error as a multiple of its limit."""

    failure: str
    shortfall: float


def convergence(reported: xr.Dataset, *, divergences: int) -> Verdict:
    """Return why draws must not be used, if they must not.

    Parameters
    ----------
    reported : Dataset
        Every reported quantity, with dims ``chain`` and ``draw``.
    divergences : int
        Number of divergent transitions.

    Returns
    -------
    Verdict
        ``failure`` is empty where the draws passed, else one clause a failure: divergences; R-hat
        of 1.01 or more; Monte Carlo error above 2 % of the posterior SD for a mean, or above 5 %
        for a 2.5 or 97.5 % quantile.
    """
    import arviz as az

    failures = []
    if divergences:
        failures.append(f"{divergences} divergent transitions")
    if reported.sizes["chain"] > 1:
        name, value = _worst(az.rhat(reported))
        if not value < R_HAT:
            failures.append(f"R-hat of {name} is {value:.3f}")
    spread = reported.std(("chain", "draw"))
    shortfall = 0.0
    for method, probability, limit in (
        ("mean", None, MEAN_SHARE),
        ("quantile", 0.025, TAIL_SHARE),
        ("quantile", 0.975, TAIL_SHARE),
    ):
        name, value = _worst(az.mcse(reported, method=method, prob=probability) / spread)
        shortfall = max(shortfall, value / limit)
        if not value <= limit:
            what = "mean" if probability is None else f"{100 * probability:g} % quantile"
            failures.append(
                f"the Monte Carlo error of the {what} of {name} is {value:.1%} of its SD"
            )
    return Verdict("; ".join(failures), shortfall)


def _worst(values: xr.Dataset) -> tuple[str, float]:
    """Return the name and the largest value; a constant quantity has none."""
    worst = {
        str(name): float(np.nanmax(array.to_numpy()))
        for name, array in values.data_vars.items()
        if array.size and np.isfinite(array.to_numpy()).any()
    }
    if not worst:
        return "everything", float("nan")
    name = max(worst, key=lambda key: worst[key])
    return name, worst[name]


def longer(verdict: Verdict, *, most: int) -> int:
    """Return how many times as many draws the Monte Carlo error asks for, an even number."""
    more = 1.0 if verdict.shortfall <= 1.0 else 3.0 * verdict.shortfall**2
    return min(2 * int(np.ceil(more / 2.0)), most)
