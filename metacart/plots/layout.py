"""The page on which a figure with rows stands: columns of text, panels of marks, a footer.

One place owns the height of rows, the width of columns and the size of the figure, all in inches,
so that nothing overlaps whatever the names are. Marks are ArviZ visuals in a `PlotCollection`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from metacart.plots.axes import Axis
from metacart.plots.files import save_figure
from metacart.plots.marks import backend_of, band, spot, stretch, words
from metacart.plots.measure import (
    COLOURS,
    GAP,
    LINE,
    MARGIN,
    SIZE,
    SMALL,
    SMALL_LINE,
    text_width,
    wrap,
)

if TYPE_CHECKING:
    import xarray as xr
    from arviz_plots import PlotCollection

__all__ = ["Column", "Key", "Page", "Panel", "Row", "intervals", "open_page", "save_figure"]

Align = Literal["left", "right", "center"]

_RULE = 0.04  # below the headings
_GLYPH = 0.24  # the mark of a key entry
_SIDES = 0.22  # from the axis down to what each side favours
_AXIS_LABEL = 0.20
_MARKERS = {"square": ("s", 22.0), "point": ("o", 11.0), "dot": ("o", 16.0), "cross": ("X", 34.0)}


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the page.

    Attributes
    ----------
    name : str
        Distinct among the rows.
    bold, shade, ruled : bool
        Whether its text is bold, its ground shaded, and a thin line runs above it.
    space : float
        Free room above it, in inches.
    """

    name: str
    bold: bool = False
    shade: bool = False
    ruled: bool = False
    space: float = 0.0


@dataclass(frozen=True, slots=True)
class Column:
    """A column of text.

    Attributes
    ----------
    name : str
        Distinct among the parts of the page; the name of its visual in ``viz``.
    heading : str
        May hold line breaks.
    cells : mapping of str to str
        Text by row; a row without text has no entry. En spaces in front indent every line.
    align : {"left", "right", "center"}
        How the cells stand.
    widest : float
        Inches beyond which cells are wrapped.
    spans : frozenset of str
        Rows whose cell may run on over the next columns, which are empty there.
    """

    name: str
    heading: str
    cells: Mapping[str, str]
    align: Align = "left"
    widest: float = 2.4
    spans: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Panel:
    """A part of the page that holds marks.

    Attributes
    ----------
    name : str
        Distinct among the parts; the ``column`` of its plot in ``viz``.
    axis : Axis
        Its axis.
    heading : str
        Stands above it.
    width : float
        In inches.
    """

    name: str
    axis: Axis
    heading: str = ""
    width: float = 3.0


@dataclass(frozen=True, slots=True)
class Key:
    """An entry of the key: a mark and its words."""

    mark: Literal["square", "point", "dot", "cross", "diamond", "open", "line", "bar", "dash"]
    text: str
    colour: str
    alpha: float = 1.0


@dataclass(frozen=True, slots=True)
class Page:
    """A page that is open for marks.

    Attributes
    ----------
    collection : PlotCollection
        With the plots ``table``, each panel's name and ``footer`` along ``column``.
    axes : mapping of str to Axis
        The axis of each panel.
    centre, height : mapping of str to float
        Where each row's middle stands, inches from the top, and how high the row is.
    top, bottom : float
        Where the rows begin and end.
    """

    collection: PlotCollection
    axes: Mapping[str, Axis]
    centre: Mapping[str, float]
    height: Mapping[str, float]
    top: float
    bottom: float

    def plot(self, name: str) -> Any:
        """Return the plot of ``table``, a panel or ``footer``."""
        return self.collection.get_target(None, {"column": name})

    def draw(
        self,
        visual: Callable[..., Any],
        name: str,
        values: Mapping[str, Any],
        *,
        on: str,
        parts: Sequence[str] = (),
        offset: float = 0.0,
        **styles: Any,
    ) -> None:
        """Draw a visual at some rows.

        Parameters
        ----------
        visual : callable
            ``visual(values, plot, y=…, **styles)``.
        name : str
            Its name in ``viz``.
        values : mapping of str to number, text or sequence
            By row; several numbers a row where `parts` names them.
        on : str
            The plot on which it stands.
        parts : sequence of str
            The names of the numbers.
        offset : float
            Inches below the middle of the row.
        **styles
            Passed on; a mapping is read by row.
        """
        import xarray as xr

        if not values:
            return
        rows = list(values)
        dims: tuple[str, ...] = ("row",)
        coords = {"row": rows}
        if parts:
            items = np.asarray([values[row] for row in rows], dtype=float)
            dims, coords = ("row", "part"), {"row": rows, "part": list(parts)}
        elif isinstance(values[rows[0]], str):
            items = _objects([values[row] for row in rows])
            styles |= _lines(list(values.values()))
        else:
            items = np.asarray([values[row] for row in rows], dtype=float)
        by_row = {
            key: _along("row", rows, [value[row] for row in rows])
            for key, value in styles.items()
            if isinstance(value, Mapping) and key != "artist_dims"
        }
        self.collection.map(
            visual,
            name,
            data=xr.DataArray(items, dims=dims, coords=coords, name=name),
            coords={"column": on},
            y=_along("row", rows, [self.centre[row] + offset for row in rows]),
            **{**styles, **by_row},
        )


