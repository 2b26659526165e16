"""Many findings: draws that are kept of each, studies that are alike, tables that stay linear."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import metacart as mc
from metacart.inference import density, engines, kept
from metacart.inference.density import Marginal
from metacart.inference.kept import at_kept_draws, kept_draws
from metacart.inference.records import spec_of
from metacart.modelling.columns import finding_labels
from metacart.modelling.design import bind
from metacart.modelling.likelihoods import find_likelihood
from metacart.modelling.priors import resolve_priors
from metacart.results.left_out import left_out_of
from metacart.results.reweighting import mean_weighted

RNG = np.random.default_rng(7)
TOTAL = RNG.integers(8, 40, 12)
TABLE = pd.DataFrame(
    {
        "study": [f"s{number}" for number in range(12)],
        "events": RNG.binomial(TOTAL, 1.0 / (1.0 + np.exp(-0.8 - 0.6 * RNG.standard_normal(12)))),
        "total": TOTAL,
    }
)
RATIOS = pd.DataFrame(
    {
        "study": ["a", "b", "c", "d"],
        "kind": "ratio",
        "time_handling": "time-fixed",
        "ratio": [0.5, 0.7, 0.4, 0.9],
        "lower": [0.3, 0.4, 0.2, 0.5],
        "upper": [0.84, 1.23, 0.8, 1.62],
    }
)
SIZE = {"draws": 4000, "chains": 4, "seed": 3, "progress": False}
OF_FINDINGS = ("posterior_predictive", "log_likelihood")


@pytest.fixture(scope="module")
def fits() -> tuple[xr.DataTree, xr.DataTree]:
    """The same fit with all draws of its findings, and with some."""
    spec = mc.ModelSpec(likelihood="binomial")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engines, "_JUDGED", 5)  # as of many findings: the gate asks for no theta
        whole = mc.fit(spec, TABLE, method="exact", **SIZE)
        patch.setattr(kept, "CELLS", 12 * 8000)
        return whole, mc.fit(spec, TABLE, method="exact", **SIZE)


def test_all_draws_are_kept_up_to_a_limit_and_a_thousand_beyond_it():
    assert len(kept_draws(1000, chains=4, draws=1250)) == 1250
    some = kept_draws(1000, chains=4, draws=4000)
    assert len(some) == 1250
    assert some[0] == 0
    assert set(np.diff(some)) <= {3, 4}
    assert len(kept_draws(100_000, chains=4, draws=4000)) == 250
    assert len(kept_draws(100_000, chains=3, draws=4000)) == 334


def test_what_each_finding_has_for_itself_is_kept_of_fewer_draws(fits):
    whole, few = fits
    assert whole.attrs["finding_draws"] == 4 * whole["posterior"].sizes["draw"]
    assert few.attrs["finding_draws"] == 8000
    assert "posterior_findings" not in whole.children
    assert set(few["posterior"].data_vars) == {"mu", "tau", "theta_new"}
    for name in ("mu", "tau", "theta_new"):  # the draws that all findings share are the same
        np.testing.assert_array_equal(few["posterior"][name], whole["posterior"][name])
    assert few["posterior_findings"]["theta"].sizes == {"chain": 4, "draw": 2000, "finding": 12}
    for name in OF_FINDINGS:
        assert few[name].sizes["draw"] == 2000
        np.testing.assert_array_equal(few[name]["draw"], few["posterior_findings"]["draw"])
    # log likelihoods of studies hang on mu and tau alone, and so belong to the same draws
    one = whole["log_likelihood"]["study"].sel(draw=few["log_likelihood"]["draw"])
    np.testing.assert_allclose(few["log_likelihood"]["study"], one, rtol=1e-12)


def test_theta_of_fewer_draws_belongs_to_their_mu_and_tau(fits):
    whole, few = (at_kept_draws(fit) for fit in fits)
    assert whole is fits[0]
    assert few["posterior"]["theta"].dims == ("chain", "draw", "finding")
    np.testing.assert_array_equal(few["sample_stats"]["draw"], few["posterior"]["draw"])
    # the mean of theta follows mu from draw to draw: not so where draws were mixed up
    found = [
        np.corrcoef(fit["posterior"]["theta"].mean("finding").to_numpy().ravel(), mu.ravel())[0, 1]
        for fit in (whole, few)
        for mu in [fit["posterior"]["mu"].to_numpy()]
    ]
    assert found[1] == pytest.approx(found[0], abs=4.0 * (1.0 - found[0] ** 2) / np.sqrt(8000))


def test_tables_of_fewer_draws_agree_with_those_of_all(fits):
    whole, few = fits
    assert mc.summarize(whole).equals(mc.summarize(few))
    one, two = (mc.study_estimates(fit) for fit in fits)
    spread = (one["shrunken_upper"] - one["shrunken_lower"]) / 4.0
    # errors of quantiles of 8,000 draws: 1.4 % of an SD for the median, 3 % for the limits
    for column, error in (("shrunken", 0.017), ("shrunken_lower", 0.04), ("shrunken_upper", 0.04)):
        assert ((two[column] - one[column]).abs() < 4.5 * error * spread).all(), column
    np.testing.assert_allclose(two["weight"], one["weight"], rtol=0.05)
    one, two = (mc.heterogeneity(fit).set_index("quantity") for fit in fits)
    assert two.loc["tau"].equals(one.loc["tau"])
    assert two.loc["I squared", "median"] == pytest.approx(one.loc["I squared", "median"], abs=0.05)
    one, two = (mc.predictive_checks(fit) for fit in fits)
    assert (one["p"] - two["p"]).abs().max() < 4.5 * 0.5 * np.hypot(8000**-0.5, 16_000**-0.5)


def test_leaving_out_and_power_scaling_read_the_kept_draws(fits):
    likelihood = find_likelihood(spec_of(fits[0]))
    parts = [list(left_out_of(fit, likelihood)) for fit in fits]
    mu = [at_kept_draws(fit)["posterior"]["mu"].to_numpy() for fit in fits]
    for each in zip(*parts, strict=True):
        means = [
            mean_weighted(mu, part.weights["posterior"]) for mu, part in zip(mu, each, strict=True)
        ]
        assert means[0][0] == pytest.approx(means[1][0], abs=4.5 * np.hypot(*[e for _, e in means]))
    one, two = (mc.power_scaling(fit) for fit in fits)
    assert two["quantity"].tolist() == one["quantity"].tolist()
    np.testing.assert_allclose(
        two["likelihood_sensitivity"], one["likelihood_sensitivity"], atol=0.05
    )


def test_a_fit_with_fewer_draws_of_findings_is_saved_and_drawn(fits, tmp_path: Path):
    few = mc.load_fit(mc.save_fit(fits[1], tmp_path / "few.nc"))
    xr.testing.assert_identical(few, fits[1])
    assert mc.predictive(few, seed=1)["y"].sizes["draw"] == 2000
    assert len(mc.forest_table(few)) == len(mc.forest_table(fits[0]))
    assert "theta" not in "".join(mc.diagnostics(few)["quantity"])


def test_a_bias_is_taken_away_from_the_kept_draws_too(monkeypatch):
    spec = mc.ModelSpec(likelihood="hsct", outcome="overall_survival")
    monkeypatch.setattr(kept, "CELLS", 4 * 1200)
    fit = mc.fit(spec, RATIOS, method="exact", **SIZE)
    assert fit["naive_findings"]["theta"].sizes["draw"] == 300
    at = at_kept_draws(fit)
    gap = at["naive"]["theta"] - at["posterior"]["theta"]
    np.testing.assert_allclose(gap, at["posterior"]["bias"].broadcast_like(gap), rtol=1e-9)


def test_studies_that_are_alike_are_integrated_once(monkeypatch):
    rng = np.random.default_rng(5)
    table = pd.DataFrame(
        {"study": [f"s{number}" for number in range(150)], "events": rng.integers(0, 6, 150)}
    ).assign(total=5, x=np.tile([0.0, 1.0], 75))
    spec = mc.ModelSpec(likelihood="binomial", moderators=["x"])
    design, likelihood = bind(spec, table), find_likelihood(spec)
    priors = resolve_priors(spec, design, likelihood)
    points, t = rng.standard_normal((70, 2)), rng.standard_normal(70)
    some = Marginal(spec, design, likelihood, priors)
    assert len(some._kinds.group) == 12
    monkeypatch.setattr(density, "_MANY", 1000)
    monkeypatch.setattr(density, "CELLS", 150 * 16)  # and in blocks of draws
    each = Marginal(spec, design, likelihood, priors)
    assert len(each._kinds.group) == 150
    for name in ("log_likelihood", "log_density"):
        one, two = (getattr(marginal, name)(points, t) for marginal in (some, each))
        np.testing.assert_allclose(one, two, rtol=1e-7)


def test_labels_number_what_a_study_repeats():
    table = pd.DataFrame({"study": ["a", "b", "a", "c"]})
    assert finding_labels(table) == ["a#1", "b", "a#2", "c"]
