"""What the shell shows: tables and results on standard output, faults and notes on the other."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import typer

from metacart.errors import Fault
from metacart.text import printable

if TYPE_CHECKING:
    import pandas as pd

    from metacart.records.study import Study

__all__ = ["forest_rows", "note", "number", "say", "show_faults", "show_table", "study_row"]

# wider than any line, so that nothing is wrapped or cut where a program reads
_UNWRAPPED = 10_000
# what a shell shows for a program that its reader has left
_NO_READER = 141


def say(text: str) -> None:
    """Write one line of the result to standard output."""
    _write(_clean(text))


def note(text: str) -> None:
    """Write one line beside the result to standard error."""
    _write(_clean(text), err=True)


def show_faults(faults: Iterable[Fault], *, err: bool = True) -> None:
    """Write one fault a line, unwrapped."""
    for fault in faults:
        _write(_clean(str(fault)), err=err)


def show_table(
    headings: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = ""
) -> None:
    """Write a table to standard output: fitted to a terminal, else one line a row.

    Parameters
    ----------
    headings : sequence of str
        One a column.
    rows : iterable of sequences
        Numbers are rounded to three digits and stand right, what is missing is left empty; a
        column without any value is left out.
    title : str, optional
        Above the table.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    rows = [tuple(row) for row in rows]
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_UNWRAPPED)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    cells = [[_cell(value) for value in row] for row in rows]
    shown = [position for position in range(len(headings)) if any(row[position] for row in cells)]
    for position in shown:
        numeric = any(isinstance(row[position], int | float) for row in rows)
        justify: Literal["left", "right"] = "right" if numeric else "left"
        table.add_column(Text(headings[position]), justify=justify, overflow="fold")
    for row in cells:
        table.add_row(*(Text(row[position]) for position in shown))
    with console.capture() as captured:
        if title:
            console.print(Text(_clean(title), style="bold"), soft_wrap=True)
        console.print(table)
    for line in captured.get().splitlines():
        _write(line.rstrip())


def number(value: float) -> str:
    """Return a number with three digits; what is all but certain is not rounded to certainty.

    Examples
    --------
    >>> number(0.68421), number(27.04), number(0.99991), number(float("nan"))
    ('0.684', '27', '>0.999', '')
    """
    if math.isnan(value):
        return ""
    if 0.9995 <= value < 1.0:
        return ">0.999"
    return f"{value:.0f}" if 100 <= abs(value) < 1e6 else f"{value:.3g}"


def study_row(study: Study) -> tuple[str, str, int, int | None, str]:
    """Return id, label, arms, patients and outcomes; a patient counts in one arm only."""
    patients = [
        next((count for count in counts if count is not None), None)
        for arm in study.arms
        if not arm.shares_patients_with
        for counts in [(arm.patients.infused, arm.patients.enrolled, arm.patients.evaluable)]
    ]
    known = [count for count in patients if count is not None]
    outcomes = dict.fromkeys(finding.outcome for finding in study.findings)
    return (
        study.id,
        study.label,
        len(study.arms),
        sum(known) if known else None,
        ", ".join(outcomes),
    )


def forest_rows(table: pd.DataFrame) -> list[tuple[object, ...]]:
    """Return a forest table as a reader sees it: label, arm, events, reported, model, weight."""
    return [
        (
            row["label"],
            " ".join(str(row[name]) for name in ("subgroup", "arm_label") if row[name]),
            _pair(row["events"], row["total"]),
            _interval(row["crude"], row["crude_lower"], row["crude_upper"]),
            _interval(row["shrunken"], row["shrunken_lower"], row["shrunken_upper"]),
            row["weight"],
        )
        for row in table.to_dict("records")
    ]


def _write(line: str, *, err: bool = False) -> None:
    try:
        typer.echo(line, err=err)
    except BrokenPipeError:
        # the reader, such as `head`, has left; what is still buffered goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), (sys.stderr if err else sys.stdout).fileno())
        raise typer.Exit(_NO_READER) from None


def _pair(events: float, total: float) -> str:
    return "" if math.isnan(total) else f"{events:.0f}/{total:.0f}"


def _interval(middle: float, lower: float, upper: float) -> str:
    return "" if math.isnan(middle) else f"{number(middle)} ({number(lower)}–{number(upper)})"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value) if isinstance(value, float) else _clean(str(value))


def _clean(text: str) -> str:
    """Return text on one line, without what would steer a terminal or break its encoding."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return printable(text).encode(encoding, "replace").decode(encoding)
