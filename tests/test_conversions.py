"""Conversions against published tables, other routes to the same number, and brute force."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from typing import Any

import numpy as np
import pytest
from scipy import stats

import metacart as mc
from metacart.errors import InputError
from metacart.evidence.conversions import (
    AssumptionWarning,
    counts_to_effect,
    interval_to_se,
    landmarks_to_effect,
    medians_to_effect,
    p_to_se,
    percentage_to_count,
    reverse_ratio,
)
from metacart.evidence.printed import (
    PValue,
    counts_of_percentage,
    is_symmetric,
    midpoint,
    parse_p,
    percentage_agrees,
    percentages_of,
    wald_p,
)

# Li 2020, Cell Death Dis 11:207, Tables 4 and 5: Cox models, hazard ratio, interval, p.
LI_2020 = [
    (0.789, 0.305, 2.039, 0.624),
    (0.934, 0.393, 2.218, 0.876),
    (3.768, 1.521, 9.334, 0.004),
    (0.229, 0.084, 0.623, 0.004),
    (0.247, 0.088, 0.695, 0.008),
    (0.279, 0.101, 0.769, 0.014),
    (2.574, 1.005, 6.598, 0.049),
    (1.000, 0.374, 2.673, 1.000),
]


@pytest.mark.parametrize(("ratio", "lower", "upper", "p"), LI_2020)
def test_li2020_intervals_give_their_own_p(
    ratio: float, lower: float, upper: float, p: float
) -> None:
    assert is_symmetric(ratio, lower, upper)
    # three printed decimals each; the error of log(lower) is the largest
    se = interval_to_se(lower, upper, estimate=ratio)
    assert wald_p(ratio, lower, upper) == pytest.approx(p, abs=0.0015)
    assert 2 * stats.norm.sf(abs(math.log(ratio)) / se) == pytest.approx(
        wald_p(ratio, lower, upper), rel=1e-12
    )


def test_standard_error_comes_back_from_an_exact_interval() -> None:
    for level in (0.5, 0.8, 0.9, 0.95, 0.99):
        z = stats.norm.ppf((1 + level) / 2)
        lower, upper = math.exp(-0.4 - z * 0.3), math.exp(-0.4 + z * 0.3)
        se = interval_to_se(lower, upper, estimate=math.exp(-0.4), level=level)
        assert se == pytest.approx(0.3, rel=1e-12)


@pytest.mark.parametrize("scale", ["identity", "logit", "cloglog"])
def test_standard_error_on_other_scales(scale: str) -> None:
    inverse = {
        "identity": lambda x: x,
        "logit": lambda x: 1 / (1 + math.exp(-x)),
        "cloglog": lambda x: 1 - math.exp(-math.exp(x)),
    }[scale]
    lower, middle, upper = (inverse(-0.2 + k * 1.959963984540054 * 0.5) for k in (-1, 0, 1))
    assert interval_to_se(lower, upper, estimate=middle, scale=scale) == pytest.approx(0.5)
    assert midpoint(lower, upper, scale=scale) == pytest.approx(middle)


def test_chen2021_hazard_ratio_of_blasts_is_not_symmetric() -> None:
    # Chen 2021, Survival Outcome: 6.055 (1.624-18.933); the geometric mean of the limits is 5.545
    with pytest.warns(
        AssumptionWarning,
        match=r"6\.055 \(1\.624 to 18\.933\) is not symmetric on the log scale: the middle of its "
        r"limits is 5\.545; its standard error is taken from the width of the interval",
    ):
        se = interval_to_se(1.624, 18.933, estimate=6.055)
    assert se == pytest.approx(math.log(18.933 / 1.624) / (2 * 1.959963984540054))


def test_rounding_never_makes_an_interval_asymmetric() -> None:
    rng = np.random.default_rng(20201)
    for log_ratio, se, decimals in zip(
        rng.normal(0, 1.5, 2000),
        rng.uniform(0.05, 1.5, 2000),
        rng.integers(1, 4, 2000),
        strict=True,
    ):
        exact = np.exp(log_ratio + np.array([0, -1, 1]) * 1.96 * se)
        printed = [round(float(x), int(decimals)) for x in exact]
        # a float has no trailing zeros: keep draws whose decimals can still be counted
        if min(printed) > 0 and any(len(str(x).partition(".")[2]) == decimals for x in printed):
            assert is_symmetric(*printed), printed


def test_three_significant_digits_are_a_way_to_print_too() -> None:
    # exp(2.51 +- 1.96 * 1.09) to three digits; 104 is not 104.00
    assert is_symmetric(12.3, 1.45, 104.0)
    assert not is_symmetric(12.3, 1.45, 110.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"lower": 0.3, "upper": 0.9, "estimate": 0.2},
            "interval: 0.2 (0.3 to 0.9); allowed: lower ≤ estimate ≤ upper, and lower < upper",
        ),
        (
            {"lower": 0.5, "upper": 0.5, "estimate": 0.5},
            "interval: 0.5 (0.5 to 0.5); allowed: lower ≤ estimate ≤ upper, and lower < upper",
        ),
        (
            {"lower": -0.1, "upper": 0.9, "estimate": 0.2},
            "interval: 0.2 (-0.1 to 0.9); allowed: numbers between 0 and inf on the log scale",
        ),
        (
            {"lower": 0.1, "upper": math.nan, "estimate": 0.2},
            "interval: 0.2 (0.1 to nan); allowed: numbers between 0 and inf on the log scale",
        ),
        (
            {"lower": 0.1, "upper": 0.9, "estimate": 0.3, "level": 95},
            "level: 95; allowed: a number between 0 and 1; try: level = 0.95",
        ),
        (
            {"lower": 0.1, "upper": 0.9, "estimate": 0.3, "scale": "logs"},
            (
                "scale: 'logs' is not known; allowed: 'identity', 'log', 'logit', 'cloglog', "
                "'loglog'; "
                "try: did you mean 'log'?"
            ),
        ),
    ],
)
def test_an_interval_that_cannot_be(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(InputError) as error:
        interval_to_se(**arguments)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.036", PValue(0.0355, 0.0365)),
        ("= 0.01", PValue(0.005, 0.015)),
        ("p=.04", PValue(0.035, 0.045)),
        ("<0.001", PValue(0.0, 0.001)),
        ("P < 0.05", PValue(0.0, 0.05)),
        ("≤ 0.05", PValue(0.0, 0.05)),
        ("<= 0.05", PValue(0.0, 0.05)),
        (">0.05", PValue(0.05, 1.0)),
        ("1.0", PValue(0.95, 1.0)),
        ("1", PValue(0.95, 1.0)),
        ("0.000", PValue(0.0, 0.0005)),
        ("NS", PValue(0.05, 1.0)),
        ("n.s.", PValue(0.05, 1.0)),
        ("1e-5", PValue(0.5e-5, 1.5e-5)),
    ],
)
def test_printed_p(text: str, expected: PValue) -> None:
    found = parse_p(text)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("text", ["", "about 0.04", "0.03-0.05", "2", "1.2", "p"])
def test_what_is_no_p(text: str) -> None:
    assert parse_p(text) is None


@pytest.mark.parametrize(
    ("printed", "wald", "agrees"),
    [
        ("0.036", 0.0361, True),
        ("0.01", 0.04, True),
        ("0.01", 0.049, True),  # 0.01 may be 0.0149
        ("0.001", 0.04, False),  # more than a factor of five
        ("0.04", 0.06, False),  # the other side of 0.05
        ("0.06", 0.04, False),
        ("0.05", 0.049, True),  # 0.05 may be 0.0499
        ("<0.001", 1e-9, True),
        ("<0.001", 0.004, True),
        ("<0.001", 0.006, False),
        ("NS", 0.3, True),
        ("NS", 0.03, False),
        ("0.9", 0.1, False),
    ],
)
def test_p_of_another_test(printed: str, wald: float, agrees: bool) -> None:
    found = parse_p(printed)
    assert found is not None
    assert found.agrees(wald) is agrees


@pytest.mark.parametrize("decimals", [0, 1, 2])
def test_percentages_against_decimal_arithmetic(decimals: int) -> None:
    unit = Decimal(1).scaleb(-decimals)
    for total in (7, 8, 19, 27, 28, 39, 200):
        for events in range(total + 1):
            exact = Decimal(100 * events) / Decimal(total)
            printed = {
                f"{exact.quantize(unit, rounding):.{decimals}f}%"
                for rounding in (ROUND_DOWN, ROUND_HALF_UP, ROUND_HALF_EVEN)
            }
            assert set(percentages_of(events, total, decimals=decimals)) == printed
            assert all(percentage_agrees(events, total, printed=text) for text in printed)


def test_chen2021_misprint_of_mrd_negative_remission() -> None:
    # Chen 2021, Abstract: "20 (74.7%)" of 27
    assert percentages_of(20, 27, decimals=1) == ["74.0%", "74.1%"]
    assert not percentage_agrees(20, 27, printed="74.7%")
    assert percentage_agrees(20, 27, printed="74 %")


@pytest.mark.parametrize(("printed", "total"), [("76.9%", 39), ("33%", 150), ("0%", 20)])
def test_counts_of_a_percentage_against_every_count(printed: str, total: int) -> None:
    counts = counts_of_percentage(printed, total=total)
    every = {k for k in range(total + 1) if percentage_agrees(k, total, printed=printed)}
    assert set().union(*counts.values()) == every
    assert counts["half up"]


def test_frey_severe_crs_fits_no_count() -> None:
    # 72 % of 35: 25 is 71.4 %, 26 is 74.3 %
    assert not any(counts_of_percentage("72%", total=35).values())


# ---- p to standard error


def refused(message: str, convert: Callable[..., Any], *values: Any, **options: Any) -> None:
    with pytest.raises(InputError) as error:
        convert(*values, **options)
    assert str(error.value) == message


def test_altman_and_bland_2011() -> None:
    """BMJ 2011;343:d2090: 17 points, P = 0.032, and a relative risk of 0.30, P = 0.034."""
    se = p_to_se(17.0, p="0.032", scale="identity")
    # their z is an approximation, 2.141 for 2.1444
    assert se == pytest.approx(7.94, rel=0.002)
    assert [17 - 1.96 * se, 17 + 1.96 * se] == pytest.approx([1.4, 32.6], abs=0.08)
    se = p_to_se(0.30, p="0.034")
    assert math.exp(math.log(0.30) - 1.96 * se) == pytest.approx(0.10, abs=0.005)
    assert math.exp(math.log(0.30) + 1.96 * se) == pytest.approx(0.91, abs=0.01)


def test_wang_and_zeng_2013() -> None:
    """Trials 2013;14:391, on Tierney 2007: a two-sided P of 0.075 is a z of 1.78."""
    assert math.log(2.0) / p_to_se(2.0, p=0.075) == pytest.approx(1.78, abs=0.005)


@pytest.mark.parametrize(("ratio", "lower", "upper", "p"), LI_2020[:7])
def test_li2020_p_and_interval_give_one_standard_error(
    ratio: float, lower: float, upper: float, p: float
) -> None:
    ends = [abs(math.log(ratio)) / stats.norm.isf(each / 2) for each in (p - 0.0005, p + 0.0005)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        se = p_to_se(ratio, p=str(p))
    assert ends[0] < se < ends[1]
    half = 0.0005 / abs(math.log(ratio)) / ratio + 0.01  # the ratio and the limits are rounded
    assert (
        ends[0] * (1 - half) < interval_to_se(lower, upper, estimate=ratio) < ends[1] * (1 + half)
    )


@pytest.mark.parametrize(
    ("p", "options", "message", "z"),
    [
        ("<0.001", {}, r"p <0\.001 only says that the standard error is at most 0\.366", 0.001),
        ("0.000", {}, r"p 0\.000 only says that the standard error is at most 0\.346", 0.0005),
        (">0.2", {}, r"p >0\.2 only says that the standard error is at least 0\.939", 0.2),
        ("NS", {}, r"p NS only says that the standard error is at least 0\.614", 0.05),
        (
            "0.9",
            {},
            r"p 0\.9 is rounded: the standard error lies between 6\.37 and 19\.2",
            0.9,
        ),
        (
            "0.040",
            {"test": "log-rank"},
            r"a p from a log-rank test need not be that of estimate/SE; the standard error is",
            0.04,
        ),
        ("0.040", {"test": "unknown"}, r"a p from a test that is not known need not", 0.04),
    ],
)
def test_what_a_p_does_not_say(p: str, options: dict[str, str], message: str, z: float) -> None:
    with pytest.warns(AssumptionWarning, match=message) as caught:
        se = p_to_se(0.3, p=p, **options)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert se == pytest.approx(abs(math.log(0.3)) / stats.norm.isf(z / 2))


@pytest.mark.parametrize(
    ("estimate", "options", "message"),
    [
        (
            1.0,
            {"p": "0.3"},
            "estimate: 1: no effect; allowed: another estimate; try: use the interval",
        ),
        (-0.5, {"p": "0.3"}, "estimate: -0.5; allowed: a ratio above 0"),
        (math.inf, {"p": "0.3", "scale": "identity"}, "estimate: inf; allowed: a finite number"),
        (0.5, {"p": "high"}, 'p: \'high\'; allowed: text such as "0.036", "<0.001", "NS"'),
        (0.5, {"p": ">1"}, 'p: \'>1\'; allowed: text such as "0.036", "<0.001", "NS"'),
        (0.5, {"p": "<1"}, "p: '<1'; allowed: a p between 0 and 1"),
        (
            0.5,
            {"p": "0.3", "test": "score"},
            (
                "test: 'score' is not known; allowed: 'wald', 'log-rank', 'likelihood ratio', "
                "'chi-squared', 'fisher', 'unknown'"
            ),
        ),
        (
            0.5,
            {"p": "0.3", "scale": "logit"},
            "scale: 'logit' is not known; allowed: 'log', 'identity'; try: did you mean 'log'?",
        ),
    ],
)
def test_a_p_that_gives_no_standard_error(
    estimate: float, options: dict[str, str], message: str
) -> None:
    refused(message, p_to_se, estimate, **options)


# ---- percentage and patients to a count


def test_a_percentage_means_one_count_or_none() -> None:
    for total in (5, 8, 19, 39, 97):
        for decimals in (0, 1):
            for printed in {f"{100 * k / total:.{decimals}f}%" for k in range(total + 1)}:
                # Python rounds half to even; half up is the other way that counts as rounding
                every = [
                    k
                    for k in range(total + 1)
                    if Decimal(printed[:-1])
                    in {
                        (Decimal(100 * k) / total).quantize(Decimal(1).scaleb(-decimals), way)
                        for way in (ROUND_HALF_UP, ROUND_HALF_EVEN)
                    }
                ]
                if len(every) == 1:
                    assert percentage_to_count(printed, total=total) == every[0]
                else:
                    with pytest.raises(InputError, match=f"can be {every[0]}, {every[1]}"):
                        percentage_to_count(printed, total=total)


def test_a_count_of_a_percentage_that_is_cut_off() -> None:
    with pytest.warns(AssumptionWarning, match=r"^31\.5% of 19 is 6/19 cut off, not rounded$"):
        assert percentage_to_count("31.5%", total=19) == 6


@pytest.mark.parametrize(
    ("printed", "total", "message"),
    [
        (
            "33%",
            150,
            (
                "printed: 33% of 150 can be 49, 50; allowed: a percentage that one count alone "
                "fits; try: another denominator; else the percentage is text, not a count"
            ),
        ),
        (
            "72%",
            35,  # Frey: no count of 35 is 72 %
            (
                "printed: 72% of 35 is no count: 25/35 is 71.43% and 26/35 is 74.29%; allowed: a "
                "percentage that one count alone fits; "
                "try: another denominator; else the percentage is text, not a count"
            ),
        ),
        (
            "120%",
            10,
            (
                "printed: 120% of 10 is no count: 10/10 is 100.00%; allowed: a percentage that one "
                "count alone fits; "
                "try: another denominator; else the percentage is text, not a count"
            ),
        ),
        (
            "two thirds",
            9,
            (
                "printed: 'two thirds'; allowed: a percentage as the paper prints it, as text; "
                "try: such as '68.4%'"
            ),
        ),
        (
            68.4,
            19,
            (
                "printed: 68.4; allowed: a percentage as the paper prints it, as text; "
                "try: such as '68.4%'"
            ),
        ),
        ("50%", 0, "total: 0; allowed: a whole number of 1 or more"),
    ],
)
def test_a_percentage_without_its_count(printed: Any, total: int, message: str) -> None:
    refused(message, percentage_to_count, printed, total=total)


# ---- two groups

# Colditz 1994: BCG vaccine against tuberculosis; events and patients, and the log risk ratios and
# log odds ratios with their variances that metafor's manual prints for them (escalc).
BCG = [
    ((4, 123), (11, 139), (-0.8893, 0.3256), (-0.9387, 0.3571)),
    ((6, 306), (29, 303), (-1.5854, 0.1946), (-1.6662, 0.2081)),
    ((3, 231), (11, 220), (-1.3481, 0.4154), (-1.3863, 0.4334)),
    ((62, 13598), (248, 12867), (-1.4416, 0.0200), (-1.4564, 0.0203)),
    ((33, 5069), (47, 5808), (-0.2175, 0.0512), (-0.2191, 0.0520)),
    ((180, 1541), (372, 1451), (-0.7861, 0.0069), (-0.9581, 0.0099)),
]


@pytest.mark.filterwarnings("ignore:.*a cell of [34]")
@pytest.mark.parametrize(("vaccine", "none", "rr", "odds"), BCG)
def test_colditz1994_as_in_metafor(
    vaccine: tuple[int, int],
    none: tuple[int, int],
    rr: tuple[float, float],
    odds: tuple[float, float],
) -> None:
    for measure, expected in (("rr", rr), ("or", odds)):
        effect = counts_to_effect(vaccine, none, measure=measure)
        assert (effect.estimate, effect.se**2) == pytest.approx(expected, abs=5e-5)


def test_risk_difference_against_newcombe() -> None:
    """Newcombe 1998, Stat Med 17:873, Table II a: 56/70 - 48/80 by Wald is 0.2 (0.0575, 0.3425)."""
    effect = counts_to_effect((56, 70), (48, 80), measure="rd")
    assert (effect.value, effect.lower, effect.upper) == pytest.approx(
        (0.2, 0.0575, 0.3425), abs=5e-5
    )


def test_hazard_ratio_of_counts_by_grouped_survival() -> None:
    """Hazards of 0.1 and 0.2 a year for two years give 0.5, precise as the curve bends."""
    sizes = (100_000, 50_000)
    events = [round(n * -math.expm1(-2 * h)) for n, h in zip(sizes, (0.1, 0.2), strict=True)]
    groups = list(zip(events, sizes, strict=True))
    effect = counts_to_effect(*groups, measure="hr", equal_follow_up=True)
    assert effect.value == pytest.approx(0.5, rel=1e-4)

    def variance(events: int, size: int) -> float:
        def log_likelihood(log_cumulative: float) -> float:
            log_survival = -math.exp(log_cumulative)
            return events * math.log(-math.expm1(log_survival)) + (size - events) * log_survival

        middle, step = math.log(-math.log1p(-events / size)), 1e-3
        ends = log_likelihood(middle + step) + log_likelihood(middle - step)
        return -(step**2) / (ends - 2 * log_likelihood(middle))

    assert effect.se**2 == pytest.approx(sum(variance(*group) for group in groups), rel=1e-4)


def test_a_hazard_ratio_of_counts_needs_equal_follow_up() -> None:
    with pytest.warns(
        AssumptionWarning,
        match=r"the hazard ratio only if both groups were followed equally long: say so by "
        r"equal_follow_up=True",
    ) as caught:
        counts_to_effect((12, 17), (17, 26), measure="hr")
    assert caught[0].filename == __file__


def test_small_cells_are_said() -> None:
    # Li 2020: no relapse among 17 transplanted; An 2022: 1/11 against 2/2
    with pytest.warns(AssumptionWarning, match=r"1/11 and 2/4: a cell of 1, for which a normal"):
        counts_to_effect((1, 11), (2, 4), measure="or")


@pytest.mark.parametrize("measure", ["or", "rr", "rd", "hr"])
@pytest.mark.parametrize("groups", [((0, 17), (9, 19)), ((4, 10), (9, 9)), ((3, 3), (0, 5))])
def test_nothing_is_added_to_an_empty_cell(
    groups: tuple[tuple[int, int], tuple[int, int]], measure: str
) -> None:
    shown = " and ".join(f"{events}/{size}" for events, size in groups)
    refused(
        f"counts: {shown}: a cell of 0; allowed: events and patients without the event in both "
        'groups; try: the exact likelihood of the counts: likelihood = "binomial" with the group '
        "as a moderator; no half patients are added here",
        counts_to_effect,
        *groups,
        measure=measure,
    )


@pytest.mark.parametrize("group", [(19, 9), (4.5, 9), (1, 0), 4, (1, 2, 3), (-1, 3)])
def test_groups_that_cannot_be(group: Any) -> None:
    allowed = "events and patients as whole numbers, 0 ≤ events ≤ patients"
    refused(
        f"unexposed: {group}; allowed: {allowed}; try: unexposed = (9, 18)",
        counts_to_effect,
        (1, 2),
        group,
        measure="or",
    )


def test_an_unknown_measure() -> None:
    refused(
        "measure: 'odds ratio' is not known; allowed: 'or', 'rr', 'rd', 'hr'",
        counts_to_effect,
        (5, 10),
        (5, 10),
        measure="odds ratio",
    )


# ---- survival of two groups


def on_loglog(survival: float, se: float) -> tuple[float, float, float]:
    middle = math.log(-math.log(survival))
    ends = [math.exp(-math.exp(middle + sign * 1.959963984540054 * se)) for sign in (1, -1)]
    return survival, ends[0], ends[1]


def test_zhao2020_two_year_rates_imply_a_hazard_ratio_of_0_38() -> None:
    """Zhao H, J Hematol Oncol 2020, Abstract: LFS 65.6 v 32.8 %; Cox gives 0.244 (0.136-0.437)."""
    # the rates have no printed intervals: those that 55 and 67 patients without censoring give
    groups = [
        on_loglog(s, math.sqrt((1 - s) / (n * s)) / -math.log(s))
        for s, n in ((0.656, 55), (0.328, 67))
    ]
    effect = landmarks_to_effect(*groups)
    assert round(effect.value, 2) == 0.38
    assert effect.lower < 0.38 < effect.upper < 1


@pytest.mark.parametrize("linear", [False, True])
def test_landmarks_without_censoring_are_counts(linear: bool) -> None:
    """Greenwood's variance without censoring is the binomial one."""
    deaths = ((6, 30), (20, 25))
    exact = counts_to_effect(*deaths, measure="hr", equal_follow_up=True)
    groups = []
    for events, size in deaths:
        s = 1 - events / size
        se = math.sqrt(s * (1 - s) / size)
        if linear:
            groups.append((s, s - 1.959963984540054 * se, s + 1.959963984540054 * se))
        else:
            groups.append(on_loglog(s, se / (s * -math.log(s))))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        effect = landmarks_to_effect(*groups)
    assert effect.estimate == pytest.approx(exact.estimate)
    assert effect.se == pytest.approx(exact.se)
    said = [str(each.message) for each in caught]
    assert all("is not symmetric on the log(-log) scale" in each for each in said)
    assert len(said) == (2 if linear else 0)


