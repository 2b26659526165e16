"""Moderators: how they are coded, interactions, gaps that are imputed, and every refusal."""

import importlib
import json

import arviz as az
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import metacart as mc
from metacart.errors import InputError
from metacart.inference import nuts
from metacart.inference.estimands import design_rows
from metacart.inference.refits import Refit
from metacart.modelling.design import bind, moderators_of
from metacart.modelling.imputation import gap_names
from metacart.modelling.likelihoods import LIKELIHOODS
from metacart.modelling.moderators import steps_of
from metacart.modelling.priors import resolve_priors
from metacart.records.moderation import unit_parts

RNG = np.random.default_rng(4)
TABLE = pd.DataFrame(
    {
        "study": [f"study {n}" for n in range(12)],
        "events": [9, 5, 13, 20, 18, 7, 11, 30, 8, 16, 12, 25],
        "total": [10, 8, 19, 24, 31, 9, 14, 33, 17, 20, 13, 40],
        "scfv": ["murine", "humanized"] * 6,
        "target": ["CD19"] * 7 + ["CD22"] * 5,
        "age": [8.0, 12, 35, 41, 10, 22, 50, 7, 61, 15, 13, 44],
    }
)
COUNTS = {"likelihood": "binomial"}


def spec(**options):
    return mc.ModelSpec(**{**COUNTS, **options})


def exact(model, table=TABLE, **options):
    return mc.fit(model, table, method="exact", seed=3, progress=False, **options)


def columns(model, table=TABLE):
    design = bind(model, table)
    return dict(zip(design["coefficient"].to_numpy(), design["x"].to_numpy().T, strict=True))


# ---- coding


def test_a_number_is_coded_from_its_reference_in_its_unit():
    coded = columns(spec(moderators=["age"], reference={"age": 12}, unit={"age": "10 years"}))
    np.testing.assert_allclose(coded["age"], (TABLE["age"] - 12) / 10)
    np.testing.assert_array_equal(columns(spec(moderators=["age"]))["age"], TABLE["age"])


@pytest.mark.parametrize(
    ("unit", "size", "words"),
    [
        (10, 10.0, "per 10"),
        (0.5, 0.5, "per 0.5"),
        ("10 years", 10.0, "per 10 years"),
        ("1 year", 1.0, "per year"),
        ("1e6 cells/kg", 1e6, "per 1e+06 cells/kg"),
    ],
)
def test_a_unit_is_a_number_with_or_without_words(unit, size, words):
    assert unit_parts(unit) == (size, words)
    model = spec(moderators=["age"], unit={"age": unit})
    moderator = moderators_of(bind(model, TABLE))[0]
    assert (moderator.unit, moderator.step) == (size, words)


def test_interactions_are_the_products_that_a_hand_would_write():
    moderators = ["scfv", "age", "target", "scfv:age", "scfv:target", "age:target"]
    coded = columns(spec(moderators=[*moderators, "scfv:age:target"], reference={"age": 20}))
    murine = (TABLE["scfv"] == "murine").to_numpy(float)
    second = (TABLE["target"] == "CD22").to_numpy(float)
    age = TABLE["age"].to_numpy() - 20
    expected = {
        "scfv[murine]": murine,
        "age": age,
        "target[CD22]": second,
        "scfv[murine]:age": murine * age,
        "scfv[murine]:target[CD22]": murine * second,
        "age:target[CD22]": age * second,
        "scfv[murine]:age:target[CD22]": murine * age * second,
    }
    assert list(coded) == list(expected)
    for name, column in expected.items():
        np.testing.assert_allclose(coded[name], column)


def test_an_interaction_may_stand_before_its_moderators():
    first = spec(moderators=["scfv:age", "age", "scfv"], unit={"age": 10})
    design = bind(first, TABLE)
    assert [each.name for each in moderators_of(design)] == ["scfv:age", "age", "scfv"]
    at = {"scfv": "murine", "age": 30}
    row = design_rows(design, design, at)[0]
    assert dict(zip(design["coefficient"].to_numpy(), row, strict=True)) == {
        "scfv[murine]:age": 3.0,
        "age": 3.0,
        "scfv[murine]": 1.0,
    }


