"""Where the evidence disagrees with itself: findings beside their prediction, and node splits."""

from __future__ import annotations

import os
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

from metacart.errors import named_options, refuse_unknown
from metacart.inference.keeping import CacheLike
from metacart.inference.one_mean import of_one_mean
from metacart.inference.records import design_of
from metacart.modelling.design import moderators_of, scale_of
from metacart.modelling.likelihoods import Likelihoods
from metacart.plots.axes import Axis, linear_axis, percent_axis, ratio_axis
from metacart.plots.facts import (
    Measure,
    axis_words,
    capital,
    coefficient_words,
    failure_of,
    favours,
    measure_of,
    null_of,
    reported,
    title_of,
)
from metacart.plots.files import check_file, deliver
from metacart.plots.layout import Column, Key, Page, Panel, Row, intervals, open_page
from metacart.plots.marks import spot, upright
from metacart.plots.measure import COLOURS, style
from metacart.plots.numbers import number, span
from metacart.results.conflict import SURPRISING, conflict

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from arviz_plots import PlotCollection

__all__ = ["plot_conflict"]

_BACKENDS = ("matplotlib", "none")
_P_AXIS = Axis(
    0.001, 1.0, (0.001, 0.01, 0.05, 0.2, 1.0), ("0.001", "0.01", "0.05", "0.2", "1"), scale="log"
)
_INDENT = "\u2002"


@named_options
@of_one_mean
def plot_conflict(
    fit: xr.DataTree,
    *,
    likelihoods: Likelihoods | None = None,
    executor: Executor | None = None,
    cache: CacheLike | None = None,
    progress: bool | None = None,
    file: str | os.PathLike[str] | None = None,
    backend: str = "matplotlib",
) -> PlotCollection:
    """Plot each finding beside what the others predict, the most surprising first, and node splits.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.
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
        ``viz`` holds, by ``row`` (``study:NAME``, and for each coefficient that can be split
        ``within studies:NAME``, ``across studies:NAME`` and ``difference:NAME``), the text columns
        ``study``, ``arm``, ``reported``, ``predicted``, ``p`` and ``beta``, and the marks
        ``prediction`` with its ``middle``, ``observed``, ``surprise`` with its ``surprise_end``,
        and ``coefficient`` with its ``coefficient_median``; what conflicts has ``_conflict`` at the
        end of the lines' names. Its attributes hold ``title`` and ``alt``.

    Raises
    ------
    InputError
        As ``conflict``, and for an unknown option or suffix.

    Notes
    -----
    The numbers are those of ``conflict``. Orange rows have a two-sided p below 0.05. A node split
    has a panel of its own on the scale of the model, its difference a p as the studies have.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.plot_conflict(mc.fit("cr_rate"), file="conflict.svg")  # doctest: +SKIP
    """
    refuse_unknown("backend", backend, _BACKENDS)
    if file is not None:
        check_file(file)
    table = conflict(
        fit, likelihoods=likelihoods, executor=executor, cache=cache, progress=progress
    )
    table["key"] = table["row"] + ":" + table["name"]
    of_study = table["row"] == "study"
    studies = table[of_study].sort_values("p_two_sided", kind="stable")  # without a fit come last
    splits = table[~of_study & table["p_two_sided"].notna() | table["row"].str.endswith("studies")]
    unsplit = table[(table["row"] == "difference") & table["p_two_sided"].isna()]
    with style():
        page = _page(fit, studies, splits, unsplit, backend)
        _draw(page, studies, splits)
    title = f"{title_of(fit)}: conflict within the evidence"
    alt = _alt(title, fit, studies, splits)
    return deliver(page.collection, title=title, alt=alt, file=file)


