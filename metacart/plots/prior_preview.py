"""What the priors of a question say about studies, before any data."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.errors import named_options, refuse_unknown
from metacart.evidence.library import spec_of
from metacart.modelling.likelihoods import Likelihoods
from metacart.plots.axes import Axis, linear_axis, percent_axis, ratio_axis
from metacart.plots.facts import Measure, capital, measure_of, name_of, title_of_question
from metacart.plots.files import check_file, deliver
from metacart.plots.layout import Column, Key, Page, Panel, Row, intervals, open_page
from metacart.plots.marks import backend_of, plain, spot, upright
from metacart.plots.measure import COLOURS, style
from metacart.plots.numbers import number, span
from metacart.records.named_priors import find_named
from metacart.records.spec import ModelSpec
from metacart.results.imagined import Imagined, effects_of, imagine, in_view
from metacart.results.prior_preview import beyond, preview_of

if TYPE_CHECKING:
    import pandas as pd
    from arviz_plots import PlotCollection

__all__ = ["plot_prior_preview"]

Array = NDArray[np.float64]
_BACKENDS = ("matplotlib", "none")
_REVIEWS, _STUDIES = 8, 10
_SEED = 1
_BINS = 50
_HILL = 0.27  # inches
_LARGE = 1e5
_PLACES: dict[Measure, int | None] = {"rate": 0, "ratio": None, "value": 2}
_NOTE = (
    "No data entered. Hills show what is likely before any, each up to a height of its own; lines "
    "are 95 % equal-tailed intervals, their dots medians. An imagined review is one draw from the "
    "priors: the true values of its studies, without the play of chance in each. *Of a review: the "
    "lowest and the highest study."
)


@named_options
def plot_prior_preview(
    spec: ModelSpec | str | os.PathLike[str],
    evidence: pd.DataFrame | None = None,
    *,
    likelihoods: Likelihoods | None = None,
    file: str | os.PathLike[str] | None = None,
    backend: str = "matplotlib",
) -> PlotCollection:
    """Plot what the priors of a question say about studies, before any data are seen.

    Parameters
    ----------
    spec : ModelSpec or str or path
        The question: a record, the name of a shipped one, or a file.
    evidence : DataFrame, optional
        What ``fit`` would take, for its moderators; no outcome is looked at.
    likelihoods : mapping of str to Likelihood or System, optional
        Instead of ``LIKELIHOODS``.
    file : path, optional
        Where to write the figure: ``.png``, ``.svg`` or ``.pdf``. The figure is then closed.
    backend : {"matplotlib", "none"}
        ``"none"`` draws nothing and keeps the structure.

    Returns
    -------
    arviz_plots.PlotCollection
        ``viz`` holds, by ``row``: ``hill``, ``interval`` and ``median`` of each named estimand,
        ``study_1`` to ``study_10`` of each imagined review, and the text columns; ``NAME_below``
        and ``NAME_above`` are arrows at the ends of the axis. Its attributes hold ``title`` and
        ``alt``.

    Raises
    ------
    InputError
        As ``preview_priors``, and for an unknown option or suffix.

    Notes
    -----
    The numbers are those of ``preview_priors``. Eight reviews are drawn with a fixed seed and
    stand in the order of their median studies. Of a transplant question they are those adjusted
    for immortal time.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.plot_prior_preview("cr_rate", file="priors.svg")  # doctest: +SKIP
    """
    refuse_unknown("backend", backend, _BACKENDS)
    if file is not None:
        check_file(file)
    question = spec_of(spec)
    imagined = imagine(question, evidence, likelihoods=likelihoods)
    table = preview_of(imagined).set_index("estimand")
    with style():
        page = _draw(imagined, table, backend)
    title = f"Priors of: {title_of_question(question)}"
    return deliver(page.collection, title=title, alt=_alt(title, imagined, table), file=file)


def _draw(imagined: Imagined, table: pd.DataFrame, backend: str) -> Page:
    measure = measure_of(imagined.scale)
    hills = {
        f"estimand:{in_view(*names)}": draws.ravel() for names, draws in imagined.estimands.items()
    }
    reviews = {f"review:{n + 1}": values for n, values in enumerate(_reviews(imagined))}
    known = {_name(row) for row in hills}
    others = [name for name in table.index if name not in known and not name.startswith("P(")]
    rows = [
        Row("heading:estimands", bold=True),
        *(Row(row, space=_HILL if n else 0.16) for n, row in enumerate(hills)),
        Row("heading:reviews", bold=True, ruled=True, space=0.14),
        *(Row(row, shade=n % 2 == 0) for n, row in enumerate(reviews)),
        Row("heading:others", bold=True, ruled=True, space=0.14),
        *(Row(f"other:{name}") for name in others),
    ]
    dashes = [Key("dash", "threshold of the question", COLOURS["rule"])]
    if not imagined.spec.thresholds:
        dashes = []
    page = open_page(
        rows=rows,
        parts=_parts(imagined, table, list(hills), reviews, others, measure),
        key=[
            Key("bar", "what is likely before any data", COLOURS["model"], 0.35),
            Key("line", "95 % interval", COLOURS["model"]),
            Key("dot", "a study of an imagined review", COLOURS["next"]),
            *dashes,
        ],
        notes=[_stated(imagined), _NOTE],
        backend=backend,
    )
    _draw_hills(page, hills, table)
    _draw_reviews(page, reviews)
    _draw_thresholds(page, imagined, list(hills))
    return page


def _name(row: str) -> str:
    return row.partition(":")[2]


def _numbers(table: pd.DataFrame, name: str) -> tuple[float, float, float]:
    """Return median, lower and upper limit of a row."""
    found = table.loc[[name], ["median", "lower", "upper"]].to_numpy(dtype=np.float64)
    return float(found[0, 0]), float(found[0, 1]), float(found[0, 2])


def _parts(
    imagined: Imagined,
    table: pd.DataFrame,
    hills: list[str],
    reviews: Mapping[str, Array],
    others: list[str],
    measure: Measure,
) -> list[Column | Panel]:
    """Return the columns and the panel between them."""
    what = {"heading:estimands": "What the priors say", "heading:others": "What follows"}
    view = list(imagined.views)[-1]
    what["heading:reviews"] = f"Imagined reviews of {_STUDIES} studies each{view and f', {view}'}"
    what |= {row: capital(_name(row)) for row in hills}
    what |= {row: f"Review {_name(row)}" for row in reviews}
    what |= {f"other:{name}": _words(name, imagined) for name in others}
    middle, ends = {}, {}
    for row in [*hills, *(f"other:{name}" for name in others)]:
        median, lower, upper = _numbers(table, _name(row))
        kind = measure if row in hills else _kind(_name(row), measure)
        middle[row], ends[row] = _cells(median, lower, upper, kind)
    for row, values in reviews.items():
        typical, lowest, highest = np.quantile(values, [0.5, 0.0, 1.0]).tolist()
        middle[row], ends[row] = _cells(typical, lowest, highest, measure)
    columns = []
    for side, value in beyond(imagined):
        words = number(value, measure, 0) if measure == "rate" else f"{value:g}"
        unit = "\u202f%" if measure == "rate" else ""
        shares = {row: _numbers(table, _share(row, side, value))[0] for row in hills}
        cells = {
            row: f"{share:.2f}" if share >= 0.005 else "<0.01" for row, share in shares.items()
        }
        columns.append(
            Column(f"beyond:{side}{value:g}", f"P({side}\u202f{words}{unit})", cells, "right")
        )
    headings = frozenset(row for row in what if row.startswith("heading"))
    return [
        Column("what", "", what, widest=3.0, spans=headings),
        Panel("preview", _axis(imagined, table, hills, reviews, measure), width=3.1),
        Column("middle", "Median\n%" if measure == "rate" else "Median", middle, "right"),
        Column("ends", "95 %\ninterval*", ends, "right"),
        *columns,
    ]


def _cells(median: float, lower: float, upper: float, measure: Measure) -> tuple[str, str]:
    """Return a number and its interval as cells; a number beyond any paper's as its power of 10."""
    places = _PLACES[measure]
    if max(abs(median), abs(lower), abs(upper)) < _LARGE or measure == "rate":
        return number(median, measure, places), span(lower, upper, measure, places)
    texts = [
        f"{value:.0e}".replace("-", "−").replace("e+", "e")
        if _LARGE <= abs(value) < np.inf
        else number(value, measure, places)
        for value in (median, lower, upper)
    ]
    return texts[0], f"[{texts[1]} to {texts[2]}]"


