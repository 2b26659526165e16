"""What a transplant without effect seems to do: against published data, formulas and quadrature."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import CensoredData, ecdf

import metacart as mc
from metacart.errors import InputError
from metacart.modelling.likelihoods import LIKELIHOODS
from metacart.records.priors import parse_prior
from metacart.results import simulated_time
from metacart.results.cox import log_hazard_ratios
from metacart.results.histories import simulate, view
from metacart.results.scenarios import PUBLISHED, SCENARIOS, scenarios_of
from metacart.results.simulated_time import GROUPS, METHODS, MONTHS

Array = NDArray[np.float64]
PAPERS = ("an2022", "chen2021", "li2020", "rocca")
# a constant hazard from time zero, and everyone followed to the end
ENDLESS: dict[str, Any] = {"scenario": "slow", "remission_at": 0.0, "follow_up": (500.0, 500.0)}


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    plt.close("all")


def row(table: pd.DataFrame, method: str, scenario: str | None = None) -> Any:
    kept = table[table["method"] == method]
    return (kept if scenario is None else kept[kept["scenario"] == scenario]).iloc[0]


# --- Cox's model --------------------------------------------------------------------------------


def slow_log_hr(
    entry: Array, ends: Array, event: Array, exposed: Array, *, ties: str = "breslow"
) -> float:
    """Maximise the partial likelihood, summed over events and patients one by one."""

    def minus(b: float) -> float:
        total = 0.0
        for time in np.unique(ends[event == 1]):
            at_risk = sum(
                math.exp(b * x)
                for e, t, x in zip(entry, ends, exposed, strict=True)
                if e < time <= t
            )
            dead = [x for t, d, x in zip(ends, event, exposed, strict=True) if d == 1 and t == time]
            tied = sum(math.exp(b * x) for x in dead)
            for number, x in enumerate(dead):
                less = tied * number / len(dead) if ties == "efron" else 0.0
                total -= b * x - math.log(at_risk - less)
        return total

    return float(minimize_scalar(minus, bounds=(-8, 8), options={"xatol": 1e-9}).x)


# Stanford heart transplants (Crowley and Hu, JASA 1977;72:27-36), in days: the wait of those
# transplanted, then the follow-up, + where they were alive. The first study of immortal time.
HEART = """
50 6 1:16 36:39 18 3 51:675 40 85 12:58 26:153 8 17:81 37:1387 1 28:308 36 20:43 37 18:28
8:1032 12:51 3:733 83:219 25:1800+ 1401+ 263 71:72 35 16:852 16 17:77 51:1587+ 23:1572+ 12
46:100 19:66 4.5:5 2:53 41:1408+ 58:1322+ 3 2 40 1:45 2:996 21:72 9 36:1142+ 83:980 32:285
102 41:188 3 10:61 67:942+ 149 21:343 78:916+ 3:68 2 69 27:842+ 33:584 12:78 32 57:285 3:68
10:670+ 5:30 31:620+ 4:596+ 27:90 5:17 2 46:545+ 21 210:515+ 67:96 26:482+ 6:445+ 428+ 32:80
37:334 5 8:397+ 60:110 31:370+ 139:207 160:186 340 310:340+ 28:265+ 4:165 2:16 13:180+
21:131+ 96:109+ 21 38:39+ 31+ 11+ 6
"""


def heart() -> tuple[Array, Array, Array]:
    """Return wait (infinite without a transplant), days and whether each died."""
    texts = HEART.split()
    parts = [text.rstrip("+").rpartition(":") for text in texts]
    wait = np.array([float(first) if first else np.inf for first, _, _ in parts])
    days = np.array([float(last) for _, _, last in parts])
    return wait, days, np.array([not text.endswith("+") for text in texts], dtype=float)


def heart_intervals() -> tuple[Array, Array, Array, Array]:
    wait, days, died = heart()
    have = np.isfinite(wait)
    before = (np.zeros(103), np.where(have, wait, days), died * ~have, np.zeros(103))
    after = (wait[have], days[have], died[have], np.ones(have.sum()))
    entry, ends, event, exposed = (np.concatenate(pair) for pair in zip(before, after, strict=True))
    return entry, ends, event, exposed


def test_gehans_trial_has_its_published_ratio() -> None:
    """Breslow 1.509, as printed for this trial in textbooks (Kleinbaum and Klein, chapter 3)."""
    placebo = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]
    relapsed = [6, 6, 6, 7, 10, 13, 16, 22, 23]
    censored = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
    weeks = np.array([[*placebo, *relapsed, *censored]], dtype=float)
    event, exposed = np.arange(42)[None] < 30, np.arange(42)[None] < 21
    assert log_hazard_ratios(weeks, event, exposed)[0] == pytest.approx(1.509, abs=5e-4)
    efron = slow_log_hr(np.zeros(42), weeks[0], event[0], exposed[0], ties="efron")
    assert efron == pytest.approx(1.572, abs=5e-4)  # the oracle's other ties, as printed too


def test_the_first_study_of_immortal_time() -> None:
    """Stanford: 0.27 time-fixed, none time-dependent.

    statsmodels 0.15.0: PHReg(days, transplanted, status=died, ties="breslow"): -1.31834355.
    lifelines 0.30.3: CoxTimeVaryingFitter on start, stop, event, transplant (Efron): 0.127141.
    """
    wait, days, died = heart()
    assert (len(days), int(died.sum()), int(np.isfinite(wait).sum())) == (103, 75, 69)
    fixed = log_hazard_ratios(days[None], died[None] == 1, np.isfinite(wait)[None])
    assert fixed[0] == pytest.approx(-1.31834355, abs=1e-7)
    entry, ends, event, exposed = heart_intervals()
    assert slow_log_hr(entry, ends, event, exposed, ties="efron") == pytest.approx(
        0.127141, abs=1e-5
    )
    dependent = log_hazard_ratios(
        ends[None], event[None] == 1, exposed[None] == 1, entry=entry[None]
    )
    assert dependent[0] == pytest.approx(slow_log_hr(entry, ends, event, exposed), abs=1e-6)


@pytest.mark.parametrize("tied", [False, True])
def test_many_data_sets_at_once_agree_with_one_by_one(tied: bool) -> None:
    rng = np.random.default_rng(5)
    entry = rng.uniform(0, 2, (8, 25)) * (rng.random((8, 25)) < 0.5)
    ends = entry + rng.exponential(3, (8, 25))
    if tied:
        entry, ends = np.floor(entry), np.ceil(ends)
    event, exposed = rng.random((8, 25)) < 0.7, rng.random((8, 25)) < 0.4
    found = log_hazard_ratios(ends, event, exposed, entry=entry)
    slow = [slow_log_hr(*each) for each in zip(entry, ends, event, exposed, strict=True)]
    np.testing.assert_allclose(found, slow, atol=1e-6)


def test_a_ratio_without_an_end_is_infinite() -> None:
    ends = np.tile([1.0, 2.0, 3.0, 4.0], (4, 1))
    exposed = np.tile([True, False, True, False], (4, 1))
    event = np.array(
        [[1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]], dtype=bool
    )  # only exposed; only others; nobody; one with nobody else at risk
    found = log_hazard_ratios(ends, event, exposed)
    assert found[:2].tolist() == [np.inf, -np.inf]
    assert np.isnan(found[2:]).all()


# --- the bias: formulas -------------------------------------------------------------------------


def limit(hazard: float, wait: float, chosen: float) -> float:
    """Return the time-fixed log hazard ratio of endless data: the root of the expected score.

    Before the wait all events are of the others, of whom exp(-h t) - p exp(-h w) are at risk
    beside p exp(-h w) who are yet to be transplanted; after it both groups die alike.
    """

    def score(b: float) -> float:
        def early(t: float) -> float:
            ready = chosen * math.exp(-hazard * wait)
            risk = ready * math.exp(b)
            others = math.exp(-hazard * t) - ready
            return -hazard * math.exp(-hazard * t) * risk / (risk + others)

        share = chosen * math.exp(b) / (chosen * math.exp(b) + 1 - chosen)
        return quad(early, 0, wait)[0] + math.exp(-hazard * wait) * (chosen - share)

    return float(brentq(score, -5, 5))


def test_the_limit_for_few_transplants_is_the_formula_of_the_docstring() -> None:
    for hazard, wait in ((0.03, 2.0), (0.1, 3.0), (0.5, 2.0)):
        expected = -math.log1p(hazard * wait)
        assert limit(hazard, wait, 1e-7) == pytest.approx(expected, abs=1e-5)
        assert limit(hazard, wait, 0.6) < limit(hazard, wait, 0.3) < expected


@pytest.mark.parametrize(
    ("median", "wait", "chosen"), [(24.0, 2.0, 0.4), (11.6, 2.0, 0.4), (6.0, 3.0, 0.6)]
)
def test_time_fixed_ratios_go_to_the_limit(median: float, wait: float, chosen: float) -> None:
    """6,000 patients a replicate: what is left of the bias of small samples is below 0.001."""
    hazard = math.log(2) / median
    table = mc.simulate_immortal_time(
        **ENDLESS,
        event_free=median,
        months_to_transplant=wait,
        transplanted=chosen * math.exp(-hazard * wait),
        patients=6000,
        replicates=60,
    )
    found = row(table, "time-fixed")
    assert found["log_hr"] == pytest.approx(limit(hazard, wait, chosen), abs=4 * found["mcse"])
    for method in ("landmark", "time-dependent"):
        found = row(table, method)
        assert found["log_hr"] == pytest.approx(0.0, abs=4 * found["mcse"])


def test_counts_and_curves_of_the_plain_case_are_those_of_the_formulas() -> None:
    hazard, wait, chosen = math.log(2) / 8, 3.0, 0.5
    reach = math.exp(-hazard * wait)
    table = mc.simulate_immortal_time(
        **(ENDLESS | {"follow_up": (12.0, 12.0)}),
        event_free=8.0,
        months_to_transplant=wait,
        transplanted=chosen * reach,
        patients=1000,
        replicates=400,
    )
    alive = math.exp(-hazard * 12)
    first = alive / reach
    second = (1 - chosen) * alive / (1 - chosen * reach)
    found = row(table, "time-fixed")
    # 400,000 patients: standard errors of shares below 0.0012
    assert found["survival_transplanted"] == pytest.approx(first, abs=0.006)
    assert found["survival_others"] == pytest.approx(second, abs=0.006)
    loglog = math.log(-math.log(first)) - math.log(-math.log(second))
    assert found["log_hr_curves"] == pytest.approx(loglog, abs=0.02)
    assert found["cloglog"] == pytest.approx(loglog, abs=0.02)  # the same: all followed 12 months
    odds = math.log((1 - first) / first) - math.log((1 - second) / second)
    assert found["log_odds"] == pytest.approx(odds, abs=0.03)
    excluded = row(table, "excluded")
    assert np.isnan(excluded["survival_transplanted"])  # 9 months are followed after month 3


# --- the bias: what is unbiased, and what it grows with -----------------------------------------


@pytest.mark.parametrize("outcome", ["event_free_survival", "relapse"])
@pytest.mark.parametrize("scenario", PAPERS)
def test_landmark_and_time_dependent_are_unbiased(scenario: str, outcome: str) -> None:
    table = mc.simulate_immortal_time(
        scenario=scenario, outcome=outcome, patients=2000, replicates=100, seed=11
    )
    for method in ("landmark", "time-dependent"):
        found = row(table, method)
        assert abs(found["log_hr"]) < 4 * found["mcse"] + 0.002  # of the size of the sample
    assert row(table, "time-fixed")["log_hr"] < row(table, "excluded")["log_hr"]
    assert row(table, "time-fixed")["log_hr"] < -10 * row(table, "time-fixed")["mcse"]


@pytest.mark.parametrize("scenario", PAPERS)
def test_overall_survival_needs_a_landmark_in_remission(scenario: str) -> None:
    """Who relapsed can no longer be transplanted: handling the time alone is not enough."""
    table = mc.simulate_immortal_time(
        scenario=scenario, outcome="overall_survival", patients=2000, replicates=100
    )
    assert abs(row(table, "landmark")["log_hr"]) < 4 * row(table, "landmark")["mcse"] + 0.002
    dependent = row(table, "time-dependent")
    assert row(table, "time-fixed")["log_hr"] < dependent["log_hr"] < -5 * dependent["mcse"]


def fixed(**options: Any) -> tuple[float, float]:
    table = mc.simulate_immortal_time(**({"scenario": "slow", "patients": 400} | options))
    found = row(table, "time-fixed")
    return float(found["log_hr"]), float(found["mcse"])


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("months_to_transplant", [1.0, 2.0, 4.0]),
        ("event_free", [24.0, 12.0, 6.0]),
        ("transplanted", [0.1, 0.4, 0.8]),
    ],
)
def test_the_bias_grows_with_wait_hazard_and_share(name: str, values: list[float]) -> None:
    found = [fixed(**{"event_free": 12.0, name: value}, replicates=200) for value in values]
    for (less, mcse), (more, other) in pairwise(found):
        assert more < less - 4 * math.hypot(mcse, other)


def test_without_a_wait_there_is_no_bias() -> None:
    table = mc.simulate_immortal_time(
        scenario="slow", months_to_transplant=0.0, patients=400, replicates=300
    )
    assert (table["log_hr"].abs() < 4 * table["mcse"] + 0.002).all()
    assert np.ptp(table["log_hr"]) < 1e-9  # all four are one analysis


def test_the_month_before_remission_is_read_biases_nobody() -> None:
    """It is the same for both groups: only the wait after it counts."""
    early, mcse = fixed(event_free=12.0, months_to_transplant=1.0, remission_at=1.0)
    assert abs(early) < 4 * mcse + 0.002
    assert fixed(event_free=12.0, months_to_transplant=2.0, remission_at=1.0)[0] > fixed(
        event_free=12.0, months_to_transplant=2.0, remission_at=0.0
    )[0] + 4 * math.hypot(mcse, mcse)


def test_deaths_of_transplant_turn_survival_and_bend_counts_of_relapse() -> None:
    def at(outcome: str, deaths: float) -> pd.DataFrame:
        return mc.simulate_immortal_time(
            scenario="li2020",
            outcome=outcome,
            transplant_deaths=deaths,
            patients=1000,
            replicates=100,
        )

    survival = row(at("event_free_survival", 0.3), "time-dependent")
    assert survival["log_hr"] > 10 * survival["mcse"]
    relapse, plain = at("relapse", 0.3), at("relapse", 0.0)
    dependent = row(relapse, "time-dependent")
    assert abs(dependent["log_hr"]) < 4 * dependent["mcse"] + 0.002  # the hazard is the same
    # the dead cannot relapse: counts fall although the hazard does not
    assert row(relapse, "landmark")["cloglog"] < row(plain, "landmark")["cloglog"] - 0.1


def test_the_share_who_die_of_transplant_is_the_one_given() -> None:
    """Nobody relapses here, and all are followed for more than a year after month 0."""
    [scenario] = scenarios_of(
        "slow", months_to_transplant=0.0, transplanted=0.5, event_free=1e9, follow_up=(30, 30)
    )
    seen = simulate(
        scenario, np.random.default_rng(3), sets=1, patients=200_000,
        outcome="event_free_survival", transplant_deaths=0.2,
    )  # fmt: skip
    died = seen.event[seen.transplanted]
    assert died.mean() == pytest.approx(0.2, abs=4 * math.sqrt(0.16 / died.size))
    assert seen.exit[seen.event].max() <= 12.0
    assert not seen.event[~seen.transplanted].any()


# --- the papers ---------------------------------------------------------------------------------


def found_in(study: str, outcome: str, **where: Any) -> Any:
    [record] = [each for each in mc.load_studies() if each.id == study]
    kept = [
        finding
        for finding in record.findings
        if finding.outcome == outcome
        and all(getattr(finding, name) == value for name, value in where.items())
    ]
    assert len(kept) == 1
    return kept[0]


def test_the_scenarios_have_the_numbers_of_the_study_files() -> None:
    an, chen, li, rocca = (SCENARIOS[name] for name in PAPERS)
    for scenario, study, arm in (
        (an, "an2022", "hcd19"),
        (li, "li2020", "all"),
    ):
        count = found_in(study, "hsct", arm=arm, population="responders").count
        assert scenario.transplanted == pytest.approx(count.events / count.total)
    assert chen.transplanted == pytest.approx(
        found_in("chen2021", "hsct", arm="first", population="responders").count.events / 25
    )
    curve = found_in("an2022", "event_free_survival", arm="hcd19", timepoint="month 12")
    assert dict(an.event_free)[12.0] == curve.survival.estimate
    wait = found_in("chen2021", "hsct", arm="cart_hsct", kind="quantile").quantile
    assert np.median(chen.months_to_transplant) == pytest.approx(wait.estimate / 30.4375, abs=1e-3)
    for month, share in li.event_free:  # of 36 of 39 who reached remission
        whole = found_in("li2020", "event_free_survival", arm="all", timepoint=f"month {month:g}")
        assert share == pytest.approx(whole.survival.estimate * 39 / 36, abs=6e-4)
    for month, share in rocca.event_free:
        theirs = found_in("roloff2024", "event_free_survival", timepoint=f"month {month:g}")
        assert share == theirs.survival.estimate
    groups = {"cart_hsct": 10, "cart2": 7, "cart1": 8}
    for month, share in chen.event_free:  # their clock starts at remission, in month 1
        at = {"outcome": "relapse", "timepoint": f"month {month - 1:g}"}
        free = [
            found_in("chen2021", **at, arm=arm).survival.estimate * number
            for arm, number in groups.items()
        ]
        assert share == pytest.approx(sum(free) / 25, abs=6e-4)


@pytest.mark.parametrize(
    ("name", "printed"), [("rocca", 0.63), ("li2020", 0.548 * 39 / 36)], ids=["rocca", "li2020"]
)
def test_time_from_relapse_to_death_gives_the_printed_overall_survival(
    name: str, printed: float
) -> None:
    """S(12) plus those who relapsed before and live on, by quadrature; and the simulated curve."""
    scenario = SCENARIOS[name]
    rate, begin = math.log(2) / scenario.after_relapse, scenario.remission_at
    points = [month for month, _ in scenario.event_free if month < 12]
    alive = 12 - begin  # integrate by parts: no density is needed
    late = quad(
        lambda u: float(scenario.in_remission(np.asarray(u))) * rate * math.exp(-rate * (12 - u)),
        begin, 12, points=points,
    )[0]  # fmt: skip
    overall = math.exp(-rate * alive) + late
    assert overall == pytest.approx(printed, abs=0.005)
    curves = mc.simulate_immortal_time(
        scenario=name, outcome="overall_survival", show="curves", replicates=3000
    ).set_index(["group", "month"])
    assert curves.loc[("all", 12.0), "survival"] == pytest.approx(overall, abs=0.006)


@pytest.mark.parametrize("name", SCENARIOS)
def test_all_patients_together_have_the_curve_of_the_paper(name: str) -> None:
    table = mc.simulate_immortal_time(scenario=name, show="curves", replicates=2000)
    assert set(table["group"]) == set(GROUPS)
    curves = table.pivot_table(index="month", columns="group", values="survival").loc[:18.0]
    truth = SCENARIOS[name].in_remission(curves.index.to_numpy())
    np.testing.assert_allclose(curves["all"], truth, atol=0.01)
    apart = curves.loc[6.0]
    assert apart["others"] < apart["all"] < apart["transplanted"]
    first = min(SCENARIOS[name].months_to_transplant)
    assert (curves.loc[: math.floor(first * 2) / 2, "transplanted"] == 1.0).all()


def test_the_curve_is_that_of_kaplan_and_meier() -> None:
    seen = simulate(
        SCENARIOS["rocca"], np.random.default_rng(7), sets=1, patients=4000,
        outcome="event_free_survival", transplant_deaths=0.0,
    )  # fmt: skip
    sums = simulated_time._Sums()
    sums.add(view(seen, "time-fixed", landmark=3.0), compare=False)
    for group, number in ((seen.transplanted, 0), (~seen.transplanted, 1)):
        ends, event = seen.exit[group], seen.event[group]
        theirs = ecdf(CensoredData.right_censored(ends, ~event)).sf.evaluate(MONTHS[:40])
        np.testing.assert_allclose(sums._survival(number)[:40], theirs, atol=0.002)


@pytest.mark.parametrize("outcome", ["event_free_survival", "overall_survival"])
def test_the_prior_of_the_bias_covers_what_the_papers_times_give(outcome: str) -> None:
    prior = parse_prior(LIKELIHOODS["hsct"].parameters["bias"].prior)
    low, high = prior.quantile([0.025, 0.975])
    table = mc.simulate_immortal_time(outcome=outcome)
    found = table.loc[table["method"] == "time-fixed", "log_hr"]
    assert found.between(low, high).all()
    assert low < found.mean() < -0.25
    kept = table[table["method"] == "time-fixed"]
    assert (kept["cloglog"] > kept["log_hr"]).all()  # counts carry less of it
    for _, _, naive, handled in PUBLISHED:
        assert low < math.log(naive / handled) < high
    logs = [round(math.log(naive / handled), 2) for _, _, naive, handled in PUBLISHED]
    assert logs == [-0.40, -0.53]  # as the models print them


def test_plain_cases_bracket_transplants_at_two_to_three_months() -> None:
    """Medians of 6 to 24 months, transplant at 2 to 3 months: about -0.25 to -0.75."""
    slow, mcse = fixed(scenario="slow", patients=1000, replicates=200)
    fast, _ = fixed(scenario="fast", patients=1000, replicates=200)
    assert slow == pytest.approx(-0.25, abs=0.03)
    assert fast == pytest.approx(-0.74, abs=0.03)
    for median, wait in ((11.6, 2.0), (11.6, 3.0), (14.0, 2.5)):
        between, _ = fixed(
            scenario="slow", event_free=median, months_to_transplant=wait, replicates=200
        )
        assert fast < between < slow + 4 * mcse


# --- the table ----------------------------------------------------------------------------------


def test_one_row_a_scenario_and_method_and_the_same_table_for_the_same_seed() -> None:
    table = mc.simulate_immortal_time(replicates=50)
    assert table["scenario"].tolist() == [name for name in SCENARIOS for _ in METHODS]
    assert table["method"].tolist() == [*METHODS] * len(SCENARIOS)
    pd.testing.assert_frame_equal(table, mc.simulate_immortal_time(replicates=50))
    other = mc.simulate_immortal_time(replicates=50, seed=2)
    assert not np.allclose(table["log_hr"], other["log_hr"])
    np.testing.assert_allclose(np.exp(table["log_hr"]), table["hr"])
    assert table.loc[table["method"] == "time-dependent", "cloglog"].isna().all()
    one = mc.simulate_immortal_time(scenario="li2020", replicates=50)
    pd.testing.assert_frame_equal(one, table[table["scenario"] == "li2020"].reset_index(drop=True))


def test_batches_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replicates that are simulated apart are as many, and means of the same distribution."""
    whole = mc.simulate_immortal_time(scenario="li2020", replicates=500)
    monkeypatch.setattr(simulated_time, "_CELLS", 60 * 90)
    parts = mc.simulate_immortal_time(scenario="li2020", replicates=500)
    gap = (whole["log_hr"] - parts["log_hr"]).abs()
    assert (gap < 4 * np.hypot(whole["mcse"], parts["mcse"])).all()
    assert (parts["log_hr"] != whole["log_hr"]).all()
    np.testing.assert_allclose(parts["mcse"] * np.sqrt(500 * parts["estimable"]), parts["sd"])
    assert parts["survival_others"].dropna().to_numpy() == pytest.approx(
        whole["survival_others"].dropna().to_numpy(), abs=0.02
    )


