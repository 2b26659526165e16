"""Small-study effects and selection in pools of ratios."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, optimize, stats

import metacart as mc
from metacart.errors import InputError
from metacart.inference import annealing
from metacart.inference.small_study import BiasModel, bias_models, fit_bias_model
from metacart.modelling.publication_bias import BIASES, Bias, publication_weights
from metacart.records.priors import parse_prior
from metacart.results.averaging import Weighing

PRIORS = {
    "mu": parse_prior("Normal(0, 1)"),
    "tau": parse_prior("HalfNormal(0.5)"),
    "PET": parse_prior("HalfCauchy(1)"),
    "PEESE": parse_prior("HalfCauchy(3.5355339)"),
}
# Hackshaw 1998 as the R package metadat has it: lung cancer among those who live with a smoker,
# odds ratio and 95 % interval
SMOKE = """1.18 0.90 1.54  1.45 1.02 2.08  2.02 0.48 8.56  1.20 0.80 1.60  0.75 0.43 1.30
2.07 0.81 5.25  2.13 1.19 3.83  0.80 0.34 1.90  0.79 0.25 2.45  2.01 1.09 3.72  1.23 0.81 1.87
1.20 0.50 3.30  1.52 0.87 2.63  1.03 0.41 2.55  1.55 0.90 2.67  1.03 0.61 1.74  2.34 0.81 6.75
1.65 1.16 2.35  1.19 0.82 1.73  1.52 0.39 5.96  2.16 1.08 4.29  1.08 0.64 1.82  2.55 0.74 8.78
1.62 0.90 2.91  1.06 0.74 1.52  0.79 0.62 1.02  0.74 0.32 1.69  2.27 0.75 6.82  0.97 0.78 1.21
1.60 0.80 3.00  1.19 0.66 2.13  1.66 0.73 3.78  1.26 1.04 1.54  1.10 0.62 1.96  1.66 1.12 2.45
1.16 0.80 1.69  1.11 0.67 1.84"""
RATIO, LOWER, UPPER = np.array(SMOKE.split(), dtype=float).reshape(-1, 3).T
SMOKE_Y, SMOKE_SE = np.log(RATIO), np.log(UPPER / LOWER) / (2 * 1.96)
# Bem 2011 as a vignette of the R package RoBMA prints it: Cohen's d with its standard error
BEM_D = np.array([0.25, 0.20, 0.26, 0.23, 0.22, 0.15, 0.09, 0.19, 0.42])
BEM = "0.10155048 0.08246211 0.10323629 0.10182427 0.10120277 0.08210765 0.07085372 0.10089846"
BEM_SE = np.array([float(each) for each in [*BEM.split(), "0.14752627"]])


def fit(estimate, se, **changes):
    table = pd.DataFrame(
        {"study": [f"s{n}" for n in range(len(se))], "estimate": estimate, "se": se}
    )
    spec = mc.ModelSpec(likelihood="normal", scale="log", **changes)
    return mc.fit(spec, table, method="exact", draws=500, seed=2)


@pytest.fixture(scope="module")
def smoke():
    return mc.small_study_effects(fit(SMOKE_Y, SMOKE_SE))


# --- the likelihood ------------------------------------------------------------------------------


def test_a_step_function_by_maximum_likelihood_as_metafor_finds_it():
    bias = Bias("selection", 1.0, (0.05, 0.10, 0.50))

    def minus(p):
        weights = np.exp(np.array([[0.0, *p[2:]]]))
        tau = np.exp(p[1:2] / 2)
        return -bias.log_likelihood(SMOKE_Y, SMOKE_SE, p[:1], tau, weights)[0]

    options = {"maxiter": 20_000, "maxfev": 20_000, "xatol": 1e-8, "fatol": 1e-10}
    found = optimize.minimize(minus, [0.2, -3, 0, 0, 0], method="Nelder-Mead", options=options)
    # metafor's own test of selmodel; its data are rounded
    weights = np.exp(found.x[2:])
    assert weights == pytest.approx([2.422079, 0.977543, 0.396713], rel=1e-3)
    assert np.exp(found.x[1]) == pytest.approx(0.03071325, rel=1e-3)
    none, empty = Bias("none"), np.empty((1, 0))
    plain = optimize.minimize(
        lambda p: -none.log_likelihood(SMOKE_Y, SMOKE_SE, p[:1], np.exp(p[1:] / 2), empty)[0],
        [0.2, -3],
        method="Nelder-Mead",
        options=options,
    )
    assert 2 * (plain.fun - found.fun) == pytest.approx(7.066137, rel=1e-3)


@pytest.mark.parametrize("bias", BIASES["selection"], ids=lambda each: each.words)
def test_the_density_of_what_is_published_integrates_to_one(bias):
    se, rng = 0.3, np.random.default_rng(1)
    weights = publication_weights(rng.uniform(size=(1, len(bias.steps))))

    def density(y):
        one = bias.log_likelihood(
            np.array([y]), np.array([se]), np.array([0.2]), np.array([0.25]), weights
        )
        return np.exp(one[0])

    cuts = stats.norm.isf(np.array(bias.steps) / bias.sided) * se
    points = sorted({*cuts, *(-cuts if bias.sided == 2 else [])})
    edges = [-3.0, *points, 3.5]
    whole = sum(integrate.quad(density, a, b)[0] for a, b in pairwise(edges))
    assert whole == pytest.approx(1.0, abs=1e-6)


def test_weights_fall_by_a_dirichlet_distribution():
    drawn = publication_weights(np.random.default_rng(1).uniform(size=(50_000, 2)))
    assert (drawn[:, 0] == 1).all()
    assert (np.diff(drawn) <= 0).all()
    falls = np.random.default_rng(2).dirichlet([1, 1, 1], 50_000)
    for column, expected in ((1, falls[:, 1:].sum(1)), (2, falls[:, 2])):
        assert stats.ks_2samp(drawn[:, column], expected).pvalue > 1e-3


# --- marginal likelihoods ------------------------------------------------------------------------


def bem(effect, heterogeneity, bias):
    """RoBMA 3 works on Fisher's z, with priors halved and PEESE's doubled."""
    size = (BEM_D**2 + 8) / (2 * BEM_SE**2)
    priors = {
        "mu": parse_prior("TruncatedNormal(0.075, 0.05, 0, 5)"),
        "tau": parse_prior("InverseGamma(1, 0.075)"),
        "PET": parse_prior("HalfCauchy(1)"),
        "PEESE": parse_prior("HalfCauchy(10)"),
    }
    return fit_bias_model(
        BiasModel(effect, heterogeneity, bias, 1.0),
        np.arcsinh(BEM_D / 2),
        1 / np.sqrt(size - 3),
        priors,
        sign=1.0,
        draws=8000,
        seed=3,
    ).integral


def test_precognition_as_robma_prints_it():
    none = Bias("none")
    found = [
        bem(False, False, none),
        bem(True, False, none),
        bem(True, True, none),
        bem(False, False, Bias("selection", 1.0, (0.05,))),
        bem(False, False, Bias("selection", 1.0, (0.05, 0.10))),
        bem(False, False, Bias("PET")),
        bem(False, False, Bias("PEESE")),
    ]
    log = np.array([each.log_value for each in found])
    printed = np.array([-3.28, 14.91, 12.85, 13.70, 12.58, 15.75, 15.65])
    # RoBMA takes the steps of p from Student's t of d, here they are normal
    allowed = np.array([0.006, 0.02, 0.02, 0.08, 0.08, 0.02, 0.02])
    assert (np.abs(log - printed) < allowed).all(), log
    weighing = Weighing(log, np.zeros(7), np.ones(7))
    number = np.arange(7)
    effect, spread, bias = np.isin(number, [1, 2]), number == 2, number > 2
    factors = [weighing.inclusion(each).bayes_factor for each in (effect, spread, bias)]
    assert factors == pytest.approx([0.584, 0.132, 3.212], rel=0.03)


def test_no_bias_in_closed_form_and_by_quadrature():
    y, se = SMOKE_Y, SMOKE_SE

    def evidence(tau):
        covariance = np.diag(se**2 + tau**2) + 1.0
        return stats.multivariate_normal(np.zeros(len(y)), covariance).logpdf(y)

    top = evidence(0.0)
    random, _ = integrate.quad(
        lambda t: np.exp(evidence(t) - top) * stats.halfnorm.pdf(t, 0, 0.5), 0, 4, epsrel=1e-8
    )
    for heterogeneity, expected in ((False, top), (True, top + np.log(random))):
        model = BiasModel(True, heterogeneity, Bias("none"), 1.0)
        got = fit_bias_model(model, y, se, PRIORS, sign=1.0, draws=8000, seed=1).integral
        assert got.error < 0.01
        assert got.log_value == pytest.approx(expected, abs=4 * got.error)


def brute(y, se, bias, *, mu, tau, extra):
    """Slow and obvious: a grid over everything, scipy's distributions, loops over studies."""
    grids = np.meshgrid(*(each for each, _ in (mu, tau, *extra)), indexing="ij")
    mass = np.ones(grids[0].shape)
    for n, (_, weight) in enumerate((mu, tau, *extra)):
        mass = mass * weight.reshape([-1 if m == n else 1 for m in range(grids[0].ndim)])
    m, t, *rest = grids
    log = np.zeros(m.shape)
    for yi, si in zip(y, se, strict=True):
        mean = m + (rest[0] * si if bias.kind == "PET" else 0.0)
        mean = mean + (rest[0] * si**2 if bias.kind == "PEESE" else 0.0)
        normal = stats.norm(mean, np.sqrt(si**2 + t**2))
        log += normal.logpdf(yi)
        if bias.kind == "selection":
            weights = [np.ones(m.shape), *rest]
            chance, own, last = 0.0, None, 0.0
            p = stats.norm.sf(yi / si) if bias.sided == 1 else 2 * stats.norm.sf(abs(yi / si))
            for weight, step in zip(weights, [*bias.steps, 1.0], strict=True):
                cut = stats.norm.isf(step / bias.sided) * si if step < 1 else -np.inf
                if bias.sided == 1:
                    below = normal.sf(cut)
                else:
                    below = normal.sf(cut) + normal.cdf(-cut) if step < 1 else 1.0
                chance, last = chance + weight * (below - last), below
                own = weight if own is None and p <= step else own
            log += np.log(own) - np.log(chance)
    top = log.max()
    return top + np.log((np.exp(log - top) * mass).sum())


