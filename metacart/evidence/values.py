"""A reported value in words, as a reader of the paper would write it."""

from __future__ import annotations

from metacart.records.study import Finding
from metacart.records.value import Survival, SurvivalPoint, grade_bands

__all__ = ["value_words"]


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
    name = "median" if quantile.probability == 0.5 else f"{100 * quantile.probability:g}% quantile"
    return f"{name} {quantile.estimate:g}{limits} {quantile.unit}s"


def _share(point: Survival | SurvivalPoint) -> str:
    estimate = f"{100 * (point.estimate or 0.0):g}%"
    if point.lower is None or point.upper is None:
        return estimate
    return f"{estimate} ({100 * point.lower:g}–{100 * point.upper:g}%)"
