"""Questions of several outcomes: each outcome asked by itself, and the stages of a chain joined."""

from __future__ import annotations

from collections.abc import Iterable

from metacart.evidence.candidate import Candidate
from metacart.evidence.choice import choose
from metacart.evidence.collection import Studies
from metacart.records.spec import ModelSpec
from metacart.records.vocabulary import EXPOSURES

__all__ = ["choose_several", "parts_of"]

_ANOTHER = "another outcome"


def parts_of(spec: ModelSpec) -> list[ModelSpec]:
    """Return the question of each outcome by itself.

    Outcomes of a joint question share its rules. Of a chain the first stage is among the
    patients that the question names; one after remission among the responders; one after an
    exposure, such as transplant, among the exposed of a comparison inside the arm.
    """
    parts = []
    for number, name in enumerate(spec.outcomes):
        own: dict[str, object] = {"outcome": name, "outcomes": (), "likelihood": "binomial"}
        before = spec.outcomes[number - 1] if number else ""
        if spec.likelihood == "chain" and before:
            own |= {"timepoint": (), "population": ()}
            if before in EXPOSURES:
                own |= {"likelihood": "two_arm", "exposure": before}
            else:
                own |= {"population": ("responders",)}
        parts.append(spec.model_copy(update=own))
    return parts


def choose_several(studies: Studies, spec: ModelSpec) -> list[Candidate]:
    """Return every finding with the rule by which it answers for its outcome, or does not."""
    by_part = [choose(studies, part) for part in parts_of(spec)]
    chosen = []
    for same in zip(*by_part, strict=True):
        # a finding counts for one outcome at most; elsewhere it is of another
        at = next((n for n, each in enumerate(same) if each.step != _ANOTHER), 0)
        same[at].part = spec.outcomes[at]
        chosen.append(same[at])
    if spec.likelihood == "chain":
        _read_exposed(chosen)
        _join_stages(chosen, spec)
    return chosen


def _read_exposed(candidates: Iterable[Candidate]) -> None:
    """Take the count of the exposed from a comparison: they came through the stage before."""
    for each in candidates:
        contrast = each.finding.contrast
        if not each.step and contrast is not None:
            each.events, each.total = contrast.exposed.events, contrast.exposed.total


def _join_stages(candidates: Iterable[Candidate], spec: ModelSpec) -> None:
    """Leave out a stage whose patients are not those who came through the stage before."""
    at = {(each.key, each.part): each for each in candidates if not each.step}
    for before, after in zip(spec.outcomes, spec.outcomes[1:], strict=False):
        for (key, part), each in at.items():
            first = at.get((key, before))
            if part == after and first is not None and not first.step:
                found = f"{each.total} patients, but {first.events} came through {before}"
                if each.total != first.events:
                    each.leave_out("stage", f"{found}: not the same patients")
