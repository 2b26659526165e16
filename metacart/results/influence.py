"""How much each study moves the answer, and how well the others predict it."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from metacart.errors import Fault, InputError, named_options
from metacart.inference.keeping import CacheLike
from metacart.inference.kept import at_kept_draws
from metacart.inference.one_mean import of_one_mean
from metacart.inference.records import evidence_of, group_of, spec_of
from metacart.inference.refits import Run, Variant, pinned, refit_all
from metacart.modelling.likelihoods import Likelihoods, find_likelihood
from metacart.results.held_out import HeldOut
from metacart.results.left_out import FEW_DRAWS, LeftOut, left_out_of
from metacart.results.reweighting import limits_trusted, mean_weighted

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["influence"]

Array = NDArray[np.float64]
_NUMBERS = ("mu_shift", "mu_shift_mcse", "tau_shift", "tau_shift_mcse", "elpd", "elpd_mcse")


@named_options
@of_one_mean
def influence(
    fit: xr.DataTree,
    *,
    likelihoods: Likelihoods | None = None,
    executor: Executor | None = None,
    cache: CacheLike | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Return how far mu and tau move without each study, and how well the others predict it.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.
    likelihoods : mapping of str to Likelihood or System, optional
        Those of the fit, where they are not the shipped ones.
    executor : concurrent.futures.Executor, optional
        Runs what has to be fitted again; one after the other by default.
    cache : Cache or path, optional
        As for ``fit``: what is kept there is not fitted again.
    progress : bool, optional
        Whether to show a bar; by default in a terminal or a notebook.

    Returns
    -------
    DataFrame
        A row a cohort, whose papers leave together: ``left_out``, ``studies``, ``mu_shift`` and
        ``tau_shift`` (the posterior mean without it minus that with it, in posterior SDs of all
        studies), ``elpd`` (the log density that the fit of the others gives its data, its study
        effect integrated out), each with its Monte Carlo error (``mu_shift_mcse`` and so on),
        ``k_hat`` and ``computed``: ``reweighted``, or refitted and why, or why not. The largest
        shift of mu or tau comes first. ``attrs["elpd"]`` is the sum.

    Raises
    ------
    InputError
        When all studies are of one cohort, when one study lies in several, or where tau differs by
        level.

    Notes
    -----
    Draws are reweighted as for ``leave_one_out`` and the rest is fitted again where they cannot be
    trusted. With weights w of the draws without study i, elpd_i = log E_w[p(y_i | mu, beta, tau)]
    is the cross-validated log density of Vehtari, Gelman and Gabry (2017) for whole studies; under
    the exact engine it is the log marginal likelihood of all minus that of the others. It grows
    with the patients of a study: between studies compare shifts, or the p of ``conflict``. With
    moderators mu stands at their reference.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.influence(mc.fit("cr_rate"))  # doctest: +SKIP
    """
    import pandas as pd

    if by := spec_of(fit).tau_by:
        several = f'tau_by = "{by}": no one tau that a study moves'
        attempt = "leave_one_out, which shows each tau"
        raise InputError(Fault("fit", several, "a fit with one tau", attempt))
    fit = at_kept_draws(fit)
    evidence, whole = evidence_of(fit), _parameters(fit)
    found: dict[str, tuple[LeftOut, dict[str, float], str]] = {}
    again: list[tuple[LeftOut, str]] = []
    exact = fit.attrs["method"] == "exact"
    for part in left_out_of(fit, find_likelihood(spec_of(fit), likelihoods=likelihoods)):
        weights, why = part.weights["posterior"], part.why
        if not why and not all(
            limits_trusted(draws, weights, independent=exact) for draws in whole.values()
        ):
            why = FEW_DRAWS
        if why:
            again.append((part, why))
        numbers = {} if why else _numbers(whole, whole, weights, part.log_likelihood)
        found[part.name] = part, numbers, why or "reweighted"
    spec = pinned(fit)
    refits = refit_all(
        [
            Variant(p.name, spec, evidence[~p.rows], HeldOut.of(fit, p, likelihoods))
            for p, _ in again
        ],
        read=partial(_read, whole=whole),
        run=Run.of(fit, likelihoods, cache),
        executor=executor,
        progress=progress,
        words="leaving one out",
    )
    for (part, why), refit in zip(again, refits, strict=True):
        found[part.name] = part, refit.value or {}, refit.failure or why
    rows = [
        {"left_out": part.name, "studies": part.studies}
        | {name: numbers.get(name, np.nan) for name in _NUMBERS}
        | {"k_hat": part.k_hat, "computed": how}
        for part, numbers, how in found.values()
    ]
    table = pd.DataFrame(rows)
    largest = table[["mu_shift", "tau_shift"]].abs().max(axis=1)
    table = table.loc[largest.sort_values(ascending=False, kind="stable").index]
    table = table.reset_index(drop=True)
    table.attrs = {"elpd": float(table["elpd"].sum(skipna=False))}
    return table


def _parameters(fit: xr.DataTree) -> dict[str, Array]:
    """Return the draws of mu and, where there is one, tau."""
    posterior = group_of(fit, "posterior")
    return {
        name: posterior[name].transpose("chain", "draw").to_numpy()
        for name in ("mu", "tau")
        if name in posterior
    }


def _numbers(
    whole: Mapping[str, Array], rest: Mapping[str, Array], weights: Array, logs: Array | None
) -> dict[str, float]:
    """Return the shifts of weighted draws of the rest, and the log density of what left."""
    numbers: dict[str, float] = {}
    for name, draws in rest.items():
        spread = float(whole[name].std())
        middle, error = mean_weighted(draws, weights)
        # both means are of the same draws where these are reweighted
        own = 0.0 if draws is whole[name] else spread / np.sqrt(whole[name].size)
        numbers[f"{name}_shift"] = (middle - float(whole[name].mean())) / spread
        numbers[f"{name}_shift_mcse"] = float(np.hypot(error, own)) / spread
    if logs is not None:
        top = float(logs.max())
        density, error = mean_weighted(np.exp(logs - top), weights)
        numbers |= {"elpd": top + float(np.log(density)), "elpd_mcse": error / density}
    return numbers


def _read(fit: xr.DataTree, held: HeldOut, *, whole: Mapping[str, Array]) -> dict[str, float]:
    rest = _parameters(fit)
    alike = np.full(rest["mu"].shape, 1.0 / rest["mu"].size)
    return _numbers(whole, rest, alike, None if held.has_gaps else held.log_density(fit))
