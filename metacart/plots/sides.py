"""What each side of a null favours, below the axis of a panel or above its rows."""

from __future__ import annotations

from typing import Any

from metacart.plots.axes import Axis
from metacart.plots.marks import words
from metacart.plots.measure import (
    COLOURS,
    LINE,
    SIZE,
    SMALL,
    SMALL_LINE,
    drawable,
    text_width,
    wrap,
)

__all__ = ["draw_sides_above", "draw_sides_below", "height_above", "height_below", "sides_of"]

_SIDES = 0.22  # from the axis down to what each side favours
_GAP = 0.07


def sides_of(axis: Axis, width: float) -> list[tuple[str, float]]:
    """Return what each side favours with its left edge, beside the null and inside the panel."""
    if axis.sides is None or axis.null is None:
        return []
    size, bold = (SIZE, True) if axis.sides_above else (SMALL, False)
    middle = width * axis.share(axis.null)
    below, above = (wrap(text, width / 2 - _GAP, size=size, bold=bold) for text in axis.sides)
    wide = [
        max(text_width(line, size=size, bold=bold) for line in text.split("\n"))
        for text in (below, above)
    ]
    right = min(max(middle + _GAP, wide[0] + 2 * _GAP), width - wide[1])
    return [(below, min(middle - _GAP, right - 2 * _GAP) - wide[0]), (above, right)]


def height_below(axis: Axis, width: float) -> float:
    """Return the room that the sides take below the axis."""
    if axis.sides_above:
        return 0.0
    lines = max((text.count("\n") + 1 for text, _ in sides_of(axis, width)), default=0)
    return 0.16 + SMALL_LINE * (lines - 1) if lines else 0.0


def height_above(axis: Axis, width: float) -> float:
    """Return the room that the sides take above the rows."""
    if not axis.sides_above:
        return 0.0
    return LINE * max((text.count("\n") + 1 for text, _ in sides_of(axis, width)), default=0)


def draw_sides_below(plot: Any, axis: Axis, width: float) -> None:
    """Write the sides below the axis of a plot of matplotlib."""
    if axis.sides_above:
        return
    for (text, left), name in zip(sides_of(axis, width), ("below", "above"), strict=False):
        for number, line in enumerate(text.split("\n")):
            plot.annotate(
                drawable(line),
                (0.0, 0.0),
                xycoords="axes fraction",
                xytext=(72 * left, -72 * (_SIDES + SMALL_LINE * number)),
                textcoords="offset points",
                va="top",
                fontsize=SMALL,
                color=COLOURS["muted"],
                gid=f"favours_{name}",
            )


def draw_sides_above(table: Any, axis: Axis, width: float, *, left: float, bottom: float) -> None:
    """Write the sides in bold above `bottom`, on a plot in inches whose panel begins at `left`."""
    if not axis.sides_above:
        return
    for (text, x), name in zip(sides_of(axis, width), ("below", "above"), strict=False):
        words(
            text, table, x=left + x, y=bottom, anchor="bottom", bold=True,
            lines=text.count("\n") + 1, gid=f"favours_{name}",
        )  # fmt: skip
