"""What the answers would be under another prior of the spread between studies."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from metacart.errors import named_options
from metacart.inference.fit import fit as fit_again
from metacart.inference.records import evidence_of, spec_of
from metacart.modelling.likelihoods import Likelihood
from metacart.records.priors import Prior, parse_prior
from metacart.records.spec import ModelSpec
from metacart.results.summary import estimand_draws, summary_with_errors, views_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["prior_sensitivity"]

_FACTORS = (0.5, 2.0)


@named_options
def prior_sensitivity(
    fit: xr.DataTree,
    *,
    at: Mapping[str, Any] | None = None,
    likelihoods: Mapping[str, Likelihood] | None = None,
) -> pd.DataFrame:
    """Return the named estimands with tau's prior half and twice as wide, and without tau.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.
    at : dict of moderator to level or number, optional
        Where to stand, as for ``summarize``.
    likelihoods : mapping of str to Likelihood, optional
        Those of the fit, where they are not the shipped ones.

    Returns
    -------
    DataFrame
        Columns ``estimand``, ``median``, ``lower``, ``upper`` and ``mcse`` as ``summarize`` has
        them (missing where a refit must not be used), ``mcse_lower`` and ``mcse_upper`` (of the
        limits), ``prior`` (of tau) and ``declared`` (True for the fit itself). A fit without
        study effects has its own rows only.

    Notes
    -----
    The conventional scales of tau are 1 for the rates of single arms and 0.5 for contrasts: with
    either prior the other is among the rows. The last rows are those of a common effect, tau = 0:
    without moderators all named estimands are one there; with them the next study is still drawn
    like a row of the evidence. Each row but the declared is drawn by the exact engine, by NUTS
    where that cannot be trusted.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.prior_sensitivity(mc.fit("cr_rate"))  # doctest: +SKIP
    """
    import pandas as pd

    spec = spec_of(fit)
    declared = _prior_of_tau(fit)
    tables = [_estimands(fit, at).assign(prior=_words(declared), declared=True)]
    for prior, other in _others(spec, declared):
        again = fit_again(
            other,
            evidence_of(fit),
            method="auto",
            draws=int(fit["posterior"].sizes["draw"]),
            chains=int(fit["posterior"].sizes["chain"]),
            seed=int(fit.attrs["seed"]),
            likelihoods=likelihoods,
            progress=False,
        )
        rows = _estimands(again, at).assign(prior=_words(prior), declared=False)
        if not again.attrs["converged"]:
            rows[rows.columns.drop(["estimand", "prior", "declared"])] = float("nan")
        tables.append(rows)
    table = pd.concat(tables, ignore_index=True)
    return table.drop(columns="at")


def _prior_of_tau(fit: xr.DataTree) -> Prior | None:
    text = json.loads(str(fit.attrs["priors"])).get("tau")
    return None if text is None else parse_prior(text, support="positive")


def _others(spec: ModelSpec, declared: Prior | None) -> Iterator[tuple[Prior | None, ModelSpec]]:
    if declared is None:
        return
    for factor in _FACTORS:
        try:
            prior = declared.scaled(factor)
        except ValueError:
            continue
        yield prior, spec.model_copy(update={"priors": {**spec.priors, "tau": str(prior)}})
    kept = {name: text for name, text in spec.priors.items() if name != "tau"}
    yield None, spec.model_copy(update={"random_effects": "none", "priors": kept})


def _words(prior: Prior | None) -> str:
    return "tau = 0 (common effect)" if prior is None else f"tau ~ {prior}"


def _estimands(fit: xr.DataTree, at: Mapping[str, Any] | None) -> pd.DataFrame:
    table = summary_with_errors(fit, at=at)
    names = [
        f"{name} ({words})" if words else name
        for group, words in views_of(fit).items()
        for name in estimand_draws(fit, at=at, group=group)
    ]
    return table[table["estimand"].isin(names)]
