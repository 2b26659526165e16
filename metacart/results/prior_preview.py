"""What the priors of a question say about study rates, before any fit, as a table."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.errors import named_options
from metacart.evidence.library import spec_of
from metacart.modelling.likelihoods import Likelihoods
from metacart.records.spec import ModelSpec
from metacart.results.direction import better_of
from metacart.results.imagined import Imagined, effects_of, imagine, in_view
from metacart.scales import SCALES

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["beyond", "preview_of", "preview_priors"]

Array = NDArray[np.float64]
_COLUMNS = "estimand at median lower upper follows_from"
# what hardly any study shows
_RATES, _RATIOS = (0.05, 0.95), (0.1, 10.0)
_NAMES = {
    "logit": "odds ratio",
    "cloglog": "hazard ratio",
    "loglog": "hazard ratio",
    "log": "ratio",
}


@named_options
def preview_priors(
    spec: ModelSpec | str | os.PathLike[str],
    evidence: pd.DataFrame | None = None,
    *,
    likelihoods: Likelihoods | None = None,
) -> pd.DataFrame:
    """Return what the priors of a question say about studies, before any data are seen.

    Parameters
    ----------
    spec : ModelSpec or str or path
        The question: a record, the name of a shipped one, or a file.
    evidence : DataFrame, optional
        What ``fit`` would take. Only its moderators matter: estimands are then averaged over its
        rows, and default priors of numeric moderators have their unit. No outcome is looked at.
    likelihoods : mapping of str to Likelihood or System, optional
        Instead of ``LIKELIHOODS``.

    Returns
    -------
    DataFrame
        Columns ``estimand``, ``at``, ``median``, ``lower``, ``upper`` (95 % equal-tailed interval)
        and ``follows_from``, the explicit priors behind the row. First the median study, the
        population average and the next study, with the probabilities that each is extreme (a rate
        below 0.05 or above 0.95, a ratio below 0.1 or above 10) and beyond each threshold of the
        spec; a probability stands in the column ``median``. Then how far the middle 95 % of
        studies spread, the contrasts, and tau. ``naive`` and ``immortal-time-adjusted`` tell the
        two readings of a transplant question apart.

    Raises
    ------
    InputError
        For a spec or a table with faults, and for a scale without default priors.

    Notes
    -----
    The spread is g⁻¹(m + z tau) - g⁻¹(m - z tau) with z the 97.5 % quantile of a standard study
    effect (that of a study's and a finding's effect together, where there are two levels), and
    exp(2 z tau), the odds ratio (hazard ratio, ratio) of the two ends. A contrast is the
    conditional one, exp(beta), of two arms in one study. From the spec alone moderators stand at
    their reference or 0, and no study of a transplant question handles immortal time.

    Each prior enters by some 40,000 even quantiles in a fixed random order: the same every time,
    what depends on one parameter exact, the rest with a Monte Carlo error of at most 0.0025 for a
    probability.

    Examples
    --------
    >>> import metacart as mc
    >>> spec = mc.ModelSpec(likelihood="binomial", priors={"tau": "HalfNormal(0.5)"})
    >>> table = mc.preview_priors(spec).set_index("estimand")
    >>> table.loc["median study", ["median", "lower", "upper"]].round(2).tolist()
    [0.5, 0.05, 0.95]
    >>> table.loc["next study", ["median", "lower", "upper"]].round(2).tolist()
    [0.5, 0.04, 0.96]
    """
    return preview_of(imagine(spec_of(spec), evidence, likelihoods=likelihoods))


def preview_of(imagined: Imagined) -> pd.DataFrame:
    """Return the table of ``preview_priors``."""
    import pandas as pd

    rows = [*_estimands(imagined), *_spread(imagined), *_contrasts(imagined), *_own(imagined)]
    return pd.DataFrame(rows, columns=pd.Index(_COLUMNS.split()))


def beyond(imagined: Imagined) -> list[tuple[str, float]]:
    """Return what an estimand may lie beyond: the side and the value, thresholds last."""
    spec, scale = imagined.spec, imagined.scale
    ends = _RATES if scale.is_rate else _RATIOS if scale.name == "log" else ()
    extremes = [*zip("<>", ends, strict=True)] if ends else []
    side = "<" if better_of(spec, scale) == "lower" else ">"
    thresholds = [(side, value) for value in spec.thresholds]
    return list(dict.fromkeys([*extremes, *thresholds]))


def _estimands(imagined: Imagined) -> Iterator[dict[str, Any]]:
    for (name, view), draws in imagined.estimands.items():
        common = {"at": imagined.at, "follows_from": _behind(imagined, name, view)}
        yield {"estimand": in_view(name, view), **common, **_described(draws)}
        for side, value in beyond(imagined):
            share = float(np.mean(draws < value if side == "<" else draws > value))
            words = in_view(f"P({name} {side} {value:g})", view)
            yield {"estimand": words, **common, "median": share}


def _behind(imagined: Imagined, estimand: str, view: str) -> str:
    names = ["mu"] if estimand == "population average" else ["mu", "rho"]
    if estimand != "median study":
        names += _spreads(imagined)
    if imagined.rows.size:
        names += [name for name in imagined.priors if name.startswith("beta:")]
    if view == "immortal-time-adjusted":
        names += [name for name in imagined.priors if name == "bias"]
    return _stated(imagined, names)


def _spreads(imagined: Imagined) -> list[str]:
    """Return the parameters that say how far true values spread."""
    return [name for name in imagined.priors if name.startswith("tau")]


def _stated(imagined: Imagined, names: Iterable[str]) -> str:
    priors = imagined.priors
    return ", ".join(f"{name} ~ {priors[name]}" for name in names if name in priors)


def _spread(imagined: Imagined) -> Iterator[dict[str, Any]]:
    spec, scale = imagined.spec, imagined.scale
    if spec.random_effects == "none":
        return
    draws = next(iter(imagined.views.values()))
    reach = draws.spread_at(imagined.rows) * float(effects_of(spec).quantile(0.975))
    if scale.name != "log":
        middle = draws.linear(imagined.rows)
        ends = [scale.inverse(middle + sign * reach) for sign in (1.0, -1.0)]
        yield {
            "estimand": "range of the middle 95 % of studies",
            "at": imagined.at,
            "follows_from": _behind(imagined, "next study", ""),
            **_described((ends[0] - ends[1]).mean(axis=-1)),
        }
    if scale.name in _NAMES:
        yield {
            "estimand": f"{_NAMES[scale.name]} across the middle 95 % of studies",
            "at": imagined.at if draws.levels else "",
            "follows_from": _stated(imagined, _spreads(imagined)),
            **_described(SCALES["log"].inverse(2.0 * reach).mean(axis=-1)),
        }


def _contrasts(imagined: Imagined) -> Iterator[dict[str, Any]]:
    scale = imagined.scale
    name = {"log": "ratio of ratios"}.get(scale.name, _NAMES.get(scale.name, "difference"))
    # survival rises with the scale, the hazard falls
    sign = -1.0 if scale.name == "loglog" else 1.0
    for words, draws in imagined.differences.items():
        item = words.partition(":")[0]
        own = [key for key in imagined.priors if item in _columns_of(key)]
        turned = SCALES["log"].inverse(sign * draws) if scale.name in _NAMES else draws
        yield {
            "estimand": f"{name}, {words}",
            "at": "two arms of one study",
            "follows_from": _stated(imagined, own),
            **_described(turned),
        }


def _columns_of(coefficient: str) -> list[str]:
    """Return the columns of a coefficient: ``beta:scfv[humanized]:age`` has scfv and age."""
    kind, _, name = coefficient.partition(":")
    return re.sub(r"\[.*?\]", "", name).split(":") if kind == "beta" else []


def _own(imagined: Imagined) -> Iterator[dict[str, Any]]:
    spreads = [(name, name.replace(":", " ")) for name in _spreads(imagined)]
    for name, words in (*spreads, ("bias", "bias (log scale)")):
        if name in imagined.priors:
            lower, median, upper = imagined.priors[name].quantile([0.025, 0.5, 0.975]).tolist()
            own = {"estimand": words, "at": "", "follows_from": _stated(imagined, [name])}
            yield own | {"median": median, "lower": lower, "upper": upper}


def _described(draws: Array) -> dict[str, float]:
    # an observed value each: between two that overflow there is none
    ends = np.quantile(draws, [0.025, 0.5, 0.975], method="closest_observation")
    return dict(zip(("lower", "median", "upper"), ends.tolist(), strict=True))
