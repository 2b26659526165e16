"""What was recorded of the calibration of a question's design, in one line of the page.

``recorded_calibration.csv`` holds what ``benchmarks/calibration.py`` printed; the tables of
``benchmarks/README.md`` show the same.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from metacart.evidence.collection import Studies
from metacart.evidence.library import BUNDLED, list_models, load_model
from metacart.inference.one_mean import is_system
from metacart.inference.records import spec_of
from metacart.records.spec import ModelSpec

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["calibration_words", "recorded_calibrations"]

_HOW = (
    "For a design of your own run metacart.calibrate(spec, evidence): it simulates data sets from "
    "the priors, fits each and counts."
)
# by which a design of another shape is recorded
_SHAPES: tuple[tuple[str, str], ...] = (
    ("tau_by", ", tau by group"),
    ("within", ", within"),
    ("moderators", ", 8 studies, moderator"),
)


@cache
def recorded_calibrations() -> Mapping[str, Mapping[str, str]]:
    """Return each recorded design by its name, as it is written."""
    text = files("metacart.report").joinpath("recorded_calibration.csv").read_text("utf-8")
    return {row["design"]: row for row in csv.DictReader(text.splitlines())}


def calibration_words(fit: xr.DataTree, studies: Studies) -> str:
    """Say what was recorded for the design of a fit, and how to check another one.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.
    studies : Studies
        All that were given: the record of a shipped question is that of the bundled papers.
    """
    spec = spec_of(fit)
    name, recorded = _design(fit, studies), recorded_calibrations()
    if name not in recorded:
        return f"No calibration is recorded for a model of this shape. {_HOW}"
    row = recorded[name]
    own = name == spec.name
    of = "this question and its papers" if own else f"a design of its kind, “{name}”"
    lowest, highest, lower, upper = (
        f"{100.0 * float(row[key]):.0f}"
        for key in ("coverage_lowest", "coverage_highest", "band_lower", "band_upper")
    )
    inside = row["verdict"] == "all inside"
    verdict = "with uniform ranks" if inside else f"not all as they should ({row['verdict']})"
    return (
        f"Recorded for {of}: in {row['data_sets']} data sets simulated from the priors, the 95 % "
        f"intervals held the true value in {lowest} to {highest} % by quantity (chance alone "
        f"leaves {lower} to {upper} %), {verdict}. {_HOW}"
    )


def _design(fit: xr.DataTree, studies: Studies) -> str:
    """Return under which name the design of a question is recorded."""
    spec = spec_of(fit)
    if _is_shipped(spec, studies) and spec.name in recorded_calibrations():
        return spec.name
    shapes = [ending for key, ending in _SHAPES if getattr(spec, key)]
    # a tau by group stands on a moderator
    shapes = shapes[:1] if spec.tau_by else shapes
    if spec.random_effects != "normal" and spec.likelihood != "beta_binomial":
        shapes.append(", Student-t" if spec.random_effects == "student_t" else ", no effects")
    if fit.attrs["method"] == "nuts" and not is_system(fit):
        shapes.append(", NUTS")
    return spec.likelihood + "".join(shapes)


def _is_shipped(spec: ModelSpec, studies: Studies) -> bool:
    """Whether a question and its papers are those that come with metacart."""
    bundled = {path.stem for path in BUNDLED.glob("*.toml")} - {"vocabulary"}
    given = {study.id for study in studies}
    return given == bundled and spec.name in list_models() and spec == load_model(spec.name)
