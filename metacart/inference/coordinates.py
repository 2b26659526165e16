"""Parameters as coordinates of the whole line, each with its prior there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metacart.records.priors import Prior

__all__ = ["Coordinate"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Coordinate:
    """One parameter on the line: as it is, by its logarithm, or by its logit between bounds.

    Attributes
    ----------
    prior : Prior
        Its bounds decide the transform.
    """

    prior: Prior

    def value(self, t: Array) -> Array:
        """Return the parameter at `t`, any shape."""
        lower, upper = self.prior.bounds
        if np.isfinite(lower) and np.isfinite(upper):
            with np.errstate(over="ignore"):
                value = lower + (upper - lower) / (1.0 + np.exp(-t))
            # a density may be infinite at a bound, which no coordinate reaches
            return np.clip(value, np.nextafter(lower, upper), np.nextafter(upper, lower))
        if np.isfinite(lower):
            return np.asarray(lower + np.exp(t))
        if np.isfinite(upper):
            return np.asarray(upper - np.exp(-t))
        return t

    def position(self, value: Array) -> Array:
        """Return the coordinate of a value inside the bounds."""
        lower, upper = self.prior.bounds
        value = np.clip(value, np.nextafter(lower, upper), np.nextafter(upper, lower))
        if np.isfinite(lower) and np.isfinite(upper):
            return np.asarray(np.log(value - lower) - np.log(upper - value))
        if np.isfinite(lower):
            return np.asarray(np.log(value - lower))
        if np.isfinite(upper):
            return np.asarray(-np.log(upper - value))
        return value

    def log_density(self, t: Array) -> Array:
        """Return the log density of the prior in the coordinate, any shape."""
        lower, upper = self.prior.bounds
        if np.isfinite(lower) and np.isfinite(upper):
            slope = np.log(upper - lower) - np.logaddexp(0.0, t) - np.logaddexp(0.0, -t)
        elif np.isfinite(lower):
            slope = t
        elif np.isfinite(upper):
            slope = -t
        else:
            slope = np.zeros_like(t)
        return np.asarray(self.prior.logpdf(self.value(t)) + slope)
