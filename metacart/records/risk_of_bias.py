"""Risk of bias: the instruments, their items, and a reader's judgement of each with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from metacart.records.base import Record
from metacart.records.shapes import Text

__all__ = [
    "INSTRUMENTS",
    "Instrument",
    "JbiJudgement",
    "Light",
    "MinorsJudgement",
    "RiskOfBias",
    "RobinsJudgement",
    "Tool",
]

Tool = Literal["jbi", "minors", "robins_i"]
Light = Literal["low", "moderate", "high", "critical", "unclear", "not applicable"]

JbiItem = Literal[
    "clear_inclusion",
    "condition_measured",
    "condition_identified",
    "consecutive_inclusion",
    "complete_inclusion",
    "demographics",
    "clinical_information",
    "outcomes",
    "site",
    "statistics",
]
MinorsItem = Literal[
    "aim",
    "consecutive_patients",
    "prospective_data",
    "endpoints",
    "unbiased_assessment",
    "follow_up_period",
    "loss_to_follow_up",
    "study_size",
]
RobinsDomain = Literal[
    "confounding",
    "selection",
    "classification",
    "deviations",
    "missing_data",
    "measurement",
    "reported_result",
]


class JbiJudgement(Record):
    """An answer to one item of the JBI checklist for case series, with its reason."""

    judgement: Literal["yes", "no", "unclear", "not applicable"]
    why: Text
    at: Text | None = None


class MinorsJudgement(Record):
    """A judgement of one MINORS item, with its reason."""

    judgement: Literal["adequate", "inadequate", "not reported"]
    why: Text
    at: Text | None = None


class RobinsJudgement(Record):
    """A judgement of one ROBINS-I domain, with its reason."""

    judgement: Literal["low", "moderate", "serious", "critical", "no information"]
    why: Text
    at: Text | None = None


class RiskOfBias(Record):
    """What a reader judged, item by item.

    `robins_i` is about the comparison of transplanted with other patients after CAR-T.
    """

    jbi: dict[JbiItem, JbiJudgement] = {}
    minors: dict[MinorsItem, MinorsJudgement] = {}
    robins_i: dict[RobinsDomain, RobinsJudgement] = {}


@dataclass(frozen=True, slots=True)
class Instrument:
    """A published tool for judging risk of bias.

    Attributes
    ----------
    title : str
        Its name.
    source : str
        Where it was published.
    items : dict of str to str
        What each item asks, in short.
    lights : dict of str to str
        The light of each judgement: low, moderate, high or critical risk, unclear, not applicable.
    """

    title: str
    source: str
    items: dict[str, str]
    lights: dict[str, Light]


INSTRUMENTS: dict[Tool, Instrument] = {
    "jbi": Instrument(
        "JBI checklist for case series",
        "Munn Z, et al. JBI Evid Synth 2020;18:2127-33, doi 10.11124/JBISRIR-D-19-00099",
        {
            "clear_inclusion": "clear criteria for inclusion",
            "condition_measured": "condition measured in a standard, reliable way",
            "condition_identified": "condition identified by valid methods",
            "consecutive_inclusion": "consecutive inclusion of participants",
            "complete_inclusion": "complete inclusion of participants",
            "demographics": "demographics clearly reported",
            "clinical_information": "clinical information clearly reported",
            "outcomes": "outcomes or follow-up clearly reported",
            "site": "sites clearly reported",
            "statistics": "appropriate statistical analysis",
        },
        {"yes": "low", "no": "high", "unclear": "unclear", "not applicable": "not applicable"},
    ),
    "minors": Instrument(
        "MINORS, items for non-comparative studies",
        "Slim K, et al. ANZ J Surg 2003;73:712-6, doi 10.1046/j.1445-2197.2003.02748.x",
        {
            "aim": "clearly stated aim",
            "consecutive_patients": "inclusion of consecutive patients",
            "prospective_data": "prospective collection of data",
            "endpoints": "endpoints appropriate to the aim",
            "unbiased_assessment": "unbiased assessment of the endpoint",
            "follow_up_period": "follow-up long enough for the aim",
            "loss_to_follow_up": "loss to follow-up below 5 %",
            "study_size": "prospective calculation of the study size",
        },
        {"adequate": "low", "inadequate": "high", "not reported": "unclear"},
    ),
    "robins_i": Instrument(
        "ROBINS-I, transplant against none after CAR-T",
        "Sterne JA, et al. BMJ 2016;355:i4919, doi 10.1136/bmj.i4919",
        {
            "confounding": "confounding",
            "selection": "selection of participants, immortal time included",
            "classification": "classification of interventions",
            "deviations": "deviations from intended interventions",
            "missing_data": "missing data",
            "measurement": "measurement of outcomes",
            "reported_result": "selection of the reported result",
        },
        {
            "low": "low",
            "moderate": "moderate",
            "serious": "high",
            "critical": "critical",
            "no information": "unclear",
        },
    ),
}
