"""``metacart studies``: the list and one paper, files that come to be, versions, maps."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import metacart as mc
from metacart.commands.template import template
from metacart.evidence.exchange.sheet import NEEDED
from metacart.records.fields import annotation_at
from metacart.records.schema import study_schema

Make = Callable[..., dict[str, Any]]
Write = Callable[..., Path]
Run = Any  # status, out, err: see the fixture
Runner = Callable[..., Run]


def rows_of(out: str) -> dict[str, list[str]]:
    return {line.split()[0]: line.split() for line in out.splitlines() if line.strip()}


# ---- the list


def test_the_bundled_studies(run: Runner) -> None:
    result = run("studies")
    rows = rows_of(result.out)
    collection = mc.load_studies()
    assert result.status == 0
    assert rows["an2022"][1:4] == ["2022", "4", "19"]
    assert rows["li2020"][1:4] == ["2020", "4", "39"]
    assert set(collection.ids) <= rows.keys()
    findings = [(study.id, each.outcome) for study in collection for each in study.findings]
    crs = [study for study, outcome in findings if outcome == "crs"]
    assert rows["crs"][1:] == [str(len(set(crs))), str(len(crs))]
    assert f"{len(collection)} studies, {len(findings)} findings" in result.out
    assert result.err == (
        f"{len(collection.warnings)} warnings about the studies: `metacart studies check` lists "
        "them\n"
    )


@pytest.mark.parametrize(
    ("patients", "shown"),
    [
        ({"enrolled": 21, "infused": 20}, ["20"]),
        ({"enrolled": 21}, ["21*"]),
        ({"evaluable": 19}, ["19*"]),
        ({"responders": 13}, []),
    ],
)
def test_patients_are_listed_with_their_population(
    patients: dict[str, int],
    shown: list[str],
    run: Runner,
    write: Write,
    study_data: Make,
    here: Path,
) -> None:
    population, number = list(patients.items())[-1]
    finding = {"count": {"events": 1, "total": number}, "population": population}
    write(study_data(finding, arms=({"patients": patients},)))
    result = run("studies", "--studies", "doe2020.toml")
    assert rows_of(result.out)["doe2020"] == [
        "doe2020",
        "2020",
        "1",
        *shown,
        "first",
        "CD19",
        "murine",
        "1",
    ]
    starred = "* with arms of which only the enrolled or the evaluable are known" in result.out
    assert starred == any("*" in each for each in shown)


def test_a_patient_is_listed_once(run: Runner, write: Write, study_data: Make, here: Path) -> None:
    arms = ({}, {"id": "again", "infusion": "retreatment", "shares_patients_with": ["car"]})
    write(study_data(arms=arms))
    row = rows_of(run("studies", "--studies", "doe2020.toml").out)["doe2020"]
    assert row[2:6] == ["2", "20", "first,", "again"]


def test_a_folder_with_and_without_the_bundled_ones(
    run: Runner, write: Write, study_data: Make, here: Path
) -> None:
    write(study_data(), "mine/doe2020.toml")
    alone = run("studies", "--studies", "mine")
    assert "1 study, 1 finding" in alone.out
    assert "an2022" not in alone.out
    both = rows_of(run("studies", "--studies", "bundled", "--studies", "mine").out)
    assert {"an2022", "doe2020"} <= both.keys()


ARMS = (
    {"id": "first"},
    {
        "id": "again",
        "infusion": "retreatment",
        "scfv": "humanized",
        "targets": ["CD22"],
        "patients": {"infused": 5},
    },
)
FINDINGS = (
    {"arm": "first", "count": {"events": 13, "total": 20}},
    {"arm": "first", "outcome": "crs", "grading": "ASTCT", "grades": {"0": 1, "1-2": 17, "3-5": 2}},
    {"arm": "again", "count": {"events": 3, "total": 5}},
)


@pytest.mark.parametrize(
    ("options", "row"),
    [
        ((), ["2", "25", "first,", "again", "CD19,", "CD22", "murine,", "humanized", "2"]),
        (("--infusion", "retreatment"), ["1", "5", "again", "CD22", "humanized", "1"]),
        (("--target", "CD19"), ["1", "20", "first", "CD19", "murine", "2"]),
        (("--scfv", "humanized"), ["1", "5", "again", "CD22", "humanized", "1"]),
        # the table of grades gives it
        (("--outcome", "severe_crs"), ["1", "20", "first", "CD19", "murine", "1"]),
        (
            ("--scfv", "humanized", "--scfv", "murine", "--outcome", "complete_remission"),
            ["2", "25", "first,", "again", "CD19,", "CD22", "murine,", "humanized", "1"],
        ),
        (("--infusion", "retreatment", "--outcome", "crs"), None),
        (("--cohort", "doe"), None),
    ],
    ids=lambda value: " ".join(value or ()),
)
def test_filters_ask_for_arms(
    options: tuple[str, ...],
    row: list[str] | None,
    run: Runner,
    write: Write,
    study_data: Make,
    here: Path,
) -> None:
    write(study_data(*FINDINGS, arms=ARMS), "mine/doe2020.toml")
    other = study_data(id="roe2021", cohort="doe", citation={"year": 2021})
    other["arms"][0]["infusion"] = "mixed"
    other["arms"][0]["targets"] = []
    other["arms"][0]["scfv"] = "human"
    other["findings"][0]["outcome"] = "relapse"
    write(other, "mine/roe2021.toml")
    result = run("studies", "--studies", "mine", *options)
    assert result.status == 0
    rows = rows_of(result.out)
    assert (rows.get("doe2020", [])[2:] or None) == row
    assert ("roe2021" in rows) == (not options or "doe" in options)
    assert ("of arms that fit; 2 studies in all" in result.out) == bool(options)


def test_unknown_words_of_filters_are_refused_with_the_nearest(run: Runner) -> None:
    options = ("--outcome", "relpase", "--scfv", "humanised", "--cohort", "eliane")
    result = run("studies", *options)
    assert (result.status, result.out) == (2, "")
    first, second, third = result.err.splitlines()
    assert first.startswith("--outcome: 'relpase' is not known; allowed: complete_remission, ")
    assert first.endswith("did you mean 'relapse'?")
    assert second == (
        "--scfv: 'humanised' is not known; allowed: murine, humanized, human, mixed, unreported; "
        "try: did you mean 'humanized'?"
    )
    assert third.startswith("--cohort: 'eliane' is not known; allowed: ")
    assert third.endswith("did you mean 'eliana'?")


@pytest.mark.parametrize("command", ["check", "show", "export"])
def test_options_of_the_list_stand_with_no_other_command(command: str, run: Runner) -> None:
    result = run("studies", "--target", "CD19", "--studies", "x", command)
    assert result.status == 2
    assert result.err.splitlines() == [
        f"--{name}: stands before '{command}'; try: metacart studies {command} --help"
        for name in ("studies", "target")
    ]


# ---- checking


def test_check_of_sound_files(run: Runner, write: Write, study_data: Make, here: Path) -> None:
    write(study_data())
    assert run("studies", "check", "doe2020.toml") == (0, "1 file, no faults\n", "")


def test_warnings_never_change_the_status(run: Runner) -> None:
    warnings = mc.load_studies().warnings
    result = run("studies", "check")
    assert result.status == 0
    lines = result.out.splitlines()
    assert sum(": warning: " in line for line in lines) == len(warnings) > 0
    assert lines[-1] == f"{len(mc.load_studies())} files, no faults, {len(warnings)} warnings"


def test_a_clash_of_ids_names_both_files(
    run: Runner, write: Write, study_data: Make, here: Path
) -> None:
    for folder in ("one", "two"):
        write(study_data(), f"{folder}/doe2020.toml")
    result = run("studies", "--studies", "one", "--studies", "two")
    assert (result.status, result.out) == (2, "")
    assert "two/doe2020.toml:2: id: 'doe2020' is the id in one/doe2020.toml too" in result.err
    with pytest.raises(mc.InputError, match=r"is the id in one/doe2020\.toml too"):
        mc.load_studies("one", "two")


def test_folders_are_merged_in_python(write: Write, study_data: Make, here: Path) -> None:
    write(study_data(), "mine/doe2020.toml")
    assert mc.load_studies("mine").ids == ("doe2020",)
    both = mc.load_studies(mc.BUNDLED, "mine")
    assert both.ids == (*mc.load_studies().ids, "doe2020")


# ---- one paper


def test_one_paper_with_its_places(run: Runner) -> None:
    result = run("studies", "show", "an2022")
    study = mc.load_studies()["an2022"]
    words = " ".join(result.out.split())
    assert (result.status, result.err) == (0, "")
    assert "https://doi.org/10.1186/s12885-022-09489-1\n" in result.out
    assert study.citation.title in words
    assert "An L, Lin Y, Deng B, Yin Z, Zhao D, Ling Z and 5 more" in words
    assert "21 enrolled, 19 infused, 19 evaluable, 13 responders" in words
    assert "followed median 12.1 months (range 8 to 27.5)" in words
    for arm in study.arms:
        assert f"Arm {arm.id}: {arm.label}" in words
    for number, finding in enumerate(study.findings):
        star = r"\*" if finding.set_aside else ""
        assert re.search(rf"^ +{number}{star}  ", result.out, re.MULTILINE)
    row = next(line for line in result.out.splitlines() if re.match(" +0  ", line))
    assert row.split()[1:5] == ["complete", "remission", "13/19", "infused"]
    assert "Abstract; Results" in row
    assert "3: * set aside: of the responders with an MRD result alone" in words
    assert "Where the paper contradicts itself" in result.out
    assert "Risk of bias, JBI checklist for case series" in result.out
    assert max(map(len, result.out.splitlines())) <= 120


def test_what_a_paper_does_not_say_is_not_shown(
    run: Runner, write: Write, study_data: Make, here: Path
) -> None:
    write(study_data())
    result = run("studies", "show", "doe2020", "--studies", "doe2020.toml")
    assert result.status == 0
    shown = {line.split()[0] for line in result.out.splitlines() if line.strip()}
    assert not shown & {"centres", "enrolled", "followed", "scFv", "age", "note", "cohort"}
    assert "None" not in result.out
    assert "published    2020" in result.out


def test_papers_of_the_same_cohort_are_named(
    run: Runner, write: Write, study_data: Make, here: Path
) -> None:
    for name in ("doe2020", "roe2021"):
        year = {"year": int(name[-4:])}
        write(study_data(id=name, cohort="trial", citation=year), f"mine/{name}.toml")
    result = run("studies", "show", "doe2020", "--studies", "mine")
    assert "trial, with Doe 2021 (roe2021); a question takes one report of it" in result.out


@pytest.mark.parametrize(("name", "hint"), [("myers", "myers2021"), ("an2023", "an2022")])
def test_an_unknown_paper(name: str, hint: str, run: Runner) -> None:
    result = run("studies", "show", name)
    assert (result.status, result.out) == (2, "")
    assert result.err == (
        f"ID: '{name}' is not known; allowed: an id that `metacart studies` lists; "
        f"try: did you mean '{hint}'?\n"
    )


# ---- a new file: the template


def test_a_template_asks_for_what_is_missing_by_name(run: Runner, here: Path) -> None:
    result = run(
        "studies", "new", "doe2024", "--doi", "10.1000/new", "--year", "2024", "--out", "mine"
    )
    assert (result.status, result.out) == (0, "mine/doe2024.toml\n")
    assert result.err == "`metacart studies check mine/doe2024.toml` lists what is to fill in\n"
    checked = run("studies", "check", "mine")
    assert checked.status == 2
    found = [line.partition(": ")[2] for line in checked.out.splitlines()]
    empty = "nothing stands here; allowed"
    assert found == [
        f"citation.title: {empty}: text",
        f"conduct.study_design: {empty}: text",
        f"arms[0].disease (car): {empty}: text",
        f"arms[0].infusion (car): {empty}: first, retreatment, mixed",
        f"arms[0].scfv (car): {empty}: murine, humanized, human, mixed, unreported",
        (
            "findings[0] (car): no value; allowed: exactly one of count, grades, contrast, ratio, "
            "survival, quantile"
        ),
        f"findings[0].outcome (car): {empty}: text",
        f"findings[0].population (car): {empty}: enrolled, infused, evaluable, responders",
        f"findings[0].at (car): {empty}: text",
    ]


def test_a_template_filled_in_is_sound(here: Path) -> None:
    text = template("doe2024", {"doi": "10.1000/new", "year": 2024, "authors": ["Doe J"]})
    for key, value in {
        "title": "A study",
        "study_design": "phase 1",
        "disease": "B-ALL",
        "infusion": "first",
        "scfv": "murine",
        "outcome": "complete_remission",
        "population": "infused",
        "at": "Table 2",
    }.items():
        assert f'\n{key} = ""' in text
        text = text.replace(f'\n{key} = ""', f'\n{key} = "{value}"')
    text = text.replace("patients = { }", "patients = { infused = 20 }")
    count = '# count = { events = …, total = …, printed = "…" }'
    assert count in text
    text = text.replace(count, "count = { events = 13, total = 20 }")
    Path("doe2024.toml").write_text(text, encoding="utf-8")
    assert mc.check_studies("doe2024.toml") == []


def test_every_key_of_the_template_is_one_of_study_files() -> None:
    text = template("doe2024", {})
    table: tuple[str | int, ...] = ()
    keys = set()
    for line in text.splitlines():
        if heading := re.fullmatch(r"\[{1,2}(\w+)\]{1,2}", line):
            table = (heading[1], 0) if line.startswith("[[") else (heading[1],)
        elif key := re.match(r"(?:# )?(\w+) = ", line):
            assert annotation_at(mc.Study, (*table, key[1])) is not None, line
            keys.add((*table[:1], key[1]))
    assert len(keys) > 35
    assert tomllib.loads(text)["schema"] == 1


def test_what_is_given_stands_in_the_template(run: Runner, here: Path) -> None:
    options = {
        "--title": 'A "new" study',
        "--author": "Doe J",
        "--journal": "Blood",
        "--pmid": "123",
        "--registration": "NCT01234567",
    }
    given = [word for pair in options.items() for word in pair]
    assert run("studies", "new", "doe2024", *given, "--author", "Roe K").status == 0
    citation = tomllib.loads(Path("doe2024.toml").read_text("utf-8"))["citation"]
    assert citation == {
        "title": 'A "new" study',
        "authors": ["Doe J", "Roe K"],
        "journal": "Blood",
        "pmid": "123",
        "registrations": ["NCT01234567"],
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("Doe 2024",), "ID: 'Doe 2024'; allowed: lower-case letters, digits"),
        (("doe2024", "--doi", "https://doi.org/10.1000/x"), "--doi: 'https://doi.org/10.1000/x'"),
        (("doe2024", "--pmid", "PMID"), "--pmid: 'PMID'; allowed: the number alone"),
        (("doe2024", "--year", "24"), "--year: 24; allowed: 1989"),
        (("taken2024",), "taken2024.toml: exists already; allowed: a new file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_begin_a_file(
    arguments: tuple[str, ...], message: str, run: Runner, here: Path
) -> None:
    (here / "taken2024.toml").write_text("mine")
    result = run("studies", "new", *arguments)
    assert (result.status, result.out) == (2, "")
    assert message in result.err
    assert [path.name for path in here.iterdir()] == ["taken2024.toml"]
    assert (here / "taken2024.toml").read_text() == "mine"


def test_a_paper_that_is_there_already_is_told(run: Runner, here: Path) -> None:
    result = run("studies", "new", "doe2024", "--doi", "10.1186/S12885-022-09489-1")
    assert result.status == 0
    assert "warning: the bundled an2022 has this DOI already\n" in result.err


# ---- a new file: the questions


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that lets a terminal answer with these lines."""

    def answer(*lines: str) -> None:
        keyboard = io.StringIO("".join(f"{line}\n" for line in lines))
        monkeypatch.setattr(keyboard, "isatty", lambda: True, raising=False)
        monkeypatch.setattr(sys, "stdin", keyboard)
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)

    return answer


