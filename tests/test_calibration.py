"""Calibration over simulated data: ranks, bands, verdicts, and faults that must be found."""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from scipy import stats

import metacart as mc
from metacart.inference import recovery
from metacart.inference.proposal import NoProposalError
from metacart.inference.recovery import Setting, recover
from metacart.modelling.design import bind, data_of
from metacart.modelling.likelihoods import LIKELIHOODS
from metacart.results.uniformity import band_of, binomial_band, chance_of

COUNTS = pd.DataFrame(
    {"study": list("abcde"), "events": 1, "total": [5, 19, 8, 33, 12], "x": [0.0, 1, 0, 1, 1]}
)
ESTIMATES = pd.DataFrame({"study": list("abcd"), "estimate": 0.0, "se": [0.2, 0.5, 0.3, 0.4]})
PAIRS = pd.DataFrame(
    {
        "study": list("abcd"),
        "events": 1,
        "total": [3, 21, 14, 6],
        "control_events": 2,
        "control_total": [24, 7, 4, 5],
    }
)
MIXED = pd.DataFrame(
    {
        "study": list("abcdef"),
        "kind": ["ratio"] * 4 + ["contrast"] * 2,
        "time_handling": ["time-fixed", "landmark"] * 3,
        "ratio": [0.5] * 4 + [np.nan] * 2,
        "lower": [0.25, 0.2, 0.3, 0.1] + [np.nan] * 2,
        "upper": [1.0, 1.25, 0.8333333, 2.5] + [np.nan] * 2,
        "events": [np.nan] * 4 + [3, 5],
        "total": [np.nan] * 4 + [12, 20],
        "control_events": [np.nan] * 4 + [6, 9],
        "control_total": [np.nan] * 4 + [15, 18],
    }
)


def setting(spec, table, *, draws=1000, seed=1, likelihoods=None):
    return Setting(spec, bind(spec, table, likelihoods=likelihoods), likelihoods, draws, seed)


# --- uniform ranks ------------------------------------------------------------------------------


def test_bands_of_the_share_that_covers():
    """What the issue prints: 400 data sets 0.910 to 0.983, 2,000 data sets 0.934 to 0.966."""
    assert binomial_band(400, probability=0.999) == pytest.approx((0.910, 0.983), abs=6e-4)
    assert binomial_band(2000, probability=0.999) == pytest.approx((0.934, 0.966), abs=6e-4)


@pytest.mark.parametrize("number", [20, 150, 1500])
def test_the_whole_function_of_uniform_values_leaves_its_band_as_often_as_it_should(number):
    rng, probability, runs = np.random.default_rng(4), 0.9, 1500
    band = band_of(number, probability)
    values = np.sort(rng.uniform(size=(runs, number)), axis=1)
    shares = np.stack([np.searchsorted(v, band.points, side="right") for v in values]) / number
    inside = ((shares >= band.lower - 1e-9) & (shares <= band.upper + 1e-9)).all(axis=1)
    # counts are whole: the band holds a little more, the less the more values there are
    error = 4 * np.sqrt(0.09 / runs)
    assert probability - error < inside.mean() < probability + error + 0.3 / np.sqrt(number)


def test_the_chance_of_uniform_values_is_uniform_and_agrees_with_the_band():
    rng = np.random.default_rng(5)
    runs = rng.uniform(size=(400, 80))
    chances = np.array([chance_of(run) for run in runs])
    assert stats.kstest(chances, "uniform").pvalue > 0.001
    band = band_of(80, 0.9)
    for run, chance in zip(runs, chances, strict=True):
        share = np.searchsorted(np.sort(run), band.points, side="right") / 80
        inside = ((share >= band.lower - 1e-9) & (share <= band.upper + 1e-9)).all()
        # at the edge itself one of them may say so and the other not
        assert inside == (chance >= 0.1) or abs(chance - 0.1) < 0.02


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(1).uniform(size=200) ** 1.5,
        np.random.default_rng(2).beta(0.6, 0.6, size=200),
        np.random.default_rng(3).beta(2, 2, size=200),
    ],
)
def test_values_that_are_not_uniform_are_found(values):
    assert chance_of(values) < 0.001


# --- one data set -------------------------------------------------------------------------------


