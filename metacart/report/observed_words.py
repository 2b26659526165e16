"""How the findings of a fit are observed, in words and in mathematics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from metacart.inference.records import design_of, evidence_of, spec_of
from metacart.modelling.design import scale_of
from metacart.modelling.likelihoods import LIKELIHOODS
from metacart.records.spec import ModelSpec
from metacart.scales import SCALES, Scale

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["link_of_groups", "observed_formulas", "observed_key", "observed_words"]

_I = Markup("<sub>i</sub>")
_SENTENCES = {
    "binomial": "The events of each arm are a binomial count of its patients: 0 of n and n of n "
    "need no correction.",
    "beta_binomial": "The events of each arm are a binomial count of its patients: 0 of n and n "
    "of n need no correction.",
    "survival": "Each study gives one Kaplan–Meier estimate S of the arm. Its −log(−log S) is a "
    "normal estimate, with the standard error that its printed interval implies.",
    "normal": "Each finding is a normal estimate with a known standard error.",
    "two_arm": "Each comparison gives the counts of two groups, both binomial: no events, and "
    "events only, need no correction. Its control group has a level α of its own, with the same "
    "prior in all.",
}
_KINDS = {
    "ratio": "a printed hazard ratio",
    "survival": "the survival of both groups at one time",
    "contrast": "the counts of both groups",
}


def kinds_of(fit: xr.DataTree) -> list[str]:
    """Return the kinds of comparison in the evidence of a transplant question."""
    found = set(evidence_of(fit)["kind"])
    return [kind for kind in _KINDS if kind in found]


def observed_words(fit: xr.DataTree) -> str:
    """Return how the findings are observed as a sentence or two."""
    spec = spec_of(fit)
    if spec.likelihood == "hsct":
        return _transplant_words(kinds_of(fit))
    known = LIKELIHOODS.get(spec.likelihood)
    title = f"The findings are {known.title}." if known else f"Likelihood: {spec.likelihood}."
    return _SENTENCES.get(spec.likelihood, title)


def _transplant_words(kinds: list[str]) -> str:
    parts = [f"Each study gives one log hazard ratio, seen through {_either(kinds)}."]
    if {"ratio", "survival"} & {*kinds}:
        parts.append(
            "What is printed with an interval is a normal estimate on that scale, with the "
            "standard error that the interval implies."
        )
    if "contrast" in kinds:
        parts.append(
            "Counts are binomial, with no correction for 0 of n or n of n. The control group has a "
            "cumulative hazard of its own, and that of the transplanted is larger or smaller by "
            "the hazard ratio, as where both are followed equally long."
        )
    return " ".join(parts)


def _either(kinds: list[str]) -> str:
    *some, last = [_KINDS[kind] for kind in kinds]
    return f"{', '.join(some)} or {last}" if some else last


def link_of_groups(spec: ModelSpec) -> Scale:
    """Return the scale on which counts of two groups are compared."""
    return SCALES["cloglog" if spec.likelihood == "hsct" else spec.scale or "logit"]


def observed_formulas(fit: xr.DataTree, *, joint: bool) -> list[Markup]:
    """Return how a finding is observed as lines of mathematics; `joint` where b is estimated."""
    spec, scale = spec_of(fit), scale_of(design_of(fit))
    if spec.likelihood == "binomial":
        counts = Markup("<i>y</i>{0} ~ Binomial(<i>n</i>{0}, <i>p</i>{0}), {1} <i>p</i>{0} = θ{0}")
        return [counts.format(_I, scale.name)]
    if spec.likelihood == "beta_binomial":
        return [
            Markup(
                "<i>y</i>{0} ~ Binomial(<i>n</i>{0}, <i>p</i>{0}), <i>p</i>{0} ~ Beta of mean "
                "{1}⁻¹(θ{0}) and variance ρ·mean·(1 − mean)"
            ).format(_I, scale.name)
        ]
    if spec.likelihood == "survival":
        return [Markup("−log(−log <i>S</i>{0}) ~ Normal(θ{0}, se{0})").format(_I)]
    shift = Markup(" + <i>b</i>·<i>d</i>{}").format(_I) if joint else Markup("")
    normal = Markup("<i>y</i>{0} ~ Normal(θ{0}{1}, se{0})").format(_I, shift)
    if spec.likelihood == "normal":
        return [normal]
    groups = Markup(
        "control <i>y</i>{0} ~ Binomial(<i>n</i>{0}, <i>p</i>{0}), {1} <i>p</i>{0} = α{0}; "
        "exposed {1} <i>p</i>{0} = α{0} + θ{0}{2}"
    ).format(_I, link_of_groups(spec).name, shift)
    if spec.likelihood == "two_arm":
        return [groups]
    if spec.likelihood == "hsct":
        kinds = kinds_of(fit)
        lines = [normal] if {"ratio", "survival"} & {*kinds} else []
        return [*lines, *([groups] if "contrast" in kinds else [])]
    known = LIKELIHOODS.get(spec.likelihood)
    return [Markup("{}").format(known.formula)] if known else []


def observed_key(fit: xr.DataTree) -> str:
    """Return what the letters of those lines are."""
    spec, scale = spec_of(fit), scale_of(design_of(fit))
    if spec.likelihood == "two_arm":
        return "; y: events of n patients"
    if spec.likelihood not in ("normal", "hsct"):
        return "; g(S) = −log(−log S)" if scale.name == "loglog" else ""
    kinds = kinds_of(fit) if spec.likelihood == "hsct" else []
    key = f"; y: {'log ratio' if scale.name == 'log' else 'estimate'}"
    if "contrast" in kinds:
        key = "; y: " + (
            "events of n patients"
            if kinds == ["contrast"]
            else "log ratio, or events of n patients"
        )
    return key
