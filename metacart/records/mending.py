"""What is wrong in a file beside its faulty keys, so that one fault does not hide the next.

A faulty key is filled with a valid value, once with one and once with another. What a check then
finds both times in the same words stands in the file; what depends on the filling falls away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from metacart.errors import Fault, did_you_mean, nearest
from metacart.records.fields import Location, annotation_at, fields_of, place_of, samples
from metacart.records.messages import errors_in, location_in

__all__ = ["UNCHECKED", "hidden_faults"]

# the context under which records leave out what their keys must be to each other
UNCHECKED = {"unchecked": True}
_ROUNDS = 5


def hidden_faults[T: BaseModel](
    record: type[T],
    data: Mapping[str, Any],
    known: Iterable[Fault],
    check: Callable[[T], list[Fault]],
) -> list[Fault]:
    """Return what `check` finds in faulty data, whatever would stand in the faulty keys.

    Parameters
    ----------
    record : type
        What the data should be.
    data : mapping
        A parsed file.
    known : iterable of Fault
        What was found in it already; nothing more is said about the same places.
    check : callable
        From a record to its faults.
    """
    first, second = _mended(record, data, 0), _mended(record, data, 1)
    if first is None or second is None:
        return []
    again = check(second[0])
    known_places = {fault.place for fault in known}
    return [
        fault
        for fault in check(first[0])
        if fault in again
        and fault.place not in known_places
        and not any(_within(fault.place, place) for place in first[1])
    ]


def _within(place: str, outer: str) -> bool:
    return place == outer or place.startswith((f"{outer}.", f"{outer}["))


def _mended[T: BaseModel](
    record: type[T], data: Mapping[str, Any], side: int
) -> tuple[T, set[str]] | None:
    """Return the record of the mended data with the places that were mended."""
    mended: dict[str, Any] = _mutable(data)
    places: set[str] = set()
    for _ in range(_ROUNDS):
        try:
            made: T = record.__pydantic_validator__.validate_python(
                mended, self_instance=record.__new__(record), context=UNCHECKED
            )
        except ValidationError as error:
            for item in errors_in(error):
                try:
                    places.add(_mend(record, mended, item, side))
                except LookupError:
                    return None
        else:
            return made, places
    return None


def _mutable(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {key: _mutable(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_mutable(value) for value in data]
    return data


def _mend(record: type[BaseModel], data: dict[str, Any], item: Any, side: int) -> str:
    """Mend one key in `data` and return its place; raises `LookupError` where it cannot be."""
    location = location_in(item)
    holder: Any = data
    for step in location[:-1]:
        holder = holder[step]
    if not location or not isinstance(holder, dict | list):
        raise LookupError(location)
    key: Any = location[-1]
    if item["type"] == "extra_forbidden":
        _rename(record, holder, location)
    elif item["loc"][-1] == "[key]":
        del holder[key]
        return place_of(location[:-1])
    elif isinstance(holder, list) and key >= len(holder):
        holder.append(samples(annotation_at(record, location))[side])
    else:
        holder[key] = samples(annotation_at(record, location))[side]
    return place_of(location)


def _rename(record: type[BaseModel], holder: Any, location: Location) -> None:
    """Take a key that is not known for the one that was meant, where that is clear."""
    key: Any = location[-1]
    value = holder.pop(key)
    free = [name for name in fields_of(annotation_at(record, location[:-1])) if name not in holder]
    holder.update({name: value for name in free if nearest(key, free) == did_you_mean(name)})
