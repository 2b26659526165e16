"""A fit as one DataTree: its groups in their order, and what it says of itself."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import xarray as xr

    from metacart.inference.gate import Attempt

__all__ = ["GROUPS", "as_fit"]

GROUPS = (
    "posterior",
    "posterior_findings",
    "naive",
    "naive_findings",
    "prior",
    "estimands",
    "prior_estimands",
    "posterior_predictive",
    "prior_predictive",
    "log_likelihood",
    "log_prior",
    "sample_stats",
    "observed_data",
    "constant_data",
)


def as_fit(
    groups: Mapping[str, xr.Dataset],
    identity: Mapping[str, str],
    *,
    seed: int,
    method: str,
    attempts: Iterable[Attempt],
    priors: Mapping[str, Any],
    failure: str,
    exact: Mapping[str, float],
) -> xr.DataTree:
    """Return the fit; `failure` is empty where the draws passed the gate."""
    import xarray as xr

    tree = xr.DataTree.from_dict({name: groups[name] for name in GROUPS if name in groups})
    kept = groups.get("posterior_findings", groups["posterior"])
    tree.attrs = {
        **identity,
        "seed": seed,
        "method": method,
        "attempts": json.dumps([attempt._asdict() for attempt in attempts]),
        "priors": json.dumps({name: str(prior) for name, prior in priors.items()}),
        "converged": int(not failure),
        "gate": failure or "passed",
        "finding_draws": kept.sizes["chain"] * kept.sizes["draw"],
        **exact,
    }
    return tree
