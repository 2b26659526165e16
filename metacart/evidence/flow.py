"""The flow of studies, arms and patients from the library to the numbers of a question."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from metacart.errors import named_options
from metacart.evidence.candidate import Candidate
from metacart.evidence.collection import Studies
from metacart.evidence.library import spec_of
from metacart.evidence.selection import StudySource, candidates_of, studies_of
from metacart.evidence.sharing import shared_with, staying
from metacart.evidence.source import PathLike
from metacart.records.spec import ModelSpec
from metacart.records.study import Arm, Study
from metacart.records.vocabulary import EXPOSURES

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PHASES", "RULES", "flow"]

PHASES = ("identified", "reporting", "eligible", "used")
# The rules in their order, each with the phase behind which it stands.
RULES: Mapping[str, str] = {
    "another outcome": "reporting",
    "include": "eligible",
    "exposure": "eligible",
    "kind": "eligible",
    "set aside": "eligible",
    "reported by another paper": "eligible",
    "population": "eligible",
    "timepoint": "eligible",
    "selected arm": "used",
    "shared patients": "used",
    "another report": "used",
    "measure": "used",
    "cohort": "used",
    "stage": "used",
}
_WORDS = {
    "set aside": "set aside in the study file",
    "reported by another paper": "only quoted by another paper",
    "population": "of other patients than asked for",
    "timepoint": "assessed at another time",
    "selected arm": "patients selected",
    "shared patients": "patients counted in another arm",
    "another report": "another number of the same patients",
    "measure": "another measure than most give",
    "cohort": "another paper on the same cohort",
    "stage": "not the patients who came through the stage before",
}
_COLUMNS = "phase row reason studies cohorts arms patients findings counted"

Place = tuple[str, str]


@named_options
def flow(studies: StudySource, spec: ModelSpec | PathLike) -> pd.DataFrame:
    """Return how studies, arms and patients come from the library to the numbers of a question.

    Parameters
    ----------
    studies : Studies or path or sequence of paths
        The result of ``load_studies``, or folders and files of studies.
    spec : ModelSpec or str or path
        The question: a record, the name of a shipped one, or a file.

    Returns
    -------
    DataFrame
        From the top: ``row`` is ``remaining`` (what is there at a `phase`: identified, reporting
        the outcome, eligible, used) or ``left out`` (by which `reason`, in the order of the rules,
        before that phase). Columns studies (papers), cohorts (papers on the same patients count
        as one), arms, patients, findings, and ``counted``: the patients in the numbers used.

    Raises
    ------
    InputError
        When the question names what these studies do not know.

    See Also
    --------
    account : Every finding with its rule, of which this is the sum.

    Notes
    -----
    The rules leave findings out, as ``account`` says one by one. An arm leaves by the rule that
    its last finding met, a study with its last arm; so the numbers left out and those remaining
    add up. Patients are the largest number that the record holds for an arm (enrolled, else
    infused); an arm whose patients are among another arm still present is not added, and of
    papers of one cohort the largest is. `counted` may be smaller: not all enrolled are infused or
    assessed.

    Examples
    --------
    >>> import metacart as mc
    >>> table = mc.flow(mc.load_studies(), "cr_rate")
    >>> int(table["studies"].iloc[0]) == len(mc.load_studies())
    True
    """
    import pandas as pd

    collection, spec = studies_of(studies), spec_of(spec)
    rows = list(_rows(collection, spec, candidates_of(collection, spec)))
    frame = pd.DataFrame(rows, columns=pd.Index(_COLUMNS.split()))
    return frame.astype({"counted": "Int64"})


def _rows(
    studies: Studies, spec: ModelSpec, candidates: list[Candidate]
) -> Iterator[dict[str, Any]]:
    steps = _steps(spec, candidates)
    order = {step: number for number, step in enumerate(steps)}
    last: dict[Place, int] = {(study.id, arm.id): 0 for study in studies for arm in study.arms}
    for each in candidates:
        place = (each.study.id, each.arm.id)
        last[place] = max(last[place], order.get(each.step, len(steps)))
    present = [(study, arm) for study in studies for arm in study.arms]
    before = _Sums(present, len(candidates), None)
    yield _row("identified", "remaining", "", before.numbers())
    phase = "reporting"
    for number, step in enumerate(steps):
        if _phase(step) != phase:
            yield _row(phase, "remaining", "", before.numbers())
            phase = _phase(step)
        present = [(study, arm) for study, arm in present if last[study.id, arm.id] != number]
        out = sum(each.step == step for each in candidates)
        after = _Sums(present, before.findings - out, before)
        if before.numbers() != after.numbers():
            lost = [a - b for a, b in zip(before.numbers(), after.numbers(), strict=True)]
            yield _row(_phase(step), "left out", _reason(step, spec, studies), lost)
        before = after
    for rest in PHASES[PHASES.index(phase) :]:
        row = _row(rest, "remaining", "", before.numbers())
        if rest == PHASES[-1]:
            row["counted"] = sum(
                each.patients for each in candidates if not each.step and each.joins is None
            )
        yield row


def _row(phase: str, row: str, reason: str, numbers: Iterable[int]) -> dict[str, Any]:
    names = ("studies", "cohorts", "arms", "patients", "findings")
    return {
        "phase": phase,
        "row": row,
        "reason": reason,
        **dict(zip(names, numbers, strict=True)),
        "counted": None,
    }


class _Sums:
    """Numbers of what is present; patients are never more than they were before."""

    def __init__(
        self, present: list[tuple[Study, Arm]], findings: int, before: _Sums | None
    ) -> None:
        keys = {f"{study.id}/{arm.id}" for study, arm in present}
        sharing = {
            f"{study.id}/{arm.id}": shared_with(study, arm) & keys - {f"{study.id}/{arm.id}"}
            for study, arm in present
        }
        stay = staying(sharing)
        self.findings, self.arms = findings, len(present)
        self.by_study: dict[str, int] = defaultdict(int)
        self.cohorts: dict[str, set[str]] = defaultdict(set)
        for study, arm in present:
            self.cohorts[study.cohort].add(study.id)
            alone = f"{study.id}/{arm.id}" in stay
            self.by_study[study.id] += _patients(arm) if alone else 0
        if before is not None:
            for name, patients in self.by_study.items():
                self.by_study[name] = min(patients, before.by_study[name])

    def numbers(self) -> tuple[int, int, int, int, int]:
        """Return studies, cohorts, arms, patients and findings."""
        patients = sum(max(self.by_study[name] for name in ids) for ids in self.cohorts.values())
        return len(self.by_study), len(self.cohorts), self.arms, patients, self.findings


def _patients(arm: Arm) -> int:
    return max(filter(None, arm.patients.model_dump().values()), default=0)


def _steps(spec: ModelSpec, candidates: list[Candidate]) -> list[str]:
    """Return the rules in their order, a filter for each key of the question."""
    steps = []
    for step in RULES:
        steps += [f"include {name}" for name in spec.include] if step == "include" else [step]
    # a rule that is not known here stands last
    return [*steps, *dict.fromkeys(c.step for c in candidates if c.step and c.step not in steps)]


def _phase(step: str) -> str:
    return RULES.get("include" if step.startswith("include ") else step, PHASES[-1])


def _reason(step: str, spec: ModelSpec, studies: Studies) -> str:
    """Return what a rule leaves out in words."""
    if step == "another outcome":
        names = spec.outcomes or (spec.outcome or "",)
        titles = [studies.vocabulary[name].title for name in names]
        return f"no {' or '.join(titles)} reported"
    if step.startswith("include "):
        name = step.removeprefix("include ")
        wanted = " or ".join(
            str(level).lower() if isinstance(level, bool) else str(level)
            for level in spec.include[name]
        )
        return f"{name.replace('_', ' ').replace('scfv', 'scFv')} other than {wanted}"
    if step == "exposure":
        if spec.exposure is None:
            return "groups inside an arm compared"
        return f"not compared by {EXPOSURES[spec.exposure]}"
    if step == "kind":
        form = {"binomial": "count", "beta_binomial": "count", "survival": "survival estimate"}
        form["grades"] = "count or table of grades"
        usable = form.get(spec.likelihood, "ratio with its interval")
        return f"no usable {usable}"
    return _WORDS.get(step, step)
