"""A declared analysis as a record: the question, the model and its priors."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, Field

from metacart.errors import Fault, InputError, collected, nearest, shown
from metacart.records.base import RootRecord
from metacart.records.foreign_priors import prior_text
from metacart.records.moderation import Step, certainty_faults, interaction_faults
from metacart.records.power_prior import PowerPrior
from metacart.records.published import Published
from metacart.records.shapes import Id, Scalar, Text, Timepoint, Words
from metacart.records.vocabulary import Population

__all__ = [
    "COMPARISONS",
    "FILTERS",
    "REPRESENTATIVES",
    "ModelSpec",
    "RandomEffects",
    "Representative",
]

RandomEffects = Literal["normal", "student_t", "none"]
Representative = Literal["primary", "largest", "latest"]
REPRESENTATIVES: tuple[Representative, ...] = get_args(Representative)
Comparison = Literal["ratio", "survival", "contrast"]
# what a comparison of two groups may be reported as, the preferred first
COMPARISONS: tuple[Comparison, ...] = get_args(Comparison)

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
    "age",
    "publication",
    "grading",
)

Levels = Annotated[tuple[Scalar, ...], Field(strict=False)]
# what `thresholds` are numbers of, for the likelihoods and scales that say so
_RATES = frozenset(
    ("binomial", "beta_binomial", "survival", "grades", "logit", "cloglog", "loglog")
)
_RATIOS = frozenset(("hsct", "log"))
_OF_ARMS = frozenset(("binomial", "beta_binomial", "survival"))
_NU = 4.0  # degrees of freedom by default
# the study effects of a likelihood by default, where they are not normal
_EFFECTS: dict[str, RandomEffects] = {"beta_binomial": "none"}
# the shipped likelihoods for which nothing is to be chosen among kinds of comparison
_ONE_KIND = frozenset(("binomial", "beta_binomial", "normal", "survival", "two_arm", "grades"))


def _prior(value: object) -> object:
    """Read priors as text; refuse in one message what is neither one nor a table of them."""
    faults: list[Fault] = []
    texts: dict[str, str] = {}
    for name, entry in value.items() if isinstance(value, dict) else [("", value)]:
        with collected(faults):
            texts[str(name)] = prior_text(entry, place=str(name))
    if faults:
        raise InputError(faults)
    return texts if isinstance(value, dict) else texts[""]


def _triple(value: object) -> object:
    """Refuse in one message what is not a moderator with two levels."""
    if isinstance(value, list | tuple) and len(value) == 3:
        return value
    raise InputError(
        Fault(
            "",
            shown(value),
            "a moderator, a level and its reference",
            'such as ["scfv", "humanized", "murine"]',
        )
    )


Prior = Annotated[str | dict[str, str], BeforeValidator(_prior)]
Contrast = Annotated[tuple[Text, Scalar, Scalar], Field(strict=False), BeforeValidator(_triple)]


class ModelSpec(RootRecord):
    """A declared analysis; a file of ``models/``, or made in Python.

    Parameters
    ----------
    likelihood : str
        A key of ``metacart.LIKELIHOODS``: ``"binomial"``, ``"beta_binomial"``, ``"normal"``,
        ``"survival"``, ``"two_arm"``, ``"hsct"``, ``"joint"``, ``"chain"``, ``"grades"``. Whether
        the name is known is checked where the model is fitted, so that a user's own is welcome.
    scale : {"identity", "log", "logit", "cloglog", "loglog"}, optional
        The model scale; each likelihood has its default and allows some.
    moderators : sequence of str
        Columns of the evidence that enter the regression, and their interactions as
        ``"scfv:age"``.
    reference : dict of str to level or number
        Where mu stands: the reference level of a categorical moderator, the commonest by default;
        the value of a numeric one that counts as zero, 0 by default.
    unit : dict of str to number or str
        The step of a numeric moderator that its coefficient is for: 10, or in words
        ``"10 years"``; 1 by default.
    missing : {"refuse", "impute"}
        What happens where a moderator has no value: the fit is refused, or a numeric one is
        imputed within the model, where only NUTS can draw.
    recode : dict of str to dict
        Levels of a column collapsed for this question: ``{"scfv": {"humanized": ["human"]}}``.
    group : {"study", "cohort"}
        Where the random effect sits.
    random_effects : {"normal", "student_t", "none"}
        The distribution of the study effects; normal by default, none for ``"beta_binomial"``,
        which has a spread of its own.
    nu : float
        Degrees of freedom of Student-t effects, 1 or more.
    within : {"finding"}, optional
        A second level of normal effects: each finding (an arm, a comparison, an estimate) has one
        of its own within its study, of standard deviation ``tau_within``. By default the findings
        of a study share its effect.
    tau_by : str, optional
        A categorical moderator by which tau differs (a location-scale model): each of its levels
        has a tau of its own. A study with findings at several levels has one standard effect,
        times the tau of each.
    priors : dict of str to str
        Priors as a paper states them, such as ``{"tau": "HalfNormal(1)"}``, by a name of
        ``named_priors``, or as distributions of PreliZ or ``scipy.stats``, which are kept as
        text; the likelihood's defaults stand where none is given. ``beta`` may be a table of
        moderators, and of single coefficients such as ``"scfv[humanized]"``; ``tau`` one of the
        levels of `tau_by`.
    certainty : dict of str to float
        ``{"inferred": 0.8}``: the scFv origin of an arm that is inferred (column
        ``scfv_certainty``) is the recorded one with this probability, and each of the others with
        an equal share of the rest; its likelihood is the mixture. Without it all are certain.
    power_prior : dict of str to PowerPrior
        By moderator, two arms outside of the question (``level`` and ``reference``, as
        ``study/arm``) whose counts inform a prior of its effect with a ``weight`` of 0 to 1. The
        fit does not use it; ``contrast_sensitivity`` shows what it would change.
    outcome, exposure : str, optional
        The outcome, and the exposure whose comparison is asked for.
    outcomes : sequence of str
        Instead of `outcome`: those of a ``"joint"`` question, or the stages of a ``"chain"`` in
        their order.
    population, timepoint : sequence of str
        What the question wants, the preferred first.
    include : dict of str to list
        Which arms answer the question: see `FILTERS`.
    admit : sequence of str
        Arms as ``study/arm`` that enter although they share patients or were selected.
    representative : {"primary", "largest", "latest"}
        Which report stands for papers on the same patients, among those that answer the question:
        the one marked ``primary_report``, else one that others name for their patients, else that
        with most patients, else the latest.
    kinds : sequence of {"ratio", "survival", "contrast"}
        For the likelihood ``"hsct"``: which kinds of comparison enter, the preferred first; by
        default all three in this order. One finding a study enters.
    reported_by : {"include", "exclude"}
        Whether numbers only seen quoted in another paper enter.
    better : {"higher", "lower"}, optional
        Which way a patient wants the estimand; the outcome says so by default.
    thresholds : sequence of float
        Values of the natural scale for P(beyond threshold).
    baseline : float, optional
        For a model of ratios, what the compared group has, as a share above 0 and below 1: free of
        the event where the ratio is a hazard ratio, else with it. Without one the page gives no
        numbers of 100 patients.
    contrasts : sequence of (moderator, level, reference)
        Contrasts for the report.
    published : sequence of Published
        What published meta-analyses found for the same question.
    notes : sequence of str
        What a reader of the page must know about this question.
    order : int, optional
        Where the question stands among all of its folder; those without a number come last.

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
    outcome: Text | None = None
    outcomes: Words = ()
    exposure: Text | None = None
    population: Annotated[tuple[Population, ...], Field(strict=False)] = ()
    timepoint: Annotated[tuple[Timepoint, ...], Field(strict=False)] = ()
    include: dict[str, Levels] = {}
    admit: Words = ()
    representative: Representative = "primary"
    kinds: Annotated[tuple[Comparison, ...], Field(strict=False)] = ()
    reported_by: Literal["include", "exclude"] = "include"
    recode: dict[str, dict[str, Levels]] = {}
    likelihood: Annotated[Id, Field(examples=["binomial"])]
    scale: Literal["identity", "log", "logit", "cloglog", "loglog"] | None = None
    moderators: Words = ()
    reference: dict[str, Scalar] = {}
    unit: dict[str, Step] = {}
    missing: Literal["refuse", "impute"] = "refuse"
    group: Literal["study", "cohort"] = "study"
    random_effects: RandomEffects = Field(
        default_factory=lambda spec: _EFFECTS.get(spec.get("likelihood", ""), "normal")
    )
    nu: Annotated[float, Field(ge=1)] = _NU
    within: Literal["finding"] | None = None
    tau_by: Text | None = None
    priors: dict[str, Prior] = {}
    power_prior: dict[str, PowerPrior] = {}
    certainty: dict[str, Annotated[float, Field(gt=0.0, le=1.0)]] = {}
    better: Literal["higher", "lower"] | None = None
    thresholds: Annotated[tuple[float, ...], Field(strict=False)] = ()
    baseline: float | None = None
    contrasts: Annotated[tuple[Contrast, ...], Field(strict=False)] = ()
    published: Annotated[tuple[Published, ...], Field(strict=False)] = ()
    notes: Words = ()
    order: Annotated[int, Field(ge=1)] | None = None

    @classmethod
    def flat(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Return the data with the keys of ``[model]`` and ``[report]`` brought to the root."""
        flat = {key: value for key, value in data.items() if key not in ("model", "report")}
        faults = []
        for heading in ("model", "report"):
            table = data.get(heading, {})
            if not isinstance(table, dict):
                faults.append(Fault(heading, shown(table), "a table"))
                continue
            faults += [
                Fault(f"{heading}.{key}", "this key stands twice", "each key once")
                for key in table
                if key in flat
            ]
            flat |= table
        if faults:
            raise InputError(faults)
        return flat

    def contradictions(self) -> list[Fault]:
        """What is named must be a moderator, stand once, and be possible on its scale."""
        columns = self.moderator_columns
        moderators = ", ".join(columns) or "none: the model has no moderators"
        named = {f"contrasts[{n}]": contrast[0] for n, contrast in enumerate(self.contrasts)}
        named |= {f"reference.{name}": name for name in self.reference}
        named |= {f"unit.{name}": name for name in self.unit}
        named |= {f"power_prior.{name}": name for name in self.power_prior}
        named |= {"tau_by": self.tau_by} if self.tau_by else {}
        faults = [
            Fault(
                place,
                f"'{name}' is not a moderator",
                moderators,
                nearest(name, columns) or f'add it: moderators = ["{name}"]',
            )
            for place, name in named.items()
            if name not in columns
        ]
        faults += [
            Fault(f"contrasts[{n}]", f"{shown(level)} against itself", "two different levels")
            for n, (_, level, reference) in enumerate(self.contrasts)
            if level == reference
        ]
        if self.kinds and self.likelihood in _ONE_KIND:
            faults.append(
                Fault(
                    "kinds",
                    f"{', '.join(self.kinds)}, but {self.likelihood} takes one kind of value",
                    'no such key, or likelihood = "hsct"',
                    "leave it out",
                )
            )
        faults += self._outcome_faults()
        # the default is let through: a whole question, written and read again, states it
        if self.nu != _NU and self.random_effects != "student_t":
            found = f'{self.nu:g} beside random_effects = "{self.random_effects}"'
            allowed = "no such key: only Student-t effects have degrees of freedom"
            faults.append(Fault("nu", found, allowed, 'random_effects = "student_t"'))
        for name in (
            "population",
            "timepoint",
            "moderators",
            "admit",
            "notes",
            "kinds",
            "outcomes",
        ):
            values = getattr(self, name)
            twice = dict.fromkeys(value for value in values if values.count(value) > 1)
            faults += [Fault(name, f"{shown(each)} stands twice", "each once") for each in twice]
        faults += interaction_faults(self.moderators)
        faults += self._baseline_faults()
        faults += certainty_faults(self.certainty, columns)
        for number, threshold in enumerate(self.thresholds):
            faults += self._impossible(threshold, f"thresholds[{number}]")
        return faults

    def _outcome_faults(self) -> Iterator[Fault]:
        """Yield that one outcome and several are asked for, or several of a single mean."""
        listed = ", ".join(self.outcomes)
        if self.outcomes and self.outcome is not None:
            yield Fault("outcomes", f"{listed} beside outcome '{self.outcome}'", "one of the two")
        if self.outcomes and self.likelihood in (*_ONE_KIND, "hsct"):
            yield Fault(
                "outcomes",
                f"{listed}, but {self.likelihood} takes one outcome",
                'no such key, or likelihood = "joint" or "chain"',
                f'outcome = "{self.outcomes[0]}"',
            )

    def _baseline_faults(self) -> list[Fault]:
        """Return a fault where there is no ratio that a baseline could turn into patients."""
        share = self.baseline
        if share is None:
            return []
        if self.likelihood in _OF_ARMS:
            found = f"{share:g}, but {self.likelihood} has rates of its own"
            return [Fault("baseline", found, "a model of ratios", "leave it out")]
        if not 0 < share < 1:
            attempt = f"write {share / 100:g}" if 1 < share < 100 else "write 0.5 for 50%"
            return [Fault("baseline", f"{share:g}", "a share between 0 and 1", attempt)]
        return []

    def _impossible(self, threshold: float, place: str) -> list[Fault]:
        """Return a fault where a likelihood or scale that is known has no such value."""
        known = {self.likelihood, self.scale}
        if known & _RATES and not 0 < threshold < 1:
            size = abs(threshold)
            near = size if size < 1 else size / 100
            attempt = f"write {near:g}" if 0 < near < 1 else "write 0.7 for 70%"
            return [Fault(place, f"{threshold:g}", "a rate between 0 and 1", attempt)]
        if known & _RATIOS and threshold <= 0:
            allowed = "a ratio above 0; 1 means no difference"
            return [Fault(place, f"{threshold:g}", allowed, "write the ratio, not its logarithm")]
        return []

    @property
    def moderator_columns(self) -> tuple[str, ...]:
        """The moderators that are columns of the evidence, without their interactions."""
        return tuple(name for name in self.moderators if ":" not in name)

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
