"""The library: the only reader of paths. Files become studies and specs, or one list of faults."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from metacart.errors import Fault, InputError, nearest
from metacart.evidence.collection import Studies
from metacart.evidence.gates import part_gates
from metacart.evidence.library_gates import duplicate_ids, library_gates
from metacart.evidence.parts import Parts
from metacart.evidence.places import Places, location_of, syntax_line
from metacart.evidence.vocabulary_file import VOCABULARY_NAME, VocabularyFile, merged_vocabulary
from metacart.records.spec import ModelSpec
from metacart.records.study import Study
from metacart.records.vocabulary import Outcome

__all__ = ["BUNDLED", "Studies", "check_studies", "list_models", "load_model", "load_studies"]

PathLike = str | os.PathLike[str]


def _bundled(name: str) -> Path:
    """Return a folder of the wheel, or in an editable install the live one beside the package."""
    package = Path(__file__).resolve().parents[1]
    shipped = package / "data" / name
    return shipped if shipped.is_dir() else package.parent / name


BUNDLED: Path = _bundled("studies")
_MODELS: Path = _bundled("models")


def load_studies(*folders: PathLike) -> Studies:
    """Read study files, check them, and return them as one immutable sequence.

    Parameters
    ----------
    *folders : path
        Folders of study files, or single files; the bundled studies by default. A folder may hold
        a ``vocabulary.toml`` with outcomes of its own.

    Returns
    -------
    Studies
        In the order of `folders`, by file name in each; its ``warnings`` are what the gates found
        that may be right.

    Raises
    ------
    InputError
        With every fault of every file.

    Examples
    --------
    >>> len(load_studies(BUNDLED)) == len(load_studies())
    True
    """
    studies, faults = _read_studies(folders or (BUNDLED,))
    errors = [fault for fault in faults if fault.severity == "error"]
    if errors:
        raise InputError(errors)
    return studies


def check_studies(*paths: PathLike) -> list[Fault]:
    """Return every fault and warning in study files, in the order of files and lines.

    Parameters
    ----------
    *paths : path
        Study files or folders of them; the bundled studies by default.

    Returns
    -------
    list of Fault
        Empty where nothing is wrong.
    """
    return _read_studies(paths or (BUNDLED,))[1]


def load_model(model: PathLike, *, folder: PathLike | None = None) -> ModelSpec:
    """Read a declared analysis.

    Parameters
    ----------
    model : str or path
        The name of a shipped analysis, or the path of a ``.toml`` file.
    folder : path, optional
        Where names are looked up instead of among the shipped ones.

    Returns
    -------
    ModelSpec
        Its id is the file's name.

    Raises
    ------
    InputError
        With every fault of the file, or with the nearest name for one that is not known.
    """
    path = Path(model)
    if path.suffix != ".toml" and path.name == os.fspath(model):
        names = list_models(folder)
        if path.name not in names:
            raise InputError(
                Fault(
                    "model",
                    f"'{path.name}' is not known",
                    ", ".join(names),
                    nearest(path.name, names) or "or the path of a .toml file",
                )
            )
        path = (_MODELS if folder is None else Path(folder)) / f"{path.name}.toml"
    source = _Source.read(path, headings=("model", "report"))
    data = dict(source.data)
    if "id" not in data and re.fullmatch(r"[a-z][a-z0-9_-]*", path.stem):
        data["id"] = path.stem
    faults = source.name_faults()
    try:
        spec = ModelSpec.from_mapping(data)
    except InputError as error:
        faults += error.faults
    if faults:
        raise InputError(source.located(faults))
    return spec


def list_models(folder: PathLike | None = None) -> tuple[str, ...]:
    """Return the names of the shipped analyses, or of those in a folder.

    Parameters
    ----------
    folder : path, optional
        A folder of model files instead of the shipped ones.

    Returns
    -------
    tuple of str
        Sorted; what ``load_model`` and ``fit`` take.

    Raises
    ------
    InputError
        For a folder that does not exist or holds no ``.toml`` file.
    """
    return tuple(path.stem for path in _toml_files(_MODELS if folder is None else Path(folder)))


@dataclass(frozen=True)
class _Source:
    """A file that TOML can read."""

    path: Path
    text: str
    data: dict[str, Any]
    headings: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: Path, *, headings: tuple[str, ...] = ()) -> _Source:
        """Read one file; raises `InputError` for what is no TOML."""
        shown = _shown(path)
        if not path.is_file():
            raise InputError(_missing(path))
        try:
            raw = path.read_bytes()
        except OSError as error:
            raise InputError(
                Fault("", f"cannot be read: {error.strerror}", "a readable file", path=shown)
            ) from None
        try:
            # an editor's byte order mark is no fault of the curator's
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = raw[: error.start].count(b"\n") + 1
            raise InputError(
                Fault("", "not UTF-8 text", "UTF-8", "save it as UTF-8", path=shown, line=line)
            ) from None
        try:
            data = tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            reason = re.sub(r" \(at [^)]*\)$", "", str(error))
            line_ = syntax_line(error, text) if isinstance(error, ValueError) else None
            raise InputError(
                Fault("", f"no TOML: {reason}", "see https://toml.io", path=shown, line=line_)
            ) from None
        if not data:
            raise InputError(Fault("", "the file is empty", "keys and tables", path=shown))
        return cls(path, text, data, headings)

    @cached_property
    def places(self) -> Places:
        return Places(self.text, headings=self.headings)

    def name_faults(self) -> list[Fault]:
        """Return a fault unless the id is the file's name."""
        name = self.data.get("id", self.path.stem)
        if name == self.path.stem:
            return []
        return [
            Fault(
                "id",
                f"{name!r} in a file named {self.path.name}",
                f"'{self.path.stem}', the file's name",
                "rename the file, or the id",
            )
        ]

    def located(self, faults: Iterable[Fault]) -> list[Fault]:
        """Return the faults with file and line, and with the arm and outcome of a finding."""
        located = []
        for fault in faults:
            location = location_of(fault.place)
            place = fault.place + self._label(location)
            line = self.places.line(location)
            located.append(replace(fault, place=place, path=_shown(self.path), line=line))
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
        words = [str(tables[number][key]) for key in keys if key in tables[number]]
        return f" ({', '.join(words)})" if words else ""


