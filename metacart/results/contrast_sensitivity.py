"""One comparison in several analyses, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from metacart.errors import InputError, named_options
from metacart.evidence.selection import StudySource, studies_of
from metacart.inference.keeping import CacheLike
from metacart.inference.one_mean import of_one_mean
from metacart.inference.records import design_of, evidence_of, spec_of
from metacart.inference.refits import Run, Variant, pinned, refit_all
from metacart.modelling.design import moderators_of, scale_of
from metacart.modelling.likelihoods import Likelihood
from metacart.modelling.moderators import level_text, main_effects
from metacart.records.priors import parse_prior
from metacart.records.spec import ModelSpec
from metacart.results.contrast import check_contrast, contrast
from metacart.results.power_prior import power_prior
from metacart.results.separation import separation

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["DECLARED", "WITHIN", "contrast_sensitivity"]

WITHIN, DECLARED = "within studies only", "all studies"
_FACTORS = {"prior half as wide": 0.5, "prior twice as wide": 2.0}
_NUMBERS = ("median", "lower", "upper", "p_better", "posterior_to_prior_sd")
# so wide that the intercept of a study is free: log odds of -20 to 20
_VAGUE = 10.0


@dataclass(frozen=True)
class _Analysis:
    """A fit to make, or why there is none."""

    name: str
    spec: ModelSpec | None = None
    rows: pd.DataFrame | None = None
    prior: str = ""
    unanswered: str = ""
    words: str = ""
    hidden: tuple[str, ...] = ()


@named_options
@of_one_mean
def contrast_sensitivity(
    fit: xr.DataTree,
    moderator: str,
    level: Any,
    reference: Any,
    *,
    studies: StudySource | None = None,
    likelihoods: Mapping[str, Likelihood] | None = None,
    executor: Executor | None = None,
    cache: CacheLike | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Compare two levels of a moderator in several analyses, side by side.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.
    moderator : str
        One of the spec's moderators.
    level, reference : str, bool or number
        The two levels.
    studies : Studies or path or sequence of paths, optional
        Where the arms of the spec's ``power_prior`` are; the bundled studies by default.
    likelihoods : mapping of str to Likelihood, optional
        Those of the fit, where they are not the shipped ones.
    executor : concurrent.futures.Executor, optional
        Runs the fits; one after the other by default.
    cache : Cache or path, optional
        As for ``fit``: what is kept there is not fitted again.
    progress : bool, optional
        Whether to show a bar; by default in a terminal or a notebook.

    Returns
    -------
    DataFrame
        The rows of ``contrast`` for each ``analysis``: its ``estimand`` and ``measure`` with
        ``median``, ``lower``, ``upper``, ``p_better`` and ``posterior_to_prior_sd``; the ``prior``
        of the effect, the numbers of ``studies`` and ``findings``, ``within_share`` (of the
        information), ``words`` (what the analysis is) and ``unanswered``: why there is no number,
        where there is none. ``attrs["separation"]`` says what these data can and cannot separate.

    Raises
    ------
    InputError
        As ``contrast`` does.

    Notes
    -----
    The analyses: within studies only, with a free intercept for each study that has both levels
    (no random effect, so no study is compared with another); all studies, which is the fit itself;
    all without each of the other moderators in turn, and without any (unadjusted); where the spec
    has ``certainty``, with inferred origins as they are recorded, and without such arms; where it
    has a ``power_prior``, with that prior of the effect; and with the prior of the effect half and
    twice as wide. Each but the declared is drawn by the exact engine, by NUTS where that cannot be
    trusted.

    Examples
    --------
    >>> import metacart as mc
    >>> fit = mc.fit("retreatment_cr")  # doctest: +SKIP
    >>> mc.contrast_sensitivity(fit, "scfv", "humanized", "murine")  # doctest: +SKIP
    """
    import pandas as pd

    check_contrast(fit, moderator, level, reference, {})
    declared = contrast(fit, moderator, level, reference)
    own = _numbers_of(fit, declared)
    analyses = list(_analyses(fit, moderator, level, reference, studies))
    refits = refit_all(
        [
            Variant(each.name, each.spec, evidence_of(fit) if each.rows is None else each.rows)
            for each in analyses
            if each.spec is not None
        ],
        read=partial(_read, moderator=moderator, level=level, reference=reference),
        run=Run.of(fit, likelihoods, cache),
        executor=executor,
        progress=progress,
        words="other analyses",
    )
    made = {each.label: each for each in refits}
    tables = []
    for each in analyses:
        refit = made.get(each.name)
        failure = refit.failure if refit else each.unanswered
        rows = (refit.value if refit else own) if not failure else None
        tables.append(
            _as_rows(pd.DataFrame((own if rows is None else rows)[0]), each).assign(
                # free intercepts leave nothing to the comparison across studies
                within_share=1.0 if each.name == WITHIN else rows[1] if rows else np.nan,
                studies=rows[2] if rows else 0,
                findings=rows[3] if rows else 0,
                unanswered=failure,
            )
        )
        if rows is None:
            tables[-1][[*_NUMBERS, "within_share"]] = float("nan")
    result = pd.concat(tables, ignore_index=True)
    result.attrs = {
        **{name: declared.attrs[name] for name in ("moderator", "level", "reference", "better")},
        "separation": separation(
            evidence_of(fit), spec_of(fit).moderator_columns, moderator, level, reference
        ).words(),
    }
    return result


