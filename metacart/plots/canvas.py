"""The canvas of a figure: its plots in a collection, and where each stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from arviz_plots import PlotCollection

__all__ = ["lay_flat", "open_canvas", "place"]


def open_canvas(
    rows: Sequence[str], panels: Sequence[str], size: tuple[float, float], backend: str
) -> PlotCollection:
    """Return a collection with the plots ``table``, each panel and ``footer``, sized in inches."""
    import xarray as xr
    from arviz_plots import PlotCollection

    plots = ["table", *panels, "footer"]
    drawn = backend == "matplotlib"
    return PlotCollection.grid(
        xr.Dataset(
            {"page": (("row", "column"), np.zeros((len(rows), len(plots))))},
            coords={"row": list(rows), "column": plots},
        ),
        cols=["column"],
        backend=backend,
        figure_kwargs={
            "figsize": size if drawn else (100 * size[0], 100 * size[1]),
            "figsize_units": "inches" if drawn else "dots",
        },
        aes={"overlay_row": ["row"]},
    )


def place(plot: Any, box: tuple[float, float, float, float], size: tuple[float, float]) -> None:
    """Put a plot at (left, top, width, height) inches from the figure's upper left corner."""
    (x, y, wide, high), (width, total) = box, size
    plot.set_position((x / width, 1 - (y + high) / total, wide / width, high / total))


def lay_flat(plot: Any, box: tuple[float, float, float, float], size: tuple[float, float]) -> None:
    """Put a plot without axes at a place, with inches from its upper left corner as units."""
    place(plot, box, size)
    plot.set(xlim=(0, box[2]), ylim=(box[3], 0))
    plot.axis("off")
