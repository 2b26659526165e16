"""The options of a fit: whole numbers and a seed, refused in words before anything is done."""

from __future__ import annotations

import operator
import random
from typing import SupportsIndex

from metacart.errors import Fault, InputError, collected

__all__ = ["LARGEST_SEED", "run_numbers", "whole_number"]

# every further run of a fit takes the next seed, and the sampler takes 64 bits
LARGEST_SEED = 2**32 - 1


def whole_number(
    name: str, value: SupportsIndex, *, least: int = 1, most: int | None = None
) -> int:
    """Return a whole number of Python's or NumPy's as an int.

    Raises
    ------
    InputError
        For anything else, true and false among it, and for one out of bounds.
    """
    allowed = f"a whole number of {least} or more"
    if most is not None:
        allowed = f"a whole number from {least} to {most}"
    refusal = InputError(Fault(name, f"{value!r}", allowed))
    try:
        number = operator.index(value)
    except TypeError:
        raise refusal from None
    if isinstance(value, bool) or number < least or (most is not None and number > most):
        raise refusal
    return number


def run_numbers(*, seed: SupportsIndex | None, **counts: SupportsIndex) -> dict[str, int]:
    """Return the seed, a random one for None, and counts of one or more.

    Raises
    ------
    InputError
        With a fault for each that cannot be.
    """
    faults: list[Fault] = []
    numbers: dict[str, int] = {}
    bounds: dict[str, tuple[SupportsIndex, int, int | None]] = {
        name: (value, 1, None) for name, value in counts.items()
    }
    drawn = random.SystemRandom().randrange(LARGEST_SEED + 1)
    bounds["seed"] = (drawn if seed is None else seed, 0, LARGEST_SEED)
    for name, (value, least, most) in bounds.items():
        with collected(faults):
            numbers[name] = whole_number(name, value, least=least, most=most)
    if faults:
        raise InputError(faults)
    return numbers
