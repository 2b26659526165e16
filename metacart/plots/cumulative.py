"""The cumulative forest plot: what was known after each study."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

from metacart.errors import named_options, refuse_unknown
from metacart.inference.keeping import CacheLike
from metacart.inference.one_mean import of_one_mean
from metacart.inference.records import design_of, evidence_of
from metacart.modelling.design import scale_of
from metacart.modelling.likelihoods import Likelihoods
from metacart.modelling.moderators import level_text
from metacart.plots.answers import Answers
from metacart.plots.facts import capital, failure_of, measure_of, name_of, reported, title_of
from metacart.plots.files import check_file, deliver
from metacart.plots.layout import Column, Page, Panel, Row, open_page
from metacart.plots.measure import style
from metacart.results.cumulative import cumulative

if TYPE_CHECKING:
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
    together: bool = False,
    at: Mapping[str, Any] | None = None,
    likelihoods: Likelihoods | None = None,
    executor: Executor | None = None,
    cache: CacheLike | None = None,
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
    together : bool
        Whether studies of an equal value enter at once, as for ``cumulative``.
    at : dict of moderator to level or number, optional
        Where to stand, as for ``summarize``.
    likelihoods : mapping of str to Likelihood or System, optional
        Those of the fit, where they are not the shipped ones.
    executor : concurrent.futures.Executor, optional
        Runs the fits; one after the other by default.
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
        fit,
        by=by,
        together=together,
        at=at,
        likelihoods=likelihoods,
        executor=executor,
        cache=cache,
        progress=progress,
    )
    table = table.assign(row=[f"step:{step}" for step in table["step"]])
    answers = Answers(table, measure_of(scale_of(design_of(fit))))
    with style():
        page = _page(fit, answers, by, at or {}, backend)
        answers.draw(page, on="cumulative", line_at=str(table["row"].iloc[-1]))
    title = f"{title_of(fit)}, cumulative by {name_of(by).lower()}"
    return deliver(page.collection, title=title, alt=_alt(title, answers), file=file)


def _page(fit: xr.DataTree, answers: Answers, by: str, at: Mapping[str, Any], backend: str) -> Page:
    steps = answers.table.drop_duplicates("step").to_dict("records")
    labels: dict[str, str] = {}
    for study, each in zip(evidence_of(fit)["study"].astype(str), reported(fit), strict=True):
        labels.setdefault(study, each.label)
    cells: dict[str, dict[str, str]] = {name: {} for name in ("number", "study", "value")}
    rows, before = list[Row](), 0
    for step in steps:
        name = str(step["row"])
        rows.append(Row(name, bold=step is steps[-1], shade=len(rows) % 2 == 1))
        cells["number"][name] = str(step["step"])
        entered, before = step["step"] - before, step["step"]
        added = labels[step["added"]] if entered == 1 else f"{entered} studies"
        cells["study"][name] = ("" if step is steps[0] else "+ ") + added
        cells["value"][name] = level_text(step["value"])
    estimates, spans, footnotes = answers.texts()
    stated = ", ".join(f"{name_of(key)} = {level_text(value)}" for key, value in at.items())
    whose = "study" if len(labels) == len(steps) else "studies"
    return open_page(
        rows=rows,
        parts=[
            Column("number", "", cells["number"], "right"),
            Column("study", "Study added", cells["study"]),
            Column("value", name_of(by), cells["value"]),
            Panel("cumulative", answers.axis(fit), width=3.1),
            Column("estimate", answers.heading, estimates, "right"),
            Column("interval", "95 %\ninterval", spans, "right"),
        ],
        key=answers.key("the answer of all"),
        notes=[
            f"Each row is the {answers.answer} of its {whose} and all above, fitted with the same "
            "priors." + (f" At {stated}." if stated else ""),
            *footnotes,
        ],
        warning=failure_of(fit),
        backend=backend,
    )


def _alt(title: str, answers: Answers) -> str:
    steps = answers.table.drop_duplicates("row").set_index("row")["step"]
    said = [
        f"with {steps[row]} {'study' if steps[row] == 1 else 'studies'} {words}"
        for row, words in answers.words().items()
    ]
    return f"{title}. {capital(answers.answer)}: {'; '.join(said)}."
