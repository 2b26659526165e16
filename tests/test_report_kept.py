"""A report that fits only what changed, alone and by several processes; the commands that keep."""

from __future__ import annotations

import concurrent.futures
import os
import pickle
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import metacart as mc
from metacart.commands.workers import workers
from metacart.inference import engines
from metacart.inference import fit as fit_room
from metacart.report import figures as drawing
from metacart.report.files import staged
from metacart.report.questions import Question
from metacart.report.work import Work

CRS = mc.ModelSpec(id="crs", outcome="severe_crs", likelihood="binomial")
STUDIES = mc.load_studies(mc.BUNDLED / "an2022.toml", mc.BUNDLED / "li2020.toml")


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Draw little and by the exact engine alone; count what is drawn."""
    seen: list[str] = []
    own = engines.Engines.draw

    def counted(self: Any, spec: Any, *given: Any, **options: Any) -> Any:
        seen.append(spec.name)
        return own(self, spec, *given, **options | {"method": "exact"})

    monkeypatch.setattr(engines.Engines, "draw", counted)
    monkeypatch.setattr(fit_room, "fit", partial(fit_room.fit, draws=2000, chains=2))
    return seen


class Travelling(Executor):
    """Runs here what could run in another process."""

    def submit(self, one: Any, /, *given: Any, **options: Any) -> Future[Any]:
        future: Future[Any] = Future()
        there, words, named = pickle.loads(pickle.dumps((one, given, options)))
        future.set_result(pickle.loads(pickle.dumps(there(*words, **named))))
        return future


def written(folder: Path) -> dict[str, bytes]:
    """Return what a report wrote; the command at its end names the folder."""
    return {
        path.relative_to(folder).as_posix(): re.sub(rb"out\d", b"out", path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file() and path.name != "files.json"
    }


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Count the figures that are drawn."""
    seen: list[str] = []
    own = drawing._drawn

    def counted(draw: Any) -> Any:
        seen.append(draw.func.__name__)
        return own(draw)

    monkeypatch.setattr(drawing, "_drawn", counted)
    return seen


def test_a_second_report_fits_and_draws_nothing_and_is_the_same(
    tmp_path: Path, drawn: list[str], figures: list[str]
) -> None:
    cache = mc.Cache(tmp_path / "kept")
    ask = partial(mc.report, studies=STUDIES, progress=False)
    ask(CRS, out=tmp_path / "out1", cache=cache)
    first = len(drawn)
    assert first == len(cache.made) > 3
    # of two papers, what stood after the first is the answer without the second
    shared = len(cache.used)
    assert shared == 1
    assert len(figures) == len(list(tmp_path.glob("out1/crs/*.svg"))) > 4
    drawn.clear()
    figures.clear()
    again = mc.Cache(tmp_path / "kept")
    ask(CRS, out=tmp_path / "out2", cache=again, executor=Travelling())
    assert (drawn, figures) == ([], [])
    assert (len(again.used), again.made) == (first + shared, [])
    assert written(tmp_path / "out1") == written(tmp_path / "out2")
    fits = [mc.load_fit(tmp_path / name / "crs" / "fit.nc") for name in ("out1", "out2")]
    assert fits[0].identical(fits[1])


