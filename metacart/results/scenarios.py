"""Patients in remission who wait for a transplant, as the papers describe them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metacart.errors import Fault, InputError, nearest

__all__ = ["PUBLISHED", "SCENARIOS", "Scenario", "scenarios_of"]

Array = NDArray[np.float64]
Times = float | Sequence[float]
Curve = float | Mapping[float, float]


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is known of a group of patients in remission of whom some are transplanted.

    Attributes
    ----------
    name, label : str
        For the code and for people.
    transplanted : float
        The share of all patients who are transplanted in the end.
    months_to_transplant : tuple of float
        From time zero; each transplant comes at one of them.
    event_free : tuple of (float, float)
        Months from time zero and the share still in remission, later ones later.
    remission_at : float
        The month in which remission is read: none of these patients has an event before it.
    after_relapse : float
        Median months from relapse to death.
    follow_up : (float, float)
        The shortest and the longest follow-up in months.
    source : str
        Where the numbers come from, and what is assumed.
    """

    name: str
    label: str
    transplanted: float
    months_to_transplant: tuple[float, ...]
    event_free: tuple[tuple[float, float], ...]
    remission_at: float
    after_relapse: float
    follow_up: tuple[float, float]
    source: str

    @property
    def hazard(self) -> tuple[Array, Array]:
        """The months from which on each rate of events holds, and the rates a month."""
        months, shares = zip((self.remission_at, 1.0), *self.event_free, strict=True)
        falls = np.log(shares[:-1]) - np.log(shares[1:])
        return np.asarray(months[:-1]), falls / np.diff(months)

    def in_remission(self, month: Array) -> Array:
        """Return the share without an event at each month."""
        starts, rates = self.hazard
        ends = np.append(starts[1:], np.inf)
        time = np.clip(np.minimum(np.asarray(month)[..., None], ends) - starts, 0.0, None)
        return np.asarray(np.exp(-(time * rates).sum(axis=-1)))

    @property
    def eligible(self) -> float:
        """The share who are in remission, and followed, when their transplant would come."""
        waits = np.asarray(self.months_to_transplant)
        low, high = self.follow_up
        spread = high - low
        followed = np.clip((high - waits) / spread, 0.0, 1.0) if spread else waits < high
        return float((self.in_remission(waits) * followed).mean())

    @property
    def landmark(self) -> float:
        """The month by which nine in ten transplants have come."""
        return float(np.quantile(self.months_to_transplant, 0.9, method="inverted_cdf"))


def _even(low: float, high: float, number: int = 11) -> tuple[float, ...]:
    return tuple(float(month) for month in np.linspace(low, high, number).round(3))


_DAYS = 30.4375  # in a month

