"""One file: read, refused in words where it is no TOML, and the lines of its faults."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from metacart.errors import Fault, InputError, nearest, shown
from metacart.evidence.places import Places, location_of
from metacart.evidence.syntax import syntax_fault

__all__ = ["PathLike", "Source", "as_path", "entries_of", "missing", "readable", "shown_path"]

PathLike = str | os.PathLike[str]


def as_path(
    path: object, *, name: str, allowed: str = "a path as text or as a Path", attempt: str = ""
) -> Path:
    """Return a path; raises `InputError` for what is none and for an empty one."""
    if isinstance(path, str | os.PathLike):
        text = os.fspath(path)
        if isinstance(text, str) and text.strip():
            return Path(text)
        raise InputError(Fault(name, f"{text!r}", allowed, attempt or "'.' is this folder"))
    found = "nothing stands here" if path is None else f"{shown(path)} is no path"
    raise InputError(Fault(name, found, allowed, attempt))


def shown_path(path: Path) -> str:
    """Return the path as a reader of the message would write it."""
    # not resolved: links stay links
    absolute, here = Path(os.path.normpath(path.absolute())), Path.cwd()
    return str(absolute.relative_to(here)) if absolute.is_relative_to(here) else str(path)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what the system refuses about a path into a fault."""
    try:
        yield
    except OSError as error:
        raise InputError(
            Fault(
                "",
                f"cannot be read: {error.strerror}",
                "a file or folder that you may read",
                "look at its permissions and at those of the folders above it",
                path=shown_path(path),
            )
        ) from None


def entries_of(folder: Path) -> list[Path]:
    """Return what a folder holds, by name; raises `InputError` where it cannot be read."""
    with readable(folder):
        return sorted(folder.iterdir())


def missing(path: Path) -> Fault:
    """Return the fault of a path that leads to no file."""
    folder = path.parent
    names: list[str] = []
    found = f"no such folder: {shown_path(folder)}"
    if folder.is_dir():
        names = [entry.name for entry in entries_of(folder)]
        found = "no such file or folder"
    if path.is_dir():
        found, names = "a folder, not a file", []
    # a shared ending makes no name like another
    alike = [name for name in names if nearest(path.stem, [Path(name).stem])]
    hint = nearest(path.name, alike)
    return Fault("", found, "a .toml file, or a folder of them", hint, shown_path(path))


@dataclass(frozen=True)
class Source:
    """A file that TOML can read."""

    path: Path
    text: str
    data: dict[str, Any]
    headings: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: Path, *, headings: tuple[str, ...] = ()) -> Source:
        """Read one file; raises `InputError` for what is no TOML of this version."""
        name = shown_path(path)
        with readable(path):
            if not path.is_file():
                raise InputError(missing(path))
            raw = path.read_bytes()
        try:
            # an editor's byte order mark is no fault of the curator's
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = raw[: error.start].count(b"\n") + 1
            raise InputError(
                Fault("", "not UTF-8 text", "UTF-8", "save it as UTF-8", path=name, line=line)
            ) from None
        try:
            data = tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(syntax_fault(error, text).at(path=name)) from None
        if not data:
            raise InputError(Fault("", "the file is empty", "keys and tables", path=name))
        source = cls(path, text, data, headings)
        version = data.get("schema", 1)
        if type(version) is not int or version != 1:
            found = f"version {shown(version)} is not known; nothing else was checked"
            attempt = "schema = 1, or a newer metacart"
            raise InputError(source.located([Fault("schema", found, "1", attempt)]))
        return source

    @cached_property
    def places(self) -> Places:
        """The lines of its keys."""
        return Places(self.text, headings=self.headings)

    def name_faults(self, *, fits: bool = True) -> list[Fault]:
        """Return a fault unless the id is the file's name.

        Parameters
        ----------
        fits : bool
            Whether the file's name can be an id.
        """
        name, stem = self.data.get("id", self.path.stem), self.path.stem
        if name == stem:
            return []
        attempt = "rename the file, or the id"
        if not fits:
            attempt = f"rename the file to {name}.toml"
        return [
            Fault(
                "id",
                f"{shown(name)} in a file named {self.path.name}",
                f"'{stem}', the file's name" if fits else "the name of the file",
                attempt,
            )
        ]

    def located(self, faults: Iterable[Fault]) -> list[Fault]:
        """Return the faults with file and line, and with the arm and outcome of a finding."""
        located = []
        for fault in faults:
            location = location_of(fault.place)
            place = fault.place + self._label(location)
            line = self.places.line(location)
            located.append(replace(fault, place=place, path=shown_path(self.path), line=line))
        return sorted(located, key=lambda fault: fault.line or 0)

    def _label(self, location: tuple[int | str, ...]) -> str:
        match location:
            case (("findings" | "arms") as name, int(number), *_):
                tables = self.data.get(name)
            case _:
                return ""
        if not isinstance(tables, list) or not isinstance(tables[number], dict):
            return ""
        keys = ("arm", "outcome") if name == "findings" else ("id",)
        words = [str(tables[number][key]) for key in keys if tables[number].get(key, "") != ""]
        return f" ({', '.join(words)})" if words else ""
