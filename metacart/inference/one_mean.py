"""Fits of one mean and of several: which verbs take which."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, cast

from metacart.errors import Fault, InputError
from metacart.inference.records import attribute
from metacart.modelling.likelihoods import find_system
from metacart.records.spec import ModelSpec

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["is_system", "of_one_mean", "refuse_several", "several_means"]

_MARK = "of_one_mean"


def is_system(fit: xr.DataTree) -> bool:
    """Return whether a fit has several means."""
    attribute(fit, "spec")
    return "system" in fit.attrs


def several_means(fit: object, place: str) -> list[Fault]:
    """Return the fault that a fit has several means, for a verb about the one mean of a fit."""
    attributes = getattr(fit, "attrs", {})
    if "system" not in attributes:
        return []
    return [_fault(place, attributes["system"], attributes["instead"])]


def refuse_several(verb: Callable[..., object], spec: ModelSpec, place: str) -> None:
    """Refuse a question of several means for a verb about one, before anything is fitted."""
    system = find_system(spec)
    if system is not None and vars(verb).get(_MARK):
        raise InputError(_fault(place, system.name, system.instead))


def _fault(place: str, system: str, instead: str) -> Fault:
    found = f"a fit of the {system} likelihood, which has several means"
    return Fault(place, found, "a fit of a likelihood with one mean", instead)


def of_one_mean[**P, R](verb: Callable[P, R]) -> Callable[P, R]:
    """Let a verb about the one mean of a fit refuse a fit that has several, by name."""

    @wraps(verb)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        fit = args[0] if args else kwargs.get("fit")
        several = isinstance(fit, Mapping) and not hasattr(fit, "attrs")
        fits = [*cast("Mapping[str, object]", fit).values()] if several else [fit]
        place = f"{verb.__name__}(fit)"
        if faults := [fault for each in fits for fault in several_means(each, place)]:
            raise InputError(faults)
        return verb(*args, **kwargs)

    vars(checked)[_MARK] = True  # further decorators hand it on
    return checked
