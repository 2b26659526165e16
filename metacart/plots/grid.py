"""A part of a page with a narrow column for each of many things, named above."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from metacart.plots.marks import backend_of, words
from metacart.plots.measure import COLOURS, LINE, SIZE, drawable, text_width

__all__ = ["Grid", "draw_headings", "grid_height", "grid_width", "grid_x"]

_AIR = 0.05  # between upright names and what is below or above them


@dataclass(frozen=True, slots=True)
class Grid:
    """A part of the page with a narrow column for each of many things.

    Attributes
    ----------
    name : str
        Distinct among the parts of the page.
    heading : str
        Stands above all its columns, on one line.
    columns : mapping of str to str
        The words above each column, by its name.
    pitch : float
        Inches from one column to the next.
    upright : bool
        Whether the words run upwards.
    """

    name: str
    heading: str
    columns: Mapping[str, str]
    pitch: float = 0.165
    upright: bool = False


def grid_width(grid: Grid) -> float:
    """Return how wide a grid is, in inches."""
    return max(len(grid.columns) * grid.pitch, text_width(grid.heading, bold=True))


def grid_height(grid: Grid) -> float:
    """Return the room for its headings, in inches."""
    own = LINE
    if grid.upright:
        own = max(text_width(name) for name in grid.columns.values()) + _AIR
    return own + (LINE if grid.heading else 0.0)


def grid_x(grid: Grid, left: float) -> dict[str, float]:
    """Return the middle of each column, in inches from the left of the page."""
    spare = (grid_width(grid) - len(grid.columns) * grid.pitch) / 2
    return {
        name: left + spare + (number + 0.5) * grid.pitch for number, name in enumerate(grid.columns)
    }


def draw_headings(grid: Grid, x: Mapping[str, float], target: Any, *, bottom: float) -> None:
    """Write the names of the columns above `bottom`, and the heading above them."""
    backend = backend_of(target)
    for name, text in grid.columns.items():
        if grid.upright:
            backend.text(
                x[name],
                bottom - _AIR / 2,
                drawable(text),
                target,
                size=SIZE,
                color=COLOURS["ink"],
                horizontal_align="center",
                vertical_align="bottom",
                rotation=90,
                gid=f"heading_{grid.name}_{name}",
            )
        else:
            words(
                text, target, x=x[name], y=bottom, align="center", anchor="bottom", bold=True,
                gid=f"heading_{grid.name}_{name}",
            )  # fmt: skip
    if grid.heading:
        ends = [*x.values()]
        words(
            grid.heading,
            target,
            x=(ends[0] + ends[-1]) / 2,
            y=bottom - grid_height(grid) + LINE,
            align="center",
            anchor="bottom",
            bold=True,
            gid=f"heading_{grid.name}",
        )
