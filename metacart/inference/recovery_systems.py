"""Data sets that a system itself could have given, and where its refits put what made them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.inference.ranks import Recovered, ranked
from metacart.inference.recovery import DATA, REFIT, Setting, refit, with_data
from metacart.inference.systems import estimands_of
from metacart.inference.thinned import thinned
from metacart.modelling.design import data_of
from metacart.modelling.system import System
from metacart.modelling.system_check import system_priors
from metacart.records.priors import Prior
from metacart.records.spec import ModelSpec

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["SystemSetting", "recover_system", "with_observed"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SystemSetting:
    """A system whose data are simulated; it can travel to another process.

    Attributes
    ----------
    spec : ModelSpec
        The question.
    design : Dataset
        Its evidence: what is observed is replaced, all else stays.
    system : System
        The likelihood.
    draws : int
        Of the chain of a refit, before it is thinned; of parts as in their settings.
    seed : int
        Fixes every random number, those of a data set by its own number.
    parts : tuple of Setting
        Where the system falls into parts of one mean: each by itself, in their order.
    """

    spec: ModelSpec
    design: xr.Dataset
    system: System
    draws: int
    seed: int
    parts: tuple[Setting, ...] = field(default=())

    @cached_property
    def priors(self) -> dict[str, Prior]:
        """The prior of each parameter, those of data and of refits."""
        return system_priors(self.spec, self.system)


def recover_system(number: int, setting: SystemSetting) -> Recovered:
    """Draw one data set from the priors, fit it, and say where the posterior puts its parameters.

    Parameters
    ----------
    number : int
        Of the data set.
    setting : SystemSetting
        The analysis.

    Returns
    -------
    Recovered
    """
    rng = np.random.default_rng([setting.seed, DATA, number])
    drawn = _completed(
        setting, setting.system.draw_prior(setting.design, setting.priors, 1, rng), rng
    )
    truth = {name: float(value[0]) for name, value in _quantities(setting, drawn).items()}
    observed = setting.system.replicate(drawn, setting.design, rng)[0, 0]
    rng = np.random.default_rng([setting.seed, REFIT, number])
    run = _by_parts(setting, observed, rng) if setting.parts else _whole(setting, observed, rng)
    if run.failure:
        return Recovered.failed(run.failure)
    sample = _completed(setting, run.sample, rng)
    return ranked(truth, _quantities(setting, sample), run.weight, run.ess, rng)


@dataclass(frozen=True)
class _Run:
    """Draws of one chain with their weights, or why there are none."""

    sample: Any
    weight: Array
    ess: float
    failure: str


def with_observed(setting: SystemSetting, observed: Array) -> xr.Dataset:
    """Return the design of a setting with other observed values, and what hangs on them."""
    own = {setting.system.observed: observed, **setting.system.follows(setting.design, observed)}
    before = {name: setting.design[name] for name in own}
    return setting.design.assign(
        {name: each.copy(data=own[name].astype(each.dtype)) for name, each in before.items()}
    )


def _whole(setting: SystemSetting, observed: Array, rng: np.random.Generator) -> _Run:
    """Fit a system by NUTS."""
    design = with_observed(setting, observed)
    model = setting.system.build(design, setting.priors)
    run = thinned(model, draws=setting.draws, seed=int(rng.integers(2**32)))
    number = run.posterior.sizes["draw"]
    return _Run(run.posterior, np.full(number, 1.0 / number), float(number), run.failure)


def _by_parts(setting: SystemSetting, observed: Array, rng: np.random.Generator) -> _Run:
    """Fit each part by itself, and put their draws side by side: they know nothing of each other.

    Draws of one part are paired with those of another at random, and the weight of a pair is the
    product of theirs.
    """
    import xarray as xr

    level, runs = setting.design["level"].to_numpy(), []
    for position, part in enumerate(setting.parts):
        data = data_of(part.design)
        name = part.likelihood.observed
        values = observed[level == position].astype(data[name].dtype)
        run = refit(part, with_data(part, {**data, name: values}), rng)
        if run.failure:
            return _Run(None, run.weight, run.ess, run.failure)
        order = rng.permutation(len(run.weight))
        drawn = {name: each[order] for name, each in run.parameters.items()}
        runs.append(run._replace(parameters=drawn, weight=run.weight[order]))
    number = min(len(run.weight) for run in runs)
    weight = np.prod([run.weight[:number] for run in runs], axis=0)
    weight = weight / weight.sum()
    by = setting.system.split.by if setting.system.split else "part"
    sample = {
        name: np.stack([run.parameters[name][:number] for run in runs], axis=-1)[None]
        for name in setting.system.parameters
    }
    values = {name: (("chain", "draw", by), each) for name, each in sample.items()}
    coords = {"chain": [0], "draw": np.arange(number), by: setting.design[by].to_numpy()}
    return _Run(xr.Dataset(values, coords=coords), weight, float(1.0 / np.sum(weight**2)), "")


def _completed(setting: SystemSetting, sample: xr.Dataset, rng: np.random.Generator) -> xr.Dataset:
    return setting.system.complete(sample, setting.design, int(rng.integers(2**31)))


def _quantities(setting: SystemSetting, sample: xr.Dataset) -> dict[str, Array]:
    """Return each parameter and each named estimand, draw by draw of the one chain."""
    names = [name for name in setting.system.parameters if name in sample]
    estimands = estimands_of(sample, setting.design, setting.system)
    found: dict[str, Array] = {}
    for name, values in {**sample[names].data_vars, **estimands.data_vars}.items():
        dims = [dim for dim in values.dims if dim not in ("chain", "draw")]
        array = values.transpose("chain", "draw", *dims).to_numpy()[0]
        if not dims:
            found[str(name)] = array
            continue
        for position, label in enumerate(values[dims[0]].to_numpy().tolist()):
            found[f"{name}: {label}"] = array[:, position]
    return found
