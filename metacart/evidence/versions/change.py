"""One difference between two versions of the evidence, and the words for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sized
from dataclasses import dataclass
from typing import Any, Literal

from metacart.evidence.collection import Studies
from metacart.records.study import Arm, Finding, Study
from metacart.records.vocabulary import EXPOSURES

__all__ = ["Change", "Teller", "What", "differences", "number_of"]

What = Literal["study", "cohort", "paper", "arm", "finding", "discrepancy", "risk of bias"]

# longer texts are not told twice in one line
_LONGEST = 60
_WORDS = {
    "doi": "DOI",
    "pmid": "PMID",
    "pmcid": "PMC number",
    "scfv": "scFv",
    "prior_scfv": "previous scFv",
    "scfv_certainty": "scFv certainty",
    "scfv_evidence": "evidence for the scFv",
    "study": "id",
    "study_note": "note",
    "arm_note": "note",
    "arm_label": "label",
    "own_label": "label",
    "enrolled": "patients enrolled",
    "infused": "patients infused",
    "evaluable": "patients evaluable",
    "responders": "patients who responded",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two versions.

    Attributes
    ----------
    study : str
        The id, in the later version where it is in both.
    label : str
        What figures call the study.
    arm : str
        The label of the arm; empty for what concerns the whole paper.
    what : str
        study, cohort, paper, arm, finding, discrepancy or risk of bias.
    change : {"added", "removed", "changed"}
    key : str
        The key of the file that changed; of a finding that is new or gone, its outcome.
    before, after : str
        What stood there and what stands there.
    words : str
        Where it is and what changed.
    """

    study: str
    label: str
    arm: str
    what: What
    change: Literal["added", "removed", "changed"]
    key: str
    before: str
    after: str
    words: str


@dataclass(frozen=True, slots=True)
class Teller:
    """The study and the arm that changes are told of."""

    study: Study
    studies: Studies
    arm: Arm | None = None

    def of(self, arm: Arm) -> Teller:
        """Return the teller of one of the arms."""
        return Teller(self.study, self.studies, arm)

    def tell(
        self, what: What, key: str, before: object, after: object, words: str | None = None
    ) -> Change:
        """Return a change; None stands for what is not there."""
        arm = "" if self.arm is None else self.arm.label or self.arm.id
        where = ", ".join(filter(None, (self.study.label, arm)))
        return Change(
            self.study.id,
            self.study.label,
            arm,
            what,
            "added" if before is None else "removed" if after is None else "changed",
            key,
            _shown(before),
            _shown(after),
            f"{where}: {self.words(key, before, after) if words is None else words}",
        )

    def words(self, key: str, before: object, after: object) -> str:
        """Return ``patients infused 33, was 32``; of long texts only that they changed."""
        name = _WORDS.get(key, key.replace("_", " "))
        if max(len(_shown(before)), len(_shown(after))) > _LONGEST:
            how = "added" if before is None else "removed" if after is None else "changed"
            return f"{name} {how}"
        stated = ["not stated" if each is None else _shown(each) for each in (after, before)]
        return f"{name} {stated[0]}, was {stated[1]}"

    def outcome(self, finding: Finding) -> str:
        """Return the outcome of a finding, with what its groups differ in."""
        known = self.studies.vocabulary.get(finding.outcome)
        title = finding.outcome if known is None else known.title
        compared = finding.comparison or EXPOSURES.get(finding.exposure or "", finding.exposure)
        return f"{title} by {compared}" if compared else title


def differences(
    old: Mapping[str, Any], new: Mapping[str, Any]
) -> Iterator[tuple[str, object, object]]:
    """Yield each key that differs with its earlier and its later value; None where it is not."""
    for key in dict.fromkeys((*old, *new)):
        if old.get(key) != new.get(key):
            yield key, old.get(key), new.get(key)


def number_of(things: Sized, noun: str) -> str:
    """Return ``1 arm`` or ``2 arms``."""
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
