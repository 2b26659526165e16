"""Laying a page out: one place owns every height and width, and the size of the figure.

All in inches, measured with the font that is drawn, so that nothing overlaps whatever the names
are. Marks are ArviZ visuals in a `PlotCollection`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

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
    SMALL_LINE,
    drawable,
    text_width,
    warn_of_letters,
    wrap,
)
from metacart.plots.page import Align, Column, Key, Page, Panel, Row, intervals

__all__ = ["Column", "Grid", "Key", "Page", "Panel", "Row", "intervals", "open_page", "save_figure"]

Part = Column | Panel | Grid

_RULE = 0.04  # below the headings
_SIDES = 0.22  # from the axis down to what each side favours
_AXIS_LABEL = 0.20


def open_page(
    *,
    rows: Sequence[Row],
    parts: Sequence[Part],
    notes: Sequence[str] = (),
    warning: str = "",
    key: Sequence[Key] = (),
    backend: str = "matplotlib",
    least: float = 0.0,
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

    Returns
    -------
    Page
    """
    bold = {row.name for row in rows if row.bold}
    parts = [p for p in parts if not isinstance(p, Column) or any(p.cells.values())]
    cells = {part.name: _cells(part, bold) for part in parts if isinstance(part, Column)}
    widths = _widths(parts, cells, bold)
    left, x = {}, MARGIN
    for part in parts:
        left[part.name] = x
        x += widths[part.name] + GAP
    width = max(x - GAP + MARGIN, least)
    top = 0.10 + max((_heading_height(part) for part in parts), default=LINE)
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


def _heading_height(part: Part) -> float:
    if isinstance(part, Grid):
        return grid_height(part)
    return LINE * (part.heading.count("\n") + 1)


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
        height[row.name] = base + (lines - 1) * LINE
        y += row.space
        centre[row.name] = y + height[row.name] / 2
        y += height[row.name]
    return centre, height, y + 0.06


def _under(axis: Axis, width: float) -> float:
    """Return the room below the rows for ticks, sides and label."""
    return 0.24 + _sides_height(_sides(axis, width)) + (0.18 if axis.label else 0.0)


def _sides(axis: Axis, width: float) -> list[tuple[str, float]]:
    """Return what each side favours with its left edge, beside the null and inside the panel."""
    if axis.sides is None or axis.null is None:
        return []
    ends = (axis.low, axis.null, axis.high)
    low, null, high = np.log(ends) if axis.log else ends
    middle, gap = width * float((null - low) / (high - low)), 0.07
    below, above = (
        wrap(text, width / 2 - gap, size=SMALL)
        for text in (f"← {axis.sides[0]}", f"{axis.sides[1]} →")
    )
    wide = [
        max(text_width(line, size=SMALL) for line in text.split("\n")) for text in (below, above)
    ]
    right = min(max(middle + gap, wide[0] + 2 * gap), width - wide[1])
    return [(below, min(middle - gap, right - 2 * gap) - wide[0]), (above, right)]


def _sides_height(sides: list[tuple[str, float]]) -> float:
    lines = max((text.count("\n") + 1 for text, _ in sides), default=0)
    return 0.16 + SMALL_LINE * (lines - 1) if lines else 0.0


# --- matplotlib: axes ----------------------------------------------------------------


def _dress(plot: Any, axis: Axis, bottom: float, width: float) -> None:
    plot.patch.set_visible(False)
    if axis.log:
        plot.set_xscale("log")
        plot.set_xlim(axis.low, axis.high)
    else:
        edge = 0.02 * (axis.high - axis.low)
        plot.set_xlim(axis.low - edge, axis.high + edge)
    plot.set_ylim(bottom, 0)
    plot.set_yticks([])
    plot.set_xticks(axis.ticks, axis.tick_labels, fontsize=SMALL)
    plot.set_xticks([], minor=True)
    plot.tick_params(length=3, width=0.7, color=COLOURS["ink"], pad=2)
    for side in ("left", "right", "top"):
        plot.spines[side].set_visible(False)
    plot.spines["bottom"].set(linewidth=0.7, bounds=(axis.low, axis.high))
    sides = _sides(axis, width)
    for (text, left), name in zip(sides, ("below", "above"), strict=False):
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
    below = _AXIS_LABEL + _sides_height(sides)
    if axis.label:
        plot.annotate(
            drawable(axis.label),
            (0.5, 0),
            xycoords="axes fraction",
            xytext=(0, -72 * below),
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=SIZE,
            gid="axis_label",
        )


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
        if part.heading:
            words(
                part.heading,
                table,
                x=x,
                y=page.top,
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
        backend.xscale(plot, "log" if axis.log else "linear")
    if axis.null is not None:
        height = np.asarray([page.top + _RULE, page.bottom])
        backend.line(
            np.full(2, axis.null), height, plot, color=COLOURS["rule"], width=0.7, zorder=1,
            gid="null",
        )  # fmt: skip
