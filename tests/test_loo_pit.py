"""Where findings lie in what a fit without them predicts."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import metacart as mc
from metacart.results.uniformity import band_of

COUNTS = pd.DataFrame(
    {
        "study": [*(f"s{n}" for n in range(6)), "outlier"],
        "events": [17, 16, 20, 18, 17, 16, 3],
        "total": [20] * 7,
    }
)


@pytest.fixture(scope="module")
def fit():
    spec = mc.ModelSpec(likelihood="binomial")
    return mc.fit(spec, COUNTS, method="exact", seed=4, progress=False)


def test_ends_are_probabilities_below_and_not_above(fit):
    """Against a grid of mu and tau with the study effects summed."""
    table = mc.loo_pit(fit, progress=False).set_index("finding")
    mu, tau = np.linspace(-4, 6, 101), np.linspace(0.005, 6, 140)
    z, weight = np.polynomial.hermite_e.hermegauss(45)
    weight = weight / weight.sum()
    rates = special.expit(mu[:, None, None] + tau[None, :, None] * z)
    prior = stats.norm.logpdf(mu, 0, 1.5)[:, None] + stats.halfnorm.logpdf(tau, 0, 1)
    logs = [np.log((stats.binom.pmf(y, 20, rates) * weight).sum(-1)) for y in COUNTS["events"]]
    errors = mc.conflict(fit, progress=False).set_index("name")["mcse"]
    for position in (0, 2, 6):
        name = COUNTS["study"].iloc[position]
        log_mass = prior + sum(each for n, each in enumerate(logs) if n != position)
        mass = np.exp(log_mass - special.logsumexp(log_mass))
        y = COUNTS["events"].iloc[position]
        for column, seen in (("lower", y - 1), ("upper", y)):
            at_most = (stats.binom.cdf(seen, 20, rates) * weight).sum(-1)
            expected = float((mass * at_most).sum())
            # the error is that of the mid-p; of a share that has all of the tie it is larger
            tie = table.loc[name, "upper"] - table.loc[name, "lower"]
            error = errors[name] + 0.01 * np.sqrt(max(tie, 1e-6))
            assert table.loc[name, column] == pytest.approx(expected, abs=4 * error + 1e-4)


def test_values_lie_between_their_ends_and_are_those_of_the_seed(fit):
    table, again = mc.loo_pit(fit, progress=False), mc.loo_pit(fit, progress=False)
    assert table["pit"].between(table["lower"], table["upper"]).all()
    assert table["upper"].max() <= 1.0
    assert (table["upper"] > table["lower"]).sum() >= 6
    pd.testing.assert_frame_equal(table, again)
    assert table.set_index("finding").loc["outlier", "upper"] < 0.02


def test_the_chance_is_that_of_the_band(fit):
    """Two values: the chance that both stray, from the order statistics of two uniform values."""
    spec = mc.ModelSpec(
        likelihood="normal",
        scale="identity",
        random_effects="none",
        priors={"mu": "Normal(0, 1)"},
    )
    data = pd.DataFrame({"study": ["a", "b"], "estimate": [0.9, 1.3], "se": [1e-3, 2.0]})
    two = mc.loo_pit(mc.fit(spec, data, method="exact", seed=1, progress=False), progress=False)
    # b is predicted by a, which is all but known; a by b and the prior
    expected = stats.norm.cdf(0.4 / 2.0)
    assert two["pit"].iloc[1] == pytest.approx(expected, abs=0.01)
    below = int((two["pit"] <= 0.5).sum())
    tail = stats.binom.cdf(min(below, 2 - below), 2, 0.5)
    assert two.attrs["chance"] == pytest.approx(min(2 * tail, 1.0), abs=1e-6)
    assert mc.loo_pit(fit, progress=False).attrs["chance"] < 1.0


def test_the_figure_draws_the_table_between_the_band(fit, tmp_path):
    table = mc.loo_pit(fit, progress=False).sort_values("pit")
    figure = mc.plot_loo_pit(fit, progress=False)
    points = np.array([each.item().get_offsets()[0] for each in figure.viz["finding"]["finding"]])
    np.testing.assert_allclose(points[:, 0], table["pit"])
    np.testing.assert_allclose(points[:, 1], np.arange(1, 8) / 7)
    plot = figure.get_target(None, {"column": "loo_pit"})
    (band,) = (each for each in plot.collections if each.get_gid() == "band")
    edges = band.get_paths()[0].vertices
    expected = band_of(7, 0.95)
    middle = edges[np.isclose(edges[:, 0], expected.points[2]), 1]
    assert middle.min() == pytest.approx(expected.lower[2])
    assert middle.max() == pytest.approx(expected.upper[2])
    assert [text.get_text() for text in plot.texts] == ["outlier"]
    assert "7 findings, each predicted by a fit without its cohort" in figure.viz.attrs["alt"]
    for suffix in ("png", "svg", "pdf"):
        mc.plot_loo_pit(fit, progress=False, file=tmp_path / f"pit.{suffix}")
        assert (tmp_path / f"pit.{suffix}").stat().st_size > 5000


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"file": "pit.jpg"}, "the suffix '.jpg'"),
        ({"backend": "plotly"}, "'plotly' is not known"),
        ({"colour": "red"}, "no such option"),
    ],
)
def test_options_of_the_plot_are_checked(fit, options, words):
    with pytest.raises(mc.InputError, match=re.escape(words)):
        mc.plot_loo_pit(fit, **options)


def test_one_cohort_has_no_others(fit):
    spec = mc.ModelSpec(likelihood="binomial")
    one = mc.fit(spec, COUNTS.assign(cohort="x"), seed=1, progress=False)
    with pytest.raises(mc.InputError, match="all studies are of one cohort, x"):
        mc.plot_loo_pit(one)
