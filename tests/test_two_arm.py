"""Counts of two groups: the integrated baseline, the posterior, and what one comparison says."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import integrate, optimize, special, stats

import metacart as mc
from metacart.errors import InputError
from metacart.modelling.arms import Arm, log_density
from metacart.modelling.baseline import Groups, draw_baseline, evaluate, tabulate
from metacart.modelling.design import bind, data_of, scale_of
from metacart.modelling.likelihoods import LIKELIHOODS
from metacart.modelling.two_groups import corrected
from metacart.records.priors import parse_prior
from metacart.scales import SCALES

Array = NDArray[np.float64]
COLUMNS = ("events", "total", "control_events", "control_total")
# no events, only events, in one group or both; few and many patients
TABLES = np.array(
    [
        (2, 27, 9, 18),
        (2, 21, 7, 7),
        (0, 3, 7, 24),
        (0, 12, 0, 4),
        (5, 5, 3, 3),
        (1, 1, 0, 1),
        (500, 1000, 300, 1100),
    ]
)


def groups(scale: str, prior: str = "Normal(0, 1.5)", rows: Any = slice(None)) -> Groups:
    a, n, c, m = TABLES[rows].T
    hazard = np.full(a.shape, scale == "cloglog")
    return Groups(Arm(a, n, hazard), Arm(c, m, hazard), parse_prior(prior))


def table_of(rows: Any) -> pd.DataFrame:
    table = pd.DataFrame(np.asarray(rows), columns=list(COLUMNS))
    return table.assign(study=[f"s{number}" for number in range(len(table))])


def density(counts: Any, scale: str, prior: Any, b: float, eta: float) -> float:
    """Two binomials and a prior, from scipy alone."""
    a, n, c, m = counts
    link = SCALES[scale].inverse
    log = stats.binom.logpmf(a, n, link(b + eta)) + stats.binom.logpmf(c, m, link(b))
    return float(np.exp(log) * np.exp(prior.logpdf(b)))


# --- the table of the marginal likelihood -------------------------------------------------------


@pytest.mark.parametrize("scale", ["logit", "cloglog"])
@pytest.mark.parametrize("prior", ["Normal(0, 1.5)", "Normal(-1, 10)", "StudentT(4, 0, 1)"])
def test_the_table_is_the_integral_over_the_baseline(scale: str, prior: str) -> None:
    own = groups(scale, prior)
    centre, spread = corrected(own.exposed, own.control)
    table = tabulate(own, centre, spread)
    eta = np.array([-6.0, -2.1, -0.4, 0.0, 0.3, 1.7, 5.0])
    found = evaluate(eta[:, None] + np.zeros(len(TABLES)), table)
    assert found.min() > -4000
    known = parse_prior(prior)
    for column, counts in enumerate(TABLES):
        level = float(SCALES[scale].link((counts[2] + 0.5) / (counts[3] + 1)))
        for row, value in enumerate(eta):
            total = 0.0
            for ends in pairwise((-2000, -60, -10, 0, 10, 60, 2000)):
                peaks = [b for b in (level, level - value, -value) if ends[0] < b < ends[1]]
                total += integrate.quad(
                    lambda b, c=counts, v=value: density(c, scale, known, b, v),
                    *ends, points=peaks or None, limit=500, epsabs=1e-300, epsrel=1e-10,
                )[0]  # fmt: skip
            if total > 1e-250:
                assert found[row, column] == pytest.approx(np.log(total), abs=2e-8)


@pytest.mark.parametrize("scale", ["logit", "cloglog"])
def test_the_table_is_right_between_its_knots_and_finite_far_away(scale: str) -> None:
    own = groups(scale)
    centre, spread = corrected(own.exposed, own.control)
    table = tabulate(own, centre, spread)
    eta = centre + np.linspace(-6, 6, 997)[:, None] * spread
    value, slope, bend = own.integrated(eta)
    near = value > value.max(axis=0) - 20
    for order, known, most in ((0, value, 1e-8), (1, slope, 1e-6), (2, bend, 1e-4)):
        error = np.abs(evaluate(eta, table, derivative=order) - known)
        assert error[near].max() < most
    far = np.array([-1e9, -1e4, -201.0, 201.0, 1e4, 1e9])[:, None] + np.zeros(len(TABLES))
    for order in range(3):
        assert np.isfinite(evaluate(far, table, derivative=order)).all()
    # a group without events says nothing against an effect that is far below
    assert evaluate(far, table)[:2, 2] == pytest.approx(evaluate(far, table)[2, 2])


@pytest.mark.parametrize("scale", ["logit", "cloglog"])
def test_baselines_are_drawn_from_their_own_distribution(scale: str) -> None:
    own, eta = groups(scale), 0.4
    drawn = draw_baseline(own, np.full((20_000, len(TABLES)), eta), np.random.default_rng(5))
    b = np.linspace(-20, 12, 40_001)
    for column in range(len(TABLES)):
        one = groups(scale, rows=slice(column, column + 1))
        log = one.log_joint(b[:, None], np.array([eta]))[:, 0]
        share = np.cumsum(np.exp(log - log.max()))
        test = stats.kstest(drawn[:, column], lambda x, s=share: np.interp(x, b, s / s[-1]))
        assert test.pvalue > 1e-3


# --- the posterior ------------------------------------------------------------------------------


def oracle(rows: Any, scale: str) -> dict[str, Any]:
    """Posterior of one effect that all share, on grids of it and of each baseline alone."""
    mu, b = np.linspace(-9, 7, 641), np.linspace(-12, 9, 1401)
    link, steps = SCALES[scale].inverse, (mu[1] - mu[0], b[1] - b[0])
    log, means = stats.norm.logpdf(mu, 0, 1.5), []
    for a, n, c, m in rows:
        height = stats.binom.pmf(a, n, link(mu[:, None] + b)) * stats.binom.pmf(c, m, link(b))
        height = height * stats.norm.pdf(b, 0, 1.5) * steps[1]
        log = log + np.log(height.sum(axis=1))
        means.append((height * b).sum(axis=1) / height.sum(axis=1))
    weight = np.exp(log - log.max()) * steps[0]
    evidence = float(np.log(weight.sum()) + log.max())
    weight = weight / weight.sum()
    mean = float(weight @ mu)
    return {
        "mean": mean,
        "sd": float(np.sqrt(weight @ (mu - mean) ** 2)),
        "baseline": [float(weight @ each) for each in means],
        "evidence": evidence,
    }


@pytest.mark.parametrize("scale", ["logit", "cloglog"])
@pytest.mark.parametrize(
    "rows",
    [
        [(2, 27, 9, 18), (2, 21, 7, 7), (0, 3, 7, 24)],
        [(2, 27, 9, 18)],
        [(0, 12, 0, 4), (0, 5, 0, 7)],
        [(5, 5, 3, 3)],
    ],
)
def test_posterior_against_grids(rows: Any, scale: str) -> None:
    spec = mc.ModelSpec(likelihood="two_arm", scale=scale, random_effects="none")
    fit = mc.fit(spec, table_of(rows), method="exact", seed=3, draws=4000)
    known, posterior = oracle(rows, scale), fit["posterior"]
    draws = posterior["mu"].to_numpy().reshape(-1)
    error = known["sd"] / np.sqrt(float(fit.attrs["importance_ess"]))
    assert abs(draws.mean() - known["mean"]) < 4 * error
    assert draws.std() == pytest.approx(known["sd"], rel=0.05)
    assert float(fit.attrs["log_marginal_likelihood"]) == pytest.approx(known["evidence"], abs=0.03)
    baseline = posterior["baseline"]
    spread = baseline.std(("chain", "draw")).to_numpy() / np.sqrt(8000)
    assert (np.abs(baseline.mean(("chain", "draw")) - known["baseline"]) < 4 * spread).all()


MIXED = [(14, 131, 14, 136), (21, 85, 17, 34), (0, 27, 2, 24), (13, 61, 14, 40), (3, 20, 0, 20)]


def test_both_engines_give_the_same_posterior() -> None:
    spec = mc.ModelSpec(likelihood="two_arm")
    fits = {
        method: mc.fit(spec, table_of(MIXED), method=method, seed=7, progress=False)
        for method in ("exact", "nuts")
    }
    assert {method: fit.attrs["method"] for method, fit in fits.items()} == {
        "exact": "exact",
        "nuts": "nuts",
    }
    one, other = (fit["posterior"].to_dataset() for fit in fits.values())
    assert set(one.data_vars) == set(other.data_vars)
    for name in ("mu", "tau", "theta", "baseline"):
        assert one[name].dims == other[name].dims
        size = one[name].std(("chain", "draw"))
        gap = (one[name].mean(("chain", "draw")) - other[name].mean(("chain", "draw"))) / size
        assert np.abs(gap).max() < 0.06
        ratio = other[name].std(("chain", "draw")) / size
        assert np.abs(ratio - 1).max() < 0.06


# Carlin 1992, beta-blockers after a heart attack, as NICE TSD 2 (Dias and others 2011) has them
BLOCKER = """
3 39 3 38|14 116 7 114|11 93 5 69|127 1520 102 1533|27 365 28 355|6 52 4 59|152 939 98 945
48 471 60 632|37 282 25 278|188 1921 138 1916|52 583 64 873|47 266 45 263|16 293 9 291
45 883 57 858|31 147 25 154|38 213 33 207|12 122 28 251|6 154 8 151|3 134 6 174|40 218 32 209
43 364 27 391|39 674 22 680
"""


def test_beta_blockers_of_nice_tsd_2() -> None:
    rows = [
        [int(word) for word in part.split()]
        for part in BLOCKER.replace("\n", "|").split("|")
        if part
    ]
    table = table_of(rows).rename(
        columns=dict(zip(COLUMNS, (*COLUMNS[2:], *COLUMNS[:2]), strict=True))
    )
    wide = {"mu": "Normal(0, 100)", "baseline": "Normal(0, 100)", "tau": "HalfNormal(5)"}
    fit = mc.fit(mc.ModelSpec(likelihood="two_arm", priors=wide), table, method="exact", seed=1)
    # program 1 of TSD 2 and multinma 0.8.0: d -0.25 (0.066), tau 0.14 (0.08), next -0.60 to 0.12
    draws = {name: fit["posterior"][name].to_numpy() for name in ("mu", "tau", "theta_new")}
    assert np.quantile(draws["mu"], [0.025, 0.5, 0.975]) == pytest.approx(
        [-0.377, -0.251, -0.117], abs=0.01
    )
    assert (draws["mu"].mean(), draws["mu"].std()) == pytest.approx((-0.25, 0.066), abs=0.005)
    assert (draws["tau"].mean(), draws["tau"].std()) == pytest.approx((0.136, 0.082), abs=0.01)
    assert np.quantile(draws["theta_new"], [0.025, 0.975]) == pytest.approx([-0.6, 0.12], abs=0.02)


def test_transfusions_with_turners_prior() -> None:
    # TSD 2 and multinma's vignette: death after granulocyte transfusions
    rows = [(5, 13, 4, 11), (1, 14, 3, 14), (2, 17, 14, 19), (0, 13, 1, 12), (7, 17, 9, 13),
            (18, 48, 13, 47)]  # fmt: skip
    priors = {"mu": "Normal(0, 100)", "baseline": "Normal(0, 100)"}
    # tau² ~ LogNormal(-3.93, 1.51²): tau has half of both
    spec = mc.ModelSpec(likelihood="two_arm", priors=priors | {"tau": "LogNormal(-1.965, 0.755)"})
    draws = mc.fit(spec, table_of(rows), method="exact", seed=1)["posterior"]
    mu, tau = draws["mu"].to_numpy(), draws["tau"].to_numpy()
    assert (mu.mean(), mu.std()) == pytest.approx((-0.784, 0.445), abs=0.02)
    assert np.quantile(mu, [0.025, 0.5, 0.975]) == pytest.approx([-1.759, -0.752, 0.0], abs=0.03)
    assert np.quantile(tau, [0.025, 0.975]) == pytest.approx([0.051, 1.335], abs=0.03)


def test_what_made_the_data_is_found_again() -> None:
    rng, number = np.random.default_rng(11), 40
    theta, b = rng.normal(-0.7, 0.3, number), rng.normal(-0.5, 1.0, number)
    rows = np.stack(
        [
            rng.binomial(150, special.expit(b + theta)), np.full(number, 150),
            rng.binomial(100, special.expit(b)), np.full(number, 100),
        ],
        axis=1,
    )  # fmt: skip
    posterior = mc.fit(
        mc.ModelSpec(likelihood="two_arm"), table_of(rows), method="exact", seed=1, draws=1000
    )["posterior"]
    for name, truth in (("mu", -0.7), ("tau", 0.3)):
        draws = posterior[name].to_numpy()
        assert abs(draws.mean() - truth) < 3 * draws.std()
    gaps = (posterior["baseline"].mean(("chain", "draw")) - b) / posterior["baseline"].std(
        ("chain", "draw")
    )
    assert stats.kstest(gaps, "norm").pvalue > 1e-3


def test_a_baseline_is_that_of_a_study_or_of_each_of_its_findings() -> None:
    spec, table = mc.ModelSpec(likelihood="two_arm"), table_of(MIXED)
    alone = mc.fit(spec, table, method="exact", seed=1, draws=500)
    assert alone["posterior"]["baseline"].dims == ("chain", "draw", "study")
    assert alone["posterior"]["baseline"]["study"].to_numpy().tolist() == [
        "s0",
        "s1",
        "s2",
        "s3",
        "s4",
    ]
    pairs = table.assign(study=["a", "a", "b", "c", "d"], arm=list("xyxxx"))
    several = mc.fit(spec, pairs, method="exact", seed=1, draws=500)
    assert several["posterior"]["baseline"].dims == ("chain", "draw", "finding")
    theta = several["posterior"]["theta"].to_numpy()
    np.testing.assert_allclose(theta[..., 0], theta[..., 1])


# --- one comparison alone -----------------------------------------------------------------------


def deviance(counts: Any, hazard: bool, eta: float) -> float:
    """Twice what the likelihood loses at an effect, the control group's level set free."""
    a, n, c, m = counts
    link = np.asarray([hazard])
    exposed, control = (Arm(np.array([x]), np.array([y]), link) for x, y in ((a, n), (c, m)))

    def minus(b: float) -> float:
        at = np.array([b])
        return -float((log_density(at, control) + log_density(at + eta, exposed))[0])

    best = min(optimize.minimize_scalar(minus, bounds=ends, method="bounded").fun
               for ends in ((-60, 0), (-8, 8), (0, 60)))  # fmt: skip
    free = sum(
        special.xlogy(x, x / y) + special.xlogy(y - x, 1 - x / y) for x, y in ((a, n), (c, m))
    )
    return float(2 * (free + best))


