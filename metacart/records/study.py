"""A paper as a record: the study, its arms, and each reported number with its place."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from metacart.errors import Fault, InputError
from metacart.records.base import Id, Record, RootRecord, Text, Words
from metacart.records.vocabulary import Grading, Population, TimeHandling

__all__ = [
    "KINDS",
    "Arm",
    "Citation",
    "Conduct",
    "Contrast",
    "Count",
    "Discrepancy",
    "Finding",
    "Misprint",
    "Patients",
    "Quantile",
    "Ratio",
    "Spread",
    "Study",
    "Survival",
    "SurvivalPoint",
    "grade_bands",
]

Month = Annotated[str, StringConstraints(pattern=r"^(19|20)\d\d(-(0[1-9]|1[0-2]))?(-\d\d)?$")]
Level = Annotated[float, Field(gt=0.5, lt=1.0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Whole = Annotated[int, Field(ge=0)]
Unit = Literal["day", "week", "month", "year"]
Scfv = Literal["murine", "humanized", "human", "mixed", "unreported"]
Attribute = str | bool | int | float
Timepoint = Annotated[
    str, StringConstraints(pattern=r"^(day \d+|week \d+|month \d+|best|last follow-up)$")
]


class Citation(Record):
    """Where the paper is found; one identifier at least."""

    title: Text
    authors: Words
    journal: Text | None = None
    year: int
    doi: Annotated[str, StringConstraints(pattern=r"^10\.\d{4,9}/\S+$")] | None = None
    pmid: Annotated[str, StringConstraints(pattern=r"^\d{1,9}$")] | None = None
    pmcid: Annotated[str, StringConstraints(pattern=r"^PMC\d+$")] | None = None
    registrations: Words = ()
    abstract_number: Text | None = None
    publication: Literal["paper", "abstract", "registry", "thesis"] = "paper"

    @field_validator("year")
    @classmethod
    def _year_can_be(cls, year: int) -> int:
        latest = datetime.now(tz=UTC).year + 1
        if not 1989 <= year <= latest:
            raise InputError(
                Fault("", str(year), f"1989 (the first CAR) to {latest}", "the year of the paper")
            )
        return year

    @model_validator(mode="after")
    def _identified(self) -> Self:
        names = ("doi", "pmid", "pmcid", "registrations", "abstract_number")
        if self.publication != "thesis" and not any(getattr(self, name) for name in names):
            raise InputError(
                Fault("", "no identifier", f"one of {', '.join(names)}", "add the DOI of the paper")
            )
        return self


class Period(Record):
    """From when to when, as ``2019-01`` or ``2019``."""

    from_: Month | None = Field(default=None, alias="from")
    to: Month | None = None


class Spread(Record):
    """A median with its range or interval."""

    median: float
    lower: float | None = None
    upper: float | None = None
    unit: Unit | None = None
    interval: Literal["range", "ci", "iqr"] = "range"


class Conduct(Record):
    """How the study was run."""

    study_design: Text
    centres: Words = ()
    countries: Words = ()
    enrolment: Period = Period()
    data_cutoff: Month | None = None
    follow_up: Spread | None = None
    registered: Literal["prospectively", "retrospectively", "unreported"] = "unreported"


class Patients(Record):
    """Numbers of patients in each population of an arm."""

    enrolled: Whole | None = None
    infused: Whole | None = None
    evaluable: Whole | None = None
    responders: Whole | None = None


class Count(Record):
    """Events among patients; `printed` is the percentage as the paper prints it."""

    events: Whole
    total: Annotated[int, Field(ge=1)]
    printed: Annotated[str, StringConstraints(pattern=r"^\d+(\.\d+)? ?%$")] | None = None
    derived: Literal["percentage"] | None = None


class Arm(Record):
    """A treated group."""

    id: Id
    label: Text | None = None
    disease: Text
    infusion: Literal["first", "retreatment", "mixed"]
    reason: (
        Literal["relapse", "nonresponse", "b-cell recovery", "consolidation", "mixed"] | None
    ) = None
    prior_scfv: Scfv | None = None
    scfv: Scfv
    scfv_certainty: Literal["stated", "inferred"] = "stated"
    scfv_evidence: Text | None = None
    same_product: bool | None = None
    targets: Words
    costimulation: Text | None = None
    vector: Text | None = None
    patients: Patients
    age: Spread | None = None
    prior_hsct: Count | None = None
    attributes: dict[Id, Attribute] = {}
    shares_patients_with: Words = ()
    selected: Text | None = None
    note: Text | None = None

    @property
    def target(self) -> str:
        """``CD19``, ``CD22`` or ``dual``: the targets as one word."""
        return self.targets[0] if len(self.targets) == 1 else "dual"


class Contrast(Record):
    """Counts of an outcome in two groups of one arm."""

    exposed: Count
    unexposed: Count
    p: Text | None = None


class Ratio(Record):
    """A printed ratio, exposed against unexposed, with its interval."""

    measure: Literal["hr", "or", "rr"]
    estimate: Annotated[float, Field(gt=0)]
    lower: Annotated[float, Field(gt=0)]
    upper: Annotated[float, Field(gt=0)]
    level: Level = 0.95
    p: Text | None = None
    adjusted_for: Words = ()


class SurvivalPoint(Record):
    """A Kaplan-Meier estimate with its interval."""

    estimate: Share
    lower: Share | None = None
    upper: Share | None = None
    level: Level = 0.95


class Survival(Record):
    """Survival at one landmark, of the arm or of a pair of groups in it."""

    time: Annotated[float, Field(gt=0)]
    unit: Unit
    estimate: Share | None = None
    lower: Share | None = None
    upper: Share | None = None
    level: Level = 0.95
    exposed: SurvivalPoint | None = None
    unexposed: SurvivalPoint | None = None

    @model_validator(mode="after")
    def _one_or_a_pair(self) -> Self:
        pair = (self.exposed is not None) + (self.unexposed is not None)
        if (self.estimate is None) == (pair == 0) or pair == 1:
            raise InputError(
                Fault(
                    "",
                    "neither one estimate nor a pair",
                    "estimate (with lower, upper), or both exposed and unexposed",
                )
            )
        return self


class Quantile(Record):
    """A quantile of a time, such as the median survival."""

    probability: Annotated[float, Field(gt=0, lt=1)]
    estimate: Annotated[float, Field(ge=0)] | None = None
    lower: Annotated[float, Field(ge=0)] | None = None
    upper: Annotated[float, Field(ge=0)] | None = None
    level: Level = 0.95
    interval: Literal["ci", "range", "iqr"] = "ci"
    unit: Unit
    reached: bool = True


class Misprint(Record):
    """A printed figure that disagrees with its own counts, and why."""

    printed: Text
    why: Text


Band = Annotated[str, StringConstraints(pattern=r"^([0-5](-[0-5])?|total)$")]
KINDS: tuple[str, ...] = ("count", "grades", "contrast", "ratio", "survival", "quantile")


class Finding(Record):
    """One reported number with its place in the paper; exactly one kind of value."""

    arm: Id
    outcome: Id
    population: Population
    at: Text
    timepoint: Timepoint | None = None
    grading: Grading | None = None
    exposure: Id | None = None
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
    note: Text | None = None

    @property
    def kind(self) -> str:
        """The one kind of value that this finding holds."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @model_validator(mode="after")
    def _coherent(self) -> Self:
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
                    "time-fixed, landmark, time-dependent, unclear",
                    "say how the time before transplant was handled",
                )
            )
        if self.exposure == "other" and self.comparison is None:
            faults.append(Fault("comparison", "this key is missing", attempt="name the groups"))
        if self.grades is not None:
            faults.extend(_grade_faults(self.grades))
            if self.grading is None:
                faults.append(
                    Fault(
                        "grading", "this key is missing", attempt='name the system, or "unreported"'
                    )
                )
        if faults:
            raise InputError(faults)
        return self


