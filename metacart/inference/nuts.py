"""NUTS through PyMC and nutpie."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from metacart.inference.compiled import compiled
from metacart.inference.gate import Attempt, convergence, longer

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr

__all__ = ["Sampled", "sample"]

TARGETS = (0.95, 0.99)


class Sampled(NamedTuple):
    """Draws, how they were made, and why they must not be used (empty where they passed)."""

    posterior: xr.Dataset
    statistics: xr.Dataset
    attempts: list[Attempt]
    failure: str


def sample(
    model: pm.Model,
    *,
    draws: int,
    tune: int,
    chains: int,
    seed: int,
    progress: bool,
    reported: Callable[[xr.Dataset], xr.Dataset],
) -> Sampled:
    """Sample a model; what fails the gate is run once more, longer and with smaller steps.

    The second run has a target acceptance of 0.99, twice the tuning, and is as much longer as the
    Monte Carlo error asks for, up to eight times, thinned to twice the draws that were asked for:
    a skewed tail needs more draws than the rest.

    Parameters
    ----------
    model : pymc.Model
        The graph.
    draws, tune, chains, seed : int
        Draws and tuning steps a chain, number of chains, seed.
    progress : bool
        Whether to show a progress bar.
    reported : callable
        From the draws of the model's variables to every quantity that will be reported.

    Returns
    -------
    Sampled
    """
    function = compiled(model)
    attempts: list[Attempt] = []
    times = 1
    for position, target in enumerate(TARGETS):
        result = function.sample(
            draws=times * draws,
            tune=(position + 1) * tune,
            chains=chains,
            seed=seed + position,
            target_accept=target,
            progress=progress,
        )
        divergences = int(result["sample_stats"]["diverging"].sum())
        result = result.isel(draw=slice(None, None, max(1, times // 2)))
        posterior = result["posterior"].to_dataset()
        verdict = convergence(reported(posterior), divergences=divergences)
        attempts.append(
            Attempt("nuts", f"target acceptance {target:g}", times * draws, verdict.failure)
        )
        if not verdict.failure:
            break
        times = longer(verdict, most=8)
    return Sampled(
        posterior, _statistics(result["sample_stats"].to_dataset()), attempts, verdict.failure
    )


def _statistics(statistics: xr.Dataset) -> xr.Dataset:
    keep = ("diverging", "energy", "depth", "n_steps", "step_size")
    return statistics[[name for name in keep if name in statistics]].drop_attrs()
