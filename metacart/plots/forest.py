"""The forest plot: every study as reported and as the model sees it, and what they say together."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from metacart.errors import named_options, refuse_unknown
from metacart.evidence.selection import StudySource
from metacart.inference.one_mean import of_one_mean
from metacart.plots.axes import Axis, linear_axis, percent_axis, ratio_axis
from metacart.plots.facts import reported
from metacart.plots.files import check_file, deliver
from metacart.plots.forest_bias import Bias, bias_of
from metacart.plots.forest_facts import Facts, gather
from metacart.plots.forest_rows import (
    SORTS,
    Estimate,
    ForestRow,
    Lines,
    forest_lines,
    read_rows,
    sizes,
)
from metacart.plots.layout import Column, Grid, Key, Page, Panel, intervals, open_page
from metacart.plots.lights import draw_lights
from metacart.plots.marks import diamond, spot, upright, words
from metacart.plots.measure import COLOURS, style
from metacart.records.risk_of_bias import Tool
from metacart.results.forest_table import forest_table

if TYPE_CHECKING:
    import xarray as xr
    from arviz_plots import PlotCollection

__all__ = ["BACKENDS", "plot_forest"]

BACKENDS = ("matplotlib", "none")
_COLUMNS = ("study", "arm", "evidence", "estimate", "interval", "weight")


@named_options
@of_one_mean
def plot_forest(
    fit: xr.DataTree,
    *,
    sort: str | None = None,
    subgroups: str | Literal[False] | None = None,
    shrunken: bool = True,
    prediction: bool = True,
    studies: StudySource | None = None,
    risk_of_bias: Tool | Literal[False] | None = None,
    file: str | os.PathLike[str] | None = None,
    backend: str = "matplotlib",
) -> PlotCollection:
    """Plot every study as reported and as the model sees it, and what they say together.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.
    sort : {None, "name", "year", "effect", "precision"}
        The order of the studies, inside their subgroups: that of the evidence, by name, the
        earliest, the smallest estimate or the largest square first.
    subgroups : str or False, optional
        A categorical moderator whose levels become blocks; the first one of the model by default,
        False for none.
    shrunken : bool
        Whether to draw each study's estimate from the model beside the reported one.
    prediction : bool
        Whether to draw the interval of the next study.
    studies : Studies or path or sequence of paths, optional
        The studies that were fitted, from ``load_studies``: each row then shows the lights of its
        study's risk of bias. A fit holds its evidence table and not their files.
    risk_of_bias : {None, "jbi", "minors", "robins_i"} or False
        Whose items the lights are; by default ROBINS-I for questions on transplant, else JBI.
        False for none.
    file : path, optional
        Where to write the figure: ``.png``, ``.svg`` or ``.pdf``. The figure is then closed.
    backend : {"matplotlib", "none"}
        ``"none"`` draws nothing and keeps the structure.

    Returns
    -------
    arviz_plots.PlotCollection
        ``viz`` holds, by ``row``: the text columns ``study``, ``arm``, ``evidence``,
        ``estimate``, ``interval`` and ``weight``; the marks ``crude``, ``crude_interval``,
        ``shrunken``, ``shrunken_interval``, ``diamond``, ``next_study``, ``next_study_median``
        and ``pooled_line``; ``NAME_below``, ``NAME_above``, the arrows of intervals that reach
        beyond the axis; and with `studies` ``light_low``, ``light_high`` and so on. Its attributes
        hold ``title`` and ``alt``, a description in words.

    Raises
    ------
    InputError
        For an unknown option or suffix, for a study of the fit that is not among `studies`, and
        for `risk_of_bias` without them, before anything is drawn.

    Notes
    -----
    The numbers are those of ``forest_table``; ratios of studies have the digits of their paper.
    Of the diamonds the population average is solid, for ratios the median study. Squares have
    areas in proportion to the patients, or for ratios and estimates to the precision, above a
    least size. Rates stand on an axis of 0 to 100 %, ratios on a logarithmic one. The lights are
    those of the verb ``risk_of_bias``; a study with several rows has the same in each.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.plot_forest(mc.fit("cr_rate"), sort="effect", file="forest.svg")  # doctest: +SKIP
    """
    refuse_unknown("sort", sort, SORTS)
    refuse_unknown("backend", backend, BACKENDS)
    if file is not None:
        check_file(file)
    bias = bias_of(fit, studies, risk_of_bias)
    table = forest_table(fit, subgroups=subgroups)
    read = read_rows(table, reported(fit))
    facts = gather(fit, read, subgroups=subgroups)
    lines = forest_lines(
        read,
        measure=facts.measure,
        counts=facts.counts,
        moderator=facts.moderator,
        differences=facts.differences,
        sort=sort,
        prediction=prediction,
    )
    with style():
        page = _page(lines, facts, bias, shrunken=shrunken, backend=backend)
        _draw_studies(page, lines, facts, shrunken=shrunken)
        _draw_pooled(page, lines)
        if bias is not None:
            rows = {name: bias.lights[row.study] for name, row in lines.of("study").items()}
            draw_lights(page, bias.grid.name, rows)
    return deliver(page.collection, title=facts.title, alt=facts.alt, file=file)


def _page(lines: Lines, facts: Facts, bias: Bias | None, *, shrunken: bool, backend: str) -> Page:
    cells = {name: lines.cells.get(name, {}) for name in _COLUMNS}
    running = frozenset(row.name for row in lines.rows if not row.name.startswith("study:"))
    parts: list[Column | Panel | Grid] = [
        Column("study", "Study", cells["study"], spans=running),
        Column("arm", "Arm", cells["arm"]),
        Column(
            "evidence",
            facts.evidence_heading,
            cells["evidence"],
            "right" if facts.measure == "rate" else "left",
        ),
        Panel("forest", _axis(lines, facts), width=3.1),
        Column("estimate", facts.estimate_heading, cells["estimate"], "right"),
        Column("interval", "95 %\ninterval", cells["interval"], "right"),
        Column("weight", "Weight\n%", cells["weight"], "right"),
        *([] if bias is None else [bias.grid]),
    ]
    return open_page(
        rows=lines.rows,
        parts=parts,
        key=[*_key(facts, lines, shrunken=shrunken), *([] if bias is None else bias.key)],
        notes=[
            *facts.notes,
            *([] if bias is None else [bias.note]),
            *(f"{sign} {text}" for text, sign in lines.footnotes.items()),
        ],
        warning=facts.warning,
        backend=backend,
    )


def _axis(lines: Lines, facts: Facts) -> Axis:
    if facts.measure == "rate":
        return percent_axis(facts.axis_label)
    shown = [e for row in lines.estimates.values() for e in (row.crude, row.model)]
    points = [estimate.middle for estimate in shown]
    ends = [(estimate.lower, estimate.upper) for estimate in shown]
    if facts.measure == "ratio":
        return ratio_axis(
            facts.axis_label, points=points, intervals=ends, sides=facts.sides, null=facts.null
        )
    return linear_axis(facts.axis_label, points=points, intervals=ends)


def _key(facts: Facts, lines: Lines, *, shrunken: bool) -> list[Key]:
    pooled = lines.of("summary")
    key = [Key("square", facts.crude, COLOURS["crude"])]
    if shrunken:
        naive = ", naive" if any(row.naive for row in pooled.values()) else ""
        key.append(Key("point", f"as the model sees it{naive}", COLOURS["model"]))
    looks: dict[str, tuple[bool, str]] = {}
    for name, look in _looks(lines).items():
        looks.setdefault(lines.estimates[name].label, look)
    key += [
        Key("diamond" if filled else "open", label, colour)
        for label, (filled, colour) in looks.items()
    ]
    if pooled:
        first = next(iter(pooled.values())).label
        key.append(Key("dash", f"line at the {first}", looks[first][1]))
    key += [
        Key("bar", row.label, COLOURS["rule" if row.naive else "next"])
        for row in lines.of("prediction").values()
    ]
    return key


def _looks(lines: Lines) -> dict[str, tuple[bool, str]]:
    """Return whether each diamond is filled, and its colour: one look for each estimand."""
    rows = lines.of("summary", "subgroup")
    averages = [row for row in rows.values() if row.label.startswith("population average")]
    return {
        name: (False, COLOURS["crude"])
        if row.naive
        else (not averages or row in averages, COLOURS["pooled"])
        for name, row in rows.items()
    }


def _ends(rows: Mapping[str, ForestRow], which: str = "model") -> dict[str, tuple[float, float]]:
    estimates: dict[str, Estimate] = {name: getattr(row, which) for name, row in rows.items()}
    return {name: (estimate.lower, estimate.upper) for name, estimate in estimates.items()}


def _draw_studies(page: Page, lines: Lines, facts: Facts, *, shrunken: bool) -> None:
    studies = lines.of("study")
    rise = 0.03 if shrunken else 0.0
    marker: dict[str, Any] = {"on": "forest", "width": 0.0, "zorder": 3, "clip_on": False}
    if shrunken:
        blue = COLOURS["model"]
        intervals(
            page,
            "shrunken_interval",
            _ends(studies),
            on="forest",
            colour=blue,
            width=0.8,
            arrow=9.0,
            offset=0.06,
        )
        middles = {name: row.model.middle for name, row in studies.items()}
        page.draw(
            spot, "shrunken", middles, offset=0.06, marker="o", size=10.0, color=blue, **marker
        )
    intervals(
        page,
        "crude_interval",
        _ends(studies, "crude"),
        on="forest",
        colour=COLOURS["crude"],
        width=1.0,
        arrow=16.0,
        offset=-rise,
    )
    share = sizes(list(studies.values()), facts.measure)
    areas = np.maximum(4.0, 60.0 * share / share.max())
    page.draw(
        spot,
        "crude",
        {name: row.crude.middle for name, row in studies.items()},
        offset=-rise,
        marker="s",
        color=COLOURS["crude"],
        size=dict(zip(studies, areas.tolist(), strict=True)),
        **marker,
    )


def _draw_pooled(page: Page, lines: Lines) -> None:
    pooled, next_study = lines.of("summary"), lines.of("prediction")
    looks = _looks(lines)
    if pooled:
        first = next(iter(pooled))
        last = [*pooled, *next_study][-1]
        bottom = page.centre[last] + page.height[last] / 2
        page.draw(
            upright,
            "pooled_line",
            {first: pooled[first].model.middle},
            on="forest",
            top=page.top + 0.08,
            # a naive line ends at its diamond: the rows below stand elsewhere
            bottom=page.centre[first] if pooled[first].naive else bottom,
            color=looks[first][1],
            width=0.8,
            linestyle="--",
            zorder=1,
        )
    diamonds = {name: lines.estimates[name] for name in looks}
    page.draw(
        diamond,
        "diamond",
        {
            name: (row.model.lower, row.model.middle, row.model.upper)
            for name, row in diamonds.items()
        },
        on="forest",
        parts=("lower", "median", "upper"),
        half=0.075,
        facecolor={
            name: colour if filled else COLOURS["paper"] for name, (filled, colour) in looks.items()
        },
        edgecolor={name: colour for name, (_, colour) in looks.items()},
        linewidth=0.9,
        zorder=3,
    )
    # a diamond is cut by the axis; an arrow says so
    intervals(
        page,
        "diamond_interval",
        _ends(diamonds),
        on="forest",
        colour=COLOURS["pooled"],
        width=0.0,
        arrow=22.0,
    )
    for visual, naive, colour in (
        ("next_study", False, COLOURS["next"]),
        ("next_study_naive", True, COLOURS["rule"]),
    ):
        rows = {name: row for name, row in next_study.items() if row.naive == naive}
        intervals(page, visual, _ends(rows), on="forest", colour=colour, width=4.0, arrow=30.0)
    page.draw(
        spot,
        "next_study_median",
        {name: row.model.middle for name, row in next_study.items()},
        on="forest",
        marker="|",
        size=50.0,
        color=COLOURS["ink"],
        width=1.0,
        zorder=4,
    )
    axis = page.axes["forest"]
    low, high = np.log((axis.low, axis.high)) if axis.log else (axis.low, axis.high)
    if axis.log:
        # clear of the line at 1, which is 0 here
        low, high = (low, 0.0) if -low > high else (0.0, high)
    middle = np.exp((low + high) / 2) if axis.log else (low + high) / 2
    page.draw(
        words,
        "probability",
        {name: item.probability for name, item in lines.differences.items()},
        on="forest",
        x=float(middle),
        align="center",
    )
