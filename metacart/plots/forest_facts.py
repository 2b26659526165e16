"""What stands around the rows of a forest plot: headings, differences, footer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from metacart.inference.records import design_of, spec_of
from metacart.modelling.design import moderators_of, scale_of
from metacart.plots.facts import (
    Measure,
    axis_words,
    capital,
    failure_of,
    favours,
    measure_of,
    name_of,
    null_of,
    priors_of,
    ratio_name,
    subtracted,
    title_of,
)
from metacart.plots.forest_differences import differences_of
from metacart.plots.forest_entries import Difference, ForestRow
from metacart.plots.forest_layouts import Evidence, Layout
from metacart.plots.forest_order import counted
from metacart.results.heterogeneity import heterogeneity
from metacart.results.numbers import describe

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from metacart.scales import Scale

__all__ = ["Facts", "gather"]

_GREEK = {
    "mu": "μ", "tau": "τ", "tau_within": "τ within", "beta": "β", "bias": "bias b", "rho": "ρ",
    "baseline": "baseline of counts",
}  # fmt: skip
_SHORT = {"hazard ratio": "HR", "odds ratio": "OR", "risk ratio": "RR"}
_COUNTS = ("events", "total", "control_events", "control_total")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What stands around the rows of a forest plot.

    Attributes
    ----------
    measure : {"rate", "ratio", "value"}
        What the natural scale is.
    title, alt : str
        For readers who do not see the figure.
    evidence : {"arms", "groups", "estimates"}
        What the studies report.
    axis_label, estimate_heading, measure_words : str
        Headings, and the measure in full.
    sums : mapping of str to mapping of str to float
        Events, patients and weights of ``""`` (all studies) and of each subgroup.
    sides : (str, str) or None
        What ratios below and above one favour.
    null : float or None
        Where no difference is.
    moderator : str
        The word before the level in the headings of subgroups.
    levels : tuple of str
        The subgroups.
    differences : tuple of Difference
        Between subgroups.
    notes : tuple of str
        Paragraphs of the footer.
    weights : str
        What the weights are, where there are any.
    warning : str
        What must be said first.
    crude : str
        What the squares and their intervals are.
    """

    measure: Measure
    title: str
    alt: str
    evidence: Evidence
    axis_label: str
    estimate_heading: str
    measure_words: str
    sums: Mapping[str, Mapping[str, float]]
    sides: tuple[str, str] | None = None
    null: float | None = 1.0
    moderator: str = ""
    levels: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()
    notes: tuple[str, ...] = ()
    weights: str = ""
    warning: str = ""
    crude: str = ""


def gather(
    fit: xr.DataTree,
    rows: Sequence[ForestRow],
    *,
    subgroups: str | Literal[False] | None,
    layout: Layout,
) -> Facts:
    """Return what stands around the rows of a fit's forest plot.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.
    rows : sequence of ForestRow
        Its ``forest_table``, read.
    subgroups : str or False, optional
        The moderator of the blocks; the first categorical one by default, False for none.
    layout : Layout
        How the two sides of a comparison are named.

    Returns
    -------
    Facts
    """
    design = design_of(fit)
    scale = scale_of(design)
    measure = measure_of(scale)
    studies = [row for row in rows if row.kind == "study"]
    moderator, levels, differences, remark = differences_of(fit, subgroups, measure)
    levels = tuple(level for level in levels if any(row.subgroup == level for row in studies))
    summed = {row.subgroup for row in rows if row.kind == "subgroup"}
    alone = [level for level in levels if level not in summed]
    size = _size(studies)
    ratio = capital(ratio_name(fit))
    heading = {
        "rate": f"{scale.natural.capitalize()}\n%",
        "ratio": _SHORT.get(ratio_name(fit), ratio),
        "value": "Estimate",
    }
    notes = [
        f"{size} {_spread(fit)} {_model(fit)}",
        _rows(studies, measure),
        _estimands(fit, rows, measure),
        _transplant(fit),
        "A subgroup of one study has no summary of its own." if alone else "",
        remark,
    ]
    return Facts(
        measure=measure,
        title=title_of(fit),
        alt=_alt(title_of(fit), rows, measure, size),
        axis_label=axis_words(fit),
        estimate_heading=heading[measure],
        evidence=_evidence(studies),
        measure_words={
            "rate": f"{scale.natural.capitalize()}, %",
            "ratio": ratio,
            "value": "Estimate",
        }[measure],
        sums=_sums_of(studies),
        sides=favours(fit, named=layout.favours),
        null=null_of(fit),
        moderator=name_of(moderator) if moderator else "",
        levels=levels,
        differences=differences,
        notes=tuple(note for note in notes if note),
        weights=_weights(fit, studies),
        warning=failure_of(fit),
        crude=f"as reported, area by {'patients' if counted(studies) else 'precision'}",
    )