def _shown(path: Path) -> str:
    """Return the path as a reader of the message would write it."""
    absolute, here = Path(os.path.abspath(path)), Path.cwd()  # noqa: PTH100 - links stay links
    return str(absolute.relative_to(here)) if absolute.is_relative_to(here) else str(path)


def _missing(path: Path) -> Fault:
    folder = path.parent
    names = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    found = "no such file or folder" if folder.is_dir() else f"no such folder: {_shown(folder)}"
    if path.is_dir():
        found, names = "a folder, not a file", []
    return Fault(
        "", found, "a .toml file, or a folder of them", nearest(path.name, names), _shown(path)
    )


def _toml_files(folder: Path) -> list[Path]:
    """Return the .toml files of a folder by name, leaving out the hidden ones that editors make."""
    if not folder.is_dir():
        raise InputError(_missing(folder))
    files = sorted(path for path in folder.glob("*.toml") if not path.name.startswith("."))
    if not files:
        raise InputError(
            Fault("", "no .toml file in this folder", "one file a paper", path=_shown(folder))
        )
    return files


def _files_at(path: Path) -> list[Path]:
    """Return the study file at `path`, or those in it, with the vocabulary beside them."""
    if path.is_dir():
        files = _toml_files(path)
        if [file.name for file in files] == [VOCABULARY_NAME]:
            raise InputError(
                Fault("", f"only {VOCABULARY_NAME}", "one file a paper", path=_shown(path))
            )
        return files
    if path.is_file() and path.suffix != ".toml":
        raise InputError(Fault("", "not a .toml file", "a study as TOML", path=_shown(path)))
    own = path.parent / VOCABULARY_NAME
    return [path, own] if own.is_file() else [path]


def _expanded(paths: Iterable[PathLike]) -> tuple[list[Path], list[Path], list[Fault]]:
    """Return study files, vocabulary files, and the faults of paths that lead nowhere."""
    studies: dict[Path, Path] = {}
    vocabularies: dict[Path, Path] = {}
    faults: list[Fault] = []
    for path in map(Path, paths):
        try:
            files = _files_at(path)
        except InputError as error:
            faults += error.faults
            continue
        for file in files:
            chosen = vocabularies if file.name == VOCABULARY_NAME else studies
            chosen.setdefault(file.resolve(), file)
    return list(studies.values()), list(vocabularies.values()), faults


@dataclass
class _Findings:
    """What one pass over files has found so far."""

    faults: list[Fault] = field(default_factory=list)
    sources: dict[str, _Source] = field(default_factory=dict)

    def read(self, path: Path) -> _Source | None:
        try:
            source = _Source.read(path)
        except InputError as error:
            self.faults += error.faults
            return None
        self.sources[_shown(path)] = source
        return source

    def add(self, faults: Iterable[Fault]) -> None:
        """Add faults that carry their file, with the lines that they lack."""
        for fault in faults:
            self.faults += self.sources[fault.path or ""].located([fault])


def _read_studies(paths: Iterable[PathLike]) -> tuple[Studies, list[Fault]]:
    files, vocabulary_files, faults = _expanded(paths)
    found = _Findings(faults)
    vocabulary = _read_vocabularies(vocabulary_files, found)
    studies: dict[str, Study] = {}
    for file in files:
        if (source := found.read(file)) is None:
            continue
        study, faults = _read_study(source, vocabulary)
        found.faults += source.located(faults)
        if study is not None:
            studies[_shown(file)] = study
    ids = {
        shown: source.data["id"]
        for shown, source in found.sources.items()
        if isinstance(source.data.get("id"), str)
    }
    found.add(duplicate_ids(list(ids.values()), files=list(ids)))
    found.add(library_gates(list(studies.values()), files=list(studies)))
    order = {_shown(path): number for number, path in enumerate([*vocabulary_files, *files])}
    faults = sorted(
        found.faults, key=lambda fault: (order.get(fault.path or "", -1), fault.line or 0)
    )
    warnings = [fault for fault in faults if fault.severity == "warning"]
    return Studies(studies.values(), warnings=warnings, vocabulary=vocabulary), faults


def _read_vocabularies(files: list[Path], found: _Findings) -> dict[str, Outcome]:
    read: dict[str, VocabularyFile] = {}
    for file in files:
        if (source := found.read(file)) is not None:
            try:
                read[_shown(file)] = VocabularyFile.from_mapping(source.data)
            except InputError as error:
                found.faults += source.located(error.faults)
    vocabulary, faults = merged_vocabulary(read)
    found.add(faults)
    return vocabulary


def _read_study(
    source: _Source, vocabulary: Mapping[str, Outcome]
) -> tuple[Study | None, list[Fault]]:
    """Return the study if it has the form of one, and everything that is wrong in the file."""
    version = source.data.get("schema")
    if version is not None and (type(version) is not int or version != 1):
        return None, [
            Fault(
                "schema", f"version {version!r} is not known", "1", "a newer metacart may read it"
            )
        ]
    faults = source.name_faults()
    try:
        study = Study.from_mapping(source.data)
    except InputError as error:
        parts = Parts.readable(source.data, vocabulary)
        return None, [*faults, *error.faults, *part_gates(parts)]
    return study, [*faults, *part_gates(Parts.of(study, vocabulary))]
