"""The rows of a forest plot: which, in what order, and what their cells say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

import numpy as np

from metacart.plots.facts import capital
from metacart.plots.forest_columns import Writer
from metacart.plots.forest_entries import Difference, Entry, ForestRow
from metacart.plots.forest_order import Part, ordered, part_of
from metacart.plots.layout import Row

__all__ = [
    "Lines",
    "forest_lines",
]

_OTHERS = "Studies without a subgroup"
INDENT = "\u2002"  # an en space, which the page repeats on every line
# The footnotes of medical journals, in their order.
SIGNS = ("*", "†", "‡", "§", "¶", "‖", "**", "††", "‡‡", "§§", "¶¶", "‖‖")


Cells = dict[str, dict[str, str]]


@dataclass(slots=True)
class Lines:
    """Rows with their cells and what is drawn in them.

    Attributes
    ----------
    rows : list of Row
        From the top; a name begins with its kind: ``study:``, ``heading:``, ``subgroup:``,
        ``summary:``, ``prediction:`` or ``difference:``.
    shared : dict of str to dict of str to str
        Text by column and row, of columns that all fits share.
    cells : dict of str to dict of str to dict of str to str
        Text by panel, column and row.
    entries : dict of str to Entry
        What is drawn, by row.
    differences : dict of str to dict of str to Difference
        What is said, by row and panel.
    footnotes : dict of str to str
        Sign by text.
    """

    rows: list[Row] = field(default_factory=list)
    shared: Cells = field(default_factory=dict)
    cells: dict[str, Cells] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)
    differences: dict[str, dict[str, Difference]] = field(default_factory=dict)
    footnotes: dict[str, str] = field(default_factory=dict)

    def add(self, row: Row, shared: Mapping[str, str], cells: Cells) -> str:
        """Add a row below the others and return its name; one that is taken gets a number."""
        taken = {other.name for other in self.rows}
        name, count = row.name, 1
        while name in taken:
            count += 1
            name = f"{row.name}#{count}"
        self.rows.append(replace(row, name=name))
        places = [(self.shared, shared)]
        places += [(self.cells.setdefault(panel, {}), own) for panel, own in cells.items()]
        for place, own in places:
            for column, text in own.items():
                if text:
                    place.setdefault(column, {})[name] = text
        return name

    def of(self, panel: str, *kinds: str) -> dict[str, ForestRow]:
        """Return what one fit says in some kinds of rows, from the top."""
        return {
            row.name: self.entries[row.name].said[panel]
            for row in self.rows
            if row.name.split(":")[0] in kinds and panel in self.entries[row.name].said
        }

    def sign(self, flag: str) -> str:
        """Return the signs of footnotes parted by semicolons, the same for the same text."""
        signs = []
        for text in filter(None, flag.split("; ")):
            if text not in self.footnotes:
                count = len(self.footnotes)
                self.footnotes[text] = SIGNS[count] if count < len(SIGNS) else f"({count + 1})"
            signs.append(self.footnotes[text])
        return "".join(signs)


def forest_lines(
    entries: Sequence[Entry],
    writers: Mapping[str, Writer],
    *,
    levels: Sequence[str] = (),
    moderator: str = "",
    differences: Mapping[str, Sequence[Difference]] = MappingProxyType({}),
    sort: str | None = None,
    part: Part | None = None,
    prediction: str | Literal[False] = "bar",
    arms: bool = True,
) -> Lines:
    """Return the rows of a forest plot from the top to the bottom.

    Parameters
    ----------
    entries : sequence of Entry
        From ``merged``.
    writers : mapping of str to Writer
        By panel what writes its cells; the first one's layout names the rows.
    levels : sequence of str
        The blocks; none where there is but one.
    moderator : str
        The word before the level in headings.
    differences : mapping of str to sequence of Difference
        By panel, between subgroups.
    sort : {None, "name", "year", "effect", "weight", "precision"}
        The order of studies, inside their subgroups.
    part : (int, int), optional
        The places of the first and of the last study that have rows; all by default.
    prediction : {"bar", "density"} or False
        How the next study is drawn, or that it gets no row.
    arms : bool
        Whether arms have a column; if not, studies with several rows are named with theirs.

    Returns
    -------
    Lines
    """
    lines = Lines()
    first, lead = next(iter(writers.items()))
    layout = lead.layout
    of_kind = {
        kind: [entry for entry in entries if entry.first.kind == kind]
        for kind in ("study", "subgroup", "summary", "prediction")
    }
    studies = ordered(of_kind["study"], sort, lead.measure, first)
    several = Counter(entry.first.label for entry in studies)

    def written(entry: Entry, write: Callable[[Writer, ForestRow], dict[str, str]]) -> Cells:
        return {panel: write(writers[panel], row) for panel, row in entry.said.items()}

    def add_studies(block: Sequence[Entry], indent: str) -> None:
        for position, entry in enumerate(block):
            row = entry.first
            label = row.label
            if not arms and row.arm and several[label] > 1:
                label = f"{label}, {row.arm}"
            flags = dict.fromkeys(
                flag for each in entry.said.values() for flag in each.flag.split("; ") if flag
            )
            name = lines.add(
                Row(
                    f"study:{row.study}" + (f"/{row.arm}" if row.arm else ""),
                    shade=layout.shade and position % 2 == 0,
                ),
                {
                    "study": f"{indent}{label}{lines.sign('; '.join(flags))}",
                    "arm": row.arm,
                    "year": "" if np.isnan(row.year) else f"{row.year:.0f}",
                },
                written(entry, Writer.study),
            )
            lines.entries[name] = entry

    def add_pooled(entry: Entry, place: Row, text: str, level: str | None = None) -> None:
        words = text.format(label=entry.first.label, Label=capital(entry.first.label))
        name = lines.add(
            replace(place, bold=layout.bold),
            {"study": f"{words}{lines.sign(entry.first.flag)}"},
            written(entry, lambda writer, row: writer.pooled(row, level)),
        )
        lines.entries[name] = entry

    blocks = part_of(studies, levels, part)
    for level, (block, ends) in blocks.items() if levels else ():
        if not block:
            continue
        named = f"{moderator}: {level}" if moderator else level
        heading = named if level else _OTHERS
        space = 0.07 if lines.rows else 0.0
        lines.add(Row(f"heading:{level}", bold=True, space=space), {"study": heading}, {})
        add_studies(block, INDENT)
        for entry in of_kind["subgroup"]:
            if ends and entry.first.subgroup == level:
                place = Row(f"subgroup:{level}, {entry.first.label}")
                add_pooled(entry, place, f"{INDENT}{layout.subtotal}", level)
    if not levels:
        add_studies(blocks[""][0], "")
    for number, entry in enumerate(of_kind["summary"]):
        top = number == 0
        place = Row(f"summary:{entry.first.label}", ruled=top, space=0.08 if top else 0.0)
        add_pooled(entry, place, layout.total if levels else layout.alone, "" if top else None)
    for entry in of_kind["prediction"] if prediction else ():
        tall = 1.9 if prediction == "density" else 1.0
        add_pooled(entry, Row(f"prediction:{entry.first.label}", tall=tall), "{Label}")
    _add_differences(lines, writers, differences)
    return lines


def _add_differences(
    lines: Lines, writers: Mapping[str, Writer], differences: Mapping[str, Sequence[Difference]]
) -> None:
    labels = dict.fromkeys(item.label for items in differences.values() for item in items)
    for position, label in enumerate(labels):
        here = {
            panel: item for panel, items in differences.items() for item in items
            if item.label == label
        }  # fmt: skip
        flags = dict.fromkeys(item.flag for item in here.values() if item.flag)
        top = position == 0
        name = lines.add(
            Row(f"difference:{label}", ruled=top, space=0.08 if top else 0.0),
            {"study": f"{capital(label)}{lines.sign('; '.join(flags))}"},
            {panel: writers[panel].difference(item) for panel, item in here.items()},
        )
        lines.differences[name] = here