PAPER = ("A study", "Doe J; Roe K", "", "", "10.1000/new", "full text")
CONDUCT = ("phase 1", "", "", "2019-01", "2020-11")
ARM = ("", "", "", "first", "murine", "", "CD19; CD22", "", "21", "20", "", "13")
FINDING = ("", "complete_remission", "", "day 28", "13", "20", "65%", "Table 2")


def test_answers_make_a_sound_file(run: Runner, answers: Callable[..., None], here: Path) -> None:
    answers(*PAPER, *CONDUCT, *ARM, "n", "y", *FINDING, "n")
    result = run("studies", "new", "doe2024")
    assert result.status == 0
    assert result.out.splitlines()[-1].endswith("doe2024.toml")
    assert mc.check_studies("doe2024.toml") == []
    (study,) = mc.load_studies("doe2024.toml")
    assert study.citation.year == 2024  # proposed: that of the id
    assert study.citation.authors == ("Doe J", "Roe K")
    assert study.arms[0].id == "car"
    assert study.arms[0].disease == "B-ALL"
    assert study.arms[0].targets == ("CD19", "CD22")
    assert study.arms[0].patients.model_dump(exclude_none=True) == {
        "enrolled": 21,
        "infused": 20,
        "responders": 13,
    }
    (finding,) = study.findings
    assert (finding.population, finding.timepoint, finding.at) == ("infused", "day 28", "Table 2")
    assert (finding.count.events, finding.count.total, finding.count.printed) == (13, 20, "65%")


