"""A comparison outside of the question, whose counts may inform a prior."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from metacart.errors import Fault
from metacart.records.base import Record
from metacart.records.shapes import Text

__all__ = ["PowerPrior"]


class PowerPrior(Record):
    """Two arms of one study, as ``study/arm``, and how much their likelihood weighs.

    With the counts of both arms D0 and a weight a0 between 0 and 1 the prior of the effect is
    proportional to L(effect | D0)^a0 (Ibrahim and Chen 2000).
    """

    level: Text
    reference: Text
    weight: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5

    def contradictions(self) -> list[Fault]:
        """Two different arms, each with its study."""
        faults = [
            Fault(name, f"'{arm}'", 'an arm as "study/arm"', 'such as "doe2020/humanized"')
            for name, arm in (("level", self.level), ("reference", self.reference))
            if "/" not in arm
        ]
        if self.level == self.reference:
            faults.append(Fault("level", f"'{self.level}' against itself", "two different arms"))
        return faults
