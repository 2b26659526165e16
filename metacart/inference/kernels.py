"""Compiled code of the rules in `quadrature`, for the likelihoods that it knows.

Each function works on `LANES` draws of one study side by side, in loops that become vector
instructions; a loop that writes more than one array or two would not.
"""

from __future__ import annotations

import numpy as np

from metacart.inference.arrays import (
    BINOMIAL,
    LANES,
    NORMAL,
    POLYNOMIALS,
    Array,
    Block,
    Findings,
    Ints,
    Scratch,
)
from metacart.inference.kernel_tables import add_polynomials, add_splines, place_of
from metacart.inference.vectors import compiled, exp, inlined, log, log1p

__all__ = ["load", "log_integrand", "peaks"]


@inlined
def load(some: Findings, block: Block, scratch: Scratch, study: int, rows: Ints) -> None:
    """Bring the findings of a study at some draws side by side; the last draw fills up."""
    linear, tau, within = scratch.linear, scratch.tau, scratch.within
    first, last = some.starts[study], some.starts[study + 1]
    each = block.tau.shape[1] > 1
    for lane in range(LANES):
        row = rows[min(lane, rows.size - 1)]
        within[lane] = block.within[row]
        for k in range(last - first):
            linear[k, lane] = block.linear[row, first + k]
            tau[k, lane] = block.tau[row, first + k if each else 0]


@compiled
def add_values(
    some: Findings, scratch: Scratch, finding: int, k: int, z: Array, out: Array
) -> None:
    """Add the log likelihood of a finding, the k-th of its study, at each effect z."""
    linear, tau = scratch.linear[k], scratch.tau[k]
    kind = some.kinds[finding]
    a, b, c = some.columns[finding, 0], some.columns[finding, 1], some.columns[finding, 2]
    if kind == BINOMIAL:
        for lane in range(LANES):
            v = linear[lane] + tau[lane] * z[lane]
            out[lane] += c + (a * v - b * (max(v, 0.0) + log1p(exp(-abs(v)))))
    elif kind == NORMAL:
        for lane in range(LANES):
            far = (a - linear[lane] - tau[lane] * z[lane]) * b
            out[lane] += c - 0.5 * far * far
    else:
        place_of(some, scratch, finding, k, z)
        if kind == POLYNOMIALS:
            add_polynomials(some, scratch, finding, k, 0, z, out)
        else:
            add_splines(some, scratch, finding, 0, out)


@compiled
def add_slopes(
    some: Findings, scratch: Scratch, finding: int, k: int, z: Array, rise: Array, bend: Array
) -> None:
    """Add the first and second derivative of the log likelihood of a finding in z."""
    linear, tau, other = scratch.linear[k], scratch.tau[k], scratch.spare[2]
    kind = some.kinds[finding]
    a, b = some.columns[finding, 0], some.columns[finding, 1]
    if kind == BINOMIAL:
        for lane in range(LANES):
            v = linear[lane] + tau[lane] * z[lane]
            small = exp(-abs(v))
            p = 1.0 / (1.0 + small)
            q = small * p
            up = p if v >= 0.0 else q
            rise[lane] += tau[lane] * (a - b * up)
            bend[lane] -= tau[lane] * tau[lane] * (b * p * q)
    elif kind == NORMAL:
        for lane in range(LANES):
            rise[lane] += tau[lane] * (a - linear[lane] - tau[lane] * z[lane]) * b * b
            bend[lane] -= tau[lane] * tau[lane] * (b * b)
    else:
        place_of(some, scratch, finding, k, z)
        for derivative in (1, 2):
            for lane in range(LANES):
                other[lane] = 0.0
            if kind == POLYNOMIALS:
                add_polynomials(some, scratch, finding, k, derivative, z, other)
            else:
                add_splines(some, scratch, finding, derivative, other)
            if derivative == 1:
                for lane in range(LANES):
                    rise[lane] += tau[lane] * other[lane]
            else:
                for lane in range(LANES):
                    bend[lane] += tau[lane] * tau[lane] * other[lane]


