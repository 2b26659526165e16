"""A spec bound to its evidence where the likelihood is a system of several means."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from metacart.errors import Fault, InputError, collected
from metacart.evidence.origin import in_file
from metacart.modelling.columns import finding_labels, name_faults, require
from metacart.modelling.system import System
from metacart.modelling.table import rule_faults
from metacart.records.spec import ModelSpec

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["bind_system"]


def bind_system(
    spec: ModelSpec, evidence: pd.DataFrame, system: System, faults: list[Fault]
) -> xr.Dataset:
    """Bind a spec, with what is wrong with it already, to a table as ``as_table`` returns it.

    Returns
    -------
    xarray.Dataset
        With dims ``finding``, ``study`` (the levels of the random effect) and those of the system:
        ``group`` (finding; position in ``study``), what `System.read` gives, and the arrays and
        attributes that every design has: it is one without moderators.

    Raises
    ------
    InputError
        With every fault of the spec, of the table and of one against the other.
    """
    import xarray as xr

    faults += require(evidence, ("study",) if spec.group == "study" else ("study", "cohort"))
    for column in dict.fromkeys(("study", spec.group)):
        faults += name_faults(evidence, column)
    faults += rule_faults(spec, evidence)
    data: Mapping[str, Any] = {}
    labels: Mapping[str, list[str]] = {}
    with collected(faults):
        data, labels = system.read(evidence, spec)
    if faults:
        raise InputError(in_file(spec, dict.fromkeys(faults)))
    names = evidence[spec.group].astype(str).tolist()
    groups = list(dict.fromkeys(names))
    nothing = np.zeros((len(names), 0))
    return xr.Dataset(
        {
            "x": (("finding", "coefficient"), nothing),
            "gap": (("finding", "coefficient"), nothing),
            "step": ("coefficient", nothing[0]),
            "group": ("finding", np.asarray([groups.index(name) for name in names])),
            **{
                name: values if isinstance(values, tuple) else ("finding", values)
                for name, values in data.items()
            },
        },
        coords={
            "finding": finding_labels(evidence),
            "study": groups,
            "coefficient": np.asarray([], dtype=str),
            **labels,
        },
        attrs={
            "scale": spec.scale or system.scales[0],
            "title": system.title,
            "per": next((name for name in ("total", "patients") if name in data), ""),
            "quantity": "",
            "columns": json.dumps(
                [name for name, values in data.items() if not isinstance(values, tuple)]
            ),
            "moderators": "[]",
            "gaps": "[]",
        },
    )
