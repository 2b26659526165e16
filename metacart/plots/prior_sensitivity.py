"""The answer under narrower and wider priors of mu and tau."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
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
from metacart.plots.facts import capital, failure_of, measure_of, name_of, title_of
from metacart.plots.files import check_file, deliver
from metacart.plots.layout import Column, Page, Panel, Row, open_page
from metacart.plots.measure import style
from metacart.results.sensitivity import prior_sensitivity, prior_words

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from arviz_plots import PlotCollection

__all__ = ["draw_prior_sensitivity", "plot_prior_sensitivity"]

_BACKENDS = ("matplotlib", "none")


@named_options
@of_one_mean
def plot_prior_sensitivity(
    fit: xr.DataTree,
    *,
    tau: Sequence[float] = (0.5, 1.0, 2.0, 0.0),
    mu: Sequence[float] = (0.5, 1.0, 2.0),
    at: Mapping[str, Any] | None = None,
    likelihoods: Likelihoods | None = None,
    executor: Executor | None = None,
    cache: CacheLike | None = None,
    progress: bool | None = None,
    file: str | os.PathLike[str] | None = None,
    backend: str = "matplotlib",
) -> PlotCollection:
    """Plot the answer over a grid of priors of mu and tau, the declared ones marked.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.
    tau, mu : sequence of float
        How many times as wide the priors are, as for ``prior_sensitivity``.
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
        ``viz`` holds, by ``row`` (``prior:MU:TAU`` with the two scales), the text columns ``mu``,
        ``tau``, ``estimate`` and ``interval``, and the marks ``median``, ``answer_interval`` and
        ``next_study`` (for a transplant question ``naive`` and ``naive_interval`` too). Its
        attributes hold ``title`` and ``alt``.

    Raises
    ------
    InputError
        As ``prior_sensitivity``, and for an unknown option or suffix.

    Notes
    -----
    The numbers are those of ``prior_sensitivity``: the population average, or the median study
    where there is none, as for ratios, with 95 % equal-tailed intervals. The dashed line stands at
    the answer under the declared priors, whose row is bold. The footer says what power-scaling of
    all priors finds; ``plot_power_scaling`` shows each by itself.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.plot_prior_sensitivity(mc.fit("cr_rate"), file="priors.svg")  # doctest: +SKIP
    """
    refuse_unknown("backend", backend, _BACKENDS)
    if file is not None:
        check_file(file)
    table = prior_sensitivity(
        fit,
        tau=tau,
        mu=mu,
        at=at,
        likelihoods=likelihoods,
        executor=executor,
        cache=cache,
        progress=progress,
    )
    return draw_prior_sensitivity(fit, table, at=at, file=file, backend=backend)


def draw_prior_sensitivity(
    fit: xr.DataTree,
    table: pd.DataFrame,
    *,
    at: Mapping[str, Any] | None = None,
    file: str | os.PathLike[str] | None = None,
    backend: str = "matplotlib",
) -> PlotCollection:
    """Plot a table of ``prior_sensitivity`` that is there already."""
    table = table.sort_values(["mu_scale", "tau_scale"], kind="stable", ignore_index=True)
    scales = zip(table["mu_scale"], table["tau_scale"], strict=True)
    table["row"] = [f"prior:{wide:g}:{spread:g}" for wide, spread in scales]
    answers = Answers(table, measure_of(scale_of(design_of(fit))))
    with style():
        page = _page(fit, answers, at or {}, backend)
        answers.draw(page, on="answer", line_at=str(table.loc[table["declared"], "row"].iloc[0]))
    title = f"{title_of(fit)} under other priors"
    return deliver(page.collection, title=title, alt=_alt(title, answers), file=file)


def _page(fit: xr.DataTree, answers: Answers, at: Mapping[str, Any], backend: str) -> Page:
    rows, before = [], None
    cells: dict[str, dict[str, str]] = {"mu": {}, "tau": {}}
    for row in answers.table.drop_duplicates("row").to_dict("records"):
        name, declared = str(row["row"]), bool(row["declared"])
        first = row["mu_scale"] != before
        rows.append(
            Row(name, bold=declared, shade=declared, ruled=first and before is not None, space=0.03)
        )
        of_mu, of_tau = prior_words(fit, row["mu_scale"], row["tau_scale"])
        if first or declared:
            cells["mu"][name] = _prior(of_mu)
        cells["tau"][name] = _prior(of_tau) + (", as declared" if declared else "")
        before = row["mu_scale"]
    estimates, spans, footnotes = answers.texts()
    stated = ", ".join(f"{name_of(key)} = {level_text(value)}" for key, value in at.items())
    scaled = answers.table[answers.table["declared"]].set_index("estimand").loc[answers.answer]
    note = (
        f"The {answers.answer}{f' at {stated}' if stated else ''}. Power-scaling of all priors "
        f"moves it by {scaled['prior_sensitivity']:.3f}, of the likelihood by "
        f"{scaled['likelihood_sensitivity']:.3f} (0.05 counts): {scaled['diagnosis']}."
    )
    if "naive" in fit.children and "bias" not in fit["log_prior"]:
        note += (
            " The prior of the bias of immortal time is not among them: the data say nothing of "
            "it, and it shifts the adjusted answer as it stands (bias_sensitivity)."
        )
    common = (answers.table["tau_scale"] == 0.0).any()
    left_out = "A common effect leaves out how studies differ." if common else ""
    return open_page(
        rows=rows,
        parts=[
            Column("mu", "Prior of μ", cells["mu"]),
            Column("tau", "Prior of τ", cells["tau"]),
            Panel("answer", answers.axis(fit), width=3.1),
            Column("estimate", answers.heading, estimates, "right"),
            Column("interval", "95 %\ninterval", spans, "right"),
        ],
        key=answers.key("the answer under the declared priors"),
        notes=[f"{note} {left_out}".strip(), *footnotes],
        warning=failure_of(fit),
        backend=backend,
    )


def _prior(words: str) -> str:
    """Return a prior without the name of its only parameter, which stands in the heading."""
    for name, letter in (("mu", "μ"), ("tau", "τ")):
        if words.startswith(f"{name} ~ ") and words.count("~") == 1:
            return words.removeprefix(f"{name} ~ ")
        words = words.replace(f"{name} ", f"{letter} ").replace(
            f"{name}_within", f"{letter} within"
        )
    return words


def _alt(title: str, answers: Answers) -> str:
    prior = answers.table.drop_duplicates("row").set_index("row")["prior"]
    said = [f"{prior[row]}: {words}" for row, words in answers.words().items()]
    return f"{title}. {capital(answers.answer)} under {'; '.join(said)}."
