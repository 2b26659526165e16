"""Cells that several tables of evidence share: a paper, its patients, a level."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from metacart.records.study import Citation, Study
from metacart.report.words import POPULATIONS, level_word

__all__ = ["level_cell", "links_of", "study_cell", "when_cell"]


def links_of(citation: Citation) -> list[tuple[str, str]]:
    """Return each identifier of a paper as (text, address); an empty address is no link."""
    links = []
    if citation.doi:
        links.append((f"doi:{citation.doi}", f"https://doi.org/{quote(citation.doi, safe='/')}"))
    if citation.pmid:
        links.append((f"PMID {citation.pmid}", f"https://pubmed.ncbi.nlm.nih.gov/{citation.pmid}/"))
    if citation.pmcid:
        links.append((citation.pmcid, f"https://pmc.ncbi.nlm.nih.gov/articles/{citation.pmcid}/"))
    for name in citation.registrations:
        known = re.fullmatch(r"NCT\d{8}", name)
        links.append((name, f"https://clinicaltrials.gov/study/{name}" if known else ""))
    if citation.abstract_number:
        links.append((f"abstract {citation.abstract_number}", ""))
    return links


def _link(text: str, address: str) -> Markup:
    if not address:
        return Markup("<span>{}</span>").format(text)
    return Markup('<a href="{}" rel="noreferrer">{}</a>').format(address, text)


def study_cell(study: Study) -> Markup:
    """Return a study with its first identifier, linked to its place among the papers."""
    cell = Markup('<a class="paper" href="#paper-{}">{}</a>').format(study.id, study.label)
    links = links_of(study.citation)
    if links:
        cell += Markup('<small class="source">{}</small>').format(_link(*links[0]))
    return cell


def when_cell(row: dict[Any, Any]) -> str:
    """Return which patients were counted, and when."""
    parts = [POPULATIONS.get(str(row["population"]), str(row["population"]))]
    if isinstance(row["timepoint"], str):
        parts.append(row["timepoint"])
    # two lines at most
    return ", ".join(part.replace(" ", "\u00a0") for part in parts)


def level_cell(value: Any) -> str:
    """Return a level of the evidence in words."""
    if value is None or value != value:
        return "not stated"
    return level_word(value)
