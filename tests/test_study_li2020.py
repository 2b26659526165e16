"""Li 2020 (Cell Death Dis 11:207): the study file against the paper."""

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
    return load_studies(BUNDLED / "li2020.toml")


@pytest.fixture(scope="module")
def study(studies: Studies) -> Study:
    return studies["li2020"]


def one(study: Study, arm: str, outcome: str, kind: str, **wanted: object) -> Finding:
    (finding,) = [
        finding
        for finding in study.findings
        if (finding.arm, finding.outcome, finding.kind) == (arm, outcome, kind)
        and finding.set_aside is None
        and all(getattr(finding, key) == value for key, value in wanted.items())
    ]
    return finding


def odds_ratio(exposed: tuple[int, int], unexposed: tuple[int, int]) -> tuple[float, ...]:
    """Woolf's odds ratio with its 95 % limits, as logistic regression on one factor gives them."""
    (a, n), (c, m) = exposed, unexposed
    ratio = a * (m - c) / ((n - a) * c)
    error = 1.959964 * math.sqrt(1 / a + 1 / (n - a) + 1 / c + 1 / (m - c))
    return tuple(round(ratio * math.exp(shift), 3) for shift in (0, -error, error))


@pytest.mark.parametrize(
    ("arm", "outcome", "population", "expected"),
    [
        ("all", "complete_remission", "infused", (36, 39)),  # Results, Treatment response
        ("all", "mrd_negative_remission", "infused", (30, 39)),  # 76.9 %
        ("all", "mrd_negative_remission", "responders", (30, 36)),  # 30 and 6 with MRD
        ("cd19", "complete_remission", "infused", (24, 25)),  # Table 2
        ("cd19_cd22", "complete_remission", "infused", (12, 14)),  # Table 2
        ("all", "severe_crs", "infused", (15, 39)),  # 38.5 %; Table 6
        ("all", "neurotoxicity", "infused", (11, 39)),  # Table 6
        ("all", "icu_admission", "infused", (4, 39)),  # Table 6
        ("all", "infection", "infused", (15, 39)),  # Table 6
        ("all", "tocilizumab", "infused", (15, 39)),  # Table 6
        ("all", "corticosteroids", "infused", (12, 39)),  # Table 6
        ("all", "hsct", "infused", (17, 39)),  # Results, Treatment response: 43.6 %
        ("all", "hsct", "responders", (17, 36)),  # Methods, Subsequent therapy
        ("hsct", "relapse", "responders", (0, 17)),  # Methods, Subsequent therapy
        ("hsct", "gvhd", "responders", (11, 17)),  # Table 8
        ("hsct", "infection", "responders", (15, 17)),  # Table 8
    ],
)
def test_counts(
    study: Study, arm: str, outcome: str, population: str, expected: tuple[int, int]
) -> None:
    count = one(study, arm, outcome, "count", population=population).count
    assert count is not None
    assert (count.events, count.total) == expected


def test_every_printed_percentage_agrees_with_its_count(study: Study) -> None:
    counts = [finding.count for finding in study.findings if finding.count]
    for contrast in (finding.contrast for finding in study.findings if finding.contrast):
        counts += [contrast.exposed, contrast.unexposed]
    printed = [count for count in counts if count.printed]
    assert len(printed) >= 40
    for count in printed:
        assert count.printed == f"{count.events / count.total:.1%}"


def test_grades(study: Study) -> None:
    # Table 6: CRS 38 of 39, grades I to V.
    crs = one(study, "all", "crs", "grades")
    assert [patients for _, _, patients in grade_bands(crs.grades or {})] == [1, 20, 3, 6, 8, 1]
    assert crs.grading == "unreported"
    # Table 6: haematologic toxicity, grades I to IV.
    cytopenia = one(study, "all", "cytopenia", "grades")
    assert [patients for _, _, patients in grade_bands(cytopenia.grades or {})] == [
        0, 2, 3, 7, 27, 0,
    ]  # fmt: skip
    assert cytopenia.grading == "CTCAE"
    # Table 8: GVHD of grades I, II and IV in 11 of 17, by the NIH consensus (Methods, Follow-up).
    gvhd = one(study, "hsct", "gvhd", "grades")
    assert [patients for _, _, patients in grade_bands(gvhd.grades or {})] == [6, 2, 5, 0, 4, 0]
    assert "NIH" in gvhd.at


def test_severe_neurotoxicity_is_missing_and_not_zero(study: Study) -> None:
    # Table 6 prints no grade.
    assert not [f for f in study.findings if f.outcome == "severe_neurotoxicity"]


def test_severe_crs_by_target_gives_the_printed_odds_ratio(study: Study) -> None:
    # Table 7, CAR-T cells: 0.833 (0.215-3.230); 15 of 39 in all.
    both, alone = (one(study, arm, "severe_crs", "count").count for arm in ("cd19_cd22", "cd19"))
    assert both is not None
    assert alone is not None
    assert both.events + alone.events == 15
    assert both.total + alone.total == 39
    counts = (both.events, both.total), (alone.events, alone.total)
    assert odds_ratio(*counts) == (0.833, 0.215, 3.230)


