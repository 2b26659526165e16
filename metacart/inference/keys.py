"""The key of a fit: a hash of all that decides what is drawn."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
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

__all__ = ["is_shipped", "key_of"]

# whose code decides what is drawn, and what is read from the draws
_ROOMS = ("records", "evidence", "modelling", "inference", "results", "errors.py", "scales.py")
_ENGINES = ("pytensor", "numba", "arviz-stats")


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


def is_shipped(spec: ModelSpec, likelihoods: Likelihoods | None) -> bool:
    """Whether the likelihoods of a fit are those of this version, whose code it knows."""
    own = {
        name for name, each in (likelihoods or {}).items() if LIKELIHOODS.get(name) is not each
    }  # fmt: skip
    return spec.likelihood in LIKELIHOODS and not own & LIKELIHOODS.keys()


@lru_cache(maxsize=1)
def _versions() -> dict[str, str]:
    """Return versions of what computes; of metacart its code, for versions hide changes."""
    folder, code = Path(__file__).parents[1], hashlib.sha256()
    for room in _ROOMS:
        found = folder / room
        for path in sorted(found.rglob("*.py")) if found.is_dir() else [found]:
            code.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return {
        "packages": versions_text(),
        **{name: version(name) for name in _ENGINES},
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "code": code.hexdigest(),
    }
