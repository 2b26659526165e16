"""Planes with two axes on one page: where they stand, and names at their points and lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from metacart.plots.axes import Axis
from metacart.plots.canvas import lay_flat, open_canvas, place
from metacart.plots.footer import draw_footer, measure_footer
from metacart.plots.marks import backend_of, plain, words
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

__all__ = [
    "Plane",
    "name_lines",
    "name_points",
    "named_width",
    "names_height",
    "one_plane",
    "open_plane",
    "open_planes",
]

_LEFT = MARGIN + 0.42  # inches to the left of a plane that stands alone
_TOP, _UNDER = 0.36, 0.52  # inches above and below it
_BEYOND = MARGIN - 0.02  # how far a name may reach beyond the plane, still on the page
_HALF = 0.062  # inches, half the height of a line of a name at a point with its room
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
        Its axes; only a lowest plane of several with one x has words below it.
    left, top, wide, high : float
        Where it stands.
    heading : str
        What y is, above the plane.
    ticked : bool
        Whether x has labels.
    edge : float
        Inches beyond the ends of linear axes, where marks are large.
    down : bool
        Whether y grows downwards.
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
    edge: float = 0.0
    down: bool = False

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Return where a point stands, in inches from the plane's own upper left corner."""
        ends = []
        for axis, inches, value in ((self.x, self.wide, x), (self.y, self.high, y)):
            # the inches of the edge once it is part of the plane
            edge = 0.0 if axis.log else self.edge * inches / (inches + 2 * self.edge)
            ends.append(edge + (inches - 2 * edge) * axis.share(value))
        return ends[0], ends[1] if self.down else self.high - ends[1]

    def inches(self, y: float) -> float:
        """Return how far below the top of the page a value of y stands."""
        return self.top + self.place(self.x.low, y)[1]


def one_plane(
    name: str,
    x: Axis,
    y: Axis,
    size: tuple[float, float],
    *,
    edge: float = 0.0,
    down: bool = False,
) -> Plane:
    """Return a plane that stands alone on its page; the label of `y` stands above its end."""
    return Plane(name, x, y, _LEFT, _TOP, *size, y.label, edge=edge, down=down)


def open_plane(
    plane: Plane,
    points: Mapping[str, float],
    *,
    key: Sequence[Key],
    notes: Sequence[str],
    warning: str = "",
    right: float = 0.0,
    backend: str = "matplotlib",
) -> Page:
    """Return a page with one plane of points, its key and its notes.

    Parameters
    ----------
    plane : Plane
        From ``one_plane``.
    points : mapping of str to float
        Where each row stands on the vertical axis.
    key, notes, warning
        Of the footer.
    right : float
        Inches to the right of the plane, for what stands there.
    backend : {"matplotlib", "none"}
        ``"none"`` draws nothing and keeps the structure.

    Returns
    -------
    Page
    """
    width = plane.left + plane.wide + right + MARGIN
    return open_planes(
        [plane], size=(width, plane.top + plane.high + _UNDER), key=key, notes=notes,
        warning=warning, backend=backend, rows=points,
    )  # fmt: skip


