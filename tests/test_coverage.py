"""Which outcome is reported by which arm: the table against the files, the figure against it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib import pyplot as plt

import metacart as mc
from metacart.errors import InputError
from metacart.evidence.coverage import KINDS, PLACES
from metacart.records.study import Study

Data = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def library() -> mc.Studies:
    return mc.load_studies()


@pytest.fixture(scope="module")
def some(library: mc.Studies) -> mc.Studies:
    """Every fifth study and the four of which much is recorded: figures take their time."""
    sources = ("an2022", "chen2021", "li2020", "scmc2023")
    kept = [study for n, study in enumerate(library) if n % 5 == 0 or study.id in sources]
    return mc.Studies(kept)


@pytest.fixture(autouse=True)
def _closed() -> Any:
    yield
    plt.close("all")


def cell(data: dict[str, Any], outcome: str, show: str) -> Any:
    return mc.coverage([Study.from_mapping(data)], show=show).loc[0, outcome]


# --- the table ----------------------------------------------------------------------------------


def test_one_row_an_arm_and_one_column_an_outcome(library: mc.Studies) -> None:
    table = mc.coverage(library)
    assert len(table) == sum(len(study.arms) for study in library)
    outcomes = [name for name in table.columns if name not in PLACES]
    assert outcomes == [name for name in library.vocabulary if name in outcomes]  # its order
    assert (table[outcomes].sum() > 0).all()  # nothing that nobody reports


def test_each_finding_stands_in_its_cell(library: mc.Studies) -> None:
    """Counted from the files one by one; a table of grades also gives the severe outcome."""
    table = mc.coverage(library).set_index(["study", "arm"])
    for study in library:
        for finding in study.findings:
            if finding.set_aside is None and finding.kind != "grades":
                assert table.loc[(study.id, finding.arm), finding.outcome] >= 1
    plain = sum(f.set_aside is None for study in library for f in study.findings)
    graded = sum(
        f.set_aside is None and f.kind == "grades" for study in library for f in study.findings
    )
    total = int(table[[name for name in table.columns if name not in PLACES]].to_numpy().sum())
    assert plain - graded <= total <= plain + graded  # none, one or two cells for a table of grades


def test_counts_of_an_2022(library: mc.Studies) -> None:
    """Table 2 of the paper; 13/19 in remission, CRS 18/19 and severe 1/19 from its grades too."""
    events = mc.coverage(library, show="events").set_index(["study", "arm"])
    row = events.loc[("an2022", "hcd19")]
    assert row["complete_remission"] == "13/19"
    assert row["crs"] == "18/19"
    assert row["severe_crs"] == "1/19"
    assert row["event_free_survival"] == ""
    kinds = mc.coverage(library, show="kinds").set_index(["study", "arm"]).loc[("an2022", "hcd19")]
    assert kinds["crs"] == "grades"
    assert kinds["severe_crs"] == "count, grades"
    assert kinds["relapse"] == "count, comparison"
    assert kinds["event_free_survival"] == "time"
    assert kinds["patients"] == 21


def test_grades_that_straddle_the_cut_give_no_severe_outcome(study_data: Data) -> None:
    data = study_data(
        {"outcome": "crs", "grading": "Lee", "grades": {"0": 2, "1": 10, "2-4": 7, "5": 1}}
    )
    assert cell(data, "crs", "events") == "18/20"
    assert "severe_crs" not in mc.coverage([Study.from_mapping(data)]).columns


def test_what_is_set_aside_is_not_counted(study_data: Data) -> None:
    count = {"count": {"events": 13, "total": 20}}
    data = study_data(count, count | {"set_aside": "twice"})
    assert cell(data, "complete_remission", "findings") == 1


def test_of_several_counts_that_of_the_infused_comes_first(study_data: Data) -> None:
    data = study_data(
        {"population": "evaluable", "count": {"events": 13, "total": 19}},
        {"population": "infused", "count": {"events": 12, "total": 20}},
    )
    assert cell(data, "complete_remission", "events") == "12/20"
    assert cell(data, "complete_remission", "findings") == 2


def test_an_unknown_option_is_refused(library: mc.Studies) -> None:
    with pytest.raises(InputError) as error:
        mc.coverage(library, show="kind")
    assert str(error.value) == (
        "show: 'kind' is not known; allowed: 'findings', 'kinds', 'events'; "
        "try: did you mean 'kinds'?"
    )


# --- the figure ---------------------------------------------------------------------------------


def by_row(pc: Any, name: str) -> dict[str, Any]:
    array = next(iter(pc.viz[name].dataset.data_vars.values()))
    return {str(row): np.ravel(array.sel(row=row).to_numpy())[0] for row in array["row"].to_numpy()}


def headings(pc: Any) -> dict[str, Any]:
    table = pc.get_target(None, {"column": "table"})
    gid = "heading_outcomes_"
    return {
        each.get_gid().removeprefix(gid): each
        for each in table.texts
        if str(each.get_gid()).startswith(gid)
    }


def test_tiles_stand_below_their_outcome_and_share_its_width(some: mc.Studies) -> None:
    pc, table = mc.plot_coverage(some), mc.coverage(some, show="kinds")
    x = {name: text.get_position()[0] for name, text in headings(pc).items()}
    drawn: dict[tuple[str, str], dict[str, float]] = {}
    for kind in KINDS:
        for row, tiles in by_row(pc, kind).items():
            for path in tiles.get_paths():
                low, high = path.vertices[:, 0].min(), path.vertices[:, 0].max()
                outcome = min(x, key=lambda name: abs(x[name] - (low + high) / 2))
                drawn.setdefault((row, outcome), {})[kind] = high - low
    wanted = {
        (f"arm:{row['study']}/{row['arm']}", outcome): row[outcome].split(", ")
        for row in table.to_dict("records")
        for outcome in x
        if row[outcome]
    }
    assert {key: [*found] for key, found in drawn.items()} == wanted
    for found in drawn.values():
        assert sum(found.values()) == pytest.approx(0.195)  # a whole tile
        assert len({round(width, 6) for width in found.values()}) == 1  # equal stripes


def test_totals_are_numbers_of_arms(some: mc.Studies) -> None:
    pc, table = mc.plot_coverage(some), mc.coverage(some)
    texts = pc.get_target(None, {"column": "table"}).texts
    totals = {
        t.get_gid(): int(t.get_text()) for t in texts if str(t.get_gid()).startswith("total_")
    }
    outcomes = [name for name in table if name not in PLACES]
    assert totals == {f"total_{name}": (table[name] > 0).sum() for name in outcomes}


@pytest.mark.parametrize("sort", ["name", "year", "patients", "outcomes"])
def test_order_inside_the_groups(some: mc.Studies, sort: str) -> None:
    pc, table = mc.plot_coverage(some, sort=sort), mc.coverage(some)
    table["row"] = "arm:" + table["study"] + "/" + table["arm"]
    outcomes = [name for name in table.columns if name not in (*PLACES, "row")]
    years = {study.id: study.citation.year for study in some}
    key = {
        "name": table["label"].str.casefold(),
        "year": -table["study"].map(years),
        "patients": -table["patients"],
        "outcomes": -(table[outcomes] > 0).sum(axis=1),
    }[sort]
    values = dict(zip(table["row"], key, strict=True))
    groups = dict(zip(table["row"], table["infusion"], strict=True))
    drawn = [str(row) for row in pc.viz["arm"].dataset["row"].to_numpy()]
    assert sorted(drawn) == sorted(table["row"])
    assert [*dict.fromkeys(groups[row] for row in drawn)] == ["first", "retreatment", "mixed"]
    for infusion in ("first", "retreatment", "mixed"):
        own = [values[row] for row in drawn if groups[row] == infusion]
        assert own == sorted(own)


def test_headings_do_not_touch_and_stay_on_the_page(some: mc.Studies) -> None:
    pc = mc.plot_coverage(some)
    figure = pc.viz["figure"].item()
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in headings(pc).values()]
    assert not any(a.overlaps(b) for n, a in enumerate(boxes) for b in boxes[n + 1 :])
    assert max(box.y1 for box in boxes) <= figure.bbox.y1


def test_an_unknown_order_is_refused(some: mc.Studies) -> None:
    with pytest.raises(InputError, match=r"'years' is not known; .*did you mean 'year'"):
        mc.plot_coverage(some, sort="years")
