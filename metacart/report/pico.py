"""A question in its parts: patients, intervention, comparison, outcome, studies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from metacart.records.spec import ModelSpec
from metacart.records.study import Study
from metacart.report.words import (
    POPULATIONS,
    asked_of,
    capital,
    column_words,
    designs_of,
    exposed_words,
    exposure_words,
    join,
    level_word,
    outcome_of,
)

__all__ = ["pico"]

# filters that say who was treated, with what, and which papers enter
_PATIENTS = ("disease", "age", "prior_scfv", "reason")
_TREATMENT = ("infusion", "target", "scfv", "scfv_certainty", "costimulation", "same_product")
_INFUSIONS = {
    "first": "a first infusion",
    "retreatment": "infused again (re-treatment)",
    "mixed": "first and later infusions together",
}


def pico(spec: ModelSpec, studies: list[Study], vocabulary: Any) -> tuple[tuple[str, str], ...]:
    """Return patients, intervention, comparison, outcome and studies of a question.

    Parameters
    ----------
    spec : ModelSpec
        The question.
    studies : list of Study
        Those that carry its answer.
    vocabulary : mapping of str to Outcome
        The outcomes of the studies.
    """
    treated = join(_filtered(spec, _TREATMENT))
    _, without = exposed_words(spec.exposure)
    cells = "CAR-T cells" + (f": {treated}" if treated else ", any product")
    return (
        ("Patients", capital(_patients(spec))),
        ("Intervention", f"{capital(exposure_words(spec.exposure))}" if spec.exposure else cells),
        ("Comparison", capital(without) if spec.exposure else _compared(spec)),
        ("Outcome", capital("; ".join(_outcomes(spec, vocabulary)))),
        ("Studies", capital(designs_of([study.conduct.study_design for study in studies]))),
    )


def _patients(spec: ModelSpec) -> str:
    who = "; ".join(_filtered(spec, _PATIENTS)) or "any disease"
    counted = join((POPULATIONS.get(name, name) for name in spec.population), "or")
    own = [
        f"{column_words(name)}: {_levels(name, levels)}"
        for name, levels in spec.include.items()
        if name not in (*_PATIENTS, *_TREATMENT)
    ]
    return "; ".join((who, *own, *([f"counted: {counted}"] if counted else [])))


def _filtered(spec: ModelSpec, names: tuple[str, ...]) -> list[str]:
    return [
        _levels(name, spec.include[name])
        if name in ("disease", "infusion")
        else f"{column_words(name)} {_levels(name, spec.include[name])}"
        for name in names
        if name in spec.include
    ]


def _levels(name: str, levels: Any) -> str:
    words = (
        _INFUSIONS.get(str(level), level_word(level)) if name == "infusion" else level_word(level)
        for level in levels
    )
    return join(words, "or")


def _compared(spec: ModelSpec) -> str:
    if spec.contrasts:
        return capital(
            "; ".join(
                f"{column_words(name)}: {level_word(level)} against {level_word(reference)}"
                for name, level, reference in spec.contrasts
            )
        )
    return "None: single arms"


def _outcomes(spec: ModelSpec, vocabulary: Any) -> Iterator[str]:
    names = spec.outcomes or (spec.outcome,)
    for name in names:
        outcome = outcome_of(name, vocabulary) if spec.outcomes else asked_of(spec, vocabulary)
        defined = outcome.definition
        same = not defined or defined.lower().startswith(outcome.title.lower())
        yield (defined or outcome.title) if same else f"{outcome.title}, that is {defined}"
    if spec.timepoint:
        yield f"at {join(spec.timepoint, 'or')}"
