"""Figures: their structure against the tables, their files, and room for every name."""

from __future__ import annotations

import itertools
import json
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from fontTools.ttLib import TTFont
from matplotlib import font_manager
from matplotlib import pyplot as plt
from scipy import optimize, stats

from metacart.errors import InputError
from metacart.evidence.bias.judged import risk_of_bias
from metacart.evidence.library import load_studies
from metacart.inference.assemble import groups_of_fit
from metacart.inference.records import design_of, identity
from metacart.modelling.design import bind, scale_of
from metacart.modelling.likelihoods import find_likelihood
from metacart.modelling.priors import resolve_priors
from metacart.plots import (
    close_figure,
    measure,
    plot_forest,
    plot_ppc,
    plot_prior_posterior,
    save_figure,
)
from metacart.plots.axes import linear_axis, percent_axis, ratio_axis
from metacart.plots.forest_differences import _doubt
from metacart.plots.forest_layouts import LAYOUTS
from metacart.plots.lights import LOOKS
from metacart.plots.measure import text_width, wrap
from metacart.plots.numbers import number, span
from metacart.records.spec import ModelSpec
from metacart.records.study import Study
from metacart.report.answer import _contrast
from metacart.report.result_tables import contrast_table
from metacart.results.checks import predictive_checks
from metacart.results.contrast import contrast
from metacart.results.forest_table import forest_table
from metacart.results.heterogeneity import heterogeneity, study_estimates

SPEC = ModelSpec(likelihood="binomial", outcome="complete_remission")
COUNTS = pd.DataFrame(
    {
        "study": ["an2022", "li2020", "li2020", "chen2021", "zhang2021", "maude2014"],
        "label": ["An 2022", "Li 2020", "Li 2020", "Chen 2021", "Zhang 2021", "Maude 2014"],
        "arm": ["hcd19", "cd19", "tandem", "first", "tandem", "all"],
        "arm_label": ["second infusion", "CD19", "CD19 + CD22", "first infusion", None, None],
        "year": [2022, 2020, 2020, 2021, 2023, 2014],
        "events": [13, 24, 12, 25, 5, 0],
        "total": [19, 25, 14, 28, 5, 8],
        "scfv": ["human", "murine", "murine", "human", "murine", "murine"],
    }
)
RATIOS = pd.DataFrame(
    {
        "study": ["li2020", "chen2021", "wide2023"],
        "label": ["Li 2020", "Chen 2021", "Wide 2023"],
        "kind": ["ratio"] * 3,
        "measure": ["hr"] * 3,
        "ratio": [0.25, 0.3, 1.2],
        "lower": [0.1, 0.12, 0.03],
        "upper": [0.625, 0.75, 48.0],
        "level": [0.95] * 3,
        "time_handling": ["time-fixed", "unclear", "time-fixed"],
    }
)
HSCT = ModelSpec(likelihood="hsct", outcome="overall_survival", exposure="hsct")


def make_fit(spec: ModelSpec, evidence: pd.DataFrame, **attributes: Any) -> xr.DataTree:
    """A fit with draws around the data: what figures need, without a sampler."""
    likelihood = find_likelihood(spec)
    design = bind(spec, evidence)
    priors = resolve_priors(spec, design, likelihood)
    rng, shape = np.random.default_rng(1), (2, 400)
    if "events" in design:
        rate = (design["events"] + 1.0) / (design["total"] + 2.0)
        centres = np.log(rate / (1.0 - rate)).to_numpy()
    else:
        centres = design["estimate"].to_numpy()
    noise = rng.normal(scale=0.3, size=(*shape, centres.size))
    values: dict[str, Any] = {
        "mu": (("chain", "draw"), centres.mean() + rng.normal(scale=0.3, size=shape)),
        "theta": (("chain", "draw", "finding"), 0.7 * centres + 0.3 * centres.mean() + noise),
    }
    if "tau" in priors:
        values["tau"] = (("chain", "draw"), np.abs(rng.normal(scale=0.5, size=shape)))
    if design.sizes["coefficient"]:
        beta = rng.normal(0.4, 0.5, size=(*shape, design.sizes["coefficient"]))
        values["beta"] = (("chain", "draw", "coefficient"), beta)
    sampled = xr.Dataset(
        values,
        coords={"chain": np.arange(2), "draw": np.arange(400)}
        | {name: design[name].to_numpy() for name in ("finding", "coefficient")},
    )
    groups = groups_of_fit(spec, design, likelihood, priors, sampled, seed=1)
    fit = xr.DataTree.from_dict(groups)
    fit.attrs = identity(spec, evidence) | {
        "seed": 1,
        "method": "nuts",
        "priors": json.dumps({name: str(prior) for name, prior in priors.items()}),
        "converged": 1,
        "gate": "passed",
        **attributes,
    }
    return fit


@pytest.fixture(scope="module")
def counts_fit() -> xr.DataTree:
    return make_fit(SPEC, COUNTS)


@pytest.fixture(scope="module")
def hsct_fit() -> xr.DataTree:
    return make_fit(HSCT, RATIOS)


@pytest.fixture(scope="module")
def moderated_fit() -> xr.DataTree:
    return make_fit(SPEC.model_copy(update={"moderators": ("scfv",)}), COUNTS)


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    plt.close("all")


# --- reading figures ----------------------------------------------------------------------------


def artists(pc: Any, name: str) -> dict[str, list[Any]]:
    """The artists of a visual by row (or the like), in their order."""
    data = pc.viz[name].dataset
    array = data[next(iter(data.data_vars))]
    dim = array.dims[0]
    return {
        str(key): [item for item in np.ravel(array.sel({dim: key}).to_numpy()) if item is not None]
        for key in array[dim].to_numpy()
    }


def texts(pc: Any, name: str) -> dict[str, str]:
    read = (lambda item: item["string"]) if pc.backend == "none" else (lambda item: item.get_text())
    return {key: "\n".join(map(read, found)) for key, found in artists(pc, name).items()}


def spots(pc: Any, name: str) -> dict[str, float]:
    return {key: float(found[0].get_offsets()[0, 0]) for key, found in artists(pc, name).items()}


def lines(pc: Any, name: str) -> dict[str, tuple[float, float]]:
    return {
        key: tuple(map(float, found[0].get_xdata())) for key, found in artists(pc, name).items()
    }


def diamonds(pc: Any) -> dict[str, tuple[float, float, float]]:
    """Lower end, highest point and upper end of each diamond."""
    found = {}
    for key, (artist,) in artists(pc, "diamond").items():
        vertices = artist.get_paths()[0].vertices
        top = vertices[np.argmin(vertices[:, 1]), 0]
        found[key] = (float(vertices[:, 0].min()), float(top), float(vertices[:, 0].max()))
    return found


def plot_of(pc: Any, name: str) -> Any:
    return pc.get_target(None, {"column": name})


def note_text(pc: Any) -> str:
    return "\n".join(text.replace("\n", " ") for text in texts(pc, "notes").values())


# --- the forest plot: rows and marks ------------------------------------------------------------


def test_rows_of_counts_stand_as_in_the_evidence(counts_fit: xr.DataTree) -> None:
    pc = plot_forest(counts_fit)
    assert list(texts(pc, "study").values()) == [
        *COUNTS["label"],
        "Population average",
        "Median study",
        "Next study",
    ]
    assert list(texts(pc, "evidence").values()) == [
        "13/19",
        "24/25",
        "12/14",
        "25/28",
        "5/5",
        "0/8",
        "79/99",
    ]
    assert texts(pc, "arm")["study:zhang2021/tandem"] == "tandem"
    assert texts(pc, "estimate")["study:an2022/second infusion"] == "68"
    assert texts(pc, "interval")["study:an2022/second infusion"] == "[43–87]"
    weights = forest_table(counts_fit)["weight"].dropna()
    assert list(texts(pc, "weight").values()) == [f"{weight:.0f}" for weight in weights]


