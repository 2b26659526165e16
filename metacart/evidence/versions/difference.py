"""What changed between two versions of the evidence, in words that a reader of papers uses."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metacart.errors import InputError, named_options
from metacart.evidence.collection import Studies
from metacart.evidence.exchange.flat import cells_of
from metacart.evidence.library import read_studies
from metacart.evidence.selection import StudySource, studies_of
from metacart.evidence.versions.change import Change, Teller, differences, number_of
from metacart.evidence.versions.finding_changes import finding_changes
from metacart.records.risk_of_bias import INSTRUMENTS
from metacart.records.study import Arm, Finding, Study

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["changes", "diff_studies"]


@named_options
def diff_studies(before: StudySource, after: StudySource) -> pd.DataFrame:
    """Return what changed between two versions of the evidence.

    Parameters
    ----------
    before, after : Studies, or path or sequence of paths
        Two versions: folders, files, or results of `load_studies`. Files that an older version of
        the gates let pass may be compared too: only their form must be that of a study.

    Returns
    -------
    DataFrame
        A row a change, none where nothing changed: study, label, arm, what (study, cohort, paper,
        arm, finding, discrepancy, risk of bias), change (added, removed, changed), key, before,
        after, words. Studies are matched by id, else by DOI, PMID or PMC number; findings by arm,
        outcome, kind of value, patients, time and place, as far as they agree.

    Raises
    ------
    InputError
        With every fault of form in their files.

    Examples
    --------
    >>> import metacart as mc
    >>> len(mc.diff_studies(mc.BUNDLED, mc.load_studies()))
    0
    """
    import pandas as pd

    found = [asdict(change) for change in changes(before, after)]
    return pd.DataFrame(found, columns=pd.Index([field.name for field in fields(Change)]))


def changes(before: StudySource, after: StudySource) -> list[Change]:
    """Return what `diff_studies` tells, in the order of the later version."""
    old, new = _version(before), _version(after)
    earlier = _same_papers(old, new)
    found: list[Change] = []
    for study in new:
        was = earlier.get(study.id)
        if was is None:
            size = _size(study)
            found.append(Teller(study, new).tell("study", "id", None, size, f"new: {size}"))
        elif was != study:
            found += _within(was, study, Teller(study, new))
    kept = {study.id for study in earlier.values()}
    for study in old:
        if study.id not in kept:
            size = _size(study)
            words = f"no longer there: {size}"
            found.append(Teller(study, old).tell("study", "id", size, None, words))
    return found


def _version(source: StudySource) -> Studies:
    paths: Any = [source] if isinstance(source, str | os.PathLike) else source
    if not (
        isinstance(paths, Sequence)
        and paths
        and all(isinstance(each, str | os.PathLike) for each in paths)
    ):
        return studies_of(source)
    studies, faults = read_studies(paths)
    # gates may have been fewer when a version was made; what is no study cannot be compared
    lost = [
        fault
        for fault in faults
        if fault.severity == "error" and Path(fault.path or "").stem not in studies.ids
    ]
    if lost:
        raise InputError(lost)
    return studies


def _same_papers(old: Studies, new: Studies) -> dict[str, Study]:
    """Return the earlier version of each study: by id, else by an identifier of its paper."""
    same = {study.id: old[study.id] for study in new if study.id in old.ids}
    known = {
        identifier: study
        for study in old
        if study.id not in same
        for identifier in _identifiers(study)
    }
    for study in new:
        if study.id not in same:
            found = next((known[each] for each in _identifiers(study) if each in known), None)
            same |= {} if found is None else {study.id: found}
    return same


def _identifiers(study: Study) -> list[str]:
    citation = study.citation
    return [each.casefold() for each in (citation.doi, citation.pmid, citation.pmcid) if each]


def _size(study: Study) -> str:
    return f"{number_of(study.arms, 'arm')}, {number_of(study.findings, 'finding')}"


def _within(old: Study, new: Study, teller: Teller) -> Iterator[Change]:
    for key, before, after in differences(*(cells_of("study", _data(each)) for each in (old, new))):
        yield teller.tell("cohort" if key == "cohort" else "paper", key, before, after)
    was, is_ = ({arm.id: arm for arm in study.arms} for study in (old, new))
    for name, arm in is_.items():
        own = teller.of(arm)
        findings = _findings_of(new, name)
        if name not in was:
            size = _arm_size(arm, findings)
            yield own.tell("arm", "id", None, size, f"a new arm: {size}")
            continue
        for key, before, after in differences(
            *(cells_of("arm", _data(each)) for each in (was[name], arm))
        ):
            yield own.tell("arm", key, before, after)
        yield from finding_changes(_findings_of(old, name), findings, own)
    for name, arm in was.items():
        if name not in is_:
            size = _arm_size(arm, _findings_of(old, name))
            words = f"this arm is no longer there: {size}"
            yield teller.of(arm).tell("arm", "id", size, None, words)
    yield from _discrepancies(old, new, teller)
    yield from _judgements(old, new, teller)


def _data(record: Study | Arm) -> dict[str, Any]:
    whole = {"arms", "findings", "discrepancies", "risk_of_bias"}
    return record.model_dump(mode="json", by_alias=True, exclude_none=True, exclude=whole)


def _findings_of(study: Study, arm: str) -> list[Finding]:
    return [finding for finding in study.findings if finding.arm == arm]


def _arm_size(arm: Arm, findings: Sequence[Finding]) -> str:
    known = (f"{number} {name}" for name, number in arm.patients if number is not None)
    patients = next(known, "patients not stated")
    return f"{patients}, {number_of(findings, 'finding')}"


def _discrepancies(old: Study, new: Study, teller: Teller) -> Iterator[Change]:
    was, is_ = (
        {f"{each.printed} ({each.at})": f"{each.recorded}; {each.why}" for each in discrepancies}
        for discrepancies in (old.discrepancies, new.discrepancies)
    )
    for key, before, after in differences(was, is_):
        how = "new" if before is None else "no longer there" if after is None else "changed"
        words = f"a contradiction of the paper, {how}: {key}"
        yield teller.tell("discrepancy", "discrepancies", before, after, words)


def _judgements(old: Study, new: Study, teller: Teller) -> Iterator[Change]:
    for tool, instrument in INSTRUMENTS.items():
        was, is_ = (
            {item: each.judgement for item, each in getattr(study.risk_of_bias, tool).items()}
            for study in (old, new)
        )
        if is_ and not was:
            found = Counter(is_.values()).most_common()
            judged = ", ".join(f"{number} {judgement}" for judgement, number in found)
            words = f"{instrument.title}: {number_of(is_, 'item')} judged, {judged}"
            yield teller.tell("risk of bias", tool, None, judged, words)
            continue
        for item, before, after in differences(was, is_):
            stated = ["not judged" if each is None else each for each in (after, before)]
            words = f"{instrument.title}, {instrument.items[item]}: {stated[0]}, was {stated[1]}"
            yield teller.tell("risk of bias", f"{tool}.{item}", before, after, words)
