"""Natural values and intervals as they stand in the cells of a figure."""

from __future__ import annotations

import numpy as np

from metacart.plots.facts import Measure

__all__ = ["number", "span"]


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
    lower: float, upper: float, measure: Measure, places: int | None, *, signed: bool = False
) -> str:
    """Return an interval as it stands in a cell."""
    if np.isnan(lower) or np.isnan(upper):
        return ""
    join = " to " if signed or measure == "value" else "–"
    return f"[{number(lower, measure, places)}{join}{number(upper, measure, places)}]"