@pytest.mark.parametrize(
    ("sort", "first", "last"),
    [
        (None, "An 2022", "Maude 2014"),
        ("name", "An 2022", "Zhang 2021"),
        ("year", "Maude 2014", "Zhang 2021"),
        ("effect", "Maude 2014", "Zhang 2021"),
        ("precision", "Chen 2021", "Zhang 2021"),
    ],
)
def test_order_of_the_studies(
    counts_fit: xr.DataTree, sort: str | None, first: str, last: str
) -> None:
    pc = plot_forest(counts_fit, sort=sort)
    names = list(texts(pc, "study").values())[:6]
    assert (names[0], names[-1]) == (first, last)
    assert sorted(names) == sorted(COUNTS["label"])
    # the marks follow their names
    heights = {key: found[0].get_offsets()[0, 1] for key, found in artists(pc, "crude").items()}
    assert list(heights.values()) == sorted(heights.values())


def test_marks_stand_where_the_table_says(counts_fit: xr.DataTree) -> None:
    pc, table = plot_forest(counts_fit), forest_table(counts_fit)
    studies = table[table["row"] == "study"]
    assert list(spots(pc, "crude").values()) == pytest.approx(COUNTS["events"] / COUNTS["total"])
    assert list(spots(pc, "shrunken").values()) == pytest.approx(studies["shrunken"])
    wanted = zip(studies["shrunken_lower"], studies["shrunken_upper"], strict=True)
    for drawn, (low, high) in zip(lines(pc, "shrunken_interval").values(), wanted, strict=True):
        assert drawn == pytest.approx((low, high))
    summaries = table[table["row"] == "summary"]
    for row, drawn in zip(summaries.itertuples(), diamonds(pc).values(), strict=True):
        assert drawn == pytest.approx((row.shrunken_lower, row.shrunken, row.shrunken_upper))
    after = table[table["row"] == "prediction"].iloc[0]
    assert lines(pc, "next_study")["prediction:next study"] == pytest.approx(
        (after["shrunken_lower"], after["shrunken_upper"])
    )
    assert list(summaries["label"]) == ["population average", "median study"]
    line = lines(pc, "pooled_line")["summary:population average"]
    assert line == pytest.approx((summaries.iloc[0]["shrunken"],) * 2)
    tick = spots(pc, "next_study_median")["prediction:next study"]
    assert tick == pytest.approx(after["shrunken"])
    filled = [found[0].get_facecolor()[0][0] < 1 for found in artists(pc, "diamond").values()]
    assert filled == [True, False]


def test_all_and_none_have_one_sided_exact_intervals(counts_fit: xr.DataTree) -> None:
    drawn = lines(plot_forest(counts_fit), "crude_interval")
    assert drawn["study:maude2014/all"] == pytest.approx((0.0, 1 - 0.025 ** (1 / 8)))
    assert drawn["study:zhang2021/tandem"] == pytest.approx((0.025 ** (1 / 5), 1.0))


def test_areas_of_squares_are_in_proportion_to_patients(counts_fit: xr.DataTree) -> None:
    squares = artists(plot_forest(counts_fit), "crude")
    area = {key: float(found[0].get_sizes()[0]) for key, found in squares.items()}
    assert area["study:chen2021/first infusion"] == pytest.approx(
        2 * area["study:li2020/CD19 + CD22"]
    )


def test_areas_of_squares_of_ratios_are_in_proportion_to_precision(hsct_fit: xr.DataTree) -> None:
    squares = artists(plot_forest(hsct_fit), "crude")
    area = [float(found[0].get_sizes()[0]) for found in squares.values()]
    width = np.log(RATIOS["upper"] / RATIOS["lower"])
    assert area[0] / area[1] == pytest.approx((width[1] / width[0]) ** 2)
    assert area[2] == LAYOUTS["default"].area[0]  # the least that is seen


def test_shrunken_and_prediction_can_be_left_out(counts_fit: xr.DataTree) -> None:
    pc = plot_forest(counts_fit, shrunken=False, prediction=False)
    assert not {"shrunken", "shrunken_interval", "next_study"} & set(pc.viz.children)
    assert "Next study" not in texts(pc, "study").values()
    assert not {"as the model sees it", "next study"} & set(texts(pc, "key").values())


def test_a_table_with_nothing_but_counts() -> None:
    table = COUNTS[["study", "events", "total"]].head(1)
    pc = plot_forest(make_fit(ModelSpec(likelihood="binomial"), table))
    assert next(iter(texts(pc, "study").values())) == "an2022"
    assert "arm" not in pc.viz.children
    assert note_text(pc).startswith("1 study, 19 patients, 13 events. Between-study SD τ")
    assert axis_label(pc, "forest") == "Rate, % of patients"


def axis_label(pc: Any, panel: str) -> str:
    found = plot_of(pc, panel).findobj(lambda artist: artist.get_gid() == "axis_label")
    return str(found[0].get_text())


# --- the forest plot: weights -------------------------------------------------------------------


def shares_by_hand(fit: xr.DataTree, information: Any) -> np.ndarray[Any, Any]:
    """One draw after the other, one study after the other."""
    theta, tau = (fit["posterior"][name].to_numpy() for name in ("theta", "tau"))
    group = fit["constant_data"]["group"].to_numpy()
    shares = []
    for chain, draw in np.ndindex(tau.shape):
        parts = np.zeros(group.size)
        for study in set(group):
            inside = np.flatnonzero(group == study)
            each = np.asarray([information(i, theta[chain, draw, i]) for i in inside])
            parts[inside] = each / each.sum() / (1.0 / each.sum() + tau[chain, draw] ** 2)
        shares.append(parts / parts.sum())
    return 100.0 * np.mean(shares, axis=0)


def test_weights_of_counts_are_shares_of_information_at_the_posterior(
    counts_fit: xr.DataTree,
) -> None:
    total = COUNTS["total"].to_numpy()

    def information(finding: int, theta: float) -> float:
        p = 1.0 / (1.0 + np.exp(-theta))
        return float(total[finding] * p * (1.0 - p))

    weights = study_estimates(counts_fit)["weight"]
    assert weights.sum() == pytest.approx(100)
    assert weights.to_numpy() == pytest.approx(shares_by_hand(counts_fit, information), rel=1e-9)


def test_weights_of_ratios_come_from_their_standard_errors(hsct_fit: xr.DataTree) -> None:
    se = hsct_fit["constant_data"]["se"].to_numpy()
    by_hand = shares_by_hand(hsct_fit, lambda finding, _theta: se[finding] ** -2)
    assert study_estimates(hsct_fit)["weight"].to_numpy() == pytest.approx(by_hand, rel=1e-9)


def test_i_squared_has_the_information_of_the_weights(counts_fit: xr.DataTree) -> None:
    posterior, total = counts_fit["posterior"], COUNTS["total"].to_numpy()
    p = 1.0 / (1.0 + np.exp(-posterior["theta"].to_numpy()))
    w, tau2 = total * p * (1.0 - p), posterior["tau"].to_numpy() ** 2
    typical = 5 * w.sum(-1) / (w.sum(-1) ** 2 - (w**2).sum(-1))
    row = heterogeneity(counts_fit).set_index("quantity").loc["I squared"]
    assert "misleads for proportions" in row["note"]
    wanted = np.quantile(tau2 / (tau2 + typical), [0.025, 0.5, 0.975])
    assert row[["lower", "median", "upper"]].tolist() == pytest.approx(wanted.tolist())


def test_one_finding_has_no_weight() -> None:
    pc = plot_forest(make_fit(SPEC, COUNTS.head(1)))
    assert "weight" not in pc.viz.children
    assert "Weight" not in note_text(pc)


