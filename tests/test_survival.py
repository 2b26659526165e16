"""Survival at one time: its standard error, its evidence, and what the model makes of it."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

import metacart as mc
from metacart.errors import InputError
from metacart.evidence.landmark import survival_se
from metacart.evidence.selection import account, tabulate
from metacart.modelling.design import bind, data_of
from metacart.records.spec import ModelSpec
from metacart.records.study import Study

SPEC = ModelSpec(likelihood="survival")
TABLE = pd.DataFrame(
    {
        "study": list("abcdef"),
        "survival": [0.80, 0.60, 0.70, 0.55, 0.76, 0.60],
        "lower": [0.70, 0.41, 0.33, 0.40, 0.60, 0.50],
        "upper": [0.90, 0.75, 0.902, 0.68, 0.86, 0.70],
        "scfv": ["human", "murine", "human", "murine", "human", "murine"],
    }
)


# ---- the standard error


@pytest.mark.parametrize(
    ("events", "total", "printed"),
    [
        (3, 10, (0.700, 0.330, 0.902)),  # Chen 2021, transplanted, 12 months
        (1, 11, (0.91, 0.508, 0.987)),  # An 2022, transplanted, 12 months
    ],
)
def test_printed_intervals_give_the_error_of_greenwood(events, total, printed):
    # uncensored to 12 months: the variance of log(-log S) by Greenwood's formula is
    # events / (total * (total - events)) / log(S)^2
    share = 1 - events / total
    greenwood = math.sqrt(events / (total * (total - events))) / abs(math.log(share))
    assert survival_se(*printed) == pytest.approx(greenwood, rel=0.01)


@pytest.mark.parametrize("upper", [0.90, 1.0])
def test_an_interval_of_another_scale_gives_its_width(upper):
    lower = 1.60 - upper if upper < 1 else 0.60
    width = (upper - lower) / (2 * stats.norm.ppf(0.975))
    expected = width / (0.8 * abs(math.log(0.8)))
    assert survival_se(0.8, lower, upper) == pytest.approx(expected, rel=1e-12)


def test_the_level_of_the_interval_counts():
    ratio = survival_se(0.6, 0.41, 0.75) / survival_se(0.6, 0.41, 0.75, level=0.9)
    assert ratio == pytest.approx(stats.norm.ppf(0.95) / stats.norm.ppf(0.975))


# ---- the table


def test_columns_are_read_on_the_scale():
    data = data_of(bind(SPEC, TABLE))
    np.testing.assert_allclose(data["estimate"], -np.log(-np.log(TABLE["survival"])))
    assert data["se"][5] == pytest.approx(survival_se(0.6, 0.5, 0.7))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"survival": 1.0, "upper": 1.0}, ["a survival of 1 has no standard error", "counts"]),
        ({"survival": 0.0}, ["0.0", "above 0 and below 1"]),
        ({"survival": 80.0}, ["80.0", "above 0 and below 1, at most 1"]),
        ({"lower": 0.95}, ["0.8 (0.95 to 0.9)", "contains its estimate"]),
        ({"level": 95.0}, ["95", "between 0.5 and 1"]),
        ({"lower": None}, ["row 1 (a), column 'lower'"]),
    ],
)
def test_what_a_row_cannot_be(change, words):
    with pytest.raises(InputError) as refusal:
        bind(SPEC, TABLE.iloc[:1].astype(object).assign(**change))
    for word in words:
        assert word in str(refusal.value)


# ---- the evidence


def study_of(study_data, *findings, **values):
    patients = {"enrolled": 40, "infused": 40, "evaluable": 40, "responders": 40}
    own = {"outcome": "overall_survival", "timepoint": None}
    made = [{"population": "infused", **own, **finding} for finding in findings]
    made = [{key: value for key, value in each.items() if value is not None} for each in made]
    return Study(**study_data(*made, arms=({"patients": patients},), **values))


def question(**values):
    own = {"outcome": "overall_survival", "timepoint": ["month 12"], "population": ["infused"]}
    return ModelSpec(likelihood="survival", **own | values)


def curve(time, unit, estimate=0.6, lower=0.41, upper=0.75):
    limits = {} if lower is None else {"lower": lower, "upper": upper}
    return {"survival": {"time": float(time), "unit": unit, "estimate": estimate} | limits}


@pytest.mark.parametrize(("time", "unit"), [(12, "month"), (1, "year"), (52, "week"), (365, "day")])
def test_one_year_in_any_unit_is_month_12(study_data, time, unit):
    found = tabulate([study_of(study_data, curve(time, unit))], question())
    row = found.iloc[0]
    assert (row["survival"], row["lower"], row["upper"]) == (0.6, 0.41, 0.75)
    assert row["timepoint"] == "month 12"


@pytest.mark.parametrize(
    ("finding", "rule"),
    [
        (curve(24, "month"), "at month 24; the question takes month 12"),
        (curve(9.5, "month"), "at 9.5 months; the question takes month 12"),
        (curve(12, "month", lower=None), "no interval is printed"),
        (curve(12, "month", 1.0, 0.8, 1.0), "an estimate of 0 or 1 has no standard error"),
        (
            {"timepoint": "month 12", "count": {"events": 3, "total": 40}, "outcome": "death"},
            "another outcome",
        ),
        (
            {"quantile": {"probability": 0.5, "estimate": 14.0, "unit": "month"}},
            "a quantile of a time; the question takes survival at one time",
        ),
    ],
)
def test_what_does_not_answer(study_data, finding, rule):
    used = curve(12, "month")
    table = account([study_of(study_data, used, finding)], question())
    assert list(table["rule"]) == ["used", rule]


def test_a_question_has_one_time(study_data):
    with pytest.raises(InputError, match=r"timepoint: this key is missing.*month 12"):
        tabulate([study_of(study_data, curve(12, "month"))], question(timepoint=[]))


def test_a_curve_is_of_a_whole_arm(study_data):
    with pytest.raises(InputError, match="survival takes whole arms"):
        tabulate([study_of(study_data, curve(12, "month"))], question(exposure="hsct"))


# ---- the fit


@pytest.fixture(scope="module")
def fitted():
    return mc.fit(SPEC, TABLE, method="exact", seed=4)


def test_posterior_against_a_grid(fitted):
    data = data_of(bind(SPEC, TABLE))
    y, se = data["estimate"], data["se"]
    mu, tau = np.linspace(-3, 5, 801), np.linspace(0.0005, 6, 1500)
    spread = np.sqrt(se**2 + tau[:, None] ** 2)
    log = stats.norm.logpdf(y, mu[:, None, None], spread).sum(axis=-1)
    log += stats.norm.logpdf(mu, 0, 1.5)[:, None] + stats.halfnorm.logpdf(tau)
    weight = np.exp(log - log.max()).sum(axis=1)
    below = (np.cumsum(weight) - weight / 2) / weight.sum()
    median = np.interp(0.5, below, mu)
    row = mc.summarize(fitted).set_index("estimand").loc["median study"]
    assert abs(row["median"] - np.exp(-np.exp(-median))) < 4 * row["mcse"]


def test_population_average_is_the_mean_over_studies(fitted):
    posterior = fitted["posterior"]
    mu, tau = (posterior[name].to_numpy().ravel()[:40] for name in ("mu", "tau"))
    expected = [
        integrate.quad(
            lambda z, m=m, t=t: stats.norm.pdf(z) * math.exp(-math.exp(-(m + t * z))), -9, 9
        )[0]
        for m, t in zip(mu, tau, strict=True)
    ]
    found = mc.inference.estimands.draws_of(fitted).population_average(np.zeros((1, 0)))
    np.testing.assert_allclose(found.ravel()[:40], expected, atol=1e-6)


def test_a_hazard_ratio_falls_where_survival_rises():
    spec = SPEC.model_copy(update={"moderators": ("scfv",), "reference": {"scfv": "murine"}})
    fit = mc.fit(spec, TABLE, method="exact", seed=4)
    table = mc.contrast(fit, "scfv", "human", "murine").set_index(["estimand", "measure"])
    ratio = table.loc[("median study (conditional)", "hazard ratio"), "median"]
    beta = fit["posterior"]["beta"].to_numpy()
    assert ratio == pytest.approx(np.median(np.exp(-beta)), rel=1e-9)
    assert ratio < 1


def test_the_figure_says_survival(fitted, tmp_path):
    mc.plot_forest(fitted, file=tmp_path / "forest.svg")
    text = (tmp_path / "forest.svg").read_text(encoding="utf-8")
    assert "Survival, % of patients" in text
    assert "Clopper" not in text