def nodes(prior, low, high, number):
    """Gauss-Legendre nodes with the prior's mass at each."""
    x, w = np.polynomial.legendre.leggauss(number)
    x = low + (high - low) * (x + 1) / 2
    return x, w * (high - low) / 2 * np.exp(prior.logpdf(x))


def ordered_weights(number):
    """Weights of two steps: the larger is the square root of a uniform, the other below it."""
    x, w = np.polynomial.legendre.leggauss(number)
    return (x + 1) / 2, w / 2


@pytest.mark.parametrize(
    "bias",
    [Bias("PET"), Bias("PEESE"), Bias("selection", 1, (0.05,)), Bias("selection", 1, (0.05,), 2)],
    ids=lambda each: each.words or each.kind,
)
def test_three_parameters_by_a_brute_force_grid(bias):
    y, se = SMOKE_Y[:12], SMOKE_SE[:12]
    mu, tau = nodes(PRIORS["mu"], -3, 3, 160), nodes(PRIORS["tau"], 0, 2.5, 60)
    if bias.kind == "selection":
        extra = nodes(stats.uniform(0, 1), 0, 1, 80)
    else:
        # the half-Cauchy by its quantiles: u = Phi(z) of even mass
        x, w = np.polynomial.legendre.leggauss(160)
        extra = PRIORS[bias.kind].quantile((x + 1) / 2), w / 2
    expected = brute(y, se, bias, mu=mu, tau=tau, extra=[extra])
    model = BiasModel(True, True, bias, 1.0)
    got = fit_bias_model(model, y, se, PRIORS, sign=1.0, draws=8000, seed=5).integral
    assert got.log_value == pytest.approx(expected, abs=4 * got.error + 0.002)


