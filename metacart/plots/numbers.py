"""Natural values and intervals as they stand in the cells of a figure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metacart.plots.facts import Measure

__all__ = ["Style", "number", "span"]


@dataclass(frozen=True, slots=True)
class Style:
    """How numbers are written.

    Attributes
    ----------
    opening, closing, join : str
        Around and between the ends of an interval. Where an end may be negative, a dash is ``to``.
    tight : bool
        Whether the sign of percent follows its number at once.
    leading_zero : bool
        Whether probabilities have a zero before their point.
    """

    opening: str = "["
    closing: str = "]"
    join: str = "–"
    tight: bool = False
    leading_zero: bool = True

    def words(self, text: str) -> str:
        """Return text with its percentages as this style writes them."""
        return text.replace(" %", "%") if self.tight else text

    def probability(self, text: str) -> str:
        """Return a probability, or words that end in one, as this style writes it."""
        return text if self.leading_zero else text.replace(" 0.", " .")


def number(value: float, measure: Measure, places: int | None) -> str:
    """Return a natural value as it stands in a cell; rates in percent.

    Without `places` it has two digits behind the point, and two that count where it is small.
    """
    if np.isnan(value):
        return ""
    if not np.isfinite(value):
        return "∞" if value > 0 else "−∞"
    if measure == "rate":
        value = 100.0 * value
    if places is None:
        places = (
            0
            if value >= 99.5 or value == 0
            else 1
            if value >= 9.95
            else 2
            if value >= 0.0995
            else 3
        )
        text = f"{value:.{places}f}" if value >= 0.0005 or value == 0 else f"{value:.0e}"
    else:
        text = f"{value:.{places}f}"
    if float(text) == 0:
        text = text.removeprefix("-")
    return text.replace("-", "−")


def span(
    lower: float,
    upper: float,
    measure: Measure,
    places: int | None,
    *,
    signed: bool = False,
    style: Style = Style(),
) -> str:
    """Return an interval as it stands in a cell."""
    if np.isnan(lower) or np.isnan(upper):
        return ""
    join = style.join
    if (signed or measure == "value") and join in ("–", "-"):
        join = " to "
    ends = join.join(number(end, measure, places) for end in (lower, upper))
    return f"{style.opening}{ends}{style.closing}"
