"""All answers that a question could have had, had other choices been declared."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from concurrent.futures import Executor
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from metacart.errors import Fault, InputError, named_options, refuse_unknown
from metacart.evidence.library import spec_of
from metacart.evidence.selection import StudySource, studies_of, tabulate
from metacart.inference.arguments import run_numbers
from metacart.inference.fit import fit as fit_one
from metacart.inference.keeping import CacheLike, cache_of
from metacart.inference.one_mean import several_means
from metacart.inference.records import design_of, evidence_of, evidence_text, hash_of, spec_text
from metacart.inference.records import spec_of as own_spec
from metacart.inference.refits import Refit, Run, Variant, refit_all
from metacart.modelling.design import scale_of
from metacart.modelling.likelihoods import Likelihoods
from metacart.modelling.measures import ratio_words
from metacart.records.priors import parse_prior
from metacart.records.spec import ModelSpec
from metacart.records.vocabulary import OUTCOMES
from metacart.results.choices import (
    Choice,
    Choices,
    changed,
    check_thresholds,
    declared_choices,
    reaching,
    read_choices,
    universes,
)
from metacart.results.described import NUMBERS, Numbers, described, missing_like, read_described
from metacart.results.summary import views_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["multiverse", "rank_choices"]

_FIXED = ("universe", "declared", "studies", "findings", "estimand", *NUMBERS, "computed")


@named_options
def multiverse(
    spec: ModelSpec | str | os.PathLike[str],
    *,
    choices: Choices | None = None,
    studies: StudySource | None = None,
    at: Mapping[str, Any] | None = None,
    draws: int = 2000,
    chains: int = 4,
    seed: int = 1,
    likelihoods: Likelihoods | None = None,
    executor: Executor | None = None,
    cache: CacheLike | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Return the answers of a question under all combinations of choices.

    Parameters
    ----------
    spec : ModelSpec or str or path
        The question as it was declared: a record, the name of a shipped one, or a file.
    choices : mapping of str to sequence or mapping, optional
        By name the values of a key of the question, or of a parameter its priors, such as
        ``{"representative": ["primary", "largest"], "tau": ["HalfNormal(0.5)", "HalfNormal(1)"]}``;
        or options by label with the keys that each changes, such as ``{"model": {"normal":
        {"random_effects": "normal"}, "heavy": {"random_effects": "student_t", "nu": 3}}}``. Priors
        and the columns of ``include`` are changed one by one. ``at_least`` is what a finding must
        reach to enter: ``{"size": {"all": {}, "ten or more": {"at_least": {"total": 10}}}}``. By
        default what every question has: which population comes first, which report stands for a
        cohort, quoted numbers in or out, the prior of tau as declared, half and twice as wide, and
        normal, Student-t or common effects (of counts also the beta-binomial).
    studies : Studies or path or sequence of paths, optional
        The result of ``load_studies``, or folders and files; the bundled ones by default.
    at : dict of moderator to level or number, optional
        Where to stand, as for ``summarize``.
    draws, chains, seed : int
        As for ``fit``; the same for each.
    likelihoods : mapping of str to Likelihood or System, optional
        Instead of ``LIKELIHOODS``.
    executor : concurrent.futures.Executor, optional
        Runs the fits; one after the other by default.
    cache : Cache or path, optional
        As for ``fit``: what is kept there is not fitted again.
    progress : bool, optional
        Whether to show a bar; by default in a terminal or a notebook.

    Returns
    -------
    DataFrame
        Rows by universe and estimand: ``universe`` (1 is the lowest answer), a column for each
        choice with its option, ``declared`` (True where the analysis is the declared one),
        ``studies`` and ``findings`` (how many), ``estimand``, ``median``, ``lower``, ``upper`` and
        ``mcse`` as ``summarize`` has them, ``mcse_lower`` and ``mcse_upper`` (of the limits), and
        ``computed``: ``fitted``, or why there are no numbers. ``attrs`` holds ``choices``
        with their options,
        ``estimand`` (by which universes stand in order), ``title``,
        ``measure`` and ``axis``.

    Raises
    ------
    InputError
        For a choice that the question cannot have, with every fault, before anything is fitted;
        and for what ``fit`` refuses of the declared question.

    Notes
    -----
    A multiverse analysis (Steegen and others 2016) shows how far an answer hangs on choices that
    could have been made otherwise. Combinations that come to the same analysis of the same rows
    are fitted once and stand in the table as often as they occur, so that the table stays a full
    factorial design; a model without study effects has no prior of tau. The universes are neither
    equally likely nor independent: the curve has no p. ``rank_choices`` says which choice moves the
    answer, ``plot_multiverse`` draws the curve.

    Examples
    --------
    >>> import metacart as mc
    >>> table = mc.multiverse("cr_rate")  # doctest: +SKIP
    >>> mc.rank_choices(table)  # doctest: +SKIP
    """
    import pandas as pd

    spec, collection = spec_of(spec), studies_of(studies)
    listed = None if choices is None else _checked(read_choices(spec, choices))
    numbers = run_numbers(draws=draws, chains=chains, seed=seed)
    kept = cache_of(cache)
    run = Run(numbers["draws"], numbers["chains"], numbers["seed"], likelihoods, kept)
    evidence = tabulate(collection, spec)
    check_thresholds(listed or [], evidence)
    own = fit_one(
        spec,
        evidence,
        draws=run.draws,
        chains=run.chains,
        seed=run.seed,
        likelihoods=likelihoods,
        cache=run.cache,
        progress=False,
    )
    if faults := several_means(own, "multiverse(spec)"):
        raise InputError(faults)
    if listed is None:
        text = json.loads(str(own.attrs["priors"])).get("tau")
        listed = _checked(declared_choices(spec, None if text is None else parse_prior(text)))
    views = views_of(own)
    tables: dict[str, pd.DataFrame | InputError] = {}
    declared = _key(spec, evidence)
    variants: dict[str, Variant] = {}
    found: list[dict[str, Any]] = []
    keys: list[str] = []
    failures: dict[str, str] = {}
    for labels, changes in universes(listed):
        row: dict[str, Any] = {**labels, "declared": False, "studies": 0, "findings": 0}
        try:
            other = changed(spec, changes)
            rows = reaching(_rows(tables, collection, other), changes)
            key = _key(other, rows)
            variants.setdefault(key, Variant(key, other, rows))
            row |= {"declared": key == declared, "studies": rows["study"].nunique()}
            row["findings"] = len(rows)
        except InputError as error:
            fault = error.faults[0]
            key = f"refused:{len(keys)}"
            failures[key] = f"cannot be fitted: {fault.place}: {fault.found}"
        found.append(row)
        keys.append(key)
    known = {declared: Refit(declared, described(own, views, at))} if own.attrs["converged"] else {}
    refits = refit_all(
        [variant for key, variant in variants.items() if key not in known],
        read=partial(read_described, views=views, at=at),
        run=run,
        executor=executor,
        progress=progress,
        words="other choices",
    )
    results = known | {refit.label: refit for refit in refits}
    results |= {key: Refit(key, None, failure) for key, failure in failures.items()}
    whole = described(own, views, at)
    table = pd.DataFrame(
        [
            {**row, "estimand": estimand, **each, "computed": results[key].failure or "fitted"}
            for row, key in zip(_numbered(found, keys, results, _main(whole)), keys, strict=True)
            for estimand, each in (results[key].value or missing_like(whole)).items()
        ]
    )
    table = table.sort_values("universe", kind="stable", ignore_index=True)
    names = [choice.name for choice in listed]
    first, *rest = _FIXED
    table = table[[first, *names, *rest]]
    title = spec.title or spec.outcome or "Meta-analysis"
    table.attrs |= {
        "choices": {choice.name: list(choice.options) for choice in listed},
        "estimand": _main(whole),
        "title": title,
        **_measured(own),
    }
    return table


