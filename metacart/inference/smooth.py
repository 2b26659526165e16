"""The posterior of very many studies at very many draws: a polynomial that is checked."""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from metacart.inference.density import Marginal

__all__ = ["total_log_likelihood"]

Array = NDArray[np.float64]

_DEGREE, _INSIDE = 4, 4.0  # of the polynomial, and how many SDs out it is asked
_EACH, _CHECKED = 3, 100  # points a coefficient that fix it, and points that try it
_CLOSE = 1e-3  # nats by which it may miss any of these


def total_log_likelihood(target: Marginal, points: Array, t: Array) -> Array:
    """Return the log likelihood of all studies, most of it from a polynomial; shape (draws).

    Parameters
    ----------
    target : Marginal
        The posterior.
    points, t : array (draws, names) and (draws,)
        Coordinates of the parameters, and of tau, around the posterior.

    Returns
    -------
    array (draws,)

    Notes
    -----
    About the posterior of n studies the log likelihood differs from a polynomial of the fourth
    degree by the order of n^(-3/2). One is fitted by least squares to draws within four SDs in each
    coordinate, and tried on a hundred others, half of either the outermost. Where it misses none
    by 0.001 it stands for the rest; draws farther out, and all where it misses one, are integrated
    themselves.
    """
    at = np.column_stack([points, t])
    middle = np.median(at, axis=0)
    low, high = np.quantile(at, [0.16, 0.84], axis=0)
    unit = np.where(high > low, 0.5 * (high - low), 1.0)
    scaled = (at - middle) / unit
    far = np.abs(scaled).max(axis=1)
    powers = [
        chosen
        for degree in range(_DEGREE + 1)
        for chosen in combinations_with_replacement(range(at.shape[1]), degree)
    ]
    inside = np.flatnonzero(far <= _INSIDE)
    inside = inside[np.argsort(far[inside], kind="stable")]
    needed = _EACH * len(powers)
    if len(inside) < 2 * (needed + _CHECKED):
        return target.total_log_likelihood(points, t)
    fixing = _spread(inside, needed)
    trying = _spread(inside[~np.isin(inside, fixing)], _CHECKED)
    known = np.concatenate([np.flatnonzero(far > _INSIDE), fixing, trying])
    result = np.full(len(t), np.nan)
    result[known] = target.total_log_likelihood(points[known], t[known])

    def columns(rows: NDArray[np.intp]) -> Array:
        return np.stack([scaled[rows][:, list(each)].prod(axis=1) for each in powers], axis=1)

    level, rest = result[fixing].max(), np.flatnonzero(np.isnan(result))
    missed = np.inf
    if np.isfinite(result[fixing]).all():
        weights, *_ = np.linalg.lstsq(columns(fixing), result[fixing] - level, rcond=None)
        missed = np.abs(columns(trying) @ weights + level - result[trying]).max()
    if missed <= _CLOSE:
        result[rest] = columns(rest) @ weights + level
    else:
        result[rest] = target.total_log_likelihood(points[rest], t[rest])
    return result


def _spread(rows: NDArray[np.intp], number: int) -> NDArray[np.intp]:
    """Return some of the rows, from the innermost to the outermost: half of them the last."""
    last = number // 2
    even = np.linspace(0, len(rows) - last - 1, number - last).astype(np.intp)
    return np.concatenate([rows[even], rows[len(rows) - last :]])
