"""Counts of two groups: an effect beside the level of the control group, which is integrated out.

Their data are the counts (``exposed_events``, ``exposed_total``, ``control_events``,
``control_total``), ``hazard`` (whether the link is cloglog), ``estimate`` and ``se`` (with half an
event and half a non-event more in each group, for figures and starts) and, prepared, ``marginal``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metacart.modelling.arms import Arm, log_density, rate, scores
from metacart.modelling.baseline import Groups, draw_baseline, evaluate, tabulate
from metacart.modelling.likelihood import Array, Data, Parameters, Priors
from metacart.modelling.nodes import add_counts
from metacart.scales import SCALES, Scale

__all__ = [
    "corrected",
    "crude_groups",
    "derivatives_groups",
    "draw_groups",
    "logp_groups",
    "observe_groups",
    "prepare_groups",
    "replicate_groups",
    "simulate_groups",
]

_HALF_CHI_SQUARE = 1.9207294103470622  # 0.95 quantile on 1 degree of freedom, halved
_BEYOND, _FAR = 100.0, 250.0  # an effect that far is infinite, and so is a level


def corrected(exposed: Arm, control: Arm) -> tuple[Array, Array]:
    """Return the log ratio and its standard error with half an event more on either side."""
    levels, variances = [], []
    for arm in (exposed, control):
        n = arm.total + 1.0
        p = (arm.events + 0.5) / n
        hazard = p / (n * (1.0 - p) * np.log1p(-p) ** 2)
        levels.append(np.where(arm.hazard, SCALES["cloglog"].link(p), SCALES["logit"].link(p)))
        variances.append(np.where(arm.hazard, hazard, 1.0 / (n * p * (1.0 - p))))
    return levels[0] - levels[1], np.sqrt(variances[0] + variances[1])


def _arms(data: Data) -> tuple[Arm, Arm]:
    return (
        Arm(data["exposed_events"], data["exposed_total"], data["hazard"]),
        Arm(data["control_events"], data["control_total"], data["hazard"]),
    )


def prepare_groups(data: Data, priors: Priors) -> dict[str, Array]:
    """Return the log likelihood of the effect without the baseline, as a table."""
    groups = Groups(*_arms(data), priors["baseline"])
    return {"marginal": tabulate(groups, data["estimate"], data["se"])}


def logp_groups(eta: Array, data: Data, _parameters: Parameters) -> Array:
    """Return the log likelihood of the effect, the baseline integrated out."""
    return evaluate(eta, data["marginal"])


def derivatives_groups(eta: Array, data: Data, _parameters: Parameters) -> tuple[Array, Array]:
    """Return the first and second derivative of `logp_groups`."""
    slope, bend = (evaluate(eta, data["marginal"], derivative=order) for order in (1, 2))
    return slope, bend


def draw_groups(
    eta: Array, data: Data, priors: Priors, rng: np.random.Generator
) -> dict[str, Array]:
    """Draw the baselines given the effects."""
    groups = Groups(*_arms(data), priors["baseline"])
    return {"baseline": draw_baseline(groups, eta, rng)}


def simulate_groups(
    eta: Array, data: Data, parameters: Parameters, rng: np.random.Generator
) -> Array:
    """Return the corrected log ratio of counts drawn anew in both groups."""
    return replicate_groups(eta, data, parameters, rng)["estimate"]


def replicate_groups(
    eta: Array, data: Data, parameters: Parameters, rng: np.random.Generator
) -> dict[str, NDArray[Any]]:
    """Return counts drawn anew in both groups, with their corrected log ratio."""
    hazard, baseline = data["hazard"], np.broadcast_to(parameters["baseline"], eta.shape)
    exposed, control = (
        Arm(rng.binomial(total, rate(level, hazard)), total, hazard)
        for level, total in (
            (baseline + eta, data["exposed_total"]),
            (baseline, data["control_total"]),
        )
    )
    estimate, se = corrected(exposed, control)
    events = {"exposed_events": exposed.events, "control_events": control.events}
    return {**events, "estimate": estimate, "se": se}


def observe_groups(
    name: str, eta: Any, data: Mapping[str, Any], parameters: Mapping[str, Any], dims: str | None
) -> None:
    """Add the counts of both groups to the open model: ``name`` and ``name_control``."""
    hazard = bool(np.asarray(data["hazard"].eval()).all())
    baseline = parameters["baseline"]
    for own, level, group in (
        (name, baseline + eta, "exposed"),
        (f"{name}_control", baseline, "control"),
    ):
        events, total = data[f"{group}_events"], data[f"{group}_total"]
        add_counts(own, level, events, total, dims, hazard=hazard)


# --- each comparison alone ----------------------------------------------------------------------


def crude_groups(data: Data, scale: Scale) -> tuple[Array, Array, Array]:
    """Return the ratio of each comparison alone with the interval of its profile likelihood.

    Nothing is added to a cell: a ratio can be 0 or infinite, and where neither group has an event,
    or both have only events, there is none.
    """
    exposed, control = _arms(data)
    with np.errstate(invalid="ignore"):
        estimate = _level(exposed) - _level(control)
    start = np.clip(np.nan_to_num(estimate), -_BEYOND, _BEYOND)
    least = _profile(start, exposed, control) - _HALF_CHI_SQUARE
    limits = []
    for end in (-_BEYOND, _BEYOND):
        others = (np.full(start.shape, np.sign(end)), least, *exposed, *control)
        distance = _root(_excess, np.zeros(start.shape), np.abs(end - start), (start, *others))
        limits.append(
            np.where(distance < np.abs(end - start), start + distance * others[0], np.inf * end)
        )
    return scale.inverse(estimate), scale.inverse(limits[0]), scale.inverse(limits[1])


def _level(arm: Arm) -> Array:
    """Return the linear predictor at which the counts are likeliest."""
    p = arm.events / arm.total
    return np.where(arm.hazard, SCALES["cloglog"].link(p), SCALES["logit"].link(p))


def _profile(eta: Array, exposed: Arm, control: Arm) -> Array:
    """Return the log likelihood of an effect at the likeliest level of the control group."""
    levels = np.stack([_level(control), _level(exposed) - eta])
    low = np.clip(levels.min(axis=0) - 1.0, -_FAR, _FAR)
    high = np.clip(levels.max(axis=0) + 1.0, -_FAR, _FAR)
    b = _root(_slope, low, high, (eta, *exposed, *control))
    return log_density(b, control) + log_density(b + eta, exposed)


def _slope(b: Array, eta: Array, *counts: Any) -> Array:
    exposed, control = Arm(*counts[:3]), Arm(*counts[3:])
    return scores(b + eta, exposed)[0] + scores(b, control)[0]


def _excess(distance: Array, start: Array, side: Array, least: Array, *counts: Any) -> Array:
    """Return by how much the likelihood so far to one side is above the least allowed."""
    return _profile(start + side * distance, Arm(*counts[:3]), Arm(*counts[3:])) - least


def _root(
    function: Callable[..., Array], low: Array, high: Array, others: tuple[Any, ...]
) -> Array:
    """Return where a function that falls crosses zero, or the end where it comes nearest."""
    from scipy.optimize.elementwise import find_root

    root = find_root(function, (low, high), args=others).x
    root = np.where(function(low, *others) <= 0.0, low, root)
    return np.asarray(np.where(function(high, *others) >= 0.0, high, root))
