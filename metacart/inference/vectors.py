"""Compiled functions of one number that run as vector instructions inside a loop.

Those of the C library that numba calls are scalar, six times as slow. Each is right to a few units
in the sixteenth digit.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

from numba import njit, types
from numba.extending import intrinsic

__all__ = ["compiled", "exp", "inlined", "is_own", "log", "log1p"]

# whose functions or numbers are part of what is compiled
_OTHERS = ("arrays.py", "vectors.py", "spline_table.py", "../modelling/baseline.py")
_LOG2 = 0.6931471805599453
_LOG2_HIGH, _LOG2_LOW = 6.93145751953125e-1, 1.42860682030941723212e-6
_OWN: set[Any] = set()  # every function that `compiled` made
_ROUND = 6755399441055744.0  # 1.5 times 2**52: a number plus it ends in that number's integer
_HALF_ROOT = 4604544271217802189  # the bits of sqrt(1/2)


def compiled[F: Callable[..., Any]](function: F, *, inline: str = "never") -> F:
    """Return a function as machine code, kept on disk, that lets other threads run."""
    # `contract`: one rounding for a product and its sum, but no other order of sums;
    # `_nrt`: no arrays of its own, and so no counting of who holds which, as dear as the work
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "inline": inline}
    options |= {"fastmath": {"contract"}, "_nrt": False}
    try:
        code = njit(cache=True, **options)(function)
    except RuntimeError:  # neither the package nor the home folder can be written to
        code = njit(**options)(function)
    # what is kept holds the code of other modules too, and must go where any of them changes
    kept = getattr(getattr(code, "_cache", None), "_cache_file", None)
    if kept is not None:
        kept._source_stamp = _sources()
    _OWN.add(code)
    return cast("F", code)


def is_own(code: Any) -> bool:
    """Whether a compiled function is one of these."""
    return code in _OWN


def inlined[F: Callable[..., Any]](function: F) -> F:
    """Return a function that is compiled as part of its callers: quicker where they are few."""
    return compiled(function, inline="always")


@cache
def _sources() -> str:
    here = Path(__file__).parent
    found = [*here.glob("kernel*.py"), *(here / name for name in _OTHERS)]
    return sha256(b"".join(path.read_bytes() for path in sorted(found))).hexdigest()


def _as_bits(_context: Any, _number: Any) -> Any:
    def generate(context: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(types.int64))

    return types.int64(types.float64), generate


def _as_number(_context: Any, _bits: Any) -> Any:
    def generate(context: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(types.float64))

    return types.float64(types.int64), generate


_bits, _number = intrinsic(_as_bits), intrinsic(_as_number)


@compiled
def exp(x: float) -> float:
    """Return the exponential; beyond 709 as there, below -708 next to nothing."""
    x = min(max(x, -708.0), 709.0)
    shifted = x * 1.4426950408889634 + _ROUND
    whole = shifted - _ROUND
    r = x - whole * _LOG2_HIGH
    r = r - whole * _LOG2_LOW
    p = r / 479001600.0 + 1.0 / 39916800.0
    p = p * r + 1.0 / 3628800.0
    p = p * r + 1.0 / 362880.0
    p = p * r + 1.0 / 40320.0
    p = p * r + 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    p = p * r + 1.0
    p = p * r + 1.0
    power: float = _number((_bits(shifted) + 1023) << 52)
    return p * power


@compiled
def _twice_artanh(s: float) -> float:
    """Return log((1 + s) / (1 - s)) for s within 0.172."""
    q = s * s
    p = q / 21.0 + 1.0 / 19.0
    p = p * q + 1.0 / 17.0
    p = p * q + 1.0 / 15.0
    p = p * q + 1.0 / 13.0
    p = p * q + 1.0 / 11.0
    p = p * q + 1.0 / 9.0
    p = p * q + 1.0 / 7.0
    p = p * q + 1.0 / 5.0
    p = p * q + 1.0 / 3.0
    return 2.0 * s + 2.0 * s * q * p


@compiled
def log1p(u: float) -> float:
    """Return log(1 + u) for u from 0 to 1."""
    high = u > 0.41421356237309503
    v = 0.5 * (u - 1.0) if high else u
    r = _twice_artanh(v / (2.0 + v))
    return r + _LOG2 if high else r


@compiled
def log(x: float) -> float:
    """Return the logarithm of a positive number."""
    bits: int = _bits(x)
    power = (bits - _HALF_ROOT) >> 52
    m: float = _number(bits - (power << 52))
    return power * _LOG2 + _twice_artanh((m - 1.0) / (m + 1.0))
