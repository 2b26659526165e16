"""What immortal time and selection may do to an answer, as tables of the page with a sentence."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from metacart.report.tables import Column, Row, Table, table_of
from metacart.report.words import capital, count_of, decimals, estimate, probability, ratio
from metacart.results.bias_sensitivity import bias_prior
from metacart.results.immortal_time import bias_is_prior
from metacart.scales import SCALES

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = [
    "bias_rows",
    "bias_words",
    "grid_rows",
    "selection_rows",
    "selection_words",
    "simulated_words",
    "tipping_rows",
    "tipping_words",
]

_NAMED = ("median study", "next study")
_VIEWS = {"naive": "naive", "immortal-time-adjusted": "adjusted"}


def _cell(row: Any) -> str:
    """Return the ratio of a row with its interval; nothing where there is none."""
    return "no answer" if math.isnan(row["median"]) else estimate(row, SCALES["log"])


def _p(row: Any) -> str:
    return "" if math.isnan(row["p_below_one"]) else probability(row["p_below_one"])


def simulated_words(frame: pd.DataFrame, fit: xr.DataTree) -> str:
    """Say what a transplant without effect shows, and what the prior of the bias says."""
    fixed = frame[frame["method"] == "time-fixed"]
    low, high = (ratio(float(end)) for end in (fixed["hr"].min(), fixed["hr"].max()))
    counts = [ratio(math.exp(end)) for end in (fixed["cloglog"].min(), fixed["cloglog"].max())]
    lower, middle, upper = (
        ratio(math.exp(end)) for end in bias_prior(fit).quantile([0.025, 0.5, 0.975])
    )
    return (
        f"Compared time-fixed, a transplant that does nothing shows a hazard ratio of {low} to "
        f"{high} with these papers' times (means of the replicates); the prior of b says {middle} "
        f"({lower} to {upper}). By counts at the last follow-up it is {counts[0]} to {counts[1]}: "
        "these carry less of it than ratios, so where papers enter by counts one common b takes "
        "too much off."
    )


def bias_rows(frame: pd.DataFrame) -> Table:
    """Return the ratio under each prior of the bias."""
    body = []
    for bias, rows in frame.groupby("bias", sort=False):
        of = {str(row["estimand"]): row for row in rows.to_dict("records")}
        declared = bool(rows["declared"].any())
        computed = str(rows["computed"].iloc[0])
        label = str(bias).replace("-", "−") + (", as declared" if declared else "")
        if rows["median"].isna().any():
            label += f" ({computed})"
        cells = [form(of[name]) for name in _NAMED for form in (_cell, _p)]
        body.append(Row((label, *cells), "strong" if declared else ""))
    return table_of(
        "Under other priors of the bias b: hazard ratio, median (95 % interval)",
        [Column("Bias", "text"), *_pairs()],
        body,
    )


def _pairs() -> list[Column]:
    return [
        column
        for name in _NAMED
        for column in (Column(capital(name), "number"), Column("P(HR < 1)", "number"))
    ]


def bias_words(frame: pd.DataFrame) -> str:
    """Say what the width of the prior of the bias does."""
    rows = frame[(frame["estimand"] == "median study") & (frame["bias"] != "b = 0 (naive)")]
    rows = rows.dropna(subset=["p_below_one"])
    if rows.empty:
        return "None of these fits can be used."
    first, last = (
        probability(rows["p_below_one"].iloc[0]),
        probability(rows["p_below_one"].iloc[-1]),
    )
    moves = f"goes from {first} to {last}" if first != last else f"stays at {first}"
    return (
        "All priors of b have the same centre: the less is taken for granted about the bias, the "
        "wider the interval. From the narrowest to the widest P(HR < 1) of the median study "
        f"{moves}."
    )


def tipping_rows(frame: pd.DataFrame) -> Table:
    """Return the bias at which the answer tips, each with how likely the prior takes it to be."""
    body = []
    for row in frame[frame["row"] == "threshold"].to_dict("records"):
        known = row["bias"] < 0.0  # else the words say what there is instead
        body.append(
            (
                capital(str(row["estimand"])),
                f"{row['falls_under']:g}",
                decimals(row["bias"], row["mcse_bias"]) if known else "",
                ratio(row["factor"]) if known else "",
                probability(row["beyond"]) if known else "",
                "" if known else str(row["words"]),
            )
        )
    return table_of(
        "How large a bias tips the answer: b the same, and known, in every study that carries it",
        [
            Column("Estimand"),
            Column("P(HR < 1) under", "number"),
            Column("b", "number"),
            Column("Hazard ratio that immortal time alone gives", "number"),
            Column("Prior probability of so much bias or more", "number"),
            Column("Instead", "prose"),
        ],
        body,
    )


def grid_rows(frame: pd.DataFrame) -> Table:
    """Return the ratio at each value of the bias."""
    grid = frame[frame["row"] == "grid"]
    body = []
    for _, rows in grid.groupby("bias", sort=False):
        of = {str(row["estimand"]): row for row in rows.to_dict("records")}
        first = of[_NAMED[0]]
        cells = [form(of[name]) for name in _NAMED for form in (_cell, _p)]
        body.append((decimals(first["bias"]), ratio(first["factor"]), *cells))
    return table_of(
        "If b were known: hazard ratio with it taken off, median (95 % interval)",
        [Column("b"), Column("Hazard ratio of immortal time alone", "number"), *_pairs()],
        body,
    )


def tipping_words(fit: xr.DataTree) -> str:
    """Say how to read the tipping point."""
    how = (
        "The naive draws are shifted; nothing is fitted again."
        if bias_is_prior(fit)
        else "Studies that handle the waiting time do not move, so each value is a fit of its own."
    )
    return (
        "The tipping point asks for no prior of the bias, only which size of it would change the "
        f"answer; whether that size is plausible the simulated times to transplant say. {how}"
    )


def selection_rows(frame: pd.DataFrame, *, short: bool = False) -> Table:
    """Return the ratio of each pool, naive and adjusted; in short only failures say why."""
    body = []
    views = [
        (f"{name} ({view})", f"{capital(name)}, {short}")
        for view, short in _VIEWS.items()
        for name in _NAMED
    ]
    known = set(frame["estimand"])
    names = [pair for pair in views if pair[0] in known] or [(n, capital(n)) for n in _NAMED]
    for pool, rows in frame.groupby("pool", sort=False):
        of = {str(row["estimand"]): row for row in rows.to_dict("records")}
        failed = rows["median"].isna().any()
        why = str(rows["computed" if failed else "reason"].iloc[0])
        cells = [_cell(of[name]) for name, _ in names]
        count = int(rows["studies"].iloc[0])
        row = (capital(str(pool)), str(count), *cells, capital(why) if failed or not short else "")
        body.append(Row(row, "strong" if pool == "as pooled" else ""))
    return table_of(
        "What selection may do: hazard ratio, median (95 % interval)",
        [
            Column("Pool"),
            Column("Studies", "number"),
            *(Column(heading, "number") for _, heading in names),
            Column("Why", "prose"),
        ],
        body,
    )


def selection_words(frame: pd.DataFrame) -> str:
    """Say what the two other pools are worth."""
    counts = frame[frame["pool"] == "counts only"]
    few = int(counts["studies"].iloc[0])
    text = (
        "Neither pool corrects for selection: they show how far one silent study, and the results "
        "that are printed as counts, would move the answer."
    )
    if 0 < few <= 3:
        text += f" With {count_of(few, 'study')} that give counts, that pool is mostly its priors."
    return text
