"""Whether an analysis recovers what made the data, for the user's own design."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.errors import Fault, InputError, collected, named_options, refuse_unknown
from metacart.evidence.library import spec_of
from metacart.evidence.selection import StudySource, studies_of, tabulate
from metacart.inference.arguments import run_numbers
from metacart.inference.engines import METHODS
from metacart.inference.ranks import Recovered
from metacart.inference.recovery import Setting, recover
from metacart.inference.recovery_systems import SystemSetting, recover_system
from metacart.inference.systems import parts_of, without_exact
from metacart.modelling.check import question_faults
from metacart.modelling.design import bind
from metacart.modelling.imputation import gap_names
from metacart.modelling.likelihoods import LIKELIHOODS, Likelihoods, find_likelihood, find_system
from metacart.modelling.priors import resolve_priors
from metacart.modelling.system import System
from metacart.modelling.table import as_table
from metacart.records.spec import ModelSpec
from metacart.results.uniformity import binomial_band, chance_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["CERTAINTY", "calibrate"]

Array = NDArray[np.float64]

CERTAINTY = 0.99  # of the bands around the ranks of all quantities together
_COVERAGE, _SURE = 0.95, 0.999  # of the intervals, and of the band around the share that covers
_TOGETHER = 8  # data sets a task


@named_options
def calibrate(
    spec: ModelSpec | str | os.PathLike[str],
    evidence: pd.DataFrame | None = None,
    *,
    studies: StudySource | None = None,
    method: str = "auto",
    simulations: int = 1000,
    tau: float | Sequence[float] | None = None,
    draws: int = 2000,
    seed: int | None = None,
    likelihoods: Likelihoods | None = None,
    executor: Executor | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Check on simulated data whether the intervals of an analysis hold what they promise.

    Parameters
    ----------
    spec : ModelSpec or str or path
        The analysis: a record, the name of a shipped one, or a file.
    evidence : DataFrame, optional
        As for ``fit``: its studies, group sizes, standard errors and moderators are the design.
        What was observed is replaced.
    studies : Studies or path or sequence of paths, optional
        As for ``fit``, where no `evidence` is given.
    method : {"auto", "exact", "nuts"}
        The engine that is checked: NUTS, compiled once for all data sets, or the exact one;
        ``"auto"`` is the exact one where the likelihood has it.
    simulations : int
        Data sets, 20 or more.
    tau : float or sequence of float, optional
        Simulate with tau fixed at each of these instead of drawn from its prior; the prior stays
        in the refits. The table then has coverage without a verdict.
    draws : int
        What the weighted draws of an exact refit are worth, or the draws of the chain of NUTS
        before it is thinned; 100 or more.
    seed : int, optional
        Makes the run reproducible. More simulations of the same seed begin with the same ones.
    likelihoods : mapping of str to Likelihood or System, optional
        Instead of ``LIKELIHOODS``: ``{**LIKELIHOODS, "mine": ...}``.
    executor : concurrent.futures.Executor, optional
        Runs the refits; one after the other by default. Likelihoods of your own travel to other
        processes only where their functions stand in a module.
    progress : bool, optional
        Whether to show a progress bar; by default in a terminal.

    Returns
    -------
    DataFrame
        A row for each of ``mu``, ``tau``, each ``beta``, the likelihood's own parameters and the
        named estimands, of a `System` for each outcome, stage or grade. ``true_tau`` is missing
        where it was drawn. ``simulations`` counts the refits that could be used, ``failed`` those
        that could not, ``why`` says in words.
        ``coverage`` is the share of 95 % equal-tailed intervals that hold what made the data,
        ``coverage_lower`` and ``coverage_upper`` the 99.9 % binomial band of 0.95, ``covers``
        whether it lies inside. ``mean_rank`` is the mean share of the posterior below the truth,
        0.5 where nothing pulls; ``p_uniform`` the chance that uniform ranks stray as far;
        ``uniform`` whether they stay inside the 99 % simultaneous band, which holds for all rows
        together. ``width`` is the median width of the intervals. ``attrs["ranks"]`` holds the
        ranks by quantity, for ``plot_calibration``.

    Raises
    ------
    InputError
        As ``fit`` does; for fewer than 20 simulations, a fixed tau below 0, without study effects
        or of a `System`, and moderators with imputed values, whose stated ones no simulation draws.

    Notes
    -----
    Simulation-based calibration (Talts and others 2018): parameters are drawn from the priors of
    the analysis, data from its likelihood, and the engine fits each data set anew. Over such
    pairs the rank of the true value in its posterior is uniform whatever the design, if and only
    if the engine draws from the right posterior. Ranks come from the importance weights; those of
    NUTS from one chain, thinned to as many draws as are effective. The bands
    are those of Säilynoja, Bürkner and Vehtari (2022), corrected by Bonferroni for the number of
    rows. A refit with a Pareto k above 0.7, or whose chain has divergent transitions or fewer than
    100 effective draws twice, is counted, not used: that hangs on the data and not on what made
    them, so the ranks of the others stay uniform.

    At one fixed tau no interval has to cover 95 %: where tau is 0 its own never does.
    While no study of a transplant question handles time, the naive fit is what is calibrated:
    the bias of immortal time is not part of it.

    Examples
    --------
    >>> import metacart as mc
    >>> import pandas as pd
    >>> table = pd.DataFrame({"study": ["A", "B", "C"], "events": [9, 5, 13], "total": [10, 8, 19]})
    >>> spec = mc.ModelSpec(likelihood="binomial", priors={"tau": "HalfNormal(0.5)"})
    >>> found = mc.calibrate(spec, table, simulations=40, draws=500, seed=1)
    >>> found[["quantity", "covers", "uniform"]].head(2).values.tolist()
    [['mu', True, True], ['tau', True, True]]
    """
    import pandas as pd

    faults: list[Fault] = []
    numbers: dict[str, int] = {}
    with collected(faults):
        numbers = run_numbers(simulations=simulations, draws=draws, seed=seed)
        for name, least in (("simulations", 20), ("draws", 100)):
            if numbers[name] < least:
                faults.append(Fault(name, str(numbers[name]), f"{least} or more"))
    with collected(faults):
        spec = spec_of(spec)
    if evidence is not None and studies is not None:
        faults.append(
            Fault("studies", "both evidence and studies", "one of them", "drop `studies`")
        )
    with collected(faults):
        refuse_unknown("method", method, METHODS)
    fixed = _fixed(tau, spec, faults)
    if faults or not isinstance(spec, ModelSpec):
        raise InputError(faults)
    if evidence is None:
        collection = studies_of(studies)
        if wrong := question_faults(spec, collection, likelihoods=likelihoods):
            raise InputError(wrong)
        evidence = tabulate(collection, spec)
    evidence = as_table(spec, evidence)
    setting: Setting | SystemSetting
    if (system := find_system(spec, likelihoods=likelihoods)) is None:
        design = bind(spec, evidence, likelihoods=likelihoods)
        setting = _setting(spec, design, method, numbers, likelihoods)
    else:
        if fixed != (None,):
            found = f"with the {system.name} likelihood, which has several"
            raise InputError(Fault("tau", found, "None"))
        setting = _system_setting(spec, evidence, system, method, numbers, likelihoods)
    shown = sys.stderr.isatty() if progress is None else progress
    tasks = [
        (value, range(start, min(start + _TOGETHER, numbers["simulations"])))
        for value in fixed
        for start in range(0, numbers["simulations"], _TOGETHER)
    ]
    run = partial(_some, setting=setting)
    done = map(run, tasks) if executor is None else executor.map(run, tasks)
    by_tau: dict[float | None, list[Recovered]] = {value: [] for value in fixed}
    for (value, _), some in zip(tasks, _watched(done, len(tasks), shown=shown), strict=True):
        by_tau[value] += some
    tables = [pd.DataFrame(_rows(runs, value)) for value, runs in by_tau.items()]
    table = pd.concat(tables, ignore_index=True)
    if fixed == (None,):
        table.attrs["ranks"] = {name: tuple(each) for name, each in _ranks(by_tau[None]).items()}
    return table


