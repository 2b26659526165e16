"""What a transplant without any effect seems to do, beside the prior of that bias."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from metacart.errors import named_options, refuse_unknown
from metacart.modelling.likelihoods import LIKELIHOODS
from metacart.plots.axes import Axis, ratio_axis
from metacart.plots.facts import capital
from metacart.plots.files import check_file, deliver
from metacart.plots.layout import Column, Key, Page, Panel, Row, intervals, open_page
from metacart.plots.marks import backend_of, plain, spot, upright, words
from metacart.plots.measure import COLOURS, style
from metacart.records.priors import parse_prior
from metacart.records.vocabulary import OUTCOMES
from metacart.results.scenarios import PUBLISHED, Scenario, scenarios_of
from metacart.results.simulated_time import GROUPS, METHODS, MONTH, MONTHS, simulate_immortal_time

if TYPE_CHECKING:
    import pandas as pd
    from arviz_plots import PlotCollection

__all__ = ["plot_immortal_time"]

_BACKENDS = ("matplotlib", "none")
_WORDS = {
    "time-fixed": "Time-fixed",
    "excluded": "Time before left out",
    "landmark": "Landmark",
    "time-dependent": "Time-dependent",
}
# what a scenario has and an option may change
_CHANGES = (
    "transplanted",
    "months_to_transplant",
    "event_free",
    "remission_at",
    "after_relapse",
    "follow_up",
)
_COLOURS = {"transplanted": COLOURS["model"], "others": COLOURS["next"], "all": COLOURS["rule"]}
_LINES = {"transplanted": "-", "others": "-", "all": "--"}


@named_options
def plot_immortal_time(
    *,
    scenario: str | Sequence[str] | None = None,
    outcome: str = "event_free_survival",
    patients: int = 60,
    transplanted: float | None = None,
    months_to_transplant: float | Sequence[float] | None = None,
    event_free: float | Mapping[float, float] | None = None,
    remission_at: float | None = None,
    after_relapse: float | None = None,
    transplant_deaths: float = 0.0,
    follow_up: tuple[float, float] | None = None,
    landmark: float | None = None,
    replicates: int = 1000,
    seed: int = 1,
    file: str | os.PathLike[str] | None = None,
    backend: str = "matplotlib",
) -> PlotCollection:
    """Plot what comparisons of transplant against none show when it has no effect at all.

    Parameters
    ----------
    scenario, outcome, patients, transplanted, months_to_transplant, event_free, remission_at : any
        As for ``simulate_immortal_time``.
    after_relapse, transplant_deaths, follow_up, landmark, replicates, seed : any
        As for ``simulate_immortal_time``.
    file : path, optional
        Where to write the figure: ``.png``, ``.svg`` or ``.pdf``. The figure is then closed.
    backend : {"matplotlib", "none"}
        ``"none"`` draws nothing and keeps the structure.

    Returns
    -------
    arviz_plots.PlotCollection
        ``viz`` holds, by ``row``, ``mean`` and ``replicates`` (their middle 95 %) of the hazard
        ratios, the ``published`` pairs, and the curves ``transplanted``, ``others`` and ``all``.
        Its attributes hold ``title`` and ``alt``.

    Raises
    ------
    InputError
        As ``simulate_immortal_time``, and for an unknown option or suffix.

    Notes
    -----
    The numbers are those of ``simulate_immortal_time``, with ``show="effects"`` and ``"curves"``.
    The band is the prior of the bias b that the likelihood ``hsct`` has by default.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.plot_immortal_time(file="immortal_time.png")  # doctest: +SKIP
    """
    refuse_unknown("backend", backend, _BACKENDS)
    if file is not None:
        check_file(file)
    options: dict[str, Any] = {
        "scenario": scenario,
        "transplanted": transplanted,
        "months_to_transplant": months_to_transplant,
        "event_free": event_free,
        "remission_at": remission_at,
        "after_relapse": after_relapse,
        "follow_up": follow_up,
        "outcome": outcome,
        "patients": patients,
        "transplant_deaths": transplant_deaths,
        "landmark": landmark,
        "replicates": replicates,
        "seed": seed,
    }
    effects = _records(simulate_immortal_time(**options))
    curves = simulate_immortal_time(**options, show="curves").set_index(["scenario", "group"])
    with style():
        changes = {name: options[name] for name in _CHANGES}
        scenarios = scenarios_of(scenario, **changes)
        page = _page(scenarios, effects, _notes(options), landmark, backend)
        _draw_effects(page, effects)
        _draw_curves(page, curves)
    title = f"{capital(OUTCOMES[outcome].title)} by transplant, simulated without any effect"
    labels = {each.name: each.label for each in scenarios}
    return deliver(page.collection, title=title, alt=_alt(title, effects, labels), file=file)


Effects = dict[tuple[str, str], dict[str, float]]


def _records(table: pd.DataFrame) -> Effects:
    """Return the numbers by scenario and method."""
    records: list[dict[str, Any]] = table.to_dict("records")  # type: ignore[assignment]
    return {(each["scenario"], each["method"]): each for each in records}


# --- the page -----------------------------------------------------------------------------------


def _page(
    scenarios: Sequence[Scenario],
    effects: Effects,
    notes: Sequence[str],
    landmark: float | None,
    backend: str,
) -> Page:
    rows: list[Row] = []
    cells: dict[str, dict[str, str]] = {
        name: {} for name in ("method", "hr", "below", "survival", "curves", "counts")
    }
    for number, each in enumerate(scenarios):
        rows.append(Row(f"scenario:{each.name}", bold=True, space=0.12 if number else 0.0))
        cells["method"][rows[-1].name] = each.label
        rows.append(Row(f"about:{each.name}"))
        cells["method"][rows[-1].name] = _described(each)
        for method in METHODS:
            name, found = _row(each.name, method), effects[each.name, method]
            rows.append(Row(name, shade=method == METHODS[0]))
            cells["method"][name] = f"\u2002{_WORDS[method]}"
            if method == "landmark":
                at = each.landmark if landmark is None else landmark
                cells["method"][name] += f" at month {at:.1f}"
            cells["hr"][name] = _span(found["hr"], *_ends(found))
            cells["below"][name] = _percent(found["below_one"])
            cells["survival"][name] = _pair(
                found["survival_transplanted"], found["survival_others"]
            )
            cells["curves"][name] = _ratio(np.exp(found["log_hr_curves"]))
            cells["counts"][name] = _ratio(np.exp(found["log_odds"]))
    rows.append(Row("published", bold=True, ruled=True, space=0.14))
    cells["method"]["published"] = "Published, elsewhere: the ratio of two hazard ratios"
    for number, (label, _, naive, handled) in enumerate(PUBLISHED):
        name = f"published:{number}"
        rows.append(Row(name))
        cells["method"][name] = f"\u2002{label}"
        cells["hr"][name] = f"{naive:.2f} / {handled:.2f} = {naive / handled:.2f}"
    return open_page(
        rows=rows,
        parts=[
            Column("method", "Patients and method", cells["method"], widest=2.3),
            Panel(
                "effects",
                _axis(effects),
                "Hazard ratio, transplanted\nagainst others",
                width=2.7,
            ),
            Column("hr", "Mean, and 95 %\nof replicates", cells["hr"], "right"),
            Column("below", "Below 1\n%", cells["below"], "right"),
            Column("survival", f"Month {MONTH}, %\nHSCT / others", cells["survival"], "right"),
            Column("curves", "Ratio of\nthe curves", cells["curves"], "right"),
            Column("counts", "Odds ratio\nof counts", cells["counts"], "right"),
            Panel("curves_drawn", _months(), "Time-fixed curves, %", width=1.5),
        ],
        key=[
            Key("dot", "mean of the replicates", COLOURS["ink"]),
            Key("line", "95 % of the replicates", COLOURS["ink"]),
            Key("cross", "published", COLOURS["ink"]),
            Key("bar", f"prior of the bias, {_prior()}, 95 %", COLOURS["pooled"], 0.14),
            Key("dash", "its centre", COLOURS["pooled"]),
            Key("line", "curve of the transplanted", _COLOURS["transplanted"]),
            Key("line", "of the others", _COLOURS["others"]),
            Key("dashed", "of all", _COLOURS["all"]),
        ],
        notes=[
            *notes,
            *(f"{each.label}: {each.source}" for each in scenarios),
            *(f"{label}: {reference}." for label, reference, _, _ in PUBLISHED),
        ],
        backend=backend,
    )


def _notes(options: Mapping[str, Any]) -> list[str]:
    """Return what holds for every scenario."""
    deaths = options["transplant_deaths"]
    notes = [
        f"{options['replicates']:,} replicates of {options['patients']} patients in remission. The "
        "hazard is the same in everyone, before and after a transplant: all true ratios are 1"
        + (f", but for deaths of it in {100 * deaths:g} % within a year." if deaths else ".")
    ]
    if options["outcome"] == "overall_survival":
        notes.append(
            "Who has relapsed is no longer transplanted and stays among the others: for overall "
            "survival the time-dependent ratio is biased too, that from a landmark in remission "
            "is not."
        )
    changed = [name for name in _CHANGES if options[name] is not None]
    if changed:
        notes.append(f"Given in place of what follows: {', '.join(changed)}.")
    return notes


def _row(scenario: str, method: str) -> str:
    return f"{scenario}:{method}"


def _described(scenario: Scenario) -> str:
    first, last = min(scenario.months_to_transplant), max(scenario.months_to_transplant)
    when = f"{first:.1f}" if first == last else f"{first:.1f} to {last:.1f}"
    points = ", ".join(f"{share:.0%} at {month:g}" for month, share in scenario.event_free)
    return (
        f"transplant at {when} months in {scenario.transplanted:.0%}; in remission {points} months"
    ).replace("%", "\u202f%")


def _axis(effects: Effects) -> Axis:
    shown = [each for each in effects.values() if np.isfinite(each["hr"])]
    published = [naive / handled for _, _, naive, handled in PUBLISHED]
    return ratio_axis(
        "",
        points=[*(each["hr"] for each in shown), *published, *_band()],
        intervals=[_ends(each) for each in shown],
        sides=("transplant looks better", "worse"),
    )


def _months() -> Axis:
    ticks = tuple(range(0, int(MONTHS[-1]) + 1, 6))
    return Axis(0.0, MONTHS[-1], ticks, tuple(map(str, ticks)), "months")


def _prior() -> str:
    return f"b ~ {LIKELIHOODS['hsct'].parameters['bias'].prior}".replace("-", "−")


def _band() -> list[float]:
    """Return the limits and, between them, the median of the prior of the bias, as ratios."""
    prior = parse_prior(LIKELIHOODS["hsct"].parameters["bias"].prior)
    return [float(ratio) for ratio in np.exp(prior.quantile([0.025, 0.5, 0.975]))]


def _ends(numbers: Mapping[str, float]) -> tuple[float, float]:
    return float(np.exp(numbers["lower"])), float(np.exp(numbers["upper"]))


def _ratio(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else ""


def _span(middle: float, low: float, high: float) -> str:
    if not np.isfinite(middle):
        return "not estimable"
    return f"{middle:.2f} ({low:.2f} to {high:.2f})" if np.isfinite(low) else f"{middle:.2f}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f}" if np.isfinite(share) else ""


def _pair(first: float, second: float) -> str:
    known = np.isfinite(first) and np.isfinite(second)
    return f"{_percent(first)} / {_percent(second)}" if known else ""


# --- marks --------------------------------------------------------------------------------------


def _draw_effects(page: Page, effects: Effects) -> None:
    low, middle, high = _band()
    target = page.plot("effects")
    top = page.top + 0.05
    backend_of(target).fill_between_y(
        np.asarray([low, high]), np.full(2, top), np.full(2, page.bottom), target,
        color=COLOURS["pooled"], alpha=0.14, linewidth=0.0, zorder=0, gid="prior_band",
    )  # fmt: skip
    upright(
        np.asarray(middle), target, top=top, bottom=page.bottom,
        color=COLOURS["pooled"], width=0.9, linestyle="--", gid="prior_centre",
    )  # fmt: skip
    known = {_row(*key): each for key, each in effects.items() if np.isfinite(each["hr"])}
    ends = {name: _ends(each) for name, each in known.items()}
    intervals(page, "replicates", ends, on="effects", colour=COLOURS["ink"], width=0.8, arrow=12.0)
    page.draw(
        spot, "mean", {name: row["hr"] for name, row in known.items()}, on="effects",
        marker="o", size=18.0, color=COLOURS["ink"], width=0.0, zorder=4,
    )  # fmt: skip
    page.draw(
        spot,
        "published",
        {f"published:{n}": naive / handled for n, (*_, naive, handled) in enumerate(PUBLISHED)},
        on="effects", marker="X", size=34.0, color=COLOURS["ink"], width=0.0, zorder=4,
    )  # fmt: skip


def _draw_curves(page: Page, curves: pd.DataFrame) -> None:
    """Draw the curves of each scenario over the rows of its methods, 100 % at their top."""
    names = list(dict.fromkeys(curves.index.get_level_values("scenario")))
    rows = {name: f"about:{name}" for name in names}
    last = {name: _row(name, METHODS[-1]) for name in names}
    top = {rows[n]: page.centre[rows[n]] - page.height[rows[n]] / 2 + 0.05 for n in names}
    bottom = {rows[n]: page.centre[last[n]] + page.height[last[n]] / 2 - 0.02 for n in names}
    target = page.plot("curves_drawn")
    for name in rows.values():
        for y, text in ((top[name], "100"), (bottom[name], "0")):
            ends = np.asarray([0.0, MONTHS[-1]])
            backend_of(target).line(
                ends, np.full(2, y), target, color=COLOURS["rule"], width=0.4, zorder=1
            )
            words(
                text, target, x=-0.7, y=y, align="right", small=True, colour=COLOURS["muted"],
                gid=f"percent_{name}_{text}",
            )  # fmt: skip
    for group in reversed(GROUPS):
        page.draw(
            _curve,
            group,
            {rows[name]: curves.loc[(name, group), "survival"].to_numpy() for name in names},
            on="curves_drawn",
            parts=[f"{month:g}" for month in MONTHS],
            top=top,
            bottom=bottom,
            color=_COLOURS[group],
            linestyle=_LINES[group],
        )


def _curve(
    da: Any, target: Any, *, y: Any, top: Any, bottom: Any, color: Any, linestyle: str
) -> Any:
    """Draw a survival curve by month between two heights."""
    del y
    share = np.asarray(da, dtype=float)
    low, high = float(plain(bottom)), float(plain(top))
    return backend_of(target).line(
        np.asarray(MONTHS), low - share * (low - high), target, color=plain(color),
        width=1.3, linestyle=linestyle, zorder=3,
    )  # fmt: skip


def _alt(title: str, effects: Effects, labels: Mapping[str, str]) -> str:
    said = [
        f"{labels[scenario]}: "
        + ", ".join(
            f"{_WORDS[method].lower()} {_ratio(effects[scenario, method]['hr']) or 'not estimable'}"
            for method in METHODS
        )
        for scenario in labels
    ]
    low, middle, high = _band()
    return (
        f"{title}. Mean hazard ratios, by scenario and method: {'; '.join(said)}. The prior of the "
        f"bias is {middle:.2f} ({low:.2f} to {high:.2f})."
    )
