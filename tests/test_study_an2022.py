"""The numbers of An 2022 (BMC Cancer 22:393), each with its place in the paper."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import fisher_exact

from metacart.evidence.library import BUNDLED, check_studies, load_studies
from metacart.records.study import Finding, Study

FILE = BUNDLED / "an2022.toml"
LAST = "last follow-up"
COUNTS = [
    # Results, Treatment response; Table 2
    ("hcd19", "complete_remission", "infused", "day 30", 13, 19),
    # Results, Treatment response: 10 negative, 3 of the 13 not assessable
    ("hcd19", "mrd_negative_remission", "infused", "day 30", 10, 19),
    ("hcd19", "mrd_negative_remission", "responders", "day 30", 10, 13),
    # Abstract; Results, expansion and toxicity: one of grade 4
    ("hcd19", "severe_crs", "infused", None, 1, 19),
    # Results, Follow-up: no GVHD in the 10 with a transplant before
    ("hcd19", "gvhd", "infused", None, 0, 10),
    # Results, Follow-up; Table 2: 11 in remission, 3 as salvage
    ("hcd19", "hsct", "responders", LAST, 11, 13),
    ("hcd19", "hsct", "infused", LAST, 14, 19),
    # Table 2: 1 of 11 and 2 of 2 relapsed
    ("hcd19", "relapse", "responders", LAST, 3, 13),
    # Table 2: 1, 1, 1 and 3 died, the first two of them responders
    ("hcd19", "death", "infused", LAST, 6, 19),
    ("hcd19", "death", "responders", LAST, 2, 13),
    # Results, expansion and toxicity: no treatment-related death; Follow-up: all after relapse
    ("hcd19", "non_relapse_death", "infused", LAST, 0, 19),
    ("hcd19", "non_relapse_death", "responders", LAST, 0, 13),
    # Results, Follow-up: the transplanted responders
    ("hcd19_hsct", "relapse", "responders", LAST, 1, 11),
    ("hcd19_hsct", "death", "responders", LAST, 1, 11),
    ("hcd19_hsct", "non_relapse_death", "responders", LAST, 0, 11),
    # Results, Patient characteristics: before the trial
    ("mcd19_first", "relapse", "infused", None, 16, 19),
    ("mcd19_second", "complete_remission", "infused", "best", 1, 3),
]
SET_ASIDE = [
    # Results, Treatment response: of those with an MRD result
    ("hcd19", "mrd_negative_remission", "responders", "day 30", 10, 10),
    # Abstract; Table 2 gives it by grade
    ("hcd19", "crs", "infused", None, 18, 19),
    # Results, Follow-up: CD19 known in two relapses
    ("hcd19", "cd19_negative_relapse", "responders", LAST, 0, 2),
]
CONTRASTS = [
    # Results, Treatment response
    ("complete_remission", "prior_hsct", (4, 10), (9, 9), "0.0108"),
    ("complete_remission", "prior_cd22_car", (7, 11), (6, 8), "1.0"),
    ("complete_remission", "interval", (8, 10), (5, 9), "0.3498"),
    ("complete_remission", "other", (10, 16), (3, 3), None),
    # Table 2, Follow-up
    ("relapse", "hsct", (1, 11), (2, 2), None),
    ("death", "hsct", (1, 11), (1, 2), None),
    ("non_relapse_death", "hsct", (0, 11), (0, 2), None),
    ("relapse", "other", (1, 11), (2, 3), None),
    ("death", "other", (1, 3), (3, 3), None),
]


@pytest.fixture(scope="module")
def study() -> Study:
    return load_studies(FILE)["an2022"]


def _counts(study: Study, *, set_aside: bool) -> list[tuple[object, ...]]:
    return [
        (f.arm, f.outcome, f.population, f.timepoint, f.count.events, f.count.total)
        for f in study.findings
        if f.count is not None and (f.set_aside is not None) is set_aside
    ]


def _one(study: Study, **wanted: object) -> Finding:
    (found,) = (f for f in study.findings if all(getattr(f, key) == wanted[key] for key in wanted))
    return found


def test_no_gate_objects() -> None:
    assert check_studies(FILE) == []


def test_every_count_agrees_with_the_paper(study: Study) -> None:
    assert sorted(_counts(study, set_aside=False), key=str) == sorted(COUNTS, key=str)


def test_alternatives_are_kept_but_set_aside(study: Study) -> None:
    assert sorted(_counts(study, set_aside=True), key=str) == sorted(SET_ASIDE, key=str)


def test_no_arm_has_two_counts_for_one_question(study: Study) -> None:
    used = [row[:4] for row in _counts(study, set_aside=False)]
    assert len(set(used)) == len(used)


def test_every_comparison_agrees_with_the_paper(study: Study) -> None:
    found = [
        (
            f.outcome,
            f.exposure,
            (f.contrast.exposed.events, f.contrast.exposed.total),
            (f.contrast.unexposed.events, f.contrast.unexposed.total),
            f.contrast.p,
        )
        for f in study.findings
        if f.contrast is not None
    ]
    assert sorted(found, key=str) == sorted(CONTRASTS, key=str)


@pytest.mark.parametrize(
    ("exposure", "printed"), [("prior_hsct", 0.0108), ("prior_cd22_car", 1.0), ("interval", 0.3498)]
)
def test_printed_p_values_follow_from_the_counts(
    study: Study, exposure: str, printed: float
) -> None:
    # Methods, Statistics: Fisher's exact test. A wrong cell would show here.
    contrast = _one(study, exposure=exposure).contrast
    assert contrast is not None
    groups = (contrast.exposed, contrast.unexposed)
    p = fisher_exact([[g.events, g.total - g.events] for g in groups]).pvalue
    assert round(p, 4) == printed
    assert contrast.p is not None
    assert float(contrast.p) == printed


@pytest.mark.parametrize("exposure", ["prior_hsct", "prior_cd22_car", "interval", "other"])
def test_subgroups_of_response_partition_the_infused(study: Study, exposure: str) -> None:
    contrast = _one(study, outcome="complete_remission", exposure=exposure).contrast
    assert contrast is not None
    assert contrast.exposed.events + contrast.unexposed.events == 13
    assert contrast.exposed.total + contrast.unexposed.total == 19


def test_grades_are_those_of_table_2(study: Study) -> None:
    crs = _one(study, arm="hcd19", outcome="crs", set_aside=None)
    assert crs.grades == {"0": 1, "1": 15, "2": 2, "3": 0, "4": 1, "5": 0}
    neurotoxicity = _one(study, arm="hcd19", outcome="neurotoxicity")
    assert neurotoxicity.grades == {"0": 17, "1": 2, "2": 0, "3": 0, "4": 0, "5": 0}
    # Methods, Assessments
    assert crs.grading == neurotoxicity.grading == "ASTCT"


@pytest.mark.parametrize(
    ("arm", "deaths_or_relapses", "at_risk"),
    [
        # Follow-up: 1 of the 11 transplanted relapsed, before anyone was censored
        ("hcd19_hsct", [1], [11]),
        # Follow-up: then relapses at 9 and 9.9 months, with 8 and 7 at risk
        ("hcd19", [1, 1, 1], [13, 8, 7]),
    ],
)
def test_event_free_survival_is_the_kaplan_meier_estimate_of_the_events(
    study: Study, arm: str, deaths_or_relapses: list[int], at_risk: list[int]
) -> None:
    # Results, Follow-up: 91% (50.8 to 98.7) and 69% (30.6 to 89.2), log-log intervals.
    d, n = np.array(deaths_or_relapses), np.array(at_risk)
    estimate = np.prod(1 - d / n)
    error = np.sqrt(np.sum(d / (n * (n - d)))) / abs(np.log(estimate))
    lower, upper = estimate ** np.exp([1.959964 * error, -1.959964 * error])
    survival = _one(study, arm=arm, outcome="event_free_survival", timepoint="month 12").survival
    assert survival is not None
    assert (survival.time, survival.unit, survival.level) == (12, "month", 0.95)
    assert survival.estimate == round(estimate, 2)
    assert survival.lower == round(lower, 3)
    assert survival.upper == round(upper, 3)


@pytest.mark.parametrize("arm", ["hcd19", "hcd19_hsct"])
def test_the_plateau_is_one_datum(study: Study, arm: str) -> None:
    # Results, Follow-up: one value at both 12 and 18 months.
    first = _one(study, arm=arm, outcome="event_free_survival", timepoint="month 12")
    second = _one(study, arm=arm, outcome="event_free_survival", timepoint="month 18")
    assert first.survival is not None
    assert second.survival == first.survival.model_copy(update={"time": 18.0})
    assert first.set_aside is None
    assert second.set_aside is not None


def test_the_product_is_human_after_murine_and_not_the_same(study: Study) -> None:
    # Methods: a human antibody phage display library; all had murine CD19 CAR-T before.
    arm = study.arm("hcd19")
    assert (arm.scfv, arm.scfv_certainty, arm.prior_scfv) == ("human", "stated", "murine")
    assert (arm.infusion, arm.reason, arm.same_product) == ("retreatment", "mixed", False)
    assert (arm.target, arm.costimulation) == ("CD19", "4-1BB")
    patients = arm.patients
    assert (patients.enrolled, patients.infused, patients.responders) == (21, 19, 13)
    assert arm.prior_hsct is not None
    assert (arm.prior_hsct.events, arm.prior_hsct.total) == (10, 19)  # Table 1
    assert arm.age is not None
    assert (arm.age.median, arm.age.lower, arm.age.upper) == (20, 4, 49)  # Table 1


def test_labels_name_the_binder_and_not_the_antigen(study: Study) -> None:
    # "human CD19" would read as the antigen.
    for arm in study.arms:
        assert f"{arm.scfv}-scFv CD19" in (arm.label or "")


def test_no_patient_of_the_trial_can_count_twice(study: Study) -> None:
    for arm in study.arms:
        secondary = arm.id != "hcd19"
        assert (arm.shares_patients_with == ("hcd19",)) is secondary
        assert (arm.selected is not None) is secondary
    second = study.arm("mcd19_second")
    assert (second.scfv, second.same_product) == ("murine", None)


def test_transplant_comparisons_own_up_to_guarantee_time(study: Study) -> None:
    # Results, Follow-up: transplant 1.3-5.9 months after time zero, no landmark.
    transplant = [f for f in study.findings if f.exposure == "hsct"]
    assert {f.time_handling for f in transplant} == {"time-fixed"}
    assert {f.population for f in transplant} == {"responders"}
