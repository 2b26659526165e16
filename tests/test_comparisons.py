"""Comparisons of two groups in study files: which kinds enter a question, and what they become."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

import metacart as mc
from metacart.errors import InputError
from metacart.evidence.landmark import log_hazard_ratio
from metacart.modelling.design import bind, data_of
from metacart.records.study import Study

Make = Callable[..., dict[str, Any]]
PATIENTS = {"enrolled": 40, "infused": 40, "evaluable": 40, "responders": 40}
CHEN_OS = {  # Chen 2021, overall survival at 12 months
    "exposed": {"estimate": 0.70, "lower": 0.33, "upper": 0.902},
    "unexposed": {"estimate": 0.364, "lower": 0.112, "upper": 0.624},
}


@pytest.fixture
def study(study_data: Make) -> Callable[..., Study]:
    def make(*findings: Mapping[str, Any], **values: Any) -> Study:
        return Study(**study_data(*findings, arms=({"patients": PATIENTS},), **values))

    return make


def compared(outcome: str = "overall_survival", **values: Any) -> dict[str, Any]:
    own = {"outcome": outcome, "exposure": "hsct", "time_handling": "time-fixed"}
    return own | {"population": "responders"} | values


def ratio(estimate: float = 0.4, lower: float = 0.2, upper: float = 0.8, **values: Any) -> Any:
    of_ratio = {"measure": "hr", "estimate": estimate, "lower": lower, "upper": upper}
    return compared(ratio=of_ratio, **values)


def contrast(a: int = 2, n: int = 21, c: int = 7, m: int = 7, **values: Any) -> dict[str, Any]:
    groups = {"exposed": {"events": a, "total": n}, "unexposed": {"events": c, "total": m}}
    return compared(**{"outcome": "death"} | values, contrast=groups)


def pair(**values: Any) -> dict[str, Any]:
    groups = values.pop("groups", CHEN_OS)
    return compared(**values, survival={"time": 12.0, "unit": "month", **groups})


def question(**values: Any) -> mc.ModelSpec:
    own = {"likelihood": "hsct", "outcome": "overall_survival", "exposure": "hsct"}
    return mc.ModelSpec(**own | values)


def rules(studies: Any, spec: mc.ModelSpec) -> list[str]:
    return list(mc.account(studies, spec)["rule"])


def without(*names: str) -> dict[str, Any]:
    """A pair whose exposed lacks its limits."""
    exposed = {key: value for key, value in CHEN_OS["exposed"].items() if key not in names}
    return {**CHEN_OS, "exposed": exposed}


UNKNOWN = "counts, and how long each group was followed is not stated"


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        (
            [contrast(), pair(), ratio(), ratio(0.5, 0.3, 0.9)],
            [
                "a contrast of counts; a ratio comes first",
                "a survival estimate; a ratio comes first",
                "used",
                "findings[3]; findings[2] comes first",
            ],
        ),
        (
            [contrast(), pair()],
            ["a contrast of counts; a survival estimate comes first", "used"],
        ),
        # a comparison that handles time goes before one that does not, whatever its kind
        (
            [contrast(time_handling="landmark", timepoint="month 24"), ratio()],
            ["used", "time-fixed; landmark comes first"],
        ),
        # a pair without limits has no standard error, so the counts stand for the study
        (
            [contrast(), pair(groups=without("lower", "upper"))],
            [f"used; {UNKNOWN}", "no intervals are printed"],
        ),
        (
            [
                contrast(timepoint="month 24"),
                pair(
                    groups={**CHEN_OS, "unexposed": {"estimate": 0.0, "lower": 0.0, "upper": 0.2}}
                ),
            ],
            ["used", "an estimate of 0 or 1 has no standard error; its counts are to be used"],
        ),
        (
            [pair(groups={**CHEN_OS, "exposed": {**CHEN_OS["exposed"], "level": 0.9}}), contrast()],
            ["its two intervals are of different levels", f"used; {UNKNOWN}"],
        ),
    ],
)
def test_one_finding_a_study_by_a_declared_order(
    findings: list[dict[str, Any]], expected: list[str], study: Callable[..., Study]
) -> None:
    assert rules([study(*findings)], question()) == expected


def test_the_question_may_change_the_order_or_leave_kinds_out(study: Callable[..., Study]) -> None:
    studies = [study(contrast(timepoint="month 12"), pair(), ratio())]
    assert rules(studies, question(kinds=["contrast", "ratio", "survival"])) == [
        "used",
        "a survival estimate; a contrast of counts comes first",
        "a ratio; a contrast of counts comes first",
    ]
    assert rules(studies, question(kinds=["contrast"])) == [
        "used",
        "a survival estimate; the question takes contrasts of counts",
        "a ratio; the question takes contrasts of counts",
    ]
    assert rules(studies, question(kinds=["survival", "contrast"]))[2] == (
        "a ratio; the question takes pairs of survival or contrasts of counts"
    )


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"kinds": ["counts"]}, ["kinds[0]: 'counts'", "ratio", "survival", "contrast"]),
        ({"kinds": ["ratio", "ratio"]}, ["kinds: 'ratio' stands twice"]),
        (
            {"kinds": ["ratio"], "likelihood": "normal"},
            ["kinds: ratio, but normal takes one kind of value", 'likelihood = "hsct"'],
        ),
    ],
)
def test_what_kinds_cannot_be(values: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(InputError) as refusal:
        question(**values)
    for word in words:
        assert word in str(refusal.value)


def test_deaths_are_the_events_of_overall_survival_in_two_groups_alone(
    study: Callable[..., Study],
) -> None:
    deaths = {"outcome": "death", "population": "infused", "count": {"events": 9, "total": 40}}
    studies = [study(contrast(), deaths, ratio(outcome="relapse"))]
    assert rules(studies, question()) == [f"used; {UNKNOWN}", "another outcome", "another outcome"]
    # neither for a pool of ratios, nor the other way round
    normal = question(likelihood="normal")
    assert rules(studies, normal)[0] == "another outcome"
    assert rules([study(ratio())], question(outcome="death")) == ["another outcome"]


def test_columns_of_every_kind(study: Callable[..., Study]) -> None:
    studies = [study(ratio(), id="a2020"), study(pair(), id="b2020"), study(contrast(), id="c2020")]
    table = mc.tabulate(studies, question()).set_index("study")
    assert table["kind"].to_dict() == {"a2020": "ratio", "b2020": "survival", "c2020": "contrast"}
    kinds = {
        "a2020": {"ratio": 0.4, "lower": 0.2, "upper": 0.8, "level": 0.95},
        "b2020": {
            "survival": 0.70,
            "survival_lower": 0.33,
            "survival_upper": 0.902,
            "control_survival": 0.364,
            "control_survival_lower": 0.112,
            "control_survival_upper": 0.624,
        },
        "c2020": {"events": 2, "total": 21, "control_events": 7, "control_total": 7},
    }
    for name, values in kinds.items():
        assert {column: table.loc[name, column] for column in values} == values
        others = {column for own in kinds.values() for column in own} - values.keys() - {"level"}
        assert table.loc[name, sorted(others)].isna().all()
    assert table["follow_up"].tolist()[2] == UNKNOWN


def test_what_each_kind_becomes(study: Callable[..., Study]) -> None:
    studies = [study(ratio(), id="a2020"), study(pair(), id="b2020"), study(contrast(), id="c2020")]
    data = data_of(bind(question(), mc.tabulate(studies, question())))
    assert data["contrast"].tolist() == [False, False, True]
    assert data["estimate"][0] == pytest.approx(np.log(0.4))
    expected = log_hazard_ratio((0.70, 0.33, 0.902), (0.364, 0.112, 0.624))
    assert (data["estimate"][1], data["se"][1]) == pytest.approx(expected)
    counts = [data[name][2] for name in ("exposed_events", "exposed_total", "control_events")]
    assert counts == [2, 21, 7]


def test_two_arms_take_the_contrasts_of_a_question(study: Callable[..., Study]) -> None:
    spec = question(likelihood="two_arm", outcome="relapse")
    table = mc.tabulate([study(contrast(outcome="relapse"), ratio(outcome="relapse"))], spec)
    assert table.loc[0, ["events", "total", "control_events", "control_total"]].tolist() == [
        2,
        21,
        7,
        7,
    ]
    with pytest.raises(InputError, match="exposure: this key is missing"):
        mc.tabulate([study(contrast())], mc.ModelSpec(likelihood="two_arm", outcome="death"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "counts"}, ["row 1 (a), column 'kind': 'counts'", "ratio, survival, contrast"]),
        ({"time_handling": "landmrk"}, ["column 'time_handling'", "did you mean 'landmark'?"]),
        ({"control_events": 30}, ["'control_events' and 'control_total'", "30 events among 18"]),
        ({"events": 1.5}, ["row 1 (a), column 'events': 1.5", "a whole number of 0 or more"]),
        ({"control_total": 0}, ["column 'control_total': 0", "a whole number of 1 or more"]),
    ],
)
def test_what_a_row_of_counts_cannot_be(change: dict[str, Any], words: list[str]) -> None:
    import pandas as pd

    row = {"study": "a", "kind": "contrast", "time_handling": "landmark", "events": 2, "total": 27}
    table = pd.DataFrame([row | {"control_events": 9, "control_total": 18} | change])
    with pytest.raises(InputError) as refusal:
        bind(mc.ModelSpec(likelihood="hsct"), table)
    for word in words:
        assert word in str(refusal.value)


def test_columns_of_a_kind_are_asked_for_where_it_occurs() -> None:
    import pandas as pd

    row = {"study": "a", "kind": "survival", "time_handling": "landmark", "survival": 0.7}
    with pytest.raises(InputError) as refusal:
        bind(mc.ModelSpec(likelihood="hsct"), pd.DataFrame([row]))
    assert "column 'control_survival_upper': this column is missing" in str(refusal.value)
    assert "control_events" not in str(refusal.value)
