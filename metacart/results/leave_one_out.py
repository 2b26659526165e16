"""What the answers would be without the papers of one cohort."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.errors import Fault, InputError, named_options
from metacart.inference.assemble import log_likelihood_of
from metacart.inference.fit import fit as fit_again
from metacart.inference.records import design_of, evidence_of, group_of, spec_of
from metacart.modelling.build import free_parameters
from metacart.modelling.columns import is_missing
from metacart.modelling.design import moderators_of
from metacart.modelling.imputation import gap_names
from metacart.modelling.likelihoods import Likelihood, find_likelihood
from metacart.records.spec import ModelSpec
from metacart.results.numbers import describe, limit_errors
from metacart.results.reweighting import (
    describe_weighted,
    limits_trusted,
    smoothed_weights,
    trusted,
)
from metacart.results.summary import estimand_draws, views_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["leave_one_out"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Numbers = dict[str, float]

_NUMBERS = ("median", "lower", "upper", "mcse", "mcse_lower", "mcse_upper")


@named_options
def leave_one_out(
    fit: xr.DataTree,
    *,
    at: Mapping[str, Any] | None = None,
    likelihoods: Mapping[str, Likelihood] | None = None,
    executor: Executor | None = None,
) -> pd.DataFrame:
    """Return the named estimands without each cohort in turn.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.
    at : dict of moderator to level or number, optional
        Where to stand, as for ``summarize``.
    likelihoods : mapping of str to Likelihood, optional
        Those of the fit, where they are not the shipped ones.
    executor : concurrent.futures.Executor, optional
        Runs what has to be fitted again; one after the other by default.

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

    design, likelihood = design_of(fit), find_likelihood(spec_of(fit), likelihoods=likelihoods)
    cohorts = _cohorts(fit)
    if len(cohorts) < 2:
        found = f"all studies are of one cohort, {next(iter(cohorts))}"
        raise InputError(Fault("fit", found, "a fit of two cohorts or more", unanswerable=True))
    views, by_level = views_of(fit), _by_level(fit, likelihood)
    studies = evidence_of(fit)["study"].astype(str).to_numpy()

    def rows(
        name: str, left: Mask, numbers: dict[str, Numbers], how: str, k: float
    ) -> list[dict[str, Any]]:
        words = ", ".join(dict.fromkeys(studies[left].tolist()))
        return [
            {"left_out": name, "studies": words, "estimand": estimand, **each}
            | {"k_hat": k, "computed": how}
            for estimand, each in numbers.items()
        ]

    whole = _described(fit, views, at)
    table = {"": rows("", np.zeros(len(studies), dtype=bool), whole, "as fitted", np.nan)}
    again: dict[str, tuple[float, str]] = {}
    for name, left in cohorts.items():
        table[name] = []
        levels = np.unique(design["group"].to_numpy()[left])
        weights = {
            group: smoothed_weights(
                by_level[group][..., levels].sum(axis=-1),
                independent=fit.attrs["method"] == "exact",
            )
            for group in views
        }
        k = max(k_hat for _, k_hat in weights.values())
        kept = design.isel(finding=np.flatnonzero(~left))
        if gap_names(design):
            again[name] = k, "refitted: the rest imputes the moderators"
        elif free_parameters(kept, likelihood) != free_parameters(design, likelihood):
            again[name] = k, "refitted: the rest informs other parameters"
        elif not trusted(k, by_level["posterior"][..., 0].size):
            again[name] = k, "refitted: k_hat is too large"
        elif reweighted := _reweighted(fit, views, weights, ~left, at):
            table[name] = rows(name, left, reweighted, "reweighted", k)
        else:
            again[name] = k, "refitted: too few draws near the limits"
    refit = partial(_refit, settings=_Settings.of(fit, views, likelihoods), at=at)
    masks = [~cohorts[name] for name in again]
    refits = list(map(refit, masks) if executor is None else executor.map(refit, masks))
    for (name, (k, why)), (numbers, failure) in zip(again.items(), refits, strict=True):
        missing = {estimand: dict.fromkeys(_NUMBERS, np.nan) for estimand in whole}
        table[name] = rows(name, cohorts[name], numbers or missing, failure or why, k)
    columns = ["left_out", "studies", "estimand", *_NUMBERS, "k_hat", "computed"]
    return pd.DataFrame([row for each in table.values() for row in each], columns=columns)


