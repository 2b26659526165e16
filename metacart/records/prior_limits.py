"""Priors that are improper in all but name: proper on paper, beyond what a machine can hold."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from metacart.records.priors import Prior

__all__ = ["PLAIN", "no_limits"]

# forms of location and scale alone: limits as finite as their numbers, and no need for scipy
PLAIN = frozenset(
    [
        "Normal",
        "Cauchy",
        "Laplace",
        "Logistic",
        "Uniform",
        "HalfNormal",
        "HalfCauchy",
        "Exponential",
    ]
)
_APART = 1e30


def no_limits(prior: Prior) -> str:
    """Return what is wrong with a prior's 95 % interval, if a model cannot be computed over it.

    Parameters
    ----------
    prior : Prior

    Returns
    -------
    str
        Empty where all is well. Else the interval, where it reaches a bound of the prior as far as
        a machine can tell, or where limits above zero lie more than a factor of 1e30 apart.
    """
    if prior.name in PLAIN:
        return ""
    with np.errstate(all="ignore"):
        lower, upper = (float(end) for end in prior.quantile([0.025, 0.975]))
    if math.isnan(lower + upper):
        return "its 95 % interval cannot be computed"
    low, high = prior.bounds
    if low < lower and upper < high and not (low >= 0 and lower * _APART < upper):
        return ""
    return f"its 95 % interval runs from {lower:.2g} to {upper:.2g}"
