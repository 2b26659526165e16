"""The same analyses as R finds them: bayesmeta, metafor with lme4, and JAGS.

The numbers were computed with ``benchmarks/compare_r.R`` by R 4.2.2, bayesmeta 3.4, metafor 3.8.1,
lme4 1.1.31 and rjags 4.13; the tables and priors are those of ``benchmarks/compare_r.py``.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import special, stats

import metacart as mc
from metacart.inference.marginal import study_log_likelihood
from metacart.results.summary import estimand_draws

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def compare() -> Any:
    """Return the script of the comparison, for its tables, priors and quantiles."""
    sys.path.insert(0, str(FOLDER))
    try:
        place = importlib.util.spec_from_file_location("compare_r", FOLDER / "compare_r.py")
        assert place is not None
        assert place.loader is not None
        module = importlib.util.module_from_spec(place)
        place.loader.exec_module(module)
    finally:
        sys.path.remove(str(FOLDER))
    return module


def fitted(compare: Any, name: str) -> Any:
    table = compare.TABLES[name.partition(",")[0]]
    return mc.fit(compare.SPECS[name], table, method="exact", draws=6000, seed=2, progress=False)


def numbers(compare: Any, fit: Any, quantity: str) -> Any:
    """Return median and limits of a quantity, with their Monte Carlo errors."""
    if quantity == "next study":
        draws = estimand_draws(fit)["next study"]
    else:
        draws = fit["posterior"][quantity].to_numpy()
    effective = 1 / (1 / draws.size + 1 / fit.attrs["importance_ess"])
    return compare.quantiles(draws, effective)


# ---- bayesmeta: the posterior by numerical integration, no draws


@pytest.mark.parametrize(
    ("name", "expected", "log_bayes_factor"),
    [
        (
            "bcg_ratios",
            {
                "tau": (0.5715473, 0.3595548, 0.9242174),
                "mu": (-0.7334260, -1.1210357, -0.3607762),
                "next study": (-0.7328609, -2.0155613, 0.5317061),
            },
            63.1191331,
        ),
        (
            "crins",
            {
                "tau": (0.34255176, 0.01760785, 0.96936422),
                "mu": (-1.5444081, -2.1892642, -0.9047774),
                "next study": (-1.543422, -2.718099, -0.380847),
            },
            0.117015364,
        ),
        (
            "schools",
            {
                "tau": (4.0250815, 0.1869256, 13.9902641),
                "mu": (7.938537, -1.286288, 17.287857),
                "next study": (7.910516, -7.682718, 23.888191),
            },
            -0.516704013,
        ),
    ],
)
def test_bayesmeta(
    compare: Any, name: str, expected: dict[str, Any], log_bayes_factor: float
) -> None:
    fit = fitted(compare, name)
    for quantity, (median, lower, upper) in expected.items():
        own, error = numbers(compare, fit, quantity)
        off = np.abs(own - [median, lower, upper])
        # bayesmeta interpolates its quantiles: it is good to about a thousandth of the SD
        assert (off < 4 * error + 0.002 * (upper - lower)).all(), (quantity, own, error)
    # study effects against a common effect, by the marginal likelihoods of both
    table = mc.average_models(fit).set_index("row")
    row = table.loc["inclusion"]
    assert np.log(row["bayes_factor"]) == pytest.approx(
        log_bayes_factor, abs=4 * row["mcse_log"] + 0.005
    )


# ---- metafor and lme4: the likelihood with the effects integrated out, where it is highest


def log_likelihood(compare: Any, name: str, mu: Any, tau: float) -> Any:
    """Return that of all studies at each mu."""
    table, spec = compare.TABLES[name], compare.SPECS[name]
    columns = ("events", "total") if spec.likelihood == "binomial" else ("estimate", "se")
    linear = np.broadcast_to(np.reshape(mu, (-1, 1)), (np.size(mu), len(table)))
    return study_log_likelihood(
        mc.LIKELIHOODS[spec.likelihood],
        {column: table[column].to_numpy() for column in columns},
        np.arange(len(table)),
        linear,
        np.full(np.size(mu), tau),
        effects="normal",
        nu=4.0,
        parameters={},
    ).sum(axis=1)


@pytest.mark.parametrize(
    ("name", "mu", "tau", "highest"),
    [
        ("bcg_ratios", -0.74196683136, 0.549960528336, -13.0727595552),
        ("crins", -1.57834036659, 0.325818678135, -6.8399639079),
        # lme4 leaves out what the counts alone make of it: the density at their own rates
        ("aneurysms", 1.376587521, 0.7676587091, -15.0552781192),
    ],
)
def test_maximum_likelihood(compare: Any, name: str, mu: float, tau: float, highest: float) -> None:
    if name == "aneurysms":
        events, total = (compare.TABLES[name][column] for column in ("events", "total"))
        highest += stats.binom.logpmf(events, total, events / total).sum()
    (own,) = log_likelihood(compare, name, mu, tau)
    assert own == pytest.approx(highest, abs=2e-6)
    for near_mu, near_tau in ((0.01, 1.0), (-0.01, 1.0), (0.0, 1.01), (0.0, 0.99)):
        assert log_likelihood(compare, name, mu + near_mu, tau * near_tau) < own


@pytest.mark.parametrize(
    ("name", "tau", "highest"),
    [
        ("bcg_ratios", 0.581181593890628, -12.5756648098),
        ("crins", 0.467026827686885, -6.17850291813),
    ],
)
def test_restricted_maximum_likelihood(compare: Any, name: str, tau: float, highest: float) -> None:
    """Under a flat mu the likelihood of tau is the restricted one, but for a constant."""
    line = np.linspace(-12, 10, 40_001)

    def restricted(tau: float) -> float:
        values = log_likelihood(compare, name, line, tau)
        return float(special.logsumexp(values) + np.log(line[1] - line[0]))

    constant = 0.5 * np.log(len(compare.TABLES[name]))
    assert restricted(tau) + constant == pytest.approx(highest, abs=1e-6)
    assert restricted(tau) > max(restricted(0.97 * tau), restricted(1.03 * tau))


# ---- JAGS: draws of all parameters, each number with its Monte Carlo error


@pytest.mark.parametrize(
    ("name", "quantity", "expected", "error"),
    [
        ("aneurysms", "mu", (1.33184, 0.79235, 1.99850), (0.00224, 0.00479, 0.00664)),
        ("aneurysms", "tau", (0.83126, 0.38856, 1.53830), (0.00350, 0.00484, 0.01154)),
        (
            "aneurysms, beta-binomial",
            "mu",
            (1.18898, 0.67446, 1.71344),
            (0.00212, 0.00507, 0.00538),
        ),
        (
            "aneurysms, beta-binomial",
            "rho",
            (0.10836, 0.03221, 0.26739),
            (0.00069, 0.00057, 0.00254),
        ),
        ("bcg_counts", "mu", (-0.74603, -1.13999, -0.37621), (0.00123, 0.00337, 0.00296)),
        ("bcg_counts", "tau", (0.57810, 0.36548, 0.93243), (0.00126, 0.00154, 0.00444)),
        (
            "bcg_counts, Student t",
            "mu",
            (-0.73943, -1.16005, -0.33513),
            (0.00149, 0.00386, 0.00346),
        ),
        (
            "bcg_counts, Student t",
            "tau",
            (0.51593, 0.29512, 0.87922),
            (0.00123, 0.00155, 0.00421),
        ),
    ],
)
def test_jags(
    compare: Any, name: str, quantity: str, expected: Any, error: Any, fits: dict[str, Any]
) -> None:
    if name not in fits:
        fits[name] = fitted(compare, name)
    own, own_error = numbers(compare, fits[name], quantity)
    off = np.abs(own - expected) / np.hypot(own_error, error)
    assert (off < 4).all(), (own, expected, off)


@pytest.fixture(scope="module")
def fits() -> dict[str, Any]:
    """Hold each fit for the quantities that are read from it."""
    return {}
