"""A figure of points on two axes, and names beside them that overlap nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from metacart.plots.axes import Axis
from metacart.plots.canvas import lay_flat, open_canvas, place
from metacart.plots.footer import draw_footer, measure_footer
from metacart.plots.marks import plain, words
from metacart.plots.measure import COLOURS, GAP, MARGIN, SMALL, drawable, text_width
from metacart.plots.page import Key, Page

__all__ = ["LEFT", "TOP", "Scatter", "name_points", "open_scatter", "tight"]

LEFT = MARGIN + 0.42  # inches to the left of the panel
TOP, _UNDER = 0.36, 0.52  # inches above and below it
_HALF = 0.062  # inches, half the height of a name with its room


@dataclass(frozen=True, slots=True)
class Scatter:
    """A panel of points on two axes.

    Attributes
    ----------
    name : str
        The ``column`` of its plot in ``viz``.
    x, y : Axis
        The axes, linear or logarithmic; the label of `y` stands above its end.
    size : (float, float)
        Inches of the panel.
    edge : float
        Inches beyond the ends of linear axes, where marks are large.
    down : bool
        Whether the vertical axis grows downwards.
    right : float
        Inches to the right of the panel, for what stands there.
    """

    name: str
    x: Axis
    y: Axis
    size: tuple[float, float]
    edge: float = 0.0
    down: bool = False
    right: float = 0.0

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Return where a point stands, in inches from the upper left corner."""
        ends = []
        for axis, inches, value in ((self.x, self.size[0], x), (self.y, self.size[1], y)):
            edge = 0.0 if axis.log else self._edge(inches)
            ends.append(edge + (inches - 2 * edge) * axis.share(value))
        return ends[0], ends[1] if self.down else self.size[1] - ends[1]

    def _edge(self, inches: float) -> float:
        """Return the inches of the edge once it is part of the panel."""
        return self.edge * inches / (inches + 2 * self.edge)


def tight(axis: Axis, values: Sequence[float]) -> Axis:
    """Return an axis that ends a little beyond its values, not at the next round number."""
    room = 0.04 * (max(values) - min(values))
    low, high = max(axis.low, min(values) - room), min(axis.high, max(values) + room)
    return replace(axis, low=low, high=high) if high > low else axis


def open_scatter(
    scatter: Scatter,
    points: Mapping[str, float],
    *,
    key: Sequence[Key],
    notes: Sequence[str],
    warning: str = "",
    backend: str = "matplotlib",
) -> Page:
    """Return a page with one panel of points, its key and its notes.

    Parameters
    ----------
    scatter : Scatter
        The panel.
    points : mapping of str to float
        Where each row stands on the vertical axis.
    key : sequence of Key
        The marks and their words.
    notes : sequence of str
        Paragraphs of the footer.
    warning : str
        Stands above the notes in red.
    backend : {"matplotlib", "none"}
        ``"none"`` draws nothing and keeps the structure.

    Returns
    -------
    Page
    """
    wide, high = scatter.size
    width = LEFT + wide + scatter.right + MARGIN
    footer = measure_footer(notes, warning, key, width - 2 * MARGIN)
    body = TOP + high + _UNDER
    whole = (width, body + footer.height + MARGIN)
    collection = open_canvas([*points], [scatter.name], whole, backend)
    heights = {row: float(at) for row, at in points.items()}
    axes, rows = {scatter.name: scatter.x}, dict.fromkeys(points, 0.0)
    page = Page(collection, axes, heights, rows, TOP, TOP + high)
    if backend == "matplotlib":
        lay_flat(page.plot("table"), (0.0, 0.0, width, TOP), whole)
        lay_flat(page.plot("footer"), (MARGIN, body, width - 2 * MARGIN, footer.height), whole)
        place(page.plot(scatter.name), (LEFT, TOP, wide, high), whole)
        _dress(page.plot(scatter.name), scatter)
    words(scatter.y.label, page.plot("table"), x=MARGIN, y=TOP - 0.16, bold=True, gid="y_label")
    draw_footer(page, footer, key)
    return page


