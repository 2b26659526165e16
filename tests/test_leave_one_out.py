"""The answers without each cohort: reweighted draws against fits of the rest."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import integrate, special, stats

import metacart as mc
from metacart.results.left_out import cohorts_of
from metacart.results.reweighting import (
    describe_weighted,
    limits_trusted,
    smoothed_weights,
    trusted,
)

NUMBERS = (("median", "mcse"), ("lower", "mcse_lower"), ("upper", "mcse_upper"))
COUNTS = pd.DataFrame(
    {
        "study": ["a", "b", "c", "d", "e", "f"],
        "cohort": ["ab", "ab", "c", "d", "e", "f"],
        "events": [9, 7, 13, 4, 11, 16],
        "total": [12, 10, 19, 9, 16, 20],
    }
)
BINOMIAL = mc.ModelSpec(likelihood="binomial")


def ratios(*time_handling: str) -> pd.DataFrame:
    values = [(0.4, 0.2, 0.8), (0.3, 0.12, 0.75), (0.6, 0.3, 1.2), (0.25, 0.1, 0.625)]
    return pd.DataFrame(
        [
            {"study": f"s{n}", "kind": "ratio", "ratio": r, "lower": low, "upper": high}
            | {"time_handling": handling}
            for n, ((r, low, high), handling) in enumerate(zip(values, time_handling, strict=True))
        ]
    )


def refit(spec: mc.ModelSpec, rest: pd.DataFrame, at: dict[str, Any] | None = None) -> pd.DataFrame:
    again = mc.fit(spec, rest, method="exact", draws=3000, seed=77, progress=False)
    assert again.attrs["converged"]
    return mc.leave_one_out(again, at=at).query("left_out == ''").set_index("estimand")


def assert_agrees(found: pd.DataFrame, expected: pd.DataFrame, estimands: int) -> None:
    found = found.set_index("estimand")
    assert len(found) == estimands
    for name, row in found.iterrows():
        for number, error in NUMBERS:
            # the error of an error: five at most among many comparisons
            allowed = 5 * np.hypot(row[error], expected.loc[name, error])
            assert abs(row[number] - expected.loc[name, number]) <= allowed, (name, number)


# ---- against a fit of the rest


@pytest.fixture(scope="module")
def whole() -> Any:
    return mc.fit(BINOMIAL, COUNTS, method="exact", seed=4, progress=False)


def test_binomial_without_each_cohort(whole: Any) -> None:
    table = mc.leave_one_out(whole)
    assert table["left_out"].drop_duplicates().tolist() == ["", "ab", "c", "d", "e", "f"]
    assert set(table.loc[table["left_out"] == "ab", "studies"]) == {"a, b"}
    how = table.groupby("left_out")["computed"].first()
    assert "reweighted" in set(how)
    for name in ("ab", str(how.index[how == "reweighted"][0])):
        rows = table[table["left_out"] == name]
        assert (rows["k_hat"] < 0.7).all()
        assert_agrees(rows, refit(BINOMIAL, COUNTS[COUNTS["cohort"] != name]), 4)


def test_the_effect_on_the_cohort() -> None:
    spec = mc.ModelSpec(likelihood="binomial", group="cohort")
    table = mc.leave_one_out(mc.fit(spec, COUNTS, method="exact", seed=4))
    rows = table[table["left_out"] == "ab"]
    assert_agrees(rows, refit(spec, COUNTS[COUNTS["cohort"] != "ab"]), 4)


def test_the_first_rows_are_those_of_all_studies(whole: Any) -> None:
    own = mc.summarize(whole).set_index("estimand")
    first = mc.leave_one_out(whole).query("left_out == ''").set_index("estimand")
    assert first.index.tolist() == ["median study", "population average", "next study", "tau"]
    for name, row in first.iterrows():
        for number in ("median", "lower", "upper", "mcse"):
            assert row[number] == own.loc[name, number]
    assert set(first["computed"]) == {"as fitted"}
    assert first["k_hat"].isna().all()


def test_normal_without_effects_in_closed_form() -> None:
    """A common mean with a normal prior: the posterior of the rest is known exactly."""
    data = pd.DataFrame(
        {
            "study": list("abcde"),
            "estimate": [0.3, 0.5, -0.1, 0.2, 0.4],
            "se": [0.2, 0.3, 0.25, 0.4, 0.15],
        }
    )
    spec = mc.ModelSpec(
        likelihood="normal", random_effects="none", priors={"mu": "Normal(0, 1)"}, scale="identity"
    )
    table = mc.leave_one_out(mc.fit(spec, data, method="exact", seed=4))
    for study in data["study"]:
        rest = data[data["study"] != study]
        precision = 1 + (rest["se"] ** -2).sum()
        exact = stats.norm((rest["estimate"] / rest["se"] ** 2).sum() / precision, precision**-0.5)
        row = table[(table["left_out"] == study) & (table["estimand"] == "median study")].iloc[0]
        for (number, error), p in zip(NUMBERS, (0.5, 0.025, 0.975), strict=True):
            assert row[number] == pytest.approx(exact.ppf(p), abs=4 * row[error])
        assert 0 < row["mcse"] < 0.1 * precision**-0.5
    # the most precise study takes the draws of the whole too far from where its rest lies
    assert "refitted: too few draws near the limits" in set(table["computed"])


def test_survival_without_a_study() -> None:
    data = pd.DataFrame(
        {
            "study": list("abcd"),
            "survival": [0.6, 0.7, 0.5, 0.65],
            "lower": [0.45, 0.5, 0.3, 0.5],
            "upper": [0.72, 0.83, 0.67, 0.77],
        }
    )
    spec = mc.ModelSpec(likelihood="survival")
    table = mc.leave_one_out(mc.fit(spec, data, method="exact", seed=4))
    rows = table[table["left_out"] == "c"]
    assert_agrees(rows, refit(spec, data[data["study"] != "c"]), 4)


# ---- transplant: naive and adjusted


def test_transplant_while_no_study_handles_time() -> None:
    data, spec = ratios(*["time-fixed"] * 4), mc.ModelSpec(likelihood="hsct")
    table = mc.leave_one_out(mc.fit(spec, data, method="exact", seed=4))
    rows = table[table["left_out"] == "s0"]
    assert rows["estimand"].tolist() == [
        "median study (naive)",
        "next study (naive)",
        "median study (immortal-time-adjusted)",
        "next study (immortal-time-adjusted)",
        "tau",
    ]
    assert_agrees(rows, refit(spec, data[data["study"] != "s0"]), 5)


def test_transplant_where_one_study_handles_time() -> None:
    """The naive view has draws of its own; without the study that handles time b is its prior."""
    data = ratios("time-fixed", "landmark", "time-fixed", "unclear")
    spec = mc.ModelSpec(likelihood="hsct")
    table = mc.leave_one_out(mc.fit(spec, data, method="exact", seed=4))
    for study, how in (("s0", "reweighted"), ("s1", "refitted: the rest informs other parameters")):
        rows = table[table["left_out"] == study]
        assert set(rows["computed"]) == {how}
        assert_agrees(rows, refit(spec, data[data["study"] != study]), 5)


def test_transplant_where_one_study_does_not_handle_time() -> None:
    data = ratios("time-fixed", "landmark", "time-dependent", "landmark")
    spec = mc.ModelSpec(likelihood="hsct")
    table = mc.leave_one_out(mc.fit(spec, data, method="exact", seed=4)).set_index("estimand")
    rows = table[table["left_out"] == "s0"]
    # nothing is left to adjust: both views are one
    numbers = ["median", "lower", "upper"]
    naive, adjusted = "median study (naive)", "median study (immortal-time-adjusted)"
    assert rows.loc[naive, numbers].tolist() == rows.loc[adjusted, numbers].tolist()
    again = mc.fit(spec, data.iloc[1:], method="auto", seed=4, progress=False)
    expected = mc.summarize(again).set_index("estimand")
    assert rows.loc[naive, "median"] == expected.loc["median study", "median"]


# ---- an outlier


def outlier(events: int, total: int) -> pd.DataFrame:
    rest = [(16, 20), (17, 20), (15, 20), (16, 20), (33, 40), (24, 30)]
    counts = [*rest, (events, total)]
    return pd.DataFrame(
        {
            "study": [*(f"s{n}" for n in range(len(rest))), "outlier"],
            "events": [y for y, _ in counts],
            "total": [n for _, n in counts],
        }
    )


def test_a_planted_outlier_is_what_moves_the_answer() -> None:
    data = outlier(3, 20)
    table = mc.leave_one_out(mc.fit(BINOMIAL, data, method="exact", seed=4))
    medians = table.pivot_table("median", "left_out", "estimand")
    moved = (medians["population average"] - medians.loc["", "population average"]).abs()
    assert moved.idxmax() == "outlier"
    assert moved["outlier"] > 3 * moved.drop("outlier").max()
    assert medians.loc["outlier", "tau"] < 0.4 * medians.drop("outlier")["tau"].min()
    k_hat = table.groupby("left_out")["k_hat"].first()
    assert k_hat.idxmax() == "outlier"
    rows = table[table["left_out"] == "outlier"]
    assert_agrees(rows, refit(BINOMIAL, data[data["study"] != "outlier"]), 4)


def test_what_weights_cannot_tell_is_fitted_again() -> None:
    """A common effect and a large outlier: the draws of the whole hardly reach the rest."""
    data, spec = outlier(30, 200), mc.ModelSpec(likelihood="binomial", random_effects="none")
    fit = mc.fit(spec, data, method="exact", draws=1000, seed=4)
    table = mc.leave_one_out(fit)
    rows = table[table["left_out"] == "outlier"].set_index("estimand")
    assert (rows["k_hat"] > 0.7).all()
    assert set(rows["computed"]) == {"refitted: Pareto k is too large"}
    draws = fit["posterior"].sizes["draw"]
    rest = mc.fit(spec, data.iloc[:-1], method="auto", draws=draws, seed=4, progress=False)
    expected = mc.summarize(rest).set_index("estimand")
    for name, row in rows.iterrows():
        assert row["median"] == expected.loc[name, "median"]
    # the binomial rest with its weak prior: 121 of 150
    line = np.linspace(0, 3, 20001)
    mass = stats.norm.pdf(line, 0, 1.5) * stats.binom(150, special.expit(line)).pmf(121)
    middle = special.expit(np.interp(0.5, np.cumsum(mass) / mass.sum(), line))
    row = rows.loc["median study"]
    assert row["median"] == pytest.approx(middle, abs=4 * row["mcse"])
    with ThreadPoolExecutor(2) as pool:
        pd.testing.assert_frame_equal(mc.leave_one_out(fit, executor=pool), table)


# ---- moderators


MODERATED = COUNTS.assign(
    scfv=["murine", "human", "murine", "human", "murine", "human"],
    year=[2015, 2016, 2018, 2019, 2020, 2022],
)


@pytest.mark.parametrize("at", [None, {"scfv": "human"}])
def test_moderators_keep_their_priors_and_references(at: dict[str, Any] | None) -> None:
    """A numeric moderator has a prior by its spread in the whole; so it has without a cohort."""
    spec = mc.ModelSpec(
        likelihood="binomial", moderators=("scfv", "year"), reference={"year": 2018}
    )
    table = mc.leave_one_out(mc.fit(spec, MODERATED, method="exact", seed=4), at=at)
    spread = float(np.std(MODERATED["year"], ddof=1))
    pinned = spec.model_copy(
        update={
            "reference": {"scfv": "human", "year": 2018},
            "priors": {"beta": {"scfv": "Normal(0, 1)", "year": f"Normal(0, {1 / spread})"}},
        }
    )
    rows = table[table["left_out"] == "f"]
    assert_agrees(rows, refit(pinned, MODERATED[MODERATED["cohort"] != "f"], at), 4)


def test_the_rest_may_lose_a_level() -> None:
    many = COUNTS["total"].where(COUNTS["cohort"] != "ab", 200)
    data = COUNTS.assign(total=many, scfv=["murine", "murine", *["human"] * 4])
    spec = mc.ModelSpec(
        likelihood="binomial", moderators=("scfv",), contrasts=(("scfv", "human", "murine"),)
    )
    table = mc.leave_one_out(mc.fit(spec, data, method="exact", draws=1000, seed=4))
    rows = table[table["left_out"] == "ab"]
    assert set(rows["computed"]) == {
        "cannot be fitted: moderator 'scfv': the evidence has the one level 'human'"
    }
    assert rows[["median", "lower", "upper", "mcse"]].isna().all(axis=None)
    assert rows["estimand"].tolist() == ["median study", "population average", "next study", "tau"]


# ---- the random effect on the cohort


def test_papers_of_a_cohort_share_its_effect() -> None:
    """The effect of a cohort is integrated out of the product of its papers' likelihoods."""
    spec = mc.ModelSpec(likelihood="binomial", group="cohort")
    fit = mc.fit(spec, COUNTS, method="exact", draws=200, seed=4)
    by_cohort = fit["log_likelihood"]["study"]
    assert by_cohort["studies"].to_numpy().tolist() == ["ab", "c", "d", "e", "f"]
    for draw in (0, 99, 199):
        mu, tau = (float(fit["posterior"][name][0, draw]) for name in ("mu", "tau"))
        for cohort in ("ab", "c"):
            rows = COUNTS[COUNTS["cohort"] == cohort]

            def integrand(u: float, mu: float = mu, tau: float = tau, rows: Any = rows) -> float:
                rates = special.expit(mu + u)
                product = stats.binom.pmf(rows["events"], rows["total"], rates).prod()
                return float(product * stats.norm.pdf(u, 0, tau))

            value, _ = integrate.quad(integrand, -9 * tau, 9 * tau, points=[0.0], limit=200)
            found = float(by_cohort.sel(studies=cohort)[0, draw])
            assert found == pytest.approx(np.log(value), abs=1e-6)
    # and both papers' true rates are one in each draw
    theta = fit["posterior"]["theta"]
    assert (theta[..., 0] == theta[..., 1]).all()
    assert (theta[..., 0] != theta[..., 2]).any()
    # it is the model in which both papers are one study
    merged = mc.fit(
        BINOMIAL, COUNTS.assign(study=COUNTS["cohort"]), method="exact", draws=200, seed=4
    )
    assert (merged["posterior"]["mu"] == fit["posterior"]["mu"]).all()


