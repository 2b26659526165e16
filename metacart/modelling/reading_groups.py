"""What is read of comparisons of two groups: counts, ratios, pairs of survival."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.errors import Fault, InputError, collected, nearest
from metacart.evidence.landmark import log_hazard_ratio
from metacart.modelling.arms import Arm
from metacart.modelling.columns import require, row_name
from metacart.modelling.readers import (
    Rows,
    counts_of,
    levels_of_intervals,
    ratios_of,
    survival_of,
    too_precise,
)
from metacart.modelling.two_groups import corrected
from metacart.records.spec import COMPARISONS
from metacart.records.vocabulary import TIME_HANDLINGS

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read_groups", "read_transplant"]

_GROUPS = ("", "control_")
_LIMITS = ("survival", "lower", "upper")
_COUNTS = tuple(f"{group}{name}" for group in _GROUPS for name in ("events", "total"))
_PAIR = tuple(
    (f"{group}survival", f"{group}survival_lower", f"{group}survival_upper") for group in _GROUPS
)


def read_groups(evidence: pd.DataFrame, scale: str) -> dict[str, NDArray[Any]]:
    """Read ``events`` and ``total``, and ``control_events`` and ``control_total``."""
    return _counts(evidence, None, hazard=scale == "cloglog")


def _counts(evidence: pd.DataFrame, rows: Rows, *, hazard: bool = True) -> dict[str, NDArray[Any]]:
    """Return whole counts of both groups, 0 of 1 elsewhere, and the corrected log ratio."""
    faults = require(evidence, _COUNTS)
    found = {
        name: values
        for group in _GROUPS
        for name, values in counts_of(evidence, faults, group=group, rows=rows).items()
    }
    if faults:
        raise InputError(faults)
    whole = {
        name: np.where(np.isnan(values), name.endswith("total"), values).astype(np.int64)
        for name, values in found.items()
    }
    link = np.full(len(evidence), hazard)
    exposed, control = (Arm(whole[f"{g}events"], whole[f"{g}total"], link) for g in _GROUPS)
    estimate, se = corrected(exposed, control)
    return {
        "exposed_events": exposed.events,
        "exposed_total": exposed.total,
        "control_events": control.events,
        "control_total": control.total,
        "hazard": link,
        "estimate": estimate,
        "se": se,
    }


def _pairs(evidence: pd.DataFrame, rows: Rows) -> dict[str, NDArray[Any]]:
    """Return the log hazard ratios of two survivals at one time."""
    faults: list[Fault] = []
    groups = [survival_of(evidence, names, faults, rows) for names in _PAIR]
    level = levels_of_intervals(evidence, [], rows)
    estimate, se = np.full((2, len(evidence)), np.nan)
    for row in np.flatnonzero(np.isfinite([group["se"] for group in groups]).all(axis=0)):
        limits = [tuple(group[name][row] for name in _LIMITS) for group in groups]
        estimate[row], se[row] = log_hazard_ratio(limits[0], limits[1], level=level[row])
    if not faults:
        faults = too_precise(evidence, estimate, se, f"columns '{_PAIR[0][0]}', '{_PAIR[1][0]}'")
    if faults:
        raise InputError(faults)
    return {"estimate": estimate, "se": se}


_KINDS: dict[
    str, tuple[tuple[str, ...], Callable[[pd.DataFrame, Rows], dict[str, NDArray[Any]]]]
] = {
    "ratio": (("ratio", "lower", "upper"), ratios_of),
    "survival": (_PAIR[0] + _PAIR[1], _pairs),
    "contrast": (_COUNTS, _counts),
}


def read_transplant(evidence: pd.DataFrame, _scale: str) -> dict[str, NDArray[Any]]:
    """Read comparisons of every kind, each by the columns of its ``kind``.

    A ratio and a pair of survival become a log hazard ratio with its standard error; the counts of
    two groups stay counts.
    """
    faults = require(evidence, ("kind", "time_handling"))
    for name, words in (("kind", COMPARISONS), ("time_handling", TIME_HANDLINGS)):
        faults += [
            Fault(
                f"{row_name(evidence, position)}, column '{name}'",
                f"{value!r}",
                ", ".join(words),
                nearest(value, words) if isinstance(value, str) else "",
            )
            for position, value in enumerate(evidence.get(name, []))
            if value not in words
        ]
    number = len(evidence)
    data: dict[str, NDArray[Any]] = {
        **{
            f"{group}_{name}": np.full(number, least)
            for group in ("exposed", "control")
            for name, least in (("events", 0), ("total", 1))
        },
        "hazard": np.ones(number, dtype=bool),
        **{name: np.full(number, np.nan) for name in ("estimate", "se")},
    }
    kinds = np.asarray(evidence.get("kind", [None] * number), dtype=object)
    for kind, (columns, read) in _KINDS.items():
        rows = kinds == kind
        missing = require(evidence, columns) if rows.any() else []
        faults += missing
        if rows.any() and not missing:
            with collected(faults):
                read_values = read(evidence, rows)
                data |= {n: np.where(rows, v, data[n]) for n, v in read_values.items()}
    if faults:
        raise InputError(faults)
    handled = np.isin(evidence["time_handling"].to_numpy(), ["landmark", "time-dependent"])
    return data | {"contrast": kinds == "contrast", "biased": np.where(handled, 0.0, 1.0)}
