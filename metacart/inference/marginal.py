"""The study effect integrated out, and drawn given the rest: in closed form or by quadrature."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from metacart.inference.lanes import integrate
from metacart.inference.quadrature import Studies, by_hermite, by_sinh, hermite_rules
from metacart.inference.sampling import by_inversion, by_lanes, by_rejection
from metacart.modelling.likelihoods import Data, Likelihood, Parameters

__all__ = ["draw_standard_effects", "integrated", "is_conjugate", "study_log_likelihood"]

Array = NDArray[np.float64]

_PROBES = (-30.0, -1.0, 0.0, 2.0, 30.0)  # where a normal log likelihood is known by its values


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
    coarse: bool = False,
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
    tau : array (draws,) or (draws, findings)
        Scale of the study effects; by finding where it differs by a moderator.
    effects : {"normal", "student_t", "none"}
        Their distribution.
    nu : float
        Degrees of freedom of Student-t effects.
    parameters : mapping of str to array
        The likelihood's own parameters, each broadcastable against `linear`.
    coarse : bool
        Whether half the trapezoids are enough, as where to look for draws.

    Returns
    -------
    array (draws, studies)

    Notes
    -----
    Normal estimates under normal effects have a closed form. Else, with u = tau z, the integral
    over z is centred at its mode and scaled by the curvature there: for normal effects with tau up
    to 3 by 13 to 21 Gauss-Hermite nodes (Naylor and Smith 1982). For Student-t effects, and for a
    larger tau, which makes a step of a study with no or only events, by the trapezoid rule in t,
    z = c + s sinh(t). Where the effects alone or the data alone are much narrower than that rule
    sees, so that there can be a second peak, three such rules share the line: about the mode, the
    data, and the effects. Where they overlap each counts by the fourth power of the density of its
    nodes (a partition of unity; Veach and Guibas 1995).
    """
    studies = _studies(likelihood, data, group, linear, tau, effects, nu, parameters)
    if effects == "none":
        return studies.by_study(likelihood.logp(studies.linear, studies.data, studies.parameters))
    if (compiled := integrate(studies, coarse=coarse)) is not None:
        return compiled
    result = np.empty(studies.shape)
    for place, block in studies.blocks():
        result[place] = integrated(block, coarse=coarse)
    return result


def integrated(studies: Studies, *, coarse: bool = False) -> Array:
    """Return the log integral (draws, studies) by the rule that fits each draw."""
    if (compiled := integrate(studies, coarse=coarse)) is not None:
        return compiled
    if is_conjugate(studies):
        return _closed_form(studies)
    result = np.empty(studies.shape)
    tau, waiting = studies.tau.max(axis=1), np.ones(len(result), dtype=bool)
    rules = hermite_rules(coarse=coarse) if studies.effects == "normal" else ()
    for most, number in rules:
        draws = np.flatnonzero(waiting & (tau <= most))
        waiting[draws] = False
        if len(draws):
            result[draws] = by_hermite(studies.rows(draws), number)
    if waiting.any():
        result[waiting] = by_sinh(studies.rows(np.flatnonzero(waiting)), coarse=coarse)
    return result


def draw_standard_effects(
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
    """Draw each study's effect z = u / tau given its data and the other parameters.

    Parameters
    ----------
    likelihood, data, group, linear, tau, effects, nu, parameters
        As for ``study_log_likelihood``; `effects` is not ``"none"``.
    rng : Generator
        The random numbers.

    Returns
    -------
    array (draws, studies)
        Standard effects.

    Notes
    -----
    Normal estimates under normal effects have a normal effect. Other normal effects are drawn by
    rejection under tangents of the log density, which is concave (Devroye 1986), Student-t effects
    by inverting the distribution function on the rules of ``study_log_likelihood``, the density
    in t linear between nodes that are denser by half; among 100,000 draws no error shows.
    """
    studies = _studies(likelihood, data, group, linear, tau, effects, nu, parameters)
    if not is_conjugate(studies) and (compiled := by_lanes(studies, rng)) is not None:
        return compiled
    result = np.empty(studies.shape)
    for place, block in studies.blocks():
        if is_conjugate(block):
            result[place] = _normal_effects(block, rng)
        else:
            draw = by_rejection if effects == "normal" else by_inversion
            result[place] = draw(block, rng)
    return result


def _studies(
    likelihood: Likelihood,
    data: Data,
    group: NDArray[np.int64],
    linear: Array,
    tau: Array,
    effects: str,
    nu: float,
    parameters: Parameters,
) -> Studies:
    """Bring the findings of a study together."""
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(int(group.max()) + 2))
    own = {name: np.atleast_2d(values) for name, values in parameters.items()}
    if (np.diff(group) < 0).any():
        data = {name: values[order] for name, values in data.items()}
        linear = linear[:, order]
        tau = tau[:, order] if tau.ndim > 1 else tau
        own = {n: values[:, order] if values.shape[1] > 1 else values for n, values in own.items()}
    tau = tau if tau.ndim > 1 else tau[:, None]
    return Studies(likelihood, data, starts, linear, tau, effects, nu, own)


def is_conjugate(studies: Studies) -> bool:
    """Whether effects are normal, and findings with the moments of ``approximate``: logp tells."""
    if studies.effects != "normal":
        return False
    first = studies.rows(np.arange(1))
    estimate, variance = first.moments()
    z, own = np.asarray(_PROBES)[:, None], first.parameters
    found = studies.likelihood.logp(estimate + z * np.sqrt(variance), studies.data, own)
    expected = -0.5 * z**2 - 0.5 * np.log(2.0 * np.pi * variance)
    return bool(np.allclose(found, expected, rtol=1e-9, atol=1e-9))


def _closed_form(studies: Studies) -> Array:
    estimate, variance = studies.moments()
    residual, tau = estimate - studies.linear, studies.tau
    known = studies.by_study(-0.5 * (residual**2 / variance + np.log(2.0 * np.pi * variance)))
    widened = 1.0 + studies.by_study(tau**2 / variance)
    pull = studies.by_study(tau * residual / variance)
    return np.asarray(known + 0.5 * (pull**2 / widened - np.log(widened)))


def _normal_effects(studies: Studies, rng: np.random.Generator) -> Array:
    distance, spread = studies.alone()
    precision = 1.0 + spread**-2.0
    mean = distance * spread**-2.0 / precision
    return np.asarray(mean + rng.standard_normal(studies.shape) / np.sqrt(precision))
