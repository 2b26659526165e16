"""How the subgroups of a forest plot differ, and what the posterior says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from metacart.inference.records import design_of
from metacart.modelling.design import moderators_of
from metacart.plots.facts import Measure, capital
from metacart.plots.forest_entries import Difference, Estimate
from metacart.results.contrast import contrast, mostly_prior

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["differences_of"]


def differences_of(
    fit: xr.DataTree, subgroups: str | Literal[False] | None, measure: Measure
) -> tuple[str, tuple[str, ...], tuple[Difference, ...], str]:
    """Return the moderator of the blocks, its levels, how they differ, and what to know of that.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.
    subgroups : str or False, optional
        The moderator; the first categorical one by default, False for none.
    measure : {"rate", "ratio", "value"}
        What the natural scale is.

    Returns
    -------
    str, tuple of str, tuple of Difference, str
    """
    groups = [item for item in moderators_of(design_of(fit)) if item.kind == "categorical"]
    chosen = [item for item in groups if subgroups in (None, item.name)]
    if not chosen:
        return "", (), (), ""
    reference, *others = chosen[0].levels
    differences: list[Difference] = []
    remarks: dict[str, list[str]] = {}
    for level in others:
        table = contrast(fit, chosen[0].name, level, reference)
        wanted = {"rate": "risk difference", "ratio": "ratio of ratios", "value": "difference"}
        row = table[table["measure"] == wanted[measure]].iloc[0]
        above = float(row["p_better"])
        above = 1.0 - above if table.attrs["better"] == "lower" else above
        label = {
            "rate": f"{level} − {reference}, percentage points",
            "ratio": f"{level} / {reference}, ratio of ratios",
            "value": f"{level} − {reference}",
        }[measure]
        differences.append(
            Difference(
                label,
                Estimate(float(row["median"]), float(row["lower"]), float(row["upper"])),
                f"P({'ratio > 1' if measure == 'ratio' else 'difference > 0'}) {_chance(above)}",
                _doubt(table, row) if mostly_prior(table, row) else "",
            )
        )
        note = f"against {reference} ({row['estimand']}): {table.attrs['note']}."
        remarks.setdefault(note, []).append(level)
    remark = " ".join(f"{capital(', '.join(levels))} {note}" for note, levels in remarks.items())
    return chosen[0].name, chosen[0].levels, tuple(differences), remark


def _doubt(table: pd.DataFrame, row: pd.Series[Any]) -> str:
    """Say how far the prior speaks, by that measure of the estimand which shows it most."""
    alike = table[table["estimand"] == row["estimand"]]
    worst = alike.loc[alike["posterior_to_prior_sd"].idxmax()]
    log = "log " if "ratio" in worst["measure"] else ""
    own = worst["measure"] == row["measure"]
    whose = "its SD" if own else f"the SD of the {log}{worst['measure']}"
    return f"mostly the prior: {whose} is {worst['posterior_to_prior_sd']:.2f} of the prior's"


def _chance(probability: float) -> str:
    if probability > 0.995:
        return "> 0.99"
    return "< 0.01" if probability < 0.005 else f"= {probability:.2f}"
