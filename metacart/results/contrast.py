"""Two levels of a moderator against each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.errors import Fault, InputError, named_options, nearest
from metacart.inference.estimands import Draws, draws_of, rows_at
from metacart.inference.kept import at_kept_draws
from metacart.inference.one_mean import of_one_mean
from metacart.inference.records import design_of, spec_of
from metacart.modelling.design import moderators_of, scale_of
from metacart.modelling.moderators import code_at, columns_of, main_effects
from metacart.results.direction import better_of
from metacart.results.heterogeneity import information_of, member_of
from metacart.results.numbers import describe

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["check_contrast", "contrast", "mostly_prior", "rates_of", "within_share"]

Array = NDArray[np.float64]
_PRIOR_DOMINATED = 0.5
_BOTH = "next study, both levels in it"
_APART = "next studies, one level in each"


@named_options
@of_one_mean
def contrast(
    fit: xr.DataTree,
    moderator: str,
    level: Any,
    reference: Any,
    *,
    at: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Compare two levels of a moderator, with all else standardised over the evidence.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.
    moderator : str
        One of the spec's moderators.
    level, reference : str, bool or number
        The two levels; two values of a numeric moderator.
    at : dict of moderator to level or number, optional
        Where the other moderators stand, such as ``{"age": 12}``; those that are not named keep
        their values of the evidence. It matters where they interact.

    Returns
    -------
    DataFrame
        Columns ``estimand``, ``measure``, ``median``, ``lower``, ``upper`` (95 % equal-tailed),
        ``p_better`` (probability that `level` is better than `reference`, in the direction of
        the outcome) and ``posterior_to_prior_sd`` (of the measure; ratios on the log scale).
        Above 0.5 the number is mostly the prior: ``attrs["mostly_prior"]`` names those rows, and
        the other measures of the same estimand with them, for they say the same in other units.
        The next studies with one level in each are never among them: the difference u1 - u2 of
        their effects stands in posterior and prior alike, however much the data say.
        ``attrs["note"]`` says what kind of comparison this is, and ``attrs["within_share"]`` the
        median share of the information that comes from within studies.

    Raises
    ------
    InputError
        For an unknown moderator or level, a level against itself, or `at` that names what is
        compared.

    Notes
    -----
    For rates: the odds ratio, risk difference and risk ratio of the population averages; the
    conditional odds ratio exp(beta), which is farther from one; and the next study in two
    readings, both arms in one new study (they share its effect u) or one arm in each of two new
    studies (beta + u1 - u2). A contrast across single-arm studies is ecological.

    Examples
    --------
    >>> import metacart as mc
    >>> fit = mc.fit("retreatment_cr")  # doctest: +SKIP
    >>> mc.contrast(fit, "scfv", "humanized", "murine")  # doctest: +SKIP
    """
    import pandas as pd

    check_contrast(fit, moderator, level, reference, at or {})
    spec, scale = spec_of(fit), scale_of(design_of(fit))
    sign = -1.0 if better_of(spec, scale) == "lower" else 1.0
    posterior, prior = (
        _measures(
            draws_of(fit, group=group),
            *(
                rows_at(fit, {**(at or {}), moderator: value}, group=group)
                for value in (level, reference)
            ),
        )
        for group in ("posterior", "prior")
    )
    table = []
    for (estimand, measure), draws in posterior.items():
        logged = np.log(draws) if "ratio" in measure else draws
        prior_logged = (
            np.log(prior[estimand, measure]) if "ratio" in measure else prior[estimand, measure]
        )
        described = describe(draws)
        described.pop("mcse")
        table.append(
            {
                "estimand": estimand,
                "measure": measure,
                **described,
                "p_better": float(np.mean(sign * logged > 0)),
                "posterior_to_prior_sd": float(np.std(logged) / np.std(prior_logged)),
            }
        )
    result = pd.DataFrame(table)
    share = within_share(fit, moderator, level, reference)
    worst = result.groupby("estimand")["posterior_to_prior_sd"].transform("max")
    dominated = result[(worst > _PRIOR_DOMINATED) & (result["estimand"] != _APART)]
    result.attrs = {
        "moderator": moderator,
        "level": str(level),
        "reference": str(reference),
        "better": "lower" if sign < 0 else "higher",
        "within_share": share,
        "mostly_prior": [_words(row) for row in dominated.to_dict("records")],
        "note": _note(share),
    }
    return result


def mostly_prior(table: pd.DataFrame, row: Mapping[Any, Any] | pd.Series[Any]) -> bool:
    """Whether a row of the table of ``contrast`` is among those that are mostly the prior."""
    return _words(row) in table.attrs["mostly_prior"]


def _words(row: Mapping[Any, Any] | pd.Series[Any]) -> str:
    return f"{row['estimand']}: {row['measure']}"


