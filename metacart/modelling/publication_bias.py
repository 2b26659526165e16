"""Estimates that were published by chance of their p, or that lean with their standard error.

PET and PEESE (Stanley and Doucouliagos 2014) let the mean rise with the standard error or its
square. A step function (Vevea and Hedges 1995) says how likely an estimate is published by its p.
Estimates are turned so that those above zero are the favoured ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["BIASES", "Bias", "publication_weights"]

Array = NDArray[np.float64]

_CELLS = 2_000_000  # draws times studies at once


@dataclass(frozen=True)
class Bias:
    """How what is published differs from what was found.

    Attributes
    ----------
    kind : {"none", "PET", "PEESE", "selection"}
        Nothing, the standard error, its square, or a step function of p.
    share : float
        Prior probability among the models with a bias.
    steps : tuple of float
        Values of p at which the chance of publication falls.
    sided : int
        Whether p is one-sided (1) or two-sided (2).
    """

    kind: str
    share: float = 1.0
    steps: tuple[float, ...] = ()
    sided: int = 1

    @property
    def words(self) -> str:
        """The steps in words; empty where there are none."""
        if not self.steps:
            return ""
        sides = "one-sided" if self.sided == 1 else "two-sided"
        return f"{sides} p: {', '.join(f'{step:g}' for step in self.steps)}"

    def log_likelihood(
        self,
        estimate: Array,
        se: Array,
        mu: Array,
        tau: Array,
        extra: Array,
    ) -> Array:
        """Return the log likelihood of all estimates at each draw.

        Parameters
        ----------
        estimate, se : array (studies,)
            Independent estimates with their standard errors.
        mu, tau : array (draws,)
            Mean and standard deviation of the studies' true effects.
        extra : array (draws, n)
            The coefficient of PET or PEESE; or the weights of `publication_weights`; else n = 0.

        Returns
        -------
        array (draws,)
            With all constants.
        """
        step = max(1, _CELLS // len(estimate))
        parts = [
            self._one_block(estimate, se, mu[at], tau[at], extra[at])
            for at in (slice(n, n + step) for n in range(0, len(mu), step))
        ]
        return np.concatenate(parts)

    def _one_block(self, estimate: Array, se: Array, mu: Array, tau: Array, extra: Array) -> Array:
        mean = mu[:, None]
        if self.kind == "PET":
            mean = mean + extra * se
        elif self.kind == "PEESE":
            mean = mean + extra * se**2
        spread = np.hypot(se, tau[:, None])
        z = (estimate - mean) / spread
        log_density = -0.5 * z**2 - np.log(spread) - 0.5 * np.log(2.0 * np.pi)
        if self.kind == "selection":
            log_density = log_density + self._selected(estimate, se, mean, spread, extra)
        return np.asarray(log_density.sum(axis=1))

    def _selected(
        self, estimate: Array, se: Array, mean: Array, spread: Array, weights: Array
    ) -> Array:
        """Log of each estimate's own weight over the mean weight of what could have been found."""
        from scipy.special import ndtr, ndtri

        cuts = -ndtri(np.asarray(self.steps) / self.sided)  # of z, falling
        z = estimate / se if self.sided == 1 else np.abs(estimate) / se
        log_own = np.log(weights)[:, (z[:, None] <= cuts).sum(axis=1)]
        chance = np.repeat(weights[:, -1:], len(estimate), axis=1)
        for n, cut in enumerate(cuts):
            beyond = ndtr((mean - cut * se) / spread)
            if self.sided == 2:
                beyond = beyond + ndtr((-cut * se - mean) / spread)
            chance = chance + (weights[:, n] - weights[:, n + 1])[:, None] * beyond
        return np.asarray(log_own - np.log(chance))


def publication_weights(uniform: Array) -> Array:
    """Return weights that fall from one step of p to the next, uniform over all such weights.

    Parameters
    ----------
    uniform : array (draws, steps)
        Numbers between 0 and 1; where they are uniform, the falls between the weights are
        Dirichlet(1, ..., 1).

    Returns
    -------
    array (draws, steps + 1)
        The first, of the smallest p, is 1.
    """
    steps = uniform.shape[1]
    factors = uniform ** (1.0 / np.arange(steps, 0, -1))
    return np.concatenate([np.ones((len(uniform), 1)), np.cumprod(factors, axis=1)], axis=1)


def _selection(sided: int, *steps: float) -> Bias:
    return Bias("selection", 1.0 / 12.0, steps, sided)


# the ensemble RoBMA-PSMA of Bartoš and others (2023), with its prior probabilities
BIASES: Mapping[str, tuple[Bias, ...]] = {
    "none": (Bias("none"),),
    "PET": (Bias("PET", 0.25),),
    "PEESE": (Bias("PEESE", 0.25),),
    "selection": (
        _selection(2, 0.05),
        _selection(2, 0.05, 0.1),
        _selection(1, 0.05),
        _selection(1, 0.025, 0.05),
        _selection(1, 0.05, 0.5),
        _selection(1, 0.025, 0.05, 0.5),
    ),
}
