"""A tau of each level against separate analyses, grids and published ones; every refusal."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import metacart as mc
from metacart.errors import InputError
from metacart.inference.compiled import compiled
from metacart.inference.within import Observed
from metacart.modelling.build import build_model
from metacart.modelling.check import model_faults
from metacart.modelling.design import bind
from metacart.modelling.likelihoods import LIKELIHOODS, Likelihood

# Colditz and others 1994: events and others of the vaccinated and of the controls, allocation
BCG = [
    *[(4, 119, 11, 128, "random"), (6, 300, 29, 274, "random"), (3, 228, 11, 209, "random")],
    *[(62, 13536, 248, 12619, "random"), (33, 5036, 47, 5761, "other")],
    *[(180, 1361, 372, 1079, "other"), (8, 2537, 10, 619, "random")],
    *[(505, 87886, 499, 87892, "random"), (29, 7470, 45, 7232, "random")],
    *[(17, 1699, 65, 1600, "other"), (186, 50448, 141, 27197, "other")],
    *[(5, 2493, 3, 2338, "other"), (27, 16886, 29, 17825, "other")],
]
ARMS = pd.DataFrame(
    {
        "study": ["a", "a", "b", "c", "d", "d", "e", "f"],
        "events": [3, 9, 12, 5, 0, 4, 17, 9],
        "total": [10, 14, 15, 21, 6, 9, 30, 9],
        "scfv": ["human", "murine", "murine", "murine", "human", "human", "murine", "human"],
        "age": [20.0, 13, 22, 8, 31, 11, 15, 40],
    }
)
BY_SCFV = {"likelihood": "binomial", "moderators": ["scfv"], "tau_by": "scfv"}


def trials():
    a, b, c, d = (np.array([row[n] for row in BCG], dtype=float) for n in range(4))
    return pd.DataFrame(
        {
            "study": [f"trial {n}" for n in range(1, 14)],
            "estimate": np.log(a / (a + b)) - np.log(c / (c + d)),
            "se": np.sqrt(1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)),
            "alloc": [row[4] for row in BCG],
        }
    )


def restricted(table, tau):
    """Restricted log likelihood of tau, mean and error of one group of trials."""
    weight = 1 / (table["se"].to_numpy() ** 2 + np.asarray(tau)[..., None] ** 2)
    mean = (weight * table["estimate"].to_numpy()).sum(-1) / weight.sum(-1)
    squares = weight * (table["estimate"].to_numpy() - mean[..., None]) ** 2
    log = 0.5 * np.log(weight).sum(-1) - 0.5 * np.log(weight.sum(-1)) - 0.5 * squares.sum(-1)
    return log, mean, weight.sum(-1) ** -0.5


def test_trials_by_allocation():
    """As two analyses: metafor documents tau² 0.3925 and 0.2123, means -0.9710 and -0.4812."""
    table, grid = trials(), np.linspace(0.001, 4, 2000)
    priors = {"mu": "Normal(0, 10)", "beta": "Normal(0, 10)", "tau": "HalfNormal(1)"}
    spec = mc.ModelSpec(
        likelihood="normal",
        scale="log",
        moderators=["alloc"],
        reference={"alloc": "random"},
        tau_by="alloc",
        priors=priors,
    )
    fit = mc.fit(spec, table, method="exact", seed=2, progress=False)
    assert fit.attrs["converged"], fit.attrs["gate"]
    published = {"random": (0.3925, -0.9710, 0.2760), "other": (0.2123, -0.4812, 0.2169)}
    for level, (variance, middle, error) in published.items():
        log, mean, spread = restricted(table[table["alloc"] == level], grid)
        best = int(log.argmax())
        assert grid[best] ** 2 == pytest.approx(variance, abs=0.003)
        assert (mean[best], spread[best]) == pytest.approx((middle, error), abs=0.001)
        mass = np.exp(log - log.max() - 0.5 * grid**2)
        mass /= mass.sum()
        draws = fit["posterior"]["tau"].sel(level=level).to_numpy().ravel()
        centre, slack = grid @ mass, 4 * draws.std() / np.sqrt(10_000)
        assert draws.mean() == pytest.approx(centre, abs=slack)
        below = np.interp(np.quantile(draws, [0.025, 0.5, 0.975]), grid, np.cumsum(mass))
        np.testing.assert_allclose(below, [0.025, 0.5, 0.975], atol=0.015)
        row = mc.summarize(fit, at={"alloc": level}).set_index("estimand").loc["median study"]
        whole = (mean * mass).sum()
        deviation = np.sqrt((mass * (spread**2 + (mean - whole) ** 2)).sum())
        assert np.log(row["median"]) == pytest.approx(whole, abs=0.04)
        assert np.log(row["upper"] / row["lower"]) == pytest.approx(4.1 * deviation, rel=0.1)


def test_a_study_with_both_levels_against_a_grid():
    data = {name: ARMS[name].to_numpy() for name in ("events", "total")}
    group, place = pd.factorize(ARMS["study"])[0], (ARMS["scfv"] == "murine").to_numpy(int)
    points = [(0.2, (0.4, 1.3)), (-1.0, (2.5, 0.1)), (0.5, (4.0, 0.6))]
    linear = np.array([[mu] * len(ARMS) for mu, _ in points])
    tau = np.array([np.array(each)[place] for _, each in points])
    found = Observed(
        LIKELIHOODS["binomial"], data, group, linear, tau, None, None, "normal", 4.0, {}
    ).log_likelihood()
    z = np.linspace(-9, 9, 20_001)
    weight = np.log(stats.norm.pdf(z) * (z[1] - z[0]))
    for row, (mu, each) in zip(found, points, strict=True):
        log = [
            stats.binom(n, special.expit(mu + each[level] * z)).logpmf(y)
            for y, n, level in zip(*data.values(), place, strict=True)
        ]
        sums = [special.logsumexp(np.array(log)[group == s].sum(0) + weight) for s in range(6)]
        np.testing.assert_allclose(row, sums, atol=1e-4)


@pytest.mark.parametrize("effects", ["normal", "student_t"])
def test_levels_of_the_same_tau_are_the_plain_model(effects):
    data = {name: ARMS[name].to_numpy() for name in ("events", "total")}
    group = pd.factorize(ARMS["study"])[0]
    linear, tau = np.full((3, len(ARMS)), 0.3), np.array([0.2, 1.0, 4.0])
    both = [
        Observed(
            LIKELIHOODS["binomial"], data, group, linear, each, None, None, effects, 4.0, {}
        ).log_likelihood()
        for each in (tau, np.repeat(tau[:, None], len(ARMS), axis=1))
    ]
    np.testing.assert_allclose(*both, rtol=1e-10)


@pytest.fixture(scope="module")
def by_scfv():
    return mc.fit(mc.ModelSpec(**BY_SCFV), ARMS, method="exact", seed=1, progress=False)


def test_estimands_have_the_tau_of_their_level(by_scfv):
    assert by_scfv.attrs["converged"], by_scfv.attrs["gate"]
    posterior = by_scfv["posterior"]
    assert posterior["tau"].dims == ("chain", "draw", "level")
    mu, beta = posterior["mu"].to_numpy(), posterior["beta"].to_numpy()[..., 0]
    reference, other = posterior["level"].to_numpy().tolist()
    z = np.linspace(-8, 8, 321)
    density = stats.norm.pdf(z) * (z[1] - z[0])
    averages = {}
    for level, linear in ((reference, mu), (other, mu + beta)):
        tau = posterior["tau"].sel(level=level).to_numpy()
        averages[level] = special.expit(linear[..., None] + tau[..., None] * z) @ density
        table = mc.summarize(by_scfv, at={"scfv": level}).set_index("estimand")
        found = table.loc["population average", "median"]
        assert found == pytest.approx(np.median(averages[level]), abs=1e-6)
        assert table.loc[f"tau scfv[{level}]", "median"] == pytest.approx(np.median(tau))
        draws = special.logit(
            mc.results.summary.estimand_draws(by_scfv, at={"scfv": level})["next study"]
        )
        assert stats.kstest(((draws - linear) / tau).ravel(), "norm").pvalue > 0.001
    # over the evidence: a mixture of its rows
    share = (ARMS["scfv"] == reference).mean()
    mixed = share * averages[reference] + (1 - share) * averages[other]
    table = mc.summarize(by_scfv).set_index("estimand")
    assert table.loc["population average", "median"] == pytest.approx(np.median(mixed), abs=1e-6)


def test_tables_name_each_level(by_scfv):
    table = mc.heterogeneity(by_scfv).set_index("quantity")
    reference, other = by_scfv["posterior"]["level"].to_numpy().tolist()
    assert table.index.tolist() == [
        *(f"tau{word} scfv[{level}]" for level in (reference, other) for word in ("", " squared")),
        *(f"I squared scfv[{level}]" for level in (reference, other)),
        f"ratio of tau, scfv[{other}]",
    ]
    tau = by_scfv["posterior"]["tau"].to_numpy()
    ratio = table.loc[f"ratio of tau, scfv[{other}]"]
    assert ratio["median"] == pytest.approx(np.median(tau[..., 1] / tau[..., 0]))
    assert ratio["note"] == f"to that of scfv[{reference}]"
    assert table.loc["tau scfv[human]", "note"].endswith("; from 3 studies")
    weights = mc.forest_table(by_scfv).query("row == 'study'")["weight"]
    assert weights.sum() == pytest.approx(100)
    assert (weights > 0).all()
    priors = mc.prior_sensitivity(by_scfv, tau=(0.5, 0.0), mu=(1.0,))
    assert priors["prior"].unique().tolist() == [
        f"tau scfv[{reference}] ~ HalfNormal(1), tau scfv[{other}] ~ HalfNormal(1)",
        f"tau scfv[{reference}] ~ HalfNormal(0.5), tau scfv[{other}] ~ HalfNormal(0.5)",
        "tau = 0 (common effect)",
    ]
    assert priors["median"].notna().all()
    left = mc.leave_one_out(by_scfv)
    assert {f"tau scfv[{reference}]", f"tau scfv[{other}]"} < set(left["estimand"])


def test_nuts_and_the_exact_engine_agree(by_scfv):
    spec = mc.ModelSpec(**BY_SCFV)
    function = compiled(build_model(spec, bind(spec, ARMS)))
    again = function.sample(
        draws=2500, tune=1000, chains=4, seed=3, target_accept=0.95, progress=False
    )
    assert not again["sample_stats"]["diverging"].any()
    for name in ("mu", "tau", "beta", "theta"):
        one, two = (fit["posterior"][name].to_numpy() for fit in (by_scfv, again))
        one, two = one.reshape(16_000, -1), two.reshape(10_000, -1)
        assert (np.abs(two.mean(0) - one.mean(0)) < 0.12 * one.std(0)).all(), name
        np.testing.assert_allclose(two.std(0), one.std(0), rtol=0.12)


@pytest.mark.parametrize("name", ["joint", "chain"])
def test_systems_have_neither(name):
    table = pd.DataFrame({"study": ["a"], "outcome": "x", "events": [1], "total": [2]})
    text = faults_of(table, likelihood=name, within="finding")
    assert f"within: 'finding' with the {name} likelihood" in text


def test_each_level_can_have_a_prior_of_its_own():
    priors = {"tau": {"human": "HalfNormal(0.01)"}}
    spec = mc.ModelSpec(**BY_SCFV, priors=priors)
    fit = mc.fit(spec, ARMS, method="exact", draws=500, seed=1, progress=False)
    tau = fit["posterior"]["tau"]
    assert float(tau.sel(level="human").max()) < 0.06
    assert float(tau.sel(level="murine").median()) > 0.3
    table = mc.preview_priors(mc.ModelSpec(**BY_SCFV, priors=priors), ARMS).set_index("estimand")
    assert table.loc["tau scfv[human]", "upper"] == pytest.approx(0.0224, abs=1e-4)
    assert table.loc["tau scfv[murine]", "upper"] == pytest.approx(2.241, abs=1e-3)


# --- what is refused ----------------------------------------------------------------------------

_BOTH = {"binomial", "normal", "two_arm"}


@pytest.mark.parametrize(
    ("name", "effects", "within", "tau_by"),
    list(
        itertools.product(
            [name for name, entry in LIKELIHOODS.items() if isinstance(entry, Likelihood)],
            ["normal", "student_t", "none"],
            [None, "finding"],
            [None, "scfv"],
        )
    ),
)
def test_every_combination_is_allowed_or_refused_by_name(name, effects, within, tau_by):
    spec = mc.ModelSpec(
        likelihood=name,
        random_effects=effects,
        within=within,
        tau_by=tau_by,
        moderators=["scfv"],
    )
    found = {fault.place: fault for fault in model_faults(spec)}
    expected = set()
    if name == "beta_binomial" and effects == "student_t":
        expected.add("random_effects")
    if within and (name not in _BOTH or effects != "normal"):
        expected.add("within")
    if tau_by and (name not in _BOTH or effects == "none" or within):
        expected.add("tau_by")
    assert set(found) == expected
    for place, fault in found.items():
        assert fault.found
        assert fault.allowed
        assert fault.attempt, place


def faults_of(table, **options):
    with pytest.raises(InputError) as caught:
        mc.fit(mc.ModelSpec(**options), table, progress=False)
    return str(caught.value)


def test_refusals_name_the_nearest():
    text = faults_of(ARMS, likelihood="beta_binomial", within="finding")
    assert "within: 'finding' with the beta_binomial likelihood" in text
    assert "an effect of each finding with binomial, normal, two_arm" in text
    assert 'likelihood = "binomial", or leave within out' in text
    text = faults_of(ARMS, likelihood="binomial", within="finding", random_effects="student_t")
    assert "'finding' beside random_effects = \"student_t\"" in text
    assert 'random_effects = "normal"' in text
    text = faults_of(ARMS, **BY_SCFV, within="finding")
    assert "open which of the two spreads differs" in text
    text = faults_of(ARMS, **BY_SCFV, certainty={"inferred": 0.8})
    assert "tau_by: 'scfv' beside certainty: origins that are mixtures" in text
    assert "leave tau_by out, or certainty" in text


def test_evidence_that_says_nothing_of_a_spread_is_refused():
    single = ARMS.drop_duplicates("study")
    text = faults_of(single, likelihood="binomial", within="finding")
    assert "'finding', but each study of 6 has one finding" in text
    assert "cannot be told apart" in text
    assert "a study with two findings or more" in text
    assert "there is one finding" in faults_of(
        ARMS.iloc[:1], likelihood="binomial", within="finding"
    )
    few = ARMS.assign(scfv=["human", *["murine"] * 7])
    text = faults_of(few, **BY_SCFV)
    assert "one study, a, has scfv = human: its tau would be the prior alone" in text
    assert "two studies or more at each level" in text
    assert "recode human together with another level" in text
    text = faults_of(ARMS, likelihood="binomial", moderators=["scfv", "age"], tau_by="age")
    assert "'age' is a number" in text
    assert "scfv" in text


def test_keys_and_priors_of_spreads_that_are_not_there():
    with pytest.raises(InputError, match=r"tau_by: 'scfv' is not a moderator") as caught:
        mc.ModelSpec(likelihood="binomial", tau_by="scfv")
    assert 'moderators = ["scfv"]' in str(caught.value)
    text = faults_of(ARMS, likelihood="binomial", priors={"tau_within": "HalfNormal(1)"})
    assert "priors.tau_within: no parameter of this model" in text
    text = faults_of(ARMS, likelihood="binomial", priors={"tau": {"human": "HalfNormal(1)"}})
    assert "one prior: tau is the same in all studies" in text
    text = faults_of(ARMS, **BY_SCFV, priors={"tau": {"humn": "HalfNormal(1)"}})
    assert "'humn' is no level of scfv" in text
    assert "human" in text
    text = faults_of(ARMS, **BY_SCFV, priors={"tau": {"human": "Normal(0, 1)"}})
    assert "priors.tau.human" in text
    with pytest.raises(InputError, match="one prior, or the evidence beside the spec"):
        mc.preview_priors(mc.ModelSpec(**BY_SCFV, priors={"tau": {"human": "HalfNormal(1)"}}))
    table = pd.DataFrame({"study": ["a", "a", "b"], "estimate": [1.0, 2, 4], "se": [1.0, 1, 1]})
    priors = {"mu": "Normal(0, 10)", "tau": "HalfNormal(1)"}
    text = faults_of(table, likelihood="normal", within="finding", priors=priors)
    assert "priors.tau_within: no default on the identity scale" in text
    assert '"tau_within": "HalfNormal(' in text


def test_models_of_several_spreads_are_not_averaged(by_scfv):
    with pytest.raises(InputError, match='tau_by = "scfv": no one tau to average over'):
        mc.average_models([by_scfv])


def test_influence_shows_one_tau_alone(by_scfv):
    with pytest.raises(InputError, match='tau_by = "scfv": no one tau that a study moves'):
        mc.influence(by_scfv)


def test_words_of_both_models(by_scfv):
    from metacart.report.model_words import formulas, prior_table, sentences

    assert "The spread τ differs by scFv origin: each level has its own" in " ".join(
        sentences(by_scfv)
    )
    lines = " ".join(formulas(by_scfv))
    assert "τ<sub>l(i)</sub><i>z</i><sub>s(i)</sub>" in lines
    assert "<i>z</i><sub>s</sub> ~ Normal(0, 1)" in lines
    assert {"τ scfv[human]", "τ scfv[murine]"} < {row.cells[0] for row in prior_table(by_scfv).rows}
