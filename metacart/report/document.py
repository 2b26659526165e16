"""The page as a sequence of pieces: what the other formats are written from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from metacart.evidence.collection import Studies
from metacart.report.cells import links_of
from metacart.report.findings import findings_table
from metacart.report.guidelines.appendix import guidelines_of
from metacart.report.tables import Table
from metacart.report.words import capital
from metacart.text import printable

if TYPE_CHECKING:
    from metacart.report.figures import Figure
    from metacart.report.parts import Block
    from metacart.report.section import Section

__all__ = ["Heading", "Paragraph", "Picture", "Piece", "Shown", "document_of", "plain"]


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of level 1 to 3."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Words."""

    text: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure, whose files stand beside the page."""

    figure: Figure


@dataclass(frozen=True, slots=True)
class Shown:
    """A table, and of which question it is (empty: of the whole page)."""

    table: Table
    question: str = ""


Piece = Heading | Paragraph | Picture | Shown


def plain(cell: Any) -> str:
    """Return a cell or a sentence without marks of the page.

    Examples
    --------
    >>> plain(Markup('<a href="#paper-a">Doe 2020</a><small>doi:10.1000/a</small>'))
    'Doe 2020; doi:10.1000/a'
    """
    if cell is None:
        return ""
    text = str(cell)
    if isinstance(cell, Markup):
        text = Markup(re.sub(r"<(small|br)[^>]*>", "; ", cell)).striptags()
    return printable(" ".join(text.replace("\u00a0", " ").split()).removeprefix("; "))


def document_of(
    sections: Sequence[Section], studies: Studies, *, seed: int, command: str
) -> Iterator[Piece]:
    """Yield the page from its top to its end.

    Parameters
    ----------
    sections : sequence of Section
        The questions, in order.
    studies : Studies
        The papers.
    seed : int
        Of every fit.
    command : str
        What writes the page again.
    """
    yield Heading(1, "CAR-T evidence: answers with their uncertainty")
    for section in sections:
        more = f" ({section.estimand})" if section.estimand else ""
        yield Paragraph(f"{section.title}: {section.short}{more}")
    yield Paragraph("Medians with 95 % equal-tailed intervals.")
    findings = findings_table(sections)
    if findings.rows:
        yield Heading(2, "Summary of findings")
        yield Shown(findings)
    for section in sections:
        yield from _question(section)
    yield Heading(2, "Papers")
    for study in studies:
        links = "; ".join(address or text for text, address in links_of(study.citation))
        year = study.citation.year
        yield Paragraph(f"{study.label}. {study.citation.title} ({year}). {links}")
    yield Heading(2, "How this was made")
    yield Paragraph(f"{command} (seed {seed})")
    for guideline in guidelines_of(sections, studies):
        yield Heading(2, f"{guideline.name}: {guideline.counts}")
        yield Shown(guideline.table)


def _question(section: Section) -> Iterator[Piece]:
    yield Heading(2, section.title)
    yield Paragraph(section.question)
    if section.gate:
        yield Paragraph(f"This result must not be used: {section.gate}.")
    answer = section.answer
    yield from map(Paragraph, section.reasons)
    if answer is not None:
        yield from (Paragraph(plain(each)) for each in answer.lead)
        for reading in answer.readings:
            words = f"{reading.value} (95 % interval {reading.interval}); {reading.words}"
            yield Paragraph(f"{reading.name}: {words}.")
        yield from map(Paragraph, (*answer.cautions, *answer.remarks, *section.notes))
    yield from (Paragraph(f"{name}: {words}.") for name, words in section.pico)
    yield Heading(3, "Evidence")
    yield from _tables(section, section.crude, section.used, section.compared)
    yield from _pictures(section, "flow", "forest")
    yield from _tables(section, *section.left.tables, section.tables.get("bias"))
    if section.record:
        yield from _fitted(section)


def _fitted(section: Section) -> Iterator[Piece]:
    named = section.tables.get
    yield Heading(3, "Results")
    yield from _tables(section, *map(named, ("estimands", "thresholds", "levels")))
    for table, note in section.contrasts:
        yield Shown(table, section.name)
        yield Paragraph(f"{capital(note)}.")
    yield from _tables(section, *section.analyses, named("origins"))
    for part in section.parts:
        yield Heading(3, part.title)
        yield from _blocks(section, part.blocks)
    if named("spread"):
        yield Heading(3, "How much studies differ")
    yield from _tables(section, named("spread"))
    if named("sensitivity") or named("left_out") or section.standing:
        yield Heading(3, "What the answer hangs on")
    yield from _tables(section, named("sensitivity"))
    yield from _pictures(section, "prior-sensitivity")
    yield from _tables(section, named("left_out"))
    yield from _pictures(section, "leave-one-out")
    yield from _blocks(section, section.standing)
    if named("published"):
        yield Heading(3, "Published meta-analyses")
    yield from _tables(section, named("published"))
    yield Heading(3, "The model")
    yield Paragraph(" ".join(section.model))
    yield from (Paragraph(plain(line)) for line in section.maths)
    yield from _tables(section, *map(named, ("priors", "prior_predictive")))
    yield from _pictures(section, "prior-posterior")
    yield Heading(3, "Checks")
    yield Paragraph(section.predictive)
    yield from _pictures(section, "ppc")
    yield Paragraph(section.diagnosis)
    if section.calibration:
        yield Paragraph(section.calibration)
    yield from _tables(section, *map(named, ("predictive", "diagnostics", "attempts")))
    if section.methods:
        yield Heading(3, "Methods")
        yield Paragraph(section.methods)


def _blocks(section: Section, blocks: Iterable[Block]) -> Iterator[Piece]:
    for block in blocks:
        yield from _tables(section, block.table)
        if block.figure is not None:
            yield Picture(block.figure[1])
        if block.words:
            yield Paragraph(block.words)


def _tables(section: Section, *tables: Table | None) -> Iterator[Piece]:
    yield from (Shown(table, section.name) for table in tables if table is not None and table.rows)


def _pictures(section: Section, *names: str) -> Iterator[Piece]:
    yield from (Picture(section.figures[name]) for name in names if name in section.figures)
