"""Named estimands, draw by draw: median study, population average, next study."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.inference.population import population_average
from metacart.inference.records import attribute, design_of, group_of, spec_of
from metacart.inference.threads import on_threads, slices
from metacart.modelling.counts import rates_below
from metacart.modelling.design import moderators_of, scale_of
from metacart.modelling.imputation import IMPUTED, filled_columns
from metacart.modelling.moderators import code_at, columns_of, product_columns
from metacart.modelling.spread import TauLevels, tau_levels
from metacart.records.spec import ModelSpec
from metacart.scales import Scale

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "Draws",
    "design_rows",
    "draw_effects",
    "draws_of",
    "effects_anew",
    "make_draws",
    "rows_at",
    "with_estimands",
]

Array = NDArray[np.float64]

_SAME = 1e-4  # shares that differ by less print alike
_CELLS = 50_000  # draws times rows that are averaged at once


def draw_effects(size: Any, *, effects: str, nu: float, rng: np.random.Generator) -> Array:
    """Standard study effects: z of u = tau z."""
    if effects == "none":
        return np.zeros(size)
    if effects == "student_t":
        return np.asarray(rng.standard_t(nu, size=size))
    return np.asarray(rng.standard_normal(size))


@dataclass(frozen=True)
class Draws:
    """Draws of the parameters with what is needed to turn them into estimands.

    Attributes
    ----------
    mu : array (chain, draw)
        Pooled mean on the model scale.
    tau : array (chain, draw) or (chain, draw, level)
        Scale of the study effects (0 without any); of each level where it differs.
    beta : array (chain, draw, coefficient)
        Regression coefficients.
    scale : Scale
        The model scale.
    effects : str
        Distribution of the study effects.
    nu : float
        Its degrees of freedom, where it is Student-t.
    seed : int
        Fixes the draws of the next study.
    rho : array (chain, draw) or None
        Overdispersion, where the rates of arms scatter around g⁻¹(m + u) as a beta distribution.
    within : array (chain, draw) or None
        SD of the effects of findings inside studies, where they have any.
    levels : TauLevels or None
        Which level of tau a row has, where it differs.
    """

    mu: Array
    tau: Array
    beta: Array
    scale: Scale
    effects: str
    nu: float
    seed: int
    rho: Array | None = None
    within: Array | None = None
    levels: TauLevels | None = None

    def at(self, some: slice) -> Draws:
        """Return some of the draws of each chain."""
        return replace(
            self,
            mu=self.mu[:, some],
            tau=self.tau[:, some],
            beta=self.beta[:, some],
            rho=None if self.rho is None else self.rho[:, some],
            within=None if self.within is None else self.within[:, some],
        )

    def tau_at(self, rows: Array) -> Array:
        """Return the scale of the study effects at each row (chain, draw, rows or 1)."""
        if self.levels is None:
            return self.tau[..., None]
        return np.asarray(self.tau[..., self.levels.of_rows(rows)])

    def spread_at(self, rows: Array) -> Array:
        """Return the scale of all effects of a finding at each row (chain, draw, rows or 1)."""
        tau = self.tau_at(rows)
        return tau if self.within is None else np.sqrt(tau**2 + self.within[..., None] ** 2)

    def linear(self, rows: Array) -> Array:
        """Return mu + x beta of shape (chain, draw, rows).

        The rows are the same in each draw (rows, coefficients), or imputed draw by draw
        (chain, draw, rows, coefficients).
        """
        if rows.ndim == 2:
            return self.mu[..., None] + self.beta @ rows.T
        return self.mu[..., None] + (rows * self.beta[..., None, :]).sum(axis=-1)

    def median_study(self, rows: Array) -> Array:
        """Return g⁻¹(m), averaged over the rows; shape (chain, draw).

        Where arms scatter, m is their mean, and this is their median.
        """
        return self._averaged(
            rows, lambda some, at: some.scale.inverse(some._scattered(some.linear(at), 0.5))
        )

    def population_average(self, rows: Array) -> Array:
        """Return E[g⁻¹(m + u) | tau], averaged over the rows; shape (chain, draw).

        Over the effects of studies and findings: the sum of two normal ones is normal.
        """

        def averages(some: Draws, at: Array) -> Array:
            linear, spread = some.linear(at), some.spread_at(at)
            return population_average(linear, spread, some.scale, effects=some.effects, nu=some.nu)

        return self._averaged(rows, averages)

    def _averaged(self, rows: Array, work: Callable[[Draws, Array], Array]) -> Array:
        """Return the average over the rows of what is found at each; shape (chain, draw)."""
        distinct, weights = _distinct(rows)
        result, (chains, draws) = np.empty(self.mu.shape), self.mu.shape

        def average(chosen: slice) -> None:
            at = distinct[:, chosen] if distinct.ndim > 2 else distinct
            result[:, chosen] = work(self.at(chosen), at) @ weights

        each = max(_CELLS // (chains * len(weights)), 1)
        on_threads(average, slices(draws, each), worth=result.size * len(weights))
        return result

    def next_study(self, rows: Array) -> Array:
        """Return g⁻¹(m + u_new) of one new study drawn like a row; shape (chain, draw)."""
        return self.scale.inverse(self.theta_new(rows))

    def theta_new(self, rows: Array) -> Array:
        """Return m + u_new on the model scale, of a finding in a new study; shape (chain, draw)."""
        distinct, weights = _distinct(rows)
        rng = np.random.default_rng([self.seed, 1])
        which = rng.choice(len(weights), size=self.mu.shape, p=weights)
        # of each draw the row that was chosen, never all
        tau = self.tau_at(distinct)
        tau = tau if tau.shape[-1] == 1 else np.take_along_axis(tau, which[..., None], axis=-1)
        if distinct.ndim > 2:
            linear = np.take_along_axis(self.linear(distinct), which[..., None], axis=-1)
        else:
            linear = self.mu[..., None] + (distinct[which] * self.beta).sum(-1, keepdims=True)
        return self._new(linear, tau, 1, 1)[..., 0]

    def new_levels(self, rows: Array, number: int, *, finding: int = 1) -> Array:
        """Return the `number`-th new study at each row, on the model scale (chain, draw, rows).

        Where findings have effects of their own, that of its `finding`-th one.
        """
        return self._new(self.linear(rows), self.tau_at(rows), number, finding)

    def _new(self, linear: Array, tau: Array, number: int, finding: int) -> Array:
        eta = linear + tau * self.new_effects(number)[..., None]
        if self.within is not None:
            eta = eta + (self.within * self.new_inside(number, finding))[..., None]
        return eta if self.rho is None else self._scattered(eta, self.new_shares(number))

    def _scattered(self, eta: Array, share: float | Array) -> Array:
        """Return where a share of the arms of these means (chain, draw, rows) lies below."""
        if self.rho is None:
            return eta
        rates = rates_below(eta, self.rho[..., None], np.expand_dims(share, -1))
        return self.scale.link(rates)

    def new_shares(self, number: int) -> Array:
        """Return where among all arms that of the `number`-th new study lies (chain, draw)."""
        return np.random.default_rng([self.seed, 1, number, 1]).uniform(size=self.mu.shape)

    def new_effects(self, number: int) -> Array:
        """Return standard effects of the `number`-th new study; shape (chain, draw)."""
        rng = np.random.default_rng([self.seed, 1, number])
        return draw_effects(self.mu.shape, effects=self.effects, nu=self.nu, rng=rng)

    def new_inside(self, number: int, finding: int) -> Array:
        """Return standard effects of a finding of the `number`-th new study (chain, draw)."""
        rng = np.random.default_rng([self.seed, 1, number, 2, finding])
        return np.asarray(rng.standard_normal(self.mu.shape))

    @property
    def has_average(self) -> bool:
        """Whether the population average exists: not for ratios, nor for values without a mean."""
        bounded = bool(np.isfinite(self.scale.bounds).all())
        heavy = self.effects == "student_t" and self.nu <= 1.0
        return bounded or (self.scale.name == "identity" and not heavy)


def _distinct(rows: Array) -> tuple[Array, Array]:
    if rows.ndim > 2:
        return rows, np.full(rows.shape[-2], 1.0 / rows.shape[-2])
    if rows.shape[1] == 0:
        return rows[:1], np.ones(1)
    distinct, counts = np.unique(rows, axis=0, return_counts=True)
    return distinct, counts / counts.sum()


def draws_of(fit: xr.DataTree, *, group: str = "posterior") -> Draws:
    """Return the draws of a group of a fit: ``posterior``, ``prior`` or ``naive``."""
    design = design_of(fit)
    return make_draws(group_of(fit, group), spec_of(fit), design, int(attribute(fit, "seed")))


def make_draws(sample: xr.Dataset, spec: ModelSpec, design: xr.Dataset, seed: int) -> Draws:
    """Return the draws of a dataset that has ``mu`` and perhaps ``tau`` and ``beta``."""
    mu = sample["mu"].transpose("chain", "draw").to_numpy()
    tau = sample["tau"].transpose("chain", "draw", ...).to_numpy() if "tau" in sample else 0.0 * mu
    beta = (
        sample["beta"].transpose("chain", "draw", "coefficient").to_numpy()
        if "beta" in sample
        else np.zeros((*mu.shape, 0))
    )
    others = {
        name: sample[key].transpose("chain", "draw").to_numpy()
        for name, key in (("rho", "rho"), ("within", "tau_within"))
        if key in sample
    }
    levels = tau_levels(spec, moderators_of(design))
    scale, effects = scale_of(design), spec.random_effects
    return Draws(mu, tau, beta, scale, effects, spec.nu, seed, **others, levels=levels)


def effects_anew(draws: Draws, design: xr.Dataset, rng: np.random.Generator) -> Array:
    """Return effects of the findings of a design, all drawn anew (chain, draw, finding)."""
    shape = (*draws.mu.shape, design.sizes["study"])
    z = draw_effects(shape, effects=draws.effects, nu=draws.nu, rng=rng)
    effects = draws.tau_at(design["x"].to_numpy()) * z[..., design["group"].to_numpy()]
    if draws.within is None:
        return np.asarray(effects)
    return np.asarray(effects + draws.within[..., None] * rng.standard_normal(effects.shape))


def with_estimands(
    sampled: xr.Dataset, *, spec: ModelSpec, design: xr.Dataset, seed: int
) -> xr.Dataset:
    """Return all that is reported on the model scale: parameters, named estimands beside them."""
    names = ["mu", "tau", "tau_within", "beta", "theta", "bias", "rho", IMPUTED]
    draws, rows = make_draws(sampled, spec, design, seed), design_rows(design, sampled)
    estimands = {"median study": draws.median_study(rows), "next study": draws.next_study(rows)}
    if draws.has_average:
        estimands["population average"] = draws.population_average(rows)
    # on the model scale an error is compared with an SD that means something: a rate near 0 is
    # skewed, and a ratio under Student-t effects has no variance at all
    lowest, highest = (np.nextafter(bound, 0.5) for bound in draws.scale.bounds)
    if np.isfinite(draws.scale.bounds).all():
        # of what is nearer to a bound nobody needs the log odds, which floating point resolves
        # near 0 but not near 1
        lowest, highest = lowest + _SAME, highest - _SAME
    return sampled[[name for name in names if name in sampled]].assign(
        {
            name: (("chain", "draw"), draws.scale.link(np.clip(values, lowest, highest)))
            for name, values in estimands.items()
        }
    )


def rows_at(fit: xr.DataTree, at: Mapping[str, Any], *, group: str = "posterior") -> Array:
    """Return the design rows over which an estimand is averaged, with `at` set in each.

    Raises
    ------
    InputError
        For a name in `at` that is no moderator, or a level that the evidence does not have.
    """
    return design_rows(design_of(fit), group_of(fit, group), at)


def design_rows(
    design: xr.Dataset, sample: xr.Dataset, at: Mapping[str, Any] | None = None
) -> Array:
    """Return the rows of a design with `at` set in each and gaps as they were imputed.

    Of shape (rows, coefficients), or (chain, draw, rows, coefficients) where a value is imputed.
    """
    moderators = moderators_of(design)
    coded = code_at(moderators, at or {})
    columns = columns_of(moderators, design["x"].to_numpy())
    if IMPUTED in sample:
        imputed = sample[IMPUTED].transpose("chain", "draw", "gap").to_numpy()
        columns = filled_columns(moderators, design, imputed)
    findings = design.sizes["finding"]
    for name, block in coded.items():
        columns[name] = [np.repeat(column, findings) for column in block]
    if not moderators:
        return np.zeros((findings, 0))
    return np.stack(np.broadcast_arrays(*product_columns(moderators, columns)), axis=-1)
