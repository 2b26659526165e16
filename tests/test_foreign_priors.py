"""Distributions of PreliZ and scipy as priors."""

import numpy as np
import preliz as pz
import pytest
from scipy import stats

import metacart as mc
from metacart.errors import InputError
from metacart.records.priors import PRIORS, parse_prior


def stated(prior):
    return mc.ModelSpec(likelihood="binomial", priors={"tau": prior}).priors["tau"]


@pytest.mark.parametrize("name", PRIORS)
def test_each_family_of_preliz_becomes_the_same_text(name):
    example = parse_prior(PRIORS[name].example)
    distribution = getattr(pz, name)(*example.arguments)
    text = stated(distribution)
    assert text == str(example)
    shares = np.array([0.025, 0.3, 0.975])
    np.testing.assert_allclose(
        parse_prior(text).quantile(shares), distribution.ppf(shares), rtol=1e-6
    )


def test_other_parametrisations_of_preliz_are_understood():
    assert stated(pz.Gamma(mu=2, sigma=1)) == "Gamma(4, 2)"
    assert stated(pz.Exponential(scale=4)) == "Exponential(0.25)"
    # no digit that matters is lost
    assert stated(pz.HalfNormal(1 / 3)) == "HalfNormal(0.333333333333)"


SCIPY = [
    stats.norm(0.3, 2),
    stats.t(4, 0.1, 0.5),
    stats.cauchy(0, 2),
    stats.laplace(1, 2),
    stats.logistic(0.5, 0.7),
    stats.truncnorm(-1, 2, loc=1, scale=3),
    stats.uniform(1, 4),
    stats.halfnorm(scale=0.5),
    stats.halfcauchy(scale=0.5),
    stats.expon(scale=2),
    stats.gamma(2, scale=0.5),
    stats.invgamma(a=2.91, scale=0.66),
    stats.lognorm(s=0.76, scale=np.exp(-1.28)),
    stats.weibull_min(2, scale=1.5),
    stats.beta(1, 5),
]


@pytest.mark.parametrize("frozen", SCIPY, ids=lambda frozen: frozen.dist.name)
def test_each_frozen_distribution_of_scipy_keeps_its_quantiles(frozen):
    shares = np.array([0.025, 0.3, 0.975])
    prior = parse_prior(stated(frozen))
    np.testing.assert_allclose(prior.quantile(shares), frozen.ppf(shares), rtol=1e-9)


def test_a_prior_that_was_read_is_a_prior_again():
    assert stated(parse_prior("LogNormal(-1.28, 0.87)")) == "LogNormal(-1.28, 0.87)"


def test_moderators_take_distributions_too():
    spec = mc.ModelSpec(
        likelihood="binomial",
        moderators=["scfv"],
        priors={"beta": {"scfv": pz.Normal(0, 0.5)}, "mu": stats.norm(0, 1)},
    )
    assert spec.priors == {"beta": {"scfv": "Normal(0, 0.5)"}, "mu": "Normal(0, 1)"}


class Horseshoe:
    """A distribution as PreliZ has them, of a family that the grammar lacks."""

    param_names = ("tau",)
    is_frozen = True
    tau = 1.0


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        (
            pz.Truncated(pz.Normal(0, 1), 0, 3),
            "priors.tau: the Truncated of PreliZ is not known here; allowed: Normal, StudentT, ",
        ),
        (pz.Truncated(pz.Normal(0, 1), 0, 3), "; try: did you mean 'TruncatedNormal'?"),
        (Horseshoe(), "priors.tau: the Horseshoe of PreliZ is not known here; allowed: Normal, "),
        (
            pz.HalfNormal(),
            (
                "priors.tau: the HalfNormal of PreliZ has no numbers yet; allowed: a distribution "
                "with its numbers; try: HalfNormal(1)"
            ),
        ),
        (
            stats.halfnorm(1, 2),
            (
                "priors.tau: the halfnorm of scipy with loc = 1 and scale = 2; allowed: a "
                "HalfNormal from 0; try: HalfNormal(1)"
            ),
        ),
        (stats.beta(1, 5, scale=2), "; allowed: a Beta from 0 to 1; try: Beta(1, 5)"),
        (
            stats.halflogistic(),
            "priors.tau: the halflogistic of scipy is not known here; allowed: norm, t, ",
        ),
        (stats.halflogistic(), "; try: did you mean 'logistic'?"),
        (
            object(),
            (
                "priors.tau: an object object of builtins; allowed: a prior in quotes, such as "
                '"HalfNormal(1)", or a distribution of PreliZ or scipy'
            ),
        ),
        (1.0, 'priors.tau: 1.0; allowed: a prior in quotes, such as "HalfNormal(1)"'),
        (True, "priors.tau: true; allowed: a prior in quotes"),
        (None, "priors.tau: None; allowed: a prior in quotes"),
    ],
)
def test_what_is_no_prior_is_refused_by_name(prior, message):
    with pytest.raises(InputError) as refusal:
        stated(prior)
    assert message in str(refusal.value)


def test_every_fault_of_the_priors_is_told_at_once():
    with pytest.raises(InputError) as refusal:
        mc.ModelSpec(
            likelihood="binomial", priors={"tau": pz.HalfNormal(), "beta": {"scfv": pz.Poisson(2)}}
        )
    assert [fault.place for fault in refusal.value.faults] == ["priors.tau", "priors.beta.scfv"]


def test_the_support_is_checked_where_the_model_is(tmp_path):
    import pandas as pd

    table = pd.DataFrame({"study": ["A", "B"], "events": [9, 5], "total": [10, 8]})
    spec = mc.ModelSpec(likelihood="binomial", priors={"tau": pz.Normal(0, 1)})
    with pytest.raises(InputError, match=r"priors.tau: 'Normal\(0, 1\)' reaches from -inf to inf"):
        mc.fit(spec, table, progress=False)
