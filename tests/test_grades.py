"""Grades of a toxicity: the density against scipy, the integrals against grids, the readers."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import special, stats

import metacart as mc
from metacart.errors import InputError
from metacart.inference import nuts
from metacart.inference.population import population_average
from metacart.modelling import grades
from metacart.modelling.design import bind
from metacart.modelling.grade_density import (
    bands_of,
    between,
    cut_distances,
    density,
    log_odds_beyond,
)
from metacart.modelling.grades import GRADED
from metacart.records.priors import Prior, parse_prior
from metacart.records.spec import ModelSpec
from metacart.scales import SCALES


def table_of(**studies: tuple[str, dict[str, int]]) -> pd.DataFrame:
    """Return long rows from ``study=(grading, {"0": 1, "1-2": 19})``."""
    rows = []
    for study, (grading, counts) in studies.items():
        for band, count in counts.items():
            first, _, last = band.partition("-")
            rows.append((study, int(first), int(last or first), count, grading))
    return pd.DataFrame(rows, columns=["study", "grade_from", "grade_to", "count", "grading"])


# all in one grade, none in a grade, bands of every kind, and all systems
TABLE = table_of(
    a=("ASTCT", {"0": 1, "1": 15, "2": 2, "3": 0, "4": 1, "5": 0}),
    b=("unreported", {"0": 0, "1-2": 20, "3-5": 0}),
    c=("Lee", {"0-2": 43, "3-5": 3}),
    d=("Penn", {"0": 17, "1-2": 23, "3-5": 35}),
    e=("unreported", {"0": 8, "1-5": 0}),
    f=("CTCAE", {"0-5": 4}),
    g=("MSKCC", {"0": 0, "1": 0, "2": 0, "3": 0, "4": 0, "5": 3}),
)
SPEC = ModelSpec(likelihood="grades")
GAPS = np.array([0.7, 1.9, 1.1, 2.0])
SHIFTS = np.array([-1.2, 0.4, 0.9, -0.5])
CUTPOINT = -0.8


def priors_of(**stated: str) -> dict[str, Prior]:
    return {
        name: parse_prior(stated.get(name, own.prior), support=own.support)
        for name, own in GRADED.parameters.items()
    }


def bound(table: pd.DataFrame = TABLE, **options: Any) -> xr.Dataset:
    return bind(ModelSpec(likelihood="grades", **options), table)


def cuts_of(grading: str, design: xr.Dataset) -> np.ndarray:
    """Return the cutpoints of a system, by hand."""
    cuts = CUTPOINT + np.concatenate([[0.0], np.cumsum(GAPS)])
    labels = design["grading"].to_numpy().tolist()
    if grading in labels:
        share = special.expit(
            special.logit(GAPS[1] / (GAPS[1] + GAPS[2])) + SHIFTS[labels.index(grading)]
        )
        cuts[2] = cuts[1] + share * (cuts[3] - cuts[1])
    return cuts


def shares(u: Any, w: Any, cuts: np.ndarray) -> np.ndarray:
    """Return the probabilities of grades 0 to 5, by hand; u and w broadcast."""
    u, w = (np.asarray(each, dtype=float)[..., None] for each in (u, w))
    above = special.expit(u - cuts[0] - np.exp(w) * (cuts - cuts[0]))
    ends = np.ones((*above.shape[:-1], 1))
    at_least = np.concatenate([ends, above, 0.0 * ends], axis=-1)
    return -np.diff(at_least, axis=-1)


def bands_shares(rows: pd.DataFrame, grades_of: np.ndarray) -> np.ndarray:
    """Return the probabilities of the bands of one table from those of the grades."""
    return np.stack(
        [
            grades_of[..., first : last + 1].sum(axis=-1)
            for first, last in zip(rows["grade_from"], rows["grade_to"], strict=True)
        ],
        axis=-1,
    )


def sample_of(design: xr.Dataset, tau: float = 0.9, tau_spacing: float = 0.4) -> xr.Dataset:
    """Return one draw at known parameters, completed."""
    labels = design["grading"].to_numpy().tolist()
    named = [SHIFTS[at] for at, name in enumerate(labels) if name != "unreported"]
    values: dict[str, Any] = {
        "cutpoint": (("chain", "draw"), [[CUTPOINT]]),
        "gap": (("chain", "draw", "step"), GAPS[None, None]),
        "tau": (("chain", "draw"), [[tau]]),
        "tau_spacing": (("chain", "draw"), [[tau_spacing]]),
    }
    if named:
        values["shift"] = (("chain", "draw", "named"), np.asarray(named)[None, None])
    if "unreported" in labels:
        values["shift_unreported"] = (("chain", "draw"), [[SHIFTS[labels.index("unreported")]]])
    rng = np.random.default_rng(5)
    for name, spread in (("location", tau), ("spacing", tau_spacing)):
        drawn = spread * rng.standard_normal((1, 1, design.sizes["study"]))
        values[name] = (("chain", "draw", "study"), drawn)
    sample = xr.Dataset(values, coords={"chain": [0], "draw": [0]})
    return GRADED.complete(sample, design, 3)


# ---- the density


def test_bands_one_by_one_are_the_multinomial() -> None:
    design = bound()
    sample = sample_of(design)
    found, _ = GRADED.log_likelihood(sample, design)
    for study, rows in TABLE.groupby("study"):
        u, w = (sample[name].sel(study=study).to_numpy()[0, 0] for name in ("location", "spacing"))
        cuts = cuts_of(rows["grading"].iloc[0], design)
        known = stats.multinomial(rows["count"].sum(), bands_shares(rows, shares(u, w, cuts)))
        expected = known.logpmf(rows["count"].to_numpy())
        assert found[0, 0, rows.index].sum() == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_graph_and_arrays_give_the_same_density() -> None:
    design = bound()
    sample = sample_of(design)
    model = GRADED.build(design, priors_of())
    labels = design["grading"].to_numpy().tolist()
    given = {
        "cutpoint": CUTPOINT,
        "gap": GAPS,
        "shift": np.array([SHIFTS[at] for at, n in enumerate(labels) if n != "unreported"]),
        "shift_unreported": SHIFTS[labels.index("unreported")],
    }
    given |= {name: sample[name].to_numpy()[0, 0] for name in ("tau", "tau_spacing")}
    # z so that the effects are those of the sample, whatever the share of centring
    known = {model[name]: np.asarray(value) for name, value in given.items()}
    zero = {model["z"]: np.zeros(7), model["z_spacing"]: np.zeros(7)}
    one = zero | {model["z"]: np.ones(7)}
    at_zero, at_one = (
        model["location"].eval(known | each, on_unused_input="ignore") for each in (zero, one)
    )
    z = (sample["location"].to_numpy()[0, 0] - at_zero) / (at_one - at_zero)
    point = model.initial_point() | {
        "cutpoint": np.asarray(CUTPOINT),
        "gap_log__": np.log(GAPS),
        "shift": given["shift"],
        "shift_unreported": np.asarray(given["shift_unreported"]),
        "z": z,
        "z_spacing": sample["spacing"].to_numpy()[0, 0] / given["tau_spacing"],
    }
    point |= {f"{name}_log__": np.log(given[name]) for name in ("tau", "tau_spacing")}
    found = model.compile_logp(vars=model.observed_RVs)(point)
    assert GRADED.log_likelihood(sample, design)[0].sum() == pytest.approx(found, rel=1e-10)


def test_tails_keep_their_digits() -> None:
    # far up the scale nobody stops, far down everybody: the direct difference would be 0
    design = bound(table_of(a=("Lee", {"0": 2, "1-2": 3, "3-5": 4})))
    bands = bands_of(design)
    between_cuts = between(cut_distances(GAPS, None, 0, np), bands)
    for u in (-600.0, 600.0):
        level = log_odds_beyond(np.full(3, u), np.ones(3), between_cuts, bands, np)
        assert np.isfinite(density(level, bands)).all()
    # exact by long arithmetic: S(3) / (S(1) - S(3)) at u = -40 is about e^-D / (1 - e^-D)
    level = log_odds_beyond(np.full(3, -40.0), np.ones(3), between_cuts, bands, np)
    far = GAPS[0] + GAPS[1]
    assert level[1] == pytest.approx(-far - np.log1p(-np.exp(-far)), rel=1e-12)


@pytest.fixture(scope="module")
def graph() -> tuple[Any, Any, Any]:
    """The model with its value and its gradient, compiled once."""
    model = GRADED.build(bound(), priors_of())
    return model, model.compile_logp(), model.compile_dlogp()


@pytest.mark.parametrize("probability", [0.001, 0.999])
def test_value_and_gradient_are_finite_at_the_ends_of_the_prior(
    probability: float, graph: tuple[Any, Any, Any]
) -> None:
    priors = priors_of()
    model, logp, gradient = graph
    point = model.initial_point()
    for name, own in GRADED.parameters.items():
        end = float(priors[name].quantile(probability))
        key = f"{name}_log__" if own.support == "positive" else name
        point[key] = np.full(np.shape(point[key]), np.log(end) if key != name else end)
    for z in (-3.1, 3.1):
        point |= {name: np.full(7, z) for name in ("z", "z_spacing")}
        assert np.isfinite(logp(point))
        assert np.isfinite(gradient(point)).all()


def test_the_order_of_rows_does_not_matter() -> None:
    design, turned = bound(), bound(TABLE.iloc[::-1])
    values = [
        GRADED.build(each, priors_of()).compile_logp()(
            GRADED.build(each, priors_of()).initial_point() | {"cutpoint": np.array(-0.3)}
        )
        for each in (design, turned)
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-12)


def test_a_system_moves_the_cut_between_mild_and_severe_alone() -> None:
    cuts = cut_distances(GAPS, SHIFTS, 4, np)
    assert cuts.shape == (5, 5)
    np.testing.assert_allclose(cuts[0], [0.0, *np.cumsum(GAPS)])
    np.testing.assert_allclose(np.delete(cuts, 2, axis=1), np.delete(cuts[[0] * 5], 2, axis=1))
    gaps = np.diff(cuts, axis=1)
    assert (gaps > 0).all()
    moved = np.log(gaps[1:, 1] / gaps[1:, 2]) - np.log(GAPS[1] / GAPS[2])
    np.testing.assert_allclose(moved, SHIFTS)
    # however far it moves, it stays between its neighbours
    assert (np.diff(cut_distances(GAPS, np.array([-30.0, 30.0]), 2, np), axis=1) > 0).all()


# ---- integrals


def test_studies_without_their_effects_against_a_grid() -> None:
    design = bound()
    sample = sample_of(design)
    _, found = GRADED.log_likelihood(sample, design)
    z, w = np.linspace(-7.0, 7.0, 701), np.linspace(-7.0, 7.0, 281)
    weight = stats.norm.logpdf(z)[:, None] + stats.norm.logpdf(w)
    weight += np.log((z[1] - z[0]) * (w[1] - w[0]))
    for position, (_, rows) in enumerate(TABLE.groupby("study")):
        cuts = cuts_of(rows["grading"].iloc[0], design)
        p = bands_shares(rows, shares(0.9 * z[:, None], 0.4 * w, cuts))
        counts = rows["count"].to_numpy()
        choose = special.gammaln(counts.sum() + 1) - special.gammaln(counts + 1).sum()
        with np.errstate(divide="ignore"):
            known = choose + special.xlogy(counts, p).sum(axis=-1)
        expected = special.logsumexp(known + weight)
        assert found[0, 0, position] == pytest.approx(expected, abs=2e-3)


def test_a_study_of_two_arms_shares_its_effects() -> None:
    arms = table_of(
        a=("Lee", {"0": 3, "1-2": 5, "3-5": 2}), b=("Lee", {"0": 1, "1-2": 1, "3-5": 8})
    )
    together = arms.assign(arm=arms["study"], study="s")
    design = bound(together)
    assert design.sizes["table"] == 2
    assert design.sizes["study"] == 1
    sample = sample_of(design)
    of_arms = sample["rate"].to_numpy()[0, 0]
    assert (of_arms[0] == of_arms[1]).all()
    z = np.linspace(-7.0, 7.0, 701)
    weight = stats.norm.logpdf(z)[:, None] + stats.norm.logpdf(z) + 2 * np.log(z[1] - z[0])
    p = shares(0.9 * z[:, None], 0.4 * z, cuts_of("Lee", design))
    known = weight
    for _, rows in arms.groupby("study"):
        known = known + stats.multinomial(10, bands_shares(rows, p)).logpmf(
            rows["count"].to_numpy()
        )
    found = GRADED.log_likelihood(sample, design)[1]
    assert found[0, 0, 0] == pytest.approx(special.logsumexp(known), abs=2e-3)


def estimands(sample: xr.Dataset, design: xr.Dataset) -> xr.Dataset:
    average = partial(population_average, scale=SCALES["logit"], effects="normal", nu=4.0)
    return GRADED.estimands(sample, design, average)


@pytest.mark.parametrize(("tau", "tau_spacing"), [(0.9, 0.4), (0.01, 0.01), (2.5, 1.2)])
def test_rates_against_a_grid(tau: float, tau_spacing: float) -> None:
    design = bound()
    found = estimands(sample_of(design, tau, tau_spacing), design).isel(chain=0, draw=0)
    z = np.linspace(-8.0, 8.0, 1601)
    density_of = stats.norm.pdf(z) * (z[1] - z[0])
    for name in ("ASTCT or Lee", "Penn", "unreported"):
        cuts = cuts_of(name, design)
        p = shares(tau * z[:, None], tau_spacing * z, cuts)
        at_least = np.cumsum(p[..., ::-1], axis=-1)[..., ::-1][..., 1:]
        known = np.einsum("i,j,ijg->g", density_of, density_of, at_least)
        severe = found["population average of grade 3 or higher"].sel(system=name)
        assert severe == pytest.approx(known[2], abs=1e-5)
        if name == "ASTCT or Lee":
            np.testing.assert_allclose(found["population average"], known, atol=1e-5)
            middle = shares(0.0, 0.0, cuts)
            np.testing.assert_allclose(found["median study"], 1.0 - np.cumsum(middle)[:-1])


def test_replicates_have_the_means_of_new_studies() -> None:
    design = bound()
    sample = sample_of(design).isel(draw=np.zeros(20_000, dtype=int))
    drawn = GRADED.replicate(sample, design, np.random.default_rng(2))
    z = np.linspace(-8.0, 8.0, 801)
    density_of = stats.norm.pdf(z) * (z[1] - z[0])
    for _, rows in TABLE.groupby("study"):
        p = shares(0.9 * z[:, None], 0.4 * z, cuts_of(rows["grading"].iloc[0], design))
        mean = np.einsum("i,j,ijg->g", density_of, density_of, bands_shares(rows, p))
        own = drawn[0][:, rows.index]
        assert (own.sum(axis=1) == rows["count"].sum()).all()
        error = own.std(axis=0) / np.sqrt(len(own))
        assert (np.abs(own.mean(axis=0) - rows["count"].sum() * mean) <= 4.5 * error + 1e-9).all()


def test_the_next_study_has_the_spread_of_studies() -> None:
    design = bound()
    raw = GRADED.draw_prior(design, priors_of(), 4000, np.random.default_rng(1))
    fixed = raw.assign(
        cutpoint=0.0 * raw["cutpoint"], tau=0.0 * raw["tau"] + 0.8, tau_spacing=0.0 * raw["tau"]
    )
    new = GRADED.complete(fixed, design, 9)["theta_new"].sel(grade=1)
    error = 0.8 / np.sqrt(4000)
    assert abs(float(new.mean())) < 4 * error
    assert float(new.std()) == pytest.approx(0.8, abs=4 * error / np.sqrt(2))


def test_prior_draws_have_their_priors() -> None:
    priors = priors_of()
    drawn = GRADED.draw_prior(bound(), priors, 4000, np.random.default_rng(1))
    for name in GRADED.parameters:
        values = drawn[name].to_numpy().ravel()
        assert stats.kstest(values, priors[name]._frozen.cdf).pvalue > 1e-3


# ---- the table of a user

ONE = table_of(a=("Lee", {"0": 1, "1-2": 19, "3-5": 8}))


def test_bands_of_a_table() -> None:
    design = bound(ONE.iloc[[2, 0, 1]])
    assert design["reach"].to_numpy().tolist() == [8, 28, 27]
    assert design["beyond"].to_numpy().tolist() == [0, 27, 8]
    assert design["patients"].to_numpy().tolist() == [28, 28, 28]
    estimate, lower, upper = GRADED.crude(design)
    found = stats.binomtest(19, 28).proportion_ci(method="exact")
    assert (estimate[2], lower[2], upper[2]) == pytest.approx((19 / 28, found.low, found.high))


def test_without_a_grading_all_are_graded_alike() -> None:
    design = bound(ONE.drop(columns="grading"))
    assert design.sizes["grading"] == 0
    assert "shift" not in sample_of(design)
    assert "population average of grade 3 or higher" not in estimands(sample_of(design), design)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"grade_from": [0, 2, 3]}, ["grades of a: grade 1 is missing", "0 to 5 once"]),
        ({"grade_to": [1, 2, 5]}, ["grades of a: grade 1 stands twice", "a column 'arm'"]),
        ({"grade_to": [0, 0, 5]}, ["a band that does not rise in row 2 (a)"]),
        ({"grade_to": [0, 2, 6]}, ["row 3 (a), column 'grade_to': 6", "a grade from 0 to 5"]),
        ({"grade_from": [0, 1.5, 3]}, ["row 2 (a), column 'grade_from': 1.5"]),
        ({"count": [1, -1, 8]}, ["row 2 (a), column 'count': -1", "whole number of patients"]),
        ({"count": [1, None, 8]}, ["row 2 (a), column 'count': nan"]),
        ({"count": 0}, ["grades of a: no patients"]),
        ({"total": [28, 28, 30]}, ["totals of 28 and 30", "of any and severe of different ones"]),
        ({"total": 30}, ["counts that sum to 28, but a total of 30"]),
        ({"grading": ["Lee", "Lee", "Penn"]}, ["grading of a: Lee and Penn", "one grading"]),
        ({"grading": ["Lee", "Lee", "Pen"]}, ["'Pen'", "did you mean 'Penn'?"]),
        (
            {"grading": ["Lee", "Lee", None]},
            ["row 3 (a), column 'grading': nan", 'fillna("unreported")'],
        ),
    ],
)
def test_what_a_table_of_grades_cannot_be(change: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(InputError) as refusal:
        bound(ONE.astype(object).assign(**change))
    assert all(word in str(refusal.value) for word in words)


def test_all_faults_stand_in_one_message() -> None:
    table = pd.concat(
        [
            ONE.assign(grading=["Lee", "Penn", "Lee"]),
            ONE.assign(study="b", total=[28, 28, 40]),
            ONE.iloc[1:].assign(study="c"),
        ]
    )
    with pytest.raises(InputError) as refusal:
        bound(table)
    message = str(refusal.value)
    for word in ("grading of a", "totals of 28 and 40", "grades of c: grade 0 is missing"):
        assert word in message


def test_missing_columns_are_named() -> None:
    with pytest.raises(InputError) as refusal:
        bound(ONE.drop(columns=["grade_to", "count"]))
    assert "column 'grade_to': this column is missing" in str(refusal.value)
    assert "column 'count': this column is missing" in str(refusal.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"random_effects": "student_t"}, ["'student_t' with the grades", '"normal"']),
        ({"random_effects": "none"}, ["'none' with the grades", '"normal"']),
        ({"scale": "cloglog"}, ["'cloglog' with the grades", "logit"]),
        ({"priors": {"mu": "Normal(0, 1)"}}, ["priors.mu", "cutpoint, gap, tau"]),
        ({"priors": {"gap": "Normal(0, 1)"}}, ["priors.gap", "numbers above zero"]),
        ({"moderators": ["age"]}, ["moderators"]),
    ],
)
def test_what_the_model_does_not_have(options: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(InputError) as refusal:
        bound(ONE, **options)
    assert all(word in str(refusal.value) for word in words)


def test_words_of_the_cuts() -> None:
    assert grades.CUT_WORDS[3] == "grade 3 or higher"
    assert list(grades.CUT_WORDS) == [1, 2, 3, 4, 5]


# ---- fits


def fit_once(table: pd.DataFrame, *, draws: int, **options: Any) -> Any:
    """Return a fit of one run of NUTS, whatever the gate says of so few draws."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nuts, "TARGETS", (0.95,))
        spec = ModelSpec(likelihood="grades", **options)
        return mc.fit(spec, table, draws=draws, seed=1, progress=False)


