"""What the files around the package promise."""

from __future__ import annotations

import inspect
import re
import tomllib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel

import metacart as mc
from metacart import cli
from metacart.commands import fits
from metacart.records.spec import FILTERS
from metacart.records.vocabulary import (
    EXPOSURES,
    GRADINGS,
    OUTCOMES,
    POPULATIONS,
    TIME_HANDLINGS,
)

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
README = (ROOT / "README.md").read_text("utf-8")
TWO_COMMANDS = ("pip install uv && uv run metacart report", "pip install uv && uv run pytest")


def _name(requirement: str) -> str:
    return re.split(r"[\[<>=]", requirement)[0]


def test_every_direct_dependency_is_pinned_to_what_was_tested() -> None:
    pins = PROJECT["tool"]["uv"]["constraint-dependencies"]
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9.]+", pin) for pin in pins)
    direct = PROJECT["project"]["dependencies"] + PROJECT["dependency-groups"]["dev"]
    assert {_name(each) for each in direct} <= {_name(pin) for pin in pins}


def test_the_lock_file_with_its_addresses_stays_outside() -> None:
    assert "uv.lock" in (ROOT / ".gitignore").read_text("utf-8").splitlines()


def test_one_version_everywhere() -> None:
    version = PROJECT["project"]["version"]
    assert mc.__version__ == version
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text("utf-8")
    assert version in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_an_editable_install_sees_the_live_files() -> None:
    included = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert included == {name: f"metacart/data/{name}" for name in ("studies", "models")}
    assert not (ROOT / "metacart" / "data").exists()
    assert ROOT / "studies" == mc.BUNDLED
    assert mc.list_models() == tuple(sorted(path.stem for path in ROOT.glob("models/*.toml")))


def test_types_are_for_users_too() -> None:
    assert (ROOT / "metacart" / "py.typed").exists()


def test_the_two_commands() -> None:
    assert all(command in README for command in TWO_COMMANDS)
    ci = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
    assert f"bash -c '{TWO_COMMANDS[1]}'" in ci


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


SHELL = [
    line.removeprefix("uv run metacart ")
    for line in "".join(_blocks("shell")).splitlines()
    if line.startswith("uv run metacart ")
]


def test_every_command_of_the_readme_runs_in_a_fresh_clone() -> None:
    lines = [line for block in _blocks("shell") for line in block.splitlines()]
    assert all(line.startswith(("uv run ", "pip install uv && uv run ")) for line in lines)
    mentioned = re.findall(
        r"`([^`\n]*metacart (?:studies|fit|report|vocabulary)\b[^`\n]*)`", README
    )
    assert mentioned
    assert all(words.startswith("uv run metacart ") for words in mentioned)


