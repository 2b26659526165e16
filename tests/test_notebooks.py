"""The notebooks: from a clean state every cell runs, and the asserted answers hold."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import metacart as mc
from metacart.inference.fit import shows_progress

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
README = (ROOT / "README.md").read_text("utf-8")
LARGEST = 500_000  # bytes: they are read in a browser, and kept in the history


def _maintenance() -> ModuleType:
    spec = importlib.util.spec_from_file_location("notebooks", ROOT / ".ci" / "notebooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _cells(path: Path, kind: str) -> list[dict[str, Any]]:
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == kind]


def _trees(path: Path) -> list[ast.Module]:
    return [ast.parse("".join(cell["source"])) for cell in _cells(path, "code")]


def test_there_is_one_for_each_step() -> None:
    assert [path.stem[:2] for path in NOTEBOOKS] == [f"{n:02d}" for n in range(1, 8)]
    for path in NOTEBOOKS:
        assert f"notebooks/{path.name}" in README


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_asks_and_answers(path: Path) -> None:
    first, *_, last = ["".join(cell["source"]) for cell in _cells(path, "markdown")]
    assert first.startswith(f"# {path.stem[:2]} ")
    assert "**Question.**" in first
    assert "**What it can say.**" in last
    assert "**What it cannot say.**" in last
    answer = _trees(path)[-1].body
    assert any(isinstance(node, ast.Assert) for node in answer)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_only_public_names_are_used(path: Path) -> None:
    used = set()
    for tree in _trees(path):
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                imported = {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported = {str(node.module)}
            else:
                imported = set()
            assert imported <= {"metacart", "pandas", "pathlib", "tempfile"}
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                used |= {node.attr} if node.value.id == "mc" else set()
    assert used
    assert used <= set(mc.__all__)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_stored_is_whole_small_and_of_no_machine(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text) < LARGEST
    notebook = json.loads(text)
    assert notebook["metadata"] == _maintenance().METADATA
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)
    code = _cells(path, "code")
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} <= {
        "display_data",
        "execute_result",
        "stream",
    }
    assert all(output.get("name", "stdout") == "stdout" for output in outputs)
    figures = sum("image/png" in output.get("data", {}) for output in outputs)
    plots = sum("".join(cell["source"]).count("mc.plot_") for cell in code)
    assert figures == plots
    words = re.sub(r'"image/png": "[^"]*"', "", text)
    assert not re.search(r"(?<![\w.])/(?:home|root|tmp|work|usr|Users|var)/|[A-Z]:\\\\", words)
    assert "Warning" not in words


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_its_answer_holds(path: Path) -> None:
    ran = _maintenance().execute(path)  # an assertion that fails, fails here
    stored = json.loads(path.read_text("utf-8"))
    for before, now in zip(stored["cells"], ran.cells, strict=True):
        kinds = [sorted(output.get("data", {})) for output in before.get("outputs", ())]
        assert [sorted(output.get("data", {})) for output in now.get("outputs", ())] == kinds
        assert all(output.get("name", "stdout") == "stdout" for output in now.get("outputs", ()))


def test_a_notebook_that_cannot_draw_a_progress_bar_shows_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    monkeypatch.setattr("metacart.inference.fit.find_spec", lambda name: None)
    assert not shows_progress()
    monkeypatch.setattr("metacart.inference.fit.find_spec", lambda name: object())
    assert shows_progress()
