"""Effects of findings inside studies against grids, closed forms and published analyses."""

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import metacart as mc
from metacart.inference.assemble import log_likelihood_of
from metacart.inference.compiled import compiled
from metacart.inference.marginal import study_log_likelihood
from metacart.inference.recovery import Setting, recover
from metacart.inference.scattered import scatter
from metacart.inference.within import Levels, Observed
from metacart.modelling.build import build_model
from metacart.modelling.design import bind, data_of
from metacart.modelling.likelihoods import LIKELIHOODS

# Konstantopoulos 2011, Res Synth Methods 2:61: schools (rows) within districts; modified calendars
SCHOOLS = {
    11: [(-0.18, 0.118), (-0.22, 0.118), (0.23, 0.144), (-0.30, 0.144)],
    12: [(0.13, 0.014), (-0.26, 0.014), (0.19, 0.015), (0.32, 0.024)],
    18: [(0.45, 0.023), (0.38, 0.043), (0.29, 0.012)],
    27: [(0.16, 0.020), (0.65, 0.004), (0.36, 0.004), (0.60, 0.007)],
    56: [(0.08, 0.019), (0.04, 0.007), (0.19, 0.005), (-0.06, 0.004)],
    58: [
        *((-0.18, 0.020), (0.00, 0.018), (0.00, 0.019), (-0.28, 0.022), (-0.04, 0.020)),
        *((-0.30, 0.021), (0.07, 0.006), (0.00, 0.007), (0.05, 0.007), (-0.08, 0.007)),
        (-0.09, 0.007),
    ],
    71: [(0.30, 0.015), (0.98, 0.011), (1.19, 0.010)],
    86: [(y, 0.001) for y in (-0.07, -0.05, -0.01, 0.02, -0.03, 0.00, 0.01, -0.10)],
    91: [(0.50, 0.010), (0.66, 0.011), (0.20, 0.010), (0.00, 0.009), (0.05, 0.013), (0.07, 0.013)],
    108: [(-0.52, 0.031), (0.70, 0.031), (-0.03, 0.030), (0.27, 0.030), (-0.34, 0.030)],
    644: [(0.12, 0.087), (0.61, 0.082), (0.04, 0.067), (-0.05, 0.067)],
}
# no events and only events among the arms of one study, and studies of one arm
ARMS = pd.DataFrame(
    {
        "study": ["a", "b", "a", "c", "c", "c", "d", "e"],
        "events": [0, 14, 9, 7, 2, 5, 3, 17],
        "total": [6, 14, 9, 31, 20, 11, 12, 30],
    }
)


def schools():
    rows = [(str(district), y, v) for district, each in SCHOOLS.items() for y, v in each]
    table = pd.DataFrame(rows, columns=["study", "estimate", "variance"])
    return table.assign(se=np.sqrt(table["variance"]))


def restricted(table, between, within):
    """The restricted log likelihood of both variances, and GLS mean and error, from matrices."""
    member = pd.get_dummies(table["study"]).to_numpy(dtype=float)
    cover = np.diag(table["variance"] + within) + between * member @ member.T
    inverse, ones = np.linalg.inv(cover), np.ones(len(table))
    precision = ones @ inverse @ ones
    mean = ones @ inverse @ table["estimate"] / precision
    residual = table["estimate"] - mean
    log = -0.5 * (np.linalg.slogdet(cover)[1] + np.log(precision) + residual @ inverse @ residual)
    return log, mean, precision**-0.5


def test_the_closed_form_finds_what_was_published():
    # page 70, Table 5, as metafor documents it: 0.0651 and 0.0327, mean 0.1847 (SE 0.0846)
    table = schools()
    assert len(table) == 56
    best = restricted(table, 0.0651, 0.0327)
    assert best[1:] == pytest.approx((0.1847, 0.0846), abs=5e-5)
    step = 0.0005
    for between, within in ((step, 0), (-step, 0), (0, step), (0, -step)):
        assert restricted(table, 0.0651 + between, 0.0327 + within)[0] < best[0]


