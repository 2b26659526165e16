"""One question as a section of the page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from metacart.evidence.bias.judged import risk_of_bias, tool_for
from metacart.evidence.collection import Studies
from metacart.evidence.columns import counts_of_arms
from metacart.evidence.flow import flow
from metacart.inference.keeping import Cache, write_fit
from metacart.inference.records import design_of
from metacart.modelling.design import scale_of
from metacart.modelling.moderators import level_text
from metacart.report import account_tables as accounts
from metacart.report import check_tables as checks_of
from metacart.report import result_tables as results
from metacart.report.absolute_part import absolute_part
from metacart.report.answer import answer, question_of
from metacart.report.answer_parts import Answer
from metacart.report.basis import Basis, basis_of, compared_table
from metacart.report.bias_table import bias_table
from metacart.report.check_words import finding_words, predictive_words
from metacart.report.contrast_tables import analyses_table, origins_table
from metacart.report.evidence_tables import discrepancy_tables, evidence_table
from metacart.report.figures import Drawer, Figure, draw_figures, draw_flow, draw_sensitivity
from metacart.report.guidelines.items import Found
from metacart.report.leave_table import leave_table
from metacart.report.model_words import formulas, prior_table, sentences
from metacart.report.parts import Block, Part
from metacart.report.published_table import published_table
from metacart.report.questions import Question
from metacart.report.record_words import diagnosis_words, record_of
from metacart.report.recorded_calibration import calibration_words
from metacart.report.regression_part import regression_part
from metacart.report.reviewer import for_reviewers
from metacart.report.standing_blocks import standing_blocks
from metacart.report.tables import Row, Table
from metacart.report.time_part import time_part
from metacart.report.words import asked_of, capital, count_of, event_of
from metacart.results.checks import diagnostics, predictive_checks
from metacart.results.contrast import contrast
from metacart.results.contrast_sensitivity import contrast_sensitivity
from metacart.results.forest_table import forest_table
from metacart.results.heterogeneity import heterogeneity, study_estimates
from metacart.results.leave_one_out import leave_one_out
from metacart.results.origin_probabilities import origin_probabilities
from metacart.results.published import compare_published
from metacart.results.sensitivity import prior_sensitivity
from metacart.results.summary import summary_with_errors

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


__all__ = [
    "Section",
    "answered",
    "common_facts",
    "unanswered",
    "write_tables",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Everything that the page says about one question.

    Attributes
    ----------
    name, title, question : str
        What is asked.
    state : {"answered", "failed", "unanswered"}
        Whether there is an answer, a fit that must not be used, or none.
    gate : str
        Why the fit must not be used.
    short, estimand : str
        The answer in the list at the top, and of what it is an estimate.
    basis : Basis or None
        Which studies and patients the answer rests on; none where there is none.
    conclusion : str
        One sentence to quote.
    answer : Answer or None
        The answer in plain words; none where the fit failed.
    reasons : tuple of str
        Why there is no answer.
    compared : Table or None
        How many were compared, and for how long, where the question compares.
    notes : tuple of str
        What the author of the question wants known.
    used, crude : Table or None
        The evidence.
    left : LeftOut
        What was left out, by reason.
    others : str
        The findings of other outcomes.
    discrepancies : tuple of Table
        Where papers contradict themselves.
    model, maths : tuple
        The model in words and formulas.
    tables : dict of str to Table
        ``bias``, ``priors``, ``estimands``, ``thresholds``, ``spread``, ``predictive``,
        ``diagnostics``, and ``levels`` with moderators.
    parts : tuple of Part
        What only questions of its kind have.
    contrasts : tuple of (Table, str)
        Each with the kind of comparison that it is.
    analyses : tuple of Table
        Each comparison in several analyses.
    standing : tuple of Block
        What single studies do to the answer.
    predictive, diagnosis, calibration : str
        The verdicts of the checks.
    figures : dict of str to Figure
        The figures.
    files : dict of str to str
        Addresses of the files beside the page, by words.
    record, versions : dict of str to str
        Hashes, seed, draws; packages.
    pico : tuple of (str, str)
        The question in its parts.
    methods : str
        What a paper says of it under Methods.
    findings : tuple of Row
        Its rows in the summary of findings.
    items : dict of (guideline, number) to Found
        What answers each item of the reporting guidelines.
    """

    name: str
    title: str
    question: str
    state: str
    short: str
    estimand: str = ""
    basis: Basis | None = None
    conclusion: str = ""
    gate: str = ""
    answer: Answer | None = None
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    used: Table | None = None
    compared: Table | None = None
    left: accounts.LeftOut
    crude: Table | None = None
    others: str = ""
    discrepancies: tuple[Table, ...] = ()
    model: tuple[str, ...] = ()
    maths: tuple[Markup, ...] = ()
    tables: Mapping[str, Table]
    parts: tuple[Part, ...] = ()
    contrasts: tuple[tuple[Table, str], ...] = ()
    analyses: tuple[Table, ...] = ()
    standing: tuple[Block, ...] = ()
    predictive: str = ""
    diagnosis: str = ""
    calibration: str = ""
    figures: Mapping[str, Figure]
    files: Mapping[str, str]
    record: Mapping[str, str]
    versions: Mapping[str, str]
    pico: tuple[tuple[str, str], ...] = ()
    methods: str = ""
    findings: tuple[Row, ...] = ()
    items: Mapping[tuple[str, str], Found] = field(default_factory=dict)


