"""The columns of a forest plot: which, in what order, and what stands in their cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from metacart.errors import Fault, InputError, nearest
from metacart.plots.facts import Measure, capital
from metacart.plots.forest_layouts import Layout
from metacart.plots.numbers import number, span

if TYPE_CHECKING:
    import pandas as pd

    from metacart.plots.forest_entries import Difference, Estimate, ForestRow

__all__ = [
    "NAMES",
    "SHARED",
    "Writer",
    "cells_of",
    "check_columns",
    "check_headings",
    "heading_of",
    "joined",
]

# one for all fits that stand side by side, and one for each
SHARED = ("study", "arm", "year", "risk_of_bias")
_EACH = (
    *("evidence", "events", "total", "exposed", "control", "control_events", "control_total"),
    *("log_estimate", "se", "forest", "estimate", "interval", "effect", "model", "weight"),
)
NAMES = (*SHARED[:3], *_EACH, SHARED[3])
_NORMAL = 1.959963984540054


def check_columns(
    columns: Sequence[str], further: Sequence[str], *, option: str = "columns"
) -> None:
    """Refuse columns that no forest plot and no table has, each with the nearest that there is.

    Parameters
    ----------
    columns : sequence of str
        As the user wrote them.
    further : sequence of str
        The columns of the evidence and of the user's own table.
    option : str
        What the user calls them.
    """
    if isinstance(columns, str):
        raise InputError(
            Fault("columns", f"the text '{columns}'", "a list of names", f"columns=['{columns}']")
        )
    faults = _unknown(option, columns, further)
    faults += [
        Fault(option, f"'{name}' stands there twice", "each once")
        for name in dict.fromkeys(columns)
        if [*columns].count(name) > 1
    ]
    faults += [
        Fault(option, f"'{name}' is missing: {why}", "a list that holds it")
        for name, why in (
            ("study", "the rows would have no names"),
            ("forest", "it says where the marks stand"),
        )
        if name not in columns
    ]
    if faults:
        raise InputError(faults)


def check_headings(headings: Mapping[str, str], further: Sequence[str]) -> None:
    """Refuse headings of columns that there are not."""
    if faults := _unknown("headings", [*headings], further):
        raise InputError(faults)


def _unknown(option: str, names: Sequence[str], further: Sequence[str]) -> list[Fault]:
    others = [name for name in further if name not in NAMES]
    allowed = f"{', '.join(NAMES)}; of the evidence {', '.join(others) or 'none'}"
    return [
        Fault(option, f"{name!r} is not known", allowed, nearest(name, [*NAMES, *others]))
        for name in names
        if name not in NAMES and name not in others
    ]


def joined(evidence: pd.DataFrame, extra: pd.DataFrame | None) -> pd.DataFrame:
    """Return the evidence with the columns of a user's own table, matched by study (and arm)."""
    if extra is None:
        return evidence
    if "study" not in extra.columns:
        found = ", ".join(map(str, extra.columns)) or "none"
        raise InputError(Fault("extra", f"its columns are {found}", "one of them is 'study'"))
    keys = [name for name in ("study", "arm") if name in extra and name in evidence]
    own = extra.astype(dict.fromkeys(keys, str))
    faults = []
    if twice := own.loc[own.duplicated(keys), "study"].tolist():
        found = f"'{twice[0]}' stands there twice"
        faults.append(Fault("extra", found, f"one row for each {' and '.join(keys)}"))
    known = evidence["study"].astype(str).tolist()
    faults += [
        Fault(
            "extra", f"'{study}' is no study of the fit", "", nearest(study, dict.fromkeys(known))
        )
        for study in dict.fromkeys(own["study"])
        if study not in known
    ]
    if faults:
        raise InputError(faults)
    base = evidence.drop(columns=[name for name in own if name in evidence and name not in keys])
    base = base.astype(dict.fromkeys(keys, str))
    return base.merge(own, on=keys, how="left", validate="many_to_one")


def cells_of(values: Sequence[Any]) -> tuple[list[str], bool]:
    """Return the cells of any column, and whether they are numbers: these have like decimals."""
    known = [value for value in values if not _missing(value)]
    numeric = bool(known) and all(
        isinstance(value, int | float | np.number) and not isinstance(value, bool | np.bool_)
        for value in known
    )
    if not numeric:
        words = {True: "yes", False: "no"}
        return [
            ""
            if _missing(value)
            else words[bool(value)]
            if isinstance(value, bool | np.bool_)
            else str(value)
            for value in values
        ], False
    behind = [f"{float(value):.2f}".rstrip("0").partition(".")[2] for value in known]
    places = max(len(text) for text in behind)
    return [
        "" if _missing(value) else f"{float(value):.{places}f}".replace("-", "−")
        for value in values
    ], True


