"""A proposal near the posterior: tau over a grid, the rest by Laplace's method given tau."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from metacart.inference.density import Marginal
from metacart.inference.origins import certain_designs
from metacart.inference.student_t import log_t, standard_t, standardized
from metacart.modelling.design import data_of

__all__ = ["Mixture", "NoProposalError", "conditional_modes", "propose", "start_of"]

Array = NDArray[np.float64]

_PILOT = 50  # draws a node that correct the grid over tau
_MANY, _FEW = 1000, 25  # from so many studies on, whose posterior is near normal, so many do
_SEARCH, _GRID, _CELLS = 25, 61, 2000  # nodes to find tau's range, nodes and cells of the grid
_DEPTH = 20.0  # how far below its highest point the grid follows the posterior, in nats
_STEP = 0.02  # finite differences, in posterior SDs
_WIDER = 1.6  # times as wide for further spreads: towards 0 their logarithm has a long tail
_DEFENCE, _FAR, _BEYOND = 0.2, 2.5, 1.2  # with them a share of draws from so much farther away
_SAME = 0.3  # two modes nearer than so many posterior SDs are one
# normal effects, a log-concave likelihood and these priors leave one mode (Prékopa 1973)
_LOG_CONCAVE = frozenset(
    ["Normal", "Laplace", "Logistic", "TruncatedNormal", "Uniform", "HalfNormal", "Exponential"]
)


class NoProposalError(Exception):
    """The posterior has no height anywhere on the grid."""


@dataclass(frozen=True)
class _Component:
    """About one mode: tau by cells of a grid, the other coordinates by a Student t given tau.

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

    def _cells(self) -> tuple[Array, Array, float]:
        """Edges of the cells, the log share of each, and the log of their sum."""
        from scipy.interpolate import CubicSpline
        from scipy.special import logsumexp

        edges = np.linspace(self.nodes[0], self.nodes[-1], _CELLS + 1)
        height = CubicSpline(self.nodes, self.log_height)(0.5 * (edges[1:] + edges[:-1]))
        whole = float(logsumexp(height))
        return edges, height - whole, whole + float(np.log(edges[1] - edges[0]))

    @property
    def log_mass(self) -> float:
        """Log of the posterior mass about this mode, approximately."""
        return float(self.log_height[0]) if len(self.nodes) == 1 else self._cells()[2]

    def draw(self, number: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return points (number, names) and coordinates of tau (number)."""
        if len(self.nodes) == 1:
            t = np.repeat(self.nodes, number)
        else:
            edges, share, _ = self._cells()
            cell = rng.choice(_CELLS, size=number, p=np.exp(share) / np.exp(share).sum())
            t = edges[cell] + (edges[1] - edges[0]) * rng.uniform(size=number)
        mode, spread = self._given(t)
        return mode + (spread @ standard_t(mode.shape, rng)[..., None])[..., 0], t

    def log_density(self, points: Array, t: Array) -> Array:
        """Return the log density of points (draws, names) and coordinates of tau (draws)."""
        mode, spread = self._given(t)
        standard = standardized(spread, points - mode)
        density = log_t(standard) - np.log(np.diagonal(spread, axis1=-2, axis2=-1)).sum(-1)
        if len(self.nodes) == 1:
            return np.asarray(density)
        edges, share, _ = self._cells()
        width = edges[1] - edges[0]
        cell = np.floor((t - edges[0]) / width).astype(int)
        inside = (t >= edges[0]) & (t <= edges[-1])
        tau = share[np.clip(cell, 0, _CELLS - 1)] - np.log(width)
        return np.where(inside, density + tau, -np.inf)

    def _given(self, t: Array) -> tuple[Array, Array]:
        if len(self.nodes) == 1:
            number = len(t)
            return np.repeat(self.mode, number, axis=0), np.repeat(self.spread, number, axis=0)
        return _between(self.nodes, self.mode, t), _between(self.nodes, self.spread, t)

    def widened(self, widths: Array) -> _Component:
        """Return it with the spread of each coordinate so many times as wide."""
        return replace(self, spread=widths[:, None] * self.spread)

    def corrected(self, target: Marginal, rng: np.random.Generator) -> _Component:
        """Return it with the height of each node estimated from draws at that node."""
        from scipy.special import logsumexp

        number = _PILOT if target.design.sizes["study"] < _MANY else _FEW
        each = np.repeat(np.arange(len(self.nodes)), number)
        mode, spread = self.mode[each], self.spread[each]
        standard = standard_t(mode.shape, rng)
        points = mode + (spread @ standard[..., None])[..., 0]
        log_weight = target.log_density(points, self.nodes[each], coarse=True) - log_t(standard)
        log_weight += np.log(np.diagonal(spread, axis1=-2, axis2=-1)).sum(-1)
        height = logsumexp(log_weight.reshape(-1, number), axis=1) - np.log(number)
        # a node without any height would leave no curve through the others
        return replace(self, log_height=np.maximum(height, height.max() - 2.0 * _DEPTH))


@dataclass(frozen=True)
class Mixture:
    """A proposal of one component a mode.

    Attributes
    ----------
    components : tuple
        Each with ``draw`` and ``log_density``.
    share : array (components,)
        How much of the draws each has.
    """

    components: tuple[_Component, ...]
    share: Array

    def draw(self, number: int, rng: np.random.Generator) -> tuple[Array, Array, Array]:
        """Return points (number, names), coordinates of tau and log densities (number)."""
        from scipy.special import logsumexp

        counts = rng.multinomial(number, self.share)
        drawn = [
            each.draw(int(count), rng) for each, count in zip(self.components, counts, strict=True)
        ]
        points, t = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
        densities = [
            np.log(share) + each.log_density(points, t)
            for each, share in zip(self.components, self.share, strict=True)
        ]
        return points, t, np.asarray(logsumexp(densities, axis=0))


def propose(target: Marginal, rng: np.random.Generator) -> Mixture:
    """Return a proposal near the posterior.

    Parameters
    ----------
    target : Marginal
        The posterior.
    rng : Generator
        For the pilot draws that correct the grid.

    Returns
    -------
    Mixture

    Raises
    ------
    NoProposalError
        Where the posterior cannot be computed anywhere.
    """
    from scipy.special import softmax

    components: list[_Component] = []
    log_mass: list[float] = []
    # with inferred origins each way that they may be has a posterior of its own shape
    for design, log_share in certain_designs(target.design):
        certain = replace(target, design=design)
        found = _components(certain, rng)
        components += found
        log_mass += [each.log_mass + log_share for each in found]
    share = softmax(log_mass)
    kept = share > 1e-6
    proposal = Mixture(
        tuple(each for each, keep in zip(components, kept, strict=True) if keep),
        share[kept] / share[kept].sum(),
    )
    return _defended(proposal, target)


def _defended(proposal: Mixture, target: Marginal) -> Mixture:
    """Return it with wider components beside its own, where there are further spreads.

    What lies in their long tails then weighs little more than all else (Hesterberg 1995).
    """
    further = [name.startswith("tau") for name in target.names]
    if not any(further):
        return proposal
    widths = np.where(further, _FAR, _BEYOND)
    return Mixture(
        proposal.components + tuple(each.widened(widths) for each in proposal.components),
        np.concatenate([(1.0 - _DEFENCE) * proposal.share, _DEFENCE * proposal.share]),
    )


def _components(target: Marginal, rng: np.random.Generator) -> list[_Component]:
    """Return a component for each mode that is found."""
    components: list[_Component] = []
    for first in _first(target):
        found = _followed(target, first)
        if not any(_same(found, other) for other in components):
            components.append(found)
    widths = np.asarray([_WIDER if name.startswith("tau") else 1.0 for name in target.names])
    return [each.widened(widths).corrected(target, rng) for each in components]


def _shifts(target: Marginal) -> list[float]:
    """Return how far from the weighted mean of the studies modes of mu are looked for.

    Under Student-t effects mu can sit on one cluster of studies and leave the others in the
    tails; a heavy-tailed prior can hold it against the data.
    """
    mu = target.coordinates[0].prior
    families = {each.prior.name for each in target.coordinates}
    if mu.location is None or (
        target.spec.random_effects != "student_t" and families <= _LOG_CONCAVE
    ):
        return [0.0]
    t = np.zeros(1)
    if target.tau is not None:
        t = target.tau.position(target.tau.prior.quantile([0.5]))
    named = target.parameters(start_of(target, t)[0], t)
    estimate, _ = target.likelihood.approximate(data_of(target.design))
    residual = estimate - named["mu"][0]
    if "beta" in named:
        residual = residual - target.design["x"].to_numpy() @ named["beta"][0]
    prior = float(mu.quantile(0.5) - named["mu"][0])
    return [0.0, prior, *np.quantile(residual, [0.0, 0.25, 0.5, 0.75, 1.0]).tolist()]


def _first(target: Marginal) -> list[_Component]:
    """Return what each start finds on a coarse grid, but for what is found twice or never drawn."""
    shifts = _shifts(target)
    nodes = np.zeros(1)
    if target.tau is not None:
        ends = target.tau.position(target.tau.prior.quantile([1e-4, 1.0 - 1e-4]))
        low, high = np.clip(ends, -200.0, 200.0).tolist()
        nodes = np.linspace(low, high, _SEARCH)
    point, scale = start_of(target, nodes)
    t, starts = np.tile(nodes, len(shifts)), np.tile(point, (len(shifts), 1))
    starts[:, 0] += np.repeat(shifts, len(nodes))
    modes = conditional_modes(target, t, starts, np.tile(scale, (len(shifts), 1, 1)))
    parts = zip(*(np.split(values, len(shifts)) for values in modes), strict=True)
    found = [_Component(nodes, *part) for part in parts]
    best = max(float(each.log_height.max()) for each in found)
    distinct: list[_Component] = []
    for each in found:
        matters = each.log_height > best - 2.0 * _DEPTH
        if matters.any() and not any(_same(each, other, matters) for other in distinct):
            distinct.append(each)
    return distinct or found[:1]


def _same(one: _Component, other: _Component, matters: NDArray[np.bool_] | None = None) -> bool:
    mode = _between(other.nodes, other.mode, one.nodes) if len(one.nodes) > 1 else other.mode
    inside = (one.nodes >= other.nodes[0]) & (one.nodes <= other.nodes[-1])
    inside = inside if matters is None else inside & matters
    distance = standardized(one.spread, one.mode - mode)
    return bool(inside.any() and np.abs(distance[inside]).max() < _SAME)


def _followed(target: Marginal, before: _Component) -> _Component:
    """Return a component on a fine grid as far down as matters, on either side."""
    if len(before.nodes) == 1:
        return before
    for _ in range(40):
        nodes, height = before.nodes, before.log_height
        if not np.isfinite(height.max()):
            raise NoProposalError("the posterior is zero wherever it was looked for")
        inside = np.flatnonzero(height > height.max() - _DEPTH)
        first, last = int(inside[0]), int(inside[-1])
        reach, step = nodes[-1] - nodes[0], nodes[1] - nodes[0]
        low = nodes[0] - 0.5 * reach if first == 0 else nodes[first] - step
        high = nodes[-1] + 0.5 * reach if last == _SEARCH - 1 else nodes[last] + step
        if first > 0 and last < _SEARCH - 1 and last - first > _SEARCH // 2:
            break
        before = _onto(target, before, np.linspace(low, high, _SEARCH))
    return _onto(target, before, np.linspace(low, high, _GRID))


def _onto(target: Marginal, before: _Component, nodes: Array) -> _Component:
    """Return a component on another grid, its modes searched from those of the one before."""
    start = (_between(before.nodes, each, nodes) for each in (before.mode, before.spread))
    return _Component(nodes, *conditional_modes(target, nodes, *start))


def _between(nodes: Array, values: Array, t: Array) -> Array:
    """Values at t, linear between the nodes and constant beyond them."""
    place = np.clip(t, nodes[0], nodes[-1])
    low = np.clip(np.searchsorted(nodes, place) - 1, 0, len(nodes) - 2)
    part = (place - nodes[low]) / (nodes[low + 1] - nodes[low])
    part = part.reshape(-1, *[1] * (values.ndim - 1))
    return np.asarray((1.0 - part) * values[low] + part * values[low + 1])


def conditional_modes(
    target: Marginal, t: Array, point: Array, scale: Array
) -> tuple[Array, Array, Array]:
    """Mode and spread of the other coordinates at each t, and the Laplace log density of t."""
    point, scale, height = point.copy(), scale.copy(), np.empty(len(t))
    moving = np.arange(len(t))
    for _ in range(60):
        at, old, unit = t[moving], point[moving], scale[moving]
        value, slope, bend = _differentiate(target, old, unit, at)
        # in these coordinates the posterior is near a standard normal one
        root, axes = np.linalg.eigh(-bend)
        root = np.maximum(np.abs(root), 1e-3)
        along = np.einsum("gji,gj->gi", axes, slope) / root
        step = np.einsum("gij,gj->gi", axes, along)
        length = np.linalg.norm(step, axis=1, keepdims=True)
        step = step * np.minimum(1.0, 3.0 / np.maximum(length, 1e-12))
        tried = np.arange(len(moving))
        for _ in range(8):  # a step that goes down is halved
            moved = old[tried] + np.einsum("gij,gj->gi", unit[tried], step[tried])
            now = target.log_density(moved, at[tried], coarse=True)
            tried = tried[now < value[tried] - 1e-9]
            if not len(tried):
                break
            step[tried] *= 0.5
        step[tried] = 0.0
        point[moving] = old + np.einsum("gij,gj->gi", unit, step)
        spread = np.linalg.cholesky(
            np.einsum("gij,gjk,gk,glk,gml->gim", unit, axes, 1.0 / root, axes, unit)
        )
        scale[moving] = spread
        height[moving] = value + np.log(np.diagonal(spread, axis1=1, axis2=2)).sum(-1)
        moving = moving[np.abs(step).max(axis=1) >= 1e-2]
        if not len(moving):
            break
    return point, scale, height


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
    t = np.repeat(t, len(steps))
    values = target.log_density(points.reshape(-1, size), t, coarse=True)
    values = values.reshape(grid, len(steps))
    centre, up, down = values[:, 0], values[:, 1 : 1 + size], values[:, 1 + size : 1 + 2 * size]
    bend = np.zeros((grid, size, size))
    second = up + down - 2.0 * centre[:, None]
    bend[:, range(size), range(size)] = second
    for number, (i, j) in enumerate(pairs):
        both = values[:, 1 + 2 * size + 2 * number : 3 + 2 * size + 2 * number].sum(axis=1)
        cross = 0.5 * (both - 2.0 * centre - second[:, i] - second[:, j])
        bend[:, i, j] = bend[:, j, i] = cross
    slope = (up - down) / (2.0 * _STEP)
    broken = ~(np.isfinite(slope).all(axis=1) & np.isfinite(bend).all(axis=(1, 2)))
    slope[broken], bend[broken] = 0.0, -(_STEP**2) * np.eye(size)
    return centre, slope, bend / _STEP**2


def start_of(target: Marginal, t: Array) -> tuple[Array, Array]:
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
