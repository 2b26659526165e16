"""The answers averaged over models, each weighted by how well it foresaw the data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from metacart.errors import Fault, InputError, collected, named_options
from metacart.inference.fit import fit as fit_again
from metacart.inference.keeping import CacheLike
from metacart.inference.one_mean import several_means
from metacart.inference.records import attribute, design_of, evidence_of, spec_of
from metacart.modelling.build import free_parameters
from metacart.modelling.likelihoods import Likelihoods, find_likelihood
from metacart.records.priors import parse_prior
from metacart.records.spec import ModelSpec
from metacart.results.averaging import Inclusion, Weighing, describe_mixture
from metacart.results.summary import estimand_draws, views_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["average_models"]

Array = NDArray[np.float64]

# what models may differ in; what is only said about them; what has chosen their rows
_FREE = ("random_effects", "nu", "priors")
_WORDS = ("schema_", "id", "title", "question", "notes", "published", "thresholds", "contrasts")
_PAGE = ("order", "better", "baseline")
_ROWS = ("outcome", "exposure", "population", "timepoint", "include", "admit", "representative")
_KINDS = ("kinds", "reported_by")
_EVIDENCE, _FIT = "evidence", "fit of the prior, not evidence"
_EFFECTS = {"none": "common effect", "normal": "normal study effects"}


class _Model(NamedTuple):
    """A fit with what tells it apart from the others."""

    fit: xr.DataTree
    spec: ModelSpec
    effects: str
    tau: str
    shared: tuple[tuple[str, str], ...]


@named_options
def average_models(
    fits: xr.DataTree | Sequence[xr.DataTree],
    *,
    prior_probabilities: Sequence[float] | None = None,
    at: Mapping[str, Any] | None = None,
    likelihoods: Likelihoods | None = None,
    cache: CacheLike | None = None,
) -> pd.DataFrame:
    """Return the named estimands averaged over models of the same rows.

    Parameters
    ----------
    fits : DataTree or sequence of DataTree
        Of the exact engine. One fit is averaged with its counterpart: a common effect for one
        with study effects, normal study effects for one without. Several may differ in the
        distribution of the study effects and in priors, and in nothing else.
    prior_probabilities : sequence of float, optional
        Of the models in their order, up to a factor. By default each distribution of study effects
        is as probable as any other, and so is each prior within it.
    at : dict of moderator to level or number, optional
        Where to stand, as for ``summarize``.
    likelihoods : mapping of str to Likelihood or System, optional
        Those of the fits, where they are not the shipped ones.
    cache : Cache or path, optional
        As for ``fit``: what is kept there is not fitted again.

    Returns
    -------
    DataFrame
        ``row``: ``average`` (each estimand over all models), ``inclusion`` (study effects against
        a common effect), ``prior`` (each set of priors, where there are several) and ``model``.
        ``model`` names it, ``estimand`` what ``median``, ``lower``, ``upper`` and ``mcse`` are of;
        ``log_marginal_likelihood`` with ``mcse_log`` (of a model, or of a log Bayes factor),
        ``prior_probability``, ``posterior_probability`` and ``bayes_factor``, posterior over prior
        odds. ``meaning`` says what that weighs: ``evidence``, or how well a prior fits.

    Raises
    ------
    InputError
        For fits of other rows or of other models, without a marginal likelihood, not to be used,
        or the same twice; for improper priors; and where a prior that models share, such as that
        of mu, is not the same in models that are compared.

    Notes
    -----
    The posterior probability of a model is its prior probability times its marginal likelihood,
    over the sum. A Bayes factor compares hypotheses about the studies only where all they share
    has the same prior: a common effect under one prior of mu against study effects under another
    is refused, unless each prior of mu stands with both. Between priors the same ratio says only
    which of them had put more of its mass where the data came to lie: fit of the prior, not
    evidence for it.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.average_models(mc.fit("cr_rate"))  # doctest: +SKIP
    """
    import pandas as pd
    import xarray as xr

    given: list[xr.DataTree] = [fits] if isinstance(fits, xr.DataTree) else list(fits)
    models = [_model(each) for each in _usable(given)]
    if len(models) == 1:
        models.append(_model(_counterpart(models[0], likelihoods, cache)))
    if faults := [*_apart(models)] or [*_twice(models), *_crossed(models)]:
        raise InputError(faults)
    weighing = _weigh(models, prior_probabilities)
    everything = _estimands(models, weighing.posterior, weighing.error, at, likelihoods)
    rows = [{"row": "average", "model": "all models"} | each for each in everything]
    rows += _components(models, weighing)
    for n, (model, name) in enumerate(zip(models, _names(models), strict=True)):
        own = _weighed(weighing.inclusion(np.arange(len(models)) == n))
        head: dict[str, Any] = {"row": "model", "model": name}
        head["log_marginal_likelihood"] = float(weighing.log_marginal_likelihood[n])
        head |= own | {"mcse_log": float(weighing.error[n]), "meaning": _meaning(models)}
        numbers = _estimands([model], np.ones(1), np.zeros(1), at, likelihoods)
        rows += [head | each for each in numbers]
    columns = "row model estimand median lower upper mcse log_marginal_likelihood mcse_log "
    columns += "prior_probability posterior_probability bayes_factor meaning"
    table = pd.DataFrame(rows, columns=pd.Index(columns.split()))
    table[["estimand", "meaning"]] = table[["estimand", "meaning"]].fillna("")
    return table


# --- what may be averaged ------------------------------------------------------------------------


def _usable(fits: Sequence[xr.DataTree]) -> Sequence[xr.DataTree]:
    """Return fits that have a marginal likelihood and passed their gate."""
    if not fits:
        raise InputError(Fault("fits", "no fit", "one fit, or several of the same rows"))
    faults: list[Fault] = []
    for number, fit in enumerate(fits):
        place = _place(number, len(fits))
        with collected(faults):
            attribute(fit, "spec")
            faults += several_means(fit, place)
            if "log_marginal_likelihood" not in fit.attrs:
                found = f"drawn by {str(fit.attrs['method']).upper()}: no marginal likelihood"
                faults.append(
                    Fault(place, found, "fits of the exact engine", 'fit(..., method="exact")')
                )
            elif spec_of(fit).within or spec_of(fit).tau_by:
                key = "within" if spec_of(fit).within else "tau_by"
                found = f'{key} = "{getattr(spec_of(fit), key)}": no one tau to average over'
                faults.append(Fault(place, found, "fits with one spread", f"leave {key} out"))
            elif not int(fit.attrs["converged"]):
                found = f"must not be used: {fit.attrs['gate']}"
                faults.append(
                    Fault(place, found, "a fit that passed its gate", "fit it with more draws")
                )
            for name, text in json.loads(str(fit.attrs["priors"])).items():
                parse_prior(text, place=f"{place}, prior of {name}")
    if faults:
        raise InputError(faults)
    return fits


def _place(number: int, of: int) -> str:
    return "fit" if of == 1 else f"fits[{number}]"


def _model(fit: xr.DataTree) -> _Model:
    spec = spec_of(fit)
    priors = {str(k): str(v) for k, v in json.loads(str(fit.attrs["priors"])).items()}
    effects = _EFFECTS.get(spec.random_effects, f"Student-t study effects, nu = {spec.nu:g}")
    tau = priors.pop("tau", "")
    return _Model(fit, spec, effects, tau, tuple(sorted(priors.items())))


def _counterpart(
    model: _Model, likelihoods: Likelihoods | None, cache: CacheLike | None
) -> xr.DataTree:
    """Fit the same without study effects, or with them."""
    spec, sizes = model.spec, model.fit["posterior"].sizes
    kept = {name: prior for name, prior in spec.priors.items() if name != "tau"}
    other = "normal" if spec.random_effects == "none" else "none"
    again = fit_again(
        spec.model_copy(update={"random_effects": other, "priors": kept}),
        evidence_of(model.fit),
        method="exact",
        draws=int(sizes["draw"]),
        chains=int(sizes["chain"]),
        seed=int(model.fit.attrs["seed"]),
        likelihoods=likelihoods,
        cache=cache,
        progress=False,
    )
    return _usable([again])[0]


def _apart(models: Sequence[_Model]) -> Iterator[Fault]:
    """Yield what makes a model no other model of the same data."""
    first = models[0]
    for number, model in enumerate(models[1:], start=1):
        place = _place(number, len(models))
        if model.fit.attrs["evidence_hash"] != first.fit.attrs["evidence_hash"]:
            own, others = len(evidence_of(model.fit)), len(evidence_of(first.fit))
            found = f"other rows than fits[0] ({own} findings, {others} there)"
            attempt = (
                "fit both to one evidence table; marginal likelihoods of other data say nothing"
            )
            yield Fault(place, found, "fits of the same rows", attempt)
            continue
        free = {*_FREE, *_WORDS, *_PAGE, *_ROWS, *_KINDS}
        differing = [
            name
            for name in type(model.spec).model_fields
            if name not in free and getattr(model.spec, name) != getattr(first.spec, name)
        ]
        if differing:
            found = f"another model than fits[0]: {', '.join(differing)}"
            yield Fault(place, found, f"models that differ in {', '.join(_FREE)} alone")


def _twice(models: Sequence[_Model]) -> Iterator[Fault]:
    seen: dict[tuple[Any, ...], int] = {}
    for number, model in enumerate(models):
        same = seen.setdefault(model[2:], number)
        if same != number:
            found = f"the same model as fits[{same}]"
            yield Fault(f"fits[{number}]", found, "each model once", "drop one of them")


def _crossed(models: Sequence[_Model]) -> Iterator[Fault]:
    """Yield that a shared prior changes together with the study effects."""
    sets: dict[tuple[tuple[str, str], ...], set[tuple[str, str]]] = {}
    for model in models:
        sets.setdefault(model.shared, set()).add((model.effects, model.tau))
    if len({frozenset(each) for each in sets.values()}) < 2:
        return
    stated_in = [dict(each) for each in sets]
    names = {name: None for each in stated_in for name in each}
    for name in names:
        stated = list(dict.fromkeys(each.get(name, "none") for each in stated_in))
        if len(stated) == 1:
            continue
        yield Fault(
            f"prior of {name}",
            f"{', '.join(stated)} in models that differ in their study effects too",
            "the same prior in all models, or each prior with the same models",
            f'fit all with priors = {{"{name}": "{stated[0]}"}}',
        )


# --- weights -------------------------------------------------------------------------------------


def _weigh(models: Sequence[_Model], prior: Sequence[float] | None) -> Weighing:
    if prior is None:
        effects = [model.effects for model in models]
        weights = np.array([1.0 / effects.count(each) for each in effects])
    else:
        weights = np.asarray(prior, dtype=np.float64)
        if weights.shape != (len(models),) or not (np.isfinite(weights) & (weights > 0)).all():
            found = f"{list(prior)} for {len(models)} models"
            raise InputError(
                Fault("prior_probabilities", found, "one number above 0 for each model")
            )
    log = np.array([float(each.fit.attrs["log_marginal_likelihood"]) for each in models])
    # at most: the proposals that were made are more than those that are effective
    error = np.array([float(each.fit.attrs["importance_ess"]) ** -0.5 for each in models])
    return Weighing(log, error, weights)


def _weighed(inclusion: Inclusion) -> dict[str, float]:
    return {
        "prior_probability": inclusion.prior,
        "posterior_probability": inclusion.posterior,
        "bayes_factor": inclusion.bayes_factor,
        "mcse_log": inclusion.error,
    }


def _components(models: Sequence[_Model], weighing: Weighing) -> list[dict[str, Any]]:
    """Return the rows of study effects against none, and of each prior among its alternatives."""
    rows: list[dict[str, Any]] = []
    spread = np.array([model.spec.random_effects != "none" for model in models])
    if spread.any() and not spread.all():
        found = _weighed(weighing.inclusion(spread))
        words = "study effects, against a common effect"
        rows.append({"row": "inclusion", "model": words, **found, "meaning": _EVIDENCE})
    taus = [f"tau ~ {model.tau}" if model.tau else "" for model in models]
    for words_of in (taus, [_shared_words(model, models) for model in models]):
        # models without tau have no prior of it to weigh
        inside = np.array([bool(words) for words in words_of])
        stated = list(dict.fromkeys(words for words in words_of if words))
        part = weighing.among(inside)
        for words in stated if len(stated) > 1 else []:
            has = np.array([each == words for each in words_of])[inside]
            found = _weighed(part.inclusion(has))
            rows.append({"row": "prior", "model": words, **found, "meaning": _FIT})
    return rows


def _meaning(models: Sequence[_Model]) -> str:
    """Return what the weights of single models say."""
    effects = {model.effects for model in models}
    priors = [{model[3:] for model in models if model.effects == each} for each in effects]
    if max(len(each) for each in priors) == 1:
        return _EVIDENCE
    return _FIT if len(effects) == 1 else "evidence mixed with fit of the prior"


def _shared_words(model: _Model, models: Sequence[_Model]) -> str:
    """Return the priors, other than tau's, that are not the same in all models."""
    differing = [each for each in model.shared if any(each not in m.shared for m in models)]
    return ", ".join(f"{name} ~ {prior}" for name, prior in differing)


