"""What the shell says of study files: the studies, and the words that they are written in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from metacart.report.tables import Column, Table, table_of

if TYPE_CHECKING:
    from metacart.evidence.collection import Studies
    from metacart.records.study import Study
    from metacart.records.vocabulary import Outcome

__all__ = ["study_tables", "vocabulary_tables"]

# the first of these that a paper gives is the number of patients of an arm
_COUNTED = ("infused", "enrolled", "evaluable")


def study_tables(studies: Studies) -> tuple[Table, Table]:
    """Return the studies, and the outcomes that they report."""
    rows = [
        (
            study.id,
            study.label,
            len(study.arms),
            _patients(study),
            len(study.findings),
        )
        for study in studies
    ]
    found = Counter(finding.outcome for study in studies for finding in study.findings)
    within = Counter(
        name for study in studies for name in {finding.outcome for finding in study.findings}
    )
    listed = table_of(
        "Studies",
        [
            Column("id"),
            Column("study"),
            Column("arms", "number"),
            Column("patients"),
            Column("findings", "number"),
        ],
        rows,
    )
    outcomes = table_of(
        "What they report",
        [Column("outcome"), Column("studies", "number"), Column("findings", "number")],
        [(name, within[name], number) for name, number in found.most_common()],
    )
    return listed, outcomes


def _patients(study: Study) -> str:
    """Return how many patients there are, and of which population; each counts in one arm only."""
    known = []
    for arm in study.arms:
        if not arm.shares_patients_with:
            numbers = ((getattr(arm.patients, name), name) for name in _COUNTED)
            known += [next((each for each in numbers if each[0] is not None), (0, ""))]
    names = " or ".join(dict.fromkeys(name for _, name in known if name))
    return f"{sum(number for number, _ in known)} {names}" if names else ""


def vocabulary_tables(outcomes: Mapping[str, Outcome]) -> Iterator[Table]:
    """Yield the words of study files and models: outcomes first, then the short lists."""
    from metacart.records.spec import FILTERS
    from metacart.records.vocabulary import EXPOSURES, GRADINGS, POPULATIONS, TIME_HANDLINGS

    yield table_of(
        "Outcomes",
        [Column("outcome"), Column("better"), Column("an event is", "text"), Column("part of")],
        [
            (name, outcome.better, outcome.definition, outcome.parent)
            for name, outcome in outcomes.items()
        ],
    )
    yield table_of(
        "Exposures: what the two groups of a comparison inside an arm differ in",
        [Column("exposure"), Column("is", "text")],
        EXPOSURES.items(),
    )
    words = {
        "population": POPULATIONS,
        "grading": GRADINGS,
        "time_handling": TIME_HANDLINGS,
        "[include]": FILTERS,
    }
    yield table_of(
        "Other keys and the words that they take",
        [Column("key"), Column("words", "text")],
        [(key, ", ".join(known)) for key, known in words.items()],
    )
