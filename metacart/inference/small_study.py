"""All models of small-study effects and selection for one set of estimates."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from metacart.inference.annealing import Integral, integrate
from metacart.modelling.publication_bias import BIASES, Bias, publication_weights
from metacart.records.priors import Prior

__all__ = ["BiasModel", "FittedBias", "bias_models", "fit_bias_model"]

Array = NDArray[np.float64]


class BiasModel(NamedTuple):
    """One model: with or without an effect, heterogeneity, and a kind of bias."""

    effect: bool
    heterogeneity: bool
    bias: Bias
    prior_probability: float


class FittedBias(NamedTuple):
    """A model with its integral and its weighted draws.

    Attributes
    ----------
    model : BiasModel
    integral : Integral
    mu, tau : array (draws,)
        As the estimates are, not as they were turned.
    """

    model: BiasModel
    integral: Integral
    mu: Array
    tau: Array


def bias_models() -> list[BiasModel]:
    """Return the 36 models of RoBMA-PSMA; each component is as likely present as absent."""
    return [
        BiasModel(effect, heterogeneity, bias, 0.125 * bias.share)
        for effect, heterogeneity, biases in product((False, True), (False, True), BIASES.values())
        for bias in biases
    ]


def fit_bias_model(
    model: BiasModel,
    estimate: Array,
    se: Array,
    priors: Mapping[str, Prior],
    *,
    sign: float,
    draws: int,
    seed: int,
) -> FittedBias:
    """Return a model's log marginal likelihood and draws.

    Parameters
    ----------
    model : BiasModel
    estimate, se : array (studies,)
        Independent estimates with standard errors, on the log scale.
    priors : mapping of str to Prior
        ``mu``, ``tau``, ``PET`` and ``PEESE``.
    sign : {1.0, -1.0}
        Which side is favoured: estimates above or below zero.
    draws : int
        Of the run, at least.
    seed : int
        Fixes every random number.

    Returns
    -------
    FittedBias
    """
    names = [name for name, has in (("mu", model.effect), ("tau", model.heterogeneity)) if has]
    coefficient = model.bias.kind in ("PET", "PEESE")
    dimension = len(names) + (1 if coefficient else len(model.bias.steps))

    def parameters(points: Array) -> tuple[Array, Array, Array]:
        from scipy.special import ndtr

        uniform = ndtr(points)
        named = {name: priors[name].quantile(uniform[:, n]) for n, name in enumerate(names)}
        none, extra = np.zeros(len(points)), uniform[:, len(names) :]
        if coefficient:
            extra = priors[model.bias.kind].quantile(extra)
        elif model.bias.steps:
            extra = publication_weights(extra)
        return named.get("mu", none), named.get("tau", none), extra

    def log_likelihood(points: Array) -> Array:
        mu, tau, extra = parameters(points)
        return model.bias.log_likelihood(sign * estimate, se, sign * mu, tau, extra)

    # each model has random numbers of its own: none depends on which others are fitted
    stream = [seed, 11, model.effect, model.heterogeneity, *map(ord, model.bias.kind)]
    stream += [model.bias.sided, *(round(1000 * step) for step in model.bias.steps)]
    integral = integrate(log_likelihood, dimension, np.random.default_rng(stream), draws=draws)
    mu, tau, _ = parameters(integral.points)
    return FittedBias(model, integral, mu, tau)
