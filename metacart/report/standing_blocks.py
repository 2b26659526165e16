"""What single studies do to an answer: influence, conflict with the others, and year by year."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from metacart.evidence.collection import Studies
from metacart.inference.keeping import Cache
from metacart.inference.records import design_of, evidence_of, spec_of
from metacart.modelling.columns import is_missing
from metacart.modelling.design import moderators_of, scale_of
from metacart.plots.facts import coefficient_words
from metacart.report.leave_table import headline_of
from metacart.report.parts import Block
from metacart.report.refit_words import no_answer_words
from metacart.report.tables import Column, Row, Table, table_of
from metacart.report.words import (
    capital,
    count_of,
    decimals,
    estimate,
    join,
    number_word,
    probability,
    value_format,
)
from metacart.results.conflict import SURPRISING, conflict
from metacart.results.cumulative import cumulative
from metacart.results.influence import influence

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from metacart.scales import Scale

__all__ = ["standing_blocks"]

Record = Mapping[Any, Any]
_SHOWN = 10
_ONE_COHORT = (
    "All papers of this answer are of one cohort: none can be left out, and nothing says what one "
    "of them does to the answer."
)
_LARGE = 1.0  # a shift of so many posterior SDs
_SYMBOLS = {"mu_shift": "μ, the middle of the studies", "tau_shift": "τ, their spread"}


def standing_blocks(
    fit: xr.DataTree, studies: Studies, labels: Mapping[str, str], cache: Cache | None
) -> tuple[tuple[Block, ...], dict[str, pd.DataFrame]]:
    """Return what each study does to an answer in sentences and tables, and the whole tables.

    Parameters
    ----------
    fit : DataTree
        From ``fit``, of one mean.
    studies : Studies
        Of which the evidence is.
    labels : mapping of str to str
        Each finding by the words of a reader.
    cache : Cache or None
        Where refits are kept.
    """
    scale, evidence = scale_of(design_of(fit)), evidence_of(fit)
    blocks: list[Block] = []
    frames: dict[str, pd.DataFrame] = {}
    if len(set(evidence["cohort"])) == 1:
        blocks.append(Block(words=_ONE_COHORT))
    else:
        if spec_of(fit).tau_by is None:
            frames["influence"] = frame = influence(fit, cache=cache, progress=False)
            blocks += [
                Block(words=_influence_words(frame, studies)),
                Block(table=_influence_table(frame, studies), folded="How far each study moves it"),
            ]
        frames["conflict"] = frame = conflict(fit, cache=cache, progress=False)
        titles = coefficient_words(moderators_of(design_of(fit)))
        blocks += [
            Block(words=_conflict_words(frame, labels, titles)),
            Block(
                table=_conflict_table(frame, labels, scale),
                folded="Each finding beside what the others predict",
            ),
        ]
        if (splits := _split_table(frame, titles)) is not None:
            blocks.append(Block(table=splits, folded="Within studies beside across studies"))
    years = [] if "year" not in evidence.columns else evidence["year"].tolist()
    if len(set(years)) > 1 and not any(is_missing(year) for year in years):
        frame = cumulative(fit, together=True, cache=cache, progress=False)
        frames["cumulative"] = frame
        blocks += [
            Block(words=_cumulative_words(frame, scale)),
            Block(table=_cumulative_table(frame, studies, scale), folded="The answer year by year"),
        ]
    return tuple(blocks), frames


def _labels(names: str, studies: Studies) -> str:
    return join(studies[name].label for name in names.split(", "))


# --- influence -----------------------------------------------------------------------------------


def _influence_words(frame: pd.DataFrame, studies: Studies) -> str:
    """Say which study moves mu and tau most, and whether that is much."""
    known = [name for name in _SYMBOLS if frame[name].notna().any()]
    if not known:
        return "Influence: without any one of these papers the rest cannot be fitted."
    said = []
    for name in known:
        row = frame.iloc[int(np.nanargmax(frame[name].abs()))]
        shift = decimals(float(row[name]))
        sign = "" if shift.startswith("−") or float(shift) == 0.0 else "+"
        said.append(f"{_SYMBOLS[name]}, moves most without {_labels(row['studies'], studies)}, by "
                    f"{sign}{shift} posterior SD")  # fmt: skip
    large = int((frame[known].abs() >= _LARGE).any(axis=1).sum())
    many = (
        "No single study moves either by a whole SD or more."
        if not large
        else f"{capital(count_of(large, 'paper', 'papers'))} "
        f"{'moves' if large == 1 else 'move'} one of them by a whole SD or more, which is much."
    )
    lost = int(frame["mu_shift"].isna().sum())
    gone = (
        f" Without {'one' if lost == 1 else number_word(lost)} of {len(frame)} the rest cannot be "
        "fitted."
        if lost
        else ""
    )
    return f"Influence: {'; '.join(said)}. {many}{gone}"


def _influence_table(frame: pd.DataFrame, studies: Studies) -> Table:
    body = []
    for row in frame.head(_SHOWN).to_dict("records"):
        shifts = [decimals(row[name]) if row[name] == row[name] else "" for name in _SYMBOLS]
        computed = no_answer_words(row["computed"])
        body.append((_labels(row["studies"], studies), *shifts, decimals(row["k_hat"]), computed))
    most = f": of {len(frame)} the {number_word(_SHOWN)} that move it most"
    return table_of(
        "Influence: posterior mean without these papers minus that with them, in posterior SDs"
        + (most if len(frame) > _SHOWN else ""),
        [
            Column("Left out", "text"),
            Column("Shift of μ", "number"),
            Column("Shift of τ", "number"),
            Column("Pareto k̂ of the weights", "number"),
            Column("Computed", "text"),
        ],
        body,
    )


# --- conflict ------------------------------------------------------------------------------------


def _conflict_words(
    frame: pd.DataFrame, labels: Mapping[str, str], titles: Mapping[str, str]
) -> str:
    """Say which findings the others do not expect, and what node splits found."""
    found = frame[(frame["row"] == "study") & frame["p_two_sided"].notna()]
    if found.empty:
        words = "Conflict: no finding could be predicted from the others."
    else:
        chance = f"by chance about {SURPRISING * len(found):.1f} of {len(found)} would be"
        unlike = found[found["conflict"]].sort_values("p_two_sided", kind="stable")
        least = found.iloc[int(np.argmin(found["p_two_sided"]))]
        limit = f"two-sided p below {SURPRISING:g}"
        if unlike.empty:
            words = (
                "Conflict: each finding lies where a fit of the others expects it. The smallest "
                f"two-sided p is {probability(least['p_two_sided'])} ({_finding(least, labels)})."
            )
        else:
            names = [
                f"{_finding(row, labels)} (p {_p(row['p_two_sided'])})"
                for row in unlike.head(_SHOWN).to_dict("records")
            ]
            more = len(unlike) - len(names)
            listed = join([*names, f"{number_word(more)} more"] if more else names)
            words = (
                f"Conflict: {number_word(len(unlike))} of {number_word(len(found))} findings "
                f"{'is' if len(unlike) == 1 else 'are'} not what a fit of the others expects "
                f"({limit}; {chance}): {listed}."
            )
    for row in frame[frame["row"] == "difference"].to_dict("records"):
        title = titles.get(row["name"], row["name"])
        if row["p_two_sided"] == row["p_two_sided"]:
            said = "disagree" if row["conflict"] else "do not disagree"
            words += (
                f" {title}: what patients of one study show and what studies show across each "
                f"other {said} (two-sided p {_p(row['p_two_sided'])})."
            )
        else:
            words += (
                f" {title}: within and across studies cannot be set apart, for {row['computed']}."
            )
    return words


def _p(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.3f}" if value < 0.1 else probability(value)


def _finding(row: Any, labels: Mapping[str, str]) -> str:
    return labels.get(str(row["name"]), str(row["name"]))


def _conflict_table(frame: pd.DataFrame, labels: Mapping[str, str], scale: Scale) -> Table:
    form = value_format(scale)
    found = frame[frame["row"] == "study"].sort_values("p_two_sided", kind="stable")
    body = []
    for row in found.head(_SHOWN).to_dict("records"):
        known = row["p_two_sided"] == row["p_two_sided"]
        body.append(
            Row(
                (
                    _finding(row, labels),
                    form(row["observed"]) if known else "",
                    f"{form(row['median'])} ({form(row['lower'])} to {form(row['upper'])})"
                    if known
                    else no_answer_words(row["computed"]),
                    _p(row["p_two_sided"]) if known else "",
                ),
                "strong" if row["conflict"] else "",
            )
        )
    unit = ", rates in % of patients" if scale.is_rate else ""
    most = f": of {len(found)} the {number_word(_SHOWN)} least expected"
    # reasons are broken over lines, numbers are not
    reasons = found["p_two_sided"].head(_SHOWN).isna().any()
    return table_of(
        f"Conflict: each finding beside what a fit without its cohort predicts{unit}"
        + (most if len(found) > _SHOWN else ""),
        [
            Column("Finding", "text"),
            Column("Reported", "number"),
            Column("Predicted from the others (95 %)", "text" if reasons else "number"),
            Column("Two-sided p", "number"),
        ],
        body,
    )


def _split_table(frame: pd.DataFrame, titles: Mapping[str, str]) -> Table | None:
    """Return the node splits; none where no coefficient can be split."""
    rows = frame[(frame["row"] != "study") & frame["median"].notna()].to_dict("records")
    if not rows:
        return None
    return table_of(
        "Node split: the effect within studies and across them, on the model scale",
        [
            Column("Effect", "text"),
            Column("Where"),
            Column("Median (95 % interval)", "number"),
            Column("Two-sided p", "number"),
        ],
        [
            (
                titles.get(row["name"], row["name"]),
                row["row"],
                f"{decimals(row['median'])} ({decimals(row['lower'])} to {decimals(row['upper'])})",
                _p(row["p_two_sided"]) if row["row"] == "difference" else "",
            )
            for row in rows
        ],
    )


# --- year by year --------------------------------------------------------------------------------


def _cumulative_words(frame: pd.DataFrame, scale: Scale) -> str:
    """Say what the answer was at first, and since when it is what it is now."""
    name = headline_of(frame)
    rows = frame[frame["estimand"] == name].to_dict("records")
    known = [row for row in rows if row["median"] == row["median"]]
    first, last = known[0], known[-1]
    if len(known) == 1:
        return (
            f"Year by year: the papers before {last['value']} alone give no {name}: "
            f"{no_answer_words(rows[0]['computed'])}."
        )
    steady = len(known) - 1
    while steady and last["lower"] <= known[steady - 1]["median"] <= last["upper"]:
        steady -= 1
    upto = (
        f"the papers of {first['value']} alone give"
        if first is rows[0]
        else f"the papers up to {first['value']} are the first to give"
    )
    since = (
        "it has lain inside today's interval ever since"
        if not steady
        else f"since {known[steady]['value']} it lies inside today's interval"
    )
    return (
        f"Year by year: {upto} a {name} of {estimate(first, scale)}, all papers up to "
        f"{last['value']} {estimate(last, scale)}; {since}."
    )


def _cumulative_table(frame: pd.DataFrame, studies: Studies, scale: Scale) -> Table:
    name = headline_of(frame)
    body = []
    for row in frame[frame["estimand"] == name].to_dict("records"):
        known = row["median"] == row["median"]
        entered = row["added"].split(", ")
        body.append(
            (
                str(row["value"]),
                join(studies[each].label for each in entered),
                str(row["step"]),
                estimate(row, scale) if known else f"no answer: {no_answer_words(row['computed'])}",
            )
        )
    # reasons are broken over lines, numbers are not
    reasons = any(row[-1].startswith("no answer") for row in body)
    return table_of(
        f"{capital(name)} of all papers up to a year, fitted with the same priors",
        [
            Column("Up to"),
            Column("Papers that entered", "text"),
            Column("Studies", "number"),
            Column("Median (95 % interval)", "text" if reasons else "number"),
        ],
        body,
    )
