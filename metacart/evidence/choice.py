"""Which findings answer a question: one pass, and for each finding the rule that decided."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass

from metacart.evidence.agreement import events_from_grades
from metacart.evidence.collection import Studies
from metacart.evidence.columns import Level, levels_of, matches, recoded
from metacart.evidence.denominators import fallback_words, population_order
from metacart.evidence.printed import is_symmetric
from metacart.evidence.representative import Report, alternative, ranked, why_first
from metacart.evidence.sharing import shared_with, staying
from metacart.records.spec import ModelSpec
from metacart.records.study import Arm, Finding, Study
from metacart.records.value import Survival, grade_bands
from metacart.records.vocabulary import EXPOSURES, Outcome

__all__ = ["MEASURES", "Candidate", "choose"]

MEASURES = {"hr": "hazard ratio", "or": "odds ratio", "rr": "risk ratio"}
_KINDS = {
    "count": "a count",
    "grades": "a table of grades",
    "contrast": "a contrast of counts",
    "ratio": "a ratio",
    "survival": "a survival estimate",
    "quantile": "a quantile of a time",
}
# 52 weeks and 365 days are 12 months
_MONTHS = {"day": 12 / 365, "week": 12 / 52, "month": 1.0, "year": 12.0}
_TIME_HANDLING = ("time-dependent", "landmark")


@dataclass(slots=True)
class Candidate:
    """A finding on its way through the rules.

    Attributes
    ----------
    step : str
        The kind of rule that leaves it out; empty while it answers the question.
    rule : str
        The rule in words.
    events, total : int or None
        The count, read from grades where these give the outcome.
    levels : dict
        Its levels, recoded for the question.
    """

    study: Study
    arm: Arm
    number: int
    finding: Finding
    levels: dict[str, Level | None]
    step: str = ""
    rule: str = "used"
    events: int | None = None
    total: int | None = None

    @property
    def key(self) -> str:
        """The arm as ``study/arm``."""
        return f"{self.study.id}/{self.arm.id}"

    @property
    def timepoint(self) -> str | None:
        """When it was counted; of a survival, the time of the estimate in months."""
        survival = self.finding.survival
        if survival is None:
            return self.finding.timepoint
        months = survival.time * _MONTHS[survival.unit]
        return f"month {months:.0f}" if abs(months - round(months)) < 0.05 else None

    @property
    def patients(self) -> int:
        """How many patients it is about; 0 where the paper does not say."""
        if self.total is not None:
            return self.total
        known = self.arm.patients.model_dump()
        return known[self.finding.population] or max(filter(None, known.values()), default=0)

    def leave_out(self, step: str, rule: str) -> None:
        """Take it out of the question."""
        self.step, self.rule = step, rule


def choose(studies: Studies, spec: ModelSpec) -> list[Candidate]:
    """Return every finding with the rule by which it answers the question, or does not."""
    candidates = [
        Candidate(study, arm, number, finding, levels_of(study, arm, finding.grading))
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
    if finding.outcome != spec.outcome and not graded:
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


def _kind(candidate: Candidate, spec: ModelSpec, outcome: Outcome) -> None:
    finding = candidate.finding
    taken, words = _taken(spec)
    if finding.kind not in taken:
        candidate.leave_out("kind", f"{_KINDS[finding.kind]}; the question takes {words}")
    elif finding.survival is not None:
        _read_survival(candidate, finding.survival)
    elif finding.ratio is not None:
        ratio = finding.ratio
        if spec.likelihood == "hsct" and ratio.measure != "hr":
            rule = f"an {MEASURES[ratio.measure]}; the question takes hazard ratios"
            candidate.leave_out("kind", rule.replace("an risk", "a risk"))
        elif ratio.interval is None:
            candidate.leave_out("kind", "no interval is printed")
        elif finding.misprint is not None and not (
            ratio.interval[0] <= ratio.estimate <= ratio.interval[1]
            and is_symmetric(ratio.estimate, *ratio.interval)
        ):
            candidate.leave_out("kind", f"its interval is misprinted: {finding.misprint.why}")
    elif finding.count is not None:
        candidate.events, candidate.total = finding.count.events, finding.count.total
    elif finding.grades is not None:
        _read_grades(candidate, finding.grades, outcome)


def _taken(spec: ModelSpec) -> tuple[tuple[str, ...], str]:
    """Return the kinds of value that a question takes, and the word for them."""
    if spec.likelihood == "survival":
        return ("survival",), "survival at one time"
    # a question with an exposure compares groups, one without is about arms
    return (("ratio",), "ratios") if spec.exposure is not None else (("count", "grades"), "counts")


def _read_survival(candidate: Candidate, survival: Survival) -> None:
    if survival.lower is None or survival.upper is None:
        candidate.leave_out("kind", "no interval is printed")
    elif survival.estimate is None or not 0.0 < survival.estimate < 1.0:
        candidate.leave_out("kind", "an estimate of 0 or 1 has no standard error")


def _read_grades(candidate: Candidate, grades: dict[str, int], outcome: Outcome) -> None:
    cut = outcome.from_grade
    if outcome.graded_by is None:
        candidate.leave_out("kind", f"a table of grades; {outcome.title} has no lowest grade")
        return
    fewest, most = events_from_grades(grades, from_grade=cut)
    total = sum(patients for _, _, patients in grade_bands(grades))
    straddling = [
        f"{first}-{last}" for first, last, _ in grade_bands(grades) if first < cut <= last
    ]
    if straddling and fewest != most:
        rule = f"grades {', '.join(straddling)} lie on both sides of the cut at grade {cut}"
        candidate.leave_out("kind", rule)
    elif total == 0:
        candidate.leave_out("kind", "no patients")
    else:
        candidate.events, candidate.total = fewest, total


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
    elif (survival := candidate.finding.survival) is not None and timepoint is None:
        when = f"{survival.time:g} {survival.unit}s"
        candidate.leave_out("timepoint", f"at {when}; the question takes {takes}")


_ONE_BY_ONE: tuple[Callable[[Candidate, ModelSpec, Outcome], None], ...] = (
    _outcome,
    _include,
    _exposure,
    _kind,
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
    if spec.population or finding.ratio is None:
        preferences.append(_rank(finding.population, population_order(spec), ""))
    if spec.likelihood == "hsct":
        preferences.append(_rank(finding.time_handling, _TIME_HANDLING, "unclear time handling"))
    if finding.ratio is not None:
        adjusted = bool(finding.ratio.adjusted_for)
        preferences.append((0, "an adjusted ratio") if adjusted else (1, "unadjusted"))
    preferences.append(_rank(candidate.timepoint, spec.timepoint, "no timepoint"))
    preferences.append(
        (0, "the direct count") if finding.grades is None else (1, "read from a table of grades")
    )
    preferences.append((-candidate.patients, f"{candidate.patients} patients"))
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
    for each in candidates:
        if each.key not in spec.admit:
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
    return Report(study, sum(each.patients for each in rows), sharing)


def _remarks(candidate: Candidate, spec: ModelSpec, outcome: Outcome) -> Iterable[str]:
    finding = candidate.finding
    if finding.grades is not None:
        yield f"grades {outcome.from_grade} to 5 give {candidate.events}/{candidate.total}"
    if candidate.key in spec.admit:
        yield "admitted by name"
    if finding.ratio is not None and finding.ratio.reversed:
        yield "turned round: printed for the reverse comparison"
    if finding.reported_by is not None:
        yield f"quoted by {finding.reported_by}"
    if spec.timepoint and candidate.timepoint is None:
        yield "no timepoint stated"
