"""What the options of a forest plot may be, checked before anything is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import numpy as np

from metacart.errors import Fault, InputError, nearest
from metacart.inference.records import design_of
from metacart.modelling.design import scale_of
from metacart.plots.facts import Measure, measure_of
from metacart.plots.forest_order import MOST, Part

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["AXES", "check_limits", "check_part", "check_width", "fits_of"]

AXES: Mapping[Measure, tuple[str, ...]] = {
    "rate": ("percent", "logit"),
    "ratio": ("log",),
    "value": ("linear",),
}
_NOUNS: Mapping[Measure, str] = {"rate": "rates", "ratio": "ratios", "value": "values"}
_WIDEST = 40.0


def fits_of(fit: xr.DataTree | Mapping[str, xr.DataTree]) -> dict[str, xr.DataTree]:
    """Return the fits by their names; one alone has none."""
    import xarray as xr

    if isinstance(fit, list | tuple):
        hint = 'a dict with a name for each: {"one": fit, "other": fit_2}'
        raise InputError(
            Fault("fit", f"a {type(fit).__name__}", "one fit, or several by name", hint)
        )
    if isinstance(fit, xr.DataTree) or not isinstance(fit, Mapping):
        return {"": fit}  # what is no fit is refused by the first that reads it
    fits = cast("Mapping[str, xr.DataTree]", fit)
    if not fits:
        raise InputError(Fault("fit", "a dict without any fit", "one fit or more, by name"))
    return {str(name): each for name, each in fits.items()}


def check_limits(
    limits: tuple[float, float] | None, fits: Mapping[str, xr.DataTree], axis: str | None
) -> None:
    """Refuse an axis that a measure does not have, and limits that no axis has."""
    faults = []
    measures = {name: measure_of(scale_of(design_of(fit))) for name, fit in fits.items()}
    for measure in dict.fromkeys(measures.values()):
        allowed = AXES[measure]
        if axis is not None and axis not in allowed:
            found = f"{axis!r} is no axis of {_NOUNS[measure]}"
            names = ", ".join(repr(each) for each in allowed)
            faults.append(Fault("axis", found, names, nearest(axis, allowed)))
    if limits is not None:
        faults += _limit_faults(limits, {*measures.values()}, axis)
    if faults:
        raise InputError(faults)


def _limit_faults(
    limits: tuple[float, float], measures: set[Measure], axis: str | None
) -> list[Fault]:
    try:
        low, high = (float(end) for end in limits)
    except (TypeError, ValueError):
        return [Fault("limits", f"{limits!r}", "two numbers", "limits=(0.2, 1)")]
    shown = f"({low:g}, {high:g})"
    if not (np.isfinite([low, high]).all() and low < high):
        return [Fault("limits", shown, "two numbers, the lower one first")]
    if "ratio" in measures and low <= 0:
        return [Fault("limits", shown, "ratios above 0", "limits=(0.1, 10)")]
    if "rate" in measures and not 0 <= low < high <= 1:
        hint = f"limits=({low / 100:g}, {high / 100:g})" if 0 <= low < high <= 100 else ""
        return [Fault("limits", shown, "rates as shares from 0 to 1", hint)]
    if axis == "logit" and not 0 < low < high < 1:
        return [Fault("limits", shown, "shares between 0 and 1: a logit axis reaches neither")]
    return []


def check_width(width: float | None) -> None:
    """Refuse what is no width in inches."""
    if width is None:
        return
    number = isinstance(width, int | float | np.number) and not isinstance(width, bool)
    if not number or not 0 < float(width) <= _WIDEST:
        hint = ""
        if number and _WIDEST < float(width) < 2000:
            hint = f"width={float(width) / 25.4:.1f} for {width:g} mm"
        raise InputError(Fault("width", f"{width!r}", f"inches, up to {_WIDEST:g}", hint))


def check_part(part: Part | None, studies: int) -> str:
    """Refuse what is no part of the studies, and more of them than a figure holds; say which part.

    Parameters
    ----------
    part : (int, int), optional
        The places of the first and of the last one.
    studies : int
        How many rows there are of them.

    Returns
    -------
    str
        For the notes; nothing where all are shown.
    """
    whole = isinstance(part, tuple | list) and all(
        isinstance(end, int | np.integer) and not isinstance(end, bool) for end in part
    )
    if part is not None and not (whole and len(part) == 2 and 1 <= part[0] <= part[1]):
        allowed = "the places of the first and of the last study, from 1"
        raise InputError(Fault("part", f"{part!r}", allowed, "part=(1, 60)"))
    first, last = part or (1, studies)
    if first > studies:
        found = f"({first}, {last}), but there are {studies:,} rows of studies"
        raise InputError(Fault("part", found, f"places from 1 to {studies:,}"))
    last = min(last, studies)
    if last - first + 1 > MOST:
        found = f"{last - first + 1:,} rows of studies in one figure"
        hint = "part=(1, 60), part=(61, 120) and so on, also after sort='weight'"
        hint += "; forest_table has every row"
        raise InputError(Fault("part", found, f"at most {MOST}", hint))
    if (first, last) == (1, studies):
        return ""
    return f"Rows {first:,} to {last:,} of {studies:,} of studies; what is pooled is of all."