def _lines(texts: Sequence[str]) -> dict[str, Any]:
    """Say how many lines the longest text has, where any has several."""
    lines = max(text.count("\n") for text in texts) + 1
    return {"lines": lines, "artist_dims": {"line": lines}} if lines > 1 else {}


def _objects(values: Sequence[Any]) -> np.ndarray[Any, np.dtype[Any]]:
    # pandas' and numpy's own string types are no text to ArviZ's visuals
    items = np.empty(len(values), dtype=object)
    items[:] = list(values)
    return items


def _along(dim: str, names: Sequence[Any], values: Sequence[Any]) -> xr.DataArray:
    import xarray as xr

    return xr.DataArray(_objects(values), dims=dim, coords={dim: list(names)}, name=dim + "_value")


def intervals(
    page: Page,
    name: str,
    ends: Mapping[str, tuple[float, float]],
    *,
    on: str,
    colour: str,
    width: float,
    arrow: float,
    offset: float = 0.0,
    **styles: Any,
) -> None:
    """Draw intervals at some rows; what reaches beyond the axis ends in an arrow.

    Parameters
    ----------
    page : Page
        Where.
    name : str
        The visual in ``viz``; its arrows are ``NAME_below`` and ``NAME_above``.
    ends : mapping of str to (float, float)
        Lower and upper end by row; one that is not a number is not drawn.
    on : str
        The panel.
    colour : str
        Of line and arrow.
    width, arrow : float
        Of the line in points, and the arrow's area in square points.
    offset : float
        Inches below the middle of the row.
    **styles
        Passed to the line.
    """
    axis = page.axes[on]
    known = {row: pair for row, pair in ends.items() if not np.isnan(pair).any()}
    shown = {
        row: (float(np.clip(low, axis.low, axis.high)), float(np.clip(up, axis.low, axis.high)))
        for row, (low, up) in known.items()
    }
    page.draw(
        stretch, name, shown, on=on, parts=("lower", "upper"), offset=offset, color=colour,
        width=width, solid_capstyle="butt", clip_on=False, **styles,
    )  # fmt: skip
    below = {row: axis.low for row, (low, _) in known.items() if low < axis.low}
    above = {row: axis.high for row, (_, up) in known.items() if up > axis.high}
    for side, marker, cut in (("below", "<", below), ("above", ">", above)):
        page.draw(
            spot, f"{name}_{side}", cut, on=on, offset=offset, marker=marker, size=arrow,
            color=colour, width=0.0, clip_on=False, zorder=3,
        )  # fmt: skip


# --- laying out ---------------------------------------------------------------------------------


