"""A table of findings as its reader sees it: cells of text by row and column."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from metacart.errors import Fault, InputError, nearest
from metacart.evidence.exchange.flat import ATTRIBUTES, COLUMNS
from metacart.evidence.source import as_path, missing, readable, shown_path

__all__ = ["NEEDED", "Sheet"]

# without these no row can be a finding
NEEDED: tuple[str, ...] = (
    *("study", "title", "authors", "year", "study_design"),
    *("arm", "disease", "infusion", "scfv"),
    *("outcome", "population", "events", "total", "at"),
)
# what an export says beside the columns that a file is made of
_READ_OVER = ("label", "finding", "value")


@dataclass
class Sheet:
    """The cells of a table as text, by row and column.

    Attributes
    ----------
    rows : dict of int to dict
        The cells that hold something, by the number of the row as its reader counts.
    path : str or None
        The file, as a reader of messages would write it.
    faults : list of Fault
        What is wrong with the table itself.
    """

    rows: dict[int, dict[str, str]]
    columns: list[str]
    path: str | None = None
    faults: list[Fault] = field(default_factory=list)

    @classmethod
    def read(cls, table: object) -> Sheet:
        """Read a file or a DataFrame; raises `InputError` for what is neither."""
        if hasattr(table, "columns") and hasattr(table, "itertuples"):
            sheet = cls._of_frame(table)
        else:
            sheet = cls._of_file(
                as_path(table, name="table", allowed="a .csv file, or a DataFrame")
            )
        sheet.faults += sheet._header()
        if not sheet.rows:
            raise InputError(sheet.fault("", "", "no rows", "a row a finding"))
        return sheet

    @classmethod
    def _of_frame(cls, table: Any) -> Sheet:
        columns = [str(name).strip() for name in table.columns]
        rows = {
            number: _filled(zip(columns, map(_text, values), strict=True))
            for number, values in enumerate(table.itertuples(index=False, name=None), start=1)
        }
        return cls(rows, columns)

    @classmethod
    def _of_file(cls, path: Path) -> Sheet:
        shown = shown_path(path)
        with readable(path):
            if not path.is_file():
                raise InputError(replace(missing(path), allowed="a .csv file"))
            raw = path.read_bytes()
        if raw[:2] == b"PK" or path.suffix in (".xlsx", ".xls", ".ods"):
            hint = "save the sheet as CSV (UTF-8)"
            raise InputError(Fault("", "a workbook", "a .csv file", hint, shown))
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = raw[: error.start].count(b"\n") + 1
            raise InputError(
                Fault("", "not UTF-8 text", "UTF-8", "save it as CSV (UTF-8)", shown, line)
            ) from None
        first = text.partition("\n")[0]
        # spreadsheets write semicolons where the comma is the decimal sign
        between = max(",;\t", key=first.count)
        lines = list(csv.reader(text.splitlines(keepends=True), delimiter=between))
        columns = [name.strip() for name in lines[0]] if lines else []
        sheet = cls({}, columns, shown)
        for number, cells in enumerate(lines[1:], start=2):
            extra = [cell for cell in cells[len(columns) :] if cell.strip()]
            if extra:
                allowed = f"{len(columns)} cells, one a column"
                hint = "quotes around a cell that holds the separator"
                sheet.faults.append(sheet.fault(number, "", f"{len(cells)} cells", allowed, hint))
            row = _filled(zip(columns, (cell.strip() for cell in cells), strict=False))
            if row:
                sheet.rows[number] = row
        return sheet

    def _header(self) -> Iterator[Fault]:
        known = [*COLUMNS, "kind", *_READ_OVER]
        for name in self.columns:
            if not name:
                yield self.fault(1, "", "a column without a name", "a name in each column")
            elif name not in known and not name.startswith(ATTRIBUTES):
                near = nearest(name, known) or f"{ATTRIBUTES}{name} for a column of your own"
                allowed = "a column that stands for a key of study files"
                yield self.fault("", name, "this column is not known", allowed, near)
        twice = {name for name in self.columns if name and self.columns.count(name) > 1}
        for name in sorted(twice):
            yield self.fault("", name, "stands twice", "each column once")
        values = {"events", "total"}
        absent = [
            name
            for name in NEEDED
            if name not in self.columns and not (name in values and "kind" in self.columns)
        ]
        if absent:
            found = f"no column {', '.join(absent)}"
            yield self.fault("", "", found, f"at least {', '.join(NEEDED)}", "add what is missing")

    def row_of(self, fault: Fault) -> int:
        """Return the row in which a fault stands; 0 for the whole table."""
        found = re.match(r"row (\d+)", fault.place)
        return int(found[1]) if found else 0

    def fault(
        self, row: int | str, column: str, found: str, allowed: str = "", attempt: str = ""
    ) -> Fault:
        """Return a fault at a row and a column, each where there is one."""
        places = [f"row {row}"] if row else []
        places += [f"column '{column}'"] if column else []
        return Fault(", ".join(places), found, allowed, attempt, self.path)


def _filled(cells: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {name: text for name, text in cells if text and name}


def _text(value: Any) -> str:
    """Return a value of a DataFrame as a spreadsheet would show it; nothing where it is missing."""
    if value is None or value != value or str(value) == "<NA>":
        return ""
    if isinstance(value, float) and value.is_integer() and math.isfinite(value):
        return str(int(value))
    if isinstance(value, list | tuple):
        return "; ".join(map(str, value))
    return str(value).strip()
