"""Traffic lights of risk of bias: coloured circles whose signs are read without colour."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from metacart.plots.marks import backend_of, plain
from metacart.plots.page import Key, Page
from metacart.records.risk_of_bias import INSTRUMENTS, Tool

__all__ = ["LOOKS", "Look", "draw_lights", "lamp", "letters", "light_key"]


@dataclass(frozen=True, slots=True)
class Look:
    """How a light is drawn, and what it says."""

    fill: str
    ink: str
    sign: str
    edge: str = "#4d4d4d"


# The signs of robvis (McGuinness and Higgins 2021). In grey the fills differ by lightness.
LOOKS: Mapping[str, Look] = {
    "low": Look("#4fb894", "#10241d", "+", "#4fb894"),
    "moderate": Look("#F0E442", "#1a1a1a", "−"),
    "high": Look("#c44e00", "#ffffff", "×", "#c44e00"),
    "critical": Look("#6b0f0f", "#ffffff", "!"),
    "unclear": Look("#e4e6ea", "#6b7178", "?", "#b3b8c0"),
    "not applicable": Look("#ffffff", "#595959", "/"),
}
_SIZE = 78.0  # square points
_SIGN = {"+": 38.0, "−": 36.0, "×": 32.0, "!": 32.0, "?": 30.0, "/": 26.0}


def light_key(tool: Tool, lights: Collection[str]) -> list[Key]:
    """Return the key of the lights that a figure shows, in the words of the tool."""
    risks = {"low": "low risk of bias", "high": "high risk"}
    key = []
    for judgement, light in INSTRUMENTS[tool].lights.items():
        if light in lights:
            text = f"{judgement}: {risks[light]}" if light in risks else judgement
            if tool == "robins_i":  # its words are those of a risk
                text = risks["low"] if light == "low" else judgement
            key.append(Key("light", text, light))
    return key


def letters(items: Sequence[str]) -> dict[str, str]:
    """Return a capital letter for each item, in their order."""
    return {item: chr(ord("A") + number) for number, item in enumerate(items)}


@cache
def _outline(sign: str) -> Any:
    """Return a sign as a path around its middle: text could only be placed by its baseline."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.path import Path
    from matplotlib.textpath import TextPath

    path = TextPath((0, 0), sign, size=1, prop=FontProperties(family="DejaVu Sans", weight="bold"))
    box = path.get_extents()
    middle = np.asarray([(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2])
    return Path(path.vertices - middle, path.codes)


def lamp(da: Any, target: Any, *, y: Any, light: Any, scale: float = 1.0, **options: Any) -> Any:
    """Draw a light at each number of `da`; where it is not a number, none."""
    look = LOOKS[str(plain(light))]
    places = np.atleast_1d(np.asarray(da, dtype=float))
    x = places[~np.isnan(places)]
    heights, backend = np.full(x.size, float(plain(y))), backend_of(target)
    circles = backend.scatter(
        x, heights, target, marker="o", size=scale * _SIZE, facecolor=look.fill,
        edgecolor=look.edge, width=0.5, zorder=3, **options,
    )  # fmt: skip
    backend.scatter(
        x, heights, target, marker=_outline(look.sign), size=scale * _SIGN[look.sign],
        color=look.ink, width=0.0, zorder=4,
    )  # fmt: skip
    return circles


def draw_lights(page: Page, grid: str, lights: Mapping[str, Mapping[str, str]]) -> None:
    """Draw the lights of some rows.

    Parameters
    ----------
    page : Page
        With a grid of that name.
    grid : str
        Its columns are the items.
    lights : mapping of str to mapping of str to str
        By row the light of each item; ``light_low`` and so on in ``viz``.
    """
    x = page.grids[grid]
    for light in LOOKS:
        places = {
            row: [x[item] if own.get(item) == light else np.nan for item in x]
            for row, own in lights.items()
            if light in own.values()
        }
        name = f"light_{light.replace(' ', '_')}"
        page.draw(lamp, name, places, on="table", parts=list(x), light=light)
