"""Integrals over the few effects of a study: nodes that follow the integrand."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from metacart.modelling.likelihood import Array

__all__ = ["log_integral"]

_NODES = {1: 21, 2: 11, 3: 7, 4: 5, 5: 4}  # a dimension
# the rows of a lower triangular factor L of the curvature, L L'
Root = list[list[Array]]

_STEP, _ROUNDS, _FAR = 1e-3, 8, 4.0


def log_integral(log_value: Callable[[Array], Array], shape: tuple[int, ...], size: int) -> Array:
    """Return log ∫ exp(log_value(e)) φ(e) de over standard normal effects e.

    Parameters
    ----------
    log_value : callable
        From effects of shape (*shape, size): the log of the integrand, of `shape`; smooth and
        concave, as the log likelihood of counts is.
    shape : tuple of int
        How many integrals.
    size : int
        The number of effects of each.

    Returns
    -------
    array of `shape`

    Notes
    -----
    Adaptive Gauss-Hermite quadrature (Naylor and Smith 1982), the product rule about the mode of
    each integrand, turned and scaled by its curvature there: 21 nodes for one effect, 11² for two,
    7³ for three.
    """

    def total(e: Array) -> Array:
        return np.asarray(log_value(e) - 0.5 * (e**2).sum(axis=-1))

    e = np.zeros((*shape, size))
    for _ in range(_ROUNDS):
        slope, root = _derivatives(total, e)
        move = _back(root, _forward(root, slope))
        length = np.sqrt((move**2).sum(axis=-1, keepdims=True))
        e = e + move * np.minimum(1.0, _FAR / np.maximum(length, 1e-12))
        if not np.any(length > 1e-2):
            break
    _, root = _derivatives(total, e)
    nodes, log_weights = _rule(size)
    terms = [
        total(e + _back(root, np.broadcast_to(node, e.shape))) + weight
        for node, weight in zip(nodes, log_weights, strict=True)
    ]
    top = np.max(terms, axis=0)
    log_sum = top + np.log(np.sum([np.exp(term - top) for term in terms], axis=0))
    log_volume = -sum(np.log(root[k][k]) for k in range(size))
    return np.asarray(log_sum + log_volume - 0.5 * size * np.log(2.0 * np.pi))


def _derivatives(function: Callable[[Array], Array], at: Array) -> tuple[Array, Root]:
    """Return the slope, and the root of the curvature, by differences.

    They place nodes, and decide no value.
    """
    size = at.shape[-1]
    middle = function(at)
    steps = _STEP * np.eye(size)
    up, down = ([function(at + sign * step) for step in steps] for sign in (1.0, -1.0))
    slope = np.stack([(a - b) / (2.0 * _STEP) for a, b in zip(up, down, strict=True)], axis=-1)
    root: Root = []
    for i in range(size):
        row: list[Array] = []
        for j in range(i + 1):
            if i == j:
                entry = (2.0 * middle - up[i] - down[i]) / _STEP**2
            else:
                both = function(at + steps[i] + steps[j])
                entry = (up[i] + up[j] - middle - both) / _STEP**2
            entry = entry - sum(a * b for a, b in zip(row, root[j] if j < i else row, strict=False))
            # differences lose digits: never flatter than the effects alone, whose pivots are 1
            row.append(np.sqrt(np.maximum(entry, 1.0)) if i == j else entry / root[j][j])
        root.append(row)
    return slope, root


def _forward(root: Root, right: Array) -> Array:
    """Return the solution of L x = right."""
    solved: list[Array] = []
    for k, row in enumerate(root):
        known = sum(entry * x for entry, x in zip(row[:-1], solved, strict=True))
        solved.append((right[..., k] - known) / row[-1])
    return np.stack(solved, axis=-1)


def _back(root: Root, right: Array) -> Array:
    """Return the solution of L' x = right."""
    size = len(root)
    solved: dict[int, Array] = {}
    for k in reversed(range(size)):
        known = sum(root[i][k] * solved[i] for i in range(k + 1, size))
        solved[k] = (right[..., k] - known) / root[k][k]
    return np.stack([solved[k] for k in range(size)], axis=-1)


@cache
def _rule(size: int) -> tuple[Array, Array]:
    """Return nodes (number, size) and the log weights of ∫ f(z) dz."""
    x, w = np.polynomial.hermite_e.hermegauss(_NODES.get(size, 3))
    nodes = np.array(np.meshgrid(*[x] * size)).reshape(size, -1).T
    return nodes, np.asarray(np.log(w)[np.searchsorted(x, nodes)] + 0.5 * nodes**2).sum(axis=-1)
