"""Where a posterior puts what made the data: ranks and widths from weighted draws."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Recovered", "ranked"]

Array = NDArray[np.float64]


class Recovered(NamedTuple):
    """One data set and its refit.

    Attributes
    ----------
    truth, rank, width : dict of str to float
        By quantity: what made the data, the share of the posterior below it, and the width of the
        95 % equal-tailed interval. Empty where the refit failed.
    failure : str
        Why it must not be used; empty where it may.
    """

    truth: dict[str, float]
    rank: dict[str, float]
    width: dict[str, float]
    failure: str

    @classmethod
    def failed(cls, why: str) -> Recovered:
        """Return that a refit cannot be used."""
        return cls({}, {}, {}, why)


def ranked(
    truth: Mapping[str, float],
    drawn: Mapping[str, Array],
    weight: Array,
    ess: float,
    rng: np.random.Generator,
) -> Recovered:
    """Return where weighted draws put the truth.

    Parameters
    ----------
    truth : mapping of str to float
        What made the data.
    drawn : mapping of str to array (draws,)
        Its posterior.
    weight : array (draws,)
        They sum to one.
    ess : float
        How many independent draws of equal weight they are worth.
    rng : Generator
        The random numbers.

    Returns
    -------
    Recovered

    Notes
    -----
    The rank of a parameter is the weight of the posterior below it, moved by a random share of the
    weight of one draw: of independent draws of equal weight such ranks are exactly uniform.
    """
    place = rng.uniform(size=len(drawn))
    return Recovered(
        dict(truth),
        {
            name: _rank(draws, truth[name], weight, ess, float(u))
            for (name, draws), u in zip(drawn.items(), place, strict=True)
        },
        {name: _width(draws, weight) for name, draws in drawn.items()},
        "",
    )


def _rank(draws: Array, truth: float, weight: Array, ess: float, place: float) -> float:
    # a rate can be 1 to the last digit on both sides
    below, same = weight[draws < truth].sum(), weight[draws == truth].sum()
    return float((ess * (below + place * same) + place) / (ess + 1.0))


def _width(draws: Array, weight: Array) -> float:
    order = np.argsort(draws)
    ends = np.searchsorted(np.cumsum(weight[order]), [0.025, 0.975])
    lower, upper = draws[order[np.minimum(ends, len(draws) - 1)]]
    return float(upper - lower)
