"""Fits: of one question with its estimands, forest or comparison, and of several on a page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import metacart as mc
from metacart import screen
from metacart.commands.fit_words import (
    fit_tables,
    forest_rows,
    level_rows,
    prediction_rows,
    show_agreement,
    show_fit,
)
from metacart.commands.fitting import check_stated, fit_question, give_verdict, tell_kept
from metacart.commands.options import (
    NOT_CONVERGED,
    OK,
    Draws,
    Folders,
    Fresh,
    Kept,
    Models,
    Question,
    Quiet,
    Seed,
    Stated,
    cache_in,
    check_look,
    check_out,
    check_width,
    folders_of,
    in_options,
    read_question,
    stated_values,
)
from metacart.commands.workers import workers
from metacart.errors import Fault, InputError, collected, nearest
from metacart.report import DEFAULT_SEED
from metacart.screen import count_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["app"]

app = typer.Typer()


@app.command(epilog="Example: metacart fit cr_rate --out cr_rate.nc")
def fit(
    spec: Question,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The fit as netCDF: FILE.nc.")],
    studies: Folders = None,
    models: Models = None,
    seed: Seed = DEFAULT_SEED,
    draws: Draws = 4000,
    agreement: Annotated[
        bool,
        typer.Option("--agreement", help="Draw it by NUTS too, and show how far they are apart."),
    ] = False,
    cache: Kept = None,
    fresh: Fresh = False,
    quiet: Quiet = False,
) -> int:
    """Fit a model, show its estimands, save the fit."""
    checks = (lambda: check_out(out, (".nc",))), (lambda: cache_in(cache))
    question, collection = read_question(spec, studies, models, *checks)
    kept = cache_in(cache, fresh=fresh, quiet=quiet)
    result = fit_question(
        question, mc.tabulate(collection, question), seed=seed, draws=draws, cache=kept, quiet=quiet
    )
    mc.save_fit(result, out)
    contrasts = {
        " ".join(map(str, each)): mc.contrast(result, *each) for each in question.contrasts
    }
    compared = _compared(result, kept, quiet) if agreement else None
    show_fit(result, collection, fit_tables(result, collection, kept), contrasts=contrasts)
    if compared is not None:
        show_agreement(compared)
    return give_verdict(result, out, quiet)


@app.command(
    epilog="Example: metacart forest cr_rate --out cr_rate.svg; as a journal prints it: "
    "metacart forest cr_rate --out cr_rate.pdf --layout bmj --sort year --width 7"
)
def forest(
    specs: Annotated[
        list[str],
        typer.Argument(
            metavar="SPEC",
            help="The name of a shipped model, or the path of a .toml; several stand side by side.",
        ),
    ],
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="The figure: FILE.svg, FILE.png or FILE.pdf.")
    ],
    layout: Annotated[
        str | None, typer.Option(metavar="NAME", help="default, revman, jama or bmj.")
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Columns from the left, with commas between: study,year,forest,effect; also "
            "columns of the evidence.",
        ),
    ] = None,
    sort: Annotated[
        str | None, typer.Option(metavar="NAME", help="name, year, effect, weight or precision.")
    ] = None,
    axis: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of rates: percent or logit.")
    ] = None,
    prediction: Annotated[
        str | None, typer.Option(metavar="NAME", help="The next study as a bar or a density.")
    ] = None,
    width: Annotated[
        float | None, typer.Option(metavar="INCHES", help="How wide the figure is.")
    ] = None,
    studies: Folders = None,
    models: Models = None,
    seed: Seed = DEFAULT_SEED,
    draws: Draws = 4000,
    cache: Kept = None,
    fresh: Fresh = False,
    quiet: Quiet = False,
) -> int:
    """Fit a model, or several, and draw the forest plot."""
    look = {"layout": layout, "sort": sort, "axis": axis, "prediction": prediction}
    names = None if columns is None else [name.strip() for name in columns.split(",")]

    faults: list[Fault] = []
    with collected(faults):
        check_out(out, (".svg", ".png", ".pdf"))
    for option, value in look.items():
        with collected(faults):
            check_look(option, value)
    with collected(faults):
        check_width(width)
    with collected(faults):
        cache_in(cache)
    questions = []
    for spec in specs:
        with collected(faults):
            question, collection = read_question(spec, studies, models)
            questions.append((question, mc.tabulate(collection, question)))
    given = [question.name for question, _ in questions]
    faults += [
        Fault("SPEC", f"'{name}' stands twice", "each model once, under an id of its own")
        for name in dict.fromkeys(given)
        if given.count(name) > 1
    ]
    if faults:
        # what several models have in common, such as their studies, is told once
        raise InputError(dict.fromkeys(faults))
    if names is not None:
        from metacart.plots.forest_columns import check_columns

        further = [str(column) for _, table in questions for column in table.columns]
        check_columns(names, [*dict.fromkeys(further)], option="--columns")
    kept = cache_in(cache, fresh=fresh, quiet=quiet)
    fits = [
        fit_question(question, table, seed=seed, draws=draws, cache=kept, quiet=quiet)
        for question, table in questions
    ]
    titles = [question.title or str(question.name) for question, _ in questions]
    if len({*titles}) < len(titles):
        titles = [str(question.name) for question, _ in questions]
    with in_options("axis", "width"):
        mc.plot_forest(
            fits[0] if len(fits) == 1 else dict(zip(titles, fits, strict=True)),
            studies=collection,
            file=out,
            columns=names,
            width=width,
            layout=layout or "default",
            sort=sort,
            axis=axis,
            prediction="density" if prediction == "density" else "bar",
        )
    statuses = []
    for each in fits:
        show_fit(each, collection, [forest_rows(each)])
        statuses.append(give_verdict(each, out if each is fits[-1] else None, quiet))
    return max(statuses)


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
    cache: Kept = None,
    fresh: Fresh = False,
    quiet: Quiet = False,
) -> int:
    """Fit a model and compare two levels of a moderator."""
    question, collection = read_question(spec, studies, models, lambda: cache_in(cache))
    evidence = mc.tabulate(collection, question)
    _check_levels(question, evidence, moderator, level, reference)
    kept = cache_in(cache, fresh=fresh, quiet=quiet)
    result = fit_question(question, evidence, seed=seed, draws=draws, cache=kept, quiet=quiet)
    from metacart.report.result_tables import contrast_table

    table = mc.contrast(result, moderator, level, reference)
    shown = [level_rows(result, moderator, level, reference), contrast_table(table)]
    show_fit(result, collection, shown, contrasts={moderator: table})
    return give_verdict(result, None, quiet)


@app.command(
    epilog="Example: metacart predict retreatment_cr --at scfv=humanized,murine; a curve as a "
    "table: metacart predict my_models/by_age.toml --at age=5,10,20,40 --out curve.csv"
)
def predict(
    spec: Question,
    at: Stated = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Every digit too: FILE.csv.")
    ] = None,
    studies: Folders = None,
    models: Models = None,
    seed: Seed = DEFAULT_SEED,
    draws: Draws = 4000,
    cache: Kept = None,
    fresh: Fresh = False,
    quiet: Quiet = False,
) -> int:
    """Fit a model and answer at stated values of its moderators.

    Several values with commas between give a row each, of two moderators a row for each pair. A
    moderator that is not named is averaged over the evidence.
    """
    from metacart.evidence.exchange.writing import write_files
    from metacart.inference.one_mean import refuse_several

    points = stated_values(at, several=True)
    checks: list[Callable[[], object]] = [lambda: cache_in(cache)]
    if out is not None:
        checks.append(lambda: check_out(out, (".csv",)))
    question, collection = read_question(spec, studies, models, *checks)
    refuse_several(mc.predict, question, "SPEC")
    evidence = mc.tabulate(collection, question)
    check_stated(question, evidence, points)
    kept = cache_in(cache, fresh=fresh, quiet=quiet)
    result = fit_question(question, evidence, seed=seed, draws=draws, cache=kept, quiet=quiet)
    table = mc.predict(result, at=points)
    show_fit(result, collection, [prediction_rows(result, table)])
    if out is not None:
        write_files({out: table.to_csv(index=False)}, replace=True)
    return give_verdict(result, out, quiet)


@app.command(epilog="Example: metacart report cr_rate severe_crs --out two_questions")
def report(
    specs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SPEC…]", help="Names or paths of models; all by default."),
    ] = None,
    # as text: an empty path would become that of this folder
    out: Annotated[str, typer.Option(metavar="DIR", help="The folder of the page.")] = "report",
    studies: Folders = None,
    models: Models = None,
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format", metavar="FORMAT", help="Beside the page: md, csv or docx; may be repeated."
        ),
    ] = None,
    script: Annotated[
        bool, typer.Option("--script", help="Also figures.py, which draws each figure again.")
    ] = False,
    seed: Seed = DEFAULT_SEED,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="How many questions at a time; by default one a processor, at most four.",
        ),
    ] = None,
    cache: Kept = None,
    fresh: Fresh = False,
    quiet: Quiet = False,
) -> int:
    """Answer the questions on one page."""
    progress = False if quiet else None
    kept = cache_in(cache, fresh=fresh, quiet=quiet)
    with workers(jobs, len(specs) if specs else None) as executor:
        written = mc.report(
            specs or None,
            out=out,
            studies=folders_of(studies) or None,
            models=models,
            formats=formats or "html",
            script=script,
            seed=seed,
            executor=executor,
            cache=kept,
            progress=progress,
        )
    screen.say(str(written.page))
    if not quiet:
        screen.note(f"{count_of(len(written.answered), 'question')} answered, seed {written.seed}")
        tell_kept(kept)
        for name in written.unanswered:
            screen.note(f"warning: {name}: this evidence cannot answer it; the page says why")
    for name in written.failed:
        screen.note(f"{name}: not converged, must not be used; the page says why")
    return OK if written.converged else NOT_CONVERGED


@app.command(epilog="Example: metacart cache --clear")
def cache(
    folder: Kept = None,
    clear: Annotated[bool, typer.Option("--clear", help="Remove what is kept.")] = False,
) -> int:
    """Show, or remove, the fits and figures that are kept."""
    kept = cache_in(folder)
    if kept is None:
        screen.say("no folder of yours keeps fits")
        return OK
    size = f"{kept.size() / 1e6:.1f} MB"
    number = kept.clear() if clear else len(kept.files())
    screen.say(f"{kept.folder}: {count_of(number, 'file')}, {size}{', removed' * clear}")
    return OK


def _check_levels(
    question: mc.ModelSpec, evidence: pd.DataFrame, moderator: str, level: str, reference: str
) -> None:
    """Refuse a comparison that the evidence does not hold before anything is fitted."""
    from metacart.modelling.moderators import main_effects
    from metacart.modelling.reading_moderators import read_moderators

    moderators = {item.name: item for item in main_effects(read_moderators(question, evidence))}
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


def _compared(fit: xr.DataTree, cache: mc.Cache | None, quiet: bool) -> pd.DataFrame | None:
    """Return how far the exact engine and NUTS are apart; none, with a note, where one drew."""
    try:
        return mc.compare_engines(fit, cache=cache, progress=False if quiet else None)
    except InputError as error:
        for fault in error.faults:
            screen.note(f"--agreement: {fault.found}")
    return None
