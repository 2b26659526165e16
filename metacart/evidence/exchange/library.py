"""A finding as metafor in R and RevMan Web take it."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from metacart.evidence.collection import Studies
from metacart.evidence.columns import counts_of_arms, levels_of
from metacart.evidence.conversions import AssumptionWarning, interval_to_se
from metacart.evidence.landmark import log_hazard_ratio, survival_se
from metacart.evidence.reported import Reported
from metacart.records.spec import FILTERS
from metacart.records.study import Study
from metacart.records.value import Contrast, Ratio, Survival
from metacart.records.vocabulary import EXPOSURES

__all__ = ["METAFOR_COLUMNS", "REVMAN_COLUMNS", "metafor_row", "revman_rows"]

_LEVELS = tuple(name for name in FILTERS if name not in ("study", "arm"))
METAFOR_COLUMNS: tuple[str, ...] = (
    *("study", "slab", "cohort", "year", "arm", "arm_label"),
    *("outcome", "population", "timepoint", "exposure", "time_handling"),
    *("xi", "ni", "ai", "bi", "ci", "di", "yi", "vi", "effect"),
    *_LEVELS,
    *("set_aside", "reported_by", "at"),
)
# what stands in the file of data rows of a data package, version 2
REVMAN_COLUMNS: tuple[str, ...] = (
    *("Analysis group", "Analysis number", "Analysis name", "Subgroup", "Applicability"),
    *("Study", "Study year", "GIV Mean", "GIV SE"),
    *("Experimental mean", "Experimental SD", "Experimental cases", "Experimental N"),
    *("Control mean", "Control SD", "Control cases", "Control N"),
    *("O-E", "Variance", "Weight", "Mean", "CI start", "CI end", "Footnotes"),
)


def metafor_row(each: Reported) -> dict[str, Any] | None:
    """Return the row of a finding; None where metafor has no place for its kind of value."""
    study, arm, finding = each.study, each.arm, each.finding
    if not (value := _effect(each)):
        return None
    row: dict[str, Any] = {
        **levels_of(study, arm, finding.grading),
        **{name: each.evidence[name] for name in each.evidence if name in _LEVELS},
        **{name: each.evidence[name] for name in arm.attributes if name in each.evidence},
        "study": study.id,
        "slab": study.label,
        "cohort": study.cohort,
        "year": study.citation.year,
        "arm": arm.id,
        "arm_label": arm.label or arm.id,
        "outcome": each.evidence.get("outcome", finding.outcome),
        "exposure": finding.exposure,
    }
    row |= {
        name: getattr(finding, name)
        for name in ("population", "timepoint", "time_handling", "set_aside", "reported_by", "at")
    }
    return row | value


def _effect(each: Reported) -> dict[str, Any]:
    finding = each.finding
    if counts_of_arms(each.evidence):
        return {"xi": each.evidence["events"], "ni": each.evidence["total"]}
    if finding.count is not None:
        return {"xi": finding.count.events, "ni": finding.count.total}
    if finding.contrast is not None:
        exposed, unexposed = finding.contrast.exposed, finding.contrast.unexposed
        return {
            "ai": exposed.events,
            "bi": exposed.total - exposed.events,
            "ci": unexposed.events,
            "di": unexposed.total - unexposed.events,
        }
    if finding.ratio is not None and _holds_estimate(finding.ratio):
        mean, error = _log_ratio(finding.ratio)
        return {"yi": mean, "vi": error**2, "effect": f"log {finding.ratio.measure.upper()}"}
    survival = finding.survival
    if survival is not None and survival.exposed is not None:
        return _pair(survival)
    if survival is None or None in (survival.estimate, survival.lower, survival.upper):
        return {}
    share, lower, upper = survival.estimate or 0.0, survival.lower or 0.0, survival.upper or 0.0
    if not 0.0 < share < 1.0:
        return {}
    error = survival_se(share, lower, upper, level=survival.level)
    return {"yi": math.log(-math.log(share)), "vi": error**2, "effect": "log(-log S)"}


def _pair(survival: Survival) -> dict[str, Any]:
    """Return the log hazard ratio of a pair whose intervals are printed."""
    limits = []
    for point in (survival.exposed, survival.unexposed):
        if point is None or point.lower is None or point.upper is None:
            return {}
        if not 0.0 < point.estimate < 1.0 or point.level != 0.95:
            return {}
        limits.append((point.estimate, point.lower, point.upper))
    mean, error = log_hazard_ratio(limits[0], limits[1])
    return {"yi": mean, "vi": error**2, "effect": "log HR"}


def _holds_estimate(ratio: Ratio) -> bool:
    """Whether there is an interval, and one that is not misprinted beyond use."""
    if ratio.interval is None:
        return False
    lower, upper = ratio.interval
    return lower <= ratio.estimate <= upper and lower < upper


def _log_ratio(ratio: Ratio) -> tuple[float, float]:
    """Return the logarithm of exposed against unexposed, and its standard error."""
    turned = ratio.oriented()
    lower, upper = turned.interval or (math.nan, math.nan)
    with warnings.catch_warnings():
        # the gates have said so already, and a misprint has its reason
        warnings.simplefilter("ignore", AssumptionWarning)
        error = interval_to_se(
            lower, upper, estimate=turned.estimate, level=turned.level, scale="log"
        )
    return math.log(turned.estimate), error


def revman_rows(reported: Sequence[Reported], studies: Studies) -> Iterator[dict[str, Any]]:
    """Yield the data rows of comparisons: a group an exposure, an analysis an outcome."""
    names = _names(studies)
    groups: dict[str, int] = {}
    analyses: dict[str, dict[str, int]] = {}
    for each in reported:
        finding = each.finding
        value = _compared(finding.contrast, finding.ratio)
        if not value or finding.exposure is None:
            continue
        exposed = EXPOSURES[finding.exposure]
        if finding.exposure == "other":
            exposed = finding.comparison or exposed
        group = groups.setdefault(exposed, len(groups) + 1)
        outcome = studies.vocabulary[finding.outcome].title
        kind = f"{finding.ratio.measure.upper()}" if finding.ratio else "counts"
        name = f"{outcome}, {kind}: {exposed}"
        known = analyses.setdefault(exposed, {})
        yield {
            "Analysis group": group,
            "Analysis number": known.setdefault(name, len(known) + 1),
            "Analysis name": name,
            "Study": names[each.study.id],
            "Study year": each.study.citation.year,
            **value,
            "Footnotes": "; ".join(
                filter(
                    None,
                    (
                        each.arm.label or each.arm.id,
                        finding.population,
                        finding.timepoint,
                        finding.time_handling,
                        finding.at,
                        finding.set_aside and f"set aside: {finding.set_aside}",
                    ),
                )
            ),
        }


def _compared(contrast: Contrast | None, ratio: Ratio | None) -> dict[str, Any]:
    if contrast is not None:
        return {
            "Experimental cases": contrast.exposed.events,
            "Experimental N": contrast.exposed.total,
            "Control cases": contrast.unexposed.events,
            "Control N": contrast.unexposed.total,
        }
    if ratio is None or not _holds_estimate(ratio):
        return {}
    mean, error = _log_ratio(ratio)
    turned = ratio.oriented()
    return {
        "GIV Mean": mean,
        "GIV SE": error,
        "Mean": turned.estimate,
        "CI start": turned.lower,
        "CI end": turned.upper,
    }


def _names(studies: Sequence[Study]) -> dict[str, str]:
    """Return the labels of studies, with the id where two bear the same one."""
    often = Counter(study.label for study in studies)
    return {
        study.id: study.label if often[study.label] == 1 else f"{study.label} ({study.id})"
        for study in studies
    }
