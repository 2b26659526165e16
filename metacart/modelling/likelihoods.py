"""How a finding is observed, and on which scale: one frozen record a likelihood.

A new likelihood is one new entry of `LIKELIHOODS`, or of a mapping that a user passes to ``fit``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metacart.errors import Fault, InputError, nearest
from metacart.modelling import readers
from metacart.records.priors import Support
from metacart.records.spec import ModelSpec
from metacart.scales import SCALES, Scale

__all__ = ["LIKELIHOODS", "Likelihood", "Parameter", "find_likelihood"]

Array = NDArray[np.float64]
Data = Mapping[str, NDArray[Any]]
Parameters = Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a likelihood beside mu, beta and tau.

    Attributes
    ----------
    prior : str
        The default prior.
    support : {"real", "positive", "unit"}
        Where it lives.
    needed : callable
        From the data: whether any finding depends on it.
    identified : callable
        From the data: whether they say anything about it. Where they do not, it stays out of
        the graph and its prior is applied to the posterior draw by draw.
    """

    prior: str
    support: Support = "real"
    needed: Callable[[Data], bool] = lambda _: True
    identified: Callable[[Data], bool] = lambda _: True


@dataclass(frozen=True, slots=True, kw_only=True)
class Likelihood:
    """How a finding is observed.

    Attributes
    ----------
    name, title, formula : str
        The key, its words, and the distribution of one finding as a reader knows it.
    scales : tuple of str
        The model scales it allows, the default first.
    columns : tuple of str
        The columns that the evidence must have, in words.
    priors : mapping of str to mapping of str to str
        Default priors by scale and parameter; a scale without an entry has none.
    parameters : mapping of str to Parameter
        Parameters beside mu, beta and tau.
    contrast : bool
        Whether theta is a contrast of two groups (True) or the level of one arm.
    read : callable
        From (evidence, scale name): the arrays of the observed columns, each of length findings.
        Raises `InputError` with every fault.
    observe : callable
        From (name, eta, data, parameters, dims): adds the observed variable to the open model.
    logp : callable
        From (eta, data, parameters): the log likelihood of each finding; broadcasts over leading
        dimensions of eta.
    derivatives : callable
        From (eta, data, parameters): the first and second derivative of `logp` in eta. Minus the
        second is the information of a finding, from which come weights and I².
    simulate : callable
        From (eta, data, parameters, rng): one replicate of the observed variable.
    approximate : callable
        From data: estimate and sampling variance of each finding on the model scale, by a normal
        approximation. It sets how the sampler walks; never the posterior.
    crude : callable
        From (data, scale): estimate, lower and upper 95 % limit of each finding alone, on the
        natural scale.
    observed : str
        The observed column among `read`'s arrays.
    shift : callable
        From (data, parameters): what stands between theta and what is observed, eta - theta.
    """

    name: str
    title: str
    formula: str
    scales: tuple[str, ...]
    columns: tuple[str, ...]
    priors: Mapping[str, Mapping[str, str]]
    read: Callable[[Any, str], dict[str, NDArray[Any]]]
    observe: Callable[..., None]
    logp: Callable[[Array, Data, Parameters], Array]
    derivatives: Callable[[Array, Data, Parameters], tuple[Array, Array]]
    simulate: Callable[[Array, Data, Parameters, np.random.Generator], Array]
    approximate: Callable[[Data], tuple[Array, Array]]
    crude: Callable[[Data, Scale], tuple[Array, Array, Array]]
    observed: str
    contrast: bool = False
    parameters: Mapping[str, Parameter] = MappingProxyType({})
    shift: Callable[[Data, Parameters], Any] = lambda _data, _parameters: 0.0


# --- binomial -----------------------------------------------------------------------------------


def _observe_binomial(
    name: str, eta: Any, data: Mapping[str, Any], _parameters: Any, dims: str
) -> None:
    import pymc as pm

    pm.Binomial(name, n=data["total"], logit_p=eta, observed=data["events"], dims=dims)


def _logp_binomial(eta: Array, data: Data, _parameters: Parameters) -> Array:
    from scipy.special import gammaln

    y, n = data["events"], data["total"]
    constant = gammaln(n + 1) - gammaln(y + 1) - gammaln(n - y + 1)
    # log(1 + exp(eta)) in steps of which each is a vector instruction, as logaddexp is not
    softplus = np.maximum(eta, 0.0) + np.log1p(np.exp(-np.abs(eta)))
    result: Array = constant + y * eta - n * softplus
    return result


def _derivatives_binomial(eta: Array, data: Data, _parameters: Parameters) -> tuple[Array, Array]:
    p = SCALES["logit"].inverse(eta)
    n = data["total"]
    return data["events"] - n * p, -n * p * (1.0 - p)


def _simulate_binomial(
    eta: Array, data: Data, _parameters: Parameters, rng: np.random.Generator
) -> Array:
    return rng.binomial(data["total"], SCALES["logit"].inverse(eta)).astype(np.float64)


def _approximate_binomial(data: Data) -> tuple[Array, Array]:
    # half an event and half a non-event more, so that 0/n and n/n have a finite scale
    p = (data["events"] + 0.5) / (data["total"] + 1.0)
    return SCALES["logit"].link(p), 1.0 / ((data["total"] + 1.0) * p * (1.0 - p))


def _crude_counts(data: Data, _scale: Scale) -> tuple[Array, Array, Array]:
    """Clopper-Pearson: the exact interval of a binomial proportion."""
    from scipy.stats import beta

    y, n = data["events"].astype(float), data["total"].astype(float)
    with np.errstate(invalid="ignore"):
        lower = np.where(y > 0, beta.ppf(0.025, y, n - y + 1), 0.0)
        upper = np.where(y < n, beta.ppf(0.975, y + 1, n - y), 1.0)
    return y / n, lower, upper


