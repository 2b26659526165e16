"""What the bias of immortal time and selection may do: closed forms, a grid, bisection by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

import metacart as mc
from metacart.errors import InputError
from metacart.inference.refits import Refit
from metacart.results import tipping_point as room
from metacart.results.selection_sensitivity import null_study

RATIOS = pd.DataFrame(
    {
        "study": ["A 2020", "B 2021", "C 2022", "D 2023"],
        "kind": "ratio",
        "ratio": [0.30, 0.55, 0.42, 0.80],
        "time_handling": ["time-fixed", "unclear", "time-fixed", "time-fixed"],
    }
)
SE = np.array([0.40, 0.35, 0.30, 0.50])
Z = stats.norm.ppf(0.975)
TABLE = RATIOS.assign(
    lower=RATIOS["ratio"] * np.exp(-Z * SE), upper=RATIOS["ratio"] * np.exp(Z * SE)
)
HANDLED = TABLE.assign(time_handling=["time-fixed", "landmark", "time-fixed", "time-dependent"])
Y = np.log(TABLE["ratio"].to_numpy())
CARRIES = np.array([1.0, 0.0, 1.0, 0.0])  # in HANDLED
COMMON = mc.ModelSpec(likelihood="hsct", random_effects="none")
SPREAD = mc.ModelSpec(likelihood="hsct", priors={"tau": "HalfNormal(0.5)"})


def fitted(spec: mc.ModelSpec, table: pd.DataFrame) -> xr.DataTree:
    return mc.fit(spec, table, method="exact", seed=5, progress=False)


@pytest.fixture(scope="module")
def common() -> xr.DataTree:
    return fitted(COMMON, TABLE)


@pytest.fixture(scope="module")
def handled() -> xr.DataTree:
    return fitted(COMMON, HANDLED)


def pooled(y: Any, se: Any) -> tuple[float, float]:
    """Normal prior of SD 1.5, normal data, one true value: mean and SD of the posterior."""
    precision = 1 / 1.5**2 + np.sum(1 / np.asarray(se) ** 2)
    return float(np.sum(np.asarray(y) / np.asarray(se) ** 2) / precision), precision**-0.5


def pooled_with_bias(spread: float) -> tuple[float, float]:
    """Mean and SD of mu where b ~ Normal(-0.45, spread) is estimated with it: two normals."""
    x = np.column_stack([np.ones(4), CARRIES])
    precision = np.diag([1 / 1.5**2, 1 / spread**2]) + x.T @ np.diag(1 / SE**2) @ x
    weighted = np.array([0.0, -0.45 / spread**2]) + x.T @ (Y / SE**2)
    cover = np.linalg.inv(precision)
    return float((cover @ weighted)[0]), float(cover[0, 0] ** 0.5)


def check_ratio(row: Any, mean: float, sd: float) -> None:
    """Hold a row against a log normal ratio."""
    for name, error, share in (
        ("median", "mcse", 0.5),
        ("lower", "mcse_lower", 0.025),
        ("upper", "mcse_upper", 0.975),
    ):
        expected = math.exp(stats.norm.ppf(share, mean, sd))
        assert row[name] == pytest.approx(expected, abs=4 * row[error]), name
    below = stats.norm.cdf(0, mean, sd)
    assert row["p_below_one"] == pytest.approx(below, abs=4 * (below * (1 - below) / 16_000) ** 0.5)


def bisected(function: Callable[[float], float], low: float, high: float) -> float:
    """Halve until the sign change is found; `function` rises."""
    assert function(low) < 0 < function(high)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) < 0 else (low, middle)
    return low


# --- other priors of b --------------------------------------------------------------------------


def test_other_spreads_of_b_widen_a_normal_answer(common: xr.DataTree) -> None:
    mean, sd = pooled(Y, SE)
    table = mc.bias_sensitivity(common)
    assert table["bias"].drop_duplicates().tolist() == [
        "b = 0 (naive)",
        "b ~ Normal(-0.45, 0.15)",
        "b ~ Normal(-0.45, 0.25)",
        "b ~ Normal(-0.45, 0.5)",
    ]
    rows = table.set_index(["bias", "estimand"])
    check_ratio(rows.loc[("b = 0 (naive)", "median study")], mean, sd)
    for spread in (0.15, 0.25, 0.5):
        row = rows.loc[(f"b ~ Normal(-0.45, {spread:g})", "median study")]
        check_ratio(row, mean + 0.45, math.hypot(sd, spread))
        assert row["declared"] == (spread == 0.25)
        assert row["computed"] == ("as fitted" if spread == 0.25 else "b drawn anew")
    own = mc.summarize(common).set_index("estimand")
    declared = table[table["declared"]].set_index("estimand")
    for name in ("median study", "next study"):
        expected = own.loc[f"{name} (immortal-time-adjusted)"]
        assert declared.loc[name, "upper"] == expected["upper"]
        naive = rows.loc[("b = 0 (naive)", name)]
        assert naive["upper"] == own.loc[f"{name} (naive)", "upper"]


def test_with_studies_that_handle_time_each_spread_is_a_joint_fit(handled: xr.DataTree) -> None:
    rows = mc.bias_sensitivity(handled).set_index(["bias", "estimand"])
    check_ratio(rows.loc[("b = 0 (naive)", "median study")], *pooled(Y, SE))
    for spread in (0.15, 0.25, 0.5):
        row = rows.loc[(f"b ~ Normal(-0.45, {spread:g})", "median study")]
        check_ratio(row, *pooled_with_bias(spread))
        assert row["computed"] == ("as fitted" if spread == 0.25 else "refitted")


def test_a_declared_prior_of_another_kind_has_its_own_row() -> None:
    spec = COMMON.model_copy(update={"priors": {"bias": "StudentT(4, -0.3, 0.2)"}})
    table = mc.bias_sensitivity(fitted(spec, TABLE))
    assert table["bias"].drop_duplicates().tolist() == [
        "b = 0 (naive)",
        "b ~ Normal(-0.3, 0.15)",
        "b ~ Normal(-0.3, 0.25)",
        "b ~ StudentT(4, -0.3, 0.2)",
        "b ~ Normal(-0.3, 0.5)",
    ]
    assert table.loc[table["declared"], "bias"].unique().tolist() == ["b ~ StudentT(4, -0.3, 0.2)"]


# --- the tipping point --------------------------------------------------------------------------


def test_a_fixed_bias_shifts_a_normal_answer(common: xr.DataTree) -> None:
    mean, sd = pooled(Y, SE)
    table = mc.tipping_point(common)
    grid = table[(table["row"] == "grid") & (table["estimand"] == "median study")]
    assert grid["bias"].tolist() == pytest.approx([-n / 10 for n in range(11)])
    for row in grid.to_dict("records"):
        check_ratio(row, mean - row["bias"], sd)
        assert row["factor"] == math.exp(row["bias"])
    solved = table[table["row"] == "threshold"].set_index(["estimand", "falls_under"])
    for level in (0.95, 0.5):
        row = solved.loc[("median study", level)]
        # P falls as b does: the value of b at which it is the level, by halving
        by_hand = bisected(lambda b, p=level: stats.norm.cdf(b, mean, sd) - p, -4, 4)
        assert row["bias"] == pytest.approx(by_hand, abs=4 * row["mcse_bias"])
        assert row["mcse_bias"] < 0.01
        assert row["beyond"] == pytest.approx(stats.norm.cdf(row["bias"], -0.45, 0.25))
        assert row["words"] == (
            f"P(HR < 1) falls under {level:g} where immortal time alone gives a hazard ratio of "
            f"{math.exp(row['bias']):.2f} or less"
        )
    assert solved.loc[("median study", 0.5), "median"] == pytest.approx(1.0, abs=1e-9)


def test_thresholds_are_quantiles_of_the_naive_draws() -> None:
    """Of the shipped question, both estimands; the next study tips before the median one."""
    fit = mc.fit("hsct_benefit_os", seed=1, progress=False)
    table = mc.tipping_point(fit, biases=[-0.45])
    solved = table[table["row"] == "threshold"].set_index(["estimand", "falls_under"])["bias"]
    mu = fit["naive"]["mu"].to_numpy()
    for level in (0.95, 0.5):
        assert solved["median study", level] == pytest.approx(np.quantile(mu, level))
    new = fit["naive"]["theta_new"].to_numpy()
    assert solved["next study", 0.95] == pytest.approx(np.quantile(new, 0.95), abs=0.05)
    assert solved["next study", 0.95] > solved["median study", 0.95]
    grid = table[table["row"] == "grid"].set_index("estimand")
    assert grid.loc["median study", "p_below_one"] == np.mean(mu < -0.45)


def test_with_studies_that_handle_time_the_bias_enters_the_fit(handled: xr.DataTree) -> None:
    def exact(bias: float) -> tuple[float, float]:
        return pooled(Y - bias * CARRIES, SE)

    table = mc.tipping_point(handled, biases=[0.0, -0.5, -1.0])
    grid = table[(table["row"] == "grid") & (table["estimand"] == "median study")]
    for row in grid.to_dict("records"):
        check_ratio(row, *exact(row["bias"]))
    solved = table[table["row"] == "threshold"].set_index(["estimand", "falls_under"])
    for level in (0.95, 0.5):
        row = solved.loc[("median study", level)]
        by_hand = bisected(lambda b, p=level: stats.norm.cdf(0, *exact(b)) - p, -3, 3)
        if by_hand < -2:
            assert math.isnan(row["bias"])
            assert row["words"] == (f"P(HR < 1) does not cross {level:g} between b = −2 and 1")
        else:
            assert row["bias"] == pytest.approx(by_hand, abs=0.005 + 4 * row["mcse_bias"])
    assert math.isfinite(solved.loc[("median study", 0.95), "bias"])


def test_a_fixed_bias_with_study_effects_against_a_grid() -> None:
    """P(mu < 0) at b = -0.5, where two of four studies carry it, from a grid over mu and tau."""
    table = mc.tipping_point(fitted(SPREAD, HANDLED), biases=[-0.5])
    row = table[(table["row"] == "grid") & (table["estimand"] == "median study")].iloc[0]
    mu, tau = np.linspace(-5, 5, 2001), np.linspace(0, 3, 601)
    log_mass = stats.norm.logpdf(mu, 0, 1.5)[:, None] + stats.halfnorm.logpdf(tau, scale=0.5)
    for y, se in zip(Y + 0.5 * CARRIES, SE, strict=True):
        log_mass = log_mass + stats.norm.logpdf(y, mu[:, None], np.hypot(tau, se))
    mass = np.exp(log_mass - log_mass.max()).sum(axis=1)
    below = np.cumsum(mass) / mass.sum()
    at_zero = float(np.interp(0.0, mu, below))
    assert row["p_below_one"] == pytest.approx(
        at_zero, abs=4 * (at_zero * (1 - at_zero) / 8000) ** 0.5
    )
    assert row["median"] == pytest.approx(
        math.exp(np.interp(0.5, below, mu)), abs=4 * row["mcse"] + 0.002
    )


def test_an_answer_that_has_tipped_without_any_bias() -> None:
    table = mc.tipping_point(fitted(COMMON, TABLE.assign(ratio=[1.2, 0.9, 1.1, 1.3]).assign(
        lower=lambda t: t["ratio"] / 2, upper=lambda t: t["ratio"] * 2)), biases=[0.0])  # fmt: skip
    solved = table[table["row"] == "threshold"]
    assert (solved["bias"] > 0).all()
    assert solved["words"].iloc[0] == "P(HR < 1) is under 0.95 without any bias"


def test_what_was_fitted_at_a_bias_is_kept(
    handled: xr.DataTree, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = mc.tipping_point(handled, biases=[0.0, -0.5], cache=tmp_path)

    def never(*_given: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr(room, "fitted_again", never)
    again = mc.tipping_point(handled, biases=[0.0, -0.5], cache=tmp_path)
    pd.testing.assert_frame_equal(first, again)
    with pytest.raises(AssertionError):  # another bias is another fit
        mc.tipping_point(handled, biases=[-0.1], cache=tmp_path)


def test_a_value_that_cannot_be_fitted_says_so(
    handled: xr.DataTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = Refit("", None, "cannot be used: no luck")
    monkeypatch.setattr(room, "fitted_again", lambda *_: failed)
    table = mc.tipping_point(handled, biases=[-0.5])
    assert table["median"].isna().all()
    assert table["words"].iloc[-1] == "at b = -0.50: cannot be used: no luck"
    assert table["words"].iloc[0].endswith(": cannot be used: no luck")


# --- selection ----------------------------------------------------------------------------------


def felix_se() -> float:
    """The SE of a difference of log(-log) survival, by the delta method: 5/18 and 40/81 free."""
    parts = [(1 - s) / (n * s * math.log(s) ** 2) for s, n in ((5 / 18, 18), (40 / 81, 81))]
    return math.sqrt(sum(parts))


def test_the_null_study_has_the_size_of_felix() -> None:
    row = null_study("overall_survival")
    assert math.log(row["upper"]) / Z == pytest.approx(felix_se())
    assert math.log(row["lower"]) == pytest.approx(-math.log(row["upper"]))
    assert felix_se() == pytest.approx(0.337, abs=5e-4)
    assert (row["ratio"], row["time_handling"]) == (1.0, "time-fixed")


def test_a_null_study_draws_the_pool_towards_one(common: xr.DataTree) -> None:
    rows = mc.selection_sensitivity(common).set_index(["pool", "estimand"])
    own = mc.summarize(common).set_index("estimand")
    naive = "median study (naive)"
    assert rows.loc[("as pooled", naive), "lower"] == own.loc[naive, "lower"]
    mean, sd = pooled([*Y, 0.0], [*SE, felix_se()])
    row = rows.loc[("null study added", naive)]
    check_ratio(row, mean, sd)
    assert (row["studies"], row["computed"]) == (5, "refitted")
    assert row["reason"] == (
        "papers without a difference print no ratio: one of them, of the size of FELIX "
        "(hazard ratio 1, 0.52 to 1.94)"
    )
    adjusted = rows.loc[("null study added", "median study (immortal-time-adjusted)")]
    check_ratio(adjusted, mean + 0.45, math.hypot(sd, 0.25))


def test_without_counts_the_pool_of_counts_says_so(common: xr.DataTree) -> None:
    table = mc.selection_sensitivity(common)
    counts = table[table["pool"] == "counts only"]
    assert counts["median"].isna().all()
    assert counts["studies"].tolist() == [0] * 4
    assert set(counts["computed"]) == {"cannot be fitted: no study gives the counts of both groups"}


def test_counts_of_a_study_whose_ratio_entered_come_from_its_file() -> None:
    fit = mc.fit("hsct_relapse", seed=1, progress=False)
    inside = mc.selection_sensitivity(fit)
    whole = mc.selection_sensitivity(fit, studies=mc.load_studies())
    for table, studies in ((inside, 6), (whole, 7)):  # Chen 2021: 3/10 against 14/15
        counts = table[table["pool"] == "counts only"]
        assert set(counts["studies"]) == {studies}
        assert counts["median"].notna().all()
    spec = mc.load_model("hsct_relapse").model_copy(update={"kinds": ("contrast",)})
    alone = mc.summarize(mc.fit(spec, seed=1, progress=False)).set_index("estimand")
    found = whole[whole["pool"] == "counts only"].set_index("estimand")
    for name in found.index:
        assert found.loc[name, "median"] == alone.loc[name, "median"]


def test_a_null_study_without_its_moderator_is_a_row_with_the_reason() -> None:
    spec = COMMON.model_copy(update={"moderators": ("year",), "reference": {"year": 2020}})
    table = mc.selection_sensitivity(fitted(spec, TABLE.assign(year=[2018, 2019, 2021, 2022])))
    null = table[table["pool"] == "null study added"]
    assert null["median"].isna().all()
    assert "cannot be fitted" in null["computed"].iloc[0]
    assert "year" in null["computed"].iloc[0]


# --- messages -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rates() -> xr.DataTree:
    table = pd.DataFrame({"study": list("abc"), "events": [9, 5, 13], "total": [10, 8, 19]})
    return fitted(mc.ModelSpec(likelihood="binomial"), table)


@pytest.mark.parametrize("verb", [mc.tipping_point, mc.bias_sensitivity])
def test_a_fit_without_the_bias_is_refused(verb: Callable[..., Any], rates: xr.DataTree) -> None:
    allowed = "a transplant question with comparisons that do not handle immortal time"
    with pytest.raises(InputError) as refused:
        verb(rates)
    assert str(refused.value) == (
        f"fit: analysis, a fit of the likelihood 'binomial'; allowed: {allowed}; try: such as "
        "fit('hsct_benefit_os')"
    )
    with pytest.raises(InputError) as refused:
        verb(fitted(COMMON, TABLE.assign(time_handling="landmark")))
    assert "analysis, in which every comparison handles immortal time" in str(refused.value)


def test_selection_of_rates_is_refused(rates: xr.DataTree) -> None:
    with pytest.raises(InputError, match="a fit of the likelihood 'binomial'; allowed: a transp"):
        mc.selection_sensitivity(rates)


@pytest.mark.parametrize(
    ("biases", "found"),
    [
        ("0.5", "'0.5'"),
        (0.5, "0.5"),
        ([], "no number"),
        ([0.1, float("nan")], "nan"),
        ([True], "True"),
    ],
)
def test_values_of_the_bias_are_numbers(common: xr.DataTree, biases: Any, found: str) -> None:
    with pytest.raises(InputError) as refused:
        mc.tipping_point(common, biases=biases)
    assert str(refused.value).startswith(f"biases: {found}; allowed: ")
    assert "biases=[0, -0.25, -0.5]" in str(refused.value)


def test_unknown_options_are_refused(common: xr.DataTree) -> None:
    with pytest.raises(InputError, match="did you mean 'biases'"):
        mc.tipping_point(common, bias=[0.1])  # type: ignore[call-arg]


# --- the figure ---------------------------------------------------------------------------------


def close(figure: Any) -> None:
    from matplotlib import pyplot as plt

    plt.close(figure.viz["figure"].item())


def test_lines_and_dots_stand_where_the_table_says(common: xr.DataTree) -> None:
    figure = mc.plot_tipping_point(common)
    table = mc.tipping_point(common, biases=np.linspace(0, -1.5, 31))
    grid, solved = (table[table["row"] == row] for row in ("grid", "threshold"))
    plots = {name: figure.get_target(None, {"column": name}) for name in ("ratio", "probability")}
    drawn = {
        str(each.get_gid()): each
        for plot in plots.values()
        for each in (*plot.lines, *plot.collections)
    }
    for name in ("median study", "next study"):
        rows = grid[grid["estimand"] == name]
        np.testing.assert_allclose(drawn[f"p:{name}"].get_xdata(), rows["bias"])
        np.testing.assert_allclose(drawn[f"p:{name}"].get_ydata(), rows["p_below_one"])
    median = grid[grid["estimand"] == "median study"]
    np.testing.assert_allclose(drawn["median:median study"].get_ydata(), median["median"])
    heights = drawn["interval:median study"].get_paths()[0].vertices[:, 1]
    assert heights.max() == pytest.approx(median["upper"].max())
    later = grid[grid["estimand"] == "next study"]
    np.testing.assert_allclose(drawn["upper:next study"].get_ydata(), later["upper"])
    for row in solved.to_dict("records"):
        dot = figure.viz["threshold"]["threshold"].sel(
            row=f"{row['estimand']}:{row['falls_under']:g}"
        )
        place = dot.item().get_offsets()[0]
        np.testing.assert_allclose(place, [row["bias"], row["falls_under"]])
        assert row["words"] in figure.viz.attrs["alt"]
    assert plots["probability"].get_xlim() == (0.0, -1.5)  # the bias grows to the right
    close(figure)


def many(count: int) -> pd.DataFrame:
    rng = np.random.default_rng(count)
    y = rng.normal(-0.6, 0.4, count)
    limits = {name: np.exp(y + sign * 0.7) for name, sign in (("lower", -1), ("upper", 1))}
    names = {"study": [f"Author {n} 2020" for n in range(count)], "kind": "ratio"}
    return pd.DataFrame({**names, "ratio": np.exp(y), **limits, "time_handling": "time-fixed"})


@pytest.mark.parametrize("count", [3, 20])
def test_every_word_of_the_figure_is_inside_it(count: int) -> None:
    figure = mc.plot_tipping_point(fitted(SPREAD, many(count)))
    drawn = figure.viz["figure"].item()
    drawn.canvas.draw()
    width, height = drawn.canvas.get_width_height()
    for axes in drawn.axes:
        ticks = [*axes.get_xticklabels(), *axes.get_yticklabels()] if axes.axison else []
        for text in (*axes.texts, *ticks, *([axes.xaxis.label] if axes.axison else [])):
            if text.get_text().strip():
                box = text.get_window_extent()
                outside = (-1 - box.x0, -1 - box.y0, box.x1 - width - 1, box.y1 - height - 1)
                assert max(outside) <= 0, text.get_text()
    assert drawn.get_size_inches()[0] < 7  # the width of a page in print
    close(figure)


def test_a_threshold_beyond_the_axes_is_said_in_words() -> None:
    strong = TABLE.assign(**{name: TABLE[name] / 4 for name in ("ratio", "lower", "upper")})
    figure = mc.plot_tipping_point(fitted(COMMON, strong), backend="none")
    assert "threshold" not in figure.viz.children  # all lie beyond
    figure = mc.plot_tipping_point(fitted(COMMON, strong))
    words = " ".join(
        text.get_text() for axes in figure.viz["figure"].item().axes for text in axes.texts
    )
    assert "(b = −2." in words
    close(figure)


def test_a_figure_is_refused_before_anything_is_computed(common: xr.DataTree) -> None:
    with pytest.raises(InputError, match=r"the suffix '\.jpg'"):
        mc.plot_tipping_point(common, file="tipping.jpg")
    with pytest.raises(InputError, match="backend: 'plotly' is not known"):
        mc.plot_tipping_point(common, backend="plotly")


# --- in other words -----------------------------------------------------------------------------


def test_the_note_on_the_prior_of_survival_says_what_was_measured() -> None:
    """P(S < 0.05) is P(-log(-log S) < -log(log 20)) under Normal(0, 1.5)."""
    below = stats.norm.cdf(-math.log(math.log(20)) / 1.5)
    above = stats.norm.sf(-math.log(-math.log(0.95)) / 1.5)
    preview = mc.preview_priors("os_12m").set_index("estimand")["median"]
    assert preview["P(median study < 0.05)"] == pytest.approx(below, abs=0.0025)
    assert preview["P(median study > 0.95)"] == pytest.approx(above, abs=0.0025)
    (note,) = (each for each in mc.load_model("os_12m").notes if "prior" in each)
    assert f"puts {100 * below:.0f} of 100 median studies below 5 % survival" in note
    assert f"and {100 * above:.0f} above 95 %" in note
    assert math.exp(-math.exp(-0.37)) == pytest.approx(0.5, abs=0.002)


@pytest.fixture(scope="module")
def counted() -> xr.DataTree:
    counts = {"events": 4, "total": 10, "control_events": 7, "control_total": 12}
    new = {"study": "E 2024", "kind": "contrast", "time_handling": "time-fixed", **counts}
    table = pd.concat([TABLE, pd.DataFrame([new])], ignore_index=True)
    spec = COMMON.model_copy(update={"exposure": "hsct", "baseline": 0.5})
    return fitted(spec.model_copy(update={"outcome": "overall_survival"}), table)


def test_counts_are_said_to_carry_less_where_b_is_explained(
    common: xr.DataTree, counted: xr.DataTree
) -> None:
    from metacart.report.model_words import sentences

    words = "Counts at the last follow-up carry less of it than ratios"
    assert words in " ".join(sentences(counted))
    assert words not in " ".join(sentences(common))


def test_a_ratio_answers_in_patients_at_its_baseline_alone(
    common: xr.DataTree, counted: xr.DataTree
) -> None:
    from metacart.report.absolute_part import absolute_part

    without: Any = absolute_part(common)
    assert without.blocks[0].table is None
    assert "a ratio says nothing of 100 patients without the risk" in without.blocks[0].words
    part: Any = absolute_part(counted)
    table = part.blocks[0].table
    assert table.caption == (
        "Overall survival: if 50 of 100 not transplanted are free of the event, and the ratio "
        "were the effect; median (95 % interval)"
    )
    rows = {row.cells[0]: row.cells for row in table.rows}
    ratio = np.exp(counted["posterior"]["mu"].to_numpy())
    low, middle, high = np.quantile(100 * 0.5**ratio, [0.025, 0.5, 0.975])
    found = rows["Median study (immortal-time-adjusted)"]
    assert found[1] == f"{middle:.0f} of 100 ({low:.0f} to {high:.0f})"
    assert found[3].startswith("NNTB ")
    assert "absolute" in part.frames


def test_two_levels_of_a_rate_answer_in_patients_too(rates: xr.DataTree) -> None:
    from metacart.report.absolute_part import absolute_part

    assert absolute_part(rates) is None  # nothing is compared
    table = pd.DataFrame(
        {
            "study": list("abcd"),
            "events": [3, 5, 8, 6],
            "total": [9, 9, 10, 9],
            "scfv": ["murine", "murine", "humanized", "humanized"],
        }
    )
    spec = mc.ModelSpec(
        likelihood="binomial",
        moderators=("scfv",),
        contrasts=(("scfv", "humanized", "murine"),),
    )
    fit = fitted(spec, table)
    part: Any = absolute_part(fit)
    row = part.blocks[0].table.rows[0].cells
    assert row[:2] == ("scFv origin humanized against murine", "Population average")
    found = mc.absolute(fit)
    needed = found[found["measure"] == "number needed to treat"].iloc[0]
    assert row[3] == needed["words"]
    assert "without randomisation that does not follow" in part.blocks[0].words


def test_a_numeric_moderator_has_its_figure_on_the_page(tmp_path: Any) -> None:
    from metacart.report.figures import Drawer
    from metacart.report.regression_part import regression_part

    spec, drawer = (
        COMMON.model_copy(update={"moderators": ("year",), "reference": {"year": 2020}}),
        Drawer(tmp_path),
    )
    part: Any = regression_part(fitted(spec, TABLE.assign(year=[2018, 2019, 2021, 2022])), drawer)
    name, figure = part.blocks[0].figure
    assert name == "regression-year"
    assert (tmp_path / "regression-year.png").read_bytes()[:4] == b"\x89PNG"
    assert figure.source.startswith("data:image/svg+xml;base64,")
    assert "regression-year" in part.frames
    assert regression_part(fitted(COMMON, TABLE), drawer) is None


def test_the_shell_has_the_short_form(counted: xr.DataTree) -> None:
    from metacart.commands.fit_words import fit_tables
    from metacart.report.time_part import time_tables

    made = list(time_tables(counted, mc.load_studies()))
    assert [table.caption.partition(":")[0] for table in made] == [
        "Under other priors of the bias b",
        "How large a bias tips the answer",
        "What selection may do",
    ]
    shown = [table.caption for table in fit_tables(counted, mc.load_studies()) if table]
    assert shown[-3:] == [table.caption for table in made]
    assert any("if 50 of 100 not transplanted" in caption for caption in shown)
    headings = [column.heading for column in made[-1].columns]
    assert "Why" not in headings
    assert made[1].rows[0].cells[:2] == ("Median study", "0.95")
