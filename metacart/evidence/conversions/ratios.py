"""Printed estimates: their standard error from an interval or a p, and the other way round."""

from __future__ import annotations

import math

from metacart.errors import Fault, InputError, named_options, refuse_unknown, shown
from metacart.evidence.conversions.effect import (
    Interval,
    check_interval,
    check_level,
    warn,
    words,
    z,
)
from metacart.evidence.printed import is_symmetric, midpoint, parse_p
from metacart.scales import SCALES

__all__ = ["interval_to_se", "p_to_se", "reverse_ratio"]

_TESTS = ("wald", "log-rank", "likelihood ratio", "chi-squared", "fisher", "unknown")


@named_options
def interval_to_se(
    lower: float, upper: float, *, estimate: float, level: float = 0.95, scale: str = "log"
) -> float:
    """Return the standard error that a printed interval implies on a scale.

    Parameters
    ----------
    lower, upper : float
        The limits, on the natural scale.
    estimate : float
        The printed estimate, on the natural scale; it checks that the interval is symmetric.
    level : float
        The level of the interval, between 0 and 1.
    scale : {"identity", "log", "logit", "cloglog", "loglog"}
        The scale on which the interval was made: estimate ± z·SE.

    Returns
    -------
    float
        The distance of the limits on the scale, divided by 2z.

    Raises
    ------
    InputError
        When the limits do not hold the estimate, or a number lies outside of the scale.

    Warns
    -----
    AssumptionWarning
        When the interval is not symmetric about the estimate within its printed precision.

    Examples
    --------
    >>> round(interval_to_se(0.101, 0.769, estimate=0.279), 3)
    0.518
    """
    refuse_unknown("scale", scale, list(SCALES))
    check_interval(estimate, lower, upper, scale)
    check_level(level)
    if not is_symmetric(estimate, lower, upper, scale=scale):
        warn(
            f"{words(estimate, lower, upper)} is not symmetric on the {scale} scale: the middle "
            f"of its limits is {midpoint(lower, upper, scale=scale):.4g}; its standard error is "
            "taken from the width of the interval"
        )
    link = SCALES[scale].link
    return float(link(upper) - link(lower)) / (2 * z(level))


@named_options
def p_to_se(estimate: float, *, p: str | float, scale: str = "log", test: str = "wald") -> float:
    """Return the standard error that an estimate and its two-sided p imply.

    Parameters
    ----------
    estimate : float
        A ratio for the log scale, where 1 is no effect; a difference for the identity scale, where
        it is 0.
    p : str or float
        As printed: ``"0.036"``, ``"<0.001"``, ``"NS"``.
    scale : {"log", "identity"}
        The scale on which estimate/SE was held against the normal distribution.
    test : {"wald", "log-rank", "likelihood ratio", "chi-squared", "fisher", "unknown"}
        The test that gave the p.

    Returns
    -------
    float
        The distance from no effect, divided by the normal quantile of p.

    Raises
    ------
    InputError
        For text that is no p, and for an estimate or a p of no effect at all.

    Warns
    -----
    AssumptionWarning
        When the p is an inequality, and bounds the standard error only; when it has so few digits
        that the standard error is off by a tenth or more; when it comes from another test.

    Notes
    -----
    SE = |log ratio| / z with z = Φ⁻¹(1 - p/2) (Altman and Bland, BMJ 2011;343:d2090).

    Examples
    --------
    >>> round(p_to_se(0.30, p="0.034"), 3)
    0.568
    """
    refuse_unknown("scale", scale, ["log", "identity"])
    refuse_unknown("test", test, _TESTS)
    low, _ = SCALES[scale].bounds
    if not (math.isfinite(estimate) and estimate > low):
        allowed = "a ratio above 0" if scale == "log" else "a finite number"
        raise InputError(Fault("estimate", f"{estimate:g}", allowed))
    distance = abs(float(SCALES[scale].link(estimate)))
    printed = parse_p(f"{p:.12g}" if isinstance(p, int | float) else p)
    if printed is None or printed.low == printed.high:
        raise InputError(Fault("p", shown(p), 'text such as "0.036", "<0.001", "NS"'))
    if distance == 0:
        raise InputError(
            Fault("estimate", f"{estimate:g}: no effect", "another estimate", "use the interval")
        )
    bounds = [
        distance / z(1 - end) if 0 < end < 1 else (0.0 if end <= 0 else math.inf)
        for end in (printed.low, printed.high)
    ]
    inequality = printed.low == 0 or printed.high == 1
    if inequality:
        at_most = printed.low == 0
        se = bounds[1] if at_most else bounds[0]
        if not (0 < se < math.inf):
            raise InputError(Fault("p", shown(p), "a p between 0 and 1"))
        warn(
            f"p {p} only says that the standard error is at {'most' if at_most else 'least'} "
            f"{se:.3g}, which is returned"
        )
    else:
        se = distance / z(1 - (printed.low + printed.high) / 2)
        if bounds[1] > 1.1 * se or bounds[0] < 0.9 * se:
            warn(
                f"p {p} is rounded: the standard error lies between {bounds[0]:.3g} and "
                f"{bounds[1]:.3g}"
            )
    if test != "wald":
        name = "a test that is not known" if test == "unknown" else f"a {test} test"
        warn(f"a p from {name} need not be that of estimate/SE; the standard error is approximate")
    return se


@named_options
def reverse_ratio(
    estimate: float, *, lower: float | None = None, upper: float | None = None
) -> Interval:
    """Turn a ratio round: B against A from A against B.

    Parameters
    ----------
    estimate : float
        The printed ratio.
    lower, upper : float, optional
        Its limits, both or neither.

    Returns
    -------
    Interval
        ``estimate``, ``lower`` and ``upper``. In a study file the printed ratio stands with
        ``reversed = true`` instead, and is turned round where it is used.

    Raises
    ------
    InputError
        For what is no ratio, and for limits that do not hold it.

    Warns
    -----
    AssumptionWarning
        When the interval is not symmetric on the log scale: turned round it is not either.

    Examples
    --------
    >>> [round(number, 3) for number in reverse_ratio(4.0, lower=2.0, upper=8.0)]
    [0.25, 0.125, 0.5]
    """
    if not (math.isfinite(estimate) and estimate > 0):
        raise InputError(Fault("estimate", f"{estimate:g}", "a ratio above 0"))
    if lower is None or upper is None:
        if (lower is None) != (upper is None):
            absent = "lower" if lower is None else "upper"
            allowed = "both limits of the interval, or neither"
            raise InputError(Fault(absent, "nothing stands here", allowed))
        return Interval(1 / estimate, None, None)
    check_interval(estimate, lower, upper, "log")
    if not is_symmetric(estimate, lower, upper):
        warn(
            f"{words(estimate, lower, upper)} is not symmetric on the log scale; look up whether "
            "estimate and limits are of the same comparison"
        )
    return Interval(1 / estimate, 1 / upper, 1 / lower)
