"""Simulated patients in remission, and the groups that an analysis of transplant makes of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metacart.results.cox import log_hazard_ratios
from metacart.results.scenarios import Scenario

__all__ = ["OUTCOMES", "Histories", "View", "simulate", "view"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

OUTCOMES = ("event_free_survival", "overall_survival", "relapse")
_YEAR = 12.0


@dataclass(frozen=True, slots=True)
class Histories:
    """What happens to each patient of each data set; all arrays are (data set, patient).

    Attributes
    ----------
    exit : array
        The month of the event of the outcome, or the last of follow-up.
    event : array
        Whether it is an event.
    remission : array
        The month in which remission or follow-up ends.
    transplant : array
        The month of the transplant; without one, the month in which it would have been.
    transplanted : array
        Whether it took place.
    """

    exit: Array
    event: Mask
    remission: Array
    transplant: Array
    transplanted: Mask


def simulate(
    scenario: Scenario,
    rng: np.random.Generator,
    *,
    sets: int,
    patients: int,
    outcome: str,
    transplant_deaths: float,
) -> Histories:
    """Return patients whose transplant changes nothing but, if asked, adds deaths of its own."""
    size = (sets, patients)
    relapse = _until(scenario, rng.exponential(size=size))
    death = relapse + rng.exponential(scenario.after_relapse / np.log(2.0), size=size)
    transplant = rng.choice(np.asarray(scenario.months_to_transplant), size=size)
    end = rng.uniform(*scenario.follow_up, size=size)
    # chosen beforehand and blindly, so that the wanted share is reached of those who can be
    chosen = rng.random(size) < scenario.transplanted / scenario.eligible
    transplanted = chosen & (relapse > transplant) & (end > transplant)
    if transplant_deaths:
        after = rng.exponential(-_YEAR / np.log1p(-transplant_deaths), size=size)
        of_transplant = transplant + np.where(after < _YEAR, after, np.inf)
        of_transplant = np.where(transplanted, of_transplant, np.inf)
    else:
        of_transplant = np.full(size, np.inf)
    leaves = np.minimum(np.minimum(relapse, of_transplant), end)
    if outcome == "overall_survival":
        death = np.minimum(death, of_transplant)
        exit, event = np.minimum(death, end), death <= end  # noqa: A001
    else:
        counted = relapse if outcome == "relapse" else np.minimum(relapse, of_transplant)
        exit, event = leaves, counted <= leaves  # noqa: A001
    return Histories(exit, event, leaves, transplant, transplanted)


def _until(scenario: Scenario, cumulated: Array) -> Array:
    """Return the month in which the hazard has added up to each value."""
    starts, rates = scenario.hazard
    before = np.concatenate([[0.0], np.cumsum(rates[:-1] * np.diff(starts))])
    piece = np.searchsorted(before, cumulated, side="right") - 1
    with np.errstate(divide="ignore"):  # on a plateau nothing happens any more
        return np.asarray(starts[piece] + (cumulated - before[piece]) / rates[piece])


@dataclass(frozen=True, slots=True)
class View:
    """Histories as one method of analysis reads them.

    Attributes
    ----------
    exit, event, exposed : array (data set, interval)
        As ``log_hazard_ratios`` takes them; who is left out has no time at risk.
    entry : array or None
        Where the exposure changes with time.
    groups : (array, array) or None
        Who stands in the group of the transplanted and in that of the others, where each patient
        is in one group.
    """

    exit: Array
    event: Mask
    exposed: Mask
    entry: Array | None
    groups: tuple[Mask, Mask] | None

    def log_hazard_ratios(self) -> Array:
        """Return the log hazard ratio of each data set."""
        return log_hazard_ratios(self.exit, self.event, self.exposed, entry=self.entry)


def view(histories: Histories, method: str, *, landmark: float) -> View:
    """Return histories as a method reads them.

    Parameters
    ----------
    histories : Histories
        From ``simulate``.
    method : {"time-fixed", "excluded", "landmark", "time-dependent"}
        Who counts as transplanted, and from when on.
    landmark : float
        The month of the landmark.
    """
    exit, event, exposed = histories.exit, histories.event, histories.transplanted  # noqa: A001
    if method == "time-fixed":
        return View(exit, event, exposed, None, (exposed, ~exposed))
    if method == "excluded":
        since = np.where(exposed, exit - histories.transplant, exit)
        return View(since, event, exposed, None, (exposed, ~exposed))
    if method == "landmark":
        there = histories.remission > landmark
        before = exposed & (histories.transplant <= landmark)
        since = np.where(there, exit - landmark, 0.0)
        return View(since, event & there, before, None, (there & before, there & ~before))
    # each patient is two intervals, before and after the transplant
    change = np.where(exposed, histories.transplant, exit)
    none = np.zeros_like(exposed)
    return View(
        exit=np.concatenate([change, np.where(exposed, exit, 0.0)], axis=1),
        event=np.concatenate([event & ~exposed, event & exposed], axis=1),
        exposed=np.concatenate([none, ~none], axis=1),
        entry=np.concatenate([np.zeros_like(exit), np.where(exposed, change, 0.0)], axis=1),
        groups=None,
    )
