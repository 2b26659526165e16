"""Regions of highest density of tau and mu, of the posterior and of the prior."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from metacart.inference.records import group_of
from metacart.plots.facts import priors_of
from metacart.records.priors import parse_prior
from metacart.results.summary import views_of

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Region", "prior_of", "region_of", "tau_and_mu"]

Array = NDArray[np.float64]
_GRID, _SMOOTH = 160, 1.5
_SHARES = (0.95, 0.5)


@dataclass(frozen=True)
class Region:
    """A density over tau and mu, with the heights that enclose each share."""

    tau: Array
    mu: Array
    density: Array
    levels: tuple[float, ...]


def tau_and_mu(fit: xr.DataTree, group: str) -> tuple[Array, Array]:
    """Return draws of tau and mu."""
    sample = group_of(fit, group)
    tau, mu = (
        sample[name].transpose("chain", "draw").to_numpy().reshape(-1) for name in ("tau", "mu")
    )
    return tau, mu


def region_of(tau: Array, mu: Array) -> Region:
    """Return a kernel estimate of the density of draws; what leaks below 0 is folded back."""
    from scipy.ndimage import gaussian_filter

    low, high = np.quantile(mu, [0.0005, 0.9995])
    reach = 0.2 * (high - low)
    ends = [[0.0, 1.15 * float(np.quantile(tau, 0.9995))], [low - reach, high + reach]]
    counts, x, y = np.histogram2d(tau, mu, bins=_GRID, range=ends)
    # a little smoother than Scott's rule, whose edge shows the single draws
    width = _SMOOTH * tau.size ** (-1.0 / 6.0)
    spread = [
        width * float(draws.std()) / (edges[1] - edges[0]) for draws, edges in ((tau, x), (mu, y))
    ]
    density = gaussian_filter(counts, spread, mode=("reflect", "constant"))
    order = np.sort(density, axis=None)[::-1]
    held = np.cumsum(order) / order.sum()
    levels = [float(order[np.searchsorted(held, share)]) for share in _SHARES]
    return Region(0.5 * (x[1:] + x[:-1]), 0.5 * (y[1:] + y[:-1]), density, tuple(levels))


def prior_of(fit: xr.DataTree, posterior: Region) -> Region | None:
    """Return the prior on the grid of the posterior; none where mu's has no formula."""
    stated = priors_of(fit)
    mu, tau = (parse_prior(stated[name]) for name in ("mu", "tau"))
    if "naive" in views_of(fit):
        bias = parse_prior(stated["bias"])
        if not mu.name == bias.name == "Normal":
            return None
        (m, s), (n, t) = mu.arguments, bias.arguments
        mu = replace(mu, arguments=(m - n, float(np.hypot(s, t))))
    steps = (np.arange(200) + 0.5) / 200
    height = np.add.outer(tau.logpdf(tau.quantile(steps)), mu.logpdf(mu.quantile(steps)))
    levels = np.exp(np.quantile(height, [1.0 - share for share in _SHARES]))
    density = np.exp(np.add.outer(tau.logpdf(posterior.tau), mu.logpdf(posterior.mu)))
    density = np.minimum(np.nan_to_num(density, nan=0.0, posinf=1e300), 1e300)
    return Region(posterior.tau, posterior.mu, density, tuple(levels.tolist()))
