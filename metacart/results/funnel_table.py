"""The studies of a funnel plot: how large each ratio is, how precise, and what its p would be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metacart.errors import named_options
from metacart.inference.one_mean import of_one_mean
from metacart.inference.records import evidence_of
from metacart.results.numbers import describe
from metacart.results.ratio_evidence import ratio_evidence
from metacart.results.summary import estimand_draws

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["LEVELS", "funnel_table"]

LEVELS = (0.01, 0.05, 0.1)  # of p, where the shades of a funnel change (Peters and others 2008)


@named_options
@of_one_mean
def funnel_table(fit: xr.DataTree) -> pd.DataFrame:
    """Return each study's ratio with its standard error and the p against no difference.

    Parameters
    ----------
    fit : DataTree
        From ``fit``, of ratios with standard errors, without moderators; one a study.

    Returns
    -------
    DataFrame
        Columns ``study``, ``label``, ``ratio``, ``lower``, ``upper`` (95 %, of the study alone),
        ``se`` (of the log ratio) and ``p`` (two-sided, from the two), the most precise first.
        ``attrs["pooled"]`` is the ratio of the median study: posterior median and 95 % limits;
        for transplant the naive one, as the ratios are.

    Raises
    ------
    InputError
        For anything but printed ratios with standard errors, for moderators, and for several
        ratios of a study.

    Examples
    --------
    >>> import metacart as mc
    >>> spec = mc.load_model("hsct_benefit_os").model_copy(update={"kinds": ("ratio",)})
    >>> mc.funnel_table(mc.fit(spec))  # doctest: +SKIP
    """
    import pandas as pd
    from scipy.special import ndtr

    ratios = ratio_evidence(fit, what="a funnel plot", force=True)
    evidence = evidence_of(fit)
    studies = evidence["study"].astype(str)
    labels = evidence.get("label", studies)
    half = 1.959963984540054 * ratios.se
    table = pd.DataFrame(
        {
            "study": studies,
            "label": labels.where(labels.notna(), studies).astype(str),
            "ratio": np.exp(ratios.estimate),
            "lower": np.exp(ratios.estimate - half),
            "upper": np.exp(ratios.estimate + half),
            "se": ratios.se,
            "p": 2.0 * ndtr(-np.abs(ratios.estimate) / ratios.se),
        }
    )
    group = "naive" if "naive" in fit.children else "posterior"
    pooled = describe(estimand_draws(fit, group=group)["median study"])
    table = table.sort_values("se", kind="stable", ignore_index=True)
    table.attrs["pooled"] = {name: pooled[name] for name in ("median", "lower", "upper")}
    return table
