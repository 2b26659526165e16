"""Which draws a fit keeps of what each finding has for itself, where all would be too much."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.modelling.origins import INFERRED

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["CELLS", "LEAST", "apart", "at_kept_draws", "kept_draws", "placed", "with_theta"]

CELLS, LEAST = 5_000_000, 1_000  # findings times draws that are kept at most, and draws at least
_OF_EACH = {"finding", "study", INFERRED}
_OF_FINDINGS = "_findings"  # ends the name of a group


def kept_draws(findings: int, *, chains: int, draws: int) -> NDArray[np.intp]:
    """Return the positions in a chain of the draws that are kept of findings, evenly spaced.

    All where findings times draws are no more than `CELLS`, else as many as that allows, but
    `LEAST` in all chains or more.
    """
    number = max(CELLS // (findings * chains), math.ceil(LEAST / chains))
    if number >= draws:
        return np.arange(draws)
    return np.arange(number) * draws // number


def apart(sample: xr.Dataset, design: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset | None]:
    """Return draws without what each finding has for itself, and that at the draws it is kept for.

    None and all in one where every draw is kept.
    """
    draws = sample.sizes["draw"]
    places = kept_draws(design.sizes["finding"], chains=sample.sizes["chain"], draws=draws)
    if len(places) == draws:
        return sample, None
    own = [name for name, each in sample.data_vars.items() if _OF_EACH & {*map(str, each.dims)}]
    return sample.drop_vars(own), sample[own].isel(draw=places)


def with_theta(whole: xr.Dataset, theta: xr.Dataset | None) -> xr.Dataset:
    """Return the parameters at the draws that theta is kept for, theta among them."""
    if theta is None:
        return whole
    return whole.sel(draw=theta["draw"]).assign(theta.data_vars)


def placed(name: str, whole: xr.Dataset, part: xr.Dataset) -> dict[str, xr.Dataset]:
    """Return the groups of a sample: what not all draws are kept of stands beside the rest."""
    if part.sizes["draw"] == whole.sizes["draw"]:
        return {name: part}
    own = [key for key in part.data_vars if key not in whole]
    return {name: whole, name + _OF_FINDINGS: part[own]}


def at_kept_draws(fit: xr.DataTree) -> xr.DataTree:
    """Return a fit at the draws that are kept of findings: itself where these are all.

    What each finding has for itself then stands among the other parameters.
    """
    import xarray as xr

    own = [name for name in fit.children if name.endswith(_OF_FINDINGS)]
    if not own:
        return fit
    theta = {name.removesuffix(_OF_FINDINGS): fit[name].to_dataset() for name in own}
    draws = theta["posterior"]["draw"].to_numpy()
    groups: dict[str, Any] = {}
    for name, node in fit.children.items():
        group = node.to_dataset()
        if name in theta:
            group = with_theta(group, theta[name])
        elif name in ("log_prior", "sample_stats"):
            group = group.sel(draw=draws)
        if name not in own:
            groups[name] = group
    tree = xr.DataTree.from_dict(groups)
    tree.attrs = dict(fit.attrs)
    return tree