@pytest.mark.parametrize("sided", [1, 2])
def test_two_steps_by_a_brute_force_grid(sided):
    y, se = SMOKE_Y[:12], SMOKE_SE[:12]
    bias = Bias("selection", 1, (0.05, 0.5) if sided == 1 else (0.05, 0.1), sided)
    mu = nodes(PRIORS["mu"], -3, 3, 160)
    none = np.zeros(1), np.ones(1)
    # over the triangle of falling weights, whose density is 2
    u, w = ordered_weights(60)
    total = -np.inf
    for larger, weight in zip(u, w, strict=True):
        part = brute(
            y,
            se,
            bias,
            mu=mu,
            tau=none,
            extra=[(np.array([larger]), np.ones(1)), (u * larger, 2 * w * larger)],
        )
        total = np.logaddexp(total, part + np.log(weight))
    model = BiasModel(True, False, bias, 1.0)
    got = fit_bias_model(model, y, se, PRIORS, sign=1.0, draws=8000, seed=5).integral
    assert got.log_value == pytest.approx(total, abs=4 * got.error + 0.002)


def test_two_modes_are_integrated_and_the_error_is_honest():
    # the product of a standard normal and of a mixture far out is a mixture in closed form
    centres, spread = np.array([[3.0, -2.0], [-3.0, 2.5]]), 0.15

    def log_likelihood(z):
        apart = ((z[:, None, :] - centres) ** 2).sum(-1)
        return np.logaddexp.reduce(-0.5 * apart / spread**2, axis=1) + np.log([0.5])

    variance = 1 + spread**2
    heights = 0.5 * np.exp(-0.5 * (centres**2).sum(1) / variance) * spread**2 / variance
    expected = np.log(heights.sum())
    runs = [
        annealing.integrate(log_likelihood, 2, np.random.default_rng(seed), draws=1000)
        for seed in range(6)
    ]
    z = [(run.log_value - expected) / run.error for run in runs]
    assert max(run.error for run in runs) < 0.05
    assert np.abs(z).max() < 4
    # six standard normals: the 99.9 % band of their sum of squares
    assert 0.3 < np.sum(np.square(z)) < 24
    share = [run.weights @ (run.points[:, 0] > 0) for run in runs]
    assert np.mean(share) == pytest.approx(heights[0] / heights.sum(), abs=0.04)


