"""One paper as the shell shows it: what it is, its arms, and each number with its place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from metacart.report.tables import Column, Row, Table, table_of
from metacart.screen import count_of, say, show_heading, show_list, show_table, show_words

if TYPE_CHECKING:
    from metacart.evidence.collection import Studies
    from metacart.records.study import Arm, Finding, Study

__all__ = ["show_study"]

# more authors are counted
_AUTHORS = 6
_LEAD = 13


def show_study(study: Study, studies: Studies) -> None:
    """Write one paper: citation, conduct, arms with their findings, contradictions and bias.

    Parameters
    ----------
    study : Study
    studies : Studies
        Those that it was read with: its vocabulary, and papers on the same patients.
    """
    show_heading(f"{study.label}, {study.id}")
    show_words(study.citation.title)
    _show_facts(_citation(study))
    say("")
    _show_facts(_conduct(study, studies))
    say("")
    for arm in study.arms:
        _show_arm(study, arm, studies)
    discrepancies = [
        f"{each.printed} ({each.at}). Recorded: {each.recorded}. Why: {each.why}."
        for each in study.discrepancies
    ]
    show_list("Where the paper contradicts itself", discrepancies)
    _show_bias(study)


def _show_facts(facts: Iterator[tuple[str, str]]) -> None:
    for name, text in facts:
        if text:
            show_words(text, lead=f"{name:<{_LEAD}}")


def _citation(study: Study) -> Iterator[tuple[str, str]]:
    from metacart.report.cells import links_of

    citation = study.citation
    names = ", ".join(citation.authors[:_AUTHORS])
    more = len(citation.authors) - _AUTHORS
    yield "authors", f"{names} and {more} more" if more > 0 else names
    source = [citation.journal, str(citation.year), citation.pages]
    kind = "" if citation.publication == "paper" else f"; {citation.publication}"
    yield "published", ", ".join(filter(None, source)) + kind
    for text, address in links_of(citation):
        # one an identifier, so that a terminal makes a link of each
        yield ("at", address) if address else ("known as", text)
    yield "read in", citation.read or ""


def _conduct(study: Study, studies: Studies) -> Iterator[tuple[str, str]]:
    from metacart.report.cells import spread_words

    conduct = study.conduct
    yield "design", "; ".join(filter(None, (conduct.study_design, conduct.direction)))
    countries = f"({', '.join(conduct.countries)})" if conduct.countries else ""
    yield "centres", " ".join(filter(None, ("; ".join(conduct.centres), countries)))
    enrolment = conduct.enrolment
    if enrolment.from_ or enrolment.to:
        yield "enrolled", f"{enrolment.from_ or '?'} to {enrolment.to or '?'}"
    yield "data until", conduct.data_cutoff or ""
    if conduct.follow_up is not None:
        yield "followed", spread_words(conduct.follow_up)
    if conduct.registered != "unreported":
        yield "registered", conduct.registered
    others = [each for each in studies if each.cohort == study.cohort and each.id != study.id]
    if others:
        named = ", ".join(f"{each.label} ({each.id})" for each in others)
        yield "cohort", f"{study.cohort}, with {named}; a question takes one report of it"
    yield "note", study.note or ""


def _show_arm(study: Study, arm: Arm, studies: Studies) -> None:
    show_heading(f"Arm {arm.id}{f': {arm.label}' if arm.label else ''}")
    _show_facts(_arm(arm))
    findings = [(n, each) for n, each in enumerate(study.findings) if each.arm == arm.id]
    if findings:
        show_table(_findings_table(findings, studies))
    else:
        say("")
    remarks = [
        f"{number}: {'; '.join(remark.rstrip('.') for remark in found)}"
        for number, each in findings
        if (found := [*_remarks(each)])
    ]
    show_list(f"Remarks on arm {arm.id}, by number", remarks)


def _arm(arm: Arm) -> Iterator[tuple[str, str]]:
    from metacart.report.cells import spread_words

    treated = {"first": "first infusion", "retreatment": "re-treatment", "mixed": "first or later"}
    same = {True: "the product of the first infusion", False: "another product than the first"}
    before = None if arm.prior_scfv is None else f"after a product with scFv {arm.prior_scfv}"
    infusion = (
        arm.disease,
        treated[arm.infusion],
        arm.reason and f"reason: {arm.reason}",
        before,
        None if arm.same_product is None else same[arm.same_product],
    )
    yield "treated", "; ".join(filter(None, infusion))
    certain = " (inferred)" if arm.scfv_certainty == "inferred" else ""
    built = (
        f"target {arm.target}",
        f"scFv {arm.scfv}{certain}",
        arm.costimulation,
        arm.vector,
    )
    yield "product", "; ".join(filter(None, built))
    yield "scFv", arm.scfv_evidence or ""
    known = [f"{number} {name}" for name, number in arm.patients if number is not None]
    yield "patients", ", ".join(known)
    if arm.age is not None:
        yield "age", spread_words(arm.age)
    if arm.prior_hsct is not None:
        yield "transplant", f"before in {arm.prior_hsct.events} of {arm.prior_hsct.total}"
    if arm.attributes:
        yield "columns", ", ".join(f"{name} = {value}" for name, value in arm.attributes.items())
    yield "among", ", ".join(arm.shares_patients_with)
    yield "selected", arm.selected or ""
    yield "note", arm.note or ""


def _findings_table(findings: list[tuple[int, Finding]], studies: Studies) -> Table:
    from metacart.evidence.values import value_words
    from metacart.records.vocabulary import EXPOSURES
    from metacart.report.words import outcome_of

    rows = []
    for number, finding in findings:
        outcome = outcome_of(finding.outcome, studies.vocabulary).title
        compared = finding.comparison or EXPOSURES.get(finding.exposure or "")
        rows.append(
            Row(
                (
                    f"{number}{'*' if finding.set_aside else ''}",
                    f"{outcome} by {compared}" if compared else outcome,
                    value_words(finding),
                    finding.population,
                    finding.timepoint,
                    finding.grading,
                    finding.at,
                )
            )
        )
    return table_of(
        "",
        [
            Column("#", "number"),
            Column("outcome", "text"),
            Column("reported", "text"),
            Column("of the"),
            Column("when", "text"),
            Column("graded by"),
            Column("place in the paper", "text"),
        ],
        rows,
    )


def _remarks(finding: Finding) -> Iterator[str]:
    if finding.set_aside:
        yield f"* set aside: {finding.set_aside}"
    if finding.caution:
        yield f"caution: {finding.caution}"
    if finding.misprint:
        yield f"misprinted as {finding.misprint.printed}: {finding.misprint.why}"
    if finding.reported_by:
        yield f"seen in {finding.reported_by}, not in the paper itself"
    if finding.time_handling:
        yield f"the time before transplant is {finding.time_handling}"
    if finding.printed_as:
        yield f"printed as {finding.printed_as}"
    if finding.definition:
        yield f"defined as {finding.definition}"
    if finding.note:
        yield finding.note


def _show_bias(study: Study) -> None:
    from metacart.evidence.bias.judged import judgements
    from metacart.records.risk_of_bias import INSTRUMENTS

    for tool, instrument in INSTRUMENTS.items():
        rows = list(judgements(study, tool))
        decided = [row for row in rows if row["decided_by"] != "nobody"]
        if not decided:
            continue
        left = len(rows) - len(decided)
        still = f"; {count_of(left, 'item')} that nobody has judged" if left else ""
        show_table(
            table_of(
                f"Risk of bias, {instrument.title}{still}",
                [
                    Column("item", "text"),
                    Column("judged", "text"),
                    Column("why", "text"),
                    Column("by"),
                ],
                [
                    (row["question"], row["judgement"], row["why"], row["decided_by"])
                    for row in decided
                ],
            )
        )
