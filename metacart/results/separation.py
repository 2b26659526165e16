"""What stands between two levels of a moderator in the evidence beside that moderator."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from metacart.modelling.columns import is_missing
from metacart.modelling.moderators import level_text

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Separation", "separation"]


def _same(text: str) -> str:
    return text


@dataclass(frozen=True, slots=True)
class Separation:
    """What the evidence has of two levels of a moderator.

    Attributes
    ----------
    moderator, level, reference : str
        The comparison.
    others : tuple of str
        The other moderators.
    within : tuple of str
        Studies with both levels.
    matched : tuple of (tuple of str, tuple of str)
        Studies of the level and of the reference that are alike in all other moderators.
    """

    moderator: str
    level: str
    reference: str
    others: tuple[str, ...]
    within: tuple[str, ...]
    matched: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]

    def words(
        self,
        *,
        column: Callable[[str], str] = _same,
        level: Callable[[str], str] = _same,
    ) -> str:
        """Say in one sentence what the data can and cannot separate.

        `column` and `level` turn names of columns and levels into the words of a reader.
        """
        pair = f"{level(self.level)} and {level(self.reference)}"
        what, others = column(self.moderator), _joined(map(column, self.others))
        if self.within:
            return (
                f"These data compare {pair} within {_joined(self.within)}, where centre and "
                f"patients of both are alike; between other studies {what} cannot be told from "
                "what else differs between them."
            )
        if self.matched:
            pairs = _joined(f"{_joined(a)} against {_joined(b)}" for a, b in self.matched)
            alike = f", {others} being alike," if others else ""
            alike = f" between arms alike in {others}" if others else ""
            apart = f" from {others} through these arms alone, and" if others else ""
            return (
                f"No study gives both {pair}; {what} is compared{alike} only across studies "
                f"({pairs}): these data can tell it{apart} not at all from centre, patients and "
                "period."
            )
        return (
            f"No study gives both {pair}, and no two arms are alike in {others} and differ in "
            f"{what}: only the priors separate {what} from {others}, and nothing separates it "
            "from centre, patients and period."
        )


def separation(
    evidence: pd.DataFrame, moderators: Sequence[str], moderator: str, level: Any, reference: Any
) -> Separation:
    """Return what the evidence has of two levels of a moderator.

    Parameters
    ----------
    evidence : DataFrame
        Of a fit.
    moderators : sequence of str
        The columns that are moderators.
    moderator : str
        The one that is compared.
    level, reference : str, bool or number
        Its levels.
    """
    pair = level_text(level), level_text(reference)
    others = tuple(name for name in moderators if name != moderator)
    names = "label" if "label" in evidence.columns else "study"
    studies: dict[str, set[str]] = {}
    labels: dict[str, str] = {}
    cells: dict[tuple[str, ...], dict[str, dict[str, None]]] = {}
    for row in evidence.to_dict("records"):
        at = level_text(row[moderator])
        if at not in pair or any(is_missing(row[name]) for name in others):
            continue
        study = str(row["study"])
        labels[study] = str(row[names])
        studies.setdefault(study, set()).add(at)
        cell = cells.setdefault(tuple(level_text(row[name]) for name in others), {})
        cell.setdefault(at, {})[labels[study]] = None
    return Separation(
        moderator,
        *pair,
        others,
        tuple(labels[study] for study, found in studies.items() if len(found) > 1),
        tuple(
            (tuple(cell[pair[0]]), tuple(cell[pair[1]])) for cell in cells.values() if len(cell) > 1
        ),
    )


def _joined(parts: Iterable[str]) -> str:
    *first, last = list(parts) or [""]
    return f"{', '.join(first)} and {last}" if first else last