# --- the verb ------------------------------------------------------------------------------------


def test_the_ensemble_is_that_of_robma(smoke):
    models = bias_models()
    assert len(models) == 36
    assert sum(model.prior_probability for model in models) == pytest.approx(1.0)
    rows = smoke[smoke["row"] == "model"]
    assert len(rows) == 36
    assert rows["posterior_probability"].sum() == pytest.approx(1.0)
    shares = rows.groupby("bias")["prior_probability"].sum()
    assert shares.to_dict() == pytest.approx(
        {"none": 0.5, "PET": 0.125, "PEESE": 0.125, "selection": 0.25}
    )
    inclusion = smoke[smoke["row"] == "inclusion"].set_index("model")
    assert inclusion.index.tolist() == [
        *("effect", "heterogeneity", "bias", "PET", "PEESE", "selection")
    ]
    posterior = inclusion["posterior_probability"]
    assert inclusion.loc["bias", "bayes_factor"] == pytest.approx(
        posterior["bias"] / (1 - posterior["bias"])
    )
    assert rows["mcse_log"].max() <= 0.01
    assert smoke.attrs["priors"] == [
        "mu ~ Normal(0, 1)",
        "tau ~ HalfNormal(0.5)",
        "PET ~ HalfCauchy(1)",
        "PEESE ~ HalfCauchy(3.53553)",
        "falls of the weights ~ Dirichlet(1, ..., 1)",
    ]
    assert smoke.attrs["direction"] == "small studies lean to ratios above 1"
    assert smoke.attrs["studies"] == 37
    assert smoke.attrs["note"].startswith("Asymmetry has other causes than selection")


