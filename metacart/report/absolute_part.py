"""What a comparison means for 100 patients: of two groups, or of a ratio at a stated baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metacart.errors import InputError
from metacart.inference.records import design_of, spec_of
from metacart.modelling.design import scale_of
from metacart.report.parts import Block, Part
from metacart.report.tables import Column, Table, table_of
from metacart.report.words import (
    capital,
    column_words,
    exposed_words,
    level_word,
    outcome_of,
    probability,
)
from metacart.results.absolute import absolute

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["absolute_part", "absolute_rows", "compared_level", "compared_words", "counted_words"]

_MEASURES = ("difference per 100", "number needed to treat")
_NO_BASELINE = (
    "No numbers of 100 patients, and no number needed to treat, are given: a ratio says nothing of "
    "100 patients without the risk of those that it compares with, and this question states none "
    "(baseline in its model file)."
)
_BASELINE = (
    "The baseline is taken as known, and it is an assumption: another one gives other numbers from "
    "the same ratio."
)
_NEEDED = (
    "The difference is read as if it were the effect of what is compared; without randomisation "
    "that does not follow. NNTB is how many more must be treated for one to benefit, NNTH for one "
    "to be harmed; an interval that holds no difference runs through ∞."
)


def absolute_part(fit: xr.DataTree) -> Part | None:
    """Return what the comparisons of a question mean for 100 patients, or why nobody can say.

    None for questions without a comparison, and for values of no known unit.
    """
    scale, spec = scale_of(design_of(fit)), spec_of(fit)
    if scale.name != "log" and not (scale.is_rate and spec.contrasts):
        return None
    title = "In 100 patients"
    if scale.name == "log" and spec.baseline is None:
        return Part(title=title, blocks=(Block(words=_NO_BASELINE),))
    try:
        frame = absolute(fit)
    except InputError as error:
        words = f"No numbers of 100 patients are given: {error.faults[0].found}."
        return Part(title=title, blocks=(Block(words=words),))
    words = _NEEDED if scale.is_rate else f"{_BASELINE} {_NEEDED}"
    blocks = (Block(table=absolute_rows(fit, frame), words=words),)
    return Part(title=title, blocks=blocks, frames={"absolute": frame})


def absolute_rows(fit: xr.DataTree, frame: pd.DataFrame) -> Table:
    """Return difference and number needed to treat of each estimand."""
    first, better = "", "P(first better)"
    caption = "In 100 patients: median (95 % interval)"
    if "baseline" in frame:
        with_, without = exposed_words(spec_of(fit).exposure)
        first = counted_words(frame)
        caption = (
            f"{capital(outcome_of(spec_of(fit).outcome).title)}: if "
            f"{100.0 * frame['baseline'].iloc[0]:g} of 100 {without} are {first}, and the ratio "
            "were the effect; median (95 % interval)"
        )
        first, better = f"{capital(with_)}, {first}", f"P({with_} better)"
    body = []
    for (compared, name), rows in frame.groupby(["compared", "estimand"], sort=False):
        of = {str(row["measure"]): row for row in rows.to_dict("records")}
        group = next(row["words"] for measure, row in of.items() if measure not in _MEASURES)
        body.append(
            (
                "" if first else compared_words(str(compared)),
                capital(str(name)),
                group if first else "",
                *(str(of[measure]["words"]) for measure in _MEASURES),
                probability(float(of[_MEASURES[0]]["p_better"])),
            )
        )
    return table_of(
        caption,
        [
            Column("Compared", "text"),
            Column("Estimand", "text"),
            Column(first, "number"),
            Column("Difference", "number"),
            Column("Number needed to treat", "number"),
            Column(better, "number"),
        ],
        body,
    )


def counted_words(frame: pd.DataFrame) -> str:
    """Return what patients are counted for where a baseline is stated: ``free of the event``."""
    free = frame["measure"].str.contains("free of the event").any()
    return "free of the event" if free else "with the event"


def compared_level(words: str) -> str:
    """Return the first of the two levels: ``humanized``."""
    return level_word(words.split(" against ", 1)[0].split(" = ", 1)[1])


def compared_words(words: str) -> str:
    """Return ``scFv humanized against murine`` of ``scfv = humanized against scfv = murine``."""
    (name, level), (_, reference) = (side.split(" = ", 1) for side in words.split(" against ", 1))
    return f"{column_words(name)} {level_word(level)} against {level_word(reference)}"
