"""What the shell shows: tables and results on standard output, faults and notes on the other."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

import typer

from metacart.errors import Fault
from metacart.report.tables import Table
from metacart.text import printable

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "count_of",
    "note",
    "say",
    "show_faults",
    "show_heading",
    "show_list",
    "show_table",
    "show_words",
    "width",
    "write",
]

# where no terminal says how wide a line may be
_WIDTH = 120
# a longer line is hard to read
_WORDS = 100
# columns stand this far apart
_BETWEEN = 2
# what a shell shows for a program that its reader has left
_NO_READER = 141


def say(text: str) -> None:
    """Write one line of the result to standard output."""
    _write(_clean(text))


def write(text: str) -> None:
    """Write a file to standard output, as it is and in UTF-8, for another program."""
    _write(text.encode(), nl=False)


def note(text: str) -> None:
    """Write one line beside the result to standard error."""
    _write(_clean(text), err=True)


def width() -> int:
    """Return how many columns a line of a table may take."""
    return _console().width


def show_faults(faults: Iterable[Fault], *, err: bool = True) -> None:
    """Write one fault a line, unwrapped."""
    for fault in faults:
        _write(_clean(str(fault)), err=err)


def show_words(text: str, *, lead: str = "") -> None:
    """Write a paragraph to standard output, with `lead` before its first line."""
    # markup of the page is none here, and what it keeps together stays together
    plain = text.striptags() if hasattr(text, "striptags") else text
    width = min(_WORDS, _console().width)
    for line in textwrap.wrap(
        plain, width, initial_indent=lead, subsequent_indent=" " * len(lead), break_on_hyphens=False
    ):
        say(line)


def show_heading(text: str) -> None:
    """Write a line that stands out on a terminal."""
    from rich.text import Text

    console = _console()
    with console.capture() as captured:
        console.print(Text(_clean(text), style="bold"))
    for line in captured.get().splitlines():
        _write(line.rstrip())


def show_list(heading: str, items: Iterable[str]) -> None:
    """Write a heading and one paragraph an item; nothing where there is none."""
    items = list(items)
    if items:
        say(heading)
        for item in items:
            show_words(item, lead="  - ")
        say("")


def show_table(table: Table) -> None:
    """Write a table to standard output, fitted to the terminal or else to 120 columns."""
    from rich import box
    from rich.table import Table as Grid
    from rich.text import Text

    if not table.rows:
        return
    console = _console()
    grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for column, wide in zip(table.columns, _widths(table, console.width), strict=True):
        justify: Literal["left", "right"] = "right" if column.kind == "number" else "left"
        heading = Text(_clean(column.heading))
        grid.add_column(heading, justify=justify, overflow="fold", width=wide)
    for row in table.rows:
        grid.add_row(*(Text(_clean("" if cell is None else str(cell))) for cell in row.cells))
    if table.caption:
        show_heading(table.caption)
    with console.capture() as captured:
        console.print(grid)
    for line in captured.get().splitlines():
        _write(line.rstrip())


def count_of(number: int, noun: str) -> str:
    """Return ``1 study`` or ``4 studies``."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"


def _console() -> Console:
    from rich.console import Console

    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDTH)


def _widths(table: Table, width: int) -> list[int]:
    """Return the width of each column: words stay whole as far as there is room for them."""
    columns = [
        [str(cell or "") for cell in cells]
        for cells in zip(*(row.cells for row in table.rows), strict=True)
    ]
    wanted = [
        max(len(column.heading), *map(len, cells))
        for column, cells in zip(table.columns, columns, strict=True)
    ]
    words = [max(len(word) for cell in cells for word in cell.split() or [""]) for cells in columns]
    room = width - _BETWEEN * len(columns)
    most = next((most for most in range(max(words), 0, -1) if _sum(words, most) <= room), 1)
    widths = [max(1, min(each, most)) for each in words]
    # what is left goes to those that want more, each the same
    for most in range(min(widths), max(wanted) + 1):
        more = [max(has, min(want, most)) for has, want in zip(widths, wanted, strict=True)]
        if sum(more) > room:
            break
        widths = more
    return widths


def _sum(lengths: Iterable[int], most: int) -> int:
    return sum(min(length, most) for length in lengths)


def _write(line: str | bytes, *, err: bool = False, nl: bool = True) -> None:
    try:
        typer.echo(line, err=err, nl=nl)
    except BrokenPipeError:
        # the reader, such as `head`, has left; what is still buffered goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), (sys.stderr if err else sys.stdout).fileno())
        raise typer.Exit(_NO_READER) from None


def _clean(text: str) -> str:
    """Return text on one line, without what would steer a terminal or break its encoding."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return printable(text).encode(encoding, "replace").decode(encoding)
