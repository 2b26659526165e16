"""Where the evidence disagrees with itself: a study with the others, within with across studies."""

from __future__ import annotations

from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.errors import named_options
from metacart.inference.keeping import CacheLike
from metacart.inference.one_mean import of_one_mean
from metacart.inference.records import design_of, evidence_of, spec_of
from metacart.inference.refits import Run, Variant, pinned, refit_all
from metacart.modelling.likelihoods import Likelihoods, find_likelihood
from metacart.results.held_out import HeldOut
from metacart.results.left_out import LeftOut, left_out_of
from metacart.results.node_split import node_splits
from metacart.results.reweighting import mean_weighted

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["SURPRISING", "conflict"]

Array = NDArray[np.float64]
_COLUMNS = (
    *("row", "name", "observed", "median", "lower", "upper", "p", "mcse", "p_two_sided"),
    *("conflict", "k_hat", "computed"),
)
SURPRISING = 0.05  # two-sided
_GAPS = "a moderator of what leaves has no value"


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

    evidence, spec = evidence_of(fit), pinned(fit)
    design, run = design_of(fit), Run.of(fit, likelihoods, cache)
    found: dict[str, tuple[LeftOut, dict[str, Array], str]] = {}
    again: list[tuple[LeftOut, HeldOut]] = []
    for part in left_out_of(fit, find_likelihood(spec_of(fit), likelihoods=likelihoods)):
        held, how = HeldOut.of(fit, part, likelihoods), "reweighted"
        numbers: dict[str, Array] = {}
        if held.has_gaps:
            how = _GAPS
        elif part.why:
            how = part.why
            again.append((part, held))
        else:
            numbers = _predicted(fit, held, part.weights["posterior"])
        found[part.name] = part, numbers, how
    refits = refit_all(
        [Variant(part.name, spec, evidence[~part.rows], held) for part, held in again],
        read=_read,
        run=run,
        executor=executor,
        progress=progress,
        words="leaving one out",
    )
    for (part, _), refit in zip(again, refits, strict=True):
        found[part.name] = part, refit.value or {}, refit.failure or part.why
    labels = design["finding"].to_numpy()
    studies: dict[int, dict[str, Any]] = {}
    for part, numbers, how in found.values():
        for place, position in enumerate(np.flatnonzero(part.rows).tolist()):
            own = {name: float(values[place]) for name, values in numbers.items()}
            row = {"row": "study", "name": str(labels[position]), **own}
            studies[position] = row | {"k_hat": part.k_hat, "computed": how}
    rows = [studies[position] for position in sorted(studies)]
    rows += node_splits(fit, spec, run, executor=executor, progress=progress)
    table = pd.DataFrame(rows, columns=pd.Index(_COLUMNS))
    two_sided = 2.0 * np.clip(np.minimum(table["p"], 1.0 - table["p"]), 0.0, None)
    return table.assign(p_two_sided=two_sided, conflict=two_sided < SURPRISING)


def _predicted(fit: xr.DataTree, held: HeldOut, weights: Array) -> dict[str, Array]:
    """Return what is expected of each finding by weighted draws, and where the observed lies."""
    observed, replicates = held.observed, held.replicates(fit)
    columns: dict[str, list[float]] = {
        name: [] for name in ("observed", "median", "lower", "upper", "p", "mcse")
    }
    for seen, again in zip(observed, np.moveaxis(replicates, -1, 0), strict=True):
        order = np.argsort(again, axis=None)
        heights = np.cumsum(weights.reshape(-1)[order])
        at = np.searchsorted(heights, np.clip([0.025, 0.5, 0.975], heights[0], heights[-1]))
        lower, median, upper = again.reshape(-1)[order][at]
        p, error = mean_weighted(np.where(again == seen, 0.5, again > seen), weights)
        values = (seen, median, lower, upper, min(max(p, 0.0), 1.0), error)
        for name, value in zip(columns, values, strict=True):
            columns[name].append(float(value))
    return {name: np.asarray(values) for name, values in columns.items()}


def _read(fit: xr.DataTree, held: HeldOut) -> dict[str, Array]:
    mu = fit["posterior"]["mu"]
    shape = (mu.sizes["chain"], mu.sizes["draw"])
    return _predicted(fit, held, np.full(shape, 1.0 / mu.size))
