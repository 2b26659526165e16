"""Tables of the page: headings, cells, and which cells are numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["Column", "Row", "Table", "table_of"]


@dataclass(frozen=True, slots=True)
class Column:
    """A heading, and whether its cells are short words, names, sentences or numbers."""

    heading: str
    kind: Literal["word", "text", "prose", "number"] = "word"


@dataclass(frozen=True, slots=True)
class Row:
    """Cells of one row; text is escaped where it is shown, `Markup` is not."""

    cells: tuple[Any, ...]
    tone: Literal["", "strong", "weak"] = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the page."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


def table_of(caption: str, columns: Sequence[Column], rows: Iterable[Row | Sequence[Any]]) -> Table:
    """Return a table without the columns in which nothing stands."""
    made = [row if isinstance(row, Row) else Row(tuple(row)) for row in rows]
    kept = [
        place
        for place in range(len(columns))
        if not made or any(row.cells[place] not in ("", None) for row in made)
    ]
    return Table(
        caption,
        tuple(columns[place] for place in kept),
        tuple(Row(tuple(row.cells[place] for place in kept), row.tone) for row in made),
    )
