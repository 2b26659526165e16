"""The influence plot: how far the answer and the spread move without each study."""

from __future__ import annotations

import os
from concurrent.futures import Executor
from typing import TYPE_CHECKING

import numpy as np

from metacart.errors import named_options, refuse_unknown
from metacart.inference.keeping import CacheLike
from metacart.inference.one_mean import of_one_mean
from metacart.modelling.likelihoods import Likelihoods
from metacart.plots.axes import linear_axis
from metacart.plots.facts import failure_of, labels_of, title_of
from metacart.plots.files import check_file, deliver
from metacart.plots.layout import Column, Key, Page, Panel, Row, intervals, open_page
from metacart.plots.marks import spot
from metacart.plots.measure import COLOURS, style
from metacart.results.influence import influence

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from arviz_plots import PlotCollection

__all__ = ["plot_influence"]

_BACKENDS = ("matplotlib", "none")
_PANELS = {"mu_shift": "Shift of μ, SD", "tau_shift": "Shift of τ, SD"}


@named_options
@of_one_mean
def plot_influence(
    fit: xr.DataTree,
    *,
    likelihoods: Likelihoods | None = None,
    executor: Executor | None = None,
    cache: CacheLike | None = None,
    progress: bool | None = None,
    file: str | os.PathLike[str] | None = None,
    backend: str = "matplotlib",
) -> PlotCollection:
    """Plot how far mu and tau move without each study, the one that moves them most first.

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
        ``viz`` holds, by ``row``, the text columns ``study``, ``elpd`` and ``k_hat``, and for each
        panel ``mu_shift`` and ``tau_shift`` the bar from 0 and, with ``_end``, its mark. Its
        attributes hold ``title`` and ``alt``.

    Raises
    ------
    InputError
        As ``influence``, and for an unknown option or suffix.

    Notes
    -----
    The numbers are those of ``influence``. A model without study effects has no panel of tau.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.plot_influence(mc.fit("cr_rate"), file="influence.svg")  # doctest: +SKIP
    """
    refuse_unknown("backend", backend, _BACKENDS)
    if file is not None:
        check_file(file)
    table = influence(
        fit, likelihoods=likelihoods, executor=executor, cache=cache, progress=progress
    )
    labels = labels_of(fit, table["left_out"])
    panels = [name for name in _PANELS if table[name].notna().any()]
    with style():
        page = _page(fit, table, labels, panels, backend)
        for name in panels:
            _draw(page, table, name)
    title = f"{title_of(fit)}: influence of each study"
    return deliver(page.collection, title=title, alt=_alt(title, table, labels), file=file)


def _page(
    fit: xr.DataTree, table: pd.DataFrame, labels: list[str], panels: list[str], backend: str
) -> Page:
    rows, footnotes = [], dict[str, str]()
    cells: dict[str, dict[str, str]] = {name: {} for name in ("study", "elpd", "k_hat")}
    for position, (label, row) in enumerate(zip(labels, table.to_dict("records"), strict=True)):
        name = f"left:{row['left_out']}"
        rows.append(Row(name, shade=position % 2 == 1))
        cells["study"][name] = label
        cells["k_hat"][name] = f"{round(row['k_hat'], 2) + 0.0:.2f}".replace("-", "−")
        if row["elpd"] == row["elpd"]:
            cells["elpd"][name] = f"{row['elpd']:.1f}".replace("-", "−")
        else:
            sign = footnotes.setdefault(row["computed"], "*" * (len(footnotes) + 1))
            cells["elpd"][name] = f"no fit {sign}"
    parts: list[Column | Panel] = [Column("study", "Without", cells["study"])]
    for name in panels:
        points = table[name].dropna().tolist()
        axis = linear_axis("", points=points, intervals=[], null=0.0)
        parts.append(Panel(name, axis, _PANELS[name], width=2.4))
    parts += [
        Column("elpd", "Log predictive\ndensity", cells["elpd"], "right"),
        Column("k_hat", "Pareto\nk", cells["k_hat"], "right"),
    ]
    again = int(table["computed"].str.startswith("refitted").sum())
    others = ", the others reweighted" if again < len(table) else ""
    note = (
        "In posterior SDs of all studies. The log predictive density is that of its data under a "
        f"fit of the others; it falls with the number of patients. {again} of {len(table)} were "
        f"fitted again{others}."
    )
    return open_page(
        rows=rows,
        parts=parts,
        key=[Key("dot", "posterior mean without it minus that with it", COLOURS["model"])],
        notes=[note, *(f"{sign} {reason}." for reason, sign in footnotes.items())],
        warning=failure_of(fit),
        backend=backend,
    )


def _draw(page: Page, table: pd.DataFrame, name: str) -> None:
    known = table[table[name].notna()]
    shifts = {
        f"left:{left}": float(shift)
        for left, shift in zip(known["left_out"], known[name], strict=True)
    }
    ends = {row: (min(0.0, shift), max(0.0, shift)) for row, shift in shifts.items()}
    intervals(page, name, ends, on=name, colour=COLOURS["model"], width=1.2, arrow=14.0)
    page.draw(
        spot, f"{name}_end", shifts, on=name, marker="o", size=15.0, color=COLOURS["model"],
        width=0.0, zorder=4, clip_on=False,
    )  # fmt: skip


def _alt(title: str, table: pd.DataFrame, labels: list[str]) -> str:
    said = []
    for label, mu, tau in zip(labels, table["mu_shift"], table["tau_shift"], strict=True):
        if np.isfinite(mu):
            said.append(f"without {label} mu moves by {mu:.2f} SD")
            said[-1] += f", tau by {tau:.2f} SD" if np.isfinite(tau) else ""
    return f"{title}. {'; '.join(said)}."