def test_an_admitted_paper_shares_the_effect_of_its_cohort(study_data: Any) -> None:
    def paper(name: str, events: int, **values: Any) -> mc.Study:
        finding = {"count": {"events": events, "total": 19}}
        citation = {"authors": [name]}
        return mc.Study(**study_data(finding, id=name, citation=citation, **values))

    studies = [paper("a", 13, cohort="x"), paper("b", 9, cohort="x"), paper("c", 16)]
    spec = mc.ModelSpec(
        outcome="complete_remission", likelihood="binomial", group="cohort", admit=["b/car"]
    )
    fit = mc.fit(spec, studies=studies, method="exact", seed=4)
    assert fit["constant_data"]["group"].to_numpy().tolist() == [0, 0, 1]
    assert fit["constant_data"]["study"].to_numpy().tolist() == ["x", "c"]
    table = mc.leave_one_out(fit)
    assert set(table.loc[table["left_out"] == "x", "studies"]) == {"a, b"}


# ---- what cannot be


def test_one_cohort_has_no_rest() -> None:
    fit = mc.fit(BINOMIAL, COUNTS.iloc[:2], method="exact", draws=100, seed=4)
    with pytest.raises(mc.InputError) as error:
        mc.leave_one_out(fit)
    assert str(error.value) == (
        "fit: all studies are of one cohort, ab; allowed: a fit of two cohorts or more"
    )


