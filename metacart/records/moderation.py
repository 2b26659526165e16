"""How a spec writes moderators: units with their words, and interactions."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import combinations
from typing import Annotated

from pydantic import BeforeValidator

from metacart.errors import Fault, InputError, nearest, shown

__all__ = [
    "Step",
    "certainty_faults",
    "interaction_faults",
    "interaction_parts",
    "unit_parts",
    "unit_words",
]

_UNIT = re.compile(r"(?P<size>[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)\s*(?P<words>[^\d\s].*)?")


def unit_parts(unit: str | float) -> tuple[float, str]:
    """Return the size of a unit, and how a table says it.

    Parameters
    ----------
    unit : str or float
        As a spec has it.

    Returns
    -------
    tuple of float and str

    Examples
    --------
    >>> unit_parts("10 years"), unit_parts("1 year"), unit_parts(10)
    ((10.0, 'per 10 years'), (1.0, 'per year'), (10.0, 'per 10'))
    """
    found = _UNIT.fullmatch(str(unit).strip())
    if found is None:
        raise ValueError(unit)
    size, words = float(found["size"]), found["words"] or ""
    return size, " ".join(["per", *([] if size == 1.0 and words else [f"{size:g}"]), words]).strip()


def unit_words(unit: str | float) -> str:
    """Return the words of a unit without its number.

    Examples
    --------
    >>> unit_words("10 years"), unit_words(10)
    ('years', '')
    """
    found = _UNIT.fullmatch(str(unit).strip())
    return (found["words"] or "") if found else ""


def _unit(value: object) -> object:
    """Refuse in one message what is no step of a number."""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        with suppress(ValueError):
            if 0 < unit_parts(value)[0] < math.inf:
                return value
    allowed = 'a number above 0, alone or before its words, such as "10 years"'
    raise InputError(Fault("", shown(value), allowed))


Step = Annotated[str | int | float, BeforeValidator(_unit)]


def interaction_parts(name: str) -> tuple[str, ...]:
    """Return the columns that an interaction multiplies.

    Examples
    --------
    >>> interaction_parts("scfv:age")
    ('scfv', 'age')
    """
    return tuple(part.strip() for part in name.split(":"))


def interaction_faults(moderators: Sequence[str]) -> Iterator[Fault]:
    """Yield what is wrong with the interactions among the moderators of a spec."""
    columns = [name for name in moderators if ":" not in name]
    stated = {frozenset(interaction_parts(name)): name for name in reversed(moderators)}
    for name in moderators:
        if ":" not in name:
            continue
        parts = interaction_parts(name)
        if "" in parts or len(set(parts)) < len(parts):
            allowed = 'two different moderators, such as "scfv:age"'
            yield Fault("moderators", f"'{name}' multiplies {_words(parts)}", allowed)
            continue
        if (other := stated[frozenset(parts)]) != name:
            yield Fault("moderators", f"'{name}' is '{other}' again", "each interaction once")
        for part in parts:
            if part not in columns:
                yield Fault(
                    "moderators",
                    f"'{name}' without '{part}'",
                    "an interaction beside each of its moderators",
                    nearest(part, columns) or f"add '{part}' to moderators",
                )
        for size in range(2, len(parts)):
            for lower in combinations(parts, size):
                if set(lower) <= {*columns} and frozenset(lower) not in stated:
                    yield Fault(
                        "moderators",
                        f"'{name}' without '{':'.join(lower)}'",
                        "an interaction beside each that it contains",
                        f"add '{':'.join(lower)}' to moderators",
                    )


def _words(parts: Sequence[str]) -> str:
    if "" in parts:
        return "nothing"
    return f"{next(part for part in parts if parts.count(part) > 1)} with itself"


def certainty_faults(certainty: Mapping[str, float], moderators: Sequence[str]) -> list[Fault]:
    """Return what is wrong with the probabilities of recorded origins."""
    faults = [
        Fault(
            f"certainty.{name}",
            "what is stated is certain" if name == "stated" else f"'{name}' is not known",
            "inferred",
            nearest(name, ("inferred",)),
        )
        for name in certainty
        if name != "inferred"
    ]
    if certainty and "scfv" not in moderators:
        faults.append(
            Fault(
                "certainty",
                "the scFv is not a moderator, so that its origin does not matter",
                ", ".join(moderators) or "none: the model has no moderators",
                'add it: moderators = ["scfv"], or drop `certainty`',
            )
        )
    return faults
