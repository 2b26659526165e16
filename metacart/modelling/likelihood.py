"""What a likelihood is: how a finding is observed, and on which scale."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metacart.records.priors import Prior, Support
from metacart.records.spec import RandomEffects
from metacart.scales import Scale

__all__ = ["Array", "Data", "Likelihood", "Parameter", "Parameters", "Priors"]

Array = NDArray[np.float64]
Data = Mapping[str, NDArray[Any]]
Parameters = Mapping[str, Array]
Priors = Mapping[str, Prior]


# named, since a function without a name cannot travel to another process


def _always(_data: Data) -> bool:
    return True


def _no_shift(_data: Data, _parameters: Parameters) -> Any:
    return 0.0


def _nothing(*_: Any) -> dict[str, Array]:
    return {}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a likelihood beside mu, beta and tau.

    Attributes
    ----------
    prior : str
        The default prior.
    support : {"real", "positive", "unit"}
        Where it lives.
    each : bool
        Whether each finding has its own, independent of the others given theta. It is a vector in
        the graph; ``logp`` and ``derivatives`` have it integrated out.
    needed : callable
        From the data: whether any finding depends on it.
    identified : callable
        From the data: whether they say anything about it. Where they do not, it stays out of
        the graph and its prior is applied to the posterior draw by draw.
    """

    prior: str
    support: Support = "real"
    each: bool = False
    needed: Callable[[Data], bool] = _always
    identified: Callable[[Data], bool] = _always


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
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
    per : str
        The column by which the observed counts are divided to stand on the natural scale: the
        patients of an arm, the time at risk. Empty where what is observed stands on the model
        scale.
    quantity : str
        What theta is on the natural scale, such as ``infections per patient-year``; empty where
        the words of the scale say it.
    contrast : bool
        Whether theta is a contrast of two groups (True) or the level of one arm. Of groups on the
        logit or cloglog scale it is a log ratio.
    random_effects : tuple of str
        Distributions of the study effects that it allows, the default first.
    within : tuple of str
        Distributions of the study effects beside which each finding may have one of its own.
    tau_by : tuple of str
        Distributions of the study effects whose tau may differ by a moderator.
    spreads : bool
        Whether arms scatter around theta by a parameter of its own: from one arm a study that
        and a study effect cannot be told apart.
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
    replicate : callable
        From (eta, data, parameters, rng): the arrays of one replicate that hang on the draw beside
        the observed one, or with it; where ``simulate`` does not say all that ``logp`` needs.
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
    prepare : callable
        From (data, priors): further arrays for ``logp`` and ``derivatives``, of length findings
        along their first axis; where parameters of each finding are integrated out.
    draw : callable
        From (eta, data, priors, rng): the parameters of each finding given eta, as arrays
        (draws, findings).
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
    per: str = ""
    quantity: str = ""
    contrast: bool = False
    random_effects: tuple[RandomEffects, ...] = ("normal", "student_t", "none")
    within: tuple[RandomEffects, ...] = ()
    tau_by: tuple[RandomEffects, ...] = ()
    spreads: bool = False
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    replicate: (
        Callable[[Array, Data, Parameters, np.random.Generator], dict[str, NDArray[Any]]] | None
    ) = None
    shift: Callable[[Data, Parameters], Any] = _no_shift
    prepare: Callable[[Data, Priors], dict[str, Array]] = _nothing
    draw: Callable[[Array, Data, Priors, np.random.Generator], dict[str, Array]] = _nothing

    def __repr__(self) -> str:
        return f"Likelihood({self.name!r}: {self.title})"

    @property
    def shared(self) -> tuple[str, ...]:
        """The names of its parameters that all findings share."""
        return tuple(name for name, own in self.parameters.items() if not own.each)

    def drawn_anew(
        self, eta: Array, data: Data, parameters: Parameters, rng: np.random.Generator
    ) -> dict[str, NDArray[Any]]:
        """Return the data of one replicate, with all that ``logp`` reads but what is prepared."""
        if self.replicate is None:
            return {**data, self.observed: self.simulate(eta, data, parameters, rng)}
        return {**data, **self.replicate(eta, data, parameters, rng)}
