"""The verb ``fit``: from a question and its evidence to the posterior, in one DataTree."""

from __future__ import annotations

import os
import sys
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from metacart.errors import Fault, InputError, collected, named_options, refuse_unknown
from metacart.evidence.library import spec_of
from metacart.evidence.selection import StudySource, studies_of, tabulate
from metacart.inference.arguments import run_numbers
from metacart.inference.assemble import groups_of_fit, sample_groups
from metacart.inference.engines import METHODS, Engines
from metacart.inference.first_use import tells_of_compiling
from metacart.inference.keeping import Cache, CacheLike, cache_of
from metacart.inference.keys import key_of
from metacart.inference.records import identity
from metacart.inference.systems import fit_system
from metacart.inference.tree import as_fit
from metacart.modelling.check import question_faults
from metacart.modelling.design import bind
from metacart.modelling.likelihoods import Likelihoods, find_likelihood, find_system
from metacart.modelling.priors import resolve_priors
from metacart.modelling.table import as_table
from metacart.records.spec import ModelSpec

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["fit", "fit_lightly", "shows_progress"]

_EXACT = ("pareto_k", "importance_ess", "log_marginal_likelihood")


@named_options
def fit(
    spec: ModelSpec | str | os.PathLike[str],
    evidence: pd.DataFrame | None = None,
    *,
    studies: StudySource | None = None,
    method: str = "auto",
    draws: int = 4000,
    tune: int = 1000,
    chains: int = 4,
    seed: int | None = None,
    likelihoods: Likelihoods | None = None,
    cache: CacheLike | None = None,
    progress: bool | None = None,
) -> xr.DataTree:
    """Fit a declared analysis.

    Parameters
    ----------
    spec : ModelSpec or str or path
        The analysis: a record, the name of a shipped one, or a file.
    evidence : DataFrame, optional
        One row a finding: ``study``, the likelihood's columns (``events`` and ``total``;
        ``estimate`` and ``se``; ``ratio``, ``lower``, ``upper`` and ``level``; beside counts
        ``outcome`` or ``stage`` where there are several) and the moderators.
        By default what ``tabulate`` selects from `studies`.
        A table is taken as it stands: levels are recoded as the spec says, and rows outside of
        its ``include``, outcome or populations are refused, for no account would name them.
        What chooses among several findings of an arm (``timepoint``, ``admit``,
        ``reported_by``, ``exposure``) has no bearing on it.
    studies : Studies or path or sequence of paths, optional
        The result of ``load_studies``, or folders and files of studies; the bundled ones by
        default. Not together with `evidence`.
    method : {"auto", "exact", "nuts"}
        ``"exact"``: the study effects by quadrature, the rest by importance sampling; no Markov
        chain. ``"auto"``: exact first, NUTS through PyMC and nutpie where its weights cannot be
        trusted. ``"nuts"``: NUTS; where its draws fail the gate twice, the exact engine takes over.
    draws, tune : int
        Draws kept and tuning steps, a chain.
    chains : int
        Number of chains; two or more for R-hat.
    seed : int, optional
        Makes the fit reproducible: 0 to 4294967295 (32 bits); a random one is drawn and recorded
        by default.
    likelihoods : mapping of str to Likelihood or System, optional
        Instead of ``LIKELIHOODS``: ``{**LIKELIHOODS, "mine": ...}``.
    cache : Cache or path, optional
        A folder that keeps fits: the same fit is not made twice. None is kept by default, nor with
        a likelihood of your own.
    progress : bool, optional
        Whether to show a progress bar; by default in a terminal or a notebook.

    Returns
    -------
    xarray.DataTree
        Groups ``posterior`` (``mu``, ``tau``, with dim ``level`` where it differs, ``tau_within``,
        ``beta``, ``theta``, ``theta_new``; ``imputed`` where a moderator was, in the unit of the
        evidence), ``prior``, ``posterior_predictive`` and
        ``prior_predictive`` (study effects drawn again), ``log_likelihood`` (``y`` given theta,
        ``study`` with the effect integrated out), ``log_prior``, ``sample_stats``,
        ``observed_data`` and ``constant_data`` (the design).
        Where findings times draws pass 5,000,000, what each finding has for itself is kept of
        fewer draws, evenly spaced, 1,000 or more: ``theta`` then stands in a group of its own,
        ``posterior_findings``, and replicates, log likelihoods and the prior have as many draws;
        the attribute ``finding_draws`` is their number. mu, tau and beta keep every draw.
        The attributes hold spec, evidence, their hashes, seed and versions; ``method`` is the
        engine that drew, ``attempts`` its runs; ``converged`` is 0 where the draws must not be
        used, and ``gate`` says why. Exact draws come with ``pareto_k``, ``importance_ess`` and
        ``log_marginal_likelihood``. A `System` has a mu of each outcome or stage, all that is
        reported of it in the groups ``estimands`` and ``prior_estimands``, and its name in the
        attribute ``system``.

    Raises
    ------
    InputError
        With every fault of options, spec, studies, table and priors, before anything is sampled.

    Notes
    -----
    theta_i = mu + x_i beta + u_s(i), with u ~ Normal(0, tau) or Student-t, seen through the
    likelihood of each finding. A second level (``within``) adds v_i ~ Normal(0, tau_within), new in
    each finding; where tau differs by level (``tau_by``), u_s(i) = tau_l(i) z_s(i). A number x is
    coded (x - reference) / unit; where the spec lets missing ones be imputed, stated and missing
    values of a moderator are Normal(m, s) over arms, with m ~ Normal(mean, 2 SD) and s ~
    HalfNormal(2 SD) of the stated ones. For the transplant question observed = theta + b wherever
    immortal time was not handled. While no study handles it, the data say nothing about b: the
    model is fitted without it (group ``naive``) and b, drawn from its prior, is subtracted from
    ``mu``, ``theta`` and ``theta_new`` draw by draw (group ``posterior``).

    Examples
    --------
    >>> import metacart as mc
    >>> import pandas as pd
    >>> table = pd.DataFrame({"study": ["A", "B", "C"], "events": [9, 5, 13], "total": [10, 8, 19]})
    >>> spec = mc.ModelSpec(likelihood="binomial", priors={"tau": "HalfNormal(0.5)"})
    >>> fit = mc.fit(spec, table, seed=1, progress=False)  # doctest: +SKIP
    """
    faults: list[Fault] = []
    with collected(faults):
        refuse_unknown("method", method, METHODS)
    numbers: dict[str, int] = {}
    with collected(faults):
        numbers = run_numbers(draws=draws, tune=tune, chains=chains, seed=seed)
    if evidence is not None and studies is not None:
        faults.append(
            Fault("studies", "both evidence and studies", "one of them", "drop `studies`")
        )
    with collected(faults):
        cache = cache_of(cache)
    with collected(faults):
        spec = spec_of(spec)
    if faults or not isinstance(spec, ModelSpec):
        raise InputError(faults)
    if evidence is None:
        collection = studies_of(studies)
        if wrong := question_faults(spec, collection, likelihoods=likelihoods):
            raise InputError(wrong)
        evidence = tabulate(collection, spec)
    evidence = as_table(spec, evidence)
    engines = Engines(
        draws=numbers["draws"],
        tune=numbers["tune"],
        chains=numbers["chains"],
        seed=numbers["seed"],
        progress=shows_progress() if progress is None else progress,
    )
    draw = partial(_drawn, spec, evidence, engines=engines, method=method, likelihoods=likelihoods)
    # without a seed any will do, so the kept one does
    run = numbers | {"method": method, "seed": seed}
    kept_in = cache if isinstance(cache, Cache) else None
    key = key_of(spec, evidence, run=run, likelihoods=likelihoods) if kept_in else None
    if kept_in and key and (kept := kept_in.find_fit(key)) is not None:
        return kept
    with tells_of_compiling(engines.progress):
        made = draw()
    if kept_in and key:
        kept_in.keep_fit(key, made)
    return made


