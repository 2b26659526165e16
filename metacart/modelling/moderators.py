"""Moderators as columns of a design: levels against a reference, numbers as they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from metacart.errors import Fault, InputError, nearest
from metacart.evidence.origin import in_file
from metacart.modelling.columns import is_missing, row_name, row_names
from metacart.records.spec import ModelSpec

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Moderator", "code_rows", "collinear", "level_text", "read_moderators"]

Array = NDArray[np.float64]

# beyond these a moderator is the intercept to floating point, or overflows
_LARGEST, _SPREAD, _DISTINCT = 1e12, 1e-6, 1e-8


@dataclass(frozen=True)
class Moderator:
    """A moderator and how it is coded.

    Attributes
    ----------
    name : str
        The column of the evidence.
    kind : {"categorical", "numeric"}
        Levels against a reference, or a number used as given.
    levels : tuple of str
        Levels of a categorical moderator, the reference first.
    """

    name: str
    kind: Literal["categorical", "numeric"]
    levels: tuple[str, ...] = ()

    @property
    def coefficients(self) -> tuple[str, ...]:
        """The names of its coefficients: ``scfv[humanized]``, or the name alone."""
        if self.kind == "numeric":
            return (self.name,)
        return tuple(f"{self.name}[{level}]" for level in self.levels[1:])

    def code(self, values: list[Any], *, place: str = "") -> Array:
        """Return an array (values, coefficients); an unknown level is refused by name."""
        if self.kind == "numeric":
            return _numbers(self.name, values, place)[:, None]
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


def level_text(value: Any) -> str:
    """Return a level as text: ``True`` as ``true``, as a study file writes it."""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    return str(value)


def _numbers(name: str, values: list[Any], place: str) -> Array:
    try:
        return np.asarray([float(value) for value in values])
    except (TypeError, ValueError):
        raise InputError(
            Fault(place or name, f"{values!r} is not a number", f"{name} is numeric")
        ) from None


def read_moderators(spec: ModelSpec, evidence: pd.DataFrame) -> tuple[Moderator, ...]:
    """Return the spec's moderators as the evidence has them.

    The reference level is the one that the spec names, else the commonest.

    Raises
    ------
    InputError
        For a missing column, a missing value, values of several kinds or of no kind that a
        regression knows, a single level or value, and a reference or a level of a contrast that
        the evidence does not have.
    """
    faults: list[Fault] = []
    moderators = []
    for name in spec.moderators:
        if name not in evidence.columns:
            have = [str(column) for column in evidence.columns]
            faults.append(
                Fault(
                    f"moderator '{name}'",
                    "the evidence has no such column",
                    ", ".join(have),
                    nearest(name, have),
                )
            )
            continue
        values = evidence[name].tolist()
        absent = [at for at, value in enumerate(values) if is_missing(value)]
        if absent:
            faults.append(
                Fault(
                    f"moderator '{name}'",
                    f"no value in {row_names(evidence, absent)}",
                    "a value in each row",
                    "fill the value in, leave these rows out, or drop the moderator",
                    unanswerable=True,
                )
            )
        if wrong := list(_kind_faults(name, values, absent, evidence)):
            faults += wrong
        elif not absent:
            moderators.append(_read(name, values, spec, faults))
    found = tuple(moderator for moderator in moderators if moderator is not None)
    faults += _contrast_faults(spec, found)
    if faults:
        raise InputError(in_file(spec, faults))
    return found


def _kind(value: Any) -> str:
    """Return what a value is to a regression; an empty string where it is nothing to it."""
    if isinstance(value, bool | np.bool_):
        return "true or false"
    if isinstance(value, int | float | Decimal | Fraction | np.integer | np.floating):
        return "numbers"
    return "text" if isinstance(value, str) else ""


def _kind_faults(
    name: str, values: list[Any], absent: list[int], evidence: pd.DataFrame
) -> Iterator[Fault]:
    """Yield what keeps the values of a column from being levels or numbers."""
    place, column = f"moderator '{name}'", f"table['{name}']"
    present = {at: value for at, value in enumerate(values) if at not in absent}
    kinds: dict[str, list[int]] = {}
    for at, value in present.items():
        kinds.setdefault(_kind(value), []).append(at)
    if "" in kinds:
        found = present[kinds[""][0]]
        hints = {"Timestamp": ".dt.year", "Timedelta": ".dt.days"}
        hint = hints.get(type(found).__name__, ".astype(float), or .astype(str) for levels")
        yield Fault(
            place,
            f"{type(found).__name__} {found!s} in {row_name(evidence, kinds[''][0])}",
            "numbers, text, or true and false",
            column + hint,
        )
    elif len(kinds) > 1:
        yield Fault(
            place,
            "; ".join(f"{kind} in {row_names(evidence, at)}" for kind, at in kinds.items()),
            "one kind of value in a column",
            f"{column}.astype(float), or .astype(str) for levels",
        )
    elif texts := [value for value in present.values() if isinstance(value, str)]:
        if blanks := [at for at, value in present.items() if value != value.strip()]:
            yield Fault(
                place,
                f"blanks around the level in {row_names(evidence, blanks)}",
                "levels without blanks around them",
                f"{column}.str.strip()",
            )
        elif all(_reads_as_number(text) for text in texts):
            yield Fault(
                place,
                f"numbers as text, such as {texts[0]!r}",
                "numbers, or levels in words",
                f"{column}.astype(float), or levels such as 'line {texts[0]}'",
            )


def _reads_as_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def _read(name: str, values: list[Any], spec: ModelSpec, faults: list[Fault]) -> Moderator | None:
    place = f"moderator '{name}'"
    if _kind(values[0]) == "numbers":
        numbers = np.asarray([float(value) for value in values])
        if not np.isfinite(numbers).all():
            faults.append(Fault(place, "a value that is not finite", "finite numbers"))
        elif np.unique(numbers).size < 2:
            faults.append(_one_level(place, f"the one value {numbers[0]:g}", "values"))
        elif (size := np.abs(numbers).max()) > _LARGEST or np.ptp(numbers) < _SPREAD * size:
            faults.append(
                Fault(
                    place,
                    f"{numbers.min():.10g} to {numbers.max():.10g}",
                    f"numbers of at most {_LARGEST:,.0f} that differ by a millionth of their size",
                    "another unit, or the distance from their middle",
                )
            )
        elif name in spec.reference:
            faults.append(
                Fault(f"reference.{name}", f"{name} is numeric", "a reference for levels only")
            )
        else:
            return Moderator(name, "numeric")
        return None
    texts = [level_text(value) for value in values]
    counts = Counter(texts)
    levels = sorted(counts, key=lambda level: (-counts[level], level))
    reference = level_text(spec.reference.get(name, levels[0]))
    if reference not in levels:
        faults.append(_no_level(f"reference.{name}", name, reference, levels))
    if len(levels) < 2:
        faults.append(_one_level(place, f"the one level '{levels[0]}'", "levels"))
        return None
    if reference not in levels:
        return None
    others = sorted(level for level in levels if level != reference)
    return Moderator(name, "categorical", (reference, *others))


def _no_level(place: str, name: str, level: str, levels: Sequence[str]) -> Fault:
    return Fault(
        place,
        f"'{level}' is no level of {name} in the evidence",
        ", ".join(levels),
        nearest(level, levels),
        unanswerable=True,
    )


def _contrast_faults(spec: ModelSpec, moderators: tuple[Moderator, ...]) -> Iterator[Fault]:
    known = {moderator.name: moderator for moderator in moderators}
    for number, (name, *levels) in enumerate(spec.contrasts):
        if name not in known:
            continue  # no moderator of the spec, or one with faults of its own
        moderator = known[name]
        for level in levels:
            place = f"contrasts[{number}]"
            if moderator.kind == "categorical":
                if level_text(level) not in moderator.levels:
                    yield _no_level(place, name, level_text(level), moderator.levels)
            elif _kind(level) != "numbers" and not _reads_as_number(level_text(level)):
                yield Fault(place, f"{level!r} is not a number", f"{name} is numeric")


def _one_level(place: str, found: str, what: str) -> Fault:
    return Fault(
        place,
        f"the evidence has {found}",
        f"two {what} or more: from one, its effect cannot be told",
        "add studies with another, or drop the moderator",
        unanswerable=True,
    )


def collinear(moderators: tuple[Moderator, ...], x: Array) -> list[Fault]:
    """Return a fault for each moderator that follows exactly from those before it.

    Parameters
    ----------
    moderators : tuple of Moderator
        In the order of their columns.
    x : array (rows, coefficients)
        The design.
    """
    owners = [item.name for item in moderators for _ in item.coefficients]
    faults: dict[str, Fault] = {}
    kept: list[int] = []
    centred = x - x.mean(axis=0)
    centred = centred / np.where((size := np.linalg.norm(centred, axis=0)) > 0, size, 1.0)
    for column, owner in enumerate(owners):
        weights, *_ = np.linalg.lstsq(centred[:, kept], centred[:, column])
        if np.linalg.norm(centred[:, column] - centred[:, kept] @ weights) > _DISTINCT:
            kept.append(column)
            continue
        same = [
            owners[other]
            for other, weight in zip(kept, weights, strict=True)
            if weight**2 > _DISTINCT
        ]
        others = ", ".join(dict.fromkeys(name for name in same if name != owner))
        faults.setdefault(
            owner,
            Fault(
                f"moderator '{owner}'",
                f"it follows exactly from {others}, so that their effects cannot be told apart",
                "moderators that differ in some row",
                "drop one of them",
                unanswerable=True,
            ),
        )
    return list(faults.values())


def code_rows(
    moderators: tuple[Moderator, ...], evidence: pd.DataFrame, at: Mapping[str, Any]
) -> Array:
    """Return the design (rows, coefficients) of the evidence with the moderators of `at` set.

    Raises
    ------
    InputError
        For a name in `at` that is no moderator, or a level that the evidence does not have.
    """
    names = [moderator.name for moderator in moderators]
    faults = [
        Fault(
            f"at['{name}']",
            "not a moderator of this model",
            ", ".join(names) or "none",
            nearest(name, names),
        )
        for name in at
        if name not in names
    ]
    if faults:
        raise InputError(faults)
    blocks = []
    for moderator in moderators:
        if moderator.name in at:
            block = moderator.code([at[moderator.name]], place=f"at['{moderator.name}']")
            blocks.append(np.repeat(block, len(evidence), axis=0))
        else:
            blocks.append(moderator.code(evidence[moderator.name].tolist()))
    return np.concatenate(blocks, axis=1) if blocks else np.zeros((len(evidence), 0))
