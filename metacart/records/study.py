"""A paper as a record: the study, its arms, and each reported number with its place."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from metacart.errors import Fault, nearest
from metacart.records.base import Record, RootRecord
from metacart.records.paper import Citation, Conduct, Spread
from metacart.records.risk_of_bias import RiskOfBias
from metacart.records.shapes import (
    Band,
    Id,
    Scalar,
    Text,
    Timepoint,
    Words,
)
from metacart.records.value import (
    Contrast,
    Count,
    Quantile,
    Ratio,
    Survival,
    grade_faults,
)
from metacart.records.vocabulary import TIME_HANDLINGS, Grading, Population, TimeHandling

__all__ = [
    "KINDS",
    "Arm",
    "Discrepancy",
    "Finding",
    "Misprint",
    "Patients",
    "Study",
]

Whole = Annotated[int, Field(ge=0)]
Scfv = Literal["murine", "humanized", "human", "mixed", "unreported"]


class Patients(Record):
    """Numbers of patients in each population of an arm."""

    enrolled: Whole | None = None
    infused: Whole | None = None
    evaluable: Whole | None = None
    responders: Whole | None = None


class Arm(Record):
    """A treated group.

    `target` is ``CD19``, ``CD22``, ``dual`` or ``unreported``, the targets as one word; a file
    says ``mixed`` where some patients had one target and some another. `scfv_certainty` is
    ``stated`` unless a file says otherwise, and nothing where no scFv is reported.
    """

    id: Id
    label: Text | None = None
    disease: Text
    infusion: Literal["first", "retreatment", "mixed"]
    reason: (
        Literal["relapse", "nonresponse", "b-cell recovery", "consolidation", "mixed"] | None
    ) = None
    prior_scfv: Scfv | None = None
    scfv: Scfv
    scfv_certainty: Literal["stated", "inferred"] | None = Field(
        default_factory=lambda arm: None if arm.get("scfv") == "unreported" else "stated"
    )
    scfv_evidence: Text | None = None
    same_product: bool | None = None
    targets: Words = ()
    target: Text = Field(default_factory=lambda arm: _one_word(arm.get("targets", ())))
    costimulation: Text | None = None
    vector: Text | None = None
    patients: Patients
    age: Spread | None = None
    prior_hsct: Count | None = None
    attributes: dict[Id, Scalar] = {}
    shares_patients_with: Words = ()
    selected: Text | None = None
    note: Text | None = None

    def contradictions(self) -> list[Fault]:
        """The target says no more than the targets, and of no scFv is nothing certain."""
        faults = []
        words = [_one_word(self.targets)]
        if len(self.targets) > 1:
            words.append("mixed")
        if self.target not in words:
            found = f"'{self.target}', but targets = {', '.join(self.targets) or 'none'}"
            attempt = nearest(self.target, words) or "leave it out: the targets give it"
            faults.append(Fault("target", found, ", ".join(words), attempt))
        if self.scfv == "unreported" and self.scfv_certainty is not None:
            faults.append(
                Fault(
                    "scfv_certainty",
                    f"{self.scfv_certainty}, but the scFv is unreported",
                    "no such key beside an scFv that is not reported",
                    "leave it out, or name the scFv",
                )
            )
        return faults


def _one_word(targets: tuple[str, ...]) -> str:
    if not targets:
        return "unreported"
    return targets[0] if len(targets) == 1 else "dual"


class Misprint(Record):
    """A printed figure that disagrees with its own counts, and why."""

    printed: Text
    why: Text


KINDS: tuple[str, ...] = ("count", "grades", "contrast", "ratio", "survival", "quantile")


class Finding(Record):
    """One reported number with its place in the paper; exactly one kind of value.

    `caution` is what must stand beside any answer that rests on this number. `reported_by` names
    where a number was seen that was not read in the paper itself: a study of the library by its id,
    or another publication by its DOI, PMC number or address.
    """

    arm: Text
    outcome: Text
    population: Population
    at: Annotated[Text, Field(examples=["Table 2"])]
    timepoint: Timepoint | None = None
    grading: Grading | None = None
    exposure: Text | None = None
    comparison: Text | None = None
    time_handling: TimeHandling | None = None
    count: Count | None = None
    grades: dict[Band, Whole] | None = None
    contrast: Contrast | None = None
    ratio: Ratio | None = None
    survival: Survival | None = None
    quantile: Quantile | None = None
    printed_as: Text | None = None
    definition: Text | None = None
    reported_by: Text | None = None
    misprint: Misprint | None = None
    set_aside: Text | None = None
    caution: Text | None = None
    note: Text | None = None

    @property
    def kind(self) -> str:
        """The one kind of value that this finding holds."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    def contradictions(self) -> list[Fault]:
        """It has one kind of value, with the words that this kind needs."""
        faults = []
        kinds = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(kinds) != 1:
            found = " and ".join(kinds) or "no value"
            faults.append(Fault("", found, f"exactly one of {', '.join(KINDS)}"))
        pair = {"contrast", "ratio"} & set(kinds) or (self.survival and self.survival.exposed)
        if pair and self.exposure is None:
            faults.append(
                Fault("exposure", "this key is missing", attempt="name what the groups differ in")
            )
        if self.exposure is not None and kinds and not pair:
            faults.append(
                Fault(
                    "exposure", f"a {kinds[0]} compares nothing", "contrast, ratio, survival pair"
                )
            )
        if pair and self.exposure == "hsct" and self.time_handling is None:
            faults.append(
                Fault(
                    "time_handling",
                    "this key is missing",
                    ", ".join(TIME_HANDLINGS),
                    "say how the time before transplant was handled",
                )
            )
        if self.exposure == "other" and self.comparison is None:
            faults.append(Fault("comparison", "this key is missing", attempt="name the groups"))
        if self.grades is not None:
            faults.extend(grade_faults(self.grades))
            if self.grading is None:
                faults.append(
                    Fault(
                        "grading", "this key is missing", attempt='name the system, or "unreported"'
                    )
                )
        return faults


