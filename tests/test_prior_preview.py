"""What priors say before any fit, against closed forms and scipy's quadrature."""

import itertools
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, optimize, stats
from scipy.special import expit, logit

import metacart as mc
from metacart.errors import InputError

ENDS = np.array([0.025, 0.5, 0.975])
# of a probability or of a rate between 40,000 draws; ratios are compared as logarithms
ERROR = 0.01
ARMS = pd.DataFrame(
    {
        "study": list("ABCDEF"),
        "events": [9, 5, 13, 2, 8, 7],
        "total": [10, 8, 19, 6, 10, 9],
        "scfv": ["murine", "humanized", "murine", "human", "murine", "humanized"],
        "age": [10.0, 35.0, 12.0, 40.0, 22.0, 18.0],
    }
)


def question(**changes):
    return mc.ModelSpec(**({"likelihood": "binomial", "thresholds": [0.8]} | changes))


def preview(*given, **changes):
    table = mc.preview_priors(question(**changes), *given)
    assert table["estimand"].is_unique
    return table.set_index("estimand")


def limits(table, row):
    return table.loc[row, ["lower", "median", "upper"]].to_numpy(dtype=float)


def tau_density(tau):
    return stats.halfnorm(scale=1).pdf(tau)


def test_the_median_study_is_the_prior_of_mu_turned_into_rates():
    table = preview()
    np.testing.assert_allclose(
        limits(table, "median study"), expit(1.5 * stats.norm.ppf(ENDS)), atol=1e-4
    )
    expected = {
        "P(median study < 0.05)": stats.norm.cdf(logit(0.05) / 1.5),
        "P(median study > 0.95)": stats.norm.sf(logit(0.95) / 1.5),
        "P(median study > 0.8)": stats.norm.sf(logit(0.8) / 1.5),
    }
    for row, share in expected.items():
        assert table.loc[row, "median"] == pytest.approx(share, abs=1e-4)
        assert np.isnan(table.loc[row, "lower"])


def next_below(rate):
    """P(next study < rate): mu + tau z is normal given tau, which is integrated out."""
    point = logit(rate)
    value, _ = integrate.quad(
        lambda tau: stats.norm.cdf(point / np.hypot(1.5, tau)) * tau_density(tau), 0, 12
    )
    return value


def test_the_next_study_agrees_with_quadrature():
    table = preview()
    assert table.loc["P(next study < 0.05)", "median"] == pytest.approx(next_below(0.05), abs=0.004)
    assert table.loc["P(next study > 0.8)", "median"] == pytest.approx(
        1 - next_below(0.8), abs=0.009
    )
    expected = [
        optimize.brentq(lambda rate, share=share: next_below(rate) - share, 1e-4, 1 - 1e-4)
        for share in ENDS
    ]
    np.testing.assert_allclose(limits(table, "next study"), expected, atol=ERROR)


