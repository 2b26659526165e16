"""Verdicts of the predictive checks in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from metacart.inference.records import design_of, spec_of
from metacart.report.check_tables import check_name
from metacart.report.words import count_of, join, outcome_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["finding_words", "predictive_words"]

# with so few studies, their effects drawn anew, replicates spread over all that papers report
_HARDLY_FAILS = 2


def finding_words(used: pd.DataFrame | None, fit: xr.DataTree) -> dict[str, str]:
    """Return each finding of the design by the words of a reader."""
    names = [str(name) for name in design_of(fit)["finding"].to_numpy()]
    if used is None:
        return {}
    several = bool(spec_of(fit).outcomes)
    return {
        name: f"{row['label']}, {row['arm_label']}{_of_what(row, several)}"
        for name, row in zip(names, used.to_dict("records"), strict=True)
    }


def _of_what(row: Mapping[Any, Any], several: bool) -> str:
    """Return what tells findings of one arm apart: the band of grades, or the outcome."""
    if "grade_from" in row:
        ends = dict.fromkeys((row["grade_from"], row["grade_to"]))
        return f", grade {'–'.join(f'{end:g}' for end in ends)}"
    return f", {outcome_of(str(row['outcome'])).title}" if several else ""


def predictive_words(
    checks: pd.DataFrame, labels: Mapping[str, str], counts: bool, studies: int
) -> str:
    """Say whether the reported numbers look like data of the model, and what that is worth."""
    surprising = checks[checks["surprising"]].to_dict("records")
    size = "numbers of patients" if counts else "standard errors"
    basis = (
        f"New studies were drawn from the model, with the {size} of the real ones, "
        "and set beside what was reported. "
    )
    if not surprising:
        none = f"None of the {len(checks)} checks is" if len(checks) > 1 else "The one check is not"
        little = (
            f" With {count_of(studies, 'study')} and the study effects drawn anew this can hardly "
            "fail: it is no proof that the model is right."
        )
        return f"{basis}{none} surprising.{little if studies <= _HARDLY_FAILS else ''}"
    names = join(check_name(row, labels) for row in surprising)
    some = "One check is" if len(surprising) == 1 else f"{len(surprising)} checks are"
    return (
        f"{basis}{some} surprising: {names}. "
        f"By chance about {0.05 * len(checks):.1f} of {len(checks)} would be."
    )
