"""The distributions that a prior may name: parameters, bounds, and a twin of each.

The twins are scipy's, but for the half-t, which it lacks, and for the two that are asked most
often: scipy takes longer to look at what it is asked than to answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

__all__ = ["BOUNDS", "PRIORS", "PriorForm", "Support"]

Support = Literal["real", "positive", "unit"]
BOUNDS: dict[str, tuple[float, float]] = {
    "real": (-math.inf, math.inf),
    "positive": (0.0, math.inf),
    "unit": (0.0, 1.0),
}


@dataclass(frozen=True, slots=True)
class PriorForm:
    """A distribution that a prior may name: PyMC's name, its parameters and scipy's twin."""

    parameters: tuple[str, ...]
    positive: frozenset[str]
    bounds: Callable[..., tuple[float, float]]
    frozen: Callable[..., Any]
    example: str


def _form(
    parameters: str,
    positive: str,
    support: Support | Callable[..., tuple[float, float]],
    frozen: Callable[..., Any],
    example: str,
) -> PriorForm:
    bounds = support if callable(support) else lambda *_: BOUNDS[support]
    return PriorForm(
        tuple(parameters.split()), frozenset(positive.split()), bounds, frozen, example
    )


def _stats() -> Any:
    from scipy import stats

    return stats


def _special() -> Any:
    from scipy import special

    return special


# Parameters stand in PyMC's order and under PyMC's names.
PRIORS: dict[str, PriorForm] = {
    "Normal": _form("mu sigma", "sigma", "real", lambda m, s: _Normal(m, s), "Normal(0, 1.5)"),
    "StudentT": _form(
        "nu mu sigma", "nu sigma", "real", lambda n, m, s: _stats().t(n, m, s), "StudentT(4, 0, 1)"
    ),
    "Cauchy": _form(
        "alpha beta", "beta", "real", lambda a, b: _stats().cauchy(a, b), "Cauchy(0, 1)"
    ),
    "Laplace": _form("mu b", "b", "real", lambda m, b: _stats().laplace(m, b), "Laplace(0, 1)"),
    "Logistic": _form("mu s", "s", "real", lambda m, s: _stats().logistic(m, s), "Logistic(0, 1)"),
    "TruncatedNormal": _form(
        "mu sigma lower upper",
        "sigma",
        lambda _m, _s, lower, upper: (lower, upper),
        lambda m, s, lo, up: _stats().truncnorm((lo - m) / s, (up - m) / s, m, s),
        "TruncatedNormal(0, 1, 0, 5)",
    ),
    "Uniform": _form(
        "lower upper",
        "",
        lambda lower, upper: (lower, upper),
        lambda lo, up: _stats().uniform(lo, up - lo),
        "Uniform(0, 5)",
    ),
    "HalfNormal": _form("sigma", "sigma", "positive", lambda s: _HalfNormal(s), "HalfNormal(1)"),
    "HalfStudentT": _form(
        "nu sigma", "nu sigma", "positive", lambda n, s: _HalfT(n, s), "HalfStudentT(4, 0.5)"
    ),
    "HalfCauchy": _form(
        "beta", "beta", "positive", lambda b: _stats().halfcauchy(0, b), "HalfCauchy(0.5)"
    ),
    "Exponential": _form(
        "lam", "lam", "positive", lambda r: _stats().expon(0, 1 / r), "Exponential(1)"
    ),
    "Gamma": _form(
        "alpha beta",
        "alpha beta",
        "positive",
        lambda a, b: _stats().gamma(a, 0, 1 / b),
        "Gamma(2, 2)",
    ),
    "InverseGamma": _form(
        "alpha beta",
        "alpha beta",
        "positive",
        lambda a, b: _stats().invgamma(a, 0, b),
        "InverseGamma(2.91, 0.66)",
    ),
    "LogNormal": _form(
        "mu sigma",
        "sigma",
        "positive",
        lambda m, s: _stats().lognorm(s, 0, np.exp(m)),
        "LogNormal(-1.97, 0.76)",
    ),
    "Weibull": _form(
        "alpha beta",
        "alpha beta",
        "positive",
        lambda a, b: _stats().weibull_min(a, 0, b),
        "Weibull(2, 1)",
    ),
    "Beta": _form(
        "alpha beta", "alpha beta", "unit", lambda a, b: _stats().beta(a, b), "Beta(1, 5)"
    ),
}


class _Normal:
    """The normal distribution, of one chain of random numbers with scipy's."""

    def __init__(self, mu: float, sigma: float) -> None:
        self._mu, self._sigma = mu, sigma

    def logpdf(self, x: Any) -> Any:
        height = -math.log(self._sigma * math.sqrt(math.tau))
        return height - 0.5 * ((np.asarray(x) - self._mu) / self._sigma) ** 2

    def cdf(self, x: Any) -> Any:
        return _special().ndtr((np.asarray(x) - self._mu) / self._sigma)

    def ppf(self, q: Any) -> Any:
        return self._mu + self._sigma * _special().ndtri(q)

    def rvs(self, size: Any, random_state: np.random.Generator) -> Any:
        return self._mu + self._sigma * random_state.standard_normal(size)


class _HalfNormal:
    """The half-normal distribution, of one chain of random numbers with scipy's."""

    def __init__(self, sigma: float) -> None:
        self._sigma = sigma

    def logpdf(self, x: Any) -> Any:
        height, x = 0.5 * math.log(2.0 / math.pi) - math.log(self._sigma), np.asarray(x)
        return np.where(x >= 0, height - 0.5 * (x / self._sigma) ** 2, -np.inf)

    def cdf(self, x: Any) -> Any:
        return _special().erf(np.maximum(x, 0.0) / (self._sigma * math.sqrt(2.0)))

    def ppf(self, q: Any) -> Any:
        return self._sigma * _special().ndtri((1.0 + np.asarray(q)) / 2.0)

    def rvs(self, size: Any, random_state: np.random.Generator) -> Any:
        return self._sigma * np.abs(random_state.standard_normal(size))


class _HalfT:
    """The half-t, which scipy lacks: |T| for a Student t of scale `sigma`."""

    def __init__(self, nu: float, sigma: float) -> None:
        self._t = _stats().t(nu, 0, sigma)

    def logpdf(self, x: Any) -> Any:
        return np.where(np.asarray(x) >= 0, math.log(2.0) + self._t.logpdf(x), -np.inf)

    def ppf(self, q: Any) -> Any:
        return self._t.ppf((1 + np.asarray(q)) / 2)

    def rvs(self, size: Any = None, random_state: Any = None) -> Any:
        return np.abs(self._t.rvs(size=size, random_state=random_state))