def test_rates_at_their_very_end_still_share_the_weight() -> None:
    fit = make_fit(SPEC, COUNTS)
    fit["posterior"]["theta"][:] = 800.0
    assert study_estimates(fit)["weight"].sum() == pytest.approx(100)
    assert heterogeneity(fit)["median"].notna().all()


# --- the forest plot: axes ----------------------------------------------------------------------


def test_rates_stand_on_an_axis_of_0_to_100_percent(counts_fit: xr.DataTree) -> None:
    forest = plot_of(plot_forest(counts_fit), "forest")
    assert list(forest.get_xticks()) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    labels = [tick.get_text() for tick in forest.get_xticklabels()]
    assert labels == ["0", "20", "40", "60", "80", "100"]
    assert forest.get_xlim()[0] < 0 < 1 < forest.get_xlim()[1]  # squares at the ends are whole


def test_ratios_stand_on_a_log_axis_and_long_intervals_end_in_arrows(
    hsct_fit: xr.DataTree,
) -> None:
    pc = plot_forest(hsct_fit)
    forest = plot_of(pc, "forest")
    assert forest.get_xscale() == "log"
    labels = [tick.get_text() for tick in forest.get_xticklabels()]
    assert labels == ["0.03", "0.1", "0.3", "1", "3", "10", "30"]
    drawn = lines(pc, "crude_interval")
    assert len(drawn) == 3
    assert drawn["study:wide2023"] == pytest.approx((0.03, 48.0))
    assert drawn["study:li2020"] == pytest.approx((0.1, 0.625))
    assert "crude_interval_below" not in pc.viz.children
    null = forest.findobj(lambda artist: artist.get_gid() == "null")
    assert list(null[0].get_xdata()) == [1.0, 1.0]
    wider = RATIOS.assign(lower=[0.1, 0.12, 0.0003], upper=[0.625, 0.75, 4800.0])
    pc = plot_forest(make_fit(HSCT, wider))
    low, high = plot_of(pc, "forest").get_xlim()
    assert 0.0003 < low < 0.03
    assert 48 < high < 4800
    assert lines(pc, "crude_interval")["study:wide2023"] == pytest.approx((low, high))
    assert spots(pc, "crude_interval_below") == pytest.approx({"study:wide2023": low})
    assert spots(pc, "crude_interval_above") == pytest.approx({"study:wide2023": high})


def test_ratios_of_studies_have_the_digits_of_their_paper(hsct_fit: xr.DataTree) -> None:
    pc = plot_forest(hsct_fit)
    assert list(texts(pc, "estimate").values())[:3] == ["0.250", "0.30", "1.20"]
    assert list(texts(pc, "interval").values())[:3] == [
        "[0.100–0.625]",
        "[0.12–0.75]",
        "[0.03–48.00]",
    ]
    printed = list(texts(plot_ppc(hsct_fit), "observed_text").values())
    assert printed[:3] == ["0.250", "0.30", "1.20"]
    # an interval of another level is computed, as is a number with many digits
    for changes in ({"level": 0.9}, {"upper": [0.625001, 0.75, 48.0]}):
        pc = plot_forest(make_fit(HSCT, RATIOS.assign(**changes)))
        assert texts(pc, "estimate")["study:li2020"] == "0.25"
        assert "as printed" not in note_text(pc)


