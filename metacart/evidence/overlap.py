"""Which papers share patients: pair by pair, and the cohorts from which a question takes one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metacart.errors import named_options
from metacart.evidence.pairs import STATUSES, pairs
from metacart.evidence.representative import Report, ranked
from metacart.evidence.selection import StudySource, studies_of
from metacart.evidence.sharing import shared_with
from metacart.records.spec import REPRESENTATIVES
from metacart.records.study import Arm, Study

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["cohorts", "overlap"]


@named_options
def overlap(studies: StudySource | None = None) -> pd.DataFrame:
    """Return the pairs of papers that share patients, or may share them.

    Parameters
    ----------
    studies : Studies or path or sequence of paths, optional
        The result of `load_studies`, any sequence of studies, or where they are; the bundled ones
        by default.

    Returns
    -------
    DataFrame
        One row a pair: ``first``, ``second``, ``reason`` (the same registration, the same centre
        with months that may overlap, the arms that declare it), ``status`` and ``cohort``, the
        name that both have. What is not declared comes first, then what arms declare, then the
        papers of one cohort.

    Notes
    -----
    Of the papers of one cohort a question takes one report, by its ``representative``; of arms
    that declare to share patients it leaves out the one that declares it. Pairs that are not
    declared both enter: whoever knows them decides whether they are one cohort.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.overlap(mc.load_studies())["status"].unique().tolist()[-1]
    'one cohort'
    """
    import pandas as pd

    collection = studies_of(studies)
    rows = [
        {
            "first": collection[pair.first].id,
            "second": collection[pair.second].id,
            "reason": pair.reason,
            "status": pair.status,
            "cohort": collection[pair.first].cohort if pair.status == "one cohort" else "",
        }
        for pair in sorted(pairs(collection), key=lambda pair: STATUSES.index(pair.status))
    ]
    return pd.DataFrame(rows, columns=pd.Index(["first", "second", "reason", "status", "cohort"]))


@named_options
def cohorts(studies: StudySource | None = None) -> pd.DataFrame:
    """Return the groups of papers on the same patients, from which a question takes one report.

    Parameters
    ----------
    studies : Studies or path or sequence of paths, optional
        The result of `load_studies`, any sequence of studies, or where they are; the bundled ones
        by default.

    Returns
    -------
    DataFrame
        One row a paper of a cohort with several: ``cohort``, ``study``, ``label``, ``year``,
        ``patients`` (of its arms that neither are selected nor share patients with another),
        ``primary_report`` and ``taken_by``, the values of ``representative`` that take it where
        all papers of the cohort answer. Where only some do, the choice is among those:
        ``account`` names it.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.cohorts(mc.load_studies()).columns.tolist()[-2:]
    ['primary_report', 'taken_by']
    """
    import pandas as pd

    groups: dict[str, list[Study]] = {}
    for study in studies_of(studies):
        groups.setdefault(study.cohort, []).append(study)
    rows = []
    for cohort, members in groups.items():
        if len(members) < 2:
            continue
        reports = [_report(study, members) for study in members]
        takes = {rule: ranked(reports, rule)[0] for rule in REPRESENTATIVES}
        rows += [
            {
                "cohort": cohort,
                "study": report.study.id,
                "label": report.study.label,
                "year": report.study.citation.year,
                "patients": report.patients,
                "primary_report": report.study.primary_report,
                "taken_by": ", ".join(rule for rule, taken in takes.items() if taken is report),
            }
            for report in reports
        ]
    columns = "cohort study label year patients primary_report taken_by"
    return pd.DataFrame(rows, columns=pd.Index(columns.split()))


def _report(study: Study, members: list[Study]) -> Report:
    own = {f"{study.id}/{arm.id}" for arm in study.arms}
    others = {f"{each.id}/{arm.id}" for each in members if each is not study for arm in each.arms}
    alone = [
        arm for arm in study.arms if arm.selected is None and not (shared_with(study, arm) & own)
    ]
    return Report(
        study,
        sum(_patients(arm) for arm in alone),
        sharing=any(shared_with(study, arm) & others for arm in study.arms),
    )


def _patients(arm: Arm) -> int:
    known = arm.patients
    return known.infused or max(filter(None, known.model_dump().values()), default=0)