def _page(
    fit: xr.DataTree,
    studies: pd.DataFrame,
    splits: pd.DataFrame,
    unsplit: pd.DataFrame,
    backend: str,
) -> Page:
    measure = measure_of(scale_of(design_of(fit)))
    cells: dict[str, dict[str, str]] = {
        name: {} for name in ("study", "arm", "reported", "predicted", "p", "beta")
    }
    rows, footnotes = list[Row](), dict[str, str]()
    findings = _findings(fit)
    several = len({each.label for each in findings.values()}) < len(findings)
    for position, row in enumerate(studies.to_dict("records")):
        key, each = str(row["key"]), findings[row["name"]]
        rows.append(Row(key, bold=row["conflict"], shade=position % 2 == 1))
        cells["study"][key] = each.label
        cells["arm"][key] = each.arm if several else ""
        cells["reported"][key] = each.text
        if row["p_two_sided"] == row["p_two_sided"]:
            cells["predicted"][key] = _cell(row, measure)
            cells["p"][key] = _p(row["p_two_sided"])
        else:
            sign = footnotes.setdefault(row["computed"], "*" * (len(footnotes) + 1))
            cells["predicted"][key] = f"no fit {sign}"
    titles = coefficient_words(moderators_of(design_of(fit)))
    spans = set()
    for row in splits.to_dict("records"):
        key, head = str(row["key"]), f"split:{row['name']}"
        if head not in cells["study"]:
            rows.append(Row(head, ruled=True, space=0.06))
            cells["study"][head] = titles[row["name"]]
            spans.add(head)
        rows.append(Row(key, bold=row["conflict"]))
        cells["study"][key] = f"{_INDENT}{capital(row['row'])}"
        cells["beta"][key] = _cell(row, "value")
        if row["row"] == "difference":
            cells["p"][key] = _p(row["p_two_sided"])
    unit = {"rate": " %", "ratio": " ratio"}.get(measure, "")
    parts: list[Column | Panel] = [
        Column("study", "Study", cells["study"], spans=frozenset(spans)),
        Column("arm", "Arm", cells["arm"]),
        Column("reported", "Reported", cells["reported"], "right"),
        Panel("prediction", _axis(fit, studies, measure), "Predicted from the others", width=2.8),
        Column("predicted", f"Predicted{unit}\n[95 % interval]", cells["predicted"], "right"),
        Panel("surprise", _P_AXIS, "Two-sided p", width=1.5),
        Column("p", "p", cells["p"], "right"),
    ]
    if len(splits):
        ends = list(zip(splits["lower"], splits["upper"], strict=True))
        points = [0.0, *splits["median"]]
        linear = scale_of(design_of(fit)).linear
        label = "coefficient" if measure == "value" else f"coefficient, {linear}"
        axis = linear_axis(label, points=points, intervals=ends)
        parts += [
            Panel("split", axis, width=1.7),
            Column("beta", "Coefficient\n[95 % interval]", cells["beta"], "right"),
        ]
    return open_page(
        rows=rows,
        parts=parts,
        key=_key(measure, split=len(splits) > 0),
        notes=[_note(studies), *_unsplit(unsplit, titles)]
        + [f"{sign} {capital(reason)}." for reason, sign in footnotes.items()],
        warning=failure_of(fit),
        backend=backend,
    )


def _findings(fit: xr.DataTree) -> dict[str, Any]:
    names = design_of(fit)["finding"].to_numpy().tolist()
    return dict(zip(map(str, names), reported(fit), strict=True))


def _cell(row: dict[Any, Any], measure: Measure) -> str:
    places = 0 if measure == "rate" else 2
    return (
        f"{number(row['median'], measure, places)} "
        f"{span(row['lower'], row['upper'], measure, places)}"
    )


