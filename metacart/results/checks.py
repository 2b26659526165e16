"""Does the model fit, and did the sampler do its work: checks as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from metacart.errors import named_options, refuse_unknown
from metacart.inference.estimands import with_estimands
from metacart.inference.one_mean import is_system
from metacart.inference.records import design_of, spec_of
from metacart.inference.systems import reported_of
from metacart.modelling.design import observed_values, scale_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["compared", "diagnostics", "natural", "overall", "predictive_checks"]

Array = NDArray[np.float64]
Predictive = Literal["posterior_predictive", "prior_predictive"]
# two-sided: a replicate as extreme as this happens once in twenty
_SURPRISING = 0.05


@named_options
def diagnostics(fit: xr.DataTree) -> pd.DataFrame:
    """Return how well each reported quantity was sampled.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.

    Returns
    -------
    DataFrame
        One row a quantity: ``quantity``, ``r_hat``, ``ess_bulk``, ``ess_tail``, and the Monte
        Carlo error of the mean and of the 2.5 and 97.5 % quantiles as shares of the posterior SD:
        ``mcse_mean``, ``mcse_lower``, ``mcse_upper``. The rest is that of the whole run:
        ``divergences`` under NUTS, ``pareto_k`` and ``importance_ess`` under the exact engine,
        whose draws are independent, so that R-hat and ESS have nothing to say. What an engine
        does not have is missing. ``attrs["passed"]`` and ``attrs["gate"]`` hold the verdict.

    Notes
    -----
    The gate: R-hat below 1.01, no divergences, or a Pareto k of at most 0.7; ``mcse_mean`` at most
    0.02, ``mcse_lower`` and ``mcse_upper`` at most 0.05. Where a tail is longer than that of a
    normal distribution of the same SD, the gate sets the error against the length of the tail, so
    that a share of the SD may be above 0.05 there and pass.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.diagnostics(mc.fit("cr_rate"))  # doctest: +SKIP
    """
    import arviz as az
    import pandas as pd

    if is_system(fit):
        reported = reported_of(fit)
    else:
        group = "naive" if "naive" in fit.children else "posterior"
        reported = with_estimands(
            fit[group].to_dataset(),
            spec=spec_of(fit),
            design=design_of(fit),
            seed=int(fit.attrs["seed"]),
        )
    spread = reported.std(("chain", "draw"))
    chains = fit.attrs["method"] == "nuts"
    several = chains and reported.sizes["chain"] > 1
    columns = {
        "r_hat": az.rhat(reported) if several else spread * np.nan,
        "ess_bulk": az.ess(reported, method="bulk") if chains else spread * np.nan,
        "ess_tail": az.ess(reported, method="tail") if chains else spread * np.nan,
        "mcse_mean": az.mcse(reported, method="mean") / spread,
        "mcse_lower": az.mcse(reported, method="quantile", prob=0.025) / spread,
        "mcse_upper": az.mcse(reported, method="quantile", prob=0.975) / spread,
    }
    rows = []
    for name, array in spread.data_vars.items():
        for index in np.ndindex(array.shape):
            label = ", ".join(
                str(array[dim].to_numpy()[position])
                for dim, position in zip(array.dims, index, strict=True)
            )
            values = {key: float(table[name].to_numpy()[index]) for key, table in columns.items()}
            rows.append({"quantity": f"{name} {label}".strip(), **values})
    statistics = fit["sample_stats"]
    result = pd.DataFrame(rows).assign(
        divergences=float(statistics["diverging"].sum()) if chains else np.nan,
        pareto_k=fit.attrs.get("pareto_k", np.nan),
        importance_ess=fit.attrs.get("importance_ess", np.nan),
    )
    result.attrs = {"passed": bool(fit.attrs["converged"]), "gate": str(fit.attrs["gate"])}
    return result


@named_options
def predictive_checks(
    fit: xr.DataTree, *, group: Predictive = "posterior_predictive"
) -> pd.DataFrame:
    """Compare the data with replicates from new studies under the model.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.
    group : {"posterior_predictive", "prior_predictive"}
        Whose replicates: those of the model that has seen the data, or of its priors alone.

    Returns
    -------
    DataFrame
        One row a check: ``check`` (``finding`` for each finding; then ``mean``, ``SD``,
        ``lowest`` and ``highest`` of all findings on the natural scale, and for counts the number
        of arms ``without events`` and ``with events only``; for ratios ``geometric mean`` and
        ``geometric SD`` instead of the first two), ``finding``, ``observed``, ``median``,
        ``lower``, ``upper`` (95 % of replicates), ``p`` (probability that a replicate is above
        what was observed, ties counting half) and ``surprising`` (p below 0.025 or above 0.975).

    Raises
    ------
    InputError
        For a group that is neither of the two.

    Notes
    -----
    Each replicate draws the study effects again. Conditional on its own effect a study can
    hardly disagree with the model that was fitted to it. Ratios are compared on the log scale and
    turned back: the geometric mean and SD are exp of the mean and SD of the logs. Under
    heavy-tailed effects a replicated ratio, and so its mean and SD, can be beyond all numbers.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.predictive_checks(mc.fit("cr_rate"))  # doctest: +SKIP
    """
    import pandas as pd

    refuse_unknown("group", group, get_args(Predictive))
    design = design_of(fit)
    observed = fit["observed_data"]["y"].to_numpy().astype(float)
    replicated = (fit[group]["y"].transpose("chain", "draw", "finding").to_numpy()).reshape(
        -1, observed.size
    )
    seen, again = (compared(design, values) for values in (observed, replicated))
    rows = [
        _row("finding", str(label), seen[position], again[:, position])
        for position, label in enumerate(design["finding"].to_numpy())
    ]
    if observed.size > 1:
        of_all, of_each = overall(design, seen), overall(design, again)
        rows += [_row(name, "", float(of_all[name]), of_each[name]) for name in of_all]
    table = pd.DataFrame(rows)
    numbers = ["observed", "median", "lower", "upper"]
    return table.assign(**{name: natural(design, table[name].to_numpy()) for name in numbers})


def _on_logs(design: xr.Dataset) -> bool:
    return scale_of(design).name == "log" and not design.attrs["per"]


def compared(design: xr.Dataset, values: Array) -> Array:
    """Return values of the observed variable as they are compared: ratios by their logs."""
    return values if _on_logs(design) else observed_values(design, values)


def natural(design: xr.Dataset, values: Array) -> Array:
    """Return compared values on the natural scale."""
    return scale_of(design).inverse(values) if _on_logs(design) else values


def overall(design: xr.Dataset, values: Array) -> dict[str, Array]:
    """Return by check what all findings (the last axis of compared values) say together."""
    kind = "geometric " if _on_logs(design) else ""
    found: dict[str, Array] = {
        f"{kind}mean": values.mean(axis=-1),
        f"{kind}SD": values.std(axis=-1),
        "lowest": values.min(axis=-1),
        "highest": values.max(axis=-1),
    }
    # bands of grades are no arms: most of them hold few patients or none
    if design.attrs["per"] and scale_of(design).is_rate and "grade_from" not in design:
        found["without events"] = (values == 0).sum(axis=-1).astype(float)
        found["with events only"] = (values == 1).sum(axis=-1).astype(float)
    return found


def _row(check: str, finding: str, observed: float, replicated: Array) -> dict[str, Any]:
    lower, median, upper = np.quantile(replicated, [0.025, 0.5, 0.975])
    p = float(np.mean(replicated > observed) + 0.5 * np.mean(replicated == observed))
    return {
        "check": check,
        "finding": finding,
        "observed": float(observed),
        "median": float(median),
        "lower": float(lower),
        "upper": float(upper),
        "p": p,
        "surprising": bool(min(p, 1.0 - p) < _SURPRISING / 2.0),
    }
