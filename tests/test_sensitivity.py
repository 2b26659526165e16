"""The answers under other priors of the spread between studies."""

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import metacart as mc
from metacart.records.priors import PRIORS, parse_prior

TABLE = pd.DataFrame({"study": list("abcd"), "events": [9, 5, 13, 2], "total": [10, 8, 19, 9]})


def next_study_quantile(tau_sd, probability):
    """Slow and obvious: the next study's log odds from a grid over (mu, tau), effects summed."""
    mu, tau = np.linspace(-6, 6, 201), np.linspace(0.005, 8, 400)
    z, weight = np.polynomial.hermite_e.hermegauss(60)
    weight = weight / weight.sum()
    eta = mu[:, None, None] + tau[None, :, None] * z
    log_mass = stats.norm.logpdf(mu, 0, 1.5)[:, None] + stats.halfnorm.logpdf(tau, 0, tau_sd)
    for row in TABLE.itertuples():
        log_mass += np.log(
            (stats.binom.pmf(row.events, row.total, special.expit(eta)) * weight).sum(-1)
        )
    mass = np.exp(log_mass - log_mass.max())
    mass /= mass.sum()
    likely = np.nonzero(mass > 1e-8)
    line = np.linspace(-6, 6, 401)
    spread = (mu[likely[0]], tau[likely[1]])
    below = [np.sum(mass[likely] * stats.norm.cdf(x, *spread)) for x in line]
    return special.expit(np.interp(probability, below, line))


@pytest.fixture(scope="module")
def fit():
    return mc.fit(mc.ModelSpec(likelihood="binomial"), TABLE, method="exact", seed=3)


def test_half_twice_and_none(fit):
    table = mc.prior_sensitivity(fit)
    assert table["prior"].drop_duplicates().tolist() == [
        "tau ~ HalfNormal(1)",
        "tau ~ HalfNormal(0.5)",
        "tau ~ HalfNormal(2)",
        "tau = 0 (common effect)",
    ]
    own = mc.summarize(fit).set_index("estimand")
    declared = table[table["declared"]].set_index("estimand")
    for name in ("median study", "population average", "next study"):
        assert declared.loc[name, "lower"] == own.loc[name, "lower"]
    rows = table.set_index(["prior", "estimand"])
    for sd in (0.5, 1, 2):
        row = rows.loc[(f"tau ~ HalfNormal({sd:g})", "next study")]
        assert row["median"] == pytest.approx(next_study_quantile(sd, 0.5), abs=4 * row["mcse"])
        expected = next_study_quantile(sd, 0.025)
        assert row["lower"] == pytest.approx(expected, abs=4 * row["mcse_lower"])
    common = rows.loc["tau = 0 (common effect)"]
    # a beta posterior is near: 29 of 46 with a weak prior on the log odds
    line = np.linspace(-4, 5, 20_001)
    mass = stats.norm.pdf(line, 0, 1.5) * np.exp(stats.binom(46, special.expit(line)).logpmf(29))
    expected = special.expit(np.interp([0.025, 0.5], np.cumsum(mass) / mass.sum(), line))
    for name in ("median study", "population average", "next study"):
        found = common.loc[name]
        assert found["median"] == pytest.approx(expected[1], abs=4 * found["mcse"])
        assert found["lower"] == pytest.approx(expected[0], abs=4 * found["mcse_lower"])


def test_under_a_common_effect_the_next_study_is_still_drawn_like_a_row():
    """With a moderator the estimands stay apart: one is averaged over rows, one has one of them."""
    spec = mc.ModelSpec(
        likelihood="binomial", moderators=("late",), priors={"beta": "Normal(3, 0.1)"}
    )
    table = TABLE.assign(late=[False, True, True, False])
    found = mc.prior_sensitivity(mc.fit(spec, table, method="exact", seed=3))
    common = found[found["prior"] == "tau = 0 (common effect)"].set_index("estimand")
    width = common["upper"] - common["lower"]
    assert common.loc["population average", "upper"] == common.loc["median study", "upper"]
    assert width["next study"] > 1.5 * width["median study"]


def test_without_study_effects_there_is_nothing_to_vary():
    spec = mc.ModelSpec(likelihood="binomial", random_effects="none")
    table = mc.prior_sensitivity(mc.fit(spec, TABLE, method="exact", seed=3))
    assert table["declared"].all()


@pytest.mark.parametrize("text", [form.example for form in PRIORS.values()])
def test_a_scaled_prior_is_that_of_the_scaled_quantity(text):
    prior = parse_prior(text)
    if prior.name == "Beta":
        with pytest.raises(ValueError, match="cannot be scaled"):
            prior.scaled(2.5)
        return
    probabilities = [0.01, 0.5, 0.99]
    np.testing.assert_allclose(
        prior.scaled(2.5).quantile(probabilities), 2.5 * prior.quantile(probabilities), atol=1e-12
    )
