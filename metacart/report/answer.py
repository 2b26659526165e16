"""The answer in plain words, with its uncertainty: rates, ratios and contrasts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from metacart.evidence.columns import counts_of_arms
from metacart.inference.records import design_of, evidence_of, spec_of
from metacart.modelling.design import scale_of
from metacart.modelling.measures import ratio_words
from metacart.records.priors import parse_prior
from metacart.records.vocabulary import Outcome
from metacart.report.answer_parts import Answer, kept
from metacart.report.basis import Basis
from metacart.report.readings import two_readings
from metacart.report.words import (
    capital,
    column_words,
    count_of,
    event_of,
    exposed_words,
    interval,
    join,
    level_word,
    limits,
    middle,
    number_word,
    percent,
    probability,
    reached,
    reaches,
    value_format,
)
from metacart.results.contrast import mostly_prior
from metacart.results.numbers import share_of_prior
from metacart.results.separation import separation
from metacart.results.summary import spread_draws, views_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from metacart.scales import Scale

__all__ = ["MANY_CAUTIONS", "answer", "question_of", "single_papers"]

_FEW, MANY_CAUTIONS = 5, 4
_MOSTLY = 0.5


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
    basis: Basis,
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
    basis : Basis
        Which studies and patients it rests on.
    """
    single = single_papers(basis)
    remarks = single if len(single) > MANY_CAUTIONS else ()
    cautions = _cautions(fit, outcome, basis, () if remarks else single)
    return replace(_answer(fit, summary, contrasts, outcome, basis, cautions), remarks=remarks)


def _answer(
    fit: xr.DataTree,
    summary: pd.DataFrame,
    contrasts: Mapping[str, pd.DataFrame],
    outcome: Outcome,
    basis: Basis,
    cautions: tuple[str, ...],
) -> Answer:
    rows = {str(row["estimand"]): row for row in summary.to_dict("records")}
    scale = scale_of(design_of(fit))
    if len(views_of(fit)) > 1:
        return two_readings(fit, rows, outcome, basis, cautions)
    whole = _own_rate(fit, rows, scale, outcome, basis) or _pooled(fit, rows, scale, outcome, basis)
    if not contrasts:
        return Answer(
            whole.short, whole.estimand, whole.lead, cautions=cautions, conclusion=whole.conclusion
        )
    leads, shorts, remarks = zip(
        *(_contrast(frame, outcome, scale) for frame in contrasts.values()), strict=True
    )
    remarks = tuple(chain.from_iterable(zip(remarks, _separations(fit, contrasts), strict=True)))
    return Answer(
        "; ".join(shorts),
        "difference of population averages" if scale.is_rate else "median study",
        (*leads, *whole.lead[:1]),
        cautions=(*remarks, *cautions),
        conclusion=f"{whole.conclusion} {' '.join(f'{capital(each)}.' for each in shorts)}",
    )


def _pooled(
    fit: xr.DataTree, rows: Mapping[str, Any], scale: Scale, outcome: Outcome, basis: Basis
) -> Answer:
    further = rows["next study"]
    reach = limits(further, scale).split(" to ")
    where = str(rows["median study"]["at"])
    over = f"; {where}" if where else ""
    if scale.is_rate:
        row = rows["population average"]
        value, ends = middle(row, scale), limits(row, scale)
        lead = Markup(
            "Population average over studies like these: of 100 patients <b>{}</b> {}{} "
            "(95 % interval {}{})."
        ).format(value, reaches(outcome), _until(fit), kept(ends), over)
        next_ = Markup(
            "Next study: its true rate would lie between <b>{} and {}</b> of 100 (95 % interval). "
            "What it counts among its own patients scatters further around that."
        ).format(*reach)
        said = (
            f"{_counted(fit, outcome, basis)}; over studies like these the population average is "
            f"estimated at {value} of 100 (95 % interval {ends})."
        )
        return Answer(
            f"{value} of 100 ({ends})", "population average", (lead, next_), conclusion=said
        )
    row = rows["median study"]
    value, ends = middle(row, scale), limits(row, scale)
    what = "value" if scale.name == "identity" else _ratio_words(fit, outcome)
    lead = Markup("Median study of studies like these: {} <b>{}</b> (95 % interval {}{}).").format(
        what, value, kept(ends), over
    )
    next_ = Markup(
        "Next study: its true {} would lie between <b>{} and {}</b> (95 % interval). "
        "What it reports scatters further around that."
    ).format("value" if scale.name == "identity" else "ratio", *reach)
    said = (
        f"In {basis.named()}, the {what} is estimated at {value} in the "
        f"median study (95 % interval {ends})."
    )
    return Answer(f"{what} {value} ({ends})", "median study", (lead, next_), conclusion=said)


