"""Averages over models, by marginal likelihoods."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

import metacart as mc
from metacart.errors import InputError
from metacart.results.averaging import Weighing, describe_mixture

# Gronau and others 2017, as the vignette of the R package metaBMA prints the data
POSES = pd.DataFrame(
    {
        "study": ["Bailey", "Ronay", "Klaschinski", "Bombari", "Latu", "Keller"],
        "estimate": [0.2507640, 0.2275180, 0.3186069, 0.2832082, 0.1463949, 0.1509773],
        "se": [0.2071399, 0.1931046, 0.1423228, 0.1421356, 0.1416107, 0.1221166],
    }
)
# Scheibehenne, Jamil and Wagenmakers 2016, log odds ratios of reusing a towel; standard errors
# from the intervals that a test of the R package parameters prints
TOWELS = pd.DataFrame(
    {
        "study": list("abcdefg"),
        "estimate": [0.3806, 0.30494, 0.20554, 0.25084, 0.28768, -0.12154, -1.45792],
        "lower": [-0.00686, 0.03816, -0.16998, -0.0825, -1.32685, -0.60772, -2.94785],
    }
)
TOWELS["se"] = (TOWELS["estimate"] - TOWELS.pop("lower")) / 1.959963984540054


def fit(table, mu, tau="", **changes):
    priors = {"mu": mu} | ({"tau": tau} if tau else {})
    effects = changes.pop("random_effects", "normal" if tau else "none")
    spec = mc.ModelSpec(
        likelihood="normal", scale="log", priors=priors, random_effects=effects, **changes
    )
    return mc.fit(spec, table, method="exact", seed=4)


@pytest.fixture(scope="module")
def poses():
    return fit(POSES, "HalfCauchy(0.70710678)", "InverseGamma(1, 0.15)")


def common_log_evidence(table, sd):
    """Estimates under a common effect with a normal prior about zero, in closed form."""
    covariance = np.diag(table["se"] ** 2) + sd**2
    return stats.multivariate_normal(np.zeros(len(table)), covariance).logpdf(table["estimate"])


def random_log_evidence(table, sd, prior):
    """The same with study effects, tau by quadrature."""

    def at(tau):
        covariance = np.diag(table["se"] ** 2 + tau**2) + sd**2
        normal = stats.multivariate_normal(np.zeros(len(table)), covariance)
        return normal.pdf(table["estimate"]) * prior.pdf(tau)

    return np.log(integrate.quad(at, 0, np.inf, epsabs=0, epsrel=1e-9)[0])


def test_power_posing_as_metabma_prints_it(poses):
    table = mc.average_models(poses)
    models = table[table["row"] == "model"].drop_duplicates("model").set_index("model")
    common = models.loc["common effect"]
    # printed: 0.77745 for a fixed and 0.19325 for random effects, and 0.00868 for no effect
    error = 4 * table.loc[table["row"] == "inclusion", "mcse_log"].iloc[0]
    share = 0.77745 / (0.77745 + 0.19325)
    assert common["posterior_probability"] == pytest.approx(share, abs=error * share * (1 - share))
    null = stats.norm.logpdf(POSES["estimate"], 0, POSES["se"]).sum()
    assert common["log_marginal_likelihood"] - null == pytest.approx(
        np.log(0.77745 / 0.00868), abs=4 * common["mcse_log"] + 1e-3
    )


def test_power_posing_as_robma_prints_it():
    table = mc.average_models(fit(POSES, "Cauchy(0, 0.70710678)", "InverseGamma(1, 0.15)"))
    heterogeneity = table[table["row"] == "inclusion"].iloc[0]
    assert heterogeneity["meaning"] == "evidence"
    assert heterogeneity["posterior_probability"] == pytest.approx(0.200, abs=0.006)
    assert heterogeneity["bayes_factor"] == pytest.approx(0.250, abs=0.01)
    average = table[table["row"] == "average"].set_index("estimand")
    # printed as Cohen's d: 0.220 (0.096 to 0.346), tau 0 to 0.152, by MCMC
    found = np.log(average.loc["median study", ["median", "lower", "upper"]].astype(float))
    assert found.to_numpy() == pytest.approx([0.220, 0.096, 0.346], abs=0.004)
    assert average.loc["tau", "median"] == 0
    assert average.loc["tau", "upper"] == pytest.approx(0.152, abs=0.006)


def test_towels_as_scheibehenne_and_others_print_them():
    table = mc.average_models(fit(TOWELS, "HalfNormal(0.3)", "HalfCauchy(0.25)"))
    factor = 1 / table.loc[table["row"] == "inclusion", "bayes_factor"].iloc[0]
    assert factor == pytest.approx(2.450923, rel=0.03)
    common = table[table["model"] == "common effect"].iloc[0]
    null = stats.norm.logpdf(TOWELS["estimate"], 0, TOWELS["se"]).sum()
    assert np.exp(common["log_marginal_likelihood"] - null) == pytest.approx(23.88449, rel=0.03)


def test_bayes_factors_in_closed_form_and_by_quadrature():
    fits = [
        fit(TOWELS, "Normal(0, 0.3)"),
        fit(TOWELS, "Normal(0, 2)"),
        fit(TOWELS, "Normal(0, 0.3)", "HalfNormal(0.5)"),
        fit(TOWELS, "Normal(0, 2)", "HalfNormal(0.5)"),
    ]
    spread = stats.halfnorm(0, 0.5)
    log = np.array(
        [
            common_log_evidence(TOWELS, 0.3),
            common_log_evidence(TOWELS, 2.0),
            random_log_evidence(TOWELS, 0.3, spread),
            random_log_evidence(TOWELS, 2.0, spread),
        ]
    )
    table = mc.average_models(fits)
    models = table[(table["row"] == "model") & (table["estimand"] == "tau")]
    share = np.exp(log - log.max())
    error = 4 * models["mcse_log"].max()
    assert models["log_marginal_likelihood"].to_numpy() == pytest.approx(log, abs=error)
    assert models["posterior_probability"].to_numpy() == pytest.approx(
        share / share.sum(), rel=2 * error
    )
    assert set(models["meaning"]) == {"evidence mixed with fit of the prior"}
    inclusion = table[table["row"] == "inclusion"].iloc[0]
    assert np.log(inclusion["bayes_factor"]) == pytest.approx(
        np.log(share[2:].sum() / share[:2].sum()), abs=4 * inclusion["mcse_log"]
    )
    priors = table[table["row"] == "prior"].set_index("model")
    assert set(priors["meaning"]) == {"fit of the prior, not evidence"}
    row = priors.loc["mu ~ Normal(0, 0.3)"]
    assert row["prior_probability"] == 0.5
    assert np.log(row["bayes_factor"]) == pytest.approx(
        np.log(share[[0, 2]].sum() / share[[1, 3]].sum()), abs=4 * row["mcse_log"]
    )
    # a million to one for the first: the rest hardly counts
    certain = mc.average_models(fits, prior_probabilities=[1e6, 1, 1, 1])
    alone = mc.summarize(fits[0]).set_index("estimand").loc["median study"]
    found = certain.iloc[0]
    assert found["estimand"] == "median study"
    assert found["upper"] == pytest.approx(alone["upper"], abs=4 * alone["mcse"])


def test_the_average_is_the_mixture_of_the_posteriors():
    sd = 0.5
    fits = [fit(TOWELS, "Normal(0, 0.5)"), fit(TOWELS, "Normal(0, 0.5)", "HalfNormal(0.5)")]
    table = mc.average_models(fits)
    mu, tau = np.linspace(-1.5, 1.5, 1201), np.linspace(1e-4, 3, 600)
    spread = np.hypot(TOWELS["se"].to_numpy(), np.append(0, tau)[:, None])
    z = (TOWELS["estimate"].to_numpy() - mu[:, None, None]) / spread
    mass = np.exp((-0.5 * z**2 - np.log(spread)).sum(-1)) * stats.norm.pdf(mu, 0, sd)[:, None]
    weight = np.append(1.0, stats.halfnorm.pdf(tau, 0, 0.5) * (tau[1] - tau[0]))
    height = np.cumsum(mass @ weight)
    quantiles = np.exp(np.interp([0.025, 0.5, 0.975], height / height[-1], mu))
    row = table.iloc[0]
    assert row["estimand"] == "median study"
    assert row["model"] == "all models"
    for name, expected in zip(("lower", "median", "upper"), quantiles, strict=True):
        assert row[name] == pytest.approx(expected, abs=8 * row["mcse"])


def test_rates_and_fits_of_a_common_effect_have_a_counterpart():
    table = pd.DataFrame({"study": list("abc"), "events": [9, 5, 13], "total": [10, 8, 19]})
    spec = mc.ModelSpec(likelihood="binomial", random_effects="none")
    found = mc.average_models(mc.fit(spec, table, method="exact", seed=1))
    assert found["model"].drop_duplicates().tolist() == [
        "all models",
        "study effects, against a common effect",
        "common effect",
        "normal study effects, tau ~ HalfNormal(1)",
    ]
    assert "population average" in found["estimand"].tolist()
    assert found.loc[found["row"] == "model", "meaning"].unique().tolist() == ["evidence"]


def test_student_t_effects_and_priors_of_tau_are_told_apart(poses):
    heavy = fit(
        POSES, "HalfCauchy(0.70710678)", "InverseGamma(1, 0.15)", random_effects="student_t"
    )
    wide = fit(POSES, "HalfCauchy(0.70710678)", "HalfNormal(1)")
    table = mc.average_models([poses, wide, heavy])
    models = table[table["row"] == "model"].drop_duplicates("model")
    assert models["model"].tolist()[-1] == (
        "Student-t study effects, nu = 4, tau ~ InverseGamma(1, 0.15)"
    )
    # each distribution of the effects has half of the prior probability
    assert models["prior_probability"].tolist() == pytest.approx([0.25, 0.25, 0.5])
    assert "inclusion" not in set(table["row"])
    priors = table.loc[table["row"] == "prior", "model"].tolist()
    assert priors == ["tau ~ InverseGamma(1, 0.15)", "tau ~ HalfNormal(1)"]


def test_adjusted_and_naive_readings_of_ratios_stand_side_by_side():
    fit_of_ratios = mc.fit("hsct_benefit_os", method="exact", seed=1)
    table = mc.average_models(fit_of_ratios)
    names = table.loc[table["row"] == "average", "estimand"].tolist()
    assert "median study (naive)" in names
    assert "median study (immortal-time-adjusted)" in names


def test_inclusion_and_quantiles_of_known_mixtures():
    weighing = Weighing(np.log([1.0, 3.0, 2.0]), np.array([0.01, 0.02, 0.0]), np.array([1, 1, 2]))
    found = weighing.inclusion(np.array([True, True, False]))
    assert found.prior == pytest.approx(0.5)
    assert found.posterior == pytest.approx(0.5)
    assert found.bayes_factor == pytest.approx(1.0)
    assert found.error == pytest.approx(np.hypot(0.01 / 4, 0.02 * 3 / 4))
    assert np.isnan(weighing.inclusion(np.array([True, True, True])).bayes_factor)
    rng = np.random.default_rng(1)
    normal = rng.normal(2, 1, 40_000)
    numbers = describe_mixture(
        [np.zeros(1), normal],
        [np.ones(1), np.full(40_000, 1 / 40_000)],
        np.array([0.4, 0.6]),
        np.array([0.0, 0.0]),
    )
    for name, share in (("median", 0.5), ("upper", 0.975)):
        limit = numbers[name]
        assert 0.4 + 0.6 * stats.norm.cdf(limit, 2, 1) == pytest.approx(share, abs=0.006)
    assert numbers["mcse"] == pytest.approx(
        0.6 * np.sqrt(0.1 / 0.6 * 0.9 / 40_000) / (0.6 * stats.norm.pdf(numbers["median"], 2, 1)),
        rel=0.9,
    )


def test_what_cannot_be_averaged_is_refused(poses):
    mu = "HalfCauchy(0.70710678)"
    few = fit(POSES.iloc[:4], mu, "HalfNormal(1)")
    other = fit(POSES, mu, "HalfNormal(1)", moderators=())
    with pytest.raises(InputError, match=r"fits\[1\]: other rows than fits\[0\] \(4 findings, 6"):
        mc.average_models([poses, few])
    with pytest.raises(InputError, match=r"fits\[1\]: the same model as fits\[0\]; .*drop one"):
        mc.average_models([other, other])
    with pytest.raises(InputError, match=r"prior of mu: HalfCauchy\(0.707107\), Normal\(0, 1\) in"):
        mc.average_models([poses, fit(POSES, "Normal(0, 1)")])
    table = POSES.assign(dose=range(6))
    both = [fit(table, mu), fit(table, mu, moderators=("dose",))]
    with pytest.raises(InputError, match=r"another model than fits\[0\]: moderators; allowed: mod"):
        mc.average_models(both)
    with pytest.raises(InputError, match="fits: no fit; allowed: one fit, or several"):
        mc.average_models([])
    with pytest.raises(InputError, match=r"prior_probabilities: \[1, 0\] for 2 models; allowed"):
        mc.average_models([poses, other], prior_probabilities=[1, 0])
    with pytest.raises(InputError, match="fit: a str without its spec"):
        mc.average_models("cr_rate")
    with pytest.raises(TypeError, match=r"average_models\(weights=…\): no such option"):
        mc.average_models(poses, weights=[1, 1])


def test_fits_without_a_marginal_likelihood_are_refused(poses):
    by_nuts, stuck, improper = poses.copy(), poses.copy(), poses.copy()
    del by_nuts.attrs["log_marginal_likelihood"]
    by_nuts.attrs["method"] = "nuts"
    with pytest.raises(InputError, match=r'drawn by NUTS: no marginal likelihood.*method="exact"'):
        mc.average_models(by_nuts)
    stuck.attrs |= {"converged": 0, "gate": "too few draws"}
    with pytest.raises(InputError, match="must not be used: too few draws"):
        mc.average_models(stuck)
    improper.attrs["priors"] = '{"mu": "Flat()", "tau": "HalfNormal(1)"}'
    with pytest.raises(InputError, match=r"fit, prior of mu: .*Flat.* improper"):
        mc.average_models(improper)
