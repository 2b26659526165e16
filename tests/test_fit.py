"""Whole fits: odd evidence, what a fit holds, saving and loading, and its tables."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import integrate, special, stats

import metacart as mc
from metacart.inference.gate import convergence
from metacart.results.contrast import within_share

SPEC = mc.ModelSpec(likelihood="binomial", thresholds=[0.5])


def counts(events, totals):
    names = [f"study {number}" for number in range(1, len(events) + 1)]
    return pd.DataFrame({"study": names, "events": events, "total": totals})


def grid_posterior(table, *, mu_sd=1.5, tau_sd=1.0):
    """Slow and obvious: the posterior of (mu, tau) on a grid, each study integrated by itself."""
    mu_edges, tau_edges = np.linspace(-9, 9, 241), np.linspace(0.0, 5.0, 201)
    mu, tau = (0.5 * (edges[1:] + edges[:-1]) for edges in (mu_edges, tau_edges))
    z, weight = np.polynomial.hermite_e.hermegauss(80)
    weight = weight / np.sqrt(2 * np.pi)
    log_posterior = stats.norm.logpdf(mu, 0, mu_sd)[:, None] + stats.halfnorm.logpdf(tau, 0, tau_sd)
    eta = mu[:, None, None] + tau[None, :, None] * z
    for row in table.itertuples():
        likelihood = stats.binom.pmf(row.events, row.total, special.expit(eta))
        log_posterior = log_posterior + np.log((likelihood * weight).sum(-1))
    density = np.exp(log_posterior - log_posterior.max())
    return mu_edges, tau_edges, density / density.sum()


def distribution_function(edges, mass, point):
    return float(np.interp(point, edges, np.concatenate([[0.0], np.cumsum(mass)])))


@pytest.mark.parametrize(
    "table",
    [
        counts([0, 0, 0, 0, 0], [5, 8, 12, 20, 7]),
        counts([5, 14, 6], [5, 14, 6]),
        counts([13], [19]),
        counts([13, 3], [19, 7]),
    ],
    ids=["no events", "events only", "one study", "two studies"],
)
def test_odd_evidence_against_a_grid(table):
    fit = mc.fit(SPEC, table, method="nuts", seed=11, progress=False)
    assert fit.attrs["gate"] == "passed"
    mu, tau, mass = grid_posterior(table)
    for name, edges, marginal in (("mu", mu, mass.sum(1)), ("tau", tau, mass.sum(0))):
        draws = fit["posterior"][name].to_numpy()
        for probability in (0.025, 0.5, 0.975):
            # the grid's distribution function at the sampled quantile is the probability, within
            # four standard errors of a share among as many draws as are effective
            found = distribution_function(edges, marginal, np.quantile(draws, probability))
            effective = float(mc.diagnostics(fit).set_index("quantity").loc[name, "ess_tail"])
            error = np.sqrt(probability * (1 - probability) / effective)
            assert abs(found - probability) < 4 * error + 0.002, (name, probability, found)
    table = mc.summarize(fit).set_index("estimand")
    assert table.loc["next study", "upper"] >= table.loc["median study", "upper"]
    assert 0 <= table.loc["P(next study > 0.5)", "median"] <= 1
    assert mc.forest_table(fit)["crude"].dropna().between(0, 1).all()


@pytest.fixture(scope="module")
def moderated():
    table = pd.DataFrame(
        {
            "study": ["a", "b", "c", "d", "e", "e"],
            "events": [13, 21, 3, 3, 6, 2],
            "total": [19, 33, 14, 7, 8, 9],
            "scfv": ["human", "human", "murine", "human", "human", "murine"],
            "same_product": [False, False, True, True, False, False],
        }
    )
    spec = mc.ModelSpec(
        likelihood="binomial",
        moderators=["scfv", "same_product"],
        reference={"scfv": "murine"},
        thresholds=[0.5],
    )
    return mc.fit(spec, table, seed=4, progress=False)


def test_a_fit_holds_everything(moderated, tmp_path):
    posterior = moderated["posterior"]
    assert set(posterior.data_vars) == {"mu", "tau", "beta", "theta", "theta_new"}
    assert posterior["beta"]["coefficient"].to_numpy().tolist() == [
        "scfv[human]",
        "same_product[true]",
    ]
    for group in ("prior", "posterior_predictive", "prior_predictive", "log_prior", "sample_stats"):
        assert group in moderated.children
    assert moderated["log_likelihood"]["study"].sizes["studies"] == 5
    assert moderated["log_likelihood"]["y"].sizes["finding"] == 6
    path = mc.save_fit(moderated, tmp_path / "deep" / "fit.nc")
    again = mc.load_fit(path)
    for name in moderated.children:
        xr.testing.assert_identical(moderated[name].to_dataset(), again[name].to_dataset())
    assert again.attrs == moderated.attrs
    pd.testing.assert_frame_equal(mc.summarize(again), mc.summarize(moderated))
    assert [file.name for file in path.parent.iterdir()] == ["fit.nc"]


def test_the_same_seed_gives_the_same_fit(moderated):
    from metacart.inference.records import evidence_of, spec_of

    again = mc.fit(spec_of(moderated), evidence_of(moderated), seed=4, progress=False)
    xr.testing.assert_equal(again["posterior"].to_dataset(), moderated["posterior"].to_dataset())


def test_the_likelihood_of_studies_is_that_of_their_integral(moderated):
    posterior = moderated["posterior"].isel(chain=0, draw=7)
    mu, tau, beta = (posterior[name].to_numpy() for name in ("mu", "tau", "beta"))
    found = moderated["log_likelihood"]["study"].isel(chain=0, draw=7).to_numpy()

    def integrand(u):
        rates = special.expit(mu + u + np.array([beta[0], 0.0]))
        return stats.norm.pdf(u, 0, tau) * stats.binom.pmf([6, 2], [8, 9], rates).prod()

    expected = np.log(integrate.quad(integrand, -8 * tau, 8 * tau, points=[0.0])[0])
    assert found[4] == pytest.approx(expected, abs=1e-5)


def test_contrast_is_what_the_draws_say(moderated):
    table = mc.contrast(moderated, "scfv", "human", "murine")
    assert list(table.columns) == [
        "estimand",
        "measure",
        "median",
        "lower",
        "upper",
        "p_better",
        "posterior_to_prior_sd",
    ]
    beta = moderated["posterior"]["beta"].sel(coefficient="scfv[human]").to_numpy()
    rows = table.set_index(["estimand", "measure"])
    conditional = rows.loc[("median study (conditional)", "odds ratio")]
    assert conditional["median"] == pytest.approx(np.exp(np.median(beta)))
    assert conditional["p_better"] == pytest.approx((beta > 0).mean())
    assert conditional["posterior_to_prior_sd"] == pytest.approx(beta.std() / 1.0, rel=0.05)
    average = rows.loc[("population average", "odds ratio")]
    assert abs(np.log(average["median"])) < abs(np.log(conditional["median"]))
    apart = rows.loc[("next studies, one level in each", "risk difference")]
    together = rows.loc[("next study, both levels in it", "risk difference")]
    assert apart["upper"] - apart["lower"] > together["upper"] - together["lower"]
    back = mc.contrast(moderated, "scfv", "murine", "human")
    np.testing.assert_allclose(back["p_better"] + table["p_better"], 1.0, atol=0.02)


def test_population_average_of_levels_is_standardised(moderated):
    """The average over the evidence of the other moderator, never its reference level."""
    at = mc.summarize(moderated, at={"scfv": "human"}).set_index("estimand")
    posterior = moderated["posterior"]
    linear = posterior["mu"] + posterior["beta"].sel(coefficient="scfv[human]")
    same = linear + posterior["beta"].sel(coefficient="same_product[true]")
    rates = (4 * special.expit(linear) + 2 * special.expit(same)) / 6
    assert at.loc["median study", "median"] == pytest.approx(float(rates.median()), abs=1e-12)
    assert at.loc["median study", "at"] == "scfv = human, averaged over the evidence"


def test_share_of_information_within_studies(moderated):
    """By hand for one draw's weights: only study e has both levels."""
    share = within_share(moderated, "scfv", "human", "murine")
    assert 0 < share < 0.6
    table = mc.contrast(moderated, "scfv", "human", "murine")
    assert "of the information is from within studies" in table.attrs["note"]


