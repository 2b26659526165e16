"""Our estimates beside those of published meta-analyses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metacart.errors import named_options
from metacart.inference.one_mean import of_one_mean
from metacart.inference.records import spec_of
from metacart.results.numbers import describe
from metacart.results.summary import estimand_draws, views_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["compare_published"]

_COLUMNS = (
    "source",
    "pooled",
    "estimate",
    "lower",
    "upper",
    "studies",
    "patients",
    "at",
    "differs",
    "estimand",
    "ours",
    "ours_lower",
    "ours_upper",
    "overlaps",
)


@named_options
@of_one_mean
def compare_published(fit: xr.DataTree) -> pd.DataFrame:
    """Return the published pooled estimates that the spec names, beside our own.

    Parameters
    ----------
    fit : DataTree
        From ``fit``, with a spec that has ``published``.

    Returns
    -------
    DataFrame
        One row a published estimate, on the natural scale: ``source``, what it ``pooled``,
        ``estimate`` with ``lower`` and ``upper`` as printed (NaN where they were not seen),
        ``studies`` and ``patients``, the place ``at``, why it ``differs``; then our ``estimand``
        (population average of a rate, median study of a ratio), ``ours`` with ``ours_lower`` and
        ``ours_upper`` (median, 95 % equal-tailed) and whether the two intervals overlap. Of a
        transplant question ours is the naive one: published pools take no immortal time off.
        Empty where the spec names none.

    Notes
    -----
    Published pools share most trials with the bundled studies: agreement checks the machinery,
    it is no independent confirmation.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.compare_published(mc.fit("cr_rate"))  # doctest: +SKIP
    """
    import pandas as pd

    spec = spec_of(fit)
    group = "naive" if "naive" in views_of(fit) else next(iter(views_of(fit)))
    draws = estimand_draws(fit, group=group)
    name = "population average" if "population average" in draws else "median study"
    own = describe(draws[name])
    words = f"{name}, naive" if group == "naive" else name
    rows = []
    for each in spec.published:
        lower = np.nan if each.lower is None else each.lower
        upper = np.nan if each.upper is None else each.upper
        known = each.lower is not None
        rows.append(
            {
                "source": each.paper,
                "pooled": each.pooled,
                "estimate": each.estimate,
                "lower": lower,
                "upper": upper,
                "studies": np.nan if each.studies is None else each.studies,
                "patients": np.nan if each.patients is None else each.patients,
                "at": each.at,
                "differs": each.differs,
                "estimand": words,
                "ours": own["median"],
                "ours_lower": own["lower"],
                "ours_upper": own["upper"],
                "overlaps": (lower <= own["upper"] and own["lower"] <= upper) if known else None,
            }
        )
    return pd.DataFrame(rows, columns=list(_COLUMNS))
