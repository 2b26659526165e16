"""A proposal near the posterior: tau over a grid, the rest by Laplace's method given tau."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from metacart.inference.density import Marginal
from metacart.modelling.design import data_of

__all__ = ["Proposal", "propose"]

Array = NDArray[np.float64]

_PILOT = 100  # draws a node that correct the grid over tau
_FREEDOM = 5.0  # degrees of freedom of the proposal
_GRID, _CELLS = 61, 2000  # nodes and cells of the grid over tau
_DEPTH = 20.0  # how far below its highest point the grid follows the posterior, in nats
_STEP = 0.02  # finite differences, in posterior SDs


@dataclass(frozen=True)
class Proposal:
    """Tau by cells of a grid, the other coordinates by a Student t given tau.

    Attributes
    ----------
    nodes : array (nodes,)
        The grid in the coordinate of tau; a single node without study effects.
    mode, spread : array (nodes, names) and (nodes, names, names)
        Of the other coordinates given tau; the spread is lower triangular.
    log_height : array (nodes,)
        Log posterior density of the coordinate of tau, but for a constant.
    """

    nodes: Array
    mode: Array
    spread: Array
    log_height: Array

    def draw(self, number: int, rng: np.random.Generator) -> tuple[Array, Array, Array]:
        """Return points (number, names), coordinates of tau and log densities (number)."""
        from scipy.interpolate import CubicSpline

        if len(self.nodes) == 1:
            t, log_density, low = np.repeat(self.nodes, number), np.zeros(number), 0
            mode, spread = self.mode[0], self.spread[0]
        else:
            edges = np.linspace(self.nodes[0], self.nodes[-1], _CELLS + 1)
            width = edges[1] - edges[0]
            height = CubicSpline(self.nodes, self.log_height)(0.5 * (edges[1:] + edges[:-1]))
            share = np.exp(height - height.max())
            share /= share.sum()
            cell = rng.choice(_CELLS, size=number, p=share)
            t = edges[cell] + width * rng.uniform(size=number)
            log_density = np.log(share[cell] / width)
            low = np.clip(np.searchsorted(self.nodes, t) - 1, 0, len(self.nodes) - 2)
            part = (t - self.nodes[low]) / (self.nodes[low + 1] - self.nodes[low])
            mode = _between(self.mode, low, part[:, None])
            spread = _between(self.spread, low, part[:, None, None])
        points, conditional = _draw_t(mode, spread, number, rng)
        return points, t, log_density + conditional


def propose(target: Marginal, rng: np.random.Generator) -> Proposal:
    """Return a proposal near the posterior.

    Parameters
    ----------
    target : Marginal
        The posterior.
    rng : Generator
        For the pilot draws that correct the grid.

    Returns
    -------
    Proposal
    """
    if target.tau is None:
        nodes = np.zeros(1)
        return Proposal(nodes, *_conditional(target, nodes))
    with np.errstate(divide="ignore"):
        ends = target.tau.position(target.tau.prior.quantile([1e-4, 1.0 - 1e-4]))
    low, high = float(ends[0]), float(ends[1])
    for _ in range(30):  # follow the posterior as far down as matters, on either side
        nodes = np.linspace(low, high, _GRID)
        mode, spread, height = _conditional(target, nodes)
        inside = np.flatnonzero(height > height.max() - _DEPTH)
        first, last = int(inside[0]), int(inside[-1])
        reach, step = high - low, nodes[1] - nodes[0]
        low = low - 0.5 * reach if first == 0 else nodes[first] - step
        high = high + 0.5 * reach if last == _GRID - 1 else nodes[last] + step
        if first > 0 and last < _GRID - 1 and last - first > _GRID // 2:
            break
    return _correct(target, Proposal(nodes, mode, spread, height), rng)


def _draw_t(
    mode: Array, spread: Array, number: int, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Student-t draws about `mode` with the triangular `spread`, and their log densities."""
    standard = rng.standard_normal((number, mode.shape[-1]))
    standard *= np.sqrt(_FREEDOM / rng.chisquare(_FREEDOM, size=number))[:, None]
    log_density = _log_t(standard) - np.log(np.diagonal(spread, axis1=-2, axis2=-1)).sum(-1)
    return mode + (spread @ standard[..., None])[..., 0], log_density


def _correct(target: Marginal, proposal: Proposal, rng: np.random.Generator) -> Proposal:
    """Replace the Laplace height of each node by its estimate from draws at that node."""
    from scipy.special import logsumexp

    each = np.repeat(np.arange(len(proposal.nodes)), _PILOT)
    points, log_proposal = _draw_t(proposal.mode[each], proposal.spread[each], len(each), rng)
    log_weight = target.log_density(points, proposal.nodes[each]) - log_proposal
    return replace(proposal, log_height=logsumexp(log_weight.reshape(-1, _PILOT), axis=1))


