"""The exact engine beside NUTS: what counts as agreement, and that it is kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from statistics import NormalDist
from typing import Any, cast

import arviz as az
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import metacart as mc
from metacart.report.section import Section
from metacart.report.work import with_agreement
from metacart.results.engine_agreement import compare_engines, kept_comparison

TABLE = pd.DataFrame(
    {"study": list("abcde"), "events": [9, 5, 13, 2, 8], "total": [10, 8, 19, 9, 12]}
)
SPEC = mc.ModelSpec(likelihood="binomial", priors={"mu": "Normal(0, 1.5)", "tau": "HalfNormal(1)"})
SIZE: dict[str, Any] = {"draws": 1500, "chains": 2, "progress": False}


@pytest.fixture(scope="module")
def exact() -> xr.DataTree:
    return mc.fit(SPEC, TABLE, method="exact", seed=1, **SIZE)


@pytest.fixture
def nuts(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Let other draws of the exact engine stand for those of NUTS, or of a set `spec`."""
    own: Any = mc.fit
    asked: dict[str, Any] = {"calls": 0, "attrs": {"method": "nuts"}}

    def other(spec: Any, evidence: Any, **options: Any) -> xr.DataTree:
        asked["calls"] += 1
        asked["method"] = options["method"]
        fit = own(asked.get("spec", spec), evidence, **options | {"method": "exact", "seed": 77})
        fit.attrs |= {"converged": 1} | asked["attrs"]
        return fit

    room = import_module("metacart.results.engine_agreement")
    monkeypatch.setattr(room, "fit_again", other)
    return asked


def test_draws_of_one_posterior_agree(exact: xr.DataTree, nuts: dict[str, Any]) -> None:
    table = compare_engines(exact)
    assert nuts["method"] == "nuts"
    assert table.attrs["agree"] is True
    assert {"mu", "tau"} <= set(table["quantity"])
    assert set(table["statistic"]) == {"mean", "lower", "upper"}
    assert table["errors"].abs().max() < table.attrs["bound"]
    assert table.attrs["bound"] == pytest.approx(NormalDist().inv_cdf(1 - 0.01 / (2 * len(table))))
    # by hand, with the error of as many draws as the weights are worth
    draws = exact["posterior"]["mu"]
    (row,) = table[(table["quantity"] == "mu") & (table["statistic"] == "mean")].to_dict("records")
    size = SIZE | {"draws": draws.sizes["draw"], "chains": draws.sizes["chain"]}
    other = mc.fit(SPEC, TABLE, method="exact", seed=77, **size)["posterior"]["mu"]
    worth = min(exact.attrs["importance_ess"], draws.size)
    one = float(draws.std(ddof=1)) / np.sqrt(worth)
    two = float(az.mcse(other.to_dataset(name="mu"), method="mean")["mu"])
    assert row["mcse"] == pytest.approx(np.hypot(one, two), rel=0.1)
    assert row["exact"] == pytest.approx(float(draws.mean()))
    assert row["nuts"] == pytest.approx(float(other.mean()))
    assert row["errors"] == pytest.approx((row["exact"] - row["nuts"]) / row["mcse"])
    number = len(table)
    assert table.attrs["words"].startswith(
        f"The exact engine and NUTS agree: of {number} means and limits the farthest apart differ "
    )


def test_another_posterior_is_told_apart(exact: xr.DataTree, nuts: dict[str, Any]) -> None:
    nuts["spec"] = SPEC.model_copy(update={"priors": SPEC.priors | {"tau": "HalfNormal(0.7)"}})
    table = compare_engines(exact)
    assert table.attrs["agree"] is False
    assert "do not agree" in table.attrs["words"]


def test_a_comparison_is_made_once_and_shown_when_kept(
    exact: xr.DataTree, nuts: dict[str, Any], tmp_path: Path
) -> None:
    cache = mc.Cache(tmp_path)
    assert kept_comparison(exact, cache) is None
    first = compare_engines(exact, cache=cache)
    pd.testing.assert_frame_equal(compare_engines(exact, cache=tmp_path), first)
    assert nuts["calls"] == 1
    for each in (cache, mc.Cache(tmp_path, fresh=True)):
        shown = kept_comparison(exact, each)
        assert shown is not None
        assert shown.attrs == first.attrs
    assert kept_comparison(exact, None) is None
    assert kept_comparison(mc.fit(SPEC, TABLE, method="exact", seed=2, **SIZE), cache) is None
    compare_engines(exact, cache=mc.Cache(tmp_path, fresh=True))
    assert nuts["calls"] == 2


def test_what_cannot_be_compared_is_refused(exact: xr.DataTree, nuts: dict[str, Any]) -> None:
    other = exact.copy()
    other.attrs = exact.attrs | {"method": "nuts"}
    with pytest.raises(mc.InputError, match="fit: drawn by NUTS: nothing to compare"):
        compare_engines(other)
    nuts["attrs"] = {"method": "nuts", "converged": 0, "gate": "R-hat of tau is 1.2"}
    with pytest.raises(mc.InputError) as refusal:
        compare_engines(exact)
    assert "the draws of NUTS must not be used: R-hat of tau is 1.2" in str(refusal.value)
    failed = {"method": "nuts", "settings": "", "draws": 4000, "failure": "6 divergent transitions"}
    taken_over = [failed, {**failed, "method": "exact", "failure": ""}]
    nuts["attrs"] = {"method": "exact", "attempts": json.dumps(taken_over)}
    with pytest.raises(mc.InputError, match="must not be used: 6 divergent transitions"):
        compare_engines(exact)


def test_the_command_shows_it_when_asked(
    run: Callable[..., Any], here: Path, nuts: dict[str, Any]
) -> None:
    (here / "crs.toml").write_text(
        'schema = 1\noutcome = "severe_crs"\n[model]\nlikelihood = "binomial"\n'
    )
    (here / "few").mkdir()
    for name in ("an2022", "li2020"):
        (here / "few" / f"{name}.toml").write_bytes((mc.BUNDLED / f"{name}.toml").read_bytes())
    ask = ("fit", "crs.toml", "--studies", "few", "--out", "one.nc")
    assert "Exact engine and NUTS" not in run(*ask).out
    shown = run(*ask, "--agreement").out
    assert "The exact engine and NUTS agree: of " in " ".join(shown.split())
    assert "Exact engine and NUTS" in shown


def test_the_page_shows_what_is_kept(
    exact: xr.DataTree, nuts: dict[str, Any], tmp_path: Path
) -> None:
    cache, nothing = mc.Cache(tmp_path), cast("Any", {})
    section = Section(
        **dict.fromkeys(("name", "title", "question", "state", "short"), "x"),
        **dict.fromkeys(("left", "tables", "figures", "files", "record", "versions"), nothing),
        diagnosis="Passed.",
    )
    assert with_agreement(section, exact, cache) is section
    table = compare_engines(exact, cache=cache)
    found = with_agreement(section, exact, cache)
    assert found.diagnosis == f"Passed. {table.attrs['words']}"
    shown = found.tables["agreement"]
    assert len(shown.rows) == table["quantity"].nunique()
    mu = table[table["quantity"] == "mu"].set_index("statistic")["errors"]
    cells = [f"{mu[name]:.1f}" for name in ("mean", "lower", "upper")]
    assert list(shown.rows[0].cells) == ["mu", *cells]
