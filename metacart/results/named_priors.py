"""The priors that a reviewer asks for by name, with their sources, as a table."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from metacart.errors import named_options
from metacart.evidence.library import spec_of
from metacart.modelling.likelihoods import Likelihoods, find_likelihood
from metacart.modelling.measures import measures_of
from metacart.records.named_priors import CATALOGUE, MEASURES
from metacart.records.priors import parse_prior
from metacart.records.spec import ModelSpec

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["named_priors"]


@named_options
def named_priors(
    spec: ModelSpec | str | os.PathLike[str] | None = None,
    *,
    likelihoods: Likelihoods | None = None,
) -> pd.DataFrame:
    """Return the priors that have a name or a recommendation in print, with their sources.

    Parameters
    ----------
    spec : ModelSpec or str or path, optional
        A question: only the priors that hold for its measure are returned.
    likelihoods : mapping of str to Likelihood or System, optional
        Instead of ``LIKELIHOODS``.

    Returns
    -------
    DataFrame
        One row a prior: ``text`` as a model file writes it, ``parameter`` (``mu`` or ``tau``), the
        explicit ``prior`` for which it stands, its ``lower``, ``median`` and ``upper`` (2.5, 50
        and 97.5 % quantiles on the model scale), ``holds_for``, ``source``, ``doi`` and ``note``.

    Raises
    ------
    InputError
        For a question that cannot be read, or an unknown likelihood.

    Notes
    -----
    Turner 2015 gives tau squared of log odds ratios a log-normal prior for each type of outcome
    and of comparison; tau is then log-normal with both numbers halved. Bartoš 2023 fitted mu and
    tau of the Cochrane reviews of all fields and, for binary outcomes, of haematology. Neither
    says anything about rates of single arms, which differ more than contrasts do: a name is
    refused wherever it does not hold.

    Examples
    --------
    >>> import metacart as mc
    >>> spec = mc.ModelSpec(likelihood="binomial")
    >>> mc.named_priors(spec)[["text", "parameter", "prior"]]
                    text parameter          prior
    0      HalfNormal(1)       tau  HalfNormal(1)
    1      HalfCauchy(1)       tau  HalfCauchy(1)
    2  UnitInformation()        mu   Normal(0, 2)
    """
    import pandas as pd

    wanted = frozenset(MEASURES)
    if spec is not None:
        question = spec_of(spec)
        wanted = measures_of(question, find_likelihood(question, likelihoods=likelihoods))
    rows = []
    for entry in CATALOGUE:
        if not entry.measures & wanted:
            continue
        lower, median, upper = parse_prior(entry.prior).quantile([0.025, 0.5, 0.975]).tolist()
        rows.append(
            {
                "text": entry.text,
                "parameter": entry.parameter,
                "prior": entry.prior,
                "lower": lower,
                "median": median,
                "upper": upper,
                "holds_for": ", ".join(w for name, w in MEASURES.items() if name in entry.measures),
                "source": entry.source,
                "doi": entry.doi,
                "note": entry.note,
            }
        )
    columns = "text parameter prior lower median upper holds_for source doi note"
    return pd.DataFrame(rows, columns=pd.Index(columns.split()))
