"""Which prior a quantity hangs on: power-scaling sensitivities against the threshold."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from metacart.errors import named_options, refuse_unknown
from metacart.inference.one_mean import of_one_mean
from metacart.inference.records import design_of
from metacart.modelling.design import moderators_of
from metacart.plots.axes import Axis
from metacart.plots.facts import capital, coefficient_words, failure_of, title_of
from metacart.plots.files import check_file, deliver
from metacart.plots.layout import Column, Key, Page, Panel, Row, open_page
from metacart.plots.marks import spot, upright
from metacart.plots.measure import COLOURS, style
from metacart.results.power_scaling import THRESHOLD, power_scaling

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from arviz_plots import PlotCollection

__all__ = ["plot_power_scaling"]

_BACKENDS = ("matplotlib", "none")
_LOW, _TICKS = 0.001, (0.001, 0.01, 0.05, 0.2, 1.0)
_NOTE = (
    "How far a posterior moves for each doubling of the power to which the density of a prior, or "
    "the likelihood of the studies, is raised."
)
_GREEK = {"mu": "μ", "tau": "τ", "beta": "β", "rho": "ρ", "all": "all priors"}


@named_options
@of_one_mean
def plot_power_scaling(
    fit: xr.DataTree,
    *,
    at: Mapping[str, Any] | None = None,
    file: str | os.PathLike[str] | None = None,
    backend: str = "matplotlib",
) -> PlotCollection:
    """Plot how far each quantity moves when a prior, or the likelihood, is raised to a power.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.
    at : dict of moderator to level or number, optional
        Where to stand, as for ``summarize``.
    file : path, optional
        Where to write the figure: ``.png``, ``.svg`` or ``.pdf``. The figure is then closed.
    backend : {"matplotlib", "none"}
        ``"none"`` draws nothing and keeps the structure.

    Returns
    -------
    arviz_plots.PlotCollection
        ``viz`` holds, by ``row`` (``scaled:QUANTITY:PRIOR``), the text columns ``quantity``,
        ``prior``, ``by_prior``, ``by_data`` and ``diagnosis``, and the marks
        ``prior_sensitivity`` and ``likelihood_sensitivity``. Its attributes hold ``title`` and
        ``alt``.

    Raises
    ------
    InputError
        For an unknown option or suffix.

    Notes
    -----
    The numbers are those of ``power_scaling``. Orange marks are priors beyond the threshold of
    0.05 (Kallioinen and others 2024).

    Examples
    --------
    >>> import metacart as mc
    >>> mc.plot_power_scaling(mc.fit("cr_rate"), file="power.svg")  # doctest: +SKIP
    """
    refuse_unknown("backend", backend, _BACKENDS)
    if file is not None:
        check_file(file)
    table = power_scaling(fit, at=at)
    # the priors of one quantity stand together
    order = {name: number for number, name in enumerate(dict.fromkeys(table["quantity"]))}
    table = table.sort_values("quantity", key=lambda names: names.map(order), kind="stable")
    table["row"] = "scaled:" + table["quantity"] + ":" + table["prior"]
    with style():
        page = _page(fit, table, backend)
        _draw(page, table)
    title = f"{title_of(fit)}: power-scaling of priors and likelihood"
    return deliver(page.collection, title=title, alt=_alt(title, table), file=file)


def _page(fit: xr.DataTree, table: pd.DataFrame, backend: str) -> Page:
    words = {f"beta {name}": text for name, text in _coefficients(fit).items()}
    cells: dict[str, dict[str, str]] = {
        name: {} for name in ("quantity", "prior", "by_prior", "by_data", "diagnosis")
    }
    rows, before = [], None
    for row in table.to_dict("records"):
        name, quantity = row["row"], str(row["quantity"])
        rows.append(Row(name, ruled=before not in (None, quantity)))
        if quantity != before:
            first, _, rest = quantity.partition(" ")
            own = " ".join(filter(None, (_GREEK.get(first, first), rest)))
            cells["quantity"][name] = words.get(quantity) or (
                own if first in _GREEK else capital(own)
            )
            cells["by_data"][name] = f"{row['likelihood_sensitivity']:.3f}"
        cells["prior"][name] = _GREEK.get(row["prior"], row["prior"])
        cells["by_prior"][name] = f"{row['prior_sensitivity']:.3f}"
        cells["diagnosis"][name] = row["diagnosis"]
        before = quantity
    highest = float(table[["prior_sensitivity", "likelihood_sensitivity"]].max().max())
    more = range(1, math.ceil(math.log10(max(highest, 1.0))) + 1)
    ticks = (*_TICKS, *(10.0**power for power in more))
    axis = Axis(_LOW, ticks[-1], ticks, tuple(f"{tick:g}" for tick in ticks), "", scale="log")
    return open_page(
        rows=rows,
        parts=[
            Column("quantity", "Quantity", cells["quantity"]),
            Column("prior", "Scaled", cells["prior"]),
            Panel("sensitivity", axis, "Sensitivity", width=2.6),
            Column("by_prior", "Prior", cells["by_prior"], "right"),
            Column("by_data", "Data", cells["by_data"], "right"),
            Column("diagnosis", "Reading", cells["diagnosis"]),
        ],
        key=[
            Key("dot", "of a prior", COLOURS["model"]),
            Key("dot", f"of a prior, {THRESHOLD:g} or more", COLOURS["next"]),
            Key("cross", "of the likelihood", COLOURS["crude"]),
            Key("dash", f"{THRESHOLD:g}", COLOURS["rule"]),
        ],
        notes=[_NOTE],
        warning=failure_of(fit),
        backend=backend,
    )


def _coefficients(fit: xr.DataTree) -> dict[str, str]:
    return coefficient_words(moderators_of(design_of(fit)))


def _draw(page: Page, table: pd.DataFrame) -> None:
    axis = page.axes["sensitivity"]
    page.draw(
        upright, "threshold", {str(table["row"].iloc[0]): THRESHOLD}, on="sensitivity",
        top=page.top + 0.08, bottom=page.bottom, color=COLOURS["rule"], width=0.8, linestyle="--",
        zorder=1,
    )  # fmt: skip
    whole = table[table["prior"] == "all"]
    for name, rows, marker, size in (
        ("likelihood_sensitivity", whole, "X", 26.0),
        ("prior_sensitivity", table, "o", 17.0),
    ):
        values = dict(zip(rows["row"], rows[name], strict=True))
        counts = name == "prior_sensitivity"
        colours = {
            row: COLOURS[("next" if value >= THRESHOLD else "model") if counts else "crude"]
            for row, value in values.items()
        }
        page.draw(
            spot, name, {row: max(float(value), axis.low) for row, value in values.items()},
            on="sensitivity", marker=marker, size=size, color=colours, width=0.0, zorder=3,
            clip_on=False,
        )  # fmt: skip


def _alt(title: str, table: pd.DataFrame) -> str:
    strong = table[table["prior_sensitivity"] >= THRESHOLD]
    said = [
        f"{row['quantity']}, {_GREEK.get(row['prior'], row['prior'])}: "
        f"{row['prior_sensitivity']:.3f}, {row['diagnosis']}"
        for row in strong.to_dict("records")
    ]
    rest = (
        f"{len(table) - len(strong)} of {len(table)} below {THRESHOLD:g}: the prior hardly matters"
    )
    return f"{title}. {'; '.join([*said, rest])}."