@pytest.mark.parametrize(
    ("wrong", "right", "message"),
    [
        ((*PAPER[:3], "24", "2024"), PAPER[4:], "24; allowed: 1989 (the first CAR)"),
        (
            ("", *PAPER[:4], "doi:10.1/x", "10.1000/new"),
            PAPER[5:],
            "'doi:10.1/x'; allowed: the DOI",
        ),
        ((*PAPER[:5], "half", "abstract"), (), "'half' is not known; allowed: full text, abstract"),
    ],
)
def test_a_wrong_answer_is_asked_again(
    wrong: tuple[str, ...],
    right: tuple[str, ...],
    message: str,
    run: Runner,
    answers: Callable[..., None],
    here: Path,
) -> None:
    answers(*wrong, *right, *CONDUCT, *ARM, "n", "n")
    result = run("studies", "new", "doe2024")
    assert result.status == 0
    assert message in result.err
    assert mc.check_studies("doe2024.toml") == []


def test_numbers_that_disagree_are_asked_again(
    run: Runner, answers: Callable[..., None], here: Path
) -> None:
    arm = (*ARM[:-1], "25", "13")
    wrong = ("", "CR", "complete_remission", "", "", "21", "20", "", "Table 2")
    right = ("", "", "", "", "13", "", "", "")
    answers(*PAPER, *CONDUCT, *arm, "n", "y", *wrong, "y", *right, "n")
    result = run("studies", "new", "doe2024")
    assert result.status == 0
    for message in (
        "25 responders of 20 infused; allowed: 0 to 20",
        "'CR' is not known; allowed: complete_remission, ",
        "count.events: 21 events among 20; allowed: 0 to 20",
    ):
        assert message in result.err
    (finding,) = mc.load_studies("doe2024.toml")[0].findings
    assert (finding.count.events, finding.count.total, finding.at) == (13, 20, "Table 2")


