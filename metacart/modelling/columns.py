"""Reading the columns of an evidence table: every fault of every row at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.errors import Fault, InputError, nearest
from metacart.evidence.conversions import interval_to_se, is_symmetric, midpoint

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["numeric", "read_counts", "read_estimates", "read_transplant", "require", "row_name"]

# An estimate may lie off the middle of its interval by the rounding of what was printed, and by
# this share of the half-width, before the standard error read from the interval means nothing.
_ASYMMETRY = 0.10


def row_name(evidence: pd.DataFrame, position: int | np.integer[Any]) -> str:
    """Return how a message names a row: by its study, and by its arm where there is one."""
    row = evidence.iloc[int(position)]
    arm = f"/{row['arm']}" if "arm" in evidence.columns else ""
    return f"row {position + 1} ({row['study']}{arm})"


def require(evidence: pd.DataFrame, names: tuple[str, ...]) -> list[Fault]:
    """Return a fault for each column that is missing."""
    have = [str(name) for name in evidence.columns]
    return [
        Fault(
            f"column '{name}'",
            "this column is missing",
            f"columns {', '.join(names)}; the table has {', '.join(have)}",
            nearest(name, have) or f"add or rename a column to '{name}'",
        )
        for name in names
        if name not in have
    ]


def numeric(
    evidence: pd.DataFrame,
    name: str,
    faults: list[Fault],
    *,
    whole: bool = False,
    above: float | None = None,
    least: float | None = None,
    allowed: str = "a finite number",
) -> NDArray[np.float64]:
    """Return a column as floats; each value that cannot stand there becomes a fault."""
    values = np.full(len(evidence), np.nan)
    for position, value in enumerate(evidence[name].tolist()):
        number = _as_number(value)
        bad = (
            number is None
            or not np.isfinite(number)
            or (whole and number != round(number))
            or (above is not None and number <= above)
            or (least is not None and number < least)
        )
        if bad or number is None:
            faults.append(
                Fault(f"{row_name(evidence, position)}, column '{name}'", f"{value!r}", allowed)
            )
        else:
            values[position] = number
    return values


def _as_number(value: Any) -> float | None:
    if isinstance(value, bool | np.bool_ | str):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def read_counts(evidence: pd.DataFrame, _scale: str) -> dict[str, NDArray[Any]]:
    """Read ``events`` and ``total``: whole numbers, 0 ≤ events ≤ total, total ≥ 1."""
    faults = require(evidence, ("events", "total"))
    if faults:
        raise InputError(faults)
    events = numeric(
        evidence, "events", faults, whole=True, least=0, allowed="a whole number of 0 or more"
    )
    total = numeric(
        evidence, "total", faults, whole=True, least=1, allowed="a whole number of 1 or more"
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
    if "ratio" in have:
        if scale != "log":
            raise InputError(
                Fault(
                    "scale",
                    f"'{scale}' with a column of ratios",
                    "scale = 'log' for ratios",
                    "leave `scale` out, or give estimate and se",
                )
            )
        return read_ratios(evidence)
    faults = require(evidence, ("estimate", "se"))
    if faults:
        raise InputError(faults)
    estimate = numeric(evidence, "estimate", faults)
    se = numeric(evidence, "se", faults, above=0, allowed="a finite number above 0")
    if faults:
        raise InputError(faults)
    return {"estimate": estimate, "se": se}


def read_ratios(evidence: pd.DataFrame) -> dict[str, NDArray[Any]]:
    """Read ratios with their intervals and put them on the log scale.

    An interval that is not symmetric on the log scale is refused.
    """
    faults = require(evidence, ("ratio", "lower", "upper"))
    if faults:
        raise InputError(faults)
    ratio, lower, upper = (
        numeric(evidence, name, faults, above=0, allowed="a finite number above 0")
        for name in ("ratio", "lower", "upper")
    )
    level = np.full(len(evidence), 0.95)
    if "level" in evidence.columns:
        level = numeric(evidence, "level", faults, above=0, allowed="such as 0.95")
        faults += [
            Fault(
                f"{row_name(evidence, position)}, column 'level'",
                f"{level[position]:g}",
                "a share between 0.5 and 1, such as 0.95",
            )
            for position in np.flatnonzero((level <= 0.5) | (level >= 1))
        ]
    if faults:
        raise InputError(faults)
    outside = ~((lower <= ratio) & (ratio <= upper) & (lower < upper))
    faults += [
        Fault(
            f"{row_name(evidence, position)}, columns 'ratio', 'lower', 'upper'",
            f"{ratio[position]:g} ({lower[position]:g} to {upper[position]:g})",
            "an interval that contains its ratio",
        )
        for position in np.flatnonzero(outside)
    ]
    if faults:
        raise InputError(faults)
    intervals = list(zip(ratio, lower, upper, level, strict=True))
    for position, (estimate, low, high, _) in enumerate(intervals):
        middle = midpoint(low, high)
        off = abs(np.log(estimate / middle)) / np.log(high / middle)
        if off > _ASYMMETRY and not is_symmetric(estimate, low, high):
            faults.append(
                Fault(
                    f"{row_name(evidence, position)}, columns 'ratio', 'lower', 'upper'",
                    f"{estimate:g} ({low:g} to {high:g}) is not symmetric on the log scale: "
                    f"the middle of its limits is {middle:.3g}",
                    "an interval of the form exp(estimate ± z se)",
                    "check for a misprint, or give estimate and se on the log scale",
                )
            )
    if faults:
        raise InputError(faults)
    se = [interval_to_se(low, high, estimate=mid, level=at) for mid, low, high, at in intervals]
    return {"estimate": np.log(ratio), "se": np.asarray(se)}


def read_transplant(evidence: pd.DataFrame, _scale: str) -> dict[str, NDArray[Any]]:
    """Read reported hazard ratios of transplant and how each study handled time."""
    from metacart.records.vocabulary import TIME_HANDLINGS

    faults = require(evidence, ("kind", "ratio", "lower", "upper", "time_handling"))
    if faults:
        raise InputError(faults)
    for position, kind in enumerate(evidence["kind"].tolist()):
        if kind != "ratio":
            faults.append(
                Fault(f"{row_name(evidence, position)}, column 'kind'", f"{kind!r}", "'ratio'")
            )
    for position, handling in enumerate(evidence["time_handling"].tolist()):
        if handling not in TIME_HANDLINGS:
            faults.append(
                Fault(
                    f"{row_name(evidence, position)}, column 'time_handling'",
                    f"{handling!r}",
                    ", ".join(TIME_HANDLINGS),
                    nearest(handling, TIME_HANDLINGS),
                )
            )
    try:
        columns = read_ratios(evidence)
    except InputError as error:
        raise InputError([*faults, *error.faults]) from None
    if faults:
        raise InputError(faults)
    handled = evidence["time_handling"].isin(["landmark", "time-dependent"]).to_numpy()
    return columns | {"biased": np.where(handled, 0.0, 1.0)}