def common_facts(question: Question, studies: Studies) -> dict[str, Any]:
    """Return what the section of any question says."""
    spec = question.spec
    outcome = asked_of(spec, studies.vocabulary)
    title, asked = question_of(spec.title, spec.question, outcome)
    shown = accounts.studies_shown(question, studies)
    return {
        "name": spec.name,
        "title": title,
        "question": asked,
        "notes": spec.notes,
        "left": accounts.left_out(question, studies),
        "others": accounts.other_findings(question, studies),
        "discrepancies": tuple(discrepancy_tables(shown, _touching(question, studies))),
    }


def _touching(question: Question, studies: Studies) -> set[str]:
    """Return the outcome, exposure and columns on which an answer rests."""
    spec = question.spec
    names = (
        spec.outcome,
        *spec.outcomes,
        asked_of(spec, studies.vocabulary).graded_by,
        spec.exposure,
        *spec.moderator_columns,
    )
    return {name for name in names if name}


def unanswered(
    question: Question, studies: Studies, folder: Path, cache: Cache | None = None
) -> Section:
    """Return the section of a question that the evidence cannot answer, and write its tables."""
    papers = "this paper" if len(studies) == 1 else f"these {count_of(len(studies), 'paper')}"
    used = question.evidence
    common = common_facts(question, studies)
    reasons = [*question.reasons, *accounts.left_out_levels(question, studies)]
    if used is None:
        outcome = asked_of(question.spec, studies.vocabulary).title
        left = common["left"].count
        recorded = count_of(left, f"finding of {outcome}", f"findings of {outcome}")
        reasons.append(
            f"{capital(recorded)} {'is' if left == 1 else 'are'} recorded"
            + ("; the list below says for each why it is left out." if left else ".")
        )
    frames = {"account": question.account, "reasons": _fault_frame(question)}
    frames |= {"flow": flow(studies, question.spec)}
    frames |= {} if used is None else {"evidence": used}
    return Section(
        **common,
        state="unanswered",
        short=f"Not answerable from {papers}.",
        conclusion=f"Nothing can be concluded from {papers}. {reasons[0]}",
        reasons=tuple(reasons),
        crude=accounts.crude_table(question, studies),
        tables={},
        figures=draw_flow(question.spec, studies, Drawer(folder, cache)),
        files=write_tables(frames, folder),
        record={},
        versions={},
    )


