"""Calibration by NUTS, and of likelihoods of several means."""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

import metacart as mc
from metacart.inference import recovery, recovery_systems
from metacart.inference import thinned as chains
from metacart.inference.recovery import Setting, recover
from metacart.inference.recovery_systems import SystemSetting
from metacart.inference.thinned import Thinned, thinned
from metacart.modelling.design import bind
from metacart.modelling.likelihoods import LIKELIHOODS

ESTIMATES = pd.DataFrame({"study": list("abcd"), "estimate": 0.0, "se": [0.2, 0.5, 0.3, 0.4]})
OUTCOMES = pd.DataFrame(
    {
        "study": ["a", "a", "b", "b", "c"],
        "outcome": ["complete_remission", "crs"] * 2 + ["crs"],
        "events": 1,
        "total": [10, 10, 28, 28, 9],
    }
)
STAGES = pd.DataFrame(
    {
        "study": ["a", "a", "b", "b", "c"],
        "stage": ["remission", "hsct"] * 2 + ["remission"],
        "events": [9, 3, 20, 12, 6],
        "total": [10, 9, 28, 20, 14],
    }
)
GRADES = pd.DataFrame(
    {
        "study": ["a", "a", "a", "b", "b"],
        "grade_from": [0, 1, 3, 0, 3],
        "grade_to": [0, 2, 5, 2, 5],
        "count": [4, 9, 2, 12, 5],
        "grading": ["ASTCT"] * 3 + ["Penn"] * 2,
    }
)
SEVERAL = {"joint": (OUTCOMES, "events"), "chain": (STAGES, "events"), "grades": (GRADES, "count")}


# --- one chain ----------------------------------------------------------------------------------


def test_the_rank_of_nuts_is_the_posterior_below_the_truth():
    """A common effect seen through normal estimates has a closed posterior; one compilation."""
    spec = mc.ModelSpec(likelihood="normal", scale="log", random_effects="none")
    own = Setting(spec, bind(spec, ESTIMATES), None, 1000, 1, "nuts")
    for number in range(4):
        rng = np.random.default_rng([1, 4, number])
        truth, design = recovery._simulated(own, rng, None)
        se, estimate = ESTIMATES["se"].to_numpy(), design["estimate"].to_numpy()
        precision = 1 / 1.5**2 + np.sum(se**-2)
        posterior = stats.norm(np.sum(estimate / se**2) / precision, precision**-0.5)
        run = recover(number, own)
        assert run.truth["mu"] == truth["mu"]
        # 100 effective draws or more are left
        assert run.rank["mu"] == pytest.approx(posterior.cdf(truth["mu"]), abs=4 * 0.5 / 10)
        assert run.width["mu"] == pytest.approx(2 * 1.96 * posterior.std(), rel=0.3)


def chain_of(draws, divergent, correlation=0.0):
    """Return a run of a normal mu whose draws follow each other with a correlation."""
    rng = np.random.default_rng(1)
    mu = rng.standard_normal(draws)
    for at in range(1, draws):
        mu[at] = correlation * mu[at - 1] + np.sqrt(1 - correlation**2) * mu[at]
    dims = ("chain", "draw")
    posterior = xr.Dataset(
        {"mu": (dims, mu[None]), "z": ((*dims, "study"), np.ones((1, draws, 2)))}
    )
    diverging = np.arange(draws)[None] < divergent
    return xr.DataTree.from_dict(
        {"posterior": posterior, "sample_stats": xr.Dataset({"diverging": (dims, diverging)})}
    )


def runs_of(monkeypatch, *runs):
    """Let compiled models give these runs, one after the other; return how they were asked."""
    asked, left = [], list(runs)

    def sample(**options):
        asked.append(options)
        return chain_of(options["draws"], **left.pop(0))

    monkeypatch.setattr(chains, "compiled", lambda _model: SimpleNamespace(sample=sample))
    return asked


def test_a_chain_is_thinned_to_its_effective_draws(monkeypatch):
    runs_of(monkeypatch, {"divergent": 0, "correlation": 0.8})
    run = thinned(None, draws=4000, seed=3)
    assert not run.failure
    # of an autoregressive chain (1 - r) / (1 + r) of the draws
    assert run.posterior.sizes["draw"] == pytest.approx(4000 / 9, rel=0.35)
    kept = run.posterior["mu"].to_numpy()[0]
    assert abs(np.corrcoef(kept[1:], kept[:-1])[0, 1]) < 0.25


def test_a_chain_that_fails_is_run_once_more_with_smaller_steps(monkeypatch):
    asked = runs_of(monkeypatch, {"divergent": 2}, {"divergent": 0})
    run = thinned(None, draws=500, seed=2**32 - 1)
    assert not run.failure
    assert [each["target_accept"] for each in asked] == [0.95, 0.99]
    assert [each["draws"] for each in asked] == [500, 2000]
    assert [each["seed"] for each in asked] == [2**32 - 1, 0]
    runs_of(monkeypatch, {"divergent": 2}, {"divergent": 1})
    assert thinned(None, draws=500, seed=1).failure == "the NUTS chain has divergent transitions"
    runs_of(monkeypatch, *[{"divergent": 0, "correlation": 0.999}] * 2)
    found = thinned(None, draws=500, seed=1).failure
    assert found == "the NUTS chain has fewer than 100 effective draws"


def test_chains_that_fail_are_counted_with_their_reasons(monkeypatch):
    calls = iter(range(1000))

    def sometimes(_model, *, draws, seed):
        posterior = chain_of(draws, 0)["posterior"].to_dataset().drop_vars("z")
        posterior["tau"] = np.exp(posterior["mu"])
        return Thinned(posterior, "divergent" if next(calls) % 5 == 0 else "")

    monkeypatch.setattr(recovery, "thinned", sometimes)
    spec = mc.ModelSpec(likelihood="normal", scale="log")
    found = mc.calibrate(spec, ESTIMATES, method="nuts", simulations=20, draws=100, seed=1)
    assert (found["simulations"] == 16).all()
    assert (found["failed"] == 4).all()
    assert found["why"][0] == "divergent (4)"


