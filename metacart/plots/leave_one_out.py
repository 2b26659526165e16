"""The answer without each study in turn."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

from metacart.errors import named_options, refuse_unknown
from metacart.inference.keeping import CacheLike
from metacart.inference.one_mean import of_one_mean
from metacart.inference.records import design_of
from metacart.modelling.design import scale_of
from metacart.modelling.likelihoods import Likelihoods
from metacart.modelling.moderators import level_text
from metacart.plots.answers import Answers
from metacart.plots.facts import capital, failure_of, labels_of, measure_of, name_of, title_of
from metacart.plots.files import check_file, deliver
from metacart.plots.layout import Column, Page, Panel, Row, open_page
from metacart.plots.measure import style
from metacart.results.leave_one_out import leave_one_out

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from arviz_plots import PlotCollection

__all__ = ["draw_leave_one_out", "plot_leave_one_out"]

_BACKENDS = ("matplotlib", "none")
_ALL = "left:"


@named_options
@of_one_mean
def plot_leave_one_out(
    fit: xr.DataTree,
    *,
    at: Mapping[str, Any] | None = None,
    likelihoods: Likelihoods | None = None,
    executor: Executor | None = None,
    cache: CacheLike | None = None,
    progress: bool | None = None,
    file: str | os.PathLike[str] | None = None,
    backend: str = "matplotlib",
) -> PlotCollection:
    """Plot the answer without the papers of each cohort, the one that moves it most first.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.
    at : dict of moderator to level or number, optional
        Where to stand, as for ``summarize``.
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
        ``viz`` holds, by ``row`` (``left:COHORT``; ``left:`` that of all studies), the text columns
        ``study``, ``estimate`` and ``interval``, and the marks ``median``, ``answer_interval`` and
        ``next_study`` (for a transplant question ``naive`` and ``naive_interval`` too). Its
        attributes hold ``title`` and ``alt``.

    Raises
    ------
    InputError
        As ``leave_one_out``, and for an unknown option or suffix.

    Notes
    -----
    The numbers are those of ``leave_one_out``: the population average, or the median study where
    there is none, as for ratios, with 95 % equal-tailed intervals. The dashed line stands at the
    answer of all studies, whose row is the first.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.plot_leave_one_out(mc.fit("cr_rate"), file="left_out.svg")  # doctest: +SKIP
    """
    refuse_unknown("backend", backend, _BACKENDS)
    if file is not None:
        check_file(file)
    table = leave_one_out(
        fit, at=at, likelihoods=likelihoods, executor=executor, cache=cache, progress=progress
    )
    return draw_leave_one_out(fit, table, at=at, file=file, backend=backend)


def draw_leave_one_out(
    fit: xr.DataTree,
    table: pd.DataFrame,
    *,
    at: Mapping[str, Any] | None = None,
    file: str | os.PathLike[str] | None = None,
    backend: str = "matplotlib",
) -> PlotCollection:
    """Plot a table of ``leave_one_out`` that is there already."""
    answers = _sorted(table, Answers(table, measure_of(scale_of(design_of(fit)))))
    labels = _labels(fit, answers.table)
    with style():
        page = _page(fit, answers, labels, at or {}, backend)
        answers.draw(page, on="left", line_at=_ALL)
    title = f"{title_of(fit)}: without each study"
    return deliver(page.collection, title=title, alt=_alt(title, answers, labels), file=file)


def _sorted(table: pd.DataFrame, answers: Answers) -> Answers:
    """Return the answers with that of all first, then those without, by how far they move."""
    of = table[table["estimand"] == answers.answer].set_index("left_out")["median"]
    moved = (of - of[""]).abs().sort_values(ascending=False, kind="stable")
    order = {name: place for place, name in enumerate(["", *moved.index[moved.index != ""]])}
    place = table["left_out"].map(order)
    table = table.assign(row=_ALL + table["left_out"]).loc[place.sort_values(kind="stable").index]
    return Answers(table.reset_index(drop=True), answers.measure)


def _labels(fit: xr.DataTree, table: pd.DataFrame) -> dict[str, str]:
    """Return the papers that leave, as a figure names them, by row."""
    rows = table.drop_duplicates("row").set_index("row")["left_out"]
    left = rows[rows != ""]
    return {_ALL: "", **dict(zip(left.index, labels_of(fit, left), strict=True))}


def _page(
    fit: xr.DataTree, answers: Answers, labels: dict[str, str], at: Mapping[str, Any], backend: str
) -> Page:
    estimates, spans, footnotes = answers.texts()
    how = answers.table.drop_duplicates("row")["computed"]
    again = int(how.str.startswith("refitted").sum())
    stated = ", ".join(f"{name_of(key)} = {level_text(value)}" for key, value in at.items())
    gone = int(answers.table[answers.table["median"].isna()]["row"].nunique())
    words = f"{again} of {len(how) - 1} were fitted again"
    words += f", {gone} could not be" if gone else ""
    words += ", the others reweighted" if again + gone < len(how) - 1 else ""
    note = (
        f"The {answers.answer}{f' at {stated}' if stated else ''}; the papers of one cohort leave "
        f"together. {words}."
    )
    return open_page(
        rows=[
            Row(row, bold=row == _ALL, shade=position % 2 == 0)
            for position, row in enumerate(labels)
        ],
        parts=[
            Column(
                "study", "Without", {row: label or "none left out" for row, label in labels.items()}
            ),
            Panel("left", answers.axis(fit), width=3.1),
            Column("estimate", answers.heading, estimates, "right"),
            Column("interval", "95 %\ninterval", spans, "right"),
        ],
        key=answers.key("the answer of all studies"),
        notes=[note, *footnotes],
        warning=failure_of(fit),
        backend=backend,
    )


def _alt(title: str, answers: Answers, labels: dict[str, str]) -> str:
    said = [
        f"without {labels[row]} {words}" if labels[row] else f"with all {words}"
        for row, words in answers.words().items()
    ]
    return f"{title}. {capital(answers.answer)}: {'; '.join(said)}."