def test_schools_in_districts():
    """Every number against a grid over both spreads, the mean integrated out in closed form."""
    table = schools()
    priors = {"mu": "Normal(0, 10)", "tau": "HalfNormal(1)", "tau_within": "HalfNormal(1)"}
    spec = mc.ModelSpec(likelihood="normal", within="finding", priors=priors)
    fit = mc.fit(spec, table.drop(columns="variance"), method="exact", seed=1, progress=False)
    assert fit.attrs["converged"], fit.attrs["gate"]
    tau, within = np.linspace(0.01, 1.1, 50), np.linspace(0.06, 0.42, 37)
    grid = [[restricted(table, t**2, w**2) for w in within] for t in tau]
    log, mean, error = np.moveaxis(np.array(grid), -1, 0)
    log = log - 0.5 * (tau[:, None] ** 2 + within**2)
    mass = np.exp(log - log.max())
    mass /= mass.sum()
    expected = {
        "tau": (tau, mass.sum(axis=1)),
        "tau_within": (within, mass.sum(axis=0)),
    }
    posterior = fit["posterior"]
    for name, (values, weight) in expected.items():
        draws = posterior[name].to_numpy().ravel()
        moments = [(values**power) @ weight for power in (1, 2)]
        slack = 4 * draws.std() / np.sqrt(10_000)
        assert draws.mean() == pytest.approx(moments[0], abs=slack)
        assert draws.std() == pytest.approx(np.sqrt(moments[1] - moments[0] ** 2), rel=0.04)
    mu = posterior["mu"].to_numpy().ravel()
    centre = (mass * mean).sum()
    spread = np.sqrt((mass * (error**2 + (mean - centre) ** 2)).sum())
    assert mu.mean() == pytest.approx(centre, abs=4 * spread / np.sqrt(10_000))
    assert mu.std() == pytest.approx(spread, rel=0.04)
    # and near the published point: within half a posterior SD
    assert abs(np.median(posterior["tau"]) - 0.0651**0.5) < 0.5 * posterior["tau"].std()
    assert abs(np.median(posterior["tau_within"]) - 0.0327**0.5) < 0.5 * np.std(
        posterior["tau_within"]
    )
    assert mu.mean() == pytest.approx(0.1847, abs=0.02)
    log_marginal = special.logsumexp(log - 0.5 * np.log(2 * np.pi) * (len(table) - 1))
    log_marginal += np.log(tau[1] - tau[0]) + np.log(within[1] - within[0])
    log_marginal += 2 * np.log(np.sqrt(2 / np.pi)) + stats.norm(0, 10).logpdf(0)
    assert fit.attrs["log_marginal_likelihood"] == pytest.approx(log_marginal, abs=0.03)


def observed(name, data, group, linear, tau, within, effects="normal"):
    likelihood = LIKELIHOODS[name]
    levels = None if within is None else Levels(likelihood, data, group)
    return Observed(likelihood, data, group, linear, tau, levels, within, effects, 4.0, {})


POINTS = np.array(
    [(0.0, 1.0, 0.5), (-1.5, 0.3, 1.2), (0.8, 2.5, 0.02), (0.4, 0.05, 0.05), (2.0, 0.5, 4.0)]
)


def by_grid(logp, group, mu, tau, within):
    """Sum over grids of both standard effects: an integral that nothing here has written."""
    z = np.linspace(-9, 9, 721)
    weight = np.log(stats.norm.pdf(z) * (z[1] - z[0]))
    eta = mu + tau * z[:, None] + within * z
    inner = np.array([special.logsumexp(each + weight, axis=1) for each in logp(eta)])
    sums = np.array([inner[group == study].sum(axis=0) for study in range(group.max() + 1)])
    return special.logsumexp(sums + weight, axis=1)


