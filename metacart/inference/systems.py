"""Fitting a system of several means, and what is reported of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from metacart.errors import Fault, InputError
from metacart.inference import nuts
from metacart.inference.engines import Drawn, Engines
from metacart.inference.gate import Attempt, convergence
from metacart.inference.population import population_average
from metacart.inference.records import attribute, group_of, identity
from metacart.inference.tree import as_fit
from metacart.modelling.design import bind, scale_of
from metacart.modelling.likelihoods import LIKELIHOODS, Likelihoods, find_likelihood
from metacart.modelling.priors import resolve_priors
from metacart.modelling.system import Split, System
from metacart.modelling.system_check import system_priors
from metacart.records.priors import Prior
from metacart.records.spec import ModelSpec
from metacart.scales import SCALES

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["estimands_of", "fit_system", "parts_of", "replicated", "reported_of", "without_exact"]

_PRIOR_DRAWS = 4000
_OF_STUDIES = ("theta", "rate")  # what is shown of each study
_TIMES = (1, 2, 4)  # as many draws as were asked for, where parts pass but not their product


class _Run(NamedTuple):
    """Draws of a system's parameters and how they were made."""

    sample: xr.Dataset
    statistics: xr.Dataset
    method: str
    attempts: list[Attempt]
    failure: str
    exact: Mapping[str, float]


def fit_system(
    spec: ModelSpec,
    evidence: pd.DataFrame,
    design: xr.Dataset,
    system: System,
    *,
    engines: Engines,
    method: str,
    likelihoods: Likelihoods | None = None,
) -> xr.DataTree:
    """Fit a system: NUTS, or where it falls into parts of one mean, each of them by itself.

    Parameters
    ----------
    spec, evidence, design, system
        The analysis.
    engines : Engines
        The size of a run.
    method : {"auto", "exact", "nuts"}
        The exact engine is for a system that falls into parts; every other is for NUTS.
    likelihoods : mapping of str to Likelihood or System, optional
        Instead of the shipped ones.

    Returns
    -------
    DataTree
        With the groups and attributes of every fit.
    """
    priors, seed = system_priors(spec, system), engines.seed
    if system.split is not None:
        run = _by_parts(
            spec, evidence, design, system, system.split, engines, method, likelihoods=likelihoods
        )
    elif method == "exact":
        raise InputError(without_exact(system))
    else:
        run = _by_nuts(design, system, priors, engines)
    groups = _groups(run, design, system, priors, seed)
    return as_fit(
        groups,
        identity(spec, evidence) | {"system": system.name, "instead": system.instead},
        seed=seed,
        method=run.method,
        attempts=run.attempts,
        priors=priors,
        failure=run.failure,
        exact=run.exact,
    )


def without_exact(system: System) -> Fault:
    """Return what is wrong with the exact engine for a system that does not fall into parts."""
    return Fault(
        "method",
        f"'exact' with the {system.name} likelihood, whose studies have several effects",
        "auto or nuts",
        "method='nuts'",
    )


def _by_nuts(
    design: xr.Dataset, system: System, priors: dict[str, Prior], engines: Engines
) -> _Run:
    drawn = nuts.sample(
        system.build(design, priors),
        draws=engines.draws,
        tune=engines.tune,
        chains=engines.chains,
        seed=engines.seed,
        progress=engines.progress,
        reported=lambda sample: _reported(sample, design, system, engines.seed),
    )
    return _Run(drawn.posterior, drawn.statistics, "nuts", drawn.attempts, drawn.failure, {})


