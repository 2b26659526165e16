"""Each gate: data that trip it, with the message, beside data that pass it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from metacart.evidence.agreement import events_from_grades
from metacart.evidence.gates import study_gates
from metacart.evidence.library_gates import duplicate_ids, library_gates, shared_patients
from metacart.records.study import Study

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


def ratio(estimate: float, lower: float, upper: float, **values: Any) -> dict[str, Any]:
    own = {"measure": "hr", "estimate": estimate, "lower": lower, "upper": upper, **values}
    return {
        "outcome": "overall_survival",
        "exposure": "hsct",
        "time_handling": "time-fixed",
        "ratio": own,
    }


def contrast(exposed: tuple[Any, ...], unexposed: tuple[Any, ...], **values: Any) -> dict[str, Any]:
    groups = {
        name: count(*group)["count"]
        for name, group in (("exposed", exposed), ("unexposed", unexposed))
    }
    return {"exposure": "prior_hsct", "contrast": groups, **values}


def survival(**values: Any) -> dict[str, Any]:
    return {"outcome": "overall_survival", "survival": {"time": 12, "unit": "month", **values}}


def quantile(**values: Any) -> dict[str, Any]:
    return {
        "outcome": "overall_survival",
        "quantile": {"probability": 0.5, "unit": "month", **values},
    }


def misprint(printed: str) -> dict[str, Any]:
    return {"misprint": {"printed": printed, "why": "a slip"}}


EXCUSE = 'try: correct it, or add misprint = {{ printed = "{}", why = "…" }}'

# What trips a gate, its whole message, and the nearest data that pass.
FINDINGS: dict[str, tuple[list[dict[str, Any]], str, list[dict[str, Any]]]] = {
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
            "findings[0].count.total: 21 patients, but arm 'car' has 20 infused; allowed: 1 to 20; "
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
            "findings[0].contrast: 21 patients, but arm 'car' has 20 infused; allowed: 1 to 20; "
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
            "findings[0].contrast: 27 patients, but arm 'car' has 20 infused; allowed: 1 to 20; "
            "try: name the population that was counted, or correct the arm's patients"
        ),
        [contrast((3, 7), (18, 20), exposure="infusion_number")],
    ),
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
        "findings[0].contrast.exposed.printed: 45% is printed, but 4/10 is 40.0%; allowed: 40%; "
        + EXCUSE.format("45%"),
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
            "allowed: a misprint beside figures that disagree; try: delete it, or say it in `note`"
        ),
        [count(13, 19, "68.4%") | {"note": "68.4%"}],
    ),
    "misprint where no percentage stands": (
        [count(13, 19) | misprint("68.9%")],
        (
            "findings[0].misprint: '68.9%' is excused, but nothing here disagrees; "
            "allowed: a misprint beside figures that disagree; try: delete it, or say it in `note`"
        ),
        [count(13, 19)],
    ),
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
            "findings[0].grades.total: 21 patients, but arm 'car' has 20 infused; allowed: 1 to "
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
            "findings[0].grades gives; try: correct one of them, or set one aside: set_aside = …"
        ),
        [grades(g0_1=10, g2_3=6, g4_5=4), finding("severe_crs", **count(8, 20))],
    ),
    "any count against grades": (
        [grades(g0=1, g1_2=15, g3_5=4), finding("crs", **count(18, 20))],
        (
            "findings[1].count.events: 18 with crs; allowed: 19, which findings[0].grades gives; "
            "try: correct one of them, or set one aside: set_aside = …"
        ),
        [
            grades(g0=1, g1_2=15, g3_5=4),
            finding("crs", set_aside="Table 3 has it by grade", **count(18, 20)),
        ],
    ),
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
            "warning: findings[0].ratio.p: p 0.14 is printed, but 0.279 (0.101–0.769) gives 0.014; "
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
    "a count twice": (
        [count(13, 20), count(12, 20)],
        (
            "findings[1]: the same count as findings[0]: arm, outcome, population and timepoint "
            "are equal; allowed: one of them; try: say why one is not used: set_aside = …"
        ),
        [count(13, 20), count(12, 20) | {"set_aside": "the abstract"}],
    ),
    "grades twice": (
        [grades(g0=1, g1_2=15, g3_5=4), grades(g0=1, g1_2=15, g3_5=4)],
        (
            "findings[1]: the same grades as findings[0]: arm, outcome, population and timepoint "
            "are equal; allowed: one of them; try: say why one is not used: set_aside = …"
        ),
        [grades(g0=1, g1_2=15, g3_5=4), grades("Penn", g0=1, g1_2=13, g3_5=6)],
    ),
}


@pytest.mark.parametrize("case", FINDINGS)
def test_gate_on_findings(case: str, study_data: Make) -> None:
    trips, message, passes = FINDINGS[case]
    found = [str(fault) for fault in study_gates(Study(**study_data(*trips)))]
    assert len(found) == 1
    if message.endswith(", "):  # a long list of allowed words
        assert found[0].startswith(message)
        assert found[0].split("; ")[-1].startswith("try: did you mean '")
    else:
        assert found == [message]
    assert study_gates(Study(**study_data(*passes))) == []


@pytest.mark.parametrize(
    ("outcome", "near"),
    [("complete_remision", "complete_remission"), ("severe_csr", "severe_crs")],
)
def test_unknown_outcome_hints_at_the_nearest(outcome: str, near: str, study_data: Make) -> None:
    (fault,) = study_gates(Study(**study_data(finding(outcome, **count(1, 20)))))
    assert fault.attempt == f"did you mean '{near}'?"


def test_a_count_from_a_percentage_that_several_counts_give(study_data: Make) -> None:
    data = study_data(
        count(50, 150, "33%", derived="percentage"),
        arms=({"patients": {"infused": 150}},),
    )
    assert [str(fault) for fault in study_gates(Study(**data))] == [
        (
            "findings[0].count.derived: 33% of 150 can be 49, 50; allowed: a percentage that one "
            "count alone fits; try: leave the count out"
        )
    ]
    data["findings"][0]["count"] = {
        "events": 50,
        "total": 150,
        "printed": "33.3%",
        "derived": "percentage",
    }
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


ARMS: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "more infused than enrolled": (
        {"patients": {"enrolled": 19, "infused": 20}},
        (
            "arms[0].patients.infused: 20 infused of 19 enrolled; allowed: 0 to 19; "
            "try: responders ≤ evaluable ≤ infused ≤ enrolled"
        ),
        {"patients": {"enrolled": 20, "infused": 20}},
    ),
    "more responders than infused": (
        {"patients": {"infused": 20, "responders": 21}},
        (
            "arms[0].patients.responders: 21 responders of 20 infused; allowed: 0 to 20; "
            "try: responders ≤ evaluable ≤ infused ≤ enrolled"
        ),
        {"patients": {"infused": 20, "responders": 20}},
    ),
    "population without a number": (
        {"patients": {"enrolled": 20}},
        (
            "findings[0].population: arm 'car' does not say how many patients were infused; "
            "allowed: a population whose number the arm gives; "
            "try: add `infused = …` to its patients; 20 are counted here"
        ),
        {"patients": {"infused": 20}},
    ),
    "age": (
        {"age": {"median": 3, "lower": 4, "upper": 49}},
        "arms[0].age: lower 4, median 3, upper 49; allowed: lower ≤ median ≤ upper",
        {"age": {"median": 3}},
    ),
    "prior transplants": (
        {"prior_hsct": {"events": 20, "total": 19}},
        (
            "arms[0].prior_hsct.events: 20 events among 19; allowed: 0 to 19; "
            "try: look the count up again"
        ),
        {"prior_hsct": {"events": 10, "total": 19}},
    ),
    "percentage of prior transplants": (
        {"prior_hsct": {"events": 10, "total": 19, "printed": "53.6%"}},
        (
            "arms[0].prior_hsct.printed: 53.6% is printed, but 10/19 is 52.63%; allowed: 52.6%; "
            "try: correct it, or leave the percentage out"
        ),
        {"prior_hsct": {"events": 10, "total": 19, "printed": "52.6%"}},
    ),
    "shares with nobody": (
        {"shares_patients_with": ["cat"]},
        (
            "arms[0].shares_patients_with: 'cat' is no other arm of this study; "
            'allowed: an arm of another study, as "study/arm"'
        ),
        {"shares_patients_with": ["roe2019/cat"]},
    ),
    "shares with itself": (
        {"shares_patients_with": ["car"]},
        (
            "arms[0].shares_patients_with: 'car' is no other arm of this study; "
            'allowed: an arm of another study, as "study/arm"'
        ),
        {},
    ),
    "attribute under the name of a column": (
        {"attributes": {"events": 3}},
        (
            "arms[0].attributes.events: 'events' is a column of the evidence already; "
            "allowed: a name of your own; try: own_events"
        ),
        {"attributes": {"blasts": 3}},
    ),
}


@pytest.mark.parametrize("case", ARMS)
def test_gate_on_arms(case: str, study_data: Make) -> None:
    trips, message, passes = ARMS[case]
    tripped = study_gates(Study(**study_data(arms=(trips,))))
    assert [str(fault) for fault in tripped] == [message]
    assert study_gates(Study(**study_data(arms=(passes,)))) == []


def test_an_arm_twice(study_data: Make) -> None:
    (fault,) = study_gates(Study(**study_data(arms=({}, {}))))
    assert str(fault) == "arms[1].id: 'car' stands twice; allowed: each arm once"
    assert study_gates(Study(**study_data(arms=({}, {"id": "other"})))) == []


@pytest.mark.parametrize(
    ("conduct", "message"),
    [
        (
            {"enrolment": {"from": "2020-11", "to": "2019-01"}},
            (
                "conduct.enrolment: from 2020-11 to 2019-01; "
                "allowed: a first month that is not after the last"
            ),
        ),
        (
            {"follow_up": {"median": 30, "lower": 1, "upper": 24}},
            "conduct.follow_up: lower 1, median 30, upper 24; allowed: lower ≤ median ≤ upper",
        ),
    ],
)
def test_gate_on_conduct(conduct: dict[str, Any], message: str, study_data: Make) -> None:
    assert [str(f) for f in study_gates(Study(**study_data(conduct=conduct)))] == [message]


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
    return Study(**study_data(id=name, **values))


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


@pytest.mark.parametrize(
    ("key", "first", "second", "title"),
    [
        ("doi", "10.1000/abc", "10.1000/ABC", "DOI"),
        ("pmid", "123", "123", "PMID"),
        ("pmcid", "PMC12", "PMC12", "PMC number"),
    ],
)
def test_identifiers_are_unique(
    key: str, first: str, second: str, title: str, study_data: Make
) -> None:
    studies = [
        make(study_data, "doe2020", citation={key: first}),
        make(study_data, "roe2021", citation={key: second}),
    ]
    assert [str(f) for f in library_gates(studies)] == [
        (
            f"roe2021: citation.{key}: 'doe2020' has the {title} {second} too; "
            "allowed: one file a paper; try: merge the two files, or correct the identifier"
        )
    ]
    assert library_gates([make(study_data, "doe2020"), make(study_data, "roe2021")]) == []


PEKING = {"centres": ["Peking  hospital", "Other"]}


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        (
            {"citation": {"registrations": ["NCT01", "NCT02"]}},
            {"citation": {"registrations": ["nct02"]}},
            "both are registered as NCT02",
        ),
        (
            {"conduct": PEKING | {"enrolment": {"from": "2019-01", "to": "2020"}}},
            {"conduct": {"centres": ["Peking Hospital"], "enrolment": {"from": "2020-12"}}},
            "both enrolled at Peking  hospital (2019-01 to 2020; 2020-12 to ?)",
        ),
        (
            {"conduct": PEKING},
            {"conduct": PEKING | {"enrolment": {"to": "2020"}}},
            "both enrolled at Peking  hospital, Other (months not stated; ? to 2020)",
        ),
        (
            {"conduct": PEKING | {"enrolment": {"to": "2019-12"}}},
            {"conduct": PEKING | {"enrolment": {"from": "2020"}}},
            None,
        ),
        ({"conduct": PEKING}, {"conduct": {"centres": ["Beijing"]}}, None),
        ({}, {}, None),
    ],
)
def test_cohorts_that_may_share_patients(
    first: dict[str, Any], second: dict[str, Any], reason: str | None, study_data: Make
) -> None:
    studies = [make(study_data, "doe2020", **first), make(study_data, "roe2021", **second)]
    assert shared_patients(*studies) == reason
    expected = [
        (
            f"warning: roe2021: cohort: 'roe2021' may share patients with 'doe2020': {reason}; "
            'try: if it does, cohort = "doe2020" in both; it warns until then'
        )
    ]
    assert [str(f) for f in library_gates(studies)] == (expected if reason else [])
    together = [
        make(study_data, "doe2020", cohort="one", **first),
        make(study_data, "roe2021", cohort="one", **second),
    ]
    assert library_gates(together) == []


def test_declared_sharing_is_no_news(study_data: Make) -> None:
    trial = {"citation": {"registrations": ["NCT01"]}}
    studies = [
        make(study_data, "doe2020", **trial),
        make(study_data, "roe2021", arms=({"shares_patients_with": ["doe2020/car"]},), **trial),
    ]
    assert library_gates(studies) == []


def test_references_to_other_studies(study_data: Make) -> None:
    quoted = count(13, 20) | {"reported_by": "doe2o20"}
    studies = [
        make(study_data, "doe2020"),
        Study(
            **study_data(
                quoted,
                id="roe2021",
                arms=({"shares_patients_with": ["doe2020/cat", "smith1999/car"]},),
            )
        ),
    ]
    assert [str(f) for f in library_gates(studies, files=["a.toml", "b.toml"])] == [
        (
            "b.toml: warning: findings[0].reported_by: 'doe2o20' is not among the studies; "
            "try: did you mean 'doe2020'?"
        ),
        (
            "b.toml: arms[0].shares_patients_with: 'cat' is no arm of 'doe2020'; allowed: car; "
            "try: did you mean 'car'?"
        ),
        (
            "b.toml: warning: arms[0].shares_patients_with: 'smith1999' is not among the studies; "
            "try: load the folder that holds it too"
        ),
    ]


def test_contradiction_bears_on_what_there_is(study_data: Make) -> None:
    entry = {"at": "Table 1", "printed": "9", "recorded": "8", "why": "a slip"}
    known = [entry | {"bears_on": ["severe_crs", "hsct", "scfv"]}, entry]
    assert study_gates(Study.from_mapping(study_data(discrepancies=known))) == []
    wrong = [entry, entry | {"bears_on": ["severe_crs", "sever_crs"]}]
    (fault,) = study_gates(Study.from_mapping(study_data(discrepancies=wrong)))
    assert str(fault) == (
        "discrepancies[1].bears_on[1]: 'sever_crs' is not known; "
        "allowed: an outcome, an exposure or a column of arms; try: did you mean 'severe_crs'?"
    )


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (3, "high", "'high' is text, but 3 in 'doe2020/car' is a number"),
        (True, 1, "1 is a number, but true in 'doe2020/car' is true or false"),
        (3, 3.5, None),
        ("high", "low", None),
    ],
)
def test_an_attribute_is_of_one_kind(
    first: object, second: object, message: str | None, study_data: Make
) -> None:
    studies = [
        make(study_data, "doe2020", arms=({"attributes": {"dose": first}},)),
        make(
            study_data,
            "roe2021",
            arms=({}, {"id": "b", "attributes": {"dose": second, "other": first}}),
        ),
    ]
    expected = (
        f"b.toml: arms[1].attributes.dose: {message}; "
        "allowed: one kind of value for an attribute of all studies; "
        "try: write both the same way, or give one of them another name"
    )
    found = [str(f) for f in library_gates(studies, files=["a.toml", "b.toml"])]
    assert found == ([expected] if message else [])
