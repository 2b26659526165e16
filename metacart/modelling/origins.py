"""Arms whose scFv origin is inferred: a mixture over the origins that they may have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.errors import Fault, InputError
from metacart.modelling.columns import is_missing, row_names
from metacart.modelling.likelihood import Likelihood
from metacart.modelling.moderators import (
    Moderator,
    code_at,
    columns_of,
    level_text,
    main_effects,
    product_columns,
    read_entries,
)
from metacart.records.spec import ModelSpec

if TYPE_CHECKING:
    import pandas as pd
    import pymc as pm
    import xarray as xr

__all__ = [
    "CERTAINTY",
    "INFERRED",
    "LEVEL",
    "ORIGIN",
    "add_mixture",
    "inferred_rows",
    "level_shifts",
    "origin_faults",
    "origin_shares",
    "origin_shift",
    "read_origins",
    "without_origins",
]

Array = NDArray[np.float64]

ORIGIN = "origin"  # the drawn level of an inferred arm, by its number
INFERRED = "inferred"  # the arms that have one
LEVEL = "origin_level"  # which it may be
_SHARE = "origin_share"
_MODERATOR, CERTAINTY = "scfv", "scfv_certainty"
_NONE = ("unreported", "mixed")  # what is recorded where there is no one origin
_MOST = 6  # inferred arms of one study: their origins are combined


def origin_faults(spec: ModelSpec, likelihood: Likelihood) -> Iterator[Fault]:
    """Yield a fault where a likelihood does not take arms of an inferred origin."""
    if spec.certainty and likelihood.contrast:
        yield Fault(
            "certainty",
            f"with the {likelihood.name} likelihood, which compares two groups",
            "a likelihood of single arms: binomial, beta_binomial, survival",
            'include = { scfv_certainty = ["stated"] } to leave such arms out',
        )


def read_origins(
    spec: ModelSpec, evidence: pd.DataFrame, moderators: tuple[Moderator, ...]
) -> dict[str, Any]:
    """Return the prior probabilities of the origins of inferred arms, as parts of a design.

    Nothing where no arm is inferred, or all are certain.

    Raises
    ------
    InputError
        For a table without the column of certainty, unknown words in it, a study with too many
        such arms, and moderators that are imputed.
    """
    probability = spec.certainty.get("inferred", 1.0)
    if probability == 1.0:
        return {}
    columns = [str(name) for name in evidence.columns]
    if CERTAINTY not in columns:
        found = f"the evidence has no column '{CERTAINTY}'"
        attempt = "add the column, or drop `certainty` for this table"
        raise InputError(Fault("certainty", found, ", ".join(columns), attempt))
    stated = ["" if is_missing(each) else str(each) for each in evidence[CERTAINTY]]
    strange = [at for at, word in enumerate(stated) if word not in ("", "stated", "inferred")]
    if strange:
        found = f"'{stated[strange[0]]}' in {row_names(evidence, strange)}"
        raise InputError(Fault(f"column '{CERTAINTY}'", found, "stated, inferred, or nothing"))
    (own,) = (each for each in main_effects(moderators) if each.name == _MODERATOR)
    levels = [level for level in own.levels if level not in _NONE]
    values = [level_text(value) for value in evidence[_MODERATOR]]
    rows = [
        at
        for at, (value, word) in enumerate(zip(values, stated, strict=True))
        if word == "inferred" and value in levels
    ]
    if not rows or len(levels) < 2:
        return {}
    groups = evidence[spec.group].astype(str).iloc[rows].value_counts()
    if groups.iloc[0] > _MOST:
        found = f"{groups.iloc[0]} inferred arms of {groups.index[0]}"
        attempt = 'include = { scfv_certainty = ["stated"] } to leave such arms out'
        raise InputError(Fault("certainty", found, f"at most {_MOST} of one study", attempt))
    if any(is_missing(value) for name in spec.moderator_columns for value in evidence[name]):
        found = "together with values of moderators that are imputed"
        raise InputError(Fault("certainty", found, "one of the two", "drop `certainty`"))
    shares = np.zeros((len(evidence), len(levels)))
    shares[rows] = (1.0 - probability) / (len(levels) - 1)
    shares[rows, [levels.index(values[at]) for at in rows]] = probability
    return {
        # those of a certain arm are zero
        "data": {_SHARE: (("finding", LEVEL), shares)},
        "coords": {LEVEL: levels},
    }


def inferred_rows(design: xr.Dataset) -> NDArray[np.intp]:
    """Return the numbers of the findings whose origin is inferred."""
    if _SHARE not in design:
        return np.zeros(0, dtype=np.intp)
    return np.flatnonzero(design[_SHARE].to_numpy().any(axis=1))


def origin_shares(design: xr.Dataset) -> Array:
    """Return the prior probability of each origin of the inferred arms (inferred, levels)."""
    return np.asarray(design[_SHARE].to_numpy()[inferred_rows(design)])


def without_origins(design: xr.Dataset, x: Array) -> xr.Dataset:
    """Return a design of certain origins, with other rows."""
    return design.drop_vars(_SHARE).drop_dims(LEVEL).assign(x=(design["x"].dims, x))


def level_shifts(design: xr.Dataset) -> Array:
    """Return how far the design rows of inferred arms move at each level they may have.

    Of shape (levels, inferred, coefficients): the rows there less those as stated.
    """
    moderators = read_entries(_entries(design))
    x, rows = design["x"].to_numpy(), inferred_rows(design)
    columns = columns_of(moderators, x[rows])
    moved = []
    for level in design[LEVEL].to_numpy().tolist():
        block = code_at(moderators, {_MODERATOR: level})[_MODERATOR]
        at = columns | {_MODERATOR: [np.repeat(column, len(rows)) for column in block]}
        moved.append(np.stack(product_columns(moderators, at), axis=-1) - x[rows])
    return np.stack(moved)


def _entries(design: xr.Dataset) -> list[list[Any]]:
    import json

    entries: list[list[Any]] = json.loads(design.attrs["moderators"])
    return entries


def origin_shift(design: xr.Dataset, origin: NDArray[np.int64], beta: Array) -> Array:
    """Return how far drawn origins move theta.

    Parameters
    ----------
    design : Dataset
        With inferred arms.
    origin : array (..., inferred)
        Numbers of levels.
    beta : array (..., coefficients)

    Returns
    -------
    array (..., findings)
    """
    moved = np.einsum("kic,...c->...ki", level_shifts(design), beta)
    chosen = np.take_along_axis(moved, origin[..., None, :], axis=-2)[..., 0, :]
    result = np.zeros((*chosen.shape[:-1], design.sizes["finding"]))
    result[..., inferred_rows(design)] = chosen
    return result


def add_mixture(
    model: pm.Model, design: xr.Dataset, likelihood: Likelihood, eta: Any, beta: Any, own: Any
) -> None:
    """Add to an open model what the mixture has beyond the likelihood at the stated origins.

    log sum_k w_k p(y | eta_k) - log p(y | eta), with eta_k where the origin is k.
    """
    import pymc as pm
    import pytensor.tensor as pt

    rows = inferred_rows(design)
    if not rows.size:
        return
    shares, shifts = origin_shares(design), level_shifts(design)
    arrays = {
        name: pm.Data(f"inferred_{name}", design[name].to_numpy()[rows]) for name in _names(design)
    }
    stated = _log_p(model, "stated", likelihood, eta[rows], arrays, own, rows.size)
    terms = []
    for level, shift in enumerate(shifts):
        moved = eta[rows] + (shift * beta).sum(axis=-1)
        found = _log_p(model, f"origin_{level}", likelihood, moved, arrays, own, rows.size)
        terms.append(np.log(shares[:, level]) + found)
    pm.Potential("origins", pt.logsumexp(pt.stack(terms), axis=0) - stated, model=model)


def _names(design: xr.Dataset) -> list[str]:
    import json

    names: list[str] = json.loads(design.attrs["columns"])
    return names


def _log_p(
    model: pm.Model,
    name: str,
    likelihood: Likelihood,
    eta: Any,
    arrays: Mapping[str, Any],
    own: Any,
    number: int,
) -> Any:
    """Return the log probability of each finding at a symbolic linear predictor."""
    import pymc as pm

    # a model of its own, so that nothing is observed twice
    with pm.Model(coords={"finding": range(number)}, model=None) as one:
        likelihood.observe(name, eta, arrays, own, "finding")
    observed = one[name]
    for variable in one.data_vars:
        model.register_data_var(variable)
    return pm.logp(observed, one.rvs_to_values[observed])
