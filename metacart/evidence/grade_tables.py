"""One table of grades for an arm: as it was reported, or put together from counts at cuts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from metacart.evidence.candidate import Candidate
from metacart.records.value import grade_bands
from metacart.records.vocabulary import Outcome

__all__ = [
    "LOWEST",
    "band_words",
    "grade_rows",
    "more_grades",
    "one_table_each",
    "read_table",
    "tells_grades",
]

LOWEST, HIGHEST = 0, 5
Band = tuple[int, int, int]


def tells_grades(counted: Outcome | None, asked: Outcome) -> bool:
    """Return whether counts of one outcome are a cut through the grades of another."""
    return counted is not None and counted.graded_by == asked.name and counted.from_grade >= 1


def read_table(candidate: Candidate) -> None:
    """Read how many patients a table of grades, or a count at one cut, is about."""
    finding = candidate.finding
    if finding.grades is not None:
        candidate.bands = tuple(grade_bands(finding.grades))
        candidate.total = sum(patients for _, _, patients in candidate.bands)
        if not candidate.total:
            candidate.leave_out("kind", "no patients")
    elif finding.count is not None:
        candidate.events, candidate.total = finding.count.events, finding.count.total
        candidate.bands = _bands([candidate])


def one_table_each(
    groups: Iterable[list[Candidate]],
    preferences: Callable[[Candidate], list[tuple[int, str]]],
) -> None:
    """Keep one table of grades for each arm, and say why the other findings are not in it.

    Parameters
    ----------
    groups : iterable of list of Candidate
        The findings of each arm.
    preferences : callable
        What decides between findings, the first difference first.

    Notes
    -----
    A table of grades stands alone. A count ("any", "severe") is joined by counts at other cuts of
    the same patients on the same grading: any of 40 and severe of 40 give grades 0, 1-2 and 3-5.
    """
    for group in groups:
        ranked = sorted(group, key=lambda each: [rank for rank, _ in preferences(each)])
        first, *others = ranked
        joined = [first]
        for each in others:
            reason = _why_apart(first, each, joined) or _crossing(joined, each)
            if not reason:
                joined.append(each)
                continue
            if reason == _BY_ORDER:
                pairs = zip(preferences(each), preferences(first), strict=True)
                reason = next(
                    f"{words}; {better} comes first"
                    for (rank, words), (best, better) in pairs
                    if rank != best
                )
            each.leave_out("another report", reason)
        if first.finding.grades is None:
            first.bands = _bands(joined)
        systems = {each.levels.get("grading") for each in joined} - {None, "unreported"}
        first.levels["grading"] = next(iter(systems), "unreported")
        for each in joined[1:]:
            each.joins = first
        first.parts = tuple(joined)


_BY_ORDER = "by order"


def _why_apart(first: Candidate, each: Candidate, joined: list[Candidate]) -> str:
    """Return why a finding does not join the first; empty where it does."""
    one, other = first.finding, each.finding
    if one.population != other.population or len({one.timepoint, other.timepoint} - {None}) > 1:
        return _BY_ORDER
    if one.grades is not None:
        if other.grades is not None:
            return _BY_ORDER
        if each.total == first.total:
            return f"findings[{first.number}] has the grades of these patients"
    if each.total != first.total:
        return (
            f"of {each.total} patients, findings[{first.number}] of {first.total}: "
            "one denominator a table, the larger"
        )
    if other.grades is not None or _cut(each) in map(_cut, joined):
        return _BY_ORDER
    systems = {part.levels.get("grading") for part in (*joined, each)} - {None, "unreported"}
    if len(systems) > 1:
        return f"graded on {each.levels['grading']}, findings[{first.number}] on another system"
    return ""


def _crossing(joined: list[Candidate], each: Candidate) -> str:
    """Return that more patients would have a higher grade than a lower one."""
    bands = _bands([*joined, each])
    return "more patients than with a lower grade" if any(n < 0 for _, _, n in bands) else ""


def _cut(candidate: Candidate) -> int:
    return 1 if candidate.counted is None else candidate.counted.from_grade


def _bands(parts: list[Candidate]) -> tuple[Band, ...]:
    """Return the bands between cuts, each with its patients."""
    events = dict(sorted((_cut(each), each.events or 0) for each in parts))
    starts = [LOWEST, *events]
    counts = [parts[0].total or 0, *events.values(), 0]
    ends = [*(start - 1 for start in starts[1:]), HIGHEST]
    return tuple(
        (start, end, counts[at] - counts[at + 1])
        for at, (start, end) in enumerate(zip(starts, ends, strict=True))
    )


def band_words(bands: Iterable[Band]) -> str:
    """Return bands as a study file writes them: ``0 = 1, 1-2 = 19, 3-5 = 8``."""
    return ", ".join(
        f"{first if first == last else f'{first}-{last}'} = {n}" for first, last, n in bands
    )


def grade_rows(candidate: Candidate) -> list[tuple[Candidate, dict[str, Any]]]:
    """Return each band as columns, with the finding whose cut it begins at, the lowest ends at."""
    rows = []
    for first, last, patients in candidate.bands:
        cut = first or last + 1
        source = next((each for each in candidate.parts if _cut(each) == cut), candidate)
        row = {"grade_from": first, "grade_to": last, "count": patients}
        rows.append((source, row | {"grading": candidate.levels["grading"]}))
    return rows


def more_grades(candidates: Iterable[Candidate]) -> None:
    """Leave reports of one cut out where another on the same cohort has more.

    The other has at least half as many patients: one cut alone does not tell mild from none, or
    from severe.
    """
    cohorts: dict[str, dict[str, list[Candidate]]] = defaultdict(lambda: defaultdict(list))
    for each in candidates:
        cohorts[each.study.cohort][each.study.id].append(each)
    for cohort, reports in cohorts.items():
        sizes = {
            name: sum(each.patients for each in rows if each.joins is None)
            for name, rows in reports.items()
        }
        graded = [name for name, rows in reports.items() if any(len(e.bands) > 2 for e in rows)]
        for name in reports:
            best = max(graded, key=lambda other: sizes[other], default=None)
            if name in graded or best is None or 2 * sizes[best] < sizes[name]:
                continue
            for each in reports[name]:
                words = f"{reports[best][0].study.label} tells more grades apart"
                way = f'admit = ["{each.key}"] lets it in beside it'
                each.leave_out("cohort", f"one report a cohort ({cohort}): {words} ({way})")
