"""Which kinds of value answer a question, and what is read from each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from metacart.evidence.agreement import events_from_grades
from metacart.evidence.candidate import Candidate
from metacart.evidence.columns import (
    CONTRAST_COLUMNS,
    COUNT_COLUMNS,
    GRADE_COLUMNS,
    HSCT_COLUMNS,
    RATIO_COLUMNS,
    SURVIVAL_COLUMNS,
)
from metacart.evidence.grade_tables import read_table
from metacart.evidence.printed import is_symmetric
from metacart.records.spec import COMPARISONS, ModelSpec
from metacart.records.study import Finding
from metacart.records.value import Ratio, Survival, SurvivalPoint, grade_bands
from metacart.records.vocabulary import Outcome

__all__ = [
    "KINDS",
    "MEASURES",
    "counts_for",
    "follow_up_words",
    "kinds_taken",
    "read_value",
    "value_columns",
    "values_of",
]

MEASURES = {"hr": "hazard ratio", "or": "odds ratio", "rr": "risk ratio"}
KINDS = {
    "count": "a count",
    "grades": "a table of grades",
    "contrast": "a contrast of counts",
    "ratio": "a ratio",
    "survival": "a survival estimate",
    "quantile": "a quantile of a time",
}
_SEVERAL = {"ratio": "ratios", "survival": "pairs of survival", "contrast": "contrasts of counts"}


def kinds_taken(spec: ModelSpec) -> tuple[str, ...]:
    """Return the kinds of value that a question takes, the preferred first."""
    if spec.likelihood == "hsct":
        return spec.kinds or COMPARISONS
    if spec.likelihood == "survival":
        return ("survival",)
    if spec.likelihood == "two_arm":
        return ("contrast",)
    if spec.likelihood == "grades":
        return ("grades", "count")
    # a question with an exposure compares groups, one without is about arms
    return ("ratio",) if spec.exposure is not None else ("count", "grades")


def _taken_words(spec: ModelSpec) -> str:
    if spec.likelihood == "survival":
        return "survival at one time"
    if spec.likelihood == "grades":
        return "tables of grades, or counts"
    return " or ".join(_SEVERAL[kind] for kind in kinds_taken(spec) if kind in _SEVERAL) or "counts"


def counts_for(finding: Finding, spec: ModelSpec, outcome: Outcome) -> bool:
    """Return whether a finding of another outcome counts the events of this one.

    Of overall survival the deaths are the events; their counts in two groups give its hazard ratio.
    """
    counted = finding.contrast is not None and spec.likelihood == "hsct"
    return counted and finding.outcome == outcome.counted_by


def read_value(candidate: Candidate, spec: ModelSpec, outcome: Outcome) -> None:
    """Leave a finding out whose kind of value the question does not take, or cannot use."""
    finding = candidate.finding
    if finding.kind not in kinds_taken(spec):
        rule = f"{KINDS[finding.kind]}; the question takes {_taken_words(spec)}"
        candidate.leave_out("kind", rule)
    elif spec.likelihood == "grades":
        read_table(candidate)
    elif finding.survival is not None:
        _read_survival(candidate, finding.survival)
    elif finding.ratio is not None:
        _read_ratio(candidate, finding.ratio, spec)
    elif finding.count is not None:
        candidate.events, candidate.total = finding.count.events, finding.count.total
    elif finding.grades is not None:
        _read_grades(candidate, finding.grades, outcome)


def _read_ratio(candidate: Candidate, ratio: Ratio, spec: ModelSpec) -> None:
    misprint = candidate.finding.misprint
    if spec.likelihood == "hsct" and ratio.measure != "hr":
        rule = f"an {MEASURES[ratio.measure]}; the question takes hazard ratios"
        candidate.leave_out("kind", rule.replace("an risk", "a risk"))
    elif ratio.interval is None:
        candidate.leave_out("kind", "no interval is printed")
    elif misprint is not None and not (
        ratio.interval[0] <= ratio.estimate <= ratio.interval[1]
        and is_symmetric(ratio.estimate, *ratio.interval)
    ):
        candidate.leave_out("kind", f"its interval is misprinted: {misprint.why}")


def _read_survival(candidate: Candidate, survival: Survival) -> None:
    points = _points(survival)
    several = len(points) > 1
    if any(point.lower is None or point.upper is None for point in points):
        candidate.leave_out("kind", f"no {'intervals are' if several else 'interval is'} printed")
    elif any(point.estimate is None or not 0.0 < point.estimate < 1.0 for point in points):
        use = "; its counts are to be used" if several else ""
        candidate.leave_out("kind", f"an estimate of 0 or 1 has no standard error{use}")
    elif len({point.level for point in points}) > 1:
        candidate.leave_out("kind", "its two intervals are of different levels")


def _points(survival: Survival) -> list[Survival | SurvivalPoint]:
    """Return the two groups of a pair, or the one estimate of an arm."""
    pair = [point for point in (survival.exposed, survival.unexposed) if point is not None]
    return [*pair] or [survival]


def _read_grades(candidate: Candidate, grades: dict[str, int], outcome: Outcome) -> None:
    cut = outcome.from_grade
    if outcome.graded_by is None:
        candidate.leave_out("kind", f"a table of grades; {outcome.title} has no lowest grade")
        return
    fewest, most = events_from_grades(grades, from_grade=cut)
    total = sum(patients for _, _, patients in grade_bands(grades))
    straddling = [
        f"{first}-{last}" for first, last, _ in grade_bands(grades) if first < cut <= last
    ]
    if straddling and fewest != most:
        rule = f"grades {', '.join(straddling)} lie on both sides of the cut at grade {cut}"
        candidate.leave_out("kind", rule)
    elif total == 0:
        candidate.leave_out("kind", "no patients")
    else:
        candidate.events, candidate.total = fewest, total


def follow_up_words(finding: Finding) -> Iterator[str]:
    """Yield that counts of two groups may have been followed for different times."""
    timed = finding.timepoint not in (None, "best", "last follow-up")
    if finding.contrast is not None and not timed:
        yield "counts, and how long each group was followed is not stated"


def value_columns(spec: ModelSpec) -> tuple[str, ...]:
    """Return the columns of the values that a question takes."""
    if spec.likelihood == "hsct":
        return HSCT_COLUMNS
    if spec.likelihood == "chain":
        return ("stage", *COUNT_COLUMNS)
    return {
        "grades": GRADE_COLUMNS,
        "ratio": RATIO_COLUMNS,
        "survival": SURVIVAL_COLUMNS,
        "contrast": CONTRAST_COLUMNS,
    }.get(kinds_taken(spec)[0], COUNT_COLUMNS)


def values_of(candidate: Candidate) -> dict[str, Any]:
    """Return the values of a finding as columns."""
    finding = candidate.finding
    row: dict[str, Any] = {
        "kind": finding.kind,
        "time_handling": finding.time_handling,
        "printed_as": finding.printed_as,
        "follow_up": "; ".join(follow_up_words(finding)) or None,
    }
    if finding.ratio is not None:
        ratio = finding.ratio.oriented()
        return row | {
            "ratio": ratio.estimate,
            "lower": ratio.lower,
            "upper": ratio.upper,
            "level": ratio.level,
            "measure": ratio.measure,
            "adjusted_for": ", ".join(ratio.adjusted_for),
        }
    if finding.contrast is not None:
        exposed, control = finding.contrast.exposed, finding.contrast.unexposed
        return row | {
            "events": exposed.events,
            "total": exposed.total,
            "control_events": control.events,
            "control_total": control.total,
        }
    if finding.survival is None:
        return row | {"events": candidate.events, "total": candidate.total}
    first, *others = _points(finding.survival)
    row |= {"survival": first.estimate, "level": first.level}
    if not others:
        return row | {"lower": first.lower, "upper": first.upper}
    return row | {
        "survival_lower": first.lower,
        "survival_upper": first.upper,
        "control_survival": others[0].estimate,
        "control_survival_lower": others[0].lower,
        "control_survival_upper": others[0].upper,
    }
