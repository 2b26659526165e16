"""What a comparison means for 100 patients, against closed forms draw by draw."""

import numpy as np
import pandas as pd
import pytest
from scipy import special

import metacart as mc
from metacart.errors import InputError
from metacart.inference.estimands import draws_of
from metacart.results.absolute import apply_ratio
from metacart.results.needed_to_treat import difference_words, needed_number, needed_words

COUNTS = pd.DataFrame(
    {
        "study": ["a", "b", "c", "d", "e", "f"],
        "events": [9, 5, 13, 20, 18, 7],
        "total": [10, 8, 19, 24, 31, 9],
        "scfv": ["murine", "humanized"] * 3,
        "age": [10.0, 20.0, 35.0, 12.0, 50.0, 8.0],
    }
)
RATIOS = pd.DataFrame(
    {
        "study": ["a", "b", "c"],
        "ratio": [0.5, 0.8, 1.2],
        "lower": [0.25, 0.4, 0.6],
        "upper": [1.0, 1.6, 2.4],
    }
)
TRANSPLANT = RATIOS.assign(kind="ratio", time_handling="time-fixed")


def fitted(table, **options):
    return mc.fit(
        mc.ModelSpec(**options), table, method="exact", draws=1000, seed=8, progress=False
    )


@pytest.fixture(scope="module")
def rates():
    return fitted(COUNTS, likelihood="binomial", moderators=["scfv", "age"])


@pytest.fixture(scope="module")
def ratios():
    return fitted(RATIOS, likelihood="normal", scale="log")


@pytest.fixture(scope="module")
def transplant():
    return fitted(TRANSPLANT, likelihood="hsct", exposure="hsct")


def row(table, estimand, measure, baseline=None):
    found = table[(table["estimand"] == estimand) & table["measure"].str.startswith(measure)]
    found = found if baseline is None else found[found["baseline"] == baseline]
    assert len(found) == 1
    return found.iloc[0]


def same(found, draws):
    low, middle, high = np.quantile(draws, [0.025, 0.5, 0.975])
    np.testing.assert_allclose(
        found[["median", "lower", "upper"]].astype(float), [middle, low, high]
    )


# ---- ratios at a baseline


@pytest.mark.parametrize(
    ("measure", "risk"),
    [
        ("or", lambda p, r: special.expit(special.logit(p) + np.log(r))),
        ("rr", lambda p, r: np.where(p * r > 1, 1.0, p * r)),
        ("hr", lambda p, r: np.exp(-r * -np.log(p))),
    ],
)
@pytest.mark.parametrize("baseline", [0.05, 0.5, 0.9])
def test_a_ratio_at_a_baseline_is_its_closed_form_at_each_draw(ratios, measure, risk, baseline):
    table = mc.absolute(ratios, baseline=baseline, measure=measure)
    posterior = ratios["posterior"]
    for estimand, name in (("median study", "mu"), ("next study", "theta_new")):
        ratio = np.exp(posterior[name].to_numpy())
        exposed = risk(baseline, ratio)
        words = "per 100 free of the event" if measure == "hr" else "per 100 with the event"
        same(row(table, estimand, f"{words}, exposed"), 100 * exposed)
        same(row(table, estimand, f"{words}, not exposed"), 100 * baseline + 0 * ratio)
        difference = row(table, estimand, "difference per 100")
        same(difference, 100 * (exposed - baseline))
        # fewer events are better, and more patients free of them
        benefit = exposed - baseline if measure == "hr" else baseline - exposed
        assert difference["p_better"] == np.mean(benefit > 0)
        needed = row(table, estimand, "number needed to treat")
        worst, middle, best = np.quantile(benefit, [0.025, 0.5, 0.975])
        np.testing.assert_allclose(
            needed[["median", "lower", "upper"]].astype(float), [1 / middle, 1 / best, 1 / worst]
        )
        assert needed["words"] == needed_words(middle, worst, best)


def test_several_baselines_stand_side_by_side_with_each_reading(transplant):
    table = mc.absolute(transplant, baseline=[0.4, 0.6])
    assert table["baseline"].unique().tolist() == [0.4, 0.6]
    assert table["compared"].unique().tolist() == ["hsct against no hsct"]
    readings = {"naive": "naive", "posterior": "immortal-time-adjusted"}
    for group, words in readings.items():
        ratio = np.exp(transplant[group]["mu"].to_numpy())
        found = row(table, f"median study ({words})", "difference per 100", 0.4)
        same(found, 100 * (0.4**ratio - 0.4))
    assert "population average" not in " ".join(table["estimand"])


def test_the_baseline_of_the_spec_is_the_default():
    fit = fitted(TRANSPLANT, likelihood="hsct", exposure="hsct", baseline=0.3)
    pd.testing.assert_frame_equal(mc.absolute(fit), mc.absolute(fit, baseline=0.3))
    stated = mc.absolute(fit, baseline=0.6)
    assert set(stated["baseline"]) == {0.6}


