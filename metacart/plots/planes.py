"""Planes with two axes on one page: where they stand, how effects are ticked, names at lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metacart.plots.axes import Axis, linear_axis
from metacart.plots.canvas import lay_flat, open_canvas, place
from metacart.plots.footer import draw_footer, measure_footer
from metacart.plots.marks import backend_of, words
from metacart.plots.measure import (
    COLOURS,
    MARGIN,
    SIZE,
    SMALL,
    SMALL_LINE,
    drawable,
    text_width,
    warn_of_letters,
    wrap,
)
from metacart.plots.page import Key, Page
from metacart.scales import Scale

__all__ = ["Plane", "effect_axis", "name_lines", "named_width", "names_height", "open_planes"]

Array = NDArray[np.float64]

_CLOSE = 0.075  # of an axis: ticks nearer than that overlap
_MOST = 8
_WIDEST = 2.2  # inches beyond which names at lines are wrapped
_LEADER = 0.22  # inches from the end of a line to its name


@dataclass(frozen=True, slots=True)
class Plane:
    """A plane on a page, in inches from its upper left corner.

    Attributes
    ----------
    name : str
        Its plot in ``viz``.
    x, y : Axis
        Its axes, evenly spaced; only a lowest plane of several with one x has words below it.
    left, top, wide, high : float
        Where it stands.
    heading : str
        What y is, above the plane.
    ticked : bool
        Whether x has labels.
    """

    name: str
    x: Axis
    y: Axis
    left: float
    top: float
    wide: float
    high: float
    heading: str = ""
    ticked: bool = True

    def inches(self, y: float) -> float:
        """Return how far below the top of the page a value of y stands."""
        return self.top + self.high * (self.y.high - y) / (self.y.high - self.y.low)


def open_planes(
    planes: Sequence[Plane],
    *,
    size: tuple[float, float],
    key: Sequence[Key],
    notes: Sequence[str],
    warning: str,
    backend: str,
    rows: Sequence[str] = ("plane",),
) -> Page:
    """Lay planes out above a footer, with their axes.

    Parameters
    ----------
    planes : sequence of Plane
        From the top.
    size : (float, float)
        Inches that the page is wide, and high above its footer.
    key, notes, warning
        Of the footer.
    backend : {"matplotlib", "none"}
        ``"none"`` draws nothing and keeps the structure.
    rows : sequence of str
        The names of what is drawn one by one.

    Returns
    -------
    Page
    """
    width, body = size
    footer = measure_footer(notes, warning, key, width - 2 * MARGIN)
    total = body + footer.height + MARGIN
    collection = open_canvas(rows, [each.name for each in planes], (width, total), backend)
    nowhere = dict.fromkeys(rows, 0.0)
    axes = {each.name: each.x for each in planes}
    page = Page(collection, axes, nowhere, nowhere, 0.0, body)
    if backend == "matplotlib":
        warn_of_letters([*notes, *(each.heading for each in planes)])
        lay_flat(page.plot("table"), (0.0, 0.0, width, body), (width, total))
        box = (MARGIN, body, width - 2 * MARGIN, footer.height)
        lay_flat(page.plot("footer"), box, (width, total))
        for each in planes:
            plot = page.plot(each.name)
            place(plot, (each.left, each.top, each.wide, each.high), (width, total))
            _dress(plot, each)
    for each in planes:
        if each.heading:
            words(
                each.heading, page.plot("table"), x=MARGIN, y=each.top - 0.1, anchor="bottom",
                bold=True, lines=each.heading.count("\n") + 1, gid=f"heading_{each.name}",
            )  # fmt: skip
        if each.y.null is not None:
            backend_of(page.plot(each.name)).line(
                np.asarray([each.x.low, each.x.high]), np.full(2, each.y.null),
                page.plot(each.name), color=COLOURS["rule"], width=0.7, zorder=1, gid="null",
            )  # fmt: skip
    draw_footer(page, footer, key)
    return page


def _dress(plot: Any, plane: Plane) -> None:
    x, y = plane.x, plane.y
    plot.patch.set_visible(False)
    plot.set(xlim=(x.low, x.high), ylim=(y.low, y.high))
    plot.set_xticks(x.ticks, x.tick_labels if plane.ticked else [""] * len(x.ticks), fontsize=SMALL)
    plot.set_yticks(y.ticks, y.tick_labels, fontsize=SMALL)
    plot.set_xticks([], minor=True)
    plot.set_yticks([], minor=True)
    plot.tick_params(length=3, width=0.7, color=COLOURS["ink"], pad=2)
    for side in ("right", "top"):
        plot.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        plot.spines[side].set_linewidth(0.7)
    plot.spines["left"].set_visible(bool(y.ticks))
    if plane.ticked:
        plot.set_xlabel(drawable(x.label), fontsize=SIZE, labelpad=4, gid="axis_label")


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
        natural = _ticks(scale, low, high)
        ticks = [float(scale.link(tick)) for tick in natural]
        unit = 100.0 if scale.is_rate else 1.0
        labels = [f"{unit * tick:.6g}" for tick in natural]
    within = null if null is not None and low <= null <= high else None
    return Axis(low, high, tuple(ticks), tuple(labels), label, null=within)


def _ticks(scale: Scale, low: float, high: float) -> list[float]:
    """Return natural values, as many as stand well apart."""
    best: list[float] = []
    for family in _RATES if scale.is_rate else _ratios(scale, low, high):
        at = np.asarray(scale.link(np.asarray(family)))
        inside = (at >= low) & (at <= high)
        gaps = np.diff(at[inside]) / (high - low)
        found = np.asarray(family)[inside].tolist()
        if len(best) < len(found) <= _MOST and (gaps > _CLOSE).all():
            best = found
    return best or [float(scale.inverse(np.asarray(0.5 * (low + high))))]


def _mirrored(*half: float) -> tuple[float, ...]:
    return (*half, 0.5, *(round(1.0 - rate, 8) for rate in reversed(half)))


_RATES: tuple[tuple[float, ...], ...] = (
    _mirrored(1e-6, 1e-4, 1e-2),
    _mirrored(1e-5, 1e-4, 1e-3, 1e-2, 0.1),
    _mirrored(1e-3, 1e-2, 0.1),
    _mirrored(1e-3, 0.01, 0.05, 0.2),
    _mirrored(0.01, 0.05, 0.1, 0.25),
    _mirrored(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2),
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


# --- names at the ends of lines -----------------------------------------------------------------


def named_width(names: Mapping[str, str]) -> float:
    """Return the room that names at the ends of lines take, in inches."""
    lines = (line for name in names.values() for line in _wrapped(name).split("\n"))
    return _LEADER + max((text_width(line, size=SMALL) for line in lines), default=0.0)


def names_height(names: Mapping[str, str]) -> float:
    """Return the room that these names take below each other, in inches."""
    return SMALL_LINE * sum(_wrapped(name).count("\n") + 1 for name in names.values())


def _wrapped(name: str) -> str:
    return wrap(name, _WIDEST, size=SMALL)


def name_lines(
    page: Page, plane: Plane, names: Mapping[str, str], ends: Mapping[str, float]
) -> None:
    """Write names to the right of lines that end at heights of a plane, apart from each other."""
    from scipy.optimize import isotonic_regression

    if not names:
        return
    rows = sorted(names, key=lambda row: -ends[row])
    texts = {row: _wrapped(names[row]) for row in rows}
    high = np.asarray([SMALL_LINE * (texts[row].count("\n") + 1) for row in rows])
    wanted = np.asarray([plane.inches(ends[row]) for row in rows])
    wanted = np.clip(wanted, plane.top, plane.top + plane.high)
    # the least squares move that leaves each its room
    room = np.concatenate([[0.0], np.cumsum(0.5 * (high[1:] + high[:-1]))])
    placed = np.asarray(isotonic_regression(wanted - room).x)
    last = plane.top + plane.high + 0.5 * high[-1] - room[-1]
    placed = np.clip(placed, min(plane.top - 0.5 * high[0], last), last) + room
    x = plane.left + plane.wide
    table = page.plot("table")
    for start, end in zip(wanted, placed, strict=True):
        backend_of(table).line(
            np.asarray([x + 0.02, x + 0.07, x + _LEADER - 0.05, x + _LEADER - 0.02]),
            np.asarray([start, start, end, end]),
            table, color=COLOURS["rule"], width=0.4, zorder=1, gid="leader",
        )  # fmt: skip
    at = dict(zip(rows, placed, strict=True))
    page.draw(
        _name, "name", texts, on="table", x=x + _LEADER, at={row: float(at[row]) for row in rows}
    )


def _name(da: Any, target: Any, *, y: Any, at: Any, **options: Any) -> Any:
    del y
    return words(da, target, y=at, small=True, colour=COLOURS["muted"], **options)
