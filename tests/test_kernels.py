"""Compiled code against the same rules in numpy, and against scipy."""

import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numba
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import metacart as mc
from metacart.inference import kernel_rules, lanes, scattered, vectors
from metacart.inference.first_use import tells_of_compiling
from metacart.inference.marginal import draw_standard_effects, study_log_likelihood
from metacart.modelling.likelihoods import LIKELIHOODS
from metacart.records.priors import parse_prior


@vectors.compiled
def every_exp(x, out):
    for k in range(x.size):
        out[k] = vectors.exp(x[k])


@vectors.compiled
def every_log(x, out):
    for k in range(x.size):
        out[k] = vectors.log(x[k])


@vectors.compiled
def every_log1p(x, out):
    for k in range(x.size):
        out[k] = vectors.log1p(x[k])


@pytest.mark.parametrize(
    ("loop", "reference", "points"),
    [
        (every_exp, np.exp, np.linspace(-708, 709, 20_001)),
        (every_exp, np.exp, np.linspace(-1, 1, 20_001)),
        (every_log, np.log, np.exp(np.linspace(-700, 700, 20_001))),
        (every_log, np.log, 1 + np.linspace(-1e-3, 1e-3, 20_000)),
        (every_log1p, np.log1p, np.concatenate([np.linspace(0, 1, 20_001), np.logspace(-300, 0)])),
    ],
)
def test_functions_that_run_as_vectors(loop, reference, points):
    found = np.empty_like(points)
    loop(points, found)
    np.testing.assert_allclose(found, reference(points), rtol=1e-15, atol=0)


COUNTS = np.array([(0, 14), (14, 14), (13, 19), (1, 500), (192, 194), (0, 1), (3, 7), (900, 1000)])


def data_of(name):
    """Eight findings of a likelihood, with what is prepared."""
    events, total = COUNTS.T
    control = {"control_events": events[::-1].copy(), "control_total": total[::-1].copy()}
    exposed = {"exposed_events": events, "exposed_total": total}
    estimate = np.linspace(-1.5, 2.0, 8)
    data = {
        "binomial": {"events": events, "total": total},
        "normal": {"estimate": estimate, "se": np.geomspace(1e-3, 2.0, 8)},
        "two_arm": {**exposed, **control, "hazard": np.zeros(8, dtype=bool)},
        "hsct": {**exposed, **control, "hazard": np.ones(8, dtype=bool)},
    }[name]
    if name in ("two_arm", "hsct"):
        data |= {"estimate": estimate, "se": np.geomspace(0.2, 2.0, 8)}
        data |= {"contrast": np.arange(8) % 2 == 0}
        priors = {"baseline": parse_prior("Normal(0, 1.5)")}
        data |= LIKELIHOODS[name].prepare(data, priors)
    return data


def by_numpy(likelihood, data, group, linear, tau, **options):
    """One draw and study at a time: no rule then follows the integrand of a neighbour."""
    own = replace(likelihood, logp=lambda *each: likelihood.logp(*each))
    result = np.empty((len(linear), group.max() + 1))
    for row, study in np.ndindex(result.shape):
        at = group == study
        result[row, study] = study_log_likelihood(
            own,
            {name: values[at] for name, values in data.items()},
            np.zeros(at.sum(), dtype=int),
            linear[[row]][:, at],
            tau[[row]] if tau.ndim == 1 else tau[[row]][:, at],
            **options,
        )[0, 0]
    return result


@pytest.mark.parametrize("effects", ["normal", "student_t"])
@pytest.mark.parametrize("group", [np.arange(8), np.array([0, 1, 0, 2, 2, 3, 2, 1])])
@pytest.mark.parametrize("name", ["binomial", "normal", "two_arm", "hsct"])
def test_integrals_are_those_of_numpy(name, group, effects):
    rng = np.random.default_rng(4)
    likelihood, data = LIKELIHOODS[name], data_of(name)
    linear = 0.5 + 2.0 * rng.standard_normal((7, 8))
    tau = np.array([1e-8, 0.02, 0.3, 1.0, 2.9, 3.1, 40.0])
    options = {"effects": effects, "nu": 4.0, "parameters": {}}
    for each in (tau, tau[:, None] * np.where(np.arange(8) < 4, 1.0, 0.7)):
        found = study_log_likelihood(likelihood, data, group, linear, each, **options)
        expected = by_numpy(likelihood, data, group, linear, each, **options)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-7)


def test_splines_are_read_as_scipy_reads_them():
    data = {"events": COUNTS[:, 0], "total": COUNTS[:, 1]}
    likelihood, tables = scattered.scatter(LIKELIHOODS["binomial"], data)
    rng = np.random.default_rng(4)
    linear, tau = rng.standard_normal((7, 8)), rng.uniform(0.01, 2.0, 7)
    group = np.array([0, 1, 0, 2, 2, 3, 2, 1])
    options = {"effects": "normal", "nu": 4.0}
    within = np.array([1e-9, 0.01, 0.1, 0.5, 1.0, 5.0, 900.0])[:, None]
    found = study_log_likelihood(
        likelihood, tables, group, linear, tau, **options, parameters={"tau_within": within}
    )
    expected = np.concatenate(
        [
            by_numpy(
                likelihood,
                tables,
                group,
                linear[[row]],
                tau[[row]],
                **options,
                parameters={"tau_within": within[[row]]},
            )
            for row in range(7)
        ]
    )
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-7)


