"""The mean of a rate over all studies that there could be."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from metacart.inference.quadrature import SINH_REACH, Rules, log_density, log_share
from metacart.scales import Scale

__all__ = ["population_average"]

Array = NDArray[np.float64]

_STEEP = 5.0  # above this tau a link is a step for the even grid of a new study
_STEEP_NODES = 162


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
    total = np.zeros(linear.shape)
    for node, weight in zip(*_new_study_rule(effects, nu), strict=True):
        total += weight * scale.inverse(linear + tau * node)
    steep = tau > _STEEP
    if steep.any():
        total[steep] = _steep_average(linear[steep], tau[steep], scale, effects, nu)
    return total


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


@cache
def _new_study_rule(effects: str, nu: float) -> tuple[Array, Array]:
    if effects == "normal":
        nodes = np.linspace(-7.0, 7.0, 113)
        weights = np.exp(log_density(nodes, effects, nu))
    else:
        steps = np.linspace(-10.0, 10.0, 161)
        nodes = np.sinh(steps)
        weights = np.exp(log_density(nodes, effects, nu)) * np.cosh(steps)
    return nodes, weights / weights.sum()
