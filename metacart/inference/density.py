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
from metacart.modelling.likelihoods import Data, Likelihood
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


class Kinds(NamedTuple):
    """Findings to integrate, and how many studies each stands for.

    Attributes
    ----------
    data : mapping of str to array (findings,)
        The observed columns.
    rows : array (findings, coefficients)
        The rows of the design.
    group : array of int (findings,)
        The kind of study of each.
    place : array of int (studies,)
        The kind of each study of the whole.
    number : array (kinds,)
        How many studies there are of each.
    """

    data: Data
    rows: Array
    group: NDArray[np.int64]
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
    def _data(self) -> Data:
        return data_of(self.design)

    @cached_property
    def _rows(self) -> Array:
        return self.design["x"].to_numpy()

    @cached_property
    def _group(self) -> NDArray[np.int64]:
        return self.design["group"].to_numpy()

    @cached_property
    def _within(self) -> Levels | None:
        if not self.spec.within:
            return None
        return Levels(self.likelihood, self._data, self._group)

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
        number = np.bincount(levels.of_rows(self._rows), minlength=len(names))
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
    def _every(self) -> Kinds:
        """All studies, each a kind of its own."""
        studies = self.design.sizes["study"]
        return Kinds(self._data, self._rows, self._group, np.arange(studies), np.ones(studies))

    @cached_property
    def _kinds(self) -> Kinds:
        """Studies that say the same in the same place, once each; where it is worth looking."""
        number, arrays = len(self._group), [*self._data.values(), self._rows]
        numbers = all(values.dtype.kind in "biuf" for values in arrays)
        single = self.design.sizes["study"] == number and not self.spec.within
        if number < _MANY or not single or self.origins is not None or not numbers:
            return self._every
        columns = [values.astype(np.float64).reshape(number, -1) for values in arrays]
        _, first, which = np.unique(
            np.concatenate(columns, axis=1), axis=0, return_index=True, return_inverse=True
        )
        if len(first) > _WORTH * number:
            return self._every
        place = np.empty(number, dtype=np.intp)
        place[self._group] = which
        data = {name: values[first] for name, values in self._data.items()}
        counts = np.bincount(which).astype(np.float64)
        return Kinds(data, self._rows[first], np.arange(len(first)), place, counts)

    def _observed(self, named: dict[str, Array], kinds: Kinds) -> Observed:
        """Return findings at these parameters."""
        if "beta" in named:
            linear = named["beta"] @ kinds.rows.T
            linear += named["mu"][:, None]
        else:
            linear = np.repeat(named["mu"][:, None], len(kinds.group), axis=1)
        return self._seen(named, linear, kinds)

    def observed(self, named: dict[str, Array], linear: Array) -> Observed:
        """Return findings at parameters, where mu + x beta (draws, findings) is known already."""
        return self._seen(named, linear, self._every)

    def _seen(self, named: dict[str, Array], linear: Array, kinds: Kinds) -> Observed:
        own = {name: named[name][:, None] for name in self.likelihood.parameters if name in named}
        if np.any(shift := self.likelihood.shift(kinds.data, own)):
            linear = linear + shift
        tau = named.get("tau", np.zeros(len(linear)))
        if self._levels is not None:
            tau = tau[:, self._levels.of_rows(kinds.rows)]
        return Observed(
            likelihood=self.likelihood,
            data=kinds.data,
            group=kinds.group,
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
            result[rows] = values[:, self._kinds.place]
        return result

    def total_log_likelihood(self, points: Array, t: Array, *, coarse: bool = False) -> Array:
        """Return the log likelihood of all studies; shape (draws)."""
        result = np.empty(len(t))
        for rows, values in self._by_kind(points, t, coarse=coarse):
            alike = values.shape[1] < len(self._kinds.place)
            result[rows] = values @ self._kinds.number if alike else values.sum(axis=1)
        return result

    def _by_kind(
        self, points: Array, t: Array, *, coarse: bool = False
    ) -> Iterator[tuple[slice, Array]]:
        """Yield draws a block at a time, and the log likelihood of each kind of study there."""
        step = max(CELLS // len(self._kinds.group), 1)
        for start in range(0, len(t), step):
            rows = slice(start, start + step)
            with np.errstate(over="ignore"):
                named = self.parameters(points[rows], t[rows])
                observed = self._observed(named, self._kinds)
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
        self, points: Array, t: Array, *, coarse: bool = False, total: Array | None = None
    ) -> Array:
        """Return the log of likelihood times prior in the coordinates; shape (draws).

        The log likelihood of all studies may be known there, `total` (draws).
        """
        with np.errstate(over="ignore"):
            if total is None:
                total = self.total_log_likelihood(points, t, coarse=coarse)
            density = total + self.log_prior(points, t)
        return np.where(np.isnan(density), -np.inf, density)

    def draw_theta(
        self, named: dict[str, Array], rng: np.random.Generator
    ) -> dict[str, NDArray[Any]]:
        """Return draws of theta (draws, findings) given the rest, and of the inferred origins."""
        observed, drawn = self._observed(named, self._every), {}
        if self.origins is not None:
            drawn[ORIGIN] = self.origins.draw(observed.arguments, named["beta"], rng)
            moved = origin_shift(self.design, drawn[ORIGIN], named["beta"])
            observed = replace(observed, linear=observed.linear + moved)
        linear = observed.linear - self.likelihood.shift(observed.data, observed.parameters)
        return drawn | {"theta": np.asarray(linear + observed.draw(rng))}