def open_planes(
    planes: Sequence[Plane],
    *,
    size: tuple[float, float],
    key: Sequence[Key],
    notes: Sequence[str],
    warning: str,
    backend: str,
    rows: Mapping[str, float],
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
    rows : mapping of str to float
        The names of what is drawn one by one, and the heights of what stands at one.

    Returns
    -------
    Page
    """
    width, body = size
    footer = measure_footer(notes, warning, key, width - 2 * MARGIN)
    whole = (width, body + footer.height + MARGIN)
    collection = open_canvas([*rows], [each.name for each in planes], whole, backend)
    heights = {row: float(at) for row, at in rows.items()}
    axes = {each.name: each.x for each in planes}
    page = Page(collection, axes, heights, dict.fromkeys(rows, 0.0), 0.0, body)
    if backend == "matplotlib":
        warn_of_letters([*notes, *(each.heading for each in planes)])
        lay_flat(page.plot("table"), (0.0, 0.0, width, body), whole)
        lay_flat(page.plot("footer"), (MARGIN, body, width - 2 * MARGIN, footer.height), whole)
        for each in planes:
            place(page.plot(each.name), (each.left, each.top, each.wide, each.high), whole)
            _dress(page.plot(each.name), each)
    for each in planes:
        if each.heading:
            words(
                each.heading, page.plot("table"), x=MARGIN, y=each.top - 0.1, anchor="bottom",
                bold=True, lines=each.heading.count("\n") + 1, gid=f"heading_{each.name}",
            )  # fmt: skip
        _draw_nulls(page, each)
    draw_footer(page, footer, key)
    return page


def _draw_nulls(page: Page, plane: Plane) -> None:
    plot = page.plot(plane.name)
    for axis, other, turned in ((plane.x, plane.y, False), (plane.y, plane.x, True)):
        if axis.null is not None:
            line = np.full(2, axis.null), np.asarray([other.low, other.high])
            backend_of(plot).line(
                *(line[::-1] if turned else line), plot, color=COLOURS["rule"], width=0.7,
                zorder=1, gid="null",
            )  # fmt: skip


def _dress(plot: Any, plane: Plane) -> None:
    plot.patch.set_visible(False)
    for side in ("right", "top"):
        plot.spines[side].set_visible(False)
    for axis, inches, along in ((plane.x, plane.wide, "x"), (plane.y, plane.high, "y")):
        more = 0.0 if axis.log else plane.edge / inches * (axis.high - axis.low)
        limits = (axis.low - more, axis.high + more)
        inside = [n for n, tick in enumerate(axis.ticks) if axis.low <= tick <= axis.high]
        labelled = plane.ticked or along == "y"
        labels = [axis.tick_labels[n] if labelled else "" for n in inside]
        plot.set(**{f"{along}scale": axis.scale})
        plot.set(**{f"{along}lim": limits[::-1] if plane.down and along == "y" else limits})
        set_ticks = getattr(plot, f"set_{along}ticks")
        set_ticks([axis.ticks[n] for n in inside], labels, fontsize=SMALL)
        set_ticks([], minor=True)
        spine = plot.spines["bottom" if along == "x" else "left"]
        spine.set(linewidth=0.7, bounds=(axis.low, axis.high))
    plot.tick_params(length=3, width=0.7, color=COLOURS["ink"], pad=2)
    plot.spines["left"].set_visible(bool(plane.y.ticks))
    if plane.ticked:
        plot.set_xlabel(drawable(plane.x.label), fontsize=SIZE, labelpad=4, gid="axis_label")


# --- names at points ----------------------------------------------------------------------------


def name_points(
    page: Page,
    plane: Plane,
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
    plane : Plane
        Where it stands.
    at : mapping of str to float
        Where each point stands along x, of all rows.
    names : mapping of str to str
        The names by row, the most important first; one without a free place is not written.
    reach : mapping of str to float
        Inches from the middle of each point to its edge.
    """
    _warn(page, names)
    size = plane.wide, plane.high
    middles = {row: plane.place(value, page.centre[row]) for row, value in at.items()}
    # left, top, right, bottom in inches from the upper left corner of the plane
    taken = [(a - 0.7 * reach[r], b - 0.7 * reach[r], a + 0.7 * reach[r], b + 0.7 * reach[r])
             for r, (a, b) in middles.items()]  # fmt: skip
    own = dict(zip(middles, taken, strict=True))
    across, above, aligned, texts = {}, {}, {}, dict[str, str]()
    for row, name in names.items():
        texts[row] = wrap(name, 0.55 * size[0], size=SMALL)
        lines = texts[row].split("\n")
        wide = max(text_width(line, size=SMALL) for line in lines)
        high, away = _HALF * len(lines), reach[row] + 0.03
        a, b = middles[row]
        for side, shift, rise in (
            ("left", away, 0.0),
            ("right", -away, 0.0),
            ("left", 0.7 * away, -0.7 * away - 0.04),
            ("left", 0.7 * away, 0.7 * away + 0.04),
            ("right", -0.7 * away, -0.7 * away - 0.04),
            ("right", -0.7 * away, 0.7 * away + 0.04),
            ("center", 0.0, -away - high),
            ("center", 0.0, away + high),
        ):
            start = a + shift - {"left": 0.0, "center": 0.5, "right": 1.0}[side] * wide
            box = (start, b + rise - high, start + wide, b + rise + high)
            inside = (
                box[0] >= 0.02
                and box[2] <= size[0] + _BEYOND
                and box[1] >= 0.0
                and box[3] <= size[1]
            )
            if inside and not any(_meet(box, other) for other in taken if other != own[row]):
                taken.append(box)
                across[row], above[row], aligned[row] = 72 * shift, -72 * rise, side
                break
    page.draw(
        _beside, "name", {row: texts[row] for row in aligned}, on=plane.name,
        x={row: at[row] for row in aligned}, across=across, above=above, align=aligned,
    )  # fmt: skip


def _warn(page: Page, names: Mapping[str, str]) -> None:
    if page.collection.backend == "matplotlib":
        warn_of_letters(names.values())


def _meet(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return (
        one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
    )  # fmt: skip


def _beside(
    da: Any, target: Any, *, y: Any, x: Any, across: Any, above: Any, align: Any, **_: Any
) -> Any:
    """Write a name some points beside a point."""
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
    _warn(page, names)
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
        _at_line, "name", texts, on="table", x=x + _LEADER, at={row: float(at[row]) for row in rows}
    )


def _at_line(da: Any, target: Any, *, y: Any, at: Any, **options: Any) -> Any:
    del y
    return words(da, target, y=at, small=True, colour=COLOURS["muted"], **options)
