"""What a system is: a likelihood of several means, which no single mu stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from metacart.modelling.likelihood import Array, Parameter, Priors
from metacart.records.spec import ModelSpec, RandomEffects

if TYPE_CHECKING:
    import pandas as pd
    import pymc as pm
    import xarray as xr

__all__ = ["Average", "Split", "System"]

# from (linear predictor, tau): the mean over normal study effects of the rate there
Average = Callable[[Array, Array], Array]


# named, since a function without a name cannot travel to another process
def _nothing(*_: Any) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True, slots=True)
class Split:
    """How a system falls into analyses that know nothing of each other.

    Attributes
    ----------
    by : str
        The column whose levels part the rows of the evidence; also the dimension of mu and tau.
    likelihood : str
        The `Likelihood` of each part.
    """

    by: str
    likelihood: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class System:
    """A likelihood of several outcomes, stages or grades: it has no single mu.

    It stands beside `Likelihood` in the same mapping, and ``fit``, ``summarize``, ``diagnostics``,
    ``predictive_checks``, ``save_fit`` and the page take it; a verb about the one mean of a
    `Likelihood` refuses it by name. To add one: write these callables in a module of its own,
    put the entry into `LIKELIHOODS`, and let it pass the gauntlet of ``tests/test_systems.py``.

    Attributes
    ----------
    name, title, formula : str
        The key, its words, and the distribution of one finding as a reader knows it.
    scales : tuple of str
        The model scale of its rates, the default first.
    columns : tuple of str
        The columns that the evidence must have, in words.
    parameters : mapping of str to Parameter
        Parameters whose prior a spec may state, with the default: one and the same prior for
        each outcome, stage or grade.
    random_effects : tuple of str
        Distributions of the study effects that it allows, the default first.
    instead : str
        What to use where a verb about one mean refuses it.
    read : callable
        From (evidence, spec): the arrays of the design, along ``finding`` or as (dims, array), and
        the labels of further dimensions. Raises `InputError` with every fault.
    build : callable
        From (design, priors): the PyMC model, its observed variables on ``pm.Data``.
    draw_prior : callable
        From (design, priors, number, rng): what `build` samples, drawn from the prior, with dims
        ``chain`` (one) and ``draw``.
    complete : callable
        From (sample, design, seed): the parameters that a fit keeps, and what follows from them,
        such as ``theta_new`` of the next study.
    estimands : callable
        From (completed sample, design, average): all that is reported of it, on the natural scale,
        each with dims ``chain``, ``draw`` and at most one more, whose labels tell the rows apart.
        An array with ``attrs["scale"]`` is judged on that scale by the convergence gate.
    log_prior : callable
        From (sample, design): the log density of priors that no spec states.
    log_likelihood : callable
        From (completed sample, design): of each finding given its effects (chain, draw, finding),
        and of each study with its effects integrated out (chain, draw, study).
    replicate : callable
        From (completed sample, design, rng): the observed column drawn anew, the effects of each
        study as well (chain, draw, finding).
    crude : callable
        From the design: estimate, lower and upper 95 % limit of each finding alone.
    observed : str
        The observed column among `read`'s arrays.
    follows : callable
        From (design, values of the observed column): the arrays of the design that hang on them,
        beside that column itself.
    split : Split or None
        Where it falls into analyses of one mean each: they go through the exact engine, and `build`
        is the whole of them in one graph.
    """

    name: str
    title: str
    formula: str
    columns: tuple[str, ...]
    parameters: Mapping[str, Parameter]
    instead: str
    read: Callable[[pd.DataFrame, ModelSpec], tuple[Mapping[str, Any], Mapping[str, list[str]]]]
    build: Callable[[xr.Dataset, Priors], pm.Model]
    draw_prior: Callable[[xr.Dataset, Priors, int, np.random.Generator], xr.Dataset]
    complete: Callable[[xr.Dataset, xr.Dataset, int], xr.Dataset]
    estimands: Callable[[xr.Dataset, xr.Dataset, Average], xr.Dataset]
    log_likelihood: Callable[[xr.Dataset, xr.Dataset], tuple[Array, Array]]
    replicate: Callable[[xr.Dataset, xr.Dataset, np.random.Generator], Array]
    crude: Callable[[xr.Dataset], tuple[Array, Array, Array]]
    observed: str
    log_prior: Callable[[xr.Dataset, xr.Dataset], Mapping[str, Any]] = _nothing
    follows: Callable[[xr.Dataset, Array], Mapping[str, Any]] = _nothing
    scales: tuple[str, ...] = ("logit",)
    random_effects: tuple[RandomEffects, ...] = ("normal",)
    split: Split | None = None

    def __repr__(self) -> str:
        return f"System({self.name!r}: {self.title})"
