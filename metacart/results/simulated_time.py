"""The comparison that a transplant without any effect gives, because patients live to reach it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.errors import Fault, InputError, collected, named_options, refuse_unknown
from metacart.inference.arguments import run_numbers
from metacart.results.histories import OUTCOMES, Histories, View, simulate, view
from metacart.results.scenarios import Scenario, scenarios_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["GROUPS", "METHODS", "MONTH", "MONTHS", "SHOW", "simulate_immortal_time"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

METHODS = ("time-fixed", "excluded", "landmark", "time-dependent")
SHOW = ("effects", "curves")
GROUPS = ("transplanted", "others", "all")
MONTH = 12  # at which two curves are compared
MONTHS = tuple(number / 2 for number in range(49))  # of the curves
_LAST = 24
_BINS = 10  # a month, in which a hazard is taken as constant
_CELLS = 400_000  # patients that are simulated together
_MOST = 20_000_000


@named_options
def simulate_immortal_time(
    *,
    scenario: str | Sequence[str] | None = None,
    outcome: str = "event_free_survival",
    patients: int = 60,
    transplanted: float | None = None,
    months_to_transplant: float | Sequence[float] | None = None,
    event_free: float | Mapping[float, float] | None = None,
    remission_at: float | None = None,
    after_relapse: float | None = None,
    transplant_deaths: float = 0.0,
    follow_up: tuple[float, float] | None = None,
    landmark: float | None = None,
    replicates: int = 1000,
    seed: int = 1,
    show: str = "effects",
) -> pd.DataFrame:
    """Return what comparisons of transplant against none show when it has no effect at all.

    Parameters
    ----------
    scenario : str or sequence of str, optional
        Whose patients: ``an2022``, ``chen2021``, ``li2020``, ``rocca``, with the times to
        transplant and the curves of these papers, or ``slow`` and ``fast``, two plain ones; all of
        them by default. What follows takes the place of what a scenario has.
    outcome : {"event_free_survival", "overall_survival", "relapse"}
        What is compared. An event is a relapse or a death in remission; for ``relapse`` a death in
        remission censors.
    patients : int
        In remission, in each replicate.
    transplanted : float, optional
        The share of them who are transplanted in the end.
    months_to_transplant : float or sequence of float, optional
        From time zero, the infusion; each transplant comes at one of them.
    event_free : float or dict of month to share, optional
        The median, or the share without an event at some months; with a constant hazard between
        them and beyond the last.
    remission_at : float, optional
        The month in which remission is read: no patient in remission had an event before.
    after_relapse : float, optional
        Median months from relapse to death.
    transplant_deaths : float
        The share of the transplanted who die of it within a year, beside all else.
    follow_up : (float, float), optional
        The shortest and the longest follow-up in months; it is uniform between them.
    landmark : float, optional
        The month of the landmark analysis; by default the one by which nine in ten transplants
        have come.
    replicates : int
        How many data sets.
    seed : int
        The same seed gives the same table, and every scenario the same random numbers.
    show : {"effects", "curves"}
        The comparisons by each method, or the curves of the groups of the time-fixed comparison.

    Returns
    -------
    DataFrame
        For ``effects`` one row a scenario and method: ``scenario``, ``outcome``, ``method``;
        ``log_hr``, the mean of Cox's log hazard ratio over the replicates, with its Monte Carlo
        standard error ``mcse``; ``sd``, ``lower`` and ``upper``, the SD and the middle 95 % of
        replicates; ``hr``, exp(log_hr); ``below_one``, the share of replicates with a ratio below
        1; ``estimable``, the share with a finite ratio, of which means and SD are. Then, of all
        replicates together, ``survival_transplanted`` and ``survival_others`` at month 12 of the
        method's own clock with ``log_hr_curves``, the difference of log(−log S); and ``cloglog``
        and ``log_odds``, those of the shares with an event at the last follow-up. For ``curves``
        ``scenario``, ``outcome``, ``group`` (transplanted, others, all), ``month``, ``survival``.

    Raises
    ------
    InputError
        For each option that cannot be, and where more are to be transplanted than live in
        remission until then.

    Notes
    -----
    A patient leaves remission with the hazard of ``event_free``, transplanted or not, and dies
    after a relapse with a constant hazard. Those chosen for a transplant, blindly, get it if they
    are still in remission and followed when it comes. So all true ratios are 1 (but for
    ``transplant_deaths``), and what differs is the method:

    * ``time-fixed``: transplanted against not, from time zero. The transplanted cannot have an
      event before the transplant, and who has one early stands among the others.
    * ``excluded``: the time before it is left out for the transplanted alone.
    * ``landmark``: from the landmark, those in remission then, by whether they were transplanted.
    * ``time-dependent``: until the transplant each patient is one of the others.

    With a constant hazard h, all transplants w months after time zero, and few of them, the
    time-fixed hazard ratio goes to 1 / (1 + h w); a large share of transplanted takes more away
    from the others, and it is smaller. Counts at the last follow-up carry less of the bias than
    ratios: events even out with time. The landmark analysis is unbiased for each outcome, the
    time-dependent one for event-free survival and relapse only: for overall survival who relapsed
    stays among the others and can no longer be transplanted. The prior of the bias b that ``hsct``
    takes off has to cover these numbers; two published pairs point the same way. Toxicity of
    immune-checkpoint therapy against survival: a pooled hazard ratio of 0.41 naive and 0.61 by
    landmark, log ratio −0.40 (Immunotherapy 2021;13:257–70, doi 10.2217/imt-2020-0179). A
    simulation in lung fibrosis: 0.55 time-fixed and 0.93 time-dependent, −0.53 (Zheng Q and others
    2023, doi 10.3389/fmed.2023.1157706).

    Examples
    --------
    >>> import metacart as mc
    >>> table = mc.simulate_immortal_time(scenario="li2020", replicates=200)
    >>> table.loc[table["method"] == "time-fixed", "hr"].item() < 0.8
    True
    """
    import pandas as pd

    faults: list[Fault] = []
    for name, value, allowed in (("outcome", outcome, OUTCOMES), ("show", show, SHOW)):
        with collected(faults):
            refuse_unknown(name, value, allowed)
    numbers = {"patients": 0, "replicates": 0}
    with collected(faults):
        numbers = run_numbers(seed=seed, patients=patients, replicates=replicates)
    if numbers["patients"] * numbers["replicates"] > _MOST:
        found = f"{patients} patients in {replicates} replicates"
        faults.append(Fault("replicates", found, f"at most {_MOST:,} patients in all", "fewer"))
    faults += _wrong_numbers(transplant_deaths, landmark)
    chosen: list[Scenario] = []
    with collected(faults):
        chosen = scenarios_of(
            scenario,
            transplanted=transplanted,
            months_to_transplant=months_to_transplant,
            event_free=event_free,
            remission_at=remission_at,
            after_relapse=after_relapse,
            follow_up=follow_up,
        )
    if faults:
        raise InputError(faults)
    rows: list[dict[str, Any]] = []
    for each in chosen:
        sums = {method: _Sums() for method in METHODS}
        for histories in _batches(each, numbers, outcome, transplant_deaths):
            at = each.landmark if landmark is None else landmark
            for method in METHODS if show == "effects" else METHODS[:1]:
                sums[method].add(view(histories, method, landmark=at), compare=show == "effects")
        head = {"scenario": each.name, "outcome": outcome}
        if show == "effects":
            rows += [head | {"method": name, **one.effects()} for name, one in sums.items()]
        else:
            rows += [head | row for row in sums[METHODS[0]].curves()]
    return pd.DataFrame(rows)


def _wrong_numbers(transplant_deaths: float, landmark: float | None) -> Iterator[Fault]:
    def is_number(value: object) -> bool:
        known = isinstance(value, int | float | np.number) and not isinstance(value, bool)
        return known and bool(np.isfinite(value))  # type: ignore[call-overload]

    if not is_number(transplant_deaths) or not 0.0 <= transplant_deaths < 1.0:
        yield Fault("transplant_deaths", f"{transplant_deaths!r}", "a share from 0 to below 1")
    if landmark is not None and (not is_number(landmark) or landmark < 0.0):
        yield Fault("landmark", f"{landmark!r}", "a month, a number of 0 or more")


def _batches(
    scenario: Scenario, numbers: Mapping[str, int], outcome: str, transplant_deaths: float
) -> Iterator[Histories]:
    rng, left = np.random.default_rng(numbers["seed"]), numbers["replicates"]
    while left:
        sets = min(left, max(1, _CELLS // numbers["patients"]))
        left -= sets
        yield simulate(
            scenario,
            rng,
            sets=sets,
            patients=numbers["patients"],
            outcome=outcome,
            transplant_deaths=transplant_deaths,
        )


@dataclass(slots=True)
class _Sums:
    """What one method finds, added up over batches: ratios one by one, the rest in all."""

    ratios: list[Array] = field(default_factory=list)
    events: Array = field(default_factory=lambda: np.zeros(2))
    patients: Array = field(default_factory=lambda: np.zeros(2))
    by_month: Array = field(default_factory=lambda: np.zeros((2, 2, _LAST * _BINS)))
    grouped: bool = False

    def add(self, seen: View, *, compare: bool) -> None:
        """Add a batch; `compare` asks for the ratios."""
        if compare:
            self.ratios.append(seen.log_hazard_ratios())
        if seen.groups is None:
            return
        self.grouped = True
        for number, group in enumerate(seen.groups):
            exit, event = seen.exit[group], seen.event[group]  # noqa: A001
            self.patients[number] += group.sum()
            self.events[number] += event.sum()
            self.by_month[number] += _events_and_time(exit, event)

    def effects(self) -> dict[str, float]:
        ratios = np.concatenate(self.ratios)
        known = ratios[np.isfinite(ratios)]
        compared = ratios[~np.isnan(ratios)]
        many = len(known) > 1
        sd = float(known.std(ddof=1)) if many else np.nan
        mean = float(known.mean()) if len(known) else np.nan
        lower, upper = np.quantile(known, [0.025, 0.975]) if many else (np.nan, np.nan)
        first, second = (float(self._survival(n)[MONTHS.index(MONTH)]) for n in (0, 1))
        share = self.events / np.where(self.patients > 0, self.patients, np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            loglog = np.log(-np.log([first, second]))
            cloglog, odds = np.log(-np.log1p(-share)), np.log(share / (1.0 - share))
            return {
                "log_hr": mean,
                "sd": sd,
                "mcse": sd / np.sqrt(len(known)) if many else np.nan,
                "lower": float(lower),
                "upper": float(upper),
                "hr": float(np.exp(mean)),
                "below_one": float((compared < 0).mean()) if len(compared) else np.nan,
                "estimable": len(known) / len(ratios),
                "survival_transplanted": first,
                "survival_others": second,
                "log_hr_curves": float(loglog[0] - loglog[1]),
                "cloglog": float(cloglog[0] - cloglog[1]),
                "log_odds": float(odds[0] - odds[1]),
            }

    def _survival(self, *groups: int) -> Array:
        """Return the survival of groups together; not a number where nobody is at risk."""
        if not self.grouped:
            return np.full(len(MONTHS), np.nan)
        events, time = self.by_month[list(groups)].sum(axis=0)
        with np.errstate(invalid="ignore"):
            hazard = np.cumsum(events / time / _BINS)
        return np.exp(-np.concatenate([[0.0], hazard]))[:: _BINS // 2]

    def curves(self) -> Iterator[dict[str, Any]]:
        for group, numbers in zip(GROUPS, ((0,), (1,), (0, 1)), strict=True):
            for month, survival in zip(MONTHS, self._survival(*numbers), strict=True):
                yield {"group": group, "month": month, "survival": float(survival)}


def _events_and_time(exit: Array, event: Mask) -> Array:  # noqa: A002
    """Return events and months at risk (2, bin) in each tenth of a month."""
    edges = np.arange(_LAST * _BINS + 1) / _BINS
    number = np.minimum(exit * _BINS, _LAST * _BINS).astype(np.intp)
    size = _LAST * _BINS + 1
    ends = np.bincount(number, minlength=size)
    events = np.bincount(number, weights=event, minlength=size)
    part = np.bincount(number, weights=exit - edges[number], minlength=size)
    beyond = len(exit) - np.cumsum(ends)  # who live through each bin
    return np.stack([events[:-1], (beyond / _BINS + part)[:-1]])
