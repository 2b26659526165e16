"""An item of a reporting guideline, and what the page found of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from markupsafe import Markup

from metacart.report.words import join

if TYPE_CHECKING:
    import xarray as xr

    from metacart.report.section import Section

__all__ = [
    "PAGE",
    "PLACES",
    "STATES",
    "Found",
    "Item",
    "Line",
    "Seen",
    "answered",
    "beside",
    "line_of",
    "missing",
    "partly",
    "rows_of",
]

State = Literal["answered", "partly", "missing", "does not apply"]
STATES: tuple[State, ...] = ("answered", "partly", "missing", "does not apply")
# parts of a question, by the end of their address
PLACES = {
    "question": "The question",
    "pico": "The question in parts",
    "evidence": "Evidence",
    "results": "Results",
    "spread": "How much studies differ",
    "sensitivity": "What the answer hangs on",
    "published": "Published meta-analyses",
    "model": "The model",
    "checks": "Checks",
    "methods": "Methods, to paste",
    "files": "Files",
}
# parts of the page
PAGE = {
    "top": "Top of the page",
    "answers": "The answers",
    "reading": "How to read them",
    "findings": "Summary of findings",
    "papers": "Papers",
    "made": "How this page was made",
}


@dataclass(frozen=True, slots=True)
class Found:
    """What answers an item.

    Attributes
    ----------
    state : {"answered", "partly", "missing", "does not apply"}
        How far.
    places : tuple of str
        Where: keys of `PLACES`, or of `PAGE`.
    words : str
        What answers it, or what is left open.
    """

    state: State
    places: tuple[str, ...] = ()
    words: str = ""


def answered(*places: str, words: str = "") -> Found:
    """Return that an item is answered, and where."""
    return Found("answered", places, words)


def partly(*places: str, words: str) -> Found:
    """Return that an item is answered in part, and what is open."""
    return Found("partly", places, words)


def missing(words: str) -> Found:
    """Return that nothing answers an item, and why."""
    return Found("missing", (), words)


def beside(words: str) -> Found:
    """Return that an item is about something that this analysis does not have."""
    return Found("does not apply", (), words)


@dataclass(frozen=True, slots=True)
class Seen:
    """What an item is looked up in: what the page shows of a question, and its fit."""

    section: Section
    fit: xr.DataTree


@dataclass(frozen=True, slots=True)
class Item:
    """An item of a guideline that is asked of each question.

    Attributes
    ----------
    guideline, number : str
        Which.
    asks : str
        What it asks for.
    check : callable
        From what there is to what answers it.
    """

    guideline: str
    number: str
    asks: str
    check: Callable[[Seen], Found]


@dataclass(frozen=True, slots=True)
class Line:
    """An item over the whole page.

    Attributes
    ----------
    number, asks : str
        The item.
    state : str
        How far it is answered.
    where : Markup
        Links to what answers it.
    words : str
        What is left open or does not apply, and for which questions.
    gap : str
        What is left open alone.
    """

    number: str
    asks: str
    state: State
    where: Markup
    words: str
    gap: str = ""


def rows_of(section: Section, name: str) -> Sequence[Any]:
    """Return the rows of a table of a section; none where it has no such table."""
    table = section.tables.get(name)
    return () if table is None else table.rows


def line_of(number: str, asks: str, found: Mapping[str, Found], order: Sequence[str]) -> Line:
    """Return an item over the questions that were fitted.

    Parameters
    ----------
    number, asks : str
        The item.
    found : dict of str to Found
        By question.
    order : sequence of str
        All questions of the page in their order, by which links are numbered.
    """
    states = {each.state for each in found.values()}
    state: State = "partly"
    if len(states) == 1:
        state = states.pop()
    elif states == {"answered", "does not apply"}:
        state = "answered"
    words = _said(found, found, order)
    still = {name: each for name, each in found.items() if each.state in ("partly", "missing")}
    return Line(number, asks, state, _links(found, order), words, _said(still, found, order))


def _said(found: Mapping[str, Found], whole: Mapping[str, Found], order: Sequence[str]) -> str:
    """Return what is said of some questions, each text once, with their numbers if not of all."""
    said: dict[str, list[str]] = {}
    for name, each in found.items():
        if each.words:
            said.setdefault(each.words, []).append(name)
    return "; ".join(
        text if len(names) == len(whole) else f"{_questions(names, order)}: {text}"
        for text, names in said.items()
    )


def _questions(names: Sequence[str], order: Sequence[str]) -> str:
    numbers = [str(order.index(name) + 1) for name in names]
    return f"question{'s' if len(numbers) > 1 else ''} {join(numbers)}"


def _links(found: Mapping[str, Found], order: Sequence[str]) -> Markup:
    """Return each place with a link to it in every question."""
    places: dict[str, list[str]] = {}
    for name, each in found.items():
        for place in each.places:
            places.setdefault(place, []).append(name)
    return Markup("; ").join(_place(place, names, order) for place, names in places.items())


def _place(place: str, names: Iterable[str], order: Sequence[str]) -> Markup:
    if place in PAGE:
        return Markup('<a href="#{}">{}</a>').format(place, PAGE[place])
    numbers = Markup(" ").join(
        Markup('<a href="#{}">{}</a>').format(
            name if place == "question" else f"{name}-{place}", order.index(name) + 1
        )
        for name in names
    )
    return Markup("{}\u00a0of {}").format(PLACES[place], numbers)
