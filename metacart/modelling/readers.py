"""What each likelihood reads from an evidence table: every fault of every row at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.errors import Fault, InputError, collected, nearest
from metacart.evidence.conversions import interval_to_se
from metacart.evidence.landmark import survival_se
from metacart.evidence.printed import is_symmetric, midpoint
from metacart.modelling.columns import numeric, require, row_name
from metacart.scales import SCALES

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read_counts", "read_estimates", "read_survival", "read_transplant"]

# An estimate may lie off the middle of its interval by the rounding of what was printed, and by
# this share of the half-width, before the standard error read from the interval means nothing.
_ASYMMETRY = 0.10
# Beyond these no paper's numbers lie, and floating point loses what sampling needs.
_MOST_PATIENTS, _SMALLEST, _PRECISION = 1e9, 1e-12, 1e-6


def read_counts(evidence: pd.DataFrame, _scale: str) -> dict[str, NDArray[Any]]:
    """Read ``events`` and ``total``: whole numbers, 0 ≤ events ≤ total, total ≥ 1."""
    faults = require(evidence, ("events", "total"))
    events = numeric(
        evidence,
        "events",
        faults,
        whole=True,
        least=0,
        most=_MOST_PATIENTS,
        allowed="a whole number of 0 or more",
    )
    total = numeric(
        evidence,
        "total",
        faults,
        whole=True,
        least=1,
        most=_MOST_PATIENTS,
        allowed="a whole number of 1 or more",
    )
    faults += [
        Fault(
            f"{row_name(evidence, position)}, columns 'events' and 'total'",
            f"{events[position]:.0f} events among {total[position]:.0f}",
            "events at most total",
            "check whether the two are swapped",
        )
        for position in np.flatnonzero(events > total)
    ]
    if faults:
        raise InputError(faults)
    return {"events": events.astype(np.int64), "total": total.astype(np.int64)}


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
        return read_ratios(evidence)
    faults = require(evidence, ("estimate", "se"))
    estimate = numeric(evidence, "estimate", faults)
    se = numeric(evidence, "se", faults, above=0, allowed="a finite number above 0")
    faults += _too_precise(evidence, estimate, se, "column 'se'")
    if faults:
        raise InputError(faults)
    return {"estimate": estimate, "se": se}


def _too_precise(
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


def read_ratios(evidence: pd.DataFrame) -> dict[str, NDArray[Any]]:
    """Read ratios with their intervals and put them on the log scale.

    An interval that is not symmetric on the log scale is refused.
    """
    faults = require(evidence, ("ratio", "lower", "upper"))
    ratio, lower, upper = (
        numeric(evidence, name, faults, above=0, allowed="a finite number above 0")
        for name in ("ratio", "lower", "upper")
    )
    level = _levels(evidence, faults)
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
    faults += _too_precise(evidence, estimate, se, columns)
    if faults:
        raise InputError(faults)
    return {"estimate": estimate, "se": se}


def _levels(evidence: pd.DataFrame, faults: list[Fault]) -> NDArray[np.float64]:
    """Return the level of each interval, 0.95 without such a column; faults are added."""
    if "level" not in evidence.columns:
        return np.full(len(evidence), 0.95)
    level = numeric(evidence, "level", faults, above=0, allowed="such as 0.95")
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
    inside = "a share above 0 and below 1"
    survival = numeric(evidence, "survival", faults, above=0, most=1, allowed=inside)
    lower = numeric(evidence, "lower", faults, least=0, most=1, allowed="a share from 0 to 1")
    upper = numeric(evidence, "upper", faults, least=0, most=1, allowed="a share from 0 to 1")
    level = _levels(evidence, faults)
    se = np.full(len(evidence), np.nan)
    for position in np.flatnonzero(np.isfinite(survival) & np.isfinite(lower) & np.isfinite(upper)):
        mid, low, high = survival[position], lower[position], upper[position]
        place = f"{row_name(evidence, position)}, columns 'survival', 'lower', 'upper'"
        if mid == 1.0:
            hint = "use the counts of this study: 0 events among its patients"
            faults.append(Fault(place, "a survival of 1 has no standard error", inside, hint))
        elif not (low <= mid <= high and low < high):
            found = f"{mid:g} ({low:g} to {high:g})"
            faults.append(Fault(place, found, "an interval that contains its estimate"))
        elif np.isfinite(level[position]):
            se[position] = survival_se(mid, low, high, level=level[position])
    estimate = SCALES["loglog"].link(survival)
    if not faults:
        faults += _too_precise(evidence, estimate, se, "columns 'survival', 'lower', 'upper'")
    if faults:
        raise InputError(faults)
    return {
        "estimate": estimate,
        "se": se,
        "survival": survival,
        "lower": lower,
        "upper": upper,
    }


def read_transplant(evidence: pd.DataFrame, _scale: str) -> dict[str, NDArray[Any]]:
    """Read reported hazard ratios of transplant and how each study handled time."""
    from metacart.records.vocabulary import TIME_HANDLINGS

    faults = require(evidence, ("kind", "time_handling"))
    for position, kind in enumerate(evidence.get("kind", [])):
        if kind != "ratio":
            faults.append(
                Fault(f"{row_name(evidence, position)}, column 'kind'", f"{kind!r}", "'ratio'")
            )
    for position, handling in enumerate(evidence.get("time_handling", [])):
        if handling not in TIME_HANDLINGS:
            faults.append(
                Fault(
                    f"{row_name(evidence, position)}, column 'time_handling'",
                    f"{handling!r}",
                    ", ".join(TIME_HANDLINGS),
                    nearest(handling, TIME_HANDLINGS),
                )
            )
    columns: dict[str, NDArray[Any]] = {}
    with collected(faults):
        columns = read_ratios(evidence)
    if faults:
        raise InputError(faults)
    handled = evidence["time_handling"].isin(["landmark", "time-dependent"]).to_numpy()
    return columns | {"biased": np.where(handled, 0.0, 1.0)}
