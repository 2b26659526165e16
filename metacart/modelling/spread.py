"""How true values spread: a second level of effects, and a tau that differs by a moderator."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from metacart.errors import Fault
from metacart.modelling.likelihoods import LIKELIHOODS, Likelihood, Likelihoods
from metacart.modelling.moderators import Moderator
from metacart.records.spec import ModelSpec, RandomEffects

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TauLevels", "combination_faults", "spread_faults", "tau_levels", "tau_names"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class TauLevels:
    """The levels that have a tau of their own, and where a design says which one a row has.

    Attributes
    ----------
    moderator : str
        The categorical moderator.
    levels : tuple of str
        Its levels, the reference first.
    first : int
        The column of the design of its second level; the others follow.
    """

    moderator: str
    levels: tuple[str, ...]
    first: int

    @property
    def names(self) -> tuple[str, ...]:
        """How each tau is called: ``scfv[humanized]``."""
        return tuple(f"{self.moderator}[{level}]" for level in self.levels)

    def of_rows(self, rows: Array) -> NDArray[np.intp]:
        """Return the level of each row of a design (..., rows, coefficients), by position."""
        while rows.ndim > 2:  # what is imputed draw by draw is no level
            rows = rows[0]
        columns = rows[:, self.first : self.first + len(self.levels) - 1]
        return np.where(columns.any(axis=1), 1 + columns.argmax(axis=1), 0)


def tau_levels(spec: ModelSpec, moderators: Iterable[Moderator]) -> TauLevels | None:
    """Return the levels by which tau differs; nothing where it is one, or where there is none."""
    if spec.random_effects == "none":
        return None
    position = 0
    for each in moderators:
        if each.name == spec.tau_by and each.levels:
            return TauLevels(each.name, each.levels, position)
        position += len(each.coefficients)
    return None


def tau_names(levels: TauLevels | None) -> list[str]:
    """Return the keys of the priors of tau: ``tau``, or ``tau:scfv[humanized]`` and so on."""
    return ["tau"] if levels is None else [f"tau:{name}" for name in levels.names]


def combination_faults(
    spec: ModelSpec,
    likelihood: Likelihood,
    *,
    likelihoods: Likelihoods | None = None,
) -> Iterator[Fault]:
    """Yield the levels of effects that a likelihood does not allow, each with the nearest."""
    known = LIKELIHOODS if likelihoods is None else likelihoods
    effects = spec.random_effects
    asked: dict[str, tuple[str | None, tuple[RandomEffects, ...], str]] = {
        "within": (spec.within, likelihood.within, "an effect of each finding"),
        "tau_by": (spec.tau_by, likelihood.tau_by, "a tau of each level"),
    }
    for key, (value, allowed, what) in asked.items():
        if value is None:
            continue
        if not allowed:
            names = [name for name, entry in known.items() if getattr(entry, key, ())]
            near = f'likelihood = "binomial", or leave {key} out' if likelihood.spreads else ""
            yield Fault(
                key,
                f"'{value}' with the {likelihood.name} likelihood",
                f"{what} with {', '.join(names)}",
                near or f"leave {key} out",
            )
        elif effects not in allowed:
            yield Fault(
                key,
                f"'{value}' beside random_effects = \"{effects}\"",
                f"{what} beside {' or '.join(allowed)} effects of studies",
                'random_effects = "normal"',
            )
    for key in ("within", "tau_by"):
        if spec.certainty and getattr(spec, key):
            found = f"'{getattr(spec, key)}' beside certainty: origins that are mixtures"
            yield Fault(key, found, "one of the two", f"leave {key} out, or certainty")
    if spec.within and spec.tau_by:
        yield Fault(
            "tau_by",
            f"'{spec.tau_by}' beside within = \"{spec.within}\"",
            "one of the two: it would be open which of the two spreads differs",
            "leave within out",
        )


def spread_faults(
    spec: ModelSpec, moderators: tuple[Moderator, ...], evidence: pd.DataFrame, x: Array
) -> Iterator[Fault]:
    """Yield the levels of effects about which this evidence cannot say anything."""
    groups = evidence[spec.group].astype(str).to_numpy()
    if spec.within and not evidence[spec.group].duplicated().any():
        number = len(groups)
        found = f"each {spec.group} of {number} has one" if number > 1 else "there is one"
        yield Fault(
            "within",
            f"'finding', but {found} finding: from one the spread within a {spec.group} and "
            "that between them cannot be told apart",
            f"a {spec.group} with two findings or more",
            "leave within out",
        )
    if not spec.tau_by:
        return
    levels = tau_levels(spec, moderators)
    if levels is None:
        categorical = [each.name for each in moderators if each.levels]
        yield Fault(
            "tau_by",
            f"'{spec.tau_by}' is a number",
            ", ".join(categorical) or "a categorical moderator",
            "a column of its classes, or leave tau_by out",
        )
        return
    place = levels.of_rows(x)
    for position, level in enumerate(levels.levels):
        here = np.unique(groups[place == position])
        if len(here) < 2:
            yield Fault(
                "tau_by",
                f"one {spec.group}, {here[0]}, has {levels.moderator} = {level}: its tau would "
                "be the prior alone",
                f"two {_several(spec.group)} or more at each level",
                f"recode {level} together with another level, or leave tau_by out",
            )


def _several(group: str) -> str:
    return "studies" if group == "study" else "cohorts"
