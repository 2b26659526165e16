"""What an inferred scFv origin is, given its result and those of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metacart.errors import named_options
from metacart.inference.kept import at_kept_draws
from metacart.inference.one_mean import of_one_mean
from metacart.inference.records import design_of, evidence_of
from metacart.modelling.moderators import level_text
from metacart.modelling.origins import INFERRED, LEVEL, ORIGIN, inferred_rows, origin_shares

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["origin_probabilities"]


@named_options
@of_one_mean
def origin_probabilities(fit: xr.DataTree) -> pd.DataFrame:
    """Return the probability of each scFv origin of each arm whose origin is inferred.

    Parameters
    ----------
    fit : DataTree
        From ``fit``, of a spec with ``certainty``.

    Returns
    -------
    DataFrame
        One row for each such arm and level: ``finding``, ``study``, ``stated`` (the level that is
        recorded), ``level``, its ``prior`` probability, which the spec's ``certainty`` gives, and
        its ``posterior`` one with its Monte Carlo error ``mcse``. No rows where all origins are
        taken as certain.

    Notes
    -----
    With w_k the prior probability of level k and eta_k the linear predictor there, the likelihood
    of the arm given its study effect is sum_k w_k p(y | eta_k). An arm whose result looks like
    those of another origin raises the probability of that origin, and so takes itself out of the
    comparison: the posterior probability is no evidence of its own on how the product was made.

    Examples
    --------
    >>> import metacart as mc
    >>> mc.origin_probabilities(mc.fit("retreatment_cr"))  # doctest: +SKIP
    """
    import pandas as pd

    from metacart.results.numbers import probability

    columns = pd.Index(["finding", "study", "stated", "level", "prior", "posterior", "mcse"])
    design, evidence = design_of(fit), evidence_of(fit)
    fit = at_kept_draws(fit)
    if ORIGIN not in fit["posterior"]:
        return pd.DataFrame(columns=columns)
    drawn = fit["posterior"][ORIGIN].transpose(INFERRED, "chain", "draw").to_numpy()
    shares, levels = origin_shares(design), design[LEVEL].to_numpy().tolist()
    rows = []
    for place, at in enumerate(inferred_rows(design)):
        for number, level in enumerate(levels):
            found = probability(drawn[place] == number)
            rows.append(
                {
                    "finding": str(design["finding"].to_numpy()[at]),
                    "study": str(evidence["study"].iloc[at]),
                    "stated": level_text(evidence["scfv"].iloc[at]),
                    "level": level,
                    "prior": float(shares[place, number]),
                    "posterior": found["median"],
                    "mcse": found["mcse"],
                }
            )
    return pd.DataFrame(rows, columns=columns)
