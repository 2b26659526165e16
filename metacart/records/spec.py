"""A declared analysis as a record: the question, the model and its priors."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from metacart.errors import Fault, InputError
from metacart.records.base import Id, RootRecord, Text, Words
from metacart.records.vocabulary import Population

__all__ = ["FILTERS", "ModelSpec", "RandomEffects"]

RandomEffects = Literal["normal", "student_t", "none"]

# What `[include]` can filter on, beside a study's own attributes.
FILTERS: tuple[str, ...] = (
    "study",
    "arm",
    "infusion",
    "reason",
    "prior_scfv",
    "scfv",
    "scfv_certainty",
    "same_product",
    "target",
    "costimulation",
    "disease",
    "publication",
    "grading",
)

Names = Annotated[tuple[Id, ...], Field(strict=False)]
Level = str | bool | int | float


class ModelSpec(RootRecord):
    """A declared analysis; a file of ``models/``, or made in Python.

    Parameters
    ----------
    likelihood : str
        A key of ``metacart.LIKELIHOODS``: ``"binomial"``, ``"normal"``, ``"hsct"``. Whether the
        name is known is checked where the model is fitted, so that a user's own is welcome.
    scale : {"identity", "log", "logit", "cloglog"}, optional
        The model scale; each likelihood has its default and allows some.
    moderators : sequence of str
        Columns of the evidence that enter the regression.
    reference : dict of str to level
        The reference level of categorical moderators; the commonest level by default.
    recode : dict of str to dict
        Levels of a column collapsed for this question: ``{"scfv": {"humanized": ["human"]}}``.
    group : {"study", "cohort"}
        Where the random effect sits.
    random_effects : {"normal", "student_t", "none"}
        The distribution of the study effects.
    nu : float
        Degrees of freedom of Student-t effects.
    priors : dict of str to str
        Priors as a paper states them, such as ``{"tau": "HalfNormal(1)"}``; the likelihood's
        defaults stand where none is given. ``beta`` may be a table of moderators.
    outcome, exposure : str, optional
        The outcome, and the exposure whose comparison is asked for.
    population, timepoint : sequence of str
        What the question wants, the preferred first.
    include : dict of str to list
        Which arms answer the question: see `FILTERS`.
    admit : sequence of str
        Arms as ``study/arm`` that enter although they share patients or were selected.
    reported_by : {"include", "exclude"}
        Whether numbers only seen quoted in another paper enter.
    better : {"higher", "lower"}, optional
        Which way a patient wants the estimand; the outcome says so by default.
    thresholds : sequence of float
        Values of the natural scale for P(beyond threshold).
    contrasts : sequence of (moderator, level, reference)
        Contrasts for the report.
    notes : sequence of str
        What a reader of the page must know about this question.

    Raises
    ------
    InputError
        With every fault of form at once.

    Examples
    --------
    >>> spec = ModelSpec(likelihood="binomial", priors={"tau": "HalfNormal(0.5)"})
    >>> spec.group, spec.random_effects
    ('study', 'normal')
    """

    schema_: Literal[1] = Field(default=1, alias="schema")
    id: Id | None = None
    title: Text | None = None
    question: Text | None = None
    outcome: Id | None = None
    exposure: Id | None = None
    population: Annotated[tuple[Population, ...], Field(strict=False)] = ()
    timepoint: Words = ()
    include: dict[str, Annotated[tuple[Level, ...], Field(strict=False)]] = {}
    admit: Words = ()
    reported_by: Literal["include", "exclude"] = "include"
    recode: dict[str, dict[str, Annotated[tuple[Level, ...], Field(strict=False)]]] = {}
    likelihood: Id
    scale: Literal["identity", "log", "logit", "cloglog"] | None = None
    moderators: Words = ()
    reference: dict[str, Level] = {}
    group: Literal["study", "cohort"] = "study"
    random_effects: RandomEffects = "normal"
    nu: Annotated[float, Field(gt=0)] = 4.0
    priors: dict[str, str | dict[str, str]] = {}
    better: Literal["higher", "lower"] | None = None
    thresholds: Annotated[tuple[float, ...], Field(strict=False)] = ()
    contrasts: Annotated[
        tuple[Annotated[tuple[str, Level, Level], Field(strict=False)], ...], Field(strict=False)
    ] = ()
    notes: Words = ()

    @model_validator(mode="before")
    @classmethod
    def _headings(cls, data: Any) -> Any:
        """``[model]`` and ``[report]`` are headings: their keys are fields of the spec itself."""
        if not isinstance(data, dict):
            return data
        flat = {key: value for key, value in data.items() if key not in ("model", "report")}
        for heading in ("model", "report"):
            table = data.get(heading, {})
            if not isinstance(table, dict):
                raise InputError(Fault(heading, f"{table!r}", "a table"))
            twice = sorted(flat.keys() & table.keys())
            if twice:
                raise InputError(
                    Fault(f"{heading}.{twice[0]}", "this key stands twice", "each key once")
                )
            flat |= table
        return flat

    @field_validator("moderators")
    @classmethod
    def _once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise InputError(Fault("", f"'{min(twice)}' stands twice", "each moderator once"))
        return names

    @model_validator(mode="after")
    def _coherent(self) -> ModelSpec:
        faults = [
            Fault(
                f"contrasts[{number}]",
                f"'{moderator}' is not a moderator",
                ", ".join(self.moderators) or "none: the model has no moderators",
            )
            for number, (moderator, _, _) in enumerate(self.contrasts)
            if moderator not in self.moderators
        ]
        faults += [
            Fault(f"reference.{name}", f"'{name}' is not a moderator", ", ".join(self.moderators))
            for name in self.reference
            if name not in self.moderators
        ]
        for name in ("population", "timepoint"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                faults.append(Fault(name, "a value stands twice", "each value once"))
        if faults:
            raise InputError(faults)
        return self

    @cached_property
    def path(self) -> Path | None:
        """The file that it was read from; none for a spec made in Python."""
        return None

    def read_from(self, path: Path) -> Self:
        """Return the same spec with the file that it was read from, which is no part of it."""
        same = self.model_copy()
        same.__dict__["path"] = path
        return same

    @property
    def name(self) -> str:
        """The id, or a word for a spec that has none."""
        return self.id or "analysis"
