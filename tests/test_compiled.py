"""Compiled models that are kept: used again for other data, and for nothing else."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

import metacart as mc
from metacart.inference import compiled as kept
from metacart.inference import nuts
from metacart.inference.compiled import compiled
from metacart.modelling.build import build_model
from metacart.modelling.design import bind
from metacart.modelling.likelihoods import LIKELIHOODS
from metacart.modelling.nodes import add_parameter
from metacart.modelling.system_check import system_priors
from metacart.records.priors import PRIORS, Prior, parse_prior

COUNTS = pd.DataFrame(
    {"study": list("abcde"), "events": 1, "total": [5, 19, 8, 33, 12], "x": [0.0, 1, 0, 1, 1]}
)
ESTIMATES = pd.DataFrame(
    {"study": list("abcd"), "estimate": [0.1, -0.4, 0.9, 0.2], "se": [0.2, 0.5, 0.3, 0.4]}
)
PAIRS = COUNTS.assign(control_events=2, control_total=[24, 7, 4, 5, 9])
MIXED = PAIRS.assign(
    kind=["ratio", "ratio", "contrast", "contrast", "contrast"],
    time_handling=["time-fixed", "landmark", "time-fixed", "landmark", "landmark"],
    ratio=0.5,
    lower=0.25,
    upper=1.0,
)
OUTCOMES = pd.DataFrame(
    {
        "study": ["a", "a", "b", "b", "c"],
        "outcome": ["complete_remission", "crs"] * 2 + ["crs"],
        "events": [3, 4, 9, 2, 5],
        "total": [10, 10, 20, 20, 8],
    }
)
GRADES = pd.DataFrame(
    {
        "study": ["a", "a", "a", "b", "b"],
        "grade_from": [0, 1, 3, 0, 3],
        "grade_to": [0, 2, 5, 2, 5],
        "count": [4, 9, 2, 12, 5],
        "grading": ["ASTCT", "ASTCT", "ASTCT", "Penn", "Penn"],
    }
)


def model_of(spec, table):
    design = bind(spec, table)
    entry = LIKELIHOODS[spec.likelihood]
    if isinstance(entry, mc.System):
        return entry.build(design, system_priors(spec, entry))
    return build_model(spec, design)


def other(table, column="events"):
    return table.assign(study=table["study"] + " again", **{column: table[column] + 1})


@pytest.fixture
def compilations(monkeypatch):
    """An empty store, and the models that are compiled for it."""
    import nutpie

    monkeypatch.setattr(kept, "_ENTRIES", type(kept._ENTRIES)())
    models, compile_model = [], nutpie.compile_pymc_model

    def counted(model, **options):
        models.append(model)
        return compile_model(model, **options)

    monkeypatch.setattr(nutpie, "compile_pymc_model", counted)
    return models


SAMPLE = {
    "draws": 60, "tune": 60, "chains": 2, "seed": 3, "target_accept": 0.9, "progress": False
}  # fmt: skip


def test_other_data_and_priors_give_the_draws_of_a_fresh_compilation(compilations, monkeypatch):
    monkeypatch.setattr(nuts, "TARGETS", (0.95,))
    spec = mc.ModelSpec(likelihood="normal", scale="log")
    narrow = spec.model_copy(update={"priors": {"mu": "Normal(0.4, 0.3)", "tau": "HalfNormal(2)"}})
    tables = [ESTIMATES, other(ESTIMATES, "estimate")]
    models = [model_of(spec, tables[0]), model_of(narrow, tables[1])]
    first = compiled(models[0]).sample(**SAMPLE)
    # two threads at once, the second with data and priors of its own
    with ThreadPoolExecutor(2) as pool:
        again, reused = pool.map(lambda model: compiled(model).sample(**SAMPLE), models)
    assert compilations == models[:1]
    kept._ENTRIES.clear()
    fresh = compiled(models[1]).sample(**SAMPLE)
    assert len(compilations) == 2
    assert reused["posterior"]["study"].to_numpy().tolist() == [*tables[1]["study"]]
    for name, values in fresh["posterior"].data_vars.items():
        np.testing.assert_array_equal(reused["posterior"][name], values)
        np.testing.assert_array_equal(again["posterior"][name], first["posterior"][name])
    # the same data under the two priors
    other_prior = compiled(model_of(narrow, tables[0])).sample(**SAMPLE)
    assert not np.array_equal(first["posterior"]["mu"], other_prior["posterior"]["mu"])
    # fits that leave out one study of five are of one graph, that of any four
    five = pd.concat([ESTIMATES, ESTIMATES.iloc[:1].assign(study="e")])
    for left, asked in (("a", spec), ("b", narrow)):
        rest = five[five["study"] != left]
        fit = mc.fit(
            asked, rest, method="nuts", draws=100, tune=100, chains=2, seed=1, progress=False
        )
        assert fit["posterior"]["finding"].to_numpy().tolist() == rest["study"].tolist()
    assert len(compilations) == 2


SAME = [
    (mc.ModelSpec(likelihood="binomial"), COUNTS, "events"),
    (mc.ModelSpec(likelihood="binomial", moderators=["x"]), COUNTS, "events"),
    (mc.ModelSpec(likelihood="binomial", random_effects="student_t"), COUNTS, "events"),
    (mc.ModelSpec(likelihood="binomial", random_effects="none"), COUNTS, "events"),
    (mc.ModelSpec(likelihood="binomial", priors={"tau": "HalfCauchy(1)"}), COUNTS, "events"),
    (mc.ModelSpec(likelihood="binomial", priors={"tau": "Uniform(0, 2)"}), COUNTS, "events"),
    (mc.ModelSpec(likelihood="beta_binomial"), COUNTS, "events"),
    (mc.ModelSpec(likelihood="normal", scale="log"), ESTIMATES, "estimate"),
    (mc.ModelSpec(likelihood="two_arm"), PAIRS, "events"),
    (mc.ModelSpec(likelihood="hsct"), MIXED, "events"),
    (mc.ModelSpec(likelihood="joint"), OUTCOMES, "events"),
    (
        mc.ModelSpec(likelihood="chain"),
        OUTCOMES.rename(columns={"outcome": "stage"}).assign(study=list("abcde")),
        "events",
    ),
    (mc.ModelSpec(likelihood="grades"), GRADES, "count"),
]


@pytest.mark.parametrize(("spec", "table", "column"), SAME)
def test_only_data_are_exchanged(spec, table, column):
    graph = kept._graph(model_of(spec, table))
    moved = other(table, column)
    assert kept._graph(model_of(spec, moved)) == graph
    prior = {"grades": "cutpoint"}.get(spec.likelihood, "mu")

    def under(text):
        return spec.model_copy(update={"priors": {**spec.priors, prior: text}}), table

    # the numbers of a prior are data, its family is not
    assert kept._graph(model_of(*under("Normal(0.2, 1.4)"))) == graph
    for changed in (
        under("Logistic(0, 1.4)"),
        (spec, pd.concat([table, other(table, column)]) if column != "count" else table.iloc[:3]),
    ):
        assert kept._graph(model_of(*changed)) != graph


@pytest.mark.parametrize("form", PRIORS.values(), ids=PRIORS)
def test_a_family_of_priors_is_one_graph(form):
    import pymc as pm

    prior = parse_prior(form.example)
    wider = Prior(prior.name, tuple(1.5 * each for each in prior.arguments))
    models = []
    for priors in (prior, wider, [prior, wider], [wider, prior]):
        with pm.Model() as one:
            add_parameter("value", priors)
        models.append(one)
    graphs = [kept._graph(each) for each in models]
    assert graphs[0] == graphs[1] != graphs[2] == graphs[3]
    # what the graph is given are the numbers of the prior, by their names and in full precision
    pairs = zip(prior.arguments, wider.arguments, strict=True)
    numbers = dict(zip(form.parameters, pairs, strict=True))
    for name, both in numbers.items():
        found = [model[f"prior_value_{name}"].get_value() for model in models]
        assert [*map(float, found[:2])] == [*both]
        assert found[3].tolist() == [*reversed(both)]


def test_a_constant_made_of_data_is_never_exchanged():
    import pymc as pm

    def model(scale):
        with pm.Model() as one:
            mu = pm.Normal("mu")
            pm.Normal("y", mu, pm.math.exp(scale), observed=pm.Data("data", [1.0, 2.0]))
        return one

    assert kept._graph(model(0.5)) == kept._graph(model(0.5))
    assert kept._graph(model(0.5)) != kept._graph(model(0.6))


def test_those_used_last_are_kept(monkeypatch):
    monkeypatch.setattr(kept, "_ENTRIES", type(kept._ENTRIES)())
    monkeypatch.setattr(kept, "_KEPT", 2)
    monkeypatch.setattr(kept, "_compile", lambda model: model.name)
    monkeypatch.setattr(kept, "_graph", lambda model: model)
    monkeypatch.setattr(kept._Entry, "with_data_of", lambda entry, model: model)
    for model in "abac":
        compiled(model)
    assert [*kept._ENTRIES] == ["a", "c"]


def evaluated(function, point):
    """Return status, value and slopes of a compiled log density, called as the sampler does."""
    import ctypes

    number = ctypes.POINTER(ctypes.c_double)
    slopes, value = np.zeros(point.size), np.zeros(1)
    pointers = [each.ctypes.data_as(number) for each in (point, slopes, value)]
    call = function.compiled_logp_func.ctypes
    sizes = (point.size + 1, point.size)
    status = [call(size, *pointers, function.user_data.ctypes.data) for size in sizes]
    return status, value[0], slopes


def test_the_density_is_called_with_data_of_every_kind(monkeypatch):
    import pymc as pm
    from nutpie import compile_pymc
    from scipy.stats import norm

    theirs = compile_pymc._make_c_logp_func, compile_pymc._make_c_expand_func
    x = np.array([[0.5, -1.0, 2.0], [1.5, 0.0, -0.5]])
    y, which, used = np.array([0.3, 1.9]), np.array([1, 0]), np.array([True, False])

    def model(y, scale):
        with pm.Model() as one:
            beta = pm.Normal("beta", shape=3)
            mean = (pm.Data("x", x)[pm.Data("which", which)] * beta).sum(axis=1)
            mean = pm.math.switch(pm.Data("used", used), mean, 0.0)
            pm.Deterministic("mean", mean)
            pm.Normal("y", mean, pm.Data("scale", scale), observed=pm.Data("seen", y))
        return one

    def expected(beta, y, scale):
        mean = np.where(used, x[which] @ beta, 0.0)
        slopes = (used * (y - mean) / scale**2) @ x[which] - beta
        return norm.logpdf(beta).sum() + norm.logpdf(y, mean, scale).sum(), slopes

    monkeypatch.setattr(kept, "_ENTRIES", type(kept._ENTRIES)())
    beta = np.array([0.2, -0.7, 1.1])
    for seen, scale in ((y, 0.8), (y - 3.0, 1.7)):
        function = compiled(model(seen, scale)).function
        status, value, slopes = evaluated(function, beta)
        assert status == [-1, 0]
        density, gradient = expected(beta, seen, scale)
        assert value == pytest.approx(density, rel=1e-12)
        np.testing.assert_allclose(slopes, gradient, rtol=1e-12)
    # another process, or one that has dropped it, finds the code on disk, with data of its own
    kept._ENTRIES.clear()
    loaded = compiled(model(y, 0.8)).function
    assert (loaded.compiled_logp_func._cache_hits, loaded.compiled_expand_func._cache_hits) == (
        1,
        1,
    )
    assert evaluated(loaded, beta)[1] == pytest.approx(expected(beta, y, 0.8)[0], rel=1e-12)
    # what is not finite says so, the gradient first
    assert evaluated(function, np.full(3, np.nan))[0] == [-1, 3]
    assert evaluated(function, np.full(3, 1e200))[0] == [-1, 4]
    draws = compiled(model(y, 0.8)).sample(**SAMPLE)["posterior"]
    mean = np.where(used, draws["beta"].to_numpy() @ x[which].T, 0.0)
    np.testing.assert_allclose(draws["mean"], mean, rtol=1e-12, atol=1e-12)
    assert (compile_pymc._make_c_logp_func, compile_pymc._make_c_expand_func) == theirs


def test_a_nutpie_that_asks_for_other_functions_keeps_its_own(monkeypatch):
    import nutpie
    from nutpie import compile_pymc

    from metacart.inference.native import quick_entry

    def fail():
        with quick_entry():
            assert compile_pymc._make_c_logp_func.__module__ == "metacart.inference.native"
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert compile_pymc._make_c_logp_func.__module__ == "nutpie.compile_pymc"
    with monkeypatch.context() as later:
        later.setattr(nutpie, "__version__", "0.17.0")
        with quick_entry():
            assert compile_pymc._make_c_logp_func.__module__ == "nutpie.compile_pymc"
    monkeypatch.setattr(compile_pymc, "_make_c_expand_func", lambda other: other)
    with quick_entry() as options:
        assert options == {}
        assert compile_pymc._make_c_logp_func.__module__ == "nutpie.compile_pymc"
    monkeypatch.delattr(compile_pymc, "_make_c_expand_func")
    with quick_entry():
        assert not hasattr(compile_pymc, "_make_c_expand_func")
