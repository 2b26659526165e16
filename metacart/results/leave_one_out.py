"""What the answers would be without the papers of one cohort."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from metacart.errors import named_options
from metacart.inference.keeping import CacheLike
from metacart.inference.kept import at_kept_draws
from metacart.inference.one_mean import of_one_mean
from metacart.inference.records import evidence_of, spec_of
from metacart.inference.refits import Run, Variant, pinned, refit_all
from metacart.modelling.likelihoods import Likelihoods, find_likelihood
from metacart.results.described import (
    NUMBERS,
    Numbers,
    described,
    missing_like,
    named_draws,
    read_described,
)
from metacart.results.left_out import FEW_DRAWS, LeftOut, left_out_of
from metacart.results.reweighting import describe_weighted
from metacart.results.summary import views_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["leave_one_out"]


@named_options
@of_one_mean
def leave_one_out(
    fit: xr.DataTree,
    *,
    at: Mapping[str, Any] | None = None,
    likelihoods: Likelihoods | None = None,
    executor: Executor | None = None,
    cache: CacheLike | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Return the named estimands without each cohort in turn.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.
    at : dict of moderator to level or number, optional
        Where to stand, as for ``summarize``.
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
        Columns ``left_out`` (the cohort; empty in the first rows, those of all studies),
        ``studies``, ``estimand``, ``median``, ``lower``, ``upper`` and ``mcse`` as ``summarize``
        has them, ``mcse_lower`` and ``mcse_upper`` (of the limits), ``k_hat``, and ``computed``:
        ``as fitted``, ``reweighted``, or refitted and why. The named estimands, then ``tau``.
        Where the rest cannot be fitted the numbers are missing, and ``computed`` says why.

    Raises
    ------
    InputError
        When all studies are of one cohort, or when one study lies in several.

    Notes
    -----
    The papers of one cohort leave together; in a table without the column ``cohort`` each study is
    one. Draws of mu, beta and tau are reweighted by one over the likelihood of the cohort with its
    study effects integrated out, smoothed by Pareto's tail (Vehtari and others 2024). Where the
    shape k of that tail is above 0.7, or a limit of an interval lies where few draws are (a Monte
    Carlo error above 5 % of an SD), the rest is fitted again, with the priors and reference levels
    of the whole. So it is where the rest informs other parameters, as when the only study leaves
    that handles immortal time. An estimand without ``at`` is averaged over the rows that are left.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.leave_one_out(mc.fit("cr_rate"))  # doctest: +SKIP
    """
    import pandas as pd

    parts = left_out_of(fit, find_likelihood(spec_of(fit), likelihoods=likelihoods))
    views, evidence = views_of(fit), evidence_of(fit)

    def rows(part: LeftOut | None, numbers: dict[str, Numbers], how: str) -> list[dict[str, Any]]:
        left = {"left_out": "", "studies": "", "k_hat": np.nan}
        if part is not None:
            left = {"left_out": part.name, "studies": part.studies, "k_hat": part.k_hat}
        return [
            {**left, "estimand": estimand, **each, "computed": how}
            for estimand, each in numbers.items()
        ]

    whole, kept = described(fit, views, at), at_kept_draws(fit)
    table: dict[str, list[dict[str, Any]]] = {"": rows(None, whole, "as fitted")}
    again: dict[str, tuple[LeftOut, str]] = {}
    for part in parts:
        table[part.name] = []
        if part.why:
            again[part.name] = part, part.why
        elif reweighted := _reweighted(kept, views, part, at):
            table[part.name] = rows(part, reweighted, "reweighted")
        else:
            again[part.name] = part, FEW_DRAWS
    spec = pinned(fit)
    refits = refit_all(
        [Variant(part.name, spec, evidence[~part.rows]) for part, _ in again.values()],
        read=partial(read_described, views=views, at=at),
        run=Run.of(fit, likelihoods, cache),
        executor=executor,
        progress=progress,
        words="leaving one out",
    )
    for (part, why), refit in zip(again.values(), refits, strict=True):
        table[part.name] = rows(part, refit.value or missing_like(whole), refit.failure or why)
    columns = ["left_out", "studies", "estimand", *NUMBERS, "k_hat", "computed"]
    return pd.DataFrame([row for each in table.values() for row in each], columns=columns)


def _reweighted(
    fit: xr.DataTree, views: Mapping[str, str], part: LeftOut, at: Mapping[str, Any] | None
) -> dict[str, Numbers]:
    """Return the numbers of the reweighted draws; none where they do not reach the limits."""
    numbers, independent = {}, fit.attrs["method"] == "exact"
    for view, name, draws in named_draws(fit, views, at, ~part.rows):
        numbers[name] = describe_weighted(
            draws, part.weights[view], trusted_only=True, independent=independent
        )
        if not numbers[name]:
            return {}
    return numbers
