"""Estimates with standard errors: normal on the model scale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from metacart.modelling.likelihood import Array, Data, Parameters
from metacart.scales import Scale

__all__ = [
    "approximate_normal",
    "crude_normal",
    "crude_survival",
    "derivatives_normal",
    "logp_normal",
    "observe_normal",
    "simulate_normal",
]


def observe_normal(
    name: str, eta: Any, data: Mapping[str, Any], _parameters: Any, dims: str | None
) -> None:
    """Add the estimates to the open model."""
    import pymc as pm

    pm.Normal(name, mu=eta, sigma=data["se"], observed=data["estimate"], dims=dims)


def logp_normal(eta: Array, data: Data, _parameters: Parameters) -> Array:
    """Return the log density of the estimates."""
    z = (data["estimate"] - eta) / data["se"]
    result: Array = -0.5 * z**2 - np.log(data["se"]) - 0.5 * np.log(2.0 * np.pi)
    return result


def derivatives_normal(eta: Array, data: Data, _parameters: Parameters) -> tuple[Array, Array]:
    """Return the first and second derivative of `logp_normal`."""
    precision = data["se"] ** -2.0
    return (data["estimate"] - eta) * precision, np.broadcast_to(-precision, np.shape(eta))


def simulate_normal(
    eta: Array, data: Data, _parameters: Parameters, rng: np.random.Generator
) -> Array:
    """Return estimates drawn anew."""
    return rng.normal(eta, data["se"])


def approximate_normal(data: Data) -> tuple[Array, Array]:
    """Return estimates and variances as they are."""
    return data["estimate"], data["se"] ** 2.0


def crude_normal(data: Data, scale: Scale) -> tuple[Array, Array, Array]:
    """Return each estimate with its normal 95 % interval, on the natural scale."""
    half = 1.959963984540054 * data["se"]
    return (
        scale.inverse(data["estimate"]),
        scale.inverse(data["estimate"] - half),
        scale.inverse(data["estimate"] + half),
    )


def crude_survival(data: Data, _scale: Scale) -> tuple[Array, Array, Array]:
    """As printed: the interval need not be symmetric on the model scale."""
    return data["survival"], data["lower"], data["upper"]
