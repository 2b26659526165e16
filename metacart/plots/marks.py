"""Visuals for rows: each takes its values, the plot and a height, and draws through ArviZ."""

from __future__ import annotations

from typing import Any

import numpy as np

from metacart.plots.measure import COLOURS, LINE, SIZE, SMALL, SMALL_LINE, drawable

__all__ = [
    "backend_of",
    "band",
    "bubble",
    "diamond",
    "hill",
    "plain",
    "spot",
    "stretch",
    "upright",
    "words",
]

_CAPITAL = 0.729  # the height of a capital of DejaVu Sans, in parts of its size


def plain(value: Any) -> Any:
    """Return what an array of one element holds."""
    return value.item() if hasattr(value, "item") else value


def backend_of(plot: Any) -> Any:
    """Return ArviZ's module for the backend of a plot."""
    from arviz_plots.plot_collection import backend_from_object

    return backend_from_object(plot)


def words(
    da: Any,
    target: Any,
    *,
    x: Any,
    y: Any,
    align: Any = "left",
    anchor: str = "middle",
    bold: Any = False,
    small: bool = False,
    colour: Any = COLOURS["ink"],
    lines: int = 1,
    **options: Any,
) -> Any:
    """Write the text that `da` holds, on a plot whose heights are inches from the top.

    Each line is an artist of its own, placed by its baseline, so that lines are evenly apart and
    the cells of a row stand on one line whatever their letters. `anchor` says which part of the
    block stands at `y`: its ``"top"``, ``"middle"`` or ``"bottom"``. With `lines` above 1 the
    artists come as an array of that length, None where there is no line.
    """
    texts = str(plain(da)).split("\n")
    size, pitch = (SMALL, SMALL_LINE) if small else (SIZE, LINE)
    capital, rest = _CAPITAL * size / 72, (len(texts) - 1) * pitch
    last = plain(y) + {"top": capital + rest, "middle": (capital + rest) / 2, "bottom": 0.0}[anchor]
    artists = np.full(lines, None, dtype=object)
    for number, text in enumerate(texts):
        artists[number] = backend_of(target).text(
            plain(x),
            last - rest + number * pitch,
            drawable(text),
            target,
            size=size,
            color=plain(colour),
            horizontal_align=plain(align),
            vertical_align="baseline",
            fontweight="bold" if plain(bold) else "normal",
            **options,
        )
    return artists if lines > 1 else artists[0]


def stretch(da: Any, target: Any, *, y: Any, **styles: Any) -> Any:
    """Draw a horizontal line between the two numbers of `da`."""
    ends = np.asarray(da, dtype=float)
    return backend_of(target).line(
        ends, np.full(2, plain(y)), target, **{k: plain(v) for k, v in styles.items()}
    )


def spot(da: Any, target: Any, *, y: Any, **styles: Any) -> Any:
    """Draw a marker at the number of `da`."""
    return backend_of(target).scatter(
        [float(plain(da))], [float(plain(y))], target, **{k: plain(v) for k, v in styles.items()}
    )


def diamond(da: Any, target: Any, *, y: Any, half: float, **styles: Any) -> Any:
    """Draw a diamond from the lower over the middle to the upper number of `da`."""
    x = np.asarray(da, dtype=float)
    middle = float(plain(y))
    rise = np.asarray([0.0, half, 0.0])
    return backend_of(target).fill_between_y(
        x, middle - rise, middle + rise, target, **{k: plain(v) for k, v in styles.items()}
    )


def hill(
    da: Any,
    target: Any,
    *,
    y: Any,
    shape: tuple[Any, Any],
    half: float,
    **styles: Any,
) -> Any:
    """Draw a density, mirrored around the row: `shape` says where it stands and how high it is."""
    del da
    x, height = (np.array(part, dtype=float) for part in shape)
    middle, rise = float(plain(y)), half * height / max(float(height.max()), 1e-300)
    return backend_of(target).fill_between_y(
        x, middle - rise, middle + rise, target, **{k: plain(v) for k, v in styles.items()}
    )


def upright(
    da: Any, target: Any, *, top: float, bottom: float, y: Any = None, **styles: Any
) -> Any:
    """Draw a vertical line at the number of `da` between two heights."""
    del y
    x = float(plain(da))
    return backend_of(target).line(np.full(2, x), np.asarray([top, bottom]), target, **styles)


def band(da: Any, target: Any, *, y: Any = None, **styles: Any) -> Any:
    """Shade the ground between the two heights of `da`."""
    del y
    low, high = np.asarray(da, dtype=float)
    return backend_of(target).hspan(low, high, target, **styles)


def bubble(da: Any, target: Any, *, y: Any, size: Any, color: Any, hollow: Any) -> Any:
    """Draw a circle of an area, filled or open."""
    face = COLOURS["paper"] if plain(hollow) else plain(color)
    return backend_of(target).scatter(
        [float(plain(da))], [float(plain(y))], target, marker="o", size=float(plain(size)),
        facecolor=face, edgecolor=plain(color), alpha=0.55, width=0.8, clip_on=False, zorder=5,
    )  # fmt: skip
