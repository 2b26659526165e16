"""The scales on which models live: link, inverse and the words for both. Pure numpy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["SCALES", "Scale"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scale:
    """A link between a natural quantity and the line on which it is modelled.

    Attributes
    ----------
    name : str
        ``identity``, ``log``, ``logit``, ``cloglog`` or ``loglog``.
    link, inverse : callable
        Natural to model scale, and back; both work on arrays of any shape.
    natural : str
        The natural quantity in words, as it stands on an axis.
    linear : str
        The model scale in words.
    bounds : tuple of float
        The open interval of the natural quantity.
    """

    name: str
    link: Callable[[ArrayLike], Array]
    inverse: Callable[[ArrayLike], Array]
    natural: str
    linear: str
    bounds: tuple[float, float]

    @property
    def is_rate(self) -> bool:
        """Whether the natural quantity is a share of patients."""
        return self.bounds == (0.0, 1.0)


def _as_float(values: ArrayLike) -> Array:
    return np.asarray(values, dtype=np.float64)


def _logit(rate: ArrayLike) -> Array:
    p = _as_float(rate)
    with np.errstate(divide="ignore"):
        return np.log(p) - np.log1p(-p)


def _expit(value: ArrayLike) -> Array:
    # exp of a non-positive number only: no overflow at either end
    x = _as_float(value)
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, small) / (1.0 + small)


def _cloglog(rate: ArrayLike) -> Array:
    with np.errstate(divide="ignore"):
        return np.log(-np.log1p(-_as_float(rate)))


def _inverse_cloglog(value: ArrayLike) -> Array:
    with np.errstate(over="ignore"):
        return -np.expm1(-np.exp(_as_float(value)))


def _loglog(share: ArrayLike) -> Array:
    with np.errstate(divide="ignore"):
        return -np.log(-np.log(_as_float(share)))


def _inverse_loglog(value: ArrayLike) -> Array:
    with np.errstate(over="ignore"):
        return np.exp(-np.exp(-_as_float(value)))


def _log(value: ArrayLike) -> Array:
    with np.errstate(divide="ignore"):
        return np.log(_as_float(value))


def _exp(value: ArrayLike) -> Array:
    with np.errstate(over="ignore"):
        return np.exp(_as_float(value))


SCALES: dict[str, Scale] = {
    scale.name: scale
    for scale in (
        Scale("identity", _as_float, _as_float, "value", "value", (-np.inf, np.inf)),
        Scale("log", _log, _exp, "ratio", "log ratio", (0.0, np.inf)),
        Scale("logit", _logit, _expit, "rate", "log odds", (0.0, 1.0)),
        Scale("cloglog", _cloglog, _inverse_cloglog, "risk", "log cumulative hazard", (0.0, 1.0)),
        # of a survival: minus the log cumulative hazard, so that more is better on both sides
        Scale("loglog", _loglog, _inverse_loglog, "survival", "−log(−log)", (0.0, 1.0)),
    )
}
