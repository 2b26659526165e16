"""Arms of an inferred scFv origin: the mixture against grids, in both engines, and its faults."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import metacart as mc
from metacart.inference.origins import certain_designs, with_resolved_origins
from metacart.inference.records import design_of
from metacart.modelling.build import build_model
from metacart.modelling.design import bind
from metacart.modelling.likelihoods import LIKELIHOODS
from metacart.modelling.origins import origin_shares, origin_shift

TABLE = pd.DataFrame(
    {
        "study": ["A", "B", "C", "C"],
        "scfv": ["humanized", "murine", "humanized", "murine"],
        "scfv_certainty": ["stated", "inferred", None, "inferred"],
        "events": [13, 3, 7, 6],
        "total": [19, 14, 10, 9],
    }
)
SPEC = mc.ModelSpec(
    likelihood="binomial",
    moderators=("scfv",),
    reference={"scfv": "murine"},
    certainty={"inferred": 0.7},
)
MU, BETA, TAU = stats.norm(0, 1.5), stats.norm(0, 1), stats.halfnorm(0, 1)


@pytest.fixture(scope="module")
def fit():
    return mc.fit(SPEC, TABLE, method="exact", seed=11, progress=False)


def log_arm(row, linear, humanized):
    return stats.binom.logpmf(row.events, row.total, special.expit(linear + humanized))


@pytest.fixture(scope="module")
def grid():
    """Slow and obvious: mu, beta and tau on a grid, study effects by Gauss-Hermite, and each arm
    a sum over its origins given the study effect."""
    mu, beta = np.linspace(-6, 5, 45), np.linspace(-4, 5, 46)
    tau = (np.arange(42) + 0.5) * 0.1
    z, weight = np.polynomial.hermite_e.hermegauss(32)
    log_weight = np.log(weight / weight.sum())
    shape = np.meshgrid(mu, beta, tau, indexing="ij", sparse=True)
    prior = MU.logpdf(shape[0]) + BETA.logpdf(shape[1]) + TAU.logpdf(shape[2])

    def study(rows, origins=None):
        linear = shape[0][..., None] + shape[2][..., None] * z
        total = log_weight
        for place, row in rows:
            ways = []
            for humanized in (False, True):
                if row.scfv_certainty != "inferred":
                    share = float(humanized == (row.scfv == "humanized"))
                elif origins is not None and place in origins:
                    share = float(humanized == origins[place])
                    share *= 0.3 if humanized else 0.7
                else:
                    share = 0.3 if humanized else 0.7
                if share:
                    moved = humanized * shape[1][..., None]
                    ways.append(math.log(share) + log_arm(row, linear, moved))
            total = total + special.logsumexp(np.stack(np.broadcast_arrays(*ways)), axis=0)
        return special.logsumexp(total, axis=-1)

    rows = list(enumerate(TABLE.itertuples()))
    groups = [[rows[0]], [rows[1]], rows[2:]]
    whole = prior + sum(study(each) for each in groups)
    # the cells of the grid
    cell = math.log((mu[1] - mu[0]) * (beta[1] - beta[0]) * 0.1)
    mass = np.exp(whole - whole.max())
    humanized = {
        place: float(
            np.exp(prior + sum(study(each, {place: True}) for each in groups) - whole.max()).sum()
            / mass.sum()
        )
        for place in (1, 3)
    }
    return {
        "evidence": special.logsumexp(whole) + cell,
        "beta": (beta, mass.sum(axis=(0, 2)) / mass.sum()),
        "mu": (mu, mass.sum(axis=(1, 2)) / mass.sum()),
        "tau": (tau, mass.sum(axis=(0, 1)) / mass.sum()),
        "humanized": humanized,
    }


def test_the_exact_engine_is_the_grid(fit, grid):
    assert fit.attrs["converged"]
    # importance sampling knows it to 1 / sqrt(effective draws)
    error = 4 / math.sqrt(fit.attrs["importance_ess"])
    assert fit.attrs["log_marginal_likelihood"] == pytest.approx(grid["evidence"], abs=error)
    draws = 16_000
    for name in ("mu", "beta", "tau"):
        line, mass = grid[name]
        mean = float(np.sum(line * mass))
        sd = math.sqrt(np.sum(line**2 * mass) - mean**2)
        found = fit["posterior"][name].to_numpy()
        assert found.mean() == pytest.approx(mean, abs=4 * sd / math.sqrt(draws) + 0.002)
        assert found.std() == pytest.approx(sd, rel=0.03)
    table = mc.origin_probabilities(fit)
    found = table[table["level"] == "humanized"].set_index("finding")
    for label, place in (("B", 1), ("C#2", 3)):
        row = found.loc[label]
        assert row["prior"] == pytest.approx(0.3)
        assert row["posterior"] == pytest.approx(grid["humanized"][place], abs=4 * row["mcse"])


def test_the_log_likelihood_of_a_study_has_its_origins_summed_out(fit):
    posterior = fit["posterior"].isel(chain=0, draw=slice(0, 5))
    z, weight = np.polynomial.hermite_e.hermegauss(80)
    stored = fit["log_likelihood"]["study"].isel(chain=0, draw=slice(0, 5)).to_numpy()
    arm = next(TABLE.iloc[[1]].itertuples())
    for draw in range(5):
        mu, beta, tau = (float(posterior[n][draw].squeeze()) for n in ("mu", "beta", "tau"))
        linear = mu + tau * z
        ways = [0.7 * np.exp(log_arm(arm, linear, 0)), 0.3 * np.exp(log_arm(arm, linear, beta))]
        expected = math.log(np.sum(weight / weight.sum() * sum(ways)))
        assert stored[draw, 1] == pytest.approx(expected, abs=1e-6)


def test_theta_stands_at_the_drawn_origin(fit):
    posterior = fit["posterior"]
    alone = posterior["theta"].sel(finding="B") - posterior["mu"]
    effect = alone - posterior["origin"].sel(inferred="B") * posterior["beta"].squeeze()
    # what is left is the study effect, of the spread tau
    scaled = (effect / posterior["tau"]).to_numpy()
    assert np.abs(np.quantile(scaled, [0.01, 0.99])).max() < 5


def test_the_graph_of_nuts_has_the_mixture():
    """The log density of both models at a point differs by what the mixture is of the stated."""
    certain = SPEC.model_copy(update={"certainty": {}})
    mixed, plain = (build_model(each, bind(each, TABLE)) for each in (SPEC, certain))
    point = plain.initial_point()
    rng = np.random.default_rng(4)
    point = {name: value + rng.normal(0, 0.5, np.shape(value)) for name, value in point.items()}
    assert {*point} == {*mixed.initial_point()}
    found = float(mixed.compile_logp()(point)) - float(plain.compile_logp()(point))
    outputs = plain.compile_fn(
        plain.replace_rvs_by_values([plain["theta"], plain["beta"]]), inputs=plain.value_vars
    )
    theta, beta = outputs(point)
    expected = 0.0
    for place in (1, 3):
        row = next(TABLE.iloc[[place]].itertuples())
        one, other = log_arm(row, theta[place], 0.0), log_arm(row, theta[place], beta[0])
        expected += np.logaddexp(math.log(0.7) + one, math.log(0.3) + other) - one
    assert found == pytest.approx(expected, abs=1e-9)


def test_origins_are_drawn_after_nuts(fit):
    """From theta at the recorded origins come the origins and theta that the exact engine draws."""
    design, posterior = design_of(fit), fit["posterior"].to_dataset()
    beta = posterior["beta"].to_numpy()
    shift = origin_shift(design, posterior["origin"].to_numpy(), beta)
    stated = posterior.assign(theta=posterior["theta"] - shift).drop_vars("origin")
    again = with_resolved_origins(stated, design, LIKELIHOODS["binomial"], np.random.default_rng(6))
    for name in ("B", "C#2"):
        one, two = (each["origin"].sel(inferred=name).to_numpy() for each in (posterior, again))
        error = 4 * math.sqrt(2 * one.mean() * (1 - one.mean()) / one.size)
        assert two.mean() == pytest.approx(one.mean(), abs=error)
    moved = origin_shift(design, again["origin"].to_numpy(), beta)
    assert np.allclose(again["theta"] - stated["theta"], moved)


def test_certainty_of_one_is_the_plain_model():
    one, plain = (
        mc.fit(
            SPEC.model_copy(update={"certainty": certainty}),
            TABLE,
            method="exact",
            seed=2,
            draws=500,
            progress=False,
        )
        for certainty in ({"inferred": 1.0}, {})
    )
    for name in ("mu", "beta", "tau", "theta"):
        assert np.array_equal(one["posterior"][name], plain["posterior"][name])
    assert "origin" not in one["posterior"]
    assert mc.origin_probabilities(one).empty


@pytest.mark.parametrize("effects", ["none", "student_t"])
def test_other_study_effects(effects):
    spec = SPEC.model_copy(update={"random_effects": effects})
    fit = mc.fit(spec, TABLE, method="exact", seed=2, progress=False)
    assert fit.attrs["converged"]
    if effects == "none":
        line = np.linspace(-6, 6, 241)
        mu, beta = np.meshgrid(line, line, indexing="ij", sparse=True)
        log_mass = MU.logpdf(mu) + BETA.logpdf(beta)
        for row in TABLE.itertuples():
            one, other = log_arm(row, mu, 0.0), log_arm(row, mu, beta)
            if row.scfv_certainty == "inferred":
                log_mass = log_mass + np.logaddexp(math.log(0.7) + one, math.log(0.3) + other)
            else:
                log_mass = log_mass + other
        evidence = special.logsumexp(log_mass) + 2 * math.log(line[1] - line[0])
        error = 4 / math.sqrt(fit.attrs["importance_ess"])
        assert fit.attrs["log_marginal_likelihood"] == pytest.approx(evidence, abs=error)


def test_the_rest_is_shared_by_the_other_origins_and_unreported_is_none():
    table = pd.DataFrame(
        {
            "study": list("ABCDE"),
            "scfv": ["human", "murine", "humanized", "unreported", "murine"],
            "scfv_certainty": ["stated", "inferred", "inferred", None, "stated"],
            "events": [5, 3, 6, 4, 2],
            "total": [9, 9, 9, 9, 9],
        }
    )
    design = bind(SPEC, table)
    assert design["origin_level"].to_numpy().tolist() == ["murine", "human", "humanized"]
    assert origin_shares(design) == pytest.approx(np.array([[0.7, 0.15, 0.15], [0.15, 0.15, 0.7]]))
    ways = list(certain_designs(design))
    assert len(ways) == 9
    assert sum(math.exp(share) for _, share in ways) == pytest.approx(1.0)
    collapsed = SPEC.model_copy(update={"recode": {"scfv": {"humanized": ("humanized", "human")}}})
    assert origin_shares(bind(collapsed, table)) == pytest.approx(
        np.array([[0.7, 0.3], [0.3, 0.7]])
    )


def test_many_inferred_arms_and_their_proposals():
    number = 6
    table = pd.DataFrame(
        {
            "study": [f"S{n}" for n in range(2 * number)],
            "scfv": ["humanized", "murine"] * number,
            "scfv_certainty": ["stated", "inferred"] * number,
            "events": [8, 3] * number,
            "total": [12, 12] * number,
        }
    )
    design = bind(SPEC, table)
    assert len(list(certain_designs(design))) == number + 2
    fit = mc.fit(SPEC, table, method="exact", seed=2, progress=False)
    assert fit.attrs["converged"]
    assert mc.origin_probabilities(fit).query("level == 'murine'")["posterior"].gt(0.7).all()


def test_a_fit_with_inferred_origins_does_all_that_others_do(fit, tmp_path):
    mc.save_fit(fit, tmp_path / "fit.nc")
    again = mc.load_fit(tmp_path / "fit.nc")
    pd.testing.assert_frame_equal(mc.origin_probabilities(again), mc.origin_probabilities(fit))
    replicates = mc.predictive(again, seed=1)["y"].to_numpy()
    assert (replicates <= TABLE["total"].to_numpy()).all()
    left = mc.leave_one_out(fit)
    assert set(left["left_out"]) == {"", "A", "B", "C"}
    names = mc.contrast_sensitivity(fit, "scfv", "humanized", "murine")["analysis"].unique()
    assert {"inferred origins as recorded", "arms of stated origin"} <= {*names}
    prior = fit["prior"]["origin"].to_numpy()
    assert prior.mean() == pytest.approx(0.3, abs=4 * 0.46 / math.sqrt(prior.size))


@pytest.mark.parametrize(
    ("certainty", "message"),
    [
        ({"inferred": 0.0}, "certainty.inferred: "),
        ({"inferred": 1.2}, "certainty.inferred: "),
        ({"stated": 0.9}, "certainty.stated: what is stated is certain; allowed: inferred"),
        (
            {"infered": 0.9},
            "'infered' is not known; allowed: inferred; try: did you mean 'inferred'",
        ),
        ({"inferred": True}, "certainty.inferred: "),
    ],
)
def test_probabilities_that_cannot_be(certainty, message):
    with pytest.raises(mc.InputError, match=message):
        mc.ModelSpec(likelihood="binomial", moderators=["scfv"], certainty=certainty)


def test_certainty_without_the_moderator():
    with pytest.raises(mc.InputError, match="certainty: the scFv is not a moderator"):
        mc.ModelSpec(likelihood="binomial", certainty={"inferred": 0.8})


@pytest.mark.parametrize(
    ("changed", "evidence", "message"),
    [
        (
            {"likelihood": "normal"},
            TABLE.assign(estimate=0.1, se=0.2),
            "certainty: with the normal likelihood, which compares two groups",
        ),
        ({}, TABLE.drop(columns="scfv_certainty"), "no column 'scfv_certainty'"),
        (
            {},
            TABLE.assign(scfv_certainty="guessed"),
            "column 'scfv_certainty': 'guessed' in .*; allowed: stated, inferred, or nothing",
        ),
        (
            {},
            pd.concat([TABLE] + [TABLE.iloc[[3]]] * 6, ignore_index=True),
            "certainty: 7 inferred arms of C; allowed: at most 6 of one study",
        ),
        (
            {"moderators": ("scfv", "age"), "missing": "impute"},
            TABLE.assign(age=[1.0, 2.0, 4.0, None]),
            "together with values of moderators that are imputed",
        ),
    ],
)
def test_faults_of_inferred_origins(changed, evidence, message):
    with pytest.raises(mc.InputError, match=message):
        bind(SPEC.model_copy(update=changed), evidence)


@pytest.mark.parametrize("name", ["retreatment_cr", "retreatment_severe_crs"])
def test_the_bundled_questions_take_inferred_origins_as_probable(name):
    evidence = mc.tabulate(mc.load_studies(), name)
    design = bind(mc.load_model(name), evidence)
    shares = origin_shares(design)
    assert shares == pytest.approx(np.tile([0.8, 0.2], (2, 1)))
    assert list(design["origin_level"].to_numpy()) == ["murine", "humanized"]
    ways = itertools.product((0.8, 0.2), repeat=2)
    expected = [math.log(one * two) for one, two in ways]
    assert [share for _, share in certain_designs(design)] == pytest.approx(expected)