def test_chen2021_does_not_say_how_an_interval_of_survival_was_made() -> None:
    # An 2022: 91% (50.8-98.7) against 69% (30.6-89.2), both on the log(-log) scale
    effect = landmarks_to_effect((0.91, 0.508, 0.987), (0.69, 0.306, 0.892))
    assert effect.value == pytest.approx(math.log(0.91) / math.log(0.69))


@pytest.mark.parametrize(
    ("group", "message"),
    [
        (
            (1.0, 0.8, 1.0),
            (
                "exposed: 1 (0.8 to 1): a survival of 1 has no finite log cumulative hazard; "
                "allowed: a share above 0 and below 1; "
                "try: use the counts of this group: events and patients at risk"
            ),
        ),
        (
            (0.0, 0.0, 0.3),
            (
                "exposed: 0 (0 to 0.3): a survival of 0 has no finite log cumulative hazard; "
                "allowed: a share above 0 and below 1; "
                "try: use the counts of this group: events and patients at risk"
            ),
        ),
        (
            (91, 50.8, 98.7),
            (
                "exposed: 91 (50.8 to 98.7); allowed: shares between 0 and 1; "
                "try: shares, not percentages: 0.91"
            ),
        ),
        (
            (0.91, 0.95, 0.987),
            "exposed: 0.91 (0.95 to 0.987); allowed: lower ≤ survival ≤ upper, and lower < upper",
        ),
        (
            0.91,
            (
                "exposed: 0.91; allowed: survival, lower and upper limit; "
                "try: exposed = (0.91, 0.508, 0.987)"
            ),
        ),
    ],
)
def test_a_survival_that_gives_no_hazard_ratio(group: Any, message: str) -> None:
    refused(message, landmarks_to_effect, group, (0.69, 0.306, 0.892))


