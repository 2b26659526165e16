"""The figures of a question: files beside the page, and the same inside it."""

from __future__ import annotations

import base64
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metacart.evidence.collection import Studies
from metacart.inference.keeping import Cache
from metacart.inference.keys import key_of_call
from metacart.inference.records import design_of
from metacart.plots.files import close_figure, figure_bytes, write_figure
from metacart.plots.flow import plot_flow
from metacart.plots.forest import plot_forest
from metacart.plots.forest_order import MOST
from metacart.plots.leave_one_out import draw_leave_one_out
from metacart.plots.ppc import plot_ppc
from metacart.plots.prior_posterior import plot_prior_posterior
from metacart.plots.prior_sensitivity import draw_prior_sensitivity
from metacart.records.spec import ModelSpec

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from arviz_plots import PlotCollection

__all__ = ["Drawer", "Figure", "draw_figures", "draw_flow", "draw_sensitivity"]

_FORMATS = ("svg", "png")
_FACTS = "facts.json"

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


@dataclass(frozen=True, slots=True)
class Drawer:
    """Draws the figures of a question, or takes them from where they are kept.

    Attributes
    ----------
    folder : Path
        Beside the page; its name is part of the addresses.
    cache : Cache or None
        Where figures are kept; by default each is drawn.
    """

    folder: Path
    cache: Cache | None = None

    def figure(
        self,
        name: str,
        caption: str,
        plot: Callable[..., PlotCollection],
        /,
        *given: Any,
        **options: Any,
    ) -> Figure:
        """Write a figure beside the page, as SVG and PNG, and return what stands inside it.

        Parameters
        ----------
        name, caption : str
            Of its files, and what stands below it.
        plot : callable
            A function of a module, which draws. All that decides the figure is among what it is
            called with: a kept figure is known by these values.
        *given, **options
            What it is called with where nothing is kept.
        """
        key = None if self.cache is None else key_of_call(plot, *given, **options)
        files = None if key is None or self.cache is None else self.cache.find_figure(key)
        if files is None or set(files) != {_FACTS, *_FORMATS}:
            files, warned = _drawn(partial(plot, *given, **options))
            # what was warned of, such as a font that is missing, may be mended the next time
            if key is not None and self.cache is not None and not warned:
                self.cache.keep_figure(key, files)
        for form in _FORMATS:
            write_figure(files[form], self.folder / f"{name}.{form}")
        facts = json.loads(files[_FACTS])
        content = base64.b64encode(files["svg"]).decode("ascii")
        return Figure(
            f"data:image/svg+xml;base64,{content}",
            facts["alt"] or caption,
            caption,
            {form.upper(): f"{self.folder.name}/{name}.{form}" for form in _FORMATS},
            facts["width"],
        )


def _drawn(draw: Callable[[], PlotCollection]) -> tuple[dict[str, bytes], bool]:
    """Return a figure as files, and whether the user was warned while it was drawn."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        collection = draw()
        try:
            facts = {
                "alt": str(collection.viz.attrs.get("alt", "")),
                "width": round(96 * float(collection.viz["figure"].item().get_size_inches()[0])),
            }
            files = {form: figure_bytes(collection, form) for form in _FORMATS}
        finally:
            close_figure(collection)
    for each in seen:
        warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    warned = any(issubclass(each.category, UserWarning) for each in seen)
    return files | {_FACTS: json.dumps(facts).encode()}, warned


def draw_figures(fit: xr.DataTree, studies: Studies, drawer: Drawer) -> dict[str, Figure]:
    """Draw the figures of any fit of one mean: ``forest``, ``ppc`` and ``prior-posterior``."""
    # where there are more studies than a figure holds, the table of the page has them all
    many = {"part": (1, MOST)} if design_of(fit).sizes["finding"] > MOST else {}
    forest = drawer.figure("forest", _FOREST, plot_forest, fit, studies=studies, **many)
    others = {
        name: drawer.figure(name, caption, plot, fit) for name, (plot, caption) in _PLOTS.items()
    }
    return {"forest": forest, **others}


def draw_flow(spec: ModelSpec, studies: Studies, drawer: Drawer) -> dict[str, Figure]:
    """Draw how the studies come to the numbers of a question: the figure ``flow``."""
    return {"flow": drawer.figure("flow", _FLOW, plot_flow, studies, spec)}


def draw_sensitivity(
    fit: xr.DataTree, priors: pd.DataFrame, left: pd.DataFrame | None, drawer: Drawer
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
    drawer : Drawer
        Draws them.

    Returns
    -------
    dict of str to Figure
        ``prior-sensitivity`` where there are other priors, ``leave-one-out`` where studies left.
    """
    asked: list[tuple[str, str, Callable[..., PlotCollection], pd.DataFrame]] = []
    if not priors["declared"].all():
        asked.append(("prior-sensitivity", _PRIORS, draw_prior_sensitivity, priors))
    if left is not None:
        asked.append(("leave-one-out", _LEFT, draw_leave_one_out, left))
    return {
        name: drawer.figure(name, words, plot, fit, table) for name, words, plot, table in asked
    }
