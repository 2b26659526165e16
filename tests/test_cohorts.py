"""Papers on the same patients: one report of them, by the rule that the question declares."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest

import metacart as mc
from metacart.records.spec import REPRESENTATIVES
from metacart.records.study import Study
from metacart.report.rules import reader_rule

Make = Callable[..., dict[str, Any]]
ALL = {"population": ["infused"], "outcome": "complete_remission", "likelihood": "binomial"}


def count(events: int, total: int, **values: Any) -> dict[str, Any]:
    return {"count": {"events": events, "total": total}, **values}


@pytest.fixture
def paper(study_data: Make) -> Callable[..., Study]:
    def make(name: str, *findings: dict[str, Any], year: int, **values: Any) -> Study:
        citation = {"year": year, "authors": [f"{name.rstrip('0123456789').title()} J"]}
        arms = values.pop("arms", ({"patients": {"infused": 99}},))
        return Study(
            **study_data(
                *findings,
                id=name,
                cohort=values.pop("cohort", "trial"),
                citation=citation,
                arms=arms,
                **values,
            )
        )

    return make


def used(studies: list[Study], **values: Any) -> list[str]:
    table = mc.tabulate(studies, mc.ModelSpec(**ALL, **values))
    return (table["study"] + "/" + table["arm"]).tolist()


def rules(studies: list[Study], **values: Any) -> dict[str, str]:
    table = mc.account(studies, mc.ModelSpec(**ALL, **values))
    return {
        f"{row.study}/{row.arm}": row.rule
        for row in table.itertuples()
        if row.outcome == "complete_remission"
    }


@pytest.fixture
def trial(paper: Callable[..., Study]) -> list[Study]:
    """The endpoint paper of a trial, a larger registry report, and the latest one on a subgroup."""
    return [
        paper("lee2015", count(14, 21), year=2015, primary_report=True),
        paper("roe2018", count(30, 50), year=2018),
        paper("doe2021", count(8, 12), year=2021),
    ]


@pytest.mark.parametrize(
    ("value", "study", "why"),
    [
        ("primary", "lee2015", "Lee 2015 is the primary report"),
        ("largest", "roe2018", "Roe 2018 reports more patients, 50 against {patients}"),
        ("latest", "doe2021", "Doe 2021 is the later report, 2021 against {year}"),
    ],
)
def test_each_rule_takes_its_report_and_names_what_takes_another(
    value: Any, study: str, why: str, trial: list[Study]
) -> None:
    takes = dict(zip(("lee2015", "roe2018", "doe2021"), REPRESENTATIVES, strict=True))
    facts = {"lee2015": (21, 2015), "roe2018": (50, 2018), "doe2021": (12, 2021)}
    for order in permutations(trial):
        assert used(list(order), representative=value) == [f"{study}/car"]
        found = rules(list(order), representative=value)
        assert found.pop(f"{study}/car") == "used"
        assert found == {
            f"{name}/car": f"one report a cohort (trial): "
            f"{why.format(patients=facts[name][0], year=facts[name][1])} "
            f'(representative = "{takes[name]}" takes this one)'
            for name in facts
            if name != study
        }
    assert mc.ModelSpec(**ALL).representative == "primary"


def test_the_named_value_takes_it(trial: list[Study]) -> None:
    for value in REPRESENTATIVES:
        for arm, rule in rules(trial, representative=value).items():
            if rule != "used":
                other = rule.split('representative = "')[1].split('"')[0]
                assert used(trial, representative=other) == [arm]


def test_the_primary_report_stands_only_where_it_answers(
    trial: list[Study], paper: Callable[..., Study]
) -> None:
    mute = paper("lee2015", count(1, 21, outcome="death"), year=2015, primary_report=True)
    assert used([mute, *trial[1:]]) == ["roe2018/car"]
    assert used(trial, include={"study": ["roe2018", "doe2021"]}) == ["roe2018/car"]
    same = paper("poe2022", count(30, 50), year=2022)
    assert used([mute, *trial[1:], same]) == ["poe2022/car"]


def test_a_report_that_no_value_takes_can_be_admitted(
    trial: list[Study], paper: Callable[..., Study]
) -> None:
    small = paper("poe2016", count(9, 10), year=2016)
    rule = rules([*trial, small])["poe2016/car"]
    assert rule.endswith('(admit = ["poe2016/car"] lets it in beside it)')
    for value in REPRESENTATIVES:
        found = used([*trial, small], representative=value, admit=["poe2016/car"])
        assert "poe2016/car" in found
        assert len(found) == 2


def test_papers_of_one_cohort_answer_other_questions_apart(paper: Callable[..., Study]) -> None:
    """The endpoint paper has the response, the pooled paper the toxicity."""
    response = paper("lee2015", count(14, 21), year=2015, primary_report=True)
    toxicity = paper("roe2018", count(30, 50, outcome="crs"), year=2018)
    assert used([response, toxicity]) == ["lee2015/car"]
    spec = mc.ModelSpec(outcome="crs", likelihood="binomial")
    assert mc.tabulate([response, toxicity], spec)["study"].tolist() == ["roe2018"]


def test_other_arms_of_a_cohort_answer_a_question_about_them(paper: Callable[..., Study]) -> None:
    """First infusions in one paper and re-treatment in another: each stands in its question."""
    first = paper("lee2015", count(14, 21), year=2015, primary_report=True)
    again = paper(
        "roe2018",
        count(3, 5),
        year=2018,
        arms=({"infusion": "retreatment", "patients": {"infused": 5}},),
    )
    assert used([first, again], include={"infusion": ["retreatment"]}) == ["roe2018/car"]
    assert used([first, again], include={"infusion": ["first"]}) == ["lee2015/car"]
    assert used([first, again]) == ["lee2015/car"]  # the five are among the twenty-one


def test_all_arms_of_the_chosen_report_enter(paper: Callable[..., Study]) -> None:
    arms = tuple({"id": name, "patients": {"infused": 40}} for name in ("low", "high"))
    two = paper("lee2015", count(8, 15, arm="low"), count(9, 15, arm="high"), year=2015, arms=arms)
    one = paper("roe2018", count(16, 24), year=2018)
    assert used([two, one]) == ["lee2015/low", "lee2015/high"]
    assert used([two, one], representative="latest") == ["roe2018/car"]
    found = rules([two, one], representative="latest")
    assert found["lee2015/low"] == (
        "one report a cohort (trial): Roe 2018 is the later report, 2018 against 2015 "
        '(representative = "primary" takes this one)'
    )
    # an admitted arm stands beside the one report that the rule takes
    assert used([two, one], representative="latest", admit=["lee2015/low"]) == [
        "lee2015/low",
        "roe2018/car",
    ]


def test_arms_that_name_each_other_across_papers_of_a_cohort(paper: Callable[..., Study]) -> None:
    """The arm that declares the sharing gives way, unless the question declares another rule."""
    whole = paper("lee2015", count(14, 21), year=2015)
    arms = ({"patients": {"infused": 50}, "shares_patients_with": ["lee2015/car"]},)
    part = paper("roe2018", count(30, 50), year=2018, arms=arms)
    assert used([whole, part]) == used([part, whole]) == ["lee2015/car"]
    assert rules([whole, part])["roe2018/car"] == (
        "one report a cohort (trial): Lee 2015 is the report that this one names for its patients "
        '(representative = "largest" takes this one)'
    )
    assert used([whole, part], representative="largest") == ["roe2018/car"]
    assert used([whole, part], representative="latest") == ["roe2018/car"]
    # beside an admitted arm the one that declares the sharing brings nobody new
    assert used([whole, part], representative="latest", admit=["lee2015/car"]) == ["lee2015/car"]
    assert used([whole, part], admit=["roe2018/car"]) == ["lee2015/car", "roe2018/car"]
    # of two cohorts no rule of a cohort decides
    apart = part.model_copy(update={"cohort": "roe2018"})
    assert used([whole, apart], representative="latest") == ["lee2015/car"]


def test_a_comparison_takes_one_report_too(paper: Callable[..., Study]) -> None:
    def ratio(estimate: float, lower: float, upper: float) -> dict[str, Any]:
        own = {"measure": "hr", "estimate": estimate, "lower": lower, "upper": upper}
        return {
            "outcome": "overall_survival",
            "exposure": "hsct",
            "time_handling": "time-fixed",
            "ratio": own,
        }

    studies = [
        paper("lee2015", ratio(0.4, 0.2, 0.8), year=2015, primary_report=True),
        paper("roe2018", ratio(0.5, 0.25, 1.0), year=2018),
    ]
    for value, study in (("primary", "lee2015"), ("largest", "roe2018"), ("latest", "roe2018")):
        spec = mc.ModelSpec(
            outcome="overall_survival", exposure="hsct", likelihood="hsct", representative=value
        )
        assert mc.tabulate(studies, spec)["study"].tolist() == [study]


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(mc.InputError) as error:
        mc.ModelSpec(**ALL, representative="newest")
    found = "representative: 'newest' is not known; allowed: primary, largest, latest"
    assert str(error.value) == found


def test_a_reader_of_the_page_sees_no_keys(trial: list[Study]) -> None:
    rule = rules(trial)["roe2018/car"]
    assert "representative" in rule
    assert reader_rule(rule, trial[1], trial[1].arms[0]) == (
        "Another paper on the same patients is taken",
        "Lee 2015 is the primary report",
    )
