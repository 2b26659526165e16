"""The study effect integrated out: quadrature per draw and study, and over a new study."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metacart.modelling.likelihoods import Data, Likelihood, Parameters
from metacart.scales import Scale

__all__ = ["draw_study_effects", "population_average", "study_log_likelihood"]

Array = NDArray[np.float64]

_HERMITE_NODES = 21
_HERMITE_REACH = 3.0  # above this tau Hermite nodes miss the edge of a study of no or only events
_SINH_NODES, _SINH_REACH = 81, 12.0
_DRAW_NODES = 121
_STEEP = 5.0  # above this tau a link is a step for the even grid of a new study
_CELLS = 3_000_000  # draws by studies by nodes held at once


@dataclass(frozen=True)
class _Integrand:
    """Likelihood times density of each study's standard effect z, where u = tau z.

    Attributes
    ----------
    log_density : callable
        From z (draws, studies): the log integrand there.
    centres, widths : array (rules, draws, studies)
        Where rules of nodes lie. The first is the peak, with the SD of the normal density that
        curves like it there; others are the data alone and the effects alone.
    """

    log_density: Callable[[Array], Array]
    centres: Array
    widths: Array


@dataclass(frozen=True)
class _Studies:
    """What the integrals of some draws need; arguments as for ``study_log_likelihood``."""

    likelihood: Likelihood
    data: Data
    group: NDArray[np.int64]
    linear: Array
    tau: Array
    effects: str
    nu: float
    parameters: Parameters

    def rows(self, chosen: Any) -> _Studies:
        """Return the same for some of the draws."""
        draws = len(self.linear)
        own = {
            name: np.broadcast_to(values, (draws, np.shape(values)[-1]))[chosen]
            for name, values in self.parameters.items()
        }
        return replace(self, linear=self.linear[chosen], tau=self.tau[chosen], parameters=own)

    def ways(self) -> list[tuple[bool, NDArray[np.intp]]]:
        """Return which draws need several rules, and which only that of the peak."""
        simple = (self.effects == "normal") & (self.tau <= _HERMITE_REACH)
        return [(False, np.flatnonzero(simple)), (True, np.flatnonzero(~simple))]

    def chunks(self, nodes: int) -> list[slice]:
        """Return slices of draws that fit into memory with so many nodes."""
        size = max(1, _CELLS // (nodes * len(self.group)))
        return [slice(start, start + size) for start in range(0, len(self.linear), size)]

    def by_study(self, values: Array) -> Array:
        """Return the sums of (draws, findings) over each study."""
        order = np.argsort(self.group, kind="stable")
        starts = np.searchsorted(self.group[order], np.arange(int(self.group.max()) + 1))
        return np.asarray(np.add.reduceat(values[:, order], starts, axis=1))

    def integrand(self, *, several: bool) -> _Integrand:
        """Return the integrand with the rules of its nodes: the peak, or three of them."""
        mode, width = self._peak()
        centres, widths = [mode], [width]
        if several:
            estimate, variance = self.likelihood.approximate(self.data)
            weight = np.broadcast_to(1.0 / variance, self.linear.shape)
            total = self.by_study(weight)
            distance = self.by_study(weight * (estimate - self.linear)) / total
            spread = 1.0 / np.sqrt(total)
            scale = np.maximum(self.tau[:, None], 1e-8 * spread)
            centres += [distance / scale, np.zeros_like(mode)]
            widths += [spread / scale, np.ones_like(mode)]
        return _Integrand(self._log_integrand, np.stack(centres), np.stack(widths))

    def _log_integrand(self, z: Array) -> Array:
        eta = self.linear + self.tau[:, None] * z[:, self.group]
        by_study = self.by_study(self.likelihood.logp(eta, self.data, self.parameters))
        return by_study + _log_density(z, self.effects, self.nu)

    def _peak(self) -> tuple[Array, Array]:
        scale, nu = self.tau[:, None], self.nu
        mode = np.zeros((len(self.linear), int(self.group.max()) + 1))
        reach, last = np.full(mode.shape, 2.0), np.zeros(mode.shape)
        for _ in range(100):
            slope, curvature = self.likelihood.derivatives(
                self.linear + scale * mode[:, self.group], self.data, self.parameters
            )
            bend = scale**2 * self.by_study(np.asarray(curvature))
            if self.effects == "normal":
                rise, bend = scale * self.by_study(slope) - mode, bend - 1.0
                newton = bend
            else:
                # the t density seen as a normal one with a precision that depends on z (its MM
                # weight) is always concave; its own curvature is faster where it is concave too
                weight = (nu + 1.0) / (nu + mode**2)
                own = weight * (nu - mode**2) / (nu + mode**2)
                rise, bend, own = (
                    scale * self.by_study(slope) - weight * mode,
                    bend - weight,
                    bend - own,
                )
                newton = np.minimum(own, 0.3 * bend)
            # a step that turns back is halved, one that goes on may grow: Newton can oscillate
            reach = reach * np.where(np.sign(rise) * np.sign(last) < 0, 0.5, 1.5)
            step, last = np.clip(-rise / newton, -reach, reach), rise
            mode = mode + step
            if np.max(np.abs(step) * np.sqrt(-bend)) < 1e-4:
                break
        return mode, 1.0 / np.sqrt(-bend)


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
        Its ``logp``, ``derivatives`` and ``approximate`` are used.
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
    With u = tau z the integral over z is centred at its mode and scaled by the curvature there: for
    normal effects with tau up to 3 by 21 Gauss-Hermite nodes (Naylor and Smith 1982). For Student-t
    effects, which can have a second peak, and for a larger tau, which makes a step of a study
    with no or only events, three trapezoid rules z = c + s sinh(t) of 81 nodes share the line:
    about the mode, the data alone, and the effects alone. Where they overlap each counts by the
    fourth power of the density of its nodes (a partition of unity; Veach and Guibas 1995).
    """
    studies = _Studies(likelihood, data, group, linear, tau, effects, nu, parameters)
    if effects == "none":
        return studies.by_study(likelihood.logp(linear, data, parameters))
    result = np.empty((len(linear), int(group.max()) + 1))
    for several, chosen in studies.ways():
        part = studies.rows(chosen)
        for rows in part.chunks(3 * _SINH_NODES if several else _HERMITE_NODES):
            integral = _by_sinh if several else _by_hermite
            result[chosen[rows]] = integral(part.rows(rows).integrand(several=several))
    return result


