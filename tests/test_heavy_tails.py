"""Student-t effects whose mean or variance does not exist: nothing is said of what is not there."""

import warnings

import numpy as np
import pandas as pd
import pytest

import metacart as mc
from metacart.errors import InputError
from metacart.modelling.design import SCALES
from metacart.report.check_tables import check_name, heterogeneity_table, predictive_table
from metacart.report.model_words import formulas

TABLE = pd.DataFrame(
    {"study": list("abcd"), "estimate": [-0.5, 0.2, -0.9, 0.1], "se": [0.3, 0.2, 0.4, 0.3]}
)


def heavy(nu, scale="identity"):
    spec = mc.ModelSpec(
        likelihood="normal",
        scale=scale,
        random_effects="student_t",
        nu=nu,
        priors={"mu": "Normal(0, 2)", "tau": "HalfNormal(0.5)"},
    )
    return mc.fit(spec, TABLE, method="exact", seed=1, progress=False)


@pytest.fixture(scope="module")
def ratios():
    return heavy(1.0, "log")


@pytest.fixture(scope="module")
def values():
    return heavy(3.0)


def test_replicated_ratios_are_compared_by_their_logs(ratios):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = mc.predictive_checks(ratios)
    assert np.isfinite(table[["observed", "median", "lower", "upper", "p"]].to_numpy()).all()
    rows = table[table["finding"] == ""].set_index("check")
    assert list(rows.index) == ["geometric mean", "geometric SD", "lowest", "highest"]
    y = TABLE["estimate"].to_numpy()
    assert rows.loc["geometric mean", "observed"] == pytest.approx(np.prod(np.exp(y)) ** 0.25)
    assert rows.loc["geometric SD", "observed"] == pytest.approx(np.exp(np.std(y)))
    assert rows.loc["lowest", "observed"] == pytest.approx(np.exp(-0.9))
    again = ratios["posterior_predictive"]["y"].to_numpy().reshape(-1, 4)
    spread = again.std(axis=-1)
    assert rows.loc["geometric SD", "upper"] == pytest.approx(np.exp(np.quantile(spread, 0.975)))
    assert rows.loc["geometric SD", "p"] == pytest.approx((spread > np.std(y)).mean())


def test_ratios_beyond_all_numbers_are_told(ratios):
    """A tenth of all replicates is 1 000 on the log scale: exp overflows, and none turns to NaN."""
    wild = ratios.copy()
    drawn = wild["posterior_predictive"].to_dataset()
    y = drawn["y"].copy()
    y[:, : y.sizes["draw"] // 10] = 1000.0
    wild["posterior_predictive"] = drawn.assign(y=y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = mc.predictive_checks(wild)
        shown = predictive_table(table, {}, SCALES["log"])
    rows = table.set_index("check")
    assert rows.loc["geometric mean", "upper"] == np.inf
    assert not table.isna().to_numpy().any()
    text = {row.cells[0]: row.cells[2] for row in shown.rows}
    assert text["Geometric mean of all findings"].endswith(" to >1 000 000")


def test_values_and_rates_keep_mean_and_sd(values):
    table = mc.predictive_checks(values)
    rows = table[table["finding"] == ""].set_index("check")
    assert list(rows.index) == ["mean", "SD", "lowest", "highest"]
    assert rows.loc["mean", "observed"] == pytest.approx(-0.275)
    assert check_name({"check": "geometric SD", "finding": ""}, {}) == (
        "geometric standard deviation of all findings"
    )


def test_what_has_no_mean_has_no_population_average(values):
    cauchy = heavy(1.0)
    assert "population average" not in mc.summarize(cauchy)["estimand"].tolist()
    assert "population average" in mc.summarize(values)["estimand"].tolist()
    assert "population average" not in " ".join(formulas(cauchy))
    assert "population average" in " ".join(formulas(values))


def test_a_rate_has_a_mean_whatever_the_effects():
    table = pd.DataFrame({"study": list("ab"), "events": [5, 9], "total": [9, 12]})
    spec = mc.ModelSpec(likelihood="binomial", random_effects="student_t", nu=1.0)
    fit = mc.fit(spec, table, method="exact", seed=1, progress=False)
    assert "population average" in mc.summarize(fit)["estimand"].tolist()


@pytest.mark.parametrize("nu", [0.999, 0.5, 0.0, -1.0])
def test_fewer_degrees_of_freedom_than_one_are_refused(nu):
    with pytest.raises(InputError) as refusal:
        mc.ModelSpec(likelihood="normal", random_effects="student_t", nu=nu)
    assert str(refusal.value).startswith(f"nu: {nu}; allowed: a number of 1 or more")


def test_i_squared_takes_the_variance_of_the_effects(values):
    tau = values["posterior"]["tau"].to_numpy()
    weight = TABLE["se"].to_numpy() ** -2.0
    typical = 3 * weight.sum() / (weight.sum() ** 2 - (weight**2).sum())
    expected = np.quantile(3 * tau**2 / (3 * tau**2 + typical), [0.5, 0.025, 0.975])
    row = mc.heterogeneity(values).set_index("quantity").loc["I squared"]
    assert row[["median", "lower", "upper"]].tolist() == pytest.approx(expected.tolist())
    assert row["note"] == "a convenience: it grows with the size of the studies"


def test_i_squared_is_missing_where_the_effects_have_no_variance(ratios):
    table = mc.heterogeneity(ratios)
    row = table.set_index("quantity").loc["I squared"]
    assert row[["median", "lower", "upper"]].isna().all()
    assert row["note"] == "Student-t effects with nu = 1 have no variance to take a share of"
    cells = heterogeneity_table(table, "student_t").rows[-1].cells
    assert cells[:2] == ("I²", "")