def _dress(plot: Any, scatter: Scatter) -> None:
    x, y, size = scatter.x, scatter.y, scatter.size
    plot.patch.set_visible(False)
    for axis, inches, along in ((x, size[0], "x"), (y, size[1], "y")):
        more = 0.0 if axis.log else scatter.edge / inches * (axis.high - axis.low)
        limits = (axis.low - more, axis.high + more)
        shown = [n for n, tick in enumerate(axis.ticks) if axis.low <= tick <= axis.high]
        ticks, labels = [axis.ticks[n] for n in shown], [axis.tick_labels[n] for n in shown]
        plot.set(**{f"{along}scale": axis.scale})
        plot.set(**{f"{along}lim": limits[::-1] if scatter.down and along == "y" else limits})
        set_ticks = getattr(plot, f"set_{along}ticks")
        set_ticks(ticks, labels, fontsize=SMALL)
        set_ticks([], minor=True)
        spine = plot.spines["bottom" if along == "x" else "left"]
        spine.set(linewidth=0.7, bounds=(axis.low, axis.high))
    plot.tick_params(length=3, width=0.7, color=COLOURS["ink"], pad=2)
    for side in ("right", "top"):
        plot.spines[side].set_visible(False)
    for axis, draw in ((x, plot.axvline), (y, plot.axhline)):
        if axis.null is not None:
            draw(axis.null, color=COLOURS["rule"], linewidth=0.7, zorder=1, gid="null")
    plot.set_xlabel(drawable(x.label), fontsize=8.0, labelpad=5, gid="axis_label")


def name_points(
    page: Page,
    scatter: Scatter,
    at: Mapping[str, float],
    names: Mapping[str, str],
    *,
    reach: Mapping[str, float],
) -> None:
    """Write names beside points where they cover no other name and no point.

    Parameters
    ----------
    page : Page
        Where.
    scatter : Scatter
        The panel.
    at : mapping of str to float
        Where each point stands along x, of all rows.
    names : mapping of str to str
        The names by row, the most important first; one without a free place is not written.
    reach : mapping of str to float
        Inches from the middle of each point to its edge.
    """
    size = scatter.size
    middles = {row: scatter.place(value, page.centre[row]) for row, value in at.items()}
    # left, top, right, bottom in inches from the upper left corner of the panel
    taken = [(a - 0.7 * reach[r], b - 0.7 * reach[r], a + 0.7 * reach[r], b + 0.7 * reach[r])
             for r, (a, b) in middles.items()]  # fmt: skip
    own = dict(zip(middles, taken, strict=True))
    across, above, aligned = {}, {}, {}
    for row, name in names.items():
        wide, away = text_width(name, size=SMALL), reach[row] + 0.03
        a, b = middles[row]
        for side, shift, rise in (
            ("left", away, 0.0),
            ("right", -away, 0.0),
            ("left", 0.7 * away, -0.7 * away - 0.04),
            ("left", 0.7 * away, 0.7 * away + 0.04),
            ("right", -0.7 * away, -0.7 * away - 0.04),
            ("right", -0.7 * away, 0.7 * away + 0.04),
            ("center", 0.0, -away - _HALF),
            ("center", 0.0, away + _HALF),
        ):
            start = a + shift - {"left": 0.0, "center": 0.5, "right": 1.0}[side] * wide
            box = (start, b + rise - _HALF, start + wide, b + rise + _HALF)
            inside = (
                box[0] >= 0.02 and box[2] <= size[0] + GAP and box[1] >= 0.0 and box[3] <= size[1]
            )
            if inside and not any(_meet(box, other) for other in taken if other != own[row]):
                taken.append(box)
                across[row], above[row], aligned[row] = 72 * shift, -72 * rise, side
                break
    page.draw(
        _name, "name", {row: names[row] for row in aligned}, on=scatter.name,
        x={row: at[row] for row in aligned}, across=across, above=above, align=aligned,
    )  # fmt: skip


def _meet(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return (
        one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
    )  # fmt: skip


def _name(
    da: Any, target: Any, *, y: Any, x: Any, across: Any, above: Any, align: Any, **_: Any
) -> Any:
    """Write a name some points beside a point of the scatter."""
    if not hasattr(target, "annotate"):
        return None
    from matplotlib.patheffects import withStroke

    return target.annotate(
        drawable(str(plain(da))),
        (float(plain(x)), float(plain(y))),
        xytext=(float(plain(across)), float(plain(above))),
        textcoords="offset points",
        va="center",
        ha=plain(align),
        path_effects=[withStroke(linewidth=2.0, foreground=COLOURS["paper"])],
        fontsize=SMALL,
        color=COLOURS["muted"],
        zorder=6,
        annotation_clip=False,
    )
