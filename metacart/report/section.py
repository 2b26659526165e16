"""One question as a section of the page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from metacart.evidence.collection import Studies
from metacart.inference.records import design_of
from metacart.inference.storage import save_fit
from metacart.modelling.design import scale_of
from metacart.modelling.moderators import level_text
from metacart.report import account_tables as accounts
from metacart.report import check_tables as checks_of
from metacart.report import result_tables as results
from metacart.report.answer import Answer, answer, question_of
from metacart.report.evidence_tables import discrepancy_tables, evidence_table
from metacart.report.figures import Figure, draw_figures
from metacart.report.model_words import formulas, prior_table, sentences
from metacart.report.questions import Question
from metacart.report.tables import Table
from metacart.report.words import capital, count_of, join, outcome_of
from metacart.results.checks import diagnostics, predictive_checks
from metacart.results.contrast import contrast
from metacart.results.forest_table import forest_table
from metacart.results.heterogeneity import heterogeneity, study_estimates
from metacart.results.summary import summarize

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["Section", "answered", "unanswered"]


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
    short : str
        The answer in the list at the top.
    answer : Answer or None
        The answer in plain words; none where the fit failed.
    reasons, faults : tuple of str
        Why there is no answer: in words, and in those of the engine.
    notes : tuple of str
        What the author of the question wants known.
    used, left, crude : Table or None
        The evidence.
    others : str
        The findings of other outcomes.
    discrepancies : tuple of Table
        Where papers contradict themselves.
    model, maths : tuple
        The model in words and formulas.
    tables : dict of str to Table
        ``priors``, ``estimands``, ``thresholds``, ``spread``, ``predictive``, ``diagnostics`` and,
        with moderators, ``levels``.
    contrasts : tuple of (Table, str)
        Each with the kind of comparison that it is.
    predictive, diagnosis : str
        The verdicts of the checks.
    figures : dict of str to Figure
        The figures.
    files : dict of str to str
        Addresses of the files beside the page, by words.
    record, versions : dict of str to str
        Hashes, seed, draws; packages.
    """

    name: str
    title: str
    question: str
    state: str
    short: str
    gate: str = ""
    answer: Answer | None = None
    reasons: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    used: Table | None = None
    left: Table | None = None
    crude: Table | None = None
    others: str = ""
    discrepancies: tuple[Table, ...] = ()
    model: tuple[str, ...] = ()
    maths: tuple[Markup, ...] = ()
    tables: Mapping[str, Table]
    contrasts: tuple[tuple[Table, str], ...] = ()
    predictive: str = ""
    diagnosis: str = ""
    figures: Mapping[str, Figure]
    files: Mapping[str, str]
    record: Mapping[str, str]
    versions: Mapping[str, str]


def _common(question: Question, studies: Studies) -> dict[str, Any]:
    spec = question.spec
    outcome = outcome_of(spec.outcome, studies.vocabulary)
    title, asked = question_of(spec.title, spec.question, outcome)
    shown = accounts.studies_shown(question, studies)
    return {
        "name": spec.name,
        "title": title,
        "question": asked,
        "notes": spec.notes,
        "left": accounts.exclusion_table(question, studies),
        "others": accounts.other_findings(question, studies),
        "discrepancies": tuple(discrepancy_tables(shown)),
    }


def unanswered(question: Question, studies: Studies, folder: Path) -> Section:
    """Return the section of a question that the evidence cannot answer, and write its tables."""
    papers = "this paper" if len(studies) == 1 else f"these {count_of(len(studies), 'paper')}"
    used = question.evidence
    common = _common(question, studies)
    reasons = [*question.reasons, *accounts.left_out_levels(question, studies)]
    if used is None:
        outcome = outcome_of(question.spec.outcome, studies.vocabulary).title
        left = len(common["left"].rows)
        recorded = count_of(left, f"finding of {outcome}", f"findings of {outcome}")
        reasons.append(
            f"{capital(recorded)} {'is' if left == 1 else 'are'} recorded"
            + ("; the list below says for each why it is left out." if left else ".")
        )
    frames = {"account": question.account} | ({} if used is None else {"evidence": used})
    return Section(
        **common,
        state="unanswered",
        short=f"Not answerable from {papers}.",
        reasons=tuple(reasons),
        faults=tuple(str(fault) for fault in question.faults),
        crude=accounts.crude_table(question, studies),
        tables={},
        figures={},
        files=_write(frames, folder),
        record={},
        versions={},
    )


