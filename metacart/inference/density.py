"""The posterior of the parameters with the study effects integrated out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.inference.coordinates import Coordinate
from metacart.inference.origins import Combinations
from metacart.inference.within import Levels, Observed
from metacart.modelling.build import free_parameters
from metacart.modelling.design import data_of, moderators_of
from metacart.modelling.likelihoods import Likelihood
from metacart.modelling.origins import ORIGIN, origin_shift
from metacart.modelling.spread import TauLevels, tau_levels, tau_names
from metacart.records.priors import Prior
from metacart.records.spec import ModelSpec

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Marginal"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Marginal:
    """The posterior of mu, beta, the likelihood's own parameters and tau, effects integrated out.

    Attributes
    ----------
    spec, design, likelihood, priors
        The analysis.
    """

    spec: ModelSpec
    design: xr.Dataset
    likelihood: Likelihood
    priors: dict[str, Prior]

    @cached_property
    def names(self) -> list[str]:
        """Names of the coordinates but tau: mu, beta:NAME, the likelihood's own, other spreads."""
        beta = [f"beta:{name}" for name in self.design["coefficient"].to_numpy().tolist()]
        others = [*self._taus[1:], *(["tau_within"] if self.spec.within else [])]
        return ["mu", *beta, *free_parameters(self.design, self.likelihood), *others]

    @cached_property
    def _within(self) -> Levels | None:
        if not self.spec.within:
            return None
        group = self.design["group"].to_numpy()
        return Levels(self.likelihood, data_of(self.design), group)

    @cached_property
    def _levels(self) -> TauLevels | None:
        return tau_levels(self.spec, moderators_of(self.design))

    @cached_property
    def _taus(self) -> list[str]:
        """Names of each tau, that of the fewest findings first: it is the least normal."""
        if self.spec.random_effects == "none":
            return []
        names, levels = tau_names(self._levels), self._levels
        if levels is None:
            return names
        number = np.bincount(levels.of_rows(self.design["x"].to_numpy()), minlength=len(names))
        return [names[position] for position in np.argsort(number, kind="stable")]

    @cached_property
    def coordinates(self) -> list[Coordinate]:
        """The coordinate of each name."""
        return [Coordinate(self.priors[name]) for name in self.names]

    @cached_property
    def tau(self) -> Coordinate | None:
        """The coordinate of tau, of the first where there are several; none without effects."""
        return Coordinate(self.priors[self._taus[0]]) if self._taus else None

    @cached_property
    def origins(self) -> Combinations | None:
        """Ways in which inferred arms may have their origins; none where all are certain."""
        return Combinations.of(self.design)

    def parameters(self, points: Array, t: Array) -> dict[str, Array]:
        """Return the parameters at coordinates (draws, names) and of tau (draws)."""
        values = [each.value(points[:, i]) for i, each in enumerate(self.coordinates)]
        sizes = self.design.sizes["coefficient"]
        named = {"mu": values[0], "beta": np.stack(values[1 : 1 + sizes], -1)} if sizes else {}
        named = named or {"mu": values[0]}
        own = dict(zip(self.names[1 + sizes :], values[1 + sizes :], strict=True))
        if self.tau is None:
            return named | own
        tau = {self._taus[0]: self.tau.value(t)} | {name: own.pop(name) for name in self._taus[1:]}
        if self._levels is None:
            return named | own | tau
        each = [tau[name] for name in tau_names(self._levels)]
        return named | own | {"tau": np.stack(each, axis=-1)}

    def _observed(self, named: dict[str, Array]) -> Observed:
        """Return the findings at these parameters."""
        data = data_of(self.design)
        linear = named["mu"][:, None] + np.zeros(self.design.sizes["finding"])
        if "beta" in named:
            linear = linear + named["beta"] @ self.design["x"].to_numpy().T
        own = {name: named[name][:, None] for name in self.likelihood.parameters if name in named}
        tau = named.get("tau", np.zeros(len(linear)))
        if self._levels is not None:
            tau = tau[:, self._levels.of_rows(self.design["x"].to_numpy())]
        return Observed(
            likelihood=self.likelihood,
            data=data,
            group=self.design["group"].to_numpy(),
            linear=linear + self.likelihood.shift(data, own),
            tau=tau,
            levels=self._within,
            within=named.get("tau_within"),
            effects=self.spec.random_effects,
            nu=self.spec.nu,
            parameters=own,
        )

    def log_likelihood(self, points: Array, t: Array, *, coarse: bool = False) -> Array:
        """Return the log likelihood of each study; shape (draws, studies)."""
        with np.errstate(over="ignore"):
            named = self.parameters(points, t)
            observed = self._observed(named)
            stated = observed.log_likelihood(coarse=coarse)
            if self.origins is None:
                return stated
            return self.origins.integrated(stated, observed.arguments, named["beta"], coarse=coarse)

    def log_prior(self, points: Array, t: Array) -> Array:
        """Return the log prior density of the coordinates; shape (draws)."""
        density = sum(each.log_density(points[:, i]) for i, each in enumerate(self.coordinates))
        return np.asarray(density + (self.tau.log_density(t) if self.tau else 0.0))

    def log_density(self, points: Array, t: Array, *, coarse: bool = False) -> Array:
        """Return the log of likelihood times prior in the coordinates; shape (draws)."""
        return self.with_prior(self.log_likelihood(points, t, coarse=coarse), points, t)

    def with_prior(self, log_likelihood: Array, points: Array, t: Array) -> Array:
        """Return the same where the log likelihood of each study is known there."""
        with np.errstate(over="ignore"):
            density = log_likelihood.sum(axis=1) + self.log_prior(points, t)
        return np.where(np.isnan(density), -np.inf, density)

    def draw_theta(
        self, named: dict[str, Array], rng: np.random.Generator
    ) -> dict[str, NDArray[Any]]:
        """Return draws of theta (draws, findings) given the rest, and of the inferred origins."""
        observed, drawn = self._observed(named), {}
        if self.origins is not None:
            drawn[ORIGIN] = self.origins.draw(observed.arguments, named["beta"], rng)
            moved = origin_shift(self.design, drawn[ORIGIN], named["beta"])
            observed = replace(observed, linear=observed.linear + moved)
        linear = observed.linear - self.likelihood.shift(observed.data, observed.parameters)
        return drawn | {"theta": np.asarray(linear + observed.draw(rng))}