# --- normal -------------------------------------------------------------------------------------


def _observe_normal(
    name: str, eta: Any, data: Mapping[str, Any], _parameters: Any, dims: str
) -> None:
    import pymc as pm

    pm.Normal(name, mu=eta, sigma=data["se"], observed=data["estimate"], dims=dims)


def _logp_normal(eta: Array, data: Data, _parameters: Parameters) -> Array:
    z = (data["estimate"] - eta) / data["se"]
    result: Array = -0.5 * z**2 - np.log(data["se"]) - 0.5 * np.log(2.0 * np.pi)
    return result


def _derivatives_normal(eta: Array, data: Data, _parameters: Parameters) -> tuple[Array, Array]:
    precision = data["se"] ** -2.0
    return (data["estimate"] - eta) * precision, np.broadcast_to(-precision, np.shape(eta))


def _simulate_normal(
    eta: Array, data: Data, _parameters: Parameters, rng: np.random.Generator
) -> Array:
    return rng.normal(eta, data["se"])


def _approximate_normal(data: Data) -> tuple[Array, Array]:
    return data["estimate"], data["se"] ** 2.0


def _crude_normal(data: Data, scale: Scale) -> tuple[Array, Array, Array]:
    half = 1.959963984540054 * data["se"]
    return (
        scale.inverse(data["estimate"]),
        scale.inverse(data["estimate"] - half),
        scale.inverse(data["estimate"] + half),
    )


def _crude_survival(data: Data, _scale: Scale) -> tuple[Array, Array, Array]:
    """As printed: the interval need not be symmetric on the model scale."""
    return data["survival"], data["lower"], data["upper"]


# --- the transplant question --------------------------------------------------------------------


def _shift_bias(data: Data, parameters: Parameters) -> Any:
    """Immortal time: observed = theta + b where the time before transplant was not handled."""
    if "bias" not in parameters:
        return 0.0
    return parameters["bias"] * data["biased"]


ARM_PRIORS = {"mu": "Normal(0, 1.5)", "beta": "Normal(0, 1)", "tau": "HalfNormal(1)"}
CONTRAST_PRIORS = {"mu": "Normal(0, 1.5)", "beta": "Normal(0, 1)", "tau": "HalfNormal(0.5)"}

_ENTRIES = (
    Likelihood(
        name="binomial",
        title="exact binomial counts of single arms",
        formula="events ~ Binomial(total, rate), logit(rate) = θ",
        scales=("logit",),
        columns=("events", "total"),
        priors={"logit": ARM_PRIORS},
        read=readers.read_counts,
        observe=_observe_binomial,
        logp=_logp_binomial,
        derivatives=_derivatives_binomial,
        simulate=_simulate_binomial,
        approximate=_approximate_binomial,
        crude=_crude_counts,
        observed="events",
    ),
    Likelihood(
        name="normal",
        title="estimates with standard errors",
        formula="estimate ~ Normal(θ, se)",
        scales=("identity", "log"),
        columns=("estimate and se", "or ratio, lower, upper"),
        priors={"log": CONTRAST_PRIORS},
        read=readers.read_estimates,
        observe=_observe_normal,
        logp=_logp_normal,
        derivatives=_derivatives_normal,
        simulate=_simulate_normal,
        approximate=_approximate_normal,
        crude=_crude_normal,
        observed="estimate",
        contrast=True,
    ),
    Likelihood(
        name="survival",
        title="Kaplan–Meier estimates at one time",
        formula="−log(−log S) ~ Normal(θ, se)",
        scales=("loglog",),
        columns=("survival, lower, upper",),
        priors={"loglog": ARM_PRIORS},
        read=readers.read_survival,
        observe=_observe_normal,
        logp=_logp_normal,
        derivatives=_derivatives_normal,
        simulate=_simulate_normal,
        approximate=_approximate_normal,
        crude=_crude_survival,
        observed="estimate",
    ),
    Likelihood(
        name="hsct",
        title="hazard ratios of transplant against none, with the bias of immortal time",
        formula="log hazard ratio ~ Normal(θ + b, se), b only where immortal time was not handled",
        scales=("log",),
        columns=("kind", "ratio, lower, upper", "time_handling"),
        priors={"log": CONTRAST_PRIORS},
        read=readers.read_transplant,
        observe=_observe_normal,
        logp=_logp_normal,
        derivatives=_derivatives_normal,
        simulate=_simulate_normal,
        approximate=_approximate_normal,
        crude=_crude_normal,
        observed="estimate",
        contrast=True,
        parameters={
            "bias": Parameter(
                prior="Normal(-0.45, 0.25)",
                needed=lambda data: bool(np.any(data["biased"] > 0)),
                identified=lambda data: bool(np.any(data["biased"] == 0)),
            )
        },
        shift=_shift_bias,
    ),
)

LIKELIHOODS: Mapping[str, Likelihood] = MappingProxyType({entry.name: entry for entry in _ENTRIES})


def find_likelihood(
    spec: ModelSpec, *, likelihoods: Mapping[str, Likelihood] | None = None
) -> Likelihood:
    """Return the likelihood that a spec names; refused by name with the nearest one."""
    known = LIKELIHOODS if likelihoods is None else likelihoods
    if not isinstance(known, Mapping):
        raise InputError(
            Fault(
                "likelihoods",
                f"a {type(known).__name__}",
                "a mapping of names to Likelihood",
                '{**LIKELIHOODS, "mine": ...}',
            )
        )
    if spec.likelihood not in known:
        raise InputError(
            Fault(
                "likelihood",
                f"'{spec.likelihood}' is not known",
                ", ".join(known),
                nearest(spec.likelihood, known),
            )
        )
    return known[spec.likelihood]
