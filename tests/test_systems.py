"""Likelihoods of several means: the gauntlet of each, and what every verb makes of such a fit."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import metacart as mc
from metacart.errors import InputError
from metacart.inference import nuts, systems
from metacart.inference.engines import Drawn
from metacart.modelling.design import bind
from metacart.modelling.likelihoods import LIKELIHOODS, System
from metacart.modelling.system_check import system_priors

TABLES = {
    "joint": pd.DataFrame(
        {
            "study": ["a", "a", "b", "b", "c", "c", "d", "e", "e"],
            "outcome": [
                ["complete_remission", "severe_crs"][at] for at in (0, 1, 0, 1, 0, 1, 0, 0, 1)
            ],
            "events": [9, 0, 20, 10, 13, 1, 5, 7, 7],
            "total": [10, 10, 28, 28, 19, 19, 5, 14, 7],
        }
    ),
    "chain": pd.DataFrame(
        {
            "study": ["a", "a", "a", "b", "b", "c", "d", "d"],
            "stage": [["remission", "hsct", "relapse"][at] for at in (0, 1, 2, 0, 1, 0, 1, 2)],
            "events": [9, 3, 0, 20, 20, 13, 4, 2],
            "total": [10, 9, 3, 28, 20, 13, 11, 4],
        }
    ),
}
NAMES = list(TABLES)


def bound(name: str, table: pd.DataFrame | None = None) -> tuple[System, Any, dict[str, Any]]:
    spec, system = mc.ModelSpec(likelihood=name), LIKELIHOODS[name]
    assert isinstance(system, System)
    design = bind(spec, TABLES[name] if table is None else table)
    return system, design, dict(system_priors(spec, system))


def test_every_system_runs_the_gauntlet() -> None:
    # grades, whose rows are bands of a table, have a gauntlet of their own: test_grades.py
    systems = {name for name, each in LIKELIHOODS.items() if isinstance(each, System)}
    assert systems == {*TABLES, "grades"}


# ---- the gauntlet


@pytest.fixture(scope="module", params=NAMES)
def graph(request: pytest.FixtureRequest) -> tuple[str, Any, Any, Any]:
    name = request.param
    system, design, priors = bound(name)
    model = system.build(design, priors)
    return name, model, model.compile_logp(), model.compile_dlogp()


@pytest.mark.parametrize("probability", [0.001, 0.999])
def test_value_and_gradient_are_finite_at_the_ends_of_the_prior(
    graph: tuple[str, Any, Any, Any], probability: float
) -> None:
    name, model, logp, gradient = graph
    priors = bound(name)[2]
    point = model.initial_point()
    for variable in model.free_RVs:
        if variable.name not in priors:
            continue
        value = model.rvs_to_values[variable].name
        end = np.full(np.shape(point[value]), priors[variable.name].quantile(probability))
        transform = model.rvs_to_transforms[variable]
        if transform is not None:
            end = transform.forward(end, *variable.owner.inputs).eval()
        point[value] = np.asarray(end)
    assert np.isfinite(logp(point))
    assert np.isfinite(gradient(point)).all()


def sample_of(name: str, design: Any = None) -> tuple[System, Any, Any]:
    """Return a few draws from the prior, as a completed sample."""
    system, own, priors = bound(name)
    design = own if design is None else design
    drawn = system.draw_prior(design, priors, 40, np.random.default_rng(1))
    return system, design, system.complete(drawn, design, 1)


@pytest.mark.parametrize("name", NAMES)
def test_densities_are_finite_far_from_the_data(name: str) -> None:
    system, design, sample = sample_of(name)
    findings, studies = system.log_likelihood(sample, design)
    assert findings.shape == (1, 40, design.sizes["finding"])
    assert studies.shape == (1, 40, design.sizes["study"])
    assert np.isfinite(findings).all()
    assert np.isfinite(studies).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_rows_does_not_matter(name: str) -> None:
    table = TABLES[name]
    order = np.random.default_rng(3).permutation(len(table))
    first = table.iloc[[0, *(at for at in order if at != 0)]]
    # the order of the question fixes that of outcomes and stages
    labels = tuple(dict.fromkeys(table.iloc[:, 1]))
    spec = mc.ModelSpec(likelihood=name, outcomes=labels)
    system, design, sample = sample_of(name)
    moved = bind(spec, first)
    theta = sample["theta"].to_numpy()[..., [list(table.index).index(at) for at in first.index]]
    findings, studies = system.log_likelihood(
        sample.assign(theta=(("chain", "draw", "finding"), theta)).drop_vars("finding"), moved
    )
    before, by_study = system.log_likelihood(sample, design)
    np.testing.assert_allclose(findings.sum(-1), before.sum(-1), rtol=1e-12)
    where = [list(moved["study"].to_numpy()).index(each) for each in design["study"].to_numpy()]
    np.testing.assert_allclose(studies[..., where], by_study, rtol=1e-8)


@pytest.mark.parametrize("name", NAMES)
def test_replicates_have_the_mean_of_the_population(name: str) -> None:
    """At fixed parameters the mean of many replicates is the population average."""
    from scipy.integrate import quad
    from scipy.stats import norm

    system, design, sample = sample_of(name)
    number = 20_000
    one = sample.isel(draw=[0] * number).assign_coords(draw=np.arange(number))
    events = system.replicate(one, design, np.random.default_rng(5))[0]
    level = design["level"].to_numpy()
    total = design["total"].to_numpy()
    mu, tau = (sample[each].to_numpy()[0, 0] for each in ("mu", "tau"))
    for finding, at in enumerate(level):
        rate = quad(lambda z, m=mu[at], t=tau[at]: norm.pdf(z) / (1.0 + np.exp(-m - t * z)), -9, 9)[
            0
        ]
        found = events[:, finding] / total[finding]
        assert abs(found.mean() - rate) < 4.5 * found.std() / np.sqrt(number) + 1e-9


# ---- fits and their verbs


@pytest.fixture(scope="module")
def fits() -> Iterator[Callable[[str], Any]]:
    """Return a function that fits a table once; NUTS runs once, however its draws look."""
    made: dict[str, Any] = {}

    def fit(name: str) -> Any:
        if name not in made:
            how: dict[str, Any] = {"method": "nuts", "draws": 500}
            if name == "chain":
                how = {"method": "exact", "draws": 4000}
            spec = mc.ModelSpec(likelihood=name)
            made[name] = mc.fit(spec, TABLES[name], seed=1, progress=False, **how)
        return made[name]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nuts, "TARGETS", (0.95,))
        yield fit


@pytest.mark.parametrize("name", NAMES)
def test_a_fit_has_the_groups_of_every_fit(
    name: str, fits: Callable[[str], Any], tmp_path: Path
) -> None:
    fit = fits(name)
    groups = {"posterior", "prior", "estimands", "posterior_predictive", "prior_predictive"}
    groups |= {"log_likelihood", "log_prior", "sample_stats", "observed_data", "constant_data"}
    assert groups <= {*fit.children}
    assert {"mu", "tau", "theta", "theta_new"} <= {*fit["posterior"].data_vars}
    assert fit["posterior"]["mu"].dims == (
        "chain",
        "draw",
        "outcome" if name == "joint" else "stage",
    )
    assert np.isfinite(fit["log_likelihood"]["study"]).all()
    again = mc.load_fit(mc.save_fit(fit, tmp_path / "fit.nc"))
    pd.testing.assert_frame_equal(mc.summarize(again), mc.summarize(fit))
    assert again.attrs["system"] == name


@pytest.mark.parametrize("name", NAMES)
def test_verbs_that_take_any_fit(name: str, fits: Callable[[str], Any]) -> None:
    fit = fits(name)
    summary = mc.summarize(fit)
    assert [*summary.columns] == ["estimand", "at", "median", "lower", "upper", "mcse"]
    rates = summary[summary["estimand"] == "population average"]
    dim = "outcome" if name == "joint" else "stage"
    labels = dict.fromkeys(TABLES[name][dim])
    assert [*rates["at"]] == [f"{dim} = {label}" for label in labels]
    assert rates["median"].between(rates["lower"], rates["upper"]).all()
    assert "theta" in " ".join(mc.diagnostics(fit)["quantity"])
    assert len(mc.predictive_checks(fit)) >= len(TABLES[name])
    assert mc.predictive(fit, seed=2)["y"].sizes["finding"] == len(TABLES[name])


OF_ANY_FIT = {
    "compare_engines",
    "diagnostics",
    "predictive",
    "predictive_checks",
    "save_fit",
    "summarize",
}
OF_SEVERAL = {"benefit_risk", "borrowing", "plot_benefit_risk", "grade_table", "plot_grades"}
ABOUT_ONE_MEAN = [
    name
    for name in mc.__all__
    if inspect.isfunction(getattr(mc, name))
    and next(iter(inspect.signature(getattr(mc, name)).parameters), "") == "fit"
    and name not in OF_ANY_FIT | OF_SEVERAL
]


def test_parts_drawn_by_both_engines_have_no_statistic_in_common() -> None:
    draws = [xr.Dataset({name: (("chain", "draw"), np.zeros((2, 3)))}) for name in ("a", "b")]
    runs = [Drawn(xr.Dataset(), each, "nuts", [], "") for each in draws]
    assert not systems._statistics(runs, "stage", ["x", "y"], 2).data_vars
    shared = [each.assign(diverging=draws[0]["a"]) for each in draws]
    # one of them was run again and thinned
    shared[1] = shared[1].assign_coords(draw=[0, 4, 8])
    runs = [Drawn(xr.Dataset(), each, "nuts", [], "") for each in shared]
    found = systems._statistics(runs, "stage", ["x", "y"], 2)
    assert dict(found.sizes) == {"stage": 2, "chain": 2, "draw": 2}


def test_models_of_several_means_are_not_averaged(fits: Callable[[str], Any]) -> None:
    with pytest.raises(InputError, match="a fit of the chain likelihood, which has several means"):
        mc.average_models(fits("chain"))


@pytest.mark.parametrize("verb", ABOUT_ONE_MEAN)
def test_a_verb_about_one_mean_is_refused_by_name(verb: str, fits: Callable[[str], Any]) -> None:
    needed = [
        each
        for each in inspect.signature(getattr(mc, verb)).parameters.values()
        if each.default is each.empty
    ]
    with pytest.raises(InputError) as caught:
        getattr(mc, verb)(fits("chain"), *("any" for _ in needed[1:]))
    message = str(caught.value)
    assert message.startswith(f"{verb}(fit): a fit of the chain likelihood, which has several")
    assert "try: summarize(fit)" in message


def test_a_place_is_refused_where_there_are_no_moderators(fits: Callable[[str], Any]) -> None:
    with pytest.raises(InputError, match=r"at: age, but a chain fit has no moderators"):
        mc.summarize(fits("chain"), at={"age": 3})


def test_previews_of_priors_name_the_system() -> None:
    with pytest.raises(InputError, match="'joint' has several means"):
        mc.preview_priors(mc.ModelSpec(likelihood="joint"))
    with pytest.raises(InputError, match="'joint' has several means"):
        mc.named_priors(mc.ModelSpec(likelihood="joint"))


def test_the_exact_engine_is_refused_where_studies_have_several_effects() -> None:
    with pytest.raises(InputError, match="method: 'exact' with the joint likelihood"):
        mc.fit(mc.ModelSpec(likelihood="joint"), TABLES["joint"], method="exact")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"random_effects": "student_t"}, "random_effects: 'student_t' with the joint likelihood"),
        ({"random_effects": "none"}, "random_effects: 'none' with the joint likelihood"),
        ({"scale": "log"}, "scale: 'log' with the joint likelihood"),
        ({"moderators": ["age"]}, "moderators: age with the joint likelihood"),
        ({"thresholds": [0.5]}, "thresholds: 0.5 with the joint likelihood"),
        ({"priors": {"rho": "Beta(1, 5)"}}, "priors.rho: no parameter of this model"),
        ({"priors": {"tau": "Normal(0, 1)"}}, "priors.tau: "),
        ({"outcome": "relapse"}, "outcome: "),
    ],
)
def test_what_a_spec_cannot_ask_of_a_system(options: dict[str, Any], words: str) -> None:
    spec = mc.ModelSpec(likelihood="joint", **options)
    with pytest.raises(InputError) as caught:
        bind(spec, TABLES["joint"])
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"likelihood": "binomial", "outcomes": ["relapse", "death"]}, "takes one outcome"),
        ({"likelihood": "joint", "outcomes": ["relapse"], "outcome": "death"}, "one of the two"),
        ({"likelihood": "joint", "outcomes": ["relapse", "relapse"]}, "stands twice"),
    ],
)
def test_outcomes_in_a_spec(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        mc.ModelSpec(**options)
