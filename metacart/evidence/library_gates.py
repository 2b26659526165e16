"""What must hold between studies: identifiers, patients shared by papers, and references."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from metacart.errors import Fault, nearest, shown
from metacart.evidence.pairs import Pair, pairs
from metacart.records.shapes import is_id
from metacart.records.study import Study

__all__ = ["LIBRARY_GATES", "duplicate_ids", "library_gates"]


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
    for gate in LIBRARY_GATES.values():
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


def duplicate_identifiers(studies: Sequence[Study]) -> Iterator[tuple[int, Fault]]:
    """Find papers with two files."""
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


def undeclared_overlaps(studies: Sequence[Study]) -> Iterator[tuple[int, Fault]]:
    """Warn of patients that a study may share with others, in one line a study."""
    found: dict[int, list[Pair]] = {}
    for pair in pairs(studies):
        if pair.status == "may share patients, not declared":
            found.setdefault(pair.second, []).append(pair)
    for number, several in found.items():
        others = [studies[pair.first] for pair in several]
        named = ", ".join(
            f"'{other.id}' ({pair.reason})" for other, pair in zip(others, several, strict=True)
        )
        arm = f"{others[0].id}/{others[0].arms[0].id}"
        yield (
            number,
            Fault(
                "cohort",
                f"'{studies[number].id}' may share patients with {named}",
                "",
                f'if it does, cohort = "{others[0].cohort}" in both, or '
                f'shares_patients_with = ["{arm}"] in an arm; it warns until then',
                severity="warning",
            ),
        )


def primary_reports(studies: Sequence[Study]) -> Iterator[tuple[int, Fault]]:
    """Warn of a cohort with several primary reports: which of them stands for it is then open."""
    first: dict[str, str] = {}
    for number, study in enumerate(studies):
        if study.primary_report and first.setdefault(study.cohort, study.id) != study.id:
            yield (
                number,
                Fault(
                    "primary_report",
                    f"'{first[study.cohort]}' is the primary report of cohort '{study.cohort}' too",
                    "one a cohort",
                    "keep it in the paper that reports the primary endpoint",
                    severity="warning",
                ),
            )


def references(studies: Sequence[Study]) -> Iterator[tuple[int, Fault]]:
    """Find studies and arms that are named and do not exist."""
    known = {study.id: study for study in studies}
    for number, study in enumerate(studies):
        for index, finding in enumerate(study.findings):
            name = finding.reported_by
            place = f"findings[{index}].reported_by"
            if name == study.id:
                allowed = "a publication that quotes the number"
                attempt = "leave it out: it was read in the paper itself"
                yield number, Fault(place, f"'{name}' is this paper", allowed, attempt)
            elif name is None or name in known or _PUBLICATION.fullmatch(name):
                continue
            elif is_id(name):
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


def attribute_kinds(studies: Sequence[Study]) -> Iterator[tuple[int, Fault]]:
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


def distinct_labels(studies: Sequence[Study]) -> Iterator[tuple[int, Fault]]:
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


LIBRARY_GATES: Mapping[str, Callable[[Sequence[Study]], Iterator[tuple[int, Fault]]]] = {
    "identifiers stand once": duplicate_identifiers,
    "papers that may share patients say so": undeclared_overlaps,
    "one primary report a cohort": primary_reports,
    "what is named exists": references,
    "an attribute is of one kind": attribute_kinds,
    "figures name each paper apart": distinct_labels,
}
