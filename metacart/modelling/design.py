"""A spec bound to its evidence: labelled arrays, every fault at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.errors import Fault, InputError, collected
from metacart.evidence.origin import in_file
from metacart.modelling.check import model_faults, own_priors
from metacart.modelling.columns import finding_labels, name_faults, require
from metacart.modelling.likelihoods import Likelihood, Likelihoods, find_likelihood, find_system
from metacart.modelling.measures import misplaced_priors
from metacart.modelling.moderators import Moderator, read_entries
from metacart.modelling.origins import read_origins
from metacart.modelling.reading_moderators import code_evidence, collinear, read_moderators
from metacart.modelling.spread import spread_faults
from metacart.modelling.system_design import bind_system
from metacart.modelling.table import as_table, rule_faults
from metacart.records.priors import Prior
from metacart.records.spec import ModelSpec
from metacart.scales import SCALES, Scale

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["bind", "data_of", "effect_scale", "moderators_of", "observed_values", "scale_of"]


def bind(
    spec: ModelSpec,
    evidence: pd.DataFrame,
    *,
    likelihoods: Likelihoods | None = None,
) -> xr.Dataset:
    """Bind a spec to its evidence.

    Parameters
    ----------
    spec : ModelSpec
        The declared analysis.
    evidence : DataFrame
        One row a finding: ``study``, the likelihood's columns, the moderators, and ``cohort``
        where the random effect sits on it. Any index; it is not changed. Levels are recoded as
        the spec says; rows outside of its selection are refused.
    likelihoods : mapping of str to Likelihood or System, optional
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
        With every fault of the spec, of the table and of one against the other.
    """
    import xarray as xr

    evidence = as_table(spec, evidence)
    if not len(evidence):
        raise InputError(
            Fault("evidence", "no rows", "one row a finding", "widen the selection of the question")
        )
    faults = model_faults(spec, likelihoods=likelihoods)
    system = None
    with collected(faults):
        system = find_system(spec, likelihoods=likelihoods)
    if system is not None:
        return bind_system(spec, evidence, system, faults)
    faults += require(evidence, ("study",) if spec.group == "study" else ("study", "cohort"))
    for column in dict.fromkeys(("study", spec.group)):
        faults += name_faults(evidence, column)
    faults += rule_faults(spec, evidence)
    scale = ""
    data: dict[str, Any] = {}
    priors: dict[str, Prior] = {}
    moderators: tuple[Moderator, ...] = ()
    with collected(faults):
        likelihood = find_likelihood(spec, likelihoods=likelihoods)
        scale = _scale_name(spec, likelihood, evidence)
        faults += misplaced_priors(spec, likelihood, scale=scale, evidence=evidence)
        data = likelihood.read(evidence, scale)
        priors = own_priors(spec, likelihood)
    with collected(faults):
        moderators = read_moderators(spec, evidence)
    if faults:
        raise InputError(in_file(spec, dict.fromkeys(faults)))
    coded = code_evidence(moderators, evidence)
    faults += collinear(moderators, coded.x)
    faults += _confused(spec, likelihood, evidence)
    faults += spread_faults(spec, moderators, evidence, coded.x)
    if faults:
        raise InputError(in_file(spec, faults))
    data |= likelihood.prepare(data, priors)
    origins: dict[str, Any] = {}
    with collected(faults):
        origins = read_origins(spec, evidence, moderators)
    if faults:
        raise InputError(in_file(spec, faults))
    names = evidence[spec.group].astype(str).tolist()
    groups = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return xr.Dataset(
        {
            "x": (("finding", "coefficient"), coded.x),
            "gap": (("finding", "coefficient"), coded.gap),
            "step": ("coefficient", coded.step),
            "group": ("finding", np.asarray([groups[name] for name in names])),
            **{name: (_dims(name, values.ndim), values) for name, values in data.items()},
            **origins.get("data", {}),
        },
        coords={
            "finding": finding_labels(evidence),
            "study": list(groups),
            "coefficient": [name for item in moderators for name in item.coefficients],
            **origins.get("coords", {}),
        },
        attrs={
            "scale": effect_scale(likelihood, scale),
            "title": likelihood.title,
            "per": likelihood.per,
            "quantity": likelihood.quantity,
            "columns": json.dumps(list(data)),
            "moderators": json.dumps([each.entry for each in moderators]),
            "gaps": json.dumps(coded.gaps),
        },
    )


def _confused(spec: ModelSpec, likelihood: Likelihood, evidence: pd.DataFrame) -> Iterator[Fault]:
    """Yield that a spread between arms and one between studies cannot be told apart."""
    arms = evidence[spec.group].value_counts()
    several = int((arms > 1).sum())
    if likelihood.spreads and spec.random_effects != "none" and 2 * several <= len(arms):
        yield Fault(
            "random_effects",
            f"'{spec.random_effects}' beside the overdispersion of {likelihood.name}, but "
            f"{several} of {len(arms)} {spec.group} effects have two arms or more: from one arm "
            "the spread between studies and that between arms cannot be told apart",
            "both only where most studies give two arms or more",
            'random_effects = "none", or likelihood = "binomial"',
        )


def scale_of(design: xr.Dataset) -> Scale:
    """Return the model scale of a design."""
    return SCALES[str(design.attrs["scale"])]


def data_of(design: xr.Dataset) -> dict[str, Any]:
    """Return what was observed in each finding: arrays, the first axis of length findings."""
    return {name: design[name].to_numpy() for name in json.loads(design.attrs["columns"])}


def observed_values(design: xr.Dataset, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values (..., findings) of the observed variable on the natural scale."""
    if per := design.attrs["per"]:
        return np.asarray(values / design[per].to_numpy())
    return scale_of(design).inverse(values)


def moderators_of(design: xr.Dataset) -> tuple[Moderator, ...]:
    """Return the moderators of a design."""
    return read_entries(json.loads(design.attrs["moderators"]))


def _scale_name(spec: ModelSpec, likelihood: Likelihood, evidence: pd.DataFrame) -> str:
    if spec.scale is not None:
        return spec.scale
    if "log" in likelihood.scales and "ratio" in evidence.columns:
        return "log"
    return likelihood.scales[0]


def effect_scale(likelihood: Likelihood, scale: str) -> str:
    """Return the scale of theta: of two groups on a scale of rates it is that of log ratios."""
    return "log" if likelihood.contrast and SCALES[scale].is_rate else scale


def own_dim(design: xr.Dataset) -> str:
    """Return the dimension of what each finding has for itself: its study, where it is alone."""
    return "study" if design.sizes["study"] == design.sizes["finding"] else "finding"


def _dims(name: str, number: int) -> tuple[str, ...]:
    return ("finding", *(f"{name}_{axis}" for axis in range(1, number)))
