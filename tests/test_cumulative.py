"""The answers as studies entered one after the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import metacart as mc

NORMAL = mc.ModelSpec(
    likelihood="normal", random_effects="none", priors={"mu": "Normal(0, 1)"}, scale="identity"
)
VALUES = pd.DataFrame(
    {
        "study": ["late", "first", "tie", "second"],
        "year": [2022, 2018, 2020, 2020],
        "estimate": [0.9, 0.3, 0.5, -0.1],
        "se": [0.2, 0.3, 0.25, 0.4],
    }
)


@pytest.fixture(scope="module")
def fit() -> Any:
    return mc.fit(NORMAL, VALUES, method="exact", draws=2000, seed=4, progress=False)


def test_each_step_is_the_posterior_of_what_was_in(fit: Any) -> None:
    """A common mean with a normal prior is known in closed form after each study."""
    table = mc.cumulative(fit, progress=False)
    table = table[table["estimand"] == "median study"]
    assert table["step"].tolist() == [1, 2, 3, 4]
    assert table["added"].tolist() == ["first", "tie", "second", "late"]  # ties as they stand
    assert table["value"].tolist() == [2018, 2020, 2020, 2022]
    assert table["computed"].tolist() == [*["refitted"] * 3, "as fitted"]
    ordered = VALUES.set_index("study").loc[table["added"]]
    precision = 1 + (ordered["se"] ** -2).cumsum()
    middle = (ordered["estimate"] / ordered["se"] ** 2).cumsum() / precision
    for number, error, p in (
        ("median", "mcse", 0.5),
        ("lower", "mcse_lower", 0.025),
        ("upper", "mcse_upper", 0.975),
    ):
        exact = stats.norm(middle, precision**-0.5).ppf(p)
        assert (np.abs(table[number] - exact) <= 4 * table[error]).all()


def test_the_last_step_is_the_fit_itself(fit: Any) -> None:
    last = mc.cumulative(fit, progress=False).query("step == 4").set_index("estimand")
    own = mc.summarize(fit).set_index("estimand")
    for name, row in last.iterrows():
        assert row["median"] == own.loc[name, "median"]


def test_another_column_orders_and_a_study_enters_whole() -> None:
    data = pd.concat([VALUES, VALUES.iloc[[0]].assign(se=0.05)])
    fit = mc.fit(NORMAL, data, method="exact", draws=1000, seed=4, progress=False)
    table = mc.cumulative(fit, by="se", progress=False).drop_duplicates("step")
    assert table["added"].tolist() == ["late", "tie", "first", "second"]
    assert table["value"].tolist() == [0.05, 0.25, 0.3, 0.4]


def test_a_step_that_cannot_be_fitted_is_a_row_with_its_reason() -> None:
    data = VALUES.assign(product=["a", "a", "b", "a"])
    spec = NORMAL.model_copy(
        update={
            "moderators": ("product",),
            "priors": {"mu": "Normal(0, 1)", "beta": "Normal(0, 1)"},
        }
    )
    fit = mc.fit(spec, data, method="exact", draws=1000, seed=4, progress=False)
    table = mc.cumulative(fit, progress=False)
    first = table[table["step"] == 1]
    assert first["median"].isna().all()
    assert set(first["computed"]) == {
        "cannot be fitted: moderator 'product': the evidence has the one level 'a'"
    }
    assert table[table["step"] > 1]["median"].notna().all()
    pc = mc.plot_cumulative(fit, backend="none", progress=False)
    assert "step:1" not in pc.viz["median"].coords["row"].to_numpy()


@pytest.mark.parametrize(
    ("changes", "by", "message"),
    [
        (
            {},
            "yaer",
            (
                "by: 'yaer' is no column of the evidence; allowed: study, year, estimate, se; "
                "try: did you mean 'year'?"
            ),
        ),
        (
            {"year": [2022, None, 2020, None]},
            "year",
            "column 'year': no value of first, second; allowed: a value of every study",
        ),
        (
            {"when": [2022, "2018", 2020, 2020]},
            "when",
            "column 'when': int and str; allowed: numbers alone, or text alone",
        ),
    ],
)
def test_columns_without_an_order(changes: dict[str, Any], by: str, message: str) -> None:
    fit = mc.fit(NORMAL, VALUES.assign(**changes), method="exact", draws=500, seed=4)
    with pytest.raises(mc.InputError) as error:
        mc.cumulative(fit, by=by)
    assert str(error.value) == message


def test_an_unknown_option_is_refused_by_name(fit: Any) -> None:
    with pytest.raises(mc.InputError, match=r"cumulative\(byy=…\): no such option"):
        mc.cumulative(fit, byy="year")  # type: ignore[call-arg]


# ---- the figure


def test_the_figure_shows_the_table(fit: Any, tmp_path: Path) -> None:
    pc = mc.plot_cumulative(fit, backend="none", progress=False)
    rows = [f"step:{step}" for step in (1, 2, 3, 4)]
    for name in ("median", "answer_interval", "next_study", "study", "value"):
        assert pc.viz[name].coords["row"].to_numpy().tolist() == rows
    table = mc.cumulative(fit, progress=False)
    shown = table[table["estimand"] == "population average"]
    assert f"with 4 studies {shown['median'].iloc[-1]:.2f}" in pc.viz.attrs["alt"]
    mc.plot_cumulative(fit, file=tmp_path / "cumulative.png", progress=False)
    assert (tmp_path / "cumulative.png").stat().st_size > 10_000


def test_a_transplant_question_shows_both_views() -> None:
    data = pd.DataFrame(
        {"study": list("abc"), "kind": "ratio", "ratio": [0.4, 0.3, 0.6]}
        | {"lower": [0.2, 0.12, 0.3], "upper": [0.8, 0.75, 1.2], "time_handling": "time-fixed"}
        | {"year": [2020, 2021, 2022]}
    )
    fit = mc.fit(mc.ModelSpec(likelihood="hsct"), data, method="exact", draws=1000, seed=3)
    pc = mc.plot_cumulative(fit, backend="none", progress=False)
    assert {"median", "naive", "next_study"} <= set(pc.viz.data_vars) | set(pc.viz.children)


def test_studies_of_one_year_enter_together(fit: Any) -> None:
    """What stands after a year is what stands after its last study."""
    one, years = (mc.cumulative(fit, together=each, progress=False) for each in (False, True))
    assert years["step"].unique().tolist() == [1, 3, 4]
    assert years["value"].unique().tolist() == [2018, 2020, 2022]
    assert years["added"].unique().tolist() == ["first", "tie, second", "late"]
    alike = one[one["step"] != 2].drop(columns="added").reset_index(drop=True)
    pd.testing.assert_frame_equal(years.drop(columns="added"), alike)
    shown = mc.plot_cumulative(fit, together=True, progress=False, backend="none")
    for name in ("median", "study"):
        rows = shown.viz[name].coords["row"].to_numpy().tolist()
        assert rows == ["step:1", "step:3", "step:4"]
