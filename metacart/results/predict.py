"""The verb ``predict``: the named estimands at stated values of the moderators."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from metacart.errors import Fault, InputError, named_options
from metacart.inference.one_mean import of_one_mean
from metacart.inference.records import design_of
from metacart.modelling.columns import is_missing
from metacart.modelling.design import moderators_of
from metacart.modelling.moderators import Moderator, code_at, columns_of, main_effects
from metacart.results.numbers import describe
from metacart.results.summary import estimand_draws, views_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["described_at", "points_of", "predict"]

_AT = 'such as {"age": 12}, {"age": range(0, 80, 5)}, a list of these, or a DataFrame'

Points = list[dict[str, Any]]


@named_options
@of_one_mean
def predict(
    fit: xr.DataTree,
    *,
    at: Mapping[str, Any] | Sequence[Mapping[str, Any]] | pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return the named estimands at stated values of the moderators, one row a point.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.
    at : dict, list of dict or DataFrame, optional
        Where to stand, such as ``{"scfv": "humanized", "age": 12}``; numbers in the unit of the
        evidence. Several values of a moderator, as a list, range or array, give each of them with
        each of the others: a curve. A moderator that is not named, or missing in a row, keeps its
        values of the evidence: the estimand is averaged over its rows, never taken at 0.

    Returns
    -------
    DataFrame
        One row a point, two for a transplant question with two readings (column ``reading``):
        the moderators that `at` names, ``beyond_evidence`` (whether a number lies outside of those
        of the evidence), and for ``median_study``, ``population_average`` and ``next_study`` the
        posterior median on the natural scale, with ``_lower`` and ``_upper`` (95 % equal-tailed)
        and ``_mcse`` (Monte Carlo standard error of the median). Ratios have no population
        average. ``attrs["averaged"]`` names the moderators that no row names.

    Raises
    ------
    InputError
        With a fault for every name that is no moderator, every unknown level, and every number
        that is none.

    Notes
    -----
    Each estimand is computed draw by draw, as for ``summarize``. The next study has the same
    standard effect at each point, draw by draw, so that curves are smooth.

    Examples
    --------
    >>> import metacart as mc
    >>> fit = mc.fit("retreatment_cr")  # doctest: +SKIP
    >>> mc.predict(fit, at={"scfv": ["humanized", "murine"]})  # doctest: +SKIP
    """
    import pandas as pd

    points = points_of(fit, at)
    names = list(dict.fromkeys(name for point in points for name in point))
    ranges = _ranges(fit)
    views = views_of(fit)
    rows = []
    for point in points:
        for group, words in views.items():
            row: dict[str, Any] = {name: point.get(name) for name in names}
            if len(views) > 1:
                row["reading"] = words
            row["beyond_evidence"] = any(
                not ranges[name][0] <= float(value) <= ranges[name][1]
                for name, value in point.items()
                if name in ranges
            )
            rows.append(row | described_at(fit, point, group=group))
    table = pd.DataFrame(rows)
    mains = [each.name for each in main_effects(moderators_of(design_of(fit)))]
    table.attrs["averaged"] = [name for name in mains if name not in names]
    return table


def described_at(
    fit: xr.DataTree, point: Mapping[str, Any], *, group: str, thin: int = 1
) -> dict[str, float]:
    """Return the columns of ``predict`` for each named estimand at a point."""
    row: dict[str, float] = {}
    for name, draws in estimand_draws(fit, at=point, group=group, thin=thin).items():
        column, described = name.replace(" ", "_"), describe(draws)
        row[column] = described.pop("median")
        row |= {f"{column}_{key}": value for key, value in described.items()}
    return row


def points_of(fit: xr.DataTree, at: Any) -> Points:
    """Return the points that `at` names, each checked against the moderators of a fit."""
    import pandas as pd

    given: list[Any]
    if at is None:
        given = [{}]
    elif isinstance(at, pd.DataFrame):
        given = at.to_dict("records")
    elif isinstance(at, Mapping):
        given = [at]
    elif isinstance(at, Iterable) and not isinstance(at, str | bytes):
        given = list(at)
    else:
        raise InputError(Fault("at", f"a {type(at).__name__}", "values by moderator", _AT))
    faults: list[Fault] = []
    if not given:
        faults.append(Fault("at", "no point", "one point or more", _AT))
    points: Points = []
    moderators = moderators_of(design_of(fit))
    for number, each in enumerate(given, start=1):
        if not isinstance(each, Mapping):
            found = f"a {type(each).__name__} in row {number}"
            faults.append(Fault("at", found, "values by moderator", _AT))
            continue
        of_row = list(_expanded(each))
        if not of_row:
            faults.append(Fault("at", f"no value in {_empty(each)}", "one value or more", _AT))
        points += of_row
        faults += _unknown(moderators, of_row, f"row {number}, " if len(given) > 1 else "")
    if faults:
        raise InputError(dict.fromkeys(faults))
    return points


def _expanded(point: Mapping[Any, Any]) -> Iterator[dict[str, Any]]:
    """Yield each value with each of the others; what is missing is not named."""
    several = {str(name): _values(value) for name, value in point.items()}
    for values in product(*several.values()):
        pairs = zip(several, values, strict=True)
        yield {name: value for name, value in pairs if not is_missing(value)}


def _values(value: Any) -> list[Any]:
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        return [value.item() if isinstance(value, np.generic) else value]
    return [each.item() if isinstance(each, np.generic) else each for each in value]


def _empty(point: Mapping[Any, Any]) -> str:
    return ", ".join(f"'{name}'" for name, value in point.items() if not _values(value))


def _unknown(moderators: tuple[Moderator, ...], points: Points, row: str) -> Iterator[Fault]:
    for point in points:
        try:
            code_at(moderators, point)
        except InputError as error:
            yield from (replace(fault, place=f"{row}{fault.place}") for fault in error.faults)


def _ranges(fit: xr.DataTree) -> dict[str, tuple[float, float]]:
    """Return the lowest and the highest value that the evidence states, by numeric moderator."""
    design = design_of(fit)
    moderators = moderators_of(design)
    columns = columns_of(moderators, design["x"].to_numpy())
    gaps = columns_of(moderators, design["gap"].to_numpy())
    ranges = {}
    for each in moderators:
        if each.kind == "numeric":
            stated = columns[each.name][0][gaps[each.name][0] < 0]
            low, high = (each.origin + each.unit * float(x) for x in (stated.min(), stated.max()))
            # coding and back moves the last digit
            slack = 1e-9 * max(abs(low), abs(high))
            ranges[each.name] = (low - slack, high + slack)
    return ranges