def answered(question: Question, fit: xr.DataTree, studies: Studies, folder: Path) -> Section:
    """Return the section of a fit, and write its tables, figures and the fit itself."""
    scale = scale_of(design_of(fit))
    outcome = outcome_of(question.spec.outcome, studies.vocabulary)
    contrasts = {
        "-".join([name, level_text(level), level_text(reference)]): contrast(
            fit, name, level, reference
        )
        for name, level, reference in question.spec.contrasts
    }
    estimates, spread = study_estimates(fit), heterogeneity(fit)
    summary, checks, sampled = summarize(fit), predictive_checks(fit), diagnostics(fit)
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
    }
    files = _write(frames, folder)
    save_fit(fit, folder / "fit.nc")
    converged = bool(fit.attrs["converged"])
    found = answer(fit, summary, contrasts, outcome)
    labels = _labels(question.evidence, fit)
    levels = results.level_table(fit)
    tables = {
        "priors": prior_table(fit),
        "estimands": results.estimand_table(fit, summary),
        "thresholds": results.threshold_table(fit, summary),
        "spread": checks_of.heterogeneity_table(spread, question.spec.random_effects),
        "predictive": checks_of.predictive_table(checks, labels, scale),
        "diagnostics": checks_of.diagnostics_table(sampled),
    }
    return Section(
        **_common(question, studies),
        state="answered" if converged else "failed",
        gate="" if converged else str(fit.attrs["gate"]),
        short=found.short if converged else "No answer: the computation failed its check.",
        answer=found if converged else None,
        used=evidence_table(question, studies, estimates),
        model=tuple(sentences(fit)),
        maths=tuple(formulas(fit)),
        tables=tables if levels is None else {**tables, "levels": levels},
        contrasts=tuple(
            (results.contrast_table(frame), str(frame.attrs["note"]))
            for frame in contrasts.values()
        ),
        predictive=_predictive_words(checks, labels),
        diagnosis=_diagnosis_words(fit, sampled),
        figures=draw_figures(fit, folder),
        files={**files, "fit (netCDF)": f"{folder.name}/fit.nc"},
        record=_record(fit),
        versions=json.loads(str(fit.attrs["versions"])),
    )


def _write(frames: Mapping[str, pd.DataFrame | None], folder: Path) -> dict[str, str]:
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for name, frame in frames.items():
        if frame is not None:
            frame.to_csv(folder / f"{name}.csv", index=False)
            files[name.replace("-", " ")] = f"{folder.name}/{name}.csv"
    return files


def _labels(used: pd.DataFrame | None, fit: xr.DataTree) -> dict[str, str]:
    """Return each finding of the design by the words of a reader."""
    names = [str(name) for name in design_of(fit)["finding"].to_numpy()]
    if used is None:
        return {}
    return {
        name: f"{row['label']}, {row['arm_label']}"
        for name, row in zip(names, used.to_dict("records"), strict=True)
    }


def _predictive_words(checks: pd.DataFrame, labels: Mapping[str, str]) -> str:
    """Say whether the reported numbers look like data of the model."""
    surprising = checks[checks["surprising"]].to_dict("records")
    basis = (
        "New studies were drawn from the model, with the numbers of patients of the real ones, "
        "and set beside what was reported. "
    )
    if not surprising:
        none = f"None of the {len(checks)} checks is" if len(checks) > 1 else "The one check is not"
        return f"{basis}{none} surprising."
    names = join(checks_of.check_name(row, labels) for row in surprising)
    some = "One check is" if len(surprising) == 1 else f"{len(surprising)} checks are"
    return (
        f"{basis}{some} surprising: {names}. "
        f"By chance about {0.05 * len(checks):.1f} of {len(checks)} would be."
    )


def _diagnosis_words(fit: xr.DataTree, frame: pd.DataFrame) -> str:
    verdict = "Passed." if fit.attrs["converged"] else "Failed: the result must not be used."
    divergences = int(frame["divergences"].iloc[0])
    parts = [f"{count_of(divergences, 'divergent transition')}"]
    if frame["r_hat"].notna().any():
        parts.append(f"largest R̂ {frame['r_hat'].max():.3f}")
    parts.append(
        f"smallest effective sample size {frame[['ess_bulk', 'ess_tail']].min().min():.0f}"
    )
    gate = "" if fit.attrs["converged"] else f" The gate: {frame.attrs['gate']}."
    return f"{verdict} {capital(join(parts))}.{gate}"


def _record(fit: xr.DataTree) -> dict[str, str]:
    sizes = fit["posterior"].sizes
    return {
        "Seed": str(fit.attrs["seed"]),
        "Draws": f"{sizes['chain']} chains of {sizes['draw']} after tuning",
        "Method": str(fit.attrs["method"]),
        "Hash of the question": str(fit.attrs["spec_hash"]),
        "Hash of the evidence": str(fit.attrs["evidence_hash"]),
    }
