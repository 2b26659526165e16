"""Data sets that an analysis itself could have given, and where its refits put what made them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from metacart.inference.assemble import own_arrays
from metacart.inference.density import Marginal
from metacart.inference.estimands import Draws, design_rows
from metacart.inference.exact import PARETO_K, weigh
from metacart.inference.prior_draws import draw_prior
from metacart.inference.proposal import NoProposalError
from metacart.inference.ranks import Recovered, ranked
from metacart.inference.thinned import thinned
from metacart.modelling.build import build_model, free_parameters
from metacart.modelling.design import data_of, moderators_of, scale_of
from metacart.modelling.likelihoods import Likelihood, Likelihoods, find_likelihood
from metacart.modelling.priors import resolve_priors
from metacart.modelling.spread import tau_levels
from metacart.records.priors import Prior
from metacart.records.spec import ModelSpec

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["DATA", "REFIT", "Refitted", "Setting", "recover", "refit", "with_data"]

Array = NDArray[np.float64]

DATA, REFIT = 4, 5  # streams of random numbers beside those of a fit


class Refitted(NamedTuple):
    """The posterior of simulated data.

    Attributes
    ----------
    parameters : dict of str to array
        ``mu``, ``beta``, ``tau``, ``tau_within`` and those of the likelihood, draws first.
    weight : array (draws,)
        They sum to one.
    ess : float
        How many independent draws of equal weight they are worth.
    failure : str
        Why it must not be used; empty where it may.
    """

    parameters: dict[str, Array]
    weight: Array
    ess: float
    failure: str

    @classmethod
    def failed(cls, why: str) -> Refitted:
        """Return that there is none."""
        return cls({}, np.zeros(0), 0.0, why)


@dataclass(frozen=True)
class Setting:
    """An analysis whose data are simulated; it can travel to another process.

    Attributes
    ----------
    spec : ModelSpec
        The question.
    design : Dataset
        Its evidence: what is observed is replaced, all else stays.
    likelihoods : mapping of str to Likelihood or System, or None
        Instead of the shipped ones.
    draws : int
        What the proposals of a refit should be worth; of NUTS the draws of its chain.
    seed : int
        Fixes every random number, those of a data set by its own number.
    method : {"exact", "nuts"}
        The engine of the refits.
    """

    spec: ModelSpec
    design: xr.Dataset
    likelihoods: Likelihoods | None
    draws: int
    seed: int
    method: str = "exact"

    @cached_property
    def likelihood(self) -> Likelihood:
        """The likelihood of the findings."""
        return find_likelihood(self.spec, likelihoods=self.likelihoods)

    @cached_property
    def priors(self) -> dict[str, Prior]:
        """The prior of each parameter, those of data and of refits."""
        return resolve_priors(self.spec, self.design, self.likelihood)

    @cached_property
    def rows(self) -> Array:
        """The design rows over which estimands are averaged."""
        import xarray as xr

        return design_rows(self.design, xr.Dataset())


def recover(number: int, setting: Setting, *, tau: float | None = None) -> Recovered:
    """Draw one data set from the priors, fit it, and say where the posterior puts its parameters.

    Parameters
    ----------
    number : int
        Of the data set.
    setting : Setting
        The analysis.
    tau : float, optional
        In place of draws of it.

    Returns
    -------
    Recovered
    """
    rng = np.random.default_rng([setting.seed, DATA, number])
    truth, design = _simulated(setting, rng, tau)
    rng = np.random.default_rng([setting.seed, REFIT, number])
    run = refit(setting, design, rng)
    if run.failure:
        return Recovered.failed(run.failure)
    return ranked(truth, _quantities(setting, run.parameters, rng), run.weight, run.ess, rng)


def refit(setting: Setting, design: xr.Dataset, rng: np.random.Generator) -> Refitted:
    """Fit simulated data anew, by the engine of the setting."""
    if setting.method == "nuts":
        return _by_nuts(setting, design, rng)
    target = Marginal(setting.spec, design, setting.likelihood, setting.priors)
    try:
        run = weigh(target, setting.draws, rng)
    except (NoProposalError, ArithmeticError, ValueError, np.linalg.LinAlgError) as error:
        return Refitted.failed(str(error) or type(error).__name__)
    if not run.pareto_k <= PARETO_K:
        return Refitted.failed(f"Pareto k of the importance weights is above {PARETO_K:g}")
    return Refitted(target.parameters(run.points, run.t), run.weight, run.ess, "")


def _by_nuts(setting: Setting, design: xr.Dataset, rng: np.random.Generator) -> Refitted:
    model = build_model(setting.spec, design, likelihoods=setting.likelihoods)
    run = thinned(model, draws=setting.draws, seed=int(rng.integers(2**32)))
    if run.failure:
        return Refitted.failed(run.failure)
    number = run.posterior.sizes["draw"]
    return Refitted(
        _shared(setting, run.posterior), np.full(number, 1.0 / number), float(number), ""
    )


def _shared(setting: Setting, sample: xr.Dataset) -> dict[str, Array]:
    """Return the parameters that all findings share, draws of the one chain first."""
    free = free_parameters(setting.design, setting.likelihood)
    return {
        name: sample[name].transpose("chain", "draw", ...).to_numpy()[0]
        for name in ("mu", "beta", "tau", "tau_within", *free)
        if name in sample
    }


def _simulated(
    setting: Setting, rng: np.random.Generator, tau: float | None
) -> tuple[dict[str, float], xr.Dataset]:
    """Return parameters drawn from the priors, and the design with data that they made."""
    design, likelihood = setting.design, setting.likelihood
    drawn = draw_prior(setting.spec, design, likelihood, setting.priors, rng, number=1, tau=tau)
    data = data_of(design)
    own = {
        name: values[0, 0]
        for name, values in own_arrays(likelihood, drawn, likelihood.parameters).items()
    }
    eta = drawn["theta"].to_numpy()[0, 0] + likelihood.shift(data, own)
    fresh = with_data(setting, likelihood.drawn_anew(eta, data, own, rng))
    truth = _quantities(setting, _shared(setting, drawn), rng)
    return {name: float(value[0]) for name, value in truth.items()}, fresh


def with_data(setting: Setting, data: Mapping[str, NDArray[Any]]) -> xr.Dataset:
    """Return the design of a setting with other data, and what is prepared of them."""
    data = {**data, **setting.likelihood.prepare(data, setting.priors)}
    # what was prepared has cells of its own for each data set
    return setting.design.drop_vars([name for name in data if name in setting.design]).assign(
        {name: (_dims(name, values), values) for name, values in data.items()}
    )


def _dims(name: str, values: NDArray[np.generic]) -> tuple[str, ...]:
    return ("finding", *(f"{name}_{axis}" for axis in range(1, values.ndim)))


def _quantities(
    setting: Setting, parameters: Mapping[str, Array], rng: np.random.Generator
) -> dict[str, Array]:
    """Return each parameter and each named estimand, draw by draw."""
    mu = parameters["mu"]
    tau, beta = parameters.get("tau", 0.0 * mu), parameters.get("beta", np.zeros((len(mu), 0)))
    rho, within = parameters.get("rho"), parameters.get("tau_within")
    levels = tau_levels(setting.spec, moderators_of(setting.design))
    draws = Draws(
        mu[None],
        tau[None],
        beta[None],
        scale_of(setting.design),
        setting.spec.random_effects,
        setting.spec.nu,
        int(rng.integers(2**31)),
        None if rho is None else rho[None],
        None if within is None else within[None],
        levels,
    )
    found = {"mu": mu}
    if levels is not None:
        found |= {f"tau {name}": tau[:, position] for position, name in enumerate(levels.names)}
    elif "tau" in parameters:
        found["tau"] = tau
    for position, name in enumerate(setting.design["coefficient"].to_numpy().tolist()):
        found[f"beta {name}"] = beta[:, position]
    found |= {
        name: values for name, values in parameters.items() if name not in ("mu", "tau", "beta")
    }
    found["median study"] = draws.median_study(setting.rows)[0]
    if draws.has_average:
        found["population average"] = draws.population_average(setting.rows)[0]
    found["next study"] = draws.next_study(setting.rows)[0]
    return found
