"""Compiled integrals over the effects of studies: which rule each takes, and its sum."""

from __future__ import annotations

import numpy as np

from metacart.inference.arrays import (
    CLOSED,
    HERMITE,
    LANES,
    NORMAL,
    ONE,
    THREE,
    Array,
    Block,
    Findings,
    Ints,
    Rule,
    Scratch,
)
from metacart.inference.kernels import load, log_integrand, peaks
from metacart.inference.vectors import compiled, exp, inlined, log

__all__ = ["choose", "gather", "integrals", "rows_of", "trapezoids"]

_RESOLVED, _NEGLIGIBLE = 0.6, 40.0


@inlined
def choose(
    some: Findings, block: Block, rule: Rule, scratch: Scratch, study: int, draws: int
) -> None:
    """Find peaks of the integrands of a study, and which way each draw is integrated."""
    tau, found, ways, work = scratch.tau, scratch.found, scratch.ways, scratch.work
    first, last = some.starts[study], some.starts[study + 1]
    closed = block.nu == 0.0 and rule.largest.size > 0
    for finding in range(first, last):
        closed = closed and some.kinds[finding] == NORMAL
    if closed:
        for row in range(draws):
            ways[row] = CLOSED
        return
    for row in range(draws):
        scratch.chosen[row] = row
    modes, widths, distance, spread = work[6], work[7], work[8], work[9]
    for start in range(0, draws, LANES):
        some_rows = scratch.chosen[start : min(start + LANES, draws)]
        load(some, block, scratch, study, some_rows)
        peaks(some, block, scratch, study)
        for lane in range(some_rows.size):
            row, largest = start + lane, 0.0
            for k in range(last - first):
                largest = max(largest, tau[k, lane])
            found[0, row], found[1, row] = modes[lane], widths[lane]
            found[2, row], found[3, row] = distance[lane], spread[lane]
            which = 0 if block.nu == 0.0 else rule.largest.size
            while which < rule.largest.size and largest > rule.largest[which]:
                which += 1
            if which < rule.largest.size:
                ways[row] = HERMITE + which
                continue
            square = widths[lane] ** 2
            data = rule.step * np.sqrt(square + (distance[lane] - modes[lane]) ** 2)
            none = rule.step * np.sqrt(square + modes[lane] ** 2)
            resolved = data <= _RESOLVED * spread[lane] and none <= _RESOLVED
            ways[row] = ONE if resolved else THREE


@inlined
def _closed_form(some: Findings, scratch: Scratch, study: int) -> None:
    """Fill in the integral of normal estimates under normal effects."""
    linear, tau, out = scratch.linear, scratch.tau, scratch.result
    for lane in range(LANES):
        known, widened, pull = 0.0, 1.0, 0.0
        for finding in range(some.starts[study], some.starts[study + 1]):
            k = finding - some.starts[study]
            estimate, inverse = some.columns[finding, 0], some.columns[finding, 1]
            height = some.columns[finding, 2]
            z = (estimate - linear[k, lane]) * inverse
            known += height - 0.5 * z * z
            widened += (tau[k, lane] * inverse) ** 2
            pull += tau[k, lane] * inverse * z
        out[lane] = known + 0.5 * (pull * pull / widened - np.log(widened))


@compiled
def _log_sum(terms: Array, first: int, last: int, top: Array, out: Array) -> None:
    """Add the sum of exponentials of some rows of terms above `top`."""
    for node in range(first, last):
        for lane in range(LANES):
            out[lane] += exp(terms[node, lane] - top[lane])


@compiled
def _highest(terms: Array, first: int, last: int, top: Array) -> None:
    for node in range(first, last):
        for lane in range(LANES):
            top[lane] = max(top[lane], terms[node, lane])


@inlined
def _by_hermite(
    some: Findings, block: Block, rule: Rule, scratch: Scratch, study: int, which: int
) -> None:
    """Integrate by Gauss-Hermite nodes about the peaks."""
    centres, widths, terms = scratch.centres, scratch.widths, scratch.terms[0]
    z, top, total = scratch.work[0], scratch.work[1], scratch.work[2]
    nodes, weights, size = rule.nodes[which], rule.weights[which], rule.sizes[which]
    for node in range(size):
        for lane in range(LANES):
            z[lane] = centres[0, lane] + widths[0, lane] * nodes[node]
        log_integrand(some, block, scratch, study, z, terms[node])
        for lane in range(LANES):
            terms[node, lane] += weights[node]
    for lane in range(LANES):
        top[lane], total[lane] = -np.inf, 0.0
    _highest(terms, 0, size, top)
    _log_sum(terms, 0, size, top, total)
    for lane in range(LANES):
        scratch.result[lane] = log(total[lane]) + top[lane] + log(widths[0, lane])


