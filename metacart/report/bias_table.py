"""Risk of bias of the studies that carry an answer, as a table of the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metacart.evidence.bias.judged import lights_of, risk_of_bias_shares
from metacart.records.risk_of_bias import INSTRUMENTS, Tool
from metacart.records.study import Study
from metacart.report.tables import Column, Row, Table, table_of
from metacart.report.words import capital, count_of

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["bias_table"]


def bias_table(studies: Sequence[Study], tool: Tool) -> Table:
    """Return how many studies stand where on each item, and the share that is unclear."""
    shares = risk_of_bias_shares(studies, tool=tool)
    words: dict[str, str] = {
        light: judgement for judgement, light in INSTRUMENTS[tool].lights.items()
    }
    lights = [light for light in lights_of(tool) if light == "unclear" or shares[light].any()]
    body = []
    for row in shares.to_dict("records"):
        cells = (
            capital(str(row["question"])),
            *(str(row[light]) for light in lights),
            f"{100 * row['unclear_share']:.0f}",
            str(row["reader"]),
            str(row["record"]),
        )
        body.append(Row(cells, "strong" if row["item"] == "all" else ""))
    return table_of(
        f"Risk of bias of {count_of(len(studies), 'study', 'studies')}, "
        f"{INSTRUMENTS[tool].title}: number of studies by item",
        [
            Column("Item", "text"),
            *(Column(capital(words[light]), "number") for light in lights),
            Column("Unclear, %", "number"),
            Column("Judged by a reader", "number"),
            Column("Decided by the record", "number"),
        ],
        body,
    )