def test_the_model_without_bias_is_the_fit_itself(smoke):
    own = fit(SMOKE_Y, SMOKE_SE, priors={"mu": "Normal(0, 1)", "tau": "HalfNormal(0.5)"})
    row = smoke.set_index("model").loc["effect, random, no bias"]
    expected = mc.summarize(own).set_index("estimand").loc["median study"]
    assert row["log_marginal_likelihood"] == pytest.approx(
        own.attrs["log_marginal_likelihood"], abs=0.08
    )
    for name in ("median", "lower", "upper"):
        assert row[name] == pytest.approx(expected[name], abs=0.02)


def test_ratios_turned_round_give_the_answer_turned_round(smoke):
    turned = mc.small_study_effects(fit(-SMOKE_Y, SMOKE_SE))
    assert turned.attrs["direction"] == "small studies lean to ratios below 1"
    for name in ("posterior_probability", "bayes_factor"):
        assert turned[name].to_numpy() == pytest.approx(smoke[name].to_numpy(), rel=0.08, nan_ok=1)
    both = (smoke["row"] == "average") & (smoke["estimand"] == "median study")
    for one, other in (("upper", "lower"), ("median", "median"), ("lower", "upper")):
        expected = smoke.loc[both, other].to_numpy()
        assert 1 / turned.loc[both, one].to_numpy() == pytest.approx(expected, abs=0.02)


def published(rng, number, mu, *, selected):
    """Estimates, of which those of a one-sided p above 0.025 mostly stay in a drawer."""
    found = []
    while len(found) < number:
        se = rng.uniform(0.1, 0.5)
        y = rng.normal(mu, np.hypot(se, 0.1))
        if not selected or y / se < -1.96 or rng.uniform() < 0.1:
            found.append((y, se))
    return np.array(found).T


def test_planted_selection_is_found_and_none_is_not():
    rng = np.random.default_rng(7)
    with_it = mc.small_study_effects(fit(*published(rng, 60, 0.0, selected=True)))
    factors = with_it[with_it["row"] == "inclusion"].set_index("model")["bayes_factor"]
    assert factors["bias"] > 100
    assert factors["effect"] < 3  # nothing is there
    average = with_it[with_it["estimand"] == "median study"].set_index("model")
    assert average.loc["models with an effect, not adjusted", "upper"] < 0.9
    assert average.loc["all models", "upper"] >= 1.0
    without = mc.small_study_effects(fit(*published(rng, 60, -0.4, selected=False)))
    factors = without[without["row"] == "inclusion"].set_index("model")["bayes_factor"]
    assert factors["bias"] < 3
    assert factors["effect"] > 5


def test_an_error_that_stays_large_is_said(monkeypatch):
    few = fit([-0.2, -0.5, -0.9], [0.1, 0.3, 0.4])
    assert "Monte Carlo error" not in mc.small_study_effects(few, force=True).attrs["note"]
    monkeypatch.setattr("metacart.results.small_study_effects._LARGE", 0.001)
    table = mc.small_study_effects(few, force=True)
    worst = table.loc[table["row"] == "model", "mcse_log"].max()
    words = f"A log marginal likelihood has a Monte Carlo error of {worst:.2f} (`mcse_log`)"
    assert table.attrs["note"].startswith(words)