def open_page(
    *,
    rows: Sequence[Row],
    parts: Sequence[Column | Panel],
    notes: Sequence[str] = (),
    warning: str = "",
    key: Sequence[Key] = (),
    backend: str = "matplotlib",
) -> Page:
    """Lay a page out and draw its text.

    Parameters
    ----------
    rows : sequence of Row
        From the top.
    parts : sequence of Column or Panel
        From the left; columns without any cell are left out.
    notes : sequence of str
        Paragraphs of the footer.
    warning : str
        Stands above the notes in red.
    key : sequence of Key
        The marks and their words.
    backend : {"matplotlib", "none"}
        ``"none"`` draws nothing and keeps the structure.

    Returns
    -------
    Page
    """
    bold = {row.name for row in rows if row.bold}
    parts = [part for part in parts if isinstance(part, Panel) or any(part.cells.values())]
    cells = {part.name: _cells(part, bold) for part in parts if isinstance(part, Column)}
    widths = _widths(parts, cells, bold)
    left, x = {}, MARGIN
    for part in parts:
        left[part.name] = x
        x += widths[part.name] + GAP
    width = x - GAP + MARGIN
    top = 0.10 + LINE * max((part.heading.count("\n") + 1 for part in parts), default=1)
    centre, height, bottom = _heights(rows, cells, top)
    panels = [part for part in parts if isinstance(part, Panel)]
    under = max((_under(panel.axis) for panel in panels), default=0.0)
    footer = _footer(notes, warning, key, width - 2 * MARGIN)
    total = bottom + under + footer.height + MARGIN

    collection = _collection([row.name for row in rows], panels, (width, total), backend)
    page = Page(collection, {p.name: p.axis for p in panels}, centre, height, top, bottom)
    if backend == "matplotlib":
        for name, box, limits in (
            ("table", (0.0, 0.0, width, bottom), (width, bottom)),
            (
                "footer",
                (MARGIN, bottom + under, width - 2 * MARGIN, footer.height),
                (width - 2 * MARGIN, footer.height),
            ),
        ):
            _place(page.plot(name), box, (width, total))
            page.plot(name).set(xlim=(0, limits[0]), ylim=(limits[1], 0))
            page.plot(name).axis("off")
        for panel in panels:
            box = (left[panel.name], 0.0, widths[panel.name], bottom)
            _place(page.plot(panel.name), box, (width, total))
            _dress(page.plot(panel.name), panel.axis, bottom)
    _draw_table(page, rows, parts, cells, widths, left, width)
    for panel in panels:
        _draw_panel(page, panel)
    _draw_footer(page, footer, key)
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


def _widths(
    parts: Sequence[Column | Panel], cells: Mapping[str, Mapping[str, str]], bold: set[str]
) -> dict[str, float]:
    widths = {}
    for part in parts:
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
        if isinstance(part, Panel):
            continue
        # a cell that runs on has room as far as the next column with text in its row, or panel
        for name in part.spans & cells[part.name].keys():
            room = widths[part.name]
            for other in parts[number + 1 :]:
                if isinstance(other, Panel) or name in cells[other.name]:
                    break
                room += GAP + widths[other.name]
            need = text_width(cells[part.name][name], bold=name in bold)
            widths[part.name] += max(0.0, need - room)
    return widths


def _heights(
    rows: Sequence[Row], cells: Mapping[str, Mapping[str, str]], top: float
) -> tuple[dict[str, float], dict[str, float], float]:
    # many rows stand closer, so that sixty studies still fit a page
    base = 0.235 if len(rows) <= 30 else 0.205
    centre, height = {}, {}
    y = top + _RULE + 0.04
    for row in rows:
        lines = max([1, *(column.get(row.name, "").count("\n") + 1 for column in cells.values())])
        height[row.name] = base + (lines - 1) * LINE
        y += row.space
        centre[row.name] = y + height[row.name] / 2
        y += height[row.name]
    return centre, height, y + 0.06


def _under(axis: Axis) -> float:
    """Return the room below the rows for ticks, sides and label."""
    return 0.24 + (0.16 if axis.sides else 0.0) + (0.18 if axis.label else 0.0)


@dataclass(frozen=True, slots=True)
class _Footer:
    texts: list[str]
    heights: list[float]
    colours: list[str]
    entries: list[tuple[float, float]]
    height: float


def _footer(notes: Sequence[str], warning: str, key: Sequence[Key], width: float) -> _Footer:
    entries = []
    x, y = 0.0, 0.09
    for entry in key:
        needed = _GLYPH + 0.06 + text_width(entry.text, size=SMALL)
        if x and x + needed > width:
            x, y = 0.0, y + 0.155
        entries.append((x, y))
        x += needed + 0.2
    y = y + 0.17 if key else 0.06
    texts, heights, colours = [], [], []
    for text, colour in [(warning, "warning"), *((note, "muted") for note in notes)]:
        if text:
            texts.append(wrap(text, width, size=SMALL))
            heights.append(y)
            colours.append(COLOURS[colour])
            y += SMALL_LINE * (texts[-1].count("\n") + 1) + 0.04
    return _Footer(texts, heights, colours, entries, y)


