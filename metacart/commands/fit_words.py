"""What the shell says of questions and fits, in the words and numbers of the page."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from metacart.report.tables import Column, Table, table_of
from metacart.screen import count_of, say, show_list, show_table, show_words

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from metacart.evidence.collection import Studies
    from metacart.inference.keeping import Cache
    from metacart.records.spec import ModelSpec
    from metacart.report.basis import Basis

__all__ = [
    "account_tables",
    "fit_tables",
    "forest_rows",
    "level_rows",
    "prediction_rows",
    "show_agreement",
    "show_fit",
    "surprises",
]

# more findings are not named beside the numbers of a fit
_LISTED = 6


def show_fit(
    fit: xr.DataTree,
    studies: Studies,
    tables: Iterable[Table | None],
    *,
    contrasts: Mapping[str, pd.DataFrame] | None = None,
) -> None:
    """Write what a fit says, in the words and numbers of the page.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.
    studies : Studies
        The studies that were asked.
    tables : iterable of Table
        What the command is about.
    contrasts : mapping of str to DataFrame, optional
        From ``contrast``: then the answer is about these.
    """
    from metacart.inference.one_mean import is_system
    from metacart.inference.records import evidence_of, spec_of
    from metacart.report.answer import answer, question_of
    from metacart.report.basis import basis_of
    from metacart.report.several import several_answer
    from metacart.report.words import asked_of
    from metacart.results.summary import summary_with_errors

    spec = spec_of(fit)
    outcome = asked_of(spec, studies.vocabulary)
    title, asked = question_of(spec.title, spec.question, outcome)
    basis = basis_of(evidence_of(fit), spec, studies)
    summary = summary_with_errors(fit)
    if is_system(fit):
        found = several_answer(fit, summary, studies, basis)
    else:
        found = answer(fit, summary, contrasts or {}, outcome, basis)
    show_words(title)
    show_words(asked)
    say("")
    for name, text in _facts(fit, studies, basis):
        show_words(text, lead=f"{name:<10}")
    say("")
    if fit.attrs["converged"]:
        for sentence in found.lead:
            show_words(sentence)
        for reading in found.readings:
            further = f", next study {reading.next_study}" if reading.next_study else ""
            show_words(
                f"{reading.name}: {reading.value} ({reading.interval}){further}; {reading.words}",
                lead="  ",
            )
    else:
        show_words("No answer: the computation failed its check.")
    say("")
    for table in tables:
        if table is not None:
            show_table(table)
    cautions = (*found.cautions, *found.remarks, *_numeric(fit), *spec.notes)
    show_list("Before you use this:", cautions)


def _facts(fit: xr.DataTree, studies: Studies, basis: Basis) -> Iterator[tuple[str, str]]:
    from metacart.evidence.selection import account
    from metacart.inference.records import spec_of
    from metacart.report.account_tables import left_out
    from metacart.report.model_words import priors_of
    from metacart.report.questions import Question

    question = Question(spec_of(fit), account(studies, spec_of(fit)))
    used = question.account[question.account["used"]]
    findings = [f"{row['label']} {row['value']}" for row in used.to_dict("records")]
    listed = f": {'; '.join(findings)}" if len(findings) <= _LISTED else ""
    yield "evidence", basis.words() + listed
    left = left_out(question, studies)
    why = "; `metacart account SPEC` says why" if left.count else ""
    yield "left out", left.caption.partition(": ")[2] + why
    yield "priors", ", ".join(f"{name} ~ {prior}" for name, prior in priors_of(fit).items())
    sizes = fit["posterior"].sizes
    yield "seed", f"{fit.attrs['seed']}, {sizes['chain']} chains of {sizes['draw']} draws"


def _numeric(fit: xr.DataTree) -> Iterator[str]:
    from metacart.inference.records import design_of
    from metacart.modelling.design import moderators_of

    zeros = [item.zero for item in moderators_of(design_of(fit)) if item.kind == "numeric"]
    if zeros:
        yield f"mu is where {', '.join(zeros)}, and its prior holds there."


def fit_tables(
    fit: xr.DataTree, studies: Studies, cache: Cache | None = None
) -> Iterator[Table | None]:
    """Yield the estimands, thresholds, levels, comparisons and spread of a fit, as on the page."""
    from metacart.inference.one_mean import is_system
    from metacart.inference.records import spec_of
    from metacart.report.absolute_part import absolute_part
    from metacart.report.check_tables import heterogeneity_table
    from metacart.report.contrast_tables import analyses_table, origins_table
    from metacart.report.result_tables import estimand_table, level_table, threshold_table
    from metacart.report.several import several_table
    from metacart.report.time_part import time_tables
    from metacart.results.contrast_sensitivity import contrast_sensitivity
    from metacart.results.heterogeneity import heterogeneity
    from metacart.results.origin_probabilities import origin_probabilities
    from metacart.results.summary import summary_with_errors

    summary = summary_with_errors(fit)
    if is_system(fit):
        yield several_table(fit, summary, studies)
        return
    yield estimand_table(fit, summary)
    yield threshold_table(fit, summary)
    yield level_table(fit)
    for each in spec_of(fit).contrasts:
        analyses = contrast_sensitivity(fit, *each, studies=studies, cache=cache, progress=False)
        yield analyses_table(analyses, short=True)
    yield origins_table(origin_probabilities(fit), studies)
    part = absolute_part(fit)
    yield part.blocks[0].table if part else None
    yield heterogeneity_table(heterogeneity(fit), spec_of(fit).random_effects)
    yield from time_tables(fit, studies, cache)


def show_agreement(compared: pd.DataFrame) -> None:
    """Write how far two engines are apart, in words and for each quantity."""
    from metacart.report.check_tables import agreement_table

    show_words(str(compared.attrs["words"]))
    show_table(agreement_table(compared))


def forest_rows(fit: xr.DataTree) -> Table:
    """Return the rows of a forest plot: what each study reports, and what the model makes of it."""
    from metacart.inference.records import design_of
    from metacart.modelling.design import scale_of
    from metacart.report.words import interval, value_format
    from metacart.results.forest_table import forest_table

    scale = scale_of(design_of(fit))
    form = value_format(scale)

    def shown(row: Mapping[Hashable, Any], name: str) -> str:
        if math.isnan(row[name]):
            return ""
        ends = interval(row[f"{name}_lower"], row[f"{name}_upper"], scale)
        return f"{form(row[name])} ({ends})"

    unit = ", %" if scale.name in ("logit", "cloglog") else ""
    return table_of(
        "Forest",
        [
            Column("study"),
            Column("arm", "text"),
            Column("events", "number"),
            Column(f"reported{unit}", "number"),
            Column(f"model{unit}", "number"),
            Column("weight, %", "number"),
        ],
        [
            (
                row["label"],
                " ".join(str(row[name]) for name in ("subgroup", "arm_label") if row[name]),
                "" if math.isnan(row["total"]) else f"{row['events']:.0f}/{row['total']:.0f}",
                shown(row, "crude"),
                shown(row, "shrunken"),
                "" if math.isnan(row["weight"]) else f"{row['weight']:.0f}",
            )
            for row in forest_table(fit).to_dict("records")
        ],
    )


def level_rows(fit: xr.DataTree, moderator: str, *first: str) -> Table:
    """Return what the studies report at each level of a moderator, some levels before others."""
    from metacart.evidence.columns import counts_of_arms
    from metacart.evidence.values import comparison_words
    from metacart.inference.records import evidence_of
    from metacart.modelling.moderators import level_text

    evidence = evidence_of(fit)
    at = evidence[moderator].map(level_text)
    rows: list[tuple[str, ...]] = []
    for level in dict.fromkeys([*first, *at]):
        here = evidence[at == level]
        for row in here.to_dict("records"):
            value = comparison_words({str(name): cell for name, cell in row.items()})
            if value == "" and "total" in row:
                value = f"{row['events']}/{row['total']}"
            elif value == "":
                value = f"{row['ratio']:g} ({row['lower']:g} to {row['upper']:g})"
            rows.append((level, row["label"], row["arm_label"], value))
        if counts_of_arms(evidence) and len(here) > 1:
            together = f"{here['events'].sum()}/{here['total'].sum()}"
            rows.append((level, "together", count_of(len(here), "arm"), together))
    return table_of(
        "What the studies report at each level",
        [Column(moderator), Column("study"), Column("arm", "text"), Column("reported", "number")],
        rows,
    )


def prediction_rows(fit: xr.DataTree, table: pd.DataFrame) -> Table:
    """Return the answers at stated values of moderators, a row each."""
    from metacart.inference.records import design_of
    from metacart.modelling.design import scale_of
    from metacart.report.result_tables import NAMED
    from metacart.report.words import capital, column_words, estimate, level_word

    scale = scale_of(design_of(fit))
    named = [name for name in NAMED if name.replace(" ", "_") in table]
    keys = [str(name) for name in table.columns[: table.columns.get_loc("beyond_evidence")]]

    def answer(row: Mapping[Hashable, Any], name: str) -> str:
        column = name.replace(" ", "_")
        error = row[f"{column}_mcse"]
        parts = {"median": row[column], "mcse": error}
        for end in ("lower", "upper"):
            parts |= {end: row[f"{column}_{end}"], f"mcse_{end}": error}
        return estimate(parts, scale)

    def stated(row: Mapping[Hashable, Any], name: str) -> str:
        text = str(row[name]) if name == "reading" else level_word(row[name])
        return f"{text}*" if row["beyond_evidence"] and name == keys[0] else text

    far = table["beyond_evidence"].any()
    return table_of(
        "Median (95 % interval)"
        + (", all else as in the evidence" if keys and table.attrs["averaged"] else "")
        + ("; * beyond the evidence" if far else ""),
        [
            *(Column(column_words(name)) for name in keys),
            *(Column(capital(name), "number") for name in named),
        ],
        [
            (*(stated(row, name) for name in keys), *(answer(row, name) for name in named))
            for row in table.to_dict("records")
        ],
    )


def account_tables(spec: ModelSpec, studies: Studies) -> Iterator[Table]:
    """Yield the findings that a question takes, and by reason those of its outcome left out."""
    from metacart.evidence.selection import account
    from metacart.report.account_tables import left_out
    from metacart.report.questions import Question

    question = Question(spec, account(studies, spec))
    used = question.account[question.account["used"]].to_dict("records")
    yield table_of(
        f"Used: {count_of(len(used), 'finding')}",
        [
            Column("Study"),
            Column("Arm", "text"),
            Column("Reported", "number"),
            Column("Place in the paper", "text"),
        ],
        [
            (row["label"], studies[row["study"]].arm(row["arm"]).label, row["value"], row["at"])
            for row in used
        ],
    )
    for table in left_out(question, studies).tables:
        yield _without(replace(table, caption=f"Left out. {table.caption}"), "Patients, time")


def _without(table: Table, heading: str) -> Table:
    """Return a table without a column, for which a terminal has no room."""
    kept = [at for at, column in enumerate(table.columns) if column.heading != heading]
    rows = [tuple(row.cells[at] for at in kept) for row in table.rows]
    return table_of(table.caption, [table.columns[at] for at in kept], rows)


def surprises(fit: xr.DataTree) -> Iterator[str]:
    """Yield what was reported but is surprising under the model, a line each."""
    from metacart.inference.records import design_of
    from metacart.modelling.design import scale_of
    from metacart.report.check_tables import check_name
    from metacart.report.words import value_format
    from metacart.results.checks import predictive_checks

    scale = scale_of(design_of(fit))
    checks = predictive_checks(fit)
    for row in checks[checks["surprising"]].to_dict("records"):
        counted = "events" in row["check"]
        form = "{:.0f}".format if counted else value_format(scale)
        unit = " %" if scale.name in ("logit", "cloglog") and not counted else ""
        yield (
            f"surprising under the model: {check_name(row, {})} is {form(row['observed'])}{unit}, "
            f"expected {form(row['lower'])} to {form(row['upper'])}{unit}"
        )