def _by_parts(
    spec: ModelSpec,
    evidence: pd.DataFrame,
    design: xr.Dataset,
    system: System,
    split: Split,
    engines: Engines,
    method: str,
    *,
    likelihoods: Likelihoods | None,
) -> _Run:
    """Fit each part by itself; what they report together must pass the gate too."""
    labels = design[split.by].to_numpy().tolist()
    entries = {split.likelihood: LIKELIHOODS[split.likelihood]} | dict(likelihoods or {})
    part, designs = parts_of(spec, evidence, design, system, split, likelihoods=entries)
    likelihood = find_likelihood(part, likelihoods=entries)
    attempts: list[Attempt] = []
    for times in _TIMES:
        runs = [
            replace(
                engines,
                draws=times * engines.draws,
                seed=(engines.seed + position) % 2**32,
                thins=False,
            ).draw(
                part,
                each,
                likelihood,
                resolve_priors(part, each, likelihood),
                method=method,
                likelihoods=entries,
            )
            for position, each in enumerate(designs)
        ]
        sample, exact = _together(runs, design, split, labels), _exact_words(runs)
        reported = _reported(sample, design, system, engines.seed)
        number = sample.sizes["chain"] * sample.sizes["draw"]
        worth = min(exact["importance_ess"], number) if exact else None
        named = list(zip(labels, runs, strict=True))
        failures = [f"{label}: {run.failure}" for label, run in named if run.failure]
        together = convergence(reported, independent=worth).failure
        attempts += [
            attempt._replace(
                settings=f"{label}: {attempt.settings}", failure=attempt.failure or together
            )
            for label, run in named
            for attempt in run.attempts
        ]
        if failures or not together:
            break
    failures += [together] if together else []
    engine = "exact" if exact else "nuts"
    statistics = _statistics(runs, split.by, labels, sample.sizes["draw"])
    return _Run(sample, statistics, engine, attempts, "; ".join(failures), exact)


def parts_of(
    spec: ModelSpec,
    evidence: pd.DataFrame,
    design: xr.Dataset,
    system: System,
    split: Split,
    *,
    likelihoods: Likelihoods,
) -> tuple[ModelSpec, list[xr.Dataset]]:
    """Return the question of each part of a system, the same for all, and their designs."""
    own = {name: text for name, text in spec.priors.items() if name in system.parameters}
    part = ModelSpec(likelihood=split.likelihood, group=spec.group, priors=own)
    level = design["level"].to_numpy()
    return part, [
        bind(part, evidence[level == position], likelihoods=likelihoods)
        for position in range(design.sizes[split.by])
    ]


def _together(runs: list[Drawn], design: xr.Dataset, split: Split, labels: list[str]) -> xr.Dataset:
    """Return the draws of the parts side by side: they know nothing of each other."""
    import xarray as xr

    number = min(run.posterior.sizes["draw"] for run in runs)
    kept = [run.posterior.isel(draw=slice(number)) for run in runs]
    level = design["level"].to_numpy()
    values: dict[str, Any] = {
        name: (("chain", "draw", split.by), np.stack([_of(each, name) for each in kept], axis=-1))
        for name in ("mu", "tau")
    }
    theta = np.empty((*values["mu"][1].shape[:2], design.sizes["finding"]))
    for position, each in enumerate(kept):
        theta[..., level == position] = each["theta"].transpose("chain", "draw", "finding")
    values["theta"] = (("chain", "draw", "finding"), theta)
    coords = {name: kept[0][name].to_numpy() for name in ("chain", "draw")}
    return xr.Dataset(values, coords=coords | {split.by: labels})


def _of(sample: xr.Dataset, name: str) -> Any:
    return sample[name].transpose("chain", "draw").to_numpy()


def _exact_words(runs: list[Drawn]) -> dict[str, float]:
    """Return the worst of the exact runs and the sum of their evidence; none where one is NUTS."""
    exact = [run.exact for run in runs if run.exact is not None]
    if len(exact) < len(runs):
        return {}
    return {
        "pareto_k": max(each.pareto_k for each in exact),
        "importance_ess": min(each.importance_ess for each in exact),
        "log_marginal_likelihood": sum(each.log_marginal_likelihood for each in exact),
    }


def _statistics(runs: list[Drawn], dim: str, labels: list[str], number: int) -> xr.Dataset:
    """Return what the engines say of each draw, part by part; of what all of them say."""
    import xarray as xr

    shared = set.intersection(*({*map(str, run.statistics.data_vars)} for run in runs))
    parts = [
        run.statistics[sorted(shared)].isel(draw=slice(number), missing_dims="ignore")
        for run in runs
    ]
    # a part that was run again may number its draws otherwise
    return xr.concat(parts, dim=xr.Variable(dim, labels), join="override")


