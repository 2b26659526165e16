"""The forest plot: every study as reported and as the model sees it, and what they say together."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from metacart.errors import named_options, refuse_unknown
from metacart.evidence.selection import StudySource
from metacart.inference.one_mean import of_one_mean
from metacart.plots.files import check_file, deliver
from metacart.plots.forest_bias import bias_of
from metacart.plots.forest_layouts import LAYOUTS
from metacart.plots.forest_marks import draw_differences, draw_pooled, draw_studies
from metacart.plots.forest_options import check_limits, check_width, fits_of
from metacart.plots.forest_order import SORTS
from metacart.plots.forest_page import Choices, open_forest
from metacart.plots.lights import draw_lights
from metacart.plots.measure import style
from metacart.records.risk_of_bias import Tool

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from arviz_plots import PlotCollection

__all__ = ["BACKENDS", "plot_forest"]

BACKENDS = ("matplotlib", "none")


@named_options
@of_one_mean
def plot_forest(
    fit: xr.DataTree | Mapping[str, xr.DataTree],
    *,
    layout: str = "default",
    columns: Sequence[str] | None = None,
    headings: Mapping[str, str] | None = None,
    extra: pd.DataFrame | None = None,
    sort: str | None = None,
    part: tuple[int, int] | None = None,
    subgroups: str | Literal[False] | None = None,
    single_study_summaries: bool = False,
    shrunken: bool | None = None,
    prediction: Literal["bar", "density", False] = "bar",
    axis: str | None = None,
    limits: tuple[float, float] | None = None,
    width: float | None = None,
    studies: StudySource | None = None,
    risk_of_bias: Tool | Literal[False] | None = None,
    file: str | os.PathLike[str] | None = None,
    backend: str = "matplotlib",
) -> PlotCollection:
    """Plot every study as reported and as the model sees it, and what they say together.

    Parameters
    ----------
    fit : DataTree or dict of str to DataTree
        From ``fit``. Several stand side by side under the names of the dict: two outcomes, or
        two models of one. What they share of studies and subgroups stands in one row.
    layout : {"default", "revman", "jama", "bmj"}
        The columns, words, brackets and colours of a figure of this package, of Review Manager 5,
        or of a journal.
    columns : list of str, optional
        Which columns, from the left; the marks stand at ``forest``. Known are ``study``, ``arm``,
        ``year``, ``evidence``, ``events``, ``total``, ``exposed``, ``control``,
        ``control_events``, ``control_total``, ``log_estimate``, ``se``, ``estimate``,
        ``interval``, ``effect`` (both in one), ``model``, ``weight``, ``risk_of_bias``, and every
        column of the evidence and of `extra`. One without any cell is left out.
    headings : dict of str to str, optional
        Other words above columns, by their names; may hold line breaks.
    extra : DataFrame, optional
        A table of your own with a column ``study``, and ``arm`` where it tells arms apart, as in
        the evidence; its columns can be named in `columns`.
    sort : {None, "name", "year", "effect", "weight", "precision"}
        The order of the studies, inside their subgroups: that of the evidence, by name, the
        earliest, the smallest estimate, the largest weight or the largest square first. Of
        several fits the first one decides.
    part : (int, int), optional
        Which studies have rows, by the places of the first and of the last one as they stand from
        the top: (1, 60) and (61, 120) are the first two pages of many. All by default, of which
        there may be 300; what is pooled is of all in each part.
    subgroups : str or False, optional
        A categorical moderator whose levels become blocks; the first one of the model by default,
        False for none.
    single_study_summaries : bool
        Whether a subgroup of one study has a diamond.
    shrunken : bool, optional
        Whether to draw each study's estimate from the model beside the reported one; by default
        in the layout ``default`` only.
    prediction : {"bar", "density"} or False
        How to draw the next study, False for not at all.
    axis : {None, "percent", "logit", "log", "linear"}
        Rates stand on ``percent``, or on ``logit``, where 0 and 100 % lie at arrows; ratios on
        ``log``, values on ``linear``.
    limits : (float, float), optional
        Where the axis begins and ends, rates as shares of 1; what lies beyond ends in an arrow.
    width : float, optional
        Inches that the figure is wide: 7 fits the page of most journals. By default as wide as its
        columns need. Its height follows from its rows.
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
        ``viz`` holds, by ``row``: the text columns by their names (those of the evidence and of
        `extra` as ``column_NAME``); the marks ``crude``, ``crude_interval``,
        ``shrunken``, ``shrunken_interval``, ``diamond``, ``next_study``, ``next_study_density``,
        ``next_study_median`` and ``pooled_line``; ``NAME_below``, ``NAME_above``, the arrows of
        what reaches beyond the axis; and with `studies` ``light_low``, ``light_high`` and so on.
        Those of a second fit end in ``_2``. Its attributes hold ``title`` and ``alt``, a
        description in words.

    Raises
    ------
    InputError
        For an unknown option, column or suffix, for a study of the fit that is not among
        `studies`, for `risk_of_bias` without them, for a `width` that the columns need for
        themselves, and for more than 300 rows of studies, before anything is drawn.

    Notes
    -----
    The numbers are those of ``forest_table``; in the layout ``default`` ratios of studies have the
    digits of their paper, in the others two decimals. Of the diamonds the population average is
    solid, for ratios the median study. Squares have areas in proportion to the patients, or for
    ratios and estimates to the precision, above a least size. The lights are those of the verb
    ``risk_of_bias``; a study with several rows has the same in each. A journal's layout calls
    intervals intervals: those of studies are confidence intervals, those of diamonds credible.

    Examples
    --------
    >>> import metacart as mc
    >>> fit = mc.fit("cr_rate")  # doctest: +SKIP
    >>> mc.plot_forest(fit, layout="jama", sort="year", file="forest.svg")  # doctest: +SKIP
    >>> both = {"Remission": fit, "Severe CRS": mc.fit("severe_crs")}  # doctest: +SKIP
    >>> mc.plot_forest(both)  # doctest: +SKIP
    """
    refuse_unknown("layout", layout, [*LAYOUTS])
    refuse_unknown("sort", sort, SORTS)
    refuse_unknown("prediction", prediction, ["bar", "density", False])
    refuse_unknown("backend", backend, BACKENDS)
    if file is not None:
        check_file(file)
    check_width(width)
    fits = fits_of(fit)
    check_limits(limits, fits, axis)
    bias = bias_of([*fits.values()], studies, risk_of_bias)
    look = LAYOUTS[layout]
    choices = Choices(
        columns=columns,
        headings=headings or {},
        extra=extra,
        sort=sort,
        part=part,
        subgroups=subgroups,
        single_study_summaries=single_study_summaries,
        shrunken=look.shrunken if shrunken is None else shrunken,
        prediction=prediction,
        axis=axis,
        limits=limits,
        width=width,
    )
    with style():
        forest = open_forest(fits, look, choices, bias, backend=backend)
        for shown in forest.panels:
            where = {"panel": shown.panel, "suffix": shown.suffix}
            draw_studies(
                forest.page, forest.lines, look,
                measure=shown.facts.measure, shrunken=choices.shrunken, **where,
            )  # fmt: skip
            draw_pooled(forest.page, forest.lines, look, densities=shown.densities, **where)
            draw_differences(forest.page, forest.lines, look, **where)
        if bias is not None and bias.grid.name in forest.page.grids:
            rows = {
                name: bias.lights[entry.first.study]
                for name, entry in forest.lines.entries.items()
                if entry.first.kind == "study"
            }
            draw_lights(forest.page, bias.grid.name, rows)
    return deliver(forest.page.collection, title=forest.title, alt=forest.alt, file=file)
