"""The layouts of a forest plot: each a record of choices, as a journal or Cochrane prints it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from metacart.plots.measure import COLOURS
from metacart.plots.numbers import Style

__all__ = ["LAYOUTS", "Evidence", "Layout"]

# counts of single arms, counts of two groups, anything else
Evidence = Literal["arms", "groups", "estimates"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What a forest plot looks like.

    Words in braces are filled in: ``{measure}`` is the name of the measure, ``{what}`` what the
    axis shows, ``{label}`` the named estimand of a row, ``{Label}`` the same with a capital.

    Attributes
    ----------
    columns : mapping of str to tuple of str
        By what the evidence is, from the left; the marks stand at ``forest``.
    headings : mapping of str to str
        The words above the columns; ``counts`` those of ``evidence`` where it is counts of arms.
    over, under : str
        The words above the marks and below their axis.
    favours : (str, str)
        How the two sides of a comparison are named, around the name.
    sides_above : bool
        Whether they stand above the rows.
    style : Style
        How numbers and intervals are written.
    places : int or None
        Decimals of ratios; None for those of the paper.
    weight : str
        How a weight is written.
    weigh_totals : bool
        Whether diamonds show the sum of the weights of their studies.
    counts : str
        How events and patients are written in one cell.
    total, alone, subtotal : str
        The names of the diamonds of all studies where there are blocks, of all studies where there
        are none, and of a block.
    align : {"left", "right"}
        How numbers stand.
    bold, shade, shrunken, line : bool
        Whether pooled rows are bold, every other row is shaded, the studies as the model sees them
        are drawn unless asked otherwise, and a dashed line goes through the first diamond.
    area : (float, float)
        The least and the largest square, in square points.
    colours : mapping of str to str
        ``crude``, ``interval``, ``model``, ``pooled``, ``edge`` (of filled diamonds) and ``next``.
    """

    columns: Mapping[Evidence, tuple[str, ...]]
    headings: Mapping[str, str]
    over: str = ""
    under: str = "{what}"
    favours: tuple[str, str] = ("← favours {}", "favours {} →")
    sides_above: bool = False
    style: Style = field(default_factory=Style)
    places: int | None = None
    weight: str = "{:.0f}"
    weigh_totals: bool = False
    counts: str = "{}/{}"
    total: str = "All studies, {label}"
    alone: str = "{Label}"
    subtotal: str = "{Label}"
    align: Literal["left", "right"] = "right"
    bold: bool = True
    shade: bool = True
    shrunken: bool = True
    line: bool = True
    area: tuple[float, float] = (7.0, 64.0)
    colours: Mapping[str, str] = field(default_factory=lambda: _coloured())


def _coloured(**own: str) -> Mapping[str, str]:
    usual = {name: COLOURS[name] for name in ("crude", "model", "pooled", "next")}
    usual |= {"interval": own.get("crude", COLOURS["crude"])}
    usual |= {"edge": own.get("pooled", COLOURS["pooled"])}
    return MappingProxyType(usual | own)


_HEADINGS: dict[str, str] = {
    "study": "Study",
    "arm": "Arm",
    "year": "Year",
    "evidence": "Reported",
    "counts": "Events/\npatients",
    "events": "Events",
    "total": "Total",
    "exposed": "Exposed\nevents/total",
    "control": "Others\nevents/total",
    "control_events": "Others:\nevents",
    "control_total": "Others:\ntotal",
    "log_estimate": "log\nratio",
    "se": "SE",
    "estimate": "{measure}",
    "interval": "95 %\ninterval",
    "effect": "{measure}\n[95 % interval]",
    "model": "Model\n[95 % interval]",
    "weight": "Weight\n%",
}