def test_binomial_arms_of_studies_against_a_grid():
    spec = mc.ModelSpec(likelihood="binomial", within="finding")
    design = bind(spec, ARMS)
    group = design["group"].to_numpy()
    linear = np.repeat(POINTS[:, :1], len(ARMS), axis=1)
    found = observed("binomial", data_of(design), group, linear, *POINTS.T[1:]).log_likelihood()
    y, n = ARMS["events"].to_numpy(), ARMS["total"].to_numpy()
    for point, row in zip(POINTS, found, strict=True):
        expected = by_grid(
            lambda eta: [
                stats.binom(m, special.expit(eta)).logpmf(k) for k, m in zip(y, n, strict=True)
            ],
            group,
            *point,
        )
        np.testing.assert_allclose(row, expected, atol=2e-4)


@pytest.mark.parametrize("scale", ["logit", "cloglog"])
def test_comparisons_of_studies_against_a_grid(scale):
    table = pd.DataFrame(
        {
            "study": ["a", "a", "b"],
            "events": [0, 5, 3],
            "total": [8, 9, 20],
            "control_events": [2, 9, 9],
            "control_total": [7, 12, 21],
        }
    )
    spec = mc.ModelSpec(likelihood="two_arm", scale=scale, within="finding")
    design = bind(spec, table)
    group = design["group"].to_numpy()
    linear = np.repeat(POINTS[:, :1], len(table), axis=1)
    found = observed("two_arm", data_of(design), group, linear, *POINTS.T[1:]).log_likelihood()
    inverse = special.expit if scale == "logit" else lambda x: -np.expm1(-np.exp(x))
    level = np.linspace(-9, 9, 181)
    prior = np.log(stats.norm.pdf(level, 0, 1.5) * (level[1] - level[0]))

    def logp(eta):
        # the effect on an even grid, since its grid in z times the level's would be large
        at = np.linspace(eta.min(), eta.max(), 1201)
        for row in table.itertuples():
            rate = inverse(np.minimum(level[:, None] + at, 6.0))
            exposed = stats.binom(row.total, rate).logpmf(row.events)
            control = stats.binom(row.control_total, inverse(np.minimum(level, 6.0)))
            terms = exposed + (control.logpmf(row.control_events) + prior)[:, None]
            yield np.interp(eta, at, special.logsumexp(terms, axis=0))

    for point, row in zip(POINTS[:4], found, strict=False):
        np.testing.assert_allclose(row, by_grid(logp, group, *point), atol=2e-3)


def test_without_effects_of_findings_it_is_the_plain_model():
    data = {name: ARMS[name].to_numpy() for name in ("events", "total")}
    group = pd.factorize(ARMS["study"])[0]
    linear = np.repeat(POINTS[:, :1], len(ARMS), axis=1)
    none = np.full(len(POINTS), 1e-9)
    found = observed("binomial", data, group, linear, POINTS[:, 1], none).log_likelihood()
    plain = study_log_likelihood(
        LIKELIHOODS["binomial"],
        data,
        group,
        linear,
        POINTS[:, 1],
        effects="normal",
        nu=4.0,
        parameters={},
    )
    np.testing.assert_allclose(found, plain, atol=2e-4)


def test_a_study_of_one_finding_has_the_sum_of_both_effects():
    data = {name: ARMS[name].to_numpy() for name in ("events", "total")}
    linear = np.repeat(POINTS[:, :1], len(ARMS), axis=1)
    alone = np.arange(len(ARMS))
    whole = np.hypot(POINTS[:, 1], POINTS[:, 2])
    one = observed("binomial", data, alone, linear, whole, None).log_likelihood()
    two = observed("binomial", data, alone, linear, *POINTS.T[1:]).log_likelihood()
    np.testing.assert_allclose(two, one, rtol=1e-9)


