"""A question of several means as a section of the page: joint outcomes, chains, grades."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from metacart.evidence.bias.judged import risk_of_bias, tool_for
from metacart.evidence.collection import Studies
from metacart.evidence.flow import flow
from metacart.inference.keeping import Cache, write_fit
from metacart.inference.records import design_of, group_of, spec_of
from metacart.modelling.design import scale_of
from metacart.modelling.likelihoods import LIKELIHOODS
from metacart.plots.benefit_risk import plot_benefit_risk
from metacart.report import account_tables as accounts
from metacart.report import check_tables as checks_of
from metacart.report.answer import MANY_CAUTIONS, single_papers
from metacart.report.answer_parts import Answer, place_of
from metacart.report.basis import Basis, basis_of
from metacart.report.bias_table import bias_table
from metacart.report.cells import exact_rate, study_cell, when_cell
from metacart.report.check_words import finding_words, predictive_words
from metacart.report.evidence_tables import place_cell
from metacart.report.figures import Drawer, draw_flow
from metacart.report.grades_part import grades_part
from metacart.report.model_words import prior_table
from metacart.report.parts import Block, Part
from metacart.report.questions import Question
from metacart.report.record_words import diagnosis_words, record_of
from metacart.report.recorded_calibration import calibration_words
from metacart.report.reviewer import for_reviewers
from metacart.report.section import (
    Section,
    common_facts,
    write_tables,
)
from metacart.report.tables import Column, Table, table_of
from metacart.report.words import capital, count_of, decimals, join, outcome_of, percent
from metacart.results.benefit_risk import benefit_risk
from metacart.results.borrowing import borrowing
from metacart.results.checks import diagnostics, predictive_checks
from metacart.results.summary import summary_with_errors

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["answered_several", "several_answer", "several_table"]

_FIRST = "population average"
_SYMBOLS = {"tau": "τ", "tau_spacing": "τ of the spacing"}
_PLANE = "Benefit against risk: studies, the population average and the next study."


def answered_several(
    question: Question,
    fit: xr.DataTree,
    studies: Studies,
    folder: Path,
    cache: Cache | None = None,
) -> Section:
    """Return the section of a fit of several means, and write its tables, figures and the fit."""
    evidence = question.evidence
    assert evidence is not None
    spec, scale, converged = question.spec, scale_of(design_of(fit)), bool(fit.attrs["converged"])
    summary, checks, sampled = summary_with_errors(fit), predictive_checks(fit), diagnostics(fit)
    used, tool = accounts.studies_shown(question, studies), tool_for(spec)
    drawer = Drawer(folder, cache)
    part = _own_part(fit, studies, drawer)
    frames = {
        "evidence": evidence,
        "account": question.account,
        "summary": summary,
        "predictive-checks": checks,
        "diagnostics": sampled,
        "risk-of-bias": risk_of_bias(used, tool=tool),
        "flow": flow(studies, spec),
        **({} if part is None else part.frames),
    }
    files = write_tables(frames, folder)
    write_fit(fit, folder / "fit.nc")
    labels, basis = finding_words(evidence, fit), basis_of(evidence, spec, studies)
    found = several_answer(fit, summary, studies, basis)
    made = Section(
        **common_facts(question, studies),
        state="answered" if converged else "failed",
        gate="" if converged else str(fit.attrs["gate"]),
        short=found.short if converged else "No answer: the computation failed its check.",
        estimand=found.estimand if converged else "",
        basis=basis,
        conclusion=found.conclusion if converged else "",
        answer=found if converged else None,
        used=_evidence_table(question, studies),
        model=tuple(_model_words(fit)),
        maths=(Markup("{}").format(_formula(fit)),),
        tables={
            "bias": bias_table(used, tool),
            "priors": prior_table(fit),
            "estimands": several_table(fit, summary, studies),
            "predictive": checks_of.predictive_table(checks, labels, scale),
            "diagnostics": checks_of.diagnostics_table(sampled),
            "attempts": checks_of.attempts_table(fit),
        },
        parts=() if part is None else (part,),
        predictive=predictive_words(checks, labels, True, len(basis.studies)),
        diagnosis=f"{diagnosis_words(fit, sampled)} {checks_of.attempts_words(fit)}".strip(),
        calibration=calibration_words(fit, studies),
        figures=draw_flow(spec, studies, drawer),
        files={**files, "fit (netCDF)": f"{folder.name}/fit.nc"},
        record=record_of(fit),
        versions=json.loads(str(fit.attrs["versions"])),
    )
    return for_reviewers(made, fit, summary, studies)


# --- the answer ----------------------------------------------------------------------------------


def several_answer(
    fit: xr.DataTree, summary: pd.DataFrame, studies: Studies, basis: Basis
) -> Answer:
    """Return the answer in plain words: the population average of each outcome, stage or grade."""
    rows = summary[summary["estimand"].str.startswith(_FIRST)].to_dict("records")
    plain = [row for row in rows if row["estimand"] == _FIRST] or rows
    next_of = {
        row["at"]: row for row in summary[summary["estimand"] == "next study"].to_dict("records")
    }
    sentences, short, whom = [], [], "patients"
    for row in plain:
        name = place_of(str(row["at"]), studies)
        value = f"{percent(row['median'])} %"
        text = f"{capital(name)}: {value} of {whom} ({_interval(row)}) on average over studies"
        among = f" of {whom}" if whom != "patients" else ""
        short.append(f"{name}: {value}{among} ({_interval(row)})")
        if str(row["at"]).startswith("stage = "):
            whom = f"those with {name}"
        if (other := next_of.get(row["at"])) is not None:
            text += f"; in the next study {_interval(other)}"
        sentences.append(Markup("{}.").format(text))
    whole = "; ".join(short)
    rests = f"This rests on {basis.words()}."
    single = single_papers(basis)
    many = len(single) > MANY_CAUTIONS
    return Answer(
        short=whole,
        estimand="population averages, 95 % intervals",
        lead=tuple(sentences),
        cautions=(rests, *_cautions(fit, studies), *(() if many else single)),
        remarks=single if many else (),
        conclusion=f"{capital(whole)} (population averages over studies, with 95 % intervals).",
    )


def _interval(row: Any) -> str:
    return f"{percent(row['lower'])} to {percent(row['upper'])} %"


def _cautions(fit: xr.DataTree, studies: Studies) -> Iterator[str]:
    estimands = group_of(fit, "estimands")
    if "correlation" in estimands:
        for pair in estimands["pair"].to_numpy():
            low, middle, high = (
                estimands["correlation"].sel(pair=pair).quantile([0.025, 0.5, 0.975]).to_numpy()
            )
            yield (
                f"Correlation of {_pair(str(pair), studies)}: {decimals(middle)} "
                f"({decimals(low)} to {decimals(high)}). It is one between studies, never between "
                "patients: within a study the outcomes are taken as independent given its rates."
            )


def _pair(name: str, studies: Studies) -> str:
    return join(place_of(part, studies) for part in name.split(" and "))


def several_table(fit: xr.DataTree, summary: pd.DataFrame, studies: Studies) -> Table:
    """Return every estimand of a fit of several means."""
    estimands = group_of(fit, "estimands")
    body = []
    for row in summary.to_dict("records"):
        rate = "scale" in estimands[row["estimand"]].attrs
        form = percent if rate else decimals
        pair = row["at"].startswith("pair = ")
        where = _pair(row["at"].removeprefix("pair = "), studies) if pair else ""
        body.append(
            (
                _SYMBOLS.get(str(row["estimand"]), capital(str(row["estimand"])))
                + (", %" if rate else ""),
                where or place_of(str(row["at"]), studies),
                f"{form(row['median'])} ({form(row['lower'])} to {form(row['upper'])})",
            )
        )
    return table_of(
        "Named estimands",
        [Column("Estimand"), Column("Of", "text"), Column("Median (95 % interval)", "number")],
        body,
    )


def _model_words(fit: xr.DataTree) -> Iterator[str]:
    spec = spec_of(fit)
    entry = LIKELIHOODS[spec.likelihood]
    yield f"The findings are {entry.title}."
    group = "cohorts" if spec.group == "cohort" else "studies"
    yield f"The true rates of {group} differ, on the logit scale by normal effects."
    if spec.likelihood == "joint":
        yield (
            "The effects of one study on its outcomes may be correlated; the prior of their "
            "correlation is LKJ(2), symmetric about none. An outcome that a study does not report "
            "is taken as missing at random."
        )
    if spec.likelihood == "chain":
        yield (
            "Each stage is among the events of the stage before, and its study effects know "
            "nothing of those of the others; rates of all who entered are the products of the "
            "rates within one study, draw by draw."
        )


def _formula(fit: xr.DataTree) -> str:
    return LIKELIHOODS[spec_of(fit).likelihood].formula


def _evidence_table(question: Question, studies: Studies) -> Table:
    evidence = question.evidence
    assert evidence is not None
    rows = []
    for row in evidence.to_dict("records"):
        study = studies[str(row["study"])]
        cells = [study_cell(study), row["arm_label"]]
        if question.spec.outcomes:
            cells.append(outcome_of(str(row["outcome"]), studies.vocabulary).title)
        if "grade_from" in row:
            ends = dict.fromkeys((row["grade_from"], row["grade_to"]))
            cells += ["–".join(f"{end:g}" for end in ends), f"{row['count']:g}", ""]
        else:
            events, total = int(row["events"]), int(row["total"])
            cells += ["", f"{events}/{total}", exact_rate(events, total)]
        at = place_cell(study, study.findings[int(row["finding"])])
        rows.append((*cells, when_cell(row), at))
    outcome = [Column("Outcome", "text")] if question.spec.outcomes else []
    columns = [
        Column("Study"),
        Column("Arm", "text"),
        *outcome,
        Column("Grade", "number"),
        Column("Patients" if "grade_from" in evidence else "Events / patients", "number"),
        Column("Rate, % (exact 95 %)", "number"),
        Column("Patients, time"),
        Column("Place in the paper", "text"),
    ]
    return table_of(f"Evidence used: {count_of(len(rows), 'finding')}", columns, rows)


# --- joint outcomes ------------------------------------------------------------------------------


def _own_part(fit: xr.DataTree, studies: Studies, drawer: Drawer) -> Part | None:
    """Return what only this kind of system shows; none where the rates are all."""
    if fit.attrs["system"] == "joint":
        return _joint_part(fit, studies, drawer)
    return grades_part(fit, drawer) if fit.attrs["system"] == "grades" else None


def _joint_part(fit: xr.DataTree, studies: Studies, drawer: Drawer) -> Part:
    """Return what outcomes borrow, and the plane where there is a benefit and a risk."""
    from metacart.errors import InputError

    lent = borrowing(fit, cache=drawer.cache)
    frames, blocks = {"borrowing": lent}, []
    try:
        frames["benefit-risk"] = plane = benefit_risk(fit)
    except InputError:  # not one benefit and one risk: there is no plane to draw
        pass
    else:
        figure = drawer.figure("benefit-risk", _PLANE, plot_benefit_risk, fit)
        blocks += [
            Block(figure=("benefit-risk", figure)),
            Block(table=_plane_table(plane, studies)),
        ]
    words = "With the others: this model. Alone: each outcome by itself, with the same priors."
    blocks.append(Block(table=_borrowing_table(lent, studies), words=words))
    return Part(title="The outcomes together", blocks=tuple(blocks), frames=frames)


def _plane_table(frame: pd.DataFrame, studies: Studies) -> Table:
    body = []
    for row in frame.to_dict("records"):
        name = str(row["quantity"])
        rate = row["reading"] != "between studies"
        form = percent if rate else decimals
        value = form(row["median"])
        if row["lower"] == row["lower"]:
            value += f" ({form(row['lower'])} to {form(row['upper'])})"
        title = outcome_of(name, studies.vocabulary).title if name in studies.vocabulary else name
        body.append((capital(str(row["reading"])), title.replace("_", " "), value))
    return table_of(
        "Benefit against risk: rates and probabilities in %",
        [Column("Reading"), Column("Quantity", "text"), Column("Median (95 % interval)", "number")],
        body,
    )


def _borrowing_table(frame: pd.DataFrame, studies: Studies) -> Table:
    body = []
    for row in frame.to_dict("records"):
        form = decimals if row["estimand"] == "tau" else percent
        cells = [
            f"{form(row[f'{lead}median'])} ({form(row[f'{lead}lower'])} to "
            f"{form(row[f'{lead}upper'])})"
            for lead in ("", "alone_")
        ]
        name = outcome_of(row["outcome"], studies.vocabulary).title
        body.append((capital(name), row["estimand"], *cells, decimals(row["width"])))
    return table_of(
        "Each outcome with and without the others: rates in %",
        [
            Column("Outcome"),
            Column("Estimand", "text"),
            Column("With the others", "number"),
            Column("Alone", "number"),
            Column("Width of the interval, alone = 1", "number"),
        ],
        body,
    )
