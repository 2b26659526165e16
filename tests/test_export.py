"""Studies in the formats of other programs."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import metacart as mc
from metacart.evidence.exchange.export import FORMATS
from metacart.evidence.exchange.flat import COLUMNS, Part, columns_named
from metacart.evidence.exchange.library import REVMAN_COLUMNS
from metacart.records.base import Record
from metacart.records.study import Arm, Finding, Study

Make = Callable[..., dict[str, Any]]
BUNDLED = mc.load_studies()


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def study_with(study_data: Make, *findings: dict[str, Any], **options: Any) -> Study:
    return Study.from_mapping(study_data(*findings, **options))


HR = {
    "outcome": "overall_survival",
    "population": "responders",
    "exposure": "hsct",
    "time_handling": "landmark",
}


# ---- the tidy table


def test_a_row_a_finding_with_all_of_its_arm_and_paper() -> None:
    rows = rows_of(mc.export_studies(BUNDLED))
    assert len(rows) == sum(len(study.findings) for study in BUNDLED)
    first = next(row for row in rows if row["study"] == "an2022")
    study = BUNDLED["an2022"]
    assert (first["study"], first["label"], first["finding"]) == ("an2022", "An 2022", "0")
    assert (first["events"], first["total"], first["printed"]) == ("13", "19", "68%")
    assert (first["doi"], first["year"]) == (study.citation.doi, "2022")
    assert (first["arm"], first["scfv"], first["same_product"]) == ("hcd19", "human", "false")
    assert (first["targets"], first["target"], first["infused"]) == ("CD19", "CD19", "19")
    assert first["authors"].split("; ") == list(study.citation.authors)
    assert first["at"] == study.findings[0].at


@pytest.mark.parametrize(
    ("part", "record", "elsewhere"),
    [
        ("study", Study, {"schema_", "arms", "findings", "discrepancies", "risk_of_bias"}),
        ("arm", Arm, {"attributes"}),
        ("finding", Finding, {"arm"}),
    ],
)
def test_every_key_is_a_column(part: Part, record: type[Record], elsewhere: set[str]) -> None:
    columns = [column for column in COLUMNS.values() if column.part == part]
    keys = {path[0] for column in columns for path in column.paths}
    assert keys == record.model_fields.keys() - elsewhere
    assert [column.name for column in columns] == columns_named(part)


def test_no_entry_of_a_list_holds_what_parts_entries() -> None:
    for study in BUNDLED:
        data = study.model_dump(mode="json")
        waiting: list[Any] = [data["citation"], data["conduct"], *data["arms"], *data["findings"]]
        for each in waiting:
            if isinstance(each, dict):
                waiting += each.values()
            elif isinstance(each, list):
                assert not [entry for entry in each if ";" in str(entry)], study.id


@pytest.mark.parametrize("model", ["cr_rate", "severe_crs", "retreatment_cr"])
def test_counts_of_a_question_are_those_of_the_evidence(model: str) -> None:
    evidence = mc.tabulate(BUNDLED, model)
    rows = rows_of(mc.export_studies(BUNDLED, model=model))
    counts = [(row["study"], row["arm"], int(row["events"]), int(row["total"])) for row in rows]
    wanted = evidence[["study", "arm", "events", "total"]].itertuples(index=False, name=None)
    assert counts == list(wanted)
    assert {row["outcome"] for row in rows} == {mc.load_model(model).outcome}


def test_own_columns_of_arms_are_columns(study_data: Make) -> None:
    study = study_with(study_data, arms=({"attributes": {"dose": 1.5, "fresh": True}},))
    (row,) = rows_of(mc.export_studies([study]))
    assert (row["attributes.dose"], row["attributes.fresh"]) == ("1.5", "true")


# ---- json


def test_json_is_the_whole_library() -> None:
    content = json.loads(mc.export_studies(BUNDLED, format="json"))
    assert (content["schema"], content["metacart"]) == (1, mc.__version__)
    assert [Study.from_mapping(data) for data in content["studies"]] == list(BUNDLED)


def test_json_of_a_question_holds_what_it_uses_and_nothing_else() -> None:
    content = json.loads(mc.export_studies(BUNDLED, format="json", model="cr_rate"))
    evidence = mc.tabulate(BUNDLED, "cr_rate")
    found = [
        (study["id"], finding["arm"], finding["count"]["events"], len(study["arms"]))
        for study in content["studies"]
        for finding in study["findings"]
    ]
    wanted = evidence[["study", "arm", "events"]].itertuples(index=False, name=None)
    assert found == [(*row, 1) for row in wanted]


# ---- metafor


def test_columns_for_escalc(study_data: Make) -> None:
    study = study_with(
        study_data,
        {"count": {"events": 13, "total": 20}},
        {
            **HR,
            "outcome": "relapse",
            "contrast": {
                "exposed": {"events": 1, "total": 7},
                "unexposed": {"events": 4, "total": 6},
            },
        },
        {**HR, "ratio": {"measure": "hr", "estimate": 0.5, "lower": 0.25, "upper": 1.0}},
        {
            **HR,
            "ratio": {
                "measure": "hr",
                "estimate": 2.0,
                "lower": 1.0,
                "upper": 4.0,
                "reversed": True,
            },
        },
        {
            "outcome": "overall_survival",
            "survival": {"time": 12, "unit": "month", "estimate": 0.8, "lower": 0.7, "upper": 0.9},
        },
        {
            "outcome": "overall_survival",
            "quantile": {"probability": 0.5, "unit": "month", "estimate": 9},
        },
        {**HR, "ratio": {"measure": "hr", "estimate": 0.5}},
    )
    rows = rows_of(mc.export_studies([study], format="metafor"))
    count, pair, ratio, reversed_, survival = rows
    assert (count["xi"], count["ni"], count["yi"]) == ("13", "20", "NA")
    # exposed with and without the event, then unexposed
    assert [pair[name] for name in ("ai", "bi", "ci", "di")] == ["1", "6", "4", "2"]
    # by hand: log 0.5, and ((log 1 - log 0.25) / 3.92)^2
    assert float(ratio["yi"]) == pytest.approx(math.log(0.5))
    assert float(ratio["vi"]) == pytest.approx((math.log(4) / 3.919928) ** 2, rel=1e-6)
    assert ratio["effect"] == "log HR"
    assert float(reversed_["yi"]) == pytest.approx(float(ratio["yi"]))
    assert float(reversed_["vi"]) == pytest.approx(float(ratio["vi"]))
    # log(-log S), and by the delta method SE(S) / (S |log S|) with SE(S) = 0.2 / 3.92
    assert float(survival["yi"]) == pytest.approx(math.log(-math.log(0.8)))
    error = 0.2 / 3.919928 / (0.8 * -math.log(0.8))
    assert float(survival["vi"]) == pytest.approx(error**2, rel=1e-5)
    assert {row["slab"] for row in rows} == {"Doe 2020"}


def test_what_r_reads_as_missing_and_as_logical(study_data: Make) -> None:
    study = study_with(study_data, arms=({"same_product": False, "infusion": "retreatment"},))
    (row,) = rows_of(mc.export_studies([study], format="metafor"))
    assert (row["same_product"], row["reason"], row["scfv"]) == ("FALSE", "NA", "murine")


def test_metafor_of_a_question_has_its_levels_and_its_counts() -> None:
    evidence = mc.tabulate(BUNDLED, "retreatment_cr")
    rows = rows_of(mc.export_studies(BUNDLED, format="metafor", model="retreatment_cr"))
    assert [(int(row["xi"]), int(row["ni"])) for row in rows] == list(
        evidence[["events", "total"]].itertuples(index=False, name=None)
    )
    # human is recoded to humanized in this question
    assert [row["scfv"] for row in rows] == evidence["scfv"].tolist()


def test_a_ratio_outside_its_own_interval_is_of_no_use_to_others(study_data: Make) -> None:
    misprint = {"printed": "0.5 (0.6–0.9)", "why": "as printed"}
    ratio = {"measure": "hr", "estimate": 0.5, "lower": 0.6, "upper": 0.9}
    study = study_with(study_data, {**HR, "ratio": ratio, "misprint": misprint})
    for wanted in ("metafor", "revman-csv"):
        assert rows_of(mc.export_studies([study], format=wanted)) == []
    assert rows_of(mc.export_studies([study]))[0]["estimate"] == "0.5"


# ---- RevMan


def test_comparisons_as_data_rows_of_revman(study_data: Make) -> None:
    counts = {"exposed": {"events": 1, "total": 7}, "unexposed": {"events": 4, "total": 6}}
    studies = [
        study_with(study_data, {**HR, "outcome": "relapse", "contrast": counts}, id=name)
        for name in ("doe2020", "doej2020")
    ]
    studies[1] = study_with(
        study_data,
        {**HR, "outcome": "relapse", "contrast": counts},
        {**HR, "ratio": {"measure": "hr", "estimate": 0.5, "lower": 0.25, "upper": 1.0}},
        {"count": {"events": 1, "total": 20}},
        id="doej2020",
    )
    text = mc.export_studies(studies, format="revman-csv")
    rows = rows_of(text)
    assert text.splitlines()[0] == ",".join(REVMAN_COLUMNS)
    first, second, ratio = rows
    cells = ("Experimental cases", "Experimental N", "Control cases", "Control N")
    assert [first[name] for name in cells] == ["1", "7", "4", "6"]
    assert first["Analysis name"] == second["Analysis name"] != ratio["Analysis name"]
    numbers = [(row["Analysis group"], row["Analysis number"]) for row in rows]
    assert numbers == [("1", "1"), ("1", "1"), ("1", "2")]
    # RevMan knows a study by its name
    assert [row["Study"] for row in rows[:2]] == ["Doe 2020 (doe2020)", "Doe 2020 (doej2020)"]
    assert float(ratio["GIV Mean"]) == pytest.approx(math.log(0.5))
    assert float(ratio["GIV SE"]) == pytest.approx(math.log(4) / 3.919928, rel=1e-6)
    assert [ratio[name] for name in ("Mean", "CI start", "CI end")] == ["0.5", "0.25", "1.0"]
    assert "Table 2" in first["Footnotes"]
    assert "landmark" in first["Footnotes"]


# ---- the verb


def test_an_unknown_format_is_refused_with_the_nearest() -> None:
    with pytest.raises(mc.InputError, match="format: 'metaphor' is not known") as caught:
        mc.export_studies(BUNDLED, format="metaphor")
    assert "did you mean 'metafor'?" in str(caught.value)
    assert all(f"'{name}'" in str(caught.value) for name in FORMATS)


def test_the_file_is_the_text(tmp_path: Path) -> None:
    path = tmp_path / "new" / "all.csv"
    text = mc.export_studies(BUNDLED, out=path)
    assert path.read_text("utf-8") == text
    path.write_text("old", encoding="utf-8")
    assert mc.export_studies(BUNDLED, out=path) == path.read_text("utf-8")
    assert [each.name for each in path.parent.iterdir()] == ["all.csv"]


def test_a_folder_in_the_place_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(mc.InputError, match="a folder; allowed: a file"):
        mc.export_studies(BUNDLED, out=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_question_that_nothing_answers_is_refused(study_data: Make) -> None:
    study = study_with(study_data, {"outcome": "relapse", "count": {"events": 1, "total": 20}})
    with pytest.raises(mc.InputError, match="no finding answers the question"):
        mc.export_studies([study], model="cr_rate")