def test_refusals_of_tables_name_what_there_is(moderated):
    for call, words in (
        (lambda: mc.summarize(moderated, at={"scvf": "human"}), ["did you mean 'scfv'?"]),
        (lambda: mc.summarize(moderated, at={"scfv": "humn"}), ["did you mean 'human'?"]),
        (lambda: mc.contrast(moderated, "scv", "human", "murine"), ["did you mean 'scfv'?"]),
        (lambda: mc.contrast(moderated, "scfv", "human", "human"), ["against itself"]),
        (lambda: mc.forest_table(moderated, subgroups="same"), ["same_product"]),
        (lambda: mc.summarize({"posterior": 1}), ["a dict without its spec"]),
    ):
        with pytest.raises(mc.InputError) as refusal:
            call()
        for word in words:
            assert word in str(refusal.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "nust"}, ["'nust' is not known", "did you mean 'nuts'?"]),
        ({"draws": 0}, ["draws: 0", "1 or more"]),
        ({"chains": 2.5, "tune": True}, ["chains: 2.5", "tune: True"]),
    ],
)
def test_options_that_cannot_be(options, words):
    with pytest.raises(mc.InputError) as refusal:
        mc.fit(SPEC, counts([1], [2]), **options)
    for word in words:
        assert word in str(refusal.value)


def test_files_that_are_no_fit(tmp_path, moderated):
    for path, word in (
        (tmp_path / "none.nc", "is not a file"),
        (tmp_path / "text.nc", "cannot be read"),
    ):
        if word == "cannot be read":
            path.write_text("no netCDF")
        with pytest.raises(mc.InputError, match=word):
            mc.load_fit(path)
    other = tmp_path / "other.nc"
    xr.Dataset({"x": ("y", [1.0])}).to_netcdf(other, engine="h5netcdf")
    with pytest.raises(mc.InputError, match="holds no metacart fit"):
        mc.load_fit(other)
    with pytest.raises(mc.InputError, match=r"ending in \.nc"):
        mc.save_fit(moderated, tmp_path / "fit.zarr")
    assert not (tmp_path / "fit.zarr").exists()


