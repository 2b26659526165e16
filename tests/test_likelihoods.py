"""The gauntlet that every likelihood passes, and the graph that is built from it."""

import numpy as np
import pandas as pd
import pytest
from scipy import interpolate, special, stats

from metacart.errors import InputError
from metacart.inference.exact import draw_exact
from metacart.modelling.build import build_model
from metacart.modelling.design import bind, data_of, scale_of
from metacart.modelling.likelihoods import LIKELIHOODS, Likelihood
from metacart.modelling.priors import resolve_priors
from metacart.records.spec import ModelSpec
from metacart.scales import SCALES

TABLES = {
    "binomial": pd.DataFrame(
        {
            "study": ["a", "b", "c", "d", "d"],
            "events": [0, 14, 13, 1, 7],
            "total": [20, 14, 19, 1, 28],
            "scfv": ["murine", "human", "human", "murine", "human"],
            "age": [20.0, 13.0, 22.0, 8.0, 31.0],
        }
    ),
    "normal": pd.DataFrame(
        {
            "study": ["a", "b", "c", "d"],
            "ratio": [0.25, 0.279, 1.4, 0.9],
            "lower": [0.068, 0.101, 0.7, 0.5],
            "upper": [0.915, 0.769, 2.8, 1.62],
            "scfv": ["murine", "human", "human", "murine"],
            "age": [20.0, 13.0, 22.0, 8.0],
        }
    ),
}
TABLES["hsct"] = TABLES["normal"].assign(
    kind="ratio", time_handling=["time-fixed", "landmark", "unclear", "time-dependent"]
)
TABLES["survival"] = pd.DataFrame(
    {
        "study": ["a", "b", "c", "d"],
        "survival": [0.91, 0.70, 0.364, 0.80],
        "lower": [0.508, 0.33, 0.112, 0.70],
        "upper": [0.987, 0.902, 0.624, 0.90],
        "scfv": ["murine", "human", "human", "murine"],
        "age": [20.0, 13.0, 22.0, 8.0],
    }
)
TABLES["beta_binomial"] = TABLES["binomial"]
# no events and only events, in one group and in both
TABLES["two_arm"] = pd.DataFrame(
    {
        "study": ["a", "b", "c", "d"],
        "events": [0, 2, 7, 0],
        "total": [3, 21, 14, 6],
        "control_events": [7, 7, 4, 0],
        "control_total": [24, 7, 4, 5],
        "scfv": ["murine", "human", "human", "murine"],
        "age": [20.0, 13.0, 22.0, 8.0],
    }
)
TABLES["two_arm, cloglog"] = TABLES["two_arm"]
TABLES["hsct, counts"] = TABLES["two_arm"].assign(kind="contrast", time_handling="time-fixed")
PAIR = {
    "survival": [0.77],
    "survival_lower": [0.6],
    "survival_upper": [0.88],
    "control_survival": [0.36],
    "control_survival_lower": [0.25],
    "control_survival_upper": [0.48],
}
TABLES["hsct, all kinds"] = pd.concat(
    [
        TABLES["hsct"],
        TABLES["hsct, counts"].iloc[:3].assign(study=["e", "f", "g"]),
        TABLES["hsct, counts"].iloc[3:, :7].drop(columns="events").assign(kind="survival", **PAIR),
    ],
    ignore_index=True,
).assign(time_handling=["time-fixed", "landmark", *["unclear"] * 6], age=np.arange(8.0))
TABLES["hsct, all kinds"]["scfv"] = ["murine", "human"] * 4
NAMES = list(TABLES)


def likelihood_of(name):
    return LIKELIHOODS[name.partition(",")[0]]


def bound(name, **options):
    likelihood, _, scale = name.partition(", ")
    if scale == "cloglog":
        options["scale"] = scale
    spec = ModelSpec(likelihood=likelihood, **options)
    return spec, bind(spec, TABLES[name])


