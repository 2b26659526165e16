"""A spec bound to its evidence: labelled arrays, every fault at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from metacart.errors import Fault, InputError
from metacart.modelling.columns import require
from metacart.modelling.likelihoods import Likelihood, find_likelihood
from metacart.modelling.moderators import Moderator, code_rows, read_moderators
from metacart.records.spec import ModelSpec
from metacart.scales import SCALES, Scale

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["bind", "data_of", "moderators_of", "scale_of"]


def bind(
    spec: ModelSpec,
    evidence: pd.DataFrame,
    *,
    likelihoods: Mapping[str, Likelihood] | None = None,
) -> xr.Dataset:
    """Bind a spec to its evidence.

    Parameters
    ----------
    spec : ModelSpec
        The declared analysis.
    evidence : DataFrame
        One row a finding: ``study``, the likelihood's columns, the moderators, and ``cohort``
        where the random effect sits on it. Any index; it is not changed.
    likelihoods : mapping of str to Likelihood, optional
        Instead of the shipped ones.

    Returns
    -------
    xarray.Dataset
        With dims ``finding``, ``study`` (the levels of the random effect) and ``coefficient``:
        ``x`` (finding, coefficient), ``group`` (finding; position in ``study``), the observed
        columns by their names, and in the attributes the scale and the coding of moderators.

    Raises
    ------
    InputError
        With every fault of the table and of the spec against it.
    """
    import xarray as xr

    likelihood = find_likelihood(spec, likelihoods=likelihoods)
    if not len(evidence):
        raise InputError(
            Fault("evidence", "no rows", "one row a finding", "widen the selection of the question")
        )
    faults = require(evidence, ("study",) if spec.group == "study" else ("study", "cohort"))
    if faults:
        raise InputError(faults)
    groups_of = evidence[spec.group]
    if groups_of.isna().any():
        faults.append(Fault(f"column '{spec.group}'", "a row without a name", "a name in each row"))
    scale = ""
    data: dict[str, Any] = {}
    moderators: tuple[Moderator, ...] = ()
    try:
        scale = _scale_name(spec, likelihood, evidence)
        data = likelihood.read(evidence, scale)
    except InputError as error:
        faults += error.faults
    try:
        moderators = read_moderators(spec, evidence)
    except InputError as error:
        faults += error.faults
    if faults:
        raise InputError(faults)
    names = groups_of.astype(str).tolist()
    groups = list(dict.fromkeys(names))
    x = code_rows(moderators, evidence, {})
    return xr.Dataset(
        {
            "x": (("finding", "coefficient"), x),
            "group": ("finding", np.asarray([groups.index(name) for name in names])),
            **{name: ("finding", values) for name, values in data.items()},
        },
        coords={
            "finding": _labels(evidence),
            "study": groups,
            "coefficient": [name for item in moderators for name in item.coefficients],
        },
        attrs={
            "scale": scale,
            "columns": json.dumps(list(data)),
            "moderators": json.dumps([[m.name, m.kind, list(m.levels)] for m in moderators]),
        },
    )


def scale_of(design: xr.Dataset) -> Scale:
    """Return the model scale of a design."""
    return SCALES[str(design.attrs["scale"])]


def data_of(design: xr.Dataset) -> dict[str, Any]:
    """Return the observed columns of a design as arrays of length findings."""
    return {name: design[name].to_numpy() for name in json.loads(design.attrs["columns"])}


def moderators_of(design: xr.Dataset) -> tuple[Moderator, ...]:
    """Return the moderators of a design."""
    return tuple(
        Moderator(name, kind, tuple(levels))
        for name, kind, levels in json.loads(design.attrs["moderators"])
    )


def _scale_name(spec: ModelSpec, likelihood: Likelihood, evidence: pd.DataFrame) -> str:
    if spec.scale is None:
        if "log" in likelihood.scales and "ratio" in evidence.columns:
            return "log"
        return likelihood.scales[0]
    if spec.scale not in likelihood.scales:
        raise InputError(
            Fault(
                "scale",
                f"'{spec.scale}' with the {likelihood.name} likelihood",
                ", ".join(likelihood.scales),
            )
        )
    return spec.scale


def _labels(evidence: pd.DataFrame) -> list[str]:
    """Return one distinct label a row: the study, then its arm, then a number."""
    studies = evidence["study"].astype(str)
    labels = studies.tolist()
    if "arm" in evidence.columns:
        labels = (studies + "/" + evidence["arm"].astype(str)).tolist()
    seen: dict[str, int] = {}
    distinct = []
    for label in labels:
        seen[label] = seen.get(label, 0) + 1
        distinct.append(label if labels.count(label) == 1 else f"{label}#{seen[label]}")
    return distinct
