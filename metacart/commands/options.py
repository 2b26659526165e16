"""What several commands take: options, the question with its studies, and a file to write."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

import metacart as mc
from metacart import screen
from metacart.errors import Fault, InputError, collected, nearest, refuse_unknown
from metacart.inference.arguments import LARGEST_SEED

__all__ = [
    "FAULTY",
    "INTERRUPTED",
    "NOT_CONVERGED",
    "OK",
    "Draws",
    "Folders",
    "Fresh",
    "Kept",
    "Models",
    "Question",
    "Quiet",
    "Seed",
    "Stated",
    "cache_in",
    "check_look",
    "check_out",
    "check_width",
    "folders_of",
    "in_options",
    "read_question",
    "stated_values",
]

OK, NOT_CONVERGED, FAULTY, INTERRUPTED = 0, 1, 2, 130
_BUNDLED = "bundled"

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
Kept = Annotated[
    Path | None,
    typer.Option("--cache", metavar="DIR", help="Where fits are kept, instead of your own cache."),
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Fit anew, and replace what is kept.")]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Only results and faults: no progress, no notes.")
]

Stated = Annotated[
    list[str] | None,
    typer.Option(
        "--at",
        metavar="NAME=VALUE",
        help="Where a moderator stands, such as age=12 or scfv=murine; may be repeated.",
    ),
]


def read_question(
    spec: str,
    studies: Sequence[str] | None,
    models: Path | None,
    *checks: Callable[[], object],
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
        collection = mc.load_studies(*folders_of(studies))
    if question is not None and collection is not None:
        from metacart.modelling.check import question_faults

        faults += question_faults(question, collection)
    if question is None or collection is None or faults:
        raise InputError(faults)
    return question, collection


def folders_of(studies: Sequence[str] | None) -> list[str | Path]:
    """Return the folders that were named, and none for the bundled one alone."""
    return [mc.BUNDLED if folder == _BUNDLED else folder for folder in studies or ()]


def cache_in(folder: Path | None, *, fresh: bool = False, quiet: bool = False) -> mc.Cache | None:
    """Return the folder that keeps fits; none where a user has no place for files of programs."""
    say = _unsaid if quiet else screen.note
    if folder is not None:
        return _named_cache(folder, fresh, say)
    from platformdirs import user_cache_path

    try:
        return mc.Cache(user_cache_path("metacart", appauthor=False), fresh, say)
    except InputError:
        return None


def _named_cache(folder: Path, fresh: bool, say: Callable[[str], None]) -> mc.Cache:
    with in_options("cache"):
        return mc.Cache(folder, fresh, say)


@contextmanager
def in_options(*names: str) -> Iterator[None]:
    """Name what is refused within as the shell does, ``--width`` for ``width``."""
    try:
        yield
    except InputError as error:
        raise InputError(
            replace(fault, place=f"--{fault.place}") if fault.place in names else fault
            for fault in error.faults
        ) from None


def _unsaid(_line: str) -> None:
    """Say nothing; a function of this module travels to other processes."""


def stated_values(at: Sequence[str] | None, *, several: bool) -> dict[str, Any] | None:
    """Return what `--at` states by moderator, as text or number; a list where there are several."""
    found: dict[str, Any] = {}
    faults = []
    for text in at or ():
        name, sign, value = (part.strip() for part in text.partition("="))
        values = [_number(each.strip()) for each in value.split(",")]
        if not (name and sign) or "" in values:
            faults.append(Fault("--at", f"'{text}'", "NAME=VALUE", "age=12"))
        elif name in found:
            faults.append(Fault("--at", f"'{name}' is there twice", "each moderator once"))
        elif len(values) > 1 and not several:
            faults.append(Fault("--at", f"'{text}'", "one value", "metacart predict takes several"))
        found[name] = values if len(values) > 1 else values[0]
    if faults:
        raise InputError(faults)
    return found or None


def _number(text: str) -> float | str:
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text


def check_out(out: Path, formats: Sequence[str]) -> None:
    """Refuse a file that cannot be written before anything is fitted."""
    allowed = "a file ending in " + " or ".join(formats)
    if out.suffix not in formats:
        hint = nearest(out.suffix, formats) or f"{out.stem or 'result'}{formats[0]}"
        raise InputError(Fault("--out", f"'{out}'", allowed, hint))
    if out.is_dir():
        raise InputError(Fault("--out", f"'{out}' is a folder", allowed))
    above = next(folder for folder in out.absolute().parents if folder.exists())
    if not above.is_dir():
        raise InputError(Fault("--out", f"'{above}' is a file", "a folder", "another place"))
    if not os.access(above, os.W_OK):
        raise InputError(Fault("--out", f"'{above}' cannot be written to", "a folder of yours"))


def check_width(width: float | None) -> None:
    """Refuse what is no width of a figure before anything is fitted."""
    from metacart.plots.forest_options import check_width as check

    with in_options("width"):
        check(width)


def check_look(option: str, value: str | None) -> None:
    """Refuse what a forest plot cannot look like before anything is fitted."""
    from metacart.plots.forest_layouts import LAYOUTS
    from metacart.plots.forest_options import AXES
    from metacart.plots.forest_order import SORTS

    allowed = {
        "layout": [*LAYOUTS],
        "sort": [each for each in SORTS if each],
        "axis": [name for names in AXES.values() for name in names],
        "prediction": ["bar", "density"],
    }[option]
    if value is not None:
        refuse_unknown(f"--{option}", value, allowed)
