"""What every table about the bias of immortal time needs to know of a fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.errors import Fault, InputError
from metacart.inference.keeping import CacheLike
from metacart.inference.kept import at_kept_draws
from metacart.inference.records import design_of, evidence_of, spec_of
from metacart.inference.refits import Refit, Run, Variant, refit_all
from metacart.modelling.design import scale_of
from metacart.modelling.likelihoods import Likelihoods
from metacart.records.spec import ModelSpec
from metacart.results.numbers import describe, limit_errors
from metacart.results.summary import estimand_draws

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = [
    "Ratios",
    "adjusted_studies",
    "bias_is_prior",
    "check_biased",
    "fitted_again",
    "has_bias",
    "ratio_numbers",
    "ratios_of",
]

Array = NDArray[np.float64]
Ratios = Mapping[str, Array]


def has_bias(fit: xr.DataTree) -> bool:
    """Return whether a fit is of comparisons of which some carry the bias."""
    return "naive" in fit.children


def bias_is_prior(fit: xr.DataTree) -> bool:
    """Return whether the bias was taken off after a fit that says nothing about it."""
    return has_bias(fit) and bool((design_of(fit)["biased"] > 0).all())


def check_biased(fit: xr.DataTree) -> None:
    """Refuse a fit in which there is no bias of immortal time to vary."""
    spec = spec_of(fit)
    if has_bias(fit):
        return
    found = f"{spec.name}, a fit of the likelihood '{spec.likelihood}'"
    if "biased" in design_of(fit):
        found = f"{spec.name}, in which every comparison handles immortal time"
    allowed = "a transplant question with comparisons that do not handle immortal time"
    raise InputError(Fault("fit", found, allowed, "such as fit('hsct_benefit_os')"))


def ratios_of(fit: xr.DataTree, *, group: str) -> Ratios:
    """Return draws of the named ratios of a reading: ``naive`` or ``posterior``.

    Where no comparison carries the bias both readings are one.
    """
    return estimand_draws(fit, group=group if group in fit.children else "posterior")


def fitted_again(
    fit: xr.DataTree,
    spec: ModelSpec,
    evidence: pd.DataFrame,
    likelihoods: Likelihoods | None,
    cache: CacheLike | None = None,
) -> Refit[Mapping[str, Ratios]]:
    """Return the ratios of each reading of a changed question, or why there are none."""
    (found,) = refit_all(
        [Variant(spec.name, spec, evidence)],
        read=_readings,
        run=Run.of(fit, likelihoods, cache),
        progress=False,
    )
    return found


def _readings(fit: xr.DataTree, _given: None) -> Mapping[str, Ratios]:
    return {group: ratios_of(fit, group=group) for group in ("naive", "posterior")}


def ratio_numbers(draws: Array) -> dict[str, float]:
    """Return median, interval and their Monte Carlo errors of a ratio, and P(ratio < 1)."""
    below = {"p_below_one": float(np.mean(draws < 1.0))}
    return describe(draws) | limit_errors(draws) | below


def adjusted_studies(fit: xr.DataTree) -> pd.DataFrame:
    """Return each study's own ratio as the model sees it, with the bias taken off.

    Parameters
    ----------
    fit : DataTree
        From ``fit``, of a transplant question.

    Returns
    -------
    DataFrame
        One row a finding: ``finding``, ``study``, ``median``, ``lower``, ``upper`` (the 95 %
        equal-tailed interval) of exp(theta), with Monte Carlo standard errors ``mcse``,
        ``mcse_lower``, ``mcse_upper``.
    """
    import pandas as pd

    scale = scale_of(design_of(fit))
    theta = at_kept_draws(fit)["posterior"]["theta"].transpose("finding", "chain", "draw")
    draws = [scale.inverse(each) for each in theta.to_numpy()]
    rows: list[dict[str, Any]] = [
        {"finding": finding, "study": study, **describe(each), **limit_errors(each)}
        for finding, study, each in zip(
            theta["finding"].to_numpy(), evidence_of(fit)["study"].astype(str), draws, strict=True
        )
    ]
    return pd.DataFrame(rows)
