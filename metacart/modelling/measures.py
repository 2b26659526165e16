"""What the effects of a question are, and whether the named priors of its spec hold for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from metacart.errors import Fault
from metacart.modelling.columns import is_missing
from metacart.modelling.likelihoods import LIKELIHOODS, Likelihood
from metacart.records.named_priors import CATALOGUE, MEASURES, find_named
from metacart.records.spec import ModelSpec

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["measures_of", "misplaced_priors", "ratio_words"]

_RATIOS = {"or": "odds_ratio", "rr": "risk_ratio", "hr": "hazard_ratio"}
_CONTRASTS = {
    "log": frozenset(_RATIOS.values()),
    "logit": frozenset(("odds_ratio",)),
    "cloglog": frozenset(("hazard_ratio",)),
    "identity": frozenset(("value",)),
}
_ARMS = {"logit": "rate", "loglog": "survival", "cloglog": "risk"}


def measures_of(
    spec: ModelSpec,
    likelihood: Likelihood,
    *,
    scale: str | None = None,
    evidence: pd.DataFrame | None = None,
) -> frozenset[str]:
    """Return what theta may be, as keys of ``MEASURES``.

    Several, where neither the spec nor a column ``measure`` of the evidence says of which kind its
    ratios are.
    """
    if likelihood.name == "hsct":
        return frozenset(("hazard_ratio",))
    stated = scale or spec.scale
    found: set[str] = set()
    for name in [stated] if stated else likelihood.scales:
        found |= _CONTRASTS.get(name, set()) if likelihood.contrast else {_ARMS.get(name, "value")}
    if evidence is not None and "measure" in evidence.columns and len(found) > 1:
        words = [value for value in evidence["measure"].tolist() if not is_missing(value)]
        named = {_RATIOS[str(word).lower()] for word in words if str(word).lower() in _RATIOS}
        found &= named or found
    return frozenset(found)


def ratio_words(spec: ModelSpec, evidence: pd.DataFrame) -> str:
    """Return which ratio a question of contrasts asks for: ``hazard ratio``, or only ``ratio``."""
    likelihood = LIKELIHOODS.get(spec.likelihood)
    if not isinstance(likelihood, Likelihood):
        return "ratio"
    # counts have the scale of their likelihood where none is stated; estimates say theirs
    usual = None if "log" in likelihood.scales else likelihood.scales[0]
    found = measures_of(spec, likelihood, scale=spec.scale or usual, evidence=evidence)
    found &= {*_RATIOS.values()}
    return next(iter(found)).replace("_", " ") if len(found) == 1 else "ratio"


def misplaced_priors(
    spec: ModelSpec,
    likelihood: Likelihood,
    *,
    scale: str | None = None,
    evidence: pd.DataFrame | None = None,
) -> Iterator[Fault]:
    """Yield the named priors of a spec that hold for other measures than its own."""
    measures = measures_of(spec, likelihood, scale=scale, evidence=evidence)
    stated = [
        (name, each)
        for name, text in spec.priors.items()
        for each in (text.values() if isinstance(text, dict) else [text])
    ]
    for parameter, text in stated:
        entry = find_named(text, parameter)
        if entry is None or entry.measures & measures:
            continue
        here = " or ".join(MEASURES[name] for name in MEASURES if name in measures)
        holds = " or ".join(MEASURES[name] for name in MEASURES if name in entry.measures)
        others = dict.fromkeys(
            other.text.partition("(")[0] + "(…)" if other.text.count(",") else other.text
            for other in CATALOGUE
            if other.parameter == parameter and other.measures & measures
        )
        default = likelihood.priors.get(scale or spec.scale or likelihood.scales[0], {})
        attempt = f"{default[parameter]}, the default" if parameter in default else ""
        if entry.text == "UnitInformation()" and measures == {"value"}:
            attempt = "Normal(0, s) with s = sqrt(sum(n) / sum(1 / se**2)) over your studies"
        yield Fault(
            f"priors.{parameter}",
            f"{entry.text} holds for {holds}; here are {here}",
            ", ".join(others) or "a prior of your own",
            attempt,
        )
