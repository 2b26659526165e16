"""Counts of several outcomes of the same studies: joint outcomes, and the stages of a chain.

Both have a mean and a spread of each outcome or stage. Study effects of outcomes are correlated,
those of stages independent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from metacart.modelling.arms import logit_density
from metacart.modelling.centring import centring_of
from metacart.modelling.counts import approximate_binomial, crude_counts, logp_binomial
from metacart.modelling.cubature import log_integral
from metacart.modelling.likelihood import Array, Parameter, Priors
from metacart.modelling.nodes import add_counts, add_parameter, raised
from metacart.modelling.reading_several import read_outcomes, read_stages
from metacart.modelling.system import Average, Split, System
from metacart.scales import SCALES

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr

__all__ = ["CHAIN", "ETA", "JOINT", "lkj_shapes", "pairs_of"]

ETA = 2.0  # of the LKJ prior: correlations near -1 and 1 are unlikely
_CELLS = 400_000  # integrals worked on at once


def dim_of(design: xr.Dataset) -> str:
    """Return the dimension of mu and tau: ``outcome`` or ``stage``."""
    return "outcome" if "outcome" in design.coords else "stage"


def _labels(design: xr.Dataset) -> list[str]:
    return [str(label) for label in design[dim_of(design)].to_numpy()]


def _correlated(design: xr.Dataset) -> bool:
    return dim_of(design) == "outcome"


def pairs_of(labels: list[str]) -> list[str]:
    """Return the names of the pairs of outcomes, the later against each before it."""
    return [f"{first} and {second}" for first, second in _pairs(labels)]


def _pairs(labels: list[Any]) -> list[tuple[Any, Any]]:
    return [(first, second) for second in labels for first in labels[: labels.index(second)]]


def lkj_shapes(size: int) -> Array:
    """Return the shape of the symmetric beta prior of each partial correlation, pair by pair.

    The partial correlation of outcomes j < i given those before j, on (-1, 1), is
    Beta(b, b) with b = eta + (size - 2 - j) / 2, j from 0 (Lewandowski, Kurowicka and Joe 2009).
    """
    return np.asarray([ETA + (size - 2 - j) / 2.0 for j, _ in _pairs(list(range(size)))])


def _factor(partial: Any, size: int, sqrt: Any) -> list[list[Any]]:
    """Return the rows of the lower triangular factor L of the correlation, R = L L'."""
    rows: list[list[Any]] = []
    position = 0
    for i in range(size):
        row: list[Any] = []
        left: Any = 1.0
        for _ in range(i):
            entry = partial[..., position] * sqrt(left)
            row.append(entry)
            left = left - entry**2
            position += 1
        rows.append([*row, sqrt(left)])
    return rows


def _effects(standard: Any, factor: list[list[Any]]) -> list[Any]:
    """Return L e as a list over outcomes; the last axis of `standard` is theirs."""
    return [
        sum(entry * standard[..., k] for k, entry in enumerate(row) if not _is_zero(entry))
        for row in factor
    ]


def _is_zero(entry: Any) -> bool:
    return isinstance(entry, float) and entry == 0.0


def _identity(size: int) -> list[list[Any]]:
    return [[0.0] * i + [1.0] for i in range(size)]


def _numeric_factor(sample: xr.Dataset, design: xr.Dataset) -> list[list[Any]]:
    """Return the factor of each draw, arrays (chain, draw, 1) that broadcast over studies."""
    size = len(_labels(design))
    if not _correlated(design):
        return _identity(size)
    if "partial" in sample:
        partial = sample["partial"].transpose("chain", "draw", "pair").to_numpy()
        return _factor(partial[..., None, :], size, np.sqrt)
    correlation = sample["correlation"].transpose("chain", "draw", "outcome", "outcome_2")
    held = correlation.to_numpy() + 1e-12 * np.eye(size)
    lower = np.linalg.cholesky(held)
    return [[lower[..., i, j, None] for j in range(i + 1)] for i in range(size)]


def _of(sample: xr.Dataset, name: str, design: xr.Dataset) -> Array:
    return np.asarray(sample[name].transpose("chain", "draw", dim_of(design)).to_numpy())


# --- the graph ----------------------------------------------------------------------------------