def _setting(
    spec: ModelSpec,
    design: xr.Dataset,
    method: str,
    numbers: dict[str, int],
    likelihoods: Likelihoods | None,
) -> Setting:
    """Return an analysis of one mean; what is wrong with it stops before anything is drawn."""
    likelihood = find_likelihood(spec, likelihoods=likelihoods)
    if gaps := gap_names(design):
        found = f"values of moderators are imputed ({', '.join(gaps[:3])})"
        allowed = "a value in each row: stated values are the design, and are not simulated"
        raise InputError(Fault("evidence", found, allowed, "complete rows"))
    resolve_priors(spec, design, likelihood)
    # the one in use travels to other processes; a shipped one is there already
    shipped = LIKELIHOODS.get(spec.likelihood) is likelihood
    own = None if shipped else {spec.likelihood: likelihood}
    engine = "nuts" if method == "nuts" else "exact"
    return Setting(spec, design, own, numbers["draws"], numbers["seed"], engine)


def _system_setting(
    spec: ModelSpec,
    evidence: pd.DataFrame,
    system: System,
    method: str,
    numbers: dict[str, int],
    likelihoods: Likelihoods | None,
) -> SystemSetting:
    """Return an analysis of several means, with its parts where it falls into some."""
    design = bind(spec, evidence, likelihoods=likelihoods)
    setting = SystemSetting(spec, design, system, numbers["draws"], numbers["seed"])
    if (split := system.split) is not None:
        known = dict(LIKELIHOODS) | dict(likelihoods or {})
        part, designs = parts_of(spec, evidence, design, system, split, likelihoods=known)
        parts = (_setting(part, each, method, numbers, known) for each in designs)
        return replace(setting, parts=tuple(parts))
    if method == "exact":
        raise InputError(without_exact(system))
    return setting


