"""From findings to the evidence of a question: each rule, and the account of every finding."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from metacart.errors import InputError
from metacart.evidence.collection import Studies
from metacart.evidence.library import load_model, load_studies
from metacart.evidence.selection import account, tabulate
from metacart.records.spec import ModelSpec
from metacart.records.study import Study
from metacart.records.vocabulary import OUTCOMES, Outcome

Make = Callable[..., dict[str, Any]]
PATIENTS = {"enrolled": 40, "infused": 40, "evaluable": 40, "responders": 40}


@pytest.fixture
def study(study_data: Make) -> Callable[..., Study]:
    def make(*findings: Mapping[str, Any], arms: Any = ({},), **values: Any) -> Study:
        arms = tuple({"patients": PATIENTS} | dict(arm) for arm in arms)
        return Study(**study_data(*findings, arms=arms, **values))

    return make


def cr(**values: Any) -> ModelSpec:
    return ModelSpec(**{"likelihood": "binomial", "outcome": "complete_remission"} | values)


def hsct(**values: Any) -> ModelSpec:
    own = {"likelihood": "hsct", "outcome": "overall_survival", "exposure": "hsct"}
    return ModelSpec(**own | values)


def count(events: int, total: int, **values: Any) -> dict[str, Any]:
    return {"count": {"events": events, "total": total}, **values}


def ratio(
    estimate: float, lower: float, upper: float, time: str = "time-fixed", **values: Any
) -> dict[str, Any]:
    """A finding; values of the ratio itself stand under ``of_ratio``."""
    own = {"measure": "hr", "estimate": estimate, "lower": lower, "upper": upper}
    return {
        "outcome": "overall_survival",
        "exposure": "hsct",
        "time_handling": time,
        "ratio": own | values.pop("of_ratio", {}),
        **values,
    }


def rules(studies: Any, spec: ModelSpec) -> list[str]:
    return list(account(studies, spec)["rule"])


# ---- one finding by itself

SINGLE: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "used": ({}, count(13, 20), "used"),
    "another outcome": ({}, count(3, 20, outcome="relapse"), "another outcome"),
    "grades of another outcome": (
        {},
        {"outcome": "crs", "grading": "Lee", "grades": {"0-5": 40}},
        "another outcome",
    ),
    "filter": (
        {"include": {"infusion": ["retreatment", "mixed"]}},
        count(13, 20),
        "infusion is first; the question takes retreatment, mixed",
    ),
    "filter on what is not stated": (
        {"include": {"same_product": [True]}},
        count(13, 20),
        "same_product is not stated; the question takes true",
    ),
    "derived filter": (
        {"include": {"target": ["CD22", "dual"]}},
        count(13, 20),
        "target is CD19; the question takes CD22, dual",
    ),
    "filter on the grading of a finding": (
        {"include": {"grading": ["Lee"]}},
        count(13, 20, grading="ASTCT"),
        "grading is ASTCT; the question takes Lee",
    ),
    "filter on an attribute": (
        {"include": {"blasts": [4]}},
        count(13, 20),
        "blasts is 3; the question takes 4",
    ),
    "filter that is met": (
        {"include": {"study": ["doe2020"], "arm": ["car"], "publication": ["paper"]}},
        count(13, 20),
        "used",
    ),
    "filter by study and arm": ({"include": {"arm": ["doe2020/car"]}}, count(13, 20), "used"),
    "exposure": (
        {},
        {
            "exposure": "prior_hsct",
            "contrast": {
                "exposed": {"events": 4, "total": 10},
                "unexposed": {"events": 9, "total": 9},
            },
        },
        "a comparison by transplant before CAR-T; the question is about whole arms",
    ),
    "exposure by its own words": (
        {},
        {
            "exposure": "other",
            "comparison": "reason of the infusion",
            "contrast": {
                "exposed": {"events": 4, "total": 10},
                "unexposed": {"events": 9, "total": 9},
            },
        },
        "a comparison by reason of the infusion; the question is about whole arms",
    ),
    "kind": (
        {},
        {"survival": {"time": 12, "unit": "month", "estimate": 0.5}},
        "a survival estimate; the question takes counts",
    ),
    "set aside": (
        {},
        count(13, 20, set_aside="the abstract's number"),
        "set aside: the abstract's number",
    ),
    "quoted": (
        {"reported_by": "exclude"},
        count(13, 20, reported_by="an2022"),
        "only quoted by an2022; the question leaves quoted numbers out",
    ),
    "quoted and welcome": (
        {},
        count(13, 20, reported_by="an2022"),
        "used; quoted by an2022",
    ),
    "population": (
        {"population": ["infused", "enrolled"]},
        count(13, 20, population="evaluable"),
        "of the evaluable; the question takes infused, enrolled",
    ),
    "timepoint": (
        {"timepoint": ["day 28", "best"]},
        count(13, 20, timepoint="month 3"),
        "at month 3; the question takes day 28, best",
    ),
    "no timepoint": (
        {"timepoint": ["day 28", "best"]},
        count(13, 20),
        "used; no timepoint stated",
    ),
    "selected arm": (
        {},
        count(1, 3, arm="chosen"),
        'patients selected: lived on (admit = ["doe2020/chosen"] lets it in)',
    ),
    "selected arm by name": (
        {"admit": ["doe2020/chosen"]},
        count(1, 3, arm="chosen"),
        "used; admitted by name",
    ),
}
TWO_ARMS = ({"attributes": {"blasts": 3}}, {"id": "chosen", "selected": "lived on"})


@pytest.mark.parametrize("case", SINGLE)
def test_rule_for_one_finding(case: str, study: Callable[..., Study]) -> None:
    values, finding, rule = SINGLE[case]
    studies = [study(finding, arms=TWO_ARMS)]
    table = account(studies, cr(**values))
    assert list(table["rule"]) == [rule]
    assert list(table["used"]) == [rule.startswith("used")]
    if rule.startswith("used"):
        assert len(tabulate(studies, cr(**values))) == 1
    else:
        with pytest.raises(InputError, match="no finding answers the question"):
            tabulate(studies, cr(**values))


# ---- grades


@pytest.mark.parametrize(
    ("outcome", "grades", "expected"),
    [
        ("severe_crs", {"0": 1, "1-2": 19, "3-4": 7, "5": 1}, (8, 28)),
        ("crs", {"0": 1, "1-2": 19, "3-4": 7, "5": 1}, (27, 28)),
        ("severe_crs", {"0": 20, "1-5": 0}, (0, 20)),  # an empty band may straddle the cut
    ],
)
def test_grades_give_events(
    outcome: str,
    grades: dict[str, int],
    expected: tuple[int, int],
    study: Callable[..., Study],
) -> None:
    finding = {
        "outcome": "crs",
        "grading": "Lee",
        "grades": grades | {"total": sum(grades.values())},
    }
    spec = cr(outcome=outcome)
    table = tabulate([study(finding)], spec)
    assert [tuple(row) for row in table[["events", "total"]].to_numpy()] == [expected]
    assert list(table["outcome"]) == [outcome]
    cut = OUTCOMES[outcome].from_grade
    assert rules([study(finding)], spec) == [
        f"used; grades {cut} to 5 give {expected[0]}/{expected[1]}"
    ]


def test_a_band_over_the_cut_is_no_count(study: Callable[..., Study]) -> None:
    finding = {"outcome": "crs", "grading": "Lee", "grades": {"0-1": 20, "2-4": 18, "5": 2}}
    assert rules([study(finding)], cr(outcome="severe_crs")) == [
        "grades 2-4 lie on both sides of the cut at grade 3"
    ]


def test_grades_of_nobody_and_of_an_ungraded_outcome(study: Callable[..., Study]) -> None:
    nobody = {"outcome": "crs", "grading": "Lee", "grades": {"0-5": 0, "total": 0}}
    assert rules([study(nobody)], cr(outcome="crs")) == ["no patients"]
    ungraded = {"outcome": "gvhd", "grading": "unreported", "grades": {"0-5": 40}}
    assert rules([study(ungraded)], cr(outcome="gvhd")) == [
        "a table of grades; graft-versus-host disease has no lowest grade"
    ]


def test_a_users_own_graded_outcome(study: Callable[..., Study]) -> None:
    own = Outcome("any_toxicity", "t", "d", "lower", graded_by="any_toxicity", from_grade=4)
    finding = {
        "outcome": "any_toxicity",
        "grading": "CTCAE",
        "grades": {"0-3": 30, "4": 7, "5": 3},
    }
    studies = Studies([study(finding)], vocabulary=OUTCOMES | {own.name: own})
    assert tabulate(studies, cr(outcome="any_toxicity"))["events"].tolist() == [10]


# ---- one finding an arm


@pytest.mark.parametrize(
    ("values", "findings", "expected"),
    [
        (
            {"population": ["infused", "evaluable"]},
            [count(25, 27, population="evaluable"), count(25, 28)],
            ["evaluable; infused comes first", "used"],
        ),
        (
            {"population": ["evaluable", "infused"]},
            [count(25, 28), count(25, 27, population="evaluable")],
            ["infused; evaluable comes first", "used"],
        ),
        (
            {},  # without an order: infused before the others
            [count(25, 27, population="evaluable"), count(25, 28)],
            ["evaluable; infused comes first", "used"],
        ),
        (
            {"timepoint": ["day 28", "best"]},
            [count(24, 28, timepoint="best"), count(20, 28), count(22, 28, timepoint="day 28")],
            ["best; day 28 comes first", "no timepoint; day 28 comes first", "used"],
        ),
        (
            # the population decides before the timepoint
            {"population": ["infused", "evaluable"], "timepoint": ["day 28", "best"]},
            [
                count(24, 27, population="evaluable", timepoint="day 28"),
                count(24, 28, timepoint="best"),
            ],
            ["evaluable; infused comes first", "used"],
        ),
        (
            {},
            [count(3, 20), count(4, 28, timepoint="best")],
            ["20 patients; 28 patients comes first", "used"],
        ),
        (
            {},
            [count(3, 20), count(4, 20, timepoint="best")],
            ["used", "findings[1]; findings[0] comes first"],
        ),
    ],
)
def test_one_finding_an_arm(
    values: dict[str, Any],
    findings: list[dict[str, Any]],
    expected: list[str],
    study: Callable[..., Study],
) -> None:
    studies = [study(*findings)]
    assert rules(studies, cr(**values)) == expected
    assert len(tabulate(studies, cr(**values))) == 1


def test_a_direct_count_before_a_table_of_grades(study: Callable[..., Study]) -> None:
    grades = {"outcome": "crs", "grading": "Lee", "grades": {"0-2": 32, "3-5": 8}}
    direct = count(8, 40, outcome="severe_crs")
    assert rules([study(grades, direct)], cr(outcome="severe_crs")) == [
        "read from a table of grades; the direct count comes first",
        "used",
    ]


# ---- arms that share patients


def test_an_arm_gives_way_to_the_one_that_has_its_patients(study: Callable[..., Study]) -> None:
    arms = ({}, {"id": "part", "shares_patients_with": ["car"]})
    part = count(24, 25, arm="part")
    both = [study(count(36, 39), part, arms=arms)]
    assert rules(both, cr()) == [
        "used",
        "its patients are among those of 'car' (admit = [\"doe2020/part\"] lets it in)",
    ]
    assert rules(both, cr(admit=["doe2020/part"])) == ["used", "used; admitted by name"]
    # the whole does not answer the question: its part does
    other_time = [study(count(36, 39, timepoint="best"), part | {"timepoint": "day 28"}, arms=arms)]
    assert rules(other_time, cr(timepoint=["day 28"]))[1] == "used"


def test_arms_that_name_each_other_lose_one(study: Callable[..., Study]) -> None:
    arms = (
        {"id": "first", "shares_patients_with": ["second"]},
        {"id": "second", "shares_patients_with": ["first"]},
    )
    findings = [count(3, 7, arm="first"), count(5, 9, arm="second")]
    assert list(account([study(*findings, arms=arms)], cr())["used"]) == [True, False]


def test_sharing_passes_no_further_than_arms_that_stay(study: Callable[..., Study]) -> None:
    arms = (
        {"id": "a"},
        {"id": "b", "shares_patients_with": ["a"]},
        {"id": "c", "shares_patients_with": ["b"]},
    )
    findings = [count(3, 7, arm=name) for name in "abc"]
    # c shares with b alone, and b is out already
    assert list(account([study(*findings, arms=arms)], cr())["used"]) == [True, False, True]


def test_arms_share_patients_across_studies(study: Callable[..., Study]) -> None:
    studies = [
        study(count(3, 7), arms=({"shares_patients_with": ["roe2021/car"]},)),
        study(count(30, 37), id="roe2021"),
    ]
    assert rules(studies, cr()) == [
        "its patients are among those of 'roe2021/car' (admit = [\"doe2020/car\"] lets it in)",
        "used",
    ]
    assert rules(studies[:1], cr()) == ["used"]


# ---- one report a cohort


def test_one_report_a_cohort(study: Callable[..., Study]) -> None:
    small = study(count(10, 10), id="hu2016", cohort="hcar", citation={"year": 2016})
    early = study(count(16, 24), id="hu2019", cohort="hcar", citation={"year": 2019})
    late = study(count(17, 24), id="hu2021", cohort="hcar", citation={"year": 2021})
    twin = study(count(18, 24), id="hu2021b", cohort="hcar", citation={"year": 2021})
    alone = study(count(3, 7), id="roe2021")
    assert rules([small, early, late, twin, alone], cr()) == [
        (
            "one report a cohort (hcar): Doe 2021 reports more patients, 24 against 10 "
            '(admit = ["hu2016/car"] lets it in beside it)'
        ),
        (
            "one report a cohort (hcar): Doe 2021 is the later report, 2021 against 2019 "
            '(admit = ["hu2019/car"] lets it in beside it)'
        ),
        "used",
        (
            "one report a cohort (hcar): Doe 2021 comes first "
            '(admit = ["hu2021b/car"] lets it in beside it)'
        ),
        "used",
    ]
    # the largest report does not answer another question: the small one does
    assert rules([small, early], cr(include={"study": ["hu2016"]}))[0] == "used"
    assert rules([small, early], cr(admit=["hu2016/car"])) == ["used; admitted by name", "used"]


def test_a_cohort_counts_all_arms_of_a_report(study: Callable[..., Study]) -> None:
    two = study(
        count(8, 15),
        count(9, 15, arm="b"),
        arms=({}, {"id": "b"}),
        id="hu2016",
        cohort="hcar",
        citation={"year": 2016},
    )
    one = study(count(16, 24), id="hu2019", cohort="hcar", citation={"year": 2019})
    assert list(account([two, one], cr())["used"]) == [True, True, False]


# ---- ratios


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        (
            [
                ratio(0.279, 0.101, 0.769),
                ratio(0.4, 0.2, 0.8, "landmark"),
                ratio(0.6, 0.3, 1.2, "time-dependent"),
                ratio(0.5, 0.25, 1.0, "unclear", of_ratio={"adjusted_for": ["age"]}),
            ],
            [
                "time-fixed; time-dependent comes first",
                "landmark; time-dependent comes first",
                "used",
                "unclear; time-dependent comes first",
            ],
        ),
        (
            [
                ratio(0.229, 0.084, 0.623),
                ratio(0.247, 0.088, 0.695, of_ratio={"adjusted_for": ["marrow blasts"]}),
            ],
            ["unadjusted; an adjusted ratio comes first", "used"],
        ),
        (
            # one finding a study, not an arm
            [ratio(0.279, 0.101, 0.769), ratio(0.4, 0.2, 0.8, arm="b")],
            ["used", "9 patients; 40 patients comes first"],
        ),
        (
            [ratio(0.279, 0.101, 0.769), ratio(0.4, 0.2, 0.8, of_ratio={"measure": "or"})],
            ["used", "an odds ratio; the question takes hazard ratios"],
        ),
        (
            [ratio(0.4, 0.2, 0.8, of_ratio={"measure": "rr"}), ratio(0.279, 0.101, 0.769)],
            ["a risk ratio; the question takes hazard ratios", "used"],
        ),
        (
            [
                ratio(0.279, 0.101, 0.769),
                {
                    "outcome": "overall_survival",
                    "exposure": "hsct",
                    "time_handling": "unclear",
                    "contrast": {
                        "exposed": {"events": 1, "total": 11},
                        "unexposed": {"events": 2, "total": 2},
                    },
                },
                count(3, 20, outcome="overall_survival"),
                ratio(0.4, 0.2, 0.8, exposure="marrow_blasts"),
            ],
            [
                "used",
                "a contrast of counts; a ratio comes first",
                "no comparison by allogeneic transplant after CAR-T",
                "a comparison by marrow blasts before infusion",
            ],
        ),
        (
            [
                ratio(0.279, 0.101, 0.769),
                ratio(
                    6.055,
                    1.624,
                    18.933,
                    misprint={"printed": "6.055", "why": "the middle is 5.545"},
                ),
            ],
            ["used", "its interval is misprinted: the middle is 5.545"],
        ),
    ],
)
def test_transplant_takes_one_hazard_ratio_a_study(
    findings: list[dict[str, Any]], expected: list[str], study: Callable[..., Study]
) -> None:
    arms = ({}, {"id": "b", "patients": {"infused": 9}})
    studies = [study(*findings, arms=arms)]
    assert rules(studies, hsct()) == expected
    table = tabulate(studies, hsct())
    assert len(table) == 1
    assert table["measure"].tolist() == ["hr"]


def test_columns_of_a_ratio(study: Callable[..., Study]) -> None:
    finding = ratio(
        0.25,
        0.068,
        0.915,
        of_ratio={"adjusted_for": ["marrow blasts", "age"], "level": 0.9},
        printed_as="OS",
        population="responders",
    )
    row = tabulate([study(finding)], hsct()).iloc[0]
    names = [
        "kind",
        "ratio",
        "lower",
        "upper",
        "level",
        "measure",
        "time_handling",
        "adjusted_for",
        "printed_as",
    ]
    assert [row[name] for name in names] == [
        "ratio",
        0.25,
        0.068,
        0.915,
        0.9,
        "hr",
        "time-fixed",
        "marrow blasts, age",
        "OS",
    ]


def test_a_pool_of_ratios_has_one_measure(study: Callable[..., Study]) -> None:
    def odds(measure: str) -> dict[str, Any]:
        own = {"outcome": "relapse", "of_ratio": {"measure": measure}}
        return ratio(0.5, 0.25, 1.0, **own)

    spec = ModelSpec(likelihood="normal", outcome="relapse", exposure="hsct")
    studies = [
        study(odds(measure), id=f"doe{number}")
        for number, measure in enumerate(["or", "hr", "or"], start=2001)
    ]
    assert rules(studies, spec) == [
        "used",
        "its measure is the hazard ratio; most give the odds ratio",
        "used",
    ]


# ---- the table

COUNT_TABLE = [
    "study",
    "arm",
    "label",
    "arm_label",
    "cohort",
    "year",
    "outcome",
    "population",
    "timepoint",
    "at",
    "finding",
    "infusion",
    "reason",
    "prior_scfv",
    "scfv",
    "scfv_certainty",
    "same_product",
    "target",
    "costimulation",
    "disease",
    "age",
    "publication",
    "grading",
    "blasts",
    "centre",
    "events",
    "total",
]


def test_columns_of_a_table(study: Callable[..., Study]) -> None:
    arm = {
        "label": "the CAR",
        "targets": ["CD19", "CD22"],
        "same_product": False,
        "attributes": {"centre": "A", "blasts": 4.5},
    }
    table = tabulate(
        [study(count(13, 20, grading="Lee"), arms=(arm,), cohort="c"), study(id="roe2021")], cr()
    )
    assert list(table.columns) == COUNT_TABLE
    first = table.iloc[0].to_dict()
    expected = {
        "study": "doe2020",
        "arm": "car",
        "label": "Doe 2020",
        "arm_label": "the CAR",
        "cohort": "c",
        "year": 2020,
        "at": "Table 2",
        "finding": 0,
        "target": "dual",
        "same_product": False,
        "grading": "Lee",
        "centre": "A",
        "blasts": 4.5,
        "events": 13,
        "total": 20,
    }
    assert {name: first[name] for name in expected} == expected
    second = table.iloc[1]
    assert (second["cohort"], second["arm_label"], second["target"]) == ("roe2021", "car", "CD19")
    assert second[["same_product", "grading", "centre", "blasts"]].isna().all()
    assert table["events"].dtype == np.int64


def test_levels_are_recoded_for_the_question(study: Callable[..., Study]) -> None:
    levels = ["human", "humanized", "murine", "mixed"]
    studies = [study(arms=({"scfv": level},), id=f"doe-{level}") for level in levels]
    recode = {"scfv": {"humanized": ["humanized", "human"], "other": ["mixed", "unreported"]}}
    table = tabulate(studies, cr(recode=recode))
    assert table["scfv"].tolist() == ["humanized", "humanized", "murine", "other"]
    # a filter takes a level as recorded or as recoded
    filtered = tabulate(studies, cr(recode=recode, include={"scfv": ["humanized"]}))
    assert filtered["study"].tolist() == ["doe-human", "doe-humanized"]
    filtered = tabulate(studies, cr(recode=recode, include={"scfv": ["human"]}))
    assert filtered["study"].tolist() == ["doe-human"]


def test_true_and_one_are_two_levels(study: Callable[..., Study]) -> None:
    true, one = (study(arms=({"attributes": {"own": value}},)) for value in (True, 1))
    assert len(tabulate([one], cr(include={"own": [1]}))) == 1
    with pytest.raises(InputError, match="no finding answers"):
        tabulate([true], cr(include={"own": [1]}))
    recode = {"own": {"yes": [True]}}
    assert tabulate([true], cr(recode=recode))["own"].tolist() == ["yes"]
    with pytest.raises(InputError, match=r"recode\.own\.yes: true is not known; allowed: 1"):
        tabulate([one], cr(recode=recode))


# ---- what a question cannot ask

VALUES = "try: did you mean '{}'?"


@pytest.mark.parametrize(
    ("values", "start", "end"),
    [
        ({"outcome": None}, "outcome: this key is missing; allowed: complete_remission, ", ""),
        (
            {"outcome": "complete_remision"},
            "outcome: 'complete_remision' is not known; allowed: complete_remission, ",
            VALUES.format("complete_remission"),
        ),
        (
            {"likelihood": "hsct"},
            "exposure: this key is missing; allowed: hsct, ",
            'try: exposure = "hsct"',
        ),
        (
            {"likelihood": "normal", "exposure": "hscts"},
            "exposure: 'hscts' is not known; allowed: hsct, ",
            VALUES.format("hsct"),
        ),
        (
            {"exposure": "hsct"},
            (
                "exposure: 'hsct' compares groups, but binomial takes whole arms; "
                "allowed: no exposure, or a likelihood that takes comparisons; "
            ),
            'try: likelihood = "normal", "two_arm" or "hsct"',
        ),
        (
            {"include": {"infusions": ["first"]}},
            "include.infusions: 'infusions' is not known; allowed: study, arm, infusion, ",
            VALUES.format("infusion"),
        ),
        (
            {"include": {"infusion": ["retreat"]}},
            "include.infusion: 'retreat' is not known; allowed: first, retreatment, mixed",
            VALUES.format("retreatment"),
        ),
        (
            {"include": {"same_product": [1]}},
            "include.same_product: 1 is not known; allowed: true, false",
            "",
        ),
        (
            {"recode": {"scv": {"humanized": ["human"]}}},
            "recode.scv: 'scv' is not known; allowed: study, arm, ",
            VALUES.format("scfv"),
        ),
        (
            {"recode": {"scfv": {"humanized": ["humanised"]}}},
            (
                "recode.scfv.humanized: 'humanised' is not known; "
                "allowed: murine, humanized, human, mixed, unreported; "
            ),
            VALUES.format("humanized"),
        ),
        (
            {"recode": {"disease": {"ALL": ["B-AL"]}}},
            "recode.disease.ALL: 'B-AL' is not known; allowed: B-ALL; ",
            VALUES.format("B-ALL"),
        ),
        (
            {"recode": {"scfv": {"a": ["human"], "b": ["human"]}}},
            "recode.scfv.b: 'human' stands twice; allowed: each level once",
            "",
        ),
        (
            {"admit": ["doe2020/cat"]},
            (
                "admit[0]: 'doe2020/cat' is no arm of these studies; "
                'allowed: arms as "study/arm"; try: did you mean '
            ),
            "'doe2020/car'?",
        ),
    ],
)
def test_a_question_that_cannot_be_asked(
    values: dict[str, Any], start: str, end: str, study: Callable[..., Study]
) -> None:
    for verb in (tabulate, account):
        with pytest.raises(InputError) as error:
            verb([study()], cr(**values))
        (fault,) = error.value.faults
        assert str(fault).startswith(start)
        assert str(fault).endswith(end)


def test_every_fault_of_a_question_at_once(study: Callable[..., Study]) -> None:
    spec = cr(outcome="remission", include={"arms": ["a"]}, admit=["x/y"], recode={"z": {}})
    with pytest.raises(InputError) as error:
        tabulate([study()], spec)
    assert [fault.place for fault in error.value.faults] == [
        "outcome",
        "admit[0]",
        "include.arms",
        "recode.z",
    ]


def test_nothing_answers(study: Callable[..., Study]) -> None:
    studies = [
        study(count(13, 20), count(3, 20, outcome="relapse"), count(4, 20, outcome="death")),
        study(count(13, 20, set_aside="why"), arms=({"infusion": "retreatment"},), id="roe2021"),
    ]
    spec = cr(id="my_question", include={"infusion": ["retreatment"]})
    with pytest.raises(InputError) as error:
        tabulate(studies, spec)
    assert str(error.value) == (
        "evidence of my_question: no finding answers the question; 4 left out by rule: "
        "include infusion 1, another outcome 2, set aside 1; allowed: at least one finding; "
        "try: account(studies, spec) names the rule for each"
    )
    assert len(account(studies, spec)) == 4


def test_nothing_answers_a_filter_on_what_nothing_is(study: Callable[..., Study]) -> None:
    studies = [
        study(arms=({"scfv": "human", "attributes": {"centre": "A"}},), id=name)
        for name in ("doe2020", "roe2021")
    ]
    include = {
        "study": ["doe202", "roe202"],
        "arm": ["doe2020/cars"],
        "disease": ["T-ALL"],
        "grading": ["Lee"],
        "centre": ["B"],
        "same_product": [True],
        "scfv": ["humanized"],
    }
    recode = {"scfv": {"humanized": ["human"]}}
    with pytest.raises(InputError) as error:
        tabulate(studies, cr(include=include, recode=recode))
    first, *others = map(str, error.value.faults)
    assert first.startswith("evidence of analysis: no finding answers the question; ")
    assert others == [
        (
            "include.study: 'doe202' stands in none of these studies; "
            "allowed: doe2020, roe2021; try: did you mean 'doe2020'?"
        ),
        (
            "include.study: 'roe202' stands in none of these studies; "
            "allowed: doe2020, roe2021; try: did you mean 'roe2021'?"
        ),
        (
            "include.arm: 'doe2020/cars' stands in none of these studies; "
            "allowed: car, doe2020/car, roe2021/car; try: did you mean 'doe2020/car'?"
        ),
        (
            "include.disease: 'T-ALL' stands in none of these studies; "
            "allowed: B-ALL; try: did you mean 'B-ALL'?"
        ),
        (
            "include.grading: 'Lee' stands in none of these studies; "
            "allowed: nothing: they do not say"
        ),
        "include.centre: 'B' stands in none of these studies; allowed: A",
        (
            "include.same_product: true stands in none of these studies; "
            "allowed: nothing: they do not say"
        ),
    ]
    assert all(fault.unanswerable for fault in error.value.faults)


def test_a_question_by_name_and_studies_that_are_none(
    study: Callable[..., Study], tmp_path: Path
) -> None:
    studies = load_studies()
    assert tabulate(studies, "cr_rate").equals(tabulate(studies, load_model("cr_rate")))
    file = tmp_path / "own.toml"
    file.write_text('outcome = "complete_remission"\n[model]\nlikelihood = "binomial"\n')
    assert account(studies, file).equals(account(studies, load_model(file)))
    # one study is a sequence of one
    assert tabulate(study(count(13, 20)), cr())["events"].tolist() == [13]
    for verb in (tabulate, account):
        for given, message in (
            ("folder", "'folder' is no Study; {}; try: load_studies('folder')"),
            ([Path("a"), "b"], "a is no Study, 'b' is no Study; {}; try: load_studies('a', 'b')"),
            ([study(), 3], "3 is no Study; {}"),
            (None, "None is no Study; {}"),
        ):
            with pytest.raises(InputError) as error:
                verb(given, "cr_rate")
            allowed = "allowed: the result of load_studies, or studies made in Python"
            assert str(error.value) == f"studies: {message.format(allowed)}"
        with pytest.raises(InputError, match=r"'cr_rat' is not known; .* did you mean 'cr_rate'"):
            verb(studies, "cr_rat")


def test_no_studies_at_all() -> None:
    with pytest.raises(InputError, match="0 left out by rule: none"):
        tabulate([], cr())
    assert account([], cr()).empty


def test_studies_made_in_python_are_gated(study: Callable[..., Study]) -> None:
    wrong = study(count(21, 20), arms=({}, {"id": "b"}))
    other = study(id="roe2021", citation={"doi": wrong.citation.doi})
    for verb in (tabulate, account):
        with pytest.raises(InputError) as error:
            verb([wrong, other], cr())
        assert [fault.place for fault in error.value.faults] == [
            "doe2020: findings[0].count.events",
            "roe2021: citation.doi",
        ]


# ---- the account


def test_columns_and_values_of_the_account(study: Callable[..., Study]) -> None:
    survival = {"outcome": "overall_survival"}
    pair = {
        "exposed": {"estimate": 0.91, "lower": 0.508, "upper": 0.987},
        "unexposed": {"estimate": 0.5},
    }
    studies = [
        study(
            count(13, 20, timepoint="day 30"),
            {"outcome": "crs", "grading": "Lee", "grades": {"0": 1, "1-2": 19, "3-5": 20}},
            {
                "exposure": "prior_hsct",
                "contrast": {
                    "exposed": {"events": 4, "total": 10},
                    "unexposed": {"events": 9, "total": 9},
                },
            },
            ratio(0.25, 0.068, 0.915),
            {**survival, "survival": {"time": 12, "unit": "month", "estimate": 0.7}},
            {
                **survival,
                "exposure": "hsct",
                "time_handling": "landmark",
                "survival": {"time": 1.5, "unit": "year", **pair},
            },
            {
                **survival,
                "quantile": {"probability": 0.5, "unit": "month", "estimate": 11.6, "lower": 4.0},
            },
            {**survival, "quantile": {"probability": 0.5, "unit": "month", "reached": False}},
            {**survival, "quantile": {"probability": 0.25, "unit": "day", "estimate": 90}},
        )
    ]
    table = account(studies, cr())
    names = "study label arm finding outcome population timepoint kind value at used rule cohort"
    assert list(table.columns) == names.split()
    assert table["value"].tolist() == [
        "13/20",
        "grades 0: 1, 1–2: 19, 3–5: 20",
        "4/10 v 9/9",
        "HR 0.25 (0.068–0.915)",
        "70 % at 12 months",
        "91 % (50.8–98.7 %) v 50 % at 1.5 years",
        "median 11.6 (4–?) months",
        "not reached",
        "25 % quantile 90 days",
    ]
    assert table["finding"].tolist() == list(range(9))
    assert table["used"].tolist() == [True] + 8 * [False]
    assert set(table["cohort"]) == {"doe2020"}


@pytest.mark.parametrize("seed", range(20))
def test_account_and_table_tell_the_same(seed: int, study: Callable[..., Study]) -> None:
    rng = np.random.default_rng(seed)

    def pick(*choices: Any) -> Any:
        return choices[rng.integers(len(choices))]

    studies = []
    for number in range(8):
        arms = [
            {"id": "a", "infusion": pick("first", "retreatment"), "scfv": pick("human", "murine")}
        ]
        arms.append({"id": "b", "scfv": "human", "shares_patients_with": pick([], ["a"])})
        findings = [
            count(
                int(rng.integers(0, 20)),
                20,
                arm=pick("a", "b"),
                outcome=pick("complete_remission", "complete_remission", "death"),
                population=pick("infused", "evaluable"),
                timepoint=f"day {day}",
                **pick({}, {}, {"set_aside": "why"}),
            )
            for day in range(5)
        ]
        cohort = {"cohort": pick("x", "y", f"z{number}")}
        studies.append(study(*findings, arms=arms, id=f"doe{number}", **cohort))
    spec = cr(
        population=pick([], ["infused"], ["evaluable", "infused"]),
        timepoint=pick([], ["day 2", "day 1", "day 0"]),
        include=pick({}, {"infusion": ["first"]}, {"scfv": ["human"]}),
        admit=pick([], ["doe0/b"]),
    )
    table = account(studies, spec)
    assert len(table) == sum(len(each.findings) for each in studies)
    used = table[table["used"]]
    assert (used["rule"].str.startswith("used")).all()
    assert not table[~table["used"]]["rule"].str.startswith("used").any()
    evidence = tabulate(studies, spec)
    keys = ["study", "arm", "finding", "population", "at"]
    assert evidence[keys].to_dict("records") == used[keys].to_dict("records")
    assert not evidence.duplicated(["study", "arm"]).any()
    # one report a cohort, but for an arm that is admitted by name
    rest = evidence[(evidence["study"] + "/" + evidence["arm"]).ne("doe0/b")]
    assert (rest.groupby("cohort")["study"].nunique() == 1).all()


# ---- the four source papers


@pytest.fixture(scope="module")
def four() -> Studies:
    studies = load_studies()
    names = ("an2022", "chen2021", "li2020", "scmc2023")
    return Studies([studies[name] for name in names], vocabulary=studies.vocabulary)


@pytest.mark.parametrize(
    ("model", "rows"),
    [
        # Chen: 25 of 28 infused, not of 27 evaluable; Li: all 39, not the sub-arms of 25 and 14
        ("cr_rate", {("chen2021", "first", 25, 28), ("li2020", "all", 36, 39)}),
        # Chen: 8 with grade 3 or higher, one of them grade 5
        ("severe_crs", {("chen2021", "first", 8, 28), ("li2020", "all", 15, 39)}),
        # An's three murine second infusions are among its 19
        (
            "retreatment_cr",
            {
                ("an2022", "hcd19", 13, 19),
                ("chen2021", "second", 3, 7),
                ("scmc2023", "cart2", 5, 5),
            },
        ),
        # Gauthier and the first infusions are in other papers
        (
            "retreatment_severe_crs",
            {
                ("an2022", "hcd19", 1, 19),
                ("chen2021", "second", 0, 7),
                ("scmc2023", "cart2", 0, 5),
            },
        ),
    ],
)
def test_counts_of_the_four_papers(
    model: str, rows: set[tuple[str, str, int, int]], four: Studies
) -> None:
    table = tabulate(four, load_model(model))
    found = table[["study", "arm", "events", "total"]].itertuples(index=False, name=None)
    assert set(found) == rows


@pytest.mark.parametrize(
    ("model", "rows"),
    [
        # Li, Table 4: adjusted for marrow blasts
        ("hsct_benefit_efs", {("li2020", 0.247, 0.088, 0.695)}),
        # Li, Table 5: the stepwise model adjusts for nothing; Chen: Survival Outcome
        (
            "hsct_benefit_os",
            {("li2020", 0.279, 0.101, 0.769), ("chen2021", 0.25, 0.068, 0.915)},
        ),
        # Chen's leukaemia-free survival censors deaths
        ("hsct_relapse", {("chen2021", 0.139, 0.031, 0.619)}),
    ],
)
def test_ratios_of_the_four_papers(
    model: str, rows: set[tuple[str, float, float, float]], four: Studies
) -> None:
    table = tabulate(four, load_model(model))
    columns = ["study", "ratio", "lower", "upper"]
    found = table.dropna(subset="ratio")[columns].itertuples(index=False, name=None)
    assert set(found) == rows


@pytest.mark.parametrize(
    ("model", "rows"),
    [
        ("hsct_benefit_efs", set()),
        # deaths: An, Results, of 13 in remission; the five patients re-treated
        ("hsct_benefit_os", {("an2022", 1, 11, 1, 2), ("scmc2023", 0, 3, 1, 2)}),
        # Chen's 3/10 against 14/15 are the patients of its hazard ratio
        ("hsct_relapse", {("an2022", 1, 11, 2, 2), ("scmc2023", 0, 3, 1, 2)}),
    ],
)
def test_contrasts_of_the_four_papers(
    model: str, rows: set[tuple[str, int, int, int, int]], four: Studies
) -> None:
    table = tabulate(four, load_model(model))
    columns = ["study", "events", "total", "control_events", "control_total"]
    found = table.dropna(subset="events")[columns].itertuples(index=False, name=None)
    assert set(found) == rows


def test_an_arm_of_two_targets_is_mixed(four: Studies) -> None:
    # Li: 25 had CD19 alone and 14 CD19 with CD22; which the transplanted had is not stated
    arms = {arm.id: arm.target for arm in four["li2020"].arms}
    assert arms == {"all": "mixed", "cd19": "CD19", "cd19_cd22": "dual", "hsct": "mixed"}
    for model in ("cr_rate", "severe_crs"):
        table = tabulate(four, model).set_index("study")
        assert table.loc["li2020", ["arm", "target"]].tolist() == ["all", "mixed"]
        # an scFv that is not reported is neither stated nor inferred
        assert table.loc["li2020", "scfv"] == "unreported"
        assert table["scfv_certainty"].isna().to_dict() == {"chen2021": False, "li2020": True}


def test_the_murine_arm_of_retreatment_has_another_target(four: Studies) -> None:
    spec = load_model("retreatment_cr")
    table = account(four, spec).set_index(["study", "arm"])
    murine = table.loc[[("an2022", "mcd19_second")]].query("outcome == 'complete_remission'")
    assert murine["value"].tolist() == ["1/3"]
    assert murine["rule"].str.startswith("patients selected: ").all()
    used = tabulate(four, spec).set_index("study")
    assert used["scfv"].to_dict() == {
        "an2022": "humanized",
        "chen2021": "humanized",
        "scmc2023": "murine",
    }
    assert used["target"].to_dict() == {"an2022": "CD19", "chen2021": "CD19", "scmc2023": "dual"}
