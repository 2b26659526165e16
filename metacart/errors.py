"""Faults and the exceptions that carry them.

An input that cannot be right stops with one message that lists every fault: where it is, what was
found, what is allowed and what to try.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import wraps
from typing import Literal

__all__ = [
    "Fault",
    "InputError",
    "MetacartError",
    "OptionError",
    "collected",
    "did_you_mean",
    "named_options",
    "nearest",
    "refuse_unknown",
    "shown",
]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong, and where.

    Attributes
    ----------
    place : str
        The place inside the input, such as ``findings[3].count.events`` or ``column 'total'``.
    found : str
        What stands there.
    allowed : str
        What may stand there.
    attempt : str
        What to try.
    path : str or None
        The file, where there is one.
    line : int or None
        The line in the file, counted from 1.
    severity : {"error", "warning"}
        A warning is printed and never stops anything.
    unanswerable : bool
        Nothing is wrong with the input, but the evidence cannot answer the question: a report says
        so on its page, every other verb stops.
    """

    place: str
    found: str
    allowed: str = ""
    attempt: str = ""
    path: str | None = None
    line: int | None = None
    severity: Literal["error", "warning"] = "error"
    unanswerable: bool = False

    def at(self, path: str | None = None, line: int | None = None) -> Fault:
        """Return the same fault with its file and line."""
        return replace(self, path=path or self.path, line=line or self.line)

    def __str__(self) -> str:
        where = ""
        if self.path is not None:
            where = f"{self.path}:{self.line}: " if self.line else f"{self.path}: "
        if self.severity == "warning":
            where += "warning: "
        parts = [f"{self.place}: {self.found}" if self.place else self.found]
        if self.allowed:
            parts.append(f"allowed: {self.allowed}")
        if self.attempt:
            parts.append(f"try: {self.attempt}")
        return where + "; ".join(parts)


class MetacartError(Exception):
    """The base of every exception that metacart raises on purpose."""


class InputError(MetacartError, ValueError):
    """An input that cannot be right, with every fault found in it.

    Parameters
    ----------
    faults : iterable of Fault
        At least one.

    Attributes
    ----------
    faults : tuple of Fault
        All of them, in the order in which they were found.
    """

    def __init__(self, faults: Iterable[Fault] | Fault) -> None:
        self.faults: tuple[Fault, ...] = (faults,) if isinstance(faults, Fault) else tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))

    def __reduce__(self) -> tuple[type[InputError], tuple[tuple[Fault, ...]]]:
        return type(self), (self.faults,)


def shown(value: object) -> str:
    """Return a value as a file would hold it, cut where it is long.

    Examples
    --------
    >>> shown(True), shown("B-ALL"), shown({"events": 13})
    ('true', "'B-ALL'", 'a table')
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "a table"
    text = repr(value) if isinstance(value, str | list | tuple) else str(value)
    if "\n" in text:  # a table, an array, a fit
        return f"a {type(value).__name__}"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


_LONGEST = 60
_EVENT_FREE = dict.fromkeys(("efs", "pfs", "lfs", "rfs", "dfs"), "event_free_survival")
_ABBREVIATED = {
    **_EVENT_FREE,
    "cr": "complete_remission",
    "cri": "complete_remission",
    "mrd": "mrd_negative_remission",
    "os": "overall_survival",
    "icans": "neurotoxicity",
    "nrm": "non_relapse_death",
    "hct": "hsct",
    "sct": "hsct",
    "all": "b-all",
}


class OptionError(InputError, TypeError):
    """An option that a verb does not have; a `TypeError`, as from any other function."""


def named_options[**P, R](verb: Callable[P, R]) -> Callable[P, R]:
    """Let a verb refuse an unknown option by name, with the nearest of its own."""

    @wraps(verb)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        known = inspect.signature(verb).parameters
        names = [name for name, each in known.items() if each.kind is not each.VAR_POSITIONAL]
        faults = [
            Fault(
                f"{verb.__name__}({name}=…)",
                "no such option",
                ", ".join(names) or "no option",
                nearest(name, names),
            )
            for name in kwargs
            if name not in names
        ]
        if faults:
            raise OptionError(faults)
        return verb(*args, **kwargs)

    return checked


@contextmanager
def collected(faults: list[Fault]) -> Iterator[None]:
    """Add the faults of what is refused within to `faults`, and go on."""
    try:
        yield
    except InputError as error:
        faults += error.faults


def nearest(word: object, allowed: Iterable[object]) -> str:
    """Return ``"did you mean 'x'?"`` for the closest allowed word, or an empty string.

    Capital letters make no difference, and what the field abbreviates is its word: CR, OS, ICANS.
    """
    words = {str(name).casefold(): str(name) for name in reversed([*allowed])}
    wanted = str(word).casefold()
    wanted = wanted if _ABBREVIATED.get(wanted) not in words else _ABBREVIATED[wanted]
    close = difflib.get_close_matches(wanted, words, n=1, cutoff=0.6)
    return did_you_mean(words[close[0]]) if close else ""


def did_you_mean(word: str) -> str:
    """Return the hint that names one word."""
    return f"did you mean '{word}'?"


def refuse_unknown(name: str, value: object, allowed: Sequence[object]) -> None:
    """Raise `InputError` unless `value` is one of the allowed ones.

    Parameters
    ----------
    name : str
        The option, as the user wrote it.
    value : object
        What the user gave.
    allowed : sequence
        The values that may stand there.
    """
    if value not in allowed:
        raise InputError(
            Fault(
                name,
                f"{value!r} is not known",
                ", ".join(repr(choice) for choice in allowed),
                nearest(value, allowed),
            )
        )