@pytest.fixture(scope="module")
def fitted() -> Any:
    return fit_once(TABLE, draws=500)


def test_a_fit_keeps_what_the_model_has(fitted: Any, tmp_path: Path) -> None:
    posterior = fitted["posterior"]
    assert posterior["cutpoint"].dims == ("chain", "draw", "grade")
    assert posterior["grade"].to_numpy().tolist() == [1, 2, 3, 4, 5]
    assert (posterior["cutpoint"].diff("grade") > 0).all()
    assert posterior["shift"]["grading"].to_numpy().tolist() == [
        "Penn",
        "MSKCC",
        "CTCAE",
        "unreported",
    ]
    assert {"tau", "tau_spacing", "rate", "theta_new"} <= {*posterior.data_vars}
    assert "mu" not in posterior
    again = mc.load_fit(mc.save_fit(fitted, tmp_path / "fit.nc"))
    pd.testing.assert_frame_equal(mc.summarize(again), mc.summarize(fitted))
    assert int(fitted["sample_stats"]["diverging"].sum()) == 0


def test_the_summary_has_three_rates_of_each_cut(fitted: Any) -> None:
    table = mc.summarize(fitted)
    for name in ("median study", "population average", "next study"):
        rows = table[table["estimand"] == name]
        assert [*rows["at"]] == [f"at_least = {words}" for words in grades.AT_LEAST]
        assert rows["median"].is_monotonic_decreasing
    severe = table[table["estimand"] == "population average of grade 3 or higher"]
    assert severe["at"].iloc[0] == "system = ASTCT or Lee"
    same = table[(table["estimand"] == "population average")]["median"].iloc[2]
    assert severe["median"].iloc[0] == same


