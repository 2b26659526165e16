"""The key of a fit: a hash of all that decides what is drawn."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metacart.inference.records import evidence_text, hash_of, spec_text, versions_text
from metacart.inference.values import UnknownValueError, told
from metacart.modelling.likelihoods import LIKELIHOODS, Likelihoods
from metacart.records.spec import ModelSpec

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["is_shipped", "key_of", "key_of_call"]

# whose code decides what is drawn, and what is read from the draws
_ROOMS = ("records", "evidence", "modelling", "inference", "results", "errors.py", "scales.py")
_ENGINES = ("pytensor", "numba", "arviz-stats")
_DRAWING = ("matplotlib", "pillow", "arviz-plots", "arviz-base")
# they change how long a call takes, and nothing of what it gives
_IDLE = frozenset({"cache", "executor", "progress"})


def key_of(
    spec: ModelSpec,
    evidence: pd.DataFrame,
    *more: Any,
    run: Mapping[str, Any],
    likelihoods: Likelihoods | None,
) -> str | None:
    """Return the key of a fit, or of what is read from it.

    Parameters
    ----------
    spec, evidence
        The analysis.
    *more
        What else decides: numbers, text, arrays, tables, functions of modules.
    run : mapping of str to any
        Method, draws, tuning, chains and seed.
    likelihoods : mapping of str to Likelihood or System, or None
        As for ``fit``.

    Returns
    -------
    str or None
        None where something cannot be told from another of its kind, and nothing may be kept.
    """
    if not is_shipped(spec, likelihoods):
        return None
    analysis = {"spec": spec_text(spec), "evidence": evidence_text(evidence), "run": dict(run)}
    try:
        parts = [analysis, [told(each) for each in more], _versions()]
    except UnknownValueError:
        return None
    return hash_of(json.dumps(parts, sort_keys=True))


def key_of_call(verb: Callable[..., Any], /, *given: Any, **options: Any) -> str | None:
    """Return the key of what a verb makes of fits, studies, tables and options.

    Parameters
    ----------
    verb : callable
        A function of a module of metacart.
    *given, **options
        What it is called with; cache, executor and progress do not count.

    Returns
    -------
    str or None
        None as for ``key_of``.
    """
    counted = {name: each for name, each in options.items() if name not in _IDLE}
    try:
        parts = [told(verb), told(given), told(counted), _versions(), _drawing_versions()]
    except UnknownValueError:
        return None
    return hash_of(json.dumps(parts, sort_keys=True))


def is_shipped(spec: ModelSpec, likelihoods: Likelihoods | None) -> bool:
    """Whether the likelihoods of a fit are those of this version, whose code it knows."""
    own = {
        name for name, each in (likelihoods or {}).items() if LIKELIHOODS.get(name) is not each
    }  # fmt: skip
    return spec.likelihood in LIKELIHOODS and not own & LIKELIHOODS.keys()


@lru_cache(maxsize=1)
def _versions() -> dict[str, str]:
    """Return versions of what computes; of metacart its code, for versions hide changes."""
    rooms = [Path(__file__).parents[1] / room for room in _ROOMS]
    paths = [path for room in rooms for path in (sorted(room.rglob("*.py")) or [room])]
    return {
        "packages": versions_text(),
        **{name: version(name) for name in _ENGINES},
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "code": _code_of(paths),
    }


@lru_cache(maxsize=1)
def _drawing_versions() -> dict[str, str]:
    """Return versions of what draws; of metacart all its code."""
    code = _code_of(sorted(Path(__file__).parents[1].rglob("*.py")))
    return {**{name: version(name) for name in _DRAWING}, "code": code}


def _code_of(paths: Iterable[Path]) -> str:
    """Return a hash of the files of metacart's code, with their names."""
    folder, code = Path(__file__).parents[1], hashlib.sha256()
    for path in paths:
        code.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return code.hexdigest()