def test_the_evidence_says_which_ratio_it_is():
    fit = fitted(RATIOS.assign(measure="or"), likelihood="normal", scale="log")
    said = mc.absolute(fit, baseline=0.3)
    pd.testing.assert_frame_equal(said, mc.absolute(fit, baseline=0.3, measure="or"))


def test_a_good_event_turns_the_benefit_round():
    fit = fitted(RATIOS, likelihood="normal", scale="log", better="higher")
    table = mc.absolute(fit, baseline=0.3, measure="or")
    odds = np.exp(fit["posterior"]["mu"].to_numpy())
    assert row(table, "median study", "difference")["p_better"] == np.mean(odds > 1)
    survival = mc.absolute(fit, baseline=0.3, measure="hr")
    assert row(survival, "median study", "difference")["p_better"] == np.mean(odds > 1)


def test_ratios_at_the_edge_of_floating_point():
    extreme = np.array([0.0, 1e-300, 1.0, 1e300, np.inf])
    np.testing.assert_allclose(
        apply_ratio(extreme, 0.4, "odds_ratio"), [0, 0, 0.4, 1, 1], atol=1e-15
    )
    np.testing.assert_allclose(
        apply_ratio(extreme, 0.4, "risk_ratio"), [0, 0, 0.4, 1, 1], atol=1e-15
    )
    np.testing.assert_allclose(apply_ratio(extreme, 0.4, "hazard_ratio"), [1, 1, 0.4, 0, 0])


# ---- rates of two groups


def test_rates_of_two_levels_draw_by_draw(rates):
    at = {"age": 25}
    table = mc.absolute(rates, contrast=("scfv", "humanized", "murine"), at=at)
    draws = draws_of(rates)
    levels = rates["constant_data"].attrs["moderators"]
    sign = 1.0 if '["humanized", "murine"]' in levels else -1.0
    reference = draws.mu + 25 * draws.beta[..., 1]
    other = reference + draws.beta[..., 0]
    humanized, murine = (reference, other) if sign > 0 else (other, reference)
    # E[expit(m + tau z)] by Gauss and Hermite, 60 nodes
    nodes, weights = np.polynomial.hermite.hermgauss(60)

    def average(eta):
        spread = draws.tau[..., None] * np.sqrt(2) * nodes
        return special.expit(eta[..., None] + spread) @ weights / np.sqrt(np.pi)

    one, two = average(humanized), average(murine)
    found = row(table, "population average", "per 100, scfv = humanized")
    np.testing.assert_allclose(found["median"], 100 * np.median(one), rtol=1e-6)
    found = row(table, "population average", "difference per 100")
    np.testing.assert_allclose(found["lower"], 100 * np.quantile(one - two, 0.025), rtol=1e-4)
    effect = draws.tau * draws.new_effects(1)
    shared = special.expit(humanized + effect) - special.expit(murine + effect)
    same(row(table, "next study, both levels in it", "difference per 100"), 100 * shared)
    contrast = mc.contrast(rates, "scfv", "humanized", "murine", at=at)
    measured = contrast[contrast["measure"] == "risk difference"].set_index("estimand")
    for estimand in ("population average", "next study, both levels in it"):
        found = row(table, estimand, "difference per 100")
        for name in ("median", "lower", "upper"):
            assert found[name] == pytest.approx(100 * measured.loc[estimand, name])
        assert found["p_better"] == measured.loc[estimand, "p_better"]


def test_where_the_others_stand_is_said(rates, ratios):
    pair = ("scfv", "humanized", "murine")
    assert set(mc.absolute(rates, contrast=pair)["at"]) == {"averaged over the evidence"}
    assert set(mc.absolute(rates, contrast=pair, at={"age": 25.0})["at"]) == {"age = 25"}
    assert set(mc.absolute(ratios, baseline=0.3, measure="or")["at"]) == {""}


def test_a_bad_outcome_turns_the_benefit_of_rates_round():
    table = COUNTS.assign(outcome="severe_crs")
    fit = fitted(table, likelihood="binomial", moderators=["scfv"], outcome="severe_crs")
    found = mc.absolute(fit, contrast=("scfv", "humanized", "murine"))
    difference = row(found, "population average", "difference per 100")
    needed = row(found, "population average", "number needed to treat")
    assert needed["median"] == pytest.approx(-100 / difference["median"])


def test_the_contrasts_of_the_spec_are_the_default():
    pairs = [["scfv", "humanized", "murine"], ["age", 40, 10]]
    fit = fitted(COUNTS, likelihood="binomial", moderators=["scfv", "age"], contrasts=pairs)
    assert mc.absolute(fit)["compared"].unique().tolist() == [
        "scfv = humanized against scfv = murine",
        "age = 40 against age = 10",
    ]


# ---- numbers needed to treat