def test_checks_and_verbs(fitted: Any) -> None:
    checks = mc.predictive_checks(fitted)
    # the share of an arm's patients whose grade is in the band
    size = TABLE.groupby("study")["count"].transform("sum")
    rows = checks[checks["check"] == "finding"]
    np.testing.assert_allclose(rows["observed"], TABLE["count"] / size)
    assert (rows["upper"] <= 1).all()
    assert checks["check"].tolist()[len(TABLE) :] == ["mean", "SD", "lowest", "highest"]
    assert "rate" in " ".join(mc.diagnostics(fitted)["quantity"])
    drawn = mc.predictive(fitted, seed=3)["y"]
    assert (drawn.isel(finding=slice(0, 6)).sum("finding") == 19).all()
    with pytest.raises(InputError, match=r"leave_one_out.*a fit of the grades likelihood"):
        mc.leave_one_out(fitted)
    with pytest.raises(InputError, match="'exact' with the grades likelihood"):
        mc.fit(SPEC, TABLE, method="exact")


def drawn_from_the_prior(number: int, studies: int) -> dict[str, np.ndarray]:
    """Return draws of the whole prior by scipy alone."""
    rng = np.random.default_rng(11)
    gaps = stats.gamma(2).rvs((number, 4), random_state=rng)
    cuts = rng.normal(0.0, 1.5, (number, 1)) + np.c_[np.zeros(number), np.cumsum(gaps, axis=1)]
    tau, tau_spacing = (np.abs(rng.normal(0.0, sd, number)) for sd in (1.0, 0.5))
    return {
        "cuts": cuts,
        "tau": tau,
        "u": tau[:, None] * rng.normal(size=(number, studies)),
        "w": tau_spacing[:, None] * rng.normal(size=(number, studies)),
    }