def test_the_table_of_a_finding_is_its_integral():
    """Also far from the counts, where a start of the search may be."""
    data = {"events": np.array([0, 60, 3]), "total": np.array([4, 60, 500])}
    table = scatter(LIKELIHOODS["binomial"], data)
    rng = np.random.default_rng(4)
    scale = np.exp(rng.uniform(-7, 3, size=(300, 1)))
    eta = rng.normal(0, 4, size=(300, 3))
    own = {"tau_within": scale}
    # each alone, by the rules of the plain model
    exact = study_log_likelihood(
        LIKELIHOODS["binomial"],
        data,
        np.arange(3),
        eta,
        scale[:, 0],
        effects="normal",
        nu=4.0,
        parameters={},
    )
    found = table.likelihood.logp(eta, table.data, own)
    near = exact > -40
    np.testing.assert_allclose(found[exact > -5], exact[exact > -5], atol=2e-4)
    np.testing.assert_allclose(found[near], exact[near], atol=3e-3)
    step = 1e-3
    above, below = (table.likelihood.logp(eta + d, table.data, own) for d in (step, -step))
    slope, curvature = table.likelihood.derivatives(eta, table.data, own)
    np.testing.assert_allclose(
        slope[near], (above - below)[near] / (2 * step), rtol=2e-3, atol=0.02
    )
    assert (curvature <= 0).all()


def test_effects_are_drawn_from_their_normal_posterior():
    """Estimates: the true values of one study's findings given the rest are a known normal."""
    data = {"estimate": np.array([0.9, -0.4, 1.3]), "se": np.array([0.3, 0.5, 0.2])}
    group, mu, tau, within = np.array([0, 0, 1]), 0.2, 0.6, 0.35
    number = 40_000
    drawn = observed(
        "normal",
        data,
        group,
        np.full((number, 3), mu),
        np.full(number, tau),
        np.full(number, within),
    ).draw(np.random.default_rng(2))
    member = (group[:, None] == group).astype(float)
    prior = tau**2 * member + within**2 * np.eye(3)
    gain = prior @ np.linalg.inv(prior + np.diag(data["se"] ** 2))
    mean, cover = gain @ (data["estimate"] - mu), prior - gain @ prior
    np.testing.assert_allclose(drawn.mean(axis=0), mean, atol=5 * np.sqrt(0.4 / number))
    np.testing.assert_allclose(np.cov(drawn.T), cover, atol=0.005)


def test_effects_are_drawn_from_the_posterior_of_counts():
    data = {"events": np.array([0, 7]), "total": np.array([5, 9])}
    mu, tau, within, number = 0.3, 1.1, 0.7, 60_000
    drawn = observed(
        "binomial",
        data,
        np.array([0, 0]),
        np.full((number, 2), mu),
        np.full(number, tau),
        np.full(number, within),
    ).draw(np.random.default_rng(2))
    grid = np.linspace(-8, 8, 401)
    prior = stats.multivariate_normal(cov=tau**2 * np.ones((2, 2)) + within**2 * np.eye(2))
    first, second = np.meshgrid(grid, grid, indexing="ij")
    log = prior.logpdf(np.stack([first, second], axis=-1))
    for values, y, n in ((first, 0, 5), (second, 7, 9)):
        log = log + stats.binom(n, special.expit(mu + values)).logpmf(y)
    mass = np.exp(log - log.max())
    mass /= mass.sum()
    for column, axis in ((0, 1), (1, 0)):
        share = np.cumsum(mass.sum(axis=axis))
        uniform = np.interp(drawn[:, column], grid + 0.5 * (grid[1] - grid[0]), share)
        assert stats.kstest(uniform, "uniform").pvalue > 0.001
    product = (mass * first * second).sum()
    assert (drawn[:, 0] * drawn[:, 1]).mean() == pytest.approx(product, abs=0.04)


@pytest.fixture(scope="module")
def arms():
    spec = mc.ModelSpec(likelihood="binomial", within="finding")
    return mc.fit(spec, ARMS, method="exact", seed=3, progress=False)


