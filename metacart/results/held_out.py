"""What a fit expects of rows that it has not seen, or whose weight was taken away."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.inference.assemble import log_likelihood_of, replicate
from metacart.inference.estimands import design_rows, make_draws
from metacart.inference.prior_draws import of_findings
from metacart.inference.records import design_of, group_of, spec_of
from metacart.modelling.design import data_of, moderators_of, observed_values, own_dim
from metacart.modelling.likelihoods import Likelihood, Likelihoods, find_likelihood
from metacart.modelling.spread import tau_levels, tau_names
from metacart.records.priors import parse_prior
from metacart.records.spec import ModelSpec
from metacart.results.left_out import LeftOut

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["HeldOut"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class HeldOut:
    """Rows of a fit, coded as they were in the whole, to be met by draws without them.

    Attributes
    ----------
    spec : ModelSpec
        Of the whole.
    design : Dataset
        Of these rows alone.
    priors : mapping of str to str
        Of the whole: a parameter about which the rest says nothing has its prior.
    seed : int
        Fixes every random number.
    likelihoods : mapping of str to Likelihood or System, or None
        Those of the fit, where they are not the shipped ones.
    """

    spec: ModelSpec
    design: xr.Dataset
    priors: Mapping[str, str]
    seed: int
    likelihoods: Likelihoods | None

    @classmethod
    def of(cls, fit: xr.DataTree, part: LeftOut, likelihoods: Likelihoods | None) -> HeldOut:
        """Return what leaves a fit."""
        whole = design_of(fit)
        rows = whole.isel(finding=np.flatnonzero(part.rows), study=part.levels)
        group = np.searchsorted(part.levels, rows["group"].to_numpy())
        design = rows.assign(group=("finding", group))
        stated: dict[str, str] = json.loads(str(fit.attrs["priors"]))
        return cls(spec_of(fit), design, stated, int(fit.attrs["seed"]), likelihoods)

    @property
    def likelihood(self) -> Likelihood:
        """The likelihood of its rows."""
        return find_likelihood(self.spec, likelihoods=self.likelihoods)

    @property
    def has_gaps(self) -> bool:
        """Whether a moderator of these rows has no value."""
        return bool((self.design["gap"] >= 0).any())

    @property
    def observed(self) -> Array:
        """What was seen (findings,), on the natural scale."""
        return observed_values(
            self.design, self.design[self.likelihood.observed].to_numpy().astype(float)
        )

    def log_density(self, fit: xr.DataTree) -> Array:
        """Return the log density of these rows (chain, draw), the study effects integrated out."""
        sample = self._sample(fit)
        found = log_likelihood_of(self.spec, self.design, self.likelihood, sample)["study"]
        return found.transpose("chain", "draw", "studies").to_numpy().sum(axis=-1)

    def replicates(self, fit: xr.DataTree) -> Array:
        """Return replicates (chain, draw, findings) on the natural scale, study effects anew.

        A baseline of two groups is drawn as the control group alone tells it.
        """
        sample, rng = self._sample(fit), np.random.default_rng([self.seed, 6])
        sample = self._with_baselines(sample, rng)
        found = replicate(self.spec, self.design, self.likelihood, sample, rng)["y"]
        return observed_values(
            self.design, found.transpose("chain", "draw", "finding").to_numpy().astype(float)
        )

    def _sample(self, fit: xr.DataTree) -> xr.Dataset:
        """Return the parameters of a fit as these rows need them."""
        import xarray as xr

        posterior, dims = group_of(fit, "posterior"), ("chain", "draw")
        shape = tuple(posterior.sizes[dim] for dim in dims)
        rng, data = np.random.default_rng([self.seed, 5]), data_of(self.design)

        def known(name: str, prior: str) -> Array:
            if name in posterior:
                return posterior[name].transpose(*dims).to_numpy()
            return parse_prior(self.priors[prior]).draw(shape, rng)

        shared = [
            name
            for name in self.likelihood.shared
            if name in posterior or self.likelihood.parameters[name].needed(data)
        ]
        values: dict[str, Any] = {"mu": (dims, known("mu", "mu"))}
        levels = tau_levels(self.spec, moderators_of(self.design))
        if levels is not None:
            held = posterior["level"].to_numpy().tolist() if "level" in posterior.dims else []
            each = [
                posterior["tau"].sel(level=level).transpose(*dims).to_numpy()
                if level in held
                else parse_prior(self.priors[name]).draw(shape, rng)
                for level, name in zip(levels.levels, tau_names(levels), strict=True)
            ]
            values["tau"] = ((*dims, "level"), np.stack(each, axis=-1))
        elif self.spec.random_effects != "none":
            values["tau"] = (dims, known("tau", "tau"))
        if self.spec.within:
            values["tau_within"] = (dims, known("tau_within", "tau_within"))
        values |= {name: (dims, known(name, name)) for name in shared}
        coefficients = self.design["coefficient"].to_numpy().tolist()
        if coefficients:
            held = posterior["coefficient"].to_numpy().tolist() if "beta" in posterior else []
            beta = [
                posterior["beta"].sel(coefficient=name).transpose(*dims).to_numpy()
                if name in held
                else parse_prior(self.priors[f"beta:{name}"]).draw(shape, rng)
                for name in coefficients
            ]
            values["beta"] = ((*dims, "coefficient"), np.stack(beta, axis=-1))
        coords = {name: posterior[name].to_numpy() for name in dims}
        coords |= {name: self.design[name].to_numpy() for name in ("finding", "coefficient")}
        sample = xr.Dataset(values, coords=coords)
        draws = make_draws(sample, self.spec, self.design, self.seed)
        theta = draws.linear(design_rows(self.design, sample))
        return sample.assign(theta=((*dims, "finding"), theta))

    def _with_baselines(self, sample: xr.Dataset, rng: np.random.Generator) -> xr.Dataset:
        each, likelihood = of_findings(self.design, self.likelihood), self.likelihood
        if not each:
            return sample
        data = data_of(self.design)
        nobody = {name: np.zeros_like(data[name]) for name in ("exposed_events", "exposed_total")}
        eta = sample["theta"].to_numpy()
        priors = {name: parse_prior(self.priors[name]) for name in each}
        drawn = likelihood.draw(eta.reshape(-1, eta.shape[-1]), {**data, **nobody}, priors, rng)
        dims = ("chain", "draw", own_dim(self.design))
        return sample.assign({name: (dims, drawn[name].reshape(eta.shape)) for name in each})
