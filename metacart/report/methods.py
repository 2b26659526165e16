"""What a paper says of an analysis under Methods: one paragraph, from the fit itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from metacart.inference.records import spec_of
from metacart.records.priors import parse_prior
from metacart.report.basis import Basis
from metacart.report.guidelines.items import rows_of
from metacart.report.words import capital, count_of, grouped, join

if TYPE_CHECKING:
    import xarray as xr

    from metacart.report.section import Section

__all__ = ["methods_of"]

_SYMBOLS = {
    "mu": "μ",
    "tau": "τ",
    "tau_within": "τ within",
    "bias": "b",
    "baseline": "α",
    "rho": "ρ",
}


def methods_of(section: Section, fit: xr.DataTree, basis: Basis) -> str:
    """Return the paragraph: what was pooled, the model, the priors, the computation, the checks."""
    return " ".join((_pooled(section, basis), *section.model, *_rest(section, fit)))


def _pooled(section: Section, basis: Basis) -> str:
    findings = 0 if section.used is None else len(section.used.rows)
    whole = count_of(len(basis.studies), "study")
    patients = f" ({basis.patients} patients)" if basis.patients is not None else ""
    return (
        f"We pooled {count_of(findings, 'finding')} from {whole}{patients} in a Bayesian model, "
        "chosen because it states how probable each value is, keeps the uncertainty of the spread "
        "between few studies, and takes small counts as they are."
    )


def _rest(section: Section, fit: xr.DataTree) -> Iterator[str]:
    priors = json.loads(str(fit.attrs["priors"]))
    named = (f"{_symbol(name)} ~ {parse_prior(text)}" for name, text in priors.items())
    yield f"Priors were {join(named)}.".replace("(-", "(−").replace(" -", " −")
    yield _computed(fit)
    yield "Estimates are posterior medians with 95 % equal-tailed intervals."
    if checks := len(rows_of(section, "predictive")):
        odd = sum(row.cells[-1] == "surprising" for row in section.tables["predictive"].rows)
        found = "none" if not odd else str(odd)
        yield (
            "The fit was checked by replicates from new studies under the model "
            f"({count_of(checks, 'check')}, {found} surprising)."
        )
    if rows_of(section, "sensitivity"):
        yield "The analysis was repeated under narrower and wider priors and with a common effect."
    if rows_of(section, "left_out"):
        yield f"Each {spec_of(fit).group} was left out in turn."
    versions = json.loads(str(fit.attrs.get("versions", "{}")))
    listed = join(f"{name} {value}" for name, value in versions.items())
    yield f"Software: {listed}; seed {fit.attrs['seed']}."


def _symbol(name: str) -> str:
    kind, _, coefficient = name.partition(":")
    symbol = _SYMBOLS.get(kind, "β" if coefficient else kind)
    return f"{symbol} ({coefficient})" if coefficient else symbol


def _computed(fit: xr.DataTree) -> str:
    sizes = fit["posterior"].sizes
    draws = grouped(sizes["chain"] * sizes["draw"])
    if str(fit.attrs["method"]) == "exact":
        trust = ""
        if "pareto_k" in fit.attrs:
            trust = (
                f" (Pareto k̂ {float(fit.attrs['pareto_k']):.2f}, effective sample size "
                f"{grouped(float(fit.attrs['importance_ess']))})".replace("-", "−")
            )
        effects = "The parameters were "
        if "tau" in fit["posterior"]:
            effects = "The effects of studies were integrated out by quadrature, the parameters "
        return f"{effects}drawn by importance sampling{trust}; {draws} draws were kept."
    return capital(
        f"{count_of(int(sizes['chain']), 'chain')} of the No-U-Turn sampler gave {draws} draws "
        "after tuning, with R̂ below 1.01 and no divergent transition asked of every parameter."
    )
