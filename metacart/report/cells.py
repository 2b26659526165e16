"""Cells that several tables of evidence share: a paper, its patients, a level."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from metacart.evidence.columns import levels_of, recoded
from metacart.records.paper import Citation, Spread
from metacart.records.spec import ModelSpec
from metacart.records.study import Arm, Finding, Study
from metacart.report.words import POPULATIONS, level_word, percent

__all__ = [
    "exact_rate",
    "level_cell",
    "link_to",
    "links_of",
    "recorded_level",
    "spread_words",
    "study_cell",
    "study_link",
    "when_cell",
]


_REGISTERS = (
    (r"NCT\d{8}", "https://clinicaltrials.gov/study/"),
    (r"ChiCTR\d{10}", "https://trialsearch.who.int/Trial2.aspx?TrialID="),
)


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
        address = next((at + name for form, at in _REGISTERS if re.fullmatch(form, name)), "")
        links.append((name, address))
    if citation.abstract_number:
        links.append((f"abstract {citation.abstract_number}", ""))
    return links


def link_to(text: str, address: str) -> Markup:
    """Return text that leads to an address, or as it is where there is none."""
    if not address:
        return Markup("<span>{}</span>").format(text)
    return Markup('<a href="{}" rel="noreferrer">{}</a>').format(address, text)


def study_link(study: Study) -> Markup:
    """Return a study, linked to its place among the papers."""
    return Markup('<a class="paper" href="#paper-{}">{}</a>').format(study.id, study.label)


def study_cell(study: Study) -> Markup:
    """Return a study with its first identifier, linked to its place among the papers."""
    cell = study_link(study)
    links = links_of(study.citation)
    if links:
        cell += Markup('<small class="source">{}</small>').format(link_to(*links[0]))
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
    if value is None or value != value or value == "unreported":
        return "not stated"
    return level_word(value)


def recorded_level(name: str, study: Study, arm: Arm, finding: Finding, spec: ModelSpec) -> str:
    """Return a level as the study file has it, and as what the question counts it."""
    levels = {"year": study.citation.year, **levels_of(study, arm, finding.grading)}
    level = levels.get(name)
    counted = recoded(name, level, spec)
    remarks = ["inferred"] if name == "scfv" and arm.scfv_certainty == "inferred" else []
    if counted != level:
        remarks.append(f"counted as {level_cell(counted)}")
    return f"{level_cell(level)} ({', '.join(remarks)})" if remarks else level_cell(level)


def exact_rate(events: int, total: int) -> str:
    """Return a rate of 100 with its exact (Clopper–Pearson) 95 % interval.

    Examples
    --------
    >>> exact_rate(13, 19), exact_rate(5, 5)
    ('68 (43 to 87)', '100 (48 to 100)')
    """
    # the shell shows a paper without any of these
    import numpy as np

    from metacart.modelling.counts import crude_counts
    from metacart.scales import SCALES

    data = {"events": np.array([events]), "total": np.array([total])}
    rate, lower, upper = (each[0] for each in crude_counts(data, SCALES["logit"]))
    return f"{percent(rate)} ({percent(lower)} to {percent(upper)})"


_SPREADS = {"range": "range", "ci": "confidence interval", "iqr": "quartiles"}


def spread_words(spread: Spread | None) -> str:
    """Return ``median 20 years (range 4 to 49)``."""
    if spread is None:
        return "not stated"
    unit = f" {spread.unit}s" if spread.unit else ""
    text = f"median {spread.median:.12g}{unit}"
    if spread.lower is not None and spread.upper is not None:
        text += f" ({_SPREADS[spread.interval]} {spread.lower:.12g} to {spread.upper:.12g})"
    return text
