"""The specification curve: every answer that a question could have had, and by which choices."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from metacart.errors import named_options, refuse_unknown
from metacart.plots.axes import Axis, linear_axis, ratio_axis
from metacart.plots.canvas import lay_flat, open_canvas, place
from metacart.plots.facts import Measure, capital
from metacart.plots.files import check_file, deliver
from metacart.plots.footer import draw_footer, measure_footer
from metacart.plots.layout import Key, Page
from metacart.plots.marks import backend_of, plain, words
from metacart.plots.measure import COLOURS, GAP, MARGIN, SMALL, style, text_width
from metacart.plots.numbers import number
from metacart.results.multiverse import rank_choices, universe_columns

if TYPE_CHECKING:
    import pandas as pd
    from arviz_plots import PlotCollection

__all__ = ["plot_multiverse"]

_BACKENDS = ("matplotlib", "none")
_HIGH, _TOP, _AXIS = 2.3, 0.34, 0.16  # inches: of the curve, above it, between it and the choices
_LINE, _SPACE = 0.19, 0.07  # of an option, and above a choice
_NARROW, _WIDE = 3.2, 4.7  # of the curve: with its words it fits the page of a journal


@dataclass(frozen=True)
class _Curve:
    """What is drawn: a row a universe, and the height of each option below the curve."""

    rows: pd.DataFrame
    estimand: str
    measure: Measure
    axis: Axis
    options: dict[tuple[str, str], float]  # inches below the top of the choices
    headings: dict[str, float]
    high: float  # of all choices
    wide: float
    missing: str  # which universes are not drawn


@named_options
def plot_multiverse(
    table: pd.DataFrame,
    *,
    estimand: str | None = None,
    file: str | os.PathLike[str] | None = None,
    backend: str = "matplotlib",
) -> PlotCollection:
    """Plot the answers of all universes in order, over the choices that led to each.

    Parameters
    ----------
    table : DataFrame
        From ``multiverse``.
    estimand : str, optional
        Which; that by which its universes stand in order by default.
    file : path, optional
        Where to write the figure: ``.png``, ``.svg`` or ``.pdf``. The figure is then closed.
    backend : {"matplotlib", "none"}
        ``"none"`` draws nothing and keeps the structure.

    Returns
    -------
    arviz_plots.PlotCollection
        ``viz`` holds, by ``row`` (``universe:1`` and so on), ``interval`` and ``median`` of the
        curve and ``chosen``, a mark at the option of each choice; ``declared`` where the analysis
        is the declared one. Its attributes hold ``title`` and ``alt``.

    Raises
    ------
    InputError
        For what is no table of ``multiverse``, and for an unknown estimand, option or suffix.

    Notes
    -----
    Medians with 95 % equal-tailed intervals. The choice that moves the answer most stands first, as
    in ``rank_choices``; beside each option is the mean of the medians of its universes.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.plot_multiverse(mc.multiverse("cr_rate"), file="curve.svg")  # doctest: +SKIP
    """
    refuse_unknown("backend", backend, _BACKENDS)
    if file is not None:
        check_file(file)
    _, estimand = universe_columns(table, estimand)
    ranked = rank_choices(table, estimand=estimand)
    curve = _curve(table, ranked, estimand)
    with style():
        page = _page(curve, ranked, backend)
        _draw_curve(page, curve)
        _draw_choices(page, curve, list(ranked["choice"]))
    number_of = int((table["estimand"] == estimand).sum())
    title = f"{table.attrs['title']}: {number_of} universes"
    return deliver(page.collection, title=title, alt=_alt(title, curve, ranked), file=file)


def _curve(table: pd.DataFrame, ranked: pd.DataFrame, estimand: str) -> _Curve:
    rows = table[table["estimand"] == estimand]
    missing = _missing(rows, list(table.attrs["choices"]))
    rows = rows[rows["median"].notna()]
    rows = rows.sort_values(["median", "universe"], kind="stable", ignore_index=True)
    measure: Measure = table.attrs["measure"]
    label = f"{capital(estimand)}: {table.attrs['axis']}"
    points = rows["median"].tolist()
    ends = list(zip(rows["lower"], rows["upper"], strict=True))
    if measure == "rate":
        # the whole of 0 to 100 % would hide what a choice moves
        low, high = float(rows["lower"].min()), float(rows["upper"].max())
        step = 0.05 if high - low < 0.25 else 0.1 if high - low < 0.5 else 0.2
        first, last = int(np.floor(low / step + 1e-9)), int(np.ceil(high / step - 1e-9))
        ticks = tuple(step * n for n in range(first, last + 1))
        axis = Axis(ticks[0], ticks[-1], ticks, tuple(f"{100 * t:.0f}" for t in ticks), label)
    elif measure == "ratio":
        axis = ratio_axis(label, points=points, intervals=ends)
    else:
        axis = linear_axis(label, points=points, intervals=ends)
    y, options, headings = 0.0, dict[tuple[str, str], float](), dict[str, float]()
    for choice in ranked["choice"]:
        y += _SPACE
        headings[choice] = y + _LINE / 2
        y += _LINE
        for option in table.attrs["choices"][choice]:
            options[choice, option] = y + _LINE / 2
            y += _LINE
    wide = float(np.clip(0.055 * len(rows), _NARROW, _WIDE))
    return _Curve(rows, estimand, measure, axis, options, headings, y, wide, missing)


def _missing(rows: pd.DataFrame, choices: list[str]) -> str:
    """Say how many universes have no numbers, and which options all of these share."""
    lost = rows[rows["median"].isna()]
    if lost.empty:
        return ""
    shared = [
        str(lost[choice].iloc[0])
        for choice in choices
        if len(set(lost[choice])) == 1 < len(set(rows[choice]))
    ]
    which = f", all with {' and '.join(shared)}" if shared and len(lost) > 1 else ""
    have = "have no numbers and are" if len(lost) > 1 else "has no numbers and is"
    return f"{len(lost)} of {len(rows)} universes {have} not drawn{which}; the table says why."


def _page(curve: _Curve, ranked: pd.DataFrame, backend: str) -> Page:
    places = 1 if curve.measure == "rate" else 2
    unit = " percentage points" if curve.measure == "rate" else ""
    means = {
        (choice, option): float(curve.rows.loc[curve.rows[choice] == option, "median"].mean())
        for choice, option in curve.options
    }
    moved = {
        row["choice"]: (
            f"\u2002{number(row['range'], curve.measure, places)}{unit} between means, "
            f"{100 * row['share']:.0f} % of the variance"
        )
        for row in ranked.to_dict("records")
    }
    cells = {
        key: number(mean, curve.measure, places) if np.isfinite(mean) else "no fit"
        for key, mean in means.items()
    }
    left = max(
        [text_width(_heading(name), bold=True) for name in curve.headings]
        + [text_width(f"\u2002{option}") for _, option in curve.options]
    )
    right = max(text_width("mean", bold=True), *(text_width(text) for text in cells.values()))
    x = MARGIN + left + GAP
    width = x + curve.wide + GAP + right + MARGIN
    key = [
        Key("dot", "median and 95 % interval", COLOURS["model"]),
        Key("dot", "as declared", COLOURS["next"]),
    ]
    note = (
        "Universes are neither equally likely nor independent of each other. Beside each option "
        "stands the mean of the medians of its universes; beside each choice how far these means "
        "differ, and the share of the variance of all medians that its options explain by "
        "themselves."
    )
    notes = [text for text in (curve.missing, note) if text]
    footer = measure_footer(notes, "", key, width - 2 * MARGIN)
    body = _TOP + _HIGH + _AXIS + curve.high
    total = body + 0.12 + footer.height + MARGIN
    names = [f"universe:{n}" for n in curve.rows["universe"]]
    collection = open_canvas(names, ["curve", "choices"], (width, total), backend)
    ranks = {name: float(position + 1) for position, name in enumerate(names)}
    page = Page(
        collection, {"curve": curve.axis}, ranks, dict.fromkeys(names, 0.0), _TOP, _TOP + _HIGH
    )
    table = page.plot("table")
    if backend == "matplotlib":
        lay_flat(table, (0.0, 0.0, width, body), (width, total))
        box = (MARGIN, body + 0.12, width - 2 * MARGIN, footer.height)
        lay_flat(page.plot("footer"), box, (width, total))
        place(page.plot("curve"), (x, _TOP, curve.wide, _HIGH), (width, total))
        below = (x, _TOP + _HIGH + _AXIS, curve.wide, curve.high)
        place(page.plot("choices"), below, (width, total))
        _dress(page, curve)
    words(curve.axis.label, table, x=MARGIN, y=_TOP - 0.16, bold=True, gid="y_label")
    start = _TOP + _HIGH + _AXIS
    edge = width - MARGIN
    words("mean", table, x=edge, y=start - 0.02, align="right", small=True, gid="mean")
    for choice, y in curve.headings.items():
        words(_heading(choice), table, x=MARGIN, y=start + y, bold=True, gid=f"choice:{choice}")
        words(
            moved[choice], table, x=x, y=start + y, small=True, colour=COLOURS["muted"],
            gid=f"moved:{choice}",
        )  # fmt: skip
    for (choice, option), y in curve.options.items():
        gid = f"{choice}:{option}"
        words(f"\u2002{option}", table, x=MARGIN, y=start + y, gid=f"option:{gid}")
        text = cells[choice, option]
        words(text, table, x=edge, y=start + y, align="right", gid=f"mean:{gid}")
    draw_footer(page, footer, key)
    return page


def _heading(choice: str) -> str:
    return capital(choice.replace("_", " "))


def _dress(page: Page, curve: _Curve) -> None:
    plot, below, axis = page.plot("curve"), page.plot("choices"), curve.axis
    ends = (0.0, len(curve.rows) + 1.0)
    for panel in (plot, below):
        panel.set_xlim(*ends)
        panel.set_xticks([])
        panel.patch.set_visible(False)
        for side in ("right", "top", "bottom"):
            panel.spines[side].set_visible(False)
    below.spines["left"].set_visible(False)
    below.set_yticks([])
    below.set_ylim(curve.high, 0.0)
    if axis.log:
        plot.set_yscale("log")
    plot.set_ylim(axis.low, axis.high)
    plot.set_yticks(axis.ticks, axis.tick_labels, fontsize=SMALL)
    plot.set_yticks([], minor=True)
    plot.tick_params(length=3, width=0.7, color=COLOURS["ink"], pad=2)
    plot.spines["left"].set(linewidth=0.7, bounds=(axis.low, axis.high))
    if axis.null is not None:
        plot.axhline(axis.null, color=COLOURS["rule"], linewidth=0.7, zorder=1, gid="null")
    for y in curve.options.values():
        below.axhline(y, color=COLOURS["shade"], linewidth=3.0, zorder=0)


def _names(curve: _Curve, *, declared: bool | None = None) -> dict[str, Any]:
    """Return the rows by name."""
    return {
        f"universe:{row['universe']}": row
        for row in curve.rows.to_dict("records")
        if declared is None or row["declared"] == declared
    }


def _draw_curve(page: Page, curve: _Curve) -> None:
    rows, axis = _names(curve), curve.axis
    size = float(np.clip(900.0 * curve.wide / _WIDE / len(rows), 4.0, 18.0))
    colours = {name: COLOURS["next" if row["declared"] else "model"] for name, row in rows.items()}
    page.draw(
        _upright,
        "interval",
        {name: np.clip([r["lower"], r["upper"]], axis.low, axis.high) for name, r in rows.items()},
        on="curve", parts=("lower", "upper"), color=colours, width=0.8, alpha=0.6, zorder=2,
    )  # fmt: skip
    page.draw(
        _mark, "median", {name: row["median"] for name, row in rows.items()}, on="curve",
        marker="o", size=size, color=colours, width=0.0, zorder=3,
    )  # fmt: skip
    declared = {name: row["median"] for name, row in _names(curve, declared=True).items()}
    page.draw(
        _mark, "declared", declared, on="curve", marker="o", size=2.0 * size,
        color=COLOURS["next"], width=0.0, zorder=4,
    )  # fmt: skip
    if declared:
        plot = page.plot("curve")
        level = np.full(2, next(iter(declared.values())))
        backend_of(plot).line(
            np.asarray([0.0, len(curve.rows) + 1.0]), level, plot, color=COLOURS["next"],
            width=0.8, linestyle="--", zorder=1, gid="declared_line",
        )  # fmt: skip


def _draw_choices(page: Page, curve: _Curve, choices: list[str]) -> None:
    rows = _names(curve)
    page.draw(
        _marks,
        "chosen",
        {name: [curve.options[c, str(row[c])] for c in choices] for name, row in rows.items()},
        on="choices",
        parts=choices,
        marker="|",
        size=42.0,
        width=float(np.clip(36.0 * curve.wide / len(rows), 0.8, 2.2)),
        color={name: COLOURS["next" if row["declared"] else "crude"] for name, row in rows.items()},
        zorder=3,
    )


# visuals with the rank of a universe along x: a page has it as the height of its row


def _upright(da: Any, target: Any, *, y: Any, **styles: Any) -> Any:
    ends = np.asarray(da, dtype=float)
    return backend_of(target).line(
        np.full(2, float(plain(y))), ends, target, **{k: plain(v) for k, v in styles.items()}
    )


def _mark(da: Any, target: Any, *, y: Any, **styles: Any) -> Any:
    return backend_of(target).scatter(
        [float(plain(y))], [float(plain(da))], target, **{k: plain(v) for k, v in styles.items()}
    )


def _marks(da: Any, target: Any, *, y: Any, **styles: Any) -> Any:
    heights = np.asarray(da, dtype=float)
    return backend_of(target).scatter(
        np.full(heights.shape, float(plain(y))), heights, target,
        **{k: plain(v) for k, v in styles.items()},
    )  # fmt: skip


def _alt(title: str, curve: _Curve, ranked: pd.DataFrame) -> str:
    places = 1 if curve.measure == "rate" else 2
    unit = " %" if curve.measure == "rate" else ""
    low, high = (
        number(float(value), curve.measure, places)
        for value in (curve.rows["median"].min(), curve.rows["median"].max())
    )
    said = [
        f"{choice} explains {100 * share:.0f} % of the variance"
        for choice, share in zip(ranked["choice"], ranked["share"], strict=True)
    ]
    return (
        f"{title}. {capital(curve.estimand)}: medians from {low}{unit} to {high}{unit}. "
        f"{'; '.join(said)}.{f' {curve.missing}' if curve.missing else ''}"
    )
