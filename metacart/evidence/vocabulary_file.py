"""Outcomes of a user's own, from the ``vocabulary.toml`` of a folder of studies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from metacart.errors import Fault, nearest
from metacart.records.base import Record, RootRecord
from metacart.records.shapes import Id, Text
from metacart.records.vocabulary import OUTCOMES, Direction, Outcome

__all__ = ["VOCABULARY_NAME", "VocabularyFile", "merged_vocabulary"]

VOCABULARY_NAME = "vocabulary.toml"


class OutcomeEntry(Record):
    """One table ``[outcomes.NAME]``."""

    title: Text
    definition: Text
    better: Direction
    parent: Id | None = None
    graded_by: Id | None = None
    from_grade: Annotated[int, Field(ge=0, le=5)] = 1


class VocabularyFile(RootRecord):
    """A ``vocabulary.toml``: ``schema = 1`` and a table for each outcome."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    outcomes: dict[Id, OutcomeEntry]


def merged_vocabulary(
    files: Mapping[str, VocabularyFile],
) -> tuple[dict[str, Outcome], list[Fault]]:
    """Return the shipped outcomes with those of `files`, and what contradicts in them.

    Parameters
    ----------
    files : mapping of str to VocabularyFile
        The files under the paths that faults show.
    """
    vocabulary = dict(OUTCOMES)
    owner: dict[str, str] = {}
    faults: list[Fault] = []
    for path, file in files.items():
        for name, entry in file.outcomes.items():
            outcome = Outcome(name, **entry.model_dump())
            if name in OUTCOMES or vocabulary.get(name, outcome) != outcome:
                where = "metacart" if name in OUTCOMES else owner[name]
                faults.append(
                    Fault(
                        f"outcomes.{name}",
                        f"'{name}' is an outcome of {where} already",
                        "a name of its own",
                        "use that outcome, or rename this one",
                        path=path,
                    )
                )
                continue
            vocabulary[name] = outcome
            owner.setdefault(name, path)
    for name, path in owner.items():
        for key in ("parent", "graded_by"):
            other = getattr(vocabulary[name], key)
            if other is not None and other not in vocabulary:
                faults.append(
                    Fault(
                        f"outcomes.{name}.{key}",
                        f"'{other}' is no outcome",
                        ", ".join(vocabulary),
                        nearest(other, vocabulary),
                        path=path,
                    )
                )
        if _is_its_own_ancestor(name, vocabulary):
            faults.append(
                Fault(
                    f"outcomes.{name}.parent",
                    f"'{name}' is a part of itself",
                    "an outcome of which this one is a part",
                    path=path,
                )
            )
    return vocabulary, faults


def _is_its_own_ancestor(name: str, vocabulary: Mapping[str, Outcome]) -> bool:
    seen: set[str] = set()
    current = vocabulary[name].parent
    while current is not None and current in vocabulary and current not in seen:
        if current == name:
            return True
        seen.add(current)
        current = vocabulary[current].parent
    return False
