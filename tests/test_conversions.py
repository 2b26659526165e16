"""Conversions against published tables, other routes to the same number, and brute force."""

from __future__ import annotations

import math
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal

import numpy as np
import pytest
from scipy import stats

from metacart.errors import InputError
from metacart.evidence.conversions import (
    AssumptionWarning,
    PValue,
    counts_of_percentage,
    interval_to_se,
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
                "scale: 'logs' is not known; allowed: 'identity', 'log', 'logit', 'cloglog'; "
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
