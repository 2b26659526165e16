"""What an answer rests on: which studies, how many patients, and how they were followed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metacart.evidence.collection import Studies
from metacart.records.spec import ModelSpec
from metacart.records.study import Arm, Finding, Study
from metacart.records.value import Count
from metacart.report.cells import spread_words, study_cell
from metacart.report.tables import Column, Table, table_of
from metacart.report.words import capital, count_of, designs_of, exposed_words, places_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Basis", "Group", "basis_of", "compared_table", "patients_of"]

# beyond so many studies their names stand in the tables alone
_MANY = 4


@dataclass(frozen=True, slots=True)
class Group:
    """The patients of one finding.

    Attributes
    ----------
    study : Study
        From which the finding comes.
    arm : Arm
        In which it stands.
    finding : Finding
        What was reported.
    patients : int or None
        Among how many; none where that is not stated.
    exposed : int or None
        How many of them had the exposure of the question.
    events : tuple of Count or None
        Events among those with and those without it.
    """

    study: Study
    arm: Arm
    finding: Finding
    patients: int | None
    exposed: int | None = None
    events: tuple[Count, Count] | None = None


@dataclass(frozen=True, slots=True)
class Basis:
    """The patients of an answer.

    Attributes
    ----------
    groups : tuple of Group
        One a finding, in the order of the evidence.
    exposure : str or None
        What the question compares.
    """

    groups: tuple[Group, ...]
    exposure: str | None = None

    @property
    def studies(self) -> list[Study]:
        """The studies, each once."""
        return list({group.study.id: group.study for group in self.groups}.values())

    @property
    def patients(self) -> int | None:
        """All patients, or none where one paper does not state them."""
        return _sum(group.patients for group in self.groups)

    @property
    def exposed(self) -> int | None:
        """How many had the exposure, or none where one paper does not state it."""
        return _sum(group.exposed for group in self.groups)

    @property
    def alone(self) -> str:
        """The label of the only study; empty where there are several."""
        return self.studies[0].label if len(self.studies) == 1 else ""

    def words(self) -> str:
        """Return ``two studies, 64 patients (27 transplanted, 37 not transplanted)``."""
        text = self.alone or count_of(len(self.studies), "study")
        if self.patients is None:
            return text
        text += f", {self.patients} patients"
        if self.exposure and self.exposed is not None:
            with_, without = exposed_words(self.exposure)
            text += f" ({self.exposed} {with_}, {self.patients - self.exposed} {without})"
        return text

    def named(self, more: str = "") -> str:
        """Return ``two retrospective cohorts from China (A 2020, B 2021)``, or only how many."""
        if len(self.studies) <= _MANY:
            names = ", ".join(study.label for study in self.studies)
            return f"{self.setting()} ({names}{more})"
        countries = {place for study in self.studies for place in study.conduct.countries}
        where = f" from {count_of(len(countries), 'country')}" if countries else ""
        return f"{count_of(len(self.studies), 'study')}{where}" + (
            f" ({more.removeprefix('; ')})" if more else ""
        )

    def setting(self) -> str:
        """Return ``two retrospective cohorts from China``."""
        conducts = [study.conduct for study in self.studies]
        where = places_of(place for conduct in conducts for place in conduct.countries)
        return designs_of([conduct.study_design for conduct in conducts]) + (
            f" from {where}" if where else ""
        )


def basis_of(evidence: pd.DataFrame, spec: ModelSpec, studies: Studies) -> Basis:
    """Return what an answer rests on.

    Parameters
    ----------
    evidence : DataFrame
        From ``tabulate``.
    spec : ModelSpec
        The question.
    studies : Studies
        From which the evidence comes.
    """
    groups = []
    for row in evidence.to_dict("records"):
        study = studies[str(row["study"])]
        arm, finding = study.arm(str(row["arm"])), study.findings[int(row["finding"])]
        if finding.contrast is not None:
            counts = finding.contrast.exposed, finding.contrast.unexposed
            patients = sum(count.total for count in counts)
            groups.append(Group(study, arm, finding, patients, counts[0].total, counts))
        elif (total := row.get("total")) is not None and total == total:
            groups.append(Group(study, arm, finding, int(total)))
        else:
            events = studies.vocabulary[spec.outcome or ""].counted_by
            groups.append(_compared(study, arm, finding, spec, events))
    if spec.outcomes or "grade_from" in evidence:
        # an arm has several rows, about the same patients
        groups.sort(key=lambda group: -(group.patients or 0))
        groups = list({(group.study.id, group.arm.id): group for group in groups[::-1]}.values())
    return Basis(tuple(groups), spec.exposure)


def _compared(
    study: Study, arm: Arm, finding: Finding, spec: ModelSpec, events: str | None
) -> Group:
    """Look up how many were compared, which a ratio does not say."""
    alike = [
        other
        for other in study.findings
        if other.arm == arm.id and other.population == finding.population and not other.set_aside
    ]
    exposed = next(
        (
            other.count
            for other in alike
            if other.outcome == spec.exposure and other.exposure is None and other.count
        ),
        None,
    )
    patients = getattr(arm.patients, finding.population)
    if patients is None and exposed is not None:
        patients = exposed.total
    counts = next(
        (
            (other.contrast.exposed, other.contrast.unexposed)
            for other in alike
            if other.contrast is not None
            and other.exposure == spec.exposure
            and other.outcome in (spec.outcome, events)
        ),
        None,
    )
    of_all = exposed is not None and exposed.total == patients
    return Group(
        study, arm, finding, patients, exposed.events if exposed and of_all else None, counts
    )


def _sum(numbers: Iterable[int | None]) -> int | None:
    known = list(numbers)
    return None if None in known else sum(number for number in known if number is not None)


def patients_of(bases: Iterable[Basis]) -> int | None:
    """Return how many patients several answers rest on, each patient counted once.

    Of arms that share patients, and of papers of one cohort, only the largest counts.
    """
    largest: dict[tuple[str, str], Group] = {}
    for group in (group for basis in bases for group in basis.groups):
        if group.patients is None:
            return None
        key = (group.study.id, group.arm.id)
        if key not in largest or group.patients > (largest[key].patients or 0):
            largest[key] = group
    cohorts: dict[str, dict[str, int]] = {}
    kept: list[Group] = []
    for group in sorted(largest.values(), key=lambda group: -(group.patients or 0)):
        if not any(_share(group, other) for other in kept):
            kept.append(group)
            studies = cohorts.setdefault(group.study.cohort, {})
            studies[group.study.id] = studies.get(group.study.id, 0) + (group.patients or 0)
    return sum(max(studies.values()) for studies in cohorts.values())


def _share(group: Group, other: Group) -> bool:
    return group.study.id == other.study.id and (
        group.arm.id in other.arm.shares_patients_with
        or other.arm.id in group.arm.shares_patients_with
    )


def compared_table(basis: Basis, event: str) -> Table | None:
    """Return who was compared in each study; none where the question compares nobody."""
    if basis.exposure is None:
        return None
    with_, without = exposed_words(basis.exposure)
    body = []
    for group in basis.groups:
        unexposed = None
        if group.patients is not None and group.exposed is not None:
            unexposed = group.patients - group.exposed
        body.append(
            (
                study_cell(group.study),
                group.finding.comparison or f"{with_} against {without}",
                _stated(group.patients),
                _stated(group.exposed),
                _stated(unexposed),
                _events(group.events),
                spread_words(group.study.conduct.follow_up),
            )
        )
    return table_of(
        f"Who was compared, and for how long; events: {event}",
        [
            Column("Study"),
            Column("Compared", "text"),
            Column("Patients", "number"),
            Column(capital(with_), "number"),
            Column(capital(without), "number"),
            Column("Events in the two groups", "number"),
            Column("Follow-up of the paper", "text"),
        ],
        body,
    )


def _stated(number: int | None) -> str:
    return "not stated" if number is None else str(number)


def _events(counts: tuple[Count, Count] | None) -> str:
    if counts is None:
        return "not stated for both"
    return " v ".join(f"{count.events} of {count.total}" for count in counts)
