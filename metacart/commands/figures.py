"""``metacart plot``: any figure of a question, by the name of its verb."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

import metacart as mc
from metacart import screen
from metacart.commands.fitting import check_stated, fit_question, give_verdict
from metacart.commands.options import (
    OK,
    Folders,
    Fresh,
    Kept,
    Models,
    Question,
    Quiet,
    Seed,
    Stated,
    cache_in,
    check_out,
    read_question,
    stated_values,
)
from metacart.errors import Fault, InputError, nearest
from metacart.report import DEFAULT_SEED

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["app"]

app = typer.Typer()

_PREFIX = "plot_"
# figures that have a command with options of their own
_ELSEWHERE = {
    "forest": "metacart forest SPEC --out FILE",
    "coverage": "metacart studies coverage --out FILE",
}
_DRAWS = 4000  # as the other commands keep, so that figures and tables say the same


def _names() -> list[str]:
    """Return the figures of a question; every public verb that draws is one."""
    every = (name.removeprefix(_PREFIX) for name in mc.__all__ if name.startswith(_PREFIX))
    return [name for name in every if name not in _ELSEWHERE]


def _verb(name: str) -> Callable[..., Any]:
    verb: Callable[..., Any] = getattr(mc, _PREFIX + name)
    return verb


def _show_names(wanted: bool) -> None:
    if wanted:
        from metacart.report.tables import Column, table_of

        lines = [(name, (inspect.getdoc(_verb(name)) or "").split("\n")[0]) for name in _names()]
        lines = [(name, line.rstrip(".").partition(" ")[2]) for name, line in lines]
        heading = "Figures of a question: metacart plot NAME SPEC --out FILE"
        screen.show_table(table_of(heading, [Column("name"), Column("shows", "text")], lines))
        for name, command in _ELSEWHERE.items():
            screen.show_words(f"{name}: {command}")
        raise typer.Exit


@app.command(
    epilog="Example: metacart plot shrinkage cr_rate --out shrinkage.svg; metacart plot --list "
    "says what each figure shows"
)
def plot(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Which figure; --list names them.")],
    spec: Question,
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="The figure: FILE.svg, FILE.png or FILE.pdf.")
    ],
    at: Stated = None,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Of cumulative the column by which studies enter, of regression the moderator "
            "with a curve for each level.",
        ),
    ] = None,
    moderator: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Of regression the number along which it is drawn."),
    ] = None,
    studies: Folders = None,
    models: Models = None,
    seed: Seed = DEFAULT_SEED,
    cache: Kept = None,
    fresh: Fresh = False,
    quiet: Quiet = False,
    _list: Annotated[
        bool,
        typer.Option("--list", callback=_show_names, is_eager=True, help="Name the figures."),
    ] = False,
) -> int:
    """Draw a figure of a question, and say in words what it shows."""
    stated = stated_values(at, several=False)
    given = {"at": stated, "by": by, "moderator": moderator}
    options = {option: value for option, value in given.items() if value is not None}
    question, collection = read_question(
        spec,
        studies,
        models,
        lambda: _check(name, options),
        lambda: check_out(out, (".svg", ".png", ".pdf")),
        lambda: cache_in(cache),
    )
    from metacart.inference.one_mean import refuse_several

    refuse_several(_verb(name), question, f"plot {name}")
    evidence = mc.tabulate(collection, question)
    check_stated(question, evidence, stated)
    asked = _Asked(question, collection, evidence, seed, cache_in(cache, fresh=fresh, quiet=quiet))
    with _in_words_of_the_shell(name):
        options |= _chosen(name, asked, options)
        subjects, fit = _subjects(name, asked, quiet)
        figure = _verb(name)(*subjects, file=out, **options, **_shared(name, asked, quiet))
    screen.show_words(str(figure.viz.attrs["alt"]))
    if fit is not None:
        return give_verdict(fit, out, quiet)
    if not quiet:
        screen.note(f"wrote {out}")
    return OK


class _Asked(NamedTuple):
    """A question with its studies and evidence, and how it is fitted."""

    question: mc.ModelSpec
    studies: mc.Studies
    evidence: pd.DataFrame
    seed: int
    cache: mc.Cache | None


def _check(name: str, options: Mapping[str, Any]) -> None:
    """Refuse what is no figure of a question, and what it does not take."""
    if name not in _names():
        elsewhere = _ELSEWHERE.get(name)
        hint = elsewhere or nearest(name, _names()) or "metacart plot --list"
        found = f"'{name}' has a command of its own" if elsewhere else f"'{name}' is not known"
        raise InputError(Fault("NAME", found, ", ".join(_names()), hint))
    takers = {option: [each for each in _names() if option in _taken(each)] for option in options}
    faults = [
        Fault(f"--{option}", f"{name} takes none", ", ".join(those))
        for option, those in takers.items()
        if name not in those
    ]
    if faults:
        raise InputError(faults)


def _taken(name: str) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(_verb(name)).parameters


def _chosen(name: str, asked: _Asked, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the question decides where the user did not."""
    if name == "regression" and "moderator" not in options:
        return {"moderator": _number_of(asked)}
    if name == "risk_of_bias":
        from metacart.evidence.bias.judged import tool_for

        return {"tool": tool_for(asked.question), "kind": "grid"}
    if name == "immortal_time":
        from metacart.report.time_part import SIMULATED_PAPERS
        from metacart.results.histories import OUTCOMES

        outcome = asked.question.outcome
        if asked.question.exposure != "hsct" or outcome not in OUTCOMES:
            found = f"{asked.question.name} does not compare transplanted patients with others"
            allowed = f"a question of exposure 'hsct' on {' or '.join(OUTCOMES)}"
            raise InputError(Fault("fit", found, allowed, "hsct_benefit_os"))
        return {"scenario": SIMULATED_PAPERS, "outcome": outcome}
    return {}


