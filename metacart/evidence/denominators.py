"""Of which patients a question counts: the order it wants, and where it falls back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from metacart.records.spec import ModelSpec
from metacart.records.study import Finding

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["fallback_words", "fallbacks", "mixing", "population_order", "preferred_before"]

# Without an order in the question, infused first: an early death counts as failure.
_POPULATIONS = ("infused", "evaluable", "enrolled", "responders")


def population_order(spec: ModelSpec) -> tuple[str, ...]:
    """Return the populations that a question takes, the preferred first."""
    return spec.population or _POPULATIONS


def preferred_before(population: str, spec: ModelSpec, *, ratio: bool = False) -> tuple[str, ...]:
    """Return the populations that the question would rather have than this one.

    A ratio compares patients inside a paper: without an order in the question none is preferred.
    """
    order = population_order(spec)
    if (ratio and not spec.population) or population not in order:
        return ()
    return order[: order.index(population)]


def fallback_words(
    finding: Finding, others: Iterable[tuple[Finding, str]], spec: ModelSpec
) -> list[str]:
    """Say that a used finding is not of the patients that the question wants first.

    Parameters
    ----------
    finding : Finding
        The one that is used.
    others : iterable of (Finding, str)
        The findings of its arm, each with the kind of rule that left it out, if one did.
    spec : ModelSpec
        The question.

    Returns
    -------
    list of str
        Nothing where it is of the preferred patients, else ``of the evaluable: no count of the
        infused``.
    """
    order = preferred_before(finding.population, spec, ratio=finding.exposure is not None)
    if not order:
        return []
    noun = "count" if finding.grades is not None else finding.kind
    for other, step in others:
        # what answers another question is no count of these patients
        foreign = step in ("", "another outcome", "exposure") or step.startswith("include")
        if other.population in order and not foreign:
            why = f"the {noun} of the {other.population} is left out ({step})"
            return [f"of the {finding.population}: {why}"]
    return [f"of the {finding.population}: no {noun} of the {' or the '.join(order)}"]


def fallbacks(evidence: pd.DataFrame, spec: ModelSpec) -> dict[str, list[str]]:
    """Return the rows of an evidence table that count other patients than the question wants first.

    Parameters
    ----------
    evidence : DataFrame
        From ``tabulate``, or a table with the columns ``study`` and ``population``; one without
        the latter has no fallbacks.
    spec : ModelSpec
        The question.

    Returns
    -------
    dict of str to list of str
        For each population in the question's order, the labels of its rows, in their order; a
        study with several arms is named with each: ``Chen 2021, first``.
    """
    found: dict[str, list[str]] = {name: [] for name in population_order(spec)}
    if "population" not in evidence.columns:
        return {}
    evidence = _once(evidence, spec)
    names = _names(evidence)
    for position, population in enumerate(evidence["population"].tolist()):
        ratio = _compares(evidence)
        if isinstance(population, str) and preferred_before(population, spec, ratio=ratio):
            found[population].append(names[position])
    return {population: rows for population, rows in found.items() if rows}


def _once(evidence: pd.DataFrame, spec: ModelSpec) -> pd.DataFrame:
    """Return the rows in which patients stand once."""
    if spec.likelihood == "chain":  # later stages are of other patients by their nature
        return evidence[evidence["stage"] == spec.outcomes[0]]
    if spec.likelihood == "grades":  # one row a band
        return evidence.drop_duplicates([n for n in ("study", "arm") if n in evidence.columns])
    return evidence


def _compares(evidence: pd.DataFrame) -> bool:
    return not {"ratio", "control_events"}.isdisjoint(evidence.columns)


def _names(evidence: pd.DataFrame) -> list[str]:
    labels = evidence["label" if "label" in evidence.columns else "study"].astype(str).tolist()
    arm = next((name for name in ("arm_label", "arm") if name in evidence.columns), None)
    if arm is None:
        return labels
    arms = evidence[arm].astype(str).tolist()
    return [
        label if labels.count(label) == 1 else f"{label}, {own}"
        for label, own in zip(labels, arms, strict=True)
    ]


def mixing(evidence: pd.DataFrame, spec: ModelSpec) -> str:
    """Say in one sentence which rows count other patients than the question wants first.

    Parameters
    ----------
    evidence : DataFrame
        From ``tabulate``.
    spec : ModelSpec
        The question.

    Returns
    -------
    str
        Empty where all rows count the same, the preferred, patients.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame(
    ...     {"study": ["An 2022", "Park 2018"], "population": ["infused", "evaluable"]}
    ... )
    >>> spec = ModelSpec(likelihood="binomial", population=["infused", "evaluable"])
    >>> mixing(table, spec)
    'Rates are of the infused, but of the evaluable in Park 2018.'
    """
    found = fallbacks(evidence, spec)
    if not found:
        return ""
    kind = "Ratios" if _compares(evidence) else "Rates"
    parts = [f"of the {population} in {_join(rows)}" for population, rows in found.items()]
    if sum(map(len, found.values())) == len(_once(evidence, spec)):
        return (
            f"No number is of the {population_order(spec)[0]}: {kind.lower()} are {_join(parts)}."
        )
    return f"{kind} are of the {population_order(spec)[0]}, but {_join(parts)}."


def _join(words: list[str]) -> str:
    return " and ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)
