"""Chen 2021 (Front Immunol 12:755549): the study file against the paper."""

from __future__ import annotations

import math

import pytest

from metacart.evidence.library import BUNDLED, Studies, load_studies
from metacart.evidence.selection import tabulate
from metacart.records.spec import ModelSpec
from metacart.records.study import Finding, Study
from metacart.records.value import grade_bands


@pytest.fixture(scope="module")
def studies() -> Studies:
    return load_studies(BUNDLED / "chen2021.toml")


@pytest.fixture(scope="module")
def study(studies: Studies) -> Study:
    return studies["chen2021"]


def findings(study: Study, arm: str, outcome: str, kind: str, **wanted: object) -> list[Finding]:
    return [
        finding
        for finding in study.findings
        if (finding.arm, finding.outcome, finding.kind) == (arm, outcome, kind)
        and finding.set_aside is None
        and all(getattr(finding, key) == value for key, value in wanted.items())
    ]


def one(study: Study, arm: str, outcome: str, kind: str, **wanted: object) -> Finding:
    (finding,) = findings(study, arm, outcome, kind, **wanted)
    return finding


def counts(study: Study, arm: str, outcome: str, **wanted: object) -> tuple[int, int]:
    count = one(study, arm, outcome, "count", **wanted).count
    assert count is not None
    return count.events, count.total


def log_log_interval(alive: int, total: int) -> tuple[float, float]:
    """Greenwood on the log-log scale, without censoring before the landmark."""
    share = alive / total
    location = math.log(-math.log(share))
    error = math.sqrt(share * (1 - share) / total) / (share * abs(math.log(share)))
    lower, upper = (math.exp(-math.exp(location + z * error)) for z in (1.959964, -1.959964))
    return lower, upper


# Results, Efficacies: 25/27 (92.6 %), 20 MRD-negative, one death before evaluation; second 3 of 7.
@pytest.mark.parametrize(
    ("arm", "outcome", "population", "expected"),
    [
        ("first", "complete_remission", "evaluable", (25, 27)),
        ("first", "complete_remission", "infused", (25, 28)),
        ("first", "mrd_negative_remission", "evaluable", (20, 27)),
        ("first", "mrd_negative_remission", "infused", (20, 28)),
        ("first", "mrd_negative_remission", "responders", (20, 25)),  # of the 25 in remission
        ("second", "complete_remission", "infused", (3, 7)),
        ("second", "mrd_negative_remission", "infused", (3, 7)),
        ("second", "relapse", "responders", (3, 3)),  # Survival Outcome; Figure 1B
        ("first", "hsct", "infused", (10, 28)),  # Abstract
        ("first", "hsct", "responders", (10, 25)),
        ("first", "relapse", "responders", (17, 25)),  # 3/10 + 14/15
        ("first", "neurotoxicity", "infused", (1, 28)),  # Results, CAR-T Cell Toxicities
        ("first", "severe_neurotoxicity", "infused", (1, 28)),  # seizure of any grade: Methods
        ("first", "severe_crs", "infused", (8, 28)),  # Results, CAR-T Cell Toxicities; Figure 2
        ("second", "severe_crs", "infused", (0, 7)),
        ("second", "neurotoxicity", "infused", (0, 7)),
        ("second", "severe_neurotoxicity", "infused", (0, 7)),
        ("cart_hsct", "non_relapse_death", "responders", (3, 10)),  # Abstract
        ("cart_hsct", "gvhd", "responders", (3, 10)),  # Abstract; Engraftment and GVHD
        ("cart_hsct", "relapse", "responders", (3, 10)),  # Survival Outcome
    ],
)
def test_counts(
    study: Study, arm: str, outcome: str, population: str, expected: tuple[int, int]
) -> None:
    assert counts(study, arm, outcome, population=population) == expected


def test_printed_share_of_mrd_negative_is_marked_as_a_misprint(study: Study) -> None:
    # Abstract: 20 (74.7 %); 20/27 is 74.1 %.
    finding = one(study, "first", "mrd_negative_remission", "count", population="evaluable")
    assert finding.count is not None
    assert finding.misprint is not None
    assert finding.count.printed == finding.misprint.printed == "74.7%"
    assert f"{20 / 27:.1%}" == "74.1%"


def test_crs_grades(study: Study) -> None:
    # Results: 27 of 28; Figure 2: 20 of grade 0-2, 8 of 3-5; Abstract: 7 of 3-4, one of 5.
    first = one(study, "first", "crs", "grades")
    assert first.grading == "unreported"
    assert grade_bands(first.grades or {}) == [(0, 0, 1), (1, 2, 19), (3, 4, 7), (5, 5, 1)]
    # Results: 7/7 after the second infusion, none of grade 3-5.
    second = one(study, "second", "crs", "grades")
    bands = grade_bands(second.grades or {})
    assert [band for band in bands if band[2]] == [(1, 2, 7)]
    assert sum(band[2] for band in bands) == 7


