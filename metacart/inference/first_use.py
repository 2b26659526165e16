"""One line to whoever waits while compiled code is made, once after an installation."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numba.core import event

from metacart.inference.vectors import is_own

__all__ = ["tells_of_compiling"]

_WORDS = (
    "metacart compiles its numerical code: half a minute, once after an installation or an update"
)


class _Teller(event.Listener):  # type: ignore[misc]  # numba has no types
    """Says it at the first function of the package that is compiled and not read from disk."""

    said = False

    def on_start(self, event: Any) -> None:
        if not self.said and is_own(event.data["dispatcher"]):
            self.said = True
            sys.stderr.write(f"{_WORDS}\n")
            sys.stderr.flush()

    def on_end(self, event: Any) -> None:
        """Say nothing."""


@contextmanager
def tells_of_compiling(shows: bool) -> Iterator[None]:
    """Write one line to standard error where something has to be compiled, if anybody looks."""
    if not shows:
        yield
        return
    with event.install_listener("numba:compile", _Teller()):
        yield
