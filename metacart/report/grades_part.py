"""What a page shows of grades beside the rates: each study's bar, and its rates in numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from metacart.modelling.grades import REPORTED
from metacart.modelling.reading_grades import REFERENCE
from metacart.plots.grades import plot_grades
from metacart.report.figures import Drawer
from metacart.report.parts import Block, Part
from metacart.report.tables import Column, Table, table_of
from metacart.report.words import capital, percent
from metacart.results.grade_table import grade_table

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["grades_part"]

_CAPTION = "Grades of each study as reported, and the model's rates below each bar."
_WORDS = (
    "A study's rate in the model is shrunken towards the others, and as its own system grades. "
    "Where a paper's bands do not tell a grade, nothing is reported. "
    f"Rates of the last rows are by {REFERENCE}."
)
_NOT_SHOWN = (
    "A forest plot, leaving one study out, and other priors of τ are about one mean and are not "
    "shown; “severe_crs” and “crs_any” show them for one cut each."
)


def grades_part(fit: xr.DataTree, drawer: Drawer) -> Part:
    """Return the bars of grades and the rates of each study, and draw the figure."""
    table = grade_table(fit)
    figure = drawer.figure("grades", _CAPTION, plot_grades, fit)
    return Part(
        title="Each study",
        blocks=(
            Block(figure=("grades", figure)),
            Block(table=_table(table), words=_WORDS, folded="The rates of each study in numbers"),
            Block(words=_NOT_SHOWN),
        ),
        frames={"grades": table},
    )


def _table(frame: pd.DataFrame) -> Table:
    shown = frame[frame["grade"].isin(REPORTED)]
    body: list[tuple[str, ...]] = []
    for row in shown.to_dict("records"):
        events = row["events"]
        reported = f"{events}/{row['patients']}" if isinstance(events, int) else ""
        body.append(
            (
                capital(str(row["label"])),
                str(row["grading"]),
                str(row["at_least"]),
                reported,
                _rate(row, "crude", "crude_lower", "crude_upper") if reported else "",
                _rate(row, "median", "lower", "upper"),
            )
        )
    return table_of(
        "Any and severe in each study: rates in %, with 95 % intervals",
        [
            Column("Study"),
            Column("Graded by", "text"),
            Column("Grade", "text"),
            Column("Reported", "number"),
            Column("Reported rate (exact)", "number"),
            Column("Rate in the model", "number"),
        ],
        body,
    )


def _rate(row: Any, *names: str) -> str:
    middle, lower, upper = (percent(row[name]) for name in names)
    return f"{middle} ({lower} to {upper})"
