"""The tipping point: the pooled ratio, and P(ratio < 1), against a fixed bias of immortal time."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from metacart.errors import named_options, refuse_unknown
from metacart.inference.keeping import CacheLike
from metacart.inference.one_mean import of_one_mean
from metacart.modelling.likelihoods import Likelihoods
from metacart.plots.axes import Axis, ratio_axis
from metacart.plots.canvas import lay_flat, open_canvas, place
from metacart.plots.facts import capital, failure_of, title_of
from metacart.plots.files import check_file, deliver
from metacart.plots.footer import draw_footer, measure_footer
from metacart.plots.marks import backend_of, words
from metacart.plots.measure import COLOURS, MARGIN, SMALL, drawable, style
from metacart.plots.page import Key, Page
from metacart.results.bias_sensitivity import bias_prior
from metacart.results.immortal_time import bias_is_prior, check_biased
from metacart.results.tipping_point import PROBABILITIES, tipping_point

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from arviz_plots import PlotCollection

__all__ = ["plot_tipping_point"]

_BACKENDS = ("matplotlib", "none")
_MOST = -1.5  # log hazard ratio, at the right end
_STEPS = {True: 31, False: 11}  # fewer where each is a fit
_TICKS = tuple(0.0 - number / 4 for number in range(7))
_LEVELS = (0.0, 0.25, 0.5, 0.75, 0.95)
_COLOURS = {"median study": COLOURS["model"], "next study": COLOURS["next"]}
# inches
_LEFT, _WIDE, _RIGHT, _TOP, _HIGH, _BETWEEN, _UNDER = 0.42, 5.6, 0.14, 0.40, 1.9, 0.46, 0.62


@named_options
@of_one_mean
def plot_tipping_point(
    fit: xr.DataTree,
    *,
    likelihoods: Likelihoods | None = None,
    cache: CacheLike | None = None,
    file: str | os.PathLike[str] | None = None,
    backend: str = "matplotlib",
) -> PlotCollection:
    """Plot the pooled ratio and P(ratio < 1) against a fixed bias of immortal time.

    Parameters
    ----------
    fit : DataTree
        From ``fit``, of a transplant question.
    likelihoods : mapping of str to Likelihood, optional
        Those of the fit, where they are not the shipped ones.
    cache : Cache or path, optional
        As for ``fit``: what is kept there is not fitted again.
    file : path, optional
        Where to write the figure: ``.png``, ``.svg`` or ``.pdf``. The figure is then closed.
    backend : {"matplotlib", "none"}
        ``"none"`` draws nothing and keeps the structure.

    Returns
    -------
    arviz_plots.PlotCollection
        ``viz`` holds the ``threshold`` points by ``row``; its attributes hold ``title`` and
        ``alt``. Lines and bands are artists whose ``gid`` is ``median:median study``,
        ``interval:median study``, ``lower:next study``, ``upper:next study`` and ``p:ESTIMAND``.

    Raises
    ------
    InputError
        As ``tipping_point``, and for an unknown option or suffix.

    Notes
    -----
    The numbers are those of ``tipping_point``, from b = 0 on the left to −1.5 on the right. The
    shaded ground is the prior of b. A threshold beyond the axes is said in words.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.plot_tipping_point(mc.fit("hsct_benefit_os"), file="tipping.png")  # doctest: +SKIP
    """
    refuse_unknown("backend", backend, _BACKENDS)
    if file is not None:
        check_file(file)
    check_biased(fit)
    biases = np.linspace(0.0, _MOST, _STEPS[bias_is_prior(fit)])
    table = tipping_point(fit, biases=biases, likelihoods=likelihoods, cache=cache)
    title = f"{title_of(fit)}: how large a bias tips the answer"
    with style():
        page = _open(fit, table, backend)
        _draw(page, fit, table)
    return deliver(page.collection, title=title, alt=_alt(title, table), file=file)


def _shown(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Return the thresholds that lie on the axes, by ``ESTIMAND:LEVEL``."""
    solved = table[table["row"] == "threshold"].to_dict("records")
    return {
        f"{row['estimand']}:{row['falls_under']:g}": {
            str(name): value for name, value in row.items()
        }
        for row in solved
        if _MOST <= row["bias"] <= 0.0
    }


