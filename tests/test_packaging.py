"""What the files around the package promise."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import metacart as mc
from metacart import cli

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


@pytest.mark.parametrize(
    "line",
    [line for line in "".join(_blocks("shell")).splitlines() if line.startswith("metacart ")],
)
def test_the_shell_lines_of_the_readme_have_the_options_they_use(
    line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = line.partition("#")[0].split()[1:]
    command = words[:2] if words[:2] == ["studies", "check"] else words[:1]
    assert cli.main([*command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert all(word in shown for word in words if word.startswith("--"))
    names = [word for word in words[1:2] if word in mc.list_models()]
    assert names or command[0] not in ("fit", "forest")


def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    short: Callable[..., Any] = partial(mc.fit, draws=20, tune=50, chains=2)
    monkeypatch.setattr(mc, "fit", short)
    names: dict[str, Any] = {}
    for block in _blocks("python"):
        exec(compile(block, "README.md", "exec"), names)
    assert set(names["evidence"]["study"]) <= {study.id for study in names["studies"]}
    assert names["fit"]["posterior"].sizes["finding"] == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fit.nc", "forest.svg"]
