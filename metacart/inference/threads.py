"""Work that is shared out over the threads of this process."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

__all__ = ["on_threads", "slices"]

_WORTH = 10_000  # integrals that are worth a thread
_OWN = threading.local()


def slices(number: int, each: int) -> list[slice]:
    """Return so many things in turn, a few at a time."""
    return [slice(start, min(start + each, number)) for start in range(0, number, each)]


def on_threads[T](work: Callable[[T], None], parts: Sequence[T], *, worth: int) -> None:
    """Do the work on each part, on the threads that so many integrals are worth.

    Work that is on one of these threads already stays there: were it to wait for others, all could
    come to wait for each other.
    """
    # a process that was started to share out work has had its share
    alone = multiprocessing.parent_process() is not None or getattr(_OWN, "shared", False)
    threads = min(1 if alone else os.cpu_count() or 1, worth // _WORTH, len(parts))
    if threads <= 1:
        for part in parts:
            work(part)
        return
    waiting = iter(parts)

    def some() -> None:
        for part in waiting:  # each goes to the thread that is free first
            work(part)

    for each in [_pool().submit(some) for _ in range(threads)]:
        each.result()


def _begin() -> None:
    _OWN.shared = True


@cache
def _pool() -> ThreadPoolExecutor:
    """Return the threads of this process, which stay: to start them takes longer than most work."""
    return ThreadPoolExecutor(os.cpu_count() or 1, "metacart", initializer=_begin)


if hasattr(os, "register_at_fork"):  # a forked process has no threads but the one that forked
    os.register_at_fork(after_in_child=_pool.cache_clear)