def test_a_study_in_two_cohorts_is_refused() -> None:
    fit = mc.fit(BINOMIAL, COUNTS.assign(study="a"), method="exact", draws=100, seed=4)
    with pytest.raises(mc.InputError) as error:
        mc.leave_one_out(fit)
    assert str(error.value) == (
        "column 'cohort': 'a' lies in ab, c, d, e, f; allowed: one cohort a study"
    )


@pytest.mark.parametrize("cohort", [None, [None, "", "x", None, "x", np.nan]])
def test_a_study_without_a_cohort_is_its_own(cohort: Any) -> None:
    data = COUNTS.drop(columns="cohort") if cohort is None else COUNTS.assign(cohort=cohort)
    spec = mc.ModelSpec(likelihood="binomial", random_effects="none")
    table = mc.leave_one_out(mc.fit(spec, data, method="exact", draws=1000, seed=4))
    found = table["left_out"].drop_duplicates().tolist()[1:]
    assert found == (list("abcdef") if cohort is None else ["a", "b", "x", "d", "f"])


# ---- weights


@pytest.mark.parametrize("independent", [True, False])
def test_reweighted_normal_draws_against_their_closed_form(independent: bool) -> None:
    """N(0, 1) over the likelihood N(x; 1.2, 1.5) is again normal; draws may be correlated."""
    rng = np.random.default_rng(5)
    draws = rng.standard_normal((4, 8000))
    if not independent:
        for step in range(1, draws.shape[1]):
            draws[:, step] = 0.8 * draws[:, step - 1] + 0.6 * draws[:, step]
    log_likelihood = stats.norm.logpdf(1.2, draws, 1.5)
    weights, k_hat = smoothed_weights(log_likelihood, independent=independent)
    assert weights.sum() == pytest.approx(1)
    assert trusted(k_hat, draws.size)
    precision = 1 - 1.5**-2
    exact = stats.norm(-1.2 / 1.5**2 / precision, precision**-0.5)
    found = describe_weighted(draws, weights, independent=independent)
    for (number, error), p in zip(NUMBERS, (0.5, 0.025, 0.975), strict=True):
        assert found[number] == pytest.approx(exact.ppf(p), abs=4 * found[error])
    alike = np.full(draws.shape, 1 / draws.size)
    plain = describe_weighted(draws, alike, independent=independent)
    share = stats.norm.pdf(0) * plain["mcse"] * np.sqrt(draws.size)  # 0.5 for independent draws
    assert share == pytest.approx(0.5, rel=0.1) if independent else share > 0.8


