"""The named estimands of a fit, as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.errors import Fault, InputError, named_options
from metacart.inference.estimands import draws_of, rows_at
from metacart.inference.one_mean import is_system
from metacart.inference.records import design_of, group_of, spec_of
from metacart.modelling.design import moderators_of, scale_of
from metacart.modelling.imputation import IMPUTED
from metacart.modelling.moderators import level_text, main_effects, steps_of
from metacart.modelling.spread import tau_levels
from metacart.records.spec import ModelSpec
from metacart.results.direction import better_of
from metacart.results.numbers import describe, limit_errors, probability

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = [
    "estimand_draws",
    "place_words",
    "spread_draws",
    "summarize",
    "summary_with_errors",
    "views_of",
]

Array = NDArray[np.float64]
_COLUMNS = ("estimand", "at", "median", "lower", "upper", "mcse")


def views_of(fit: xr.DataTree) -> dict[str, str]:
    """Return the groups that hold an answer, and the words that tell them apart.

    A transplant question has two, which always stand side by side: the naive one, and the one
    adjusted for immortal time. Every other question has one, without words.
    """
    if "naive" in fit.children:
        return {"naive": "naive", "posterior": "immortal-time-adjusted"}
    return {"posterior": ""}


def estimand_draws(
    fit: xr.DataTree,
    *,
    at: Mapping[str, Any] | None = None,
    group: str = "posterior",
    kept: NDArray[np.bool_] | None = None,
    thin: int = 1,
) -> dict[str, Array]:
    """Return draws (chain, draw) of each named estimand on the natural scale.

    `kept` says over which rows of the evidence they are averaged; over all by default. Every
    `thin`-th draw enters.
    """
    draws, rows = draws_of(fit, group=group), rows_at(fit, at or {}, group=group)
    rows = rows if kept is None else rows[..., kept, :]
    if thin > 1:
        draws = draws.at(slice(None, None, thin))
        rows = rows if rows.ndim == 2 else rows[:, ::thin]
    estimands = {"median study": draws.median_study(rows)}
    if draws.has_average:
        estimands["population average"] = draws.population_average(rows)
    estimands["next study"] = draws.next_study(rows)
    return estimands


@named_options
def summarize(fit: xr.DataTree, *, at: Mapping[str, Any] | None = None) -> pd.DataFrame:
    """Return the named estimands of a fit.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.
    at : dict of moderator to level or number, optional
        Where to stand, such as ``{"scfv": "humanized"}``. A moderator that is not named keeps
        its values of the evidence: the estimand is averaged over its rows.

    Returns
    -------
    DataFrame
        Columns ``estimand``, ``at``, ``median``, ``lower``, ``upper`` (the 95 % equal-tailed
        interval) and ``mcse`` (Monte Carlo standard error of the median, or of a probability).
        Rates, ratios or values for ``median study``, ``population average`` and ``next study``;
        then P(beyond threshold), a probability in the column ``median``, for each threshold of
        the spec; then ``tau`` (of each level where it differs, ``tau scfv[humanized]``),
        ``tau_within`` where findings have effects of their own, and ``beta`` on the model scale,
        with what a step of each beta is under ``at``, and imputed values of moderators in their
        own unit. Of several outcomes or stages each has its rows, under ``at`` as
        ``outcome = relapse``. The words ``naive`` and ``immortal-time-adjusted`` tell the two
        readings of a transplant question apart.

    Raises
    ------
    InputError
        For a moderator or a level that the fit does not have.

    Notes
    -----
    A pooled rate is three numbers. The median study is g⁻¹(m), the population average
    E[g⁻¹(m + u) | tau] over the study effect u, the next study g⁻¹(m + u_new), each computed draw
    by draw with m = mu + x beta. With a second level u is the sum of a study's effect and that of
    a finding in it, both new in the next study. Where tau differs by level, each row has its own.
    Ratios have no population average, since E[exp(theta)] need not exist, nor have values under
    Student-t effects of one degree of freedom, whose mean does not.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.summarize(mc.fit("cr_rate"))  # doctest: +SKIP
    """
    table = summary_with_errors(fit, at=at)
    return table[[*_COLUMNS]]


def summary_with_errors(fit: xr.DataTree, *, at: Mapping[str, Any] | None = None) -> pd.DataFrame:
    """Return ``summarize``'s table with the Monte Carlo errors of the two limits.

    They are the columns ``mcse_lower`` and ``mcse_upper``: a page prints no digit beyond them.
    """
    import pandas as pd

    columns = pd.Index(
        ["estimand", "at", "median", "lower", "upper", "mcse", "mcse_lower", "mcse_upper"]
    )
    if is_system(fit):
        if at:
            raise InputError(_no_moderators(fit, at))
        return pd.DataFrame(list(_of_several(fit)), columns=columns)
    spec, scale = spec_of(fit), scale_of(design_of(fit))
    where = place_words(fit, at or {})
    lower_is_better = better_of(spec, scale) == "lower"
    rows: list[dict[str, Any]] = []
    for group, words in views_of(fit).items():
        suffix = f" ({words})" if words else ""
        estimands = estimand_draws(fit, at=at, group=group)
        rows += [
            {"estimand": name + suffix, "at": where, **_described(draws)}
            for name, draws in estimands.items()
        ]
        for threshold in spec.thresholds:
            sign = "<" if lower_is_better else ">"
            rows += [
                {
                    "estimand": f"P({name} {sign} {threshold:g}){suffix}",
                    "at": where,
                    **probability(draws < threshold if lower_is_better else draws > threshold),
                }
                for name, draws in estimands.items()
            ]
    rows += _parameters(fit)
    return pd.DataFrame(rows, columns=columns)


def _of_several(fit: xr.DataTree) -> Iterator[dict[str, Any]]:
    """Yield the rows of a fit with several means, each with the outcome or stage it is of."""
    for name, values in group_of(fit, "estimands").data_vars.items():
        ordered = values.transpose(..., "chain", "draw")
        if ordered.ndim == 2:
            yield {"estimand": name, "at": "", **_described(ordered.to_numpy())}
            continue
        dim = ordered.dims[0]
        for label, draws in zip(ordered[dim].to_numpy(), ordered.to_numpy(), strict=True):
            yield {"estimand": name, "at": f"{dim} = {label}", **_described(draws)}


def _no_moderators(fit: xr.DataTree, at: Mapping[str, Any]) -> Fault:
    found = f"{', '.join(map(str, at))}, but a {fit.attrs['system']} fit has no moderators"
    return Fault("at", found, "no such option", "drop it: the table has a row for each")


def _described(draws: Array) -> dict[str, float]:
    return describe(draws) | limit_errors(draws)


def _parameters(fit: xr.DataTree) -> list[dict[str, Any]]:
    spec, posterior = spec_of(fit), fit["posterior"]
    rows: list[dict[str, Any]] = []
    for name, tau in spread_draws(posterior.to_dataset(), spec, design_of(fit)).items():
        rows.append({"estimand": name, "at": "", **_described(tau)})
        if spec.random_effects == "student_t" and spec.nu > 2:
            spread = tau * np.sqrt(spec.nu / (spec.nu - 2.0))
            words = "SD of study effects" + name.removeprefix("tau")
            rows.append({"estimand": words, "at": "", **_described(spread)})
    if "rho" in posterior:
        rho = posterior["rho"].transpose("chain", "draw").to_numpy()
        rows.append({"estimand": "rho", "at": "", **_described(rho)})
    if "beta" in posterior:
        beta = posterior["beta"].transpose("coefficient", "chain", "draw")
        steps = steps_of(moderators_of(design_of(fit)))
        rows += [
            {
                "estimand": f"beta {name}",
                "at": steps[name],
                **_described(draws),
            }
            for name, draws in zip(
                beta["coefficient"].to_numpy().tolist(), beta.to_numpy(), strict=True
            )
        ]
    if IMPUTED in posterior:
        imputed = posterior[IMPUTED].transpose("gap", "chain", "draw")
        rows += [
            {"estimand": f"imputed {name}", "at": "", **_described(draws)}
            for name, draws in zip(imputed["gap"].to_numpy(), imputed.to_numpy(), strict=True)
        ]
    if "bias" in posterior:
        bias = posterior["bias"].transpose("chain", "draw").to_numpy()
        rows.append({"estimand": "bias (log scale)", "at": "", **_described(bias)})
    return rows


def spread_draws(sample: xr.Dataset, spec: ModelSpec, design: xr.Dataset) -> dict[str, Array]:
    """Return draws (chain, draw) of every spread of true values on the model scale, by name.

    ``tau``, or ``tau scfv[humanized]`` and so on where it differs by level; ``tau_within``.
    """
    found: dict[str, Array] = {}
    if "tau" in sample:
        tau = sample["tau"].transpose("chain", "draw", ...).to_numpy()
        levels = tau_levels(spec, moderators_of(design))
        if levels is None:
            found["tau"] = tau
        else:
            found |= {f"tau {name}": tau[..., n] for n, name in enumerate(levels.names)}
    if "tau_within" in sample:
        found["tau_within"] = sample["tau_within"].transpose("chain", "draw").to_numpy()
    return found


def place_words(fit: xr.DataTree, at: Mapping[str, Any], *, but: str = "") -> str:
    """Say where an estimand stands, of all moderators but one."""
    moderators = main_effects(moderators_of(design_of(fit)))
    parts = [f"{name} = {level_text(value)}" for name, value in at.items()]
    if any(each.name not in at and each.name != but for each in moderators):
        parts.append("averaged over the evidence")
    return ", ".join(parts)