def test_hazard_ratio_of_medians_of_exponential_samples() -> None:
    rng = np.random.default_rng(20207)
    times = [rng.exponential(scale, (4000, 301)) for scale in (2.0, 1.0)]
    medians = [np.median(each, axis=1) for each in times]
    log_ratios = np.log(medians[1] / medians[0])
    with pytest.warns(
        AssumptionWarning, match="survive exponentially, at constant hazards"
    ) as said:
        effect = medians_to_effect(2 * math.log(2), math.log(2), events=(301, 301))
    assert said[0].filename == __file__
    assert effect.value == pytest.approx(0.5)
    error = effect.se / math.sqrt(2 * 4000)  # of an SD from 4000 draws
    assert effect.se == pytest.approx(log_ratios.std(ddof=1), abs=4 * error + 0.003 * effect.se)
    assert effect.estimate == pytest.approx(log_ratios.mean(), abs=4 * effect.se / math.sqrt(4000))


@pytest.mark.filterwarnings("ignore:the hazard ratio of two medians")
def test_medians_with_intervals() -> None:
    z = 1.959963984540054
    groups = [
        (median, median * math.exp(-z * se), median * math.exp(z * se))
        for median, se in ((36.0, 0.2), (18.0, 0.15))
    ]
    effect = medians_to_effect(*groups)
    assert (effect.value, effect.se) == pytest.approx((0.5, 0.25))
    # Chen-like limits that are not symmetric
    with pytest.warns(AssumptionWarning, match=r"exposed 11\.6 \(4 to 19\.2\) is not symmetric"):
        effect = medians_to_effect((11.6, 4.0, 19.2), 5.8, events=(10, 12))
    parts = (math.log(19.2 / 4.0) / (2 * z), 1 / (math.log(2) * math.sqrt(12)))
    assert effect.se == pytest.approx(math.hypot(*parts))


