"""How large a bias of immortal time must be before an answer tips."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise, product
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.errors import Fault, InputError, named_options
from metacart.inference.keeping import Cache, CacheLike, cache_of
from metacart.inference.keys import key_of
from metacart.inference.one_mean import of_one_mean
from metacart.inference.records import evidence_of, spec_of
from metacart.inference.refits import Refit, Run
from metacart.modelling.likelihoods import LIKELIHOODS, Likelihoods, find_likelihood
from metacart.results.bias_sensitivity import bias_prior
from metacart.results.immortal_time import (
    Ratios,
    bias_is_prior,
    check_biased,
    fitted_again,
    ratio_numbers,
    ratios_of,
)

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["BIASES", "PROBABILITIES", "tipping_point"]

Array = NDArray[np.float64]

BIASES = tuple(0.0 - number / 10 for number in range(11))  # log hazard ratios
PROBABILITIES = (0.95, 0.5)
_FARTHEST = (-2.0, 1.0)  # a bias beyond them, a factor of 7 or 0.4, is no question of time
_FINE = 0.005
_COLUMNS = (
    "row estimand falls_under bias factor median lower upper mcse mcse_lower mcse_upper "
    "p_below_one mcse_bias beyond words"
)


@named_options
@of_one_mean
def tipping_point(
    fit: xr.DataTree,
    *,
    biases: Iterable[float] | None = None,
    likelihoods: Likelihoods | None = None,
    cache: CacheLike | None = None,
) -> pd.DataFrame:
    """Return the pooled ratio at fixed values of the bias, and where P(ratio < 1) tips.

    Parameters
    ----------
    fit : DataTree
        From ``fit``, of a transplant question.
    biases : sequence of float, optional
        Values of b, the log of the factor by which immortal time changes a hazard ratio; 0 to −1
        in steps of 0.1 by default.
    likelihoods : mapping of str to Likelihood, optional
        Those of the fit, where they are not the shipped ones.
    cache : Cache or path, optional
        As for ``fit``: what is kept there is not fitted again.

    Returns
    -------
    DataFrame
        First the ``row`` ``threshold``: for each ``estimand`` (``median study``, ``next study``)
        the ``bias`` at which P(ratio < 1) ``falls_under`` 0.95 and 0.5, with its Monte Carlo error
        ``mcse_bias``, the probability of such a bias or a larger one by its prior, ``beyond``, and
        ``words``. Then the ``row`` ``grid``, a value of b each. Both have ``factor`` = exp(b), the
        ratio that a transplant without effect would show; ``median``, ``lower``, ``upper`` (95 %
        equal-tailed interval) of the ratio with b taken off, ``mcse``, ``mcse_lower``,
        ``mcse_upper``, and ``p_below_one``. A threshold that is not reached between b = −2 and 1
        has no numbers.

    Raises
    ------
    InputError
        For a fit without a comparison that carries the bias, and for values that are no finite
        numbers.

    Notes
    -----
    Every comparison that does not handle immortal time is taken to carry the same, known b. While
    none handles it the answer follows from the naive draws: P(exp(mu − b) < 1) is P(mu < b), and
    the thresholds are quantiles of mu. Where others handle it a fixed b is no shift of mu: each
    value is a fit of its own, which takes about a second, and a threshold is found by Brent's
    method to 0.005. There P need not fall to any level: studies that handle time do not move.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.tipping_point(mc.fit("hsct_benefit_os"))  # doctest: +SKIP
    """
    import pandas as pd

    check_biased(fit)
    grid = BIASES if biases is None else _numbers(biases)
    at: Callable[[float], Ratios]
    solve: Callable[[Callable[[float], Ratios], str, float, Sequence[float]], tuple[float, float]]
    if bias_is_prior(fit):
        naive = ratios_of(fit, group="naive")
        at, solve = _Shifted(naive), _by_quantile
    else:
        at, solve = _Refitted(fit, likelihoods, cache_of(cache)), _by_root
    prior = bias_prior(fit)
    names = list(ratios_of(fit, group="naive"))
    rows: list[dict[str, Any]] = []
    for name, level in product(names, PROBABILITIES):
        head = {"row": "threshold", "estimand": name, "falls_under": level}
        try:
            bias, error = solve(at, name, level, grid)
            numbers: dict[str, Any] = {"mcse_bias": error, "words": _words(bias, level)}
            if math.isfinite(bias):
                numbers |= _row(at(bias)[name], bias)
                numbers |= {"p_below_one": level, "beyond": float(prior.below(bias))}
        except _NoFitError as error:
            numbers = {"words": str(error)}
        rows.append(head | numbers)
    for name, bias in product(names, grid):
        head = {"row": "grid", "estimand": name, "bias": bias, "factor": math.exp(bias)}
        try:
            rows.append(head | _row(at(bias)[name], bias))
        except _NoFitError as error:
            rows.append(head | {"words": str(error)})
    return pd.DataFrame(rows, columns=pd.Index(_COLUMNS.split()))


class _NoFitError(Exception):
    """There is no fit at a value of the bias; the words say why."""


def _numbers(biases: object) -> tuple[float, ...]:
    allowed, hint = "finite numbers on the log scale", "biases=[0, -0.25, -0.5]"
    if isinstance(biases, str) or not isinstance(biases, Iterable):
        raise InputError(Fault("biases", f"{biases!r}", allowed, hint))
    values = list(biases)
    faults = [
        Fault("biases", f"{value!r}", allowed, hint)
        for value in values
        if isinstance(value, bool)
        or not isinstance(value, int | float | np.number)
        or not math.isfinite(value)
    ]
    if not values:
        faults.append(Fault("biases", "no number", "one or more", hint))
    if faults:
        raise InputError(faults)
    return tuple(float(value) for value in values)


def _row(draws: Array, bias: float) -> dict[str, float]:
    return {"bias": bias, "factor": math.exp(bias), **ratio_numbers(draws)}


def _words(bias: float, level: float) -> str:
    if not math.isfinite(bias):
        return f"P(HR < 1) does not cross {level:g} between b = −2 and 1"
    if bias >= 0:
        return f"P(HR < 1) is under {level:g} without any bias"
    return (
        f"P(HR < 1) falls under {level:g} where immortal time alone gives a hazard ratio of "
        f"{math.exp(bias):.2f} or less"
    )


# ---- no study handles immortal time


@dataclass(frozen=True)
class _Shifted:
    """The ratios at a known bias, where it moves all of them alike."""

    naive: Ratios

    def __call__(self, bias: float) -> Ratios:
        return {name: draws / math.exp(bias) for name, draws in self.naive.items()}


def _by_quantile(
    at: Callable[[float], Ratios], name: str, level: float, _grid: Sequence[float]
) -> tuple[float, float]:
    """Return the bias below which a share `level` of the naive log ratios lies, and its error."""
    import arviz as az

    logs = np.log(at(0.0)[name])
    error: Any = az.mcse(logs, method="quantile", prob=level)
    return float(np.quantile(logs, level)), float(error)


# ---- others handle it


@dataclass(frozen=True)
class _Refitted:
    """The ratios at a known bias, each from a fit of its own."""

    fit: xr.DataTree
    likelihoods: Likelihoods | None
    cache: Cache | None = None
    known: dict[float, Ratios] = field(default_factory=dict)

    def __call__(self, bias: float) -> Ratios:
        if bias not in self.known:
            self.known[bias] = self._at(bias)
        return self.known[bias]

    def _at(self, bias: float) -> Ratios:
        key = None
        if self.cache is not None:
            # the likelihood of a fixed bias has no name of its own; the bias tells it apart
            run, parts = Run.of(self.fit), (spec_of(self.fit), evidence_of(self.fit))
            numbers = {"draws": run.draws, "chains": run.chains, "seed": run.seed}
            more = "tipping point", bias
            key = key_of(*parts, *more, run=numbers, likelihoods=self.likelihoods)
            if key is not None and (kept := self.cache.find_value(key)) is not None:
                return _usable(bias, *kept)
        again = self._fitted(bias)
        found = None if again.value is None else again.value["posterior"]
        if key is not None and self.cache is not None and again.lasting:
            self.cache.keep_value(key, [found, again.failure])
        return _usable(bias, found, again.failure)

    def _fitted(self, bias: float) -> Refit[Mapping[str, Ratios]]:
        spec = spec_of(self.fit)
        likelihood = find_likelihood(spec, likelihoods=self.likelihoods)
        fixed = replace(
            likelihood,
            parameters={n: own for n, own in likelihood.parameters.items() if n != "bias"},
            shift=lambda data, own: likelihood.shift(data, {**own, "bias": np.asarray(bias)}),
        )
        priors = {name: text for name, text in spec.priors.items() if name != "bias"}
        return fitted_again(
            self.fit,
            spec.model_copy(update={"priors": priors}),
            evidence_of(self.fit),
            {**(self.likelihoods or LIKELIHOODS), spec.likelihood: fixed},
        )


def _usable(bias: float, ratios: Ratios | None, failure: str) -> Ratios:
    if ratios is None:
        raise _NoFitError(f"at b = {bias:.2f}: {failure}")
    return ratios


def _by_root(
    at: Callable[[float], Ratios], name: str, level: float, grid: Sequence[float]
) -> tuple[float, float]:
    """Return the bias at which P(ratio < 1) is `level`, and its Monte Carlo error."""
    from scipy.optimize import brentq

    normal = NormalDist()

    def excess(bias: float) -> float:
        # nearly straight in b where each ratio is nearly log normal
        draws = at(bias)[name]
        below = np.clip(np.mean(draws < 1.0), 0.5 / draws.size, 1.0 - 0.5 / draws.size)
        return normal.inv_cdf(float(below)) - normal.inv_cdf(level)

    ends = _around(excess, grid)
    if ends is None:
        return math.nan, math.nan
    bias = float(brentq(excess, *ends, xtol=_FINE))
    slope = (excess(ends[1]) - excess(ends[0])) / (ends[1] - ends[0])
    error = math.sqrt(level * (1.0 - level) / at(bias)[name].size)
    return bias, error / normal.pdf(normal.inv_cdf(level)) / abs(slope)


def _around(excess: Callable[[float], float], grid: Sequence[float]) -> tuple[float, float] | None:
    """Return two neighbours between which the sign changes, from the smallest bias on."""
    points = sorted({*grid, *_FARTHEST}, key=lambda bias: -bias)
    return next(_changes(excess, points), None)


def _changes(
    excess: Callable[[float], float], points: Sequence[float]
) -> Iterator[tuple[float, float]]:
    for one, other in pairwise(points):
        if excess(one) >= 0.0 > excess(other):
            yield other, one