# --- several means ------------------------------------------------------------------------------


def setting_of(name, **changes):
    table, _ = SEVERAL[name]
    spec, system = mc.ModelSpec(likelihood=name), LIKELIHOODS[name]
    return SystemSetting(spec, bind(spec, table), replace(system, **changes), 200, 1)


@pytest.mark.parametrize("name", SEVERAL)
def test_simulated_data_are_the_design_of_their_table(name, monkeypatch):
    """What hangs on the observed column follows it: all that the graph reads is as if bound."""
    seen = []
    monkeypatch.setattr(recovery_systems, "_whole", lambda *given: seen.append(given))
    own = setting_of(name)
    with pytest.raises(AttributeError):
        recovery_systems.recover_system(3, own)
    observed = seen[0][1]
    design = recovery_systems.with_observed(own, observed)
    table, column = SEVERAL[name]
    drawn = table.assign(**{column: observed.astype(int)})
    if name == "chain":  # given the totals, whose gate is for what papers print
        drawn["study"] = list("abcde")
    again = bind(own.spec, drawn)
    for each in again.data_vars:
        if each != "group":
            np.testing.assert_array_equal(design[each], again[each])
    assert not np.array_equal(observed, table[column])


CHAIN = mc.ModelSpec(likelihood="chain", priors={"mu": "Normal(0, 1)", "tau": "HalfNormal(0.5)"})


@pytest.fixture(scope="module")
def parts():
    with ProcessPoolExecutor(1) as pool:
        return mc.calibrate(CHAIN, STAGES, simulations=20, draws=200, seed=1, executor=pool)


def test_a_system_of_parts_is_calibrated_by_the_exact_engine_in_any_process(parts):
    assert parts["quantity"].tolist() == [
        f"{name}: {stage}"
        for name in (
            *("mu", "tau", "median study", "population average", "next study"),
            *("population average, of all who entered", "next study, of all who entered"),
        )
        for stage in ("remission", "hsct")
    ]
    assert parts["covers"].all()
    assert parts["uniform"].all()
    spec = CHAIN.model_copy(update={"likelihood": "binomial"})
    designs = [bind(spec, STAGES[STAGES["stage"] == each]) for each in ("remission", "hsct")]
    own = tuple(Setting(spec, each, None, 200, 1) for each in designs)
    chain = LIKELIHOODS["chain"]
    run = recovery_systems.recover_system(
        5, SystemSetting(CHAIN, bind(CHAIN, STAGES), chain, 200, 1, own)
    )
    assert {name: ranks[5] for name, ranks in parts.attrs["ranks"].items()} == run.rank


def test_a_system_is_calibrated_by_nuts_with_the_ranks_of_the_exact_engine(parts):
    """The same data sets, fitted as a whole: no parts, one graph, one compilation."""
    whole = {**LIKELIHOODS, "chain": replace(LIKELIHOODS["chain"], split=None)}
    found = mc.calibrate(CHAIN, STAGES, simulations=20, draws=500, seed=1, likelihoods=whole)
    assert found["quantity"].tolist() == parts["quantity"].tolist()
    assert found["covers"].all()
    assert found["uniform"].all()
    assert (found["failed"] == 0).all()
    for name in ("mu: remission", "tau: hsct", "population average, of all who entered: hsct"):
        gap = np.subtract(found.attrs["ranks"][name], parts.attrs["ranks"][name])
        # 100 effective draws or more by NUTS, 100 or more of products of weights
        assert np.abs(gap).max() < 4 * 0.5 * np.sqrt(2 / 100), name


def test_other_data_than_those_of_the_refits_are_found():
    """What all who entered come to is looked at across the parts: the first alone is right."""
    chain = LIKELIHOODS["chain"]

    def lower(sample, design, rng):
        events, later = chain.replicate(sample, design, rng), design["level"].to_numpy() == 1
        return np.where(later, rng.binomial(events.astype(int), 0.4), events)

    wrong = {**LIKELIHOODS, "chain": replace(chain, replicate=lower)}
    found = mc.calibrate(
        CHAIN, STAGES, simulations=24, draws=100, seed=1, likelihoods=wrong
    ).set_index("quantity")
    for name in ("mu", "population average", "population average, of all who entered"):
        assert not found.loc[f"{name}: hsct", "uniform"], name
        assert found.loc[f"{name}: hsct", "mean_rank"] > 0.6  # the posteriors are too low
        assert found.loc[f"{name}: remission", "uniform"], name


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("joint", {"method": "exact"}, "method: 'exact' with the joint likelihood, whose studies"),
        ("grades", {"method": "exact"}, "method: 'exact' with the grades likelihood"),
        ("joint", {"tau": 0.3}, "tau: with the joint likelihood, which has several"),
        ("joint", {"method": "nut"}, "method: 'nut'.*did you mean 'nuts'"),
        ("chain", {"simulations": 3}, "simulations: 3; allowed: 20 or more"),
    ],
)
def test_what_cannot_be_asked_of_a_system(name, options, words):
    with pytest.raises(mc.InputError, match=words):
        mc.calibrate(mc.ModelSpec(likelihood=name), SEVERAL[name][0], **options)


def test_the_figure_shows_each_mean(parts, tmp_path):
    pc = mc.plot_calibration(parts, file=tmp_path / "chain.png")
    assert pc.viz["ranks"]["ranks"].sizes["quantity"] == len(parts)
