"""What a pool of printed results may owe to the results that nobody printed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from metacart.errors import Fault, InputError, named_options
from metacart.evidence.conversions import counts_to_effect
from metacart.evidence.library import BUNDLED, load_studies
from metacart.evidence.selection import StudySource, studies_of, tabulate
from metacart.inference.keeping import CacheLike
from metacart.inference.one_mean import of_one_mean
from metacart.inference.records import evidence_of, spec_of
from metacart.inference.refits import Refit, pinned
from metacart.modelling.likelihoods import Likelihoods
from metacart.results.immortal_time import Ratios, fitted_again, ratio_numbers, ratios_of
from metacart.results.summary import views_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["null_study", "selection_sensitivity"]

_COLUMNS = (
    "pool studies estimand median lower upper mcse mcse_lower mcse_upper p_below_one "
    "computed reason"
)
_Z = 1.959963984540054  # half the width of a 95 % interval in standard errors
_FELIX = "roddie2024"
_ALL = "as pooled"
_NO_COUNTS = "cannot be fitted: no study gives the counts of both groups"


@named_options
@of_one_mean
def selection_sensitivity(
    fit: xr.DataTree,
    *,
    studies: StudySource | None = None,
    likelihoods: Likelihoods | None = None,
    cache: CacheLike | None = None,
) -> pd.DataFrame:
    """Return the pooled ratio with a null study added, and from counts alone.

    Parameters
    ----------
    fit : DataTree
        From ``fit``, of a transplant question.
    studies : Studies or path or sequence of paths, optional
        What the evidence was selected from. Then the counts of a study stand in the pool of counts
        although its ratio entered; without them that pool holds the counts of the evidence.
    likelihoods : mapping of str to Likelihood, optional
        Those of the fit, where they are not the shipped ones.
    cache : Cache or path, optional
        As for ``fit``: what is kept there is not fitted again.

    Returns
    -------
    DataFrame
        Columns ``pool`` (``as pooled``, ``null study added``, ``counts only``), ``studies`` (how
        many), ``estimand`` (the named ratios, naive and immortal-time-adjusted), ``median``,
        ``lower``, ``upper`` (95 % equal-tailed interval) and ``mcse``, ``mcse_lower``,
        ``mcse_upper``, ``p_below_one``, ``computed`` (how, or why there are no numbers) and
        ``reason``, why the row stands here.

    Raises
    ------
    InputError
        For a fit that is of no transplant question.

    Notes
    -----
    Who finds no difference often prints no ratio, so a pool of ratios is selected. The null study
    has a hazard ratio of 1 with the standard error that the counts of FELIX give (13 of 18
    transplanted and 41 of 81 others with an event), compared time-fixed: as any such study it has
    the bias taken off in the adjusted reading, which moves it beyond 1. FELIX's own counts may be
    in the pool; the null study is one more.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.selection_sensitivity(mc.fit("hsct_benefit_os"))  # doctest: +SKIP
    """
    import pandas as pd

    spec, evidence = spec_of(fit), evidence_of(fit)
    if spec.likelihood != "hsct":
        found = f"{spec.name}, a fit of the likelihood '{spec.likelihood}'"
        raise InputError(
            Fault("fit", found, "a transplant question", "such as fit('hsct_benefit_os')")
        )
    groups = views_of(fit)
    own = {group: ratios_of(fit, group=group) for group in groups}
    whole = Refit[Mapping[str, Ratios]](_ALL, own)
    rows = [*_rows(groups, own, whole, evidence, "as fitted", "the question as it was asked")]
    null = null_study(spec.outcome)
    silent = (
        "papers without a difference print no ratio: one of them, of the size of FELIX "
        f"(hazard ratio 1, {null['lower']:.2f} to {null['upper']:.2f})"
    )
    pools = [
        (
            "null study added",
            _with_row(evidence, null),
            silent,
        ),
        (
            "counts only",
            _counts(fit, studies),
            "counts are printed whatever they say: the pool is less selected by its result",
        ),
    ]
    # what these rows are was decided when the evidence was selected
    asked = pinned(fit).model_copy(update={"include": {}, "population": (), "kinds": ()})
    for name, table, reason in pools:
        again = Refit[Mapping[str, Ratios]](name, None, _NO_COUNTS)
        if not table.empty:
            again = fitted_again(fit, asked, table, likelihoods, cache)
            again = replace(again, label=name)
        rows += _rows(groups, own, again, table, again.failure or "refitted", reason)
    return pd.DataFrame(rows, columns=pd.Index(_COLUMNS.split()))


def null_study(outcome: str | None) -> dict[str, Any]:
    """Return the row of a study of FELIX's size that finds no difference."""
    (finding,) = (
        each
        for each in load_studies(BUNDLED / f"{_FELIX}.toml")[_FELIX].findings
        if each.contrast is not None and each.exposure == "hsct"
    )
    counts: Any = finding.contrast
    groups = [(group.events, group.total) for group in (counts.exposed, counts.unexposed)]
    effect = counts_to_effect(*groups, measure="hr", equal_follow_up=True)
    return {
        "study": "null study",
        "cohort": "null study",
        "outcome": outcome,
        "kind": "ratio",
        "ratio": 1.0,
        "lower": float(np.exp(-_Z * effect.se)),
        "upper": float(np.exp(_Z * effect.se)),
        "level": 0.95,
        "measure": "hr",
        "time_handling": finding.time_handling,
    }


def _with_row(evidence: pd.DataFrame, row: Mapping[str, Any]) -> pd.DataFrame:
    """Return a table with one row more, and no column but those that its ratio needs."""
    import pandas as pd

    kept = {*evidence.columns, "ratio", "lower", "upper"}
    new = pd.DataFrame([{name: value for name, value in row.items() if name in kept}])
    return pd.concat([evidence, new], ignore_index=True)


def _counts(fit: xr.DataTree, studies: StudySource | None) -> pd.DataFrame:
    """Return the comparisons of counts, also of studies that entered by a ratio."""
    spec, evidence = spec_of(fit), evidence_of(fit)
    if studies is not None:
        collection = studies_of(studies)
        with suppress(InputError):  # no finding of this kind
            return tabulate(collection, spec.model_copy(update={"kinds": ("contrast",)}))
        return evidence.iloc[:0]
    return evidence[evidence["kind"] == "contrast"].reset_index(drop=True)


def _rows(
    views: Mapping[str, str],
    own: Mapping[str, Ratios],
    again: Refit[Mapping[str, Ratios]],
    evidence: pd.DataFrame,
    computed: str,
    reason: str,
) -> Iterator[dict[str, Any]]:
    for group, words in views.items():
        for name in own[group]:
            yield {
                "pool": again.label,
                "studies": len(set(evidence["study"])),
                "estimand": f"{name} ({words})" if words else name,
                **({} if again.value is None else ratio_numbers(again.value[group][name])),
                "computed": computed,
                "reason": reason,
            }