def test_counts_against_a_grid_over_all_parameters(arms):
    assert arms.attrs["converged"]
    assert arms.attrs["pareto_k"] < 0.6
    mus, taus = np.linspace(-3.5, 3.5, 29), np.linspace(0.02, 3.6, 25)
    insides = np.linspace(0.01, 1.9, 18)
    z, weight = np.polynomial.hermite_e.hermegauss(30)
    log_weight = np.log(weight / weight.sum())
    y, n = ARMS["events"].to_numpy(), ARMS["total"].to_numpy()
    group = pd.factorize(ARMS["study"])[0]
    log = np.empty((len(mus), len(taus), len(insides)))
    for i, tau in enumerate(taus):
        for j, inside in enumerate(insides):
            eta = mus[:, None, None] + tau * z[:, None] + inside * z
            up, down = -np.logaddexp(0, -eta), -np.logaddexp(0, eta)
            sums = np.zeros((group.max() + 1, len(mus), len(z)))
            for each, events, total in zip(group, y, n, strict=True):
                terms = events * up + (total - events) * down + log_weight
                sums[each] += special.logsumexp(terms, axis=-1)
            log[:, i, j] = special.logsumexp(sums + log_weight, axis=-1).sum(axis=0)
    log += -0.5 * (mus[:, None, None] / 1.5) ** 2
    log += -0.5 * taus[:, None] ** 2 - 0.5 * (insides / 0.5) ** 2
    mass = np.exp(log - log.max())
    mass /= mass.sum()
    grids = {"mu": (mus, (1, 2)), "tau": (taus, (0, 2)), "tau_within": (insides, (0, 1))}
    for name, (values, axes) in grids.items():
        draws = arms["posterior"][name].to_numpy().ravel()
        share = mass.sum(axis=axes)
        mean = values @ share
        sd = np.sqrt((values - mean) ** 2 @ share)
        # half a cell of the grid beside the Monte Carlo error
        slack = 4 * sd / np.sqrt(12_000) + 0.06 * (values[1] - values[0])
        assert draws.mean() == pytest.approx(mean, abs=slack), name
        assert draws.std() == pytest.approx(sd, rel=0.05), name


def test_nuts_and_the_exact_engine_agree(arms):
    spec = mc.ModelSpec(likelihood="binomial", within="finding")
    function = compiled(build_model(spec, bind(spec, ARMS)))
    again = function.sample(
        draws=2500, tune=1000, chains=4, seed=3, target_accept=0.95, progress=False
    )
    assert not again["sample_stats"]["diverging"].any()
    for name in ("mu", "tau", "tau_within", "theta"):
        one, two = (fit["posterior"][name].to_numpy() for fit in (arms, again))
        one, two = one.reshape(16_000, -1), two.reshape(10_000, -1)
        assert (np.abs(two.mean(0) - one.mean(0)) < 0.12 * one.std(0)).all(), name
        np.testing.assert_allclose(two.std(0), one.std(0), rtol=0.12)


def test_the_stored_likelihood_of_studies_is_what_the_draws_give(arms):
    spec = mc.ModelSpec(likelihood="binomial", within="finding")
    design = bind(spec, ARMS)
    few = arms["posterior"].to_dataset().isel(draw=slice(50))
    found = log_likelihood_of(spec, design, LIKELIHOODS["binomial"], few)["study"]
    stored = arms["log_likelihood"]["study"].isel(draw=slice(50))
    np.testing.assert_allclose(found.to_numpy(), stored.to_numpy(), atol=1e-6)


def test_estimands_have_both_effects(arms):
    posterior = arms["posterior"]
    mu, tau, within = (posterior[name].to_numpy() for name in ("mu", "tau", "tau_within"))
    table = mc.summarize(arms).set_index("estimand")
    whole = np.hypot(tau, within)
    z = np.linspace(-8, 8, 321)
    density = stats.norm.pdf(z) * (z[1] - z[0])
    average = special.expit(mu[..., None] + whole[..., None] * z) @ density
    assert table.loc["population average", "median"] == pytest.approx(np.median(average), abs=1e-6)
    assert table.loc["median study", "median"] == pytest.approx(np.median(special.expit(mu)))
    # a new study and a new arm in it: standardised, a normal draw
    standard = (posterior["theta_new"].to_numpy() - mu) / whole
    assert stats.kstest(standard.ravel(), "norm").pvalue > 0.001
    assert table.loc["tau_within", "median"] == pytest.approx(np.median(within))


