"""What rules on risk of bias share: their verdict, and the arms that a study is about."""

from __future__ import annotations

from dataclasses import dataclass

from metacart.records.study import Arm, Study

__all__ = ["MOST_LOST", "Verdict", "main_arms", "opened", "percent"]

# The share of patients that may be missing: that of the MINORS item on loss to follow-up.
MOST_LOST = 0.05


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a record says of an item.

    Attributes
    ----------
    judgement : str
        In the words of the tool; empty where the record does not decide.
    why : str
        The reason, or what the record lacks.
    at : str
        Where in the file.
    """

    judgement: str
    why: str
    at: str = ""


def opened(lacking: str) -> Verdict:
    """Return the verdict of a record that does not decide."""
    return Verdict("", lacking)


def percent(share: float) -> str:
    """Return a share as a reader writes it."""
    return f"{100 * share:.0f} %" if share >= 0.095 or share == 0 else f"{100 * share:.1f} %"


def main_arms(study: Study) -> list[tuple[int, Arm]]:
    """Return the arms that a study is about, with their numbers.

    Arms that were selected or whose patients are among another arm of the paper are left out.
    """
    ids = {arm.id for arm in study.arms}
    return [
        (number, arm)
        for number, arm in enumerate(study.arms)
        if arm.selected is None and not ids & {*arm.shares_patients_with}
    ]
