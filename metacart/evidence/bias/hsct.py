"""What the record decides about comparisons of transplanted with other patients (ROBINS-I)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from metacart.evidence.bias.parts import Verdict, opened
from metacart.records.study import Finding, Study

__all__ = ["comparisons", "confounding", "selection"]


@dataclass(frozen=True, slots=True, order=True)
class _Ranked:
    """A judgement of one comparison; the lower its rank, the better. Empty: it does not decide."""

    rank: int
    judgement: str
    why: str


_SELECTION = {
    "time-dependent": _Ranked(0, "low", "patients count as transplanted from their transplant on"),
    "landmark": _Ranked(
        1, "moderate", "grouped at a landmark; who had an event before it is left out"
    ),
    "unclear": _Ranked(2, "", "how the time before transplant was handled is not told"),
    "time-fixed": _Ranked(
        3, "serious", "grouped by a transplant still to come: the time until then is immortal"
    ),
}


def comparisons(study: Study) -> list[tuple[int, Finding]]:
    """Return the comparisons by transplant after CAR-T, with their numbers.

    Those set aside count only where there are no others.
    """
    found = [
        (number, finding)
        for number, finding in enumerate(study.findings)
        if finding.exposure == "hsct"
    ]
    return [each for each in found if each[1].set_aside is None] or found


def confounding(study: Study) -> Verdict:
    """Judge confounding: adjusted for several covariates, for one, or not at all."""
    return _worst(study, _adjusted)


def selection(study: Study) -> Verdict:
    """Judge the selection of participants by how the time before transplant was handled."""
    return _worst(study, lambda finding: _SELECTION[finding.time_handling or "unclear"])


def _adjusted(finding: Finding) -> _Ranked:
    adjusted = finding.ratio.adjusted_for if finding.ratio is not None else ()
    covariates = ", ".join(adjusted)
    if len(adjusted) > 1:
        return _Ranked(0, "moderate", f"adjusted for {covariates}")
    if adjusted:
        return _Ranked(1, "serious", f"adjusted for {covariates} alone")
    why = "nothing is adjusted for: who is transplanted differs in fitness, donor and MRD too"
    return _Ranked(2, "serious", why)


def _worst(study: Study, judge: Callable[[Finding], _Ranked]) -> Verdict:
    """Return the best judgement of each outcome, and of these the worst."""
    best: dict[str, tuple[_Ranked, int]] = {}
    for number, finding in comparisons(study):
        ranked = (judge(finding), number)
        best[finding.outcome] = min(ranked, best.get(finding.outcome, ranked))
    worst, number = max(best.values(), key=lambda each: (each[0].rank, -each[1]))
    outcomes = [name.replace("_", " ") for name, each in best.items() if each[0] == worst]
    why = f"{worst.why} ({', '.join(outcomes)})"
    return Verdict(worst.judgement, why, f"findings[{number}]") if worst.judgement else opened(why)
