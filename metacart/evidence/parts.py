"""What can be read of a study file, so that one faulty value does not hide the next."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from metacart.records.base import Record
from metacart.records.study import Arm, Conduct, Finding, Study
from metacart.records.vocabulary import OUTCOMES, Outcome

__all__ = ["Parts"]


@dataclass(frozen=True, slots=True)
class Parts:
    """The arms and findings of a file that can be read, under their numbers in the file.

    A file with a faulty finding still has its other findings checked.
    """

    arms: Mapping[int, Arm]
    findings: Mapping[int, Finding]
    conduct: Conduct | None = None
    arm_ids: tuple[str, ...] = ()
    vocabulary: Mapping[str, Outcome] = field(default_factory=lambda: OUTCOMES)

    def arm(self, arm: str) -> Arm | None:
        """Return the arm with this id, if it can be read."""
        return next((each for each in self.arms.values() if each.id == arm), None)

    def patients(self, finding: Finding) -> int | None:
        """Return the arm's number in the population that the finding names."""
        arm = self.arm(finding.arm)
        if arm is None:
            return None
        number: int | None = getattr(arm.patients, finding.population)
        return number

    @classmethod
    def of(cls, study: Study, vocabulary: Mapping[str, Outcome]) -> Parts:
        """Return all parts of a study."""
        return cls(
            dict(enumerate(study.arms)),
            dict(enumerate(study.findings)),
            study.conduct,
            tuple(arm.id for arm in study.arms),
            vocabulary,
        )

    @classmethod
    def readable(cls, data: Mapping[str, Any], vocabulary: Mapping[str, Outcome]) -> Parts:
        """Return the parts of a parsed file that are records by themselves."""
        arms = _tables(data.get("arms"))
        return cls(
            _records(Arm, arms),
            _records(Finding, _tables(data.get("findings"))),
            _record(Conduct, data.get("conduct")),
            tuple(str(arm.get("id")) for arm in arms.values()),
            vocabulary,
        )


def _tables(value: object) -> dict[int, dict[str, Any]]:
    if not isinstance(value, list):
        return {}
    return {number: table for number, table in enumerate(value) if isinstance(table, dict)}


def _records[T: Record](kind: type[T], tables: dict[int, dict[str, Any]]) -> dict[int, T]:
    records = {number: _record(kind, table) for number, table in tables.items()}
    return {number: record for number, record in records.items() if record is not None}


def _record[T: Record](kind: type[T], table: object) -> T | None:
    """Return the record, if need be without its unknown keys and with a missing place filled in."""
    try:
        return kind.model_validate(table)
    except ValidationError as error:
        mended = copy.deepcopy(table)
        for item in error.errors(include_url=False, include_context=False):
            mendable = ("extra_forbidden", "missing", "string_too_short")
            if item["type"] not in mendable or not isinstance(table, dict):
                return None
            *path, key = item["loc"]
            holder: Any = mended
            for step in path:
                holder = holder[step]
            if item["type"] == "extra_forbidden":
                del holder[key]
            elif key == "at":
                holder[key] = "missing"
    try:
        return kind.model_validate(mended)
    except ValidationError:
        return None
