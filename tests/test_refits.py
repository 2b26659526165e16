"""The service behind everything that is fitted again."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pandas as pd
import pytest
import xarray as xr
from rich.progress import Progress

import metacart as mc
from metacart.inference import refits
from metacart.inference.refits import Refit, Run, Variant, pinned, refit_all

TABLE = pd.DataFrame(
    {
        "study": list("abcd"),
        "events": [9, 5, 13, 2],
        "total": [10, 8, 19, 9],
        "scfv": ["human", "murine", "human", "human"],
    }
)
SPEC = mc.ModelSpec(likelihood="binomial")
RUN = Run(draws=1500, chains=4, seed=5)


def mean_of_mu(fit: Any, given: Any) -> tuple[float, Any]:
    return float(fit["posterior"]["mu"].mean()), given


def variants() -> list[Variant]:
    return [Variant(f"without {n}", SPEC, TABLE.drop(index=n), given=n) for n in (0, 2)]


def test_rows_stand_in_the_order_of_the_variants() -> None:
    found = refit_all(variants(), read=mean_of_mu, run=RUN, progress=False)
    assert [each.label for each in found] == ["without 0", "without 2"]
    fit = mc.fit(SPEC, TABLE.drop(index=2), draws=1500, seed=5, progress=False)
    assert found[1].value == (float(fit["posterior"]["mu"].mean()), 2)


def test_an_executor_changes_nothing() -> None:
    alone = refit_all(variants(), read=mean_of_mu, run=RUN, progress=False)
    with ThreadPoolExecutor(2) as executor:
        shared = refit_all(variants(), read=mean_of_mu, run=RUN, executor=executor, progress=False)
    assert shared == alone


def test_what_cannot_be_fitted_is_a_row_with_its_reason() -> None:
    def read(fit: Any, given: str) -> float:
        return 1.0 / 0.0 if given == "reader" else mean_of_mu(fit, None)[0]

    spec = SPEC.model_copy(update={"moderators": ("scfv",)})
    listed = [
        Variant("level", spec, TABLE.drop(index=1), given=""),
        Variant("reader", SPEC, TABLE, given="reader"),
        Variant("fine", SPEC, TABLE, given=""),
    ]
    found = refit_all(listed, read=read, run=RUN, progress=False)
    assert found[0] == Refit(
        "level",
        None,
        "cannot be fitted: moderator 'scfv': the evidence has the one level 'human'",
    )
    assert found[1].failure == "cannot be fitted: ZeroDivisionError: float division by zero"
    assert found[2].value is not None
    assert found[2].failure == ""


def test_draws_that_fail_the_gate_are_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    fit = mc.fit(SPEC, TABLE, draws=1500, seed=5, progress=False)
    fit.attrs |= {"converged": 0, "gate": "R-hat of mu is 1.2"}
    monkeypatch.setattr(refits, "fit_again", lambda *_given, **_options: fit)
    (found,) = refit_all(variants()[:1], read=mean_of_mu, run=RUN, progress=False)
    assert found == Refit("without 0", None, "cannot be used: R-hat of mu is 1.2")


def test_what_is_read_is_that_of_a_whole_fit() -> None:
    """A refit leaves out what no row is read from, and has the same numbers."""
    whole = mc.fit(SPEC, TABLE, draws=1500, seed=5, progress=False)
    light = refits.fit_again(SPEC, TABLE, draws=1500, chains=4, seed=5)
    left_out = {"posterior_predictive", "prior_predictive", "log_likelihood", "log_prior"}
    assert set(whole.children) - set(light.children) == left_out
    assert light.attrs == whole.attrs
    for name in light.children:
        xr.testing.assert_identical(light[name].to_dataset(), whole[name].to_dataset())


def test_work_can_travel_to_another_process() -> None:
    fit = mc.fit(SPEC, TABLE, draws=1500, seed=5, progress=False)
    variant, run = pickle.loads(pickle.dumps((Variant("x", pinned(fit), TABLE, 1), Run.of(fit))))
    assert run == Run(draws=fit["posterior"].sizes["draw"], chains=4, seed=5)
    assert (variant.spec, variant.given) == (pinned(fit), 1)


def test_a_bar_counts_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(
        Progress, "add_task", lambda _, words, total: seen.append((words, total)) or 0
    )
    monkeypatch.setattr(Progress, "advance", lambda _, task: seen.append(task))
    monkeypatch.setattr(refits, "_refit", lambda *_given, **_options: Refit("", 1))
    refit_all(variants(), read=mean_of_mu, run=RUN, progress=False)
    assert seen == []
    refit_all(variants(), read=mean_of_mu, run=RUN, progress=True, words="other counts")
    assert seen == [("other counts", 2), 0, 0]
