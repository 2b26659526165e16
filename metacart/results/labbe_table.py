"""The studies of a L'Abbé plot: events in two groups, and where the model expects them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metacart.errors import Fault, InputError, named_options
from metacart.inference.one_mean import of_one_mean
from metacart.inference.records import design_of, evidence_of, spec_of
from metacart.results.summary import estimand_draws
from metacart.scales import SCALES

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["labbe_table"]

Array = NDArray[np.float64]
_POINTS, _FAR = 201, 12.0  # of the curve, even on the logit scale


@named_options
@of_one_mean
def labbe_table(fit: xr.DataTree, *, at: Mapping[str, Any] | None = None) -> pd.DataFrame:
    """Return the event rates of both groups of each study, and the lines of equal effect.

    Parameters
    ----------
    fit : DataTree
        From ``fit``, of counts of two groups.
    at : dict of moderator to level or number, optional
        Where to stand, as for ``summarize``.

    Returns
    -------
    DataFrame
        Rows ``finding`` and ``curve``, by the column ``row``. Of a finding: ``study``, ``label``,
        ``events``, ``total``, ``control_events``, ``control_total``, ``patients`` (of both), and
        ``control_rate`` and ``rate``. Of the curve: ``control_rate`` from 0 to 1, and the rate of
        the other group there under the median study (``rate``, ``lower``, ``upper``) and in the
        next study (``next_lower``, ``next_upper``): posterior median and 95 % equal-tailed limits.

    Raises
    ------
    InputError
        For anything but counts of two groups, and a moderator or level that the fit does not have.

    Notes
    -----
    Rates are those of the counts, with nothing added. With r₀ the rate of the control group and θ
    the effect, the curve is g⁻¹(g(r₀) + θ): all studies with one odds ratio (logit), or one hazard
    ratio (cloglog), lie on one such line. For transplant θ is the naive effect, as the counts are.

    Examples
    --------
    >>> import metacart as mc
    >>> spec = mc.load_model("hsct_relapse").model_copy(update={"kinds": ("contrast",)})
    >>> mc.labbe_table(mc.fit(spec))  # doctest: +SKIP
    """
    import pandas as pd
    from scipy.special import expit

    if faults := list(_not_counts(fit)):
        raise InputError(faults)
    evidence, design = evidence_of(fit), design_of(fit)
    group = "naive" if "naive" in fit.children else "posterior"
    draws = estimand_draws(fit, at=at, group=group)
    scale = SCALES["cloglog" if design["hazard"].to_numpy().all() else "logit"]
    # close together at both ends, where a curve is steep
    control = np.concatenate([[0.0], expit(np.linspace(-_FAR, _FAR, _POINTS)), [1.0]])

    def lines(estimand: str) -> Array:
        effects = np.log(np.quantile(draws[estimand], [0.5, 0.025, 0.975]))
        inside = scale.link(control[1:-1]) + effects[:, None]
        rates = scale.inverse(inside)
        ends = np.ones((3, 1))
        return np.concatenate([0.0 * ends, rates, ends], axis=1)

    middle, lower, upper = lines("median study")
    _, next_lower, next_upper = lines("next study")
    studies = evidence["study"].astype(str)
    labels = evidence.get("label", studies)
    counts = {
        name: design[f"{group_name}_{what}"].to_numpy()
        for name, group_name, what in (
            ("events", "exposed", "events"),
            ("total", "exposed", "total"),
            ("control_events", "control", "events"),
            ("control_total", "control", "total"),
        )
    }
    findings = pd.DataFrame(
        {
            "row": "finding",
            "study": studies,
            "label": labels.where(labels.notna(), studies).astype(str),
            **counts,
            "patients": counts["total"] + counts["control_total"],
            "control_rate": counts["control_events"] / counts["control_total"],
            "rate": counts["events"] / counts["total"],
        }
    )
    curve = pd.DataFrame(
        {
            "row": "curve",
            "control_rate": control,
            "rate": middle,
            "lower": lower,
            "upper": upper,
            "next_lower": next_lower,
            "next_upper": next_upper,
        }
    )
    table = pd.concat([findings, curve], ignore_index=True)
    return table.astype(dict.fromkeys((*counts, "patients"), "Int64"))


def _not_counts(fit: xr.DataTree) -> Iterator[Fault]:
    name, allowed = spec_of(fit).likelihood, "counts of two groups: likelihood 'two_arm'"
    if name == "hsct":
        kinds = evidence_of(fit)["kind"].astype(str)
        if other := int((kinds != "contrast").sum()):
            found = f"a L'Abbé plot with {other} of {len(kinds)} findings that are no counts"
            yield Fault("fit", found, "counts of both groups", 'kinds = ["contrast"]')
    elif name != "two_arm":
        found = f"a L'Abbé plot under the likelihood '{name}', which has no counts of two groups"
        yield Fault("fit", found, allowed, "plot_forest")
