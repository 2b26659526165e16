"""From a spec and its design to the PyMC graph."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from metacart.modelling.centring import centring_of
from metacart.modelling.design import data_of, moderators_of, own_dim
from metacart.modelling.imputation import design_columns
from metacart.modelling.likelihoods import Likelihood, Likelihoods, find_likelihood
from metacart.modelling.origins import add_mixture
from metacart.modelling.priors import resolve_priors
from metacart.records.priors import Prior
from metacart.records.spec import ModelSpec

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr

__all__ = ["build_model", "free_parameters"]


def free_parameters(design: xr.Dataset, likelihood: Likelihood) -> tuple[str, ...]:
    """Return the likelihood's own parameters about which the data say something.

    Those that each finding has for itself are integrated out.
    """
    data = data_of(design)
    return tuple(
        name
        for name, parameter in likelihood.parameters.items()
        if not parameter.each and parameter.needed(data) and parameter.identified(data)
    )


def build_model(
    spec: ModelSpec,
    design: xr.Dataset,
    *,
    likelihoods: Likelihoods | None = None,
) -> pm.Model:
    """Build the PyMC model of an analysis.

    Parameters
    ----------
    spec : ModelSpec
        The declared analysis.
    design : Dataset
        From ``bind``.
    likelihoods : mapping of str to Likelihood or System, optional
        Instead of the shipped ones.

    Returns
    -------
    pymc.Model
        With ``mu``, ``beta`` (coefficient), ``tau``, ``theta`` (finding) and the observed
        variable ``y``, on ``pm.Data``, so that a refit reuses the compiled function.

    Notes
    -----
    theta_i = mu + x_i beta + u_s(i), u ~ Normal(0, tau) or Student-t. The effects are sampled
    partially non-centred (Papaspiliopoulos, Roberts and Sköld 2003): z ~ Normal(l m, tau^l) and
    u = tau^(1 - l) (z - l m), where m is the study's linear predictor and l = t² / (t² + 4 v), 0
    non-centred to 1 centred, with the study's within-study variance v and a moment estimate t of
    tau, at most the prior's median. A centring by the prior alone diverges where tau is small.
    """
    import pymc as pm

    likelihood = find_likelihood(spec, likelihoods=likelihoods)
    priors = resolve_priors(spec, design, likelihood)
    arrays = data_of(design)
    coords = {
        name: design[name].to_numpy().tolist() for name in ("finding", "study", "coefficient")
    }
    with pm.Model(coords=coords) as model:
        # what was prepared for the exact engine has further axes
        data = {
            name: pm.Data(name, values, dims="finding")
            for name, values in arrays.items()
            if values.ndim == 1
        }
        if design.sizes["coefficient"]:
            x = design_columns(moderators_of(design), design)
            beta = _coefficients([priors[f"beta:{name}"] for name in coords["coefficient"]])
            mu = _pooled_mean(priors["mu"], x.mean(axis=0) @ beta)
            linear = mu + (x * beta).sum(axis=-1)
        else:
            mu = _scalar("mu", priors["mu"])
            linear = mu + np.zeros(design.sizes["finding"])
        if spec.random_effects != "none":
            group = pm.Data("group", design["group"].to_numpy(), dims="finding")
            tau = _scalar("tau", priors["tau"])
            effect = _study_effects(spec, design, likelihood, priors["tau"], linear, tau)
            linear = linear + effect[group]
        theta = pm.Deterministic("theta", linear, dims="finding")
        own = {name: _scalar(name, priors[name]) for name in free_parameters(design, likelihood)}
        own |= {
            name: _scalar(name, priors[name], dims=own_dim(design))
            for name, parameter in likelihood.parameters.items()
            if parameter.each and parameter.needed(arrays)
        }
        eta = theta + likelihood.shift(data, own)
        likelihood.observe("y", eta, data, own, "finding")
        if design.sizes["coefficient"]:
            add_mixture(model, design, likelihood, eta, beta, own)
    return model


def _scalar(name: str, prior: Prior, **options: Any) -> Any:
    import pymc as pm

    distribution, arguments = prior.pymc()
    return getattr(pm, distribution)(name, **arguments, **options)


def _pooled_mean(prior: Prior, slope: Any) -> Any:
    """Return mu, sampled as the mean at the middle of the moderators.

    There the data inform it best, and a moderator far from zero, such as a year, leaves mu and
    beta all but collinear. mu + slope, given beta, has the prior of mu moved by the slope.
    """
    import pymc as pm

    distribution, arguments = prior.pymc()
    location = prior.location
    if location is None:
        return _scalar("mu", prior)
    moved = arguments | {location: arguments[location] + slope}
    return pm.Deterministic("mu", getattr(pm, distribution)("centre", **moved) - slope)


def _coefficients(priors: list[Prior]) -> Any:
    """One vector where all priors are of one family, else a stack of scalars."""
    import pymc as pm

    families = [list(same) for _, same in groupby(priors, key=lambda prior: prior.name)]
    if len(families) == 1:
        arguments = [prior.pymc()[1] for prior in priors]
        vectors = {name: np.asarray([each[name] for each in arguments]) for name in arguments[0]}
        return getattr(pm, priors[0].name)("beta", **vectors, dims="coefficient")
    parts = [_scalar(f"beta_{position}", prior) for position, prior in enumerate(priors)]
    return pm.Deterministic("beta", pm.math.stack(parts), dims="coefficient")


def _study_effects(
    spec: ModelSpec,
    design: xr.Dataset,
    likelihood: Likelihood,
    prior: Prior,
    linear: Any,
    tau: Any,
) -> Any:
    import pymc as pm

    group = design["group"].to_numpy()
    estimate, variance = likelihood.approximate(data_of(design))
    centring = centring_of(estimate, variance, design["x"].to_numpy(), group, prior)
    _, first = np.unique(group, return_index=True)
    # any fixed centre is right; a study's first row stands for its arms
    middle = centring * linear[first]
    spread = tau**centring
    if spec.random_effects == "student_t":
        z = pm.StudentT("z", nu=spec.nu, mu=middle, sigma=spread, dims="study")
    else:
        z = pm.Normal("z", mu=middle, sigma=spread, dims="study")
    return tau ** (1.0 - centring) * (z - middle)
