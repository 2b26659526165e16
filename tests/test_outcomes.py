"""Several outcomes of the same studies: joint outcomes against quadrature, chains against parts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import special, stats

import metacart as mc
from metacart.errors import InputError
from metacart.inference import nuts
from metacart.modelling.design import bind
from metacart.modelling.likelihoods import LIKELIHOODS, System
from metacart.modelling.several import lkj_shapes
from metacart.modelling.system_check import system_priors

Array = NDArray[np.float64]
JOINT = mc.ModelSpec(likelihood="joint")
CHAIN = mc.ModelSpec(likelihood="chain")
COLUMNS = ["study", "outcome", "events", "total"]
SMALL = pd.DataFrame(
    [
        ("a", "complete_remission", 9, 10),
        ("a", "severe_crs", 1, 10),
        ("b", "complete_remission", 6, 12),
        ("b", "severe_crs", 6, 12),
        ("c", "complete_remission", 8, 8),
        ("c", "severe_crs", 0, 8),
        ("d", "complete_remission", 3, 9),
    ],
    columns=COLUMNS,
)


def system(name: str) -> System:
    entry = LIKELIHOODS[name]
    assert isinstance(entry, System)
    return entry


def prior_sample(spec: mc.ModelSpec, table: pd.DataFrame, number: int, seed: int) -> Any:
    entry, design = system(spec.likelihood), bind(spec, table)
    priors = system_priors(spec, entry)
    drawn = entry.draw_prior(design, priors, number, np.random.default_rng(seed))
    return design, entry.complete(drawn, design, seed)


# ---- the prior of the correlation


@pytest.mark.parametrize("size", [2, 3, 4])
def test_each_correlation_has_the_margin_of_lkj(size: int) -> None:
    """Under LKJ(eta) each correlation is a Beta(eta - 1 + size / 2) on (-1, 1)."""
    names = ["complete_remission", "severe_crs", "relapse", "death"][:size]
    table = pd.DataFrame([("a", name, 1, 3) for name in names], columns=COLUMNS)
    _, sample = prior_sample(JOINT, table, 4000, 3)
    matrix = sample["correlation"].to_numpy()[0]
    shape = 2.0 - 1.0 + size / 2.0
    for i, j in zip(*np.triu_indices(size, 1), strict=True):
        found = stats.kstest((matrix[:, i, j] + 1.0) / 2.0, stats.beta(shape, shape).cdf)
        assert found.pvalue > 1e-4
    assert np.linalg.eigvalsh(matrix).min() > 0.0


def test_with_two_outcomes_the_prior_is_a_beta() -> None:
    np.testing.assert_array_equal(lkj_shapes(2), [2.0])


# ---- the likelihood of a study, against a quadrature of its own


def by_grid(mu: Array, tau: Array, r: float, counts: list[tuple[int, int, int]]) -> float:
    """Return the log likelihood of one study by a fixed grid over its two effects."""
    e = np.linspace(-8.5, 8.5, 341)
    first, second = np.meshgrid(e, e, indexing="ij")
    effects = [first, r * first + np.sqrt(1.0 - r**2) * second]
    log = stats.norm.logpdf(first) + stats.norm.logpdf(second)
    for level, y, n in counts:
        log = log + stats.binom.logpmf(y, n, special.expit(mu[level] + tau[level] * effects[level]))
    return float(special.logsumexp(log) + 2.0 * np.log(e[1] - e[0]))


def test_the_likelihood_of_a_study_is_the_integral_over_its_effects() -> None:
    design, sample = prior_sample(JOINT, SMALL, 12, 11)
    found = system("joint").log_likelihood(sample, design)[1][0]
    level, group = design["level"].to_numpy(), design["group"].to_numpy()
    events, total = (design[name].to_numpy() for name in ("events", "total"))
    for draw in range(12):
        mu, tau = (sample[name].to_numpy()[0, draw] for name in ("mu", "tau"))
        r = float(sample["correlation"].to_numpy()[0, draw, 1, 0])
        for study in range(design.sizes["study"]):
            rows = np.flatnonzero(group == study)
            counts = [(int(level[i]), int(events[i]), int(total[i])) for i in rows]
            assert found[draw, study] == pytest.approx(by_grid(mu, tau, r, counts), abs=2e-3)


# ---- the posterior, against importance sampling with that quadrature


def fit_once(table: pd.DataFrame, draws: int) -> Any:
    """Fit without the longer second run of what misses the gate by its Monte Carlo error."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nuts, "TARGETS", (0.95,))
        return mc.fit(JOINT, table, draws=draws, seed=5, progress=False)


