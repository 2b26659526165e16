"""The choices of a multiverse: what could have been declared as well, as changes of a question."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import isfinite
from typing import TYPE_CHECKING, Any

from metacart.errors import Fault, InputError, nearest, shown
from metacart.inference.records import spec_text
from metacart.records.priors import Prior
from metacart.records.spec import REPRESENTATIVES, ModelSpec

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "AT_LEAST",
    "Choice",
    "Choices",
    "changed",
    "check_thresholds",
    "declared_choices",
    "reaching",
    "read_choices",
    "universes",
]

Choices = Mapping[str, Mapping[str, Mapping[str, Any]] | Sequence[Any]]
_PARAMETERS = ("mu", "tau", "beta", "baseline", "bias", "rho")  # a choice of their prior
_DECLARED = "as declared"
_TAU = (0.5, 2.0)
AT_LEAST = "at_least"  # of an option: what a finding must reach, by column; no key of a question
_MERGED = ("priors", "include", AT_LEAST)  # changed entry by entry


@dataclass(frozen=True)
class Choice:
    """One choice: its options by label, each the fields of the question that it changes."""

    name: str
    options: Mapping[str, Mapping[str, Any]]


def declared_choices(spec: ModelSpec, tau: Prior | None) -> list[Choice]:
    """Return the choices that every question has, as far as it has them.

    Parameters
    ----------
    spec : ModelSpec
        The question.
    tau : Prior or None
        Of its study effects, where it has some.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {}
    if len(spec.population) > 1:
        found["population"] = {
            f"{first} first": {
                "population": [first, *(each for each in spec.population if each != first)]
            }
            for first in spec.population
        }
    if spec.outcome is not None:
        found["report of a cohort"] = {
            name: {"representative": name}
            for name in dict.fromkeys((spec.representative, *REPRESENTATIVES))
        }
        found["quoted numbers"] = {
            words: {"reported_by": words}
            for words in dict.fromkeys((spec.reported_by, "include", "exclude"))
        }
    if tau is not None:
        priors = {_DECLARED: tau} | {
            f"{scale:g} times as wide": tau.scaled(scale) for scale in _TAU
        }
        found["prior of tau"] = {
            f"{words}, {prior}" if words == _DECLARED else str(prior): {
                "priors": {"tau": str(prior)}
            }
            for words, prior in priors.items()
        }
        found["model"] = {
            "normal effects": {"random_effects": "normal"},
            "Student-t effects": {"random_effects": "student_t"},
            "common effect": {"random_effects": "none"},
        }
        if spec.likelihood == "binomial":
            found["model"]["beta-binomial"] = {
                "likelihood": "beta_binomial",
                "random_effects": "none",
            }
    return [Choice(name, options) for name, options in found.items()]


def read_choices(spec: ModelSpec, choices: Choices) -> list[Choice]:
    """Return choices as they were given; raises `InputError` with every fault of them.

    Each option alone must be a question that can be.
    """
    faults: list[Fault] = []
    found: list[Choice] = []
    if not isinstance(choices, Mapping):
        raise InputError(Fault("choices", shown(choices), "a table of choices by name"))
    for name, given in choices.items():
        place = f"choices['{name}']"
        options = _options(str(name), given)
        if options is None or len(options) < 2:
            allowed = "two options or more: values of a key of the question, or a table of them"
            faults.append(Fault(place, shown(given), allowed))
            continue
        for label, changes in options.items():
            if not isinstance(changes, Mapping):
                allowed = "the keys of the question that it changes"
                faults.append(Fault(f"{place}['{label}']", shown(changes), allowed))
                continue
            if AT_LEAST in changes:
                where = f"{place}['{label}']: {AT_LEAST}"
                faults += _threshold_faults(changes[AT_LEAST], where)
            try:
                changed(spec, changes)
            except InputError as error:
                where = f"{place}['{label}']"
                faults += [
                    Fault(f"{where}: {each.place}", each.found, each.allowed, each.attempt)
                    for each in error.faults
                ]
        found.append(Choice(str(name), options))
    if faults:
        raise InputError(faults)
    return found


def _options(name: str, given: Any) -> Mapping[str, Mapping[str, Any]] | None:
    if isinstance(given, Mapping):
        return {str(label): changes for label, changes in given.items()}
    if isinstance(given, str) or not isinstance(given, Sequence):
        return None
    return {
        _label(value): {"priors": {name: value}} if name in _PARAMETERS else {name: value}
        for value in given
    }


def _label(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def changed(spec: ModelSpec, changes: Mapping[str, Any]) -> ModelSpec:
    """Return a question with some keys changed; priors and filters are changed one by one."""
    data = _together(json.loads(spec_text(spec)), changes)
    data.pop(AT_LEAST, None)
    if "nu" not in changes and data.get("random_effects") != "student_t":
        data.pop("nu", None)  # that of the effects as they were declared
    if data.get("random_effects") == "none":
        data.setdefault("priors", {}).pop("tau", None)  # what there is not has no prior
    return ModelSpec.from_mapping(data)


def _together(first: Mapping[str, Any], then: Mapping[str, Any]) -> dict[str, Any]:
    """Return changes after changes; a threshold stays where the other is lower."""
    merged: dict[str, Any] = {**first, **then}
    for key in _MERGED:
        one, other = first.get(key), then.get(key)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            merged[key] = {**one, **other}
            if key == AT_LEAST:
                shared = one.keys() & other.keys()
                merged[key] |= {name: max(one[name], other[name]) for name in shared}
    return merged


def _threshold_faults(given: Any, place: str) -> list[Fault]:
    allowed = 'a number by column, such as {"total": 10}'
    if not isinstance(given, Mapping) or not given:
        return [Fault(place, shown(given), allowed)]
    return [
        Fault(f"{place}['{name}']", shown(least), "a number")
        for name, least in given.items()
        if isinstance(least, bool) or not isinstance(least, int | float) or not isfinite(least)
    ]


def check_thresholds(choices: Sequence[Choice], evidence: pd.DataFrame) -> None:
    """Refuse thresholds of what is no column of numbers, with every fault."""
    numbers = [str(name) for name in evidence.select_dtypes("number").columns]
    faults = [
        Fault(
            f"choices['{choice.name}']['{label}']: {AT_LEAST}",
            f"'{name}' is no column of numbers of the evidence",
            ", ".join(numbers),
            nearest(name, numbers),
        )
        for choice in choices
        for label, changes in choice.options.items()
        for name in changes.get(AT_LEAST, {})
        if name not in numbers
    ]
    if faults:
        raise InputError(faults)


def reaching(evidence: pd.DataFrame, changes: Mapping[str, Any]) -> pd.DataFrame:
    """Return the findings that reach every threshold of a universe; there must be one."""
    rows = evidence
    for name, least in changes.get(AT_LEAST, {}).items():
        rows = rows[rows[name] >= least]
        if rows.empty:
            found = f"no finding has a {name} of {least:g} or more"
            raise InputError(Fault(AT_LEAST, found, "a lower threshold"))
    return rows.reset_index(drop=True) if len(rows) < len(evidence) else evidence


def universes(choices: Sequence[Choice]) -> Iterator[tuple[dict[str, str], dict[str, Any]]]:
    """Yield each combination: the label of each choice, and the changes together."""
    for combination in product(*(choice.options.items() for choice in choices)):
        labels = {
            choice.name: label for choice, (label, _) in zip(choices, combination, strict=True)
        }
        together: dict[str, Any] = {}
        for _, changes in combination:
            together = _together(together, changes)
        yield labels, together
