"""The model in words and in mathematics, and its priors in numbers that a reader can judge."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

from markupsafe import Markup

from metacart.inference.estimands import draws_of
from metacart.inference.records import design_of, spec_of
from metacart.modelling.design import moderators_of, scale_of
from metacart.modelling.imputation import gap_names
from metacart.modelling.moderators import Moderator, main_effects
from metacart.modelling.origins import inferred_rows
from metacart.plots.facts import coefficient_words
from metacart.records.named_priors import find_named
from metacart.records.priors import Prior, parse_prior
from metacart.records.spec import ModelSpec
from metacart.report.observed_words import (
    link_of_groups,
    observed_formulas,
    observed_key,
    observed_words,
)
from metacart.report.tables import Column, Table, table_of
from metacart.report.words import (
    capital,
    column_words,
    count_of,
    decimals,
    exposed_words,
    interval,
    join,
    level_word,
    ratio,
)
from metacart.results.immortal_time import bias_is_prior

if TYPE_CHECKING:
    import xarray as xr

    from metacart.scales import Scale

__all__ = ["formulas", "prior_table", "priors_of", "sentences"]


def priors_of(fit: xr.DataTree) -> dict[str, Prior]:
    """Return the priors of a fit by parameter."""
    texts = json.loads(str(fit.attrs["priors"]))
    return {str(name): parse_prior(text) for name, text in texts.items()}


def sentences(fit: xr.DataTree) -> list[str]:
    """Return the model in words."""
    spec, scale = spec_of(fit), scale_of(design_of(fit))
    words = [observed_words(fit)]
    if "rho" in fit["posterior"]:
        words.append(
            "The true rates of arms differ: they scatter around their mean as a beta distribution, "
            "with a variance of ρ times the most that a rate of this mean can have."
        )
    if spec.random_effects == "none" and "rho" not in fit["posterior"]:
        words.append("All studies share one true value.")
    elif spec.random_effects != "none":
        shape = "the standard deviation τ"
        if spec.random_effects == "student_t":
            shape = (
                f"the scale τ and the heavy tails of a Student t ({spec.nu:g} degrees of freedom)"
            )
        words.append(
            f"The true values of {_group(spec)} differ. On the {scale.linear} scale they scatter "
            f"around a common mean μ with {shape}."
        )
    if spec.tau_by:
        words.append(
            f"The spread τ differs by {column_words(spec.tau_by)}: each level has its own, as it "
            "has its own mean (a location-scale model)."
        )
    if spec.within:
        words.append(
            f"The findings of one of these {_group(spec)} differ too: inside it they scatter with "
            "the standard deviation τ within (a second level)."
        )
    words += _moderator_words(fit)
    if "bias" in fit["posterior"]:
        words.append(_bias_words(fit))
    return [capital(sentence) for sentence in words]


def _moderator_words(fit: xr.DataTree) -> list[str]:
    """Say by what the mean may differ, and what was imputed."""
    moderators = moderators_of(design_of(fit))
    mains = main_effects(moderators)
    if not mains:
        return []
    shifts = [
        f"{column_words(item.name)} (against {level_word(item.levels[0])})"
        if item.levels
        else f"{column_words(item.name)} (a number, {_number_words(item)})"
        for item in mains
    ]
    words = [f"The mean may differ by {join(shifts)}."]
    for item in moderators:
        if item.kind == "interaction":
            first, *others = (column_words(part.name) for part in item.parts)
            words.append(f"The difference by {first} may itself differ by {join(others)}.")
    if inferred := inferred_rows(design_of(fit)).tolist():
        probability = spec_of(fit).certainty["inferred"]
        words.append(
            f"The {column_words('scfv')} of {count_of(len(inferred), 'arm')} is inferred: it is "
            f"taken as recorded with probability {probability:g}, as another with the rest, and "
            "the likelihood of such an arm is the mixture of these."
        )
    if gaps := gap_names(design_of(fit)):
        names = dict.fromkeys(column_words(name.partition(": ")[0]) for name in gaps)
        words.append(
            f"Where a paper does not state {join(names, 'or')}, the value is imputed within the "
            f"model, as a normal one around those that are stated: {count_of(len(gaps), 'value')}."
        )
    return words


def _number_words(item: Moderator) -> str:
    step = item.words or "per unit"
    return f"{step}, from {item.origin:g}" if item.origin else f"{step}, as given"


def _group(spec: ModelSpec) -> str:
    return "studies" if spec.group == "study" else "cohorts (papers that share patients)"


def _bias_words(fit: xr.DataTree) -> str:
    counts = ""
    if design_of(fit)["contrast"].any():
        counts = (
            " Counts at the last follow-up carry less of it than ratios, since events even out "
            "with time: one common b takes too much off papers that enter by counts."
        )
    if bias_is_prior(fit):
        return (
            "No study here handles the waiting time before transplant, so the data say nothing "
            "about the bias b of immortal time. The naive model ignores it; for the "
            "immortal-time-adjusted answer b is drawn from its prior and taken off, draw by draw. "
            + _leaning(fit)
            + counts
        )
    return (
        "Studies that ignore the waiting time before transplant carry a common bias b; the others "
        "do not. The naive model ignores it; the immortal-time-adjusted one estimates it together "
        f"with the rest.{counts}"
    )


def _implied(fit: xr.DataTree) -> tuple[str, tuple[float, float, float]]:
    """Return the prior of mu - b: its name, lower limit, median and upper limit of 95 %."""
    priors = priors_of(fit)
    mu, bias = priors["mu"], priors["bias"]
    if mu.name == bias.name == "Normal":
        middle = mu.arguments[0] - bias.arguments[0]
        known = Prior("Normal", (middle, round(math.hypot(mu.arguments[1], bias.arguments[1]), 3)))
        lower, median, upper = known.quantile([0.025, 0.5, 0.975])
        return str(known), (float(lower), float(median), float(upper))
    lower, median, upper = fit["prior"]["mu"].quantile([0.025, 0.5, 0.975]).to_numpy()
    return "the two priors above, by draws", (float(lower), float(median), float(upper))


def _leaning(fit: xr.DataTree) -> str:
    """Say where the prior of the adjusted ratio lies, which is not where that of mu does."""
    _, (_, median, _) = _implied(fit)
    centre = ratio(math.exp(median))
    if centre == "1.0":
        return "That leaves the prior of the adjusted ratio centred on 1."
    side = "against" if median > 0 else "for"
    return (
        f"That moves the prior too: the prior of the adjusted ratio is centred on {centre}, that "
        f"of the naive one on {ratio(math.exp(_centre(fit)))}. Before any paper it leans {side} "
        f"patients {exposed_words(spec_of(fit).exposure)[0]}."
    )


def _centre(fit: xr.DataTree) -> float:
    return float(priors_of(fit)["mu"].quantile(0.5))


_INDEX = Markup("<sub>{}</sub>")


def formulas(fit: xr.DataTree) -> list[Markup]:
    """Return the model as lines of mathematics."""
    spec, scale = spec_of(fit), scale_of(design_of(fit))
    i, s = _INDEX.format("i"), _INDEX.format("s")
    own = _INDEX.format("s(i)")
    lines = []
    joint = "bias" in fit["posterior"] and not bias_is_prior(fit)
    lines += observed_formulas(fit, joint=joint)
    linear = Markup("θ{} = μ").format(i)
    if moderators_of(design_of(fit)):
        linear += Markup(" + <i>x</i>{}β").format(i)
    effects = spec.random_effects != "none"
    if effects:
        letter = "τ<sub>l(i)</sub><i>z</i>" if spec.tau_by else "<i>u</i>"
        linear += Markup(" + {}{}").format(Markup(letter), own)
    linear += Markup(" + <i>v</i>{}").format(i) if spec.within else Markup("")
    lines.append(linear)
    if effects:
        law = "Normal(0, τ)" if spec.random_effects == "normal" else f"Student-t({spec.nu:g}, 0, τ)"
        letter = "<i>z</i>{} ~ {}" if spec.tau_by else "<i>u</i>{} ~ {}"
        lines.append(Markup(letter).format(s, law.replace("τ", "1") if spec.tau_by else law))
    if spec.within:
        lines.append(Markup("<i>v</i>{} ~ Normal(0, τ within)").format(i))
    if "bias" in fit["posterior"] and not joint:
        lines.append(Markup("immortal-time-adjusted: μ − <i>b</i>, θ{} − <i>b</i>").format(i))
    average, moderated = draws_of(fit).has_average, bool(moderators_of(design_of(fit)))
    lines.append(_estimands(scale, effects, average, moderated))
    key = f"i: findings; s(i): the {spec.group} of finding i{observed_key(fit)}"
    if spec.tau_by:
        key += f"; l(i): its level of {column_words(spec.tau_by)}; u = τ z"
    if spec.within:
        key += "; u of the estimands: the sum of u and v"
    if joint:
        key += "; d: 1 where the waiting time is not handled, else 0"
    lines.append(Markup("<small>{}</small>").format(key))
    return lines


def _estimands(scale: Scale, effects: bool, average: bool, moderated: bool) -> Markup:
    inverse = {"log": "exp", "identity": "", "loglog": "g⁻¹"}.get(scale.name, f"{scale.name}⁻¹")
    parts = [Markup("median study {}(<i>m</i>)").format(inverse)]
    if effects and average:
        parts.append(Markup("population average E[{}(<i>m</i> + <i>u</i>)]").format(inverse))
    if effects:
        parts.append(Markup("next study {}(<i>m</i> + <i>u</i>)").format(inverse))
    mean = Markup("μ + <i>x</i>β") if moderated else Markup("μ")
    drawn = Markup(", <i>u</i> drawn anew") if effects else Markup("")
    return Markup("; ").join(parts) + Markup(", with <i>m</i> = {}{}").format(mean, drawn)


_MEANINGS = {
    "mu": "pooled mean",
    "tau": "spread between studies",
    "tau_within": "spread of findings within a study",
    "bias": "bias of immortal time",
    "baseline": "level of a control group that is counted",
    "rho": "overdispersion between arms",
    "cutpoint": "first cut, between no and any grade",
    "gap": "distance from one cut to the next",
    "tau_spacing": "spread between studies of how far cuts lie apart (its log)",
    "shift": "what a named system of grading adds to its cut",
    "shift_unreported": "what an unnamed system adds to the cut of grade 3",
}
_SYMBOLS = {
    "mu": "μ",
    "tau": "τ",
    "tau_within": "τ within",
    "bias": "b",
    "baseline": "α",
    "rho": "ρ",
    "cutpoint": "κ₁",
    "gap": "κ, gap",
    "tau_spacing": "τ of the spacing",
    "shift": "shift",
    "shift_unreported": "shift, unreported",
}


def prior_table(fit: xr.DataTree) -> Table:
    """Return each prior with what it says in numbers that a reader can judge."""
    spec, scale = spec_of(fit), scale_of(design_of(fit))
    words = coefficient_words(moderators_of(design_of(fit)))
    titles = {name: title.removeprefix("β, ") for name, title in words.items()}
    body = []
    for name, prior in priors_of(fit).items():
        kind, _, coefficient = name.partition(":")
        stated = kind in spec.priors
        body.append(
            (
                _symbol(kind, coefficient),
                str(prior).replace("-", "−"),
                _MEANINGS.get(kind, titles.get(coefficient, "")),
                _says(kind, prior, link_of_groups(spec) if kind == "baseline" else scale),
                _source(spec, name) if stated else "default",
            )
        )
    if bias_is_prior(fit):
        name, (lower, _, upper) = _implied(fit)
        body.append(
            (
                "μ − b",
                name.replace("-", "−"),
                "pooled mean, immortal-time-adjusted",
                f"a ratio of {_ends(lower, upper)} in the median study",
                "follows from μ and b",
            )
        )
    return table_of(
        "Priors: what the model assumes before it sees these papers",
        [
            Column("Parameter"),
            Column("Prior"),
            Column("What it is", "text"),
            Column("95 % of it says", "text"),
            Column("From"),
        ],
        body,
    )


def _symbol(kind: str, coefficient: str) -> str:
    symbol = _SYMBOLS.get(kind, "β" if coefficient else kind)
    return f"{symbol} {coefficient}" if coefficient else symbol


def _source(spec: ModelSpec, parameter: str) -> str:
    """Return whence a stated prior is: the model file, and what it names there."""
    stated = spec.priors.get(parameter)
    named = find_named(stated, parameter) if isinstance(stated, str) else None
    return f"{named.source} (doi {named.doi})" if named else "model file"


def _says(kind: str, prior: Prior, scale: Scale) -> str:
    lower, upper = (float(value) for value in prior.quantile([0.025, 0.975]))
    rate = scale.is_rate
    if kind == "mu":
        ends = interval(float(scale.inverse(lower)), float(scale.inverse(upper)), scale)
        what = f"a {scale.natural}" if rate else "a ratio" if scale.name == "log" else "a value"
        return f"{what} of {ends}{' %' if rate else ''} in the median study"
    if kind == "baseline":
        ends = interval(float(scale.inverse(lower)), float(scale.inverse(upper)), scale)
        return f"events in {ends} % of its patients"
    if kind == "bias":
        return f"time-fixed hazard ratios are off by a factor of {_ends(lower, upper)}"
    if kind in ("tau", "tau_within"):
        top, who = float(prior.quantile(0.95)), "studies" if kind == "tau" else "its findings"
        if scale.name == "log":
            return f"95 % of {who} within a factor of {ratio(math.exp(1.96 * top))} or less"
        return f"a standard deviation of up to {decimals(top)} on the {scale.linear} scale"
    if kind == "beta" and scale.name in ("logit", "log"):
        name = "an odds ratio" if scale.name == "logit" else "a ratio of ratios"
        return f"{name} of {_ends(lower, upper)}"
    return f"{decimals(lower)} to {decimals(upper)}"


def _ends(lower: float, upper: float) -> str:
    return f"{ratio(math.exp(lower))} to {ratio(math.exp(upper))}"
