"""The page in other formats: Markdown, one long table, Word."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from metacart.errors import Fault, InputError, refuse_unknown
from metacart.report.document import Heading, Paragraph, Picture, Piece, Shown, plain

__all__ = ["FORMATS", "check_formats", "write_formats"]

_NEEDED = "pip install 'metacart[docx]'"


def check_formats(formats: str | Sequence[str]) -> tuple[str, ...]:
    """Return the formats asked for; raises `InputError` for others, and where a package lacks."""
    wanted = (formats,) if isinstance(formats, str) else tuple(formats)
    if not wanted:
        raise InputError(Fault("formats", "nothing", f"one or more of {', '.join(FORMATS)}"))
    for each in wanted:
        refuse_unknown("formats", each, FORMATS)
    if "docx" in wanted:
        from importlib.util import find_spec

        if find_spec("docx") is None:
            allowed = "the package python-docx beside metacart"
            raise InputError(Fault("formats", "'docx' cannot be written", allowed, _NEEDED))
    return wanted


def write_formats(formats: Iterable[str], pieces: Sequence[Piece], folder: Path) -> None:
    """Write a document into a folder, in each format but the page itself.

    Parameters
    ----------
    formats : iterable of str
        Of `FORMATS`.
    pieces : sequence
        From ``document_of``.
    folder : Path
        Which holds the figures.
    """
    for name in formats:
        if (write := _WRITERS[name]) is not None:
            write(pieces, folder)


# --- Markdown -----------------------------------------------------------------------------------


def _escaped(text: str) -> str:
    """Return text that Markdown shows as it is: it may come from files of anybody."""
    marked = re.sub(r"([\\`*_\[\]|~#])", r"\\\1", text)
    return marked.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cell(cell: Any) -> str:
    """Return a cell in which links to papers stay links."""
    links = re.findall(r'<a [^>]*?href="(https?://[^"]+)"[^>]*>', str(cell))
    text = _escaped(plain(cell))
    return text if not isinstance(cell, Markup) or not links else f"{text} (<{links[0]}>)"


def _markdown(pieces: Sequence[Piece], folder: Path) -> None:
    lines: list[str] = []
    for piece in pieces:
        match piece:
            case Heading():
                lines.append(f"{'#' * piece.level} {_escaped(piece.text)}")
            case Paragraph():
                lines.append(_escaped(plain(piece.text)))
            case Picture():
                address = piece.figure.files["PNG"]
                lines.append(f"![{_escaped(plain(piece.figure.caption))}](<{address}>)")
            case Shown():
                table = piece.table
                heads = [_escaped(column.heading) for column in table.columns]
                rows = [heads, ["---"] * len(heads), *(map(_cell, row.cells) for row in table.rows)]
                made = [f"| {' | '.join(row)} |" for row in rows]
                lines.append("\n".join((f"**{_escaped(table.caption)}**", "", *made)))
    (folder / "report.md").write_text("\n\n".join(lines) + "\n", encoding="utf-8")


# --- one long table -----------------------------------------------------------------------------


def _table(pieces: Sequence[Piece], folder: Path) -> None:
    """Write every cell of every table: question, table, number of the row, column, value."""
    with (folder / "report.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("question", "table", "row", "column", "value"))
        for piece in pieces:
            if not isinstance(piece, Shown):
                continue
            table = piece.table
            for number, row in enumerate(table.rows, 1):
                for column, cell in zip(table.columns, row.cells, strict=True):
                    place = (piece.question, table.caption, number, column.heading)
                    writer.writerow((*place, plain(cell)))


# --- Word ---------------------------------------------------------------------------------------


def _word(pieces: Sequence[Piece], folder: Path) -> None:
    from docx import Document
    from docx.shared import Inches, Pt

    document = Document()
    document.styles["Normal"].font.size = Pt(10)
    for piece in pieces:
        match piece:
            case Heading():
                document.add_heading(piece.text, piece.level)
            case Paragraph():
                document.add_paragraph(plain(piece.text))
            case Picture():
                address = piece.figure.files["PNG"]
                width = Inches(min(6.0, piece.figure.width / 96))
                document.add_picture(str(folder / address), width=width)
                document.add_paragraph(piece.figure.caption, style="Caption")
            case Shown():
                _word_table(document, piece)
    document.save(str(folder / "report.docx"))


def _word_table(document: Any, shown: Shown) -> None:
    from docx.shared import Pt

    document.add_paragraph(shown.table.caption, style="Caption")
    rows = [[column.heading for column in shown.table.columns]]
    rows += [[plain(cell) for cell in row.cells] for row in shown.table.rows]
    made = document.add_table(rows=len(rows), cols=len(rows[0]), style="Light List")
    for cells, row in zip(rows, made.rows, strict=True):
        for text, cell in zip(cells, row.cells, strict=True):
            cell.paragraphs[0].add_run(text).font.size = Pt(7.5)


_WRITERS: dict[str, Callable[[Sequence[Piece], Path], None] | None] = {
    "html": None,
    "md": _markdown,
    "csv": _table,
    "docx": _word,
}
FORMATS: tuple[str, ...] = tuple(_WRITERS)
