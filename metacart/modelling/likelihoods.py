"""The likelihoods: how a finding is observed, and on which scale, one entry each.

A new likelihood is one new entry of `LIKELIHOODS`, or of a mapping that a user passes to ``fit``.
One of several means is a `System`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from metacart.errors import Fault, InputError, nearest
from metacart.modelling import counts, estimates, readers, reading_groups, transplant, two_groups
from metacart.modelling.grades import GRADED
from metacart.modelling.likelihood import Data, Likelihood, Parameter, Parameters
from metacart.modelling.several import CHAIN, JOINT
from metacart.modelling.system import System
from metacart.records.spec import ModelSpec, RandomEffects

__all__ = [
    "LIKELIHOODS",
    "Data",
    "Likelihood",
    "Likelihoods",
    "Parameter",
    "Parameters",
    "System",
    "find_likelihood",
    "find_system",
]

ARM_PRIORS = {"mu": "Normal(0, 1.5)", "beta": "Normal(0, 1)", "tau": "HalfNormal(1)"}
CONTRAST_PRIORS = {"mu": "Normal(0, 1.5)", "beta": "Normal(0, 1)", "tau": "HalfNormal(0.5)"}
# findings of one study share its centre, care and definitions: half the spread between studies
ARM_PRIORS["tau_within"], CONTRAST_PRIORS["tau_within"] = "HalfNormal(0.5)", "HalfNormal(0.25)"
# of a normal effect of a study and one of a finding the sum is normal: estimands stay exact
_WITHIN: tuple[RandomEffects, ...] = ("normal",)
_TAU_BY: tuple[RandomEffects, ...] = ("normal", "student_t")

_ENTRIES = (
    Likelihood(
        name="binomial",
        title="exact binomial counts of single arms",
        formula="events ~ Binomial(total, rate), logit(rate) = θ",
        scales=("logit",),
        columns=("events", "total"),
        priors={"logit": ARM_PRIORS},
        read=readers.read_counts,
        observe=counts.observe_binomial,
        logp=counts.logp_binomial,
        derivatives=counts.derivatives_binomial,
        simulate=counts.simulate_binomial,
        approximate=counts.approximate_binomial,
        crude=counts.crude_counts,
        observed="events",
        per="total",
        within=_WITHIN,
        tau_by=_TAU_BY,
    ),
    Likelihood(
        name="beta_binomial",
        title="counts of single arms, overdispersed: arms scatter as a beta distribution",
        formula="events ~ BetaBinomial(total, mean rate, ρ), logit(mean rate) = θ",
        scales=("logit",),
        columns=("events", "total"),
        priors={"logit": ARM_PRIORS},
        read=readers.read_counts,
        observe=counts.observe_beta_binomial,
        logp=counts.logp_beta_binomial,
        derivatives=counts.derivatives_beta_binomial,
        simulate=counts.simulate_beta_binomial,
        approximate=counts.approximate_binomial,
        crude=counts.crude_counts,
        observed="events",
        per="total",
        random_effects=("none", "normal"),
        spreads=True,
        parameters={"rho": Parameter(prior="Beta(1, 5)", support="unit")},
    ),
    Likelihood(
        name="normal",
        title="estimates with standard errors",
        formula="estimate ~ Normal(θ, se)",
        scales=("identity", "log"),
        columns=("estimate and se", "or ratio, lower, upper"),
        priors={"log": CONTRAST_PRIORS},
        read=readers.read_estimates,
        observe=estimates.observe_normal,
        logp=estimates.logp_normal,
        derivatives=estimates.derivatives_normal,
        simulate=estimates.simulate_normal,
        approximate=estimates.approximate_normal,
        crude=estimates.crude_normal,
        observed="estimate",
        contrast=True,
        within=_WITHIN,
        tau_by=_TAU_BY,
    ),
    Likelihood(
        name="survival",
        title="Kaplan–Meier estimates at one time",
        formula="−log(−log S) ~ Normal(θ, se)",
        scales=("loglog",),
        columns=("survival, lower, upper",),
        priors={"loglog": ARM_PRIORS},
        read=readers.read_survival,
        observe=estimates.observe_normal,
        logp=estimates.logp_normal,
        derivatives=estimates.derivatives_normal,
        simulate=estimates.simulate_normal,
        approximate=estimates.approximate_normal,
        crude=estimates.crude_survival,
        observed="estimate",
    ),
    Likelihood(
        name="two_arm",
        title="exact counts of two groups, with a baseline of each comparison",
        formula="control ~ Binomial(n₀, g⁻¹(b)), exposed ~ Binomial(n₁, g⁻¹(b + θ))",
        scales=("logit", "cloglog"),
        columns=("events, total", "control_events, control_total"),
        priors=dict.fromkeys(("logit", "cloglog", "log"), CONTRAST_PRIORS),
        read=reading_groups.read_groups,
        observe=two_groups.observe_groups,
        logp=two_groups.logp_groups,
        derivatives=two_groups.derivatives_groups,
        simulate=two_groups.simulate_groups,
        replicate=two_groups.replicate_groups,
        approximate=estimates.approximate_normal,
        crude=two_groups.crude_groups,
        observed="estimate",
        contrast=True,
        within=_WITHIN,
        tau_by=_TAU_BY,
        parameters={"baseline": Parameter(prior="Normal(0, 1.5)", each=True)},
        prepare=two_groups.prepare_groups,
        draw=two_groups.draw_groups,
    ),
    Likelihood(
        name="hsct",
        title="hazard ratios of transplant against none, with the bias of immortal time",
        formula="log hazard ratio ~ Normal(θ + b, se), or counts of both groups at θ + b on the "
        "cloglog scale; b only where immortal time was not handled",
        scales=("log",),
        columns=(
            "kind, time_handling",
            "ratio, lower, upper",
            "or survival, control_survival with their limits",
            "or events, total, control_events, control_total",
        ),
        priors={"log": CONTRAST_PRIORS},
        read=reading_groups.read_transplant,
        observe=transplant.observe_transplant,
        logp=transplant.logp_transplant,
        derivatives=transplant.derivatives_transplant,
        simulate=transplant.simulate_transplant,
        replicate=transplant.replicate_transplant,
        approximate=estimates.approximate_normal,
        crude=transplant.crude_transplant,
        observed="estimate",
        contrast=True,
        parameters={
            "bias": Parameter(
                prior="Normal(-0.45, 0.25)",
                needed=lambda data: bool(np.any(data["biased"] > 0)),
                identified=lambda data: bool(np.any(data["biased"] == 0)),
            ),
            "baseline": Parameter(
                prior="Normal(0, 1.5)",
                each=True,
                needed=lambda data: bool(np.any(data["contrast"])),
            ),
        },
        shift=transplant.shift_bias,
        prepare=transplant.prepare_transplant,
        draw=transplant.draw_transplant,
    ),
)

# of several means: each has a module of its own
_SYSTEMS = (JOINT, CHAIN, GRADED)

Likelihoods = Mapping[str, Likelihood | System]

LIKELIHOODS: Likelihoods = MappingProxyType({entry.name: entry for entry in (*_ENTRIES, *_SYSTEMS)})


def find_likelihood(spec: ModelSpec, *, likelihoods: Likelihoods | None = None) -> Likelihood:
    """Return the likelihood that a spec names; refused by name with the nearest one.

    A system of several means is refused too: it has no single theta.
    """
    entry = _find(spec, likelihoods)
    if isinstance(entry, System):
        raise InputError(
            Fault("likelihood", f"'{entry.name}' has several means", "one mean", entry.instead)
        )
    return entry


def find_system(spec: ModelSpec, *, likelihoods: Likelihoods | None = None) -> System | None:
    """Return the system of several means that a spec names; none where it names a likelihood."""
    entry = _find(spec, likelihoods)
    return entry if isinstance(entry, System) else None


def _find(spec: ModelSpec, likelihoods: Likelihoods | None) -> Likelihood | System:
    known = LIKELIHOODS if likelihoods is None else likelihoods
    if not isinstance(known, Mapping):
        raise InputError(
            Fault(
                "likelihoods",
                f"a {type(known).__name__}",
                "a mapping of names to Likelihood or System",
                '{**LIKELIHOODS, "mine": ...}',
            )
        )
    if spec.likelihood not in known:
        raise InputError(
            Fault(
                "likelihood",
                f"'{spec.likelihood}' is not known",
                ", ".join(known),
                nearest(spec.likelihood, known)
                or f'likelihoods={{**LIKELIHOODS, "{spec.likelihood}": ...}} where it is your own',
            )
        )
    return known[spec.likelihood]
