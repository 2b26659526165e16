"""Figures that are kept: when one is used again, when it is drawn, and what a folder survives."""

from __future__ import annotations

import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import xarray as xr

import metacart as mc
from metacart.inference import keys
from metacart.inference.keys import key_of_call
from metacart.plots.canvas import lay_flat, open_canvas
from metacart.plots.files import deliver
from metacart.report.figures import Drawer, Figure

TABLE = pd.DataFrame({"study": list("abcd"), "events": [9, 5, 13, 2], "total": [10, 8, 19, 9]})
SPEC = mc.ModelSpec(id="cr", outcome="complete_remission", likelihood="binomial")
STUDIES = mc.load_studies(mc.BUNDLED / "an2022.toml", mc.BUNDLED / "li2020.toml")
SIZE: dict[str, Any] = {"method": "exact", "draws": 100, "chains": 2, "progress": False}
CALLS: list[str] = []


@pytest.fixture(autouse=True)
def no_calls() -> None:
    CALLS.clear()


def sketch(table: pd.DataFrame, *, word: str = "one", warned: bool = False) -> Any:
    """Draw a word and as many lines as the table has rows."""
    CALLS.append(word)
    if warned:
        warnings.warn("a letter is missing", stacklevel=1)
    made = open_canvas(["only"], [], (2.0, 1.0), "matplotlib")
    plot = made.get_target(None, {"column": "table"})
    lay_flat(plot, (0.0, 0.0, 2.0, 1.0), (2.0, 1.0))
    plot.text(0.1, 0.5, word)
    for number in range(len(table)):
        plot.plot([0.0, 1.0], [number / 9, 1.0])
    return deliver(made, title="A sketch", alt=f"The word {word}.", file=None)


def other(table: pd.DataFrame, *, word: str = "one") -> Any:
    """Draw the same; another function all the same."""
    return sketch(table, word=word)


def drawn(folder: Path, cache: mc.Cache | None, *given: Any, **options: Any) -> Figure:
    return Drawer(folder, cache).figure("sketch", "A caption.", sketch, *given, **options)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# --- what is used again --------------------------------------------------------------------------


def test_a_figure_is_drawn_once_and_is_the_same(tmp_path: Path) -> None:
    cache = mc.Cache(tmp_path / "kept")
    first = drawn(tmp_path / "x" / "one", cache, TABLE)
    again = drawn(tmp_path / "y" / "one", mc.Cache(tmp_path / "kept"), TABLE.copy())
    bare = drawn(tmp_path / "z" / "one", None, TABLE)
    assert CALLS == ["one", "one"]
    assert first == again == bare
    assert first.width == 192
    assert (first.alt, first.caption) == ("The word one.", "A caption.")
    assert first.files == {"SVG": "one/sketch.svg", "PNG": "one/sketch.png"}
    folders = [files(tmp_path / name / "one") for name in "xyz"]
    assert sorted(folders[0]) == ["sketch.png", "sketch.svg"]
    assert folders[0] == folders[1] == folders[2]
    (path,) = cache.files()
    assert path.name.startswith("figure-")


