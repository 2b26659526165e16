"""The studies as one table, all of them or those with an arm that fits what is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metacart.errors import Fault, InputError, did_you_mean, nearest
from metacart.report.tables import Column, Table, table_of

if TYPE_CHECKING:
    from metacart.evidence.collection import Studies
    from metacart.records.study import Arm, Finding, Study

__all__ = ["Entry", "entries", "outcome_table", "study_table"]

# the first of these that a paper gives is the number of patients of an arm
_COUNTED = ("infused", "enrolled", "evaluable")
# the options that ask for arms
_OF_ARMS = ("infusion", "target", "scfv")
# in fewer columns a table of all words is hard to read
_ROOMY = 100


@dataclass(frozen=True, slots=True)
class Entry:
    """A study with its arms and findings that fit."""

    study: Study
    arms: tuple[Arm, ...]
    findings: tuple[Finding, ...]


def entries(studies: Studies, asked: Mapping[str, Sequence[str]]) -> list[Entry]:
    """Return the studies that have an arm that fits.

    Parameters
    ----------
    studies : Studies
    asked : mapping of str to sequence of str
        ``outcome``, ``infusion``, ``target``, ``scfv`` and ``cohort``: the words of which one must
        stand there; none where it makes no difference.

    Raises
    ------
    InputError
        For words that are not known.
    """
    _check_words(studies, asked)
    found = []
    for study in studies:
        if asked.get("cohort") and study.cohort not in asked["cohort"]:
            continue
        arms, findings = [], []
        for arm in study.arms:
            if all(getattr(arm, name) in asked[name] for name in _OF_ARMS if asked.get(name)):
                of_arm = [each for each in study.findings if each.arm == arm.id]
                fitting = [each for each in of_arm if _reports(each, asked, studies)]
                if fitting or not asked.get("outcome"):
                    arms.append(arm)
                    findings += fitting
        if arms:
            found.append(Entry(study, tuple(arms), tuple(findings)))
    return found


def _reports(finding: Finding, asked: Mapping[str, Sequence[str]], studies: Studies) -> bool:
    """Whether a finding is of one of the outcomes, or is the table of grades that gives it."""
    wanted = asked.get("outcome")
    if not wanted or finding.outcome in wanted:
        return True
    graded = {studies.vocabulary[name].graded_by for name in wanted}
    return finding.grades is not None and finding.outcome in graded


def _check_words(studies: Studies, asked: Mapping[str, Sequence[str]]) -> None:
    from metacart.evidence.columns import known_levels

    levels = known_levels(studies)
    known = {name: [str(level) for level in levels[name]] for name in _OF_ARMS}
    known["outcome"] = [*studies.vocabulary]
    often = Counter(study.cohort for study in studies)
    known["cohort"] = [name for name in often if often[name] > 1]
    faults = []
    for name, words in asked.items():
        for word in words:
            if word not in known[name] and not (name == "cohort" and word in often):
                within = next((each for each in known[name] if word in each), "")
                hint = did_you_mean(within) if within else nearest(word, known[name])
                allowed = ", ".join(known[name])
                faults.append(Fault(f"--{name}", f"'{word}' is not known", allowed, hint))
    if faults:
        raise InputError(faults)


def study_table(found: Sequence[Entry], studies: Studies, *, width: int) -> Table:
    """Return a table of a row a study, with fewer columns where a line holds less."""
    shared = Counter(study.cohort for study in studies)
    columns = [
        Column("study"),
        Column("year", "number"),
        Column("arms", "number"),
        Column("patients", "number"),
        Column("infusion"),
        Column("target"),
        Column("scFv"),
        Column("outcomes", "number"),
        Column("cohort"),
    ]
    rows = [
        (
            entry.study.id,
            entry.study.citation.year,
            len(entry.arms),
            _patients(entry),
            _all(_SHORT.get(arm.infusion, arm.infusion) for arm in entry.arms),
            _all(arm.target for arm in entry.arms),
            _all(arm.scfv for arm in entry.arms),
            len({finding.outcome for finding in entry.findings}),
            entry.study.cohort if shared[entry.study.cohort] > 1 else "",
        )
        for entry in found
    ]
    kept = [
        number
        for number, column in enumerate(columns)
        if width >= _ROOMY or column.heading not in ("scFv", "cohort")
    ]
    return table_of(
        "Studies",
        [columns[number] for number in kept],
        [tuple(row[number] for number in kept) for row in rows],
    )


_SHORT = {"retreatment": "again", "mixed": "both"}


def _all(words: Iterator[str]) -> str:
    return ", ".join(dict.fromkeys(words))


def _patients(entry: Entry) -> str:
    """Return how many patients there are; each counts in one arm only.

    A star marks numbers that are not all of infused patients.
    """
    total, others = 0, False
    mine = {arm.id for arm in entry.arms}
    for arm in entry.arms:
        if not mine.isdisjoint(arm.shares_patients_with):
            continue
        known = ((name, getattr(arm.patients, name)) for name in _COUNTED)
        name, number = next((each for each in known if each[1] is not None), ("", 0))
        total += number
        others = others or name != "infused"
    return f"{total}{'*' if others else ''}" if total else ""


def outcome_table(studies: Studies) -> Table:
    """Return the outcomes that studies report."""
    found = Counter(finding.outcome for study in studies for finding in study.findings)
    within = Counter(
        name for study in studies for name in {finding.outcome for finding in study.findings}
    )
    return table_of(
        "What they report",
        [Column("outcome"), Column("studies", "number"), Column("findings", "number")],
        [(name, within[name], number) for name, number in found.most_common()],
    )
