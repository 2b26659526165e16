"""The posterior of the parameters with the study effects integrated out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

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

__all__ = ["CELLS", "Marginal"]

Array = NDArray[np.float64]

CELLS = 4_000_000  # draws times findings that are worked on at once
# findings from which on it is worth looking for those that are alike, and what share may differ
_MANY, _WORTH = 100, 0.8


class Alike(NamedTuple):
    """Studies that say the same in the same place, once each.

    Attributes
    ----------
    design : Dataset
        Of one of each kind.
    place : array of int (studies,)
        The kind of each study.
    number : array (kinds,)
        How many there are of each.
    """

    design: xr.Dataset
    place: NDArray[np.intp]
    number: Array


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

    @cached_property
    def _alike(self) -> Alike:
        """Which findings differ: those that say the same in the same place say it once."""
        number, studies = self.design.sizes["finding"], self.design.sizes["study"]
        each = Alike(self.design, np.arange(studies), np.ones(studies))
        arrays = [*data_of(self.design).values(), self.design["x"].to_numpy()]
        numbers = all(values.dtype.kind in "biuf" for values in arrays)
        if number < _MANY or studies < number or self.spec.within or self.origins or not numbers:
            return each
        columns = [values.astype(np.float64).reshape(number, -1) for values in arrays]
        _, first, which = np.unique(
            np.concatenate(columns, axis=1), axis=0, return_index=True, return_inverse=True
        )
        if len(first) > _WORTH * number:
            return each
        design = self.design.isel(finding=first).assign(group=("finding", np.arange(len(first))))
        place = np.empty(number, dtype=np.intp)
        place[self.design["group"].to_numpy()] = which
        return Alike(design, place, np.bincount(which).astype(np.float64))

    def _observed(self, named: dict[str, Array], design: xr.Dataset) -> Observed:
        """Return the findings of a design at these parameters."""
        data = data_of(design)
        linear = np.repeat(named["mu"][:, None], design.sizes["finding"], axis=1)
        if "beta" in named:
            linear += named["beta"] @ design["x"].to_numpy().T
        own = {name: named[name][:, None] for name in self.likelihood.parameters if name in named}
        linear += self.likelihood.shift(data, own)
        tau = named.get("tau", np.zeros(len(linear)))
        if self._levels is not None:
            tau = tau[:, self._levels.of_rows(design["x"].to_numpy())]
        return Observed(
            likelihood=self.likelihood,
            data=data,
            group=design["group"].to_numpy(),
            linear=linear,
            tau=tau,
            levels=self._within,
            within=named.get("tau_within"),
            effects=self.spec.random_effects,
            nu=self.spec.nu,
            parameters=own,
        )

    def log_likelihood(self, points: Array, t: Array) -> Array:
        """Return the log likelihood of each study; shape (draws, studies)."""
        result = np.empty((len(t), self.design.sizes["study"]))
        for rows, values in self._by_kind(points, t):
            result[rows] = values[:, self._alike.place]
        return result

    def total_log_likelihood(self, points: Array, t: Array, *, coarse: bool = False) -> Array:
        """Return the log likelihood of all studies; shape (draws)."""
        result = np.empty(len(t))
        for rows, values in self._by_kind(points, t, coarse=coarse):
            alike = values.shape[1] < self.design.sizes["study"]
            result[rows] = values @ self._alike.number if alike else values.sum(axis=1)
        return result

    def _by_kind(
        self, points: Array, t: Array, *, coarse: bool = False
    ) -> Iterator[tuple[slice, Array]]:
        """Yield draws a block at a time, and the log likelihood of each kind of study there."""
        design = self._alike.design
        step = max(CELLS // design.sizes["finding"], 1)
        for start in range(0, len(t), step):
            rows = slice(start, start + step)
            with np.errstate(over="ignore"):
                named = self.parameters(points[rows], t[rows])
                observed = self._observed(named, design)
                values = observed.log_likelihood(coarse=coarse)
                if self.origins is not None:
                    values = self.origins.integrated(
                        values, observed.arguments, named["beta"], coarse=coarse
                    )
            yield rows, values

    def log_prior(self, points: Array, t: Array) -> Array:
        """Return the log prior density of the coordinates; shape (draws)."""
        density = sum(each.log_density(points[:, i]) for i, each in enumerate(self.coordinates))
        return np.asarray(density + (self.tau.log_density(t) if self.tau else 0.0))

    def log_density(
        self, points: Array, t: Array, *, coarse: bool = False, by_study: Array | None = None
    ) -> Array:
        """Return the log of likelihood times prior in the coordinates; shape (draws).

        The log likelihood of each study may be known there, `by_study` (draws, studies).
        """
        with np.errstate(over="ignore"):
            if by_study is None:
                density = self.total_log_likelihood(points, t, coarse=coarse)
            else:
                density = by_study.sum(axis=1)
            density = density + self.log_prior(points, t)
        return np.where(np.isnan(density), -np.inf, density)

    def draw_theta(
        self, named: dict[str, Array], rng: np.random.Generator
    ) -> dict[str, NDArray[Any]]:
        """Return draws of theta (draws, findings) given the rest, and of the inferred origins."""
        observed, drawn = self._observed(named, self.design), {}
        if self.origins is not None:
            drawn[ORIGIN] = self.origins.draw(observed.arguments, named["beta"], rng)
            moved = origin_shift(self.design, drawn[ORIGIN], named["beta"])
            observed = replace(observed, linear=observed.linear + moved)
        linear = observed.linear - self.likelihood.shift(observed.data, observed.parameters)
        return drawn | {"theta": np.asarray(linear + observed.draw(rng))}
