"""Whether findings that the fit has not seen lie where it predicts: the LOO-PIT."""

from __future__ import annotations

import os
from concurrent.futures import Executor
from typing import TYPE_CHECKING

import numpy as np

from metacart.errors import Fault, InputError, named_options, refuse_unknown
from metacart.inference.keeping import CacheLike
from metacart.inference.one_mean import of_one_mean
from metacart.modelling.likelihoods import Likelihoods
from metacart.plots.axes import Axis
from metacart.plots.facts import failure_of, reported, title_of
from metacart.plots.files import check_file, deliver
from metacart.plots.marks import backend_of, spot
from metacart.plots.measure import COLOURS, style
from metacart.plots.page import Key, Page
from metacart.plots.planes import name_points, one_plane, open_plane
from metacart.results.loo_pit import loo_pit
from metacart.results.uniformity import band_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from arviz_plots import PlotCollection

__all__ = ["plot_loo_pit"]

_BACKENDS = ("matplotlib", "none")
_SIZE = (4.6, 4.6)  # inches of the panel
_AREA = 16.0  # square points of a mark
_NAMED = 0.025  # of the probability in each tail: values farther out have their names
_INSIDE = 0.95
_SHARES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


@named_options
@of_one_mean
def plot_loo_pit(
    fit: xr.DataTree,
    *,
    likelihoods: Likelihoods | None = None,
    executor: Executor | None = None,
    cache: CacheLike | None = None,
    progress: bool | None = None,
    file: str | os.PathLike[str] | None = None,
    backend: str = "matplotlib",
) -> PlotCollection:
    """Plot where findings lie in what the model predicts of them from the other cohorts.

    Parameters
    ----------
    fit : DataTree
        From ``fit``, with two findings or more.
    likelihoods : mapping of str to Likelihood or System, optional
        Those of the fit, where they are not the shipped ones.
    executor : concurrent.futures.Executor, optional
        Runs what has to be fitted again; one after the other by default.
    cache : Cache or path, optional
        As for ``fit``: what is kept there is not fitted again.
    progress : bool, optional
        Whether to show a bar; by default in a terminal or a notebook.
    file : path, optional
        Where to write the figure: ``.png``, ``.svg`` or ``.pdf``. The figure is then closed.
    backend : {"matplotlib", "none"}
        ``"none"`` draws nothing and keeps the structure.

    Returns
    -------
    arviz_plots.PlotCollection
        ``viz`` holds, by ``row``, ``finding`` and the ``name`` of those in the outer 5 %, where it
        has room; its attributes hold ``title`` and ``alt``. The band and the step function are
        artists whose ``gid`` is ``band`` and ``steps``.

    Raises
    ------
    InputError
        As ``loo_pit``; for fewer than two values; for an unknown option or suffix.

    Notes
    -----
    The numbers are those of ``loo_pit``: probability integral transforms, randomised within the
    ties of counts, uniform where the model holds. Their distribution function stays inside the band
    with a probability of 95 % (Säilynoja, Bürkner and Vehtari 2022). Steeper at both ends: findings
    differ more than the model expects; steeper in the middle: less. ArviZ's ``plot_loo_pit`` leaves
    out single findings given their study effects; here a whole cohort leaves with its effect.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.plot_loo_pit(mc.fit("cd22_cr"), file="loo_pit.svg")  # doctest: +SKIP
    """
    refuse_unknown("backend", backend, _BACKENDS)
    if file is not None:
        check_file(file)
    table = loo_pit(fit, likelihoods=likelihoods, executor=executor, cache=cache, progress=progress)
    table = table.assign(label=[item.label for item in reported(fit)])
    lost = int(table["pit"].isna().sum())
    table = table.dropna(subset=["pit"]).sort_values("pit", kind="stable")
    if len(table) < 2:
        found = f"{len(table)} findings that the others predict"
        raise InputError(Fault("fit", found, "two or more", "loo_pit says what each lacks"))
    heights = np.arange(1, len(table) + 1) / len(table)
    rows = {f"finding:{name}": float(y) for name, y in zip(table["finding"], heights, strict=True)}
    at = dict(zip(rows, table["pit"].astype(float), strict=True))
    ticks, labels = _SHARES, tuple(f"{share:g}" for share in _SHARES)
    x = Axis(0.0, 1.0, ticks, labels, "Where the finding lies in its prediction, LOO-PIT")
    y = Axis(0.0, 1.0, ticks, labels, "Share of findings at or below")
    plane = one_plane("loo_pit", x, y, _SIZE, edge=0.06)
    radius = float(np.sqrt(_AREA / np.pi) / 72)
    outer = {
        row: label
        for (row, value), label in zip(at.items(), table["label"], strict=True)
        if min(value, 1.0 - value) < _NAMED
    }
    with style():
        page = open_plane(
            plane, rows, key=_key(), notes=[_note(table, lost)], warning=failure_of(fit),
            backend=backend,
        )  # fmt: skip
        _draw_steps(page, table)
        page.draw(
            spot, "finding", at, on="loo_pit", marker="o", size=_AREA, color=COLOURS["model"],
            width=0.6, edgecolor=COLOURS["paper"], zorder=5, clip_on=False,
        )  # fmt: skip
        name_points(page, plane, at, outer, reach=dict.fromkeys(rows, radius))
    title = f"{title_of(fit)}: leave-one-out predictions"
    return deliver(page.collection, title=title, alt=f"{title}. {_note(table, lost)}", file=file)


def _draw_steps(page: Page, table: pd.DataFrame) -> None:
    plot = page.plot("loo_pit")
    backend, number = backend_of(plot), len(table)
    band = band_of(number, _INSIDE)
    points = np.concatenate([[0.0], band.points, [1.0]])
    low, high = (np.concatenate([[0.0], each, [1.0]]) for each in (band.lower, band.upper))
    backend.fill_between_y(
        points, low, high, plot, color=COLOURS["rule"], alpha=0.25, linewidth=0.0, zorder=0,
        gid="band",
    )  # fmt: skip
    ends = np.asarray([0.0, 1.0])
    backend.line(ends, ends, plot, color=COLOURS["muted"], width=0.8, linestyle="--", zorder=1)
    values = table["pit"].to_numpy()
    across = np.concatenate([[0.0], np.repeat(values, 2), [1.0]])
    up = np.repeat(np.arange(number + 1) / number, 2)
    backend.line(across, up, plot, color=COLOURS["model"], width=1.2, zorder=3, gid="steps")


def _key() -> list[Key]:
    return [
        Key("dot", "a finding", COLOURS["model"]),
        Key("line", "share of findings", COLOURS["model"]),
        Key("dashed", "where the model holds", COLOURS["muted"]),
        Key("tile", "95 % band of the whole line", "#d9dade"),
    ]


def _note(table: pd.DataFrame, lost: int) -> str:
    chance = float(table.attrs["chance"])
    shown = f"{chance:.2f}" if chance >= 0.01 else "below 0.01"
    verdict = "inside the band" if chance > 1.0 - _INSIDE else "outside of the band"
    line = f"The line runs {verdict}: where the model holds, {shown} is the chance to stray as far."
    parts = [
        f"{len(table)} findings, each predicted by a fit without its cohort. {line}",
        "Steep at both ends: findings differ more than the model expects; in the middle: less.",
        "Counts have ties, within which a value is drawn at random.",
    ]
    if lost:
        parts.append(f"{lost} without a prediction left out.")
    return " ".join(parts)
