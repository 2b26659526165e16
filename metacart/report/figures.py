"""The figures of a question: files beside the page, and the same inside it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metacart.evidence.collection import Studies
from metacart.plots.files import close_figure, save_figure
from metacart.plots.flow import plot_flow
from metacart.plots.forest import plot_forest
from metacart.plots.leave_one_out import draw_leave_one_out
from metacart.plots.ppc import plot_ppc
from metacart.plots.prior_posterior import plot_prior_posterior
from metacart.plots.prior_sensitivity import draw_prior_sensitivity
from metacart.records.spec import ModelSpec

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from arviz_plots import PlotCollection

__all__ = ["Figure", "draw_figures", "draw_flow", "draw_sensitivity", "kept_figure"]

_FOREST = (
    "Forest plot: each study as reported and as the model sees it, and at what risk of bias it is."
)
_FLOW = (
    "From the papers that were given to the numbers of this question: what each rule leaves out."
)
_PRIORS = "The answer under other priors of how much studies differ, the declared one marked."
_LEFT = "The answer without the papers of each cohort, the one that moves it most first."
_PLOTS: dict[str, tuple[Callable[..., Any], str]] = {
    "ppc": (
        plot_ppc,
        "What the model would report in place of each finding, and what was reported.",
    ),
    "prior-posterior": (plot_prior_posterior, "What the model assumed, and what it learnt."),
}


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure inside the page, and its files beside it.

    Attributes
    ----------
    source : str
        A data address: the page needs no other file.
    alt : str
        A description for readers who do not see it.
    caption : str
        One sentence.
    files : dict of str to str
        Addresses of the files, relative to the page, by format.
    width : int
        Its natural width in CSS pixels.
    """

    source: str
    alt: str
    caption: str
    files: dict[str, str]
    width: int


def draw_figures(fit: xr.DataTree, studies: Studies, folder: Path) -> dict[str, Figure]:
    """Draw the figures of a fit into a folder, as SVG and PNG.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.
    studies : Studies
        All that were given.
    folder : Path
        Beside the page; its name is part of the addresses.

    Returns
    -------
    dict of str to Figure
        ``forest``, ``ppc`` and ``prior-posterior``.
    """
    forest = kept_figure(plot_forest(fit, studies=studies), "forest", _FOREST, folder)
    others = {
        name: kept_figure(plot(fit), name, caption, folder)
        for name, (plot, caption) in _PLOTS.items()
    }
    return {"forest": forest, **others}


def draw_flow(spec: ModelSpec, studies: Studies, folder: Path) -> dict[str, Figure]:
    """Draw how the studies come to the numbers of a question: the figure ``flow``."""
    return {"flow": kept_figure(plot_flow(studies, spec), "flow", _FLOW, folder)}


def draw_sensitivity(
    fit: xr.DataTree, priors: pd.DataFrame, left: pd.DataFrame | None, folder: Path
) -> dict[str, Figure]:
    """Draw what an answer hangs on, from the tables that are there already.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.
    priors : DataFrame
        From ``prior_sensitivity``.
    left : DataFrame or None
        From ``leave_one_out``; none where nothing can leave.
    folder : Path
        Beside the page.

    Returns
    -------
    dict of str to Figure
        ``prior-sensitivity`` where there are other priors, ``leave-one-out`` where studies left.
    """
    drawn = {}
    if not priors["declared"].all():
        made = draw_prior_sensitivity(fit, priors)
        drawn["prior-sensitivity"] = kept_figure(made, "prior-sensitivity", _PRIORS, folder)
    if left is not None:
        made = draw_leave_one_out(fit, left)
        drawn["leave-one-out"] = kept_figure(made, "leave-one-out", _LEFT, folder)
    return drawn


def kept_figure(collection: PlotCollection, name: str, caption: str, folder: Path) -> Figure:
    """Write a figure beside the page and return what stands inside it."""
    try:
        width = collection.viz["figure"].item().get_size_inches()[0]
        for form in ("svg", "png"):
            save_figure(collection, folder / f"{name}.{form}")
    finally:
        close_figure(collection)
    content = base64.b64encode((folder / f"{name}.svg").read_bytes()).decode("ascii")
    return Figure(
        f"data:image/svg+xml;base64,{content}",
        str(collection.viz.attrs.get("alt", caption)),
        caption,
        {form.upper(): f"{folder.name}/{name}.{form}" for form in ("svg", "png")},
        round(96 * float(width)),
    )
