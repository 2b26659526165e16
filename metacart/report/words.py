"""Numbers and words as a reader of the page sees them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from metacart.records.vocabulary import EXPOSURES, OUTCOMES, Outcome
from metacart.scales import Scale

__all__ = [
    "POPULATIONS",
    "capital",
    "column_words",
    "count_of",
    "decimals",
    "estimate",
    "event_of",
    "exposure_words",
    "interval",
    "join",
    "level_word",
    "number_word",
    "outcome_of",
    "percent",
    "probability",
    "ratio",
    "reaches",
    "value_format",
]

_NUMBERS = (
    "no one two three four five six seven eight nine ten eleven twelve".split()  # noqa: SIM905
)
_REACHES = {
    "complete_remission": "reach complete remission",
    "mrd_negative_remission": "reach MRD-negative remission",
    "icu_admission": "need intensive care",
    "tocilizumab": "receive tocilizumab",
    "corticosteroids": "receive corticosteroids",
    "hsct": "receive a transplant after CAR-T",
    "relapse": "relapse",
    "cd19_negative_relapse": "have a CD19-negative relapse",
    "death": "die",
    "non_relapse_death": "die without relapse",
    "infection": "have an infection",
    "gvhd": "have graft-versus-host disease",
    "b_cell_aplasia": "have B-cell aplasia",
    "overall_survival": "survive",
    "event_free_survival": "survive free of events",
}
_EVENTS = {
    "overall_survival": "death",
    "event_free_survival": "an event (relapse, death or, where counted, no remission)",
    "relapse": "relapse",
    "death": "death",
}
POPULATIONS = {
    "enrolled": "all enrolled",
    "infused": "all infused",
    "evaluable": "evaluable",
    "responders": "in remission",
}
_COLUMNS = {
    "scfv": "scFv origin",
    "prior_scfv": "scFv origin before",
    "scfv_certainty": "scFv origin stated or inferred",
    "same_product": "same product again",
    "costimulation": "costimulation",
}


def capital(text: str) -> str:
    """Return text with its first letter as a capital, but scFv as it is."""
    first = text.split(" ", 1)[0]
    return text if first[1:] != first[1:].lower() else text[:1].upper() + text[1:]


def number_word(number: int) -> str:
    """Return a small number as a word.

    Examples
    --------
    >>> number_word(4), number_word(40)
    ('four', '40')
    """
    return _NUMBERS[number] if 0 <= number < len(_NUMBERS) else str(number)


def count_of(number: int, noun: str, plural: str = "") -> str:
    """Return ``one study`` or ``four studies``."""
    plural = plural or (f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s")
    return f"{number_word(number)} {noun if number == 1 else plural}"


def join(parts: Iterable[str], word: str = "and") -> str:
    """Return ``a, b and c``."""
    *first, last = list(parts) or [""]
    return f"{', '.join(first)} {word} {last}" if first else last


def percent(rate: float) -> str:
    """Return a rate as a number of 100, without decimals where none is needed.

    Examples
    --------
    >>> percent(0.683), percent(0.004), percent(0.9996), percent(1.0), percent(0.0)
    ('68', '0.4', '>99.9', '100', '0')
    """
    hundred = 100.0 * rate
    if 0.0 < hundred < 1.0 or 99.0 < hundred < 100.0:
        if hundred > 99.9:
            return ">99.9"
        return "<0.1" if hundred < 0.1 else f"{hundred:.1f}"
    return f"{hundred:.0f}"


def ratio(value: float) -> str:
    """Return a ratio with two digits, or two decimals above one.

    Examples
    --------
    >>> ratio(0.303), ratio(0.0396), ratio(1.412), ratio(12.345), ratio(0.998)
    ('0.30', '0.040', '1.41', '12', '1.00')
    """
    if value >= 9.995:
        return f"{value:,.0f}".replace(",", " ")
    if value >= 0.0995:
        return f"{value:.2f}"
    return f"{value:#.2g}" if value >= 0.001 else "<0.001"


def decimals(value: float) -> str:
    """Return a number on a model scale, with a true minus sign."""
    text = f"{value:.2f}" if abs(value) < 99.995 else f"{value:.3g}"
    return ("0.00" if text == "-0.00" else text).replace("-", "−")


def probability(value: float) -> str:
    """Return a probability; what is all but certain is not rounded to certainty."""
    if value > 0.995:
        return ">0.99"
    return "<0.01" if value < 0.005 else f"{value:.2f}"


def value_format(scale: Scale) -> Any:
    """Return how numbers of the natural scale are written."""
    return {"log": ratio, "identity": decimals}.get(scale.name, percent)


def interval(lower: float, upper: float, scale: Scale) -> str:
    """Return ``61 to 95``."""
    form = value_format(scale)
    return f"{form(lower)} to {form(upper)}"


def estimate(row: Any, scale: Scale, *, unit: bool = True) -> str:
    """Return ``83 % (61 to 95)`` of a row with median, lower and upper."""
    form = value_format(scale)
    sign = " %" if unit and form is percent else ""
    if math.isnan(row["lower"]):
        return probability(row["median"])
    return f"{form(row['median'])}{sign} ({interval(row['lower'], row['upper'], scale)})"


def outcome_of(name: str | None, vocabulary: Any = OUTCOMES) -> Outcome:
    """Return an outcome of the vocabulary, or one made of its name."""
    known = vocabulary.get(name or "")
    if isinstance(known, Outcome):
        return known
    title = (name or "the outcome").replace("_", " ")
    return Outcome(name or "", title, "", "neither")


def reaches(outcome: Outcome) -> str:
    """Return what 100 patients do: ``reach complete remission``."""
    return _REACHES.get(outcome.name, f"have {outcome.title}")


def event_of(outcome: Outcome) -> str:
    """Return the event whose hazard a ratio compares."""
    return _EVENTS.get(outcome.name, outcome.title)


def exposure_words(name: str | None) -> str:
    """Return an exposure in words."""
    return EXPOSURES.get(name or "other", (name or "").replace("_", " "))


def column_words(name: str) -> str:
    """Return a column of the evidence, such as a moderator, in words."""
    return _COLUMNS.get(name, name.replace("_", " "))


def level_word(level: Any) -> str:
    """Return a level of a moderator in words: ``yes`` for true."""
    return {"true": "yes", "false": "no"}.get(str(level).lower(), str(level))
