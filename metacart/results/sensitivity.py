"""What the answers would be under other priors of the pooled mean and of the spread."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from metacart.errors import Fault, InputError, named_options
from metacart.inference.keeping import CacheLike
from metacart.inference.one_mean import of_one_mean
from metacart.inference.records import design_of, evidence_of, spec_of
from metacart.inference.refits import Run, Variant, refit_all
from metacart.modelling.design import moderators_of
from metacart.modelling.likelihoods import Likelihoods
from metacart.modelling.spread import tau_levels, tau_names
from metacart.records.priors import PRIORS, Prior, parse_prior
from metacart.records.spec import ModelSpec
from metacart.results.power_scaling import POWER_COLUMNS, power_table
from metacart.results.summary import estimand_draws, summary_with_errors, views_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["prior_sensitivity", "prior_words"]

Rows = list[dict[Any, Any]]


@named_options
@of_one_mean
def prior_sensitivity(
    fit: xr.DataTree,
    *,
    tau: Sequence[float] = (0.5, 1.0, 2.0, 0.0),
    mu: Sequence[float] = (0.5, 1.0, 2.0),
    at: Mapping[str, Any] | None = None,
    likelihoods: Likelihoods | None = None,
    executor: Executor | None = None,
    cache: CacheLike | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Return the named estimands with the priors of mu and tau narrower and wider.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.
    tau : sequence of float
        How many times as wide the prior of tau is, and of every other spread of true values; 0 is
        a common effect, tau = 0.
    mu : sequence of float
        How many times as wide the prior of mu is, about its centre. All pairs are fitted.
    at : dict of moderator to level or number, optional
        Where to stand, as for ``summarize``.
    likelihoods : mapping of str to Likelihood or System, optional
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
        Columns ``estimand``, ``median``, ``lower``, ``upper`` and ``mcse`` as ``summarize`` has
        them (missing where a refit must not be used), ``mcse_lower`` and ``mcse_upper`` (of the
        limits), ``prior`` in words, ``mu_scale``, ``tau_scale``, ``declared`` (True for the fit
        itself, whose rows come first), ``computed`` (``as fitted``, ``refitted``, or why not); and
        in the declared rows ``prior_sensitivity``, ``likelihood_sensitivity`` and ``diagnosis`` as
        ``power_scaling`` has them for all priors. What the model does not have is not scaled.

    Raises
    ------
    InputError
        For a scale that cannot be, and for a prior that cannot be made wider.

    Notes
    -----
    The conventional scales of tau are 1 for the rates of single arms and 0.5 for contrasts: with
    either prior the other is among the rows. The prior of tau is that of so many times tau. The
    rows of a common effect: without moderators all named estimands are one there; with them the
    next study is still drawn like a row of the evidence. Each row but the declared is drawn by the
    exact engine, by NUTS where that cannot be trusted. ``power_scaling`` says which prior it is
    that an answer hangs on.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.prior_sensitivity(mc.fit("cr_rate"))  # doctest: +SKIP
    """
    import pandas as pd

    grid = _grid(fit, tau=_scales("tau", tau, least=0.0), mu=_scales("mu", mu))
    several = len({scale for scale, _ in grid}) > 1
    own = _read(fit, None, at=at)
    power = power_table(fit, at=at, each=False).set_index("quantity")
    tables = [
        pd.DataFrame(own)
        .assign(
            prior=_words(fit, 1.0, 1.0, mean=several),
            mu_scale=1.0,
            tau_scale=1.0,
            declared=True,
            computed="as fitted",
        )
        .join(power[list(POWER_COLUMNS)], on="estimand")
    ]
    refits = refit_all(
        [
            Variant(_words(fit, *pair, mean=several), each, evidence_of(fit))
            for pair, each in grid.items()
        ],
        read=partial(_read, at=at),
        run=Run.of(fit, likelihoods, cache),
        executor=executor,
        progress=progress,
        words="other priors",
    )
    nothing = [{"estimand": row["estimand"]} for row in own]
    for (mu_scale, tau_scale), refit in zip(grid, refits, strict=True):
        tables.append(
            pd.DataFrame(refit.value or nothing).assign(
                prior=refit.label,
                mu_scale=mu_scale,
                tau_scale=tau_scale,
                declared=False,
                computed=refit.failure or "refitted",
            )
        )
    table = pd.concat(tables, ignore_index=True)
    return table.assign(diagnosis=table["diagnosis"].fillna(""))


def _scales(name: str, scales: Sequence[float], *, least: float | None = None) -> list[float]:
    """Return distinct scales; raises `InputError` for what is none."""
    allowed = f"numbers {'above 0' if least is None else 'of 0 or more'}, such as (0.5, 1, 2)"
    try:
        values = [float(scale) for scale in scales]
    except (TypeError, ValueError):
        raise InputError(Fault(name, f"{scales!r}", allowed)) from None
    bad = [v for v in values if not np.isfinite(v) or v < 0 or (least is None and v == 0)]
    if bad:
        raise InputError(Fault(name, f"{bad[0]:g}", allowed))
    return list(dict.fromkeys(values))