@inlined
def _share(scratch: Scratch, number: int, which: int, z: Array, out: Array) -> None:
    """Add the log of dz/dt of a rule times its part where rules overlap."""
    centres, widths = scratch.centres, scratch.widths
    if number == 1:
        for lane in range(LANES):
            far = z[lane] - centres[0, lane]
            out[lane] += 0.5 * log(widths[0, lane] * widths[0, lane] + far * far)
        return
    for lane in range(LANES):
        total, own = 0.0, 0.0
        for k in range(3):
            far = z[lane] - centres[k, lane]
            dense = 1.0 / (widths[k, lane] * widths[k, lane] + far * far)
            own = dense if k == which else own
            total += dense * dense
        out[lane] += 1.5 * log(own) - log(total)


@inlined
def scan(
    some: Findings, block: Block, rule: Rule, scratch: Scratch, study: int, number: int, which: int
) -> tuple[int, int]:
    """Fill in what one rule sums, by node, and return the first node and that after the last."""
    centres, widths, terms = scratch.centres, scratch.widths, scratch.terms[which]
    z, before, middle = scratch.work[0], scratch.work[1], scratch.work[2]
    lowest, like, most = scratch.work[3], scratch.spare[4], rule.sinh.size // 2
    first = last = most
    for side in (0, 1, -1):
        for lane in range(LANES):
            before[lane] = middle[lane]
        for step in range(1 if side else 0, most + 1 if side else 1):
            node = most + side * step
            for lane in range(LANES):
                z[lane] = centres[which, lane] + widths[which, lane] * rule.sinh[node]
            log_integrand(some, block, scratch, study, z, terms[node])
            _share(scratch, number, which, z, terms[node])
            if side == 0:
                for lane in range(LANES):
                    middle[lane] = like[lane]
                break
            first, last = min(first, node), max(last, node)
            # away from 0 and with a likelihood that falls, as a log-concave one then goes on to
            more = 0
            for lane in range(LANES):
                falls = (side * z[lane] > 0.0) & (like[lane] < before[lane])
                more |= not (falls & (terms[node, lane] < lowest[lane]))
            if not more:
                break
            for lane in range(LANES):
                before[lane] = like[lane]
    return first, last + 1


@inlined
def trapezoids(
    some: Findings, block: Block, rule: Rule, scratch: Scratch, study: int, number: int
) -> None:
    """Fill in what each rule sums (rules, nodes, draws), and where its nodes end."""
    centres, widths, ends = scratch.centres, scratch.widths, scratch.ends
    z, lowest = scratch.work[0], scratch.work[3]
    for lane in range(LANES):
        z[lane] = centres[0, lane]
    log_integrand(some, block, scratch, study, z, lowest)
    for lane in range(LANES):
        lowest[lane] += log(widths[0, lane]) - _NEGLIGIBLE
    for which in range(number):
        ends[which] = scan(some, block, rule, scratch, study, number, which)


@inlined
def _by_sinh(
    some: Findings, block: Block, rule: Rule, scratch: Scratch, study: int, number: int
) -> None:
    """Integrate by one trapezoid rule or by three."""
    trapezoids(some, block, rule, scratch, study, number)
    ends, terms, top, total = scratch.ends, scratch.terms, scratch.work[1], scratch.work[2]
    for lane in range(LANES):
        top[lane], total[lane] = -np.inf, 0.0
    for which in range(number):
        _highest(terms[which], ends[which, 0], ends[which, 1], top)
    for which in range(number):
        _log_sum(terms[which], ends[which, 0], ends[which, 1], top, total)
    for lane in range(LANES):
        scratch.result[lane] = log(total[lane]) + top[lane] + log(rule.step)


@inlined
def gather(scratch: Scratch, way: int, rows: Ints) -> None:
    """Bring the rules of some draws side by side."""
    centres, widths, found = scratch.centres, scratch.widths, scratch.found
    for lane in range(LANES):
        row = rows[min(lane, rows.size - 1)]
        centres[0, lane], widths[0, lane] = found[0, row], found[1, row]
        if way == THREE:
            centres[1, lane], widths[1, lane] = found[2, row], found[3, row]
            centres[2, lane], widths[2, lane] = 0.0, 1.0


@inlined
def rows_of(scratch: Scratch, way: int, draws: int) -> int:
    """Find the draws that are integrated one way, and return their number."""
    size = 0
    for row in range(draws):
        if scratch.ways[row] == way:
            scratch.chosen[size] = row
            size += 1
    return size


@compiled
def integrals(some: Findings, block: Block, rule: Rule, scratch: Scratch, out: Array) -> None:
    """Fill in the log likelihood of each study at each draw, its effect integrated out."""
    draws, studies = out.shape
    for study in range(studies):
        choose(some, block, rule, scratch, study, draws)
        for way in range(HERMITE + rule.largest.size):
            size = rows_of(scratch, way, draws)
            for start in range(0, size, LANES):
                rows = scratch.chosen[start : min(start + LANES, size)]
                load(some, block, scratch, study, rows)
                if way == CLOSED:
                    _closed_form(some, scratch, study)
                else:
                    gather(scratch, way, rows)
                if way >= HERMITE:
                    _by_hermite(some, block, rule, scratch, study, way - HERMITE)
                elif way != CLOSED:
                    _by_sinh(some, block, rule, scratch, study, 1 if way == ONE else 3)
                for lane in range(rows.size):
                    out[rows[lane], study] = scratch.result[lane]