def test_the_rank_is_the_posterior_below_the_truth():
    """A common effect seen through normal estimates has a closed posterior."""
    spec = mc.ModelSpec(likelihood="normal", scale="log", random_effects="none")
    own = setting(spec, ESTIMATES, draws=4000)
    for number in range(5):
        rng = np.random.default_rng([1, 4, number])
        truth, design = recovery._simulated(own, rng, None)
        se, estimate = ESTIMATES["se"].to_numpy(), design["estimate"].to_numpy()
        precision = 1 / 1.5**2 + np.sum(se**-2)
        posterior = stats.norm(np.sum(estimate / se**2) / precision, precision**-0.5)
        run = recover(number, own)
        assert run.truth["mu"] == truth["mu"]
        expected = posterior.cdf(truth["mu"])
        assert run.rank["mu"] == pytest.approx(expected, abs=4 * 0.5 / np.sqrt(4000))
        assert run.width["mu"] == pytest.approx(2 * 1.96 * posterior.std(), rel=0.08)
        ratio = np.exp(posterior.mean() + 1.96 * posterior.std() * np.array([-1, 1]))
        assert run.width["median study"] == pytest.approx(np.ptp(ratio), rel=0.1)


def test_counts_of_two_groups_are_simulated_whole():
    """What the density reads follows the draw: counts, their ratio, and the table made of them."""
    spec = mc.ModelSpec(likelihood="two_arm")
    own = setting(spec, PAIRS)
    _, design = recovery._simulated(own, np.random.default_rng(3), None)
    drawn = PAIRS.assign(
        events=design["exposed_events"].to_numpy(), control_events=design["control_events"]
    )
    again = data_of(bind(spec, drawn))
    for name, values in data_of(design).items():
        np.testing.assert_allclose(values, again[name])
    assert not np.array_equal(design["exposed_events"], own.design["exposed_events"])


def test_transplant_evidence_of_every_kind_is_simulated_whole():
    own = setting(mc.ModelSpec(likelihood="hsct"), MIXED)
    truth, design = recovery._simulated(own, np.random.default_rng(3), None)
    assert "bias" in truth
    counted, before = MIXED["kind"].to_numpy() == "contrast", own.design
    assert (design["estimate"].to_numpy() != before["estimate"].to_numpy()).all()
    np.testing.assert_array_equal(design["se"][~counted], before["se"][~counted])
    drawn = MIXED.assign(
        events=np.where(counted, design["exposed_events"], np.nan),
        control_events=np.where(counted, design["control_events"], np.nan),
    )
    again = bind(own.spec, drawn)
    for name in ("estimate", "se", "marginal"):
        np.testing.assert_allclose(design[name][counted], again[name][counted])


# --- the verb -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def calibrated():
    spec = mc.ModelSpec(likelihood="binomial", moderators=["x"])
    return mc.calibrate(spec, COUNTS, simulations=80, draws=500, seed=1)


def test_a_right_analysis_passes(calibrated):
    assert calibrated["quantity"].tolist() == [
        *("mu", "tau", "beta x", "median study", "population average", "next study")
    ]
    assert calibrated["uniform"].all()
    assert calibrated["covers"].all()
    assert (calibrated["simulations"] == 80).all()
    assert (calibrated["failed"] == 0).all()
    assert calibrated["true_tau"].isna().all()
    ranks = np.asarray(calibrated.attrs["ranks"]["tau"])
    row = calibrated.set_index("quantity").loc["tau"]
    assert row["coverage"] == np.mean((ranks >= 0.025) & (ranks <= 0.975))
    assert row["mean_rank"] == ranks.mean()
    assert stats.kstest(ranks, "uniform").pvalue > 0.001
    assert (row["coverage_lower"], row["coverage_upper"]) == binomial_band(80, probability=0.999)


SURVIVAL = pd.DataFrame(
    {"study": list("abc"), "survival": 0.6, "lower": [0.3, 0.4, 0.5], "upper": [0.8, 0.75, 0.7]}
)
KINDS = [
    (mc.ModelSpec(likelihood="binomial"), COUNTS, {"mu", "tau"}),
    (mc.ModelSpec(likelihood="survival"), SURVIVAL, {"mu", "tau"}),
    (mc.ModelSpec(likelihood="two_arm"), PAIRS, {"mu", "tau"}),
    (mc.ModelSpec(likelihood="hsct"), MIXED, {"mu", "tau", "bias"}),
    (mc.ModelSpec(likelihood="beta_binomial"), COUNTS, {"mu", "rho"}),
    (mc.ModelSpec(likelihood="normal", scale="log"), ESTIMATES, {"mu", "tau"}),
]


