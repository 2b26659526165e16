"""Rows of the summary of findings: absolute effects, imprecision and inconsistency of each answer.

The table follows the summary of findings of GRADE in what it shows. It rates nothing: how certain
a body of evidence is, and how direct, is a judgement of people.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from metacart.inference.one_mean import is_system
from metacart.inference.records import design_of
from metacart.modelling.design import scale_of
from metacart.report.absolute_part import compared_level, compared_words, counted_words
from metacart.report.answer_parts import place_of
from metacart.report.tables import Column, Row, Table, table_of
from metacart.report.words import (
    capital,
    decimals,
    limits,
    middle,
    percent,
    probability,
    ratio,
)
from metacart.results.summary import views_of
from metacart.scales import SCALES

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from metacart.evidence.collection import Studies
    from metacart.report.section import Section
    from metacart.scales import Scale

__all__ = ["findings_of", "findings_table"]

_JUDGED = "for people to judge"


def findings_of(
    section: Section, fit: xr.DataTree, summary: pd.DataFrame, studies: Studies
) -> tuple[Row, ...]:
    """Return the rows of an answered question; none where the fit failed.

    Parameters
    ----------
    section : Section
        What the page shows of the question.
    fit : DataTree
        Its fit.
    summary : DataFrame
        From ``summarize``, with the errors of the limits.
    studies : Studies
        All that were given: their vocabulary names outcomes.
    """
    if section.answer is None or section.basis is None:
        return ()
    made = _several(summary, studies) if is_system(fit) else _single(section, fit, summary)
    patients = "" if section.basis.patients is None else f" ({section.basis.patients})"
    link = Markup('<a href="#{}">{}</a>').format(section.name, section.title)
    return tuple(
        Row(
            (
                link + (Markup("<small>{}</small>").format(capital(of)) if of else ""),
                f"{len(section.basis.studies)}{patients}",
                *cells,
                _unclear(section),
                _JUDGED,
            )
        )
        for of, *cells in made
    )


def findings_table(sections: Sequence[Section]) -> Table:
    """Return the summary of findings of a page."""
    return table_of(
        "Summary of findings: medians with 95 % intervals",
        [
            Column("Question", "text"),
            Column("Studies (patients)", "number"),
            Column("Ratio or value", "text"),
            Column("In 100 patients", "text"),
            Column("Imprecision", "text"),
            Column("Inconsistency", "text"),
            Column("Risk of bias"),
            Column("Certainty"),
        ],
        [row for section in sections for row in section.findings],
    )


def _unclear(section: Section) -> str:
    """Return the share of items of risk of bias that nobody can decide."""
    table = section.tables.get("bias")
    headings = [column.heading for column in table.columns] if table else []
    if table is None or "Unclear, %" not in headings:
        return ""
    whole = [row for row in table.rows if row.tone == "strong"]
    return f"{whole[-1].cells[headings.index('Unclear, %')]} % of items unclear" if whole else ""


# --- one mean -----------------------------------------------------------------------------------


def _single(
    section: Section, fit: xr.DataTree, summary: pd.DataFrame
) -> Iterator[tuple[str, str, str, str, str]]:
    scale = scale_of(design_of(fit))
    rows = {str(row["estimand"]): row for row in summary.to_dict("records")}
    differences = {
        str(row["estimand"]): str(row["words"]) for stated, row in _absolute(section) if stated
    }
    unknown = "no baseline is stated" if scale.name == "log" else ""
    for words in views_of(fit).values():
        suffix = f" ({words})" if words else ""
        head = next(
            name for name in ("population average", "median study") if f"{name}{suffix}" in rows
        )
        row = rows[head + suffix]
        further = rows.get(f"next study{suffix}")
        value = f"{middle(row, scale)} ({limits(row, scale)})"
        rate = scale.is_rate
        yield (
            f"{head}{suffix}",
            "" if rate else value,
            f"{value} of 100" if rate else differences.get(head + suffix, unknown),
            "; ".join((_width(row, scale), *_beyond(rows, head, suffix, scale))),
            "; ".join(_spread(rows, further, scale)),
        )
    if scale.is_rate:
        yield from _contrasts(section)


def _absolute(section: Section) -> Iterator[tuple[bool, dict[Any, Any]]]:
    """Yield the differences in 100 patients, and whether they are those at a stated baseline."""
    for part in section.parts:
        frame = part.frames.get("absolute")
        if frame is not None:
            for row in frame.to_dict("records"):
                if row["measure"] == "difference per 100":
                    stated = "baseline" in frame
                    if stated:
                        counted = counted_words(frame)
                        more = f"{counted}, if {100.0 * row['baseline']:g} without are"
                        row["words"] = f"{row['words']} {more}"
                    yield stated, row


def _contrasts(section: Section) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield each comparison of two levels: its average, and how it may be in the next study."""
    compared: dict[str, dict[str, Any]] = {}
    for stated, row in _absolute(section):
        if not stated:
            compared.setdefault(str(row["compared"]), {})[str(row["estimand"])] = row
    for words, rows in compared.items():
        head = "population average" if "population average" in rows else next(iter(rows))
        row = rows[head]
        wide = f"interval {float(row['upper']) - float(row['lower']):.0f} of 100 wide"
        level = compared_level(words)
        better = f"P({level} better) {probability(float(row['p_better']))}"
        further = [f"{name}: {each['words']}" for name, each in rows.items() if "next" in name]
        name = f"{compared_words(words)}: difference, {head}"
        yield (name, "", str(row["words"]), f"{wide}; {better}", "; ".join(further))


