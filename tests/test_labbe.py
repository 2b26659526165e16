"""The L'Abbé plot and its table: counts in place, curves in closed form."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.transforms import Bbox
from scipy import special

import metacart as mc
from metacart.errors import InputError

# no events, only events, in one group or both
ROWS = [(0, 27, 0, 18), (2, 21, 7, 7), (5, 5, 3, 3), (0, 12, 4, 9), (50, 100, 30, 110)]
COUNTS = ("events", "total", "control_events", "control_total")


def fitted(rows, **changes):
    table = pd.DataFrame(rows, columns=list(COUNTS))
    table["study"] = [f"Vandenbroucke-Hernández and others {1960 + n}" for n in range(len(rows))]
    spec = mc.ModelSpec(**{"likelihood": "two_arm", **changes})
    return mc.fit(spec, table, method="exact", draws=500, seed=1, progress=False)


@pytest.fixture(scope="module")
def odds():
    return fitted(ROWS)


def close(figure):
    from matplotlib import pyplot as plt

    plt.close(figure.viz["figure"].item())


def test_rates_are_those_of_the_counts(odds):
    table = mc.labbe_table(odds)
    findings = table[table["row"] == "finding"]
    assert findings[list(COUNTS)].to_numpy().tolist() == [list(row) for row in ROWS]
    assert findings["rate"].tolist() == [0, 2 / 21, 1, 0, 0.5]
    assert findings["control_rate"].tolist() == [0, 1, 1, 4 / 9, 30 / 110]
    assert findings["patients"].tolist() == [45, 28, 8, 21, 210]


@pytest.mark.parametrize("scale", ["logit", "cloglog"])
def test_the_curve_of_one_ratio_in_closed_form(scale, odds):
    fit = odds if scale == "logit" else fitted(ROWS, scale="cloglog")
    curve = mc.labbe_table(fit).query("row == 'curve'")
    own = mc.summarize(fit).set_index("estimand")
    r = curve["control_rate"].to_numpy()
    assert r[0] == 0
    assert r[-1] == 1
    for column, estimand, end in (
        ("rate", "median study", "median"),
        ("lower", "median study", "lower"),
        ("upper", "median study", "upper"),
        ("next_lower", "next study", "lower"),
        ("next_upper", "next study", "upper"),
    ):
        ratio = own.loc[estimand, end]
        expected = r * ratio / (1 - r + r * ratio) if scale == "logit" else 1 - (1 - r) ** ratio
        np.testing.assert_allclose(curve[column], expected, rtol=1e-6, atol=1e-9)


def test_bubbles_stand_where_the_table_says(odds):
    table = mc.labbe_table(odds).query("row == 'finding'")
    figure = mc.plot_labbe(odds)
    bubbles = [each.item() for each in figure.viz["bubble"]["bubble"]]
    points = np.array([bubble.get_offsets()[0] for bubble in bubbles])
    np.testing.assert_allclose(points, table[["control_rate", "rate"]].astype(float))
    areas = np.array([bubble.get_sizes()[0] for bubble in bubbles])
    np.testing.assert_allclose(
        areas / areas.max(), table["patients"].astype(float) / 210, atol=0.03
    )
    plot = figure.get_target(None, {"column": "labbe"})
    drawn = {str(each.get_gid()): each for each in plot.lines if each.get_gid()}
    np.testing.assert_array_equal(*drawn["identity"].get_data())
    # all of a bubble at an edge or a corner is seen
    (low, high), (bottom, top) = plot.get_xlim(), plot.get_ylim()
    radius = np.sqrt(areas / np.pi) / 72 / 4.6 * (high - low)
    assert (points[:, 0] - 0.9 * radius >= low).all()
    assert (points[:, 1] + 0.9 * radius <= top).all()
    assert bottom == pytest.approx(low)
    close(figure)


@pytest.mark.parametrize("number", [5, 60])
def test_names_stand_beside_their_bubbles(number, odds):
    if number == 60:
        rng = np.random.default_rng(7)
        n, m = rng.integers(3, 120, (2, number))
        level = rng.normal(0, 1.5, number)
        counts = rng.binomial(n, special.expit(level - 0.8)), rng.binomial(m, special.expit(level))
        figure = mc.plot_labbe(fitted(np.stack([counts[0], n, counts[1], m], axis=1)))
    else:
        figure = mc.plot_labbe(odds)
    drawn = figure.viz["figure"].item()
    drawn.canvas.draw()
    width, height = drawn.canvas.get_width_height()
    plot = figure.get_target(None, {"column": "labbe"})
    names = [text.get_window_extent() for text in plot.texts]
    # a bubble in the corner of a larger one may find no room for its name
    assert len(names) == 0 if number == 60 else len(names) >= 4
    bubbles = [each.item() for each in figure.viz["bubble"]["bubble"]]
    centres = plot.transData.transform([each.get_offsets()[0] for each in bubbles])
    radii = [0.6 * np.sqrt(each.get_sizes()[0] / np.pi) * drawn.dpi / 72 for each in bubbles]
    inner = [Bbox([at - r, at + r]) for at, r in zip(centres, radii, strict=True)]
    for n, box in enumerate(names):
        assert not any(box.overlaps(other) for other in names[:n])
        assert not any(box.overlaps(other) for other in inner)
    for axes in drawn.axes:
        for text in axes.texts:
            box = text.get_window_extent()
            assert min(box.x0, box.y0) >= -1
            assert box.x1 <= width + 1
            assert box.y1 <= height + 1
    close(figure)


def test_transplant_is_naive_and_counts_events():
    spec = mc.load_model("hsct_benefit_efs").model_copy(update={"kinds": ("contrast",)})
    fit = mc.fit(spec, method="exact", draws=500, seed=1, progress=False)
    table = mc.labbe_table(fit)
    curve = table[table["row"] == "curve"]
    naive = mc.summarize(fit).set_index("estimand").loc["median study (naive)", "median"]
    middle = curve.iloc[len(curve) // 2]
    expected = 1 - (1 - middle["control_rate"]) ** naive
    assert middle["rate"] == pytest.approx(expected)
    figure = mc.plot_labbe(fit)
    texts = " ".join(
        text.get_text() for axes in figure.viz["figure"].item().axes for text in axes.texts
    ).replace("\n", " ")
    assert "Transplant: events (event-free survival), % of patients" in texts
    assert "the pooled hazard ratio is naive too" in texts
    close(figure)


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_files(odds, suffix, tmp_path):
    mc.plot_labbe(odds, file=tmp_path / f"figure.{suffix}")
    assert (tmp_path / f"figure.{suffix}").stat().st_size > 5000


def test_a_figure_that_is_not_drawn_keeps_its_structure(odds):
    figure = mc.plot_labbe(odds, backend="none")
    assert figure.viz["bubble"]["bubble"].sizes["row"] == 5
    assert "50 % (50/100) against 27 % (30/110)" in figure.viz.attrs["alt"]


def test_other_evidence_is_refused():
    table = pd.DataFrame({"study": ["a", "b"], "estimate": [0.1, 0.4], "se": [0.2, 0.3]})
    spec = mc.ModelSpec(likelihood="normal", scale="log")
    fit = mc.fit(spec, table, method="exact", draws=500, seed=1, progress=False)
    with pytest.raises(InputError, match="'normal', which has no counts of two groups"):
        mc.labbe_table(fit)
    fit = mc.fit("hsct_benefit_os", method="exact", draws=500, seed=1, progress=False)
    with pytest.raises(InputError, match=r"findings that are no counts.*\n?.*kinds = "):
        mc.plot_labbe(fit)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"file": "figure.jpg"}, "the suffix '.jpg'"),
        ({"backend": "plotly"}, "'plotly' is not known"),
        ({"at": {"scfv": "human"}}, "scfv"),
        ({"colour": "red"}, "no such option"),
    ],
)
def test_options_of_the_plot_are_checked(odds, options, words):
    with pytest.raises(InputError, match=re.escape(words)):
        mc.plot_labbe(odds, **options)