def test_a_folder_that_cannot_keep_is_among_the_faults(tmp_path: Path, drawn: list[str]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(mc.InputError) as refusal:
        mc.report("no_such", out=tmp_path / "out", studies=STUDIES, cache=tmp_path / "file")
    assert [fault.place for fault in refusal.value.faults] == ["model", "cache"]
    assert not (tmp_path / "out").exists()


# --- commands ------------------------------------------------------------------------------------


@pytest.fixture
def asked(here: Path, drawn: list[str]) -> tuple[str, ...]:
    (here / "crs.toml").write_text(
        'schema = 1\noutcome = "severe_crs"\n[model]\nlikelihood = "binomial"\n'
    )
    (here / "few").mkdir()
    for name in ("an2022", "li2020"):
        (here / "few" / f"{name}.toml").write_bytes((mc.BUNDLED / f"{name}.toml").read_bytes())
    return "crs.toml", "--studies", "few"


def test_a_command_says_that_a_kept_fit_was_used_and_since_when(
    run: Callable[..., Any], asked: tuple[str, ...], own_cache: Path, drawn: list[str]
) -> None:
    first = run("fit", *asked, "--out", "one.nc")
    assert (first.status, len(drawn)) == (0, 1)
    assert "kept" not in first.err
    (path,) = own_cache.iterdir()
    os.utime(path, (1_700_000_000, 1_700_000_000))
    again = run("forest", *asked, "--out", "one.svg")
    (line,) = [line for line in again.err.splitlines() if "kept" in line]
    assert re.fullmatch(r"1 kept fit used \(since 2023-11-1\d \d\d:\d\d\); --fresh fits anew", line)
    assert "kept" not in run("fit", *asked, "--out", "two.nc", "--quiet").err
    assert len(drawn) == 1
    assert "kept" not in run("fit", *asked, "--out", "two.nc", "--fresh").err
    assert len(drawn) == 2
    run("fit", *asked, "--out", "two.nc", "--cache", "mine")
    assert len(drawn) == 3
    assert len(mc.Cache(Path("mine")).files()) == 1


def test_a_damaged_file_is_told_in_one_line(
    run: Callable[..., Any], asked: tuple[str, ...], own_cache: Path, drawn: list[str]
) -> None:
    first = run("fit", *asked, "--out", "one.nc")
    (path,) = own_cache.iterdir()
    path.write_text("not a fit")
    again = run("fit", *asked, "--out", "one.nc")
    line = f"{path}: damaged, or no kept fit: fitting anew"
    assert again.err.splitlines() == [line, *first.err.splitlines()]
    assert again.out == first.out
    assert len(drawn) == 2


def test_the_folder_is_shown_and_emptied(
    run: Callable[..., Any], asked: tuple[str, ...], own_cache: Path
) -> None:
    assert run("cache").out == f"{own_cache}: 0 files, 0.0 MB\n"
    run("fit", *asked, "--out", "one.nc")
    size = mc.Cache(own_cache).size()
    assert run("cache").out == f"{own_cache}: 1 file, {size / 1e6:.1f} MB\n"
    assert run("cache", "--clear").out == f"{own_cache}: 1 file, {size / 1e6:.1f} MB, removed\n"
    assert not own_cache.exists()


def test_a_folder_that_cannot_be_one_is_told_with_the_other_faults(
    run: Callable[..., Any], here: Path
) -> None:
    (here / "file").write_text("")
    result = run("fit", "no_such", "--out", "one.nc", "--cache", "file")
    assert result.status == 2
    assert "--cache: 'file' is a file; allowed: a folder, new or existing" in result.err
    assert "no_such" in result.err
    assert run("report", "crs_any", "--cache", "file").err.startswith("--cache: 'file' is a file")


def test_without_a_place_of_ones_own_nothing_is_kept_and_nothing_said(
    run: Callable[..., Any], asked: tuple[str, ...], own_cache: Path
) -> None:
    own_cache.write_text("in the way")
    result = run("fit", *asked, "--out", "one.nc")
    assert (result.status, "keep" in result.err) == (0, False)
    assert run("cache").out == "no folder of yours keeps fits\n"


@pytest.mark.parametrize(
    ("jobs", "questions", "processors", "expected"),
    [
        (None, None, 2, 2),
        (None, 3, 16, 3),
        (None, None, 16, 4),
        (8, None, 2, 8),
        (None, 1, 8, None),
        (1, None, 8, None),
        (None, None, None, None),
    ],
)
def test_how_many_processes_make_a_report(
    jobs: int | None,
    questions: int | None,
    processors: int | None,
    expected: int | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[Any] = []

    class Pool(Travelling):
        def __init__(self, number: int, context: Any, initializer: Any) -> None:
            made.append((number, context.get_start_method(), initializer.__name__))

    monkeypatch.setattr(os, "cpu_count", lambda: processors)
    monkeypatch.setattr(concurrent.futures, "ProcessPoolExecutor", Pool)
    with workers(jobs, questions) as executor:
        assert (executor is None) == (expected is None)
    assert made == ([] if expected is None else [(expected, "spawn", "_begin_quietly")])


def test_nothing_is_written_once_a_report_has_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()

    def elsewhere(work: Work, question: Question) -> None:
        if question.spec.name == "broken":
            begun.wait(10)
            raise KeyboardInterrupt
        begun.set()
        time.sleep(0.3)
        (work.folder / question.spec.name).mkdir(parents=True)

    monkeypatch.setattr(Work, "_elsewhere", elsewhere)
    asked = [
        Question(mc.ModelSpec(id=name, likelihood="binomial"), pd.DataFrame())
        for name in ("broken", "slow")
    ]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        with pytest.raises(KeyboardInterrupt), staged(tmp_path / "page") as folder:
            Work(mc.load_studies(), folder, 1, None).sections(asked, pool, lambda *_: None)
        assert not (tmp_path / "page").exists()
    assert not (tmp_path / "page").exists()
