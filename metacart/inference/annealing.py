"""Integrals of a likelihood over a few parameters whose prior is known by its quantiles.

Each parameter is Q(Phi(z)) with Q its prior's quantile function, so that z is standard normal
before the data. Where Laplace's method fails (two modes, ridges, weights near a bound) importance
sampling still holds: the likelihood is let in by degrees, and the prior stays in the proposal.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Integral", "integrate"]

Array = NDArray[np.float64]

_PILOT, _KERNELS = 3000, 300  # points a degree, and kernels of the proposal
_KEPT = 0.3  # share of effective points that each degree leaves
_ROUNDS = 8  # at most of the whole likelihood, where points stay few
_DEFENCE = 0.05  # share of the prior in the proposal: no weight is beyond 20 likelihoods
_FREEDOM = 5.0  # degrees of freedom of the kernels
_REACH = 8.0  # how far out z is followed
_ERROR = 0.01  # of the log integral that is aimed at
_TIMES = 3  # how often a run is doubled for it


class Integral(NamedTuple):
    """A log integral with weighted draws from the posterior.

    Attributes
    ----------
    points : array (draws, dimension)
        In z.
    weights : array (draws,)
        They sum to one.
    log_value : float
        Log marginal likelihood.
    error : float
        Its Monte Carlo standard error.
    """

    points: Array
    weights: Array
    log_value: float
    error: float


def integrate(
    log_likelihood: Callable[[Array], Array],
    dimension: int,
    rng: np.random.Generator,
    *,
    draws: int,
) -> Integral:
    """Integrate a likelihood over a standard normal prior.

    Parameters
    ----------
    log_likelihood : callable
        From points (draws, dimension) to log likelihoods (draws,).
    dimension : int
        Up to eight or so.
    rng : Generator
    draws : int
        Points of the last run. While the error is above 0.01 it is repeated with twice as many and
        a proposal from the points before, to eight times at most.

    Returns
    -------
    Integral

    Notes
    -----
    Annealed importance sampling: points of the prior are weighted by the likelihood to a power
    that leaves 30 % of them effective; kernels of Student's t around a sample of them (West 1993)
    propose the next points, until the power is one and, once more, 30 % are effective. The last
    proposal is a mixture of these kernels and of the prior, so that no weight is beyond 20 times
    the likelihood over its mean: the error is finite, and no Pareto k is needed to trust it.
    """
    if not dimension:
        value = float(log_likelihood(np.empty((1, 0)))[0])
        return Integral(np.empty((1, 0)), np.ones(1), value, 0.0)
    proposal, power, whole = None, 0.0, 0
    while True:
        points, log_density = _propose(proposal, _PILOT, dimension, rng)
        log_l, log_prior = log_likelihood(points), _log_normal(points)
        power = _next_power(log_l, log_prior - log_density, power)
        weights = _normal(power * log_l + log_prior - log_density)
        proposal = _Kernels.around(points, weights, rng)
        whole += power == 1.0
        good = 1.0 / np.sum(weights**2) >= _KEPT * _PILOT
        if whole >= (2 if good else _ROUNDS):
            break
    found = _importance(log_likelihood, proposal, draws, dimension, rng)
    for _ in range(_TIMES):
        if found.error <= _ERROR:
            break
        proposal = _Kernels.around(found.points, found.weights, rng)
        found = _importance(log_likelihood, proposal, 2 * len(found.points), dimension, rng)
    return found


def _importance(
    log_likelihood: Callable[[Array], Array],
    proposal: _Kernels,
    number: int,
    dimension: int,
    rng: np.random.Generator,
) -> Integral:
    points, log_density = _propose(proposal, number, dimension, rng)
    log_weight = log_likelihood(points) + _log_normal(points) - log_density
    top = float(log_weight.max())
    raw = np.exp(log_weight - top)
    mean = float(raw.mean())
    error = float(raw.std()) / mean / math.sqrt(number)
    return Integral(points, raw / raw.sum(), top + math.log(mean), error)


class _Kernels(NamedTuple):
    """Student's t of one shape around each of some centres."""

    centres: Array
    root: Array  # lower triangular

    @classmethod
    def around(cls, points: Array, weights: Array, rng: np.random.Generator) -> _Kernels:
        """Return kernels around a weighted sample, with about its covariance in all."""
        dimension = points.shape[1]
        mean = weights @ points
        apart = points - mean
        covariance = (weights[:, None] * apart).T @ apart
        # a sample that has all but collapsed still leaves room about it
        covariance += 1e-8 * np.eye(dimension)
        number = min(_KERNELS, max(1, round(1.0 / float(np.sum(weights**2)))))
        width = (4.0 / ((dimension + 2.0) * number)) ** (1.0 / (dimension + 4.0))
        width = min(width, 0.9)
        chosen = rng.choice(len(points), size=_KERNELS, p=weights)
        centres = mean + math.sqrt(1.0 - width**2) * (points[chosen] - mean)
        return cls(centres, width * np.linalg.cholesky(covariance))

    def draw(self, number: int, rng: np.random.Generator) -> Array:
        """Return points (number, dimension)."""
        centres = self.centres[rng.integers(len(self.centres), size=number)]
        normal = rng.standard_normal(centres.shape)
        shrink = np.sqrt(rng.chisquare(_FREEDOM, size=(number, 1)) / _FREEDOM)
        return np.asarray(centres + (normal / shrink) @ self.root.T)

    def log_density(self, points: Array) -> Array:
        """Return the log density at points."""
        from scipy.spatial.distance import cdist
        from scipy.special import gammaln

        dimension = points.shape[1]
        inverse = np.linalg.inv(self.root).T  # of a few rows, well apart from singular
        here, there = points @ inverse, self.centres @ inverse
        shape = -0.5 * (_FREEDOM + dimension)
        heights = (1.0 + cdist(here, there, "sqeuclidean") / _FREEDOM) ** shape
        constant = gammaln(-shape) - gammaln(0.5 * _FREEDOM)
        constant -= 0.5 * dimension * math.log(_FREEDOM * math.pi)
        constant -= float(np.log(np.diag(self.root)).sum())
        return np.asarray(np.log(heights.mean(axis=1)) + constant)


