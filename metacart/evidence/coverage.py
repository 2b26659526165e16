"""Which outcome is reported by which arm, and in which form."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from metacart.errors import named_options, refuse_unknown
from metacart.evidence.agreement import events_from_grades
from metacart.evidence.collection import Studies
from metacart.evidence.selection import StudySource, studies_of
from metacart.records.study import Arm, Finding, Study

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["KINDS", "PLACES", "SHOW", "coverage"]

SHOW = ("findings", "kinds", "events")
PLACES = ("study", "label", "arm", "arm_label", "infusion", "patients")
# the forms in which an outcome is reported, the readiest for a pooled rate first
KINDS = ("count", "grades", "time", "comparison")


@named_options
def coverage(studies: StudySource, *, show: str = "findings") -> pd.DataFrame:
    """Return which outcome is reported by which arm.

    Parameters
    ----------
    studies : Studies or path or sequence of paths
        The result of ``load_studies``, or folders and files of studies.
    show : {"findings", "kinds", "events"}
        What stands in a cell: the number of findings; their kinds as text, of count, grades,
        survival (estimates at one time, medians) and comparison (ratios and contrasts inside the
        arm); or the count as ``13/19`` where there is one.

    Returns
    -------
    DataFrame
        One row an arm: study, label, arm, arm_label, infusion, patients (the largest number that
        the record holds), then a column for each outcome that any arm reports, in the order of
        the vocabulary.

    Raises
    ------
    InputError
        For an unknown option, and for what are no studies.

    Notes
    -----
    A table of grades also gives the severe outcome where its bands respect the cut. Findings set
    aside are not counted. Of several counts that of the infused comes first, then of the
    evaluable, the enrolled and the responders.

    Examples
    --------
    >>> import metacart as mc
    >>> table = mc.coverage(mc.load_studies(), show="events").set_index(["study", "arm"])
    >>> table.loc[("an2022", "hcd19"), "complete_remission"]
    '13/19'
    """
    import pandas as pd

    refuse_unknown("show", show, SHOW)
    collection = studies_of(studies)
    cells = {
        (study.id, arm.id): _cells(study, arm, collection)
        for study in collection
        for arm in study.arms
    }
    reported = {outcome for found in cells.values() for outcome in found}
    outcomes = [name for name in collection.vocabulary if name in reported]
    rows = [
        {
            "study": study.id,
            "label": study.label,
            "arm": arm.id,
            "arm_label": arm.label or arm.id,
            "infusion": arm.infusion,
            "patients": max(filter(None, arm.patients.model_dump().values()), default=0),
            **{name: _shown(cells[study.id, arm.id].get(name, []), show) for name in outcomes},
        }
        for study in collection
        for arm in study.arms
    ]
    return pd.DataFrame(rows, columns=pd.Index([*PLACES, *outcomes]))


def _cells(study: Study, arm: Arm, studies: Studies) -> dict[str, list[tuple[str, Finding, str]]]:
    """Return, for each outcome of an arm, the kind, finding and count of each report."""
    cells: dict[str, list[tuple[str, Finding, str]]] = defaultdict(list)
    for finding in study.findings:
        if finding.arm == arm.id and finding.set_aside is None:
            for outcome, kind, count in _reports(finding, studies):
                cells[outcome].append((kind, finding, count))
    return cells


def _reports(finding: Finding, studies: Studies) -> Iterator[tuple[str, str, str]]:
    """Yield outcome, kind and count of what a finding reports."""
    if finding.count is not None:
        yield finding.outcome, "count", f"{finding.count.events}/{finding.count.total}"
    elif finding.grades is not None:
        total = sum(patients for key, patients in finding.grades.items() if key != "total")
        for outcome in studies.vocabulary.values():
            if outcome.graded_by == finding.outcome:
                grades = finding.grades
                least, most = events_from_grades(grades, from_grade=outcome.from_grade)
                if least == most:
                    yield outcome.name, "grades", f"{least}/{total}"
    elif finding.exposure is not None:
        yield finding.outcome, "comparison", ""
    else:
        yield finding.outcome, "time", ""


_ORDER = ("infused", "evaluable", "enrolled", "responders")


def _shown(reports: list[tuple[str, Finding, str]], show: str) -> Any:
    if show == "findings":
        return len(reports)
    if show == "kinds":
        kinds = {kind for kind, _, _ in reports}
        return ", ".join(kind for kind in KINDS if kind in kinds)
    counts = [
        (_ORDER.index(finding.population), KINDS.index(kind), number, count)
        for number, (kind, finding, count) in enumerate(reports)
        if count
    ]
    return min(counts)[-1] if counts else ""
