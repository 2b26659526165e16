"""The part of a transplant question about immortal time and selection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from metacart.inference.keeping import Cache
from metacart.inference.records import spec_of
from metacart.plots.simulated_time import plot_immortal_time
from metacart.plots.tipping_point import plot_tipping_point
from metacart.report.figures import Drawer
from metacart.report.parts import Block, Part
from metacart.report.time_tables import (
    bias_rows,
    bias_words,
    grid_rows,
    selection_rows,
    selection_words,
    simulated_words,
    tipping_rows,
    tipping_words,
)
from metacart.results.bias_sensitivity import bias_sensitivity
from metacart.results.histories import OUTCOMES
from metacart.results.immortal_time import adjusted_studies, bias_is_prior, has_bias
from metacart.results.selection_sensitivity import selection_sensitivity
from metacart.results.simulated_time import simulate_immortal_time
from metacart.results.tipping_point import tipping_point

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from metacart.evidence.collection import Studies
    from metacart.report.tables import Table

__all__ = ["SIMULATED_PAPERS", "time_part", "time_tables"]


SIMULATED_PAPERS = ("an2022", "chen2021", "li2020", "rocca")
_SIMULATED = (
    "A transplant without any effect, simulated with the papers' own times to transplant: what "
    "each way of handling time shows. The prior of b, shaded, was chosen in view of these."
)
_TIPPING = "How large a bias tips the answer: the hazard ratio and P(hazard ratio < 1) by its size."


def time_part(fit: xr.DataTree, studies: Studies, drawer: Drawer) -> Part | None:
    """Return what immortal time and selection may do to an answer; none for other questions.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.
    studies : Studies
        Those that were asked.
    drawer : Drawer
        Draws the figures; refits are kept where figures are.
    """
    spec = spec_of(fit)
    if spec.likelihood != "hsct":
        return None
    cache = drawer.cache
    frames: dict[str, pd.DataFrame] = {}
    blocks: list[Block] = []
    if bias_is_prior(fit):
        frames["immortal-time-adjusted-studies"] = adjusted_studies(fit)
    if has_bias(fit):
        biases, tipping = bias_sensitivity(fit, cache=cache), tipping_point(fit, cache=cache)
        frames |= {"bias-sensitivity": biases, "tipping-point": tipping}
        tips = drawer.figure("tipping-point", _TIPPING, plot_tipping_point, fit, cache=cache)
        blocks += [
            Block(table=bias_rows(biases), words=bias_words(biases)),
            Block(table=tipping_rows(tipping)),
            Block(figure=("tipping", tips), words=tipping_words(fit)),
            Block(table=grid_rows(tipping), folded="The answer at each size of the bias"),
        ]
    selection = selection_sensitivity(fit, studies=studies, cache=cache)
    frames["selection-sensitivity"] = selection
    blocks.append(Block(table=selection_rows(selection), words=selection_words(selection)))
    if has_bias(fit) and spec.exposure == "hsct" and spec.outcome in OUTCOMES:
        simulated = simulate_immortal_time(scenario=SIMULATED_PAPERS, outcome=spec.outcome)
        frames["simulated-immortal-time"] = simulated
        options = {"scenario": SIMULATED_PAPERS, "outcome": spec.outcome}
        figure = drawer.figure("simulated-immortal-time", _SIMULATED, plot_immortal_time, **options)
        words = simulated_words(simulated, fit)
        blocks.append(Block(figure=("simulated", figure), words=words))
    return Part(title="Immortal time and selection", blocks=tuple(blocks), frames=frames)


def time_tables(fit: xr.DataTree, studies: Studies, cache: Cache | None = None) -> Iterator[Table]:
    """Yield the same in short, for the shell: no figures, and of the bias only where it tips."""
    if spec_of(fit).likelihood != "hsct" or not fit.attrs["converged"]:
        return
    if has_bias(fit):
        yield bias_rows(bias_sensitivity(fit, cache=cache))
        yield tipping_rows(tipping_point(fit, biases=[0.0], cache=cache))
    selection = selection_sensitivity(fit, studies=studies, cache=cache)
    yield selection_rows(selection, short=True)
