"""Pairs of papers that share patients, say so, or may share them without saying so."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import Literal

from metacart.records.paper import Period
from metacart.records.study import Study

__all__ = ["STATUSES", "Pair", "Status", "pairs", "same_centre"]

Status = Literal["may share patients, not declared", "declared", "one cohort"]
STATUSES: tuple[Status, ...] = ("may share patients, not declared", "declared", "one cohort")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two papers with something in common.

    Attributes
    ----------
    first, second : int
        Their places among the studies.
    status : str
        One of `STATUSES`.
    reason : str
        What they have in common.
    """

    first: int
    second: int
    status: Status
    reason: str


def pairs(studies: Sequence[Study]) -> Iterator[Pair]:
    """Yield each pair of studies that share patients or may share them, in their order.

    They may if they name the same registration, or the same centre with enrolment periods that
    overlap; an unstated month is taken as one that may overlap.
    """
    facts = [_Facts.of(study) for study in studies]
    for (first, one), (second, another) in combinations(enumerate(facts), 2):
        reasons = [*_common(one, another)]
        declared = [*one.names(another), *another.names(one)]
        if one.study.cohort == another.study.cohort:
            status: Status = "one cohort"
        elif declared:
            status = "declared"
        elif reasons:
            status = "may share patients, not declared"
        else:
            continue
        reasons += [f"declared by {', '.join(declared)}"] if declared else []
        yield Pair(first, second, status, "; ".join(reasons) or "named as one cohort")


def same_centre(first: str, second: str) -> bool:
    """Return whether two names are of one centre.

    Capital letters, accents, punctuation and the words the, of, at, to, and, affiliated make no
    difference; a town after a comma does, where both have one.

    Examples
    --------
    >>> same_centre(
    ...     "The First Affiliated Hospital of Soochow University, Suzhou",
    ...     "First Hospital of Soochow University",
    ... )
    True
    >>> same_centre("Children's Hospital, Boston", "Children's Hospital, Philadelphia")
    False
    """
    (name, town), (other, elsewhere) = _centre(first), _centre(second)
    return name == other and (town == elsewhere or not town or not elsewhere)


@dataclass(frozen=True, slots=True)
class _Facts:
    """What a study is held against others by, folded once."""

    study: Study
    registrations: dict[str, str]
    named: dict[str, list[str]]

    @classmethod
    def of(cls, study: Study) -> _Facts:
        named: dict[str, list[str]] = {}
        for arm in study.arms:
            for name in arm.shares_patients_with:
                other, slash, _ = name.partition("/")
                if slash:
                    named.setdefault(other, []).append(f"{study.id}/{arm.id}")
        return cls(
            study,
            {_registration(name): name for name in study.citation.registrations},
            named,
        )

    def names(self, other: _Facts) -> list[str]:
        """Return the arms that say whose patients they share."""
        return list(dict.fromkeys(self.named.get(other.study.id, ())))


def _common(first: _Facts, second: _Facts) -> Iterator[str]:
    if both := first.registrations.keys() & second.registrations.keys():
        names = (name for key, name in first.registrations.items() if key in both)
        yield f"same registration {', '.join(names)}"
    one, another = first.study.conduct, second.study.conduct
    centres = [name for name in one.centres if any(same_centre(name, x) for x in another.centres)]
    periods = (one.enrolment, another.enrolment)
    if centres and _may_overlap(*periods):
        months = " and ".join(dict.fromkeys(map(_period, periods)))
        yield f"same centre {', '.join(centres)}, {months}"


def _registration(name: str) -> str:
    """Return a registration without blanks, dashes and case: they are written in many ways."""
    return re.sub(r"[\W_]", "", name.casefold())


_IDLE = frozenset(("the", "of", "at", "to", "and", "affiliated"))


@cache
def _centre(name: str) -> tuple[str, str]:
    """Return the folded name of a centre and the town after it, which may be empty.

    The order of words stays: Washington University is not the University of Washington.
    """
    plain = unicodedata.normalize("NFKD", name.casefold())
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    head, _, town = re.sub(r"['’`]", "", plain).partition(",")
    words = [word for word in re.findall(r"\w+", head) if word not in _IDLE]
    return " ".join(words), " ".join(re.findall(r"\w+", town))


def _may_overlap(first: Period, second: Period) -> bool:
    def starts(period: Period) -> str:
        return ((period.from_ or "0000") + "-01")[:7]

    def ends(period: Period) -> str:
        return ((period.to or "9999") + "-12")[:7]

    return starts(first) <= ends(second) and starts(second) <= ends(first)


def _period(period: Period) -> str:
    if period.from_ is None and period.to is None:
        return "months not stated"
    return f"{period.from_ or '?'} to {period.to or '?'}"