@pytest.fixture(scope="module")
def joint() -> Any:
    return fit_once(SMALL, 2000)


def weighed(table: pd.DataFrame) -> tuple[dict[str, Array], Array]:
    """Draw from the prior and weigh by a likelihood of its own: 24² fixed Hermite nodes."""
    number, rng = 30_000, np.random.default_rng(9)
    mu = rng.normal(0.0, 1.5, (number, 2))
    tau = np.abs(rng.normal(0.0, 1.0, (number, 2)))
    r = 2.0 * rng.beta(2.0, 2.0, number) - 1.0
    x, w = np.polynomial.hermite_e.hermegauss(24)
    w = w / w.sum()
    log_weight = np.zeros(number)
    for start in range(0, number, 4000):
        some = slice(start, start + 4000)
        root = np.sqrt(1.0 - r[some] ** 2)
        first = np.broadcast_to(x[:, None], (24, 24)).ravel()
        second = np.broadcast_to(x, (24, 24)).ravel()
        weights = np.outer(w, w).ravel()
        effects = [
            np.broadcast_to(first, (len(root), 576)),
            r[some, None] * first + root[:, None] * second,
        ]
        rates = [special.expit(mu[some, k, None] + tau[some, k, None] * effects[k]) for k in (0, 1)]
        for _, rows in table.groupby("study"):
            density = np.ones((len(root), 576))
            for row in rows.to_dict("records"):
                rate = rates[int(row["outcome"] == "severe_crs")]
                y, n = row["events"], row["total"]
                density *= special.comb(n, y) * rate**y * (1.0 - rate) ** (n - y)
            log_weight[some] += np.log(density @ weights)
    weight = np.exp(log_weight - log_weight.max())
    return {"mu": mu, "tau": tau, "correlation": r[:, None]}, weight / weight.sum()


def agrees(fit: Any, table: pd.DataFrame) -> None:
    known, weight = weighed(table)
    worth = 1.0 / np.sum(weight**2)
    assert worth > 300
    assert not fit["sample_stats"]["diverging"].any()
    for name, dim in (("mu", "outcome"), ("tau", "outcome"), ("correlation", "pair")):
        group = "posterior" if name != "correlation" else "estimands"
        draws = fit[group][name].transpose(dim, "chain", "draw").to_numpy()
        for position, own in enumerate(draws):
            values = known[name][:, position]
            mean = float(weight @ values)
            sd = float(np.sqrt(weight @ (values - mean) ** 2))
            # the ESS of the chains is above 1,000; the error of both runs together
            error = sd * np.sqrt(1.0 / worth + 1.0 / 1000.0)
            assert abs(own.mean() - mean) < 4.0 * error
            assert abs(own.std() / sd - 1.0) < 4.0 / np.sqrt(2.0 * min(worth, 1000.0)) + 0.05


def test_the_posterior_is_that_of_brute_force(joint: Any) -> None:
    agrees(joint, SMALL)


@pytest.mark.parametrize("studies", [["c"], ["a", "b"]])
def test_of_one_study_and_of_two_it_is_so_too(studies: list[str]) -> None:
    few = SMALL[SMALL["study"].isin(studies)]
    agrees(fit_once(few, 2000), few)


def test_simulated_outcomes_are_recovered() -> None:
    rng, studies, patients = np.random.default_rng(12), 60, 60
    mu, tau, r = np.array([1.2, -1.0]), np.array([0.8, 0.6]), -0.6
    effects = rng.multivariate_normal([0.0, 0.0], [[1.0, r], [r, 1.0]], studies) * tau
    events = rng.binomial(patients, special.expit(mu + effects))
    names = ("complete_remission", "severe_crs")
    rows = [
        (f"s{at:02d}", name, events[at, k], patients)
        for at in range(studies)
        for k, name in enumerate(names)
        if k == 0 or at % 4  # a quarter does not report the second
    ]
    fit = fit_once(pd.DataFrame(rows, columns=COLUMNS), 1000)
    found = {
        "mu": (fit["posterior"]["mu"].sel(outcome=list(names)), mu),
        "tau": (fit["posterior"]["tau"].sel(outcome=list(names)), tau),
        "correlation": (fit["estimands"]["correlation"], np.array([r])),
    }
    for name, (draws, truth) in found.items():
        lower, upper = draws.quantile([0.0005, 0.9995], dim=("chain", "draw")).to_numpy()
        assert (lower < truth).all(), name
        assert (truth < upper).all(), name