def average_below(rate):
    """P(population average < rate): at each tau the average rises with mu."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(81)
    weights = weights / weights.sum()

    def at(tau):
        turn = optimize.brentq(lambda mu: weights @ expit(mu + tau * nodes) - rate, -40, 40)
        return stats.norm.cdf(turn / 1.5) * tau_density(tau)

    value, _ = integrate.quad(at, 0, 6, epsabs=1e-4)
    return value


def test_the_population_average_agrees_with_quadrature():
    table = preview()
    found = table.loc["P(population average < 0.05)", "median"]
    assert found == pytest.approx(average_below(0.05), abs=0.003)
    found = table.loc["P(population average > 0.8)", "median"]
    assert found == pytest.approx(1 - average_below(0.8), abs=0.007)
    lower, median, upper = limits(table, "population average")
    assert average_below(lower) == pytest.approx(0.025, abs=0.004)
    assert median == pytest.approx(0.5, abs=1e-3)
    assert average_below(upper) == pytest.approx(0.975, abs=0.004)


def test_the_spread_is_that_of_the_prior_of_tau():
    table = preview()
    tau = stats.halfnorm.ppf(ENDS)
    np.testing.assert_allclose(limits(table, "tau"), tau)
    z = stats.norm.ppf(0.975)
    np.testing.assert_allclose(
        np.log(limits(table, "odds ratio across the middle 95 % of studies")),
        2 * z * tau,
        rtol=1e-3,
    )
    sharp = preview(priors={"mu": "Normal(0.5, 1e-9)", "tau": "Uniform(0.7999999, 0.8000001)"})
    np.testing.assert_allclose(
        limits(sharp, "range of the middle 95 % of studies"),
        expit(0.5 + 0.8 * z) - expit(0.5 - 0.8 * z),
        rtol=1e-5,
    )


def test_heavy_tailed_effects_have_their_own_spread_and_next_study():
    sharp = {"mu": "Normal(0, 1e-9)", "tau": "Uniform(0.9999999, 1.0000001)"}
    table = preview(random_effects="student_t", nu=3, priors=sharp)
    expected = expit(stats.t(3).ppf(ENDS))
    np.testing.assert_allclose(limits(table, "next study"), expected, atol=1e-4)
    np.testing.assert_allclose(
        limits(table, "range of the middle 95 % of studies"), expected[2] - expected[0], rtol=1e-5
    )


def test_a_common_effect_has_no_spread():
    table = preview(random_effects="none")
    assert not [name for name in table.index if "95 % of studies" in name or name == "tau"]
    np.testing.assert_array_equal(limits(table, "next study"), limits(table, "median study"))


def test_survival_is_read_on_its_own_scale():
    table = preview(likelihood="survival", thresholds=[0.4])
    survival = np.exp(-np.exp(-1.5 * stats.norm.ppf(ENDS)))
    np.testing.assert_allclose(limits(table, "median study"), survival, atol=1e-4)
    # half the surviving share at m has the cumulative hazard log 2
    share = stats.norm.sf(-np.log(-np.log(0.4)) / 1.5)
    assert table.loc["P(median study > 0.4)", "median"] == pytest.approx(share, abs=1e-4)
    assert "hazard ratio across the middle 95 % of studies" in table.index


def test_transplant_has_both_readings():
    table = mc.preview_priors("hsct_benefit_os").set_index("estimand")
    naive = limits(table, "median study (naive)")
    np.testing.assert_allclose(np.log(naive), 1.5 * stats.norm.ppf(ENDS), atol=1e-3)
    adjusted = limits(table, "median study (immortal-time-adjusted)")
    # mu less b, both normal
    expected = stats.norm(0.45, np.hypot(1.5, 0.25)).ppf(ENDS)
    np.testing.assert_allclose(np.log(adjusted), expected, atol=0.03)
    share = stats.norm(0.45, np.hypot(1.5, 0.25)).cdf(0)
    row = "P(median study < 1) (immortal-time-adjusted)"
    assert table.loc[row, "median"] == pytest.approx(share, abs=0.005)
    assert table.loc[row, "follows_from"] == "mu ~ Normal(0, 1.5), bias ~ Normal(-0.45, 0.25)"
    np.testing.assert_allclose(limits(table, "bias (log scale)"), stats.norm(-0.45, 0.25).ppf(ENDS))


def test_studies_that_handle_time_leave_mu_as_it_is():
    evidence = pd.DataFrame(
        {
            "study": ["A", "B"],
            "kind": "ratio",
            "ratio": [0.5, 0.7],
            "lower": [0.25, 0.4],
            "upper": [1.0, 1.225],
            "time_handling": ["time-dependent", "time-fixed"],
        }
    )
    spec = mc.ModelSpec(likelihood="hsct")
    table = mc.preview_priors(spec, evidence).set_index("estimand")
    naive, adjusted = (
        limits(table, f"median study ({view})") for view in ("naive", "immortal-time-adjusted")
    )
    np.testing.assert_array_equal(naive, adjusted)
    both = evidence.assign(time_handling="landmark")
    table = mc.preview_priors(spec, both).set_index("estimand")
    assert "median study" in table.index


def test_estimates_without_bounds_have_values():
    priors = {"mu": "Normal(10, 2)", "tau": "HalfNormal(3)"}
    table = preview(likelihood="normal", priors=priors, thresholds=[12.0])
    expected = stats.norm(10, 2).ppf(ENDS)
    np.testing.assert_allclose(limits(table, "median study"), expected, rtol=1e-4)
    np.testing.assert_allclose(limits(table, "population average"), expected, rtol=1e-4)
    share = stats.norm(10, 2).sf(12)
    assert table.loc["P(median study > 12)", "median"] == pytest.approx(share, abs=1e-4)
    assert not [name for name in table.index if "ratio" in name or "0.05" in name]
    spread = 2 * stats.norm.ppf(0.975) * stats.halfnorm(scale=3).ppf(ENDS)
    np.testing.assert_allclose(
        limits(table, "range of the middle 95 % of studies"), spread, rtol=1e-3
    )


def test_ratios_have_no_average_and_their_own_extremes():
    table = preview(likelihood="normal", scale="log", thresholds=[1.0])
    assert "population average" not in table.index
    share = stats.norm.cdf(np.log(0.1) / 1.5)
    assert table.loc["P(median study < 0.1)", "median"] == pytest.approx(share, abs=1e-4)
    assert table.loc["P(median study > 10)", "median"] == pytest.approx(share, abs=1e-4)
    assert table.loc["P(median study < 1)", "median"] == pytest.approx(0.5, abs=1e-4)


MODERATED = {"moderators": ["scfv", "age"], "priors": {"beta": "Normal(0, 0.5)"}}
HALF = stats.norm(0, 0.5)


@pytest.mark.parametrize(
    ("changes", "row", "expected"),
    [
        (
            {"contrasts": [["scfv", "humanized", "murine"]]},
            "odds ratio, scfv: humanized against murine",
            np.exp(HALF.ppf(ENDS)),
        ),
        # the reference is another level: two coefficients
        (
            {"contrasts": [["scfv", "humanized", "murine"]], "reference": {"scfv": "human"}},
            "odds ratio, scfv: humanized against murine",
            np.exp(np.sqrt(2) * HALF.ppf(ENDS)),
        ),
        (
            {"contrasts": [["scfv", "murine", "human"]], "reference": {"scfv": "murine"}},
            "odds ratio, scfv: murine against human",
            np.exp(HALF.ppf(ENDS)),
        ),
        (
            {"contrasts": [["age", 30, 10]]},
            "odds ratio, age: 30 against 10",
            np.exp(20 * HALF.ppf(ENDS)),
        ),
        (
            {"contrasts": [["age", 30, 10]], "unit": {"age": "10 years"}},
            "odds ratio, age: 30 against 10",
            np.exp(2 * HALF.ppf(ENDS)),
        ),
        (
            {"contrasts": [["age", 30, 10]], "priors": {}},
            "odds ratio, age: per SD of the number",
            np.exp(stats.norm.ppf(ENDS)),
        ),
        (
            {"priors": {}},
            "odds ratio, age: a level against its reference, or per SD of the number",
            np.exp(stats.norm.ppf(ENDS)),
        ),
        (
            {"reference": {"scfv": "murine"}},
            "odds ratio, scfv: a level against its reference",
            np.exp(HALF.ppf(ENDS)),
        ),
        (
            {"unit": {"age": "10 years"}},
            "odds ratio, age: per 10 years",
            np.exp(HALF.ppf(ENDS)),
        ),
        # survival rises with theta, the hazard falls
        (
            {
                "likelihood": "survival",
                "contrasts": [["scfv", "humanized", "murine"]],
                "priors": {"beta": "Normal(1, 0.5)"},
            },
            "hazard ratio, scfv: humanized against murine",
            np.exp(-stats.norm(1, 0.5).ppf(1 - ENDS)),
        ),
        (
            {"likelihood": "normal", "scale": "log", "thresholds": []},
            "ratio of ratios, scfv: a level against its reference, or per unit",
            np.exp(HALF.ppf(ENDS)),
        ),
    ],
)
def test_contrasts_from_the_spec_alone(changes, row, expected):
    table = preview(**(MODERATED | changes))
    np.testing.assert_allclose(np.log(limits(table, row)), np.log(expected), atol=0.025)
    assert table.loc[row, "at"] == "two arms of one study"
    assert table.loc[row, "follows_from"].startswith(("beta:scfv ~", "beta:age ~"))
    assert (table.loc["median study", "at"]) == "moderators at their reference or 0"


def test_with_evidence_estimands_are_averaged_over_its_rows():
    table = preview(ARMS, moderators=["scfv"], reference={"scfv": "murine"})
    assert table.loc["median study", "at"] == "averaged over the evidence"
    assert table.loc["median study", "follows_from"] == (
        "mu ~ Normal(0, 1.5), beta:scfv[human] ~ Normal(0, 1), beta:scfv[humanized] ~ Normal(0, 1)"
    )
    # independent draws of the same
    rng = np.random.default_rng(2)
    mu, humanized, human = rng.normal(size=(3, 400_000)) * [[1.5], [1.0], [1.0]]
    rates = (3 * expit(mu) + 2 * expit(mu + humanized) + expit(mu + human)) / 6
    np.testing.assert_allclose(limits(table, "median study"), np.quantile(rates, ENDS), atol=ERROR)
    contrast = limits(table, "odds ratio, scfv: human against murine")
    np.testing.assert_allclose(np.log(contrast), stats.norm.ppf(ENDS), atol=1e-3)


def test_numbers_have_the_unit_of_the_evidence():
    table = preview(ARMS, moderators=["age"], contrasts=[["age", 40, 20]])
    spread = ARMS["age"].std(ddof=1)
    found = limits(table, "odds ratio, age: 40 against 20")
    np.testing.assert_allclose(np.log(found), 20 / spread * stats.norm.ppf(ENDS), atol=0.01)


def test_no_outcome_is_looked_at():
    others = ARMS.assign(events=0)
    spec = question(moderators=["scfv", "age"])
    pd.testing.assert_frame_equal(mc.preview_priors(spec, ARMS), mc.preview_priors(spec, others))


def test_the_prior_draws_of_a_fit_say_the_same():
    fit = mc.fit(question(), ARMS, method="exact", draws=500, seed=1, progress=False)
    prior, table = fit["prior"], preview()
    theta = expit(prior["theta_new"].to_numpy().ravel())
    # 4,000 draws: four standard errors of a quantile of what is nearly uniform
    np.testing.assert_allclose(limits(table, "next study"), np.quantile(theta, ENDS), atol=0.03)


def test_the_table_is_the_same_each_time_and_warns_of_nothing():
    wide = question(random_effects="student_t", nu=1, priors={"tau": "HalfCauchy(25)"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tables = [mc.preview_priors(wide) for _ in range(2)]
    pd.testing.assert_frame_equal(*tables)
    table = tables[0].set_index("estimand")
    assert table.loc["next study", "lower"] < 1e-6
    assert table.loc["odds ratio across the middle 95 % of studies", "upper"] == np.inf
    assert not table[["median"]].isna().any().any()


def test_every_shipped_question_has_a_preview():
    for name in mc.list_models():
        if isinstance(mc.LIKELIHOODS[mc.load_model(name).likelihood], mc.System):
            with pytest.raises(InputError, match="has several means"):
                mc.preview_priors(name)
            continue
        table = mc.preview_priors(name)
        described = table[~table["estimand"].str.startswith("P(")]
        assert (described["lower"] <= described["median"]).all()
        assert (described["median"] <= described["upper"]).all()
        chances = table.loc[table["estimand"].str.startswith("P("), "median"]
        assert chances.between(0, 1).all()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            mc.ModelSpec(likelihood="normal"),
            (
                "priors.mu: no default on the identity scale; allowed: a prior in the unit of the "
                "estimates; try: the evidence beside the spec, from which one is suggested"
            ),
        ),
        (
            question(priors={"tau": "Turner2015()"}),
            "priors.tau: Turner2015() holds for log odds ratios of two groups",
        ),
        (question(priors={"tua": "HalfNormal(1)"}), "did you mean 'tau'?"),
        (question(likelihood="binomal"), "did you mean 'binomial'?"),
        ("cr_rat", "did you mean 'cr_rate'?"),
    ],
)
def test_what_cannot_be_previewed_is_refused(spec, message):
    with pytest.raises(InputError) as refusal:
        mc.preview_priors(spec)
    assert message in str(refusal.value)


def test_unknown_options_are_refused_by_name():
    with pytest.raises(TypeError, match="evidence"):
        mc.preview_priors("cr_rate", evidense=None)


# --- the figure ---------------------------------------------------------------------------------


def rows_of(collection, visual):
    return collection.viz[visual]["row"].to_numpy().tolist()


def test_the_figure_has_its_marks_and_the_numbers_of_the_table():
    collection = mc.plot_prior_preview("cr_rate", backend="none")
    estimands = [
        f"estimand:{name}" for name in ("median study", "population average", "next study")
    ]
    for visual in ("hill", "interval", "median"):
        assert rows_of(collection, visual) == estimands
    reviews = [f"review:{n}" for n in range(1, 9)]
    studies = [rows_of(collection, f"study_{n}") for n in range(1, 11)]
    assert studies == [reviews] * 10
    alt = collection.viz.attrs["alt"]
    assert "mu ~ Normal(0, 1.5); tau ~ HalfNormal(1)." in alt
    assert "Median study: 50 [5–95] %." in alt
    assert collection.viz.attrs["title"].startswith("Priors of: Complete remission")


def test_the_figure_of_transplant_has_both_readings():
    collection = mc.plot_prior_preview("hsct_benefit_os", backend="none")
    views = ("naive", "immortal-time-adjusted")
    expected = [
        f"estimand:{name} ({view})"
        for view, name in itertools.product(views, ("median study", "next study"))
    ]
    assert rows_of(collection, "hill") == expected
    assert "bias ~ Normal(−0.45, 0.25)" in collection.viz.attrs["alt"]


def test_a_named_prior_is_shown_with_its_source():
    spec = mc.ModelSpec(
        likelihood="normal",
        scale="log",
        priors={"tau": "Turner2015(pain, pharmacological_vs_control)"},
    )
    alt = mc.plot_prior_preview(spec, backend="none").viz.attrs["alt"]
    assert "tau ~ LogNormal(−0.915, 0.76) (Turner 2015, Table IV, doi 10.1002/sim.6381)" in alt


def test_studies_off_the_axis_end_in_arrows():
    spec = mc.ModelSpec(likelihood="normal", priors={"mu": "Normal(0, 1)", "tau": "HalfCauchy(25)"})
    collection = mc.plot_prior_preview(spec, backend="none")
    assert [name for name in collection.viz.children if name.endswith(("_below", "_above"))]


def test_the_figure_is_written(tmp_path):
    file = tmp_path / "priors.png"
    mc.plot_prior_preview(question(moderators=["scfv"]), ARMS, file=file)
    assert file.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"file": "priors.jpg"}, "suffix '.jpg'"),
        ({"backend": "plotly"}, "backend: 'plotly' is not known"),
    ],
)
def test_the_figure_refuses_what_it_cannot_do(options, message):
    with pytest.raises(InputError, match=message):
        mc.plot_prior_preview("cr_rate", **options)
