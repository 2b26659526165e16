"""The page of a forest plot: rows and columns of one fit, or of several side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from metacart.inference.records import evidence_of
from metacart.plots.axes import Axis, linear_axis, logit_axis, percent_axis, ratio_axis
from metacart.plots.facts import reported
from metacart.plots.forest_bias import Bias
from metacart.plots.forest_columns import (
    NAMES,
    SHARED,
    Writer,
    cells_of,
    check_columns,
    check_headings,
    heading_of,
    joined,
)
from metacart.plots.forest_entries import Entry, ForestRow, merged, read_rows
from metacart.plots.forest_facts import Facts, gather
from metacart.plots.forest_layouts import Layout
from metacart.plots.forest_marks import looks_of
from metacart.plots.forest_options import check_part
from metacart.plots.forest_order import Part, decimals
from metacart.plots.forest_rows import Lines, forest_lines
from metacart.plots.layout import Column, Grid, Key, Page, Panel, open_page
from metacart.plots.measure import COLOURS, wrap
from metacart.results.forest_table import forest_table
from metacart.results.summary import estimand_draws, views_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["Choices", "Forest", "Shown", "open_forest"]

_PANEL = 3.1  # inches of one panel, and of each of several
_PANELS = 2.2
_BLOCK = 0.3  # more room, in inches, before the columns of a further fit
_FEW = 4
_BESIDE = ("study", "evidence", "forest", "effect", "risk_of_bias")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the user chose, as the options of ``plot_forest`` say."""

    columns: Sequence[str] | None
    headings: Mapping[str, str]
    extra: pd.DataFrame | None
    sort: str | None
    part: Part | None
    subgroups: str | Literal[False] | None
    single_study_summaries: bool
    shrunken: bool
    prediction: Literal["bar", "density", False]
    axis: str | None
    limits: tuple[float, float] | None
    width: float | None


