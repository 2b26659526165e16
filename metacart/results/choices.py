"""The choices of a multiverse: what could have been declared as well, as changes of a question."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from metacart.errors import Fault, InputError, shown
from metacart.inference.records import spec_text
from metacart.records.priors import Prior
from metacart.records.spec import REPRESENTATIVES, ModelSpec

__all__ = ["Choice", "Choices", "changed", "declared_choices", "read_choices", "universes"]

Choices = Mapping[str, Mapping[str, Mapping[str, Any]] | Sequence[Any]]
_PARAMETERS = ("mu", "tau", "beta", "baseline", "bias", "rho")  # a choice of their prior
_DECLARED = "as declared"
_TAU = (0.5, 2.0)


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
    """Return a question with some keys changed; priors are changed one by one."""
    data = json.loads(spec_text(spec))
    priors = {**data.get("priors", {}), **changes.get("priors", {})}
    data |= {**changes, "priors": priors}
    if data.get("random_effects") == "none":
        data["priors"].pop("tau", None)  # what there is not has no prior
    return ModelSpec.from_mapping(data)


def universes(choices: Sequence[Choice]) -> Iterator[tuple[dict[str, str], dict[str, Any]]]:
    """Yield each combination: the label of each choice, and the changes together."""
    for combination in product(*(choice.options.items() for choice in choices)):
        labels = {
            choice.name: label for choice, (label, _) in zip(choices, combination, strict=True)
        }
        together: dict[str, Any] = {}
        for _, changes in combination:
            priors = {**together.get("priors", {}), **changes.get("priors", {})}
            together |= {**changes, "priors": priors}
        yield labels, together