def build_several(design: xr.Dataset, priors: Priors) -> pm.Model:
    """Build the graph: theta = mu + tau (L e), e standard normal for each study and outcome.

    The level of an outcome given those before it is normal about m with SD s = tau times the
    diagonal of L; it is sampled as z ~ Normal(λ m, s^λ), partially non-centred.
    """
    import pymc as pm

    dim, labels = dim_of(design), _labels(design)
    coords = {
        dim: labels,
        "finding": design["finding"].to_numpy().tolist(),
        "study": design["study"].to_numpy().tolist(),
        "pair": pairs_of(labels),
    }
    with pm.Model(coords=coords) as model:
        data = {
            name: pm.Data(name, design[name].to_numpy(), dims="finding")
            for name in ("events", "total", "group", "level")
        }
        scalars = {name: add_parameter(name, priors[name], dims=dim) for name in ("mu", "tau")}
        if _correlated(design):
            shapes = lkj_shapes(len(labels))
            share = pm.Beta("share", alpha=shapes, beta=shapes, dims="pair")
            partial = pm.Deterministic("partial", 2.0 * share - 1.0, dims="pair")
            factor = _factor(partial, len(labels), pm.math.sqrt)
        else:
            factor = _identity(len(labels))
        shares = pm.Data("centring", _shares(design, priors), dims=("study", dim))
        levels = pm.math.stack(_sampled(scalars, factor, shares), axis=-1)
        theta = pm.Deterministic("theta", levels[data["group"], data["level"]], dims="finding")
        add_counts("y", theta, data["events"], data["total"], "finding")
    return model


def _sampled(scalars: dict[str, Any], factor: list[list[Any]], shares: Any) -> list[Any]:
    """Return the levels of all studies by outcome, each given those before it."""
    import pymc as pm

    levels: list[Any] = []
    standard: list[Any] = []
    for k, row in enumerate(factor):
        mu, tau, share = scalars["mu"][k], scalars["tau"][k], shares[:, k]
        known = [
            entry * e for entry, e in zip(row[:-1], standard, strict=True) if not _is_zero(entry)
        ]
        middle = mu + tau * sum(known) if known else mu
        spread = tau * row[-1]
        z = pm.Normal(f"z_{k}", mu=share * middle, sigma=raised(spread, share), dims="study")
        standard.append((z - share * middle) / raised(spread, share))
        levels.append(middle + spread * standard[-1])
    return levels


def _shares(design: xr.Dataset, priors: Priors) -> Array:
    """Return how far each level of each study is sampled centred (study, outcome)."""
    estimate, variance = approximate_binomial(_data(design))
    group, level = design["group"].to_numpy(), design["level"].to_numpy()
    # a study that does not report an outcome has nothing to centre by
    shares = np.zeros((design.sizes["study"], len(_labels(design))))
    for position in range(shares.shape[1]):
        own = level == position
        studies, place = np.unique(group[own], return_inverse=True)
        x = np.zeros((int(own.sum()), 0))
        shares[studies, position] = centring_of(
            estimate[own], variance[own], x, place, priors["tau"]
        )
    return shares


# --- draws --------------------------------------------------------------------------------------


def draw_prior_several(
    design: xr.Dataset, priors: Priors, number: int, rng: np.random.Generator
) -> xr.Dataset:
    """Draw what `build_several` samples from the prior."""
    import xarray as xr

    dim, labels = dim_of(design), _labels(design)
    shape = (1, number, len(labels))
    values: dict[str, Any] = {
        name: (("chain", "draw", dim), priors[name].draw(shape, rng)) for name in ("mu", "tau")
    }
    if _correlated(design):
        shapes = lkj_shapes(len(labels))
        share = rng.beta(shapes, shapes, size=(1, number, len(shapes)))
        values["partial"] = (("chain", "draw", "pair"), 2.0 * share - 1.0)
    sample = xr.Dataset(values, coords={"chain": [0], "draw": np.arange(number)})
    theta = _new_theta(sample, design, rng)
    return sample.assign(theta=(("chain", "draw", "finding"), theta))


def _new_theta(sample: xr.Dataset, design: xr.Dataset, rng: np.random.Generator) -> Array:
    """Return the level of each finding (chain, draw, finding), the effects of studies drawn."""
    mu, tau = _of(sample, "mu", design), _of(sample, "tau", design)
    z = rng.standard_normal((*mu.shape[:2], design.sizes["study"], mu.shape[-1]))
    effects = np.stack(_effects(z, _numeric_factor(sample, design)), axis=-1)
    group, level = design["group"].to_numpy(), design["level"].to_numpy()
    return np.asarray(mu[..., level] + tau[..., level] * effects[..., group, level])


