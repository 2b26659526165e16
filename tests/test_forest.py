"""Forest plots of every layout: ten hard tables of evidence, columns by name, fits side by side."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib import pyplot as plt
from scipy import special, stats

import metacart as mc
from metacart.errors import InputError
from metacart.plots.axes import logit_axis, percent_axis, ratio_axis
from metacart.plots.forest_layouts import LAYOUTS
from metacart.plots.forest_options import check_part

COUNTS = {"likelihood": "binomial", "outcome": "complete_remission", "random_effects": "none"}
GROUPS = {
    "likelihood": "two_arm",
    "outcome": "death",
    "exposure": "hsct",
    "random_effects": "none",
}
LONG = "Consortium for the International Registry of Cellular Immunotherapies"


def counts(number: int, name: str = "Author {} 2021", **further: Any) -> pd.DataFrame:
    rng = np.random.default_rng(number)
    total = rng.integers(8, 90, number)
    table = {
        "study": [f"s{position}" for position in range(number)],
        "label": [name.format(position) for position in range(number)],
        "year": [2010 + 7 * position % 15 for position in range(number)],
        "events": rng.binomial(total, 0.7),
        "total": total,
    }
    return pd.DataFrame(table | further)


TWO = pd.DataFrame(
    {
        "study": list("abcdef"),
        "label": [f"{name} 2020" for name in ("Able", "Baker", "Cole", "Dunn", "Early", "Frost")],
        "events": [0, 1, 12, 30, 0, 5],
        "total": [10, 40, 60, 200, 12, 5],
        "control_events": [6, 9, 20, 60, 0, 1],
        "control_total": [9, 38, 55, 190, 11, 30],
    }
)
PRODUCTS = ["a", "b", "c", "a", "d", "b", "e"]
OWN = pd.DataFrame(
    {
        "study": [f"s{n}" for n in range(6)],
        "Follow-up, months": [6.5, 12, np.nan, 3, 8, 10],
        "centre": ["Paris", "Wuhan", None, "London", "Leiden", "Basel"],
    }
)
CASES: dict[str, tuple[dict[str, Any], pd.DataFrame, dict[str, Any]]] = {
    "four": (COUNTS, counts(4), {"prediction": "density"}),
    "sixty": (COUNTS, counts(60), {}),
    "one": (COUNTS, counts(1), {}),
    "long names": (COUNTS, counts(6, LONG + " {} 2021", arm_label="CD19/CD22 " * 6), {}),
    "none and all": (
        COUNTS,
        counts(5).assign(events=[0, 9, 0, 12, 4], total=[7, 9, 23, 12, 8]),
        {"axis": "logit"},
    ),
    "huge and tiny": (
        COUNTS,
        counts(4).assign(events=[9100, 3, 40, 1], total=[12000, 5, 60, 3]),
        {},
    ),
    "extreme ratios": (GROUPS, TWO, {"limits": (0.1, 10)}),
    "gaps": (
        COUNTS,
        counts(4).assign(age=[11.0, np.nan, 34.5, 9], blasts=["high", None, "low", None]),
        {"columns": ["study", "age", "blasts", "evidence", "forest", "effect", "weight"]},
    ),
    "many subgroups": (
        COUNTS | {"moderators": ("product",)},
        counts(7).assign(product=PRODUCTS),
        {},
    ),
    "letters": (
        COUNTS,
        counts(4).assign(label=["安 2021", "Łoś & Çelik 2019", "Иванов 2020", "Παπάς $x_1$ 2022"]),
        {},
    ),
    "own columns": (
        COUNTS,
        counts(6),
        {
            "extra": OWN,
            "columns": ["study", "centre", "Follow-up, months", "forest", "effect", "model"],
            "width": 8.0,
        },
    ),
}


def fitted(spec: dict[str, Any], table: pd.DataFrame) -> xr.DataTree:
    return mc.fit(mc.ModelSpec(**spec), table, seed=1, draws=2000, progress=False)


@pytest.fixture(scope="module")
def fits() -> dict[str, xr.DataTree]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few draws: figures need no more
        return {name: fitted(spec, table) for name, (spec, table, _) in CASES.items()}


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    plt.close("all")


def draw(fit: Any, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the figure shows □")
        return mc.plot_forest(fit, **options)


def texts(pc: Any, name: str) -> dict[str, str]:
    data = pc.viz[name].dataset
    array = data[next(iter(data.data_vars))]
    return {
        str(row): "\n".join(
            item.get_text() for item in np.ravel(array.sel(row=row).to_numpy()) if item is not None
        )
        for row in array["row"].to_numpy()
    }


def drawn(pc: Any, name: str) -> dict[str, Any]:
    data = pc.viz[name].dataset
    array = data[next(iter(data.data_vars))]
    return {str(row): array.sel(row=row).item() for row in array["row"].to_numpy()}


def notes(pc: Any) -> str:
    data = pc.viz["notes"].dataset
    array = data[next(iter(data.data_vars))]
    return " ".join(item.get_text() for item in np.ravel(array.to_numpy()) if item is not None)


def heading(pc: Any, name: str) -> str:
    table = pc.get_target(None, {"column": "table"})
    found = table.findobj(lambda artist: artist.get_gid() == f"heading_{name}")
    return " ".join(artist.get_text() for artist in found)


def from_left(pc: Any) -> list[str]:
    """The columns and panels, as they stand."""
    found = []
    for name in pc.viz.children:
        data = pc.viz[name].dataset
        if "row" not in data.sizes:
            continue
        (item,) = (i for i in np.ravel(data[next(iter(data.data_vars))].to_numpy())[:1])
        if isinstance(item, mpl.text.Text) and name != "probability":
            found.append((item.get_window_extent().x0, name))
    return [name for _, name in sorted(found)]


# --- ten hard tables ----------------------------------------------------------------------------


# every table in one layout, every layout with several tables; all of them were looked at
@pytest.mark.parametrize(("case", "layout"), [*zip(CASES, itertools.cycle(LAYOUTS))])
def test_no_text_meets_another_or_leaves_the_page(
    fits: dict[str, xr.DataTree], case: str, layout: str
) -> None:
    pc = draw(fits[case], layout=layout, **CASES[case][2])
    figure = pc.viz["figure"].item()
    renderer = figure.canvas.get_renderer()
    found = []
    for plot in figure.axes:
        low, high = plot.get_xlim()
        for artist in plot.findobj(mpl.text.Text):
            tick = artist in plot.xaxis.findobj(mpl.text.Text)
            beyond = tick and not (plot.axison and low <= artist.get_position()[0] <= high)
            hidden = beyond or artist in plot.yaxis.findobj(mpl.text.Text)
            if artist.get_visible() and artist.get_text().strip() and not hidden:
                found.append((artist.get_text(), artist.get_window_extent(renderer)))
    page = figure.bbox
    edges = np.asarray([box.extents for _, box in found])
    assert (edges[:, :2] >= [page.x0, page.y0]).all()
    assert (edges[:, 2:] <= [page.x1, page.y1]).all()
    across = np.minimum(edges[:, None, 2], edges[None, :, 2])
    across -= np.maximum(edges[:, None, 0], edges[None, :, 0])
    down = np.minimum(edges[:, None, 3], edges[None, :, 3])
    down -= np.maximum(edges[:, None, 1], edges[None, :, 1])
    meet = np.triu((across > 0.5) & (down > 0.5), 1)
    assert [(found[i][0], found[j][0]) for i, j in zip(*np.nonzero(meet), strict=True)] == []


def test_every_study_is_drawn_whatever_its_numbers(fits: dict[str, xr.DataTree]) -> None:
    for case in ("none and all", "extreme ratios", "huge and tiny"):
        pc = draw(fits[case], layout="bmj", **CASES[case][2])
        rows = [f"study:{study}" for study in CASES[case][1]["study"]]
        assert [*drawn(pc, "crude_interval")] == rows
        marks = [name for name in pc.viz.children if name in _MARKS]
        seen = [row for name in marks for row in drawn(pc, name)]
        unknown = ["study:e"] if case == "extreme ratios" else []  # 0/12 v 0/11 has no estimate
        assert sorted([*seen, *unknown]) == sorted(rows)


_MARKS = ("crude", "crude_below", "crude_above")


def test_clipped_intervals_end_in_arrows(fits: dict[str, xr.DataTree]) -> None:
    pc = draw(fits["extreme ratios"], limits=(0.1, 10))
    panel = pc.get_target(None, {"column": "forest"})
    assert panel.get_xlim() == pytest.approx((0.1, 10))
    below, above = (drawn(pc, f"crude_interval_{side}") for side in ("below", "above"))
    assert {*below} == {"study:a", "study:b", "study:e"}
    assert {*above} == {"study:e", "study:f"}
    # 0/10 v 6/9 has a ratio of 0, 5/5 v 1/30 an endless one
    assert {*drawn(pc, "crude_below")} == {"study:a", "study:b"}
    assert {*drawn(pc, "crude_above")} == {"study:f"}
    for line in drawn(pc, "crude_interval").values():
        assert 0.1 <= min(line.get_xdata()) <= max(line.get_xdata()) <= 10
    ticks = [tick.get_text() for tick in panel.get_xticklabels()]
    assert ticks == ["0.1", "0.2", "0.5", "1", "2", "5", "10"]


# --- layouts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layout", "order", "words", "cells"),
    [
        (
            "default",
            ["study", "evidence", "estimate", "interval", "weight"],
            {"study": "Study", "interval": "95 % interval"},
            {"evidence": "30/200 v 60/190", "interval": "[0.23–0.62]"},
        ),
        (
            "revman",
            [
                *("study", "events", "total", "control_events", "control_total"),
                *("weight", "effect"),
            ],
            {"study": "Study or subgroup", "effect": "Odds ratio 95% interval"},
            {"events": "30", "control_total": "190", "effect": "0.38 [0.23, 0.62]"},
        ),
        (
            "jama",
            ["study", "exposed", "control", "effect", "weight"],
            {"study": "Source", "weight": "Weight, %", "effect": "Odds ratio (95% interval)"},
            {"exposed": "30/200", "control": "60/190", "effect": "0.38 (0.23-0.62)"},
        ),
        (
            "bmj",
            ["study", "exposed", "control", "weight", "effect"],
            {"weight": "Weight (%)", "exposed": "No of events / total, exposed"},
            {"exposed": "30 / 200", "control": "60 / 190", "effect": "0.38 (0.23 to 0.62)"},
        ),
    ],
)
def test_a_layout_has_its_columns_words_and_brackets(
    fits: dict[str, xr.DataTree],
    layout: str,
    order: list[str],
    words: dict[str, str],
    cells: dict[str, str],
) -> None:
    pc = draw(fits["extreme ratios"], layout=layout)
    assert from_left(pc) == order
    assert {name: heading(pc, name) for name in words} == words
    assert {name: texts(pc, name)["study:d"] for name in cells} == cells
    # where the marks stand: to the right of all in RevMan, between the columns elsewhere
    panel = pc.get_target(None, {"column": "forest"}).get_window_extent()
    last = max(item.get_window_extent().x1 for item in drawn(pc, order[-1]).values())
    assert bool(last < panel.x0) is (layout == "revman")


def test_sides_stand_below_the_axis_or_above_the_rows(fits: dict[str, xr.DataTree]) -> None:
    found = {}
    for layout in LAYOUTS:
        figure = draw(fits["extreme ratios"], layout=layout).viz["figure"].item()
        sides = [
            artist
            for artist in figure.findobj(mpl.text.Text)
            if str(artist.get_gid()).startswith("favours")
        ]
        heights = {artist.get_window_extent().y0 > figure.bbox.height / 2 for artist in sides}
        found[layout] = ([artist.get_text() for artist in sides], heights)
    assert found == {
        "default": (["← favours transplant", "favours no transplant →"], {False}),
        "revman": (["Favours transplant", "Favours no transplant"], {False}),
        "jama": (["Favors transplant", "Favors no transplant"], {True}),
        "bmj": (["Favours transplant", "Favours no transplant"], {False}),
    }


def test_journals_write_percent_probability_and_weights_their_way(
    fits: dict[str, xr.DataTree],
) -> None:
    pc = draw(fits["many subgroups"], layout="jama")
    said = texts(pc, "probability")
    assert all(text.startswith(("P(difference > 0) = .", "P(difference > 0) > ."))
               or "< ." in text for text in said.values())  # fmt: skip
    assert "95% interval" in notes(pc)
    assert "95 %" not in notes(pc)
    # a block's weight is that of its studies, and all are 100
    weights = mc.forest_table(fits["many subgroups"]).query("row == 'study'")
    cells = texts(pc, "weight")
    block = weights.loc[weights["subgroup"] == "a", "weight"].sum()
    assert cells["subgroup:a, population average"] == f"{block:.1f}"
    assert cells["summary:population average"] == "100.0"
    assert "summary:population average" not in texts(draw(fits["four"]), "weight")


def test_shrunken_estimates_are_those_of_the_layout_or_as_asked(
    fits: dict[str, xr.DataTree],
) -> None:
    assert "shrunken" in draw(fits["four"]).viz.children
    assert "shrunken" not in draw(fits["four"], layout="bmj").viz.children
    assert "shrunken" in draw(fits["four"], layout="bmj", shrunken=True).viz.children


def test_a_ratio_that_was_printed_is_not_written_twice() -> None:
    table = pd.DataFrame(
        {
            "study": ["a", "b"],
            "ratio": [0.25, 1.2],
            "lower": [0.1, 0.03],
            "upper": [0.625, 48.0],
            "level": 0.95,
            "measure": "hr",
        }
    )
    spec = {"likelihood": "normal", "scale": "log", "outcome": "overall_survival"}
    fit = fitted(spec | {"exposure": "hsct", "random_effects": "none"}, table)
    pc = draw(fit, layout="revman")
    assert texts(pc, "effect")["study:a"] == "0.25 [0.10, 0.62]"
    assert texts(pc, "log_estimate")["study:a"] == f"−{-np.log(0.25):.2f}"
    se = np.log(0.625 / 0.1) / (2 * stats.norm.ppf(0.975))
    assert texts(pc, "se")["study:a"] == f"{se:.2f}"
    assert "evidence" not in draw(fit, layout="jama").viz.children
    # a hazard below one favours the exposure, though survival is better high
    sides = [a.get_text() for a in pc.get_target(None, {"column": "forest"}).texts
             if str(a.get_gid()).startswith("favours")]  # fmt: skip
    assert sides == ["Favours transplant", "Favours no transplant"]


# --- columns ------------------------------------------------------------------------------------


def test_columns_stand_in_the_order_of_their_names(fits: dict[str, xr.DataTree]) -> None:
    chosen = ["study", "weight", "forest", "events", "centre", "Follow-up, months"]
    pc = draw(
        fits["own columns"],
        extra=OWN,
        columns=chosen,
        headings={"centre": "Where", "weight": "Share\n%"},
    )
    own = ["column_centre", "column_Follow-up, months"]
    assert from_left(pc) == ["study", "weight", "events", *own]
    assert heading(pc, "column_centre") == "Where"
    assert heading(pc, "weight") == "Share %"
    assert texts(pc, own[0])["study:s0"] == "Paris"
    assert "study:s2" not in texts(pc, own[0])  # nothing known, nothing drawn
    assert texts(pc, own[1]) == {
        "study:s0": "6.5", "study:s1": "12.0", "study:s3": "3.0", "study:s4": "8.0",
        "study:s5": "10.0",
    }  # fmt: skip
    assert "Weight: share of information" in notes(pc)
    assert "Weight" not in notes(draw(fits["four"], columns=["study", "forest"]))


def test_arms_without_a_column_are_named_with_their_study() -> None:
    table = counts(3).assign(
        study=["s0", "s0", "s1"], label=["Li 2020", "Li 2020", "Xu 2021"],
        arm=["x", "y", "z"], arm_label=["CD19", "CD22", "CD19"],
    )  # fmt: skip
    fit = fitted(COUNTS, table)
    names = [*texts(draw(fit, layout="revman"), "study").values()][:3]
    assert names == ["Li 2020, CD19", "Li 2020, CD22", "Xu 2021"]
    assert [*texts(draw(fit), "study").values()][:3] == ["Li 2020", "Li 2020", "Xu 2021"]
    own = pd.DataFrame({"study": ["s0", "s0"], "arm": ["x", "y"], "dose": [1, 2]})
    pc = draw(fit, extra=own, columns=["study", "dose", "forest"])
    assert texts(pc, "column_dose") == {"study:s0/CD19": "1", "study:s0/CD22": "2"}


_KNOWN = (
    "study, arm, year, evidence, events, total, exposed, control, control_events, control_total, "
    "log_estimate, se, forest, estimate, interval, effect, model, weight, risk_of_bias; "
    "of the evidence label"
)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"layout": "bjm"},
            ("layout: 'bjm' is not known; allowed: 'default', 'revman', 'jama', 'bmj'; "
            "try: did you mean 'bmj'?"),
        ),
        (
            {"sort": "wieght"},
            ("sort: 'wieght' is not known; allowed: None, 'name', 'year', 'effect', 'weight', "
            "'precision'; try: did you mean 'weight'?"),
        ),
        (
            {"columns": ["study", "wieght", "forest"]},
            f"columns: 'wieght' is not known; allowed: {_KNOWN}; try: did you mean 'weight'?",
        ),
        (
            {"columns": ["study", "study", "forest"]},
            "columns: 'study' stands there twice; allowed: each once",
        ),
        (
            {"columns": ["year", "effect"]},
            ("columns: 'study' is missing: the rows would have no names; allowed: a list that "
            "holds it\ncolumns: 'forest' is missing: it says where the marks stand; allowed: a "
            "list that holds it"),
        ),
        (
            {"columns": "study"},
            "columns: the text 'study'; allowed: a list of names; try: columns=['study']",
        ),
        (
            {"headings": {"studdy": "Trial"}},
            f"headings: 'studdy' is not known; allowed: {_KNOWN}; try: did you mean 'study'?",
        ),
        (
            {"extra": OWN.drop(columns="study")},
            "extra: its columns are Follow-up, months, centre; allowed: one of them is 'study'",
        ),
        (
            {"extra": OWN.assign(study=["s0", "s0", "s1", "s2", "s3", "z9"])},
            ("extra: 's0' stands there twice; allowed: one row for each study\n"
            "extra: 'z9' is no study of the fit"),
        ),
        (
            {"axis": "logti"},
            ("axis: 'logti' is no axis of rates; allowed: 'percent', 'logit'; "
            "try: did you mean 'logit'?"),
        ),
        (
            {"limits": (20, 80)},
            "limits: (20, 80); allowed: rates as shares from 0 to 1; try: limits=(0.2, 0.8)",
        ),
        ({"limits": (0.8, 0.2)}, "limits: (0.8, 0.2); allowed: two numbers, the lower one first"),
        ({"limits": 0.5}, "limits: 0.5; allowed: two numbers; try: limits=(0.2, 1)"),
        (
            {"limits": (0, 1), "axis": "logit"},
            "limits: (0, 1); allowed: shares between 0 and 1: a logit axis reaches neither",
        ),
        ({"prediction": "violin"}, ("prediction: 'violin' is not known; allowed: 'bar', 'density', "
                                   "False")),
        ({"width": 180}, "width: 180; allowed: inches, up to 40; try: width=7.1 for 180 mm"),
        ({"width": "7"}, "width: '7'; allowed: inches, up to 40"),
    ],
)  # fmt: skip
def test_refusals(fits: dict[str, xr.DataTree], options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        draw(fits["own columns"], **options)
    assert str(error.value) == message


def test_ratios_have_limits_above_0(fits: dict[str, xr.DataTree]) -> None:
    with pytest.raises(InputError, match=r"limits: \(0, 10\); allowed: ratios above 0"):
        draw(fits["extreme ratios"], limits=(0, 10))
    with pytest.raises(InputError, match="axis: 'logit' is no axis of ratios; allowed: 'log'"):
        draw(fits["extreme ratios"], axis="logit")
    # a null beyond the limits is not drawn, and nothing is favoured
    pc = draw(fits["extreme ratios"], limits=(2, 50))
    panel = pc.get_target(None, {"column": "forest"})
    assert not panel.findobj(lambda artist: artist.get_gid() == "null")
    assert not [a for a in panel.texts if str(a.get_gid()).startswith("favours")]


# --- order, size, prediction, axes --------------------------------------------------------------


@pytest.mark.parametrize("sort", ["name", "year", "effect", "weight", "precision"])
def test_every_order_is_that_of_its_numbers(fits: dict[str, xr.DataTree], sort: str) -> None:
    table, fit = CASES["own columns"][1].set_index("study"), fits["own columns"]
    shown = [row.removeprefix("study:") for row in drawn(draw(fit, sort=sort), "crude")]
    weight = mc.forest_table(fit).query("row == 'study'").set_index("study")["weight"]
    keys = {
        "name": table["label"].str.casefold(),
        "year": table["year"],
        "effect": table["events"] / table["total"],
        "weight": -weight,
        "precision": -table["total"],
    }
    assert keys[sort].loc[shown].is_monotonic_increasing
    assert sorted(shown) == sorted(table.index)


def test_the_figure_is_as_high_as_its_rows_and_as_wide_as_asked(
    fits: dict[str, xr.DataTree],
) -> None:
    def size(name: str, **options: Any) -> list[float]:
        return [float(each) for each in draw(fits[name], **options).viz["figure"].item()
                .get_size_inches()]  # fmt: skip

    one, six = size("one"), size("own columns")
    assert six[1] - one[1] > 5 * 0.2
    assert size("one", width=12)[0] == pytest.approx(12)
    narrow = size("long names", width=7)
    assert narrow[0] == pytest.approx(7)
    assert narrow[1] > size("long names")[1]  # names take more lines
    with pytest.raises(InputError) as error:
        draw(fits["long names"], width=3)
    assert str(error.value).startswith(
        "width: 3 inches leave no room for the marks; allowed: at least "
    )
    assert str(error.value).endswith(" inches with these columns; try: fewer columns")
    least = float(str(error.value).split("at least ")[1].split(" ")[0])
    assert size("long names", width=least)[0] == pytest.approx(least)


def test_a_part_of_many_studies_has_rows_and_what_is_pooled_is_of_all(
    fits: dict[str, xr.DataTree],
) -> None:
    fit = fits["sixty"]
    whole = [*drawn(draw(fit, sort="name"), "crude")]
    pages = [draw(fit, sort="name", part=part) for part in ((1, 25), (26, 50), (51, 99))]
    assert [row for pc in pages for row in drawn(pc, "crude")] == whole
    assert len(whole) == 60
    average = mc.forest_table(fit).query("label == 'population average'")["shrunken"].item()
    for pc, rows in zip(pages, ("1 to 25", "26 to 50", "51 to 60"), strict=True):
        said = f"Rows {rows} of 60 of studies; what is pooled is of all."
        assert said in notes(pc)
        assert pc.viz.attrs["alt"].endswith(said)
        assert texts(pc, "estimate")["summary:population average"] == f"{100 * average:.0f}"
    assert "of 60 of studies" not in notes(draw(fit))


def test_a_block_of_a_part_has_its_heading_and_its_summary_below_its_last_study(
    fits: dict[str, xr.DataTree],
) -> None:
    def rows(part: tuple[int, int] | None) -> list[str]:
        found = [*texts(draw(fits["many subgroups"], part=part), "study")]
        return [row for row in found if row.split(":")[0] in ("heading", "study", "subgroup")]

    whole = rows(None)
    assert whole[:4] == [
        "heading:a", "study:s0", "study:s3", "subgroup:a, population average",
    ]  # fmt: skip
    assert rows((1, 1)) == whole[:2]
    assert rows((2, 2)) == [whole[0], *whole[2:4]]
    assert rows((2, 7)) == [whole[0], *whole[2:]]


def test_more_studies_than_a_figure_holds_are_refused(
    fits: dict[str, xr.DataTree], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError) as error:
        check_part(None, 301)
    assert str(error.value) == (
        "part: 301 rows of studies in one figure; allowed: at most 300; try: part=(1, 60), "
        "part=(61, 120) and so on, also after sort='weight'; forest_table has every row"
    )
    assert check_part(None, 300) == check_part((1, 400), 300) == ""
    said = "Rows 900 to 1,000 of 1,000 of studies; what is pooled is of all."
    assert check_part((900, 1199), 1000) == said
    monkeypatch.setattr("metacart.plots.forest_options.MOST", 3)
    with pytest.raises(InputError, match="part: 4 rows of studies in one figure"):
        mc.plot_forest(fits["four"])
    assert len(drawn(draw(fits["four"], part=(2, 4)), "crude")) == 3


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ((302, 310), "part: (302, 310), but there are 301 rows of studies; allowed: places from 1"),
        ((5, 4), "part: (5, 4); allowed: the places of the first and of the last study, from 1"),
        ((0, 4), "part: (0, 4); allowed"),
        ("first", "part: 'first'; allowed"),
        ((1.0, 3), "part: (1.0, 3); allowed"),
        ((1, 2, 3), "part: (1, 2, 3); allowed"),
    ],
)
def test_what_is_no_part_is_refused(part: Any, message: str) -> None:
    with pytest.raises(InputError) as error:
        check_part(part, 301)
    assert message in str(error.value)


def test_the_density_of_the_next_study_is_that_of_its_draws() -> None:
    fit = fitted(COUNTS | {"random_effects": "normal"}, counts(8))
    for axis in ("percent", "logit"):
        pc = draw(fit, prediction="density", axis=axis, columns=["study", "forest"])
        shape = drawn(pc, "next_study_density")["prediction:next study"].get_paths()[0].vertices
        x = shape[:, 0]
        height = np.abs(shape[:, 1] - np.median(shape[:, 1]))
        order = np.argsort(x)
        x, height = x[order], height[order]
        row = mc.forest_table(fit).query("row == 'prediction'").iloc[0]
        at = x if axis == "percent" else special.logit(x)
        mass = np.concatenate([[0], np.cumsum(np.diff(at) * (height[1:] + height[:-1]) / 2)])
        inside = [np.interp(row[name], x, mass / mass[-1])
                  for name in ("shrunken_lower", "shrunken", "shrunken_upper")]  # fmt: skip
        # a kernel widens the tails a little
        assert inside == pytest.approx([0.025, 0.5, 0.975], abs=0.03)
    assert "next_study" not in draw(fit, prediction=False).viz.children
    bar = drawn(draw(fit), "next_study")["prediction:next study"]
    assert tuple(bar.get_xdata()) == pytest.approx((row["shrunken_lower"], row["shrunken_upper"]))


def test_logit_axis_has_ticks_in_percent_and_leaves_0_and_1_to_arrows(
    fits: dict[str, xr.DataTree],
) -> None:
    pc = draw(fits["none and all"], axis="logit")
    panel = pc.get_target(None, {"column": "forest"})
    assert panel.get_xscale() == "logit"
    assert {*drawn(pc, "crude_below")} == {"study:s0", "study:s2"}
    assert {*drawn(pc, "crude_above")} == {"study:s1", "study:s3"}
    wide = logit_axis("Rate", points=[0.02, 0.97, 1.0], intervals=[(0.0, 0.2), (0.9, 1.0)])
    assert wide.tick_labels == ("5", "10", "25", "50", "75", "90", "95")
    short = logit_axis("Rate", points=[0.62, 0.7], intervals=[(0.55, 0.79)])
    assert short.ticks == pytest.approx((0.5, 0.6, 0.7, 0.8))
    assert short.share(0.65) == pytest.approx(
        (special.logit(0.65) - special.logit(0.5)) / (special.logit(0.8) - special.logit(0.5))
    )
    half = percent_axis("Rate", limits=(0.5, 1.0))
    assert half.tick_labels == ("50", "60", "70", "80", "90", "100")
    assert ratio_axis("HR", points=[1.0], intervals=[], limits=(0.9, 1.1)).ticks[0] in (0.9, 1.0)


# --- subgroups ----------------------------------------------------------------------------------


def test_a_subgroup_of_one_study_has_no_summary_unless_asked(
    fits: dict[str, xr.DataTree],
) -> None:
    fit, product = fits["many subgroups"], CASES["many subgroups"][1]["product"]
    several = {level for level, number in product.value_counts().items() if number > 1}
    table = mc.forest_table(fit)
    assert {*table.query("row == 'subgroup'")["subgroup"]} == several
    pc = draw(fit)
    shown = [row for row in drawn(pc, "diamond") if row.startswith("subgroup:")]
    assert shown == [f"subgroup:{level}, population average" for level in sorted(several)]
    assert "A subgroup of one study has no summary of its own." in notes(pc)
    headings = [row for row in texts(pc, "study") if row.startswith("heading:")]
    assert {row.removeprefix("heading:") for row in headings} == {*product}
    asked = draw(fit, single_study_summaries=True)
    assert len([row for row in drawn(asked, "diamond") if row.startswith("sub")]) == len({*product})
    assert "A subgroup of one study" not in notes(asked)
    # what several differences share is said once
    assert notes(pc).count("a comparison across studies only") == 1


# --- side by side -------------------------------------------------------------------------------


def test_two_outcomes_stand_side_by_side_with_a_row_for_each_study() -> None:
    first, second = counts(4), counts(6).assign(events=lambda table: table["total"] // 5)
    remission = fitted(COUNTS, first)
    toxicity = fitted(COUNTS | {"outcome": "severe_crs"}, second.iloc[1:])
    both = {"Remission": remission, "Severe CRS": toxicity}
    pc = draw(both, sort="name")
    rows = [row for row in texts(pc, "study") if row.startswith("study:")]
    assert rows == [f"study:s{n}" for n in range(6)]
    assert [*drawn(pc, "crude")] == rows[:4]
    assert [*drawn(pc, "crude_2")] == rows[1:]
    for name, alone in (("", remission), ("_2", toxicity)):
        single = draw(alone)
        own, other = drawn(pc, f"crude{name}"), drawn(single, "crude")
        assert {row: mark.get_offsets()[0, 0] for row, mark in own.items()} == pytest.approx(
            {row: mark.get_offsets()[0, 0] for row, mark in other.items()}
        )
        pooled = texts(single, "estimate")["summary:population average"]
        shown = texts(pc, f"effect{name}")["summary:population average"]
        assert shown.startswith(f"{pooled} [")
    assert heading(pc, "forest") == "Remission"
    assert heading(pc, "forest_2") == "Severe CRS"
    # marks of a row stand at one height
    heights = {
        name: drawn(pc, name)["study:s2"].get_offsets()[0, 1] for name in ("crude", "crude_2")
    }
    assert heights["crude"] == pytest.approx(heights["crude_2"])
    assert notes(pc).count("Population average: mean rate") == 1
    assert "Remission: 4 studies" in notes(pc)
    assert "Severe CRS: 5 studies" in notes(pc)
    attributes = pc.viz.attrs
    assert attributes["title"] == "Remission, Severe CRS"
    assert "Severe CRS: Forest plot: " in attributes["alt"]


def test_two_models_of_one_outcome_share_subgroups(fits: dict[str, xr.DataTree]) -> None:
    spec, table, _ = CASES["many subgroups"]
    other = fitted(spec | {"priors": {"beta": "Normal(0, 0.2)"}}, table)
    pc = draw({"weak prior": fits["many subgroups"], "narrow prior": other}, layout="bmj")
    assert {*drawn(pc, "diamond")} == {*drawn(pc, "diamond_2")}
    assert {*texts(pc, "probability")} == {*texts(pc, "probability_2")}
    assert "weak prior: 7 studies" in notes(pc)
    # the headings of two fits do not read as those of one
    table = pc.get_target(None, {"column": "table"})
    before, after = (
        table.findobj(lambda artist, name=name: artist.get_gid() == f"heading_{name}")[0]
        for name in ("effect", "evidence_2")
    )
    apart = after.get_window_extent().x0 - before.get_window_extent().x1
    assert apart / table.figure.dpi > 0.4


@pytest.mark.parametrize("first", ["subgroups", "none"])
def test_studies_of_a_model_without_subgroups_stand_in_those_of_the_other(
    fits: dict[str, xr.DataTree], first: str
) -> None:
    """Nothing is left out; a study that only the model without subgroups has stands apart."""
    table = CASES["many subgroups"][1]
    more = pd.concat([table, counts(8).iloc[7:]], ignore_index=True)
    both = {"subgroups": fits["many subgroups"], "none": fitted(COUNTS, more)}
    pc = draw({first: both[first]} | both)
    one, two = ("", "_2") if first == "subgroups" else ("_2", "")
    assert len(drawn(pc, f"crude{one}")) == 7
    assert len(drawn(pc, f"crude{two}")) == 8
    rows = [row for row in texts(pc, "study") if row.split(":")[0] in ("heading", "study")]
    alone = [
        row
        for row in texts(draw(fits["many subgroups"]), "study")
        if row.split(":")[0] in ("heading", "study")
    ]
    assert rows == [*alone, "heading:", "study:s7"]
    assert texts(pc, "study")["heading:"] == "Studies without a subgroup"


def test_a_fit_of_several_means_is_refused_among_others(fits: dict[str, xr.DataTree]) -> None:
    several = xr.DataTree()
    several.attrs = {"system": "joint", "instead": "summarize(fit)"}
    with pytest.raises(InputError, match="a fit of the joint likelihood"):
        draw({"one": fits["four"], "two": several})
    with pytest.raises(InputError) as error:
        draw({})
    assert str(error.value) == "fit: a dict without any fit; allowed: one fit or more, by name"


# --- files --------------------------------------------------------------------------------------


def test_files_of_a_journal(fits: dict[str, xr.DataTree], tmp_path: Path) -> None:
    for suffix, start in ((".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")):
        file = tmp_path / f"forest{suffix}"
        draw(fits["four"], layout="jama", file=file)
        assert file.read_bytes().startswith(start)
    assert b"/FontFile2" in (tmp_path / "forest.pdf").read_bytes()


def test_colours_differ_in_lightness_as_print_shows_them() -> None:
    def grey(colour: str) -> float:
        return float(np.dot(mpl.colors.to_rgb(colour), [0.2126, 0.7152, 0.0722]))

    for layout in LAYOUTS.values():
        for name, colour in layout.colours.items():
            assert grey(colour) < 0.75, (layout, name)  # seen on white paper
        # a diamond and a next study lie over each other's line: told apart without colour
        pairs = itertools.combinations(("pooled", "next"), 2)
        shapes = [abs(grey(layout.colours[a]) - grey(layout.colours[b])) for a, b in pairs]
        assert max(shapes) > 0.08


def test_words_of_ticks_stand_apart_on_a_narrow_panel(fits: dict[str, xr.DataTree]) -> None:
    for limits, wanted in (((0.004, 12), {"0.01", "0.1", "1", "10"}), ((0.001, 1000), {"1"})):
        pc = draw(fits["extreme ratios"], layout="bmj", width=7.6, limits=limits)
        panel = pc.get_target(None, {"column": "forest"})
        pc.viz["figure"].item().canvas.draw()
        labels = [each for each in panel.get_xticklabels() if each.get_text()]
        ends = [(box.x0, box.x1) for box in (each.get_window_extent() for each in labels)]
        assert all(one[1] < other[0] for one, other in itertools.pairwise(ends))
        assert wanted <= {each.get_text() for each in labels}