def _collection(
    rows: Sequence[str], panels: Sequence[Panel], size: tuple[float, float], backend: str
) -> PlotCollection:
    import xarray as xr
    from arviz_plots import PlotCollection

    plots = ["table", *(panel.name for panel in panels), "footer"]
    drawn = backend == "matplotlib"
    collection = PlotCollection.grid(
        xr.Dataset(
            {"page": (("row", "column"), np.zeros((len(rows), len(plots))))},
            coords={"row": list(rows), "column": plots},
        ),
        cols=["column"],
        backend=backend,
        figure_kwargs={
            "figsize": size if drawn else (100 * size[0], 100 * size[1]),
            "figsize_units": "inches" if drawn else "dots",
        },
        aes={"overlay_row": ["row"]},
    )
    # "overlay" makes `map` loop along a dimension without a style of its own
    for dim in ("note", "entry"):
        collection.update_aes_from_dataset(f"overlay_{dim}", xr.Dataset({"mapping": (dim, [0])}))
    return collection


# --- matplotlib: places and axes ----------------------------------------------------------------


def _place(plot: Any, box: tuple[float, float, float, float], size: tuple[float, float]) -> None:
    """Put a plot at (left, top, width, height) inches from the figure's upper left corner."""
    (x, y, wide, high), (width, total) = box, size
    plot.set_position((x / width, 1 - (y + high) / total, wide / width, high / total))


def _dress(plot: Any, axis: Axis, bottom: float) -> None:
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
    below = _SIDES if axis.sides else _AXIS_LABEL
    if axis.sides and axis.null is not None:
        for side, text in zip(("right", "left"), axis.sides, strict=True):
            plot.annotate(
                f"← {text}" if side == "right" else f"{text} →",
                (axis.null, bottom),
                xytext=(-5 if side == "right" else 5, -72 * below),
                textcoords="offset points",
                ha=side,
                va="top",
                fontsize=SMALL,
                color=COLOURS["muted"],
                gid=f"favours_{'below' if side == 'right' else 'above'}",
            )
        below += 0.15
    if axis.label:
        plot.annotate(
            axis.label,
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
    parts: Sequence[Column | Panel],
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


def _draw_footer(page: Page, footer: _Footer, key: Sequence[Key]) -> None:
    for dim, texts, places, colours, anchor in (
        ("note", footer.texts, [(0.0, y) for y in footer.heights], footer.colours, "top"),
        (
            "entry",
            [entry.text for entry in key],
            [(x + _GLYPH + 0.06, y) for x, y in footer.entries],
            [COLOURS["muted"]] * len(key),
            "middle",
        ),
    ):
        if texts:
            names = range(len(texts))
            page.collection.map(
                words,
                "notes" if dim == "note" else "key",
                data=_along(dim, names, texts).rename("text"),
                coords={"column": "footer"},
                x=_along(dim, names, [x for x, _ in places]),
                y=_along(dim, names, [y for _, y in places]),
                colour=_along(dim, names, colours),
                small=True,
                anchor=anchor,
                **_lines(texts),
            )
    for entry, (x, y) in zip(key, footer.entries, strict=True):
        _draw_glyph(page.plot("footer"), entry, x, y)


def _draw_glyph(plot: Any, entry: Key, x: float, y: float) -> None:
    backend, colour = backend_of(plot), entry.colour
    ends, flat, middle = np.asarray([x, x + _GLYPH]), np.full(2, y), x + _GLYPH / 2
    marker, size = _MARKERS.get(entry.mark, ("", 0.0))
    if entry.mark in ("square", "point", "line"):
        width = 0.8 if entry.mark == "point" else 1.0
        backend.line(ends, flat, plot, color=colour, width=width)
    if marker:
        backend.scatter([middle], [y], plot, marker=marker, size=size, color=colour, width=0.0)
    elif entry.mark in ("diamond", "open"):
        face = colour if entry.mark == "diamond" else COLOURS["paper"]
        x3, rise = np.asarray([x + 0.02, middle, x + _GLYPH - 0.02]), np.asarray([0, 0.05, 0])
        backend.fill_between_y(
            x3, y - rise, y + rise, plot, facecolor=face, edgecolor=colour, linewidth=0.9
        )
    elif entry.mark == "bar":
        backend.line(
            ends, flat, plot, color=colour, width=4.0, solid_capstyle="butt", alpha=entry.alpha
        )
    elif entry.mark == "dash":
        upright = np.asarray([y - 0.065, y + 0.065])
        backend.line(np.full(2, middle), upright, plot, color=colour, width=0.9, linestyle="--")
