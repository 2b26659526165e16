"""A user's table as the evidence of a question: what it must be, and the spec's rules upon it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from metacart.errors import Fault, InputError
from metacart.evidence.columns import Level, matches, recoded
from metacart.modelling.columns import is_missing, row_names
from metacart.records.spec import ModelSpec
from metacart.records.study import Study

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["as_table", "rule_faults"]


def as_table(spec: ModelSpec, evidence: object) -> pd.DataFrame:
    """Return the evidence with the levels that the spec recodes.

    What is recoded already stays as it is, so that the table of ``tabulate`` passes unchanged.

    Parameters
    ----------
    spec : ModelSpec
        The question.
    evidence : DataFrame
        One row a finding; it is not changed.

    Raises
    ------
    InputError
        For what is no DataFrame, and for columns that bear one name or several levels of names.
    """
    import pandas as pd

    if not isinstance(evidence, pd.DataFrame):
        kind = type(evidence).__name__
        if kind == "DataFrame":  # of another library, such as polars
            kind = f"{type(evidence).__module__.partition('.')[0]} DataFrame"
        hint = _as_frame(evidence)
        raise InputError(Fault("evidence", f"a {kind}", "a DataFrame of pandas", hint))
    if evidence.columns.nlevels > 1:
        hint = "table.columns = table.columns.get_level_values(-1)"
        raise InputError(
            Fault("columns", f"names of {evidence.columns.nlevels} levels", "plain names", hint)
        )
    if twice := list(dict.fromkeys(evidence.columns[evidence.columns.duplicated()])):
        names = ", ".join(f"'{name}'" for name in twice)
        raise InputError(
            Fault("columns", f"{names} more than once", "each name once", "drop or rename one")
        )
    changed = {}
    for name in spec.recode:
        if name in evidence.columns:
            old = evidence[name].tolist()
            new = [_recoded(name, value, spec) for value in old]
            if any(after is not before for before, after in zip(old, new, strict=True)):
                changed[name] = pd.Series(new, index=evidence.index)
    return evidence.assign(**changed)


def _as_frame(evidence: object) -> str:
    if isinstance(evidence, str | os.PathLike):
        return f"pandas.read_csv({str(evidence)!r})"
    if isinstance(evidence, Sequence) and evidence and isinstance(evidence[0], Study):
        return "studies go by name: fit(spec, studies=studies)"
    if hasattr(evidence, "to_pandas"):
        return "evidence.to_pandas()"
    if hasattr(evidence, "to_frame"):
        return "a table with the columns of the likelihood, not one of them"
    return "pandas.DataFrame(evidence), with named columns"


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _recoded(name: str, value: Any, spec: ModelSpec) -> Any:
    if is_missing(value) or _plain(value) in spec.recode[name]:
        return value
    new = recoded(name, _plain(value), spec)
    return value if new == _plain(value) else new


def rule_faults(spec: ModelSpec, evidence: pd.DataFrame) -> list[Fault]:
    """Return what of the spec's selection a table does not obey, a key at a time.

    A table has no account of rows left out: rows outside of the question are refused, by name.
    """
    faults = [
        Fault(
            f"{rule}.{name}",
            f"the table has no column '{name}'",
            ", ".join(str(column) for column in evidence.columns),
            f"add the column, or drop `{rule}.{name}` for this table",
        )
        for rule, names in (("include", spec.include), ("recode", spec.recode))
        for name in names
        if name not in evidence.columns
    ]
    for name, wanted in spec.include.items():
        allowed = [*wanted, *(recoded(name, level, spec) for level in wanted)]
        faults += _outside(f"include.{name}", name, wanted, allowed, evidence)
    if spec.outcome is not None:
        faults += _outside("outcome", "outcome", (spec.outcome,), (spec.outcome,), evidence)
    if spec.population and spec.likelihood != "chain":  # there it is of the first stage
        faults += _outside("population", "population", spec.population, spec.population, evidence)
    return faults


def _outside(
    place: str,
    name: str,
    wanted: Iterable[Level],
    allowed: Iterable[Level | None],
    evidence: pd.DataFrame,
) -> list[Fault]:
    if name not in evidence.columns:
        return []
    levels = [level for level in allowed if level is not None]
    values = [_plain(value) for value in evidence[name].tolist()]
    if name == "arm" and "study" in evidence.columns:
        keys = [f"{study}/{arm}" for study, arm in zip(evidence["study"], values, strict=True)]
        values = [
            key if matches(key, levels) else arm for key, arm in zip(keys, values, strict=True)
        ]
    rows = [at for at, value in enumerate(values) if not matches(value, levels)]
    if not rows:
        return []
    found = dict.fromkeys("nothing" if is_missing(values[at]) else str(values[at]) for at in rows)
    return [
        Fault(
            place,
            f"{', '.join(found)} in {row_names(evidence, rows)}",
            ", ".join(str(level) for level in wanted),
            f"leave these rows out of the table, or change `{place}`",
        )
    ]
