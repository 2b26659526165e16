"""Draws of everything else at stated values of tau."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from metacart.inference.density import Marginal
from metacart.inference.proposal import conditional_modes, start_of
from metacart.inference.student_t import log_t, standard_t
from metacart.modelling.origins import ORIGIN, origin_shift

__all__ = ["GivenTau", "draw_given_tau"]

Array = NDArray[np.float64]
_WIDER = 1.3  # than Laplace's approximation, for what it does not see
_TIMES = 2  # proposals a draw


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