def test_every_likelihood_of_one_mean_is_calibrated():
    one_mean = {name for name, entry in LIKELIHOODS.items() if isinstance(entry, mc.Likelihood)}
    assert {spec.likelihood for spec, _, _ in KINDS} == one_mean


@pytest.mark.parametrize(("spec", "table", "names"), KINDS)
def test_every_kind_of_evidence_is_calibrated(spec, table, names):
    found = mc.calibrate(spec, table, simulations=24, draws=300, seed=2).set_index("quantity")
    assert names <= set(found.index)
    assert found["uniform"].all()
    assert found["covers"].all()


def test_data_of_another_prior_than_that_of_the_refits_are_found(monkeypatch):
    spec = mc.ModelSpec(likelihood="binomial", priors={"mu": "Normal(0, 0.5)"})
    other = spec.model_copy(update={"priors": {"mu": "Normal(1, 0.5)"}})
    simulated = recovery._simulated

    def elsewhere(own, rng, tau):
        return simulated(replace(own, spec=other), rng, tau)

    monkeypatch.setattr(recovery, "_simulated", elsewhere)
    found = mc.calibrate(spec, COUNTS, simulations=60, draws=300, seed=1).set_index("quantity")
    assert not found.loc["mu", "uniform"]
    assert found.loc["mu", "mean_rank"] > 0.6  # the posteriors are too low


def sure_logp(eta, data, parameters):
    return 3.0 * LIKELIHOODS["binomial"].logp(eta, data, parameters)


def sure_derivatives(eta, data, parameters):
    slope, bend = LIKELIHOODS["binomial"].derivatives(eta, data, parameters)
    return 3.0 * slope, 3.0 * bend


def test_a_wrong_likelihood_is_found():
    """Its density counts each patient three times, its replicates do not."""
    wrong = replace(LIKELIHOODS["binomial"], logp=sure_logp, derivatives=sure_derivatives)
    spec = mc.ModelSpec(likelihood="wrong", random_effects="none")
    found = mc.calibrate(
        spec,
        COUNTS.assign(total=4),
        simulations=80,
        draws=300,
        seed=1,
        likelihoods={**LIKELIHOODS, "wrong": wrong},
    ).set_index("quantity")
    assert not found.loc["mu", "uniform"]
    assert not found.loc["mu", "covers"]


def test_at_a_fixed_tau_there_is_coverage_without_a_verdict():
    spec = mc.ModelSpec(likelihood="binomial")
    found = mc.calibrate(spec, COUNTS, simulations=20, draws=300, seed=1, tau=(0, 1))
    assert found["true_tau"].tolist() == [0.0] * 5 + [1.0] * 5
    for column in ("covers", "uniform", "p_uniform", "coverage_lower", "coverage_upper"):
        assert found[column].isna().all()
    by = found.set_index(["true_tau", "quantity"])["coverage"]
    assert by[0.0, "tau"] == 0.0  # an equal-tailed interval of tau never holds 0
    assert by[1.0, "tau"] > 0.7
    assert by[0.0, "mu"] > 0.8
    assert "ranks" not in found.attrs
    with pytest.raises(mc.InputError, match=r"without the ranks.*at one fixed tau"):
        mc.plot_calibration(found)


def test_more_simulations_begin_with_the_same_ones_in_any_process():
    spec = mc.ModelSpec(likelihood="normal", scale="log")
    few = mc.calibrate(spec, ESTIMATES, simulations=20, draws=200, seed=7)
    with ProcessPoolExecutor(2) as pool:
        more = mc.calibrate(spec, ESTIMATES, simulations=28, draws=200, seed=7, executor=pool)
    for name, ranks in few.attrs["ranks"].items():
        assert more.attrs["ranks"][name][:20] == ranks


def test_likelihoods_of_a_module_travel_to_other_processes():
    own = {**LIKELIHOODS, "sure": replace(LIKELIHOODS["binomial"], logp=sure_logp)}
    spec = mc.ModelSpec(likelihood="sure", random_effects="none")
    with ProcessPoolExecutor(1) as pool:
        found = mc.calibrate(
            spec, COUNTS, simulations=20, draws=100, seed=1, likelihoods=own, executor=pool
        )
    assert found["simulations"].tolist() == [20] * len(found)


