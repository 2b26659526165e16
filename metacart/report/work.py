"""Making the sections of a page, one after the other or by several processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, as_completed, wait
from dataclasses import dataclass, replace
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from metacart.evidence.collection import Studies
from metacart.inference.keeping import Cache
from metacart.modelling.likelihoods import find_system
from metacart.report.questions import Question

if TYPE_CHECKING:
    import xarray as xr

    from metacart.report.section import Section

__all__ = ["Say", "Work", "begin", "with_agreement"]

Say = Callable[[str, str], None]


# what the section of any question needs
_LIBRARIES = (
    "arviz_plots",
    "metacart.inference.fit",
    "metacart.report.section",
    "metacart.report.several",
)


def begin(executor: Executor, questions: int) -> None:
    """Let idle processes load libraries, which takes seconds, while the questions are read."""
    for _ in range(min(questions, os.cpu_count() or 1)):
        executor.submit(_load)


def _load() -> None:
    for name in _LIBRARIES:
        import_module(name)


@dataclass(frozen=True)
class Work:
    """What the section of any question is made from; it may travel to another process.

    Attributes
    ----------
    studies : Studies
        The evidence.
    folder : Path
        Where each question has a folder for its files.
    seed : int
        Of every fit.
    cache : Cache or None
        Where fits are kept.
    """

    studies: Studies
    folder: Path
    seed: int
    cache: Cache | None

    def sections(
        self, questions: Sequence[Question], executor: Executor | None, say: Say
    ) -> list[Section]:
        """Return the section of each question, in their order; `say` takes a name and a doing."""
        if executor is None:
            return [self._section(question, say) for question in questions]
        # what only NUTS can draw takes longest: nobody waits for it at the end
        order = sorted(questions, key=lambda question: find_system(question.spec) is None)
        futures = {executor.submit(self._elsewhere, each): each.spec.name for each in order}
        found = {}
        try:
            for future in as_completed(futures):
                name = futures[future]
                found[name], used, made = future.result()
                say(name, "done")
                if self.cache is not None:
                    self.cache.used.extend(used)
                    self.cache.made.extend(made)
        finally:
            for future in futures:
                future.cancel()
            # the folder goes when this ends badly: nobody may write into it later
            wait(futures)
        return [found[question.spec.name] for question in questions]

    def _section(self, question: Question, say: Say) -> Section:
        """Fit a question, write its files, and return what the page says of it."""
        # the engine takes seconds to import: a faulty input is told before
        from metacart.inference.fit import fit
        from metacart.inference.one_mean import is_system
        from metacart.report.section import answered, unanswered
        from metacart.report.several import answered_several

        name = question.spec.name
        own = self.folder / name
        if not question.answerable:
            say(name, "not answerable")
            return unanswered(question, self.studies, own, self.cache)
        say(name, "fitting")
        evidence = question.evidence
        result = fit(question.spec, evidence, seed=self.seed, cache=self.cache, progress=False)
        say(name, "drawing figures, writing tables")
        make = answered_several if is_system(result) else answered
        section = make(question, result, self.studies, own, self.cache)
        return section if self.cache is None else with_agreement(section, result, self.cache)

    def _elsewhere(self, question: Question) -> tuple[Section, list[datetime], list[datetime]]:
        """Return the section, and what another process used and made of the cache."""
        cache = None if self.cache is None else replace(self.cache)
        section = replace(self, cache=cache)._section(question, lambda _name, _doing: None)
        return (section, [], []) if cache is None else (section, cache.used, cache.made)


def with_agreement(section: Section, fit: xr.DataTree, cache: Cache) -> Section:
    """Add how far the engines were apart when they were compared; a report compares none."""
    from metacart.report.check_tables import agreement_table
    from metacart.results.engine_agreement import kept_comparison

    compared = kept_comparison(fit, cache)
    if compared is None:
        return section
    return replace(
        section,
        diagnosis=f"{section.diagnosis} {compared.attrs['words']}",
        tables={**section.tables, "agreement": agreement_table(compared)},
    )