def test_ratio_axis_holds_every_point_and_has_the_fields_ticks() -> None:
    axis = ratio_axis("HR", points=[0.3, 4.0], intervals=[(0.1, 0.9), (1.6, 10.0)])
    assert (axis.low, axis.high) == (0.07, 20.0)  # no interval ends where the axis ends
    assert axis.ticks == (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
    assert axis.tick_labels == ("0.1", "0.2", "0.5", "1", "2", "5", "10", "20")
    short = ratio_axis("HR", points=[0.14, 0.36], intervals=[(0.031, 0.62), (0.06, 2.67)])
    assert (short.low, short.high) == (0.02, 3.0)
    alone = ratio_axis("HR", points=[2.0], intervals=[(1e-4, 4e4)])
    assert alone.low < 1e-4 < 4e4 < alone.high
    endless = ratio_axis("HR", points=[1e-30, 1e30], intervals=[(0.0, float("inf"))])
    assert endless.low < 1e-30 < 1e30 < endless.high
    assert len(endless.ticks) <= 12
    far = ratio_axis("HR", points=[0.004, 300.0], intervals=[(0.0001, 0.2)])
    assert far.low <= 0.004
    assert far.high >= 300.0
    assert all(np.log10(tick) == round(np.log10(tick)) for tick in far.ticks)
    narrow = ratio_axis("HR", points=[1.0], intervals=[(0.9, 1.1)])
    assert (narrow.low, narrow.high) == (0.5, 2.0)


def test_linear_axis_is_not_dwarfed_by_one_study() -> None:
    axis = linear_axis("x", points=[0.0, 1.0, 2.0], intervals=[(-1, 1), (0, 2), (-500, 504)])
    assert -10 < axis.low <= -1
    assert 2 <= axis.high < 10
    assert [float(label.replace("−", "-")) for label in axis.tick_labels] == list(axis.ticks)


def test_percent_axis_words() -> None:
    assert percent_axis("CR, %").label == "CR, %"


# --- the forest plot: transplant ----------------------------------------------------------------


def test_naive_and_adjusted_stand_side_by_side(hsct_fit: xr.DataTree) -> None:
    pc = plot_forest(hsct_fit)
    assert list(diamonds(pc)) == [
        "summary:median study (naive)",
        "summary:median study (immortal-time-adjusted)",
    ]
    naive, adjusted = (middle for _, middle, _ in diamonds(pc).values())
    assert adjusted > naive  # the bias made transplant look better
    faces = [found[0].get_facecolor()[0] for found in artists(pc, "diamond").values()]
    assert tuple(faces[0][:3]) == (1.0, 1.0, 1.0)
    assert tuple(faces[1][:3]) != (1.0, 1.0, 1.0)
    assert set(pc.viz.children) >= {"next_study", "next_study_naive"}
    assert texts(pc, "evidence")["study:chen2021"] == "HR 0.30, unclear"
    # the dashed line is the naive median's: it has its colour and ends at its diamond
    (line,) = artists(pc, "pooled_line")["summary:median study (naive)"]
    assert list(line.get_xdata()) == pytest.approx([naive, naive])
    edges = [found[0].get_edgecolor()[0] for found in artists(pc, "diamond").values()]
    assert mpl.colors.to_rgba(line.get_color()) == pytest.approx(tuple(edges[0]))
    heights = [found[0].get_paths()[0].vertices[:, 1] for found in artists(pc, "diamond").values()]
    assert max(line.get_ydata()) < min(heights[1])
    key = list(texts(pc, "key").values())
    assert "line at the median study (naive)" in key
    assert "as the model sees it, naive" in key
    sides = {
        artist.get_gid(): artist.get_text()
        for artist in plot_of(pc, "forest").texts
        if str(artist.get_gid()).startswith("favours")
    }
    assert sides == {
        "favours_below": "← favours transplant",
        "favours_above": "favours no transplant →",
    }
    panel = plot_of(pc, "forest").get_window_extent()
    for artist in plot_of(pc, "forest").texts:
        box = artist.get_window_extent()
        assert panel.x0 <= box.x0 < box.x1 <= panel.x1
    assert "drawn from its prior" in note_text(pc)


def test_ratios_without_an_exposure_favour_nothing() -> None:
    table = RATIOS[["study", "ratio", "lower", "upper"]].assign(level=0.95)
    pc = plot_forest(make_fit(ModelSpec(likelihood="normal"), table))
    assert not [t for t in plot_of(pc, "forest").texts if str(t.get_gid()).startswith("favours")]
    assert axis_label(pc, "forest") == "Ratio (log scale)"


# --- the forest plot: subgroups -----------------------------------------------------------------


def test_subgroups_have_their_diamonds_and_their_difference(moderated_fit: xr.DataTree) -> None:
    pc, table = plot_forest(moderated_fit), forest_table(moderated_fit)
    assert list(texts(pc, "study").values()) == [
        "scFv: murine",
        "\u2002Li 2020",
        "\u2002Li 2020",
        "\u2002Zhang 2021",
        "\u2002Maude 2014",
        "\u2002Population average",
        "scFv: human",
        "\u2002An 2022",
        "\u2002Chen 2021",
        "\u2002Population average",
        "All studies, population average",
        "All studies, median study",
        "Next study",
        "Human − murine, percentage points" + ("*" if footnoted(pc) else ""),
    ]
    assert texts(pc, "evidence")["subgroup:human, population average"] == "38/47"
    drawn = diamonds(pc)
    for row in table[table["row"] == "subgroup"].itertuples():
        wanted = (row.shrunken_lower, row.shrunken, row.shrunken_upper)
        assert drawn[f"subgroup:{row.subgroup}, {row.label}"] == pytest.approx(wanted)
    compared = contrast(moderated_fit, "scfv", "human", "murine")
    row = compared[compared["measure"] == "risk difference"].iloc[0]
    key = "difference:human − murine, percentage points"
    assert texts(pc, "estimate")[key] == f"{100 * row['median']:.0f}".replace("-", "−")
    assert texts(pc, "probability")[key] == f"P(difference > 0) = {row['p_better']:.2f}"
    assert "Human against murine (population average): " in note_text(pc)


def footnoted(pc: Any) -> bool:
    return "mostly the prior" in note_text(pc)


def test_probability_of_a_difference_does_not_follow_what_is_better() -> None:
    spec = SPEC.model_copy(update={"moderators": ("scfv",)})
    key = "difference:human − murine, percentage points"
    said = [
        texts(plot_forest(make_fit(spec.model_copy(update=update), COUNTS)), "probability")[key]
        for update in ({}, {"outcome": "severe_crs"})
    ]
    assert said[0] == said[1]


@pytest.mark.parametrize(("limit", "doubted"), [(0.0, True), (100.0, False)])
def test_figure_page_and_table_say_alike_what_is_mostly_the_prior(
    moderated_fit: xr.DataTree, monkeypatch: pytest.MonkeyPatch, limit: float, doubted: bool
) -> None:
    """Each follows the table, wherever its limit lies."""
    monkeypatch.setattr("metacart.results.contrast._PRIOR_DOMINATED", limit)
    table = contrast(moderated_fit, "scfv", "human", "murine")
    outcome = load_studies().vocabulary["complete_remission"]
    said = _contrast(table, outcome, scale_of(design_of(moderated_fit)))[2]
    assert ("mostly the prior" in said) is doubted
    assert footnoted(plot_forest(moderated_fit)) is doubted
    cells = {row.cells[:2]: row.cells for row in contrast_table(table).rows}
    found = cells["Population average", "risk difference"]
    assert ("mostly the prior" in found) is doubted


def test_the_figure_names_the_measure_that_is_mostly_the_prior() -> None:
    table = pd.DataFrame(
        {
            "estimand": ["population average"] * 2,
            "measure": ["odds ratio", "risk difference"],
            "posterior_to_prior_sd": [0.56, 0.44],
        }
    )
    assert _doubt(table, table.iloc[1]) == (
        "mostly the prior: the SD of the log odds ratio is 0.56 of the prior's"
    )
    assert _doubt(table, table.iloc[0]) == "mostly the prior: its SD is 0.56 of the prior's"


def test_next_studies_apart_are_never_mostly_the_prior() -> None:
    """Their effects have the same variance in posterior and prior, however much the data say."""
    fit = make_fit(SPEC.model_copy(update={"moderators": ("scfv",)}), COUNTS)
    known, prior = fit["posterior"].to_dataset(), fit["prior"].to_dataset()
    fit["posterior"] = known.assign(
        beta=0.4 + 0.01 * (known["beta"] - 0.4), tau=0.0 * known["tau"] + 1.0
    )
    fit["prior"] = prior.assign(tau=0.0 * prior["tau"] + 1.0)
    table = contrast(fit, "scfv", "human", "murine")
    apart = table[table["estimand"] == "next studies, one level in each"]
    assert (apart["posterior_to_prior_sd"] > 0.5).any()
    assert table.attrs["mostly_prior"] == []


def test_subgroups_can_be_switched_off(moderated_fit: xr.DataTree) -> None:
    pc = plot_forest(moderated_fit, subgroups=False)
    names = list(texts(pc, "study").values())
    assert names == [*COUNTS["label"], "Population average", "Median study", "Next study"]
    assert set(forest_table(moderated_fit, subgroups=False)["row"]) == {
        "study",
        "summary",
        "prediction",
    }


def test_subgroups_of_an_unknown_moderator_are_refused(moderated_fit: xr.DataTree) -> None:
    with pytest.raises(InputError) as error:
        plot_forest(moderated_fit, subgroups="scfw")
    assert str(error.value) == (
        "subgroups: 'scfw' is no categorical moderator of the model; allowed: scfv; "
        "try: did you mean 'scfv'?"
    )


# --- the forest plot: words ---------------------------------------------------------------------


def test_footer_says_how_many_and_how_different(counts_fit: xr.DataTree) -> None:
    notes = note_text(plot_forest(counts_fit))
    assert notes.startswith(
        "5 studies (6 arms), 99 patients, 79 events. Between-study SD τ (log odds)"
    )
    low, middle, high = np.quantile(counts_fit["posterior"]["tau"], [0.025, 0.5, 0.975])
    assert f"{middle:.2f} [{low:.2f}–{high:.2f}]. Model: " in notes
    assert "priors μ ~ Normal(0, 1.5), τ ~ HalfNormal(1)" in notes
    assert "Clopper–Pearson" in notes
    share = "Weight: share of information at the posterior, 1/(variance within the study + τ²)"
    assert share in notes


def test_footnotes_have_one_sign_for_one_text() -> None:
    table = COUNTS.assign(population=["infused"] * 3 + ["evaluable", "evaluable", "enrolled"])
    pc = plot_forest(make_fit(SPEC, table))
    names = list(texts(pc, "study").values())
    assert names[3:6] == ["Chen 2021*", "Zhang 2021*", "Maude 2014†"]
    # three of the five others are infused: most
    assert note_text(pc).endswith(
        "* evaluable patients, most others: all infused\n† all enrolled, most others: all infused"
    )


def test_rows_of_a_fallback_population_say_so() -> None:
    """Against the order of the question, not against what most rows count."""
    spec = SPEC.model_copy(update={"population": ("infused", "evaluable", "enrolled")})
    table = COUNTS.assign(
        population=["evaluable"] * 4 + ["infused", "enrolled"],
        scfv_certainty=["stated"] * 3 + ["inferred"] * 2 + ["stated"],
    )
    pc = plot_forest(make_fit(spec, table))
    names = [name.split(" ")[1][4:] for name in list(texts(pc, "study").values())[:6]]
    assert names == ["*", "*", "*", "*†", "†", "‡"]
    assert note_text(pc).endswith(
        "* fallback: evaluable patients, where the question wants all infused\n"
        "† scFv origin inferred\n"
        "‡ fallback: all enrolled, where the question wants all infused"
    )


@pytest.mark.parametrize(
    ("populations", "words"),
    [
        (["responders", "infused"], "patients in remission, the other study: all infused"),
        (
            ["infused", "responders", "infused"],
            "patients in remission, the other studies: all infused",
        ),
        (["enrolled", "infused", "responders"], "patients in remission"),
    ],
)
def test_a_footnote_says_who_the_patients_are(populations: list[str], words: str) -> None:
    table = COUNTS.drop_duplicates("study").head(len(populations)).assign(population=populations)
    flags = forest_table(make_fit(SPEC, table)).set_index("study")["flag"]
    assert flags[table["study"].iloc[populations.index("responders")]] == words


@pytest.mark.parametrize("plot", [plot_forest, plot_ppc])
def test_a_fit_that_failed_says_so_first(plot: Any) -> None:
    pc = plot(make_fit(SPEC, COUNTS, converged=0, gate="R-hat 1.4"))
    words = "This fit did not converge and must not be used: R-hat 1.4."
    assert texts(pc, "notes")["0"] == words


def test_models_without_and_with_heavy_study_effects() -> None:
    table = COUNTS.drop_duplicates("study")
    fit = make_fit(SPEC.model_copy(update={"random_effects": "student_t"}), table)
    tau = float(np.median(fit["posterior"]["tau"]))
    notes = note_text(plot_forest(fit))
    assert f"Between-study scale τ (log odds) of Student-t effects, ν = 4: {tau:.2f} [" in notes
    assert f"SD {tau * np.sqrt(2):.2f}. Model: " in notes  # nu / (nu - 2) = 2

    none = make_fit(SPEC.model_copy(update={"random_effects": "none"}), table)
    notes = note_text(plot_forest(none))
    assert "No study effects: all studies share one true value." in notes
    assert "τ" not in notes


def test_names_that_need_two_lines_are_indented_in_both() -> None:
    spec = SPEC.model_copy(update={"moderators": ("scfv",)})
    pc = plot_forest(make_fit(spec, many(4, f"{LONG} {{}}")))
    first, second = texts(pc, "study")["study:s0/second infusion, humanized"].split("\n")
    assert first[0] == second[0] == "\u2002"
    assert f"{first[1:]} {second[1:]}" == f"{LONG} 0"


def test_description_in_words(counts_fit: xr.DataTree) -> None:
    attributes = plot_forest(counts_fit).viz.attrs
    assert attributes["title"] == "Complete remission"
    row = forest_table(counts_fit).set_index("label").loc["median study"]
    low, middle, high = (
        f"{100 * row[name]:.3g}" for name in ("shrunken_lower", "shrunken", "shrunken_upper")
    )
    assert f"Median study: {middle} % (95 % interval {low} to {high})." in attributes["alt"]


@pytest.mark.parametrize(
    ("value", "measure", "places", "text"),
    [
        (0.684, "rate", 0, "68"),
        (1.0, "rate", 1, "100.0"),
        (0.0, "rate", 0, "0"),
        (0.25, "ratio", None, "0.25"),
        (0.25, "ratio", 3, "0.250"),
        (0.068, "ratio", None, "0.068"),
        (0.0996, "ratio", None, "0.10"),
        (9.96, "ratio", None, "10.0"),
        (123.4, "ratio", None, "123"),
        (0.0001, "ratio", None, "1e−04"),
        (-0.001, "value", 2, "0.00"),
        (-1.234, "value", 1, "−1.2"),
        (np.nan, "rate", 0, ""),
        (np.inf, "ratio", 0, "∞"),
    ],
)
def test_numbers_in_cells(value: float, measure: Any, places: int | None, text: str) -> None:
    assert number(value, measure, places) == text


def test_intervals_in_cells() -> None:
    assert span(0.1, 0.25, "rate", 0) == "[10–25]"
    assert span(-1.0, 0.5, "value", 1) == "[−1.0 to 0.5]"
    assert span(-0.1, 0.25, "rate", 0, signed=True) == "[−10 to 25]"
    assert span(np.nan, 0.25, "rate", 0) == ""


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"sort": "efect"},
            (
                "sort: 'efect' is not known; allowed: None, 'name', 'year', 'effect', "
                "'weight', 'precision'; try: did you mean 'effect'?"
            ),
        ),
        (
            {"backend": "bokeh"},
            "backend: 'bokeh' is not known; allowed: 'matplotlib', 'none'",
        ),
    ],
)
def test_unknown_options_are_refused(
    counts_fit: xr.DataTree, options: dict[str, str], message: str
) -> None:
    with pytest.raises(InputError) as error:
        plot_forest(counts_fit, **options)
    assert str(error.value) == message


