"""Draws of everything else at stated values of tau."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from metacart.inference.density import Marginal
from metacart.inference.proposal import conditional_modes, start_of
from metacart.inference.student_t import log_t, standard_t
from metacart.inference.within import Observed
from metacart.modelling.origins import ORIGIN, origin_shift

__all__ = ["GivenTau", "draw_given_tau", "moments_given_tau"]

Array = NDArray[np.float64]
_WIDER = 1.3  # than Laplace's approximation, for what it does not see
_TIMES = 2  # proposals a draw
_BEYOND, _FURTHER = 8.0, 24  # how far beyond the largest tau its prior is summed, in how many steps


class GivenTau(NamedTuple):
    """Draws of equal weight at each of several values of tau.

    Attributes
    ----------
    tau, mu : array (draws,)
        The stated value, and mu given it.
    linear, theta : array (draws, findings)
        mu + x beta, and the true values given tau.
    ess : float
        Effective share of independent draws among them, the smallest of all values of tau.
    """

    tau: Array
    mu: Array
    linear: Array
    theta: Array
    ess: float


def draw_given_tau(
    target: Marginal, tau: Array, *, draws: int, rng: np.random.Generator
) -> GivenTau:
    """Draw from the posterior given tau, at each of several values.

    Parameters
    ----------
    target : Marginal
        The posterior, of one tau.
    tau : array (values,)
        Above 0.
    draws : int
        At each value.
    rng : Generator
        The random numbers.

    Returns
    -------
    GivenTau

    Notes
    -----
    Importance sampling about the mode given tau, as in ``draw_exact``; the draws are resampled
    to equal weights.
    """
    assert target.tau is not None
    t, number = target.tau.position(tau), _TIMES * draws
    mode, spread, _ = conditional_modes(target, t, *start_of(target, t))
    each = np.repeat(np.arange(len(t)), number)
    standard = standard_t((len(each), mode.shape[1]), rng)
    points = mode[each] + _WIDER * np.einsum("nij,nj->ni", spread[each], standard)
    weight = target.log_density(points, t[each]) - log_t(standard)
    weight = weight.reshape(len(t), number)
    weight = np.exp(weight - weight.max(axis=1, keepdims=True))
    weight /= weight.sum(axis=1, keepdims=True)
    ess = float((1.0 / (weight**2).sum(axis=1)).min()) / draws
    steps = (np.arange(draws) + rng.uniform(size=(len(t), 1))) / draws
    kept = np.stack(
        [np.searchsorted(np.cumsum(w), at) for w, at in zip(weight, steps, strict=True)]
    )
    kept = np.minimum(kept, number - 1) + number * np.arange(len(t))[:, None]
    named = target.parameters(points[kept.ravel()], t[each[kept.ravel()]])
    drawn = target.draw_theta(named, rng)
    theta = drawn["theta"]
    linear = named["mu"][:, None] + np.zeros(theta.shape)
    if "beta" in named:
        linear = linear + named["beta"] @ target.design["x"].to_numpy().T
    if ORIGIN in drawn:
        linear = linear + origin_shift(target.design, drawn[ORIGIN], named["beta"])
    return GivenTau(np.repeat(tau, draws), named["mu"], linear, theta, min(ess, 1.0))


def moments_given_tau(
    target: Marginal, draws: dict[str, Array], linear: Array, tau: Array, *, seed: int
) -> tuple[Array, Array, Array]:
    """Return means and SDs of mu and of each true value given tau, and Monte Carlo errors.

    For draws of a posterior whose rows of the design are drawn too, so that none can be made anew.

    Parameters
    ----------
    target : Marginal
        The posterior, of one tau.
    draws : dict of str to array (draws,)
        mu, and the likelihood's own parameters and further spreads where it has any.
    linear : array (draws, findings)
        mu + x beta of each.
    tau : array (values,)
        Ascending, above 0, close enough for a sum over them.
    seed : int
        Fixes the draws of the study effects.

    Returns
    -------
    tuple of array (values, 1 + findings)

    Notes
    -----
    With phi all but tau and the effects, phi is drawn from p(phi | y), and p(phi | tau, y) over
    that is L(tau) / ∫ L(t) p(t) dt up to a factor that is the same for all, where L(t) is the
    likelihood of phi and t, the effects integrated out. The integral is a sum over the values of
    tau and some beyond.
    """
    grid = np.append(tau, np.geomspace(tau[-1], _BEYOND * tau[-1], _FURTHER + 1)[1:])
    alike = np.ones(len(linear))

    def at(value: float) -> Observed:
        return target.observed(draws | {"tau": value * alike}, linear)

    logs = np.stack([at(value).log_likelihood().sum(axis=1) for value in grid])
    heights = logs + target.priors["tau"].logpdf(grid)[:, None]
    top = heights.max(axis=0)
    weights = np.exp(logs[: len(tau)] - top) / np.trapezoid(np.exp(heights - top), grid, axis=0)
    weights /= weights.sum(axis=1, keepdims=True)
    moments = []
    for value, weight in zip(tau, weights, strict=True):
        theta = linear + at(value).draw(np.random.default_rng(seed))
        drawn = np.column_stack([draws["mu"], theta])
        mean = weight @ drawn
        spread = np.sqrt(weight @ (drawn - mean) ** 2)
        error = np.sqrt(weight**2 @ (drawn - mean) ** 2)
        moments.append((mean, spread, error))
    means, spreads, errors = (np.stack(each) for each in zip(*moments, strict=True))
    return means, spreads, errors
