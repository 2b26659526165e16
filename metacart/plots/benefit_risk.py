"""The benefit-risk plane: studies, the population average and the next study."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.errors import named_options
from metacart.inference.records import evidence_of, spec_of
from metacart.plots.facts import capital
from metacart.plots.files import check_file, deliver
from metacart.plots.footer import write_notes
from metacart.plots.marks import backend_of
from metacart.plots.measure import COLOURS, MARGIN, SIZE, SMALL, SMALL_LINE, drawable, style, wrap
from metacart.records.vocabulary import OUTCOMES
from metacart.results.benefit_risk import READINGS, axes_of, correlation_of, rates_of
from metacart.scales import SCALES

if TYPE_CHECKING:
    import xarray as xr
    from arviz_plots import PlotCollection

__all__ = ["plot_benefit_risk"]

Array = NDArray[np.float64]
_WIDE, _HIGH = 5.6, 4.9  # inches of the plane with its labels
_POINTS, _GRID, _SHARE = 2000, 120, 0.95
_AREA = 2.2  # square points of a circle for each patient
_COLOUR = {"population average": COLOURS["model"], "next study": COLOURS["muted"]}


@named_options
def plot_benefit_risk(
    fit: xr.DataTree,
    *,
    benefit: str | None = None,
    risk: str | None = None,
    file: str | os.PathLike[str] | None = None,
) -> PlotCollection:
    """Plot a benefit against a risk of one joint fit.

    Parameters
    ----------
    fit : DataTree
        From ``fit`` with the likelihood ``"joint"``.
    benefit, risk : str, optional
        Two of its outcomes, as for ``benefit_risk``: the benefit goes up, the risk to the right.
    file : path, optional
        Where to write the figure: ``.png``, ``.svg`` or ``.pdf``. The figure is then closed.

    Returns
    -------
    arviz_plots.PlotCollection
        ``viz`` holds the regions ``population average`` and ``next study``, the ``studies`` that
        report both outcomes, and ``only benefit`` and ``only risk`` of those that report one. Its
        attributes hold ``title`` and ``alt``.

    Raises
    ------
    InputError
        For a fit of another likelihood, outcomes that it does not have, and another suffix.

    Notes
    -----
    A region holds 95 % of the draws at the highest density, which is a kernel estimate on the
    logit scale: the joint counterpart of two intervals, and it leans as the two rates do. The
    numbers are those of ``benefit_risk``.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.plot_benefit_risk(mc.fit("benefit_risk"), file="plane.svg")  # doctest: +SKIP
    """
    import xarray as xr
    from arviz_plots import PlotCollection

    if file is not None:
        check_file(file)
    first, second = axes_of(fit, benefit, risk)
    names = [OUTCOMES[each].title if each in OUTCOMES else each for each in (first, second)]
    posterior, prior = correlation_of(fit, first, second)
    regions = {name: _region(*rates_of(fit, name, first, second)) for name in READINGS}
    notes = [(wrap(_words(posterior, prior), _WIDE - 2 * MARGIN, size=SMALL), "muted")]
    if not fit.attrs["converged"]:
        notes.insert(0, ("Not converged: this result must not be used.", "warning"))
    foot = sum(SMALL_LINE * (text.count("\n") + 1) + 0.04 for text, _ in notes) + MARGIN
    size = (_WIDE, _HIGH + foot)
    points = _points(fit, first, second)
    with style():
        empty = xr.Dataset({"plane": ("point", np.zeros(1))})
        collection = PlotCollection.grid(
            empty, backend="matplotlib", figure_kwargs={"figsize": size, "figsize_units": "inches"}
        )
        target = collection.get_target("plane", {})
        for name in reversed(READINGS):
            x, y = regions[name]
            _keep(collection, name, _fill(x, y, target, _COLOUR[name], name))
        good, bad = (np.median(each) for each in rates_of(fit, READINGS[0], first, second))
        _keep(collection, "median", _diamond(bad, good, target))
        _studies(collection, target, points)
        _dress(target, names, size, foot, points, ends=_ends(list(regions.values()), points))
        write_notes(collection, notes, size, foot)
    title = f"{capital(names[0])} against {names[1]}"
    return deliver(
        collection, title=title, alt=_alt(title, fit, (first, second), names, points), file=file
    )


def _keep(collection: PlotCollection, name: str, artist: Any) -> None:
    import xarray as xr

    kept = np.empty((), dtype=object)
    kept[()] = artist
    collection.viz[name] = xr.DataArray(kept)


def _region(good: Array, bad: Array) -> tuple[Array, Array]:
    """Return the edge of the region of highest density on the natural scale: risk, benefit."""
    from contourpy import contour_generator
    from scipy.stats import gaussian_kde

    step = max(1, good.size // _POINTS)
    scale = SCALES["logit"]
    draws = np.stack(
        [scale.link(np.clip(each.ravel()[::step], 1e-6, 1 - 1e-6)) for each in (bad, good)]
    )
    # a little smoother than Scott's rule, whose edge shows the single draws
    density = gaussian_kde(draws, bw_method=lambda kernel: 1.4 * kernel.scotts_factor())
    level = np.quantile(density(draws), 1.0 - _SHARE)
    ends = np.quantile(draws, [0.001, 0.999], axis=1)
    reach = 0.3 * np.ptp(ends, axis=0)
    x, y = np.linspace(ends[0] - reach, ends[1] + reach, _GRID).T
    grid = density(np.stack([each.ravel() for each in np.meshgrid(x, y)])).reshape(_GRID, _GRID)
    edges = contour_generator(x, y, grid).lines(float(level))
    longest = np.asarray(max(edges, key=lambda edge: len(np.asarray(edge))))
    return scale.inverse(longest[:, 0]), scale.inverse(longest[:, 1])


def _fill(x: Array, y: Array, target: Any, colour: str, name: str) -> Any:
    (area,) = target.fill(x, y, facecolor=colour, alpha=0.18, linewidth=0.0, label=f"{name}, 95 %")
    backend_of(target).line(x, y, target, color=colour, width=1.2)
    return area


def _diamond(x: float, y: float, target: Any) -> Any:
    look = {"facecolor": COLOURS["model"], "edgecolor": "white", "linewidth": 0.6}
    return target.scatter(x, y, s=30.0, marker="D", zorder=4, **look)


def _points(fit: xr.DataTree, first: str, second: str) -> dict[str, Array]:
    """Return reported rates: of both outcomes with the number of patients, and of one alone."""
    table = evidence_of(fit)
    group = spec_of(fit).group
    wide = {
        name: own.groupby(group)[["events", "total"]].sum()
        for name, own in table.groupby("outcome")
        if name in (first, second)
    }
    rates = {name: own["events"] / own["total"] for name, own in wide.items()}
    both = rates[first].index.intersection(rates[second].index)
    patients = np.minimum(wide[first].loc[both, "total"], wide[second].loc[both, "total"])
    return {
        "both": np.stack([rates[second].loc[both], rates[first].loc[both], patients]),
        "only benefit": rates[first].drop(both).to_numpy(),
        "only risk": rates[second].drop(both).to_numpy(),
    }


def _studies(collection: PlotCollection, target: Any, points: dict[str, Array]) -> None:
    x, y, patients = points["both"]
    look: dict[str, Any] = {"facecolor": "none", "edgecolor": COLOURS["ink"], "linewidth": 0.8}
    marks = target.scatter(
        x,
        y,
        s=_AREA * patients,
        **look,
        zorder=3,
        clip_on=False,
    )
    _keep(collection, "studies", marks)
    target.scatter([], [], s=40.0, label="study that reports both, area as its patients", **look)
    rug = {"color": COLOURS["ink"], "linewidth": 0.8, "clip_on": False, "zorder": 3}
    named = False
    for name, along in (("only benefit", "y"), ("only risk", "x")):
        own = points[name]
        edge = target.get_yaxis_transform() if along == "y" else target.get_xaxis_transform()
        draw = target.hlines if along == "y" else target.vlines
        label = "study that reports one, at the edge" if own.size and not named else None
        named = named or bool(own.size)
        _keep(collection, name, draw(own, 0.0, 0.018, transform=edge, label=label, **rug))


def _ends(regions: list[tuple[Array, Array]], points: dict[str, Array]) -> tuple[float, float]:
    """Return the highest risk and the lowest benefit that are drawn, by tens of percent."""
    both = points["both"]
    risks = np.concatenate([*(x for x, _ in regions), both[0], points["only risk"]])
    benefits = np.concatenate([*(y for _, y in regions), both[1], points["only benefit"]])
    most, least = np.ceil(10.0 * risks.max()) / 10.0, np.floor(10.0 * benefits.min()) / 10.0
    return float(most), float(least)


def _over(points: dict[str, Array], least: float, high: float) -> float:
    """Return by how many inches circles reach above the plane, where the key stands."""
    _, benefits, patients = points["both"]
    reach = np.sqrt(_AREA * patients / np.pi) / 72.0 - high * (1.0 - benefits) / (1.0 - least)
    return float(reach.max(initial=0.0))


def _dress(
    target: Any,
    names: list[str],
    size: tuple[float, float],
    foot: float,
    points: dict[str, Array],
    *,
    ends: tuple[float, float],
) -> None:
    width, total = size
    left, bottom, top = 0.62, foot + 0.52, 0.62
    over = _over(points, ends[1], total - bottom - top)
    high = total - bottom - top - over
    target.set_position(
        (left / width, bottom / total, (width - left - MARGIN) / width, high / total)
    )
    target.set(xlim=(0.0, ends[0]), ylim=(ends[1], 1.0))
    for axis in (target.xaxis, target.yaxis):
        axis.set_major_formatter(lambda rate, _: f"{100 * rate:.0f}")
    for side in ("right", "top"):
        target.spines[side].set_visible(False)
    target.tick_params(length=3, width=0.7, labelsize=SMALL, pad=2)
    target.set_ylabel(drawable(f"{capital(names[0])}, % of patients"), fontsize=SIZE)
    target.set_xlabel(drawable(f"{capital(names[1])}, % of patients"), fontsize=SIZE)
    target.legend(
        loc="lower left",
        bbox_to_anchor=(-0.02, 1.0 + over / high),
        ncols=2,
        fontsize=SMALL,
        frameon=False,
        borderaxespad=0.2,
        handletextpad=0.5,
        columnspacing=1.2,
    )


def _words(posterior: Array, prior: Array) -> str:
    low, middle, high = np.quantile(posterior, [0.025, 0.5, 0.975])
    before = np.quantile(prior, [0.025, 0.975])
    text = (
        f"Correlation of the two between studies {middle:.2f} ({low:.2f} to {high:.2f}); before "
        f"the data {before[0]:.2f} to {before[1]:.2f}. Up and to the left is better. Diamond: "
        "median of the population average. Within a study the outcomes are taken as independent "
        "given its rates: no paper reports them patient by patient."
    )
    return text.replace("-", "−")


def _alt(
    title: str,
    fit: xr.DataTree,
    outcomes: tuple[str, str],
    names: list[str],
    points: dict[str, Array],
) -> str:
    parts = []
    for name in READINGS:
        ends = [np.quantile(each, [0.025, 0.975]) for each in rates_of(fit, name, *outcomes)]
        good, bad = (f"{100 * low:.0f} to {100 * high:.0f} %" for low, high in ends)
        parts.append(f"{capital(name)}: {names[0].lower()} {good}, {names[1].lower()} {bad}")
    number = points["both"].shape[1]
    return f"{title}. {'; '.join(parts)} (95 % intervals). {number} studies report both."