@dataclass(frozen=True, slots=True)
class Shown:
    """One fit on the page.

    Attributes
    ----------
    panel, suffix, title : str
        Its panel, what the names of its columns and visuals end in, and what stands above it.
    rows : list of ForestRow
        Its ``forest_table``, read.
    facts : Facts
        What stands around them.
    densities : dict of str to array
        Draws of the next study by its label, where they are drawn.
    """

    panel: str
    suffix: str
    title: str
    rows: list[ForestRow]
    facts: Facts
    densities: dict[str, NDArray[np.float64]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Forest:
    """A page that is open for marks, its rows, its fits, and its description in words."""

    page: Page
    lines: Lines
    panels: list[Shown]
    title: str
    alt: str


def open_forest(
    fits: Mapping[str, xr.DataTree],
    layout: Layout,
    choices: Choices,
    bias: Bias | None,
    *,
    backend: str,
) -> Forest:
    """Lay out the page of a forest plot and draw its text.

    Parameters
    ----------
    fits : mapping of str to DataTree
        By the words above them.
    layout : Layout
        What it looks like.
    choices : Choices
        What the user chose.
    bias : Bias, optional
        The lights of the studies.
    backend : {"matplotlib", "none"}
        ``"none"`` draws nothing and keeps the structure.

    Returns
    -------
    Forest
    """
    columns = _columns(fits, choices)
    panels = [
        _shown(fit, title, number, layout, choices)
        for number, (title, fit) in enumerate(fits.items())
    ]
    if columns is None:
        columns = _BESIDE if len(panels) > 1 else layout.columns[panels[0].facts.evidence]
        if all(row.kind != "study" or row.plain for each in panels for row in each.rows):
            columns = tuple(name for name in columns if name != "evidence")
    writers = {
        each.panel: Writer(
            layout,
            each.facts.measure,
            decimals([row for row in each.rows if row.kind == "study"], each.facts.measure),
            each.facts.sums,
        )
        for each in panels
    }
    entries = merged({each.panel: each.rows for each in panels})
    studies = sum(entry.first.kind == "study" for entry in entries)
    remark = check_part(choices.part, studies)
    lines = forest_lines(
        entries,
        writers,
        levels=tuple(dict.fromkeys(level for each in panels for level in each.facts.levels)),
        moderator=next((e.facts.moderator for e in panels if e.facts.moderator), ""),
        differences={each.panel: each.facts.differences for each in panels},
        sort=choices.sort,
        part=choices.part,
        prediction=choices.prediction,
        arms="arm" in columns,
    )
    words = layout.style.words
    page = open_page(
        rows=lines.rows,
        parts=_parts(columns, panels, lines, layout, choices, bias),
        key=[
            *(Key(k.mark, words(k.text), k.colour) for k in _key(panels, lines, layout, choices)),
            *([] if bias is None else bias.key),
        ],
        notes=([remark] if remark else [])
        + [words(note) for note in _notes(panels, bias, weights="weight" in columns)]
        + _footnotes(lines),
        warning=" ".join(dict.fromkeys(each.facts.warning for each in panels)).strip(),
        wide=choices.width,
        backend=backend,
    )
    title = ", ".join(each.title or each.facts.title for each in panels)
    alt = " ".join(
        f"{each.title}: {each.facts.alt}" if each.title else each.facts.alt for each in panels
    )
    return Forest(page, lines, panels, title, f"{alt} {remark}".strip())


def _columns(fits: Mapping[str, xr.DataTree], choices: Choices) -> tuple[str, ...] | None:
    """Return the columns that the user chose, if any, or refuse them."""
    further = [str(name) for fit in fits.values() for name in evidence_of(fit).columns]
    further += [] if choices.extra is None else [str(name) for name in choices.extra.columns]
    further = [*dict.fromkeys(further)]
    if choices.columns is not None:
        check_columns(choices.columns, further)
    check_headings(choices.headings, further)
    return None if choices.columns is None else tuple(choices.columns)


def _shown(fit: xr.DataTree, title: str, number: int, layout: Layout, choices: Choices) -> Shown:
    table = forest_table(
        fit,
        subgroups=choices.subgroups,
        single_study_summaries=choices.single_study_summaries,
    )
    details = joined(evidence_of(fit), choices.extra)
    rows = read_rows(table, reported(fit), details)
    suffix = "" if number == 0 else f"_{number + 1}"
    densities = {}
    if choices.prediction == "density":
        for group, words in views_of(fit).items():
            label = f"next study ({words})" if words else "next study"
            draws = estimand_draws(fit, group=group)["next study"].ravel()
            densities[label] = draws[:: max(1, draws.size // 8000)]
    facts = gather(fit, rows, subgroups=choices.subgroups, layout=layout)
    return Shown(f"forest{suffix}", suffix, title, rows, facts, densities)


def _parts(
    columns: Sequence[str],
    panels: Sequence[Shown],
    lines: Lines,
    layout: Layout,
    choices: Choices,
    bias: Bias | None,
) -> list[Column | Panel | Grid]:
    """Return what stands on the page from the left: each fit's columns together."""
    shared = [name for name in columns if name in SHARED or name not in NAMES]
    blocks: list[tuple[Shown | None, list[str]]] = [(None, [*columns])]
    if len(panels) > 1:
        each = [name for name in columns if name not in shared]
        before = [name for name in shared if name != "risk_of_bias"]
        blocks = [(None, before), *((panel, each) for panel in panels)]
        blocks += [(None, [name for name in shared if name == "risk_of_bias"])]
    parts: list[Column | Panel | Grid] = []
    for shown, names in blocks:
        begun = len(parts)
        for name in names:
            if name == "risk_of_bias":
                parts += [] if bias is None else [bias.grid]
            elif name in shared:
                parts.append(_shared(name, lines, layout, choices))
            else:
                parts.append(_own(name, shown or panels[0], lines, layout, choices))
        if shown is None or not shown.suffix:
            continue
        for place, part in enumerate(parts[begun:], start=begun):
            if isinstance(part, Column) and any(part.cells.values()):
                # the headings of two fits would else read as those of one
                parts[place] = replace(part, before=_BLOCK)
            if not isinstance(part, Column) or any(part.cells.values()):
                break  # a column without cells is left out
    return parts


def _shared(name: str, lines: Lines, layout: Layout, choices: Choices) -> Column:
    running = frozenset(row.name for row in lines.rows if not row.name.startswith("study:"))
    heading = choices.headings.get(name, heading_of(name, layout, "", counts=False))
    if name in NAMES:
        cells = lines.shared.get(name, {})
        spans = running if name == "study" else frozenset()
        align = layout.align if name == "year" else "left"
        return Column(name, heading, cells, align, spans=spans)
    studies: dict[str, Entry] = {
        row: entry for row, entry in lines.entries.items() if entry.first.kind == "study"
    }
    texts, numeric = cells_of([entry.first.details.get(name) for entry in studies.values()])
    cells = {row: text for row, text in zip(studies, texts, strict=True) if text}
    own = f"column_{name}".replace("/", "_")
    return Column(own, heading, cells, layout.align if numeric else "left")


def _own(name: str, shown: Shown, lines: Lines, layout: Layout, choices: Choices) -> Column | Panel:
    facts = shown.facts
    if name == "forest":
        over = layout.over.format(measure=facts.measure_words)
        lead = [wrap(text, _PANELS, bold=True) for text in (shown.title, over) if text]
        width = _PANEL if not shown.title else _PANELS
        return Panel(shown.panel, _axis(shown, lines, layout, choices), "\n".join(lead), width)
    usual = heading_of(
        name, layout,
        facts.estimate_heading if name == "estimate" else facts.measure_words,
        counts=facts.evidence == "arms",
    )  # fmt: skip
    cells = lines.cells.get(shown.panel, {}).get(name, {})
    left = name == "evidence" and facts.evidence != "arms"
    return Column(
        f"{name}{shown.suffix}",
        choices.headings.get(name, usual),
        cells,
        "left" if left else layout.align,
    )


def _axis(shown: Shown, lines: Lines, layout: Layout, choices: Choices) -> Axis:
    facts, limits = shown.facts, choices.limits
    label = facts.axis_label
    if facts.measure == "ratio":
        label = layout.under.format(what=label, measure=facts.measure_words)
    here = lines.of(shown.panel, "study", "subgroup", "summary", "prediction").values()
    drawn = [each for row in here for each in (row.crude, row.model)]
    points = [estimate.middle for estimate in drawn]
    ends = [(estimate.lower, estimate.upper) for estimate in drawn]
    stated: dict[str, Any] = {"points": points, "intervals": ends, "limits": limits}
    if facts.measure == "ratio":
        return ratio_axis(
            label, **stated,
            sides=facts.sides, sides_above=layout.sides_above, null=facts.null,
        )  # fmt: skip
    if facts.measure == "value":
        return linear_axis(label, **stated)
    if choices.axis == "logit":
        return logit_axis(f"{label} (logit scale)", **stated)
    return percent_axis(label, limits=limits)


def _key(panels: Sequence[Shown], lines: Lines, layout: Layout, choices: Choices) -> list[Key]:
    key: dict[Key, None] = {}
    for each in panels:
        diamonds = lines.of(each.panel, "summary", "subgroup")
        pooled = lines.of(each.panel, "summary")
        key[Key("square", each.facts.crude, layout.colours["crude"])] = None
        if choices.shrunken:
            naive = ", naive" if any(row.naive for row in pooled.values()) else ""
            key[Key("point", f"as the model sees it{naive}", layout.colours["model"])] = None
        looks: dict[str, tuple[bool, str]] = {}
        for name, look in looks_of(diamonds, layout).items():
            looks.setdefault(diamonds[name].label, look)
        for label, (filled, colour) in looks.items():
            edge = layout.colours["edge"] if colour == layout.colours["pooled"] else colour
            key[Key("diamond" if filled else "open", label, colour if filled else edge)] = None
        if pooled and layout.line:
            first = next(iter(pooled.values()))
            colour = looks[first.label][1] if first.naive else layout.colours["edge"]
            key[Key("dash", f"line at the {first.label}", colour)] = None
        for row in lines.of(each.panel, "prediction").values():
            colour = COLOURS["rule"] if row.naive else layout.colours["next"]
            key[Key("bar", row.label, colour)] = None
    return [*key]


def _footnotes(lines: Lines) -> list[str]:
    """Return the footnotes, each on a line of its own where they are few."""
    each = [f"{sign} {text}" for text, sign in lines.footnotes.items()]
    return each if len(each) <= _FEW else ["; ".join(each)]


def _notes(panels: Sequence[Shown], bias: Bias | None, *, weights: bool) -> list[str]:
    """Return the notes; those that all fits share stand once, at the end."""
    common = [
        note for note in panels[0].facts.notes if all(note in each.facts.notes for each in panels)
    ]
    own = [
        f"{each.title}: {' '.join(note for note in each.facts.notes if note not in common)}"
        for each in panels
        if len(panels) > 1 and any(note not in common for note in each.facts.notes)
    ]
    said = dict.fromkeys(each.facts.weights for each in panels if weights and each.facts.weights)
    return [*own, *common, *said, *([] if bias is None else [bias.note])]