def _sums(studies: Sequence[ForestRow]) -> tuple[float, float]:
    return sum(row.events for row in studies), sum(row.total for row in studies)


def _evidence(studies: Sequence[ForestRow]) -> Evidence:
    if counted(studies):
        return "arms"
    groups = all(np.isfinite(value) for row in studies for value in row.counts.values())
    return "groups" if groups else "estimates"


def _sums_of(studies: Sequence[ForestRow]) -> dict[str, dict[str, float]]:
    """Return what all studies and each subgroup counted, where each of them counted it."""
    return {
        level: {
            name: sum(row.counts[name] for row in studies if level in ("", row.subgroup))
            for name in _COUNTS
        }
        | {"weight": sum(row.weight for row in studies if level in ("", row.subgroup))}
        for level in ("", *dict.fromkeys(row.subgroup for row in studies))
    }


def _size(studies: Sequence[ForestRow]) -> str:
    number, arms = len({row.study for row in studies}), len(studies)
    events, total = _sums(studies)
    counted = bool(np.isfinite(total))
    text = f"{number} {'study' if number == 1 else 'studies'}"
    if arms > number:
        text += f" ({arms} {'arms' if counted else 'findings'})"
    if counted:
        text += f", {total:.0f} {'patient' if total == 1 else 'patients'}"
        text += f", {events:.0f} {'event' if events == 1 else 'events'}"
    return text + "."


def _spread(fit: xr.DataTree) -> str:
    spec, scale = spec_of(fit), scale_of(design_of(fit))
    table = heterogeneity(fit).set_index("quantity")
    if "rho" in fit["posterior"]:
        rho = describe(fit["posterior"]["rho"].to_numpy())
        median, lower, upper = (rho[name] for name in ("median", "lower", "upper"))
        return f"Overdispersion ρ between arms: {median:.2f} [{lower:.2f}–{upper:.2f}]."
    spreads = [name for name in table.index if name.startswith("tau") and "squared" not in name]
    if not spreads:
        return "No study effects: all studies share one true value."
    if spreads != ["tau"]:
        return _spreads(table, spreads, scale)
    row: Any = table.loc["tau"]
    median, lower, upper = (float(row[name]) for name in ("median", "lower", "upper"))
    linear = "log scale" if design_of(fit).attrs["quantity"] else scale.linear
    unit = "" if scale.name == "identity" else f" ({linear})"
    heavy = spec.random_effects == "student_t"
    name = f"scale τ{unit} of Student-t effects, ν = {spec.nu:g}" if heavy else f"SD τ{unit}"
    text = f"Between-study {name}: {_short(median)} [{_short(lower)}–{_short(upper)}]"
    if heavy and spec.nu > 2:
        text += f", SD {_short(median * np.sqrt(spec.nu / (spec.nu - 2)))}"
    return f"{text}."


def _spreads(table: pd.DataFrame, names: Sequence[str], scale: Scale) -> str:
    """Return every spread where there are several, of levels or of findings inside studies."""
    unit = "" if scale.name == "identity" else f" ({scale.linear})"
    parts = []
    for name in names:
        row: Any = table.loc[name]
        median, lower, upper = (_short(float(row[end])) for end in ("median", "lower", "upper"))
        level = name.partition("[")[2].removesuffix("]")
        where = {"tau": "between studies ", "tau_within": "within studies "}.get(name, "")
        where = where or f"{level} "
        parts.append(f"{where}{median} [{lower}–{upper}]")
    return f"SD τ{unit}: {'; '.join(parts)}."


def _short(value: float) -> str:
    return f"{value:.2f}" if value < 9.995 else f"{value:.3g}"


