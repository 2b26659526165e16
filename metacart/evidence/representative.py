"""Which of the papers on the same patients stands for all of them in an analysis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from metacart.records.spec import REPRESENTATIVES, Representative
from metacart.records.study import Study

__all__ = ["Report", "alternative", "ranked", "why_first"]


@dataclass(frozen=True, slots=True)
class Report:
    """A paper of a cohort that answers the question.

    Attributes
    ----------
    study : Study
    patients : int
        With how many patients it answers.
    sharing : bool
        Whether one of its arms names an arm of another of them as sharing its patients.
    """

    study: Study
    patients: int
    sharing: bool = False


def _criteria(report: Report, rule: Representative) -> list[tuple[int, str]]:
    """Return what decides between the reports of a cohort, with the words for who is ahead."""
    year = report.study.citation.year
    size = (-report.patients, "reports more patients, {0.patients} against {1.patients}")
    time = (-year, "is the later report, {0.study.citation.year} against {1.study.citation.year}")
    if rule == "latest":
        return [time, size]
    if rule == "largest":
        return [size, time]
    primary = (-int(report.study.primary_report), "is the primary report")
    named = (int(report.sharing), "is the report that this one names for its patients")
    return [primary, named, size, time]


def ranked(reports: Iterable[Report], rule: Representative) -> list[Report]:
    """Return the reports of one cohort, the one that a rule takes first.

    Parameters
    ----------
    reports : iterable of Report
        In the order that decides where nothing else does.
    rule : {"primary", "largest", "latest"}
        The report marked ``primary_report``, else one that others name for their patients, else
        most patients, then the latest; most patients, then the latest; the latest, then most
        patients.
    """
    return sorted(reports, key=lambda report: [rank for rank, _ in _criteria(report, rule)])


def why_first(first: Report, other: Report, rule: Representative) -> str:
    """Say why `first` comes before `other`: ``is the primary report``."""
    pairs = zip(_criteria(first, rule), _criteria(other, rule), strict=True)
    for (ahead, words), (behind, _) in pairs:
        if ahead != behind:
            return words.format(first, other)
    return "comes first"


def alternative(report: Report, reports: Sequence[Report]) -> Representative | None:
    """Return the first rule by which this report would stand for its cohort, if there is one."""
    return next((rule for rule in REPRESENTATIVES if ranked(reports, rule)[0] is report), None)
