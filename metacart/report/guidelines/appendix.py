"""The appendix of the page: every item of four guidelines, where it is answered, and the gaps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metacart.evidence.collection import Studies
from metacart.report.guidelines.bayes import ITEMS
from metacart.report.guidelines.items import STATES, Found, Line, Seen, line_of
from metacart.report.guidelines.prisma import prisma_lines
from metacart.report.tables import Column, Row, Table, table_of
from metacart.report.words import capital, join

if TYPE_CHECKING:
    import xarray as xr

    from metacart.report.section import Section

__all__ = ["Guideline", "guidelines_of", "items_of"]

_SOURCES = {
    "BARG": (
        "Bayesian analysis reporting guidelines (Kruschke 2021)",
        "10.1038/s41562-021-01177-7",
    ),
    "ROBUST": (
        "Reporting of Bayes used in clinical studies (Sung 2005)",
        "10.1016/j.jclinepi.2004.08.010",
    ),
    "WAMBS": (
        "When to worry, how to avoid misuse of Bayesian statistics (Depaoli, van de Schoot 2017)",
        "10.1037/met0000065",
    ),
    "PRISMA 2020": ("Items for systematic reviews (Page 2021)", "10.1136/bmj.n71"),
}


@dataclass(frozen=True, slots=True)
class Guideline:
    """A guideline over the page.

    Attributes
    ----------
    name, title, doi : str
        Which.
    counts : str
        How many items are answered, partly, missing, or do not apply.
    table : Table
        Each item.
    gaps : tuple of str
        What is missing or open, an item each.
    """

    name: str
    title: str
    doi: str
    counts: str
    table: Table
    gaps: tuple[str, ...]


def items_of(section: Section, fit: xr.DataTree) -> dict[tuple[str, str], Found]:
    """Return what answers each Bayesian item in a section, by guideline and number.

    Parameters
    ----------
    section : Section
        What the page shows of a question.
    fit : DataTree
        Its fit: an item whose group or attribute is gone turns to missing.
    """
    return {(item.guideline, item.number): item.check(Seen(section, fit)) for item in ITEMS}


def guidelines_of(sections: Sequence[Section], studies: Studies) -> list[Guideline]:
    """Return the four guidelines over all questions that were fitted; none where none was."""
    fitted = [section for section in sections if section.items]
    if not fitted:
        return []
    order = [section.name for section in sections]
    lines: dict[str, list[Line]] = {name: [] for name in _SOURCES}
    for item in ITEMS:
        found = {section.name: section.items[item.guideline, item.number] for section in fitted}
        lines[item.guideline].append(line_of(item.number, item.asks, found, order))
    lines["PRISMA 2020"] = prisma_lines(sections, studies)
    return [_guideline(name, each) for name, each in lines.items()]


def _guideline(name: str, lines: Sequence[Line]) -> Guideline:
    title, doi = _SOURCES[name]
    counted = Counter(line.state for line in lines)
    counts = join(f"{counted[state]} {_COUNTED[state]}" for state in STATES if counted[state])
    return Guideline(
        name,
        title,
        doi,
        f"{len(lines)} items: {counts}",
        _table(name, lines),
        tuple(
            f"{line.number} {line.asks}: {line.gap}"
            for line in lines
            if line.state in ("missing", "partly")
        ),
    )


_COUNTED = {
    "answered": "answered",
    "partly": "answered in part",
    "missing": "missing",
    "does not apply": "that do not apply",
}


def _table(name: str, lines: Sequence[Line]) -> Table:
    body = [
        Row(
            (line.number, line.asks, capital(line.state), line.where, capital(line.words)),
            "strong" if line.state == "missing" else "",
        )
        for line in lines
    ]
    return table_of(
        f"{name}: each item and where it is answered",
        [
            Column("Item"),
            Column("What it asks", "text"),
            Column("State"),
            Column("Where", "text"),
            Column("What is open, or why it does not apply", "prose"),
        ],
        body,
    )
