"""The answer without each cohort, as a table of the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metacart.evidence.collection import Studies
from metacart.report.refit_words import no_answer_words
from metacart.report.tables import Column, Row, Table, table_of
from metacart.report.words import capital, estimate, number_word
from metacart.scales import Scale

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["headline_of", "leave_table"]

_SHOWN = 6
# the first one that there is speaks for the answer
_HEADLINES = (
    "median study (immortal-time-adjusted)",
    "population average",
    "median study",
)


def headline_of(frame: pd.DataFrame) -> str:
    """Return the estimand that speaks for the answer in a table of refits."""
    return next(name for name in _HEADLINES if (frame["estimand"] == name).any())


def leave_table(frame: pd.DataFrame, studies: Studies, scale: Scale) -> Table:
    """Return the cohorts without which the answer moves most.

    Parameters
    ----------
    frame : DataFrame
        From ``leave_one_out``.
    studies : Studies
        Of which the cohorts are.
    scale : Scale
        The model scale.
    """
    headline = headline_of(frame)
    rows = frame[frame["estimand"] == headline].to_dict("records")
    whole, others = rows[0], [row for row in rows[1:] if row["median"] == row["median"]]
    moved = sorted(others, key=lambda row: -abs(row["median"] - whole["median"]))
    body = [Row(("none", "as fitted", estimate(whole, scale)), "strong")]
    for row in moved[:_SHOWN]:
        names = ", ".join(studies[name].label for name in row["studies"].split(", "))
        body.append(Row((names, row["computed"], estimate(row, scale))))
    for row in rows[1:]:
        if row["median"] != row["median"]:
            names = ", ".join(studies[name].label for name in row["studies"].split(", "))
            body.append(Row((names, no_answer_words(row["computed"]), "no answer")))
    most = (
        f": of {len(others)} the {number_word(_SHOWN)} that move it most"
        if len(others) > _SHOWN
        else ""
    )
    return table_of(
        f"{capital(headline)} without each cohort{most}",
        [
            Column("Left out", "text"),
            Column("Computed"),
            Column("Median (95 % interval)", "number"),
        ],
        body,
    )
