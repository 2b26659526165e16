"""The moderators of a spec as the evidence has them, and every reason why they cannot be coded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from metacart.errors import Fault, InputError, nearest
from metacart.evidence.origin import in_file
from metacart.modelling.columns import is_missing, row_name, row_names
from metacart.modelling.moderators import (
    Moderator,
    columns_of,
    level_text,
    main_effects,
    product_columns,
)
from metacart.records.moderation import interaction_parts, unit_parts
from metacart.records.spec import ModelSpec

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Coded", "code_evidence", "collinear", "read_moderators"]

Array = NDArray[np.float64]

# beyond these a moderator is the intercept to floating point, or overflows
_LARGEST, _SPREAD, _DISTINCT = 1e12, 1e-6, 1e-8
# how many times as far from 0 as from each other: there the prior of mu would say what the slope is
_FAR = 20.0


def read_moderators(spec: ModelSpec, evidence: pd.DataFrame) -> tuple[Moderator, ...]:
    """Return the spec's moderators as the evidence has them.

    The reference level is the one that the spec names, else the commonest.

    Raises
    ------
    InputError
        For a missing column, a missing value that the spec does not let impute, values of several
        kinds or of no kind that a regression knows, a single level or value, and a reference or a
        level of a contrast that the evidence does not have.
    """
    faults: list[Fault] = []
    found: dict[str, Moderator] = {}
    for name in spec.moderator_columns:
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
        present = [value for at, value in enumerate(values) if at not in absent]
        numeric = bool(present) and all(_kind(value) == "numbers" for value in present)
        imputed = spec.missing == "impute" and numeric
        if absent and not imputed:
            faults.append(_absent(name, evidence, absent, spec, numeric=numeric))
        if wrong := list(_kind_faults(name, values, absent, evidence)):
            faults += wrong
        elif not absent or imputed:
            moderator = _read(name, present, spec, faults)
            found |= {} if moderator is None else {name: moderator}
    moderators = []
    for name in spec.moderators:
        parts = interaction_parts(name)
        if all(part in found for part in parts):
            several = tuple(found[part] for part in parts)
            whole = Moderator(name, "interaction", parts=several)
            moderators.append(found.get(name, whole))
    faults += _contrast_faults(spec, tuple(moderators))
    if faults:
        raise InputError(in_file(spec, faults))
    return tuple(moderators)


def _absent(
    name: str, evidence: pd.DataFrame, absent: list[int], spec: ModelSpec, *, numeric: bool
) -> Fault:
    """Return the fault of a moderator without a value, and what can be done about it."""
    attempt = "fill the value in, leave these rows out, or drop the moderator"
    if numeric:
        attempt += ', or missing = "impute"'
    elif spec.missing == "impute" and len(absent) < len(evidence):
        attempt = (
            f"a level of its own such as 'unreported'; only numbers are imputed, {name} has levels"
        )
    return Fault(
        f"moderator '{name}'",
        f"no value in {row_names(evidence, absent)}",
        "a value in each row",
        attempt,
        unanswerable=True,
    )


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
        elif name not in spec.reference and np.abs(numbers).min() > _FAR * np.ptp(numbers):
            found = (
                f"{numbers.min():.10g} to {numbers.max():.10g}, far from 0, where mu would stand"
            )
            attempt = f'reference={{"{name}": {np.median(numbers):.4g}}}'
            faults.append(Fault(place, found, "a reference near the values", attempt))
        else:
            return _read_number(name, spec, faults)
        return None
    if name in spec.unit:
        hint = f"drop `unit.{name}`"
        faults.append(Fault(f"unit.{name}", f"{name} has levels", "a unit of numbers", hint))
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
    return Moderator(name, "categorical", levels=(reference, *others))


def _read_number(name: str, spec: ModelSpec, faults: list[Fault]) -> Moderator | None:
    origin = spec.reference.get(name, 0)
    if _kind(origin) != "numbers" or not abs(float(origin)) <= _LARGEST:
        allowed = f"{name} is numeric: the number that counts as zero"
        faults.append(Fault(f"reference.{name}", f"{origin!r} is not a number", allowed))
        return None
    unit, words = unit_parts(spec.unit[name]) if name in spec.unit else (1.0, "")
    return Moderator(name, "numeric", origin=float(origin), unit=unit, words=words)


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


class Coded(NamedTuple):
    """The moderators of some evidence in numbers.

    Attributes
    ----------
    x : array (rows, coefficients)
        The design; where a value is missing, its moderator has the mean of the others.
    gap : array (rows, coefficients)
        Which imputed value belongs there, by its number; -1 where the evidence has one.
    gaps : list of str
        The names of the imputed values; rows of one arm share them.
    step : array (coefficients,)
        What a default prior is for: one level against another, or a standard deviation.
    """

    x: Array
    gap: NDArray[np.int64]
    gaps: list[str]
    step: Array


def code_evidence(moderators: tuple[Moderator, ...], evidence: pd.DataFrame) -> Coded:
    """Return the moderators of the evidence in numbers."""
    columns: dict[str, list[Array]] = {}
    gaps: dict[str, list[NDArray[np.int64]]] = {}
    steps: dict[str, list[float]] = {}
    names: list[str] = []
    rows = len(evidence)
    for each in main_effects(moderators):
        values = evidence[each.name].tolist()
        absent = np.asarray([is_missing(value) for value in values], dtype=bool)
        stated = each.code([value for value in values if not is_missing(value)])
        block = np.repeat(stated.mean(axis=0)[None], rows, axis=0)
        block[~absent] = stated
        columns[each.name] = [block[:, column] for column in range(block.shape[1])]
        numeric = each.kind == "numeric"
        steps[each.name] = (
            [float(np.std(stated[:, 0], ddof=1))] if numeric else [1.0] * len(stated.T)
        )
        gap = np.full(rows, -1)
        for row in np.flatnonzero(absent):
            name = f"{each.name}: {_arm(evidence, row)}"
            if name not in names:
                names.append(name)
            gap[row] = names.index(name)
        gaps[each.name] = [gap] * len(columns[each.name])
    flat = product_columns(moderators, columns)
    return Coded(
        np.stack(flat, axis=1) if flat else np.zeros((rows, 0)),
        _gap_columns(moderators, gaps, rows),
        names,
        np.asarray(product_columns(moderators, steps), dtype=np.float64),
    )


def _gap_columns(
    moderators: tuple[Moderator, ...], gaps: dict[str, list[NDArray[np.int64]]], rows: int
) -> NDArray[np.int64]:
    """Return the gaps by coefficient; an interaction has none of its own."""
    columns: list[NDArray[np.int64]] = []
    for each in moderators:
        columns += gaps.get(each.name, [np.full(rows, -1)] * len(each.coefficients))
    return np.stack(columns, axis=1) if columns else np.zeros((rows, 0), dtype=np.int64)


def _arm(evidence: pd.DataFrame, row: int | np.integer[Any]) -> str:
    """Return the study and arm of a row, or what tells it apart where there are no arms."""
    record = evidence.iloc[int(row)]
    if "arm" in evidence.columns and not is_missing(record["arm"]):
        return f"{record['study']}/{record['arm']}"
    alike = int((evidence["study"].iloc[: int(row)] == record["study"]).sum())
    return f"{record['study']}#{alike + 1}" if alike else str(record["study"])


def collinear(moderators: tuple[Moderator, ...], x: Array) -> list[Fault]:
    """Return a fault for each moderator that follows exactly from those before it.

    Parameters
    ----------
    moderators : tuple of Moderator
        In the order of their columns.
    x : array (rows, coefficients)
        The design.
    """
    owners = [item for item in moderators for _ in item.coefficients]
    columns = columns_of(moderators, x)
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
            owners[other].name
            for other, weight in zip(kept, weights, strict=True)
            if weight**2 > _DISTINCT
        ]
        others = ", ".join(dict.fromkeys(name for name in same if name != owner.name))
        place = f"moderator '{owner.name}'"
        if empty := _empty_cell(owner, columns):
            fault = Fault(
                place,
                f"no row is {empty}, so that their interaction cannot be told",
                "rows with each pair of levels",
                "collapse levels with `recode`, or drop the interaction",
                unanswerable=True,
            )
        else:
            fault = Fault(
                place,
                f"it follows exactly from {others}, so that their effects cannot be told apart",
                "moderators that differ in some row",
                "drop one of them",
                unanswerable=True,
            )
        faults.setdefault(owner.name, fault)
    return list(faults.values())


def _empty_cell(moderator: Moderator, columns: dict[str, list[Array]]) -> str:
    """Return the levels that an interaction joins and no row has, or nothing."""
    if any(part.kind != "categorical" for part in moderator.parts):
        return ""
    levels = []
    for part in moderator.parts:
        others = columns[part.name]
        levels.append(dict(zip(part.levels, [1.0 - sum(others), *others], strict=True)))
    for cell in product(*levels):
        both = prod((each[level] for each, level in zip(levels, cell, strict=True)), start=1.0)
        if not np.any(both):
            return " and ".join(f"'{level}'" for level in cell)
    return ""