def _own_rate(
    fit: xr.DataTree, rows: Mapping[str, Any], scale: Scale, outcome: Outcome, basis: Basis
) -> Answer | None:
    """Put what a single study reports before what the model makes of it."""
    design = design_of(fit)
    if not basis.alone or "events" not in design or design.sizes["finding"] > 1:
        return None
    events, total = (int(design[name].to_numpy()[0]) for name in ("events", "total"))
    rate, lower, upper = (
        float(design[name].to_numpy()[0]) for name in ("crude", "crude_lower", "crude_upper")
    )
    value, ends = percent(rate), interval(lower, upper, scale)
    lead = Markup("{} alone: <b>{} of {}</b> {}, {} of 100 (exact 95 % interval {}).").format(
        basis.alone, events, total, reached(outcome), value, kept(ends)
    )
    pooled = _pooled(fit, rows, scale, outcome, basis)
    return Answer(
        f"{value} of 100 ({ends})",
        "its own rate, nothing pooled",
        (lead, *pooled.lead),
        conclusion=f"{_counted(fit, outcome, basis)} ({value} of 100, exact 95 % interval {ends}); "
        "one study cannot say how much others differ.",
    )


def _until(fit: xr.DataTree) -> str:
    """Return `` to month 12`` where survival at one time is asked for."""
    spec = spec_of(fit)
    return f" to {spec.timepoint[0]}" if spec.likelihood == "survival" and spec.timepoint else ""


def _counted(fit: xr.DataTree, outcome: Outcome, basis: Basis) -> str:
    """Return ``In two cohorts (A 2020, B 2021), 61 of 67 patients reached remission``."""
    evidence = evidence_of(fit)
    if not counts_of_arms(evidence):
        return f"{capital(outcome.title)}{_until(fit)} was estimated in {basis.named()}"
    events, total = (int(evidence[name].sum()) for name in ("events", "total"))
    return f"In {basis.named()}, {events} of {total} patients {reached(outcome)}"


def _ratio_words(fit: xr.DataTree, outcome: Outcome) -> str:
    spec, evidence = spec_of(fit), evidence_of(fit)
    name = ratio_words(spec, evidence)
    of = event_of(outcome) if name == "hazard ratio" else outcome.title
    sides = f", {' against '.join(exposed_words(spec.exposure))}" if spec.exposure else ""
    return f"{name} of {of}{sides}"


def _contrast(frame: pd.DataFrame, outcome: Outcome, scale: Scale) -> tuple[Markup, str, str]:
    level, reference = (level_word(frame.attrs[name]) for name in ("level", "reference"))
    moderator = column_words(str(frame.attrs["moderator"]))
    rates = scale.is_rate
    wanted = "risk difference" if rates else frame["measure"].iloc[0]
    row = frame[frame["measure"] == wanted].iloc[0]
    if rates:
        centre, lower, upper = (_fewer_or_more(row[name]) for name in ("median", "lower", "upper"))
        ends = f"{lower} to {upper}"
        lead = Markup(
            "Population averages: of 100 patients, <b>{}</b> {} where the {} is {} than where it "
            "is {} (95 % interval {}). "
        ).format(centre, reaches(outcome), moderator, level, reference, kept(ends))
        short = f"{centre} of 100 where the {moderator} is {level}, not {reference} ({ends})"
    else:
        form = value_format(scale)
        ends = interval(row["lower"], row["upper"], scale)
        lead = Markup("Median study, {}, {} against {}: {} <b>{}</b> (95 % interval {}). ").format(
            moderator, level, reference, wanted, form(row["median"]), kept(ends)
        )
        short = f"{moderator}, {level} against {reference}: {form(row['median'])} ({ends})"
    lead += Markup("The probability that {} is better is {}.").format(
        level, probability(float(row["p_better"]))
    )
    remark = f"{capital(moderator)}: {frame.attrs['note']}."
    if mostly_prior(frame, row):
        remark += " The difference is mostly the prior: the data add little."
    return lead, short, remark


def _separations(fit: xr.DataTree, contrasts: Mapping[str, pd.DataFrame]) -> tuple[str, ...]:
    """Return for each comparison what these data can and cannot separate."""
    evidence, columns = evidence_of(fit), spec_of(fit).moderator_columns
    return tuple(
        separation(
            evidence, columns, *(frame.attrs[name] for name in ("moderator", "level", "reference"))
        ).words(column=column_words, level=level_word)
        for frame in contrasts.values()
    )


def _fewer_or_more(difference: float) -> str:
    number = round(100.0 * float(difference))
    return f"{abs(number)} {'more' if number >= 0 else 'fewer'}"


# --- what must be known beside it ---------------------------------------------------------------


