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

__all__ = ["count_of", "note", "say", "show_faults", "show_list", "show_table", "show_words"]

# where no terminal says how wide a line may be
_WIDTH = 120
# a longer line is hard to read
_WORDS = 100
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


def show_words(text: str, *, lead: str = "") -> None:
    """Write a paragraph to standard output, with `lead` before its first line."""
    # markup of the page is none here, and what it keeps together stays together
    plain = text.striptags() if hasattr(text, "striptags") else text
    width = min(_WORDS, _console().width)
    for line in textwrap.wrap(
        plain, width, initial_indent=lead, subsequent_indent=" " * len(lead), break_on_hyphens=False
    ):
        say(line)


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
    grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in table.columns:
        justify: Literal["left", "right"] = "right" if column.kind == "number" else "left"
        grid.add_column(Text(_clean(column.heading)), justify=justify, overflow="fold")
    for row in table.rows:
        grid.add_row(*(Text(_clean("" if cell is None else str(cell))) for cell in row.cells))
    with console.capture() as captured:
        if table.caption:
            console.print(Text(_clean(table.caption), style="bold"))
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


def _write(line: str, *, err: bool = False) -> None:
    try:
        typer.echo(line, err=err)
    except BrokenPipeError:
        # the reader, such as `head`, has left; what is still buffered goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), (sys.stderr if err else sys.stdout).fileno())
        raise typer.Exit(_NO_READER) from None


def _clean(text: str) -> str:
    """Return text on one line, without what would steer a terminal or break its encoding."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return printable(text).encode(encoding, "replace").decode(encoding)
