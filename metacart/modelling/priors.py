"""The priors of an analysis: those that the spec states, the likelihood's defaults for the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from metacart.errors import Fault, InputError, nearest
from metacart.evidence.origin import in_file
from metacart.modelling.check import own_priors, prior_faults
from metacart.modelling.design import data_of, moderators_of, scale_of
from metacart.modelling.likelihoods import Likelihood
from metacart.modelling.spread import TauLevels, tau_levels, tau_names
from metacart.records.priors import Prior, parse_prior
from metacart.records.spec import ModelSpec

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["beta_text", "resolve_priors", "spec_priors"]


def spec_priors(spec: ModelSpec, likelihood: Likelihood, *, scale: str) -> dict[str, Prior]:
    """Return the priors of mu, tau and the likelihood's own parameters, from the spec alone.

    Parameters
    ----------
    spec : ModelSpec
        States some or all of them.
    likelihood : Likelihood
        Has the defaults.
    scale : str
        The model scale.

    Returns
    -------
    dict of str to Prior

    Raises
    ------
    InputError
        For an unknown parameter, a prior that cannot be read or does not hold here, or a scale
        without defaults.
    """
    if faults := prior_faults(spec, likelihood):
        raise InputError(in_file(spec, faults))
    priors = _of_studies(spec, likelihood, scale, {}, faults)
    priors |= own_priors(spec, likelihood)
    if faults:
        raise InputError(in_file(spec, faults))
    return priors


def _of_studies(
    spec: ModelSpec,
    likelihood: Likelihood,
    scale: str,
    data: Mapping[str, Any],
    faults: list[Fault],
    levels: TauLevels | None = None,
) -> dict[str, Prior]:
    """Return the priors of mu and each tau, and collect what has neither prior nor default."""
    defaults = likelihood.priors.get(scale, {})
    priors: dict[str, Prior] = {}
    texts = {"mu": spec.priors.get("mu", defaults.get("mu"))}
    if spec.random_effects != "none":
        texts |= _texts_of_tau(spec, defaults.get("tau"), levels, faults)
    if spec.within:
        texts["tau_within"] = spec.priors.get("tau_within", defaults.get("tau_within"))
    for name, text in texts.items():
        kind = name.partition(":")[0]
        if text is None:
            faults.append(_no_default(kind, scale, data))
        else:
            priors[name] = parse_prior(text, parameter=kind)
    return priors


def _texts_of_tau(
    spec: ModelSpec, default: str | None, levels: TauLevels | None, faults: list[Fault]
) -> dict[str, str | None]:
    """Return the prior of each tau as text; a level without one of its own has the default."""
    stated = spec.priors.get("tau", default)
    if not isinstance(stated, dict):
        return dict.fromkeys(tau_names(levels), stated)
    if levels is None:
        found = f"a table of levels of {spec.tau_by}, which the evidence has"
        faults.append(Fault("priors.tau", found, "one prior, or the evidence beside the spec"))
        return {}
    faults += [
        Fault(
            f"priors.tau.{level}",
            f"'{level}' is no level of {levels.moderator}",
            ", ".join(levels.levels),
            nearest(level, levels.levels),
        )
        for level in stated
        if level not in levels.levels
    ]
    pairs = zip(tau_names(levels), levels.levels, strict=True)
    return {name: stated.get(level, default) for name, level in pairs}


def beta_text(spec: ModelSpec, moderator: str, coefficient: str = "") -> str | None:
    """Return the prior that a spec states for a coefficient, or for all of its moderator."""
    stated = spec.priors.get("beta")
    if not isinstance(stated, dict):
        return stated
    return stated.get(coefficient, stated.get(moderator))


def resolve_priors(spec: ModelSpec, design: xr.Dataset, likelihood: Likelihood) -> dict[str, Prior]:
    """Return the prior of each parameter of the model.

    Parameters
    ----------
    spec : ModelSpec
        States some or all of them.
    design : Dataset
        From ``bind``.
    likelihood : Likelihood
        Has the defaults, and the parameters beside mu, beta and tau.

    Returns
    -------
    dict of str to Prior
        ``mu``; ``tau`` unless there are no random effects, or ``tau:NAME`` where it differs by
        levels; ``tau_within`` where findings have effects; ``beta:NAME`` for each coefficient; the
        likelihood's own parameters.

    Raises
    ------
    InputError
        For an unknown parameter, a prior that cannot be read, or a scale without defaults.

    Notes
    -----
    The default for a level against its reference is Normal(0, 1); for a numeric moderator x it
    is Normal(0, 1) a standard deviation of x, written per unit of x. A prior that the spec states
    stands as given, per unit.
    """
    scale = scale_of(design).name
    defaults = likelihood.priors.get(scale, {})
    faults = prior_faults(spec, likelihood)
    if faults:
        raise InputError(in_file(spec, faults))
    data = data_of(design)
    levels = tau_levels(spec, moderators_of(design))
    priors = _of_studies(spec, likelihood, scale, data, faults, levels)
    priors |= {
        name: prior
        for name, prior in own_priors(spec, likelihood).items()
        if likelihood.parameters[name].needed(data)
    }
    _resolve_beta(spec, design, defaults, faults, priors)
    if faults:
        raise InputError(in_file(spec, faults))
    return priors


def _resolve_beta(
    spec: ModelSpec,
    design: xr.Dataset,
    defaults: Mapping[str, str],
    faults: list[Fault],
    priors: dict[str, Prior],
) -> None:
    position = 0
    moderators = moderators_of(design)
    faults += _no_coefficients(spec, [name for each in moderators for name in each.coefficients])
    for moderator in moderators:
        for coefficient in moderator.coefficients:
            text = beta_text(spec, moderator.name, coefficient)
            key = f"beta:{coefficient}"
            if text is not None:
                priors[key] = parse_prior(text)
            elif "beta" not in defaults:
                faults.append(_no_default("beta", scale_of(design).name, data_of(design)))
            else:
                prior = parse_prior(defaults["beta"])
                step = float(design["step"][position])
                priors[key] = prior if step == 1.0 else prior.scaled(1.0 / step)
            position += 1


def _no_coefficients(spec: ModelSpec, names: list[str]) -> list[Fault]:
    """Return a fault for each prior of a coefficient that the model does not have."""
    stated = spec.priors.get("beta")
    return [
        Fault(f"priors.beta.{key}", "no coefficient", ", ".join(names), nearest(key, names))
        for key in (stated if isinstance(stated, dict) else ())
        if key not in spec.moderators and key not in names
    ]


def _no_default(name: str, scale: str, data: Mapping[str, Any]) -> Fault:
    """On the identity scale the unit of the data is the user's: no prior fits them all."""
    attempt = "" if data else "the evidence beside the spec, from which one is suggested"
    if {"estimate", "se"} <= data.keys():
        # the spread of estimates and errors; with sample sizes the unit-information scale
        # sqrt(sum(n) / sum(1 / se^2)) would be better, but a table of estimates has none
        size = float(np.sqrt(np.var(data["estimate"]) + np.mean(data["se"] ** 2)))
        spread = float(f"{size:.1g}")
        forms = {"mu": f"Normal(0, {10 * spread:g})", "tau": f"HalfNormal({spread:g})"}
        forms["tau_within"] = f"HalfNormal({0.5 * spread:g})"
        attempt = f'priors = {{"{name}": "{forms.get(name, f"Normal(0, {spread:g})")}"}}, '
        attempt += "from the spread of your estimates, if you know no better"
    return Fault(
        f"priors.{name}",
        f"no default on the {scale} scale",
        "a prior in the unit of the estimates",
        attempt,
    )