def test_the_next_study_has_the_correlation_of_its_draws(joint: Any) -> None:
    posterior = joint["posterior"]
    mu, tau = (posterior[name].transpose("outcome", ...).to_numpy() for name in ("mu", "tau"))
    new = posterior["theta_new"].transpose("outcome", ...).to_numpy()
    effects = (new - mu) / tau
    r = posterior["correlation"].to_numpy()[..., 0, 1]
    rest = (effects[1] - r * effects[0]) / np.sqrt(1.0 - r**2)
    for each in (effects[0], effects[1], rest):
        assert stats.kstest(each.ravel(), stats.norm.cdf).pvalue > 1e-4
    assert abs(np.corrcoef(effects[0].ravel(), rest.ravel())[0, 1]) < 4.5 / np.sqrt(rest.size)


def test_what_was_borrowed_stands_beside_what_was_not(joint: Any) -> None:
    table = mc.borrowing(joint)
    assert [*table["outcome"].unique()] == ["complete_remission", "severe_crs"]
    assert dict(table[["outcome", "findings"]].drop_duplicates().to_numpy().tolist()) == {
        "complete_remission": 4,
        "severe_crs": 3,
    }
    alone = mc.summarize(
        mc.fit(
            mc.ModelSpec(likelihood="binomial"),
            SMALL[SMALL["outcome"] == "severe_crs"],
            seed=5,
            draws=2000,
            progress=False,
        )
    ).set_index("estimand")
    own = table[table["outcome"] == "severe_crs"].set_index("estimand")
    for name in ("population average", "next study", "tau"):
        assert own.loc[name, "alone_median"] == pytest.approx(alone.loc[name, "median"])


def test_benefit_against_risk_draw_by_draw(joint: Any, tmp_path: Path) -> None:
    table = mc.benefit_risk(joint, benefit_above=0.6, risk_below=0.3)
    rates = joint["estimands"]["next study"]
    good, bad = (rates.sel(outcome=name) for name in ("complete_remission", "severe_crs"))
    both = float(((good > 0.6) & (bad < 0.3)).mean())
    found = table[table["reading"] == "next study"].set_index("quantity")["median"]
    assert found["P(both)"] == pytest.approx(both)
    assert found["P(both) if independent"] == pytest.approx(
        float((good > 0.6).mean() * (bad < 0.3).mean())
    )
    correlation = table[table["reading"] == "between studies"].set_index("quantity")
    assert correlation.loc["correlation, prior", "median"] == pytest.approx(0.0, abs=0.05)
    assert 0.3 < correlation.loc["posterior_to_prior_sd", "median"] < 1.1
    plane = mc.plot_benefit_risk(joint, file=tmp_path / "plane.svg")
    assert {"population average", "next study", "studies", "only benefit"} <= {
        *plane.viz.children
    } | {*plane.viz.data_vars}
    assert "3 studies report both" in plane.viz.attrs["alt"]
    assert "Correlation of the two between studies" in (tmp_path / "plane.svg").read_text("utf-8")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"benefit": "remission"}, "benefit: 'remission' is not in this fit"),
        ({"benefit": "severe_crs"}, "risk: 'severe_crs' is the benefit too"),
        ({"benefit_above": 80.0}, "benefit_above: 80; allowed: a rate between 0 and 1"),
        ({"risk_below": 0.0}, "risk_below: 0; allowed: a rate between 0 and 1"),
    ],
)
def test_planes_that_are_refused(options: dict[str, Any], words: str, joint: Any) -> None:
    with pytest.raises(InputError) as caught:
        mc.benefit_risk(joint, **options)
    assert words in str(caught.value)


