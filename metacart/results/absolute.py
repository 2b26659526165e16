"""The verb ``absolute``: what a comparison means for 100 patients."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.errors import Fault, InputError, named_options, refuse_unknown
from metacart.inference.estimands import draws_of, rows_at
from metacart.inference.one_mean import of_one_mean
from metacart.inference.records import design_of, evidence_of, spec_of
from metacart.modelling.design import scale_of
from metacart.modelling.likelihoods import LIKELIHOODS, Likelihood
from metacart.modelling.measures import measures_of
from metacart.modelling.moderators import level_text
from metacart.results.contrast import check_contrast, rates_of
from metacart.results.direction import better_of
from metacart.results.needed_to_treat import difference_words, needed_number, needed_words
from metacart.results.numbers import describe
from metacart.results.summary import estimand_draws, place_words, views_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["absolute", "apply_ratio"]

Array = NDArray[np.float64]

_MEASURES = {"or": "odds_ratio", "rr": "risk_ratio", "hr": "hazard_ratio"}
_WITHOUT_BASELINE = (
    "a ratio says nothing of 100 patients without the risk of those that it compares with"
)


@named_options
@of_one_mean
def absolute(
    fit: xr.DataTree,
    *,
    baseline: float | Sequence[float] | None = None,
    contrast: tuple[str, Any, Any] | None = None,
    measure: str | None = None,
    at: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Return what a comparison means for 100 patients: both groups, difference, number needed.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.
    baseline : float or sequence of float, optional
        For a model of ratios, and needed there unless its spec states one: what the compared
        group has, as a share. For hazard ratios the share still free of the event at a landmark,
        such as 0.5 alive at month 12; for odds and risk ratios the risk of the event.
    contrast : (moderator, level, reference), optional
        For a model of rates, and needed there unless its spec names contrasts.
    measure : {"or", "rr", "hr"}, optional
        Which ratio it is, where the evidence does not say.
    at : dict of moderator to level or number, optional
        Where other moderators stand; else they are averaged over the evidence.

    Returns
    -------
    DataFrame
        Columns ``estimand``, ``at`` (where other moderators stand), ``compared``, ``baseline`` (of
        ratios), ``measure``, ``median``, ``lower``, ``upper`` (95 % equal-tailed), ``mcse``,
        ``p_better`` and ``words``. Measures are the two groups and their difference per 100
        patients, and the number needed to treat: positive where patients benefit, negative where
        they are harmed, its two limits those of the difference turned round, so that an interval
        across no difference runs from one through infinity to the other, as ``words`` says it.

    Raises
    ------
    InputError
        For a model of ratios without a baseline, a baseline that is no share, a model of rates
        without a contrast, values on the identity scale, and ratios of an unknown kind.

    Notes
    -----
    Each is computed draw by draw. With a baseline risk p an odds ratio gives pOR/(1 - p + pOR), a
    risk ratio min(1, pRR); with a baseline survival S a hazard ratio gives S^HR. The baseline is
    taken as known. The number needed to treat is one over the difference, never summarised by
    itself: its draws jump from minus to plus infinity where the difference is zero (Altman, BMJ
    1998;317:1309).

    Examples
    --------
    >>> import metacart as mc
    >>> mc.absolute(mc.fit("hsct_benefit_os"), baseline=0.5)  # doctest: +SKIP
    """
    import pandas as pd

    scale = scale_of(design_of(fit))
    if scale.name == "identity":
        found = "values of no known unit"
        raise InputError(Fault("fit", found, "a model of rates or ratios", "summarize(fit)"))
    if measure is not None:
        refuse_unknown("measure", measure, tuple(_MEASURES))
    if scale.is_rate:
        rows = _of_rates(fit, baseline, contrast, measure, at or {})
    else:
        rows = _of_ratios(fit, baseline, contrast, measure, at or {})
    columns = "estimand at compared baseline measure median lower upper mcse p_better words"
    table = pd.DataFrame(rows, columns=pd.Index(columns.split()))
    return table.drop(columns="baseline") if scale.is_rate else table


