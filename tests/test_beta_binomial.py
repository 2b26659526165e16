"""Overdispersed counts: density, posterior, estimands, and what goes with study effects."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import special, stats

import metacart as mc
from metacart.errors import InputError
from metacart.inference.estimands import draws_of
from metacart.modelling.counts import LEAST_RHO
from metacart.modelling.design import bind, data_of
from metacart.modelling.likelihoods import LIKELIHOODS

Array = NDArray[np.float64]
SPEC = mc.ModelSpec(likelihood="beta_binomial")
EVENTS, TOTAL = [13, 3, 14, 0, 28, 9, 47], [19, 7, 14, 6, 39, 33, 47]
TABLE = pd.DataFrame({"study": list("abcdefg"), "events": EVENTS, "total": TOTAL})
# three studies of two arms
PAIRS = pd.DataFrame(
    {"study": list("aabbcc"), "events": [9, 7, 3, 8, 14, 9], "total": [10, 10, 12, 20, 15, 12]}
)


@pytest.fixture(scope="module")
def fitted() -> Any:
    return mc.fit(SPEC, TABLE, method="exact", seed=2)


def test_density_is_that_of_scipy() -> None:
    data, likelihood = data_of(bind(SPEC, TABLE)), LIKELIHOODS["beta_binomial"]
    eta = np.linspace(-5, 5, 11)[:, None] + np.zeros(len(TABLE))
    for rho in (1e-4, 0.02, 0.3, 0.9):
        size = (1 - rho) / rho
        known = stats.betabinom.logpmf(
            EVENTS, TOTAL, size * special.expit(eta), size * special.expit(-eta)
        )
        found = likelihood.logp(eta, data, {"rho": np.array([[rho]])})
        np.testing.assert_allclose(found, known, rtol=1e-7, atol=1e-8)
    # without overdispersion it is binomial, and at the very ends it is still a number
    binomial = LIKELIHOODS["binomial"].logp(eta, data, {})
    none = likelihood.logp(eta, data, {"rho": np.array([[0.0]])})
    number = np.array(TOTAL)
    first = LEAST_RHO * number * (number - 1) / 2 * (1 + np.exp(abs(eta)))  # order in rho
    assert (abs(none - binomial) < first + 2e-5).all()
    for rho in (0.0, 1.0):
        own = {"rho": np.array([[rho]])}
        far = np.array([[-800.0], [800.0]]) + np.zeros(len(TABLE))
        for values in (likelihood.logp(far, data, own), *likelihood.derivatives(far, data, own)):
            assert not np.isnan(values).any()


def grid(events: Any, total: Any) -> tuple[Array, Array, Array, float]:
    """Return mu, rho, their posterior weights and the log evidence, from scipy alone."""
    mu, rho = np.linspace(-4, 5, 361), np.linspace(0.00125, 0.99875, 400)
    size = ((1 - rho) / rho)[:, None]
    p = special.expit(mu[:, None, None])
    log = stats.betabinom.logpmf(events, total, size * p, size * (1 - p)).sum(axis=-1)
    log = log + stats.norm.logpdf(mu, 0, 1.5)[:, None] + stats.beta.logpdf(rho, 1, 5)
    weight = np.exp(log - log.max())
    evidence = log.max() + np.log(weight.sum() * (mu[1] - mu[0]) * (rho[1] - rho[0]))
    return mu, rho, weight / weight.sum(), float(evidence)


def test_posterior_against_a_grid(fitted: Any) -> None:
    mu, rho, weight, evidence = grid(EVENTS, TOTAL)
    known = {"mu": (mu, weight.sum(axis=1)), "rho": (rho, weight.sum(axis=0))}
    for name, (values, share) in known.items():
        draws = fitted["posterior"][name].to_numpy().reshape(-1)
        mean = values @ share
        spread = np.sqrt(share @ (values - mean) ** 2)
        assert abs(draws.mean() - mean) < 4 * spread / np.sqrt(draws.size / 2)
        assert draws.std() == pytest.approx(spread, rel=0.03)
    assert fitted.attrs["log_marginal_likelihood"] == pytest.approx(evidence, abs=0.02)


def test_both_engines_give_the_same_posterior(fitted: Any) -> None:
    other = mc.fit(SPEC, TABLE, method="nuts", seed=3, progress=False)
    assert other.attrs["method"] == "nuts"
    for name in ("mu", "rho"):
        one, two = (fit["posterior"][name].to_numpy() for fit in (fitted, other))
        assert abs(one.mean() - two.mean()) < 0.06 * one.std()
        assert two.std() == pytest.approx(one.std(), rel=0.06)


def test_estimands_are_of_the_beta_distribution(fitted: Any) -> None:
    posterior = fitted["posterior"]
    mu, rho = (posterior[name].to_numpy().reshape(-1) for name in ("mu", "rho"))
    assert "tau" not in posterior
    size, p = (1 - rho) / rho, special.expit(mu)
    rows = mc.summarize(fitted).set_index("estimand")
    assert rows.loc["population average", "median"] == pytest.approx(np.median(p))
    middle = stats.beta.ppf(0.5, size * p, size * (1 - p))
    assert rows.loc["median study", "median"] == pytest.approx(np.median(middle), rel=1e-6)
    # the next study: a mixture of beta distributions
    new = special.expit(posterior["theta_new"].to_numpy().reshape(-1))
    for rate in (0.1, 0.3, 0.5, 0.7, 0.9):
        share = stats.beta.cdf(rate, size * p, size * (1 - p)).mean()
        assert abs((new < rate).mean() - share) < 4 * np.sqrt(0.25 / new.size)
    assert rows.loc["rho", "median"] == pytest.approx(np.median(rho))


def test_arms_are_shrunken_as_beta_distributions_are(fitted: Any) -> None:
    posterior = fitted["posterior"]
    mu, rho = (posterior[name].to_numpy().reshape(-1)[:, None] for name in ("mu", "rho"))
    size, p = (1 - rho) / rho, special.expit(mu)
    table = mc.forest_table(fitted).query("row == 'study'")
    shares = np.linspace(0.005, 0.995, 199)
    alpha, beta = size * p + np.array(EVENTS), size * (1 - p) + np.array(TOTAL) - np.array(EVENTS)
    some = slice(None, None, 40)
    below = np.stack([stats.beta.cdf(x, alpha[some], beta[some]).mean(axis=0) for x in shares])
    for position in range(len(TABLE)):
        known = np.interp([0.025, 0.5, 0.975], below[:, position], shares)
        found = table.iloc[position][["shrunken_lower", "shrunken", "shrunken_upper"]]
        np.testing.assert_allclose(found.astype(float), known, atol=0.012)


def test_contrasts_take_the_scatter_of_arms_into_account() -> None:
    table = TABLE.assign(scfv=["human", "murine"] * 3 + ["human"])
    spec = mc.ModelSpec(likelihood="beta_binomial", moderators=["scfv"])
    fit = mc.fit(spec, table, method="exact", seed=2)
    result = mc.contrast(fit, "scfv", "human", "murine").set_index(["estimand", "measure"])
    apart = result.loc[("next studies, one level in each", "odds ratio")]
    draws = draws_of(fit)
    assert draws.rho is not None
    rng, rho = np.random.default_rng(1), draws.rho.reshape(-1)
    size = (1 - rho) / rho
    rates = []
    for eta in (draws.mu, draws.mu + draws.beta[..., 0]):
        p = special.expit(eta.reshape(-1))
        rates.append(rng.beta(size * p, size * (1 - p)))
    odds = special.logit(rates[0]) - special.logit(rates[1])
    assert np.log(apart["lower"]) == pytest.approx(np.quantile(odds, 0.025), rel=0.1)
    assert np.log(apart["upper"]) == pytest.approx(np.quantile(odds, 0.975), rel=0.1)


def test_study_effects_beside_overdispersion_against_a_grid() -> None:
    spec = SPEC.model_copy(update={"random_effects": "normal", "priors": {"tau": "HalfNormal(1)"}})
    fit = mc.fit(spec, PAIRS, method="exact", seed=4)
    mu, rho = np.linspace(-4, 5, 41), np.linspace(0.01, 0.99, 50)
    tau, (z, w) = np.linspace(0.04, 4, 40), np.polynomial.hermite_e.hermegauss(31)
    weight = np.zeros((mu.size, rho.size, tau.size))
    for j, r in enumerate(rho):
        size = (1 - r) / r
        eta = mu[:, None, None] + tau[None, :, None] * z
        p = np.clip(special.expit(eta), 1e-12, 1 - 1e-12)
        log = 0.0
        for study in "abc":
            arms = PAIRS[PAIRS["study"] == study][["events", "total"]].to_numpy()
            a, b = size * p, size * (1 - p)
            height = sum(special.betaln(y + a, n - y + b) - special.betaln(a, b) for y, n in arms)
            log = log + np.log(np.exp(height) @ w)
        weight[:, j, :] = log
    weight += stats.norm.logpdf(mu, 0, 1.5)[:, None, None]
    weight += stats.beta.logpdf(rho, 1, 5)[None, :, None] + stats.halfnorm.logpdf(tau)
    share = np.exp(weight - weight.max())
    share /= share.sum()
    for name, values, axes in (("mu", mu, (1, 2)), ("rho", rho, (0, 2)), ("tau", tau, (0, 1))):
        margin, draws = share.sum(axis=axes), fit["posterior"][name].to_numpy()
        mean = values @ margin
        spread = np.sqrt(margin @ (values - mean) ** 2)
        assert abs(draws.mean() - mean) < 0.05 * spread
        assert draws.std() == pytest.approx(spread, rel=0.05)


def test_what_made_the_data_is_found_again() -> None:
    rng, number = np.random.default_rng(8), 60
    p = rng.beta(0.7 * 9, 0.3 * 9, number)  # rho is 1 / (1 + 9)
    table = pd.DataFrame({"study": range(number), "total": 40, "events": rng.binomial(40, p)})
    posterior = mc.fit(SPEC, table, method="exact", seed=1, draws=1000)["posterior"]
    for name, truth in (("mu", special.logit(0.7)), ("rho", 0.1)):
        draws = posterior[name].to_numpy()
        assert abs(draws.mean() - truth) < 3 * draws.std()


# --- which effects go with which likelihood -----------------------------------------------------


def test_events_in_all_patients_are_those_in_none_counted_the_other_way_round() -> None:
    """Rates are resolved near 1 as near 0: both pass the gate, with mirrored intervals."""
    spec = mc.ModelSpec(likelihood="beta_binomial")
    ends = []
    for events in ([0, 0], [10, 7]):
        table = pd.DataFrame({"study": ["A", "B"], "events": events, "total": [10, 7]})
        fit = mc.fit(spec, table, method="exact", seed=2, progress=False)
        assert fit.attrs["gate"] == "passed"
        ends.append(mc.summarize(fit).set_index("estimand"))
    none, all_ = (each.loc[["median study", "population average", "next study"]] for each in ends)
    error = 5 * np.hypot(none["mcse"], all_["mcse"])
    assert (np.abs(none["median"] - (1 - all_["median"])) < error).all()
    assert none["upper"].to_numpy() == pytest.approx(1 - all_["lower"].to_numpy(), abs=0.03)


def test_the_record_and_the_likelihoods_agree_on_the_default() -> None:
    for name, likelihood in LIKELIHOODS.items():
        assert mc.ModelSpec(likelihood=name).random_effects == likelihood.random_effects[0]
    usual = ("normal", "student_t", "none")
    assert {name: each.random_effects for name, each in LIKELIHOODS.items()} == {
        **dict.fromkeys(LIKELIHOODS, usual),
        "beta_binomial": ("none", "normal"),
        **dict.fromkeys(("joint", "chain", "grades"), ("normal",)),
    }


@pytest.mark.parametrize(
    ("effects", "table", "words"),
    [
        (
            "student_t",
            PAIRS,
            [
                "random_effects: 'student_t' with the beta_binomial likelihood",
                "allowed: none, normal",
                'try: random_effects = "normal"',
            ],
        ),
        (
            "normal",
            TABLE,
            [
                "0 of 7 study effects have two arms or more",
                "from one arm the spread between studies and that between arms cannot be told",
                'random_effects = "none", or likelihood = "binomial"',
            ],
        ),
        # half of the studies are not most of them
        ("normal", pd.concat([PAIRS, TABLE[3:6]]), ["3 of 6 study effects"]),
    ],
)
def test_effects_that_are_refused(effects: Any, table: pd.DataFrame, words: list[str]) -> None:
    spec = mc.ModelSpec(likelihood="beta_binomial", random_effects=effects)
    with pytest.raises(InputError) as refusal:
        bind(spec, table)
    for word in words:
        assert word in str(refusal.value)


def test_a_questions_file_and_a_saved_fit_keep_the_default(tmp_path: Any, fitted: Any) -> None:
    mc.save_fit(fitted, tmp_path / "fit.nc")
    again = mc.load_fit(tmp_path / "fit.nc")
    pd.testing.assert_frame_equal(mc.summarize(again), mc.summarize(fitted))
    path = tmp_path / "rate.toml"
    path.write_text('schema = 1\nid = "rate"\n[model]\nlikelihood = "beta_binomial"\n')
    assert mc.load_model(path).random_effects == "none"