# ---- what joint outcomes may be


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (
            [("a", "complete_remission", 5, 9), ("a", "mrd_negative_remission", 4, 9)],
            "outcomes: 'mrd_negative_remission' is a part of 'complete_remission'",
        ),
        ([("a", "crs", 5, 9), ("a", "severe_crs", 4, 9)], 'likelihood = "grades"'),
        ([("a", "crs", 5, 9), ("b", "crs", 4, 9)], "one outcome, crs; allowed: two or more"),
        (
            [("a", "crs", 5, 9), ("a", "crs", 4, 9), ("a", "death", 1, 9)],
            "an outcome stands again in row 2 (a); allowed: each outcome once in a study",
        ),
        ([("a", "crs", 10, 9), ("a", "death", 1, 9)], "10 events among 9"),
        ([("a", None, 1, 9), ("a", "death", 1, 9)], "column 'outcome': no name in row 1 (a)"),
    ],
)
def test_outcomes_that_are_refused(rows: list[Any], words: str) -> None:
    with pytest.raises(InputError) as caught:
        bind(JOINT, pd.DataFrame(rows, columns=COLUMNS))
    assert words in str(caught.value)


def test_outcomes_that_the_question_does_not_name_are_refused() -> None:
    spec = mc.ModelSpec(likelihood="joint", outcomes=["complete_remission", "death"])
    with pytest.raises(InputError, match="severe_crs in row 2"):
        bind(spec, SMALL)


# ---- chains

STAGES = pd.DataFrame(
    [
        ("a", "remission", 9, 10),
        ("a", "hsct", 3, 9),
        ("a", "relapse", 0, 3),
        ("b", "remission", 20, 28),
        ("b", "hsct", 20, 20),
        ("c", "remission", 13, 19),
        ("d", "hsct", 4, 11),
        ("d", "relapse", 2, 4),
    ],
    columns=["study", "stage", "events", "total"],
)


@pytest.fixture(scope="module")
def chain() -> Any:
    return mc.fit(CHAIN, STAGES, method="exact", seed=3, progress=False)


def test_a_chain_is_its_stages_by_themselves(chain: Any) -> None:
    whole = mc.summarize(chain)
    total = 0.0
    for stage, rows in STAGES.groupby("stage", sort=False):
        spec = mc.ModelSpec(likelihood="binomial")
        part = mc.fit(spec, rows.drop(columns="stage"), method="exact", seed=17, progress=False)
        total += part.attrs["log_marginal_likelihood"]
        alone = mc.summarize(part).set_index("estimand")
        own = whole[whole["at"] == f"stage = {stage}"].set_index("estimand")
        for name in ("median study", "population average", "next study", "tau"):
            error = np.hypot(own.loc[name, "mcse"], alone.loc[name, "mcse"])
            assert abs(own.loc[name, "median"] - alone.loc[name, "median"]) < 4.5 * error
    assert chain.attrs["log_marginal_likelihood"] == pytest.approx(total, abs=0.05)
    assert chain.attrs["converged"]


def test_the_unconditional_rate_is_the_product_within_a_study(chain: Any) -> None:
    estimands = chain["estimands"]
    for name in ("next study", "population average"):
        product = estimands[name].cumprod("stage").to_numpy()
        np.testing.assert_allclose(estimands[f"{name}, of all who entered"], product, rtol=1e-12)
    # stages know nothing of each other
    mu = chain["posterior"]["mu"].transpose("stage", "chain", "draw").to_numpy().reshape(3, -1)
    assert np.abs(np.corrcoef(mu) - np.eye(3)).max() < 4.5 / np.sqrt(mu.shape[1])


def test_the_likelihood_of_a_study_is_the_product_of_its_stages(chain: Any) -> None:
    """One binomial integral over a normal effect a stage, by a grid of its own."""
    found = chain["log_likelihood"]["study"].isel(chain=0, draw=slice(5)).to_numpy()
    assert [*chain["log_likelihood"]["studies"].to_numpy()] == ["a", "b", "c", "d"]
    e = np.linspace(-9.0, 9.0, 4001)
    for draw in range(5):
        one = chain["posterior"].isel(chain=0, draw=draw)
        for position, (_, rows) in enumerate(STAGES.groupby("study")):
            log = 0.0
            for row in rows.to_dict("records"):
                mu, tau = (float(one[name].sel(stage=row["stage"])) for name in ("mu", "tau"))
                rate = special.expit(mu + tau * e)
                terms = stats.binom.pmf(row["events"], row["total"], rate) * stats.norm.pdf(e)
                log += float(np.log(np.trapezoid(terms, e)))
            assert found[draw, position] == pytest.approx(log, abs=2e-3)


