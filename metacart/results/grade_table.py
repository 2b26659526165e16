"""Each study's table of grades beside what the model makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from metacart.errors import Fault, InputError, named_options
from metacart.inference.records import attribute, design_of, evidence_of, group_of
from metacart.modelling.counts import crude_counts
from metacart.modelling.grades import AT_LEAST, levels_of_tables
from metacart.modelling.reading_grades import GRADES, REFERENCE
from metacart.results.numbers import describe
from metacart.scales import SCALES

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["check_graded", "grade_table", "labels_of_tables"]

_COLUMNS = (
    *("row", "study", "label", "grading", "patients", "grade", "at_least", "events"),
    *("crude", "crude_lower", "crude_upper", "median", "lower", "upper"),
)


def check_graded(fit: xr.DataTree, verb: str) -> None:
    """Refuse a fit without grades; raises `InputError`."""
    attribute(fit, "spec")
    if fit.attrs.get("system") != "grades":
        name = fit.attrs.get("system", "another")
        raise InputError(
            Fault(
                f"{verb}(fit)",
                f"a fit of the {name} likelihood" if name != "another" else "a fit without grades",
                "a fit of the grades likelihood",
                'likelihood = "grades", or forest_table(fit) and plot_forest(fit) for one rate',
            )
        )


def labels_of_tables(fit: xr.DataTree) -> list[dict[str, Any]]:
    """Return study, label, grading and patients of each table of grades."""
    design, evidence = design_of(fit), evidence_of(fit)
    table = design["of_table"].to_numpy()
    named = design["table"].to_numpy().tolist()
    systems = [REFERENCE, *design["grading"].to_numpy().tolist()]
    found = []
    for position, name in enumerate(named):
        row = evidence.iloc[int(np.flatnonzero(table == position)[0])]
        label = str(row.get("label", "") or row["study"])
        if "/" in str(name):  # one of several arms
            label += f", {row.get('arm_label', '') or row['arm']}"
        grading = systems[int(design["system"].to_numpy()[position])]
        if "grading" in evidence.columns:
            grading = str(row["grading"])
        patients = int(design["patients"].to_numpy()[np.flatnonzero(table == position)[0]])
        found.append(
            {"study": str(row["study"]), "label": label, "grading": grading, "patients": patients}
        )
    return found


@named_options
def grade_table(fit: xr.DataTree) -> pd.DataFrame:
    """Return how many patients of each study have each grade or a higher one.

    Parameters
    ----------
    fit : DataTree
        From ``fit``, of the likelihood ``grades``.

    Returns
    -------
    DataFrame
        Five rows a study, one for each of ``grade`` 1 to 5: ``events`` of ``patients`` with that
        grade or a higher one and the ``crude`` share with its exact interval, where the paper's
        bands tell them, and the study's rate in the model (``median``, ``lower``, ``upper``),
        shrunken towards the others and as its own system grades. ``row`` is ``study``; then
        ``median study``, ``population average`` and ``next study``, by ASTCT or Lee.

    Raises
    ------
    InputError
        For a fit of another likelihood.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.grade_table(mc.fit("crs_grades"))  # doctest: +SKIP
    """
    import pandas as pd

    check_graded(fit, "grade_table")
    design, scale = design_of(fit), SCALES["logit"]
    levels = levels_of_tables(group_of(fit, "posterior"), design).transpose(
        "table", "grade", "chain", "draw"
    )
    table, first = design["of_table"].to_numpy(), design["grade_from"].to_numpy()
    reach = design["reach"].to_numpy()
    rows: list[dict[str, Any]] = []
    for position, facts in enumerate(labels_of_tables(fit)):
        own = table == position
        for grade in GRADES[1:]:
            told = np.flatnonzero(own & (first == grade))
            events = int(reach[told[0]]) if told.size else None
            draws = scale.inverse(levels.to_numpy()[position, grade - 1])
            rows.append(
                {"row": "study", **facts, **_grade(grade), **_crude(events, facts["patients"])}
                | _rate(draws)
            )
    pooled = group_of(fit, "estimands")
    for name in ("median study", "population average", "next study"):
        values = pooled[name].transpose("at_least", "chain", "draw").to_numpy()
        rows += [
            {"row": name, "label": name, "grading": REFERENCE, **_grade(grade)} | _rate(draws)
            for grade, draws in zip(GRADES[1:], values, strict=True)
        ]
    frame = pd.DataFrame(rows, columns=list(_COLUMNS))
    return frame.astype({"patients": "Int64", "events": "Int64"})


def _grade(grade: int) -> dict[str, Any]:
    return {"grade": grade, "at_least": AT_LEAST[grade - 1]}


def _crude(events: int | None, patients: int) -> dict[str, Any]:
    if events is None:
        return {}
    data = {"events": np.array([events]), "total": np.array([patients])}
    names = ("crude", "crude_lower", "crude_upper")
    found = crude_counts(data, SCALES["logit"])
    return {"events": events} | {n: float(v[0]) for n, v in zip(names, found, strict=True)}


def _rate(draws: Any) -> dict[str, float]:
    return {name: value for name, value in describe(draws).items() if name != "mcse"}
