"""The Galbraith (radial) plot: z against precision, with the estimates along the right axis."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from metacart.errors import named_options, refuse_unknown
from metacart.inference.one_mean import of_one_mean
from metacart.inference.records import design_of, spec_of
from metacart.modelling.design import scale_of
from metacart.plots.axes import Axis, linear_axis, percent_axis, ratio_axis
from metacart.plots.facts import (
    capital,
    failure_of,
    measure_of,
    ratio_name,
    title_of,
)
from metacart.plots.files import check_file, deliver
from metacart.plots.marks import backend_of, spot, words
from metacart.plots.measure import COLOURS, SMALL, style
from metacart.plots.page import Key, Page
from metacart.plots.planes import Plane, name_points, one_plane, open_plane
from metacart.results.galbraith_table import WITHIN, galbraith_table
from metacart.scales import Scale

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from arviz_plots import PlotCollection

__all__ = ["plot_galbraith"]

_BACKENDS = ("matplotlib", "none")
_SIZE = 4.9, 4.1  # inches of the panel
_OUT, _TICK, _ROOM = 0.08, 0.045, 0.6  # inches to the right axis, of its ticks, and in all
_WIDE = 12.0  # a right axis of ratios that go farther has ticks as a log axis
_BAND = (-WITHIN, WITHIN)
_NAMED = 10  # more studies have no name of their own
_AREA = 26.0  # square points


@named_options
@of_one_mean
def plot_galbraith(
    fit: xr.DataTree,
    *,
    file: str | os.PathLike[str] | None = None,
    backend: str = "matplotlib",
) -> PlotCollection:
    """Plot estimates over their standard errors against their precision.

    Parameters
    ----------
    fit : DataTree
        From ``fit``, of estimates with standard errors, without moderators.
    file : path, optional
        Where to write the figure: ``.png``, ``.svg`` or ``.pdf``. The figure is then closed.
    backend : {"matplotlib", "none"}
        ``"none"`` draws nothing and keeps the structure.

    Returns
    -------
    arviz_plots.PlotCollection
        ``viz`` holds, by ``row``, ``study`` and the ``name`` of the ten farthest from the line,
        where it has room; its attributes hold ``title`` and ``alt``. The band, the two lines and
        the axis on the right are artists whose ``gid`` is ``within``, ``common``, ``pooled`` and
        ``estimates``.

    Raises
    ------
    InputError
        As ``galbraith_table``, and for an unknown option or suffix.

    Notes
    -----
    The numbers are those of ``galbraith_table``. A line from the origin through a study meets the
    right axis at its estimate; the steeper, the larger. Precise studies stand to the right. The
    band is 2 to either side of the line of the common effect. Ratios have their z against no
    difference, other estimates theirs against the common effect, whose line is then level.

    Examples
    --------
    >>> import metacart as mc
    >>> spec = mc.load_model("hsct_benefit_os").model_copy(update={"kinds": ("ratio",)})
    >>> mc.plot_galbraith(mc.fit(spec), file="galbraith.png")  # doctest: +SKIP
    """
    refuse_unknown("backend", backend, _BACKENDS)
    if file is not None:
        check_file(file)
    table = galbraith_table(fit)
    scale = scale_of(design_of(fit))
    x, y = _axes(table, scale)
    plane = one_plane("galbraith", x, y, _SIZE)
    rows = {f"study:{n}": float(z) for n, z in enumerate(table[_height(scale)])}
    at = dict(zip(rows, table["precision"].astype(float), strict=True))
    reach = dict.fromkeys(rows, float(np.sqrt(_AREA / np.pi) / 72))
    with style():
        page = open_plane(
            plane, rows, key=_key(), notes=[_note(fit, table)], warning=failure_of(fit),
            backend=backend, right=_ROOM,
        )  # fmt: skip
        _draw_lines(page, table, x, scale)
        _draw_estimates(page, plane, fit, table)
        page.draw(
            spot, "study", at, on="galbraith", marker="o", size=_AREA, color=COLOURS["ink"],
            width=0.6, edgecolor=COLOURS["paper"], zorder=5, clip_on=False,
        )  # fmt: skip
        names = dict(list(zip(rows, table["label"], strict=True))[:_NAMED])
        name_points(page, plane, at, names, reach=reach)
    title = f"{title_of(fit)}: Galbraith plot"
    return deliver(page.collection, title=title, alt=_alt(title, table), file=file)


def _height(scale: Scale) -> str:
    """Return the column of the heights: without a null there is but the common effect."""
    return "z" if scale.name == "log" else "distance"


def _slopes(table: pd.DataFrame, scale: Scale) -> tuple[float, float]:
    """Return the slopes of the lines of the common effect and of the pooled answer."""
    common = float(scale.link(table.attrs["common"]["estimate"]))
    pooled = float(scale.link(table.attrs["pooled"]["median"]))
    return (common, pooled) if scale.name == "log" else (0.0, pooled - common)


def _axes(table: pd.DataFrame, scale: Scale) -> tuple[Axis, Axis]:
    far = 1.06 * float(table["precision"].max())
    x = linear_axis("Precision, 1 / standard error", points=[0.0, far], intervals=[])
    against_null = scale.name == "log"
    points = [*table[_height(scale)]]
    common, pooled = _slopes(table, scale)
    points += [end * far * common + side for end in (0, 1) for side in _BAND] + [far * pooled]
    low, high = min(points), max(points)
    label = "z: log ratio / standard error"
    label = label if against_null else "z: (estimate − common effect) / standard error"
    y = linear_axis(label, points=points, intervals=[], null=0.0 if against_null else None)
    room = 0.05 * (high - low)
    return replace(x, low=0.0, high=far), replace(y, low=low - room, high=high + room)


def _draw_lines(page: Page, table: pd.DataFrame, x: Axis, scale: Scale) -> None:
    plot = page.plot("galbraith")
    backend, ends = backend_of(plot), np.asarray([0.0, x.high])
    common, pooled = (ends * slope for slope in _slopes(table, scale))
    low, high = (common + side for side in _BAND)
    backend.fill_between_y(
        ends, low, high, plot, color=COLOURS["rule"], alpha=0.18, linewidth=0.0, zorder=0,
        gid="within",
    )  # fmt: skip
    backend.line(ends, common, plot, color=COLOURS["ink"], width=1.0, zorder=2, gid="common")
    backend.line(
        ends, pooled, plot, color=COLOURS["model"], width=1.3, linestyle="--", zorder=2,
        gid="pooled",
    )  # fmt: skip


def _draw_estimates(page: Page, plane: Plane, fit: xr.DataTree, table: pd.DataFrame) -> None:
    """Draw the axis of the estimates at the right end."""
    x, y = plane.x, plane.y
    scale, plot = scale_of(design_of(fit)), page.plot("galbraith")
    backend = backend_of(plot)
    level = 0.0 if scale.name == "log" else float(scale.link(table.attrs["common"]["estimate"]))
    low, high = scale.inverse(level + np.asarray([y.low, y.high]) / x.high).tolist()
    measure = measure_of(scale)
    if measure == "rate":
        axis = percent_axis("", limits=(low, high))
    elif measure == "ratio" and high > _WIDE * low:
        axis = ratio_axis("", points=[], intervals=[], limits=(low, high))
    else:
        axis = linear_axis("", points=[], intervals=[], limits=(low, high))
    heights = x.high * (scale.link(np.asarray(axis.ticks, dtype=float)) - level)
    edge = x.high * (1.0 + _OUT / _SIZE[0])
    end, away = (edge + inches / _SIZE[0] * x.high for inches in (_TICK, 2.0 * _TICK))
    look = {"color": COLOURS["ink"], "width": 0.7, "clip_on": False}
    backend.line(np.full(2, edge), np.asarray([y.low, y.high]), plot, gid="estimates", **look)
    for height, text in zip(heights.tolist(), axis.tick_labels, strict=True):
        backend.line(np.asarray([edge, end]), np.full(2, height), plot, **look)
        backend.text(
            away, height, text, plot, size=SMALL, color=COLOURS["ink"], horizontal_align="left",
            vertical_align="center", gid="estimate_tick",
        )  # fmt: skip
    heading = {"ratio": capital(ratio_name(fit)), "rate": "%"}.get(measure, "Estimate")
    right = plane.left + plane.wide + _ROOM
    words(
        heading, page.plot("table"), x=right, y=plane.top - 0.1, anchor="bottom", bold=True,
        align="right",
        gid="estimates_heading",
    )  # fmt: skip


def _key() -> list[Key]:
    return [
        Key("dot", "a study", COLOURS["ink"]),
        Key("line", "common effect", COLOURS["ink"]),
        Key("tile", "2 to either side of it", "#e4e4e4"),
        Key("dashed", "pooled by the model, posterior median", COLOURS["model"]),
    ]


def _note(fit: xr.DataTree, table: pd.DataFrame) -> str:
    inside = int((table["distance"].abs() <= WITHIN).sum())
    where = f"{inside} of {len(table)} studies lie within 2 of the common effect"
    parts = [f"{where} (weights 1 / se²); where studies do not differ, about 95 in 100 would."]
    parts.append(f"Cochran's Q = {table.attrs['Q']:.1f} on {len(table) - 1} degrees of freedom.")
    if spec_of(fit).likelihood == "hsct":
        parts.append("Ratios as printed; the pooled one is naive too.")
    parts.append("A line from the origin through a study meets the right axis at its estimate.")
    return " ".join(parts)


def _alt(title: str, table: pd.DataFrame) -> str:
    inside = int((table["distance"].abs() <= WITHIN).sum())
    common, first = table.attrs["common"], table.iloc[0]
    return (
        f"{title}. {len(table)} studies by precision and z; {inside} lie within 2 of the line of "
        f"the common effect {common['estimate']:.3g} ({common['lower']:.3g} to "
        f"{common['upper']:.3g}). Farthest from it: {first['label']} (estimate "
        f"{first['estimate']:.3g}, {first['distance']:.2g} standard errors away).".replace(
            " -", " −"
        )
    )