def test_what_a_coefficient_is_for_says_where_the_other_stands():
    model = spec(
        moderators=["scfv", "age", "scfv:age"], reference={"age": 12}, unit={"age": "10 years"}
    )
    assert steps_of(moderators_of(bind(model, TABLE))) == {
        "scfv[murine]": "against humanized, at age = 12",
        "age": "per 10 years, at scfv = humanized",
        "scfv[murine]:age": "against humanized, per 10 years",
    }
    summary = mc.summarize(exact(model, draws=50, chains=2)).set_index("estimand")
    assert summary.loc["beta age", "at"] == "per 10 years, at scfv = humanized"
    plain = mc.summarize(exact(spec(moderators=["age"]), draws=50, chains=2))
    assert plain.set_index("estimand").loc["beta age", "at"] == "per unit, as given"


def test_default_priors_are_for_a_level_and_for_an_sd():
    model = spec(moderators=["scfv", "age", "scfv:age"], unit={"age": 10})
    priors = resolve_priors(model, bind(model, TABLE), LIKELIHOODS["binomial"])
    spread = np.std(TABLE["age"] / 10, ddof=1)
    assert priors["beta:scfv[murine]"].arguments == (0.0, 1.0)
    assert priors["beta:age"].arguments == pytest.approx((0.0, 1 / spread))
    assert priors["beta:scfv[murine]:age"].arguments == pytest.approx((0.0, 1 / spread))
    stated = spec(
        moderators=["scfv", "age", "scfv:age"], priors={"beta": {"scfv:age": "Normal(0, 2)"}}
    )
    own = resolve_priors(stated, bind(stated, TABLE), LIKELIHOODS["binomial"])
    assert own["beta:scfv[murine]:age"].arguments == (0.0, 2.0)


# ---- the same model in other words


@pytest.mark.parametrize("effects", ["normal", "none"])
def test_an_interaction_is_the_same_fit_as_its_dummy_columns(effects):
    beta = {"priors": {"beta": "Normal(0, 0.7)"}, "random_effects": effects}
    whole = exact(spec(moderators=["scfv", "age", "scfv:age"], unit={"age": 10}, **beta), draws=500)
    murine = (TABLE["scfv"] == "murine").astype(float)
    hand = TABLE.assign(m=murine, a=TABLE["age"] / 10, ma=murine * TABLE["age"] / 10)
    same = exact(spec(moderators=["m", "a", "ma"], **beta), hand, draws=500)
    for name in ("mu", "beta", "theta"):
        np.testing.assert_allclose(
            whole["posterior"][name].to_numpy(), same["posterior"][name].to_numpy(), rtol=1e-9
        )
    for row, by_hand in (
        ({"scfv": "murine", "age": 30}, {"m": 1, "a": 3, "ma": 3}),
        ({"scfv": "humanized", "age": 12}, {"m": 0, "a": 1.2, "ma": 0}),
    ):
        numbers = mc.predict(whole, at=row).filter(regex="study|average")
        others = mc.predict(same, at=by_hand).filter(regex="study|average")
        np.testing.assert_allclose(numbers.to_numpy(), others.to_numpy(), rtol=1e-9)


def quantiles_agree(first, second):
    """Whether quantiles of two runs lie within four of their Monte Carlo errors."""
    for probability in (0.025, 0.5, 0.975):
        errors = [float(az.mcse(x, method="quantile", prob=probability)) for x in (first, second)]
        gap = np.quantile(first, probability) - np.quantile(second, probability)
        assert abs(gap) < 4 * np.hypot(*errors), (probability, gap, errors)


def test_a_unit_changes_no_answer():
    from metacart.results.summary import estimand_draws

    per_year = exact(spec(moderators=["age"], priors={"beta": "Normal(0, 0.05)"}))
    decades = exact(spec(moderators=["age"], unit={"age": 10}, priors={"beta": "Normal(0, 0.5)"}))
    for name in ("median study", "population average", "next study"):
        first, second = (estimand_draws(x, at={"age": 40})[name] for x in (per_year, decades))
        quantiles_agree(first, second)
    slopes = [fit["posterior"]["beta"].to_numpy()[..., 0] for fit in (per_year, decades)]
    quantiles_agree(10 * slopes[0], slopes[1])


def test_centring_changes_no_answer_where_the_priors_are_flat():
    from metacart.results.summary import estimand_draws

    # a prior of mu at 12 years is another one than a prior at 0: both far wider than the data
    flat = {"mu": "Normal(0, 50)", "beta": "Normal(0, 10)", "tau": "HalfNormal(0.5)"}
    fits = [
        exact(spec(moderators=["age"], reference=reference, priors=flat))
        for reference in ({}, {"age": 25})
    ]
    for age in (5.0, 25.0, 60.0):
        for name in ("median study", "next study"):
            first, second = (estimand_draws(fit, at={"age": age})[name] for fit in fits)
            quantiles_agree(first, second)


