"""How far exact fits are from the posterior: against sums over fine grids, written here alone.

Allowed are 0.005 for means, 0.01 for the 2.5 and 97.5 % quantiles of mu and tau and 0.02 for the
log marginal likelihood, each with four Monte Carlo standard errors of the run more.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from scipy import interpolate, special, stats

import metacart as mc
from metacart.inference.exact import draw_exact
from metacart.modelling.design import bind
from metacart.modelling.likelihoods import find_likelihood
from metacart.modelling.priors import resolve_priors

PROBABILITIES = (0.025, 0.975)


class Curve(NamedTuple):
    """A posterior as masses of even cells along `positions`, each with its value."""

    name: str
    positions: np.ndarray
    values: np.ndarray
    mass: np.ndarray

    def mean(self):
        return float(np.sum(self.values * self.mass) / self.mass.sum())

    def cumulative(self):
        """Values on a finer grid, and the probability below each."""
        half = 0.5 * (self.positions[1] - self.positions[0])
        ends = np.concatenate([[self.positions[0] - half], self.positions + half])
        below = np.concatenate([[0.0], np.cumsum(self.mass)]) / self.mass.sum()
        fine = np.linspace(self.positions[0], self.positions[-1], 4001)
        value = interpolate.CubicSpline(self.positions, self.values)(fine)
        return value, interpolate.CubicSpline(ends, below)(fine)

    def quantile(self, probability):
        value, below = self.cumulative()
        return float(np.interp(probability, below, value))

    def error(self, probability, draws):
        """Monte Carlo standard error of a quantile of independent draws."""
        value, below = self.cumulative()
        slope = np.interp(probability, below, np.gradient(below, value))
        return np.sqrt(probability * (1 - probability) / draws) / slope


def grid(log_likelihood, mu_prior, tau_prior, *, mu=(-9.0, 9.0), log_tau=(-10.0, 2.5), fine=121):
    """Log marginal likelihood, and the posteriors of mu and tau, by the sum over a grid.

    `log_likelihood` takes many mu and one tau. A coarse grid finds where the fine one must be.
    """
    for nodes in (41, 41, fine):
        mus, logs = np.linspace(*mu, nodes), np.linspace(*log_tau, max(nodes // 2, 41))
        height = np.stack([log_likelihood(mus, np.exp(each)) for each in logs])
        height += mu_prior.logpdf(mus) + (tau_prior.logpdf(np.exp(logs)) + logs)[:, None]
        seen = height > height.max() - 25.0
        step = mus[1] - mus[0], logs[1] - logs[0]
        mu = mus[seen.any(axis=0)][[0, -1]] + np.array([-1, 1]) * step[0]
        log_tau = logs[seen.any(axis=1)][[0, -1]] + np.array([-1, 1]) * step[1]
    mass = special.softmax(height)
    return (
        special.logsumexp(height) + np.log(step[0] * step[1]),
        Curve("mu", mus, mus, mass.sum(axis=0)),
        Curve("tau", logs, np.exp(logs), mass.sum(axis=1)),
    )


def effects_of(name, *, nu=4.0, step=0.02):
    """Standard effects on a grid, and the logs of their masses."""
    if name == "normal":
        z = np.arange(-9.0, 9.0 + step, step)
        return z, stats.norm.logpdf(z) + np.log(step)
    t = np.arange(-8.0, 8.0 + step, step)
    return np.sinh(t), stats.t.logpdf(np.sinh(t), nu) + np.log(np.cosh(t) * step)


def arms(events, totals, effects="normal", step=0.02):
    """Log likelihood of arms, each with an effect of its own: a sum over the effect."""
    z, log_mass = effects_of(effects, step=step)
    pairs, times = np.unique(np.column_stack([events, totals]), axis=0, return_counts=True)

    def log_likelihood(mu, tau):
        theta = mu[:, None] + tau * z
        event, other = special.log_expit(theta), special.log_expit(-theta)
        result = np.zeros(len(mu))
        for (y, n), number in zip(pairs, times, strict=True):
            choices = -special.betaln(y + 1, n - y + 1) - np.log(n + 1)
            each = special.logsumexp(y * event + (n - y) * other + log_mass, axis=1)
            result += number * (choices + each)
        return result

    return log_likelihood


def exact(spec, table, *, draws=4000):
    likelihood = find_likelihood(spec)
    design = bind(spec, table)
    priors = resolve_priors(spec, design, likelihood)
    return draw_exact(spec, design, likelihood, priors, draws=draws, chains=4, seed=7)


def check(run, log_marginal, *curves):
    """Every mean, both quantiles, and the log marginal likelihood."""
    number = min(run.importance_ess, run.draws * 4)
    assert run.pareto_k < 0.7
    assert abs(run.log_marginal_likelihood - log_marginal) < 0.02 + 4 / np.sqrt(run.importance_ess)
    for curve in curves:
        draws = run.posterior[curve.name].to_numpy().ravel()
        error = float(np.std(draws)) / np.sqrt(number)
        assert abs(float(draws.mean()) - curve.mean()) < 0.005 + 4 * error, curve.name
        for probability in PROBABILITIES:
            distance = abs(float(np.quantile(draws, probability)) - curve.quantile(probability))
            assert distance < 0.01 + 4 * curve.error(probability, number), (
                curve.name,
                probability,
            )


def counts(events, totals):
    return pd.DataFrame(
        {"study": [f"s{k}" for k in range(len(events))], "events": events, "total": totals}
    )


@pytest.mark.parametrize(
    ("events", "totals", "effects"),
    [
        ([0, 0, 0, 0], [14, 9, 30, 5], "normal"),
        ([14, 14, 14], [14, 14, 14], "normal"),
        ([13], [19], "normal"),
        ([0], [1], "normal"),
        ([3, 9], [10, 12], "normal"),
        ([1, 900], [1, 1000], "normal"),
        ([12] * 8, [20] * 8, "normal"),
        ([0, 0, 1, 0, 1, 39, 40, 40, 38, 40], [40] * 10, "normal"),
        ([0, 900, 3], [1, 1000, 4], "student_t"),
        ([1, 3, 2, 17, 4], [20, 18, 25, 20, 22], "student_t"),
        ([0, 0, 9, 12], [14, 9, 9, 12], "student_t"),
        ([14], [14], "student_t"),
    ],
)
def test_arms(events, totals, effects):
    spec = mc.ModelSpec(likelihood="binomial", random_effects=effects)
    run = exact(spec, counts(events, totals))
    check(run, *grid(arms(events, totals, effects), stats.norm(0, 1.5), stats.halfnorm(0, 1)))


def test_a_registry_among_small_studies():
    """Where tau is small mu is as narrow as the registry: the grid of mu follows tau."""
    y, n, small = 12_000, 20_000, [4, 4, 3, 3, 4, 3, 3, 3, 4, 3]
    run = exact(mc.ModelSpec(likelihood="binomial"), counts([y, *small], [n] + 10 * [5]))
    log_likelihood = arms(small, [5] * 10)
    # a normal density to a relative 1/n, and binomial at its peak
    centre, variance = np.log(y / (n - y)), n / (y * (n - y))
    peak = stats.binom.logpmf(y, n, y / n) + 0.5 * np.log(2 * np.pi * variance)
    logs, u = np.linspace(-10, 2.2, 123), np.linspace(-8, 8, 161)
    rows, mus = [], []
    for tau in np.exp(logs):
        sd = np.hypot(tau, np.sqrt(variance))
        mu = centre + sd * u
        here = peak + stats.norm.logpdf(mu, centre, sd) + log_likelihood(mu, tau)
        here += stats.norm.logpdf(mu, 0, 1.5) + stats.halfnorm.logpdf(tau) + np.log(tau * sd)
        rows.append(here)
        mus.append(mu)
    mass = special.softmax(rows)
    log_marginal = special.logsumexp(rows) + np.log((logs[1] - logs[0]) * (u[1] - u[0]))
    check(run, log_marginal, Curve("tau", logs, np.exp(logs), mass.sum(axis=1)))
    draws = run.posterior["mu"].to_numpy()
    error = draws.std() / np.sqrt(run.importance_ess)
    assert abs(draws.mean() - np.sum(mass * mus)) < 0.005 + 4 * error


def test_thousands_of_arms():
    rng = np.random.default_rng(11)
    totals = rng.choice([5, 12, 20], 3000)
    events = rng.binomial(totals, special.expit(0.9 + 0.7 * rng.standard_normal(3000)))
    run = exact(mc.ModelSpec(likelihood="binomial"), counts(events, totals), draws=500)
    oracle = arms(events, totals, step=0.1)
    check(run, *grid(oracle, stats.norm(0, 1.5), stats.halfnorm(0, 1), fine=81))


def test_two_groups_without_any_event():
    """Beside the effect a level of each control group, both summed over."""
    rows = [(0, 12, 0, 15), (0, 30, 0, 9), (3, 20, 0, 18), (8, 25, 11, 24)]
    y1, n1, y0, n0 = np.array(rows).T
    table = pd.DataFrame(
        {"study": list("abcd"), "events": y1, "total": n1, "control_events": y0}
    ).assign(control_total=n0)
    b = np.linspace(-15, 15, 601)[:, None]
    theta = np.linspace(-25, 25, 1001)
    curves = []
    for y, n, x, m in zip(y1, n1, y0, n0, strict=True):
        both = stats.norm.logpdf(b, 0, 1.5) + np.log(b[1, 0] - b[0, 0])
        both = both + x * special.log_expit(b) + (m - x) * special.log_expit(-b)
        both = both + y * special.log_expit(b + theta) + (n - y) * special.log_expit(-b - theta)
        choices = np.log(special.comb(n, y)) + np.log(special.comb(m, x))
        curves.append(interpolate.CubicSpline(theta, special.logsumexp(both, axis=0) + choices))
    z, log_mass = effects_of("normal")

    def log_likelihood(mu, tau):
        at = mu[:, None] + tau * z
        return sum(special.logsumexp(curve(at) + log_mass, axis=1) for curve in curves)

    run = exact(mc.ModelSpec(likelihood="two_arm"), table)
    mu, tau = stats.norm(0, 1.5), stats.halfnorm(0, 0.5)
    check(run, *grid(log_likelihood, mu, tau, mu=(-6.0, 6.0), log_tau=(-10.0, 0.9)))


def test_beta_binomial_arms():
    events, totals = np.array([0, 14, 13, 4, 30]), np.array([9, 14, 19, 12, 60])
    run = exact(mc.ModelSpec(likelihood="beta_binomial"), counts(events, totals))
    mu, logit = np.linspace(-5, 6, 401), np.linspace(-12, 6, 301)
    rho = special.expit(logit)
    rate, size = special.expit(mu), ((1 - rho) / rho)[:, None]
    height = stats.norm.logpdf(mu, 0, 1.5) + np.zeros((301, 1))
    # in the logit of rho its density is that of rho times rho (1 - rho)
    height += (stats.beta.logpdf(rho, 1, 5) + np.log(rho * (1 - rho)))[:, None]
    for y, n in zip(events, totals, strict=True):
        height += stats.betabinom.logpmf(y, n, size * rate, size * (1 - rate))
    mass = special.softmax(height)
    cell = (mu[1] - mu[0]) * (logit[1] - logit[0])
    check(
        run,
        special.logsumexp(height) + np.log(cell),
        Curve("mu", mu, mu, mass.sum(axis=0)),
        Curve("rho", logit, rho, mass.sum(axis=1)),
    )


@pytest.mark.parametrize("effects", ["normal", "student_t"])
@pytest.mark.parametrize("se", [1e-5, 1e-3])
def test_estimates_that_are_all_but_exact(se, effects):
    """What is between studies is then all that is uncertain."""
    estimate = np.array([0.31, -0.12, 0.44, 0.15, 0.08])
    table = pd.DataFrame({"study": list("abcde"), "estimate": estimate, "se": se})
    density = stats.norm() if effects == "normal" else stats.t(4.0)

    def log_likelihood(mu, tau):
        # tau is far above se wherever there is any mass
        z = (estimate[:, None] - mu) / (np.hypot(tau, se) if effects == "normal" else tau)
        width = np.hypot(tau, se) if effects == "normal" else tau
        return (density.logpdf(z) - np.log(width)).sum(axis=0)

    spec = mc.ModelSpec(likelihood="normal", scale="log", random_effects=effects)
    mu, tau = stats.norm(0, 1.5), stats.halfnorm(0, 0.5)
    check(
        exact(spec, table),
        *grid(log_likelihood, mu, tau, mu=(-2.0, 2.0), log_tau=(-4.0, 0.9)),
    )
