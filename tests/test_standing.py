"""What single studies do to an answer, and the recorded calibration, as the page tells them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import metacart as mc
from metacart.evidence.library import load_studies
from metacart.inference.records import evidence_of
from metacart.report.check_words import finding_words
from metacart.report.recorded_calibration import calibration_words, recorded_calibrations
from metacart.report.refit_words import no_answer_words
from metacart.report.standing_blocks import _conflict_words, _cumulative_words, standing_blocks
from metacart.scales import SCALES

README = Path(__file__).parents[1] / "benchmarks" / "README.md"


@pytest.fixture(scope="module")
def studies() -> Any:
    return load_studies()


@pytest.fixture(scope="module")
def fit(studies: Any) -> Any:
    return mc.fit("cd22_cr", studies=studies, method="exact", draws=2000, chains=2, seed=1)


@pytest.fixture(scope="module")
def found(fit: Any, studies: Any) -> Any:
    return standing_blocks(fit, studies, finding_words(evidence_of(fit), fit), None)


def test_the_record_of_the_wheel_is_that_of_the_benchmarks() -> None:
    rows = [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in README.read_text("utf-8").splitlines()
        if line.startswith("|")
    ]
    printed = {
        row[0]: [row[1], *row[3].split("–"), *row[4].split("–"), *row[5:7]]
        for row in rows
        if len(row) == 8 and re.fullmatch(r"\d\.\d{3}–\d\.\d{3}", row[3])
    }
    assert len(printed) > 30
    assert {
        name: list(row.values())[1:] for name, row in recorded_calibrations().items()
    } == printed


def test_a_shipped_question_has_its_own_record_and_another_that_of_its_kind(
    fit: Any, studies: Any
) -> None:
    row = recorded_calibrations()["cd22_cr"]
    words = calibration_words(fit, studies)
    assert words.startswith(
        f"Recorded for this question and its papers: in {row['data_sets']} data sets simulated "
        f"from the priors, the 95 % intervals held the true value in "
        f"{100 * float(row['coverage_lowest']):.0f} to "
        f"{100 * float(row['coverage_highest']):.0f} % by quantity (chance alone leaves "
    )
    assert "metacart.calibrate(spec, evidence)" in words
    # with other papers it is another design
    own = mc.load_studies(mc.BUNDLED / "pan2019.toml", mc.BUNDLED / "shah2020.toml")
    assert "a design of its kind, “binomial”" in calibration_words(fit, own)
    other = fit.copy()
    spec = mc.load_model("cd22_cr").model_copy(
        update={"id": "mine", "within": "finding", "random_effects": "student_t"}
    )
    other.attrs = fit.attrs | {"spec": spec.model_dump_json(by_alias=True)}
    assert calibration_words(other, studies).startswith("No calibration is recorded for a model")


def test_sentences_say_what_the_tables_hold(found: Any, studies: Any) -> None:
    blocks, frames = found
    assert list(frames) == ["influence", "conflict", "cumulative"]
    influence, conflict, years = (block.words for block in blocks if block.words)
    frame = frames["influence"]
    for name in ("mu_shift", "tau_shift"):
        row = frame.loc[frame[name].abs().idxmax()]
        assert f"without {studies[row['studies']].label}, by" in influence
        assert f"{abs(row[name]):.2f} posterior SD" in influence
    assert (frame[["mu_shift", "tau_shift"]].abs().max(axis=None) < 1) == (
        "No single study moves either" in influence
    )
    rows = frames["conflict"][frames["conflict"]["row"] == "study"]
    assert not rows["conflict"].any()
    assert f"two-sided p is {rows['p_two_sided'].min():.2f} (" in conflict
    average = frames["cumulative"].query("estimand == 'population average'")
    assert average["value"].tolist() == sorted(evidence_of_years(studies, frames))
    for row in average.iloc[[0, -1]].to_dict("records"):
        assert f"{100 * row['median']:.0f} % (" in years
    tables = [block.table for block in blocks if block.table]
    assert [len(table.rows) for table in tables] == [3, 3, 3]
    assert all(block.folded for block in blocks if block.table)


def evidence_of_years(studies: Any, frames: Any) -> set[int]:
    return {studies[name].citation.year for name in frames["influence"]["studies"]}


def test_a_conflict_is_named_with_what_chance_gives(found: Any) -> None:
    frame = found[1]["conflict"].copy()
    frame.loc[0, ["p_two_sided", "conflict"]] = [0.0004, True]
    words = _conflict_words(frame, {str(frame.loc[0, "name"]): "Doe 2020, arm a"}, {})
    assert "one of three findings is not what a fit of the others expects" in words
    assert "by chance about 0.2 of 3 would be" in words
    assert "Doe 2020, arm a (p <0.001)" in words


def test_years_that_give_no_answer_and_those_that_do(found: Any) -> None:
    frame, scale = found[1]["cumulative"].copy(), SCALES["logit"]
    first = frame["step"] == 1
    frame.loc[first, ["median", "lower", "upper"]] = np.nan
    frame.loc[first, "computed"] = "cannot be fitted: why"
    assert f"the papers up to {frame['value'].unique()[1]} are the first to give a" in (
        _cumulative_words(frame, scale)
    )
    before = frame["step"] < frame["step"].max()
    frame.loc[before, ["median", "lower", "upper"]] = np.nan
    words = _cumulative_words(frame, scale)
    assert words == (
        f"Year by year: the papers before {frame['value'].max()} alone give no population average: "
        "cannot be fitted: why."
    )


# what the parts of the shipped questions lack, by the faults of the reader itself: a change of
# their words shows here
_LACKING = {
    "nothing to compare with, for no arm has “same product again: no”": {
        "moderators": ("same_product",),
        "reference": {"same_product": False},
    },
    "nothing to compare, for every arm has “target: CD22”": {"moderators": ("target",)},
    "“age group” follows from “scFv origin” here: their effects cannot be told apart": {
        "moderators": ("scfv", "age_group")
    },
}


@pytest.mark.parametrize("words", _LACKING)
def test_a_part_that_cannot_be_fitted_is_told_in_plain_words(words: str) -> None:
    spec = mc.ModelSpec(id="part", likelihood="binomial", **_LACKING[words])
    evidence = pd.DataFrame(
        {
            "study": ["a", "b", "c"],
            "events": [3, 4, 5],
            "total": [9, 9, 9],
            "target": ["CD22"] * 3,
            "same_product": [True] * 3,
            "scfv": ["murine", "human", "murine"],
            "age_group": ["adult", "child", "adult"],
        }
    )
    with pytest.raises(mc.InputError) as found:
        mc.fit(spec, evidence, progress=False)
    fault = found.value.faults[0]
    assert no_answer_words(f"cannot be fitted: {fault.place}: {fault.found}") == words


def test_other_reasons_stay_as_they_are() -> None:
    assert no_answer_words("cannot be used: R̂ 1.2") == "cannot be used: R̂ 1.2"


def test_counts_without_any_event_say_what_the_prior_says() -> None:
    """The upper limit of all-zero arms is that of the data, the lower one moves with the prior."""
    from metacart.records.vocabulary import OUTCOMES
    from metacart.report.answer import _extreme_words

    outcome = OUTCOMES["complete_remission"]
    words = {}
    for events in ((0, 0), (0, 1), (12, 10)):
        table = pd.DataFrame({"study": ["a", "b"], "events": events, "total": [12, 10]})
        spec = mc.ModelSpec(likelihood="binomial", random_effects="none")
        made = mc.fit(spec, table, method="exact", draws=500, seed=1, progress=False)
        words[events] = _extreme_words(made, outcome)
    assert words[0, 0] == (
        "None of the 22 patients reached complete remission: the counts bound the rate from above "
        "alone. How small it is, and with it the lower limit, is said by the prior of μ."
    )
    assert words[0, 1] == ""
    assert words[12, 10].startswith("All of the 22 patients reached complete remission: the counts")
    assert "from below alone. How large it is, and with it the upper limit" in words[12, 10]
