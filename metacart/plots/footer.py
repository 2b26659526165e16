"""The footer of a page: the key of its marks, and notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from metacart.plots.lights import lamp
from metacart.plots.marks import backend_of, words
from metacart.plots.measure import COLOURS, MARGIN, SMALL, SMALL_LINE, text_width, wrap
from metacart.plots.page import Key, Page, draw_each

if TYPE_CHECKING:
    from arviz_plots import PlotCollection

__all__ = ["Footer", "draw_footer", "measure_footer", "write_notes"]

_GLYPH = 0.24  # the mark of a key entry
_MARKERS = {"square": ("s", 22.0), "point": ("o", 11.0), "dot": ("o", 16.0), "cross": ("X", 34.0)}


@dataclass(frozen=True, slots=True)
class Footer:
    """Where each note and each entry of the key stands, in inches from the top left."""

    texts: list[str]
    heights: list[float]
    colours: list[str]
    entries: list[tuple[float, float]]
    height: float


def measure_footer(notes: Sequence[str], warning: str, key: Sequence[Key], width: float) -> Footer:
    """Lay the key and the notes out within a width, the warning first."""
    entries = []
    x, y = 0.0, 0.09
    before = ""
    for entry in key:
        needed = _GLYPH + 0.06 + text_width(entry.text, size=SMALL)
        # the lights stand together
        first_light, before = entry.mark == "light" != before, entry.mark
        if x and (first_light or x + needed > width):
            x, y = 0.0, y + 0.16
        entries.append((x, y))
        x += needed + 0.2
    y = y + 0.17 if key else 0.06
    texts, heights, colours = [], [], []
    for text, colour in [(warning, "warning"), *((note, "muted") for note in notes)]:
        if text:
            texts.append(wrap(text, width, size=SMALL))
            heights.append(y)
            colours.append(COLOURS[colour])
            y += SMALL_LINE * (texts[-1].count("\n") + 1) + 0.04
    return Footer(texts, heights, colours, entries, y)


def draw_footer(page: Page, footer: Footer, key: Sequence[Key]) -> None:
    """Draw the notes, and the key with its marks, on the page's ``footer``."""
    for dim, texts, places, colours, anchor in (
        ("note", footer.texts, [(0.0, y) for y in footer.heights], footer.colours, "top"),
        (
            "entry",
            [entry.text for entry in key],
            [(x + _GLYPH + 0.06, y) for x, y in footer.entries],
            [COLOURS["muted"]] * len(key),
            "middle",
        ),
    ):
        if texts:
            draw_each(
                page.collection,
                words,
                "notes" if dim == "note" else "key",
                texts,
                on="footer",
                along=(dim, range(len(texts))),
                each={
                    "x": [x for x, _ in places],
                    "y": [y for _, y in places],
                    "colour": colours,
                },
                small=True,
                anchor=anchor,
            )
    for entry, (x, y) in zip(key, footer.entries, strict=True):
        _draw_glyph(page.plot("footer"), entry, x, y)


def _draw_glyph(plot: Any, entry: Key, x: float, y: float) -> None:
    backend, colour = backend_of(plot), entry.colour
    ends, flat, middle = np.asarray([x, x + _GLYPH]), np.full(2, y), x + _GLYPH / 2
    marker, size = _MARKERS.get(entry.mark, ("", 0.0))
    if entry.mark in ("square", "point", "line"):
        width = 0.8 if entry.mark == "point" else 1.0
        backend.line(ends, flat, plot, color=colour, width=width)
    if marker:
        backend.scatter([middle], [y], plot, marker=marker, size=size, color=colour, width=0.0)
    elif entry.mark in ("diamond", "open"):
        face = colour if entry.mark == "diamond" else COLOURS["paper"]
        x3, rise = np.asarray([x + 0.02, middle, x + _GLYPH - 0.02]), np.asarray([0, 0.05, 0])
        backend.fill_between_y(
            x3, y - rise, y + rise, plot, facecolor=face, edgecolor=colour, linewidth=0.9
        )
    elif entry.mark == "bar":
        backend.line(
            ends, flat, plot, color=colour, width=4.0, solid_capstyle="butt", alpha=entry.alpha
        )
    elif entry.mark in ("dotted", "dashed"):
        line = ":" if entry.mark == "dotted" else (0.0, (3.2, 1.6))
        backend.line(ends, flat, plot, color=colour, width=1.0, linestyle=line)
    elif entry.mark == "light":
        lamp([middle], plot, y=y, light=colour, scale=0.85)
    elif entry.mark == "tile":
        backend.fill_between_y(
            np.asarray([middle - 0.07, middle + 0.07]), flat - 0.06, flat + 0.06, plot, color=colour
        )
    elif entry.mark == "dash":
        upright = np.asarray([y - 0.065, y + 0.065])
        backend.line(np.full(2, middle), upright, plot, color=colour, width=0.9, linestyle="--")


def write_notes(
    collection: PlotCollection,
    notes: list[tuple[str, str]],
    size: tuple[float, float],
    height: float,
) -> None:
    """Write notes, each with the name of its colour, at the foot of a figure of several plots."""
    # a plot of their own, in inches, with heights counted from the top
    foot = collection.viz["figure"].item().add_axes((0.0, 0.0, 1.0, height / size[1]))
    foot.set(xlim=(0, size[0]), ylim=(height, 0))
    foot.axis("off")
    y = 0.0
    for text, colour in notes:
        lines = text.count("\n") + 1
        words(
            text,
            foot,
            x=MARGIN,
            y=y,
            anchor="top",
            small=True,
            colour=COLOURS[colour],
            lines=lines,
            gid="note",
        )
        y += SMALL_LINE * lines + 0.04
