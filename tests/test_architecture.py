"""The house: floors, sizes, and one shape for all public verbs."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import metacart

PACKAGE = Path(metacart.__file__).parent
FLOORS = {
    "records": 0,
    "errors": 0,
    "scales": 0,
    "text": 0,
    "evidence": 1,
    "modelling": 2,
    "inference": 3,
    "results": 4,
    "plots": 5,
    "report": 6,
    "cli": 7,
    "commands": 7,
    "screen": 7,
    "__init__": 7,
    "__main__": 7,
}
MODULES = sorted(PACKAGE.rglob("*.py"))
# what may be given by position: the subject, and for these verbs what belongs to it
BY_POSITION = {
    "account": ("studies", "spec"),
    "calibrate": ("spec", "evidence"),
    "check_studies": ("paths",),
    "contrast": ("fit", "moderator", "level", "reference"),
    "contrast_sensitivity": ("fit", "moderator", "level", "reference"),
    "diff_studies": ("before", "after"),
    "fit": ("spec", "evidence"),
    "flow": ("studies", "spec"),
    "load_studies": ("folders",),
    "plot_flow": ("studies", "spec"),
    "plot_prior_preview": ("spec", "evidence"),
    "plot_regression": ("fit", "moderator"),
    "preview_priors": ("spec", "evidence"),
    "regression_table": ("fit", "moderator"),
    "save_fit": ("fit", "path"),
    "tabulate": ("studies", "spec"),
}
VERBS = sorted(name for name in metacart.__all__ if inspect.isfunction(getattr(metacart, name)))


def _name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def _room(module: str) -> str:
    """Return the room of a module below metacart: ``evidence.library`` lies in ``evidence``."""
    return module.split(".")[0] or "__init__"


def _imports(tree: ast.AST, package: str) -> Iterator[str]:
    """Yield what a module of `package` imports from metacart, as names below it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            home = ".".join([*above, node.module or ""]).rstrip(".") if node.level else node.module
            # `from metacart import x`: a room where there is one, else a verb of the top floor
            names = (
                [f"metacart.{a.name}" if a.name in FLOORS else "metacart" for a in node.names]
                if home == "metacart"
                else [str(home)]
            )
        else:
            continue
        for name in names:
            if name == "metacart" or name.startswith("metacart."):
                yield name.removeprefix("metacart").removeprefix(".")


def upward_imports(source: str, path: str) -> list[str]:
    """Return the imports of a module that point to a higher floor, or to another room of its own.

    Files on floor 0 and 7 are rooms together: they are siblings.
    """
    parts = path.removesuffix(".py").split("/")
    room, package = parts[0], ".".join(["metacart", *parts[:-1]])
    wrong = []
    for module in _imports(ast.parse(source), package):
        target = _room(module)
        here, there = FLOORS[room], FLOORS[target]
        same_room = target == room or {here, there} <= {0} or {here, there} <= {7}
        if there > here or (there == here and not same_room):
            wrong.append(module or "metacart")
    return wrong


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_imports_point_down_or_to_a_sibling(path: Path) -> None:
    assert upward_imports(path.read_text("utf-8"), _name(path)) == []


@pytest.mark.parametrize(
    ("source", "path", "found"),
    [
        ("from metacart.plots.forest import x", "results/summary.py", ["plots.forest"]),
        ("def f():\n    import metacart.cli", "report/pages.py", ["cli"]),
        ("import metacart as mc", "report/pages.py", ["metacart"]),
        ("from metacart import fit", "results/summary.py", ["metacart"]),
        ("from metacart import plots", "results/summary.py", ["plots"]),
        ("from ..report import pages", "plots/forest.py", ["report"]),
        ("from . import forest", "plots/ppc.py", []),
        ("from metacart.errors import Fault", "records/base.py", []),
        ("from metacart.evidence import library", "records/base.py", ["evidence"]),
        ("import metacart as mc", "cli.py", []),
    ],
)
def test_an_upward_import_is_found(source: str, path: str, found: list[str]) -> None:
    assert upward_imports(source, path) == found


def test_every_room_has_its_floor() -> None:
    rooms = {_name(path).split("/")[0].removesuffix(".py") for path in MODULES}
    assert rooms == FLOORS.keys()