def fit_lightly(
    spec: ModelSpec,
    evidence: pd.DataFrame,
    *,
    draws: int,
    chains: int,
    seed: int,
    method: str = "auto",
    likelihoods: Likelihoods | None = None,
) -> xr.DataTree:
    """Return the same fit without its replicates and log densities, from which a row is read.

    Parameters
    ----------
    spec : ModelSpec
        The analysis.
    evidence : DataFrame
        Its table.
    draws, chains, seed, method
        As for ``fit``.
    likelihoods : mapping of str to Likelihood or System, optional
        Instead of ``LIKELIHOODS``.

    Returns
    -------
    xarray.DataTree
        A system's fit is whole.
    """
    engines = Engines(draws=draws, tune=1000, chains=chains, seed=seed, progress=False)
    table = as_table(spec, evidence)
    return _drawn(spec, table, engines=engines, method=method, likelihoods=likelihoods, light=True)


def _drawn(
    spec: ModelSpec,
    evidence: pd.DataFrame,
    *,
    engines: Engines,
    method: str,
    likelihoods: Likelihoods | None,
    light: bool = False,
) -> xr.DataTree:
    """Return the fit of a checked table."""
    design = bind(spec, evidence, likelihoods=likelihoods)
    if (system := find_system(spec, likelihoods=likelihoods)) is not None:
        return fit_system(
            spec, evidence, design, system, engines=engines, method=method, likelihoods=likelihoods
        )
    likelihood = find_likelihood(spec, likelihoods=likelihoods)
    priors = resolve_priors(spec, design, likelihood)
    seed = engines.seed
    draw = partial(
        engines.draw,
        spec,
        likelihood=likelihood,
        priors=priors,
        method=method,
        likelihoods=likelihoods,
    )
    drawn = draw(design)
    groups = groups_of_fit(
        spec,
        design,
        likelihood,
        priors,
        drawn.posterior,
        seed=seed,
        theta=drawn.theta,
        by_study=None if drawn.exact is None else drawn.exact.log_likelihood,
        light=light,
    )
    attempts, failure = drawn.attempts, drawn.failure
    if "biased" in design and "naive" not in groups and "bias" in priors:
        # studies that handle time inform b; beside the joint fit stands the one that ignores it
        naive = draw(design.assign(biased=0.0 * design["biased"]))
        groups |= sample_groups(
            "naive", naive.posterior, naive.theta, spec, design, likelihood, seed=seed
        )
        attempts = [*attempts, *naive.attempts]
        failure = "; ".join(part for part in (failure, naive.failure) if part)
    groups["sample_stats"] = drawn.statistics
    exact = {} if drawn.exact is None else {name: getattr(drawn.exact, name) for name in _EXACT}
    return as_fit(
        groups,
        identity(spec, evidence),
        seed=seed,
        method=drawn.method,
        attempts=attempts,
        priors=priors,
        failure=failure,
        exact=exact,
    )


def shows_progress() -> bool:
    """Whether a progress bar has a reader: in a terminal, or a notebook that can draw one."""
    if "ipykernel" in sys.modules:
        return find_spec("ipywidgets") is not None  # without it rich prints a warning, no bar
    return sys.stderr.isatty()