def test_few_patients_leave_ratios_that_cannot_be_estimated() -> None:
    table = mc.simulate_immortal_time(scenario="an2022", patients=13, replicates=400)
    assert (table["estimable"] < 0.8).all()
    assert table["log_hr"].notna().all()
    alone = mc.simulate_immortal_time(scenario="an2022", patients=1, replicates=3)
    assert alone["log_hr"].isna().all()
    assert (alone["estimable"] == 0).all()


def test_a_landmark_before_every_transplant_has_no_transplanted() -> None:
    table = mc.simulate_immortal_time(scenario="li2020", landmark=0.6, replicates=20)
    found = row(table, "landmark")
    assert np.isnan(
        found[["log_hr", "below_one", "cloglog", "survival_transplanted"]].astype(float)
    ).all()


NUMBER = "a number above 0"
LATER = "allowed: that month or later; try: another remission_at"
MESSAGES: list[tuple[dict[str, Any], str]] = [
    (
        {"scenario": "li2021"},
        (
            "scenario: 'li2021' is not known; allowed: an2022, chen2021, li2020, rocca, slow, "
            "fast; try: did you mean 'li2020'?"
        ),
    ),
    ({"scenario": []}, "scenario: no name; allowed: an2022"),
    ({"scenario": 3}, "scenario: 3 is not known"),
    (
        {"outcome": "os"},
        "outcome: 'os' is not known; allowed: 'event_free_survival', 'overall_survival', 'relapse'",
    ),
    (
        {"show": "curve"},
        "show: 'curve' is not known; allowed: 'effects', 'curves'; try: did you mean 'curves'?",
    ),
    ({"patients": 0}, "patients: 0; allowed: a whole number of 1 or more"),
    ({"replicates": 2.5}, "replicates: 2.5; allowed: a whole number of 1 or more"),
    ({"seed": -1}, "seed: -1; allowed: a whole number from 0 to 4294967295"),
    (
        {"patients": 10**6, "replicates": 10**4},
        (
            "replicates: 1000000 patients in 10000 replicates; allowed: at most 20,000,000 "
            "patients in all; try: fewer"
        ),
    ),
    ({"transplant_deaths": 1.0}, "transplant_deaths: 1.0; allowed: a share from 0 to below 1"),
    ({"landmark": -1}, "landmark: -1; allowed: a month, a number of 0 or more"),
    ({"transplanted": 1.5}, f"transplanted: 1.5; allowed: {NUMBER}, up to 1"),
    ({"transplanted": True}, f"transplanted: True; allowed: {NUMBER}, up to 1"),
    (
        {"transplanted": 0.9, "scenario": "fast"},
        (
            "transplanted: 90% of the patients (fast); allowed: at most 66%, who live in remission "
            "until their transplant; try: a smaller share, or earlier transplants"
        ),
    ),
    (
        {"months_to_transplant": "two"},
        "months_to_transplant: 'two'; allowed: a number of 0 or more",
    ),
    (
        {"months_to_transplant": []},
        "months_to_transplant: no number; allowed: one or more, in months",
    ),
    (
        {"months_to_transplant": 0.2, "scenario": "li2020"},
        "months_to_transplant: month 0.2, with remission read in month 0.5 (li2020); " + LATER,
    ),
    ({"event_free": float("nan")}, f"event_free: nan; allowed: {NUMBER}"),
    ({"event_free": {6: 2}}, f"event_free: 2; allowed: {NUMBER}, up to 1"),
    ({"event_free": {}}, "event_free: no month; allowed: one or more, each with its share"),
    (
        {"event_free": {6: 1}, "scenario": "slow"},
        "event_free: nobody has an event; allowed: a share below 1",
    ),
    (
        {"event_free": {6: 0.5, 12: 0.7}, "scenario": "slow"},
        "event_free: 0.5 in month 6, 0.7 in month 12; allowed: shares that do not rise with time",
    ),
    (
        {"event_free": 0.4, "scenario": "li2020"},
        (
            "event_free: month 0.4, with remission read in month 0.5 (li2020); allowed: a month "
            "after that; try: another remission_at"
        ),
    ),
    ({"remission_at": -1}, "remission_at: -1; allowed: a number of 0 or more"),
    ({"after_relapse": 0}, f"after_relapse: 0; allowed: {NUMBER}"),
    ({"follow_up": 3}, "follow_up: 3; allowed: (shortest, longest) in months"),
    (
        {"follow_up": (5, 2), "scenario": "slow"},
        (
            "follow_up: from 5 to 2, with remission read in month 0 (slow); allowed: (shortest, "
            "longest), and beyond remission"
        ),
    ),
    ({"scenerio": "slow"}, "simulate_immortal_time(scenerio=…): no such option"),
]


