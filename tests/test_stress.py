"""Evidence that is hard on everything: from the fit to tables, figures and the page."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import special, stats

import metacart as mc

COUNTS = mc.ModelSpec(likelihood="binomial", title="Complete remission", thresholds=[0.5])


def arms(events: Any, totals: Any, names: list[str] | None = None) -> pd.DataFrame:
    total = np.broadcast_to(totals, np.shape(events))
    names = names or [f"study {number}" for number in range(1, len(total) + 1)]
    return pd.DataFrame({"study": names, "events": events, "total": total})


def _scattered(number: int, totals: Any, seed: int = 7) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(seed)
    return rng.binomial(totals, special.expit(rng.normal(1.0, 0.8, number)))


LONG = [
    f"The working group no. {number} on cell therapy in children and in adults, with its annex"
    for number in range(60)
]
CASES: dict[str, pd.DataFrame] = {
    "no events": arms([0] * 6, [10, 5, 20, 8, 3, 14]),
    "events only": arms([10, 5, 20, 8, 3, 14], [10, 5, 20, 8, 3, 14]),
    "one study": arms([13], [19]),
    "one patient": arms([0], [1]),
    "two studies": arms([13, 3], [19, 12]),
    "60 with long names": arms(_scattered(60, 30), 30, LONG),
    "1,000 arms": arms(_scattered(1000, 25), 25),
    "a registry among ten of five": arms(
        [12_000, *[4, 4, 3, 3, 4, 3, 3, 3, 4, 3]], [20_000] + 10 * [5]
    ),
    "one patient among others": arms([1, 13, 0, 7, 9], [1, 19, 1, 12, 10]),
    "all the same": arms([12] * 8, 20),
    "two clusters": arms([0, 0, 1, 0, 1, 39, 40, 40, 38, 40], 40),
    "names of any kind": arms(
        [3, 9, 5], [10, 12, 9], ['O\'Brien & "Sons" <b>', "Müller–Łukasz 2020", "a,b;c\\d$x_1^2$"]
    ),
}


@cache
def fitted(name: str) -> xr.DataTree:
    draws = 500 if len(CASES[name]) > 500 else 1000
    return mc.fit(COUNTS, CASES[name], seed=1, draws=draws, progress=False)


@pytest.fixture(autouse=True)
def loud() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("name", CASES)
def test_the_fit_holds_and_its_tables_are_whole(name: str) -> None:
    fit, table = fitted(name), CASES[name]
    assert (fit.attrs["method"], fit.attrs["converged"]) == ("exact", 1)
    answers = mc.summarize(fit).set_index("estimand")
    limits = answers[["lower", "median", "upper"]].dropna()
    assert (limits.diff(axis=1).iloc[:, 1:] > 0).all(axis=None)
    rates = limits.loc[["median study", "population average", "next study"]]
    assert ((rates > 0) & (rates < 1)).all(axis=None)
    # the next study is never less open than the average of studies
    width = rates["upper"] - rates["lower"]
    assert width["next study"] > width["population average"]
    own = mc.study_estimates(fit)
    assert own["study"].tolist() == table["study"].tolist()
    exact = [
        stats.binomtest(y, n).proportion_ci(0.95, "exact")
        for y, n in zip(table["events"], table["total"], strict=True)
    ]
    np.testing.assert_allclose(own["crude_lower"], [each.low for each in exact], atol=1e-9)
    np.testing.assert_allclose(own["crude_upper"], [each.high for each in exact], atol=1e-9)
    assert ((own["shrunken_lower"] > 0) & (own["shrunken_upper"] < 1)).all()
    checks = mc.predictive_checks(fit)
    assert (checks["check"] == "finding").sum() == len(table)
    assert checks["p"].between(0, 1).all()
    assert mc.heterogeneity(fit)[["lower", "median", "upper"]].notna().all(axis=None)


@pytest.mark.parametrize("name", CASES)
def test_the_forest_plot_has_every_study(name: str) -> None:
    rows = mc.forest_table(fitted(name))
    assert rows.loc[rows["row"] == "study", "study"].tolist() == CASES[name]["study"].tolist()


@pytest.mark.parametrize("name", ["no events", "names of any kind"])
def test_a_figure_is_written_without_a_warning(name: str, tmp_path: Path) -> None:
    mc.plot_forest(fitted(name), file=tmp_path / "forest.svg")
    assert (tmp_path / "forest.svg").stat().st_size > 10_000
