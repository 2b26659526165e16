"""Pinned evidence: a hash of the content of each file of a folder, and of all of them together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metacart.errors import Fault, InputError
from metacart.evidence.exchange.writing import write_files
from metacart.evidence.library import toml_files
from metacart.evidence.source import readable, shown_path

__all__ = ["MANIFEST", "evidence_hash", "hashes_of", "manifest_faults", "write_manifest"]

# not .toml: what reads a folder of studies does not take it for one
MANIFEST = "manifest.json"
_REWRITE = "`metacart studies manifest --write` after a look at what changed"


def hashes_of(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each study file of a folder, by name; raises `InputError` for none."""
    hashes = {}
    for path in toml_files(folder):
        with readable(path):
            content = path.read_bytes()
        # a checkout with the line ends of another system holds the same evidence
        hashes[path.name] = hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()
    return hashes


def evidence_hash(hashes: Mapping[str, str]) -> str:
    """Return one SHA-256 for all files, as ``sha256sum * | sha256sum`` would.

    Examples
    --------
    >>> evidence_hash({"a.toml": 64 * "0"})[:8]
    '60377410'
    """
    lines = "".join(f"{value}  {name}\n" for name, value in sorted(hashes.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def write_manifest(folder: Path) -> Path:
    """Write the manifest of a folder, in the place of an older one, and return its path."""
    hashes = hashes_of(folder)
    content = {"schema": 1, "evidence": evidence_hash(hashes), "files": hashes}
    path = folder / MANIFEST
    write_files({path: json.dumps(content, indent=2) + "\n"}, replace=True)
    return path


def manifest_faults(folder: Path) -> list[Fault]:
    """Return where the files of a folder are not those of its manifest."""
    hashes = hashes_of(folder)
    path = folder / MANIFEST
    try:
        pinned = _read(path)
    except InputError as error:
        return list(error.faults)
    faults = []
    for name in sorted({*pinned, *hashes}):
        is_, was = hashes.get(name), pinned.get(name)
        if is_ == was:
            continue
        found = f"SHA-256 {(is_ or '')[:12]}… is not that of the manifest, {(was or '')[:12]}…"
        if was is None:
            found = "not in the manifest"
        elif is_ is None:
            found = "in the manifest, but no such file"
        faults.append(Fault("", found, "the pinned file", _REWRITE, shown_path(folder / name)))
    return faults


def _read(path: Path) -> dict[str, str]:
    shown = shown_path(path)
    with readable(path):
        if not path.is_file():
            hint = "`metacart studies manifest --write`"
            raise InputError(Fault("", "no manifest here", "a hash for each file", hint, shown))
        text = path.read_text("utf-8")
    try:
        content: Any = json.loads(text)
        files: Any = content["files"]
    except (ValueError, LookupError, TypeError):
        files = None
    if not isinstance(files, dict) or not all(isinstance(each, str) for each in files.values()):
        found, allowed = "no manifest", '{ "schema": 1, "files": { name: SHA-256 } }'
        raise InputError(Fault("", found, allowed, _REWRITE, shown))
    return files
