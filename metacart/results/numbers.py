"""From draws to a row of a table: median, 95 % equal-tailed interval, Monte Carlo error."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["describe", "probability"]

Array = NDArray[np.float64]


def describe(draws: Array) -> dict[str, float]:
    """Return median, lower and upper limit of the 95 % equal-tailed interval, and MCSE.

    Parameters
    ----------
    draws : array (chain, draw)

    Returns
    -------
    dict
        ``median``, ``lower``, ``upper`` and ``mcse``, the Monte Carlo standard error of the
        median.
    """
    lower, median, upper = np.quantile(draws, [0.025, 0.5, 0.975])
    return {
        "median": float(median),
        "lower": float(lower),
        "upper": float(upper),
        "mcse": _error(draws, method="median"),
    }


def probability(events: NDArray[np.bool_]) -> dict[str, float]:
    """Return a posterior probability with its Monte Carlo standard error; it has no interval."""
    share = events.astype(np.float64)
    return {
        "median": float(share.mean()),
        "lower": np.nan,
        "upper": np.nan,
        "mcse": _error(share, method="mean"),
    }


def _error(draws: Array, *, method: str) -> float:
    import arviz as az

    if np.ptp(draws) == 0.0:
        return 0.0
    error: Any = az.mcse(draws, method=method)
    return float(error)
