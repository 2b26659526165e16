"""The numbers behind a regression plot: what was reported, and the curve through it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.errors import Fault, InputError, named_options, nearest
from metacart.inference.estimands import rows_at
from metacart.inference.one_mean import of_one_mean
from metacart.inference.records import design_of, evidence_of, group_of
from metacart.modelling.columns import is_missing
from metacart.modelling.design import moderators_of
from metacart.modelling.imputation import IMPUTED
from metacart.modelling.moderators import Moderator, columns_of, level_text, main_effects
from metacart.results.heterogeneity import study_estimates
from metacart.results.predict import described_at, points_of
from metacart.results.summary import views_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["grouping_of", "regression_table"]

_POINTS = 41
_CELLS = 250_000  # draws by rows of the evidence at each point of a curve


@named_options
@of_one_mean
def regression_table(
    fit: xr.DataTree,
    moderator: str,
    *,
    by: str | None = None,
    at: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Return what was reported along a numeric moderator, and the curve through it.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.
    moderator : str
        A numeric moderator of the model.
    by : str, optional
        A categorical moderator, for a curve at each of its levels; by default one with which the
        moderator interacts.
    at : dict of moderator to level or number, optional
        Where the other moderators stand; else they are averaged over the evidence.

    Returns
    -------
    DataFrame
        Column ``row`` is ``finding`` or ``curve``. A finding has ``label``, ``arm_label``, its
        level of `by` under ``level``, the moderator under its own name (where it was imputed, the
        posterior median, with ``imputed`` true and ``x_lower`` and ``x_upper``), ``patients``,
        ``precision`` (one over the variance on the model scale) and ``crude`` with its limits, on
        the natural scale. The curve has 41 points over the evidence, that of a level over its own
        findings, and the columns of ``predict``; ``level`` is the level, or the reading of a
        transplant question.

    Raises
    ------
    InputError
        For a moderator that is unknown or has levels, a `by` that is unknown or numeric, and an
        `at` that names either.

    Notes
    -----
    Where the rows of the evidence over which a point is averaged are many, the curve takes every
    k-th draw, so that rows and draws together stay below a quarter of a million.

    Examples
    --------
    >>> import metacart as mc
    >>> along = {"moderators": ("year",), "reference": {"year": 2020}}
    >>> spec = mc.load_model("cr_rate").model_copy(update=along)
    >>> mc.regression_table(mc.fit(spec), "year")  # doctest: +SKIP
    """
    import pandas as pd

    chosen, grouping = _checked(fit, moderator, by, at or {})
    table = pd.DataFrame([*_findings(fit, chosen, grouping), *_curve(fit, chosen, grouping, at)])
    first = ["row", "level", moderator, "label", "arm_label", "patients", "precision"]
    table = table[[*first, *(name for name in table.columns if name not in first)]]
    table.attrs["by"] = grouping.name if grouping else ""
    return table


def grouping_of(fit: xr.DataTree, moderator: str) -> Moderator | None:
    """Return the categorical moderator with which a numeric one interacts, the first of several."""
    for each in moderators_of(design_of(fit)):
        if each.kind == "interaction" and moderator in (part.name for part in each.parts):
            for part in each.parts:
                if part.kind == "categorical":
                    return part
    return None


def _checked(
    fit: xr.DataTree, moderator: str, by: str | None, at: Mapping[str, Any]
) -> tuple[Moderator, Moderator | None]:
    known = {each.name: each for each in main_effects(moderators_of(design_of(fit)))}
    faults = []
    for option, name, kind in (("moderator", moderator, "numeric"), ("by", by, "categorical")):
        if name is None:
            continue
        fitting = [each.name for each in known.values() if each.kind == kind]
        what = "number" if kind == "numeric" else "moderator with levels"
        if name not in known:
            allowed = ", ".join(fitting) or f"none: the model has no {what}"
            found = f"'{name}' is not in the model"
            faults.append(Fault(option, found, allowed, nearest(name, fitting)))
        elif known[name].kind != kind:
            found = f"'{name}' has levels" if option == "moderator" else f"'{name}' is numeric"
            hint = f"plot_forest(fit, subgroups='{name}')" if option == "moderator" else ""
            faults.append(Fault(option, found, ", ".join(fitting) or f"no {what}", hint))
        elif name in at:
            faults.append(Fault(f"at['{name}']", "it varies along the curve", "other moderators"))
    if faults:
        raise InputError(faults)
    grouping = known[by] if by is not None else grouping_of(fit, moderator)
    if grouping is not None and grouping.name in at:
        grouping = None
    points_of(fit, dict(at))
    return known[moderator], grouping