def test_the_gate_names_what_fails():
    rng = np.random.default_rng(1)
    good = rng.normal(size=(4, 4000))
    stuck = np.cumsum(rng.normal(size=(4, 4000)), axis=1)

    def reported(values):
        return xr.Dataset({"mu": (("chain", "draw"), values)})

    assert convergence(reported(good), divergences=0).failure == ""
    assert convergence(reported(good), divergences=0).shortfall < 1
    assert convergence(reported(good), divergences=3).failure == "3 divergent transitions"
    failure = convergence(reported(stuck), divergences=0).failure
    assert "R-hat of mu is" in failure
    assert "Monte Carlo error of the mean of mu" in failure
    # an ESS of 400 leaves about 13 % of the SD in a tail quantile
    few = convergence(reported(good[:, :100]), divergences=0)
    assert "2.5 % quantile of mu" in few.failure
    assert few.shortfall > 2


# --- the transplant question --------------------------------------------------------------------

RATIOS = pd.DataFrame(
    {
        "study": ["Li 2020", "Chen 2021"],
        "kind": "ratio",
        "ratio": [0.279, 0.25],
        "lower": [0.101, 0.068],
        "upper": [0.769, 0.915],
        "time_handling": "time-fixed",
    }
)


@pytest.fixture(scope="module")
def transplant():
    spec = mc.ModelSpec(likelihood="hsct", thresholds=[1.0])
    return mc.fit(spec, RATIOS, seed=5, progress=False)


def test_while_no_study_handles_time_the_bias_keeps_its_prior(transplant):
    bias = transplant["posterior"]["bias"].to_numpy()
    assert stats.kstest(bias.ravel(), stats.norm(-0.45, 0.25).cdf).pvalue > 0.001
    naive, adjusted = (transplant[name]["mu"].to_numpy() for name in ("naive", "posterior"))
    np.testing.assert_allclose(adjusted, naive - bias)
    assert abs(np.corrcoef(naive.ravel(), bias.ravel())[0, 1]) < 4 / np.sqrt(bias.size)


def test_the_naive_answer_is_that_of_the_normal_model(transplant):
    plain = RATIOS[["study", "ratio", "lower", "upper"]]
    other = mc.fit(mc.ModelSpec(likelihood="normal"), plain, seed=6, progress=False)
    mine, theirs = transplant["naive"]["mu"].to_numpy(), other["posterior"]["mu"].to_numpy()
    spread = np.hypot(mine.std(), theirs.std()) / np.sqrt(3000)
    assert abs(mine.mean() - theirs.mean()) < 4 * spread


def test_naive_and_adjusted_stand_side_by_side(transplant):
    table = mc.summarize(transplant).set_index("estimand")
    naive = table.loc["median study (naive)", "median"]
    adjusted = table.loc["median study (immortal-time-adjusted)", "median"]
    assert naive < adjusted
    assert (
        table.loc["P(median study < 1) (naive)", "median"]
        > table.loc["P(median study < 1) (immortal-time-adjusted)", "median"]
    )
    assert "population average (naive)" not in table.index
    labels = mc.forest_table(transplant)["label"].tolist()
    assert "median study (naive)" in labels
    assert "median study (immortal-time-adjusted)" in labels


def test_a_study_that_handles_time_informs_the_bias():
    # many precise studies: those that handle time show 0, the others -0.8: b must be near -0.8
    table = pd.DataFrame(
        {
            "study": [f"s{number}" for number in range(12)],
            "kind": "ratio",
            "ratio": [1.0] * 6 + [0.449] * 6,
            "lower": [0.8] * 6 + [0.36] * 6,
            "upper": [1.25] * 6 + [0.56] * 6,
            "time_handling": ["landmark", "time-dependent"] * 3 + ["time-fixed", "unclear"] * 3,
        }
    )
    fit = mc.fit(mc.ModelSpec(likelihood="hsct"), table, seed=7, progress=False)
    bias, mu = (fit["posterior"][name].to_numpy() for name in ("bias", "mu"))
    assert bias.std() < 0.15
    assert -0.85 < bias.mean() < -0.55
    assert abs(mu.mean()) < 0.12
    assert -0.55 < fit["naive"]["mu"].mean() < -0.25
    assert json.loads(fit.attrs["priors"])["bias"] == "Normal(-0.45, 0.25)"


def test_time_handling_must_be_known():
    wrong = RATIOS.assign(time_handling=["time fixed", "landmark"], kind=["ratio", "curve"])
    with pytest.raises(mc.InputError) as refusal:
        mc.fit(mc.ModelSpec(likelihood="hsct"), wrong)
    assert "did you mean 'time-fixed'?" in str(refusal.value)
    assert "row 2 (Chen 2021), column 'kind': 'curve'" in str(refusal.value)
