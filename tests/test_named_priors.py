"""Priors by name: the published values, what they stand for, and where they do not hold."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import metacart as mc
from metacart.errors import InputError
from metacart.records.named_priors import CATALOGUE, MEASURES, NAMED, find_named
from metacart.records.priors import PRIORS, parse_prior
from metacart.records.turner2015 import COMPARISONS, TABLE

RATIOS = pd.DataFrame(
    {
        "study": ["A", "B", "C", "D"],
        "estimate": [-0.9, -0.2, 0.1, -0.6],
        "se": [0.35, 0.3, 0.5, 0.25],
    }
)
COUNTS = pd.DataFrame({"study": ["A", "B"], "events": [9, 5], "total": [10, 8]})


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: f"{entry.parameter}-{entry.text}")
def test_every_entry_reads_as_its_explicit_prior_and_has_a_source(entry):
    support = "positive" if entry.parameter == "tau" else "real"
    prior = parse_prior(entry.text, support=support, parameter=entry.parameter)
    assert str(prior) == entry.prior
    assert prior == parse_prior(entry.prior, support=support)
    assert entry.source
    assert entry.doi.startswith("10.")
    assert entry.measures
    assert entry.measures <= MEASURES.keys()


# Turner 2015, Table IV: mean and standard deviation of log tau squared
TURNER = {
    ("all_cause_mortality", "pharmacological_vs_control"): (-3.95, 1.34),
    ("surgical_success", "pharmacological_vs_control"): (-2.14, 1.74),
    ("adverse_events", "pharmacological_vs_pharmacological"): (-2.10, 1.58),
    ("structure_related_outcomes", "nonpharmacological_vs_control"): (-2.93, 1.92),
    ("biological_markers", "nonpharmacological_vs_pharmacological"): (-0.74, 1.24),
    ("subjective_outcomes", "nonpharmacological_vs_nonpharmacological"): (-2.26, 1.45),
}


@pytest.mark.parametrize(("words", "cell"), TURNER.items(), ids=lambda value: str(value[0]))
def test_turner_is_log_normal_on_tau_squared(words, cell):
    mean, sd = cell
    prior = parse_prior(f"Turner2015({', '.join(words)})")
    shares = np.array([0.025, 0.25, 0.5, 0.75, 0.975])
    squared = stats.lognorm(sd, scale=np.exp(mean))
    np.testing.assert_allclose(prior.quantile(shares), np.sqrt(squared.ppf(shares)), rtol=1e-12)


def test_turner_has_80_settings_whose_means_add_up():
    """The paper's model has an effect of the outcome plus one of the comparison."""
    means = np.array([[TABLE[outcome][each][0] for each in COMPARISONS] for outcome in TABLE])
    assert means.shape == (16, 5)
    fitted = means.mean(0) + means.mean(1)[:, None] - means.mean()
    assert np.abs(means - fitted).max() < 0.01


def test_turner_without_words_is_that_of_any_setting():
    prior = parse_prior("Turner2015()")
    assert str(prior) == "LogNormal(-1.28, 0.87)"
    # the median of tau over all settings
    assert float(prior.quantile(0.5)) == pytest.approx(0.278, abs=5e-4)


@pytest.mark.parametrize(
    ("text", "mu", "tau", "median", "lower", "upper"),
    [
        # quantiles as published for the haematology reviews
        ("odds_ratio, haematology", (4, 0.57), (2.91, 0.66), 0.26, 0.09, 1.14),
        ("odds_ratio", (4, 0.58), (1.77, 0.55), None, None, None),
        ("hazard_ratio", (2, 0.13), (2.42, 0.30), None, None, None),
    ],
)
def test_bartos_is_students_t_and_inverse_gamma(text, mu, tau, median, lower, upper):
    shares = np.array([0.025, 0.5, 0.975])
    effect = parse_prior(f"Bartos2023({text})", parameter="mu")
    spread = parse_prior(f"Bartos2023({text})", support="positive", parameter="tau")
    nu, scale = mu
    np.testing.assert_allclose(effect.quantile(shares), scale * stats.t(nu).ppf(shares))
    shape, rate = tau
    # 1 / tau is gamma
    expected = 1 / stats.gamma(shape, scale=1 / rate).ppf(1 - shares)
    np.testing.assert_allclose(spread.quantile(shares), expected)
    if median is not None:
        assert spread.quantile(shares) == pytest.approx([lower, median, upper], abs=0.006)


