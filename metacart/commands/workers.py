"""Processes among which a command shares its questions."""

from __future__ import annotations

import logging
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import Executor

__all__ = ["workers"]

_MOST_JOBS = 4  # each holds the engines and a fit in memory


@contextmanager
def workers(jobs: int | None, questions: int | None) -> Iterator[Executor | None]:
    """Give processes that take a question each; none where one does as well."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    number = min(jobs or min((os.cpu_count() or 1), _MOST_JOBS), questions or sys.maxsize)
    if number < 2:
        yield None
        return
    context = get_context("spawn")  # threads of numerical libraries do not survive a fork
    with ProcessPoolExecutor(number, context, initializer=_begin_quietly) as executor:
        yield executor


def _begin_quietly() -> None:
    """Keep what libraries say to programmers from the screen, as the command itself does.

    Ctrl-C ends the process: else it would go on with the next question that waits.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
