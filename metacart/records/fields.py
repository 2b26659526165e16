"""What may stand at a place of a record: its annotation, its words, and values valid there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from metacart.records.shapes import Shape

__all__ = [
    "Location",
    "annotation_at",
    "bare_annotation",
    "fields_of",
    "literals_in",
    "metadata_in",
    "place_of",
    "record_in",
    "samples",
]

Location = tuple[int | str, ...]


def place_of(location: Location) -> str:
    """Return ``findings[3].count.events`` for ``("findings", 3, "count", "events")``."""
    place = ""
    for part in location:
        place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else str(part)
    return place


def annotation_at(record: type[BaseModel], location: Location) -> Any:
    """Return the annotation of the value at `location`; None where nothing may stand."""
    current: Any = record
    for part in location:
        current = _inside(current, part)
    return current


def record_in(annotation: Any) -> type[BaseModel] | None:
    """Return the record that an annotation wants, if it wants one."""
    bare = bare_annotation(annotation)
    return bare if isinstance(bare, type) and issubclass(bare, BaseModel) else None


def fields_of(annotation: Any) -> dict[str, FieldInfo]:
    """Return the fields of the record that an annotation wants, by their keys in a file."""
    record = record_in(annotation)
    if record is None:
        return {}
    return {field.alias or name: field for name, field in record.model_fields.items()}


def _inside(annotation: Any, part: int | str) -> Any:
    bare = bare_annotation(annotation)
    if isinstance(part, str) and (field := fields_of(bare).get(part)) is not None:
        return field.rebuild_annotation()
    kinds = get_args(bare)
    if get_origin(bare) is dict:
        return kinds[1]
    if get_origin(bare) is tuple and isinstance(part, int):
        return kinds[0] if kinds[-1] is Ellipsis else kinds[min(part, len(kinds) - 1)]
    return None


def bare_annotation(annotation: Any) -> Any:
    """Return the annotation without its metadata and its None: of several kinds, the container."""
    while get_origin(annotation) in (Annotated, Union, UnionType):
        kinds = get_args(annotation)
        if get_origin(annotation) is Annotated:
            annotation = kinds[0]
        else:
            choices = [kind for kind in kinds if kind is not type(None)]
            annotation = next((kind for kind in choices if get_args(kind)), choices[0])
    return annotation


def metadata_in(annotation: Any) -> Iterator[Any]:
    """Yield what an annotation demands beside its type, but nothing of what lies inside it."""
    if get_origin(annotation) is Annotated:
        kind, *metadata = get_args(annotation)
        yield from metadata_in(kind)
        for each in metadata:
            yield from each.metadata if isinstance(each, FieldInfo) else (each,)
    elif get_origin(annotation) in (Union, UnionType):
        for kind in get_args(annotation):
            yield from metadata_in(kind)


def literals_in(annotation: Any) -> list[Any]:
    """Return the words of a closed annotation; none where it is open."""
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    if get_origin(annotation) in (Annotated, Union, UnionType):
        return [word for kind in get_args(annotation) for word in literals_in(kind)]
    return []


_STRICT = ConfigDict(strict=True, allow_inf_nan=False)
_VALUES: tuple[Any, ...] = ("first", "second", False, True, 0, 1, 2001, 2002, 10**6, 0.6, 0.9)


def samples(annotation: Any) -> tuple[Any, Any]:
    """Return two values that are valid for an annotation, as different as they can be.

    Raises
    ------
    LookupError
        Where no value is known.
    """
    if fields := fields_of(annotation):
        needed = [key for key, field in fields.items() if field.is_required()]
        first, second = _table(fields, needed, 0), _table(fields, needed or fields, 1)
        return first, second
    shapes = [each for each in metadata_in(annotation) if isinstance(each, Shape)]
    tried = [*literals_in(annotation), *(text for shape in shapes for text in shape.examples)]
    bare = bare_annotation(annotation)
    kinds = [kind for kind in get_args(bare) if kind is not Ellipsis]
    if get_origin(bare) is tuple:
        pairs_ = [samples(kind) for kind in kinds]
        tried = [[], *([pair[side] for pair in pairs_] for side in (0, 1))]
    elif get_origin(bare) is dict:
        tried = [{}]
    adapter: TypeAdapter[Any] = TypeAdapter(annotation, config=_STRICT)
    valid = [value for value in (*tried, *_VALUES) if _fits(adapter, value)]
    if not valid:
        raise LookupError(annotation)
    return valid[0], valid[-1]


def _table(fields: Mapping[str, FieldInfo], keys: Iterable[str], side: int) -> dict[str, Any]:
    return {key: samples(fields[key].rebuild_annotation())[side] for key in keys}


def _fits(adapter: TypeAdapter[Any], value: Any) -> bool:
    try:
        adapter.validate_python(value)
    except ValidationError:
        return False
    return True
