"""What a fit without a study predicts of its findings."""

from __future__ import annotations

from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.inference.records import design_of, evidence_of, spec_of
from metacart.inference.refits import Run, Variant, refit_all
from metacart.modelling.likelihoods import Likelihoods, find_likelihood
from metacart.records.spec import ModelSpec
from metacart.results.held_out import HeldOut
from metacart.results.left_out import LeftOut, left_out_of
from metacart.results.reweighting import mean_weighted

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["left_out_findings"]

Array = NDArray[np.float64]
_NUMBERS = ("observed", "median", "lower", "upper", "p", "mcse", "equal")
_COLUMNS = ("name", *_NUMBERS, "k_hat", "computed")
_GAPS = "a moderator of what leaves has no value"


def left_out_findings(
    fit: xr.DataTree,
    spec: ModelSpec,
    run: Run,
    *,
    likelihoods: Likelihoods | None,
    executor: Executor | None,
    progress: bool | None,
) -> pd.DataFrame:
    """Return each finding beside what a fit without its cohort predicts.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.
    spec : ModelSpec
        Its question, with what is the same in every refit.
    run : Run
        How refits are made.
    likelihoods : mapping of str to Likelihood or System, or None
        Those of the fit, where they are not the shipped ones.
    executor : concurrent.futures.Executor or None
        Runs the fits.
    progress : bool or None
        Whether to show a bar.

    Returns
    -------
    DataFrame
        One row a finding, in the order of the fit: ``name``, ``observed``, ``median``, ``lower``
        and ``upper`` (95 %) on the natural scale; ``p``, the probability that a replicate is above
        what was observed, ties counting half, with its Monte Carlo error ``mcse``; ``equal``, the
        probability of a tie; ``k_hat`` and ``computed``.
    """
    import pandas as pd

    evidence, design = evidence_of(fit), design_of(fit)
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
    rows: dict[int, dict[str, Any]] = {}
    for part, numbers, how in found.values():
        for place, position in enumerate(np.flatnonzero(part.rows).tolist()):
            own = {name: float(values[place]) for name, values in numbers.items()}
            row = {"name": str(labels[position]), **own}
            rows[position] = row | {"k_hat": part.k_hat, "computed": how}
    return pd.DataFrame([rows[position] for position in sorted(rows)], columns=pd.Index(_COLUMNS))


def _predicted(fit: xr.DataTree, held: HeldOut, weights: Array) -> dict[str, Array]:
    """Return what is expected of each finding by weighted draws, and where the observed lies."""
    observed, replicates = held.observed, held.replicates(fit)
    columns: dict[str, list[float]] = {name: [] for name in _NUMBERS}
    for seen, again in zip(observed, np.moveaxis(replicates, -1, 0), strict=True):
        order = np.argsort(again, axis=None)
        heights = np.cumsum(weights.reshape(-1)[order])
        at = np.searchsorted(heights, np.clip([0.025, 0.5, 0.975], heights[0], heights[-1]))
        lower, median, upper = again.reshape(-1)[order][at]
        p, error = mean_weighted(np.where(again == seen, 0.5, again > seen), weights)
        equal = float(weights[again == seen].sum() / weights.sum())
        values = (seen, median, lower, upper, min(max(p, 0.0), 1.0), error, equal)
        for name, value in zip(columns, values, strict=True):
            columns[name].append(float(value))
    return {name: np.asarray(values) for name, values in columns.items()}


def _read(fit: xr.DataTree, held: HeldOut) -> dict[str, Array]:
    mu = fit["posterior"]["mu"]
    shape = (mu.sizes["chain"], mu.sizes["draw"])
    return _predicted(fit, held, np.full(shape, 1.0 / mu.size))