def _cohorts(fit: xr.DataTree) -> dict[str, Mask]:
    """Return which rows of the evidence leave together, by the name of their cohort."""
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
    return {name: np.asarray(names) == name for name in dict.fromkeys(names)}


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


def _named(
    fit: xr.DataTree, views: Mapping[str, str], at: Mapping[str, Any] | None, kept: Mask | None
) -> Iterator[tuple[str, str, Array]]:
    """Yield group, estimand and draws (chain, draw); tau at last."""
    for view, words in views.items():
        # without a comparison that carries the bias both views are one
        group = view if view in fit.children else "posterior"
        for name, draws in estimand_draws(fit, at=at, group=group, kept=kept).items():
            yield view, f"{name} ({words})" if words else name, draws
    if "tau" in fit["posterior"]:
        yield "posterior", "tau", fit["posterior"]["tau"].transpose("chain", "draw").to_numpy()


def _described(
    fit: xr.DataTree, views: Mapping[str, str], at: Mapping[str, Any] | None
) -> dict[str, Numbers]:
    return {
        name: describe(draws) | limit_errors(draws)
        for _, name, draws in _named(fit, views, at, None)
    }


def _reweighted(
    fit: xr.DataTree,
    views: Mapping[str, str],
    weights: Mapping[str, tuple[Array, float]],
    kept: Mask,
    at: Mapping[str, Any] | None,
) -> dict[str, Numbers]:
    """Return the numbers of the reweighted draws; none where they do not reach the limits."""
    numbers = {}
    for view, name, draws in _named(fit, views, at, kept):
        if not limits_trusted(draws, weights[view][0]):
            return {}
        numbers[name] = describe_weighted(draws, weights[view][0])
    return numbers


@dataclass(frozen=True)
class _Settings:
    """What a fit of the rest needs; it can travel to another process."""

    spec: ModelSpec
    evidence: pd.DataFrame
    views: Mapping[str, str]
    likelihoods: Mapping[str, Likelihood] | None
    draws: int
    chains: int
    seed: int

    @classmethod
    def of(
        cls,
        fit: xr.DataTree,
        views: Mapping[str, str],
        likelihoods: Mapping[str, Likelihood] | None,
    ) -> _Settings:
        sizes, seed = fit["posterior"].sizes, int(fit.attrs["seed"])
        draws, chains = int(sizes["draw"]), int(sizes["chain"])
        return cls(_pinned(fit), evidence_of(fit), views, likelihoods, draws, chains, seed)


def _pinned(fit: xr.DataTree) -> ModelSpec:
    """Return the spec with what its evidence decided: reference levels and scaled priors."""
    spec, priors = spec_of(fit), json.loads(str(fit.attrs["priors"]))
    moderators = moderators_of(design_of(fit))
    reference = {each.name: each.levels[0] for each in moderators if each.levels}
    stated = dict(spec.priors)
    if moderators:
        stated["beta"] = {each.name: priors[f"beta:{each.coefficients[0]}"] for each in moderators}
    # contrasts may name levels that leave; they are for the page
    changed = {"priors": stated, "reference": spec.reference | reference, "contrasts": ()}
    return spec.model_copy(update=changed)


def _refit(
    kept: Mask, *, settings: _Settings, at: Mapping[str, Any] | None
) -> tuple[dict[str, Numbers], str]:
    """Return the numbers of a fit of the rest, or none and why."""
    try:
        again = fit_again(
            settings.spec,
            settings.evidence[kept],
            method="auto",
            draws=settings.draws,
            chains=settings.chains,
            seed=settings.seed,
            likelihoods=settings.likelihoods,
            progress=False,
        )
        if not again.attrs["converged"]:
            return {}, f"cannot be used: {again.attrs['gate']}"
        return _described(again, settings.views, at), ""
    except InputError as error:
        return {}, f"cannot be fitted: {error.faults[0].place}: {error.faults[0].found}"
