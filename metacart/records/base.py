"""What all records share: strict, closed and frozen, with every fault reported at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, model_validator

from metacart.errors import Fault, InputError
from metacart.records.fields import place_of
from metacart.records.mending import UNCHECKED, hidden_faults
from metacart.records.messages import faults_of

__all__ = ["Record", "RootRecord"]


class Record(BaseModel):
    """A frozen record that knows no unknown keys, no infinite numbers and no silent conversion."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True
    )

    def contradictions(self) -> list[Fault]:
        """Return what its keys, each valid by itself, cannot be together."""
        return []

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Show what is not so by default: the others would hide it."""
        for name, value in super().__repr_args__():
            field = type(self).model_fields.get(name or "")
            default = field and field.get_default(call_default_factory=True, validated_data={})
            if field is None or value != default:
                yield name, value

    @model_validator(mode="after")
    def _coherent(self, info: ValidationInfo) -> Self:
        if info.context != UNCHECKED and (faults := self.contradictions()):
            raise InputError(faults)
        return self


class RootRecord(Record):
    """A record that users make themselves: its faults come as one `InputError`."""

    def __init__(self, /, **data: Any) -> None:
        data = self.flat(data)
        try:
            super().__init__(**data)
        except ValidationError as error:
            faults = faults_of(type(self), error)
            raise InputError(
                [*faults, *hidden_faults(type(self), data, faults, _contradictions_in)]
            ) from None

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> Self:
        """Make the record from a parsed file; raises `InputError` with every fault."""
        return cls(**{str(key): value for key, value in data.items()})

    @classmethod
    def flat(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Return the data with the keys under headings brought to the root."""
        return data


def _contradictions_in(record: Record, *location: int | str) -> list[Fault]:
    """Return the contradictions of a record and of all records in it, with their places."""
    place = place_of(location)
    faults = [
        Fault(
            ".".join(part for part in (place, fault.place) if part),
            fault.found,
            fault.allowed,
            fault.attempt,
        )
        for fault in record.contradictions()
    ]
    for name, value in record:
        if isinstance(value, Record):
            faults += _contradictions_in(value, *location, name)
        elif isinstance(value, tuple):
            for number, each in enumerate(value):
                if isinstance(each, Record):
                    faults += _contradictions_in(each, *location, name, number)
    return faults