def own_values(name):
    values = {"bias": -0.4, "rho": 0.2}
    return {each: np.array([[values[each]]]) for each in likelihood_of(name).shared}


def test_every_likelihood_runs_the_gauntlet():
    single = {name for name, entry in LIKELIHOODS.items() if isinstance(entry, Likelihood)}
    assert {name.partition(",")[0] for name in NAMES} == single


@pytest.mark.parametrize(
    ("name", "effects"),
    [(name, likelihood_of(name).random_effects[0]) for name in NAMES]
    + [("binomial", "student_t"), ("binomial", "none")],
)
def test_value_and_gradient_are_finite_at_the_ends_of_the_prior(name, effects):
    spec, design = bound(name, moderators=["scfv", "age"], random_effects=effects)
    model = build_model(spec, design)
    priors = resolve_priors(spec, design, likelihood_of(name))
    logp, gradient = model.compile_logp(), model.compile_dlogp()
    for probability in (0.001, 0.999):
        point = model.initial_point()
        for variable in model.free_RVs:
            prior = priors.get(variable.name)
            if prior is None:
                continue
            value = np.full(
                np.shape(point[model.rvs_to_values[variable].name]), prior.quantile(probability)
            )
            transform = model.rvs_to_transforms[variable]
            if transform is not None:
                value = transform.forward(value, *variable.owner.inputs).eval()
            point[model.rvs_to_values[variable].name] = np.asarray(value)
        assert np.isfinite(logp(point))
        assert np.isfinite(gradient(point)).all()


@pytest.mark.parametrize("name", NAMES)
def test_numpy_and_graph_give_the_same_density(name):
    spec, design = bound(name, random_effects="none")
    model = build_model(spec, design)
    likelihood, data = likelihood_of(name), data_of(design)
    point = model.initial_point()
    point["mu"] = np.array(0.3)
    own = own_values(name)
    if "bias" in point:
        point["bias"] = np.array(-0.4)
    elif "bias" in own:
        own = {}
    if "rho_logodds__" in point:
        point["rho_logodds__"] = special.logit(0.2)
    eta = np.full((1, design.sizes["finding"]), 0.3) + likelihood.shift(data, own)
    known = likelihood.logp(eta, data, own)
    if "baseline" not in point:
        observed = model.compile_logp(vars=model.observed_RVs)(point)
        assert known.sum() == pytest.approx(observed, rel=1e-10)
        return
    # the graph has a baseline of each finding, which is integrated out here over a grid
    counted = np.asarray(data.get("contrast", np.ones(known.size)), dtype=bool)
    terms = model.compile_logp(vars=[*model.observed_RVs, model["baseline"]], sum=False)
    grid, heights = np.linspace(-18, 14, 1601), []
    for b in grid:
        *observed, prior = terms(point | {"baseline": np.full(known.size, b)})
        estimates = observed.pop(0) if len(observed) == 3 else None
        heights.append(sum(observed) + prior[counted])
    graph = np.zeros(known.size)
    graph[counted] = special.logsumexp(heights, axis=0) + np.log(grid[1] - grid[0])
    if estimates is not None:
        graph[~counted] = estimates
    np.testing.assert_allclose(known[0], graph, rtol=1e-8)


