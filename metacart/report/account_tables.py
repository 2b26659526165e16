"""What was left out and by which rule, and what papers report where nothing can be pooled."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from metacart.evidence.collection import Studies
from metacart.evidence.columns import levels_of, matches, recoded
from metacart.records.spec import ModelSpec
from metacart.records.study import Arm, Finding, Study
from metacart.report.cells import level_cell, study_cell, when_cell
from metacart.report.questions import Question
from metacart.report.tables import Column, Row, Table, table_of
from metacart.report.words import capital, column_words, count_of, join, outcome_of, percent

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["crude_table", "exclusion_table", "left_out_levels", "other_findings", "studies_shown"]


def _bears(question: Question, studies: Studies) -> pd.Series[bool]:
    """Which findings of the account are about the outcome of the question."""
    table, spec = question.account, question.spec
    graded_by = outcome_of(spec.outcome, studies.vocabulary).graded_by
    graded = (table["kind"] == "grades") & (table["outcome"] == graded_by)
    return (table["outcome"] == spec.outcome) | graded


def exclusion_table(question: Question, studies: Studies) -> Table:
    """Return the findings of the outcome that were left out, each with its rule."""
    left = question.account[_bears(question, studies) & ~question.account["used"]]
    body = [
        (
            row["label"],
            _arm_of(studies, row).label or row["arm"],
            when_cell(row),
            row["value"],
            _reader_rule(str(row["rule"])),
            row["at"],
        )
        for row in left.to_dict("records")
    ]
    outcome = outcome_of(question.spec.outcome, studies.vocabulary).title
    return table_of(
        f"Left out: {count_of(len(body), 'finding')} of {outcome}",
        [
            Column("Study"),
            Column("Arm", "text"),
            Column("Patients, time"),
            Column("Reported", "number"),
            Column("Why it is left out", "text"),
            Column("Place in the paper", "text"),
        ],
        body,
    )


def _reader_rule(rule: str) -> str:
    """Return a rule without the words for those who write questions."""
    return capital(re.sub(r" \(admit = .*\)$", "", rule))


def _arm_of(studies: Studies, row: dict[Any, Any]) -> Arm:
    return studies[str(row["study"])].arm(str(row["arm"]))


def other_findings(question: Question, studies: Studies) -> str:
    """Say how many findings are about other outcomes, and which."""
    left = question.account[~_bears(question, studies)]
    if left.empty:
        return ""
    counts = Counter(
        outcome_of(str(name), studies.vocabulary).title for name in left["outcome"]
    ).most_common()
    listed = join(f"{title} ({number})" for title, number in counts)
    are = "finding is" if len(left) == 1 else "findings are"
    return f"{len(left)} more {are} about other outcomes: {listed}."


def _asked_about(
    question: Question, studies: Studies
) -> Iterator[tuple[dict[Any, Any], Study, Arm, Finding, dict[str, Any]]]:
    """Give each finding that the question is about, kept or left out, with its levels.

    These are the findings of its outcome and its kind in arms that pass its filters.
    """
    spec = question.spec
    for row in question.account[_bears(question, studies)].to_dict("records"):
        study, arm = studies[str(row["study"])], _arm_of(studies, row)
        finding = study.findings[int(row["finding"])]
        if _asked_for(study, arm, finding, spec):
            levels = levels_of(study, arm, finding.grading)
            own = {name: recoded(name, levels.get(name), spec) for name in spec.moderators}
            yield row, study, arm, finding, own


def crude_table(question: Question, studies: Studies) -> Table:
    """Return every finding that the question is about as reported, kept or left out."""
    body = []
    for row, study, arm, finding, levels in _asked_about(question, studies):
        value = str(row["value"])
        if finding.count is not None:
            value += f" ({percent(finding.count.events / finding.count.total)} %)"
        kept = "Passes the rules." if row["used"] else f"Left out. {_reader_rule(str(row['rule']))}"
        why = Markup("{}<small>{}</small>").format(kept, finding.at)
        own = [level_cell(level) for level in levels.values()]
        cells = (study_cell(study), arm.label or arm.id, when_cell(row), value, *own, why)
        body.append(Row(cells, "" if row["used"] else "weak"))
    return table_of(
        "What the papers report, arm by arm; nothing is pooled here",
        [
            Column("Study"),
            Column("Arm", "text"),
            Column("Patients, time"),
            Column("Reported", "number"),
            *(Column(capital(column_words(name))) for name in question.spec.moderators),
            Column("Which rule decided, and place in the paper", "text"),
        ],
        body,
    )


def left_out_levels(question: Question, studies: Studies) -> list[str]:
    """Say what was left out at a level that the question compares and that no used arm has."""
    rows = list(_asked_about(question, studies))
    sentences = []
    for name, *pair in question.spec.contrasts:
        for level in pair:
            having = [each for each in rows if level_cell(each[4][name]) == level_cell(level)]
            if having and not any(each[0]["used"] for each in having):
                listed = join(
                    f"{study.label}, {arm.label or arm.id}: {row['value']}"
                    for row, study, arm, _, _ in having
                )
                sentences.append(
                    f"The {level_cell(level)} findings were left out by a rule ({listed}); "
                    "the table says why."
                )
    return sentences


def _asked_for(study: Study, arm: Arm, finding: Finding, spec: ModelSpec) -> bool:
    """Whether a finding compares what the question compares, in an arm that it asks for."""
    if finding.exposure != spec.exposure:
        return False
    for name, wanted in spec.include.items():
        level = levels_of(study, arm, finding.grading).get(name)
        names = [level, recoded(name, level, spec), *([f"{study.id}/{arm.id}"] * (name == "arm"))]
        if not any(matches(each, wanted) for each in names):
            return False
    return True


def studies_shown(question: Question, studies: Studies) -> list[Study]:
    """Return the studies that the answer rests on, or else those that it would be about."""
    if question.evidence is not None:
        ids = set(question.evidence["study"].astype(str))
    else:
        ids = set(question.account.loc[_bears(question, studies), "study"].astype(str))
    return [study for study in studies if study.id in ids]
