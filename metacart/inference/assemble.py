"""From draws of the parameters to the whole fit: prior, predictive, likelihood, data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.inference.estimands import Draws, design_rows, effects_anew, make_draws
from metacart.inference.kept import kept_draws, placed, with_theta
from metacart.inference.origins import Combinations
from metacart.inference.prior_draws import PRIOR_DRAWS, draw_own, draw_prior, of_findings
from metacart.inference.threads import on_threads, slices
from metacart.inference.within import Levels, Observed
from metacart.modelling.build import free_parameters
from metacart.modelling.design import data_of, moderators_of, own_dim, scale_of
from metacart.modelling.imputation import IMPUTED, gap_names
from metacart.modelling.likelihoods import LIKELIHOODS, Likelihood
from metacart.modelling.origins import INFERRED, ORIGIN, inferred_rows, origin_shift
from metacart.modelling.spread import tau_levels
from metacart.records.priors import Prior
from metacart.records.spec import ModelSpec

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "groups_of_fit",
    "log_likelihood_of",
    "own_arrays",
    "replicate",
    "sample_groups",
]

Array = NDArray[np.float64]

_CELLS = 50_000  # replicates of findings that are drawn in one go


def groups_of_fit(
    spec: ModelSpec,
    design: xr.Dataset,
    likelihood: Likelihood,
    priors: dict[str, Prior],
    sampled: xr.Dataset,
    *,
    seed: int,
    theta: xr.Dataset | None = None,
    by_study: Array | None = None,
    light: bool = False,
) -> dict[str, xr.Dataset]:
    """Return the groups of a fit from the draws of its parameters.

    Parameters
    ----------
    spec, design, likelihood, priors
        The analysis.
    sampled : Dataset
        ``mu``, ``theta`` and, where the model has them, ``tau``, ``beta`` and the likelihood's
        own free parameters, with dims ``chain`` and ``draw``.
    seed : int
        Fixes every random number drawn here.
    theta : Dataset, optional
        ``theta`` at the draws that are kept of findings, where these are not all.
    by_study : array (chain, draw, studies), optional
        The log likelihood of each study with its effect integrated out, where it is known, at the
        draws that are kept of findings.
    light : bool
        Whether to leave out the replicates and the log densities, the dear part, as where a few
        numbers are read from a fit and nothing else.

    Returns
    -------
    dict of str to Dataset
        ``posterior``, ``naive`` (only where a bias is taken away after the fit), both followed by
        what is not kept of each draw (``posterior_findings``, ``naive_findings``), ``prior``,
        ``posterior_predictive``, ``prior_predictive``, ``log_likelihood``, ``log_prior``,
        ``observed_data`` and ``constant_data``.
    """
    import xarray as xr

    groups: dict[str, xr.Dataset] = {}
    rng = np.random.default_rng([seed, 2])
    applied = _applied(design, likelihood, priors)
    whole, part = _sample_of(sampled, theta, spec, design, likelihood, seed)
    part = _with_own_of_findings(part, design, likelihood, priors, rng)
    if applied:
        groups |= placed("naive", whole, part)  # the fit that ignores it
        own = draw_own(applied, whole, rng)
        whole = _take_away(whole, design, likelihood, own)
        at_part = {name: each.sel(draw=part["draw"]) for name, each in own.items()}
        part = _take_away(part, design, likelihood, at_part)
    few = len(kept_draws(design.sizes["finding"], chains=1, draws=PRIOR_DRAWS))
    prior = draw_prior(spec, design, likelihood, priors, rng, number=few)
    prior = _with_next(prior, spec, design, seed)
    if applied:
        prior = _take_away(prior, design, likelihood, draw_own(applied, prior, rng))
    groups |= placed("posterior", whole, part) | {"prior": prior}
    groups["observed_data"] = xr.Dataset(
        {"y": ("finding", design[likelihood.observed].to_numpy())},
        coords={"finding": design["finding"].to_numpy()},
    )
    groups["constant_data"] = _constant_data(design, likelihood)
    if light:
        return groups
    groups["posterior_predictive"] = replicate(spec, design, likelihood, part, rng)
    groups["prior_predictive"] = replicate(spec, design, likelihood, prior, rng)
    known = None if applied else by_study
    groups["log_likelihood"] = log_likelihood_of(spec, design, likelihood, part, by_study=known)
    each = of_findings(design, likelihood)
    shared = {name: prior for name, prior in priors.items() if name not in each}
    groups["log_prior"] = _log_prior(design, shared, sampled)
    return groups


def sample_groups(
    name: str,
    sampled: xr.Dataset,
    theta: xr.Dataset | None,
    spec: ModelSpec,
    design: xr.Dataset,
    likelihood: Likelihood,
    *,
    seed: int,
) -> dict[str, xr.Dataset]:
    """Return the parameters that a fit keeps of a sample as groups of it."""
    return placed(name, *_sample_of(sampled, theta, spec, design, likelihood, seed))


def _sample_of(
    sampled: xr.Dataset,
    theta: xr.Dataset | None,
    spec: ModelSpec,
    design: xr.Dataset,
    likelihood: Likelihood,
    seed: int,
) -> tuple[xr.Dataset, xr.Dataset]:
    """Return the parameters with the next study, and all at the draws kept of findings."""
    whole = _with_next(_labelled(sampled, spec, design, likelihood), spec, design, seed)
    if theta is None:
        return whole, whole
    return whole, with_theta(whole, _labelled(theta, spec, design, likelihood))


def _labelled(
    sampled: xr.Dataset, spec: ModelSpec, design: xr.Dataset, likelihood: Likelihood
) -> xr.Dataset:
    """Return the parameters that a fit keeps, labelled as the design is."""
    keep = ["mu", "tau", "tau_within", "beta", "theta", IMPUTED, ORIGIN, *likelihood.parameters]
    kept = sampled[[name for name in keep if name in sampled]]
    if kept.attrs or any(each.attrs for each in kept.variables.values()):
        kept = kept.drop_attrs()  # it takes as long as a tenth of a small fit
    labels = {
        name: design[name].to_numpy()
        for name in ("finding", "coefficient", "study")
        if name in kept.dims
    }
    levels = tau_levels(spec, moderators_of(design))
    if levels is not None and "level" in kept.dims:
        labels["level"] = np.asarray(levels.levels)
    if IMPUTED in kept:
        labels["gap"] = np.asarray(gap_names(design))
    if ORIGIN in kept:
        labels[INFERRED] = design["finding"].to_numpy()[inferred_rows(design)]
    new = {
        name: values
        for name, values in labels.items()
        if name not in kept.coords or not np.array_equal(kept[name].to_numpy(), values)
    }
    return kept.assign_coords(new) if new else kept


def _applied(
    design: xr.Dataset, likelihood: Likelihood, priors: dict[str, Prior]
) -> dict[str, Prior]:
    """Priors of the parameters that matter but about which the data say nothing."""
    free = free_parameters(design, likelihood)
    return {name: priors[name] for name in likelihood.shared if name in priors and name not in free}


def _with_own_of_findings(
    sample: xr.Dataset,
    design: xr.Dataset,
    likelihood: Likelihood,
    priors: dict[str, Prior],
    rng: np.random.Generator,
) -> xr.Dataset:
    """Return the draws with those parameters, which the exact engine integrated out."""
    absent = [name for name in of_findings(design, likelihood) if name not in sample]
    if not absent:
        return sample
    data, shared = data_of(design), own_arrays(likelihood, sample, likelihood.shared)
    theta = sample["theta"].transpose("chain", "draw", "finding").to_numpy()
    eta = theta + likelihood.shift(data, shared)
    drawn = likelihood.draw(eta.reshape(-1, eta.shape[-1]), data, priors, rng)
    dims = ("chain", "draw", own_dim(design))
    labels = {own_dim(design): design[own_dim(design)].to_numpy()}
    return sample.assign(
        {name: (dims, drawn[name].reshape(eta.shape)) for name in absent}
    ).assign_coords(labels)


def _take_away(
    sample: xr.Dataset, design: xr.Dataset, likelihood: Likelihood, own: dict[str, xr.DataArray]
) -> xr.Dataset:
    """Subtract the shift that all findings share from everything on the model scale."""
    import xarray as xr

    alike = {name: np.ones(1) for name in data_of(design)}
    arrays = {name: values.to_numpy() for name, values in own.items()}
    shift = xr.DataArray(likelihood.shift(alike, arrays), dims=("chain", "draw"))
    moving = [name for name in ("mu", "theta", "theta_new") if name in sample]
    moved = {name: sample[name] - shift for name in moving}
    return sample.assign(moved | own)


def _with_next(sample: xr.Dataset, spec: ModelSpec, design: xr.Dataset, seed: int) -> xr.Dataset:
    draws = make_draws(sample, spec, design, seed)
    theta_new = draws.theta_new(design_rows(design, sample))
    return sample.assign(theta_new=(("chain", "draw"), theta_new))


def own_arrays(
    likelihood: Likelihood, sample: xr.Dataset, names: Iterable[str]
) -> dict[str, Array]:
    """The likelihood's own parameters with a last dimension that broadcasts over findings."""
    arrays = {
        name: sample[name].transpose("chain", "draw", ...).to_numpy()
        for name in names
        if name in sample
    }
    return {
        name: values if likelihood.parameters[name].each else values[..., None]
        for name, values in arrays.items()
    }


