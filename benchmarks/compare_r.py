"""The same analyses by metacart and by R: bayesmeta, JAGS, brms and metafor, where they are there.

Run with ``uv run python benchmarks/compare_r.py``. It needs ``Rscript``; each package that is
absent is skipped with one line. Data and priors are the same on both sides, except for metafor,
which has no priors: its rows are maximum likelihood. Seconds are those of a second fit by metacart,
of the only one by R, and of brms without its compilation.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from engines import machine

import metacart as mc
from metacart.results.summary import estimand_draws

SEED, DRAWS = 1, 10_000
P = (0.5, 0.025, 0.975)

# events and total of both groups: 13 trials of BCG against tuberculosis (Colditz 1994)
_BCG = """4 123 11 139  6 306 29 303  3 231 11 220  62 13598 248 12867  33 5069 47 5808
180 1541 372 1451  8 2545 10 629  505 88391 499 88391  29 7499 45 7277  17 1716 65 1665
186 50634 141 27338  5 2498 3 2341  27 16913 29 17854"""
# acute rejections with and without an interleukin-2 receptor antibody (Crins 2014)
_CRINS = "14 61 15 20  16 28 19 28  3 18 8 12  9 54 29 54  4 36 11 36  0 50 3 34"
# coaching in eight schools, effect and standard error (Rubin 1981)
_SCHOOLS = "28.39 14.9 7.94 10.2 -2.75 16.3 6.82 11 -0.64 9.4 0.63 11.4 18.01 10.4 12.16 17.6"
# good outcome after a ruptured aneurysm, 14 series (Pritz 1997)
_ANEURYSMS = """16 17 10 12 4 8 43 58 10 10 25 42 13 14 12 12 22 41 4 5 5 6 18 23 58 68 6 10"""


def _table(numbers: str, *columns: str) -> pd.DataFrame:
    values = np.asarray(numbers.split(), dtype=float).reshape(-1, len(columns))
    table = pd.DataFrame(values, columns=pd.Index(columns))
    if "events" in columns:
        table = table.astype(int)
    return table.assign(study=[f"study {n + 1}" for n in range(len(table))])


def _log_odds_ratios(counts: pd.DataFrame) -> pd.DataFrame:
    """Return log odds ratios with their standard errors; half a patient more where a cell is 0."""
    cells = pd.DataFrame(
        {
            "a": counts["events"],
            "b": counts["total"] - counts["events"],
            "c": counts["control_events"],
            "d": counts["control_total"] - counts["control_events"],
        }
    )
    cells = cells + 0.5 * (cells == 0).any(axis=1).to_numpy()[:, None]
    estimate = np.log(cells["a"] * cells["d"] / (cells["b"] * cells["c"]))
    return pd.DataFrame(
        {"study": counts["study"], "estimate": estimate, "se": np.sqrt((1 / cells).sum(axis=1))}
    )


_GROUPS = ("events", "total", "control_events", "control_total")
_COUNTS = _table(_BCG, *_GROUPS)
TABLES = {
    "bcg_counts": _COUNTS,
    "bcg_ratios": _log_odds_ratios(_COUNTS),
    "crins": _log_odds_ratios(_table(_CRINS, *_GROUPS)),
    "schools": _table(_SCHOOLS, "estimate", "se"),
    "aneurysms": _table(_ANEURYSMS, "events", "total"),
}


def _spec(likelihood: str, mu: str, *, effects: str = "normal", **priors: str) -> mc.ModelSpec:
    scale = {"scale": "identity"} if likelihood == "normal" else {}
    return mc.ModelSpec(
        likelihood=likelihood, random_effects=effects, priors={"mu": mu, **priors}, **scale
    )


_TWO_ARM = {"tau": "HalfNormal(0.5)", "baseline": "Normal(0, 5)"}
SPECS = {
    "bcg_ratios": _spec("normal", "Normal(0, 2)", tau="HalfNormal(0.5)"),
    "crins": _spec("normal", "Normal(0, 2)", tau="HalfNormal(0.5)"),
    "schools": _spec("normal", "Normal(0, 50)", tau="HalfNormal(10)"),
    "aneurysms": _spec("binomial", "Normal(0, 1.5)", tau="HalfNormal(1)"),
    "aneurysms, beta-binomial": _spec(
        "beta_binomial", "Normal(0, 1.5)", effects="none", rho="Beta(1, 5)"
    ),
    "bcg_counts": _spec("two_arm", "Normal(0, 1.5)", **_TWO_ARM),
    "bcg_counts, Student t": _spec("two_arm", "Normal(0, 1.5)", effects="student_t", **_TWO_ARM),
}


def quantiles(draws: np.ndarray, effective: float) -> tuple[np.ndarray, np.ndarray]:
    """Return median and limits, and the Monte Carlo error of each."""
    p, near = np.asarray(P), 0.005
    at, above, below = (np.quantile(draws, p + step) for step in (0.0, near, -near))
    return at, np.sqrt(p * (1 - p) / effective) * (above - below) / (2 * near)


def fitted(name: str) -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], float]:
    """Return the numbers of each quantity of an analysis, and the seconds of a second fit."""
    table = TABLES[name.partition(",")[0]]
    for _ in range(2):
        start = time.perf_counter()
        fit = mc.fit(
            SPECS[name], table, method="exact", draws=DRAWS, seed=SEED, progress=False
        )  # fmt: skip
        seconds = time.perf_counter() - start
    posterior = fit["posterior"]
    draws = {each: posterior[each].to_numpy() for each in ("mu", "tau", "rho") if each in posterior}
    if SPECS[name].likelihood == "normal":
        draws["next study"] = estimand_draws(fit)["next study"]
    drawn = next(iter(draws.values())).size
    effective = 1 / (1 / drawn + 1 / fit.attrs["importance_ess"])
    return {each: quantiles(values, effective) for each, values in draws.items()}, seconds


def by_r() -> pd.DataFrame:
    """Return what R finds, and print what it says."""
    program = shutil.which("Rscript")
    if program is None:
        sys.exit("skipped: there is no Rscript on this machine")
    with tempfile.TemporaryDirectory() as folder:
        for name, table in TABLES.items():
            table.to_csv(Path(folder) / f"{name}.csv", index=False)
        script = Path(__file__).with_suffix(".R")
        subprocess.run([program, str(script), folder], check=True)
        return pd.read_csv(Path(folder) / "results.csv")


def _words(numbers: np.ndarray) -> str:
    median, lower, upper = (f"{number:.3f}".replace("nan", "") for number in numbers)
    return f"{median} ({lower} to {upper})" if lower else median


def main() -> None:
    """Print a row for each analysis, package and quantity."""
    print(machine(), f"{4 * DRAWS:,} draws", sep="; ", end="\n\n")
    found = by_r()
    ours = {name: fitted(name) for name in SPECS if name in set(found["analysis"])}
    print(
        "\n| analysis | quantity | R | in R: median (95 %) | metacart | largest deviation, SD "
        "| Monte Carlo errors | seconds in R | metacart | ratio |\n" + "|---" * 10 + "|"
    )
    names = ["median", "lower", "upper"]
    for row in found.to_dict("records"):
        values, seconds = ours[row["analysis"]]
        theirs = np.asarray([row[name] for name in names])
        errors = np.nan_to_num(np.asarray([row[f"mcse_{name}"] for name in names], dtype=float))
        own, error = values[row["quantity"]]
        spread = (own[2] - own[1]) / 3.92
        off = np.abs(own - theirs)
        agreement = f"{np.max(off) / spread:.3f} | {np.max(off / np.hypot(error, errors)):.1f}"
        if row["package"] == "metafor":
            agreement = "no priors |"
        print(
            f"| {row['analysis']} | {row['quantity']} | {row['package']} {row['version']} "
            f"| {_words(theirs)} | {_words(own)} | {agreement} | {row['seconds']:.2f} "
            f"| {seconds:.2f} | {row['seconds'] / seconds:.1f} |"
        )
    print(f"\nmetacart {version('metacart')}, seed {SEED}")


if __name__ == "__main__":
    main()
