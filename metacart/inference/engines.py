"""Which engine draws, and which takes over where its draws do not pass the gate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from metacart.errors import Fault, InputError
from metacart.inference import nuts
from metacart.inference.estimands import with_estimands
from metacart.inference.exact import PARETO_K, Exact, draw_exact
from metacart.inference.gate import Attempt, convergence, longer
from metacart.inference.kept import apart
from metacart.inference.origins import with_resolved_origins
from metacart.inference.proposal import Mixture, NoProposalError
from metacart.modelling.build import build_model
from metacart.modelling.imputation import gap_names
from metacart.modelling.likelihoods import Likelihood, Likelihoods
from metacart.records.priors import Prior
from metacart.records.spec import ModelSpec

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["METHODS", "Drawn", "Engines"]

METHODS = ("nuts", "exact", "auto")
_MOST = 4  # how many times the draws that were asked for
# findings whose theta the gate asks for: the worst of more estimated errors fails by chance alone
_JUDGED = 200


@dataclass(frozen=True)
class Drawn:
    """Draws of the parameters and how they were made.

    Attributes
    ----------
    posterior, statistics : Dataset
        The draws, and the engine's own account of each.
    theta : Dataset or None
        Where not all draws of it are kept, and so not among the others.
    method : {"nuts", "exact"}
        The engine that made them.
    attempts : list of Attempt
        Every run, the last one that of these draws.
    failure : str
        Why they must not be used; empty where they passed the gate.
    exact : Exact or None
        Pareto k, effective sample size, log marginal likelihood and the log likelihood of each
        study, of the exact engine.
    """

    posterior: xr.Dataset
    statistics: xr.Dataset
    method: str
    attempts: list[Attempt]
    failure: str
    exact: Exact | None = None
    theta: xr.Dataset | None = None


@dataclass(frozen=True)
class Engines:
    """The engines with the size of a run.

    Attributes
    ----------
    draws, tune, chains, seed : int
        Draws kept and tuning steps a chain, number of chains, seed.
    progress : bool
        Whether to show a progress bar.
    thins : bool
        Whether what each finding has for itself may be kept of fewer draws.
    """

    draws: int
    tune: int
    chains: int
    seed: int
    progress: bool
    thins: bool = True

    def draw(
        self,
        spec: ModelSpec,
        design: xr.Dataset,
        likelihood: Likelihood,
        priors: dict[str, Prior],
        *,
        method: str,
        likelihoods: Likelihoods | None,
    ) -> Drawn:
        """Draw from the posterior; what fails the gate is handed to the other engine."""
        engines: dict[str, Callable[..., Drawn]] = {
            "nuts": partial(self._nuts, likelihoods=likelihoods),
            "exact": self._exact,
        }
        order = {"nuts": ["nuts", "exact"], "exact": ["exact"], "auto": ["exact", "nuts"]}[method]
        runs: list[Drawn] = []
        attempts: list[Attempt] = []
        for name in order:
            try:
                run = engines[name](spec, design, likelihood, priors)
            except NoProposalError as error:
                attempts.append(Attempt(name, "no draws", 0, str(error)))
                continue
            runs.append(run)
            if not run.failure:
                break
        if not runs:
            raise InputError(
                Fault("method", f"'{method}': {attempts[0].failure}", "nuts", "method='nuts'")
            )
        # where none passed, the draws that were asked for are shown with what is wrong with them
        chosen = runs[0] if runs[-1].failure else runs[-1]
        others = [attempt for run in runs if run is not chosen for attempt in run.attempts]
        return replace(chosen, attempts=[*attempts, *others, *chosen.attempts])

    def _nuts(
        self,
        spec: ModelSpec,
        design: xr.Dataset,
        likelihood: Likelihood,
        priors: dict[str, Prior],
        *,
        likelihoods: Likelihoods | None,
    ) -> Drawn:
        del priors  # the graph reads them from the spec
        run = nuts.sample(
            build_model(spec, design, likelihoods=likelihoods),
            draws=self.draws,
            tune=self.tune,
            chains=self.chains,
            seed=self.seed,
            progress=self.progress,
            reported=partial(with_estimands, spec=spec, design=design, seed=self.seed),
        )
        rng = np.random.default_rng([self.seed, 4])
        posterior = with_resolved_origins(run.posterior, design, likelihood, rng)
        whole, theta = apart(posterior, design) if self.thins else (posterior, None)
        return Drawn(whole, run.statistics, "nuts", run.attempts, run.failure, theta=theta)

    def _exact(
        self,
        spec: ModelSpec,
        design: xr.Dataset,
        likelihood: Likelihood,
        priors: dict[str, Prior],
    ) -> Drawn:
        if gaps := gap_names(design):
            more = ", …" if len(gaps) > 1 else ""
            what = "values of moderators are" if more else "value of a moderator is"
            found = f"{len(gaps)} {what} imputed ({gaps[0]}{more})"
            raise NoProposalError(f"{found}, which only NUTS draws")
        attempts: list[Attempt] = []
        times = 1
        proposal: Mixture | None = None
        while True:
            run = draw_exact(
                spec,
                design,
                likelihood,
                priors,
                draws=times * self.draws,
                chains=self.chains,
                seed=self.seed,
                proposal=proposal,
                thins=self.thins,
            )
            reported = with_estimands(run.posterior, spec=spec, design=design, seed=self.seed)
            if design.sizes["finding"] > _JUDGED and "theta" in reported:
                reported = reported.drop_vars("theta")
            worth = min(run.importance_ess, run.draws * self.chains)
            verdict = convergence(reported, independent=worth)
            failure = verdict.failure
            if not run.pareto_k <= PARETO_K:
                failure = f"Pareto k of the importance weights is {run.pareto_k:.2f}"
            attempts.append(Attempt("exact", f"Pareto k {run.pareto_k:.2f}", run.draws, failure))
            if not failure or times == _MOST or run.pareto_k > PARETO_K:
                break
            # the error of independent draws falls as their number says
            asked = longer(verdict, most=_MOST, margin=1.5)
            times, proposal = min(max(asked, 2 * times), _MOST), run.proposal
        return Drawn(
            run.posterior, run.statistics, "exact", attempts, failure, run, theta=run.theta
        )