@compiled
def log_integrand(
    some: Findings, block: Block, scratch: Scratch, study: int, z: Array, out: Array
) -> None:
    """Fill `out` with the log of likelihood times density of effects z.

    `spare[4]` keeps the log likelihood alone.
    """
    like, nu, height = scratch.spare[4], block.nu, block.height
    for lane in range(LANES):
        like[lane] = 0.0
    for finding in range(some.starts[study], some.starts[study + 1]):
        add_values(some, scratch, finding, finding - some.starts[study], z, like)
    if nu == 0.0:
        for lane in range(LANES):
            out[lane] = like[lane] - 0.5 * z[lane] * z[lane] + height
    else:
        for lane in range(LANES):
            density = height - 0.5 * (nu + 1.0) * log(1.0 + z[lane] * z[lane] / nu)
            out[lane] = like[lane] + density


@inlined
def _alone(some: Findings, scratch: Scratch, study: int) -> None:
    """Find where z would be by the data alone, and its SD there (`work[8]` and `work[9]`)."""
    linear, tau, within = scratch.linear, scratch.tau, scratch.within
    least, distance, spread = scratch.work[0], scratch.work[8], scratch.work[9]
    first, last = some.starts[study], some.starts[study + 1]
    for lane in range(LANES):
        spread[lane] = 0.0
    for finding in range(first, last):
        variance = some.variance[finding]
        for lane in range(LANES):
            spread[lane] += 1.0 / (variance + within[lane] * within[lane])
    for lane in range(LANES):
        least[lane] = 1e-8 / np.sqrt(spread[lane])
    for lane in range(LANES):
        spread[lane] = 0.0
    for lane in range(LANES):
        distance[lane] = 0.0
    for finding in range(first, last):
        k = finding - first
        estimate, variance = some.estimate[finding], some.variance[finding]
        for lane in range(LANES):
            scale = max(tau[k, lane], least[lane])
            precision = 1.0 / (variance + within[lane] * within[lane])
            spread[lane] += scale * scale * precision
        for lane in range(LANES):
            scale = max(tau[k, lane], least[lane])
            precision = 1.0 / (variance + within[lane] * within[lane])
            distance[lane] += scale * (estimate - linear[k, lane]) * precision
    for lane in range(LANES):
        distance[lane] /= spread[lane]
    for lane in range(LANES):
        spread[lane] = 1.0 / np.sqrt(spread[lane])


@compiled
def peaks(some: Findings, block: Block, scratch: Scratch, study: int) -> None:
    """Find a mode of each integrand and its SD there (`work[6]` and `work[7]`)."""
    _alone(some, scratch, study)
    work, nu = scratch.work, block.nu
    reach, before, step, rise, bend, newton = work[0], work[1], work[2], work[3], work[4], work[5]
    modes, widths, distance, spread = work[6], work[7], work[8], work[9]
    for lane in range(LANES):
        start = distance[lane] / (1.0 + spread[lane] * spread[lane])
        modes[lane] = start if nu == 0.0 else 0.0
        reach[lane], before[lane] = 2.0, 0.0
    for _ in range(100):
        for lane in range(LANES):
            rise[lane] = 0.0
            bend[lane] = 0.0
        for finding in range(some.starts[study], some.starts[study + 1]):
            k = finding - some.starts[study]
            add_slopes(some, scratch, finding, k, modes, rise, bend)
        if nu == 0.0:
            for lane in range(LANES):
                rise[lane] -= modes[lane]
            for lane in range(LANES):
                bend[lane] -= 1.0
            for lane in range(LANES):
                newton[lane] = bend[lane]
        else:
            for lane in range(LANES):
                square = modes[lane] * modes[lane]
                weight = (nu + 1.0) / (nu + square)
                own = bend[lane] - weight * (nu - square) / (nu + square)
                newton[lane] = min(own, 0.3 * (bend[lane] - weight))
            for lane in range(LANES):
                rise[lane] -= (nu + 1.0) / (nu + modes[lane] * modes[lane]) * modes[lane]
            for lane in range(LANES):
                bend[lane] -= (nu + 1.0) / (nu + modes[lane] * modes[lane])
        for lane in range(LANES):
            reach[lane] *= 0.5 if rise[lane] * before[lane] < 0.0 else 1.5
        for lane in range(LANES):
            step[lane] = min(max(-rise[lane] / newton[lane], -reach[lane]), reach[lane])
        far = 0
        for lane in range(LANES):
            far |= not (step[lane] * step[lane] * -bend[lane] < 1e-8)
        for lane in range(LANES):
            modes[lane] += step[lane]
        for lane in range(LANES):
            before[lane] = rise[lane]
        if not far:
            break
    for lane in range(LANES):
        widths[lane] = 1.0 / np.sqrt(-bend[lane])
