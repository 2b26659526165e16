"""A study file by questions: each answer is checked at once, each table when it is full."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import typer

from metacart import screen

__all__ = ["ask_study"]

Keys = tuple[str, ...]
Answers = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Question:
    """A key and how to ask for it.

    Attributes
    ----------
    keys : tuple of str
        The way to the key inside its table.
    words : str
        What is asked.
    needed : bool
        Whether it must be answered.
    proposed : str
        What an empty answer means.
    asked_if : callable
        From the table so far: whether the question makes sense.
    """

    keys: Keys
    words: str
    needed: bool = False
    proposed: str = ""
    asked_if: Callable[[Answers], bool] = lambda _: True


def _has_none(*keys: str) -> Callable[[Answers], bool]:
    return lambda table: not any(table.get(key) for key in keys)


def _again(table: Answers) -> bool:
    return table.get("infusion") in ("retreatment", "mixed")


_CITATION = (
    _Question(("title",), "Title, as printed", needed=True),
    _Question(("authors",), "Authors as Surname AB, parted by semicolons"),
    _Question(("journal",), "Journal"),
    _Question(("year",), "Year", needed=True),
    _Question(("doi",), "DOI"),
    _Question(("pmid",), "PMID", asked_if=_has_none("doi")),
    _Question(("registrations",), "Registrations", asked_if=_has_none("doi", "pmid")),
    _Question(
        ("abstract_number",),
        "Number of the abstract",
        asked_if=_has_none("doi", "pmid", "registrations"),
    ),
    _Question(("read",), "What you read"),
)
_CONDUCT = (
    _Question(("study_design",), "Design, such as single-arm phase 1", needed=True),
    _Question(("centres",), "Centres, parted by semicolons"),
    _Question(("countries",), "Countries, such as CN; US"),
    _Question(("enrolment", "from"), "First enrolment, such as 2019-01"),
    _Question(("enrolment", "to"), "Last enrolment"),
)
_ARM = (
    _Question(("id",), "Id of the arm", needed=True),
    _Question(("label",), "What figures call it"),
    _Question(("disease",), "Disease", needed=True, proposed="B-ALL"),
    _Question(("infusion",), "Infusion", needed=True),
    _Question(("reason",), "Why it was given again", asked_if=_again),
    _Question(("prior_scfv",), "scFv of the first product", asked_if=_again),
    _Question(("same_product",), "The product of the first infusion again", asked_if=_again),
    _Question(("scfv",), "scFv", needed=True),
    _Question(
        ("scfv_certainty",),
        "Is that",
        proposed="stated",
        asked_if=lambda table: table.get("scfv") != "unreported",
    ),
    _Question(("targets",), "Targets, such as CD19; CD22"),
    _Question(("costimulation",), "Costimulation, such as 4-1BB"),
    _Question(("patients", "enrolled"), "Patients enrolled"),
    _Question(("patients", "infused"), "Patients infused"),
    _Question(("patients", "evaluable"), "Patients evaluable"),
    _Question(("patients", "responders"), "Patients who responded"),
)
_FINDING = (
    _Question(("arm",), "Arm", needed=True),
    _Question(("outcome",), "Outcome", needed=True),
    _Question(("population",), "Counted of the", needed=True, proposed="infused"),
    _Question(("timepoint",), "When, such as day 28 or best"),
    _Question(
        ("grading",),
        "Graded by",
        asked_if=lambda table: any(
            word in table.get("outcome", "") for word in ("crs", "neurotoxicity", "cytopenia")
        ),
    ),
    _Question(("count", "events"), "Patients with the event", needed=True),
    _Question(("count", "total"), "Of how many", needed=True),
    _Question(("count", "printed"), "The percentage as printed"),
    _Question(("at",), "Place in the paper, such as Table 2", needed=True),
)


def ask_study(name: str, citation: Mapping[str, Any]) -> dict[str, Any]:
    """Ask for a study, and return its data, in which nothing is wrong.

    Parameters
    ----------
    name : str
        The id.
    citation : mapping
        What is known of the paper already; it is not asked for.

    Raises
    ------
    typer.Abort
        Where the questions are broken off.
    """
    data: dict[str, Any] = {
        "schema": 1,
        "id": name,
        "citation": {"authors": [], **citation},
        "conduct": {},
        "arms": [],
        "findings": [],
    }
    screen.note(
        "Leave an answer empty where the paper does not say; - takes back what stands in brackets; "
        "Ctrl-C writes nothing."
    )
    year = name[-4:] if name[-4:].isdigit() else ""
    _ask_table(data, ("citation",), _CITATION, {("year",): year}, skip=citation)
    _ask_table(data, ("conduct",), _CONDUCT, {})
    for noun, key, questions in (("arm", "arms", _ARM), ("finding", "findings", _FINDING)):
        more = key == "arms" or typer.confirm("Enter a count now?", default=True)
        while more:
            number = len(data[key])
            screen.note(f"{noun.capitalize()} {number + 1}")
            data[key].append({})
            known = [arm["id"] for arm in data["arms"] if "id" in arm]
            proposed: dict[Keys, str] = {("id",): f"car{number + 1}" if number else "car"}
            proposed[("arm",)] = known[0] if len(known) == 1 else ""
            if not _ask_table(data, (key, number), questions, proposed):
                data[key].pop()
            more = typer.confirm(f"Another {noun}?", default=False)
    return data


def _ask_table(
    data: dict[str, Any],
    place: tuple[str | int, ...],
    questions: Sequence[_Question],
    proposed: Mapping[Keys, str],
    *,
    skip: Mapping[str, Any] | None = None,
) -> bool:
    """Ask for a table until nothing is wrong in it; False where a finding is given up."""
    before: dict[Keys, str] = dict(proposed)
    kept = {key: value for key, value in _table(data, place).items() if key in (skip or {})}
    while True:
        table = _table(data, place)
        table.clear()
        table.update(kept)
        for question in questions:
            if question.keys[0] not in (skip or {}) and question.asked_if(table):
                before[question.keys] = _ask(data, place, question, before)
        if place[0] == "citation":
            table.setdefault("authors", [])
        faults = list(_faults(data, _place_of(place), whole=True))
        if not faults:
            return True
        screen.show_faults(faults)
        # what is wrong may lie in an arm, which is behind
        again = "Once more, with what you said before? No leaves this finding out"
        if place[0] == "findings" and not typer.confirm(again, default=True):
            return False


def _ask(
    data: dict[str, Any],
    place: tuple[str | int, ...],
    question: _Question,
    before: Mapping[Keys, str],
) -> str:
    """Ask until the answer can stand there, put it there, and return its text."""
    from metacart.evidence.exchange.flat import value_of
    from metacart.records.fields import annotation_at, bare_annotation, literals_in
    from metacart.records.study import Study
    from metacart.records.vocabulary import OUTCOMES

    annotation = annotation_at(Study, (*place, *question.keys))
    words = [*map(str, literals_in(annotation))]
    if bare_annotation(annotation) is bool:
        words = ["true", "false"]
    choice = f" ({', '.join(words)})" if words else ""
    while True:
        proposed = before.get(question.keys) or question.proposed
        text: str = typer.prompt(
            f"{question.words}{choice}", default=proposed, show_default=bool(proposed)
        )
        text = text.strip()
        if text == "?" and question.keys == ("outcome",):
            screen.note(", ".join(OUTCOMES))
            continue
        if not text and question.needed:
            screen.note("needed" + (": ? lists the outcomes" if "outcome" in question.keys else ""))
            continue
        if not text or text == "-":
            return ""
        holder: Any = _table(data, place)
        *above, key = question.keys
        for step in above:
            holder = holder.setdefault(step, {})
        holder[key] = value_of(text, annotation)
        where = ".".join((_place_of(place), *question.keys))
        faults = list(_faults(data, where, whole=False))
        if not faults:
            return text
        screen.show_faults(faults)
        del holder[key]


def _table(data: dict[str, Any], place: tuple[str | int, ...]) -> dict[str, Any]:
    holder: Any = data
    for step in place:
        holder = holder[step]
    table: dict[str, Any] = holder
    return table


def _place_of(place: tuple[str | int, ...]) -> str:
    return f"{place[0]}[{place[1]}]" if len(place) > 1 else str(place[0])


def _faults(data: dict[str, Any], place: str, *, whole: bool) -> Iterator[Any]:
    """Yield what is wrong at a place, with the words of the file left out of it."""
    from dataclasses import replace

    from metacart.errors import InputError
    from metacart.evidence.gates import study_gates
    from metacart.records.mending import hidden_faults
    from metacart.records.study import Study

    try:
        faults = study_gates(Study.from_mapping(data))
    except InputError as error:
        faults = [*error.faults, *hidden_faults(Study, data, error.faults, study_gates)]
    for fault in faults:
        here = fault.place == place or fault.place.startswith((f"{place}.", f"{place}["))
        if here and fault.severity == "error":
            short = fault.place.removeprefix(place).lstrip(".") if whole else ""
            yield replace(fault, place=short)
