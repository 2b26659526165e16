"""What can be asked of the studies, and which findings answer."""

from __future__ import annotations

import typer

import metacart as mc
from metacart import screen
from metacart.commands.fit_words import account_tables
from metacart.commands.options import OK, Folders, Models, Question, folders_of, read_question
from metacart.commands.vocabulary_words import vocabulary_tables

__all__ = ["app"]

app = typer.Typer()


@app.command(epilog="Example: metacart vocabulary")
def vocabulary(studies: Folders = None) -> int:
    """Show the words of study files and models, with their meaning."""
    for table in vocabulary_tables(mc.load_studies(*folders_of(studies)).vocabulary):
        screen.show_table(table)
    return OK


@app.command(epilog="Example: metacart account cr_rate")
def account(spec: Question, studies: Folders = None, models: Models = None) -> int:
    """Show which findings a model uses, and why others are left out."""
    question, collection = read_question(spec, studies, models)
    for table in account_tables(question, collection):
        screen.show_table(table)
    return OK
