"""The same verbs in the shell."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import typer
from pydantic import ValidationError

import metacart as mc
from metacart import screen
from metacart.commands import figures, fits, questions, studies
from metacart.commands.options import FAULTY, INTERRUPTED, OK
from metacart.errors import Fault, InputError

__all__ = ["main"]

app = typer.Typer(
    name="metacart",
    help="Bayesian meta-analysis of CAR-T studies, with the place of every number.",
    epilog="Example: metacart report",
    add_completion=False,
    rich_markup_mode=None,  # the panels of rich take longer to import than everything else
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(studies.app, name="studies")
app.add_typer(questions.app)
app.add_typer(fits.app)
app.add_typer(figures.app)


def _show_version(wanted: bool) -> None:
    if wanted:
        screen.say(f"metacart {mc.__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> int:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        return FAULTY
    return OK


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Parameters
    ----------
    arguments : sequence of str, optional
        Instead of those of the process.

    Returns
    -------
    int
        2 for a faulty input or option, 1 where a fit failed the convergence gate, 130 after
        Ctrl-C, else 0.
    """
    with _calm():
        try:
            return int(app(args=arguments, prog_name="metacart", standalone_mode=False) or OK)
        except InputError as error:
            screen.show_faults(error.faults)
            return FAULTY
        except typer.TyperException as error:
            screen.show_faults([_usage(error)])
            return FAULTY
        except (KeyboardInterrupt, typer.Abort):
            return INTERRUPTED
        except OSError as error:
            screen.note(f"{error.filename or 'metacart'}: {error.strerror or error}")
            return FAULTY


@contextmanager
def _calm() -> Iterator[None]:
    """Keep the screen free of what libraries say to programmers, and of windows."""
    os.environ.setdefault("MPLBACKEND", "Agg")
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            if not sys.warnoptions:
                warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def _usage(error: typer.TyperException) -> Fault:
    """Return what is wrong with the command line itself."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "metacart"
    attempt = f"{command} --help"
    parameter, cause = getattr(error, "param", None), error.__cause__
    if parameter is not None and isinstance(cause, ValidationError):
        wrong = cause.errors()[0]
        allowed = wrong["msg"].removeprefix("Input should be ").partition(",")[0]
        place = f"{command}: {parameter.get_error_hint()}".replace("'", "")
        return Fault(place, f"'{wrong['input']}'", allowed, attempt)
    return Fault(command, error.format_message().rstrip("."), attempt=attempt)
