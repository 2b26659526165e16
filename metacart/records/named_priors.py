"""Priors that others derived, under a name: ``Turner2015(pain, pharmacological_vs_control)``.

A name is a shorthand with a source. It stands for an explicit prior, which is what a fit keeps and
prints, and it holds for some measures alone: that of odds ratios says nothing about rates.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from metacart.errors import Fault, InputError, nearest, shown
from metacart.records.turner2015 import ANY, TABLE

__all__ = [
    "CATALOGUE",
    "ELSEWHERE",
    "MEASURES",
    "NAMED",
    "NamedPrior",
    "expanded",
    "named_priors_in",
]

# what theta is the logarithm of, or what else it is
MEASURES = {
    "odds_ratio": "log odds ratios of two groups",
    "risk_ratio": "log risk ratios of two groups",
    "hazard_ratio": "log hazard ratios of two groups",
    "rate": "log odds of single arms",
    "risk": "log cumulative hazards of single arms",
    "survival": "survival of single arms",
    "value": "values in a unit of their own",
}
_RATIOS = frozenset(("odds_ratio", "risk_ratio", "hazard_ratio"))


@dataclass(frozen=True, slots=True)
class NamedPrior:
    """A prior with its source and with what it holds for.

    Attributes
    ----------
    text : str
        As a model file writes it.
    parameter : str
        ``mu`` or ``tau``.
    prior : str
        The explicit prior.
    measures : frozenset of str
        Keys of `MEASURES`.
    source, doi : str
        Where it is from.
    note : str
        What else to know.
    """

    text: str
    parameter: str
    prior: str
    measures: frozenset[str]
    source: str
    doi: str
    note: str = ""


_FRIEDE = ("Friede 2017: scales 0.5 and 1 for log odds ratios", "10.1002/jrsm.1217")
_GELMAN = ("Gelman 2006: the half-t family", "10.1214/06-BA117A")
_RBEST = ("RBesT (Weber 2021): for rates of 20 to 80 %", "10.18637/jss.v100.i19")
_BARTOS = ("Bartoš 2023, as in the authors' R package BayesTools", "10.48550/arXiv.2306.11468")
_ROEVER = ("Röver 2021: unit information", "10.1002/jrsm.1475")
_TURNER = "10.1002/sim.6381"

# scale and degrees of freedom of Student's t for mu, shape and scale of the inverse gamma for tau
_COCHRANE: dict[tuple[str, ...], tuple[str, str]] = {
    ("odds_ratio",): ("StudentT(4, 0, 0.58)", "InverseGamma(1.77, 0.55)"),
    ("odds_ratio", "haematology"): ("StudentT(4, 0, 0.57)", "InverseGamma(2.91, 0.66)"),
    ("risk_ratio",): ("StudentT(3, 0, 0.32)", "InverseGamma(1.51, 0.23)"),
    ("risk_ratio", "haematology"): ("StudentT(3, 0, 0.31)", "InverseGamma(1.22, 0.11)"),
    ("hazard_ratio",): ("StudentT(2, 0, 0.13)", "InverseGamma(2.42, 0.3)"),
}


def _plain() -> Iterator[NamedPrior]:
    """Priors that a file writes as they are."""
    both = _RATIOS | {"rate"}
    yield NamedPrior(
        "HalfNormal(0.5)", "tau", "HalfNormal(0.5)", frozenset(("odds_ratio",)), *_FRIEDE
    )
    yield NamedPrior(
        "HalfNormal(0.5)",
        "tau",
        "HalfNormal(0.5)",
        frozenset(("risk_ratio", "hazard_ratio")),
        *_ROEVER,
        "a quarter of the unit-information SD, the default of the R package RoBMA 4",
    )
    yield NamedPrior("HalfNormal(1)", "tau", "HalfNormal(1)", frozenset(("odds_ratio",)), *_FRIEDE)
    yield NamedPrior("HalfNormal(1)", "tau", "HalfNormal(1)", frozenset(("rate",)), *_RBEST)
    heavy = "heavy tails; the source leaves the scale to the field: here that of HalfNormal"
    yield NamedPrior("HalfCauchy(0.5)", "tau", "HalfCauchy(0.5)", _RATIOS, *_GELMAN, heavy)
    yield NamedPrior("HalfCauchy(1)", "tau", "HalfCauchy(1)", both, *_GELMAN, heavy)


def _derived() -> Iterator[NamedPrior]:
    """Priors that have a name."""
    note = "variance 4 an event for log ratios, 1 / (p (1 - p)) = 4 a patient for a rate of 50 %"
    yield NamedPrior("UnitInformation()", "mu", "Normal(0, 2)", _RATIOS | {"rate"}, *_ROEVER, note)
    for words, priors in _COCHRANE.items():
        text = f"Bartos2023({', '.join(words)})"
        field = "haematology" if len(words) > 1 else "all fields of medicine"
        for parameter, prior in zip(("mu", "tau"), priors, strict=True):
            measures = frozenset(words[:1])
            yield NamedPrior(text, parameter, prior, measures, *_BARTOS, f"Cochrane, {field}")
    cells = {
        f"{outcome}, {comparison}": cell
        for outcome in TABLE
        for comparison, cell in TABLE[outcome].items()
    }
    for words_, (mean, sd) in {"": ANY, **cells}.items():
        yield NamedPrior(
            f"Turner2015({words_})",
            "tau",
            # the square root halves both on the log scale
            f"LogNormal({mean / 2:g}, {sd / 2:g})",
            frozenset(("odds_ratio",)),
            f"Turner 2015, {'Table IV' if words_ else 'page 993'}",
            _TURNER,
            f"tau squared ~ LogNormal({mean:g}, {sd:g})",
        )


CATALOGUE: tuple[NamedPrior, ...] = (*_plain(), *_derived())
_NAMED = [entry for entry in CATALOGUE if entry.text != entry.prior]
NAMED: tuple[str, ...] = tuple(dict.fromkeys(entry.text.partition("(")[0] for entry in _NAMED))

# names that a reader may look for, and why they are not here
ELSEWHERE = {
    "Rhodes2015": "holds for standardised mean differences, which no likelihood here models",
}


def named_priors_in(call: ast.Call, *, place: str = "") -> list[NamedPrior]:
    """Return what a name with words stands for: one prior, or one each of mu and tau.

    Raises
    ------
    InputError
        For words that this name does not know.
    """
    name, written = ast.unparse(call.func), shown(ast.unparse(call))
    words = [node.id if isinstance(node, ast.Name) else "" for node in call.args]
    entries = [(_words(entry), entry) for entry in _NAMED if entry.text.startswith(f"{name}(")]
    if call.keywords or "" in words:
        found = f"{written} holds something that is not a bare word"
        raise InputError(Fault(place, found, "words alone", f"such as {_NAMED[-1].text}"))
    for position, word in enumerate(words):
        known = list(dict.fromkeys(own[position] for own, _ in entries if len(own) > position))
        if word not in known:
            found = f"{written}: '{word}' is not known here"
            allowed = ", ".join(known) or "nothing more"
            attempt = nearest(word, known) or f"such as {entries[min(1, len(entries) - 1)][1].text}"
            raise InputError(Fault(place, found, allowed, attempt))
        entries = [(own, entry) for own, entry in entries if own[position : position + 1] == [word]]
    if exact := [entry for own, entry in entries if own == words]:
        return exact
    following = dict.fromkeys(own[len(words)] for own, _ in entries)
    attempt = f"such as {entries[0][1].text}"
    raise InputError(Fault(place, f"{written} lacks a word", ", ".join(following), attempt))


def expanded(entries: list[NamedPrior], *, parameter: str = "", place: str = "") -> NamedPrior:
    """Return the prior of one parameter among those that a name stands for.

    Raises
    ------
    InputError
        Where there is none, or where several stand and no parameter says which is meant.
    """
    fitting = [entry for entry in entries if parameter in (entry.parameter, "")]
    if len(fitting) == 1:
        return fitting[0]
    text, have = entries[0].text, " or ".join(entry.parameter for entry in entries)
    found = f"{text} is a prior of {have}" + (f", not of {parameter}" if parameter else "")
    attempt = f'{entries[-1].parameter} = "{text}"' if parameter else 'parameter="tau"'
    raise InputError(Fault(place, found, f"a prior of {parameter or 'one parameter'}", attempt))


def find_named(text: str, parameter: str) -> NamedPrior | None:
    """Return what a text names for a parameter; nothing for an explicit prior or a faulty one."""
    try:
        call = ast.parse(text.strip(), mode="eval").body
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in NAMED:
            return expanded(named_priors_in(call), parameter=parameter)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        pass  # an InputError is a ValueError; what is wrong is said where the prior is read
    return None


def _words(entry: NamedPrior) -> list[str]:
    inside = entry.text.partition("(")[2].removesuffix(")")
    return inside.split(", ") if inside else []
