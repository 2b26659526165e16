"""Findings as the rows of a page, by what the model makes of them, and the axis of their values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from metacart.evidence.columns import counts_of_arms
from metacart.inference.records import design_of, evidence_of
from metacart.modelling.design import scale_of
from metacart.plots.axes import Axis, linear_axis, percent_axis, ratio_axis
from metacart.plots.facts import Measure, axis_words, favours, measure_of, null_of, reported
from metacart.plots.page import Column

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["PLACES", "StudyRows", "axis_of", "study_rows"]

PLACES: dict[Measure, int | None] = {"rate": 0, "ratio": None, "value": 2}


@dataclass(frozen=True, slots=True)
class StudyRows:
    """Findings as rows.

    Attributes
    ----------
    names : list of str
        ``study:FINDING``, the highest first.
    order : list of int
        The position of each in the evidence.
    columns : list of Column
        Study, arm and what was reported.
    """

    names: list[str]
    order: list[int]
    columns: list[Column]


def study_rows(fit: xr.DataTree, values: Sequence[float]) -> StudyRows:
    """Return the findings of a fit as rows, those of the highest value first."""
    findings = reported(fit)
    labels = [str(name) for name in design_of(fit)["finding"].to_numpy()]
    order = np.argsort(-np.asarray(values, dtype=float), kind="stable").tolist()
    names = [f"study:{labels[n]}" for n in order]
    counts = counts_of_arms(evidence_of(fit).columns)
    cells = {
        "study": [findings[n].label for n in order],
        "arm": [findings[n].arm for n in order],
        "evidence": [findings[n].text for n in order],
    }
    texts = {column: dict(zip(names, each, strict=True)) for column, each in cells.items()}
    heading = "Events/\npatients" if counts else "Reported"
    return StudyRows(
        names,
        order,
        [
            Column("study", "Study", texts["study"]),
            Column("arm", "Arm", texts["arm"]),
            Column("evidence", heading, texts["evidence"], "right" if counts else "left"),
        ],
    )


def axis_of(fit: xr.DataTree, points: Sequence[float], ends: Sequence[tuple[float, float]]) -> Axis:
    """Return the axis of the fit's values on the natural scale."""
    label, measure = axis_words(fit), measure_of(scale_of(design_of(fit)))
    if measure == "rate":
        return percent_axis(label)
    if measure == "value":
        return linear_axis(label, points=points, intervals=ends)
    return ratio_axis(label, points=points, intervals=ends, sides=favours(fit), null=null_of(fit))
