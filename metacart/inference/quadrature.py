"""The effects of studies under quadrature: nodes that follow the integrand of each study."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from metacart.modelling.likelihoods import Data, Likelihood, Parameters

__all__ = [
    "SINH_REACH",
    "Rules",
    "Studies",
    "by_hermite",
    "by_sinh",
    "hermite",
    "hermite_rules",
    "log_density",
    "log_height",
    "log_share",
    "reach_of",
    "terms_of",
    "ways",
]

Array = NDArray[np.float64]

# up to which tau how many nodes: a narrow effect sees less of how a likelihood bends; above the
# last even many miss the edge of a study of no or only events
_HERMITE = ((0.5, 13), (1.0, 17), (3.0, 21))
_COARSE_HERMITE = ((1.0, 9), (3.0, 13))
_SINH_STEP, SINH_REACH = 0.3, 12.0
_COARSE_STEP, _COARSE_REACH = 0.6, 7.0
_CELLS = 16_384  # values worked on at once: they stay in the processor's cache
_RESOLVED = 0.6  # nodes so dense, in widths of a peak, miss nothing of it
_NEGLIGIBLE = 40.0  # nats below the peak


class Rules(NamedTuple):
    """Where rules of nodes lie, each array (rules, draws, studies), in units of z.

    The first is the peak of the integrand, with the SD of the normal density that curves like it
    there; others are the data alone and the effects alone.
    """

    centres: Array
    widths: Array


class Terms(NamedTuple):
    """The log integrand in t on an even grid of one rule.

    Attributes
    ----------
    steps : array (nodes,)
        The grid: z = centre + width sinh(t).
    values : array (nodes, draws, studies)
        Log of what this rule has to integrate there.
    """

    steps: Array
    values: Array


@dataclass(frozen=True)
class Studies:
    """Some studies at some draws of the parameters, z their standard effects: u = tau z.

    A parameter ``tau_within`` widens what ``approximate`` says: findings scatter around eta.

    Attributes
    ----------
    likelihood : Likelihood
        Its ``logp``, ``derivatives`` and ``approximate`` are used.
    data : mapping of str to array (findings,)
        The observed columns, the findings of one study beside each other.
    starts : array (studies + 1,)
        Where the findings of each study begin.
    linear : array (draws, findings)
        mu + x beta + shift, without the study effect.
    tau : array (draws, 1) or (draws, findings)
        Scale of the study effects, where it differs by finding.
    effects : {"normal", "student_t"}
        Their distribution.
    nu : float
        Degrees of freedom of Student-t effects.
    parameters : mapping of str to array
        The likelihood's own parameters, each broadcastable against `linear`.
    """

    likelihood: Likelihood
    data: Data
    starts: NDArray[np.intp]
    linear: Array
    tau: Array
    effects: str
    nu: float
    parameters: Parameters

    @property
    def shape(self) -> tuple[int, int]:
        """Number of draws and of studies."""
        return len(self.linear), len(self.starts) - 1

    def rows(self, chosen: slice | NDArray[np.intp]) -> Studies:
        """Return the same for some of the draws."""
        own = {
            name: values[chosen] if len(values) == len(self.linear) else values
            for name, values in self.parameters.items()
        }
        return replace(self, linear=self.linear[chosen], tau=self.tau[chosen], parameters=own)

    def columns(self, first: int, last: int) -> Studies:
        """Return the same for some of the studies."""
        findings = slice(self.starts[first], self.starts[last])
        own = {
            name: values[:, findings] if values.shape[-1] > 1 else values
            for name, values in self.parameters.items()
        }
        return replace(
            self,
            tau=self.tau[:, findings] if self.tau.shape[1] > 1 else self.tau,
            data={name: values[findings] for name, values in self.data.items()},
            starts=self.starts[first : last + 1] - self.starts[first],
            linear=np.ascontiguousarray(self.linear[:, findings]),
            parameters=own,
        )

    def blocks(self) -> Iterator[tuple[tuple[slice, slice], Studies]]:
        """Yield draws and studies a few at a time: many draws of one, or several at few."""
        draws, studies = self.shape
        each = max(1, _CELLS // max(draws, 1))
        for first in range(0, studies, each):
            last = min(first + each, studies)
            some = self.columns(first, last)
            size = max(1, _CELLS // max(some.linear.shape[1], 1))
            for row in range(0, draws, size):
                chosen = slice(row, row + size)
                yield (chosen, slice(first, last)), some.rows(chosen)

    def by_study(self, values: Array) -> Array:
        """Return the sums of (draws, findings) over each study."""
        studies = self.shape[1]
        if studies == values.shape[1]:
            return values
        if studies == 1:
            return np.asarray(values.sum(axis=1, keepdims=True))
        return np.asarray(np.add.reduceat(values, self.starts[:-1], axis=1))

    def by_finding(self, values: Array) -> Array:
        """Return (draws, studies) so that they broadcast against findings."""
        if values.shape[1] in (1, self.linear.shape[1]):
            return values
        return np.repeat(values, np.diff(self.starts), axis=1)

    def moments(self) -> tuple[Array, Array]:
        """Return estimate and variance of each finding by a normal approximation."""
        estimate, variance = self.likelihood.approximate(self.data)
        within = self.parameters.get("tau_within")
        return estimate, variance if within is None else variance + within**2

    def eta(self, z: Array) -> Array:
        """Return the linear predictor (draws, findings) with these effects."""
        return np.asarray(self.linear + self.tau * self.by_finding(z))

    def log_likelihood(self, z: Array) -> Array:
        """Return the log likelihood (draws, studies) with these effects."""
        return self.by_study(self.likelihood.logp(self.eta(z), self.data, self.parameters))

    def log_integrand(self, z: Array) -> Array:
        """Return the log of likelihood times density of these effects (draws, studies)."""
        return self.log_likelihood(z) + log_density(z, self.effects, self.nu)

    def slope(self, z: Array) -> Array:
        """Return the derivative of the log likelihood in z (draws, studies)."""
        slope, _ = self.likelihood.derivatives(self.eta(z), self.data, self.parameters)
        return self.by_study(self.tau * slope)

    def alone(self) -> tuple[Array, Array]:
        """Return where z would be by the data alone, and its SD there (draws, studies)."""
        estimate, variance = self.moments()
        precision = np.atleast_2d(1.0 / variance)
        least = 1e-8 / np.sqrt(self.by_study(precision))
        scale = np.maximum(self.tau, self.by_finding(least))
        total = self.by_study(scale**2 * precision)
        pull = self.by_study(scale * (estimate - self.linear) * precision)
        return pull / total, 1.0 / np.sqrt(total) + np.zeros(self.shape)

    def peak(self) -> tuple[Array, Array]:
        """Return a mode of the integrand (draws, studies) and its SD there."""
        scale, nu = self.tau, self.nu
        mode = np.zeros(self.shape)
        if self.effects == "normal":  # one mode, wherever it is looked for from
            distance, spread = self.alone()
            mode = distance / (1.0 + spread**2)
        reach, last = np.full(mode.shape, 2.0), np.zeros(mode.shape)
        for _ in range(100):
            slope, curvature = self.likelihood.derivatives(
                self.eta(mode), self.data, self.parameters
            )
            rise = self.by_study(scale * slope)
            bend = self.by_study(scale**2 * np.asarray(curvature))
            if self.effects == "normal":
                rise, bend = rise - mode, bend - 1.0
                newton = bend
            else:
                # the t density seen as a normal one with a precision that depends on z (its MM
                # weight) is always concave; its own curvature is faster where it is concave too
                weight = (nu + 1.0) / (nu + mode**2)
                own = bend - weight * (nu - mode**2) / (nu + mode**2)
                rise, bend = rise - weight * mode, bend - weight
                newton = np.minimum(own, 0.3 * bend)
            # a step that turns back is halved, one that goes on may grow: Newton can oscillate
            reach *= np.where(rise * last < 0, 0.5, 1.5)
            step, last = np.clip(-rise / newton, -reach, reach), rise
            mode = mode + step
            if np.max(step * step * -bend) < 1e-8:
                break
        return mode, 1.0 / np.sqrt(-bend)

    def rules(self) -> Rules:
        """Return the three rules that share the line."""
        mode, width = self.peak()
        distance, spread = self.alone()
        none = np.zeros_like(mode)
        return Rules(np.stack([mode, distance, none]), np.stack([width, spread, none + 1.0]))


def log_density(z: Array, effects: str, nu: float) -> Array:
    """Return the log density of standard effects."""
    height = log_height(effects, nu)
    if effects == "normal":
        return np.asarray(-0.5 * z * z + height)
    return np.asarray(height - 0.5 * (nu + 1.0) * np.log1p(z * z / nu))


@cache
def log_height(effects: str, nu: float) -> float:
    """Return the log density of a standard effect of 0."""
    from scipy.special import gammaln

    if effects == "normal":
        return float(-0.5 * np.log(2.0 * np.pi))
    return float(gammaln((nu + 1.0) / 2.0) - gammaln(nu / 2.0) - 0.5 * np.log(nu * np.pi))


def by_hermite(studies: Studies, number: int) -> Array:
    """Return the log integral (draws, studies) by Gauss-Hermite nodes about the peak."""
    nodes, weights = hermite(number)
    mode, width = studies.peak()
    terms = np.empty((len(nodes), *mode.shape))
    for term, node, weight in zip(terms, nodes, weights, strict=True):
        np.add(studies.log_integrand(mode + width * node), weight, out=term)
    return _log_sum(terms) + np.log(width)


@cache
def hermite(number: int = _HERMITE[-1][1]) -> tuple[Array, Array]:
    """Nodes and log weights of an integral over the line, in units of its own width."""
    nodes, weights = np.polynomial.hermite.hermgauss(number)
    return np.sqrt(2.0) * nodes, np.log(weights) + nodes**2 + 0.5 * np.log(2.0)


def hermite_rules(*, coarse: bool) -> tuple[tuple[float, int], ...]:
    """Return up to which tau how many nodes integrate over a normal effect."""
    return _COARSE_HERMITE if coarse else _HERMITE


def by_sinh(studies: Studies, *, coarse: bool = False) -> Array:
    """Return the log integral (draws, studies) by even steps in t, z = centre + width sinh(t)."""
    step, reach = reach_of(coarse=coarse)
    result = np.empty(studies.shape)
    for chosen, rules in ways(studies, step):
        terms = terms_of(studies.rows(chosen), rules, step=step, reach=reach)
        values = np.concatenate([each.values for each in terms])
        result[chosen] = _log_sum(values) + np.log(step)
    return result


def reach_of(*, coarse: bool) -> tuple[float, float]:
    """Return the step of the trapezoids in t, and how far out they go."""
    return (_COARSE_STEP, _COARSE_REACH) if coarse else (_SINH_STEP, SINH_REACH)


def ways(studies: Studies, step: float) -> Iterator[tuple[NDArray[np.intp], Rules]]:
    """Yield draws whose integrand one rule resolves, then those that need all three."""
    centres, widths = rules = studies.rules()
    spacing = step * np.sqrt(widths[0] ** 2 + (centres[1:] - centres[0]) ** 2)
    resolved = (spacing <= _RESOLVED * widths[1:]).all(axis=(0, 2))
    for number, chosen in ((1, np.flatnonzero(resolved)), (3, np.flatnonzero(~resolved))):
        if len(chosen):
            yield chosen, Rules(*(values[:number, chosen] for values in rules))


def terms_of(
    studies: Studies, rules: Rules, *, step: float, reach: float = SINH_REACH
) -> list[Terms]:
    """Return for each rule the log integrand on its grid, as far out as matters."""
    lowest = studies.log_integrand(rules.centres[0]) + np.log(rules.widths[0]) - _NEGLIGIBLE
    nodes = round(reach / step)
    return [_scan(studies, rules, rule, step, nodes, lowest) for rule in range(len(rules.centres))]


def _scan(
    studies: Studies, rules: Rules, rule: int, step: float, most: int, lowest: Array
) -> Terms:
    centre, width = rules.centres[rule], rules.widths[rule]
    found: dict[int, Array] = {}

    def look(node: int) -> tuple[Array, Array]:
        z = centre + width * np.sinh(node * step)
        likelihood = studies.log_likelihood(z)
        density = log_density(z, studies.effects, studies.nu)
        found[node] = likelihood + density + log_share(rules, rule, z)
        return z, likelihood

    _, middle = look(0)
    for side in (1, -1):
        before = middle
        for number in range(1, most + 1):
            z, likelihood = look(side * number)
            # away from 0 and with a likelihood that falls, as a log-concave one then goes on to
            over = (side * z > 0.0) & (likelihood < before) & (found[side * number] < lowest)
            if over.all():
                break
            before = likelihood
    nodes = sorted(found)
    steps = step * np.asarray(nodes, dtype=np.float64)
    return Terms(steps, np.stack([found[node] for node in nodes]))


def log_share(rules: Rules, rule: int, z: Array) -> Array:
    """Return the log of dz/dt of a rule times its part where rules overlap.

    Each counts by the fourth power of the density of its nodes.
    """
    if len(rules.centres) == 1:
        return np.asarray(0.5 * np.log(rules.widths[0] ** 2 + (z - rules.centres[0]) ** 2))
    # inverse squares of dz/dt of each rule at z
    dense = [
        1.0 / (width**2 + (z - centre) ** 2)
        for centre, width in zip(rules.centres, rules.widths, strict=True)
    ]
    total = sum(each * each for each in dense)
    return np.asarray(np.log(dense[rule] * np.sqrt(dense[rule]) / total))


def _log_sum(terms: Array) -> Array:
    """Log of the sum of exponentials over the first axis; the terms are used up."""
    top = terms.max(axis=0)
    np.subtract(terms, top, out=terms)
    np.exp(terms, out=terms)
    return np.asarray(np.log(terms.sum(axis=0)) + top)