def test_a_finding_that_cannot_be_mended_is_left_out(
    run: Runner, answers: Callable[..., None], here: Path
) -> None:
    # of the evaluable no number is known
    wrong = ("", "complete_remission", "evaluable", "", "13", "20", "", "Table 2")
    answers(*PAPER, *CONDUCT, *ARM, "n", "y", *wrong, "n", "n")
    result = run("studies", "new", "doe2024")
    assert result.status == 0
    assert "does not say how many patients were evaluable" in result.err
    assert mc.load_studies("doe2024.toml")[0].findings == ()


def test_more_arms_and_findings(run: Runner, answers: Callable[..., None], here: Path) -> None:
    again = ("", "re-treatment", "", "retreatment", "relapse", "murine", "false", "humanized", "")
    patients = ("CD19", "4-1BB", "5", "5", "", "")
    crs = ("car2", "crs", "", "", "ASTCT", "4", "5", "", "Table 3")
    first = ("car", *FINDING[1:])
    answers(*PAPER, *CONDUCT, *ARM, "y", *again, *patients, "n", "y", *first, "y", *crs, "n")
    assert run("studies", "new", "doe2024").status == 0
    (study,) = mc.load_studies("doe2024.toml")
    assert [(arm.id, arm.infusion, arm.same_product) for arm in study.arms] == [
        ("car", "first", None),
        ("car2", "retreatment", False),
    ]
    assert [(each.arm, each.outcome, each.grading) for each in study.findings] == [
        ("car", "complete_remission", None),
        ("car2", "crs", "ASTCT"),
    ]


