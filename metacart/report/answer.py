"""The answer in plain words, with its uncertainty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from metacart.inference.records import design_of, evidence_of, spec_of
from metacart.modelling.design import scale_of
from metacart.records.vocabulary import Outcome
from metacart.report.words import (
    capital,
    column_words,
    count_of,
    event_of,
    exposure_words,
    interval,
    level_word,
    number_word,
    probability,
    reaches,
    value_format,
)
from metacart.results.summary import views_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from metacart.scales import Scale

__all__ = ["Answer", "Reading", "answer", "question_of"]

_FEW = 5
_IMMORTAL = (
    "A patient must live in remission until the transplant. Papers that count this waiting time "
    "for the transplant group make transplant look better than it is (immortal time)."
)


@dataclass(frozen=True, slots=True)
class Reading:
    """One of two answers that stand side by side."""

    name: str
    value: str
    interval: str
    next_study: str
    words: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer in plain words.

    Attributes
    ----------
    short : str
        For the list of answers at the top of the page.
    lead : tuple of Markup
        The first sentences.
    readings : tuple of Reading
        The naive and the adjusted answer, where there are two.
    cautions : tuple of str
        What the reader must know before using it.
    """

    short: str
    lead: tuple[Markup, ...]
    readings: tuple[Reading, ...] = ()
    cautions: tuple[str, ...] = ()


def question_of(title: str | None, question: str | None, outcome: Outcome) -> tuple[str, str]:
    """Return title and question, made from the outcome where the spec has none."""
    return (
        title or capital(outcome.title),
        question or f"What do the papers say about {outcome.title}?",
    )


def answer(
    fit: xr.DataTree,
    summary: pd.DataFrame,
    contrasts: Mapping[str, pd.DataFrame],
    outcome: Outcome,
) -> Answer:
    """Compose the answer of a fit.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.
    summary : DataFrame
        From ``summarize``.
    contrasts : mapping of str to DataFrame
        From ``contrast``, those that the spec declares.
    outcome : Outcome
        What is counted.
    """
    rows = {str(row["estimand"]): row for row in summary.to_dict("records")}
    scale = scale_of(design_of(fit))
    cautions = tuple(part for part in (_evidence_words(fit), _prior_words(fit)) if part)
    if len(views_of(fit)) > 1:
        return _two_readings(fit, rows, scale, outcome, cautions)
    if contrasts:
        leads, shorts, remarks = zip(
            *(_contrast(frame, outcome, scale) for frame in contrasts.values()), strict=True
        )
        averaged = _pooled(fit, rows, scale, outcome)
        return Answer("; ".join(shorts), (*leads, *averaged.lead[:1]), (), (*remarks, *cautions))
    pooled = _pooled(fit, rows, scale, outcome)
    return Answer(pooled.short, pooled.lead, (), cautions)


def _pooled(fit: xr.DataTree, rows: Mapping[str, Any], scale: Scale, outcome: Outcome) -> Answer:
    form = value_format(scale)
    further = rows["next study"]
    reach = interval(further["lower"], further["upper"], scale)
    where = str(rows["median study"]["at"])
    over = f"; {where}" if where else ""
    if scale.name in ("logit", "cloglog"):
        row = rows["population average"]
        ends = interval(row["lower"], row["upper"], scale)
        lead = Markup(
            "Of 100 patients in an average study population, <b>{}</b> {} (95 % interval {}{})."
        ).format(form(row["median"]), reaches(outcome), _kept(ends), over)
        next_ = Markup(
            "In the next single study the true number would lie between <b>{} and {}</b> of 100."
        ).format(*reach.split(" to "))
        return Answer(f"{form(row['median'])} of 100 ({ends})", (lead, next_))
    row = rows["median study"]
    ends = interval(row["lower"], row["upper"], scale)
    what = "value" if scale.name == "identity" else _ratio_words(fit, outcome)
    lead = Markup("In the median study the {} is <b>{}</b> (95 % interval {}{}).").format(
        what, form(row["median"]), _kept(ends), over
    )
    next_ = Markup("In the next single study it would lie between <b>{} and {}</b>.").format(
        *reach.split(" to ")
    )
    return Answer(f"{what} {form(row['median'])} ({ends})", (lead, next_))


def _kept(text: str) -> str:
    """Return an interval that is not broken over two lines."""
    return text.replace(" ", "\u00a0")


def _ratio_words(fit: xr.DataTree, outcome: Outcome) -> str:
    spec, evidence = spec_of(fit), evidence_of(fit)
    measures = set(evidence["measure"]) if "measure" in evidence else set()
    name = {"hr": "hazard ratio", "or": "odds ratio", "rr": "risk ratio"}.get(
        str(next(iter(measures))) if len(measures) == 1 else "", "ratio"
    )
    of = event_of(outcome) if name == "hazard ratio" else outcome.title
    by = f" by {exposure_words(spec.exposure)}" if spec.exposure else ""
    return f"{name} of {of}{by}"