def _model(fit: xr.DataTree) -> str:
    spec = spec_of(fit)
    title = design_of(fit).attrs["title"]
    effects = {
        "normal": f"normal effects of each {spec.group}",
        "student_t": f"Student-t effects of each {spec.group}",
        "none": f"no effects of {spec.group}",
    }[spec.random_effects]
    effects += f", τ by {name_of(spec.tau_by)}" if spec.tau_by else ""
    effects += ", normal effects of each finding within it" if spec.within else ""
    stated = _stated(priors_of(fit))
    priors = f"; priors {', '.join(stated)}" if stated else ""
    return f"Model: {title}; {effects}{priors}."


def _stated(priors: Mapping[str, str]) -> list[str]:
    """Return each prior in words; levels of one moderator with the same prior stand together."""
    alike: dict[tuple[str, str], list[str]] = {}
    for name, prior in priors.items():
        kind, _, coefficient = name.partition(":")
        base = coefficient.partition("[")[0] if kind == "beta" else coefficient
        alike.setdefault((f"{_GREEK.get(kind, kind)} {base}".strip(), prior), []).append(name)
    stated = []
    for (words, prior), names in alike.items():
        coefficient = names[0].partition(":")[2]
        whole = f"{words.split(' ')[0]} {coefficient}" if coefficient else words
        each = f"each of {len(names)} {words}" if len(names) > 1 else whole
        stated.append(f"{each} ~ {prior.replace('-', '−')}")
    return stated


def _rows(studies: Sequence[ForestRow], measure: Measure) -> str:
    crude = "95 % interval"
    if counted(studies):
        crude = f"exact (Clopper–Pearson) {crude}"
    elif measure == "rate" or all(row.places is not None for row in studies):
        crude = f"{crude} as printed"
    text = f"Studies: as reported, {crude}. Pooled: posterior median, 95 % equal-tailed interval."
    if any(" v " in row.reported and "/" in row.reported for row in studies):
        text += (
            " Counts: events/patients, exposed v others; their interval is that of the profile "
            "likelihood, with nothing added to a cell."
        )
    return text


def _weights(fit: xr.DataTree, studies: Sequence[ForestRow]) -> str:
    if not any(np.isfinite(row.weight) for row in studies):
        return ""
    spread = "" if spec_of(fit).random_effects == "none" else " + τ²"
    spread += " + τ² within" if spec_of(fit).within else ""
    return (
        "Weight: share of information at the posterior, "
        f"1/(variance within the study{spread}); the fit does not use it."
    )


def _estimands(fit: xr.DataTree, rows: Sequence[ForestRow], measure: Measure) -> str:
    parts, what = [], str(design_of(fit).attrs["quantity"]) or measure
    if any(row.label.startswith("population average") for row in rows):
        parts.append(f"Population average: mean {what} of all studies like these.")
    middle = (
        "that half of all arms exceed"
        if "rho" in fit["posterior"]
        else "where the study effect is zero"
    )
    parts.append(f"Median study: {what} {middle}.")
    if any(row.kind == "prediction" for row in rows):
        parts.append(f"Next study: true {what} of one more (prediction interval).")
    if moderators_of(design_of(fit)):
        parts.append("Moderators not stated: averaged over the rows of the evidence.")
    return " ".join(parts)


def _transplant(fit: xr.DataTree) -> str:
    if "bias" not in fit["posterior"]:
        return ""
    if subtracted(fit):
        return (
            "Adjusted: less the bias of immortal time, drawn from its prior, for no study here "
            "handled it. Studies and all else are naive."
        )
    return (
        "The bias of immortal time is estimated from studies that handled it and those that did "
        "not."
    )


def _alt(title: str, rows: Sequence[ForestRow], measure: Measure, size: str) -> str:
    factor, unit = (100.0, " %") if measure == "rate" else (1.0, "")
    parts = [f"Forest plot: {title}. {size}"]
    for row in rows:
        if row.kind == "study":
            continue
        name = capital(f"{row.subgroup}, {row.label}" if row.subgroup else row.label)
        low, middle, high = (
            f"{factor * value:.3g}"
            for value in (row.model.lower, row.model.middle, row.model.upper)
        )
        parts.append(f"{name}: {middle}{unit} (95 % interval {low} to {high}).")
    return " ".join(parts)
