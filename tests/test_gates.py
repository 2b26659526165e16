"""Each gate: data that trip it, with the message, beside data that pass it."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable
from typing import Any

import pytest

from metacart.errors import Fault
from metacart.evidence import agreement, figures, gates
from metacart.evidence import library_gates as library_gates_module
from metacart.evidence.agreement import events_from_grades
from metacart.evidence.gates import STUDY_GATES, study_gates
from metacart.evidence.library_gates import LIBRARY_GATES, duplicate_ids, library_gates
from metacart.evidence.pairs import pairs, same_centre
from metacart.evidence.parts import Parts
from metacart.records.study import Study
from metacart.records.vocabulary import OUTCOMES

Make = Callable[..., dict[str, Any]]


def finding(outcome: str = "complete_remission", **values: Any) -> dict[str, Any]:
    return {"outcome": outcome, **values}


def count(events: int, total: int, printed: str | None = None, **values: Any) -> dict[str, Any]:
    own = {"events": events, "total": total} | ({"printed": printed} if printed else {})
    return {"count": own | values}


def grades(system: str = "ASTCT", **bands: int) -> dict[str, Any]:
    return {
        "outcome": "crs",
        "grading": system,
        "grades": {key.removeprefix("g").replace("_", "-"): n for key, n in bands.items()},
    }


def ratio(
    estimate: float, lower: float | None, upper: float | None, **values: Any
) -> dict[str, Any]:
    own = {"measure": "hr", "estimate": estimate, "lower": lower, "upper": upper, **values}
    own = {name: value for name, value in own.items() if value is not None}
    return {
        "outcome": "overall_survival",
        "exposure": "hsct",
        "time_handling": "time-fixed",
        "ratio": own,
    }


def contrast(
    exposed: tuple[Any, ...], unexposed: tuple[Any, ...], p: str | None = None, **values: Any
) -> dict[str, Any]:
    groups = {
        name: count(*group)["count"]
        for name, group in (("exposed", exposed), ("unexposed", unexposed))
    } | ({"p": p} if p else {})
    return {"exposure": "prior_hsct", "contrast": groups, **values}


def survival(**values: Any) -> dict[str, Any]:
    return {"outcome": "overall_survival", "survival": {"time": 12, "unit": "month", **values}}


def pair(exposed: float, unexposed: float, **values: Any) -> dict[str, Any]:
    groups = {"exposed": {"estimate": exposed}, "unexposed": {"estimate": unexposed}}
    return survival(**groups, **values) | {"exposure": "hsct", "time_handling": "landmark"}


def quantile(**values: Any) -> dict[str, Any]:
    return {
        "outcome": "overall_survival",
        "quantile": {"probability": 0.5, "unit": "month", **values},
    }


def misprint(printed: str) -> dict[str, Any]:
    return {"misprint": {"printed": printed, "why": "a slip"}}


EXCUSE = 'try: correct it, or add misprint = {{ printed = "{}", why = "…" }}'

# Findings of a study, or all that differs from a valid one.
Given = list[dict[str, Any]] | dict[str, Any]

SLIP = {"at": "Table 1", "printed": "9", "recorded": "8", "why": "a slip"}
MANY = {"events": 50, "total": 150, "printed": "33%", "derived": "percentage"}

# For each gate by its name: what trips it, its whole message, and the nearest data that pass.
GATED: dict[str, dict[str, tuple[Given, str, Given]]] = {
    "enrolment lies before cutoff and paper": {
        "enrolment that ends before it begins": (
            {"conduct": {"enrolment": {"from": "2020-11", "to": "2019-01"}}},
            (
                "conduct.enrolment: from 2020-11 to 2019-01; allowed: a first month that is not "
                "after "
                "the last"
            ),
            {"conduct": {"enrolment": {"from": "2019-11", "to": "2019"}}},
        ),
        "a cutoff before the first patient": (
            {"conduct": {"enrolment": {"from": "2019-03"}, "data_cutoff": "2019-02-28"}},
            (
                "conduct.data_cutoff: 2019-02-28, but enrolment began in 2019-03; "
                "allowed: a cutoff after the first patient"
            ),
            {"conduct": {"enrolment": {"from": "2019-03"}, "data_cutoff": "2019-03-31"}},
        ),
        "a paper before its first patient": (
            {"conduct": {"enrolment": {"from": "2021-03"}}},
            (
                "conduct.enrolment.from: 2021-03, after the paper of 2020; allowed: a month before "
                "the paper; "
                "try: look up the year of the paper too"
            ),
            {"conduct": {"enrolment": {"from": "2020-03"}}},
        ),
    },
    "medians lie in their ranges": {
        "age": (
            {"arms": ({"age": {"median": 3, "lower": 4, "upper": 49}},)},
            "arms[0].age: lower 4, median 3, upper 49; allowed: lower ≤ median ≤ upper",
            {"arms": ({"age": {"median": 3}},)},
        ),
        "follow-up": (
            {"conduct": {"follow_up": {"median": 30, "lower": 1, "upper": 24}}},
            "conduct.follow_up: lower 1, median 30, upper 24; allowed: lower ≤ median ≤ upper",
            {"conduct": {"follow_up": {"median": 20, "lower": 1, "upper": 24}}},
        ),
    },
    "arms are told apart": {
        "attribute under the name of a column": (
            {"arms": ({"attributes": {"events": 3}},)},
            (
                "arms[0].attributes.events: 'events' is a column of the evidence already; "
                "allowed: a name of your own; try: own_events"
            ),
            {"arms": ({"attributes": {"blasts": 3}},)},
        ),
        "an arm twice": (
            {"arms": ({}, {})},
            "arms[1].id: 'car' stands twice; allowed: each arm once",
            {"arms": ({}, {"id": "other"})},
        ),
    },
    "arms that share patients exist": {
        "shares with nobody": (
            {"arms": ({"shares_patients_with": ["cat"]},)},
            (
                "arms[0].shares_patients_with: 'cat' is no other arm of this study; "
                'allowed: an arm of another study, as "study/arm"'
            ),
            {"arms": ({"shares_patients_with": ["roe2019/cat"]},)},
        ),
        "shares with itself": (
            {"arms": ({"shares_patients_with": ["car"]},)},
            (
                "arms[0].shares_patients_with: 'car' is no other arm of this study; "
                'allowed: an arm of another study, as "study/arm"'
            ),
            {"arms": ({},)},
        ),
    },
    "responders ≤ evaluable ≤ infused ≤ enrolled": {
        "more infused than enrolled": (
            {"arms": ({"patients": {"enrolled": 19, "infused": 20}},)},
            (
                "arms[0].patients.infused: 20 infused of 19 enrolled; allowed: 0 to 19; "
                "try: responders ≤ evaluable ≤ infused ≤ enrolled"
            ),
            {"arms": ({"patients": {"enrolled": 20, "infused": 20}},)},
        ),
        "more responders than infused": (
            {"arms": ({"patients": {"infused": 20, "responders": 21}},)},
            (
                "arms[0].patients.responders: 21 responders of 20 infused; allowed: 0 to 20; "
                "try: responders ≤ evaluable ≤ infused ≤ enrolled"
            ),
            {"arms": ({"patients": {"infused": 20, "responders": 20}},)},
        ),
        "prior transplants": (
            {"arms": ({"prior_hsct": {"events": 20, "total": 19}},)},
            (
                "arms[0].prior_hsct.events: 20 events among 19; allowed: 0 to 19; "
                "try: look the count up again"
            ),
            {"arms": ({"prior_hsct": {"events": 10, "total": 19}},)},
        ),
        "more earlier transplants than patients": (
            {"arms": ({"prior_hsct": {"events": 10, "total": 22}},)},
            (
                "arms[0].prior_hsct.total: 22 patients, but arm 'car' has 21; allowed: 1 to 21; "
                "try: correct it, or the arm's patients"
            ),
            {"arms": ({"prior_hsct": {"events": 10, "total": 21}},)},
        ),
        "earlier transplants from a percentage that several counts give": (
            {"arms": ({"patients": {"infused": 150}, "prior_hsct": MANY},)},
            (
                "arms[0].prior_hsct.derived: 33% of 150 can be 49, 50; allowed: a percentage that "
                "one count "
                "alone fits; try: leave the count out"
            ),
            {"arms": ({"patients": {"infused": 150}, "prior_hsct": MANY | {"printed": "33.3%"}},)},
        ),
    },
    "arms, outcomes and exposures are known": {
        "unknown arm": (
            [count(1, 2) | {"arm": "cat"}],
            "findings[0].arm: 'cat' is not known; allowed: car; try: did you mean 'car'?",
            [count(1, 2)],
        ),
        "unknown exposure": (
            [contrast((4, 10), (9, 9), exposure="prior_hct", outcome="death")],
            "findings[0].exposure: 'prior_hct' is not known; allowed: hsct, prior_hsct, ",
            [contrast((4, 10), (9, 9), outcome="death")],
        ),
        "unknown outcome": (
            [finding("complete_remision", **count(13, 20))],
            "findings[0].outcome: 'complete_remision' is not known; allowed: complete_remission, ",
            [finding("complete_remission", **count(13, 20))],
        ),
    },
    "contradictions bear on what there is": {
        "a contradiction about a word that does not exist": (
            {"discrepancies": [SLIP, SLIP | {"bears_on": ["severe_crs", "sever_crs"]}]},
            (
                "discrepancies[1].bears_on[1]: 'sever_crs' is not known; allowed: an outcome, an "
                "exposure or a "
                "column of arms; try: did you mean 'severe_crs'?"
            ),
            {"discrepancies": [SLIP | {"bears_on": ["severe_crs", "hsct", "scfv"]}, SLIP]},
        ),
    },
    "events ≤ total ≤ patients of the population": {
        "more events than patients": (
            [count(14, 13)],
            (
                "findings[0].count.events: 14 events among 13; allowed: 0 to 13; "
                "try: look the count up again"
            ),
            [count(13, 13)],
        ),
        "more patients than infused": (
            [count(13, 21)],
            (
                "findings[0].count.total: 21 patients, but arm 'car' has 20 infused; allowed: 1 to "
                "20; "
                "try: name the population that was counted, or correct the arm's patients"
            ),
            [count(13, 21) | {"population": "enrolled"}],
        ),
        "events among responders": (
            [count(3, 14) | {"population": "responders"}],
            (
                "findings[0].count.total: 14 patients, but arm 'car' has 13 responders; "
                "allowed: 1 to 13; "
                "try: name the population that was counted, or correct the arm's patients"
            ),
            [count(3, 12) | {"population": "responders"}],
        ),
        "too many patients in a contrast": (
            [contrast((4, 10), (9, 11))],
            (
                "findings[0].contrast: 21 patients, but arm 'car' has 20 infused; allowed: 1 to "
                "20; "
                "try: name the population that was counted, or correct the arm's patients"
            ),
            [contrast((4, 10), (9, 10))],
        ),
        "events in a group of a contrast": (
            [contrast((4, 10), (10, 9))],
            (
                "findings[0].contrast.unexposed.events: 10 events among 9; allowed: 0 to 9; "
                "try: look the count up again"
            ),
            [contrast((4, 10), (9, 9))],
        ),
        "the same patients twice are one exposure": (
            [contrast((3, 7), (18, 20))],
            (
                "findings[0].contrast: 27 patients, but arm 'car' has 20 infused; allowed: 1 to "
                "20; "
                "try: name the population that was counted, or correct the arm's patients"
            ),
            [contrast((3, 7), (18, 20), exposure="infusion_number")],
        ),
        "population without a number": (
            {"arms": ({"patients": {"enrolled": 20}},)},
            (
                "findings[0].population: arm 'car' does not say how many patients were infused; "
                "allowed: a population whose number the arm gives; "
                "try: add `infused = …` to its patients; 20 are counted here"
            ),
            {"arms": ({"patients": {"infused": 20}},)},
        ),
    },
    "grades sum to their patients": {
        "grades below their total": (
            [grades(g0=1, g1_2=15, g3_5=3, total=20)],
            (
                "findings[0].grades: the grades sum to 19; allowed: their total, 20; "
                "try: look the table up again"
            ),
            [grades(g0=1, g1_2=15, g3_5=4, total=20)],
        ),
        "grades below the arm": (
            [grades(g0=1, g1_2=15, g3_5=3)],
            (
                "findings[0].grades: the grades sum to 19; allowed: 20, the infused of arm 'car'; "
                "try: look the table up again, or add `total = 19` if it leaves patients out"
            ),
            [grades(g0=1, g1_2=15, g3_5=3, total=19)],
        ),
        "grades above the arm": (
            [grades(g0=2, g1_2=15, g3_5=4, total=21)],
            (
                "findings[0].grades.total: 21 patients, but arm 'car' has 20 infused; allowed: 1 "
                "to "
                "20; try: name the population that was counted, or correct the arm's patients"
            ),
            [grades(g0=1, g1_2=15, g3_5=4)],
        ),
        "grades of what grades give": (
            [grades(g0=1, g1_2=15, g3_5=4) | {"outcome": "severe_crs"}],
            (
                "findings[0].outcome: a table of grades of severe_crs; "
                'allowed: the grades of crs, which give it; try: outcome = "crs"'
            ),
            [grades(g0=1, g1_2=15, g3_5=4)],
        ),
    },
    "counts agree with the grades": {
        "severe count against grades": (
            [
                grades(g0=1, g1_2=15, g3_4=3, g5=1),
                finding("severe_crs", grading="ASTCT", **count(3, 20)),
            ],
            (
                "findings[1].count.events: 3 with severe crs; allowed: 4, which findings[0].grades "
                "gives; try: correct one of them, or set one aside: set_aside = …"
            ),
            [
                grades(g0=1, g1_2=15, g3_4=3, g5=1),
                finding("severe_crs", grading="ASTCT", **count(4, 20)),
            ],
        ),
        "severe count against a band over the cut": (
            [grades(g0_1=10, g2_3=6, g4_5=4), finding("severe_crs", **count(3, 20))],
            (
                "findings[1].count.events: 3 with severe crs; allowed: 4 to 10, which "
                "findings[0].grades gives; try: correct one of them, or set one aside: set_aside = "
                "…"
            ),
            [grades(g0_1=10, g2_3=6, g4_5=4), finding("severe_crs", **count(8, 20))],
        ),
        "any count against grades": (
            [grades(g0=1, g1_2=15, g3_5=4), finding("crs", **count(18, 20))],
            (
                "findings[1].count.events: 18 with crs; allowed: 19, which findings[0].grades "
                "gives; "
                "try: correct one of them, or set one aside: set_aside = …"
            ),
            [
                grades(g0=1, g1_2=15, g3_5=4),
                finding("crs", set_aside="Table 3 has it by grade", **count(18, 20)),
            ],
        ),
    },
    "severe ≤ any, MRD-negative ≤ CR": {
        "severe above any": (
            [finding("severe_crs", **count(5, 20)), finding("crs", **count(4, 20))],
            (
                "findings[0].count: 5 with severe crs, but 4 with crs (findings[1].count); "
                "allowed: at most 4: one is part of the other; "
                "try: correct one of them, or set one aside: set_aside = …"
            ),
            [finding("severe_crs", **count(4, 20)), finding("crs", **count(4, 20))],
        ),
        "MRD-negative above CR": (
            [
                finding("mrd_negative_remission", timepoint="day 30", **count(14, 20)),
                finding(timepoint="day 30", **count(13, 20)),
            ],
            (
                "findings[0].count: 14 with mrd negative remission, but 13 with complete remission "
                "(findings[1].count); allowed: at most 13: one is part of the other; "
                "try: correct one of them, or set one aside: set_aside = …"
            ),
            [
                finding("mrd_negative_remission", timepoint="best", **count(14, 20)),
                finding(timepoint="day 30", **count(13, 20)),
            ],
        ),
    },
    "percentages, intervals and p agree": {
        "percentage": (
            [count(13, 19, "68.9%")],
            "findings[0].count.printed: 68.9% is printed, but 13/19 is 68.42%; allowed: 68.4%; "
            + EXCUSE.format("68.9%"),
            [count(13, 19, "68.4%")],
        ),
        "percentage that may be cut off": (
            [count(5, 19, "26.4%")],
            "findings[0].count.printed: 26.4% is printed, but 5/19 is 26.32%; allowed: 26.3%; "
            + EXCUSE.format("26.4%"),
            [count(6, 19, "31.5%")],
        ),
        "percentage between two roundings": (
            [count(1, 8, "14%")],
            "findings[0].count.printed: 14% is printed, but 1/8 is 12.5%; allowed: 12% or 13%; "
            + EXCUSE.format("14%"),
            [count(1, 8, "12%"), count(1, 8, "13%") | {"timepoint": "best"}],
        ),
        "percentage in a contrast": (
            [contrast((4, 10, "45%"), (9, 9))],
            "findings[0].contrast.exposed.printed: 45% is printed, but 4/10 is 40.0%; allowed: "
            "40%; " + EXCUSE.format("45%"),
            [contrast((4, 10, "40%"), (9, 9, "100%"))],
        ),
        "misprint of another figure": (
            [count(13, 19, "68.9%") | misprint("68.8%")],
            (
                "findings[0].count.printed: 68.9% is printed, but 13/19 is 68.42%; allowed: 68.4%; "
                'try: misprint.printed must be exactly "68.9%"'
            ),
            [],
        ),
        "misprint of nothing": (
            [count(13, 19, "68.4%") | misprint("68.4%")],
            (
                "findings[0].misprint: '68.4%' is excused, but nothing here disagrees; "
                "allowed: a misprint beside figures that disagree; try: delete it, or say it in "
                "`note`"
            ),
            [count(13, 19, "68.4%") | {"note": "68.4%"}],
        ),
        "misprint where no percentage stands": (
            [count(13, 19) | misprint("68.9%")],
            (
                "findings[0].misprint: '68.9%' is excused, but nothing here disagrees; "
                "allowed: a misprint beside figures that disagree; try: delete it, or say it in "
                "`note`"
            ),
            [count(13, 19)],
        ),
        "interval without its estimate": (
            [ratio(0.91, 0.47, 0.88)],
            "findings[0].ratio: the interval of 0.91 (0.47–0.88) does not hold its estimate; "
            "allowed: lower ≤ estimate ≤ upper, and lower < upper; "
            + EXCUSE.format("0.91 (0.47–0.88)"),
            [ratio(0.64, 0.47, 0.88)],
        ),
        "limits exchanged": (
            [ratio(0.64, 0.88, 0.47)],
            "findings[0].ratio: the interval of 0.64 (0.88–0.47) does not hold its estimate; "
            "allowed: lower ≤ estimate ≤ upper, and lower < upper; "
            + EXCUSE.format("0.64 (0.88–0.47)"),
            [ratio(0.64, 0.47, 0.88)],
        ),
        "asymmetric interval": (
            [ratio(6.055, 1.624, 18.933)],
            "findings[0].ratio: the interval of 6.055 (1.624–18.933) is not symmetric on the log "
            "scale; allowed: an estimate near 5.545, the middle of its limits; "
            + EXCUSE.format("6.055 (1.624–18.933)"),
            [ratio(5.545, 1.624, 18.933)],
        ),
        "p of the other side": (
            [ratio(0.279, 0.101, 0.769, p="0.14")],
            (
                "warning: findings[0].ratio.p: p 0.14 is printed, but 0.279 (0.101–0.769) gives "
                "0.014; "
                "allowed: a p on the same side of 0.05 and within a factor of five; "
                "try: look it up again; it may come from another test"
            ),
            [ratio(0.279, 0.101, 0.769, p="0.014")],
        ),
        "no p": (
            [ratio(0.279, 0.101, 0.769, p="significant")],
            (
                "findings[0].ratio.p: 'significant' is no p value; "
                'allowed: text such as "0.036", "<0.001", "NS"'
            ),
            [ratio(0.279, 0.101, 0.769, p="<0.05")],
        ),
        "survival outside its interval": (
            [survival(estimate=0.91, lower=0.508, upper=0.897)],
            "findings[0].survival: the interval of 0.91 (0.508–0.897) does not hold its estimate; "
            "allowed: lower ≤ estimate ≤ upper; " + EXCUSE.format("0.91 (0.508–0.897)"),
            [survival(estimate=0.91, lower=0.508, upper=0.987)],
        ),
        "a curve of a pair outside its interval": (
            [
                survival(exposed={"estimate": 0.9, "upper": 0.8}, unexposed={"estimate": 0.5})
                | {"exposure": "hsct", "time_handling": "landmark"}
            ],
            "findings[0].survival.exposed: the interval of 0.9 (?–0.8) does not hold its estimate; "
            "allowed: lower ≤ estimate ≤ upper; " + EXCUSE.format("0.9 (?–0.8)"),
            [
                survival(exposed={"estimate": 0.9}, unexposed={"estimate": 0.5})
                | {"exposure": "hsct", "time_handling": "landmark"}
            ],
        ),
        "median outside its interval": (
            [quantile(estimate=11.6, lower=12.0, upper=19.2)],
            "findings[0].quantile: the interval of 11.6 (12–19.2) does not hold its estimate; "
            "allowed: lower ≤ estimate ≤ upper; " + EXCUSE.format("11.6 (12–19.2)"),
            [quantile(estimate=11.6, lower=4.0)],
        ),
        "percentage of prior transplants": (
            {"arms": ({"prior_hsct": {"events": 10, "total": 19, "printed": "53.6%"}},)},
            (
                "arms[0].prior_hsct.printed: 53.6% is printed, but 10/19 is 52.63%; allowed: "
                "52.6%; "
                "try: correct it, or leave the percentage out"
            ),
            {"arms": ({"prior_hsct": {"events": 10, "total": 19, "printed": "52.6%"}},)},
        ),
        "no p beside a ratio without interval": (
            [ratio(0.279, None, None, p="significant")],
            (
                "findings[0].ratio.p: 'significant' is no p value; "
                'allowed: text such as "0.036", "<0.001", "NS"'
            ),
            [ratio(0.279, None, None, p="<0.05")],
        ),
        "no p of a contrast": (
            [contrast((4, 10), (9, 9), p="p of 0.01")],
            (
                "findings[0].contrast.p: 'p of 0.01' is no p value; "
                'allowed: text such as "0.036", "<0.001", "NS"'
            ),
            [contrast((4, 10), (9, 9), p="0.0108")],
        ),
    },
    "a quantile was reached or not": {
        "median reached without a number": (
            [quantile(lower=4.0)],
            (
                "findings[0].quantile: no estimate, although it was reached; "
                "allowed: an estimate, or reached = false"
            ),
            [quantile(lower=4.0, reached=False)],
        ),
        "median not reached with a number": (
            [quantile(estimate=4.0, reached=False)],
            (
                "findings[0].quantile: an estimate that was not reached; "
                "allowed: an estimate, or reached = false"
            ),
            [quantile(estimate=4.0)],
        ),
    },
    "survival does not rise": {
        "a later survival above an earlier one": (
            [survival(estimate=0.6), survival(estimate=0.65, time=24)],
            (
                "findings[1].survival: 0.65 at 24, but 0.6 at 12 (findings[0].survival); "
                "allowed: at most 0.6: survival does not rise; "
                "try: look both up again, or set one aside: set_aside = …"
            ),
            [survival(estimate=0.6), survival(estimate=0.6, time=24)],
        ),
        "a group of a pair that rises": (
            [pair(0.9, 0.5), pair(0.8, 0.55, time=24)],
            (
                "findings[1].survival.unexposed: 0.55 at 24, but 0.5 at 12 "
                "(findings[0].survival.unexposed); "
                "allowed: at most 0.5: survival does not rise; "
                "try: look both up again, or set one aside: set_aside = …"
            ),
            [pair(0.9, 0.5), pair(0.8, 0.55, time=24) | {"set_aside": "read from the figure"}],
        ),
        "curves of other endpoints": (
            [survival(estimate=0.6), survival(estimate=0.7, time=24) | {"population": "infused"}],
            (
                "findings[1].survival: 0.7 at 24, but 0.6 at 12 (findings[0].survival); "
                "allowed: at most 0.6: survival does not rise; "
                "try: look both up again, or set one aside: set_aside = …"
            ),
            [survival(estimate=0.6), survival(estimate=0.7, time=24) | {"printed_as": "LFS"}],
        ),
    },
    "each count stands once": {
        "a count twice": (
            [count(13, 20), count(12, 20)],
            (
                "findings[1]: the same count as findings[0]: arm, outcome, population and "
                "timepoint "
                "are equal; allowed: one of them; try: say why one is not used: set_aside = …"
            ),
            [count(13, 20), count(12, 20) | {"set_aside": "the abstract"}],
        ),
        "grades twice": (
            [grades(g0=1, g1_2=15, g3_5=4), grades(g0=1, g1_2=15, g3_5=4)],
            (
                "findings[1]: the same grades as findings[0]: arm, outcome, population and "
                "timepoint "
                "are equal; allowed: one of them; try: say why one is not used: set_aside = …"
            ),
            [grades(g0=1, g1_2=15, g3_5=4), grades("Penn", g0=1, g1_2=13, g3_5=6)],
        ),
    },
}


def built(given: Given, study_data: Make) -> Study:
    return Study(**(study_data(*given) if isinstance(given, list) else study_data(**given)))


CASES = [(gate, case) for gate, cases in GATED.items() for case in cases]


@pytest.mark.parametrize(("gate", "case"), CASES, ids=[case for _, case in CASES])
def test_gate_of_a_study(gate: str, case: str, study_data: Make) -> None:
    trips, message, passes = GATED[gate][case]
    study = built(trips, study_data)
    found = [str(fault) for fault in study_gates(study)]
    assert len(found) == 1
    if message.endswith(", "):  # a long list of allowed words
        assert found[0].startswith(message)
        assert found[0].split("; ")[-1].startswith("try: did you mean '")
    else:
        assert found == [message]
    by_this_gate = STUDY_GATES[gate](Parts.of(study, OUTCOMES))
    assert [str(fault) for fault in by_this_gate] == found
    assert study_gates(built(passes, study_data)) == []


@pytest.mark.parametrize(
    ("outcome", "near"),
    [("complete_remision", "complete_remission"), ("severe_csr", "severe_crs")],
)
def test_unknown_outcome_hints_at_the_nearest(outcome: str, near: str, study_data: Make) -> None:
    (fault,) = study_gates(Study(**study_data(finding(outcome, **count(1, 20)))))
    assert fault.attempt == f"did you mean '{near}'?"


def test_a_count_from_a_percentage_that_several_counts_give(study_data: Make) -> None:
    data = study_data({"count": MANY}, arms=({"patients": {"infused": 150}},))
    assert [str(fault) for fault in study_gates(Study(**data))] == [
        (
            "findings[0].count.derived: 33% of 150 can be 49, 50; allowed: a percentage that one "
            "count alone fits; try: leave the count out"
        )
    ]
    data["findings"][0]["count"] = MANY | {"printed": "33.3%"}
    assert study_gates(Study(**data)) == []


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            count(20, 20, "99%") | misprint("99 %"),
            (
                "warning: findings[0].count.printed: 99% is printed, but 20/20 is 100.0%, "
                "excused: a slip"
            ),
        ),
        (
            ratio(6.055, 1.624, 18.933) | misprint("6.055"),
            (
                "warning: findings[0].ratio: the interval of 6.055 (1.624–18.933) is not symmetric "
                "on the log scale, excused: a slip"
            ),
        ),
        (
            ratio(0.91, 0.47, 0.88) | misprint("0.91 (0.47-0.88)"),
            (
                "warning: findings[0].ratio: the interval of 0.91 (0.47–0.88) does not hold its "
                "estimate, excused: a slip"
            ),
        ),
        (
            ratio(0.279, 0.101, 0.769, p="0.14") | misprint("0.14"),
            (
                "warning: findings[0].ratio.p: p 0.14 is printed, but 0.279 (0.101–0.769) gives "
                "0.014, excused: a slip"
            ),
        ),
    ],
)
def test_misprint_passes_for_exactly_its_figure(
    data: dict[str, Any], message: str, study_data: Make
) -> None:
    assert [str(fault) for fault in study_gates(Study(**study_data(data)))] == [message]


@pytest.mark.parametrize("figure", ["6.05", "6.055 or 7", "hazard ratio", "95%"])
def test_misprint_of_other_numbers_excuses_no_interval(figure: str, study_data: Make) -> None:
    study = Study(**study_data(ratio(6.055, 1.624, 18.933) | misprint(figure)))
    (fault,) = study_gates(study)
    assert fault.severity == "error"
    assert fault.attempt == 'misprint.printed must be exactly "6.055 (1.624–18.933)"'


def test_a_study_with_everything_passes(study_data: Make) -> None:
    data = study_data(
        finding(timepoint="day 30", **count(13, 20, "65%")),
        finding("mrd_negative_remission", timepoint="day 30", **count(13, 20, "65.0%")),
        grades(g0=1, g1=14, g2=2, g3=2, g4=1, g5=0),
        finding("severe_crs", grading="ASTCT", **count(3, 20, "15%")),
        contrast((4, 10), (9, 10)),
        ratio(0.25, 0.068, 0.915, p="0.036"),
        survival(estimate=0.91, lower=0.508, upper=0.987),
        quantile(reached=False),
        conduct={"enrolment": {"from": "2019", "to": "2019-06"}},
    )
    assert study_gates(Study(**data)) == []


def test_events_from_grades_count_every_patient() -> None:
    bands = {"0": 3, "1": 5, "2-3": 7, "4-5": 2}
    for cut in range(6):
        low, high = events_from_grades(bands, from_grade=cut)
        # a patient of a band has one of its grades: the extremes are all at its ends
        ends = [[(0, 3)], [(1, 5)], [(2, 7), (3, 7)], [(4, 2), (5, 2)]]
        assert low == sum(min(n if g >= cut else 0 for g, n in end) for end in ends)
        assert high == sum(max(n if g >= cut else 0 for g, n in end) for end in ends)


# ---- between studies


def make(study_data: Make, name: str, **values: Any) -> Study:
    findings = values.pop("findings", ())
    return Study(**study_data(*findings, id=name, **values))


def test_ids_are_unique() -> None:
    assert [
        str(f) for f in duplicate_ids(["a", "b", "a"], files=["x.toml", "y.toml", "z.toml"])
    ] == [
        (
            "z.toml: id: 'a' is the id in x.toml too; allowed: each id once; "
            "try: rename one of the two files and its id"
        )
    ]
    assert duplicate_ids(["a", "b"], files=["x.toml", "y.toml"]) == []


def same(key: str, first: str, second: str, title: str) -> tuple[Any, str, Any]:
    return (
        ({"citation": {key: first}}, {"citation": {key: second}}),
        (
            f"b.toml: citation.{key}: 'doe2020' has the {title} {second} too; "
            "allowed: one file a paper; try: merge the two files, or correct the identifier"
        ),
        ({"citation": {key: first}}, {"citation": {key: second + "2"}}),
    )


def overlapping(first: Any, second: Any, reason: str, passes: Any) -> tuple[Any, str, Any]:
    hint = 'cohort = "doe2020" in both, or shares_patients_with = ["doe2020/car"] in an arm'
    return (
        (first, second),
        (
            f"b.toml: warning: cohort: 'roe2021' may share patients with 'doe2020' ({reason}); "
            f"try: if it does, {hint}; it warns until then"
        ),
        passes,
    )


TRIAL = {"citation": {"registrations": ["NCT01", "NCT02"]}}
PEKING = {"centres": ["Peking  hospital", "Other"]}
QUOTED = {**count(13, 20), "reported_by": "doe2020"}

# For each gate by its name: what differs between two valid studies, the message, what passes.
BETWEEN: dict[str, dict[str, tuple[Any, str, Any]]] = {
    "identifiers stand once": {
        "DOI": same("doi", "10.1000/abc1", "10.1000/ABC1", "DOI"),
        "PMID": same("pmid", "123", "123", "PMID"),
        "PMC number": same("pmcid", "PMC12", "PMC12", "PMC number"),
    },
    "papers that may share patients say so": {
        "registration": overlapping(
            TRIAL,
            {"citation": {"registrations": ["nct 02"]}},
            "same registration NCT02",
            (TRIAL, {"citation": {"registrations": ["NCT03"]}}),
        ),
        "registration of one cohort": overlapping(
            TRIAL,
            TRIAL,
            "same registration NCT01, NCT02",
            ({**TRIAL, "cohort": "one"}, {**TRIAL, "cohort": "one"}),
        ),
        "registration of arms that declare it": overlapping(
            TRIAL,
            TRIAL,
            "same registration NCT01, NCT02",
            (TRIAL, {**TRIAL, "arms": ({"shares_patients_with": ["doe2020/car"]},)}),
        ),
        "centre in overlapping months": overlapping(
            {"conduct": PEKING | {"enrolment": {"from": "2019-01", "to": "2020"}}},
            {"conduct": {"centres": ["Peking Hospital"], "enrolment": {"from": "2019-12"}}},
            "same centre Peking  hospital, 2019-01 to 2020 and 2019-12 to ?",
            (
                {"conduct": PEKING | {"enrolment": {"to": "2019-11"}}},
                {"conduct": {"centres": ["Peking Hospital"], "enrolment": {"from": "2019-12"}}},
            ),
        ),
        "centre without months": overlapping(
            {"conduct": PEKING},
            {"conduct": PEKING | {"enrolment": {"to": "2020"}}},
            "same centre Peking  hospital, Other, months not stated and ? to 2020",
            ({"conduct": PEKING}, {"conduct": {"centres": ["Beijing"]}}),
        ),
        "registration and centre": overlapping(
            {**TRIAL, "conduct": PEKING},
            {**TRIAL, "conduct": PEKING},
            "same registration NCT01, NCT02; same centre Peking  hospital, Other, "
            "months not stated",
            ({}, {}),
        ),
    },
    "one primary report a cohort": {
        "two": (
            ({"cohort": "one", "primary_report": True},) * 2,
            (
                "b.toml: warning: primary_report: 'doe2020' is the primary report of cohort 'one' "
                "too; "
                "allowed: one a cohort; try: keep it in the paper that reports the primary endpoint"
            ),
            ({"primary_report": True}, {"primary_report": True}),
        ),
    },
    "what is named exists": {
        "a study that is not loaded": (
            ({}, {"findings": [QUOTED | {"reported_by": "doe2o20"}]}),
            (
                "b.toml: warning: findings[0].reported_by: 'doe2o20' is not among the studies; "
                "try: did you mean 'doe2020'?"
            ),
            ({}, {"findings": [QUOTED]}),
        ),
        "the paper itself": (
            ({}, {"findings": [QUOTED | {"reported_by": "roe2021"}]}),
            (
                "b.toml: findings[0].reported_by: 'roe2021' is this paper; allowed: a publication "
                "that "
                "quotes the number; try: leave it out: it was read in the paper itself"
            ),
            ({}, {"findings": [QUOTED | {"reported_by": "PMC12"}]}),
        ),
        "words": (
            ({}, {"findings": [QUOTED | {"reported_by": "a review"}]}),
            (
                "b.toml: findings[0].reported_by: 'a review'; allowed: the id of a study, a DOI, a "
                "PMC "
                "number, or an address with https://"
            ),
            ({}, {"findings": [QUOTED | {"reported_by": "https://example.org/review"}]}),
        ),
        "an arm of another study": (
            ({}, {"arms": ({"shares_patients_with": ["doe2020/cat"]},)}),
            (
                "b.toml: arms[0].shares_patients_with: 'cat' is no arm of 'doe2020'; allowed: car; "
                "try: did you mean 'car'?"
            ),
            ({}, {"arms": ({"shares_patients_with": ["doe2020/car"]},)}),
        ),
        "an arm of a study that is not loaded": (
            ({}, {"arms": ({"shares_patients_with": ["smith1999/car"]},)}),
            (
                "b.toml: warning: arms[0].shares_patients_with: 'smith1999' is not among the "
                "studies; "
                "try: load the folder that holds it too"
            ),
            ({}, {}),
        ),
    },
    "an attribute is of one kind": {
        "text and a number": (
            (
                {"arms": ({"attributes": {"dose": 3}},)},
                {"arms": ({}, {"id": "b", "attributes": {"dose": "high"}})},
            ),
            (
                "b.toml: arms[1].attributes.dose: 'high' is text, but 3 in 'doe2020/car' is a "
                "number; "
                "allowed: one kind of value for an attribute of all studies; "
                "try: write both the same way, or give one of them another name"
            ),
            (
                {"arms": ({"attributes": {"dose": 3}},)},
                {"arms": ({}, {"id": "b", "attributes": {"dose": 3.5, "other": "high"}})},
            ),
        ),
        "a truth and a number": (
            (
                {"arms": ({"attributes": {"dose": True}},)},
                {"arms": ({"attributes": {"dose": 1}},)},
            ),
            (
                "b.toml: arms[0].attributes.dose: 1 is a number, but true in 'doe2020/car' is true "
                "or "
                "false; allowed: one kind of value for an attribute of all studies; "
                "try: write both the same way, or give one of them another name"
            ),
            (
                {"arms": ({"attributes": {"dose": True}},)},
                {"arms": ({"attributes": {"dose": False}},)},
            ),
        ),
    },
    "figures name each paper apart": {
        "first author and year": (
            ({"citation": {"authors": ["Doe J"]}}, {"citation": {"authors": ["Doe K"]}}),
            (
                "b.toml: warning: citation.label: figures call 'doe2020' Doe 2020 too; "
                "allowed: a label of its own; "
                'try: label = "Doe 2020b", or initials behind the surname'
            ),
            (
                {"citation": {"authors": ["Doe J"]}},
                {"citation": {"authors": ["Doe K"], "label": "Doe K 2020"}},
            ),
        ),
    },
}
BETWEEN_CASES = [(gate, case) for gate, cases in BETWEEN.items() for case in cases]


def pair_of(given: Any, study_data: Make) -> list[Study]:
    # two first authors, unless the names are the question
    values = [{"citation": {}} | dict(each) for each in given]
    for each, surname in zip(values, ("Doe", "Roe"), strict=True):
        each["citation"] = {"authors": [f"{surname} J"]} | each["citation"]
    return [
        make(study_data, name, **each)
        for name, each in zip(("doe2020", "roe2021"), values, strict=True)
    ]


@pytest.mark.parametrize(
    ("gate", "case"), BETWEEN_CASES, ids=[f"{gate}: {case}" for gate, case in BETWEEN_CASES]
)
def test_gate_between_studies(gate: str, case: str, study_data: Make) -> None:
    trips, message, passes = BETWEEN[gate][case]
    studies = pair_of(trips, study_data)
    assert [str(f) for f in library_gates(studies, files=["a.toml", "b.toml"])] == [message]
    assert len(list(LIBRARY_GATES[gate](studies))) == 1
    # without files the study is named instead
    (fault,) = library_gates(studies)
    assert str(fault) == message.replace("b.toml: ", "", 1).replace(
        fault.place.partition(": ")[2], fault.place, 1
    )
    assert library_gates(pair_of(passes, study_data)) == []


def test_what_one_study_may_share_with_several_is_one_line(study_data: Make) -> None:
    names = ("doe2020", "poe2020", "roe2021")
    studies = [
        make(study_data, name, citation={**TRIAL["citation"], "authors": [name]}) for name in names
    ]
    found = [str(fault) for fault in library_gates(studies)]
    assert len(found) == 2
    assert found[1].startswith(
        "warning: roe2021: cohort: 'roe2021' may share patients with 'doe2020' (same registration "
        "NCT01, NCT02), 'poe2020' (same registration NCT01, NCT02); try: "
    )


@pytest.mark.parametrize(
    ("first", "second", "one"),
    [
        ("Beijing Boren Hospital", "beijing boren hospital", True),
        ("The First Affiliated Hospital of X", "First Affiliated Hospital of X", True),
        ("The Second Affiliated Hospital of Anhui", "Second Hospital of Anhui", True),
        ("Peking University People's Hospital", "Peking University People’s Hospital", True),
        ("Hospital Clínic, Barcelona", "Hospital Clinic", True),
        ("Seattle Children's Hospital, Seattle", "Seattle Children's Hospital", True),
        ("Children's Hospital, Boston", "Children's Hospital, Philadelphia", False),
        ("University of Washington", "Washington University", False),
        ("First Hospital of Soochow University", "Second Hospital of Soochow University", False),
        ("Hebei Yanda Lu Daopei Hospital", "Beijing Lu Daopei Hospital", False),
    ],
)
def test_names_of_one_centre(first: str, second: str, one: bool, study_data: Make) -> None:
    assert same_centre(first, second) is same_centre(second, first) is one
    studies = [
        make(study_data, name, conduct={"centres": [centre]})
        for name, centre in (("doe2020", first), ("roe2021", second))
    ]
    assert bool(list(pairs(studies))) is one


# ---- none without both


def test_every_gate_has_data_that_trip_it_and_data_that_pass() -> None:
    assert list(GATED) == list(STUDY_GATES)
    assert list(BETWEEN) == list(LIBRARY_GATES)
    for gate, cases in (GATED | BETWEEN).items():
        assert cases, gate
        assert all(message and trips != passes for trips, message, passes in cases.values())


def test_every_fault_that_a_gate_can_find_is_tripped(
    study_data: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each place in the modules of the gates that makes a fault is reached by a case above."""
    made: set[tuple[str, int]] = set()
    places: set[tuple[str, int]] = set()
    for module in (gates, agreement, figures, library_gates_module):

        def recorded(*parts: Any, name: str = module.__name__, **more: Any) -> Fault:
            made.add((name, sys._getframe(1).f_lineno))
            return Fault(*parts, **more)

        monkeypatch.setattr(module, "Fault", recorded)
        tree = ast.parse(inspect.getsource(module))
        places |= {
            (module.__name__, node.lineno)
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Fault"
        }
    for trips, _, passes in (case for cases in GATED.values() for case in cases.values()):
        study_gates(built(trips, study_data))
        study_gates(built(passes, study_data))
    for trips, _, _ in (case for cases in BETWEEN.values() for case in cases.values()):
        library_gates(pair_of(trips, study_data))
    duplicate_ids(["a", "a"], files=["x.toml", "y.toml"])
    study_gates(Study(**study_data({"count": MANY}, arms=({"patients": {"infused": 150}},))))
    assert sorted(places - made) == []
