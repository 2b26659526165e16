"""NUTS through PyMC and nutpie, and the gate that its draws must pass."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr

__all__ = ["Compiled", "convergence", "sample"]

_log = logging.getLogger(__name__)

# MCSE as a share of the posterior SD: for means, and for the 2.5 and 97.5 % quantiles
MEAN_SHARE, TAIL_SHARE, R_HAT = 0.02, 0.05, 1.01


class Compiled:
    """A compiled model, whose data can be exchanged without compiling again.

    Parameters
    ----------
    model : pymc.Model
        A model on ``pm.Data``.
    """

    def __init__(self, model: pm.Model) -> None:
        import nutpie

        with warnings.catch_warnings():
            # numba and pytensor warn about their own caches; nothing there is for our reader
            warnings.simplefilter("ignore")
            self._compiled: Any = nutpie.compile_pymc_model(model, backend="numba")

    def sample(
        self,
        *,
        draws: int,
        tune: int,
        chains: int,
        seed: int,
        target_accept: float,
        progress: bool,
    ) -> xr.DataTree:
        """Return the draws, without warm-up."""
        import nutpie

        result: xr.DataTree = nutpie.sample(
            self._compiled,
            draws=draws,
            tune=tune,
            chains=chains,
            seed=seed,
            target_accept=target_accept,
            progress_bar=progress,
            save_warmup=False,
        )
        return result


def sample(
    model: pm.Model,
    *,
    draws: int,
    tune: int,
    chains: int,
    seed: int,
    progress: bool,
    reported: Callable[[xr.Dataset], xr.Dataset],
) -> tuple[xr.DataTree, str]:
    """Sample a model; what fails the gate is run once more, longer and with smaller steps.

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
    tuple of DataTree and str
        The draws, and why they must not be used: an empty string where they passed.
    """
    compiled = Compiled(model)
    result = compiled.sample(
        draws=draws, tune=tune, chains=chains, seed=seed, target_accept=0.95, progress=progress
    )
    failure = _gate(result, reported)
    if failure:
        _log.info("sampled again with twice the draws: %s", failure)
        result = compiled.sample(
            draws=2 * draws,
            tune=2 * tune,
            chains=chains,
            seed=seed + 1,
            target_accept=0.99,
            progress=progress,
        )
        failure = _gate(result, reported)
    return result, failure


def _gate(result: xr.DataTree, reported: Callable[[xr.Dataset], xr.Dataset]) -> str:
    divergences = int(result["sample_stats"]["diverging"].sum())
    return convergence(reported(result["posterior"].to_dataset()), divergences=divergences)


def convergence(reported: xr.Dataset, *, divergences: int) -> str:
    """Return why draws must not be used, or an empty string.

    Parameters
    ----------
    reported : Dataset
        Every reported quantity, with dims ``chain`` and ``draw``.
    divergences : int
        Number of divergent transitions.

    Returns
    -------
    str
        One clause a failure: divergences; R-hat of 1.01 or more; Monte Carlo error above 2 % of
        the posterior SD for a mean, or above 5 % for a 2.5 or 97.5 % quantile.
    """
    import arviz as az

    failures = []
    if divergences:
        failures.append(f"{divergences} divergent transitions")
    if reported.sizes["chain"] > 1:
        failures += _worst(az.rhat(reported), R_HAT, "R-hat of {name} is {value:.3f}")
    spread = reported.std(("chain", "draw"))
    for method, probability, limit in (
        ("mean", None, MEAN_SHARE),
        ("quantile", 0.025, TAIL_SHARE),
        ("quantile", 0.975, TAIL_SHARE),
    ):
        what = "mean" if probability is None else f"{100 * probability:g} % quantile"
        error = az.mcse(reported, method=method, prob=probability) / spread
        words = f"the Monte Carlo error of the {what} of {{name}} is {{value:.1%}} of its SD"
        failures += _worst(error, limit, words)
    return "; ".join(failures)


def _worst(values: xr.Dataset, limit: float, words: str) -> list[str]:
    """Name the worst value of each kind above its limit; a constant quantity has none."""
    worst = {
        str(name): float(np.nanmax(array.to_numpy()))
        for name, array in values.data_vars.items()
        if array.size and np.isfinite(array.to_numpy()).any()
    }
    if not worst:
        return ["no finite draws"]
    name = max(worst, key=lambda key: worst[key])
    return [words.format(name=name, value=worst[name])] if worst[name] >= limit else []
