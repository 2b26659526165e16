"""The flow of studies, arms and patients into the numbers of a question, as boxes."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from metacart.errors import named_options, refuse_unknown
from metacart.evidence.collection import Studies
from metacart.evidence.flow import flow
from metacart.evidence.library import spec_of
from metacart.evidence.selection import StudySource, studies_of
from metacart.evidence.source import PathLike
from metacart.plots.canvas import lay_flat, open_canvas
from metacart.plots.facts import capital
from metacart.plots.files import check_file, deliver
from metacart.plots.footer import draw_footer, measure_footer
from metacart.plots.marks import backend_of, words
from metacart.plots.measure import COLOURS, LINE, MARGIN, style, wrap
from metacart.plots.page import Page
from metacart.records.spec import ModelSpec

if TYPE_CHECKING:
    import pandas as pd
    from arviz_plots import PlotCollection

__all__ = ["plot_flow"]

_BACKENDS = ("matplotlib", "none")
_NUMBERS = ("studies", "arms", "patients", "findings")
_PAD = 0.09
_AROUND = 2 * _PAD - 0.03  # the last line has its own room below
_ARROW = 0.26  # between boxes
_LEFT = 2.35  # the width of a box of what remains
_REASON = 2.15  # of the reasons
_NUMBER = 0.62  # of a column of numbers
_NOTE = (
    "An arm leaves by the rule that its last finding met, a paper with its last arm. Patients: "
    "as many as the record holds (enrolled, else infused), nobody counted twice in arms or papers "
    "that share patients."
)
_READ = ("full text", "abstract and tables", "abstract", "quotations")
_SORTS = {
    "paper": ("paper", "papers"),
    "abstract": ("conference abstract", "conference abstracts"),
    "registry": ("registry entry", "registry entries"),
    "thesis": ("thesis", "theses"),
}


@dataclass(frozen=True, slots=True)
class _Stage:
    """What remains at a phase, and what is left out behind it."""

    title: str
    lines: tuple[str, ...]
    left: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)

    @property
    def heights(self) -> tuple[float, float]:
        """How high its two boxes are."""
        own = sum(line.count("\n") + 1 for line in (self.title, *self.lines)) * LINE + _AROUND
        lines = sum(reason.count("\n") + 1 for reason, _ in self.left)
        return own, lines * LINE + _AROUND if self.left else 0.0


@named_options
def plot_flow(
    studies: StudySource,
    spec: ModelSpec | PathLike,
    *,
    file: str | os.PathLike[str] | None = None,
    backend: str = "matplotlib",
) -> PlotCollection:
    """Plot how studies, arms and patients come from the library to the numbers of a question.

    Parameters
    ----------
    studies : Studies or path or sequence of paths
        The result of ``load_studies``, or folders and files of studies.
    spec : ModelSpec or str or path
        The question: a record, the name of a shipped one, or a file.
    file : path, optional
        Where to write the figure: ``.png``, ``.svg`` or ``.pdf``. The figure is then closed.
    backend : {"matplotlib", "none"}
        ``"none"`` draws nothing and keeps the structure.

    Returns
    -------
    arviz_plots.PlotCollection
        ``viz`` holds, by ``row``, the boxes ``box`` and ``left_box`` with their texts ``title``,
        ``numbers``, ``reason`` and ``left_studies``, ``left_arms``, ``left_patients``,
        ``left_findings``. Its attributes hold ``title`` and ``alt``, a description in words.

    Raises
    ------
    InputError
        For an unknown option or suffix, and when the question names what the studies do not know.

    Notes
    -----
    The numbers are those of ``flow``; the boxes follow the diagram of PRISMA 2020 (Page et al.,
    BMJ 2021;372:n71). On the left stands what remains, on the right what is left out by which
    rule. The library is what was given: metacart makes no search.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.plot_flow(mc.load_studies(), "cr_rate", file="flow.svg")  # doctest: +SKIP
    """
    refuse_unknown("backend", backend, _BACKENDS)
    if file is not None:
        check_file(file)
    collection, spec = studies_of(studies), spec_of(spec)
    table = flow(collection, spec)
    names = spec.outcomes or (spec.outcome or "",)
    outcome = " or ".join(collection.vocabulary[name].title for name in names)
    stages = _stages(table, collection, outcome)
    title = f"From the library to the numbers: {spec.title or capital(outcome)}"
    with style():
        page = _draw(stages, _notes(collection), backend)
    return deliver(page.collection, title=title, alt=_alt(title, stages), file=file)


def _stages(table: pd.DataFrame, studies: Studies, outcome: str) -> list[_Stage]:
    titles = {
        "identified": "Identified: the library",
        "reporting": f"Report {outcome}",
        "eligible": "Eligible",
        "used": "In the analysis",
    }
    stages: list[_Stage] = []
    for row in table.to_dict("records"):
        numbers = tuple(int(row[name]) for name in _NUMBERS)
        if row["row"] == "left out":
            reason = wrap(capital(str(row["reason"])), _REASON)
            stages[-1].left.append((reason, numbers))
            continue
        phase = str(row["phase"])
        papers, arms, patients, findings = numbers
        lines = [f"{_count(papers, 'paper')}, {_count(arms, 'arm')}"]
        if int(row["cohorts"]) != papers:
            lines[0] = f"{_count(papers, 'paper')} on {_count(int(row['cohorts']), 'cohort')}"
            lines.append(_count(arms, "arm"))
        lines.append(f"{_count(patients, 'patient')}, {_count(findings, 'finding')}")
        if phase == "used":
            lines.append(f"{_count(int(row['counted']), 'patient')} in the numbers used")
        if phase == "identified":
            lines += _sorts(studies)
        stages.append(
            _Stage(
                wrap(titles[phase], _LEFT - 2 * _PAD, bold=True),
                tuple(wrap(line, _LEFT - 2 * _PAD) for line in lines),
            )
        )
    return stages


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _sorts(studies: Studies) -> list[str]:
    """Say what kinds of publication the library holds, where there are several."""
    counts: Counter[str] = Counter(study.citation.publication for study in studies)
    if set(counts) <= {"paper"}:
        return []
    said = [
        f"{counts[name]} {one if counts[name] == 1 else several}"
        for name, (one, several) in _SORTS.items()
        if counts[name] and name != "paper"
    ]
    return [f"({', '.join(said)} among them)"]


def _notes(studies: Studies) -> list[str]:
    counts: Counter[str] = Counter(study.citation.read or "" for study in studies)
    known = [f"{name} {counts[name]}" for name in _READ if counts[name]]
    unknown = [f"not told {counts['']}"] if known and counts[""] else []
    read = f"Numbers were read in: {', '.join([*known, *unknown])}." if known else ""
    return [_NOTE, read]


def _alt(title: str, stages: list[_Stage]) -> str:
    parts = [f"{title}."]
    for stage in stages:
        parts.append(f"{_plain(stage.title)}: {'; '.join(map(_plain, stage.lines))}.")
        left = [
            f"{_plain(reason)} ({_count(numbers[0], 'paper')}, {_count(numbers[1], 'arm')}, "
            f"{_count(numbers[2], 'patient')})"
            for reason, numbers in stage.left
        ]
        if left:
            parts.append(f"Left out: {'; '.join(left)}.")
    return " ".join(parts)


def _plain(text: str) -> str:
    return " ".join(text.split())


# --- boxes --------------------------------------------------------------------------------------


def _draw(stages: list[_Stage], notes: list[str], backend: str) -> Page:
    right = MARGIN + _LEFT + 2 * _ARROW
    width = right + _PAD + _REASON + len(_NUMBERS) * _NUMBER + _PAD + MARGIN
    footer = measure_footer(notes, "", [], width - 2 * MARGIN)
    # the headings of what is left out stand above its first box
    first = max(0.0, LINE + 0.08 - (stages[0].heights[0] - stages[0].heights[1]) / 2)
    tops, y = [], MARGIN + first
    for number, stage in enumerate(stages):
        tops.append(y)
        last = number == len(stages) - 1
        y += max(stage.heights) + (0.0 if last else _ARROW)
    bottom = y + MARGIN
    total = bottom + footer.height + MARGIN
    names = [f"stage:{number}" for number in range(len(stages))]
    reasons = [f"reason:{n}.{m}" for n, stage in enumerate(stages) for m in range(len(stage.left))]
    collection = open_canvas([*names, *reasons], [], (width, total), backend)
    centres = {
        name: top + max(stage.heights) / 2
        for name, stage, top in zip(names, stages, tops, strict=True)
    }
    page = Page(collection, {}, centres, {}, MARGIN, bottom)
    if backend == "matplotlib":
        lay_flat(page.plot("table"), (0.0, 0.0, width, bottom), (width, total))
        box = (MARGIN, bottom, width - 2 * MARGIN, footer.height)
        lay_flat(page.plot("footer"), box, (width, total))
    _draw_remaining(page, names, stages)
    _draw_left(page, names, stages, right, width - MARGIN)
    _draw_arrows(page, names, stages, right)
    draw_footer(page, footer, [])
    return page


def _draw_remaining(page: Page, names: list[str], stages: list[_Stage]) -> None:
    half = {name: stage.heights[0] / 2 for name, stage in zip(names, stages, strict=True)}
    edges = {
        name: (
            MARGIN,
            MARGIN + _LEFT,
            page.centre[name] - half[name],
            page.centre[name] + half[name],
        )
        for name in names
    }
    page.draw(_box, "box", edges, on="table", parts=_EDGES, fill=COLOURS["shade"])
    tops = {name: page.centre[name] - half[name] + _PAD for name in names}
    heads = {name: stage.title.count("\n") + 1 for name, stage in zip(names, stages, strict=True)}
    shared: dict[str, Any] = {"on": "table", "x": MARGIN + _PAD, "anchor": "top"}
    for visual, texts, shift in (
        (
            "title",
            {n: s.title for n, s in zip(names, stages, strict=True)},
            dict.fromkeys(names, 0),
        ),
        ("numbers", {n: "\n".join(s.lines) for n, s in zip(names, stages, strict=True)}, heads),
    ):
        heights = {n: tops[n] + shift[n] * LINE for n in names}
        _write(page, visual, texts, heights, bold=visual == "title", **shared)


def _draw_left(
    page: Page, names: list[str], stages: list[_Stage], left: float, right: float
) -> None:
    edges, texts, heights = {}, {}, {}
    numbers: dict[str, dict[str, str]] = {name: {} for name in _NUMBERS}
    for place, (name, stage) in enumerate(zip(names, stages, strict=True)):
        if not stage.left:
            continue
        half = stage.heights[1] / 2
        edges[name] = (left, right, page.centre[name] - half, page.centre[name] + half)
        y = page.centre[name] - half + _PAD
        for number, (reason, values) in enumerate(stage.left):
            row = f"reason:{place}.{number}"
            texts[row], heights[row] = reason, y
            for column, value in zip(_NUMBERS, values, strict=True):
                numbers[column][row] = f"{value:,}" if value else "–"
            y += (reason.count("\n") + 1) * LINE
    page.draw(_box, "left_box", edges, on="table", parts=_EDGES, fill=COLOURS["paper"])
    if not texts:
        return
    _write(page, "reason", texts, heights, on="table", x=left + _PAD, anchor="top")
    top = min(edge[2] for edge in edges.values()) - 0.05
    table = page.plot("table")
    words("Left out", table, x=left + _PAD, y=top, anchor="bottom", bold=True, gid="heading_left")
    for number, column in enumerate(_NUMBERS):
        x = left + _PAD + _REASON + (number + 1) * _NUMBER
        _write(
            page, f"left_{column}", numbers[column], heights, on="table", x=x, anchor="top",
            align="right",
        )  # fmt: skip
        heading_text = "Papers" if column == "studies" else capital(column)
        words(
            heading_text, table, x=x, y=top, align="right", anchor="bottom", bold=True,
            gid=f"heading_{column}",
        )  # fmt: skip


def _draw_arrows(page: Page, names: list[str], stages: list[_Stage], right: float) -> None:
    middle = MARGIN + _LEFT / 2
    down, across = {}, {}
    for number, (name, stage) in enumerate(zip(names, stages, strict=True)):
        low = page.centre[name] + stage.heights[0] / 2
        if number + 1 < len(stages):
            after = page.centre[names[number + 1]] - stages[number + 1].heights[0] / 2
            down[name] = (middle, middle, low, after)
        if stage.left:
            across[name] = (MARGIN + _LEFT, right, page.centre[name], page.centre[name])
    page.draw(_arrow, "arrow", down, on="table", parts=_EDGES, marker="v")
    page.draw(_arrow, "arrow_left", across, on="table", parts=_EDGES, marker=">")


_EDGES = ("left", "right", "top", "bottom")


def _write(
    page: Page, name: str, texts: dict[str, str], heights: dict[str, float], **styles: Any
) -> None:
    """Write text at heights of its own."""
    own = Page(page.collection, {}, heights, {}, page.top, page.bottom)
    own.draw(words, name, texts, **styles)


def _box(da: Any, target: Any, *, y: Any = None, fill: Any) -> Any:
    del y
    left, right, top, bottom = np.asarray(da, dtype=float)
    return backend_of(target).fill_between_y(
        np.asarray([left, right]), np.full(2, top), np.full(2, bottom), target, facecolor=fill,
        edgecolor=COLOURS["rule"], linewidth=0.8,
    )  # fmt: skip


def _arrow(da: Any, target: Any, *, y: Any = None, marker: Any) -> Any:
    del y
    left, right, top, bottom = np.asarray(da, dtype=float)
    backend = backend_of(target)
    backend.scatter(
        [right - (0.03 if marker == ">" else 0)], [bottom - (0.03 if marker == "v" else 0)], target,
        marker=marker, size=16.0, color=COLOURS["ink"], width=0.0,
    )  # fmt: skip
    return backend.line(
        np.asarray([left, right]),
        np.asarray([top, bottom]),
        target,
        color=COLOURS["ink"],
        width=0.8,
    )