def complete_several(sample: xr.Dataset, design: xr.Dataset, seed: int) -> xr.Dataset:
    """Return mu, tau, theta, the correlation of outcomes, and the next study."""
    dim, labels = dim_of(design), _labels(design)
    coords: dict[str, Any] = {"finding": design["finding"].to_numpy(), dim: labels}
    names = [name for name in ("mu", "tau", "theta") if name in sample]
    kept = sample[names].drop_attrs().assign_coords(coords)
    factor = _numeric_factor(sample, design)
    if _correlated(design):
        rows = [
            [sum(a * b for a, b in zip(one, two, strict=False)) for two in factor] for one in factor
        ]
        shape = kept["mu"].transpose("chain", "draw", dim).shape[:2]
        flat = [[np.broadcast_to(entry, (*shape, 1))[..., 0] for entry in row] for row in rows]
        matrix = np.moveaxis(np.asarray(flat), (0, 1), (-2, -1))
        kept = kept.assign(
            correlation=(("chain", "draw", "outcome", "outcome_2"), matrix)
        ).assign_coords(outcome_2=labels)
    mu, tau = _of(kept, "mu", design), _of(kept, "tau", design)
    z = np.random.default_rng([seed, 1]).standard_normal(mu.shape)
    effects = np.stack(_effects(z[..., None, :], factor), axis=-1)[..., 0, :]
    return kept.assign(theta_new=(("chain", "draw", dim), mu + tau * effects))


def estimands_several(sample: xr.Dataset, design: xr.Dataset, average: Average) -> xr.Dataset:
    """Return the three rates of each outcome or stage, its spread, and what binds them."""
    import xarray as xr

    dim, labels, scale = dim_of(design), _labels(design), SCALES[str(design.attrs["scale"])]
    mu, tau = _of(sample, "mu", design), _of(sample, "tau", design)
    rates = {
        "median study": scale.inverse(mu),
        "population average": average(mu, tau),
        "next study": scale.inverse(_of(sample, "theta_new", design)),
    }
    if not _correlated(design):
        # the effects of stages are independent: the mean of the product is that of the means
        for name in ("population average", "next study"):
            rates[f"{name}, of all who entered"] = np.cumprod(rates[name], axis=-1)
    dims = ("chain", "draw", dim)
    values: dict[str, Any] = {
        name: (dims, rate, {"scale": scale.name}) for name, rate in rates.items()
    }
    values["tau"] = (dims, tau)
    coords: dict[str, Any] = {"chain": sample["chain"], "draw": sample["draw"], dim: labels}
    if _correlated(design):
        matrix = sample["correlation"].transpose("chain", "draw", "outcome", "outcome_2").to_numpy()
        pairs = _pairs(list(range(len(labels))))
        columns = [matrix[..., second, first] for first, second in pairs]
        values["correlation"] = (("chain", "draw", "pair"), np.stack(columns, axis=-1))
        coords["pair"] = pairs_of(labels)
    return xr.Dataset(values, coords=coords)


# --- likelihood, replicates, each finding alone --------------------------------------------------


def _data(design: xr.Dataset) -> dict[str, Any]:
    return {name: design[name].to_numpy() for name in ("events", "total")}


def log_likelihood_several(sample: xr.Dataset, design: xr.Dataset) -> tuple[Array, Array]:
    """Return the log likelihood of findings given theta, and of studies without their effects."""
    data = _data(design)
    theta = sample["theta"].transpose("chain", "draw", "finding").to_numpy()
    findings = logp_binomial(theta, data, {})
    return findings, _by_study(sample, design)