# ---- values that are missing

GAPS = pd.DataFrame(
    {
        "study": list("abcdefgh"),
        "estimate": [0.2, 0.9, 0.4, 1.3, 0.7, 0.1, 1.6, 0.95],
        "se": [0.2, 0.3, 0.25, 0.3, 0.2, 0.2, 0.4, 0.15],
        "dose": [1.0, 2.0, 1.5, 3.0, 2.5, 0.5, 3.5, np.nan],
    }
)


def gap_oracle(table, *, mu_sd, beta_sd):
    """Moments of (mu, beta, x) with one gap and a common effect, on a grid of three numbers."""
    y, v = table["estimate"].to_numpy(), table["se"].to_numpy() ** 2
    stated = table["dose"].dropna().to_numpy()
    middle, spread = stated.mean(), stated.std(ddof=1)
    means = middle + spread * np.linspace(-2.5, 2.5, 61)
    sds = spread * np.linspace(0.25, 5, 80)
    xs = middle + spread * np.linspace(-9, 9, 361)
    prior = stats.norm(middle, 2 * spread).logpdf(means)[:, None]
    prior = prior + stats.halfnorm(0, 2 * spread).logpdf(sds)
    laws = stats.norm(means[:, None, None], sds[None, :, None])
    prior = prior + laws.logpdf(stated).sum(axis=-1)
    gap = stats.norm(means[:, None, None], sds[None, :, None]).logpdf(xs)
    of_x = np.exp(prior[..., None] + gap - prior.max()).sum(axis=(0, 1))
    moments = []
    for x in xs:
        columns = np.column_stack([np.ones(len(y)), np.append(stated, x)])
        total = np.diag(v) + columns @ np.diag([mu_sd**2, beta_sd**2]) @ columns.T
        inverse = np.linalg.inv(
            columns.T @ np.diag(1 / v) @ columns + np.diag([mu_sd**-2, beta_sd**-2])
        )
        mean = inverse @ (columns.T @ (y / v))
        height = stats.multivariate_normal(np.zeros(len(y)), total).pdf(y)
        moments.append([height, *mean, *(np.diag(inverse) + mean**2), x, x**2])
    moments = np.asarray(moments)
    weight = of_x * moments[:, 0]
    found = (weight[:, None] * moments[:, 1:]).sum(0) / weight.sum()
    return found[[0, 1, 4]], np.sqrt(found[[2, 3, 5]] - found[[0, 1, 4]] ** 2)


def test_a_gap_is_imputed_as_a_grid_says():
    priors = {"mu": "Normal(0, 1.5)", "beta": "Normal(0, 1)"}
    model = mc.ModelSpec(
        likelihood="normal", scale="log", random_effects="none", moderators=["dose"],
        missing="impute", priors=priors,
    )  # fmt: skip
    fit = mc.fit(model, GAPS, seed=7, progress=False)
    assert (fit.attrs["method"], fit.attrs["gate"]) == ("nuts", "passed")
    means, sds = gap_oracle(GAPS, mu_sd=1.5, beta_sd=1.0)
    posterior = fit["posterior"]
    assert posterior["imputed"]["gap"].to_numpy().tolist() == ["dose: h"]
    found = [posterior["mu"], posterior["beta"][..., 0], posterior["imputed"][..., 0]]
    for draws, mean, sd in zip(found, means, sds, strict=True):
        draws = draws.to_numpy()
        assert abs(draws.mean() - mean) < 4 * float(az.mcse(draws, method="mean"))
        assert draws.std() == pytest.approx(sd, rel=0.05)


