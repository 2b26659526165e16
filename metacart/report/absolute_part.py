"""The part of a question of ratios about 100 patients, at a stated baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metacart.errors import InputError
from metacart.inference.records import design_of, spec_of
from metacart.modelling.design import scale_of
from metacart.report.parts import Block, Part
from metacart.report.tables import Column, Table, table_of
from metacart.report.words import capital, event_of, exposed_words, outcome_of, probability
from metacart.results.absolute import absolute

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["absolute_part", "absolute_rows"]

_MEASURES = ("difference per 100", "number needed to treat")
_NO_BASELINE = (
    "No numbers of 100 patients, and no number needed to treat, are given: a ratio says nothing of "
    "100 patients without the risk of those that it compares with, and this question states none "
    "(baseline in its model file)."
)
_HOW = (
    "The baseline is taken as known, and it is an assumption: another one gives other numbers from "
    "the same ratio. The ratio is read as if it were the effect of what is compared; without "
    "randomisation that does not follow. NNTB is how many more must be treated for one to benefit, "
    "NNTH for one to be harmed; an interval that holds no difference runs through ∞."
)


def absolute_part(fit: xr.DataTree) -> Part | None:
    """Return what a ratio means for 100 patients, or why that cannot be said.

    None for questions whose answers are no ratios.
    """
    if scale_of(design_of(fit)).name != "log":
        return None
    title = "In 100 patients"
    if spec_of(fit).baseline is None:
        return Part(title=title, blocks=(Block(words=_NO_BASELINE),))
    try:
        frame = absolute(fit)
    except InputError as error:
        words = f"No numbers of 100 patients are given: {error.faults[0].found}."
        return Part(title=title, blocks=(Block(words=words),))
    blocks = (Block(table=absolute_rows(fit, frame), words=_HOW),)
    return Part(title=title, blocks=blocks, frames={"absolute": frame})


def absolute_rows(fit: xr.DataTree, frame: pd.DataFrame) -> Table:
    """Return difference and number needed to treat of each estimand."""
    with_, without = exposed_words(spec_of(fit).exposure)
    free = frame["measure"].str.contains("free of the event").any()
    what = "free of the event" if free else "with the event"
    event = event_of(outcome_of(spec_of(fit).outcome))
    share = 100.0 * frame["baseline"].iloc[0]
    body = []
    for name, rows in frame.groupby("estimand", sort=False):
        of = {str(row["measure"]): row for row in rows.to_dict("records")}
        first = next(row for measure, row in of.items() if measure not in _MEASURES)
        cells = [str(of[measure]["words"]) for measure in _MEASURES]
        sure = probability(float(of[_MEASURES[0]]["p_better"]))
        body.append((capital(str(name)), first["words"], *cells, sure))
    return table_of(
        f"If {share:g} of 100 {without} are {what} ({event}), and the ratio were the effect: "
        "median (95 % interval)",
        [
            Column("Estimand", "text"),
            Column(f"{capital(with_)}, {what}", "number"),
            Column("Difference", "number"),
            Column("Number needed to treat", "number"),
            Column(f"P({with_} better)", "number"),
        ],
        body,
    )
