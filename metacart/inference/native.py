"""The C functions that nutpie calls around a compiled density, themselves quick to compile.

PyTensor keeps the machine code of a density on disk, so that the next process only loads it. What
nutpie puts around it to hand over the data is compiled anew in each process, and takes several
times as long as all the rest. Here the same is written out for the data of one model, and kept on
disk beside the density.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from importlib.util import find_spec
from threading import Lock
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

__all__ = ["quick_entry"]

# the releases whose record of data and status codes were read; a later one keeps its own functions
_READ = "0.16."
_LOCK = Lock()

_DENSITY = """
def density(size, point, slopes, value, user_data):
    if size != {size}:
        return -1
    x = carray(point, ({size},))
    addresses = carray(user_data, ({words},), address)
    try:
        found, gradient = inner(x{data})
    except Exception:
        return 1
    value[0] = found[()]
    for i in range({size}):
        slopes[i] = gradient[i]
        if not isfinite(gradient[i]):
            return 3
    return 0 if isfinite(found[()]) else 4
"""
_EXPANSION = """
def expansion(size, expanded, point, values, user_data):
    if size != {size} or expanded != {expanded}:
        return -1
    x = carray(point, ({size},))
    addresses = carray(user_data, ({words},), address)
    try:
        (found,) = inner(x{data})
    except Exception:
        return -2
    for i in range({expanded}):
        values[i] = found[i]
    return 0
"""


@contextmanager
def quick_entry() -> Iterator[dict[str, Any]]:
    """Let nutpie compile these functions in place of its own, where it still asks for them so.

    Yields
    ------
    dict of str to Any
        Options for nutpie to compile them with.
    """
    import nutpie
    from nutpie import compile_pymc
    from pytensor import config

    own: dict[str, Any] = {"_make_c_logp_func": _density, "_make_c_expand_func": _expansion}
    with _LOCK:
        theirs = {name: getattr(compile_pymc, name, None) for name in own}
        known = all(_parameters(theirs[name]) == _parameters(own[name]) for name in own)
        known &= nutpie.__version__.startswith(_READ)
        if not known or find_spec("pytensor.link.numba.cache") is None:
            yield {}
            return
        vars(compile_pymc).update(own)
        try:
            yield {"cache": bool(config.numba__cache)}
        finally:
            vars(compile_pymc).update(theirs)


def _parameters(function: Any) -> list[str]:
    return [] if function is None else [*inspect.signature(function).parameters]


def _density(
    n_dim: int,
    logp_fn: Any,
    user_data: NDArray[np.void],
    shared_keys: Sequence[str],
    shared_data: Mapping[str, NDArray[Any]],
) -> tuple[Callable[..., int], Any]:
    """Return the log density and its gradient as a function of pointers, and its signature."""
    from numba import types

    number = types.CPointer(types.double)
    signature = types.int64(types.uint64, number, number, number, types.voidptr)
    code = _DENSITY.replace("{size}", str(n_dim))
    return _made(code, logp_fn, user_data, shared_keys, shared_data), signature


def _expansion(
    n_dim: int,
    n_expanded: int,
    expand_fn: Any,
    user_data: NDArray[np.void],
    shared_var_keys: Sequence[str],
    shared_data: Mapping[str, NDArray[Any]],
) -> tuple[Callable[..., int], Any]:
    """Return all that follows from a point as a function of pointers, and its signature."""
    from numba import types

    number = types.CPointer(types.double)
    signature = types.int64(types.uint64, types.uint64, number, number, types.voidptr)
    code = _EXPANSION.replace("{size}", str(n_dim)).replace("{expanded}", str(n_expanded))
    return _made(code, expand_fn, user_data, shared_var_keys, shared_data), signature


def _made(
    code: str,
    inner: Any,
    user_data: NDArray[np.void],
    keys: Sequence[str],
    shared: Mapping[str, NDArray[Any]],
) -> Callable[..., int]:
    from numba import carray
    from nutpie.compile_pymc import address_as_void_pointer
    from pytensor.link.numba.cache import compile_numba_function_src

    scope: dict[str, Any] = {
        "__name__": __name__,
        "inner": inner,
        "carray": carray,
        "pointer": address_as_void_pointer,
        "isfinite": np.isfinite,
        "address": np.uintp,
    }
    data = ""
    for key in keys:
        array = shared[key]
        scope[f"type_{array.dtype.name}"] = array.dtype
        place = f"pointer(addresses[{_word(user_data.dtype, key)}])"
        data += f", carray({place}, {array.shape}, type_{array.dtype.name})"
    words = user_data.dtype.itemsize // np.dtype(np.uintp).itemsize
    code = code.replace("{words}", str(words)).replace("{data}", data)
    name = code.partition("(")[0].split()[-1]
    made: Callable[..., int] = compile_numba_function_src(
        code, name, scope, cache_key=_key(code, inner)
    )
    return made


def _key(code: str, inner: Any) -> str:
    """Return under which name a function is kept that calls another."""
    import pytensor
    from pytensor.link.numba.cache import CACHED_SRC_FUNCTIONS

    # what is not kept itself is known by nothing that another process could find
    known = CACHED_SRC_FUNCTIONS.get(inner.py_func) or uuid4().hex
    return sha256(f"{pytensor.__version__} {known} {code}".encode()).hexdigest()


def _word(record: np.dtype[np.void], key: str) -> int:
    """Return which word of the record of nutpie holds the address of an array."""
    place = 0
    for name in ("shared", "data", key):
        fields = record.fields
        assert fields is not None
        record, start = fields[name][:2]
        place += start
    return place // np.dtype(np.uintp).itemsize