def test_priors_can_be_stated(smoke):
    narrow = mc.small_study_effects(fit(SMOKE_Y, SMOKE_SE), priors={"mu": "Normal(0, 0.01)"})
    assert narrow.attrs["priors"][0] == "mu ~ Normal(0, 0.01)"
    row = narrow[narrow["row"] == "inclusion"].iloc[0]
    assert row["bayes_factor"] == pytest.approx(1.0, abs=0.1)
    with pytest.raises(InputError) as error:
        mc.small_study_effects(fit(SMOKE_Y, SMOKE_SE), priors={"sigma": "x", "PET": "Normal(0, 1)"})
    assert "priors: 'sigma' is not known; allowed: mu, tau, PET, PEESE" in str(error.value)
    assert "priors.PET: 'Normal(0, 1)' reaches from -inf" in str(error.value)


# --- refusals ------------------------------------------------------------------------------------


def refused(subject, **options):
    with pytest.raises(InputError) as error:
        mc.small_study_effects(subject, **options)
    return str(error.value)


def test_rates_of_single_arms_are_refused_with_the_reason():
    words = refused(mc.fit("cr_rate", method="exact", draws=500, seed=1), force=True)
    assert "the standard error of a rate follows from the rate itself" in words
    assert "asymmetry says nothing of it; allowed: log ratios of two groups" in words


def test_transplant_does_not_pass_by_few_studies_and_other_kinds():
    whole = mc.fit("hsct_benefit_os", method="exact", draws=500, seed=1)
    words = refused(whole)
    assert "2 of 5 findings that are no printed ratios; allowed: printed ratios alone" in words
    assert "5 studies: of so few, asymmetry is mostly chance" in words
    assert "allowed: 10 studies or more; try: force=True" in words
    spec = mc.load_model("hsct_benefit_os").model_copy(update={"kinds": ("ratio",)})
    ratios = mc.fit(spec, method="exact", draws=500, seed=1)
    assert "printed ratios alone" not in refused(ratios)
    table = mc.small_study_effects(ratios, force=True)
    assert "Ratios as printed: the bias of immortal time is not taken off." in table.attrs["note"]
    assert table.attrs["note"].startswith("Forced: 3 studies are too few")


def test_other_models_are_refused_each_with_what_to_do():
    table = pd.DataFrame(
        {
            "study": [f"s{n // 2}" for n in range(20)],
            "estimate": np.linspace(-1, 1, 20),
            "se": np.full(20, 0.3),
            "dose": np.arange(20.0),
        }
    )
    spec = mc.ModelSpec(likelihood="normal", scale="log", moderators=("dose",))
    words = refused(mc.fit(spec, table, method="exact", draws=500, seed=1))
    assert "a fit with moderators (dose), to which asymmetry may be due" in words
    assert "20 ratios of 10 studies; allowed: one ratio a study" in words
    plain = mc.ModelSpec(
        likelihood="normal",
        scale="identity",
        priors={"mu": "Normal(0, 1)", "tau": "HalfNormal(1)", "beta": "Normal(0, 1)"},
    )
    words = refused(mc.fit(plain, table, method="exact", draws=500, seed=1))
    assert "on the identity scale: the priors are those of log ratios" in words
    groups = pd.DataFrame(
        {"study": list("ab"), "events": [3, 4], "total": [10, 12]}
        | {"control_events": [5, 6], "control_total": [11, 12]}
    )
    counts = mc.fit(mc.ModelSpec(likelihood="two_arm"), groups, method="exact", draws=500, seed=1)
    assert "counts of two groups, which need estimates with standard errors" in refused(counts)
    assert "mc.conversions.counts_to_effect" in refused(counts)
    with pytest.raises(InputError, match=r"direction: 'down' is not known; allowed: 'detect'"):
        mc.small_study_effects(counts, direction="down")
    mine = {**mc.LIKELIHOODS, "mine": mc.LIKELIHOODS["normal"]}
    own = mc.fit(
        mc.ModelSpec(likelihood="mine", scale="log"),
        table,
        method="exact",
        draws=500,
        seed=1,
        likelihoods=mine,
    )
    assert "under the likelihood 'mine' of your own" in refused(own)
