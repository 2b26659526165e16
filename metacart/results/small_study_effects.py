"""What a pool of ratios would be, had small or null studies been published like the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.errors import Fault, InputError, collected, named_options, nearest, refuse_unknown
from metacart.inference.one_mean import of_one_mean
from metacart.inference.records import spec_of
from metacart.inference.small_study import FittedBias, bias_models, fit_bias_model
from metacart.records.priors import Prior, parse_prior
from metacart.records.spec import ModelSpec
from metacart.results.averaging import Weighing, describe_mixture
from metacart.results.ratio_evidence import DIRECTIONS, FEWEST, favoured_side, ratio_evidence

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["small_study_effects"]

_DRAWS = 8_000  # of each model
_LARGE = 0.05  # Monte Carlo error of a log marginal likelihood that must be said

# RoBMA 4: halves and quarters of the unit-information SD of a log ratio, 2; PET has no unit, PEESE
# is 5 for standardized mean differences, whose unit-information SD is the square root of 2
_PRIORS = {
    "mu": "Normal(0, 1)",
    "tau": "HalfNormal(0.5)",
    "PET": "HalfCauchy(1)",
    "PEESE": "HalfCauchy(3.5355339)",
}
_WEIGHTS = "falls of the weights ~ Dirichlet(1, ..., 1)"


@named_options
@of_one_mean
def small_study_effects(
    fit: xr.DataTree,
    *,
    force: bool = False,
    direction: str = "detect",
    priors: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Return a pooled ratio averaged over models of small-study effects and selection.

    Parameters
    ----------
    fit : DataTree
        From ``fit``, of ratios with standard errors, without moderators; one a study.
    force : bool
        Whether fewer than ten studies enter too.
    direction : {"detect", "below", "above"}
        On which side of 1 small studies are thought to lean and a small p helps publication; by
        default that of the median ratio.
    priors : mapping of str to str, optional
        Of ``mu``, ``tau``, ``PET`` and ``PEESE``, on the log scale, where not the default.

    Returns
    -------
    DataFrame
        ``row``: ``average`` (over all models; over those with an effect; over those with an effect
        that are not adjusted), ``inclusion`` (an effect, heterogeneity, a bias, and each kind of
        bias, against the models without) and ``model``, 36 of them. ``effect``, ``heterogeneity``,
        ``bias`` and ``steps`` say what a model has; ``median``, ``lower``, ``upper`` and ``mcse``
        are of the ``estimand``, the ratio of the median study (1 in a model without an effect) or
        tau; ``log_marginal_likelihood`` with ``mcse_log`` (of a model, or of a log Bayes factor);
        ``prior_probability``, ``posterior_probability`` and ``bayes_factor``, posterior over prior
        odds. The attributes hold ``priors``, ``direction``, ``studies`` and ``note``.

    Raises
    ------
    InputError
        For anything but printed ratios with standard errors, for moderators, several ratios of a
        study, and fewer than ten studies unless forced; for unknown options and priors.

    Notes
    -----
    The ensemble is RoBMA-PSMA (Bartoš and others 2023): an effect or none, study effects or a
    common effect, and no bias, PET (the mean rises with the standard error), PEESE (with its
    square) or one of six step functions of p: two-sided at 0.05, or at 0.05 and 0.1; one-sided at
    0.05, at 0.025 and 0.05, at 0.05 and 0.5, or at all three. Each component is present with
    probability 1/2; of a bias, PET and PEESE have 1/4 each and the step functions 1/12 each.
    Priors are those of RoBMA 4 for log ratios: mu ~ Normal(0, 1), tau ~ HalfNormal(0.5), PET ~
    HalfCauchy(1), PEESE ~ HalfCauchy(3.54), and Dirichlet(1, ..., 1) on the falls of the weights.
    Marginal likelihoods are integrated by importance sampling, study effects in closed form.

    Rates of single arms are refused: the standard error of a rate follows from the rate, so that
    they lean together without any selection. Asymmetry has other causes as well, such as smaller
    studies of sicker patients; these models cannot tell them from selection.

    Examples
    --------
    >>> import metacart as mc
    >>> import pandas as pd
    >>> estimates = [-0.9, -0.6, -1.0, -0.3, -0.2, -0.4, -0.1, -1.2, -0.2, -0.5]
    >>> errors = [0.45, 0.32, 0.48, 0.2, 0.15, 0.28, 0.12, 0.6, 0.14, 0.3]
    >>> studies = [f"study {n}" for n in range(10)]
    >>> table = pd.DataFrame({"study": studies, "estimate": estimates, "se": errors})
    >>> fit = mc.fit(mc.ModelSpec(likelihood="normal", scale="log"), table)  # doctest: +SKIP
    >>> mc.small_study_effects(fit)  # doctest: +SKIP
    """
    refuse_unknown("direction", direction, DIRECTIONS)
    faults: list[Fault] = []
    stated: dict[str, Prior] = {}
    with collected(faults):
        stated = _priors(priors or {})
    with collected(faults):
        ratios = ratio_evidence(fit, what="small-study effects", force=force)
    if faults:
        raise InputError(faults)
    side = favoured_side(ratios, direction)
    fitted = [
        fit_bias_model(
            model,
            ratios.estimate,
            ratios.se,
            stated,
            sign=-1.0 if side == "below" else 1.0,
            draws=_DRAWS,
            seed=int(fit.attrs["seed"]),
        )
        for model in bias_models()
    ]
    table = _table(fitted)
    studies = len(ratios.estimate)
    table.attrs = {
        "priors": [*(f"{name} ~ {prior}" for name, prior in stated.items()), _WEIGHTS],
        "direction": f"small studies lean to ratios {side} 1",
        "studies": studies,
        "note": _note(spec_of(fit), studies, table["mcse_log"][table["row"] == "model"].max()),
    }
    return table


