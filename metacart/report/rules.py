"""Why a finding was left out, in the words of a reader."""

from __future__ import annotations

import re

from metacart.evidence.collection import Studies
from metacart.records.study import Arm, Study
from metacart.report.words import capital, column_words, join, level_word

__all__ = ["reader_rule"]

_INFUSIONS = {
    "first": "first infusions",
    "retreatment": "re-treatment",
    "mixed": "first and later infusions together",
}
_GIVEN = {
    "first": "a first infusion",
    "retreatment": "given as re-treatment",
    "mixed": "first and later infusions together",
}
_KINDS = (
    "(?:counts|ratios|hazard ratios|survival at one time|pairs of survival|contrasts of counts|"
    "tables of grades, or counts)"
)
_SECOND = "another report on patients who are counted already"
# the rule of the account; its reason; what differs between findings of that reason
_RULES: tuple[tuple[str, str, str], ...] = (
    (
        r"a comparison by (.+); the question is about whole arms",
        "compares groups inside an arm; the question is about whole arms",
        "by {0}",
    ),
    (r"a comparison by (.+)", "compares other groups than the question does", "by {0}"),
    (r"no comparison by (.+)", "does not compare patients with and without {0}", ""),
    (
        r"a contrast of counts; the question takes ratios",
        "counts in two groups, where the question needs printed ratios",
        "",
    ),
    (
        rf"(.+); the question takes ({_KINDS}(?: or {_KINDS})*)",
        "{0}, where the question needs {1}",
        "",
    ),
    (
        r"no interval(?: is|s are) printed",
        "without an interval: how precise it is cannot be known",
        "",
    ),
    (
        r"an estimate of 0 or 1 has no standard error(?:; its counts are to be used)?",
        "all or none survived: such an estimate has no standard error",
        "",
    ),
    (
        r"its two intervals are of different levels",
        "the intervals of the two groups are of different levels",
        "",
    ),
    (r"a table of grades; (.+) has no lowest grade", "a table of grades without a cut", ""),
    (
        r"grades (.+) lie on both sides of the cut at grade (\d)",
        "its grades cannot be divided at the cut of the question",
        "grades {0}, cut at {1}",
    ),
    (
        r"findings\[\d+\] has the grades of these patients",
        "a table of all grades of the same patients is counted instead",
        "",
    ),
    (
        r"of (\d+) patients, findings\[\d+\] of (\d+): one denominator a table, the larger",
        "of fewer patients than the other counts of its arm, with which it makes no table",
        "{0}, not {1}",
    ),
    (
        r"graded on (.+), findings\[\d+\] on another system",
        "graded on another system than the other counts of its arm",
        "{0}",
    ),
    (
        r"more patients than with a lower grade",
        "more patients than with a lower grade: they make no table",
        "",
    ),
    (
        r"(\d+) patients, but (\d+) came through .+: not the same patients",
        "not of the patients who came through the stage before",
        "{0}, where {1} came through",
    ),
    (r"no patients", "no patients", ""),
    (r"its interval is misprinted: (.+)", "its interval is a misprint", "{0}"),
    (r"set aside: (.+)", "set aside in the study file", "{0}"),
    (r"only quoted by (.+); .+", "quoted from another paper", "in {0}"),
    (
        r"of the (\w+); the question takes .+",
        "of other patients than the question counts",
        "{0} only",
    ),
    (
        r"at (.+); the question takes .+",
        "assessed at another time than the question asks for",
        "{0}",
    ),
    (r"patients selected: (.+)", "its patients were selected", "{0}"),
    (r"(.+); findings\[\d+\] comes first", _SECOND, "of equal rank; the first one is taken"),
    (r"(.+); (.+) comes first", _SECOND, "{0}; {1} comes first"),
    (
        r"its measure is the (.+); most give the (.+)",
        "another measure than most papers give",
        "{0}, not {1}",
    ),
    (r"one report a cohort \(.+\): (.+)", "another paper on the same patients is taken", "{0}"),
)


def reader_rule(
    rule: str, study: Study, arm: Arm, studies: Studies | None = None
) -> tuple[str, str]:
    """Return the reason why a finding was left out, and what is particular to it.

    Parameters
    ----------
    rule : str
        From ``account``.
    study, arm : Study, Arm
        Of the finding.
    studies : Studies, optional
        Those that were asked, for the names of arms of other papers.

    Returns
    -------
    tuple of str
        Findings with the same reason belong together; the second part may be empty.
    """
    plain = re.sub(r" \((?:admit|representative) = .*\)$", "", rule)
    if found := re.fullmatch(r"its patients are among those of (.+)", plain):
        names = [_arm_named(each, study, studies) for each in re.findall(r"'([^']+)'", found[1])]
        return (
            "Its patients are counted already, in another arm",
            join(f"among those of {name}" for name in names),
        )
    if found := re.fullmatch(r"(\w+) (is (.+)|is not stated); the question takes (.+)", plain):
        return _filtered(found[1], found[3], found[4].split(", "), arm), ""
    for pattern, reason, detail in _RULES:
        if found := re.fullmatch(pattern, plain):
            return capital(reason.format(*found.groups())), detail.format(*found.groups())
    return capital(plain), ""


def _arm_named(name: str, study: Study, studies: Studies | None) -> str:
    """Return an arm as a reader knows it: its label, with the paper where that is another."""
    paper, _, arm = name.rpartition("/")
    if not paper:
        return study.arm(arm).label or arm
    other = next((each for each in studies or () if each.id == paper), None)
    return f"{other.label}, {other.arm(arm).label or arm}" if other is not None else name


def _filtered(name: str, level: str | None, wanted: list[str], arm: Arm) -> str:
    """Return a filter of the question in words."""
    about = "the question is about"
    if name == "infusion":
        asks = join((_INFUSIONS.get(each, each) for each in wanted), "or")
        return f"{capital(_GIVEN[arm.infusion])}; {about} {asks}"
    if name == "target":
        asks = join(("two targets" if each == "dual" else f"{each} alone" for each in wanted), "or")
        given = join(arm.targets, "or" if level == "mixed" else "and")
        return f"Aimed at {given}; {about} {asks}"
    given = "not stated" if level is None else level_word(level)
    asks = join((level_word(each) for each in wanted), "or")
    return f"{capital(column_words(name))}: {given}; {about} {asks}"
