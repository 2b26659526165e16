"""How far the effect of each study is centred for the sampler; never what its posterior is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from metacart.records.priors import Prior

__all__ = ["centring_of"]

Array = NDArray[np.float64]


def centring_of(
    estimate: Array, variance: Array, x: Array, group: NDArray[np.int64], prior: Prior
) -> Array:
    """Return the centring of each study's effect, 0 non-centred to 1 centred.

    Parameters
    ----------
    estimate, variance : array (findings,)
        On the model scale, by a normal approximation.
    x : array (findings, coefficients)
        What shifts their mean.
    group : array of int (findings,)
        The study of each, from 0.
    prior : Prior
        Of tau.

    Notes
    -----
    t² / (t² + 4 v), with the study's within-study variance v and a moment estimate t of tau, at
    most the prior's median. A centring by the prior alone diverges where tau is small.
    """
    typical = min(_moment_estimate(estimate, variance, x), float(prior.quantile(0.5)) ** 2)
    precision = np.bincount(group, 1.0 / variance, minlength=int(group.max()) + 1)
    return np.asarray(typical / (typical + 4.0 / precision))


def _moment_estimate(estimate: Array, variance: Array, x: Array) -> float:
    """Return tau² by the method of moments (DerSimonian and Laird 1986), with moderators."""
    columns = np.column_stack([np.ones(estimate.size), x])
    weights = np.diag(1.0 / variance)
    hat = weights @ columns @ np.linalg.pinv(columns.T @ weights @ columns) @ columns.T @ weights
    residual = weights - hat
    spare = estimate.size - np.linalg.matrix_rank(columns)
    if spare < 1:
        return 0.0
    return max(0.0, float((estimate @ residual @ estimate - spare) / np.trace(residual)))
