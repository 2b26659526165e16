"""The study effect integrated out, against adaptive quadrature that we did not write."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, special, stats

from metacart.inference.marginal import population_average, study_log_likelihood
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


def test_normal_estimates_have_a_closed_form():
    estimate, se, tau = np.array([0.4, -1.2]), np.array([0.3, 0.8]), 0.5
    found = study_log_likelihood(
        LIKELIHOODS["normal"],
        {"estimate": estimate, "se": se},
        np.arange(2),
        np.zeros((1, 2)),
        np.array([tau]),
        effects="normal",
        nu=4.0,
        parameters={},
    )
    expected = stats.norm.logpdf(estimate, 0, np.sqrt(se**2 + tau**2))
    np.testing.assert_allclose(found[0], expected, atol=1e-10)


@pytest.mark.parametrize("effects", ["normal", "student_t"])
@pytest.mark.parametrize("scale", ["logit", "cloglog"])
@pytest.mark.parametrize("m", [-4.0, 0.0, 2.0])
@pytest.mark.parametrize("tau", [0.0, 0.3, 1.0, 4.0])
def test_population_average(effects, scale, m, tau):
    density = effect_density(effects, 4.0)
    edges = [-2000, -50, -10, -5, -2, 0, 2, 5, 10, 50, 2000]
    expected = sum(
        integrate.quad(
            lambda z: density.pdf(z) * float(SCALES[scale].inverse(m + tau * z)), low, high
        )[0]
        for low, high in pairwise(edges)
    )
    found = population_average(np.array(m), np.array(tau), SCALES[scale], effects=effects, nu=4.0)
    assert float(found) == pytest.approx(expected, abs=2e-6)
