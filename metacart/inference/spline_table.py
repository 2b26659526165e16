"""Log likelihoods of findings as tables of cubic splines, in eta and ``tau_within``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from metacart.modelling.likelihoods import Data, Parameters

__all__ = ["REACH", "STEP", "derivatives_splines", "logp_splines"]

Array = NDArray[np.float64]

REACH, STEP = 6.0, 0.1  # of the asinh of the distance in units of the spread


def logp_splines(eta: Array, data: Data, parameters: Parameters) -> Array:
    """Return the log likelihood at eta (draws, findings) and ``tau_within``."""
    return _read(eta, data, parameters, 0)


def derivatives_splines(eta: Array, data: Data, parameters: Parameters) -> tuple[Array, Array]:
    """Return the first and second derivative of `logp_splines`."""
    # a spline may overshoot
    return _read(eta, data, parameters, 1), np.minimum(_read(eta, data, parameters, 2), 0.0)


def _read(eta: Array, data: Data, parameters: Parameters, which: int) -> Array:
    """Return a table at eta (draws, findings) and ``tau_within``; beyond its ends as there."""
    from scipy.ndimage import map_coordinates

    scale = parameters["tau_within"]
    spread = np.sqrt(data["variance_within"] + scale**2)
    place = (np.arcsinh((eta - data["estimate_within"]) / spread) + REACH) / STEP
    tables, (low, high) = data["tables"][:, which], data["logs"][0]
    last = tables.shape[1] - 1
    row = (np.log(np.maximum(scale, 1e-300)) - low) * last / (high - low)
    row = np.broadcast_to(np.clip(row, 0.0, last), eta.shape)
    place = np.clip(place, 0.0, tables.shape[2] - 1)
    result = np.empty(eta.shape)
    for finding, table in enumerate(tables):
        at = np.stack([row[:, finding], place[:, finding]])
        result[:, finding] = map_coordinates(table, at, order=3, mode="mirror", prefilter=False)
    return result
