"""What a fit says of itself, in the words of a figure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from metacart.evidence.values import comparison_words
from metacart.inference.records import design_of, evidence_of, spec_of
from metacart.modelling.design import scale_of
from metacart.modelling.measures import ratio_words
from metacart.modelling.moderators import Moderator, steps_of
from metacart.records.spec import ModelSpec
from metacart.records.vocabulary import EXPOSURES, OUTCOMES
from metacart.results.left_out import cohorts_of
from metacart.scales import Scale

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = [
    "SIDES",
    "Measure",
    "Reported",
    "axis_words",
    "capital",
    "coefficient_words",
    "failure_of",
    "favours",
    "labels_of",
    "measure_of",
    "name_of",
    "null_of",
    "outcome_of",
    "priors_of",
    "reported",
    "subtracted",
    "title_of",
    "title_of_question",
]

Measure = Literal["rate", "ratio", "value"]
_WORDS = {"scfv": "scFv", "prior_scfv": "scFv before", "hsct": "HSCT"}
# the two sides of an exposure, shorter than its definition
SIDES = {"hsct": ("transplant", "no transplant")}
# ratios with more decimals were computed, not printed
_PRINTED = 4


def measure_of(scale: Scale) -> Measure:
    """Return what the natural scale is."""
    if scale.name == "identity":
        return "value"
    return "ratio" if scale.name == "log" else "rate"


def capital(text: str) -> str:
    """Return text with its first letter as a capital."""
    return text[:1].upper() + text[1:]


def name_of(moderator: str) -> str:
    """Return a moderator as a heading names it."""
    return _WORDS.get(moderator, capital(moderator.replace("_", " ")))


def title_of(fit: xr.DataTree) -> str:
    """Return the title of the analysis."""
    return title_of_question(spec_of(fit))


def title_of_question(spec: ModelSpec) -> str:
    """Return the title of a question, else what is counted."""
    return spec.title or capital(_outcome(spec)) or "Meta-analysis"


def failure_of(fit: xr.DataTree) -> str:
    """Return what must be said of a fit that failed its gate, or nothing."""
    if int(fit.attrs.get("converged", 1)):
        return ""
    return f"This fit did not converge and must not be used: {fit.attrs.get('gate', '')}."


def priors_of(fit: xr.DataTree) -> dict[str, str]:
    """Return the prior of each parameter as it was stated, by ``mu``, ``beta:NAME`` and so on."""
    stated: dict[str, str] = json.loads(str(fit.attrs.get("priors", "{}")))
    return stated


def subtracted(fit: xr.DataTree) -> bool:
    """Return whether a bias about which the data say nothing was taken away after the fit."""
    return "bias" in fit["posterior"] and "bias" not in fit["log_prior"]


def axis_words(fit: xr.DataTree) -> str:
    """Return what the natural scale shows, and its unit."""
    spec = spec_of(fit)
    outcome, measure = _outcome(spec), measure_of(scale_of(design_of(fit)))
    if measure == "rate":
        natural = capital(scale_of(design_of(fit)).natural)
        return f"{capital(outcome) or natural}, % of patients"
    if measure == "value":
        return capital(outcome) or "Estimate"
    of = f", {outcome}" if outcome else ""
    return f"{capital(ratio_name(fit))}{of} (log scale)"


def ratio_name(fit: xr.DataTree) -> str:
    """Return which ratio it is, where the evidence says so, or what else stands on a log scale."""
    if quantity := str(design_of(fit).attrs["quantity"]):
        return quantity
    return ratio_words(spec_of(fit), evidence_of(fit))


def null_of(fit: xr.DataTree) -> float | None:
    """Return where no difference is: 1 for a ratio, nowhere for what compares nothing."""
    return None if design_of(fit).attrs["quantity"] else 1.0


def favours(
    fit: xr.DataTree, *, named: tuple[str, str] = ("← favours {}", "favours {} →")
) -> tuple[str, str] | None:
    """Return what ratios below and above one favour, where the spec says enough."""
    spec = spec_of(fit)
    if measure_of(scale_of(design_of(fit))) != "ratio" or spec.exposure is None:
        return None
    from metacart.results.direction import better_of

    words = EXPOSURES.get(spec.exposure, spec.exposure.replace("_", " "))
    with_, without = SIDES.get(spec.exposure, (words, f"no {words}"))
    lower = better_of(spec, scale_of(design_of(fit))) == "lower"
    sides = (with_, without) if lower else (without, with_)
    return named[0].format(sides[0]), named[1].format(sides[1])


def _outcome(spec: ModelSpec) -> str:
    if spec.outcome is None:
        return ""
    known = OUTCOMES.get(spec.outcome)
    return known.title if known else spec.outcome.replace("_", " ")


def outcome_of(fit: xr.DataTree) -> str:
    """Return what is counted, in words."""
    return _outcome(spec_of(fit)) or "events"


def _column(evidence: pd.DataFrame, name: str) -> list[Any]:
    """Return a column of the evidence with None for what is missing, or nothing but None."""
    if name not in evidence.columns:
        return [None] * len(evidence)
    return [None if value != value else value for value in evidence[name].tolist()]


@dataclass(frozen=True, slots=True)
class Reported:
    """One finding as a row of a figure names it.

    Attributes
    ----------
    label, arm : str
        The study and its arm.
    text : str
        What was reported: ``13/19``, or ``HR 0.250, time-fixed``.
    year : float
        Of the paper; not a number where unknown.
    places : int or None
        How many decimals a ratio was printed with; None where the rows of a figure round alike.
    """

    label: str
    arm: str
    text: str
    year: float
    places: int | None = None


def reported(fit: xr.DataTree) -> list[Reported]:
    """Return each finding of a fit, in the order of its evidence."""
    evidence = evidence_of(fit)
    columns = {
        name: _column(evidence, name)
        for name in (
            "study", "label", "arm", "arm_label", "year", "events", "total", "ratio", "lower",
            "upper", "level", "measure", "time_handling", "estimate", "se", "survival",
            "control_events", "control_total", "control_survival",
        )
    }  # fmt: skip
    findings = []
    for position in range(len(evidence)):
        row = {name: values[position] for name, values in columns.items()}
        arm = row["arm_label"] if row["arm_label"] is not None else row["arm"]
        findings.append(
            Reported(
                str(row["label"] or row["study"]),
                "" if arm is None else str(arm),
                _text(row),
                float("nan") if row["year"] is None else float(row["year"]),
                _places(row),
            )
        )
    return findings


def labels_of(fit: xr.DataTree, cohorts: Iterable[str]) -> list[str]:
    """Return the papers of each cohort as a figure names them: ``Doe 2020, Roe 2021``."""
    labels = np.array([each.label for each in reported(fit)], dtype=object)
    rows = cohorts_of(fit)
    return [", ".join(dict.fromkeys(labels[rows[name]])) for name in cohorts]


def _text(row: dict[str, Any]) -> str:
    handling = str(row["time_handling"] or "")
    if words := comparison_words(row):
        return ", ".join(part for part in (words, handling) if part)
    if row["events"] is not None and row["total"] is not None:
        return f"{row['events']:.0f}/{row['total']:.0f}"
    if row["ratio"] is not None:
        name = str(row["measure"] or "").upper()
        places = _places(row)
        text = f"{row['ratio']:.4g}" if places is None else f"{row['ratio']:.{places}f}"
        parts = [f"{name} {text}".strip(), handling]
        return ", ".join(part for part in parts if part)
    if row["estimate"] is not None and row["se"] is not None:
        return f"{row['estimate']:.3g} (SE {row['se']:.3g})".replace("-", "−")
    return ""


def _places(row: dict[str, Any]) -> int | None:
    """Return the decimals of a printed ratio and its limits: the most that any of them shows.

    A number of a table has lost its last zeros, but papers print all three alike. An interval of
    another level is not shown as it was printed, and long numbers were computed.
    """
    numbers = [row[name] for name in ("ratio", "lower", "upper")]
    if None in numbers or row["level"] not in (None, 0.95):
        return None
    decimals = [f"{float(value):.10f}".rstrip("0").partition(".")[2] for value in numbers]
    most = max(len(text) for text in decimals)
    return most if most <= _PRINTED else None


def coefficient_words(moderators: tuple[Moderator, ...]) -> dict[str, str]:
    """Return the title of each coefficient: ``β, scFv: human against murine``."""
    steps, words = steps_of(moderators), {}
    for item in moderators:
        for coefficient in item.coefficients:
            name = name_of(item.name) if item.kind != "interaction" else coefficient
            step, level = steps[coefficient].removesuffix(", as given"), ""
            if item.levels:
                level = coefficient.removeprefix(item.name).strip("[]")
            words[coefficient] = f"β, {name}: {level} {step}" if level else f"β, {name}, {step}"
    return words
