"""Probability integral transforms of findings that the fit has not seen."""

from __future__ import annotations

from concurrent.futures import Executor
from typing import TYPE_CHECKING

import numpy as np

from metacart.errors import named_options
from metacart.inference.keeping import CacheLike
from metacart.inference.one_mean import of_one_mean
from metacart.inference.refits import Run, pinned
from metacart.modelling.likelihoods import Likelihoods
from metacart.results.left_out_findings import left_out_findings
from metacart.results.uniformity import chance_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["loo_pit"]

_COLUMNS = ("finding", "observed", "lower", "upper", "pit", "k_hat", "computed")


@named_options
@of_one_mean
def loo_pit(
    fit: xr.DataTree,
    *,
    likelihoods: Likelihoods | None = None,
    executor: Executor | None = None,
    cache: CacheLike | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Return where each finding lies in what the model predicts of it from the other cohorts.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.
    likelihoods : mapping of str to Likelihood or System, optional
        Those of the fit, where they are not the shipped ones.
    executor : concurrent.futures.Executor, optional
        Runs the fits; one after the other by default.
    cache : Cache or path, optional
        As for ``fit``: what is kept there is not fitted again.
    progress : bool, optional
        Whether to show a bar; by default in a terminal or a notebook.

    Returns
    -------
    DataFrame
        One row a ``finding``: what was ``observed``, on the natural scale; ``lower`` and ``upper``,
        the probabilities that a replicate is below what was observed, and not above it; ``pit``, a
        value between the two, drawn with the seed of the fit (missing where the fit without the
        finding failed); ``k_hat`` and ``computed``, as ``conflict`` has them. ``attrs["chance"]``
        is the chance that as many uniform values stray as far, missing with fewer than two.

    Raises
    ------
    InputError
        When all studies are of one cohort, or when one study lies in several.

    Notes
    -----
    The study effect is drawn again from a fit without the finding's cohort. Where the model holds,
    the values are uniform from 0 to 1: near 0 or 1 too often says that findings differ more than
    the model expects, near the middle that they differ less. Counts have ties; the value of such a
    finding is drawn between the two probabilities (randomised PIT: Czado, Gneiting and Held 2009,
    doi 10.1111/j.1541-0420.2009.01191.x), so that it is uniform too. The chance is that of the
    simultaneous bands of Säilynoja, Bürkner and Vehtari (2022), which takes the values as
    independent; values of fits that share most of their data nearly are.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.loo_pit(mc.fit("cd22_cr"))  # doctest: +SKIP
    """
    run = Run.of(fit, likelihoods, cache)
    found = left_out_findings(
        fit, pinned(fit), run, likelihoods=likelihoods, executor=executor, progress=progress
    )
    lower = np.clip(1.0 - found["p"] - 0.5 * found["equal"], 0.0, 1.0)
    upper = np.clip(1.0 - found["p"] + 0.5 * found["equal"], 0.0, 1.0)
    rng = np.random.default_rng([int(fit.attrs["seed"]), 8])
    pit = lower + (upper - lower) * rng.random(len(found))
    table = found.rename(columns={"name": "finding"}).assign(lower=lower, upper=upper, pit=pit)
    table = table[list(_COLUMNS)]
    known = table["pit"].dropna().to_numpy()
    table.attrs["chance"] = chance_of(known) if len(known) > 1 else float("nan")
    return table
