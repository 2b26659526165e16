"""The study effect integrated out, against adaptive quadrature that we did not write."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, special, stats

from metacart.inference import marginal, quadrature
from metacart.inference.marginal import draw_standard_effects, study_log_likelihood
from metacart.inference.population import population_average
from metacart.modelling.likelihoods import LIKELIHOODS
from metacart.scales import SCALES

ARMS = [(0, 14), (14, 14), (13, 19), (1, 500), (192, 194), (0, 1), (1, 1)]


def effect_density(effects, nu):
    return stats.norm() if effects == "normal" else stats.t(nu)


def slow_log_marginal(events, totals, linear, tau, effects, nu):
    """Obvious and slow: adaptive quadrature over z in pieces."""
    density = effect_density(effects, nu)

    def log_integrand(z):
        # log(1 + exp(-x)) without the rounding of a rate near 0 or 1
        eta = linear + tau * z
        terms = -events * np.logaddexp(0, -eta) - (totals - events) * np.logaddexp(0, eta)
        choices = special.gammaln(totals + 1) - special.gammaln(events + 1)
        choices = choices - special.gammaln(totals - events + 1)
        return density.logpdf(z) + np.sum(terms + choices)

    edges = [-2000, -200, -50, -20, -10, *range(-6, 7), 10, 20, 50, 200, 2000]
    grid = np.concatenate([np.linspace(*pair, 30) for pair in pairwise(edges)])
    values = np.array([log_integrand(z) for z in grid])
    peak, top = values.max(), grid[values.argmax()]
    pieces = [
        integrate.quad(
            lambda z: np.exp(log_integrand(z) - peak),
            low,
            high,
            limit=200,
            points=[top] if low < top < high else None,
        )[0]
        for low, high in pairwise(edges)
    ]
    return np.log(sum(pieces)) + peak


@pytest.mark.parametrize("effects", ["normal", "student_t"])
@pytest.mark.parametrize("tau", [0.01, 0.3, 1.0, 3.0])
def test_binomial_arms(effects, tau):
    events, totals = np.array(ARMS).T
    estimate, variance = LIKELIHOODS["binomial"].approximate({"events": events, "total": totals})
    # where a posterior draw can lie: up to three standard deviations from what the arm shows
    linear = estimate + np.array([[-3.0], [0.0], [2.0]]) * np.sqrt(variance + tau**2)
    found = study_log_likelihood(
        LIKELIHOODS["binomial"],
        {"events": events, "total": totals},
        np.arange(len(ARMS)),
        linear,
        np.full(3, tau),
        effects=effects,
        nu=4.0,
        parameters={},
    )
    for draw in range(3):
        for arm, (y, n) in enumerate(ARMS):
            m = linear[draw, arm]
            expected = slow_log_marginal(np.array([y]), np.array([n]), m, tau, effects, 4.0)
            assert found[draw, arm] == pytest.approx(expected, abs=5e-4), (m, y, n)


def test_arms_of_one_study_share_its_effect():
    events, totals = np.array([3, 9, 0]), np.array([10, 12, 5])
    found = study_log_likelihood(
        LIKELIHOODS["binomial"],
        {"events": events, "total": totals},
        np.array([1, 0, 1]),
        np.full((1, 3), 0.2),
        np.array([0.8]),
        effects="normal",
        nu=4.0,
        parameters={},
    )
    first = slow_log_marginal(events[[1]], totals[[1]], 0.2, 0.8, "normal", 4.0)
    second = slow_log_marginal(events[[0, 2]], totals[[0, 2]], 0.2, 0.8, "normal", 4.0)
    np.testing.assert_allclose(found, [[first, second]], atol=1e-4)


ESTIMATES, SES = np.array([0.4, -1.2, 0.1, 9.0, -0.3]), np.array([0.3, 0.8, 0.02, 0.5, 2.0])


@pytest.mark.parametrize("tau", [0.0, 1e-6, 0.5, 2.9, 8.0])
@pytest.mark.parametrize("group", [np.arange(5), np.array([1, 0, 1, 0, 1])], ids=["one", "several"])
def test_normal_estimates_have_a_closed_form(monkeypatch, tau, group):
    linear = np.array([[0.0, 0.3, -0.2, 1.0, 0.4]])
    arguments = (
        {"estimate": ESTIMATES, "se": SES},
        group,
        linear,
        np.array([tau]),
    )
    options = {"effects": "normal", "nu": 4.0, "parameters": {}}
    found = study_log_likelihood(LIKELIHOODS["normal"], *arguments, **options)
    for study in range(group.max() + 1):
        own = group == study
        covariance = np.diag(SES[own] ** 2) + tau**2
        expected = stats.multivariate_normal(linear[0, own], covariance).logpdf(ESTIMATES[own])
        assert found[0, study] == pytest.approx(expected, abs=1e-9)
    monkeypatch.setattr(marginal, "is_conjugate", lambda _: False)
    monkeypatch.setattr(marginal, "integrate", lambda *_, **__: None)
    by_rules = study_log_likelihood(LIKELIHOODS["normal"], *arguments, **options)
    np.testing.assert_allclose(by_rules, found, atol=1e-9 if tau <= 3 else 5e-4)


@pytest.mark.parametrize("name", ["normal", "survival", "hsct"])
def test_only_normal_estimates_are_taken_for_normal(name):
    data = {"estimate": ESTIMATES, "se": SES, "contrast": np.zeros(5, dtype=bool)}
    arguments = (data, np.arange(5), np.zeros((2, 5)), np.ones(2), "normal", 4.0, {})
    entry = LIKELIHOODS[name]
    assert marginal.is_conjugate(marginal._studies(entry, *arguments))
    robust = replace(
        entry, logp=lambda eta, data, _: stats.t.logpdf(eta, 30, data["estimate"], data["se"])
    )
    assert not marginal.is_conjugate(marginal._studies(robust, *arguments))
    wider = replace(entry, approximate=lambda data: (data["estimate"], 1.01 * data["se"] ** 2))
    assert not marginal.is_conjugate(marginal._studies(wider, *arguments))


@pytest.mark.parametrize("effects", ["normal", "student_t"])
def test_draws_in_blocks_are_draws_one_by_one(effects):
    """Rules follow the hardest integrand of a block: what is beside a draw must not matter."""
    rng = np.random.default_rng(3)
    events, totals = np.array([0, 14, 13, 30, 1990, 3, 9]), np.array([14, 14, 19, 500, 2000, 9, 9])
    group = np.array([0, 1, 2, 3, 4, 5, 5])
    linear = 0.5 + rng.standard_t(4, (40_000, 1)) * rng.uniform(0, 2, 7)
    tau = np.exp(rng.normal(-0.5, 1.0, 40_000))

    def some(rows):
        return study_log_likelihood(
            LIKELIHOODS["binomial"],
            {"events": events, "total": totals},
            group,
            linear[rows],
            tau[rows],
            effects=effects,
            nu=4.0,
            parameters={},
        )

    whole, rows = some(slice(None)), rng.choice(40_000, 60, replace=False)
    one_by_one = np.concatenate([some([row]) for row in rows])
    exact = (tau[rows] <= 3) & (effects == "normal")
    np.testing.assert_allclose(whole[rows][exact], one_by_one[exact], atol=1e-8)
    np.testing.assert_allclose(whole[rows], one_by_one, atol=5e-4)


@pytest.mark.parametrize(("events", "total"), [(13, 19), (1, 3), (45, 60)])
@pytest.mark.parametrize("m", [0.5, 1.5])
def test_one_rule_where_it_sees_all(events, total, m):
    """Student-t effects and data that agree: one rule of nodes, to six digits."""
    data = {"events": np.array([events]), "total": np.array([total])}
    arguments = (data, np.array([0]), np.array([[m]]), np.array([0.9]))
    entry = LIKELIHOODS["binomial"]
    studies = marginal._studies(entry, *arguments, "student_t", 4.0, {})
    (chosen, rules), *others = quadrature.ways(studies, 0.3)
    assert (len(chosen), len(rules.centres), others) == (1, 1, [])
    found = study_log_likelihood(entry, *arguments, effects="student_t", nu=4.0, parameters={})
    expected = slow_log_marginal(data["events"], data["total"], m, 0.9, "student_t", 4.0)
    assert float(found[0, 0]) == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("effects", ["normal", "student_t"])
@pytest.mark.parametrize("scale", ["logit", "cloglog", "loglog"])
@pytest.mark.parametrize("m", [-4.0, 0.0, 2.0])
@pytest.mark.parametrize("tau", [0.0, 0.3, 0.8, 1.0, 2.0, 4.0, 5.0, 8.0, 30.0, 300.0])
def test_population_average(effects, scale, m, tau):
    density = effect_density(effects, 4.0)
    turn = -m / max(tau, 1.0)
    edges = [-2000, -50, -10, -5, -2, 0, 2, 5, 10, 50, 2000]
    edges = sorted({*edges, *(turn + side / max(tau, 1.0) for side in (-9, -3, 0, 3, 9))})
    expected = sum(
        integrate.quad(
            lambda z: density.pdf(z) * float(SCALES[scale].inverse(m + tau * z)), low, high
        )[0]
        for low, high in pairwise(edges)
    )
    found = population_average(np.array(m), np.array(tau), SCALES[scale], effects=effects, nu=4.0)
    assert float(found) == pytest.approx(expected, abs=2e-6)


def by_pieces(log_integrand, edges):
    """Adaptive quadrature over theta in pieces, the largest value taken out."""
    grid = np.concatenate([np.linspace(*pair, 50) for pair in pairwise(edges)])
    top = max(log_integrand(point) for point in grid)
    pieces = [
        integrate.quad(lambda x: np.exp(log_integrand(x) - top), *pair, limit=200)[0]
        for pair in pairwise(edges)
    ]
    return np.log(sum(pieces)) + top


@pytest.mark.parametrize(
    ("events", "total", "m", "tau", "effects", "nu"),
    [
        (0, 100, 6.0, 0.001, "student_t", 4.0),  # two peaks: at the effects and at the data
        (100, 100, -8.0, 0.001, "student_t", 4.0),
        (3, 20, 5.0, 0.02, "student_t", 2.5),
        (0, 20, 2.0, 0.02, "student_t", 1.0),
        (0, 1, -8.0, 100.0, "normal", 4.0),  # a step times a normal density
        (5, 5, 1.0, 30.0, "normal", 4.0),
        (0, 9, 1.0, 30.0, "student_t", 4.0),
    ],
)
def test_studies_far_from_the_rest_and_effects_without_bounds(events, total, m, tau, effects, nu):
    density = stats.norm(m, tau) if effects == "normal" else stats.t(nu, m, tau)

    def log_integrand(theta):
        terms = -events * np.logaddexp(0, -theta) - (total - events) * np.logaddexp(0, theta)
        choices = special.gammaln(total + 1) - special.gammaln(events + 1)
        return density.logpdf(theta) + terms + choices - special.gammaln(total - events + 1)

    around = [m + side * tau * far for side in (-1, 1) for far in (0.3, 2, 8, 40, 400, 1e4, 1e6)]
    edges = sorted({m, *around, *np.linspace(-60, 60, 61)})
    found = study_log_likelihood(
        LIKELIHOODS["binomial"],
        {"events": np.array([events]), "total": np.array([total])},
        np.array([0]),
        np.array([[m]]),
        np.array([tau]),
        effects=effects,
        nu=nu,
        parameters={},
    )
    assert float(found[0, 0]) == pytest.approx(by_pieces(log_integrand, edges), abs=2e-3)


@pytest.mark.parametrize(
    ("events", "total", "m", "tau", "effects", "nu"),
    [
        (0, 9, 0.0, 1.0, "normal", 4.0),
        (5, 5, 0.0, 30.0, "normal", 4.0),
        (5, 5, 0.0, 1.0, "student_t", 1.0),
        (0, 100, 6.0, 0.02, "student_t", 4.0),
        (250, 500, 1.0, 0.5, "student_t", 2.5),
    ],
)
def test_effects_are_drawn_from_their_own_distribution(events, total, m, tau, effects, nu):
    number = 100_000
    drawn = (
        tau
        * draw_standard_effects(
            LIKELIHOODS["binomial"],
            {"events": np.array([events]), "total": np.array([total])},
            np.array([0]),
            np.full((number, 1), m),
            np.full(number, tau),
            effects=effects,
            nu=nu,
            parameters={},
            rng=np.random.default_rng(1),
        )[:, 0]
    )
    fine = np.sinh(np.linspace(-14, 14, 200_001))
    z = np.unique(np.concatenate([fine, (fine - m) / tau]))
    log_mass = events * (m + tau * z) - total * np.logaddexp(0, m + tau * z)
    log_mass += effect_density(effects, nu).logpdf(z)
    mass = np.exp(log_mass - log_mass.max())
    below = np.concatenate([[0.0], np.cumsum(0.5 * (mass[1:] + mass[:-1]) * np.diff(z))])
    uniform = np.interp(drawn / tau, z, below / below[-1])
    assert stats.kstest(uniform, "uniform").pvalue > 0.001


def test_effects_under_likelihoods_that_are_not_log_concave():
    """A user's own, Student-t about the estimate: its tail passes any tangent."""
    entry = replace(
        LIKELIHOODS["normal"],
        logp=lambda eta, data, _: stats.t.logpdf(eta, 3, data["estimate"], data["se"]),
        derivatives=lambda eta, data, _: robust_derivatives(eta, data["estimate"], data["se"]),
    )
    number, tau = 50_000, 1.5
    drawn = (
        tau
        * draw_standard_effects(
            entry,
            {"estimate": np.array([0.7]), "se": np.array([0.4])},
            np.array([0]),
            np.zeros((number, 1)),
            np.full(number, tau),
            effects="normal",
            nu=4.0,
            parameters={},
            rng=np.random.default_rng(1),
        )[:, 0]
    )
    z = np.linspace(-8, 8, 40_001)
    mass = stats.norm.pdf(z) * stats.t.pdf(tau * z, 3, 0.7, 0.4)
    below = np.cumsum(mass) / mass.sum()
    assert stats.kstest(np.interp(drawn / tau, z, below), "uniform").pvalue > 0.001


