"""Bayesian meta-analysis of CAR-T studies, with the place of every number.

A study is a file, an analysis is a file, and between them stands one engine: study files, evidence
table, model, posterior, tables, figures and a report.

Examples
--------
>>> import metacart as mc
>>> fit = mc.fit("cr_rate")  # doctest: +SKIP
>>> mc.summarize(fit)  # doctest: +SKIP
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metacart.errors import Fault, InputError, MetacartError
    from metacart.evidence import conversions
    from metacart.evidence.bias.judged import risk_of_bias, risk_of_bias_shares
    from metacart.evidence.coverage import coverage
    from metacart.evidence.exchange.export import export_studies
    from metacart.evidence.exchange.importing import import_studies
    from metacart.evidence.flow import flow
    from metacart.evidence.library import (
        BUNDLED,
        Studies,
        check_studies,
        list_models,
        load_model,
        load_studies,
    )
    from metacart.evidence.overlap import cohorts, overlap
    from metacart.evidence.selection import account, tabulate
    from metacart.evidence.versions.difference import diff_studies
    from metacart.inference.fit import fit
    from metacart.inference.keeping import Cache
    from metacart.inference.predictive import predictive
    from metacart.inference.storage import load_fit, save_fit
    from metacart.modelling.likelihoods import LIKELIHOODS, Likelihood, System
    from metacart.plots.baujat import plot_baujat
    from metacart.plots.benefit_risk import plot_benefit_risk
    from metacart.plots.calibration import plot_calibration
    from metacart.plots.conflict import plot_conflict
    from metacart.plots.coverage import plot_coverage
    from metacart.plots.cumulative import plot_cumulative
    from metacart.plots.drapery import plot_drapery
    from metacart.plots.flow import plot_flow
    from metacart.plots.forest import plot_forest
    from metacart.plots.funnel import plot_funnel
    from metacart.plots.galbraith import plot_galbraith
    from metacart.plots.grades import plot_grades
    from metacart.plots.influence import plot_influence
    from metacart.plots.joint import plot_joint
    from metacart.plots.labbe import plot_labbe
    from metacart.plots.leave_one_out import plot_leave_one_out
    from metacart.plots.loo_pit import plot_loo_pit
    from metacart.plots.multiverse import plot_multiverse
    from metacart.plots.network import plot_network
    from metacart.plots.power_scaling import plot_power_scaling
    from metacart.plots.ppc import plot_ppc
    from metacart.plots.prior_posterior import plot_prior_posterior
    from metacart.plots.prior_preview import plot_prior_preview
    from metacart.plots.prior_sensitivity import plot_prior_sensitivity
    from metacart.plots.regression import plot_regression
    from metacart.plots.ridge import plot_ridge
    from metacart.plots.risk_of_bias import plot_risk_of_bias
    from metacart.plots.shrinkage import plot_shrinkage
    from metacart.plots.simulated_time import plot_immortal_time
    from metacart.plots.tipping_point import plot_tipping_point
    from metacart.records.priors import parse_prior
    from metacart.records.spec import ModelSpec
    from metacart.records.study import Study
    from metacart.report.build import report
    from metacart.results.absolute import absolute
    from metacart.results.average_models import average_models
    from metacart.results.baujat_table import baujat_table
    from metacart.results.benefit_risk import benefit_risk
    from metacart.results.bias_sensitivity import bias_sensitivity
    from metacart.results.borrowing import borrowing
    from metacart.results.calibration import calibrate
    from metacart.results.checks import diagnostics, predictive_checks
    from metacart.results.conditional_means import conditional_means
    from metacart.results.conflict import conflict
    from metacart.results.contrast import contrast
    from metacart.results.contrast_sensitivity import contrast_sensitivity
    from metacart.results.cumulative import cumulative
    from metacart.results.drapery_table import drapery_table
    from metacart.results.engine_agreement import compare_engines
    from metacart.results.forest_table import forest_table
    from metacart.results.funnel_table import funnel_table
    from metacart.results.galbraith_table import galbraith_table
    from metacart.results.grade_table import grade_table
    from metacart.results.heterogeneity import heterogeneity, study_estimates
    from metacart.results.influence import influence
    from metacart.results.labbe_table import labbe_table
    from metacart.results.leave_one_out import leave_one_out
    from metacart.results.loo_pit import loo_pit
    from metacart.results.multiverse import multiverse, rank_choices
    from metacart.results.named_priors import named_priors
    from metacart.results.network_table import network_table
    from metacart.results.origin_probabilities import origin_probabilities
    from metacart.results.power_scaling import power_scaling
    from metacart.results.predict import predict
    from metacart.results.prior_preview import preview_priors
    from metacart.results.published import compare_published
    from metacart.results.regression import regression_table
    from metacart.results.selection_sensitivity import selection_sensitivity
    from metacart.results.sensitivity import prior_sensitivity
    from metacart.results.simulated_time import simulate_immortal_time
    from metacart.results.small_study_effects import small_study_effects
    from metacart.results.summary import summarize
    from metacart.results.tipping_point import tipping_point

    __version__: str

__all__ = [
    "BUNDLED",
    "LIKELIHOODS",
    "Cache",
    "Fault",
    "InputError",
    "Likelihood",
    "MetacartError",
    "ModelSpec",
    "Studies",
    "Study",
    "System",
    "__version__",
    "absolute",
    "account",
    "average_models",
    "baujat_table",
    "benefit_risk",
    "bias_sensitivity",
    "borrowing",
    "calibrate",
    "check_studies",
    "cohorts",
    "compare_engines",
    "compare_published",
    "conditional_means",
    "conflict",
    "contrast",
    "contrast_sensitivity",
    "conversions",
    "coverage",
    "cumulative",
    "diagnostics",
    "diff_studies",
    "drapery_table",
    "export_studies",
    "fit",
    "flow",
    "forest_table",
    "funnel_table",
    "galbraith_table",
    "grade_table",
    "heterogeneity",
    "import_studies",
    "influence",
    "labbe_table",
    "leave_one_out",
    "list_models",
    "load_fit",
    "load_model",
    "load_studies",
    "loo_pit",
    "multiverse",
    "named_priors",
    "network_table",
    "origin_probabilities",
    "overlap",
    "parse_prior",
    "plot_baujat",
    "plot_benefit_risk",
    "plot_calibration",
    "plot_conflict",
    "plot_coverage",
    "plot_cumulative",
    "plot_drapery",
    "plot_flow",
    "plot_forest",
    "plot_funnel",
    "plot_galbraith",
    "plot_grades",
    "plot_immortal_time",
    "plot_influence",
    "plot_joint",
    "plot_labbe",
    "plot_leave_one_out",
    "plot_loo_pit",
    "plot_multiverse",
    "plot_network",
    "plot_power_scaling",
    "plot_ppc",
    "plot_prior_posterior",
    "plot_prior_preview",
    "plot_prior_sensitivity",
    "plot_regression",
    "plot_ridge",
    "plot_risk_of_bias",
    "plot_shrinkage",
    "plot_tipping_point",
    "power_scaling",
    "predict",
    "predictive",
    "predictive_checks",
    "preview_priors",
    "prior_sensitivity",
    "rank_choices",
    "regression_table",
    "report",
    "risk_of_bias",
    "risk_of_bias_shares",
    "save_fit",
    "selection_sensitivity",
    "simulate_immortal_time",
    "small_study_effects",
    "study_estimates",
    "summarize",
    "tabulate",
    "tipping_point",
]

# Where each name lives; its room is imported when the name is first used.
_HOMES = {
    "errors": ("Fault", "InputError", "MetacartError"),
    "evidence": ("conversions",),
    "evidence.versions.difference": ("diff_studies",),
    "evidence.exchange.export": ("export_studies",),
    "evidence.exchange.importing": ("import_studies",),
    "evidence.library": (
        "BUNDLED",
        "Studies",
        "check_studies",
        "list_models",
        "load_model",
        "load_studies",
    ),
    "evidence.coverage": ("coverage",),
    "evidence.flow": ("flow",),
    "evidence.bias.judged": ("risk_of_bias", "risk_of_bias_shares"),
    "evidence.overlap": ("cohorts", "overlap"),
    "evidence.selection": ("account", "tabulate"),
    "inference.fit": ("fit",),
    "inference.keeping": ("Cache",),
    "inference.predictive": ("predictive",),
    "inference.storage": ("load_fit", "save_fit"),
    "modelling.likelihoods": ("LIKELIHOODS", "Likelihood", "System"),
    "plots.baujat": ("plot_baujat",),
    "plots.benefit_risk": ("plot_benefit_risk",),
    "plots.calibration": ("plot_calibration",),
    "plots.conflict": ("plot_conflict",),
    "plots.coverage": ("plot_coverage",),
    "plots.cumulative": ("plot_cumulative",),
    "plots.drapery": ("plot_drapery",),
    "plots.flow": ("plot_flow",),
    "plots.forest": ("plot_forest",),
    "plots.galbraith": ("plot_galbraith",),
    "plots.grades": ("plot_grades",),
    "plots.funnel": ("plot_funnel",),
    "plots.influence": ("plot_influence",),
    "plots.joint": ("plot_joint",),
    "plots.labbe": ("plot_labbe",),
    "plots.leave_one_out": ("plot_leave_one_out",),
    "plots.loo_pit": ("plot_loo_pit",),
    "plots.multiverse": ("plot_multiverse",),
    "plots.network": ("plot_network",),
    "plots.power_scaling": ("plot_power_scaling",),
    "plots.ppc": ("plot_ppc",),
    "plots.prior_posterior": ("plot_prior_posterior",),
    "plots.prior_preview": ("plot_prior_preview",),
    "plots.prior_sensitivity": ("plot_prior_sensitivity",),
    "plots.regression": ("plot_regression",),
    "plots.ridge": ("plot_ridge",),
    "plots.risk_of_bias": ("plot_risk_of_bias",),
    "plots.shrinkage": ("plot_shrinkage",),
    "plots.simulated_time": ("plot_immortal_time",),
    "plots.tipping_point": ("plot_tipping_point",),
    "records.priors": ("parse_prior",),
    "records.spec": ("ModelSpec",),
    "records.study": ("Study",),
    "report.build": ("report",),
    "results.absolute": ("absolute",),
    "results.average_models": ("average_models",),
    "results.baujat_table": ("baujat_table",),
    "results.benefit_risk": ("benefit_risk",),
    "results.borrowing": ("borrowing",),
    "results.calibration": ("calibrate",),
    "results.bias_sensitivity": ("bias_sensitivity",),
    "results.checks": ("diagnostics", "predictive_checks"),
    "results.conditional_means": ("conditional_means",),
    "results.conflict": ("conflict",),
    "results.contrast": ("contrast",),
    "results.contrast_sensitivity": ("contrast_sensitivity",),
    "results.cumulative": ("cumulative",),
    "results.drapery_table": ("drapery_table",),
    "results.engine_agreement": ("compare_engines",),
    "results.forest_table": ("forest_table",),
    "results.galbraith_table": ("galbraith_table",),
    "results.grade_table": ("grade_table",),
    "results.funnel_table": ("funnel_table",),
    "results.heterogeneity": ("heterogeneity", "study_estimates"),
    "results.influence": ("influence",),
    "results.labbe_table": ("labbe_table",),
    "results.leave_one_out": ("leave_one_out",),
    "results.loo_pit": ("loo_pit",),
    "results.multiverse": ("multiverse", "rank_choices"),
    "results.named_priors": ("named_priors",),
    "results.network_table": ("network_table",),
    "results.origin_probabilities": ("origin_probabilities",),
    "results.power_scaling": ("power_scaling",),
    "results.prior_preview": ("preview_priors",),
    "results.predict": ("predict",),
    "results.published": ("compare_published",),
    "results.regression": ("regression_table",),
    "results.selection_sensitivity": ("selection_sensitivity",),
    "results.sensitivity": ("prior_sensitivity",),
    "results.simulated_time": ("simulate_immortal_time",),
    "results.small_study_effects": ("small_study_effects",),
    "results.summary": ("summarize",),
    "results.tipping_point": ("tipping_point",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
_MODULES = ("conversions",)


if not TYPE_CHECKING:  # a type checker would take any name for one that this could answer

    def __getattr__(name: str) -> Any:
        value: Any
        if name == "__version__":
            from importlib.metadata import version

            value = version(__name__)
        elif name in _HOME_OF:
            home = import_module(f"{__name__}.{_HOME_OF[name]}")
            if name in _MODULES:  # an attribute of its package only once it is imported
                import_module(f"{home.__name__}.{name}")
            value = getattr(home, name)
        else:
            # name and obj let Python suggest the nearest name
            raise AttributeError(
                f"module {__name__!r} has no attribute {name!r}",
                name=name,
                obj=sys.modules[__name__],
            )
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)


class _Package(ModuleType):
    """The package as a module in which a room never hides the verb of the same name.

    Importing anything of the room ``report`` would set ``metacart.report`` to that room, and
    ``metacart.report(...)`` would work or fail by the order of imports.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (isinstance(value, ModuleType) and name in _HOME_OF):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
