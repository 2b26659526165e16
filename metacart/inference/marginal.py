"""The study effect integrated out: quadrature per draw and study, and over a new study."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metacart.modelling.likelihoods import Data, Likelihood, Parameters
from metacart.scales import Scale

__all__ = ["draw_study_effects", "population_average", "study_log_likelihood"]

Array = NDArray[np.float64]

_HERMITE_NODES = 21
_SINH_NODES = 61
_SINH_REACH = 8.0
_DRAW_NODES = 161


@dataclass(frozen=True)
class Integrand:
    """Likelihood times density of each study's standard effect z, where u = tau z.

    Attributes
    ----------
    log_density : callable
        From z (draws, studies): the log integrand there.
    mode, width : array (draws, studies)
        Where it is highest, and the SD of the normal density that curves like it there.
    """

    log_density: Callable[[Array], Array]
    mode: Array
    width: Array


def _integrand(
    likelihood: Likelihood,
    data: Data,
    group: NDArray[np.int64],
    linear: Array,
    tau: Array,
    *,
    effects: str,
    nu: float,
    parameters: Parameters,
) -> Integrand:
    groups = int(group.max()) + 1
    scale = tau[:, None]

    def log_density(z: Array) -> Array:
        eta = linear + scale * z[:, group]
        by_study = _by_study(likelihood.logp(eta, data, parameters), group)
        return by_study + _log_density(z, effects, nu)

    mode = np.zeros((linear.shape[0], groups))
    reach, last = np.full(mode.shape, 2.0), np.zeros(mode.shape)
    for _ in range(100):
        slope, curvature = likelihood.derivatives(linear + scale * mode[:, group], data, parameters)
        # the t density seen as a normal one with a precision that depends on z (its MM weight)
        precision = 1.0 if effects == "normal" else (nu + 1.0) / (nu + mode**2)
        rise = scale * _by_study(slope, group) - precision * mode
        bend = scale**2 * _by_study(np.asarray(curvature), group) - precision
        # a step that turns back is halved, one that goes on may grow: Newton alone can oscillate
        reach = reach * np.where(np.sign(rise) * np.sign(last) < 0, 0.5, 1.5)
        step, last = np.clip(-rise / bend, -reach, reach), rise
        mode = mode + step
        if np.abs(step).max() < 1e-6:
            break
    return Integrand(log_density, mode, 1.0 / np.sqrt(-bend))


def _by_study(values: Array, group: NDArray[np.int64]) -> Array:
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(int(group.max()) + 1))
    summed: Array = np.add.reduceat(values[:, order], starts, axis=1)
    return summed


def study_log_likelihood(
    likelihood: Likelihood,
    data: Data,
    group: NDArray[np.int64],
    linear: Array,
    tau: Array,
    *,
    effects: str,
    nu: float,
    parameters: Parameters,
) -> Array:
    """Log likelihood of each study with its effect integrated out.

    Parameters
    ----------
    likelihood : Likelihood
        Its ``logp`` and ``derivatives`` are used.
    data : mapping of str to array (findings,)
        The observed columns.
    group : array of int (findings,)
        The study of each finding, from 0.
    linear : array (draws, findings)
        mu + x beta + shift, without the study effect.
    tau : array (draws,)
        Scale of the study effects.
    effects : {"normal", "student_t", "none"}
        Their distribution.
    nu : float
        Degrees of freedom of Student-t effects.
    parameters : mapping of str to array
        The likelihood's own parameters, each broadcastable against `linear`.

    Returns
    -------
    array (draws, studies)

    Notes
    -----
    With u = tau z the integral over z is centred at its mode and scaled by the curvature there:
    21 Gauss-Hermite nodes for normal effects (Naylor and Smith 1982), and for Student-t effects
    the trapezoid rule in t with z = mode + s sinh(t), 61 nodes, since Gauss-Hermite misses the
    tails of a study with no or only events.
    """
    from scipy.special import logsumexp

    if effects == "none":
        return _by_study(likelihood.logp(linear, data, parameters), group)
    integrand = _integrand(
        likelihood, data, group, linear, tau, effects=effects, nu=nu, parameters=parameters
    )
    nodes, log_weights = _rule(effects)
    terms = np.stack(
        [
            integrand.log_density(integrand.mode + integrand.width * node) + log_weight
            for node, log_weight in zip(nodes, log_weights, strict=True)
        ]
    )
    return np.asarray(logsumexp(terms, axis=0) + np.log(integrand.width))


def draw_study_effects(
    likelihood: Likelihood,
    data: Data,
    group: NDArray[np.int64],
    linear: Array,
    tau: Array,
    *,
    effects: str,
    nu: float,
    parameters: Parameters,
    rng: np.random.Generator,
) -> Array:
    """Draw each study's effect u given its data and the other parameters.

    Parameters
    ----------
    likelihood, data, group, linear, tau, effects, nu, parameters
        As for ``study_log_likelihood``; `effects` is not ``"none"``.
    rng : Generator
        The random numbers.

    Returns
    -------
    array (draws, studies)

    Notes
    -----
    The distribution function of z is inverted on a grid of 161 points, z = mode + s sinh(t), with
    a density that is linear in t between them: an error of 1e-4 in probability.
    """
    integrand = _integrand(
        likelihood, data, group, linear, tau, effects=effects, nu=nu, parameters=parameters
    )
    steps = np.linspace(-_SINH_REACH, _SINH_REACH, _DRAW_NODES)
    density = np.stack(
        [integrand.log_density(integrand.mode + integrand.width * z) for z in np.sinh(steps)]
    )
    density = np.exp(density - density.max(axis=0)) * np.cosh(steps)[:, None, None]
    cells = np.cumsum(0.5 * (density[1:] + density[:-1]), axis=0)
    target = rng.uniform(size=integrand.mode.shape) * cells[-1]
    cell = np.minimum((cells < target).sum(axis=0), len(steps) - 2)

    def at(values: Array, position: NDArray[np.int64]) -> Array:
        return np.asarray(np.take_along_axis(values, position[None], axis=0)[0])

    below = np.where(cell > 0, at(cells, np.maximum(cell - 1, 0)), 0.0)
    left, right = at(density, cell), at(density, cell + 1)
    # the root in [0, 1] of left f + (right - left) f² / 2 = what is left to cover, written so
    # that equal ends do no harm
    rest = target - below
    root = np.sqrt(np.maximum(left**2 + 2.0 * (right - left) * rest, 0.0))
    fraction = 2.0 * rest / np.maximum(left + root, np.finfo(float).tiny)
    t = steps[cell] + np.clip(fraction, 0.0, 1.0) * (steps[1] - steps[0])
    return np.asarray(tau[:, None] * (integrand.mode + integrand.width * np.sinh(t)))


@cache
def _rule(effects: str) -> tuple[Array, Array]:
    """Nodes and log weights of an integral over the line, in units of its own width."""
    if effects == "normal":
        nodes, weights = np.polynomial.hermite.hermgauss(_HERMITE_NODES)
        return np.sqrt(2.0) * nodes, np.log(weights) + nodes**2 + 0.5 * np.log(2.0)
    steps = np.linspace(-_SINH_REACH, _SINH_REACH, _SINH_NODES)
    return np.sinh(steps), np.log(np.cosh(steps) * (steps[1] - steps[0]))


def _log_density(z: Array, effects: str, nu: float) -> Array:
    if effects == "normal":
        return np.asarray(-0.5 * z**2 - 0.5 * np.log(2.0 * np.pi))
    from scipy.special import gammaln

    constant = gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * np.log(nu * np.pi)
    result: Array = constant - 0.5 * (nu + 1) * np.log1p(z**2 / nu)
    return result


def population_average(
    linear: Array, tau: Array, scale: Scale, *, effects: str, nu: float
) -> Array:
    """Return E[g⁻¹(m + u) | tau] draw by draw.

    Parameters
    ----------
    linear : array
        m on the model scale, any shape.
    tau : array
        Scale of the study effects; broadcasts against `linear`.
    scale : Scale
        With a bounded inverse: the mean of a ratio need not exist.
    effects : {"normal", "student_t", "none"}
        Their distribution.
    nu : float
        Degrees of freedom of Student-t effects.

    Returns
    -------
    array
        Of the broadcast shape, on the natural scale.

    Notes
    -----
    The trapezoid rule on an even grid, which for these integrands converges faster than any
    power of the step; z = sinh(t) carries the tails of Student-t effects.
    """
    if effects == "none":
        return scale.inverse(linear + 0.0 * tau)
    total: Any = 0.0
    for node, weight in zip(*_new_study_rule(effects, nu), strict=True):
        total = total + weight * scale.inverse(linear + tau * node)
    result: Array = np.asarray(total)
    return result


@cache
def _new_study_rule(effects: str, nu: float) -> tuple[Array, Array]:
    if effects == "normal":
        nodes = np.linspace(-7.0, 7.0, 113)
        weights = np.exp(_log_density(nodes, effects, nu))
    else:
        steps = np.linspace(-10.0, 10.0, 161)
        nodes = np.sinh(steps)
        weights = np.exp(_log_density(nodes, effects, nu)) * np.cosh(steps)
    return nodes, weights / weights.sum()
