"""The library: the only reader of paths. Files become studies and specs, or one list of faults."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from metacart.errors import Fault, InputError, named_options, nearest
from metacart.evidence.collection import Studies
from metacart.evidence.gates import study_gates
from metacart.evidence.library_gates import duplicate_ids, library_gates
from metacart.evidence.source import (
    PathLike,
    Source,
    as_path,
    entries_of,
    missing,
    readable,
    shown_path,
)
from metacart.evidence.vocabulary_file import VOCABULARY_NAME, VocabularyFile, merged_vocabulary
from metacart.records.mending import hidden_faults
from metacart.records.shapes import is_id
from metacart.records.spec import ModelSpec
from metacart.records.study import Study
from metacart.records.vocabulary import Outcome

__all__ = [
    "BUNDLED",
    "Studies",
    "check_studies",
    "list_models",
    "load_model",
    "load_studies",
    "read_studies",
    "spec_of",
    "toml_files",
]


def _bundled(name: str) -> Path:
    """Return a folder of the wheel, or in an editable install the live one beside the package."""
    package = Path(__file__).resolve().parents[1]
    shipped = package / "data" / name
    return shipped if shipped.is_dir() else package.parent / name


BUNDLED: Path = _bundled("studies")
_MODELS: Path = _bundled("models")


@named_options
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
    studies, faults = read_studies(folders or (BUNDLED,))
    errors = [fault for fault in faults if fault.severity == "error"]
    if errors:
        raise InputError(errors)
    return studies


@named_options
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

    Examples
    --------
    >>> import metacart as mc
    >>> [fault for fault in mc.check_studies(mc.BUNDLED) if fault.severity == "error"]
    []
    """
    return read_studies(paths or (BUNDLED,))[1]


@named_options
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

    Examples
    --------
    >>> import metacart as mc
    >>> mc.load_model("cr_rate").outcome
    'complete_remission'
    """
    attempt = f"one of {', '.join(list_models(folder))}"
    if hasattr(model, "columns"):
        attempt = "the question first and its table second: fit(spec, evidence)"
    allowed = "the name of a model, the path of a .toml file, or a ModelSpec"
    path = as_path(model, name="model", allowed=allowed, attempt=attempt)
    if path.suffix != ".toml" and path.name == str(model):
        names = list_models(folder)
        if path.name not in names:
            hint = nearest(path.name, names) or "or the path of a .toml file"
            if path.is_dir():
                hint = "this is a folder: name a .toml file in it, or give it as the models"
            found = f"'{path.name}' is not known"
            raise InputError(Fault("model", found, ", ".join(names), hint))
        path = _models_in(folder) / f"{path.name}.toml"
    source = Source.read(path, headings=("model", "report"))
    data = dict(source.data)
    if "id" not in data and is_id(path.stem):
        data["id"] = path.stem
    faults: list[Fault] = []
    try:
        spec = ModelSpec.from_mapping(data)
    except InputError as error:
        faults += error.faults
    faults += _name_faults(source, faults)
    if faults:
        raise InputError(source.located(faults))
    return spec.read_from(path)


def spec_of(question: ModelSpec | PathLike) -> ModelSpec:
    """Return a question that is given as a record, by the name of a model, or by a path."""
    return question if isinstance(question, ModelSpec) else load_model(question)


@named_options
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

    Examples
    --------
    >>> import metacart as mc
    >>> "cr_rate" in mc.list_models()
    True
    """
    return tuple(path.stem for path in toml_files(_models_in(folder), of="question"))


def _models_in(folder: PathLike | None) -> Path:
    return _MODELS if folder is None else as_path(folder, name="models")


def toml_files(folder: Path, *, of: str = "paper") -> list[Path]:
    """Return the .toml files of a folder by name, leaving out the hidden ones that editors make."""
    if not folder.is_dir():
        raise InputError(missing(folder))
    files = [
        path
        for path in entries_of(folder)
        if path.suffix == ".toml" and not path.name.startswith(".")
    ]
    if not files:
        raise InputError(
            Fault("", "no .toml file in this folder", f"one file a {of}", path=shown_path(folder))
        )
    return files


