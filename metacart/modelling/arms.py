"""Events among the patients of an arm at a linear predictor: logit, or cloglog for hazards."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from metacart.scales import SCALES

__all__ = ["Arm", "log_choose", "log_density", "logit_density", "rate", "scores"]

Array = NDArray[np.float64]

_HIGHEST = 300.0  # log cumulative hazards above it are certain events, and overflow


class Arm(NamedTuple):
    """Events among patients; arrays that broadcast with each other.

    Attributes
    ----------
    events, total : array
        The counts.
    hazard : array of bool
        Whether the linear predictor is the log cumulative hazard, else the log odds.
    """

    events: NDArray[np.int64]
    total: NDArray[np.int64]
    hazard: NDArray[np.bool_]


def log_choose(arm: Arm) -> Array:
    """Return the log of the binomial coefficient."""
    from scipy.special import gammaln

    y, n = arm.events, arm.total
    return np.asarray(gammaln(n + 1.0) - gammaln(y + 1.0) - gammaln(n - y + 1.0))


def rate(x: Array, hazard: NDArray[np.bool_]) -> Array:
    """Return the rate of events at a linear predictor."""
    if not hazard.any():
        return SCALES["logit"].inverse(x)
    return np.where(hazard, SCALES["cloglog"].inverse(x), SCALES["logit"].inverse(x))


def log_density(x: Array, arm: Arm) -> Array:
    """Return the log probability of the counts but for the binomial coefficient."""
    y, rest = arm.events, arm.total - arm.events
    if not arm.hazard.any():
        return logit_density(x, y, arm.total)
    x = np.minimum(x, _HIGHEST)
    cumulative = np.exp(x)
    # log(1 - exp(-H)) is log H where H is small
    with np.errstate(divide="ignore"):
        event = np.where(x < -30.0, x, np.log(-np.expm1(-cumulative)))
    by_hazard = y * event - rest * cumulative
    if arm.hazard.all():
        return np.asarray(by_hazard)
    return np.where(arm.hazard, by_hazard, logit_density(x, y, arm.total))


def logit_density(x: Array, y: NDArray[np.int64], n: NDArray[np.int64]) -> Array:
    """Return the log probability of counts at log odds, but for the binomial coefficient."""
    # log(1 + exp(x)) in steps of which each is a vector instruction, as logaddexp is not
    return np.asarray(y * x - n * (np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))))


def scores(x: Array, arm: Arm) -> tuple[Array, Array]:
    """Return the first and second derivative of the log density in the linear predictor."""
    y, n = arm.events, arm.total
    x = np.minimum(x, _HIGHEST)
    p = SCALES["logit"].inverse(x)
    slope, bend = y - n * p, -n * p * (1.0 - p)
    if not arm.hazard.any():
        return slope, bend
    cumulative = np.exp(x)
    with np.errstate(over="ignore", invalid="ignore"):
        # H / (exp(H) - 1), which is 1 at 0 and 0 far above
        share = np.where(cumulative > 0.0, cumulative / np.expm1(cumulative), 1.0)
    lost = (n - y) * cumulative
    by_hazard = y * share - lost
    bend_by_hazard = y * share * (1.0 - cumulative - share) - lost
    return np.where(arm.hazard, by_hazard, slope), np.where(arm.hazard, bend_by_hazard, bend)
