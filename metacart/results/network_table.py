"""What was given before and what was given again: the network that a comparison rests on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from metacart.errors import Fault, InputError, named_options, nearest
from metacart.modelling.columns import is_missing
from metacart.modelling.moderators import level_text

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["UNSTATED", "network_table"]

UNSTATED = "not stated"
_COLUMNS = ("kind", "source", "to", "same_product", "studies", "arms", "patients")
_SAME = {True: "same", False: "another"}


@named_options
def network_table(
    evidence: pd.DataFrame,
    *,
    before: str = "prior_scfv",
    after: Sequence[str] = ("target", "scfv"),
) -> pd.DataFrame:
    """Return the edges of the evidence network of re-treatment.

    Parameters
    ----------
    evidence : DataFrame
        One row an arm, as ``tabulate`` returns of a question about re-treatment: ``study``,
        ``total``, and the columns named below; ``same_product`` where it is known.
    before : str
        The column that says what was given first.
    after : sequence of str
        The columns that together say what was given again.

    Returns
    -------
    DataFrame
        Columns ``kind``, ``source``, ``to``, ``same_product`` (``same``, ``another`` or ``not
        stated``), ``studies``, ``arms`` and ``patients``. Of the kind ``sequence`` is an edge from
        what was given before to what was given again; of the kind ``comparison`` one between two
        that a study gave both, with all their arms in such studies. ``attrs["groups"]`` says into
        how many parts the second infusions fall that no comparison within a study joins.

    Raises
    ------
    InputError
        For columns that the evidence does not have, and where no arm says what came before.

    Notes
    -----
    Two products in different parts are compared across studies alone, so that a difference between
    them may be one between the studies.

    Examples
    --------
    >>> import metacart as mc
    >>> evidence = mc.tabulate(mc.load_studies(), "retreatment_cr")
    >>> table = mc.network_table(evidence)
    >>> table.attrs["groups"]
    5
    """
    import pandas as pd
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    _check(evidence, before, [*after])
    sources = [_level(value) for value in evidence[before]]
    parts = [[_level(value) for value in evidence[name]] for name in after]
    nodes = [
        UNSTATED if set(levels) == {UNSTATED} else ", ".join(levels)
        for levels in zip(*parts, strict=True)
    ]
    frame = pd.DataFrame(
        {
            "study": evidence["study"].astype(str).to_numpy(),
            "source": sources,
            "to": nodes,
            "same_product": _same(evidence),
            "patients": evidence["total"].astype(int).to_numpy(),
        }
    )
    rows: list[dict[str, Any]] = []
    for (source, to, same), own in frame.groupby(["source", "to", "same_product"]):
        rows.append(
            {"kind": "sequence", "source": source, "to": to, "same_product": same, **_sums(own)}
        )
    rows.sort(key=lambda row: -row["patients"])
    names = sorted(set(nodes))
    joined = []
    for one, other in combinations(names, 2):
        both = frame[frame["to"].isin([one, other])]
        several = both.groupby("study")["to"].transform("nunique") == 2
        if several.any():
            joined.append((names.index(one), names.index(other)))
            edge = {"kind": "comparison", "source": one, "to": other, "same_product": ""}
            rows.append({**edge, **_sums(both[several])})
    table = pd.DataFrame(rows, columns=pd.Index(_COLUMNS))
    ends = np.asarray(joined, dtype=int).reshape(-1, 2)
    links = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=2 * (len(names),))
    table.attrs["groups"] = int(connected_components(links, directed=False)[0])
    return table


def _level(value: Any) -> str:
    text = UNSTATED if is_missing(value) else level_text(value)
    return UNSTATED if text == "unreported" else text


def _same(evidence: pd.DataFrame) -> list[str]:
    if "same_product" not in evidence:
        return [UNSTATED] * len(evidence)
    return [
        UNSTATED if is_missing(value) else _SAME[bool(value)] for value in evidence["same_product"]
    ]


def _sums(own: pd.DataFrame) -> dict[str, int]:
    return {
        "studies": own["study"].nunique(),
        "arms": len(own),
        "patients": int(own["patients"].sum()),
    }


def _check(evidence: pd.DataFrame, before: str, after: list[str]) -> None:
    import pandas as pd

    if not isinstance(evidence, pd.DataFrame):
        found = f"a {type(evidence).__name__}"
        raise InputError(Fault("evidence", found, "a table", "mc.tabulate(studies, spec)"))
    columns = [str(name) for name in evidence.columns]
    wanted = [("evidence", "study"), ("evidence", "total"), ("before", before)]
    wanted += [("after", name) for name in after]
    faults = [
        Fault(place, f"no column '{name}'", ", ".join(columns), nearest(name, columns))
        for place, name in wanted
        if name not in columns
    ]
    if not after:
        faults.append(Fault("after", "no columns", "one column or more"))
    if not faults and all(is_missing(value) for value in evidence[before]):
        found = f"no arm says what was given before: '{before}' is empty"
        attempt = 'infusion = ["retreatment"] in the question'
        faults.append(Fault("before", found, "a table of second infusions", attempt))
    if faults:
        raise InputError(faults)
