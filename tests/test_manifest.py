"""Pinned evidence: a hash for each file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import metacart as mc
from metacart.evidence.versions.manifest import (
    MANIFEST,
    evidence_hash,
    hashes_of,
    manifest_faults,
    write_manifest,
)

Make = Callable[..., dict[str, Any]]
Write = Callable[..., Path]


@pytest.fixture
def folder(write: Write, study_data: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("doe2020", "roe2020"):
        write(study_data(id=name), f"mine/{name}.toml")
    return Path("mine")


def shown(folder: Path) -> list[str]:
    return [str(fault) for fault in manifest_faults(folder)]


def test_the_bundled_evidence_is_the_pinned_one() -> None:
    # after a change of studies/: metacart studies manifest --write
    assert shown(mc.BUNDLED) == []


def test_the_hash_is_that_of_other_programs(folder: Path) -> None:
    content = (folder / "doe2020.toml").read_bytes()
    hashes = hashes_of(folder)
    assert hashes["doe2020.toml"] == hashlib.sha256(content).hexdigest()
    # `sha256sum *.toml | sha256sum`
    lines = "".join(f"{hashes[name]}  {name}\n" for name in ("doe2020.toml", "roe2020.toml"))
    assert evidence_hash(hashes) == hashlib.sha256(lines.encode()).hexdigest()


def test_a_manifest_is_no_study(folder: Path) -> None:
    path = write_manifest(folder)
    assert path == folder / MANIFEST
    assert mc.load_studies(folder).ids == ("doe2020", "roe2020")
    assert json.loads(path.read_text("utf-8"))["files"] == hashes_of(folder)
    assert shown(folder) == []


def test_the_line_ends_of_another_system_are_the_same_evidence(folder: Path) -> None:
    write_manifest(folder)
    path = folder / "doe2020.toml"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert shown(folder) == []


def test_what_differs_is_listed(folder: Path, write: Write, study_data: Make) -> None:
    old = hashes_of(folder)["doe2020.toml"]
    write_manifest(folder)
    with (folder / "doe2020.toml").open("a", encoding="utf-8") as file:
        file.write("# a comment is content too\n")
    new = hashes_of(folder)["doe2020.toml"]
    (folder / "roe2020.toml").unlink()
    write(study_data(id="poe2020"), "mine/poe2020.toml")
    hint = "try: `metacart studies manifest --write` after a look at what changed"
    assert shown(folder) == [
        (
            f"mine/doe2020.toml: SHA-256 {new[:12]}… is not that of the manifest, {old[:12]}…; "
            f"allowed: the pinned file; {hint}"
        ),
        f"mine/poe2020.toml: not in the manifest; allowed: the pinned file; {hint}",
        (f"mine/roe2020.toml: in the manifest, but no such file; allowed: the pinned file; {hint}"),
    ]
    write_manifest(folder)
    assert shown(folder) == []


def test_no_manifest_and_a_broken_one(folder: Path) -> None:
    assert shown(folder)[0].startswith("mine/manifest.json: no manifest here; allowed: a hash for")
    for text in ("{", "[]", '{"files": 3}', '{"files": {"a.toml": 3}}'):
        (folder / MANIFEST).write_text(text, encoding="utf-8")
        assert shown(folder)[0].startswith('mine/manifest.json: no manifest; allowed: { "schema"')


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(mc.InputError, match="no such file or folder"):
        manifest_faults(tmp_path / "no")