def answered(
    question: Question,
    fit: xr.DataTree,
    studies: Studies,
    folder: Path,
    cache: Cache | None = None,
) -> Section:
    """Return the section of a fit, and write its tables, figures and the fit itself."""
    scale = scale_of(design_of(fit))
    outcome = asked_of(question.spec, studies.vocabulary)
    contrasts = {
        "-".join([name, level_text(level), level_text(reference)]): contrast(
            fit, name, level, reference
        )
        for name, level, reference in question.spec.contrasts
    }
    analyses = [
        contrast_sensitivity(fit, *each, studies=studies, cache=cache, progress=False)
        for each in question.spec.contrasts
    ]
    estimates, spread = study_estimates(fit), heterogeneity(fit)
    summary, checks, sampled = summary_with_errors(fit), predictive_checks(fit), diagnostics(fit)
    frames = {
        "evidence": question.evidence,
        "account": question.account,
        "summary": summary,
        "forest": forest_table(fit),
        "studies": estimates,
        "heterogeneity": spread,
        "predictive-checks": checks,
        "diagnostics": sampled,
        **{f"contrast-{name}": frame for name, frame in contrasts.items()},
        **{
            f"contrast-{name}-analyses": frame
            for name, frame in zip(contrasts, analyses, strict=True)
        },
    }
    inferred = origin_probabilities(fit)
    if not inferred.empty:
        frames["origin-probabilities"] = inferred
    others = prior_sensitivity(fit, mu=(1.0,), cache=cache, progress=False)
    published = compare_published(fit)
    frames |= {"prior-sensitivity": others, "published": published}
    assert question.evidence is not None
    several = len(set(question.evidence["cohort"])) > 1
    left = leave_one_out(fit, cache=cache, progress=False) if several else None
    if left is not None:
        frames["leave-one-out"] = left
    labels, counts = finding_words(question.evidence, fit), counts_of_arms(question.evidence)
    standing, more = standing_blocks(fit, studies, labels, cache)
    frames |= more
    drawer = Drawer(folder, cache)
    time = time_part(fit, studies, drawer)
    asked = absolute_part(fit), regression_part(fit, drawer), time
    parts = tuple(part for part in asked if part is not None)
    for part in parts:
        frames |= part.frames
    used, tool = accounts.studies_shown(question, studies), tool_for(question.spec)
    frames |= {"risk-of-bias": risk_of_bias(used, tool=tool), "flow": flow(studies, question.spec)}
    files = write_tables(frames, folder)
    write_fit(fit, folder / "fit.nc")
    converged = bool(fit.attrs["converged"])
    basis = basis_of(question.evidence, question.spec, studies)
    found = answer(fit, summary, contrasts, outcome, basis)
    levels = results.level_table(fit)
    tables: dict[str, Table] = {
        "bias": bias_table(used, tool),
        "priors": prior_table(fit),
        "estimands": results.estimand_table(fit, summary),
        "thresholds": results.threshold_table(fit, summary),
        "spread": checks_of.heterogeneity_table(spread, question.spec.random_effects),
        "predictive": checks_of.predictive_table(checks, labels, scale),
        "diagnostics": checks_of.diagnostics_table(sampled),
        "attempts": checks_of.attempts_table(fit),
    }
    if levels is not None:
        tables["levels"] = levels
    sensitivity = results.sensitivity_table(fit, others)
    if sensitivity is not None:
        tables["sensitivity"] = sensitivity
    if (origins := origins_table(inferred, studies)) is not None:
        tables["origins"] = origins
    if left is not None:
        tables["left_out"] = leave_table(left, studies, scale)
    if not published.empty:
        tables["published"] = published_table(published, scale)
    made = Section(
        **common_facts(question, studies),
        state="answered" if converged else "failed",
        gate="" if converged else str(fit.attrs["gate"]),
        short=found.short if converged else "No answer: the computation failed its check.",
        estimand=found.estimand if converged else "",
        basis=basis,
        conclusion=found.conclusion if converged else "",
        answer=found if converged else None,
        used=evidence_table(question, studies, estimates),
        compared=compared_table(basis, event_of(outcome)),
        model=tuple(sentences(fit)),
        maths=tuple(formulas(fit)),
        tables=tables,
        parts=parts,
        contrasts=tuple(
            (results.contrast_table(frame), str(frame.attrs["note"]))
            for frame in contrasts.values()
        ),
        analyses=tuple(map(analyses_table, analyses)),
        standing=standing,
        predictive=predictive_words(checks, labels, counts, len(basis.studies)),
        calibration=calibration_words(fit, studies),
        diagnosis=f"{diagnosis_words(fit, sampled)} {checks_of.attempts_words(fit)}".strip(),
        figures=draw_figures(fit, studies, drawer)
        | draw_sensitivity(fit, others, left, drawer)
        | draw_flow(question.spec, studies, drawer),
        files={**files, "fit (netCDF)": f"{folder.name}/fit.nc"},
        record=record_of(fit),
        versions=json.loads(str(fit.attrs["versions"])),
    )
    return for_reviewers(made, fit, summary, studies)


def write_tables(frames: Mapping[str, pd.DataFrame | None], folder: Path) -> dict[str, str]:
    """Write tables into a folder, and return their addresses by words."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for name, frame in frames.items():
        if frame is not None:
            frame.to_csv(folder / f"{name}.csv", index=False)
            files[name.replace("-", " ")] = f"{folder.name}/{name}.csv"
    return files


def _fault_frame(question: Question) -> pd.DataFrame:
    """Return why there is no answer in the words of the engine."""
    import pandas as pd

    columns = pd.Index(["place", "found", "allowed", "attempt"])
    return pd.DataFrame(
        [[getattr(fault, name) for name in columns] for fault in question.faults], columns=columns
    )
