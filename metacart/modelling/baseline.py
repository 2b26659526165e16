"""Counts of two groups with the level of the control group integrated out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metacart.modelling.arms import Arm, log_choose, log_density, scores
from metacart.records.priors import Prior

__all__ = ["TABLE_STEP", "Groups", "draw_baseline", "evaluate", "tabulate"]

Array = NDArray[np.float64]

TABLE_STEP = 0.05  # of the table, in sinh
_REACH = 200.0  # how far it goes from its centre
_NODE, _COARSE, _FAR = 0.08, 0.2, 12.0  # steps of integrals and of draws, and how far they go
_NEGLIGIBLE = 40.0  # nats below the peak
_DRAWS = 1024  # drawn at once: they stay in the processor's cache


@dataclass(frozen=True)
class Groups:
    """Counts of two groups: the control group at level b, the exposed at b + eta.

    Attributes
    ----------
    exposed, control : Arm
        The counts; arrays (findings,).
    prior : Prior
        Of b, over all numbers; the same for all findings and independent.
    """

    exposed: Arm
    control: Arm
    prior: Prior

    def log_joint(self, b: Array, eta: Array) -> Array:
        """Return the log of likelihood times prior, but for the binomial coefficients."""
        counts = log_density(b, self.control) + log_density(b + eta, self.exposed)
        return np.asarray(counts + self.prior.logpdf(b))

    def integrated(self, eta: Array) -> tuple[Array, Array, Array]:
        """Return the log likelihood of eta (..., findings) without b, and two derivatives."""
        b, terms = self.terms(eta, _NODE)
        top = terms.max(axis=0)
        height = np.exp(terms - top)
        slope, bend = scores(b + eta, self.exposed)
        whole = height.sum(axis=0)
        first = (height * slope).sum(axis=0) / whole
        second = (height * (bend + (slope - first) ** 2)).sum(axis=0) / whole
        constant = log_choose(self.exposed) + log_choose(self.control)
        return constant + top + np.log(_NODE * whole), first, second

    def terms(self, eta: Array, step: float) -> tuple[Array, Array]:
        """Return values of b (nodes, ..., findings), and what to sum there, in logs.

        They lie in even steps of t with b = mode + width sinh(t), on which the trapezoid rule
        converges faster than any power of its step.
        """
        mode, width = self._peak(eta)
        found: dict[int, tuple[Array, Array]] = {}

        def look(node: int) -> Array:
            b = mode + width * np.sinh(node * step)
            term = self.log_joint(b, eta) + np.log(width * np.cosh(node * step))
            found[node] = b, term
            return np.asarray(term)

        lowest = look(0) - _NEGLIGIBLE
        for side in (1, -1):
            for number in range(1, round(_FAR / step) + 1):
                if (look(side * number) < lowest).all():
                    break
        nodes = [found[node] for node in sorted(found)]
        return np.stack([b for b, _ in nodes]), np.stack([term for _, term in nodes])

    def _peak(self, eta: Array) -> tuple[Array, Array]:
        """Return a mode of b given eta, and the SD of the normal density that curves like it."""
        low, middle, high = self.prior.quantile([0.25, 0.5, 0.75])
        wide = (high - low) / 1.349
        # a cumulative hazard above 1 comes down by one unit of b a step; so it starts there
        b = np.where(self.exposed.hazard, np.minimum(middle, -eta), middle)
        reach, last, step = np.full(eta.shape, 4.0 * wide), np.zeros(eta.shape), 1e-3 * wide
        for _ in range(100):
            below, here, above = (self.prior.logpdf(b + s) for s in (-step, 0.0, step))
            slope, bend = (above - below) / (2.0 * step), (above - 2.0 * here + below) / step**2
            # a prior with heavy tails is not concave there: it counts as a wide normal one
            bend = np.minimum(bend, -0.01 / wide**2)
            for part, bent in (scores(b, self.control), scores(b + eta, self.exposed)):
                slope, bend = slope + part, bend + bent
            # a step that turns back is halved, one that goes on may grow
            reach = reach * np.where(slope * last < 0.0, 0.5, 1.5)
            move, last = np.clip(-slope / bend, -reach, reach), slope
            b = b + move
            if np.max(move * move * -bend) < 1e-6:
                break
        return b, 1.0 / np.sqrt(-bend)


def tabulate(groups: Groups, centre: Array, spread: Array) -> Array:
    """Return the log likelihood of eta, b integrated out, as a table.

    Parameters
    ----------
    groups : Groups
        The counts.
    centre, spread : array (findings,)
        Where eta is by the counts alone, and its standard error.

    Returns
    -------
    array (findings, cells, 8)
        The left end and the width of each cell, and the coefficients of the polynomial there, in
        units of the width from the left end.

    Notes
    -----
    Value and two derivatives at knots centre + width sinh(s), with even steps of s, fix a quintic
    polynomial a cell: nats wrong in the ninth digit where the likelihood is within 20 nats of its
    peak. Beyond 200 units of eta it is linear.
    """
    width = np.minimum(spread, 1.0)
    number = int(np.ceil(np.arcsinh(_REACH / width.min()) / TABLE_STEP))
    knots = centre + width * np.sinh(TABLE_STEP * np.arange(-number, number + 1))[:, None]
    value, slope, bend = groups.integrated(knots)
    size = np.diff(knots, axis=0)
    cells = np.stack([knots[:-1], size, *_quintic(value, slope, bend, size)], axis=-1)
    nothing = np.zeros_like(centre)
    ends = [
        np.stack([knots[k], nothing + 1.0, value[k], slope[k], *4 * [nothing]], axis=-1)[None]
        for k in (0, -1)
    ]
    return np.ascontiguousarray(np.concatenate([ends[0], cells, ends[1]]).swapaxes(0, 1))


def _quintic(value: Array, slope: Array, bend: Array, size: Array) -> list[Array]:
    """Return the coefficients in u from 0 to 1 that join values and derivatives at both ends."""
    left, right = (
        (value[side], slope[side] * size, bend[side] * size**2)
        for side in (slice(None, -1), slice(1, None))
    )
    rise = right[0] - left[0]
    return [
        left[0],
        left[1],
        0.5 * left[2],
        10.0 * rise - 6.0 * left[1] - 4.0 * right[1] - 1.5 * left[2] + 0.5 * right[2],
        -15.0 * rise + 8.0 * left[1] + 7.0 * right[1] + 1.5 * left[2] - right[2],
        6.0 * rise - 3.0 * (left[1] + right[1]) - 0.5 * (left[2] - right[2]),
    ]


def evaluate(eta: Array, table: Array, *, derivative: int = 0) -> Array:
    """Return what a table holds at eta, or a derivative of it.

    Parameters
    ----------
    eta : array (..., findings)
        Contrasts.
    table : array (findings, cells, 8)
        From `tabulate`.
    derivative : {0, 1, 2}
        Which one.

    Returns
    -------
    array (..., findings)
    """
    eta = np.asarray(eta, dtype=np.float64)
    result = np.empty(np.broadcast_shapes(eta.shape, (len(table),)))
    number = table.shape[1] // 2  # of knots on either side of the centre, plus one
    for finding, cells in enumerate(table):
        x = eta[..., finding] if eta.shape[-1] > 1 else eta[..., 0]
        centre, width = cells[number, 0], cells[number, 1] / np.sinh(TABLE_STEP)
        steps = np.arcsinh((x - centre) / width) / TABLE_STEP
        at = np.clip(np.floor(steps) + number, 0, len(cells) - 1).astype(np.intp)
        left, size, *polynomial = cells[at].T
        for _ in range(derivative):
            polynomial = [k * each / size for k, each in enumerate(polynomial) if k]
        u, total = (x.T - left) / size, polynomial[-1]
        for coefficient in polynomial[-2::-1]:
            total = total * u + coefficient
        result[..., finding] = total.T
    return result


def draw_baseline(groups: Groups, eta: Array, rng: np.random.Generator) -> Array:
    """Draw b given eta.

    Parameters
    ----------
    groups : Groups
        The counts.
    eta : array (draws, findings)
        Contrasts.
    rng : Generator
        The random numbers.

    Returns
    -------
    array (draws, findings)

    Notes
    -----
    The distribution function is inverted on the nodes of the integral, the density linear between
    them.
    """
    result = np.empty(eta.shape)
    for start in range(0, len(eta), _DRAWS):
        rows = slice(start, start + _DRAWS)
        b, terms = groups.terms(eta[rows], _COARSE)
        height = np.exp(terms - terms.max(axis=0))
        ends = np.cumsum(0.5 * (height[1:] + height[:-1]), axis=0)
        target = rng.uniform(size=ends.shape[1:]) * ends[-1]
        cell = np.minimum((ends < target).sum(axis=0), len(ends) - 1)[None]
        rest = target - np.where(cell > 0, _at(ends, np.maximum(cell - 1, 0)), 0.0)
        left, right = _at(height, cell), _at(height, cell + 1)
        # the root in [0, 1] of left f + (right - left) f² / 2 = rest, also where ends are equal
        root = np.sqrt(np.maximum(left**2 + 2.0 * (right - left) * rest, 0.0))
        share = np.clip(2.0 * rest / np.maximum(left + root, np.finfo(float).tiny), 0.0, 1.0)
        low, high = _at(b, cell), _at(b, cell + 1)
        result[rows] = (low + share * (high - low))[0]
    return result


def _at(values: Array, position: NDArray[np.intp]) -> Array:
    return np.take_along_axis(values, position, axis=0)