def test_gvhd_grades(study: Study) -> None:
    # Engraftment and GVHD: grade 1-2 in one, 3-4 in two of the 10.
    grades = one(study, "cart_hsct", "gvhd", "grades")
    assert grade_bands(grades.grades or {}) == [(0, 0, 7), (1, 2, 1), (3, 4, 2), (5, 5, 0)]
    assert counts(study, "cart_hsct", "gvhd") == (3, 10)
    of_gvhd = [finding.definition for finding in study.findings if finding.outcome == "gvhd"]
    assert len(of_gvhd) == 3
    assert all("after the transplant" in (definition or "") for definition in of_gvhd)


# CAR-T Cell Toxicities: onset of CRS; Engraftment and GVHD; Survival Outcome: second relapse.
@pytest.mark.parametrize(
    ("arm", "outcome", "expected"),
    [
        ("first", "crs", (6, 1, 20)),
        ("cart_hsct", "gvhd", (40, 26, 45)),
        ("second", "relapse", (92, 38, 120)),
    ],
)
def test_times_with_their_ranges(
    study: Study, arm: str, outcome: str, expected: tuple[int, int, int]
) -> None:
    quantile = one(study, arm, outcome, "quantile").quantile
    assert quantile is not None
    assert (quantile.estimate, quantile.lower, quantile.upper) == expected
    assert (quantile.probability, quantile.interval, quantile.unit) == (0.5, "range", "day")


def test_both_readings_of_severe_toxicity_are_kept(study: Study) -> None:
    aside = {
        finding.outcome: (finding.count.events, finding.count.total)
        for finding in study.findings
        if finding.arm == "first" and finding.set_aside and finding.count
    }
    assert aside["severe_crs"] == (7, 28)  # Abstract, Discussion: 25 %, grade 5 left out
    assert aside["severe_neurotoxicity"] == (0, 28)  # Abstract: no ICANS of grade 3 or higher


def test_second_infusion_is_the_same_product_in_the_same_patients(study: Study) -> None:
    arm = study.arm("second")
    assert (arm.infusion, arm.reason, arm.same_product) == ("retreatment", "relapse", True)
    assert arm.prior_scfv == arm.scfv == "humanized"
    assert arm.shares_patients_with == ("first",)
    assert arm.target == "CD19"


def test_no_patient_counts_twice(study: Study) -> None:
    alone = [arm.id for arm in study.arms if not arm.shares_patients_with and not arm.selected]
    assert alone == ["first"]
    # Abstract: 10, 7 and 11 of the 28.
    groups = [study.arm(name).patients for name in ("cart_hsct", "cart2", "cart1")]
    assert [group.infused for group in groups] == [10, 7, 11]
    for population in ("infused", "evaluable", "responders"):
        parts = [getattr(group, population) for group in groups]
        assert sum(parts) == getattr(study.arm("first").patients, population)


# Survival Outcome; Table 3 (CR patients, n = 25).
@pytest.mark.parametrize(
    ("outcome", "exposure", "expected", "p"),
    [
        ("overall_survival", "hsct", (0.250, 0.068, 0.915), "0.036"),
        ("relapse", "hsct", (0.139, 0.031, 0.619), "0.010"),
        ("overall_survival", "marrow_blasts", (6.055, 1.624, 18.933), "0.004"),
        ("relapse", "mrd_before", (7.905, 1.016, 61.505), "0.048"),
    ],
)
def test_hazard_ratios(
    study: Study, outcome: str, exposure: str, expected: tuple[float, float, float], p: str
) -> None:
    finding = one(study, "first", outcome, "ratio", exposure=exposure)
    assert finding.ratio is not None
    assert (finding.ratio.estimate, finding.ratio.lower, finding.ratio.upper) == expected
    assert finding.ratio.p == p
    assert finding.population == "responders"
    assert finding.ratio.adjusted_for
    middle = math.sqrt(finding.ratio.lower * finding.ratio.upper)
    # The limits are printed to 0.001, which is 1.6 % of the smallest of them.
    symmetric = abs(math.log(middle / finding.ratio.estimate)) < 0.016
    assert symmetric == (finding.misprint is None)


def test_no_single_correction_of_the_odd_ratio_gives_its_p(study: Study) -> None:
    # Survival Outcome: 6.055 (1.624-18.933), p = 0.004.
    ratio = one(study, "first", "overall_survival", "ratio", exposure="marrow_blasts").ratio
    assert ratio is not None
    estimate, lower, upper = (math.log(x) for x in (ratio.estimate, ratio.lower, ratio.upper))
    corrected = [  # estimate and standard error when the estimate, lower or upper limit is wrong
        ((lower + upper) / 2, (upper - lower) / (2 * 1.959964)),
        (estimate, (upper - estimate) / 1.959964),
        (estimate, (estimate - lower) / 1.959964),
    ]
    p = [round(math.erfc(middle / error / math.sqrt(2)), 3) for middle, error in corrected]
    assert p == [0.006, 0.002, 0.007]
    assert ratio.p is not None
    assert float(ratio.p) not in p