def test_the_monte_carlo_error_is_that_of_repeated_runs() -> None:
    rng = np.random.default_rng(6)
    found = []
    for _ in range(300):
        draws = rng.standard_normal((4, 250))
        weights, _ = smoothed_weights(stats.norm.logpdf(1.0, draws, 2.0), independent=True)
        found.append(describe_weighted(draws, weights, independent=True))
    for number, error in NUMBERS:
        spread = np.std([each[number] for each in found], ddof=1)
        assert np.mean([each[error] for each in found]) == pytest.approx(spread, rel=0.2)


def test_limits_where_few_draws_are_are_not_trusted() -> None:
    rng = np.random.default_rng(5)
    draws = rng.standard_normal((4, 2000))
    far, _ = smoothed_weights(stats.norm.logpdf(2.5, draws, 1.2), independent=True)
    for independent in (True, False):
        alike = np.full(draws.shape, 1 / draws.size)
        assert limits_trusted(draws, alike, independent=independent)
        assert not limits_trusted(draws, far, independent=independent)


def test_few_draws_are_trusted_less() -> None:
    assert trusted(0.69, 16000)
    assert not trusted(0.71, 16000)
    assert trusted(0.5, 200)
    assert not trusted(0.6, 200)
    assert not trusted(float("nan"), 16000)