def test_what_is_given_is_not_asked(run: Runner, answers: Callable[..., None], here: Path) -> None:
    answers("Doe J", "", "", "", *CONDUCT, *ARM, "n", "n")
    options = ("--title", "A study", "--doi", "10.1000/new")
    result = run("studies", "new", "doe2024", *options)
    assert result.status == 0
    assert "Title" not in result.out
    assert "DOI" not in result.out
    assert "Journal" in result.out
    assert mc.load_studies("doe2024.toml")[0].citation.title == "A study"


def test_questions_broken_off_write_nothing(
    run: Runner, answers: Callable[..., None], here: Path
) -> None:
    answers(*PAPER, *CONDUCT)
    result = run("studies", "new", "doe2024")
    assert result.status == 130
    assert "Traceback" not in result.err
    assert list(here.iterdir()) == []


def test_a_terminal_can_have_the_template(
    run: Runner, answers: Callable[..., None], here: Path
) -> None:
    answers()
    assert run("studies", "new", "doe2024", "--template").status == 0
    assert 'title = ""' in (here / "doe2024.toml").read_text("utf-8")


# ---- schema, import, export


def test_the_schema(run: Runner, here: Path) -> None:
    assert run("studies", "schema") == (0, study_schema(), "")
    assert run("studies", "schema", "--out", "mine/study.schema.json").status == 0
    assert Path("mine/study.schema.json").read_text("utf-8") == study_schema()
    assert study_schema() == (mc.BUNDLED / "study.schema.json").read_text("utf-8")


