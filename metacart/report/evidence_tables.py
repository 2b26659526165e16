"""The findings that an answer rests on, and where their papers contradict themselves."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from metacart.evidence.collection import Studies
from metacart.evidence.columns import counts_of_arms
from metacart.evidence.values import value_words
from metacart.records.study import Finding, Study
from metacart.records.value import Ratio
from metacart.report.cells import link_to, links_of, recorded_level, study_cell, when_cell
from metacart.report.questions import Question
from metacart.report.tables import Column, Table, table_of
from metacart.report.words import capital, column_words, count_of, join, percent

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["discrepancy_tables", "evidence_table", "place_cell"]


def evidence_table(
    question: Question, studies: Studies, estimates: pd.DataFrame | None = None
) -> Table:
    """Return the findings used, each with its place in the paper.

    Parameters
    ----------
    question : Question
        With its evidence.
    studies : Studies
        From which it comes.
    estimates : DataFrame, optional
        From ``study_estimates``: the exact intervals of counts.
    """
    evidence = question.evidence
    assert evidence is not None
    rules, values = _rules(question.account), _value_columns(evidence)
    records = evidence.to_dict("records")
    body = []
    for position, row in enumerate(records):
        study = studies[str(row["study"])]
        finding = study.findings[int(row["finding"])]
        limits = None if estimates is None else estimates.iloc[position]
        body.append(
            (
                study_cell(study),
                row["arm_label"],
                when_cell(row),
                *_value_cells(finding, row, limits)[-len(values) :],
                *(
                    recorded_level(name, study, study.arm(finding.arm), finding, question.spec)
                    for name in question.spec.moderator_columns
                ),
                place_cell(
                    study,
                    finding,
                    _remarks(finding, rules.get((study.id, int(row["finding"])), "")),
                ),
            )
        )
    columns = [
        Column("Study"),
        Column("Arm", "text"),
        Column("Patients, time"),
        *values,
        *(Column(capital(column_words(name))) for name in question.spec.moderator_columns),
        Column("Place in the paper", "text"),
    ]
    return table_of(f"Evidence used: {count_of(len(records), 'finding')}", columns, body)


def _value_columns(evidence: pd.DataFrame) -> tuple[Column, ...]:
    if counts_of_arms(evidence):
        return Column("Events / patients", "number"), Column("Rate, % (exact 95 %)", "number")
    if "kind" in evidence:
        waiting = Column("Waiting time before transplant")
        return waiting, Column("Reported (95 % interval)", "number")
    if "survival" in evidence:
        return (Column("Survival, % (95 % interval)", "number"),)
    return (Column("Events / patients of both groups", "number"),)


def _value_cells(finding: Finding, row: dict[Any, Any], limits: Any) -> tuple[str, ...]:
    waiting = _WAITING.get(finding.time_handling or "", "")
    if finding.ratio is not None:
        return waiting, _ratio_words(finding.ratio)
    if finding.exposure is not None:
        return waiting, value_words(finding)
    if finding.survival is None:
        return _count_cells(row, limits)
    ends = f"{percent(row['lower'])} to {percent(row['upper'])}"
    level = "" if row["level"] == 0.95 else f", {percent(row['level'])} %"
    return (f"{percent(row['survival'])} ({ends}{level})",)


_WAITING = {
    "time-fixed": "not handled (time-fixed)",
    "landmark": "handled (landmark)",
    "time-dependent": "handled (time-dependent)",
    "unclear": "unclear, taken as not handled",
}


def _ratio_words(ratio: Ratio) -> str:
    level = "" if ratio.level == 0.95 else f", {percent(ratio.level)} %"
    # as printed, the last digit the paper's; three digits where it is turned round
    turned = ratio.oriented()
    form = ".3g" if ratio.reversed else "g"
    ends = f"{turned.lower:{form}} to {turned.upper:{form}}{level}"
    printed = f"; printed for the reverse, {ratio.estimate:g}" if ratio.reversed else ""
    return f"{ratio.measure.upper()} {turned.estimate:{form}} ({ends}){printed}"


def _count_cells(row: dict[Any, Any], limits: Any) -> tuple[str, str]:
    events, total = int(row["events"]), int(row["total"])
    rate = percent(events / total)
    if limits is not None:
        rate += f" ({percent(limits['crude_lower'])} to {percent(limits['crude_upper'])})"
    return f"{events}/{total}", rate


def place_cell(study: Study, finding: Finding, remarks: str = "") -> Markup:
    """Return where a number stands, as a link to the paper unless it stands in another one."""
    address = next((each for _, each in links_of(study.citation) if each), "")
    cell = link_to(finding.at, "" if finding.reported_by else address)
    return cell + Markup("<small>{}</small>").format(remarks) if remarks else cell


def _remarks(finding: Finding, rule: str) -> str:
    parts = [part.strip() for part in rule.split(";") if part.strip() not in ("", "used")]
    if finding.ratio is not None:
        words = join(finding.ratio.adjusted_for)
        parts.append(f"adjusted for {words}" if words else "not adjusted")
    if finding.printed_as:
        parts.append(f"printed as {finding.printed_as}")
    if finding.misprint:
        parts.append(f"prints {finding.misprint.printed}: {finding.misprint.why}")
    if finding.definition:
        parts.append(finding.definition)
    return capital("; ".join(parts))


def _rules(account: pd.DataFrame) -> dict[tuple[str, int], str]:
    return {
        (str(row["study"]), int(row["finding"])): str(row["rule"])
        for row in account.to_dict("records")
    }


def discrepancy_tables(shown: Iterable[Study], about: Collection[str] | None = None) -> list[Table]:
    """Return where each paper contradicts itself, and what was recorded.

    Parameters
    ----------
    shown : iterable of Study
        The papers.
    about : collection of str, optional
        Outcomes, exposures and columns: only what bears on one of these; everything by default.
    """
    chosen = {
        study.label: [
            each
            for each in study.discrepancies
            if about is None or not set(about).isdisjoint(each.bears_on)
        ]
        for study in shown
    }
    return [
        table_of(
            label,
            [
                Column("Place in the paper", "text"),
                Column("Printed", "text"),
                Column("Recorded", "text"),
                Column("Why", "prose"),
            ],
            [(each.at, each.printed, each.recorded, each.why) for each in found],
        )
        for label, found in chosen.items()
        if found
    ]
