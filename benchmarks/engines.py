"""How long a fit takes by the exact engine and by NUTS, from few studies to many.

Run with ``uv run python benchmarks/engines.py``; ``refit`` as argument runs only the last table.
Cold is the first fit of a fresh process, with all that it has to import; warm is the best of three
later ones. NUTS compiles each design once: its warm time is that of a second fit of other counts.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

import metacart as mc
from metacart.inference.compiled import compiled
from metacart.modelling.build import build_model
from metacart.modelling.design import bind

SIZES = (6, 30, 100)
EFFECTS = ("normal", "student_t")
PACKAGES = ("metacart", "numpy", "scipy", "xarray", "arviz-stats", "pymc", "nutpie", "numba")


def counts(studies: int) -> pd.DataFrame:
    """Return simulated arms of 8 to 60 patients, a rate near 0.77 and effects of SD 0.6."""
    rng = np.random.default_rng(studies)
    total = rng.integers(8, 60, studies)
    rate = 1.0 / (1.0 + np.exp(-1.2 - 0.6 * rng.standard_normal(studies)))
    events = rng.binomial(total, rate)
    return pd.DataFrame({"study": [f"study {i}" for i in range(studies)], "events": events}).assign(
        total=total
    )


def seconds(table: pd.DataFrame, effects: str, method: str) -> float:
    """Return how long one fit takes."""
    spec = mc.ModelSpec(likelihood="binomial", random_effects=effects)
    start = time.perf_counter()
    fit = mc.fit(spec, table, method=method, seed=1, progress=False)
    taken = time.perf_counter() - start
    if fit.attrs["method"] != method:
        raise SystemExit(f"{len(table)} studies, {effects}: {method} handed over")
    return taken


def cold(studies: int, effects: str) -> float:
    """Return how long the first fit of a fresh process takes."""
    command = [sys.executable, __file__, "cold", str(studies), effects]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def machine() -> str:
    """Return what ran: processor, load, versions."""
    processor = platform.processor() or platform.machine()
    if (facts := Path("/proc/cpuinfo")).exists():
        lines = facts.read_text().splitlines()
        names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
        processor = names[0] if names else processor
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{os.cpu_count()} × {processor}{load}; {platform.system()}, "
        f"Python {platform.python_version()}; {packages}"
    )


def refit() -> None:
    """Print how long a refit by NUTS takes whose function is compiled, beside its compilation."""
    spec, table = mc.ModelSpec(likelihood="binomial"), counts(30)
    sizes = {"draws": 1000, "tune": 1000, "chains": 4, "progress": False}
    print("\n| 30 studies, 4 chains of 1,000 draws | seconds | of a processor |\n|---|---|---|")
    for what, number in (("compiled and drawn", 1), ("drawn, best of five", 5)):
        best = (np.inf, np.inf)
        for seed in range(number):
            events = np.minimum(table["events"] + seed + number, table["total"])
            design = bind(spec, table.assign(events=events))
            start = time.perf_counter(), time.process_time()
            function = compiled(build_model(spec, design))
            function.sample(seed=seed, target_accept=0.95, **sizes)
            best = min(best, (time.perf_counter() - start[0], time.process_time() - start[1]))
        print(f"| {what} | {best[0]:.2f} s | {best[1]:.2f} s |", flush=True)


def main() -> None:
    """Print a table of seconds."""
    print(machine(), end="\n\n")
    if sys.argv[1:] == ["refit"]:
        refit()
        return
    print("| studies | effects | exact, cold | exact, warm | NUTS, warm | NUTS / exact |")
    print("|---|---|---|---|---|---|")
    for effects in EFFECTS:
        for studies in SIZES:
            table = counts(studies)
            first = cold(studies, effects)
            exact = min(seconds(table, effects, "exact") for _ in range(4))
            others = table.assign(events=table["events"].clip(lower=1))
            nuts = [seconds(each, effects, "nuts") for each in (table, others)][-1]
            row = [str(studies), effects.replace("_", "-"), f"{first:.1f} s", f"{exact:.2f} s"]
            print("|", " | ".join([*row, f"{nuts:.1f} s", f"{nuts / exact:.0f}"]), "|", flush=True)
    refit()


if __name__ == "__main__":
    if sys.argv[1:2] == ["cold"]:
        print(seconds(counts(int(sys.argv[2])), sys.argv[3], "exact"))
    else:
        main()