# ---- models of rates


def _of_rates(
    fit: xr.DataTree,
    baseline: object,
    contrast: tuple[str, Any, Any] | None,
    measure: str | None,
    at: Mapping[str, Any],
) -> Iterable[dict[str, Any]]:
    spec, scale = spec_of(fit), scale_of(design_of(fit))
    faults = [
        Fault(name, f"{value!r}, but the model has rates of its own", "a model of ratios", hint)
        for name, value, hint in (
            ("baseline", baseline, "contrast=(moderator, level, reference)"),
            ("measure", measure, "leave it out"),
        )
        if value is not None
    ]
    pairs = [contrast] if contrast is not None else list(spec.contrasts)
    if not pairs and not faults:
        known = ", ".join(spec.moderator_columns) or "none: the model has no moderators"
        hint = 'contrast=("scfv", "humanized", "murine")'
        faults.append(Fault("contrast", "two groups to compare are not named", known, hint))
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 3:
            allowed = "a moderator, a level and its reference"
            faults.append(Fault("contrast", repr(pair), allowed, '("scfv", "humanized", "murine")'))
    if faults:
        raise InputError(faults)
    sign = -1.0 if better_of(spec, scale) == "lower" else 1.0
    rows: list[dict[str, Any]] = []
    for moderator, level, reference in pairs:
        check_contrast(fit, moderator, level, reference, at)
        groups = [rows_at(fit, {**at, moderator: value}) for value in (level, reference)]
        where = place_words(fit, at, but=moderator)
        names = [f"{moderator} = {level_text(value)}" for value in (level, reference)]
        for estimand, (one, other) in rates_of(draws_of(fit), *groups).items():
            compared = f"{names[0]} against {names[1]}"
            found = _measured(one, other, sign, (names[0], names[1]))
            head = {"estimand": estimand, "at": where, "compared": compared}
            rows += [{**head, **row} for row in found]
    return rows


# ---- models of ratios


def _of_ratios(
    fit: xr.DataTree,
    baseline: float | Sequence[float] | None,
    contrast: object,
    measure: str | None,
    at: Mapping[str, Any],
) -> Iterable[dict[str, Any]]:
    faults: list[Fault] = []
    shares = _shares(spec_of(fit).baseline if baseline is None else baseline, faults)
    kind = _MEASURES[measure] if measure else _measure_of(fit, faults)
    if contrast is not None:
        found = f"{contrast!r}, but the model has ratios"
        hint = "at={moderator: level} for the ratio at one level"
        faults.append(Fault("contrast", found, "a model of rates", hint))
    if faults:
        raise InputError(faults)
    spec = spec_of(fit)
    survival = kind == "hazard_ratio"
    # a hazard ratio below one leaves more patients free of the event
    lower = (spec.better or "lower") == "lower" if survival else _lower_is_better(fit)
    sign = 1.0 if survival == lower else -1.0
    what = "free of the event" if survival else "with the event"
    exposure = (spec.exposure or "exposed").replace("_", " ")
    names = (exposure, f"no {exposure}" if spec.exposure else "not exposed")
    where = place_words(fit, at)
    rows: list[dict[str, Any]] = []
    for group, words in views_of(fit).items():
        for name, ratio in estimand_draws(fit, at=at, group=group).items():
            estimand = f"{name} ({words})" if words else name
            for share in shares:
                one = apply_ratio(ratio, share, kind)
                compared = f"{names[0]} against {names[1]}"
                head = {"estimand": estimand, "at": where, "compared": compared}
                measured = _measured(one, np.full_like(one, share), sign, names, what)
                rows += [{**head, "baseline": share, **row} for row in measured]
    return rows


