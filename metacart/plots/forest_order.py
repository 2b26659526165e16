"""The order of the studies of a forest plot, which have rows, and how large their squares are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from metacart.errors import Fault, InputError
from metacart.plots.facts import Measure

if TYPE_CHECKING:
    from metacart.plots.forest_entries import Entry, ForestRow

__all__ = ["MOST", "SORTS", "Part", "counted", "decimals", "ordered", "part_of", "sizes"]

Part = tuple[int, int]
MOST = 300  # studies of one figure, which then is five pages high

SORTS = (None, "name", "year", "effect", "weight", "precision")


def counted(studies: Sequence[ForestRow]) -> bool:
    """Whether the studies report counts of patients."""
    return bool(studies) and all(np.isfinite(row.total) for row in studies)


def sizes(studies: Sequence[ForestRow], measure: Measure) -> NDArray[np.float64]:
    """Return what the areas of the squares show: patients where counted, else precision."""
    if counted(studies):
        return np.asarray([row.total for row in studies])
    lower = np.asarray([row.crude.lower for row in studies])
    upper = np.asarray([row.crude.upper for row in studies])
    with np.errstate(divide="ignore", invalid="ignore"):
        width = np.log(upper / lower) if measure == "ratio" else upper - lower
        return np.asarray(width**-2.0, dtype=np.float64)


def ordered(studies: list[Entry], sort: str | None, measure: Measure, panel: str) -> list[Entry]:
    """Return the studies in an order; of several fits by what the first, `panel`, says.

    Studies that lack what they are ordered by stand last.
    """
    if sort is None:
        return studies
    if sort == "name":
        return sorted(
            studies, key=lambda entry: (entry.first.label.casefold(), entry.first.arm.casefold())
        )
    if sort == "year":
        years = [entry.first.year for entry in studies]
        if np.isnan(years).all():
            raise InputError(
                Fault(
                    "sort",
                    "'year', but the evidence has no column 'year'",
                    ", ".join(repr(each) for each in SORTS if each != "year"),
                    "add a column 'year' to the evidence",
                )
            )
        return _by(studies, years)
    here = [entry.said.get(panel) for entry in studies]
    if sort == "effect":
        values = [np.nan if row is None else row.crude.middle for row in here]
        return _by(studies, values)
    known = [row for row in here if row is not None]
    if sort == "weight":
        found = iter([row.weight for row in known])
    else:
        found = iter(sizes(known, measure).tolist())
    return _by(studies, [np.nan if row is None else -next(found) for row in here])


def _by(studies: list[Entry], values: Sequence[float]) -> list[Entry]:
    order = np.argsort(np.asarray(values, dtype=float), kind="stable")
    return [studies[position] for position in order]


def part_of(
    studies: list[Entry], levels: Sequence[str], part: Part | None
) -> dict[str, tuple[list[Entry], bool]]:
    """Return by block the studies that have rows, and whether the last one of the block has.

    Parameters
    ----------
    studies : list of Entry
        In their order.
    levels : sequence of str
        The blocks; what is in none of them is the last one, named "".
    part : (int, int), optional
        The places of the first and of the last study, as they stand from the top; all by default.

    Returns
    -------
    dict of str to (list of Entry, bool)
    """
    blocks, before = {}, 0
    for level in (*levels, ""):
        block = [
            entry for entry in studies
            if (entry.first.subgroup if entry.first.subgroup in levels else "") == level
        ]  # fmt: skip
        first, last = part or (1, len(studies))
        start, end = max(first - 1 - before, 0), max(last - before, 0)
        blocks[level] = (block[start:end], start < len(block) <= end)
        before += len(block)
    return blocks


def decimals(studies: Sequence[ForestRow], measure: Measure) -> int | None:
    """Return how many decimals the most precise study deserves; ratios each have their own."""
    if measure == "ratio":
        return None
    widths = [row.crude.upper - row.crude.lower for row in studies]
    narrowest = min((width for width in widths if np.isfinite(width) and width > 0), default=1.0)
    if measure == "rate":
        return 1 if narrowest < 0.1 else 0
    return int(np.clip(1 - np.floor(np.log10(narrowest)), 0, 6))