def test_no_patient_counts_twice(study: Study) -> None:
    alone = [arm.id for arm in study.arms if not arm.shares_patients_with and not arm.selected]
    assert alone == ["all"]
    assert study.arm("hsct").selected
    for population in ("infused", "evaluable", "responders"):
        parts = [getattr(study.arm(arm).patients, population) for arm in ("cd19", "cd19_cd22")]
        assert sum(parts) == getattr(study.arm("all").patients, population)


# Results, Survival profiles; Figure 2.
@pytest.mark.parametrize(
    ("outcome", "median", "half_year", "year"),
    [
        ("event_free_survival", (11.6, 4.0, 19.2), 0.585, 0.448),
        ("overall_survival", (14.0, 10.9, 17.1), 0.811, 0.548),
    ],
)
def test_survival(
    study: Study,
    outcome: str,
    median: tuple[float, float, float],
    half_year: float,
    year: float,
) -> None:
    quantile = one(study, "all", outcome, "quantile").quantile
    assert quantile is not None
    assert (quantile.estimate, quantile.lower, quantile.upper) == median
    assert (quantile.probability, quantile.unit) == (0.5, "month")
    for timepoint, estimate in (("month 6", half_year), ("month 12", year)):
        curve = one(study, "all", outcome, "survival", timepoint=timepoint).survival
        assert curve is not None
        assert curve.estimate == estimate


# Tables 4 and 5: transplant, in the order univariate, multivariate.
@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (
            "event_free_survival",
            [
                (0.229, 0.084, 0.623, "0.004", ()),
                (0.247, 0.088, 0.695, "0.008", ("marrow blasts",)),
            ],
        ),
        ("overall_survival", [(0.279, 0.101, 0.769, "0.014", ())]),
    ],
)
def test_transplant(
    study: Study, outcome: str, expected: list[tuple[float, float, float, str, tuple[str, ...]]]
) -> None:
    used = [
        finding
        for finding in study.findings
        if (finding.outcome, finding.exposure, finding.set_aside) == (outcome, "hsct", None)
    ]
    ratios = [finding.ratio for finding in used if finding.ratio]
    assert [(r.estimate, r.lower, r.upper, r.p, r.adjusted_for) for r in ratios] == expected
    assert {finding.time_handling for finding in used} == {"time-fixed"}


def test_transplant_ratios_name_who_was_not_transplanted(study: Study) -> None:
    # Methods, Subsequent therapy: 19 in remission, 8 of them re-infused, and 3 without.
    used = [f for f in study.findings if f.exposure == "hsct" and f.set_aside is None]
    assert len(used) == 3
    for finding in used:
        assert "3 never in remission" in (finding.note or "")
        assert "8 re-infused" in (finding.note or "")


def test_multivariate_overall_survival_is_the_univariate_ratio(study: Study) -> None:
    # Table 5: one term in the multivariate model.
    both = [
        finding
        for finding in study.findings
        if finding.outcome == "overall_survival" and finding.exposure == "hsct"
    ]
    assert [finding.set_aside is None for finding in both] == [True, False]
    assert both[0].ratio == both[1].ratio


# Tables 4 and 5, univariate unless adjusted.
@pytest.mark.parametrize(
    ("outcome", "exposure", "adjusted", "expected"),
    [
        ("event_free_survival", "marrow_blasts", False, (3.768, 1.521, 9.334)),
        ("event_free_survival", "marrow_blasts", True, (3.259, 1.283, 8.282)),
        ("event_free_survival", "lymphodepletion", False, (3.492, 1.437, 8.484)),
        ("event_free_survival", "mrd_after", False, (0.456, 0.182, 1.144)),
        ("event_free_survival", "target", False, (2.142, 0.823, 5.574)),
        ("overall_survival", "marrow_blasts", False, (2.557, 0.945, 6.921)),
        ("overall_survival", "lymphodepletion", False, (2.574, 1.005, 6.598)),
        ("overall_survival", "mrd_after", False, (0.411, 0.152, 1.111)),
        ("overall_survival", "target", False, (1.925, 0.611, 6.059)),
        ("severe_crs", "white_cells", False, (0.300, 0.077, 1.163)),  # Table 7
        ("severe_crs", "white_cells", True, (0.169, 0.029, 0.978)),  # Table 7
    ],
)
def test_other_ratios(
    study: Study,
    outcome: str,
    exposure: str,
    adjusted: bool,
    expected: tuple[float, float, float],
) -> None:
    (ratio,) = [
        finding.ratio
        for finding in study.findings
        if finding.ratio
        and (finding.outcome, finding.exposure) == (outcome, exposure)
        and bool(finding.ratio.adjusted_for) == adjusted
    ]
    assert (ratio.estimate, ratio.lower, ratio.upper) == expected