# ---- the figure


def test_the_figure_shows_the_answer_and_what_moves_it_most_first(whole: Any) -> None:
    table = mc.leave_one_out(whole, progress=False).query("estimand == 'population average'")
    rows = table.set_index("left_out")
    moved = (rows["median"] - rows.loc["", "median"]).abs().drop("").sort_values(ascending=False)
    pc = mc.plot_leave_one_out(whole, backend="none", progress=False)
    shown = pc.viz["study"].coords["row"].to_numpy().tolist()
    assert shown == ["left:", *(f"left:{name}" for name in moved.index)]
    low, high = (rows.loc["ab", name] for name in ("lower", "upper"))
    assert f"without a, b {100 * rows.loc['ab', 'median']:.1f} %" in pc.viz.attrs["alt"]
    assert f"{100 * low:.1f}–{100 * high:.1f}" in pc.viz.attrs["alt"]
    assert f"with all {100 * rows.loc['', 'median']:.1f} %" in pc.viz.attrs["alt"]


def test_the_figure_of_a_transplant_question_shows_the_naive_answer_too() -> None:
    spec = mc.ModelSpec(likelihood="hsct")
    fit = mc.fit(spec, ratios(*["time-fixed"] * 4), method="exact", draws=2000, seed=4)
    pc = mc.plot_leave_one_out(fit, progress=False, backend="none")
    assert pc.viz["naive"].sizes["row"] == 5
    assert "Median study (immortal-time-adjusted)" in pc.viz.attrs["alt"]


def test_rows_that_leave_together_are_those_of_a_cohort():
    """As one mask a cohort would say, for random designs."""
    rng = np.random.default_rng(7)
    for _ in range(40):
        number = int(rng.integers(1, 60))
        papers = rng.integers(0, rng.integers(1, 40), number)
        homes = rng.integers(0, rng.integers(1, 20), 40)  # several papers may be one cohort
        names = pd.Series([f"c{homes[paper]}" for paper in papers], dtype=object)
        names[rng.random(40)[papers] < 0.3] = None  # then a paper is a cohort of its own
        table = pd.DataFrame({"study": [f"s{paper}" for paper in papers], "cohort": names})
        own = [s if c is None else c for s, c in zip(table["study"], names, strict=True)]
        fit = xr.DataTree()
        rows = {"columns": list(table), "rows": table.to_numpy().tolist()}
        fit.attrs["evidence"] = json.dumps(rows)
        found = cohorts_of(fit)
        assert list(found) == list(dict.fromkeys(own))
        for name, places in found.items():
            assert places.tolist() == np.flatnonzero(np.asarray(own) == name).tolist()