def test_the_page_on_the_architecture_is_what_the_imports_are() -> None:
    text = (PACKAGE.parent / "ARCHITECTURE.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d) \| (`.*?`) \| .*? \| (.*?) \|$", text, flags=re.MULTILINE)
    stated = {
        frozenset(re.findall(r"`(\w+)`", rooms)): (int(floor), set(re.findall(r"`(\w+)`", below)))
        for floor, rooms, below in rows
    }
    assert sorted(room for rooms in stated for room in rooms) == sorted(FLOORS)
    for rooms, (floor, below) in stated.items():
        assert {FLOORS[room] for room in rooms} == {floor}
        found = {
            _room(module)
            for path in MODULES
            for package in [_name(path).removesuffix(".py").split("/")]
            if package[0] in rooms
            for module in _imports(
                ast.parse(path.read_text("utf-8")), ".".join(["metacart", *package[:-1]])
            )
        }
        assert found - rooms == below


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_modules_stay_small(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 400


@pytest.mark.parametrize("verb", VERBS)
def test_everything_after_the_subject_is_by_keyword(verb: str) -> None:
    parameters = inspect.signature(getattr(metacart, verb)).parameters.values()
    kinds = inspect.Parameter
    positional = [p.name for p in parameters if p.kind is not kinds.KEYWORD_ONLY]
    assert not [p.name for p in parameters if p.kind is kinds.VAR_KEYWORD]
    if verb in BY_POSITION:
        assert tuple(positional) == BY_POSITION[verb]
    else:
        assert len(positional) <= 1


def _sections(thing: Any) -> dict[str, str]:
    """Return the sections of a numpydoc docstring by heading."""
    parts = re.split(r"^(\w+)\n-{3,}$", inspect.getdoc(thing) or "", flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _listed(function: Any) -> list[str]:
    """Return the parameters that a docstring describes, in order; ``draws, tune : int`` is two."""
    lines = re.findall(r"^([*\w, ]+) : ", _sections(function).get("Parameters", ""), re.MULTILINE)
    return [name.strip(" *") for line in lines for name in line.split(",")]


@pytest.mark.parametrize(
    "name", [name for name in metacart.__all__ if callable(getattr(metacart, name))]
)
def test_public_names_are_documented(name: str) -> None:
    assert (getattr(metacart, name).__doc__ or "").split("\n")[0].endswith(".")


@pytest.mark.parametrize("verb", VERBS)
def test_public_verbs_say_what_they_take_and_return(verb: str) -> None:
    function = getattr(metacart, verb)
    signature = inspect.signature(function)
    assert _listed(function) == list(signature.parameters)
    if signature.return_annotation not in (None, "None"):
        assert "Returns" in _sections(function)


def _raises(function: Any) -> bool:
    """Whether the body itself raises, beside helpers that may."""
    tree = ast.parse(inspect.getsource(function))
    return any(isinstance(node, ast.Raise) and node.exc is not None for node in ast.walk(tree))


@pytest.mark.parametrize("verb", [verb for verb in VERBS if _raises(getattr(metacart, verb))])
def test_public_verbs_that_raise_say_so(verb: str) -> None:
    assert "Raises" in _sections(getattr(metacart, verb))


def test_all_is_what_the_package_offers() -> None:
    homes = {name for names in metacart._HOMES.values() for name in names}
    assert set(metacart.__all__) == homes | {"__version__"}
    assert dir(metacart) == sorted(metacart.__all__)


def test_editors_and_type_checkers_see_the_same_homes() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text("utf-8"))
    seen = {
        alias.name: node.module
        for branch in tree.body
        if isinstance(branch, ast.If) and isinstance(branch.test, ast.Name)
        for node in ast.walk(branch)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == {name: f"metacart.{home}" for name, home in metacart._HOME_OF.items()}


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="module 'metacart' has no attribute 'sumarize'"):
        metacart.sumarize  # noqa: B018


def test_a_room_never_hides_the_verb_of_the_same_name() -> None:
    home = importlib.import_module(f"metacart.{metacart._HOME_OF['report']}")
    assert "metacart.report" in sys.modules
    assert metacart.report is home.report