def test_ratios_of_transplant_say_that_their_reference_group_is_inferred(study: Study) -> None:
    # Table 3 was not seen; the 14/15 of the contrast is printed (Discussion).
    ratios = [f for f in study.findings if f.exposure == "hsct" and f.ratio]
    assert [f.outcome for f in ratios] == ["overall_survival", "relapse"]
    assert all("reference group is inferred" in (f.note or "") for f in ratios)


def test_every_comparison_with_transplant_is_time_fixed(study: Study) -> None:
    compared = [finding for finding in study.findings if finding.exposure == "hsct"]
    assert {finding.time_handling for finding in compared} == {"time-fixed"}
    assert {finding.outcome for finding in compared} == {"overall_survival", "relapse"}


def test_relapse_with_and_without_transplant(study: Study) -> None:
    # Survival Outcome: three relapses after transplant; Discussion: 14/15 without.
    contrast = one(study, "first", "relapse", "contrast").contrast
    assert contrast is not None
    assert (contrast.exposed.events, contrast.exposed.total) == (3, 10)
    assert (contrast.unexposed.events, contrast.unexposed.total) == (14, 15)


# Survival Outcome, 1 year: estimate, lower and upper in per cent.
@pytest.mark.parametrize(
    ("arm", "outcome", "expected"),
    [
        ("cart_hsct", "overall_survival", (70.0, 33.0, 90.2)),
        ("cart2", "overall_survival", (57.1, 17.0, 85.1)),
        ("cart1", "overall_survival", (36.4, 11.2, 62.4)),
        ("cart_hsct", "relapse", (80.0, 40.9, 94.6)),
        ("cart2", "relapse", (28.6, 4.1, 61.1)),
        ("cart1", "relapse", (33.3, 4.6, 67.6)),
    ],
)
def test_one_year_landmarks(
    study: Study, arm: str, outcome: str, expected: tuple[float, float, float]
) -> None:
    finding = one(study, arm, outcome, "survival", timepoint="month 12")
    curve = finding.survival
    assert curve is not None
    assert curve.estimate
    assert curve.lower
    assert curve.upper
    printed = tuple(round(100 * value, 1) for value in (curve.estimate, curve.lower, curve.upper))
    assert printed == expected
    assert (finding.printed_as == "LFS") == (outcome == "relapse")


# Survival Outcome, 3 years; Discussion.
@pytest.mark.parametrize(
    ("arm", "outcome", "expected"),
    [
        ("cart_hsct", "overall_survival", 0.583),
        ("cart2", "overall_survival", 0.0),
        ("cart1", "overall_survival", 0.0),
        ("cart_hsct", "relapse", 0.667),
        ("cart2", "relapse", 0.0),
        ("cart1", "relapse", 0.0),
    ],
)
def test_three_year_landmarks(study: Study, arm: str, outcome: str, expected: float) -> None:
    finding = one(study, arm, outcome, "survival", timepoint="month 36")
    assert finding.survival is not None
    assert finding.survival.estimate == expected


# Abstract: medians in days; the transplanted reach none.
@pytest.mark.parametrize(
    ("arm", "outcome", "expected"),
    [
        ("cart_hsct", "overall_survival", None),
        ("cart2", "overall_survival", 482),
        ("cart1", "overall_survival", 236),
        ("cart_hsct", "relapse", None),
        ("cart2", "relapse", 189),
        ("cart1", "relapse", 35),
        ("second", "relapse", 92),  # Survival Outcome, time to second relapse
        ("cart_hsct", "hsct", 63),  # Survival Outcome, from first infusion to transplant
    ],
)
def test_medians(study: Study, arm: str, outcome: str, expected: int | None) -> None:
    quantile = one(study, arm, outcome, "quantile").quantile
    assert quantile is not None
    assert (quantile.probability, quantile.unit) == (0.5, "day")
    assert quantile.estimate == expected
    assert quantile.reached == (expected is not None)


@pytest.mark.parametrize(
    ("arm", "at_risk", "deaths"), [("cart_hsct", 10, 3), ("cart2", 7, 3), ("cart1", 11, 7)]
)
def test_deaths_within_a_year_are_what_the_curve_says(
    study: Study, arm: str, at_risk: int, deaths: int
) -> None:
    assert counts(study, arm, "death", timepoint="month 12") == (deaths, at_risk)
    curve = one(study, arm, "overall_survival", "survival", timepoint="month 12").survival
    assert curve is not None
    assert curve.estimate == pytest.approx(1 - deaths / at_risk, abs=0.0005)


