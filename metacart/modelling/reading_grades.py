"""What the ordinal model reads from an evidence table: bands of grades, every fault at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.errors import Fault, InputError, nearest
from metacart.modelling.columns import is_missing, numeric, require, row_name, row_names
from metacart.records.spec import ModelSpec
from metacart.records.vocabulary import GRADINGS

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["GRADES", "REFERENCE", "SHIFTED", "reach_and_beyond", "read_grades"]

GRADES = (0, 1, 2, 3, 4, 5)
# the systems whose cuts are those of the model, and those that move the cut between 2 and 3
REFERENCE = "ASTCT or Lee"
SHIFTED = tuple(name for name in GRADINGS if name not in ("ASTCT", "Lee"))

_COLUMNS = ("grade_from", "grade_to", "count")
_MOST_PATIENTS = 1e9


def read_grades(
    evidence: pd.DataFrame, spec: ModelSpec
) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Read ``grade_from``, ``grade_to`` and ``count``: one row a band, 0 to 5 once in each table.

    A table is a study's, or an arm's where the evidence has a column ``arm``. Without a column
    ``grading`` all are graded alike. A column ``total`` is checked, not needed.

    Returns
    -------
    dict of str to array
        Along ``finding`` (rows): the band, ``count``, ``reach`` (patients of the band or above),
        ``beyond`` (above), ``patients`` and ``of_table``; along ``table``: ``system``, 0 for a
        grading by ASTCT or Lee, else 1 and the position in ``grading``.
    dict of str to list of str
        The labels of ``table`` and ``grading`` (the other systems that occur).
    """
    faults = [*require(evidence, ("study", *_COLUMNS))]
    whole = "a whole number of patients"
    first, last = (
        numeric(
            evidence, name, faults, whole=True, least=0.0, most=5.0, allowed="a grade from 0 to 5"
        )
        for name in ("grade_from", "grade_to")
    )
    count = numeric(
        evidence, "count", faults, whole=True, least=0.0, most=_MOST_PATIENTS, allowed=whole
    )
    total = np.full(len(evidence), np.nan)
    if "total" in evidence.columns:
        total = numeric(evidence, "total", faults, whole=True, least=1.0, allowed=whole)
    faults += _unknown_systems(evidence)
    if "study" not in evidence.columns:
        raise InputError(faults)
    labels, table = _tables(evidence)
    for position, label in enumerate(labels):
        rows = np.flatnonzero(table == position)
        # a cell that cannot be read is a fault already; a missing one is no gap besides
        if np.isfinite([first[rows], last[rows]]).all():
            faults += _partition(evidence, rows, label, first, last)
        if np.isfinite(count[rows]).all():
            faults += _totals(label, count[rows], total[rows])
        faults += _one_of_each(evidence, rows, label, spec)
    if faults:
        raise InputError(faults)
    system, gradings = _systems(evidence, table, len(labels))
    same = table[:, None] == table[None, :]
    data: dict[str, Any] = {
        "grade_from": first.astype(np.int64),
        "grade_to": last.astype(np.int64),
        "count": count.astype(np.int64),
        **reach_and_beyond(table, first, count),
        "patients": (same @ count).astype(np.int64),
        "of_table": table,
        "system": ("table", system),
    }
    return data, {"table": labels, "grading": gradings}


def reach_and_beyond(
    table: NDArray[np.int64], first: NDArray[Any], count: NDArray[Any]
) -> dict[str, NDArray[np.int64]]:
    """Return the patients of each band or above (``reach``), and above it (``beyond``)."""
    same = table[:, None] == table[None, :]
    higher = {"reach": first[None, :] >= first[:, None], "beyond": first[None, :] > first[:, None]}
    return {name: ((same * which) @ count).astype(np.int64) for name, which in higher.items()}