def robust_derivatives(eta, estimate, se):
    distance = eta - estimate
    width = 3 * se**2 + distance**2
    return -4 * distance / width, -4 * (3 * se**2 - distance**2) / width**2


@pytest.mark.parametrize("tau", [0.2, 1.0])
def test_effects_of_normal_estimates_in_closed_form(tau):
    """Two estimates of one study, and one of another."""
    number = 40_000
    drawn = tau * draw_standard_effects(
        LIKELIHOODS["normal"],
        {"estimate": np.array([0.4, 1.9, 0.1]), "se": np.array([0.3, 0.8, 0.5])},
        np.array([0, 1, 0]),
        np.tile([0.0, 0.5, 0.2], (number, 1)),
        np.full(number, tau),
        effects="normal",
        nu=4.0,
        parameters={},
        rng=np.random.default_rng(1),
    )
    precision = np.array([0.3**-2 + 0.5**-2, 0.8**-2]) + tau**-2
    mean = np.array([0.4 * 0.3**-2 - 0.1 * 0.5**-2, 1.4 * 0.8**-2]) / precision
    for study in range(2):
        exact = stats.norm(mean[study], precision[study] ** -0.5)
        assert stats.kstest(drawn[:, study], exact.cdf).pvalue > 0.001
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 4 / np.sqrt(number)
