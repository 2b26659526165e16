"""Ranks of what made simulated data, between the bands of uniform ranks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.errors import Fault, InputError, named_options
from metacart.plots.files import check_file, deliver
from metacart.plots.footer import write_notes
from metacart.plots.marks import backend_of
from metacart.plots.measure import (
    COLOURS,
    LINE,
    MARGIN,
    SIZE,
    SMALL,
    SMALL_LINE,
    drawable,
    style,
    text_width,
    warn_of_letters,
    wrap,
)
from metacart.results.calibration import CERTAINTY
from metacart.results.uniformity import band_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from arviz_plots import PlotCollection

__all__ = ["plot_calibration"]

Array = NDArray[np.float64]
_WIDE, _BODY = 2.35, 1.56  # inches of one plot, its title, verdict and x label not counted
_INNER, _AXES = _WIDE - 0.55, 1.15
_LABEL = 0.15  # below the lowest plots
_COLUMNS = 4
_NOTE = (
    "Lines: the share of simulated data sets whose true value has at most this rank in its "
    "posterior, less the rank. Bands: where the lines of all plots together stay with a "
    f"probability of {100 * CERTAINTY:g} % if every posterior is right. A line above 0 throughout "
    "means posteriors that are too high, below 0 too low; above and then below 0 too narrow, below "
    "and then above too wide."
)


@named_options
def plot_calibration(
    table: pd.DataFrame, *, file: str | os.PathLike[str] | None = None
) -> PlotCollection:
    """Plot the ranks of what made simulated data against those of a right posterior.

    Parameters
    ----------
    table : DataFrame
        From ``calibrate``, with tau drawn from its prior.
    file : path, optional
        Where to write the figure: ``.png``, ``.svg`` or ``.pdf``. The figure is then closed.

    Returns
    -------
    arviz_plots.PlotCollection
        Plots along ``quantity``; ``viz`` holds the lines ``ranks`` and the bands ``band``. Its
        attributes hold ``title`` and ``alt``.

    Raises
    ------
    InputError
        For a table without its ranks, and another suffix.

    Notes
    -----
    What is drawn is the difference of the empirical distribution function of the ranks and the
    diagonal, with the simultaneous bands of Säilynoja, Bürkner and Vehtari (2022), corrected for
    the number of plots: a line outside of its band is a row of the table with ``uniform`` False.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.plot_calibration(
    ...     mc.calibrate("cd22_cr", simulations=100), file="ranks.svg"
    ... )  # doctest: +SKIP
    """
    from arviz_plots import PlotCollection

    if file is not None:
        check_file(file)
    ranks = _ranks_of(table)
    data = _differences(ranks)
    rows = -(-len(ranks) // _COLUMNS)
    columns = -(-len(ranks) // rows)
    notes = [(wrap(_NOTE, columns * _WIDE - MARGIN, size=SMALL), "muted")]
    foot = sum(SMALL_LINE * (text.count("\n") + 1) + 0.04 for text, _ in notes) + MARGIN
    titles = [wrap(name, _WIDE - 2 * MARGIN, bold=True) for name in ranks]
    found: dict[str, Any] = {row["quantity"]: row for row in table.to_dict("records")}
    verdicts = [_verdict(found[name], room=_INNER + 0.3) for name in ranks]
    tops, y = [], 0.0  # of each row, and the height of all
    for row in range(rows):
        own = slice(row * columns, (row + 1) * columns)
        y += LINE * (1 + max(title.count("\n") for title in titles[own]))
        tops.append(y)
        y += _BODY + SMALL_LINE * max(verdict.count("\n") for verdict in verdicts[own])
    size = (columns * _WIDE + MARGIN, y + _LABEL + 0.08 + foot)
    warn_of_letters(ranks)
    with style():
        collection = PlotCollection.wrap(
            data[["ranks"]],
            cols=["quantity"],
            col_wrap=columns,
            backend="matplotlib",
            figure_kwargs={"figsize": size, "figsize_units": "inches"},
        )
        collection.map(_fill, "band", data=data["band"])
        collection.map(_line, "ranks", data=data["ranks"])
        right = [bool(found[name]["uniform"] and found[name]["covers"]) for name in ranks]
        texts = list(zip(titles, verdicts, right, strict=True))
        _dress(collection, data, texts, size=size, tops=tops, columns=columns)
        write_notes(collection, notes, size, foot)
    number = len(next(iter(ranks.values())))
    title = f"Calibration over {number:,} simulated data sets"
    return deliver(collection, title=title, alt=_alt(title, table), file=file)


def _ranks_of(table: pd.DataFrame) -> dict[str, Array]:
    ranks = getattr(table, "attrs", {}).get("ranks")
    if not ranks:
        found = f"a {type(table).__name__} without the ranks of its data sets"
        hint = "calibrate without tau=…: at one fixed tau ranks need not be uniform"
        raise InputError(Fault("table", found, "the table that calibrate returns", hint))
    shown = [name for name in table["quantity"] if name in ranks]
    return {name: np.asarray(ranks[name], dtype=np.float64) for name in shown}


def _differences(ranks: dict[str, Array]) -> xr.Dataset:
    """Return lines and bands as differences from the diagonal, by quantity."""
    import xarray as xr

    number = len(next(iter(ranks.values())))
    band = band_of(number, 1.0 - (1.0 - CERTAINTY) / len(ranks))
    points = np.concatenate([[0.0], band.points, [1.0]])

    def ended(inside: Array) -> Array:
        return np.concatenate([[0.0], inside - band.points, [0.0]])

    lines = [
        np.stack([points, ended(np.searchsorted(np.sort(each), band.points, "right") / number)])
        for each in ranks.values()
    ]
    edges = np.stack([points, ended(band.lower), ended(band.upper)])
    return xr.Dataset(
        {
            "ranks": (("quantity", "plot_axis", "point"), np.stack(lines)),
            "band": (("quantity", "edge", "point"), np.stack([edges] * len(ranks))),
        },
        coords={
            "quantity": list(ranks),
            "plot_axis": ["x", "y"],
            "edge": ["x", "lower", "upper"],
        },
    )


def _line(da: Any, target: Any, **_: Any) -> Any:
    x, y = da.sel(plot_axis="x").to_numpy(), da.sel(plot_axis="y").to_numpy()
    return backend_of(target).line(x, y, target, color=COLOURS["model"], width=1.2)


def _fill(da: Any, target: Any, **_: Any) -> Any:
    x, lower, upper = (da.sel(edge=name).to_numpy() for name in ("x", "lower", "upper"))
    return backend_of(target).fill_between_y(
        x, lower.copy(), upper.copy(), target, color=COLOURS["rule"], alpha=0.3, linewidth=0.0
    )


def _dress(
    collection: PlotCollection,
    data: xr.Dataset,
    texts: list[tuple[str, str, bool]],
    *,
    size: tuple[float, float],
    tops: list[float],
    columns: int,
) -> None:
    width, total = size
    reach = 1.12 * float(np.abs([data["ranks"].sel(plot_axis="y"), *_edges(data)]).max())
    names = data["quantity"].to_numpy()
    for n, (name, (title, verdict, right)) in enumerate(zip(names, texts, strict=True)):
        plot = collection.get_target(None, {"quantity": name})
        row, column = divmod(n, columns)
        lowest = n + columns >= len(names)
        left = MARGIN + column * _WIDE + 0.38
        bottom = total - tops[row] - 0.1 - _AXES
        plot.set_position((left / width, bottom / total, _INNER / width, _AXES / total))
        plot.set(xlim=(0.0, 1.0), ylim=(-reach, reach), xticks=[0.0, 0.25, 0.5, 0.75, 1.0])
        plot.set_xticklabels(["0", "0.25", "0.5", "0.75", "1"])
        plot.patch.set_visible(False)
        for side in ("right", "top"):
            plot.spines[side].set_visible(False)
        for side in ("left", "bottom"):
            plot.spines[side].set_linewidth(0.7)
        plot.axhline(0.0, color=COLOURS["rule"], linewidth=0.6, zorder=0)
        plot.tick_params(length=3, width=0.7, labelsize=SMALL, pad=2)
        plot.locator_params(axis="y", nbins=5)
        plot.set_title(drawable(title), fontsize=SIZE, fontweight="bold", pad=4)
        if lowest:
            plot.set_xlabel("rank of the true value", fontsize=SMALL, labelpad=2)
        if column == 0:
            plot.set_ylabel("share of data sets − rank", fontsize=SMALL, labelpad=2)
        plot.annotate(
            verdict,
            (0.5, 0),
            xycoords="axes fraction",
            xytext=(0, -72 * (0.19 + _LABEL * lowest)),
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=SMALL,
            color=COLOURS["muted" if right else "warning"],
            gid=f"verdict_{name}",
        )


def _edges(data: xr.Dataset) -> list[xr.DataArray]:
    return [data["band"].sel(edge=edge) for edge in ("lower", "upper")]


def _verdict(row: Mapping[Any, Any], *, room: float = np.inf) -> str:
    """Return what is found of a quantity, in two lines where one has no room."""
    ranks = "ranks uniform" if row["uniform"] else "ranks not uniform"
    covers = "" if row["covers"] else ", not 95 %"
    text = f"{ranks}; {100 * row['coverage']:.1f} % covered{covers}"
    return text if text_width(text, size=SMALL) <= room else text.replace("; ", ";\n")


def _alt(title: str, table: pd.DataFrame) -> str:
    parts = [f"{row['quantity']}: {_verdict(row.to_dict())}" for _, row in table.iterrows()]
    return f"{title}. {'. '.join(parts)}."
