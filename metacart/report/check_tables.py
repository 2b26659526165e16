"""From the checks of a fit to the tables of the page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from metacart.report.tables import Column, Row, Table, table_of
from metacart.report.words import (
    capital,
    column_words,
    count_of,
    decimals,
    level_word,
    percent,
    probability,
    value_format,
)

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from metacart.scales import Scale

__all__ = [
    "ENGINES",
    "agreement_table",
    "attempts_table",
    "attempts_words",
    "check_name",
    "diagnostics_table",
    "heterogeneity_table",
    "predictive_table",
    "prior_predictive_table",
]

_SPREAD = {
    "tau": ("τ", "standard deviation of the studies' true values"),
    "tau squared": ("τ²", "their variance"),
    "I squared": ("I²", "share of the variance that lies between studies"),
    "tau_within": ("τ within", "standard deviation of the findings' true values inside a study"),
    "tau_within squared": ("τ² within", "their variance"),
    "I squared between": ("I² between", "share of the variance that lies between studies"),
    "I squared within": ("I² within", "share of it between findings of a study"),
    "share between": ("τ² / (τ² + τ² within)", "share of the true variance between studies"),
    "ratio of tau": ("ratio of τ", "how many times as far true values scatter"),
}


def _spread_words(quantity: str) -> tuple[str, str]:
    """Return the title of a quantity, with its level, and what it is."""
    if quantity in _SPREAD:
        return _SPREAD[quantity]
    for name in ("tau squared", "I squared", "ratio of tau", "tau"):
        if quantity.startswith(name):
            title, meaning = _SPREAD[name]
            column, _, level = quantity.removeprefix(name).strip(" ,").partition("[")
            words = f"{column_words(column)}: {level_word(level.removesuffix(']'))}"
            return f"{title}, {words}", meaning
    return quantity, ""


def heterogeneity_table(frame: pd.DataFrame, effects: str) -> Table:
    """Return how much studies differ; `effects` is the distribution of the study effects."""
    body = []
    for row in frame.to_dict("records"):
        quantity = str(row["quantity"])
        title, meaning = _spread_words(quantity)
        if effects == "student_t" and meaning == _SPREAD["tau"][1]:
            meaning = "scale of the Student t of the studies' true values"
        elif effects == "student_t" and meaning == _SPREAD["tau squared"][1]:
            meaning = "its square"
        form = percent if quantity.startswith(("I squared", "share")) else decimals
        unit = " %" if form is percent else ""
        cell = f"{form(row['median'])}{unit} ({form(row['lower'])} to {form(row['upper'])})"
        known = row["median"] == row["median"]
        body.append((title, cell if known else "", meaning, row["note"]))
    return table_of(
        "Spread between studies",
        [
            Column("Quantity"),
            Column("Median (95 % interval)", "number"),
            Column("What it is", "text"),
            Column("Remark", "text"),
        ],
        body,
    )


_CHECKS = {
    "mean": "mean of all findings",
    "SD": "standard deviation of all findings",
    "geometric mean": "geometric mean of all findings",
    "geometric SD": "geometric standard deviation of all findings",
    "lowest": "lowest finding",
    "highest": "highest finding",
    "without events": "number of arms without events",
    "with events only": "number of arms with events only",
}


def check_name(row: Mapping[Any, Any], labels: Mapping[str, str]) -> str:
    """Return a predictive check in words."""
    finding = str(row["finding"])
    if finding:
        return labels.get(finding, finding)
    return _CHECKS.get(str(row["check"]), str(row["check"]))


def predictive_table(frame: pd.DataFrame, labels: Mapping[str, str], scale: Scale) -> Table:
    """Return what was reported beside what the model would report."""
    body = []
    for row in frame.to_dict("records"):
        counted = "events" in str(row["check"])
        form = (lambda value: f"{value:.0f}") if counted else value_format(scale)
        body.append(
            Row(
                (
                    capital(check_name(row, labels)),
                    form(row["observed"]),
                    f"{form(row['lower'])} to {form(row['upper'])}",
                    probability(row["p"]),
                    "surprising" if row["surprising"] else "as expected",
                ),
                "strong" if row["surprising"] else "",
            )
        )
    unit = "; rates in % of patients" if scale.is_rate else ""
    return table_of(
        f"Posterior predictive checks{unit}",
        [
            Column("Check"),
            Column("Reported", "number"),
            Column("95 % of replicates", "number"),
            Column("Mid-p: P(replicate > reported) + half of ties", "number"),
            Column("Verdict"),
        ],
        body,
    )


def agreement_table(frame: pd.DataFrame) -> Table:
    """Return how far two engines are apart in each quantity."""
    apart = frame.pivot_table(index="quantity", columns="statistic", values="errors")
    names = list(dict.fromkeys(frame["quantity"]))
    columns = [apart.loc[names, name] for name in ("mean", "lower", "upper")]
    body = [
        (name, *("" if value != value else f"{value:.1f}" for value in row))
        for name, row in zip(names, zip(*columns, strict=True), strict=True)
    ]
    return table_of(
        "Exact engine and NUTS: differences in Monte Carlo standard errors",
        [
            Column("Quantity"),
            Column("Mean", "number"),
            Column("2.5 % quantile", "number"),
            Column("97.5 % quantile", "number"),
        ],
        body,
    )


def prior_predictive_table(frame: pd.DataFrame, labels: Mapping[str, str], scale: Scale) -> Table:
    """Return what the priors alone would report, beside what was reported."""
    whole = frame[frame["finding"] == ""]
    body = []
    for row in (frame if whole.empty else whole).to_dict("records"):
        counted = "events" in str(row["check"])
        form = (lambda value: f"{value:.0f}") if counted else value_format(scale)
        body.append(
            (
                capital(check_name(row, labels)),
                f"{form(row['lower'])} to {form(row['upper'])}",
                form(row["observed"]),
                "outside" if row["surprising"] else "inside",
            )
        )
    unit = "; rates in % of patients" if scale.is_rate else ""
    return table_of(
        f"Prior predictive: what the model would report before it sees these papers{unit}",
        [
            Column("Check"),
            Column("95 % of what the priors predict", "number"),
            Column("Reported", "number"),
            Column("The reported value lies"),
        ],
        body,
    )


def _whole(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ") if value > 0 else ""


def diagnostics_table(frame: pd.DataFrame) -> Table:
    """Return how well each quantity was sampled."""
    body = [
        (
            row["quantity"],
            f"{row['r_hat']:.3f}" if row["r_hat"] > 0 else "",
            *(_whole(row[name]) for name in ("ess_bulk", "ess_tail")),
            *(f"{100.0 * row[f'mcse_{name}']:.1f} %" for name in ("mean", "lower", "upper")),
        )
        for row in frame.to_dict("records")
    ]
    return table_of(
        "Sampler diagnostics; Monte Carlo errors as shares of the posterior SD",
        [
            Column("Quantity"),
            Column("R̂", "number"),
            Column("ESS, bulk", "number"),
            Column("ESS, tail", "number"),
            Column("Error: mean", "number"),
            Column("2.5 % quantile", "number"),
            Column("97.5 % quantile", "number"),
        ],
        body,
    )


ENGINES = {"nuts": "NUTS", "exact": "exact"}


def _attempts(fit: xr.DataTree) -> list[dict[str, Any]]:
    # fits saved by earlier versions have none
    return list(json.loads(str(fit.attrs.get("attempts", "[]"))))


def attempts_words(fit: xr.DataTree) -> str:
    """Say which runs failed before the one that is shown; nothing where the first one passed."""
    *before, last = _attempts(fit) or [{}]
    # the parts of a chain are runs of their own
    failed = [each for each in before if each["failure"]]
    if not failed:
        return ""
    listed = "; ".join(
        f"{ENGINES.get(each['method'], each['method'])}, {each['settings']}: {each['failure']}"
        for each in failed
    )
    what = "failed too" if last["failure"] else "passed"
    runs = "one run" if len(failed) == 1 else f"{count_of(len(failed), 'run')}"
    return f"Before the run shown, which {what}, {runs} did not pass ({listed})."


def attempts_table(fit: xr.DataTree) -> Table:
    """Return every run of the engine, the last one that of the draws shown."""
    body = [
        (
            str(number),
            ENGINES.get(each["method"], each["method"]),
            str(each["settings"]).replace(" -", " −"),
            _whole(each["draws"]),
            each["failure"] or "passed",
        )
        for number, each in enumerate(_attempts(fit), 1)
    ]
    return table_of(
        "Runs; the draws shown are those of the last one",
        [
            Column("Run"),
            Column("Engine"),
            Column("Settings", "text"),
            Column("Draws a chain", "number"),
            Column("Convergence gate", "text"),
        ],
        body,
    )
