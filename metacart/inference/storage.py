"""Saving a fit whole, and loading it again."""

from __future__ import annotations

import json
import os
from pathlib import Path
from threading import get_ident
from typing import TYPE_CHECKING, Any

from metacart.errors import Fault, InputError, named_options
from metacart.inference.records import ATTRIBUTES, hash_of, spec_of

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["KEPT_UNDER", "load_fit", "read_fit", "save_fit"]

KEPT_UNDER = "kept_under"

_GROUPS = ("posterior", "prior", "sample_stats", "constant_data")


@named_options
def save_fit(fit: xr.DataTree, path: str | os.PathLike[str]) -> Path:
    """Save a fit to one netCDF file, whole or not at all.

    Parameters
    ----------
    fit : DataTree
        From ``metacart.fit``.
    path : str or path
        The file, ending in ``.nc``; an existing one is replaced.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        For what is no fit, for another ending, and where the file cannot be written.

    Notes
    -----
    Every array bears a checksum, so that ``load_fit`` knows a damaged file.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.save_fit(mc.fit("cr_rate"), "cr_rate.nc")  # doctest: +SKIP
    """
    spec_of(fit)
    target = _as_path(path)
    if target.suffix != ".nc":
        name = f"{target.stem or 'fit'}.nc"
        raise InputError(Fault("path", f"'{target}'", "a file ending in .nc", name))
    if target.is_dir():
        raise InputError(
            Fault("path", f"'{target}' is a folder", "a file ending in .nc", f"{target / 'fit.nc'}")
        )
    partial = target.with_name(f".{target.name}.{os.getpid()}.{get_ident()}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.touch()
    except OSError as error:
        raise InputError(_unwritable(target, error)) from None
    try:
        fit.to_netcdf(partial, engine="h5netcdf", encoding=_checksums(fit))
        partial.replace(target)
    except OSError as error:
        raise InputError(_unwritable(target, error)) from None
    finally:
        partial.unlink(missing_ok=True)
    return target


def _as_path(path: object) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise InputError(Fault("path", f"a {type(path).__name__}", "a path as text or as a Path"))
    return Path(path)


def _unwritable(target: Path, error: OSError) -> Fault:
    above = next(folder for folder in target.absolute().parents if folder.exists())
    if not above.is_dir():
        return Fault("path", f"'{above}' is a file", f"a folder to hold '{target.name}'")
    reason = error.strerror or str(error)
    return Fault(
        "path",
        f"'{target}' cannot be written: {reason}",
        "a folder that you may write to",
        "another folder, or free space",
    )


def _checksums(fit: xr.DataTree) -> dict[str, dict[str, dict[str, bool]]]:
    """HDF5 checks what it reads: for all arrays that have a shape and a fixed width."""
    return {
        node.path: {
            str(name): {"fletcher32": True}
            for name, array in node.variables.items()
            if array.size and array.ndim and array.dtype.kind in "biuf"
        }
        for node in fit.subtree
    }


@named_options
def load_fit(path: str | os.PathLike[str]) -> xr.DataTree:
    """Load a fit that ``save_fit`` wrote.

    Parameters
    ----------
    path : str or path
        The netCDF file.

    Returns
    -------
    DataTree
        The fit, in memory.

    Raises
    ------
    InputError
        For a missing file, one that is no fit, a damaged one, and one whose spec or evidence are
        not those that were fitted.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.summarize(mc.load_fit("cr_rate.nc"))  # doctest: +SKIP
    """
    fit = read_fit(path)
    fit.attrs.pop(KEPT_UNDER, None)  # a copy of what a cache kept is a fit like any other
    return fit


def read_fit(path: str | os.PathLike[str]) -> xr.DataTree:
    """Return what ``load_fit`` does, with the key of a kept fit among its attributes."""
    import xarray as xr

    source = _as_path(path)
    if not source.is_file():
        found = "is a folder" if source.is_dir() else "is not a file"
        raise InputError(Fault("path", f"'{source}' {found}", "a file that save_fit wrote"))
    try:
        with xr.open_datatree(source, engine="h5netcdf") as tree:
            fit = tree.load()
            attributes = {str(name): value for name, value in fit.attrs.items()}
    except Exception as error:  # damage shows itself in more ways than can be named
        raise InputError(
            _unreadable(source, f"cannot be read: {str(error).strip("'") or type(error).__name__}")
        ) from None
    if "spec" not in attributes or "posterior" not in fit.children:
        raise InputError(
            Fault("path", f"'{source}' holds no metacart fit", "a file that save_fit wrote")
        )
    if faults := _broken(fit, attributes):
        raise InputError(_unreadable(source, found) for found in faults)
    return fit


def _unreadable(source: Path, found: str) -> Fault:
    return Fault("path", f"'{source}' {found}", "a file as save_fit wrote it", "fit and save again")


def _broken(fit: xr.DataTree, attributes: dict[str, Any]) -> list[str]:
    """Return in words what a fit lacks, or what is not as it was fitted."""
    missing = [name for name in ATTRIBUTES if name not in attributes]
    missing += [f"group {name}" for name in _GROUPS if name not in fit.children]
    if missing:
        return [f"lacks its {', '.join(missing)}: it is damaged"]
    changed = [
        name
        for name in ("spec", "evidence")
        if hash_of(attributes[name]) != attributes[f"{name}_hash"]
    ]
    if changed:
        return [f"holds another {name} than was fitted" for name in changed]
    try:
        spec_of(fit)
    except InputError as error:
        versions = json.loads(attributes["versions"])
        faults = "; ".join(map(str, error.faults))
        return [
            f"was written by metacart {versions['metacart']}, which this one cannot read: {faults}"
        ]
    return []
