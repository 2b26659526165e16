"""What the record of a study decides about its risk of bias, item by item.

A rule gives a judgement only for what the record holds. What it does not hold is never a "no":
then the rule says what is lacking, and the item stays open.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Literal

from metacart.evidence.bias.hsct import confounding, selection
from metacart.evidence.bias.parts import MOST_LOST, Verdict, main_arms, opened, percent
from metacart.records.paper import Conduct, Spread
from metacart.records.risk_of_bias import Tool
from metacart.records.study import Arm, Study

__all__ = ["RULES"]

# What describes the patients before the infusion.
_BASELINE = frozenset(
    (
        "prior_hsct",
        "prior_cd22_car",
        "prior_lines",
        "refractory",
        "relapsed",
        "marrow_blasts",
        "mrd_before",
        "extramedullary_disease",
        "cns_disease",
        "bcr_abl1",
        "gene_mutation",
        "white_cells",
    )
)
_TIMED = frozenset(
    (
        "relapse",
        "cd19_negative_relapse",
        "death",
        "non_relapse_death",
        "overall_survival",
        "event_free_survival",
    )
)
# Months of median follow-up: most relapses after CAR-T come within a year; a response is read
# after one month.
_LONG, _SHORT = 12.0, 1.0
_MONTHS = {"day": 12 / 365.25, "week": 7 * 12 / 365.25, "month": 1.0, "year": 12.0}

Judge = Callable[[bool], str]


def _consecutive(study: Study, judge: Judge) -> Verdict:
    stated = study.conduct.consecutive
    if stated is None:
        return opened("whether inclusion was consecutive is not recorded")
    words = "all eligible patients of the period" if stated else "not all eligible patients"
    return Verdict(judge(stated), f"{words}, as the paper says", "conduct.consecutive")


def _complete(study: Study) -> Verdict:
    arms = main_arms(study)
    if not arms:
        which = [number for number, arm in enumerate(study.arms) if arm.selected is not None]
        if not which:
            return opened("every arm shares its patients with another")
        why = "; ".join(dict.fromkeys(f"{study.arms[number].selected}" for number in which))
        return Verdict("no", f"patients selected: {why}", f"arms[{which[0]}].selected")
    lost = [loss for number, arm in arms if (loss := _loss(study, number, arm)) is not None]
    worst = max(lost, key=lambda loss: loss[0], default=None)
    if worst is not None and worst[0] > MOST_LOST:
        return Verdict("no", worst[1], worst[2])
    lacking = [arm.label or arm.id for _, arm in arms if not _all_known(study, arm)]
    if lacking:
        return opened(f"how many were enrolled or assessed is not recorded ({lacking[0]})")
    why = "nobody was left out between enrolment and analysis"
    if worst is not None and worst[0] > 0:
        why = worst[1]
    return Verdict("yes", why, f"arms[{arms[0][0]}].patients")


def _loss(study: Study, number: int, arm: Arm) -> tuple[float, str, str] | None:
    """Return which share of an arm was lost before its analysis, in words, and where."""
    enrolled, infused = arm.patients.enrolled, arm.patients.infused
    evaluable = arm.patients.evaluable
    place = f"arms[{number}].patients"
    losses = []
    if enrolled and infused is not None:
        share = (enrolled - infused) / enrolled
        words = f"{enrolled - infused} of {enrolled} enrolled were not infused ({percent(share)})"
        losses.append((share, words, place))
    if infused and evaluable is not None and not _counts_all_infused(study, arm):
        share = (infused - evaluable) / infused
        words = f"{infused - evaluable} of {infused} infused are in no count of remission"
        losses.append((share, f"{words} ({percent(share)})", place))
    return max(losses, default=None, key=lambda loss: loss[0])


def _all_known(study: Study, arm: Arm) -> bool:
    """Whether it is known that the patients analysed are all that there were."""
    patients = arm.patients
    begun = patients.enrolled is not None or study.conduct.consecutive is True
    ended = patients.evaluable is not None or _counts_all_infused(study, arm)
    return begun and patients.infused is not None and ended


def _counts_all_infused(study: Study, arm: Arm) -> bool:
    return any(
        finding.arm == arm.id
        and finding.count is not None
        and finding.population in ("enrolled", "infused")
        and finding.outcome in ("complete_remission", "mrd_negative_remission")
        for finding in study.findings
    )


def _demographics(study: Study) -> Verdict:
    arms = main_arms(study) or list(enumerate(study.arms))
    lacking = [arm.label or arm.id for _, arm in arms if arm.age is None]
    if lacking:
        return opened(f"no age is recorded ({lacking[0]})")
    number, arm = arms[0]
    assert arm.age is not None
    return Verdict("yes", f"age, {_spread(arm.age, 'year')}", f"arms[{number}].age")


def _clinical_information(study: Study) -> Verdict:
    arms = main_arms(study) or list(enumerate(study.arms))
    for number, arm in arms:
        if arm.prior_hsct is not None:
            count = f"{arm.prior_hsct.events}/{arm.prior_hsct.total}"
            why = f"transplant before CAR-T in {count}"
            return Verdict("yes", why, f"arms[{number}].prior_hsct")
    for number, finding in enumerate(study.findings):
        if finding.exposure in _BASELINE:
            why = f"patients compared by {finding.exposure.replace('_', ' ')} before the infusion"
            return Verdict("yes", why, f"findings[{number}]")
    return opened("no state before the infusion is recorded")


def _outcomes(study: Study) -> Verdict:
    own = [(n, finding) for n, finding in enumerate(study.findings) if finding.reported_by is None]
    if not own:
        return opened("no outcome of the paper's own is recorded")
    follow_up = study.conduct.follow_up
    if follow_up is not None:
        why = f"outcomes, and follow-up, {_spread(follow_up, 'month')}"
        return Verdict("yes", why, "conduct.follow_up")
    main = {arm.id for _, arm in main_arms(study)}
    for number, finding in own:
        if (
            finding.arm in main
            and finding.count is not None
            and finding.timepoint is not None
            and finding.population in ("enrolled", "infused")
        ):
            outcome = finding.outcome.replace("_", " ")
            why = f"{outcome} of all {finding.population}, with its time ({finding.timepoint})"
            return Verdict("yes", why, f"findings[{number}]")
    return opened("neither the length of follow-up nor the time of a response is recorded")


def _site(study: Study) -> Verdict:
    conduct = study.conduct
    if not conduct.centres or not conduct.countries:
        lacking = "centres" if not conduct.centres else "countries"
        return opened(f"no {lacking} are recorded")
    several = f" and {len(conduct.centres) - 1} more" if len(conduct.centres) > 1 else ""
    why = f"{conduct.centres[0]}{several}, {', '.join(conduct.countries)}"
    return Verdict("yes", why, "conduct.centres")


def _prospective(study: Study) -> Verdict:
    conduct = study.conduct
    direction, place = _direction(conduct)
    if direction == "retrospective":
        return Verdict("inadequate", "data were collected in retrospect", place)
    if conduct.registered == "retrospectively":
        why = "registered after the start: no protocol is shown to have come first"
        return Verdict("inadequate", why, "conduct.registered")
    if direction == "prospective":
        return Verdict("adequate", "a prospective study, as the paper says", place)
    if conduct.registered == "prospectively":
        return Verdict("adequate", "registered before the start", "conduct.registered")
    return opened("whether data were collected prospectively is not recorded")


def _direction(conduct: Conduct) -> tuple[Literal["prospective", "retrospective"] | None, str]:
    """Return how data were collected, and where the record says so."""
    if conduct.direction is not None:
        return conduct.direction, "conduct.direction"
    design = conduct.study_design.casefold()
    if "retrospective" in design:
        return "retrospective", "conduct.study_design"
    later = re.search(r"post.?hoc|secondary|pooled|registry", design)
    if not later and re.search(r"\bphase\b|\bprospective\b|\bpilot trial\b", design):
        return "prospective", "conduct.study_design"
    return None, ""


def _follow_up_period(study: Study) -> Verdict:
    follow_up = study.conduct.follow_up
    if follow_up is None:
        return opened("the length of follow-up is not recorded")
    timed = any(
        finding.outcome in _TIMED and finding.set_aside is None for finding in study.findings
    )
    least = _LONG if timed else _SHORT
    months = follow_up.median * _MONTHS[follow_up.unit or "month"]
    enough = months >= least
    asked = "relapse, death or survival" if timed else "response and toxicity"
    compare = "at least" if enough else "less than"
    month = "month" if least == 1 else "months"
    why = f"{_spread(follow_up, 'month')}: {compare} {least:.0f} {month}, for {asked}"
    return Verdict("adequate" if enough else "inadequate", why, "conduct.follow_up")


def _loss_to_follow_up(study: Study) -> Verdict:
    complete = study.conduct.follow_up_complete
    if complete is None:
        return opened("how many were lost to follow-up is not recorded")
    words = "fewer than 5 % lost" if complete else "5 % or more lost"
    judgement = "adequate" if complete else "inadequate"
    return Verdict(judgement, f"{words}, as the paper says", "conduct.follow_up_complete")


def _spread(spread: Spread, unit: str) -> str:
    unit = spread.unit or unit
    median = f"median {spread.median:g}"
    if spread.lower is not None and spread.upper is not None:
        median += f" ({spread.lower:g}–{spread.upper:g})"
    return f"{median} {unit}s"


def _yes(good: bool) -> str:
    return "yes" if good else "no"


def _adequate(good: bool) -> str:
    return "adequate" if good else "inadequate"


RULES: Mapping[Tool, Mapping[str, Callable[[Study], Verdict]]] = {
    "jbi": {
        "consecutive_inclusion": lambda study: _consecutive(study, _yes),
        "complete_inclusion": _complete,
        "demographics": _demographics,
        "clinical_information": _clinical_information,
        "outcomes": _outcomes,
        "site": _site,
    },
    "minors": {
        "consecutive_patients": lambda study: _consecutive(study, _adequate),
        "prospective_data": _prospective,
        "follow_up_period": _follow_up_period,
        "loss_to_follow_up": _loss_to_follow_up,
    },
    "robins_i": {"confounding": confounding, "selection": selection},
}
