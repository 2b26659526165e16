"""The folder of the page: written whole, moved into place, and nobody else's files touched."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from metacart.errors import Fault, InputError

__all__ = ["LISTING", "PAGE", "check_out", "staged"]

PAGE = "index.html"
LISTING = "files.json"


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """Give a folder inside `out` to write into; what it holds is moved to `out` at the end.

    Parameters
    ----------
    out : Path
        The folder of the page, made where it does not exist. Its other files stay; files of an
        earlier report that this one no longer has, and that nobody changed since, are removed.

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
    out = out.resolve()
    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    folder = out / f".{os.getpid()}.partial"
    try:
        with _writing(out):
            folder.mkdir(parents=True)
        yield folder
        with _writing(out):
            _list(folder)
            _publish(folder, out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        for parent in made:
            with suppress(OSError):
                parent.rmdir()  # only where nothing is in it


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        found = f"cannot be written: {error.strerror or error}"
        raise InputError(Fault("out", found, "a folder of yours", path=str(out))) from error


def check_out(out: Path, folders: Sequence[str]) -> None:
    """Refuse a folder that cannot be one, before anything is fitted.

    Parameters
    ----------
    out : Path
        The folder of the page.
    folders : sequence of str
        The folders that it will hold, one a question.

    Raises
    ------
    InputError
        With what stands in the way, or what would be lost: the questions of an earlier report
        that are not among `folders`.
    """
    if out.exists() and not out.is_dir():
        raise InputError(Fault("out", "a file", "a folder, new or existing", path=str(out)))
    target = out.resolve()
    above = next(folder for folder in (target, *target.parents) if folder.exists())
    if not above.is_dir():
        raise InputError(Fault("out", f"'{above}' is a file", "a folder", path=str(out)))
    faults = [
        Fault("out", f"'{name}' is a {found} there", "another place", path=str(out))
        for name, found in (
            *((name, "folder") for name in (PAGE, LISTING) if (out / name).is_dir()),
            *((name, "file") for name in folders if (out / name).is_file()),
            *((name, "broken link") for name in folders if _leads_nowhere(out / name)),
        )
    ]
    inside = [folder for name in folders if (folder := out / name).is_dir()]
    for folder in dict.fromkeys((above, *inside)):
        if (reason := _refusal(folder)) is not None:
            found = f"'{folder}' cannot be written to: {reason}"
            faults.append(Fault("out", found, "a folder of yours", path=str(out)))
    others = [name for name in _answered(out) if name not in folders]
    if others:
        faults.append(
            Fault(
                "out",
                f"holds the report of other questions too: {', '.join(others)}; "
                "their tables, figures and fits would be lost",
                "a folder without them",
                f"another folder, such as '{out.name}-2', or name these questions too",
                path=str(out),
            )
        )
    if faults:
        raise InputError(faults)


def _leads_nowhere(path: Path) -> bool:
    return path.is_symlink() and not path.exists()


def _refusal(folder: Path) -> str | None:
    """Return why nothing can be written into a folder: only an attempt tells."""
    try:
        Path(tempfile.mkdtemp(prefix=".", suffix=".partial", dir=folder)).rmdir()
    except OSError as error:
        return error.strerror or str(error)
    return None


def _earlier(out: Path) -> dict[PurePosixPath, str]:
    """Return the files that an earlier report wrote and that are still there, with hashes."""
    try:
        files = json.loads((out / LISTING).read_text(encoding="utf-8"))["files"].items()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    inside = out.resolve()
    return {
        PurePosixPath(name): str(digest)
        for name, digest in files
        if (path := out / name).is_file() and path.resolve().is_relative_to(inside)
    }


def _answered(out: Path) -> list[str]:
    """Return the questions of which an earlier report left files."""
    return sorted({name.parts[0] for name in _earlier(out) if len(name.parts) == 2})


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
        _move(folder / name, target)
    for path in stale:
        path.unlink()
        with suppress(OSError):
            path.parent.rmdir()  # only where nothing else is in it


def _move(source: Path, target: Path) -> None:
    try:
        source.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        # the folder of a question lies on another file system: copied beside its place first
        beside = target.with_name(f".{os.getpid()}.{target.name}.partial")
        try:
            shutil.copyfile(source, beside)
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)


def _stale(folder: Path, out: Path) -> list[Path]:
    """Return files of an earlier report that this one no longer has and nobody changed."""
    new = _files(folder)
    return [
        out / name
        for name, digest in _earlier(out).items()
        if name not in new and _hash(out / name) == digest
    ]