def single_papers(basis: Basis) -> tuple[str, ...]:
    """Return what must be known of single papers, once each."""
    whole = "" if basis.alone or basis.patients is None else f" of the {basis.patients} patients"
    said = (
        f"{group.study.label}{f', {group.patients}{whole}' if whole else ''}: "
        f"{group.finding.caution}"
        for group in basis.groups
        if group.finding.caution
    )
    return tuple(dict.fromkeys(said))


def _cautions(
    fit: xr.DataTree, outcome: Outcome, basis: Basis, own: tuple[str, ...]
) -> tuple[str, ...]:
    parts = (
        _evidence_words(fit, basis), *own, _population_words(outcome, basis),
        _extreme_words(fit, outcome), _prior_words(fit),
    )  # fmt: skip
    return tuple(part for part in parts if part)


def _extreme_words(fit: xr.DataTree, outcome: Outcome) -> str:
    """Say what counts without any event, or of events alone, cannot tell."""
    evidence = evidence_of(fit)
    if not counts_of_arms(evidence):
        return ""
    events, total = (int(evidence[name].sum()) for name in ("events", "total"))
    if 0 < events < total:
        return ""
    who, side, far, end = (
        ("None", "above", "small", "lower") if events == 0 else ("All", "below", "large", "upper")
    )
    return (
        f"{who} of the {total} patients {reached(outcome)}: the counts bound the rate from {side} "
        f"alone. How {far} it is, and with it the {end} limit, is said by the prior of μ."
    )


def _evidence_words(fit: xr.DataTree, basis: Basis) -> str:
    number = len(basis.studies)
    text = f"{capital(count_of(number, 'study'))} {'answers' if number == 1 else 'answer'} this"
    if basis.alone:
        text += f", {basis.alone} alone"
    if basis.patients is not None:
        text += f", with {basis.patients} patients"
    arms = len(evidence_of(fit))
    if arms > number:
        text += f" in {number_word(arms)} arms"
    if basis.exposure:
        with_, without = exposed_words(basis.exposure)
        if basis.exposed is None or basis.patients is None:
            text += f"; how many were {with_} is not stated for all"
        else:
            text += f": {basis.exposed} {with_}, {basis.patients - basis.exposed} {without}"
    return text + "."


def _population_words(outcome: Outcome, basis: Basis) -> str:
    """Say that the infused are not all whom a centre set out to treat."""
    counted = {group.finding.population for group in basis.groups}
    if basis.exposure or outcome.better != "higher" or counted <= {"enrolled"}:
        return ""
    names = [name for name in ("infused", "evaluable", "responders") if name in counted]
    words = {"responders": "in remission"}
    return (
        f"Counted are patients {join(words.get(name, name) for name in names)}, not all whom a "
        "centre set out to treat: failed manufacture and deaths before the infusion are left out, "
        "so this is no intention-to-treat rate."
    )


def _prior_words(fit: xr.DataTree) -> str:
    """Say where the prior speaks, because studies are few."""
    if "rho" in fit["posterior"]:
        return ""
    if "tau" not in fit["posterior"]:
        return "The model takes all studies to share one true value."
    number = design_of(fit).sizes["study"]
    if number == 1:
        return (
            "From a single study nothing can be learnt about how much studies differ: in median "
            f"and next study that part of the interval is the prior alone. {_pulled(fit)}"
        ).strip()
    stated = json.loads(str(fit.attrs["priors"]))
    spreads = spread_draws(fit["posterior"].to_dataset(), spec_of(fit), design_of(fit))
    shares = {
        name: share_of_prior(draws, parse_prior(stated[name.replace(" ", ":")]))
        for name, draws in spreads.items()
    }
    if len(shares) > 1:
        return _several_words({name: share for name, share in shares.items() if share > _MOSTLY})
    share = shares["tau"]
    if share > _MOSTLY:
        return (
            "So few studies hardly show how much studies differ: that part of the interval is "
            f"mostly the prior (the 95 % interval of τ is {share:.2f} times as wide as its "
            "prior's)."
        )
    return "" if number > _FEW else "With so few studies the prior still weighs on the interval."


def _several_words(shares: dict[str, float]) -> str:
    """Say which of several spreads are mostly their prior."""
    if not shares:
        return ""
    words = join(
        [
            f"that {where} ({share:.2f} times as wide as its prior's)"
            for name, share in shares.items()
            for where in [
                {"tau": "between studies", "tau_within": "within studies"}.get(
                    name, f"of {name.partition('[')[2].removesuffix(']')}"
                )
            ]
        ]
    )
    return f"So few studies hardly show how far true values scatter: mostly the prior is {words}."


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
    return (
        f"The study itself reports {reported}; the priors move the {reading}median study to "
        f"{moved}."
    )