def _number_of(asked: _Asked) -> str:
    """Return the one numeric moderator of a question."""
    from metacart.modelling.moderators import main_effects
    from metacart.modelling.reading_moderators import read_moderators

    moderators = main_effects(read_moderators(asked.question, asked.evidence))
    numbers = [each.name for each in moderators if each.kind == "numeric"]
    if len(numbers) != 1:
        found = f"{len(numbers) or 'no'} numeric moderators in {asked.question.name}"
        allowed = ", ".join(numbers) or "a question with a numeric moderator"
        attempt = f"--moderator {numbers[0]}" if numbers else 'such as moderators = ["year"]'
        raise InputError(Fault("--moderator", found, allowed, attempt))
    return numbers[0]


def _subjects(name: str, asked: _Asked, quiet: bool) -> tuple[tuple[Any, ...], xr.DataTree | None]:
    """Return what a figure is of, and the fit where it is of one."""
    question, studies, evidence, seed, cache = asked
    progress = False if quiet else None
    match name:
        case "immortal_time":
            return (), None
        case "flow":
            return (studies, question), None
        case "risk_of_bias":
            used = {*evidence["study"]}
            return (mc.Studies(each for each in studies if each.id in used),), None
        case "prior_preview":
            return (question, evidence), None
        case "network":
            return (evidence,), None
        case "calibration":
            return (mc.calibrate(question, evidence, seed=seed, progress=progress),), None
        case "multiverse":
            return (
                mc.multiverse(question, studies=studies, seed=seed, cache=cache, progress=progress),
            ), None
    fit = fit_question(question, evidence, seed=seed, draws=_DRAWS, cache=cache, quiet=quiet)
    return (fit,), fit


def _shared(name: str, asked: _Asked, quiet: bool) -> dict[str, Any]:
    """Return where a figure that fits again keeps its fits, and whether it shows a bar."""
    own = {"cache": asked.cache, "progress": False if quiet else None}
    return {option: value for option, value in own.items() if option in _taken(name)}


@contextmanager
def _in_words_of_the_shell(name: str) -> Iterator[None]:
    """Say of a figure that does not apply to a question what the verb says of its fit."""
    try:
        yield
    except InputError as error:
        raise InputError(_told(fault, name) for fault in error.faults) from None


def _told(fault: Fault, name: str) -> Fault:
    place = fault.place
    if place == "fit" or place.endswith("(fit)"):
        place = f"plot {name}"
    elif place in ("by", "moderator"):
        place = f"--{place}"
    attempt = re.sub(r"\bplot_(\w+)", r"metacart plot \1", fault.attempt)
    return replace(fault, place=place, attempt=attempt)