def _files_at(path: Path) -> list[Path]:
    """Return the study file at `path`, or those in it, with the vocabulary beside them."""
    if path.is_dir():
        files = toml_files(path)
        if [file.name for file in files] == [VOCABULARY_NAME]:
            raise InputError(
                Fault("", f"only {VOCABULARY_NAME}", "one file a paper", path=shown_path(path))
            )
        return files
    if path.is_file() and path.suffix != ".toml":
        raise InputError(Fault("", "not a .toml file", "a study as TOML", path=shown_path(path)))
    own = path.parent / VOCABULARY_NAME
    return [path, own] if own.is_file() else [path]


def _expanded(paths: Iterable[PathLike]) -> tuple[list[Path], list[Path], list[Fault]]:
    """Return study files, vocabulary files, and the faults of paths that lead nowhere."""
    studies: dict[Path, Path] = {}
    vocabularies: dict[Path, Path] = {}
    faults: list[Fault] = []
    for given in paths:
        try:
            path = _study_path(given)
            with readable(path):
                files = _files_at(path)
        except InputError as error:
            faults += error.faults
            continue
        for file in files:
            chosen = vocabularies if file.name == VOCABULARY_NAME else studies
            chosen.setdefault(file.resolve(), file)
    return list(studies.values()), list(vocabularies.values()), faults


def _study_path(path: object) -> Path:
    attempt = ""
    if isinstance(path, list | tuple):
        attempt = f"one after the other: load_studies({', '.join(map(repr, path))})"
    elif path is None:
        attempt = "load_studies() reads the bundled studies"
    return as_path(path, name="studies", attempt=attempt)


@dataclass
class _Findings:
    """What one pass over files has found so far."""

    faults: list[Fault] = field(default_factory=list)
    sources: dict[str, Source] = field(default_factory=dict)

    def read(self, path: Path) -> Source | None:
        try:
            source = Source.read(path)
        except InputError as error:
            self.faults += error.faults
            return None
        self.sources[shown_path(path)] = source
        return source

    def add(self, faults: Iterable[Fault]) -> None:
        """Add faults that carry their file, with the lines that they lack."""
        for fault in faults:
            self.faults += self.sources[fault.path or ""].located([fault])


def read_studies(paths: Iterable[PathLike]) -> tuple[Studies, list[Fault]]:
    """Return the studies that have the form of one, and every fault and warning in their files."""
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
            studies[shown_path(file)] = study
    ids = {
        shown: source.data["id"]
        for shown, source in found.sources.items()
        if isinstance(source.data.get("id"), str)
    }
    found.add(duplicate_ids(list(ids.values()), files=list(ids)))
    found.add(library_gates(list(studies.values()), files=list(studies)))
    order = {shown_path(path): number for number, path in enumerate([*vocabulary_files, *files])}
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
                read[shown_path(file)] = VocabularyFile.from_mapping(source.data)
            except InputError as error:
                found.faults += source.located(error.faults)
    vocabulary, faults = merged_vocabulary(read)
    found.add(faults)
    return vocabulary


def _read_study(
    source: Source, vocabulary: Mapping[str, Outcome]
) -> tuple[Study | None, list[Fault]]:
    """Return the study if it has the form of one, and everything that is wrong in the file."""

    def gates(study: Study) -> list[Fault]:
        return study_gates(study, vocabulary=vocabulary)

    try:
        study = Study.from_mapping(source.data)
    except InputError as error:
        hidden = hidden_faults(Study, source.data, error.faults, gates)
        return None, [*error.faults, *_name_faults(source, error.faults), *hidden]
    return study, [*_name_faults(source, ()), *gates(study)]


def _name_faults(source: Source, others: Iterable[Fault]) -> list[Fault]:
    """Return a fault unless the id is the file's name, or has a fault of its own."""
    if any(fault.place == "id" for fault in others):
        return []
    return source.name_faults(fits=is_id(source.path.stem))
