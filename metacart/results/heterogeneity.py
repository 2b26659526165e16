"""How much studies differ, and each study's estimate alone and with the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from metacart.inference.records import design_of, evidence_of
from metacart.modelling.design import scale_of
from metacart.results.numbers import describe

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["heterogeneity", "study_estimates"]

Array = NDArray[np.float64]


def heterogeneity(fit: xr.DataTree) -> pd.DataFrame:
    """Return the spread between studies.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.

    Returns
    -------
    DataFrame
        Rows ``tau``, ``tau squared`` and, from two findings on, ``I squared``; columns
        ``quantity``, ``median``, ``lower``, ``upper``, ``note``. Empty without random effects.

    Notes
    -----
    I² is tau² over tau² plus the typical within-study variance
    (k - 1) Σw / ((Σw)² - Σw²), w = 1/v, of Higgins and Thompson (2002). It is a convenience: for
    proportions it grows with the size of the studies and misleads; read tau and the next study.
    """
    import pandas as pd

    columns = ["quantity", "median", "lower", "upper", "note"]
    if "tau" not in fit["posterior"]:
        return pd.DataFrame(columns=columns)
    tau = fit["posterior"]["tau"].transpose("chain", "draw").to_numpy()
    scale = scale_of(design_of(fit))
    rows = [
        {"quantity": "tau", **describe(tau), "note": f"on the {scale.linear} scale"},
        {"quantity": "tau squared", **describe(tau**2), "note": f"on the {scale.linear} scale"},
    ]
    weights = 1.0 / design_of(fit)["variance"].to_numpy()
    if weights.size > 1:
        total = weights.sum()
        typical = (weights.size - 1) * total / (total**2 - (weights**2).sum())
        caution = "a convenience that misleads for proportions: it grows with study size"
        rows.append(
            {"quantity": "I squared", **describe(tau**2 / (tau**2 + typical)), "note": caution}
        )
    return pd.DataFrame(rows)[columns]


def study_estimates(fit: xr.DataTree) -> pd.DataFrame:
    """Return each finding's estimate alone and shrunken towards the others.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.

    Returns
    -------
    DataFrame
        One row a finding, on the natural scale: ``finding``, ``study``, ``crude``,
        ``crude_lower``, ``crude_upper`` (exact Clopper-Pearson interval for counts, the normal
        one for estimates), ``shrunken``, ``shrunken_lower``, ``shrunken_upper`` (posterior median
        and 95 % equal-tailed interval of theta) and ``weight`` in percent.

    Notes
    -----
    The weight is the share of the information on the pooled mean at the posterior median of tau:
    omega_s = w_s / (1 + tau² w_s) for a study with w_s = Σ 1/v_i, divided among its findings as
    1/v_i. It describes; the fit does not use it. For a transplant question with two readings the
    shrunken estimates are those of the naive one, which is on the scale of what was printed.
    """
    import pandas as pd

    design = design_of(fit)
    scale = scale_of(design)
    sample = fit["naive" if "naive" in fit.children else "posterior"]
    theta = sample["theta"].transpose("chain", "draw", "finding").to_numpy()
    quantiles = np.quantile(theta, [0.5, 0.025, 0.975], axis=(0, 1))
    shrunken, lower, upper = (scale.inverse(values) for values in quantiles)
    evidence = evidence_of(fit)
    lower_limit, upper_limit = design["crude_lower"].to_numpy(), design["crude_upper"].to_numpy()
    if "ratio" in evidence and ("level" not in evidence or (evidence["level"] == 0.95).all()):
        # as printed: the limits of the normal interval may differ from them in the last digit
        lower_limit, upper_limit = evidence["lower"].to_numpy(), evidence["upper"].to_numpy()
    return pd.DataFrame(
        {
            "finding": design["finding"].to_numpy(),
            "study": evidence["study"].astype(str),
            "crude": design["crude"].to_numpy(),
            "crude_lower": lower_limit,
            "crude_upper": upper_limit,
            "shrunken": shrunken,
            "shrunken_lower": lower,
            "shrunken_upper": upper,
            "weight": _weights(fit),
        }
    )


def _weights(fit: xr.DataTree) -> Array:
    design = design_of(fit)
    tau = float(fit["posterior"]["tau"].median()) if "tau" in fit["posterior"] else 0.0
    information = 1.0 / design["variance"].to_numpy()
    group = design["group"].to_numpy()
    by_study = np.bincount(group, information)
    omega = by_study / (1.0 + tau**2 * by_study)
    share = information / by_study[group] * omega[group]
    return np.asarray(100.0 * share / share.sum())
