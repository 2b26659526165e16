"""``metacart studies export | manifest | diff``: the evidence elsewhere, pinned, and compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import metacart as mc
from metacart import screen
from metacart.commands.options import FAULTY, OK, Folders, Models, folders_of, read_question
from metacart.errors import Fault, InputError, collected, refuse_unknown
from metacart.screen import count_of

__all__ = ["app"]

app = typer.Typer()
_FORMATS = "csv, json, revman-csv or metafor"


@app.command(epilog="Example: metacart studies export --format metafor --model cr_rate")
def export(
    wanted: Annotated[str, typer.Option("--format", metavar="WORD", help=f"{_FORMATS}.")] = "csv",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Instead of standard output.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="SPEC", help="Only what this question uses: a name or a path."),
    ] = None,
    studies: Folders = None,
    models: Models = None,
) -> int:
    """Write what studies report for another program.

    csv: a row a finding, with every key of its paper, arm and value as a column. json: the studies
    as they are. revman-csv: comparisons as data rows of RevMan Web. metafor: xi, ni of whole arms,
    ai, bi, ci, di of comparisons, yi, vi of ratios and survival, for escalc and rma in R. Without
    --model every finding is a row, also such as must not be pooled together.
    """
    from metacart.evidence.exchange.export import FORMATS, exported
    from metacart.evidence.exchange.writing import write_files

    faults: list[Fault] = []
    with collected(faults):
        refuse_unknown("--format", wanted, FORMATS)
    with collected(faults):
        if model is None:
            question, collection = None, mc.load_studies(*folders_of(studies))
        else:
            question, collection = read_question(model, studies, models)
    if faults:
        raise InputError(faults)
    made = exported(collection, wanted, question)
    if out is None:
        screen.write(made.text)
    else:
        write_files({out: made.text}, replace=True)
        screen.say(str(out))
    left = f"; {count_of(made.left_out, 'finding')} without a place there" if made.left_out else ""
    screen.note(f"{count_of(made.rows, 'finding')} for {wanted}{left}")
    return OK


@app.command(epilog="Example: metacart studies manifest my_folder --write")
def manifest(
    # as text: an empty path would become that of this folder
    folder: Annotated[
        str | None,
        typer.Argument(
            metavar="[DIR]", help="A folder of study files; the bundled one by default."
        ),
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="Pin the files as they are now.")] = False,
) -> int:
    """Hold study files against their pinned hashes, or pin them anew."""
    from metacart.evidence.source import as_path
    from metacart.evidence.versions.manifest import (
        evidence_hash,
        hashes_of,
        manifest_faults,
        write_manifest,
    )

    place = mc.BUNDLED if folder is None else as_path(folder, name="DIR")
    if write:
        screen.say(str(write_manifest(place)))
    elif faults := manifest_faults(place):
        screen.show_faults(faults, err=False)
        screen.note(f"{count_of(len(faults), 'file')} not as pinned")
        return FAULTY
    hashes = hashes_of(place)
    files = count_of(len(hashes), "file")
    screen.say(f"{files} as pinned; evidence SHA-256 {evidence_hash(hashes)}")
    return OK


@app.command(epilog="Example: metacart studies diff last_year/studies my_studies")
def diff(
    # as text: an empty path would become that of this folder
    before: Annotated[str, typer.Argument(metavar="A", help="The earlier folder or file.")],
    after: Annotated[str, typer.Argument(metavar="B", help="The later one.")],
) -> int:
    """Say what changed between two versions of the evidence.

    'bundled' stands for the evidence of metacart.
    """
    from metacart.evidence.versions.difference import changes

    found = changes(*folders_of([before, after]))
    for change in found:
        screen.say(change.words)
    studies = len({change.study for change in found})
    if found:
        screen.note(f"{count_of(len(found), 'change')} in {count_of(studies, 'study')}")
    else:
        screen.note("nothing changed")
    return OK
