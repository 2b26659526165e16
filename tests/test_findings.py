"""The summary of findings: numbers of the posterior in the words of GRADE, and no judgement."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import metacart as mc
from metacart.evidence.collection import Studies
from metacart.report.account_tables import LeftOut
from metacart.report.answer_parts import Answer
from metacart.report.basis import Basis
from metacart.report.document import plain
from metacart.report.findings import _several, findings_of, findings_table
from metacart.report.parts import Part
from metacart.report.section import Section
from metacart.report.tables import Column, Row, Table
from metacart.results.absolute import absolute
from metacart.results.summary import estimand_draws, summary_with_errors

RATE = mc.ModelSpec(
    id="rate", outcome="complete_remission", likelihood="binomial", thresholds=[0.5, 0.8]
)
RATIO = mc.ModelSpec(
    id="ratio", outcome="overall_survival", likelihood="normal", scale="log", thresholds=[1.0]
)
HEADINGS = ["Question", "Studies (patients)", "Ratio or value", "In 100 patients", "Imprecision"]
HEADINGS += ["Inconsistency", "Risk of bias", "Certainty"]


def _section(**more: Any) -> Section:
    bias = Table(
        "bias",
        (Column("Item"), Column("Unclear, %"), Column("Judged by a reader")),
        (Row(("one", "10", "0")), Row(("All items", "53", "0"), "strong")),
    )
    given = {
        "name": "rate",
        "title": "A <rate>",
        "question": "?",
        "state": "answered",
        "short": "",
        "basis": Basis(()),
        "answer": Answer("", "", ()),
        "left": LeftOut("", 0, ()),
        "tables": {"bias": bias},
        "figures": {},
        "files": {},
        "record": {"Seed": "1"},
        "versions": {},
    }
    return Section(**given | more)


@pytest.fixture(scope="module")
def rate() -> xr.DataTree:
    table = {"study": list("abcd"), "events": [8, 15, 12, 20], "total": [20, 20, 25, 24]}
    return mc.fit(RATE, pd.DataFrame(table), method="exact", draws=4000, seed=1)


@pytest.fixture(scope="module")
def ratio() -> xr.DataTree:
    table = {"study": list("abc"), "estimate": [-0.7, -0.4, -0.9], "se": [0.3, 0.2, 0.4]}
    return mc.fit(RATIO, pd.DataFrame(table), method="exact", draws=4000, seed=1)


def _cells(fit: xr.DataTree, section: Section) -> list[dict[str, str]]:
    rows = findings_of(section, fit, summary_with_errors(fit), Studies([]))
    table = findings_table([replace(section, findings=rows)])
    names = [column.heading for column in table.columns]
    return [dict(zip(names, map(plain, row.cells), strict=True)) for row in table.rows]


def test_a_rate_stands_in_100_patients_with_what_the_draws_say(rate: xr.DataTree) -> None:
    (row,) = _cells(rate, _section())
    draws = {name: each.ravel() for name, each in estimand_draws(rate).items()}
    average, further = draws["population average"], draws["next study"]
    lower, middle, upper = (100 * np.quantile(average, q) for q in (0.025, 0.5, 0.975))
    assert row["Question"] == "A <rate>; Population average"
    assert row["In 100 patients"] == f"{middle:.0f} ({lower:.0f} to {upper:.0f}) of 100"
    assert row["Imprecision"] == (
        f"interval {upper - lower:.0f} of 100 wide; P(> 50 %) {(average > 0.5).mean():.2f}; "
        f"P(> 80 %) {(average > 0.8).mean():.2f}"
    )
    ends = (f"{100 * np.quantile(further, q):.0f}" for q in (0.025, 0.975))
    assert row["Inconsistency"].startswith(f"next study {' to '.join(ends)} of 100; τ ")
    assert row["Risk of bias"] == "53 % of items unclear"
    assert row["Certainty"] == "for people to judge"
    assert "Ratio or value" not in row


def test_a_ratio_needs_a_baseline_for_100_patients(ratio: xr.DataTree) -> None:
    (row,) = _cells(ratio, _section())
    assert list(row) == HEADINGS
    draws = estimand_draws(ratio)["median study"]
    lower, upper = (float(np.quantile(draws, q)) for q in (0.025, 0.975))
    assert row["In 100 patients"] == "no baseline is stated"
    assert f"its ends differ by a factor of {upper / lower:.2g}" in row["Imprecision"]
    stated = absolute(ratio, baseline=0.5, measure="hr")
    part = Part(title="In 100 patients", blocks=(), frames={"absolute": stated})
    (row,) = _cells(ratio, _section(parts=(part,)))
    difference = stated[
        (stated["measure"] == "difference per 100") & (stated["estimand"] == "median study")
    ]
    # of what there are more, and beside how many
    assert row["In 100 patients"] == (
        f"{difference['words'].item()} free of the event, if 50 without are"
    )


def test_a_comparison_has_a_row_of_its_own(rate: xr.DataTree) -> None:
    frame = pd.DataFrame(
        {
            "estimand": ["population average", "next study, both levels in it"],
            "compared": ["scfv = humanized against scfv = murine"] * 2,
            "measure": ["difference per 100"] * 2,
            "lower": [3.0, 2.0],
            "upper": [45.0, 47.0],
            "p_better": [0.98, 0.97],
            "words": ["24 more of 100 (3 to 45)", "24 more of 100 (2 to 47)"],
        }
    )
    part = Part(title="", blocks=(), frames={"absolute": frame})
    row = _cells(rate, _section(parts=(part,)))[-1]
    assert "scFv origin humanized against murine: difference, population average" in row["Question"]
    assert row["In 100 patients"] == "24 more of 100 (3 to 45)"
    assert row["Imprecision"] == "interval 42 of 100 wide; P(humanized better) 0.98"
    assert row["Inconsistency"] == "next study, both levels in it: 24 more of 100 (2 to 47)"


def test_a_fit_that_must_not_be_used_has_no_row(rate: xr.DataTree) -> None:
    section = _section(answer=None, state="failed")
    assert findings_of(section, rate, summary_with_errors(rate), Studies([])) == ()


def test_each_outcome_of_several_has_a_row() -> None:
    at = ["outcome = complete_remission", "outcome = severe_crs"]
    summary = pd.DataFrame(
        {
            "estimand": ["population average"] * 2 + ["next study"] * 2,
            "at": at * 2,
            "median": [0.8, 0.2, 0.8, 0.2],
            "lower": [0.7, 0.1, 0.5, 0.02],
            "upper": [0.9, 0.35, 0.95, 0.6],
            "mcse_lower": [0.0] * 4,
            "mcse_upper": [0.0] * 4,
        }
    )
    rows = list(_several(summary, Studies([])))
    assert rows == [
        (
            "complete remission",
            "",
            "80 (70 to 90) of 100",
            "interval 20 of 100 wide",
            "next study 50 to 95 of 100",
        ),
        (
            "severe cytokine release syndrome",
            "",
            "20 (10 to 35) of 100",
            "interval 25 of 100 wide",
            "next study 2 to 60 of 100",
        ),
    ]
