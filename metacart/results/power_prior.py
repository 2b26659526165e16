"""A prior of an effect from the counts of two arms outside of the question."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

from metacart.errors import Fault, InputError
from metacart.evidence.collection import Studies
from metacart.evidence.conversions.counts import counts_to_effect
from metacart.evidence.selection import tabulate
from metacart.modelling.moderators import level_text
from metacart.records.spec import ModelSpec

__all__ = ["Borrowed", "power_prior"]


@dataclass(frozen=True, slots=True)
class Borrowed:
    """A prior of a log odds ratio from counts.

    Attributes
    ----------
    log_odds_ratio, se : float
        Of the two arms; its sampling error as printed counts give it.
    weight : float
        The power a0 of their likelihood.
    words : str
        What the counts are, and whose.
    """

    log_odds_ratio: float
    se: float
    weight: float
    words: str

    @property
    def sd(self) -> float:
        """Standard deviation of the prior."""
        return self.se / math.sqrt(self.weight)


def power_prior(
    spec: ModelSpec, moderator: str, level: Any, reference: Any, studies: Studies
) -> Borrowed:
    """Return the prior that two arms outside of the question give for a contrast.

    Parameters
    ----------
    spec : ModelSpec
        With a ``power_prior`` of this moderator.
    moderator : str
        The moderator.
    level, reference : str, bool or number
        Its levels, as the question recodes them.
    studies : Studies
        Where the arms are.

    Raises
    ------
    InputError
        For arms that these studies do not have, of other levels than those compared, without
        counts of the outcome, or with a cell of 0.

    Notes
    -----
    The likelihood of the counts is taken as normal in the log odds ratio, with variance
    1/a + 1/b + 1/c + 1/d (Woolf). Its power a0, times a flat prior, is Normal(log OR, se/sqrt(a0)).
    """
    stated = spec.power_prior[moderator]
    sides = {"level": (stated.level, level), "reference": (stated.reference, reference)}
    known = {f"{study.id}/{arm.id}" for study in studies for arm in study.arms}
    place = f"power_prior.{moderator}"
    faults = [
        Fault(f"{place}.{side}", f"'{arm}' is no arm of these studies", "an arm that is there")
        for side, (arm, _) in sides.items()
        if arm not in known
    ]
    if faults:
        raise InputError(faults)
    question = ModelSpec(
        likelihood="binomial",
        outcome=spec.outcome,
        population=spec.population,
        timepoint=spec.timepoint,
        include={"arm": (stated.level, stated.reference)},
        admit=(stated.level, stated.reference),
        recode=spec.recode,
    )
    table = tabulate(studies, question)
    rows = {f"{row['study']}/{row['arm']}": row for row in table.to_dict("records")}
    counts = []
    for side, (arm, value) in sides.items():
        if arm not in rows:
            found = f"'{arm}' has no count of {spec.outcome}"
            faults.append(Fault(f"{place}.{side}", found, "events and patients"))
            continue
        is_ = level_text(rows[arm][moderator])
        if is_ != level_text(value):
            found = f"'{arm}' is {is_}"
            faults.append(Fault(f"{place}.{side}", found, level_text(value), "swap the two arms"))
        counts.append((int(rows[arm]["events"]), int(rows[arm]["total"])))
    if faults:
        raise InputError(faults)
    with warnings.catch_warnings():
        # a normal likelihood of small counts is what the weight is for
        warnings.simplefilter("ignore")
        effect = counts_to_effect(*counts, measure="or")
    (a, n), (c, m) = counts
    labels = dict.fromkeys(str(rows[arm]["label"]) for arm, _ in sides.values())
    words = f"{level_text(level)} {a}/{n}, {level_text(reference)} {c}/{m} ({', '.join(labels)})"
    return Borrowed(math.log(effect.value), effect.se, stated.weight, words)
