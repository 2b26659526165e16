"""What fits say of their studies and altogether: a forest table as records, and several as one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from metacart.plots.facts import Reported

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Difference", "Entry", "Estimate", "ForestRow", "merged", "read_rows"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95 % interval, on the natural scale; not a number where there is none."""

    middle: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class ForestRow:
    """A row of ``forest_table``, with what the evidence says of it.

    Attributes
    ----------
    kind : str
        ``study``, ``subgroup``, ``summary`` or ``prediction``.
    study, label, arm, subgroup, reported : str
        Its names, its block, and what the paper printed.
    year, events, total, weight : float
        Not a number where there is none.
    crude, model : Estimate
        As reported, and from the model.
    flag : str
        A footnote.
    places : int or None
        How many decimals a ratio was printed with.
    details : mapping of str to object
        What else the evidence and the user's own table say of a study, by column.
    """

    kind: str
    study: str
    label: str
    arm: str
    subgroup: str
    reported: str
    year: float
    events: float
    total: float
    weight: float
    crude: Estimate
    model: Estimate
    flag: str
    places: int | None = None
    details: Mapping[Any, Any] = MappingProxyType({})

    @property
    def counts(self) -> dict[str, float]:
        """What was counted: events and patients, and those of a second group."""
        names = ("events", "total", "control_events", "control_total")
        return {name: _number_or_nan(self.details.get(name)) for name in names}

    @property
    def plain(self) -> bool:
        """Whether what was reported is its ratio and nothing else."""
        return self.places is not None and "," not in self.reported and " v " not in self.reported

    @property
    def naive(self) -> bool:
        """Whether it ignores the bias of immortal time."""
        return self.kind != "study" and "naive" in self.label


@dataclass(frozen=True, slots=True)
class Difference:
    """How two subgroups differ.

    Attributes
    ----------
    label : str
        Which two.
    estimate : Estimate
        On the natural scale: a difference of rates or values, a ratio of ratios.
    probability : str
        What the posterior says of its sign, in words.
    flag : str
        A footnote.
    """

    label: str
    estimate: Estimate
    probability: str
    flag: str = ""


def read_rows(
    table: pd.DataFrame, findings: Sequence[Reported], details: pd.DataFrame
) -> list[ForestRow]:
    """Return the rows of a forest table; the others name its studies, in the same order."""

    def estimate(record: Mapping[Any, Any], name: str) -> Estimate:
        values = (record[name], record[f"{name}_lower"], record[f"{name}_upper"])
        return Estimate(*(_number_or_nan(value) for value in values))

    names, more = iter(findings), iter(details.to_dict("records"))
    rows = []
    for record in table.to_dict("records"):
        study = record["row"] == "study"
        finding = next(names) if study else Reported(str(record["label"]), "", "", float("nan"))
        rows.append(
            ForestRow(
                kind=str(record["row"]),
                study=_text(record["study"]),
                label=finding.label,
                arm=finding.arm,
                subgroup=_text(record["subgroup"]),
                reported=finding.text,
                year=finding.year,
                events=_number_or_nan(record["events"]),
                total=_number_or_nan(record["total"]),
                weight=_number_or_nan(record["weight"]),
                crude=estimate(record, "crude"),
                model=estimate(record, "shrunken"),
                flag=_text(record["flag"]),
                places=finding.places,
                details=next(more) if study else MappingProxyType({}),
            )
        )
    return rows


def _missing(value: Any) -> bool:
    return value is None or value != value


def _text(value: Any) -> str:
    return "" if _missing(value) else str(value).strip()


def _number_or_nan(value: Any) -> float:
    return float("nan") if _missing(value) else float(value)


# --- several fits ---


@dataclass(frozen=True, slots=True)
class Entry:
    """A row, and by panel what each fit says there."""

    said: dict[str, ForestRow]

    @property
    def first(self) -> ForestRow:
        """What the first fit says that says anything."""
        return next(iter(self.said.values()))


Place = tuple[str, int]  # a subgroup, and the how-manieth row of its name there


def merged(panels: Mapping[str, Sequence[ForestRow]]) -> list[Entry]:
    """Return the rows of several fits as one list; what fits share stands in one row.

    Where one fit has subgroups and another one has none, its studies stand in those of the first.
    """
    homes: dict[tuple[str, ...], list[Place]] = {}
    for rows in panels.values():
        known = _placed(row for row in rows if row.kind == "study" and row.subgroup)
        found: dict[tuple[str, ...], list[Place]] = {}
        for name, place, _ in known:
            found.setdefault(name, []).append(place)
        for name, places in found.items():
            homes.setdefault(name, places)
    entries: dict[tuple[tuple[str, ...], Place], Entry] = {}
    for panel, rows in panels.items():
        for name, place, row in _placed(rows):
            level, number = place
            there = homes.get(name, [])
            if not level and number <= len(there):
                place = there[number - 1]
            own = replace(row, subgroup=place[0])
            entries.setdefault((name, place), Entry({})).said[panel] = own
    return [*entries.values()]


def _placed(
    rows: Iterable[ForestRow],
) -> Iterator[tuple[tuple[str, ...], Place, ForestRow]]:
    """Yield rows with their names, and which of that name they are in their subgroup, from 1."""
    seen: Counter[tuple[str, ...]] = Counter()
    for row in rows:
        name = (row.kind, row.study, row.arm) if row.kind == "study" else (row.kind, row.label)
        seen[*name, row.subgroup] += 1
        yield name, (row.subgroup, seen[*name, row.subgroup]), row
