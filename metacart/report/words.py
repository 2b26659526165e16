"""Numbers and words as a reader of the page sees them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

from metacart.records.spec import ModelSpec
from metacart.records.vocabulary import EXPOSURES, OUTCOMES, Outcome
from metacart.scales import Scale

__all__ = [
    "POPULATIONS",
    "asked_of",
    "capital",
    "column_words",
    "count_of",
    "decimals",
    "designs_of",
    "estimate",
    "event_of",
    "exposed_words",
    "exposure_words",
    "grouped",
    "interval",
    "join",
    "level_word",
    "limits",
    "middle",
    "number_word",
    "outcome_of",
    "percent",
    "places_of",
    "probability",
    "ratio",
    "reached",
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
# short for an exposure: those with it, those without it
_SIDES = {"hsct": ("transplanted", "not transplanted")}
_PLACES = {
    "AT": "Austria",
    "AU": "Australia",
    "BE": "Belgium",
    "BR": "Brazil",
    "CA": "Canada",
    "CH": "Switzerland",
    "CN": "China",
    "DE": "Germany",
    "DK": "Denmark",
    "ES": "Spain",
    "FR": "France",
    "GB": "the United Kingdom",
    "IL": "Israel",
    "IN": "India",
    "IR": "Iran",
    "IT": "Italy",
    "JP": "Japan",
    "KR": "South Korea",
    "NL": "the Netherlands",
    "RU": "Russia",
    "SE": "Sweden",
    "SG": "Singapore",
    "TH": "Thailand",
    "TR": "Turkey",
    "US": "the United States",
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


def grouped(number: float) -> str:
    r"""Return a whole number with its thousands apart from five digits on.

    Examples
    --------
    >>> grouped(2548), grouped(16000).replace("\u00a0", " ")
    ('2548', '16 000')
    """
    text = f"{number:.0f}"
    return text if len(text.lstrip("-")) < 5 else f"{number:,.0f}".replace(",", "\u00a0")


def join(parts: Iterable[str], word: str = "and") -> str:
    """Return ``a, b and c``."""
    *first, last = list(parts) or [""]
    return f"{', '.join(first)} {word} {last}" if first else last


# a last digit may be off by so many units of itself: the gate allows limits that much
_UNITS = 5.0


def percent(rate: float, error: float = 0.0) -> str:
    """Return a rate as a number of 100, without decimals where none is needed.

    A digit is left out where the Monte Carlo standard error `error` is above five units of it.

    Examples
    --------
    >>> percent(0.683), percent(0.004), percent(0.9996), percent(1.0), percent(0.0)
    ('68', '0.4', '>99.9', '100', '0')
    >>> percent(0.683, error=0.06), percent(0.004, error=0.006)
    ('70', '<1')
    """
    hundred, unit = 100.0 * rate, 100.0 * error / _UNITS
    if unit > 1.0:
        return f"{round(hundred, -1):.0f}"
    if 0.0 < hundred < 1.0 or 99.0 < hundred < 100.0:
        if unit > 0.1:
            return "<1" if hundred < 1.0 else ">99"
        if hundred > 99.9:
            return ">99.9"
        return "<0.1" if hundred < 0.1 else f"{hundred:.1f}"
    return f"{hundred:.0f}"


def ratio(value: float, error: float = 0.0) -> str:
    """Return a ratio with two significant digits; what is not 1 is not rounded to it.

    A digit is left out where the Monte Carlo standard error `error` is above five units of it.

    Examples
    --------
    >>> ratio(0.303), ratio(0.0396), ratio(1.412), ratio(12.345), ratio(0.998), ratio(1.0)
    ('0.30', '0.040', '1.4', '12', '0.998', '1.0')
    >>> ratio(0.303, error=0.06), ratio(0.998, error=0.006)
    ('0.3', '1.0')
    >>> ratio(0.0002), ratio(float("inf"))
    ('<0.001', '>1 000 000')
    """
    if value < 0.001:
        return "<0.001"
    if value > 1e6:
        return ">1 000 000"
    text = _significant(value, 2, error)
    for digits in (3, 4):
        if float(text.replace(" ", "")) != 1.0 or value == 1.0:
            break
        unit = 10.0 ** (math.floor(math.log10(value)) - digits + 1)
        if _UNITS * unit >= error:
            text = _significant(value, digits, error)
    return text


def _significant(value: float, digits: int, error: float) -> str:
    place = math.floor(math.log10(float(f"{value:.{digits - 1}e}"))) - digits + 1
    while digits > 1 and _UNITS * 10.0**place < error:
        digits, place = digits - 1, place + 1
    rounded = round(value, -place)
    return f"{rounded:,.{max(0, -place)}f}".replace(",", " ")


def decimals(value: float, error: float = 0.0) -> str:
    """Return a number on a model scale, with a true minus sign."""
    form = f"{value:.2f}" if error <= 0.01 * _UNITS else f"{value:.1f}"
    text = form if abs(value) < 99.995 else f"{value:.3g}"
    return (text.removeprefix("-") if float(text) == 0.0 else text).replace("-", "−")


def probability(value: float, error: float = 0.0) -> str:
    """Return a probability; what is all but certain is not rounded to certainty."""
    places = 2 if error <= 0.01 * _UNITS else 1
    edge = 0.5 * 10.0**-places
    if value > 1.0 - edge:
        return f">{1.0 - 2.0 * edge:.{places}f}"
    return f"<{2.0 * edge:.{places}f}" if value < edge else f"{value:.{places}f}"


def value_format(scale: Scale) -> Any:
    """Return how numbers of the natural scale are written."""
    return {"log": ratio, "identity": decimals}.get(scale.name, percent)


def interval(lower: float, upper: float, scale: Scale) -> str:
    """Return ``61 to 95``."""
    form = value_format(scale)
    return f"{form(lower)} to {form(upper)}"


def middle(row: Any, scale: Scale) -> str:
    """Return the median of a row, as far as its Monte Carlo error allows."""
    return str(value_format(scale)(row["median"], row["mcse"]))


def limits(row: Any, scale: Scale) -> str:
    """Return ``61 to 95`` of a row, as far as their Monte Carlo errors allow."""
    form = value_format(scale)
    return " to ".join(form(row[end], row[f"mcse_{end}"]) for end in ("lower", "upper"))


def estimate(row: Any, scale: Scale) -> str:
    """Return ``83 % (61 to 95)`` of a row of ``summarize``."""
    if math.isnan(row["lower"]):
        return probability(row["median"], row["mcse"])
    sign = " %" if value_format(scale) is percent else ""
    return f"{middle(row, scale)}{sign} ({limits(row, scale)})"


def outcome_of(name: str | None, vocabulary: Any = OUTCOMES) -> Outcome:
    """Return an outcome of the vocabulary, or one made of its name."""
    known = vocabulary.get(name or "")
    if isinstance(known, Outcome):
        return known
    title = (name or "the outcome").replace("_", " ")
    return Outcome(name or "", title, "", "neither")


def asked_of(spec: ModelSpec, vocabulary: Any = OUTCOMES) -> Outcome:
    """Return the outcome of a question; of several outcomes one with their names."""
    if not spec.outcomes:
        return outcome_of(spec.outcome, vocabulary)
    titles = [outcome_of(name, vocabulary).title for name in spec.outcomes]
    return Outcome("", join(titles), "", "neither")


def reaches(outcome: Outcome) -> str:
    """Return what 100 patients do: ``reach complete remission``."""
    return _REACHES.get(outcome.name, f"have {outcome.title}")


_PAST = {
    "reach": "reached",
    "need": "needed",
    "receive": "received",
    "relapse": "relapsed",
    "have": "had",
    "die": "died",
    "survive": "survived",
}


def reached(outcome: Outcome) -> str:
    """Return what patients did: ``reached complete remission``."""
    verb, _, rest = reaches(outcome).partition(" ")
    return f"{_PAST[verb]} {rest}".strip()


def event_of(outcome: Outcome) -> str:
    """Return the event whose hazard a ratio compares."""
    return _EVENTS.get(outcome.name, outcome.title)


def exposure_words(name: str | None) -> str:
    """Return an exposure in words."""
    return EXPOSURES.get(name or "other", (name or "").replace("_", " "))


def exposed_words(name: str | None) -> tuple[str, str]:
    """Return the two sides of a comparison, as said of patients.

    Examples
    --------
    >>> exposed_words("hsct"), exposed_words("prior_hsct")[0]
    (('transplanted', 'not transplanted'), 'with transplant before CAR-T')
    """
    words = exposure_words(name)
    return _SIDES.get(name or "", (f"with {words}", f"without {words}"))


def places_of(codes: Iterable[str]) -> str:
    """Return countries in words.

    Examples
    --------
    >>> places_of(["CN", "CN", "US"])
    'China and the United States'
    """
    names = dict.fromkeys(_PLACES.get(code, code) for code in codes)
    return join(names) if names else ""


def designs_of(designs: Iterable[str]) -> str:
    """Return studies with what their designs have in common.

    Examples
    --------
    >>> designs_of(["retrospective single-centre cohort"] * 2), designs_of(["single-arm phase 1"])
    ('two retrospective cohorts', 'one single-arm trial')
    >>> designs_of(["single-arm phase 1", "", "registry"])
    'one single-arm trial and two of another or no stated design'
    """
    kinds = [_design(design) for design in designs]
    counts = {kind: kinds.count(kind) for kind in dict.fromkeys(kinds) if kind}
    named = [count_of(number, kind) for kind, number in counts.items()]
    if others := kinds.count(""):
        who = number_word(others) if named else count_of(others, "study", "studies")
        named.append(f"{who} of another or no stated design")
    return join(named)


def _design(design: str) -> str:
    words = design.lower()
    single = "single-arm " if "single-arm" in words else ""
    if "retrospective" in words:
        return "retrospective cohort"
    if "random" in words and not re.search(r"no[nt][- ]?random", words):
        return "randomised trial"
    if "phase" in words or "trial" in words:
        return f"{single}trial"
    return "prospective cohort" if "prospective" in words else ""


def column_words(name: str) -> str:
    """Return a column of the evidence, such as a moderator, in words."""
    return _COLUMNS.get(name, name.replace("_", " "))


def level_word(level: Any) -> str:
    """Return a level of a moderator in words: ``yes`` for true."""
    if isinstance(level, float):
        return f"{level:.12g}"
    return {"true": "yes", "false": "no"}.get(str(level).lower(), str(level))
