"""The cumulative forest plot: what was known after each study."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

from metacart.errors import named_options, refuse_unknown
from metacart.inference.one_mean import of_one_mean
from metacart.inference.records import design_of, evidence_of
from metacart.modelling.design import scale_of
from metacart.modelling.likelihoods import Likelihoods
from metacart.modelling.moderators import level_text
from metacart.plots.axes import Axis, linear_axis, percent_axis, ratio_axis
from metacart.plots.facts import (
    Measure,
    axis_words,
    failure_of,
    favours,
    measure_of,
    name_of,
    null_of,
    reported,
    title_of,
)
from metacart.plots.files import check_file, deliver
from metacart.plots.layout import Column, Key, Page, Panel, Row, intervals, open_page
from metacart.plots.marks import spot, upright
from metacart.plots.measure import COLOURS, style
from metacart.plots.numbers import number, span
from metacart.results.cumulative import cumulative

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from arviz_plots import PlotCollection

__all__ = ["plot_cumulative"]

_BACKENDS = ("matplotlib", "none")


@named_options
@of_one_mean
def plot_cumulative(
    fit: xr.DataTree,
    *,
    by: str = "year",
    at: Mapping[str, Any] | None = None,
    likelihoods: Likelihoods | None = None,
    executor: Executor | None = None,
    progress: bool | None = None,
    file: str | os.PathLike[str] | None = None,
    backend: str = "matplotlib",
) -> PlotCollection:
    """Plot the answer as studies entered one after the other.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.
    by : str
        The column of the evidence by which they enter, as for ``cumulative``.
    at : dict of moderator to level or number, optional
        Where to stand, as for ``summarize``.
    likelihoods : mapping of str to Likelihood or System, optional
        Those of the fit, where they are not the shipped ones.
    executor : concurrent.futures.Executor, optional
        Runs the fits; one after the other by default.
    progress : bool, optional
        Whether to show a bar; by default in a terminal or a notebook.
    file : path, optional
        Where to write the figure: ``.png``, ``.svg`` or ``.pdf``. The figure is then closed.
    backend : {"matplotlib", "none"}
        ``"none"`` draws nothing and keeps the structure.

    Returns
    -------
    arviz_plots.PlotCollection
        ``viz`` holds, by ``row``, the text columns ``study``, ``value``, ``estimate`` and
        ``interval``, and the marks ``median``, ``answer_interval`` and ``next_study`` (for a
        transplant question ``naive`` and ``naive_interval`` too). Its attributes hold ``title``
        and ``alt``.

    Raises
    ------
    InputError
        As ``cumulative``, and for an unknown option or suffix.

    Notes
    -----
    The numbers are those of ``cumulative``: the population average, or the median study where
    there is none, as for ratios, with 95 % equal-tailed intervals. The dashed line stands at the
    answer of all studies.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.plot_cumulative(mc.fit("cr_rate"), file="cumulative.svg")  # doctest: +SKIP
    """
    refuse_unknown("backend", backend, _BACKENDS)
    if file is not None:
        check_file(file)
    table = cumulative(
        fit, by=by, at=at, likelihoods=likelihoods, executor=executor, progress=progress
    )
    answer, following, naive = _shown(table)
    measure = measure_of(scale_of(design_of(fit)))
    with style():
        page = _page(fit, table, answer, following, naive, measure, by, at or {}, backend)
        _draw(page, table, answer, following, naive)
    title = f"{title_of(fit)}, cumulative by {name_of(by).lower()}"
    return deliver(page.collection, title=title, alt=_alt(title, table, answer, measure), file=file)


def _shown(table: pd.DataFrame) -> tuple[str, str, str]:
    """Return the names of the answer, of the next study, and of the naive answer where one is."""
    names = list(dict.fromkeys(table["estimand"]))
    naive = next((name for name in names if name == "median study (naive)"), "")
    wanted = [name for name in names if "(naive)" not in name]
    answer = next((name for name in wanted if name.startswith("population average")), "")
    answer = answer or next(name for name in wanted if name.startswith("median study"))
    return answer, next(name for name in wanted if name.startswith("next study")), naive


def _of(table: pd.DataFrame, estimand: str) -> dict[str, dict[Any, Any]]:
    """Return the numbers of an estimand by row of the page; none where there was no fit."""
    rows = table[(table["estimand"] == estimand) & table["median"].notna()]
    return {f"step:{row['step']}": row for row in rows.to_dict("records")}


def _ends(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[float, float]]:
    return {name: (float(row["lower"]), float(row["upper"])) for name, row in rows.items()}


def _page(
    fit: xr.DataTree,
    table: pd.DataFrame,
    answer: str,
    following: str,
    naive: str,
    measure: Measure,
    by: str,
    at: Mapping[str, Any],
    backend: str,
) -> Page:
    steps = table.drop_duplicates("step").to_dict("records")
    found = _of(table, answer)
    labels: dict[str, str] = {}
    for study, each in zip(evidence_of(fit)["study"].astype(str), reported(fit), strict=True):
        labels.setdefault(study, each.label)
    cells: dict[str, dict[str, str]] = {
        name: {} for name in ("number", "study", "value", "estimate", "interval")
    }
    rows, footnotes = [], dict[str, str]()
    for step in steps:
        name = f"step:{step['step']}"
        last = step is steps[-1]
        rows.append(Row(name, bold=last, shade=step["step"] % 2 == 0))
        cells["number"][name] = str(step["step"])
        cells["study"][name] = ("" if step is steps[0] else "+ ") + labels[step["added"]]
        cells["value"][name] = level_text(step["value"])
        if name in found:
            row = found[name]
            cells["estimate"][name] = number(row["median"], measure, _places(measure))
            cells["interval"][name] = span(row["lower"], row["upper"], measure, _places(measure))
        else:
            sign = footnotes.setdefault(step["computed"], "*" * (len(footnotes) + 1))
            cells["interval"][name] = f"no fit {sign}"
    heading = "%" if measure == "rate" else "Ratio" if measure == "ratio" else "Value"
    stated = ", ".join(f"{name_of(key)} = {level_text(value)}" for key, value in at.items())
    key = [
        Key("dot", f"{answer}, 95 % interval", COLOURS["pooled"]),
        *([Key("dot", naive, COLOURS["rule"])] if naive else []),
        Key("bar", following, COLOURS["next"], 0.35),
        Key("dash", "the answer of all", COLOURS["pooled"]),
    ]
    return open_page(
        rows=rows,
        parts=[
            Column("number", "", cells["number"], "right"),
            Column("study", "Study added", cells["study"]),
            Column("value", name_of(by), cells["value"]),
            Panel("cumulative", _axis(fit, table, (answer, naive), measure), width=3.1),
            Column("estimate", heading, cells["estimate"], "right"),
            Column("interval", "95 %\ninterval", cells["interval"], "right"),
        ],
        key=key,
        notes=[
            f"Each row is the {answer} of its study and all above, fitted with the same priors."
            + (f" At {stated}." if stated else ""),
            *(f"{sign} {reason}." for reason, sign in footnotes.items()),
        ],
        warning=failure_of(fit),
        backend=backend,
    )


def _places(measure: Measure) -> int | None:
    return 1 if measure == "rate" else 2


def _axis(fit: xr.DataTree, table: pd.DataFrame, shown: tuple[str, ...], measure: Measure) -> Axis:
    if measure == "rate":
        return percent_axis(axis_words(fit))
    rows = [row for name in shown for row in _of(table, name).values()]
    points, ends = [row["median"] for row in rows], [(row["lower"], row["upper"]) for row in rows]
    if measure == "ratio":
        return ratio_axis(
            axis_words(fit), points=points, intervals=ends, sides=favours(fit), null=null_of(fit)
        )
    return linear_axis(axis_words(fit), points=points, intervals=ends)


def _draw(page: Page, table: pd.DataFrame, answer: str, following: str, naive: str) -> None:
    found = _of(table, answer)
    first, last = (f"step:{n}" for n in (1, int(table["step"].max())))
    if last in found:
        page.draw(
            upright, "answer_line", {first: float(found[last]["median"])}, on="cumulative",
            top=page.top + 0.08, bottom=page.bottom, color=COLOURS["pooled"], width=0.8,
            linestyle="--", zorder=1,
        )  # fmt: skip
    intervals(
        page, "next_study", _ends(_of(table, following)), on="cumulative", colour=COLOURS["next"],
        width=5.0, arrow=22.0, alpha=0.35,
    )  # fmt: skip
    views = [("naive", naive, "rule", 0.05)] if naive else []
    views.append(("median", answer, "pooled", -0.03 if naive else 0.0))
    for visual, name, colour, offset in views:
        rows = _of(table, name)
        line = "answer_interval" if visual == "median" else f"{visual}_interval"
        intervals(
            page, line, _ends(rows), on="cumulative", colour=COLOURS[colour], width=1.1,
            arrow=14.0, offset=offset,
        )  # fmt: skip
        page.draw(
            spot, visual, {key: float(row["median"]) for key, row in rows.items()},
            on="cumulative", offset=offset, marker="o", size=15.0, color=COLOURS[colour],
            width=0.0, zorder=4, clip_on=False,
        )  # fmt: skip


def _alt(title: str, table: pd.DataFrame, answer: str, measure: Measure) -> str:
    unit = " %" if measure == "rate" else ""
    said = [
        f"with {row['step']} studies {number(row['median'], measure, _places(measure))}{unit} "
        f"{span(row['lower'], row['upper'], measure, _places(measure))}"
        for row in _of(table, answer).values()
    ]
    return f"{title}. {answer[:1].upper()}{answer[1:]}: {'; '.join(said)}."
