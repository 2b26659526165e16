"""Items of BARG, ROBUST and WAMBS, each a function of a fit and of what the page shows of it.

The sources are Kruschke, Nature Human Behaviour 2021 (BARG, table 1); Sung and others, Journal of
Clinical Epidemiology 2005 (ROBUST); Depaoli and van de Schoot, Psychological Methods 2017 (WAMBS).
Items are named here in other words than theirs.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from metacart.inference.records import spec_of
from metacart.report.guidelines.items import (
    Found,
    Item,
    Seen,
    answered,
    beside,
    missing,
    partly,
    rows_of,
)

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["BARG", "ITEMS", "ROBUST", "WAMBS"]

_NO_CHAIN = "no Markov chain: independent draws of the exact engine, see 2D of BARG"


def _held(fit: xr.DataTree, group: str) -> bool:
    return group in fit.children and bool(fit[group].data_vars)


def _exact(fit: xr.DataTree) -> bool:
    return str(fit.attrs["method"]) == "exact"


# --- the model ----------------------------------------------------------------------------------


def _why_bayesian(seen: Seen) -> Found:
    if seen.section.methods:
        return answered("methods")
    return missing("no word on why the analysis is Bayesian")


def _goal(seen: Seen) -> Found:
    return (
        answered("question")
        if seen.section.question
        else missing("the model file asks no question")
    )


def _variables(seen: Seen) -> Found:
    if seen.section.used is None or not seen.section.used.rows:
        return missing("no table of the evidence")
    return answered("pico", "evidence") if seen.section.pico else answered("evidence")


def _likelihood(seen: Seen) -> Found:
    return answered("model") if seen.section.model else missing("the model stands nowhere in words")


def _formal(seen: Seen) -> Found:
    return (
        answered("model") if seen.section.maths else missing("the model stands nowhere in formulas")
    )


def _priors(seen: Seen) -> Found:
    stated = json.loads(str(seen.fit.attrs.get("priors", "{}")))
    if not stated or not rows_of(seen.section, "priors"):
        return missing("the fit records no priors")
    return answered("model")


def _justified(seen: Seen) -> Found:
    rows = rows_of(seen.section, "priors")
    if _priors(seen).state == "missing":
        return missing("the fit records no priors")
    bare = [str(row.cells[0]) for row in rows if row.cells[-1] in ("default", "model file")]
    if not bare:
        return answered("model")
    return partly(
        "model",
        words="each prior stands with what 95 % of it says; no source is named for some of them",
    )


def _prior_predictive(seen: Seen) -> Found:
    if not _held(seen.fit, "prior_predictive"):
        return missing("the fit holds no prior predictive draws")
    if not rows_of(seen.section, "prior_predictive"):
        return missing("the prior predictive draws are in the fit, but not on the page")
    return answered("model")


# --- the computation ----------------------------------------------------------------------------


def _software(seen: Seen) -> Found:
    versions = json.loads(str(seen.fit.attrs.get("versions", "{}")))
    return answered("made") if versions else missing("the fit records no versions")


def _technique(seen: Seen) -> Found:
    if not seen.fit.attrs.get("method"):
        return missing("the fit does not say how it was computed")
    return answered("checks", "made")


def _convergence(seen: Seen) -> Found:
    if _exact(seen.fit):
        return beside(_NO_CHAIN)
    if not _has_column(seen, "R̂"):
        return missing("no R̂ of any quantity")
    return answered("checks")


def _resolution(seen: Seen) -> Found:
    if _exact(seen.fit):
        return beside(_NO_CHAIN)
    if not _has_column(seen, "ESS, bulk"):
        return missing("no effective sample size of any quantity")
    return answered("checks")


def _has_column(seen: Seen, heading: str) -> bool:
    table = seen.section.tables.get("diagnostics")
    # a column in which nothing stands is left out of its table
    return table is not None and any(column.heading == heading for column in table.columns)


def _not_a_chain(seen: Seen) -> Found:
    if not _exact(seen.fit):
        return beside("Markov chains were run")
    if "pareto_k" not in seen.fit.attrs or "importance_ess" not in seen.fit.attrs:
        return missing("no Pareto k̂ and no effective sample size of the importance weights")
    return answered("checks")


# --- the posterior ------------------------------------------------------------------------------


def _predictive(seen: Seen) -> Found:
    if not _held(seen.fit, "posterior_predictive"):
        return missing("the fit holds no posterior predictive draws")
    return answered("checks") if rows_of(seen.section, "predictive") else missing("not on the page")


def _summary(seen: Seen) -> Found:
    if not _held(seen.fit, "posterior") or not rows_of(seen.section, "estimands"):
        return missing("no table of the estimands")
    return answered("results")


def _bayes_factors(_: Seen) -> Found:
    return beside("no Bayes factor and no probability of a model is reported")


def _decisions(_: Seen) -> Found:
    return beside("no decision is taken: probabilities are given, and the reader decides")


def _limits(seen: Seen) -> Found:
    if not spec_of(seen.fit).thresholds:
        return beside("no decision is taken, and no limit of practical equivalence is set")
    if not rows_of(seen.section, "thresholds"):
        return missing("the thresholds of the question have no table")
    return partly(
        "results", words="thresholds are those of the model file; why these stands nowhere"
    )


# --- sensitivity --------------------------------------------------------------------------------


def _sensitivity(seen: Seen) -> Found:
    if rows_of(seen.section, "sensitivity"):
        return answered("sensitivity")
    return missing("the model was not fitted again under other priors")


def _informed(seen: Seen) -> Found:
    informed = "bias" in seen.fit["posterior"] or any(
        row.cells[-1] not in ("default", "model file") for row in rows_of(seen.section, "priors")
    )
    if not informed:
        return beside("no prior is taken from other evidence")
    if "bias" in seen.fit["posterior"]:
        tipped = any(
            "immortal" in part.title.lower() or "time" in part.title.lower()
            for part in seen.section.parts
        )
        return answered("results") if tipped else missing("the prior of the bias is not varied")
    return _sensitivity(seen)


# --- reproducible -------------------------------------------------------------------------------


def _seed(seen: Seen) -> Found:
    return (
        answered("made", "checks") if "seed" in seen.fit.attrs else missing("no seed is recorded")
    )


def _data(seen: Seen) -> Found:
    if not seen.fit.attrs.get("evidence") or "evidence" not in seen.section.files:
        return missing("the evidence table is not beside the page")
    hashed = seen.fit.attrs.get("evidence_hash") and seen.fit.attrs.get("spec_hash")
    if not hashed:
        return partly("files", words="no hash of question and evidence")
    return answered("files", "made")


def _draws(seen: Seen) -> Found:
    if any(address.endswith("fit.nc") for address in seen.section.files.values()):
        return answered("files")
    return missing("the draws are not kept")


# --- WAMBS --------------------------------------------------------------------------------------


def _traces(seen: Seen) -> Found:
    found = _convergence(seen)
    if found.state != "answered":
        return found
    return partly("checks", words="R̂ of every quantity; no trace plot is drawn")


def _doubled(seen: Seen) -> Found:
    if _exact(seen.fit):
        return beside(_NO_CHAIN)
    if rows_of(seen.section, "attempts")[1:]:
        return answered("checks")
    return missing("a run that passes the gate is not repeated with twice the draws")


def _histogram(seen: Seen) -> Found:
    if not _has_column(seen, "2.5 % quantile"):
        return missing("no Monte Carlo error of the limits")
    return answered("checks")


def _sense(seen: Seen) -> Found:
    if "forest" not in seen.section.figures or not rows_of(seen.section, "predictive"):
        return partly("results", words="no figure sets the estimates beside what was reported")
    return answered("evidence", "checks")


def _variance(seen: Seen) -> Found:
    if not any(name.startswith("tau") for name in map(str, seen.fit["posterior"].data_vars)):
        return beside("the model has no variance of its own")
    return _sensitivity(seen)


def _prior_weight(seen: Seen) -> Found:
    if not _held(seen.fit, "prior"):
        return missing("the fit holds no draws of the prior")
    if "prior-posterior" not in seen.section.figures:
        return missing("no figure sets the posterior beside the prior")
    return answered("model")


def _reading(seen: Seen) -> Found:
    return answered("reading", "question" if seen.section.answer else "results")


_TEXT = {
    "BARG": (
        ("Preamble A", "Say why the analysis is Bayesian", _why_bayesian),
        ("Preamble B", "State the goal", _goal),
        ("1A", "Describe what was measured and what may explain it", _variables),
        ("1B", "Describe likelihood, parameters and levels of the model", _likelihood),
        ("1C", "State every prior and justify it", _justified),
        ("1D", "Write likelihood and priors in mathematics or code", _formal),
        ("1E", "Show what the priors predict before any data", _prior_predictive),
        ("2A", "Name the software", _software),
        ("2B", "Show that chains converged, for every quantity", _convergence),
        ("2C", "Show the effective sample size, for every quantity", _resolution),
        ("2D", "Without a chain: show how far the approximation holds", _not_a_chain),
        ("3A", "Check what the posterior predicts against the data", _predictive),
        ("3B", "Summarise the posterior: middle and interval", _summary),
        ("3C", "Give Bayes factors with posterior model probabilities", _bayes_factors),
        ("4A", "Say why a decision is taken", _decisions),
        ("4B", "State the loss of wrong decisions", _decisions),
        ("4C", "Justify limits of practical equivalence", _limits),
        ("4D", "Justify thresholds of model probabilities", _bayes_factors),
        ("4E", "Give estimates beside each decision", _summary),
        ("5A", "Vary vague priors", _sensitivity),
        ("5B", "Vary informed priors", _informed),
        ("5C", "Vary default priors of model comparisons", _bayes_factors),
        ("5D", "Vary the prior behind Bayes factors", _bayes_factors),
        ("5E", "Show whether decisions hold under other priors", _decisions),
        ("6, software", "Make it reproducible: versions of all that ran", _software),
        ("6, seed", "Make it reproducible: seed of the random numbers", _seed),
        ("6, data", "Make it reproducible: data and declared model", _data),
        ("6, draws", "Make it reproducible: keep the draws", _draws),
    ),
    "ROBUST": (
        ("1", "Specify the prior", _priors),
        ("2", "Justify the prior", _justified),
        ("3", "Test sensitivity to the prior", _sensitivity),
        ("4", "Specify the statistical model", _likelihood),
        ("5", "Name the technique of analysis", _technique),
        ("6", "Give a central estimate", _summary),
        ("7", "Give its standard deviation or credible interval", _summary),
    ),
    "WAMBS": (
        ("1", "Understand the priors", _priors),
        ("2", "Trace plots show convergence", _traces),
        ("3", "Convergence stays with twice the iterations", _doubled),
        ("4", "Enough draws for the shape of the posterior", _histogram),
        ("5", "Chains are not strongly autocorrelated", _resolution),
        ("6", "The posterior makes substantive sense", _sense),
        ("7", "Other priors of variances were tried", _variance),
        ("8", "Weight of the prior against a vague one is shown", _prior_weight),
        ("9", "Results are stable in a sensitivity analysis", _sensitivity),
        ("10", "Results are read and reported in a Bayesian way", _reading),
    ),
}


def _items(guideline: str) -> tuple[Item, ...]:
    return tuple(Item(guideline, *each) for each in _TEXT[guideline])


BARG, ROBUST, WAMBS = (_items(name) for name in _TEXT)
ITEMS: tuple[Item, ...] = (*BARG, *ROBUST, *WAMBS)
