"""What joint outcomes and chains read from an evidence table: every fault of every row at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from metacart.errors import Fault, InputError
from metacart.modelling.columns import name_faults, require, row_name, row_names
from metacart.modelling.readers import counts_of
from metacart.records.spec import ModelSpec
from metacart.records.vocabulary import OUTCOMES

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["nested_faults", "read_outcomes", "read_stages"]


def read_outcomes(
    evidence: pd.DataFrame, spec: ModelSpec
) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Read ``outcome``, ``events`` and ``total``: two outcomes or more, none a part of another."""
    faults, data, labels = _read(evidence, "outcome", spec)
    faults += nested_faults(labels)
    if not faults and len(labels) < 2:
        faults.append(
            Fault(
                "column 'outcome'",
                f"one outcome, {labels[0]}",
                "two or more for the joint likelihood",
                'likelihood = "binomial" for one',
            )
        )
    if faults:
        raise InputError(faults)
    return data, {"outcome": labels}


def read_stages(
    evidence: pd.DataFrame, spec: ModelSpec
) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Read ``stage``, ``events`` and ``total``, each stage among the events of the one before.

    The stages stand in the order of the spec, else in that in which the table names them first.
    """
    faults, data, labels = _read(evidence, "stage", spec)
    if not faults:
        faults += _unchained(evidence, labels, data)
    if faults:
        raise InputError(faults)
    return data, {"stage": labels}


def _read(
    evidence: pd.DataFrame, column: str, spec: ModelSpec
) -> tuple[list[Fault], dict[str, Any], list[str]]:
    faults = require(evidence, (column, "events", "total"))
    faults += name_faults(evidence, column)
    counts = counts_of(evidence, faults)
    if faults:
        return faults, {}, []
    words = evidence[column].astype(str).tolist()
    found = list(dict.fromkeys(words))
    # in the order of the question; what it names and nobody reports has no mean
    labels = [name for name in spec.outcomes if name in found] or found
    faults += [
        Fault(
            f"column '{column}'",
            f"{word} in {row_names(evidence, [at for at, own in enumerate(words) if own == word])}",
            ", ".join(spec.outcomes),
            "leave these rows out of the table, or change `outcomes`",
        )
        for word in found
        if word not in labels
    ]
    faults += _twice(evidence, column)
    if faults:
        return faults, {}, []
    data: dict[str, Any] = {name: values.astype(np.int64) for name, values in counts.items()}
    data["level"] = np.asarray([labels.index(word) for word in words])
    return faults, data, labels


def _keys(evidence: pd.DataFrame) -> list[str]:
    return [str(name) for name in ("study", "arm") if name in evidence.columns]


def _twice(evidence: pd.DataFrame, column: str) -> Iterator[Fault]:
    """Yield the rows that report one outcome or stage of one group again."""
    keys = _keys(evidence)
    again = evidence.duplicated([*keys, column]) if "study" in keys else None
    if again is not None and again.any():
        rows = row_names(evidence, np.flatnonzero(again))
        yield Fault(
            f"column '{column}'",
            f"an {column} stands again in {rows}".replace("an stage", "a stage"),
            f"each {column} once in a {'study' if len(keys) == 1 else 'group'}",
            "a column 'arm' where a study has several groups" if len(keys) == 1 else "",
        )


def nested_faults(outcomes: list[str]) -> list[Fault]:
    """Return a fault for each outcome that is a part of another: their counts share patients."""
    return [
        Fault(
            "outcomes",
            f"'{each}' is a part of '{parent}': its events are among those of the other",
            "outcomes of which none is a part of another",
            'likelihood = "chain", with the part as a stage among the events of the whole; for '
            'grades of a toxicity likelihood = "grades"',
        )
        for each in outcomes
        for parent in _ancestors(each)
        if parent in outcomes
    ]


def _ancestors(outcome: str) -> Iterator[str]:
    known = OUTCOMES.get(outcome)
    while known is not None and known.parent is not None:
        yield known.parent
        known = OUTCOMES.get(known.parent)


def _unchained(
    evidence: pd.DataFrame, labels: list[str], data: Mapping[str, Any]
) -> Iterator[Fault]:
    """Yield the stages whose patients are not the events of the stage before."""
    words = evidence["stage"].astype(str).tolist()
    names = list(zip(*(evidence[key].astype(str) for key in _keys(evidence)), strict=True))
    at = {(name, word): row for row, (name, word) in enumerate(zip(names, words, strict=True))}
    for (name, word), row in at.items():
        position = labels.index(word)
        before = at.get((name, labels[position - 1])) if position else None
        if before is not None and data["total"][row] != data["events"][before]:
            yield Fault(
                f"{row_name(evidence, row)}, column 'total'",
                f"{data['total'][row]} patients of stage {word}, but {data['events'][before]} "
                f"events of stage {labels[position - 1]}",
                "the number of patients who came through the stage before",
                "leave the later stage out, or mend one of the two",
            )
