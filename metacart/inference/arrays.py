"""What compiled code is given: findings, draws, rules and room to work in, as arrays alone."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BINOMIAL",
    "CLOSED",
    "HERMITE",
    "LANES",
    "NORMAL",
    "ONE",
    "POLYNOMIALS",
    "SPLINES",
    "THREE",
    "Array",
    "Block",
    "Findings",
    "Ints",
    "Rule",
    "Scratch",
]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

LANES = 64  # draws that are worked on side by side
BINOMIAL, NORMAL, POLYNOMIALS, SPLINES = range(4)  # how a finding is observed
# how an effect is integrated out: from HERMITE on by the rules of nodes in turn
CLOSED, ONE, THREE, HERMITE = range(4)


class Findings(NamedTuple):
    """What is observed, in arrays alone.

    Attributes
    ----------
    starts : array of int (studies + 1,)
        Where the findings of each study begin.
    kinds : array of int (findings,)
        How each is observed.
    columns : array (findings, 3)
        Events, total and the log of the binomial coefficient; or estimate, inverse standard error
        and the log of the density's height.
    tables : array (findings, tables, rows, columns)
        Where there are any: one of cells of polynomials (`baseline`), or three of splines
        (`scattered`).
    ends : array (2,)
        Log of ``tau_within`` in the first and last row of the tables of splines.
    estimate, variance : array (findings,)
        By a normal approximation.
    """

    starts: Ints
    kinds: Ints
    columns: Array
    tables: Array
    ends: Array
    estimate: Array
    variance: Array


class Block(NamedTuple):
    """Draws of the parameters.

    Attributes
    ----------
    linear : array (draws, findings)
    tau : array (draws, 1) or (draws, findings)
    within : array (draws,)
        ``tau_within``, of findings observed through splines; else zeros.
    nu : float
        Degrees of freedom of Student-t effects; 0 for normal ones.
    height : float
        Log of the constant of the density of effects.
    """

    linear: Array
    tau: Array
    within: Array
    nu: float
    height: float


class Rule(NamedTuple):
    """Nodes of the integrals.

    Attributes
    ----------
    nodes, weights : array (rules, nodes)
        Of Gauss and Hermite, the weights as logarithms.
    sizes : array of int (rules,)
        How many nodes each rule has.
    largest : array (rules,)
        Up to which tau each is used, with normal effects, in rising order; none for trapezoids
        alone.
    step : float
        Of the trapezoids.
    sinh : array (2 most + 1,)
        The hyperbolic sine at each of their nodes.
    """

    nodes: Array
    weights: Array
    sizes: Ints
    largest: Array
    step: float
    sinh: Array


class Scratch(NamedTuple):
    """Room to work in, for one thread.

    Attributes
    ----------
    linear, tau : array (findings of a study, LANES)
    within : array (LANES,)
        Of the draws that are worked on.
    spare : array (5, LANES)
        The first three for tables; the last the log likelihood without the density of effects.
    work : array (10, LANES)
        For the steps of an algorithm; the last four are modes and widths of the integrands, and
        centres and widths of the data alone.
    centres, widths : array (3, LANES)
        Of the rules.
    terms : array (3, nodes, LANES)
        What each rule sums.
    ends : array of int (3, 2)
        The first node of each rule, and that after the last.
    result : array (LANES,)
    found : array (4, draws)
        What ``work`` ends in, of all draws.
    ways, chosen : array of int (draws,)
        How each draw is integrated, and those in hand.
    """

    linear: Array
    tau: Array
    within: Array
    spare: Array
    work: Array
    centres: Array
    widths: Array
    terms: Array
    ends: Ints
    result: Array
    found: Array
    ways: Ints
    chosen: Ints