@pytest.mark.parametrize("scale", ["logit", "cloglog"])
def test_one_comparison_has_the_interval_of_its_profile_likelihood(scale: str) -> None:
    design = bind(mc.ModelSpec(likelihood="two_arm", scale=scale), table_of(TABLES))
    likelihood = LIKELIHOODS["two_arm"]
    estimate, lower, upper = likelihood.crude(data_of(design), scale_of(design))
    for row, counts in enumerate(TABLES):
        for limit in (lower[row], upper[row]):
            if 0 < limit < np.inf:
                loss = deviance(counts, scale == "cloglog", np.log(limit))
                assert loss == pytest.approx(stats.chi2(1).ppf(0.95), abs=1e-3)
    assert estimate[0] == pytest.approx(0.08 if scale == "logit" else np.log(25 / 27) / np.log(0.5))
    # 2/21 v 7/7, 0/3 v 7/24: no lower limit; 1/1 v 0/1: no upper one
    assert (estimate[1], lower[1]) == (estimate[2], lower[2]) == (0, 0)
    assert (estimate[5], upper[5]) == (np.inf, np.inf)
    # neither group has an event, or both have only events: nothing can be said
    for row in (3, 4):
        assert np.isnan(estimate[row])
        assert (lower[row], upper[row]) == (0, np.inf)


