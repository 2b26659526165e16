"""Findings of an arm in two versions: which one became which, and what changed in it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

from metacart.evidence.exchange.flat import cells_of
from metacart.evidence.values import value_words
from metacart.evidence.versions.change import Change, Teller, differences
from metacart.records.study import Finding

__all__ = ["finding_changes"]


def finding_changes(
    old: Sequence[Finding], new: Sequence[Finding], teller: Teller
) -> Iterator[Change]:
    """Yield what changed between the findings of an arm."""
    pairs, removed, added = _paired(old, new)
    for was, is_ in pairs:
        yield from _within(was, is_, teller)
    for finding in added:
        value = value_words(finding)
        words = f"new: {teller.outcome(finding)} {value} ({_whose(finding)})"
        yield teller.tell("finding", finding.outcome, None, value, words)
    for finding in removed:
        value = value_words(finding)
        words = f"{teller.outcome(finding)} {value} ({_whose(finding)}) is no longer there"
        yield teller.tell("finding", finding.outcome, value, None, words)


def _whose(finding: Finding) -> str:
    return ", ".join(filter(None, (finding.population, finding.timepoint)))


def _within(was: Finding, is_: Finding, teller: Teller) -> Iterator[Change]:
    name = teller.outcome(is_)
    before, after = value_words(was), value_words(is_)
    if before != after:
        words = f"{name} {after}, was {before}"
        yield teller.tell("finding", is_.kind, before, after, words)
    data = [each.model_dump(mode="json", by_alias=True, exclude_none=True) for each in (was, is_)]
    cells = [cells_of("finding", each, is_.kind) for each in data]
    # the words of the value have told of these
    told = {*cells_of("finding", {is_.kind: data[1][is_.kind]}, is_.kind)} & _IN_WORDS
    for key, old, new in differences(*cells):
        if key in told and before != after:
            continue
        if key == "population":
            words = f"of the {new}, was of the {old}"
        elif key == "set_aside" and None in (old, new):
            words = f"now set aside: {new}" if old is None else "no longer set aside"
        else:
            words = teller.words(key, old, new)
        yield teller.tell("finding", key, old, new, f"{name} {after}: {words}")


_IN_WORDS = {
    *("events", "total", "grades"),
    *("exposed_events", "exposed_total", "unexposed_events", "unexposed_total"),
    *("measure", "estimate", "lower", "upper", "reversed", "time", "unit", "reached"),
    *("exposed_estimate", "exposed_lower", "exposed_upper"),
    *("unexposed_estimate", "unexposed_lower", "unexposed_upper"),
}


def _paired(
    old: Sequence[Finding], new: Sequence[Finding]
) -> tuple[list[tuple[Finding, Finding]], list[Finding], list[Finding]]:
    """Return the pairs, and what only the earlier and what only the later version has."""
    earlier: dict[int, Finding] = {}
    left, right = list(old), dict(enumerate(new))
    for key in _LIKENESS:
        waiting: dict[Hashable, list[int]] = {}
        for number, finding in right.items():
            waiting.setdefault(key(finding), []).append(number)
        unpaired = []
        for finding in left:
            if same := waiting.get(key(finding)):
                earlier[same.pop(0)] = finding
            else:
                unpaired.append(finding)
        left = unpaired
        right = {number: finding for number, finding in right.items() if number not in earlier}
    pairs = [(earlier[number], new[number]) for number in sorted(earlier)]
    return pairs, left, list(right.values())


def _same(*names: str) -> Callable[[Finding], Hashable]:
    return lambda finding: (finding.kind, *(getattr(finding, name) for name in names))


def _same_value(finding: Finding) -> Any:
    return (value_words(finding), *(getattr(finding, name) for name in _GROUPS))


_GROUPS = ("outcome", "exposure", "comparison")
_PATIENTS = ("population", "timepoint", "grading")
# what two findings must have in common to be one: first all, at last what they are about
_LIKENESS: tuple[Callable[[Finding], Hashable], ...] = (
    Finding.model_dump_json,
    _same(*_GROUPS, *_PATIENTS, "at", "set_aside"),
    _same_value,
    _same(*_GROUPS, *_PATIENTS, "set_aside"),
    _same(*_GROUPS, *_PATIENTS),
    _same(*_GROUPS, "at"),
    _same(*_GROUPS),
)
