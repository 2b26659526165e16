"""A fit of one question as a command makes it: kept, with its progress and its verdict."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import metacart as mc
from metacart import screen
from metacart.commands.fit_words import surprises
from metacart.commands.options import NOT_CONVERGED, OK
from metacart.errors import Fault, InputError, collected
from metacart.screen import count_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["check_stated", "fit_question", "give_verdict", "tell_kept"]


def check_stated(
    question: mc.ModelSpec, evidence: pd.DataFrame, at: Mapping[str, Any] | None
) -> None:
    """Refuse moderators and levels that the evidence does not hold before anything is fitted."""
    from metacart.modelling.moderators import code_at
    from metacart.modelling.reading_moderators import read_moderators

    faults: list[Fault] = []
    moderators = read_moderators(question, evidence)
    for name, values in (at or {}).items():
        for value in values if isinstance(values, list) else [values]:
            with collected(faults):
                code_at(moderators, {name: value})
    if faults:
        named = (replace(fault, place=f"--at {fault.place[4:-2]}") for fault in faults)
        raise InputError(dict.fromkeys(named))


def fit_question(
    question: mc.ModelSpec,
    evidence: pd.DataFrame,
    *,
    seed: int,
    draws: int,
    cache: mc.Cache | None,
    quiet: bool,
) -> xr.DataTree:
    """Return the fit of a question, the kept one where there is one."""
    if sys.stderr.isatty() and not quiet:
        screen.note(f"fitting {question.name} to {count_of(len(evidence), 'finding')} …")
    progress = False if quiet else None
    result = mc.fit(question, evidence, draws=draws, seed=seed, cache=cache, progress=progress)
    if not quiet:
        tell_kept(cache)
    return result


def tell_kept(cache: mc.Cache | None) -> None:
    """Say that kept fits were used, and since when they were."""
    if cache is not None and cache.used:
        new = f", {len(cache.made)} made" if cache.made else ""
        since = f"{min(cache.used):%Y-%m-%d %H:%M}"
        fits = count_of(len(cache.used), "kept fit")
        screen.note(f"{fits} used (since {since}){new}; --fresh fits anew")


def give_verdict(result: xr.DataTree, out: Path | None, quiet: bool) -> int:
    """Say what to think of the fit and where it went, and return the exit status."""
    if not quiet:
        for surprise in surprises(result):
            screen.note(f"warning: {surprise}")
        if out is not None:
            screen.note(f"wrote {out}")
    if result.attrs["converged"]:
        return OK
    screen.note(f"not converged, must not be used: {result.attrs['gate']}")
    return NOT_CONVERGED