def _read(
    fit: xr.DataTree, _: object, *, moderator: str, level: Any, reference: Any
) -> tuple[dict[Any, list[Any]], float, int, int]:
    return _numbers_of(fit, contrast(fit, moderator, level, reference))


def _numbers_of(
    fit: xr.DataTree, rows: pd.DataFrame
) -> tuple[dict[Any, list[Any]], float, int, int]:
    """Return a contrast, the share within studies, and the numbers of studies and findings."""
    evidence = evidence_of(fit)
    share = float(rows.attrs["within_share"])
    return rows.to_dict("list"), share, int(evidence["study"].nunique()), len(evidence)


def _as_rows(rows: pd.DataFrame, analysis: _Analysis) -> pd.DataFrame:
    """Return the rows of a contrast as those of an analysis, without what it cannot say."""
    rows = rows.assign(prior=analysis.prior, words=analysis.words)
    rows.insert(0, "analysis", analysis.name)
    hidden = [
        bool(analysis.hidden) and name.startswith(analysis.hidden) for name in rows["estimand"]
    ]
    rows.loc[hidden, list(_NUMBERS)] = float("nan")
    return rows


def _analyses(
    fit: xr.DataTree, moderator: str, level: Any, reference: Any, studies: StudySource | None
) -> Iterator[_Analysis]:
    spec, before = spec_of(fit), pinned(fit)
    prior = _effect_prior(before, moderator, level)
    yield _within(fit, before, moderator, level, reference, prior)
    yield _Analysis(DECLARED, prior=prior, words="as declared")
    others = [name for name in spec.moderator_columns if name != moderator]
    for name in others:
        alone = " (unadjusted)" if len(others) == 1 else ""
        yield _Analysis(f"without {name}{alone}", _without(before, [name]), prior=prior)
    if len(others) > 1:
        yield _Analysis(
            "unadjusted",
            _without(before, others),
            prior=prior,
            words=f"without {', '.join(others)}",
        )
    if spec.certainty:
        certain = before.model_copy(update={"certainty": {}})
        yield _Analysis("inferred origins as recorded", certain, prior=prior)
        evidence = evidence_of(fit)
        kept = evidence[evidence["scfv_certainty"] != "inferred"]
        left = {*kept[moderator].map(level_text)}
        gone = [each for each in map(level_text, (level, reference)) if each not in left]
        yield _Analysis(
            "arms of stated origin",
            None if gone else certain,
            kept,
            prior,
            unanswered=f"no such arm is {' or '.join(gone)}" if gone else "",
        )
    if moderator in spec.power_prior:
        yield _borrowed(fit, before, moderator, level, reference, studies_of(studies))
    for name, factor in _FACTORS.items():
        try:
            text = str(parse_prior(prior).scaled(factor))
        except ValueError:
            continue
        yield _Analysis(name, _with_prior(before, {moderator: text}), prior=text)


def _effect_prior(spec: ModelSpec, moderator: str, level: Any) -> str:
    """Return the prior of the effect; that of the level where those of a moderator differ."""
    beta = spec.priors["beta"]
    assert isinstance(beta, dict)
    coefficient = f"{moderator}[{level_text(level)}]"
    own = [text for key, text in beta.items() if key.partition("[")[0] == moderator]
    return beta.get(coefficient, beta.get(moderator, own[0]))


def _with_prior(spec: ModelSpec, changed: Mapping[str, str]) -> ModelSpec:
    """Return the spec with other priors of coefficients, by moderator or coefficient."""
    beta = spec.priors["beta"]
    assert isinstance(beta, dict)
    whole = {name for name in changed if "[" not in name}
    kept = {key: text for key, text in beta.items() if key.partition("[")[0] not in whole}
    return spec.model_copy(update={"priors": {**spec.priors, "beta": {**kept, **changed}}})


def _without(spec: ModelSpec, names: list[str]) -> ModelSpec:
    """Return the spec without moderators and their interactions."""
    beta = spec.priors["beta"]
    assert isinstance(beta, dict)
    gone = {each for each in spec.moderators if {*each.split(":")} & {*names}}
    kept = {key: text for key, text in beta.items() if key.partition("[")[0] not in gone}
    return spec.model_copy(
        update={
            "moderators": tuple(each for each in spec.moderators if each not in gone),
            "priors": {**spec.priors, "beta": kept},
            **{key: _but(getattr(spec, key), gone) for key in ("reference", "unit")},
        }
    )


