"""The marks of a regression plot: bubbles with their names, and curves with their bands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.plots.axes import Axis
from metacart.plots.marks import backend_of, bubble, plain
from metacart.plots.measure import COLOURS
from metacart.plots.page import Page
from metacart.plots.planes import Plane, name_points, one_plane

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Picture", "draw_curves", "draw_findings"]

Array = NDArray[np.float64]

_SIZE = 6.6, 3.9  # inches of the panel
_SMALLEST, _LARGEST = 12.0, 420.0  # square points
_NAMED, _RANGED = 10, 20  # more findings have no name, or no interval, of their own


@dataclass(frozen=True)
class Picture:
    """What is drawn.

    Attributes
    ----------
    findings, curves : DataFrame
        The two kinds of rows of ``regression_table``.
    moderator : str
        The column of x.
    line : str
        The estimand of the line and its band.
    size : str
        The column of the bubbles' area.
    x, y : Axis
        The axes.
    colours : dict of str to str
        By level, or reading.
    """

    findings: pd.DataFrame
    curves: pd.DataFrame
    moderator: str
    line: str
    size: str
    x: Axis
    y: Axis
    colours: dict[str, str]

    @property
    def areas(self) -> Array:
        """The area of each bubble in square points."""
        sizes = self.findings[self.size].to_numpy(dtype=np.float64)
        areas: Array = np.maximum(_SMALLEST, _LARGEST * sizes / sizes.max())
        return areas

    @property
    def reach(self) -> Array:
        """How far each bubble reaches from its middle, in inches."""
        return np.sqrt(self.areas / np.pi) / 72

    @property
    def plane(self) -> Plane:
        """Where it stands."""
        return one_plane("regression", self.x, self.y, _SIZE, edge=float(self.reach.max()))


def draw_curves(page: Page, picture: Picture) -> None:
    """Draw each curve, the band around it, and that of the next study."""
    plot = page.plot("regression")
    backend = backend_of(plot)
    several = len(picture.colours) > 1
    for level, colour in picture.colours.items():
        curve = picture.curves[picture.curves["level"] == level]
        x = curve[picture.moderator].to_numpy(dtype=np.float64)

        def column(name: str, curve: pd.DataFrame = curve) -> Array:
            values = np.clip(curve[name], picture.y.low, picture.y.high)
            return np.asarray(values, dtype=np.float64)

        if several:
            for end in ("lower", "upper"):
                backend.line(
                    x, column(f"next_study_{end}"), plot, color=colour, width=0.8,
                    linestyle=":", zorder=2, gid=f"next_{end}:{level}",
                )  # fmt: skip
        else:
            backend.fill_between_y(
                x, column("next_study_lower"), column("next_study_upper"), plot, color=colour,
                alpha=0.10, linewidth=0.0, zorder=0, gid=f"next_band:{level}",
            )  # fmt: skip
        backend.fill_between_y(
            x, column(f"{picture.line}_lower"), column(f"{picture.line}_upper"), plot,
            color=colour, alpha=0.16 if several else 0.24, linewidth=0.0, zorder=1,
            gid=f"average_band:{level}",
        )  # fmt: skip
        backend.line(
            x, column(picture.line), plot, color=colour, width=1.6, zorder=3, gid=f"line:{level}"
        )


def draw_findings(page: Page, picture: Picture) -> None:
    """Draw each finding as a bubble, few with their intervals and names too."""
    rows, findings = list(page.centre), picture.findings
    x = dict(zip(rows, findings[picture.moderator].astype(float), strict=True))
    colours = dict(
        zip(
            rows,
            (picture.colours.get(level, COLOURS["crude"]) for level in findings["level"]),
            strict=True,
        )
    )
    if len(picture.colours) == 1 or "" in picture.colours:
        colours = dict.fromkeys(rows, COLOURS["crude"])
    open_ = dict(zip(rows, findings["imputed"].astype(bool), strict=True))
    areas = dict(zip(rows, picture.areas, strict=True))
    if len(rows) <= _RANGED:
        ends = {
            row: (x[row], *np.clip([low, high], picture.y.low, picture.y.high))
            for row, low, high in zip(
                rows, findings["crude_lower"], findings["crude_upper"], strict=True
            )
        }
        page.draw(
            _upright, "interval", ends, on="regression", parts=("x", "lower", "upper"),
            color=colours,
        )  # fmt: skip
        for side, marker, limit in (("below", "v", picture.y.low), ("above", "^", picture.y.high)):
            column = "crude_lower" if side == "below" else "crude_upper"
            beyond = {
                row: x[row]
                for row, end in zip(rows, findings[column], strict=True)
                if (end < limit if side == "below" else end > limit)
            }
            page.draw(
                _arrow, f"interval_{side}", beyond, on="regression", height=limit, marker=marker,
                color=colours,
            )  # fmt: skip
    page.draw(
        bubble, "bubble", x, on="regression", size=areas, color=colours, hollow=open_,
    )  # fmt: skip
    if len(rows) <= _NAMED:
        names = dict(zip(rows, findings["label"].astype(str), strict=True))
        reach = dict(zip(rows, map(float, picture.reach), strict=True))
        name_points(page, picture.plane, x, names, reach=reach)


def _upright(da: Any, target: Any, *, y: Any, color: Any) -> Any:
    """Draw a vertical line at x between two heights."""
    del y
    x, low, high = np.asarray(da, dtype=float)
    return backend_of(target).line(
        np.full(2, x), np.asarray([low, high]), target, color=plain(color), width=0.6, alpha=0.55,
        zorder=4,
    )  # fmt: skip


def _arrow(da: Any, target: Any, *, y: Any, height: float, marker: str, color: Any) -> Any:
    """Draw the head of an interval that goes on beyond the axis."""
    del y
    return backend_of(target).scatter(
        [float(plain(da))], [height], target, marker=marker, size=10.0, color=plain(color),
        width=0.0, clip_on=False, zorder=4,
    )  # fmt: skip