FEW = {
    "one study": table_of(a=("Lee", {"0": 3, "1-2": 6, "3-5": 1})),
    "two studies": table_of(
        a=("Lee", {"0": 3, "1-2": 6, "3-5": 1}), b=("ASTCT", {"0-2": 5, "3": 0, "4-5": 1})
    ),
}


@pytest.mark.parametrize("name", FEW)
def test_few_studies_against_a_weighted_prior(name: str) -> None:
    """Draws of the prior, weighted by the multinomial, are the posterior without a sampler."""
    table = FEW[name]
    number = 400_000
    prior = drawn_from_the_prior(number, table["study"].nunique())
    known = np.zeros(number)
    rates = []
    for at, (_, rows) in enumerate(table.groupby("study")):
        gaps = prior["cuts"] - prior["cuts"][:, :1]
        level = prior["u"][:, [at]] - prior["cuts"][:, :1] - np.exp(prior["w"][:, [at]]) * gaps
        above = special.expit(level)
        p = np.maximum(-np.diff(np.c_[np.ones(number), above, np.zeros(number)], axis=1), 0.0)
        # the constant of the multinomial falls out of the weights
        known += special.xlogy(rows["count"].to_numpy(), bands_shares(rows, p)).sum(axis=1)
        rates.append(above[:, [0, 2]])
    weights = np.exp(known - special.logsumexp(known))
    worth = 1.0 / (weights**2).sum()
    fit = fit_once(table, draws=2000)
    posterior = fit["posterior"]
    quantities = {"tau": (prior["tau"], posterior["tau"])}
    for grade in (1, 3):
        ours = posterior["cutpoint"].sel(grade=grade)
        quantities[f"cut {grade}"] = (prior["cuts"][:, grade - 1], ours)
    for at, rate in enumerate(rates):
        for place, cut in enumerate((1, 3)):
            ours = posterior["rate"].isel(table=at).sel(cut=cut)
            quantities[f"rate {at} {cut}"] = (rate[:, place], ours)
    ess = mc.diagnostics(fit)["ess_bulk"].min()
    for what, (theirs, ours) in quantities.items():
        mean = weights @ theirs
        spread = np.sqrt(weights @ (theirs - mean) ** 2)
        error = spread * np.sqrt(1.0 / worth + 1.0 / ess)
        assert abs(float(ours.mean()) - mean) < 4.0 * error, what