def test_threads_change_nothing(monkeypatch):
    rng = np.random.default_rng(4)
    arguments = (LIKELIHOODS["binomial"], data_of("binomial"), np.arange(8))
    linear, tau = rng.standard_normal((40_000, 8)), rng.uniform(0.0, 4.0, 40_000)
    options = {"effects": "normal", "nu": 4.0, "parameters": {}}
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    together = study_log_likelihood(*arguments, linear, tau, **options)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    alone = study_log_likelihood(*arguments, linear, tau, **options)
    np.testing.assert_array_equal(together, alone)


def test_a_fit_is_the_same_on_any_number_of_threads(monkeypatch):
    """Replicates too; those of a likelihood that is not shipped are drawn on one thread."""
    rng, threads = np.random.default_rng(5), set()
    total = rng.integers(8, 60, 20)
    events = rng.binomial(total, 0.7)
    table = pd.DataFrame({"study": map(str, range(20)), "events": events, "total": total})

    def simulate(*arguments):
        threads.add(threading.get_ident())
        return LIKELIHOODS["binomial"].simulate(*arguments)

    def fitted(name):
        spec, options = mc.ModelSpec(likelihood=name), {"draws": 1500, "seed": 1, "progress": False}
        own = replace(LIKELIHOODS["binomial"], name="own", simulate=simulate)
        return mc.fit(spec, table, likelihoods={**LIKELIHOODS, "own": own}, **options)

    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    together, own = fitted("binomial"), fitted("own")
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    assert together.identical(fitted("binomial"))
    for name in ("posterior_predictive", "prior_predictive"):
        assert together[name].equals(own[name])
    assert threads == {threading.get_ident()}


def fresh():
    """Return compiled code without a file, which is nowhere kept."""
    scope = {}
    exec("def twice(x):\n    return 2.0 * x", scope)
    return vectors.compiled(scope["twice"])


def test_who_waits_for_compilation_is_told_once(capsys, monkeypatch):
    with tells_of_compiling(False):
        assert fresh()(2.0) == 4.0
    assert capsys.readouterr().err == ""
    code = fresh()
    with tells_of_compiling(True):
        assert numba.njit(lambda x: x + 1.0)(1.0) == 2.0  # not ours
        assert capsys.readouterr().err == ""
        assert code(2.0) == fresh()(2.0) == code(2.0)
    told = capsys.readouterr().err
    assert told.startswith("metacart compiles its numerical code: half a minute, once after")
    assert told.count("\n") == 1
    with tells_of_compiling(True):
        assert code(2.0) == 4.0
    assert capsys.readouterr().err == ""

    # a fit tells it where it shows its progress
    def integrals(*arguments):
        fresh()(2.0)
        kernel_rules.integrals(*arguments)

    monkeypatch.setattr(lanes, "integrals", integrals)
    table = pd.DataFrame({"study": list("abc"), "events": [9, 5, 13], "total": [10, 8, 19]})
    for progress, lines in ((False, 0), (True, 1)):
        mc.fit(mc.ModelSpec(likelihood="binomial"), table, seed=1, progress=progress)
        assert capsys.readouterr().err.count("metacart compiles") == lines


def test_a_likelihood_with_another_density_is_not_taken_for_the_known_one():
    """Its own functions decide, not its name."""
    data = data_of("binomial")
    arguments = (data, np.arange(8), np.zeros((1, 8)), np.ones(1))
    options = {"effects": "normal", "nu": 4.0, "parameters": {}}
    half = replace(
        LIKELIHOODS["binomial"],
        logp=lambda *each: 0.5 * LIKELIHOODS["binomial"].logp(*each),
        derivatives=lambda *each: [
            0.5 * part for part in LIKELIHOODS["binomial"].derivatives(*each)
        ],
    )
    known = study_log_likelihood(LIKELIHOODS["binomial"], *arguments, **options)
    other = study_log_likelihood(half, *arguments, **options)
    assert (other > known + 0.1).all()


def test_code_is_compiled_where_nothing_can_be_kept(tmp_path):
    """As in a package folder and a home that are read-only: slower at first, never a failure."""
    script = (
        "from numba.core import caching\n"
        "def refuse(*_): raise OSError('read-only')\n"
        "caching._CacheLocator.ensure_cache_path = refuse\n"
        "from metacart.inference.vectors import compiled, exp\n"
        "import math\n"
        "assert abs(exp(1.0) - math.e) < 1e-15\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parents[1],
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("effects", ["normal", "student_t"])
@pytest.mark.parametrize("name", ["binomial", "two_arm", "hsct"])
def test_draws_are_those_of_numpy(name, effects):
    """Two ways to the same distributions, of three studies at one value of the parameters."""
    likelihood, data = LIKELIHOODS[name], data_of(name)
    group, number = np.array([0, 1, 0, 2, 2, 3, 2, 1]), 6000
    linear, tau = np.tile(np.linspace(-1, 2, 8), (number, 1)), np.full(number, 0.8)
    options = {"effects": effects, "nu": 4.0, "parameters": {}}
    drawn = [
        draw_standard_effects(
            each, data, group, linear, tau, rng=np.random.default_rng(seed), **options
        )
        for seed, each in enumerate(
            [likelihood, replace(likelihood, logp=lambda *own: likelihood.logp(*own))]
        )
    ]
    for one, other in zip(*(each.T for each in drawn), strict=True):
        assert stats.ks_2samp(one, other).pvalue > 1e-4
