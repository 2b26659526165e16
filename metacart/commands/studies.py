"""``metacart studies``: what the study files hold, and whether they can be right."""

from __future__ import annotations

from typing import Annotated

import typer

import metacart as mc
from metacart import screen
from metacart.commands import study_files, study_maps, study_versions
from metacart.commands.listing import entries, outcome_table, study_table
from metacart.commands.options import FAULTY, OK, Folders, folders_of
from metacart.commands.paper_words import show_study
from metacart.errors import Fault, InputError, did_you_mean, nearest
from metacart.screen import count_of

__all__ = ["app"]

app = typer.Typer(
    epilog="Example: metacart studies --infusion retreatment --outcome complete_remission"
)


def _filter(name: str, words: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(
        f"--{name}", metavar="WORD", help=f"Only {words}; may be repeated."
    )
    return option


@app.callback(invoke_without_command=True)
def studies(
    context: typer.Context,
    studies: Folders = None,
    outcome: Annotated[list[str] | None, _filter("outcome", "arms that report it")] = None,
    infusion: Annotated[
        list[str] | None, _filter("infusion", "arms of a first, retreatment or mixed infusion")
    ] = None,
    target: Annotated[list[str] | None, _filter("target", "arms with this target: CD19")] = None,
    scfv: Annotated[list[str] | None, _filter("scfv", "arms with such a binder: murine")] = None,
    cohort: Annotated[list[str] | None, _filter("cohort", "papers on the same patients")] = None,
) -> int:
    """List the studies, or work on study files."""
    asked = {
        "outcome": outcome or [],
        "infusion": infusion or [],
        "target": target or [],
        "scfv": scfv or [],
        "cohort": cohort or [],
    }
    given = [f"--{name}" for name, words in {"studies": studies, **asked}.items() if words]
    if context.invoked_subcommand is not None:
        if given:
            attempt = f"metacart studies {context.invoked_subcommand} --help"
            raise InputError(
                Fault(name, f"stands before '{context.invoked_subcommand}'", attempt=attempt)
                for name in given
            )
        return OK
    collection = mc.load_studies(*folders_of(studies))
    found = entries(collection, asked)
    table = study_table(found, collection, width=screen.width())
    screen.show_table(table)
    chosen = any(asked.values())
    if not chosen:
        screen.show_table(outcome_table(collection))
    findings = sum(len(entry.findings) for entry in found)
    total = f"{count_of(len(found), 'study')}, {count_of(findings, 'finding')}"
    if chosen:
        total += f" of arms that fit; {count_of(len(collection), 'study')} in all"
    screen.show_words(f"{total}; `metacart vocabulary` says what the words mean")
    cells = [str(cell) for row in table.rows for cell in row.cells]
    if any(cell.endswith("*") for cell in cells):
        screen.show_words("* with arms of which only the enrolled or the evaluable are known")
    if any(column.heading == "cohort" for column in table.columns):
        screen.show_words("cohort: its papers report on the same patients")
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


@app.command(epilog="Example: metacart studies show an2022")
def show(
    study: Annotated[
        str, typer.Argument(metavar="ID", help="The id of a study, as `metacart studies` lists it.")
    ],
    studies: Folders = None,
) -> int:
    """Show one paper: its arms, and each number with its place."""
    collection = mc.load_studies(*folders_of(studies))
    if study not in collection.ids:
        within = next((name for name in collection.ids if study.casefold() in name), "")
        hint = did_you_mean(within) if within else nearest(study, collection.ids)
        allowed = "an id that `metacart studies` lists"
        raise InputError(Fault("ID", f"'{study}' is not known", allowed, hint))
    show_study(collection[study], collection)
    return OK


app.add_typer(study_files.app)
app.add_typer(study_maps.app)
app.add_typer(study_versions.app)