def _words(name: str, imagined: Imagined) -> str:
    """Return the words of a row that is no estimand."""
    scale = imagined.scale.linear
    known = {
        "tau": f"τ, between-study SD ({scale})",
        "tau_within": f"τ of findings within studies ({scale})",
        "bias (log scale)": f"b, bias of immortal time ({scale})",
    }
    if name.startswith("tau ") and name not in known:
        column, _, level = name.removeprefix("tau ").partition("[")
        return f"{known['tau']}, {name_of(column)}: {level.removesuffix(']')}"
    before, comma, after = name.partition(", ")
    item, colon, levels = after.partition(": ")
    if comma and colon:
        words = item.replace("_", " ")
        heading = name_of(item)
        heading = words if heading == capital(words) else heading
        return f"{capital(before)}, {heading}: {levels}"
    return known.get(name, capital(name))


def _share(row: str, side: str, value: float) -> str:
    """Return the row of the table that holds the probability of an estimand's row."""
    name, bracket, view = _name(row).partition(" (")
    return f"P({name} {side} {value:g}){bracket}{view}"


def _kind(name: str, measure: Measure) -> Measure:
    if "ratio" in name:
        return "ratio"
    return measure if name.startswith("range") else "value"


def _axis(
    imagined: Imagined,
    table: pd.DataFrame,
    hills: list[str],
    reviews: Mapping[str, Array],
    measure: Measure,
) -> Axis:
    if measure == "rate":
        return percent_axis(f"{capital(imagined.scale.natural)}, % of patients")
    shown = table.loc[[_name(row) for row in hills]]
    ends = list(zip(shown["lower"].tolist(), shown["upper"].tolist(), strict=True))
    points = [*shown["median"].tolist(), *(float(np.median(each)) for each in reviews.values())]
    if measure == "value":
        return linear_axis("Value", points=points, intervals=ends)
    name = "Hazard ratio" if imagined.spec.likelihood == "hsct" else "Ratio"
    return ratio_axis(f"{name} (log scale)", points=points, intervals=ends)


