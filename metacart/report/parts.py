"""Parts of a section that only some questions have: tables and figures, each with its sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from metacart.report.figures import Figure
    from metacart.report.tables import Table

__all__ = ["Block", "Part"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A table or a figure with the words below it.

    Attributes
    ----------
    table : Table or None
        The table.
    figure : (str, Figure) or None
        The figure, and its name on the page.
    words : str
        What it says, or why there is nothing to show.
    folded : str
        The line to click on where the block is folded away.
    """

    table: Table | None = None
    figure: tuple[str, Figure] | None = None
    words: str = ""
    folded: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A heading with its blocks.

    Attributes
    ----------
    title : str
        The heading.
    blocks : tuple of Block
        From the top.
    frames : dict of str to DataFrame
        The numbers, for the files beside the page.
    """

    title: str
    blocks: tuple[Block, ...]
    frames: Mapping[str, pd.DataFrame] = field(default_factory=dict)
