"""Ratios that can be looked at for small-study effects, and why others cannot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from metacart.errors import Fault, InputError
from metacart.inference.records import attribute, design_of, evidence_of, spec_of
from metacart.modelling.design import moderators_of, scale_of
from metacart.modelling.likelihoods import LIKELIHOODS, Likelihood
from metacart.modelling.moderators import main_effects

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["DIRECTIONS", "FEWEST", "Ratios", "favoured_side", "ratio_evidence"]

Array = NDArray[np.float64]

FEWEST = 10  # studies, below which asymmetry is mostly chance (Sterne and others 2011)
DIRECTIONS = ("detect", "below", "above")
_PLURAL = {"study": "studies", "cohort": "cohorts"}
_ALLOWED = "log ratios of two groups with their standard errors: likelihood 'normal', scale 'log'"


class Ratios(NamedTuple):
    """Independent log ratios with their standard errors."""

    estimate: Array
    se: Array


def ratio_evidence(fit: xr.DataTree, *, what: str, force: bool) -> Ratios:
    """Return the log ratios of a fit; refused where they cannot tell of small studies.

    Parameters
    ----------
    fit : DataTree
    what : str
        What is asked for, in the words of the message.
    force : bool
        Whether fewer than ten studies pass.
    """
    attribute(fit, "spec")
    if faults := [*_not_ratios(fit, what), *_not_simple(fit, force=force)]:
        raise InputError(faults)
    design = design_of(fit)
    return Ratios(design["estimate"].to_numpy(), design["se"].to_numpy())


def favoured_side(ratios: Ratios, direction: str) -> str:
    """Return on which side of 1 small studies are thought to lean."""
    if direction != "detect":
        return direction
    return "below" if float(np.median(ratios.estimate)) < 0 else "above"


def _not_ratios(fit: xr.DataTree, what: str) -> Iterator[Fault]:
    spec, scale = spec_of(fit), scale_of(design_of(fit)).name
    likelihood = LIKELIHOODS.get(spec.likelihood)
    if not isinstance(likelihood, Likelihood):
        found = f"{what} under the likelihood '{spec.likelihood}' of your own"
        yield Fault("fit", found, _ALLOWED)
    elif isinstance(likelihood, Likelihood) and not likelihood.contrast:
        yield Fault(
            "fit",
            f"{what} of single arms: the standard error of a rate follows from the rate itself, so "
            "the two lean together without any selection, and asymmetry says nothing of it",
            _ALLOWED,
            "risk_of_bias and leave_one_out, which ask studies, not their precision",
            unanswerable=True,
        )
    elif likelihood.name == "hsct":
        kinds = evidence_of(fit)["kind"].astype(str)
        if (other := int((kinds != "ratio").sum())) > 0:
            found = f"{what} with {other} of {len(kinds)} findings that are no printed ratios"
            yield Fault("fit", found, "printed ratios alone", 'kinds = ["ratio"] in the question')
    elif likelihood.name != "normal":
        yield Fault(
            "fit",
            f"{what} of counts of two groups, which need estimates with standard errors",
            _ALLOWED,
            "mc.conversions.counts_to_effect for each study, and fit the logarithms",
        )
    elif scale != "log":
        found = f"{what} on the {scale} scale: the priors are those of log ratios"
        yield Fault("fit", found, _ALLOWED)


def _not_simple(fit: xr.DataTree, *, force: bool) -> Iterator[Fault]:
    design = design_of(fit)
    if mains := main_effects(moderators_of(design)):
        names = ", ".join(each.name for each in mains)
        found = f"a fit with moderators ({names}), to which asymmetry may be due"
        yield Fault("fit", found, "a fit without moderators", "fit the same evidence without them")
    studies, findings = design.sizes["study"], design.sizes["finding"]
    if findings > studies:
        kind = spec_of(fit).group
        found = f"{findings} ratios of {studies} {_PLURAL[kind]}"
        yield Fault("fit", found, f"one ratio a {kind}", f"choose one of each {kind}")
    if studies < FEWEST and not force:
        yield Fault(
            "fit",
            f"{studies} {'study' if studies == 1 else 'studies'}: of so few, asymmetry is mostly "
            "chance, and what is made of it mostly the prior",
            f"{FEWEST} studies or more",
            "force=True, if you know why",
            unanswerable=True,
        )
