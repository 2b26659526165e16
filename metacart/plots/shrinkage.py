"""The shrinkage plot: from each study alone to each study beside the others."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from metacart.errors import named_options, refuse_unknown
from metacart.inference.estimands import design_rows, make_draws
from metacart.inference.one_mean import of_one_mean
from metacart.inference.records import design_of, group_of, spec_of
from metacart.modelling.design import moderators_of, scale_of
from metacart.plots.facts import Measure, failure_of, measure_of, title_of
from metacart.plots.files import check_file, deliver
from metacart.plots.layout import Column, Key, Page, Panel, Row, open_page
from metacart.plots.marks import backend_of, plain, spot
from metacart.plots.measure import COLOURS, style
from metacart.plots.numbers import number
from metacart.plots.study_rows import PLACES, StudyRows, axis_of, study_rows
from metacart.results.conditional_means import view_of
from metacart.results.heterogeneity import study_estimates

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from arviz_plots import PlotCollection

__all__ = ["plot_shrinkage"]

_BACKENDS = ("matplotlib", "none")
_LEAST, _MOST = 10.0, 60.0  # square points
_EXPLANATION = (
    "Squares: each study alone, their area in proportion to its weight. Circles: posterior medians "
    "beside the others. The less a study says by itself, the farther it moves towards what is "
    "expected of it."
)


@named_options
@of_one_mean
def plot_shrinkage(
    fit: xr.DataTree,
    *,
    file: str | os.PathLike[str] | None = None,
    backend: str = "matplotlib",
) -> PlotCollection:
    """Plot how far each study moves from its own estimate to that beside the others.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.
    file : path, optional
        Where to write the figure: ``.png``, ``.svg`` or ``.pdf``. The figure is then closed.
    backend : {"matplotlib", "none"}
        ``"none"`` draws nothing and keeps the structure.

    Returns
    -------
    arviz_plots.PlotCollection
        ``viz`` holds, by ``row`` (the highest shrunken estimate first), the text columns ``study``,
        ``arm``, ``evidence``, ``crude_text``, ``shrunken_text``, ``moved`` and ``weight``, and the
        marks ``crude`` (``crude_below`` and ``crude_above`` beyond the axis), ``path``,
        ``shrunken`` and ``expected``. Its attributes hold ``title`` and
        ``alt``.

    Raises
    ------
    InputError
        For an unknown option or suffix.

    Notes
    -----
    The numbers are those of ``study_estimates``. What is expected of a study is its estimate
    without an effect of its own, g⁻¹(mu + x beta), posterior median: the median study where there
    are no moderators. Under a common effect all of a study but chance goes there. Intervals are
    those of ``plot_forest``.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.plot_shrinkage(mc.fit("cr_rate"), file="shrinkage.svg")  # doctest: +SKIP
    """
    refuse_unknown("backend", backend, _BACKENDS)
    if file is not None:
        check_file(file)
    table = study_estimates(fit).assign(expected=_expected(fit))
    rows = study_rows(fit, table["shrunken"].tolist())
    table = table.iloc[rows.order].assign(row=rows.names).set_index("row")
    with style():
        page = _page(fit, table, rows, backend)
        _draw(page, table, moderated=bool(moderators_of(design_of(fit))))
    title = f"{title_of(fit)}: shrinkage of each study"
    return deliver(page.collection, title=title, alt=_alt(title, fit, table, rows), file=file)


def _expected(fit: xr.DataTree) -> Any:
    """Return the posterior median of each finding's value without an effect of its own."""
    design, sample = design_of(fit), group_of(fit, view_of(fit))
    draws = make_draws(sample, spec_of(fit), design, 0)
    linear = draws.linear(design_rows(design, sample))
    return scale_of(design).inverse(np.median(linear, axis=(0, 1)))


def _moved(crude: float, shrunken: float, measure: Measure) -> str:
    """Return how far an estimate moves: points of percent, a factor, or a difference."""
    if measure == "ratio":
        return f"×\u202f{number(shrunken / crude, 'ratio', 2)}" if crude > 0 else ""
    text = number(abs(shrunken - crude), measure, PLACES[measure])
    return text if float(text) == 0 else f"{'+' if shrunken > crude else '−'}{text}"


