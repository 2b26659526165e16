"""The flow from the library to the numbers of a question: sums, rules, and its figure."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib import pyplot as plt

import metacart as mc
from metacart.errors import InputError
from metacart.evidence import choice, kinds, several
from metacart.evidence.flow import PHASES, RULES
from metacart.records.study import Study

Data = Callable[..., dict[str, Any]]
SUMS = ["studies", "cohorts", "arms", "patients", "findings"]


@pytest.fixture(scope="module")
def library() -> mc.Studies:
    return mc.load_studies()


@pytest.fixture(scope="module")
def papers(library: mc.Studies) -> list[Study]:
    return [library[name] for name in ("an2022", "chen2021", "li2020", "scmc2023")]


@pytest.fixture(autouse=True)
def _closed() -> Any:
    yield
    plt.close("all")


def remaining(table: Any) -> Any:
    return table[table["row"] == "remaining"].set_index("phase")


# --- numbers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", mc.list_models())
def test_what_is_left_out_and_what_remains_add_up(library: mc.Studies, model: str) -> None:
    table = mc.flow(library, model)
    assert list(remaining(table).index) == list(PHASES)
    there = None
    for row in table.to_dict("records"):
        now = {name: row[name] for name in SUMS}
        if row["row"] == "remaining":
            assert there in (None, now)
            there = now
        else:
            assert row["reason"]
            assert min(now.values()) >= 0
            assert max(now.values()) > 0
            there = {name: there[name] - now[name] for name in SUMS}


@pytest.mark.parametrize("model", mc.list_models())
def test_it_is_the_sum_of_the_account(library: mc.Studies, model: str) -> None:
    table, account = mc.flow(library, model), mc.account(library, model)
    first, last = table.iloc[0], table.iloc[-1]
    assert first["findings"] == len(account)
    assert first["arms"] == sum(len(study.arms) for study in library)
    used = account[account["used"]]
    assert last["findings"] == len(used)
    assert last["studies"] == used["study"].nunique()
    assert last["arms"] == len(used[["study", "arm"]].drop_duplicates())
    spec = mc.load_model(model)
    left = table[table["reason"].str.startswith("no ") & (table["phase"] == "reporting")]
    assert left["findings"].sum() == (account["rule"] == "another outcome").sum()
    assert spec.outcome is not None or spec.outcomes


def test_the_four_papers_by_hand(papers: list[Study]) -> None:
    """21 enrolled by An, 28 infused by Chen, 39 by Li, 5 in Shanghai; subgroups add nobody."""
    table = mc.flow(papers, "cr_rate")
    assert table.iloc[0][SUMS].tolist() == [4, 4, 15, 21 + 28 + 39 + 5, table.iloc[0]["findings"]]
    # Chen 25/28 and Li 36/39: the five of Shanghai came for their relapse, An re-treats
    last = table.iloc[-1]
    assert last[["studies", "arms", "patients", "findings"]].tolist() == [2, 2, 28 + 39, 2]
    assert last["counted"] == 28 + 39
    left = table[table["row"] == "left out"].set_index("reason")
    assert left.loc["infusion other than first", "patients"] == 21  # the five had a first one too
    assert left.loc["patients selected", "patients"] == 5
    evidence = mc.tabulate(papers, "cr_rate")
    assert last["counted"] == evidence["total"].sum()


def test_papers_of_one_cohort_count_their_patients_once(study_data: Data) -> None:
    arms = ({"patients": {"infused": 20}},)
    more = ({"patients": {"infused": 50}},)
    finding = {"timepoint": "day 28", "count": {"events": 13, "total": 20}}
    large = {"timepoint": "day 28", "count": {"events": 33, "total": 50}}
    studies = [
        Study.from_mapping(study_data(finding, arms=arms, id="a2019", cohort="trial")),
        Study.from_mapping(study_data(large, arms=more, id="b2021", cohort="trial")),
        Study.from_mapping(study_data(finding, arms=arms, id="c2020")),
    ]
    table = mc.flow(studies, "cr_rate")
    assert table.iloc[0][SUMS].tolist() == [3, 2, 3, 70, 3]
    assert table.iloc[-1][SUMS].tolist() == [2, 2, 2, 70, 2]
    (row,) = table[table["reason"] == "another paper on the same cohort"].to_dict("records")
    assert [row[name] for name in SUMS] == [1, 0, 1, 0, 1]


def test_an_arm_leaves_by_the_rule_that_its_last_finding_met(study_data: Data) -> None:
    """One finding of another outcome, one at another time: the arm leaves by the latter."""
    data = study_data(
        {"outcome": "relapse", "count": {"events": 3, "total": 20}},
        {"timepoint": "month 6", "count": {"events": 13, "total": 20}},
    )
    table = mc.flow([Study.from_mapping(data)], "cr_rate")
    left = table[table["row"] == "left out"].set_index("reason")[["arms", "findings"]]
    assert left.loc["no complete remission reported"].tolist() == [0, 1]
    assert left.loc["assessed at another time"].tolist() == [1, 1]
    assert table.iloc[-1][SUMS].tolist() == [0, 0, 0, 0, 0]
    assert table.iloc[-1]["counted"] == 0


def test_overlapping_subgroups_never_make_patients(study_data: Data) -> None:
    """Two subgroups of one arm, which say nothing of each other, outnumber it once it has left."""
    part = {"shares_patients_with": ["car"], "patients": {"infused": 15}}
    arms = ({"infusion": "mixed"}, {"id": "x", **part}, {"id": "y", **part})
    count = {"timepoint": "day 28", "count": {"events": 10, "total": 15}}
    whole = {"count": {"events": 13, "total": 20}}
    data = study_data(whole, {"arm": "x", **count}, {"arm": "y", **count}, arms=arms)
    table = mc.flow([Study.from_mapping(data)], "cr_rate")
    assert (remaining(table)["patients"].diff().dropna() <= 0).all()
    assert remaining(table).loc["eligible", "patients"] == 21  # not 30


def test_every_rule_of_the_choice_has_its_place() -> None:
    steps = {
        node.args[0].value
        for module in (choice, kinds, several)
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "leave_out"
        and isinstance(node.args[0], ast.Constant)
    }
    assert steps | {"include"} == set(RULES)


def test_a_question_that_the_studies_do_not_know_is_refused(papers: list[Study]) -> None:
    spec = mc.ModelSpec(likelihood="binomial", outcome="complete_remision")
    for verb in (mc.flow, mc.plot_flow):
        with pytest.raises(InputError, match="did you mean 'complete_remission'"):
            verb(papers, spec)


# --- the figure ---------------------------------------------------------------------------------


def by_row(pc: Any, name: str) -> dict[str, list[Any]]:
    array = next(iter(pc.viz[name].dataset.data_vars.values()))
    return {
        str(row): [item for item in np.ravel(array.sel(row=row).to_numpy()) if item is not None]
        for row in array["row"].to_numpy()
    }


def text(pc: Any, name: str) -> dict[str, str]:
    rows = by_row(pc, name).items()
    return {row: " ".join(each.get_text() for each in found) for row, found in rows}


@pytest.mark.parametrize("model", mc.list_models())
def test_the_boxes_say_what_the_table_says(library: mc.Studies, model: str) -> None:
    pc, table = mc.plot_flow(library, model), mc.flow(library, model)
    stages = remaining(table)
    for (_, row), said in zip(stages.iterrows(), text(pc, "numbers").values(), strict=True):
        papers = "paper" if row["studies"] == 1 else "papers"
        assert said.startswith(f"{row['studies']:,} {papers}")
        assert f"{row['patients']:,} patient" in said
        assert f"{row['findings']:,} finding" in said
    assert f"{stages.iloc[-1]['counted']:,} patient" in list(text(pc, "numbers").values())[-1]
    left = table[table["row"] == "left out"]
    assert [each.casefold() for each in text(pc, "reason").values()] == [
        each.casefold() for each in left["reason"]
    ]
    for column in ("studies", "arms", "patients", "findings"):
        cells = text(pc, f"left_{column}").values()
        drawn = [cell.replace(",", "").replace("–", "0") for cell in cells]
        assert drawn == [str(value) for value in left[column]]
    assert pc.viz.attrs["alt"].startswith(pc.viz.attrs["title"])


def _boxes(pc: Any) -> dict[str, Any]:
    return {
        f"{name}:{row}": found[0].get_window_extent()
        for name in ("box", "left_box")
        for row, found in by_row(pc, name).items()
    }


@pytest.mark.parametrize("model", mc.list_models())
def test_text_stays_in_its_box_and_boxes_apart(library: mc.Studies, model: str) -> None:
    pc = mc.plot_flow(library, model)
    figure = pc.viz["figure"].item()
    figure.canvas.draw()
    boxes = _boxes(pc)
    own = list(boxes.values())
    for number, box in enumerate(own):
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.x1
        assert not any(box.overlaps(other) for other in own[number + 1 :])
    names = ("title", "numbers", "reason", "left_studies", "left_arms", "left_patients")
    written = [
        each.get_window_extent()
        for name in (*names, "left_findings")
        if name in pc.viz.children
        for found in by_row(pc, name).values()
        for each in found
    ]
    for extent in written:
        corners = [(extent.x0, extent.y0), (extent.x1, extent.y1)]
        inside = [box for box in own if all(box.contains(*corner) for corner in corners)]
        assert len(inside) == 1
    for number, extent in enumerate(written):
        assert not any(extent.overlaps(other) for other in written[number + 1 :])


def test_a_long_title_takes_two_lines(papers: list[Study]) -> None:
    pc = mc.plot_flow(papers, "severe_crs")
    assert text(pc, "title")["stage:1"] == "Report severe cytokine release syndrome"
    assert len(by_row(pc, "title")["stage:1"]) == 2


def test_options_are_refused_before_anything_is_drawn(papers: list[Study]) -> None:
    with pytest.raises(InputError, match=r"suffix '\.jpg'"):
        mc.plot_flow(papers, "cr_rate", file="flow.jpg")
    with pytest.raises(InputError, match="'matplotlib', 'none'"):
        mc.plot_flow(papers, "cr_rate", backend="plotly")
    assert plt.get_fignums() == []


def test_structure_without_drawing(papers: list[Study]) -> None:
    pc = mc.plot_flow(papers, "cr_rate", backend="none")
    assert {"box", "left_box", "reason", "arrow"} <= set(pc.viz.children)
