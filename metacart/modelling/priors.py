"""The priors of an analysis: those that the spec states, the likelihood's defaults for the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from metacart.errors import Fault, InputError
from metacart.evidence.origin import in_file
from metacart.modelling.check import prior_faults
from metacart.modelling.design import data_of, moderators_of, scale_of
from metacart.modelling.likelihoods import Likelihood
from metacart.records.priors import Prior, parse_prior
from metacart.records.spec import ModelSpec

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["resolve_priors"]


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
        ``mu``; ``tau`` unless there are no random effects; ``beta:NAME`` for each coefficient;
        the likelihood's own parameters.

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
    priors: dict[str, Prior] = {}
    wanted = ["mu", *(["tau"] if spec.random_effects != "none" else [])]
    for name in wanted:
        text = spec.priors.get(name, defaults.get(name))
        if text is None:
            faults.append(_no_default(name, scale, design))
        else:
            priors[name] = parse_prior(text)
    data = data_of(design)
    for name, own in likelihood.parameters.items():
        if own.needed(data):
            priors[name] = parse_prior(spec.priors.get(name, own.prior))
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
    stated = spec.priors.get("beta")
    position = 0
    for moderator in moderators_of(design):
        text = stated.get(moderator.name) if isinstance(stated, dict) else stated
        for coefficient in moderator.coefficients:
            key = f"beta:{coefficient}"
            if text is not None:
                priors[key] = parse_prior(text)
            elif "beta" not in defaults:
                faults.append(_no_default("beta", scale_of(design).name, design))
            else:
                prior = parse_prior(defaults["beta"])
                if moderator.kind == "numeric":
                    spread = float(np.std(design["x"].to_numpy()[:, position], ddof=1))
                    prior = prior.scaled(1.0 / spread)
                priors[key] = prior
            position += 1


def _no_default(name: str, scale: str, design: xr.Dataset) -> Fault:
    """On the identity scale the unit of the data is the user's: no prior fits them all."""
    data = data_of(design)
    attempt = ""
    if {"estimate", "se"} <= data.keys():
        # the spread of estimates and errors; with sample sizes the unit-information scale
        # sqrt(sum(n) / sum(1 / se^2)) would be better, but a table of estimates has none
        size = float(np.sqrt(np.var(data["estimate"]) + np.mean(data["se"] ** 2)))
        spread = float(f"{size:.1g}")
        forms = {"mu": f"Normal(0, {10 * spread:g})", "tau": f"HalfNormal({spread:g})"}
        attempt = f'priors = {{"{name}": "{forms.get(name, f"Normal(0, {spread:g})")}"}}, '
        attempt += "from the spread of your estimates, if you know no better"
    return Fault(
        f"priors.{name}",
        f"no default on the {scale} scale",
        "a prior in the unit of the estimates",
        attempt,
    )
