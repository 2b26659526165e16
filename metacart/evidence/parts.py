"""A study as the gates read it: its arms and findings under their numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from metacart.records.paper import Conduct
from metacart.records.study import Arm, Discrepancy, Finding, Study
from metacart.records.vocabulary import Outcome

__all__ = ["Parts"]


@dataclass(frozen=True, slots=True)
class Parts:
    """The arms and findings of a study, with the outcomes that findings may name."""

    arms: Mapping[int, Arm]
    findings: Mapping[int, Finding]
    conduct: Conduct
    year: int | None
    discrepancies: tuple[Discrepancy, ...]
    arm_ids: tuple[str, ...]
    vocabulary: Mapping[str, Outcome]

    @classmethod
    def of(cls, study: Study, vocabulary: Mapping[str, Outcome]) -> Parts:
        """Return all parts of a study."""
        return cls(
            dict(enumerate(study.arms)),
            dict(enumerate(study.findings)),
            study.conduct,
            study.citation.year,
            study.discrepancies,
            tuple(arm.id for arm in study.arms),
            vocabulary,
        )

    def arm(self, arm: str) -> Arm | None:
        """Return the arm with this id, if there is one."""
        return next((each for each in self.arms.values() if each.id == arm), None)

    def patients(self, finding: Finding) -> int | None:
        """Return the arm's number in the population that the finding names."""
        arm = self.arm(finding.arm)
        if arm is None:
            return None
        number: int | None = getattr(arm.patients, finding.population)
        return number
