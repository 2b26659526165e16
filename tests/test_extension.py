"""A likelihood of a user's own: the worked example of CONTRIBUTING.md from table to figure."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import metacart as mc
from metacart.modelling.build import build_model
from metacart.modelling.design import bind, data_of
from metacart.modelling.priors import resolve_priors
from metacart.plots import close_figure

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text("utf-8")


@pytest.fixture(scope="module")
def example():
    """Run the code of the recipe, as a reader would, with fewer simulations."""
    section = TEXT.partition("\n## A likelihood\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```python\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1
    code = blocks[0].replace("simulations=100", "simulations=40")
    names = {}
    exec(compile(code, "CONTRIBUTING.md", "exec"), names)
    return names


@pytest.fixture(scope="module")
def infections(example):
    return example["infections"]


@pytest.fixture(scope="module")
def own(example):
    return example["own"]


class Oracle:
    """mu and tau over a grid, each study's effect by 61 Gauss-Hermite nodes; scipy's Poisson."""

    def __init__(self, table, *, tau=None, scale=1.0):
        self.mu = np.linspace(-5.5, 2.5, 321)
        step = 0.02
        self.tau = np.arange(step / 2, 4.5, step) if tau is None else np.array([tau])
        z, weight = np.polynomial.hermite_e.hermegauss(61)
        weight = np.log(weight) - 0.5 * np.log(2 * np.pi)
        theta = self.mu[:, None, None] + self.tau[:, None] * z
        log_mass = stats.norm(-1, 1.5).logpdf(self.mu)[:, None] + np.log(self.mu[1] - self.mu[0])
        if tau is None:
            log_mass = log_mass + stats.halfnorm(0, scale).logpdf(self.tau) + np.log(step)
        for events, years in zip(table["events"], table["patient_years"], strict=True):
            density = stats.poisson(years * np.exp(theta)).logpmf(events)
            log_mass = log_mass + special.logsumexp(density + weight, axis=-1)
        self.log_marginal = special.logsumexp(log_mass)
        self.mass = np.exp(log_mass - self.log_marginal)

    def agrees(self, draws, name, independent):
        grid = getattr(self, name)
        height = self.mass.sum(axis=1 if name == "mu" else 0)
        mean, spread = height @ grid, np.sqrt(height @ grid**2 - (height @ grid) ** 2)
        assert np.mean(draws) == pytest.approx(mean, abs=4 * spread / np.sqrt(independent))
        cumulative = np.cumsum(height) - height / 2
        for probability in (0.025, 0.5, 0.975):
            share = np.interp(np.quantile(draws, probability), grid, cumulative)
            error = np.sqrt(probability * (1 - probability) / independent)
            assert share == pytest.approx(probability, abs=4 * error + 0.002)


@pytest.fixture(scope="module")
def oracle(infections):
    return Oracle(infections)


def test_the_exact_engine_gives_what_a_grid_gives(example, oracle):
    fit = example["fit"]
    assert (fit.attrs["method"], fit.attrs["gate"]) == ("exact", "passed")
    assert fit.attrs["log_marginal_likelihood"] == pytest.approx(oracle.log_marginal, abs=0.02)
    for name in ("mu", "tau"):
        oracle.agrees(fit["posterior"][name].to_numpy(), name, fit.attrs["importance_ess"])


def test_nuts_gives_what_a_grid_gives(own):
    table = pd.DataFrame(
        {
            "study": list("ABCDE"),
            "events": [14, 3, 31, 9, 32],
            "patient_years": [51.5, 26.2, 80.1, 32.0, 49.3],
        }
    )
    spec = mc.ModelSpec(likelihood="poisson", priors={"tau": "HalfNormal(0.5)"})
    fit = mc.fit(spec, table, likelihoods=own, method="nuts", seed=2, progress=False)
    assert (fit.attrs["method"], fit.attrs["gate"]) == ("nuts", "passed")
    ess = mc.diagnostics(fit).set_index("quantity")["ess_tail"]
    grid = Oracle(table, scale=0.5)
    for name in ("mu", "tau"):
        grid.agrees(fit["posterior"][name].to_numpy(), name, ess[name])


def test_a_common_effect_is_one_integral(infections, own):
    spec = mc.ModelSpec(likelihood="poisson", random_effects="none")
    fit = mc.fit(spec, infections, likelihoods=own, seed=1, progress=False)
    grid = Oracle(infections, tau=0.0)
    assert fit.attrs["log_marginal_likelihood"] == pytest.approx(grid.log_marginal, abs=0.01)
    grid.agrees(fit["posterior"]["mu"].to_numpy(), "mu", fit.attrs["importance_ess"])


# --- the gauntlet -------------------------------------------------------------------------------


def test_the_example_runs_the_gauntlet(example, infections, own):
    likelihood, spec = example["POISSON"], example["spec"]
    design = bind(spec, infections, likelihoods=own)
    data, priors = data_of(design), resolve_priors(spec, design, likelihood)
    model = build_model(spec, design, likelihoods=own)
    logp, gradient = model.compile_logp(), model.compile_dlogp()
    for probability in (0.001, 0.999):
        point = model.initial_point()
        point["mu"] = np.asarray(priors["mu"].quantile(probability))
        point["tau_log__"] = np.log(priors["tau"].quantile(probability))
        assert np.isfinite(logp(point))
        assert np.isfinite(gradient(point)).all()
    eta = np.linspace(-6, 4, 9)[:, None] + np.zeros(5)
    density = likelihood.logp(eta, data, {})
    known = stats.poisson(data["patient_years"] * np.exp(eta)).logpmf(data["events"])
    np.testing.assert_allclose(density, known, rtol=1e-10)
    step = 1e-5
    slope, bend = likelihood.derivatives(eta, data, {})
    above, below = (likelihood.logp(eta + each, data, {}) for each in (step, -step))
    np.testing.assert_allclose(slope, (above - below) / (2 * step), rtol=1e-5, atol=1e-4)
    above, below = (likelihood.derivatives(eta + each, data, {})[0] for each in (step, -step))
    np.testing.assert_allclose(bend, (above - below) / (2 * step), rtol=1e-5, atol=1e-4)
    drawn = likelihood.simulate(np.zeros((20_000, 5)), data, {}, np.random.default_rng(1))
    error = np.sqrt(data["patient_years"] / 20_000)
    assert (np.abs(drawn.mean(axis=0) - data["patient_years"]) < 4 * error).all()


def test_the_order_of_rows_does_not_matter(example, infections, own):
    both = [
        mc.fit(example["spec"], rows, likelihoods=own, seed=1, progress=False)
        for rows in (infections, infections.iloc[::-1])
    ]
    heights = [each.attrs["log_marginal_likelihood"] for each in both]
    assert heights[0] == pytest.approx(heights[1], abs=0.02)
    means = [float(each["posterior"]["theta"].sel(finding="C").mean()) for each in both]
    assert means[0] == pytest.approx(means[1], abs=0.02)


def test_the_example_is_calibrated(example, infections, own):
    found = mc.calibrate(
        example["spec"], infections, likelihoods=own, simulations=60, draws=500, seed=3
    )
    assert found["uniform"].all()
    assert found["covers"].all()


def test_intervals_of_studies_alone_are_those_of_garwood(example):
    """Garwood 1936, Biometrika 28:437: 95 % limits of the mean of 0 and of 10 events."""
    data = {"events": np.array([0.0, 10.0]), "patient_years": np.array([1.0, 1.0])}
    estimate, lower, upper = example["crude"](data, None)
    np.testing.assert_allclose(estimate, [0, 10])
    np.testing.assert_allclose(lower, [0, 4.795], atol=5e-4)
    np.testing.assert_allclose(upper, [3.689, 18.390], atol=5e-4)


# --- what comes after the fit -------------------------------------------------------------------


def test_tables_and_figures_take_the_fit_as_it_is(example, infections):
    fit = example["fit"]
    table = mc.summarize(fit).set_index("estimand")
    assert list(table.index) == ["median study", "next study", "tau"]
    assert 0.1 < table.loc["median study", "median"] < 0.6
    crude = mc.study_estimates(fit)["crude"].to_numpy()
    np.testing.assert_allclose(crude, infections["events"] / infections["patient_years"])
    checks = mc.predictive_checks(fit)
    seen = checks[checks["check"] == "finding"]["observed"]
    np.testing.assert_allclose(seen, infections["events"] / infections["patient_years"])
    assert not checks["check"].str.contains("events only|geometric").any()
    assert (checks["upper"] < 50).all()
    for plot in (mc.plot_forest, mc.plot_ppc):
        pc = plot(fit)
        texts = [text.get_text() for axes in figure_axes(pc) for text in axis_texts(axes)]
        assert "Infections per patient-year (log scale)" in texts
        # nothing is compared: no line at 1
        assert not [line for axes in figure_axes(pc) for line in axes.lines if gid(line) == "null"]
        close_figure(pc)
    pc = mc.plot_forest(fit)
    note = " ".join(text.get_text() for axes in figure_axes(pc) for text in axes.texts)
    assert "Model: counts of events over the time at risk; normal effects" in note
    assert "(log scale)" in note
    assert "ratio" not in note.lower()
    close_figure(pc)


def figure_axes(pc):
    return pc.viz["figure"].item().axes


def axis_texts(axes):
    return [axes.xaxis.label, *axes.texts]


def gid(artist):
    return artist.get_gid()


def test_a_saved_fit_says_what_it_said(example, tmp_path):
    fit = example["fit"]
    loaded = mc.load_fit(mc.save_fit(fit, tmp_path / "fit.nc"))
    pd.testing.assert_frame_equal(mc.summarize(loaded), mc.summarize(fit))
    pd.testing.assert_frame_equal(mc.forest_table(loaded), mc.forest_table(fit))
    pd.testing.assert_frame_equal(mc.predictive_checks(loaded), mc.predictive_checks(fit))


def test_what_computes_anew_takes_the_entry_again(example, own):
    fit = example["fit"]
    left = mc.leave_one_out(fit, likelihoods=own)
    assert set(left["left_out"]) == {"", *"ABCDE"}
    assert mc.predictive(fit, likelihoods=own).sizes["finding"] == 5
    for verb in (mc.leave_one_out, mc.predictive):
        with pytest.raises(mc.InputError, match=r'likelihoods=\{\*\*LIKELIHOODS, "poisson"'):
            verb(fit)


# --- what is refused ----------------------------------------------------------------------------


def test_the_name_is_checked_by_fit_and_not_by_the_spec(infections):
    spec = mc.ModelSpec(likelihood="poisson")
    with pytest.raises(mc.InputError) as refusal:
        mc.fit(spec, infections)
    assert "'poisson' is not known; allowed: binomial" in str(refusal.value)
    with pytest.raises(mc.InputError, match="did you mean 'poisson'"):
        mc.fit(
            mc.ModelSpec(likelihood="poison"),
            infections,
            likelihoods={**mc.LIKELIHOODS, "poisson": mc.LIKELIHOODS["binomial"]},
        )


def test_every_fault_of_a_table_comes_at_once(example, own):
    table = pd.DataFrame(
        {"study": ["A", "B"], "events": [1.5, 2], "patient_years": [3.0, 0.0]},
    )
    with pytest.raises(mc.InputError) as refusal:
        mc.fit(example["spec"], table, likelihoods=own)
    assert "row 1 (A), column 'events': 1.5; allowed: a whole number" in str(refusal.value)
    assert "row 2 (B), column 'patient_years': 0.0; allowed: a number above 0" in str(refusal.value)
    with pytest.raises(mc.InputError, match="column 'patient_years': this column is missing"):
        mc.fit(example["spec"], table.drop(columns="patient_years"), likelihoods=own)
