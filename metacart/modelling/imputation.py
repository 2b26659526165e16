"""Moderators without a value as latent normal ones: in the graph, in prior draws, in a design."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.modelling.moderators import Moderator, columns_of, main_effects, product_columns

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "IMPUTED",
    "design_columns",
    "draw_imputed",
    "filled_columns",
    "filled_rows",
    "gap_names",
]

Array = NDArray[np.float64]

IMPUTED = "imputed"  # its name in the posterior, in the unit of the evidence
# of the mean and the SD, in SDs of the values that are stated: vague beside any evidence
_WIDE = 2.0


def gap_names(design: xr.Dataset) -> list[str]:
    """Return the name of each value that is imputed, such as ``age: doe2020/car``."""
    names: list[str] = json.loads(design.attrs.get("gaps", "[]"))
    return names


def filled_columns(
    moderators: tuple[Moderator, ...], design: xr.Dataset, imputed: Array
) -> dict[str, list[Array]]:
    """Return the columns of each main effect with imputed values in the gaps of the design.

    Parameters
    ----------
    moderators : tuple of Moderator
        Of the design.
    design : Dataset
        With gaps.
    imputed : array (..., gaps)
        In the unit of the evidence.

    Returns
    -------
    dict of str to list of array (..., findings)
    """
    columns = columns_of(moderators, design["x"].to_numpy())
    for gap in _gaps(moderators, design):
        each, own = gap.moderator, columns[gap.moderator.name][0]
        column = np.broadcast_to(own, (*imputed.shape[:-1], own.size)).copy()
        values = imputed[..., gap.numbers[gap.places]]
        column[..., gap.rows] = (values - each.origin) / each.unit
        columns[each.name] = [column]
    return columns


def filled_rows(moderators: tuple[Moderator, ...], design: xr.Dataset, imputed: Array) -> Array:
    """Return the design (..., findings, coefficients) with imputed values in its gaps."""
    columns = product_columns(moderators, filled_columns(moderators, design, imputed))
    return np.stack(np.broadcast_arrays(*columns), axis=-1)


def design_columns(moderators: tuple[Moderator, ...], design: xr.Dataset) -> Any:
    """Return the design (findings, coefficients) as a node of the open model.

    Without gaps it is data. With gaps their values are latent: those of a moderator, stated or
    not, are normal around a mean of their own, and the graph has ``imputed`` in the unit of the
    evidence.
    """
    import pymc as pm
    import pytensor.tensor as pt

    names = gap_names(design)
    if not names:
        return pm.Data("x", design["x"].to_numpy(), dims=("finding", "coefficient"))
    columns: dict[str, list[Any]] = dict(columns_of(moderators, design["x"].to_numpy()))
    pm.modelcontext(None).add_coord("gap", names)
    natural = pt.zeros(len(names))
    for gap in _gaps(moderators, design):
        name = gap.moderator.name
        mean = pm.Normal(f"mean_{name}", mu=gap.middle, sigma=_WIDE * gap.spread)
        sd = pm.HalfNormal(f"sd_{name}", sigma=_WIDE * gap.spread)
        pm.Normal(f"stated_{name}", mu=mean, sigma=sd, observed=gap.stated)
        values = mean + sd * pm.Normal(f"z_{name}", shape=len(gap.numbers))
        own = pt.as_tensor(columns[name][0])
        columns[name] = [pt.set_subtensor(own[gap.rows], values[gap.places])]
        natural = pt.set_subtensor(natural[gap.numbers], gap.natural(values))
    pm.Deterministic(IMPUTED, natural, dims="gap")
    stacked = [pt.as_tensor(column) for column in product_columns(moderators, columns)]
    return pt.stack(stacked, axis=1)


def draw_imputed(
    moderators: tuple[Moderator, ...],
    design: xr.Dataset,
    shape: tuple[int, ...],
    rng: np.random.Generator,
) -> Array:
    """Return draws (shape, gaps) of the imputed values before any outcome is seen.

    The stated values of the moderator are not drawn from: this is the prior alone.
    """
    drawn = np.empty((*shape, len(gap_names(design))))
    for gap in _gaps(moderators, design):
        mean = rng.normal(gap.middle, _WIDE * gap.spread, shape)
        sd = np.abs(rng.normal(0.0, _WIDE * gap.spread, shape))
        z = rng.standard_normal((*shape, len(gap.numbers)))
        drawn[..., gap.numbers] = gap.natural(mean[..., None] + sd[..., None] * z)
    return drawn


@dataclass(frozen=True)
class _Gap:
    """The gaps of one moderator.

    Attributes
    ----------
    moderator : Moderator
        Numeric.
    rows : array
        Findings without a value.
    places : array
        For each of them, which of `numbers` its value is: findings of one arm share it.
    numbers : array
        Positions among all imputed values.
    stated : array
        The values that there are, coded.
    """

    moderator: Moderator
    rows: NDArray[np.intp]
    places: NDArray[np.intp]
    numbers: NDArray[np.intp]
    stated: Array

    @property
    def middle(self) -> float:
        return float(self.stated.mean())

    @property
    def spread(self) -> float:
        return float(self.stated.std(ddof=1))

    def natural(self, values: Any) -> Any:
        """Return coded values in the unit of the evidence."""
        return self.moderator.origin + self.moderator.unit * values


def _gaps(moderators: tuple[Moderator, ...], design: xr.Dataset) -> list[_Gap]:
    columns = columns_of(moderators, design["x"].to_numpy())
    gaps = columns_of(moderators, design["gap"].to_numpy())
    found = []
    for each in main_effects(moderators):
        place = gaps[each.name][0]
        if place.max() < 0:
            continue
        rows = np.flatnonzero(place >= 0)
        numbers, places = np.unique(place[rows].astype(np.intp), return_inverse=True)
        found.append(_Gap(each, rows, places, numbers, columns[each.name][0][place < 0]))
    return found
