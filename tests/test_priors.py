import warnings

import numpy as np
import pytest

from metacart.errors import InputError
from metacart.records.prior_limits import PLAIN
from metacart.records.priors import PRIORS, parse_prior

EXAMPLES = [form.example for form in PRIORS.values()]


@pytest.mark.parametrize("text", EXAMPLES)
def test_density_and_quantiles_agree_with_pymc(text):
    import pymc as pm

    prior = parse_prior(text)
    name, arguments = prior.pymc()
    points = prior.quantile(np.array([0.001, 0.1, 0.5, 0.9, 0.999]))
    distribution = getattr(pm, name).dist(**arguments)
    expected = pm.logp(distribution, points).eval()
    np.testing.assert_allclose(prior.logpdf(points), expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("text", EXAMPLES)
def test_draws_follow_the_quantiles(text):
    prior = parse_prior(text)
    draws = prior.draw(20_000, np.random.default_rng(5))
    for probability in (0.1, 0.5, 0.9):
        share = np.mean(draws <= prior.quantile(probability))
        assert abs(share - probability) < 4 * np.sqrt(probability * (1 - probability) / 20_000)


def test_names_and_spaces_read_as_in_a_paper():
    assert parse_prior(" Normal( mu=0, sigma = 1.5 ) ") == parse_prior("Normal(0, 1.5)")
    assert str(parse_prior("StudentT(4, 0, sigma=2)")) == "StudentT(4, 0, 2)"


@pytest.mark.parametrize(
    ("text", "support", "words"),
    [
        ("Norml(0, 1)", "real", ["'Norml' is not known", "did you mean 'Normal'?"]),
        ("Normal(0)", "real", ["lacks sigma"]),
        ("Normal(0, 1, 2)", "real", ["has 3 numbers"]),
        ("Normal(0, -1)", "real", ["sigma is -1"]),
        ("Normal(0, nu=1)", "real", ["parameter 'nu'", "Normal has mu, sigma"]),
        ("Normal(0, 1)", "positive", ["reaches from -inf to inf", "numbers above zero"]),
        ("Normal(1, 1)", "unit", ["numbers between 0 and 1", "Beta(1, 5)"]),
        ("Flat()", "real", ["improper"]),
        ("HalfFlat()", "positive", ["improper"]),
        ("Normal(0, 1e999)", "real", ["too large or too small"]),
        ("Normal(0, True)", "real", ["not a finite number"]),
        ("__import__('os').system('true')", "real", ["not a distribution with numbers"]),
        ("Normal(open('x'), 1)", "real", ["not a finite number"]),
        ("Normal(0, 1", "real", ["cannot be read"]),
        ("", "real", ["cannot be read"]),
        (3.0, "real", ["3.0 is not text"]),
        ("Uniform(2, 1)", "real", ["lower bound is not below", "such as Uniform(0, 5)"]),
        # numbers that no machine computes with
        ("HalfNormal(1e300)", "positive", ["too large or too small", "1e-12 to 1e+12"]),
        ("HalfNormal(1e-300)", "positive", ["too large or too small"]),
        (f"HalfNormal(1{400 * '0'})", "positive", ["000... holds a number too large"]),
        (f"HalfNormal(1{5000 * '0'})", "positive", ["000... cannot be read"]),
        (f"Normal(-1{400 * '0'}, 1)", "real", ["too large or too small"]),
        (5000 * "(", "real", ["((... cannot be read"]),
        # slips of the pen, and the prior that was meant
        (
            "HalfNormal(1) or",
            "positive",
            ["allowed: HalfNormal(1), ", 'try: write "HalfNormal(1)"'],
        ),
        ("Normal(0, 1)", "positive", ["allowed: HalfNormal(1), ", "try: such as HalfNormal(1)"]),
        ("HalfFlat()", "positive", ["try: a wide HalfNormal"]),
        ("Flat()", "real", ["try: a wide Normal"]),
        ("halfnormal(1)", "positive", ["did you mean 'HalfNormal'?"]),
        ("Normal(mu=0, 1)", "real", ["try: write Normal(0, 1), the numbers all with their names"]),
        ("Normal(−1, 1)", "real", ["try: write Normal(-1, 1), with an ordinary minus"]),
        ("Normal(0, 1,5)", "real", ["has 3 numbers", "write Normal(0, 1.5), with a decimal point"]),
        ("HalfNormal(0,5)", "positive", ["try: write HalfNormal(0.5), with a decimal point"]),
        ("Normal(0; 1)", "real", ["try: write Normal(0, 1), with a comma"]),
        ("Normal(0, 1", "real", ["try: write Normal(0, 1), with a closing bracket"]),
    ],
)
def test_what_cannot_be_a_prior_is_refused_with_what_can(text, support, words):
    with pytest.raises(InputError) as refusal:
        parse_prior(text, support=support, place="priors.tau")
    message = str(refusal.value)
    assert message.startswith("priors.tau: ")
    for word in words:
        assert word in message


def test_zero_is_a_location_and_sizes_end_at_what_can_be_computed():
    assert parse_prior("Normal(0, 1e12)").arguments == (0.0, 1e12)
    assert parse_prior("Normal(-1e-12, 1)").arguments == (-1e-12, 1.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("InverseGamma(0.001, 0.001)", "runs from 1.8e+08 to inf"),
        ("InverseGamma(0.01, 0.01)", "runs from 0.21 to 2.8e+158"),
        ("Gamma(0.001, 0.001)", "runs from 0 to 5.7e-09"),
        ("Gamma(0.05, 0.05)", "runs from 1.1e-31 to 11"),
        ("Beta(0.01, 5)", "runs from 7.8e-162 to 0.01"),
        ("Beta(5, 0.01)", "runs from 0.99 to 1"),
        ("HalfStudentT(0.01, 1)", "runs from 0.63 to 6.7e+152"),
        ("Weibull(0.001, 1)", "runs from 0 to inf"),
        ("LogNormal(0, 1000)", "runs from 0 to inf"),
        ("LogNormal(800, 1)", "runs from inf to inf"),
        ("LogNormal(-800, 1)", "cannot be computed"),
        ("TruncatedNormal(0, 1e-12, 5, 6)", "runs from 5 to 5"),
    ],
)
def test_priors_improper_in_all_but_name_are_refused_without_warnings(text, words):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError) as refusal:
            parse_prior(text, support="positive", place="priors.tau")
    message = str(refusal.value)
    assert message.startswith(f"priors.tau: '{text}': its 95 % interval {words}: improper in all ")
    assert "allowed: HalfNormal(1), " in message
    assert message.endswith("try: such as HalfNormal(1)")


@pytest.mark.parametrize(
    "text",
    [
        "Beta(0.5, 0.5)",
        "Weibull(0.1, 1)",
        "InverseGamma(0.1, 0.1)",
        "HalfCauchy(25)",
        "LogNormal(0, 10)",
        "Gamma(0.1, 0.1)",
        "TruncatedNormal(0, 1, 40, 50)",
    ],
)
def test_wide_priors_stay_allowed(text):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert str(parse_prior(text, support="positive")) == text


def test_forms_of_location_and_scale_always_have_limits():
    """They are not checked: the widest and narrowest that can be written have an interval."""
    for name in PLAIN:
        size = len(PRIORS[name].parameters)
        for number in ("1e-12", "1e12"):
            numbers = ["0", number][-size:]
            low, high = parse_prior(f"{name}({', '.join(numbers)})").quantile([0.025, 0.975])
            assert np.isfinite([low, high]).all()
            assert low < high


def test_an_unknown_support_is_refused_by_name():
    with pytest.raises(InputError) as refusal:
        parse_prior("Normal(0, 1)", support="positiv")
    assert str(refusal.value) == (
        "support: 'positiv' is not known; allowed: 'real', 'positive', 'unit'; "
        "try: did you mean 'positive'?"
    )
