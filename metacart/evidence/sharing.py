"""Which arms stay where arms share patients, so that nobody is counted twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from metacart.records.study import Arm, Study

__all__ = ["shared_with", "staying"]


def shared_with(study: Study, arm: Arm) -> set[str]:
    """Return the arms whose patients these are too, as ``study/arm``."""
    return {name if "/" in name else f"{study.id}/{name}" for name in arm.shares_patients_with}


def staying(sharing: Mapping[str, Iterable[str]]) -> frozenset[str]:
    """Return the arms that stay.

    Parameters
    ----------
    sharing : mapping of str to iterable of str
        For each arm those present whose patients it shares. The arm that declares the sharing
        gives way, but only to an arm that stays itself; of two that name each other the first
        stays.

    Examples
    --------
    >>> sorted(staying({"a": ["b"], "b": ["c"], "c": []}))
    ['a', 'c']
    """
    kept: dict[str, bool] = {}

    def stays(key: str) -> bool:
        if key not in kept:
            kept[key] = True
            kept[key] = not any(stays(other) for other in sorted(sharing.get(key, ())))
        return kept[key]

    return frozenset(key for key in sharing if stays(key))
