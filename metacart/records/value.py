"""What a finding reports: a count, grades, a contrast, a ratio, survival or a quantile."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field

from metacart.errors import Fault
from metacart.records.base import Record
from metacart.records.shapes import Percentage, Text, Unit, Words

__all__ = [
    "Contrast",
    "Count",
    "Quantile",
    "Ratio",
    "Survival",
    "SurvivalPoint",
    "grade_bands",
    "grade_faults",
]

Level = Annotated[float, Field(gt=0.5, lt=1.0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Whole = Annotated[int, Field(ge=0)]


class Count(Record):
    """Events among patients; `printed` is the percentage as the paper prints it."""

    events: Whole
    total: Annotated[int, Field(ge=1)]
    printed: Percentage | None = None
    derived: Literal["percentage"] | None = None


class Contrast(Record):
    """Counts of an outcome in two groups of one arm."""

    exposed: Count
    unexposed: Count
    p: Text | None = None


class Ratio(Record):
    """A ratio as printed, with its interval where one is printed.

    It compares the exposed with the unexposed; `reversed` marks one that is printed for the
    unexposed against the exposed, and that an analysis turns round.
    """

    measure: Literal["hr", "or", "rr"]
    estimate: Annotated[float, Field(gt=0)]
    lower: Annotated[float, Field(gt=0)] | None = None
    upper: Annotated[float, Field(gt=0)] | None = None
    level: Level = 0.95
    p: Text | None = None
    adjusted_for: Words = ()
    reversed: bool = False

    def contradictions(self) -> list[Fault]:
        """An interval has two limits."""
        if (self.lower is None) == (self.upper is None):
            return []
        absent = "lower" if self.lower is None else "upper"
        return [Fault(absent, "this key is missing", "both limits of the interval, or neither")]

    @property
    def interval(self) -> tuple[float, float] | None:
        """The printed limits, if there are any."""
        return None if self.lower is None or self.upper is None else (self.lower, self.upper)

    def oriented(self) -> Ratio:
        """Return the ratio of the exposed against the unexposed."""
        if not self.reversed:
            return self
        lower, upper = self.interval or (None, None)
        turned = {
            "estimate": 1 / self.estimate,
            "lower": None if upper is None else 1 / upper,
            "upper": None if lower is None else 1 / lower,
            "reversed": False,
        }
        return self.model_copy(update=turned)


class SurvivalPoint(Record):
    """A Kaplan-Meier estimate with its interval."""

    estimate: Share
    lower: Share | None = None
    upper: Share | None = None
    level: Level = 0.95


class Survival(Record):
    """Survival at one landmark, of the arm or of a pair of groups in it."""

    time: Annotated[float, Field(gt=0)]
    unit: Unit
    estimate: Share | None = None
    lower: Share | None = None
    upper: Share | None = None
    level: Level = 0.95
    exposed: SurvivalPoint | None = None
    unexposed: SurvivalPoint | None = None

    def contradictions(self) -> list[Fault]:
        """It is one estimate, or a pair."""
        pair = (self.exposed is not None) + (self.unexposed is not None)
        if (self.estimate is None) != (pair == 0) and pair != 1:
            return []
        return [
            Fault(
                "",
                "neither one estimate nor a pair",
                "estimate (with lower, upper), or both exposed and unexposed",
            )
        ]


class Quantile(Record):
    """A quantile of a time, such as the median survival."""

    probability: Annotated[float, Field(gt=0, lt=1)]
    estimate: Annotated[float, Field(ge=0)] | None = None
    lower: Annotated[float, Field(ge=0)] | None = None
    upper: Annotated[float, Field(ge=0)] | None = None
    level: Level = 0.95
    interval: Literal["ci", "range", "iqr"] = "ci"
    unit: Unit
    reached: bool = True


def grade_bands(grades: dict[str, int]) -> list[tuple[int, int, int]]:
    """Return ``(from, to, patients)`` for each band of a table of grades, lowest first.

    Examples
    --------
    >>> grade_bands({"1-2": 19, "0": 1, "3-5": 8, "total": 28})
    [(0, 0, 1), (1, 2, 19), (3, 5, 8)]
    """
    bands = []
    for key, patients in grades.items():
        if key != "total":
            first, _, last = key.partition("-")
            bands.append((int(first), int(last or first), patients))
    return sorted(bands)


def grade_faults(grades: dict[str, int]) -> list[Fault]:
    """Return what a table of grades cannot be: gaps, overlaps, ranges that fall."""
    covered = [grade for first, last, _ in grade_bands(grades) for grade in range(first, last + 1)]
    faults = []
    if any(re.fullmatch(r"(\d)-(\d)", key) and key[0] >= key[2] for key in grades):
        faults.append(Fault("grades", "a range that does not rise", "ranges such as 1-2"))
    elif sorted(covered) != list(range(6)):
        twice = sorted({grade for grade in covered if covered.count(grade) > 1})
        absent = sorted(set(range(6)) - set(covered))
        found = "; ".join(
            f"grade {', '.join(map(str, which))} {what}"
            for which, what in ((absent, "is missing"), (twice, "stands twice"))
            if which
        )
        faults.append(
            Fault(
                "grades", found, "each of the grades 0 to 5 once", "ranges are keys too: 1-2 = 19"
            )
        )
    return faults
