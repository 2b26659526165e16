"""What all records share: strict, closed and frozen, with every fault reported at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from metacart.errors import Fault, InputError, nearest

__all__ = ["Id", "Record", "RootRecord", "Text", "Words", "place_of"]

Id = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]*$")]
Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
# TOML has lists where a frozen record wants tuples.
Words = Annotated[tuple[Text, ...], Field(strict=False)]


class Record(BaseModel):
    """A frozen record that knows no unknown keys, no infinite numbers and no silent conversion."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True
    )


class RootRecord(Record):
    """A record that users make themselves: its faults come as one `InputError`."""

    def __init__(self, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise InputError(_faults(type(self), error)) from None

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> Self:
        """Make the record from a parsed file; raises `InputError` with every fault."""
        return cls(**{str(key): value for key, value in data.items()})


def place_of(location: tuple[int | str, ...]) -> str:
    """Return ``findings[3].count.events`` for ``("findings", 3, "count", "events")``."""
    place = ""
    for part in location:
        place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else str(part)
    return place


def _fields_at(record: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Return the keys that the table at `location` may have."""
    current: Any = record
    keyed = False
    for part in location:
        if isinstance(part, int) or keyed:
            keyed = False
            continue
        if not (isinstance(current, type) and issubclass(current, BaseModel)):
            return []
        found = next(
            (f for name, f in current.model_fields.items() if part in (name, f.alias)), None
        )
        current = None if found is None else _record_in(found.annotation)
        # the next part is a key of the user's own, as in [outcomes.NAME]
        keyed = found is not None and get_origin(found.annotation) is dict
    if isinstance(current, type) and issubclass(current, BaseModel):
        return [field.alias or name for name, field in current.model_fields.items()]
    return []


def _record_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in get_args(annotation):
        if (found := _record_in(part)) is not None:
            return found
    return None


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


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


def _faults(record: type[BaseModel], error: ValidationError) -> list[Fault]:
    faults = []
    found = error.errors(include_url=False)
    for item in found:
        location = tuple(part for part in item["loc"] if part != "[key]")
        place, kind, context = place_of(location), item["type"], item.get("ctx", {})
        value = item.get("input")
        if kind == "extra_forbidden":
            keys = _fields_at(record, location[:-1])
            faults.append(
                Fault(place, "this key is not known", ", ".join(keys), nearest(location[-1], keys))
            )
        elif kind == "missing":
            faults.append(Fault(place, "this key is missing", attempt=f"add `{location[-1]}`"))
        elif kind == "literal_error":
            choices = context["expected"].replace(" or ", ", ").replace("'", "").split(", ")
            faults.append(
                Fault(
                    place,
                    f"{_shown(value)} is not known",
                    ", ".join(choices),
                    nearest(value, choices),
                )
            )
        elif kind == "string_pattern_mismatch":
            faults.append(
                Fault(
                    place,
                    _shown(value),
                    f"text like {context['pattern']}",
                    _PATTERN_HINTS.get(str(location[-1]), ""),
                )
            )
        elif kind == "value_error":
            reason = context["error"]
            if isinstance(reason, InputError):
                faults.extend(
                    Fault(
                        ".".join(part for part in (place, inner.place) if part),
                        inner.found,
                        inner.allowed,
                        inner.attempt,
                    )
                    for inner in reason.faults
                )
            else:
                faults.append(Fault(place, str(reason)))
        elif kind == "too_short" and any(
            other["loc"][: len(item["loc"])] == item["loc"] for other in found if other is not item
        ):
            continue  # its entries are there, and have faults of their own
        elif kind in ("string_too_short", "too_short"):
            what = "text" if kind == "string_too_short" else "one entry or more"
            faults.append(Fault(place, "nothing stands here", what))
        elif kind in _KINDS:
            faults.append(Fault(place, f"{_shown(value)} is {_kind_of(value)}", _KINDS[kind]))
        else:
            faults.append(
                Fault(place, _shown(value), item["msg"].removeprefix("Input should be ").strip())
            )
    return faults


_PATTERN_HINTS = {
    "doi": "the DOI alone, such as 10.1186/s12885-022-09489-1, without https://doi.org/",
    "id": "lower-case letters, digits, - and _, beginning with a letter: an2022",
}


def _kind_of(value: object) -> str:
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    return names.get(type(value), f"a {type(value).__name__}")
