"""The answers under other priors of the spread between studies."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import integrate, special, stats

import metacart as mc
from metacart.records.priors import PRIORS, parse_prior
from metacart.results.sensitivity import _wider

TABLE = pd.DataFrame({"study": list("abcd"), "events": [9, 5, 13, 2], "total": [10, 8, 19, 9]})


def next_study_quantile(tau_sd, probability):
    """Slow and obvious: the next study's log odds from a grid over (mu, tau), effects summed."""
    mu, tau = np.linspace(-6, 6, 201), np.linspace(0.005, 8, 400)
    z, weight = np.polynomial.hermite_e.hermegauss(60)
    weight = weight / weight.sum()
    eta = mu[:, None, None] + tau[None, :, None] * z
    log_mass = stats.norm.logpdf(mu, 0, 1.5)[:, None] + stats.halfnorm.logpdf(tau, 0, tau_sd)
    for row in TABLE.itertuples():
        log_mass += np.log(
            (stats.binom.pmf(row.events, row.total, special.expit(eta)) * weight).sum(-1)
        )
    mass = np.exp(log_mass - log_mass.max())
    mass /= mass.sum()
    likely = np.nonzero(mass > 1e-8)
    line = np.linspace(-6, 6, 401)
    spread = (mu[likely[0]], tau[likely[1]])
    below = [np.sum(mass[likely] * stats.norm.cdf(x, *spread)) for x in line]
    return special.expit(np.interp(probability, below, line))


@pytest.fixture(scope="module")
def fit():
    return mc.fit(mc.ModelSpec(likelihood="binomial"), TABLE, method="exact", seed=3)


def test_half_twice_and_none(fit):
    table = mc.prior_sensitivity(fit, mu=(1,))
    assert table["prior"].drop_duplicates().tolist() == [
        "tau ~ HalfNormal(1)",
        "tau ~ HalfNormal(0.5)",
        "tau ~ HalfNormal(2)",
        "tau = 0 (common effect)",
    ]
    own = mc.summarize(fit).set_index("estimand")
    declared = table[table["declared"]].set_index("estimand")
    for name in ("median study", "population average", "next study"):
        assert declared.loc[name, "lower"] == own.loc[name, "lower"]
    rows = table.set_index(["prior", "estimand"])
    for sd in (0.5, 1, 2):
        row = rows.loc[(f"tau ~ HalfNormal({sd:g})", "next study")]
        assert row["median"] == pytest.approx(next_study_quantile(sd, 0.5), abs=4 * row["mcse"])
        expected = next_study_quantile(sd, 0.025)
        assert row["lower"] == pytest.approx(expected, abs=4 * row["mcse_lower"])
    common = rows.loc["tau = 0 (common effect)"]
    # a beta posterior is near: 29 of 46 with a weak prior on the log odds
    line = np.linspace(-4, 5, 20_001)
    mass = stats.norm.pdf(line, 0, 1.5) * np.exp(stats.binom(46, special.expit(line)).logpmf(29))
    expected = special.expit(np.interp([0.025, 0.5], np.cumsum(mass) / mass.sum(), line))
    for name in ("median study", "population average", "next study"):
        found = common.loc[name]
        assert found["median"] == pytest.approx(expected[1], abs=4 * found["mcse"])
        assert found["lower"] == pytest.approx(expected[0], abs=4 * found["mcse_lower"])


def test_under_a_common_effect_the_next_study_is_still_drawn_like_a_row():
    """With a moderator the estimands stay apart: one is averaged over rows, one has one of them."""
    spec = mc.ModelSpec(
        likelihood="binomial", moderators=("late",), priors={"beta": "Normal(3, 0.1)"}
    )
    table = TABLE.assign(late=[False, True, True, False])
    found = mc.prior_sensitivity(mc.fit(spec, table, method="exact", seed=3), mu=(1,))
    common = found[found["prior"] == "tau = 0 (common effect)"].set_index("estimand")
    width = common["upper"] - common["lower"]
    assert common.loc["population average", "upper"] == common.loc["median study", "upper"]
    assert width["next study"] > 1.5 * width["median study"]


