"""Prior against posterior: what the data added."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.errors import named_options
from metacart.inference.one_mean import of_one_mean
from metacart.inference.records import design_of, spec_of
from metacart.modelling.design import moderators_of, scale_of
from metacart.plots.facts import (
    coefficient_words,
    failure_of,
    name_of,
    priors_of,
    subtracted,
    title_of,
)
from metacart.plots.files import check_file, deliver
from metacart.plots.footer import write_notes
from metacart.plots.marks import backend_of, spot, stretch
from metacart.plots.measure import (
    COLOURS,
    LINE,
    MARGIN,
    SIZE,
    SMALL,
    SMALL_LINE,
    drawable,
    style,
    warn_of_letters,
    wrap,
)
from metacart.records.priors import Prior, parse_prior
from metacart.results.numbers import share_of_prior
from metacart.results.summary import spread_draws

if TYPE_CHECKING:
    import xarray as xr
    from arviz_plots import PlotCollection

__all__ = ["plot_prior_posterior"]

Array = NDArray[np.float64]
_WIDE, _BODY = 2.35, 2.0  # inches of one plot with its texts, its title not counted
_INNER = _WIDE - 2 * MARGIN
_COLUMNS = 4
_POINTS = 400
_GRID = 600  # quantiles of each of two priors
_SUBTRACTED = (
    "No study handled the time before transplant: the data say nothing about the bias b, so its "
    "posterior is its prior, taken off after the fit."
)
_EXPLANATION = (
    "Blue: posterior; grey: prior. Bars are 95 % equal-tailed intervals, dots medians; a bar that "
    "meets the edge goes on. Both densities of a plot stand on one scale."
)
_COLOUR = {"prior": COLOURS["rule"], "posterior": COLOURS["model"]}


@dataclass(frozen=True, slots=True)
class _Quantity:
    """One parameter: its words, its draws, and its distributions that are known exactly."""

    name: str
    title: str
    draws: dict[str, Array]
    exact: dict[str, Prior]
    positive: bool = False

    def quantiles(self, group: str, probabilities: list[float]) -> Array:
        """Return quantiles of the prior or the posterior, of a formula where one is known."""
        if group in self.exact:
            return self.exact[group].quantile(probabilities)
        return np.asarray(np.quantile(self.draws[group], probabilities), dtype=np.float64)


@named_options
@of_one_mean
def plot_prior_posterior(
    fit: xr.DataTree, *, file: str | os.PathLike[str] | None = None
) -> PlotCollection:
    """Plot the prior and the posterior density of each parameter.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.
    file : path, optional
        Where to write the figure: ``.png``, ``.svg`` or ``.pdf``.

    Returns
    -------
    arviz_plots.PlotCollection
        Plots along ``parameter`` (mu, tau, each beta, the bias of immortal time; mu as it was
        fitted is ``mu_naive`` where a bias was taken away after the fit); ``viz`` holds
        ``density``, ``interval`` (95 % equal-tailed) and ``median`` along ``parameter`` and
        ``group`` (prior, posterior).

    Raises
    ------
    InputError
        For another suffix.

    Notes
    -----
    The prior's density and quantiles are exact wherever their formula is known, that of mu less a
    bias too if both are normal; else they come from a grid of both priors' quantiles, never from
    random draws. The posterior's density is a kernel estimate of the
    draws. The window holds the posterior and the prior's middle 98 %, at most five times as wide as
    the posterior.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.plot_prior_posterior(mc.fit("cr_rate"), file="priors.svg")  # doctest: +SKIP
    """
    import xarray as xr
    from arviz_plots import PlotCollection

    if file is not None:
        check_file(file)
    quantities = _quantities(fit)
    data = _densities(quantities)
    rows = -(-len(quantities) // _COLUMNS)
    columns = -(-len(quantities) // rows)
    notes = _notes(fit, columns * _WIDE - MARGIN)
    foot = sum(SMALL_LINE * (text.count("\n") + 1) + 0.04 for text, _ in notes) + MARGIN
    titles = [wrap(item.title, _INNER, bold=True) for item in quantities]
    high = _BODY + LINE * (max(title.count("\n") for title in titles) + 1)
    size = (columns * _WIDE + MARGIN, rows * high + foot)
    warn_of_letters(item.title for item in quantities)
    with style():
        collection = PlotCollection.wrap(
            data[["density"]],
            cols=["parameter"],
            col_wrap=columns,
            backend="matplotlib",
            figure_kwargs={"figsize": size, "figsize_units": "inches"},
            aes={"overlay_group": ["group"]},
        )
        colours = xr.DataArray(
            np.asarray(list(_COLOUR.values()), dtype=object),
            dims="group",
            coords={"group": list(_COLOUR)},
        )
        collection.map(_fill, "face", data=data[["density"]].sel(group=["posterior"]))
        collection.map(_line, "density", data=data[["density"]], color=colours)
        height = xr.DataArray([-0.09, -0.2], dims="group", coords={"group": list(_COLOUR)})
        bars = {"y": height, "color": colours}
        collection.map(
            stretch, "interval", data=data["ends"].rename("interval"), width=2.2,
            solid_capstyle="butt", **bars,
        )  # fmt: skip
        middles = data["middle"].rename("median")
        collection.map(spot, "median", data=middles, size=22.0, width=0.0, **bars)
        _dress(collection, quantities, titles, size=size, high=high, columns=columns)
        write_notes(collection, notes, size, foot)
    alt = f"Prior and posterior of {title_of(fit)}. " + " ".join(
        f"{item.title}: {_summary(item, 'posterior')}, prior {_summary(item, 'prior')}."
        for item in quantities
    )
    return deliver(collection, title=title_of(fit), alt=alt, file=file)


# --- what is shown ------------------------------------------------------------------------------


def _quantities(fit: xr.DataTree) -> list[_Quantity]:
    scale = scale_of(design_of(fit))
    unit = "" if scale.name == "identity" else f" ({scale.linear})"
    stated = priors_of(fit)
    posterior, prior = fit["posterior"], fit["prior"]

    def exact(name: str) -> dict[str, Prior]:
        return {"prior": parse_prior(stated[name])} if name in stated else {}

    def draws(name: str, **where: str) -> dict[str, Array]:
        return {
            group: np.asarray(tree[name].sel(where).to_numpy(), dtype=np.float64).reshape(-1)
            for group, tree in (("prior", prior), ("posterior", posterior))
        }

    moved = subtracted(fit)
    found = [_Quantity("mu", f"μ, pooled mean{unit}", draws("mu"), exact("mu"))]
    if moved:
        naive = np.asarray(fit["naive"]["mu"].to_numpy(), dtype=np.float64).reshape(-1)
        less, grid = _less(exact("mu"), exact("bias"))
        found = [
            _Quantity("mu_naive", f"μ, naive{unit}", {"posterior": naive}, exact("mu")),
            _Quantity("mu", f"μ − b, immortal-time-adjusted{unit}", draws("mu") | grid, less),
        ]
    spec, design = spec_of(fit), design_of(fit)
    of_groups = [spread_draws(tree.to_dataset(), spec, design) for tree in (prior, posterior)]
    for name in of_groups[1]:
        key = name.replace(" ", ":")
        values = zip(("prior", "posterior"), of_groups, strict=True)
        flat = {group: each[name].reshape(-1) for group, each in values}
        title = "τ within, SD inside studies" if name == "tau_within" else "τ, between-study SD"
        column, _, level = name.removeprefix("tau").strip().partition("[")
        title += f", {name_of(column)}: {level.removesuffix(']')}{unit}" if level else unit
        found.append(_Quantity(key, title, flat, exact(key), positive=True))
    if "rho" in posterior:
        found.append(
            _Quantity("rho", "ρ, overdispersion", draws("rho"), exact("rho"), positive=True)
        )
    if "beta" in posterior:
        words = coefficient_words(moderators_of(design_of(fit)))
        found += [
            _Quantity(
                f"beta:{name}",
                words[name],
                draws("beta", coefficient=name),
                exact(f"beta:{name}"),
            )
            for name in posterior["beta"]["coefficient"].to_numpy().tolist()
        ]
    if "bias" in posterior:
        known = exact("bias")
        if moved:
            known |= {"posterior": known["prior"]}
        title = f"b, immortal-time bias{unit}"
        found.append(_Quantity("bias", title, draws("bias"), known))
    return found


def _less(
    mean: dict[str, Prior], bias: dict[str, Prior]
) -> tuple[dict[str, Prior], dict[str, Array]]:
    """Return the prior of a mean less a bias: as a formula, or as values that stand for it."""
    first, second = mean["prior"], bias["prior"]
    if first.name == second.name == "Normal":
        (m, s), (n, t) = first.arguments, second.arguments
        return {"prior": Prior("Normal", (m - n, float(np.hypot(s, t))))}, {}
    steps = (np.arange(_GRID) + 0.5) / _GRID
    values = np.subtract.outer(first.quantile(steps), second.quantile(steps))
    return {}, {"prior": np.sort(values, axis=None)}


def _densities(quantities: list[_Quantity]) -> xr.Dataset:
    """Return densities over a window, highest 1, with the intervals and medians."""
    import xarray as xr

    names, groups = [item.name for item in quantities], list(_COLOUR)
    density = np.empty((len(names), 2, 2, _POINTS))
    ends, middle = np.empty((len(names), 2, 2)), np.empty((len(names), 2))
    for n, item in enumerate(quantities):
        low, high = _window(item)
        grid = np.linspace(low, high, _POINTS)
        for g, group in enumerate(groups):
            density[n, g, 0] = grid
            if group in item.exact:
                density[n, g, 1] = np.exp(item.exact[group].logpdf(grid))
            else:
                density[n, g, 1] = _kernel(item.draws[group], grid, positive=item.positive)
            tails = _tails(item, group)
            ends[n, g], middle[n, g] = np.clip(tails[[0, 2]], low, high), tails[1]
        finite = density[n, :, 1][np.isfinite(density[n, :, 1])]
        density[n, :, 1] = np.minimum(density[n, :, 1], finite.max()) / finite.max()
    coords = {"parameter": names, "group": groups}
    return xr.Dataset(
        {
            "density": (("parameter", "group", "plot_axis", "point"), density),
            "ends": (("parameter", "group", "end"), ends),
            "middle": (("parameter", "group"), middle),
        },
        coords=coords | {"plot_axis": ["x", "y"], "end": ["lower", "upper"]},
    )


def _window(item: _Quantity) -> tuple[float, float]:
    inside = item.quantiles("posterior", [0.0005, 0.9995])
    outer = item.quantiles("prior", [0.01, 0.99])
    reach = 2.0 * float(np.ptp(inside))
    low = min(inside[0], max(outer[0], inside[0] - reach))
    high = max(inside[1], min(outer[1], inside[1] + reach))
    return (0.0 if item.positive else float(low)), float(high)


def _kernel(draws: Array, grid: Array, *, positive: bool) -> Array:
    """Gaussian kernel estimate; mass that would leak below zero is folded back."""
    from scipy.stats import gaussian_kde

    if np.ptp(draws) == 0.0:
        return np.where(np.abs(grid - draws[0]) <= np.diff(grid[:2])[0], 1.0, 0.0)
    kernel: Any = gaussian_kde(draws[:: max(1, draws.size // 8000)])
    kernel.set_bandwidth(1.2 * kernel.factor)  # smoother than Scott's rule, for the eye
    estimate = kernel(grid)
    return np.asarray(estimate + kernel(-grid) if positive else estimate, dtype=np.float64)


def _tails(item: _Quantity, group: str) -> Array:
    """Return lower limit, median and upper limit."""
    return item.quantiles(group, [0.025, 0.5, 0.975])


def _summary(item: _Quantity, group: str) -> str:
    low, middle, high = (f"{value:.2f}".replace("-", "−") for value in _tails(item, group))
    return f"{middle} [{low} to {high}]"


# --- drawing ------------------------------------------------------------------------------------


def _line(da: Any, target: Any, *, color: Any, **_: Any) -> Any:
    values = da.sel(plot_axis="x").to_numpy(), da.sel(plot_axis="y").to_numpy()
    return backend_of(target).line(*values, target, color=color.item(), width=1.2)


def _fill(da: Any, target: Any, **_: Any) -> Any:
    x, y = da.sel(plot_axis="x").to_numpy(), da.sel(plot_axis="y").to_numpy()
    return backend_of(target).fill_between_y(
        x, np.zeros_like(y), y.copy(), target, color=COLOURS["model"], alpha=0.18
    )


def _dress(
    collection: PlotCollection,
    quantities: list[_Quantity],
    titles: list[str],
    *,
    size: tuple[float, float],
    high: float,
    columns: int,
) -> None:
    width, total = size
    for n, (item, title) in enumerate(zip(quantities, titles, strict=True)):
        plot = collection.get_target(None, {"parameter": item.name})
        row, column = divmod(n, columns)
        left = MARGIN + column * _WIDE + MARGIN / 2
        bottom = total - (row + 1) * high + 0.76
        plot.set_position((left / width, bottom / total, _INNER / width, 1.1 / total))
        plot.set(xlim=_window(item), ylim=(-0.3, 1.04), yticks=[])
        plot.patch.set_visible(False)
        for side in ("left", "right", "top"):
            plot.spines[side].set_visible(False)
        plot.spines["bottom"].set_linewidth(0.7)
        plot.tick_params(length=3, width=0.7, labelsize=SMALL, pad=2)
        plot.locator_params(axis="x", nbins=5)
        plot.set_title(drawable(title), fontsize=SIZE, fontweight="bold", pad=4)
        lines = {group: f"{group} {_summary(item, group)}" for group in ("posterior", "prior")}
        lines["share"] = f"posterior {_share(item):.2f} times as wide"
        for number, (name, text) in enumerate(lines.items()):
            plot.annotate(
                text,
                (0.5, 0),
                xycoords="axes fraction",
                xytext=(0, -72 * (0.25 + 0.13 * number)),
                textcoords="offset points",
                ha="center",
                va="top",
                fontsize=SMALL,
                color=COLOURS["model" if name == "posterior" else "muted"],
                gid=f"{name}_{item.name}",
            )


def _share(item: _Quantity) -> float:
    """Return the width of the posterior's interval as a share of the prior's."""
    if "posterior" in item.exact:
        return 1.0
    prior = item.exact["prior"] if "prior" in item.exact else item.draws["prior"]
    return share_of_prior(item.draws["posterior"], prior)


def _notes(fit: xr.DataTree, width: float) -> list[tuple[str, str]]:
    texts = [
        (failure_of(fit), "warning"),
        (_SUBTRACTED if subtracted(fit) else "", "muted"),
        (_EXPLANATION, "muted"),
    ]
    return [(wrap(text, width, size=SMALL), colour) for text, colour in texts if text]
