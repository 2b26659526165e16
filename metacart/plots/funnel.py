"""The funnel plot: ratios against their standard errors, on shades of p."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from metacart.errors import named_options, refuse_unknown
from metacart.inference.one_mean import of_one_mean
from metacart.inference.records import spec_of
from metacart.plots.axes import Axis, linear_axis, ratio_axis
from metacart.plots.facts import axis_words, capital, failure_of, ratio_name, title_of
from metacart.plots.files import check_file, deliver
from metacart.plots.marks import backend_of, spot
from metacart.plots.measure import COLOURS, style
from metacart.plots.page import Key, Page
from metacart.plots.planes import Plane, name_points, one_plane, open_plane
from metacart.results.funnel_table import LEVELS, funnel_table
from metacart.results.ratio_evidence import FEWEST

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from arviz_plots import PlotCollection

__all__ = ["plot_funnel"]

_BACKENDS = ("matplotlib", "none")
_SIZE = 5.4, 3.9  # inches of the panel
_SHADES = ("#f1f2f4", "#dbdfe4", "#bcc3cb")  # below each level of p, the smallest first
_NAMED = 10  # more studies have no name of their own
_AREA = 26.0  # square points


@named_options
@of_one_mean
def plot_funnel(
    fit: xr.DataTree,
    *,
    file: str | os.PathLike[str] | None = None,
    backend: str = "matplotlib",
) -> PlotCollection:
    """Draw each ratio against its standard error, with contours of p against no difference.

    Parameters
    ----------
    fit : DataTree
        From ``fit``, of ratios with standard errors, without moderators; one a study.
    file : path, optional
        Where to write the figure: ``.png``, ``.svg`` or ``.pdf``. The figure is then closed.
    backend : {"matplotlib", "none"}
        ``"none"`` draws nothing and keeps the structure.

    Returns
    -------
    arviz_plots.PlotCollection
        ``viz`` holds ``study`` (and, of up to 10 studies, ``name``) by ``row``; its attributes hold
        ``title`` and ``alt``. The shades and the pooled ratio are artists whose ``gid`` is
        ``contour:LEVEL``, ``pooled``, ``pooled_lower`` and ``pooled_upper``.

    Raises
    ------
    InputError
        As ``funnel_table``, and for an unknown option or suffix.

    Notes
    -----
    The numbers are those of ``funnel_table``. The contours stand around 1, not around the pooled
    ratio (Peters and others 2008): studies that are missing where p is large hint at selection by
    p, studies that are missing elsewhere at other causes. Rates of single arms have no funnel: the
    standard error of a rate follows from the rate.

    Examples
    --------
    >>> import metacart as mc
    >>> spec = mc.load_model("hsct_benefit_os").model_copy(update={"kinds": ("ratio",)})
    >>> mc.plot_funnel(mc.fit(spec), file="funnel.png")  # doctest: +SKIP
    """
    refuse_unknown("backend", backend, _BACKENDS)
    if file is not None:
        check_file(file)
    table = funnel_table(fit)
    key, notes = _key(), [_note(fit, table)]
    x, y = _axes(fit, table)
    plane = one_plane("funnel", x, y, _SIZE, down=True)
    with style():
        rows = {f"study:{n}": float(se) for n, se in enumerate(table["se"])}
        page = open_plane(
            plane, rows, key=key, notes=notes, warning=failure_of(fit), backend=backend
        )
        _draw_ground(page, table, x, y)
        _draw_studies(page, table, plane)
    title = f"{title_of(fit)}: funnel plot"
    return deliver(page.collection, title=title, alt=_alt(title, table), file=file)


def _axes(fit: xr.DataTree, table: pd.DataFrame) -> tuple[Axis, Axis]:
    largest = float(table["se"].max())
    # the contour of p = 0.1 is seen on both sides, down to the least precise study
    reach = [np.exp(sign * 1.645 * largest) for sign in (-1.0, 1.0)]
    points = [*table["ratio"], table.attrs["pooled"]["lower"], table.attrs["pooled"]["upper"]]
    x = ratio_axis(axis_words(fit), points=[*points, *reach], intervals=[])
    label = f"Standard error of the log {ratio_name(fit)}, the most precise at the top"
    y = linear_axis(label, points=[0.0, largest], intervals=[])
    return x, replace(y, low=0.0, high=1.07 * largest)


def _draw_ground(page: Page, table: pd.DataFrame, x: Axis, y: Axis) -> None:
    """Draw the shades of p, and the pooled ratio with its interval."""
    from scipy.special import ndtri

    plot = page.plot("funnel")
    backend = backend_of(plot)
    # the contours meet at 1, which is a point of the line
    line = np.exp(np.sort([0.0, *np.linspace(np.log(x.low), np.log(x.high), 200)]))
    above = np.zeros_like(line)
    for level, colour in zip(LEVELS, _SHADES, strict=True):
        contour = np.minimum(np.abs(np.log(line)) / -ndtri(level / 2.0), y.high)
        backend.fill_between_y(
            line, above.copy(), contour.copy(), plot, color=colour, linewidth=0.0, zorder=0,
            gid=f"contour:{level:g}",
        )  # fmt: skip
        above = contour
    ends = np.array([0.0, y.high])
    pooled = table.attrs["pooled"]
    for name in ("lower", "upper"):
        backend.line(
            np.full(2, pooled[name]), ends, plot, color=COLOURS["model"], width=1.0, linestyle=":",
            zorder=2, gid=f"pooled_{name}",
        )  # fmt: skip
    backend.line(
        np.full(2, pooled["median"]), ends, plot, color=COLOURS["model"], width=1.3, zorder=2,
        gid="pooled",
    )  # fmt: skip


def _draw_studies(page: Page, table: pd.DataFrame, plane: Plane) -> None:
    rows = list(page.centre)
    at = dict(zip(rows, table["ratio"].astype(float), strict=True))
    page.draw(
        spot, "study", at, on="funnel", marker="o", size=_AREA, color=COLOURS["ink"], width=0.6,
        edgecolor=COLOURS["paper"], zorder=5,
    )  # fmt: skip
    if len(rows) <= _NAMED:
        names = dict(zip(rows, table["label"], strict=True))
        reach = dict.fromkeys(rows, float(np.sqrt(_AREA / np.pi) / 72))
        name_points(page, plane, at, names, reach=reach)


def _key() -> list[Key]:
    bounds = ("p below 0.01", "0.01 to 0.05", "0.05 to 0.1 (white: above)")
    return [
        *(Key("tile", text, colour) for text, colour in zip(bounds, _SHADES, strict=True)),
        Key("dot", "a study", COLOURS["ink"]),
        Key("line", "pooled, posterior median", COLOURS["model"]),
        Key("dotted", "its 95 % interval", COLOURS["model"]),
    ]


def _note(fit: xr.DataTree, table: pd.DataFrame) -> str:
    parts = [
        "Shades: two-sided p of a study of that ratio and standard error against no difference."
    ]
    if spec_of(fit).likelihood == "hsct":
        parts.append("Ratios as printed; the pooled one is naive too.")
    if len(table) < FEWEST:
        parts.append(f"Of {len(table)} studies, asymmetry is mostly chance.")
    parts.append(
        "Asymmetry has other causes than selection, such as smaller studies of sicker patients."
    )
    return " ".join(parts)


def _alt(title: str, table: pd.DataFrame) -> str:
    pooled = table.attrs["pooled"]
    small = int((table["p"] < LEVELS[1]).sum())
    first, last = table.iloc[0], table.iloc[-1]
    return (
        f"{title}. {len(table)} studies by ratio and standard error. {capital(first['label'])} is "
        f"the most precise (ratio {first['ratio']:.3g}, standard error {first['se']:.3g}), "
        f"{last['label']} the least ({last['ratio']:.3g}, {last['se']:.3g}). Pooled ratio "
        f"{pooled['median']:.3g} ({pooled['lower']:.3g} to {pooled['upper']:.3g}). "
        f"{small} of {len(table)} have a p below {LEVELS[1]:g}."
    )