def _measures(draws: Draws, level: Array, reference: Array) -> dict[tuple[str, str], Array]:
    difference = draws.linear(level).mean(axis=-1) - draws.linear(reference).mean(axis=-1)
    apart = draws.new_levels(level, 1).mean(axis=-1) - draws.new_levels(reference, 2).mean(axis=-1)
    if not draws.scale.is_rate:
        name = "ratio of ratios" if draws.scale.name == "log" else "difference"
        turn = draws.scale.inverse
        return {
            ("median study", name): turn(difference),
            (_APART, name): turn(apart),
        }
    (average, against), (one, other) = rates_of(draws, level, reference).values()
    odds = "odds ratio" if draws.scale.name == "logit" else "hazard ratio"
    # survival rises with the scale, the hazard falls
    sign = -1.0 if draws.scale.name == "loglog" else 1.0
    return {
        ("population average", "odds ratio"): (average / (1 - average)) / (against / (1 - against)),
        ("population average", "risk difference"): average - against,
        ("population average", "risk ratio"): average / against,
        ("median study (conditional)", odds): np.exp(sign * difference),
        (_BOTH, "risk difference"): one - other,
        (_APART, odds): np.exp(sign * apart),
        (_APART, "risk difference"): one - _new_rate(draws, reference, 2),
    }


def rates_of(draws: Draws, level: Array, reference: Array) -> dict[str, tuple[Array, Array]]:
    """Return the rates (chain, draw) of two levels, as they are compared, by estimand."""
    average, against = (
        # a wide prior rounds a rate to 0 or 1, of which there are no odds
        np.clip(draws.population_average(rows), np.finfo(np.float64).tiny, np.nextafter(1.0, 0.0))
        for rows in (level, reference)
    )
    return {
        "population average": (average, against),
        _BOTH: (_new_rate(draws, level, 1), _new_rate(draws, reference, 1, finding=2)),
    }


def _new_rate(draws: Draws, rows: Array, number: int, *, finding: int = 1) -> Array:
    """Return the rate of a finding of the `number`-th new study, averaged over rows."""
    levels = draws.new_levels(rows, number, finding=finding)
    return np.asarray(draws.scale.inverse(levels).mean(axis=-1))


def within_share(fit: xr.DataTree, moderator: str, level: Any, reference: Any) -> float:
    """Return the median share of the information on a contrast that lies within studies.

    Notes
    -----
    With w_i the information of finding i on its theta and x the indicator of `level` among the
    findings of the two levels: W = sum w_i (x_i - x_s)² within studies, A = sum_s omega_s
    (x_s - x)² across, omega_s = w_s / (1 + tau² w_s), and the share W / (W + A) at each draw.
    Effects of findings widen w_i to w_i / (1 + tau_within² w_i); where tau differs by level, that
    of a study is the mean over its findings, each by its information.
    """
    fit = at_kept_draws(fit)
    design = design_of(fit)
    pair = [_code(fit, moderator, value) for value in (level, reference)]
    columns = _code(fit, moderator, None)
    chosen = np.asarray([any(np.array_equal(row, code[0]) for code in pair) for row in columns])
    x = np.asarray([float(np.array_equal(row, pair[0][0])) for row in columns])[chosen]
    if not chosen.any() or x.min() == x.max():
        return float("nan")
    group = np.unique(design["group"].to_numpy()[chosen], return_inverse=True)[1]
    draws, x_all = draws_of(fit), design["x"].to_numpy()[chosen]
    weights = information_of(fit)[:, chosen]
    if draws.within is not None:
        weights = weights / (1.0 + draws.within.reshape(-1, 1) ** 2 * weights)
    variance = draws.tau_at(x_all).reshape(len(weights), -1) ** 2
    member = member_of(group)
    by_study = weights @ member
    centre = (weights * x) @ member / by_study
    within = (weights * (x - centre[:, group]) ** 2).sum(axis=1)
    variance = (weights * variance) @ member / by_study
    omega = by_study / (1.0 + variance * by_study)
    overall = (omega * centre).sum(axis=1, keepdims=True) / omega.sum(axis=1, keepdims=True)
    across = (omega * (centre - overall) ** 2).sum(axis=1)
    return float(np.median(within / (within + across)))


def _code(fit: xr.DataTree, moderator: str, value: Any) -> Array:
    """The moderator's own columns of the design, at a value or as the evidence has them."""
    design = design_of(fit)
    moderators = moderators_of(design)
    columns = columns_of(moderators, design["x"].to_numpy())
    if value is not None:
        columns = code_at(moderators, {moderator: value})
    return np.stack(columns[moderator], axis=1)


def check_contrast(
    fit: xr.DataTree, moderator: str, level: Any, reference: Any, at: Mapping[str, Any]
) -> None:
    """Raise `InputError` unless two levels of a moderator can be compared."""
    names = [item.name for item in main_effects(moderators_of(design_of(fit)))]
    if moderator in at:
        found = f"'{moderator}' is what is compared"
        others = ", ".join(name for name in names if name != moderator)
        raise InputError(Fault(f"at['{moderator}']", found, others or "no other moderator"))
    if moderator not in names:
        raise InputError(
            Fault(
                "moderator",
                f"'{moderator}' is not in the model",
                ", ".join(names) or "none: the model has no moderators",
                nearest(moderator, names) or "name it in the spec's `moderators`",
            )
        )
    if level == reference:
        raise InputError(
            Fault("level", f"'{level}' against itself", "two different levels of the moderator")
        )


def _note(share: float) -> str:
    if np.isnan(share):
        return "a comparison across studies of different values: ecological"
    if share < 0.005:
        return "a comparison across studies only: ecological, no study has both levels"
    return f"{share:.0%} of the information is from within studies; the rest is ecological"