def _width(row: Mapping[Any, Any], scale: Scale) -> str:
    lower, upper = float(row["lower"]), float(row["upper"])
    if scale.is_rate:
        return f"interval {100 * (upper - lower):.0f} of 100 wide"
    if scale.name == "log":
        return f"its ends differ by a factor of {ratio(upper / lower)}"
    return f"interval {decimals(upper - lower)} wide"


def _beyond(
    rows: Mapping[str, Mapping[Any, Any]], head: str, suffix: str, scale: Scale
) -> Iterator[str]:
    """Yield the probability that the estimand is beyond each threshold of the question."""
    for name, row in rows.items():
        found = re.fullmatch(rf"P\({re.escape(head)} ([<>]) (\S+)\){re.escape(suffix)}", name)
        if found:
            sign, value = found.groups()
            shown = f"{100 * float(value):g} %" if scale.is_rate else value
            yield f"P({sign} {shown}) {probability(float(row['median']))}"


def _spread(
    rows: Mapping[str, Mapping[Any, Any]], further: Mapping[Any, Any] | None, scale: Scale
) -> Iterator[str]:
    if further is not None:
        yield f"next study {limits(further, scale)}" + (" of 100" if scale.is_rate else "")
    if (tau := rows.get("tau")) is not None:
        ends = f"{decimals(float(tau['lower']))} to {decimals(float(tau['upper']))}"
        yield f"τ {decimals(float(tau['median']))} ({ends})"


# --- several means ------------------------------------------------------------------------------


def _several(summary: pd.DataFrame, studies: Studies) -> Iterator[tuple[str, str, str, str, str]]:
    average = summary[summary["estimand"].str.startswith("population average")]
    exact = average[average["estimand"] == "population average"]
    further = {
        row["at"]: row for row in summary[summary["estimand"] == "next study"].to_dict("records")
    }
    for row in (average if exact.empty else exact).to_dict("records"):
        value = (
            f"{percent(row['median'])} ({percent(row['lower'])} to {percent(row['upper'])}) of 100"
        )
        other = further.get(row["at"])
        spread = "" if other is None else f"next study {limits(other, SCALES['logit'])} of 100"
        name = place_of(str(row["at"]), studies)
        yield (name, "", value, _width(row, SCALES["logit"]), spread)