def test_refits_that_fail_are_counted_with_their_reasons(monkeypatch):
    weigh, calls = recovery.weigh, iter(range(1000))

    def sometimes(target, number, rng):
        call = next(calls)
        if call % 10 == 0:
            raise NoProposalError("the posterior is zero wherever it was looked for")
        run = weigh(target, number, rng)
        return run._replace(pareto_k=0.8) if call % 10 == 1 else run

    monkeypatch.setattr(recovery, "weigh", sometimes)
    spec = mc.ModelSpec(likelihood="normal", scale="log")
    found = mc.calibrate(spec, ESTIMATES, simulations=30, draws=200, seed=1)
    assert found["simulations"].tolist() == [24] * len(found)
    assert found["failed"].tolist() == [6] * len(found)
    assert found["why"][0] == (
        "the posterior is zero wherever it was looked for (3); "
        "Pareto k of the importance weights is above 0.7 (3)"
    )

    def never(*_):
        raise NoProposalError("nothing")

    monkeypatch.setattr(recovery, "weigh", never)
    with pytest.raises(mc.InputError, match="none of 20 data sets could be fitted: nothing"):
        mc.calibrate(spec, ESTIMATES, simulations=20, draws=200, seed=1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"simulations": 5}, "simulations: 5; allowed: 20 or more"),
        ({"draws": 10, "simulations": True}, "simulations: True; allowed: a whole number"),
        ({"draws": 10}, "draws: 10; allowed: 100 or more"),
        ({"tau": -1}, "tau: -1; allowed: a number of 0 or more"),
        ({"tau": [0.3, "a"]}, "tau: 'a'"),
        ({"tau": []}, "tau: an empty sequence"),
        ({"simulation": 50}, "no such option; allowed: .*did you mean 'simulations'"),
    ],
)
def test_what_cannot_be_asked(options, words):
    with pytest.raises(mc.InputError, match=words):
        mc.calibrate(mc.ModelSpec(likelihood="binomial"), COUNTS, **options)


def test_what_has_no_study_effects_or_imputes_is_refused():
    spec = mc.ModelSpec(likelihood="binomial", random_effects="none")
    with pytest.raises(mc.InputError, match="tau: the analysis has no study effects"):
        mc.calibrate(spec, COUNTS, tau=0.3)
    spec = mc.ModelSpec(likelihood="binomial", moderators=["x"], missing="impute")
    table = COUNTS.assign(x=[0.0, 1.0, np.nan, 2.0, 3.0])
    with pytest.raises(mc.InputError, match="values of moderators are imputed"):
        mc.calibrate(spec, table)


# --- the figure ---------------------------------------------------------------------------------


def test_the_figure_shows_ranks_between_bands(calibrated, tmp_path):
    file = tmp_path / "calibration.png"
    pc = mc.plot_calibration(calibrated, file=file)
    assert file.stat().st_size > 10_000
    assert pc.viz["ranks"]["ranks"].sizes["quantity"] == len(calibrated)
    line = pc.viz["ranks"]["ranks"].sel(quantity="tau").item()
    ranks = np.asarray(calibrated.attrs["ranks"]["tau"])
    x, y = line.get_xdata(), line.get_ydata()
    for at, departure in zip(x[1:-1:9], y[1:-1:9], strict=True):
        assert np.mean(ranks <= at) - at == pytest.approx(departure, abs=1e-12)
    assert "80 simulated data sets" in pc.viz.attrs["title"]
    assert "tau: ranks uniform" in pc.viz.attrs["alt"]


def test_many_quantities_fit_a_page_and_no_words_leave_it(calibrated):
    names = [f"beta moderator[level {n}]" for n in range(24)]
    names.append("beta of a moderator with a long name [level of a long name]")
    ranks = dict.fromkeys(names, calibrated.attrs["ranks"]["tau"])
    table = pd.DataFrame({"quantity": names, "coverage": 0.912, "uniform": True, "covers": True})
    table.loc[3, ["uniform", "covers"]] = False
    table.attrs = calibrated.attrs | {"ranks": ranks}
    figure = mc.plot_calibration(table).get_viz("figure")
    wide, high = figure.get_size_inches()
    assert high / wide < 247 / 178  # of the print area of a page
    figure.canvas.draw()
    for axes in figure.axes:
        for text in axes.texts:
            box = text.get_window_extent()
            assert min(box.x0, box.y0) >= 0
            assert box.x1 <= figure.bbox.x1
    shown = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert shown.count("ranks not uniform;\n91.2 % covered, not 95 %") == 1
    plt.close(figure)