def _measured(fit: xr.DataTree) -> dict[str, str]:
    """Return what the estimands are, and the words of their axis."""
    scale, spec = scale_of(design_of(fit)), own_spec(fit)
    known = OUTCOMES.get(spec.outcome or "")
    outcome = known.title if known else (spec.outcome or "").replace("_", " ")
    quantity = str(design_of(fit).attrs["quantity"]) or ratio_words(spec, evidence_of(fit))
    measures = {"identity": ("value", ""), "log": ("ratio", f"{quantity}, log scale")}
    measure, unit = measures.get(scale.name, ("rate", "% of patients"))
    return {"measure": measure, "axis": ", ".join(part for part in (outcome, unit) if part)}


def _checked(listed: list[Choice]) -> list[Choice]:
    """Return choices, of which there are some and none bears the name of a column."""
    if taken := [each.name for each in listed if each.name in _FIXED]:
        allowed = f"another name than {', '.join(_FIXED)}"
        raise InputError(
            [Fault(f"choices['{name}']", "a column of the table", allowed) for name in taken]
        )
    if not listed:
        raise InputError(Fault("choices", "none", "a choice of two options or more"))
    return listed


def _rows(
    tables: dict[str, pd.DataFrame | InputError], collection: Any, spec: ModelSpec
) -> pd.DataFrame:
    """Return the evidence of a question, read once where several ask for the same."""
    key = spec_text(spec.model_copy(update={"priors": {}, "random_effects": "normal", "nu": 4.0}))
    if key not in tables:
        try:
            tables[key] = tabulate(collection, spec)
        except InputError as error:
            tables[key] = error
    found = tables[key]
    if isinstance(found, InputError):
        raise found
    return found


