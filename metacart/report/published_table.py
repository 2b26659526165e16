"""Our estimate beside those of published meta-analyses, as a table of the page."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from metacart.report.tables import Column, Row, Table, table_of
from metacart.report.words import interval, value_format
from metacart.scales import Scale

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["published_table"]


def published_table(frame: pd.DataFrame, scale: Scale) -> Table:
    """Return the table of ``compare_published``, our own estimate in the first row.

    Parameters
    ----------
    frame : DataFrame
        From ``compare_published``, not empty.
    scale : Scale
        The model scale.
    """
    form = value_format(scale)

    def shown(row: Mapping[Hashable, Any]) -> str:
        seen = row["lower"] == row["lower"]
        ends = interval(row["lower"], row["upper"], scale) if seen else "no interval seen"
        return f"{form(row['estimate'])} ({ends})"

    rows = frame.to_dict("records")
    first = rows[0]
    own = f"{form(first['ours'])} ({interval(first['ours_lower'], first['ours_upper'], scale)})"
    body = [Row(("This page", f"{first['estimand']}", own, "", ""), "strong")]
    for row in rows:
        size = ", ".join(
            f"{int(row[name])} {name}" for name in ("studies", "patients") if row[name] == row[name]
        )
        what = Markup("{}<small>{}</small>").format(row["pooled"], size)
        body.append(
            Row(
                (
                    Markup("{}<small>{}</small>").format(row["source"], row["at"]),
                    what,
                    shown(row),
                    _agreement(row["overlaps"]),
                    row["differs"],
                )
            )
        )
    unit = ", %" if scale.is_rate else ""
    return table_of(
        "The same question in published meta-analyses",
        [
            Column("Source"),
            Column("What is pooled", "text"),
            Column(f"Estimate (95 % interval){unit}", "number"),
            Column("Intervals"),
            Column("Why they may differ", "prose"),
        ],
        body,
    )


def _agreement(overlaps: bool | None) -> str:
    if overlaps is None:
        return "not comparable"
    return "overlap" if overlaps else "do not overlap"
