"""What the priors of a question imagine before any data: even draws of its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.inference.estimands import Draws, design_rows
from metacart.modelling.design import bind, data_of, moderators_of, scale_of
from metacart.modelling.likelihoods import Likelihood, Likelihoods, find_likelihood
from metacart.modelling.moderators import Moderator, level_text, main_effects
from metacart.modelling.priors import beta_text, resolve_priors, spec_priors
from metacart.modelling.spread import TauLevels, tau_levels, tau_names
from metacart.modelling.table import as_table
from metacart.records.moderation import unit_parts
from metacart.records.priors import Prior, parse_prior
from metacart.records.spec import ModelSpec
from metacart.scales import SCALES, Scale

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Imagined", "effects_of", "imagine", "in_view"]

Array = NDArray[np.float64]
NUMBER = 40_001  # odd, so that the median of a prior is a draw
_SEED = 20_150_606


@dataclass(frozen=True)
class _EvenDraws(Draws):
    """Draws whose new studies are even too, as their parameters are."""

    standard: Array = field(kw_only=True)

    def new_effects(self, number: int) -> Array:
        """Return standard effects of the `number`-th new study; shape (chain, draw)."""
        effects: Array = self.standard[number - 1]
        return effects

    def new_inside(self, number: int, finding: int) -> Array:
        """Return standard effects of a finding of the `number`-th new study (chain, draw)."""
        rng = np.random.default_rng([_SEED, number, finding])
        shares = (rng.permutation(self.mu.size) + 0.5) / self.mu.size
        return Prior("Normal", (0.0, 1.0)).quantile(shares.reshape(self.mu.shape))

    def new_shares(self, number: int) -> Array:
        """Return where among all arms that of the `number`-th new study lies (chain, draw)."""
        from scipy.special import ndtr

        return np.asarray(ndtr(self.standard[number - 1]))


@dataclass(frozen=True)
class Imagined:
    """What the priors of a question say before any data.

    Attributes
    ----------
    spec : ModelSpec
        The question.
    scale : Scale
        The model scale.
    priors : dict of str to Prior
        Explicit, by parameter.
    views : dict of str to Draws
        The draws by the words that tell them apart: naive and immortal-time-adjusted where a bias
        comes off, else one without words.
    rows : array (rows, coefficient)
        Over which estimands are averaged.
    at : str
        Where that is, in words.
    differences : dict of str to array
        Contrasts on the model scale, by their words.
    """

    spec: ModelSpec
    scale: Scale
    priors: dict[str, Prior]
    views: dict[str, Draws]
    rows: Array
    at: str
    differences: dict[str, Array]

    @cached_property
    def estimands(self) -> dict[tuple[str, str], Array]:
        """Draws on the natural scale, of each named estimand in each view."""
        found: dict[tuple[str, str], Array] = {}
        for view, draws in self.views.items():
            found["median study", view] = draws.median_study(self.rows)
            if draws.has_average:
                found["population average", view] = draws.population_average(self.rows)
            found["next study", view] = draws.next_study(self.rows)
        return found


def in_view(words: str, view: str) -> str:
    """Return the words of a row of a view: ``median study (naive)``."""
    return f"{words} ({view})" if view else words


def imagine(
    spec: ModelSpec,
    evidence: pd.DataFrame | None,
    *,
    likelihoods: Likelihoods | None = None,
) -> Imagined:
    """Return what the priors of a question imagine, with its evidence or from the spec alone.

    Notes
    -----
    Each parameter takes the same number of evenly spaced quantiles of its prior in a random order
    of its own (a Latin hypercube): margins are exact, and what depends on several parameters has
    the error of independent draws at most.
    """
    import xarray as xr

    likelihood = find_likelihood(spec, likelihoods=likelihoods)
    if evidence is None:
        return _from_spec(spec, likelihood)
    table = as_table(spec, evidence)
    design = bind(spec, table, likelihoods=likelihoods)
    priors = resolve_priors(spec, design, likelihood)
    moderators = moderators_of(design)
    names = [name for item in moderators for name in item.coefficients]
    columns = _Columns()
    beta = np.stack([columns.of(priors[f"beta:{name}"]) for name in names], -1) if names else None
    scale, rows = scale_of(design), design["x"].to_numpy()
    draws = _draws(spec, scale, priors, columns, beta, tau_levels(spec, moderators))
    own = {name: priors[name] for name in likelihood.shared if name in priors}
    known = [likelihood.parameters[name].identified(data_of(design)) for name in own]
    views = _views(draws, likelihood, own, columns, known=any(known))
    differences: dict[str, Array] = {}
    for words, name, pair in _pairs(spec, moderators):
        level, reference = (design_rows(design, xr.Dataset(), {name: value}) for value in pair)
        gap = draws.linear(level).mean(axis=-1) - draws.linear(reference).mean(axis=-1)
        differences[words] = gap
    at = "averaged over the evidence" if moderators else ""
    return Imagined(spec, scale, priors, views, rows, at, differences)


def _from_spec(spec: ModelSpec, likelihood: Likelihood) -> Imagined:
    stated = spec.scale or likelihood.scales[0]
    # counts of two groups live on the scale of their rates, and their effect is a log ratio
    grouped = likelihood.contrast and SCALES[stated].is_rate
    scale = SCALES["log" if grouped else stated]
    priors = spec_priors(spec, likelihood, scale=stated)
    columns = _Columns()
    draws = _draws(spec, scale, priors, columns, None)
    own = {name: priors[name] for name in likelihood.shared}
    views = _views(draws, likelihood, own, columns, known=False)
    differences: dict[str, Array] = {}
    for name in spec.moderator_columns:
        own_text = beta_text(spec, name)
        text = own_text or likelihood.priors.get(stated, {}).get("beta")
        if text is None:
            continue
        prior = parse_prior(text)
        priors[f"beta:{name}"] = prior
        differences |= _differences(spec, name, prior, columns, scaled=own_text is None)
    at = "moderators at their reference or 0" if spec.moderators else ""
    return Imagined(spec, scale, priors, views, np.zeros((1, 0)), at, differences)


class _Columns:
    """Even quantiles in random orders, one order a column."""

    def __init__(self) -> None:
        self._number = count()

    def of(self, prior: Prior) -> Array:
        """Return draws of a prior, of shape (chain, draw)."""
        return prior.quantile(self.shares())

    def shares(self) -> Array:
        """Return evenly spaced shares between 0 and 1 in the next random order."""
        rng = np.random.default_rng([_SEED, next(self._number)])
        shares: Array = (rng.permutation(NUMBER) + 0.5)[None, :] / NUMBER
        return shares


def _draws(
    spec: ModelSpec,
    scale: Scale,
    priors: Mapping[str, Prior],
    columns: _Columns,
    beta: Array | None,
    levels: TauLevels | None = None,
) -> Draws:
    mu = columns.of(priors["mu"])
    tau = columns.of(priors["tau"]) if "tau" in priors else 0.0 * mu
    if levels is not None:
        tau = np.stack([columns.of(priors[name]) for name in tau_names(levels)], axis=-1)
    shares = np.stack([columns.shares(), columns.shares()])
    return _EvenDraws(
        mu,
        tau,
        np.zeros((*mu.shape, 0)) if beta is None else beta,
        scale,
        spec.random_effects,
        spec.nu,
        _SEED,
        columns.of(priors["rho"]) if "rho" in priors else None,
        columns.of(priors["tau_within"]) if "tau_within" in priors else None,
        levels,
        standard=effects_of(spec).quantile(shares),
    )


def effects_of(spec: ModelSpec) -> Prior:
    """Return the distribution of a standard study effect."""
    if spec.random_effects == "student_t":
        return Prior("StudentT", (spec.nu, 0.0, 1.0))
    return Prior("Normal", (0.0, 1.0))


def _views(
    draws: Draws,
    likelihood: Likelihood,
    own: Mapping[str, Prior],
    columns: _Columns,
    *,
    known: bool,
) -> dict[str, Draws]:
    """Return the naive view, and the one with the shift taken off that no data inform."""
    values = {name: columns.of(prior) for name, prior in own.items()}
    shift = likelihood.shift(_Ones(), values)
    if not np.any(shift):
        return {"": draws}
    moved = draws if known else replace(draws, mu=draws.mu - shift)
    return {"naive": draws, "immortal-time-adjusted": moved}


class _Ones(dict[str, Any]):
    """The data of a finding to which every shift applies."""

    def __missing__(self, name: str) -> Array:
        return np.ones(1)


def _pairs(
    spec: ModelSpec, moderators: tuple[Moderator, ...]
) -> list[tuple[str, str, tuple[Any, Any]]]:
    """Return the words, the moderator and the two levels of each contrast."""
    found = []
    for item in main_effects(moderators):
        pairs = [(level, other) for name, level, other in spec.contrasts if name == item.name]
        if not pairs and item.levels:
            pairs = [(level, item.levels[0]) for level in item.levels[1:]]
        words = [f"{item.name}: {level_text(a)} against {level_text(b)}" for a, b in pairs]
        if not pairs:
            pairs, words = [(item.origin + item.unit, item.origin)], [f"{item.name}: {item.step}"]
        found += [(text, item.name, pair) for text, pair in zip(words, pairs, strict=True)]
    return found


def _differences(
    spec: ModelSpec, name: str, prior: Prior, columns: _Columns, *, scaled: bool
) -> dict[str, Array]:
    """Return the contrasts of a moderator of which only the spec is known."""
    first = columns.of(prior)
    size, words = unit_parts(spec.unit.get(name, 1.0))
    per = "per SD of the number" if scaled else words if name in spec.unit else "per unit"
    pairs = [pair for moderator, *pair in spec.contrasts if moderator == name]
    if not pairs:
        either = [] if name in spec.unit else ["a level against its reference"]
        levels = isinstance(spec.reference.get(name), str | bool)
        return {f"{name}: {', or '.join([*either, *([] if levels else [per])])}": first}
    found = {}
    for level, other in pairs:
        text = f"{name}: {level_text(level)} against {level_text(other)}"
        numbers = all(type(value) in (int, float) for value in (level, other))
        reference = spec.reference.get(name, other)
        if numbers and not scaled:
            found[text] = (float(level) - float(other)) / size * first
        elif numbers:
            found[f"{name}: {per}"] = first
        elif reference == level:
            found[text] = -first
        else:
            # two levels apart from the reference have coefficients of their own
            found[text] = first if reference == other else first - columns.of(prior)
    return found