def _names(models: Sequence[_Model]) -> list[str]:
    names = []
    for model in models:
        parts = [model.effects, f"tau ~ {model.tau}" if model.tau else ""]
        names.append(", ".join(part for part in [*parts, _shared_words(model, models)] if part))
    return names


# --- estimands -----------------------------------------------------------------------------------


def _estimands(
    models: Sequence[_Model],
    probability: Array,
    error: Array,
    at: Mapping[str, Any] | None,
    likelihoods: Likelihoods | None,
) -> list[dict[str, Any]]:
    """Return the rows of each named estimand and of tau over some models."""
    named = [_draws(model, at, likelihoods) for model in models]
    rows: list[dict[str, Any]] = []
    # what one of them does not have, such as an average that does not exist, the mixture has not
    for name in [name for name in named[0] if all(name in each for each in named)]:
        draws = [each[name].reshape(-1) for each in named]
        weights = [np.full(len(each), 1.0 / len(each)) for each in draws]
        numbers = describe_mixture(draws, weights, probability, error)
        kept = {key: numbers[key] for key in ("median", "lower", "upper", "mcse")}
        rows.append({"estimand": name, **kept})
    return rows


def _draws(
    model: _Model, at: Mapping[str, Any] | None, likelihoods: Likelihoods | None
) -> dict[str, Array]:
    views = views_of(model.fit)
    design = design_of(model.fit)
    likelihood = find_likelihood(model.spec, likelihoods=likelihoods)
    if "bias" in free_parameters(design, likelihood):
        # the naive reading is of another model, whose marginal likelihood no fit keeps
        views = {"posterior": views["posterior"]}
    found: dict[str, Array] = {}
    for group, words in views.items():
        for name, draws in estimand_draws(model.fit, at=at, group=group).items():
            found[f"{name} ({words})" if words else name] = draws
    posterior = model.fit["posterior"]
    mu = posterior["mu"].transpose("chain", "draw")
    tau = posterior["tau"].transpose("chain", "draw") if "tau" in posterior else 0.0 * mu
    return found | {"tau": np.asarray(tau.to_numpy())}