def _notes(fit: xr.DataTree, table: pd.DataFrame) -> list[str]:
    shown, beyond = _shown(table), []
    for row in table[table["row"] == "threshold"].to_dict("records"):
        if f"{row['estimand']}:{row['falls_under']:g}" not in shown:
            where = f" (b = {row['bias']:.2f})".replace("-", "−") if row["bias"] < 0 else ""
            beyond.append(f"{capital(str(row['estimand']))}: {row['words']}{where}.")
    how = (
        "No study handles immortal time: the naive draws are shifted."
        if bias_is_prior(fit)
        else "Some studies handle immortal time and do not move: each value is a fit of its own."
    )
    first = (
        "Every comparison that does not handle immortal time is taken to carry the same, known "
        f"bias b, which is taken off. {how} Dots: where P(hazard ratio < 1) falls under 95 and "
        "50\u202f%, with the hazard ratio that immortal time alone then gives."
    )
    return [first, *([" ".join(beyond)] if beyond else [])]


def _key(fit: xr.DataTree) -> list[Key]:
    prior = str(bias_prior(fit)).replace("-", "−")
    return [
        Key("line", "median study", _COLOURS["median study"]),
        Key("bar", "its 95 % interval", _COLOURS["median study"], 0.24),
        Key("line", "next study", _COLOURS["next study"]),
        Key("dotted", "its 95 % interval", _COLOURS["next study"]),
        Key("bar", f"prior of the bias, b ~ {prior}, 95 %", COLOURS["rule"], 0.2),
        Key("dash", "its centre", COLOURS["rule"]),
    ]


def _open(fit: xr.DataTree, table: pd.DataFrame, backend: str) -> Page:
    grid = table[table["row"] == "grid"]
    ends = [*zip(grid["lower"], grid["upper"], strict=True)]
    ratios = ratio_axis("", points=[*grid["median"]], intervals=ends)
    chance = Axis(0.0, 1.0, _LEVELS, tuple(f"{100 * level:g}" for level in _LEVELS))
    bias = Axis(_MOST, 0.0, _TICKS, tuple(_tick(value) for value in _TICKS))
    key, width = _key(fit), _LEFT + _WIDE + _RIGHT + 2 * MARGIN
    footer = measure_footer(_notes(fit, table), failure_of(fit), key, width - 2 * MARGIN)
    second = _TOP + _HIGH + _BETWEEN
    body = second + _HIGH + _UNDER
    total = body + footer.height + MARGIN
    rows = list(_shown(table))
    collection = open_canvas(rows, ["ratio", "probability"], (width, total), backend)
    heights = {name: row["falls_under"] for name, row in _shown(table).items()}
    page = Page(
        collection,
        {"bias": bias, "ratio": ratios, "probability": chance},
        heights,
        dict.fromkeys(rows, 0.0),
        _TOP,
        body,
    )
    if backend == "matplotlib":
        lay_flat(page.plot("table"), (0.0, 0.0, width, body), (width, total))
        box = (MARGIN, body, width - 2 * MARGIN, footer.height)
        lay_flat(page.plot("footer"), box, (width, total))
        for name, top in (("ratio", _TOP), ("probability", second)):
            place(page.plot(name), (MARGIN + _LEFT, top, _WIDE, _HIGH), (width, total))
            _dress(page.plot(name), bias, page.axes[name], ticked=name == "probability")
    for top, text in (
        (_TOP, "Hazard ratio with the bias taken off"),
        (second, "P(hazard ratio < 1), %"),
    ):
        words(text, page.plot("table"), x=MARGIN, y=top - 0.19, bold=True)
    draw_footer(page, footer, key)
    return page


def _tick(bias: float) -> str:
    return f"{bias + 0.0:g}\n{math.exp(bias):.2f}".replace("-", "−")


def _dress(plot: Any, x: Axis, y: Axis, *, ticked: bool) -> None:
    plot.patch.set_visible(False)
    plot.set_xlim(0.0, x.low)  # the bias grows to the right
    if y.log:
        plot.set_yscale("log")
    plot.set_ylim(y.low, y.high)
    plot.set_xticks(x.ticks, x.tick_labels if ticked else [""] * len(x.ticks), fontsize=SMALL)
    plot.set_yticks(y.ticks, y.tick_labels, fontsize=SMALL)
    plot.set_xticks([], minor=True)
    plot.set_yticks([], minor=True)
    plot.tick_params(length=3, width=0.7, color=COLOURS["ink"], pad=2)
    for side in ("right", "top"):
        plot.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        plot.spines[side].set(linewidth=0.7)
    if ticked:
        label = "bias b (log scale); below it, the hazard ratio that immortal time alone gives"
        plot.set_xlabel(drawable(label), fontsize=8.0, labelpad=4, gid="axis_label")


