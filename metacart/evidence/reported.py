"""Findings with their arms and studies, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from metacart.evidence.collection import Studies
from metacart.evidence.library import spec_of
from metacart.evidence.selection import tabulate
from metacart.evidence.source import PathLike
from metacart.records.spec import ModelSpec
from metacart.records.study import Arm, Finding, Study

__all__ = ["Reported", "reported_findings"]


@dataclass(frozen=True, slots=True)
class Reported:
    """A finding with its arm and study, and what a question makes of it.

    Attributes
    ----------
    number : int
        Its place among the findings of the study, from 0 as in messages.
    evidence : dict
        Its row of the evidence table, where the export is that of a question.
    """

    study: Study
    arm: Arm
    number: int
    finding: Finding
    evidence: Mapping[str, Any] = field(default_factory=dict)


def reported_findings(studies: Studies, model: ModelSpec | PathLike | None) -> Iterator[Reported]:
    """Yield all findings, or those that a question uses; raises `InputError` as `tabulate` does."""
    used: dict[tuple[str, int], dict[str, Any]] | None = None
    if model is not None:
        rows = tabulate(studies, spec_of(model)).to_dict("records")
        used = {(row["study"], row["finding"]): {str(k): v for k, v in row.items()} for row in rows}
    for study in studies:
        for number, finding in enumerate(study.findings):
            row = {} if used is None else used.get((study.id, number))
            if row is not None:
                yield Reported(study, study.arm(finding.arm), number, finding, row)