@pytest.mark.filterwarnings("ignore:the hazard ratio of two medians")
@pytest.mark.parametrize(
    ("groups", "options", "message"),
    [
        (
            (math.inf, 5.0),
            {"events": (1, 2)},
            "exposed: inf; allowed: a time above 0; a median that was not reached gives no ratio",
        ),
        (
            (8.0, 5.0),
            {},
            (
                "exposed: 8.0; allowed: a median with both limits, or events of 1 or more in both "
                "groups; try: events = (14, 20)"
            ),
        ),
        (
            (8.0, 5.0),
            {"events": (0, 2)},
            (
                "exposed: events = (0, 2); allowed: a median with both limits, or events of 1 or "
                "more in both groups; try: events = (14, 20)"
            ),
        ),
        (
            (8.0, (5.0, 6.0, 7.0)),
            {"events": (1, 2)},
            "unexposed: 5 (6 to 7); allowed: lower ≤ estimate ≤ upper, and lower < upper",
        ),
        (
            (8.0, 5.0),
            {"level": 95},
            "level: 95; allowed: a number between 0 and 1; try: level = 0.95",
        ),
    ],
)
def test_medians_that_give_no_hazard_ratio(
    groups: tuple[Any, Any], options: dict[str, Any], message: str
) -> None:
    refused(message, medians_to_effect, *groups, **options)