def test_without_study_effects_there_is_nothing_to_vary():
    spec = mc.ModelSpec(likelihood="binomial", random_effects="none")
    table = mc.prior_sensitivity(mc.fit(spec, TABLE, method="exact", seed=3), mu=(1,))
    assert table["declared"].all()


@pytest.mark.parametrize("text", [form.example for form in PRIORS.values()])
def test_a_scaled_prior_is_that_of_the_scaled_quantity(text):
    prior = parse_prior(text)
    if prior.name == "Beta":
        with pytest.raises(ValueError, match="cannot be scaled"):
            prior.scaled(2.5)
        return
    probabilities = [0.01, 0.5, 0.99]
    np.testing.assert_allclose(
        prior.scaled(2.5).quantile(probabilities), 2.5 * prior.quantile(probabilities), atol=1e-12
    )


# ---- the grid


def test_each_pair_of_scales_is_a_row(fit):
    table = mc.prior_sensitivity(fit, tau=(1, 2), mu=(1, 0.5), progress=False)
    names = table["estimand"].drop_duplicates().tolist()
    rows = table.drop_duplicates("prior")
    assert rows["prior"].tolist() == [
        "mu ~ Normal(0, 1.5), tau ~ HalfNormal(1)",
        "mu ~ Normal(0, 1.5), tau ~ HalfNormal(2)",
        "mu ~ Normal(0, 0.75), tau ~ HalfNormal(1)",
        "mu ~ Normal(0, 0.75), tau ~ HalfNormal(2)",
    ]
    assert rows["mu_scale"].tolist() == [1, 1, 0.5, 0.5]
    assert rows["tau_scale"].tolist() == [1, 2, 1, 2]
    assert rows["computed"].tolist() == ["as fitted", *["refitted"] * 3]
    assert len(table) == 4 * len(names)
    # 29 of 46: a narrower prior of mu holds the rate nearer to one half
    medians = table.set_index(["mu_scale", "tau_scale", "estimand"])["median"]
    assert medians[0.5, 2, "median study"] < medians[1, 2, "median study"]


def test_a_wider_prior_of_mu_keeps_its_centre():
    cases = {
        "Normal(-0.4, 1)": "Normal(-0.4, 3)",
        "StudentT(4, 1, 2)": "StudentT(4, 1, 6)",
        "Cauchy(1, 2)": "Cauchy(1, 6)",
        "Uniform(0, 2)": "Uniform(-2, 4)",
        "TruncatedNormal(1, 1, -2, 2)": "TruncatedNormal(1, 3, -2, 2)",
    }
    for text, expected in cases.items():
        prior = parse_prior(text)
        wide = _wider(prior, 3)
        assert str(wide) == expected
        if prior.name != "TruncatedNormal":
            centre = prior.quantile(0.5)
            assert wide.quantile(0.5) == pytest.approx(centre)
            spread = prior.quantile([0.1, 0.9]) - centre
            np.testing.assert_allclose(wide.quantile([0.1, 0.9]), centre + 3 * spread)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mu": (0,)}, "mu: 0; allowed: numbers above 0, such as (0.5, 1, 2)"),
        ({"tau": (-1,)}, "tau: -1; allowed: numbers of 0 or more, such as (0.5, 1, 2)"),
        ({"mu": ("wide",)}, "mu: ('wide',); allowed: numbers above 0, such as (0.5, 1, 2)"),
    ],
)
def test_scales_that_cannot_be(fit, options, message):
    with pytest.raises(mc.InputError) as error:
        mc.prior_sensitivity(fit, **options)
    assert str(error.value) == message


# ---- power scaling


def distance(p, q, low, high):
    """The cumulative Jensen-Shannon distance over the range of the draws, from either side."""

    def from_one_side(of):
        def half(a, b):
            def integrand(x):
                left, right = of(a)(x), of(b)(x)
                return left * np.log2(2 * left / (left + right)) + (right - left) / np.log(4)

            return integrate.quad(integrand, low, high, epsabs=1e-13, limit=200)[0]

        whole = sum(integrate.quad(of(each), low, high)[0] for each in (p, q))
        return np.sqrt((half(p, q) + half(q, p)) / whole)

    return max(from_one_side(lambda x: x.cdf), from_one_side(lambda x: x.sf))


