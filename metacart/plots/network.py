"""The evidence network of re-treatment: what was given before, and what was given again."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from metacart.errors import named_options, refuse_unknown
from metacart.plots.canvas import lay_flat, open_canvas
from metacart.plots.facts import capital, name_of
from metacart.plots.files import check_file, deliver
from metacart.plots.footer import draw_footer, measure_footer
from metacart.plots.marks import backend_of, plain, words
from metacart.plots.measure import COLOURS, LINE, MARGIN, style, text_width, wrap
from metacart.plots.page import Key, Page
from metacart.results.network_table import network_table

if TYPE_CHECKING:
    import pandas as pd
    from arviz_plots import PlotCollection

__all__ = ["plot_network"]

_BACKENDS = ("matplotlib", "none")
_BOX, _FAN, _HEAD = 1.55, 1.0, 0.14  # inches of a box, of the lines between, and of an arrow
_SLOT, _PAD, _BETWEEN = 0.19, 0.07, 0.14  # of a line at a box, around its text, between boxes
_TOP, _STEP = 0.34, 0.10  # above the boxes, and from one bracket to the next
_THIN, _THICK = 0.8, 6.0  # points of a line


@named_options
def plot_network(
    evidence: pd.DataFrame,
    *,
    before: str = "prior_scfv",
    after: Sequence[str] = ("target", "scfv"),
    file: str | os.PathLike[str] | None = None,
    backend: str = "matplotlib",
) -> PlotCollection:
    """Plot what was given before against what was given again, and what studies compare directly.

    Parameters
    ----------
    evidence : DataFrame
        One row an arm, as ``tabulate`` returns of a question about re-treatment.
    before : str
        The column that says what was given first.
    after : sequence of str
        The columns that together say what was given again.
    file : path, optional
        Where to write the figure: ``.png``, ``.svg`` or ``.pdf``. The figure is then closed.
    backend : {"matplotlib", "none"}
        ``"none"`` draws nothing and keeps the structure.

    Returns
    -------
    arviz_plots.PlotCollection
        ``viz`` holds, by ``row``, the boxes ``box`` with their texts ``node``, the lines ``edge``
        with their texts ``arms``, and ``comparison`` where a study gave both. Its attributes hold
        ``title`` and ``alt``.

    Raises
    ------
    InputError
        As ``network_table``, and for an unknown option or suffix.

    Notes
    -----
    The numbers are those of ``network_table``. Lines run from the first product to the second; a
    bracket on the right joins two that one study gave both. What no bracket joins is compared
    across studies alone.

    Examples
    --------
    >>> import metacart as mc
    >>> evidence = mc.tabulate(mc.load_studies(), "retreatment_cr")
    >>> mc.plot_network(evidence, file="network.svg")  # doctest: +SKIP
    """
    refuse_unknown("backend", backend, _BACKENDS)
    if file is not None:
        check_file(file)
    table = network_table(evidence, before=before, after=after)
    first = name_of(before.removeprefix("prior_"))
    headings = (f"Before: {first}", "Again: " + ", ".join(map(name_of, after)))
    with style():
        page = _draw(table, headings, backend)
    title = "What was given before, and what was given again"
    return deliver(page.collection, title=title, alt=_alt(title, table), file=file)


def _draw(table: pd.DataFrame, headings: tuple[str, str], backend: str) -> Page:
    edges = table[table["kind"] == "sequence"].reset_index(drop=True)
    pairs = table[table["kind"] == "comparison"].reset_index(drop=True)
    texts = {side: _nodes(edges, side) for side in ("source", "to")}
    heights = {side: _heights(edges, side, own) for side, own in texts.items()}
    tall = {side: sum(own.values()) + _BETWEEN * (len(own) - 1) for side, own in heights.items()}
    # the boxes of both sides are centred on each other
    middle = _TOP + max(tall.values()) / 2
    spots = {side: _stack(own, middle - tall[side] / 2) for side, own in heights.items()}
    labels = {f"edge:{n}": _edge_words(row) for n, row in edges.iterrows()}
    room = max(text_width(text) for text in labels.values()) + 0.1
    right = MARGIN + _BOX + _FAN + room + _HEAD
    width = right + _BOX + 0.12 + _STEP * len(pairs) + MARGIN
    width = max(width, right + text_width(headings[1], bold=True) + MARGIN)
    footer = measure_footer(_notes(table), "", _key(pairs), width - 2 * MARGIN)
    bottom = _TOP + max(tall.values()) + 0.1
    total = bottom + footer.height + MARGIN
    names = [f"{side}:{node}" for side in texts for node in texts[side]]
    brackets = [f"comparison:{n}" for n in range(len(pairs))]
    collection = open_canvas([*names, *labels, *brackets], [], (width, total), backend)
    centre = {f"{side}:{node}": spot for side in spots for node, spot in spots[side].items()}
    slots = {side: _slots(edges, side, spots[side]) for side in spots}
    centre |= dict(zip(labels, slots["to"], strict=True))
    page = Page(collection, {}, centre | dict.fromkeys(brackets, 0.0), {}, _TOP, bottom)
    if backend == "matplotlib":
        lay_flat(page.plot("table"), (0.0, 0.0, width, bottom), (width, total))
        box = (MARGIN, bottom, width - 2 * MARGIN, footer.height)
        lay_flat(page.plot("footer"), box, (width, total))
    for side, x, heading in zip(texts, (MARGIN, right), headings, strict=True):
        words(heading, page.plot("table"), x=x, y=_TOP - 0.12, bold=True, gid=f"heading_{side}")
    _draw_edges(page, edges, slots, labels, right)
    corners = {
        f"{side}:{node}": (x, x + _BOX, spots[side][node] - high / 2, spots[side][node] + high / 2)
        for side, x in (("source", MARGIN), ("to", right))
        for node, high in heights[side].items()
    }
    page.draw(_box, "box", corners, on="table", parts=("left", "right", "top", "bottom"))
    shown = {f"{side}:{node}": text for side in texts for node, text in texts[side].items()}
    page.draw(words, "node", shown, on="table", x={name: corners[name][0] + _PAD for name in shown})
    _draw_comparisons(page, pairs, spots["to"], right + _BOX)
    draw_footer(page, footer, _key(pairs))
    return page


def _nodes(edges: pd.DataFrame, side: str) -> dict[str, str]:
    """Return the words of each box of a side, the one of most patients first."""
    sums = edges.groupby(side)[["arms", "patients"]].sum().sort_values("patients", ascending=False)
    return {
        str(node): f"{wrap(str(node), _BOX - 2 * _PAD)}\n{_counts(row['arms'], row['patients'])}"
        for node, row in sums.iterrows()
    }


def _counts(arms: int, patients: int) -> str:
    return f"{arms} arm{'' if arms == 1 else 's'}, {patients} patient{'' if patients == 1 else 's'}"


def _edge_words(row: pd.Series[Any]) -> str:
    more = {"same": ", same product", "another": ", another product"}
    return _counts(row["arms"], row["patients"]) + more.get(row["same_product"], "")


def _heights(edges: pd.DataFrame, side: str, texts: Mapping[str, str]) -> dict[str, float]:
    lines = edges[side].value_counts()
    return {
        node: max(LINE * (text.count("\n") + 1) + 2 * _PAD, _SLOT * lines[node] + _PAD)
        for node, text in texts.items()
    }


def _stack(heights: Mapping[str, float], top: float) -> dict[str, float]:
    """Return the middle of each box below the others."""
    found = {}
    for node, high in heights.items():
        found[node] = top + high / 2
        top += high + _BETWEEN
    return found


def _slots(edges: pd.DataFrame, side: str, spots: Mapping[str, float]) -> list[float]:
    """Return where each line meets its box, in the order of the boxes on the other side."""
    other = "to" if side == "source" else "source"
    order = {str(node): n for n, node in enumerate(_nodes(edges, other))}
    heights = [0.0] * len(edges)
    for node, spot in spots.items():
        own = [int(n) for n in np.flatnonzero(edges[side] == node)]
        own.sort(key=lambda n: order[str(edges[other][n])])
        for place, n in enumerate(own):
            heights[n] = spot + _SLOT * (place - (len(own) - 1) / 2)
    return heights


def _draw_edges(
    page: Page,
    edges: pd.DataFrame,
    slots: Mapping[str, list[float]],
    labels: Mapping[str, str],
    right: float,
) -> None:
    rows, most = list(labels), float(edges["patients"].max())
    start, end = MARGIN + _BOX, MARGIN + _BOX + _FAN
    ends = {row: (start, end, slots["source"][n], slots["to"][n]) for n, row in enumerate(rows)}
    widths = {
        row: _THIN + (_THICK - _THIN) * float(edges["patients"][n]) / most
        for n, row in enumerate(rows)
    }
    dotted = {row: edges["same_product"][n] == "same" for n, row in enumerate(rows)}
    page.draw(
        _line, "edge", ends, on="table", parts=("left", "right", "from", "to"), width=widths,
        dotted=dotted,
    )  # fmt: skip
    page.draw(words, "arms", labels, on="table", x=end + 0.05)
    heads = dict.fromkeys(rows, right - 0.06)
    page.draw(_head, "arrow", heads, on="table")


def _draw_comparisons(
    page: Page, pairs: pd.DataFrame, spots: Mapping[str, float], left: float
) -> None:
    brackets = {
        f"comparison:{n}": (
            left, left + 0.1 + _STEP * n, spots[str(row["source"])], spots[str(row["to"])]
        )
        for n, row in enumerate(pairs.to_dict("records"))
    }  # fmt: skip
    page.draw(
        _bracket, "comparison", brackets, on="table", parts=("left", "right", "top", "bottom")
    )


def _box(da: Any, target: Any, *, y: Any = None) -> Any:
    del y
    left, right, top, bottom = np.asarray(da, dtype=float)
    return backend_of(target).fill_between_y(
        np.asarray([left, right]), np.full(2, top), np.full(2, bottom), target,
        facecolor=COLOURS["shade"], edgecolor=COLOURS["rule"], linewidth=0.8, zorder=2,
    )  # fmt: skip


def _line(da: Any, target: Any, *, y: Any = None, width: Any, dotted: Any) -> Any:
    del y
    left, right, start, end = np.asarray(da, dtype=float)
    wide = float(plain(width))
    dashes = (0.0, (1.6 / wide, 1.6 / wide))  # as long in wide lines as in thin ones
    return backend_of(target).line(
        np.asarray([left, right]), np.asarray([start, end]), target, color=COLOURS["model"],
        width=wide, linestyle=dashes if plain(dotted) else "-", alpha=0.75,
        solid_capstyle="butt", zorder=1,
    )  # fmt: skip


def _head(da: Any, target: Any, *, y: Any) -> Any:
    return backend_of(target).scatter(
        [float(plain(da))], [float(plain(y))], target, marker=">", size=16.0,
        color=COLOURS["model"], width=0.0, zorder=3,
    )  # fmt: skip


def _bracket(da: Any, target: Any, *, y: Any = None) -> Any:
    del y
    left, right, top, bottom = np.asarray(da, dtype=float)
    return backend_of(target).line(
        np.asarray([left, right, right, left]), np.asarray([top, top, bottom, bottom]), target,
        color=COLOURS["next"], width=1.2,
    )  # fmt: skip


def _key(pairs: pd.DataFrame) -> list[Key]:
    key = [
        Key("line", "width: patients", COLOURS["model"]),
        Key("dotted", "the same product again", COLOURS["model"]),
    ]
    if len(pairs):
        key.append(Key("line", "both given by one study (bracket)", COLOURS["next"]))
    return key


def _notes(table: pd.DataFrame) -> list[str]:
    pairs = table[table["kind"] == "comparison"]
    again = table.loc[table["kind"] == "sequence", "to"].nunique()
    if pairs.empty:
        text = "No study gave two of them: every comparison is one across studies"
        return [f"{capital(text)}, and may be one between their patients and centres."]
    said = [
        f"{row['source']} and {row['to']} ({row['studies']} "
        f"{'study' if row['studies'] == 1 else 'studies'}, {row['patients']} patients)"
        for row in pairs.to_dict("records")
    ]
    parts = table.attrs["groups"]
    rest = "All hang together." if parts == 1 else f"The {again} fall into {parts} parts: "
    rest += "" if parts == 1 else "between parts, every comparison is one across studies."
    return [f"Compared within a study: {'; '.join(said)}. {rest}"]


def _alt(title: str, table: pd.DataFrame) -> str:
    edges = table[table["kind"] == "sequence"]
    said = [
        f"{row['source']} before, then {row['to']}: {_edge_words(row)}"
        for _, row in edges.iterrows()
    ]
    return f"{title}. {'; '.join(said)}. {' '.join(_notes(table))}"
