"""The L'Abbé plot: the rate of one group against that of the other, and the line of one effect."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from metacart.errors import named_options, refuse_unknown
from metacart.inference.one_mean import of_one_mean
from metacart.inference.records import design_of, spec_of
from metacart.modelling.moderators import level_text
from metacart.plots.axes import percent_axis
from metacart.plots.facts import SIDES, capital, failure_of, name_of, outcome_of, title_of
from metacart.plots.files import check_file, deliver
from metacart.plots.marks import backend_of, bubble
from metacart.plots.measure import COLOURS, style
from metacart.plots.page import Key, Page
from metacart.plots.planes import name_points, one_plane, open_plane
from metacart.results.labbe_table import labbe_table

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from arviz_plots import PlotCollection

__all__ = ["plot_labbe"]

_BACKENDS = ("matplotlib", "none")
_SIZE = 4.6, 4.6  # inches of the panel
_NAMED = 10  # more studies have no name of their own
_SMALLEST, _LARGEST = 12.0, 420.0  # square points


@named_options
@of_one_mean
def plot_labbe(
    fit: xr.DataTree,
    *,
    at: Mapping[str, Any] | None = None,
    file: str | os.PathLike[str] | None = None,
    backend: str = "matplotlib",
) -> PlotCollection:
    """Plot the event rates of two groups against each other, with the line of one effect.

    Parameters
    ----------
    fit : DataTree
        From ``fit``, of counts of two groups.
    at : dict of moderator to level or number, optional
        Where to stand, as for ``summarize``.
    file : path, optional
        Where to write the figure: ``.png``, ``.svg`` or ``.pdf``. The figure is then closed.
    backend : {"matplotlib", "none"}
        ``"none"`` draws nothing and keeps the structure.

    Returns
    -------
    arviz_plots.PlotCollection
        ``viz`` holds ``bubble`` (and, of up to 10 studies, ``name`` where it has room) by ``row``;
        its attributes hold ``title`` and ``alt``. The lines are artists whose ``gid`` is
        ``identity``, ``line``, ``band`` and ``next_band``.

    Raises
    ------
    InputError
        As ``labbe_table``, and for an unknown option or suffix.

    Notes
    -----
    The numbers are those of ``labbe_table``. Studies with the same odds ratio (or hazard ratio)
    lie on one curve from corner to corner, not on a straight line. Groups without an event, or in
    which all have it, stand at the edge.

    Examples
    --------
    >>> import metacart as mc
    >>> spec = mc.load_model("hsct_relapse").model_copy(update={"kinds": ("contrast",)})
    >>> mc.plot_labbe(mc.fit(spec), file="labbe.png")  # doctest: +SKIP
    """
    refuse_unknown("backend", backend, _BACKENDS)
    if file is not None:
        check_file(file)
    table = labbe_table(fit, at=at)
    findings = table[table["row"] == "finding"].reset_index(drop=True)
    sizes = findings["patients"].to_numpy(dtype=float)
    area = np.maximum(_SMALLEST, _LARGEST * sizes / sizes.max())
    rows = {f"finding:{n}": float(rate) for n, rate in enumerate(findings["rate"])}
    across = dict(zip(rows, findings["control_rate"].astype(float), strict=True))
    areas = dict(zip(rows, area.tolist(), strict=True))
    reach = {row: float(np.sqrt(each / np.pi) / 72) for row, each in areas.items()}
    with_, without = _groups(fit)
    x, y = (percent_axis(f"{group}: {_counted(fit)}, % of patients") for group in (without, with_))
    plane = one_plane("labbe", x, y, _SIZE, edge=max(reach.values()))
    with style():
        page = open_plane(
            plane, rows, key=_key(fit), notes=[_note(fit, findings, at or {})],
            warning=failure_of(fit), backend=backend,
        )  # fmt: skip
        _draw_lines(page, table[table["row"] == "curve"])
        page.draw(
            bubble, "bubble", across, on="labbe", size=areas, color=COLOURS["crude"], hollow=False
        )
        if len(rows) <= _NAMED:
            large = sorted(rows, key=lambda row: -areas[row])
            labels = dict(zip(rows, findings["label"], strict=True))
            names = {row: labels[row] for row in large}
            name_points(page, plane, across, names, reach=reach)
    title = f"{title_of(fit)}: L'Abbé plot"
    return deliver(page.collection, title=title, alt=_alt(title, findings), file=file)


def _groups(fit: xr.DataTree) -> tuple[str, str]:
    """Return the names of the two groups."""
    exposure = spec_of(fit).exposure
    if exposure is None:
        return "Exposed group", "Control group"
    words = exposure.replace("_", " ")
    with_, without = SIDES.get(exposure, (words, f"no {words}"))
    return capital(with_), capital(without)


def _counted(fit: xr.DataTree) -> str:
    """Return what is counted: of survival, those who do not survive so."""
    outcome = outcome_of(fit)
    return f"events ({outcome})" if outcome.endswith("survival") else outcome


def _draw_lines(page: Page, curve: pd.DataFrame) -> None:
    plot = page.plot("labbe")
    backend = backend_of(plot)
    x, y, low, high, next_low, next_high = (
        curve[name].to_numpy(dtype=float)
        for name in ("control_rate", "rate", "lower", "upper", "next_lower", "next_upper")
    )
    for name, below, above, alpha in (
        ("next_band", next_low, next_high, 0.10),
        ("band", low, high, 0.24),
    ):
        backend.fill_between_y(
            x, below, above, plot, color=COLOURS["model"], alpha=alpha, linewidth=0.0, zorder=0,
            gid=name,
        )  # fmt: skip
    ends = np.asarray([0.0, 1.0])
    backend.line(
        ends, ends, plot, color=COLOURS["rule"], width=0.9, linestyle="--", zorder=1, gid="identity"
    )
    backend.line(x, y, plot, color=COLOURS["model"], width=1.6, zorder=3, gid="line")


def _key(fit: xr.DataTree) -> list[Key]:
    ratio = "hazard ratio" if _hazard(fit) else "odds ratio"
    return [
        Key("dot", "a study, area as its patients", COLOURS["crude"]),
        Key("line", f"pooled {ratio}", COLOURS["model"]),
        Key("bar", "its 95 % interval", COLOURS["model"], 0.45),
        Key("bar", "next study, 95 %", COLOURS["model"], 0.18),
        Key("dashed", "no difference", COLOURS["rule"]),
    ]


def _hazard(fit: xr.DataTree) -> bool:
    return bool(design_of(fit)["hazard"].to_numpy().all())


def _note(fit: xr.DataTree, findings: pd.DataFrame, at: Mapping[str, Any]) -> str:
    sizes = findings["patients"]
    parts = [f"{len(findings)} comparisons of {sizes.min()} to {sizes.max()} patients."]
    if at:
        stated = ", ".join(f"{name_of(name)} = {level_text(value)}" for name, value in at.items())
        parts.append(f"Line at {stated}.")
    if spec_of(fit).likelihood == "hsct":
        parts.append("Counts as reported; the pooled hazard ratio is naive too.")
    parts.append(
        "Rates as counted, with nothing added; each has its own uncertainty, which the line does "
        "not show. Bands are 95 % equal-tailed, at each rate of the control group by itself."
    )
    return " ".join(parts)


def _alt(title: str, findings: pd.DataFrame) -> str:
    above = int((findings["rate"] > findings["control_rate"]).sum())
    below = int((findings["rate"] < findings["control_rate"]).sum())
    large = findings.iloc[int(findings["patients"].to_numpy(dtype=float).argmax())]
    return (
        f"{title}. {len(findings)} comparisons: in {above} the rate is above that of the control "
        f"group, in {below} below. The largest, {large['label']}: {100 * large['rate']:.0f} % "
        f"({large['events']}/{large['total']}) against {100 * large['control_rate']:.0f} % "
        f"({large['control_events']}/{large['control_total']})."
    )
