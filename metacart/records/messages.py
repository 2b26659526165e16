"""From pydantic's errors to faults: what was found, what is allowed, what to try."""

from __future__ import annotations

import math
from datetime import date, time
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from metacart.errors import Fault, InputError, did_you_mean, nearest, shown
from metacart.records.fields import (
    Location,
    annotation_at,
    fields_of,
    literals_in,
    metadata_in,
    place_of,
    record_in,
)
from metacart.records.shapes import Shape

__all__ = ["errors_in", "faults_of", "location_in"]

_KINDS = {
    "int_type": "a whole number",
    "float_type": "a number",
    "string_type": "text in quotes",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "finite_number": "a finite number",
}
_BOUNDS = ("greater_than", "greater_than_equal", "less_than", "less_than_equal")


def errors_in(error: ValidationError) -> list[Any]:
    """Return pydantic's errors without those that follow from another."""
    found: list[Any] = error.errors(include_url=False)
    return [
        item
        for item in found
        # another key decides on this one, and is faulty itself
        if item["type"] != "default_factory_not_called"
        # its entries are there, and have faults of their own
        and not (
            item["type"] == "too_short"
            and any(len(other["loc"]) > len(item["loc"]) for other in _below(found, item))
        )
    ]


def _below(found: list[Any], item: Any) -> list[Any]:
    return [other for other in found if other["loc"][: len(item["loc"])] == item["loc"]]


def location_in(item: Any) -> Location:
    """Return where one of pydantic's errors stands."""
    return tuple(part for part in item["loc"] if part != "[key]")


def faults_of(record: type[BaseModel], error: ValidationError) -> list[Fault]:
    """Return every fault of form, in the order of the record's fields."""
    found = errors_in(error)
    misspelt = set()
    for *above, key in (location_in(item) for item in found if item["type"] == "extra_forbidden"):
        names = fields_of(annotation_at(record, tuple(above)))
        near = nearest(key, names)
        misspelt |= {(*above, name) for name in names if near == did_you_mean(name)}
    return [
        fault
        for item in found
        # what is missing stands there under another name
        if not (item["type"] == "missing" and location_in(item) in misspelt)
        for fault in _of_one(record, item)
    ]


def _of_one(record: type[BaseModel], item: Any) -> list[Fault]:
    location, kind, context = location_in(item), item["type"], item.get("ctx", {})
    place, value = place_of(location), item.get("input")
    annotation = annotation_at(record, location)
    if kind == "value_error" and isinstance(context["error"], InputError):
        return [
            Fault(
                ".".join(part for part in (place, inner.place) if part),
                inner.found,
                inner.allowed,
                inner.attempt,
            )
            for inner in context["error"].faults
        ]
    if kind == "extra_forbidden":
        keys = [*fields_of(annotation_at(record, location[:-1]))]
        near = nearest(location[-1], keys)
        return [Fault(place, "this key is not known", ", ".join(keys), near)]
    if kind == "missing":
        field = fields_of(annotation_at(record, location[:-1])).get(str(location[-1]))
        return [_missing(place, str(location[-1]), field)]
    if kind == "literal_error":
        words = literals_in(annotation)
        found = f"{shown(value)} is not known" if value != "" else "nothing stands here"
        return [Fault(place, found, _words(annotation), _near(value, words))]
    if kind in ("string_too_short", "too_short"):
        what = "text" if kind == "string_too_short" else "one entry or more"
        return [Fault(place, "nothing stands here", what)]
    if kind in _BOUNDS:
        return [Fault(place, shown(value), _range(annotation), _other_number(annotation, value))]
    if kind in _KINDS:
        return [_of_kind(place, kind, value, annotation)]
    return [Fault(place, shown(value), item["msg"].removeprefix("Input should be ").strip())]


