"""Which questions are asked, and which of them this evidence can answer: before anything is fitted.

A faulty input stops the report. A question that is asked well but finds no evidence becomes a
section that says why.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from metacart.errors import Fault, InputError
from metacart.evidence.collection import Studies
from metacart.evidence.library import list_models, load_model
from metacart.evidence.selection import account, tabulate
from metacart.modelling.check import question_faults
from metacart.modelling.design import bind
from metacart.modelling.likelihoods import find_likelihood, find_system
from metacart.modelling.moderators import level_text
from metacart.modelling.priors import resolve_priors
from metacart.records.spec import ModelSpec
from metacart.report.words import capital, column_words, count_of, join, level_word

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "PathLike",
    "Question",
    "Specs",
    "as_list",
    "ask",
    "read_specs",
]

PathLike = str | os.PathLike[str]
Specs = ModelSpec | PathLike | Sequence[ModelSpec | PathLike]


@dataclass(frozen=True, slots=True)
class Question:
    """A declared analysis with its evidence, or with the reasons why there is no answer.

    Attributes
    ----------
    spec : ModelSpec
        The question.
    account : DataFrame
        Every finding, used or not, and by which rule.
    evidence : DataFrame or None
        The findings used; none where no finding passes the rules.
    reasons : tuple of str
        Why the evidence cannot answer, in sentences; empty where it can.
    faults : tuple of Fault
        The same in the words of the engine.
    """

    spec: ModelSpec
    account: pd.DataFrame
    evidence: pd.DataFrame | None = None
    reasons: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()

    @property
    def answerable(self) -> bool:
        """Whether there is something to fit."""
        return not self.reasons


def as_list(given: Any) -> list[Any]:
    """Return what may be nothing, one or several, as a list."""
    if given is None:
        return []
    alone = isinstance(given, ModelSpec | str | os.PathLike) or not isinstance(given, Iterable)
    return [given] if alone else list(given)


def read_specs(
    specs: Specs | None, models: PathLike | None, faults: list[Fault]
) -> list[ModelSpec]:
    """Return the questions asked for, or all in their order; faults are added to `faults`."""
    wanted = as_list(specs)
    if specs is None:
        try:
            wanted = list(list_models(models))
        except InputError as error:
            faults += error.faults
            return []
        if not wanted:
            faults.append(Fault("models", "no model files", "a folder of .toml files"))
    elif not wanted:
        faults.append(Fault("specs", "no question", "one name of a model or more"))
    found: list[ModelSpec] = []
    for each in wanted:
        try:
            found.append(each if isinstance(each, ModelSpec) else load_model(each, folder=models))
        except InputError as error:
            faults += error.faults
    if specs is None:
        found.sort(key=lambda spec: (spec.order is None, spec.order or 0))
    names = [spec.name for spec in found]
    faults += [
        Fault("specs", f"'{name}' stands twice", "each question once, under an id of its own")
        for name in dict.fromkeys(names)
        if names.count(name) > 1
    ]
    return found


def ask(specs: Iterable[ModelSpec], studies: Studies) -> list[Question]:
    """Put each question to the evidence.

    Parameters
    ----------
    specs : iterable of ModelSpec
        The questions.
    studies : Studies
        The evidence.

    Returns
    -------
    list of Question
        In the order of `specs`.

    Raises
    ------
    InputError
        With the faults of every question that cannot be right, whatever the evidence.
    """
    faults: list[Fault] = []
    questions = []
    for spec in specs:
        wrong = question_faults(spec, studies)
        if not wrong:
            try:
                questions.append(_ask(spec, studies))
            except InputError as error:
                wrong += error.faults
        faults += [
            # a path names the question, too
            replace(fault, place=f"{spec.name}: {fault.place}") if fault.path is None else fault
            for fault in wrong
        ]
    if faults:
        raise InputError(faults)
    return questions


def _ask(spec: ModelSpec, studies: Studies) -> Question:
    everything = account(studies, spec)
    evidence = None
    try:
        evidence = tabulate(studies, spec)
        design = bind(spec, evidence)
        if find_system(spec) is None:
            resolve_priors(spec, design, find_likelihood(spec))
    except InputError as error:
        if not all(fault.unanswerable for fault in error.faults):
            raise
        reasons: tuple[str, ...] = ("No finding passes the rules of the question.",)
        if evidence is not None:
            reasons = _reasons(spec, evidence, error.faults)
        return Question(spec, everything, evidence, reasons, error.faults)
    return Question(spec, everything, evidence)


def _reasons(spec: ModelSpec, evidence: pd.DataFrame, faults: Iterable[Fault]) -> tuple[str, ...]:
    """Say in plain sentences why the evidence cannot answer."""
    reasons = [
        reason
        for name in spec.moderator_columns
        for reason in _about_moderator(spec, evidence, name)
    ]
    return tuple(reasons) or tuple(f"{capital(fault.place)}: {fault.found}." for fault in faults)


def _about_moderator(spec: ModelSpec, evidence: pd.DataFrame, name: str) -> list[str]:
    words = column_words(name)
    reasons = []
    column = evidence[name]
    numeric = all(type(level) in (int, float) for level in column.dropna().tolist())
    if column.isna().any() and not (numeric and spec.missing == "impute"):
        labels = evidence.loc[column.isna(), "label"].astype(str)
        reasons.append(f"{capital(words)} is not stated for {join(dict.fromkeys(labels))}.")
    levels = list(dict.fromkeys(level_text(level) for level in column.dropna()))
    pairs = [
        [level_text(level) for level in contrast[1:]]
        for contrast in spec.contrasts
        if contrast[0] == name
    ]
    missing = dict.fromkeys(level for pair in pairs for level in pair if level not in levels)
    reference = level_text(spec.reference[name]) if name in spec.reference else None
    if missing and not numeric:
        for pair in pairs:
            gone = [level for level in pair if level in missing]
            if gone:
                reasons.append(
                    f"The question compares {pair[0]} with {pair[1]} ({words}). "
                    f"No arm that passes its rules is {join(gone, 'or')}."
                )
    elif not numeric and reference is not None and reference not in levels and levels:
        reasons.append(
            f"The question compares with {reference} ({words}). "
            f"No arm that passes its rules is {reference}."
        )
    elif len(levels) == 1:
        arms = count_of(len(column), "arm")
        reasons.append(
            f"{capital(words)} does not vary: {arms} passed the rules, and for "
            f"{'it' if len(column) == 1 else 'all of them'} it is {level_word(levels[0])}."
        )
    return reasons
