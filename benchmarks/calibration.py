"""Whether intervals hold what they promise: simulation-based calibration of every likelihood.

Run with ``uv run python benchmarks/calibration.py``: designs of 20 studies for each likelihood, of
8 for Student-t effects, a second level and a tau by group, then those of the shipped models, then
coverage at fixed tau, then how long 1,000 data sets take. Names of designs or models as arguments
run only those, ``fixed`` only the coverage at fixed tau and ``time`` only the last;
``--simulations 2000`` asks for more data sets. ``--keep FOLDER`` keeps the result of each data set
there: a run that was interrupted goes on where it stopped, one of more data sets where it ended.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from engines import machine

import metacart as mc
from metacart.inference.ranks import Recovered

SEED, STUDIES, FEW, TAUS = 1, 20, 8, (0.0, 0.3, 1.0)
BY_NUTS = ", NUTS"  # how the name of a design ends whose refits are by NUTS
Design = tuple[mc.ModelSpec, pd.DataFrame | None]


class Kept(Executor):
    """Runs tasks of a calibration, and keeps what each data set gave in a file.

    Parameters
    ----------
    pool : Executor
        Runs what the file does not hold.
    file : Path
        A line a data set. Its name says of which analysis.
    """

    def __init__(self, pool: Executor, file: Path) -> None:
        self.pool, self.file, self.new = pool, file, 0
        self.found: dict[tuple[float | None, int], Recovered] = {}
        file.parent.mkdir(parents=True, exist_ok=True)
        for line in file.read_text().splitlines() if file.exists() else ():
            tau, number, *values = json.loads(line)
            self.found[tau, number] = Recovered(*values)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Return the runs of a task; those that are kept are not run again."""
        (tau, numbers) = args[0]
        if all((tau, number) in self.found for number in numbers):
            done: Future[Any] = Future()
            done.set_result([self.found[tau, number] for number in numbers])
            return done
        running = self.pool.submit(fn, *args, **kwargs)
        running.add_done_callback(lambda run: self.keep(tau, numbers, run.result()))
        return running

    def keep(self, tau: float | None, numbers: range, runs: list[Recovered]) -> None:
        """Add a line a data set, all at once."""
        lines = [json.dumps([tau, number, *run]) for number, run in zip(numbers, runs, strict=True)]
        with self.file.open("a") as file:
            file.write("".join(f"{line}\n" for line in lines))
        self.new += len(lines)


def kept_in(folder: Path | None, name: str, design: Design, pool: Executor) -> Executor:
    """Return what runs the data sets of a design, from `folder` where it is there already."""
    if folder is None:
        return pool
    spec, evidence = design
    used = mc.tabulate(mc.load_studies(), spec) if evidence is None else evidence
    text = spec.model_dump_json() + used.to_json(orient="split") + str(SEED)
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return Kept(pool, folder / f"{name.replace(', ', '-')}-{digest}.jsonl")


def table(seed: int, studies: int = STUDIES) -> pd.DataFrame:
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
    return pd.DataFrame(columns).assign(events=1, control_events=1).head(studies)


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
    return (
        {
            "binomial": (mc.ModelSpec(likelihood="binomial"), arms),
            "binomial, moderator": (mc.ModelSpec(likelihood="binomial", moderators=["x"]), arms),
            "beta_binomial": (mc.ModelSpec(likelihood="beta_binomial"), arms),
            "normal": (mc.ModelSpec(likelihood="normal", scale="log"), arms[numbers]),
            "survival": (mc.ModelSpec(likelihood="survival"), arms[survivals]),
            "two_arm": (mc.ModelSpec(likelihood="two_arm"), arms),
            "hsct": (mc.ModelSpec(likelihood="hsct"), comparisons()),
        }
        | small_designs()
        | systems()
    )