def _p(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def _axis(fit: xr.DataTree, studies: pd.DataFrame, measure: Measure) -> Axis:
    if measure == "rate":
        return percent_axis(axis_words(fit))
    known = studies[studies["p_two_sided"].notna()]
    points = [*known["observed"], *known["median"]]
    ends = list(zip(known["lower"], known["upper"], strict=True))
    if measure == "ratio":
        return ratio_axis(
            axis_words(fit), points=points, intervals=ends, sides=favours(fit), null=null_of(fit)
        )
    return linear_axis(axis_words(fit), points=points, intervals=ends)


def _key(measure: Measure, *, split: bool) -> list[Key]:
    what = "share" if measure == "rate" else "estimate"
    key = [
        Key("bar", "what a fit without its cohort predicts, 95 %", COLOURS["model"], 0.45),
        Key("dot", f"reported {what}", COLOURS["crude"]),
        Key("dot", f"p below {SURPRISING:g}", COLOURS["next"]),
        Key("dash", f"p = {SURPRISING:g}", COLOURS["rule"]),
    ]
    return [*key, Key("square", "coefficient, 95 % interval", COLOURS["pooled"])] if split else key


def _note(studies: pd.DataFrame) -> str:
    number_, chance = len(studies), SURPRISING * len(studies)
    return (
        f"p: how often a study like these would lie as far out as reported. Of {number_} findings "
        f"{chance:.1f} below {SURPRISING:g} are to be expected by chance."
    )


def _unsplit(unsplit: pd.DataFrame, titles: dict[str, str]) -> list[str]:
    """Say which coefficients cannot be split, reason by reason."""
    said = []
    for reason, rows in unsplit.groupby("computed", sort=False):
        named = "; ".join(titles[name] for name in rows["name"])
        said.append(f"Within and across studies are not told apart for {named}: {reason}.")
    return said


def _draw(page: Page, studies: pd.DataFrame, splits: pd.DataFrame) -> None:
    known = studies[studies["p_two_sided"].notna()]
    rows = {str(row["key"]): row for row in known.to_dict("records")}
    colours = {key: COLOURS["next" if row["conflict"] else "crude"] for key, row in rows.items()}
    axis = page.axes["prediction"]
    intervals(
        page, "prediction", {key: (row["lower"], row["upper"]) for key, row in rows.items()},
        on="prediction", colour=COLOURS["model"], width=5.0, arrow=22.0, alpha=0.45,
    )  # fmt: skip
    middles = {k: float(r["median"]) for k, r in rows.items()}
    page.draw(
        spot, "middle", {k: m for k, m in middles.items() if axis.low <= m <= axis.high},
        on="prediction", marker="|", size=36.0, color=COLOURS["pooled"], width=1.2, zorder=3,
        clip_on=False,
    )  # fmt: skip
    page.draw(
        spot, "observed", {k: float(r["observed"]) for k, r in rows.items()}, on="prediction",
        marker="o", size=17.0, color=colours, width=0.0, zorder=4, clip_on=False,
    )  # fmt: skip
    for row in splits[splits["row"] == "difference"].to_dict("records"):
        rows[str(row["key"])] = row
        colours[str(row["key"])] = COLOURS["next" if row["conflict"] else "crude"]
    _draw_p(page, rows, colours)
    if len(splits):
        _draw_splits(page, splits)


def _draw_splits(page: Page, splits: pd.DataFrame) -> None:
    first = str(splits["key"].iloc[0])
    top = page.centre[first] - page.height[first] / 2
    page.draw(
        upright, "no_difference", {first: 0.0}, on="split", top=top, bottom=page.bottom,
        color=COLOURS["rule"], width=0.7, zorder=1,
    )  # fmt: skip
    marks = {str(row["key"]): row for row in splits.to_dict("records")}
    shown = {key: COLOURS["next" if row["conflict"] else "pooled"] for key, row in marks.items()}
    for colour in dict.fromkeys(shown.values()):
        own = {key: row for key, row in marks.items() if shown[key] == colour}
        suffix = "" if colour == COLOURS["pooled"] else "_conflict"
        intervals(
            page, f"coefficient{suffix}", {k: (r["lower"], r["upper"]) for k, r in own.items()},
            on="split", colour=colour, width=1.1, arrow=14.0,
        )  # fmt: skip
    page.draw(
        spot, "coefficient_median", {k: float(r["median"]) for k, r in marks.items()}, on="split",
        marker="s", size=18.0, color=shown, width=0.0, zorder=4, clip_on=False,
    )  # fmt: skip


def _draw_p(page: Page, rows: dict[str, dict[Any, Any]], colours: dict[str, str]) -> None:
    if not rows:
        return
    page.draw(
        upright, "threshold", {next(iter(rows)): SURPRISING}, on="surprise", top=page.top + 0.08,
        bottom=page.bottom, color=COLOURS["rule"], width=0.8, linestyle="--", zorder=1,
    )  # fmt: skip
    for surprising in (False, True):
        own = {key: row for key, row in rows.items() if bool(row["conflict"]) is surprising}
        intervals(
            page, "surprise_conflict" if surprising else "surprise",
            {key: (float(row["p_two_sided"]), 1.0) for key, row in own.items()}, on="surprise",
            colour=COLOURS["next" if surprising else "crude"], width=1.0, arrow=14.0,
        )  # fmt: skip
    seen = {key: float(row["p_two_sided"]) for key, row in rows.items()}
    page.draw(
        spot, "surprise_end", {k: p for k, p in seen.items() if p >= _P_AXIS.low}, on="surprise",
        marker="o", size=15.0, color=colours, width=0.0, zorder=4, clip_on=False,
    )  # fmt: skip


def _alt(title: str, fit: xr.DataTree, studies: pd.DataFrame, splits: pd.DataFrame) -> str:
    measure, findings = measure_of(scale_of(design_of(fit))), _findings(fit)
    said = []
    for row in studies.to_dict("records"):
        label = findings[row["name"]].label
        if row["p_two_sided"] != row["p_two_sided"]:
            said.append(f"{label}: no fit")
            continue
        unit = " %" if measure == "rate" else ""
        seen = number(row["observed"], measure, 0 if measure == "rate" else 2)
        said.append(
            f"{label}: {seen}{unit} reported, {_cell(row, measure)}{unit} predicted, "
            f"p {_p(row['p_two_sided'])}{', a conflict' if row['conflict'] else ''}"
        )
    said += [
        f"{row['name']}, {row['row']}: {_cell(row, 'value')}"
        + (", a conflict" if row["conflict"] else "")
        for row in splits.to_dict("records")
    ]
    return f"{title}. {'; '.join(said)}."
