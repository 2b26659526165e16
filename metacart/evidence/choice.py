"""Which findings answer a question: one pass, and for each finding the rule that decided."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping

from metacart.evidence.candidate import Candidate
from metacart.evidence.collection import Studies
from metacart.evidence.columns import Level, levels_of, matches, recoded
from metacart.evidence.denominators import fallback_words, population_order
from metacart.evidence.grade_tables import (
    band_words,
    more_grades,
    one_table_each,
    tells_grades,
)
from metacart.evidence.kinds import (
    KINDS,
    MEASURES,
    counts_for,
    follow_up_words,
    kinds_taken,
    read_value,
)
from metacart.evidence.representative import Report, alternative, ranked, why_first
from metacart.evidence.sharing import shared_with, staying
from metacart.records.spec import ModelSpec
from metacart.records.study import Finding
from metacart.records.vocabulary import EXPOSURES, Outcome

__all__ = ["choose"]

_TIME_HANDLING = ("time-dependent", "landmark")


def choose(studies: Studies, spec: ModelSpec) -> list[Candidate]:
    """Return every finding with the rule by which it answers the question, or does not."""
    candidates = [
        Candidate(
            study,
            arm,
            number,
            finding,
            levels_of(study, arm, finding.grading),
            counted=studies.vocabulary.get(finding.outcome),
        )
        for study in studies
        for number, finding in enumerate(study.findings)
        for arm in (study.arm(finding.arm),)
    ]
    outcome = studies.vocabulary[spec.outcome or ""]
    for candidate in candidates:
        for rule in _ONE_BY_ONE:
            rule(candidate, spec, outcome)
            if candidate.step:
                break
        candidate.levels = {
            name: recoded(name, level, spec) for name, level in candidate.levels.items()
        }
    for step in (_arms, _one_each, _one_measure, _one_a_cohort):
        step([each for each in candidates if not each.step], spec)
    for candidate in candidates:
        if not candidate.step:
            others = [(each.finding, each.step) for each in candidates if each.key == candidate.key]
            remarks = [*_remarks(candidate, spec, outcome)]
            remarks += fallback_words(candidate.finding, others, spec)
            candidate.rule = "; ".join(("used", *remarks))
    return candidates


def _outcome(candidate: Candidate, spec: ModelSpec, outcome: Outcome) -> None:
    finding = candidate.finding
    graded = finding.grades is not None and finding.outcome == outcome.graded_by
    if spec.likelihood == "grades":
        graded = tells_grades(candidate.counted, outcome)
    if finding.outcome != spec.outcome and not graded and not counts_for(finding, spec, outcome):
        candidate.leave_out("another outcome", "another outcome")


def _include(candidate: Candidate, spec: ModelSpec, _: Outcome) -> None:
    for name, wanted in spec.include.items():
        level = candidate.levels.get(name)
        names = [level, recoded(name, level, spec)]
        if name == "arm":
            names.append(candidate.key)
        if not any(matches(each, wanted) for each in names):
            takes = ", ".join(_word(each) for each in wanted)
            is_ = "is not stated" if level is None else f"is {_word(level)}"
            candidate.leave_out(f"include {name}", f"{name} {is_}; the question takes {takes}")
            return


def _word(level: Level) -> str:
    return str(level).lower() if isinstance(level, bool) else str(level)


def _exposure(candidate: Candidate, spec: ModelSpec, _: Outcome) -> None:
    finding = candidate.finding
    if finding.exposure == spec.exposure:
        return
    rule = f"a comparison by {_exposure_words(finding)}"
    if finding.exposure is None:
        rule = f"no comparison by {EXPOSURES[spec.exposure or 'other']}"
    elif spec.exposure is None:
        rule += "; the question is about whole arms"
    candidate.leave_out("exposure", rule)


def _exposure_words(finding: Finding) -> str:
    if finding.exposure == "other":
        return finding.comparison or "another exposure"
    return EXPOSURES[finding.exposure or "other"]


def _set_aside(candidate: Candidate, _spec: ModelSpec, _: Outcome) -> None:
    if candidate.finding.set_aside is not None:
        candidate.leave_out("set aside", f"set aside: {candidate.finding.set_aside}")


def _reported_by(candidate: Candidate, spec: ModelSpec, _: Outcome) -> None:
    source = candidate.finding.reported_by
    if spec.reported_by == "exclude" and source is not None:
        rule = f"only quoted by {source}; the question leaves quoted numbers out"
        candidate.leave_out("reported by another paper", rule)


def _population(candidate: Candidate, spec: ModelSpec, _: Outcome) -> None:
    population = candidate.finding.population
    if spec.population and population not in spec.population:
        takes = ", ".join(spec.population)
        candidate.leave_out("population", f"of the {population}; the question takes {takes}")


def _timepoint(candidate: Candidate, spec: ModelSpec, _: Outcome) -> None:
    timepoint = candidate.timepoint
    # a finding without a timepoint stays, as the last choice: most papers give one response
    takes = ", ".join(spec.timepoint)
    if spec.timepoint and timepoint is not None and timepoint not in spec.timepoint:
        candidate.leave_out("timepoint", f"at {timepoint}; the question takes {takes}")
    elif (survival := candidate.finding.survival) is not None and spec.timepoint and not timepoint:
        when = f"{survival.time:g} {survival.unit}s"
        candidate.leave_out("timepoint", f"at {when}; the question takes {takes}")


_ONE_BY_ONE: tuple[Callable[[Candidate, ModelSpec, Outcome], None], ...] = (
    _outcome,
    _include,
    _exposure,
    read_value,
    _set_aside,
    _reported_by,
    _population,
    _timepoint,
)


def _arms(candidates: Iterable[Candidate], spec: ModelSpec) -> None:
    """Leave out arms that were selected, or whose patients another arm brings already."""
    rows = [each for each in candidates if each.key not in spec.admit]
    present = {each.key for each in candidates}
    for each in rows:
        if each.arm.selected is not None:
            rule = f"patients selected: {each.arm.selected}"
            each.leave_out("selected arm", f'{rule} (admit = ["{each.key}"] lets it in)')
            present.discard(each.key)
    arms = {each.key: each for each in rows if not each.step}
    study_of = {each.key: each.study for each in candidates}

    def concerns(key: str, other: str) -> bool:
        # of the papers of one cohort one report is taken, by the question's own rule
        one, another = study_of[key], study_of[other]
        return one.cohort != another.cohort or one is another or other in spec.admit

    sharing = {
        key: {
            other
            for other in shared_with(each.study, each.arm) & (present - {key})
            if concerns(key, other)
        }
        for key, each in arms.items()
    }
    stay = staying(sharing) | (present - sharing.keys())
    for each in rows:
        if not each.step and each.key not in stay:
            others = sorted(sharing[each.key] & stay)
            names = ", ".join(f"'{other.removeprefix(f'{each.study.id}/')}'" for other in others)
            rule = f'its patients are among those of {names} (admit = ["{each.key}"] lets it in)'
            each.leave_out("shared patients", rule)


def _one_each(candidates: Iterable[Candidate], spec: ModelSpec) -> None:
    """Keep the preferred finding of an arm, or of a study for a comparison after CAR-T."""
    groups: dict[Hashable, list[Candidate]] = defaultdict(list)
    for each in candidates:
        groups[each.study.id if spec.likelihood == "hsct" else each.key].append(each)
    if spec.likelihood == "grades":
        one_table_each(groups.values(), lambda each: _preferences(each, spec))
        return
    for group in groups.values():
        ranked = sorted(group, key=lambda each: [rank for rank, _ in _preferences(each, spec)])
        first = _preferences(ranked[0], spec)
        for each in ranked[1:]:
            own = _preferences(each, spec)
            rule = next(
                f"{words}; {better} comes first"
                for (rank, words), (best, better) in zip(own, first, strict=True)
                if rank != best
            )
            each.leave_out("another report", rule)


def _preferences(candidate: Candidate, spec: ModelSpec) -> list[tuple[int, str]]:
    """Return what decides between findings of one arm, the first difference first."""
    finding = candidate.finding
    preferences = []
    if spec.population or spec.exposure is None:
        preferences.append(_rank(finding.population, population_order(spec), ""))
    if spec.likelihood == "hsct":
        preferences.append(_rank(finding.time_handling, _TIME_HANDLING, "unclear time handling"))
        preferences.append((kinds_taken(spec).index(finding.kind), KINDS[finding.kind]))
    if spec.exposure is not None:
        adjusted = finding.ratio is not None and bool(finding.ratio.adjusted_for)
        preferences.append((0, "an adjusted ratio") if adjusted else (1, "unadjusted"))
    preferences.append(_rank(candidate.timepoint, spec.timepoint, "no timepoint"))
    patients = (-candidate.patients, f"{candidate.patients} patients")
    if spec.likelihood == "grades":
        table = (0, "a table of grades") if finding.grades is not None else (1, "a count")
        preferences += [patients, table]
    else:
        direct = finding.grades is None
        preferences.append(
            (0, "the direct count") if direct else (1, "read from a table of grades")
        )
        preferences.append(patients)
    preferences.append((candidate.number, f"findings[{candidate.number}]"))
    return preferences


def _rank(value: str | None, order: tuple[str, ...], absent: str) -> tuple[int, str]:
    rank = order.index(value) if value in order else len(order)
    return rank, value or absent


def _one_measure(candidates: Iterable[Candidate], _: ModelSpec) -> None:
    """Keep the commonest measure: a pool of odds ratios and hazard ratios means nothing."""
    rows = [each for each in candidates if each.finding.ratio is not None]
    measures = [each.finding.ratio.measure for each in rows if each.finding.ratio is not None]
    if len(set(measures)) < 2:
        return
    kept = max(MEASURES, key=lambda measure: measures.count(measure))  # type: ignore[arg-type]
    for each, measure in zip(rows, measures, strict=True):
        if measure != kept:
            rule = f"its measure is the {MEASURES[measure]}; most give the {MEASURES[kept]}"
            each.leave_out("measure", rule)


def _one_a_cohort(candidates: Iterable[Candidate], spec: ModelSpec) -> None:
    """Keep one report of papers that share patients, by the question's rule."""
    cohorts: dict[str, dict[str, list[Candidate]]] = defaultdict(lambda: defaultdict(list))
    if spec.likelihood == "grades":
        more_grades(each for each in candidates if each.key not in spec.admit)
    for each in candidates:
        if each.key not in spec.admit and not each.step:
            cohorts[each.study.cohort][each.study.id].append(each)
    for cohort, rows_of in cohorts.items():
        reports = [_report(rows, rows_of) for rows in rows_of.values()]
        kept, *others = ranked(reports, spec.representative)
        for report in others:
            why = why_first(kept, report, spec.representative)
            rule = f"one report a cohort ({cohort}): {kept.study.label} {why}"
            other = alternative(report, reports)
            for each in rows_of[report.study.id]:
                way = f'admit = ["{each.key}"] lets it in beside it'
                if other is not None:
                    way = f'representative = "{other}" takes this one'
                each.leave_out("cohort", f"{rule} ({way})")


