"""A spreadsheet of counts becomes study files."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import metacart as mc
from metacart.evidence.exchange.sheet import NEEDED

Make = Callable[..., dict[str, Any]]
HEADER = (
    "study,title,authors,year,doi,study_design,arm,disease,infusion,scfv,targets,infused,"
    "outcome,population,timepoint,events,total,printed,at\n"
)
ROW = (
    "doe2024,A study,Doe J; Roe K,2024,10.1000/doe,phase 1,car,B-ALL,first,murine,CD19,20,"
    "complete_remission,infused,day 28,13,20,65%,Table 2\n"
)
# a second finding of the same arm: what holds for paper and arm stands in the first row alone
AGAIN = "doe2024,,,,,,car,,,,,,crs,infused,,18,20,,Table 3\n"


def write(text: str, name: str = "counts.csv") -> str:
    Path(name).write_text(text, encoding="utf-8")
    return name


def faults_of(text: str) -> list[str]:
    with pytest.raises(mc.InputError) as caught:
        mc.import_studies(write(text), out="mine")
    assert not Path("mine").exists()
    return str(caught.value).splitlines()


def test_a_table_becomes_files_that_pass_the_check(here: Path) -> None:
    files = mc.import_studies(write(HEADER + ROW + AGAIN), out="mine")
    assert files == (Path("mine/doe2024.toml"),)
    assert mc.check_studies("mine") == []
    (study,) = mc.load_studies("mine")
    assert study.citation.authors == ("Doe J", "Roe K")
    assert study.arms[0].targets == ("CD19",)
    found = [(each.outcome, each.count.events, each.at) for each in study.findings if each.count]
    assert found == [("complete_remission", 13, "Table 2"), ("crs", 18, "Table 3")]
    assert study.findings[0].count.printed == "65%"
    text = files[0].read_text("utf-8")
    assert text.startswith('schema = 1\nid = "doe2024"\n\n[citation]\ntitle = "A study"\n')
    assert '\ncount = { events = 13, total = 20, printed = "65%" }\n' in text


def test_what_is_exported_can_be_imported(here: Path) -> None:
    bundled = mc.load_studies()
    mc.export_studies(bundled, out="all.csv")
    mc.import_studies("all.csv", out="mine")
    studies = [study for study in bundled if study.findings]
    for study, again in zip(studies, mc.load_studies("mine"), strict=True):
        assert again.findings == study.findings
        assert again.citation == study.citation
        assert again.conduct == study.conduct
        # an arm of which nothing is reported has no row; others come as rows name them
        reported = dict.fromkeys(finding.arm for finding in study.findings)
        assert again.arms == tuple(study.arm(arm) for arm in reported)
    for model in ("cr_rate", "severe_crs", "hsct_relapse"):
        first, second = (mc.tabulate(each, model) for each in (bundled, mc.load_studies("mine")))
        pd.testing.assert_frame_equal(first, second)


def test_a_data_frame(here: Path) -> None:
    frame = pd.read_csv(io.StringIO(HEADER + ROW + AGAIN))
    # missing cells have made floats of whole numbers
    assert frame["year"].dtype == float
    mc.import_studies(frame, out="mine")
    mc.import_studies(write(HEADER + ROW + AGAIN), out="other")
    assert list(mc.load_studies("mine")) == list(mc.load_studies("other"))


@pytest.mark.parametrize("between", [";", "\t"])
def test_other_separators(between: str, here: Path) -> None:
    text = (HEADER + ROW).replace("Doe J; Roe K", "Doe J").replace(",", between)
    mc.import_studies(write("\ufeff" + text), out="mine")
    assert mc.load_studies("mine").ids == ("doe2024",)


def test_own_columns_of_arms(here: Path) -> None:
    header = HEADER.replace("\n", ",attributes.dose,attributes.fresh,attributes.centre\n")
    row = ROW.replace("\n", ",1.5,TRUE,Ulm\n")
    mc.import_studies(write(header + row), out="mine")
    attributes = mc.load_studies("mine")[0].arms[0].attributes
    assert attributes == {"dose": 1.5, "fresh": True, "centre": "Ulm"}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("13,20,65%", "21,20,", "row 2, column 'events': 21 events among 20; allowed: 0 to 20"),
        ("13,20,65%", "1.5,20,", "row 2, column 'events': 1.5 is a number; allowed: a whole"),
        ("13,20,65%", "x,20,", "row 2, column 'events': 'x' is text; allowed: a whole number"),
        ("13,20,65%", "13,,", "row 2, column 'total': nothing stands here; try: fill it in"),
        ("65%", "75%", "row 2, column 'printed': 75% is printed, but 13/20 is 65.0%"),
        ("first,", "frist,", "row 2, column 'infusion': 'frist' is not known"),
        ("murine", "", "row 2, column 'scfv': nothing stands here"),
        ("complete_remission", "CR", "row 2, column 'outcome': 'CR' is not known"),
        ("CD19,20", "CD19,19", "row 2, column 'total': 20 patients, but arm 'car' has 19"),
        ("CD19,20", "CD19,", "fill in column 'infused'; 20 are counted here"),
        ("2024,10", "24,10", "row 2, column 'year': 24; allowed: 1989"),
        ("10.1000/doe", "", "row 2, citation: no identifier"),
        ("10.1000/doe", "https://doi.org/10.1000/doe", "row 2, column 'doi': "),
        ("doe2024", "Doe 2024", "row 2, column 'study': 'Doe 2024'; allowed: lower-case"),
        ("doe2024,", ",", "row 2, column 'study': nothing stands here; allowed: an id"),
        (",car,", ",,", "row 2, column 'arm': nothing stands here; allowed: an id"),
        ("Table 2", "", "row 2, column 'at': nothing stands here; try: fill it in"),
        ("Table 2", "Table 2,more", "row 2: 20 cells; allowed: 19 cells, one a column"),
    ],
)
def test_a_fault_is_named_by_row_and_column(old: str, new: str, message: str, here: Path) -> None:
    assert old in ROW
    faults = faults_of(HEADER + ROW.replace(old, new, 1))
    assert [fault for fault in faults if f"counts.csv: {message}" in fault or message in fault]
    assert len(faults) == 1


def test_every_fault_at_once_in_the_order_of_rows(here: Path) -> None:
    other = AGAIN.replace("doe2024,,", "doe2024,Another,").replace("18,20", "21,20")
    third = ROW.replace("doe2024", "roe2024").replace("/doe", "/roe").replace("first", "second")
    faults = faults_of(HEADER + ROW.replace("65%", "75%") + other + third)
    assert [fault.partition(": ")[2].partition(": ")[0] for fault in faults] == [
        "row 2, column 'printed'",
        "row 3, column 'title'",
        "row 3, column 'events'",
        "row 4, column 'infusion'",
    ]
    assert "'Another'; allowed: 'A study', as in row 2: it is of the same study" in faults[1]


def test_rows_of_a_data_frame_count_from_one(here: Path) -> None:
    frame = pd.read_csv(io.StringIO(HEADER + ROW + AGAIN.replace("18,20", "21,20")))
    with pytest.raises(mc.InputError, match=r"^row 2, column 'events': 21 events among 20"):
        mc.import_studies(frame, out="mine")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (HEADER.replace("events", "evnts"), "column 'evnts': this column is not known"),
        (HEADER.replace("printed", "total"), "column 'total': stands twice; allowed: each column"),
        (HEADER.replace("printed", ""), "row 1: a column without a name"),
        (HEADER.replace("printed", "colour"), "column 'colour': this column is not known"),
    ],
)
def test_faulty_columns(header: str, message: str, here: Path) -> None:
    assert [fault for fault in faults_of(header + ROW) if message in fault]


def test_the_nearest_column_is_named(here: Path) -> None:
    faults = faults_of(HEADER.replace("events", "evnts") + ROW)
    assert "did you mean 'events'?" in faults[0]
    assert "no column events; allowed: at least study, title" in faults[1]


def test_columns_that_are_needed_are(here: Path) -> None:
    assert set(NEEDED) <= set(HEADER.strip().split(","))
    faults = faults_of("study,arm\ndoe2024,car\n")
    absent = [name for name in NEEDED if name not in ("study", "arm")]
    assert f"no column {', '.join(absent)};" in faults[0]


@pytest.mark.parametrize("text", ["", HEADER])
def test_an_empty_table(text: str, here: Path) -> None:
    assert faults_of(text) == ["counts.csv: no rows; allowed: a row a finding"]


def test_no_table_at_all(here: Path) -> None:
    with pytest.raises(mc.InputError, match=r"no.csv: no such file or folder; allowed: a .csv"):
        mc.import_studies("no.csv", out="mine")
    with pytest.raises(
        mc.InputError, match=r"table: 3 is no path; allowed: a .csv file, or a Data"
    ):
        mc.import_studies(3, out="mine")
    Path("book.xlsx").write_bytes(b"PK\x03\x04")
    with pytest.raises(mc.InputError, match=r"a workbook; allowed: a .csv file; try: save the"):
        mc.import_studies("book.xlsx", out="mine")
    Path("latin.csv").write_bytes(HEADER.encode() + "doe2024,é".encode("latin-1"))
    with pytest.raises(mc.InputError, match=r"latin.csv:2: not UTF-8 text"):
        mc.import_studies("latin.csv", out="mine")


def test_files_that_exist_stay(here: Path) -> None:
    Path("mine").mkdir()
    old = mc.import_studies(write(HEADER + ROW), out="mine")[0].read_text("utf-8")
    new = ROW.replace("doe2024", "roe2024").replace("/doe", "/roe")
    with pytest.raises(mc.InputError, match=r"mine/doe2024.toml: exists already"):
        mc.import_studies(
            write(HEADER + ROW.replace("13", "12").replace("65", "60") + new), out="mine"
        )
    assert [path.name for path in Path("mine").iterdir()] == ["doe2024.toml"]
    assert Path("mine/doe2024.toml").read_text("utf-8") == old


def test_an_identifier_of_another_file_of_the_folder(here: Path) -> None:
    mc.import_studies(write(HEADER + ROW), out="mine")
    again = HEADER + ROW.replace("doe2024", "roe2024")
    with pytest.raises(mc.InputError, match="row 2, column 'doi': 'doe2024' has the DOI"):
        mc.import_studies(write(again), out="mine")


def test_outcomes_of_the_folder_are_known(here: Path) -> None:
    Path("mine").mkdir()
    mc.import_studies(write(HEADER + ROW), out="mine")
    own = '[outcomes.fever]\ntitle = "fever"\ndefinition = "above 38 °C"\nbetter = "lower"\n'
    Path("mine/vocabulary.toml").write_text(own, encoding="utf-8")
    new = ROW.replace("doe2024", "roe2024").replace("/doe", "/roe").replace("Doe J", "Roe J")
    mc.import_studies(write(HEADER + new.replace("complete_remission", "fever")), out="mine")
    assert mc.check_studies("mine") == []


def test_a_disk_that_is_full_leaves_nothing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = Path.write_bytes

    def refuse(path: Path, *given: Any, **options: Any) -> int:
        if path.name.startswith(".roe2024"):
            raise OSError(28, "No space left on device", str(path))
        return written(path, *given, **options)

    table = write(HEADER + ROW + ROW.replace("doe2024", "roe2024").replace("/doe", "/roe"))
    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(mc.InputError, match=r"roe2024.toml: cannot be written: No space left"):
        mc.import_studies(table, out="mine")
    assert [path.name for path in here.iterdir()] == ["counts.csv"]


def test_a_file_where_a_folder_is_wanted(here: Path) -> None:
    table = write(HEADER + ROW)
    (here / "mine").write_text("notes")
    with pytest.raises(mc.InputError, match="mine: a file; allowed: a folder"):
        mc.import_studies(table, out="mine")
    assert (here / "mine").read_text() == "notes"


def test_other_kinds_of_values(here: Path) -> None:
    header = HEADER.replace("events,total,printed", "kind,grades,grading,estimate,lower,upper")
    header = header.replace("\n", ",time,unit\n")
    start = ROW.partition("complete_remission")[0]
    text = (
        header
        + f"{start}crs,infused,,grades,0: 1; 1-2: 17; 3-5: 2,ASTCT,,,,Table 3,,\n"
        + f"{start}overall_survival,infused,month 12,survival,,,0.8,0.7,0.9,Fig. 1,12,month\n"
    )
    mc.import_studies(write(text), out="mine")
    graded, survival = mc.load_studies("mine")[0].findings
    assert graded.grades == {"0": 1, "1-2": 17, "3-5": 2}
    assert (survival.survival.estimate, survival.survival.time) == (0.8, 12)
    faults = faults_of_kind(header, start)
    assert "row 2, column 'kind': 'surival' is not known" in faults[0]
    assert "did you mean 'survival'?" in faults[0]
    assert "row 3, column 'time': '12'; allowed: nothing: this row is a grades" in faults[1]


def faults_of_kind(header: str, start: str) -> list[str]:
    text = (
        header
        + f"{start}overall_survival,infused,month 12,surival,,,,,,Fig. 1,,\n"
        + f"{start}crs,infused,,grades,0: 1; 1-2: 17; 3-5: 2,ASTCT,,,,Table 3,12,\n"
    )
    with pytest.raises(mc.InputError) as caught:
        mc.import_studies(write(text), out="other")
    return [fault for fault in str(caught.value).splitlines() if "column" in fault]