def test_sorting_by_a_year_that_is_not_there_is_refused() -> None:
    fit = make_fit(SPEC, COUNTS.drop(columns="year"))
    with pytest.raises(InputError, match="'year', but the evidence has no column 'year'"):
        plot_forest(fit, sort="year")


@pytest.mark.parametrize("plot", [plot_forest, plot_ppc, plot_prior_posterior])
@pytest.mark.parametrize(
    ("name", "found", "attempt"),
    [
        ("figure.jpg", "the suffix '.jpg'", "figure.png"),
        ("figure.sgv", "the suffix '.sgv'", "figure.svg"),
        ("figure", "no suffix", "figure.svg"),
    ],
)
def test_other_suffixes_are_refused_before_anything_is_drawn(
    plot: Any, name: str, found: str, attempt: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    with pytest.raises(InputError) as error:
        plot(None, file=path)  # not even looked at
    assert str(error.value) == (f"{path}: file: {found}; allowed: .png, .svg, .pdf; try: {attempt}")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_no_file(counts_fit: xr.DataTree, tmp_path: Path) -> None:
    folder = tmp_path / "figure.svg"
    folder.mkdir()
    with pytest.raises(InputError, match="a folder; allowed: the name of a file"):
        plot_forest(counts_fit, file=folder)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file; allowed: a folder"):
        plot_forest(counts_fit, file=tmp_path / "file" / "figure.svg")


# --- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plot", "suffix"),
    [
        (plot_forest, ".png"),
        (plot_forest, ".SVG"),
        (plot_forest, ".pdf"),
        (plot_ppc, ".svg"),
        (plot_prior_posterior, ".svg"),
    ],
)
def test_files_are_the_same_each_time(
    counts_fit: xr.DataTree, plot: Any, suffix: str, tmp_path: Path
) -> None:
    first, second = tmp_path / f"a{suffix}", tmp_path / "new" / f"b{suffix}"
    plot(counts_fit, file=first)
    plot(counts_fit, file=second)
    assert first.read_bytes() == second.read_bytes()
    assert plt.get_fignums() == []
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"a{suffix}", "new"]


