"""``metacart plot`` and ``metacart predict``: what they draw and say, and what they refuse."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import metacart as mc

Run = Any  # status, out, err: see the fixture

MODEL = """\
schema = 1
id = "again"
outcome = "complete_remission"
population = ["infused"]
[include]
infusion = ["retreatment"]
[model]
likelihood = "binomial"
moderators = ["scfv", "year"]
[recode.scfv]
humanized = ["humanized", "human"]
[reference]
year = 2020
"""


@pytest.fixture
def model(here: Path) -> str:
    (here / "again.toml").write_text(MODEL, encoding="utf-8")
    return "again.toml"


def flat(text: str) -> str:
    return " ".join(text.split())


def test_the_list_names_every_verb_that_draws(run: Callable[..., Run]) -> None:
    result = run("plot", "--list")
    assert (result.status, result.err) == (0, "")
    shown = re.findall(r"^ (\w+)  +\w", result.out, flags=re.MULTILINE)
    elsewhere = re.findall(r"^(\w+): metacart ", result.out, flags=re.MULTILINE)
    verbs = {name.removeprefix("plot_") for name in mc.__all__ if name.startswith("plot_")}
    assert {*shown[1:], *elsewhere} == verbs
    assert elsewhere == ["forest", "coverage"]
    assert "shrinkage          how far each study moves from its own estimate" in result.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("shrinkag", "cr_rate"), "NAME: 'shrinkag' is not known; allowed: baujat, "),
        (("shrinkag", "cr_rate"), "did you mean 'shrinkage'?"),
        (("xyz", "cr_rate"), "try: metacart plot --list"),
        (("forest", "cr_rate"), "NAME: 'forest' has a command of its own; allowed: baujat, "),
        (("forest", "cr_rate"), "try: metacart forest SPEC --out FILE"),
        (("coverage", "cr_rate"), "try: metacart studies coverage --out FILE"),
        (("baujat",), "metacart plot: Missing argument 'SPEC'; try: metacart plot --help"),
        (("baujat", "cr_ratt"), "model: 'cr_ratt' is not known"),
        (("baujat", "cr_rate", "--out", "x.gif"), "a file ending in .svg or .png or .pdf"),
        (
            ("baujat", "cr_rate", "--by", "year"),
            "--by: baujat takes none; allowed: cumulative, regression",
        ),
        (("ppc", "cr_rate", "--moderator", "age"), "--moderator: ppc takes none; allowed: regr"),
        (("labbe", "again.toml", "--at", "scfv"), "--at: 'scfv'; allowed: NAME=VALUE"),
        (("labbe", "again.toml", "--at", "scfv=murine,human"), "'scfv=murine,human'; allowed: one"),
        (("labbe", "again.toml", "--at", "age=3"), "--at age: not a moderator of this model"),
        (("labbe", "again.toml", "--at", "scfv=mouse"), "--at scfv: 'mouse' is no level of scfv"),
        (
            ("labbe", "again.toml", "--at", "year=1", "--at", "year=2"),
            "--at: 'year' is there twice",
        ),
        (
            ("ppc", "crs_grades"),
            "plot ppc: a fit of the grades likelihood, which has several means; allowed: a fit",
        ),
        (
            ("regression", "cr_rate"),
            "--moderator: no numeric moderators in cr_rate; allowed: a question with a numeric",
        ),
        (
            ("immortal_time", "cr_rate"),
            "plot immortal_time: cr_rate does not compare transplanted patients with others",
        ),
        (
            ("galbraith", "again.toml"),
            "or printed ratios; try: metacart plot baujat, which takes counts as they are",
        ),
    ],
)
def test_what_cannot_be_drawn_is_said_without_a_file(
    arguments: tuple[str, ...], message: str, run: Callable[..., Run], model: str, here: Path
) -> None:
    out = () if "--out" in arguments else ("--out", "x.svg")
    result = run("plot", *arguments, *out)
    assert (result.status, result.out) == (2, "")
    assert message in result.err
    assert "Traceback" not in result.err
    assert not (here / "x.svg").exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("regression", "at 2019"),
        ("flow", "Left out: "),
        ("network", "given again"),
        ("risk_of_bias", "Risk of bias of "),
        ("prior_preview", "prior"),
    ],
)
def test_each_kind_of_figure_is_drawn_and_told(
    name: str, words: str, run: Callable[..., Run], model: str, here: Path
) -> None:
    result = run("plot", name, model, "--out", "x.svg")
    assert result.status == 0, result.err
    assert words.casefold() in flat(result.out).casefold()
    assert "wrote x.svg" in result.err.splitlines()
    svg = flat((here / "x.svg").read_text(encoding="utf-8"))
    described = re.search(r"<desc[^>]*>(.*?)</desc>", svg)
    assert described
    assert flat(result.out)[:60] in described[1].replace("&gt;", ">").replace("&lt;", "<")


@pytest.mark.parametrize(
    ("name", "verb"), [("multiverse", "multiverse"), ("calibration", "calibrate")]
)
def test_figures_of_many_fits_take_seed_progress_and_question(
    name: str, verb: str, run: Callable[..., Run], model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def many(spec: mc.ModelSpec, *given: Any, **options: Any) -> None:
        asked.update(options, spec=spec)
        raise mc.InputError(mc.Fault("fit", "too few"))

    monkeypatch.setattr(mc, verb, many)
    result = run("plot", name, model, "--out", "x.svg", "--seed", "3", "--quiet")
    assert (result.status, result.err) == (2, f"plot {name}: too few\n")
    assert (asked["spec"].id, asked["seed"], asked["progress"]) == ("again", 3, False)


def test_predict_shows_the_numbers_of_the_verb(
    run: Callable[..., Run], model: str, here: Path
) -> None:
    at = ("--at", "scfv=humanized,murine", "--at", "year=2010")
    result = run("predict", model, *at, "--out", "at.csv")
    assert result.status == 0
    spec, studies = mc.load_model(model), mc.load_studies()
    fit = mc.fit(spec, mc.tabulate(studies, spec), seed=1, progress=False)
    expected = mc.predict(fit, at={"scfv": ["humanized", "murine"], "year": 2010.0})
    written = pd.read_csv(here / "at.csv")
    pd.testing.assert_frame_equal(written, expected, check_dtype=False)
    rows = {line.split()[0]: line for line in result.out.splitlines() if "2010" in line}
    assert [*rows] == ["humanized*", "murine*"]
    for level, median in zip(rows, expected["population_average"], strict=True):
        assert f" {100 * median:.0f} % (" in rows[level]
    assert "Median (95 % interval); * beyond the evidence" in result.out
    assert "wrote at.csv" in result.err
    again = run("predict", model, "--at", "scfv=murine")
    assert "Median (95 % interval), all else as in the evidence\n" in again.out
    assert "kept fit used" in again.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("cr_ratt",), "model: 'cr_ratt' is not known"),
        (("again.toml", "--out", "x.nc"), "--out: 'x.nc'; allowed: a file ending in .csv"),
        (("again.toml", "--at", "scfv=mouse,rat"), "--at scfv: 'rat' is no level of scfv"),
        (("again.toml", "--at", "year=soon"), "--at year: 'soon'"),
        (("again.toml", "--at", "year=nan"), "--at year: 'nan'"),
        (("again.toml", "--at", "year=1,"), "--at: 'year=1,'; allowed: NAME=VALUE; try: age=12"),
        (("crs_grades",), "SPEC: a fit of the grades likelihood, which has several means"),
    ],
)
def test_what_cannot_be_predicted_is_said(
    arguments: tuple[str, ...], message: str, run: Callable[..., Run], model: str
) -> None:
    result = run("predict", *arguments)
    assert (result.status, result.out) == (2, "")
    assert message in result.err


def test_names_with_commas_stay_whole() -> None:
    table = pd.DataFrame(
        {
            "study": ["Doe, Roe & Poe 2021", "An 2022", "Li, Wu 2020", "Cao 2018"],
            "cohort": ["one, two", "b", "c", "one, two"],
            "events": [3, 7, 9, 2],
            "total": [9, 10, 12, 6],
        }
    )
    spec = mc.ModelSpec(likelihood="binomial")
    fit = mc.fit(spec, table, method="exact", seed=1, progress=False)
    for verb in (mc.plot_leave_one_out, mc.plot_influence):
        figure = verb(fit, progress=False, backend="none")
        assert "Doe, Roe & Poe 2021, Cao 2018" in figure.viz.attrs["alt"]
    assert "Doe, Roe & Poe 2021" in mc.plot_baujat(fit, backend="none").viz.attrs["alt"]
