"""Files: every fault at once, with its file, line, place and a hint; and what loads."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomlkit

from metacart.errors import InputError
from metacart.evidence.collection import Studies
from metacart.evidence.library import (
    BUNDLED,
    check_studies,
    list_models,
    load_model,
    load_studies,
)
from metacart.evidence.places import Places, location_of
from metacart.records.spec import ModelSpec

Make = Callable[..., dict[str, Any]]
Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def shown(*paths: Path | str) -> list[str]:
    return [str(fault) for fault in check_studies(*paths)]


# ---- lines

TEXT = '''\
# [[findings]] in a comment
note = """
[[findings]]
count = 1
"""
list = [
    "[[findings]]", # ]
    "b",
]
[citation]
title = 'a # b'   # [[findings]]
[[arms]]
id = "a"
patients.infused = 3
[[findings]]
arm = "a"
count = { events = 1, total = 2 }
[[findings]]
arm = "b"
[findings.count]
events = 1
[findings.grades]
"1-2" = 3
'''


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("note", 2),
        ("list", 6),
        ("citation", 10),
        ("citation.title", 11),
        ("citation.year", 10),
        ("arms[0]", 12),
        ("arms[0].patients.infused", 14),
        ("findings[0]", 15),
        ("findings[0].at", 15),
        ("findings[0].count.events", 17),
        ("findings[1].arm", 19),
        ("findings[1].count", 20),
        ("findings[1].count.events", 21),
        ("findings[1].grades.1-2", 23),
        ("findings[2].arm", 1),
        ("", 1),
    ],
)
def test_line_of_a_place(place: str, line: int) -> None:
    assert Places(TEXT).line(location_of(place)) == line


def test_nested_arrays_of_tables_count_inside_their_table() -> None:
    text = "[[a]]\n[[a.b]]\n[[a.b]]\n[[a]]\n[[a.b]]\nkey = 1\n"
    places = Places(text)
    assert [places.line(("a", 0, "b", number)) for number in (0, 1)] == [2, 3]
    assert places.line(("a", 1, "b", 0, "key")) == 6


def test_lines_of_every_table_agree_with_a_count_of_headers() -> None:
    for path in sorted(BUNDLED.glob("*.toml")):
        text = path.read_text(encoding="utf-8")
        places = Places(text)
        for table in ("arms", "findings"):
            # in these files a header begins its line and stands in no string
            headers = [
                number
                for number, line in enumerate(text.split("\n"), start=1)
                if line.startswith(f"[[{table}]]")
            ]
            assert [places.line((table, k)) for k in range(len(headers))] == headers


# ---- faults of files


def test_malformed_toml(write: Write) -> None:
    write('schema = 1\nid = "doe2020\n')
    assert shown("doe2020.toml") == [
        (
            "doe2020.toml:2: no TOML: illegal character '\\n' at column 14 of 'id = \"doe2020'; "
            "allowed: TOML: see https://toml.io; try: close the quotes before the line ends"
        )
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "year = 2022\nyear = 2023\n",
            "2: no TOML: a duplicate key: year; allowed: each key once; try: delete one of the two",
        ),
        ("count = { events = 1, events = 2 }\n", "1: no TOML: a duplicate key: events; "),
        ("[arms]\n[arms]\n", "2: no TOML: a duplicate table: [arms]; allowed: each table once; "),
        (
            "a = 1\nyear = = 2022\n",
            (
                "2: no TOML: invalid value at column 8 of 'year = = 2022'; "
                "allowed: TOML: see https://toml.io; try: one ="
            ),
        ),
        ("scfv = murine\n", "of 'scfv = murine'; allowed: TOML: see https://toml.io; try: text"),
        ("scfv = “murine”\n", 'try: straight quotes: "…"'),
        ("estimate = 0,25\n", "try: a decimal point: 0.25"),
        ("estimate = −0.25\n", "try: an ordinary minus: -"),
        ("events: 13\n", "try: = in place of the colon"),
        ("[arms\n", "try: close the bracket"),
        ("a = { b = 1 c = 2 }\n", "try: a comma between the entries, and { … } on one line"),
        ("a = [1 2]\n", "try: a comma between the entries, and ] at the end"),
    ],
)
def test_what_toml_cannot_read_is_shown_with_what_to_write(
    text: str, fault: str, write: Write
) -> None:
    write(text)
    (found,) = shown("doe2020.toml")
    assert fault in found


def test_malformed_at_the_end(write: Write) -> None:
    write("schema = 1\nlist = [\n")
    (fault,) = check_studies("doe2020.toml")
    assert fault.line == 2
    assert fault.found.startswith("no TOML: ")


def test_a_number_too_long_for_python(write: Write) -> None:
    write(f"schema = {'9' * 5000}\n")
    (fault,) = check_studies("doe2020.toml")
    assert fault.found.startswith("no TOML: exceeds the limit")


def test_nested_beyond_reason(write: Write) -> None:
    write(f"list = {'[' * 50_000}{']' * 50_000}\n")
    (fault,) = check_studies("doe2020.toml")
    assert fault.found.startswith("no TOML: ")


@pytest.mark.parametrize("content", ["", "\n\n", "# only a comment\n"])
def test_empty_file(content: str, write: Write) -> None:
    write(content)
    assert shown("doe2020.toml") == [
        "doe2020.toml: the file is empty; allowed: keys and tables",
    ]


def test_not_utf8(write: Write, study_data: Make) -> None:
    text = tomlkit.dumps(study_data()).replace("A study", "Étude")
    path = write(text.encode("latin-1"))
    line = text[: text.index("É")].count("\n") + 1
    assert shown(path) == [
        f"doe2020.toml:{line}: not UTF-8 text; allowed: UTF-8; try: save it as UTF-8"
    ]


def test_binary(write: Write) -> None:
    write(bytes(range(256)))
    (fault,) = check_studies("doe2020.toml")
    assert fault.found == "not UTF-8 text"


def test_a_byte_order_mark_and_other_line_ends_are_no_fault(write: Write, study_data: Make) -> None:
    text = tomlkit.dumps(study_data())
    path = write(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert shown(path) == []


READABLE = (
    "allowed: a file or folder that you may read; "
    "try: look at its permissions and at those of the folders above it"
)


def test_unreadable(write: Write, study_data: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    path = write(study_data())
    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert shown(path) == ["doe2020.toml: cannot be read: Permission denied; " + READABLE]


def test_an_unreadable_folder_is_not_an_empty_one(
    write: Write, study_data: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path) -> object:
        raise PermissionError(13, "Permission denied")

    path = write(study_data(), "secret/doe2020.toml")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "iterdir", refuse)
        assert shown("secret") == [f"secret: cannot be read: Permission denied; {READABLE}"]
        with pytest.raises(InputError, match=r"^secret: cannot be read"):
            list_models("secret")
    # a folder that can be listed but not entered
    monkeypatch.setattr(Path, "is_file", refuse)
    assert shown(path) == [f"secret/doe2020.toml: cannot be read: Permission denied; {READABLE}"]
    with pytest.raises(InputError, match=r"^secret/doe2020\.toml: cannot be read"):
        load_model(path)


def test_what_is_no_path() -> None:
    a_path = "allowed: a path as text or as a Path"
    for given, message in (
        (["x", "y"], f"['x', 'y'] is no path; {a_path}; try: one after the other: load_studies("),
        (3, f"3 is no path; {a_path}"),
        (None, f"nothing stands here; {a_path}; try: load_studies() reads the bundled studies"),
        ("", f"''; {a_path}; try: '.' is this folder"),
        (" ", f"' '; {a_path}; try: '.' is this folder"),
    ):
        assert shown(given)[0].startswith(f"studies: {message}")
        with pytest.raises(InputError) as error:
            load_studies(given)
        assert str(error.value).startswith(f"studies: {message}")
    for given in (None, 3, ""):
        with pytest.raises(
            InputError, match=r"^model: .* or a ModelSpec; try: one of benefit_risk, cd22_cr, "
        ):
            load_model(given)
        if given is not None:
            with pytest.raises(InputError, match=r"^models: .*; allowed: a path"):
                list_models(given)


def test_missing(write: Write, study_data: Make, tmp_path: Path) -> None:
    write(study_data())
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / ".hidden.toml").touch()
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "vocabulary.toml").write_text("outcomes = {}\n")
    (tmp_path / "notes.txt").touch()
    paths = ("doe2021.toml", "nowhere/doe2020.toml", "empty", "words", "notes.txt", "emty")
    assert sorted(shown(*paths), key=lambda line: paths.index(line.split(":")[0])) == [
        (
            "doe2021.toml: no such file or folder; allowed: a .toml file, or a folder of them; "
            "try: did you mean 'doe2020.toml'?"
        ),
        (
            "nowhere/doe2020.toml: no such folder: nowhere; "
            "allowed: a .toml file, or a folder of them"
        ),
        "empty: no .toml file in this folder; allowed: one file a paper",
        "words: only vocabulary.toml; allowed: one file a paper",
        "notes.txt: not a .toml file; allowed: a study as TOML",
        (
            "emty: no such file or folder; allowed: a .toml file, or a folder of them; "
            "try: did you mean 'empty'?"
        ),
    ]


def test_paths_are_relative_below_the_working_folder_only(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("", "inner/doe2020.toml")
    assert check_studies(path)[0].path == os.path.join("inner", "doe2020.toml")  # noqa: PTH118
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    assert check_studies(path)[0].path == str(path)
    assert check_studies("../inner")[0].path == "../inner/doe2020.toml"


# ---- faults inside of files


def test_id_is_the_name_of_the_file(write: Write, study_data: Make) -> None:
    write(study_data(), "doe2021.toml")
    assert shown("doe2021.toml") == [
        (
            "doe2021.toml:2: id: 'doe2020' in a file named doe2021.toml; "
            "allowed: 'doe2021', the file's name; try: rename the file, or the id"
        )
    ]


def test_duplicate_id_names_both_files(write: Write, study_data: Make) -> None:
    write(study_data(), "a/doe2020.toml")
    write(study_data(citation={"doi": "10.1000/other"}), "b/doe2020.toml")
    assert shown("a", "b") == [
        (
            "b/doe2020.toml:2: id: 'doe2020' is the id in a/doe2020.toml too; "
            "allowed: each id once; try: rename one of the two files and its id"
        )
    ]
    with pytest.raises(InputError, match=r"is the id in a/doe2020\.toml too"):
        load_studies("a", "b")


def test_a_folder_twice_is_once(write: Write, study_data: Make) -> None:
    write(study_data(), "a/doe2020.toml")
    assert load_studies("a", "a/", "a/doe2020.toml").ids == ("doe2020",)


@pytest.mark.parametrize(
    ("version", "words"), [(2, "2"), ("1", "'1'"), (True, "true"), (1.0, "1.0")]
)
def test_unknown_schema_version(
    version: object, words: str, write: Write, study_data: Make
) -> None:
    # what another version means by its keys is not for this one to judge
    write(study_data() | {"schema": version, "new_key": 1})
    assert shown("doe2020.toml") == [
        (
            f"doe2020.toml:1: schema: version {words} is not known; "
            "nothing else was checked; allowed: 1; try: schema = 1, or a newer metacart"
        )
    ]


def test_unknown_keys_hint_at_the_nearest(write: Write, study_data: Make) -> None:
    data = study_data({"count": {"events": 1, "totl": 2, "total": 3}, "timpoint": "best"})
    write(data)
    assert [(f.place, f.attempt) for f in check_studies("doe2020.toml")] == [
        ("findings[0].timpoint (car, complete_remission)", "did you mean 'timepoint'?"),
        ("findings[0].count.totl (car, complete_remission)", "did you mean 'total'?"),
    ]


def test_every_fault_of_every_file_in_one_pass(write: Write, study_data: Make) -> None:
    first = study_data(
        {"count": {"events": -1, "total": 20}, "timepoint": "day 1"},  # negative
        {"count": {"events": 13.5, "total": 20}, "timepoint": "day 2"},  # no integer
        {"count": {"events": 21, "total": 20}, "typo": 1},  # a key, and a gate behind it
        {"count": {"events": 22, "total": 20}, "timepoint": "best"},
        {"outcome": "relapse", "count": {"events": 1, "total": 14}, "population": "responders"},
        {"arm": "cat", "outcome": "death", "count": {"events": 1, "total": 2}},
        citation={"doi": "doi:10.1/x", "year": 1066},
    )
    del first["findings"][3]["at"]  # no locator, and a gate behind it
    first["findings"][4]["survival"] = {"time": float("nan"), "unit": "month", "estimate": 2.0}
    write(first)
    write("x = ", "roe2021.toml")
    faults = check_studies(".")
    places = [(fault.path, fault.place.split(" ")[0]) for fault in faults]
    assert sorted(set(places)) == [
        ("doe2020.toml", "citation.doi"),
        ("doe2020.toml", "citation.year"),
        ("doe2020.toml", "findings[0].count.events"),
        ("doe2020.toml", "findings[1].count.events"),
        ("doe2020.toml", "findings[2].count.events"),
        ("doe2020.toml", "findings[2].typo"),
        ("doe2020.toml", "findings[3].at"),
        ("doe2020.toml", "findings[3].count.events"),
        ("doe2020.toml", "findings[4]"),  # a count and a survival
        ("doe2020.toml", "findings[4].count.total"),
        ("doe2020.toml", "findings[4].survival.estimate"),
        ("doe2020.toml", "findings[4].survival.time"),
        ("doe2020.toml", "findings[5].arm"),
        ("roe2021.toml", ""),
    ]
    assert len(places) == len(set(places))
    assert [fault.line for fault in faults] == [
        *sorted(fault.line or 0 for fault in faults[:-1]),
        1,
    ]
    with pytest.raises(InputError) as error:
        load_studies(".")
    assert error.value.faults == tuple(faults)


@pytest.mark.parametrize(
    "lost", ["schema", "id", "citation", "conduct", "arms", "citation.year", "arms.patients"]
)
def test_a_missing_table_hides_no_other_fault(lost: str, write: Write, study_data: Make) -> None:
    data = study_data(
        {"count": {"events": 21, "total": 20}},
        {"outcome": "death"},  # no value at all
    )
    table, _, key = lost.partition(".")
    holder = data if not key else data["arms"][0] if table == "arms" else data[table]
    del holder[key or table]
    write(data, "doe2020.toml")
    places = [fault.place.split(" ")[0] for fault in check_studies(".")]
    assert lost.replace("arms.", "arms[0].") in places
    assert {"findings[0].count.events", "findings[1]"} <= set(places)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"citation": "x"}, "citation: 'x' is text; allowed: a table"),
        ({"arms": []}, "arms: "),
        ({"findings": 3}, "findings: 3 is a whole number; allowed: a list"),
        ({"arms": [3]}, "arms[0]: 3 is a whole number; allowed: a table"),
        (
            {"conduct": {"study_design": ""}},
            "conduct.study_design: nothing stands here; allowed: text",
        ),
    ],
)
def test_wrong_shapes_are_faults_too(
    change: dict[str, Any], fault: str, write: Write, study_data: Make
) -> None:
    write(study_data() | change)
    assert any(str(each.at()).split(": ", 1)[1].startswith(fault) for each in check_studies("."))


def test_warnings_stop_nothing(write: Write, study_data: Make) -> None:
    slip = {"printed": "66%", "why": "a slip"}
    finding = {"count": {"events": 13, "total": 20, "printed": "66%"}, "misprint": slip}
    text = write(study_data(finding)).read_text().split("\n")
    studies = load_studies(".")
    line = text.index("[findings.count]") + text[text.index("[findings.count]") :].index(
        'printed = "66%"'
    )
    assert [str(fault) for fault in studies.warnings] == [
        (
            f"doe2020.toml:{line + 1}: warning: findings[0].count.printed (car, "
            "complete_remission): 66% is printed, but 13/20 is 65.0%, excused: a slip"
        )
    ]
    assert check_studies(".") == list(studies.warnings)


# ---- a user's own outcomes

OWN = """
[outcomes.aplasia_loss]
title = "loss of B-cell aplasia"
definition = "B cells above 1 % of lymphocytes"
better = "lower"
"""


def test_outcomes_of_a_folder(write: Write, study_data: Make) -> None:
    count = {"count": {"events": 3, "total": 20}, "outcome": "aplasia_loss"}
    path = write(study_data(count), "own/doe2020.toml")
    assert "'aplasia_loss' is not known" in shown("own")[0]
    write(OWN, "own/vocabulary.toml")
    for given in ("own", path):
        studies = load_studies(given)
        assert studies.vocabulary["aplasia_loss"].title == "loss of B-cell aplasia"
        assert "relapse" in studies.vocabulary


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            OWN.replace("aplasia_loss", "relapse"),
            (
                "own/vocabulary.toml:2: outcomes.relapse: 'relapse' is an outcome of metacart "
                "already; allowed: a name of its own; try: use that outcome, or rename this one"
            ),
        ),
        (
            OWN + 'parent = "b_cell_aplasy"\n',
            "own/vocabulary.toml:6: outcomes.aplasia_loss.parent: 'b_cell_aplasy' is no outcome; ",
        ),
        (
            OWN + 'parent = "aplasia_loss"\n',
            (
                "own/vocabulary.toml:6: outcomes.aplasia_loss.parent: 'aplasia_loss' is a part of "
                "itself; allowed: an outcome of which this one is a part"
            ),
        ),
        (
            OWN + "grade = 3\n",
            "own/vocabulary.toml:6: outcomes.aplasia_loss.grade: this key is not known; ",
        ),
        (
            OWN.replace('"lower"', '"less"'),
            (
                "own/vocabulary.toml:5: outcomes.aplasia_loss.better: 'less' is not known; "
                "allowed: higher, lower, neither"
            ),
        ),
        ("schema = 1\n", "own/vocabulary.toml:1: outcomes: this key is missing"),
    ],
)
def test_faults_of_a_vocabulary(text: str, fault: str, write: Write, study_data: Make) -> None:
    write(study_data(), "own/doe2020.toml")
    write(text, "own/vocabulary.toml")
    found = shown("own")
    assert len(found) == 1
    assert found[0].startswith(fault)


def test_two_folders_define_one_outcome(write: Write, study_data: Make) -> None:
    write(study_data(), "a/doe2020.toml")
    write(study_data(id="roe2021", citation={"year": 2021}), "b/roe2021.toml")
    write(OWN, "a/vocabulary.toml")
    write(OWN, "b/vocabulary.toml")
    assert shown("a", "b") == []
    write(OWN.replace('"lower"', '"higher"'), "b/vocabulary.toml")
    assert shown("a", "b") == [
        (
            "b/vocabulary.toml:2: outcomes.aplasia_loss: 'aplasia_loss' is an outcome of "
            "a/vocabulary.toml already; allowed: a name of its own; "
            "try: use that outcome, or rename this one"
        )
    ]


# ---- the collection


@pytest.fixture
def three(write: Write, study_data: Make) -> Studies:
    for name in ("doe2020", "roe2021", "poe2022"):
        write(study_data(id=name))
    return load_studies(".")


def test_studies_are_an_immutable_sequence(three: Studies) -> None:
    assert [study.id for study in three] == ["doe2020", "poe2022", "roe2021"]
    assert len(three) == 3
    assert three["roe2021"] is three[2]
    assert three[-1].id == "roe2021"
    assert three[:2].ids == ("doe2020", "poe2022")
    assert "roe2021" in three
    assert three[0] in three
    assert "an2022" not in three
    assert repr(three) == "Studies(3: doe2020, poe2022, roe2021)"
    assert pickle.loads(pickle.dumps(three)) == three
    assert three != three[:2]
    with pytest.raises(TypeError):
        three[0] = three[1]
    with pytest.raises(TypeError):
        three.vocabulary["x"] = three.vocabulary["relapse"]
    with pytest.raises(IndexError):
        three[3]


def test_an_unknown_study_hints_at_the_nearest(three: Studies) -> None:
    with pytest.raises(InputError) as error:
        three["roe2020"]
    assert str(error.value) == (
        "study: 'roe2020' is not known; allowed: 'doe2020', 'poe2022', 'roe2021'; "
        "try: did you mean 'roe2021'?"
    )


def test_bundled_studies_load_without_a_fault() -> None:
    studies = load_studies()
    assert {"an2022", "chen2021", "li2020", "scmc2023"} <= set(studies.ids)
    assert [fault for fault in check_studies() if fault.severity == "error"] == []
    assert load_studies(BUNDLED) == studies


def test_bundled_studies_merge_with_a_folder(write: Write, study_data: Make) -> None:
    write(study_data(), "mine/doe2020.toml")
    assert load_studies(BUNDLED, "mine").ids == (*load_studies().ids, "doe2020")


# ---- models


def test_shipped_models_load() -> None:
    names = list_models()
    assert {
        "cr_rate",
        "severe_crs",
        "retreatment_cr",
        "hsct_benefit_efs",
        "hsct_benefit_os",
        "hsct_relapse",
    } <= set(names)
    for name in names:
        spec = load_model(name)
        assert spec.id == name
        assert spec.question
        assert spec.question.endswith("?")


def test_a_model_from_a_path_and_from_a_folder(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    shutil.copy(BUNDLED.parent / "models" / "cr_rate.toml", tmp_path / "own" / "cr_rate.toml")
    assert load_model("own/cr_rate.toml") == load_model("cr_rate")
    assert load_model(tmp_path / "own" / "cr_rate.toml") == load_model("cr_rate")
    assert load_model("cr_rate", folder="own") == load_model("cr_rate")
    assert list_models("own") == ("cr_rate",)
    with pytest.raises(InputError) as error:
        load_model("severe_crs", folder=tmp_path / "own")
    assert str(error.value) == (
        "model: 'severe_crs' is not known; allowed: cr_rate; try: or the path of a .toml file"
    )


def test_an_unknown_model_hints_at_the_nearest() -> None:
    with pytest.raises(InputError) as error:
        load_model("cr_rates")
    (fault,) = error.value.faults
    assert fault.found == "'cr_rates' is not known"
    assert "severe_crs" in fault.allowed
    assert fault.attempt == "did you mean 'cr_rate'?"


@pytest.mark.parametrize("path", ["cr_rat.toml", "nowhere/cr_rate.toml", "own/cr_rate"])
def test_a_model_that_is_not_there(path: str, write: Write) -> None:
    write("", "cr_rate.toml")
    with pytest.raises(InputError) as error:
        load_model(path)
    assert "no such" in str(error.value)


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (
            'id = "other"\n[model]\nlikelihood = "binomial"\nmoderator = ["scfv"]\n',
            [
                (
                    "own.toml:1: id: 'other' in a file named own.toml; "
                    "allowed: 'own', the file's name; try: rename the file, or the id"
                ),
                "own.toml:4: moderator: this key is not known; allowed: ",
            ],
        ),
        (
            '[report]\nthresholds = ["x"]\n',
            [
                'own.toml:1: likelihood: this key is missing; try: add `likelihood = "binomial"`',
                "own.toml:2: thresholds[0]: 'x' is text; allowed: a number",
            ],
        ),
        (
            'schema = 2\n[model]\nlikelihood = "binomial"\n',
            ["own.toml:1: schema: version 2 is not known; nothing else was checked; allowed: 1"],
        ),
        ("", ["own.toml: the file is empty; allowed: keys and tables"]),
        ("[model\n", ["own.toml:1: no TOML: "]),
    ],
)
def test_faults_of_a_model(text: str, faults: list[str], write: Write) -> None:
    path = write(text, "own.toml")
    with pytest.raises(InputError) as error:
        load_model(path)
    found = str(error.value).split("\n")
    assert len(found) == len(faults)
    assert all(line.startswith(fault) for line, fault in zip(found, faults, strict=True))


def test_a_model_without_an_id_has_the_name_of_its_file(write: Write) -> None:
    write('[model]\nlikelihood = "binomial"\n', "own.toml")
    write('[model]\nlikelihood = "binomial"\n', "My own.toml")
    assert load_model("own.toml") == ModelSpec(id="own", likelihood="binomial")
    assert load_model("My own.toml").id is None


def test_the_bundled_library_is_large_and_without_a_fault() -> None:
    assert len(load_studies()) >= 60
    assert [fault for fault in check_studies() if fault.severity == "error"] == []
