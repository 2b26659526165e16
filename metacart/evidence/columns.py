"""The columns of the evidence table: what an arm gives, and the filters and levels on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, get_args, get_origin

from metacart.errors import Fault, nearest, shown
from metacart.evidence.collection import Studies
from metacart.records.paper import Citation, Spread
from metacart.records.spec import FILTERS, ModelSpec
from metacart.records.study import Arm, Study
from metacart.records.vocabulary import EXPOSURES, GRADINGS

__all__ = [
    "CONTRAST_COLUMNS",
    "COUNT_COLUMNS",
    "GRADE_COLUMNS",
    "HSCT_COLUMNS",
    "PLACE_COLUMNS",
    "RATIO_COLUMNS",
    "RESERVED",
    "SURVIVAL_COLUMNS",
    "Level",
    "absent_levels",
    "counts_of_arms",
    "known_levels",
    "levels_of",
    "matches",
    "recoded",
    "spec_faults",
]

Level = str | bool | int | float

PLACE_COLUMNS: tuple[str, ...] = (
    "study",
    "arm",
    "label",
    "arm_label",
    "cohort",
    "year",
    "outcome",
    "population",
    "timepoint",
    "at",
    "finding",
)
COUNT_COLUMNS: tuple[str, ...] = ("events", "total")
GRADE_COLUMNS: tuple[str, ...] = ("grade_from", "grade_to", "count")
RATIO_COLUMNS: tuple[str, ...] = (
    "kind",
    "ratio",
    "lower",
    "upper",
    "level",
    "measure",
    "time_handling",
    "adjusted_for",
    "printed_as",
)
SURVIVAL_COLUMNS: tuple[str, ...] = ("survival", "lower", "upper", "level", "printed_as")
_TWO_GROUPS = ("events", "total", "control_events", "control_total", "follow_up")
CONTRAST_COLUMNS: tuple[str, ...] = (*_TWO_GROUPS, "printed_as")
# of every kind of comparison; a row has those of its own
HSCT_COLUMNS: tuple[str, ...] = (
    *RATIO_COLUMNS,
    "survival",
    "survival_lower",
    "survival_upper",
    "control_survival",
    "control_survival_lower",
    "control_survival_upper",
    *_TWO_GROUPS,
)


_A_YEAR = {"day": 365.25, "week": 365.25 / 7, "month": 12.0, "year": 1.0}
RESERVED: frozenset[str] = frozenset(
    (*FILTERS, *PLACE_COLUMNS, *COUNT_COLUMNS, *GRADE_COLUMNS, *SURVIVAL_COLUMNS, *HSCT_COLUMNS)
)


def levels_of(study: Study, arm: Arm, grading: str | None) -> dict[str, Level | None]:
    """Return everything that can be filtered on or become a moderator; None is not stated."""
    levels: dict[str, Level | None] = dict(arm.attributes)
    for name in FILTERS:
        if name == "study":
            levels[name] = study.id
        elif name == "arm":
            levels[name] = arm.id
        elif name == "publication":
            levels[name] = study.citation.publication
        elif name == "grading":
            levels[name] = grading
        elif name == "age":
            levels[name] = _years(arm.age)
        else:
            levels[name] = getattr(arm, name)
    return levels


def _years(age: Spread | None) -> float | None:
    """Return the median age in years; without a unit it is in years."""
    if age is None:
        return None
    return age.median / _A_YEAR[age.unit or "year"]


def matches(level: Level | None, wanted: Iterable[Level]) -> bool:
    """Return whether a level is among those wanted; true is not 1."""
    return any(
        level == each and isinstance(level, bool) == isinstance(each, bool) for each in wanted
    )


def recoded(name: str, level: Level | None, spec: ModelSpec) -> Level | None:
    """Return the level under the name that the question gives it."""
    for new, old in spec.recode.get(name, {}).items():
        if matches(level, old):
            return new
    return level


def counts_of_arms(columns: Iterable[object]) -> bool:
    """Return whether a table with these columns counts events of whole arms, not of two groups."""
    names = {*columns}
    return "events" in names and "control_events" not in names


def known_levels(studies: Studies) -> dict[str, tuple[Level, ...]]:
    """Return every column that these studies give, with the levels that may stand in it."""
    closed = _closed()
    return {name: closed.get(name) or levels for name, levels in _present(studies).items()}


def spec_faults(studies: Studies, spec: ModelSpec) -> list[Fault]:
    """Return what a question asks for that these studies cannot know."""
    return list(_question_faults(studies, spec))


def _question_faults(studies: Studies, spec: ModelSpec) -> Iterator[Fault]:
    several = spec.likelihood in ("joint", "chain")
    if several and len(spec.outcomes) < 2:
        found = ", ".join(spec.outcomes) or "this key is missing"
        hint = 'outcomes = ["complete_remission", "severe_crs"]'
        yield Fault("outcomes", found, f"two or more of {', '.join(studies.vocabulary)}", hint)
    elif spec.outcome is None and not spec.outcomes:
        yield Fault("outcome", "this key is missing", ", ".join(studies.vocabulary))
    for name in spec.outcomes:
        yield from _unknown("outcomes", name, studies.vocabulary)
    if spec.outcome is not None:
        yield from _unknown("outcome", spec.outcome, studies.vocabulary)
    if spec.exposure is not None:
        yield from _unknown("exposure", spec.exposure, EXPOSURES)
        if spec.likelihood in ("binomial", "beta_binomial", "survival", "grades", "joint", "chain"):
            yield Fault(
                "exposure",
                f"'{spec.exposure}' compares groups, but {spec.likelihood} takes whole arms",
                "no exposure, or a likelihood that takes comparisons",
                'likelihood = "normal", "two_arm" or "hsct"',
            )
    elif spec.likelihood in ("hsct", "normal", "two_arm"):
        hint = 'exposure = "hsct"' if spec.likelihood == "hsct" else ""
        yield Fault("exposure", "this key is missing", ", ".join(EXPOSURES), hint)
    yield from _graded_faults(studies, spec)
    if spec.likelihood == "survival" and len(spec.timepoint) != 1:
        found = ", ".join(spec.timepoint) or "this key is missing"
        hint = 'timepoint = ["month 12"]'
        yield Fault("timepoint", found, "one time of each curve, in months", hint)
    arms = [f"{study.id}/{arm.id}" for study in studies for arm in study.arms]
    for number, name in enumerate(spec.admit):
        if name not in arms:
            yield Fault(
                f"admit[{number}]",
                f"'{name}' is no arm of these studies",
                'arms as "study/arm"',
                nearest(name, arms),
            )
    homes = {study.id for study in studies}
    for name, borrowed in spec.power_prior.items():
        for side in ("level", "reference"):
            arm = getattr(borrowed, side)
            # a collection without the study is no fault of the question
            if arm.partition("/")[0] in homes:
                yield from _unknown(f"power_prior.{name}.{side}", arm, arms)
    present = _present(studies)
    for name, wanted in spec.include.items():
        yield from _unknown(f"include.{name}", name, present)
        yield from _unknown_levels(f"include.{name}", wanted, _closed().get(name, ()))
    for name, groups in spec.recode.items():
        yield from _unknown(f"recode.{name}", name, present)
        known = _closed().get(name) or present.get(name, ())
        seen: list[Level] = []
        for new, old in groups.items():
            yield from _unknown_levels(f"recode.{name}.{new}", old, known)
            for level in old:
                if matches(level, seen):
                    yield Fault(
                        f"recode.{name}.{new}", f"{shown(level)} stands twice", "each level once"
                    )
            seen += old


def _graded_faults(studies: Studies, spec: ModelSpec) -> Iterator[Fault]:
    """Yield that an outcome has no grades of its own: severe is one cut through those of any."""
    outcome = studies.vocabulary.get(spec.outcome or "")
    if spec.likelihood == "grades" and outcome and outcome.graded_by != outcome.name:
        graded = [name for name, each in studies.vocabulary.items() if each.graded_by == name]
        found = "has no grades"
        if outcome.graded_by is not None:
            found = f"is grade {outcome.from_grade} or higher of '{outcome.graded_by}'"
        hint = f'outcome = "{outcome.graded_by}"' if outcome.graded_by else ""
        yield Fault("outcome", f"'{spec.outcome}' {found}", ", ".join(graded), hint)


def absent_levels(studies: Studies, spec: ModelSpec) -> Iterator[Fault]:
    """Yield what the filters of a question want and no arm of these studies is."""
    present = _present(studies)
    arms = tuple(f"{study.id}/{arm.id}" for study in studies for arm in study.arms)
    for name, wanted in spec.include.items():
        levels: list[Level] = [*present.get(name, ()), *(arms if name == "arm" else ())]
        levels += [
            new
            for new, old in spec.recode.get(name, {}).items()
            if new not in levels and any(matches(level, old) for level in levels)
        ]
        for level in wanted:
            if not matches(level, levels):
                yield Fault(
                    f"include.{name}",
                    f"{shown(level)} stands in none of these studies",
                    ", ".join(str(each) for each in levels) or "nothing: they do not say",
                    nearest(level, levels),
                    unanswerable=True,
                )


def _unknown(place: str, word: str, allowed: Iterable[str]) -> Iterator[Fault]:
    names = list(allowed)
    if word not in names:
        yield Fault(place, f"'{word}' is not known", ", ".join(names), nearest(word, names))


def _unknown_levels(
    place: str, levels: Iterable[Level], known: tuple[Level, ...]
) -> Iterator[Fault]:
    for level in levels:
        if known and not matches(level, known):
            words = ", ".join(
                str(each).lower() if isinstance(each, bool) else str(each) for each in known
            )
            yield Fault(place, f"{shown(level)} is not known", words, nearest(level, known))


def _present(studies: Studies) -> Mapping[str, tuple[Level, ...]]:
    """Return every column that these studies give, with the levels that occur in it."""
    # true and 1 are one key of a dict
    present: dict[str, dict[tuple[bool, Level], None]] = {name: {} for name in FILTERS}
    for study in studies:
        rows: list[tuple[Arm, str | None]] = [(arm, None) for arm in study.arms]
        rows += [(study.arm(finding.arm), finding.grading) for finding in study.findings]
        for arm, grading in rows:
            for name, level in levels_of(study, arm, grading).items():
                seen = present.setdefault(name, {})
                if level is not None:
                    seen[isinstance(level, bool), level] = None
    return {name: tuple(level for _, level in seen) for name, seen in present.items()}


def _closed() -> dict[str, tuple[Level, ...]]:
    """Return the levels of the columns that the records close."""
    levels: dict[str, tuple[Level, ...]] = {"grading": GRADINGS, "same_product": (True, False)}
    for record, names in ((Arm, FILTERS), (Citation, ("publication",))):
        for name in names:
            if (field := record.model_fields.get(name)) is not None:
                words = tuple(_literals(field.annotation))
                if words:
                    levels[name] = words
    return levels


def _literals(annotation: Any) -> Iterator[str]:
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    else:
        for part in get_args(annotation):
            yield from _literals(part)
