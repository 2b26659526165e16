"""Tables of grades for the ordinal question: reported, or put together from counts at cuts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from metacart.errors import InputError
from metacart.evidence.flow import flow
from metacart.evidence.library import load_studies
from metacart.evidence.selection import account, tabulate
from metacart.records.spec import ModelSpec
from metacart.records.study import Study

Make = Callable[..., dict[str, Any]]
PATIENTS = {"enrolled": 60, "infused": 40, "evaluable": 40}


@pytest.fixture
def study(study_data: Make) -> Callable[..., Study]:
    def make(*findings: Mapping[str, Any], arms: Any = ({},), **values: Any) -> Study:
        arms = tuple({"patients": PATIENTS} | dict(arm) for arm in arms)
        return Study(**study_data(*findings, arms=arms, **values))

    return make


def crs(**values: Any) -> ModelSpec:
    return ModelSpec(**{"likelihood": "grades", "outcome": "crs"} | values)


def any_of(events: int, total: int, **values: Any) -> dict[str, Any]:
    return {"outcome": "crs", "count": {"events": events, "total": total}, **values}


def severe_of(events: int, total: int, **values: Any) -> dict[str, Any]:
    return any_of(events, total, **({"outcome": "severe_crs"} | values))


def graded(grading: str = "Lee", grades: Any = None, **values: Any) -> dict[str, Any]:
    table = {"0": 10, "1-2": 25, "3": 4, "4": 1, "5": 0} if grades is None else grades
    return {"outcome": "crs", "grading": grading, "grades": table, **values}


def bands(studies: Any, spec: ModelSpec | None = None) -> list[tuple[Any, ...]]:
    table = tabulate(studies, spec or crs())
    columns = ["grade_from", "grade_to", "count", "grading"]
    return list(table[columns].itertuples(index=False, name=None))


def rules(studies: Any, spec: ModelSpec | None = None) -> list[str]:
    return list(account(studies, spec or crs())["rule"])


FULL = [
    (first, last, n, "Lee")
    for first, last, n in ((0, 0, 10), (1, 2, 25), (3, 3, 4), (4, 4, 1), (5, 5, 0))
]
WHOLE = "0 = 10, 1-2 = 25, 3-5 = 5"


@pytest.mark.parametrize(
    ("findings", "rows", "words"),
    [
        pytest.param(
            [graded()],
            FULL,
            ["used; grades 0 = 10, 1-2 = 25, 3 = 4, 4 = 1, 5 = 0"],
            id="a table as reported",
        ),
        pytest.param(
            [any_of(30, 40), severe_of(5, 40)],
            [(0, 0, 10, "unreported"), (1, 2, 25, "unreported"), (3, 5, 5, "unreported")],
            [f"used; with findings[1]: grades {WHOLE}", f"used; with findings[0]: grades {WHOLE}"],
            id="any and severe of the same patients",
        ),
        pytest.param(
            [severe_of(5, 40, grading="Penn"), any_of(30, 40, grading="unreported")],
            [(0, 0, 10, "Penn"), (1, 2, 25, "Penn"), (3, 5, 5, "Penn")],
            [f"used; with findings[1]: grades {WHOLE}", f"used; with findings[0]: grades {WHOLE}"],
            id="one of them names the system",
        ),
        pytest.param(
            [any_of(30, 40)],
            [(0, 0, 10, "unreported"), (1, 5, 30, "unreported")],
            ["used; grades 0 = 10, 1-5 = 30"],
            id="any alone",
        ),
        pytest.param(
            [severe_of(5, 40)],
            [(0, 2, 35, "unreported"), (3, 5, 5, "unreported")],
            ["used; grades 0-2 = 35, 3-5 = 5"],
            id="severe alone",
        ),
        pytest.param(
            [any_of(20, 30), severe_of(5, 40)],
            [(0, 2, 35, "unreported"), (3, 5, 5, "unreported")],
            [
                "of 30 patients, findings[1] of 40: one denominator a table, the larger",
                "used; grades 0-2 = 35, 3-5 = 5",
            ],
            id="different denominators",
        ),
        pytest.param(
            [any_of(30, 40, grading="Lee"), severe_of(5, 40, grading="Penn")],
            [(0, 0, 10, "Lee"), (1, 5, 30, "Lee")],
            [
                "used; grades 0 = 10, 1-5 = 30",
                "graded on Penn, findings[0] on another system",
            ],
            id="two grading systems",
        ),
        pytest.param(
            [any_of(30, 40, population="evaluable"), severe_of(5, 40)],
            [(0, 2, 35, "unreported"), (3, 5, 5, "unreported")],
            ["evaluable; infused comes first", "used; grades 0-2 = 35, 3-5 = 5"],
            id="different populations",
        ),
        pytest.param(
            [any_of(30, 40, timepoint="day 28"), severe_of(5, 40, timepoint="day 90")],
            [(0, 0, 10, "unreported"), (1, 5, 30, "unreported")],
            ["used; grades 0 = 10, 1-5 = 30", "findings[1]; findings[0] comes first"],
            id="different times",
        ),
        pytest.param(
            [graded(), severe_of(5, 40, grading="Lee")],
            FULL,
            [
                "used; grades 0 = 10, 1-2 = 25, 3 = 4, 4 = 1, 5 = 0",
                "findings[0] has the grades of these patients",
            ],
            id="a table beside a count",
        ),
        pytest.param(
            [graded(grades={"0-1": 20, "2-5": 5, "total": 25}), any_of(30, 40)],
            [(0, 0, 10, "unreported"), (1, 5, 30, "unreported")],
            [
                "of 25 patients, findings[1] of 40: one denominator a table, the larger",
                "used; grades 0 = 10, 1-5 = 30",
            ],
            id="a smaller table beside a count",
        ),
        pytest.param(
            [graded("Lee", {"0": 10, "1-5": 30}), graded("Penn", {"0": 12, "1-5": 28})],
            [(0, 0, 10, "Lee"), (1, 5, 30, "Lee")],
            ["used; grades 0 = 10, 1-5 = 30", "findings[1]; findings[0] comes first"],
            id="one table an arm",
        ),
    ],
)
def test_one_table_of_grades_an_arm(
    study: Any, findings: list[Any], rows: list[Any], words: list[str]
) -> None:
    one = study(*findings)
    assert bands([one]) == rows
    assert rules([one]) == words


def test_rows_name_the_finding_whose_cut_they_begin_at(study: Any) -> None:
    one = study(severe_of(5, 40, at="Table 3"), any_of(30, 40, at="Table 2"))
    table = tabulate([one], crs())
    assert list(table["finding"]) == [1, 1, 0]
    assert list(table["at"]) == ["Table 2", "Table 2", "Table 3"]
    assert set(table["outcome"]) == {"crs"}


def test_patients_of_two_counts_are_counted_once(study: Any) -> None:
    one = study(any_of(30, 40), severe_of(5, 40))
    assert flow([one], crs())["counted"].iloc[-1] == 40


def test_of_a_cohort_the_report_that_tells_grades_apart(study: Any) -> None:
    larger = study(any_of(30, 40), id="larger", cohort="same")
    richer = study(any_of(20, 30), severe_of(5, 30), id="richer", cohort="same")
    small = study(any_of(8, 10), severe_of(1, 10), id="small", cohort="same")
    used = tabulate([larger, richer], crs())["study"].unique()
    assert list(used) == ["richer"]
    assert rules([larger, richer])[0] == (
        f"one report a cohort (same): {richer.label} tells more grades apart "
        '(admit = ["larger/car"] lets it in beside it)'
    )
    # ten patients do not take the place of forty
    assert list(tabulate([larger, small], crs())["study"].unique()) == ["larger"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"outcome": "severe_crs"},
            ["'severe_crs' is grade 3 or higher of 'crs'", 'outcome = "crs"'],
        ),
        ({"outcome": "relapse"}, ["'relapse' has no grades", "crs, neurotoxicity, cytopenia"]),
        ({"exposure": "hsct"}, ["grades takes whole arms"]),
    ],
)
def test_what_a_question_about_grades_cannot_ask(
    study: Any, options: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(InputError) as refusal:
        tabulate([study(any_of(30, 40))], crs(**options))
    assert all(word in str(refusal.value) for word in words)


def test_kinds_cannot_be_chosen() -> None:
    with pytest.raises(InputError, match="grades takes one kind of value"):
        crs(kinds=["ratio"])


@pytest.mark.parametrize("outcome", ["crs", "neurotoxicity"])
def test_every_bundled_table_covers_all_grades_once(outcome: str) -> None:
    spec = crs(outcome=outcome, include={"infusion": ["first"], "disease": ["B-ALL"]})
    table = tabulate(load_studies(), spec)
    for _, rows in table.groupby(["study", "arm"]):
        pairs = zip(rows["grade_from"], rows["grade_to"], strict=True)
        assert [g for first, last in pairs for g in range(first, last + 1)] == list(range(6))
        assert rows["grading"].nunique() == 1
    assert table["cohort"].nunique() == table["study"].nunique()


def test_a_bundled_table_against_its_paper() -> None:
    # Gong 2022: grades 1 to 4 in 19, 14, 16 and 1 of 61
    table = tabulate(load_studies(), crs(include={"study": ["gong2022"]}))
    assert list(table["count"]) == [11, 19, 14, 16, 1, 0]
