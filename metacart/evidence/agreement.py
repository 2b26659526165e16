"""Gates between the findings of one study: grades and counts, parts and wholes, duplicates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations, pairwise
from typing import NamedTuple

from metacart.errors import Fault
from metacart.evidence.parts import Parts
from metacart.records.study import Finding
from metacart.records.value import grade_bands
from metacart.records.vocabulary import Outcome

__all__ = [
    "duplicates",
    "events_from_grades",
    "falling_survival",
    "graded_counts",
    "parts_of_a_whole",
]


class _Range(NamedTuple):
    """How many events a finding can mean for an outcome, among how many patients."""

    place: str
    finding: Finding
    lowest: int
    highest: int
    total: int


def events_from_grades(grades: Mapping[str, int], *, from_grade: int) -> tuple[int, int]:
    """Return the fewest and the most patients with at least this grade.

    The two differ where a band straddles the cut.

    Examples
    --------
    >>> events_from_grades({"0": 1, "1-2": 19, "3-5": 8}, from_grade=3)
    (8, 8)
    >>> events_from_grades({"0-1": 20, "2-4": 7, "5": 1}, from_grade=3)
    (1, 8)
    """
    bands = grade_bands(dict(grades))
    lowest = sum(patients for first, _, patients in bands if first >= from_grade)
    highest = sum(patients for _, last, patients in bands if last >= from_grade)
    return lowest, highest


def _ranges(parts: Parts) -> dict[str, list[_Range]]:
    """Return, for each outcome, what its counts and its tables of grades say."""
    ranges: dict[str, list[_Range]] = {}
    for number, finding in parts.findings.items():
        if finding.set_aside is not None:
            continue
        place = f"findings[{number}]"
        if finding.count is not None:
            events, total = finding.count.events, finding.count.total
            ranges.setdefault(finding.outcome, []).append(
                _Range(f"{place}.count", finding, events, events, total)
            )
        elif finding.grades is not None:
            total = sum(patients for _, _, patients in grade_bands(finding.grades))
            for outcome in parts.vocabulary.values():
                if outcome.graded_by == finding.outcome:
                    low, high = events_from_grades(finding.grades, from_grade=outcome.from_grade)
                    ranges.setdefault(outcome.name, []).append(
                        _Range(f"{place}.grades", finding, low, high, total)
                    )
    return ranges


def _same_patients(first: Finding, second: Finding) -> bool:
    times = {first.timepoint, second.timepoint} - {None}
    return (
        (first.arm, first.population, first.comparison)
        == (second.arm, second.population, second.comparison)
    ) and len(times) < 2


def graded_counts(parts: Parts) -> Iterator[Fault]:
    """Hold separately reported counts against the table of grades of the same patients."""
    for outcome, ranges in _ranges(parts).items():
        for first, second in combinations(ranges, 2):
            systems = {first.finding.grading, second.finding.grading} - {None}
            if (
                {first.finding.kind, second.finding.kind} != {"count", "grades"}
                or not _same_patients(first.finding, second.finding)
                or len(systems) > 1
                or first.total != second.total
            ):
                continue
            count, grades = (first, second) if first.finding.count else (second, first)
            if grades.lowest <= count.lowest <= grades.highest:
                continue
            given = str(grades.lowest)
            if grades.highest > grades.lowest:
                given += f" to {grades.highest}"
            yield Fault(
                f"{count.place}.events",
                f"{count.lowest} with {outcome.replace('_', ' ')}",
                f"{given}, which {grades.place} gives",
                "correct one of them, or set one aside: set_aside = …",
            )


def parts_of_a_whole(parts: Parts) -> Iterator[Fault]:
    """Hold each outcome against the one of which it is a part: severe ≤ any."""
    ranges = _ranges(parts)
    for name, children in ranges.items():
        for ancestor in _ancestors(name, parts.vocabulary):
            for child in children:
                for parent in ranges.get(ancestor, []):
                    if (
                        child.finding is not parent.finding
                        and _same_patients(child.finding, parent.finding)
                        and child.total <= parent.total
                        and child.lowest > parent.highest
                    ):
                        yield Fault(
                            child.place,
                            f"{child.lowest} with {name.replace('_', ' ')}, but "
                            f"{parent.highest} with {ancestor.replace('_', ' ')} "
                            f"({parent.place})",
                            f"at most {parent.highest}: one is part of the other",
                            "correct one of them, or set one aside: set_aside = …",
                        )


def _ancestors(name: str, vocabulary: Mapping[str, Outcome]) -> Iterator[str]:
    seen = {name}
    outcome = vocabulary.get(name)
    while outcome is not None and outcome.parent is not None and outcome.parent not in seen:
        seen.add(outcome.parent)
        yield outcome.parent
        outcome = vocabulary.get(outcome.parent)


def falling_survival(parts: Parts) -> Iterator[Fault]:
    """Hold estimates of one curve against each other: a later one is never higher."""
    curves: dict[tuple[object, ...], list[tuple[float, float, str]]] = {}
    for number, finding in parts.findings.items():
        survival = finding.survival
        if survival is None or finding.set_aside is not None or finding.misprint is not None:
            continue
        groups = {"": survival, ".exposed": survival.exposed, ".unexposed": survival.unexposed}
        for name, group in groups.items():
            if group is None or group.estimate is None:
                continue
            key = (
                *(finding.arm, finding.outcome, finding.population, finding.exposure),
                *(
                    finding.comparison,
                    finding.printed_as,
                    finding.definition,
                    finding.time_handling,
                ),
                *(finding.reported_by, survival.unit, name),
            )
            point = (survival.time, group.estimate, f"findings[{number}].survival{name}")
            curves.setdefault(key, []).append(point)
    for points in curves.values():
        for (time, early, first), (later, late, second) in pairwise(sorted(points)):
            if late > early and later > time:
                yield Fault(
                    second,
                    f"{late:g} at {later:g}, but {early:g} at {time:g} ({first})",
                    f"at most {early:g}: survival does not rise",
                    "look both up again, or set one aside: set_aside = …",
                )


def duplicates(parts: Parts) -> Iterator[Fault]:
    """Find counts that stand twice without one being set aside."""
    seen: dict[tuple[object, ...], int] = {}
    for number, finding in parts.findings.items():
        counted = finding.count is not None or finding.grades is not None
        if not counted or finding.set_aside is not None:
            continue
        key = (
            finding.arm,
            finding.outcome,
            finding.population,
            finding.timepoint,
            finding.grading,
            finding.comparison,
            finding.kind,
        )
        if key in seen:
            yield Fault(
                f"findings[{number}]",
                f"the same {finding.kind} as findings[{seen[key]}]: arm, outcome, population and "
                "timepoint are equal",
                "one of them",
                "say why one is not used: set_aside = …",
            )
        seen.setdefault(key, number)