def _but(table: Mapping[str, Any], gone: set[str]) -> dict[str, Any]:
    return {name: value for name, value in table.items() if name not in gone}


def _within(
    fit: xr.DataTree,
    spec: ModelSpec,
    moderator: str,
    level: Any,
    reference: Any,
    prior: str,
) -> _Analysis:
    """Return the analysis that gives each study with both levels an intercept of its own."""
    evidence, column = evidence_of(fit), spec.group
    at = evidence[moderator].map(level_text)
    pair = [level_text(value) for value in (level, reference)]
    wanted = at.isin(pair) if _has_levels(fit, moderator) else at.notna()
    varied = at[wanted].groupby(evidence.loc[wanted, column].astype(str)).nunique()
    both = varied.index[varied > 1]
    if not len(both):
        return _Analysis(WITHIN, unanswered=f"no study has both {pair[0]} and {pair[1]}")
    kept = evidence[wanted & evidence[column].astype(str).isin(both)]
    others = [name for name in spec.moderator_columns if name != moderator]
    varying = _varying(kept, column, moderator, others)
    spec = _without(spec, [name for name in others if name not in varying])
    spec = spec.model_copy(
        update={"moderators": tuple(each for each in spec.moderators if ":" not in each)}
    )
    width = _VAGUE
    if scale_of(design_of(fit)).name == "identity":
        crude = design_of(fit)
        width = _VAGUE * float(np.abs(crude["crude"]).max() + np.sqrt(crude["variance"]).max())
    free = f"Normal(0, {width:.3g})"
    intercept = f"{column} intercept"
    if len(both) > 1:
        # a word before the name: a study may be called by a number
        kept = kept.assign(**{intercept: f"{column} " + kept[column].astype(str)})
        spec = _with_prior(spec, {intercept: free})
        spec = spec.model_copy(update={"moderators": (intercept, *spec.moderators)})
    priors = {name: text for name, text in spec.priors.items() if not name.startswith("tau")}
    effects = {"random_effects": "none", "within": None, "tau_by": None}
    changed = {**effects, "priors": priors | {"mu": free}, "include": {}}
    return _Analysis(
        WITHIN,
        spec.model_copy(update=changed),
        kept,
        prior,
        words=f"a free intercept per study: {', '.join(both)}",
        hidden=("next stud",),
    )


def _has_levels(fit: xr.DataTree, moderator: str) -> bool:
    found = {item.name: item for item in main_effects(moderators_of(design_of(fit)))}
    return bool(found[moderator].levels)


def _varying(kept: pd.DataFrame, column: str, moderator: str, others: list[str]) -> list[str]:
    """Return the other moderators that differ within studies otherwise than the first does."""
    group = np.unique(kept[column].astype(str), return_inverse=True)[1]

    def centred(name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
        texts = kept[name].map(level_text).to_numpy()
        coded = (texts[:, None] == np.unique(texts)[None, 1:]).astype(float)
        member = np.eye(int(group.max()) + 1)[group]
        return np.asarray(coded - member @ (member.T @ coded / member.sum(axis=0)[:, None]))

    found: list[str] = []
    columns = centred(moderator)
    for name in others:
        own = centred(name)
        own = own[:, np.abs(own).max(axis=0, initial=0.0) > 0] if own.size else own
        more = np.column_stack([columns, own])
        if own.shape[1] and np.linalg.matrix_rank(more) == more.shape[1]:
            columns, found = more, [*found, name]
    return found


def _borrowed(
    fit: xr.DataTree,
    spec: ModelSpec,
    moderator: str,
    level: Any,
    reference: Any,
    studies: Any,
) -> _Analysis:
    """Return the analysis whose prior of the effect comes from the spec's two other arms."""
    name = "power prior"
    pair = level_text(level), level_text(reference)
    try:
        found = power_prior(spec, moderator, level, reference, studies)
    except InputError as error:
        return _Analysis(name, unanswered=f"{error.faults[0].place}: {error.faults[0].found}")
    moderators = {each.name: each for each in main_effects(moderators_of(design_of(fit)))}
    zero = moderators[moderator].levels[:1]
    if zero not in ((pair[0],), (pair[1],)):
        why = f"the prior is of {pair[0]} against {pair[1]}, neither of which is the reference"
        return _Analysis(name, unanswered=why)
    sign, other = (1.0, pair[0]) if zero == (pair[1],) else (-1.0, pair[1])
    text = f"Normal({sign * found.log_odds_ratio:.3g}, {found.sd:.3g})"
    return _Analysis(
        name,
        _with_prior(spec, {f"{moderator}[{other}]": text}),
        prior=text,
        words=f"{found.words}, their likelihood to the power {found.weight:g}",
    )
