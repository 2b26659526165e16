"""How much studies differ, and each study's estimate alone and with the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.errors import named_options
from metacart.inference.estimands import draws_of
from metacart.inference.kept import at_kept_draws
from metacart.inference.one_mean import of_one_mean
from metacart.inference.records import attribute, design_of, evidence_of, spec_of
from metacart.modelling.counts import draw_rates
from metacart.modelling.design import data_of, moderators_of, scale_of
from metacart.modelling.likelihoods import LIKELIHOODS, Likelihood
from metacart.modelling.spread import tau_levels
from metacart.records.spec import ModelSpec
from metacart.results.numbers import describe
from metacart.results.summary import spread_draws
from metacart.scales import Scale

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["heterogeneity", "information_of", "member_of", "study_estimates"]

Array = NDArray[np.float64]
_FEW = 5  # studies with several findings


@named_options
@of_one_mean
def heterogeneity(fit: xr.DataTree) -> pd.DataFrame:
    """Return the spread between studies.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.

    Returns
    -------
    DataFrame
        Rows ``tau``, ``tau squared`` and, from two findings on, ``I squared``; columns
        ``quantity``, ``median``, ``lower``, ``upper``, ``note``. Where tau differs by a moderator
        these of each level, such as ``tau scfv[humanized]``, and ``ratio of tau`` of each level to
        the reference. With effects of findings ``tau_within``, its square, ``I squared between``
        and ``I squared within``, and ``share between``, that of tau² in tau² + tau_within². Empty
        without random effects.

    Notes
    -----
    I² is the variance of the study effects over itself plus the typical within-study variance
    (k - 1) Σw / ((Σw)² - Σw²), w = 1/v, of Higgins and Thompson (2002), at each draw; 1/v is the
    information of a finding at the posterior, as in the weights of ``study_estimates``. The
    variance of the effects is tau², under Student-t effects tau² nu / (nu - 2); for nu of 2 or
    less they have none, and I² is missing. It is a convenience that grows with the size of the
    studies, and for proportions misleads; read tau and the next study. With two levels both
    variances stand under the fraction (Cheung 2014); of a level, its own findings alone.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.heterogeneity(mc.fit("cr_rate"))  # doctest: +SKIP
    """
    import pandas as pd

    columns = ["quantity", "median", "lower", "upper", "note"]
    design, spec = design_of(fit), spec_of(fit)
    spreads = spread_draws(fit["posterior"].to_dataset(), spec, design)
    if not spreads:
        return pd.DataFrame(columns=columns)
    levels, scale = tau_levels(spec, moderators_of(design)), scale_of(design)
    place, counts = np.zeros(design.sizes["finding"], dtype=int), [""]
    if levels is not None:
        place = levels.of_rows(design["x"].to_numpy())
        counts = [f"; {_studies(design, place == n)}" for n in range(len(levels.levels))]
    rows: list[dict[str, Any]] = []
    where = f"on the {scale.linear} scale"
    for name, draws in spreads.items():
        more = f"; {_told_by(design)}" if name == "tau_within" else counts.pop(0)
        rows.append({"quantity": name, **describe(draws), "note": where + more})
        square = {"quantity": _turned(name, "tau squared"), **describe(draws**2), "note": where}
        rows.append(square)
    # shares are of the draws that are kept of findings
    kept = spread_draws(at_kept_draws(fit)["posterior"].to_dataset(), spec, design)
    within = kept.pop("tau_within", None)
    information = information_of(fit)
    for number, (name, tau) in enumerate(kept.items()):
        rows += _shares(spec, scale, name, tau, within, information[:, place == number])
    if (within := spreads.pop("tau_within", None)) is not None:
        share = spreads["tau"] ** 2 / (spreads["tau"] ** 2 + within**2)
        note = "of the variance of true values"
        rows.append({"quantity": "share between", **describe(share), "note": note})
    if levels is not None:
        first, *others = spreads.items()
        for name, tau in others:
            quantity = f"ratio of tau, {name.removeprefix('tau ')}"
            note = f"to that of {first[0].removeprefix('tau ')}"
            rows.append({"quantity": quantity, **describe(tau / first[1]), "note": note})
    return pd.DataFrame(rows)[columns]


def _turned(name: str, words: str) -> str:
    """Return ``tau squared scfv[humanized]`` for ``tau scfv[humanized]``."""
    if name == "tau_within":
        return words.replace("tau", name)
    return name.replace("tau", words, 1)


def _studies(design: xr.Dataset, chosen: NDArray[np.bool_]) -> str:
    number = np.unique(design["group"].to_numpy()[chosen]).size
    return f"from {number} {'study' if number == 1 else 'studies'}"


def _told_by(design: xr.Dataset) -> str:
    """Say how many studies tell the spread of findings from that of studies."""
    sizes = np.bincount(design["group"].to_numpy())
    several = int((sizes > 1).sum())
    text = f"told from tau by the {several} of {sizes.size} studies with several findings"
    return f"{text}: so few leave much to its prior" if several < _FEW else text


def _shares(
    spec: ModelSpec, scale: Scale, name: str, tau: Array, within: Array | None, information: Array
) -> list[dict[str, Any]]:
    """Return I², with two levels that of each too."""
    weights = information.reshape(*tau.shape, -1)
    if weights.shape[-1] < 2:
        return []
    quantity = _turned(name, "I squared")
    if spec.random_effects == "student_t" and spec.nu <= 2:
        missing = dict.fromkeys(("median", "lower", "upper"), np.nan)
        why = f"Student-t effects with nu = {spec.nu:g} have no variance to take a share of"
        return [{"quantity": quantity, **missing, "note": why}]
    heavy = spec.nu / (spec.nu - 2.0) if spec.random_effects == "student_t" else 1.0
    between, total = heavy * tau**2, weights.sum(axis=-1)
    # draws in which one finding alone says anything: no share of the variance is between
    with np.errstate(divide="ignore"):
        typical = (weights.shape[-1] - 1) * total
        typical = typical / (total**2 - (weights**2).sum(axis=-1)).clip(0.0)
    caution = "a convenience that misleads for proportions: it"
    caution = caution if scale.is_rate else "a convenience: it"
    note = f"{caution} grows with the size of the studies"
    if within is None:
        share = describe(between / (between + typical))
        return [{"quantity": quantity, **share, "note": note}]
    whole = between + within**2 + typical
    return [
        {"quantity": f"I squared {words}", **describe(part / whole), "note": note}
        for words, part in (("between", between), ("within", within**2))
    ]


@named_options
@of_one_mean
def study_estimates(fit: xr.DataTree) -> pd.DataFrame:
    """Return each finding's estimate alone and shrunken towards the others.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.

    Returns
    -------
    DataFrame
        One row a finding, on the natural scale: ``finding``, ``study``, ``crude``,
        ``crude_lower``, ``crude_upper`` (exact Clopper-Pearson interval for counts, that of the
        profile likelihood for counts of two groups, the normal one for estimates), ``shrunken``,
        ``shrunken_lower``, ``shrunken_upper`` (posterior median and 95 % equal-tailed interval of
        theta) and ``weight`` in percent.

    Notes
    -----
    The weight is the share of the information on the pooled mean, at each draw of the posterior
    and then averaged over the draws: 1/(v_i + tau²) for a study of one finding, where 1/v_i is the
    information of the finding on its theta, minus the second derivative of its log likelihood:
    n p (1 - p) for counts, 1/se² for estimates. Findings of one study share its
    1/(1/w_s + tau²), w_s = Σ 1/v_i, as 1/v_i. Effects of findings add tau_within² to each v_i, and
    where tau differs by level it is that of the finding. It describes; the fit does not use it.
    For a transplant question with two readings the shrunken estimates are those of the naive one,
    which is on the scale of what was printed.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.study_estimates(mc.fit("cr_rate"))  # doctest: +SKIP
    """
    import pandas as pd

    design = design_of(fit)
    scale = scale_of(design)
    fit = at_kept_draws(fit)
    sample = fit["naive" if "naive" in fit.children else "posterior"]
    theta = sample["theta"].transpose("chain", "draw", "finding").to_numpy()
    if "rho" in sample:  # arms scatter around theta
        rho = sample["rho"].transpose("chain", "draw").to_numpy()[..., None]
        rng = np.random.default_rng(int(attribute(fit, "seed")))
        theta = scale.link(draw_rates(theta, rho, rng, data=data_of(design)))
    quantiles = np.quantile(theta, [0.5, 0.025, 0.975], axis=(0, 1))
    shrunken, lower, upper = (scale.inverse(values) for values in quantiles)
    evidence = evidence_of(fit)
    lower_limit, upper_limit = design["crude_lower"].to_numpy(), design["crude_upper"].to_numpy()
    if "ratio" in evidence:
        # as printed: the limits of the normal interval may differ from them in the last digit
        level = evidence.get("level", 0.95)
        printed = (evidence["ratio"].notna() & (level == 0.95)).to_numpy()
        lower_limit = np.where(printed, evidence["lower"], lower_limit)
        upper_limit = np.where(printed, evidence["upper"], upper_limit)
    return pd.DataFrame(
        {
            "finding": design["finding"].to_numpy(),
            "study": evidence["study"].astype(str),
            "crude": design["crude"].to_numpy(),
            "crude_lower": lower_limit,
            "crude_upper": upper_limit,
            "shrunken": shrunken,
            "shrunken_lower": lower,
            "shrunken_upper": upper,
            "weight": _weights(fit),
        }
    )


def information_of(fit: xr.DataTree) -> Array:
    """Return the information of each finding on its theta, at each draw.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.

    Returns
    -------
    array (draws, findings)
        Minus the second derivative of the log likelihood at theta, at the draws that are kept of
        findings. For a likelihood of a user's own, which a saved fit does not hold, one over the
        variance of its normal approximation.
    """
    design, posterior = design_of(fit), at_kept_draws(fit)["posterior"].to_dataset()
    theta = posterior["theta"].transpose("chain", "draw", "finding").to_numpy()
    theta = theta.reshape(-1, theta.shape[-1])
    likelihood = LIKELIHOODS.get(spec_of(fit).likelihood)
    if not isinstance(likelihood, Likelihood):
        return np.broadcast_to(1.0 / design["variance"].to_numpy(), theta.shape)
    data = data_of(design)
    own = {
        name: posterior[name].transpose("chain", "draw").to_numpy().reshape(-1, 1)
        for name in likelihood.shared
        if name in posterior
    }
    eta = theta + likelihood.shift(data, own)
    curvature = likelihood.derivatives(eta, data, own)[1]
    # a rate that is 0 or 1 to the last digit leaves nothing, and nothing cannot be shared
    return np.maximum(-np.asarray(curvature, dtype=np.float64), np.finfo(np.float64).tiny)


def member_of(group: NDArray[np.int64]) -> Any:
    """Return which finding is of which study, a sparse matrix (findings, studies) of ones."""
    from scipy.sparse import csr_array

    return csr_array((np.ones(group.size), (np.arange(group.size), group)))


def _weights(fit: xr.DataTree) -> Array:
    fit = at_kept_draws(fit)
    design, draws = design_of(fit), draws_of(fit)
    information, group = information_of(fit), design["group"].to_numpy()
    if draws.within is not None:
        information = information / (1.0 + draws.within.reshape(-1, 1) ** 2 * information)
    by_study = information @ member_of(group)
    variance = draws.tau_at(design["x"].to_numpy()).reshape(len(information), -1) ** 2
    share = information / (1.0 + variance * by_study[:, group])
    return np.asarray(100.0 * (share / share.sum(axis=1, keepdims=True)).mean(axis=0))