def test_figures_name_the_ratio_and_show_the_counts(tmp_path: Any) -> None:
    for scale, name in (("logit", "Odds ratio"), ("cloglog", "Hazard ratio")):
        spec = mc.ModelSpec(likelihood="two_arm", scale=scale)
        fit = mc.fit(spec, table_of([*MIXED, (0, 12, 0, 11)]), method="exact", seed=1, draws=500)
        mc.plot_forest(fit, file=tmp_path / "forest.svg")
        text = (tmp_path / "forest.svg").read_text(encoding="utf-8")
        for part in (name, "14/131 v 14/136", "0/27 v 2/24", "profile", "∞"):
            assert part in text, part
        assert "Clopper" not in text
        mc.plot_ppc(fit, file=tmp_path / "ppc.svg")
        assert "half an event" in (tmp_path / "ppc.svg").read_text(encoding="utf-8")


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scale": "log"}, ["scale: 'log' with the two_arm likelihood", "logit, cloglog"]),
        ({"priors": {"baseline": "HalfNormal(1)"}}, ["priors.baseline", "over all numbers"]),
        ({"priors": {"baseline": "Nrmal(0, 1)"}}, ["priors.baseline", "did you mean 'Normal'?"]),
        ({"priors": {"basline": "Normal(0, 1)"}}, ["priors.basline", "did you mean 'baseline'?"]),
    ],
)
def test_what_the_spec_cannot_be(options: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(InputError) as refusal:
        bind(mc.ModelSpec(likelihood="two_arm", **options), table_of(MIXED))
    for word in words:
        assert word in str(refusal.value)


def test_a_column_that_is_missing_is_named() -> None:
    with pytest.raises(InputError, match="column 'control_total': this column is missing"):
        bind(mc.ModelSpec(likelihood="two_arm"), table_of(MIXED).drop(columns="control_total"))
