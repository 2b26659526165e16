"""The regression plot: what was reported along a number, and the model's curve through it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from metacart.errors import Fault, InputError, named_options, refuse_unknown
from metacart.inference.one_mean import of_one_mean
from metacart.inference.records import design_of, spec_of
from metacart.modelling.design import moderators_of, scale_of
from metacart.modelling.moderators import level_text, main_effects
from metacart.plots.axes import linear_axis, percent_axis, ratio_axis, tight
from metacart.plots.facts import (
    axis_words,
    capital,
    failure_of,
    measure_of,
    name_of,
    null_of,
    title_of,
)
from metacart.plots.files import check_file, deliver
from metacart.plots.measure import COLOURS, style
from metacart.plots.page import Key
from metacart.plots.planes import open_plane
from metacart.plots.regression_marks import Picture, draw_curves, draw_findings
from metacart.records.moderation import unit_words
from metacart.results.regression import regression_table

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from arviz_plots import PlotCollection

__all__ = ["plot_regression"]

_BACKENDS = ("matplotlib", "none")
_SIZES = ("patients", "precision")
# Okabe and Ito's palette, those that differ in lightness first
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_AVERAGED = {"population_average": "population average", "median_study": "median study"}


@named_options
@of_one_mean
def plot_regression(
    fit: xr.DataTree,
    moderator: str,
    *,
    by: str | None = None,
    at: Mapping[str, Any] | None = None,
    size: str | None = None,
    file: str | os.PathLike[str] | None = None,
    backend: str = "matplotlib",
) -> PlotCollection:
    """Plot what was reported along a numeric moderator, and the model's curve through it.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.
    moderator : str
        A numeric moderator of the model.
    by : str, optional
        A categorical moderator, for a curve at each of its levels; by default one with which the
        moderator interacts.
    at : dict of moderator to level or number, optional
        Where the other moderators stand; else they are averaged over the evidence.
    size : {"patients", "precision"}, optional
        What the area of a bubble shows; patients where the evidence counts them, else precision,
        one over the variance on the model scale.
    file : path, optional
        Where to write the figure: ``.png``, ``.svg`` or ``.pdf``. The figure is then closed.
    backend : {"matplotlib", "none"}
        ``"none"`` draws nothing and keeps the structure.

    Returns
    -------
    arviz_plots.PlotCollection
        ``viz`` holds ``bubble`` (and, of up to 20 findings, ``interval``; of up to 10 ``name``) by
        ``row``; its attributes hold ``title`` and ``alt``. The curves are artists whose ``gid`` is
        ``line:LEVEL``, ``average_band:LEVEL`` and ``next_band:LEVEL``.

    Raises
    ------
    InputError
        As ``regression_table``, and for an unknown option, suffix or size.

    Notes
    -----
    The numbers are those of ``regression_table``. The line is the posterior median of the
    population average, or of the median study where there is none, as for ratios; the bands are
    95 % equal-tailed, at each value by itself. A finding whose moderator was imputed is an open
    bubble at the posterior median.

    Examples
    --------
    >>> import metacart as mc
    >>> along = {"moderators": ("year",), "reference": {"year": 2020}}
    >>> spec = mc.load_model("cr_rate").model_copy(update=along)
    >>> mc.plot_regression(mc.fit(spec), "year", file="year.png")  # doctest: +SKIP
    """
    refuse_unknown("backend", backend, _BACKENDS)
    if size is not None:
        refuse_unknown("size", size, _SIZES)
    if file is not None:
        check_file(file)
    table = regression_table(fit, moderator, by=by, at=at)
    picture = _picture(fit, table, moderator, size)
    key, notes = _key(picture), _notes(fit, picture, at or {}, str(table.attrs["by"]))
    with style():
        rows = {f"finding:{n}": float(y) for n, y in enumerate(picture.findings["crude"])}
        page = open_plane(
            picture.plane, rows, key=key, notes=notes, warning=failure_of(fit), backend=backend
        )
        draw_curves(page, picture)
        draw_findings(page, picture)
    title = f"{title_of(fit)}, by {name_of(moderator).lower()}"
    return deliver(page.collection, title=title, alt=_alt(title, picture), file=file)


def _picture(fit: xr.DataTree, table: pd.DataFrame, moderator: str, size: str | None) -> Picture:
    findings = table[table["row"] == "finding"].reset_index(drop=True)
    curves = table[table["row"] == "curve"].reset_index(drop=True)
    counted = bool(findings["patients"].notna().all())
    if size == "patients" and not counted:
        found = "patients, but the evidence does not count them"
        raise InputError(Fault("size", found, "precision", "size='precision'"))
    line = next(name for name in _AVERAGED if name in curves)
    measure = measure_of(scale_of(design_of(fit)))
    points = [*findings["crude"], *curves[line]]
    ends = [
        *zip(findings["crude_lower"], findings["crude_upper"], strict=True),
        *zip(curves[f"{line}_lower"], curves[f"{line}_upper"], strict=True),
    ]
    if measure == "rate":
        y = percent_axis(axis_words(fit))
    elif measure == "ratio":
        y = ratio_axis(axis_words(fit), points=points, intervals=ends, null=null_of(fit))
    else:
        y = linear_axis(axis_words(fit), points=points, intervals=ends)
    across = [*findings[moderator], *curves[moderator]]
    x = linear_axis(_x_words(fit, moderator), points=across, intervals=[])
    x = tight(x, [float(value) for value in across])
    levels = list(dict.fromkeys(curves["level"]))
    colours = {level: _COLOURS[n % len(_COLOURS)] for n, level in enumerate(levels)}
    chosen = size or ("patients" if counted else "precision")
    return Picture(findings, curves, moderator, line, chosen, x, y, colours)


def _x_words(fit: xr.DataTree, moderator: str) -> str:
    if moderator == "year":
        return "Year of the paper"
    unit = unit_words(spec_of(fit).unit.get(moderator, ""))
    unit = unit or {"age": "years"}.get(moderator, "")
    return f"{name_of(moderator)}, {unit}" if unit else name_of(moderator)


def _key(picture: Picture) -> list[Key]:
    several = len(picture.colours) > 1
    what = _AVERAGED[picture.line]
    key = [
        Key("line", f"{what}, {level}" if level else f"{what}, posterior median", colour)
        for level, colour in picture.colours.items()
    ]
    shade = COLOURS["rule"] if several else picture.colours[next(iter(picture.colours))]
    key += [
        Key("bar", "its 95 % band", shade, 0.45),
        Key("dotted" if several else "bar", "next study, 95 %", shade, 0.18),
        Key("dot", f"reported; area: {picture.size}", COLOURS["crude"]),
    ]
    return key


def _notes(fit: xr.DataTree, picture: Picture, at: Mapping[str, Any], by: str) -> list[str]:
    findings = picture.findings
    notes = []
    sizes = findings[picture.size]
    if picture.size == "patients":
        notes.append(
            f"{len(findings)} findings of {sizes.min():.0f} to {sizes.max():.0f} patients."
        )
    if gaps := int(findings["imputed"].sum()):
        notes.append(
            f"Open bubbles: {gaps} of {len(findings)} findings without a stated "
            f"{name_of(picture.moderator).lower()}, at its imputed median."
        )
    if at:
        stated = ", ".join(f"{name_of(name)} = {level_text(value)}" for name, value in at.items())
        notes.append(f"Curves at {stated}.")
    mains = [each.name for each in main_effects(moderators_of(design_of(fit)))]
    if others := [name for name in mains if name not in {picture.moderator, by, *at}]:
        names = ", ".join(name_of(name) for name in others)
        notes.append(f"Averaged over the evidence: {names}.")
    notes.append(
        "Bands are 95 % equal-tailed, at each value by itself. Studies are compared, not patients "
        "within them: other differences between studies may lie behind a slope."
    )
    return [" ".join(notes)]


def _alt(title: str, picture: Picture) -> str:
    parts = [f"{title}. Bubbles: {len(picture.findings)} findings."]
    scale = 100.0 if picture.y.label.endswith("% of patients") else 1.0
    unit = " %" if scale > 1 else ""
    along = picture.plane.x.label.partition(", ")[2]
    for level in picture.colours:
        curve = picture.curves[picture.curves["level"] == level]
        ends = []
        for row in (curve.iloc[0], curve.iloc[-1]):
            middle, low, high = (
                f"{scale * row[f'{picture.line}{end}']:.3g}" for end in ("", "_lower", "_upper")
            )
            ends.append(f"{middle}{unit} ({low} to {high}) at {row[picture.moderator]:g} {along}")
        what = capital(_AVERAGED[picture.line]) + (f", {level}" if level else "")
        parts.append(f"{what}: {ends[0].rstrip()}, {ends[1].rstrip()}.")
    return " ".join(parts)
