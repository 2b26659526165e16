"""How papers print figures, percentages, intervals and p values, and what agrees with them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from statistics import NormalDist

import numpy as np

from metacart.scales import SCALES

__all__ = [
    "PValue",
    "counts_of_percentage",
    "is_symmetric",
    "midpoint",
    "parse_p",
    "percentage_agrees",
    "percentages_of",
    "wald_p",
]


def midpoint(lower: float, upper: float, *, scale: str = "log") -> float:
    """Return the natural value in the middle of two limits on a scale."""
    link, inverse = SCALES[scale].link, SCALES[scale].inverse
    return float(inverse((link(lower) + link(upper)) / 2))


def is_symmetric(estimate: float, lower: float, upper: float, *, scale: str = "log") -> bool:
    """Return whether the estimate is the middle of its limits, within their printed precision.

    Each number may be off by half a unit of its last printed digit. A float has lost its trailing
    zeros, so the number of decimals is taken from the longest of the three, except for a number
    that already shows as many significant digits as any of them (12.3 with 104).
    """
    link, (low, high) = SCALES[scale].link, SCALES[scale].bounds
    halves = _half_units((estimate, lower, upper))

    def span(value: float, half: float) -> tuple[float, float]:
        ends = np.clip([value - half, value + half], low, high)
        first, last = link(ends)
        return float(first), float(last)

    first, last = span(estimate, halves[0])
    (low_first, low_last), (high_first, high_last) = span(lower, halves[1]), span(upper, halves[2])
    return first <= (low_last + high_last) / 2 and (low_first + high_first) / 2 <= last


def _half_units(values: tuple[float, ...]) -> list[float]:
    decimals, digits = [], []
    for value in values:
        number = Decimal(repr(float(value))).normalize()
        exponent = number.as_tuple().exponent
        decimals.append(max(0, -exponent) if isinstance(exponent, int) else 0)
        digits.append(number.adjusted() + 1 + decimals[-1])
    halves = []
    for value, own, significant in zip(values, decimals, digits, strict=True):
        printed = own if significant >= max(digits) else max(decimals)
        # a computed number has no printed precision: leave room for its rounding
        halves.append(max(0.5 * 10.0**-printed, 1e-9 * abs(value)))
    return halves


def wald_p(
    estimate: float, lower: float, upper: float, *, level: float = 0.95, scale: str = "log"
) -> float:
    """Return the two-sided p of no effect that a ratio and the width of its interval imply."""
    link = SCALES[scale].link
    quantile = NormalDist().inv_cdf((1 + level) / 2)
    width = float(link(upper) - link(lower))
    z = abs(float(link(estimate))) * 2 * quantile / width
    # 1 - cdf would lose every digit of a small p
    return math.erfc(z / math.sqrt(2))


@dataclass(frozen=True, slots=True)
class PValue:
    """The range in which a printed p lies: ``<0.001`` is from 0 to 0.001."""

    low: float
    high: float

    def agrees(self, p: float, *, factor: float = 5.0, cut: float = 0.05) -> bool:
        """Return whether `p` lies on the same side of `cut` and within a factor of this one."""
        same_side = self.low < cut if p < cut else self.high >= cut
        return same_side and self.low / factor <= p <= self.high * factor


_P = re.compile(r"(?:p\s*)?(=|<|>|≤|≥|<=|>=)?\s*((?:\d*\.\d+|\d+)(?:e-?\d+)?)", re.IGNORECASE)
_NOT_SIGNIFICANT = re.compile(r"n\.?\s?s\.?|not significant", re.IGNORECASE)


def parse_p(text: str) -> PValue | None:
    """Read a printed p such as ``"0.036"``, ``"<0.001"`` or ``"NS"``; None if it is no p.

    Examples
    --------
    >>> parse_p("<0.001")
    PValue(low=0.0, high=0.001)
    """
    if _NOT_SIGNIFICANT.fullmatch(text.strip()):
        return PValue(0.05, 1.0)
    if not (found := _P.fullmatch(text.strip())) or float(found[2]) > 1:
        return None
    relation, value = (found[1] or "=")[0], float(found[2])
    if relation in "<≤":
        return PValue(0.0, value)
    if relation in ">≥":
        return PValue(value, 1.0)
    exponent = Decimal(found[2]).as_tuple().exponent
    half = 0.5 * 10.0 ** min(exponent if isinstance(exponent, int) else 0, -1)
    return PValue(max(0.0, value - half), min(1.0, value + half))


# A percentage cut off, rounded half up, or rounded half to even: all three are printed.
_ROUNDINGS: dict[str, Callable[[Fraction], int]] = {
    "cut off": math.floor,
    "half up": lambda scaled: math.floor(scaled + Fraction(1, 2)),
    "half to even": round,
}


def _scaled(printed: str) -> tuple[int, int]:
    """Return a printed percentage in units of its last digit, and its number of decimals."""
    number = printed.rstrip("% ").strip()
    decimals = len(number.partition(".")[2])
    return int(Decimal(number).scaleb(decimals)), decimals


def percentages_of(events: int, total: int, *, decimals: int) -> list[str]:
    """Return how a count may be printed as a percentage, smallest first."""
    scaled = Fraction(100 * 10**decimals * events, total)
    values = sorted({round_(scaled) for round_ in _ROUNDINGS.values()})
    return [f"{Decimal(value).scaleb(-decimals):.{decimals}f}%" for value in values]


def percentage_agrees(events: int, total: int, *, printed: str) -> bool:
    """Return whether a printed percentage is this count, rounded or cut off.

    Examples
    --------
    >>> percentage_agrees(20, 27, printed="74.1%"), percentage_agrees(20, 27, printed="74.7%")
    (True, False)
    """
    number, decimals = _scaled(printed)
    scaled = Fraction(100 * 10**decimals * events, total)
    return number in {round_(scaled) for round_ in _ROUNDINGS.values()}


def counts_of_percentage(printed: str, *, total: int) -> dict[str, list[int]]:
    """Return the counts that give a printed percentage, under each way of rounding.

    Examples
    --------
    >>> counts_of_percentage("76.9%", total=39)["half up"]
    [30]
    """
    number, decimals = _scaled(printed)
    near = round(Fraction(number * total, 100 * 10**decimals))
    # neighbours beyond one unit of the last digit cannot fit
    reach = 2 + total // (100 * 10**decimals)
    span = range(max(0, near - reach), min(total, near + reach) + 1)
    return {
        name: [k for k in span if round_(Fraction(100 * 10**decimals * k, total)) == number]
        for name, round_ in _ROUNDINGS.items()
    }
