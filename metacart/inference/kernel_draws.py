"""Compiled draws of study effects: by rejection under tangents, or by inversion."""

from __future__ import annotations

import numpy as np

from metacart.inference.arrays import LANES, ONE, Array, Block, Findings, Ints, Rule, Scratch
from metacart.inference.kernel_rules import choose, gather, rows_of, trapezoids
from metacart.inference.kernels import add_slopes, load, log_integrand, peaks
from metacart.inference.vectors import compiled, exp, inlined

__all__ = ["hats", "inverted", "under_hats"]


@compiled
def hats(
    some: Findings,
    block: Block,
    scratch: Scratch,
    study: int,
    rows: Ints,
    tangent: float,
    hat: Array,
) -> bool:
    """Fill in tops, ends and slopes of hats (5, draws) over the densities of a study's effect.

    False where they are none: the density is not log-concave.
    """
    work, right = scratch.work, True
    top, other, z, rise, bend = work[0], work[1], work[2], work[3], work[4]
    modes, widths = work[6], work[7]
    for start in range(0, rows.size, LANES):
        some_rows = rows[start : min(start + LANES, rows.size)]
        load(some, block, scratch, study, some_rows)
        peaks(some, block, scratch, study)
        log_integrand(some, block, scratch, study, modes, top)
        for lane in range(some_rows.size):
            hat[0, some_rows[lane]] = top[lane]
        for side in range(2):
            sign = 2.0 * side - 1.0
            for lane in range(LANES):
                z[lane] = modes[lane] + sign * tangent * widths[lane]
                rise[lane], bend[lane] = 0.0, 0.0
            log_integrand(some, block, scratch, study, z, other)
            for finding in range(some.starts[study], some.starts[study + 1]):
                k = finding - some.starts[study]
                add_slopes(some, scratch, finding, k, z, rise, bend)
            for lane in range(some_rows.size):
                slope = rise[lane] - z[lane]
                hat[1 + side, some_rows[lane]] = z[lane] + (top[lane] - other[lane]) / slope
                hat[3 + side, some_rows[lane]] = -sign * slope
        for lane in range(some_rows.size):
            row = some_rows[lane]
            right = right and hat[3, row] > 0.0 and hat[4, row] > 0.0 and hat[1, row] < hat[2, row]
    return right


@compiled
def under_hats(
    some: Findings,
    block: Block,
    scratch: Scratch,
    study: int,
    waiting: Ints,
    uniform: Array,
    above: float,
    hat: Array,
    out: Array,
) -> int:
    """Try one point under the hat of each waiting draw; return how many wait on, or -1.

    Those come first in `waiting` then. -1 where a density passes its hat by more than `above`.
    """
    z, height, value, left_over = scratch.work[0], scratch.work[1], scratch.work[2], 0
    for start in range(0, waiting.size, LANES):
        rows = waiting[start : min(start + LANES, waiting.size)]
        load(some, block, scratch, study, rows)
        for lane in range(LANES):
            at = min(lane, rows.size - 1)
            row = rows[at]
            left, right, rise, fall = hat[1, row], hat[2, row], hat[3, row], hat[4, row]
            place = (right - left + 1.0 / rise + 1.0 / fall) * uniform[0, start + at] - 1.0 / rise
            # the share of a side's area between the top and the point, and how far down that is
            share = max(-place * rise, (place - (right - left)) * fall)
            down = -np.log1p(-min(max(share, 0.0), 1.0 - 1e-16))
            height[lane] = hat[0, row] - down
            inside = min(max(left + place, left), right)
            z[lane] = inside + down / (-rise if place < 0.0 else fall)
        log_integrand(some, block, scratch, study, z, value)
        for lane in range(rows.size):
            over, row = value[lane] - height[lane], rows[lane]
            if not over < above:
                return -1
            if np.log(uniform[1, start + lane]) < over:
                out[row, study] = z[lane]
            else:
                waiting[left_over] = row
                left_over += 1
    return left_over


@inlined
def _invert(rule: Rule, scratch: Scratch, number: int, rows: Ints, target: Array) -> None:
    """Find where each distribution function reaches its target, linear densities between nodes."""
    terms, ends, top, area = scratch.terms, scratch.ends, scratch.work[1], scratch.work[2]
    most = rule.sinh.size // 2
    for lane in range(LANES):
        top[lane], area[lane] = -np.inf, 0.0
    for which in range(number):
        for node in range(ends[which, 0], ends[which, 1]):
            for lane in range(LANES):
                top[lane] = max(top[lane], terms[which, node, lane])
    for which in range(number):
        for node in range(ends[which, 0], ends[which, 1]):
            for lane in range(LANES):
                terms[which, node, lane] = exp(terms[which, node, lane] - top[lane])
        for node in range(ends[which, 0], ends[which, 1] - 1):
            for lane in range(LANES):
                area[lane] += 0.5 * (terms[which, node, lane] + terms[which, node + 1, lane])
    for lane in range(rows.size):
        aim, found = target[rows[lane]] * area[lane], False
        for which in range(number):
            for node in range(ends[which, 0], ends[which, 1] - 1):
                left, right = terms[which, node, lane], terms[which, node + 1, lane]
                cell = 0.5 * (left + right)
                last = which == number - 1 and node == ends[which, 1] - 2
                if aim <= cell or last:
                    # the root in [0, 1] of left f + (right - left) f² / 2 = what is left to
                    # cover, written so that equal ends do no harm
                    root = np.sqrt(max(left * left + 2.0 * (right - left) * aim, 0.0))
                    share = 2.0 * aim / max(left + root, 1e-300)
                    t = rule.step * (node - most + min(max(share, 0.0), 1.0))
                    width = scratch.widths[which, lane]
                    scratch.result[lane] = scratch.centres[which, lane] + width * np.sinh(t)
                    found = True
                    break
                aim -= cell
            if found:
                break


@compiled
def inverted(
    some: Findings, block: Block, rule: Rule, scratch: Scratch, target: Array, out: Array
) -> None:
    """Fill in effects (draws, studies) at which their distribution functions reach a target."""
    draws, studies = out.shape
    for study in range(studies):
        choose(some, block, rule, scratch, study, draws)
        for number in (1, 3):
            way = ONE if number == 1 else ONE + 1
            size = rows_of(scratch, way, draws)
            for start in range(0, size, LANES):
                rows = scratch.chosen[start : min(start + LANES, size)]
                load(some, block, scratch, study, rows)
                gather(scratch, way, rows)
                trapezoids(some, block, rule, scratch, study, number)
                _invert(rule, scratch, number, rows, target[:, study])
                for lane in range(rows.size):
                    out[rows[lane], study] = scratch.result[lane]
