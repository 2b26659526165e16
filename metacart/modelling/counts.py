"""Counts of single arms: binomial, and beta-binomial with overdispersion between arms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from metacart.modelling.arms import logit_density
from metacart.modelling.likelihood import Array, Data, Parameters
from metacart.modelling.nodes import add_counts
from metacart.scales import SCALES, Scale

__all__ = [
    "LEAST_RHO",
    "approximate_binomial",
    "crude_counts",
    "derivatives_beta_binomial",
    "derivatives_binomial",
    "draw_rates",
    "log_choose_of",
    "logp_beta_binomial",
    "logp_binomial",
    "observe_beta_binomial",
    "observe_binomial",
    "rates_below",
    "simulate_beta_binomial",
    "simulate_binomial",
]

# below it a beta-binomial is a binomial, and differences of logarithms of gamma lose their digits
LEAST_RHO = 1e-8


def observe_binomial(
    name: str, eta: Any, data: Mapping[str, Any], _parameters: Any, dims: str
) -> None:
    """Add the events to the open model."""
    add_counts(name, eta, data["events"], data["total"], dims)


def logp_binomial(eta: Array, data: Data, _parameters: Parameters) -> Array:
    """Return the log probability of the events."""
    return np.asarray(log_choose_of(data) + logit_density(eta, data["events"], data["total"]))


def log_choose_of(data: Data) -> Array:
    """Return the log of the binomial coefficient."""
    from scipy.special import gammaln

    y, n = data["events"], data["total"]
    return np.asarray(gammaln(n + 1) - gammaln(y + 1) - gammaln(n - y + 1))


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


# --- beta-binomial ------------------------------------------------------------------------------


def _shapes(eta: Array, parameters: Parameters) -> tuple[Array, Array]:
    """Return the two parameters of the beta distribution of an arm's rate."""
    rho = np.clip(parameters["rho"], LEAST_RHO, 1.0 - LEAST_RHO)
    size, inverse = (1.0 - rho) / rho, SCALES["logit"].inverse
    tiny = 1e-100  # its trigamma is still a number
    return np.maximum(size * inverse(eta), tiny), np.maximum(size * inverse(-eta), tiny)


def observe_beta_binomial(
    name: str, eta: Any, data: Mapping[str, Any], parameters: Mapping[str, Any], dims: str | None
) -> None:
    """Add the events to the open model."""
    import pymc as pm

    size = (1.0 - parameters["rho"]) / parameters["rho"]
    pm.BetaBinomial(
        name,
        n=data["total"],
        alpha=size * pm.math.sigmoid(eta),
        beta=size * pm.math.sigmoid(-eta),
        observed=data["events"],
        dims=dims,
    )


def logp_beta_binomial(eta: Array, data: Data, parameters: Parameters) -> Array:
    """Return the log probability of the events."""
    from scipy.special import gammaln

    y, n = data["events"], data["total"]
    alpha, beta = _shapes(eta, parameters)
    constant = gammaln(n + 1) - gammaln(y + 1) - gammaln(n - y + 1)
    rises = ((alpha, y), (beta, n - y), (alpha + beta, n))
    event, other, both = (gammaln(start + number) - gammaln(start) for start, number in rises)
    return np.asarray(constant + event + other - both)


def derivatives_beta_binomial(
    eta: Array, data: Data, parameters: Parameters
) -> tuple[Array, Array]:
    """Return the first and second derivative of `logp_beta_binomial` in eta."""
    from scipy.special import digamma, polygamma

    y, rest = data["events"], data["total"] - data["events"]
    alpha, beta = _shapes(eta, parameters)
    turn = alpha * beta / (alpha + beta)  # of alpha with eta; beta turns the other way
    lean = (beta - alpha) / (alpha + beta)
    slope = digamma(alpha + y) - digamma(alpha) - digamma(beta + rest) + digamma(beta)
    bend = polygamma(1, alpha + y) - polygamma(1, alpha)
    bend = bend + polygamma(1, beta + rest) - polygamma(1, beta)
    return turn * slope, turn * lean * slope + turn**2 * bend


def draw_rates(
    eta: Array, rho: Array, rng: np.random.Generator, *, data: Data | None = None
) -> Array:
    """Return the rates of arms of means g⁻¹(eta): of new ones, or given their counts."""
    alpha, beta = _shapes(eta, {"rho": rho})
    if data is not None:
        alpha, beta = alpha + data["events"], beta + data["total"] - data["events"]
    return rng.beta(alpha, beta)


def rates_below(eta: Array, rho: Array, share: Array) -> Array:
    """Return quantiles of the rates of arms of means g⁻¹(eta), short of 0 and 1."""
    from scipy.special import betaincinv

    alpha, beta = _shapes(eta, {"rho": rho})
    tiny = np.finfo(np.float64).tiny
    rates = betaincinv(alpha, beta, share)
    return np.asarray(np.clip(rates, tiny, np.nextafter(1.0, 0.0)))


def simulate_beta_binomial(
    eta: Array, data: Data, parameters: Parameters, rng: np.random.Generator
) -> Array:
    """Return events drawn anew."""
    return rng.binomial(data["total"], draw_rates(eta, parameters["rho"], rng)).astype(np.float64)