def test_replicates_scatter_at_both_levels():
    """Many arms of known spread: their replicates have the covariance of two levels."""
    table = pd.DataFrame({"study": ["a", "a", "b"], "estimate": [0.0] * 3, "se": [0.1] * 3})
    priors = {"mu": "Normal(0, 0.001)", "tau": "HalfNormal(1)", "tau_within": "HalfNormal(0.5)"}
    spec = mc.ModelSpec(likelihood="normal", scale="log", within="finding", priors=priors)
    fit = mc.fit(spec, table, method="exact", seed=1, draws=2000, progress=False)
    prior = fit["prior"]
    expected = np.diag([1.0 + 0.25] * 3) + np.array([[0, 1.0, 0], [1.0, 0, 0], [0, 0, 0]])
    theta = prior["theta"].to_numpy().reshape(-1, 3)
    np.testing.assert_allclose(np.cov(theta.T), expected, atol=0.15)
    y = fit["prior_predictive"]["y"].to_numpy().reshape(-1, 3)
    np.testing.assert_allclose(np.cov(y.T), expected + 0.01 * np.eye(3), atol=0.15)


def test_known_spreads_are_recovered():
    rng = np.random.default_rng(8)
    tau, within, mu = 0.8, 0.45, -0.4
    study = np.repeat(np.arange(20), 2)
    theta = mu + (tau * rng.standard_normal(20))[study] + within * rng.standard_normal(40)
    table = pd.DataFrame({"study": study.astype(str), "total": 60})
    table["events"] = rng.binomial(60, special.expit(theta))
    spec = mc.ModelSpec(likelihood="binomial", within="finding")
    fit = mc.fit(spec, table, method="exact", draws=400, seed=1, progress=False)
    assert fit.attrs["pareto_k"] < 0.7
    summary = mc.summarize(fit).set_index("estimand")
    for name, truth in (("tau", tau), ("tau_within", within)):
        row = summary.loc[name]
        assert row["lower"] < truth < row["upper"]
        assert row["upper"] - row["lower"] < 0.9
    inside = fit["posterior"]["theta"].quantile([0.025, 0.975], ("chain", "draw")).to_numpy()
    covered = ((inside[0] < theta) & (theta < inside[1])).mean()
    assert 0.88 < covered <= 1.0


def test_the_order_of_rows_does_not_matter(arms):
    spec = mc.ModelSpec(likelihood="binomial", within="finding")
    again = mc.fit(spec, ARMS.iloc[::-1], method="exact", seed=3, progress=False)
    for name in ("mu", "tau", "tau_within"):
        one, two = (fit["posterior"][name].to_numpy() for fit in (arms, again))
        assert two.mean() == pytest.approx(one.mean(), abs=5 * one.std() / np.sqrt(8000))


@pytest.mark.parametrize(
    ("studies", "events"),
    [("aab", [0, 0, 0]), ("aab", [5, 5, 5]), ("aaa", [0, 5, 3]), ("aabb", [0, 5, 5, 0])],
)
def test_few_arms_of_no_or_only_events_give_a_sane_posterior(studies, events):
    table = pd.DataFrame({"study": list(studies), "events": events, "total": 5})
    spec = mc.ModelSpec(likelihood="binomial", within="finding")
    fit = mc.fit(spec, table, method="exact", draws=1000, seed=1, progress=False)
    assert fit.attrs["pareto_k"] < 0.7
    rates = mc.summarize(fit).set_index("estimand").loc["population average"]
    assert 0 < rates["lower"] < rates["median"] < rates["upper"] < 1
    if studies == "aaa":  # one study says nothing about how much studies differ
        tau = fit["posterior"]["tau"].to_numpy()
        assert np.median(tau) == pytest.approx(stats.halfnorm.median(), rel=0.12)


def test_where_hardly_anything_scatters_inside_studies_no_weight_stands_out():
    """The log of a spread near 0 has a long tail: without wider draws 15 of 100 refits failed."""
    rng = np.random.default_rng(1)
    names = [f"study {number}" for number in range(8)] * 2
    table = pd.DataFrame({"study": names, "estimate": 0.0, "se": rng.uniform(0.2, 0.8, 16)})
    spec = mc.ModelSpec(likelihood="normal", scale="log", within="finding")
    own = Setting(spec, bind(spec, table), None, 1000, 1)
    assert [recover(number, own).failure for number in range(30)] == [""] * 30
