"""The page: one HTML file that needs no other."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from functools import cache, partial
from typing import TYPE_CHECKING

from markupsafe import Markup

from metacart.evidence.collection import Studies
from metacart.report.basis import patients_of
from metacart.report.cells import links_of
from metacart.report.findings import findings_table
from metacart.report.glossary import terms_of
from metacart.report.guidelines.appendix import guidelines_of
from metacart.report.paper_tables import how_to_find, papers_of
from metacart.report.section import Section
from metacart.report.words import capital, count_of, join, number_word
from metacart.text import printable

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = ["render"]

# Below this many papers the page says first that its answers are wide.
_MANY = 12


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    # autoescape: titles, notes and labels come from files that anybody may have written
    environment = Environment(
        loader=PackageLoader("metacart.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["capital"] = capital
    return environment.get_template("page.html")


@cache
def _script() -> Markup:
    """Return the one program of the page: it sorts tables."""
    from importlib.resources import files

    return Markup(files("metacart.report").joinpath("templates/sort.js").read_text("utf-8"))


def _policy() -> str:
    """Return what a browser may run and load: this program, this style and what stands inside."""
    digest = base64.b64encode(hashlib.sha256(_script().encode()).digest()).decode("ascii")
    return (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def _tied(page: str) -> str:
    """Return a page on which CAR-T and B-ALL are not broken at their hyphens.

    They stay as they are inside tags and in the title, which holds no tags.
    """
    pattern = r"(?:CAR-T|B-ALL)(?=[^<>]*<(?!/title|/script))"
    return re.sub(pattern, r'<span class="tied">\g<0></span>', page)


def _read(page: str) -> str:
    """Return the words of a page: no figures, no style, no tags."""
    return re.sub(r"<(style|script)>.*?</\1>|<[^>]*>", " ", page, flags=re.DOTALL)


_READ = {
    "full text": "in full",
    "abstract": "in their abstracts alone",
    "abstract and tables": "in abstract and tables",
    "quotations": "only as other publications quote them",
}


def _reading(studies: Studies) -> str:
    """Say how much of the papers was read, where that was not all of each."""
    read = [study.citation.read for study in studies if study.citation.read is not None]
    if set(read) <= {"full text"}:
        return ""
    parts = [
        f"{number_word(read.count(how))} {words}" for how, words in _READ.items() if how in read
    ]
    how = join(parts)
    return f"They were read as follows: {how}. What stands only in a full text may be missing here."


def render(sections: Sequence[Section], studies: Studies, *, seed: int, command: str) -> str:
    """Return the page as text.

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

    Returns
    -------
    str
        HTML; the same input gives the same text.
    """
    from importlib.metadata import version

    states = [section.state for section in sections]
    bases = [each.basis for each in sections if each.basis and each.state == "answered"]
    ids = {study.id for basis in bases for study in basis.studies}
    write = partial(
        _template().render,
        sections=sections,
        studies=studies,
        papers=count_of(len(studies), "paper"),
        questions=count_of(len(sections), "question"),
        reading=_reading(studies),
        used=[study for study in studies if study.id in ids],
        unused=[study for study in studies if bases and study.id not in ids],
        patients=patients_of(bases),
        few=len(ids) < _MANY,
        states={state: states.count(state) for state in ("answered", "failed", "unanswered")},
        versions=next((each.versions for each in sections if each.versions), {}),
        version=version("metacart"),
        seed=seed,
        command=command,
        links_of=links_of,
        about=papers_of(studies),
        how_to_find=how_to_find,
        sharing={
            cohort: [study.label for study in studies if study.cohort == cohort]
            for cohort in {study.cohort for study in studies}
        },
        number_word=number_word,
        count_of=count_of,
        guidelines=guidelines_of(sections, studies),
        findings=findings_table(sections),
        script=_script(),
        policy=_policy(),
    )
    text = write(glossary=terms_of(_read(write(glossary=()))))
    # a number and its sign stay on one line
    return _tied(printable(text, keep="\n\u00a0").replace(" %", "\u00a0%"))
