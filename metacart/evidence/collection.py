"""The studies that were read as one immutable sequence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import overload

from metacart.errors import Fault, refuse_unknown
from metacart.records.study import Study
from metacart.records.vocabulary import OUTCOMES, Outcome

__all__ = ["Studies"]


class Studies(Sequence[Study]):
    """An immutable sequence of studies, found by number or by id.

    Parameters
    ----------
    studies : iterable of Study
        In the order in which tables and figures show them.
    warnings : iterable of Fault
        What the gates found that may be right.
    vocabulary : mapping of str to Outcome
        The outcomes that their findings may name.

    Examples
    --------
    >>> Studies([])
    Studies(0)
    """

    __slots__ = ("_ids", "_studies", "vocabulary", "warnings")

    def __init__(
        self,
        studies: Iterable[Study],
        *,
        warnings: Iterable[Fault] = (),
        vocabulary: Mapping[str, Outcome] = OUTCOMES,
    ) -> None:
        self._studies = tuple(studies)
        self._ids = {study.id: number for number, study in enumerate(self._studies)}
        self.warnings: tuple[Fault, ...] = tuple(warnings)
        self.vocabulary: Mapping[str, Outcome] = MappingProxyType(dict(vocabulary))

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids, in order."""
        return tuple(study.id for study in self._studies)

    def __len__(self) -> int:
        return len(self._studies)

    def __iter__(self) -> Iterator[Study]:
        return iter(self._studies)

    @overload
    def __getitem__(self, key: int | str) -> Study: ...
    @overload
    def __getitem__(self, key: slice) -> Studies: ...
    def __getitem__(self, key: int | str | slice) -> Study | Studies:
        if isinstance(key, slice):
            return Studies(self._studies[key], warnings=self.warnings, vocabulary=self.vocabulary)
        if isinstance(key, str):
            refuse_unknown("study", key, self.ids)
            return self._studies[self._ids[key]]
        return self._studies[key]

    def __contains__(self, item: object) -> bool:
        return item in self._ids if isinstance(item, str) else item in self._studies

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Studies):
            return NotImplemented
        return self._studies == other._studies and self.vocabulary == other.vocabulary

    __hash__ = None  # type: ignore[assignment]  # a vocabulary is a mapping

    def __reduce__(self) -> tuple[object, ...]:
        return _restore, (self._studies, self.warnings, dict(self.vocabulary))

    def __repr__(self) -> str:
        shown = ", ".join(self.ids[:4]) + (", …" if len(self) > 4 else "")
        return f"Studies({len(self)}: {shown})" if self._studies else "Studies(0)"


def _restore(
    studies: tuple[Study, ...], warnings: tuple[Fault, ...], vocabulary: dict[str, Outcome]
) -> Studies:
    return Studies(studies, warnings=warnings, vocabulary=vocabulary)
