"""Numbers needed to treat, said so that an interval across no difference stays honest."""

from __future__ import annotations

import math

__all__ = ["difference_words", "needed_number", "needed_words"]


def needed_number(difference: float) -> float:
    """Return one over a difference of risks; infinite where there is none.

    Positive where patients benefit (NNTB), negative where they are harmed (NNTH).
    """
    return math.inf if difference == 0 else 1.0 / difference


def needed_words(median: float, lower: float, upper: float) -> str:
    """Return a number needed to treat with its interval, from differences of risks.

    Parameters
    ----------
    median, lower, upper : float
        Difference of risks as a share of patients, positive where they benefit.

    Returns
    -------
    str
        Whole numbers, rounded up. An interval across zero runs from a number needed to treat for
        one to benefit (NNTB) through infinity to one needed to harm (NNTH), as Altman (BMJ
        1998;317:1309) writes it.

    Examples
    --------
    >>> needed_words(0.2, 0.1, 0.25)
    'NNTB 5 (4 to 10)'
    >>> needed_words(0.1, -0.05, 0.25)
    'NNTB 10 (NNTB 4 to ∞ to NNTH 20)'
    """
    if lower > 0:
        inside = f"{_whole(upper)} to {_whole(lower)}"
    elif upper < 0:
        inside = f"{_whole(lower)} to {_whole(upper)}"
    else:
        inside = f"{_side(upper)} to ∞ to {_side(lower)}"
        inside = inside.replace("∞ to ∞", "∞")
    return f"{_side(median)} ({inside})"


def _side(difference: float) -> str:
    if difference == 0:
        return "∞"
    return f"{'NNTB' if difference > 0 else 'NNTH'} {_whole(difference)}"


def _whole(difference: float) -> str:
    # what floating point adds to a whole number does not make it the next one
    return f"{math.ceil(round(1.0 / abs(difference), 9)):,}"


def difference_words(median: float, lower: float, upper: float) -> str:
    """Return a difference per 100 patients with its interval.

    Examples
    --------
    >>> difference_words(12.2, -3.4, 25.0)
    '12 more of 100 (3 fewer to 25 more)'
    """
    if lower > 0 or upper < 0:
        side = "more" if lower > 0 else "fewer"
        ends = sorted((abs(lower), abs(upper)))
        return f"{abs(median):.0f} {side} of 100 ({ends[0]:.0f} to {ends[1]:.0f})"
    return f"{_amount(median, ' of 100')} ({_amount(lower)} to {_amount(upper)})"


def _amount(difference: float, of: str = "") -> str:
    side = "more" if difference > 0 else "fewer"
    return f"{abs(difference):.0f} {side}{of}"