def test_simulated_truth_is_recovered() -> None:
    rng = np.random.default_rng(4)
    studies, patients = 40, 60
    cuts = np.array([-1.2, 0.6, 1.6, 2.8, 4.2])
    tables = {}
    for at in range(studies):
        p = shares(0.8 * rng.normal(), 0.3 * rng.normal(), cuts)
        counts = rng.multinomial(patients, p)
        full = {str(grade): int(n) for grade, n in enumerate(counts)}
        coarse = {"0": full["0"], "1-2": counts[1:3].sum(), "3-5": counts[3:].sum()}
        tables[f"s{at}"] = ("Lee", full if at % 2 else coarse)
    posterior = fit_once(table_of(**tables), draws=1000)["posterior"]
    truth = {"tau": 0.8, "tau_spacing": 0.3} | {("cutpoint", g): cuts[g - 1] for g in range(1, 6)}
    for name, value in truth.items():
        drawn = (
            posterior[name] if isinstance(name, str) else posterior["cutpoint"].sel(grade=name[1])
        )
        lower, upper = drawn.quantile([0.0005, 0.9995]).to_numpy()
        assert lower < value < upper, name


# ---- the table of grades and its figure


def test_the_table_sets_each_study_beside_the_model(fitted: Any) -> None:
    table = mc.grade_table(fitted)
    assert [*table["row"].unique()] == ["study", "median study", "population average", "next study"]
    assert (table.groupby(["row", "label"]).size() == 5).all()
    of = table[table["row"] == "study"].set_index(["study", "grade"])
    assert of.loc[("a", 1), ["events", "patients", "grading"]].tolist() == [18, 19, "ASTCT"]
    assert of.loc[("a", 3), "events"] == 1
    found = stats.binomtest(1, 19).proportion_ci(method="exact")
    limits = of.loc[("a", 3), ["crude_lower", "crude_upper"]].tolist()
    assert limits == pytest.approx([found.low, found.high])
    # severe alone tells nothing of any, any alone nothing of severe
    assert of["events"].isna().loc[[("c", 1), ("c", 2), ("e", 3)]].all()
    assert of.loc[("c", 3), "events"] == 3
    for _, rows in table.groupby(["row", "label"]):
        assert rows["median"].is_monotonic_decreasing
    rate = fitted["posterior"]["rate"].sel(table="d", cut=3)
    assert of.loc[("d", 3), "median"] == pytest.approx(float(rate.median()))
    pooled = mc.summarize(fitted).set_index(["estimand", "at"])["median"]
    own = table[table["row"] == "population average"]["median"].tolist()
    assert own == pytest.approx(pooled["population average"].tolist())


