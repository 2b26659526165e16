"""Exact inference without MCMC: study effects by quadrature, the rest by importance sampling."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from metacart.inference.density import Marginal
from metacart.inference.kept import kept_draws
from metacart.inference.proposal import Mixture, propose
from metacart.inference.smooth import total_log_likelihood
from metacart.modelling.likelihoods import Likelihood
from metacart.modelling.origins import INFERRED, ORIGIN
from metacart.records.priors import Prior
from metacart.records.spec import ModelSpec

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["PARETO_K", "Exact", "Weighted", "draw_exact", "weigh"]

Array = NDArray[np.float64]

PARETO_K = 0.7  # above it importance weights cannot be trusted (Vehtari and others 2024)
_PROPOSALS, _MOST = 1.25, 32.0  # proposals a draw that is kept: more where weights are uneven
_HELD = 20_000_000  # log likelihoods of studies at proposals that are held at once


class Weighted(NamedTuple):
    """Proposals and what they weigh.

    Attributes
    ----------
    points, t : array (proposals, names) and (proposals,)
        Coordinates of the parameters, and of tau.
    log_likelihood : array (proposals, studies) or None
        Of each study, its effect integrated out; none where that would be too much to hold.
    log_weight : array (proposals,)
        Before smoothing, with all constants.
    weight : array (proposals,)
        Smoothed by Pareto's tail; they sum to one.
    proposal : Mixture
        From which they were drawn.
    pareto_k : float
        The shape of the largest importance weights.
    ess : float
        Effective number of independent draws among them.
    """

    points: Array
    t: Array
    log_likelihood: Array | None
    log_weight: Array
    weight: Array
    proposal: Mixture
    pareto_k: float
    ess: float


class Exact(NamedTuple):
    """Draws of equal weight and how they were made.

    Attributes
    ----------
    posterior : Dataset
        ``mu``, ``tau``, ``tau_within``, ``beta``, ``theta`` and the likelihood's free parameters
        (chain, draw); without ``theta`` where that has draws of its own.
    theta : Dataset or None
        ``theta``, and origins that were inferred, at the draws that are kept of findings; none
        where these are all.
    pareto_k : float
        The shape of the largest importance weights; above 0.7 the draws must not be used.
    importance_ess : float
        Effective number of independent draws among the proposals.
    log_marginal_likelihood : float
        With all constants.
    statistics : Dataset
        ``log_weight`` (chain, draw): of the proposal behind each draw, before resampling.
    log_likelihood : array (chain, draw, studies)
        Of each study, its effect integrated out, at the draws that are kept of findings.
    proposal : Mixture
        From which they were drawn.
    """

    posterior: xr.Dataset
    theta: xr.Dataset | None
    statistics: xr.Dataset
    log_likelihood: Array
    proposal: Mixture
    pareto_k: float
    importance_ess: float
    log_marginal_likelihood: float

    @property
    def draws(self) -> int:
        """Draws a chain."""
        return int(self.posterior.sizes["draw"])


def draw_exact(
    spec: ModelSpec,
    design: xr.Dataset,
    likelihood: Likelihood,
    priors: dict[str, Prior],
    *,
    draws: int,
    chains: int,
    seed: int,
    proposal: Mixture | None = None,
    thins: bool = True,
) -> Exact:
    """Draw from the posterior without MCMC.

    Parameters
    ----------
    spec, design, likelihood, priors
        The analysis.
    draws, chains : int
        Draws kept a chain, and number of chains; all are exchangeable.
    seed : int
        Fixes every random number.
    proposal : Mixture, optional
        Of an earlier run of the same analysis.
    thins : bool
        Whether what each finding has for itself may be kept of fewer draws.

    Returns
    -------
    Exact

    Notes
    -----
    The effects of studies and findings are integrated out by quadrature. Over a grid of log tau
    the other parameters are approximated by a normal density at their mode (Laplace), which gives
    a grid approximation of the posterior of tau (Tierney and Kadane 1986; Rue, Martino and Chopin
    2009), corrected at each node by a pilot run of importance sampling. Where there are several
    tau, the grid is over that of the level with the fewest findings.
    Proposals take tau from that grid and the others from a Student t with 5 degrees of freedom at
    their conditional mode. Importance weights, smoothed by Pareto's tail (Vehtari and others
    2024), take away what was approximate; the draws are resampled to equal weights.
    """
    import xarray as xr

    rng = np.random.default_rng([seed, 3])
    target = Marginal(spec, design, likelihood, priors)
    run = weigh(target, draws * chains, rng, proposal=proposal)
    kept = rng.permutation(_resample(run.weight, draws * chains, rng))
    named = target.parameters(run.points[kept], run.t[kept])
    places = np.arange(draws)
    if thins:
        places = kept_draws(design.sizes["finding"], chains=chains, draws=draws)
    thin = len(places) < draws
    some = kept.reshape(chains, draws)[:, places].reshape(-1) if thin else kept
    at_some = target.parameters(run.points[some], run.t[some]) if thin else named
    theta = target.draw_theta(at_some, rng)
    dims = {"beta": ("coefficient",), "theta": ("finding",), ORIGIN: (INFERRED,)}
    if named.get("tau", np.zeros(1)).ndim > 1:
        dims["tau"] = ("level",)

    def labelled(values: dict[str, NDArray[Any]], at: NDArray[np.intp]) -> xr.Dataset:
        coords = {"chain": np.arange(chains), "draw": at}
        coords |= {name: design[name].to_numpy() for name in ("finding", "coefficient")}
        shape = (chains, len(at))
        arrays = {
            name: (("chain", "draw", *dims.get(name, ())), array.reshape(*shape, *array.shape[1:]))
            for name, array in values.items()
        }
        return xr.Dataset(arrays, coords=coords)

    top, every, by_study = float(run.log_weight.max()), np.arange(draws), run.log_likelihood
    by_study = (
        target.log_likelihood(run.points[some], run.t[some]) if by_study is None else by_study[some]
    )
    return Exact(
        labelled(named if thin else named | theta, every),
        labelled(theta, places) if thin else None,
        labelled({"log_weight": run.log_weight[kept]}, every)[["log_weight"]],
        by_study.reshape(chains, len(places), -1),
        run.proposal,
        pareto_k=run.pareto_k,
        importance_ess=run.ess,
        log_marginal_likelihood=top + float(np.log(np.mean(np.exp(run.log_weight - top)))),
    )


def weigh(
    target: Marginal, number: int, rng: np.random.Generator, *, proposal: Mixture | None = None
) -> Weighted:
    """Return proposals with their smoothed importance weights, worth `number` draws or more.

    Parameters
    ----------
    target : Marginal
        The posterior.
    number : int
        How many independent draws they should be worth.
    rng : Generator
        The random numbers.
    proposal : Mixture, optional
        Of an earlier run of the same analysis.

    Returns
    -------
    Weighted
    """
    import arviz_stats

    proposal = propose(target, rng) if proposal is None else proposal
    times = _PROPOSALS
    while True:
        points, t, log_proposal = proposal.draw(math.ceil(times * number), rng)
        few = len(t) * target.design.sizes["study"] <= _HELD
        by_study = target.log_likelihood(points, t) if few else None
        total = (
            total_log_likelihood(target, points, t) if by_study is None else by_study.sum(axis=1)
        )
        log_weight = target.log_density(points, t, total=total) - log_proposal
        # it takes log likelihoods, whose negatives are the log weights of leaving one out
        smooth, k = arviz_stats.base.array_stats.psislw(log_weight.max() - log_weight)
        smooth = np.exp(smooth - smooth.max())
        smooth = smooth / smooth.sum()
        ess = float(1.0 / np.sum(smooth**2))
        if ess > number or times == _MOST:
            break
        times = min(1.25 * times * number / ess, _MOST)
    return Weighted(points, t, by_study, log_weight, smooth, proposal, float(k), ess)


def _resample(weight: Array, number: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Systematic resampling: each proposal as often as its weight says, give or take one."""
    positions = (np.arange(number) + rng.uniform()) / number
    return np.minimum(np.searchsorted(np.cumsum(weight), positions), len(weight) - 1)
