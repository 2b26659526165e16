"""Models weighted by their marginal likelihoods: probabilities, Bayes factors, mixed draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Inclusion", "Weighing", "describe_mixture"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


class Inclusion(NamedTuple):
    """What the data say about models that have something against those that do not.

    Attributes
    ----------
    prior, posterior : float
        Probability of having it.
    bayes_factor : float
        Posterior odds over prior odds; missing where no model has it, or each.
    error : float
        Monte Carlo standard error of the log of the Bayes factor.
    """

    prior: float
    posterior: float
    bayes_factor: float
    error: float


class Weighing(NamedTuple):
    """Models with their marginal likelihoods and prior weights.

    Attributes
    ----------
    log_marginal_likelihood, error : array (models,)
        With the Monte Carlo standard errors.
    weight : array (models,)
        Prior probabilities, up to a factor.
    """

    log_marginal_likelihood: Array
    error: Array
    weight: Array

    @property
    def prior(self) -> Array:
        """Prior probabilities."""
        return np.asarray(self.weight / self.weight.sum())

    @property
    def posterior(self) -> Array:
        """Posterior probabilities."""
        mass = np.exp(self._log_mass - self._log_mass.max())
        return np.asarray(mass / mass.sum())

    @property
    def _log_mass(self) -> Array:
        return np.asarray(self.log_marginal_likelihood + np.log(self.prior))

    def among(self, some: Mask) -> Weighing:
        """Return some of the models alone."""
        return Weighing(*(values[some] for values in self))

    def inclusion(self, has: Mask) -> Inclusion:
        """Return how the models of `has` stand against the others."""
        from scipy.special import logsumexp

        prior, posterior = float(self.prior[has].sum()), float(self.posterior[has].sum())
        if has.all() or not has.any():
            return Inclusion(prior, posterior, np.nan, np.nan)
        log_odds, variance = 0.0, 0.0
        for side, sign in ((has, 1.0), (~has, -1.0)):
            whole = float(logsumexp(self._log_mass[side]))
            log_odds += sign * (whole - float(np.log(self.prior[side].sum())))
            share = np.exp(self._log_mass[side] - whole)
            variance += float(np.sum((share * self.error[side]) ** 2))
        with np.errstate(over="ignore"):
            return Inclusion(prior, posterior, float(np.exp(log_odds)), float(np.sqrt(variance)))


def describe_mixture(
    draws: Sequence[Array],
    weights: Sequence[Array],
    probability: Array,
    error: Array,
) -> dict[str, float]:
    """Return median and 95 % equal-tailed limits of a mixture of models, with Monte Carlo errors.

    Parameters
    ----------
    draws, weights : sequence of array (draws,)
        Independent draws of each model; its weights sum to one.
    probability : array (models,)
        Of each model; they sum to one.
    error : array (models,)
        Monte Carlo standard error of the log marginal likelihood of each model.

    Returns
    -------
    dict
        ``median``, ``lower``, ``upper``, ``mcse`` (of the median), ``mcse_lower``, ``mcse_upper``.

    Notes
    -----
    The error of a quantile is that of the share of the mixture below it, from the draws and from
    the probabilities, read off the distribution function on both sides.
    """
    number = [len(each) for each in draws]
    values = np.concatenate(draws)
    share = np.concatenate([p * w for p, w in zip(probability, weights, strict=True)])
    order = np.argsort(values, kind="stable")
    ordered, heights = values[order], np.cumsum(share[order])
    ends = np.cumsum([0, *number])

    def quantile(at: float) -> float:
        place = np.searchsorted(heights, np.clip(at, 0.0, heights[-1]))
        return float(ordered[min(place, len(ordered) - 1)])

    def error_of_share(limit: float) -> float:
        below = values <= limit
        own = np.array(
            [
                float(w @ below[start:stop])
                for w, start, stop in zip(weights, ends[:-1], ends[1:], strict=True)
            ]
        )
        mean = float(probability @ own)
        sampled = sum(
            p**2 * float(np.sum((w * (below[start:stop] - f)) ** 2))
            for p, w, f, start, stop in zip(
                probability, weights, own, ends[:-1], ends[1:], strict=True
            )
        )
        weighed = float(np.sum((probability * (own - mean) * error) ** 2))
        return float(np.sqrt(sampled + weighed))

    found: dict[str, float] = {}
    for name, of, at in (
        ("median", "mcse", 0.5),
        ("lower", "mcse_lower", 0.025),
        ("upper", "mcse_upper", 0.975),
    ):
        found[name] = quantile(at)
        apart = error_of_share(found[name])
        found[of] = (quantile(at + apart) - quantile(at - apart)) / 2.0
    return found
