"""A comparison in several analyses: within studies, adjusted or not, under other priors."""

import math
import re

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import metacart as mc
from metacart.report.contrast_tables import analyses_table
from metacart.results.contrast_sensitivity import DECLARED, WITHIN
from metacart.results.power_prior import power_prior

# two studies give both, two give one: the free intercepts leave the latter out
TABLE = pd.DataFrame(
    {
        "study": ["A", "A", "B", "B", "C", "D"],
        "scfv": ["humanized", "murine"] * 2 + ["humanized", "murine"],
        "again": [False, True, False, False, False, True],
        "events": [12, 7, 9, 8, 18, 2],
        "total": [15, 14, 12, 15, 20, 11],
    }
)
SPEC = mc.ModelSpec(
    likelihood="binomial", moderators=("scfv", "again"), reference={"scfv": "murine"}
)
CONTRAST = ("scfv", "humanized", "murine")


@pytest.fixture(scope="module")
def fit():
    return mc.fit(SPEC, TABLE, method="exact", seed=5, progress=False)


@pytest.fixture(scope="module")
def table(fit):
    return mc.contrast_sensitivity(fit, *CONTRAST)


def conditional(table, analysis):
    rows = table[(table["analysis"] == analysis) & (table["measure"] == "odds ratio")]
    return rows.set_index("estimand").loc["median study (conditional)"]


def free_intercepts(rows):
    """Slow and obvious: beta and gamma on a grid, each flat intercept summed out on its own."""
    line, alpha = np.linspace(-4.5, 4.5, 121), np.linspace(-15, 15, 301)
    beta, gamma, intercept = np.meshgrid(line, line, alpha, indexing="ij", sparse=True)
    log_mass = stats.norm.logpdf(line)[:, None] + stats.norm.logpdf(line)[None]
    for _, study in rows.groupby("study"):
        log_p = 0.0
        for row in study.itertuples():
            eta = intercept + (row.scfv == "humanized") * beta + row.again * gamma
            log_p = log_p + row.events * eta - row.total * np.logaddexp(0.0, eta)
        log_mass = log_mass + special.logsumexp(log_p, axis=-1)
    mass = np.exp(log_mass - log_mass.max()).sum(axis=1)
    return line, mass / mass.sum()


def test_within_studies_each_study_has_its_own_intercept(table):
    row = conditional(table, WITHIN)
    assert (row["studies"], row["findings"]) == (2, 4)
    line, mass = free_intercepts(TABLE[TABLE["study"].isin(["A", "B"])])
    draws = 16_000
    sd = math.sqrt(np.sum(mass * line**2) - np.sum(mass * line) ** 2)
    below = np.cumsum(mass) - 0.5 * mass
    for name, probability, factor in (("median", 0.5, 1.25), ("lower", 0.025, 2.7)):
        expected = np.interp(probability, below, line)
        # five standard errors of a normal quantile
        error = 5 * factor * sd / math.sqrt(draws)
        assert math.log(row[name]) == pytest.approx(expected, abs=error)
    better = np.interp(0.0, line, np.cumsum(mass) - 0.5 * mass)
    assert row["p_better"] == pytest.approx(1 - better, abs=5 * 0.5 / math.sqrt(draws))
    assert row["within_share"] == pytest.approx(1.0)
    apart = table[(table["analysis"] == WITHIN) & table["estimand"].str.startswith("next")]
    # free intercepts say nothing of another study
    assert apart["median"].isna().all()


def test_what_others_say_stays_out_of_the_within_study_analysis(fit):
    changed = TABLE.assign(events=[12, 7, 9, 8, 1, 10])
    other = mc.fit(SPEC, changed, method="exact", seed=5, progress=False)
    one, two = (
        conditional(mc.contrast_sensitivity(each, *CONTRAST), WITHIN) for each in (fit, other)
    )
    assert one["median"] == two["median"]