def _page(fit: xr.DataTree, table: pd.DataFrame, rows: StudyRows, backend: str) -> Page:
    measure = measure_of(scale_of(design_of(fit)))
    places, unit = PLACES[measure], "\n%" if measure == "rate" else ""
    points = [*table["crude"], *table["shrunken"], *table["expected"]]
    crude, shrunken = table["crude"].tolist(), table["shrunken"].tolist()
    texts = {
        "crude": [number(value, measure, places) for value in crude],
        "shrunken": [number(value, measure, places) for value in shrunken],
        "moved": [_moved(*pair, measure) for pair in zip(crude, shrunken, strict=True)],
        "weight": [f"{value:.1f}" for value in table["weight"]],
    }
    cells = {name: dict(zip(rows.names, each, strict=True)) for name, each in texts.items()}
    moderated = bool(moderators_of(design_of(fit)))
    beside, moved = "Beside the\nothers", "Moved"
    if measure == "rate":
        beside, moved = "Beside the\nothers, %", "Moved,\npoints"
    key = [
        Key("square", "alone", COLOURS["crude"]),
        Key("dot", "beside the others", COLOURS["model"]),
        Key(
            "dash",
            "expected of a study at its own values" if moderated else "the median study",
            COLOURS["rule"],
        ),
    ]
    notes = [_EXPLANATION]
    if "naive" in fit.children:
        notes.append("Estimates are naive, as the studies printed.")
    if spec_of(fit).random_effects == "none":
        notes.append("The model has no study effects: nothing of a study's own is left.")
    return open_page(
        rows=[Row(name, shade=n % 2 == 1) for n, name in enumerate(rows.names)],
        parts=[
            *rows.columns,
            Panel("shrinkage", axis_of(fit, points, []), width=3.1),
            Column("crude_text", f"Alone{unit}", cells["crude"], "right"),
            Column("shrunken_text", beside, cells["shrunken"], "right"),
            Column("moved", moved, cells["moved"], "right"),
            Column("weight", "Weight\n%", cells["weight"] if len(table) > 1 else {}, "right"),
        ],
        key=key,
        notes=notes,
        warning=failure_of(fit),
        backend=backend,
    )  # fmt: skip


def _draw(page: Page, table: pd.DataFrame, *, moderated: bool) -> None:
    on, rows = "shrinkage", [str(row) for row in table.index]
    weight = table["weight"].to_numpy(dtype=float)
    area = np.maximum(_LEAST, _MOST * weight / weight.max())
    values = {name: dict(zip(rows, table[name].astype(float), strict=True)) for name in
              ("crude", "shrunken", "expected")}  # fmt: skip
    half = {row: page.height[row] / 2 if not moderated else 0.07 for row in rows}
    page.draw(
        _tick, "expected", values["expected"], on=on, half=half, color=COLOURS["rule"],
        width=0.9, linestyle="-" if moderated else "--",
    )  # fmt: skip
    axis = page.axes[on]
    ends = np.clip(table["crude"].to_numpy(dtype=float), axis.low, axis.high)
    clipped = dict(zip(rows, ends.tolist(), strict=True))
    page.draw(
        _path, "path", {row: (clipped[row], values["shrunken"][row]) for row in rows},
        on=on, parts=("crude", "shrunken"), color=COLOURS["model"],
    )  # fmt: skip
    sizes = dict(zip(rows, area.tolist(), strict=True))
    known = {row: value for row, value in values["crude"].items() if not np.isnan(value)}
    # a ratio of 0 has no place on a log axis
    for side, marker, some in (
        ("", "s", {row: v for row, v in known.items() if axis.low <= v <= axis.high}),
        ("_below", "<", {row: axis.low for row, v in known.items() if v < axis.low}),
        ("_above", ">", {row: axis.high for row, v in known.items() if v > axis.high}),
    ):
        page.draw(
            spot, f"crude{side}", some, on=on, marker=marker, color=COLOURS["crude"], width=0.0,
            zorder=3, size={row: sizes[row] for row in some} if not side else 26.0, clip_on=False,
        )  # fmt: skip
    page.draw(
        spot, "shrunken", values["shrunken"], on=on, marker="o", size=22.0,
        color=COLOURS["model"], width=0.6, edgecolor=COLOURS["paper"], zorder=5, clip_on=False,
    )  # fmt: skip


def _tick(da: Any, target: Any, *, y: Any, half: Any, **styles: Any) -> Any:
    """Draw a vertical line through a row."""
    at, middle, rise = float(plain(da)), float(plain(y)), float(plain(half))
    return backend_of(target).line(
        np.full(2, at), np.asarray([middle - rise, middle + rise]), target, zorder=2, **styles
    )


def _path(da: Any, target: Any, *, y: Any, color: Any) -> Any:
    """Draw the way from one number of `da` to the other."""
    ends = np.asarray(da, dtype=float)
    return backend_of(target).line(
        ends, np.full(2, float(plain(y))), target, color=plain(color), width=1.2, alpha=0.7,
        zorder=2, clip_on=False,
    )  # fmt: skip


def _alt(title: str, fit: xr.DataTree, table: pd.DataFrame, rows: StudyRows) -> str:
    measure = measure_of(scale_of(design_of(fit)))
    places, unit = PLACES[measure], " %" if measure == "rate" else ""
    said = [
        f"{rows.columns[0].cells[str(row)]} from {number(alone, measure, places)} to "
        f"{number(beside, measure, places)}{unit}"
        for row, alone, beside in zip(table.index, table["crude"], table["shrunken"], strict=True)
    ]
    return f"{title}. {'; '.join(said)}."
