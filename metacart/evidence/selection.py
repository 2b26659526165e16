"""From findings to the evidence table of a question, and the account of every finding."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from metacart.errors import Fault, InputError, named_options, shown
from metacart.evidence.candidate import Candidate
from metacart.evidence.choice import choose
from metacart.evidence.collection import Studies
from metacart.evidence.columns import (
    PLACE_COLUMNS,
    absent_levels,
    spec_faults,
)
from metacart.evidence.gates import study_gates
from metacart.evidence.grade_tables import grade_rows
from metacart.evidence.kinds import value_columns, values_of
from metacart.evidence.library import load_studies, spec_of
from metacart.evidence.library_gates import library_gates
from metacart.evidence.origin import in_file
from metacart.evidence.several import choose_several
from metacart.evidence.source import PathLike
from metacart.evidence.values import value_words
from metacart.records.spec import FILTERS, ModelSpec
from metacart.records.study import Study

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["StudySource", "account", "candidates_of", "studies_of", "tabulate"]

StudySource = Iterable[Study] | PathLike | Sequence[PathLike]


@named_options
def tabulate(studies: Iterable[Study], spec: ModelSpec | PathLike) -> pd.DataFrame:
    """Return the evidence of a question: one row a finding used.

    Parameters
    ----------
    studies : Studies
        The result of `load_studies`, or any sequence of studies.
    spec : ModelSpec or str or path
        The question: a record, the name of a shipped one, or a file. `outcome` is needed here.

    Returns
    -------
    DataFrame
        At most one row for an arm, or for a study when the likelihood is ``hsct``, or for a band
        of grades when it is ``grades``, or for each of several outcomes, in the order of the
        studies: where the number stands, what the arm is, and the likelihood's columns.

    Raises
    ------
    InputError
        When the question names what these studies do not know, or when nothing answers it; then
        the message counts which rule left how many findings out.

    Notes
    -----
    The rules, in this order: the outcome; the filters of ``include``; the exposure; the kind of
    value that the likelihood takes; findings set aside; quoted numbers, where the question leaves
    them out; populations and timepoints that the question does not name. Then arms whose patients
    were selected, or are among another arm of the question, unless ``admit`` names them. Then one
    finding an arm: the population named first, the timepoint named first (a finding without one
    comes last), a direct count before a table of grades, more patients before fewer. For a
    comparison after CAR-T one finding a study: time-dependent before landmark before others, then
    a ratio before a pair of survival before counts (or as `kinds` says), adjusted before
    unadjusted. For grades one table an arm: most patients, then a reported table, then counts at
    several cuts of the same patients put together; of a cohort not a report of one cut where
    another of at least half as many patients has more. At last one report a cohort, by the
    question's ``representative``. Several outcomes are asked one by one; a later stage of a chain
    is among the responders, or among the exposed of a comparison by the stage before, and is left
    out where its patients are not as many as came through that stage.
    Filters match a level as recorded or as recoded.

    Examples
    --------
    >>> import metacart as mc
    >>> evidence = mc.tabulate(mc.load_studies(), "cr_rate")
    >>> bool((evidence["events"] <= evidence["total"]).all())
    True
    """
    import pandas as pd

    spec = spec_of(spec)
    collection = _collection(studies)
    chosen = candidates_of(collection, spec)
    used = [each for each in chosen if not each.step]
    if not used:
        faults = [_empty(spec, chosen), *absent_levels(collection, spec)]
        raise InputError(in_file(spec, faults))
    attributes = {name for each in used for name in each.arm.attributes}
    # a moderator that only arms left out have is a column without values, not a missing one
    attributes |= {name for each in chosen for name in each.arm.attributes} & {*spec.moderators}
    columns = [*PLACE_COLUMNS, *(f for f in FILTERS if f not in PLACE_COLUMNS)]
    columns += [*sorted(attributes), *value_columns(spec)]
    rows = [row for each in used if each.joins is None for row in _rows(each, spec)]
    return pd.DataFrame(rows, columns=pd.Index(columns))


@named_options
def account(studies: Iterable[Study], spec: ModelSpec | PathLike) -> pd.DataFrame:
    """Return every finding of the studies: used or not, and by which rule.

    Parameters
    ----------
    studies : Studies
        The result of `load_studies`, or any sequence of studies.
    spec : ModelSpec or str or path
        The question: a record, the name of a shipped one, or a file.

    Returns
    -------
    DataFrame
        Columns study, label, arm, finding, outcome, population, timepoint, kind, value, at, used,
        rule, cohort; the rules are those of `tabulate`.

    Raises
    ------
    InputError
        When the question names what these studies do not know.

    Examples
    --------
    >>> import metacart as mc
    >>> account = mc.account(mc.load_studies(), "cr_rate")
    >>> int(account["used"].sum()) == len(mc.tabulate(mc.load_studies(), "cr_rate"))
    True
    """
    import pandas as pd

    rows = [
        {
            "study": each.study.id,
            "label": each.study.label,
            "arm": each.arm.id,
            "finding": each.number,
            "outcome": each.finding.outcome,
            "population": each.finding.population,
            "timepoint": each.timepoint,
            "kind": each.finding.kind,
            "value": value_words(each.finding),
            "at": each.finding.at,
            "used": not each.step,
            "rule": each.rule,
            "cohort": each.study.cohort,
        }
        for each in candidates_of(_collection(studies), spec_of(spec))
    ]
    columns = "study label arm finding outcome population timepoint kind value at used rule cohort"
    return pd.DataFrame(rows, columns=pd.Index(columns.split()))


def candidates_of(studies: Studies, spec: ModelSpec) -> list[Candidate]:
    """Return every finding with the rule that decided; raises `InputError` for a faulty spec."""
    if faults := spec_faults(studies, spec):
        raise InputError(in_file(spec, faults))
    return choose_several(studies, spec) if spec.outcomes else choose(studies, spec)


def studies_of(source: StudySource | None) -> Studies:
    """Return the bundled studies for none, those at one path or several, or studies as given.

    Raises
    ------
    InputError
        With every fault of their files, for no studies, and for what is neither path nor study.
    """
    if source is None:
        return load_studies()
    given: Any = [source] if isinstance(source, str | os.PathLike) else source
    if isinstance(given, Sequence):
        if not given:
            allowed = "a folder with a .toml for each paper"
            hint = "leave it out: the bundled ones"
            raise InputError(Fault("studies", "no studies", allowed, hint))
        if all(isinstance(each, str | os.PathLike) for each in given):
            return load_studies(*given)
    return _collection(given)


def _collection(studies: Iterable[Study]) -> Studies:
    """Return loaded studies as they are, and gate those that were made in Python."""
    if isinstance(studies, Studies):
        return studies
    if hasattr(studies, "columns"):
        allowed = "the result of load_studies, or studies made in Python"
        hint = "fit(spec, table) takes a table; import_studies makes studies of one"
        raise InputError(Fault("studies", f"a {type(studies).__name__}", allowed, hint))
    alone = isinstance(studies, str | os.PathLike | Study) or not isinstance(studies, Iterable)
    collection: list[Any] = [studies] if alone else list(studies)
    strangers = [each for each in collection if not isinstance(each, Study)]
    if strangers:
        paths = all(isinstance(each, str | os.PathLike) for each in strangers)
        raise InputError(
            Fault(
                "studies",
                ", ".join(f"{shown(each)} is no Study" for each in strangers[:3]),
                "the result of load_studies, or studies made in Python",
                f"load_studies({', '.join(repr(str(each)) for each in strangers)})"
                if paths
                else "",
            )
        )
    faults = [
        replace(fault, place=f"{study.id}: {fault.place}")
        for study in collection
        for fault in study_gates(study)
    ]
    faults += library_gates(collection)
    if errors := [fault for fault in faults if fault.severity == "error"]:
        raise InputError(errors)
    return Studies(collection, warnings=faults)


def _empty(spec: ModelSpec, chosen: list[Candidate]) -> Fault:
    steps = Counter(each.step for each in chosen)
    counts = ", ".join(f"{step} {number}" for step, number in steps.items())
    return Fault(
        f"evidence of {spec.name}",
        f"no finding answers the question; {len(chosen)} left out by rule: {counts or 'none'}",
        "at least one finding",
        "account(studies, spec) names the rule for each",
        unanswerable=True,
    )


def _rows(candidate: Candidate, spec: ModelSpec) -> list[dict[str, Any]]:
    """Return the rows of a finding: one, but of a table of grades one a band."""
    if spec.outcomes:
        stage = {"stage": candidate.part} if spec.likelihood == "chain" else {}
        count = {"events": candidate.events, "total": candidate.total}
        return [_row(candidate, spec) | stage | count]
    if spec.likelihood != "grades":
        return [_row(candidate, spec) | values_of(candidate)]
    return [_row(part, spec) | values for part, values in grade_rows(candidate)]


def _row(candidate: Candidate, spec: ModelSpec) -> dict[str, Any]:
    study, arm, finding = candidate.study, candidate.arm, candidate.finding
    return {
        **candidate.levels,
        "study": study.id,
        "arm": arm.id,
        "label": study.label,
        "arm_label": arm.label or arm.id,
        "cohort": study.cohort,
        "year": study.citation.year,
        "outcome": candidate.part or spec.outcome,
        "population": finding.population,
        "timepoint": candidate.timepoint,
        "at": finding.at,
        "finding": candidate.number,
    }
