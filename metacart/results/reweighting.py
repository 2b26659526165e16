"""Draws under other weights: Pareto-smoothed importance weights, and rows of a table from them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metacart.inference.exact import PARETO_K

__all__ = ["describe_weighted", "limits_trusted", "mean_weighted", "smoothed_weights", "trusted"]

Array = NDArray[np.float64]

# of the share below a limit: that of a limit off by 5 % of an SD, where the density is normal
_LARGEST_ERROR = 0.003


def smoothed_weights(log_likelihood: Array, *, independent: bool) -> tuple[Array, float]:
    """Return the weights of draws without a part of the data, and the shape of their tail.

    Parameters
    ----------
    log_likelihood : array (chain, draw)
        Of the part that is left out.
    independent : bool
        Whether the draws are independent, as those of the exact engine.

    Returns
    -------
    weights : array (chain, draw)
        They sum to one.
    k_hat : float
        The Pareto shape of the largest weights; see `trusted`.

    Notes
    -----
    The weight of a draw is one over the likelihood of what is left out, its largest values
    replaced by the quantiles of a fitted Pareto distribution (Vehtari and others 2024).
    """
    import arviz as az
    import arviz_stats

    number = log_likelihood.size
    efficiency = 1.0
    if not independent:
        scaled = np.exp(log_likelihood - log_likelihood.max())
        found: Any = az.ess(scaled, method="mean")
        efficiency = float(np.clip(float(found) / number, 1.0 / number, 1.0))
    flat = log_likelihood.reshape(-1)
    log_weights, k_hat = arviz_stats.base.array_stats.psislw(flat, r_eff=efficiency)
    weights = np.exp(log_weights - log_weights.max())
    return (weights / weights.sum()).reshape(log_likelihood.shape), float(k_hat)


def trusted(k_hat: float, draws: int) -> bool:
    """Return whether so many draws with this tail say what they should.

    The limit is 0.7, and less below some 2,200 draws: 1 - 1 / log10(draws).
    """
    return bool(k_hat <= min(PARETO_K, 1.0 - 1.0 / math.log10(max(draws, 11))))


def limits_trusted(draws: Array, weights: Array, *, independent: bool = False) -> bool:
    """Return whether weighted draws say where the limits of their 95 % interval are.

    The tail of the weights alone does not: the limits may lie where few draws are. `independent`
    as for ``smoothed_weights``.
    """
    values, heights = _distribution(draws, weights)
    return all(
        _quantile_error(draws, weights, values, heights, p, independent)[1] <= _LARGEST_ERROR
        for p in (0.025, 0.975)
    )


def describe_weighted(
    draws: Array, weights: Array, *, trusted_only: bool = False, independent: bool = False
) -> dict[str, float]:
    """Return median, 95 % equal-tailed limits and their Monte Carlo errors of weighted draws.

    Parameters
    ----------
    draws, weights : array (chain, draw)
        The weights sum to one.
    trusted_only : bool
        Whether to return nothing where `limits_trusted` says no.
    independent : bool
        As for ``smoothed_weights``.

    Returns
    -------
    dict
        ``median``, ``lower``, ``upper``, ``mcse`` (of the median), ``mcse_lower``, ``mcse_upper``.

    Notes
    -----
    The error of a quantile q is that of the weighted share of draws below it, a ratio estimate,
    read off the weighted distribution function on both sides.
    """
    values, heights = _distribution(draws, weights)
    result: dict[str, float] = {}
    for name, error, probability in (
        ("lower", "mcse_lower", 0.025),
        ("upper", "mcse_upper", 0.975),
        ("median", "mcse", 0.5),
    ):
        middle, share = _quantile_error(draws, weights, values, heights, probability, independent)
        if trusted_only and name != "median" and share > _LARGEST_ERROR:
            return {}
        below, above = (_quantile(values, heights, probability + s) for s in (-share, share))
        result |= {name: middle, error: (above - below) / 2}
    return result


def _distribution(draws: Array, weights: Array) -> tuple[Array, Array]:
    """Return the draws in their order, and the share of the weights up to each."""
    order = np.argsort(draws, axis=None)
    return draws.reshape(-1)[order], np.cumsum(weights.reshape(-1)[order])


def _quantile_error(
    draws: Array,
    weights: Array,
    values: Array,
    heights: Array,
    probability: float,
    independent: bool,
) -> tuple[float, float]:
    """Return a quantile, and the Monte Carlo error of the share of the weights below it."""
    middle = _quantile(values, heights, probability)
    below = (draws <= middle).astype(np.float64)
    return middle, _error_about(below, weights, probability, independent)


def _quantile(values: Array, heights: Array, probability: float) -> float:
    at = np.searchsorted(heights, np.clip(probability, heights[0], heights[-1]))
    return float(values[at])


def mean_weighted(values: Array, weights: Array) -> tuple[float, float]:
    """Return the mean of weighted draws (chain, draw), and its Monte Carlo standard error."""
    mean = float(np.sum(weights * values))
    return mean, _error_about(values, weights, mean)


def _error_about(values: Array, weights: Array, centre: float, independent: bool = False) -> float:
    """Return the standard error of a weighted mean, a ratio estimate, near `centre`."""
    residual = weights * (values - centre)
    if np.ptp(residual) == 0.0:
        return 0.0
    if independent:
        return float(np.sqrt(np.sum(residual**2)))
    import arviz as az

    error: Any = az.mcse(weights.size * residual, method="mean")
    return float(error)
