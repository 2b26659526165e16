"""Reporting guidelines: an item is answered by what fit and page hold, and by nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any

import pandas as pd
import pytest
import xarray as xr

import metacart as mc
from metacart.errors import InputError
from metacart.evidence.collection import Studies
from metacart.inference.records import design_of
from metacart.modelling.design import scale_of
from metacart.records.vocabulary import OUTCOMES
from metacart.report.account_tables import LeftOut
from metacart.report.basis import Basis
from metacart.report.check_tables import (
    attempts_table,
    diagnostics_table,
    heterogeneity_table,
    predictive_table,
    prior_predictive_table,
)
from metacart.report.figures import Figure
from metacart.report.guidelines.appendix import guidelines_of, items_of
from metacart.report.guidelines.bayes import BARG, ITEMS, ROBUST, WAMBS
from metacart.report.guidelines.items import PAGE, PLACES, answered, line_of, missing
from metacart.report.guidelines.prisma import prisma_lines
from metacart.report.methods import methods_of
from metacart.report.model_words import formulas, prior_table, sentences
from metacart.report.pico import pico
from metacart.report.result_tables import estimand_table, threshold_table
from metacart.report.section import Section
from metacart.report.tables import Column, Row, Table
from metacart.results.checks import diagnostics, predictive_checks
from metacart.results.heterogeneity import heterogeneity
from metacart.results.summary import summary_with_errors

SPEC = mc.ModelSpec(
    id="rate", outcome="complete_remission", likelihood="binomial", thresholds=[0.5]
)
EVIDENCE = pd.DataFrame(
    {
        "study": ["a", "b", "c", "d"],
        "events": [8, 15, 12, 20],
        "total": [20, 20, 25, 24],
    }
)
TABLE = Table("any", (Column("a"),), (Row(("b",)),))
FIGURE = Figure("data:", "alt", "caption", {}, 100)


@pytest.fixture(scope="module")
def fit() -> xr.DataTree:
    return mc.fit(SPEC, EVIDENCE, method="exact", draws=4000, seed=1)


@pytest.fixture(scope="module")
def section(fit: xr.DataTree) -> Section:
    """What the page shows of a question that has everything but refits, which stand in by name."""
    scale, summary = scale_of(design_of(fit)), summary_with_errors(fit)
    prior = predictive_checks(fit, group="prior_predictive")
    made = Section(
        name="rate",
        title="Rate",
        question="How many?",
        state="answered",
        short="60 of 100",
        basis=Basis(()),
        notes=("Small studies.",),
        used=TABLE,
        left=LeftOut("one finding", 1, (TABLE,), ""),
        model=tuple(sentences(fit)),
        maths=tuple(formulas(fit)),
        tables={
            "bias": TABLE,
            "priors": prior_table(fit),
            "prior_predictive": prior_predictive_table(prior, {}, scale),
            "estimands": estimand_table(fit, summary),
            "thresholds": threshold_table(fit, summary),
            "spread": heterogeneity_table(heterogeneity(fit), "normal"),
            "predictive": predictive_table(predictive_checks(fit), {}, scale),
            "diagnostics": diagnostics_table(diagnostics(fit)),
            "attempts": attempts_table(fit),
            **dict.fromkeys(("sensitivity", "left_out", "published", "levels"), TABLE),
        },
        figures=dict.fromkeys(("forest", "ppc", "prior-posterior", "flow"), FIGURE),
        files={"evidence": "rate/evidence.csv", "fit (netCDF)": "rate/fit.nc"}
        | {"risk of bias": "rate/risk-of-bias.csv"},
        record={"Seed": "1"},
        versions={"metacart": "0"},
        pico=pico(SPEC, [], OUTCOMES),
        findings=(Row(("Rate", "60")),),
    )
    return replace(made, methods=methods_of(made, fit, Basis(())))


def _state(section: Section, fit: xr.DataTree, *item: str) -> str:
    return items_of(section, fit)[item].state


# --- the lists ----------------------------------------------------------------------------------


def test_the_guidelines_have_their_items() -> None:
    # seven items of Sung 2005, ten points of Depaoli and van de Schoot, 42 with letters of PRISMA
    assert [item.number for item in ROBUST] == [str(n) for n in range(1, 8)]
    assert [item.number for item in WAMBS] == [str(n) for n in range(1, 11)]
    lettered = {"10": "ab", "13": "abcdef", "16": "ab", "20": "abcd", "23": "abcd", "24": "abc"}
    prisma = [f"{n}{each}" for n in range(1, 28) for each in lettered.get(str(n), ("",))]
    assert [line.number for line in prisma_lines([], Studies([]))] == prisma
    steps = ["Preamble A", "Preamble B", *(f"1{letter}" for letter in "ABCDE")]
    steps += [f"{n}{letter}" for n, letters in ((2, "ABCD"), (3, "ABC")) for letter in letters]
    steps += [f"{n}{letter}" for n in (4, 5) for letter in "ABCDE"]
    assert [item.number for item in BARG][: len(steps)] == steps


# --- the source of an item ----------------------------------------------------------------------


def _without(fit: xr.DataTree) -> Iterator[tuple[str, xr.DataTree]]:
    for group in ("prior", "prior_predictive", "posterior_predictive"):
        yield group, _drop(fit, group)
    for name in ("versions", "seed", "priors", "evidence", "method", "pareto_k"):
        again = fit.copy()
        again.attrs = {key: value for key, value in fit.attrs.items() if key != name}
        yield name, again


def _drop(fit: xr.DataTree, group: str) -> xr.DataTree:
    again = fit.copy()
    del again[group]
    return again


def _emptied(section: Section) -> Iterator[tuple[str, Section]]:
    for name in section.tables:
        kept = {key: table for key, table in section.tables.items() if key != name}
        yield name, replace(section, tables=kept)
    for name in section.figures:
        yield (
            name,
            replace(section, figures={k: v for k, v in section.figures.items() if k != name}),
        )
    for name in section.files:
        yield name, replace(section, files={k: v for k, v in section.files.items() if k != name})
    for name in ("question", "model", "maths", "pico", "methods", "notes", "findings"):
        default = next(each.default for each in fields(Section) if each.name == name)
        yield name, replace(section, **{name: default if isinstance(default, tuple) else ""})
    yield "used", replace(section, used=None)
    yield "all figures", replace(section, figures={"flow": FIGURE})
    yield (
        "all sensitivity",
        replace(
            section,
            tables={
                k: v for k, v in section.tables.items() if k not in ("sensitivity", "left_out")
            },
        ),
    )


@pytest.mark.parametrize(
    ("item", "group"),
    [
        (("BARG", "1E"), "prior_predictive"),
        (("BARG", "3A"), "posterior_predictive"),
        (("WAMBS", "8"), "prior"),
    ],
)
def test_an_item_whose_draws_are_gone_is_missing(
    section: Section, fit: xr.DataTree, item: tuple[str, str], group: str
) -> None:
    assert _state(section, fit, *item) == "answered"
    found = items_of(section, _drop(fit, group))
    assert found[item].state == "missing"
    assert found[item].places == ()
    others = items_of(section, fit)
    changed = {key for key in found if found[key] != others[key]}
    assert changed == {item}


def test_prior_predictive_draws_that_are_not_shown_are_no_answer(
    section: Section, fit: xr.DataTree
) -> None:
    tables = {name: each for name, each in section.tables.items() if name != "prior_predictive"}
    found = items_of(replace(section, tables=tables), fit)["BARG", "1E"]
    assert (found.state, found.words) == (
        "missing",
        "the prior predictive draws are in the fit, but not on the page",
    )


def test_every_bayesian_item_that_is_answered_hangs_on_a_source(
    section: Section, fit: xr.DataTree
) -> None:
    found = items_of(section, fit)
    turned = {
        key
        for _, again in _without(fit)
        if "method" in again.attrs
        for key, each in items_of(section, again).items()
        if each.state == "missing"
    } | {
        key
        for _, again in _emptied(section)
        for key, each in items_of(again, fit).items()
        if each.state == "missing"
    }
    answers = {key for key, each in found.items() if each.state in ("answered", "partly")}
    assert not any(each.state == "missing" for each in found.values())
    # how the fit was computed, and the way of reading, are in every fit and on every page
    assert answers - turned == {("ROBUST", "5"), ("WAMBS", "10"), ("WAMBS", "6")}


def test_every_prisma_item_that_is_answered_by_a_question_hangs_on_a_source(
    section: Section,
) -> None:
    studies = mc.load_studies()
    whole = {line.number: line.state for line in prisma_lines([section], studies)}
    turned = {
        line.number
        for _, again in _emptied(section)
        for line in prisma_lines([again], studies)
        if line.state == "missing" and whole[line.number] != "missing"
    }
    of_page = {"2", "9", "10b", "17", "23c"}
    held = {number for number, state in whole.items() if state in ("answered", "partly")}
    assert held - of_page - turned == {"16b", "13e", "20c", "27"} - turned
    for number in ("1", "6", "7", "24a", "25", "26"):
        assert whole[number] == "missing"


def test_a_chain_has_other_items_than_independent_draws(section: Section, fit: xr.DataTree) -> None:
    assert _state(section, fit, "BARG", "2B") == "does not apply"
    assert _state(section, fit, "BARG", "2D") == "answered"
    chain = fit.copy()
    chain.attrs = fit.attrs | {"method": "nuts"}
    assert _state(section, chain, "BARG", "2B") == "missing"  # the table has no R̂
    columns = (Column("Quantity"), Column("R̂"), Column("ESS, bulk"), Column("2.5 % quantile"))
    shown = replace(section, tables={**section.tables, "diagnostics": Table("", columns, ())})
    states = {item[1]: _state(shown, chain, *item) for item in (("BARG", "2B"), ("BARG", "2C"))}
    assert states == {"2B": "answered", "2C": "answered"}
    assert _state(shown, chain, "BARG", "2D") == "does not apply"
    assert _state(shown, chain, "WAMBS", "2") == "partly"  # no trace plot
    assert _state(shown, chain, "WAMBS", "3") == "missing"


# --- over the page ------------------------------------------------------------------------------


def test_a_line_says_which_questions_leave_it_open() -> None:
    order = ["a", "b", "c"]
    line = line_of("1E", "x", {"a": answered("model"), "c": missing("no draws")}, order)
    assert line.state == "partly"
    assert line.words == "question 3: no draws"
    assert line.where == 'The model\u00a0of <a href="#a-model">1</a>'
    both = line_of("1E", "x", {"a": missing("no draws"), "c": missing("no draws")}, order)
    assert (both.state, both.words, both.where) == ("missing", "no draws", "")
    page = line_of("2A", "x", {"a": answered("made"), "b": answered("made")}, order)
    assert page.where == '<a href="#made">How this page was made</a>'


def test_an_appendix_counts_and_lists_its_gaps(section: Section, fit: xr.DataTree) -> None:
    studies = Studies([])
    assert guidelines_of([section], studies) == []  # nothing was looked up
    whole = replace(section, items=items_of(section, _drop(fit, "prior_predictive")))
    barg = guidelines_of([whole], studies)[0]
    assert barg.counts.startswith("28 items: ")
    assert "1 missing" in barg.counts
    assert "1E Show what the priors predict before any data: the fit holds no prior" in " ".join(
        barg.gaps
    )
    assert len(barg.table.rows) == len(BARG)
    named = {place for each in whole.items.values() for place in each.places}
    assert named <= set(PLACES) | set(PAGE)


def test_the_methods_say_what_was_done(section: Section) -> None:
    for words in (
        "We pooled one finding from no studies (0 patients) in a Bayesian model",
        "Priors were μ ~ Normal(0, 1.5) and τ ~ HalfNormal(1).",
        "integrated out by quadrature, the parameters drawn by importance sampling (Pareto k̂",
        "16\u00a0000 draws were kept",
        "posterior medians with 95 % equal-tailed intervals",
        "seed 1.",
    ):
        assert words in section.methods


def test_the_parts_of_a_question() -> None:
    spec = mc.load_model("retreatment_cr")
    studies = mc.load_studies()
    parts = dict(pico(spec, [studies["an2022"]], studies.vocabulary))
    assert parts["Patients"].startswith("B-ALL; counted: all infused, evaluable or all enrolled")
    assert "re-treatment" in parts["Intervention"]
    assert parts["Comparison"] == "scFv origin: humanized against murine"
    assert parts["Outcome"].startswith("Complete remission with or without")
    benefit = dict(pico(mc.load_model("hsct_benefit_os"), [], studies.vocabulary))
    assert benefit["Comparison"] == "Not transplanted"
    assert benefit["Outcome"] == "Overall survival, that is time to death from any cause"


def test_a_group_that_has_no_replicates_is_refused(fit: xr.DataTree) -> None:
    check: Callable[..., Any] = predictive_checks
    with pytest.raises(InputError, match="prior_predictive"):
        check(fit, group="prior")
    frame = predictive_checks(fit, group="prior_predictive").set_index("check")
    drawn = fit["prior_predictive"]["y"].to_numpy().reshape(-1, 4) / EVIDENCE["total"].to_numpy()
    assert frame.loc["mean", "upper"] == pytest.approx(
        pd.Series(drawn.mean(axis=1)).quantile(0.975)
    )
    assert len(ITEMS) == len(BARG) + len(ROBUST) + len(WAMBS)
