"""Counts: the one that a percentage means, and the comparison of two groups."""

from __future__ import annotations

import math
import re

import numpy as np

from metacart.errors import Fault, InputError, named_options, refuse_unknown, shown
from metacart.evidence.conversions.effect import Effect, warn
from metacart.evidence.printed import counts_of_percentage

__all__ = ["counts_to_effect", "percentage_to_count"]

_MEASURES = ("or", "rr", "rd", "hr")
# below it the normal approximation of a count is poor (Cochran 1954)
_SMALL_CELL = 5


@named_options
def percentage_to_count(printed: str, *, total: int) -> int:
    """Return the one count that a printed percentage can mean.

    Parameters
    ----------
    printed : str
        As the paper prints it, with its decimals: ``"76.9%"``.
    total : int
        The number of patients.

    Returns
    -------
    int
        The number of events. In a study file it is marked ``derived = "percentage"``.

    Raises
    ------
    InputError
        When several counts give this percentage, or none.

    Warns
    -----
    AssumptionWarning
        When no count gives it rounded, and one gives it cut off.

    Examples
    --------
    >>> percentage_to_count("76.9%", total=39)
    30
    """
    if not (isinstance(printed, str) and re.fullmatch(r"\d+(\.\d+)? ?%?", printed.strip())):
        allowed = "a percentage as the paper prints it, as text"
        raise InputError(Fault("printed", shown(printed), allowed, "such as '68.4%'"))
    if not isinstance(total, int) or total < 1:
        raise InputError(Fault("total", shown(total), "a whole number of 1 or more"))
    ways = counts_of_percentage(printed, total=total)
    cut_off = ways.pop("cut off")
    counts = sorted(set().union(*ways.values()))
    if not counts and len(cut_off) == 1:
        warn(f"{printed} of {total} is {cut_off[0]}/{total} cut off, not rounded")
        counts = cut_off
    if len(counts) == 1:
        return counts[0]
    found = f"{printed} of {total} can be {', '.join(map(str, counts or cut_off))}"
    if not counts and not cut_off:
        near = float(printed.rstrip("% ")) * total / 100
        sides = dict.fromkeys(min(max(side(near), 0), total) for side in (math.floor, math.ceil))
        words = " and ".join(f"{k}/{total} is {100 * k / total:.2f}%" for k in sides)
        found = f"{printed} of {total} is no count: {words}"
    raise InputError(
        Fault(
            "printed",
            found,
            "a percentage that one count alone fits",
            "another denominator; else the percentage is text, not a count",
        )
    )


@named_options
def counts_to_effect(
    exposed: tuple[int, int],
    unexposed: tuple[int, int],
    *,
    measure: str,
    equal_follow_up: bool = False,
) -> Effect:
    """Return the comparison of two groups from their counts.

    Parameters
    ----------
    exposed, unexposed : tuple of int
        Events and patients of each group.
    measure : {"or", "rr", "rd", "hr"}
        Odds ratio, risk ratio, risk difference, or the hazard ratio by log(-log(1 - risk)).
    equal_follow_up : bool
        Whether both groups were followed equally long: without it a hazard ratio is in doubt.

    Returns
    -------
    Effect

    Raises
    ------
    InputError
        For counts that cannot be, and for a group without events or with events only: nothing is
        added to a cell. The exact likelihood of the counts takes them as they are.

    Warns
    -----
    AssumptionWarning
        When a cell is below 5, where the normal approximation is poor; for a hazard ratio unless
        both groups are said to be followed equally long.

    Notes
    -----
    Of a/n against c/m: Var log OR = 1/a + 1/(n - a) + 1/c + 1/(m - c); Var log RR = 1/a - 1/n +
    1/c - 1/m; Var RD = p(1 - p)/n + q(1 - q)/m; Var log(-log(1 - p)) = p / (n (1 - p) log²(1 - p)),
    by the delta method.

    Examples
    --------
    >>> effect = counts_to_effect((12, 17), (17, 26), measure="or")
    >>> round(effect.value, 2), round(effect.se, 2)
    (1.27, 0.67)
    """
    refuse_unknown("measure", measure, _MEASURES)
    (a, n), (c, m) = _counts(exposed, "exposed"), _counts(unexposed, "unexposed")
    cells = (a, n - a, c, m - c)
    if 0 in cells:
        raise InputError(
            Fault(
                "counts",
                f"{a}/{n} and {c}/{m}: a cell of 0",
                "events and patients without the event in both groups",
                'the exact likelihood of the counts: likelihood = "binomial" with the group as a '
                "moderator; no half patients are added here",
            )
        )
    if min(cells) < _SMALL_CELL:
        warn(
            f"{a}/{n} and {c}/{m}: a cell of {min(cells)}, for which a normal standard error is "
            "poor; the exact likelihood of the counts needs none"
        )
    p, q = a / n, c / m
    if measure == "or":
        estimate = math.log(p / (1 - p)) - math.log(q / (1 - q))
        variance = sum(1 / cell for cell in cells)
    elif measure == "rr":
        estimate, variance = math.log(p / q), 1 / a - 1 / n + 1 / c - 1 / m
    elif measure == "rd":
        estimate, variance = p - q, p * (1 - p) / n + q * (1 - q) / m
    else:
        if not equal_follow_up:
            warn(
                "the ratio of cumulative hazards is the hazard ratio only if both groups were "
                "followed equally long: say so by equal_follow_up=True"
            )
        cumulative = [-math.log1p(-risk) for risk in (p, q)]
        estimate = math.log(cumulative[0] / cumulative[1])
        variance = sum(
            risk / (size * (1 - risk) * hazard**2)
            for risk, size, hazard in zip((p, q), (n, m), cumulative, strict=True)
        )
    return Effect(measure, estimate, math.sqrt(variance))


def _counts(group: tuple[int, int], name: str) -> tuple[int, int]:
    allowed = "events and patients as whole numbers, 0 ≤ events ≤ patients"
    if not (
        isinstance(group, tuple | list)
        and len(group) == 2
        and all(isinstance(each, int | np.integer) for each in group)
        and 0 <= group[0] <= group[1]
        and group[1] > 0
    ):
        raise InputError(Fault(name, shown(group), allowed, f"{name} = (9, 18)"))
    return int(group[0]), int(group[1])