class Discrepancy(Record):
    """Where a paper contradicts itself: what it prints, what the file records, and why.

    `bears_on` names the outcomes, exposures or columns whose answers it touches; without it the
    contradiction concerns the paper, not an answer.
    """

    at: Text
    printed: Text
    recorded: Text
    why: Text
    bears_on: Words = ()


class Study(RootRecord):
    """One paper, one file in ``studies/``.

    `primary_report` marks the paper that reports the primary endpoint of its cohort.

    Raises
    ------
    InputError
        With every fault of form at once. Whether the numbers agree with each other is for the
        gates, which run when a file is loaded.
    """

    schema_: Literal[1] = Field(alias="schema")
    id: Id
    cohort: Id = Field(default_factory=lambda study: study.get("id", ""))
    citation: Citation
    primary_report: bool = False
    conduct: Conduct
    arms: Annotated[tuple[Arm, ...], Field(strict=False, min_length=1)]
    findings: Annotated[tuple[Finding, ...], Field(strict=False)] = ()
    discrepancies: Annotated[tuple[Discrepancy, ...], Field(strict=False)] = ()
    risk_of_bias: RiskOfBias = RiskOfBias()
    note: Text | None = None

    def __repr__(self) -> str:
        arms, findings = len(self.arms), len(self.findings)
        return f"Study({self.id}: {arms} arm{'s' * (arms != 1)}, {findings} findings)"

    @property
    def label(self) -> str:
        """What a figure calls the study: its own label, else first author and year."""
        citation = self.citation
        if citation.label:
            return citation.label
        if citation.authors:
            return f"{citation.authors[0].rsplit(' ', 1)[0]} {citation.year}"
        return f"{citation.journal or self.id} {citation.year}"

    def arm(self, arm: str) -> Arm:
        """Return the arm with this id; raises `KeyError` if there is none."""
        for candidate in self.arms:
            if candidate.id == arm:
                return candidate
        raise KeyError(arm)
