"""What each study adds to heterogeneity, and how far it moves the pooled answer (Baujat 2002)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from metacart.errors import Fault, InputError, named_options
from metacart.inference.one_mean import of_one_mean
from metacart.inference.records import design_of, evidence_of, spec_of
from metacart.modelling.design import data_of, moderators_of, scale_of
from metacart.modelling.likelihood import Data, Likelihood
from metacart.modelling.likelihoods import LIKELIHOODS, Likelihoods, find_likelihood
from metacart.modelling.moderators import main_effects
from metacart.results.left_out import Mask, cohorts_of, one_cohort

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["baujat_table"]

Array = NDArray[np.float64]
_FAR = 12.0  # standard errors from its estimate: nothing of a likelihood is left to climb there
_HALVINGS = 60


@named_options
@of_one_mean
def baujat_table(fit: xr.DataTree, *, likelihoods: Likelihoods | None = None) -> pd.DataFrame:
    """Return what each study adds to heterogeneity, and how far it moves a common effect.

    Parameters
    ----------
    fit : DataTree
        From ``fit``, without moderators.
    likelihoods : mapping of str to Likelihood or System, optional
        Those of the fit, where they are not the shipped ones.

    Returns
    -------
    DataFrame
        A row a cohort, whose papers leave together: ``left_out``, ``studies``, ``contribution``,
        ``influence`` and ``pooled`` (the common effect of the others, on the natural scale). The
        largest sum of the two comes first. ``attrs`` holds ``statistic`` (``"Q"`` for estimates
        with standard errors, ``"G²"`` for counts), its ``total`` and ``df``, and ``pooled`` of all.

    Raises
    ------
    InputError
        For moderators, several means, one cohort alone, or a likelihood of your own whose findings
        share a parameter.

    Notes
    -----
    Both are differences of log likelihoods under one effect common to all, without a study effect.
    With l_i that of study i, and θ̂, θ̂_i and θ̂_(-i) where those of all, of i and of all but i are
    largest, the contribution is 2[l_i(θ̂_i) - l_i(θ̂)] and the influence
    2[l_(-i)(θ̂_(-i)) - l_(-i)(θ̂)]. Contributions add up to the likelihood-ratio statistic of
    heterogeneity, which falls by the sum of the two when i leaves. For estimates with standard
    errors this is Baujat and others (2002), to the letter: (y_i - θ̂)²/se_i², which adds up to
    Cochran's Q, against (θ̂_(-i) - θ̂)²/Var(θ̂_(-i)). Counts are exact, with 0 of n and n of n; those
    of two groups have the level of their control group integrated out under its prior, and
    beta-binomial ones are taken as binomial. Transplant is read naively. How far the answer of the
    model moves, which has study effects and priors, is in ``influence``.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.baujat_table(mc.fit("cr_rate"))  # doctest: +SKIP
    """
    import pandas as pd

    likelihood = _common(fit, likelihoods)
    cohorts, design = cohorts_of(fit), design_of(fit)
    data, number = data_of(design), design.sizes["finding"]
    rows = np.zeros((len(cohorts), number), dtype=bool)
    for own, places in zip(rows, cohorts.values(), strict=True):
        own[places] = True

    def logs(theta: Array) -> Array:
        every = np.repeat(theta[:, None], number, axis=1)
        return np.asarray(likelihood.logp(every, data, {}), dtype=np.float64)

    alone = _tops(likelihood, data, np.eye(number, dtype=bool))
    middle = _tops(likelihood, data, np.ones((1, number), dtype=bool))
    others = _tops(likelihood, data, ~rows)
    at_middle = logs(middle)[0]
    contributions = 2.0 * (np.diagonal(logs(alone)) - at_middle)
    moved = 2.0 * ((logs(others) - at_middle) * ~rows).sum(axis=1)
    scale, studies = scale_of(design), evidence_of(fit)["study"].astype(str).to_numpy()
    table = pd.DataFrame(
        {
            "left_out": list(cohorts),
            "studies": [", ".join(dict.fromkeys(studies[own])) for own in rows],
            "contribution": np.maximum(rows @ contributions, 0.0),
            "influence": np.maximum(moved, 0.0),
            "pooled": scale.inverse(others),
        }
    )
    falls = table["contribution"] + table["influence"]
    table = table.loc[falls.sort_values(ascending=False, kind="stable").index]
    table = table.reset_index(drop=True)
    table.attrs = {
        "statistic": "Q" if _of_estimates(fit) else "G²",
        "total": float(table["contribution"].sum()),
        "df": number - 1,
        "pooled": float(scale.inverse(middle)[0]),
    }
    return table


def _of_estimates(fit: xr.DataTree) -> bool:
    """Return whether every finding is an estimate with a standard error."""
    name = spec_of(fit).likelihood
    if name == "hsct":
        return bool((evidence_of(fit)["kind"] != "contrast").all())
    return name in ("normal", "survival")


def _common(fit: xr.DataTree, likelihoods: Likelihoods | None) -> Likelihood:
    """Return the likelihood of findings that share one effect and nothing else."""
    likelihood = find_likelihood(spec_of(fit), likelihoods=likelihoods)
    faults = []
    if mains := main_effects(moderators_of(design_of(fit))):
        names = ", ".join(each.name for each in mains)
        found = f"a fit with moderators ({names}), which have no one effect common to all"
        attempt = "fit the same evidence without them, or influence"
        faults.append(Fault("fit", found, "a fit without moderators", attempt))
    if likelihood.name == "beta_binomial":
        counts = LIKELIHOODS["binomial"]
        assert isinstance(counts, Likelihood)
        likelihood = counts
    elif likelihood.name not in LIKELIHOODS and likelihood.shared:
        found = f"the likelihood '{likelihood.name}', whose findings share more than their effect: "
        found += ", ".join(likelihood.shared)
        faults.append(Fault("fit", found, "a likelihood without shared parameters", "influence"))
    if len(cohorts := cohorts_of(fit)) < 2:
        faults.append(one_cohort(cohorts))
    if faults:
        raise InputError(faults)
    return likelihood


def _tops(likelihood: Likelihood, data: Data, chosen: Mask) -> Array:
    """Return where the log likelihood of each set of findings (sets, findings) is largest.

    A likelihood that only climbs, as of 0 of n, is followed until nothing is left to climb.
    """
    estimate, variance = (np.asarray(each, dtype=float) for each in likelihood.approximate(data))
    reach = _FAR * np.sqrt(variance)
    low = np.where(chosen, estimate - reach, np.inf).min(axis=1)
    high = np.where(chosen, estimate + reach, -np.inf).max(axis=1)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        every = np.repeat(middle[:, None], chosen.shape[1], axis=1)
        slopes = likelihood.derivatives(every, data, {})[0]
        rises = np.where(chosen, slopes, 0.0).sum(axis=1) > 0.0
        low, high = np.where(rises, middle, low), np.where(rises, high, middle)
    return np.asarray(0.5 * (low + high))