@pytest.mark.parametrize("line", SHELL)
def test_the_shell_lines_of_the_readme_have_the_options_they_use(
    line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = line.partition("#")[0].split()
    within = words[0] == "studies" and words[1:] and not words[1].startswith("-")
    command = words[:2] if within else words[:1]
    assert cli.main([*command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert all(word in shown for word in words if word.startswith("--"))
    names = [word for word in words[1:2] if word in mc.list_models()]
    assert names or command[0] not in ("fit", "forest", "account", "predict")


@pytest.mark.parametrize("verb", ["compare", "report"])
def test_examples_of_the_help_are_those_of_the_readme(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([verb, "--help"]) == 0
    example = capsys.readouterr().out.partition("Example: metacart ")[2].strip()
    assert example in [line.partition("#")[0].strip() for line in SHELL]
    default = inspect.signature(fits.report).parameters["out"].default
    assert f"--out {default}" not in example


def test_the_comparison_of_the_readme_can_be_made(tmp_path: Path) -> None:
    (toml,) = _blocks("toml")
    command = next(line for line in SHELL if line.startswith("compare "))
    name, moderator, *pair = command.partition("#")[0].split()[1:]
    path = tmp_path / Path(name).name
    path.write_text(toml, encoding="utf-8")
    spec = mc.load_model(path)
    evidence = mc.tabulate(mc.load_studies(), spec)
    assert spec.moderators == (moderator,)
    assert set(evidence[moderator]) == set(pair)
    assert evidence[moderator].value_counts().min() >= 2


def _section(heading: str) -> str:
    """Return what stands below a heading, to the next one of its rank or above."""
    rank = heading.partition(" ")[0]
    below = README.partition(f"\n{heading}\n")[2]
    assert below, heading
    return re.split(rf"^#{{2,{len(rank)}}} ", below, flags=re.MULTILINE)[0]


def _words(text: str) -> set[str]:
    """Return every word that stands as code, also inside a phrase of code."""
    code = " ".join(re.findall(r"`([^`\n]+)`", text))
    return set(re.findall(r"[A-Za-z][\w-]*", code))


def _tables(record: type[BaseModel]) -> list[type[BaseModel]]:
    """Return a record with the records inside it."""
    found = [record]
    for each in found:
        waiting = [field.annotation for field in each.model_fields.values()]
        for annotation in waiting:
            waiting += get_args(annotation)
            if isinstance(annotation, type) and issubclass(annotation, BaseModel):
                found += [annotation] if annotation not in found else []
    return found


@pytest.mark.parametrize(
    ("heading", "record"),
    [("## A question of your own", mc.ModelSpec), ("### Keys of a study file", mc.Study)],
)
def test_the_readme_names_every_key(heading: str, record: type[BaseModel]) -> None:
    named = _words(_section(heading))
    tables = _tables(record)
    keys = {field.alias or name for table in tables for name, field in table.model_fields.items()}
    assert len(keys) > 20
    assert keys <= named


def test_the_readme_names_the_choices_of_every_key() -> None:
    text = _section("### Keys of a study file") + _section("## A question of your own")
    for table in (*_tables(mc.Study), *_tables(mc.ModelSpec)):
        for name, field in table.model_fields.items():
            waiting = [field.annotation]
            for annotation in waiting:
                if get_origin(annotation) is Literal and name not in ("grading", "time_handling"):
                    chosen = [str(word) for word in get_args(annotation)]
                    missing = [word for word in chosen if not re.search(rf"\b{word}\b", text)]
                    assert missing == [], f"{table.__name__}.{name}"
                waiting += get_args(annotation)


def test_the_readme_names_the_vocabulary() -> None:
    section = _section("### Vocabulary")
    named = _words(section)
    assert named >= {*OUTCOMES, *EXPOSURES, *POPULATIONS, *GRADINGS, *TIME_HANDLINGS}
    items = re.split(r"^- ", section, flags=re.MULTILINE)
    for words, better in (
        ("Outcomes, higher", "higher"),
        ("Outcomes, lower", "lower"),
        ("Outcomes, neither", "neither"),
    ):
        (item,) = [item for item in items if item.startswith(words)]
        assert _words(item) == {name for name, each in OUTCOMES.items() if each.better == better}


def test_the_readme_names_what_include_takes() -> None:
    below = _section("## A question of your own").partition("`[include]` and `moderators` take")[2]
    assert set(FILTERS) <= _words(below)


def test_the_readme_names_every_public_verb_once() -> None:
    section = _section("## Python")
    rows = [row.split("|")[1] for row in section.splitlines() if row.startswith("| `")]
    listed = [name for cell in rows for name in re.findall(r"`(\w+)`", cell)]
    listed = [name for name in listed if name not in mc.LIKELIHOODS]
    assert sorted(listed) == sorted(set(mc.__all__) - {"__version__"})
    assert all(f"| `{name}` |" in section for name in mc.LIKELIHOODS)


def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # exact draws need no compilation; that sampling works is tested elsewhere
    short: Callable[..., Any] = partial(mc.fit, method="exact", draws=100)
    monkeypatch.setattr(mc, "fit", short)
    names: dict[str, Any] = {}
    for block in _blocks("python"):
        exec(compile(block, "README.md", "exec"), names)
    assert names["fit"].attrs["seed"] == 1
    assert set(names["evidence"]["study"]) <= {study.id for study in names["studies"]}
    assert names["fit"]["posterior"].sizes["finding"] == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fit.nc", "forest.svg"]
