"""A comparison with its standard error, and what all conversions check and say."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

from metacart.errors import Fault, InputError
from metacart.scales import SCALES

__all__ = [
    "AssumptionWarning",
    "Effect",
    "Interval",
    "check_interval",
    "check_level",
    "warn",
    "words",
    "z",
]


class AssumptionWarning(UserWarning):
    """A conversion whose assumption the numbers contradict, or cannot show to hold."""


class Interval(NamedTuple):
    """A ratio with the limits of its interval, where there is one."""

    estimate: float
    lower: float | None
    upper: float | None


@dataclass(frozen=True, slots=True)
class Effect:
    """A comparison of two groups with its standard error.

    Attributes
    ----------
    measure : {"or", "rr", "rd", "hr"}
        Odds ratio, risk ratio, risk difference or hazard ratio, of the exposed against the
        unexposed.
    estimate, se : float
        On the scale of analysis: the logarithm of a ratio, or the difference itself; the columns
        ``estimate`` and ``se`` of a table for the likelihood ``normal``.
    """

    measure: str
    estimate: float
    se: float

    @property
    def value(self) -> float:
        """The ratio or the difference."""
        return self._natural(self.estimate)

    @property
    def lower(self) -> float:
        """The lower limit of its 95 % interval."""
        return self._natural(self.estimate - z(0.95) * self.se)

    @property
    def upper(self) -> float:
        """The upper limit of its 95 % interval."""
        return self._natural(self.estimate + z(0.95) * self.se)

    def _natural(self, value: float) -> float:
        return value if self.measure == "rd" else math.exp(value)


def z(level: float) -> float:
    """Return the normal quantile of a two-sided level."""
    return NormalDist().inv_cdf((1 + level) / 2)


def warn(message: str) -> None:
    """Warn the caller of a conversion that its assumption does not hold."""
    # this helper, the conversion and the wrapper that names its options: then the caller
    warnings.warn(message, AssumptionWarning, stacklevel=4)


def words(estimate: float, lower: float, upper: float) -> str:
    """Return an estimate with its limits as a message shows them."""
    return f"{estimate:g} ({lower:g} to {upper:g})"


def check_interval(
    estimate: float, lower: float, upper: float, scale: str, *, place: str = "interval"
) -> None:
    """Refuse limits that do not hold their estimate, and numbers outside of a scale."""
    low, high = SCALES[scale].bounds
    found = words(estimate, lower, upper)
    if not all(math.isfinite(x) and low < x < high for x in (lower, estimate, upper)):
        allowed = f"numbers between {low:g} and {high:g} on the {scale} scale"
        raise InputError(Fault(place, found, allowed))
    if not lower <= estimate <= upper or lower == upper:
        raise InputError(Fault(place, found, "lower ≤ estimate ≤ upper, and lower < upper"))


def check_level(level: float) -> None:
    """Refuse what is no level of an interval."""
    if not 0 < level < 1:
        raise InputError(Fault("level", f"{level:g}", "a number between 0 and 1", "level = 0.95"))
