"""The transplant question: one log hazard ratio a study, seen through whatever the study offers.

Ratios and pairs of survival are normal estimates; counts of two groups, where ``contrast`` is true,
have the cumulative hazard of the control group integrated out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metacart.modelling.estimates import (
    crude_normal,
    derivatives_normal,
    logp_normal,
    observe_normal,
    simulate_normal,
)
from metacart.modelling.likelihood import Array, Data, Parameters, Priors
from metacart.modelling.two_groups import (
    crude_groups,
    derivatives_groups,
    draw_groups,
    logp_groups,
    observe_groups,
    prepare_groups,
    replicate_groups,
    simulate_groups,
)
from metacart.scales import Scale

__all__ = [
    "crude_transplant",
    "derivatives_transplant",
    "draw_transplant",
    "logp_transplant",
    "observe_transplant",
    "prepare_transplant",
    "replicate_transplant",
    "shift_bias",
    "simulate_transplant",
]


def _counted(data: Data) -> NDArray[np.intp]:
    return np.flatnonzero(data["contrast"])


def _rows(data: Mapping[str, Any], chosen: NDArray[np.intp]) -> dict[str, Any]:
    return {name: values[chosen] for name, values in data.items()}


def _baselines(parameters: Mapping[str, Any], chosen: NDArray[np.intp]) -> dict[str, Any]:
    return {"baseline": parameters["baseline"][..., chosen]}


def _replaced(values: Array, chosen: NDArray[np.intp], by: Array) -> Array:
    """Return values with those of some findings replaced."""
    result = np.array(values, dtype=np.float64)
    result[..., chosen] = by
    return result


def prepare_transplant(data: Data, priors: Priors) -> dict[str, Array]:
    """Return the log likelihoods of the comparisons of counts as tables, zero for the others."""
    chosen = _counted(data)
    if not chosen.size:
        return {}
    tables = prepare_groups(_rows(data, chosen), priors)["marginal"]
    marginal = np.zeros((len(data["contrast"]), *tables.shape[1:]))
    marginal[chosen] = tables
    return {"marginal": marginal}


def logp_transplant(eta: Array, data: Data, parameters: Parameters) -> Array:
    """Return the log likelihood of each finding."""
    chosen = _counted(data)
    estimates = logp_normal(eta, data, parameters)
    if not chosen.size:
        return estimates
    of_counts = logp_groups(eta[..., chosen], _rows(data, chosen), {})
    return _replaced(estimates, chosen, of_counts)


def derivatives_transplant(eta: Array, data: Data, parameters: Parameters) -> tuple[Array, Array]:
    """Return the first and second derivative of `logp_transplant`."""
    chosen = _counted(data)
    slope, bend = derivatives_normal(eta, data, parameters)
    if not chosen.size:
        return slope, bend
    of_counts = derivatives_groups(eta[..., chosen], _rows(data, chosen), {})
    return (
        _replaced(slope, chosen, of_counts[0]),
        _replaced(bend, chosen, of_counts[1]),
    )


def simulate_transplant(
    eta: Array, data: Data, parameters: Parameters, rng: np.random.Generator
) -> Array:
    """Return one replicate of each log hazard ratio; of counts the corrected one."""
    chosen = _counted(data)
    estimates = simulate_normal(eta, data, parameters, rng)
    if not chosen.size:
        return estimates
    own = _baselines(parameters, chosen)
    of_counts = simulate_groups(eta[..., chosen], _rows(data, chosen), own, rng)
    return _replaced(estimates, chosen, of_counts)


def replicate_transplant(
    eta: Array, data: Data, parameters: Parameters, rng: np.random.Generator
) -> dict[str, NDArray[Any]]:
    """Return one replicate of each log hazard ratio, of counts with the counts behind it."""
    chosen = _counted(data)
    drawn = {"estimate": simulate_normal(eta, data, parameters, rng)}
    if not chosen.size:
        return drawn
    own = _baselines(parameters, chosen)
    of_counts = replicate_groups(eta[..., chosen], _rows(data, chosen), own, rng)
    before = {**data, **drawn}
    return {name: _replaced(before[name], chosen, values) for name, values in of_counts.items()}


def draw_transplant(
    eta: Array, data: Data, priors: Priors, rng: np.random.Generator
) -> dict[str, Array]:
    """Draw the baselines given the effects; of a finding without counts from the prior."""
    chosen = _counted(data)
    baseline = priors["baseline"].draw(eta.shape, rng)
    drawn = draw_groups(eta[..., chosen], _rows(data, chosen), priors, rng)["baseline"]
    return {"baseline": _replaced(baseline, chosen, drawn)}


def observe_transplant(
    name: str, eta: Any, data: Mapping[str, Any], parameters: Mapping[str, Any], dims: str
) -> None:
    """Add the estimates as ``name``, counts as ``name_exposed`` and ``name_exposed_control``.

    Where all findings are of one kind they are ``name``.
    """
    counted = data["contrast"].get_value().astype(bool)
    if not counted.any():
        observe_normal(name, eta, data, parameters, dims)
        return
    if counted.all():
        observe_groups(name, eta, data, parameters, dims)
        return
    chosen, others = np.flatnonzero(counted), np.flatnonzero(~counted)
    observe_normal(name, eta[others], _rows(data, others), {}, None)
    own = _baselines(parameters, chosen)
    observe_groups(f"{name}_exposed", eta[chosen], _rows(data, chosen), own, None)


def crude_transplant(data: Data, scale: Scale) -> tuple[Array, Array, Array]:
    """Return each hazard ratio alone with its interval: normal, or of the profile likelihood."""
    chosen = _counted(data)
    numbers = crude_normal(data, scale)
    if not chosen.size:
        return numbers
    of_counts = crude_groups(_rows(data, chosen), scale)
    estimate, lower, upper = (
        _replaced(one, chosen, by) for one, by in zip(numbers, of_counts, strict=True)
    )
    return estimate, lower, upper


def shift_bias(data: Data, parameters: Parameters) -> Any:
    """Immortal time: observed = theta + b where the time before transplant was not handled."""
    if "bias" not in parameters:
        return 0.0
    return parameters["bias"] * data["biased"]
