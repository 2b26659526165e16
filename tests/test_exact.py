"""The exact engine against closed forms, independent quadrature and its own calibration."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import integrate, special, stats

import metacart as mc
from metacart.inference import engines
from metacart.inference.assemble import log_likelihood_of
from metacart.inference.coordinates import Coordinate
from metacart.inference.exact import draw_exact
from metacart.inference.gate import convergence
from metacart.inference.proposal import NoProposalError
from metacart.modelling.design import bind
from metacart.modelling.likelihoods import find_likelihood
from metacart.modelling.priors import resolve_priors
from metacart.records.priors import PRIORS, parse_prior

# Colditz and others 1994, JAMA 271:698: tuberculosis with and without BCG, and the latitude
BCG = np.array(
    [
        [4, 119, 11, 128, 44],
        [6, 300, 29, 274, 55],
        [3, 228, 11, 209, 42],
        [62, 13536, 248, 12619, 52],
        [33, 5036, 47, 5761, 13],
        [180, 1361, 372, 1079, 44],
        [8, 2537, 10, 619, 19],
        [505, 87886, 499, 87892, 13],
        [29, 7470, 45, 7232, 27],
        [17, 1699, 65, 1600, 42],
        [186, 50448, 141, 27197, 18],
        [5, 2493, 3, 2338, 33],
        [27, 16886, 29, 17825, 33],
    ],
    dtype=float,
)


def bcg_table():
    a, b, c, d, latitude = BCG.T
    return pd.DataFrame(
        {
            "study": [f"trial {number}" for number in range(1, 14)],
            "estimate": np.log(a / (a + b)) - np.log(c / (c + d)),
            "se": np.sqrt(1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)),
            "latitude": latitude,
        }
    )


def draw(spec, table, *, draws=4000, chains=4, seed=5):
    likelihood = find_likelihood(spec)
    design = bind(spec, table)
    priors = resolve_priors(spec, design, likelihood)
    return draw_exact(spec, design, likelihood, priors, draws=draws, chains=chains, seed=seed)


def normal_oracle(table, columns, means, sds, tau_prior):
    """Log marginal likelihood, and moments of the coefficients, by one integral over tau."""
    y, variance = table["estimate"].to_numpy(), table["se"].to_numpy() ** 2
    same = table["study"].to_numpy()[:, None] == table["study"].to_numpy()

    def given(tau):
        total = np.diag(variance) + tau**2 * same
        marginal = stats.multivariate_normal(
            columns @ means, total + columns @ np.diag(sds**2) @ columns.T
        )
        inverse = np.linalg.inv(total)
        covariance = np.linalg.inv(columns.T @ inverse @ columns + np.diag(sds**-2.0))
        mean = covariance @ (columns.T @ inverse @ y + means / sds**2)
        density = np.exp(marginal.logpdf(y)) * tau_prior.pdf(tau)
        second = np.diag(covariance) + mean**2
        return density * np.concatenate([[1.0, tau], mean, second])

    upper = float(tau_prior.ppf(1 - 1e-12))
    whole = integrate.quad_vec(given, 0.0, upper, epsrel=1e-9)[0]
    size = columns.shape[1]
    mean = whole[2 : 2 + size] / whole[0]
    sd = np.sqrt(whole[2 + size :] / whole[0] - mean**2)
    return float(np.log(whole[0])), float(whole[1] / whole[0]), mean, sd


def agrees(draws, mean, *, sds=4.0):
    error = float(np.std(draws)) / np.sqrt(np.size(draws))
    return abs(float(np.mean(draws)) - mean) < sds * error


def test_a_common_effect_has_a_closed_form():
    table = bcg_table()
    spec = mc.ModelSpec(likelihood="normal", scale="log", random_effects="none")
    run = draw(spec, table)
    y, se = table["estimate"].to_numpy(), table["se"].to_numpy()
    precision = 1 / 1.5**2 + np.sum(se**-2)
    mean = np.sum(y / se**2) / precision
    mu = run.posterior["mu"].to_numpy()
    assert agrees(mu, mean)
    assert np.std(mu) == pytest.approx(precision**-0.5, rel=4 / np.sqrt(2 * mu.size))
    expected = stats.multivariate_normal(np.zeros(13), np.diag(se**2) + 1.5**2).logpdf(y)
    assert run.log_marginal_likelihood == pytest.approx(expected, abs=0.01)
    assert "tau" not in run.posterior
    np.testing.assert_array_equal(run.posterior["theta"].isel(finding=3), run.posterior["mu"])


@pytest.mark.parametrize("moderators", [[], ["latitude"]])
def test_bcg_against_one_integral_over_tau(moderators):
    table = bcg_table()
    priors = {"mu": "Normal(0, 1.5)", "beta": "Normal(0, 0.1)", "tau": "HalfNormal(0.5)"}
    priors = priors if moderators else {k: v for k, v in priors.items() if k != "beta"}
    spec = mc.ModelSpec(likelihood="normal", scale="log", moderators=moderators, priors=priors)
    run = draw(spec, table)
    columns = np.column_stack([np.ones(13), *(table[name] for name in moderators)])
    sds = np.array([1.5, 0.1][: columns.shape[1]])
    height, tau, mean, sd = normal_oracle(
        table, columns, np.zeros_like(sds), sds, stats.halfnorm(0, 0.5)
    )
    assert run.pareto_k < 0.5
    assert run.importance_ess > 16_000
    assert run.log_marginal_likelihood == pytest.approx(height, abs=0.01)
    assert agrees(run.posterior["tau"].to_numpy(), tau)
    found = [run.posterior["mu"].to_numpy()]
    if moderators:
        found.append(run.posterior["beta"].to_numpy()[..., 0])
    for draws, centre, spread in zip(found, mean, sd, strict=True):
        assert agrees(draws, centre)
        assert np.std(draws) == pytest.approx(spread, rel=0.05)


def test_arms_of_a_study_share_its_effect():
    table = bcg_table().iloc[:6].assign(study=["a", "a", "b", "b", "b", "c"])
    spec = mc.ModelSpec(likelihood="normal", scale="log")
    run = draw(spec, table)
    columns, sds = np.ones((6, 1)), np.array([1.5])
    height, tau, mean, _ = normal_oracle(table, columns, np.zeros(1), sds, stats.halfnorm(0, 0.5))
    assert run.log_marginal_likelihood == pytest.approx(height, abs=0.01)
    assert agrees(run.posterior["tau"].to_numpy(), tau)
    assert agrees(run.posterior["mu"].to_numpy(), mean[0])


def test_a_bias_that_the_data_inform_is_one_more_coefficient():
    table = pd.DataFrame(
        {
            "study": ["a", "b", "c", "d"],
            "kind": "ratio",
            "ratio": [0.279, 0.25, 0.8, 0.7],
            "lower": [0.101, 0.068, 0.5, 0.3],
            "upper": [0.769, 0.915, 1.28, 1.6333333],
            "time_handling": ["time-fixed", "time-fixed", "time-dependent", "landmark"],
        }
    )
    spec = mc.ModelSpec(likelihood="hsct")
    run = draw(spec, table)
    design = bind(spec, table)
    seen = table.assign(estimate=design["estimate"], se=design["se"])
    columns = np.column_stack([np.ones(4), [1.0, 1.0, 0.0, 0.0]])
    height, _, mean, sd = normal_oracle(
        seen, columns, np.array([0.0, -0.45]), np.array([1.5, 0.25]), stats.halfnorm(0, 0.5)
    )
    assert run.log_marginal_likelihood == pytest.approx(height, abs=0.01)
    for name, centre, spread in zip(("mu", "bias"), mean, sd, strict=True):
        draws = run.posterior[name].to_numpy()
        assert agrees(draws, centre)
        assert np.std(draws) == pytest.approx(spread, rel=0.05)


@pytest.mark.parametrize(
    ("effects", "tau", "events", "total"),
    [
        ("normal", "HalfNormal(1)", 0, 9),
        ("normal", "HalfCauchy(1)", 5, 5),
        ("normal", "Uniform(0, 5)", 3, 9),
        ("student_t", "HalfNormal(1)", 5, 5),
        ("student_t", "InverseGamma(2, 1)", 250, 500),
    ],
)
def test_a_single_study_against_a_grid_over_its_own_rate(effects, tau, events, total):
    """One study: theta = mu + tau z has a prior of its own, and the binomial is all the rest."""
    table = pd.DataFrame({"study": ["a"], "events": [events], "total": [total]})
    spec = mc.ModelSpec(likelihood="binomial", random_effects=effects, priors={"tau": tau})
    run = draw(spec, table)
    prior = parse_prior(tau, support="positive")
    number = 200 if effects == "student_t" else 1000
    shares = (np.arange(number) + 0.5) / number
    # mu + tau z at fixed tau is normal, or a mixture of normals over the t's own scale
    scales = np.sqrt(4 / stats.chi2(4).ppf(shares)) if effects == "student_t" else np.ones(1)
    sds = np.sqrt(1.5**2 + np.multiply.outer(prior.quantile(shares), scales) ** 2)
    theta = np.sinh(np.linspace(-8.5, 8.5, 6001))
    density = np.mean([stats.norm.pdf(theta[:, None], 0, each).mean(1) for each in sds], axis=0)
    log_likelihood = stats.binom(total, special.expit(theta)).logpmf(events)
    mass = np.gradient(theta) * density * np.exp(log_likelihood)
    assert run.log_marginal_likelihood == pytest.approx(np.log(mass.sum()), abs=0.02)
    cumulative = np.cumsum(mass) / mass.sum()
    draws = run.posterior["theta"].to_numpy().ravel()
    for probability in (0.025, 0.25, 0.5, 0.75, 0.975):
        found = np.interp(np.quantile(draws, probability), theta, cumulative)
        error = np.sqrt(probability * (1 - probability) / draws.size)
        assert abs(found - probability) < 4 * error, (probability, found)


def test_ranks_are_uniform_for_a_small_design():
    """Simulation-based calibration (Talts and others 2018): 5 arms, one full or empty at times."""
    spec = mc.ModelSpec(likelihood="binomial", moderators=["x"])
    totals = np.array([5, 19, 8, 33, 12])
    table = pd.DataFrame(
        {"study": list("abcde"), "events": 1, "total": totals, "x": [0.0, 1.0, 0.0, 1.0, 1.0]}
    )
    rng = np.random.default_rng(2)
    design = bind(spec, table)
    priors = resolve_priors(spec, design, find_likelihood(spec))
    ranks = []
    for seed in range(80):
        truth = {name: float(prior.draw((), rng)) for name, prior in priors.items()}
        theta = truth["mu"] + truth["beta:x"] * table["x"].to_numpy()
        theta = theta + truth["tau"] * rng.standard_normal(5)
        events = rng.binomial(totals, special.expit(theta))
        run = draw(spec, table.assign(events=events), draws=199, chains=1, seed=seed)
        post = run.posterior
        ranks.append(
            [
                (post["mu"].to_numpy() < truth["mu"]).sum(),
                (post["tau"].to_numpy() < truth["tau"]).sum(),
                (post["beta"].to_numpy() < truth["beta:x"]).sum(),
                (post["theta"].to_numpy()[..., 0] < theta[0]).sum(),
                (post["theta"].to_numpy()[..., 3] < theta[3]).sum(),
            ]
        )
    for column in np.asarray(ranks).T:
        assert (
            stats.kstest((column + rng.uniform(size=column.size)) / 200, "uniform").pvalue > 0.001
        )


@pytest.mark.parametrize("form", [form.example for form in PRIORS.values()])
def test_a_prior_on_the_line_is_still_a_density(form):
    prior = parse_prior(form, support="real")
    coordinate = Coordinate(prior)
    middle = prior.quantile([0.01, 0.3, 0.9])
    np.testing.assert_allclose(coordinate.value(coordinate.position(middle)), middle)
    ends = coordinate.position(prior.quantile([0.001, 0.999]))
    line = np.linspace(*ends, 200_001)
    mass = np.exp(coordinate.log_density(line))
    assert np.trapezoid(mass, line) == pytest.approx(0.998, abs=1e-4)


@pytest.mark.parametrize("nu", [1.0, 4.0])
def test_two_clusters_under_student_t_effects_are_two_modes(nu):
    """Three studies at 0 and three at 6: mu sits on either cluster, the others in the tails."""
    estimate, se = np.array([0.0, 0.1, -0.1, 6.0, 6.1, 5.9]), 0.2
    table = pd.DataFrame({"study": list("abcdef"), "estimate": estimate, "se": se})
    priors = {"mu": "Normal(0, 10)", "tau": "HalfNormal(0.1)"}
    spec = mc.ModelSpec(
        likelihood="normal", scale="log", random_effects="student_t", nu=nu, priors=priors
    )
    run = draw(spec, table)
    mu, log_tau = np.linspace(-2, 8, 201), np.linspace(-6, 0.5, 80)
    log_mass = stats.norm.logpdf(mu, 0, 10) + np.zeros((80, 1))
    for row, tau in enumerate(np.exp(log_tau)):
        # theta = mu + tau z by its own density, seen through each estimate
        z = np.sinh(np.linspace(-9, 9, 3001))
        weight = stats.t.pdf(z, nu) * np.gradient(z)
        seen = tau * z + mu[:, None]
        log_mass[row] += stats.halfnorm.logpdf(tau, 0, 0.1) + log_tau[row]
        for y in estimate:
            # where the t is coarse the data are fine, and the other way round
            theta = y + se * np.linspace(-8, 8, 801)
            near = stats.norm.pdf(theta, y, se) * stats.t.pdf((theta - mu[:, None]) / tau, nu) / tau
            fine = near.sum(1) * (theta[1] - theta[0])
            coarse = (stats.norm.pdf(y, seen, se) * weight).sum(1)
            log_mass[row] += np.log(np.where(np.abs(mu - y) > 2, fine, coarse))
    cell = (mu[1] - mu[0]) * (log_tau[1] - log_tau[0])
    expected = special.logsumexp(log_mass) + np.log(cell)
    assert run.pareto_k < 0.7
    assert run.log_marginal_likelihood == pytest.approx(expected, abs=0.01)
    mass = special.softmax(log_mass)
    found = run.posterior["mu"].to_numpy()
    share = mass[:, mu > 3].sum()
    assert np.mean(found > 3) == pytest.approx(share, abs=4 * np.sqrt(0.25 / found.size))


def test_a_prior_without_a_bound_at_its_ends_is_drawn():
    spec = mc.ModelSpec(likelihood="binomial", priors={"tau": "Beta(0.5, 0.5)"})
    table = pd.DataFrame({"study": list("abcd"), "events": [9, 5, 13, 2], "total": [10, 8, 19, 12]})
    run = draw(spec, table)
    assert run.pareto_k < 0.7
    tau = run.posterior["tau"].to_numpy()
    assert 0 < tau.min() < tau.max() < 1


FULL = pd.DataFrame({"study": ["a"], "events": [5], "total": [5]})


def test_the_exact_engine_takes_over_where_nuts_fails():
    spec = mc.ModelSpec(likelihood="binomial", priors={"tau": "HalfCauchy(1)"})
    fit = mc.fit(spec, FULL, method="nuts", seed=11, progress=False)
    assert fit.attrs["method"] == "exact"
    assert fit.attrs["gate"] == "passed"
    methods = [attempt["method"] for attempt in json.loads(fit.attrs["attempts"])]
    assert methods == ["nuts", "nuts", "exact"]
    table = mc.diagnostics(fit)
    assert table["r_hat"].isna().all()
    assert (table["pareto_k"] < 0.7).all()


def test_weights_that_cannot_be_trusted_go_to_nuts(monkeypatch):
    monkeypatch.setattr(
        engines, "draw_exact", lambda *a, **k: draw_exact(*a, **k)._replace(pareto_k=0.9)
    )
    spec = mc.ModelSpec(likelihood="binomial")
    table = pd.DataFrame({"study": list("abc"), "events": [9, 5, 13], "total": [10, 8, 19]})
    fit = mc.fit(spec, table, method="auto", seed=1, progress=False)
    assert fit.attrs["method"] == "nuts"
    assert fit.attrs["gate"] == "passed"
    first = json.loads(fit.attrs["attempts"])[0]
    assert first["failure"] == "Pareto k of the importance weights is 0.90"
    alone = mc.fit(spec, table, method="exact", seed=1, progress=False)
    assert alone.attrs["converged"] == 0
    assert alone.attrs["gate"] == "Pareto k of the importance weights is 0.90"


def test_an_engine_without_draws_leaves_those_of_the_other(monkeypatch):
    def nothing(*_, **__):
        raise NoProposalError("the posterior is zero wherever it was looked for")

    monkeypatch.setattr(engines, "draw_exact", nothing)
    spec = mc.ModelSpec(likelihood="binomial", priors={"tau": "HalfCauchy(1)"})
    fit = mc.fit(spec, FULL, seed=11, draws=200, tune=200, progress=False)
    assert fit.attrs["method"] == "nuts"
    assert fit.attrs["converged"] == 0
    with pytest.raises(mc.InputError, match="wherever it was looked for; allowed: nuts"):
        mc.fit(spec, FULL, method="exact", seed=11, progress=False)


@pytest.mark.parametrize("effects", ["normal", "student_t"])
def test_the_same_seed_gives_the_same_draws(effects):
    spec = mc.ModelSpec(likelihood="binomial", random_effects=effects)
    table = pd.DataFrame({"study": list("abcd"), "events": [0, 5, 13, 2], "total": [10, 5, 19, 12]})
    one, same, other = (
        mc.fit(spec, table, method="exact", seed=seed, draws=1000) for seed in (3, 3, 4)
    )
    assert one.identical(same)
    assert not one["posterior"].equals(other["posterior"])


def test_the_log_likelihood_of_each_study_is_that_of_the_draws():
    """What weighed the draws is kept, and it is what the draws themselves give."""
    spec = mc.ModelSpec(likelihood="binomial", moderators=["x"])
    table = pd.DataFrame(
        {"study": list("aabc"), "events": [9, 5, 13, 0], "total": [10, 8, 19, 7], "x": range(4)}
    )
    fit = mc.fit(spec, table, method="exact", seed=1, draws=1000)
    again = log_likelihood_of(
        spec,
        fit["constant_data"].to_dataset(),
        find_likelihood(spec),
        fit["posterior"].to_dataset(),
    )
    xr.testing.assert_allclose(fit["log_likelihood"].to_dataset(), again, atol=1e-8)


def test_uneven_weights_take_more_proposals():
    """One study and a wide prior of tau: the posterior is far from normal given tau."""
    spec = mc.ModelSpec(likelihood="binomial", priors={"tau": "HalfCauchy(1)"})
    run = draw(spec, FULL)
    assert run.importance_ess > 16_000


def iid(draws, rng):
    values = rng.standard_normal((4, draws, 3))
    return xr.Dataset({"x": (("chain", "draw", "each"), values)})


def test_independent_draws_are_judged_by_their_number():
    draws = iid(4000, np.random.default_rng(1))
    verdict = convergence(draws, independent=16_000)
    assert verdict.failure == ""
    # the error of a limit of a normal distribution is known; it is the largest of six
    error = np.sqrt(0.025 * 0.975 / 16_000) / stats.norm.pdf(stats.norm.ppf(0.975))
    assert error / 0.05 < verdict.shortfall < 1.1 * error / 0.05
    by_chains = convergence(draws, divergences=0)  # ArviZ reads it from fewer draws
    assert verdict.shortfall == pytest.approx(by_chains.shortfall, rel=0.2)
    few = convergence(iid(400, np.random.default_rng(1)), independent=1600)
    assert few.failure.startswith("the Monte Carlo error of the mean of x is 2.5% of its SD; ")
    assert few.failure.count("% quantile of x is") == 2
    # weights can make draws worth less than their number
    assert convergence(draws, independent=1600).shortfall > 1


def test_the_error_of_a_limit_against_repeated_runs():
    """The limits of 400 runs of a skewed quantity scatter as the gate says, which sorts a copy."""
    rng = np.random.default_rng(3)
    values = rng.exponential(size=(400, 1, 4000))
    draws = xr.Dataset({"x": (("each", "chain", "draw"), values.copy())})
    before = draws.copy(deep=True)
    shortfall = convergence(draws.isel(each=0), independent=4000).shortfall
    xr.testing.assert_identical(draws, before)
    spread = np.std(np.quantile(values[:, 0], 0.975, axis=1))
    # the limit of a normal distribution would be as far from the median
    reach = (stats.expon.ppf(0.975) - stats.expon.ppf(0.5)) / stats.norm.ppf(0.975)
    assert shortfall == pytest.approx(spread / reach / 0.05, rel=0.2)
    each = [convergence(draws.isel(each=n), independent=4000).shortfall for n in range(60)]
    assert np.mean(each) == pytest.approx(spread / reach / 0.05, rel=0.1)
    # of the draws within three errors it is 0.13, of those within one 0.23
    assert np.std(each) < 0.09 * np.mean(each)
    words = convergence(draws.isel(each=0), independent=4000).failure
    assert words.endswith("% of the SD of its tail")
    assert words.startswith("the Monte Carlo error of the 97.5 % quantile of x is ")


def test_draws_that_are_too_few_are_run_again_longer():
    spec = mc.ModelSpec(likelihood="binomial")
    table = pd.DataFrame({"study": list("abc"), "events": [9, 5, 13], "total": [10, 8, 19]})
    fit = mc.fit(spec, table, method="exact", seed=1, draws=300)
    *before, last = json.loads(fit.attrs["attempts"])
    assert all("the Monte Carlo error of the" in each["failure"] for each in before)
    assert [each["draws"] for each in before] in ([300], [300, 600])
    assert last["draws"] == 1200


def test_an_unknown_method_is_refused():
    with pytest.raises(mc.InputError, match="'nuts', 'exact', 'auto'"):
        mc.fit(mc.ModelSpec(likelihood="binomial"), FULL, method="exakt")
