"""Draws of one short NUTS chain, thinned to nearly independent ones: for refits by the hundred."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from metacart.inference.compiled import compiled

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr

__all__ = ["LEAST", "Thinned", "thinned"]

LEAST = 100  # effective draws with which a rank is a rank
_TUNE = 500
# target acceptance, and tuning and draws as multiples; the second where the first failed
_RUNS = ((0.95, 1, 1), (0.99, 4, 4))
_OF_STUDIES = {"study", "finding", "band"}  # their dims: not what is looked at


class Thinned(NamedTuple):
    """Nearly independent draws, and why they must not be used (empty where they may)."""

    posterior: xr.Dataset
    failure: str


def thinned(model: pm.Model, *, draws: int, seed: int) -> Thinned:
    """Sample one chain and keep as many draws as its parameters have effective ones.

    A chain with divergent transitions, or with fewer than 100 effective draws, is run once more
    with smaller steps, four times the tuning and four times the draws.

    Parameters
    ----------
    model : pymc.Model
        Compiled once for all data of the same shape.
    draws : int
        Of the chain, before it is thinned.
    seed : int
        Fixes every random number.

    Returns
    -------
    Thinned
    """
    function = compiled(model)
    for position, (target, tune, times) in enumerate(_RUNS):
        run = function.sample(
            draws=times * draws,
            tune=tune * _TUNE,
            chains=1,
            seed=(seed + position) % 2**32,
            target_accept=target,
            progress=False,
        )
        posterior = run["posterior"].to_dataset()
        effective = _effective(posterior)
        failure = ""
        if run["sample_stats"]["diverging"].any():
            failure = "the NUTS chain has divergent transitions"
        elif not effective >= LEAST:
            failure = f"the NUTS chain has fewer than {LEAST} effective draws"
        if not failure:
            break
    step = max(1, int(np.ceil(times * draws / max(effective, 1.0))))
    return Thinned(posterior.isel(draw=slice(None, None, step)), failure)


def _effective(posterior: xr.Dataset) -> float:
    """Return the least effective number of draws among the parameters that all studies share."""
    import arviz_stats

    columns = [
        values.transpose("chain", "draw", ...).to_numpy().reshape(*_sizes(posterior), -1)
        for values in posterior.data_vars.values()
        if not _OF_STUDIES & {*map(str, values.dims)}
    ]
    drawn = np.concatenate(columns, axis=-1)
    ess = arviz_stats.base.array_stats.ess
    both = (
        ess(drawn, chain_axis=0, draw_axis=1, method="bulk"),
        ess(drawn, chain_axis=0, draw_axis=1, method="tail", prob=(0.05, 0.95)),
    )
    return float(np.nanmin(both))


def _sizes(posterior: xr.Dataset) -> tuple[int, int]:
    return posterior.sizes["chain"], posterior.sizes["draw"]