def test_unit_information_has_the_variance_of_one_patient():
    variance = float(parse_prior("UnitInformation()").arguments[1]) ** 2
    assert variance == 1 / (0.5 * (1 - 0.5))


@pytest.mark.parametrize(
    ("text", "parameter", "message"),
    [
        (
            "Turner2015(pian, pharmacological_vs_control)",
            "tau",
            "'pian' is not known here; allowed: all_cause_mortality, obstetric_outcomes, ",
        ),
        ("Turner2015(pian, x)", "tau", "; try: did you mean 'pain'?"),
        ("Turner2015(pain)", "tau", "'Turner2015(pain)' lacks a word; allowed: pharmacological_vs"),
        (
            "Turner2015(pain, x)",
            "tau",
            "; try: such as Turner2015(pain, pharmacological_vs_pharmacological)",
        ),
        ("Turner2015('pain')", "tau", "holds something that is not a bare word; allowed: words"),
        ("Turner2015(outcome=pain)", "tau", "is not a bare word; allowed: words alone; try: such"),
        (
            "Bartos2023(hazard_ratio, haematology)",
            "tau",
            "'haematology' is not known here; allowed: nothing more; try: such as Bartos2023(hazar",
        ),
        ("Bartos2023()", "mu", "lacks a word; allowed: odds_ratio, risk_ratio, hazard_ratio; try"),
        (
            "Turner2015()",
            "mu",
            (
                "Turner2015() is a prior of tau, not of mu; allowed: a prior of mu; "
                'try: tau = "Turner2015()"'
            ),
        ),
        ("Bartos2023(odds_ratio)", "beta", "is a prior of mu or tau, not of beta"),
        (
            "Bartos2023(odds_ratio)",
            "",
            (
                "Bartos2023(odds_ratio) is a prior of mu or tau; allowed: a prior of one "
                'parameter; try: parameter="tau"'
            ),
        ),
        ("turner2015()", "tau", "'turner2015' is not known; allowed: "),
        ("turner2015()", "tau", "did you mean 'Turner2015'?"),
        ("Rhodes2015()", "tau", "Rhodes2015 holds for standardised mean differences, which no "),
    ],
)
def test_a_name_that_says_too_little_or_too_much_is_refused(text, parameter, message):
    support = "positive" if parameter == "tau" else "real"
    with pytest.raises(InputError) as refusal:
        parse_prior(text, support=support, parameter=parameter, place="priors.tau")
    assert str(refusal.value).startswith("priors.tau: ")
    assert message in str(refusal.value)


def test_names_and_families_never_meet():
    assert not set(NAMED) & PRIORS.keys()
    assert find_named("HalfNormal(1)", "tau") is None
    assert find_named("Turner2015(", "tau") is None
    assert find_named("Turner2015(none)", "tau") is None


def _refusal(evidence, **question):
    with pytest.raises(InputError) as refusal:
        mc.fit(mc.ModelSpec(**question), evidence, progress=False)
    return str(refusal.value)


def test_a_prior_of_odds_ratios_is_refused_for_rates_with_what_holds():
    message = _refusal(COUNTS, likelihood="binomial", priors={"tau": "Turner2015()"})
    assert message == (
        "priors.tau: Turner2015() holds for log odds ratios of two groups; here are log odds of "
        "single arms; allowed: HalfNormal(1), HalfCauchy(1); try: HalfNormal(1), the default"
    )


@pytest.mark.parametrize(
    ("question", "columns", "words"),
    [
        (
            {"likelihood": "hsct", "priors": {"tau": "Turner2015()"}},
            {},
            (
                "here are log hazard ratios of two groups; allowed: HalfNormal(0.5), "
                "HalfCauchy(0.5), HalfCauchy(1), Bartos2023(hazard_ratio); try: HalfNormal(0.5)"
            ),
        ),
        (
            {"likelihood": "survival", "priors": {"mu": "UnitInformation()"}},
            {},
            "here are survival of single arms; allowed: a prior of your own; try: Normal(0, 1.5)",
        ),
        (
            {"likelihood": "normal", "scale": "identity", "priors": {"mu": "UnitInformation()"}},
            {},
            "try: Normal(0, s) with s = sqrt(sum(n) / sum(1 / se**2)) over your studies",
        ),
        (
            {"likelihood": "normal", "scale": "log", "priors": {"tau": "Turner2015()"}},
            {"measure": ["HR", None, "hr", "hr"]},
            "Turner2015() holds for log odds ratios of two groups; here are log hazard ratios",
        ),
    ],
)
def test_a_named_prior_is_refused_where_it_does_not_hold(question, columns, words):
    assert words in _refusal(RATIOS.assign(**columns), **question)


