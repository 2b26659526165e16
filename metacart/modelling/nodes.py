"""Nodes that the graphs share: parameters whose priors are data, and counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metacart.modelling.arms import Arm, log_choose
from metacart.records.priors import Prior

__all__ = ["add_counts", "add_parameter", "prior_arguments", "raised"]


def prior_arguments(name: str, prior: Prior | Sequence[Prior]) -> tuple[str, dict[str, Any]]:
    """Return PyMC's distribution of a prior, and its numbers as data of the open model.

    Data, so that a prior of the same family with other numbers is the same function.

    Parameters
    ----------
    name : str
        Of the parameter.
    prior : Prior or sequence of Prior
        Of one family; each number of a sequence is a vector.
    """
    import pymc as pm

    several = [prior] if isinstance(prior, Prior) else prior
    arguments = [each.pymc()[1] for each in several]
    values = {key: np.asarray([each[key] for each in arguments]) for key in arguments[0]}
    return several[0].name, {
        key: pm.Data(f"prior_{name}_{key}", each[0] if isinstance(prior, Prior) else each)
        for key, each in values.items()
    }


def add_parameter(name: str, prior: Prior | Sequence[Prior], **options: Any) -> Any:
    """Add a parameter with its prior to the open model; one of several priors is a vector."""
    import pymc as pm

    distribution, arguments = prior_arguments(name, prior)
    return getattr(pm, distribution)(name, **arguments, **options)


def raised(scale: Any, power: Any) -> Any:
    """Return scale to a power, of which the logarithm needs no logarithm: that of scale is known.

    A scale is sampled by its logarithm, and the sampler asks for both at each step.
    """
    import pymc as pm

    return pm.math.exp(power * pm.math.log(scale))


def add_counts(
    name: str, level: Any, events: Any, total: Any, dims: str | None, *, hazard: bool = False
) -> None:
    """Add events among patients to the open model.

    Parameters
    ----------
    name : str
        Of the observed variable.
    level : tensor
        The log odds, or the log cumulative hazard.
    events, total : tensor
        Data: shared variables, or rows of them.
    dims : str or None
        Of the counts.
    hazard : bool
        What the level is.

    Notes
    -----
    The binomial coefficient says nothing about any parameter. As data it is not computed again at
    each step of the sampler, where it takes longer than all the rest.
    """
    import pymc as pm

    coefficient = log_choose(Arm(_value(events), _value(total), np.asarray(hazard)))
    pm.CustomDist(
        name,
        level,
        total,
        pm.Data(f"{name}_log_choose", coefficient, dims=dims),
        logp=_by_hazard if hazard else _by_odds,
        observed=events,
        dims=dims,
    )


def _value(node: Any) -> NDArray[Any]:
    return np.asarray(node.get_value() if hasattr(node, "get_value") else node.eval())


def _by_odds(events: Any, level: Any, total: Any, log_choose: Any) -> Any:
    import pytensor.tensor as pt

    return log_choose + events * level - total * pt.softplus(level)


def _by_hazard(events: Any, level: Any, total: Any, log_choose: Any) -> Any:
    """Log probability of counts at a log cumulative hazard, finite where a rate is 0 or 1."""
    import pytensor.tensor as pt

    # log(1 - exp(-H)) is log H where H is small
    inside = pt.exp(pt.clip(level, -30.0, 300.0))
    event = pt.switch(level < -30.0, level, pt.log(-pt.expm1(-inside)))
    lost = (total - events) * pt.exp(pt.minimum(level, 300.0))
    return log_choose + events * event - lost
