"""The mean of a rate over all studies that there could be."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from metacart.inference.quadrature import SINH_REACH, Rules, log_density, log_share
from metacart.scales import Scale

__all__ = ["population_average"]

Array = NDArray[np.float64]

# up to which tau which step: an inverse link turns within 1 / tau; above the last it is a step
_STEPS = {
    "normal": ((0.8, 0.5), (2.0, 0.25), (5.0, 0.125)),
    "student_t": ((2.0, 0.125), (5.0, 0.0625)),
}
_STEEP_NODES = 162
_CELLS = 16_384  # values worked on at once: they stay in the processor's cache


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
    On the identity scale it is m. Else the trapezoid rule on an even grid, which for smooth
    integrands converges faster than any power of the step; z = sinh(t) carries the tails of
    Student-t effects. Above a tau of 5 the inverse link turns from 0 to 1 within one step: there
    two rules share the line as in ``study_log_likelihood``, about that turn and about the effects.
    """
    if effects == "none" or scale.name == "identity":
        return scale.inverse(linear + 0.0 * tau)
    linear, tau = (np.asarray(values, dtype=np.float64) for values in (linear, tau))
    linear, tau = np.broadcast_arrays(linear, tau)
    m, sd, total = linear.reshape(-1), tau.reshape(-1), np.empty(linear.size)
    done = -np.inf
    for most, step in _STEPS[effects]:
        chosen = np.flatnonzero((sd > done) & (sd <= most))
        done = most
        for start in range(0, len(chosen), _CELLS):
            some = chosen[start : start + _CELLS]
            total[some] = _even_average(m[some], sd[some], scale, *_even_rule(effects, nu, step))
    steep = np.flatnonzero(sd > done)
    if len(steep):
        total[steep] = _steep_average(m[steep], sd[steep], scale, effects, nu)
    return total.reshape(linear.shape)


def _even_average(linear: Array, tau: Array, scale: Scale, nodes: Array, weights: Array) -> Array:
    total = np.zeros_like(linear)
    if scale.name == "logit":
        from metacart.inference.kernel_means import add_rates

        add_rates(linear, tau, nodes, weights, total)
        return total
    for node, weight in zip(nodes, weights, strict=True):
        total += weight * scale.inverse(linear + tau * node)
    return total


@cache
def _even_rule(effects: str, nu: float, step: float) -> tuple[Array, Array]:
    """Nodes and weights of a mean over standard effects, even in z or, with tails, in asinh z."""
    reach = 7.0 if effects == "normal" else 10.0
    nodes = np.linspace(-reach, reach, 2 * round(reach / step) + 1)
    if effects == "normal":
        weights = np.exp(log_density(nodes, effects, nu))
    else:
        stretch = np.cosh(nodes)
        nodes = np.sinh(nodes)
        weights = np.exp(log_density(nodes, effects, nu)) * stretch
    return nodes, weights / weights.sum()


def _steep_average(linear: Array, tau: Array, scale: Scale, effects: str, nu: float) -> Array:
    centres = np.stack([-linear / tau, np.zeros_like(tau)])
    rules = Rules(centres, np.stack([1.0 / tau, np.ones_like(tau)]))
    total = np.zeros_like(tau)
    for t in np.linspace(-SINH_REACH, SINH_REACH, _STEEP_NODES):
        for rule in range(2):
            z = rules.centres[rule] + rules.widths[rule] * np.sinh(t)
            density = np.exp(log_density(z, effects, nu) + log_share(rules, rule, z))
            total += scale.inverse(linear + tau * z) * density
    return total * 2.0 * SINH_REACH / (_STEEP_NODES - 1)
