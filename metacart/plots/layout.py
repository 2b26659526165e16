"""Laying a page out: one place owns every height and width, and the size of the figure.

All in inches, measured with the font that is drawn, so that nothing overlaps whatever the names
are. Marks are ArviZ visuals in a `PlotCollection`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from metacart.errors import Fault, InputError
from metacart.plots.axes import Axis
from metacart.plots.canvas import lay_flat, open_canvas, place
from metacart.plots.files import save_figure
from metacart.plots.footer import draw_footer, measure_footer
from metacart.plots.grid import Grid, draw_headings, grid_height, grid_width, grid_x
from metacart.plots.marks import backend_of, band, words
from metacart.plots.measure import (
    COLOURS,
    GAP,
    LINE,
    MARGIN,
    SIZE,
    SMALL,
    drawable,
    text_width,
    warn_of_letters,
    wrap,
)
from metacart.plots.page import Align, Column, Key, Page, Panel, Row, intervals
from metacart.plots.sides import (
    draw_sides_above,
    draw_sides_below,
    height_above,
    height_below,
)

__all__ = ["Column", "Grid", "Key", "Page", "Panel", "Row", "intervals", "open_page", "save_figure"]

Part = Column | Panel | Grid

_RULE = 0.04  # below the headings
_AXIS_LABEL = 0.20
_NARROW = 1.3  # inches that a panel has at least
_MANY, _LONG = 30, 3.4  # so many rows are high enough without wrapped names
_WIDEST = (2.4, 1.8, 1.4, 1.1)  # beyond which cells are wrapped, the wider the better


def open_page(
    *,
    rows: Sequence[Row],
    parts: Sequence[Part],
    notes: Sequence[str] = (),
    warning: str = "",
    key: Sequence[Key] = (),
    backend: str = "matplotlib",
    least: float = 0.0,
    wide: float | None = None,
) -> Page:
    """Lay a page out and draw its text.

    Parameters
    ----------
    rows : sequence of Row
        From the top.
    parts : sequence of Column, Panel or Grid
        From the left; columns without any cell are left out.
    notes : sequence of str
        Paragraphs of the footer.
    warning : str
        Stands above the notes in red.
    key : sequence of Key
        The marks and their words.
    backend : {"matplotlib", "none"}
        ``"none"`` draws nothing and keeps the structure.
    least : float
        Inches that the page is wide at least, for its notes.
    wide : float, optional
        Inches that the page is wide: its panels take what the columns leave.

    Returns
    -------
    Page

    Raises
    ------
    InputError
        Where the columns leave no room for the panels.
    """
    bold = {row.name for row in rows if row.bold}
    parts = [p for p in parts if not isinstance(p, Column) or any(p.cells.values())]
    parts, cells, widths = _fitted(parts, bold, wide)
    left, x = {}, MARGIN
    for part, gap in zip(parts, _gaps(parts), strict=True):
        left[part.name] = x
        x += widths[part.name] + gap
    width = max(x + MARGIN, least)
    top = 0.10 + max((_heading_height(part, widths[part.name]) for part in parts), default=LINE)
    centre, height, bottom = _heights(rows, cells, top)
    panels = [part for part in parts if isinstance(part, Panel)]
    under = max((_under(panel.axis, widths[panel.name]) for panel in panels), default=0.0)
    footer = measure_footer(notes, warning, key, width - 2 * MARGIN)
    total = bottom + under + footer.height + MARGIN

    names = [panel.name for panel in panels]
    collection = open_canvas([row.name for row in rows], names, (width, total), backend)
    grids = {p.name: grid_x(p, left[p.name]) for p in parts if isinstance(p, Grid)}
    axes = {panel.name: panel.axis for panel in panels}
    page = Page(collection, axes, centre, height, top, bottom, grids)
    if backend == "matplotlib":
        texts = [text for part in parts if isinstance(part, Column) for text in part.cells.values()]
        warn_of_letters([*texts, *(panel.axis.label for panel in panels), *notes])
        lay_flat(page.plot("table"), (0.0, 0.0, width, bottom), (width, total))
        box = (MARGIN, bottom + under, width - 2 * MARGIN, footer.height)
        lay_flat(page.plot("footer"), box, (width, total))
        for panel in panels:
            box = (left[panel.name], 0.0, widths[panel.name], bottom)
            place(page.plot(panel.name), box, (width, total))
            _dress(page.plot(panel.name), panel.axis, bottom, widths[panel.name])
    _draw_table(page, rows, parts, cells, widths, left, width)
    for panel in panels:
        _draw_panel(page, panel)
    draw_footer(page, footer, key)
    return page


def _cells(part: Column, bold: set[str]) -> dict[str, str]:
    cells = {}
    for name, text in part.cells.items():
        if not text:
            continue
        indent = text[: len(text) - len(text.lstrip("\u2002"))]
        room = np.inf if name in part.spans else part.widest - text_width(indent)
        wrapped = wrap(text.removeprefix(indent), room, bold=name in bold)
        cells[name] = "\n".join(indent + line for line in wrapped.split("\n"))
    return cells


def _gaps(parts: Sequence[Part]) -> list[float]:
    """Return the room after each part: two panels need more, for the words at their ends."""
    gaps = [GAP] * (len(parts) - 1)
    for number, (part, after) in enumerate(pairwise(parts)):
        if isinstance(part, Panel) and isinstance(after, Panel):
            gaps[number] += 0.2
        elif isinstance(after, Column):
            gaps[number] += after.before
    return [*gaps, 0.0]


def _fitted(
    parts: Sequence[Part], bold: set[str], wide: float | None
) -> tuple[list[Part], dict[str, dict[str, str]], dict[str, float]]:
    """Return the parts, their cells and their widths, on a page of a stated width or a free one."""
    parts = [*parts]
    need = 0.0
    for widest in (None,) if wide is None else _WIDEST:
        narrow = [
            replace(part, widest=min(part.widest, widest))
            if isinstance(part, Column) and widest
            else replace(part, widest=max(part.widest, _LONG))
            if isinstance(part, Column) and wide is None and len(part.cells) > _MANY
            else replace(part, width=_NARROW)
            if isinstance(part, Panel) and wide is not None
            else part
            for part in parts
        ]
        cells = {part.name: _cells(part, bold) for part in narrow if isinstance(part, Column)}
        widths = _widths(narrow, cells, bold)
        if wide is None:
            return narrow, cells, widths
        need = 2 * MARGIN + sum(widths.values()) + sum(_gaps(parts))
        panels = [part.name for part in narrow if isinstance(part, Panel)]
        # the marks are what a figure is for: text is wrapped before they shrink by much
        enough = _NARROW if widest == _WIDEST[-1] else 2.0
        if need + len(panels) * (enough - _NARROW) <= wide + 1e-9:
            for name in panels:
                widths[name] += (wide - need) / len(panels)
            return narrow, cells, widths
    raise InputError(
        Fault(
            "width",
            f"{wide:g} inches leave no room for the marks",
            f"at least {np.ceil(10 * need) / 10:.1f} inches with these columns",
            "fewer columns",
        )
    )


def _heading_height(part: Part, width: float) -> float:
    if isinstance(part, Grid):
        return grid_height(part)
    above = height_above(part.axis, width) if isinstance(part, Panel) else 0.0
    return LINE * (part.heading.count("\n") + 1 if part.heading or not above else 0) + above


def _widths(
    parts: Sequence[Part], cells: Mapping[str, Mapping[str, str]], bold: set[str]
) -> dict[str, float]:
    widths = {}
    for part in parts:
        if isinstance(part, Grid):
            widths[part.name] = grid_width(part)
            continue
        lines = [text_width(line, bold=True) for line in part.heading.split("\n")]
        if isinstance(part, Panel):
            lines.append(part.width)
        else:
            lines += [
                text_width(line, bold=name in bold)
                for name, text in cells[part.name].items()
                if name not in part.spans
                for line in text.split("\n")
            ]
        widths[part.name] = max(lines)
    for number, part in enumerate(parts):
        if not isinstance(part, Column):
            continue
        # a cell that runs on has room as far as the next column with text in its row, or panel
        for name in part.spans & cells[part.name].keys():
            room = widths[part.name]
            for other in parts[number + 1 :]:
                if not isinstance(other, Column) or name in cells[other.name]:
                    break
                room += GAP + widths[other.name]
            need = text_width(cells[part.name][name], bold=name in bold)
            widths[part.name] += max(0.0, need - room)
    return widths


def _heights(
    rows: Sequence[Row], cells: Mapping[str, Mapping[str, str]], top: float
) -> tuple[dict[str, float], dict[str, float], float]:
    # many rows stand closer, so that sixty studies still fit a page; more fit two or three
    base = 0.235 if len(rows) <= 30 else 0.205 if len(rows) <= 80 else 0.175
    centre, height = {}, {}
    y = top + _RULE + 0.04
    for row in rows:
        lines = max([1, *(column.get(row.name, "").count("\n") + 1 for column in cells.values())])
        height[row.name] = row.tall * base + (lines - 1) * LINE
        y += row.space
        centre[row.name] = y + height[row.name] / 2
        y += height[row.name]
    return centre, height, y + 0.06


def _under(axis: Axis, width: float) -> float:
    """Return the room below the rows for ticks, sides and label."""
    label = 0.18 + LINE * _label(axis, width).count("\n") if axis.label else 0.0
    return 0.24 + height_below(axis, width) + label


def _label(axis: Axis, width: float) -> str:
    """Return the words below an axis, in lines that hardly reach beyond it."""
    return wrap(axis.label, width + 0.5)


# --- matplotlib: axes ----------------------------------------------------------------


def _dress(plot: Any, axis: Axis, bottom: float, width: float) -> None:
    plot.patch.set_visible(False)
    if axis.scale != "linear":
        plot.set_xscale(axis.scale)
        plot.set_xlim(axis.low, axis.high)
    else:
        edge = 0.02 * (axis.high - axis.low)
        plot.set_xlim(axis.low - edge, axis.high + edge)
    plot.set_ylim(bottom, 0)
    plot.set_yticks([])
    plot.set_xticks(axis.ticks, _apart(axis, width), fontsize=SMALL)
    plot.set_xticks([], minor=True)
    plot.tick_params(length=3, width=0.7, color=COLOURS["ink"], pad=2)
    for side in ("left", "right", "top"):
        plot.spines[side].set_visible(False)
    plot.spines["bottom"].set(linewidth=0.7, bounds=(axis.low, axis.high))
    draw_sides_below(plot, axis, width)
    below = _AXIS_LABEL + height_below(axis, width)
    for number, line in enumerate(_label(axis, width).split("\n") if axis.label else ()):
        plot.annotate(
            drawable(line),
            (0.5, 0),
            xycoords="axes fraction",
            xytext=(0, -72 * (below + LINE * number)),
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=SIZE,
            gid="axis_label",
        )


def _apart(axis: Axis, width: float) -> list[str]:
    """Return the words of the ticks; on a narrow panel only of those that stand apart."""
    at = [width * axis.share(tick) for tick in axis.ticks]
    half = [0.5 * text_width(label, size=SMALL) + 0.02 for label in axis.tick_labels]
    fixed = axis.ticks.index(axis.null) if axis.null in axis.ticks else 0
    for step in range(1, len(at)):
        kept = range(fixed % step, len(at), step)
        if all(at[b] - at[a] >= half[a] + half[b] for a, b in pairwise(kept)):
            break
    return [label if n in kept else "" for n, label in enumerate(axis.tick_labels)]


# --- text and rules -----------------------------------------------------------------------------


def _draw_table(
    page: Page,
    rows: Sequence[Row],
    parts: Sequence[Part],
    cells: Mapping[str, Mapping[str, str]],
    widths: Mapping[str, float],
    left: Mapping[str, float],
    width: float,
) -> None:
    half = {row.name: page.height[row.name] / 2 for row in rows}
    page.draw(
        band,
        "shade",
        {
            row.name: page.centre[row.name] + half[row.name] * np.asarray([-1.0, 1.0])
            for row in rows
            if row.shade
        },
        on="table",
        parts=("top", "bottom"),
        color=COLOURS["shade"],
    )  # fmt: skip
    table = page.plot("table")
    bold = {row.name: row.bold for row in rows}
    where = {"left": 0.0, "center": 0.5, "right": 1.0}
    for part in parts:
        if isinstance(part, Grid):
            draw_headings(part, page.grids[part.name], table, bottom=page.top)
            continue
        align: Align = part.align if isinstance(part, Column) else "center"
        x = left[part.name] + where[align] * widths[part.name]
        above = 0.0
        if isinstance(part, Panel):
            above = height_above(part.axis, widths[part.name])
            draw_sides_above(
                table, part.axis, widths[part.name], left=left[part.name], bottom=page.top
            )
        if part.heading:
            words(
                part.heading,
                table,
                x=x,
                y=page.top - above,
                align=align,
                anchor="bottom",
                bold=True,
                lines=part.heading.count("\n") + 1,
                gid=f"heading_{part.name}",
            )
        if isinstance(part, Column):
            filled = cells[part.name]
            heavy = {name: bold[name] for name in filled}
            page.draw(words, part.name, filled, on="table", x=x, align=align, bold=heavy)
    edge = np.asarray([MARGIN / 2, width - MARGIN / 2])
    backend = backend_of(table)
    backend.line(edge, np.full(2, page.top + _RULE), table, color=COLOURS["ink"], width=0.8)
    for row in rows:
        if row.ruled:
            y = page.centre[row.name] - half[row.name] - row.space / 2
            backend.line(edge, np.full(2, y), table, color=COLOURS["rule"], width=0.5)


def _draw_panel(page: Page, panel: Panel) -> None:
    axis, plot = panel.axis, page.plot(panel.name)
    backend = backend_of(plot)
    if page.collection.backend == "none":
        backend.xticks(axis.ticks, axis.tick_labels, plot)
        backend.xlim((axis.low, axis.high), plot)
        backend.xscale(plot, axis.scale)
    if axis.null is not None:
        height = np.asarray([page.top + _RULE, page.bottom])
        backend.line(
            np.full(2, axis.null), height, plot, color=COLOURS["rule"], width=0.7, zorder=1,
            gid="null",
        )  # fmt: skip
