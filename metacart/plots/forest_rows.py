"""The rows of a forest plot: which, in what order, and what their cells say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.errors import Fault, InputError
from metacart.plots.facts import Measure, Reported, capital
from metacart.plots.layout import Row
from metacart.plots.numbers import number, span

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "SORTS",
    "Difference",
    "Estimate",
    "ForestRow",
    "Lines",
    "counted",
    "forest_lines",
    "read_rows",
    "sizes",
]

SORTS = (None, "name", "year", "effect", "precision")
INDENT = "\u2002"  # an en space, which the page repeats on every line
# The footnotes of medical journals, in their order.
SIGNS = ("*", "†", "‡", "§", "¶", "‖", "**", "††", "‡‡", "§§", "¶¶", "‖‖")


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


def read_rows(table: pd.DataFrame, findings: Sequence[Reported]) -> list[ForestRow]:
    """Return the rows of a forest table; `findings` names its studies, in the same order."""

    def estimate(record: Mapping[Any, Any], name: str) -> Estimate:
        values = (record[name], record[f"{name}_lower"], record[f"{name}_upper"])
        return Estimate(*(_number_or_nan(value) for value in values))

    names = iter(findings)
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
            )
        )
    return rows


def _missing(value: Any) -> bool:
    return value is None or value != value


def _text(value: Any) -> str:
    return "" if _missing(value) else str(value).strip()


def _number_or_nan(value: Any) -> float:
    return float("nan") if value is None else float(value)


# --- numbers ------------------------------------------------------------------------------------


def _percent(weight: float) -> str:
    if np.isnan(weight):
        return ""
    return "<1" if 0 < weight < 0.5 else f"{weight:.0f}"


def decimals(studies: Sequence[ForestRow], measure: Measure) -> int | None:
    """Return how many decimals the most precise study deserves; ratios each have their own."""
    if measure == "ratio":
        return None
    widths = [row.crude.upper - row.crude.lower for row in studies]
    narrowest = min((width for width in widths if np.isfinite(width) and width > 0), default=1.0)
    if measure == "rate":
        return 1 if narrowest < 0.1 else 0
    return int(np.clip(1 - np.floor(np.log10(narrowest)), 0, 6))


def counted(studies: Sequence[ForestRow]) -> bool:
    """Whether the studies report counts of patients."""
    return bool(studies) and all(np.isfinite(row.total) for row in studies)


def sizes(studies: Sequence[ForestRow], measure: Measure) -> NDArray[np.float64]:
    """Return what the areas of the squares show: patients where counted, else precision."""
    if counted(studies):
        return np.asarray([row.total for row in studies])
    lower = np.asarray([row.crude.lower for row in studies])
    upper = np.asarray([row.crude.upper for row in studies])
    with np.errstate(divide="ignore", invalid="ignore"):
        width = np.log(upper / lower) if measure == "ratio" else upper - lower
    return np.asarray(width**-2.0, dtype=np.float64)


# --- rows ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class Lines:
    """Rows with their cells and what is drawn in them.

    Attributes
    ----------
    rows : list of Row
        From the top; a name begins with its kind: ``study:``, ``heading:``, ``subgroup:``,
        ``summary:``, ``prediction:`` or ``difference:``.
    cells : dict of str to dict of str to str
        Text by column and row.
    estimates : dict of str to ForestRow
        What is drawn, by row.
    differences : dict of str to Difference
        What is said, by row.
    footnotes : dict of str to str
        Sign by text.
    """

    rows: list[Row] = field(default_factory=list)
    cells: dict[str, dict[str, str]] = field(default_factory=dict)
    estimates: dict[str, ForestRow] = field(default_factory=dict)
    differences: dict[str, Difference] = field(default_factory=dict)
    footnotes: dict[str, str] = field(default_factory=dict)

    def add(self, row: Row, **cells: str) -> str:
        """Add a row below the others and return its name; one that is taken gets a number."""
        taken = {other.name for other in self.rows}
        name, count = row.name, 1
        while name in taken:
            count += 1
            name = f"{row.name}#{count}"
        self.rows.append(replace(row, name=name))
        for column, text in cells.items():
            if text:
                self.cells.setdefault(column, {})[name] = text
        return name

    def of(self, *kinds: str) -> dict[str, ForestRow]:
        """Return what is drawn in some kinds of rows, from the top."""
        names = [row.name for row in self.rows if row.name in self.estimates]
        return {name: self.estimates[name] for name in names if name.split(":")[0] in kinds}

    def sign(self, flag: str) -> str:
        """Return the signs of footnotes parted by semicolons, the same for the same text."""
        signs = []
        for text in filter(None, flag.split("; ")):
            if text not in self.footnotes:
                count = len(self.footnotes)
                self.footnotes[text] = SIGNS[count] if count < len(SIGNS) else f"({count + 1})"
            signs.append(self.footnotes[text])
        return "".join(signs)


def _ordered(studies: list[ForestRow], sort: str | None, measure: Measure) -> list[ForestRow]:
    if sort == "name":
        return sorted(studies, key=lambda row: (row.label.casefold(), row.arm.casefold()))
    if sort == "effect":
        return sorted(studies, key=lambda row: row.crude.middle)
    if sort == "precision":
        order = np.argsort(-sizes(studies, measure), kind="stable")
        return [studies[position] for position in order]
    if sort == "year":
        if all(np.isnan(row.year) for row in studies):
            raise InputError(
                Fault(
                    "sort",
                    "'year', but the evidence has no column 'year'",
                    "None, 'name', 'effect', 'precision'",
                    "add a column 'year' to the evidence",
                )
            )
        return sorted(studies, key=lambda row: np.inf if np.isnan(row.year) else row.year)
    return studies


def forest_lines(
    rows: Sequence[ForestRow],
    *,
    measure: Measure,
    counts: Mapping[str, str],
    moderator: str = "",
    differences: Sequence[Difference] = (),
    sort: str | None = None,
    prediction: bool = True,
) -> Lines:
    """Return the rows of a forest plot from the top to the bottom.

    Parameters
    ----------
    rows : sequence of ForestRow
        From ``read_rows``.
    measure : {"rate", "ratio", "value"}
        What the natural scale is.
    counts : mapping of str to str
        Events and patients by subgroup, and of all studies under ``""``.
    moderator : str
        The word before the level in headings.
    differences : sequence of Difference
        Between subgroups.
    sort : {None, "name", "year", "effect", "precision"}
        The order of studies, inside their subgroups.
    prediction : bool
        Whether the next study gets a row.

    Returns
    -------
    Lines
    """
    lines = Lines()
    of_kind = {
        kind: [row for row in rows if row.kind == kind]
        for kind in ("study", "subgroup", "summary", "prediction")
    }
    studies = _ordered(of_kind["study"], sort, measure)
    places = decimals(studies, measure)
    levels = list(dict.fromkeys(row.subgroup for row in of_kind["subgroup"]))

    def numbers(
        estimate: Estimate, places: int | None = places, *, signed: bool = False
    ) -> dict[str, str]:
        return {
            "estimate": number(estimate.middle, measure, places),
            "interval": span(estimate.lower, estimate.upper, measure, places, signed=signed),
        }

    def add_studies(block: Sequence[ForestRow], indent: str) -> None:
        for position, row in enumerate(block):
            name = lines.add(
                Row(
                    f"study:{row.study}" + (f"/{row.arm}" if row.arm else ""),
                    shade=position % 2 == 0,
                ),
                study=f"{indent}{row.label}{lines.sign(row.flag)}",
                arm=row.arm,
                evidence=row.reported,
                weight=_percent(row.weight),
                **numbers(row.crude, places if row.places is None else row.places),
            )
            lines.estimates[name] = row

    def add_pooled(row: ForestRow, place: Row, text: str, count: str = "") -> None:
        words = f"{text}{lines.sign(row.flag)}"
        name = lines.add(
            replace(place, bold=True), study=words, evidence=count, **numbers(row.model)
        )
        lines.estimates[name] = row

    for level in levels:
        heading = f"{moderator}: {level}" if moderator else level
        space = 0.07 if lines.rows else 0.0
        lines.add(Row(f"heading:{level}", bold=True, space=space), study=heading)
        add_studies([row for row in studies if row.subgroup == level], INDENT)
        for row in of_kind["subgroup"]:
            if row.subgroup == level:
                place = Row(f"subgroup:{level}, {row.label}")
                add_pooled(row, place, f"{INDENT}{capital(row.label)}", counts.get(level, ""))
    if not levels:
        add_studies(studies, "")
    for first, row in zip([True, *[False] * len(rows)], of_kind["summary"], strict=False):
        text = f"All studies, {row.label}" if levels else capital(row.label)
        place = Row(f"summary:{row.label}", ruled=first, space=0.08 if first else 0.0)
        add_pooled(row, place, text, counts.get("", "") if first else "")
    for row in of_kind["prediction"] if prediction else ():
        add_pooled(row, Row(f"prediction:{row.label}"), capital(row.label))
    for position, item in enumerate(differences):
        first = position == 0
        name = lines.add(
            Row(f"difference:{item.label}", ruled=first, space=0.08 if first else 0.0),
            study=f"{capital(item.label)}{lines.sign(item.flag)}",
            **numbers(item.estimate, signed=measure != "ratio"),
        )
        lines.differences[name] = item
    return lines
