"""The columns of an evidence table: names of rows, and numbers with a fault for each bad cell."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.errors import Fault, nearest

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "finding_labels",
    "is_missing",
    "name_faults",
    "numeric",
    "require",
    "row_name",
    "row_names",
]

# beyond this no paper's numbers lie
_LARGEST = 1e12
_SHOWN_ROWS = 8
_SHARE = re.compile(r"\s*[\d.,]+\s*%\s*")
_PAIR = re.compile(r"\s*(\d+)\s*(?:/|of)\s*(\d+)\s*")
# what papers and other programs call these columns
_OTHER_NAMES = {
    "study": ("author", "authors", "trial", "slab", "studlab", "paper"),
    "events": ("event", "r", "x", "xi", "cases", "responders", "n_events"),
    "total": ("n", "ni", "size", "sample_size", "patients", "n_total"),
    "estimate": ("yi", "te", "effect"),
    "se": ("sei", "sete", "std_error", "standard_error"),
    "lower": ("ci_low", "ci_lower", "lcl", "low"),
    "upper": ("ci_high", "ci_upper", "ucl", "high"),
    "ratio": ("hr", "or", "rr"),
}


def is_missing(value: Any) -> bool:
    """Return whether a cell holds nothing: None, NaN, NaT, NA or text without a letter."""
    import pandas as pd

    if isinstance(value, str):
        return not value.strip()
    return value is None or (pd.api.types.is_scalar(value) and bool(pd.isna(value)))


def row_name(evidence: pd.DataFrame, position: int | np.integer[Any]) -> str:
    """Return how a message names a row: by its study and its arm, where it has them."""
    row = evidence.iloc[int(position)]
    have = [name for name in ("study", "arm") if name in evidence.columns]
    names = "/".join(str(row[name]) for name in have if not is_missing(row[name]))
    return f"row {position + 1} ({names})" if names else f"row {position + 1}"


def row_names(evidence: pd.DataFrame, positions: Iterable[int | np.integer[Any]]) -> str:
    """Return the names of rows as a list, cut where it is long."""
    named = [row_name(evidence, position) for position in positions]
    more = [f"{len(named) - _SHOWN_ROWS} more"] if len(named) > _SHOWN_ROWS else []
    return ", ".join([*named[:_SHOWN_ROWS], *more])


def require(evidence: pd.DataFrame, names: tuple[str, ...]) -> list[Fault]:
    """Return a fault for each column that is missing."""
    have = [str(name) for name in evidence.columns]
    return [
        Fault(
            f"column '{name}'",
            "this column is missing",
            f"columns {', '.join(names)}; the table has {', '.join(have) or 'none'}",
            _found_elsewhere(evidence, name, have),
        )
        for name in names
        if name not in have
    ]


def _found_elsewhere(evidence: pd.DataFrame, name: str, have: list[str]) -> str:
    alike = [column for column in have if column.strip().casefold() == name]
    if alike:
        return f"names are in lower case: rename '{alike[0]}' to '{name}'"
    if name in evidence.index.names:
        return "it is the index of the table: table.reset_index() makes it a column"
    called = [column for column in have if _plain(column) in _OTHER_NAMES.get(name, ())]
    if called:
        return f"rename '{called[0]}' to '{name}', if that is what it holds"
    return nearest(name, have) or f"add or rename a column to '{name}'"


def _plain(column: str) -> str:
    """Return a heading as a name: ``Sample size`` is ``sample_size``."""
    return "_".join(re.findall(r"[a-z0-9]+", column.casefold()))


def name_faults(evidence: pd.DataFrame, column: str) -> list[Fault]:
    """Return what is wrong with the names of studies or cohorts; a missing column is no fault."""
    if column not in evidence.columns:
        return []
    place, faults = f"column '{column}'", []
    values = evidence[column].tolist()
    missing = [at for at, value in enumerate(values) if is_missing(value)]
    if missing:
        rows = row_names(evidence, missing)
        faults.append(Fault(place, f"no name in {rows}", "a name in each row"))
    named = {at: value for at, value in enumerate(values) if at not in missing}
    texts = [at for at, value in named.items() if isinstance(value, str)]
    numbers = [
        at
        for at, value in named.items()
        if isinstance(value, int | np.integer) and not isinstance(value, bool)
    ]
    if blanks := [at for at in texts if named[at] != named[at].strip()]:
        faults.append(
            Fault(
                place,
                f"blanks around the name in {row_names(evidence, blanks)}",
                "names without blanks around them",
                f"table['{column}'].str.strip()",
            )
        )
    if others := sorted(named.keys() - {*texts, *numbers}):
        kinds = ", ".join(dict.fromkeys(f"{named[at]!r}" for at in others[:3]))
        faults.append(
            Fault(
                place,
                f"{kinds} in {row_names(evidence, others)}",
                "text, or whole numbers",
                f"table['{column}'].astype(int) or .astype(str)",
            )
        )
    elif texts and numbers:
        faults.append(
            Fault(
                place,
                f"whole numbers in {row_names(evidence, numbers)}, text in the other rows",
                "names of one kind",
                f"table['{column}'].astype(str)",
            )
        )
    return faults


def numeric(
    evidence: pd.DataFrame,
    name: str,
    faults: list[Fault],
    *,
    whole: bool = False,
    above: float | None = None,
    least: float = -_LARGEST,
    most: float = _LARGEST,
    allowed: str = "a finite number",
    rows: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """Return a column as floats; each value that cannot stand there becomes a fault and NaN.

    A column that is missing is NaN throughout, and a fault of `require`. Where some `rows` are
    asked for, the others are NaN whatever stands there.
    """
    values = np.full(len(evidence), np.nan)
    if name not in evidence.columns:
        return values
    for position, value in enumerate(evidence[name].tolist()):
        if rows is not None and not rows[position]:
            continue
        number = _as_number(value)
        if (
            number is None
            or not np.isfinite(number)
            or (whole and number != round(number))
            or (above is not None and number <= above)
            or not least <= number <= most
        ):
            place = f"{row_name(evidence, position)}, column '{name}'"
            limit = (
                f", at most {most:,.0f}" if number is not None and most < number < np.inf else ""
            )
            faults.append(
                Fault(place, f"{value!r}", allowed + limit, _cell_hint(value, name, whole=whole))
            )
        else:
            values[position] = number
    return values


def _as_number(value: Any) -> float | None:
    if isinstance(value, bool | np.bool_ | str):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _cell_hint(value: Any, name: str, *, whole: bool) -> str:
    if isinstance(value, str) and value.strip():
        kind = "int" if whole else "float"
        try:
            float(value)
        except ValueError:
            if _SHARE.fullmatch(value):
                return "the counts, not the percentage: conversions.percentage_to_count finds them"
            if pair := _PAIR.fullmatch(value):
                return f"{pair[1]} in the column of events, {pair[2]} in that of the total"
            if not any(sign.isdigit() for sign in value):
                return "leave the row out where the number is not reported"
            return "a number without words or signs"
        return f"this is text: table['{name}'].astype({kind})"
    if isinstance(value, bool | np.bool_):
        return "numbers instead of true and false"
    return "fill it in, or leave the row out" if is_missing(value) else ""


def finding_labels(evidence: pd.DataFrame) -> list[str]:
    """Return one distinct label a row: the study, then its arm, then a number."""
    studies = evidence["study"].astype(str)
    labels = studies.tolist()
    if "arm" in evidence.columns:
        labels = (studies + "/" + evidence["arm"].astype(str)).tolist()
    number, seen = Counter(labels), Counter[str]()
    distinct = []
    for label in labels:
        seen[label] += 1
        distinct.append(label if number[label] == 1 else f"{label}#{seen[label]}")
    return distinct
