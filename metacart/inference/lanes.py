"""Studies integrated by compiled code, where it knows their likelihood."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metacart.inference import arrays
from metacart.inference.arrays import LANES, Array, Block, Findings, Ints, Rule, Scratch
from metacart.inference.kernel_rules import integrals
from metacart.inference.quadrature import (
    Studies,
    hermite,
    hermite_rules,
    log_height,
    reach_of,
)
from metacart.inference.spline_table import derivatives_splines, logp_splines
from metacart.inference.threads import on_threads, slices
from metacart.modelling.counts import derivatives_binomial, log_choose_of, logp_binomial
from metacart.modelling.estimates import derivatives_normal, logp_normal
from metacart.modelling.likelihoods import Data
from metacart.modelling.transplant import derivatives_transplant, logp_transplant
from metacart.modelling.two_groups import derivatives_groups, logp_groups

__all__ = [
    "block_of",
    "findings_of",
    "integrate",
    "rule_of",
    "scratch",
    "shared_out",
]

_Parts = tuple[Ints, Array, Array]

_ROWS, _CELLS = 16 * LANES, 200_000  # draws a block at most, and integrals


def _of_counts(data: Data) -> _Parts:
    events, total = (data[name].astype(np.float64) for name in ("events", "total"))
    columns = np.column_stack([events, total, log_choose_of(data)])
    return np.full(len(events), arrays.BINOMIAL), columns, np.empty((0, 0, 0, 0))


def _of_estimates(data: Data) -> _Parts:
    se = data["se"]
    height = -np.log(se) - 0.5 * np.log(2.0 * np.pi)
    columns = np.column_stack([data["estimate"], 1.0 / se, height])
    return np.full(len(se), arrays.NORMAL), columns, np.empty((0, 0, 0, 0))


def _of_groups(data: Data) -> _Parts:
    tables = data["marginal"][:, None]
    return np.full(len(tables), arrays.POLYNOMIALS), np.zeros((len(tables), 3)), tables


def _of_transplants(data: Data) -> _Parts:
    kinds, columns, tables = _of_estimates(data)
    if data["contrast"].any():
        kinds = np.where(data["contrast"], arrays.POLYNOMIALS, kinds)
        tables = data["marginal"][:, None]
    return kinds, columns, tables


def _of_splines(data: Data) -> _Parts:
    tables = data["tables"]
    return np.full(len(tables), arrays.SPLINES), np.zeros((len(tables), 3)), tables


# by their own functions: a likelihood with others in their place is another one
_KNOWN: dict[tuple[Callable[..., Any], Callable[..., Any]], Callable[[Data], _Parts]] = {
    (logp_binomial, derivatives_binomial): _of_counts,
    (logp_normal, derivatives_normal): _of_estimates,
    (logp_groups, derivatives_groups): _of_groups,
    (logp_transplant, derivatives_transplant): _of_transplants,
    (logp_splines, derivatives_splines): _of_splines,
}


def findings_of(studies: Studies) -> Findings | None:
    """Return the findings as arrays; none where the likelihood has no compiled code."""
    likelihood = studies.likelihood
    make = _KNOWN.get((likelihood.logp, likelihood.derivatives))
    if make is None or studies.effects == "none":
        return None
    kinds, columns, tables = make(studies.data)
    estimate, variance = likelihood.approximate(studies.data)
    ends = studies.data["logs"][0] if make is _of_splines else np.zeros(2)
    return Findings(
        np.ascontiguousarray(studies.starts, dtype=np.int64),
        kinds,
        *(_plain(each) for each in (columns, tables, ends, estimate, variance)),
    )


def block_of(studies: Studies) -> Block:
    """Return the draws as arrays."""
    within = studies.parameters.get("tau_within", np.zeros((1, 1)))[:, 0]
    return Block(
        _plain(studies.linear),
        _plain(studies.tau),
        _plain(np.broadcast_to(within, len(studies.linear))),
        0.0 if studies.effects == "normal" else float(studies.nu),
        log_height(studies.effects, studies.nu),
    )


@cache
def rule_of(step: float, reach: float, hermites: tuple[tuple[float, int], ...]) -> Rule:
    """Return the nodes of integrals: of trapezoids, and of Gauss and Hermite up to which tau."""
    most = round(reach / step)
    sinh = np.sinh(step * np.arange(-most, most + 1))
    sizes = np.asarray([number for _, number in hermites], dtype=np.int64)
    filled = np.zeros((2, len(sizes), sizes.max(initial=0)))
    for rule, number in enumerate(sizes):
        filled[:, rule, :number] = hermite(int(number))
    largest = np.asarray([most for most, _ in hermites], dtype=np.float64)
    return Rule(filled[0], filled[1], sizes, largest, step, sinh)


def scratch(some: Findings, rule: Rule, draws: int) -> Scratch:
    """Return room to work in."""
    most = int(np.diff(some.starts).max())
    nodes = max(rule.nodes.shape[1], len(rule.sinh))
    return Scratch(
        linear=np.empty((most, LANES)),
        tau=np.empty((most, LANES)),
        within=np.empty(LANES),
        spare=np.empty((5, LANES)),
        work=np.empty((10, LANES)),
        centres=np.empty((3, LANES)),
        widths=np.empty((3, LANES)),
        terms=np.empty((3, nodes, LANES)),
        ends=np.empty((3, 2), dtype=np.int64),
        result=np.empty(LANES),
        found=np.empty((4, draws)),
        ways=np.empty(draws, dtype=np.int64),
        chosen=np.empty(draws, dtype=np.int64),
    )


def integrate(studies: Studies, *, coarse: bool = False) -> Array | None:
    """Return the log integral (draws, studies); none where there is no compiled code."""
    if (some := findings_of(studies)) is None:
        return None
    result = np.empty(studies.shape)
    rule = rule_of(*reach_of(coarse=coarse), hermite_rules(coarse=coarse))

    def work(rows: slice) -> None:
        block, draws = block_of(studies.rows(rows)), rows.stop - rows.start
        integrals(some, block, rule, scratch(some, rule, draws), result[rows])

    shared_out(work, studies.shape)
    return result


def shared_out(work: Callable[[slice], None], shape: tuple[int, int]) -> None:
    """Do the work on blocks of draws, on as many threads as it is worth.

    The blocks are the same however many they are, and so is every digit.
    """
    draws, studies = shape
    size = min(max(_CELLS // studies // LANES, 1) * LANES, _ROWS)
    blocks = max(-(-draws // size), min(2, draws // LANES), 1)
    size = -(-draws // blocks // LANES) * LANES  # the last is not much smaller than the others
    on_threads(work, slices(draws, size), worth=draws * studies)


def _plain(values: NDArray[Any]) -> Array:
    """Return numbers as code compiled once takes them: contiguous, and not read-only."""
    array = np.ascontiguousarray(values, dtype=np.float64)
    return array if array.flags.writeable else array.copy()