def _findings(
    fit: xr.DataTree, moderator: Moderator, grouping: Moderator | None
) -> list[dict[str, Any]]:
    evidence, design = evidence_of(fit), design_of(fit)
    estimates = study_estimates(fit)
    gap = columns_of(moderators_of(design), design["gap"].to_numpy())[moderator.name][0]
    rows = []
    for position, record in enumerate(evidence.to_dict("records")):
        row: dict[str, Any] = {
            "row": "finding",
            "level": level_text(record[grouping.name]) if grouping else "",
            moderator.name: record[moderator.name],
            "label": _text(record, "label") or str(record["study"]),
            "arm_label": _text(record, "arm_label") or _text(record, "arm"),
            "patients": _patients(record),
            "precision": 1.0 / float(design["variance"][position]),
            "imputed": bool(gap[position] >= 0),
        }
        row |= {
            name: float(estimates[name].iloc[position])
            for name in ("crude", "crude_lower", "crude_upper")
        }
        if gap[position] >= 0:
            draws = group_of(fit, "posterior")[IMPUTED].isel(gap=int(gap[position]))
            low, middle, high = np.quantile(draws.to_numpy(), [0.025, 0.5, 0.975])
            row |= {moderator.name: middle, "x_lower": low, "x_upper": high}
        rows.append(row)
    return rows


def _curve(
    fit: xr.DataTree,
    moderator: Moderator,
    grouping: Moderator | None,
    at: Mapping[str, Any] | None,
) -> list[dict[str, Any]]:
    views = views_of(fit)
    rows = []
    for level in grouping.levels if grouping else ("",):
        grid = _grid(evidence_of(fit), moderator.name, grouping, level)
        place = {**(at or {}), **({grouping.name: _typed(level)} if grouping else {})}
        design = rows_at(fit, {**place, moderator.name: grid[0]})
        different = len(np.unique(design, axis=0)) if design.ndim == 2 else design.shape[-2]
        draws = fit["posterior"].sizes["chain"] * fit["posterior"].sizes["draw"]
        thin = max(1, -(-draws * different // _CELLS))
        for group, words in views.items():
            name = ", ".join(part for part in (level, words) if part)
            for x in grid:
                point = {**place, moderator.name: float(x)}
                described = described_at(fit, point, group=group, thin=thin)
                rows.append({"row": "curve", "level": name, moderator.name: x, **described})
    return rows


def _grid(
    evidence: pd.DataFrame, moderator: str, grouping: Moderator | None, level: str
) -> NDArray[np.float64]:
    """Return the points of a curve: over the findings of its level, or over all if those are one.

    A curve beyond its findings would be of the others.
    """
    values = evidence[moderator].tolist()
    levels = (
        [level_text(each) for each in evidence[grouping.name]] if grouping else [""] * len(values)
    )
    numbers = {
        mine: [
            float(value)
            for value, other in zip(values, levels, strict=True)
            if not is_missing(value) and (other == level or not mine)
        ]
        for mine in (True, False)
    }
    own = numbers[True] if len(set(numbers[True])) > 1 else numbers[False]
    return np.linspace(min(own), max(own), _POINTS)


def _typed(level: str) -> Any:
    return {"true": True, "false": False}.get(level, level)


def _patients(record: Mapping[Any, Any]) -> float:
    """Return how many patients a finding counts, of both groups where it has two."""
    total = float(record.get("total", np.nan))
    return total + float(record["control_total"]) if "control_total" in record else total


def _text(record: Mapping[Any, Any], name: str) -> str:
    value = record.get(name)
    return value if isinstance(value, str) else ""