@pytest.mark.parametrize(("options", "message"), MESSAGES)
def test_what_cannot_be_is_refused_in_words(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        mc.simulate_immortal_time(**options)
    assert message in str(caught.value)


def test_all_faults_come_at_once() -> None:
    with pytest.raises(InputError) as caught:
        mc.simulate_immortal_time(
            scenario="x", outcome="y", show="z", patients=0, landmark="1",
            transplant_deaths=None, after_relapse=-1,
        )  # fmt: skip
    assert len(caught.value.faults) == 7


# --- the figure ---------------------------------------------------------------------------------


def test_the_figure_shows_the_table() -> None:
    collection = mc.plot_immortal_time(replicates=40, backend="none")
    effects = mc.simulate_immortal_time(replicates=40)
    mean = collection.viz["mean"]["mean"]
    for record in effects.to_dict("records"):
        artist = mean.sel(row=f"{record['scenario']}:{record['method']}").item()
        assert artist["x"][0] == pytest.approx(record["hr"])
    assert collection.viz["published"]["published"].sizes["row"] == len(PUBLISHED)
    curves = mc.simulate_immortal_time(replicates=40, show="curves")
    for group in GROUPS:
        artist = collection.viz[group][group].sel(row="about:li2020").item()
        shares = curves[(curves["scenario"] == "li2020") & (curves["group"] == group)]["survival"]
        height = (artist["y"] - artist["y"][0]) / np.ptp(artist["y"])
        fallen = 1 - shares.to_numpy()
        np.testing.assert_allclose(height, fallen / fallen.max())
        assert artist["x"].tolist() == list(MONTHS)
    assert "Li 2020: time-fixed 0." in collection.viz.attrs["alt"]


def test_the_figure_says_what_was_changed_and_what_is_not_null(tmp_path: Any) -> None:
    target = tmp_path / "time.png"
    collection = mc.plot_immortal_time(
        scenario="li2020",
        outcome="overall_survival",
        months_to_transplant=3.0,
        transplant_deaths=0.1,
        landmark=4.0,
        replicates=10,
        file=target,
    )
    assert target.read_bytes().startswith(b"\x89PNG")
    figure = collection.viz["figure"].item()
    said = " ".join(text.get_text() for axes in figure.axes for text in axes.texts)
    assert "Landmark at month 4.0" in said
    assert "transplant at 3.0 months in" in said
    assert "Given in place of what follows: months_to_transplant." in said
    assert "deaths of it in 10 % within a year" in said
    assert "the time-dependent ratio is biased too" in said
    assert "Normal(−0.45, 0.25)" in said


def test_a_figure_that_cannot_be_is_refused_before_it_is_drawn() -> None:
    for options in ({"file": "a.jpg"}, {"backend": "plotly"}, {"scenario": "li"}):
        with pytest.raises(InputError):
            mc.plot_immortal_time(**options)
