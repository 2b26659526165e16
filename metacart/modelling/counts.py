"""Counts of single arms: binomial."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from metacart.modelling.arms import logit_density
from metacart.modelling.likelihood import Array, Data, Parameters
from metacart.scales import SCALES, Scale

__all__ = [
    "approximate_binomial",
    "crude_counts",
    "derivatives_binomial",
    "logp_binomial",
    "observe_binomial",
    "simulate_binomial",
]


def observe_binomial(
    name: str, eta: Any, data: Mapping[str, Any], _parameters: Any, dims: str
) -> None:
    """Add the events to the open model."""
    import pymc as pm

    pm.Binomial(name, n=data["total"], logit_p=eta, observed=data["events"], dims=dims)


def logp_binomial(eta: Array, data: Data, _parameters: Parameters) -> Array:
    """Return the log probability of the events."""
    from scipy.special import gammaln

    y, n = data["events"], data["total"]
    constant = gammaln(n + 1) - gammaln(y + 1) - gammaln(n - y + 1)
    return np.asarray(constant + logit_density(eta, y, n))


def derivatives_binomial(eta: Array, data: Data, _parameters: Parameters) -> tuple[Array, Array]:
    """Return the first and second derivative of `logp_binomial`."""
    p = SCALES["logit"].inverse(eta)
    n = data["total"]
    return data["events"] - n * p, -n * p * (1.0 - p)


def simulate_binomial(
    eta: Array, data: Data, _parameters: Parameters, rng: np.random.Generator
) -> Array:
    """Return events drawn anew."""
    return rng.binomial(data["total"], SCALES["logit"].inverse(eta)).astype(np.float64)


def approximate_binomial(data: Data) -> tuple[Array, Array]:
    """Return log odds and their variance, with half an event more on either side."""
    # half an event and half a non-event more, so that 0/n and n/n have a finite scale
    p = (data["events"] + 0.5) / (data["total"] + 1.0)
    return SCALES["logit"].link(p), 1.0 / ((data["total"] + 1.0) * p * (1.0 - p))


def crude_counts(data: Data, _scale: Scale) -> tuple[Array, Array, Array]:
    """Clopper-Pearson: the exact interval of a binomial proportion."""
    from scipy.stats import beta

    y, n = data["events"].astype(float), data["total"].astype(float)
    with np.errstate(invalid="ignore"):
        lower = np.where(y > 0, beta.ppf(0.025, y, n - y + 1), 0.0)
        upper = np.where(y < n, beta.ppf(0.975, y + 1, n - y), 1.0)
    return y / n, lower, upper
