"""What a curator reads: each fault in words, with what to try, and none hidden by another."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import metacart as mc
from metacart import cli
from metacart.errors import InputError, nearest, shown
from metacart.evidence.library import BUNDLED, Studies, check_studies
from metacart.inference.records import spec_text
from metacart.records import fields, schema, shapes
from metacart.records.spec import ModelSpec
from metacart.records.study import Arm, Finding, Study
from metacart.records.vocabulary import OUTCOMES
from metacart.results.choices import changed

Make = Callable[..., dict[str, Any]]
Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def lines(write: Write, study_data: Make) -> Callable[..., list[str]]:
    """Return a function from the data of a study to its faults, without file and line."""

    def read(*findings: Mapping[str, Any], **values: Any) -> list[str]:
        write(study_data(*findings, **values))
        return [str(fault).split(": ", 1)[1] for fault in check_studies(".")]

    return read


def count(events: Any, total: Any, **values: Any) -> dict[str, Any]:
    return {"count": {"events": events, "total": total, **values}}


GRADES = {
    "outcome": "crs",
    "grading": "Lee",
    "grades": {"0": 1, "1": 14, "2": 2, "3": 2, "4": 1, "5": 0},
}
RATIO = {
    "outcome": "overall_survival",
    "exposure": "hsct",
    "time_handling": "landmark",
    "ratio": {"measure": "hr", "estimate": 0.25, "lower": 0.068, "upper": 0.915},
}
LOOK_UP = "try: look the table up again, or add `total = 19` if it leaves patients out"


# ---- one fault hides no other

HIDDEN: dict[str, tuple[dict[str, Any], list[str]]] = {
    "a count below zero, of too many patients": (
        count(-3, 25),
        [
            (
                "findings[0].count.events (car, complete_remission): -3; "
                "allowed: a whole number of 0 or more; try: look the number up again"
            ),
            (
                "findings[0].count.total (car, complete_remission): 25 patients, but arm 'car' "
                "has 20 infused; allowed: 1 to 20; "
                "try: name the population that was counted, or correct the arm's patients"
            ),
        ],
    ),
    "a grading, and grades that sum wrongly": (
        GRADES | {"grading": "Le", "grades": GRADES["grades"] | {"1": 13}},
        [
            (
                "findings[0].grading (car, crs): 'Le' is not known; "
                "allowed: ASTCT, Lee, Penn, MSKCC, CTCAE, unreported; try: did you mean 'Lee'?"
            ),
            (
                "findings[0].grades (car, crs): the grades sum to 19; "
                f"allowed: 20, the infused of arm 'car'; {LOOK_UP}"
            ),
        ],
    ),
    "time handling, and an interval without its estimate": (
        RATIO | {"time_handling": "x", "ratio": RATIO["ratio"] | {"estimate": 2.5}},
        [
            (
                "findings[0].time_handling (car, overall_survival): 'x' is not known; "
                "allowed: time-fixed, landmark, time-dependent, unclear"
            ),
            (
                "findings[0].ratio (car, overall_survival): the interval of 2.5 (0.068–0.915) does "
                "not hold its estimate; allowed: lower ≤ estimate ≤ upper, and lower < upper; "
                'try: correct it, or add misprint = { printed = "2.5 (0.068–0.915)", why = "…" }'
            ),
        ],
    ),
    "a key, a lost place, and grades that sum wrongly": (
        GRADES | {"typo": 1, "at": "", "grades": GRADES["grades"] | {"1": 13}},
        [
            "findings[0].at (car, crs): nothing stands here; allowed: text",
            "findings[0].typo (car, crs): this key is not known; allowed: arm, outcome, ",
            "findings[0].grades (car, crs): the grades sum to 19; ",
        ],
    ),
    "a population, and a grade that is missing": (
        GRADES | {"population": "infusd", "grades": {"0": 1, "2-5": 19}},
        [
            "findings[0].population (car, crs): 'infusd' is not known; ",
            "findings[0].grades (car, crs): grade 1 is missing; ",
        ],
    ),
    "a time of no shape, and two kinds of value": (
        count(13, 20) | {"timepoint": "soon", "grades": GRADES["grades"], "grading": "Lee"},
        [
            "findings[0].timepoint (car, complete_remission): 'soon'; ",
            "findings[0] (car, complete_remission): count and grades; ",
        ],
    ),
}


@pytest.mark.parametrize("case", HIDDEN)
def test_a_faulty_key_of_a_finding_hides_nothing(
    case: str, lines: Callable[..., list[str]]
) -> None:
    finding, expected = HIDDEN[case]
    found = lines(finding)
    assert len(found) == len(expected)
    for start in expected:
        assert any(line.startswith(start) for line in found), start


def test_a_faulty_key_of_an_arm_hides_nothing(lines: Callable[..., list[str]]) -> None:
    patients = {"enrolled": 21, "infused": 29, "evaluable": 19}
    wrong = {"infusion": "frst", "patients": patients, "prior_hsct": count(9, 8)["count"]}
    found = lines(count(13, 25), arms=({}, wrong))
    assert sorted(line.split("; ")[0] for line in found) == [
        "arms[1].id (car): 'car' stands twice",
        "arms[1].infusion (car): 'frst' is not known",
        "arms[1].patients.infused (car): 29 infused of 21 enrolled",
        "arms[1].prior_hsct.events (car): 9 events among 8",
        (
            "findings[0].count.total (car, complete_remission): 25 patients, but arm 'car' has 20 "
            "infused"
        ),
    ]


def test_a_faulty_key_of_the_citation_hides_nothing(write: Write, study_data: Make) -> None:
    data = study_data(citation={"journal": 3})
    del data["citation"]["doi"]
    write(data)
    assert [fault.place for fault in check_studies(".")] == ["citation", "citation.journal"]


EVERYTHING: list[dict[str, Any]] = [
    count(13, 20, printed="65%") | {"timepoint": "day 30", "definition": "CR", "note": "a note"},
    GRADES,
    {"outcome": "severe_crs", "grading": "Lee", **count(3, 20)},
    {
        "outcome": "death",
        "exposure": "prior_hsct",
        "contrast": {"exposed": count(4, 10)["count"], "unexposed": count(9, 10)["count"]},
    },
    RATIO | {"ratio": RATIO["ratio"] | {"p": "0.036", "adjusted_for": ["age"]}},
    {
        "outcome": "overall_survival",
        "survival": {"time": 12, "unit": "month", "estimate": 0.9, "lower": 0.5, "upper": 0.98},
    },
    {
        "outcome": "event_free_survival",
        "quantile": {"probability": 0.5, "unit": "month", "estimate": 9, "lower": 4},
    },
]
ARMS: tuple[dict[str, Any], ...] = (
    {
        "age": {"median": 20, "lower": 4},
        "attributes": {"dose": 3},
        "prior_hsct": count(9, 20)["count"],
    },
    {"id": "other", "scfv": "unreported", "targets": ["CD19", "CD22"], "target": "mixed"},
)


def everything(study_data: Make) -> dict[str, Any]:
    conduct = {"enrolment": {"from": "2019", "to": "2019-06"}, "centres": ["Beijing"]}
    data = study_data(*EVERYTHING, arms=ARMS, conduct=conduct, cohort="one")
    own: dict[str, Any] = json.loads(json.dumps(data))  # no two places share a table
    return own


def leaves(data: Any, *location: Any) -> list[tuple[Any, ...]]:
    entries: Any = data.items() if isinstance(data, dict) else enumerate(data)
    found: list[tuple[Any, ...]] = []
    for key, value in entries:
        found.append((*location, key))
        if isinstance(value, dict | list):
            found += leaves(value, *location, key)
    return found


def holder_of(data: Any, location: tuple[Any, ...]) -> Any:
    for step in location[:-1]:
        data = data[step]
    return data


def faults_of(write: Write, data: dict[str, Any]) -> list[str]:
    write(data, "doe2020.toml")
    return [fault.place.split(" ")[0] for fault in check_studies(".")]


def test_a_fault_anywhere_brings_no_other_with_it(write: Write, study_data: Make) -> None:
    locations = leaves(everything(study_data))
    assert faults_of(write, everything(study_data)) == []
    assert len(locations) > 90
    for location in locations:
        data = everything(study_data)
        holder_of(data, location)[location[-1]] = date(2020, 1, 1)
        if location != ("schema",):
            assert faults_of(write, data) == [fields.place_of(location)], location


def test_a_strange_key_anywhere_brings_no_other_fault_with_it(
    write: Write, study_data: Make
) -> None:
    open_to_all = {"attributes", "grades"}
    for location in leaves(everything(study_data)):
        data = everything(study_data)
        table = holder_of(data, location)[location[-1]]
        if isinstance(table, dict) and location[-1] not in open_to_all:
            table["zzz"] = 1
            assert faults_of(write, data) == [fields.place_of((*location, "zzz"))], location


def test_what_a_faulty_key_decides_stays_open(lines: Callable[..., list[str]]) -> None:
    # which arm is meant, how many had what, and which percentage is right
    arms = ({}, {"id": "Arm B"})
    found = lines(count(3, 4) | {"arm": "Arm B"}, count(3, 4) | {"arm": "arm-c"}, arms=arms)
    assert [line.split("; ")[0] for line in found] == ["arms[1].id (Arm B): 'Arm B'"]
    assert len(lines(count(-1, 20, printed="65%"))) == 1
    assert len(lines(GRADES | {"grades": GRADES["grades"] | {"1": -14}})) == 1


def test_a_misspelt_key_is_one_fault_and_is_read_as_what_was_meant(
    lines: Callable[..., list[str]],
) -> None:
    assert [line.split("; allowed")[0] for line in lines(arms=({"scfvv": "human"},))] == [
        "arms[0].scfvv (car): this key is not known"
    ]
    # without its timepoint the second would be the first once more
    twice = [count(13, 20) | {"timepoint": "day 30"}, count(12, 20) | {"timepont": "day 60"}]
    assert [line.split("; allowed")[0] for line in lines(*twice)] == [
        "findings[1].timepont (car, complete_remission): this key is not known"
    ]
    (line,) = lines(count(13, 20) | {"timepont": "60 days"})
    assert line.startswith("findings[0].timepont")


# ---- no fault about what nobody wrote


def test_the_cohort_of_a_faulty_id_is_no_fault(write: Write, study_data: Make) -> None:
    write(study_data() | {"id": "Doe 2022"}, "doe2022.toml")
    assert [str(fault) for fault in check_studies(".")] == [
        (
            "doe2022.toml:2: id: 'Doe 2022'; "
            "allowed: lower-case letters, digits, - and _, beginning with a letter; "
            "try: did you mean 'doe2022'?"
        )
    ]
    data = study_data()
    del data["id"]
    write(data, "doe2022.toml")
    assert [str(fault) for fault in check_studies(".")] == [
        'doe2022.toml:1: id: this key is missing; try: add `id = "an2022"`'
    ]


def test_the_cohort_is_the_id_by_default(study_data: Make) -> None:
    assert Study(**study_data()).cohort == "doe2020"
    assert Study(**study_data(cohort="one")).cohort == "one"


def test_a_file_is_renamed_where_its_name_can_be_no_id(write: Write, study_data: Make) -> None:
    write(study_data(id="aa2022"), "AA2022.toml")
    assert [str(fault) for fault in check_studies(".")] == [
        (
            "AA2022.toml:2: id: 'aa2022' in a file named AA2022.toml; allowed: the name of the "
            "file; try: rename the file to aa2022.toml"
        )
    ]


def test_a_wrong_arm_is_one_fault_for_all_its_findings(lines: Callable[..., list[str]]) -> None:
    many = [count(n, 20) | {"arm": "cat", "timepoint": f"day {n}"} for n in range(3)]
    assert lines(count(13, 20), *many) == [
        (
            "findings[1].arm (cat, complete_remission): 'cat' is not known, here and in "
            "findings[2], findings[3]; allowed: car; try: did you mean 'car'?"
        )
    ]
    many = [count(n, 20) | {"arm": "cat", "timepoint": f"day {n}"} for n in range(9)]
    (line,) = lines(*many)
    assert "findings[1], findings[2], findings[3], findings[4], findings[5] and 3 more;" in line


# ---- words


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {"timepoint": "28 days"},
            (
                "findings[0].timepoint: '28 days'; "
                "allowed: day N, week N, month N, best or last follow-up; "
                "try: did you mean 'day 28'?"
            ),
        ),
        ({"timepoint": "Day 30"}, "try: did you mean 'day 30'?"),
        ({"timepoint": "1 year"}, "try: did you mean 'month 12'?"),
        ({"timepoint": "best response"}, "try: did you mean 'best'?"),
        ({"timepoint": "28-30 days"}, "try: such as 'day 28'"),
        (
            count(13.0, 20),
            "findings[0].count.events: 13.0 is a number; allowed: a whole number; try: write 13",
        ),
        (count("13", 20), "'13' is text; allowed: a whole number; try: write 13 without quotes"),
        (count(True, 20), "findings[0].count.events: true; allowed: a whole number"),
        (
            count(13, 0),
            "0; allowed: a whole number of 1 or more; try: look the number up again",
        ),
        (
            count(13, 20, printed="65 percent"),
            "'65 percent'; allowed: a percentage as the paper prints it; try: did you mean '65%'?",
        ),
        (
            GRADES | {"grades": {">=3": 5, "0-2": 15}},
            (
                "findings[0].grades.>=3: '>=3'; allowed: a grade from 0 to 5, a range of grades "
                "such as 1-2, or total; try: did you mean '3-5'?"
            ),
        ),
        (
            RATIO | {"ratio": RATIO["ratio"] | {"level": 95}},
            "findings[0].ratio.level: 95; allowed: a number above 0.5 and below 1; try: write 0.95",
        ),
        (
            RATIO | {"ratio": RATIO["ratio"] | {"lower": "0,068"}},
            "'0,068' is text; allowed: a number; try: write 0.068 without quotes",
        ),
        (
            RATIO | {"ratio": RATIO["ratio"] | {"upper": float("inf")}},
            "inf; allowed: a finite number; try: leave it out where there is no number",
        ),
        ({"count": 13}, "13 is a whole number; allowed: a table; try: such as { events = …, total"),
        ({"outcome": 3}, '3 is a whole number; allowed: text in quotes; try: write "3"'),
    ],
)
def test_words_of_a_finding(change: dict[str, Any], expected: str, study_data: Make) -> None:
    with pytest.raises(InputError) as refusal:
        Study(**study_data(count(13, 20) | change))
    assert expected in str(refusal.value)
    assert "^" not in str(refusal.value)


@pytest.mark.parametrize(
    ("citation", "expected"),
    [
        (
            {"doi": "https://doi.org/10.1186/s12885-022-09489-1"},
            (
                "citation.doi: 'https://doi.org/10.1186/s12885-022-09489-1'; "
                "allowed: the DOI alone, without https://doi.org/; "
                "try: did you mean '10.1186/s12885-022-09489-1'?"
            ),
        ),
        ({"doi": "none"}, "try: such as '10.1186/s12885-022-09489-1'"),
        ({"pmid": "PMID: 32231200"}, "try: did you mean '32231200'?"),
        (
            {"pmid": 32231200},
            '32231200 is a whole number; allowed: text in quotes; try: write "3223',
        ),
        ({"pmcid": "7105502"}, "allowed: PMC and a number; try: did you mean 'PMC7105502'?"),
        ({"authors": "Doe J"}, "'Doe J' is text; allowed: a list; try: write [\"Doe J\"]"),
        ({"year": "2022"}, "'2022' is text; allowed: a whole number; try: write 2022 without"),
        ({"year": 202}, "citation.year: 202; allowed: 1989 (the first CAR) to "),
    ],
)
def test_words_of_a_citation(citation: dict[str, Any], expected: str, study_data: Make) -> None:
    with pytest.raises(InputError) as refusal:
        Study(**study_data(citation=citation))
    assert expected in str(refusal.value)


@pytest.mark.parametrize(
    ("month", "near"), [("2019/3", "2019-03"), ("03/2019", "2019-03"), ("2019-13", None)]
)
def test_words_of_a_month(month: str, near: str | None, study_data: Make) -> None:
    with pytest.raises(InputError) as refusal:
        Study(**study_data(conduct={"data_cutoff": month}))
    attempt = f"did you mean '{near}'?" if near else "such as '2019-01'"
    assert str(refusal.value) == (
        f"conduct.data_cutoff: '{month}'; "
        f"allowed: a year, a month or a day: 2019, 2019-01 or 2019-01-31; try: {attempt}"
    )


def test_one_table_where_there_are_several(write: Write, study_data: Make) -> None:
    data = study_data()
    data["arms"] = data["arms"][0]
    write(data)
    (fault,) = check_studies(".")
    assert str(fault).endswith(
        "arms: a table; allowed: a list; try: write [[arms]] with two brackets"
    )


def test_every_shape_mends_to_itself_and_shows_what_fits() -> None:
    kinds = (getattr(shapes, name) for name in shapes.__all__)
    found = [
        each
        for kind in kinds
        for each in fields.metadata_in(kind)
        if isinstance(each, shapes.Shape)
    ]
    assert len(found) >= 8
    for shape in found:
        assert len(set(shape.examples)) == 2
        assert all(shape.fits(text) for text in shape.examples)
        assert not shape.fits(f"{shape.examples[0]}\n")


@pytest.mark.parametrize("value", [float("nan"), date(2020, 1, 1), [1, 2], {"a": 1}])
def test_a_value_of_no_kind_is_one_fault_in_words(value: object, study_data: Make) -> None:
    with pytest.raises(InputError) as refusal:
        Study(**study_data(arms=({"attributes": {"dose": value}},)))
    (fault,) = refusal.value.faults
    assert fault.place == "arms[0].attributes.dose"
    assert fault.found == shown(value)
    assert fault.allowed == "text in quotes, a number, true or false"


def test_what_is_shown_is_short_and_in_the_words_of_a_file() -> None:
    assert shown(True) == "true"
    assert shown({"a": 1}) == "a table"
    assert shown("x" * 100) == f"'{56 * 'x'}..."


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("CR", "complete_remission"),
        ("OS", "overall_survival"),
        ("LFS", "event_free_survival"),
        ("ICANS", "neurotoxicity"),
        ("CRS ", "crs"),
    ],
)
def test_what_the_field_abbreviates_is_its_word(word: str, meant: str) -> None:
    assert nearest(word, OUTCOMES) == f"did you mean '{meant}'?"
    assert nearest("CR", ["crs", "relapse"]) == "did you mean 'crs'?"


def test_capital_letters_make_no_difference_to_the_nearest_word() -> None:
    assert nearest("astct", ("ASTCT", "Lee")) == "did you mean 'ASTCT'?"
    assert nearest("Scfv", ("scfv", "scfv_certainty")) == "did you mean 'scfv'?"
    assert nearest("x", ("ASTCT",)) == ""


# ---- what an arm's words say


def test_the_target_is_derived_or_mixed(study_data: Make) -> None:
    def target(**arm: Any) -> str:
        return Study(**study_data(arms=(arm,))).arms[0].target

    assert target(targets=["CD22"]) == "CD22"
    assert target(targets=["CD19", "CD22"]) == "dual"
    assert target(targets=["CD19", "CD22"], target="mixed") == "mixed"
    with pytest.raises(InputError) as refusal:
        target(targets=["CD19", "CD22"], target="CD19")
    assert str(refusal.value) == (
        "arms[0].target: 'CD19', but targets = CD19, CD22; allowed: dual, mixed; "
        "try: leave it out: the targets give it"
    )
    with pytest.raises(InputError, match="allowed: CD19"):
        target(targets=["CD19"], target="mixed")


def test_nothing_is_certain_about_an_scfv_that_is_not_reported(study_data: Make) -> None:
    def certainty(**arm: Any) -> str | None:
        return Study(**study_data(arms=(arm,))).arms[0].scfv_certainty

    assert certainty(scfv="murine") == "stated"
    assert certainty(scfv="murine", scfv_certainty="inferred") == "inferred"
    assert certainty(scfv="unreported") is None
    with pytest.raises(InputError) as refusal:
        certainty(scfv="unreported", scfv_certainty="stated")
    assert str(refusal.value) == (
        "arms[0].scfv_certainty: stated, but the scFv is unreported; "
        "allowed: no such key beside an scFv that is not reported; "
        "try: leave it out, or name the scFv"
    )


# ---- models


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            {"timepoint": ["28 days", "day 30"]},
            (
                "timepoint[0]: '28 days'; allowed: day N, week N, month N, best or last follow-up; "
                "try: did you mean 'day 28'?"
            ),
        ),
        (
            {"thresholds": [70]},
            "thresholds[0]: 70; allowed: a rate between 0 and 1; try: write 0.7",
        ),
        (
            {"thresholds": [0.5, -0.7]},
            "thresholds[1]: -0.7; allowed: a rate between 0 and 1; try: write 0.7",
        ),
        (
            {"thresholds": [0.7, 170]},
            "thresholds[1]: 170; allowed: a rate between 0 and 1; try: write 0.7 for 70%",
        ),
        (
            {"likelihood": "hsct", "thresholds": [-0.7]},
            (
                "thresholds[0]: -0.7; allowed: a ratio above 0; 1 means no difference; "
                "try: write the ratio, not its logarithm"
            ),
        ),
        (
            {"likelihood": "normal", "scale": "log", "thresholds": [0]},
            "thresholds[0]: 0; allowed: a ratio",
        ),
        (
            {"likelihood": "hsct", "baseline": 50},
            "baseline: 50; allowed: a share between 0 and 1; try: write 0.5",
        ),
        (
            {"likelihood": "normal", "scale": "log", "baseline": 0.0},
            "baseline: 0; allowed: a share between 0 and 1; try: write 0.5 for 50%",
        ),
        (
            {"baseline": 0.5},
            (
                "baseline: 0.5, but binomial has rates of its own; allowed: a model of ratios; "
                "try: leave it out"
            ),
        ),
        (
            {"likelihood": "Binomial"},
            (
                "likelihood: 'Binomial'; "
                "allowed: lower-case letters, digits, - and _, beginning with a letter; "
                "try: did you mean 'binomial'?"
            ),
        ),
        (
            {"reference": {"scfv": "murine"}},
            (
                "reference.scfv: 'scfv' is not a moderator; allowed: none: the model has no "
                'moderators; try: add it: moderators = ["scfv"]'
            ),
        ),
        (
            {"moderators": ["scfv"], "contrasts": [["scvf", "human", "murine"]]},
            "contrasts[0]: 'scvf' is not a moderator; allowed: scfv; try: did you mean 'scfv'?",
        ),
        (
            {"moderators": ["scfv"], "contrasts": [["scfv", "human", "human"]]},
            "contrasts[0]: 'human' against itself; allowed: two different levels",
        ),
        (
            {"moderators": ["scfv"], "contrasts": [["scfv", "human"]]},
            (
                "contrasts[0]: ['scfv', 'human']; allowed: a moderator, a level and its reference; "
                'try: such as ["scfv", "humanized", "murine"]'
            ),
        ),
        (
            {"priors": {"tau": 1}},
            'priors.tau: 1; allowed: a prior in quotes, such as "HalfNormal(1)"',
        ),
        (
            {"priors": {"beta": {"scfv": 1.5}}},
            'priors.beta.scfv: 1.5; allowed: a prior in quotes, such as "HalfNormal(1)"',
        ),
        ({"self": 1}, "self: this key is not known; allowed: schema, id, title, "),
        (
            {"population": ["infused", "infused"]},
            "population: 'infused' stands twice; allowed: each once",
        ),
        (
            {"nu": 3},
            (
                'nu: 3 beside random_effects = "normal"; allowed: no such key: only Student-t '
                'effects have degrees of freedom; try: random_effects = "student_t"'
            ),
        ),
        ({"model": {"nu": 3}, "nu": 4}, "model.nu: this key stands twice; allowed: each key once"),
        ({"report": 3}, "report: 3; allowed: a table"),
    ],
)
def test_words_of_a_model(values: dict[str, Any], expected: str) -> None:
    with pytest.raises(InputError) as refusal:
        ModelSpec(**{"likelihood": "binomial"} | values)
    (fault,) = refusal.value.faults
    assert str(fault).startswith(expected)


def test_degrees_of_freedom_leave_with_student_t_effects() -> None:
    heavy = ModelSpec(likelihood="binomial", random_effects="student_t", nu=3)
    for effects in ("normal", "none"):
        turned = changed(heavy, {"random_effects": effects})
        assert (turned.random_effects, turned.nu) == (effects, 4.0)
        # a copy knows nothing of its keys, and can be read again
        kept = heavy.model_copy(update={"random_effects": effects})
        assert ModelSpec.from_mapping(json.loads(spec_text(kept))) == turned
    assert changed(heavy, {"thresholds": [0.5]}).nu == 3
    with pytest.raises(InputError, match="only Student-t effects have degrees"):
        changed(heavy, {"random_effects": "normal", "nu": 5})


def test_thresholds_of_an_open_scale_are_open() -> None:
    for values in (
        {"likelihood": "normal"},
        {"likelihood": "normal", "scale": "identity"},
        {"likelihood": "mine"},
    ):
        assert ModelSpec(**values, thresholds=[-0.7, 70]).thresholds == (-0.7, 70)
    assert ModelSpec(likelihood="hsct", thresholds=[1, 2]).thresholds == (1, 2)


def test_a_faulty_key_of_a_model_hides_nothing() -> None:
    with pytest.raises(InputError) as refusal:
        ModelSpec(likelihood="binomial", nu=-1, thresholds=[70], reference={"scfv": "human"})
    assert [fault.place for fault in refusal.value.faults] == [
        "nu",
        "reference.scfv",
        "thresholds[0]",
    ]


# ---- nothing is not the bundled evidence


@pytest.mark.parametrize(
    "line",
    [
        ("studies", "check", ""),
        ("studies", "--studies", ""),
        ("account", "cr_rate", "--studies", ""),
    ],
)
def test_the_shell_refuses_an_empty_path(
    line: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(line) == 2
    shown = capsys.readouterr()
    assert "studies: ''; allowed: a path as text or as a Path" in shown.out + shown.err


def test_a_report_into_an_empty_path_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["report", "cd22_cr", "--out", ""]) == 2
    assert capsys.readouterr().err.startswith("out: ''; allowed: a path as text or as a Path")


def test_a_report_of_no_studies_is_refused() -> None:
    for studies in ([], (), Studies([])):
        with pytest.raises(InputError) as refusal:
            mc.report(["cr_rat"], out="page", studies=studies)
        assert [str(fault) for fault in refusal.value.faults][1:] == [
            (
                "studies: no studies; allowed: a folder with a .toml for each paper; "
                "try: leave it out: the bundled ones"
            )
        ]
    assert not Path("page").exists()


# ---- the schema for editors


def test_the_schema_beside_the_studies_is_the_form_of_a_study() -> None:
    file = BUNDLED / "study.schema.json"
    assert file.read_text("utf-8") == schema.study_schema(), (
        f"write it anew: {file.name} is what metacart.records.schema.study_schema() returns"
    )
    for study in BUNDLED.glob("*.toml"):
        assert study.read_text("utf-8").startswith(f"#:schema ./{file.name}\n")


def test_the_schema_names_every_key_and_closes_every_table() -> None:
    tables = json.loads(schema.study_schema())
    records: dict[str, type[Any]] = {"Arm": Arm, "Finding": Finding}
    for name, record in records.items():
        table = tables["$defs"][name]
        assert list(table["properties"]) == list(record.model_fields)
        assert table["additionalProperties"] is False
        needed = [key for key, field in record.model_fields.items() if field.is_required()]
        assert table["required"] == needed
    assert tables["required"] == ["schema", "id", "citation", "conduct", "arms"]
    assert "unreported" in tables["$defs"]["Arm"]["properties"]["scfv"]["enum"]