@pytest.mark.parametrize("name", NAMES)
def test_derivatives_are_those_of_the_density(name):
    _, design = bound(name)
    likelihood, data, own = likelihood_of(name), data_of(design), own_values(name)
    eta = np.linspace(-6, 6, 7)[:, None] + np.zeros(design.sizes["finding"])
    step = 1e-4
    above, below = (likelihood.logp(eta + d, data, own) for d in (step, -step))
    slope, curvature = likelihood.derivatives(eta, data, own)
    np.testing.assert_allclose(slope, (above - below) / (2 * step), atol=1e-6)
    above, below = (likelihood.derivatives(eta + d, data, own)[0] for d in (step, -step))
    np.testing.assert_allclose(curvature, (above - below) / (2 * step), atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_replicates_have_the_mean_that_the_density_has(name):
    _, design = bound(name)
    likelihood, data, own = likelihood_of(name), data_of(design), own_values(name)
    own["baseline"] = np.full((1, design.sizes["finding"]), 0.2)
    eta = np.full((20_000, design.sizes["finding"]), 0.4)
    draws = likelihood.simulate(eta, data, own, np.random.default_rng(3))
    expected = np.full(design.sizes["finding"], 0.4)
    if "total" in data:
        expected = data["total"] * scale_of(design).inverse(0.4)
    for finding in np.flatnonzero(data.get("contrast", np.zeros(0)) if "hsct" in name else []):
        expected[finding] = mean_of_counts(data, finding)
    if name.startswith("two_arm"):
        expected = [mean_of_counts(data, finding) for finding in range(design.sizes["finding"])]
    error = draws.std(axis=0) / np.sqrt(20_000)
    assert (np.abs(draws.mean(axis=0) - expected) < 4 * error).all()


def mean_of_counts(data, finding):
    """Sum the corrected log ratio over every table that two groups at 0.6 and 0.2 can give."""
    link = SCALES["cloglog" if data["hazard"][finding] else "logit"]
    levels = []
    for group, level in (("exposed", 0.6), ("control", 0.2)):
        total = data[f"{group}_total"][finding]
        counts = np.arange(total + 1)
        chance = stats.binom(total, link.inverse(level)).pmf(counts)
        levels.append(chance @ link.link((counts + 0.5) / (total + 1)))
    return levels[0] - levels[1]


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_rows_does_not_matter(name):
    spec, _ = bound(name, random_effects="none", moderators=["age"])
    table = TABLES[name]
    values = []
    for rows in (table, table.iloc[::-1]):
        model = build_model(spec, bind(spec, rows))
        point = model.initial_point()
        point["centre"] = np.array(-0.2)  # mu at the middle of the moderators
        values.append(model.compile_logp()(point))
    assert values[0] == pytest.approx(values[1], rel=1e-12)


@pytest.mark.parametrize("prior", ["Normal(0.3, 1.5)", "Cauchy(-1, 0.5)", "HalfNormal(2)"])
def test_sampling_mu_at_the_middle_leaves_its_prior_at_zero(prior):
    spec = ModelSpec(
        likelihood="binomial",
        random_effects="none",
        moderators=["age"],
        priors={"mu": prior, "beta": "Normal(0, 3)"},
    )
    design = bind(spec, TABLES["binomial"])
    model = build_model(spec, design)
    mu, beta, age = 0.8, 0.02, design["x"].to_numpy()[:, 0]
    point = model.initial_point() | {"beta": np.array([beta])}
    if prior.startswith("Half"):
        point["mu_log__"] = np.log(mu)
        expected = stats.halfnorm(0, 2).logpdf(mu) + np.log(mu)
    else:
        point["centre"] = np.array(mu + beta * age.mean())
        family = stats.norm(0.3, 1.5) if prior.startswith("N") else stats.cauchy(-1, 0.5)
        expected = family.logpdf(mu)
    expected += stats.norm(0, 3).logpdf(beta)
    events, total = design["events"].to_numpy(), design["total"].to_numpy()
    expected += stats.binom(total, special.expit(mu + beta * age)).logpmf(events).sum()
    assert model.compile_logp()(point) == pytest.approx(expected, rel=1e-10)


def test_exact_intervals_of_counts_alone():
    # Clopper and Pearson 1934: 0/n has the upper limit 1 - 0.025^(1/n), n/n the mirror image
    _, design = bound("binomial")
    estimate, lower, upper = LIKELIHOODS["binomial"].crude(data_of(design), scale_of(design))
    assert estimate[0] == lower[0] == 0
    assert upper[0] == pytest.approx(1 - 0.025 ** (1 / 20))
    assert estimate[1] == upper[1] == 1
    assert lower[1] == pytest.approx(0.025 ** (1 / 14))
    found = stats.binomtest(13, 19).proportion_ci(method="exact")
    assert (lower[2], upper[2]) == pytest.approx((found.low, found.high))


def test_a_numeric_moderator_has_a_default_prior_a_standard_deviation_of_its_own():
    spec, design = bound("binomial", moderators=["age", "scfv"])
    priors = resolve_priors(spec, design, LIKELIHOODS["binomial"])
    spread = np.std(TABLES["binomial"]["age"], ddof=1)
    assert priors["beta:age"].arguments == pytest.approx((0.0, 1 / spread))
    assert priors["beta:scfv[murine]"].arguments == (0.0, 1.0)
    stated = ModelSpec(likelihood="binomial", moderators=["age"], priors={"beta": "Normal(0, 3)"})
    given = resolve_priors(stated, bind(stated, TABLES["binomial"]), LIKELIHOODS["binomial"])
    assert given["beta:age"].arguments == (0.0, 3.0)


@pytest.mark.parametrize(
    ("options", "change", "words"),
    [
        ({"likelihood": "binomal"}, {}, ["'binomal' is not known", "did you mean 'binomial'?"]),
        ({"scale": "log"}, {}, ["'log' with the binomial likelihood", "logit"]),
        ({"priors": {"tua": "HalfNormal(1)"}}, {}, ["priors.tua", "did you mean 'tau'?"]),
        ({"priors": {"tau": "Normal(0, 1)"}}, {}, ["priors.tau", "numbers above zero"]),
        ({"priors": {"mu": "Nrmal(0, 1)"}}, {}, ["priors.mu", "did you mean 'Normal'?"]),
        (
            {"moderators": ["scfv"], "priors": {"beta": {"scvf": "Normal(0, 1)"}}},
            {},
            ["priors.beta.scvf", "did you mean 'scfv'?"],
        ),
        ({"moderators": ["scvf"]}, {}, ["no such column", "did you mean 'scfv'?"]),
        ({"moderators": ["scfv"]}, {"scfv": "human"}, ["the one level 'human'", "two levels"]),
        (
            {"moderators": ["scfv"]},
            {"scfv": ["human", None, "murine", "human", np.nan]},
            ["no value in row 2 (b), row 5 (d)"],
        ),
        ({"moderators": ["age"]}, {"age": 3.0}, ["the one value 3"]),
        (
            {"moderators": ["year"]},
            {"year": [2017, 2019, 2020, 2021, 2023]},
            ["2017 to 2023, far from 0, where mu would stand", 'reference={"year": 2020}'],
        ),
        ({"moderators": ["age"]}, {"age": [1.0, 2.0, 3.0, 4.0, np.inf]}, ["not finite"]),
        (
            {"moderators": ["scfv"], "reference": {"scfv": "murin"}},
            {},
            ["reference.scfv", "did you mean 'murine'?"],
        ),
        ({}, {"events": [0, 14, 20, 1, 7]}, ["row 3 (c)", "20 events among 19", "swapped"]),
        ({}, {"events": [0, -1, 3.5, np.nan, 7]}, ["row 2 (b)", "-1", "row 3 (c)", "3.5", "nan"]),
        ({}, {"events": [0, 14, 13, True, "7"]}, ["row 4 (d)", "True", "row 5 (d)", "'7'"]),
        ({}, {"total": [20, 14, 19, 0, np.inf]}, ["row 4 (d), column 'total': 0", "inf"]),
        ({"group": "cohort"}, {}, ["column 'cohort'", "missing"]),
    ],
)
def test_what_the_table_or_the_spec_cannot_be(options, change, words):
    spec = ModelSpec(**{"likelihood": "binomial", **options})
    table = TABLES["binomial"].astype(object).assign(**change)
    with pytest.raises(InputError) as refusal:
        build_model(spec, bind(spec, table))
    for word in words:
        assert word in str(refusal.value)


def test_all_faults_stand_in_one_message():
    table = pd.DataFrame({"study": ["a"], "event": [3], "total": [5]})
    with pytest.raises(InputError) as refusal:
        bind(ModelSpec(likelihood="binomial", moderators=["scfv"]), table)
    message = str(refusal.value)
    assert "column 'events': this column is missing" in message
    assert "rename 'event' to 'events'" in message
    assert "moderator 'scfv'" in message


def test_ratios_and_estimates_are_never_both():
    table = TABLES["normal"].assign(estimate=0.0, se=1.0)
    with pytest.raises(InputError, match="both estimate/se and ratio/lower/upper"):
        bind(ModelSpec(likelihood="normal"), table)


def test_on_the_identity_scale_a_prior_must_be_stated():
    table = pd.DataFrame({"study": ["a", "b"], "estimate": [3.0, 5.0], "se": [1.0, 2.0]})
    spec = ModelSpec(likelihood="normal")
    with pytest.raises(InputError) as refusal:
        resolve_priors(spec, bind(spec, table), LIKELIHOODS["normal"])
    for word in ("priors.mu: no default on the identity scale", "priors.tau", "HalfNormal(2)"):
        assert word in str(refusal.value)


def test_the_users_table_is_not_changed():
    table = TABLES["binomial"].copy()
    bind(ModelSpec(likelihood="binomial", moderators=["scfv"]), table)
    pd.testing.assert_frame_equal(table, TABLES["binomial"])


# --- against a brute-force posterior ------------------------------------------------------------
# the densities are SciPy's, from the table itself; the posterior is a grid over all parameters

ETA = np.linspace(-30, 30, 1201)
MU = np.linspace(-7, 7, 113)
Z = np.linspace(-6.5, 6.5, 66)


def inverse(level, *, hazard):
    return -np.expm1(-np.exp(np.minimum(level, 300))) if hazard else special.expit(level)


def of_groups(row, *, hazard):
    """Two binomials, the level of the control group summed over a grid."""
    b = np.linspace(-10, 10, 161)
    with np.errstate(divide="ignore"):
        control = stats.binom(row["control_total"], inverse(b, hazard=hazard))
        exposed = stats.binom(row["total"], inverse(ETA[:, None] + b, hazard=hazard))
        terms = control.logpmf(row["control_events"]) + exposed.logpmf(row["events"])
    terms = terms + stats.norm(0, 1.5).logpdf(b) + np.log(b[1] - b[0])
    return special.logsumexp(terms, axis=1)


def log_density(name, row, estimate, se):
    """Return the log density of one finding along ETA."""
    if name == "binomial":
        with np.errstate(divide="ignore"):
            return stats.binom(row["total"], special.expit(ETA)).logpmf(row["events"])
    if name.startswith("two_arm"):
        return of_groups(row, hazard="cloglog" in name)
    if row.get("kind") == "contrast":
        return of_groups(row, hazard=True)
    return stats.norm(ETA, se).logpdf(estimate)


def posterior(name, design, priors):
    """Return the log marginal likelihood, and the mean of mu."""
    rows = TABLES[name].to_dict("records")
    mu = np.exp(priors["mu"].logpdf(MU)) * (MU[1] - MU[0])
    if name == "beta_binomial":
        rho = (np.arange(400) + 0.5) / 400
        log_mass = np.log(mu)[:, None] + stats.beta(1, 5).logpdf(rho) - np.log(400)
        rate, size = special.expit(MU)[:, None], (1 - rho) / rho
        for row in rows:
            counts = stats.betabinom(row["total"], size * rate, size * (1 - rate))
            log_mass = log_mass + counts.logpmf(row["events"])
        return special.logsumexp(log_mass), special.softmax(log_mass).sum(axis=1) @ MU
    tau = np.linspace(0.035, 4.2, 60) if name == "binomial" or "survival" in name else None
    tau = np.linspace(0.0175, 2.1, 60) if tau is None else tau
    height = priors["tau"].logpdf(tau) + np.log(tau[1] - tau[0])
    estimates = design["estimate"].to_numpy() if "estimate" in design else np.zeros(len(rows))
    errors = design["se"].to_numpy() if "se" in design else np.ones(len(rows))
    curves = [
        np.maximum(log_density(name, *each), -1e4)
        for each in zip(rows, estimates, errors, strict=True)
    ]
    weight = stats.norm.logpdf(Z) + np.log(Z[1] - Z[0])
    # the effects of studies summed first: a surface over level and tau, one a study
    level = np.linspace(-9, 9, 181)
    surfaces = {}
    for study in dict.fromkeys(each["study"] for each in rows):
        mine = [n for n, each in enumerate(rows) if each["study"] == study]
        spline = interpolate.PchipInterpolator(ETA, sum(curves[n] for n in mine))
        eta = np.clip(level[:, None, None] + tau[:, None] * Z, ETA[0], ETA[-1])
        surface = special.logsumexp(spline(eta) + weight, axis=-1)
        surfaces[mine[0]] = interpolate.PchipInterpolator(level, surface, axis=0)
    biased = design["biased"].to_numpy() if "biased" in design else np.zeros(len(rows))
    shifts, share = np.zeros(1), np.zeros(1)
    if 0 < biased.sum() < len(rows):
        shifts = np.linspace(-1.6, 0.7, 24)
        share = stats.norm(-0.45, 0.25).logpdf(shifts) + np.log(shifts[1] - shifts[0])
    log_mass = np.log(mu)[:, None, None] + height + share[:, None]
    for first, surface in surfaces.items():
        log_mass = log_mass + surface(MU[:, None] + biased[first] * shifts)
    return special.logsumexp(log_mass), special.softmax(log_mass).sum(axis=(1, 2)) @ MU


@pytest.mark.parametrize("name", NAMES)
def test_the_posterior_is_that_of_a_grid(name):
    spec, design = bound(name)
    priors = resolve_priors(spec, design, likelihood_of(name))
    run = draw_exact(spec, design, likelihood_of(name), priors, draws=8000, chains=1, seed=3)
    height, mean = posterior(name, design, priors)
    assert run.pareto_k < 0.7
    assert run.log_marginal_likelihood == pytest.approx(height, abs=0.02)
    mu = run.posterior["mu"].to_numpy()
    assert mu.mean() == pytest.approx(mean, abs=0.005 + 4 * mu.std() / np.sqrt(8000))


@pytest.mark.parametrize("effects", ["normal", "student_t"])
def test_effects_of_equal_estimates_are_sampled_without_a_funnel(effects: str) -> None:
    """Of normal effects what is sampled is standard normal, whatever mu and tau are."""
    table = pd.DataFrame({"study": list("abcd"), "estimate": [0.1, 0.9, -0.4, 0.3], "se": 0.3})
    priors = {"mu": "Normal(0, 2)", "tau": "HalfNormal(1)"}
    spec = ModelSpec(likelihood="normal", random_effects=effects, priors=priors)
    model = build_model(spec, bind(spec, table))
    density = model.compile_logp(vars=[model["z"], model["y"]], jacobian=False)
    y, z = table["estimate"].to_numpy(), np.array([0.2, -1.5, 1.0, 2.5])
    for mu, tau in ((0.2, 1e-6), (0.7, 1e-3), (-0.5, 0.3), (4.0, 50.0)):
        found = float(density({"mu": mu, "tau_log__": np.log(tau), "z": z}))
        height = np.hypot(1.0, tau / 0.3)
        effect = tau / height * (z - tau * (mu - y) / (0.09 * height))
        if effects == "normal":
            expected = stats.norm.logpdf(z) + stats.norm.logpdf(y, mu, np.hypot(0.3, tau))
        else:  # the same place, with the density of its effects
            expected = stats.t.logpdf(effect / tau, 4) - np.log(height)
            expected = expected + stats.norm.logpdf(y, mu + effect, 0.3)
        assert found == pytest.approx(expected.sum(), rel=1e-9)
