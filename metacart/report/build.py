"""The verb ``report``: from questions to one page, with its figures, tables and fits."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from metacart.errors import Fault, InputError, collected, named_options
from metacart.evidence.collection import Studies
from metacart.evidence.library import BUNDLED
from metacart.evidence.selection import StudySource, studies_of
from metacart.evidence.source import as_path
from metacart.inference.arguments import LARGEST_SEED, whole_number
from metacart.inference.keeping import Cache, CacheLike, cache_of
from metacart.report import DEFAULT_SEED
from metacart.report.files import PAGE, check_out, staged
from metacart.report.formats import check_formats, write_formats
from metacart.report.questions import (
    PathLike,
    Specs,
    as_list,
    ask,
    read_specs,
)
from metacart.report.work import Work, begin

__all__ = ["Report", "report"]


@dataclass(frozen=True, slots=True)
class Report:
    """What ``report`` wrote.

    Attributes
    ----------
    page : Path
        The page, ``index.html``.
    seed : int
        The seed of every fit.
    answered : tuple of str
        Questions with an answer.
    failed : tuple of str
        Questions whose fit failed the convergence gate: their results must not be used.
    unanswered : tuple of str
        Questions that the evidence cannot answer.
    """

    page: Path
    seed: int
    answered: tuple[str, ...]
    failed: tuple[str, ...]
    unanswered: tuple[str, ...]

    @property
    def converged(self) -> bool:
        """Whether every fit passed the convergence gate."""
        return not self.failed


@named_options
def report(
    specs: Specs | None = None,
    *,
    out: PathLike,
    studies: StudySource | None = None,
    models: PathLike | None = None,
    formats: str | Sequence[str] = "html",
    script: bool = False,
    seed: int = DEFAULT_SEED,
    executor: Executor | None = None,
    cache: CacheLike | None = None,
    progress: bool | None = None,
) -> Report:
    """Write one page that answers each question, with its figures, tables and fits.

    Parameters
    ----------
    specs : str or path or ModelSpec, or a sequence of these, optional
        The questions: names, files or records; by default every model of `models`.
    out : path
        The folder of the page. Files in it that no report wrote are left alone; the report of
        questions that are not among `specs` is not overwritten.
    studies : Studies or path or sequence of paths, optional
        The evidence: the result of ``load_studies``, or folders and files of studies; the bundled
        ones by default.
    models : path, optional
        The folder in which names are looked up; the shipped models by default.
    formats : {"html", "md", "csv", "docx"} or a sequence of these
        What stands beside the page, which is always written: ``report.md`` (Markdown),
        ``report.csv`` (every cell of every table, one a row), ``report.docx`` (Word; needs
        ``metacart[docx]``).
    script : bool
        Whether to write ``figures.py``, the Python that draws each figure again from the fits.
    seed : int
        Of every fit; 1 by default, as in the shell, so that a report can be repeated.
    executor : concurrent.futures.Executor, optional
        Processes of this machine, each of which takes a question at a time; by default one
        question after the other. Not threads: figures are drawn by one at a time.
    cache : Cache or path, optional
        A folder that keeps fits, as for ``fit``: only what changed is fitted. None by default.
    progress : bool, optional
        Whether to show what is being done; by default in a terminal.

    Returns
    -------
    Report
        Where the page is, and which questions have no usable answer.

    Raises
    ------
    InputError
        With every fault of questions, studies and options, before anything is fitted or written.

    Notes
    -----
    ``OUT/index.html`` needs no other file. Beside it stands a folder for each question with its
    figures (SVG, PNG), its tables (CSV) and its fit (netCDF, for ``load_fit``). A question that
    the evidence cannot answer becomes a section that says why. The same seed gives the same
    numbers up to their Monte Carlo error.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.report(["cr_rate", "severe_crs"], out="report", seed=1)  # doctest: +SKIP
    """
    folder = as_path(out, name="out")
    faults: list[Fault] = []
    with collected(faults):
        seed = whole_number("seed", seed, least=0, most=LARGEST_SEED)
    with collected(faults):
        formats = check_formats(formats)
    wanted = read_specs(specs, models, faults)
    evidence = Studies([])
    with collected(faults):
        evidence = studies_of(studies)
    kept: Cache | None = None
    with collected(faults):
        kept = cache_of(cache)
    with collected(faults):
        check_out(folder, [spec.name for spec in wanted])
    if faults:
        raise InputError(faults)
    if executor is not None:
        begin(executor, len(wanted))
    questions = ask(wanted, evidence)
    with staged(folder) as staging:
        work = Work(evidence, staging, seed, kept)
        with _progress(len(questions), progress) as say:
            sections = work.sections(questions, executor, say)
        from metacart.report.page import render

        command = _command(specs, folder, studies, models, formats, script, seed)
        text = render(sections, evidence, seed=seed, command=command)
        (staging / PAGE).write_text(text, encoding="utf-8")
        if set(formats) != {"html"}:
            from metacart.report.document import document_of

            pieces = list(document_of(sections, evidence, seed=seed, command=command))
            write_formats(formats, pieces, staging)
        if script:
            from metacart.report.script import SCRIPT, script_of

            of_name = {spec.name: spec for spec in wanted}
            drawn = script_of(sections, as_list(studies), of_name)
            (staging / SCRIPT).write_text(drawn, encoding="utf-8")
    by_state = {
        state: tuple(section.name for section in sections if section.state == state)
        for state in ("answered", "failed", "unanswered")
    }
    return Report(folder / PAGE, seed, **by_state)


@contextmanager
def _progress(number: int, wanted: bool | None) -> Iterator[Callable[[str, str], None]]:
    """Show one line a question in a terminal; give the function that says what is being done."""
    if not (sys.stderr.isatty() if wanted is None else wanted):
        yield lambda _name, _doing: None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

    from metacart.inference.first_use import tells_of_compiling

    columns = SpinnerColumn(finished_text="-"), TextColumn("{task.description}")
    console = Console(stderr=True)
    with (
        Progress(*columns, TimeElapsedColumn(), console=console) as bar,
        tells_of_compiling(True),
    ):
        lines: dict[str, TaskID] = {}

        def say(name: str, doing: str) -> None:
            if name not in lines:
                for line in lines.values():
                    bar.update(line, total=1, completed=1)
                lines[name] = bar.add_task("", total=None)
            text = f"{len(lines)}/{number} {escape(name)}: {doing}"
            bar.update(lines[name], description=text)

        yield say
        for line in lines.values():
            bar.update(line, total=1, completed=1)


def _command(
    specs: Specs | None,
    out: Path,
    studies: StudySource | None,
    models: PathLike | None,
    formats: Sequence[str],
    script: bool,
    seed: int,
) -> str:
    """Return the command that writes this page again, or its Python where none can."""
    names = as_list(specs)
    name_out = out.name or "report"
    if not all(isinstance(each, str | os.PathLike) for each in [*names, *as_list(studies)]):
        given = [
            *(["specs"] if names else []),
            f"out={name_out!r}",
            *(["studies=studies"] if studies is not None else []),
            *([f"models={os.fspath(models)!r}"] if models is not None else []),
            *([f"formats={tuple(formats)!r}"] if set(formats) != {"html"} else []),
            *(["script=True"] if script else []),
            f"seed={seed}",
        ]
        return f"metacart.report({', '.join(given)})"
    words = ["metacart", "report", *map(str, names), "--out", name_out]
    for folder in as_list(studies):
        words += ["--studies", "bundled" if Path(str(folder)) == BUNDLED else str(folder)]
    if models is not None:
        words += ["--models", os.fspath(models)]
    for name in formats:
        words += ["--format", name] if set(formats) != {"html"} else []
    words += ["--script"] if script else []
    return shlex.join([*words, "--seed", str(seed)])