# ---- the reverse comparison


def test_zhang2020_ratio_of_the_reverse_comparison() -> None:
    """Zhang X 2020 prints 35.45 for none against transplant where its sense is 0.028."""
    turned = reverse_ratio(35.45)
    assert turned.estimate == pytest.approx(0.0282, abs=5e-5)
    assert (turned.lower, turned.upper) == (None, None)
    turned = reverse_ratio(0.279, lower=0.101, upper=0.769)
    assert turned == pytest.approx((1 / 0.279, 1 / 0.769, 1 / 0.101))


def test_an_interval_of_another_comparison_is_said() -> None:
    with pytest.warns(AssumptionWarning, match=r"6\.055 \(1\.624 to 18\.933\) is not symmetric"):
        reverse_ratio(6.055, lower=1.624, upper=18.933)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"estimate": 0.0}, "estimate: 0; allowed: a ratio above 0"),
        (
            {"estimate": 2.0, "upper": 3.0},
            "lower: nothing stands here; allowed: both limits of the interval, or neither",
        ),
        (
            {"estimate": 2.0, "lower": 3.0, "upper": 4.0},
            "interval: 2 (3 to 4); allowed: lower ≤ estimate ≤ upper, and lower < upper",
        ),
    ],
)
def test_a_ratio_that_cannot_be_turned_round(options: dict[str, float], message: str) -> None:
    refused(message, reverse_ratio, options.pop("estimate"), **options)