def _report(rows: list[Candidate], cohort: Mapping[str, list[Candidate]]) -> Report:
    study = rows[0].study
    others = {each.key for id_, found in cohort.items() if id_ != study.id for each in found}
    sharing = any(shared_with(study, each.arm) & others for each in rows)
    # two findings of one arm that enter one table of grades are about the same patients
    patients = sum(each.patients for each in rows if each.joins is None)
    return Report(study, patients, sharing)


def _remarks(candidate: Candidate, spec: ModelSpec, outcome: Outcome) -> Iterable[str]:
    finding = candidate.finding
    if spec.likelihood == "grades":
        lead = candidate.joins or candidate
        others = [f"findings[{each.number}]" for each in lead.parts if each is not candidate]
        beside = f"with {', '.join(others)}: " if others else ""
        yield f"{beside}grades {band_words(lead.bands)}"
    elif finding.grades is not None:
        yield f"grades {outcome.from_grade} to 5 give {candidate.events}/{candidate.total}"
    if candidate.key in spec.admit:
        yield "admitted by name"
    if finding.ratio is not None and finding.ratio.reversed:
        yield "turned round: printed for the reverse comparison"
    yield from follow_up_words(finding)
    if finding.reported_by is not None:
        yield f"quoted by {finding.reported_by}"
    if spec.timepoint and candidate.timepoint is None:
        yield "no timepoint stated"
