"""The answer of a transplant question: as printed, pooled, and less the bias."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from metacart.evidence.values import value_words
from metacart.inference.kept import at_kept_draws
from metacart.inference.records import design_of, spec_of
from metacart.modelling.design import scale_of
from metacart.records.study import Finding
from metacart.records.vocabulary import Outcome
from metacart.report.answer_parts import (
    Answer,
    Reading,
    adjusted_words,
    printed_ratio,
    printed_words,
)
from metacart.report.basis import Basis
from metacart.report.words import event_of, exposed_words, join, limits, middle, ratio
from metacart.results.immortal_time import adjusted_studies, bias_is_prior
from metacart.results.summary import views_of

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["two_readings"]

_IMMORTAL = (
    "A patient must live in remission until the transplant. Papers that count this waiting time "
    "for the transplant group make transplant look better than it is (immortal time)."
)


def two_readings(
    fit: xr.DataTree,
    rows: Mapping[str, Any],
    outcome: Outcome,
    basis: Basis,
    cautions: tuple[str, ...],
) -> Answer:
    """Compose the answer of a transplant question.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.
    rows : mapping of str to row
        Of ``summarize``, by estimand.
    outcome : Outcome
        Whose event the hazard is of.
    basis : Basis
        Which studies and patients it rests on.
    cautions : tuple of str
        What must be known beside any answer.
    """
    scale = scale_of(design_of(fit))
    event, short_event = event_of(outcome), event_of(outcome).split(" (")[0]
    with_, without = exposed_words(spec_of(fit).exposure)
    off = (
        "as its prior guesses it" if bias_is_prior(fit) else "as prior and studies together put it"
    )
    explained = {
        "naive": f"{_printed_kinds(basis)} pooled with the priors; immortal time ignored",
        "immortal-time-adjusted": f"the same with the bias b of immortal time taken off, {off}; "
        "nothing else is taken off",
    }
    printed = tuple(f"{group.study.label} {printed_words(group.finding)}" for group in basis.groups)
    pooled = tuple(
        Reading(
            f"Median study, {view}",
            middle(rows[f"median study ({view})"], scale),
            limits(rows[f"median study ({view})"], scale),
            explained[view],
            limits(rows[f"next study ({view})"], scale),
            printed if group == "naive" else (),
        )
        for group, view in views_of(fit).items()
    )
    lead = Markup(
        "Hazard ratio of {}, patients {} against those {}. Below 1 the first had the lower hazard."
    ).format(event, with_, without)
    alone = _own(fit, basis) if basis.alone and bias_is_prior(fit) else ()
    first, row = (alone[1], _row(fit)) if alone else (pooled[1], rows[_ADJUSTED])
    beside = f"{alone[0].value} ({alone[0].interval}) as printed" if alone else (
        f"{pooled[0].value} ({pooled[0].interval}) naive"
    )  # fmt: skip
    return Answer(
        f"hazard ratio of {short_event}, {with_} against {without}: {first.value} "
        f"({first.interval}) immortal-time-adjusted, {beside}",
        "its own ratio, nothing pooled" if alone else "median study",
        (lead,),
        (*alone, *pooled),
        (_verdict(row, basis, short_event), _IMMORTAL, *cautions),
        _conclusion(basis, event, first, beside, row),
    )


def _printed_kinds(basis: Basis) -> str:
    """Return what the papers print: ratios, pairs of survival, counts of two groups."""
    kinds = {group.finding.kind for group in basis.groups}
    words = {"ratio": "ratios", "survival": "pairs of survival", "contrast": "counts"}
    return f"printed {join(words[kind] for kind in words if kind in kinds)}"


_ADJUSTED = "median study (immortal-time-adjusted)"


def _row(fit: xr.DataTree) -> Mapping[Any, Any]:
    row: Mapping[Any, Any] = adjusted_studies(fit).to_dict("records")[0]
    return row


def _own(fit: xr.DataTree, basis: Basis) -> tuple[Reading, Reading]:
    """Return the ratio of the only study as printed, and with immortal time taken off."""
    (group,) = basis.groups
    scale, row = scale_of(design_of(fit)), _row(fit)
    value, ends, how = _alone(fit, group.finding)
    drawn = ratio(float(scale.inverse(float(at_kept_draws(fit)["naive"]["theta"].median()))))
    return (
        Reading(
            f"{basis.alone} as printed", value, ends, f"{how}; immortal time ignored",
        ),
        Reading(
            f"{basis.alone}, immortal-time-adjusted", middle(row, scale), limits(row, scale),
            f"the priors draw this ratio to {drawn}; then the bias b of immortal time is "
            "taken off, as its prior guesses it, and nothing else",
        ),
    )  # fmt: skip


def _alone(fit: xr.DataTree, finding: Finding) -> tuple[str, str, str]:
    """Return the ratio of the only finding, its interval, and how it came about."""
    if finding.ratio is not None:
        return *printed_ratio(finding), adjusted_words(finding)
    design = design_of(fit)
    value, *ends = (float(design[f"crude{end}"][0]) for end in ("", "_lower", "_upper"))
    return ratio(value), f"{ratio(ends[0])} to {ratio(ends[1])}", f"from {value_words(finding)}"


def _verdict(row: Mapping[Any, Any], basis: Basis, event: str) -> str:
    with_, without = exposed_words(basis.exposure)
    papers = "This paper leaves" if basis.alone else "These papers leave"
    if row["lower"] < 1.0 < row["upper"]:
        return (
            f"The immortal-time-adjusted interval includes 1. {papers} open whether the "
            f"hazard of {event} differs between patients {with_} and those {without}."
        )
    side = "lower" if row["upper"] < 1.0 else "higher"
    return (
        "The immortal-time-adjusted interval lies on one side of 1: given this prior for the "
        f"bias, patients {with_} had a {side} hazard of {event} than those {without}. That the "
        "treatment is why does not follow."
    )


def _conclusion(
    basis: Basis, event: str, first: Reading, beside: str, row: Mapping[Any, Any]
) -> str:
    with_, without = exposed_words(basis.exposure)
    people = "" if basis.patients is None else f"; {basis.patients} patients"
    if people and basis.exposed is not None and basis.patients is not None:
        people += f", {basis.exposed} {with_}, {basis.patients - basis.exposed} {without}"
    of = "" if basis.alone else " in the median study"
    open_ = (
        "the latter interval includes 1 and the comparison is not randomised, so whether the "
        "hazard differs stays open"
        if row["lower"] < 1.0 < row["upper"]
        else "the comparison is not randomised, so that the treatment is why does not follow"
    )
    return (
        f"In {basis.named(people)}, the hazard ratio of {event}, {with_} against "
        f"{without},{of} was {beside}, and {first.value} ({first.interval}) with the immortal "
        f"time that is assumed taken off, and nothing else (95 % intervals); {open_}."
    )
