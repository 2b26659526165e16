"""Files of evidence: whole or not at all, and never over another one unasked."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import get_ident
from typing import TYPE_CHECKING, Any

from metacart.errors import Fault, InputError
from metacart.evidence.source import shown_path

if TYPE_CHECKING:
    from tomlkit.items import Item, Table

__all__ = ["faults_of_new", "study_text", "write_files"]


def write_files(files: Mapping[Path, str | bytes], *, replace: bool = False) -> None:
    """Write all files, or none.

    Parameters
    ----------
    files : mapping of Path to str or bytes
        The content of each; folders are made where they do not exist.
    replace : bool
        Whether an existing file may be replaced.

    Raises
    ------
    InputError
        For files that exist already, and where the system lets nothing be written.
    """
    faults = [] if replace else faults_of_new(files)
    folders = [path for path in files if path.is_dir()]
    faults += [Fault("", "a folder", "a file", path=shown_path(path)) for path in folders]
    above = {parent for path in files for parent in path.parents}
    in_the_way = sorted(path for path in above if path.exists() and not path.is_dir())
    faults += [Fault("", "a file", "a folder", path=shown_path(path)) for path in in_the_way]
    if faults:
        raise InputError(faults)
    ours = f"{os.getpid()}.{get_ident()}.partial"  # of this thread
    waiting = {path: path.with_name(f".{path.name}.{ours}") for path in files}
    made = sorted((folder for folder in above if not folder.exists()), reverse=True)
    done: list[Path] = []
    try:
        for path, partial in waiting.items():
            with _writing(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                content = files[path]
                partial.write_bytes(content.encode() if isinstance(content, str) else content)
        for path, partial in waiting.items():
            with _writing(path):
                partial.replace(path)
            done.append(path)
    finally:
        for partial in waiting.values():
            with suppress(OSError):
                partial.unlink(missing_ok=True)
        if len(done) < len(files):
            for path in () if replace else done:
                path.unlink(missing_ok=True)
            for folder in made:
                with suppress(OSError):
                    folder.rmdir()  # only where nothing is in it


def faults_of_new(paths: Iterable[Path]) -> list[Fault]:
    """Return a fault for each path that something stands at already."""
    hint = "another name or folder"
    return [
        Fault("", "exists already", "a new file: nothing is written over", hint, shown_path(path))
        for path in paths
        if path.exists()
    ]


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        found = f"cannot be written: {error.strerror or error}"
        hint = "a folder that you may write to"
        raise InputError(Fault("", found, "a file of yours", hint, shown_path(path))) from None


def study_text(data: Mapping[str, Any]) -> str:
    """Return the data of a study as the text of its file.

    Parameters
    ----------
    data : mapping
        As `Study.from_mapping` takes it.

    Examples
    --------
    >>> print(study_text({"schema": 1, "arms": [{"id": "a", "patients": {"infused": 20}}]}))
    schema = 1
    <BLANKLINE>
    [[arms]]
    id = "a"
    patients = { infused = 20 }
    <BLANKLINE>
    """
    import tomlkit

    document = tomlkit.document()
    tables = {key: value for key, value in data.items() if _heads_tables(value)}
    for key, value in data.items():
        if key not in tables:
            document.add(key, _value(value))
    for key, value in tables.items():
        document.add(tomlkit.nl())
        if isinstance(value, Mapping):
            document.add(key, _table(value))
        else:
            array = tomlkit.aot()
            for each in value:
                array.append(_table(each))
            document.add(key, array)
    return tomlkit.dumps(document)


def _heads_tables(value: Any) -> bool:
    """Whether a key of a file heads a table, or several."""
    several = isinstance(value, list) and bool(value) and isinstance(value[0], Mapping)
    return several or (isinstance(value, Mapping) and bool(value))


def _table(data: Mapping[str, Any]) -> Table:
    import tomlkit

    table = tomlkit.table()
    for key, value in data.items():
        table.add(key, _value(value))
    return table


def _value(value: Any) -> Item:
    """Return a value as TOML; a table inside a table stands in one line."""
    import tomlkit

    if not isinstance(value, Mapping):
        item: Item = tomlkit.item(value)
        return item
    pairs = (
        f"{tomlkit.key(key).as_string()} = {_value(each).as_string()}"
        for key, each in value.items()
    )
    inline: Item = tomlkit.value(f"{{ {', '.join(pairs)} }}")
    return inline
