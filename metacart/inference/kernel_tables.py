"""Compiled readings of log likelihoods that are kept as tables."""

from __future__ import annotations

import numpy as np

from metacart.inference.arrays import LANES, POLYNOMIALS, Array, Findings, Scratch
from metacart.inference.spline_table import REACH, STEP
from metacart.inference.vectors import compiled, log
from metacart.modelling.baseline import TABLE_STEP

__all__ = ["add_polynomials", "add_splines", "place_of"]


@compiled
def place_of(some: Findings, scratch: Scratch, finding: int, k: int, z: Array) -> None:
    """Find the asinh of distances from a finding (`spare[1]`)."""
    linear, tau, within = scratch.linear[k], scratch.tau[k], scratch.within
    spread, place = scratch.spare[0], scratch.spare[1]
    estimate, variance = some.estimate[finding], some.variance[finding]
    polynomials = some.kinds[finding] == POLYNOMIALS
    if polynomials:  # in units of the width of the table
        cells = some.tables[finding, 0]
        number = cells.shape[0] // 2
        estimate = cells[number, 0]
        width = cells[number, 1] / np.sinh(TABLE_STEP)
        for lane in range(LANES):
            spread[lane] = width
    else:
        for lane in range(LANES):
            spread[lane] = np.sqrt(variance + within[lane] * within[lane])
    for lane in range(LANES):
        far = (linear[lane] + tau[lane] * z[lane] - estimate) / spread[lane]
        size = abs(far)
        grown = log(size + np.sqrt(size * size + 1.0))
        place[lane] = grown if far >= 0.0 else -grown


@compiled
def add_polynomials(
    some: Findings, scratch: Scratch, finding: int, k: int, derivative: int, z: Array, out: Array
) -> None:
    """Add what the polynomial of each cell says, or a derivative."""
    linear, tau, place = scratch.linear[k], scratch.tau[k], scratch.spare[1]
    cells = some.tables[finding, 0]
    number, last = cells.shape[0] // 2, cells.shape[0] - 1
    for lane in range(LANES):
        at = min(max(int(np.floor(place[lane] / TABLE_STEP)) + number, 0), last)
        size = cells[at, 1]
        u = (linear[lane] + tau[lane] * z[lane] - cells[at, 0]) / size
        if derivative == 0:
            total = cells[at, 7]
            for j in range(6, 1, -1):
                total = total * u + cells[at, j]
        elif derivative == 1:
            total = 5.0 * cells[at, 7]
            for j in range(6, 2, -1):
                total = total * u + (j - 2.0) * cells[at, j]
            total /= size
        else:
            total = 20.0 * cells[at, 7]
            for j in range(6, 3, -1):
                total = total * u + (j - 2.0) * (j - 3.0) * cells[at, j]
            total /= size * size
        out[lane] += total


@compiled
def _weight(t: float, k: int) -> float:
    """Return the weight of the k-th of four neighbours of a cubic spline."""
    if k == 0:
        return (1.0 - t) ** 3 / 6.0
    if k == 1:
        return (4.0 - 6.0 * t * t + 3.0 * t**3) / 6.0
    if k == 2:
        return (1.0 + 3.0 * t + 3.0 * t * t - 3.0 * t**3) / 6.0
    return t**3 / 6.0


@compiled
def add_splines(
    some: Findings, scratch: Scratch, finding: int, derivative: int, out: Array
) -> None:
    """Add what the spline says; beyond its ends as there."""
    within, place = scratch.within, scratch.spare[1]
    table = some.tables[finding, derivative]
    rows, columns = table.shape[0] - 1, table.shape[1] - 1
    low, high = some.ends[0], some.ends[1]
    for lane in range(LANES):
        row = (log(max(within[lane], 1e-300)) - low) * rows / (high - low)
        row = min(max(row, 0.0), float(rows))
        column = min(max((place[lane] + REACH) / STEP, 0.0), float(columns))
        i, j = int(row), int(column)
        total = 0.0
        for k in range(4):
            r = abs(i + k - 1)
            r = r if r <= rows else 2 * rows - r
            part = 0.0
            for m in range(4):
                c = abs(j + m - 1)
                c = c if c <= columns else 2 * columns - c
                part += _weight(column - j, m) * table[r, c]
            total += _weight(row - i, k) * part
        out[lane] += min(total, 0.0) if derivative == 2 else total