def apply_ratio(ratio: Array, baseline: float, measure: str) -> Array:
    """Return the share of the exposed from that of the others and a ratio.

    Parameters
    ----------
    ratio : array
        Any shape.
    baseline : float
        The risk of the event; for hazard ratios the share free of it.
    measure : {"odds_ratio", "risk_ratio", "hazard_ratio"}
        What the ratio is.
    """
    with np.errstate(over="ignore", divide="ignore"):
        if measure == "hazard_ratio":
            return np.asarray(baseline**ratio)
        if measure == "risk_ratio":
            return np.minimum(1.0, baseline * ratio)
        # one over the odds: an infinite ratio gives a risk of one
        return np.asarray(1.0 / (1.0 + (1.0 - baseline) / (baseline * ratio)))


def _shares(baseline: Any, faults: list[Fault]) -> list[float]:
    allowed = "a share between 0 and 1, such as 0.5"
    if baseline is None:
        faults.append(Fault("baseline", f"none: {_WITHOUT_BASELINE}", allowed, "baseline=0.5"))
        return []
    several = isinstance(baseline, Iterable) and not isinstance(baseline, str | bytes)
    values = list(baseline) if several else [baseline]
    if not values:
        faults.append(Fault("baseline", "no share", allowed))
    shares = []
    for value in values:
        number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
        if number and 0.0 < float(value) < 1.0:
            shares.append(float(value))
        else:
            percent = number and 1.0 < float(value) < 100.0
            hint = f"write {float(value) / 100:g}" if percent else ""
            faults.append(Fault("baseline", f"{value!r}", allowed, hint))
    return shares


def _measure_of(fit: xr.DataTree, faults: list[Fault]) -> str:
    """Return which ratio a fit is of; a fault where nothing says."""
    spec = spec_of(fit)
    likelihood = LIKELIHOODS.get(spec.likelihood)
    found: frozenset[str] = frozenset()
    if isinstance(likelihood, Likelihood):
        scale = spec.scale or ("log" if "log" in likelihood.scales else likelihood.scales[0])
        found = measures_of(spec, likelihood, scale=scale, evidence=evidence_of(fit))
    if len(found) == 1:
        return next(iter(found))
    known = ", ".join(repr(name) for name in _MEASURES)
    faults.append(Fault("measure", "the evidence does not say which ratio it is", known))
    return ""


def _lower_is_better(fit: xr.DataTree) -> bool:
    return better_of(spec_of(fit), scale_of(design_of(fit))) == "lower"


# ---- both


def _measured(
    one: Array, other: Array, sign: float, names: tuple[str, str], what: str = ""
) -> list[dict[str, Any]]:
    """Return the rows of two groups of which each draw has a share."""
    difference = one - other
    p_better = float(np.mean(sign * difference > 0))
    of = f" {what}" if what else ""
    rows = [
        {"measure": f"per 100{of}, {name}", **_described(100.0 * share, _share_words)}
        for name, share in zip(names, (one, other), strict=True)
    ]
    between = _described(100.0 * difference, difference_words)
    rows.append({"measure": "difference per 100", **between, "p_better": p_better})
    ends = np.quantile(sign * difference, [0.5, 0.975, 0.025])
    middle, best, worst = (float(end) for end in ends)
    rows.append(
        {
            "measure": "number needed to treat",
            "median": needed_number(middle),
            "lower": needed_number(best),
            "upper": needed_number(worst),
            "p_better": p_better,
            "words": needed_words(middle, worst, best),
        }
    )
    return rows


def _described(draws: Array, words: Callable[[float, float, float], str]) -> dict[str, Any]:
    numbers = describe(draws)
    return {**numbers, "words": words(numbers["median"], numbers["lower"], numbers["upper"])}


def _share_words(median: float, lower: float, upper: float) -> str:
    if lower == upper:
        return f"{median:g} of 100"
    return f"{median:.0f} of 100 ({lower:.0f} to {upper:.0f})"