def test_power_scaling_against_normal_posteriors():
    """A normal prior to a power is again normal: both posteriors are known."""
    data = pd.DataFrame({"study": list("abc"), "estimate": [1.4, 0.9, 1.2], "se": [0.5, 0.6, 0.7]})
    spec = mc.ModelSpec(
        likelihood="normal",
        random_effects="none",
        scale="identity",
        priors={"mu": "Normal(0, 0.5)"},
    )
    fit = mc.fit(spec, data, method="exact", draws=20_000, seed=3)
    draws = fit["posterior"]["mu"].to_numpy()
    weight = 1 / data["se"] ** 2

    def posterior(prior, likelihood):
        precision = prior / 0.5**2 + likelihood * weight.sum()
        middle = likelihood * (weight * data["estimate"]).sum() / precision
        return stats.norm(middle, precision**-0.5)

    def sensitivity(change):
        parts = [
            distance(posterior(1, 1), posterior(*change(a)), draws.min(), draws.max())
            / abs(np.log2(a))
            for a in (0.99, 1.01)
        ]
        return np.mean(parts)

    table = mc.power_scaling(fit).set_index(["quantity", "prior"])
    row = table.loc["mu", "all"]
    assert row["prior_sensitivity"] == pytest.approx(sensitivity(lambda a: (a, 1)), rel=0.05)
    assert row["likelihood_sensitivity"] == pytest.approx(sensitivity(lambda a: (1, a)), rel=0.05)
    # a prior about 0 with SD 0.5 against data about 1.2: it holds the answer back
    assert row["diagnosis"] == "prior and data may disagree"


def test_a_planted_prior_is_found_by_name():
    """A narrow prior far from the data is named, and the grid says so of the estimands."""
    spec = mc.ModelSpec(likelihood="binomial", priors={"mu": "Normal(-3, 0.4)"})
    tight = mc.fit(spec, TABLE, method="exact", draws=1000, seed=3)
    table = mc.power_scaling(tight).set_index(["quantity", "prior"])
    assert table.loc[("median study", "mu"), "diagnosis"] != "the prior hardly matters"
    of_mu, of_tau = (
        table.loc[("median study", name), "prior_sensitivity"] for name in ("mu", "tau")
    )
    assert of_mu > 2 * of_tau
    grid = mc.prior_sensitivity(tight, tau=(1,), mu=(1, 4), progress=False)
    declared, wide = (grid[grid["declared"] == own].set_index("estimand") for own in (True, False))
    assert declared.loc["median study", "diagnosis"] != "the prior hardly matters"
    assert set(wide["diagnosis"]) == {""}
    assert wide.loc["median study", "lower"] > declared.loc["median study", "upper"]


def test_two_patients_say_nothing_of_tau():
    data = pd.DataFrame({"study": ["a"], "events": [1], "total": [2]})
    fit = mc.fit(mc.ModelSpec(likelihood="binomial"), data, method="exact", draws=2000, seed=3)
    table = mc.power_scaling(fit).set_index(["quantity", "prior"])
    assert table.loc[("tau", "tau"), "diagnosis"] == "strong prior or weak data"


