"""A folder in which fits, what was read from refits, and figures are kept under their keys."""

from __future__ import annotations

import io
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from metacart.errors import Fault, InputError

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Cache", "CacheLike", "cache_of", "write_fit"]

_LARGEST = 2 * 1024**3  # bytes
_ENDINGS = {"fit": ".nc", "read": ".json", "figure": ".zip"}
_AGAIN = {"fit": "fit: fitting", "read": "fit: fitting", "figure": "figure: drawing"}
_SOURCE = "kept_in"
_logger = logging.getLogger("metacart")


@dataclass(frozen=True)
class Cache:
    """A folder in which fits are kept, so that what was fitted once is not fitted again.

    Parameters
    ----------
    folder : path
        Made where it does not exist. Several processes may share it.
    fresh : bool
        Whether to fit and draw anew and to replace what is kept.
    say : callable, optional
        Takes one line where a file is damaged or cannot be written; by default it goes to the log.

    Attributes
    ----------
    used, made : list of datetime
        Of each fit and refit that a verb with this object took from the folder, since when it had
        been kept; and when others were made. Figures do not count.

    Notes
    -----
    A fit is known by a hash of its question, the values of its evidence table, method, draws,
    tuning, chains and seed, the versions of Python and of the numerical libraries, and metacart's
    own code. Without a seed the kept fit of any seed answers. A fit by a likelihood that is not a
    shipped one is never kept, for its code cannot be told from other code of the same name. Of a
    refit only what was read from it is kept. A figure of a report is known by the values of the
    fit, the studies and the options that it was drawn from, all of metacart's code and the
    versions of the libraries that draw. Above 2 GiB the oldest files leave.

    Examples
    --------
    >>> import metacart as mc
    >>> cache = mc.Cache("kept_fits")
    >>> fit = mc.fit("cr_rate", seed=1, cache=cache)  # doctest: +SKIP
    >>> len(cache.used), len(cache.made)  # doctest: +SKIP
    (0, 1)
    >>> cache.clear()
    0
    """

    folder: Path
    fresh: bool = False
    say: Callable[[str], None] | None = field(default=None, compare=False)
    used: list[datetime] = field(default_factory=list, init=False, compare=False, repr=False)
    made: list[datetime] = field(default_factory=list, init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse what cannot be such a folder, before anything is fitted."""
        if not isinstance(self.folder, str | os.PathLike):
            found = f"a {type(self.folder).__name__}"
            raise InputError(Fault("cache", found, "a folder as text or as a Path"))
        folder = Path(self.folder)
        object.__setattr__(self, "folder", folder)
        above = next(each for each in (folder, *folder.absolute().parents) if each.exists())
        if not above.is_dir():
            raise InputError(Fault("cache", f"'{above}' is a file", "a folder, new or existing"))
        if not os.access(above, os.W_OK):
            found = f"'{above}' cannot be written to"
            raise InputError(Fault("cache", found, "a folder of yours"))

    def files(self) -> list[Path]:
        """Return the files that hold something kept; no other file in the folder is touched."""
        return sorted(
            path
            for kind, ending in _ENDINGS.items()
            for path in self.folder.glob(f"{kind}-*{ending}")
        )

    def size(self) -> int:
        """Return how many bytes they take."""
        return sum(size for _, size, _ in _stated(self.files()))

    def clear(self) -> int:
        """Remove what is kept; return how many files that were."""
        listed = self.files()
        halves = [path for kind in _ENDINGS for path in self.folder.glob(f".{kind}-*.partial")]
        for path in [*listed, *halves]:
            path.unlink(missing_ok=True)
        with suppress(OSError):
            self.folder.rmdir()  # only where nothing else is in it
        return len(listed)

    def find_fit(self, key: str) -> xr.DataTree | None:
        """Return the fit of a key; none where there is none, or where all is fitted anew."""
        found: xr.DataTree | None = self._found("fit", key, _read_fit)
        if found is not None:
            found.encoding[_SOURCE] = str(self._path("fit", key))
        return found

    def keep_fit(self, key: str, fit: xr.DataTree) -> None:
        """Keep a fit; where that cannot be, say so and go on."""
        from metacart.inference.storage import KEPT_UNDER, save_fit

        noted = fit.copy()
        noted.attrs = {**fit.attrs, KEPT_UNDER: key}
        path = self._kept("fit", key, lambda path: save_fit(noted, path))
        fit.encoding[_SOURCE] = str(path)
        self._shrink()

    def find_value(self, key: str) -> Any:
        """Return what was read from the refit of a key; none as for ``find_fit``."""
        return self._found("read", key, _read_value)

    def keep_value(self, key: str, value: Any) -> None:
        """Keep numbers, text and arrays; what is none of these is not kept."""
        from metacart.inference.values import UnknownValueError, packed

        try:
            text = json.dumps({"key": key, "value": packed(value)})
        except UnknownValueError:
            self.made.append(_now())
            return
        self._kept("read", key, lambda path: _write(path, text))

    def find_figure(self, key: str) -> dict[str, bytes] | None:
        """Return the files of the figure of a key; none as for ``find_fit``."""
        found: dict[str, bytes] | None = self._found("figure", key, _read_files)
        return found

    def keep_figure(self, key: str, files: Mapping[str, bytes]) -> None:
        """Keep the files of a figure, by name."""
        content = io.BytesIO()
        with ZipFile(content, "w") as archive:
            archive.comment = key.encode()
            for name, each in files.items():
                archive.writestr(ZipInfo(name), each, ZIP_DEFLATED, 1)
        self._kept("figure", key, lambda path: _write(path, content.getvalue()))
        self._shrink()

    def _path(self, kind: str, key: str) -> Path:
        return self.folder / f"{kind}-{key[:40]}{_ENDINGS[kind]}"

    def _found(self, kind: str, key: str, read: Callable[[Path], tuple[Any, Any]]) -> Any:
        path = self._path(kind, key)
        if self.fresh or not path.is_file():
            return None
        own = value = since = None
        with suppress(Exception):  # damage shows itself in more ways than can be named
            since = datetime.fromtimestamp(path.stat().st_mtime).astimezone()
            own, value = read(path)
        if own != key or since is None:
            if path.exists():  # else another process has removed it meanwhile
                self._tell(f"{path}: damaged, or no kept {_AGAIN[kind]} anew")
            return None
        if kind != "figure":
            self.used.append(since)
        return value

    def _kept(self, kind: str, key: str, write: Callable[[Path], object]) -> Path:
        path = self._path(kind, key)
        if kind != "figure":
            self.made.append(_now())
        try:
            write(path)
        except InputError as error:
            self._tell(f"not kept: {error.faults[0]}")
        return path

    def _shrink(self) -> None:
        """Let the oldest files leave where all together take too much."""
        total = 0
        for number, (_, size, path) in enumerate(sorted(_stated(self.files()), reverse=True)):
            total += size
            if number and total > _LARGEST:
                path.unlink(missing_ok=True)

    def _tell(self, line: str) -> None:
        if self.say is None:
            _logger.warning(line)
        else:
            self.say(line)


CacheLike = Cache | str | os.PathLike[str]


def cache_of(given: CacheLike | None) -> Cache | None:
    """Return the cache that was asked for; raises `InputError` for what cannot be a folder."""
    if given is None or isinstance(given, Cache):
        return given
    return Cache(Path(given) if isinstance(given, str | os.PathLike) else given)


def write_fit(fit: xr.DataTree, path: Path) -> None:
    """Write a fit as ``fit`` returned it: where it is kept, its file is copied."""
    from metacart.inference.storage import save_fit

    source = fit.encoding.get(_SOURCE)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        if source is not None:
            shutil.copyfile(source, partial)
            partial.replace(path)
            return
    except OSError:  # no longer there: written anew, which tells what cannot be written
        pass
    finally:
        partial.unlink(missing_ok=True)
    save_fit(fit, path)


def _now() -> datetime:
    return datetime.now().astimezone()


def _stated(paths: Iterable[Path]) -> list[tuple[float, int, Path]]:
    """Return time, size and path of files, without those that another process has removed."""
    found = []
    for path in paths:
        with suppress(OSError):
            state = path.stat()
            found.append((state.st_mtime, state.st_size, path))
    return found


def _read_fit(path: Path) -> tuple[Any, xr.DataTree]:
    from metacart.inference.storage import KEPT_UNDER, read_fit

    fit = read_fit(path)
    return fit.attrs.pop(KEPT_UNDER, None), fit


def _read_value(path: Path) -> tuple[Any, Any]:
    from metacart.inference.values import unpacked

    stored = json.loads(path.read_text(encoding="utf-8"))
    return stored["key"], unpacked(stored["value"])


def _read_files(path: Path) -> tuple[str, dict[str, bytes]]:
    with ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
        return archive.comment.decode(), files


def _write(path: Path, content: str | bytes) -> None:
    from metacart.evidence.exchange.writing import write_files

    write_files({path: content}, replace=True)
