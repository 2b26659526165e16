"""Which outcome is reported by which arm, as a map of tiles."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from metacart.errors import named_options, refuse_unknown
from metacart.evidence.coverage import KINDS, PLACES, coverage
from metacart.evidence.selection import StudySource, studies_of
from metacart.plots.facts import capital
from metacart.plots.files import check_file, deliver
from metacart.plots.layout import Column, Grid, Key, Page, Row, open_page
from metacart.plots.marks import backend_of, plain, words
from metacart.plots.measure import COLOURS, style

if TYPE_CHECKING:
    import pandas as pd
    from arviz_plots import PlotCollection

__all__ = ["SORTS", "plot_coverage"]

SORTS = (None, "name", "year", "patients", "outcomes")
_BACKENDS = ("matplotlib", "none")
_INFUSIONS = {
    "first": "First infusion",
    "retreatment": "Re-treatment",
    "mixed": "First and later infusions together",
}
# From dark to light, so that the kinds are told apart in grey.
_COLOURS = {"count": "#004a75", "grades": "#56a0d3", "time": "#E69F00", "comparison": "#b9bec6"}
_WORDS = {
    "count": "count",
    "grades": "from a table of grades",
    "time": "survival at one time, median time",
    "comparison": "comparison inside the arm (ratio, contrast)",
}
_PITCH = 0.235
_TILE = 0.195
_NOTE = (
    "A tile of several colours is reported in several forms. Findings set aside are left out; arms "
    "may share patients."
)


@named_options
def plot_coverage(
    studies: StudySource,
    *,
    sort: str | None = None,
    file: str | os.PathLike[str] | None = None,
    backend: str = "matplotlib",
) -> PlotCollection:
    """Plot which outcome is reported by which arm, and in which form.

    Parameters
    ----------
    studies : Studies or path or sequence of paths
        The result of ``load_studies``, or folders and files of studies.
    sort : {None, "name", "year", "patients", "outcomes"}
        The order of arms inside first infusion, re-treatment and both together: that of the
        studies, by name, the latest, the largest, or those with most outcomes first.
    file : path, optional
        Where to write the figure: ``.png``, ``.svg`` or ``.pdf``. The figure is then closed.
    backend : {"matplotlib", "none"}
        ``"none"`` draws nothing and keeps the structure.

    Returns
    -------
    arviz_plots.PlotCollection
        ``viz`` holds, by ``row``, the tiles ``count``, ``grades``, ``time`` and ``comparison`` and
        the numbers of arms ``arms``. Its attributes hold ``title`` and ``alt``.

    Raises
    ------
    InputError
        For an unknown option or suffix, and for what are no studies.

    Notes
    -----
    The tiles are the cells of ``coverage(studies, show="kinds")``. An arm named below another of
    its study has no name of its own.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.plot_coverage(mc.load_studies(), sort="outcomes", file="coverage.png")  # doctest: +SKIP
    """
    refuse_unknown("sort", sort, SORTS)
    refuse_unknown("backend", backend, _BACKENDS)
    if file is not None:
        check_file(file)
    collection = studies_of(studies)
    table = coverage(collection, show="kinds")
    outcomes = [str(name) for name in table.columns if name not in PLACES]
    titles = {name: capital(collection.vocabulary[name].title) for name in outcomes}
    years = {study.id: study.citation.year for study in collection}
    with style():
        page = _draw(_sorted(table, outcomes, sort, years), titles, backend)
    title = f"Outcomes reported by {len(table)} arms of {len(collection)} studies"
    return deliver(page.collection, title=title, alt=_alt(title, table, titles), file=file)


def _sorted(
    table: pd.DataFrame, outcomes: list[str], sort: str | None, years: dict[str, int]
) -> pd.DataFrame:
    if sort is None:
        return table
    columns: dict[str, Any] = {
        "name": table["label"].str.casefold(),
        "year": -table["study"].map(years),
        "patients": -table["patients"],
        "outcomes": -(table[outcomes] != "").sum(axis=1),
    }
    return table.assign(order=columns[sort]).sort_values("order", kind="stable")


def _draw(table: pd.DataFrame, titles: dict[str, str], backend: str) -> Page:
    rows: list[Row] = []
    cells: dict[str, dict[str, str]] = {name: {} for name in ("study", "arm", "patients")}
    kinds: dict[str, dict[str, str]] = {}
    for infusion, heading in _INFUSIONS.items():
        block = table[table["infusion"] == infusion]
        if block.empty:
            continue
        name = f"heading:{infusion}"
        rows.append(Row(name, bold=True, space=0.07 if rows else 0.0))
        number = len(block)
        cells["study"][name] = f"{heading}, {number} {'arm' if number == 1 else 'arms'}"
        previous = ""
        for count, record in enumerate(block.to_dict("records")):
            row = f"arm:{record['study']}/{record['arm']}"
            rows.append(Row(row, shade=count % 2 == 0))
            cells["study"][row] = "" if record["study"] == previous else str(record["label"])
            cells["arm"][row] = str(record["arm_label"])
            cells["patients"][row] = str(record["patients"] or "")
            kinds[row] = {outcome: str(record[outcome]) for outcome in titles}
            previous = str(record["study"])
    total = Row("total", bold=True, ruled=True, space=0.08)
    rows.append(total)
    cells["study"]["total"] = "Arms that report it"
    page = open_page(
        rows=rows,
        parts=[
            Column(
                "study", "Study", cells["study"], spans=frozenset(r.name for r in rows if r.bold)
            ),
            Column("arm", "Arm", cells["arm"], widest=2.9),
            Column("patients", "Patients", cells["patients"], "right"),
            Grid("outcomes", "", titles, pitch=_PITCH, upright=True),
        ],
        key=[
            Key("tile", _WORDS[kind], _COLOURS[kind])
            for kind in KINDS
            if any(kind in own.split(", ") for each in kinds.values() for own in each.values())
        ],
        notes=[_NOTE],
        backend=backend,
    )
    _draw_tiles(page, kinds)
    _draw_totals(page, kinds)
    return page


def _draw_tiles(page: Page, kinds: dict[str, dict[str, str]]) -> None:
    """Fill each cell with stripes of equal width, one a kind."""
    x = page.grids["outcomes"]
    for kind in KINDS:
        edges: dict[str, list[float]] = {}
        for row, own in kinds.items():
            ends = []
            for outcome, middle in x.items():
                there = [each for each in own[outcome].split(", ") if each]
                start = end = float("nan")
                if kind in there:
                    stripe = _TILE / len(there)
                    start = middle - _TILE / 2 + there.index(kind) * stripe
                    end = start + stripe
                ends += [start, end]
            if not np.isnan(ends).all():
                edges[row] = ends
        page.draw(
            _tiles, kind, edges, on="table", color=_COLOURS[kind],
            parts=[f"{outcome}:{end}" for outcome in x for end in ("from", "to")],
            half={row: min(page.height[row], 0.235) / 2 - 0.02 for row in edges},
        )  # fmt: skip


def _tiles(da: Any, target: Any, *, y: Any, half: Any, color: Any) -> Any:
    """Fill the ground between each pair of numbers; one that is not a number is none."""
    pairs = np.asarray(da, dtype=float).reshape(-1, 2)
    pairs = pairs[~np.isnan(pairs).any(axis=1)]
    # what is not a number parts one tile from the next
    ends = np.column_stack([pairs, np.full(len(pairs), np.nan)]).ravel()
    middle, rise = float(plain(y)), float(plain(half))
    return backend_of(target).fill_between_y(
        ends, np.full(ends.size, middle - rise), np.full(ends.size, middle + rise), target,
        facecolor=color, edgecolor=COLOURS["paper"], linewidth=0.0, zorder=2,
    )  # fmt: skip


def _draw_totals(page: Page, kinds: dict[str, dict[str, str]]) -> None:
    for outcome, middle in page.grids["outcomes"].items():
        number = sum(bool(own[outcome]) for own in kinds.values())
        words(
            str(number), page.plot("table"), x=middle, y=page.centre["total"], align="center",
            small=True, bold=True, gid=f"total_{outcome}",
        )  # fmt: skip


def _alt(title: str, table: pd.DataFrame, titles: dict[str, str]) -> str:
    counts = [f"{words} {int((table[name] != '').sum())}" for name, words in titles.items()]
    return f"{title}. Number of arms that report each outcome: {'; '.join(counts)}."
