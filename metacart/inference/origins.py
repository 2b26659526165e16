"""Inferred origins in both engines: integrated out, and drawn given the rest."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from metacart.inference.marginal import study_log_likelihood
from metacart.modelling.design import data_of
from metacart.modelling.likelihoods import Likelihood
from metacart.modelling.origins import (
    INFERRED,
    ORIGIN,
    inferred_rows,
    level_shifts,
    origin_shares,
    origin_shift,
    without_origins,
)

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Combinations", "certain_designs", "with_prior_origins", "with_resolved_origins"]

_WAYS = 16

Array = NDArray[np.float64]
Numbers = NDArray[np.int64]


class Combinations(NamedTuple):
    """Every way in which the inferred arms of each study may have their origins.

    Studies with fewer ways than others have some of probability zero.

    Attributes
    ----------
    findings, studies : array of int
        The findings of studies with an inferred arm, and these studies, by their numbers.
    group : array of int (findings)
        The study of each, by its place in `studies`.
    place : array of int (inferred)
        The study of each inferred arm, alike.
    level : array of int (ways, inferred)
        The level of each inferred arm.
    shift : array (ways, findings, coefficients)
        How far the design rows move.
    log_share : array (ways, studies)
        Log prior probability of each way.
    """

    findings: NDArray[np.intp]
    studies: NDArray[np.intp]
    group: NDArray[np.intp]
    place: NDArray[np.intp]
    level: Numbers
    shift: Array
    log_share: Array

    @classmethod
    def of(cls, design: xr.Dataset) -> Combinations | None:
        """Return those of a design; none where no origin is inferred."""
        rows = inferred_rows(design)
        if not rows.size:
            return None
        groups = design["group"].to_numpy()
        studies = np.unique(groups[rows])
        findings = np.flatnonzero(np.isin(groups, studies))
        shares, moved = origin_shares(design), level_shifts(design)
        levels = shares.shape[1]
        arms = [np.flatnonzero(groups[rows] == study) for study in studies]
        ways = levels ** max(len(own) for own in arms)
        level = np.zeros((ways, len(rows)), dtype=np.int64)
        log_share = np.full((ways, len(studies)), -np.inf)
        for number, own in enumerate(arms):
            for way, chosen in enumerate(product(range(levels), repeat=len(own))):
                level[way, own] = chosen
                log_share[way, number] = np.log(shares[own, chosen]).sum()
        shift = np.zeros((ways, len(findings), design.sizes["coefficient"]))
        shift[:, np.searchsorted(findings, rows)] = moved[level, np.arange(len(rows))]
        group, place = (np.searchsorted(studies, groups[each]) for each in (findings, rows))
        return cls(findings, studies, group, place, level, shift, log_share)

    def terms(self, observed: dict[str, Any], beta: Array, *, coarse: bool = False) -> Array:
        """Return the log of share times likelihood of each way (draws, ways, studies).

        `observed` are the arguments of ``study_log_likelihood`` at the stated origins.
        """
        some = self.findings
        own = {
            name: values[:, some] if values.shape[-1] > 1 else values
            for name, values in observed["parameters"].items()
        }
        fixed = observed | {
            "data": {name: values[some] for name, values in observed["data"].items()},
            "group": self.group,
            "parameters": own,
        }
        linear = observed["linear"][:, some]
        terms = [
            study_log_likelihood(**(fixed | {"linear": linear + beta @ shift.T}), coarse=coarse)
            for shift in self.shift
        ]
        return np.asarray(np.stack(terms, axis=1) + self.log_share)

    def integrated(
        self, by_study: Array, observed: dict[str, Any], beta: Array, *, coarse: bool = False
    ) -> Array:
        """Return the log likelihood of each study with the origins summed out."""
        from scipy.special import logsumexp

        by_study = by_study.copy()
        by_study[:, self.studies] = logsumexp(self.terms(observed, beta, coarse=coarse), axis=1)
        return by_study

    def draw(self, observed: dict[str, Any], beta: Array, rng: np.random.Generator) -> Numbers:
        """Return drawn levels (draws, inferred) given the parameters, study effects integrated."""
        way = draw_levels(self.terms(observed, beta), rng)
        return np.take_along_axis(self.level, way[:, self.place], axis=0)


def certain_designs(design: xr.Dataset) -> Iterator[tuple[xr.Dataset, float]]:
    """Yield designs in which all origins are certain, and the log prior probability of each.

    All ways of few inferred arms; of many those with at most one arm otherwise than recorded, and
    all otherwise: from these the others are near.
    """
    rows = inferred_rows(design)
    if not rows.size:
        yield design, 0.0
        return
    shares, moved = origin_shares(design), level_shifts(design)
    number, levels = shares.shape
    for chosen in (
        product(range(levels), repeat=number) if levels**number <= _WAYS else _few(shares)
    ):
        x = design["x"].to_numpy().copy()
        x[rows] += moved[chosen, np.arange(number)]
        log_share = float(np.log(shares[np.arange(number), chosen]).sum())
        yield without_origins(design, x), log_share


def _few(shares: Array) -> Iterator[tuple[int, ...]]:
    likely = np.argmax(shares, axis=1)
    others = np.argmin(shares, axis=1)
    yield tuple(likely.tolist())
    for arm in range(len(shares)):
        changed = likely.copy()
        changed[arm] = others[arm]
        yield tuple(changed.tolist())
    yield tuple(others.tolist())


def draw_levels(log_weight: Array, rng: np.random.Generator) -> Numbers:
    """Return one number along the second axis of log weights (draws, levels, …), by Gumbel."""
    return np.asarray(np.argmax(log_weight + rng.gumbel(size=log_weight.shape), axis=1))


def with_resolved_origins(
    sample: xr.Dataset, design: xr.Dataset, likelihood: Likelihood, rng: np.random.Generator
) -> xr.Dataset:
    """Return draws whose theta is at the stated origins with origins drawn, and theta at these."""
    rows = inferred_rows(design)
    if not rows.size:
        return sample
    dims = ("chain", "draw")
    theta = sample["theta"].transpose(*dims, "finding").to_numpy()
    beta = sample["beta"].transpose(*dims, "coefficient").to_numpy()
    own = {
        name: sample[name].transpose(*dims).to_numpy().reshape(-1, 1)
        for name in likelihood.shared
        if name in sample
    }
    data = {name: values[rows] for name, values in data_of(design).items()}
    stated = theta[..., rows].reshape(-1, len(rows))
    moved = np.einsum("kic,dc->kdi", level_shifts(design), beta.reshape(-1, beta.shape[-1]))
    shares = np.log(origin_shares(design).T)
    terms = [
        likelihood.logp(stated + each + likelihood.shift(data, own), data, own) + share[None]
        for each, share in zip(moved, shares, strict=True)
    ]
    origin = draw_levels(np.stack(terms, axis=1), rng).reshape(*theta.shape[:2], len(rows))
    return sample.assign(
        {
            ORIGIN: ((*dims, INFERRED), origin),
            "theta": ((*dims, "finding"), theta + origin_shift(design, origin, beta)),
        }
    )


def with_prior_origins(
    values: dict[str, Any], theta: Array, design: xr.Dataset, rng: np.random.Generator
) -> Array:
    """Draw origins by their prior into the variables of a sample; return theta at these."""
    rows = inferred_rows(design)
    if not rows.size:
        return theta
    log_share = np.log(origin_shares(design).T)
    shape = theta.shape[:2]
    drawn = draw_levels(
        np.broadcast_to(log_share, (int(np.prod(shape)), *log_share.shape)), rng
    ).reshape(*shape, len(rows))
    values[ORIGIN] = (("chain", "draw", INFERRED), drawn)
    return np.asarray(theta + origin_shift(design, drawn, values["beta"][1]))
