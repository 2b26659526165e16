"""One row a finding: the keys of a study file as columns of a table, and back as text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from metacart.records.fields import (
    annotation_at,
    bare_annotation,
    fields_of,
    literals_in,
    record_in,
)
from metacart.records.study import KINDS, Arm, Finding, Study

__all__ = [
    "ATTRIBUTES",
    "COLUMNS",
    "FlatColumn",
    "Keys",
    "cells_of",
    "column_at",
    "columns_named",
    "in_order",
    "scalar_of",
    "value_of",
]

Keys = tuple[str, ...]
Part = Literal["study", "arm", "finding"]

# a column of an arm's own attribute begins with this
ATTRIBUTES = "attributes."
# entries of a list stand in one cell
_BETWEEN = "; "
# Tables whose keys are columns by their own name; others stand before it: follow_up_median.
_BARE = {"citation", "conduct", "patients", *KINDS}
_NAMES: dict[tuple[Part, Keys], str] = {
    ("study", ("id",)): "study",
    ("study", ("note",)): "study_note",
    # what a figure calls the study is a column of its own, given or not
    ("study", ("citation", "label")): "own_label",
    ("arm", ("id",)): "arm",
    ("arm", ("label",)): "arm_label",
    ("arm", ("note",)): "arm_note",
}
# what one row cannot hold, or another column does
_ELSEWHERE = {"schema", "arms", "findings", "discrepancies", "risk_of_bias", "attributes", "arm"}


@dataclass(frozen=True, slots=True)
class FlatColumn:
    """A column, and the keys that it holds: one, or one of each kind of value.

    Attributes
    ----------
    name : str
    part : {"study", "arm", "finding"}
        What it says something of.
    paths : tuple of tuple of str
        The way to the key from there, such as ``("count", "events")``.
    """

    name: str
    part: Part
    paths: tuple[Keys, ...]

    def path(self, kind: str) -> Keys:
        """Return the key for a finding of this kind; the first one where it has no place."""
        return next((path for path in self.paths if path[0] == kind), self.paths[0])

    def annotation(self, kind: str = "") -> Any:
        """Return what may stand there."""
        return annotation_at(_RECORDS[self.part], self.path(kind))


_RECORDS: dict[Part, type[BaseModel]] = {"study": Study, "arm": Arm, "finding": Finding}


def _walk(record: Any, path: Keys, prefix: str) -> Iterator[tuple[str, Keys]]:
    for key, field in fields_of(record).items():
        annotation = field.rebuild_annotation()
        if not path and key in _ELSEWHERE:
            continue
        if record_in(annotation) is None:
            yield prefix + key, (*path, key)
        else:
            inner = prefix if key in _BARE else f"{prefix}{key}_"
            yield from _walk(annotation, (*path, key), inner)


def _columns() -> Iterator[FlatColumn]:
    for part, record in _RECORDS.items():
        paths: dict[str, list[Keys]] = {}
        for name, path in _walk(record, (), ""):
            paths.setdefault(_NAMES.get((part, path), name), []).append(path)
        for name, found in paths.items():
            yield FlatColumn(name, part, tuple(found))


COLUMNS: dict[str, FlatColumn] = {column.name: column for column in _columns()}


def columns_named(part: Part) -> list[str]:
    """Return the names of the columns that say something of a study, an arm or a finding."""
    return [column.name for column in COLUMNS.values() if column.part == part]


@cache
def column_at(part: Part, path: Keys) -> str | None:
    """Return the name of the column that holds a key; none for a whole table."""
    if part == "arm" and path[:1] == ("attributes",):
        return ".".join(path[:2])
    for column in COLUMNS.values():
        if column.part == part and any(path[: len(each)] == each for each in column.paths):
            return column.name
    return None


def cells_of(part: Part, data: Mapping[str, Any], kind: str = "") -> dict[str, Any]:
    """Return the cells of a study, an arm or a finding: lists and grades as text.

    Parameters
    ----------
    part : {"study", "arm", "finding"}
    data : mapping
        That table of a study file.
    kind : str
        The kind of value of a finding.
    """
    cells: dict[str, Any] = {}
    for column in COLUMNS.values():
        if column.part != part:
            continue
        value: Any = data
        for key in column.path(kind):
            value = value.get(key) if isinstance(value, Mapping) else None
        if isinstance(value, Mapping):
            value = _BETWEEN.join(f"{key}: {each}" for key, each in value.items())
        elif isinstance(value, list):
            value = _BETWEEN.join(map(str, value))
        if value is not None:
            cells[column.name] = value
    for name, value in data.get("attributes", {}).items():
        cells[ATTRIBUTES + name] = value
    return cells


def value_of(text: str, annotation: Any) -> Any:
    """Return what a cell means for a key; text that means nothing there stays as it is.

    Parameters
    ----------
    text : str
        The cell, without space around it.
    annotation : Any
        What the key takes.

    Examples
    --------
    >>> value_of("CD19; CD22", tuple[str, ...]), value_of("13", int), value_of("TRUE", bool)
    (['CD19', 'CD22'], 13, True)
    """
    bare = bare_annotation(annotation)
    if get_origin(bare) is tuple:
        return [part.strip() for part in text.split(";") if part.strip()]
    if get_origin(bare) is dict:
        pairs = [part.partition(":") for part in text.split(";") if part.strip()]
        return {key.strip(): value_of(value.strip(), int) for key, _, value in pairs}
    if literals_in(annotation) or bare is str:
        return text
    return scalar_of(text) if bare in (bool, int, float) else text


def scalar_of(text: str) -> Any:
    """Return a number, true or false where a cell holds one, else the text."""
    if text.casefold() in ("true", "false"):
        return text.casefold() == "true"
    if re.fullmatch(r"[+-]?\d+", text):
        return int(text)
    return float(text) if re.fullmatch(r"[+-]?(\d+\.\d*|\.\d+|\d+)(e[+-]?\d+)?", text) else text


def in_order(data: Any, annotation: Any) -> Any:
    """Return data with the keys of each table in the order of its record, as files have them."""
    if isinstance(data, list):
        inner = get_args(bare_annotation(annotation))
        return [in_order(each, inner[0]) for each in data] if inner else data
    if not isinstance(data, dict) or not (known := fields_of(annotation)):
        return data
    keys = sorted(data, key=[*known].index)
    return {key: in_order(data[key], known[key].rebuild_annotation()) for key in keys}