def test_png_has_300_dots_an_inch_and_its_description(
    counts_fit: xr.DataTree, tmp_path: Path
) -> None:
    pc = plot_forest(counts_fit, file=tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    at = content.index(b"pHYs") + 4
    assert int.from_bytes(content[at : at + 4]) == 11811  # a metre has 39.37 inches
    width = int.from_bytes(content[16:20])
    assert width == pytest.approx(300 * pc.viz["figure"].item().get_size_inches()[0], abs=1)
    assert b"Description" in content


def test_pdf_has_its_font_inside_as_text(counts_fit: xr.DataTree, tmp_path: Path) -> None:
    plot_forest(counts_fit, file=tmp_path / "a.pdf")
    content = (tmp_path / "a.pdf").read_bytes()
    assert content.startswith(b"%PDF")
    # TrueType, whole: FontFile2 under a Type 42 or CID font, and no Type 3 shapes
    assert b"FontFile2" in content
    assert b"/Type3" not in content
    assert b"CreationDate" not in content


def test_svg_says_what_it_shows(tmp_path: Path) -> None:
    table = COUNTS.assign(label=["<script>alert(1)</script> & co", *COUNTS["label"][1:]])
    fit = make_fit(SPEC.model_copy(update={"title": "CR < 50 % & more"}), table)
    pc = plot_forest(fit, file=tmp_path / "a.svg")
    root = ET.fromstring((tmp_path / "a.svg").read_bytes())
    space = "{http://www.w3.org/2000/svg}"
    assert [child.tag.removeprefix(space) for child in root[:2]] == ["title", "desc"]
    assert root[0].text == "CR < 50 % & more"
    assert root[1].text == pc.viz.attrs["alt"]
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == f"{root[0].get('id')} {root[1].get('id')}"
    assert not root.findall(f".//{space}script")
    assert b"dc:date" not in (tmp_path / "a.svg").read_bytes()


def test_a_file_is_written_whole_or_not_at_all(
    counts_fit: xr.DataTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.svg"
    path.write_text("before")
    pc = plot_forest(counts_fit)

    def full(self: Path, _target: Path) -> Path:
        assert self.stat().st_size > 10_000
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(InputError, match="takes no such file: no space left"):
        save_figure(pc, path)
    assert path.read_text() == "before"
    assert [item.name for item in tmp_path.iterdir()] == ["a.svg"]


def test_a_place_that_takes_no_files_is_told_in_words(
    counts_fit: xr.DataTree, tmp_path: Path
) -> None:
    # a name that every file system refuses, whoever asks, and the longest that it takes
    name = f"{'a' * 251}.svg"
    with pytest.raises(InputError) as error:
        plot_forest(None, file=tmp_path / f"a{name}")  # not even looked at
    assert f"a{name}: file: '{tmp_path}' takes no such file: " in str(error.value)
    plot_forest(counts_fit, file=tmp_path / name)
    assert [item.name for item in tmp_path.iterdir()] == [name]


def test_figures_can_be_saved_later_and_closed(counts_fit: xr.DataTree, tmp_path: Path) -> None:
    pc = plot_forest(counts_fit)
    assert len(plt.get_fignums()) == 1
    close_figure(pc)
    assert plt.get_fignums() == []
    assert save_figure(pc, tmp_path / "later.svg") == tmp_path / "later.svg"
    plot_forest(counts_fit, file=tmp_path / "now.svg")
    assert (tmp_path / "later.svg").read_bytes() == (tmp_path / "now.svg").read_bytes()


def test_the_users_settings_neither_change_nor_matter(
    counts_fit: xr.DataTree, tmp_path: Path
) -> None:
    plot_forest(counts_fit, file=tmp_path / "plain.svg")
    changes = {"font.size": 30.0, "axes.facecolor": "black", "savefig.bbox": "tight"}
    with mpl.rc_context(changes):
        before = dict(mpl.rcParams)
        plot_forest(counts_fit, file=tmp_path / "styled.svg")
        assert dict(mpl.rcParams) == before
    assert (tmp_path / "plain.svg").read_bytes() == (tmp_path / "styled.svg").read_bytes()


def test_without_a_backend_the_structure_stays(counts_fit: xr.DataTree, tmp_path: Path) -> None:
    drawn, bare = plot_forest(counts_fit), plot_forest(counts_fit, backend="none")
    assert set(bare.viz.children) == set(drawn.viz.children)
    for column in ("study", "evidence", "estimate", "interval", "weight", "notes", "key"):
        assert texts(bare, column) == texts(drawn, column)
    square = artists(bare, "crude")["study:an2022/second infusion"][0]
    assert square["x"][0] == pytest.approx(13 / 19)
    with pytest.raises(InputError, match="backend 'none' draws nothing; allowed: 'matplotlib'"):
        save_figure(bare, tmp_path / "a.svg")


# --- room ---------------------------------------------------------------------------------------

LONG = "Consortium for the International Registry of Cellular Immunotherapies 2023"


def many(count: int, name: str = "Author {} 2021") -> pd.DataFrame:
    rng = np.random.default_rng(count)
    total = rng.integers(3, 300, count)
    events = rng.binomial(total, rng.beta(5, 2, count))
    events[0], events[-1] = 0, total[-1]
    return pd.DataFrame(
        {
            "study": [f"s{position}" for position in range(count)],
            "label": [name.format(position) for position in range(count)],
            "arm_label": ["" if n % 3 else "second infusion, humanized" for n in range(count)],
            "events": events,
            "total": total,
            "scfv": ["murine" if n % 2 else "human" for n in range(count)],
        }
    )


def boxes(pc: Any) -> list[tuple[str, Any]]:
    figure = pc.viz["figure"].item()
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    found = [
        artist
        for plot in figure.axes
        for artist in plot.findobj(mpl.text.Text)
        if artist.get_visible() and artist.get_text().strip() and plot_shows(plot, artist)
    ]
    return [(artist.get_text(), artist.get_window_extent(renderer)) for artist in found]


def plot_shows(plot: Any, artist: Any) -> bool:
    """Labels of an axis that is off, or of ticks beyond its ends, are not drawn."""
    if artist in plot.yaxis.findobj(mpl.text.Text):
        return False
    if artist not in plot.xaxis.findobj(mpl.text.Text):
        return True
    low, high = plot.get_xlim()
    return bool(plot.axison and low <= artist.get_position()[0] <= high)


@pytest.mark.parametrize(
    ("spec", "table"),
    [
        (SPEC, many(1)),
        (SPEC, many(12, f"{LONG} {{}}")),
        (SPEC, many(60)),
        (SPEC.model_copy(update={"moderators": ("scfv",)}), many(6, "N{0}CT02349698" * 6)),
        (
            SPEC.model_copy(update={"moderators": ("scfv",)}),
            many(4, "{}").drop(columns="arm_label"),
        ),
        (SPEC, many(3, "安 {} $x_1^2$ Ñandú, Çelik & Łoś")),
        (HSCT, RATIOS),
        (HSCT, RATIOS.assign(label=LONG)),
    ],
    ids=[
        "one",
        "long names",
        "sixty",
        "long words",
        "short words",
        "signs",
        "ratios",
        "long ratios",
    ],
)
@pytest.mark.parametrize("plot", [plot_forest, plot_ppc])
def test_no_text_meets_another_or_leaves_the_page(
    plot: Any, spec: ModelSpec, table: pd.DataFrame
) -> None:
    with warnings.catch_warnings():
        # a machine without fonts for every script says so; room is kept all the same
        warnings.filterwarnings("ignore", message="the figure shows □")
        pc = plot(make_fit(spec, table))
        found = boxes(pc)
    figure = pc.viz["figure"].item()
    page = figure.bbox
    assert len(found) > 3 * len(table)
    for text, box in found:
        assert page.x0 <= box.x0, text
        assert box.x1 <= page.x1, text
        assert page.y0 <= box.y0, text
        assert box.y1 <= page.y1, text
    for (one, first), (other, second) in itertools.combinations(found, 2):
        # a hair's breadth: boxes hold the room of letters that are not there
        across = min(first.x1, second.x1) - max(first.x0, second.x0)
        down = min(first.y1, second.y1) - max(first.y0, second.y0)
        assert across <= 0.5 or down <= 0.5, (one, other)
    panel = plot_of(pc, "forest" if plot is plot_forest else "checks").get_window_extent()
    for column in ("study", "arm", "evidence"):
        if column in pc.viz.children:
            for found_texts in artists(pc, column).values():
                assert all(a.get_window_extent().x1 < panel.x0 for a in found_texts)


def test_no_text_of_prior_and_posterior_meets_another() -> None:
    names = {"prior_hsct_and_other_long_names": [1.0, 2.0, 3.0, 4.0, 5.0, 7.0]}
    table = COUNTS.assign(**names)
    spec = SPEC.model_copy(update={"moderators": ("scfv", *names)})
    pc = plot_prior_posterior(make_fit(spec, table))
    found, page = boxes(pc), pc.viz["figure"].item().bbox
    assert all(page.contains(box.x0, box.y0) and page.contains(box.x1, box.y1) for _, box in found)
    for (one, first), (other, second) in itertools.combinations(found, 2):
        across = min(first.x1, second.x1) - max(first.x0, second.x0)
        down = min(first.y1, second.y1) - max(first.y0, second.y0)
        assert across <= 0.5 or down <= 0.5, (one, other)


def test_a_font_installed_since_matplotlib_listed_its_fonts_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A font under a name of the fallbacks, and a file that is none, appear on the machine."""
    made = TTFont(font_manager.findfont("DejaVu Sans"))
    for table in made["cmap"].tables:
        table.cmap = {ord("安"): made.getGlyphName(40)}
    for record in made["name"].names:
        if record.nameID in (1, 4, 6, 16):
            record.string = "Noto Sans CJK SC"
    made.save(tmp_path / "new.ttf")
    (tmp_path / "none.ttf").write_text("no font")
    files = [str(tmp_path / name) for name in ("none.ttf", "new.ttf")]
    listed = list(font_manager.fontManager.ttflist)
    others = [entry for entry in listed if entry.name not in measure._FALLBACKS]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", others)
    try:
        for paths, shown in (([], "□"), (files, "安")):
            monkeypatch.setattr(font_manager, "findSystemFonts", lambda paths=paths: paths)
            measure._families.cache_clear()
            measure._letters.cache_clear()
            assert measure.drawable("安 2021") == f"{shown} 2021"
        assert measure._families() == ["DejaVu Sans", "Noto Sans CJK SC"]
    finally:
        monkeypatch.undo()
        measure._families.cache_clear()
        measure._letters.cache_clear()


def test_letters_that_no_font_has_are_told_once_and_by_name(tmp_path: Path) -> None:
    # a letter of Unicode's private use area: no font has it
    label = ["Li \uf8fe 2020", "Wu \uf8fe 2021", *COUNTS["label"][2:]]
    fit = make_fit(SPEC, COUNTS.assign(label=label))
    for suffix in ("svg", "png", "pdf"):
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            pc = plot_forest(fit, file=tmp_path / f"a.{suffix}")
        assert len(told) == 1
        assert "no font of this machine has: \uf8fe in 'Li \uf8fe 2020' and 1 more" in (
            str(told[0].message)
        )
        assert told[0].filename == __file__
    assert texts(pc, "study")["study:an2022/second infusion"] == "Li □ 2020"


def test_wrapping_keeps_every_letter() -> None:
    text = f"{LONG} NCT02349698_NCT02349698_NCT02349698 x"
    wrapped = wrap(text, 1.0)
    assert max(text_width(line) for line in wrapped.split("\n")) <= 1.0
    assert wrapped.replace("\n", "").replace(" ", "") == text.replace(" ", "")
    assert wrap("short", 1.0) == "short"


# --- the predictive check -----------------------------------------------------------------------


def test_predictive_check_stands_as_its_table(counts_fit: xr.DataTree) -> None:
    pc = plot_ppc(counts_fit)
    checks = predictive_checks(counts_fit)
    checks = checks[checks["check"] == "finding"].set_index("finding")
    assert len(checks) == 6
    observed, replicated = spots(pc, "observed"), lines(pc, "replicated")
    for name, row in checks.iterrows():
        assert observed[f"finding:{name}"] == pytest.approx(row["observed"])
        assert replicated[f"finding:{name}"] == pytest.approx((row["lower"], row["upper"]))
    assert list(observed.values())[:6] == pytest.approx(COUNTS["events"] / COUNTS["total"])
    half = lines(pc, "replicated_half")["finding:an2022/hcd19"]
    draws = counts_fit["posterior_predictive"]["y"].sel(finding="an2022/hcd19")
    assert half == pytest.approx(np.quantile(draws, [0.25, 0.75]) / 19)


def test_predictive_check_shows_what_all_findings_say_together() -> None:
    """Arms without events and with events only, counted by hand in data and replicates."""
    table = many(8).assign(total=6, events=[0, 6, 0, 3, 2, 6, 6, 4])
    fit = make_fit(SPEC, table)
    pc = plot_ppc(fit)
    again = fit["posterior_predictive"]["y"].transpose(..., "finding").to_numpy().reshape(-1, 8)
    observed, named = spots(pc, "observed"), texts(pc, "study")
    whole, half = lines(pc, "replicated"), lines(pc, "replicated_half")
    for row, words, seen, drawn in (
        ("mean", "Mean", 27 / 48, again.mean(1) / 6),
        ("lowest", "Lowest", 0.0, again.min(1) / 6),
        ("highest", "Highest", 1.0, again.max(1) / 6),
        ("without events", "Arms without events", 2 / 8, (again == 0).mean(1)),
        ("with events only", "Arms with events only", 3 / 8, (again == 6).mean(1)),
    ):
        assert named[f"check:{row}"] == words
        assert observed[f"check:{row}"] == pytest.approx(seen)
        assert whole[f"check:{row}"] == pytest.approx(np.quantile(drawn, [0.025, 0.975]))
        assert half[f"check:{row}"] == pytest.approx(np.quantile(drawn, [0.25, 0.75]))
    assert texts(pc, "evidence")["check:without events"] == "2/8"
    spread = 100 * np.std(table["events"] / 6)
    assert texts(pc, "observed_text")["check:SD"] == f"{spread:.0f}"
    assert "check:SD" not in observed
    assert "check:mean" not in spots(plot_ppc(make_fit(SPEC, table[:1])), "observed")


def test_predictive_check_marks_what_surprises() -> None:
    table = many(20).assign(total=100, events=95)
    table.loc[7, "events"] = 1
    pc = plot_ppc(make_fit(SPEC, table))
    assert "1 of 20 reported values" in texts(pc, "notes")["0"].replace("\n", " ")
    sizes = {key: float(found[0].get_sizes()[0]) for key, found in artists(pc, "observed").items()}
    assert next(key for key, size in sizes.items() if size == max(sizes.values())) == "finding:s7"


def test_predictive_check_of_ratios_has_a_log_axis(hsct_fit: xr.DataTree) -> None:
    pc = plot_ppc(hsct_fit)
    assert plot_of(pc, "checks").get_xscale() == "log"
    observed = spots(pc, "observed")
    assert list(observed.values())[:3] == pytest.approx(RATIOS["ratio"])
    assert observed["check:geometric mean"] == pytest.approx(stats.gmean(RATIOS["ratio"]))
    assert (observed["check:lowest"], observed["check:highest"]) == pytest.approx((0.25, 1.2))


def test_predictive_check_needs_its_draws(counts_fit: xr.DataTree) -> None:
    bare = counts_fit.drop_nodes("posterior_predictive")
    with pytest.raises(InputError, match="no group posterior_predictive"):
        plot_ppc(bare)


# --- prior against posterior --------------------------------------------------------------------


def intervals_of(pc: Any, name: str) -> dict[str, tuple[float, ...]]:
    array = pc.viz["interval"]["interval"].sel(parameter=name)
    return {
        str(group): tuple(map(float, array.sel(group=group).item().get_xdata()))
        for group in array["group"].to_numpy()
    }


def test_prior_and_posterior_of_each_parameter(moderated_fit: xr.DataTree) -> None:
    pc = plot_prior_posterior(moderated_fit)
    parameters = pc.viz["plot"]["parameter"].to_numpy().tolist()
    assert parameters == ["mu", "tau", "beta:scfv[human]"]
    ends = intervals_of(pc, "mu")
    assert ends["posterior"] == pytest.approx(
        np.quantile(moderated_fit["posterior"]["mu"], [0.025, 0.975])
    )
    beta = intervals_of(pc, "beta:scfv[human]")
    assert beta["prior"] == pytest.approx((-1.959964, 1.959964), rel=1e-5)  # Normal(0, 1)
    tau = pc.viz["median"]["median"].sel(parameter="tau", group="prior").item()
    assert tau.get_offsets()[0, 0] == pytest.approx(0.6744898)  # the median of |z|


def test_prior_density_is_exact_and_on_the_posteriors_scale(counts_fit: xr.DataTree) -> None:
    pc = plot_prior_posterior(counts_fit)
    curves = pc.viz["density"]["density"].sel(parameter="mu")
    x, prior = curves.sel(group="prior").item().get_data()
    _, posterior = curves.sel(group="posterior").item().get_data()
    shape = np.exp(-0.5 * (x / 1.5) ** 2)
    assert prior / prior.max() == pytest.approx(shape / shape.max(), rel=1e-9)
    assert posterior.max() == 1.0
    # the posterior is all inside the window, so its area gives the scale of both
    area = np.trapezoid(posterior, x)
    inside = np.trapezoid(prior, x) / area
    density = np.trapezoid(shape / (1.5 * np.sqrt(2 * np.pi)), x)
    assert inside == pytest.approx(density, rel=2e-3)


def test_bias_that_the_data_do_not_inform_is_said_to_be_its_prior(hsct_fit: xr.DataTree) -> None:
    pc = plot_prior_posterior(hsct_fit)
    parameters = pc.viz["plot"]["parameter"].to_numpy().tolist()
    assert parameters == ["mu_naive", "mu", "tau", "bias"]
    figure = pc.viz["figure"].item()
    words = " ".join(text.get_text() for plot in figure.axes for text in plot.texts)
    assert "the data say nothing about the bias" in words
    assert intervals_of(pc, "bias")["prior"] == pytest.approx(
        (-0.45 - 0.25 * 1.959964, -0.45 + 0.25 * 1.959964), rel=1e-5
    )
    assert intervals_of(pc, "bias")["posterior"] == intervals_of(pc, "bias")["prior"]
    # mu as it was fitted stands against the prior that was stated
    assert intervals_of(pc, "mu_naive")["posterior"] == pytest.approx(
        np.quantile(hsct_fit["naive"]["mu"], [0.025, 0.975])
    )
    assert "prior 0.00 [−2.94 to 2.94]" in words
    # and mu less the bias against Normal(0, 1.5) less Normal(-0.45, 0.25)
    z, wide = 1.959964, np.hypot(1.5, 0.25)
    limits = f"prior 0.45 [{0.45 - z * wide:.2f} to {0.45 + z * wide:.2f}]"
    assert limits.replace("-", "−") in words


def test_prior_of_a_mean_less_a_bias_of_any_form_has_no_sampling_noise() -> None:
    spec = HSCT.model_copy(
        update={"priors": {"mu": "StudentT(5, 0, 1)", "bias": "Normal(-0.5, 0.4)"}}
    )
    said = [
        item.get_text()
        for plot in plot_prior_posterior(make_fit(spec, RATIOS)).viz["figure"].item().axes
        for item in plot.texts
        if item.get_gid() == "prior_mu"
    ]
    # P(mu - b < x) by quadrature over b, as a plain oracle
    b = np.linspace(-3.0, 2.0, 4001)
    weight = stats.norm(-0.5, 0.4).pdf(b) * (b[1] - b[0])

    def below(x: float) -> float:
        return float((stats.t(5).cdf(x + b) * weight).sum())

    low, middle, high = (
        optimize.brentq(lambda x, q=q: below(x) - q, -20, 20) for q in (0.025, 0.5, 0.975)
    )
    assert said == [f"prior {middle:.2f} [{low:.2f} to {high:.2f}]".replace("-", "−")]


# --- the forest plot: lights of risk of bias ----------------------------------------------------

SOURCES = COUNTS[COUNTS["study"].isin(["an2022", "li2020", "chen2021"])]


@pytest.mark.parametrize("tool", [None, "jbi", "minors", "robins_i"])
def test_each_row_has_the_lights_of_its_study(tool: Any) -> None:
    library = load_studies()
    pc = plot_forest(make_fit(SPEC, SOURCES), studies=library, risk_of_bias=tool)
    table = risk_of_bias(library, tool=tool or "jbi")
    wanted = {study: sorted(own["light"]) for study, own in table.groupby("study")}
    found: dict[str, list[str]] = {}
    heights: dict[str, set[float]] = {}
    for light in LOOKS:
        name = f"light_{light.replace(' ', '_')}"
        for row, (circles,) in (artists(pc, name) if name in pc.viz.children else {}).items():
            found.setdefault(row, []).extend([light] * len(circles.get_offsets()))
            heights.setdefault(row, set()).update(circles.get_offsets()[:, 1].round(6).tolist())
    assert set(found) == set(texts(pc, "arm"))  # studies only, no pooled row
    for row, lights in found.items():
        assert sorted(lights) == wanted[row.removeprefix("study:").split("/")[0]]
    # the lights of a row stand on its line
    for row, (square,) in artists(pc, "crude").items():
        (height,) = heights[row]
        assert height == pytest.approx(square.get_offsets()[0, 1] + 0.03)


def test_the_letters_are_explained_and_the_unclear_counted() -> None:
    pc = plot_forest(make_fit(SPEC, SOURCES), studies=load_studies())
    notes = note_text(pc)
    assert (
        "Risk of bias, JBI checklist for case series: A\u00a0clear criteria for inclusion; B"
        in notes
    )
    assert "Unclear: 6 of 30 judgements (20 %)." in notes  # An 1, Chen 4, Li 1
    table = plot_of(pc, "table")
    letters = [t for t in table.texts if str(t.get_gid()).startswith("heading_bias_")]
    assert [letter.get_text() for letter in letters] == list("ABCDEFGHIJ")
    assert {"yes: low risk of bias", "no: high risk", "unclear"} <= set(texts(pc, "key").values())


def test_questions_on_transplant_are_judged_by_robins_i() -> None:
    fit = make_fit(HSCT, RATIOS[RATIOS["study"] != "wide2023"])
    notes = note_text(plot_forest(fit, studies=load_studies()))
    assert "Risk of bias, ROBINS-I, transplant against none after CAR-T" in notes


def test_no_lights_unless_the_studies_are_known(counts_fit: xr.DataTree) -> None:
    for pc in (
        plot_forest(counts_fit),
        plot_forest(make_fit(SPEC, SOURCES), studies=load_studies(), risk_of_bias=False),
    ):
        assert not [name for name in pc.viz.children if name.startswith("light_")]
        assert "Risk of bias" not in note_text(pc)


@pytest.mark.parametrize(
    ("tool", "message"),
    [
        (
            "jbi",
            (
                "risk_of_bias: 'jbi', but a fit holds its evidence table and not the files of its "
                "studies; allowed: the studies that it was fitted to, beside it; try: "
                "plot_forest(fit, studies=load_studies(), risk_of_bias='jbi')"
            ),
        ),
        (
            "robbins",
            (
                "risk_of_bias: 'robbins' is not known; allowed: 'jbi', 'minors', 'robins_i', "
                "False; try: did you mean 'robins_i'?"
            ),
        ),
    ],
)
def test_a_tool_without_the_studies_or_unknown_is_refused(tool: Any, message: str) -> None:
    with pytest.raises(InputError) as error:
        plot_forest(make_fit(SPEC, SOURCES), risk_of_bias=tool)
    assert str(error.value) == message


def test_every_study_that_is_not_known_is_named(counts_fit: xr.DataTree) -> None:
    with pytest.raises(InputError) as error:
        plot_forest(counts_fit, studies=[load_studies()["chen2021"]])
    assert str(error.value).split("\n") == [
        f"studies: '{study}' of the fit is not among them; allowed: the studies that were fitted; "
        "try: load its folder too, or draw no lights: risk_of_bias=False"
        for study in ("an2022", "li2020", "zhang2021", "maude2014")
    ]


def test_a_study_without_the_comparison_has_no_domains(study_data: Any) -> None:
    plain = Study.from_mapping(study_data(id="an2022"))
    with pytest.raises(InputError) as error:
        plot_forest(make_fit(SPEC, SOURCES.head(1)), studies=[plain], risk_of_bias="robins_i")
    assert str(error.value) == (
        "risk_of_bias: 'robins_i', but 'an2022' does not compare transplanted with other "
        "patients; allowed: 'jbi', 'minors' or False"
    )
