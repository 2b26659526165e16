"""What the prior of the bias of immortal time decides, study by study and value by value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metacart.inference.records import design_of, evidence_of
from metacart.modelling.design import scale_of
from metacart.results.numbers import describe, limit_errors, probability

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["BIASES", "adjusted_studies", "bias_is_prior", "fixed_biases"]

# log hazard ratios: none, and the range and the middle of comparisons simulated without an effect
BIASES: tuple[float, ...] = (0.0, -0.25, -0.45, -0.68)


def bias_is_prior(fit: xr.DataTree) -> bool:
    """Return whether the bias was taken off after a fit that says nothing about it."""
    design = design_of(fit)
    return "naive" in fit.children and bool((design["biased"] > 0).all())


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
    theta = fit["posterior"]["theta"].transpose("finding", "chain", "draw")
    draws = [scale.inverse(each) for each in theta.to_numpy()]
    return pd.DataFrame(
        [
            {"finding": finding, "study": study, **describe(each), **limit_errors(each)}
            for finding, study, each in zip(
                theta["finding"].to_numpy(), evidence_of(fit)["study"].astype(str), draws,
                strict=True,
            )
        ]
    )  # fmt: skip


def fixed_biases(fit: xr.DataTree) -> pd.DataFrame:
    """Return the pooled ratio if the bias were known to have one value or another.

    Parameters
    ----------
    fit : DataTree
        From ``fit``, of a transplant question whose studies all carry the bias.

    Returns
    -------
    DataFrame
        One row a value of b, on the log scale: ``bias``; ``median``, ``lower``, ``upper`` (95 %
        equal-tailed interval) of the ratio of the median study, ``mcse``, ``mcse_lower``,
        ``mcse_upper``; and ``p_below_one``.

    Notes
    -----
    The naive draws of mu less b: nothing is fitted again.
    """
    import pandas as pd

    mu = fit["naive"]["mu"].transpose("chain", "draw").to_numpy()
    rows = []
    for bias in BIASES:
        ratio = np.exp(mu - bias)
        share = probability(ratio < 1.0)["median"]
        rows.append({"bias": bias, **describe(ratio), **limit_errors(ratio), "p_below_one": share})
    return pd.DataFrame(rows)