def _between(values: Array, low: NDArray[np.intp], part: Array) -> Array:
    return np.asarray((1.0 - part) * values[low] + part * values[low + 1])


def _log_t(standard: Array) -> Array:
    from scipy.special import gammaln

    size = standard.shape[1]
    constant = gammaln((_FREEDOM + size) / 2.0) - gammaln(_FREEDOM / 2.0)
    constant -= 0.5 * size * np.log(_FREEDOM * np.pi)
    squares = (standard**2).sum(axis=1)
    return np.asarray(constant - 0.5 * (_FREEDOM + size) * np.log1p(squares / _FREEDOM))


def _conditional(target: Marginal, t: Array) -> tuple[Array, Array, Array]:
    """Mode and spread of the other coordinates at each t, and the Laplace log density of t."""
    point, scale = _start(target, t)
    for _ in range(60):
        value, slope, bend = _differentiate(target, point, scale, t)
        # in these coordinates the posterior is near a standard normal one
        root, axes = np.linalg.eigh(-bend)
        root = np.maximum(np.abs(root), 1e-3)
        along = np.einsum("gji,gj->gi", axes, slope) / root
        step = np.einsum("gij,gj->gi", axes, along)
        length = np.linalg.norm(step, axis=1, keepdims=True)
        step = step * np.minimum(1.0, 3.0 / np.maximum(length, 1e-12))
        for _ in range(8):  # a step that goes down is halved
            moved = point + np.einsum("gij,gj->gi", scale, step)
            worse = target.log_density(moved, t) < value - 1e-9
            if not worse.any():
                break
            step[worse] *= 0.5
        point = np.where(worse[:, None], point, moved)
        spread = np.linalg.cholesky(
            np.einsum("gij,gjk,gk,glk,gml->gim", scale, axes, 1.0 / root, axes, scale)
        )
        done = np.abs(step).max() < 1e-4
        scale = spread
        if done:
            break
    height = value + np.log(np.diagonal(spread, axis1=1, axis2=2)).sum(-1)
    return point, spread, height


def _differentiate(
    target: Marginal, point: Array, scale: Array, t: Array
) -> tuple[Array, Array, Array]:
    """Value, gradient and Hessian in units of `scale` by central differences, all at once."""
    grid, size = point.shape
    unit = np.eye(size)
    pairs = [(i, j) for i in range(size) for j in range(i)]
    moves = [np.zeros(size), *(_STEP * unit), *(-_STEP * unit)]
    moves += [s * _STEP * (unit[i] + unit[j]) for i, j in pairs for s in (1.0, -1.0)]
    steps = np.asarray(moves)
    points = point[:, None, :] + np.einsum("gij,mj->gmi", scale, steps)
    values = target.log_density(points.reshape(-1, size), np.repeat(t, len(steps)))
    values = values.reshape(grid, len(steps))
    centre, up, down = values[:, 0], values[:, 1 : 1 + size], values[:, 1 + size : 1 + 2 * size]
    bend = np.zeros((grid, size, size))
    second = up + down - 2.0 * centre[:, None]
    bend[:, range(size), range(size)] = second
    for number, (i, j) in enumerate(pairs):
        both = values[:, 1 + 2 * size + 2 * number : 3 + 2 * size + 2 * number].sum(axis=1)
        cross = 0.5 * (both - 2.0 * centre - second[:, i] - second[:, j])
        bend[:, i, j] = bend[:, j, i] = cross
    return centre, (up - down) / (2.0 * _STEP), bend / _STEP**2


def _start(target: Marginal, t: Array) -> tuple[Array, Array]:
    """Weighted least squares at each t, with the priors as if they were normal."""
    coordinates, design = target.coordinates, target.design
    # quartiles in the coordinate stand for a prior that may have no variance
    quartiles = [each.position(each.prior.quantile([0.25, 0.5, 0.75])) for each in coordinates]
    middle = np.asarray([each[1] for each in quartiles])
    precision = np.asarray([(1.349 / (each[2] - each[0])) ** 2 for each in quartiles])
    columns = np.ones((design.sizes["finding"], len(coordinates)))
    columns[:, 1 : 1 + design.sizes["coefficient"]] = design["x"].to_numpy()
    columns[:, 1 + design.sizes["coefficient"] :] = 0.0
    estimate, variance = target.likelihood.approximate(data_of(design))
    tau = np.zeros(len(t)) if target.tau is None else target.tau.value(t)
    weight = 1.0 / (variance + tau[:, None] ** 2)
    normal = np.einsum("fi,gf,fj->gij", columns, weight, columns) + np.diag(precision)
    right = np.einsum("fi,gf,f->gi", columns, weight, estimate) + precision * middle
    covariance = np.linalg.inv(normal)
    return np.einsum("gij,gj->gi", covariance, right), np.linalg.cholesky(covariance)
