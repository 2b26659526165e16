"""Each outcome of a joint fit with and without the others: what it borrowed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from metacart.errors import Fault, InputError, named_options
from metacart.inference.fit import fit as fit_again
from metacart.inference.keeping import CacheLike
from metacart.inference.records import attribute, evidence_of, group_of, spec_of
from metacart.records.spec import ModelSpec
from metacart.results.numbers import describe
from metacart.results.summary import summarize

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["borrowing"]

_ESTIMANDS = ("median study", "population average", "next study", "tau")


@named_options
def borrowing(fit: xr.DataTree, *, cache: CacheLike | None = None) -> pd.DataFrame:
    """Return the estimands of each outcome with and without the other outcomes.

    Parameters
    ----------
    fit : DataTree
        From ``fit`` with the likelihood ``"joint"``.
    cache : Cache or path, optional
        As for ``fit``: what is kept there is not fitted again.

    Returns
    -------
    DataFrame
        One row an outcome and estimand: ``outcome``, ``findings`` (how many report it),
        ``estimand``, then ``median``, ``lower``, ``upper`` with the other outcomes, and
        ``alone_median``, ``alone_lower``, ``alone_upper`` from a binomial fit of this outcome,
        with the same priors, seed and number of draws; ``width`` is the width of the interval
        with the others as a multiple of that without: below 1 the outcome has borrowed.

    Raises
    ------
    InputError
        For a fit of another likelihood.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.borrowing(mc.fit("benefit_risk"))  # doctest: +SKIP
    """
    import pandas as pd

    if attribute(fit, "spec") and fit.attrs.get("system") != "joint":
        raise InputError(
            Fault("fit", "no fit of several outcomes", 'a fit with likelihood = "joint"')
        )
    spec, evidence, estimands = spec_of(fit), evidence_of(fit), group_of(fit, "estimands")
    sizes, rows = fit["posterior"].sizes, []
    alone = ModelSpec(likelihood="binomial", group=spec.group, priors=dict(spec.priors))
    for name in estimands["outcome"].to_numpy().tolist():
        own = evidence[evidence["outcome"] == name]
        again = fit_again(
            alone,
            own,
            draws=sizes["draw"],
            chains=sizes["chain"],
            seed=int(fit.attrs["seed"]),
            cache=cache,
            progress=False,
        )
        without = {row["estimand"]: row for row in summarize(again).to_dict("records")}
        for estimand in _ESTIMANDS:
            draws = estimands[estimand].sel(outcome=name).transpose("chain", "draw").to_numpy()
            row: dict[str, Any] = {"outcome": name, "findings": len(own), "estimand": estimand}
            row |= {key: value for key, value in describe(draws).items() if key != "mcse"}
            other = without[estimand]
            row |= {f"alone_{key}": float(other[key]) for key in ("median", "lower", "upper")}
            row["width"] = (row["upper"] - row["lower"]) / (
                row["alone_upper"] - row["alone_lower"]
            )  # fmt: skip
            rows.append(row)
    return pd.DataFrame(rows)
