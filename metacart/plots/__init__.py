"""Figures of a fit, each with a table twin in ``results``. Floor 5."""

from metacart.plots.files import close_figure, save_figure
from metacart.plots.forest import plot_forest
from metacart.plots.ppc import plot_ppc
from metacart.plots.prior_posterior import plot_prior_posterior

__all__ = ["close_figure", "plot_forest", "plot_ppc", "plot_prior_posterior", "save_figure"]
