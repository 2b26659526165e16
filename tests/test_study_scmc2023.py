"""The numbers of the five-patient CD19 and CD22 study (ChiCTR2000032211), each with its place."""

from __future__ import annotations

import pytest

from metacart.evidence.library import BUNDLED, check_studies, load_studies
from metacart.records.study import Finding, Study

FILE = BUNDLED / "scmc2023.toml"
LAST = "last follow-up"
COUNTS = [
    # Abstract; Results, CAR-T cell response characteristics after CART2
    ("cart2", "complete_remission", "infused", "best", 5, 5),
    ("cart2", "mrd_negative_remission", "infused", "best", 5, 5),
    # Results, CRS and neurologic toxicity after CART2
    ("cart2", "severe_crs", "infused", None, 0, 5),
    ("cart2", "tocilizumab", "infused", None, 2, 5),
    ("cart2", "corticosteroids", "infused", None, 0, 5),
    # Abstract; Fig. 1B; Discussion
    ("cart2", "hsct", "responders", LAST, 3, 5),
    ("cart2", "hsct", "infused", LAST, 3, 5),
    ("cart2", "relapse", "responders", LAST, 1, 5),
    ("cart2", "cd19_negative_relapse", "responders", LAST, 0, 5),
    ("cart2", "death", "infused", LAST, 1, 5),
    # Results, Patient baseline and CART1 therapy characteristics
    ("cart1", "complete_remission", "infused", "best", 5, 5),
    ("cart1", "relapse", "responders", None, 5, 5),
    ("cart1", "cd19_negative_relapse", "responders", None, 0, 5),
]


@pytest.fixture(scope="module")
def study() -> Study:
    return load_studies(FILE)["scmc2023"]


def _one(study: Study, **wanted: object) -> Finding:
    (found,) = (f for f in study.findings if all(getattr(f, key) == wanted[key] for key in wanted))
    return found


def test_no_gate_objects() -> None:
    assert check_studies(FILE) == []


def test_every_count_agrees_with_the_paper(study: Study) -> None:
    found = [
        (f.arm, f.outcome, f.population, f.timepoint, f.count.events, f.count.total)
        for f in study.findings
        if f.count is not None
    ]
    assert sorted(found, key=str) == sorted(COUNTS, key=str)


def test_grades_are_those_of_the_text(study: Study) -> None:
    # Results, CRS and neurologic toxicity after CART2: grade 1 in three, grade 2 in two; none.
    crs = _one(study, outcome="crs")
    assert (crs.grading, crs.grades) == (
        "ASTCT",
        {"0": 0, "1": 3, "2": 2, "3": 0, "4": 0, "5": 0},
    )
    neurotoxicity = _one(study, outcome="neurotoxicity")
    assert (neurotoxicity.grading, neurotoxicity.grades) == (
        "CTCAE",
        {"0": 5, "1": 0, "2": 0, "3": 0, "4": 0, "5": 0},
    )


def test_survival_at_6_and_12_months(study: Study) -> None:
    # Results, CAR-T cell response characteristics after CART2; Abstract
    found = {
        (f.outcome, f.survival.time): (f.survival.estimate, f.set_aside is None)
        for f in study.findings
        if f.survival is not None
    }
    assert found == {
        ("overall_survival", 6.0): (1.0, False),
        ("overall_survival", 12.0): (1.0, True),
        ("event_free_survival", 6.0): (1.0, False),
        ("event_free_survival", 12.0): (0.8, True),
    }


def test_event_free_survival_has_one_event_among_all_five(study: Study) -> None:
    # Efficacy evaluation calls transplant an event and also a censoring; 80% allows neither before
    # the relapse of month 9 (Results, CAR-T cell response characteristics after CART2).
    survival = _one(study, outcome="event_free_survival", timepoint="month 12").survival
    relapse = _one(study, arm="cart2", outcome="relapse", exposure=None).count
    assert survival is not None
    assert relapse is not None
    assert survival.estimate == 1 - relapse.events / relapse.total


@pytest.mark.parametrize(
    ("arm", "outcome", "median", "lower", "upper"),
    [
        # Results, Expansion and persistence of CAR-T cells after CART2
        ("cart2", "b_cell_aplasia", 11.57, 8.53, 17.5),
        ("cart1", "b_cell_aplasia", 6.03, 3.17, 9.77),
        # Results, Disease status and treatment characteristics at CART2
        ("cart1", "relapse", 11.87, 4.07, 32.87),
    ],
)
def test_medians_with_their_ranges(
    study: Study, arm: str, outcome: str, median: float, lower: float, upper: float
) -> None:
    (quantile,) = (
        f.quantile
        for f in study.findings
        if (f.arm, f.outcome) == (arm, outcome) and f.quantile is not None
    )
    assert (quantile.estimate, quantile.lower, quantile.upper) == (median, lower, upper)
    assert (quantile.probability, quantile.interval, quantile.unit) == (0.5, "range", "month")


@pytest.mark.parametrize("outcome", ["relapse", "death"])
def test_transplant_comparisons(study: Study, outcome: str) -> None:
    # Fig. 1B; Discussion: 0 of 3 transplanted, 1 of 2 others; the other one was lost to follow-up.
    finding = _one(study, outcome=outcome, exposure="hsct")
    assert finding.contrast is not None
    groups = (finding.contrast.exposed, finding.contrast.unexposed)
    assert [(g.events, g.total) for g in groups] == [(0, 3), (1, 2)]
    assert finding.time_handling == "time-fixed"


def test_both_targets_and_an_inferred_murine_scfv(study: Study) -> None:
    arm = study.arm("cart2")
    # Methods, Generation of CAR-T cells: anti-mouse detection; the species is never stated.
    assert (arm.scfv, arm.scfv_certainty) == ("murine", "inferred")
    assert arm.scfv_evidence is not None
    assert (arm.targets, arm.target, arm.same_product) == (("CD19", "CD22"), "dual", False)
    assert (arm.infusion, arm.reason, arm.costimulation) == ("retreatment", "relapse", "4-1BB")
    assert arm.age is not None
    assert (arm.age.median, arm.age.lower, arm.age.upper) == (8.36, 6.96, 15.1)


def test_the_first_infusions_are_selected_and_shared(study: Study) -> None:
    arm = study.arm("cart1")
    assert (arm.infusion, arm.scfv) == ("first", "unreported")
    assert arm.shares_patients_with == ("cart2",)
    assert arm.selected is not None


def test_the_registration_identifies_the_paper(study: Study) -> None:
    # Abstract; no title, authors or DOI stand in the text.
    assert study.citation.registrations == ("ChiCTR2000032211",)
    assert study.citation.doi is None
    assert study.conduct.registered == "retrospectively"
