"""The papers themselves: who was treated with what, and where their figures disagree."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup

from metacart.errors import Fault
from metacart.evidence.collection import Studies
from metacart.records.study import Arm, Study
from metacart.report.cells import level_cell, spread_words, study_link
from metacart.report.evidence_tables import discrepancy_tables
from metacart.report.tables import Column, Row, Table, table_of
from metacart.report.words import join, outcome_of, percent

__all__ = ["Papers", "how_to_find", "papers_of"]

_INFUSIONS = {"first": "first", "retreatment": "re-treatment", "mixed": "first and later"}


@dataclass(frozen=True, slots=True)
class Papers:
    """The tables about the papers.

    Attributes
    ----------
    baseline : Table
        Who was treated, and with which product: each patient once for each infusion.
    arms : Table
        The same of every arm.
    remarks : Table
        What the study files say of an arm beside that, such as dose and lymphodepletion.
    misprints : Table
        Printed figures that disagree with their own counts.
    discrepancies : tuple of Table
        Where each paper contradicts itself.
    """

    baseline: Table
    arms: Table
    remarks: Table
    misprints: Table
    discrepancies: tuple[Table, ...]


def papers_of(studies: Studies) -> Papers:
    """Return the tables about the papers."""
    arms = [(study, arm) for study in studies for arm in study.arms]
    main = [(study, arm) for study, arm in arms if not _part_of(study, arm)]
    return Papers(
        _baseline("Patients and products, as the study files record them", main),
        _baseline("Every arm; those in grey hold patients of another arm, or chosen ones", arms),
        _remarks(studies),
        _misprints(studies),
        tuple(discrepancy_tables(studies)),
    )


def _part_of(study: Study, arm: Arm) -> bool:
    """Whether an arm is a part of another one, or was chosen by what happened later."""
    alike = {other.id for other in study.arms if other.infusion == arm.infusion}
    return arm.selected is not None or not alike.isdisjoint(arm.shares_patients_with)


def _baseline(caption: str, arms: Iterable[tuple[Study, Arm]]) -> Table:
    body = [
        Row(
            (
                study_link(study),
                _arm_cell(study, arm),
                _stated(arm.patients.infused),
                arm.disease,
                spread_words(arm.age),
                _prior_transplant(arm),
                _infusion(arm),
                join(arm.targets, "or" if arm.target == "mixed" else "and"),
                _origin(arm),
                arm.costimulation or "not stated",
                spread_words(study.conduct.follow_up),
            ),
            "weak" if arm.shares_patients_with or arm.selected else "",
        )
        for study, arm in arms
    ]
    return table_of(
        caption,
        [
            Column("Study"),
            Column("Arm"),
            Column("Infused", "number"),
            Column("Disease"),
            Column("Age"),
            Column("Transplant before"),
            Column("Infusion"),
            Column("Target"),
            Column("scFv origin"),
            Column("Costimulation"),
            Column("Follow-up of the paper"),
        ],
        body,
    )


def _stated(value: object) -> str:
    return "not stated" if value is None else str(value)


def _arm_cell(study: Study, arm: Arm) -> Markup:
    cell = Markup("{}").format(arm.label or arm.id)
    labels = {other.id: other.label or other.id for other in study.arms}
    shared = join(labels.get(name, name) for name in arm.shares_patients_with)
    return cell + Markup("<small>patients also in {}</small>").format(shared) if shared else cell


def _prior_transplant(arm: Arm) -> str:
    count = arm.prior_hsct
    if count is None:
        return "not stated"
    return f"{count.events} of {count.total} ({percent(count.events / count.total)} %)"


def _infusion(arm: Arm) -> str:
    if arm.infusion != "retreatment":
        return _INFUSIONS[arm.infusion]
    before = (
        f" after a {arm.prior_scfv} product" if arm.prior_scfv not in (None, "unreported") else ""
    )
    reason = f"; reason: {arm.reason}" if arm.reason else ""
    return f"re-treatment{before}{reason}"


def _origin(arm: Arm) -> str:
    origin = level_cell(arm.scfv)
    return f"{origin} (inferred)" if arm.scfv_certainty == "inferred" else origin


def _remarks(studies: Studies) -> Table:
    body = [
        (
            study_link(study),
            arm.label or arm.id,
            " ".join(filter(None, (arm.note, arm.selected and f"Selected: {arm.selected}."))),
        )
        for study in studies
        for arm in study.arms
        if arm.note or arm.selected
    ]
    return table_of(
        "Dose, lymphodepletion and whatever else the study files note of an arm",
        [Column("Study"), Column("Arm", "text"), Column("Remark", "prose")],
        body,
    )


def _misprints(studies: Studies) -> Table:
    body = []
    for fault in studies.warnings:
        study, what, place = _finding_of(studies, fault)
        found, _, why = fault.found.partition(", excused: ")
        body.append((study, what, found, f"kept as printed: {why}" if why else "", place))
    return table_of(
        "Printed figures that disagree with their own counts, and papers that may share patients",
        [
            Column("Study"),
            Column("Finding", "text"),
            Column("What disagrees", "text"),
            Column("What was done", "text"),
            Column("Place in the paper", "text"),
        ],
        body,
    )


def _finding_of(studies: Studies, fault: Fault) -> tuple[str, str, str]:
    """Return the paper, the finding and its place to which a warning belongs."""
    ids = (
        re.split(r"[/\\]", fault.path or "")[-1].removesuffix(".toml"),
        fault.place.split(":")[0],
    )
    study = next((studies[name] for name in ids if name in studies.ids), None)
    number = re.search(r"findings\[(\d+)\]", fault.place)
    if study is None or number is None:
        return (study.label if study else ""), ("" if study else fault.place), ""
    finding = study.findings[int(number[1])]
    arm = study.arm(finding.arm)
    outcome = outcome_of(finding.outcome, studies.vocabulary).title
    return study.label, f"{outcome}, {arm.label or arm.id}, {finding.population}", finding.at


def how_to_find(study: Study) -> str:
    """Say how a reader could find a paper of which no DOI or PubMed number is recorded."""
    citation, conduct = study.citation, study.conduct
    if citation.doi or citation.pmid or citation.pmcid:
        return ""
    known = [
        *(f"registration {name}" for name in citation.registrations),
        *([f"abstract {citation.abstract_number}"] if citation.abstract_number else []),
        *([f"centres {join(conduct.centres)}"] if conduct.centres else []),
        *([f"data cut-off {conduct.data_cutoff}"] if conduct.data_cutoff else []),
    ]
    infused = [arm.patients.infused for arm in study.arms if not arm.shares_patients_with]
    if infused and None not in infused:
        number = sum(each or 0 for each in infused)
        known.append(f"{number} {'patient' if number == 1 else 'patients'} infused")
    return f"No DOI or PubMed number is recorded. What is known to find it by: {'; '.join(known)}."
