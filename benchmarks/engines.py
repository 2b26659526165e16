"""How long the work takes, against what it should: one table, in a few minutes.

Run with ``uv run python benchmarks/engines.py``; names run some rows only: ``start``, ``fit``,
``refits``, ``sizes``, ``calibration``. Each time is the best of several runs after a first one,
those of a fresh process the median of five; the process time beside it is what all processors did,
which says more on a machine that has other work. Memory is the most that a fresh process held.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import metacart as mc
from metacart.inference.compiled import compiled
from metacart.modelling.build import build_model
from metacart.modelling.design import bind

SIZES = (10, 100, 1000, 10_000)
PACKAGES = ("metacart", "numpy", "scipy", "xarray", "arviz-stats", "pymc", "nutpie", "numba")
PATIENCE = 600.0  # seconds that one size may take


class Row(NamedTuple):
    """One line of the table."""

    what: str
    found: str
    target: str = ""
    met: bool | None = None
    more: str = ""


def arms(number: int, *, moderators: int = 0) -> pd.DataFrame:
    """Return simulated arms of 8 to 60 patients, a rate near 0.77 and effects of SD 0.6."""
    rng = np.random.default_rng(number)
    total, x = rng.integers(8, 60, number), rng.standard_normal((number, moderators))
    eta = 1.2 + 0.6 * rng.standard_normal(number) + 0.3 * x.sum(axis=1)
    events = rng.binomial(total, 1.0 / (1.0 + np.exp(-eta)))
    table = pd.DataFrame({"study": [f"study {k}" for k in range(number)], "events": events})
    return table.assign(total=total, **{f"x{k}": x[:, k] for k in range(moderators)})


def question(*, moderators: int = 0, effects: str = "normal") -> mc.ModelSpec:
    """Return the question that is asked of `arms`."""
    names = [f"x{k}" for k in range(moderators)]
    return mc.ModelSpec(likelihood="binomial", random_effects=effects, moderators=names)


def fitted(method: str, number: int, draws: int = 4000, **options: Any) -> Any:
    """Return a fit by one engine and no other."""
    moderators = options.get("moderators", 0)
    table = arms(number, moderators=moderators)
    fit = mc.fit(question(**options), table, method=method, draws=draws, seed=1, progress=False)
    if fit.attrs["method"] != method:
        raise SystemExit(f"{number} arms, {options}: {method} handed over")
    return fit


def timed(work: Callable[[], Any], *, runs: int = 5) -> tuple[float, float]:
    """Return the seconds of the best run after a first, and the process time of that run."""
    work()
    found = []
    for _ in range(runs):
        start = time.perf_counter(), time.process_time()
        work()
        found.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    return min(found)


def shown(what: str, taken: tuple[float, float], target: float | None, more: str = "") -> Row:
    """Return a line of seconds."""
    wall, process = taken
    words = f"{process:.2f} s of the processors" + (f"; {more}" if more else "")
    if target is None:
        return Row(what, f"{wall:.2f} s", more=words)
    return Row(what, f"{wall:.2f} s", f"{target:g} s", wall <= target, words)


def command(words: list[str]) -> float:
    """Return how long a fresh process takes, the median of five after a first."""
    taken = []
    for _ in range(6):
        start = time.perf_counter()
        subprocess.run(words, capture_output=True, check=True)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[1:])


def starts() -> Iterator[Row]:
    """Time fresh processes."""
    shell = str(Path(sys.executable).with_name("metacart"))
    for what, words, target in (
        ("import metacart", [sys.executable, "-c", "import metacart"], 0.4),
        ("metacart --help", [shell, "--help"], 0.5),
    ):
        taken = command(words)
        yield Row(what, f"{taken:.2f} s", f"{target} s", taken <= target)
    alone = measured(30, 1000)
    yield Row("first fit of a process, 30 arms", f"{alone['seconds']:.1f} s", more="with imports")


def fits() -> Iterator[Row]:
    """Time single fits by both engines."""
    effective = fitted("exact", 30, 1500, moderators=3).attrs["importance_ess"]
    taken = timed(lambda: fitted("exact", 30, 1500, moderators=3), runs=20)
    more = f"{effective:.0f} effective draws"
    yield shown("exact fit, 30 arms, three moderators", taken, 0.15, more)
    for effects in ("normal", "student_t"):
        exact = timed(lambda effects=effects: fitted("exact", 30, effects=effects), runs=3)
        nuts = timed(lambda effects=effects: fitted("nuts", 30, effects=effects), runs=3)
        name = effects.replace("_", "-")
        yield shown(f"exact fit, 30 arms, {name} effects", exact, None)
        ratio = f"NUTS / exact {nuts[0] / exact[0]:.1f}"
        yield shown(f"NUTS fit again, 30 arms, {name} effects", nuts, None, ratio)


def refits() -> Iterator[Row]:
    """Time what fits again."""
    fit = fitted("exact", 30)
    taken = timed(lambda: mc.leave_one_out(fit, progress=False), runs=2)
    yield shown("leave-one-out, 30 studies", taken, 2.0)
    # from a graph to draws: its function was compiled for a design of other counts
    spec, table, seeds = question(), arms(30), iter(range(100))
    sizes = {"draws": 1000, "tune": 1000, "chains": 4, "progress": False}

    def again() -> None:
        seed = next(seeds)
        events = np.minimum(table["events"] + seed, table["total"])
        function = compiled(build_model(spec, bind(spec, table.assign(events=events))))
        function.sample(seed=seed, target_accept=0.95, **sizes)

    yield shown("NUTS refit with the compiled function, 30 arms", timed(again), 0.3, "4000 draws")
    wall, _ = timed(lambda: fitted("exact", 20, 1000))
    yield Row("exact refits of 20 arms, 4000 draws", f"{1.0 / wall:.1f} a second")


def calibration() -> Iterator[Row]:
    """Time simulated data sets."""
    sets = 50
    start = time.perf_counter()
    mc.calibrate(question(), arms(20), simulations=sets, seed=1, progress=False)
    taken = 1000.0 / sets * (time.perf_counter() - start)
    what = "calibration, 1,000 data sets of 20 arms"
    yield Row(what, f"{taken:.0f} s", "120 s", taken <= 120.0, f"from {sets}")


def sizes() -> Iterator[Row]:
    """Time from few arms to many, each in a process of its own.

    Arms of the same counts are integrated once; those that a moderator tells apart are not.
    """
    for number, moderators in (*((size, 0) for size in SIZES), (SIZES[-1], 1)):
        what, last = f"exact fit, {number:,} arms", number == SIZES[-1]
        what += ", a numeric moderator" if moderators else ""
        target = "15 s, 2048 MiB" if last else ""
        try:
            found = measured(number, 1000, moderators=moderators)
        except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
            yield Row(what, "no result", target, False if last else None, type(error).__name__)
            continue
        seconds, memory = found["warm"], found["memory"]
        met = seconds <= 15.0 and memory <= 2048.0 if last else None
        more = f"{1e3 * seconds / number:.2f} ms an arm"
        yield Row(what, f"{seconds:.2f} s, {memory:.0f} MiB", target, met, more)


def measured(number: int, draws: int, *, moderators: int = 0) -> dict[str, float]:
    """Return seconds and memory of fits in a fresh process."""
    words = [sys.executable, __file__, "one", str(number), str(draws), str(moderators)]
    run = subprocess.run(words, capture_output=True, text=True, check=True, timeout=PATIENCE)
    found: dict[str, float] = json.loads(run.stdout)
    return found


def one(number: int, draws: int, moderators: int) -> None:
    """Print what two fits of this process take, the first with all it imports."""
    taken = []
    for _ in range(2):
        start = time.perf_counter()
        fitted("exact", number, draws, moderators=moderators)
        taken.append(time.perf_counter() - start)
    unit = 1024.0**2 if sys.platform == "darwin" else 1024.0  # bytes there, kibibytes elsewhere
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    print(json.dumps({"seconds": taken[0], "warm": taken[1], "memory": memory}))


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


PARTS: dict[str, Callable[[], Iterator[Row]]] = {
    "start": starts,
    "fit": fits,
    "refits": refits,
    "calibration": calibration,
    "sizes": sizes,
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[[], *PARTS], help="parts; all by default")
    names = parser.parse_args().names or list(PARTS)
    print(machine(), end="\n\n")
    print("| what | found | target | | |\n|---|---|---|---|---|")
    for name in names:
        for row in PARTS[name]():
            verdict = {None: "", True: "met", False: "**missed**"}[row.met]
            print("|", " | ".join([row.what, row.found, row.target, verdict, row.more]), "|")
            sys.stdout.flush()


if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        one(*map(int, sys.argv[2:5]))
    else:
        main()