@pytest.mark.parametrize(
    ("median", "lower", "upper", "words"),
    [
        # Altman, BMJ 1998;317:1309: an absolute risk reduction of 10 % (-5 to 25 %)
        (0.10, -0.05, 0.25, "NNTB 10 (NNTB 4 to ∞ to NNTH 20)"),
        (0.04, -0.03, 0.11, "NNTB 25 (NNTB 10 to ∞ to NNTH 34)"),
        (0.2, 0.1, 0.25, "NNTB 5 (4 to 10)"),
        (-0.2, -0.25, -0.1, "NNTH 5 (4 to 10)"),
        (-0.02, -0.1, 0.04, "NNTH 50 (NNTB 25 to ∞ to NNTH 10)"),
        (0.0, -0.1, 0.1, "∞ (NNTB 10 to ∞ to NNTH 10)"),
        (0.05, 0.0, 0.1, "NNTB 20 (NNTB 10 to ∞)"),
        (0.0003, 0.0001, 0.0005, "NNTB 3,334 (2,000 to 10,000)"),
    ],
)
def test_a_number_needed_to_treat_passes_through_infinity(median, lower, upper, words):
    assert needed_words(median, lower, upper) == words


def test_numbers_needed_are_one_over_the_difference():
    assert needed_number(0.25) == 4
    assert needed_number(-0.5) == -2
    assert needed_number(0.0) == np.inf


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((12.2, 3.4, 25.0), "12 more of 100 (3 to 25)"),
        ((-12.2, -25.0, -3.4), "12 fewer of 100 (3 to 25)"),
        ((12.2, -3.4, 25.0), "12 more of 100 (3 fewer to 25 more)"),
    ],
)
def test_a_difference_says_which_way(numbers, words):
    assert difference_words(*numbers) == words


# ---- probabilities


def test_probabilities_beyond_a_threshold_are_shares_of_draws():
    fit = fitted(COUNTS, likelihood="binomial", thresholds=[0.7])
    summary = mc.summarize(fit).set_index("estimand")["median"]
    mu = fit["posterior"]["mu"].to_numpy()
    assert summary["P(median study > 0.7)"] == np.mean(special.expit(mu) > 0.7)
    new = special.expit(fit["posterior"]["theta_new"].to_numpy())
    assert summary["P(next study > 0.7)"] == np.mean(new > 0.7)


# ---- refusals


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, ["baseline: none", "a ratio says nothing of 100 patients", "baseline=0.5"]),
        ({"baseline": 50}, ["baseline: 50", "a share between 0 and 1", "write 0.5"]),
        ({"baseline": [0.2, "x"], "measure": "or"}, ["baseline: 'x'"]),
        ({"baseline": []}, ["no share"]),
        ({"baseline": True}, ["baseline: True"]),
        ({"baseline": 0.3}, ["does not say which ratio it is", "'or', 'rr', 'hr'"]),
        ({"baseline": 0.3, "measure": "od"}, ["'od' is not known"]),
        (
            {"baseline": 0.3, "measure": "or", "contrast": ("scfv", "a", "b")},
            ["contrast", "but the model has ratios"],
        ),
        ({"baseline": 0.3, "measure": "or", "at": {"age": 3}}, ["not a moderator of this model"]),
    ],
)
def test_what_a_model_of_ratios_refuses(ratios, options, words):
    with pytest.raises(InputError) as refusal:
        mc.absolute(ratios, **options)
    for word in words:
        assert word in str(refusal.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, ["two groups to compare are not named", "scfv, age"]),
        ({"baseline": 0.3}, ["baseline: 0.3, but the model has rates of its own"]),
        ({"measure": "or"}, ["measure: 'or', but the model has rates of its own"]),
        ({"contrast": "scfv"}, ["contrast: 'scfv'", "a moderator, a level and its reference"]),
        ({"contrast": ("scvf", "human", "murine")}, ["did you mean 'scfv'?"]),
        ({"contrast": ("scfv", "humanised", "murine")}, ["did you mean 'humanized'?"]),
        ({"contrast": ("scfv", "murine", "murine")}, ["'murine' against itself"]),
        (
            {"contrast": ("scfv", "murine", "humanized"), "at": {"scfv": "murine"}},
            ["'scfv' is what is compared"],
        ),
    ],
)
def test_what_a_model_of_rates_refuses(rates, options, words):
    with pytest.raises(InputError) as refusal:
        mc.absolute(rates, **options)
    for word in words:
        assert word in str(refusal.value)


def test_values_have_no_absolute_terms():
    table = pd.DataFrame({"study": ["a", "b"], "estimate": [1.0, 2.0], "se": [0.5, 0.5]})
    priors = {"mu": "Normal(0, 5)", "tau": "HalfNormal(1)"}
    fit = fitted(table, likelihood="normal", priors=priors)
    with pytest.raises(InputError, match="values of no known unit"):
        mc.absolute(fit, baseline=0.5)
