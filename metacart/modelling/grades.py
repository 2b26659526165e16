"""Grades of a toxicity: ordered cutpoints, and of each study a location and a spacing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from metacart.modelling.centring import centring_of
from metacart.modelling.counts import crude_counts
from metacart.modelling.cubature import log_integral
from metacart.modelling.grade_density import (
    Bands,
    bands_of,
    between,
    cut_distances,
    density,
    log_odds_beyond,
)
from metacart.modelling.likelihood import Array, Parameter, Priors
from metacart.modelling.nodes import add_parameter, raised
from metacart.modelling.reading_grades import (
    GRADES,
    REFERENCE,
    reach_and_beyond,
    read_grades,
)
from metacart.modelling.system import Average, System
from metacart.records.priors import Prior
from metacart.scales import SCALES

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr

__all__ = ["AT_LEAST", "CUT_WORDS", "GRADED", "REPORTED", "levels_of_tables"]

# each cut in words, the lowest first
AT_LEAST = ("any grade", *(f"grade {g} or higher" for g in GRADES[2:-1]), "grade 5")
CUT_WORDS = dict(zip(GRADES[1:], AT_LEAST, strict=True))
REPORTED = (1, 3)  # the cuts that are shown of each study: any and severe
_UNREPORTED = "unreported"
_DIMS = ("chain", "draw")
_REACH, _NODES = 6.0, 31  # over the effects on the spacing: even, to 1e-5 for a tau up to 1.5
_CELLS = 100_000  # integrals worked on at once


def _named(design: xr.Dataset) -> list[str]:
    """Return the systems beside ASTCT and Lee that are named."""
    return [name for name in design["grading"].to_numpy().tolist() if name != _UNREPORTED]


def _has_unreported(design: xr.Dataset) -> bool:
    return _UNREPORTED in design["grading"].to_numpy().tolist()


# --- the graph ----------------------------------------------------------------------------------


def build_grades(design: xr.Dataset, priors: Priors) -> pm.Model:
    """Build the graph: effects on the location partly centred, those on the spacing not at all."""
    import pymc as pm
    import pytensor.tensor as pt

    coords: dict[str, Any] = {
        "study": design["study"].to_numpy().tolist(),
        "step": [f"{grade - 1} to {grade}" for grade in GRADES[2:]],
        "named": _named(design),
    }
    bands = bands_of(design)
    bands = bands.of(np.flatnonzero(bands.open))
    coords["band"] = np.arange(len(bands.open)).tolist()

    def own(name: str, **options: Any) -> Any:
        return add_parameter(name, priors[name], **options)

    with pm.Model(coords=coords) as model:
        data = bands._replace(
            **{name: pm.Data(name, values, dims="band") for name, values in bands._asdict().items()}
        )
        cutpoint, gap = own("cutpoint"), own("gap", dims="step")
        shifts = []
        if _named(design):
            shifts.append(own("shift", dims="named"))
        if _has_unreported(design):
            shifts.append(pt.atleast_1d(own("shift_unreported")))
        shift = (
            pt.specify_shape(pt.concatenate(shifts), (design.sizes["grading"],)) if shifts else None
        )
        tau, tau_spacing = own("tau"), own("tau_spacing")
        distance = cut_distances(gap, shift, design.sizes["grading"], pt)
        best, centring = _centring(design, priors["tau"])
        # other data are centred otherwise in the same graph
        share = pm.Data("centring", centring, dims="study")
        system, upper = (
            pm.Data(f"centring_{name}", getattr(best, name), dims="study")
            for name in ("system", "upper")
        )
        centre = -share * (cutpoint + distance[system, upper])
        spread = raised(tau, share)
        z = pm.Normal("z", mu=centre, sigma=spread, dims="study")
        location = pm.Deterministic("location", tau * (z - centre) / spread, dims="study")
        z_spacing = pm.Normal("z_spacing", dims="study")
        spacing = pm.Deterministic("spacing", tau_spacing * z_spacing, dims="study")
        level = log_odds_beyond(
            location[data.group] - cutpoint,
            pt.exp(spacing[data.group]),
            between(distance, data),
            data,
            pt,
        )
        pm.CustomDist("y", level, data.reach, logp=_logp, observed=data.beyond, dims="band")
    return model


def _logp(beyond: Any, level: Any, reach: Any) -> Any:
    """Log probability of binomial counts at log odds, finite where a rate is 0 or 1."""
    import pytensor.tensor as pt

    choose = pt.gammaln(reach + 1) - pt.gammaln(beyond + 1) - pt.gammaln(reach - beyond + 1)
    return choose + beyond * level - reach * pt.softplus(level)


def _centring(design: xr.Dataset, prior: Prior) -> tuple[Bands, Array]:
    """Return for each study the band above which a cut tells most, and the share of centring."""
    bands, patients = bands_of(design), design["patients"].to_numpy()
    rate = (bands.beyond + 0.5) / (patients + 1.0)
    information = bands.open * (patients + 1.0) * rate * (1.0 - rate)
    # a study of one band, grades 0 to 5, says nothing
    variance = 1.0 / np.maximum(information, 1e-6)
    order = np.lexsort((variance, bands.group))
    rows = order[np.unique(bands.group[order], return_index=True)[1]]
    best = bands.of(rows)
    cut = (best.upper[:, None] == np.unique(best.upper)[1:]).astype(np.float64)
    estimate = SCALES["logit"].link(rate[rows])
    return best, centring_of(estimate, variance[rows], cut, best.group, prior)


# --- draws --------------------------------------------------------------------------------------


def draw_prior_grades(
    design: xr.Dataset, priors: Priors, number: int, rng: np.random.Generator
) -> xr.Dataset:
    """Draw what `build_grades` samples from the prior."""
    import xarray as xr

    shape = (1, number)
    sizes = {"named": len(_named(design)), "study": design.sizes["study"]}
    values: dict[str, Any] = {
        name: (_DIMS, priors[name].draw(shape, rng)) for name in ("cutpoint", "tau", "tau_spacing")
    }
    values["gap"] = ((*_DIMS, "step"), priors["gap"].draw((*shape, 4), rng))
    if sizes["named"]:
        drawn = priors["shift"].draw((*shape, sizes["named"]), rng)
        values["shift"] = ((*_DIMS, "named"), drawn)
    if _has_unreported(design):
        values["shift_unreported"] = (_DIMS, priors["shift_unreported"].draw(shape, rng))
    for name, tau in (("location", "tau"), ("spacing", "tau_spacing")):
        drawn = values[tau][1][..., None] * rng.standard_normal((*shape, sizes["study"]))
        values[name] = ((*_DIMS, "study"), drawn)
    return xr.Dataset(values, coords={"chain": [0], "draw": np.arange(number)})


def complete_grades(sample: xr.Dataset, design: xr.Dataset, seed: int) -> xr.Dataset:
    """Return cutpoints, shifts, both effects, any and severe in each table, and the next study."""
    import xarray as xr

    first = _values(sample, "cutpoint")[..., None]
    gaps = _values(sample, "gap", "step")
    cuts = np.concatenate([first, first + np.cumsum(gaps, axis=-1)], axis=-1)
    values: dict[str, Any] = {"cutpoint": ((*_DIMS, "grade"), cuts)}
    shifts = [_values(sample, "shift", "named")] if "shift" in sample else []
    if "shift_unreported" in sample:
        shifts.append(_values(sample, "shift_unreported")[..., None])
    if shifts:
        values["shift"] = ((*_DIMS, "grading"), np.concatenate(shifts, axis=-1))
    spreads = {name: _values(sample, name) for name in ("tau", "tau_spacing")}
    values |= {name: (_DIMS, drawn) for name, drawn in spreads.items()}
    for name in ("location", "spacing"):
        values[name] = ((*_DIMS, "study"), _values(sample, name, "study"))
    distance = cut_distances(
        gaps, values["shift"][1] if shifts else None, design.sizes["grading"], np
    )
    z: Array = np.random.default_rng([seed, 1]).standard_normal((2, *first.shape))
    new: Array = spreads["tau"][..., None] * z[0] - first
    new = new - np.exp(spreads["tau_spacing"][..., None] * z[1]) * distance[..., 0, :]
    values["theta_new"] = ((*_DIMS, "grade"), new)
    labels = {name: design[name].to_numpy() for name in ("study", "table")}
    labels["grade"] = np.asarray(GRADES[1:])
    if shifts:
        labels["grading"] = design["grading"].to_numpy()
    completed = xr.Dataset(values, coords={name: sample[name] for name in _DIMS} | labels)
    shown = levels_of_tables(completed, design).sel(grade=[*REPORTED]).rename(grade="cut")
    return completed.assign(rate=shown.copy(data=SCALES["logit"].inverse(shown.to_numpy())))


def levels_of_tables(sample: xr.Dataset, design: xr.Dataset) -> xr.DataArray:
    """Return the log odds of each grade or higher in each table (chain, draw, table, grade)."""
    import xarray as xr

    group, system = design["group"].to_numpy()[_first_rows(design)], design["system"].to_numpy()
    location, spacing = (_values(sample, name, "study") for name in ("location", "spacing"))
    centre = location[..., group] - _values(sample, "cutpoint", "grade")[..., :1]
    spread = np.exp(spacing[..., group])
    return xr.DataArray(
        centre[..., None] - spread[..., None] * _distances(sample)[..., system, :],
        dims=(*_DIMS, "table", "grade"),
        coords={name: sample[name] for name in (*_DIMS, "table", "grade")},
    )


def _values(sample: xr.Dataset, name: str, *dims: str) -> Array:
    return np.asarray(sample[name].transpose(*_DIMS, *dims).to_numpy())


def _first_rows(design: xr.Dataset) -> Any:
    """Return a row of each table."""
    return np.unique(design["of_table"].to_numpy(), return_index=True)[1]


def _distances(sample: xr.Dataset) -> Array:
    shift = _values(sample, "shift", "grading") if "shift" in sample else None
    gaps = np.diff(_values(sample, "cutpoint", "grade"), axis=-1)
    return np.asarray(cut_distances(gaps, shift, 0 if shift is None else shift.shape[-1], np))


def estimands_grades(sample: xr.Dataset, design: xr.Dataset, average: Average) -> xr.Dataset:
    """Return the three rates of each cut by ASTCT or Lee, severe by each system, the spreads."""
    import xarray as xr

    scale = SCALES["logit"]
    first, distance = _values(sample, "cutpoint", "grade")[..., :1], _distances(sample)
    tau, tau_spacing = _values(sample, "tau")[..., None], _values(sample, "tau_spacing")[..., None]
    rates = {
        "median study": scale.inverse(-first - distance[..., 0, :]),
        "population average": _average(first, distance[..., 0, :], tau, tau_spacing, average),
        "next study": scale.inverse(_values(sample, "theta_new", "grade")),
    }
    judged = {"scale": scale.name}
    values: dict[str, Any] = {
        name: ((*_DIMS, "at_least"), rate, judged) for name, rate in rates.items()
    }
    coords: dict[str, Any] = {name: sample[name] for name in _DIMS} | {"at_least": [*AT_LEAST]}
    severe = REPORTED[-1] - 1
    if design.sizes["grading"]:
        by_system = _average(first, distance[..., severe], tau, tau_spacing, average)
        name = f"population average of {AT_LEAST[severe]}"
        values[name] = ((*_DIMS, "system"), by_system, judged)
        coords["system"] = [REFERENCE, *design["grading"].to_numpy().tolist()]
    values |= {name: sample[name] for name in ("tau", "tau_spacing")}
    return xr.Dataset(values, coords=coords)


def _average(
    first: Array, distance: Array, tau: Array, tau_spacing: Array, average: Average
) -> Array:
    """Return the mean rate over both effects, of the shape of `distance`."""
    nodes = np.linspace(-_REACH, _REACH, _NODES)
    weights = np.exp(-0.5 * nodes**2)
    total = np.zeros_like(distance)
    for node, weight in zip(nodes, weights / weights.sum(), strict=True):
        total += weight * average(-first - np.exp(tau_spacing * node) * distance, tau)
    return total


# --- likelihood, replicates, each band alone ------------------------------------------------------


def log_likelihood_grades(sample: xr.Dataset, design: xr.Dataset) -> tuple[Array, Array]:
    """Return the log likelihood of bands given both effects, and of studies without them."""
    bands, distance = bands_of(design), _distances(sample)
    first = _values(sample, "cutpoint", "grade")[..., :1]
    location, spacing = (_values(sample, name, "study") for name in ("location", "spacing"))
    level = log_odds_beyond(
        location[..., bands.group] - first,
        np.exp(spacing[..., bands.group]),
        between(distance, bands),
        bands,
        np,
    )
    return density(level, bands), _by_study(sample, design)


def _by_study(sample: xr.Dataset, design: xr.Dataset) -> Array:
    """Return the log likelihood of each study (chain, draw, study), both effects integrated out."""
    bands = bands_of(design)
    bands = bands.of(np.flatnonzero(bands.open * (bands.reach > 0)))
    distance = _distances(sample)
    shape = distance.shape[:2]
    distance = distance.reshape(-1, *distance.shape[2:])
    first = _values(sample, "cutpoint", "grade")[..., :1].reshape(-1, 1)
    tau, tau_spacing = (_values(sample, name).reshape(-1, 1) for name in ("tau", "tau_spacing"))
    result = np.zeros((len(first), design.sizes["study"]))
    for study in range(design.sizes["study"]):
        own = bands.of(np.flatnonzero(bands.group == study))
        for start in range(0, len(first), _CELLS):
            some = slice(start, start + _CELLS)
            cuts = between(distance[some], own)

            def log_value(
                e: Array,
                first: Array = first[some],
                tau: Array = tau[some],
                tau_spacing: Array = tau_spacing[some],
                cuts: Any = cuts,
                own: Any = own,
            ) -> Array:
                location, spread = tau * e[..., :1] - first, np.exp(tau_spacing * e[..., 1:])
                level = log_odds_beyond(location, spread, cuts, own, np)
                return np.asarray(density(level, own).sum(axis=-1))

            result[some, study] = log_integral(log_value, (len(first[some]),), 2)
    return result.reshape(*shape, -1)


def replicate_grades(sample: xr.Dataset, design: xr.Dataset, rng: np.random.Generator) -> Array:
    """Return the patients of each band drawn anew, of new studies."""
    bands, distance = bands_of(design), _distances(sample)
    first = _values(sample, "cutpoint", "grade")[..., :1]
    studies = (*first.shape[:2], design.sizes["study"])
    tau, tau_spacing = (_values(sample, name)[..., None] for name in ("tau", "tau_spacing"))
    location = tau * rng.standard_normal(studies)
    spacing = tau_spacing * rng.standard_normal(studies)
    level = log_odds_beyond(
        location[..., bands.group] - first,
        np.exp(spacing[..., bands.group]),
        between(distance, bands),
        bands,
        np,
    )
    rate = SCALES["logit"].inverse(level) * bands.open
    table, starts = design["of_table"].to_numpy(), design["grade_from"].to_numpy()
    left = np.broadcast_to(
        design["patients"].to_numpy()[_first_rows(design)],
        (*first.shape[:2], design.sizes["table"]),
    ).copy()
    drawn = np.empty(level.shape)
    for start in np.unique(starts):
        rows = np.flatnonzero(starts == start)
        beyond = rng.binomial(left[..., table[rows]], rate[..., rows])
        drawn[..., rows] = left[..., table[rows]] - beyond
        left[..., table[rows]] = beyond
    return drawn


def counts_that_follow(design: xr.Dataset, count: Array) -> dict[str, Any]:
    """Return the patients of each band or above, and above, of other counts."""
    return reach_and_beyond(design["of_table"].to_numpy(), design["grade_from"].to_numpy(), count)


def crude_grades(design: xr.Dataset) -> tuple[Array, Array, Array]:
    """Return the share of patients in each band with its exact interval."""
    data = {"events": design["count"].to_numpy(), "total": design["patients"].to_numpy()}
    return crude_counts(data, SCALES["logit"])


GRADED = System(
    name="grades",
    title="grades of a toxicity, from tables and from counts of any and severe",
    formula="P(grade ≥ g) = logit⁻¹(u − κ₁ − e^w (κ_g − κ₁)), u ~ Normal(0, τ), "
    "w ~ Normal(0, τ of the spacing)",
    columns=("grade_from, grade_to, count", "grading"),
    parameters={
        "cutpoint": Parameter(prior="Normal(0, 1.5)"),
        "gap": Parameter(prior="Gamma(2, 1)", support="positive"),
        "tau": Parameter(prior="HalfNormal(1)", support="positive"),
        "tau_spacing": Parameter(prior="HalfNormal(0.5)", support="positive"),
        "shift": Parameter(prior="Normal(0, 1)"),
        "shift_unreported": Parameter(prior="Normal(0, 1.5)"),
    },
    instead="summarize(fit) or grade_table(fit), or a question of one cut such as severe_crs",
    read=read_grades,
    build=build_grades,
    draw_prior=draw_prior_grades,
    complete=complete_grades,
    estimands=estimands_grades,
    log_likelihood=log_likelihood_grades,
    replicate=replicate_grades,
    crude=crude_grades,
    observed="count",
    follows=counts_that_follow,
)