@pytest.mark.parametrize("studies", [["c"], ["a"], ["a", "d"]])
def test_one_study_and_two_leave_the_prior_wide(studies: list[str]) -> None:
    table = STAGES[STAGES["study"].isin(studies)]
    fit = mc.fit(CHAIN, table, method="exact", seed=3, progress=False)
    summary = mc.summarize(fit)
    rates = summary[summary["estimand"] == "population average"]
    assert fit.attrs["converged"]
    assert ((rates["upper"] - rates["lower"]) > 0.25).all()
    assert np.isfinite(summary[["median", "lower", "upper"]].to_numpy()).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"total": 8},
            "8 patients of stage hsct, but 9 events of stage remission; allowed: the number",
        ),
        ({"stage": "remission"}, "a stage stands again in row 2 (a)"),
        ({"events": 12}, "12 events among 9"),
    ],
)
def test_stages_that_do_not_follow(change: dict[str, Any], words: str) -> None:
    table = STAGES.copy()
    for name, value in change.items():
        table.loc[1, name] = value
    with pytest.raises(InputError) as caught:
        bind(CHAIN, table)
    assert words in str(caught.value)


# ---- the shipped questions


def test_joint_evidence_is_that_of_each_question_alone() -> None:
    studies = mc.load_studies()
    together = mc.tabulate(studies, "benefit_risk")
    for outcome, name in (("complete_remission", "cr_rate"), ("severe_crs", "severe_crs")):
        own = together[together["outcome"] == outcome]
        alone = mc.tabulate(studies, name)
        keys = ["study", "arm", "events", "total"]
        pd.testing.assert_frame_equal(
            own[keys].reset_index(drop=True), alone[keys].reset_index(drop=True), check_dtype=False
        )


def test_the_chain_takes_each_stage_among_the_one_before() -> None:
    studies = mc.load_studies()
    table = mc.tabulate(studies, "treatment_chain")
    chen = table[table["study"] == "chen2021"].set_index("stage")
    # Chen 2021: 25 of 28 in remission, 10 of them transplanted, of whom 3 relapsed
    assert chen[["events", "total"]].to_numpy().tolist() == [[25, 28], [10, 25], [3, 10]]
    account = mc.account(studies, "treatment_chain")
    assert len(account) == len(mc.account(studies, "cr_rate"))
    rule = "47 patients, but 51 came through complete_remission: not the same patients"
    jiang = account[(account["study"] == "jiang2019") & (account["outcome"] == "hsct")]
    assert [*jiang["rule"]] == [rule]
    assert not jiang["used"].any()


def test_the_shipped_chain_passes_its_gate() -> None:
    fit = mc.fit("treatment_chain", method="exact", seed=1, progress=False)
    assert fit.attrs["gate"] == "passed"
    rows = mc.summarize(fit)
    rows = rows[rows["at"] == "stage = relapse"].set_index("estimand")
    of_all = rows.loc["population average, of all who entered", "median"]
    assert 0.03 < of_all < rows.loc["population average", "median"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"outcomes": []}, "outcomes: this key is missing"),
        ({"outcomes": ["relapse"]}, "outcomes: relapse; allowed: two or more"),
        ({"outcomes": ["relapse", "deth"]}, "did you mean 'death'?"),
        ({"outcomes": ["relapse", "death"], "exposure": "hsct"}, "but joint takes whole arms"),
    ],
)
def test_questions_of_several_outcomes_that_are_refused(
    options: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError) as caught:
        mc.tabulate(mc.load_studies(), mc.ModelSpec(likelihood="joint", **options))
    assert words in str(caught.value)


def test_a_page_of_a_chain(tmp_path: Path) -> None:
    written = mc.report("treatment_chain", out=tmp_path / "page", progress=False)
    page = written.page.read_text("utf-8")
    assert written.answered == ("treatment_chain",)
    for words in ("of those with complete remission", "of all who entered", "Evidence used"):
        assert words in page


def test_the_shell_shows_a_chain(run: Callable[..., Any], tmp_path: Path) -> None:
    result = run("fit", "treatment_chain", "--out", str(tmp_path / "chain.nc"))
    assert result.status == 0
    assert "of those with complete remission" in result.out.replace("\n", " ")