def test_power_scaling_of_a_transplant_question_has_both_views():
    data = pd.DataFrame(
        {"study": list("abc"), "kind": "ratio", "ratio": [0.4, 0.3, 0.6]}
        | {"lower": [0.2, 0.12, 0.3], "upper": [0.8, 0.75, 1.2], "time_handling": "time-fixed"}
    )
    spec = mc.ModelSpec(likelihood="hsct")
    shifted = mc.fit(spec, data, method="exact", draws=500, seed=3)
    table = mc.power_scaling(shifted)
    found = table.loc[table["prior"] == "all", "quantity"].tolist()
    assert found[0] == "median study (naive)"
    assert "median study (immortal-time-adjusted)" in found
    data["time_handling"] = ["landmark", "time-fixed", "time-fixed"]
    told = mc.fit(spec, data, method="exact", draws=500, seed=3)
    joint = mc.power_scaling(told)
    assert not joint["quantity"].str.contains("naive").any()
    assert "bias" in set(joint["prior"])
    # "the prior hardly matters" is not said of the prior that only shifts the answer
    for each, said in ((shifted, True), (told, False)):
        figure = mc.plot_prior_sensitivity(each, tau=(1,), mu=(1,), progress=False)
        drawn = figure.viz["figure"].item()
        words = " ".join(text.get_text() for axes in drawn.axes for text in axes.texts)
        assert ("prior of the bias" in " ".join(words.split())) is said
        plt.close(drawn)


# ---- the figures


def test_the_figure_of_the_grid_is_the_table_and_marks_the_declared(fit, tmp_path):
    options = {"tau": (0, 1, 2), "mu": (1, 4), "progress": False}
    table = mc.prior_sensitivity(fit, **options)
    pc = mc.plot_prior_sensitivity(fit, **options, backend="none")
    marks = pc.viz["median"]["median"]
    pairs = [f"prior:{mu}:{tau}" for mu in (1, 4) for tau in (0, 1, 2)]
    assert marks["row"].to_numpy().tolist() == pairs
    rows = table[table["estimand"] == "population average"].set_index(["mu_scale", "tau_scale"])
    for pair in pairs:
        mu, tau = map(float, pair.removeprefix("prior:").split(":"))
        assert marks.sel(row=pair).item()["x"] == [rows.loc[(mu, tau), "median"]]
    line = pc.viz["answer_line"]["answer_line"].item()
    assert line["x"].tolist() == [rows.loc[(1, 1), "median"]] * 2
    texts = {row.item()["string"] for row in pc.viz["tau"]["tau"]}
    assert texts == {"τ = 0 (common effect)", "HalfNormal(1), as declared", "HalfNormal(2)"} | {
        "HalfNormal(1)"
    }
    assert "mu ~ Normal(0, 6), tau ~ HalfNormal(2): " in pc.viz.attrs["alt"]
    few = {"tau": (1,), "mu": (1,), "progress": False}
    mc.plot_prior_sensitivity(fit, **few, file=tmp_path / "grid.png")
    assert (tmp_path / "grid.png").stat().st_size > 10_000


def test_the_figure_of_power_scaling_marks_the_planted_prior(tmp_path):
    spec = mc.ModelSpec(likelihood="binomial", priors={"mu": "Normal(-3, 0.4)"})
    tight = mc.fit(spec, TABLE, method="exact", draws=1000, seed=3)
    table = mc.power_scaling(tight)
    pc = mc.plot_power_scaling(tight, backend="none")
    marks = pc.viz["prior_sensitivity"]["prior_sensitivity"]
    assert marks.sizes["row"] == len(table)
    for row in table.to_dict("records"):
        mark = marks.sel(row=f"scaled:{row['quantity']}:{row['prior']}").item()
        assert mark["x"] == [max(row["prior_sensitivity"], 0.001)]
        beyond = row["diagnosis"] != "the prior hardly matters"
        assert mark["facecolor"] == ("#D55E00" if beyond else "#0072B2")
    assert "median study, μ: " in pc.viz.attrs["alt"]
    mc.plot_power_scaling(tight, file=tmp_path / "power.png")
    assert (tmp_path / "power.png").stat().st_size > 10_000


@pytest.mark.parametrize("plot", ["plot_prior_sensitivity", "plot_power_scaling", "plot_conflict"])
def test_figures_refuse_a_suffix_before_anything_is_fitted(plot):
    with pytest.raises(mc.InputError, match=r"the suffix '.jpg'; allowed: \.png, \.svg, \.pdf"):
        getattr(mc, plot)(None, file="figure.jpg")
    with pytest.raises(mc.InputError, match=rf"{plot}\(fil=…\): no such option"):
        getattr(mc, plot)(None, fil="figure.png")
