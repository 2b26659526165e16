"""Moderators as columns of a design: levels against a reference, numbers from an origin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from metacart.errors import Fault, InputError, collected, nearest

__all__ = [
    "Moderator",
    "code_at",
    "columns_of",
    "level_text",
    "main_effects",
    "product_columns",
    "read_entries",
    "steps_of",
]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Moderator:
    """A moderator and how it is coded.

    Attributes
    ----------
    name : str
        The column of the evidence; of an interaction its columns, such as ``scfv:age``.
    kind : {"categorical", "numeric", "interaction"}
        Levels against a reference, a number, or the product of other moderators.
    levels : tuple of str
        Levels of a categorical moderator, the reference first.
    origin, unit : float
        A number x is coded (x - origin) / unit.
    words : str
        The unit as a table says it, such as ``per 10 years``; empty where the number is as given.
    parts : tuple of Moderator
        What an interaction multiplies.
    """

    name: str
    kind: Literal["categorical", "numeric", "interaction"]
    levels: tuple[str, ...] = ()
    origin: float = 0.0
    unit: float = 1.0
    words: str = ""
    parts: tuple[Moderator, ...] = ()

    @property
    def coefficients(self) -> tuple[str, ...]:
        """The names of its coefficients: ``scfv[humanized]``, ``age``, ``scfv[humanized]:age``."""
        if self.kind == "interaction":
            names = product(*(part.coefficients for part in self.parts))
            return tuple(":".join(each) for each in names)
        if self.kind == "numeric":
            return (self.name,)
        return tuple(f"{self.name}[{level}]" for level in self.levels[1:])

    @property
    def step(self) -> str:
        """What one step of its coefficients is: ``against murine``, ``per 10 years``."""
        if self.kind == "interaction":
            return ", ".join(part.step for part in self.parts)
        if self.kind == "categorical":
            return f"against {self.levels[0]}"
        return self.words or "per unit, as given"

    @property
    def zero(self) -> str:
        """Where it is coded zero: ``scfv = murine``, ``age = 12``."""
        return f"{self.name} = {self.levels[0] if self.levels else format(self.origin, 'g')}"

    @property
    def entry(self) -> list[Any]:
        """Itself as plain values, its parts by name."""
        parts = [part.name for part in self.parts]
        return [self.name, self.kind, [*self.levels], self.origin, self.unit, self.words, parts]

    def code(self, values: Sequence[Any], *, place: str = "") -> Array:
        """Return an array (values, coefficients); an unknown level is refused by name."""
        if self.kind == "numeric":
            numbers = _numbers(self.name, values, place)
            return ((numbers - self.origin) / self.unit)[:, None]
        texts = [level_text(value) for value in values]
        for text in texts:
            if text not in self.levels:
                raise InputError(
                    Fault(
                        place or self.name,
                        f"'{text}' is no level of {self.name}",
                        ", ".join(self.levels),
                        nearest(text, self.levels),
                    )
                )
        coded: Array = (np.asarray(texts)[:, None] == np.asarray(self.levels[1:])).astype(float)
        return coded


def read_entries(entries: Sequence[Sequence[Any]]) -> tuple[Moderator, ...]:
    """Return moderators from their entries, in the same order."""
    whole = {
        name: (Moderator(name, kind, tuple(levels), *rest), parts)
        for name, kind, levels, *rest, parts in entries
    }
    return tuple(
        replace(each, parts=tuple(whole[part][0] for part in parts))
        for each, parts in whole.values()
    )


def level_text(value: Any) -> str:
    """Return a level or number as text: ``True`` as ``true``, as a study file writes it."""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating):
        return f"{value:.12g}"
    return str(value)


def _numbers(name: str, values: Sequence[Any], place: str) -> Array:
    found = np.empty(len(values))
    for position, value in enumerate(values):
        try:
            number = np.nan if isinstance(value, bool | np.bool_) else float(value)
        except (TypeError, ValueError):
            number = np.nan
        if not np.isfinite(number):
            raise InputError(
                Fault(place or name, f"{value!r} is not a number", f"a number: {name} is numeric")
            )
        found[position] = number
    return found


def steps_of(moderators: Iterable[Moderator]) -> dict[str, str]:
    """Return what one step of each coefficient is, and where, if its effect depends on another.

    Examples
    --------
    >>> age = Moderator("age", "numeric", origin=12.0, unit=10.0, words="per 10 years")
    >>> scfv = Moderator("scfv", "categorical", levels=("murine", "human"))
    >>> both = Moderator("scfv:age", "interaction", parts=(scfv, age))
    >>> steps_of((scfv, age, both))["scfv[human]"]
    'against murine, at age = 12'
    """
    moderators = tuple(moderators)
    several = [each for each in moderators if each.kind == "interaction"]
    steps: dict[str, str] = {}
    for each in moderators:
        own = set(each.parts) or {each}
        others: dict[str, None] = {}
        for whole in several:
            if own < {*whole.parts}:
                others |= {part.zero: None for part in whole.parts if part not in own}
        words = f"{each.step}, at {', '.join(others)}" if others else each.step
        steps |= dict.fromkeys(each.coefficients, words)
    return steps


def main_effects(moderators: Iterable[Moderator]) -> tuple[Moderator, ...]:
    """Return the moderators that are columns of the evidence, without their interactions."""
    return tuple(each for each in moderators if each.kind != "interaction")


def columns_of(moderators: Iterable[Moderator], x: Array) -> dict[str, list[Array]]:
    """Return the columns of each main effect in a design (rows, coefficients)."""
    position, columns = 0, {}
    for each in moderators:
        width = len(each.coefficients)
        if each.kind != "interaction":
            columns[each.name] = [x[:, at] for at in range(position, position + width)]
        position += width
    return columns


def product_columns(
    moderators: Iterable[Moderator], mains: Mapping[str, Sequence[Any]]
) -> list[Any]:
    """Return every column of a design from those of its main effects, interactions multiplied.

    Parameters
    ----------
    moderators : iterable of Moderator
        In the order of the coefficients.
    mains : mapping of str to sequence
        The columns of each main effect: arrays, or symbols of a graph.
    """
    columns: list[Any] = []
    for each in moderators:
        if each.kind == "interaction":
            parts = product(*(mains[part.name] for part in each.parts))
            columns += [prod(factors[1:], start=factors[0]) for factors in parts]
        else:
            columns += mains[each.name]
    return columns


def code_at(moderators: Iterable[Moderator], at: Mapping[str, Any]) -> dict[str, list[Array]]:
    """Return the coded value of each moderator that `at` names, a column of one row each.

    Raises
    ------
    InputError
        With a fault for each name that is no moderator, for each level that the evidence does not
        have, and for what should be a number and is none.
    """
    known = {each.name: each for each in main_effects(moderators)}
    faults: list[Fault] = []
    coded: dict[str, list[Array]] = {}
    for name, value in at.items():
        place = f"at['{name}']"
        if name not in known:
            faults.append(
                Fault(
                    place,
                    "not a moderator of this model",
                    ", ".join(known) or "none: the model has no moderators",
                    nearest(name, known),
                )
            )
            continue
        with collected(faults):
            block = known[name].code([value], place=place)
            coded[name] = [block[:, column] for column in range(block.shape[1])]
    if faults:
        raise InputError(faults)
    return coded