def test_all_ratios_of_tables_4_and_5_are_there(study: Study) -> None:
    for outcome, multivariate in (("event_free_survival", 2), ("overall_survival", 1)):
        ratios = [f for f in study.findings if f.outcome == outcome and f.ratio]
        assert len(ratios) == 16 + multivariate


def test_every_ratio_is_symmetric_and_has_its_p(study: Study) -> None:
    ratios = [finding.ratio for finding in study.findings if finding.ratio]
    for ratio in ratios:
        # Each figure is printed to 0.001.
        middles = [
            math.sqrt((ratio.lower + half) * (ratio.upper + half)) for half in (-0.0005, 0.0005)
        ]
        assert middles[0] - 0.0005 <= ratio.estimate <= middles[1] + 0.0005
        z = abs(math.log(ratio.estimate)) / (math.log(ratio.upper / ratio.lower) / (2 * 1.959964))
        assert ratio.p is not None
        assert float(ratio.p) == pytest.approx(math.erfc(z / math.sqrt(2)), abs=0.0025)


def test_odds_ratios_of_table_3_follow_from_the_counts_of_table_2(study: Study) -> None:
    contrasts = {
        finding.comparison: finding.contrast for finding in study.findings if finding.contrast
    }
    printed = [
        finding
        for finding in study.findings
        if finding.outcome == "complete_remission" and finding.ratio
    ]
    assert (len(contrasts), len(printed)) == (14, 10)
    for finding in printed:
        contrast, ratio = contrasts[finding.comparison], finding.ratio
        assert contrast is not None
        assert ratio is not None
        groups = [(g.events, g.total) for g in (contrast.exposed, contrast.unexposed)]
        assert odds_ratio(*groups) == (ratio.estimate, ratio.lower, ratio.upper)
        # One comparison in two forms: neither adds patients to the other.
        assert (finding.arm, finding.population) == ("all", "infused")


def test_contrasts_split_all_patients_and_all_remissions(study: Study) -> None:
    for contrast in (finding.contrast for finding in study.findings if finding.contrast):
        assert contrast.exposed.total + contrast.unexposed.total == 39
        assert contrast.exposed.events + contrast.unexposed.events == 36


def test_refractory_and_relapsed_are_never_used(study: Study) -> None:
    # Table 1: 36 and 17; Table 2: 17 and 35.
    doubted = [f for f in study.findings if f.exposure in ("refractory", "relapsed")]
    assert len(doubted) == 10
    assert all("label in doubt" in (finding.set_aside or "") for finding in doubted)


def test_impossible_rows_of_table_7_are_left_out(study: Study) -> None:
    severe = {finding.exposure for finding in study.findings if finding.outcome == "severe_crs"}
    assert not severe & {"cns_disease", "gene_mutation"}
    # The row of CNS disease is that of extramedullary disease: 7/22 against 8/17.
    assert odds_ratio((7, 22), (8, 17)) == (0.525, 0.142, 1.943)
    # SH2B3 and PAX5 fit the totals of the other gene (13 and 26, 15 and 24).
    assert odds_ratio((3, 13), (12, 26)) == (0.350, 0.078, 1.573)
    assert odds_ratio((4, 15), (11, 24)) == (0.430, 0.106, 1.739)


def test_identity(study: Study) -> None:
    assert study.label == "Li 2020"
    assert (study.citation.doi, study.citation.pmid) == ("10.1038/s41419-020-2388-1", "32231200")
    follow_up = study.conduct.follow_up
    assert follow_up is not None
    # Methods, Follow-up: 9.5 months (0.9-34.3).
    assert (follow_up.median, follow_up.lower, follow_up.upper) == (9.5, 0.9, 34.3)
    assert study.arm("all").scfv == "unreported"


def test_nothing_disagrees(studies: Studies) -> None:
    assert studies.warnings == ()


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        ("complete_remission", (36, 39)),
        ("crs", (38, 39)),  # Table 6
        ("severe_crs", (15, 39)),
        ("severe_cytopenia", (34, 39)),  # Table 6: 7 + 27
    ],
)
def test_a_question_takes_all_patients_once(
    studies: Studies, outcome: str, expected: tuple[int, int]
) -> None:
    table = tabulate(studies, ModelSpec(outcome=outcome, likelihood="binomial"))
    assert [tuple(row) for row in table[["arm", "events", "total"]].to_numpy()] == [
        ("all", *expected)
    ]


# Table 4: adjusted for marrow blasts; Table 5: nothing is adjusted for.
@pytest.mark.parametrize(
    ("outcome", "expected"),
    [("event_free_survival", (0.247, "marrow blasts")), ("overall_survival", (0.279, ""))],
)
def test_a_question_about_transplant_takes_one_ratio(
    studies: Studies, outcome: str, expected: tuple[float, str]
) -> None:
    spec = ModelSpec(outcome=outcome, exposure="hsct", likelihood="hsct")
    table = tabulate(studies, spec)
    assert [tuple(row) for row in table[["ratio", "adjusted_for"]].to_numpy()] == [expected]
