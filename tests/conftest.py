"""A small valid study, as data to change and as files to read."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import platformdirs
import pytest
import tomlkit

from metacart import cli

ARM: dict[str, Any] = {
    "id": "car",
    "disease": "B-ALL",
    "infusion": "first",
    "scfv": "murine",
    "targets": ["CD19"],
    "patients": {"enrolled": 21, "infused": 20, "evaluable": 19, "responders": 13},
}
FINDING: dict[str, Any] = {
    "arm": "car",
    "outcome": "complete_remission",
    "population": "infused",
    "at": "Table 2",
}
COUNT: dict[str, Any] = {"count": {"events": 13, "total": 20}}


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let commands keep fits where no other test finds them, not in the user's own folder."""
    folder = tmp_path_factory.getbasetemp() / f"cache-{uuid.uuid4().hex}"
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda *_, **__: folder)
    return folder


@pytest.fixture
def study_data() -> Callable[..., dict[str, Any]]:
    """Return a function that makes the data of a study from what differs from a valid one."""

    def make(
        *findings: Mapping[str, Any],
        arms: tuple[Mapping[str, Any], ...] = ({},),
        citation: Mapping[str, Any] | None = None,
        conduct: Mapping[str, Any] | None = None,
        **top: Any,
    ) -> dict[str, Any]:
        name = top.get("id", "doe2020")
        return copy.deepcopy(
            {
                "schema": 1,
                "id": name,
                "citation": {
                    "title": "A study",
                    "authors": ["Doe J"],
                    "year": 2020,
                    "doi": f"10.1000/{name}",
                    **(citation or {}),
                },
                "conduct": {"study_design": "single-arm phase 1", **(conduct or {})},
                "arms": [ARM | dict(arm) for arm in arms],
                "findings": [FINDING | dict(finding) for finding in findings or (COUNT,)],
                **top,
            }
        )

    return make


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a file of a study, from its data or as text or bytes."""

    def write_file(content: Mapping[str, Any] | str | bytes, name: str | None = None) -> Path:
        if isinstance(content, Mapping):
            name = name or f"{content['id']}.toml"
            content = tomlkit.dumps(content)
        path = tmp_path / (name or "doe2020.toml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write_file


class Run(NamedTuple):
    """What one command said and returned."""

    status: int
    out: str
    err: str


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Run]:
    """Return a function that runs a command of the shell in this process."""

    def run_command(*arguments: str | Path) -> Run:
        capsys.readouterr()
        status = cli.main([str(argument) for argument in arguments])
        return Run(status, *capsys.readouterr())

    return run_command


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make an empty folder the current one, and return it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
