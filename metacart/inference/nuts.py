"""NUTS through PyMC and nutpie, and the gate that its draws must pass."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr

__all__ = ["Compiled", "Verdict", "convergence", "sample"]

_log = logging.getLogger(__name__)

# MCSE as a share of the posterior SD: for means, and for the 2.5 and 97.5 % quantiles
MEAN_SHARE, TAIL_SHARE, R_HAT = 0.02, 0.05, 1.01
TARGETS = (0.95, 0.99, 0.999)


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

        running = nutpie.sample(
            self._compiled,
            draws=draws,
            tune=tune,
            chains=chains,
            seed=seed,
            target_accept=target_accept,
            progress_bar=progress,
            save_warmup=False,
            blocking=False,
        )
        try:
            result: xr.DataTree = running.wait()
        except BaseException:
            # left to itself, nutpie takes an interrupt for a wish to have fewer draws
            running.cancel()
            raise
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
    """Sample a model; what fails the gate is run again, longer and with smaller steps.

    The target acceptance goes from 0.95 to 0.99 and 0.999. A further run is as much longer as the
    Monte Carlo error asks for, up to thirty-two times, and thinned to twice the draws that were
    asked for: a skewed tail needs more draws than the rest.

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
    longer = 1
    for attempt, target in enumerate(TARGETS):
        result = compiled.sample(
            draws=longer * draws,
            tune=(attempt + 1) * tune,
            chains=chains,
            seed=seed + attempt,
            target_accept=target,
            progress=progress,
        )
        divergences = int(result["sample_stats"]["diverging"].sum())
        result = result.isel(draw=slice(None, None, max(1, longer // 2)))
        verdict = convergence(reported(result["posterior"].to_dataset()), divergences=divergences)
        if not verdict.failure:
            break
        _log.info("attempt %d, %d times as long: %s", attempt + 1, longer, verdict.failure)
        more = 1.0 if verdict.shortfall <= 1 else 2.0 * verdict.shortfall**2
        longer = min(2 * int(np.ceil(longer * more / 2)), 32)
    return result, verdict.failure


class Verdict(NamedTuple):
    """Why draws must not be used, and the worst Monte Carlo error as a multiple of its limit."""

    failure: str
    shortfall: float


def convergence(reported: xr.Dataset, *, divergences: int) -> Verdict:
    """Return why draws must not be used, if they must not.

    Parameters
    ----------
    reported : Dataset
        Every reported quantity, with dims ``chain`` and ``draw``.
    divergences : int
        Number of divergent transitions.

    Returns
    -------
    Verdict
        ``failure`` is empty where the draws passed, else one clause a failure: divergences; R-hat
        of 1.01 or more; Monte Carlo error above 2 % of the posterior SD for a mean, or above 5 %
        for a 2.5 or 97.5 % quantile.
    """
    import arviz as az

    failures = []
    if divergences:
        failures.append(f"{divergences} divergent transitions")
    if reported.sizes["chain"] > 1:
        name, value = _worst(az.rhat(reported))
        if not value < R_HAT:
            failures.append(f"R-hat of {name} is {value:.3f}")
    spread = reported.std(("chain", "draw"))
    shortfall = 0.0
    for method, probability, limit in (
        ("mean", None, MEAN_SHARE),
        ("quantile", 0.025, TAIL_SHARE),
        ("quantile", 0.975, TAIL_SHARE),
    ):
        name, value = _worst(az.mcse(reported, method=method, prob=probability) / spread)
        shortfall = max(shortfall, value / limit)
        if not value <= limit:
            what = "mean" if probability is None else f"{100 * probability:g} % quantile"
            failures.append(
                f"the Monte Carlo error of the {what} of {name} is {value:.1%} of its SD"
            )
    return Verdict("; ".join(failures), shortfall)


def _worst(values: xr.Dataset) -> tuple[str, float]:
    """Return the name and the largest value; a constant quantity has none."""
    worst = {
        str(name): float(np.nanmax(array.to_numpy()))
        for name, array in values.data_vars.items()
        if array.size and np.isfinite(array.to_numpy()).any()
    }
    if not worst:
        return "everything", float("nan")
    name = max(worst, key=lambda key: worst[key])
    return name, worst[name]