def test_a_file_that_misplaces_a_name_is_told_its_line(tmp_path):
    file = tmp_path / "rates.toml"
    file.write_text(
        'schema = 1\nid = "rates"\nlikelihood = "binomial"\n[priors]\ntau = "Turner2015()"\n'
    )
    with pytest.raises(InputError, match=r"rates.toml:5: priors.tau: Turner2015\(\) holds for"):
        mc.fit(mc.load_model(file), COUNTS)


@pytest.fixture(scope="module")
def with_turner():
    spec = mc.ModelSpec(
        likelihood="normal",
        scale="log",
        priors={
            "mu": "Bartos2023(odds_ratio, haematology)",
            "tau": "Turner2015(adverse_events, pharmacological_vs_control)",
        },
    )
    table = RATIOS.assign(measure="or")
    return mc.fit(spec, table, method="exact", draws=20_000, seed=3, progress=False)


def test_a_fit_keeps_the_name_and_prints_the_prior(with_turner):
    assert json.loads(with_turner.attrs["priors"]) == {
        "mu": "StudentT(4, 0, 0.57)",
        "tau": "LogNormal(-0.935, 0.76)",
    }
    stated = json.loads(with_turner.attrs["spec"])["priors"]
    assert stated["tau"] == "Turner2015(adverse_events, pharmacological_vs_control)"


def test_the_posterior_under_named_priors_agrees_with_quadrature(with_turner):
    y, se = RATIOS["estimate"].to_numpy(), RATIOS["se"].to_numpy()
    mu, tau = np.meshgrid(np.linspace(-4, 4, 2001), np.linspace(1e-4, 8, 4001), indexing="ij")
    # the priors as published: t on mu, log-normal on tau squared
    density = stats.t(4, 0, 0.57).pdf(mu) * 2 * tau
    density *= stats.lognorm(1.52, scale=np.exp(-1.87)).pdf(tau**2)
    for estimate, error in zip(y, se, strict=True):
        density *= stats.norm(mu, np.hypot(tau, error)).pdf(estimate)
    density /= density.sum()

    def moment(power, of):
        return float(np.sum((mu if of == "mu" else tau) ** power * density))

    for name in ("mu", "tau"):
        draws = with_turner["posterior"][name].to_numpy().ravel()
        mean = moment(1, name)
        sd = np.sqrt(moment(2, name) - mean**2)
        error = 4 * sd / np.sqrt(with_turner.attrs["importance_ess"])
        assert draws.mean() == pytest.approx(mean, abs=error)


def test_the_table_of_names_holds_what_holds_for_a_question():
    whole = mc.named_priors()
    assert len(whole) == len(CATALOGUE)
    assert (whole["lower"] < whole["median"]).all()
    rates = mc.named_priors(mc.ModelSpec(likelihood="binomial"))
    assert rates["text"].tolist() == ["HalfNormal(1)", "HalfCauchy(1)", "UnitInformation()"]
    hazards = mc.named_priors("hsct_benefit_os")
    assert set(hazards["text"]) == {
        "HalfNormal(0.5)",
        "HalfCauchy(0.5)",
        "HalfCauchy(1)",
        "UnitInformation()",
        "Bartos2023(hazard_ratio)",
    }
    odds = mc.named_priors(mc.ModelSpec(likelihood="normal", scale="log"))
    assert "Turner2015()" in odds["text"].tolist()
    assert mc.named_priors("os_12m").empty


def test_the_table_refuses_an_unknown_likelihood():
    with pytest.raises(InputError, match="did you mean 'binomial'"):
        mc.named_priors(mc.ModelSpec(likelihood="binomal"))


def test_the_page_says_whence_a_named_prior_is(with_turner):
    from metacart.report.model_words import prior_table

    sources = {str(row.cells[0]): str(row.cells[-1]) for row in prior_table(with_turner).rows}
    assert sources["τ"] == "Turner 2015, Table IV (doi 10.1002/sim.6381)"
    assert sources["μ"].endswith("BayesTools (doi 10.48550/arXiv.2306.11468)")
