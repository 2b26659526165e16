"""What a fit carries of itself: spec, evidence, hashes, seed and versions, as text."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from metacart.errors import Fault, InputError
from metacart.modelling.columns import is_missing
from metacart.records.spec import ModelSpec

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = [
    "ATTRIBUTES",
    "attribute",
    "design_of",
    "evidence_of",
    "evidence_text",
    "group_of",
    "hash_of",
    "identity",
    "spec_of",
    "spec_text",
    "versions_text",
]

# without which no verb can say what was fitted
ATTRIBUTES = (
    *("spec", "evidence", "spec_hash", "evidence_hash", "versions"),
    *("seed", "method", "priors", "converged", "gate"),
)
_PACKAGES = ("metacart", "pymc", "nutpie", "arviz", "numpy", "scipy", "pandas", "xarray")


def spec_text(spec: ModelSpec) -> str:
    """Return a spec as canonical JSON."""
    # a variant of a question may keep a nu that its effects do not have
    idle = {"nu"} if spec.random_effects != "student_t" else None
    values = spec.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude=idle)
    return json.dumps(values, sort_keys=True, ensure_ascii=False)


def evidence_text(evidence: pd.DataFrame) -> str:
    """Return an evidence table as canonical JSON; missing values are null."""
    rows = [[_plain(value) for value in row] for row in evidence.itertuples(index=False)]
    table = {"columns": [str(name) for name in evidence.columns], "rows": rows}
    return json.dumps(table, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, Decimal | Fraction):
        value = float(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return None if is_missing(value) else str(value)


def hash_of(text: str) -> str:
    """Return the hash by which a fit knows its spec and its evidence again."""
    return hashlib.sha256(text.encode()).hexdigest()


def identity(spec: ModelSpec, evidence: pd.DataFrame) -> dict[str, str]:
    """Return the attributes by which a fit explains itself."""
    texts = {"spec": spec_text(spec), "evidence": evidence_text(evidence)}
    hashes = {f"{name}_hash": hash_of(text) for name, text in texts.items()}
    return texts | hashes | {"versions": versions_text()}


@cache
def versions_text() -> str:
    """Return the versions that a fit bears, as text."""
    return json.dumps({name: version(name) for name in _PACKAGES})


def attribute(fit: xr.DataTree, name: str) -> str:
    """Return an attribute of a fit; raises `InputError` for what has none of that name."""
    attributes: Mapping[str, Any] = getattr(fit, "attrs", {})
    if name not in attributes:
        raise InputError(
            Fault(
                "fit",
                f"a {type(fit).__name__} without its {name}",
                "the DataTree that metacart.fit or metacart.load_fit returns",
            )
        )
    return str(attributes[name])


def group_of(fit: xr.DataTree, name: str) -> xr.Dataset:
    """Return a group of a fit; raises `InputError` for what has none of that name."""
    attribute(fit, "spec")
    if name not in fit.children:
        raise InputError(
            Fault("fit", f"a fit without its {name}", ", ".join(fit.children), "fit again")
        )
    return fit[name].to_dataset()


def spec_of(fit: xr.DataTree) -> ModelSpec:
    """Return the spec of a fit."""
    return ModelSpec.from_mapping(json.loads(attribute(fit, "spec")))


def evidence_of(fit: xr.DataTree) -> pd.DataFrame:
    """Return the evidence table of a fit."""
    import pandas as pd

    table = json.loads(attribute(fit, "evidence"))
    return pd.DataFrame(table["rows"], columns=table["columns"])


def design_of(fit: xr.DataTree) -> xr.Dataset:
    """Return the design of a fit."""
    return group_of(fit, "constant_data")
