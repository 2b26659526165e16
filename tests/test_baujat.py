"""The Baujat plot and its table, against metafor and closed forms."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, special, stats

import metacart as mc
from metacart.errors import InputError

# dat.bcg of metafor 3.8.1 (Colditz 1994): log risk ratios with their variances
BCG = {
    "estimate": (-0.88931133392, -1.58538865720, -1.34807314830, -1.44155119002, -0.21754732221,
                 -0.78611558582, -1.62089822360, 0.01195233352, -0.46941764874, -1.37134480347,
                 -0.33935882834, 0.44591340057, -0.01731394822),
    "variance": (0.325584765004, 0.194581121398, 0.415367965368, 0.020010031902, 0.051210172170,
                 0.006905618456, 0.223017247572, 0.003961579298, 0.056434210463, 0.073024793613,
                 0.012412213972, 0.532505845200, 0.071404659684),
}  # fmt: skip
# baujat(rma(yi, vi, method = "CE")): x and y
BAUJAT = (
    (0.64715873603, 3.276599239e-03), (6.85710962717, 5.829078499e-02),
    (2.02792428639, 8.039338026e-03), (51.10731362551, 4.563099485e00),
    (0.88375780171, 2.924134954e-02), (18.33511222005, 5.711231179e00),
    (6.35627725632, 4.709268099e-02), (49.36768627046, 3.487951031e01),
    (0.02713516104, 8.122359062e-04), (12.12729542775, 2.786393378e-01),
    (0.66608571790, 1.014178565e-01), (1.44171924284, 4.454298389e-03),
    (2.38843270922, 5.615154772e-02),
)  # fmt: skip
COUNTS = pd.DataFrame(
    {
        "study": [f"Study {letter}" for letter in "abcdef"],
        "events": [0, 7, 12, 19, 20, 31],
        "total": [9, 21, 19, 24, 20, 60],
    }
)


def fitted(table, *, likelihood="binomial", **changes):
    spec = mc.ModelSpec(likelihood=likelihood, **changes)
    return mc.fit(spec, table, method="exact", draws=500, seed=1, progress=False)


@pytest.fixture(scope="module")
def counts():
    return fitted(COUNTS)


def close(figure):
    from matplotlib import pyplot as plt

    plt.close(figure.viz["figure"].item())


def test_estimates_as_metafor_has_them():
    table = pd.DataFrame(
        {
            "study": [f"t{n:02}" for n in range(13)],
            "estimate": BCG["estimate"],
            "se": np.sqrt(BCG["variance"]),
        }
    )
    found = mc.baujat_table(fitted(table, likelihood="normal", scale="log"))
    own = found.set_index("left_out").sort_index()
    expected = np.asarray(BAUJAT)
    np.testing.assert_allclose(own["contribution"], expected[:, 0], rtol=1e-7)
    np.testing.assert_allclose(own["influence"], expected[:, 1], rtol=1e-6)
    assert found.attrs["statistic"] == "Q"
    assert found.attrs["total"] == pytest.approx(152.2330081, rel=1e-8)
    assert found.attrs["df"] == 12
    assert np.log(found.attrs["pooled"]) == pytest.approx(-0.4302851637, rel=1e-8)
    # 8, which holds the most weight, and 4, which disagrees the most
    assert found["left_out"].tolist()[:2] == ["t07", "t03"]


def test_counts_in_closed_form(counts):
    """All are binomial about one rate: that of all patients together."""
    found = mc.baujat_table(counts).set_index("left_out")

    def deviance(y, n, p):
        own = special.xlogy(y, y / n) + special.xlogy(n - y, 1 - y / n)
        return 2 * (own - special.xlogy(y, p) - special.xlogy(n - y, 1 - p))

    y, n = COUNTS["events"].to_numpy(), COUNTS["total"].to_numpy()
    pooled = y.sum() / n.sum()
    whole = deviance(y, n, pooled)
    for k, study in enumerate(COUNTS["study"]):
        others = np.arange(6) != k
        rest = y[others].sum() / n[others].sum()
        row = found.loc[study]
        assert row["contribution"] == pytest.approx(whole[k], abs=1e-4)
        moved = deviance(y[others], n[others], pooled) - deviance(y[others], n[others], rest)
        assert row["influence"] == pytest.approx(moved.sum(), abs=1e-6)
        assert row["pooled"] == pytest.approx(rest, abs=1e-8)
    table = mc.baujat_table(counts)
    # the likelihood-ratio test of scipy, which knows nothing of rates
    test = stats.chi2_contingency(np.stack([y, n - y]), lambda_="log-likelihood")
    assert table.attrs["total"] == pytest.approx(test.statistic, abs=1e-4)
    assert table.attrs["df"] == test.dof
    assert table.attrs["statistic"] == "G²"


def test_overdispersed_counts_are_taken_as_binomial(counts):
    own = mc.baujat_table(fitted(COUNTS, likelihood="beta_binomial"))
    pd.testing.assert_frame_equal(own, mc.baujat_table(counts))


def test_two_groups_against_a_quadrature():
    rows = [(1, 20, 6, 21), (0, 15, 4, 14), (9, 30, 10, 28)]
    table = pd.DataFrame(
        rows, columns=["events", "total", "control_events", "control_total"]
    ).assign(study=["a", "b", "c"])
    found = mc.baujat_table(fitted(table, likelihood="two_arm")).set_index("left_out")
    b = np.linspace(-9, 9, 4001)
    prior = stats.norm.pdf(b, 0, 1.5)

    def logs(theta):
        likelihoods = [
            stats.binom.pmf(y, n, special.expit(b + theta))
            * stats.binom.pmf(c, m, special.expit(b))
            for y, n, c, m in rows
        ]
        return np.log([np.trapezoid(each * prior, b) for each in likelihoods])

    def top(chosen):
        best = optimize.minimize_scalar(
            lambda theta: -logs(theta)[chosen].sum(), bounds=(-15, 5), method="bounded",
            options={"xatol": 1e-6},
        )  # fmt: skip
        return best.x

    middle = logs(top([0, 1, 2]))
    for k, study in enumerate("abc"):
        others = [n for n in range(3) if n != k]
        row = found.loc[study]
        alone = logs(top([k]))[k]
        assert row["contribution"] == pytest.approx(2 * (alone - middle[k]), abs=2e-4)
        moved = 2 * (logs(top(others)) - middle)[others].sum()
        assert row["influence"] == pytest.approx(moved, abs=2e-4)


def test_papers_of_a_cohort_leave_together():
    table = COUNTS.assign(cohort=["x", "x", "y", "z", "z", "w"])
    found = mc.baujat_table(fitted(table)).set_index("left_out")
    assert found.loc["x", "studies"] == "Study a, Study b"
    apart = mc.baujat_table(fitted(COUNTS)).set_index("left_out")["contribution"]
    assert found.loc["x", "contribution"] == pytest.approx(apart["Study a"] + apart["Study b"])


def test_points_stand_where_the_table_says(counts):
    table = mc.baujat_table(counts)
    figure = mc.plot_baujat(counts)
    points = [each.item().get_offsets()[0] for each in figure.viz["study"]["study"]]
    np.testing.assert_allclose(np.array(points), table[["contribution", "influence"]])
    assert table.iloc[0]["left_out"] in figure.viz.attrs["alt"]
    close(figure)


def many(number):
    rng = np.random.default_rng(number)
    total = rng.integers(5, 200, number)
    events = rng.binomial(total, special.expit(rng.normal(1.0, 0.8, number)))
    events[:3] = 0, total[1], total[2]
    names = [f"Vandenbroucke-Hernández and others {1990 + n}" for n in range(number)]
    return fitted(pd.DataFrame({"study": names, "events": events, "total": total}))


@pytest.mark.parametrize("number", [4, 60])
def test_names_overlap_nothing(number):
    figure = mc.plot_baujat(many(number))
    drawn = figure.viz["figure"].item()
    drawn.canvas.draw()
    width, height = drawn.canvas.get_width_height()
    plot = figure.get_target(None, {"column": "baujat"})
    names = [text.get_window_extent() for text in plot.texts]
    assert 3 <= len(names) <= 10
    for n, one in enumerate(names):
        assert one.x0 >= 0
        assert one.x1 <= width
        assert not any(one.overlaps(other) for other in names[:n])
    for axes in drawn.axes:
        for text in axes.texts:
            box = text.get_window_extent()
            assert box.x0 >= -1
            assert box.x1 <= width + 1
            assert box.y0 >= -1
            assert box.y1 <= height + 1
    close(figure)


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_files(counts, suffix, tmp_path):
    mc.plot_baujat(counts, file=tmp_path / f"figure.{suffix}")
    assert (tmp_path / f"figure.{suffix}").stat().st_size > 5000


def test_a_figure_that_is_not_drawn_keeps_its_structure(counts):
    figure = mc.plot_baujat(counts, backend="none")
    assert figure.viz["study"]["study"].sizes["row"] == 6
    assert figure.viz.attrs["title"] == "Meta-analysis: Baujat plot"


def test_what_has_no_common_effect_is_refused():
    table = COUNTS.assign(scfv=["murine", "human"] * 3)
    fit = fitted(table, moderators=("scfv",))
    with pytest.raises(InputError, match=r"moderators \(scfv\), which have no one effect common"):
        mc.baujat_table(fit)
    one = fitted(COUNTS.assign(cohort="x"))
    with pytest.raises(InputError, match="all studies are of one cohort, x"):
        mc.plot_baujat(one)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"file": "baujat.jpg"}, "the suffix '.jpg'"),
        ({"backend": "plotly"}, "'plotly' is not known"),
        ({"colour": "red"}, "no such option"),
    ],
)
def test_options_of_the_plot_are_checked(counts, options, words):
    with pytest.raises(InputError, match=re.escape(words)):
        mc.plot_baujat(counts, **options)
