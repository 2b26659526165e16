"""The rows behind a forest plot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from metacart.errors import Fault, InputError, named_options, nearest
from metacart.evidence.columns import counts_of_arms
from metacart.evidence.denominators import preferred_before
from metacart.inference.one_mean import of_one_mean
from metacart.inference.records import design_of, evidence_of, spec_of
from metacart.modelling.design import moderators_of
from metacart.modelling.moderators import Moderator, level_text
from metacart.records.spec import ModelSpec
from metacart.results.heterogeneity import study_estimates
from metacart.results.numbers import describe
from metacart.results.summary import estimand_draws, views_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["forest_table"]

_COLUMNS = (
    "row",
    "study",
    "label",
    "arm_label",
    "subgroup",
    "year",
    "events",
    "total",
    "crude",
    "crude_lower",
    "crude_upper",
    "shrunken",
    "shrunken_lower",
    "shrunken_upper",
    "weight",
    "flag",
)


# in the order of the rows; the first one that there is speaks for a subgroup
_POOLED = ("population average", "median study", "next study")
_PATIENTS = {
    "enrolled": "all enrolled",
    "infused": "all infused",
    "evaluable": "evaluable patients",
    "responders": "patients in remission",
}


@named_options
@of_one_mean
def forest_table(
    fit: xr.DataTree,
    *,
    subgroups: str | Literal[False] | None = None,
    single_study_summaries: bool = False,
) -> pd.DataFrame:
    """Return the rows of a forest plot, on the natural scale.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.
    subgroups : str or False, optional
        A categorical moderator whose levels become blocks; by default the first one of the model.
        False for none.
    single_study_summaries : bool
        Whether a subgroup of one study has a summary: the model's, which rests on the others.

    Returns
    -------
    DataFrame
        Column ``row`` is ``study`` (one a finding), ``subgroup`` (population average of a level;
        the median study for ratios), ``summary`` (the named estimands) or ``prediction`` (next
        study). Studies have ``crude`` and ``shrunken`` estimates with limits and, where there are
        several findings, a ``weight`` in percent, as in ``study_estimates``; the other rows have
        theirs under ``shrunken``. ``flag`` holds footnotes, parted by semicolons: a row that
        counts other patients than the question wants first is a ``fallback``.

    Raises
    ------
    InputError
        For `subgroups` that is no categorical moderator of the model.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.forest_table(mc.fit("cr_rate"))  # doctest: +SKIP
    """
    import pandas as pd

    moderator = _moderator(fit, subgroups)
    evidence = evidence_of(fit)
    rows = _studies(fit, evidence, moderator)
    if moderator is not None:
        for level in moderator.levels:
            studies = {row["study"] for row in rows if row["subgroup"] == level}
            if len(studies) < 2 and not single_study_summaries:
                continue
            for group, words in views_of(fit).items():
                draws = estimand_draws(fit, at={moderator.name: _typed(level)}, group=group)
                name = next(name for name in _POOLED if name in draws)
                inside = [row for row in rows if row["subgroup"] == level]
                rows_of = {"events": _sum(inside, "events"), "total": _sum(inside, "total")}
                rows.append(_pooled("subgroup", name, words, draws[name], subgroup=level) | rows_of)
    for group, words in views_of(fit).items():
        pooled = estimand_draws(fit, group=group)
        rows += [
            _pooled("prediction" if name == "next study" else "summary", name, words, pooled[name])
            for name in _POOLED
            if name in pooled
        ]
    table = pd.DataFrame(rows, columns=list(_COLUMNS))
    # next studies stand last
    order = table["row"].map({"study": 0, "subgroup": 1, "summary": 2, "prediction": 3})
    return table.iloc[np.argsort(order.to_numpy(), kind="stable")].reset_index(drop=True)


def _studies(
    fit: xr.DataTree, evidence: pd.DataFrame, moderator: Moderator | None
) -> list[dict[str, Any]]:
    estimates, spec = study_estimates(fit), spec_of(fit)
    if len(estimates) == 1:
        estimates = estimates.assign(weight=np.nan)
    names, counted = ("crude", "shrunken"), counts_of_arms(evidence.columns)
    numbers = [f"{name}{end}" for name in names for end in ("", "_lower", "_upper")]
    rows = []
    for position, record in enumerate(evidence.to_dict("records")):
        estimate = estimates.iloc[position]
        rows.append(
            {
                "row": "study",
                "study": str(record["study"]),
                "label": _text(record.get("label")) or str(record["study"]),
                "arm_label": _text(record.get("arm_label")),
                "subgroup": level_text(record[moderator.name]) if moderator else "",
                "year": record.get("year", np.nan),
                # of two groups the patients say nothing of a ratio's precision
                "events": record.get("events", np.nan) if counted else np.nan,
                "total": record.get("total", np.nan) if counted else np.nan,
                **{name: float(estimate[name]) for name in (*numbers, "weight")},
                "flag": _flag(record, evidence, spec),
            }
        )
    return rows


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _flag(record: Mapping[Any, Any], evidence: pd.DataFrame, spec: ModelSpec) -> str:
    """Footnotes: other patients than asked for, a ratio printed under another name."""
    notes = []
    if "population" in evidence.columns and (who := _fallback(record, evidence, spec)):
        notes.append(who)
    if isinstance(record.get("printed_as"), str) and record["printed_as"]:
        alive = record.get("outcome") == "event_free_survival" and record.get("kind") == "contrast"
        name = f"printed as {record['printed_as'].replace('; ', ', ')}"
        notes.append("events: those not alive in remission" if alive else name)
    if isinstance(record.get("follow_up"), str) and record["follow_up"]:
        notes.append(record["follow_up"])
    if record.get("scfv_certainty") == "inferred":
        notes.append("scFv origin inferred")
    return "; ".join(notes)


def _fallback(record: Mapping[Any, Any], evidence: pd.DataFrame, spec: ModelSpec) -> str:
    """Say that a row counts other patients than the question wants, or than the other rows."""
    own = str(record["population"])
    if spec.population:
        if not preferred_before(own, spec):
            return ""
        wanted = _PATIENTS.get(spec.population[0], spec.population[0])
        return f"fallback: {_PATIENTS.get(own, own)}, where the question wants {wanted}"
    usual = str(evidence["population"].mode().iloc[0])
    return "" if own == usual else _patients(own, usual, evidence)


def _patients(own: str, usual: str, evidence: pd.DataFrame) -> str:
    """Say who the patients of a finding are, and who those of the others."""
    words = _PATIENTS.get(own, own)
    others, alike = len(evidence) - 1, int((evidence["population"] == usual).sum())
    if 2 * alike <= others:
        return words
    one, several = ("study", "studies") if evidence["study"].is_unique else ("arm", "arms")
    whose = f"the other {one if others == 1 else several}" if alike == others else "most others"
    return f"{words}, {whose}: {_PATIENTS.get(usual, usual)}"


def _pooled(kind: str, name: str, words: str, draws: Any, *, subgroup: str = "") -> dict[str, Any]:
    described = describe(draws)
    return {
        "row": kind,
        "label": f"{name} ({words})" if words else name,
        "arm_label": "",
        "subgroup": subgroup,
        "shrunken": described["median"],
        "shrunken_lower": described["lower"],
        "shrunken_upper": described["upper"],
        "flag": "",
    }


def _sum(rows: list[dict[str, Any]], name: str) -> float:
    return float(np.sum([row[name] for row in rows])) if rows else float("nan")


def _typed(level: str) -> Any:
    return {"true": True, "false": False}.get(level, level)


def _moderator(fit: xr.DataTree, subgroups: str | Literal[False] | None) -> Moderator | None:
    if subgroups is False:
        return None
    categorical = [item for item in moderators_of(design_of(fit)) if item.kind == "categorical"]
    if subgroups is None:
        return categorical[0] if categorical else None
    for item in categorical:
        if item.name == subgroups:
            return item
    names = [item.name for item in categorical]
    raise InputError(
        Fault(
            "subgroups",
            f"'{subgroups}' is no categorical moderator of the model",
            ", ".join(names) or "none",
            nearest(subgroups, names),
        )
    )
