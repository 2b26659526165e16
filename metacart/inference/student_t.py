"""The multivariate Student t of proposals, in units of its spread."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["log_t", "standard_t", "standardized"]

Array = NDArray[np.float64]

_FREEDOM = 5.0  # degrees of freedom


def log_t(standard: Array) -> Array:
    """Return the log density of each row (draws, names)."""
    from scipy.special import gammaln

    size = standard.shape[1]
    constant = gammaln((_FREEDOM + size) / 2.0) - gammaln(_FREEDOM / 2.0)
    constant -= 0.5 * size * np.log(_FREEDOM * np.pi)
    squares = (standard**2).sum(axis=1)
    return np.asarray(constant - 0.5 * (_FREEDOM + size) * np.log1p(squares / _FREEDOM))


def standard_t(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Return draws (draws, names), each row from one Student t."""
    standard = rng.standard_normal(shape)
    return np.asarray(standard * np.sqrt(_FREEDOM / rng.chisquare(_FREEDOM, size=(shape[0], 1))))


def standardized(spread: Array, distance: Array) -> Array:
    """Return distances in units of lower triangular spreads, by forward substitution."""
    result = np.empty_like(distance)
    for row in range(distance.shape[1]):
        known = (spread[:, row, :row] * result[:, :row]).sum(axis=1)
        result[:, row] = (distance[:, row] - known) / spread[:, row, row]
    return result
