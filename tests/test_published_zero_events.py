"""Published analyses of trials without events, by exact likelihoods and without corrections."""

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

import metacart as mc
from metacart.inference.density import Marginal
from metacart.modelling.design import bind
from metacart.modelling.likelihoods import LIKELIHOODS
from metacart.modelling.priors import resolve_priors

# Niel-Weise 2007, catheter-related infections: standard catheters, anti-infective ones (metadat)
CATHETERS = """
3 117 0 116|3 35 1 44|9 195 2 208|7 136 0 130|6 157 5 151|4 139 1 98|3 177 1 174|2 39 1 74
19 103 1 97|2 122 1 113|7 64 0 66|1 58 0 70|5 175 3 188|11 180 6 187|0 105 0 118|1 262 0 252
3 362 1 345|1 69 4 64
"""
# statins against placebo, deaths: placebo, statins, 1 for secondary prevention (NICE TSD 3)
STATINS = """
256 2223 182 2221 1|4 125 1 129 1|0 52 1 94 1|2 166 2 165 1|77 3301 80 3304 0|3 1663 33 6582 0
8 459 1 460 1|3 155 3 145 1|0 42 1 83 1|4 223 3 224 0|633 4520 498 4512 1|1 124 2 123 1
11 188 4 193 1|5 78 4 79 1|6 202 4 206 1|3 532 0 530 0|4 178 2 187 1|1 201 3 203 1
135 3293 106 3305 0
"""


def numbers(text: str) -> np.ndarray:
    """Return a row a trial."""
    rows = text.strip().replace("\n", "|").split("|")
    return np.array([[int(word) for word in row.split()] for row in rows])


@pytest.mark.parametrize(
    ("group", "mu", "error", "variance"),
    [("standard", -3.50, 0.26, 0.81), ("anti-infective", -4.81, 0.36, 0.83)],
)
def test_stijnen2010_by_maximum_likelihood(
    group: str, mu: float, error: float, variance: float
) -> None:
    """Table II of Stijnen 2010 (doi 10.1002/sim.4040), as metafor's rma.glmm has it too.

    Six of 18 arms with anti-infective catheters have no infection.
    """
    first = 0 if group == "standard" else 2
    events, total = numbers(CATHETERS)[:, first : first + 2].T
    assert (events == 0).sum() == (1 if group == "standard" else 6)
    table = pd.DataFrame({"study": range(18), "events": events, "total": total})
    table["study"] = table["study"].astype(str)
    spec = mc.ModelSpec(likelihood="binomial")
    design, likelihood = bind(spec, table), LIKELIHOODS["binomial"]
    target = Marginal(spec, design, likelihood, resolve_priors(spec, design, likelihood))

    def height(point: np.ndarray) -> float:
        return -float(target.log_likelihood(point[None, :1], point[1:]).sum())

    best = optimize.minimize(height, [-4.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-5})
    found = target.parameters(best.x[None, :1], best.x[1:])
    assert round(float(found["mu"][0]), 2) == mu
    assert round(float(found["tau"][0]) ** 2, 2) == variance
    step = 1e-2 * np.eye(2)
    bend = np.array(
        [
            [
                (height(best.x + a + b) - height(best.x + a - b))
                - (height(best.x - a + b) - height(best.x - a - b))
                for a in step
            ]
            for b in step
        ]
    ) / (4 * 1e-4)
    assert round(float(np.sqrt(np.linalg.inv(bend)[0, 0])), 2) == error


@pytest.mark.parametrize(
    ("effects", "d", "beta"),
    [
        ("none", (-0.11, 0.10, -0.30, 0.09), (-0.21, 0.11, -0.42, 0.01)),
        ("normal", (-0.07, 0.20, -0.48, 0.36), (-0.29, 0.26, -0.86, 0.20)),
    ],
)
def test_statins_of_nice_tsd_3(effects: str, d: tuple[float, ...], beta: tuple[float, ...]) -> None:
    """Two groups, an effect that differs by a moderator, three trials with an empty group.

    NICE TSD 3 (Dias and others 2011) and the tests of multinma: mean, SD, interval. TSD 3 has
    tau ~ Uniform(0, 5), multinma HalfNormal(5).
    """
    columns = ["control_events", "control_total", "events", "total", "secondary"]
    table = pd.DataFrame(numbers(STATINS), columns=columns)
    table["study"] = [f"trial {number}" for number in range(len(table))]
    assert (table[["events", "control_events"]] == 0).any(axis=1).sum() == 3
    wide = dict.fromkeys(("mu", "beta", "baseline"), "Normal(0, 100)")
    if effects == "normal":
        wide["tau"] = "HalfNormal(5)"
    spec = mc.ModelSpec(
        likelihood="two_arm", random_effects=effects, moderators=["secondary"], priors=wide
    )
    fit = mc.fit(spec, table, method="exact", seed=3, progress=False)
    assert fit.attrs["gate"] == "passed"
    near = 0.05 if effects == "normal" else 0.015  # printed digits, and their Monte Carlo error
    for name, expected in (("mu", d), ("beta", beta)):
        draws = fit["posterior"][name].to_numpy().ravel()
        found = (draws.mean(), draws.std(), *np.quantile(draws, [0.025, 0.975]))
        assert found == pytest.approx(expected, abs=near)
    if effects == "normal":
        tau = fit["posterior"]["tau"].to_numpy().ravel()
        assert np.quantile(tau, [0.025, 0.5, 0.975]) == pytest.approx([0.01, 0.19, 0.76], abs=0.05)
