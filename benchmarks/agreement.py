"""Do the exact engine and NUTS agree on the shipped questions: a table for the README beside this.

Run with ``uv run python benchmarks/agreement.py``; names do some questions only. With ``--keep``
the comparisons go to your own cache, so that reports show them.
"""

from __future__ import annotations

import sys
import time
import warnings

import metacart as mc
from metacart.commands.options import cache_in


def main(arguments: list[str]) -> None:
    """Print one row a question."""
    warnings.simplefilter("ignore")
    cache = cache_in(None) if "--keep" in arguments else None
    names = [name for name in arguments if not name.startswith("--")] or mc.list_models()
    print("| question | findings | compared | farthest apart, in errors | bound | verdict | NUTS |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for name in names:
        spec = mc.load_model(name)
        try:
            evidence = mc.tabulate(mc.load_studies(), spec)
            fit = mc.fit(spec, evidence, seed=1, cache=cache, progress=False)
        except mc.InputError as error:
            print(f"| {name} | | | | | {error.faults[0].found} | |", flush=True)
            continue
        row = f"| {name} | {len(evidence)} |"
        if fit.attrs["method"] != "exact":
            print(f"{row} | | | drawn by NUTS alone | |", flush=True)
            continue
        started = time.perf_counter()
        try:
            table = mc.compare_engines(fit, cache=cache, progress=False)
        except mc.InputError as error:
            print(f"{row} | | | {error.faults[0].found} | |", flush=True)
            continue
        seconds = time.perf_counter() - started
        worst = table.loc[table["errors"].abs().idxmax()]
        verdict = "agree" if table.attrs["agree"] else "do not agree"
        print(
            f"{row} {len(table)} | {abs(worst['errors']):.1f} ({worst['quantity']}, "
            f"{worst['statistic']}) | {table.attrs['bound']:.1f} | {verdict} | {seconds:.0f} s |",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
