"""Figures of studies and fits, each with a table twin in ``evidence`` or ``results``. Floor 5."""

from metacart.plots.coverage import plot_coverage
from metacart.plots.files import close_figure, save_figure
from metacart.plots.flow import plot_flow
from metacart.plots.forest import plot_forest
from metacart.plots.ppc import plot_ppc
from metacart.plots.prior_posterior import plot_prior_posterior
from metacart.plots.risk_of_bias import plot_risk_of_bias

__all__ = [
    "close_figure",
    "plot_coverage",
    "plot_flow",
    "plot_forest",
    "plot_ppc",
    "plot_prior_posterior",
    "plot_risk_of_bias",
    "save_figure",
]
