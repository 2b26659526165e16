"""The folder of the page: written whole, moved into place, and nobody else's files touched."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from metacart.errors import Fault, InputError

__all__ = ["LISTING", "PAGE", "check_out", "staged"]

PAGE = "index.html"
LISTING = "files.json"


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """Give a folder beside `out` to write into; what it holds is moved to `out` at the end.

    Parameters
    ----------
    out : Path
        The folder of the page. Its other files stay; files of an earlier report that this one no
        longer has, and that nobody changed since, are removed.

    Yields
    ------
    Path
        The folder to write into. It is gone afterwards, also where something fails; then `out` is
        as it was.

    Raises
    ------
    InputError
        Where no folder can be.

    Notes
    -----
    ``files.json`` lists what the report wrote, with SHA-256 hashes. The page is moved last, so
    that it never stands beside figures of another run.
    """
    above = [folder for folder in out.absolute().parents if not folder.exists()]
    folder = out.absolute().with_name(f".{out.absolute().name}.{os.getpid()}.partial")
    try:
        with _writing(out):
            folder.mkdir(parents=True)
        yield folder
        with _writing(out):
            _list(folder)
            _publish(folder, out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if not out.exists():
            for parent in above:
                with suppress(OSError):
                    parent.rmdir()


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        found = f"cannot be written: {error.strerror or error}"
        raise InputError(Fault("out", found, "a folder of yours", path=str(out))) from error


def check_out(out: Path, folders: Iterable[str]) -> None:
    """Refuse a folder that cannot be one, before anything is fitted.

    Parameters
    ----------
    out : Path
        The folder of the page.
    folders : iterable of str
        The folders that it will hold.

    Raises
    ------
    InputError
        With what stands in the way.
    """
    if out.exists() and not out.is_dir():
        raise InputError(Fault("out", "a file", "a folder, new or existing", path=str(out)))
    above = next((folder for folder in (out, *out.absolute().parents) if folder.exists()), out)
    if not above.is_dir():
        raise InputError(Fault("out", f"'{above}' is a file", "a folder", path=str(out)))
    if not os.access(above, os.W_OK):
        raise InputError(
            Fault("out", f"'{above}' cannot be written to", "a folder of yours", path=str(out))
        )
    faults = [
        Fault("out", f"'{name}' is a {found} there", "another place", path=str(out))
        for name, found, wrong in (
            *((name, "folder", Path.is_dir) for name in (PAGE, LISTING)),
            *((name, "file", Path.is_file) for name in folders),
        )
        if wrong(out / name)
    ]
    if faults:
        raise InputError(faults)


def _files(folder: Path) -> list[PurePosixPath]:
    return sorted(
        PurePosixPath(path.relative_to(folder).as_posix())
        for path in folder.rglob("*")
        if path.is_file()
    )


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _list(folder: Path) -> None:
    hashes = {str(name): _hash(folder / name) for name in _files(folder)}
    text = json.dumps({"written_by": "metacart report", "files": hashes}, indent=1)
    (folder / LISTING).write_text(text + "\n", encoding="utf-8")


def _publish(folder: Path, out: Path) -> None:
    stale = _stale(folder, out)
    out.mkdir(parents=True, exist_ok=True)
    for name in sorted(_files(folder), key=lambda name: str(name) == PAGE):
        target = out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (folder / name).replace(target)
    for path in stale:
        path.unlink()
        with suppress(OSError):
            path.parent.rmdir()  # only where nothing else is in it


def _stale(folder: Path, out: Path) -> list[Path]:
    """Return files of an earlier report that this one no longer has and nobody changed."""
    try:
        listed = json.loads((out / LISTING).read_text(encoding="utf-8"))["files"].items()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
    new = set(map(str, _files(folder)))
    inside = out.resolve()
    return [
        path
        for name, digest in listed
        if name not in new
        and (path := out / name).is_file()
        and path.resolve().is_relative_to(inside)
        and _hash(path) == digest
    ]
