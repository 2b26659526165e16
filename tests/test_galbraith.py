"""The Galbraith plot and its table, against metafor and a regression through the origin."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

import metacart as mc
from metacart.errors import InputError

# dat.bcg of metafor 3.8.1, and x and y of radial(rma(yi, vi, method = "CE"))
ESTIMATE = (-0.88931133392, -1.58538865720, -1.34807314830, -1.44155119002, -0.21754732221,
            -0.78611558582, -1.62089822360, 0.01195233352, -0.46941764874, -1.37134480347,
            -0.33935882834, 0.44591340057, -0.01731394822)  # fmt: skip
PRECISION = (1.752540095, 2.266990233, 1.551613324, 7.069295072, 4.418978434, 12.033686977,
             2.117535862, 15.887875328, 4.209483129, 3.700537682, 8.975845596, 1.370369898,
             3.742283831)  # fmt: skip
Z = (-1.55855376937, -3.59406060124, -2.09168825909, -10.19075072395, -0.96133692512,
     -9.45986888713, -3.43231011767, 0.18989718490, -1.97600567279, -5.07471311991,
     -3.04603244471, 0.61106630147, -0.06479370846)  # fmt: skip
COMMON, Q = -0.4302851637, 152.2330081


def fitted(estimate, se, **changes):
    names = [f"Vandenbroucke-Hernández and others {1990 + n}" for n in range(len(estimate))]
    table = pd.DataFrame({"study": names, "estimate": estimate, "se": se})
    spec = mc.ModelSpec(**{"likelihood": "normal", "scale": "log", **changes})
    return mc.fit(spec, table, method="exact", draws=500, seed=1, progress=False)


@pytest.fixture(scope="module")
def bcg():
    return fitted(ESTIMATE, 1 / np.asarray(PRECISION))


def artists(figure):
    plot = figure.get_target(None, {"column": "galbraith"})
    return {
        str(each.get_gid()): each for each in (*plot.lines, *plot.collections) if each.get_gid()
    }


def close(figure):
    from matplotlib import pyplot as plt

    plt.close(figure.viz["figure"].item())


def test_points_as_metafor_has_them(bcg):
    table = mc.galbraith_table(bcg).sort_values("study")
    np.testing.assert_allclose(table["precision"], PRECISION, rtol=1e-8)
    np.testing.assert_allclose(table["z"], Z, rtol=1e-7)
    assert np.log(table.attrs["common"]["estimate"]) == pytest.approx(COMMON, rel=1e-8)
    assert table.attrs["Q"] == pytest.approx(Q, rel=1e-8)
    own = mc.summarize(bcg).set_index("estimand").loc["median study"]
    assert table.attrs["pooled"] == {name: own[name] for name in ("median", "lower", "upper")}


def test_the_common_effect_is_the_line_through_the_origin(bcg):
    table = mc.galbraith_table(bcg)
    x = table["precision"].to_numpy()
    slope, rest = optimize.nnls(-x[:, None], table["z"].to_numpy())
    assert np.log(table.attrs["common"]["estimate"]) == pytest.approx(-slope[0])
    assert table.attrs["Q"] == pytest.approx(rest**2)
    np.testing.assert_allclose(table["distance"], table["z"] + slope[0] * x)
    assert table["distance"].abs().is_monotonic_decreasing
    width = np.log(table.attrs["common"]["upper"] / table.attrs["common"]["lower"])
    assert width == pytest.approx(2 * 1.959964 / np.sqrt((x**2).sum()), rel=1e-6)


def test_marks_stand_where_the_table_says(bcg):
    table = mc.galbraith_table(bcg)
    figure = mc.plot_galbraith(bcg)
    points = [each.item().get_offsets()[0] for each in figure.viz["study"]["study"]]
    np.testing.assert_allclose(np.array(points), table[["precision", "z"]])
    drawn = artists(figure)
    x, y = drawn["common"].get_data()
    assert y[0] == 0
    assert y[1] / x[1] == pytest.approx(COMMON)
    x, y = drawn["pooled"].get_data()
    assert np.exp(y[1] / x[1]) == pytest.approx(table.attrs["pooled"]["median"])
    corners = drawn["within"].get_paths()[0].vertices
    np.testing.assert_allclose(
        np.abs(corners[:, 1] - COMMON * corners[:, 0]), np.full(len(corners), 2.0)
    )
    # the line from the origin through a study meets the right axis at its ratio
    plot = figure.get_target(None, {"column": "galbraith"})
    far = plot.get_xlim()[1]
    ticks = [text for text in plot.texts if text.get_gid() == "estimate_tick"]
    assert len(ticks) >= 3
    for text in ticks:
        assert np.exp(text.get_position()[1] / far) == pytest.approx(float(text.get_text()))
    close(figure)


@pytest.mark.parametrize("number", [4, 13, 60])
def test_everything_has_room(number, bcg):
    rng = np.random.default_rng(number)
    se = rng.uniform(0.05, 1.0, number)
    figure = mc.plot_galbraith(bcg if number == 13 else fitted(rng.normal(-2, 1.5, number), se))
    drawn = figure.viz["figure"].item()
    drawn.canvas.draw()
    width, height = drawn.canvas.get_width_height()
    texts = [text for axes in drawn.axes for text in axes.texts]
    boxes = [text.get_window_extent() for text in texts]
    for n, (text, box) in enumerate(zip(texts, boxes, strict=True)):
        assert box.x0 >= -1, text
        assert box.y0 >= -1, text
        assert box.x1 <= width + 1, text
        assert box.y1 <= height + 1, text
        assert not any(box.overlaps(other) for other in boxes[:n]), text
    close(figure)


def test_estimates_without_a_null_stand_against_the_common_effect():
    priors = {"mu": "Normal(0, 20)", "tau": "HalfNormal(3)"}
    estimate = 10 + np.asarray(ESTIMATE)
    fit = fitted(estimate, 1 / np.asarray(PRECISION), scale="identity", priors=priors)
    table = mc.galbraith_table(fit)
    assert table.attrs["common"]["estimate"] == pytest.approx(10 + COMMON)
    figure = mc.plot_galbraith(fit)
    points = [each.item().get_offsets()[0] for each in figure.viz["study"]["study"]]
    np.testing.assert_allclose(np.array(points), table[["precision", "distance"]])
    assert set(artists(figure)["common"].get_ydata()) == {0.0}
    plot = figure.get_target(None, {"column": "galbraith"})
    for text in (text for text in plot.texts if text.get_gid() == "estimate_tick"):
        slope = text.get_position()[1] / plot.get_xlim()[1]
        assert 10 + COMMON + slope == pytest.approx(float(text.get_text()))
    close(figure)


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_files(bcg, suffix, tmp_path):
    mc.plot_galbraith(bcg, file=tmp_path / f"figure.{suffix}")
    assert (tmp_path / f"figure.{suffix}").stat().st_size > 5000


def test_a_figure_that_is_not_drawn_keeps_its_structure(bcg):
    figure = mc.plot_galbraith(bcg, backend="none")
    assert figure.viz["study"]["study"].sizes["row"] == 13
    assert "7 lie within 2 of the line of the common effect 0.65" in figure.viz.attrs["alt"]


def test_counts_are_refused():
    table = pd.DataFrame({"study": ["a", "b"], "events": [3, 4], "total": [9, 8]})
    spec = mc.ModelSpec(likelihood="binomial")
    fit = mc.fit(spec, table, method="exact", draws=500, seed=1, progress=False)
    for verb in (mc.galbraith_table, mc.plot_galbraith):
        with pytest.raises(InputError, match="a Galbraith plot of counts of single arms"):
            verb(fit)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"file": "figure.jpg"}, "the suffix '.jpg'"),
        ({"backend": "plotly"}, "'plotly' is not known"),
        ({"colour": "red"}, "no such option"),
    ],
)
def test_options_of_the_plot_are_checked(bcg, options, words):
    with pytest.raises(InputError, match=re.escape(words)):
        mc.plot_galbraith(bcg, **options)
