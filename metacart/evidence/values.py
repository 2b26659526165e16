"""A reported value in words, as a reader of the paper would write it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metacart.records.study import Finding
from metacart.records.value import Survival, SurvivalPoint, grade_bands

__all__ = ["comparison_words", "value_words"]


def comparison_words(row: Mapping[str, Any]) -> str:
    """Return what a row of an evidence table reports of two groups, or nothing.

    Examples
    --------
    >>> comparison_words({"events": 2, "total": 27, "control_events": 9, "control_total": 18})
    '2/27 v 9/18'
    >>> comparison_words({"survival": 0.77, "control_survival": 0.364})
    '77 % v 36 %'
    """
    known = {name: row.get(name) for name in _OF_GROUPS}
    events, total, control, of, survival, without = (
        None if value is None or value != value else value for value in known.values()
    )
    if None not in (events, total, control, of):
        return f"{events:.0f}/{total:.0f} v {control:.0f}/{of:.0f}"
    if survival is not None and without is not None:
        return f"{100 * survival:.0f} % v {100 * without:.0f} %"
    return ""


_OF_GROUPS = (
    *("events", "total", "control_events", "control_total"),
    *("survival", "control_survival"),
)


def value_words(finding: Finding) -> str:
    """Return the reported value as a reader writes it: ``13/19``, ``HR 0.25 (0.068–0.915)``."""
    if finding.count is not None:
        return f"{finding.count.events}/{finding.count.total}"
    if finding.grades is not None:
        bands = grade_bands(finding.grades)
        names = [f"{first}" if first == last else f"{first}–{last}" for first, last, _ in bands]
        pairs = zip(names, bands, strict=True)
        return "grades " + ", ".join(f"{name}: {patients}" for name, (_, _, patients) in pairs)
    if finding.contrast is not None:
        groups = (finding.contrast.exposed, finding.contrast.unexposed)
        return " v ".join(f"{group.events}/{group.total}" for group in groups)
    if finding.ratio is not None:
        ratio = finding.ratio
        limits = "–".join(f"{limit:g}" for limit in ratio.interval or ())
        words = f"{ratio.measure.upper()} {ratio.estimate:g} ({limits or 'no interval'})"
        return f"{words}, reversed" if ratio.reversed else words
    if finding.survival is not None:
        survival = finding.survival
        points = [survival.exposed, survival.unexposed] if survival.exposed else [survival]
        shown = " v ".join(_share(point) for point in points if point is not None)
        return f"{shown} at {survival.time:g} {survival.unit}s"
    quantile = finding.quantile
    if quantile is None or quantile.estimate is None:
        return "not reached"
    limits = ""
    if quantile.lower is not None or quantile.upper is not None:
        ends = (quantile.lower, quantile.upper)
        limits = f" ({'–'.join('?' if end is None else f'{end:g}' for end in ends)})"
    name = "median" if quantile.probability == 0.5 else f"{100 * quantile.probability:g} % quantile"
    return f"{name} {quantile.estimate:g}{limits} {quantile.unit}s"


def _share(point: Survival | SurvivalPoint) -> str:
    estimate = f"{100 * (point.estimate or 0.0):g} %"
    if point.lower is None or point.upper is None:
        return estimate
    return f"{estimate} ({100 * point.lower:g}–{100 * point.upper:g} %)"