def _key(spec: ModelSpec, evidence: pd.DataFrame) -> str:
    """Return what two analyses share that are the same: the rows, and the model of them."""
    chosen: dict[str, Any] = {
        "population": (),
        "timepoint": (),
        "representative": "primary",
        "kinds": (),
    }
    chosen |= {"reported_by": "include", "include": {}, "admit": ()}
    priors = {name: _plain(prior) for name, prior in spec.priors.items()}
    model = spec.model_copy(update={**chosen, "priors": priors})
    return hash_of(spec_text(model) + evidence_text(evidence))


def _plain(prior: Any) -> Any:
    try:
        return str(parse_prior(prior))
    except InputError:  # a table of priors, or a name that only the model can read
        return prior


def _main(whole: Mapping[str, Numbers]) -> str:
    """Return the estimand by which universes are compared."""
    wanted = [name for name in whole if "(naive)" not in name]
    average = [name for name in wanted if name.startswith("population average")]
    return (average or wanted)[0]


def _numbered(
    found: list[dict[str, Any]],
    keys: list[str],
    results: Mapping[str, Refit[dict[str, Numbers]]],
    estimand: str,
) -> list[dict[str, Any]]:
    """Return the rows with the place of each among all, the lowest answer first."""
    values = [results[key].value for key in keys]
    answers = [np.inf if value is None else value[estimand]["median"] for value in values]
    places = np.argsort(np.argsort(answers, kind="stable"), kind="stable")
    return [{"universe": int(n) + 1, **row} for n, row in zip(places, found, strict=True)]


@named_options
def rank_choices(table: pd.DataFrame, *, estimand: str | None = None) -> pd.DataFrame:
    """Return which choices of a multiverse move the answer, the first one most.

    Parameters
    ----------
    table : DataFrame
        From ``multiverse``.
    estimand : str, optional
        Of which; that by which its universes stand in order by default.

    Returns
    -------
    DataFrame
        A row a choice: ``choice``, ``options`` (how many), ``share`` (of the variance of the
        medians over universes that its options explain by themselves), ``range`` (between the
        highest and the lowest mean of the medians over its options), ``lowest`` and ``highest``
        (those options) and ``largest`` (the largest difference between two universes that this
        choice alone tells apart).

    Raises
    ------
    InputError
        For what is no table of ``multiverse``, and an estimand that it does not have.

    Notes
    -----
    The table is a full factorial design, so that the shares of several choices do not overlap;
    what they leave of one is interplay. Universes without numbers do not count.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.rank_choices(mc.multiverse("cr_rate"))  # doctest: +SKIP
    """
    import pandas as pd

    names, estimand = universe_columns(table, estimand)
    rows = table[(table["estimand"] == estimand) & table["median"].notna()]
    whole = float(((rows["median"] - rows["median"].mean()) ** 2).sum())
    ranked = []
    for name in names:
        groups = rows.groupby(name, sort=False)["median"]
        means, sizes = groups.mean(), groups.size()
        between = float((sizes * (means - rows["median"].mean()) ** 2).sum())
        others = [other for other in names if other != name]
        alone = rows.groupby(others, sort=False)["median"] if others else None
        ranges = rows["median"].max() - rows["median"].min()
        largest = ranges if alone is None else (alone.max() - alone.min()).max()
        ranked.append(
            {
                "choice": name,
                "options": len(means),
                "share": round(between / whole, 9) if whole > 0 else 0.0,
                "range": float(means.max() - means.min()),
                "lowest": str(means.idxmin()),
                "highest": str(means.idxmax()),
                "largest": float(largest),
            }
        )
    result = pd.DataFrame(ranked)
    return result.sort_values(["share", "range"], ascending=False, kind="stable", ignore_index=True)


def universe_columns(table: pd.DataFrame, estimand: str | None) -> tuple[list[str], str]:
    """Return the choices of a multiverse, and the estimand that is asked for."""
    names = getattr(table, "attrs", {}).get("choices")
    if names is None:
        found = f"a {type(table).__name__} without its choices"
        raise InputError(Fault("table", found, "the table that metacart.multiverse returns"))
    if estimand is None:
        estimand = str(table.attrs["estimand"])
    refuse_unknown("estimand", estimand, list(dict.fromkeys(table["estimand"])))
    return list(names), estimand
