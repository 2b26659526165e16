"""Axes in natural units: percent, ratio, value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Axis", "linear_axis", "percent_axis", "ratio_axis"]


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis of a panel, in natural units.

    Attributes
    ----------
    low, high : float
        What is shown; intervals beyond end in arrows.
    ticks : sequence of float
        Where the ticks stand.
    tick_labels : sequence of str
        Their words.
    label : str
        What is shown, and its unit.
    log : bool
        Whether the axis is logarithmic.
    null : float or None
        Where no difference is.
    sides : (str, str) or None
        What lies to the left and to the right of `null`.
    """

    low: float
    high: float
    ticks: tuple[float, ...]
    tick_labels: tuple[str, ...]
    label: str = ""
    log: bool = False
    null: float | None = None
    sides: tuple[str, str] | None = None


def percent_axis(label: str) -> Axis:
    """Return the axis of a rate: all of 0 to 100 %, always."""
    ticks = tuple(step / 5 for step in range(6))
    return Axis(0.0, 1.0, ticks, tuple(f"{100 * tick:.0f}" for tick in ticks), label)


_RATIO_TICKS = tuple(float(f"{digit}e{power}") for power in range(-4, 5) for digit in (1, 2, 5))


def ratio_axis(
    label: str,
    *,
    points: Sequence[float],
    intervals: Sequence[tuple[float, float]],
    sides: tuple[str, str] | None = None,
) -> Axis:
    """Return a log axis that holds every point, and intervals as far as 0.05 to 20.

    Parameters
    ----------
    label : str
        The measure.
    points : sequence of float
        Ratios that must be seen.
    intervals : sequence of (float, float)
        Intervals; what reaches beyond the axis ends in an arrow.
    sides : (str, str), optional
        What ratios below and above 1 favour.

    Returns
    -------
    Axis
    """
    ends = [end for pair in intervals for end in pair if np.isfinite(end) and end > 0]
    seen = [point for point in points if np.isfinite(point) and point > 0] or [1.0]
    low = min(min(seen) / 1.15, max(min([*ends, 0.5]), 0.05), 0.5)
    high = max(max(seen) * 1.15, min(max([*ends, 2.0]), 20.0), 2.0)
    low = max((tick for tick in _RATIO_TICKS if tick <= low * 1.0001), default=low)
    high = min((tick for tick in _RATIO_TICKS if tick >= high * 0.9999), default=high)
    ticks = [tick for tick in _RATIO_TICKS if low <= tick <= high]
    if high / low > 1e3:
        ticks = [tick for tick in ticks if np.log10(tick) % 1 == 0]
    return Axis(
        low,
        high,
        tuple(ticks),
        tuple(f"{tick:g}" if tick >= 1e-4 else f"{tick:.0e}" for tick in ticks),
        label,
        log=True,
        null=1.0,
        sides=sides,
    )


def linear_axis(
    label: str,
    *,
    points: Sequence[float],
    intervals: Sequence[tuple[float, float]],
    null: float | None = None,
) -> Axis:
    """Return a linear axis that holds every point; intervals end where they dwarf the points."""
    from matplotlib.ticker import MaxNLocator

    seen = np.asarray([*points, *([] if null is None else [null])], dtype=float)
    seen = seen[np.isfinite(seen)]
    ends = np.asarray(list(intervals), dtype=float).reshape(-1, 2)
    ends = ends[np.isfinite(ends).all(axis=1)]
    widths = ends[:, 1] - ends[:, 0]
    span = max(float(np.ptp(seen)), 2.0 * float(np.median(widths)) if widths.size else 0.0, 1e-12)
    low, high = float(seen.min()), float(seen.max())
    if ends.size:
        low = min(low, max(float(ends[:, 0].min()), low - span))
        high = max(high, min(float(ends[:, 1].max()), high + span))
    locator = MaxNLocator(nbins=6, steps=[1, 2, 5, 10])
    ticks = np.asarray(locator.tick_values(low, high), dtype=float)
    step = float(ticks[1] - ticks[0])
    places = max(0, -int(np.floor(np.log10(step) + 1e-9)))
    labels = tuple(f"{tick + 0.0:.{places}f}".replace("-", "−") for tick in ticks)
    return Axis(
        float(ticks[0]), float(ticks[-1]), tuple(map(float, ticks)), labels, label, null=null
    )
