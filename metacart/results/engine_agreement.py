"""The verb ``compare_engines``: exact draws beside draws of NUTS, in Monte Carlo errors."""

from __future__ import annotations

import json
from dataclasses import replace
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from metacart.errors import Fault, InputError, named_options
from metacart.inference.estimands import with_estimands
from metacart.inference.fit import fit as fit_again
from metacart.inference.keeping import Cache, CacheLike, cache_of
from metacart.inference.keys import key_of
from metacart.inference.one_mean import is_system
from metacart.inference.records import attribute, design_of, evidence_of, spec_of
from metacart.inference.refits import Run
from metacart.inference.systems import reported_of
from metacart.modelling.likelihoods import Likelihoods

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["compare_engines", "kept_comparison"]

_CHANCE = 0.01  # that engines which agree show a difference this large anywhere
_STATISTICS: dict[str, dict[str, Any]] = {
    "mean": {"method": "mean"},
    "lower": {"method": "quantile", "prob": 0.025},
    "upper": {"method": "quantile", "prob": 0.975},
}


@named_options
def compare_engines(
    fit: xr.DataTree,
    *,
    likelihoods: Likelihoods | None = None,
    cache: CacheLike | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Draw an exact fit by NUTS too, and compare all that is reported.

    Parameters
    ----------
    fit : DataTree
        From ``fit``, drawn by the exact engine.
    likelihoods : mapping of str to Likelihood or System, optional
        Those of the fit, where they are not the shipped ones.
    cache : Cache or path, optional
        Keeps the comparison, which ``report`` then shows; what is kept there is not made again.
    progress : bool, optional
        Whether to show a bar; by default in a terminal or a notebook.

    Returns
    -------
    DataFrame
        One row a quantity (parameters, true values of findings, named estimands) and
        ``statistic`` (``mean``, and ``lower`` and ``upper``, the 2.5 and 97.5 % quantiles):
        ``exact`` and ``nuts``, the Monte Carlo error ``mcse`` of their difference, and ``errors``,
        the difference as a multiple of it. ``attrs`` holds ``bound``, which the largest of so many
        multiples passes once in a hundred where the engines agree, ``agree``, and ``words``.

    Raises
    ------
    InputError
        For a fit that NUTS has drawn, and where the draws of NUTS must not be used.

    Notes
    -----
    Rates are compared on the model scale. The error of exact draws is that of as many independent
    ones as the importance weights are worth. Of a transplant question whose data say nothing about
    b the naive draws are compared: the rest is the same arithmetic. NUTS compiles for seconds.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.compare_engines(mc.fit("cr_rate", seed=1)).attrs["words"]  # doctest: +SKIP
    """
    if (method := attribute(fit, "method")) != "exact":
        found = f"drawn by {method.upper()}: nothing to compare"
        raise InputError(
            Fault("fit", found, "a fit of the exact engine", "metacart.fit(..., method='exact')")
        )
    kept = cache_of(cache)
    key = None if kept is None else _key(fit, likelihoods)
    if kept is not None and key is not None and (stored := kept.find_value(key)) is not None:
        return _as_table(stored)
    run = Run.of(fit)
    other = fit_again(
        spec_of(fit),
        evidence_of(fit),
        method="nuts",
        draws=run.draws,
        chains=run.chains,
        seed=run.seed,
        likelihoods=likelihoods,
        progress=progress,
    )
    if other.attrs["method"] != "nuts" or not other.attrs["converged"]:
        found = f"the draws of NUTS must not be used: {_failure_of_nuts(other)}"
        raise InputError(Fault("fit", found, "a model that NUTS can draw", "fit with more draws"))
    rows = _compared(fit, other)
    if kept is not None and key is not None:
        kept.keep_value(key, rows)
    return _as_table(rows)


def _failure_of_nuts(fit: xr.DataTree) -> str:
    """Return why NUTS has no draws, also where the exact engine took over from it."""
    if not fit.attrs["converged"]:
        return str(fit.attrs["gate"])
    attempts = json.loads(str(fit.attrs["attempts"]))
    return str([each["failure"] for each in attempts if each["method"] == "nuts"][-1])


def kept_comparison(fit: xr.DataTree, cache: Cache | None) -> pd.DataFrame | None:
    """Return the comparison that is kept of a fit; nothing is drawn."""
    if cache is None or fit.attrs["method"] != "exact" or (key := _key(fit, None)) is None:
        return None
    # it is made by its own verb alone: where all else is fitted anew, it still stands
    stored = replace(cache, fresh=False).find_value(key)
    return None if stored is None else _as_table(stored)


def _key(fit: xr.DataTree, likelihoods: Likelihoods | None) -> str | None:
    run = Run.of(fit)
    numbers = {"draws": run.draws, "chains": run.chains, "seed": run.seed}
    return key_of(
        spec_of(fit), evidence_of(fit), "engines", run=numbers, likelihoods=likelihoods
    )  # fmt: skip


def _compared(exact: xr.DataTree, nuts: xr.DataTree) -> list[dict[str, Any]]:
    import arviz as az

    draws = [_reported(each) for each in (exact, nuts)]
    number = draws[0].sizes["chain"] * draws[0].sizes["draw"]
    # draws that were resampled with weights are worth fewer than they are
    worth = min(float(exact.attrs["importance_ess"]), number)
    inflated = (np.sqrt(number / worth), 1.0)
    rows: list[dict[str, Any]] = []
    for statistic, asked in _STATISTICS.items():
        values = [_statistic(each, asked) for each in draws]
        errors = [
            az.mcse(each, **asked) * factor for each, factor in zip(draws, inflated, strict=True)
        ]
        for name in [each for each in values[0].data_vars if each in values[1]]:
            one, two = (each[name].to_numpy() for each in values)
            error = np.hypot(*(each[name].to_numpy() for each in errors))
            for index in np.ndindex(one.shape):
                label = ", ".join(
                    str(values[0][dim].to_numpy()[place])
                    for dim, place in zip(values[0][name].dims, index, strict=True)
                )
                numbers = float(one[index]), float(two[index]), float(error[index])
                if numbers[2] > 0.0:  # a quantity that is one number in both has none
                    head = {"quantity": f"{name} {label}".strip(), "statistic": statistic}
                    rows.append(head | dict(zip(("exact", "nuts", "mcse"), numbers, strict=True)))
    return rows


def _reported(fit: xr.DataTree) -> xr.Dataset:
    if is_system(fit):
        return reported_of(fit)
    group = "naive" if "naive" in fit.children else "posterior"
    return with_estimands(
        fit[group].to_dataset(),
        spec=spec_of(fit),
        design=design_of(fit),
        seed=int(fit.attrs["seed"]),
    )


def _statistic(draws: xr.Dataset, asked: dict[str, Any]) -> xr.Dataset:
    dims = ("chain", "draw")
    if asked["method"] == "mean":
        return draws.mean(dims)
    return draws.quantile(asked["prob"], dims).drop_vars("quantile")


def _as_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    table = pd.DataFrame(rows)
    table["errors"] = (table["exact"] - table["nuts"]) / table["mcse"]
    bound = NormalDist().inv_cdf(1.0 - _CHANCE / (2 * len(table)))
    largest = float(table["errors"].abs().max())
    agree = largest <= bound
    words = (
        f"The exact engine and NUTS {'agree' if agree else 'do not agree'}: of {len(table)} means "
        f"and limits the farthest apart differ by {largest:.1f} Monte Carlo standard errors; "
        f"chance alone passes {bound:.1f} once in a hundred such comparisons."
    )
    table.attrs = {"bound": bound, "agree": bool(agree), "words": words}
    return table
