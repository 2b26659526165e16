"""Risk of bias as figures: the share of each light by item, and the lights of each study."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from metacart.errors import Fault, InputError, named_options, refuse_unknown
from metacart.evidence.bias.judged import TOOLS, lights_of, risk_of_bias, risk_of_bias_shares
from metacart.evidence.selection import StudySource, studies_of
from metacart.plots.axes import percent_axis
from metacart.plots.facts import capital
from metacart.plots.files import check_file, deliver
from metacart.plots.layout import Column, Grid, Page, Panel, Row, open_page
from metacart.plots.lights import LOOKS, draw_lights, light_key
from metacart.plots.marks import backend_of, plain, words
from metacart.plots.measure import COLOURS, SMALL, style, text_width
from metacart.records.risk_of_bias import INSTRUMENTS, Tool

if TYPE_CHECKING:
    import pandas as pd
    from arviz_plots import PlotCollection

__all__ = ["KINDS", "deciders", "plot_risk_of_bias"]

KINDS = ("summary", "grid")
_BACKENDS = ("matplotlib", "none")
_WIDTH = 4.2  # inches of a whole bar


@named_options
def plot_risk_of_bias(
    studies: StudySource,
    *,
    tool: Tool = "jbi",
    kind: str = "summary",
    file: str | os.PathLike[str] | None = None,
    backend: str = "matplotlib",
) -> PlotCollection:
    """Plot the risk of bias of studies: the share of each light by item, or each study's lights.

    Parameters
    ----------
    studies : Studies or path or sequence of paths
        The result of ``load_studies``, or folders and files of studies.
    tool : {"jbi", "minors", "robins_i"}
        As in ``risk_of_bias``; with ``"robins_i"`` only studies that compare by transplant.
    kind : {"summary", "grid"}
        A stacked bar for each item, or one light for each study and item.
    file : path, optional
        Where to write the figure: ``.png``, ``.svg`` or ``.pdf``. The figure is then closed.
    backend : {"matplotlib", "none"}
        ``"none"`` draws nothing and keeps the structure.

    Returns
    -------
    arviz_plots.PlotCollection
        ``viz`` holds, by ``row``: for the summary ``bar_low``, ``bar_high`` and so on, with
        ``count_low`` and so on where a number has room; for the grid ``light_low`` and so on.
        Its attributes hold ``title`` and ``alt``, a description in words.

    Raises
    ------
    InputError
        For an unknown option or suffix, and where no study has anything to judge.

    Notes
    -----
    The numbers are those of ``risk_of_bias_shares``, the lights those of ``risk_of_bias``. Each
    light has a sign of its own, so that the figure is read without its colours.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.plot_risk_of_bias(mc.load_studies(), kind="grid", file="bias.svg")  # doctest: +SKIP
    """
    refuse_unknown("tool", tool, TOOLS)
    refuse_unknown("kind", kind, KINDS)
    refuse_unknown("backend", backend, _BACKENDS)
    if file is not None:
        check_file(file)
    collection = studies_of(studies)
    table = risk_of_bias(collection, tool=tool)
    if table.empty:
        raise InputError(
            Fault(
                "studies",
                "none of them compares transplanted with other patients",
                "a finding with exposure 'hsct'",
                "tool='jbi' or tool='minors'",
            )
        )
    number = table["study"].nunique()
    title = f"Risk of bias of {number} {'study' if number == 1 else 'studies'}"
    with style():
        if kind == "summary":
            page, alt = _summary(risk_of_bias_shares(collection, tool=tool), table, tool, backend)
        else:
            page, alt = _grid(table, tool, backend)
    return deliver(page.collection, title=title, alt=f"{title}. {alt}", file=file)


def deciders(table: pd.DataFrame) -> str:
    """Say how much is unclear, and who decided."""
    unclear, number = int((table["light"] == "unclear").sum()), len(table)
    counts = {
        name: int((table["decided_by"] == name).sum()) for name in ("reader", "record", "nobody")
    }
    said = [
        f"{counts['reader']} by a reader of the paper" if counts["reader"] else "",
        f"{counts['record']} by what the record holds" if counts["record"] else "",
    ]
    decided = " and ".join(filter(None, said)) or "none"
    text = f"Unclear: {unclear} of {number} judgements ({100 * unclear / number:.0f} %)."
    open_ = ", the others left open" if counts["nobody"] else ""
    return f"{text} Decided: {decided}{open_}."


def _source(tool: Tool) -> str:
    return f"{INSTRUMENTS[tool].title} ({INSTRUMENTS[tool].source})."


# --- the share of each light --------------------------------------------------------------------


def _summary(
    shares: pd.DataFrame, table: pd.DataFrame, tool: Tool, backend: str
) -> tuple[Page, str]:
    records: dict[str, dict[str, Any]] = {
        str(row["item"]): {str(name): value for name, value in row.items()}
        for row in shares.iloc[:-1].to_dict("records")
    }
    shown = [light for light in lights_of(tool) if shares[light].iloc[-1] > 0]
    question = _questions(tool)
    unclear = {item: f"{100 * row['unclear_share']:.0f}" for item, row in records.items()}
    page = open_page(
        rows=[Row(item) for item in records],
        parts=[
            Column("question", INSTRUMENTS[tool].title, question, widest=3.4),
            Panel("share", percent_axis("Studies, %"), width=_WIDTH),
            Column("unclear", "Unclear\n%", unclear, "right"),
        ],
        key=light_key(tool, shown),
        notes=[deciders(table), _source(tool)],
        backend=backend,
    )
    begun = dict.fromkeys(records, 0.0)
    for light in shown:
        name, look = light.replace(" ", "_"), LOOKS[light]
        bars, texts, middles = {}, {}, {}
        for item, row in records.items():
            if row[light]:
                low, high = begun[item], begun[item] + row[light] / row["judged"]
                bars[item], begun[item] = (low, high), high
                text = f"{look.sign} {row[light]}"
                if text_width(text, size=SMALL, bold=True) + 0.05 <= 0.96 * _WIDTH * (high - low):
                    texts[item], middles[item] = text, (low + high) / 2
        page.draw(_bar, f"bar_{name}", bars, on="share", parts=("from", "to"), color=look.fill)
        page.draw(
            words, f"count_{name}", texts, on="share", x=middles, align="center", small=True,
            bold=True, colour=look.ink, zorder=4,
        )  # fmt: skip
    said = [
        f"{question[item]}: " + ", ".join(f"{light} {row[light]}" for light in shown)
        for item, row in records.items()
    ]
    return page, f"Number of studies by item. {'; '.join(said)}. {deciders(table)}"


def _questions(tool: Tool) -> dict[str, str]:
    return {item: capital(text) for item, text in INSTRUMENTS[tool].items.items()}


def _bar(da: Any, target: Any, *, y: Any, color: Any) -> Any:
    ends, middle = np.asarray(da, dtype=float), float(plain(y))
    return backend_of(target).fill_between_y(
        ends, np.full(2, middle - 0.08), np.full(2, middle + 0.08), target, facecolor=color,
        edgecolor=COLOURS["paper"], linewidth=0.8, zorder=2,
    )  # fmt: skip


# --- one light for each study and item ----------------------------------------------------------


def _grid(table: pd.DataFrame, tool: Tool, backend: str) -> tuple[Page, str]:
    lights: dict[str, dict[str, str]] = {}
    labels: dict[str, str] = {}
    for row in table.itertuples():
        lights.setdefault(str(row.study), {})[str(row.item)] = str(row.light)
        labels[str(row.study)] = str(row.label)
    unclear = {
        name: f"{100 * [*own.values()].count('unclear') / len(own):.0f}"
        for name, own in lights.items()
    }
    page = open_page(
        rows=[Row(name, shade=number % 2 == 0) for number, name in enumerate(lights)],
        parts=[
            Column("study", "Study", labels),
            Grid("items", "", _questions(tool), pitch=0.24, upright=True),
            Column("unclear", "Unclear\n%", unclear, "right"),
        ],
        key=light_key(tool, {*table["light"]}),
        notes=[deciders(table), _source(tool)],
        backend=backend,
        least=4.6,
    )
    draw_lights(page, "items", lights)
    return page, f"One light for each study and item. {deciders(table)}"
