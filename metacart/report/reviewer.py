"""What a section says beyond its answer, for those who judge the analysis."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from metacart.evidence.collection import Studies
from metacart.inference.records import design_of, evidence_of, spec_of
from metacart.modelling.design import scale_of
from metacart.report.check_tables import prior_predictive_table
from metacart.report.check_words import finding_words
from metacart.report.findings import findings_of
from metacart.report.guidelines.appendix import items_of
from metacart.report.methods import methods_of
from metacart.report.pico import pico
from metacart.results.checks import predictive_checks

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from metacart.report.section import Section

__all__ = ["for_reviewers"]


def for_reviewers(
    section: Section, fit: xr.DataTree, summary: pd.DataFrame, studies: Studies
) -> Section:
    """Return a section with the question in parts, its methods, and the items that it answers.

    Parameters
    ----------
    section : Section
        From a fit.
    fit : DataTree
        The fit: nothing is fitted again.
    summary : DataFrame
        Its estimands, with the errors of the limits.
    studies : Studies
        All that were given.
    """
    assert section.basis is not None
    tables = dict(section.tables)
    if "prior_predictive" in fit.children:
        seen = predictive_checks(fit, group="prior_predictive")
        labels = finding_words(evidence_of(fit), fit)
        made_of = scale_of(design_of(fit))
        tables["prior_predictive"] = prior_predictive_table(seen, labels, made_of)
    made = replace(
        section,
        tables=tables,
        pico=pico(spec_of(fit), section.basis.studies, studies.vocabulary),
        methods=methods_of(section, fit, section.basis) if section.answer else "",
        findings=findings_of(section, fit, summary, studies),
    )
    return replace(made, items=items_of(made, fit))