@pytest.fixture(scope="module")
def imputed():
    table = TABLE.assign(age=TABLE["age"].where(~TABLE.index.isin([2, 5])), arm="car")
    table["study"] = ["a", "b", *table["study"][2:]]
    model = spec(
        moderators=["scfv", "age", "scfv:age"], reference={"age": 20}, unit={"age": "10 years"},
        missing="impute", thresholds=[0.7],
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:  # without a longer second run for its gate
        patch.setattr(nuts, "TARGETS", (0.95,))
        return mc.fit(model, table, seed=2, draws=1000, chains=2, progress=False)


def test_imputed_values_enter_everything(imputed):
    posterior, design = imputed["posterior"].to_dataset(), imputed["constant_data"].to_dataset()
    names = ["age: study 2/car", "age: study 5/car"]
    assert gap_names(design) == posterior["gap"].to_numpy().tolist() == names
    # theta of a study is its linear predictor with the imputed age, plus its effect
    rows = design_rows(design, posterior)
    values = posterior["imputed"].transpose("chain", "draw", "gap").to_numpy()
    age = (values - 20) / 10
    np.testing.assert_allclose(rows[:, :, 2, 1], age[..., 0])
    np.testing.assert_allclose(rows[:, :, 2, 2], age[..., 0])  # murine
    np.testing.assert_allclose(rows[:, :, 5, 2], 0 * age[..., 1])  # humanized
    assert (rows[..., 0, 1] == (8 - 20) / 10).all()
    beta = posterior["beta"].transpose("chain", "draw", "coefficient").to_numpy()
    linear = posterior["mu"].to_numpy()[..., None] + (rows * beta[..., None, :]).sum(-1)
    spread = (posterior["theta"].transpose("chain", "draw", "finding").to_numpy() - linear).std()
    assert 0 < spread < 2
    summary = mc.summarize(imputed).set_index("estimand")
    low, high = summary.loc["imputed age: study 2/car", ["lower", "upper"]]
    assert low < 30 < high
    assert values.std() > 5  # two ages that nothing but the others tell
    assert imputed["prior"]["imputed"].sizes["gap"] == 2
    assert "2 values of moderators are imputed" in imputed.attrs["attempts"] or (
        json.loads(imputed.attrs["attempts"])[0]["method"] == "nuts"
    )


def test_estimands_of_a_fit_with_gaps_are_averaged_over_what_was_imputed(imputed):
    posterior = imputed["posterior"].to_dataset()
    rows = design_rows(imputed["constant_data"].to_dataset(), posterior)
    beta = posterior["beta"].transpose("chain", "draw", "coefficient").to_numpy()
    linear = posterior["mu"].to_numpy()[..., None] + (rows * beta[..., None, :]).sum(-1)
    median = np.median((1 / (1 + np.exp(-linear))).mean(-1))
    summary = mc.summarize(imputed).set_index("estimand")
    assert summary.loc["median study", "median"] == pytest.approx(median, rel=1e-9)
    # at a stated age nothing of it is left
    at = mc.predict(imputed, at={"age": 30, "scfv": "murine"}).iloc[0]
    eta = posterior["mu"].to_numpy() + beta @ np.array([1.0, 1.0, 1.0])
    assert at["median_study"] == pytest.approx(np.median(1 / (1 + np.exp(-eta))), rel=1e-9)
    assert (
        mc.contrast(imputed, "scfv", "murine", "humanized", at={"age": 30})["median"].notna().all()
    )


def test_findings_of_one_arm_share_their_imputed_value():
    table = TABLE.iloc[[0, 1, 2, 2, 3]].assign(arm=["x", "x", "x", "x", "y"])
    table = table.assign(age=[8.0, 12.0, None, None, None])
    design = bind(spec(moderators=["age"], missing="impute"), table)
    assert gap_names(design) == ["age: study 2/x", "age: study 3/y"]
    assert design["gap"].to_numpy()[:, 0].tolist() == [-1, -1, 0, 0, 1]


def test_the_exact_engine_hands_gaps_to_nuts_and_says_why():
    model = spec(moderators=["age"], missing="impute")
    table = TABLE.assign(age=TABLE["age"].where(TABLE.index > 0))
    with pytest.raises(InputError) as refusal:
        exact(model, table)
    assert "1 value of a moderator is imputed (age: study 0), which only NUTS draws" in str(
        refusal.value
    )
    assert "method='nuts'" in str(refusal.value)
    fit = mc.fit(model, table, method="auto", draws=50, tune=200, chains=2, seed=1, progress=False)
    assert fit.attrs["method"] == "nuts"
    first = json.loads(fit.attrs["attempts"])[0]
    assert first["method"] == "exact"
    assert "only NUTS draws" in first["failure"]


def test_without_a_cohort_the_rest_imputes_again(imputed, monkeypatch):
    module = importlib.import_module("metacart.results.leave_one_out")

    def unfitted(variants, **_):
        return [Refit(each.label, None) for each in variants]

    monkeypatch.setattr(module, "refit_all", unfitted)
    table = mc.leave_one_out(imputed)
    assert set(table["computed"]) == {"as fitted", "refitted: the rest imputes the moderators"}


def test_a_saved_fit_keeps_what_was_imputed(imputed, tmp_path):
    mc.save_fit(imputed, tmp_path / "fit.nc")
    again = mc.load_fit(tmp_path / "fit.nc")
    pd.testing.assert_frame_equal(mc.summarize(again), mc.summarize(imputed))


# ---- refusals


@pytest.mark.parametrize(
    ("options", "change", "words"),
    [
        (
            {"moderators": ["age", "scfv:age"]},
            {},
            ["'scfv:age' without 'scfv'", "add 'scfv' to moderators"],
        ),
        (
            {"moderators": ["scfv", "age", "scvf:age"]},
            {},
            ["'scvf:age' without 'scvf'", "did you mean 'scfv'?"],
        ),
        ({"moderators": ["age", "age:age"]}, {}, ["'age:age' multiplies age with itself"]),
        ({"moderators": ["age", "age:"]}, {}, ["'age:' multiplies nothing"]),
        (
            {"moderators": ["age", "scfv", "scfv:age", "age:scfv"]},
            {},
            ["'age:scfv' is 'scfv:age' again", "each interaction once"],
        ),
        (
            {"moderators": ["age", "scfv", "target", "age:scfv:target"]},
            {},
            ["without 'age:scfv'", "without 'age:target'", "without 'scfv:target'"],
        ),
        (
            {"moderators": ["scfv", "target", "scfv:target"]},
            {"target": ["CD22", "CD19"] + ["CD19"] * 10},
            ["no row is 'humanized' and 'CD22'", "drop the interaction"],
        ),
        ({"moderators": ["age"], "unit": {"age": "ten years"}}, {}, ["unit.age", "'ten years'"]),
        ({"moderators": ["age"], "unit": {"age": 0}}, {}, ["unit.age", "a number above 0"]),
        ({"moderators": ["age"], "unit": {"agee": 10}}, {}, ["unit.agee", "did you mean 'age'?"]),
        ({"moderators": ["scfv"], "unit": {"scfv": 10}}, {}, ["unit.scfv", "scfv has levels"]),
        (
            {"moderators": ["age"], "reference": {"age": "twelve"}},
            {},
            ["reference.age: 'twelve' is not a number", "the number that counts as zero"],
        ),
        ({"moderators": ["age"], "missing": "drop"}, {}, ["missing", "refuse, impute"]),
        (
            {"moderators": ["age"]},
            {"age": [None] + [3.0, 4.0] * 5 + [9.0]},
            ["no value in row 1 (study 0)", 'missing = "impute"'],
        ),
        (
            {"moderators": ["scfv"], "missing": "impute"},
            {"scfv": [None, "human"] + ["murine"] * 10},
            ["no value in row 1 (study 0)", "only numbers are imputed", "'unreported'"],
        ),
        (
            {"moderators": ["age"], "missing": "impute"},
            {"age": [None] * 12},
            ["no value in row 1"],
        ),
        (
            {"moderators": ["age"], "missing": "impute"},
            {"age": [None] * 11 + [3.0]},
            ["the one value 3"],
        ),
    ],
)
def test_what_moderators_cannot_be(options, change, words):
    with pytest.raises(InputError) as refusal:
        bind(spec(**options), TABLE.assign(**change))
    for word in words:
        assert word in str(refusal.value)


def test_nothing_but_main_effects_are_columns():
    model = spec(moderators=["scfv", "age", "scfv:age"])
    assert model.moderator_columns == ("scfv", "age")


def test_contrasts_stand_where_they_are_told():
    fit = exact(
        spec(moderators=["scfv", "age", "scfv:age"], reference={"age": 20}, unit={"age": 10}),
        draws=200,
    )
    beta = fit["posterior"]["beta"].transpose("chain", "draw", "coefficient").to_numpy()
    table = mc.contrast(fit, "scfv", "murine", "humanized", at={"age": 45})
    odds = table.set_index("estimand").loc["median study (conditional)", "median"]
    assert odds == pytest.approx(np.median(np.exp(beta[..., 0] + 2.5 * beta[..., 2])))
    with pytest.raises(InputError, match="'scfv' is what is compared"):
        mc.contrast(fit, "scfv", "murine", "humanized", at={"scfv": "murine"})
    with pytest.raises(InputError, match="did you mean 'age'"):
        mc.contrast(fit, "scfv", "murine", "humanized", at={"agee": 3})
    with pytest.raises(InputError, match="'scfv:age' is not in the model"):
        mc.contrast(fit, "scfv:age", 1, 0)
