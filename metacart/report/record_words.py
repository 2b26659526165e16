"""How a fit was computed, in words, and by what it can be made again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metacart.report.check_tables import ENGINES
from metacart.report.words import capital, count_of, decimals, grouped, join

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["diagnosis_words", "record_of"]


def diagnosis_words(fit: xr.DataTree, frame: pd.DataFrame) -> str:
    """Say whether the computation worked."""
    verdict = "Passed." if fit.attrs["converged"] else "Failed: the result must not be used."
    whole = frame.iloc[0]
    if fit.attrs["method"] == "exact":
        parts = [f"Pareto k̂ of the importance weights {decimals(whole['pareto_k'])}"]
        parts.append(f"effective sample size {grouped(whole['importance_ess'])}")
    else:
        parts = [f"{count_of(int(whole['divergences']), 'divergent transition')}"]
        if frame["r_hat"].notna().any():
            parts.append(f"largest R̂ {frame['r_hat'].max():.3f}")
        smallest = frame[["ess_bulk", "ess_tail"]].min().min()
        parts.append(f"smallest effective sample size {grouped(smallest)}")
    gate = "" if fit.attrs["converged"] else f" The gate: {frame.attrs['gate']}."
    return f"{verdict} {capital(join(parts))}.{gate}"


def record_of(fit: xr.DataTree) -> dict[str, str]:
    """Return by what a fit can be made again."""
    sizes, exact = fit["posterior"].sizes, fit.attrs["method"] == "exact"
    made = "resampled by their importance weights" if exact else "after tuning"
    return {
        "Seed": str(fit.attrs["seed"]),
        "Draws": f"{sizes['chain']} chains of {grouped(sizes['draw'])}, {made}",
        "Method": ENGINES.get(str(fit.attrs["method"]), str(fit.attrs["method"])),
        "Hash of the question": str(fit.attrs["spec_hash"]),
        "Hash of the evidence": str(fit.attrs["evidence_hash"]),
    }
