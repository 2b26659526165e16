"""Saving a fit whole, and loading it again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from metacart.errors import Fault, InputError

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["load_fit", "save_fit"]


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
        For another ending.
    """
    target = Path(path)
    if target.suffix != ".nc":
        raise InputError(Fault("path", f"'{target}'", "a file ending in .nc", f"{target.stem}.nc"))
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        fit.to_netcdf(partial, engine="h5netcdf")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return target


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
        For a missing file, or one that is no fit.
    """
    import xarray as xr

    source = Path(path)
    if not source.is_file():
        raise InputError(Fault("path", f"'{source}' is not a file", "a file that save_fit wrote"))
    try:
        with xr.open_datatree(source, engine="h5netcdf") as tree:
            fit = tree.load()
    except (OSError, ValueError) as error:
        raise InputError(
            Fault("path", f"'{source}' cannot be read: {error}", "a file that save_fit wrote")
        ) from None
    if "spec" not in fit.attrs or "posterior" not in fit.children:
        raise InputError(
            Fault("path", f"'{source}' holds no metacart fit", "a file that save_fit wrote")
        )
    return fit
