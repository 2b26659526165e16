"""Where the evidence disagrees with itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import metacart as mc

BINOMIAL = mc.ModelSpec(likelihood="binomial")
COUNTS = pd.DataFrame(
    {
        "study": [*(f"s{n}" for n in range(7)), "outlier"],
        "events": [17, 16, 17, 18, 17, 16, 17, 6],
        "total": [20] * 8,
    }
)
VALUES = pd.DataFrame(
    {
        "study": list("abcdef"),
        "estimate": [0.3, 0.5, -0.1, 0.4, 0.2, 2.2],
        "se": [0.2, 0.3, 0.25, 0.3, 0.35, 0.3],
    }
)
NORMAL = mc.ModelSpec(
    likelihood="normal", scale="identity", priors={"mu": "Normal(0, 1)", "tau": "HalfNormal(0.5)"}
)
TAU = np.linspace(1e-4, 4, 2001)


def studies_of(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["row"] == "study"].set_index("name")


# ---- a study against the others


def test_normal_studies_in_closed_form() -> None:
    """Given tau all is normal; tau is summed over a grid with its marginal likelihood."""
    fit = mc.fit(NORMAL, VALUES, method="exact", seed=4, progress=False)
    rows = studies_of(mc.conflict(fit, progress=False))
    for study, row in rows.iterrows():
        rest = VALUES[VALUES["study"] != study]
        left = VALUES[VALUES["study"] == study].iloc[0]
        variance = rest["se"].to_numpy() ** 2 + TAU[:, None] ** 2
        precision = 1 + (1 / variance).sum(axis=1)
        mean = (rest["estimate"].to_numpy() / variance).sum(axis=1) / precision
        log_mass = stats.halfnorm.logpdf(TAU, 0, 0.5) - 0.5 * np.log(variance).sum(axis=1)
        log_mass += -0.5 * np.log(precision) + 0.5 * precision * mean**2
        log_mass -= 0.5 * (rest["estimate"].to_numpy() ** 2 / variance).sum(axis=1)
        mass = np.exp(log_mass - log_mass.max())
        mass /= mass.sum()
        spread = np.sqrt(1 / precision + TAU**2 + left["se"] ** 2)
        expected = float(mass @ stats.norm.sf(left["estimate"], mean, spread))
        assert row["p"] == pytest.approx(expected, abs=4 * row["mcse"] + 1e-4)
        assert row["p_two_sided"] == pytest.approx(2 * min(row["p"], 1 - row["p"]))
    assert rows.index[rows["conflict"]].tolist() == ["f"]


def test_the_planted_study_is_found_and_its_p_is_the_mid_p() -> None:
    """6 of 20 among 17 of 20: against a grid of mu and tau with the effects summed."""
    fit = mc.fit(BINOMIAL, COUNTS, method="exact", seed=4, progress=False)
    rows = studies_of(mc.conflict(fit, progress=False))
    assert rows.index[rows["conflict"]].tolist() == ["outlier"]
    assert rows.loc["outlier", "computed"] == "refitted: Pareto k is too large"
    assert rows.loc["outlier", "observed"] == 0.3
    mu, tau = np.linspace(-4, 6, 161), np.linspace(0.005, 6, 240)
    z, weight = np.polynomial.hermite_e.hermegauss(61)
    weight = weight / weight.sum()
    rates = special.expit(mu[:, None, None] + tau[None, :, None] * z)
    prior = stats.norm.logpdf(mu, 0, 1.5)[:, None] + stats.halfnorm.logpdf(tau, 0, 1)
    logs = [np.log((stats.binom.pmf(y, 20, rates) * weight).sum(-1)) for y in COUNTS["events"]]
    for position in (0, 1, 7):
        log_mass = prior + sum(each for n, each in enumerate(logs) if n != position)
        mass = np.exp(log_mass - special.logsumexp(log_mass))
        y = COUNTS["events"].iloc[position]
        above = stats.binom.sf(y, 20, rates) + 0.5 * stats.binom.pmf(y, 20, rates)
        expected = float((mass * (above * weight).sum(-1)).sum())
        row = rows.iloc[position]
        assert row["p"] == pytest.approx(expected, abs=4 * row["mcse"] + 1e-4)


def test_an_outlier_hides_from_the_fit_that_has_seen_it() -> None:
    """What the study did to tau is taken away: its p is smaller than in a predictive check."""
    fit = mc.fit(BINOMIAL, COUNTS, method="exact", draws=2000, seed=4, progress=False)
    seen = mc.predictive_checks(fit).set_index("finding").loc["outlier", "p"]
    alone = studies_of(mc.conflict(fit, progress=False)).loc["outlier", "p"]
    assert 1 - alone < 0.3 * (1 - float(seen))


def test_two_groups_are_compared_by_their_log_ratio() -> None:
    data = pd.DataFrame(
        {"study": list("abcd"), "events": [10, 8, 9, 2], "total": 20}
        | {"control_events": [5, 4, 5, 15], "control_total": 20}
    )
    spec = mc.ModelSpec(likelihood="two_arm")
    fit = mc.fit(spec, data, method="exact", seed=4, progress=False)
    rows = studies_of(mc.conflict(fit, progress=False))
    assert rows.index[rows["conflict"]].tolist() == ["d"]
    # the level of study a from its control group alone, the effect from the others
    again = mc.fit(spec, data.iloc[1:], method="exact", seed=9, progress=False)
    rng = np.random.default_rng(1)
    levels = np.linspace(-6, 6, 2001)
    mass = stats.binom.pmf(5, 20, special.expit(levels)) * parse_density(again, levels)
    level = rng.choice(levels, p=mass / mass.sum(), size=again["posterior"]["mu"].shape)
    theta = again["posterior"]["mu"].to_numpy() + again["posterior"]["tau"].to_numpy() * (
        rng.standard_normal(level.shape)
    )
    exposed, control = (rng.binomial(20, special.expit(each)) for each in (level + theta, level))

    def log_ratio(y: Any, c: Any) -> Any:
        return special.logit((y + 0.5) / 21) - special.logit((c + 0.5) / 21)

    replicated, seen = log_ratio(exposed, control), log_ratio(10, 5)
    near = np.isclose(replicated, seen)
    expected = np.where(near, 0.5, replicated > seen).mean()
    assert rows.loc["a", "p"] == pytest.approx(expected, abs=5 * np.hypot(0.003, 0.003))


def parse_density(fit: Any, levels: Any) -> Any:
    import json

    prior = mc.parse_prior(json.loads(fit.attrs["priors"])["baseline"])
    return np.exp(prior.logpdf(levels))


# ---- within studies against across studies


def arms(within: tuple[float, float], across: tuple[float, float]) -> pd.DataFrame:
    """Three studies of both products, four of each alone: log odds by product, human first."""
    both = [
        {"study": f"both{n}", "product": product, "estimate": value + shift, "se": 0.3}
        for n, shift in enumerate((-0.2, 0.0, 0.2))
        for product, value in zip(("human", "murine"), within, strict=True)
    ]
    alone = [
        {"study": f"{product}{n}", "product": product, "estimate": value + shift, "se": 0.3}
        for product, value in zip(("human", "murine"), across, strict=True)
        for n, shift in enumerate((-0.3, -0.1, 0.1, 0.3))
    ]
    return pd.DataFrame([*both, *alone]).assign(arm=lambda table: table["product"])


SPLIT = mc.ModelSpec(
    likelihood="normal",
    scale="identity",
    moderators=("product",),
    reference={"product": "human"},
    priors={"mu": "Normal(0, 2)", "beta": "Normal(0, 1)", "tau": "HalfNormal(0.5)"},
)


def split_of(data: pd.DataFrame, **options: Any) -> pd.DataFrame:
    fit = mc.fit(SPLIT, data, method="exact", seed=4, progress=False, **options)
    table = mc.conflict(fit, progress=False)
    return table[table["row"] != "study"].set_index("row")


def test_a_planted_contradiction_is_flagged_and_agreement_is_not() -> None:
    against = split_of(arms((0.0, 1.2), (0.6, -0.6)), draws=2000)
    assert against["name"].tolist() == ["product[murine]"] * 3
    assert against.loc["within studies", "lower"] > 0 > against.loc["across studies", "upper"]
    assert bool(against.loc["difference", "conflict"])
    alike = split_of(arms((0.0, 1.2), (0.0, 1.2)), draws=2000)
    assert not bool(alike.loc["difference", "conflict"])
    assert alike.loc["difference", "lower"] < 0 < alike.loc["difference", "upper"]


def test_the_split_against_generalized_least_squares() -> None:
    """Given tau the three coefficients are jointly normal; tau is summed over a grid."""
    data = arms((0.0, 0.8), (0.3, 0.1))
    found = split_of(data)
    x = (data["product"] == "murine").to_numpy(float)
    groups = data["study"].factorize()[0]
    mean = (np.bincount(groups, x) / np.bincount(groups))[groups]
    design = np.column_stack([np.ones(len(x)), x - mean, mean])
    shared = (groups[:, None] == groups).astype(float)
    y, prior = data["estimate"].to_numpy(), np.diag([0.25, 1.0, 1.0])
    parts = []
    for tau in TAU[:-1:8]:
        v = 0.09 * np.eye(len(x)) + tau**2 * shared
        solved = np.linalg.solve(v, np.column_stack([design, y]))
        precision = prior + design.T @ solved[:, :3]
        pull = design.T @ solved[:, 3]
        middle = np.linalg.solve(precision, pull)
        log_mass = stats.halfnorm.logpdf(tau, 0, 0.5) + 0.5 * pull @ middle
        log_mass += -0.5 * (np.linalg.slogdet(v)[1] + np.linalg.slogdet(precision)[1])
        parts.append((log_mass - 0.5 * y @ solved[:, 3], middle, np.linalg.inv(precision)))
    mass = np.exp([part[0] - max(p[0] for p in parts) for part in parts])
    mass /= mass.sum()
    contrasts = {
        "within studies": [0, 1, 0],
        "across studies": [0, 0, 1],
        "difference": [0, 1, -1],
    }
    line = np.linspace(-4, 4, 4001)
    for row, contrast in contrasts.items():
        a = np.asarray(contrast)
        below = sum(
            weight * stats.norm.cdf(line, a @ middle, np.sqrt(a @ covariance @ a))
            for weight, (_, middle, covariance) in zip(mass, parts, strict=True)
        )
        for number, p in (("median", 0.5), ("lower", 0.025), ("upper", 0.975)):
            assert found.loc[row, number] == pytest.approx(np.interp(p, below, line), abs=0.03)
    assert found.loc["difference", "p"] == pytest.approx(
        1 - np.interp(0, line, below), abs=4 * found.loc["difference", "mcse"] + 1e-3
    )


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (arms((0.0, 1.2), (0.6, -0.6)).iloc[6:], "no study informs it within itself"),
        (
            arms((0.0, 1.2), (0.6, -0.6)).iloc[:6],
            "studies do not inform it across each other",
        ),
    ],
)
def test_what_cannot_be_split_says_why(data: pd.DataFrame, reason: str) -> None:
    found = split_of(data, draws=2000)
    assert found.index.tolist() == ["difference"]
    assert found.loc["difference", "computed"] == reason
    assert np.isnan(found.loc["difference", "p"])
    assert not bool(found.loc["difference", "conflict"])


def test_an_interaction_is_not_split() -> None:
    data = arms((0.0, 1.2), (0.6, -0.6)).assign(age=[n % 5 for n in range(14)])
    spec = SPLIT.model_copy(update={"moderators": ("product", "age", "product:age")})
    fit = mc.fit(spec, data, method="exact", draws=2000, seed=4, progress=False)
    table = mc.conflict(fit, progress=False)
    found = table[table["row"] == "difference"].set_index("name")["computed"]
    assert found.tolist() == ["the model has interactions"] * 2 + ["an interaction"]


def test_an_unknown_option_is_refused_by_name() -> None:
    with pytest.raises(mc.InputError, match=r"conflict\(at=…\): no such option"):
        mc.conflict(None, at={})  # type: ignore[call-arg, arg-type]


# ---- the figure


def mark(pc: Any, visual: str, row: str) -> dict[str, Any]:
    found: dict[str, Any] = pc.viz[visual][visual].sel(row=row).item()
    return found


def test_the_figure_puts_the_planted_study_first_and_marks_it(tmp_path: Path) -> None:
    fit = mc.fit(BINOMIAL, COUNTS, method="exact", draws=2000, seed=4, progress=False)
    rows = studies_of(mc.conflict(fit, progress=False))
    pc = mc.plot_conflict(fit, backend="none", progress=False)
    drawn = pc.viz["p"].coords["row"].to_numpy().tolist()
    assert drawn[0] == "study:outlier"
    assert set(drawn) == {f"study:{name}" for name in rows.index}
    assert pc.viz["surprise_conflict"].coords["row"].to_numpy().tolist() == ["study:outlier"]
    # as the table has them; the artists of this backend are dictionaries
    assert mark(pc, "observed", "study:outlier")["x"] == [0.3]
    assert len(pc.viz["middle"].coords["row"]) == len(COUNTS)
    assert "split" not in pc.viz["plot"].coords["column"].to_numpy()
    p = rows.loc["outlier", "p_two_sided"]
    said = f"outlier: 30 % reported, 84 [47\u2013100] % predicted, p {p:.3f}, a conflict"
    assert said.partition("84")[0] in pc.viz.attrs["alt"]
    assert said.rpartition("predicted")[2] in pc.viz.attrs["alt"]
    mc.plot_conflict(fit, file=tmp_path / "conflict.png", progress=False)
    assert (tmp_path / "conflict.png").stat().st_size > 10_000


def test_the_figure_shows_the_node_split_and_says_what_has_none() -> None:
    data = arms((0.0, 1.2), (0.6, -0.6)).assign(
        early=lambda table: np.where(table["study"].isin(["human0", "murine1", "both0"]), "y", "n")
    )
    spec = SPLIT.model_copy(update={"moderators": ("product", "early")})
    fit = mc.fit(spec, data, method="exact", draws=2000, seed=4, progress=False)
    pc = mc.plot_conflict(fit, backend="none", progress=False)
    marks = pc.viz["coefficient_median"].coords["row"].to_numpy().tolist()
    kinds = ("within studies", "across studies", "difference")
    assert marks == [f"{kind}:product[murine]" for kind in kinds]
    assert pc.viz["coefficient_conflict"].coords["row"].to_numpy().tolist() == [marks[2]]
    assert marks[2] in pc.viz["p"].coords["row"].to_numpy()
    notes = " ".join(
        line["string"] for line in pc.viz["notes"]["notes"].to_numpy().ravel() if line is not None
    )
    assert (
        "not told apart for \u03b2, Early: y against n: no study informs it within itself" in notes
    )
    assert "product[murine], difference: " in pc.viz.attrs["alt"]


def test_a_study_without_a_fit_stands_last_with_its_reason() -> None:
    data = COUNTS.iloc[:3].assign(scfv=["murine", "human", "human"], total=20_000)
    spec = mc.ModelSpec(likelihood="binomial", moderators=("scfv",))
    fit = mc.fit(spec, data, method="exact", draws=2000, seed=4, progress=False)
    pc = mc.plot_conflict(fit, backend="none", progress=False)
    assert pc.viz["predicted"].coords["row"].to_numpy().tolist()[-1] == "study:s0"
    assert mark(pc, "predicted", "study:s0")["string"] == "no fit *"
    assert "study:s0" not in pc.viz["observed"].coords["row"].to_numpy()
    assert "s0: no fit" in pc.viz.attrs["alt"]