def _linear(sample: xr.Dataset, spec: ModelSpec, design: xr.Dataset) -> tuple[Draws, Array]:
    draws = make_draws(sample, spec, design, 0)
    return draws, draws.linear(design_rows(design, sample))


def replicate(
    spec: ModelSpec,
    design: xr.Dataset,
    likelihood: Likelihood,
    sample: xr.Dataset,
    rng: np.random.Generator,
) -> xr.Dataset:
    """Replicates of the data from new studies: every effect is drawn again.

    Conditional on its own effect a study can hardly disagree with the model.
    """
    import xarray as xr

    draws, linear = _linear(sample, spec, design)
    data, own = data_of(design), own_arrays(likelihood, sample, likelihood.parameters)
    origin = None
    if ORIGIN in sample:
        origin = sample[ORIGIN].transpose("chain", "draw", INFERRED).to_numpy()
    again, number = np.empty(linear.shape), linear.shape[1]
    parts = slices(number, max(-(-number // -(-again.size // _CELLS)), 1))

    def draw(part: tuple[slice, np.random.Generator]) -> None:
        some, one = part
        here, shared = draws.at(some), {name: values[:, some] for name, values in own.items()}
        eta = linear[:, some] + effects_anew(here, design, one) + likelihood.shift(data, shared)
        if origin is not None:
            eta = eta + origin_shift(design, origin[:, some], here.beta)
        again[:, some] = likelihood.simulate(eta, data, shared, one)

    # each with random numbers of its own, whatever thread it is on; of a likelihood that is not
    # shipped nobody knows whether two threads may draw at once
    worth = again.size if likelihood in LIKELIHOODS.values() else 0
    on_threads(draw, list(zip(parts, rng.spawn(len(parts)), strict=True)), worth=worth)
    return xr.Dataset(
        {"y": (("chain", "draw", "finding"), again)},
        coords={
            "chain": sample["chain"],
            "draw": sample["draw"],
            "finding": design["finding"].to_numpy(),
        },
    )


def log_likelihood_of(
    spec: ModelSpec,
    design: xr.Dataset,
    likelihood: Likelihood,
    sample: xr.Dataset,
    *,
    by_study: Array | None = None,
) -> xr.Dataset:
    """Return the log likelihood ``y`` of findings given theta, and ``study`` without its effects.

    The latter may be known already, `by_study` (chain, draw, studies).
    """
    import xarray as xr

    data, own = data_of(design), own_arrays(likelihood, sample, likelihood.shared)
    shift = likelihood.shift(data, own)
    theta = sample["theta"].transpose("chain", "draw", "finding").to_numpy()
    if by_study is None:
        draws, linear = _linear(sample, spec, design)
        chains, number, findings = linear.shape
        tau, group = draws.tau_at(design["x"].to_numpy()), design["group"].to_numpy()
        observed = Observed(
            likelihood=likelihood,
            data=data,
            group=group,
            linear=(linear + shift).reshape(-1, findings),
            tau=tau.reshape(chains * number, -1) if draws.levels else tau.reshape(-1),
            levels=Levels(likelihood, data, group) if spec.within else None,
            within=None if draws.within is None else draws.within.reshape(-1),
            effects=spec.random_effects,
            nu=spec.nu,
            parameters={name: values.reshape(-1, 1) for name, values in own.items()},
        )
        by_study = observed.log_likelihood()
        if (origins := Combinations.of(design)) is not None:
            beta = draws.beta.reshape(chains * number, -1)
            by_study = origins.integrated(by_study, observed.arguments, beta)
        by_study = by_study.reshape(chains, number, -1)
    return xr.Dataset(
        {
            "y": (("chain", "draw", "finding"), likelihood.logp(theta + shift, data, own)),
            # a variable cannot bear the name of its own dimension
            "study": (("chain", "draw", "studies"), by_study),
        },
        coords={name: sample[name] for name in ("chain", "draw", "finding")}
        | {"studies": design["study"].to_numpy()},
    )


def _log_prior(design: xr.Dataset, priors: dict[str, Prior], sampled: xr.Dataset) -> xr.Dataset:
    import xarray as xr

    dims = ("chain", "draw")
    values: dict[str, Any] = {
        name: (dims, prior.logpdf(sampled[name].transpose(*dims).to_numpy()))
        for name, prior in priors.items()
        if name in sampled
    }
    if "level" in sampled.dims:
        taus = [prior for name, prior in priors.items() if name.startswith("tau:")]
        tau = sampled["tau"].transpose("level", *dims).to_numpy()
        each = [prior.logpdf(draws) for prior, draws in zip(taus, tau, strict=True)]
        values["tau"] = ((*dims, "level"), np.stack(each, axis=-1))
    if "beta" in sampled:
        beta = sampled["beta"].transpose(*dims, "coefficient")
        densities = [
            priors[f"beta:{name}"].logpdf(beta.sel(coefficient=name).to_numpy())
            for name in design["coefficient"].to_numpy().tolist()
        ]
        values["beta"] = ((*dims, "coefficient"), np.stack(densities, axis=-1))
        sampled = sampled.assign_coords(coefficient=design["coefficient"].to_numpy())
    coords = {name: sampled[name] for name in (*dims, "coefficient") if name in sampled.coords}
    return xr.Dataset(values, coords=coords)


def _constant_data(design: xr.Dataset, likelihood: Likelihood) -> xr.Dataset:
    """The design, with each finding alone, so that a saved fit explains itself."""
    data = data_of(design)
    crude, lower, upper = likelihood.crude(data, scale_of(design))
    alone = {
        "crude": crude,
        "crude_lower": lower,
        "crude_upper": upper,
        "variance": likelihood.approximate(data)[1],
    }
    return design.assign({name: ("finding", values) for name, values in alone.items()})
