"""What changed between two versions of the evidence, in words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import metacart as mc

Make = Callable[..., dict[str, Any]]
Write = Callable[..., Path]

COUNT = {"count": {"events": 13, "total": 20}}


@pytest.fixture
def told(write: Write, study_data: Make) -> Callable[..., list[str]]:
    """Return a function that writes two versions of a study and tells what changed."""

    def tell(
        old: list[dict[str, Any]] | None = None,
        new: list[dict[str, Any]] | None = None,
        **options: tuple[Any, Any],
    ) -> list[str]:
        paths = []
        for side, findings in enumerate((old, new)):
            data = study_data(*(findings or ()), **{k: v[side] for k, v in options.items()})
            paths.append(write(data, f"{'ab'[side]}/doe2020.toml"))
        return mc.diff_studies(paths[0], paths[1])["words"].tolist()

    return tell


def test_nothing_changed() -> None:
    frame = mc.diff_studies(mc.BUNDLED, mc.load_studies())
    assert len(frame) == 0
    columns = ["study", "label", "arm", "what", "change", "key", "before", "after", "words"]
    assert list(frame) == columns


def test_a_count(write: Write, study_data: Make) -> None:
    arms = ({"label": "re-treatment"},)
    before = write(study_data(COUNT, arms=arms), "a/doe2020.toml")
    changed = {"count": {"events": 12, "total": 20}}
    after = write(study_data(changed, arms=arms), "b/doe2020.toml")
    frame = mc.diff_studies(before.parent, mc.load_studies(after))
    (row,) = frame.to_dict("records")
    assert row == {
        "study": "doe2020",
        "label": "Doe 2020",
        "arm": "re-treatment",
        "what": "finding",
        "change": "changed",
        "key": "count",
        "before": "13/20",
        "after": "12/20",
        "words": "Doe 2020, re-treatment: complete remission 12/20, was 13/20",
    }


EXPOSED = {"exposure": "hsct", "time_handling": "landmark", "population": "responders"}
HR = {"measure": "hr", "estimate": 0.5, "lower": 0.25, "upper": 1.0}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            [COUNT],
            [COUNT | {"population": "evaluable", "count": {"events": 13, "total": 19}}],
            [
                "complete remission 13/19, was 13/20",
                "complete remission 13/19: of the evaluable, was of the infused",
            ],
        ),
        (
            [COUNT],
            [COUNT | {"timepoint": "day 28"}],
            ["complete remission 13/20: timepoint day 28, was not stated"],
        ),
        (
            [COUNT],
            [COUNT | {"at": "Table 3"}],
            ["complete remission 13/20: at Table 3, was Table 2"],
        ),
        (
            [COUNT],
            [
                COUNT,
                {
                    "outcome": "relapse",
                    "population": "responders",
                    "count": {"events": 5, "total": 13},
                },
            ],
            ["new: relapse 5/13 (responders)"],
        ),
        (
            [COUNT, COUNT | {"outcome": "death", "timepoint": "month 12"}],
            [COUNT],
            ["death 13/20 (infused, month 12) is no longer there"],
        ),
        (
            [COUNT],
            [COUNT | {"set_aside": "of one centre"}],
            ["complete remission 13/20: now set aside: of one centre"],
        ),
        (
            [COUNT | {"set_aside": "of one centre"}],
            [COUNT],
            ["complete remission 13/20: no longer set aside"],
        ),
        (
            [COUNT],
            [COUNT | {"note": "long " * 20}],
            ["complete remission 13/20: note added"],
        ),
        (
            [COUNT],
            [{"count": {"events": 13, "total": 20, "printed": "65%"}}],
            ["complete remission 13/20: printed 65%, was not stated"],
        ),
        (
            [EXPOSED | {"outcome": "overall_survival", "ratio": HR}],
            [EXPOSED | {"outcome": "overall_survival", "ratio": HR | {"reversed": True}}],
            [
                (
                    "overall survival by allogeneic transplant after CAR-T "
                    "HR 0.5 (0.25–1), reversed, was HR 0.5 (0.25–1)"
                )
            ],
        ),
        (
            [EXPOSED | {"outcome": "overall_survival", "ratio": HR}],
            [EXPOSED | {"outcome": "overall_survival", "ratio": HR | {"p": "0.05"}}],
            [
                (
                    "overall survival by allogeneic transplant after CAR-T HR 0.5 (0.25–1): "
                    "p 0.05, was not stated"
                )
            ],
        ),
    ],
)
def test_findings(
    old: list[dict[str, Any]],
    new: list[dict[str, Any]],
    words: list[str],
    told: Callable[..., list[str]],
) -> None:
    assert told(old, new) == [f"Doe 2020, car: {each}" for each in words]


def test_a_finding_is_matched_with_the_one_most_like_it(told: Callable[..., list[str]]) -> None:
    days = [COUNT | {"timepoint": f"day {day}"} for day in (14, 28)]
    late = {"timepoint": "day 28", "count": {"events": 15, "total": 20}}
    assert told(days, [days[0], late]) == ["Doe 2020, car: complete remission 15/20, was 13/20"]
    # the order of a file is no difference
    assert told(days, days[::-1]) == []


def test_arms(told: Callable[..., list[str]]) -> None:
    patients = {"enrolled": 21, "infused": 20, "evaluable": 19, "responders": 13}
    assert told(
        arms=(
            ({"patients": patients}, {"id": "old", "shares_patients_with": ["car"]}),
            (
                {
                    "patients": patients | {"enrolled": 22},
                    "scfv": "humanized",
                    "same_product": True,
                },
                {"id": "new", "label": "again", "patients": {"infused": 3}},
            ),
        )
    ) == [
        "Doe 2020, car: scFv humanized, was murine",
        "Doe 2020, car: patients enrolled 22, was 21",
        "Doe 2020, car: same product yes, was not stated",
        "Doe 2020, again: a new arm: 3 infused, 0 findings",
        "Doe 2020, old: this arm is no longer there: 21 enrolled, 0 findings",
    ]


def test_paper_cohort_contradictions_and_bias(told: Callable[..., list[str]]) -> None:
    contradiction = {"at": "Table 2", "printed": "74.7%", "recorded": "20/27", "why": "counts"}
    judged = {"judgement": "yes", "why": "as stated"}
    bias = {"jbi": {"site": judged, "demographics": judged}}
    assert told(
        citation=({"doi": "10.1000/a"}, {"doi": "10.1000/b"}),
        cohort=("doe", "roe"),
        discrepancies=([], [contradiction]),
        risk_of_bias=({}, bias),
    ) == [
        "Doe 2020: cohort roe, was doe",
        "Doe 2020: DOI 10.1000/b, was 10.1000/a",
        "Doe 2020: a contradiction of the paper, new: 74.7% (Table 2)",
        "Doe 2020: JBI checklist for case series: 2 items judged, 2 yes",
    ]
    other = {"jbi": {"site": judged | {"judgement": "no"}, "demographics": judged}}
    assert told(
        discrepancies=([contradiction], [contradiction | {"why": "the counts are primary"}]),
        risk_of_bias=(bias, other),
    ) == [
        "Doe 2020: a contradiction of the paper, changed: 74.7% (Table 2)",
        "Doe 2020: JBI checklist for case series, sites clearly reported: no, was yes",
    ]


def test_studies_that_come_and_go(write: Write, study_data: Make) -> None:
    for name in ("doe2020", "roe2020"):
        write(study_data(id=name), f"a/{name}.toml")
    for name in ("doe2020", "poe2020"):
        path = write(study_data(id=name), f"b/{name}.toml")
    frame = mc.diff_studies(path.parents[1] / "a", path.parent)
    assert frame[["study", "what", "change"]].values.tolist() == [
        ["poe2020", "study", "added"],
        ["roe2020", "study", "removed"],
    ]
    assert frame["words"].tolist() == [
        "Doe 2020: new: 1 arm, 1 finding",
        "Doe 2020: no longer there: 1 arm, 1 finding",
    ]


def test_a_file_under_another_name_is_the_same_paper(write: Write, study_data: Make) -> None:
    before = write(study_data(), "a/doe2020.toml")
    after = write(study_data(id="doej2020", citation={"doi": "10.1000/DOE2020"}), "b/doej2020.toml")
    words = mc.diff_studies(before, after)["words"].tolist()
    assert "Doe 2020: id doej2020, was doe2020" in words
    assert not [each for each in words if "new" in each]


def test_what_gates_refuse_today_can_be_compared(write: Write, study_data: Make) -> None:
    before = write(study_data({"count": {"events": 21, "total": 20}}), "a/doe2020.toml")
    after = write(study_data(COUNT), "b/doe2020.toml")
    words = mc.diff_studies(before, after)["words"].tolist()
    assert words == ["Doe 2020, car: complete remission 13/20, was 21/20"]


def test_what_is_no_study_cannot(write: Write, study_data: Make) -> None:
    before = write(study_data({"count": {"events": 1}}), "a/doe2020.toml")
    with pytest.raises(mc.InputError, match=r"findings\[0\].count.total"):
        mc.diff_studies(before, before)
    with pytest.raises(mc.InputError, match="no such file or folder"):
        mc.diff_studies(before.with_name("no.toml"), mc.BUNDLED)
