"""What is wrong with a question whatever its evidence: likelihood, scale, priors, names, levels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from metacart.errors import Fault, InputError, collected, nearest
from metacart.evidence.collection import Studies
from metacart.evidence.columns import RESERVED, known_levels, recoded, spec_faults
from metacart.evidence.origin import in_file
from metacart.modelling.likelihoods import Likelihood, Likelihoods, find_likelihood, find_system
from metacart.modelling.measures import misplaced_priors
from metacart.modelling.moderators import level_text
from metacart.modelling.origins import origin_faults
from metacart.modelling.spread import combination_faults
from metacart.modelling.system_check import system_faults
from metacart.records.priors import Prior, Support, parse_prior
from metacart.records.spec import ModelSpec

__all__ = ["model_faults", "own_priors", "prior_faults", "question_faults"]

_SUPPORTS: dict[str, Support] = {"mu": "real", "beta": "real", "tau": "positive"}


def question_faults(
    spec: ModelSpec,
    studies: Studies,
    *,
    likelihoods: Likelihoods | None = None,
) -> list[Fault]:
    """Return everything that is wrong with a question to these studies, before any is selected.

    Parameters
    ----------
    spec : ModelSpec
        The question.
    studies : Studies
        The evidence.
    likelihoods : mapping of str to Likelihood or System, optional
        Instead of the shipped ones.

    Returns
    -------
    list of Fault
        With file and line where the spec was read from a file.
    """
    faults = [
        *spec_faults(studies, spec),
        *model_faults(spec, likelihoods=likelihoods),
        *_moderator_faults(studies, spec),
    ]
    return in_file(spec, faults)


def model_faults(spec: ModelSpec, *, likelihoods: Likelihoods | None = None) -> list[Fault]:
    """Return what is wrong with a spec whatever the evidence."""
    faults: list[Fault] = []
    likelihood = None
    with collected(faults):
        if (system := find_system(spec, likelihoods=likelihoods)) is not None:
            return [*system_faults(spec, system), *_recode_faults(spec)]
        likelihood = find_likelihood(spec, likelihoods=likelihoods)
    if likelihood is not None and spec.scale not in (None, *likelihood.scales):
        faults.append(
            Fault(
                "scale",
                f"'{spec.scale}' with the {likelihood.name} likelihood",
                ", ".join(likelihood.scales),
            )
        )
    if likelihood is not None and spec.random_effects not in likelihood.random_effects:
        allowed = likelihood.random_effects
        near = "normal" if "normal" in allowed else allowed[0]
        faults.append(
            Fault(
                "random_effects",
                f"'{spec.random_effects}' with the {likelihood.name} likelihood",
                ", ".join(allowed),
                f'random_effects = "{near}"',
            )
        )
    if likelihood is not None:
        faults += origin_faults(spec, likelihood)
        faults += combination_faults(spec, likelihood, likelihoods=likelihoods)
    faults += _recode_faults(spec)
    return [*faults, *prior_faults(spec, likelihood)]


def _recode_faults(spec: ModelSpec) -> Iterator[Fault]:
    for name, groups in spec.recode.items():
        for new, old in groups.items():
            if new not in old and recoded(name, new, spec) != new:
                yield Fault(
                    f"recode.{name}.{new}",
                    f"'{new}' is a new level and an old one of '{recoded(name, new, spec)}'",
                    "levels collapsed in one step",
                    "another name for the new level",
                )


def own_priors(spec: ModelSpec, likelihood: Likelihood) -> dict[str, Prior]:
    """Return the priors of a likelihood's own parameters, those of the spec before the defaults.

    Raises
    ------
    InputError
        For one that cannot be read, or lives elsewhere than its parameter.
    """
    faults: list[Fault] = []
    priors: dict[str, Prior] = {}
    for name, own in likelihood.parameters.items():
        place = f"priors.{name}"
        with collected(faults):
            text = spec.priors.get(name, own.prior)
            prior = parse_prior(text, support=own.support, parameter=name, place=place)
            if own.each and not np.isinf(prior.bounds).all():
                allowed = "a distribution over all numbers"
                faults.append(Fault(place, f"{prior} has bounds", allowed, f"such as {own.prior}"))
            priors[name] = prior
    if faults:
        raise InputError(faults)
    return priors


def prior_faults(spec: ModelSpec, likelihood: Likelihood | None) -> list[Fault]:
    """Return what is wrong with the priors of a spec; its own parameters need the likelihood."""
    supports = _SUPPORTS | ({"tau_within": "positive"} if spec.within else {})
    if likelihood is not None:
        supports |= {name: own.support for name, own in likelihood.parameters.items()}
    faults: list[Fault] = []
    for name, stated in spec.priors.items():
        if name not in supports:
            if likelihood is not None:
                faults.append(
                    Fault(
                        f"priors.{name}",
                        "no parameter of this model",
                        ", ".join(supports),
                        nearest(name, supports),
                    )
                )
            continue
        if likelihood is not None and name in likelihood.parameters:
            continue
        texts: dict[str, object] = {f"priors.{name}": stated}
        if name == "beta" and isinstance(stated, dict):
            texts = {f"priors.beta.{key}": text for key, text in stated.items()}
            faults += [
                Fault(
                    f"priors.beta.{key}",
                    "not a moderator",
                    ", ".join(spec.moderators) or "none: the model has no moderators",
                    nearest(key, spec.moderators),
                )
                for key in stated
                if key not in spec.moderators and not _is_coefficient(key, spec)
            ]
        if name == "tau" and isinstance(stated, dict):
            texts = {f"priors.tau.{level}": text for level, text in stated.items()}
            if not spec.tau_by:
                faults.append(
                    Fault(
                        "priors.tau",
                        f"a table of {', '.join(stated)}",
                        "one prior: tau is the same in all studies",
                        "tau_by = the moderator of these levels",
                    )
                )
        for place, text in texts.items():
            with collected(faults):
                parse_prior(text, support=supports[name], parameter=name, place=place)
    if likelihood is not None:
        with collected(faults):
            own_priors(spec, likelihood)
        faults += misplaced_priors(spec, likelihood)
    return faults


def _is_coefficient(key: str, spec: ModelSpec) -> bool:
    """Whether a key is that of one coefficient, such as ``scfv[humanized]``."""
    return key.endswith("]") and key.partition("[")[0] in spec.moderator_columns


def _moderator_faults(studies: Studies, spec: ModelSpec) -> Iterator[Fault]:
    """Yield moderators, references and levels of contrasts that these studies do not know."""
    known = known_levels(studies)
    names = [*known, *sorted(RESERVED - known.keys())]
    for name in spec.moderator_columns:
        if name not in names:
            yield Fault(
                f"moderator '{name}'",
                "the studies have no such column",
                ", ".join(names),
                nearest(name, names),
            )
    stated = [(f"reference.{name}", name, level) for name, level in spec.reference.items()]
    stated += [
        (f"contrasts[{number}]", name, level)
        for number, (name, *levels) in enumerate(spec.contrasts)
        for level in levels
    ]
    for place, name, level in stated:
        # a level of a number, or of a column without closed levels, shows in the evidence alone
        levels = [recoded(name, each, spec) for each in known.get(name, ())]
        words = list(dict.fromkeys(level_text(each) for each in levels))
        levels_are_numbers = all(type(each) in (int, float) for each in levels)
        if words and not levels_are_numbers and level_text(level) not in words:
            yield Fault(
                place,
                f"'{level_text(level)}' is no level of {name}",
                ", ".join(words),
                nearest(level_text(level), words),
            )