def _prior_of(fit: xr.DataTree, name: str) -> Prior | None:
    text = json.loads(str(fit.attrs["priors"])).get(name)
    return None if text is None else parse_prior(text)


def _spreads(fit: xr.DataTree) -> dict[str, Prior]:
    """Return the prior of each spread of true values."""
    texts = json.loads(str(fit.attrs["priors"]))
    return {name: parse_prior(text) for name, text in texts.items() if name.startswith("tau")}


def _grid(
    fit: xr.DataTree, *, tau: Sequence[float], mu: Sequence[float]
) -> dict[tuple[float, float], ModelSpec]:
    """Return the spec of each pair of scales of mu and tau but the declared."""
    spec = spec_of(fit)
    if not _spreads(fit):
        tau = [1.0]
    if _prior_of(fit, "mu") is None:
        mu = [1.0]
    pairs = [(wide, spread) for wide in mu for spread in tau if (wide, spread) != (1.0, 1.0)]
    # those that change one prior alone come first
    pairs.sort(key=lambda pair: pair[0] != 1.0)
    return {pair: _changed(fit, spec, *pair) for pair in pairs}


def _changed(fit: xr.DataTree, spec: ModelSpec, wide: float, spread: float) -> ModelSpec:
    priors: dict[str, Any] = dict(spec.priors)
    change: dict[str, Any] = {}
    if wide != 1.0:
        priors["mu"] = str(_wider(_prior_of(fit, "mu"), wide))
    if spread == 0.0:
        priors = {name: text for name, text in priors.items() if not name.startswith("tau")}
        change = {"random_effects": "none", "within": None, "tau_by": None}
    elif spread != 1.0:
        scaled = {name: str(_scaled("tau", each, spread)) for name, each in _spreads(fit).items()}
        levels = tau_levels(spec, moderators_of(design_of(fit)))
        if levels is not None:
            each = (scaled.pop(name) for name in tau_names(levels))
            priors["tau"] = dict(zip(levels.levels, each, strict=True))
        priors |= scaled
    return spec.model_copy(update={"priors": priors, **change})


def _scaled(name: str, prior: Prior | None, factor: float) -> Prior:
    assert prior is not None
    try:
        return prior.scaled(factor)
    except ValueError as error:
        raise InputError(Fault(name, str(error), "a prior with a scale", f"{name}=(1,)")) from None


def _wider(prior: Prior | None, factor: float) -> Prior:
    """Return a prior that is `factor` times as wide about the same centre."""
    wide = _scaled("mu", prior, factor)
    assert prior is not None
    if prior.name == "Uniform":
        low, high = prior.arguments
        middle, half = (low + high) / 2, factor * (high - low) / 2
        return replace(prior, arguments=(middle - half, middle + half))
    names = PRIORS[prior.name].parameters
    # bounds stay where they are
    stay = {prior.location, "lower", "upper"} | (
        {"mu"} if prior.name == "TruncatedNormal" else set()
    )
    arguments = zip(names, prior.arguments, wide.arguments, strict=True)
    return replace(prior, arguments=tuple(a if name in stay else b for name, a, b in arguments))


def prior_words(fit: xr.DataTree, wide: float, spread: float) -> tuple[str, str]:
    """Say which priors of mu and of tau a row has; nothing of a mu without one."""
    centre, spreads = _prior_of(fit, "mu"), _spreads(fit)
    mean = ""
    if centre is not None:
        mean = f"mu ~ {centre if wide == 1.0 else _wider(centre, wide)}"
    if not spreads or spread == 0.0:
        return mean, "tau = 0 (common effect)"
    return mean, ", ".join(
        f"{name.replace(':', ' ')} ~ {tau if spread == 1.0 else tau.scaled(spread)}"
        for name, tau in spreads.items()
    )


def _words(fit: xr.DataTree, wide: float, spread: float, *, mean: bool) -> str:
    """Say which priors a row has; that of mu where several are compared."""
    of_mu, of_tau = prior_words(fit, wide, spread)
    return f"{of_mu}, {of_tau}" if mean and of_mu else of_tau


def _read(fit: xr.DataTree, _: None, *, at: Mapping[str, Any] | None) -> Rows:
    table = summary_with_errors(fit, at=at)
    names = [
        f"{name} ({words})" if words else name
        for group, words in views_of(fit).items()
        for name in estimand_draws(fit, at=at, group=group)
    ]
    rows = table[table["estimand"].isin(names)].drop(columns="at")
    return rows.to_dict("records")
