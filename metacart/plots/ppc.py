"""The posterior predictive check: what the model would report, and what was reported."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from metacart.errors import Fault, InputError, named_options
from metacart.evidence.columns import counts_of_arms
from metacart.inference.one_mean import of_one_mean
from metacart.inference.records import design_of, evidence_of
from metacart.modelling.design import observed_values, scale_of
from metacart.plots.axes import Axis, linear_axis, percent_axis, ratio_axis
from metacart.plots.facts import (
    Measure,
    axis_words,
    failure_of,
    measure_of,
    null_of,
    reported,
    title_of,
)
from metacart.plots.files import check_file, deliver
from metacart.plots.layout import Column, Key, Page, Panel, Row, intervals, open_page
from metacart.plots.marks import spot
from metacart.plots.measure import COLOURS, style
from metacart.plots.numbers import number, span
from metacart.results.checks import predictive_checks

if TYPE_CHECKING:
    import xarray as xr
    from arviz_plots import PlotCollection
    from numpy.typing import NDArray

__all__ = ["plot_ppc"]

_EXPLANATION = (
    "Replicates are draws of the posterior predictive distribution with the study effect drawn "
    "again, as for a new study of the same size. Intervals are equal-tailed; ties count half in "
    "the probability."
)
_OF_GROUPS = "Counts of two groups as ratios with half an event more on either side."


@named_options
@of_one_mean
def plot_ppc(fit: xr.DataTree, *, file: str | os.PathLike[str] | None = None) -> PlotCollection:
    """Plot what the model would report in each finding's place beside what was reported.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.
    file : path, optional
        Where to write the figure: ``.png``, ``.svg`` or ``.pdf``.

    Returns
    -------
    arviz_plots.PlotCollection
        ``viz`` holds ``replicated`` (95 %), ``replicated_half`` (50 %) and ``observed`` by row.

    Raises
    ------
    InputError
        For another suffix, or a fit without posterior predictive draws.

    Notes
    -----
    The study effect is drawn again for each replicate, as for a new study of the same size:
    conditional on its own effect a study can hardly disagree with the model. Counts are shown as
    rates, log ratios as ratios. Intervals are equal-tailed, points medians. ArviZ's
    ``plot_ppc_interval`` has an index where this figure has names.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.plot_ppc(mc.fit("cr_rate"), file="ppc.svg")  # doctest: +SKIP
    """
    if file is not None:
        check_file(file)
    if "posterior_predictive" not in fit.children:
        raise InputError(
            Fault("fit", "no group posterior_predictive", "a fit as metacart.fit returns it")
        )
    checks = predictive_checks(fit)
    checks = checks[checks["check"] == "finding"]
    half = np.quantile(_replicates(fit), [0.25, 0.75], axis=0)
    findings, measure = reported(fit), measure_of(scale_of(design_of(fit)))
    names = [f"finding:{label}" for label in checks["finding"]]
    ends = list(zip(checks["lower"].tolist(), checks["upper"].tolist(), strict=True))
    observed, outside = checks["observed"].tolist(), checks["surprising"].tolist()
    axis = _axis(fit, measure, [*observed, *checks["median"]], ends)
    places = {"rate": 0, "ratio": None, "value": 2}[measure]
    cells = {
        "study": [item.label for item in findings],
        "arm": [item.arm for item in findings],
        "evidence": [item.text for item in findings],
        "observed_text": [
            number(value, measure, places if item.places is None else item.places)
            for value, item in zip(observed, findings, strict=True)
        ],
        "replicated_text": [span(low, high, measure, places) for low, high in ends],
        "p": [f"{p:.2f}" if 0.01 <= p <= 0.99 else f"{p:.3f}" for p in checks["p"]],
    }
    texts = {column: dict(zip(names, values, strict=True)) for column, values in cells.items()}
    unit = "\n%" if measure == "rate" else ""
    counts = counts_of_arms(evidence_of(fit).columns)
    verdict = _verdict(sum(outside), len(findings))
    with style():
        page = open_page(
            rows=[Row(name, shade=n % 2 == 0) for n, name in enumerate(names)],
            parts=[
                Column("study", "Study", texts["study"]),
                Column("arm", "Arm", texts["arm"]),
                Column(
                    "evidence",
                    "Events/\npatients" if counts else "Reported",
                    texts["evidence"],
                    "right" if counts else "left",
                ),
                Panel("checks", axis),
                Column("observed_text", f"Reported{unit}", texts["observed_text"], "right"),
                Column("replicated_text", "Replicates\n95 %", texts["replicated_text"], "right"),
                Column("p", "P(replicate\n> reported)", texts["p"], "right"),
            ],
            key=[
                Key("bar", "replicates of the model, 50 %", COLOURS["model"], 0.45),
                Key("line", "95 %", COLOURS["model"]),
                Key("dot", "reported", COLOURS["ink"]),
                Key("cross", "reported, surprising", COLOURS["next"]),
            ],
            notes=[
                verdict,
                _EXPLANATION,
                *([_OF_GROUPS] if "control_events" in evidence_of(fit) else []),
            ],
            warning=failure_of(fit),
        )
        _draw(page, names, observed, outside, ends, list(zip(*half, strict=True)))
    alt = (
        f"Posterior predictive check of {title_of(fit)}: {len(findings)} findings, each with the "
        f"interval of its replicates and the reported value. {verdict}"
    )
    return deliver(page.collection, title=title_of(fit), alt=alt, file=file)


def _replicates(fit: xr.DataTree) -> NDArray[np.float64]:
    """Return replicates (draws, findings) on the natural scale."""
    design = design_of(fit)
    draws = fit["posterior_predictive"]["y"].transpose("chain", "draw", "finding").to_numpy()
    draws = draws.reshape(-1, draws.shape[-1]).astype(np.float64)
    return observed_values(design, draws)


def _axis(
    fit: xr.DataTree, measure: Measure, points: list[float], ends: list[tuple[float, float]]
) -> Axis:
    label = axis_words(fit)
    if measure == "rate":
        return percent_axis(label)
    if measure == "ratio":
        return ratio_axis(label, points=points, intervals=ends, null=null_of(fit))
    return linear_axis(label, points=points, intervals=ends)


def _verdict(surprising: int, findings: int) -> str:
    values = "value" if findings == 1 else "values"
    return (
        f"Outside the 95 % interval of their replicates: {surprising} of {findings} reported "
        f"{values} (one in twenty by chance)."
    )


def _draw(
    page: Page,
    names: list[str],
    observed: list[float],
    outside: list[bool],
    ends: list[tuple[float, float]],
    half: list[tuple[float, float]],
) -> None:
    colour = COLOURS["model"]
    intervals(
        page, "replicated", dict(zip(names, ends, strict=True)), on="checks", colour=colour,
        width=1.0, arrow=14.0,
    )  # fmt: skip
    intervals(
        page, "replicated_half", dict(zip(names, half, strict=True)), on="checks", colour=colour,
        width=4.0, arrow=14.0, alpha=0.45,
    )  # fmt: skip
    values = dict(zip(names, observed, strict=True))
    flags = dict(zip(names, outside, strict=True))
    page.draw(
        spot,
        "observed",
        values,
        on="checks",
        marker={name: "X" if flags[name] else "o" for name in names},
        color={name: COLOURS["next" if flags[name] else "ink"] for name in names},
        size={name: 34.0 if flags[name] else 16.0 for name in names},
        width=0.0,
        clip_on=False,
        zorder=4,
    )