_SHIPPED = (
    Scenario(
        name="an2022",
        label="An 2022",
        transplanted=11 / 13,
        months_to_transplant=(*_even(1.3, 2.3, 10), 5.9),
        event_free=((12.0, 0.69), (18.0, 0.69)),
        remission_at=1.0,
        after_relapse=3.0,
        follow_up=(8.0, 27.5),
        source=(
            "11 of 13 in remission were transplanted, 10 of them after 1.3 to 2.3 months (spread "
            "evenly) and 1 after 5.9; event-free 69 % at 12 and 18 months; follow-up 8 to 27.5 "
            "months. Assumed: 3 months from relapse to death."
        ),
    ),
    Scenario(
        name="chen2021",
        label="Chen 2021",
        transplanted=10 / 25,
        months_to_transplant=_even(63 / _DAYS - 1.0, 63 / _DAYS + 1.0),
        event_free=((13.0, 0.507), (37.0, 0.267)),
        remission_at=1.0,
        after_relapse=3.0,
        follow_up=(7.0, 56.0),
        source=(
            "10 of 25 in remission were transplanted, at a median of 63 days (spread evenly over a "
            "month before and after); free of relapse the mean of the three groups 1 and 3 years "
            "after remission, 10, 7 and 8 patients; follow-up from the dates of enrolment and "
            "cut-off. Assumed: 3 months from relapse to death."
        ),
    ),
    Scenario(
        name="li2020",
        label="Li 2020",
        transplanted=17 / 36,
        months_to_transplant=_even(1.0, 2.0),
        event_free=((6.0, 0.634), (12.0, 0.485)),
        remission_at=0.5,
        after_relapse=2.6,
        follow_up=(2.0, 36.0),
        source=(
            "17 of 36 in remission were transplanted within 2 months (spread evenly over the "
            "second); remission after 2 weeks; event-free 58.5 % at 6 and 44.8 % at 12 months, of "
            "all 39, over 36/39 who reached remission; follow-up from the dates of enrolment and "
            "cut-off. From relapse to death as overall survival at 12 months implies."
        ),
    ),
    Scenario(
        name="rocca",
        label="ROCCA registry",
        transplanted=38 / 172,
        months_to_transplant=_even(73 / _DAYS - 1.0, 73 / _DAYS + 1.0),
        event_free=((6.0, 0.59), (12.0, 0.48)),
        remission_at=1.0,
        after_relapse=3.7,
        follow_up=(2.0, 21.0),
        source=(
            "38 of 172 in MRD-negative remission were transplanted, around day 73, the landmark of "
            "the registry (spread evenly over a month before and after); progression-free 59 % at "
            "6 and 48 % at 12 months; median follow-up 11.4 months. From relapse to death as "
            "overall survival at 12 months implies."
        ),
    ),
    Scenario(
        name="slow",
        label="Plain, slow events",
        transplanted=0.35,
        months_to_transplant=_even(1.5, 2.5),
        event_free=((24.0, 0.5),),
        remission_at=0.0,
        after_relapse=3.0,
        follow_up=(1.0, 34.0),
        source=(
            "Made up: median event-free survival 24 months, events from time zero on, 35 % "
            "transplanted at 1.5 to 2.5 months."
        ),
    ),
    Scenario(
        name="fast",
        label="Plain, fast events",
        transplanted=0.40,
        months_to_transplant=_even(2.5, 3.5),
        event_free=((6.0, 0.5),),
        remission_at=0.0,
        after_relapse=3.0,
        follow_up=(1.0, 34.0),
        source=(
            "Made up: median event-free survival 6 months, events from time zero on, 40 % "
            "transplanted at 2.5 to 3.5 months."
        ),
    ),
)

SCENARIOS: Mapping[str, Scenario] = MappingProxyType({each.name: each for each in _SHIPPED})

# What others found when they handled the time in the same patients or studies: words, reference,
# hazard ratio as printed without and with it.
PUBLISHED = (
    (
        "Toxicity and survival under immune-checkpoint therapy: 29 papers, naive and by landmark",
        "Immunotherapy 2021;13:257–70, doi 10.2217/imt-2020-0179",
        0.41,
        0.61,
    ),
    (
        "Antifibrotic therapy in lung fibrosis: a simulation, time-fixed and time-dependent",
        "Zheng 2023, doi 10.3389/fmed.2023.1157706",
        0.55,
        0.93,
    ),
)