def test_the_figure_has_a_bar_for_each_grade(fitted: Any) -> None:
    figure = mc.plot_grades(fitted, backend="none")
    viz = figure.viz
    for grade in range(6):
        assert f"grade_{grade}" in viz.children
    assert "Population averages by ASTCT or Lee: any grade" in viz.attrs["alt"]
    rows = viz["rate_3"]["rate_3"]["row"].to_numpy().tolist()
    assert rows == [*(f"table:{at}" for at in range(7)), "population average", "next study"]


def test_ends_of_colours_are_shares(fitted: Any) -> None:
    drawn = mc.plot_grades(fitted).viz
    polygons = drawn["grade_3"]["grade_3"]
    # of 75 patients on Penn 35 have grade 3 or higher, in one band of three stripes
    x = polygons.sel(row="table:3").item().get_paths()[0].vertices[:, 0]
    assert (x.min(), x.max()) == pytest.approx((0.0, 35 / 75))
    x = polygons.sel(row="population average").item().get_paths()[0].vertices[:, 0]
    table = mc.grade_table(fitted)
    own = table[table["row"] == "population average"]["median"].tolist()
    assert (x.min(), x.max()) == pytest.approx((own[3], own[2]))
    marks = drawn["rate_1"]["rate_1"].sel(row="table:0").item().get_offsets()
    shrunken = table[(table["study"] == "a") & (table["grade"] == 1)]["median"].item()
    assert marks[0, 0] == pytest.approx(shrunken)


def test_figure_files(fitted: Any, tmp_path: Path) -> None:
    mc.plot_grades(fitted, file=tmp_path / "grades.png")
    assert (tmp_path / "grades.png").stat().st_size > 10_000
    with pytest.raises(InputError, match=r"\.png, \.svg, \.pdf"):
        mc.plot_grades(fitted, file=tmp_path / "grades.gif")


def test_a_fit_without_grades_is_refused() -> None:
    table = pd.DataFrame({"study": ["a", "b"], "events": [1, 2], "total": [9, 9]})
    fit = mc.fit(ModelSpec(likelihood="binomial"), table, seed=1, progress=False)
    for verb in (mc.grade_table, mc.plot_grades):
        with pytest.raises(InputError, match=rf"{verb.__name__}\(fit\): a fit without grades"):
            verb(fit)