def _two_readings(
    fit: xr.DataTree,
    rows: Mapping[str, Any],
    scale: Scale,
    outcome: Outcome,
    cautions: tuple[str, ...],
) -> Answer:
    event = event_of(outcome)
    joint = "biased" in design_of(fit) and bool((design_of(fit)["biased"] == 0).any())
    explained = {
        "naive": "as the papers print it, immortal time ignored",
        "bias-adjusted": "immortal time taken off, "
        + ("as prior and studies together put it" if joint else "as the prior guesses it"),
    }
    readings, shorts = [], []
    for view in views_of(fit).values():
        row, further = rows[f"median study ({view})"], rows[f"next study ({view})"]
        ends = interval(row["lower"], row["upper"], scale)
        value = value_format(scale)(row["median"])
        reach = interval(further["lower"], further["upper"], scale)
        readings.append(Reading(capital(view), value, ends, reach, explained.get(view, "")))
        shorts.append(f"{view} {value} ({ends})")
    adjusted = rows["median study (bias-adjusted)"]
    exposed = exposure_words(spec_of(fit).exposure)
    if adjusted["lower"] < 1.0 < adjusted["upper"]:
        verdict = (
            f"The adjusted interval includes 1. These papers leave open whether {exposed} "
            f"changes the hazard of {event}."
        )
    else:
        side = "lowers" if adjusted["upper"] < 1.0 else "raises"
        verdict = (
            f"The adjusted interval lies on one side of 1: given this prior for the bias, "
            f"{exposed} {side} the hazard of {event}."
        )
    lead = Markup(
        "Hazard of {} with {}, as a ratio to the hazard without it. "
        "Below 1 favours the patients with it."
    ).format(event, exposed)
    return Answer(
        f"hazard ratio {', '.join(shorts)}",
        (lead,),
        tuple(readings),
        (verdict, _IMMORTAL, *cautions),
    )


def _contrast(frame: pd.DataFrame, outcome: Outcome, scale: Scale) -> tuple[Markup, str, str]:
    level, reference = (level_word(frame.attrs[name]) for name in ("level", "reference"))
    moderator = column_words(str(frame.attrs["moderator"]))
    rates = scale.name in ("logit", "cloglog")
    wanted = "risk difference" if rates else frame["measure"].iloc[0]
    row = frame[frame["measure"] == wanted].iloc[0]
    if rates:
        middle, lower, upper = (_fewer_or_more(row[name]) for name in ("median", "lower", "upper"))
        ends = f"{lower} to {upper}"
        lead = Markup(
            "Of 100 patients, <b>{}</b> {} where the {} is {} than where it is {} "
            "(95 % interval {}). "
        ).format(middle, reaches(outcome), moderator, level, reference, _kept(ends))
        short = f"{middle} of 100 where the {moderator} is {level}, not {reference} ({ends})"
    else:
        form = value_format(scale)
        ends = interval(row["lower"], row["upper"], scale)
        lead = Markup("{}, {} against {}: {} <b>{}</b> (95 % interval {}). ").format(
            capital(moderator), level, reference, wanted, form(row["median"]), _kept(ends)
        )
        short = f"{moderator}, {level} against {reference}: {form(row['median'])} ({ends})"
    lead += Markup("The probability that {} is better is {}.").format(
        level, probability(float(row["p_better"]))
    )
    remark = f"{capital(moderator)}: {frame.attrs['note']}."
    if float(row["posterior_to_prior_sd"]) > 0.5:
        remark += " The difference is mostly the prior: the data add little."
    return lead, short, remark


def _fewer_or_more(difference: float) -> str:
    number = round(100.0 * float(difference))
    return f"{abs(number)} {'more' if number >= 0 else 'fewer'}"


def _evidence_words(fit: xr.DataTree) -> str:
    evidence = evidence_of(fit)
    number = int(evidence["study"].nunique())
    text = f"{capital(count_of(number, 'study'))} {'answers' if number == 1 else 'answer'} this"
    if "total" in evidence:
        text += f", with {int(evidence['total'].sum())} patients"
    arms = len(evidence)
    if arms > number:
        text += f" in {number_word(arms)} arms"
    return text + "."


def _prior_words(fit: xr.DataTree) -> str:
    """Say where the prior speaks, because studies are few."""
    if "tau" not in fit["posterior"]:
        return "The model takes all studies to share one true value."
    number = design_of(fit).sizes["study"]
    if number == 1:
        return (
            "From a single study nothing can be learnt about how much studies differ: "
            f"that part of the interval is the prior alone. {_pulled(fit)}"
        ).strip()
    spread = float(fit["posterior"]["tau"].std()) / float(fit["prior"]["tau"].std())
    if spread > 0.5:
        return (
            "So few studies hardly show how much studies differ: that part of the interval is "
            f"mostly the prior (the posterior of τ is {100 * spread:.0f} % as wide as its prior)."
        )
    return "" if number > _FEW else "With so few studies the prior still weighs on the interval."


def _pulled(fit: xr.DataTree) -> str:
    """Say how far the prior moves what a single study reports."""
    design = design_of(fit)
    form = value_format(scale_of(design))
    view = next(iter(views_of(fit)))
    reported = form(float(design["crude"].to_numpy()[0]))
    moved = form(float(scale_of(design).inverse(float(fit[view]["mu"].median()))))
    if design.sizes["finding"] > 1 or design.sizes["coefficient"] or reported == moved:
        return ""
    reading = "naive " if len(views_of(fit)) > 1 else ""
    return f"The study itself reports {reported}; the priors move the {reading}answer to {moved}."