def _missing(value: Any) -> bool:
    return value is None or (not isinstance(value, str | list | tuple | dict) and value != value)


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes the cells of the rows of one fit.

    Attributes
    ----------
    layout : Layout
        How.
    measure : {"rate", "ratio", "value"}
        What the natural scale is.
    places : int or None
        Decimals of all its numbers; None for those that each deserves.
    sums : mapping of str to mapping of str to float
        By subgroup, and of all studies under ``""``, the sums of counts and of weights.
    """

    layout: Layout
    measure: Measure
    places: int | None
    sums: Mapping[str, Mapping[str, float]]

    def study(self, row: ForestRow) -> dict[str, str]:
        """Return the cells of a study."""
        places = self.places if row.places is None else row.places
        if self.measure == "ratio" and self.layout.places is not None:
            places = self._few(row.crude)
        weight = "" if np.isnan(row.weight) else self._weight(row.weight)
        return {
            **self.counts(row.counts),
            "evidence": self._reported(row),
            "weight": weight,
            **self._apart(row),
            **self._numbers(row.crude, places),
            "model": self._effect(row.model, self._places(row.model)),
        }

    def pooled(self, row: ForestRow, level: str | None) -> dict[str, str]:
        """Return the cells of a diamond; `level` names the block whose sums stand beside it."""
        sums = {} if level is None else self.sums.get(level, {})
        cells = self.counts(sums)
        if "exposed" not in cells and {"events", "total"} <= cells.keys():
            cells["evidence"] = self.layout.counts.format(cells["events"], cells["total"])
        elif "exposed" in cells:
            cells["evidence"] = ""
        weight = sums.get("weight", np.nan)
        if self.layout.weigh_totals and np.isfinite(weight):
            cells["weight"] = self._weight(weight)
        return {**cells, **self._numbers(row.model, self._places(row.model))}

    def difference(self, item: Difference) -> dict[str, str]:
        """Return the cells of a difference between blocks."""
        signed = self.measure != "ratio"
        return self._numbers(item.estimate, self._places(item.estimate), signed=signed)

    def counts(self, counts: Mapping[str, float]) -> dict[str, str]:
        """Return the cells of counts."""
        known = {name: value for name, value in counts.items() if name != "weight"}
        cells = {name: f"{value:.0f}" for name, value in known.items() if np.isfinite(value)}
        for name, parts in (
            ("exposed", ("events", "total")),
            ("control", ("control_events", "control_total")),
        ):
            if "control_events" in cells and all(part in cells for part in parts):
                cells[name] = self.layout.counts.format(*(cells[part] for part in parts))
        return cells

    def _reported(self, row: ForestRow) -> str:
        counts = row.counts
        if row.reported == f"{counts.get('events', np.nan):.0f}/{counts.get('total', np.nan):.0f}":
            events, total = (f"{counts[name]:.0f}" for name in ("events", "total"))
            return self.layout.counts.format(events, total)
        return row.reported

    def _weight(self, weight: float) -> str:
        text = self.layout.weight.format(weight)
        if weight <= 0 or float(text.rstrip("%")) > 0:
            return text
        return f"<{self.layout.weight.format(0.1 if '.' in text else 1)}"

    def _apart(self, row: ForestRow) -> dict[str, str]:
        """Return a ratio on the log scale and its standard error, or those of a value."""
        low, middle, high = row.crude.lower, row.crude.middle, row.crude.upper
        if self.measure == "rate":
            return {}
        if self.measure == "ratio":
            with np.errstate(divide="ignore", invalid="ignore"):
                low, middle, high = np.log((low, middle, high)).tolist()
        se = (high - low) / (2 * _NORMAL)
        if not np.isfinite([middle, se]).all():
            return {}
        cells = {"se": f"{se:.2f}" if se >= 0.1 else f"{se:.2g}"}
        if self.measure == "ratio":
            cells["log_estimate"] = number(middle, "value", 2)
        return cells

    def _places(self, estimate: Estimate) -> int | None:
        return self._few(estimate) if self.measure == "ratio" else self.places

    def _few(self, estimate: Estimate) -> int | None:
        """Return the layout's decimals of a ratio, but where they would hide it."""
        ends = (estimate.lower, estimate.middle, estimate.upper)
        return self.layout.places if all(not 0 < end < 0.01 for end in ends) else None

    def _numbers(
        self, estimate: Estimate, places: int | None, *, signed: bool = False
    ) -> dict[str, str]:
        return {
            "estimate": number(estimate.middle, self.measure, places),
            "interval": span(
                estimate.lower, estimate.upper, self.measure, places,
                signed=signed, style=self.layout.style,
            ),
            "effect": self._effect(estimate, places, signed=signed),
        }  # fmt: skip

    def _effect(self, estimate: Estimate, places: int | None, *, signed: bool = False) -> str:
        between = span(
            estimate.lower, estimate.upper, self.measure, places,
            signed=signed, style=self.layout.style,
        )  # fmt: skip
        return f"{number(estimate.middle, self.measure, places)} {between}".strip()


def heading_of(name: str, layout: Layout, measure: str, *, counts: bool) -> str:
    """Return the words above a column."""
    known = layout.headings.get("counts" if name == "evidence" and counts else name)
    if known is None:
        return capital(name.replace("_", " "))
    return known.format(measure=measure)
