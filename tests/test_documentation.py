"""Every block of code in the documentation runs, and what it names is there."""

from __future__ import annotations

import ast
import doctest
import html
import importlib
import importlib.util
import inspect
import re
import textwrap
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import metacart as mc
from metacart import cli
from metacart.results.summary import summary_with_errors

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "benchmarks/README.md")


def _blocks(page: str) -> list[tuple[str, str]]:
    """Return the fenced blocks of a page with their languages; in a list they are indented."""
    text = (ROOT / page).read_text("utf-8")
    found = re.findall(r"^( *)```(\w*)\n(.*?)^\1```$", text, flags=re.MULTILINE | re.DOTALL)
    return [(kind, textwrap.dedent(code)) for _, kind, code in found]


LINES = [
    pytest.param(line, id=f"{page}: {line}")
    for page in PAGES
    for kind, code in _blocks(page)
    if kind == "shell"
    for line in code.splitlines()
] + [
    pytest.param(line, id=f"{page}: {line}")
    for page in PAGES
    for line in re.findall(r"`(uv run [^`\n]+)`", (ROOT / page).read_text("utf-8"))
]


@pytest.mark.parametrize("page", PAGES)
def test_a_block_is_of_a_kind_that_is_tested(page: str) -> None:
    # python and toml of the README, and the recipe of a likelihood, run in tests of their own
    tested = {"README.md": {"python", "shell", "toml"}, "CONTRIBUTING.md": {"python", "shell"}}
    assert {kind for kind, _ in _blocks(page)} <= tested.get(page, {"shell"})


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_shell_names_what_is_there(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    for command in line.partition("#")[0].split("&&"):
        words = command.split()
        if words[:3] == ["pip", "install", "uv"]:
            continue
        assert words[:2] == ["uv", "run"]
        tool, *given = words[2:]
        if tool == "python":
            assert not given or (ROOT / given[0]).exists() or given[0].startswith("my_")
        elif tool == "metacart":
            within = given[0] == "studies" and given[1:] and not given[1].startswith("-")
            assert cli.main([*given[: 2 if within else 1], "--help"]) == 0
            shown = capsys.readouterr().out
            assert all(word in shown for word in given if word.startswith("--"))
        else:
            assert tool in {"pytest", "ruff", "mypy", "--with"}


# what fits takes minutes, and runs by other words in test_cli.py
FITS = {"fit", "forest", "plot", "predict", "compare", "report"}
SHELL = [
    line.partition("#")[0].split()[3:]
    for kind, code in _blocks("README.md")
    if kind == "shell"
    for line in code.splitlines()
    if line.startswith("uv run metacart ")
]
COUNTS = {
    "study": "roe2024",
    "title": "CAR-T",
    "authors": "Roe A",
    "year": "2024",
    "doi": "10.1000/roe",
    "study_design": "single-arm phase 1",
    "arm": "all",
    "disease": "B-ALL",
    "infusion": "first",
    "scfv": "murine",
    "infused": "12",
    "outcome": "complete_remission",
    "population": "infused",
    "events": "9",
    "total": "12",
    "at": "Table 2",
}


def test_the_shell_of_the_readme_runs_from_an_empty_folder(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line after the other, as a reader would type them; what fits is left out."""
    table = "\n".join(",".join(row) for row in (COUNTS.keys(), COUNTS.values()))
    (here / "counts.csv").write_text(f"{table}\n", encoding="utf-8")
    ran = 0
    for words in SHELL:
        if words[0] in FITS:
            continue
        assert cli.main(words) == 0, (words, capsys.readouterr().err)
        assert "Warning" not in capsys.readouterr().err, words
        if words[:2] == ["studies", "new"]:
            (here / "my_folder" / "doe2024.toml").unlink()  # a person has to fill it in
        ran += 1
    assert {words[0] for words in SHELL} >= FITS
    assert ran > 10


def test_the_python_of_the_recipes_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    other = [code for kind, code in _blocks("CONTRIBUTING.md") if kind == "python"]
    # the recipe of a likelihood is run, and its numbers are held against a grid, elsewhere
    other = [code for code in other if "mc.Likelihood(" not in code]
    assert len(other) == text.count("```python") - 1 == 2
    for code in other:
        exec(compile(code, "CONTRIBUTING.md", "exec"), {})
    assert [path.name for path in tmp_path.iterdir()] == ["shrinkage.svg"]
    importlib.import_module("matplotlib.pyplot").close("all")


@pytest.mark.parametrize("page", ["ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_every_path_that_is_named_exists(page: str) -> None:
    words = re.findall(r"`([^`\n]+)`", (ROOT / page).read_text("utf-8"))
    home = r"(?:metacart|tests|benchmarks|notebooks|\.ci)/[\w./]*"
    paths = [word for phrase in words for word in phrase.split() if re.fullmatch(home, word)]
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


# ---- the figure at the top of the README


def test_the_forest_plot_of_the_readme_is_what_its_command_draws() -> None:
    """Words and counts as they are now; what is estimated up to its Monte Carlo error."""
    page = (ROOT / "README.md").read_text("utf-8")
    ((said, place),) = re.findall(r"!\[([^]]+)\]\(([^)]+)\)", page)
    (name,) = re.findall(rf"`uv run metacart forest (\w+) --out {re.escape(place)}`", page)
    svg = (ROOT / place).read_text("utf-8")
    kept = html.unescape(svg[svg.index("<desc") : svg.index("</desc>")].partition(">")[2])
    fit = mc.fit(name, seed=1, progress=False)
    drawn = mc.plot_forest(fit, studies=mc.load_studies(), backend="none").viz.attrs["alt"]
    number = re.compile(r"\d+(?:\.\d+)?")
    assert number.sub("#", kept) == number.sub("#", drawn)
    before, now = ([float(each) for each in number.findall(text)] for text in (kept, drawn))
    assert before[:3] == now[:3]  # studies, patients, events
    limits = summary_with_errors(fit)[["mcse", "mcse_lower", "mcse_upper"]]
    np.testing.assert_allclose(before, now, atol=5 * 100 * limits.iloc[:3].to_numpy().max())
    # what is read aloud in its place has the same numbers in whole per cents
    whole = {f"{each:.0f}" for each in before}
    assert set(re.findall(r"\d+", said)) - {"95"} <= whole
    assert len(re.findall(r"\d+", said)) > 10


# ---- docstrings, and the reference made of them


@cache
def _reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", ROOT / ".ci" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


VERBS = [name for name in mc.__all__ if inspect.isfunction(getattr(mc, name))]
CHECKED = [
    name
    for name in VERBS
    if (found := _reference().examples(name))
    and any(each.want for each in found)
    and not any(_reference().SKIP.search(each.source) for each in found)
]


@pytest.mark.parametrize("verb", VERBS)
def test_an_example_uses_public_names_with_the_options_they_have(verb: str) -> None:
    code = _reference().source(verb)
    assert code, f"{verb} has no example"
    names: dict[str, Any] = {"mc": mc} | {name: getattr(mc, name) for name in VERBS}
    for node in ast.walk(ast.parse(code)):
        if not isinstance(node, ast.Call):
            continue
        home = ast.unparse(node.func)
        called = names.get(home) or getattr(mc, home.removeprefix("mc."), None)
        if re.fullmatch(r"mc\.\w+", home):
            assert called is not None, home
        if inspect.isfunction(called):
            options = {option.arg: None for option in node.keywords if option.arg}
            inspect.signature(called).bind(*[None] * len(node.args), **options)
    assert f"{verb}(" in code


@pytest.mark.parametrize("verb", CHECKED)
def test_an_example_answers_as_it_says(verb: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    names = {"mc": mc, verb: getattr(mc, verb), "BUNDLED": mc.BUNDLED}
    test = doctest.DocTest(_reference().examples(verb), names, verb, None, 0, None)
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    assert runner.run(test, out=said.append).failed == 0, "".join(said)


@pytest.mark.parametrize("verb", _reference().figures())
def test_the_example_of_a_figure_writes_it(verb: str) -> None:
    assert len(re.findall(r"file=\"[\w.]+\.(?:svg|png|pdf)\"", _reference().source(verb))) == 1


def test_the_gallery_shows_what_an_example_draws() -> None:
    shown = _reference().section("plot_flow")
    assert "mc.plot_flow(mc.load_studies(), &quot;cr_rate&quot;" in shown
    assert "+SKIP" not in shown
    assert shown.count("<svg") == shown.count("</svg>") == 1
    assert 'id="plot_flow-' in shown
