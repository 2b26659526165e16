"""The same verbs in the shell."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError

import metacart as mc
from metacart import screen, shell
from metacart.errors import Fault, InputError, collected, nearest
from metacart.inference.arguments import LARGEST_SEED
from metacart.report import DEFAULT_SEED
from metacart.screen import count_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["main"]

OK, NOT_CONVERGED, FAULTY, INTERRUPTED = 0, 1, 2, 130
_BUNDLED = "bundled"

app = typer.Typer(
    name="metacart",
    help="Bayesian meta-analysis of CAR-T studies, with the place of every number.",
    epilog="Example: metacart report",
    add_completion=False,
    rich_markup_mode=None,  # the panels of rich take longer to import than everything else
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
studies_app = typer.Typer()
app.add_typer(studies_app, name="studies", epilog="Example: metacart studies --studies my_folder")

Question = Annotated[
    str,
    typer.Argument(metavar="SPEC", help="The name of a shipped model, or the path of a .toml."),
]
Folders = Annotated[
    list[str] | None,
    typer.Option(
        "--studies",
        metavar="DIR",
        help="A folder of study files instead of the bundled ones; may be repeated, and "
        f"'{_BUNDLED}' stands for those.",
    ),
]
Models = Annotated[
    Path | None,
    typer.Option("--models", metavar="DIR", help="Where models are looked up by name."),
]
Seed = Annotated[
    int,
    typer.Option(min=0, max=LARGEST_SEED, metavar="N", help="The same seed, the same numbers."),
]
Draws = Annotated[int, typer.Option(min=1, metavar="N", help="Draws kept in each of four chains.")]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Only results and faults: no progress, no notes.")
]


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


@studies_app.callback(invoke_without_command=True)
def studies(context: typer.Context, studies: Folders = None) -> int:
    """List the studies, or check study files."""
    if context.invoked_subcommand is not None:
        if studies:
            raise InputError(
                Fault("--studies", "stands before 'check'", "metacart studies check PATH…")
            )
        return OK
    collection = mc.load_studies(*_folders(studies))
    for table in shell.study_tables(collection):
        screen.show_table(table)
    findings = sum(len(study.findings) for study in collection)
    total = f"{count_of(len(collection), 'study')}, {count_of(findings, 'finding')}"
    screen.show_words(f"{total}; `metacart vocabulary` says what the outcomes are")
    if collection.warnings:
        warned = count_of(len(collection.warnings), "warning")
        screen.note(f"{warned} about the studies: `metacart studies check` lists them")
    return OK


@studies_app.command(epilog="Example: metacart studies check my_folder/doe2024.toml")
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


@app.command(epilog="Example: metacart vocabulary")
def vocabulary(studies: Folders = None) -> int:
    """Show the words of study files and models: outcomes, exposures, populations."""
    for table in shell.vocabulary_tables(mc.load_studies(*_folders(studies)).vocabulary):
        screen.show_table(table)
    return OK


@app.command(epilog="Example: metacart account cr_rate")
def account(spec: Question, studies: Folders = None, models: Models = None) -> int:
    """Show which findings a model uses, and by which rule it leaves others out."""
    question, collection = _read(spec, studies, models)
    for table in shell.account_tables(question, collection):
        screen.show_table(table)
    return OK


@app.command(epilog="Example: metacart fit cr_rate --out cr_rate.nc")
def fit(
    spec: Question,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The fit as netCDF: FILE.nc.")],
    studies: Folders = None,
    models: Models = None,
    seed: Seed = DEFAULT_SEED,
    draws: Draws = 4000,
    quiet: Quiet = False,
) -> int:
    """Fit a model, show its estimands, save the fit."""
    question, collection = _read(spec, studies, models, lambda: _check_out(out, (".nc",)))
    result = _fit(question, mc.tabulate(collection, question), draws, seed, quiet)
    mc.save_fit(result, out)
    shell.show_fit(result, collection, shell.fit_tables(result))
    return _verdict(result, out, quiet)


@app.command(epilog="Example: metacart forest cr_rate --out cr_rate.svg")
def forest(
    spec: Question,
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="The figure: FILE.svg, FILE.png or FILE.pdf.")
    ],
    studies: Folders = None,
    models: Models = None,
    seed: Seed = DEFAULT_SEED,
    draws: Draws = 4000,
    quiet: Quiet = False,
) -> int:
    """Fit a model and draw its forest plot."""
    formats = (".svg", ".png", ".pdf")
    question, collection = _read(spec, studies, models, lambda: _check_out(out, formats))
    result = _fit(question, mc.tabulate(collection, question), draws, seed, quiet)
    mc.plot_forest(result, file=out)
    shell.show_fit(result, collection, [shell.forest_rows(result)])
    return _verdict(result, out, quiet)


@app.command(epilog="Example: metacart compare my_models/again_cr.toml infusion retreatment first")
def compare(
    spec: Question,
    moderator: Annotated[
        str, typer.Argument(metavar="MODERATOR", help="One of the model's moderators.")
    ],
    level: Annotated[str, typer.Argument(metavar="LEVEL", help="The level in question.")],
    reference: Annotated[
        str, typer.Argument(metavar="REFERENCE", help="The level it is compared with.")
    ],
    studies: Folders = None,
    models: Models = None,
    seed: Seed = DEFAULT_SEED,
    draws: Draws = 4000,
    quiet: Quiet = False,
) -> int:
    """Fit a model and compare two levels of a moderator."""
    question, collection = _read(spec, studies, models)
    evidence = mc.tabulate(collection, question)
    _check_levels(question, evidence, moderator, level, reference)
    result = _fit(question, evidence, draws, seed, quiet)
    from metacart.report.result_tables import contrast_table

    table = mc.contrast(result, moderator, level, reference)
    shown = [shell.level_rows(result, moderator, level, reference), contrast_table(table)]
    shell.show_fit(result, collection, shown, contrasts={moderator: table})
    return _verdict(result, None, quiet)


@app.command(epilog="Example: metacart report cr_rate severe_crs --out two_questions")
def report(
    specs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SPEC…]", help="Names or paths of models; all by default."),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder of the page.")] = Path(
        "report"
    ),
    studies: Folders = None,
    models: Models = None,
    seed: Seed = DEFAULT_SEED,
    quiet: Quiet = False,
) -> int:
    """Answer the questions on one page."""
    progress = False if quiet else None
    written = mc.report(
        specs or None,
        out=out,
        studies=_folders(studies) or None,
        models=models,
        seed=seed,
        progress=progress,
    )
    screen.say(str(written.page))
    if not quiet:
        screen.note(f"{count_of(len(written.answered), 'question')} answered, seed {written.seed}")
        for name in written.unanswered:
            screen.note(f"warning: {name}: this evidence cannot answer it; the page says why")
    for name in written.failed:
        screen.note(f"{name}: not converged, must not be used; the page says why")
    return OK if written.converged else NOT_CONVERGED


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
        except KeyboardInterrupt:
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


def _read(
    spec: str,
    studies: Sequence[str] | None,
    models: Path | None,
    *checks: Callable[[], None],
) -> tuple[mc.ModelSpec, mc.Studies]:
    """Return the question and the studies, or every fault of these and of the options."""
    faults: list[Fault] = []
    question = collection = None
    for check_option in checks:
        with collected(faults):
            check_option()
    with collected(faults):
        question = mc.load_model(spec, folder=models)
    with collected(faults):
        collection = mc.load_studies(*_folders(studies))
    if question is not None and collection is not None:
        from metacart.modelling.check import question_faults

        faults += question_faults(question, collection)
    if question is None or collection is None or faults:
        raise InputError(faults)
    return question, collection


def _folders(studies: Sequence[str] | None) -> list[str | Path]:
    return [mc.BUNDLED if folder == _BUNDLED else folder for folder in studies or ()]


def _check_out(out: Path, formats: Sequence[str]) -> None:
    """Refuse a file that cannot be written before anything is fitted."""
    allowed = "a file ending in " + " or ".join(formats)
    if out.suffix not in formats:
        hint = nearest(out.suffix, formats) or f"{out.stem or 'result'}{formats[0]}"
        raise InputError(Fault("--out", f"'{out}'", allowed, hint))
    if out.is_dir():
        raise InputError(Fault("--out", f"'{out}' is a folder", allowed))
    above = next(folder for folder in out.absolute().parents if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise InputError(Fault("--out", f"'{above}' cannot be written to", "a folder of yours"))


def _check_levels(
    question: mc.ModelSpec, evidence: pd.DataFrame, moderator: str, level: str, reference: str
) -> None:
    """Refuse a comparison that the evidence does not hold before anything is fitted."""
    from metacart.modelling.moderators import read_moderators

    moderators = {item.name: item for item in read_moderators(question, evidence)}
    if moderator not in moderators:
        raise InputError(
            Fault(
                "MODERATOR",
                f"'{moderator}' is not in {question.name}",
                ", ".join(moderators) or "none: the model has no moderators",
                nearest(moderator, moderators) or "name it in the model's `moderators`",
            )
        )
    faults: list[Fault] = []
    for place, value in (("LEVEL", level), ("REFERENCE", reference)):
        with collected(faults):
            moderators[moderator].code([value], place=place)
    if level == reference:
        faults.append(Fault("LEVEL", f"'{level}' against itself", "two different levels"))
    if faults:
        raise InputError(faults)


def _fit(
    question: mc.ModelSpec, evidence: pd.DataFrame, draws: int, seed: int, quiet: bool
) -> xr.DataTree:
    if sys.stderr.isatty() and not quiet:
        screen.note(f"fitting {question.name} to {count_of(len(evidence), 'finding')} …")
    progress = False if quiet else None
    return mc.fit(question, evidence, draws=draws, seed=seed, progress=progress)


def _verdict(result: xr.DataTree, out: Path | None, quiet: bool) -> int:
    """Say what to think of the fit and where it went, and return the exit status."""
    if not quiet:
        for surprise in shell.surprises(result):
            screen.note(f"warning: {surprise}")
        if out is not None:
            screen.note(f"wrote {out}")
    if result.attrs["converged"]:
        return OK
    screen.note(f"not converged, must not be used: {result.attrs['gate']}")
    return NOT_CONVERGED
