"""A comparison in several analyses, as a table and a sentence of the page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from metacart.report.answer_parts import kept
from metacart.report.result_tables import points
from metacart.report.tables import Column, Row, Table, table_of
from metacart.report.words import capital, column_words, level_word, probability, ratio
from metacart.results.contrast_sensitivity import DECLARED

if TYPE_CHECKING:
    import pandas as pd

    from metacart.evidence.collection import Studies

__all__ = ["analyses_table", "origins_table"]

_AVERAGE, _CONDITIONAL = "population average", "median study (conditional)"
_BOTH, _APART = "next study, both levels in it", "next studies, one level in each"
_RATES: tuple[tuple[str, str, str], ...] = (
    ("Odds ratio", _AVERAGE, "odds ratio"),
    ("Risk difference", _AVERAGE, "risk difference"),
    ("P({} better)", _AVERAGE, ""),
    ("Next study: odds ratio", _CONDITIONAL, "odds ratio"),
    ("Next study: risk difference", _BOTH, "risk difference"),
    ("P({} better), one in each of two next studies", _APART, ""),
)


def analyses_table(frame: pd.DataFrame, *, short: bool = False) -> Table:
    """Return the analyses of ``contrast_sensitivity`` as rows, the declared one strong.

    A `short` one has the population average alone.
    """
    level, reference = (level_word(frame.attrs[name]) for name in ("level", "reference"))
    of: dict[str, dict[tuple[str, str], dict[Any, Any]]] = {}
    for row in frame.to_dict("records"):
        of.setdefault(row["analysis"], {})[row["estimand"], row["measure"]] = row
    wanted = _RATES[:3] if short else _RATES
    if not any(estimand == _AVERAGE for estimand, _ in of[DECLARED]):
        (middle, measure), *_ = of[DECLARED]
        wanted = (
            (capital(measure), middle, measure),
            ("P({} better)", middle, ""),
            ("P({} better), one in each of two next studies", _APART, ""),
        )
    body = []
    for name, rows in of.items():
        first = next(iter(rows.values()))
        answered = not first["unanswered"]
        arms = str(first["findings"]) if answered else ""
        prior = kept(first["prior"]) if answered else ""
        cells = [_cell(rows, estimand, measure) for _, estimand, measure in wanted]
        whole = (_title(first), arms, *cells, prior)
        body.append(Row(whole, "strong" if name == DECLARED else ""))
    what, where = capital(column_words(str(frame.attrs["moderator"]))), "population average"
    where += "" if short else " and next study"
    return table_of(
        f"{what}, {level} against {reference}, in several analyses: median (95 % interval), "
        f"{where}; risk differences in percentage points",
        [
            Column("Analysis", "text"),
            Column("Arms", "number"),
            *(Column(heading.format(level), "number") for heading, _, _ in wanted),
            Column("Prior of the log ratio"),
        ],
        body,
    )


def _title(row: dict[Any, Any]) -> str:
    """Return the name of an analysis, and what it is or why it has no answer."""
    name = str(row["analysis"])
    if name.startswith("without "):
        column, bracket, rest = name.removeprefix("without ").partition(" (")
        name = f"without {column_words(column)}{bracket}{rest}"
    further = row["unanswered"] and f"no answer, {row['unanswered']}"
    further = further or re.sub(r"\w+", lambda word: column_words(word[0]), str(row["words"]))
    return capital(f"{name}: {further}" if further else name)


def _cell(rows: dict[tuple[str, str], dict[Any, Any]], estimand: str, measure: str) -> str:
    found = [row for (of, what), row in rows.items() if of == estimand and measure in ("", what)]
    if not found or found[0]["median"] != found[0]["median"]:
        return ""
    row = found[0]
    if not measure:
        return probability(row["p_better"])
    form = points if measure == "risk difference" else ratio
    return f"{form(row['median'])} ({form(row['lower'])} to {form(row['upper'])})"


def origins_table(frame: pd.DataFrame, studies: Studies) -> Table | None:
    """Return what inferred origins may be, a row an arm and level; none where none is inferred."""
    if frame.empty:
        return None
    return table_of(
        f"What an inferred {column_words('scfv')} may be, before and after the results",
        [
            Column("Study"),
            Column("Origin"),
            Column("Probability before", "number"),
            Column("Probability after", "number"),
        ],
        [
            (
                studies[row["study"]].label if row["study"] in studies.ids else row["study"],
                level_word(row["level"])
                + (", as recorded" if row["level"] == row["stated"] else ""),
                probability(row["prior"]),
                probability(row["posterior"]),
            )
            for row in frame.to_dict("records")
        ],
    )
