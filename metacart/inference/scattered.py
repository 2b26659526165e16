"""Findings that scatter around their study: what each says of it, its own effect integrated out."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from metacart.inference.marginal import integrated, is_conjugate
from metacart.inference.quadrature import Studies, hermite
from metacart.inference.spline_table import REACH, STEP, derivatives_splines, logp_splines
from metacart.modelling.likelihoods import Data, Likelihood, Parameters

__all__ = ["Scattered", "scatter"]

Array = NDArray[np.float64]

# the table: asinh of the distance in units of the spread, and log of tau_within
_LOG_STEP = 0.25
_LEAST, _MOST = 3e-3, 100.0  # in SDs of a finding: below the first tau_within changes nothing


class Scattered(NamedTuple):
    """A likelihood with a parameter ``tau_within``, and the data that its ``logp`` takes."""

    likelihood: Likelihood
    data: Data


def scatter(likelihood: Likelihood, data: Data) -> Scattered:
    """Return how findings are observed that scatter around eta with SD ``tau_within``.

    Parameters
    ----------
    likelihood : Likelihood
        Of a finding given its own true value.
    data : mapping of str to array (findings,)
        The observed columns.

    Returns
    -------
    Scattered

    Notes
    -----
    The log likelihood of a finding is that of one normal effect integrated out. It depends on eta
    and ``tau_within`` alone and is tabulated once: cubic splines in log ``tau_within`` and in
    asinh of the distance of eta from the finding, in units of their joint SD. The error is some
    5e-5 of the fall from the top; that of a posterior is what the importance weights leave.
    Normal estimates have a closed form, and a likelihood with parameters of its own no table.
    """
    direct = _direct(likelihood)
    shared = any(not parameter.each for parameter in likelihood.parameters.values())
    if shared or is_conjugate(_inner(likelihood, np.zeros((1, _size(data))), data, 1.0)):
        return Scattered(direct, data)
    estimate, variance = likelihood.approximate(data)
    low = np.log(_LEAST * np.sqrt(variance.min()))
    high = np.log(_MOST * max(1.0, np.sqrt(variance.max())))
    logs = np.linspace(low, high, int(np.ceil((high - low) / _LOG_STEP)) + 1)
    steps = np.linspace(-REACH, REACH, round(2 * REACH / STEP) + 1)
    scale = np.exp(np.repeat(logs, len(steps)))[:, None]
    spread = np.sqrt(variance + scale**2)
    eta = estimate + spread * np.sinh(np.tile(steps, len(logs)))[:, None]
    heights = direct.logp(eta, data, {"tau_within": scale})
    shape = (len(logs), len(steps), -1)
    tables = _with_derivatives(heights.reshape(shape), spread.reshape(shape), steps)
    columns = {
        "estimate_within": estimate,
        "variance_within": variance,
        "tables": _filtered(tables),
        "logs": np.tile(logs[[0, -1]], (len(estimate), 1)),
    }
    return Scattered(
        replace(
            likelihood,
            logp=logp_splines,
            derivatives=derivatives_splines,
        ),
        {**data, **columns},
    )


def _size(data: Data) -> int:
    return len(next(iter(data.values())))


def _inner(likelihood: Likelihood, eta: Array, data: Data, scale: Array | float) -> Studies:
    """Return each finding as a study of its own around eta."""
    starts = np.arange(eta.shape[1] + 1)
    tau = np.broadcast_to(np.asarray(scale, dtype=np.float64), (len(eta), 1))
    return Studies(likelihood, data, starts, eta, tau, "normal", 4.0, {})


def _direct(likelihood: Likelihood) -> Likelihood:
    """Return the likelihood with the integrals done wherever it is asked."""

    def inner(eta: Array, data: Data, parameters: Parameters) -> Studies:
        own = {name: values for name, values in parameters.items() if name != "tau_within"}
        return replace(_inner(likelihood, eta, data, parameters["tau_within"]), parameters=own)

    def logp(eta: Array, data: Data, parameters: Parameters) -> Array:
        return integrated(inner(eta, data, parameters))

    def derivatives(eta: Array, data: Data, parameters: Parameters) -> tuple[Array, Array]:
        studies = inner(eta, data, parameters)
        mode, width = studies.peak()
        nodes, logs = hermite()
        z = mode + width * nodes[:, None, None]
        share = np.stack([studies.log_integrand(each) for each in z]) + logs[:, None, None]
        share = np.exp(share - share.max(axis=0))
        share /= share.sum(axis=0)
        slope, bend = np.zeros(eta.shape), np.zeros(eta.shape)
        for weight, each in zip(share, z, strict=True):
            first, second = likelihood.derivatives(studies.eta(each), data, studies.parameters)
            slope += weight * first
            bend += weight * (second + first**2)
        return slope, bend - slope**2

    return replace(likelihood, logp=logp, derivatives=derivatives)


def _with_derivatives(heights: Array, spread: Array, steps: Array) -> Array:
    """Return (findings, 3, logs, steps): heights and their first two derivatives in eta."""
    from scipy.interpolate import CubicSpline

    curve = CubicSpline(steps, heights, axis=1)
    along = spread * np.cosh(steps)[:, None]  # of eta with a step
    slope = curve(steps, 1) / along
    bend = curve(steps, 2) / along**2 - slope * np.tanh(steps)[:, None] / along
    return np.stack([heights, slope, bend]).transpose(3, 0, 1, 2)


def _filtered(tables: Array) -> Array:
    from scipy.ndimage import spline_filter1d

    for axis in (-1, -2):
        tables = spline_filter1d(tables, axis=axis, mode="mirror")
    return np.asarray(tables)
