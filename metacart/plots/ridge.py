"""The ridge of posteriors: each study beside the others, the average and the next study."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.errors import named_options, refuse_unknown
from metacart.inference.one_mean import of_one_mean
from metacart.inference.records import design_of, group_of
from metacart.modelling.design import scale_of
from metacart.plots.axes import Axis
from metacart.plots.facts import capital, failure_of, measure_of, title_of
from metacart.plots.files import check_file, deliver
from metacart.plots.forest_marks import density_on
from metacart.plots.layout import Column, Key, Page, Panel, Row, intervals, open_page
from metacart.plots.marks import backend_of, plain, spot, upright
from metacart.plots.measure import COLOURS, style
from metacart.plots.numbers import number, span
from metacart.plots.study_rows import PLACES, StudyRows, axis_of, study_rows
from metacart.results.conditional_means import view_of
from metacart.results.forest_table import forest_table
from metacart.results.summary import estimand_draws, views_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from arviz_plots import PlotCollection

__all__ = ["plot_ridge"]

Array = NDArray[np.float64]
_BACKENDS = ("matplotlib", "none")
_HILL = 1.5  # of the height of a row
_DRAWS = 4000  # of a hill
_TINTS = {COLOURS["model"]: "#9fcae6", COLOURS["pooled"]: "#6f9db8", COLOURS["next"]: "#f0b98f"}
_EXPLANATION = (
    "Hills are posterior densities, each up to a height of its own; lines are 95 % equal-tailed "
    "intervals, their dots medians. Studies are as the model sees them beside the others."
)


@named_options
@of_one_mean
def plot_ridge(
    fit: xr.DataTree,
    *,
    file: str | os.PathLike[str] | None = None,
    backend: str = "matplotlib",
) -> PlotCollection:
    """Plot the posterior of each study as a ridge, with the average and the next study below.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.
    file : path, optional
        Where to write the figure: ``.png``, ``.svg`` or ``.pdf``. The figure is then closed.
    backend : {"matplotlib", "none"}
        ``"none"`` draws nothing and keeps the structure.

    Returns
    -------
    arviz_plots.PlotCollection
        ``viz`` holds, by ``row`` (the study with the highest median first, then the named
        estimands), the text columns ``study``, ``arm``, ``evidence``, ``median_text`` and
        ``interval_text``, and the marks ``hill``, ``interval`` and ``median``; what lies beyond the
        axis ends in ``interval_below`` and ``interval_above``. Its attributes hold ``title`` and
        ``alt``.

    Raises
    ------
    InputError
        For an unknown option or suffix.

    Notes
    -----
    The numbers are those of ``forest_table``. A density is a kernel estimate on the model scale,
    as the axis spaces it. ArviZ's ``plot_ridge`` has neither natural units nor columns.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.plot_ridge(mc.fit("cr_rate"), file="ridge.svg")  # doctest: +SKIP
    """
    refuse_unknown("backend", backend, _BACKENDS)
    if file is not None:
        check_file(file)
    table = forest_table(fit, subgroups=False)
    studies = table[table["row"] == "study"].reset_index(drop=True)
    rows = study_rows(fit, studies["shrunken"].tolist())
    studies = studies.iloc[rows.order].assign(name=rows.names)
    pooled = table[table["row"] != "study"]
    pooled = pooled.assign(name="estimand:" + pooled["label"])
    import pandas as pd

    both = pd.concat([studies, pooled]).set_index("name")
    draws = _draws(fit, rows)
    with style():
        page = _page(fit, both, rows, backend)
        _draw(page, both, draws)
    title = f"{title_of(fit)}: posteriors of the studies"
    return deliver(page.collection, title=title, alt=_alt(title, fit, both, rows), file=file)


def _draws(fit: xr.DataTree, rows: StudyRows) -> dict[str, Array]:
    """Return draws on the natural scale by row."""
    scale = scale_of(design_of(fit))
    theta = group_of(fit, view_of(fit))["theta"].transpose("finding", "chain", "draw").to_numpy()
    theta = theta.reshape(len(theta), -1)
    found = {
        row: scale.inverse(theta[position])
        for row, position in zip(rows.names, rows.order, strict=True)
    }
    for group, words in views_of(fit).items():
        for name, values in estimand_draws(fit, group=group).items():
            found[f"estimand:{name} ({words})" if words else f"estimand:{name}"] = values.ravel()
    return {row: values[:: max(1, values.size // _DRAWS)] for row, values in found.items()}


def _page(fit: xr.DataTree, table: pd.DataFrame, rows: StudyRows, backend: str) -> Page:
    measure = measure_of(scale_of(design_of(fit)))
    places, unit = PLACES[measure], " %" if measure == "rate" else ""
    keys = [str(row) for row in table.index]
    ends = list(zip(table["shrunken_lower"], table["shrunken_upper"], strict=True))
    middle = {
        row: number(v, measure, places) for row, v in zip(keys, table["shrunken"], strict=True)
    }
    spans = {
        row: span(low, high, measure, places) for row, (low, high) in zip(keys, ends, strict=True)
    }
    estimands = keys[len(rows.names) :]
    named = {row: capital(row.partition(":")[2]) for row in estimands}
    study, *others = rows.columns
    title = Column("study", "Study", {**study.cells, **named}, spans=frozenset(estimands))
    return open_page(
        rows=[
            *(Row(name, space=0.2 if n == 0 else 0.0) for n, name in enumerate(rows.names)),
            *(
                Row(name, bold=True, ruled=n == 0, space=0.3 if n == 0 else 0.08)
                for n, name in enumerate(estimands)
            ),
        ],
        parts=[
            title,
            *others,
            Panel("ridge", axis_of(fit, table["shrunken"].tolist(), ends), width=3.3),
            Column("median_text", f"Median{unit and chr(10) + '%'}", middle, "right"),
            Column("interval_text", "95 %\ninterval", spans, "right"),
        ],
        key=[
            *(
                Key("tile", text, _TINTS[COLOURS[colour]])
                for text, colour in (
                    ("a study", "model"),
                    ("named estimands", "pooled"),
                    ("next study", "next"),
                )
            ),
            Key("dash", "median of the first estimand", COLOURS["pooled"]),
        ],
        notes=[_EXPLANATION, *_naive(fit)],
        warning=failure_of(fit),
        backend=backend,
    )


def _naive(fit: xr.DataTree) -> list[str]:
    return ["Studies are naive, as they printed."] if "naive" in fit.children else []


def _colour(row: str) -> str:
    if row.startswith("study:"):
        return COLOURS["model"]
    return COLOURS["next" if row.startswith("estimand:next study") else "pooled"]


def _tint(row: str) -> str:
    """Return the colour of a hill, which hides what is behind it."""
    return _TINTS[_colour(row)]


def _draw(page: Page, table: pd.DataFrame, draws: Mapping[str, Array]) -> None:
    axis, rows = page.axes["ridge"], [str(row) for row in table.index]
    shapes = {row: _shape(axis, draws[row]) for row in rows}
    # from the top, so that each hill stands before the one behind it
    order = {row: 2.0 + 0.01 * n for n, row in enumerate(rows)}
    page.draw(
        _hill, "hill", shapes, on="ridge", offset=0.02,
        parts=[f"{n}" for n in range(len(next(iter(shapes.values()))))],
        rise=_HILL * min(page.height.values()), color={row: _tint(row) for row in rows},
        zorder=order,
    )  # fmt: skip
    lower, middle, upper = (
        dict(zip(rows, table[name].astype(float).tolist(), strict=True))
        for name in ("shrunken_lower", "shrunken", "shrunken_upper")
    )
    for colour in dict.fromkeys(map(_colour, rows)):
        suffix = {COLOURS["pooled"]: "_estimand", COLOURS["next"]: "_next"}.get(colour, "")
        intervals(
            page, f"interval{suffix}",
            {row: (lower[row], upper[row]) for row in rows if _colour(row) == colour},
            on="ridge", colour=colour, width=1.2, arrow=14.0, offset=0.05, zorder=6,
        )  # fmt: skip
    inside = {row: value for row, value in middle.items() if axis.low <= value <= axis.high}
    page.draw(
        spot, "median", inside, on="ridge", marker="o", size=13.0, offset=0.05, width=0.0,
        color={row: _colour(row) for row in inside}, zorder=7, clip_on=False,
    )  # fmt: skip
    first = next(row for row in rows if row.startswith("estimand:"))
    if first in inside:
        page.draw(
            upright, "pooled_line", {first: middle[first]}, on="ridge", top=page.top + 0.06,
            bottom=page.centre[first], color=COLOURS["pooled"], width=0.7, linestyle="--",
            zorder=1.5,
        )  # fmt: skip


def _shape(axis: Axis, draws: Array) -> Array:
    """Return the places of a hill and its heights, the highest 1, in one row."""
    x, height = density_on(axis, draws)
    if np.ptp(draws) == 0.0:
        x, height = np.full_like(x, draws[0]), np.linspace(1.0, 0.0, x.size)
    return np.concatenate([x, height / max(float(height.max()), 1e-300)])


def _hill(da: Any, target: Any, *, y: Any, rise: Any, color: Any, zorder: Any) -> Any:
    """Fill the ground below the heights of `da`, which follow their places, to a white edge."""
    x, height = np.asarray(da, dtype=float).reshape(2, -1)
    base = np.full(x.size, float(plain(y)))
    return backend_of(target).fill_between_y(
        x, base - float(plain(rise)) * height, base, target, facecolor=plain(color),
        edgecolor=COLOURS["paper"], linewidth=0.7, zorder=float(plain(zorder)),
    )  # fmt: skip


def _alt(title: str, fit: xr.DataTree, table: pd.DataFrame, rows: StudyRows) -> str:
    measure = measure_of(scale_of(design_of(fit)))
    places, unit = PLACES[measure], " %" if measure == "rate" else ""
    names = dict(rows.columns[0].cells)
    said = [
        f"{names.get(str(row), str(row).partition(':')[2])} "
        f"{number(each['shrunken'], measure, places)}{unit} "
        f"{span(each['shrunken_lower'], each['shrunken_upper'], measure, places)}"
        for row, each in table.iterrows()
    ]
    return f"{title}. {'; '.join(said)}."