def _groups(
    run: _Run, design: xr.Dataset, system: System, priors: dict[str, Prior], seed: int
) -> dict[str, xr.Dataset]:
    import xarray as xr

    rng = np.random.default_rng([seed, 2])
    prior_sample = system.draw_prior(design, priors, _PRIOR_DRAWS, rng)
    posterior = system.complete(run.sample, design, seed)
    prior = system.complete(prior_sample, design, seed)
    dims = ("chain", "draw")
    replicates = {
        f"{name}_predictive": replicated(sample, design, system, rng)
        for name, sample in (("posterior", posterior), ("prior", prior))
    }
    findings, studies = system.log_likelihood(posterior, design)
    coords: dict[str, Any] = {each: posterior[each] for each in dims}
    crude, lower, upper = system.crude(design)
    alone = {"crude": crude, "crude_lower": lower, "crude_upper": upper}
    densities = {
        name: (run.sample[name].dims, prior.logpdf(run.sample[name].to_numpy()))
        for name, prior in priors.items()
        if name in run.sample
    }
    return {
        "posterior": posterior,
        "prior": prior,
        "estimands": estimands_of(posterior, design, system),
        "prior_estimands": estimands_of(prior, design, system),
        **replicates,
        "log_likelihood": xr.Dataset(
            {"y": ((*dims, "finding"), findings), "study": ((*dims, "studies"), studies)},
            coords=coords
            | {"finding": design["finding"].to_numpy(), "studies": design["study"].to_numpy()},
        ),
        "log_prior": xr.Dataset(
            densities | dict(system.log_prior(run.sample, design)), coords=coords
        ),
        "sample_stats": run.statistics,
        "observed_data": xr.Dataset(
            {"y": ("finding", design[system.observed].to_numpy())},
            coords={"finding": design["finding"].to_numpy()},
        ),
        "constant_data": design.assign(
            {name: ("finding", values) for name, values in alone.items()}
        ),
    }


def replicated(
    sample: xr.Dataset, design: xr.Dataset, system: System, rng: np.random.Generator
) -> xr.Dataset:
    """Return the data drawn anew, the effects of studies as well."""
    import xarray as xr

    coords: dict[str, Any] = {name: sample[name].to_numpy() for name in ("chain", "draw")}
    coords["finding"] = design["finding"].to_numpy()
    values = system.replicate(sample, design, rng)
    return xr.Dataset({"y": (("chain", "draw", "finding"), values)}, coords=coords)


# --- what is reported ----------------------------------------------------------------------------


def reported_of(fit: xr.DataTree) -> xr.Dataset:
    """Return what the convergence gate judges in a fit of a system."""
    names = [*json.loads(attribute(fit, "priors")), *_OF_STUDIES]
    return _judged(group_of(fit, "posterior"), names, group_of(fit, "estimands"))


def estimands_of(sample: xr.Dataset, design: xr.Dataset, system: System) -> xr.Dataset:
    """Return all that is reported of a completed sample, on the natural scale."""
    scale = scale_of(design)
    average = partial(population_average, scale=scale, effects="normal", nu=4.0)
    return system.estimands(sample, design, average)


def _reported(sample: xr.Dataset, design: xr.Dataset, system: System, seed: int) -> xr.Dataset:
    completed = system.complete(sample, design, seed)
    names = [*system.parameters, *_OF_STUDIES]
    return _judged(completed, names, estimands_of(completed, design, system))


def _judged(sample: xr.Dataset, names: list[str], estimands: xr.Dataset) -> xr.Dataset:
    """Return parameters with estimands, rates on the model scale, where one near 0 is no spike.

    The rate of a study without events is skewed on either scale: it is judged as an angle, on
    which a proportion varies evenly.
    """
    judged = sample[[name for name in names if name in sample]]
    if "rate" in judged:
        judged["rate"] = np.arcsin(np.sqrt(judged["rate"]))
    for name, values in estimands.data_vars.items():
        if name not in judged:
            judged[str(name)] = _linked(values) if "scale" in values.attrs else values
    return judged


def _linked(values: xr.DataArray) -> xr.DataArray:
    scale = SCALES[values.attrs["scale"]]
    lowest, highest = (np.nextafter(bound, 0.5) for bound in scale.bounds)
    return values.copy(data=scale.link(np.clip(values.to_numpy(), lowest, highest)))
