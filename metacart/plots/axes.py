"""Axes in natural units: percent, ratio, value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Axis", "linear_axis", "percent_axis", "ratio_axis"]

Array = NDArray[np.float64]


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


# Where a log axis may end, and the ticks of one that is short, long and very long.
_ENDS = (1, 2, 3, 5, 7)
_DIGITS = ((1e3, (1, 2, 5)), (1e4, (1, 3)), (float("inf"), (1,)))
_MOST_TICKS = 12


def _reach(points: Array, ends: Array) -> tuple[float, float]:
    """Return what an axis holds: every point, and intervals unless they dwarf the others."""
    low, high = float(points.min()), float(points.max())
    if not ends.size:
        return low, high
    span = max(high - low, 2.0 * float(np.median(ends[:, 1] - ends[:, 0])), 1e-12)
    return (
        min(low, max(float(ends[:, 0].min()), low - span)),
        max(high, min(float(ends[:, 1].max()), high + span)),
    )


def _finite(values: Sequence[float] | Sequence[tuple[float, float]], width: int) -> Array:
    array = np.asarray(list(values), dtype=np.float64).reshape(-1, width)
    return array[np.isfinite(array).all(axis=1)]


def _powers(low: float, high: float, digits: Sequence[int]) -> list[float]:
    """Return the digits times powers of ten from one decade below to one above."""
    first, last = (int(np.floor(np.log10(value))) for value in (low, high))
    return [float(f"{digit}e{power}") for power in range(first - 1, last + 2) for digit in digits]


def ratio_axis(
    label: str,
    *,
    points: Sequence[float],
    intervals: Sequence[tuple[float, float]],
    sides: tuple[str, str] | None = None,
    null: float | None = 1.0,
) -> Axis:
    """Return a log axis that holds every point; intervals end where they dwarf the others.

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
    null : float, optional
        Where no difference is; the axis goes around it. None for what is no comparison.

    Returns
    -------
    Axis
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        seen = _finite(np.log([*points, *([] if null is None else [null])]).tolist(), 1)
        ends = _finite(np.log(np.asarray(intervals, dtype=np.float64).reshape(-1, 2)).tolist(), 2)
    # a margin, so that nothing ends on the very end
    low, high = (float(np.exp(end)) for end in _reach(seen, ends))
    low, high = low / 1.06, high * 1.06
    if null is not None:
        low, high = min(low, 0.5 * null), max(high, 2.0 * null)
    choices = _powers(low, high, _ENDS)
    low = max(choice for choice in choices if choice <= low * 1.0001)
    high = min(choice for choice in choices if choice >= high * 0.9999)
    digits = next(digits for most, digits in _DIGITS if high / low <= most * 1.0001)
    ticks = [tick for tick in _powers(low, high, digits) if low <= tick <= high]
    ticks = ticks[:: -(-len(ticks) // _MOST_TICKS)]
    return Axis(
        low,
        high,
        tuple(ticks),
        tuple(f"{tick:g}" if 1e-4 <= tick < 1e6 else f"{tick:.0e}" for tick in ticks),
        label,
        log=True,
        null=null,
        sides=sides,
    )


def linear_axis(
    label: str,
    *,
    points: Sequence[float],
    intervals: Sequence[tuple[float, float]],
    null: float | None = None,
) -> Axis:
    """Return a linear axis that holds every point; intervals end where they dwarf the others."""
    from matplotlib.ticker import MaxNLocator

    seen = _finite([*points, *([] if null is None else [null])], 1)
    low, high = _reach(seen, _finite(intervals, 2))
    margin = 0.01 * (high - low)
    locator = MaxNLocator(nbins=6, steps=[1, 2, 5, 10])
    ticks = np.asarray(locator.tick_values(low - margin, high + margin), dtype=float)
    step = float(ticks[1] - ticks[0])
    places = max(0, -int(np.floor(np.log10(step) + 1e-9)))
    labels = tuple(f"{tick + 0.0:.{places}f}".replace("-", "−") for tick in ticks)
    return Axis(
        float(ticks[0]), float(ticks[-1]), tuple(map(float, ticks)), labels, label, null=null
    )
