"""The posterior predictive check: what the model would report, and what was reported."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from metacart.errors import Fault, InputError, named_options
from metacart.evidence.columns import counts_of_arms
from metacart.inference.one_mean import of_one_mean
from metacart.inference.records import design_of, evidence_of
from metacart.modelling.design import scale_of
from metacart.plots.axes import Axis, linear_axis, percent_axis, ratio_axis
from metacart.plots.facts import (
    Measure,
    axis_words,
    capital,
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
from metacart.results.checks import compared, natural, overall, predictive_checks

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from arviz_plots import PlotCollection

__all__ = ["plot_ppc"]

_EXPLANATION = (
    "Replicates are draws of the posterior predictive distribution with the study effect drawn "
    "again, as for a new study of the same size. Intervals are equal-tailed; ties count half in "
    "the probability."
)
_OF_ALL = "A spread of all findings has no place on the axis; its numbers stand beside it."
_OF_ARMS = "Arms without events, or with events only, are drawn as a share of all arms."
_TOGETHER = {
    "without events": "Arms without events",
    "with events only": "Arms with events only",
}
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
        ``viz`` holds ``replicated`` (95 %), ``replicated_half`` (50 %) and ``observed`` by row:
        each finding, and below a rule what all findings say together (``check:mean`` and so on),
        for counts also the arms without events and with events only.

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
    checks = _checks(fit)
    findings, measure = reported(fit), measure_of(scale_of(design_of(fit)))
    alone = checks["check"] == "finding"
    names = checks["row"].tolist()
    at = checks[["observed", "lower", "upper", "half_lower", "half_upper"]].T.to_dict("list")
    drawn = {name: at[n] for n, name in enumerate(names) if not name.endswith("SD")}
    outside = dict(zip(names, checks["surprising"].tolist(), strict=True))
    axis = _axis(fit, measure, drawn.values())
    places = {"rate": 0, "ratio": None, "value": 2}[measure]
    together = {
        name: _TOGETHER.get(check, capital(check))
        for name, check in zip(names, checks["check"], strict=True)
        if check != "finding"
    }
    cells = {
        "study": [*(item.label for item in findings), *together.values()],
        "arm": [item.arm for item in findings] + [""] * len(together),
        "evidence": [item.text for item in findings] + checks.loc[~alone, "counted"].tolist(),
        "observed_text": [
            number(value, measure, places if item is None or item.places is None else item.places)
            for value, item in zip(
                checks["observed"], [*findings, *([None] * len(together))], strict=True
            )
        ],
        "replicated_text": [
            span(low, high, measure, places)
            for low, high in zip(checks["lower"], checks["upper"], strict=True)
        ],
        "p": [f"{p:.2f}" if 0.01 <= p <= 0.99 else f"{p:.3f}" for p in checks["p"]],
    }
    texts = {column: dict(zip(names, values, strict=True)) for column, values in cells.items()}
    texts["study"] |= {"together": "All findings together"} if together else {}
    unit = "\n%" if measure == "rate" else ""
    counts = counts_of_arms(evidence_of(fit).columns)
    verdict = _verdict(int(checks.loc[alone, "surprising"].sum()), len(findings))
    rows = [Row(name, shade=n % 2 == 0) for n, name in enumerate(names) if name not in together]
    if together:
        rows.append(Row("together", bold=True, ruled=True, space=0.08))
        rows += [Row(name, shade=n % 2 == 0) for n, name in enumerate(together)]
    with style():
        page = open_page(
            rows=rows,
            parts=[
                Column("study", "Study", texts["study"], spans=frozenset({"together", *together})),
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
                *([_OF_ALL] if together else []),
                *([_OF_ARMS] if checks["counted"].any() else []),
                *([_OF_GROUPS] if "control_events" in evidence_of(fit) else []),
            ],
            warning=failure_of(fit),
        )
        _draw(page, drawn, outside)
    surprising = [words.lower() for name, words in together.items() if outside[name]]
    said = f" Of all findings together surprising: {', '.join(surprising) or 'nothing'}."
    alt = (
        f"Posterior predictive check of {title_of(fit)}: {len(findings)} findings, each with the "
        f"interval of its replicates and the reported value. {verdict}{said if together else ''}"
    )
    return deliver(page.collection, title=title_of(fit), alt=alt, file=file)


def _checks(fit: xr.DataTree) -> pd.DataFrame:
    """Return the table of the checks, with rows' names and the middle half of their replicates.

    Numbers of arms become shares of all arms, with what was counted in words.
    """
    design = design_of(fit)
    draws = fit["posterior_predictive"]["y"].transpose("chain", "draw", "finding").to_numpy()
    draws = compared(design, draws.reshape(-1, draws.shape[-1]).astype(np.float64))
    table = predictive_checks(fit)
    alone = table["check"] == "finding"
    rows = np.where(alone, "finding:" + table["finding"], "check:" + table["check"])
    together = overall(design, draws)
    each = [*draws.T, *(together[name] for name in table.loc[~alone, "check"])]
    half = natural(design, np.quantile(np.asarray(each), [0.25, 0.75], axis=1))
    table = table.assign(row=rows, half_lower=half[0], half_upper=half[1], counted="")
    arms, numbers = int(alone.sum()), ["observed", "lower", "upper", "half_lower", "half_upper"]
    of_arms = table["check"].isin(list(_TOGETHER))
    table.loc[of_arms, "counted"] = [f"{n:.0f}/{arms}" for n in table.loc[of_arms, "observed"]]
    table.loc[of_arms, numbers] /= arms
    return table


def _axis(fit: xr.DataTree, measure: Measure, drawn: Iterable[list[float]]) -> Axis:
    label = axis_words(fit)
    if measure == "rate":
        return percent_axis(label)
    points = [at[0] for at in drawn]
    ends = [(at[1], at[2]) for at in drawn]
    if measure == "ratio":
        return ratio_axis(label, points=points, intervals=ends, null=null_of(fit))
    return linear_axis(label, points=points, intervals=ends)


def _verdict(surprising: int, findings: int) -> str:
    values = "value" if findings == 1 else "values"
    return (
        f"Outside the 95 % interval of their replicates: {surprising} of {findings} reported "
        f"{values} (one in twenty by chance)."
    )


def _draw(page: Page, drawn: Mapping[str, list[float]], outside: Mapping[str, bool]) -> None:
    colour = COLOURS["model"]
    whole = {name: (at[1], at[2]) for name, at in drawn.items()}
    half = {name: (at[3], at[4]) for name, at in drawn.items()}
    intervals(page, "replicated", whole, on="checks", colour=colour, width=1.0, arrow=14.0)
    intervals(
        page, "replicated_half", half, on="checks", colour=colour, width=4.0, arrow=14.0,
        alpha=0.45,
    )  # fmt: skip
    page.draw(
        spot,
        "observed",
        {name: at[0] for name, at in drawn.items()},
        on="checks",
        marker={name: "X" if outside[name] else "o" for name in drawn},
        color={name: COLOURS["next" if outside[name] else "ink"] for name in drawn},
        size={name: 34.0 if outside[name] else 16.0 for name in drawn},
        width=0.0,
        clip_on=False,
        zorder=4,
    )
