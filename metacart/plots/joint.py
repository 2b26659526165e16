"""The pooled mean and the between-study SD together, and each study given that SD."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.errors import named_options, refuse_unknown
from metacart.inference.one_mean import of_one_mean
from metacart.inference.records import design_of, spec_of
from metacart.modelling.design import moderators_of, scale_of
from metacart.modelling.likelihoods import Likelihoods
from metacart.plots.axes import Axis, effect_axis, linear_axis
from metacart.plots.facts import (
    axis_words,
    failure_of,
    measure_of,
    null_of,
    priors_of,
    reported,
    title_of,
)
from metacart.plots.files import check_file, deliver
from metacart.plots.joint_region import Region, prior_of, region_of, tau_and_mu
from metacart.plots.marks import backend_of
from metacart.plots.measure import COLOURS, MARGIN, style
from metacart.plots.numbers import number, span
from metacart.plots.page import Key, Page
from metacart.plots.planes import (
    Plane,
    name_lines,
    named_width,
    names_height,
    open_planes,
)
from metacart.records.priors import parse_prior
from metacart.results.conditional_means import conditional_means, one_tau
from metacart.results.numbers import describe
from metacart.results.summary import views_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from arviz_plots import PlotCollection

__all__ = ["plot_joint"]

Array = NDArray[np.float64]
_BACKENDS = ("matplotlib", "none")
_LEFT, _WIDE, _TOP = 0.5, 3.9, 0.36  # inches
_JOINT, _TRACES, _STRIP = 2.3, 2.7, 0.5
_NAMED, _FEW = 30, 20  # of more lines the highest and the lowest have names
_EXPLANATION = (
    "Regions of highest density. At τ = 0 the studies differ by chance alone; the larger τ, the "
    "less each takes from the others. τ runs to the 99.5 % quantile of its posterior."
)
_FILLS = ("#cfe3f1", "#7fb5d8")  # the two regions, the wider first


@named_options
@of_one_mean
def plot_joint(
    fit: xr.DataTree,
    *,
    likelihoods: Likelihoods | None = None,
    file: str | os.PathLike[str] | None = None,
    backend: str = "matplotlib",
) -> PlotCollection:
    """Plot mu and tau together, and beneath them what each study would be if tau were known.

    Parameters
    ----------
    fit : DataTree
        From ``fit``, with one tau.
    likelihoods : mapping of str to Likelihood or System, optional
        Those of the fit, where they are not the shipped ones.
    file : path, optional
        Where to write the figure: ``.png``, ``.svg`` or ``.pdf``. The figure is then closed.
    backend : {"matplotlib", "none"}
        ``"none"`` draws nothing and keeps the structure.

    Returns
    -------
    arviz_plots.PlotCollection
        Plots ``joint``, ``traces`` and ``tau`` along ``column``; ``viz`` holds the ``name`` of each
        line by ``row``, its attributes ``title`` and ``alt``. Artists have a ``gid``: ``posterior``
        and ``prior`` (and ``naive``), ``trace:FINDING``, ``trace:mu`` and its ``band:mu``,
        ``tau_posterior`` and ``tau_prior``.

    Raises
    ------
    InputError
        As ``conditional_means``, and for an unknown option or suffix.

    Notes
    -----
    The lines are those of ``conditional_means``. The regions hold 50 and 95 % of the posterior at
    the highest density, a kernel estimate reflected at a tau of 0; those of the prior are exact, of
    its formula. Of a transplant question the regions are those of mu adjusted for immortal time,
    with the naive one as an outline; the lines are naive, as the ratios were printed. ArviZ's
    ``plot_pair`` has no prior and no natural units.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.plot_joint(mc.fit("cr_rate"), file="joint.svg")  # doctest: +SKIP
    """
    refuse_unknown("backend", backend, _BACKENDS)
    one_tau(fit)
    if file is not None:
        check_file(file)
    table, names = conditional_means(fit, likelihoods=likelihoods), _names(fit)
    regions = {view: region_of(*tau_and_mu(fit, view)) for view in views_of(fit)}
    prior = prior_of(fit, regions["posterior"])
    shown = _shown(table, names)
    planes = _planes(fit, table, names, shown, regions)
    with style():
        page = open_planes(
            planes,
            size=(
                _LEFT + _WIDE + max(named_width(shown), 0.3) + 2 * MARGIN,
                planes[-1].top + planes[-1].high + 0.46,
            ),
            key=_key(fit),
            notes=_notes(fit, len(names), len(shown)),
            warning=failure_of(fit),
            backend=backend,
            rows=dict.fromkeys(names, 0.0),
        )
        _draw_joint(page, regions, prior)
        _draw_traces(page, table, [*names])
        _draw_tau(page, fit, planes)
        _draw_median(page, fit, planes)
        last = table[table["tau"] == table["tau"].max()].set_index("row")["mean"]
        name_lines(page, planes[1], shown, {row: float(last[row]) for row in shown})
    title = f"{title_of(fit)}: μ and τ together"
    return deliver(page.collection, title=title, alt=_alt(title, fit, table), file=file)


# --- what is shown ------------------------------------------------------------------------------


def _names(fit: xr.DataTree) -> dict[str, str]:
    """Return the findings that have a line of their own, with their words."""
    design, findings = design_of(fit), reported(fit)
    group, x = design["group"].to_numpy(), design["x"].to_numpy()
    rows = [str(each) for each in design["finding"].to_numpy()]
    found: dict[Any, str] = {}
    for n, row in enumerate(rows):
        alike = n if spec_of(fit).within else (group[n], *x[n].tolist())
        found.setdefault(alike, row)
    kept = set(found.values())
    labels = [findings[n].label for n, row in enumerate(rows) if row in kept]
    names = {}
    for each, row in zip(findings, rows, strict=True):
        if row in kept:
            several = labels.count(each.label) > 1 and each.arm
            names[row] = f"{each.label}, {each.arm}" if several else each.label
    return names


def _shown(table: pd.DataFrame, names: Mapping[str, str]) -> dict[str, str]:
    """Return the names that are written."""
    if len(names) <= _NAMED:
        return dict(names)
    last = table[table["tau"] == table["tau"].max()].set_index("row")["mean"]
    order = sorted(names, key=lambda row: float(last[row]))
    half = _FEW // 2
    return {row: names[row] for row in (*order[:half], *order[-half:])}


def _planes(
    fit: xr.DataTree,
    table: pd.DataFrame,
    names: Mapping[str, str],
    named: Mapping[str, str],
    regions: Mapping[str, Region],
) -> list[Plane]:
    scale = scale_of(design_of(fit))
    null = null_of(fit) if measure_of(scale) == "ratio" else None
    null = None if null is None else float(scale.link(null))
    shown = table[table["row"].isin(["mu", *names])]
    pooled = shown[shown["row"] == "mu"]
    ends = [
        float((pooled["mean"] - 1.96 * pooled["sd"]).min()),
        float((pooled["mean"] + 1.96 * pooled["sd"]).max()),
        float(shown["mean"].min()),
        float(shown["mean"].max()),
    ]
    low, high = min(ends), max(ends)
    edge = 0.03 * (high - low)
    inside = [
        each.mu[(each.density > each.levels[0]).any(axis=0)][[0, -1]] for each in regions.values()
    ]
    lowest, highest = float(np.min(inside)), float(np.max(inside))
    reach = 0.12 * (highest - lowest)
    unit = "" if scale.name == "identity" else f" ({scale.linear})"
    most = float(table["tau"].max())
    x = linear_axis(f"τ, between-study SD{unit}", points=[0.0, most], intervals=[])
    x = replace(x, low=0.0, high=most)
    kept = [n for n, tick in enumerate(x.ticks) if 0.0 <= tick <= x.high]
    x = replace(
        x,
        ticks=tuple(x.ticks[n] for n in kept),
        tick_labels=tuple(x.tick_labels[n] for n in kept),
    )
    words = axis_words(fit)
    flat = Axis(0.0, 1.08, (), ())
    tall = max(_TRACES, names_height(named))
    left = MARGIN + _LEFT
    below = _TOP + _JOINT + 0.46
    traces = effect_axis(scale, low - edge, high + edge, null=null)
    joint = effect_axis(scale, lowest - reach, highest + reach, null=null)
    return [
        Plane("joint", x, joint, left, _TOP, _WIDE, _JOINT, f"μ: {words}", ticked=False),
        Plane(
            "traces", x, traces, left, below, _WIDE, tall,
            "The studies and μ, were τ known: E[θ | τ] and E[μ | τ]", ticked=False,
        ),
        Plane(
            "tau", x, flat, left, below + tall + 0.42, _WIDE, _STRIP, "Density of τ"
        ),
    ]  # fmt: skip


# --- drawing ------------------------------------------------------------------------------------


def _draw_joint(page: Page, regions: Mapping[str, Region], prior: Region | None) -> None:
    plot = page.plot("joint")
    backend = backend_of(plot)
    own = regions["posterior"]
    top = float(own.density.max()) * 1.01
    backend.contourf(
        own.tau, own.mu, own.density, plot, levels=[*own.levels, top], colors=_FILLS, zorder=1,
        gid="posterior",
    )  # fmt: skip
    lines = [(own, COLOURS["model"], "solid", 0.9, "posterior_line")]
    if prior is not None:
        lines.append((prior, COLOURS["rule"], "dashed", 0.8, "prior"))
    if "naive" in regions:
        lines.append((regions["naive"], COLOURS["next"], "dotted", 1.1, "naive"))
    for each, colour, line, width, name in lines:
        shown = [level for level in each.levels if level < float(each.density.max())]
        if shown:
            backend.contour(
                each.tau, each.mu, each.density, plot, levels=shown, colors=[colour],
                linestyles=line, linewidths=width, zorder=2, gid=name,
            )  # fmt: skip


def _draw_traces(page: Page, table: pd.DataFrame, rows: list[str]) -> None:
    plot = page.plot("traces")
    backend = backend_of(plot)
    for row in rows:
        own = table[table["row"] == row]
        backend.line(
            own["tau"].to_numpy(), own["mean"].to_numpy(), plot, color=COLOURS["crude"],
            width=0.7 if len(rows) <= 25 else 0.5, alpha=0.85, zorder=3, gid=f"trace:{row}",
        )  # fmt: skip
    mu = table[table["row"] == "mu"]
    tau, mean, half = (mu[name].to_numpy(dtype=float) for name in ("tau", "mean", "sd"))
    backend.fill_between_y(
        tau, mean - 1.96 * half, mean + 1.96 * half, plot, color=COLOURS["model"], alpha=0.2,
        linewidth=0.0, zorder=2, gid="band:mu",
    )  # fmt: skip
    backend.line(tau, mean, plot, color=COLOURS["model"], width=1.8, zorder=4, gid="trace:mu")


def _draw_tau(page: Page, fit: xr.DataTree, planes: list[Plane]) -> None:
    from scipy.stats import gaussian_kde

    plot, axis = page.plot("tau"), planes[-1].x
    backend = backend_of(plot)
    tau, _ = tau_and_mu(fit, "posterior")
    grid = np.linspace(0.0, axis.high, 300)
    kernel: Any = gaussian_kde(tau[:: max(1, tau.size // 8000)])
    posterior = kernel(grid) + kernel(-grid)
    prior = np.exp(parse_prior(priors_of(fit)["tau"]).logpdf(np.maximum(grid, 1e-6)))
    top = float(posterior.max())
    backend.fill_between_y(
        grid, np.zeros_like(grid), posterior / top, plot, color=COLOURS["model"], alpha=0.2,
        linewidth=0.0,
    )  # fmt: skip
    backend.line(
        grid, posterior / top, plot, color=COLOURS["model"], width=1.2, gid="tau_posterior"
    )
    backend.line(
        grid, np.minimum(prior / top, 1.5), plot, color=COLOURS["rule"], width=0.9,
        linestyle="--", gid="tau_prior",
    )  # fmt: skip


def _draw_median(page: Page, fit: xr.DataTree, planes: list[Plane]) -> None:
    middle = float(np.median(tau_and_mu(fit, "posterior")[0]))
    for plane in planes:
        plot = page.plot(plane.name)
        backend_of(plot).line(
            np.full(2, middle), np.asarray([plane.y.low, plane.y.high]), plot,
            color=COLOURS["ink"], width=0.6, linestyle=":", zorder=5, gid="median",
        )  # fmt: skip


# --- words --------------------------------------------------------------------------------------


def _key(fit: xr.DataTree) -> list[Key]:
    views = views_of(fit)
    what = "posterior" if len(views) == 1 else "posterior, immortal-time-adjusted"
    key = [
        Key("tile", f"{what}, 50 %", _FILLS[1]),
        Key("tile", "95 %", _FILLS[0]),
        Key("dashed", "prior, 50 and 95 %", COLOURS["rule"]),
    ]
    if "naive" in views:
        key.append(Key("dotted", "posterior, naive", COLOURS["next"]))
    return [
        *key,
        Key("line", "a study given τ", COLOURS["crude"]),
        Key("bar", "μ given τ, 95 %", COLOURS["model"], 0.35),
        Key("dotted", "median of τ", COLOURS["ink"]),
    ]


def _notes(fit: xr.DataTree, lines: int, named: int) -> list[str]:
    said = [_EXPLANATION]
    moderators = moderators_of(design_of(fit))
    if moderators:
        said.append("μ stands at the reference of the moderators, each study at its own values.")
    if "naive" in views_of(fit):
        said.append("Lines are naive, as the studies printed.")
    if named < lines:
        said.append(f"Of {lines} lines the {named // 2} highest and lowest have names.")
    return [" ".join(said)]


def _alt(title: str, fit: xr.DataTree, table: pd.DataFrame) -> str:
    scale = scale_of(design_of(fit))
    measure = measure_of(scale)
    tau, mu = tau_and_mu(fit, "posterior")
    places = {"rate": 0, "ratio": None, "value": 2}[measure]
    unit = " %" if measure == "rate" else ""
    first = describe(scale.inverse(mu)[None])
    second = describe(tau[None])
    correlation = f"{np.corrcoef(tau, mu)[0, 1]:.2f}".replace("-", "−")
    rest = table[table["row"] != "mu"]
    at = {
        end: rest[rest["tau"] == tau_at]["value"]
        for end, tau_at in (("least", table["tau"].min()), ("largest", table["tau"].max()))
    }
    spans = [
        f"from {number(float(values.min()), measure, places)} to "
        f"{number(float(values.max()), measure, places)}{unit} at the {end} τ"
        for end, values in at.items()
    ]
    return (
        f"{title}. μ {number(first['median'], measure, places)} "
        f"{span(first['lower'], first['upper'], measure, places)}{unit}, τ "
        f"{second['median']:.2f} [{second['lower']:.2f}–{second['upper']:.2f}], correlation of the "
        f"two {correlation}. The conditional means of the studies reach {', '.join(spans)}."
    )
