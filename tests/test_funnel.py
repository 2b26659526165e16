"""The funnel plot and its table."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import metacart as mc
from metacart.errors import InputError


def fitted(number, **changes):
    rng = np.random.default_rng(number)
    se = rng.uniform(0.1, 0.8, number)
    table = pd.DataFrame(
        {
            "study": [f"Author {n} 2020" for n in range(number)],
            "estimate": rng.normal(-0.5, np.hypot(se, 0.15)),
            "se": se,
        }
    )
    spec = mc.ModelSpec(likelihood="normal", scale="log", **changes)
    return mc.fit(spec, table, method="exact", draws=500, seed=1)


@pytest.fixture(scope="module")
def few():
    return fitted(4)


def artists(figure):
    plot = figure.get_target(None, {"column": "funnel"})
    return {
        str(each.get_gid()): each for each in (*plot.lines, *plot.collections) if each.get_gid()
    }


def close(figure):
    from matplotlib import pyplot as plt

    plt.close(figure.viz["figure"].item())


def test_the_table_holds_each_study_with_its_p(few):
    table = mc.funnel_table(few)
    assert table["se"].is_monotonic_increasing
    z = np.log(table["ratio"]) / table["se"]
    assert table["p"].to_numpy() == pytest.approx(2 * stats.norm.sf(np.abs(z)))
    # the approximation of Altman and Bland 2011, BMJ 343:d2304
    near = np.exp(-0.717 * np.abs(z) - 0.416 * z**2)
    assert table["p"].to_numpy() == pytest.approx(near, rel=0.06)
    width = np.log(table["upper"] / table["lower"])
    assert width.to_numpy() == pytest.approx(2 * stats.norm.isf(0.025) * table["se"])
    own = mc.summarize(few).set_index("estimand").loc["median study"]
    assert table.attrs["pooled"] == {name: own[name] for name in ("median", "lower", "upper")}


def test_transplant_ratios_are_naive_and_say_so():
    spec = mc.load_model("hsct_benefit_os").model_copy(update={"kinds": ("ratio",)})
    fit = mc.fit(spec, method="exact", draws=500, seed=1)
    table = mc.funnel_table(fit)
    naive = mc.summarize(fit).set_index("estimand").loc["median study (naive)"]
    assert table.attrs["pooled"]["median"] == naive["median"]
    assert table["label"].tolist() == ["Zhao 2020", "Li 2020", "Chen 2021"]
    assert table["p"].iloc[2] == pytest.approx(0.036, abs=0.001)  # as Chen 2021 prints it
    figure = mc.plot_funnel(fit)
    texts = " ".join(
        text.get_text() for axes in figure.viz["figure"].item().axes for text in axes.texts
    )
    assert "Ratios as printed; the pooled one is naive too." in texts.replace("\n", " ")
    close(figure)


def test_points_and_contours_stand_where_the_table_says(few):
    table = mc.funnel_table(few)
    figure = mc.plot_funnel(few)
    points = [each.item().get_offsets()[0] for each in figure.viz["study"]["study"]]
    x, y = np.array(points).T
    np.testing.assert_allclose(x, table["ratio"])
    np.testing.assert_allclose(y, table["se"])
    plot = figure.get_target(None, {"column": "funnel"})
    assert plot.get_xscale() == "log"
    bottom, top = plot.get_ylim()
    assert top == 0
    assert bottom > table["se"].max()
    drawn = artists(figure)
    for name in ("lower", "upper"):
        assert drawn[f"pooled_{name}"].get_xdata()[0] == table.attrs["pooled"][name]
    assert drawn["pooled"].get_xdata()[0] == table.attrs["pooled"]["median"]
    for level in (0.01, 0.05, 0.1):
        corners = drawn[f"contour:{level:g}"].get_paths()[0].vertices
        # the lower edge of a shade: a study there has just this p
        ratios = np.unique(corners[:, 0])
        edge = np.array([corners[corners[:, 0] == ratio, 1].max() for ratio in ratios])
        inside = (edge < bottom * 0.999) & (edge > 1e-3)
        p = 2 * stats.norm.sf(np.abs(np.log(ratios[inside])) / edge[inside])
        assert inside.sum() > 50
        assert p == pytest.approx(np.full(inside.sum(), level), rel=1e-6)
    close(figure)


@pytest.mark.parametrize("number", [4, 60])
def test_four_and_sixty_studies_are_drawn_whole(number, few):
    figure = mc.plot_funnel(few if number == 4 else fitted(number))
    assert ("name" in figure.viz.children) == (number == 4)
    drawn = figure.viz["figure"].item()
    drawn.canvas.draw()
    width, height = drawn.canvas.get_width_height()
    plot = figure.get_target(None, {"column": "funnel"})
    texts = [text for axes in drawn.axes for text in axes.texts]
    for text in (*texts, *plot.get_xticklabels(), *plot.get_yticklabels(), plot.xaxis.label):
        box = text.get_window_extent()
        if text.get_text():
            assert box.x0 >= -1, text.get_text()
            assert box.y0 >= -1, text.get_text()
            assert box.x1 <= width + 1, text.get_text()
            assert box.y1 <= height + 1, text.get_text()
    words = " ".join(text.get_text() for text in texts).replace("\n", " ")
    assert ("Of 4 studies, asymmetry is mostly chance." in words) == (number == 4)
    assert "Asymmetry has other causes than selection" in words
    close(figure)


def test_a_figure_that_is_not_drawn_keeps_its_structure(few):
    figure = mc.plot_funnel(few, backend="none")
    assert figure.viz["study"]["study"].sizes["row"] == 4
    assert "4 studies by ratio and standard error" in figure.viz.attrs["alt"]
    assert figure.viz.attrs["title"] == "Meta-analysis: funnel plot"


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_files_are_whole_and_the_same_each_time(few, suffix, tmp_path):
    files = [tmp_path / f"{n}.{suffix}" for n in range(2)]
    for file in files:
        mc.plot_funnel(few, file=file)
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[0].stat().st_size > 5000


def test_rates_of_single_arms_have_no_funnel():
    fit = mc.fit("cr_rate", method="exact", draws=500, seed=1)
    for verb in (mc.funnel_table, mc.plot_funnel):
        with pytest.raises(InputError) as error:
            verb(fit)
        assert "a funnel plot of single arms: the standard error of a rate follows" in str(error)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"file": "funnel.jpg"}, "the suffix '.jpg'"),
        ({"backend": "plotly"}, "'plotly' is not known"),
        ({"colour": "red"}, "no such option"),
    ],
)
def test_options_of_the_plot_are_checked(few, options, words):
    with pytest.raises(InputError, match=re.escape(words)):
        mc.plot_funnel(few, **options)
