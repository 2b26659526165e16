"""What each likelihood reads from an evidence table: every fault of every row at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.errors import Fault, InputError
from metacart.evidence.conversions import interval_to_se
from metacart.evidence.landmark import survival_se
from metacart.evidence.printed import is_symmetric, midpoint
from metacart.modelling.columns import numeric, require, row_name
from metacart.scales import SCALES

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Rows",
    "counts_of",
    "levels_of_intervals",
    "ratios_of",
    "read_counts",
    "read_estimates",
    "read_survival",
    "survival_of",
    "too_precise",
]

# the rows that are to be read; the others are NaN
Rows = NDArray[np.bool_] | None


# An estimate may lie off the middle of its interval by the rounding of what was printed, and by
# this share of the half-width, before the standard error read from the interval means nothing.
_ASYMMETRY = 0.10
# Beyond these no paper's numbers lie, and floating point loses what sampling needs.
_MOST_PATIENTS, _SMALLEST, _PRECISION = 1e9, 1e-12, 1e-6


def read_counts(evidence: pd.DataFrame, _scale: str) -> dict[str, NDArray[Any]]:
    """Read ``events`` and ``total``: whole numbers, 0 ≤ events ≤ total, total ≥ 1."""
    faults = require(evidence, ("events", "total"))
    counts = counts_of(evidence, faults)
    if faults:
        raise InputError(faults)
    return {name: values.astype(np.int64) for name, values in counts.items()}


def counts_of(
    evidence: pd.DataFrame, faults: list[Fault], *, group: str = "", rows: Rows = None
) -> dict[str, NDArray[np.float64]]:
    """Return events and total of a group; faults are added."""
    names = (f"{group}events", f"{group}total")
    events, total = (
        numeric(
            evidence,
            name,
            faults,
            whole=True,
            least=least,
            most=_MOST_PATIENTS,
            allowed=f"a whole number of {least} or more",
            rows=rows,
        )
        for name, least in zip(names, (0, 1), strict=True)
    )
    faults += [
        Fault(
            f"{row_name(evidence, position)}, columns '{names[0]}' and '{names[1]}'",
            f"{events[position]:.0f} events among {total[position]:.0f}",
            "events at most total",
            "check whether the two are swapped",
        )
        for position in np.flatnonzero(events > total)
    ]
    return dict(zip(names, (events, total), strict=True))


def read_estimates(evidence: pd.DataFrame, scale: str) -> dict[str, NDArray[Any]]:
    """Read ``estimate`` and ``se`` on the model scale, or ``ratio``, ``lower`` and ``upper``."""
    have = set(evidence.columns)
    if {"estimate", "se"} & have and {"ratio", "lower", "upper"} & have:
        raise InputError(
            Fault(
                "columns",
                "both estimate/se and ratio/lower/upper",
                "estimate and se on the model scale, or ratio, lower and upper; never both",
                "drop the columns that you do not mean",
            )
        )
    if "ratio" in have and scale != "log":
        raise InputError(
            Fault(
                "scale",
                f"'{scale}' with a column of ratios",
                "scale = 'log' for ratios",
                "leave `scale` out, or give estimate and se",
            )
        )
    if {"ratio", "lower", "upper"} & have:
        return ratios_of(evidence)
    faults = require(evidence, ("estimate", "se"))
    estimate = numeric(evidence, "estimate", faults)
    se = numeric(evidence, "se", faults, above=0, allowed="a finite number above 0")
    faults += too_precise(evidence, estimate, se, "column 'se'")
    if faults:
        raise InputError(faults)
    return {"estimate": estimate, "se": se}


def too_precise(
    evidence: pd.DataFrame, estimate: NDArray[np.float64], se: NDArray[np.float64], columns: str
) -> list[Fault]:
    """Return a fault for each standard error that no study of this spread can have."""
    known = np.isfinite(estimate) & np.isfinite(se)
    if not known.any():
        return []
    size = max(float(np.ptp(estimate[known])), float(se[known].max()))
    least = max(_PRECISION * size, _SMALLEST)
    return [
        Fault(
            f"{row_name(evidence, position)}, {columns}",
            f"a standard error of {se[position]:.3g}",
            f"{least:.1g} or more beside these estimates and errors",
            "check the unit and the decimal point",
        )
        for position in np.flatnonzero(known & (se < least))
    ]


def ratios_of(evidence: pd.DataFrame, rows: Rows = None) -> dict[str, NDArray[Any]]:
    """Return ratios with their intervals as estimates and standard errors on the log scale.

    An interval that is not symmetric on the log scale is refused.
    """
    faults = require(evidence, ("ratio", "lower", "upper"))
    ratio, lower, upper = (
        numeric(evidence, name, faults, above=0, allowed="a finite number above 0", rows=rows)
        for name in ("ratio", "lower", "upper")
    )
    level = levels_of_intervals(evidence, faults, rows)
    columns = "columns 'ratio', 'lower', 'upper'"
    se = np.full(len(evidence), np.nan)
    # a row with a fault of its own, or without a column, has none beside it here
    for position in np.flatnonzero(np.isfinite(ratio) & np.isfinite(lower) & np.isfinite(upper)):
        mid, low, high = ratio[position], lower[position], upper[position]
        place = f"{row_name(evidence, position)}, {columns}"
        if not (low <= mid <= high and low < high):
            found = f"{mid:g} ({low:g} to {high:g})"
            hint = "check whether the limits are swapped" if low > high else ""
            faults.append(Fault(place, found, "an interval that contains its ratio", hint))
            continue
        middle = midpoint(low, high)
        off = abs(np.log(mid / middle)) / np.log(high / middle)
        if off > _ASYMMETRY and not is_symmetric(mid, low, high):
            faults.append(
                Fault(
                    place,
                    f"{mid:g} ({low:g} to {high:g}) is not symmetric on the log scale: "
                    f"the middle of its limits is {middle:.3g}",
                    "an interval of the form exp(estimate ± z se)",
                    "check for a misprint, or give estimate and se on the log scale",
                )
            )
        elif np.isfinite(level[position]):
            se[position] = interval_to_se(low, high, estimate=mid, level=level[position])
    with np.errstate(invalid="ignore"):
        estimate = np.log(ratio)
    faults += too_precise(evidence, estimate, se, columns)
    if faults:
        raise InputError(faults)
    return {"estimate": estimate, "se": se}


def levels_of_intervals(
    evidence: pd.DataFrame, faults: list[Fault], rows: Rows = None
) -> NDArray[np.float64]:
    """Return the level of each interval, 0.95 without such a column; faults are added."""
    if "level" not in evidence.columns:
        return np.full(len(evidence), 0.95)
    level = numeric(evidence, "level", faults, above=0, allowed="such as 0.95", rows=rows)
    wrong = (level <= 0.5) | (level >= 1)
    faults += [
        Fault(
            f"{row_name(evidence, position)}, column 'level'",
            f"{level[position]:g}",
            "a share between 0.5 and 1, such as 0.95",
        )
        for position in np.flatnonzero(wrong)
    ]
    level[wrong] = np.nan
    return level


def read_survival(evidence: pd.DataFrame, _scale: str) -> dict[str, NDArray[Any]]:
    """Read survival at one time with its interval, as shares between 0 and 1.

    The standard error on the log(−log) scale is the distance of the limits there where the printed
    interval is symmetric on it, else it comes from the width of the interval by the delta method.
    """
    faults = require(evidence, ("survival", "lower", "upper"))
    data = survival_of(evidence, ("survival", "lower", "upper"), faults)
    if not faults:
        columns = "columns 'survival', 'lower', 'upper'"
        faults += too_precise(evidence, data["estimate"], data["se"], columns)
    if faults:
        raise InputError(faults)
    return data


def survival_of(
    evidence: pd.DataFrame, names: tuple[str, str, str], faults: list[Fault], rows: Rows = None
) -> dict[str, NDArray[np.float64]]:
    """Return survival with its limits, and −log(−log S) with its standard error; faults added."""
    inside, any_share = "a share above 0 and below 1", "a share from 0 to 1"
    survival = numeric(evidence, names[0], faults, above=0, most=1, allowed=inside, rows=rows)
    lower, upper = (
        numeric(evidence, name, faults, least=0, most=1, allowed=any_share, rows=rows)
        for name in names[1:]
    )
    level = levels_of_intervals(evidence, faults, rows)
    se = np.full(len(evidence), np.nan)
    columns = ", ".join(f"'{name}'" for name in names)
    for position in np.flatnonzero(np.isfinite(survival) & np.isfinite(lower) & np.isfinite(upper)):
        mid, low, high = survival[position], lower[position], upper[position]
        place = f"{row_name(evidence, position)}, columns {columns}"
        if mid == 1.0:
            hint = "use the counts of this study: 0 events among its patients"
            faults.append(Fault(place, "a survival of 1 has no standard error", inside, hint))
        elif not (low <= mid <= high and low < high):
            found = f"{mid:g} ({low:g} to {high:g})"
            faults.append(Fault(place, found, "an interval that contains its estimate"))
        elif np.isfinite(level[position]):
            se[position] = survival_se(mid, low, high, level=level[position])
    return {
        "estimate": SCALES["loglog"].link(survival),
        "se": se,
        "survival": survival,
        "lower": lower,
        "upper": upper,
    }
