"""``metacart studies new | schema | import``: study files that come to be."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

import metacart as mc
from metacart import screen
from metacart.commands.options import OK
from metacart.errors import Fault, InputError

__all__ = ["app"]

app = typer.Typer()


@app.command(epilog="Example: metacart studies new doe2024 --doi 10.1000/xyz --out my_folder")
def new(
    name: Annotated[
        str,
        typer.Argument(metavar="ID", help="First author and year, such as doe2024: the file name."),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder of the file.")] = Path(),
    doi: Annotated[str | None, typer.Option(metavar="DOI", help="As 10.1000/xyz.")] = None,
    pmid: Annotated[str | None, typer.Option(metavar="N", help="The number in PubMed.")] = None,
    registration: Annotated[
        list[str] | None,
        typer.Option(metavar="WORD", help="Of the trial, such as NCT01234567; may be repeated."),
    ] = None,
    title: Annotated[str | None, typer.Option(metavar="TEXT", help="As printed.")] = None,
    author: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="As 'Surname AB'; may be repeated."),
    ] = None,
    journal: Annotated[str | None, typer.Option(metavar="TEXT", help="Where it appeared.")] = None,
    year: Annotated[int | None, typer.Option(metavar="N", help="When it appeared.")] = None,
    template: Annotated[
        bool, typer.Option("--template", help="Ask nothing: write a template to fill in.")
    ] = False,
) -> int:
    """Start a study file: by questions on a terminal, or a template.

    In a template what is not known stands empty or as a comment; `studies check` lists it. No
    number is made up to pass the check: it could end up in an answer. What the questions write has
    passed the check. A file that exists is not replaced.
    """
    from metacart.commands.form import ask_study
    from metacart.commands.template import template as template_of
    from metacart.evidence.exchange.flat import in_order
    from metacart.evidence.exchange.writing import faults_of_new, study_text, write_files

    known = {
        "title": title,
        "authors": author,
        "journal": journal,
        "year": year,
        "doi": doi,
        "pmid": pmid,
        "registrations": registration,
    }
    citation = {key: value for key, value in known.items() if value}
    path = out / f"{name}.toml"
    faults = [*_option_faults(name, citation), *faults_of_new([path])]
    if faults:
        raise InputError(faults)
    _note_known(name, doi)
    if sys.stdin.isatty() and sys.stdout.isatty() and not template:
        text = study_text(in_order(ask_study(name, citation), mc.Study))
        hint = "sound as it is; more keys and values may be added by hand"
    else:
        text = template_of(name, citation)
        hint = f"`metacart studies check {path}` lists what is to fill in"
    write_files({path: text})
    screen.say(str(path))
    screen.note(hint)
    return OK


_OPTIONS = {"authors": "--author", "registrations": "--registration", "id": "ID"}


def _option_faults(name: str, citation: dict[str, Any]) -> list[Fault]:
    """Return what cannot stand in a file of what was given on the command line."""
    try:
        mc.Study.from_mapping({"id": name, "citation": citation})
    except InputError as error:
        faults = []
        for fault in error.faults:
            key = fault.place.removeprefix("citation.").partition("[")[0]
            if key == "id" or (fault.place.startswith("citation.") and key in citation):
                option = _OPTIONS.get(key, f"--{key}")
                faults.append(Fault(option, fault.found, fault.allowed, fault.attempt))
        return faults
    return []


def _note_known(name: str, doi: str | None) -> None:
    for study in mc.load_studies():
        same = doi is not None and (study.citation.doi or "").casefold() == doi.casefold()
        if same or study.id == name:
            what = "DOI" if same else "id"
            screen.note(f"warning: the bundled {study.id} has this {what} already")


@app.command(epilog="Example: metacart studies schema --out my_folder/study.schema.json")
def schema(
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write it there, in the place of an older one."),
    ] = None,
) -> int:
    """Print the JSON Schema by which editors check study files."""
    from metacart.evidence.exchange.writing import write_files
    from metacart.records.schema import study_schema

    if out is None:
        screen.write(study_schema())
    else:
        write_files({out: study_schema()}, replace=True)
        screen.say(str(out))
    return OK


@app.command("import", epilog="Example: metacart studies import counts.csv --out my_studies")
def import_table(
    # as text: an empty path would become that of this folder
    table: Annotated[
        str, typer.Argument(metavar="TABLE", help="A .csv, its first row the names of columns.")
    ],
    out: Annotated[str, typer.Option(metavar="DIR", help="The folder of the study files.")],
) -> int:
    """Turn a spreadsheet of counts into study files.

    A row is one reported count. These columns are needed: study (its id), title, authors, year, one
    of doi, pmid, registrations; study_design; arm (its id), disease, infusion, scfv; enrolled,
    infused, evaluable or responders, whichever is counted; outcome, population, events, total, at
    (the place in the paper).

    Others may stand beside them: journal, cohort, centres, countries, enrolment_from, enrolment_to;
    arm_label, reason, prior_scfv, same_product, targets, costimulation; timepoint, grading,
    printed, note; attributes.NAME for a column of your own, and all others of `metacart studies
    export`.

    Several entries of a cell are parted by semicolons. What holds for a paper or an arm may stand
    in its first row alone. Every fault is listed by row and column, and then nothing is written.
    Files that exist are not replaced.
    """
    files = mc.import_studies(table, out=out)
    for path in files:
        screen.say(str(path))
    screen.note(f"{screen.count_of(len(files), 'file')} written, no faults")
    return OK