def _by_hermite(integrand: _Integrand) -> Array:
    from scipy.special import logsumexp

    nodes, weights = _hermite()
    mode, width = integrand.centres[0], integrand.widths[0]
    terms = np.stack([integrand.log_density(mode + width * node) for node in nodes])
    return np.asarray(logsumexp(terms + weights[:, None, None], axis=0) + np.log(width))


@cache
def _hermite() -> tuple[Array, Array]:
    """Nodes and log weights of an integral over the line, in units of its own width."""
    nodes, weights = np.polynomial.hermite.hermgauss(_HERMITE_NODES)
    return np.sqrt(2.0) * nodes, np.log(weights) + nodes**2 + 0.5 * np.log(2.0)


def _by_sinh(integrand: _Integrand) -> Array:
    from scipy.special import logsumexp

    steps = np.linspace(-_SINH_REACH, _SINH_REACH, _SINH_NODES)
    terms = _shares(integrand, steps)
    return np.asarray(logsumexp(terms, axis=(0, 1)) + np.log(steps[1] - steps[0]))


def _shares(integrand: _Integrand, steps: Array) -> Array:
    """Log of what each rule has to integrate over its own t; (rules, steps, draws, studies)."""
    centres, widths = integrand.centres, integrand.widths
    terms = np.empty((len(centres), len(steps), *centres.shape[1:]))
    for rule, (centre, width) in enumerate(zip(centres, widths, strict=True)):
        for position, t in enumerate(steps):
            z = centre + width * np.sinh(t)
            # squares of dz/dt of each rule at z: inverse squares of the density of its nodes
            stretch = widths**2 + (z - centres) ** 2
            factor = stretch[rule] ** -1.5 / (stretch**-2.0).sum(axis=0)
            terms[rule, position] = integrand.log_density(z) + np.log(factor)
    return terms


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
    The distribution function of z is inverted on the rules of ``study_log_likelihood`` with 121
    nodes each, the density in t linear between them; among 100,000 draws no error shows.
    """
    studies = _Studies(likelihood, data, group, linear, tau, effects, nu, parameters)
    result = np.empty((len(linear), int(group.max()) + 1))
    for several, chosen in studies.ways():
        part = studies.rows(chosen)
        # a peak of normal effects alone needs no far nodes: sinh(4) is 27 of its SDs
        steps = np.linspace(-1.0, 1.0, _DRAW_NODES) * (_SINH_REACH if several else 4.0)
        for rows in part.chunks(_DRAW_NODES * (3 if several else 1)):
            z = _draw(part.rows(rows).integrand(several=several), steps, rng)
            result[chosen[rows]] = tau[chosen[rows], None] * z
    return result


def _draw(integrand: _Integrand, steps: Array, rng: np.random.Generator) -> Array:
    terms = _shares(integrand, steps)
    density = np.exp(terms - terms.max(axis=(0, 1)))
    cells = 0.5 * (density[:, 1:] + density[:, :-1])
    rules, number = cells.shape[:2]
    ends = np.cumsum(cells.reshape(rules * number, *cells.shape[2:]), axis=0)
    target = rng.uniform(size=ends.shape[1:]) * ends[-1]
    cell = np.minimum((ends < target).sum(axis=0), rules * number - 1)
    below = np.where(cell > 0, _at(ends, np.maximum(cell - 1, 0)), 0.0)
    rule, left_step = cell // number, cell % number
    nodes = density.reshape(rules * (number + 1), *density.shape[2:])
    first = rule * (number + 1) + left_step
    left, right = _at(nodes, first), _at(nodes, first + 1)
    # the root in [0, 1] of left f + (right - left) f² / 2 = what is left to cover, written so
    # that equal ends do no harm
    rest = target - below
    root = np.sqrt(np.maximum(left**2 + 2.0 * (right - left) * rest, 0.0))
    fraction = 2.0 * rest / np.maximum(left + root, np.finfo(float).tiny)
    t = steps[left_step] + np.clip(fraction, 0.0, 1.0) * (steps[1] - steps[0])
    return np.asarray(_at(integrand.centres, rule) + _at(integrand.widths, rule) * np.sinh(t))


def _at(values: Array, position: NDArray[np.int64]) -> Array:
    return np.asarray(np.take_along_axis(values, position[None], axis=0)[0])


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
    On the identity scale it is m. Else the trapezoid rule on an even grid, which for smooth
    integrands converges faster than any power of the step; z = sinh(t) carries the tails of
    Student-t effects. Above a tau of 5 the inverse link turns from 0 to 1 within one step: there
    the rules of ``study_log_likelihood`` share the line, about that turn and about the effects.
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
    steps = np.linspace(-_SINH_REACH, _SINH_REACH, 2 * _SINH_NODES)

    def log_integrand(z: Array) -> Array:
        with np.errstate(divide="ignore"):
            return np.log(scale.inverse(linear + tau * z)) + _log_density(z, effects, nu)

    centres = np.stack([-linear / tau, np.zeros_like(tau)])
    terms = _shares(_Integrand(log_integrand, centres, np.stack([1.0 / tau, 1.0 + 0 * tau])), steps)
    return np.asarray(np.exp(terms).sum(axis=(0, 1)) * (steps[1] - steps[0]))


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
