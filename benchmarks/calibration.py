"""Whether intervals hold what they promise: simulation-based calibration of every likelihood.

Run with ``uv run python benchmarks/calibration.py``: designs of 20 studies for each likelihood,
then those of the shipped models, then coverage at fixed tau, then how long 1,000 data sets take.
Names of designs or models as arguments run only those, ``fixed`` only the coverage at fixed tau and
``time`` only the last; ``--simulations 2000`` asks for more data sets.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pandas as pd
from engines import machine

import metacart as mc

SEED, STUDIES, TAUS = 1, 20, (0.0, 0.3, 1.0)
Design = tuple[mc.ModelSpec, pd.DataFrame | None]


def table(seed: int) -> pd.DataFrame:
    """Return arms of 8 to 60 patients of two groups; what was observed in them is replaced."""
    rng = np.random.default_rng(seed)
    columns = {
        "study": [f"study {number}" for number in range(STUDIES)],
        "total": rng.integers(8, 60, STUDIES),
        "control_total": rng.integers(8, 60, STUDIES),
        "x": rng.integers(0, 2, STUDIES).astype(float),
        "estimate": 0.0,
        "se": rng.uniform(0.2, 0.8, STUDIES),
        "survival": 0.6,
        "lower": rng.uniform(0.2, 0.5, STUDIES),
        "upper": rng.uniform(0.7, 0.9, STUDIES),
    }
    return pd.DataFrame(columns).assign(events=1, control_events=1)


def comparisons() -> pd.DataFrame:
    """Return ratios and counts, some of studies that handle time."""
    ratios = pd.DataFrame({"ratio": 0.5, "lower": 0.2, "upper": 1.25}, index=range(STUDIES))
    handled = ["time-fixed", "time-fixed", "landmark", "time-dependent"] * (STUDIES // 4)
    kinds = ["ratio", "contrast"] * (STUDIES // 2)
    counts = table(4)[["study", "events", "total", "control_events", "control_total"]]
    return counts.join(ratios).assign(kind=kinds, time_handling=handled)


def designs() -> dict[str, Design]:
    """Return a design of 20 studies for each likelihood, by its name."""
    arms = table(1)
    numbers, survivals = ["study", "estimate", "se"], ["study", "survival", "lower", "upper"]
    return {
        "binomial": (mc.ModelSpec(likelihood="binomial"), arms),
        "binomial, moderator": (mc.ModelSpec(likelihood="binomial", moderators=["x"]), arms),
        "beta_binomial": (mc.ModelSpec(likelihood="beta_binomial"), arms),
        "normal": (mc.ModelSpec(likelihood="normal", scale="log"), arms[numbers]),
        "survival": (mc.ModelSpec(likelihood="survival"), arms[survivals]),
        "two_arm": (mc.ModelSpec(likelihood="two_arm"), arms),
        "hsct": (mc.ModelSpec(likelihood="hsct"), comparisons()),
        "binomial, Student-t": (
            mc.ModelSpec(likelihood="binomial", random_effects="student_t"),
            arms,
        ),
    }


def row(name: str, found: pd.DataFrame, seconds: float) -> str:
    """Return one line of the table."""
    wrong = found[~(found["covers"].astype(bool) & found["uniform"].astype(bool))]
    verdict = "all inside" if wrong.empty else f"outside: {', '.join(wrong['quantity'])}"
    first = found.iloc[0]
    cells = [
        name,
        f"{first['simulations']}",
        f"{first['failed']}",
        f"{found['coverage'].min():.3f}–{found['coverage'].max():.3f}",
        f"{first['coverage_lower']:.3f}–{first['coverage_upper']:.3f}",
        f"{min(1.0, found['p_uniform'].min() * len(found)):.2f}",
        verdict,
        f"{seconds / (first['simulations'] + first['failed']):.2f} s",
    ]
    return f"| {' | '.join(cells)} |"


def calibrations(
    chosen: dict[str, Design], simulations: int, pool: ProcessPoolExecutor
) -> Iterator[tuple[str, pd.DataFrame, float]]:
    """Yield each design with its table and the seconds it took."""
    for name, (spec, evidence) in chosen.items():
        start = time.perf_counter()
        found = mc.calibrate(
            spec, evidence, simulations=simulations, seed=SEED, executor=pool, progress=False
        )
        yield name, found, time.perf_counter() - start


def verdicts(chosen: dict[str, Design], simulations: int, pool: ProcessPoolExecutor) -> None:
    """Print a line a design."""
    print("| design | data sets | failed | coverage of 95 % | band | p | verdict | each |")
    print("|---|---|---|---|---|---|---|---|")
    for name, found, seconds in calibrations(chosen, simulations, pool):
        print(row(name, found, seconds), flush=True)


def fixed(simulations: int, pool: ProcessPoolExecutor) -> None:
    """Print coverage where tau is fixed; no interval has to cover 95 % there."""
    spec, evidence = designs()["binomial"]
    found = mc.calibrate(
        spec, evidence, simulations=simulations, tau=TAUS, seed=SEED, executor=pool, progress=False
    )
    wide = found.pivot_table("coverage", index="quantity", columns="true_tau")
    print(f"\n| quantity | {' | '.join(f'tau = {tau:g}' for tau in wide.columns)} |")
    print(f"|---|{'---|' * len(wide.columns)}")
    for name in found["quantity"].unique():
        print(f"| {name} | {' | '.join(f'{share:.3f}' for share in wide.loc[name])} |", flush=True)


def throughput(pool: ProcessPoolExecutor) -> None:
    """Print how long 1,000 data sets take."""
    start = time.perf_counter()
    spec, evidence = designs()["binomial"]
    mc.calibrate(spec, evidence, simulations=1000, seed=SEED, executor=pool, progress=False)
    print(f"\n1,000 data sets of {STUDIES} arms: {time.perf_counter() - start:.0f} s")


def main() -> None:
    """Print what was asked for as tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--simulations", type=int, default=400)
    options = parser.parse_args()
    models: dict[str, Design] = {name: (mc.load_model(name), None) for name in mc.list_models()}
    known = designs() | models
    chosen = {name: known[name] for name in options.names or known if name in known}
    print(machine(), end="\n\n")
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        if chosen:
            verdicts(chosen, options.simulations, pool)
        if "fixed" in options.names or not options.names:
            fixed(options.simulations, pool)
        if "time" in options.names or not options.names:
            throughput(pool)


if __name__ == "__main__":
    main()
