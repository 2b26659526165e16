"""What the answers were as studies came in, one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from functools import partial
from typing import TYPE_CHECKING, Any

from metacart.errors import Fault, InputError, named_options, nearest
from metacart.inference.keeping import CacheLike
from metacart.inference.one_mean import of_one_mean
from metacart.inference.records import evidence_of
from metacart.inference.refits import Run, Variant, pinned, refit_all
from metacart.modelling.columns import is_missing
from metacart.modelling.likelihoods import Likelihoods
from metacart.results.described import NUMBERS, described, missing_like, read_described
from metacart.results.summary import views_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["cumulative"]


@named_options
@of_one_mean
def cumulative(
    fit: xr.DataTree,
    *,
    by: str = "year",
    together: bool = False,
    at: Mapping[str, Any] | None = None,
    likelihoods: Likelihoods | None = None,
    executor: Executor | None = None,
    cache: CacheLike | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Return the named estimands as studies enter one after the other.

    Parameters
    ----------
    fit : DataTree
        From ``fit``.
    by : str
        The column of the evidence by which they enter, the smallest value first; of a study with
        several rows its smallest. Equal values enter in the order of the evidence.
    together : bool
        Whether studies of an equal value enter at once: a step a year instead of one a study.
    at : dict of moderator to level or number, optional
        Where to stand, as for ``summarize``.
    likelihoods : mapping of str to Likelihood or System, optional
        Those of the fit, where they are not the shipped ones.
    executor : concurrent.futures.Executor, optional
        Runs the fits; one after the other by default.
    cache : Cache or path, optional
        As for ``fit``: what is kept there is not fitted again.
    progress : bool, optional
        Whether to show a bar; by default in a terminal or a notebook.

    Returns
    -------
    DataFrame
        Columns ``step`` (how many studies are in), ``added`` (the study that entered, or those that
        entered together), ``value`` (its value of `by`), ``estimand``, ``median``, ``lower``,
        ``upper`` and ``mcse`` as ``summarize`` has them, ``mcse_lower`` and ``mcse_upper`` (of the
        limits), and ``computed``: ``refitted``, ``as fitted`` at the last step, or why there are no
        numbers. The named estimands, then ``tau``.

    Raises
    ------
    InputError
        For a column that the evidence does not have, or that has no order.

    Notes
    -----
    Each step is a fit of its own, with the priors and reference levels of the whole; with one
    study the prior of tau speaks nearly alone. The intervals are posterior intervals of what was
    known then. They need no correction for looking again and again, as tests would, but they hold
    under the model: what came first is taken to be exchangeable with what came later. A paper that
    reports patients of an earlier one is a study of its own here.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.cumulative(mc.fit("cr_rate"))  # doctest: +SKIP
    """
    import pandas as pd

    evidence, views, spec = evidence_of(fit), views_of(fit), pinned(fit)
    values = _values(evidence, by)
    studies = evidence["study"].astype(str)
    names = list(values)
    # how many are in after each step
    steps = [
        number
        for number, name in enumerate(names, 1)
        if not together or number == len(names) or values[names[number]] != values[name]
    ]
    whole = described(fit, views, at)
    refits = refit_all(
        [
            Variant(names[number - 1], spec, evidence[studies.isin(names[:number])])
            for number in steps[:-1]
        ],
        read=partial(read_described, views=views, at=at),
        run=Run.of(fit, likelihoods, cache),
        executor=executor,
        progress=progress,
        words="adding studies",
    )
    found = [(each.value or missing_like(whole), each.failure or "refitted") for each in refits]
    rows = [
        {"step": number, "added": ", ".join(names[before:number]), "value": values[names[before]]}
        | {"estimand": estimand, **each, "computed": how}
        for before, number, (numbers, how) in zip(
            [0, *steps[:-1]], steps, [*found, (whole, "as fitted")], strict=True
        )
        for estimand, each in numbers.items()
    ]
    columns = ["step", "added", "value", "estimand", *NUMBERS, "computed"]
    return pd.DataFrame(rows, columns=columns)


def _values(evidence: pd.DataFrame, by: str) -> dict[str, Any]:
    """Return each study's value of a column, in the order in which they enter."""
    if by not in evidence.columns:
        known = [str(name) for name in evidence.columns]
        found = f"'{by}' is no column of the evidence"
        raise InputError(Fault("by", found, ", ".join(known), nearest(by, known)))
    columns = evidence["study"].astype(str).tolist(), evidence[by].tolist()
    if lacking := [study for study, value in zip(*columns, strict=True) if is_missing(value)]:
        found = f"no value of {', '.join(dict.fromkeys(lacking))}"
        raise InputError(Fault(f"column '{by}'", found, "a value of every study"))
    values: dict[str, Any] = {}
    try:
        for study, value in zip(*columns, strict=True):
            values[study] = min(values.get(study, value), value)
        ordered = sorted(values.items(), key=lambda item: item[1])
    except TypeError:
        kinds = " and ".join(dict.fromkeys(type(value).__name__ for value in columns[1]))
        allowed = "numbers alone, or text alone"
        raise InputError(Fault(f"column '{by}'", kinds, allowed)) from None
    return dict(ordered)
