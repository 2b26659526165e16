"""Of which patients: the population a question wants, and where a study gives only another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

import metacart as mc
from metacart.evidence.denominators import fallbacks, mixing
from metacart.records.study import Study
from metacart.report.account_tables import left_out
from metacart.report.page import _template
from metacart.report.questions import Question

Make = Callable[..., dict[str, Any]]


def count(events: int, total: int, population: str, **values: Any) -> dict[str, Any]:
    return {"population": population, "count": {"events": events, "total": total}, **values}


def cr(*population: str, **values: Any) -> mc.ModelSpec:
    return mc.ModelSpec(
        outcome="complete_remission", likelihood="binomial", population=population, **values
    )


def rules(data: dict[str, Any], spec: mc.ModelSpec) -> list[str]:
    return mc.account([Study(**data)], spec)["rule"].tolist()


@pytest.mark.parametrize(
    ("findings", "order", "expected"),
    [
        ([count(13, 20, "infused")], ["infused", "evaluable"], ["used"]),
        (
            [count(13, 19, "evaluable")],
            ["infused", "evaluable"],
            ["used; of the evaluable: no count of the infused"],
        ),
        (
            [count(13, 21, "enrolled")],
            ["infused", "evaluable", "enrolled"],
            ["used; of the enrolled: no count of the infused or the evaluable"],
        ),
        (
            [count(13, 20, "infused", set_aside="misread"), count(13, 19, "evaluable")],
            ["infused", "evaluable"],
            [
                "set aside: misread",
                "used; of the evaluable: the count of the infused is left out (set aside)",
            ],
        ),
        (
            [count(9, 20, "infused", timepoint="month 3"), count(13, 19, "evaluable")],
            ["infused", "evaluable"],
            [
                "at month 3; the question takes day 28",
                (
                    "used; no timepoint stated; of the evaluable: the count of the infused is "
                    "left out (timepoint)"
                ),
            ],
        ),
        # another outcome of the infused is no count of them for this question
        (
            [count(2, 20, "infused", outcome="death"), count(13, 19, "evaluable")],
            ["infused", "evaluable"],
            ["another outcome", "used; of the evaluable: no count of the infused"],
        ),
        # without an order the infused come first
        ([count(13, 19, "evaluable")], [], ["used; of the evaluable: no count of the infused"]),
        ([count(13, 19, "evaluable")], ["evaluable", "infused"], ["used"]),
    ],
)
def test_the_account_says_where_it_fell_back(
    findings: list[dict[str, Any]], order: list[str], expected: list[str], study_data: Make
) -> None:
    timed = any("timepoint" in each for each in findings)
    spec = cr(*order, **({"timepoint": ["day 28"]} if timed else {}))
    assert rules(study_data(*findings), spec) == expected


def test_grades_are_counted_too(study_data: Make) -> None:
    grades = {
        "outcome": "crs",
        "population": "evaluable",
        "grading": "Lee",
        "grades": {"0": 1, "1-2": 14, "3-5": 4},
    }
    spec = mc.ModelSpec(
        outcome="severe_crs", likelihood="binomial", population=["infused", "evaluable"]
    )
    assert rules(study_data(grades), spec) == [
        "used; grades 3 to 5 give 4/19; of the evaluable: no count of the infused"
    ]


def test_a_ratio_has_a_preferred_population_only_where_the_question_says_so(
    study_data: Make,
) -> None:
    own = {"measure": "hr", "estimate": 0.4, "lower": 0.2, "upper": 0.8}
    finding = {
        "outcome": "overall_survival",
        "population": "responders",
        "exposure": "hsct",
        "time_handling": "landmark",
        "ratio": own,
    }
    values = {"outcome": "overall_survival", "exposure": "hsct", "likelihood": "hsct"}
    assert rules(study_data(finding), mc.ModelSpec(**values)) == ["used"]
    spec = mc.ModelSpec(**values, population=["infused", "responders"])
    assert rules(study_data(finding), spec) == ["used; of the responders: no ratio of the infused"]


def table(*rows: tuple[str, str, str], value: str = "events") -> pd.DataFrame:
    made = pd.DataFrame(list(rows), columns=["label", "arm_label", "population"])
    return made.assign(**{value: 1})


@pytest.mark.parametrize(
    ("evidence", "order", "found", "words"),
    [
        (table(("Doe 2020", "car", "infused")), ["infused", "evaluable"], {}, ""),
        (
            table(
                ("Doe 2020", "car", "infused"),
                ("Roe 2021", "car", "evaluable"),
                ("Poe 2022", "car", "enrolled"),
                ("Moe 2022", "car", "evaluable"),
            ),
            ["infused", "evaluable", "enrolled"],
            {"evaluable": ["Roe 2021", "Moe 2022"], "enrolled": ["Poe 2022"]},
            (
                "Rates are of the infused, but of the evaluable in Roe 2021 and Moe 2022 and of "
                "the enrolled in Poe 2022."
            ),
        ),
        # a study with arms that differ is named with the arm
        (
            table(("Roe 2021", "first", "infused"), ("Roe 2021", "again", "evaluable")),
            ["infused", "evaluable"],
            {"evaluable": ["Roe 2021, again"]},
            "Rates are of the infused, but of the evaluable in Roe 2021, again.",
        ),
        (
            table(("Roe 2021", "first", "evaluable")),
            [],
            {"evaluable": ["Roe 2021"]},
            "No number is of the infused: rates are of the evaluable in Roe 2021.",
        ),
        (
            table(
                ("Roe 2021", "first", "infused"), ("Poe 2021", "first", "responders"), value="ratio"
            ),
            ["infused", "responders"],
            {"responders": ["Poe 2021"]},
            "Ratios are of the infused, but of the responders in Poe 2021.",
        ),
        (table(("Poe 2021", "first", "responders"), value="ratio"), [], {}, ""),
        (pd.DataFrame({"study": ["A"], "events": [1], "total": [2]}), ["infused"], {}, ""),
    ],
)
def test_mixing_is_said_in_words(
    evidence: pd.DataFrame, order: list[str], found: dict[str, list[str]], words: str
) -> None:
    assert fallbacks(evidence, cr(*order)) == found
    assert mixing(evidence, cr(*order)) == words


def test_the_bundled_questions_say_what_they_mix() -> None:
    for name in mc.list_models():
        spec, studies = mc.load_model(name), mc.load_studies()
        account = mc.account(studies, spec)
        marked = account[account["used"] & account["rule"].str.contains(r"; of the \w+: ")]
        if spec.likelihood == "grades":  # any and severe of the same patients are one table
            marked = marked.drop_duplicates(["study", "arm"])
        rows = fallbacks(mc.tabulate(studies, spec), spec)
        assert sum(map(len, rows.values())) == len(marked)


def test_the_page_says_it_beside_what_is_left_out(study_data: Make) -> None:
    data = study_data(count(13, 19, "evaluable"))
    studies = mc.Studies([Study(**data)])
    spec = cr("infused", "evaluable")
    question = Question(spec, mc.account(studies, spec), mc.tabulate(studies, spec))
    left = left_out(question, studies)
    words = "No number is of the infused: rates are of the evaluable in Doe 2020."
    assert left.mixing == words
    page = _template().environment.from_string(
        '{% import "parts.html" as parts %}{{ parts.left_out(section) }}'
    )
    section = {"left": left, "others": "", "discrepancies": ()}
    assert f"<p>{words}</p>" in page.render(section=section)
    nothing = left_out(Question(spec, question.account), studies)
    assert "<p>" not in page.render(section=section | {"left": nothing})
