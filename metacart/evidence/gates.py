"""What must hold inside one study before any of its numbers enters a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise

from metacart.errors import Fault, nearest
from metacart.evidence.agreement import (
    duplicates,
    falling_survival,
    graded_counts,
    parts_of_a_whole,
)
from metacart.evidence.columns import RESERVED
from metacart.evidence.figures import count_faults, figure_faults, percentage_faults
from metacart.evidence.parts import Parts
from metacart.records.paper import Spread
from metacart.records.spec import FILTERS
from metacart.records.study import Finding, Patients, Study
from metacart.records.value import Count, grade_bands
from metacart.records.vocabulary import EXPOSURES, OUTCOMES, POPULATIONS, Outcome

__all__ = ["STUDY_GATES", "study_gates"]


def study_gates(study: Study, *, vocabulary: Mapping[str, Outcome] = OUTCOMES) -> list[Fault]:
    """Check one study against itself.

    Parameters
    ----------
    study : Study
    vocabulary : mapping of str to Outcome
        The outcomes that findings may name.

    Returns
    -------
    list of Fault
        Errors, and warnings for what may be right: a p from another test, an excused misprint.
    """
    parts = Parts.of(study, vocabulary)
    return [fault for gate in STUDY_GATES.values() for fault in gate(parts)]


def periods(parts: Parts) -> Iterator[Fault]:
    """Hold enrolment against its own end, the data cutoff and the year of the paper."""
    enrolment, cutoff = parts.conduct.enrolment, parts.conduct.data_cutoff
    start = enrolment.from_
    if start is None:
        return
    if enrolment.to is not None and _after(start, enrolment.to):
        yield Fault(
            "conduct.enrolment",
            f"from {start} to {enrolment.to}",
            "a first month that is not after the last",
        )
    if cutoff is not None and _after(start, cutoff):
        yield Fault(
            "conduct.data_cutoff",
            f"{cutoff}, but enrolment began in {start}",
            "a cutoff after the first patient",
        )
    if parts.year is not None and int(start[:4]) > parts.year:
        yield Fault(
            "conduct.enrolment.from",
            f"{start}, after the paper of {parts.year}",
            "a month before the paper",
            "look up the year of the paper too",
        )


def _after(first: str, second: str) -> bool:
    """Whether a year, month or day is surely after another: 2019-05 need not be after 2019."""
    return first[: len(second)] > second[: len(first)]


def spreads(parts: Parts) -> Iterator[Fault]:
    """Hold medians against their ranges."""
    yield from _spread(parts.conduct.follow_up, "conduct.follow_up")
    for number, arm in parts.arms.items():
        yield from _spread(arm.age, f"arms[{number}].age")


def _spread(spread: Spread | None, place: str) -> Iterator[Fault]:
    if spread is None:
        return
    low = spread.median if spread.lower is None else spread.lower
    high = spread.median if spread.upper is None else spread.upper
    if not low <= spread.median <= high:
        yield Fault(
            place,
            f"lower {low:g}, median {spread.median:g}, upper {high:g}",
            "lower ≤ median ≤ upper",
        )


def arms(parts: Parts) -> Iterator[Fault]:
    """Find arms that stand twice, and columns under the name of another."""
    for number, arm in parts.arms.items():
        place = f"arms[{number}]"
        if parts.arm_ids.index(arm.id) < number:
            yield Fault(f"{place}.id", f"'{arm.id}' stands twice", "each arm once")
        for name in sorted(RESERVED & arm.attributes.keys()):
            yield Fault(
                f"{place}.attributes.{name}",
                f"'{name}' is a column of the evidence already",
                "a name of your own",
                f"own_{name}",
            )


def sharing(parts: Parts) -> Iterator[Fault]:
    """Find arms whose patients are said to be those of an arm that does not exist."""
    for number, arm in parts.arms.items():
        for name in arm.shares_patients_with:
            if "/" in name:
                continue  # another study: for the whole library to say
            others = [other for other in parts.arm_ids if other != arm.id]
            if name not in others:
                yield Fault(
                    f"arms[{number}].shares_patients_with",
                    f"'{name}' is no other arm of this study",
                    ", ".join(others) or 'an arm of another study, as "study/arm"',
                    nearest(name, others),
                )


def populations(parts: Parts) -> Iterator[Fault]:
    """Hold the populations of an arm against each other, and earlier transplants against them."""
    for number, arm in parts.arms.items():
        yield from _nested_populations(arm.patients, f"arms[{number}]")
        if (before := arm.prior_hsct) is None:
            continue
        place = f"arms[{number}].prior_hsct"
        yield from count_faults(before, place=place)
        most = max(filter(None, arm.patients.model_dump().values()), default=None)
        if most is not None and before.total > most:
            yield Fault(
                f"{place}.total",
                f"{before.total} patients, but arm '{arm.id}' has {most}",
                f"1 to {most}",
                "correct it, or the arm's patients",
            )


def _nested_populations(patients: Patients, place: str) -> Iterator[Fault]:
    known = [
        (name, number)
        for name in POPULATIONS
        if (number := getattr(patients, name, None)) is not None
    ]
    for (outer, more), (inner, fewer) in pairwise(known):
        if fewer > more:
            yield Fault(
                f"{place}.patients.{inner}",
                f"{fewer} {inner} of {more} {outer}",
                f"0 to {more}",
                "responders ≤ evaluable ≤ infused ≤ enrolled",
            )


def words(parts: Parts) -> Iterator[Fault]:
    """Hold arms, outcomes and exposures against what there is: one fault a word, not a finding."""
    allowed = {
        "arm": parts.arm_ids,
        "outcome": tuple(parts.vocabulary),
        "exposure": tuple(EXPOSURES),
    }
    unknown: dict[tuple[str, str], list[int]] = {}
    for number, finding in parts.findings.items():
        for name, words in allowed.items():
            word = getattr(finding, name)
            if word is not None and word not in words:
                unknown.setdefault((name, word), []).append(number)
    for (name, word), (first, *others) in unknown.items():
        also = f", here and in {_findings(others)}" if others else ""
        yield Fault(
            f"findings[{first}].{name}",
            f"'{word}' is not known{also}",
            ", ".join(allowed[name]),
            nearest(word, allowed[name]),
        )


def discrepancies(parts: Parts) -> Iterator[Fault]:
    """Hold what a contradiction bears on against the words that there are."""
    attributes = [name for arm in parts.arms.values() for name in arm.attributes]
    allowed = list(dict.fromkeys((*parts.vocabulary, *EXPOSURES, *FILTERS, *attributes)))
    for number, discrepancy in enumerate(parts.discrepancies):
        for place, word in enumerate(discrepancy.bears_on):
            if word not in allowed:
                yield Fault(
                    f"discrepancies[{number}].bears_on[{place}]",
                    f"'{word}' is not known",
                    "an outcome, an exposure or a column of arms",
                    nearest(word, allowed),
                )


def _findings(numbers: Sequence[int]) -> str:
    shown = ", ".join(f"findings[{number}]" for number in numbers[:5])
    return shown + (f" and {len(numbers) - 5} more" if len(numbers) > 5 else "")


def counts(parts: Parts) -> Iterator[Fault]:
    """Hold events against patients, and patients against the population that is named."""
    for number, finding in parts.findings.items():
        place = f"findings[{number}]"
        groups: list[tuple[str, Count]] = []
        if finding.count is not None:
            groups = [("count", finding.count)]
        elif finding.contrast is not None:
            pair = finding.contrast
            groups = [("contrast.exposed", pair.exposed), ("contrast.unexposed", pair.unexposed)]
        for name, count in groups:
            yield from count_faults(count, place=f"{place}.{name}")
        if not groups or parts.arm(finding.arm) is None:
            continue
        total = sum(count.total for _, count in groups)
        if finding.exposure == "infusion_number":  # the same patients, infused twice
            total = max(count.total for _, count in groups)
        yield from _within_population(parts, number, finding, total, groups[0][0])


def _within_population(
    parts: Parts, number: int, finding: Finding, total: int, value: str
) -> Iterator[Fault]:
    patients = parts.patients(finding)
    if patients is None:
        yield Fault(
            f"findings[{number}].population",
            f"arm '{finding.arm}' does not say how many patients were {finding.population}",
            "a population whose number the arm gives",
            f"add `{finding.population} = …` to its patients; {total} are counted here",
        )
    elif total > patients:
        where = "contrast" if value.startswith("contrast") else f"{value}.total"
        yield Fault(
            f"findings[{number}].{where}",
            f"{total} patients, but arm '{finding.arm}' has {patients} {finding.population}",
            f"1 to {patients}",
            "name the population that was counted, or correct the arm's patients",
        )


def grades(parts: Parts) -> Iterator[Fault]:
    """Hold the sum of a table of grades against its total, or the population that is named."""
    for number, finding in parts.findings.items():
        if finding.grades is None:
            continue
        place = f"findings[{number}]"
        outcome = parts.vocabulary.get(finding.outcome)
        if outcome is not None and outcome.graded_by not in (None, outcome.name):
            yield Fault(
                f"{place}.outcome",
                f"a table of grades of {outcome.name}",
                f"the grades of {outcome.graded_by}, which give it",
                f'outcome = "{outcome.graded_by}"',
            )
        summed = sum(patients for _, _, patients in grade_bands(finding.grades))
        stated = finding.grades.get("total")
        if stated is not None and summed != stated:
            yield Fault(
                f"{place}.grades",
                f"the grades sum to {summed}",
                f"their total, {stated}",
                "look the table up again",
            )
        elif stated is None and (patients := parts.patients(finding)) not in (None, summed):
            yield Fault(
                f"{place}.grades",
                f"the grades sum to {summed}",
                f"{patients}, the {finding.population} of arm '{finding.arm}'",
                f"look the table up again, or add `total = {summed}` if it leaves patients out",
            )
            continue
        if parts.arm(finding.arm) is not None:
            yield from _within_population(parts, number, finding, stated or summed, "grades")


def figures(parts: Parts) -> Iterator[Fault]:
    """Hold printed percentages, intervals and p values against the numbers beside them."""
    for number, arm in parts.arms.items():
        if arm.prior_hsct is not None:
            place = f"arms[{number}].prior_hsct"
            yield from percentage_faults(arm.prior_hsct, place=place)
    for number, finding in parts.findings.items():
        yield from figure_faults(finding, place=f"findings[{number}]")


def quantiles(parts: Parts) -> Iterator[Fault]:
    """Hold a quantile against whether it was reached."""
    for number, finding in parts.findings.items():
        if (quantile := finding.quantile) is not None and (
            quantile.reached != (quantile.estimate is not None)
        ):
            found = "an estimate that was not reached"
            if quantile.reached:
                found = "no estimate, although it was reached"
            yield Fault(
                f"findings[{number}].quantile",
                found,
                "an estimate, or reached = false",
            )


STUDY_GATES: Mapping[str, Callable[[Parts], Iterator[Fault]]] = {
    "enrolment lies before cutoff and paper": periods,
    "medians lie in their ranges": spreads,
    "arms are told apart": arms,
    "arms that share patients exist": sharing,
    "responders ≤ evaluable ≤ infused ≤ enrolled": populations,
    "arms, outcomes and exposures are known": words,
    "contradictions bear on what there is": discrepancies,
    "events ≤ total ≤ patients of the population": counts,
    "grades sum to their patients": grades,
    "counts agree with the grades": graded_counts,
    "severe ≤ any, MRD-negative ≤ CR": parts_of_a_whole,
    "percentages, intervals and p agree": figures,
    "a quantile was reached or not": quantiles,
    "survival does not rise": falling_survival,
    "each count stands once": duplicates,
}