def small_designs() -> dict[str, Design]:
    """Return designs of 8 studies for the other ways in which true values spread."""
    arms = table(1, FEW).assign(group=["a", "b"] * (FEW // 2))
    pairs = pd.concat([arms, table(2, FEW)], ignore_index=True)  # two arms a study
    own: dict[str, dict[str, Any]] = {
        "binomial": {"likelihood": "binomial"},
        "normal": {"likelihood": "normal", "scale": "log"},
        "two_arm": {"likelihood": "two_arm"},
    }
    numbers = ["study", "estimate", "se"]
    found: dict[str, Design] = {}
    for name, keys in own.items():
        some, twice = arms.drop(columns=["estimate", "se"]), pairs.drop(columns=["estimate", "se"])
        if name == "normal":
            some, twice = arms[[*numbers, "x", "group"]], pairs[numbers]
        student = mc.ModelSpec(random_effects="student_t", **keys)
        by_group = mc.ModelSpec(moderators=["group"], tau_by="group", **keys)
        found |= {
            f"{name}, Student-t": (student, some),
            f"{name}, within": (mc.ModelSpec(within="finding", **keys), twice),
            f"{name}, tau by group": (by_group, some),
            f"{name}, 8 studies, moderator": (mc.ModelSpec(moderators=["x"], **keys), some),
        }
    return found


def systems() -> dict[str, Design]:
    """Return designs of 12 studies for likelihoods of several means, and two of one by NUTS."""
    arms = table(1, 12)
    joint, chain, grades = [], [], []
    outcomes = ("complete_remission", "severe_crs", "severe_neurotoxicity")
    # a full table, any and severe, severe alone; each by one of four systems of grading
    bands = (
        ((0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (5, 5)),
        ((0, 0), (1, 2), (3, 5)),
        ((0, 2), (3, 5)),
    )
    gradings = ("ASTCT", "Penn", "CTCAE", "ASTCT", "Lee", "unreported")
    for number, (study, total) in enumerate(zip(arms["study"], arms["total"], strict=True)):
        reported = [each for at, each in enumerate(outcomes) if (number + at) % 4]
        joint += [(study, each, 1, total) for each in reported]
        chain.append((study, "remission", total // 2, total))
        chain.append((study, "hsct", total // 4, total // 2))
        if number % 2:
            chain.append((study, "relapse", 1, total // 4))
        own = bands[number % 3]
        counts = [total - len(own) + 1] + [1] * (len(own) - 1)
        for (first, last), count in zip(own, counts, strict=True):
            grades.append((study, first, last, count, gradings[number % 6]))
    counted = ["events", "total"]
    graded = ["study", "grade_from", "grade_to", "count", "grading"]
    tables = {
        "joint": pd.DataFrame(joint, columns=["study", "outcome", *counted]),
        "chain": pd.DataFrame(chain, columns=["study", "stage", *counted]),
        "grades": pd.DataFrame(grades, columns=graded),
    }
    one = {"binomial": arms, "normal": arms[["study", "estimate", "se"]]}
    scales = {"normal": "log"}
    return {name: (mc.ModelSpec(likelihood=name), each) for name, each in tables.items()} | {
        f"{name}{BY_NUTS}": (mc.ModelSpec(likelihood=name, scale=scales.get(name)), each)
        for name, each in one.items()
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
        "" if np.isnan(seconds) else f"{seconds:.2f} s",
    ]
    return f"| {' | '.join(cells)} |"


def calibrations(
    chosen: dict[str, Design], simulations: int, pool: Executor, folder: Path | None
) -> Iterator[tuple[str, pd.DataFrame, float]]:
    """Yield each design with its table and the seconds that a data set took."""
    for name, (spec, evidence) in chosen.items():
        start = time.perf_counter()
        run = kept_in(folder, name, (spec, evidence), pool)
        found = mc.calibrate(
            spec,
            evidence,
            method="nuts" if name.endswith(BY_NUTS) else "auto",
            simulations=simulations,
            seed=SEED,
            executor=run,
            progress=False,
        )
        new = run.new if isinstance(run, Kept) else simulations
        yield name, found, (time.perf_counter() - start) / new if new else np.nan


def verdicts(
    chosen: dict[str, Design], simulations: int, pool: Executor, folder: Path | None
) -> None:
    """Print a line a design."""
    print("| design | data sets | failed | coverage of 95 % | band | p | verdict | each |")
    print("|---|---|---|---|---|---|---|---|")
    for name, found, seconds in calibrations(chosen, simulations, pool, folder):
        print(row(name, found, seconds), flush=True)


def fixed(simulations: int, pool: Executor, folder: Path | None) -> None:
    """Print coverage where tau is fixed; no interval has to cover 95 % there."""
    spec, evidence = designs()["binomial"]
    run = kept_in(folder, "fixed", (spec, evidence), pool)
    found = mc.calibrate(
        spec, evidence, simulations=simulations, tau=TAUS, seed=SEED, executor=run, progress=False
    )
    wide = found.pivot_table("coverage", index="quantity", columns="true_tau")
    print(f"\n| quantity | {' | '.join(f'tau = {tau:g}' for tau in wide.columns)} |")
    print(f"|---|{'---|' * len(wide.columns)}")
    for name in found["quantity"].unique():
        print(f"| {name} | {' | '.join(f'{share:.3f}' for share in wide.loc[name])} |", flush=True)


def throughput(pool: Executor) -> None:
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
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    options = parser.parse_args()
    models: dict[str, Design] = {name: (mc.load_model(name), None) for name in mc.list_models()}
    known = designs() | models
    chosen = {name: known[name] for name in options.names or known if name in known}
    print(machine(), end="\n\n")
    with ProcessPoolExecutor(options.workers) as pool:
        if chosen:
            verdicts(chosen, options.simulations, pool, options.keep)
        if "fixed" in options.names or not options.names:
            fixed(options.simulations, pool, options.keep)
        if "time" in options.names or not options.names:
            throughput(pool)


if __name__ == "__main__":
    main()
