"""What an answer is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from metacart.evidence.collection import Studies
from metacart.evidence.values import value_words
from metacart.records.study import Finding
from metacart.report.words import join, outcome_of, percent

__all__ = [
    "Answer",
    "Reading",
    "adjusted_words",
    "kept",
    "place_of",
    "printed_ratio",
    "printed_words",
]


# what stands before a grade, and before a grading system
_OF_GRADES = {"at_least": "", "system": "graded by "}


@dataclass(frozen=True, slots=True)
class Reading:
    """One of several answers that stand side by side.

    Attributes
    ----------
    name : str
        Whose ratio it is, and in which reading.
    value, interval : str
        The ratio and its 95 % interval.
    words : str
        How it came about.
    next_study : str
        The same of the next study; empty where there is none.
    printed : tuple of str
        What the papers print.
    """

    name: str
    value: str
    interval: str
    words: str
    next_study: str = ""
    printed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer in plain words.

    Attributes
    ----------
    short : str
        For the list of answers at the top of the page.
    estimand : str
        Of what the short answer is an estimate.
    lead : tuple of Markup
        The first sentences.
    readings : tuple of Reading
        The naive and the adjusted answer, where there are two.
    cautions : tuple of str
        What the reader must know before using it.
    remarks : tuple of str
        Cautions about single papers, where there are too many to stand beside the answer.
    conclusion : str
        One sentence to quote.
    """

    short: str
    estimand: str
    lead: tuple[Markup, ...]
    readings: tuple[Reading, ...] = ()
    cautions: tuple[str, ...] = ()
    conclusion: str = ""
    remarks: tuple[str, ...] = ()


def kept(text: str) -> str:
    """Return an interval that is not broken over two lines."""
    return text.replace(" ", "\u00a0")


def printed_ratio(finding: Finding) -> tuple[str, str]:
    """Return a ratio and its interval with the digits of the paper, or three where reversed."""
    ratio: Any = finding.ratio
    turned, form = ratio.oriented(), ".3g" if ratio.reversed else "g"
    level = "" if ratio.level == 0.95 else f" ({percent(ratio.level)} % interval)"
    ends = f"{turned.lower:{form}} to {turned.upper:{form}}{level}"
    return f"{turned.estimate:{form}}", ends


def printed_words(finding: Finding) -> str:
    """Return what a paper prints of two groups: ``0.25 (0.07 to 0.92)``, or ``2/27 v 9/18``."""
    if finding.ratio is None:
        return value_words(finding)
    return f"{' ('.join(printed_ratio(finding))})"


def adjusted_words(finding: Finding) -> str:
    """Return for what a printed ratio is adjusted."""
    words = join(finding.ratio.adjusted_for) if finding.ratio else ""
    return f"adjusted for {words}" if words else "not adjusted"


def place_of(at: str, studies: Studies) -> str:
    """Return ``outcome = severe_crs`` in words."""
    dim, _, label = at.rpartition(" = ")
    if dim in _OF_GRADES:
        return _OF_GRADES[dim] + label
    known = label in studies.vocabulary
    return outcome_of(label, studies.vocabulary).title if known else label.replace("_", " ")
