"""Every interval of each study and of the named estimands at once: their tail functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from metacart.errors import named_options
from metacart.inference.one_mean import of_one_mean
from metacart.inference.records import design_of, evidence_of, group_of
from metacart.modelling.design import scale_of
from metacart.results.conditional_means import view_of
from metacart.results.summary import estimand_draws, views_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["drapery_table"]

Array = NDArray[np.float64]
_STEPS = 200


@named_options
@of_one_mean
def drapery_table(fit: xr.DataTree) -> pd.DataFrame:
    """Return the posterior tail functions of each study and of the named estimands.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.

    Returns
    -------
    DataFrame
        For each finding (``row`` is ``study``) and each named estimand (``estimand``) 199 rows:
        ``name`` and ``label``, ``value`` on the natural scale, ``below``, the posterior probability
        of a lower one, from 0.005 to 0.995, and ``tail``, twice the smaller of ``below`` and
        1 - ``below``.

    Notes
    -----
    The tail function is the Bayesian twin of the p-value function (Infanger and Schmidt-Trucksäss
    2019): the values whose tail is above 0.05 are the 95 % equal-tailed interval, those above 0.5
    the 50 % one, and it is 1 at the median. At a value of no difference it is twice the posterior
    probability of the less likely direction; it is no p-value. Studies are as the model sees them
    beside the others. Of a transplant question they are naive, as the ratios were printed.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.drapery_table(mc.fit("cr_rate"))  # doctest: +SKIP
    """
    import pandas as pd

    design, evidence = design_of(fit), evidence_of(fit)
    scale, below = scale_of(design), np.arange(1, _STEPS) / _STEPS
    theta = group_of(fit, view_of(fit))["theta"].transpose("finding", "chain", "draw").to_numpy()
    studies = evidence["study"].astype(str).tolist()
    labels = evidence["label"].tolist() if "label" in evidence else studies
    found: list[tuple[str, str, str, Array]] = []
    for position, name in enumerate(design["finding"].to_numpy().tolist()):
        label = labels[position] if isinstance(labels[position], str) else studies[position]
        values = scale.inverse(np.quantile(theta[position], below))
        found.append(("study", str(name), label, values))
    for group, words in views_of(fit).items():
        for name, draws in estimand_draws(fit, group=group).items():
            label = f"{name} ({words})" if words else name
            found.append(("estimand", label, label, np.quantile(draws, below)))
    tail = 2.0 * np.minimum(below, 1.0 - below)
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "row": row,
                    "name": name,
                    "label": label,
                    "value": values,
                    "below": below,
                    "tail": tail,
                }
            )
            for row, name, label, values in found
        ],
        ignore_index=True,
    )