def _stated(imagined: Imagined) -> str:
    """Return the priors in full, and whence those are that have a name."""
    texts = []
    for name, prior in imagined.priors.items():
        stated = imagined.spec.priors.get(name)
        named = find_named(stated, name) if isinstance(stated, str) else None
        source = f" ({named.source}, doi {named.doi})" if named else ""
        texts.append(f"{name} ~ {prior}".replace("-", "−") + source)
    where = f" Here {imagined.at}." if imagined.at else ""
    return f"Priors on the {imagined.scale.linear} scale: {'; '.join(texts)}.{where}"


def _reviews(imagined: Imagined) -> list[Array]:
    """Return the true values of the studies of some reviews, in the order of their medians."""
    draws = list(imagined.views.values())[-1]
    rng = np.random.default_rng(_SEED)
    chosen = rng.choice(draws.mu.size, size=_REVIEWS, replace=False)
    linear, spread = np.broadcast_arrays(
        draws.linear(imagined.rows)[0, chosen], draws.spread_at(imagined.rows)[0, chosen]
    )
    which = rng.integers(linear.shape[1], size=(_REVIEWS, _STUDIES))
    shares = rng.random((_REVIEWS, _STUDIES))
    effects = np.take_along_axis(spread, which, axis=1)
    effects = effects * effects_of(imagined.spec).quantile(shares)
    values = imagined.scale.inverse(np.take_along_axis(linear, which, axis=1) + effects)
    return sorted(values, key=lambda each: float(np.median(each)))


