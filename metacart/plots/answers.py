"""The answers of one fit after another as rows of a figure: intervals, points, the next study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from metacart.plots.axes import Axis, linear_axis, percent_axis, ratio_axis
from metacart.plots.facts import Measure, axis_words, favours, null_of
from metacart.plots.layout import Key, Page, intervals
from metacart.plots.marks import spot, upright
from metacart.plots.measure import COLOURS
from metacart.plots.numbers import number, span

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["Answers"]


class Answers:
    """A table of answers, one set a row of the page.

    Parameters
    ----------
    table : DataFrame
        ``row`` (its name on the page), ``estimand``, ``median``, ``lower``, ``upper`` and
        ``computed``; without a median where there is no fit.
    measure : {"rate", "ratio", "value"}
        What the natural scale is.

    Attributes
    ----------
    answer, following, naive : str
        The names of the answer, of the next study, and of the naive answer where one is.
    """

    def __init__(self, table: pd.DataFrame, measure: Measure) -> None:
        self.table, self.measure = table, measure
        names = list(dict.fromkeys(table["estimand"]))
        self.naive = next((name for name in names if name == "median study (naive)"), "")
        wanted = [name for name in names if "(naive)" not in name]
        answer = next((name for name in wanted if name.startswith("population average")), "")
        self.answer = answer or next(name for name in wanted if name.startswith("median study"))
        self.following = next(name for name in wanted if name.startswith("next study"))

    @property
    def heading(self) -> str:
        """Return the heading above the estimates."""
        return {"rate": "%", "ratio": "Ratio"}.get(self.measure, "Value")

    @property
    def _places(self) -> int:
        return 1 if self.measure == "rate" else 2

    def of(self, estimand: str) -> dict[str, dict[Any, Any]]:
        """Return the numbers of an estimand by row of the page; none where there was no fit."""
        rows = self.table[(self.table["estimand"] == estimand) & self.table["median"].notna()]
        return {str(row["row"]): row for row in rows.to_dict("records")}

    def texts(self) -> tuple[dict[str, str], dict[str, str], list[str]]:
        """Return estimates and intervals by row, and a note for each reason that one has none."""
        found, footnotes = self.of(self.answer), dict[str, str]()
        estimates, spans = dict[str, str](), dict[str, str]()
        for row in self.table.drop_duplicates("row").to_dict("records"):
            name = str(row["row"])
            if name in found:
                each = found[name]
                estimates[name] = number(each["median"], self.measure, self._places)
                spans[name] = span(each["lower"], each["upper"], self.measure, self._places)
            else:
                sign = footnotes.setdefault(row["computed"], "*" * (len(footnotes) + 1))
                spans[name] = f"no fit {sign}"
        return estimates, spans, [f"{sign} {reason}." for reason, sign in footnotes.items()]

    def axis(self, fit: xr.DataTree) -> Axis:
        """Return the axis that holds the answers, in natural units."""
        if self.measure == "rate":
            return percent_axis(axis_words(fit))
        rows = [row for name in (self.answer, self.naive) for row in self.of(name).values()]
        points = [row["median"] for row in rows]
        ends = [(row["lower"], row["upper"]) for row in rows]
        if self.measure == "ratio":
            return ratio_axis(
                axis_words(fit),
                points=points,
                intervals=ends,
                sides=favours(fit),
                null=null_of(fit),
            )
        return linear_axis(axis_words(fit), points=points, intervals=ends)

    def key(self, line: str) -> list[Key]:
        """Return the key; `line` says what the dashed line is."""
        return [
            Key("dot", f"{self.answer}, 95 % interval", COLOURS["pooled"]),
            *([Key("dot", self.naive, COLOURS["rule"])] if self.naive else []),
            Key("bar", self.following, COLOURS["next"], 0.35),
            Key("dash", line, COLOURS["pooled"]),
        ]

    def draw(self, page: Page, *, on: str, line_at: str) -> None:
        """Draw them on a panel, with the dashed line at the answer of a row."""
        found = self.of(self.answer)
        if line_at in found:
            first = str(self.table["row"].iloc[0])
            page.draw(
                upright, "answer_line", {first: float(found[line_at]["median"])}, on=on,
                top=page.top + 0.08, bottom=page.bottom, color=COLOURS["pooled"], width=0.8,
                linestyle="--", zorder=1,
            )  # fmt: skip
        intervals(
            page, "next_study", _ends(self.of(self.following)), on=on, colour=COLOURS["next"],
            width=5.0, arrow=22.0, alpha=0.35,
        )  # fmt: skip
        views = [("naive", self.naive, "rule", 0.05)] if self.naive else []
        views.append(("median", self.answer, "pooled", -0.03 if self.naive else 0.0))
        for visual, name, colour, offset in views:
            rows = self.of(name)
            line = "answer_interval" if visual == "median" else f"{visual}_interval"
            intervals(
                page, line, _ends(rows), on=on, colour=COLOURS[colour], width=1.1, arrow=14.0,
                offset=offset,
            )  # fmt: skip
            page.draw(
                spot, visual, {key: float(row["median"]) for key, row in rows.items()}, on=on,
                offset=offset, marker="o", size=15.0, color=COLOURS[colour], width=0.0, zorder=4,
                clip_on=False,
            )  # fmt: skip

    def words(self) -> dict[str, str]:
        """Return the answer of each row as a sentence says it."""
        unit = " %" if self.measure == "rate" else ""
        return {
            name: f"{number(row['median'], self.measure, self._places)}{unit} "
            f"{span(row['lower'], row['upper'], self.measure, self._places)}"
            for name, row in self.of(self.answer).items()
        }


def _ends(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[float, float]]:
    return {name: (float(row["lower"]), float(row["upper"])) for name, row in rows.items()}
