"""``metacart studies overlap | coverage``: who shares patients, and who reports what."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import metacart as mc
from metacart import screen
from metacart.commands.options import OK, Folders, check_out, folders_of
from metacart.report.tables import Column, Table, table_of
from metacart.screen import count_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["app"]

app = typer.Typer()

_FIRST_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
# from none to many findings, and the same where a terminal knows no such signs
_SHADES = (("·", "░", "▒", "▓", "█"), (".", "1", "2", "3", "4"))
_MOST = 4


@app.command(epilog="Example: metacart studies overlap")
def overlap(studies: Folders = None) -> int:
    """List the papers that share patients, or may share them."""
    collection = mc.load_studies(*folders_of(studies))
    found = mc.overlap(collection)
    for table in _overlap_tables(found, mc.cohorts(collection)):
        screen.show_table(table)
    open_ = int((found["status"] == "may share patients, not declared").sum())
    pairs = count_of(len(found), "pair")
    screen.show_words(f"{pairs} of {count_of(len(collection), 'study')}, {open_} of them open")
    return OK


def _overlap_tables(found: pd.DataFrame, cohorts: pd.DataFrame) -> Iterator[Table]:
    for status in dict.fromkeys(found["status"]):
        rows = found[found["status"] == status]
        yield table_of(
            f"{str(status)[0].upper()}{str(status)[1:]}: {count_of(len(rows), 'pair')}",
            [Column("paper"), Column("and"), Column("cohort"), Column("why", "text")],
            rows[["first", "second", "cohort", "reason"]].itertuples(index=False, name=None),
        )
    names = ["cohort", "study", "year", "patients", "primary_report", "taken_by"]
    yield table_of(
        "Papers of one cohort: a question takes one, by its `representative`",
        [
            Column("cohort"),
            Column("paper"),
            Column("year", "number"),
            Column("patients", "number"),
            Column("primary report"),
            Column("is the one by"),
        ],
        [
            (cohort, study, year, patients or "", "yes" if primary else "", taken)
            for cohort, study, year, patients, primary, taken in cohorts[names].itertuples(
                index=False, name=None
            )
        ],
    )


@app.command(epilog="Example: metacart studies coverage --out coverage.svg")
def coverage(
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw it too: FILE.svg, FILE.png or FILE.pdf."),
    ] = None,
    studies: Folders = None,
) -> int:
    """Show which outcome is reported by which arm.

    A sign is darker where there are more findings.
    """
    if out is not None:
        check_out(out, (".svg", ".png", ".pdf"))
    collection = mc.load_studies(*folders_of(studies))
    for line in _map(mc.coverage(collection)):
        screen.say(line)
    if out is not None:
        mc.plot_coverage(collection, file=out)
        screen.note(f"wrote {out}")
    return OK


def _map(table: pd.DataFrame) -> Iterator[str]:
    """Yield a letter an outcome with its meaning, and a row an arm with a sign an outcome."""
    from metacart.evidence.coverage import PLACES

    outcomes = [str(name) for name in table.columns if name not in PLACES]
    letters = dict(zip(outcomes, _FIRST_LETTERS, strict=False))
    shades = _SHADES[0 if _can_write("".join(_SHADES[0])) else 1]
    width = max(map(len, outcomes), default=0)
    yield "Outcomes"
    yield ""
    for name, letter in letters.items():
        arms = int((table[name] > 0).sum())
        yield f" {letter}  {name:<{width}}  {count_of(arms, 'arm')}"
    yield ""
    most = f"{_MOST} or more"
    signs = (f"{sign} {number or 'none'}" for number, sign in enumerate(shades[:_MOST]))
    yield f"Findings: {', '.join((*signs, f'{shades[_MOST]} {most}'))}"
    # a row has room for its signs, set apart where the line is long enough
    names = [f"{study}/{arm}" for study, arm in zip(table["study"], table["arm"], strict=True)]
    wide = max(map(len, names), default=0)
    between = " " if wide + 2 * len(letters) + 2 <= screen.width() else ""
    header = f" {'':<{wide}}  {between.join(letters.values())}"
    for infusion, words in _INFUSIONS.items():
        chosen = (table["infusion"] == infusion).tolist()
        if not any(chosen):
            continue
        yield ""
        yield f"{words}: {count_of(sum(chosen), 'arm')}"
        yield ""
        yield header
        for name, here, cells in zip(
            names, chosen, table[[*letters]].itertuples(index=False, name=None), strict=True
        ):
            if here:
                signs_ = between.join(shades[min(int(number), _MOST)] for number in cells)
                yield f" {name:<{wide}}  {signs_}"


_INFUSIONS = {
    "first": "First infusion",
    "retreatment": "Re-treatment",
    "mixed": "First and later infusions together",
}


def _can_write(text: str) -> bool:
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True
