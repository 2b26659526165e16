"""A published pooled estimate, to stand beside our own."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from metacart.errors import Fault
from metacart.records.base import Record
from metacart.records.shapes import Doi, Pmid, Text

__all__ = ["Published"]


class Published(Record):
    """What a published meta-analysis found for the same question, on the natural scale.

    `pooled` says what it pooled and `differs` why its estimate and ours may differ.
    """

    paper: Text
    doi: Doi | None = None
    pmid: Pmid | None = None
    estimate: float
    lower: float | None = None
    upper: float | None = None
    level: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.95
    studies: Annotated[int, Field(ge=1)] | None = None
    patients: Annotated[int, Field(ge=1)] | None = None
    pooled: Text
    at: Text
    differs: Text

    def contradictions(self) -> list[Fault]:
        """It can be found, and its interval has two limits that hold the estimate."""
        faults = []
        if self.doi is None and self.pmid is None:
            faults.append(Fault("", "no identifier", "a doi or a pmid", "add the DOI of the paper"))
        if self.lower is None or self.upper is None:
            if self.lower is not self.upper:
                faults.append(Fault("", "one limit of an interval", "lower and upper, or neither"))
        elif not self.lower <= self.estimate <= self.upper:
            found = f"{self.estimate:g} ({self.lower:g} to {self.upper:g})"
            faults.append(Fault("estimate", found, "an interval that holds its estimate"))
        return faults