# The order, words, brackets and colours of journals and of Review Manager 5 are those of their
# figures and of the settings that the R package meta (8.4) documents for them. What a diamond or
# an interval is called follows the model: no "fixed" or "random", no P value, no I².
LAYOUTS: Mapping[str, Layout] = {
    "default": Layout(
        columns=dict.fromkeys(
            ("arms", "groups", "estimates"),
            (
                "study",
                "arm",
                "evidence",
                "forest",
                "estimate",
                "interval",
                "weight",
                "risk_of_bias",
            ),
        ),
        headings=_HEADINGS,
    ),
    "revman": Layout(
        columns={
            "arms": ("study", "events", "total", "weight", "effect", "forest", "risk_of_bias"),
            "groups": (
                *("study", "events", "total", "control_events", "control_total"),
                *("weight", "effect", "forest", "risk_of_bias"),
            ),
            "estimates": (
                *("study", "log_estimate", "se", "weight", "effect", "forest", "risk_of_bias"),
            ),
        },
        headings=_HEADINGS
        | {
            "study": "Study or subgroup",
            "control_events": "Control\nevents",
            "control_total": "Control\ntotal",
            "log_estimate": "log[{measure}]",
            "weight": "Weight",
            "effect": "{measure}\n95% interval",
            "interval": "95%\ninterval",
            "model": "Model\n95% interval",
        },
        over="{measure}\n95% interval",
        favours=("Favours {}", "Favours {}"),
        style=Style(join=", ", tight=True),
        places=2,
        weight="{:.1f}%",
        weigh_totals=True,
        total="Total, {label}",
        alone="Total, {label}",
        subtotal="Subtotal, {label}",
        shade=False,
        shrunken=False,
        line=False,
        area=(8.0, 95.0),
        colours=_coloured(
            crude="#1f4fbf", interval="#1a1a1a", pooled="#1a1a1a", edge="#1a1a1a", next="#595959"
        ),
    ),
    "jama": Layout(
        columns={
            "arms": ("study", "arm", "evidence", "effect", "forest", "weight", "risk_of_bias"),
            "groups": (
                *("study", "arm", "exposed", "control", "effect", "forest", "weight"),
                "risk_of_bias",
            ),
            "estimates": (
                *("study", "arm", "evidence", "effect", "forest", "weight", "risk_of_bias"),
            ),
        },
        headings=_HEADINGS
        | {
            "study": "Source",
            "arm": "Treatment",
            "counts": "No. of events/\ntotal",
            "exposed": "No. of events/\ntotal, exposed",
            "control": "No. of events/\ntotal, control",
            "weight": "Weight, %",
            "effect": "{measure}\n(95% interval)",
            "interval": "95%\ninterval",
            "model": "Model\n(95% interval)",
        },
        under="{measure} (95% interval)",
        favours=("Favors {}", "Favors {}"),
        sides_above=True,
        style=Style(opening="(", closing=")", join="-", tight=True, leading_zero=False),
        places=2,
        weight="{:.1f}",
        weigh_totals=True,
        total="Overall, {label}",
        alone="Overall, {label}",
        subtotal="Subtotal, {label}",
        align="left",
        shade=False,
        shrunken=False,
        area=(8.0, 80.0),
        colours=_coloured(
            crude="#1c2f6b", interval="#1a1a1a", pooled="#8fb8dc", edge="#1c2f6b", next="#1c2f6b"
        ),
    ),
    "bmj": Layout(
        columns={
            "arms": ("study", "arm", "evidence", "forest", "weight", "effect", "risk_of_bias"),
            "groups": (
                *("study", "arm", "exposed", "control", "forest", "weight", "effect"),
                "risk_of_bias",
            ),
            "estimates": (
                *("study", "arm", "evidence", "forest", "weight", "effect", "risk_of_bias"),
            ),
        },
        headings=_HEADINGS
        | {
            "counts": "No of events /\ntotal",
            "exposed": "No of events /\ntotal, exposed",
            "control": "No of events /\ntotal, control",
            "weight": "Weight\n(%)",
            "effect": "{measure}\n(95% interval)",
            "interval": "95%\ninterval",
            "model": "Model\n(95% interval)",
        },
        over="{measure}\n(95% interval)",
        favours=("Favours {}", "Favours {}"),
        style=Style(opening="(", closing=")", join=" to ", tight=True),
        places=2,
        weight="{:.1f}",
        weigh_totals=True,
        counts="{} / {}",
        total="Total, {label}",
        alone="Total, {label}",
        subtotal="Subtotal, {label}",
        bold=False,
        shade=False,
        shrunken=False,
        area=(8.0, 95.0),
        colours=_coloured(crude="#6b58a6", pooled="#6b58a6", next="#a7a9ac"),
    ),
}
