"""One service for whatever is fitted again: variants of an analysis in, a row for each out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from metacart.errors import InputError
from metacart.inference.first_use import tells_of_compiling
from metacart.inference.fit import fit_lightly as fit_again
from metacart.inference.fit import shows_progress
from metacart.inference.keeping import Cache, CacheLike, cache_of
from metacart.inference.keys import key_of
from metacart.inference.records import design_of, spec_of
from metacart.modelling.design import moderators_of
from metacart.modelling.likelihoods import Likelihoods
from metacart.records.spec import ModelSpec

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["Refit", "Run", "Variant", "pinned", "refit_all"]


@dataclass(frozen=True)
class Variant:
    """An analysis that is fitted again.

    Attributes
    ----------
    label : str
        What it is called in the table.
    spec : ModelSpec
        The analysis.
    evidence : DataFrame
        Its table.
    given : any
        What the reader of its fit needs beside it.
    """

    label: str
    spec: ModelSpec
    evidence: pd.DataFrame
    given: Any = None


@dataclass(frozen=True)
class Run:
    """How variants are fitted.

    Attributes
    ----------
    draws, chains, seed : int
        As for ``fit``.
    likelihoods : mapping of str to Likelihood or System, or None
        Those of the user, instead of the shipped ones.
    cache : Cache or None
        Where what was read from each refit is kept.
    """

    draws: int
    chains: int
    seed: int
    likelihoods: Likelihoods | None = None
    cache: Cache | None = None

    @classmethod
    def of(
        cls,
        fit: xr.DataTree,
        likelihoods: Likelihoods | None = None,
        cache: CacheLike | None = None,
    ) -> Run:
        """Return the run that made a fit."""
        sizes = fit["posterior"].sizes
        numbers = int(sizes["draw"]), int(sizes["chain"]), int(fit.attrs["seed"])
        return cls(*numbers, likelihoods, cache_of(cache))


@dataclass(frozen=True)
class Refit[T]:
    """What became of a variant: the value that was read from its fit, or why there is none.

    What lasts would be the same another time; an error of the machine need not.
    """

    label: str
    value: T | None
    failure: str = ""
    lasting: bool = field(default=True, compare=False, repr=False)


def refit_all[T](
    variants: Iterable[Variant],
    *,
    read: Callable[[xr.DataTree, Any], T],
    run: Run,
    executor: Executor | None = None,
    progress: bool | None = None,
    words: str = "fitting again",
) -> list[Refit[T]]:
    """Fit variants of an analysis and read a value from each fit.

    Parameters
    ----------
    variants : iterable of Variant
        Each is drawn by the exact engine, by NUTS where that cannot be trusted.
    read : callable
        From (fit, the variant's `given`) the value that is kept; the fit has no replicates and no
        log densities. It runs where the fit was made, so that no fit need travel; for other
        processes it is a function of a module.
    run : Run
        The same draws, chains and seed for each, so that variants share their random numbers. What
        its cache keeps is not fitted again.
    executor : concurrent.futures.Executor, optional
        Runs them; one after the other by default.
    progress : bool, optional
        Whether to show a bar; by default in a terminal or a notebook.
    words : str
        What the bar says.

    Returns
    -------
    list of Refit
        In the order of the variants. What cannot be fitted, or whose draws must not be used, has
        no value and says why; it never stops the others.
    """
    listed: Sequence[Variant] = list(variants)
    keys = [_key(variant, read, run) for variant in listed]
    found = [_kept(variant, key, run.cache) for variant, key in zip(listed, keys, strict=True)]
    waiting = [number for number, each in enumerate(found) if each is None]
    # the folder is this process's business: others may run on another machine
    one = partial(_refit, read=read, run=replace(run, cache=None))
    with _bar(words, len(listed), progress) as advance:
        for _ in range(len(listed) - len(waiting)):
            advance()
        for number, result in _done(one, listed, waiting, executor):
            found[number], key = result, keys[number]
            if key is not None and run.cache is not None and result.lasting:
                run.cache.keep_value(key, [result.value, result.failure])
            advance()
    return [each for each in found if each is not None]


def _key(variant: Variant, read: Callable[..., Any], run: Run) -> str | None:
    """Return under what a refit is kept; none where nothing is."""
    if run.cache is None:
        return None
    numbers = {"draws": run.draws, "chains": run.chains, "seed": run.seed}
    more = read, variant.given
    return key_of(
        variant.spec, variant.evidence, *more, run=numbers, likelihoods=run.likelihoods
    )  # fmt: skip


def _kept(variant: Variant, key: str | None, cache: Cache | None) -> Refit[Any] | None:
    kept = None if key is None or cache is None else cache.find_value(key)
    return None if kept is None else Refit(variant.label, *kept)


def _done[T](
    one: Callable[[Variant], T],
    listed: Sequence[Variant],
    waiting: Sequence[int],
    executor: Executor | None,
) -> Iterator[tuple[int, T]]:
    """Yield each result with its number, as they come: what is done is not lost with the rest."""
    if executor is None:
        for number in waiting:
            yield number, one(listed[number])
        return
    futures = {executor.submit(one, listed[number]): number for number in waiting}
    try:
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        for future in futures:
            future.cancel()


def _refit[T](
    variant: Variant, *, read: Callable[[xr.DataTree, Any], T], run: Run
) -> Refit[T]:  # fmt: skip
    try:
        again = fit_again(
            variant.spec,
            variant.evidence,
            draws=run.draws,
            chains=run.chains,
            seed=run.seed,
            likelihoods=run.likelihoods,
        )
        if not again.attrs["converged"]:
            return Refit(variant.label, None, f"cannot be used: {again.attrs['gate']}")
        return Refit(variant.label, read(again, variant.given))
    except InputError as error:
        fault = error.faults[0]
        return Refit(variant.label, None, f"cannot be fitted: {fault.place}: {fault.found}")
    except (ArithmeticError, ValueError, RuntimeError) as error:  # numbers that no engine can take
        words = str(error).partition("\n")[0]
        failure = f"cannot be fitted: {type(error).__name__}: {words}"
        return Refit(variant.label, None, failure, lasting=False)


def pinned(fit: xr.DataTree) -> ModelSpec:
    """Return the spec with what its evidence decided: reference levels and scaled priors.

    So part of the evidence is fitted as the same model, whatever its commonest level is.
    """
    spec, priors = spec_of(fit), json.loads(str(fit.attrs["priors"]))
    moderators = moderators_of(design_of(fit))
    reference = {each.name: each.levels[0] for each in moderators if each.levels}
    stated = dict(spec.priors)
    if moderators:
        beta: dict[str, str] = {}
        for each in moderators:
            own = {name: priors[f"beta:{name}"] for name in each.coefficients}
            # one prior of all its levels holds for those that other evidence has, too
            beta |= own if len(set(own.values())) > 1 else {each.name: next(iter(own.values()))}
        stated["beta"] = beta
    # contrasts may name levels that leave; they are for the page
    changed = {"priors": stated, "reference": spec.reference | reference, "contrasts": ()}
    return spec.model_copy(update=changed)


@contextmanager
def _bar(words: str, number: int, wanted: bool | None) -> Iterator[Callable[[], None]]:
    """Show how many are done; give the function that counts one more."""
    if number < 2 or not (shows_progress() if wanted is None else wanted):
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar, tells_of_compiling(True):
        task = bar.add_task(words, total=number)
        yield lambda: bar.advance(task)
