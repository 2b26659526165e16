"""From draws to a row of a table: median, 95 % equal-tailed interval, Monte Carlo error."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from metacart.records.priors import Prior

__all__ = ["describe", "limit_errors", "probability", "share_of_prior"]

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


def limit_errors(draws: Array) -> dict[str, float]:
    """Return the Monte Carlo standard errors of the two limits of the interval.

    Parameters
    ----------
    draws : array (chain, draw)

    Returns
    -------
    dict
        ``mcse_lower`` and ``mcse_upper``.
    """
    return {
        name: _error(draws, method="quantile", prob=prob)
        for name, prob in (("mcse_lower", 0.025), ("mcse_upper", 0.975))
    }


def share_of_prior(posterior: Array, prior: Prior | Array) -> float:
    """Return the width of the posterior's 95 % interval as a share of the prior's.

    Parameters
    ----------
    posterior : array
        Draws, of any shape.
    prior : Prior or array
        Its formula where that is known, else draws of it.
    """
    ends = [0.025, 0.975]
    limits = prior.quantile(ends) if isinstance(prior, Prior) else np.quantile(prior, ends)
    return float(np.ptp(np.quantile(posterior, ends)) / np.ptp(limits))


def probability(events: NDArray[np.bool_]) -> dict[str, float]:
    """Return a posterior probability with its Monte Carlo standard error; it has no interval."""
    share = events.astype(np.float64)
    return {
        "median": float(share.mean()),
        "lower": np.nan,
        "upper": np.nan,
        "mcse": _error(share, method="mean"),
    }


def _error(draws: Array, *, method: str, **options: float) -> float:
    import arviz as az

    if np.ptp(draws) == 0.0:
        return 0.0
    error: Any = az.mcse(draws, method=method, **options)
    return float(error)
