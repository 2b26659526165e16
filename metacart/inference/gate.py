"""The gate that draws must pass before anything is said from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Attempt", "Verdict", "convergence", "longer"]

# MCSE as a share of the posterior SD: for means, and for the 2.5 and 97.5 % quantiles
MEAN_SHARE, TAIL_SHARE, R_HAT = 0.02, 0.05, 1.01


class Attempt(NamedTuple):
    """One run of an engine: with which settings, how many draws a chain, and why it failed."""

    method: str
    settings: str
    draws: int
    failure: str


class Verdict(NamedTuple):
    """Why draws must not be used, and the worst Monte Carlo error as a multiple of its limit."""

    failure: str
    shortfall: float


def convergence(
    reported: xr.Dataset, *, divergences: int = 0, independent: float | None = None
) -> Verdict:
    """Return why draws must not be used, if they must not.

    Parameters
    ----------
    reported : Dataset
        Every reported quantity, with dims ``chain`` and ``draw``.
    divergences : int
        Number of divergent transitions.
    independent : float, optional
        How many independent draws these are worth, where they come from no Markov chain: R-hat
        and autocorrelation have nothing to say of them.

    Returns
    -------
    Verdict
        ``failure`` is empty where the draws passed, else one clause a failure: divergences; R-hat
        of 1.01 or more; Monte Carlo error above 2 % of the posterior SD for a mean, or above 5 %
        for a 2.5 or 97.5 % quantile.
    """
    import arviz_stats

    failures = []
    if divergences:
        failures.append(f"{divergences} divergent transitions")
    if reported.sizes["chain"] > 1 and independent is None:
        name, value = _worst(arviz_stats.rhat(reported))
        if not value < R_HAT:
            failures.append(f"R-hat of {name} is {value:.3f}")
    spread = reported.std(("chain", "draw"))
    ranked = None if independent is None else reported.map(_ranked)
    shortfall = 0.0
    for method, probability, limit in (
        ("mean", None, MEAN_SHARE),
        ("quantile", 0.025, TAIL_SHARE),
        ("quantile", 0.975, TAIL_SHARE),
    ):
        if independent is None or ranked is None:
            error = arviz_stats.mcse(reported, method=method, prob=probability)
        elif probability is None:
            error = spread / np.sqrt(independent)
        else:
            error = _quantile_error(ranked, probability, independent)
        name, value = _worst(error / spread)
        shortfall = max(shortfall, value / limit)
        if not value <= limit:
            what = "mean" if probability is None else f"{100 * probability:g} % quantile"
            failures.append(
                f"the Monte Carlo error of the {what} of {name} is {value:.1%} of its SD"
            )
    return Verdict("; ".join(failures), shortfall)


def _ranked(draws: xr.DataArray) -> xr.DataArray:
    """Draws in order of size, with the dim ``rank`` at last."""
    stacked = draws.stack(rank=("chain", "draw"), create_index=False)
    return stacked.copy(data=np.sort(stacked.transpose(..., "rank").to_numpy(), axis=-1))


def _quantile_error(ranked: xr.Dataset, probability: float, independent: float) -> xr.Dataset:
    """Half the distance of the ranks between which the quantile lies in 68 % of runs."""
    from scipy.stats import beta

    hits = independent * probability
    share = np.asarray(beta.ppf([0.1586553, 0.8413447], hits + 1.0, independent - hits + 1.0))
    last = ranked.sizes["rank"] - 1
    lower = max(int(np.floor(share[0] * (last + 1) - 1.0)), 0)
    upper = min(int(np.ceil(share[1] * (last + 1) - 1.0)), last)
    return (ranked.isel(rank=upper) - ranked.isel(rank=lower)) / 2.0


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


def longer(verdict: Verdict, *, most: int, margin: float = 3.0) -> int:
    """Return how many times as many draws the Monte Carlo error asks for, an even number."""
    more = 1.0 if verdict.shortfall <= 1.0 else margin * verdict.shortfall**2
    return min(2 * int(np.ceil(more / 2.0)), most)
