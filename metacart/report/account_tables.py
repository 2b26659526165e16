"""What was left out and by which rule, and what papers report where nothing can be pooled."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from metacart.evidence.collection import Studies
from metacart.evidence.columns import levels_of, matches, recoded
from metacart.evidence.denominators import mixing
from metacart.records.spec import ModelSpec
from metacart.records.study import Arm, Finding, Study
from metacart.report.cells import exact_rate, level_cell, recorded_level, study_cell, when_cell
from metacart.report.questions import Question
from metacart.report.rules import reader_rule
from metacart.report.tables import Column, Row, Table, table_of
from metacart.report.words import asked_of, capital, column_words, count_of, join, outcome_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "LeftOut",
    "crude_table",
    "left_out",
    "left_out_levels",
    "other_findings",
    "studies_shown",
]

# what an arm was given, as against who was treated and when: an arm that differs in nothing else
# from what a question asks for is shown beside the others where nothing is pooled
_PRODUCT = ("scfv", "scfv_certainty", "same_product", "target", "costimulation")


def _bears(question: Question, studies: Studies) -> pd.Series[bool]:
    """Which findings of the account are about the outcome of the question."""
    table, spec = question.account, question.spec
    names = [name for name in (spec.outcome, *spec.outcomes) if name]
    graded_by = [outcome_of(name, studies.vocabulary).graded_by for name in names]
    graded = (table["kind"] == "grades") & table["outcome"].isin(graded_by)
    return table["outcome"].isin(names) | graded


@dataclass(frozen=True, slots=True)
class LeftOut:
    """The findings of the outcome that were left out, by reason.

    Attributes
    ----------
    caption : str
        How many findings, for how many reasons.
    count : int
        How many findings.
    tables : tuple of Table
        One a reason, the commonest first; its caption is the reason.
    mixing : str
        Which of the findings used are of other patients than the question wants first.
    """

    caption: str
    count: int
    tables: tuple[Table, ...]
    mixing: str = ""


def _left_out(question: Question, studies: Studies) -> dict[str, list[tuple[str, ...]]]:
    """Return the rows of what was left out, by reason, the commonest first."""
    left = question.account[_bears(question, studies) & ~question.account["used"]]
    groups: dict[str, list[tuple[str, ...]]] = {}
    for row in left.to_dict("records"):
        arm = _arm_of(studies, row)
        study = studies[str(row["study"])]
        reason, detail = reader_rule(str(row["rule"]), study, arm, studies)
        compared = study.findings[int(row["finding"])].comparison
        if compared and compared not in detail:
            detail = "; ".join(part for part in (detail, compared) if part)
        cells = (row["label"], arm.label or arm.id, when_cell(row), row["value"], detail, row["at"])
        groups.setdefault(reason, []).append(cells)
    return dict(sorted(groups.items(), key=lambda group: -len(group[1])))


def left_out(question: Question, studies: Studies) -> LeftOut:
    """Return the findings of the outcome that were left out, one table a reason."""
    groups = _left_out(question, studies)
    count = sum(map(len, groups.values()))
    outcome = asked_of(question.spec, studies.vocabulary).title
    reasons = f", for {count_of(len(groups), 'reason')}" if len(groups) > 1 else ""
    columns = [
        Column("Study"),
        Column("Arm", "text"),
        Column("Patients, time"),
        Column("Reported", "number"),
        Column("In particular", "text"),
        Column("Place in the paper", "text"),
    ]
    return LeftOut(
        f"Left out: {count_of(count, 'finding')} of {outcome}{reasons}",
        count,
        tuple(
            table_of(f"{reason}: {count_of(len(rows), 'finding')}", columns, rows)
            for reason, rows in groups.items()
        ),
        "" if question.evidence is None else mixing(question.evidence, question.spec),
    )


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


@dataclass(frozen=True, slots=True)
class _Asked:
    """A finding that the question is about, kept or left out."""

    row: dict[Any, Any]
    study: Study
    arm: Arm
    finding: Finding

    def levels(self, spec: ModelSpec) -> dict[str, str]:
        """Return the levels that the question compares, as recorded."""
        given = (self.study, self.arm, self.finding, spec)
        return {name: recorded_level(name, *given) for name in spec.moderator_columns}

    def counted(self, name: str, spec: ModelSpec) -> str:
        """Return a level as the question counts it."""
        levels = levels_of(self.study, self.arm, self.finding.grading)
        return level_cell(recoded(name, levels.get(name), spec))


def _asked_about(question: Question, studies: Studies) -> list[_Asked]:
    """Return each finding that the question is about, kept or left out.

    These are the findings of its outcome and its kind in arms of the patients and the situation
    that it asks for; the product may be another one.
    """
    found = []
    for row in question.account[_bears(question, studies)].to_dict("records"):
        study, arm = studies[str(row["study"])], _arm_of(studies, row)
        finding = study.findings[int(row["finding"])]
        if _asked_for(study, arm, finding, question.spec):
            found.append(_Asked(row, study, arm, finding))
    return found


def crude_table(question: Question, studies: Studies) -> Table:
    """Return every finding that the question is about as reported, kept or left out."""
    spec, asked = question.spec, _asked_about(question, studies)
    before = "scfv" in spec.moderators and "prior_scfv" not in spec.moderators
    body = []
    for each in asked:
        count = each.finding.count
        rate = exact_rate(count.events, count.total) if count is not None else ""
        prior = each.arm.prior_scfv if before else None
        cells = (
            study_cell(each.study),
            each.arm.label or each.arm.id,
            when_cell(each.row),
            str(each.row["value"]),
            rate,
            *each.levels(spec).values(),
            level_cell(prior) if prior else "",
            Markup("{}<small>{}</small>").format(_why(each, asked, spec, studies), each.finding.at),
        )
        body.append(Row(cells, "" if each.row["used"] else "weak"))
    return table_of(
        "What the papers report, arm by arm; nothing is pooled here",
        [
            Column("Study"),
            Column("Arm", "text"),
            Column("Patients, time"),
            Column("Reported", "number"),
            Column("Rate, % (exact 95 %)", "number"),
            *(Column(capital(column_words(name))) for name in spec.moderator_columns),
            Column(capital(column_words("prior_scfv"))),
            Column("Why it answers nothing here, and place in the paper", "prose"),
        ],
        body,
    )


def _why(each: _Asked, asked: list[_Asked], spec: ModelSpec, studies: Studies) -> str:
    """Say why a finding cannot be compared with the others."""
    inferred = each.arm.scfv_certainty == "inferred" and "scfv" in spec.moderator_columns
    basis = f" scFv origin inferred: {each.arm.scfv_evidence}." if inferred else ""
    if not each.row["used"]:
        reason, detail = reader_rule(str(each.row["rule"]), each.study, each.arm, studies)
        return f"{reason}{f': {detail}' if detail else ''}.{basis}"
    used = [other for other in asked if other.row["used"]]
    gone = [
        level_cell(level)
        for name, *pair in spec.contrasts
        for level in pair
        if level_cell(level) not in [other.counted(name, spec) for other in used]
    ]
    if not gone:
        return f"Passes the rules.{basis}"
    return f"Passes the rules, but no arm that does is {join(gone, 'or')}.{basis}"


def left_out_levels(question: Question, studies: Studies) -> list[str]:
    """Say what was left out at a level that the question compares and that no used arm has."""
    spec, asked = question.spec, _asked_about(question, studies)
    sentences = []
    for name, *pair in spec.contrasts:
        for level in map(level_cell, pair):
            having = [each for each in asked if each.counted(name, spec) == level]
            if having and not any(each.row["used"] for each in having):
                listed = "; ".join(
                    f"{each.study.label}, {each.arm.label or each.arm.id}: {each.row['value']}"
                    + (f", {shown}" if (shown := each.levels(spec)[name]) != level else "")
                    for each in having
                )
                findings = count_of(len(having), f"{level} finding")
                is_ = (
                    "is reported and left out" if len(having) == 1 else "are reported and left out"
                )
                sentences.append(f"{capital(findings)} {is_} ({listed}); the table says why.")
    return sentences


def _asked_for(study: Study, arm: Arm, finding: Finding, spec: ModelSpec) -> bool:
    """Whether a finding compares what the question compares, in patients that it asks for."""
    if finding.exposure != spec.exposure:
        return False
    for name, wanted in spec.include.items():
        level = levels_of(study, arm, finding.grading).get(name)
        names = [level, recoded(name, level, spec), *([f"{study.id}/{arm.id}"] * (name == "arm"))]
        if name not in _PRODUCT and not any(matches(each, wanted) for each in names):
            return False
    return True


def studies_shown(question: Question, studies: Studies) -> list[Study]:
    """Return the studies that the answer rests on, or else those that it would be about."""
    if question.answerable and question.evidence is not None:
        ids = set(question.evidence["study"].astype(str))
    else:
        ids = {each.study.id for each in _asked_about(question, studies)}
    return [study for study in studies if study.id in ids]