def test_the_analyses_stand_side_by_side(fit, table):
    assert table["analysis"].drop_duplicates().tolist() == [
        WITHIN,
        DECLARED,
        "without again (unadjusted)",
        "prior half as wide",
        "prior twice as wide",
    ]
    own = mc.contrast(fit, *CONTRAST)
    declared = table[table["analysis"] == DECLARED]
    assert declared["median"].tolist() == own["median"].tolist()
    alone = mc.fit(
        SPEC.model_copy(update={"moderators": ("scfv",)}),
        TABLE,
        method="exact",
        seed=5,
        progress=False,
    )
    found = conditional(table, "without again (unadjusted)")
    assert found["median"] == mc.contrast(alone, *CONTRAST)["median"].iloc[3]
    priors = table.groupby("analysis", sort=False)["prior"].first().to_dict()
    assert list(priors.values())[-2:] == ["Normal(0, 0.5)", "Normal(0, 2)"]
    widths = [
        np.log(row["upper"] / row["lower"])
        for row in (conditional(table, f"prior {name} as wide") for name in ("half", "twice"))
    ]
    row = conditional(table, DECLARED)
    assert widths[0] < np.log(row["upper"] / row["lower"]) < widths[1]


def test_no_study_with_both_is_said_instead_of_a_number():
    single = TABLE[TABLE["study"].isin(["C", "D"])]
    spec = SPEC.model_copy(update={"moderators": ("scfv",)})
    fit = mc.fit(spec, single, method="exact", seed=5, progress=False)
    table = mc.contrast_sensitivity(fit, *CONTRAST)
    within = table[table["analysis"] == WITHIN]
    assert set(within["unanswered"]) == {"no study has both humanized and murine"}
    assert within[["median", "p_better"]].isna().all(axis=None)
    assert (table.loc[table["analysis"] == DECLARED, "unanswered"] == "").all()
    assert "No study gives both humanized and murine" in table.attrs["separation"]
    rows = [row.cells for row in analyses_table(table).rows]
    assert rows[0][0] == ("Within studies only: no answer, no study has both humanized and murine")
    assert set(rows[0][1:]) == {""}


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        (list("ABCD"), "These data compare humanized and murine within A and B"),
        (["C", "D"], "no two arms are alike in again and differ in scfv"),
        (["B"], "within B"),
    ],
)
def test_the_sentence_of_what_can_be_separated(kept, words):
    from metacart.results.separation import separation

    rows = TABLE[TABLE["study"].isin(kept)]
    found = separation(rows, ("scfv", "again"), *CONTRAST).words()
    assert words in found


def test_the_arms_alike_in_all_else_are_named():
    from metacart.results.separation import separation

    rows = TABLE.iloc[[0, 4, 5]].assign(again=[True, False, True])
    found = separation(rows, ("scfv", "again"), *CONTRAST).words()
    assert "between arms alike in again only across studies (A against D)" in found


# --- the power prior ------------------------------------------------------------------------------


def test_the_prior_from_first_infusions_is_the_closed_form():
    spec, studies = mc.load_model("retreatment_cr"), mc.load_studies()
    found = power_prior(spec, *CONTRAST, studies)
    # 43 of 48 humanized, 23 of 31 murine
    assert found.log_odds_ratio == pytest.approx(math.log((43 / 5) / (23 / 8)))
    assert found.se == pytest.approx(math.sqrt(1 / 43 + 1 / 5 + 1 / 23 + 1 / 8))
    assert found.sd == pytest.approx(found.se / math.sqrt(0.5))
    # against the likelihood itself, each rate flat on the log odds scale: Woolf's SE is its SD
    # but for what small counts skew
    rng = np.random.default_rng(1)
    one, two = rng.beta(43, 5, 200_000), rng.beta(23, 8, 200_000)
    exact = special.logit(one) - special.logit(two)
    assert found.log_odds_ratio == pytest.approx(np.median(exact), abs=0.15 * found.se)
    assert found.se == pytest.approx(exact.std(), rel=0.1)
    severe = power_prior(mc.load_model("retreatment_severe_crs"), *CONTRAST, studies)
    assert severe.log_odds_ratio == pytest.approx(math.log((7 / 88) / (6 / 29)))


def with_power_prior(**changed):
    stated = {
        "level": "murinehumanized130/humanized_leukaemia",
        "reference": "murinehumanized130/murine_leukaemia",
    }
    return mc.ModelSpec(
        likelihood="binomial",
        moderators=["scfv"],
        outcome="complete_remission",
        power_prior={"scfv": stated | changed},
    )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"weight": 0.0}, r"power_prior\.scfv\.weight: "),
        ({"weight": 1.5}, r"power_prior\.scfv\.weight: "),
        ({"level": "humanized"}, r"'humanized'; allowed: an arm as \"study/arm\""),
        (
            {"level": "murinehumanized130/murine_leukaemia"},
            "against itself; allowed: two different arms",
        ),
        ({"wieght": 1.0}, "wieght"),
    ],
)
def test_faults_of_a_power_prior(changed, message):
    with pytest.raises(mc.InputError, match=message):
        with_power_prior(**changed)


