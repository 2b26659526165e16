"""Moderators as columns of a design: levels against a reference, numbers as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from metacart.errors import Fault, InputError, nearest
from metacart.modelling.columns import row_name
from metacart.records.spec import ModelSpec

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Moderator", "code_rows", "level_text", "read_moderators"]

Array = NDArray[np.float64]


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
        For a missing column, a missing value, a single level or value, an unknown reference.
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
        column = evidence[name]
        absent = np.flatnonzero(column.isna().to_numpy())
        if absent.size:
            rows = ", ".join(row_name(evidence, int(position)) for position in absent)
            faults.append(
                Fault(
                    f"moderator '{name}'",
                    f"no value in {rows}",
                    "a value in each row",
                    "fill the value in, leave these rows out, or drop the moderator",
                )
            )
            continue
        moderators.append(_read(name, column, spec, faults))
    if faults:
        raise InputError(faults)
    return tuple(moderator for moderator in moderators if moderator is not None)


def _read(
    name: str, column: pd.Series[Any], spec: ModelSpec, faults: list[Fault]
) -> Moderator | None:
    place = f"moderator '{name}'"
    numeric = column.map(
        lambda value: isinstance(value, int | float | np.number) and not isinstance(value, bool)
    ).all()
    if numeric:
        values = column.to_numpy(dtype=float)
        if not np.isfinite(values).all():
            faults.append(Fault(place, "a value that is not finite", "finite numbers"))
        elif np.unique(values).size < 2:
            faults.append(_one_level(place, f"the one value {values[0]:g}", "values"))
        elif name in spec.reference:
            faults.append(
                Fault(f"reference.{name}", f"{name} is numeric", "a reference for levels only")
            )
        else:
            return Moderator(name, "numeric")
        return None
    texts = column.map(level_text)
    counts = texts.value_counts()
    levels = sorted(counts.index, key=lambda level: (-int(counts[level]), level))
    if name in spec.reference:
        reference = level_text(spec.reference[name])
        if reference not in levels:
            faults.append(
                Fault(
                    f"reference.{name}",
                    f"'{reference}' is not among the evidence",
                    ", ".join(levels),
                    nearest(reference, levels),
                )
            )
            return None
    else:
        reference = levels[0]
    if len(levels) < 2:
        faults.append(_one_level(place, f"the one level '{levels[0]}'", "levels"))
        return None
    others = sorted(level for level in levels if level != reference)
    return Moderator(name, "categorical", (reference, *others))


def _one_level(place: str, found: str, what: str) -> Fault:
    return Fault(
        place,
        f"the evidence has {found}",
        f"two {what} or more: from one, its effect cannot be told",
        "add studies with another, or drop the moderator",
    )


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
