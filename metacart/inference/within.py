"""Effects of studies, and of findings inside them: integrated out, and drawn given the rest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from metacart.inference.marginal import draw_standard_effects, study_log_likelihood
from metacart.inference.scattered import Scattered, scatter
from metacart.modelling.likelihoods import Data, Likelihood, Parameters

__all__ = ["Levels", "Observed"]

Array = NDArray[np.float64]


class _Part(NamedTuple):
    """Findings whose studies are integrated out alike, and the positions of these studies."""

    findings: NDArray[np.intp]
    studies: NDArray[np.intp]
    group: NDArray[np.intp]
    likelihood: Likelihood
    data: Data
    tau: Array
    parameters: Parameters
    inside: bool = False


class Levels:
    """Two levels of effects: which studies have several findings, and what these say of them.

    Parameters
    ----------
    likelihood : Likelihood
        Of a finding given its own true value.
    data : mapping of str to array (findings,)
        The observed columns.
    group : array of int (findings,)
        The study of each finding, from 0.
    """

    def __init__(self, likelihood: Likelihood, data: Data, group: NDArray[np.int64]) -> None:
        self.likelihood, self.data, self.group = likelihood, data, group
        alone = np.bincount(group)[group] == 1
        self.single, self.several = np.flatnonzero(alone), np.flatnonzero(~alone)

    @cached_property
    def scattered(self) -> Scattered:
        """How the findings of studies of several are observed, without their own effects."""
        return scatter(self.likelihood, {n: each[self.several] for n, each in self.data.items()})


@dataclass(frozen=True)
class Observed:
    """Findings at some draws of the parameters, with one level of effects or two.

    Attributes
    ----------
    likelihood : Likelihood
        How they are observed.
    data : mapping of str to array (findings,)
        The observed columns.
    group : array of int (findings,)
        The study of each finding, from 0.
    linear : array (draws, findings)
        mu + x beta + shift, without effects.
    tau : array (draws,) or (draws, findings)
        Scale of the study effects; by finding where it differs by a moderator.
    levels : Levels or None
        Prepared once a fit; none where the findings of a study share its effect.
    within : array (draws,) or None
        SD of the effects of findings, where there are two levels.
    effects : {"normal", "student_t", "none"}
        Distribution of the study effects; normal where there are two levels.
    nu : float
        Degrees of freedom of Student-t effects.
    parameters : mapping of str to array
        The likelihood's own parameters, each (draws, 1).

    Notes
    -----
    A study of one finding has one effect, the sum of both, which is normal. In the others the
    effects of findings are integrated out inside the integral over that of the study, both by the
    rules of ``study_log_likelihood``.
    """

    likelihood: Likelihood
    data: Data
    group: NDArray[np.int64]
    linear: Array
    tau: Array
    levels: Levels | None
    within: Array | None
    effects: str
    nu: float
    parameters: Parameters

    @property
    def arguments(self) -> dict[str, Any]:
        """Itself as arguments of ``study_log_likelihood``, of one level of effects."""
        names = "likelihood data group linear tau effects nu parameters"
        return {name: getattr(self, name) for name in names.split()}

    def log_likelihood(self, *, coarse: bool = False) -> Array:
        """Return the log likelihood of each study without its effects (draws, studies)."""
        result = np.empty((len(self.linear), int(self.group.max()) + 1))
        for part in self._parts():
            result[:, part.studies] = study_log_likelihood(
                part.likelihood,
                part.data,
                part.group,
                self.linear[:, part.findings],
                part.tau,
                effects=self.effects,
                nu=self.nu,
                parameters=part.parameters,
                coarse=coarse,
            )
        return result

    def draw(self, rng: np.random.Generator) -> Array:
        """Return draws of the effects of each finding, both summed (draws, findings)."""
        result = np.zeros(self.linear.shape)
        if self.effects == "none":
            return result
        for part in self._parts():
            z = draw_standard_effects(
                part.likelihood,
                part.data,
                part.group,
                self.linear[:, part.findings],
                part.tau,
                effects=self.effects,
                nu=self.nu,
                parameters=part.parameters,
                rng=rng,
            )
            tau = part.tau if part.tau.ndim > 1 else part.tau[:, None]
            result[:, part.findings] = tau * z[:, part.group]
            if part.inside:
                result[:, part.findings] += self._inside(part, result[:, part.findings], rng)
        return result

    def _inside(self, part: _Part, effect: Array, rng: np.random.Generator) -> Array:
        """Draw the effects of findings given those of their studies."""
        assert self.within is not None
        z = draw_standard_effects(
            self.likelihood,
            {name: values[part.findings] for name, values in self.data.items()},
            np.arange(len(part.findings)),
            self.linear[:, part.findings] + effect,
            self.within,
            effects="normal",
            nu=self.nu,
            parameters=self.parameters,
            rng=rng,
        )
        return np.asarray(self.within[:, None] * z)

    def _parts(self) -> Iterator[_Part]:
        if self.within is None or self.levels is None:
            every, studies = np.arange(len(self.group)), np.arange(int(self.group.max()) + 1)
            yield _Part(
                every, studies, self.group, self.likelihood, self.data, self.tau, self.parameters
            )
            return
        single, several = self.levels.single, self.levels.several
        if len(single):
            studies, group = np.unique(self.group[single], return_inverse=True)
            data = {name: values[single] for name, values in self.data.items()}
            tau = np.sqrt(self.tau**2 + self.within**2)
            yield _Part(single, studies, group, self.likelihood, data, tau, self.parameters)
        if not len(several):
            return
        studies, group = np.unique(self.group[several], return_inverse=True)
        own = {**self.parameters, "tau_within": self.within[:, None]}
        yield _Part(several, studies, group, *self.levels.scattered, self.tau, own, inside=True)
