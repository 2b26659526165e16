"""The marks of a forest plot: squares, points, diamonds, and what the next study may show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.plots.axes import Axis
from metacart.plots.forest_layouts import Layout
from metacart.plots.forest_order import sizes
from metacart.plots.layout import Page, intervals
from metacart.plots.marks import diamond, hill, spot, upright, words
from metacart.plots.measure import COLOURS

if TYPE_CHECKING:
    from metacart.plots.facts import Measure
    from metacart.plots.forest_entries import Estimate, ForestRow
    from metacart.plots.forest_rows import Lines

__all__ = ["density_on", "draw_differences", "draw_pooled", "draw_studies", "looks_of"]

Array = NDArray[np.float64]
_POINTS = 241  # of a density


def looks_of(rows: Mapping[str, ForestRow], layout: Layout) -> dict[str, tuple[bool, str]]:
    """Return whether each diamond is filled, and its colour: one look for each estimand."""
    averages = [row for row in rows.values() if row.label.startswith("population average")]
    return {
        name: (False, COLOURS["crude"])
        if row.naive
        else (not averages or row in averages, layout.colours["pooled"])
        for name, row in rows.items()
    }


def _ends(rows: Mapping[str, ForestRow], which: str = "model") -> dict[str, tuple[float, float]]:
    estimates: dict[str, Estimate] = {name: getattr(row, which) for name, row in rows.items()}
    return {name: (estimate.lower, estimate.upper) for name, estimate in estimates.items()}


def _points(
    page: Page,
    name: str,
    values: Mapping[str, float],
    *,
    on: str,
    size: Any,
    width: float = 0.0,
    **styles: Any,
) -> None:
    """Draw a mark at some values; one beyond the axis is an arrow at its end."""
    axis = page.axes[on]
    inside = {row: value for row, value in values.items() if axis.low <= value <= axis.high}

    def draw(visual: str, shown: Mapping[str, float], marker: str, size: Any) -> None:
        areas = {row: size[row] for row in shown} if isinstance(size, Mapping) else size
        page.draw(
            spot, visual, shown, on=on, marker=marker, size=areas,
            width=width, zorder=3, clip_on=False, **styles,
        )  # fmt: skip

    draw(name, inside, styles.pop("marker"), size)
    draw(f"{name}_below", {r: axis.low for r, v in values.items() if v < axis.low}, "<", 30.0)
    draw(f"{name}_above", {r: axis.high for r, v in values.items() if v > axis.high}, ">", 30.0)


def draw_studies(
    page: Page,
    lines: Lines,
    layout: Layout,
    *,
    measure: Measure,
    shrunken: bool,
    panel: str,
    suffix: str,
) -> None:
    """Draw each study as reported and, where asked for, as the model sees it.

    Parameters
    ----------
    page : Page
        Where.
    lines : Lines
        The rows.
    layout : Layout
        Colours and areas.
    measure : {"rate", "ratio", "value"}
        What the natural scale is.
    shrunken : bool
        Whether to draw what the model sees.
    panel, suffix : str
        The panel of the fit, and what the names of its visuals end in.
    """
    studies = lines.of(panel, "study")
    rise = 0.03 if shrunken else 0.0
    if shrunken:
        blue = layout.colours["model"]
        intervals(
            page,
            f"shrunken_interval{suffix}",
            _ends(studies),
            on=panel,
            colour=blue,
            width=0.8,
            arrow=9.0,
            offset=0.06,
        )
        middles = {name: row.model.middle for name, row in studies.items()}
        _points(
            page, f"shrunken{suffix}", middles, on=panel, size=10.0,
            offset=0.06, marker="o", color=blue,
        )  # fmt: skip
    intervals(
        page,
        f"crude_interval{suffix}",
        _ends(studies, "crude"),
        on=panel,
        colour=layout.colours["interval"],
        width=1.0,
        arrow=16.0,
        offset=-rise,
    )
    share = sizes(list(studies.values()), measure)
    known = np.where(np.isfinite(share), share, 0.0)
    least, most = layout.area
    areas = np.maximum(least, most * known / max(float(known.max(initial=0.0)), 1e-300))
    _points(
        page,
        f"crude{suffix}",
        {name: row.crude.middle for name, row in studies.items()},
        on=panel,
        size=dict(zip(studies, areas.tolist(), strict=True)),
        offset=-rise,
        marker="s",
        color=layout.colours["crude"],
    )


def draw_pooled(
    page: Page,
    lines: Lines,
    layout: Layout,
    *,
    densities: Mapping[str, Array],
    panel: str,
    suffix: str,
) -> None:
    """Draw the named estimands as diamonds, and the next study as a bar or a density.

    Parameters
    ----------
    page : Page
        Where.
    lines : Lines
        The rows.
    layout : Layout
        Colours.
    densities : mapping of str to array
        Draws of the next study by its label, where they are drawn as densities.
    panel, suffix : str
        The panel of the fit, and what the names of its visuals end in.
    """
    pooled, next_study = lines.of(panel, "summary"), lines.of(panel, "prediction")
    diamonds = lines.of(panel, "summary", "subgroup")
    looks = looks_of(diamonds, layout)
    if pooled and layout.line:
        first = next(iter(pooled))
        last = [*pooled, *next_study][-1]
        bottom = page.centre[last] + page.height[last] / 2
        axis, middle = page.axes[panel], pooled[first].model.middle
        if axis.low <= middle <= axis.high:
            page.draw(
                upright,
                f"pooled_line{suffix}",
                {first: middle},
                on=panel,
                top=page.top + 0.08,
                # a naive line ends at its diamond: the rows below stand elsewhere
                bottom=page.centre[first] if pooled[first].naive else bottom,
                color=looks[first][1] if pooled[first].naive else layout.colours["edge"],
                width=0.8,
                linestyle="--",
                zorder=1,
            )
    page.draw(
        diamond,
        f"diamond{suffix}",
        {
            name: (row.model.lower, row.model.middle, row.model.upper)
            for name, row in diamonds.items()
        },
        on=panel,
        parts=("lower", "median", "upper"),
        half=0.075,
        facecolor={
            name: colour if filled else COLOURS["paper"] for name, (filled, colour) in looks.items()
        },
        edgecolor={
            name: colour if row.naive else layout.colours["edge"]
            for (name, row), (_, colour) in zip(diamonds.items(), looks.values(), strict=True)
        },
        linewidth=0.9,
        zorder=3,
    )
    # a diamond is cut by the axis; an arrow says so
    intervals(
        page,
        f"diamond_interval{suffix}",
        _ends(diamonds),
        on=panel,
        colour=layout.colours["pooled"],
        width=0.0,
        arrow=22.0,
    )
    for visual, naive, colour in (
        ("next_study", False, layout.colours["next"]),
        ("next_study_naive", True, COLOURS["rule"]),
    ):
        rows = {name: row for name, row in next_study.items() if row.naive == naive}
        shapes = {
            name: density_on(page.axes[panel], densities[row.label])
            for name, row in rows.items()
            if row.label in densities
        }
        for name, shape in shapes.items():
            page.draw(
                hill,
                f"{visual}_density{suffix}",
                {name: 0.0},
                on=panel,
                shape=shape,
                half=0.42 * page.height[name],
                facecolor=colour,
                alpha=0.35,
            )
        width = 1.6 if shapes else 4.0
        intervals(
            page, f"{visual}{suffix}", _ends(rows), on=panel, colour=colour, width=width, arrow=30.0
        )
    _points(
        page,
        f"next_study_median{suffix}",
        {name: row.model.middle for name, row in next_study.items()},
        on=panel,
        size=50.0,
        marker="|",
        width=1.0,
        color=COLOURS["ink"],
    )


def density_on(axis: Axis, draws: Array) -> tuple[Array, Array]:
    """Return where the density of draws stands and how high it is, as the axis spaces it."""
    from scipy.stats import gaussian_kde

    if axis.of_rates:
        return _density_of_rates(axis, draws.ravel())
    low, high = (float(end) for end in axis.straight((axis.low, axis.high)))
    grid = np.linspace(low, high, _POINTS)
    values = axis.straight(draws.ravel())
    finite = values[np.isfinite(values)]
    if np.ptp(finite) == 0:
        return axis.natural(grid), np.zeros_like(grid)
    kernel: Any = gaussian_kde(finite)
    return axis.natural(grid), kernel(grid)


def _density_of_rates(axis: Axis, rates: Array) -> tuple[Array, Array]:
    """Return the density of rates, which does not fall off where they end.

    The kernels lie on the logit, where rates have no ends. A height is what they hold between two
    places over the distance of these: finite also where the density is not.
    """
    from scipy.special import logit, ndtr
    from scipy.stats import gaussian_kde

    edges = np.linspace(axis.low, axis.high, _POINTS - 1)
    middles = 0.5 * (edges[1:] + edges[:-1])
    places = np.concatenate([[axis.low], middles, [axis.high]])
    values = logit(np.clip(rates, 1e-9, 1 - 1e-9))
    if np.ptp(values) == 0:
        return places, np.zeros_like(places)
    width = float(np.sqrt(gaussian_kde(values).covariance.item()))
    below = np.asarray([ndtr((edge - values) / width).mean() for edge in logit(edges)])
    heights = np.diff(below) / np.diff(edges)
    return places, np.concatenate([heights[:1], heights, heights[-1:]])


def draw_differences(page: Page, lines: Lines, layout: Layout, *, panel: str, suffix: str) -> None:
    """Write what the posterior says of each difference between subgroups."""
    axis = page.axes[panel]
    low, high = axis.straight((axis.low, axis.high)).tolist()
    if axis.log and axis.null is not None:
        # clear of the line of no difference
        null = float(axis.straight(axis.null))
        low, high = (low, null) if null - low > high - null else (null, high)
    page.draw(
        words,
        f"probability{suffix}",
        {
            name: layout.style.probability(said[panel].probability)
            for name, said in lines.differences.items()
            if panel in said
        },
        on=panel,
        x=float(axis.natural((low + high) / 2)),
        align="center",
    )