def scenarios_of(
    names: str | Sequence[str] | None,
    *,
    transplanted: float | None = None,
    months_to_transplant: Times | None = None,
    event_free: Curve | None = None,
    remission_at: float | None = None,
    after_relapse: float | None = None,
    follow_up: tuple[float, float] | None = None,
) -> list[Scenario]:
    """Return the scenarios of these names, all for None, with what is given in place of their own.

    Raises
    ------
    InputError
        With a fault for each name that is not known, and for each option that cannot be or that
        does not fit the others.
    """
    single = isinstance(names, str) or not isinstance(names, Iterable)
    wanted: list[Any] = list(SCENARIOS) if names is None else [names] if single else list(names)
    allowed = ", ".join(SCENARIOS)
    faults = [
        Fault("scenario", f"{name!r} is not known", allowed, nearest(name, SCENARIOS))
        for name in wanted
        if not isinstance(name, str) or name not in SCENARIOS
    ]
    if not wanted:
        faults.append(Fault("scenario", "no name", allowed))
    new: dict[str, object] = {}
    if transplanted is not None:
        new["transplanted"] = _number(faults, "transplanted", transplanted, above=True, most=1.0)
    if remission_at is not None:
        new["remission_at"] = _number(faults, "remission_at", remission_at)
    if after_relapse is not None:
        new["after_relapse"] = _number(faults, "after_relapse", after_relapse, above=True)
    if months_to_transplant is not None:
        new["months_to_transplant"] = _several(faults, "months_to_transplant", months_to_transplant)
    if event_free is not None:
        points = [*event_free.items()] if isinstance(event_free, Mapping) else [(event_free, 0.5)]
        new["event_free"] = tuple(
            sorted(
                (
                    _number(faults, "event_free", month, above=True),
                    _number(faults, "event_free", share, above=True, most=1.0),
                )
                for month, share in points
            )
        )
        if not points:
            faults.append(Fault("event_free", "no month", "one or more, each with its share"))
    if follow_up is not None:
        new["follow_up"] = ends = _several(faults, "follow_up", follow_up)
        if len(ends) != 2:
            faults.append(Fault("follow_up", f"{follow_up!r}", "(shortest, longest) in months"))
    if faults:
        raise InputError(faults)
    chosen = [
        replace(SCENARIOS[name], **new)  # type: ignore[arg-type]
        for name in dict.fromkeys(wanted)
    ]
    if faults := [fault for each in chosen for fault in _misfits(each)]:
        raise InputError(faults)
    return chosen


def _number(
    faults: list[Fault], name: str, value: object, *, above: bool = False, most: float = math.inf
) -> float:
    """Return a number of 0 or more, or `above` 0, and at `most` one; else add a fault."""
    known = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    figure = float(value) if known else math.nan  # type: ignore[arg-type]
    if not (math.isfinite(figure) and figure <= most and (figure > 0 if above else figure >= 0)):
        limits = "a number above 0" if above else "a number of 0 or more"
        faults.append(Fault(name, f"{value!r}", limits + (f", up to {most:g}" if most < 9 else "")))
    return figure


def _several(faults: list[Fault], name: str, values: object) -> tuple[float, ...]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        values = [values]
    numbers = tuple(_number(faults, name, value) for value in values)
    if not numbers:
        faults.append(Fault(name, "no number", "one or more, in months"))
    return numbers


def _misfits(scenario: Scenario) -> list[Fault]:
    """Return what contradicts itself in a scenario."""
    faults = []
    months, shares = (np.asarray(each) for each in zip(*scenario.event_free, strict=True))
    begin, name = scenario.remission_at, scenario.name
    if (np.diff(shares) > 0).any():
        found = ", ".join(f"{share:g} in month {month:g}" for month, share in scenario.event_free)
        faults.append(Fault("event_free", found, "shares that do not rise with time"))
    if shares[-1] == 1.0:
        faults.append(Fault("event_free", "nobody has an event", "a share below 1"))
    if months[0] <= begin:
        found = f"month {months[0]:g}, with remission read in month {begin:g} ({name})"
        faults.append(Fault("event_free", found, "a month after that", "another remission_at"))
    first = min(scenario.months_to_transplant)
    if first < begin:
        found = f"month {first:g}, with remission read in month {begin:g} ({name})"
        faults.append(
            Fault("months_to_transplant", found, "that month or later", "another remission_at")
        )
    low, high = scenario.follow_up
    if low > high or high <= begin:
        found = f"from {low:g} to {high:g}, with remission read in month {begin:g} ({name})"
        faults.append(Fault("follow_up", found, "(shortest, longest), and beyond remission"))
    if not faults and scenario.transplanted > scenario.eligible:
        faults.append(
            Fault(
                "transplanted",
                f"{scenario.transplanted:.0%} of the patients ({name})",
                f"at most {scenario.eligible:.0%}, who live in remission until their transplant",
                "a smaller share, or earlier transplants",
            )
        )
    return faults