HEADER = (
    "study,title,authors,year,doi,study_design,arm,disease,infusion,scfv,infused,"
    "outcome,population,events,total,at\n"
)
ROW = (
    "doe2024,A study,Doe J,2024,10.1000/new,phase 1,car,B-ALL,first,murine,20,"
    "complete_remission,infused,13,20,Table 2\n"
)


def test_import(run: Runner, here: Path) -> None:
    Path("counts.csv").write_text(HEADER + ROW, encoding="utf-8")
    result = run("studies", "import", "counts.csv", "--out", "mine")
    assert result == (0, "mine/doe2024.toml\n", "1 file written, no faults\n")
    assert run("studies", "check", "mine") == (0, "1 file, no faults\n", "")
    again = run("studies", "import", "counts.csv", "--out", "mine")
    assert (again.status, again.out) == (2, "")
    assert "mine/doe2024.toml: exists already" in again.err


def test_import_lists_faults_by_row_and_column(run: Runner, here: Path) -> None:
    Path("counts.csv").write_text(HEADER + ROW.replace("13,20", "21,20"), encoding="utf-8")
    result = run("studies", "import", "counts.csv", "--out", "mine")
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("counts.csv: row 2, column 'events': 21 events among 20;")
    assert [path.name for path in here.iterdir()] == ["counts.csv"]


