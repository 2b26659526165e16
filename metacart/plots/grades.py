"""Grades of a toxicity as stacked bars, one a study, with the model's rates below each."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from metacart.errors import named_options, refuse_unknown
from metacart.inference.records import design_of
from metacart.modelling.reading_grades import GRADES, REFERENCE
from metacart.plots.axes import percent_axis
from metacart.plots.facts import capital, failure_of, title_of
from metacart.plots.files import check_file, deliver
from metacart.plots.layout import Column, Key, Page, Panel, Row, open_page
from metacart.plots.marks import backend_of, plain, spot
from metacart.plots.measure import COLOURS, style
from metacart.plots.numbers import number, span
from metacart.plots.page import intervals
from metacart.results.grade_table import check_graded, grade_table

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from arviz_plots import PlotCollection

__all__ = ["plot_grades"]

_BACKENDS = ("matplotlib", "none")
# from light to dark: told apart in grey
_COLOURS = ("#eceef1", "#f9dfa7", "#f0b24f", "#d9702b", "#a3272b", "#4a0d1f")
_WIDTH = 4.4
_BAR, _BELOW = 0.065, 0.105  # half the height of a bar, and how far below its middle the model is
# the cuts whose rates are marked, each with its sign and words
_MARKED = ((3, "D", "grade 3 or higher"), (1, "o", "any grade"))
_MANY = 30  # studies; more stand closer, so that sixty still fit a page
_POOLED = ("population average", "next study")
_NOTE = (
    "The end of a colour is the share with that grade or a higher one. A band of several grades "
    "has the colours of all of them, one above the other."
)
_MODEL_NOTE = (
    "Rates of studies are shrunken, as their own system grades; the last two bars are the model's "
    f"medians by {REFERENCE}."
)


@named_options
def plot_grades(
    fit: xr.DataTree,
    *,
    file: str | os.PathLike[str] | None = None,
    backend: str = "matplotlib",
) -> PlotCollection:
    """Plot the grades of each study as a stacked bar, with the model's rates below it.

    Parameters
    ----------
    fit : DataTree
        From ``fit``, of the likelihood ``grades``.
    file : path, optional
        Where to write the figure: ``.png``, ``.svg`` or ``.pdf``. The figure is then closed.
    backend : {"matplotlib", "none"}
        ``"none"`` draws nothing and keeps the structure.

    Returns
    -------
    arviz_plots.PlotCollection
        ``viz`` holds, by ``row``, the bars ``grade_0`` to ``grade_5`` and of the model
        ``rate_3``, ``interval_3``, ``rate_1`` and ``interval_1``. Its attributes hold ``title``
        and ``alt``.

    Raises
    ------
    InputError
        For a fit of another likelihood, and for an unknown option or suffix.

    Notes
    -----
    The numbers are those of ``grade_table``. The highest grades stand at the left, so that the
    end of a colour is the share with that grade or a higher one. A band of several grades has the
    colours of all of them, one above the other. Rates of studies are shrunken, as their own
    system grades; bars of the last rows are the model's medians by ASTCT or Lee. Intervals are
    95 % equal-tailed.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.plot_grades(mc.fit("crs_grades"), file="grades.svg")  # doctest: +SKIP
    """
    refuse_unknown("backend", backend, _BACKENDS)
    check_graded(fit, "plot_grades")
    if file is not None:
        check_file(file)
    table = grade_table(fit)
    blocks = _blocks(table)
    with style():
        page = _page(fit, blocks, backend)
        _draw_bars(page, fit, blocks)
        _draw_rates(page, blocks)
    title = f"{title_of(fit)}: grades by study"
    return deliver(page.collection, title=title, alt=_alt(title, blocks), file=file)


def _blocks(table: pd.DataFrame) -> dict[str, list[dict[str, Any]]]:
    """Return the five rows of each study, then those of the pooled rates, by row of the page."""
    blocks: dict[str, list[dict[str, Any]]] = {}
    records = [row for row in table.to_dict("records") if row["row"] in ("study", *_POOLED)]
    for start in range(0, len(records), len(GRADES) - 1):
        rows = records[start : start + len(GRADES) - 1]
        name = f"table:{start // 5}" if rows[0]["row"] == "study" else str(rows[0]["row"])
        blocks[name] = [{str(key): value for key, value in row.items()} for row in rows]
    return blocks


def _page(fit: xr.DataTree, blocks: Mapping[str, list[dict[str, Any]]], backend: str) -> Page:
    cells: dict[str, dict[str, str]] = {
        name: {} for name in ("study", "grading", "patients", "severe", "any")
    }
    rows = []
    for count, (name, own) in enumerate(blocks.items()):
        pooled = name in _POOLED
        rows.append(
            Row(name, bold=pooled, shade=not pooled and count % 2 == 0,
                ruled=name == _POOLED[0], space=0.1 if len(blocks) <= _MANY else 0.06)
        )  # fmt: skip
        label = str(own[0]["label"])
        cells["study"][name] = capital(label) if pooled else label
        cells["grading"][name] = str(own[0]["grading"])
        cells["patients"][name] = "" if pooled else f"{own[0]['patients']:d}"
        for column, grade in (("severe", 3), ("any", 1)):
            row = own[grade - 1]
            ends = span(row["lower"], row["upper"], "rate", 0)
            cells[column][name] = f"{number(row['median'], 'rate', 0)} {ends}"
    known = [each for each in GRADES if each]
    return open_page(
        rows=rows,
        parts=[
            Column("study", "Study", cells["study"]),
            Column("grading", "Graded\nby", cells["grading"]),
            Column("patients", "Patients", cells["patients"], "right"),
            Panel("share", percent_axis("Patients, %"), width=_WIDTH),
            Column("severe", "Model:\ngrade ≥ 3, %", cells["severe"], "right"),
            Column("any", "Model:\nany, %", cells["any"], "right"),
        ],
        key=[
            *(Key("tile", f"grade {each}", _COLOURS[each]) for each in reversed(known)),
            Key("tile", "none", _COLOURS[0]),
            Key("diamond", "model: grade 3 or higher, 95 % interval", COLOURS["pooled"]),
            Key("dot", "model: any grade, 95 % interval", COLOURS["model"]),
        ],
        notes=[_NOTE, _MODEL_NOTE],
        warning=failure_of(fit),
        backend=backend,
    )  # fmt: skip


def _draw_bars(page: Page, fit: xr.DataTree, blocks: Mapping[str, list[dict[str, Any]]]) -> None:
    """Fill each band, from the highest grade at the left, with a stripe for each of its grades."""
    design = design_of(fit)
    table = design["of_table"].to_numpy()
    columns = [design[name].to_numpy() for name in ("grade_from", "grade_to", "beyond", "reach")]
    patients = design["patients"].to_numpy()
    stripes: dict[int, dict[str, tuple[float, ...]]] = {grade: {} for grade in GRADES}
    for name, own in blocks.items():
        if name in _POOLED:
            ends = [1.0, *(row["median"] for row in own), 0.0]
            bands = [(g, g, ends[g + 1], ends[g]) for g in GRADES]
        else:
            rows = np.flatnonzero(table == int(name.partition(":")[2]))
            bands = [
                (
                    int(columns[0][row]),
                    int(columns[1][row]),
                    float(columns[2][row] / patients[row]),
                    float(columns[3][row] / patients[row]),
                )
                for row in rows
            ]
        for first, last, low, high in bands:
            height = 2.0 * _BAR / (last - first + 1)
            for grade in range(first, last + 1):
                if high > low:
                    top = -_BAR + (last - grade) * height
                    stripes[grade][name] = (low, high, top, top + height)
    for grade, found in stripes.items():
        page.draw(
            _stripe, f"grade_{grade}", found, on="share", parts=("from", "to", "top", "bottom"),
            offset=-0.035, color=_COLOURS[grade],
        )  # fmt: skip


def _stripe(da: Any, target: Any, *, y: Any, color: Any) -> Any:
    low, high, top, bottom = np.asarray(da, dtype=float)
    middle = float(plain(y))
    return backend_of(target).fill_between_y(
        np.asarray([low, high]), np.full(2, middle + top), np.full(2, middle + bottom), target,
        facecolor=plain(color), edgecolor=COLOURS["rule"], linewidth=0.3, zorder=2,
    )  # fmt: skip


def _draw_rates(page: Page, blocks: Mapping[str, list[dict[str, Any]]]) -> None:
    for grade, marker, _ in _MARKED:
        colour = COLOURS["pooled" if grade == 3 else "model"]
        own = {name: rows[grade - 1] for name, rows in blocks.items()}
        intervals(
            page, f"interval_{grade}",
            {name: (float(row["lower"]), float(row["upper"])) for name, row in own.items()},
            on="share", colour=colour, width=1.0, arrow=9.0, offset=_BELOW - 0.035, zorder=4,
        )  # fmt: skip
        page.draw(
            spot, f"rate_{grade}", {name: float(row["median"]) for name, row in own.items()},
            on="share", offset=_BELOW - 0.035, marker=marker, size=9.0, color=colour, width=0.0,
            clip_on=False, zorder=5,
        )  # fmt: skip


def _alt(title: str, blocks: Mapping[str, list[dict[str, Any]]]) -> str:
    said = []
    for grade, _, words in reversed(_MARKED):
        row = blocks[_POOLED[0]][grade - 1]
        ends = span(row["lower"], row["upper"], "rate", 0)
        said.append(f"{words} {number(row['median'], 'rate', 0)} % {ends}")
    studies = len(blocks) - len(_POOLED)
    return (
        f"{title}. A stacked bar of grades for each of {studies} studies, with the model's rates. "
        f"Population averages by {REFERENCE}: {'; '.join(said)}."
    )
