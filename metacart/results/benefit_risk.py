"""Benefit against risk: two outcomes of one joint fit, draw by draw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.errors import Fault, InputError, named_options, nearest
from metacart.inference.records import group_of
from metacart.records.vocabulary import OUTCOMES
from metacart.results.numbers import describe, probability, share_of_prior

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["READINGS", "axes_of", "benefit_risk", "correlation_of", "rates_of"]

READINGS = ("population average", "next study")


@named_options
def benefit_risk(
    fit: xr.DataTree,
    *,
    benefit: str | None = None,
    risk: str | None = None,
    benefit_above: float = 0.8,
    risk_below: float = 0.2,
) -> pd.DataFrame:
    """Return a benefit and a risk of one joint fit, and how often both are as wished.

    Parameters
    ----------
    fit : DataTree
        From ``fit`` with the likelihood ``"joint"``.
    benefit, risk : str, optional
        Two of its outcomes; by default the one that a patient wants higher and the one wanted
        lower, where there is one of each.
    benefit_above, risk_below : float
        Rates between 0 and 1: how much of the benefit and how little of the risk is wished for.

    Returns
    -------
    DataFrame
        Columns ``reading``, ``quantity``, ``median``, ``lower``, ``upper`` (95 % equal-tailed) and
        ``mcse``. For the population average and the next study both rates, P(benefit above),
        P(risk below), P(both), probabilities in the column ``median``, and ``P(both) if
        independent``, the product of the two. Then the ``correlation`` of the study effects, that
        of its prior, and ``posterior_to_prior_sd``: near 1 the data said nothing of it.

    Raises
    ------
    InputError
        For a fit of another likelihood, outcomes that it does not have, and impossible rates.

    Notes
    -----
    The correlation is one between studies. Patients of one study have the two outcomes
    independently given its rates, for no paper reports them patient by patient: P(both) is about
    the rates of a population or of a new study, never about one patient.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.benefit_risk(mc.fit("benefit_risk"), risk_below=0.25)  # doctest: +SKIP
    """
    import pandas as pd

    first, second = axes_of(fit, benefit, risk)
    faults = [
        Fault(name, f"{value:g}", "a rate between 0 and 1", "write 0.8 for 80 %")
        for name, value in (("benefit_above", benefit_above), ("risk_below", risk_below))
        if not 0.0 < value < 1.0
    ]
    if faults:
        raise InputError(faults)
    rows: list[dict[str, Any]] = []
    for reading in READINGS:
        good, bad = rates_of(fit, reading, first, second)
        enough, little = good > benefit_above, bad < risk_below
        shares = {
            f"P({first} > {benefit_above:g})": probability(enough),
            f"P({second} < {risk_below:g})": probability(little),
            "P(both)": probability(enough & little),
        }
        product = float(enough.mean() * little.mean())
        rows += [
            {"reading": reading, "quantity": first, **describe(good)},
            {"reading": reading, "quantity": second, **describe(bad)},
            *({"reading": reading, "quantity": name, **row} for name, row in shares.items()),
            {"reading": reading, "quantity": "P(both) if independent", "median": product},
        ]
    posterior, prior = correlation_of(fit, first, second)
    between = {"reading": "between studies"}
    share = float(posterior.std() / prior.std())
    rows += [
        between | {"quantity": "correlation"} | describe(posterior),
        between | {"quantity": "correlation, prior"} | describe(prior),
        between | {"quantity": "posterior_to_prior_sd", "median": share},
    ]
    columns = pd.Index(["reading", "quantity", "median", "lower", "upper", "mcse"])
    table = pd.DataFrame(rows, columns=columns)
    table.attrs = {"interval_of_prior": share_of_prior(posterior, prior)}
    return table


def axes_of(fit: xr.DataTree, benefit: str | None, risk: str | None) -> tuple[str, str]:
    """Return the outcome of the benefit and that of the risk; refuses what a fit does not have."""
    estimands = group_of(fit, "posterior")
    if "outcome" not in estimands.coords:
        raise InputError(
            Fault("fit", "no fit of several outcomes", 'a fit with likelihood = "joint"')
        )
    known = [str(name) for name in estimands["outcome"].to_numpy()]
    chosen, faults = {}, []
    for place, name, better in (("benefit", benefit, "higher"), ("risk", risk, "lower")):
        fitting = [each for each in known if each in OUTCOMES and OUTCOMES[each].better == better]
        if name is not None and name not in known:
            faults.append(
                Fault(place, f"'{name}' is not in this fit", ", ".join(known), nearest(name, known))
            )
        elif name is None and len(fitting) != 1:
            found = f"{len(fitting)} outcomes of which {better} is better"
            faults.append(Fault(place, found, ", ".join(known), f'{place}="{known[0]}"'))
        chosen[place] = name or (fitting[0] if fitting else "")
    if not faults and chosen["benefit"] == chosen["risk"]:
        faults.append(Fault("risk", f"'{chosen['risk']}' is the benefit too", ", ".join(known)))
    if faults:
        raise InputError(faults)
    return chosen["benefit"], chosen["risk"]


def rates_of(
    fit: xr.DataTree, reading: str, first: str, second: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the draws (chain, draw) of both rates in one reading."""
    rates = group_of(fit, "estimands")[reading].transpose("outcome", "chain", "draw")
    good, bad = (rates.sel(outcome=name).to_numpy() for name in (first, second))
    return good, bad


def correlation_of(
    fit: xr.DataTree, first: str, second: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return draws of the correlation of two outcomes, posterior and prior."""
    posterior, prior = (
        group_of(fit, group)["correlation"]
        .sel(outcome=first, outcome_2=second)
        .transpose("chain", "draw")
        .to_numpy()
        for group in ("posterior", "prior")
    )
    return posterior, prior
