"""A finding on its way through the rules of a question."""

from __future__ import annotations

from dataclasses import dataclass

from metacart.evidence.columns import Level
from metacart.records.study import Arm, Finding, Study
from metacart.records.vocabulary import Outcome

__all__ = ["Candidate"]

# 52 weeks and 365 days are 12 months
_MONTHS = {"day": 12 / 365, "week": 12 / 52, "month": 1.0, "year": 12.0}


@dataclass(slots=True)
class Candidate:
    """A finding on its way through the rules.

    Attributes
    ----------
    step : str
        The kind of rule that leaves it out; empty while it answers the question.
    rule : str
        The rule in words.
    events, total : int or None
        The count, read from grades where these give the outcome.
    levels : dict
        Its levels, recoded for the question.
    counted : Outcome or None
        What it reports.
    bands : tuple of (from, to, patients)
        For a question about grades, what it says of them.
    parts : tuple of Candidate
        The findings of which its table of grades is made, itself the first.
    joins : Candidate or None
        The finding into whose table of grades it enters.
    part : str
        For a question of several outcomes, for which of them it stands.
    """

    study: Study
    arm: Arm
    number: int
    finding: Finding
    levels: dict[str, Level | None]
    step: str = ""
    rule: str = "used"
    events: int | None = None
    total: int | None = None
    counted: Outcome | None = None
    bands: tuple[tuple[int, int, int], ...] = ()
    parts: tuple[Candidate, ...] = ()
    joins: Candidate | None = None
    part: str = ""

    @property
    def key(self) -> str:
        """The arm as ``study/arm``."""
        return f"{self.study.id}/{self.arm.id}"

    @property
    def timepoint(self) -> str | None:
        """When it was counted; of a survival, the time of the estimate in months."""
        survival = self.finding.survival
        if survival is None:
            return self.finding.timepoint
        months = survival.time * _MONTHS[survival.unit]
        return f"month {months:.0f}" if abs(months - round(months)) < 0.05 else None

    @property
    def patients(self) -> int:
        """How many patients it is about; 0 where the paper does not say."""
        if self.total is not None:
            return self.total
        if (contrast := self.finding.contrast) is not None:
            return contrast.exposed.total + contrast.unexposed.total
        known = self.arm.patients.model_dump()
        return known[self.finding.population] or max(filter(None, known.values()), default=0)

    def leave_out(self, step: str, rule: str) -> None:
        """Take it out of the question."""
        self.step, self.rule = step, rule
