"""Mu and tau together, and what each study would be were tau known."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from scipy import special, stats

import metacart as mc
from metacart.errors import InputError
from metacart.inference.density import Marginal
from metacart.inference.given_tau import moments_given_tau
from metacart.modelling.design import bind
from metacart.modelling.likelihoods import find_likelihood
from metacart.modelling.priors import resolve_priors
from metacart.plots.axes import effect_axis
from metacart.scales import SCALES

Y = np.array([-0.4, 0.1, 0.9, -1.2, 0.3, 0.05])
SE = np.array([0.1, 0.3, 0.5, 0.25, 0.6, 0.15])
NORMAL = mc.ModelSpec(
    likelihood="normal", scale="identity",
    priors={"mu": "Normal(0, 1)", "tau": "HalfNormal(0.5)"},
)  # fmt: skip
COUNTS = pd.DataFrame(
    {"study": list("abcde"), "events": [0, 7, 12, 20, 9], "total": [8, 9, 15, 21, 9]}
)


@pytest.fixture(scope="module")
def normal() -> Any:
    data = pd.DataFrame({"study": list("abcdef"), "estimate": Y, "se": SE})
    return mc.fit(NORMAL, data, method="exact", draws=1000, seed=1, progress=False)


@pytest.fixture(scope="module")
def counts() -> Any:
    spec = mc.ModelSpec(likelihood="binomial", outcome="complete_remission")
    return mc.fit(spec, COUNTS, method="exact", draws=1000, seed=1, progress=False)


def test_normal_estimates_have_a_closed_form(normal: Any) -> None:
    table = mc.conditional_means(normal)
    wide = table.pivot_table(index="tau", columns="row", values=["mean", "sd", "mcse"])
    names = ["mu", *"abcdef"]
    for tau in wide.index[:: len(wide) // 10]:
        weight = 1.0 / (SE**2 + tau**2)
        precision = weight.sum() + 1.0
        mu = (weight * Y).sum() / precision
        share = tau**2 / (tau**2 + SE**2)
        mean = np.array([mu, *(share * Y + (1 - share) * mu)])
        sd = np.sqrt([1 / precision, *(share * SE**2 + (1 - share) ** 2 / precision)])
        found = {name: wide.loc[tau, name][names].to_numpy() for name in ("mean", "sd", "mcse")}
        assert (np.abs(found["mean"] - mean) < 4 * found["mcse"] + 0.004).all()
        assert found["sd"] == pytest.approx(sd, rel=0.12)
    assert wide.index[-1] == pytest.approx(np.quantile(normal["posterior"]["tau"], 0.995))


def test_means_with_an_imputed_moderator_against_a_grid() -> None:
    """Slow and obvious: tau and the missing value on a grid, all else normal given them."""
    dose = np.array([0.2, 1.0, 1.7, 2.4, 3.1, np.nan])
    data = pd.DataFrame({"study": list("abcdef"), "estimate": Y, "se": SE, "dose": dose})
    spec = mc.ModelSpec(
        likelihood="normal", scale="identity", moderators=["dose"], missing="impute",
        priors={"mu": "Normal(0, 1)", "beta": "Normal(0, 1)", "tau": "HalfNormal(0.5)"},
    )  # fmt: skip
    taus, xs = np.linspace(0.002, 2.5, 250), np.linspace(-3.0, 6.0, 181)
    prior = stats.norm(1.5, 1.2).logpdf(xs)  # any law of the missing value: it cancels

    def given(tau: float, x: float) -> tuple[Any, ...]:
        columns = np.column_stack([np.ones(6), [*dose[:5], x]])
        v = SE**2 + tau**2
        spread = np.linalg.inv(columns.T @ (columns / v[:, None]) + np.eye(2))
        height = stats.multivariate_normal(cov=np.diag(v) + columns @ columns.T).logpdf(Y)
        return height, spread @ columns.T @ (Y / v), spread, columns

    rng = np.random.default_rng(3)
    logs = np.array([[given(tau, x)[0] for x in xs[::6]] for tau in taus[::4]]) + prior[::6]
    mass = np.exp(logs - logs.max()) * stats.halfnorm(0, 0.5).pdf(taus[::4])[:, None]
    cells = rng.choice(mass.size, size=2000, p=(mass / mass.sum()).ravel())
    mu, linear = np.empty(2000), np.empty((2000, 6))
    for number, cell in enumerate(cells):
        place, at = divmod(int(cell), mass.shape[1])
        _, mean, spread, columns = given(taus[::4][place], xs[::6][at])
        drawn = rng.multivariate_normal(mean, spread)
        mu[number], linear[number] = drawn[0], columns @ drawn
    design = bind(spec, data)
    likelihood = find_likelihood(spec)
    target = Marginal(spec, design, likelihood, resolve_priors(spec, design, likelihood))
    wanted = np.linspace(0.002, 1.5, 61)
    means, sds, errors = moments_given_tau(target, {"mu": mu}, linear, wanted, seed=1)
    for position in (0, 5, 20, 60):
        tau = wanted[position]
        found = [given(tau, x) for x in xs]
        weight = np.exp([each[0] for each in found] + prior)
        weight /= weight.sum()
        share = tau**2 / (tau**2 + SE**2)
        first, second = np.zeros(7), np.zeros(7)
        for each, (_, mean, spread, columns) in zip(weight, found, strict=True):
            middle = np.append(mean[0], share * Y + (1 - share) * (columns @ mean))
            line = np.einsum("ij,jk,ik->i", columns, spread, columns)
            wide = np.append(spread[0, 0], share * SE**2 + (1 - share) ** 2 * line)
            first, second = first + each * middle, second + each * (wide + middle**2)
        sd = np.sqrt(second - first**2)
        assert (np.abs(means[position] - first) < 4 * errors[position] + 1e-3).all()
        # an error is an SD over the root of the effective draws, that of the SD 0.7 times as large
        assert (np.abs(sds[position] - sd) < 3 * errors[position]).all()
        assert (errors[position] < 0.15 * sd).all()


def test_counts_against_a_grid(counts: Any) -> None:
    """Slow and obvious: mu on a grid, effects by quadrature, at three values of tau."""
    table = mc.conditional_means(counts)
    mu = np.linspace(-6, 7, 400)
    z, weight = np.polynomial.hermite_e.hermegauss(81)
    values = table["tau"].unique()
    for tau in values[[1, 20, 60]]:
        theta = mu[:, None] + tau * z
        height = [
            stats.binom.pmf(y, n, special.expit(theta)) * weight
            for y, n in zip(COUNTS["events"], COUNTS["total"], strict=True)
        ]
        each = np.stack([part.sum(-1) for part in height])
        posterior = stats.norm.pdf(mu, 0, 1.5) * each.prod(0)
        posterior /= posterior.sum()
        means = [
            (posterior * (part * theta).sum(-1) / whole).sum()
            for part, whole in zip(height, each, strict=True)
        ]
        own = table[table["tau"] == tau]
        away = own["mean"].to_numpy() - [(posterior * mu).sum(), *means]
        assert (np.abs(away) < 4 * own["mcse"] + 0.02).all()
        assert own["value"].to_numpy() == pytest.approx(special.expit(own["mean"].to_numpy()))


def test_moderators_stand_at_each_studys_own_values() -> None:
    data = COUNTS.assign(scfv=["murine", "human", "human", "murine", "murine"])
    spec = mc.ModelSpec(likelihood="binomial", moderators=("scfv",))
    fit = mc.fit(spec, data, method="exact", draws=500, seed=1, progress=False)
    table = mc.conditional_means(fit)
    least = table[table["tau"] == table["tau"].min()].set_index("row")["mean"]
    assert least[["a", "d", "e"]].to_numpy() == pytest.approx(least["mu"], abs=0.01)
    assert least["b"] == pytest.approx(least["c"], abs=1e-3)
    figure = mc.plot_joint(fit, backend="none")
    assert figure.viz["name"].dataset.sizes["row"] == 5


def test_findings_with_effects_of_their_own_stay_apart_at_a_tau_of_0() -> None:
    data = pd.DataFrame({"study": list("aabbcc"), "estimate": Y, "se": SE, "arm": list("xyxyxy")})
    known = {"mu": "Normal(0, 0.001)", "tau_within": "TruncatedNormal(0.5, 0.001, 0.4, 0.6)"}
    spec = NORMAL.model_copy(update={"within": "finding", "priors": {**NORMAL.priors, **known}})
    fit = mc.fit(spec, data, method="exact", draws=500, seed=1, progress=False)
    table = mc.conditional_means(fit)
    least = table[(table["tau"] == table["tau"].min()) & (table["row"] != "mu")]
    away = least["mean"] - 0.25 / (0.25 + SE**2) * Y
    assert (away.abs() < 4 * least["mcse"] + 0.01).all()
    assert least["mcse"].max() < 0.03


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"random_effects": "none"}, "a fit without study effects has no tau"),
        ({"moderators": ("scfv",), "tau_by": "scfv"}, 'tau_by = "scfv": a tau for each level'),
    ],
)
def test_what_has_no_one_tau_is_refused(changes: dict[str, Any], message: str) -> None:
    data = pd.concat([COUNTS, COUNTS.assign(study=list("fghij"))]).assign(scfv=["x", "y"] * 5)
    spec = mc.ModelSpec(likelihood="binomial", **changes)
    fit = mc.fit(spec, data, method="exact", draws=500, seed=1, progress=False)
    for verb in (mc.conditional_means, mc.plot_joint):
        with pytest.raises(InputError, match=message):
            verb(fit)


def test_figure_stands_as_its_table(normal: Any, tmp_path: Path) -> None:
    figure = mc.plot_joint(normal, file=tmp_path / "joint.png")
    assert (tmp_path / "joint.png").stat().st_size > 20_000
    table = mc.conditional_means(normal)
    lines = {
        str(each.get_gid()): each for each in figure.get_target(None, {"column": "traces"}).lines
    }
    for row in ("mu", *"abcdef"):
        own = table[table["row"] == row]
        assert lines[f"trace:{row}"].get_xdata() == pytest.approx(own["tau"].to_numpy())
        assert lines[f"trace:{row}"].get_ydata() == pytest.approx(own["mean"].to_numpy())
    tau, mu = (normal["posterior"][name].to_numpy().ravel() for name in ("tau", "mu"))
    joint = figure.get_target(None, {"column": "joint"})
    (filled,) = [each for each in joint.collections if each.get_gid() == "posterior"]
    inside = np.zeros(tau.size, dtype=bool)
    for path in filled.get_paths():
        inside |= path.contains_points(np.column_stack([tau, mu]))
    assert inside.mean() == pytest.approx(0.95, abs=0.03)  # the kernel is a little wide
    assert "correlation of the two" in figure.viz.attrs["alt"]
    plt.close("all")


def test_prior_regions_hold_what_they_say(normal: Any) -> None:
    figure = mc.plot_joint(normal)
    joint = figure.get_target(None, {"column": "joint"})
    (prior,) = [each for each in joint.collections if each.get_gid() == "prior"]
    # of a normal and a half-normal prior the regions are half ellipses, by chi-squared with 2 df
    wanted = np.exp(-0.5 * stats.chi2.ppf([0.95, 0.5], 2)) * stats.norm.pdf(0) ** 2 * 4
    assert prior.levels == pytest.approx(wanted, rel=0.03)
    plt.close("all")


def test_many_studies_name_the_highest_and_the_lowest() -> None:
    rng = np.random.default_rng(2)
    n = rng.integers(8, 60, 34)
    name = "Working Party of a Consortium with a Long Name for This Column {}"
    data = pd.DataFrame(
        {"study": [name.format(k) for k in range(34)], "events": rng.binomial(n, 0.7), "total": n}
    )
    fit = mc.fit(
        mc.ModelSpec(likelihood="binomial"), data, method="exact", draws=500, seed=1, progress=False
    )
    figure = mc.plot_joint(fit)
    found = figure.viz["name"].dataset
    assert found.sizes["row"] == 20
    figure.viz["figure"].item().canvas.draw()
    boxes = [
        each.get_window_extent()
        for each in np.ravel(found[next(iter(found.data_vars))].to_numpy())
        if each is not None
    ]
    boxes.sort(key=lambda box: -box.y0)
    assert all(upper.y0 >= lower.y1 - 1.5 for upper, lower in itertools.pairwise(boxes))
    plt.close("all")


@pytest.mark.parametrize(
    ("scale", "low", "high", "some"),
    [
        ("logit", -3.0, 3.0, {"10", "50", "90"}),
        ("logit", 1.05, 1.2, {"75"}),
        ("logit", -14.0, -2.0, {"0.01", "1"}),
        ("log", -1.2, 0.7, {"0.5", "1", "2"}),
        ("log", -0.05, 0.05, {"1"}),
        ("log", -40.0, 40.0, {"1"}),
        ("cloglog", -3.0, 1.0, {"50"}),
        ("loglog", -1.0, 3.0, {"50"}),
        ("identity", -1.3, 2.1, {"0"}),
    ],
)
def test_axes_of_effects_have_natural_ticks(
    scale: str, low: float, high: float, some: set[str]
) -> None:
    axis = effect_axis(SCALES[scale], low, high)
    assert some <= set(axis.tick_labels)
    assert 1 <= len(axis.ticks) <= 9
    assert all(low <= tick <= high for tick in axis.ticks)
    if scale != "identity":
        unit = 100.0 if SCALES[scale].is_rate else 1.0
        natural = unit * SCALES[scale].inverse(np.array(axis.ticks))
        assert natural == pytest.approx([float(label) for label in axis.tick_labels], rel=1e-4)