# --- marks --------------------------------------------------------------------------------------


def _draw_hills(page: Page, hills: Mapping[str, Array], table: pd.DataFrame) -> None:
    axis = page.axes["preview"]
    turn = np.log if axis.log else np.asarray
    edges = np.linspace(turn(axis.low), turn(axis.high), _BINS + 1)
    shapes = {}
    for row, values in hills.items():
        with np.errstate(divide="ignore"):
            heights = np.histogram(turn(values), bins=edges)[0]
        steps = np.repeat(heights / max(int(heights.max()), 1), 2)
        places = np.repeat(np.exp(edges) if axis.log else edges, 2)[1:-1]
        shapes[row] = np.concatenate([places, steps])
    page.draw(
        _hill, "hill", shapes, on="preview", parts=[f"{n}" for n in range(4 * _BINS)],
        offset=-0.03, color=COLOURS["model"],
    )  # fmt: skip
    found = table.loc[[_name(row) for row in hills]]
    ends = zip(found["lower"].tolist(), found["upper"].tolist(), strict=True)
    intervals(
        page, "interval", dict(zip(hills, ends, strict=True)), on="preview",
        colour=COLOURS["model"], width=1.4, arrow=16.0, offset=0.03,
    )  # fmt: skip
    page.draw(
        spot, "median", dict(zip(hills, found["median"].tolist(), strict=True)), on="preview",
        offset=0.03, marker="o", size=16.0, color=COLOURS["model"], width=0.0, zorder=3,
    )  # fmt: skip


def _hill(da: Any, target: Any, *, y: Any, color: Any) -> Any:
    """Fill the ground below the heights of `da`, which follow their places."""
    places, heights = np.asarray(da, dtype=float).reshape(2, -1)
    base = np.full(places.size, float(plain(y)))
    return backend_of(target).fill_between_y(
        places, base - (_HILL + 0.05) * heights, base, target,
        facecolor=plain(color), alpha=0.35, linewidth=0.0, zorder=2,
    )  # fmt: skip


def _draw_reviews(page: Page, reviews: Mapping[str, Array]) -> None:
    axis = page.axes["preview"]
    look: dict[str, Any] = {"on": "preview", "width": 0.0, "clip_on": False, "zorder": 3}
    for n in range(_STUDIES):
        values = {row: float(each[n]) for row, each in reviews.items()}
        sides = {
            "": {row: value for row, value in values.items() if axis.low <= value <= axis.high},
            "_below": {row: axis.low for row, value in values.items() if value < axis.low},
            "_above": {row: axis.high for row, value in values.items() if value > axis.high},
        }
        for (side, places), marker in zip(sides.items(), "o<>", strict=True):
            page.draw(
                spot, f"study_{n + 1}{side}", places, marker=marker, size=13.0,
                color=COLOURS["next"], alpha=0.65, **look,
            )  # fmt: skip


def _draw_thresholds(page: Page, imagined: Imagined, hills: list[str]) -> None:
    last = hills[-1]
    for threshold in imagined.spec.thresholds:
        page.draw(
            upright, f"threshold:{threshold:g}", {last: threshold}, on="preview",
            top=page.centre[hills[0]] - page.height[hills[0]] / 2 - 0.1,
            bottom=page.centre[last] + page.height[last] / 2,
            color=COLOURS["rule"], width=0.8, linestyle="--", zorder=1,
        )  # fmt: skip


def _alt(title: str, imagined: Imagined, table: pd.DataFrame) -> str:
    measure = measure_of(imagined.scale)
    unit = " %" if measure == "rate" else ""
    sentences = []
    for name in (in_view(*names) for names in imagined.estimands):
        middle, ends = _cells(*_numbers(table, name), measure)
        sentences.append(f"{capital(name)}: {middle} {ends}{unit}.")
    return f"{title}. {_stated(imagined)} {' '.join(sentences)}"
