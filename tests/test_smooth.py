"""The polynomial that stands for the likelihood of very many studies, and when it does not."""

import numpy as np
import pandas as pd
import pytest
from scipy import special

import metacart as mc
from metacart.inference import exact
from metacart.inference.density import Marginal
from metacart.inference.proposal import propose
from metacart.inference.smooth import total_log_likelihood
from metacart.modelling.design import bind
from metacart.modelling.likelihoods import find_likelihood
from metacart.modelling.priors import resolve_priors


class Known:
    """A log likelihood in closed form, that counts where it was asked for."""

    def __init__(self, function):
        self.function, self.asked = function, 0

    def total_log_likelihood(self, points, t):
        self.asked += len(t)
        return self.function(points, t)


def draws(number, names=2, seed=3):
    rng = np.random.default_rng(seed)
    return 0.4 + 0.02 * rng.standard_t(5, (number, names)), -0.6 + 0.03 * rng.standard_normal(
        number
    )


def counts(points, t):
    """Of 9,000 patients, 3,000 each at three log odds: exact, and not quadratic."""
    odds = [points[:, 0], points[:, 0] + points[:, 1], points[:, 1] - t]
    return sum(1700 * each - 3000 * np.log1p(np.exp(each)) for each in odds)


def test_a_smooth_likelihood_is_asked_for_few_draws():
    known, (points, t) = Known(counts), draws(4000)
    found, right = total_log_likelihood(known, points, t), counts(points, t)
    assert known.asked < 1000
    assert np.abs(found - right).max() < 1e-3
    # a quadratic, as of a normal posterior, would not do
    assert np.ptp(right) > 10
    far = np.abs(points - 0.4).max(axis=1) > 0.02 * 6
    assert far.sum() > 5
    assert found[far].tolist() == right[far].tolist()


@pytest.mark.parametrize(
    "function",
    [
        lambda points, t: -400.0 * np.abs(points[:, 0] - 0.41) + 0.0 * t,
        lambda points, t: np.where(t < -0.7, -np.inf, counts(points, t)),
        lambda points, t: -5.0 * np.sin(40.0 * points).sum(axis=1) + 0.0 * t,
    ],
)
def test_what_is_no_polynomial_is_integrated_everywhere(function):
    known, (points, t) = Known(function), draws(4000)
    found = total_log_likelihood(known, points, t)
    assert known.asked == 4000
    np.testing.assert_array_equal(found, function(points, t))


def test_few_draws_or_many_coefficients_leave_nothing_to_spare():
    for number, names in ((300, 2), (4000, 9)):
        known, (points, t) = Known(lambda points, t: points.sum(axis=1) + t), draws(number, names)
        total_log_likelihood(known, points, t)
        assert known.asked == number


def arms(number):
    rng = np.random.default_rng(5)
    total, x = rng.integers(8, 60, number), rng.standard_normal(number)
    events = rng.binomial(total, special.expit(1.2 + 0.3 * x + 0.6 * rng.standard_normal(number)))
    return pd.DataFrame(
        {"study": np.arange(number).astype(str), "events": events, "total": total, "x": x}
    )


def test_weights_of_many_arms_are_those_of_integrals(monkeypatch):
    """At the draws of the proposal: with a moderator no two arms are alike."""
    spec = mc.ModelSpec(likelihood="binomial", moderators=["x"])
    table = arms(2000)
    design, likelihood = bind(spec, table), find_likelihood(spec)
    target = Marginal(spec, design, likelihood, resolve_priors(spec, design, likelihood))
    proposal = propose(target, np.random.default_rng(1))
    runs = []
    for held in (exact._HELD, 0):
        monkeypatch.setattr(exact, "_HELD", held)
        runs.append(exact.weigh(target, 1500, np.random.default_rng(2), proposal=proposal))
    whole, smooth = runs
    assert whole.log_likelihood is not None
    assert smooth.log_likelihood is None
    assert np.abs(whole.log_weight - smooth.log_weight).max() < 1e-3
    assert (np.abs(whole.log_weight - smooth.log_weight) > 1e-9).mean() > 0.5  # by a polynomial
