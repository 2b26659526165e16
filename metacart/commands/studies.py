"""``metacart studies``: what the study files hold, and whether they can be right."""

from __future__ import annotations

from typing import Annotated

import typer

import metacart as mc
from metacart import screen
from metacart.commands.options import FAULTY, OK, Folders, folders_of
from metacart.commands.study_words import study_tables
from metacart.errors import Fault, InputError
from metacart.screen import count_of

__all__ = ["app"]

app = typer.Typer(epilog="Example: metacart studies --studies my_folder")


@app.callback(invoke_without_command=True)
def studies(context: typer.Context, studies: Folders = None) -> int:
    """List the studies, or check study files."""
    if context.invoked_subcommand is not None:
        if studies:
            raise InputError(
                Fault("--studies", "stands before 'check'", "metacart studies check PATH…")
            )
        return OK
    collection = mc.load_studies(*folders_of(studies))
    for table in study_tables(collection):
        screen.show_table(table)
    findings = sum(len(study.findings) for study in collection)
    total = f"{count_of(len(collection), 'study')}, {count_of(findings, 'finding')}"
    screen.show_words(f"{total}; `metacart vocabulary` says what the outcomes are")
    if collection.warnings:
        warned = count_of(len(collection.warnings), "warning")
        screen.note(f"{warned} about the studies: `metacart studies check` lists them")
    return OK


@app.command(epilog="Example: metacart studies check my_folder/doe2024.toml")
def check(
    # as text: an empty path would become that of this folder
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="PATH…", help="Study files, or folders.")
    ] = None,
) -> int:
    """List every fault of study files."""
    faults = mc.check_studies(*(paths or ()))
    screen.show_faults(faults, err=False)
    errors = [fault for fault in faults if fault.severity == "error"]
    warned = len(faults) - len(errors)
    more = f", {count_of(warned, 'warning')}" if warned else ""
    if errors:
        screen.note(count_of(len(errors), "fault") + more)
        return FAULTY
    files = count_of(len(mc.load_studies(*(paths or ()))), "file")
    screen.say(f"{files}, no faults{more}")
    return OK
