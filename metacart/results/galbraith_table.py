"""The studies of a Galbraith plot: estimates over their standard errors, against precision."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from metacart.errors import Fault, InputError, named_options
from metacart.inference.one_mean import of_one_mean
from metacart.inference.records import design_of, evidence_of, spec_of
from metacart.modelling.design import moderators_of, scale_of
from metacart.modelling.likelihoods import LIKELIHOODS, Likelihood
from metacart.modelling.moderators import main_effects
from metacart.results.numbers import describe
from metacart.results.summary import estimand_draws

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["WITHIN", "galbraith_table"]

WITHIN = 2.0  # standard errors about the common effect, as Galbraith drew it
_ALLOWED = "estimates with standard errors: likelihood 'normal' or 'survival', or printed ratios"


@named_options
@of_one_mean
def galbraith_table(fit: xr.DataTree) -> pd.DataFrame:
    """Return each estimate over its standard error, its precision, and how far it is off.

    Parameters
    ----------
    fit : DataTree
        From ``fit``, of estimates with standard errors, without moderators.

    Returns
    -------
    DataFrame
        Columns ``study``, ``label``, ``estimate`` (on the natural scale), ``se`` (on the model
        scale, as of the log ratio), ``precision`` (1/se), ``z`` (the estimate on the model scale
        over its se) and ``distance`` (of z from the line of the common effect), the farthest
        first. ``attrs["common"]`` is the common effect with its 95 % interval, ``attrs["pooled"]``
        the median study of the model, posterior median and 95 % limits (for transplant naive), both
        natural; ``attrs["Q"]`` is Cochran's Q.

    Raises
    ------
    InputError
        For counts, which have no standard error of their own, and for moderators.

    Notes
    -----
    The common effect is the mean weighted by 1/se², which is the slope of the line through the
    origin that fits z to precision best (Galbraith 1988). Squared distances add up to Q. Where
    studies do not differ, about 95 in 100 lie within 2 of the line.

    Examples
    --------
    >>> import metacart as mc
    >>> spec = mc.load_model("hsct_benefit_os").model_copy(update={"kinds": ("ratio",)})
    >>> mc.galbraith_table(mc.fit(spec))  # doctest: +SKIP
    """
    import pandas as pd

    if faults := [*_not_estimates(fit), *_moderated(fit)]:
        raise InputError(faults)
    design, evidence = design_of(fit), evidence_of(fit)
    scale = scale_of(design)
    estimate, se = (design[name].to_numpy().astype(float) for name in ("estimate", "se"))
    weight = se**-2.0
    common = float((weight * estimate).sum() / weight.sum())
    studies = evidence["study"].astype(str)
    labels = evidence.get("label", studies)
    table = pd.DataFrame(
        {
            "study": studies,
            "label": labels.where(labels.notna(), studies).astype(str),
            "estimate": scale.inverse(estimate),
            "se": se,
            "precision": 1.0 / se,
            "z": estimate / se,
            "distance": (estimate - common) / se,
        }
    )
    far = table["distance"].abs().sort_values(ascending=False, kind="stable").index
    table = table.loc[far].reset_index(drop=True)
    half = 1.959963984540054 / np.sqrt(weight.sum())
    ends = scale.inverse(np.asarray([common, common - half, common + half]))
    group = "naive" if "naive" in fit.children else "posterior"
    pooled = describe(estimand_draws(fit, group=group)["median study"])
    table.attrs = {
        "common": dict(zip(("estimate", "lower", "upper"), map(float, ends), strict=True)),
        "pooled": {name: pooled[name] for name in ("median", "lower", "upper")},
        "Q": float((table["distance"] ** 2).sum()),
    }
    return table


def _not_estimates(fit: xr.DataTree) -> Iterator[Fault]:
    name = spec_of(fit).likelihood
    what = "a Galbraith plot"
    if name in ("normal", "survival"):
        return
    if name == "hsct":
        if counted := int((evidence_of(fit)["kind"] == "contrast").sum()):
            found = f"{what} with {counted} of {len(evidence_of(fit))} findings that are counts"
            yield Fault("fit", found, "printed ratios or curves", 'kinds = ["ratio"]')
        return
    likelihood = LIKELIHOODS.get(name)
    if not isinstance(likelihood, Likelihood):
        yield Fault("fit", f"{what} under the likelihood '{name}' of your own", _ALLOWED)
    else:
        of = "two groups" if likelihood.contrast else "single arms"
        found = f"{what} of counts of {of}, whose standard errors follow from the counts themselves"
        yield Fault("fit", found, _ALLOWED, "plot_baujat, which takes counts as they are")


def _moderated(fit: xr.DataTree) -> Iterator[Fault]:
    if mains := main_effects(moderators_of(design_of(fit))):
        names = ", ".join(each.name for each in mains)
        found = f"a fit with moderators ({names}), which have no one line"
        yield Fault("fit", found, "a fit without moderators", "fit the same evidence without them")
