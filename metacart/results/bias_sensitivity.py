"""The pooled ratio under other priors of the bias of immortal time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from metacart.errors import named_options
from metacart.inference.keeping import CacheLike
from metacart.inference.one_mean import of_one_mean
from metacart.inference.records import evidence_of, spec_of
from metacart.modelling.likelihoods import Likelihoods
from metacart.records.priors import Prior, parse_prior
from metacart.results.immortal_time import (
    Ratios,
    bias_is_prior,
    check_biased,
    fitted_again,
    ratio_numbers,
    ratios_of,
)

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["SPREADS", "bias_prior", "bias_sensitivity"]

SPREADS = (0.15, 0.25, 0.5)  # SD of b, on the log scale
_COLUMNS = (
    "bias estimand median lower upper mcse mcse_lower mcse_upper p_below_one declared computed"
)


@named_options
@of_one_mean
def bias_sensitivity(
    fit: xr.DataTree,
    *,
    likelihoods: Likelihoods | None = None,
    cache: CacheLike | None = None,
) -> pd.DataFrame:
    """Return the pooled ratio without the bias of immortal time, and under priors of it.

    Parameters
    ----------
    fit : DataTree
        From ``fit``, of a transplant question.
    likelihoods : mapping of str to Likelihood, optional
        Those of the fit, where they are not the shipped ones.
    cache : Cache or path, optional
        As for ``fit``: what is kept there is not fitted again.

    Returns
    -------
    DataFrame
        Columns ``bias`` (``b = 0 (naive)``, or the prior of b), ``estimand`` (``median study``,
        ``next study``), ``median``, ``lower``, ``upper`` (95 % equal-tailed interval) and ``mcse``
        of the ratio, ``mcse_lower`` and ``mcse_upper`` (of the limits), ``p_below_one``,
        ``declared`` (True for the prior of the spec) and ``computed``: how the row came about,
        or why there are no numbers in it.

    Raises
    ------
    InputError
        For a fit without a comparison that carries the bias.

    Notes
    -----
    The priors are Normal around the median of the declared one, with SD 0.15, 0.25 and 0.5, and
    the declared one itself. While no study handles immortal time the data say nothing about b:
    the rows are the naive draws less draws of b. Else each is a fit of its own, by the exact
    engine, by NUTS where that cannot be trusted.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.bias_sensitivity(mc.fit("hsct_benefit_os"))  # doctest: +SKIP
    """
    import pandas as pd

    check_biased(fit)
    declared = bias_prior(fit)
    rows = [*_rows("b = 0 (naive)", ratios_of(fit, group="naive"), declared=False)]
    for prior in _priors(declared):
        draws, computed = _under(fit, prior, declared, likelihoods, cache)
        rows += _rows(f"b ~ {prior}", draws, declared=prior == declared, computed=computed)
    return pd.DataFrame(rows, columns=pd.Index(_COLUMNS.split()))


def bias_prior(fit: xr.DataTree) -> Prior:
    """Return the prior of b that a fit was made with."""
    return parse_prior(json.loads(str(fit.attrs["priors"]))["bias"])


def _priors(declared: Prior) -> list[Prior]:
    """Return the priors from the narrowest to the widest, the declared one in its place."""
    middle = float(declared.quantile(0.5))
    others = [Prior("Normal", (middle, spread)) for spread in SPREADS]
    kept = [prior for prior in others if prior != declared] + [declared]
    return sorted(kept, key=lambda prior: float(np.ptp(prior.quantile([0.025, 0.975]))))


def _under(
    fit: xr.DataTree,
    prior: Prior,
    declared: Prior,
    likelihoods: Likelihoods | None,
    cache: CacheLike | None,
) -> tuple[Ratios, str]:
    """Return draws of the ratios under a prior of b, and how they came about."""
    if prior == declared:
        return ratios_of(fit, group="posterior"), "as fitted"
    if bias_is_prior(fit):
        naive = ratios_of(fit, group="naive")
        rng = np.random.default_rng([int(fit.attrs["seed"]), 3])
        factor = np.exp(prior.draw(next(iter(naive.values())).shape, rng))
        return {name: draws / factor for name, draws in naive.items()}, "b drawn anew"
    spec = spec_of(fit)
    changed = spec.model_copy(update={"priors": {**spec.priors, "bias": str(prior)}})
    again = fitted_again(fit, changed, evidence_of(fit), likelihoods, cache)
    if again.value is None:
        return dict.fromkeys(ratios_of(fit, group="posterior"), np.empty(0)), again.failure
    return again.value["posterior"], "refitted"


def _rows(
    bias: str, draws: Ratios, *, declared: bool, computed: str = "as fitted"
) -> Iterator[dict[str, object]]:
    for name, each in draws.items():
        numbers = ratio_numbers(each) if each.size else {}
        head = {"bias": bias, "estimand": name, "declared": declared, "computed": computed}
        yield head | numbers
