"""Where the evidence disagrees with itself: a study with the others, within with across studies."""

from __future__ import annotations

from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

import numpy as np

from metacart.errors import named_options
from metacart.inference.keeping import CacheLike
from metacart.inference.one_mean import of_one_mean
from metacart.inference.refits import Run, pinned
from metacart.modelling.likelihoods import Likelihoods
from metacart.results.left_out_findings import left_out_findings
from metacart.results.node_split import node_splits

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["SURPRISING", "conflict"]

_COLUMNS = (
    *("row", "name", "observed", "median", "lower", "upper", "p", "mcse", "p_two_sided"),
    *("conflict", "k_hat", "computed"),
)
SURPRISING = 0.05  # two-sided


@named_options
@of_one_mean
def conflict(
    fit: xr.DataTree,
    *,
    likelihoods: Likelihoods | None = None,
    executor: Executor | None = None,
    cache: CacheLike | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Return where studies disagree with the others, and what is within them with what is across.

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
        First a ``row`` ``study`` a finding: ``name``, what was ``observed`` and what a fit without
        its cohort predicts, ``median``, ``lower`` and ``upper`` (95 %) on the natural scale; ``p``
        (probability that a replicate is above what was observed, ties counting half) with its
        Monte Carlo error ``mcse``, ``p_two_sided``, ``conflict`` (below 0.05), ``k_hat`` and
        ``computed``. Then, for each coefficient of the moderators, the rows ``within studies``,
        ``across studies`` and ``difference`` on the model scale; ``p`` of the difference is
        P(difference > 0). Where studies do not tell the two apart, the row ``difference`` says why.

    Raises
    ------
    InputError
        When all studies are of one cohort, or when one study lies in several.

    Notes
    -----
    The p of a study is a cross-validated predictive p (Marshall and Spiegelhalter 2007): its
    effect is drawn again from a fit that has not seen it, so that it is uniform where the model
    holds; of counts it is the mid-p. Among twenty studies one below 0.05 is to be expected. Of two
    groups the level of the control group is as that group alone tells it, and the log ratio is
    compared.

    A node split: the moderator x enters as its mean in each study and the deviation from it, each
    with a coefficient and the prior of its own. What patients of one study show can differ from
    what studies show, by confounding between studies; then their common coefficient is an average
    of two answers.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.conflict(mc.fit("cr_rate"))  # doctest: +SKIP
    """
    import pandas as pd

    spec, run = pinned(fit), Run.of(fit, likelihoods, cache)
    studies = left_out_findings(
        fit, spec, run, likelihoods=likelihoods, executor=executor, progress=progress
    )
    rows: list[dict[Any, Any]] = [{"row": "study", **row} for row in studies.to_dict("records")]
    rows += node_splits(fit, spec, run, executor=executor, progress=progress)
    table = pd.DataFrame(rows, columns=pd.Index(_COLUMNS))
    two_sided = 2.0 * np.clip(np.minimum(table["p"], 1.0 - table["p"]), 0.0, None)
    return table.assign(p_two_sided=two_sided, conflict=two_sided < SURPRISING)
