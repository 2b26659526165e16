"""The gate that draws must pass before anything is said from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Attempt", "Verdict", "convergence", "longer"]

Array = NDArray[np.float64]

# MCSE as a share of the posterior SD: for means, and for the 2.5 and 97.5 % quantiles
MEAN_SHARE, TAIL_SHARE, R_HAT = 0.02, 0.05, 1.01
_LOOKED_AT = (
    ("mean", None, MEAN_SHARE),
    ("quantile", 0.025, TAIL_SHARE),
    ("quantile", 0.975, TAIL_SHARE),
)
_REACH = 1.959964  # from the median to these quantiles of a normal distribution, in SDs
_TIMES = 2.5  # from p over it to p times it the slope of a quantile in p is read
_SOME = 64  # quantities at a time


class Attempt(NamedTuple):
    """One run of an engine: with which settings, how many draws a chain, and why it failed."""

    method: str
    settings: str
    draws: int
    failure: str


class Verdict(NamedTuple):
    """Why draws must not be used, and the worst Monte Carlo error as a multiple of its limit."""

    failure: str
    shortfall: float


def convergence(
    reported: xr.Dataset, *, divergences: int = 0, independent: float | None = None
) -> Verdict:
    """Return why draws must not be used, if they must not.

    Parameters
    ----------
    reported : Dataset
        Every reported quantity, with dims ``chain`` and ``draw``.
    divergences : int
        Number of divergent transitions.
    independent : float, optional
        How many independent draws these are worth, where they come from no Markov chain: R-hat
        and autocorrelation have nothing to say of them.

    Returns
    -------
    Verdict
        ``failure`` is empty where the draws passed, else one clause a failure: divergences; R-hat
        of 1.01 or more; Monte Carlo error above 2 % of the posterior SD for a mean, or above 5 %
        for a 2.5 or 97.5 % quantile.

    Notes
    -----
    A long tail has few draws near its limit, and an interval that reaches as far. There the error
    of the limit is set against the SD of a normal distribution whose limit is as far from the
    median, where that is larger than the SD.
    The error of a limit of n independent draws is sqrt(p (1 - p) / n) times the slope of the
    quantile in p. Quantiles in a tail lie near a line in log p, and so that slope is read from
    p / 2.5 to 2.5 p: of 5,000 draws it scatters by 6 %, half as much as where it is read from the
    draws within three standard errors, and runs fail less often by the noise of the estimate.
    """
    import arviz_stats

    failures = []
    if divergences:
        failures.append(f"{divergences} divergent transitions")
    if reported.sizes["chain"] > 1 and independent is None:
        name, value = _worst(
            {str(name): each.to_numpy() for name, each in arviz_stats.rhat(reported).items()}
        )
        if not value < R_HAT:
            failures.append(f"R-hat of {name} is {value:.3f}")
    found = {str(name): _spreads(values, independent) for name, values in reported.items()}
    shortfall = 0.0
    for position, (method, probability, limit) in enumerate(_LOOKED_AT):
        errors = {name: each.errors[position] for name, each in found.items()}
        if independent is None:
            error = arviz_stats.mcse(reported, method=method, prob=probability)
            errors = {name: error[name].to_numpy().reshape(-1) for name in found}
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = {name: errors[name] / each.yards[position] for name, each in found.items()}
        name, value = _worst(shares)
        shortfall = max(shortfall, value / limit)
        if not value <= limit:
            what = "mean" if probability is None else f"{100 * probability:g} % quantile"
            far = name in found and found[name].is_far(position, shares[name])
            of = "the SD of its tail" if far else "its SD"
            failures.append(f"the Monte Carlo error of the {what} of {name} is {value:.1%} of {of}")
    return Verdict("; ".join(failures), shortfall)


class _Spreads(NamedTuple):
    """Of the quantities of one name: their SDs, and what is known of their Monte Carlo errors.

    Attributes
    ----------
    yards : array (3, quantities)
        SDs with which the errors of mean and limits are compared; the first is the SD itself.
    errors : array (3, quantities)
        Of mean and limits of independent draws; nothing else is said here of others.
    """

    yards: Array
    errors: Array

    def is_far(self, position: int, shares: Array) -> bool:
        """Whether the worst share is one of a tail longer than the SD tells."""
        worst = int(np.nanargmax(shares))
        return bool(self.yards[position, worst] > self.yards[0, worst])


def _spreads(values: xr.DataArray, independent: float | None) -> _Spreads:
    drawn = values.transpose("chain", "draw", ...).to_numpy()
    drawn = drawn.reshape(drawn.shape[0] * drawn.shape[1], -1)
    # a few at a time, each copied to lie together in memory, where it is put into order
    parts = [
        _of_some(drawn[:, start : start + _SOME].T.copy(), independent)
        for start in range(0, drawn.shape[1], _SOME)
    ]
    empty = np.empty((2, 3, 0))
    return _Spreads(*np.concatenate([empty, *parts], axis=-1))


def _of_some(draws: Array, independent: float | None) -> Array:
    """Return yards and errors (2, 3, quantities) of draws (quantities, draws)."""
    last = draws.shape[1] - 1
    limits = [probability for _, probability, _ in _LOOKED_AT if probability is not None]
    middle, ends = round(0.5 * last), [round(probability * last) for probability in limits]
    windows = [_window(probability, last) for probability in limits]
    sd = draws.std(axis=1)
    draws.partition(sorted({middle, *ends, *(rank for each in windows for rank in each)}), axis=1)
    number = independent or np.nan
    yards, errors = [sd], [sd / np.sqrt(number)]
    for probability, end, (lower, upper) in zip(limits, ends, windows, strict=True):
        tail = min(probability, 1.0 - probability)
        slope = (draws[:, upper] - draws[:, lower]) / (2.0 * np.log(_TIMES))
        reach = np.abs(draws[:, end] - draws[:, middle])
        yards.append(np.maximum(sd, reach / _REACH))
        errors.append(slope * np.sqrt((1.0 - tail) / (tail * number)))
    return np.asarray([yards, errors])


def _window(probability: float, last: int) -> tuple[int, int]:
    """Return the ranks between which the slope of a quantile is read."""
    tail = min(probability, 1.0 - probability)
    far, near = round(last * tail / _TIMES), round(last * tail * _TIMES)
    return (far, near) if probability < 0.5 else (last - near, last - far)


def _worst(values: dict[str, Array]) -> tuple[str, float]:
    """Return the name and the largest value; a constant quantity has none."""
    worst = {
        name: float(np.nanmax(each))
        for name, each in values.items()
        if each.size and np.isfinite(each).any()
    }
    if not worst:
        return "everything", float("nan")
    name = max(worst, key=lambda key: worst[key])
    return name, worst[name]


def longer(verdict: Verdict, *, most: int, margin: float = 3.0) -> int:
    """Return how many times as many draws the Monte Carlo error asks for, an even number."""
    more = 1.0 if verdict.shortfall <= 1.0 else margin * verdict.shortfall**2
    return min(2 * int(np.ceil(more / 2.0)), most)
