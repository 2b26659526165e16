"""The verb ``predictive``: more replicates of the data than a fit holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metacart.errors import named_options, refuse_unknown
from metacart.inference.arguments import run_numbers
from metacart.inference.assemble import replicate
from metacart.inference.kept import at_kept_draws
from metacart.inference.records import design_of, spec_of
from metacart.inference.systems import replicated
from metacart.modelling.likelihoods import Likelihoods, find_likelihood, find_system

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["predictive"]


@named_options
def predictive(
    fit: xr.DataTree,
    *,
    group: str = "posterior",
    seed: int | None = None,
    likelihoods: Likelihoods | None = None,
) -> xr.Dataset:
    """Draw replicates of the data from new studies under the model.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.
    group : {"posterior", "prior"}
        From which draws of the parameters.
    seed : int, optional
        Random by default.
    likelihoods : mapping of str to Likelihood or System, optional
        Instead of ``LIKELIHOODS``, where the fit used others.

    Returns
    -------
    xarray.Dataset
        ``y`` with dims ``chain``, ``draw``, ``finding``: events for counts, estimates on the model
        scale otherwise, as many as the fit holds. The study effects are drawn again in each.

    Raises
    ------
    InputError
        For an unknown group or likelihood, or a seed that is none.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.predictive(mc.fit("cr_rate"), seed=2)  # doctest: +SKIP
    """
    refuse_unknown("group", group, ("posterior", "prior"))
    spec = spec_of(fit)
    rng = np.random.default_rng(run_numbers(seed=seed)["seed"])
    if (system := find_system(spec, likelihoods=likelihoods)) is not None:
        return replicated(fit[group].to_dataset(), design_of(fit), system, rng)
    likelihood = find_likelihood(spec, likelihoods=likelihoods)
    sample = at_kept_draws(fit)[group].to_dataset()
    return replicate(spec, design_of(fit), likelihood, sample, rng)