def _draw(page: Page, fit: xr.DataTree, table: pd.DataFrame) -> None:
    prior = bias_prior(fit)
    low, middle, high = (float(value) for value in prior.quantile([0.025, 0.5, 0.975]))
    for name in ("ratio", "probability"):
        plot, y = page.plot(name), page.axes[name]
        ends = np.clip([low, high], _MOST, 0.0)
        backend_of(plot).fill_between_y(
            ends, np.full(2, y.low), np.full(2, y.high), plot, color=COLOURS["rule"], alpha=0.16,
            linewidth=0.0, zorder=0, gid="prior",
        )  # fmt: skip
        _line(plot, [middle, middle], [y.low, y.high], COLOURS["rule"], 0.9, "--", "centre")
        for level in PROBABILITIES if name == "probability" else (1.0,):
            _line(plot, [0.0, _MOST], [level, level], COLOURS["rule"], 0.7, "-", f"level:{level:g}")
    grid = table[table["row"] == "grid"]
    for estimand, colour in _COLOURS.items():
        rows = grid[grid["estimand"] == estimand]
        _draw_estimand(page, estimand, rows, colour)
    points = {name: row["bias"] for name, row in _shown(table).items()}
    colours = {name: _COLOURS[row["estimand"]] for name, row in _shown(table).items()}
    page.draw(_dot, "threshold", points, on="probability", color=colours)
    if page.collection.backend == "matplotlib":
        _label(page.plot("probability"), _shown(table))


def _line(
    plot: Any, x: Any, y: Any, colour: str, width: float, linestyle: str, gid: str, zorder: int = 1
) -> None:
    backend_of(plot).line(
        np.asarray(x, dtype=float), np.asarray(y, dtype=float), plot, color=colour, width=width,
        linestyle=linestyle, zorder=zorder, gid=gid,
    )  # fmt: skip


def _draw_estimand(page: Page, estimand: str, rows: pd.DataFrame, colour: str) -> None:
    """Draw ratio, interval and probability of an estimand along the bias."""
    plot = page.plot("ratio")
    x, low, middle, high, chance = (
        rows[name].to_numpy(dtype=np.float64)
        for name in ("bias", "lower", "median", "upper", "p_below_one")
    )
    if estimand == "median study":
        backend_of(plot).fill_between_y(
            x, low, high, plot, color=colour, alpha=0.24, linewidth=0.0, zorder=2,
            gid=f"interval:{estimand}",
        )  # fmt: skip
        _line(plot, x, middle, colour, 1.6, "-", f"median:{estimand}", 5)
    else:
        for end, values in (("lower", low), ("upper", high)):
            _line(plot, x, values, colour, 1.0, ":", f"{end}:{estimand}", 3)
    _line(page.plot("probability"), x, chance, colour, 1.6, "-", f"p:{estimand}", 3)


def _dot(da: Any, target: Any, *, y: Any, color: Any) -> Any:
    """Draw a threshold at the bias that `da` holds."""
    return backend_of(target).scatter(
        [float(np.asarray(da))], [float(np.asarray(y))], target, marker="o", size=20.0,
        color=str(np.asarray(color)), width=0.0, clip_on=False, zorder=6,
    )  # fmt: skip


def _label(plot: Any, shown: Mapping[str, Mapping[str, Any]]) -> None:
    """Write beside each threshold the ratio of immortal time alone, on the side that is free."""
    from matplotlib.patheffects import withStroke

    for row in shown.values():
        twins = [each for each in shown.values() if each["falls_under"] == row["falls_under"]]
        later = row["bias"] == min(each["bias"] for each in twins)
        right = later or len(twins) == 1
        plot.annotate(
            f"{row['factor']:.2f}",
            (row["bias"], row["falls_under"]),
            xytext=(5 if right else -5, 5 if right else -5),
            textcoords="offset points",
            ha="left" if right else "right",
            va="bottom" if right else "top",
            fontsize=SMALL,
            color=_COLOURS[row["estimand"]],
            path_effects=[withStroke(linewidth=2.0, foreground=COLOURS["paper"])],
            zorder=7,
            annotation_clip=False,
            gid=f"factor:{row['estimand']}:{row['falls_under']:g}",
        )


def _alt(title: str, table: pd.DataFrame) -> str:
    solved = table[table["row"] == "threshold"].to_dict("records")
    said = [f"{capital(str(row['estimand']))}: {row['words']}" for row in solved]
    return f"{title}. {'. '.join(said)}."