def _priors(given: Mapping[str, str]) -> dict[str, Prior]:
    faults = [
        Fault("priors", f"'{name}' is not known", ", ".join(_PRIORS), nearest(name, _PRIORS))
        for name in given
        if name not in _PRIORS
    ]
    priors: dict[str, Prior] = {}
    for name, default in _PRIORS.items():
        with collected(faults):
            priors[name] = parse_prior(
                given.get(name, default),
                support="real" if name == "mu" else "positive",
                parameter=name,
                place=f"priors.{name}",
            )
    if faults:
        raise InputError(faults)
    return priors


# --- the table -----------------------------------------------------------------------------------


def _table(fitted: Sequence[FittedBias]) -> pd.DataFrame:
    import pandas as pd

    models = [each.model for each in fitted]
    weighing = Weighing(
        np.array([each.integral.log_value for each in fitted]),
        np.array([each.integral.error for each in fitted]),
        np.array([model.prior_probability for model in models]),
    )
    effect = np.array([model.effect for model in models])
    heterogeneity = np.array([model.heterogeneity for model in models])
    kinds = np.array([model.bias.kind for model in models])
    all_ = np.ones(len(models), dtype=bool)
    rows: list[dict[str, Any]] = []
    for words, some in (
        ("all models", all_),
        ("models with an effect", effect),
        ("models with an effect, not adjusted", effect & (kinds == "none")),
    ):
        chosen = [each for each, has in zip(fitted, some, strict=True) if has]
        share = weighing.among(some)
        rows += [
            {"row": "average", "model": words, "estimand": name, **numbers}
            | {"posterior_probability": float(weighing.posterior[some].sum())}
            | {"prior_probability": float(weighing.prior[some].sum())}
            for name, numbers in _described(chosen, share).items()
        ]
    parts = {"effect": effect, "heterogeneity": heterogeneity, "bias": kinds != "none"}
    parts |= {kind: kinds == kind for kind in dict.fromkeys(kinds.tolist()) if kind != "none"}
    for name, has in parts.items():
        rows.append({"row": "inclusion", "model": name, **_weighed(weighing, has)})
    for n, each in enumerate(fitted):
        alone = np.arange(len(fitted)) == n
        numbers = _described([each], weighing.among(alone))["median study"]
        model = each.model
        rows.append(
            {
                "row": "model",
                "model": _name(each),
                "effect": model.effect,
                "heterogeneity": model.heterogeneity,
                "bias": model.bias.kind,
                "steps": model.bias.words,
                "estimand": "median study",
                **numbers,
                "log_marginal_likelihood": each.integral.log_value,
                **_weighed(weighing, alone),
                "mcse_log": each.integral.error,
            }
        )
    columns = "row model effect heterogeneity bias steps estimand median lower upper mcse "
    columns += "log_marginal_likelihood mcse_log prior_probability posterior_probability "
    table = pd.DataFrame(rows, columns=pd.Index([*columns.split(), "bayes_factor"]))
    texts = ["bias", "steps", "estimand"]
    table[texts] = table[texts].fillna("")
    return table


def _name(fitted: FittedBias) -> str:
    model = fitted.model
    parts = [
        "effect" if model.effect else "no effect",
        "random" if model.heterogeneity else "common",
        model.bias.words or ("no bias" if model.bias.kind == "none" else model.bias.kind),
    ]
    return ", ".join(parts)


def _described(fitted: Sequence[FittedBias], share: Weighing) -> dict[str, dict[str, float]]:
    weights = [each.integral.weights for each in fitted]
    found = {}
    for name, draws in (
        ("median study", [np.exp(each.mu) for each in fitted]),
        ("tau", [each.tau for each in fitted]),
    ):
        numbers = describe_mixture(draws, weights, share.posterior, share.error)
        found[name] = {key: numbers[key] for key in ("median", "lower", "upper", "mcse")}
    return found


def _weighed(weighing: Weighing, has: NDArray[np.bool_]) -> dict[str, float]:
    found = weighing.inclusion(has)
    return {
        "prior_probability": found.prior,
        "posterior_probability": found.posterior,
        "bayes_factor": found.bayes_factor,
        "mcse_log": found.error,
    }


def _note(spec: ModelSpec, studies: int, error: float) -> str:
    parts = []
    if error > _LARGE:
        parts.append(
            f"A log marginal likelihood has a Monte Carlo error of {error:.2f} (`mcse_log`), and "
            "perhaps more: the ratios or their errors are far from what the priors expect."
        )
    if studies < FEWEST:
        parts.append(f"Forced: {studies} studies are too few to tell asymmetry from chance.")
    if spec.likelihood == "hsct":
        parts.append("Ratios as printed: the bias of immortal time is not taken off.")
    parts.append(
        "Asymmetry has other causes than selection, such as smaller studies of sicker patients; "
        "these models cannot tell them apart."
    )
    return " ".join(parts)
