"""Which way a patient wants an estimand, and how its natural scale is read."""

from __future__ import annotations

from metacart.records.spec import ModelSpec
from metacart.records.vocabulary import OUTCOMES
from metacart.scales import Scale

__all__ = ["better_of"]


def better_of(spec: ModelSpec, scale: Scale) -> str:
    """Return ``higher`` or ``lower``: which value of the natural scale is better.

    A spec may say so itself. A ratio of an exposure, and any hazard ratio, is better below one,
    whatever the outcome; a rate follows its outcome. Where nothing says, higher is better.
    """
    if spec.better is not None:
        return spec.better
    if spec.likelihood == "hsct":
        return "lower"
    outcome = OUTCOMES.get(spec.outcome or "")
    ratio = scale.name == "log"
    if outcome is None or outcome.better == "neither":
        return "lower" if ratio else "higher"
    if ratio and outcome.definition.startswith("time to"):
        return "lower"  # a ratio of a survival compares its events
    return outcome.better