def _tables(evidence: pd.DataFrame) -> tuple[list[str], NDArray[np.int64]]:
    """Return a label for each table, and to which one a row belongs."""
    studies = evidence["study"].astype(str).tolist()
    names = studies
    if "arm" in evidence.columns:
        arms = evidence["arm"].astype(str).tolist()
        number = Counter(study for study, _ in {*zip(studies, arms, strict=True)})
        names = [
            f"{study}/{arm}" if number[study] > 1 else study
            for study, arm in zip(studies, arms, strict=True)
        ]
    labels = list(dict.fromkeys(names))
    return labels, np.asarray([labels.index(name) for name in names], dtype=np.int64)


def _unknown_systems(evidence: pd.DataFrame) -> Iterator[Fault]:
    for position, value in enumerate(evidence.get("grading", [])):
        if value not in GRADINGS:
            hint = nearest(value, GRADINGS) if isinstance(value, str) else ""
            if is_missing(value):
                hint = 'table["grading"].fillna("unreported")'
            place = f"{row_name(evidence, position)}, column 'grading'"
            yield Fault(place, f"{value!r}", ", ".join(GRADINGS), hint)


def _partition(
    evidence: pd.DataFrame,
    rows: NDArray[np.int64],
    label: str,
    first: NDArray[np.float64],
    last: NDArray[np.float64],
) -> Iterator[Fault]:
    """Yield grades that no row of a table covers, or more than one."""
    if falling := [row for row in rows if first[row] > last[row]]:
        where = row_names(evidence, falling)
        yield Fault(f"grades of {label}", f"a band that does not rise in {where}", "from ≤ to")
        return
    covered = [g for row in rows for g in range(int(first[row]), int(last[row]) + 1)]
    found = "; ".join(
        f"grade {', '.join(map(str, which))} {what}"
        for which, what in (
            ([g for g in GRADES if g not in covered], "is missing"),
            ([g for g in GRADES if covered.count(g) > 1], "stands twice"),
        )
        if which
    )
    if found:
        hint = "one row a band: 0, 1-2, 3-5; a band without patients has the count 0"
        if "stands twice" in found and "arm" not in evidence.columns:
            hint = "a column 'arm' where a study has several groups"
        yield Fault(f"grades of {label}", found, "each of the grades 0 to 5 once", hint)


def _totals(label: str, count: NDArray[np.float64], total: NDArray[np.float64]) -> Iterator[Fault]:
    """Yield that the rows of a table are not of the same patients."""
    if not count.sum():
        yield Fault(f"grades of {label}", "no patients", "one patient or more", "leave it out")
    known = sorted({int(value) for value in total if np.isfinite(value)})
    if len(known) > 1:
        words = " and ".join(map(str, known))
        hint = "rows of one denominator: of any and severe of different ones, the larger"
        yield Fault(f"grades of {label}", f"totals of {words}", "the same patients", hint)
    elif known and known[0] != count.sum():
        found = f"counts that sum to {count.sum():g}, but a total of {known[0]}"
        yield Fault(f"grades of {label}", found, "each patient in one band")


def _one_of_each(
    evidence: pd.DataFrame, rows: NDArray[np.int64], label: str, spec: ModelSpec
) -> Iterator[Fault]:
    """Yield that a table is graded twice, or lies in two cohorts."""
    for column in dict.fromkeys(("grading", spec.group)):
        if column not in evidence.columns:
            continue
        values = evidence[column].iloc[rows]
        found = [str(value) for value in dict.fromkeys(values) if not is_missing(value)]
        if len(found) > 1:
            yield Fault(
                f"{column} of {label}",
                " and ".join(found),
                f"one {column} a table of grades",
                "keep the rows of one" if column == "grading" else "",
            )


def _systems(
    evidence: pd.DataFrame, table: NDArray[np.int64], number: int
) -> tuple[NDArray[np.int64], list[str]]:
    """Return the system of each table, and which occur beside ASTCT and Lee."""
    if "grading" not in evidence.columns:
        return np.zeros(number, dtype=np.int64), []
    named = evidence["grading"].tolist()
    of_table = [named[int(np.flatnonzero(table == position)[0])] for position in range(number)]
    labels = [name for name in SHIFTED if name in of_table]
    places = [1 + labels.index(name) if name in labels else 0 for name in of_table]
    return np.asarray(places, dtype=np.int64), labels