def grade_bands(grades: dict[str, int]) -> list[tuple[int, int, int]]:
    """Return ``(from, to, patients)`` for each band of a table of grades, lowest first.

    Examples
    --------
    >>> grade_bands({"1-2": 19, "0": 1, "3-5": 8, "total": 28})
    [(0, 0, 1), (1, 2, 19), (3, 5, 8)]
    """
    bands = []
    for key, patients in grades.items():
        if key != "total":
            first, _, last = key.partition("-")
            bands.append((int(first), int(last or first), patients))
    return sorted(bands)


def _grade_faults(grades: dict[str, int]) -> list[Fault]:
    covered = [grade for first, last, _ in grade_bands(grades) for grade in range(first, last + 1)]
    faults = []
    if any(re.fullmatch(r"(\d)-(\d)", key) and key[0] >= key[2] for key in grades):
        faults.append(Fault("grades", "a range that does not rise", "ranges such as 1-2"))
    elif sorted(covered) != list(range(6)):
        twice = sorted({grade for grade in covered if covered.count(grade) > 1})
        absent = sorted(set(range(6)) - set(covered))
        found = "; ".join(
            f"grade {', '.join(map(str, which))} {what}"
            for which, what in ((absent, "is missing"), (twice, "stands twice"))
            if which
        )
        faults.append(
            Fault(
                "grades", found, "each of the grades 0 to 5 once", "ranges are keys too: 1-2 = 19"
            )
        )
    return faults


class Discrepancy(Record):
    """Where a paper contradicts itself: what it prints, what the file records, and why."""

    at: Text
    printed: Text
    recorded: Text
    why: Text


class Study(RootRecord):
    """One paper, one file in ``studies/``.

    Raises
    ------
    InputError
        With every fault of form at once. Whether the numbers agree with each other is for the
        gates, which run when a file is loaded.
    """

    schema_: Literal[1] = Field(alias="schema")
    id: Id
    cohort: Id
    citation: Citation
    conduct: Conduct
    arms: Annotated[tuple[Arm, ...], Field(strict=False, min_length=1)]
    findings: Annotated[tuple[Finding, ...], Field(strict=False)] = ()
    discrepancies: Annotated[tuple[Discrepancy, ...], Field(strict=False)] = ()
    note: Text | None = None

    @model_validator(mode="before")
    @classmethod
    def _cohort_is_id(cls, data: object) -> object:
        if isinstance(data, dict) and "id" in data and "cohort" not in data:
            return {**data, "cohort": data["id"]}
        return data

    @property
    def label(self) -> str:
        """First author and year, as a forest plot names the study."""
        surname = self.citation.authors[0].rsplit(" ", 1)[0] if self.citation.authors else self.id
        return f"{surname} {self.citation.year}"

    def arm(self, arm: str) -> Arm:
        """Return the arm with this id; raises `KeyError` if there is none."""
        for candidate in self.arms:
            if candidate.id == arm:
                return candidate
        raise KeyError(arm)
