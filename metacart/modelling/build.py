"""From a spec and its design to the PyMC graph."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.modelling.design import data_of, moderators_of, own_dim
from metacart.modelling.imputation import design_columns
from metacart.modelling.likelihoods import Likelihood, Likelihoods, find_likelihood
from metacart.modelling.nodes import add_parameter, prior_arguments
from metacart.modelling.origins import add_mixture
from metacart.modelling.priors import resolve_priors
from metacart.modelling.spread import tau_levels, tau_names
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
        With ``mu``, ``beta`` (coefficient), ``tau`` (of each level where it differs),
        ``tau_within``, ``theta`` (finding) and the observed variable ``y``, on ``pm.Data``, so that
        a refit reuses the compiled function.

    Notes
    -----
    theta_i = mu + x_i beta + u_s(i) + v_i, u ~ Normal(0, tau) or Student-t, and with a second level
    v ~ Normal(0, tau_within), else v = 0. Where tau differs by level, the effect of a study is one
    standard effect times the tau of each finding's level. Effects are sampled as distances from
    where they would be by their own data, in units that follow tau (a conditional version of what
    Papaspiliopoulos, Roberts and Sköld 2003 do): with a study's own estimate y, a typical standard
    error s and h = (1 + tau² / s²)^(1/2), z ~ Normal(tau (m - y) / (s² h), h) and
    u = tau (z - E z) / h, m being the linear predictor. For a normal estimate of error s, z given
    all else is Normal(0, 1), whatever m and tau: no funnel is left, neither where tau is near 0
    nor where it is large. With two levels of effects z ~ Normal(0, 1) and u = tau z.
    """
    import pymc as pm

    likelihood = find_likelihood(spec, likelihoods=likelihoods)
    priors = resolve_priors(spec, design, likelihood)
    arrays = data_of(design)
    coords = {
        name: design[name].to_numpy().tolist() for name in ("finding", "study", "coefficient")
    }
    levels = tau_levels(spec, moderators_of(design))
    if levels is not None:
        coords["level"] = [*levels.levels]
    with pm.Model(coords=coords) as model:
        # what was prepared for the exact engine has further axes
        data = {
            name: pm.Data(name, values, dims="finding")
            for name, values in arrays.items()
            if values.ndim == 1
        }
        if design.sizes["coefficient"]:
            x = design_columns(moderators_of(design), design)
            names = coords["coefficient"]
            beta = _vector("beta", [priors[f"beta:{name}"] for name in names], dims="coefficient")
            mu = _pooled_mean(priors["mu"], x.mean(axis=0) @ beta)
            linear = mu + (x * beta).sum(axis=-1)
        else:
            mu = add_parameter("mu", priors["mu"])
            linear = mu + np.zeros(design.sizes["finding"])
        if spec.random_effects != "none":
            group = pm.Data("group", design["group"].to_numpy(), dims="finding")
            taus = [priors[name] for name in tau_names(levels)]
            if levels is None:
                tau = add_parameter("tau", taus[0])
                linear = linear + _study_effects(spec, design, likelihood, linear, tau)[group]
            else:
                place, first = levels.of_rows(design["x"].to_numpy()), _first(design)
                tau = _vector("tau", taus, dims="level")[place]
                effect = _study_effects(spec, design, likelihood, linear, tau[first])
                own = first[design["group"].to_numpy()]
                linear = linear + effect[group] * (tau / tau[own])
            if spec.within:
                inside = add_parameter("tau_within", priors["tau_within"])
                linear = linear + inside * pm.Normal("z_within", dims="finding")
        theta = pm.Deterministic("theta", linear, dims="finding")
        own = {
            name: add_parameter(name, priors[name]) for name in free_parameters(design, likelihood)
        }
        own |= {
            name: add_parameter(name, priors[name], dims=own_dim(design))
            for name, parameter in likelihood.parameters.items()
            if parameter.each and parameter.needed(arrays)
        }
        eta = theta + likelihood.shift(data, own)
        likelihood.observe("y", eta, data, own, "finding")
        if design.sizes["coefficient"]:
            add_mixture(model, design, likelihood, eta, beta, own)
    return model


def _pooled_mean(prior: Prior, slope: Any) -> Any:
    """Return mu, sampled as the mean at the middle of the moderators.

    There the data inform it best, and a moderator far from zero, such as a year, leaves mu and
    beta all but collinear. mu + slope, given beta, has the prior of mu moved by the slope.
    """
    import pymc as pm

    location = prior.location
    if location is None:
        return add_parameter("mu", prior)
    distribution, arguments = prior_arguments("mu", prior)
    moved = arguments | {location: arguments[location] + slope}
    return pm.Deterministic("mu", getattr(pm, distribution)("centre", **moved) - slope)


def _vector(name: str, priors: list[Prior], *, dims: str) -> Any:
    """One vector where all priors are of one family, else a stack of scalars."""
    import pymc as pm

    families = [list(same) for _, same in groupby(priors, key=lambda prior: prior.name)]
    if len(families) == 1:
        return add_parameter(name, priors, dims=dims)
    parts = [add_parameter(f"{name}_{position}", prior) for position, prior in enumerate(priors)]
    return pm.Deterministic(name, pm.math.stack(parts), dims=dims)


def _study_effects(
    spec: ModelSpec,
    design: xr.Dataset,
    likelihood: Likelihood,
    linear: Any,
    tau: Any,
) -> Any:
    """Return the effect of each study; `tau` is one, or one of each study."""
    import pymc as pm

    if spec.within:
        # two levels of effects that know their data diverge where arms have no or only events
        share, height, middle = tau, 1.0, 0.0
    else:
        own = _alone(design, likelihood)
        estimate = pm.Data("estimate_alone", own[0], dims="study")
        # of one error for all studies, roots and logarithms are taken once
        precision = pm.Data("precision_alone", 1.0 / own[1])
        ratio = precision * tau
        height = pm.math.sqrt(1.0 + ratio * ratio)
        share = tau / height
        # any fixed place is right; a study's first row stands for its arms
        far = linear[pm.Data("first", _first(design), dims="study")] - estimate
        middle = (share * precision * precision) * far
    if spec.random_effects == "student_t":
        z = pm.StudentT("z", nu=spec.nu, mu=middle, sigma=height, dims="study")
    else:
        z = pm.Normal("z", mu=middle, sigma=height, dims="study")
    return share * (z - middle)


def _alone(design: xr.Dataset, likelihood: Likelihood) -> tuple[NDArray[np.float64], float]:
    """Return where each study would be by its own data, and the error of a typical one."""
    group, number = design["group"].to_numpy(), design.sizes["study"]
    estimate, variance = likelihood.approximate(data_of(design))
    precision = np.bincount(group, 1.0 / variance, minlength=number)
    pulled = np.bincount(group, estimate / variance, minlength=number)
    # no error is typical of very unequal ones: their geometric mean errs least
    return pulled / precision, float(np.exp(-0.5 * np.log(precision).mean()))


def _first(design: xr.Dataset) -> NDArray[np.intp]:
    """Return the first finding of each study."""
    return np.asarray(np.unique(design["group"].to_numpy(), return_index=True)[1])
