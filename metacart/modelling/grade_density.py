"""The density of tables of grades: cumulative logits, band by band as conditional binomials.

P(Y ≥ g) = logit⁻¹(u − κ₁ − e^w (κ_g − κ₁)). Of the patients who reach a band those beyond it are
binomial; the product over the bands is the multinomial density. What takes `xp` works on arrays
(numpy) and in a graph (pytensor.tensor).
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from metacart.modelling.arms import Arm, log_choose, logit_density
from metacart.modelling.likelihood import Array

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Bands", "bands_of", "between", "cut_distances", "density", "log_odds_beyond"]

_LEAST = 1e-300  # cuts nearer than this are one; its logarithm is still a number


class Bands(NamedTuple):
    """The bands of tables of grades: which cuts lie below and above each.

    Attributes
    ----------
    system : array of int
        0 for ASTCT or Lee, else which of the systems that move a cut.
    lower, upper : array of int
        Positions among the five cuts; of the lowest and the highest band any.
    inner : array of float
        1 where a cut lies below the band.
    open : array of float
        1 where a cut lies above it.
    beyond, reach : array of int
        Patients above the band, and of the band or above.
    group : array of int
        The study.
    """

    system: Any
    lower: Any
    upper: Any
    inner: Any
    open: Any
    beyond: Any
    reach: Any
    group: Any

    def of(self, rows: Any) -> Bands:
        """Return some of the bands."""
        return Bands(*(values[rows] for values in self))


def bands_of(design: xr.Dataset) -> Bands:
    """Return the bands of a design."""
    first, last = design["grade_from"].to_numpy(), design["grade_to"].to_numpy()
    return Bands(
        system=design["system"].to_numpy()[design["of_table"].to_numpy()],
        lower=np.maximum(first - 1, 0),
        upper=np.minimum(last, 4),
        inner=(first > 0).astype(np.float64),
        open=(last < 5).astype(np.float64),
        beyond=design["beyond"].to_numpy(),
        reach=design["reach"].to_numpy(),
        group=design["group"].to_numpy(),
    )


def cut_distances(gap: Any, shift: Any | None, others: int, xp: ModuleType) -> Any:
    """Return κ_g − κ₁ of each grading system, of shape (..., systems, 5).

    Parameters
    ----------
    gap : array (..., 4)
        Distances between neighbouring cuts, by ASTCT or Lee.
    shift : array (..., others) or None
        By how much each other system moves the cut between grades 2 and 3: the log ratio of the
        gaps on both sides of it is larger by that, so that it stays between its neighbours.
    others : int
        How many other systems there are.
    xp : module
        numpy or pytensor.tensor.
    """
    steps = [gap[..., position] for position in range(4)]
    moves = [0.0 * steps[0]]
    if shift is not None:
        moves += [shift[..., each] for each in range(others)]
    both = steps[1] + steps[2]
    rows = []
    for move in moves:
        odds = xp.exp(xp.log(steps[1]) - xp.log(steps[2]) + move)
        third = steps[0] + both * odds / (1.0 + odds)
        fourth = steps[0] + both
        cuts = [0.0 * steps[0], steps[0], third, fourth, fourth + steps[3]]
        rows.append(xp.stack(cuts, axis=-1))
    return xp.stack(rows, axis=-2)


def between(distance: Any, bands: Bands) -> tuple[Any, Any]:
    """Return the distances of the cuts below and above each band, from `cut_distances`."""
    lower, upper = (distance[..., bands.system, cut] for cut in (bands.lower, bands.upper))
    return lower, upper


def log_odds_beyond(
    location: Any, spread: Any, cuts: tuple[Any, Any], bands: Bands, xp: ModuleType
) -> Any:
    """Return the log odds, among patients who reach each band, to be beyond it.

    Parameters
    ----------
    location : array (..., bands)
        u − κ₁ of the study of each band.
    spread : array (..., bands)
        e^w.
    cuts : tuple of array (..., bands)
        From `between`.
    bands : Bands
        Which of them are the lowest.
    xp : module
        numpy or pytensor.tensor.

    Notes
    -----
    With a and b the linear predictors at the cuts below and above, S(b) / (S(a) − S(b)) has the
    logarithm b + log(1 + e^−a) − log(1 − e^(b − a)), which loses no digit in either tail.
    """
    lower, upper = cuts
    above = location - spread * upper
    width = xp.maximum(spread * (upper - lower), _LEAST)
    below = location - spread * lower
    softplus = xp.maximum(-below, 0.0) + xp.log1p(xp.exp(-xp.abs(below)))
    return above + bands.inner * (softplus - xp.log(-xp.expm1(-width)))


def density(level: Array, bands: Bands) -> Array:
    """Return the log probability of those beyond each band among those who reach it.

    Over the bands of a table it sums to the log density of the multinomial counts.
    """
    counts = Arm(bands.beyond, bands.reach, np.zeros(1, dtype=bool))
    known = logit_density(level, bands.beyond, bands.reach) + log_choose(counts)
    return np.asarray(known * bands.open)
