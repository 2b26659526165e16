"""A moderator split in two: what studies show within themselves, and what they show together."""

from __future__ import annotations

import json
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.inference.records import design_of, evidence_of
from metacart.inference.refits import Run, Variant, refit_all
from metacart.modelling.design import moderators_of
from metacart.modelling.imputation import gap_names
from metacart.modelling.moderators import main_effects
from metacart.records.spec import ModelSpec
from metacart.results.numbers import describe
from metacart.results.reweighting import mean_weighted

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["node_splits"]

Array = NDArray[np.float64]
_TINY = 1e-9
_WITHIN, _ACROSS = "within studies", "across studies"


def node_splits(
    fit: xr.DataTree,
    spec: ModelSpec,
    run: Run,
    *,
    executor: Executor | None,
    progress: bool | None,
) -> list[dict[str, Any]]:
    """Return the rows of ``conflict`` for each coefficient of the moderators."""
    variants: list[Variant] = []
    reasons: dict[str, str] = {}
    for name in design_of(fit)["coefficient"].to_numpy().tolist():
        if reason := _why_not(fit, name):
            reasons[name] = reason
        else:
            variants.append(Variant(name, *_split(fit, spec, name)))
    found = refit_all(
        variants,
        read=_read,
        run=run,
        executor=executor,
        progress=progress,
        words="splitting moderators",
    )
    by_name = {each.label: each for each in found}
    rows: list[dict[str, Any]] = []
    for name in design_of(fit)["coefficient"].to_numpy().tolist():
        refit = by_name.get(name)
        if refit is None or refit.value is None:
            why = reasons.get(name, "" if refit is None else refit.failure)
            rows.append({"row": "difference", "name": name, "k_hat": np.nan, "computed": why})
            continue
        rows += [
            {"row": row, "name": name, **numbers, "k_hat": np.nan, "computed": "refitted"}
            for row, numbers in refit.value.items()
        ]
    return rows


def _column(fit: xr.DataTree, name: str) -> tuple[Array, Array]:
    """Return a coefficient's column of the design: its mean in each study, and the deviations."""
    design = design_of(fit)
    x = design["x"].sel(coefficient=name).to_numpy()
    group = design["group"].to_numpy()
    mean = (np.bincount(group, x) / np.bincount(group))[group]
    return mean, x - mean


def _why_not(fit: xr.DataTree, name: str) -> str:
    """Say why a coefficient cannot be split, or nothing."""
    design = design_of(fit)
    if gap_names(design):
        return "a moderator has missing values"
    if name not in {c for each in main_effects(moderators_of(design)) for c in each.coefficients}:
        return "an interaction"
    if any(each.kind == "interaction" for each in moderators_of(design)):
        return "the model has interactions"
    across, within = _column(fit, name)
    if np.ptp(within) < _TINY:
        return "no study informs it within itself"
    others = design["x"].to_numpy()[:, design["coefficient"].to_numpy() != name]
    columns = np.column_stack([np.ones(len(across)), others, across, within])
    if np.linalg.matrix_rank(columns) < columns.shape[1]:
        return "studies do not inform it across each other"
    return ""


def _split(fit: xr.DataTree, spec: ModelSpec, name: str) -> tuple[ModelSpec, pd.DataFrame]:
    """Return the analysis with one coefficient in two, its moderator as columns of numbers."""
    design, evidence = design_of(fit), evidence_of(fit)
    priors: dict[str, str] = json.loads(str(fit.attrs["priors"]))
    beta: dict[str, str] = {}
    columns: dict[str, Array] = {}
    kept: list[str] = []
    for moderator in moderators_of(design):
        if name not in moderator.coefficients:
            kept.append(moderator.name)
            beta[moderator.name] = priors[f"beta:{moderator.coefficients[0]}"]
            continue
        for coefficient in moderator.coefficients:
            whole = {coefficient: design["x"].sel(coefficient=coefficient).to_numpy()}
            if coefficient == name:
                across, within = _column(fit, name)
                whole = {_WITHIN: within, _ACROSS: across}
            columns |= whole
            beta |= dict.fromkeys(whole, priors[f"beta:{coefficient}"])
    changed = {
        "moderators": (*kept, *columns),
        "priors": {**spec.priors, "beta": beta},
        "reference": {key: value for key, value in spec.reference.items() if key in kept},
        "unit": {key: value for key, value in spec.unit.items() if key in kept},
        "missing": "refuse",
    }
    return spec.model_copy(update=changed), evidence.assign(**columns)


def _read(fit: xr.DataTree, _: None) -> dict[str, dict[str, float]]:
    beta = fit["posterior"]["beta"].transpose("coefficient", "chain", "draw")
    within, across = (beta.sel(coefficient=name).to_numpy() for name in (_WITHIN, _ACROSS))
    draws = {_WITHIN: within, _ACROSS: across, "difference": within - across}
    numbers = {
        row: {key: value for key, value in describe(each).items() if key != "mcse"}
        for row, each in draws.items()
    }
    alike = np.full(within.shape, 1.0 / within.size)
    p, error = mean_weighted((draws["difference"] > 0).astype(float), alike)
    numbers["difference"] |= {"p": p, "mcse": error}
    return numbers
