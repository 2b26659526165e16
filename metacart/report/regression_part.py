"""The part of a question about its numeric moderators: a figure each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metacart.inference.records import design_of
from metacart.modelling.design import moderators_of
from metacart.plots.regression import plot_regression
from metacart.report.figures import Drawer
from metacart.report.parts import Block, Part
from metacart.report.words import column_words
from metacart.results.regression import regression_table

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["regression_part"]


def regression_part(fit: xr.DataTree, drawer: Drawer) -> Part | None:
    """Return a figure along each numeric moderator; none without one.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.
    drawer : Drawer
        Draws the figures.
    """
    names = [item.name for item in moderators_of(design_of(fit)) if item.kind == "numeric"]
    if not names:
        return None
    blocks: list[Block] = []
    frames: dict[str, pd.DataFrame] = {}
    for name in names:
        words = column_words(name)
        caption = f"What was reported by {words}, and the model's curve through it."
        drawn = drawer.figure(f"regression-{name}", caption, plot_regression, fit, name)
        frames[f"regression-{name}"] = regression_table(fit, name)
        blocks.append(Block(figure=(f"regression-{name}", drawn)))
    return Part(title="Along a number", blocks=tuple(blocks), frames=frames)
