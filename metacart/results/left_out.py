"""Which rows leave together, and the draws of a fit reweighted as if they had never been there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from metacart.errors import Fault, InputError
from metacart.inference.assemble import log_likelihood_of
from metacart.inference.kept import at_kept_draws
from metacart.inference.records import design_of, evidence_of, group_of, spec_of
from metacart.modelling.build import free_parameters
from metacart.modelling.columns import is_missing
from metacart.modelling.imputation import gap_names
from metacart.modelling.likelihoods import Likelihood
from metacart.results.reweighting import smoothed_weights, trusted
from metacart.results.summary import views_of

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["FEW_DRAWS", "Array", "LeftOut", "Mask", "cohorts_of", "left_out_of", "one_cohort"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Places = NDArray[np.intp]
FEW_DRAWS = "refitted: too few draws near the limits"


@dataclass(frozen=True)
class LeftOut:
    """The papers of one cohort, which leave together.

    Attributes
    ----------
    name, studies : str
        The cohort, and its papers.
    rows : array of bool (findings,)
        Their rows of the evidence.
    levels : array of int
        Their levels of the random effect.
    log_likelihood : array (chain, draw)
        Of their data under the draws of the fit, the study effects integrated out.
    weights : mapping of str to array (chain, draw)
        Of the draws of each view without them; they sum to one.
    k_hat : float
        The Pareto shape of the largest weights.
    why : str
        Why reweighted draws cannot answer and the rest must be fitted; empty where they can.
    """

    name: str
    studies: str
    rows: Mask
    levels: NDArray[np.intp]
    log_likelihood: Array
    weights: Mapping[str, Array]
    k_hat: float
    why: str


def left_out_of(fit: xr.DataTree, likelihood: Likelihood) -> Iterator[LeftOut]:
    """Yield what leaves in turn, with the weights of the draws without it.

    They are of the draws that are kept of findings.

    Raises
    ------
    InputError
        When all studies are of one cohort, or when one study lies in several.
    """
    fit = at_kept_draws(fit)
    cohorts = cohorts_of(fit)
    if len(cohorts) < 2:
        raise InputError(one_cohort(cohorts))
    design, by_level = design_of(fit), _by_level(fit, likelihood)
    studies = evidence_of(fit)["study"].astype(str).to_numpy()
    for name, places in cohorts.items():
        levels = np.unique(design["group"].to_numpy()[places])
        rows = np.zeros(len(studies), dtype=bool)
        rows[places] = True
        logs = {view: each[..., levels].sum(axis=-1) for view, each in by_level.items()}
        exact = fit.attrs["method"] == "exact"
        found = {view: smoothed_weights(each, independent=exact) for view, each in logs.items()}
        k = max(k_hat for _, k_hat in found.values())
        kept, why = design.isel(finding=np.flatnonzero(~rows)), ""
        if gap_names(design):
            why = "refitted: the rest imputes the moderators"
        elif free_parameters(kept, likelihood) != free_parameters(design, likelihood):
            why = "refitted: the rest informs other parameters"
        elif not trusted(k, logs["posterior"].size):
            why = "refitted: Pareto k is too large"
        yield LeftOut(
            name=name,
            studies=", ".join(dict.fromkeys(studies[rows].tolist())),
            rows=rows,
            levels=levels,
            log_likelihood=logs["posterior"],
            weights={view: weights for view, (weights, _) in found.items()},
            k_hat=k,
            why=why,
        )


def one_cohort(cohorts: Mapping[str, Places]) -> Fault:
    """Return the fault that nothing can leave."""
    of = f"all studies are of one cohort, {next(iter(cohorts))}"
    return Fault("fit", of, "a fit of two cohorts or more", unanswerable=True)


def cohorts_of(fit: xr.DataTree) -> dict[str, Places]:
    """Return which rows of the evidence leave together, by the name of their cohort, in order."""
    evidence = evidence_of(fit)
    studies = evidence["study"].astype(str).tolist()
    names = studies
    if "cohort" in evidence.columns:
        names = [
            study if is_missing(name) else str(name)
            for study, name in zip(studies, evidence["cohort"].tolist(), strict=True)
        ]
    homes: dict[str, set[str]] = {}
    for study, name in zip(studies, names, strict=True):
        homes.setdefault(study, set()).add(name)
    if several := [study for study, found in homes.items() if len(found) > 1]:
        study = several[0]
        found = f"'{study}' lies in {', '.join(sorted(homes[study]))}"
        raise InputError(Fault("column 'cohort'", found, "one cohort a study"))
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        places.setdefault(name, []).append(place)
    return {name: np.asarray(rows, dtype=np.intp) for name, rows in places.items()}


def _by_level(fit: xr.DataTree, likelihood: Likelihood) -> dict[str, Array]:
    """Return for each view the log likelihood (chain, draw, level) without the study effects."""
    stored = group_of(fit, "log_likelihood")["study"].transpose("chain", "draw", "studies")
    found = {group: stored.to_numpy() for group in views_of(fit)}
    design = design_of(fit)
    if "naive" in found and "bias" in free_parameters(design, likelihood):
        # beside a joint fit of the bias stands another, which ignores it
        unbiased = design.assign(biased=0.0 * design["biased"])
        own = log_likelihood_of(spec_of(fit), unbiased, likelihood, group_of(fit, "naive"))
        found["naive"] = own["study"].transpose("chain", "draw", "studies").to_numpy()
    return found