def _propose(
    proposal: _Kernels | None, number: int, dimension: int, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Return points and the log density of what they were drawn from."""
    points = rng.standard_normal((number, dimension))
    if proposal is None:
        return points, _log_normal(points)
    own = rng.uniform(size=number) >= _DEFENCE
    points[own] = proposal.draw(int(own.sum()), rng)
    points = np.clip(points, -_REACH, _REACH)
    return points, np.logaddexp(
        math.log(_DEFENCE) + _log_normal(points),
        math.log1p(-_DEFENCE) + proposal.log_density(points),
    )


def _next_power(log_l: Array, log_weight: Array, power: float) -> float:
    """Return the largest power of the likelihood that leaves enough effective points."""

    def enough(candidate: float) -> bool:
        weights = _normal(candidate * log_l + log_weight)
        return bool(1.0 / np.sum(weights**2) >= _KEPT * len(weights))

    if power == 1.0 or enough(1.0):
        return 1.0
    low, high = power, 1.0
    for _ in range(30):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if enough(middle) else (low, middle)
    # a step must be made, however few points it leaves
    return max(low, min(1.0, power + 1e-4 + 0.02 * power))


def _normal(log_weight: Array) -> Array:
    weights = np.exp(log_weight - log_weight.max())
    return np.asarray(weights / weights.sum())


def _log_normal(points: Array) -> Array:
    return np.asarray(
        -0.5 * (points**2).sum(axis=1) - 0.5 * points.shape[1] * math.log(2.0 * math.pi)
    )