def test_a_power_prior_of_no_moderator_or_no_arm():
    with pytest.raises(mc.InputError, match=r"power_prior\.age: 'age' is not a moderator"):
        mc.ModelSpec(
            likelihood="binomial",
            power_prior={"age": {"level": "a/b", "reference": "a/c"}},
        )
    spec = with_power_prior(level="murinehumanized130/humanised_leukaemia")
    with pytest.raises(mc.InputError, match="did you mean 'murinehumanized130/humanized_leu"):
        mc.tabulate(mc.load_studies(), spec)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {
                "level": "murinehumanized130/murine_leukaemia",
                "reference": "murinehumanized130/humanized_leukaemia",
            },
            "'murinehumanized130/murine_leukaemia' is murine",
        ),
        ({"level": "elsewhere/arm"}, "'elsewhere/arm' is no arm of these studies"),
        ({"level": "scmc2023/cart1"}, "is unreported"),
    ],
)
def test_a_power_prior_that_these_studies_do_not_give(changed, message):
    with pytest.raises(mc.InputError, match=message):
        power_prior(with_power_prior(**changed), *CONTRAST, mc.load_studies())


@pytest.mark.parametrize("reference", ["murine", "humanized"])
def test_the_power_prior_turns_with_the_reference_level(reference):
    spec = with_power_prior(weight=1.0).model_copy(
        update={
            "reference": {"scfv": reference},
            "outcome": None,
            "priors": {"beta": "Normal(0, 1)"},
        }
    )
    fit = mc.fit(spec, TABLE, method="exact", seed=5, draws=2000, progress=False)
    # the question that the counts are of; the table of this test names no outcome
    fit.attrs["spec"] = spec.model_copy(update={"outcome": "complete_remission"}).model_dump_json(
        by_alias=True
    )
    assert mc.contrast_sensitivity(fit, *CONTRAST)["analysis"].nunique() == 5


def test_priors_of_single_coefficients():
    spec = SPEC.model_copy(
        update={"priors": {"beta": {"scfv[humanized]": "Normal(1, 0.01)", "again": "Normal(0, 2)"}}}
    )
    fit = mc.fit(spec, TABLE, method="exact", seed=5, draws=500, progress=False)
    assert '"beta:scfv[humanized]": "Normal(1, 0.01)"' in fit.attrs["priors"]
    assert float(fit["posterior"]["beta"].sel(coefficient="scfv[humanized]").mean()) == (
        pytest.approx(1.0, abs=0.01)
    )
    wrong = SPEC.model_copy(update={"priors": {"beta": {"scfv[humanised]": "Normal(0, 1)"}}})
    with pytest.raises(mc.InputError, match=re.escape("did you mean 'scfv[humanized]'")):
        mc.fit(wrong, TABLE, method="exact", progress=False)


# --- the bundled questions ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["retreatment_cr", "retreatment_severe_crs"])
def test_the_bundled_questions_answer_in_four_rows(name):
    fit = mc.fit(name, method="exact", seed=3, progress=False)
    assert fit.attrs["converged"]
    table = mc.contrast_sensitivity(fit, *CONTRAST)
    rows = table[table["measure"] == "risk difference"].set_index(["analysis", "estimand"])
    average = rows.xs("population average", level="estimand")
    assert average.loc[WITHIN, "unanswered"] == "no study has both humanized and murine"
    # both murine arms are inferred
    stated = "arms of stated origin"
    assert average.loc[stated, "unanswered"] == "no such arm is murine"
    answered = average.drop(index=[WITHIN, stated])
    assert (answered["unanswered"] == "").all()
    assert {DECLARED, "without same_product", "unadjusted", "power prior"} <= {*answered.index}
    assert answered["p_better"].between(0.05, 0.97).all()
    assert "Chen 2021 against Gauthier 2021" in table.attrs["separation"]
    assert average.loc["power prior", "p_better"] > average.loc[DECLARED, "p_better"]
    evidence = mc.tabulate(mc.load_studies(), name)
    # known only because these patients later needed another product
    assert not {("an2022", "mcd19_second"), ("cao2018", "murine_second")} & {
        *evidence[["study", "arm"]].itertuples(index=False, name=None)
    }
