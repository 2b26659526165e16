"""How much studies differ, and each study's estimate alone and with the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.errors import named_options
from metacart.inference.one_mean import of_one_mean
from metacart.inference.records import attribute, design_of, evidence_of, spec_of
from metacart.modelling.counts import draw_rates
from metacart.modelling.design import data_of, scale_of
from metacart.modelling.likelihoods import LIKELIHOODS, Likelihood
from metacart.results.numbers import describe

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["heterogeneity", "information_of", "study_estimates"]

Array = NDArray[np.float64]


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
        ``quantity``, ``median``, ``lower``, ``upper``, ``note``. Empty without random effects.

    Notes
    -----
    I² is the variance of the study effects over itself plus the typical within-study variance
    (k - 1) Σw / ((Σw)² - Σw²), w = 1/v, of Higgins and Thompson (2002), at each draw; 1/v is the
    information of a finding at the posterior, as in the weights of ``study_estimates``. The
    variance of the effects is tau², under Student-t effects tau² nu / (nu - 2); for nu of 2 or
    less they have none, and I² is missing. It is a convenience that grows with the size of the
    studies, and for proportions misleads; read tau and the next study.
    """
    import pandas as pd

    columns = ["quantity", "median", "lower", "upper", "note"]
    if "tau" not in fit["posterior"]:
        return pd.DataFrame(columns=columns)
    tau = fit["posterior"]["tau"].transpose("chain", "draw").to_numpy()
    spec, scale = spec_of(fit), scale_of(design_of(fit))
    rows: list[dict[str, Any]] = [
        {"quantity": "tau", **describe(tau), "note": f"on the {scale.linear} scale"},
        {"quantity": "tau squared", **describe(tau**2), "note": f"on the {scale.linear} scale"},
    ]
    weights = information_of(fit).reshape(*tau.shape, -1)
    if weights.shape[-1] > 1 and spec.random_effects == "student_t" and spec.nu <= 2:
        missing = dict.fromkeys(("median", "lower", "upper"), np.nan)
        why = f"Student-t effects with nu = {spec.nu:g} have no variance to take a share of"
        rows.append({"quantity": "I squared", **missing, "note": why})
    elif weights.shape[-1] > 1:
        heavy = spec.nu / (spec.nu - 2.0) if spec.random_effects == "student_t" else 1.0
        between, total = heavy * tau**2, weights.sum(axis=-1)
        # draws in which one finding alone says anything: no share of the variance is between
        with np.errstate(divide="ignore"):
            typical = (
                (weights.shape[-1] - 1) * total / (total**2 - (weights**2).sum(axis=-1)).clip(0.0)
            )
        rates = scale.is_rate
        caution = (
            "a convenience that misleads for proportions: it" if rates else "a convenience: it"
        )
        rows.append(
            {
                "quantity": "I squared",
                **describe(between / (between + typical)),
                "note": f"{caution} grows with the size of the studies",
            }
        )
    return pd.DataFrame(rows)[columns]


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
    and then averaged over the draws: 1/(v_i + tau²) for a study of one finding, where 1/v_i is
    the information of the finding on its theta, minus the second derivative of its log
    likelihood: n p (1 - p) for counts, 1/se² for estimates. Findings of one study share its
    1/(1/w_s + tau²), w_s = Σ 1/v_i, as 1/v_i. It describes; the fit does not use it. For a
    transplant question with two readings the shrunken estimates are those of the naive one, which
    is on the scale of what was printed.
    """
    import pandas as pd

    design = design_of(fit)
    scale = scale_of(design)
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
        Minus the second derivative of the log likelihood at theta. For a likelihood of a user's
        own, which a saved fit does not hold, one over the variance of its normal approximation.
    """
    design, posterior = design_of(fit), fit["posterior"].to_dataset()
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


def _weights(fit: xr.DataTree) -> Array:
    information, group = information_of(fit), design_of(fit)["group"].to_numpy()
    tau = np.zeros(1)
    if "tau" in fit["posterior"]:
        tau = fit["posterior"]["tau"].transpose("chain", "draw").to_numpy()
    by_study = information @ np.eye(int(group.max()) + 1)[group]
    share = information / (1.0 + tau.reshape(-1, 1) ** 2 * by_study[:, group])
    return np.asarray(100.0 * (share / share.sum(axis=1, keepdims=True)).mean(axis=0))
