"""What must hold between studies: identifiers, patients shared by papers, and references."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations

from metacart.errors import Fault, nearest, shown
from metacart.records.paper import Period
from metacart.records.shapes import is_id
from metacart.records.study import Study

__all__ = ["duplicate_ids", "library_gates", "shared_patients"]


def library_gates(studies: Sequence[Study], *, files: Sequence[str] = ()) -> list[Fault]:
    """Check studies against each other.

    Parameters
    ----------
    studies : sequence of Study
    files : sequence of str
        The file of each study, for the faults; the study's id stands in their places without it.

    Returns
    -------
    list of Fault
        Errors for identifiers that two studies share, for arms that do not exist and for
        attributes of two kinds; warnings for cohorts that may share patients, for studies that
        are named but not loaded, and for labels that two studies share.
    """
    faults: list[Fault] = []
    for gate in (_duplicate_identifiers, _overlaps, _references, _attributes, _labels):
        for number, fault in gate(studies):
            where = files[number] if files else None
            place = fault.place if files else f"{studies[number].id}: {fault.place}"
            faults.append(replace(fault, path=where, place=place))
    return faults


def duplicate_ids(ids: Sequence[str], *, files: Sequence[str]) -> list[Fault]:
    """Return one fault for each id that an earlier file has already."""
    first: dict[str, str] = {}
    faults = []
    for name, file in zip(ids, files, strict=True):
        if name in first:
            faults.append(
                Fault(
                    "id",
                    f"'{name}' is the id in {first[name]} too",
                    "each id once",
                    "rename one of the two files and its id",
                    path=file,
                )
            )
        first.setdefault(name, file)
    return faults


_PUBLICATION = re.compile(r"10\.\d{4,9}/\S+|PMC\d+|https?://\S+")
_IDENTIFIERS = {"doi": "DOI", "pmid": "PMID", "pmcid": "PMC number"}


def _duplicate_identifiers(studies: Sequence[Study]) -> Iterator[tuple[int, Fault]]:
    for name, title in _IDENTIFIERS.items():
        first: dict[str, int] = {}
        for number, study in enumerate(studies):
            identifier = getattr(study.citation, name)
            if identifier is None:
                continue
            earlier = first.setdefault(identifier.casefold(), number)
            if earlier != number and studies[earlier].id != study.id:
                yield (
                    number,
                    Fault(
                        f"citation.{name}",
                        f"'{studies[earlier].id}' has the {title} {identifier} too",
                        "one file a paper",
                        "merge the two files, or correct the identifier",
                    ),
                )


def shared_patients(first: Study, second: Study) -> str | None:
    """Return why two studies may share patients, or None.

    They may if they name the same registration, or the same centre with enrolment periods that
    overlap; an unstated month is taken as one that may overlap.
    """
    registrations = _folded(first.citation.registrations) & _folded(second.citation.registrations)
    if registrations:
        return f"both are registered as {_named(first.citation.registrations, registrations)}"
    centres = _folded(first.conduct.centres) & _folded(second.conduct.centres)
    if centres and _may_overlap(first.conduct.enrolment, second.conduct.enrolment):
        return (
            f"both enrolled at {_named(first.conduct.centres, centres)} "
            f"({_period(first.conduct.enrolment)}; {_period(second.conduct.enrolment)})"
        )
    return None


def _overlaps(studies: Sequence[Study]) -> Iterator[tuple[int, Fault]]:
    for (_, first), (number, second) in combinations(enumerate(studies), 2):
        if first.cohort == second.cohort or _declared(first, second):
            continue
        if (reason := shared_patients(first, second)) is not None:
            yield (
                number,
                Fault(
                    "cohort",
                    f"'{second.id}' may share patients with '{first.id}': {reason}",
                    "",
                    f'if it does, cohort = "{first.cohort}" in both; it warns until then',
                    severity="warning",
                ),
            )


def _declared(first: Study, second: Study) -> bool:
    return any(
        name.startswith(f"{other.id}/")
        for study, other in ((first, second), (second, first))
        for arm in study.arms
        for name in arm.shares_patients_with
    )


def _references(studies: Sequence[Study]) -> Iterator[tuple[int, Fault]]:
    known = {study.id: study for study in studies}
    for number, study in enumerate(studies):
        for index, finding in enumerate(study.findings):
            name = finding.reported_by
            if name is None or name in known or _PUBLICATION.fullmatch(name):
                continue
            place = f"findings[{index}].reported_by"
            if is_id(name):
                yield number, _not_loaded(place, name, known)
            else:
                allowed = "the id of a study, a DOI, a PMC number, or an address with https://"
                yield number, Fault(place, shown(name), allowed, nearest(name, known))
        for index, arm in enumerate(study.arms):
            place = f"arms[{index}].shares_patients_with"
            for name in arm.shares_patients_with:
                other, slash, there = name.partition("/")
                if slash and other not in known:
                    yield number, _not_loaded(place, other, known)
                elif slash and there not in (arms := [arm.id for arm in known[other].arms]):
                    yield (
                        number,
                        Fault(
                            place,
                            f"'{there}' is no arm of '{other}'",
                            ", ".join(arms),
                            nearest(there, arms),
                        ),
                    )


def _attributes(studies: Sequence[Study]) -> Iterator[tuple[int, Fault]]:
    """Hold an attribute against its first value: one column of the evidence has one kind."""
    first: dict[str, tuple[str, str, str]] = {}
    for number, study in enumerate(studies):
        for index, arm in enumerate(study.arms):
            for name, value in arm.attributes.items():
                kind = _kind(value)
                earlier, there, where = first.setdefault(
                    name, (kind, shown(value), f"{study.id}/{arm.id}")
                )
                if kind != earlier:
                    yield (
                        number,
                        Fault(
                            f"arms[{index}].attributes.{name}",
                            f"{shown(value)} is {kind}, but {there} in '{where}' is {earlier}",
                            "one kind of value for an attribute of all studies",
                            "write both the same way, or give one of them another name",
                        ),
                    )


def _labels(studies: Sequence[Study]) -> Iterator[tuple[int, Fault]]:
    """Warn of two studies that figures and tables call the same."""
    first: dict[str, str] = {}
    for number, study in enumerate(studies):
        if first.get(study.label, study.id) != study.id:
            yield (
                number,
                Fault(
                    "citation.label",
                    f"figures call '{first[study.label]}' {study.label} too",
                    "a label of its own",
                    f'label = "{study.label}b", or initials behind the surname',
                    severity="warning",
                ),
            )
        first.setdefault(study.label, study.id)


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    return "text" if isinstance(value, str) else "a number"


def _not_loaded(place: str, name: str, ids: Iterable[str]) -> Fault:
    return Fault(
        place,
        f"'{name}' is not among the studies",
        "",
        nearest(name, ids) or "load the folder that holds it too",
        severity="warning",
    )


def _folded(names: Sequence[str]) -> set[str]:
    return {" ".join(name.casefold().split()) for name in names}


def _named(names: Sequence[str], folded: set[str]) -> str:
    return ", ".join(name for name in names if _folded([name]) & folded)


def _may_overlap(first: Period, second: Period) -> bool:
    def starts(period: Period) -> str:
        return ((period.from_ or "0000") + "-01")[:7]

    def ends(period: Period) -> str:
        return ((period.to or "9999") + "-12")[:7]

    return starts(first) <= ends(second) and starts(second) <= ends(first)


def _period(period: Period) -> str:
    if period.from_ is None and period.to is None:
        return "months not stated"
    return f"{period.from_ or '?'} to {period.to or '?'}"
