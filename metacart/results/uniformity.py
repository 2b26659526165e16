"""Whether ranks are uniform: their distribution function between simultaneous bands."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Band", "band_of", "binomial_band", "chance_of"]

Array = NDArray[np.float64]

_POINTS = 1000  # at most so many points at which the distribution function is looked at


class Band(NamedTuple):
    """Where an empirical distribution function of uniform values runs.

    Attributes
    ----------
    points : array (points,)
        Where it is looked at, between 0 and 1.
    lower, upper : array (points,)
        The least and the largest share of values at or below each point.
    """

    points: Array
    lower: Array
    upper: Array


def binomial_band(number: int, *, share: float = 0.95, probability: float) -> tuple[float, float]:
    """Return between which shares of `number` an event of probability `share` happens."""
    from scipy.stats import binom

    lower, upper = binom.interval(probability, number, share)
    return float(lower) / number, float(upper) / number


@cache
def band_of(number: int, probability: float) -> Band:
    """Return the band inside which the whole function lies with a probability.

    Parameters
    ----------
    number : int
        Independent uniform values.
    probability : float
        Of no point outside.

    Returns
    -------
    Band

    Notes
    -----
    At each point the count is binomial; the band leaves out the same probability in each tail of
    each point, as much as keeps the whole inside with `probability` (Säilynoja, Bürkner and
    Vehtari 2022). Counts that grow by independent Poisson steps, given their total, are those of
    uniform values: so that probability is a chain of convolutions, exact, where a simulation would
    have to reach into its own far tail.
    """
    low, high = -60.0, 0.0  # logs of the tail that is left out
    for _ in range(50):
        middle = 0.5 * (low + high)
        inside = _inside(number, float(np.exp(middle))) >= probability
        low, high = (middle, high) if inside else (low, middle)
    least, most = _limits(number, float(np.exp(low)))
    return Band(_points(number), least / number, most / number)


def chance_of(values: Array) -> float:
    """Return the chance that uniform values stray as far from the diagonal, in the bands' sense."""
    from scipy.stats import binom

    number, points = len(values), _points(len(values))
    counts = np.searchsorted(np.sort(values), points, side="right")
    tails = np.minimum(binom.cdf(counts, number, points), binom.sf(counts - 1, number, points))
    # the same tail counts as outside
    return float(1.0 - _inside(number, float(tails.min()) * (1.0 + 1e-9)))


def _points(number: int) -> Array:
    steps = min(number, _POINTS)
    return np.asarray(np.arange(1, steps) / steps)


def _limits(number: int, tail: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the least and the largest count at each point with that much in each tail."""
    from scipy.stats import binom

    points = _points(number)
    return (
        np.asarray(binom.ppf(tail, number, points), dtype=np.int64),
        np.asarray(binom.isf(tail, number, points), dtype=np.int64),
    )


def _inside(number: int, tail: float) -> float:
    """Return the probability that no count leaves its limits."""
    from scipy.stats import poisson

    if tail >= 0.5:
        return 0.0
    least, most = _limits(number, tail)
    rate = number / (len(least) + 1)
    step = poisson.pmf(np.arange(int(rate + 12.0 * np.sqrt(rate) + 25.0)), rate)
    start, height = 0, np.ones(1)
    for low, high in zip([*least, number], [*most, number], strict=True):
        grown = np.convolve(height, step)
        first = max(low, start)
        last = min(high, start + len(grown) - 1)
        if last < first:
            return 0.0
        height, start = grown[first - start : last - start + 1], first
    return float(height[-1] / poisson.pmf(number, number))
