"""How far the answers move when the priors, or the data, count a little more or less."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.errors import named_options
from metacart.inference.kept import at_kept_draws
from metacart.inference.one_mean import of_one_mean
from metacart.inference.records import design_of, group_of, spec_of
from metacart.results.summary import estimand_draws, spread_draws, views_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    import xarray as xr

__all__ = ["POWER_COLUMNS", "THRESHOLD", "power_scaling", "power_table"]

Array = NDArray[np.float64]

POWER_COLUMNS = ("prior_sensitivity", "likelihood_sensitivity", "diagnosis")
THRESHOLD = 0.05  # Kallioinen and others 2024: what one SD of a normal posterior moved by 5 % is
_DISAGREE = "prior and data may disagree"
_STRONG = "strong prior or weak data"
_CALM = "the prior hardly matters"


@named_options
@of_one_mean
def power_scaling(fit: xr.DataTree, *, at: Mapping[str, Any] | None = None) -> pd.DataFrame:
    """Return how far each quantity moves when a prior, or the likelihood, is raised to a power.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.
    at : dict of moderator to level or number, optional
        Where to stand, as for ``summarize``.

    Returns
    -------
    DataFrame
        A row a quantity and prior: ``quantity`` (the named estimands, then mu, tau, the
        coefficients), ``prior`` (``all``, then each by itself where there are several),
        ``prior_sensitivity``, ``likelihood_sensitivity`` and ``diagnosis`` in words.

    Notes
    -----
    The draws are reweighted as if the density of the priors, or the likelihood of the studies with
    their effects integrated out, were raised to the power 0.99 and 1.01. Sensitivity is the
    distance (cumulative Jensen-Shannon) by which a posterior moves for each doubling of the power
    (Kallioinen and others 2024), by ``arviz_stats.psense``. Above 0.05 it counts: of both, prior
    and data may disagree; of the prior alone, it is strong or the data are weak. The priors of the
    study effects themselves are no priors here. Beside a joint fit of the bias of immortal time
    the naive estimands have draws of their own, and are left out. Where no study tells the bias,
    its prior is not scaled: it shifts the adjusted answer as it stands, which
    ``bias_sensitivity`` shows.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.power_scaling(mc.fit("cr_rate"))  # doctest: +SKIP
    """
    return power_table(fit, at=at, each=True)


def power_table(
    fit: xr.DataTree, *, at: Mapping[str, Any] | None = None, each: bool
) -> pd.DataFrame:
    """Return ``power_scaling``'s table, or its rows of all priors together alone."""
    import arviz_stats
    import pandas as pd
    import xarray as xr

    fit = at_kept_draws(fit)
    log_prior = group_of(fit, "log_prior")
    quantities = _quantities(fit, at, joint="bias" in log_prior)
    names = [f"q{number}" for number in range(len(quantities))]
    tree = xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset(
                {
                    name: (("chain", "draw"), draws)
                    for name, draws in zip(names, quantities.values(), strict=True)
                },
                coords={name: log_prior[name] for name in ("chain", "draw")},
            ),
            "log_prior": log_prior,
            "log_likelihood": group_of(fit, "log_likelihood")[["study"]],
        }
    )
    data = arviz_stats.psense(tree, group="likelihood", group_var_names=["study"])
    priors = {"all": list(map(str, log_prior.data_vars))}
    if each and len(priors["all"]) > 1:
        priors |= {name: [name] for name in priors["all"]}
    rows = []
    for words, parts in priors.items():
        prior = arviz_stats.psense(tree, group="prior", group_var_names=parts)
        for name, quantity in zip(names, quantities, strict=True):
            values = float(prior[name]), float(data[name])
            found = dict(zip(POWER_COLUMNS, (*values, _diagnosis(*values)), strict=True))
            rows.append({"quantity": quantity, "prior": words, **found})
    return pd.DataFrame(rows)


def _diagnosis(prior: float, data: float) -> str:
    if prior < THRESHOLD:
        return _CALM
    return _DISAGREE if data >= THRESHOLD else _STRONG


def _quantities(fit: xr.DataTree, at: Mapping[str, Any] | None, *, joint: bool) -> dict[str, Array]:
    """Return draws (chain, draw) of what may move, by name."""
    found: dict[str, Array] = {}
    for group, words in views_of(fit).items():
        if joint and group == "naive":
            continue
        for name, draws in estimand_draws(fit, at=at, group=group).items():
            found[f"{name} ({words})" if words else name] = draws
    posterior = group_of(fit, "posterior")
    spreads = spread_draws(posterior, spec_of(fit), design_of(fit))
    for name in ("mu", "tau", "rho", "bias"):
        if name == "tau":
            found |= spreads
        elif name in posterior:
            found[name] = posterior[name].transpose("chain", "draw").to_numpy()
    if "beta" in posterior:
        for name in posterior["coefficient"].to_numpy().tolist():
            beta = posterior["beta"].sel(coefficient=name).transpose("chain", "draw")
            found[f"beta {name}"] = beta.to_numpy()
    return found