def _fixed(tau: object, spec: object, faults: list[Fault]) -> tuple[float | None, ...]:
    """Return at which values tau is fixed; None where it is drawn."""
    if tau is None:
        return (None,)
    values: list[Any] = list(tau) if isinstance(tau, Sequence | np.ndarray) else [tau]
    allowed = "a number of 0 or more, or several"
    fixed: list[float | None] = []
    for value in values:
        number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
        if number and 0.0 <= value < np.inf:
            fixed.append(float(value))
        else:
            faults.append(Fault("tau", repr(value), allowed))
    if not values:
        faults.append(Fault("tau", "an empty sequence", allowed))
    if isinstance(spec, ModelSpec) and spec.random_effects == "none":
        faults.append(Fault("tau", "the analysis has no study effects", "None"))
    return tuple(dict.fromkeys(fixed))


def _some(task: tuple[float | None, range], setting: Setting | SystemSetting) -> list[Recovered]:
    tau, numbers = task
    if isinstance(setting, SystemSetting):
        return [recover_system(number, setting) for number in numbers]
    return [recover(number, setting, tau=tau) for number in numbers]


def _watched[T](done: Iterable[T], number: int, *, shown: bool) -> Iterator[T]:
    """Yield what is done beside a progress bar."""
    if not shown:
        yield from done
        return
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    yield from track(done, description="Simulated data sets", total=number, console=console)


def _ranks(runs: Sequence[Recovered]) -> dict[str, list[float]]:
    ranks: dict[str, list[float]] = {}
    for run in runs:
        for name, rank in run.rank.items():
            ranks.setdefault(name, []).append(rank)
    return ranks


def _rows(runs: Sequence[Recovered], tau: float | None) -> Iterator[dict[str, Any]]:
    """Yield a row a quantity."""
    ranks = _ranks(runs)
    reasons = Counter(run.failure for run in runs if run.failure)
    if not ranks:
        found = f"none of {len(runs)} data sets could be fitted: {next(iter(reasons))}"
        raise InputError(Fault("simulations", found, "priors and a design that can be fitted"))
    used, failed = len(runs) - reasons.total(), reasons.total()
    lower, upper = binomial_band(used, share=_COVERAGE, probability=_SURE)
    tail = 0.5 * (1.0 - _COVERAGE)
    for name, each in ranks.items():
        values = np.asarray(each)
        coverage = float(np.mean((values >= tail) & (values <= 1.0 - tail)))
        row: dict[str, Any] = {
            "quantity": name,
            "true_tau": np.nan if tau is None else tau,
            "simulations": used,
            "failed": failed,
            "why": "; ".join(f"{reason} ({times})" for reason, times in reasons.items()),
            "coverage": coverage,
            "coverage_lower": lower,
            "coverage_upper": upper,
            "covers": lower <= coverage <= upper,
            "mean_rank": float(values.mean()),
            "p_uniform": chance_of(values),
        }
        row["uniform"] = row["p_uniform"] >= (1.0 - CERTAINTY) / len(ranks)
        if tau is not None:
            verdict = ("coverage_lower", "coverage_upper", "covers", "p_uniform", "uniform")
            row |= dict.fromkeys(verdict)
        row["width"] = float(np.median([run.width[name] for run in runs if not run.failure]))
        yield row
