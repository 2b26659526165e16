"""From the DataFrames of a fit to the tables of the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from metacart.inference.records import design_of, spec_of
from metacart.modelling.design import moderators_of, scale_of
from metacart.report.tables import Column, Row, Table, table_of
from metacart.report.words import (
    capital,
    column_words,
    decimals,
    estimate,
    level_word,
    probability,
    ratio,
)
from metacart.results.contrast import mostly_prior
from metacart.results.summary import summary_with_errors, views_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from metacart.scales import Scale

__all__ = [
    "NAMED",
    "contrast_table",
    "estimand_table",
    "level_table",
    "points",
    "threshold_table",
]

NAMED = ("median study", "population average", "next study")
_MEANINGS = {
    "median study": "the true {what} of the study in the middle of all studies like these",
    "population average": "the mean of the true {what}s of all studies like these",
    "next study": "the true {what} of one more study like these, its sampling error left out",
    "SD of study effects": "standard deviation of the studies' true values, {linear}",
    "bias (log scale)": "b, log of the factor by which immortal time changes a hazard ratio",
}
_TITLES = {
    "SD of study effects": "SD of study effects",
    "bias (log scale)": "Bias of immortal time",
}


def _what(scale: Scale) -> str:
    return scale.natural


def estimand_table(fit: xr.DataTree, summary: pd.DataFrame) -> Table:
    """Return the named estimands and what each is; two readings stand side by side.

    Probabilities and tau have tables of their own.
    """
    scale = scale_of(design_of(fit))
    views = list(views_of(fit).values())
    rows = {str(row["estimand"]): row for row in summary.to_dict("records")}
    body = []
    for name in NAMED:
        found = [rows[each] for view in views if (each := _of_view(name, view)) in rows]
        if found:
            error = _error(found[0], name, scale) if len(views) == 1 else ""
            cells = [_cell(row, name, scale) for row in found]
            body.append(Row((capital(name), *cells, _meaning(name, "", scale), error), "strong"))
    for name, row in rows.items():
        if name.startswith("beta ") or name in _TITLES:
            cells = [_cell(row, name, scale)] * len(views)
            if name.startswith("bias") and len(views) > 1:
                cells[0] = "not applied"
            error = _error(row, name, scale) if len(views) == 1 else ""
            title = _TITLES.get(name) or f"β {name.removeprefix('beta ')}"
            body.append(Row((title, *cells, _meaning(name, str(row["at"]), scale), error)))
    where = str(summary["at"].iloc[0])
    headings = [capital(view) or "Median (95 % interval)" for view in views]
    return table_of(
        "Named estimands"
        + (f", {where}" if where else "")
        + (": median (95 % interval)" if len(views) > 1 else ""),
        [
            Column("Estimand"),
            *(Column(heading, "number") for heading in headings),
            Column("What it is", "text"),
            Column("Monte Carlo error", "number"),
        ],
        body,
    )


def _reading(heading: str, view: str) -> str:
    return f"{heading}, {view}" if view else heading


def _of_view(name: str, view: str) -> str:
    return f"{name} ({view})" if view else name


def threshold_table(fit: xr.DataTree, summary: pd.DataFrame) -> Table:
    """Return the probability of lying beyond each threshold, one row an estimand."""
    scale, thresholds = scale_of(design_of(fit)), spec_of(fit).thresholds
    rows = {str(row["estimand"]): row for row in summary.to_dict("records")}
    sign = ">" if any(name.startswith("P(") and ">" in name for name in rows) else "<"
    body = []
    views = list(views_of(fit).values())
    for name in NAMED:
        names = [
            _of_view(f"P({name} {sign} {value:g})", view) for value in thresholds for view in views
        ]
        if names and names[0] in rows:
            body.append((capital(name), *(estimate(rows[each], scale) for each in names)))
    side = "above" if sign == ">" else "below"
    return table_of(
        f"Probability that the true {_what(scale)} is {side} a threshold",
        [
            Column("Estimand"),
            *(
                Column(_reading(f"{side} {_threshold(value, scale)}", view), "number")
                for value in thresholds
                for view in views
            ),
        ],
        body,
    )


def _threshold(value: float, scale: Scale) -> str:
    if scale.is_rate:
        return f"{100 * value:g} %"
    return f"{value:g}"


def _meaning(name: str, at: str, scale: Scale) -> str:
    if name.startswith("beta "):
        return f"effect on the {scale.linear} scale, {at}"
    words = _MEANINGS.get(name, "")
    return words.format(what=_what(scale), linear=f"on the {scale.linear} scale")


def _cell(row: Mapping[Any, Any], name: str, scale: Scale) -> str:
    if name in NAMED:
        return estimate(row, scale)
    lower, upper = (decimals(row[end], row[f"mcse_{end}"]) for end in ("lower", "upper"))
    return f"{decimals(row['median'], row['mcse'])} ({lower} to {upper})"


def _error(row: Mapping[Any, Any], name: str, scale: Scale) -> str:
    error = float(row["mcse"])
    if name in NAMED and scale.is_rate:
        return f"{100 * error:.1g} points" if error else "0 points"
    return f"{error:.1g}"


def sensitivity_table(fit: xr.DataTree, frame: pd.DataFrame) -> Table | None:
    """Return each named estimand under other priors of tau; none without study effects."""
    if frame["declared"].all():
        return None
    scale = scale_of(design_of(fit))
    names = list(dict.fromkeys(frame["estimand"]))
    body = []
    for prior, rows in frame.groupby("prior", sort=False):
        of = {str(row["estimand"]): row for row in rows.to_dict("records")}
        failed = rows["median"].isna().any()
        cells = [estimate(of[name], scale) if not failed else "not converged" for name in names]
        declared = bool(rows["declared"].all())
        label = str(prior).replace("tau_within", "τ within").replace("tau", "τ") + (
            ", as declared" if declared else ""
        )
        body.append(Row((label, *cells), "strong" if declared else ""))
    return table_of(
        "Under other priors of τ: median (95 % interval)",
        [Column("Prior"), *(Column(capital(name), "number") for name in names)],
        body,
    )


def level_table(fit: xr.DataTree) -> Table | None:
    """Return the named estimands at each level of each categorical moderator."""
    scale = scale_of(design_of(fit))
    body = []
    for moderator in moderators_of(design_of(fit)):
        for level in moderator.levels:
            table = summary_with_errors(fit, at={moderator.name: _typed(level)})
            rows = {str(row["estimand"]): row for row in table.to_dict("records")}
            for view in views_of(fit).values():
                ending = f" ({view})" if view else ""
                found = [rows.get(name + ending) for name in NAMED]
                cells = [estimate(row, scale) if row else "" for row in found]
                body.append(
                    (
                        capital(f"{column_words(moderator.name)}: {level_word(level)}{ending}"),
                        *cells,
                    )
                )
    if not body:
        return None
    return table_of(
        "At each level, all else as in the evidence: median (95 % interval)",
        [Column("Level"), *(Column(capital(name), "number") for name in NAMED)],
        body,
    )


def _typed(level: str) -> Any:
    return {"true": True, "false": False}.get(level, level)


def contrast_table(frame: pd.DataFrame) -> Table:
    """Return a contrast: each measure, the probability of better, and its caution."""
    level, reference = (level_word(frame.attrs[name]) for name in ("level", "reference"))
    body = []
    for row in frame.to_dict("records"):
        measure = str(row["measure"])
        forms: dict[str, Any] = {"risk difference": points, "difference": decimals}
        form = forms.get(measure, ratio)
        body.append(
            (
                capital(str(row["estimand"])),
                measure,
                f"{form(row['median'])} ({form(row['lower'])} to {form(row['upper'])})",
                probability(row["p_better"]),
                "mostly the prior" if mostly_prior(frame, row) else "",
            )
        )
    return table_of(
        f"{capital(column_words(str(frame.attrs['moderator'])))}: {level} against {reference}; "
        "risk differences in percentage points",
        [
            Column("Estimand"),
            Column("Measure"),
            Column("Median (95 % interval)", "number"),
            Column(f"P({level} better)", "number"),
            Column("Caution"),
        ],
        body,
    )


def points(difference: float) -> str:
    """Return a risk difference in percentage points, with its sign."""
    text = f"{100.0 * difference:+.0f}"
    return "0" if text in ("+0", "-0") else text.replace("-", "−")