def test_help_of_import_names_the_columns(run: Runner) -> None:
    shown = set(re.findall(r"\w+", run("studies", "import", "--help").out))
    assert set(NEEDED) <= shown
    assert {"doi", "pmid", "registrations", "infused", "printed", "note", "targets"} <= shown


def test_export(run: Runner, here: Path) -> None:
    result = run("studies", "export", "--model", "cr_rate")
    evidence = mc.tabulate(mc.load_studies(), "cr_rate")
    rows = list(csv.DictReader(io.StringIO(result.out)))
    assert (result.status, result.err) == (0, f"{len(evidence)} findings for csv\n")
    assert [int(row["events"]) for row in rows] == evidence["events"].tolist()
    written = run("studies", "export", "--format", "json", "--out", "all.json")
    findings = sum(len(study.findings) for study in mc.load_studies())
    assert written == (0, "all.json\n", f"{findings} findings for json\n")
    assert len(json.loads(Path("all.json").read_text("utf-8"))["studies"]) == len(mc.load_studies())


def test_export_says_what_has_no_place_there(
    run: Runner, write: Write, study_data: Make, here: Path
) -> None:
    write(study_data())
    result = run("studies", "export", "--format", "revman-csv", "--studies", "doe2020.toml")
    assert result.status == 0
    assert result.err == "0 findings for revman-csv; 1 finding without a place there\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--format", "metaphor"), "--format: 'metaphor' is not known; allowed: 'csv', 'json'"),
        (("--model", "cr_rat"), "model: 'cr_rat' is not known"),
        (("--studies", "no"), "no: no such file or folder"),
        (("--out", "."), ".: a folder; allowed: a file"),
    ],
)
def test_exports_that_cannot_be(
    arguments: tuple[str, ...], message: str, run: Runner, here: Path
) -> None:
    result = run("studies", "export", *arguments)
    assert (result.status, result.out) == (2, "")
    assert message in result.err
    assert list(here.iterdir()) == []


# ---- pinned and compared


def test_an_unknown_format_hides_no_unknown_model(run: Runner) -> None:
    result = run("studies", "export", "--format", "xls", "--model", "cr_rat")
    assert (result.status, result.out) == (2, "")
    first, second = result.err.splitlines()
    assert first.startswith("--format: 'xls' is not known; allowed: 'csv'")
    assert second.endswith("try: did you mean 'cr_rate'?")


def test_manifest(run: Runner, write: Write, study_data: Make, here: Path) -> None:
    path = write(study_data(), "mine/doe2020.toml")
    absent = run("studies", "manifest", "mine")
    assert absent.status == 2
    assert absent.out.startswith("mine/manifest.json: no manifest here")
    written = run("studies", "manifest", "mine", "--write")
    assert written.status == 0
    first, second = written.out.splitlines()
    assert first == "mine/manifest.json"
    assert re.fullmatch(r"1 file as pinned; evidence SHA-256 [0-9a-f]{64}", second)
    assert run("studies", "manifest", "mine") == (0, f"{second}\n", "")
    path.write_text(path.read_text("utf-8") + "# looked up again\n", encoding="utf-8")
    changed = run("studies", "manifest", "mine")
    assert (changed.status, changed.err) == (2, "1 file not as pinned\n")
    assert changed.out.startswith("mine/doe2020.toml: SHA-256 ")
    assert run("studies", "manifest", "no").status == 2


