"""The drapery plot: every interval of each study and of the named estimands at once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from metacart.errors import named_options, refuse_unknown
from metacart.inference.one_mean import of_one_mean
from metacart.inference.records import design_of
from metacart.modelling.design import scale_of
from metacart.plots.axes import Axis, effect_axis
from metacart.plots.facts import (
    axis_words,
    capital,
    failure_of,
    measure_of,
    null_of,
    reported,
    title_of,
)
from metacart.plots.files import check_file, deliver
from metacart.plots.marks import backend_of, plain
from metacart.plots.measure import (
    COLOURS,
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
from metacart.plots.numbers import number, span
from metacart.plots.page import Key, Page
from metacart.plots.planes import Plane, open_planes
from metacart.plots.study_rows import PLACES
from metacart.results.drapery_table import drapery_table

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from arviz_plots import PlotCollection

__all__ = ["plot_drapery"]

Array = NDArray[np.float64]
_BACKENDS = ("matplotlib", "none")
_LEFT, _WIDE, _HIGH = 0.58, 5.6, 3.3  # inches
_NAMED, _FEW, _WIDEST = 30, 20, 1.7  # of more studies the lowest and the highest have names
_LEADER = 0.2  # inches from the plane to the names above it
_TICKS = (1.0, 0.8, 0.5, 0.2, 0.05)
_EXPLANATION = (
    "At each value twice the posterior probability of lying on its less likely side. What is above "
    "a dotted line is the equal-tailed interval named at its right; the top is the median. A curve "
    "that meets the edge goes on. Studies are as the model sees them beside the others."
)


@named_options
@of_one_mean
def plot_drapery(
    fit: xr.DataTree,
    *,
    file: str | os.PathLike[str] | None = None,
    backend: str = "matplotlib",
) -> PlotCollection:
    """Plot the posterior tail functions of each study and of the named estimands.

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
        The plot ``drapery`` along ``column``; ``viz`` holds the ``name`` of each study by ``row``,
        its attributes ``title`` and ``alt``. Curves are artists whose ``gid`` is ``study:FINDING``
        or ``estimand:NAME``; they stand on the model scale.

    Raises
    ------
    InputError
        For an unknown option or suffix.

    Notes
    -----
    The numbers are those of ``drapery_table``: the Bayesian twin of the drapery plot of p-value
    functions (Rücker and Schwarzer 2021). Of more than 30 studies the ten lowest and the ten
    highest have names.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.plot_drapery(mc.fit("cr_rate"), file="drapery.svg")  # doctest: +SKIP
    """
    refuse_unknown("backend", backend, _BACKENDS)
    if file is not None:
        check_file(file)
    table = drapery_table(fit)
    at = scale_of(design_of(fit)).link(table["value"].to_numpy())
    table = table.assign(key=table["row"] + ":" + table["name"], at=at)
    names, medians = _names(fit, table)
    texts = {key: wrap(text, _WIDEST, size=SMALL) for key, text in names.items()}
    plane = _plane(fit, table, texts)
    with style():
        page = open_planes(
            [plane],
            size=(_LEFT + _WIDE + 0.42 + 2 * MARGIN, plane.top + _HIGH + 0.5),
            key=_key(table),
            notes=_notes(fit, len(names)),
            warning=failure_of(fit),
            backend=backend,
            rows=dict.fromkeys(table["key"], 0.0),
        )
        _draw(page, plane, table)
        _name(page, plane, texts, medians)
        if backend == "matplotlib":
            warn_of_letters(names.values())
            page.plot("drapery").set_ylabel(
                "Two-sided posterior tail probability", fontsize=SIZE, labelpad=4
            )
    title = f"{title_of(fit)}: drapery plot"
    return deliver(page.collection, title=title, alt=_alt(title, fit, table), file=file)


def _names(fit: xr.DataTree, table: pd.DataFrame) -> tuple[dict[str, str], dict[str, float]]:
    """Return the words of the studies that are named, and the medians of all."""
    keys = [f"study:{name}" for name in map(str, design_of(fit)["finding"].to_numpy())]
    findings = reported(fit)
    labels = [each.label for each in findings]
    names = {
        key: f"{each.label}, {each.arm}"
        if each.arm and labels.count(each.label) > 1
        else each.label
        for key, each in zip(keys, findings, strict=True)
    }
    middle = table[table["below"] == 0.5]
    medians = dict(zip(middle["key"], middle["at"].astype(float), strict=True))
    order = sorted(names, key=lambda key: medians[key])
    if len(order) > _NAMED:
        order = [*order[: _FEW // 2], *order[-_FEW // 2 :]]
    return {key: names[key] for key in order}, medians


def _plane(fit: xr.DataTree, table: pd.DataFrame, texts: Mapping[str, str]) -> Plane:
    scale = scale_of(design_of(fit))
    inside = table[(table["below"] >= 0.02) & (table["below"] <= 0.98)]["at"]
    inside = inside[np.isfinite(inside)]
    null = null_of(fit) if measure_of(scale) == "ratio" else None
    at_null = None if null is None else float(scale.link(null))
    x = effect_axis(
        scale, float(inside.min()), float(inside.max()), label=axis_words(fit), null=at_null
    )
    y = Axis(0.0, 1.03, _TICKS, tuple(f"{tick:g}" for tick in _TICKS))
    lines = (line for text in texts.values() for line in text.split("\n"))
    above = max(text_width(line, size=SMALL) for line in lines) + _LEADER
    return Plane("drapery", x, y, MARGIN + _LEFT, above + 0.3, _WIDE, _HIGH)


def _look(key: str) -> dict[str, Any]:
    """Return how a curve is drawn."""
    if key.startswith("study:"):
        return {"color": COLOURS["crude"], "width": 0.6, "alpha": 0.75, "zorder": 2}
    if key.startswith("estimand:next study"):
        return {"color": COLOURS["next"], "width": 1.6, "zorder": 4}
    if key.startswith("estimand:population average"):
        return {"color": COLOURS["model"], "width": 2.2, "zorder": 6}
    return {"color": COLOURS["pooled"], "width": 1.6, "linestyle": "--", "zorder": 5}


def _draw(page: Page, plane: Plane, table: pd.DataFrame) -> None:
    plot = page.plot(plane.name)
    backend = backend_of(plot)
    for tick in _TICKS[1:]:
        backend.line(
            np.asarray([plane.x.low, plane.x.high]), np.full(2, tick), plot,
            color=COLOURS["rule"], width=0.6, linestyle=":", zorder=1, gid=f"level:{tick:g}",
        )  # fmt: skip
        backend.text(
            plane.left + plane.wide + 0.06, plane.inches(tick), f"{100 * (1 - tick):.0f} %",
            page.plot("table"), size=SMALL, color=COLOURS["muted"], horizontal_align="left",
            vertical_align="center",
        )  # fmt: skip
    for key, own in table.groupby("key", sort=False):
        at = own["at"].to_numpy(dtype=float)
        kept = np.isfinite(at)
        look = _look(str(key))
        naive = str(key).endswith("(naive)")
        if naive:
            look |= {"linestyle": ":"}
        backend.line(at[kept], own["tail"].to_numpy()[kept], plot, gid=str(key), **look)


def _name(page: Page, plane: Plane, texts: Mapping[str, str], medians: Mapping[str, float]) -> None:
    """Write the names of studies upright above the tops of their curves, apart from each other."""
    from scipy.optimize import isotonic_regression

    keys = sorted(texts, key=lambda key: medians[key])
    x = plane.x
    share = np.asarray([(medians[key] - x.low) / (x.high - x.low) for key in keys])
    wanted = plane.left + plane.wide * np.clip(share, 0.0, 1.0)
    wide = np.asarray([SMALL_LINE * (texts[key].count("\n") + 1) for key in keys])
    room = np.concatenate([[0.0], np.cumsum(0.5 * (wide[1:] + wide[:-1]))])
    placed = np.asarray(isotonic_regression(wanted - room).x)
    last = plane.left + plane.wide + 0.3 - room[-1]
    placed = np.clip(placed, plane.left, max(last, plane.left)) + room
    table, top = page.plot("table"), plane.inches(1.0)
    backend = backend_of(table)
    foot = plane.top - _LEADER
    for start, end in zip(wanted, placed, strict=True):
        backend.line(
            np.asarray([start, start, end, end]),
            np.asarray([top - 0.01, top - 0.1, foot + 0.06, foot + 0.03]),
            table, color=COLOURS["rule"], width=0.4, gid="leader",
        )  # fmt: skip
    page.draw(
        _upright, "name", {key: texts[key].replace("\n", "\v") for key in keys}, on="table",
        x=dict(zip(keys, placed.tolist(), strict=True)), foot=foot,
    )  # fmt: skip


def _upright(da: Any, target: Any, *, y: Any, x: Any, foot: float, **_: Any) -> Any:
    del y
    text = str(plain(da)).replace("\v", "\n")
    return backend_of(target).text(
        float(plain(x)), foot, drawable(text), target, size=SMALL, color=COLOURS["muted"],
        horizontal_align="center", vertical_align="bottom", rotation=90, multialignment="left",
        linespacing=1.15,
    )  # fmt: skip


def _key(table: pd.DataFrame) -> list[Key]:
    found = [Key("line", "a study", COLOURS["crude"])]
    for key in dict.fromkeys(table.loc[table["row"] == "estimand", "key"]):
        look = _look(key)
        mark: Literal["line", "dotted", "dashed"] = "line"
        if key.endswith("(naive)"):
            mark = "dotted"
        elif "linestyle" in look:
            mark = "dashed"
        found.append(Key(mark, key.partition(":")[2], look["color"]))
    return found


def _notes(fit: xr.DataTree, named: int) -> list[str]:
    said = [_EXPLANATION]
    number_ = design_of(fit).sizes["finding"]
    if "naive" in fit.children:
        said.append("Studies are naive, as they printed.")
    if named < number_:
        said.append(f"Of {number_} studies the {named // 2} lowest and highest have names.")
    return [" ".join(said)]


def _alt(title: str, fit: xr.DataTree, table: pd.DataFrame) -> str:
    measure = measure_of(scale_of(design_of(fit)))
    places, unit = PLACES[measure], " %" if measure == "rate" else ""
    said = []
    for _, own in table[table["row"] == "estimand"].groupby("name", sort=False):
        values = own.set_index("below")["value"]
        low, middle, high = (float(values.loc[p]) for p in (0.025, 0.5, 0.975))
        said.append(
            f"{own['label'].iloc[0]} {number(middle, measure, places)}{unit} "
            f"{span(low, high, measure, places)}"
        )
    count = design_of(fit).sizes["finding"]
    return (
        f"{title}. Posterior tail functions of {count} "
        f"{'finding' if count == 1 else 'findings'} and of the named estimands. "
        f"{capital('; '.join(said))}."
    )
