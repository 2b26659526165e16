"""The printed figures of one finding, held against each other: percentages, intervals, p values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from metacart.errors import Fault
from metacart.evidence.printed import (
    counts_of_percentage,
    is_symmetric,
    midpoint,
    parse_p,
    percentage_agrees,
    percentages_of,
    wald_p,
)
from metacart.records.study import Finding
from metacart.records.value import Count, Quantile, Ratio, Survival, SurvivalPoint

__all__ = ["count_faults", "figure_faults", "percentage_faults"]


@dataclass(frozen=True, slots=True)
class _Disagreement:
    """A fault that a misprint excuses if it names one of these figures exactly."""

    fault: Fault
    printed: str
    numbers: frozenset[float] = frozenset()

    def excused_by(self, figure: str) -> bool:
        if figure.replace(" ", "") == self.printed.replace(" ", ""):
            return True
        # limits are written with many dashes and words: the numbers themselves are compared
        named = {float(number) for number in re.findall(r"\d+(?:\.\d+)?", figure)}
        return bool(named & self.numbers) and named <= self.numbers


def figure_faults(finding: Finding, *, place: str) -> list[Fault]:
    """Return where a finding disagrees with itself; what its misprint excuses is a warning."""
    found = list(_disagreements(finding, place))
    misprint = finding.misprint
    if misprint is None:
        return [item.fault for item in found]
    if not found:
        return [
            Fault(
                f"{place}.misprint",
                f"'{misprint.printed}' is excused, but nothing here disagrees",
                "a misprint beside figures that disagree",
                "delete it, or say it in `note`",
            )
        ]
    faults = []
    for item in found:
        if item.excused_by(misprint.printed):
            faults.append(
                replace(
                    item.fault,
                    found=f"{item.fault.found}, excused: {misprint.why}",
                    allowed="",
                    attempt="",
                    severity="warning",
                )
            )
        else:
            attempt = f'misprint.printed must be exactly "{item.printed}"'
            faults.append(replace(item.fault, attempt=attempt))
    return faults


def _disagreements(finding: Finding, place: str) -> Iterator[_Disagreement]:
    if finding.count is not None:
        yield from _percentage(finding.count, f"{place}.count")
    if finding.contrast is not None:
        yield from _percentage(finding.contrast.exposed, f"{place}.contrast.exposed")
        yield from _percentage(finding.contrast.unexposed, f"{place}.contrast.unexposed")
        yield from _readable(finding.contrast.p, f"{place}.contrast.p")
    if finding.ratio is not None:
        yield from _ratio(finding.ratio, f"{place}.ratio")
    if finding.survival is not None:
        survival = finding.survival
        yield from _contained(survival, f"{place}.survival")
        for name, group in (("exposed", survival.exposed), ("unexposed", survival.unexposed)):
            if group is not None:
                yield from _contained(group, f"{place}.survival.{name}")
    if finding.quantile is not None:
        yield from _contained(finding.quantile, f"{place}.quantile")


def _excuse(printed: str) -> str:
    return f'correct it, or add misprint = {{ printed = "{printed}", why = "…" }}'


def _percentage(count: Count, place: str) -> Iterator[_Disagreement]:
    printed = count.printed
    if (
        printed is None
        or count.events > count.total
        or percentage_agrees(count.events, count.total, printed=printed)
    ):
        return
    decimals = len(printed.rstrip("% ").partition(".")[2])
    right = percentages_of(count.events, count.total, decimals=decimals)
    yield _Disagreement(
        Fault(
            f"{place}.printed",
            f"{printed} is printed, but {count.events}/{count.total} is "
            f"{100 * count.events / count.total:.{decimals + 1}f}%",
            " or ".join(right),
            _excuse(printed),
        ),
        printed,
    )


def _ratio(ratio: Ratio, place: str) -> Iterator[_Disagreement]:
    yield from _readable(ratio.p, f"{place}.p")
    if ratio.interval is None:
        return
    estimate, (lower, upper) = ratio.estimate, ratio.interval
    shown = f"{estimate:g} ({lower:g}–{upper:g})"
    numbers = frozenset((estimate, lower, upper))
    if lower >= upper or not lower <= estimate <= upper:
        yield _Disagreement(
            Fault(
                place,
                f"the interval of {shown} does not hold its estimate",
                "lower ≤ estimate ≤ upper, and lower < upper",
                _excuse(shown),
            ),
            shown,
            numbers,
        )
        return
    if not is_symmetric(estimate, lower, upper):
        yield _Disagreement(
            Fault(
                place,
                f"the interval of {shown} is not symmetric on the log scale",
                f"an estimate near {midpoint(lower, upper):.4g}, the middle of its limits",
                _excuse(shown),
            ),
            shown,
            numbers,
        )
    printed = None if ratio.p is None else parse_p(ratio.p)
    if printed is None:
        return
    wald = wald_p(estimate, lower, upper, level=ratio.level)
    if not printed.agrees(wald):
        yield _Disagreement(
            Fault(
                f"{place}.p",
                f"p {ratio.p} is printed, but {shown} gives {wald:.2g}",
                "a p on the same side of 0.05 and within a factor of five",
                "look it up again; it may come from another test",
                severity="warning",
            ),
            str(ratio.p),
        )


def _readable(p: str | None, place: str) -> Iterator[_Disagreement]:
    if p is not None and parse_p(p) is None:
        allowed = 'text such as "0.036", "<0.001", "NS"'
        yield _Disagreement(Fault(place, f"'{p}' is no p value", allowed), p)


def _contained(group: Survival | SurvivalPoint | Quantile, place: str) -> Iterator[_Disagreement]:
    estimate, lower, upper = group.estimate, group.lower, group.upper
    if estimate is None:
        return
    low = estimate if lower is None else lower
    high = estimate if upper is None else upper
    if low <= estimate <= high:
        return
    limits = "–".join("?" if limit is None else f"{limit:g}" for limit in (lower, upper))
    shown = f"{estimate:g} ({limits})"
    yield _Disagreement(
        Fault(
            place,
            f"the interval of {shown} does not hold its estimate",
            "lower ≤ estimate ≤ upper",
            _excuse(shown),
        ),
        shown,
        frozenset(value for value in (estimate, lower, upper) if value is not None),
    )


def count_faults(count: Count, *, place: str) -> list[Fault]:
    """Return where a count cannot be: too many events, or a percentage that several counts fit."""
    if count.events > count.total:
        return [
            Fault(
                f"{place}.events",
                f"{count.events} events among {count.total}",
                f"0 to {count.total}",
                "look the count up again",
            )
        ]
    if count.derived is None or count.printed is None:
        return []
    fitting = counts_of_percentage(count.printed, total=count.total)
    cut_off = fitting.pop("cut off")
    # a percentage is rounded unless only cutting it off gives the count
    readings = [counts for counts in fitting.values() if count.events in counts] or [cut_off]
    if all(len(counts) <= 1 for counts in readings):
        return []
    several = ", ".join(str(events) for events in max(readings, key=len))
    return [
        Fault(
            f"{place}.derived",
            f"{count.printed} of {count.total} can be {several}",
            "a percentage that one count alone fits",
            "leave the count out",
        )
    ]


def percentage_faults(count: Count, *, place: str) -> list[Fault]:
    """Return where a percentage that no misprint can excuse disagrees with its count."""
    return [
        replace(item.fault, attempt="correct it, or leave the percentage out")
        for item in _percentage(count, place)
    ]
