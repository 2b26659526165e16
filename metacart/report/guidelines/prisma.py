"""Items of PRISMA 2020 over the whole page, each a function of sections and papers.

The source is Page and others, BMJ 2021;372:n71. Items are named here in other words than theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metacart.evidence.collection import Studies
from metacart.report.guidelines.items import (
    Found,
    Line,
    answered,
    beside,
    line_of,
    missing,
    partly,
    rows_of,
)

if TYPE_CHECKING:
    from metacart.report.section import Section

__all__ = ["prisma_lines"]

Test = Callable[["Section"], Found]
Look = Callable[["_Page"], Found]


@dataclass(frozen=True, slots=True)
class _Page:
    sections: Sequence[Section]
    studies: Studies


def prisma_lines(sections: Sequence[Section], studies: Studies) -> list[Line]:
    """Return each item of PRISMA 2020 with what answers it on the page.

    Parameters
    ----------
    sections : sequence of Section
        All questions in their order.
    studies : Studies
        The papers.
    """
    page, order = _Page(sections, studies), [section.name for section in sections]
    fitted = [section for section in sections if section.record]
    lines = []
    for number, asks, look, test in _ITEMS:
        found: Mapping[str, Found]
        if test is not None:
            found = {section.name: test(section) for section in fitted}
            found = found or {"": missing("no question has an answer")}
        else:
            assert look is not None
            found = {"": look(page)}
        lines.append(line_of(number, asks, found, order))
    return lines


# --- what only the page can say -----------------------------------------------------------------


def _title(_: _Page) -> Found:
    return missing("the page is a meta-analysis of papers that were given, not a systematic review")


def _abstract(page: _Page) -> Found:
    if not any(section.short for section in page.sections):
        return missing("no answer stands at the top")
    return partly("answers", words="results only; funding, registration and search are not known")


def _rationale(_: _Page) -> Found:
    return missing("why the review is made is for its authors to write")


def _search(_: _Page) -> Found:
    return missing("papers are given: no source is searched, and no date of a search is recorded")


def _collection(page: _Page) -> Found:
    read = [study.citation.read for study in page.studies]
    words = "how many people read each paper, and apart from each other, is not recorded"
    unknown = sum(each is None for each in read)
    if unknown:
        words += f"; of {unknown} papers not even in what they were read"
    return partly("top", "papers", words=words)


def _other_data(page: _Page) -> Found:
    if not any(study.arms for study in page.studies):
        return missing("no arm is recorded")
    return partly("papers", words="funding of the studies is not recorded")


def _characteristics(page: _Page) -> Found:
    return answered("papers") if len(page.studies) else missing("no paper is given")


def _process(_: _Page) -> Found:
    return partly(
        "top", words="that papers were given and in what they were read; the rest is for people"
    )


def _implications(_: _Page) -> Found:
    return missing("implications for practice, policy and research are for people to write")


def _protocol(_: _Page) -> Found:
    return missing("no registration, protocol or amendment is recorded for a page")


def _support(_: _Page) -> Found:
    return missing("funding and interests of those who made the page are not recorded")


def _publication(page: _Page) -> Found:
    if all(_is_rate(section) for section in page.sections if section.record):
        return beside("rates of single arms have no funnel: their error depends on the rate itself")
    return missing("no funnel plot and no model of missing papers stands on the page")


def _is_rate(section: Section) -> bool:
    return section.compared is None


# --- what each question says --------------------------------------------------------------------


def _when(test: Callable[[Section], object], *places: str, otherwise: str) -> Test:
    """Return the check that something is there."""
    return lambda section: answered(*places) if test(section) else missing(otherwise)


def _with(table: str, *places: str, otherwise: str) -> Test:
    return _when(lambda section: rows_of(section, table), *places, otherwise=otherwise)


def _selection(section: Section) -> Found:
    if "flow" not in section.figures:
        return missing("no flow of papers")
    return partly(
        "evidence",
        words="rules of the model file are applied by the program; who chose the papers that were "
        "given is not recorded",
    )


def _flow(section: Section) -> Found:
    if "flow" not in section.figures:
        return missing("no flow of papers")
    return partly("evidence", words="it begins with the papers given, not with a search")


def _excluded(section: Section) -> Found:
    return answered("evidence") if section.left.count else beside("nothing was left out")


def _preparation(section: Section) -> Found:
    if section.used is None:
        return missing("no table of the evidence")
    return answered("evidence", "model")


def _exploration(section: Section) -> Found:
    if "levels" in section.tables or section.contrasts:
        return answered("results")
    return missing("no moderator is in the model: why studies differ is not explored")


def _certainty(section: Section) -> Found:
    if not section.findings:
        return missing("no row in the summary of findings")
    return partly("findings", words="imprecision and inconsistency; the judgement is for people")


def _against(section: Section) -> Found:
    if rows_of(section, "published"):
        return answered("published")
    return missing("the model file names no published meta-analysis")


def _warned(section: Section) -> bool:
    return bool(section.notes or (section.answer and section.answer.cautions))


_ITEMS: tuple[tuple[str, str, Look | None, Test | None], ...] = (
    ("1", "Title: say that it is a systematic review", _title, None),
    ("2", "Abstract", _abstract, None),
    ("3", "Rationale", _rationale, None),
    (
        "4",
        "Objectives",
        None,
        _when(lambda section: section.question, "question", otherwise="no question is asked"),
    ),
    (
        "5",
        "Eligibility criteria, and how studies are grouped",
        None,
        _when(lambda section: section.pico, "pico", "evidence", otherwise="no criteria stand"),
    ),
    ("6", "Sources of information, with dates", _search, None),
    ("7", "Search strategy", _search, None),
    ("8", "Selection process", None, _selection),
    ("9", "Data collection process", _collection, None),
    (
        "10a",
        "Outcomes for which data were sought",
        None,
        _when(lambda section: section.pico, "pico", otherwise="the outcome is not defined"),
    ),
    ("10b", "Other variables for which data were sought", _other_data, None),
    (
        "11",
        "Tool for risk of bias",
        None,
        _with("bias", "evidence", otherwise="no table of risk of bias"),
    ),
    (
        "12",
        "Effect measures",
        None,
        _with("estimands", "results", otherwise="no named estimand"),
    ),
    (
        "13a",
        "Which studies enter each synthesis",
        None,
        _when(lambda section: section.used, "evidence", otherwise="no table of the evidence"),
    ),
    ("13b", "How data were prepared", None, _preparation),
    (
        "13c",
        "How results are tabulated and drawn",
        None,
        _when(
            lambda section: section.figures.keys() - {"flow"} or section.parts,
            "evidence",
            "results",
            otherwise="no figure of the results",
        ),
    ),
    (
        "13d",
        "Methods of synthesis",
        None,
        _when(
            lambda section: section.model and section.methods,
            "model",
            "methods",
            otherwise="the model is not described",
        ),
    ),
    ("13e", "Methods to explore why studies differ", None, _exploration),
    (
        "13f",
        "Sensitivity analyses",
        None,
        _when(
            lambda section: rows_of(section, "sensitivity") or rows_of(section, "left_out"),
            "sensitivity",
            otherwise="no sensitivity analysis",
        ),
    ),
    ("14", "Methods for bias from missing results", _publication, None),
    ("15", "Methods for the certainty of evidence", None, _certainty),
    ("16a", "Flow of studies, with a diagram", None, _flow),
    ("16b", "Studies that nearly entered, and why they did not", None, _excluded),
    ("17", "Characteristics of each study", _characteristics, None),
    (
        "18",
        "Risk of bias of each study",
        None,
        _when(
            lambda section: rows_of(section, "bias") and "risk of bias" in section.files,
            "evidence",
            "files",
            otherwise="no judgements study by study",
        ),
    ),
    (
        "19",
        "Results of each study",
        None,
        _when(
            lambda section: section.used is not None and section.used.rows,
            "evidence",
            otherwise="no table of the evidence",
        ),
    ),
    (
        "20a",
        "Each synthesis: its studies and their risk of bias",
        None,
        _with("bias", "evidence", otherwise="no table of risk of bias"),
    ),
    (
        "20b",
        "Each synthesis: results with precision and heterogeneity",
        None,
        _when(
            lambda section: (
                rows_of(section, "estimands")
                and (rows_of(section, "spread") or "correlation" in section.tables)
            ),
            "results",
            "spread",
            otherwise="how far studies differ has no table of its own",
        ),
    ),
    ("20c", "Each synthesis: why studies differ", None, _exploration),
    (
        "20d",
        "Each synthesis: results of sensitivity analyses",
        None,
        _with("sensitivity", "sensitivity", otherwise="no other priors were tried"),
    ),
    ("21", "Bias from missing results", _publication, None),
    ("22", "Certainty of the evidence", None, _certainty),
    ("23a", "Interpretation beside other evidence", None, _against),
    (
        "23b",
        "Limits of the evidence",
        None,
        _when(_warned, "question", otherwise="no limit of the evidence is named"),
    ),
    ("23c", "Limits of the review process", _process, None),
    ("23d", "Implications", _implications, None),
    ("24a", "Registration", _protocol, None),
    ("24b", "Protocol", _protocol, None),
    ("24c", "Amendments", _protocol, None),
    ("25", "Support", _support, None),
    ("26", "Competing interests", _support, None),
    (
        "27",
        "Data, code and other materials",
        None,
        _when(
            lambda section: section.files and section.record,
            "files",
            "made",
            otherwise="no files beside the page",
        ),
    ),
)
