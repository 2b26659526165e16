"""What stands on a page: rows, columns of text, panels of marks, and marks at rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from metacart.plots.axes import Axis
from metacart.plots.marks import spot, stretch

if TYPE_CHECKING:
    from arviz_plots import PlotCollection

__all__ = ["Align", "Column", "Key", "Page", "Panel", "Row", "draw_each", "intervals"]

Align = Literal["left", "right", "center"]


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
    tall : float
        How high it is, as a multiple of the others.
    """

    name: str
    bold: bool = False
    shade: bool = False
    ruled: bool = False
    space: float = 0.0
    tall: float = 1.0


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
    before : float
        Further free room at its left, in inches: where another block of columns begins.
    """

    name: str
    heading: str
    cells: Mapping[str, str]
    align: Align = "left"
    widest: float = 2.4
    spans: frozenset[str] = frozenset()
    before: float = 0.0


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
    """An entry of the key: a mark and its words; of a light `colour` is its name."""

    mark: Literal[
        "square",
        "point",
        "dot",
        "cross",
        "diamond",
        "open",
        "line",
        "dotted",
        "dashed",
        "bar",
        "dash",
        "light",
        "tile",
    ]
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
    grids : mapping of str to mapping of str to float
        The middle of each column of each grid, inches from the left.
    """

    collection: PlotCollection
    axes: Mapping[str, Axis]
    centre: Mapping[str, float]
    height: Mapping[str, float]
    top: float
    bottom: float
    grids: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

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
        if not values:
            return
        rows = list(values)
        if isinstance(values[rows[0]], str):
            found = _objects([values[row] for row in rows])
        else:
            found = np.asarray([values[row] for row in rows], dtype=float)
            if parts and found.shape[1:] != (len(parts),):
                raise ValueError(f"{name}: {found.shape[1:]} numbers a row, not {len(parts)}")
        by_row = {key: value for key, value in styles.items() if isinstance(value, Mapping)}
        draw_each(
            self.collection,
            visual,
            name,
            found,
            on=on,
            along=("row", rows),
            each={
                "y": [self.centre[row] + offset for row in rows],
                **{key: [value[row] for row in rows] for key, value in by_row.items()},
            },
            **{key: value for key, value in styles.items() if key not in by_row},
        )


def draw_each(
    collection: PlotCollection,
    visual: Callable[..., Any],
    name: str,
    values: Sequence[Any] | np.ndarray[Any, np.dtype[Any]],
    *,
    on: str,
    along: tuple[str, Sequence[Any]],
    each: Mapping[str, Sequence[Any]],
    **styles: Any,
) -> None:
    """Draw a visual once for each value, and put what was drawn into ``viz`` under a name.

    What `PlotCollection.map` does along one dimension, for a plot that is known: looking up plot,
    styles and place anew for each mark would take most of the time that a figure takes.

    Parameters
    ----------
    collection : PlotCollection
        Of the figure.
    visual : callable
        ``visual(value, plot, **styles)``.
    name : str
        Its name in ``viz``.
    values : sequence
        Text, or numbers; what is not a number is not drawn.
    on : str
        The ``column`` of the plot.
    along : (str, sequence)
        The dimension in ``viz``, and its labels.
    each : mapping of str to sequence
        The styles of each.
    **styles
        Those of all.
    """
    import xarray as xr

    dims: tuple[str, ...] = (along[0],)
    lines = max(each.count("\n") for each in values) + 1 if isinstance(values[0], str) else 1
    if lines > 1:
        dims, styles = (*dims, "line"), styles | {"lines": lines}
    drawn = np.full((len(values), lines)[: len(dims)], None, dtype=object)
    plot = collection.get_target(None, {"column": on})
    for number, value in enumerate(values):
        if not isinstance(value, str) and np.isnan(value).all():
            continue
        own = {key: several[number] for key, several in each.items()}
        drawn[number] = visual(value, plot, **own, **styles)
    artists = xr.DataArray(
        np.full(drawn.shape, None, dtype=object), dims=dims, coords={along[0]: list(along[1])}
    )
    artists.values[...] = drawn  # taken as they are: no array is looked for in them
    collection.viz[name] = xr.DataTree(artists.to_dataset(name=name))


def _objects(values: Sequence[Any]) -> np.ndarray[Any, np.dtype[Any]]:
    # pandas' and numpy's own string types are no text to ArviZ's visuals
    items = np.empty(len(values), dtype=object)
    items[:] = list(values)
    return items


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