def test_printed_lfs_of_the_transplanted_counts_relapse_alone(study: Study) -> None:
    curve = one(study, "cart_hsct", "relapse", "survival", timepoint="month 12").survival
    assert curve is not None
    # Two relapses within a year (30 and 44 days after transplant) and no deaths give the interval.
    assert log_log_interval(8, 10) == pytest.approx((curve.lower, curve.upper), abs=0.0005)
    overall = one(study, "cart_hsct", "overall_survival", "survival", timepoint="month 12").survival
    assert overall is not None
    assert overall.estimate is not None
    assert curve.estimate is not None
    assert curve.estimate > overall.estimate
    assert not [f for f in study.findings if f.outcome == "event_free_survival"]


def test_seven_relapses_of_cart1_fit_no_median_of_149(study: Study) -> None:
    # Discussion: 14 of 15 without transplant relapsed, the seven of CART2 among them.
    relapses, total = 14 - 7, study.arm("cart1").patients.responders
    assert total == 8
    for relapsed_before in range(relapses + 1):  # the eighth patient is censored after so many
        share, reached = 1.0, []
        for n in range(1, relapses + 1):
            share *= 1 - 1 / (total - (n - 1) - (n > relapsed_before))
            reached += [n] if share <= 0.5 else []
        assert reached[0] == 4  # the median of the seven times too
    (entry,) = (d for d in study.discrepancies if d.printed.startswith("CART1: median LFS"))
    assert "Seven do not" in entry.why
    # Six relapses do: median of the curve 35, of the times 149, and 2 of 6 beyond a year.
    days = (30, 33, 35, 263, 400, 449)
    of_the_curve = one(study, "cart1", "relapse", "quantile").quantile
    assert of_the_curve is not None
    assert of_the_curve.estimate == days[2]
    aside = [f.quantile for f in study.findings if f.arm == "cart1" and f.set_aside and f.quantile]
    assert [quantile.estimate for quantile in aside] == [(days[2] + days[3]) / 2]
    curve = one(study, "cart1", "relapse", "survival", timepoint="month 12").survival
    assert curve is not None
    assert curve.estimate == round(sum(day > 365 for day in days) / len(days), 3)
    assert log_log_interval(2, 6) == pytest.approx((curve.lower, curve.upper), abs=0.0005)


def test_survival_of_cart2_names_its_inferred_origin(study: Study) -> None:
    # Methods: from infusion, without saying which.
    survival = [f for f in study.findings if (f.arm, f.outcome) == ("cart2", "overall_survival")]
    assert len(survival) == 3
    assert all("inferred" in (f.definition or "") for f in survival)


def test_follow_up_is_an_interval(study: Study) -> None:
    # Survival Outcome: 1,240 days (95 % CI 709 to 1,770), called a range in the Abstract.
    follow_up = study.conduct.follow_up
    assert follow_up is not None
    assert (follow_up.median, follow_up.lower, follow_up.upper) == (1240, 709, 1770)
    assert (follow_up.unit, follow_up.interval) == ("day", "ci")


def test_identity(study: Study) -> None:
    assert study.label == "Chen 2021"
    assert study.citation.doi == "10.3389/fimmu.2021.755549"
    assert study.citation.registrations == ("NCT02782351",)
    assert len(study.citation.authors) == 19


def test_only_the_misprints_disagree(studies: Studies) -> None:
    # Abstract: 74.7 %; Discussion: 2.6 %; Survival Outcome: 6.055 (1.624-18.933).
    assert len(studies.warnings) == 3
    assert all("excused" in warning.found for warning in studies.warnings)


@pytest.mark.parametrize(
    ("outcome", "infusion", "expected"),
    [
        ("complete_remission", "first", ("first", 25, 28)),
        ("crs", "first", ("first", 27, 28)),
        ("severe_crs", "first", ("first", 8, 28)),
        ("complete_remission", "retreatment", ("second", 3, 7)),
        ("severe_crs", "retreatment", ("second", 0, 7)),
    ],
)
def test_a_question_takes_each_patient_once(
    studies: Studies, outcome: str, infusion: str, expected: tuple[str, int, int]
) -> None:
    spec = ModelSpec(outcome=outcome, likelihood="binomial", include={"infusion": (infusion,)})
    table = tabulate(studies, spec)
    assert [tuple(row) for row in table[["arm", "events", "total"]].to_numpy()] == [expected]
    if infusion == "first":  # the second infusions are of the same patients
        both = tabulate(studies, ModelSpec(outcome=outcome, likelihood="binomial"))
        assert list(both["arm"]) == ["first"]
