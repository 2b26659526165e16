"""The words that study files and models are written in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from metacart.report.tables import Column, Table, table_of

if TYPE_CHECKING:
    from metacart.records.vocabulary import Outcome

__all__ = ["vocabulary_tables"]


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
