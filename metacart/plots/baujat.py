"""The Baujat plot: what each study adds to heterogeneity against how far it moves the answer."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from metacart.errors import named_options, refuse_unknown
from metacart.inference.one_mean import of_one_mean
from metacart.inference.records import spec_of
from metacart.modelling.likelihoods import Likelihoods
from metacart.plots.axes import Axis, linear_axis, tight
from metacart.plots.facts import failure_of, labels_of, title_of
from metacart.plots.files import check_file, deliver
from metacart.plots.marks import spot
from metacart.plots.measure import COLOURS, style
from metacart.plots.page import Key
from metacart.plots.planes import name_points, one_plane, open_plane
from metacart.results.baujat_table import baujat_table

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from arviz_plots import PlotCollection

__all__ = ["plot_baujat"]

_BACKENDS = ("matplotlib", "none")
_SIZE = 5.4, 3.6  # inches of the panel
_NAMED = 10  # more studies have no name of their own
_AREA = 26.0  # square points
_LEADING = {"Q": "Cochran's Q", "G²": "the likelihood-ratio statistic G²"}


@named_options
@of_one_mean
def plot_baujat(
    fit: xr.DataTree,
    *,
    likelihoods: Likelihoods | None = None,
    file: str | os.PathLike[str] | None = None,
    backend: str = "matplotlib",
) -> PlotCollection:
    """Plot what each study adds to heterogeneity against how far it moves a common effect.

    Parameters
    ----------
    fit : DataTree
        From ``fit``, without moderators.
    likelihoods : mapping of str to Likelihood or System, optional
        Those of the fit, where they are not the shipped ones.
    file : path, optional
        Where to write the figure: ``.png``, ``.svg`` or ``.pdf``. The figure is then closed.
    backend : {"matplotlib", "none"}
        ``"none"`` draws nothing and keeps the structure.

    Returns
    -------
    arviz_plots.PlotCollection
        ``viz`` holds, by ``row``, ``study`` and the ``name`` of the ten that stand out most, where
        it has room. Its attributes hold ``title`` and ``alt``.

    Raises
    ------
    InputError
        As ``baujat_table``, and for an unknown option or suffix.

    Notes
    -----
    The numbers are those of ``baujat_table``: to the right stand studies that disagree with the
    others, at the top those without which a common effect would be another.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.plot_baujat(mc.fit("cr_rate"), file="baujat.png")  # doctest: +SKIP
    """
    refuse_unknown("backend", backend, _BACKENDS)
    if file is not None:
        check_file(file)
    table = baujat_table(fit, likelihoods=likelihoods)
    table = table.assign(label=labels_of(fit, table["left_out"]))
    names_of_rows = [f"left:{left}" for left in table["left_out"]]
    rows = dict(zip(names_of_rows, table["influence"].astype(float), strict=True))
    at = dict(zip(rows, table["contribution"].astype(float), strict=True))
    reach = float(np.sqrt(_AREA / np.pi) / 72)
    plane = one_plane("baujat", *_axes(table), _SIZE, edge=reach)
    with style():
        page = open_plane(
            plane, rows, key=[Key("dot", "a study", COLOURS["model"])],
            notes=[_note(fit, table)], warning=failure_of(fit), backend=backend,
        )  # fmt: skip
        page.draw(
            spot, "study", at, on="baujat", marker="o", size=_AREA, color=COLOURS["model"],
            width=0.6, edgecolor=COLOURS["paper"], zorder=5, clip_on=False,
        )  # fmt: skip
        names = dict(list(zip(rows, table["label"], strict=True))[:_NAMED])
        every = dict.fromkeys(rows, reach)
        name_points(page, plane, at, names, reach=every)
    title = f"{title_of(fit)}: Baujat plot"
    return deliver(page.collection, title=title, alt=_alt(title, table), file=file)


def _axes(table: pd.DataFrame) -> tuple[Axis, Axis]:
    statistic = str(table.attrs["statistic"])
    unit = "squared standard errors" if statistic == "Q" else "change of 2 log likelihood"
    labels = {
        "contribution": f"Contribution to heterogeneity, part of {_LEADING[statistic]}",
        "influence": f"Influence on the common effect, {unit}",
    }
    found = []
    for name, label in labels.items():
        values = [0.0, *table[name].astype(float)]
        axis = replace(linear_axis(label, points=values, intervals=[]), low=0.0)
        found.append(tight(axis, values))
    x, y = found
    return x, y


def _note(fit: xr.DataTree, table: pd.DataFrame) -> str:
    found = table.attrs
    statistic = f"{found['statistic']} = {found['total']:.1f} on {found['df']} degrees of freedom"
    parts = ["Under one effect common to all studies, without study effects."]
    parts.append(f"{statistic}; where studies do not differ, each adds about 1.")
    if spec_of(fit).likelihood == "hsct":
        parts.append("Transplant is read naively.")
    parts.append("The answer of the model, with its study effects, moves otherwise.")
    return " ".join(parts)


def _alt(title: str, table: pd.DataFrame) -> str:
    first = [
        f"{row.label} ({row.contribution:.2g}, {row.influence:.2g})"
        for row in table.head(3).itertuples()
    ]
    return (
        f"{title}. {len(table)} studies by their contribution to {table.attrs['statistic']} = "
        f"{table.attrs['total']:.3g} and their influence on the common effect. Those that stand "
        f"out most: {', '.join(first)}."
    )
