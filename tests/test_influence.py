"""What each study does to the answer, and how well the others predict it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import metacart as mc

COUNTS = pd.DataFrame(
    {
        "study": [*(f"s{n}" for n in range(7)), "outlier"],
        "events": [17, 16, 17, 18, 17, 16, 17, 6],
        "total": [20] * 8,
    }
)
BINOMIAL = mc.ModelSpec(likelihood="binomial")
NAMES = ("mu", "tau")


@pytest.fixture(scope="module")
def fit() -> Any:
    return mc.fit(BINOMIAL, COUNTS, method="exact", seed=4, progress=False)


@pytest.fixture(scope="module")
def table(fit: Any) -> pd.DataFrame:
    return mc.influence(fit, progress=False)


def test_the_planted_outlier_heads_the_table(table: pd.DataFrame) -> None:
    assert table["left_out"].iloc[0] == "outlier"
    first, rest = table.iloc[0], table.iloc[1:]
    assert first["mu_shift"] > 0.8
    assert first["tau_shift"] < -1
    assert (rest["mu_shift"].abs() < 0.5).all()
    assert first["elpd"] < rest["elpd"].min() - 2
    assert table.attrs["elpd"] == pytest.approx(table["elpd"].sum())


@pytest.mark.parametrize("study", ["s0", "outlier"])
def test_against_a_fit_of_the_rest(fit: Any, table: pd.DataFrame, study: str) -> None:
    """The log predictive density is a difference of log marginal likelihoods; brute force."""
    rest = COUNTS[COUNTS["study"] != study]
    again = mc.fit(BINOMIAL, rest, method="exact", draws=6000, seed=77, progress=False)
    row = table.set_index("left_out").loc[study]
    for name in NAMES:
        whole, other = (each["posterior"][name] for each in (fit, again))
        spread = float(whole.std())
        expected = float(other.mean() - whole.mean()) / spread
        error = float(other.std()) / spread / np.sqrt(other.size)
        assert row[f"{name}_shift"] == pytest.approx(
            expected, abs=4 * np.hypot(row[f"{name}_shift_mcse"], error)
        )
    density = fit.attrs["log_marginal_likelihood"] - again.attrs["log_marginal_likelihood"]
    assert row["elpd"] == pytest.approx(density, abs=4 * row["elpd_mcse"] + 0.02)


def test_log_density_against_a_grid(table: pd.DataFrame) -> None:
    """Slow and obvious: mu and tau on a grid, effects summed, the study left out."""
    mu, tau = np.linspace(-4, 6, 161), np.linspace(0.005, 6, 240)
    z, weight = np.polynomial.hermite_e.hermegauss(61)
    weight = weight / weight.sum()
    eta = mu[:, None, None] + tau[None, :, None] * z
    prior = stats.norm.logpdf(mu, 0, 1.5)[:, None] + stats.halfnorm.logpdf(tau, 0, 1)
    logs = [
        np.log((stats.binom.pmf(y, n, special.expit(eta)) * weight).sum(-1))
        for y, n in zip(COUNTS["events"], COUNTS["total"], strict=True)
    ]
    rows = table.set_index("left_out")
    for position, study in enumerate(COUNTS["study"]):
        rest = prior + sum(each for n, each in enumerate(logs) if n != position)
        expected = special.logsumexp(rest + logs[position]) - special.logsumexp(rest)
        row = rows.loc[study]
        assert row["elpd"] == pytest.approx(expected, abs=4 * row["elpd_mcse"] + 1e-3)


def test_refitted_and_reweighted_rows_say_so(table: pd.DataFrame) -> None:
    how = table.set_index("left_out")["computed"]
    assert how["outlier"].startswith("refitted: ")
    assert "reweighted" in set(how)


def test_a_common_mean_in_closed_form() -> None:
    data = pd.DataFrame(
        {"study": list("abcd"), "estimate": [0.3, 0.5, -0.1, 2.0], "se": [0.2, 0.3, 0.25, 0.3]}
    )
    spec = mc.ModelSpec(
        likelihood="normal", random_effects="none", priors={"mu": "Normal(0, 1)"}, scale="identity"
    )
    table = mc.influence(mc.fit(spec, data, method="exact", seed=4), progress=False)
    assert table["left_out"].iloc[0] == "d"
    assert table["tau_shift"].isna().all()

    def posterior(rows: pd.DataFrame) -> tuple[float, float]:
        precision = 1 + (rows["se"] ** -2).sum()
        return (rows["estimate"] / rows["se"] ** 2).sum() / precision, precision**-0.5

    middle, spread = posterior(data)
    for row in table.itertuples():
        left = data[data["study"] == row.left_out].iloc[0]
        mean, sd = posterior(data[data["study"] != row.left_out])
        assert row.mu_shift == pytest.approx(
            (mean - middle) / spread, abs=4 * float(row.mu_shift_mcse) + 0.03
        )
        density = stats.norm.logpdf(left["estimate"], mean, np.hypot(sd, left["se"]))
        assert row.elpd == pytest.approx(density, abs=4 * float(row.elpd_mcse))


def test_a_level_that_leaves_with_its_study_is_predicted_by_its_prior() -> None:
    data = pd.DataFrame(
        {"study": list("abcde"), "estimate": [0.3, 0.5, -0.1, 0.6, 1.0], "se": 0.3}
        | {"product": ["x", "x", "y", "y", "z"]}
    )
    spec = mc.ModelSpec(
        likelihood="normal", random_effects="none", scale="identity", moderators=("product",),
        priors={"mu": "Normal(0, 1)", "beta": "Normal(0, 0.5)"}, reference={"product": "x"},
    )  # fmt: skip
    table = mc.influence(mc.fit(spec, data, method="exact", seed=4), progress=False)
    row = table.set_index("left_out").loc["e"]
    # x alone tells mu; z is its prior
    precision = 1 + 2 / 0.09
    mean = (0.3 + 0.5) / 0.09 / precision
    # y has a coefficient of its own with a prior, so that it tells something of mu too
    spread = 0.09 / 2 + 0.25
    precision += 1 / spread
    mean = ((0.3 + 0.5) / 0.09 + 0.25 / spread) / precision
    expected = stats.norm.logpdf(1.0, mean, np.sqrt(1 / precision + 0.25 + 0.09))
    assert row["elpd"] == pytest.approx(expected, abs=4 * row["elpd_mcse"])


def test_what_cannot_be_fitted_is_a_row() -> None:
    data = COUNTS.iloc[:3].assign(scfv=["murine", "human", "human"], total=200)
    spec = mc.ModelSpec(likelihood="binomial", moderators=("scfv",))
    fit = mc.fit(spec, data, method="exact", draws=2000, seed=4, progress=False)
    row = mc.influence(fit, progress=False).set_index("left_out").loc["s0"]
    assert row["computed"] == (
        "cannot be fitted: moderator 'scfv': the evidence has the one level 'human'"
    )
    assert np.isnan(row["elpd"])


def test_a_transplant_question_where_the_study_that_handles_time_leaves() -> None:
    """Without it b is its prior: the log density is that of a normal about mu with tau."""
    data = pd.DataFrame(
        {"study": list("abcd"), "kind": "ratio", "ratio": [0.4, 0.3, 0.6, 0.5]}
        | {"lower": [0.2, 0.12, 0.3, 0.25], "upper": [0.8, 0.75, 1.2, 1.0]}
        | {"time_handling": ["time-fixed", "time-fixed", "time-fixed", "landmark"]}
    )
    spec = mc.ModelSpec(likelihood="hsct")
    fit = mc.fit(spec, data, method="exact", seed=4, progress=False)
    row = mc.influence(fit, progress=False).set_index("left_out").loc["d"]
    assert row["computed"] == "refitted: the rest informs other parameters"
    again = mc.fit(spec, data.iloc[:3], method="exact", seed=11, progress=False)
    se = np.log(1.0 / 0.25) / 2 / stats.norm.ppf(0.975)
    mu, tau = (again["posterior"][name].to_numpy() for name in NAMES)
    density = stats.norm.pdf(np.log(0.5), mu, np.hypot(tau, se))
    error = density.std() / density.mean() / np.sqrt(density.size)
    assert row["elpd"] == pytest.approx(
        np.log(density.mean()), abs=4 * np.hypot(row["elpd_mcse"], error)
    )


def test_an_unknown_option_is_refused_by_name(fit: Any) -> None:
    with pytest.raises(mc.InputError, match=r"influence\(at=…\): no such option"):
        mc.influence(fit, at={})  # type: ignore[call-arg]


# ---- the figure


def test_the_figure_shows_the_table(fit: Any, table: pd.DataFrame, tmp_path: Path) -> None:
    pc = mc.plot_influence(fit, backend="none", progress=False)
    rows = [f"left:{name}" for name in table["left_out"]]
    for name in ("study", "mu_shift", "mu_shift_end", "tau_shift", "elpd", "k_hat"):
        assert pc.viz[name].coords["row"].to_numpy().tolist() == rows
    shift = table["mu_shift"].iloc[0]
    assert f"without outlier mu moves by {shift:.2f} SD" in pc.viz.attrs["alt"]
    mc.plot_influence(fit, file=tmp_path / "influence.png", progress=False)
    assert (tmp_path / "influence.png").stat().st_size > 10_000


def test_a_common_effect_has_no_panel_of_tau() -> None:
    spec = mc.ModelSpec(likelihood="binomial", random_effects="none")
    fit = mc.fit(spec, COUNTS.iloc[:4], method="exact", seed=4, progress=False)
    pc = mc.plot_influence(fit, backend="none", progress=False)
    assert "mu_shift" in pc.viz
    assert "tau_shift" not in pc.viz
