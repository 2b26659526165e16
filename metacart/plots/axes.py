"""Axes in natural units: percent, ratio, value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from metacart.scales import Scale

__all__ = [
    "Axis",
    "Limits",
    "effect_axis",
    "linear_axis",
    "logit_axis",
    "percent_axis",
    "ratio_axis",
    "tight",
]

Array = NDArray[np.float64]
Limits = tuple[float, float] | None


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
    scale : {"linear", "log", "logit"}
        What is evenly spaced along it.
    null : float or None
        Where no difference is.
    sides : (str, str) or None
        What lies to the left and to the right of `null`.
    sides_above : bool
        Whether they stand in bold above the rows instead of below the axis.
    of_rates : bool
        Whether what it shows ends at 0 and at 1.
    """

    low: float
    high: float
    ticks: tuple[float, ...]
    tick_labels: tuple[str, ...]
    label: str = ""
    scale: Literal["linear", "log", "logit"] = "linear"
    null: float | None = None
    sides: tuple[str, str] | None = None
    sides_above: bool = False
    of_rates: bool = False

    @property
    def log(self) -> bool:
        """Whether it is logarithmic."""
        return self.scale == "log"

    def straight(self, values: Array | Sequence[float] | float) -> Array:
        """Return values on the scale that is evenly spaced along the axis."""
        array = np.asarray(values, dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.scale == "log":
                return np.log(array)
            return np.log(array) - np.log1p(-array) if self.scale == "logit" else array

    def natural(self, values: Array | float) -> Array:
        """Return values of that scale in natural units."""
        array = np.asarray(values, dtype=np.float64)
        if self.scale == "log":
            return np.exp(array)
        return 1.0 / (1.0 + np.exp(-array)) if self.scale == "logit" else array

    def share(self, value: float) -> float:
        """Return how far along the axis a value stands, from 0 to 1."""
        low, at, high = self.straight((self.low, value, self.high)).tolist()
        return float((at - low) / (high - low))


def percent_axis(label: str, *, limits: Limits = None) -> Axis:
    """Return the axis of a rate: all of 0 to 100 %, unless limits are stated."""
    ticks = tuple(step / 5 for step in range(6))
    low, high = limits or (0.0, 1.0)
    if limits:
        ticks = tuple(tick / 100 for tick in _round_ticks(100 * low, 100 * high))
    labels = tuple(f"{100 * tick:g}" for tick in ticks)
    return Axis(low, high, ticks, labels, label, of_rates=True)


# The ticks of a logit axis, from coarse to fine: below one half, and mirrored above.
_RATES = (
    (0.001, 0.01, 0.1),
    (0.001, 0.01, 0.05, 0.1, 0.25),
    (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4),
)
_MOST_RATES = 9
_CLOSE = 0.075  # of an axis: ticks of effects nearer than that overlap
_MOST_EFFECTS = 8


def logit_axis(
    label: str,
    *,
    points: Sequence[float],
    intervals: Sequence[tuple[float, float]],
    limits: Limits = None,
) -> Axis:
    """Return a logit axis with ticks in percent; 0 and 100 % lie beyond it, at arrows.

    Parameters
    ----------
    label : str
        What the rate is of.
    points : sequence of float
        Rates; those between 0 and 1 are on the axis.
    intervals : sequence of (float, float)
        Intervals; what reaches beyond the axis ends in an arrow.
    limits : (float, float), optional
        Where the axis begins and ends.

    Returns
    -------
    Axis
    """
    fine = _mirrored(_RATES[-1])
    if limits is None:
        ends = [end for pair in intervals for end in pair]
        seen = [value for value in (*points, *ends) if fine[0] <= value <= fine[-1]]
        low, high = min(seen, default=0.1), max(seen, default=0.9)
        low = max((rate for rate in fine[:-1] if rate <= low), default=fine[0])
        high = min((rate for rate in fine if rate >= high and rate > low), default=fine[-1])
    else:
        low, high = limits
    inside = [[rate for rate in _mirrored(half) if low <= rate <= high] for half in _RATES]
    ticks = next((few for few in reversed(inside) if len(few) <= _MOST_RATES), inside[0])
    if len(ticks) < 2:
        ticks = [low, high]
    labels = tuple(f"{100 * tick:.4g}" for tick in ticks)
    return Axis(low, high, tuple(ticks), labels, label, scale="logit")


def _mirrored(half: Sequence[float]) -> list[float]:
    return [*half, 0.5, *(round(1.0 - rate, 6) for rate in reversed(half))]


def _round_ticks(low: float, high: float) -> list[float]:
    """Return round numbers between two limits, both included."""
    from matplotlib.ticker import MaxNLocator

    found = MaxNLocator(nbins=6, steps=[1, 2, 5, 10]).tick_values(low, high)
    inside = [round(float(tick), 12) for tick in found if low - 1e-9 <= tick <= high + 1e-9]
    return inside if len(inside) > 1 else [low, high]


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
    sides_above: bool = False,
    null: float | None = 1.0,
    limits: Limits = None,
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
    sides_above : bool
        Whether that stands above the rows.
    null : float, optional
        Where no difference is; the axis goes around it. None for what is no comparison.
    limits : (float, float), optional
        Where the axis begins and ends; a null beyond them is not drawn.

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
    if limits is None:
        choices = _powers(low, high, _ENDS)
        low = max(choice for choice in choices if choice <= low * 1.0001)
        high = min(choice for choice in choices if choice >= high * 0.9999)
    else:
        low, high = limits
        null = null if null is not None and low <= null <= high else None
    digits = next(digits for most, digits in _DIGITS if high / low <= most * 1.0001)
    ticks = [tick for tick in _powers(low, high, digits) if low <= tick <= high]
    ticks = ticks[:: -(-len(ticks) // _MOST_TICKS)]
    ticks = ticks if len(ticks) > 1 else [low, high]
    return Axis(
        low,
        high,
        tuple(ticks),
        tuple(f"{tick:g}" if 1e-4 <= tick < 1e6 else f"{tick:.0e}" for tick in ticks),
        label,
        scale="log",
        null=null,
        sides=None if null is None else sides,
        sides_above=sides_above,
    )


def linear_axis(
    label: str,
    *,
    points: Sequence[float],
    intervals: Sequence[tuple[float, float]],
    null: float | None = None,
    limits: Limits = None,
) -> Axis:
    """Return a linear axis that holds every point; intervals end where they dwarf the others."""
    if limits is not None:
        given = _round_ticks(*limits)
        return Axis(*limits, tuple(given), tuple(f"{t:g}".replace("-", "−") for t in given), label)
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


# --- axes of effects ----------------------------------------------------------------------------


def effect_axis(
    scale: Scale, low: float, high: float, *, label: str = "", null: float | None = None
) -> Axis:
    """Return an axis evenly spaced on the model scale, with ticks in natural units.

    Parameters
    ----------
    scale : Scale
        Of the model.
    low, high : float
        Its ends, on that scale.
    label : str
        What is shown.
    null : float, optional
        Where no difference is, on that scale.

    Returns
    -------
    Axis
    """
    if scale.name == "identity":
        plain = linear_axis(label, points=[low, high], intervals=[])
        inside = [n for n, tick in enumerate(plain.ticks) if low <= tick <= high]
        ticks, labels = [plain.ticks[n] for n in inside], [plain.tick_labels[n] for n in inside]
    else:
        natural = _effect_ticks(scale, low, high)
        ticks = [float(scale.link(tick)) for tick in natural]
        unit = 100.0 if scale.is_rate else 1.0
        labels = [f"{unit * tick:.6g}" for tick in natural]
    within = null if null is not None and low <= null <= high else None
    return Axis(low, high, tuple(ticks), tuple(labels), label, null=within)


def _effect_ticks(scale: Scale, low: float, high: float) -> list[float]:
    """Return natural values, as many as stand well apart."""
    best: list[float] = []
    for family in _EFFECT_RATES if scale.is_rate else _ratios(scale, low, high):
        at = np.asarray(scale.link(np.asarray(family)))
        inside = (at >= low) & (at <= high)
        gaps = np.diff(at[inside]) / (high - low)
        found = np.asarray(family)[inside].tolist()
        if len(best) < len(found) <= _MOST_EFFECTS and (gaps > _CLOSE).all():
            best = found
    return best or [float(scale.inverse(np.asarray(0.5 * (low + high))))]


_EFFECT_RATES: tuple[Sequence[float], ...] = (
    _mirrored((1e-6, 1e-4, 1e-2)),
    _mirrored((1e-5, 1e-4, 1e-3, 1e-2, 0.1)),
    _mirrored((1e-3, 1e-2, 0.1)),
    _mirrored((1e-3, 0.01, 0.05, 0.2)),
    _mirrored((0.01, 0.05, 0.1, 0.25)),
    _mirrored((0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)),
    *(
        tuple(round(step * n, 6) for n in range(1, round(1.0 / step)))
        for step in (0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)
    ),
)


def _ratios(scale: Scale, low: float, high: float) -> list[list[float]]:
    ends = np.clip(np.log10(scale.inverse(np.asarray([low, high]))), -300.0, 300.0)
    first, last = int(np.floor(ends[0])), int(np.ceil(ends[1]))
    families = [
        [10.0**power for power in range(first, last + 1) if power % step == 0]
        for step in (50, 20, 10, 5, 2)
    ]
    families += [
        [digit * 10.0**power for power in range(first, last + 1) for digit in digits]
        for digits in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7))
    ]
    for step in (0.1, 0.05, 0.02, 0.01):
        least, most = (10.0**end / step for end in ends)
        if most - least < 50:
            families.append([step * n for n in range(int(np.ceil(least)), int(most) + 1)])
    return families


def tight(axis: Axis, values: Sequence[float]) -> Axis:
    """Return an axis that ends a little beyond its values, not at the next round number."""
    room = 0.04 * (max(values) - min(values))
    low, high = max(axis.low, min(values) - room), min(axis.high, max(values) + room)
    return replace(axis, low=low, high=high) if high > low else axis
