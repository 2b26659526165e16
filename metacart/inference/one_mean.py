"""Fits of one mean and of several: which verbs take which."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, cast

from metacart.errors import Fault, InputError
from metacart.inference.records import attribute

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["is_system", "of_one_mean", "several_means"]


def is_system(fit: xr.DataTree) -> bool:
    """Return whether a fit has several means."""
    attribute(fit, "spec")
    return "system" in fit.attrs


def several_means(fit: object, place: str) -> list[Fault]:
    """Return the fault that a fit has several means, for a verb about the one mean of a fit."""
    attributes = getattr(fit, "attrs", {})
    if "system" not in attributes:
        return []
    return [
        Fault(
            place,
            f"a fit of the {attributes['system']} likelihood, which has several means",
            "a fit of a likelihood with one mean",
            str(attributes["instead"]),
        )
    ]


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

    return checked