def _by_study(sample: xr.Dataset, design: xr.Dataset) -> Array:
    """Return the log likelihood of each study (chain, draw, study), a pattern of outcomes a time.

    A study has as many effects as it reports outcomes: those of the others integrate to one.
    """
    mu, tau = _of(sample, "mu", design), _of(sample, "tau", design)
    size = mu.shape[-1]
    flat_mu, flat_tau = mu.reshape(-1, size), tau.reshape(-1, size)
    factor = [
        [np.broadcast_to(entry, (*mu.shape[:2], 1)).reshape(-1) for entry in row]
        for row in _numeric_factor(sample, design)
    ]
    covariance = np.zeros((len(flat_mu), size, size))
    for i, row in enumerate(factor):
        for j, other in enumerate(factor):
            shared = sum(a * b for a, b in zip(row, other, strict=False))
            covariance[:, i, j] = flat_tau[:, i] * flat_tau[:, j] * shared
    data = _data(design)
    even = np.zeros(design.sizes["finding"])
    constant = logp_binomial(even, data, {}) - logit_density(even, data["events"], data["total"])
    group, level = design["group"].to_numpy(), design["level"].to_numpy()
    result: Array = np.zeros((len(flat_mu), design.sizes["study"]))
    for study in range(design.sizes["study"]):
        rows = np.flatnonzero(group == study)
        own, place = np.unique(level[rows], return_inverse=True)
        blocks = covariance[:, own[:, None], own[None, :]]
        root = np.linalg.cholesky(blocks + 1e-12 * np.eye(len(own)))
        for start in range(0, len(flat_mu), _CELLS):
            some = slice(start, start + _CELLS)

            def log_value(
                e: Array,
                root: Array = root[some],
                mu: Array = flat_mu[some][:, own[place]],
                rows: Any = rows,
                place: Any = place,
            ) -> Array:
                theta = mu + (root @ e[..., None])[..., place, 0]
                density = logit_density(theta, data["events"][rows], data["total"][rows])
                return np.asarray((density + constant[rows]).sum(axis=-1))

            number = len(flat_mu[some])
            result[some, study] = log_integral(log_value, (number,), len(own))
    return result.reshape(*mu.shape[:2], -1)


def replicate_several(sample: xr.Dataset, design: xr.Dataset, rng: np.random.Generator) -> Array:
    """Return events drawn anew, of new studies."""
    rates = SCALES["logit"].inverse(_new_theta(sample, design, rng))
    return np.asarray(rng.binomial(design["total"].to_numpy(), rates), dtype=np.float64)


def crude_several(design: xr.Dataset) -> tuple[Array, Array, Array]:
    """Return each proportion with its exact interval."""
    return crude_counts(_data(design), SCALES["logit"])


def log_prior_joint(sample: xr.Dataset, design: xr.Dataset) -> dict[str, Any]:
    """Return the log density of the partial correlations, together that of LKJ(2)."""
    from scipy.stats import beta

    shapes = lkj_shapes(len(_labels(design)))
    partial = sample["partial"].transpose("chain", "draw", "pair").to_numpy()
    density = beta.logpdf((partial + 1.0) / 2.0, shapes, shapes) - np.log(2.0)
    return {"correlation": (("chain", "draw"), density.sum(axis=-1))}


_PARAMETERS = {
    "mu": Parameter(prior="Normal(0, 1.5)"),
    "tau": Parameter(prior="HalfNormal(1)", support="positive"),
}

JOINT = System(
    name="joint",
    title="counts of several outcomes of the same studies, with correlated study effects",
    formula="events ~ Binomial(total, rate), logit(rate) = μ + u of the outcome, "
    "u ~ Normal(0, τ R τ), R ~ LKJ(2)",
    columns=("outcome, events, total",),
    parameters=_PARAMETERS,
    instead="summarize(fit), with the rates of each outcome, or a question of one outcome",
    read=read_outcomes,
    build=build_several,
    draw_prior=draw_prior_several,
    complete=complete_several,
    estimands=estimands_several,
    log_likelihood=log_likelihood_several,
    replicate=replicate_several,
    crude=crude_several,
    observed="events",
    log_prior=log_prior_joint,
)

CHAIN = System(
    name="chain",
    title="counts of stages, each among the events of the one before",
    formula="events ~ Binomial(total, rate), logit(rate) = μ + u of the stage, u ~ Normal(0, τ)",
    columns=("stage, events, total",),
    parameters=_PARAMETERS,
    instead="summarize(fit), with the rates of each stage, or a question of one stage",
    read=read_stages,
    build=build_several,
    draw_prior=draw_prior_several,
    complete=complete_several,
    estimands=estimands_several,
    log_likelihood=log_likelihood_several,
    replicate=replicate_several,
    crude=crude_several,
    observed="events",
    split=Split(by="stage", likelihood="binomial"),
)
