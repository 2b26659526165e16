"""What the parameters of a model are before any data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from metacart.inference.estimands import design_rows, effects_anew, make_draws
from metacart.inference.origins import with_prior_origins
from metacart.modelling.build import free_parameters
from metacart.modelling.design import data_of, moderators_of, own_dim
from metacart.modelling.imputation import IMPUTED, draw_imputed, gap_names
from metacart.modelling.likelihoods import Likelihood
from metacart.modelling.spread import tau_levels, tau_names
from metacart.records.priors import Prior
from metacart.records.spec import ModelSpec

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["PRIOR_DRAWS", "draw_own", "draw_prior", "of_findings"]

PRIOR_DRAWS = 4000


def draw_prior(
    spec: ModelSpec,
    design: xr.Dataset,
    likelihood: Likelihood,
    priors: dict[str, Prior],
    rng: np.random.Generator,
    *,
    number: int = PRIOR_DRAWS,
    tau: float | None = None,
) -> xr.Dataset:
    """Return draws of all that a fit without data would have, before any bias is taken away.

    Parameters
    ----------
    spec, design, likelihood, priors
        The analysis.
    rng : Generator
        The random numbers.
    number : int
        Draws, in one chain.
    tau : float, optional
        In place of draws of it, at each level where it differs.

    Returns
    -------
    Dataset
        ``mu``, ``beta``, ``tau``, ``tau_within``, ``theta`` and the likelihood's own parameters,
        but for those about which the data say nothing.
    """
    prior = _draw_effects(spec, design, priors, rng, number, tau)
    for name in of_findings(design, likelihood):
        values = priors[name].draw(prior["theta"].shape, rng)
        prior[name] = ("chain", "draw", own_dim(design)), values
    own = {name: priors[name] for name in free_parameters(design, likelihood)}
    return prior.assign(draw_own(own, prior, rng))


def _draw_effects(
    spec: ModelSpec,
    design: xr.Dataset,
    priors: dict[str, Prior],
    rng: np.random.Generator,
    number: int,
    fixed: float | None,
) -> xr.Dataset:
    import xarray as xr

    shape = (1, number)
    names, gaps = design["coefficient"].to_numpy().tolist(), gap_names(design)
    mu = priors["mu"].draw(shape, rng)
    values: dict[str, Any] = {"mu": (("chain", "draw"), mu)}
    theta = np.repeat(mu[..., None], design.sizes["finding"], axis=-1)
    if names:
        beta = np.stack([priors[f"beta:{name}"].draw(shape, rng) for name in names], axis=-1)
        values["beta"] = (("chain", "draw", "coefficient"), beta)
        if gaps:
            imputed = draw_imputed(moderators_of(design), design, shape, rng)
            values[IMPUTED] = (("chain", "draw", "gap"), imputed)
        rows = design_rows(design, xr.Dataset(values))
        slopes = beta @ rows.T if rows.ndim == 2 else (rows * beta[..., None, :]).sum(axis=-1)
        theta = theta + slopes
        theta = with_prior_origins(values, theta, design, rng)
    coords = {"chain": [0], "draw": np.arange(number), "finding": design["finding"].to_numpy()}
    if spec.random_effects != "none":
        levels = tau_levels(spec, moderators_of(design))
        tau = [priors[name].draw(shape, rng) for name in tau_names(levels)]
        tau = tau if fixed is None else [np.full(shape, fixed)] * len(tau)
        values["tau"] = (("chain", "draw"), tau[0])
        if levels is not None:
            values["tau"] = (("chain", "draw", "level"), np.stack(tau, axis=-1))
            coords["level"] = [*levels.levels]
        if spec.within:
            values["tau_within"] = (("chain", "draw"), priors["tau_within"].draw(shape, rng))
        theta = theta + effects_anew(make_draws(xr.Dataset(values), spec, design, 0), design, rng)
    values["theta"] = (("chain", "draw", "finding"), theta)
    if names:
        coords["coefficient"] = names
    if gaps:
        coords["gap"] = gaps
    return xr.Dataset(values, coords=coords)


def draw_own(
    priors: dict[str, Prior], like: xr.Dataset, rng: np.random.Generator
) -> dict[str, xr.DataArray]:
    """Return draws of parameters that all findings share, of the shape of a sample."""
    import xarray as xr

    shape = (like.sizes["chain"], like.sizes["draw"])
    labels = {name: like[name].to_numpy() for name in ("chain", "draw")}
    return {
        name: xr.DataArray(prior.draw(shape, rng), coords=labels, dims=("chain", "draw"))
        for name, prior in priors.items()
    }


def of_findings(design: xr.Dataset, likelihood: Likelihood) -> list[str]:
    """Names of the parameters that each finding has for itself."""
    data = data_of(design)
    return [name for name, own in likelihood.parameters.items() if own.each and own.needed(data)]
