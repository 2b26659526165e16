"""Survival at one time: how precise a printed Kaplan-Meier estimate is."""

from __future__ import annotations

import math
from statistics import NormalDist

from metacart.evidence.printed import midpoint
from metacart.scales import SCALES

__all__ = ["log_hazard_ratio", "survival_se", "symmetric_loglog"]

# papers print whole percents, of the estimate and of both limits
_ROUNDING = 0.01


def survival_se(estimate: float, lower: float, upper: float, *, level: float = 0.95) -> float:
    """Return the standard error of log(-log S) that a printed interval of S implies.

    Parameters
    ----------
    estimate, lower, upper : float
        Survival and its limits as shares; the estimate lies above 0 and below 1.
    level : float
        The level of the interval.

    Returns
    -------
    float
        The distance of the limits on the scale divided by 2z, where the interval is symmetric
        there within its printed precision; else by the delta method from its width.

    Notes
    -----
    Most programs make the interval on the log(-log) scale (Kalbfleisch and Prentice 2002, section
    1.4). One made on another scale, or cut off at 0 or 1, has the standard error
    (upper - lower) / (2z) of S, and SE[log(-log S)] = SE[S] / (S |log S|).

    Examples
    --------
    >>> round(survival_se(0.91, 0.508, 0.987), 3)
    1.007
    >>> round(survival_se(0.80, 0.70, 0.90), 3)
    0.286
    """
    twice = 2.0 * NormalDist().inv_cdf(0.5 + level / 2.0)
    if symmetric_loglog(estimate, lower, upper):
        link = SCALES["loglog"].link
        return float(link(upper) - link(lower)) / twice
    return (upper - lower) / twice / (estimate * abs(math.log(estimate)))


def log_hazard_ratio(
    exposed: tuple[float, float, float],
    control: tuple[float, float, float],
    *,
    level: float = 0.95,
) -> tuple[float, float]:
    """Return the log hazard ratio of two survivals at one time, and its standard error.

    Parameters
    ----------
    exposed, control : tuple of float
        Survival, lower and upper limit, as shares; the estimates lie above 0 and below 1.
    level : float
        The level of both intervals.

    Returns
    -------
    tuple of float
        log(-log S₁) - log(-log S₀): the hazard ratio if hazards are proportional, else the ratio
        of the cumulative hazards until then. SE² is the sum of both.

    Examples
    --------
    >>> log_hr, se = log_hazard_ratio((0.91, 0.508, 0.987), (0.69, 0.306, 0.892))
    >>> round(log_hr, 2), round(se, 2)
    (-1.37, 1.17)
    """
    estimates = [math.log(-math.log(survival)) for survival, _, _ in (exposed, control)]
    errors = [survival_se(*group, level=level) for group in (exposed, control)]
    return estimates[0] - estimates[1], math.hypot(*errors)


def symmetric_loglog(estimate: float, lower: float, upper: float) -> bool:
    """Return whether an interval was made on the log(-log) scale, within its printed precision."""
    if lower <= 0.0 or upper >= 1.0:
        return False
    return abs(midpoint(lower, upper, scale="loglog") - estimate) <= _ROUNDING