# ---- one shape for all


CONVERSIONS = sorted(
    name for name in mc.conversions.__all__ if inspect.isfunction(getattr(mc.conversions, name))
)


@pytest.mark.parametrize("name", CONVERSIONS)
def test_a_conversion_is_documented_and_refuses_unknown_options(name: str) -> None:
    convert = getattr(mc.conversions, name)
    text = inspect.getdoc(convert) or ""
    for section in ("Parameters", "Returns", "Raises", "Warns", "Examples"):
        assert f"\n{section}\n---" in text, section
    kinds = inspect.Parameter
    parameters = inspect.signature(convert).parameters.values()
    pairs = {"exposed", "unexposed"}, {"lower", "upper"}
    by_position = {p.name for p in parameters if p.kind is not kinds.KEYWORD_ONLY}
    assert len(by_position) == 1 or by_position in pairs
    with pytest.raises(InputError, match=rf"{name}\(levels=…\): no such option; allowed: "):
        convert(1.0, levels=0.9)


def test_the_namespace_holds_conversions_and_what_they_return() -> None:
    assert set(mc.conversions.__all__) == {*CONVERSIONS, "AssumptionWarning", "Effect", "Interval"}
    effect = mc.conversions.counts_to_effect((12, 17), (17, 26), measure="or")
    assert isinstance(effect, mc.conversions.Effect)
    assert (effect.lower, effect.upper) == pytest.approx(
        [math.exp(effect.estimate + sign * 1.959964 * effect.se) for sign in (-1, 1)]
    )
