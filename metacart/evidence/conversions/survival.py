"""Survival in two groups: the hazard ratio from one time of both curves, or from two medians."""

from __future__ import annotations

import math

from metacart.errors import Fault, InputError, named_options, shown
from metacart.evidence.conversions.effect import (
    Effect,
    check_interval,
    check_level,
    warn,
    words,
    z,
)
from metacart.evidence.landmark import log_hazard_ratio, symmetric_loglog
from metacart.evidence.printed import is_symmetric

__all__ = ["landmarks_to_effect", "medians_to_effect"]


@named_options
def landmarks_to_effect(
    exposed: tuple[float, float, float],
    unexposed: tuple[float, float, float],
    *,
    level: float = 0.95,
) -> Effect:
    """Return the hazard ratio of two Kaplan-Meier estimates at one time.

    Parameters
    ----------
    exposed, unexposed : tuple of float
        Survival, lower and upper limit at the same time, as shares.
    level : float
        The level of both intervals.

    Returns
    -------
    Effect
        The ratio of the cumulative hazards until then: the hazard ratio, if hazards are
        proportional.

    Raises
    ------
    InputError
        For an estimate of 0 or 1, whose counts are to be used instead; for an interval that does
        not hold its estimate.

    Warns
    -----
    AssumptionWarning
        When an interval is not symmetric on the log(-log) scale: its standard error then comes from
        its width by the delta method.

    Notes
    -----
    log HR = log(-log S₁) - log(-log S₀), SE² the sum of both.

    Examples
    --------
    >>> effect = landmarks_to_effect((0.91, 0.508, 0.987), (0.69, 0.306, 0.892))
    >>> round(effect.value, 2), round(effect.se, 2)
    (0.25, 1.17)
    """
    check_level(level)
    groups = []
    for name, group in (("exposed", exposed), ("unexposed", unexposed)):
        landmark = _landmark(group, name)
        if not symmetric_loglog(*landmark):
            warn(f"{name} {words(*landmark)} is not symmetric on the log(-log) scale")
        groups.append(landmark)
    return Effect("hr", *log_hazard_ratio(groups[0], groups[1], level=level))


def _landmark(group: tuple[float, float, float], name: str) -> tuple[float, float, float]:
    numbers = isinstance(group, tuple | list) and len(group) == 3
    if not numbers or not all(isinstance(each, int | float) for each in group):
        example = f"{name} = (0.91, 0.508, 0.987)"
        raise InputError(Fault(name, shown(group), "survival, lower and upper limit", example))
    survival, lower, upper = (float(each) for each in group)
    found = words(survival, lower, upper)
    if survival in (0.0, 1.0):
        raise InputError(
            Fault(
                name,
                f"{found}: a survival of {survival:g} has no finite log cumulative hazard",
                "a share above 0 and below 1",
                "use the counts of this group: events and patients at risk",
            )
        )
    if not all(0 <= each <= 1 for each in (survival, lower, upper)):
        hint = "shares, not percentages: 0.91" if max(survival, lower, upper) <= 100 else ""
        raise InputError(Fault(name, found, "shares between 0 and 1", hint))
    if not lower <= survival <= upper or lower == upper:
        raise InputError(Fault(name, found, "lower ≤ survival ≤ upper, and lower < upper"))
    return survival, lower, upper


@named_options
def medians_to_effect(
    exposed: float | tuple[float, float, float],
    unexposed: float | tuple[float, float, float],
    *,
    events: tuple[int, int] | None = None,
    level: float = 0.95,
) -> Effect:
    """Return the hazard ratio of two median survival times: an approximation.

    Parameters
    ----------
    exposed, unexposed : float or tuple of float
        The medians, in the same unit; each alone, or with its lower and upper limit.
    events : tuple of int, optional
        Events in the exposed and in the unexposed, where the medians have no limits.
    level : float
        The level of the intervals.

    Returns
    -------
    Effect
        The ratio of the medians, unexposed over exposed.

    Raises
    ------
    InputError
        For a median that was not reached, and where neither limits nor events give a standard
        error.

    Warns
    -----
    AssumptionWarning
        Always: the ratio of medians is the hazard ratio only if both groups survive exponentially.
        Also when an interval is not symmetric on the log scale.

    Notes
    -----
    Under exponential survival the hazard is log 2 / median. Var log median comes from the printed
    interval on the log scale, or is 1 / (events log² 2), that of a sample median, p(1 - p) / (n f²)
    at p = 1/2; the hazard's own estimate from all times would have 1 / events.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     effect = medians_to_effect(12.0, 6.0, events=(16, 16))
    >>> round(effect.value, 3), round(effect.se, 3)
    (0.5, 0.51)
    """
    check_level(level)
    medians, errors = [], []
    for number, (name, group) in enumerate((("exposed", exposed), ("unexposed", unexposed))):
        median, *limits = group if isinstance(group, tuple | list) else (group,)
        if not (math.isfinite(median) and median > 0):
            allowed = "a time above 0; a median that was not reached gives no ratio"
            raise InputError(Fault(name, f"{median:g}", allowed))
        medians.append(median)
        if len(limits) == 2:
            lower, upper = limits
            check_interval(median, lower, upper, "log", place=name)
            if not is_symmetric(median, lower, upper):
                warn(
                    f"{name} {words(median, lower, upper)} is not symmetric on the log scale: the "
                    "standard error is taken from the width of the interval"
                )
            errors.append(math.log(upper / lower) / (2 * z(level)))
        elif events is not None and len(events) == 2 and min(events) > 0 and not limits:
            errors.append(1 / (math.log(2) * math.sqrt(events[number])))
        else:
            found = shown(group) if events is None or limits else f"events = {shown(events)}"
            allowed = "a median with both limits, or events of 1 or more in both groups"
            raise InputError(Fault(name, found, allowed, "events = (14, 20)"))
    warn(
        "the hazard ratio of two medians is an approximation: it holds if both groups survive "
        "exponentially, at constant hazards"
    )
    return Effect("hr", math.log(medians[1] / medians[0]), math.hypot(*errors))