def test_diff(run: Runner, write: Write, study_data: Make, here: Path) -> None:
    arms = ({"label": "re-treatment"},)
    for folder, events in (("old", 12), ("new", 13)):
        data = study_data({"count": {"events": events, "total": 20}}, arms=arms)
        write(data, f"{folder}/doe2020.toml")
    assert run("studies", "diff", "old", "new") == (
        0,
        "Doe 2020, re-treatment: complete remission 13/20, was 12/20\n",
        "1 change in 1 study\n",
    )
    assert run("studies", "diff", "old", "old/doe2020.toml") == (0, "", "nothing changed\n")
    assert run("studies", "diff", "bundled", "bundled") == (0, "", "nothing changed\n")
    missing = run("studies", "diff", "old", "no")
    assert (missing.status, missing.out) == (2, "")
    assert "no: no such file or folder" in missing.err


# ---- maps


def test_overlap(run: Runner, write: Write, study_data: Make, here: Path) -> None:
    trial = {"registrations": ["NCT01234567"]}
    for name, cohort in (("doe2020", "one"), ("roe2021", "one"), ("poe2022", "two")):
        year = {"year": int(name[-4:])}
        write(study_data(id=name, cohort=cohort, citation=trial | year), f"mine/{name}.toml")
    result = run("studies", "overlap", "--studies", "mine")
    assert (result.status, result.err) == (0, "")
    assert "May share patients, not declared: 2 pairs" in result.out
    assert "One cohort: 1 pair" in result.out
    assert "same registration NCT01234567" in result.out
    assert result.out.rstrip().endswith("3 pairs of 3 studies, 2 of them open")
    open_, cohort = result.out.split("One cohort: 1 pair")
    assert {"poe2022", "doe2020", "roe2021"} <= set(re.findall(r"\w+20\d\d", open_))
    assert "a question takes one, by its `representative`" in cohort


def test_coverage_is_a_map_of_signs(
    run: Runner, write: Write, study_data: Make, here: Path
) -> None:
    count = {"count": {"events": 1, "total": 20}}
    days = [count | {"timepoint": f"day {day}"} for day in range(7)]
    write(study_data(*days, count | {"outcome": "relapse"}), "mine/doe2020.toml")
    write(
        study_data(
            count | {"outcome": "relapse"},
            id="roe2021",
            citation={"year": 2021},
            arms=({"infusion": "retreatment"},),
        ),
        "mine/roe2021.toml",
    )
    result = run("studies", "coverage", "--studies", "mine")
    assert (result.status, result.err) == (0, "")
    lines = result.out.splitlines()
    assert " a  complete_remission  1 arm" in lines
    assert " b  relapse             2 arms" in lines
    assert "Findings: · none, ░ 1, ▒ 2, ▓ 3, █ 4 or more" in lines
    assert " doe2020/car  █ ░" in lines
    assert " roe2021/car  · ░" in lines
    assert lines.index("First infusion: 1 arm") < lines.index("Re-treatment: 1 arm")


def test_coverage_is_drawn(run: Runner, write: Write, study_data: Make, here: Path) -> None:
    write(study_data(), "mine/doe2020.toml")
    result = run("studies", "coverage", "--studies", "mine", "--out", "map.svg")
    assert (result.status, result.err) == (0, "wrote map.svg\n")
    assert (here / "map.svg").read_text("utf-8").rstrip().endswith("</svg>")
    wrong = run("studies", "coverage", "--out", "map.sgv")
    assert (wrong.status, wrong.out) == (2, "")
    assert "--out: 'map.sgv'; allowed: a file ending in .svg" in wrong.err


def test_the_map_of_the_bundled_studies_fits_a_terminal(run: Runner) -> None:
    lines = run("studies", "coverage").out.splitlines()
    assert max(map(len, lines)) <= 120
    arms = sum(len(study.arms) for study in mc.load_studies())
    assert sum("/" in line for line in lines) == arms


@pytest.mark.parametrize(
    "command",
    ["show", "new", "schema", "import", "export", "manifest", "diff", "overlap", "coverage"],
)
def test_help_shows_an_example(command: str, run: Runner) -> None:
    result = run("studies", command, "--help")
    assert result.status == 0
    assert f"Example: metacart studies {command}" in result.out