def _missing(place: str, key: str, field: FieldInfo | None) -> Fault:
    annotation = None if field is None else field.rebuild_annotation()
    shapes = [each for each in metadata_in(annotation) if isinstance(each, Shape)]
    words = literals_in(annotation)
    examples = [
        *((field.examples if field else None) or ()),
        *(each.examples[0] for each in shapes),
    ]
    if examples:
        return Fault(place, "this key is missing", attempt=f'add `{key} = "{examples[0]}"`')
    if len(words) == 1:
        return Fault(place, "this key is missing", attempt=f"add `{key} = {words[0]}`")
    return Fault(place, "this key is missing", _words(annotation), f"add `{key}`")


def _words(annotation: Any) -> str:
    shapes = [each.words for each in metadata_in(annotation) if isinstance(each, Shape)]
    return ", ".join(str(word) for word in literals_in(annotation)) or "; ".join(shapes)


def _near(value: object, words: list[Any]) -> str:
    return nearest(value, words) if isinstance(value, str) else ""


def _of_kind(place: str, kind: str, value: object, annotation: Any) -> Fault:
    wanted = _KINDS[kind]
    if isinstance(value, float) and not math.isfinite(value):
        attempt = "leave it out where there is no number"
        return Fault(place, shown(value), wanted, attempt)
    attempt = ""
    if kind in ("int_type", "float_type"):
        attempt = _as_number(value, whole=kind == "int_type")
    elif kind == "string_type" and not isinstance(value, bool | dict | list):
        attempt = f'write "{value}"'
    elif kind == "bool_type" and str(value).casefold() in ("true", "false"):
        attempt = f"write {str(value).casefold()} without quotes"
    elif kind == "tuple_type":
        if isinstance(value, dict):
            attempt = f"write [[{place}]] with two brackets"
        elif isinstance(value, str):
            attempt = f'write ["{value}"]'
    elif kind == "model_type" and record_in(annotation) is not None:
        needed = [key for key, field in fields_of(annotation).items() if field.is_required()]
        attempt = f"such as {{ {', '.join(f'{key} = …' for key in needed)} }}" if needed else ""
    found = shown(value)
    if not isinstance(value, bool | dict):
        found += f" is {_kind_of(value)}"
    return Fault(place, found, wanted, attempt)


def _kind_of(value: object) -> str:
    for kinds, words in (
        (int, "a whole number"),
        (float, "a number"),
        (str, "text"),
        ((list, tuple), "a list"),
        ((date, time), "a date"),
    ):
        if isinstance(value, kinds):
            return words
    return f"a {type(value).__name__}"


def _as_number(value: object, *, whole: bool) -> str:
    if isinstance(value, bool) or not isinstance(value, str | float):
        return ""
    try:
        number = float(value.replace(",", ".") if isinstance(value, str) else value)
    except ValueError:
        return ""
    if not math.isfinite(number) or (whole and number != int(number)):
        return ""
    quotes = " without quotes" if isinstance(value, str) else ""
    return f"write {int(number) if whole else format(number, 'g')}{quotes}"


_LIMITS = {"gt": "above {}", "lt": "below {}", "ge": "of {} or more", "le": "of {} or less"}


def _limits(annotation: Any) -> dict[str, float]:
    return {
        name: limit
        for each in metadata_in(annotation)
        for name in _LIMITS
        if (limit := getattr(each, name, None)) is not None
    }


def _range(annotation: Any) -> str:
    """Return ``a number above 0.5 and below 1``, ``a whole number of 0 or more``."""
    words = [_LIMITS[name].format(f"{limit:g}") for name, limit in _limits(annotation).items()]
    return f"{'a whole number' if _whole(annotation) else 'a number'} {' and '.join(words)}"


def _whole(annotation: Any) -> bool:
    return "float" not in str(annotation)


def _other_number(annotation: Any, value: float) -> str:
    limits = _limits(annotation)
    highest = limits.get("lt", limits.get("le"))
    if not _whole(annotation) and highest == 1 and 1 < value <= 100:
        return f"write {value / 100:g}"
    return "look the number up again" if _whole(annotation) else ""