def test_what_a_figure_is_called_decides_nothing(tmp_path: Path) -> None:
    drawer = Drawer(tmp_path, mc.Cache(tmp_path / "kept"))
    one = drawer.figure("one", "First.", sketch, TABLE)
    two = drawer.figure("two", "Second.", sketch, TABLE)
    assert CALLS == ["one"]
    assert (one.source, one.alt) == (two.source, two.alt)
    assert (two.caption, two.files["PNG"]) == ("Second.", f"{tmp_path.name}/two.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_figures_are_no_fits_that_were_used_or_made(tmp_path: Path) -> None:
    cache = mc.Cache(tmp_path / "kept")
    drawn(tmp_path, cache, TABLE)
    drawn(tmp_path, cache, TABLE)
    assert (CALLS, cache.used, cache.made) == (["one"], [], [])
    assert cache.size() > 0
    (tmp_path / "kept" / ".figure-0.zip.1.2.partial").write_text("half")
    assert cache.clear() == 1
    assert not (tmp_path / "kept").exists()


def test_fresh_draws_anew_and_replaces(tmp_path: Path) -> None:
    drawn(tmp_path, mc.Cache(tmp_path / "kept"), TABLE)
    (path,) = (tmp_path / "kept").iterdir()
    path.write_text("worn")
    drawn(tmp_path, mc.Cache(tmp_path / "kept", fresh=True), TABLE)
    drawn(tmp_path, mc.Cache(tmp_path / "kept"), TABLE)
    assert CALLS == ["one", "one"]
    assert zipfile.is_zipfile(path)


# --- what is drawn anew --------------------------------------------------------------------------


def test_whatever_a_figure_shows_is_drawn_anew_where_it_changes(tmp_path: Path) -> None:
    cache = mc.Cache(tmp_path / "kept")
    seen = set()
    for table, word in ((TABLE, "one"), (TABLE.iloc[:3], "one"), (TABLE, "two")):
        seen.add(drawn(tmp_path, cache, table, word=word).source)
        seen.add((tmp_path / "sketch.png").read_bytes())
    assert CALLS == ["one", "one", "two"]
    assert len(seen) == 6


@pytest.fixture(scope="module")
def fit() -> xr.DataTree:
    return mc.fit(SPEC, TABLE, seed=3, **SIZE)


def _studies(change: Callable[[dict[str, Any]], None]) -> mc.Studies:
    data = STUDIES[0].model_dump(mode="json", by_alias=True, exclude_unset=True)
    change(data)
    return mc.Studies([mc.Study.from_mapping(data), STUDIES[1]])


def _one_more_event(data: dict[str, Any]) -> None:
    found = next(each for each in data["findings"] if each.get("count", {}).get("events") == 13)
    found["count"] = {"events": 14, "total": 19}


def _with(fit: xr.DataTree, **attributes: Any) -> xr.DataTree:
    other = fit.copy()
    other.attrs = {**fit.attrs, **attributes}
    return other


def _moved(fit: xr.DataTree) -> xr.DataTree:
    other = fit.copy(deep=True)
    other["posterior"]["mu"][1, 7] += 1e-9
    return other


def _renamed(fit: xr.DataTree) -> xr.DataTree:
    other = fit.copy(deep=True)
    posterior = other["posterior"].to_dataset()
    other["posterior"] = xr.DataTree(posterior.assign_coords(study=list("abce")))
    return other


CHANGES: dict[str, Callable[[xr.DataTree], tuple[Any, tuple[Any, ...], dict[str, Any]]]] = {
    "the seed": lambda _fit: (sketch, (mc.fit(SPEC, TABLE, seed=4, **SIZE), STUDIES), {}),
    "a number that was fitted": lambda _fit: (
        sketch,
        (mc.fit(SPEC, TABLE.assign(events=[9, 5, 13, 3]), seed=3, **SIZE), STUDIES),
        {},
    ),
    "the prior": lambda _fit: (
        sketch,
        (
            mc.fit(
                SPEC.model_copy(update={"priors": {"tau": "HalfNormal(0.5)"}}),
                TABLE,
                seed=3,
                **SIZE,
            ),
            STUDIES,
        ),
        {},
    ),
    "one draw": lambda fit: (sketch, (_moved(fit), STUDIES), {}),
    "a label of the draws": lambda fit: (sketch, (_renamed(fit), STUDIES), {}),
    "what the fit says of itself": lambda fit: (sketch, (_with(fit, converged=False), STUDIES), {}),
    "a number in a study file": lambda fit: (sketch, (fit, _studies(_one_more_event)), {}),
    "the year of a study": lambda fit: (
        sketch,
        (fit, _studies(lambda data: data["citation"].update(year=2021))),
        {},
    ),
    "a study less": lambda fit: (sketch, (fit, STUDIES[:1]), {}),
    "an outcome's definition": lambda fit: (
        sketch,
        (fit, mc.Studies(STUDIES, vocabulary=dict([*STUDIES.vocabulary.items()][1:]))),
        {},
    ),
    "an option": lambda fit: (sketch, (fit, STUDIES), {"word": "one"}),
    "another figure": lambda fit: (other, (fit, STUDIES), {}),
    "another question": lambda _fit: (sketch, (SPEC, STUDIES), {}),
    "its title": lambda _fit: (
        sketch,
        (SPEC.model_copy(update={"title": "Another"}), STUDIES),
        {},
    ),
    "a table": lambda _fit: (sketch, (TABLE,), {}),
    "its rows' names": lambda _fit: (sketch, (TABLE.set_axis(list("wxyz")),), {}),
    "its order": lambda _fit: (sketch, (TABLE.iloc[::-1],), {}),
    "what the table says of itself": lambda _fit: (sketch, (_noted(TABLE),), {}),
}


def _noted(table: pd.DataFrame) -> pd.DataFrame:
    other = table.copy()
    other.attrs["note"] = "within studies"
    return other


def test_whatever_decides_a_figure_gives_another_key(fit: xr.DataTree) -> None:
    found = {"nothing": key_of_call(sketch, fit, STUDIES)}
    for name, change in CHANGES.items():
        plot, given, options = change(fit)
        found[name] = key_of_call(plot, *given, **options)
    assert None not in found.values()
    assert len(set(found.values())) == len(found)


def test_the_same_gives_the_same_key_also_from_a_file(fit: xr.DataTree, tmp_path: Path) -> None:
    own = key_of_call(sketch, fit, studies=STUDIES, cache=None)
    read = mc.load_fit(mc.save_fit(fit, tmp_path / "fit.nc"))
    again = mc.load_studies(mc.BUNDLED / "an2022.toml", mc.BUNDLED / "li2020.toml")
    more: dict[str, Any] = {"cache": mc.Cache(tmp_path), "progress": True}
    assert key_of_call(sketch, read, studies=again, **more) == own
    repeated = mc.fit(SPEC, TABLE, seed=3, **SIZE)
    assert key_of_call(sketch, repeated, studies=STUDIES) == own


def test_other_code_and_other_libraries_draw_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = keys._drawing_versions()
    assert {"matplotlib", "arviz-plots", "code"} <= own.keys()
    assert "arviz-stats" in keys._versions()
    found = {key_of_call(sketch, TABLE)}
    for name in own:
        monkeypatch.setattr(keys, "_drawing_versions", lambda name=name: own | {name: "0"})
        found.add(key_of_call(sketch, TABLE))
    assert len(found) == 1 + len(own)
    codes = set()
    rule = tmp_path / "metacart" / "report" / "rule.py"
    rule.parent.mkdir(parents=True)
    monkeypatch.undo()
    monkeypatch.setattr(keys, "__file__", str(tmp_path / "metacart" / "inference" / "keys.py"))
    for text in ("limit = 1", "limit = 2"):
        rule.write_text(text)
        codes.add(keys._drawing_versions.__wrapped__()["code"])
    assert len(codes) == 2


def test_a_page_shows_a_study_that_changed(tmp_path: Path) -> None:
    drawer = Drawer(tmp_path, mc.Cache(tmp_path / "kept"))
    changed = _studies(lambda data: data["citation"].update(authors=["Zed Z"]))
    shown = [
        drawer.figure("flow", "", mc.plot_flow, studies, SPEC)
        for studies in (STUDIES, changed, STUDIES[:1], STUDIES)
    ]
    assert len(list((tmp_path / "kept").iterdir())) == 3
    assert shown[0] == shown[3]
    assert shown[2] not in (shown[0], shown[1])


# --- what cannot be kept -------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["text", "cut", "turned", "another", "poor"])
def test_a_damaged_or_foreign_file_is_told_and_drawn_again(tmp_path: Path, damage: str) -> None:
    said: list[str] = []
    cache = mc.Cache(tmp_path / "kept", say=said.append)
    first = drawn(tmp_path, cache, TABLE)
    (path,) = cache.files()
    content, key = path.read_bytes(), zipfile.ZipFile(path).comment
    if damage == "text":
        path.write_text("no figure")
    elif damage == "cut":
        path.write_bytes(content[:-10])
    elif damage == "turned":
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :])
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("facts.json", json.dumps({"alt": "", "width": 1}))
            archive.comment = key if damage == "poor" else b"another"
    assert drawn(tmp_path, cache, TABLE) == first
    assert CALLS == ["one", "one"]
    line = f"{path}: damaged, or no kept figure: drawing anew"
    assert said == ([] if damage == "poor" else [line])
    assert path.read_bytes() == content
    assert drawn(tmp_path, cache, TABLE) == first
    assert CALLS == ["one", "one"]


def test_a_figure_that_warned_is_drawn_again_and_warns_again(tmp_path: Path) -> None:
    cache = mc.Cache(tmp_path / "kept")
    for _ in range(2):
        with pytest.warns(UserWarning, match="a letter is missing") as seen:
            drawn(tmp_path, cache, TABLE, warned=True)
        assert seen[0].filename == __file__
    assert CALLS == ["one", "one"]
    assert cache.files() == []


def test_what_has_no_words_is_drawn_each_time(tmp_path: Path) -> None:
    drawer = Drawer(tmp_path, mc.Cache(tmp_path / "kept"))
    for _ in range(2):
        drawer.figure("sketch", "", lambda: sketch(TABLE))
    assert CALLS == ["one", "one"]
    assert not (tmp_path / "kept").exists()


def test_a_folder_that_takes_nothing_is_told_and_the_figure_drawn(tmp_path: Path) -> None:
    said: list[str] = []
    cache = mc.Cache(tmp_path / "kept", say=said.append)
    (tmp_path / "kept").write_text("in the way")
    assert drawn(tmp_path, cache, TABLE).width == 192
    assert len(said) == 1
    assert said[0].startswith("not kept: ")
