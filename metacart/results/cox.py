"""Cox's log hazard ratio of two groups, for many small data sets at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["log_hazard_ratios"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_STEPS = 60
_PRECISION = 1e-10


def log_hazard_ratios(
    exit: Array,  # noqa: A002  (the field's word, beside entry)
    event: Mask,
    exposed: Mask,
    *,
    entry: Array | None = None,
) -> Array:
    """Return the maximum of Cox's partial likelihood in each row.

    Parameters
    ----------
    exit : array (data set, interval)
        When each interval at risk ends.
    event : array (data set, interval)
        Whether it ends in an event.
    exposed : array (data set, interval)
        Whether it is time of the exposed.
    entry : array (data set, interval), optional
        When it begins; 0 by default. A patient at risk is one interval, or several one after the
        other where the exposure changes. An interval is open at its entry: it holds ``entry < t``
        and ``t <= exit``, and one without length holds nothing.

    Returns
    -------
    array (data set,)
        Infinite where all events that tell the groups apart are of one of them; not a number
        where no event does.

    Notes
    -----
    With n1 and n0 at risk in the groups when an event happens, the score is the sum over events of
    x - n1 e^b / (n1 e^b + n0), and Newton's method finds its root. Tied events share their risk
    set (Breslow).

    Examples
    --------
    Gehan's trial in leukaemia, weeks in remission; placebo is exposed. With Breslow's ties
    published values are 1.51:

    >>> placebo = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]
    >>> relapsed = [6, 6, 6, 7, 10, 13, 16, 22, 23]
    >>> censored = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
    >>> weeks = np.array([[*placebo, *relapsed, *censored]], dtype=float)
    >>> event = np.arange(weeks.size)[None] < 30
    >>> print(log_hazard_ratios(weeks, event, np.arange(weeks.size)[None] < 21).round(3))
    [1.509]
    """
    exposed_at_risk, others_at_risk, order = _at_risk(exit, exposed, entry)
    here = np.take_along_axis(_padded(event, order.shape[1]), order, axis=1)
    hit = np.take_along_axis(_padded(exposed, order.shape[1]), order, axis=1)
    # an event says nothing where only one group is at risk
    here &= (exposed_at_risk > 0) & (others_at_risk > 0)
    up, down = (here & hit).any(axis=1), (here & ~hit).any(axis=1)
    result = np.where(up, np.where(down, 0.0, np.inf), np.where(down, -np.inf, np.nan))
    rows = np.flatnonzero(up & down)
    result[rows] = _roots(here[rows], hit[rows], exposed_at_risk[rows], others_at_risk[rows])
    return result


def _at_risk(
    exit: Array,  # noqa: A002
    exposed: Mask,
    entry: Array | None,
) -> tuple[Array, Array, NDArray[np.intp]]:
    """Return how many of each group are at risk at each end of an interval, and their order."""
    times = exit if entry is None else np.concatenate([exit, entry], axis=1)
    order = np.argsort(times, axis=1, kind="stable")
    ranked = np.take_along_axis(times, order, axis=1)
    # at risk at t are those who end at t or later less those who only begin then
    first = np.zeros(ranked.shape, dtype=np.intp)
    first[:, 1:] = np.where(ranked[:, 1:] > ranked[:, :-1], np.arange(1, ranked.shape[1]), 0)
    first = np.maximum.accumulate(first, axis=1)
    counts = []
    for group in (exposed, ~exposed):
        change = group.astype(np.float64)
        change = change if entry is None else np.concatenate([change, -change], axis=1)
        later = np.take_along_axis(change, order, axis=1)[:, ::-1].cumsum(axis=1)[:, ::-1]
        counts.append(np.take_along_axis(later, first, axis=1))
    return counts[0], counts[1], order


def _padded(mask: Mask, width: int) -> Mask:
    """Return a mask of exits as one of exits and entries, which have no events."""
    return np.pad(mask, ((0, 0), (0, width - mask.shape[1])))


def _roots(here: Mask, hit: Mask, exposed: Array, others: Array) -> Array:
    """Return where each row's score, which falls everywhere, is zero."""
    observed = (here & hit).sum(axis=1)
    # what is no event has nobody at risk among the exposed, and adds nothing
    first, second = np.where(here, exposed, 0.0), np.where(here, others, 1.0)
    estimate = np.zeros(len(here))
    for _ in range(_STEPS):
        risk = first * np.exp(estimate)[:, None]
        share = risk / (risk + second)
        step = (observed - share.sum(axis=1)) / (share * (1.0 - share)).sum(axis=1)
        step = np.clip(step, -1.0, 1.0)
        estimate = estimate + step
        if np.abs(step).max(initial=0.0) < _PRECISION:
            break
    return estimate
