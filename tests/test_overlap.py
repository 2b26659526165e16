"""The tables of papers that share patients: pairs, and the cohorts of which one report counts."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import pytest

import metacart as mc
from metacart.evidence.pairs import STATUSES
from metacart.records.study import Study

Make = Callable[..., dict[str, Any]]
DEATH = {"outcome": "death", "count": {"events": 1, "total": 9}}


@pytest.fixture
def paper(study_data: Make) -> Callable[..., Study]:
    def make(name: str, *, year: int = 2020, **values: Any) -> Study:
        citation = values.pop("citation", {}) | {"year": year, "authors": [name]}
        return Study(**study_data(DEATH, id=name, citation=citation, **values))

    return make


def test_every_status_once(paper: Callable[..., Study]) -> None:
    trial = {"registrations": ["NCT01"]}
    studies = [
        paper("a2020", cohort="one", citation=trial),
        paper("b2020", cohort="one"),
        paper("c2020", arms=({"shares_patients_with": ["a2020/car"]},)),
        paper("d2020", citation=trial, conduct={"centres": ["X"]}),
        paper("e2020", conduct={"centres": ["The X"], "enrolment": {"to": "2019"}}),
        paper("f2020"),
    ]
    assert mc.overlap(studies).to_dict("records") == [
        {
            "first": "a2020",
            "second": "d2020",
            "reason": "same registration NCT01",
            "status": "may share patients, not declared",
            "cohort": "",
        },
        {
            "first": "d2020",
            "second": "e2020",
            "reason": "same centre X, months not stated and ? to 2019",
            "status": "may share patients, not declared",
            "cohort": "",
        },
        {
            "first": "a2020",
            "second": "c2020",
            "reason": "declared by c2020/car",
            "status": "declared",
            "cohort": "",
        },
        {
            "first": "a2020",
            "second": "b2020",
            "reason": "named as one cohort",
            "status": "one cohort",
            "cohort": "one",
        },
    ]


def test_nothing_shared_is_an_empty_table_with_its_columns(paper: Callable[..., Study]) -> None:
    for table in (mc.overlap([paper("a2020")]), mc.cohorts([paper("a2020"), paper("b2020")])):
        assert not len(table)
        assert len(table.columns) >= 5


def test_the_bundled_pairs_agree_with_the_warnings() -> None:
    studies = mc.load_studies()
    table = mc.overlap(studies)
    open_pairs = table[table["status"] == STATUSES[0]]
    warned = [fault for fault in studies.warnings if "may share patients" in fault.found]
    assert open_pairs["second"].nunique() == len(warned)
    for pair in open_pairs.itertuples():
        assert any(f"'{pair.second}'" in f.found and f"'{pair.first}'" in f.found for f in warned)
    # every pair of a cohort is a row, and no row is of one study with itself
    pairs = {frozenset(row) for row in table[["first", "second"]].to_numpy().tolist()}
    assert all(len(pair) == 2 for pair in pairs)
    assert len(pairs) == len(table)
    for one, another in combinations(studies, 2):
        if one.cohort == another.cohort:
            assert frozenset((one.id, another.id)) in pairs
    assert table["status"].map(STATUSES.index).is_monotonic_increasing


def test_groups_from_which_one_report_is_taken(paper: Callable[..., Study]) -> None:
    def arms(*infused: int) -> tuple[dict[str, Any], ...]:
        return tuple(
            {"id": "car" if number == 0 else f"arm{number}", "patients": {"infused": patients}}
            for number, patients in enumerate(infused)
        )

    studies = [
        paper("a2019", year=2019, cohort="one", arms=arms(20), primary_report=True),
        paper("b2020", year=2020, cohort="one", arms=arms(30, 25)),
        paper("c2021", year=2021, cohort="one", arms=arms(12)),
        # a selected arm and one among another of the paper bring nobody of their own
        paper(
            "d2018",
            year=2018,
            cohort="one",
            arms=(
                *arms(10),
                {"id": "s", "patients": {"infused": 99}, "selected": "responders"},
                {"id": "t", "patients": {"infused": 99}, "shares_patients_with": ["car"]},
            ),
        ),
        paper("e2020", cohort="two"),
    ]
    table = mc.cohorts(studies)
    assert table[["study", "patients", "taken_by"]].to_numpy().tolist() == [
        ["a2019", 20, "primary"],
        ["b2020", 55, "largest"],
        ["c2021", 12, "latest"],
        ["d2018", 10, ""],
    ]
    assert set(table["cohort"]) == {"one"}
    assert table["primary_report"].tolist() == [True, False, False, False]


def test_what_the_table_of_cohorts_takes_is_what_a_question_takes() -> None:
    """Where all papers of a bundled cohort answer a question, each rule takes the one named."""
    studies = mc.load_studies()
    table = mc.cohorts(studies)
    checked = 0
    for name in ("cr_rate", "severe_crs"):
        for rule in ("primary", "latest"):
            spec = mc.load_model(name).model_copy(update={"representative": rule})
            account = mc.account(studies, spec)
            answers = account[
                account["used"] | account["rule"].str.startswith("one report a cohort")
            ]
            for cohort, reports in table.groupby("cohort"):
                rows = answers[answers["cohort"] == cohort]
                if set(rows["study"]) == set(reports["study"]):
                    named = reports[reports["taken_by"].str.contains(rule)]["study"].tolist()
                    assert rows[rows["used"]]["study"].unique().tolist() == named, (cohort, rule)
                    checked += 1
    assert checked >= 4
