"""All combinations of choices, and which of them moves the answer."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import metacart as mc

SPEC = mc.ModelSpec(
    outcome="complete_remission",
    population=["infused", "evaluable"],
    likelihood="binomial",
    priors={"tau": "HalfNormal(1)"},
)
COUNTS = ((8, 20, 9), (9, 20, 10), (7, 20, 8), (8, 18, 9))


def paper(number: int, events: int, infused: int, evaluable: int) -> mc.Study:
    """A study in which half of the infused, but nearly all of the evaluable responded."""
    patients = {"enrolled": 21, "infused": infused, "evaluable": evaluable}
    citation = {"title": "A study", "authors": ["Doe J"], "year": 2020, "doi": f"10.1000/{number}"}
    return mc.Study(
        schema=1,
        id=f"s{number}",
        citation=citation,
        conduct={"study_design": "single-arm phase 1"},
        arms=[
            {"id": "car", "disease": "B-ALL", "infusion": "first", "scfv": "murine"}
            | {"targets": ["CD19"], "patients": patients}
        ],
        findings=[
            {"arm": "car", "outcome": "complete_remission", "population": name, "at": "Table 2"}
            | {"count": {"events": events, "total": total}}
            for name, total in (("infused", infused), ("evaluable", evaluable))
        ],
    )


CHOICES = {
    "population": [["infused", "evaluable"], ["evaluable", "infused"]],
    "tau": ["HalfNormal(0.5)", "HalfNormal(1)"],
}


@pytest.fixture(scope="module")
def library() -> list[mc.Study]:
    return [paper(number, *counts) for number, counts in enumerate(COUNTS)]


@pytest.fixture(scope="module")
def table(library: list[mc.Study]) -> pd.DataFrame:
    return mc.multiverse(SPEC, choices=CHOICES, studies=library, progress=False)


def test_the_choice_that_moves_the_answer_heads_the_table(table: pd.DataFrame) -> None:
    ranked = mc.rank_choices(table)
    assert ranked["choice"].tolist() == ["population", "tau"]
    first = ranked.iloc[0]
    assert (first["lowest"], first["highest"]) == ("infused, evaluable", "evaluable, infused")
    assert first["share"] > 0.95
    assert first["range"] > 0.2
    assert ranked["largest"].iloc[1] < 0.05


def test_each_universe_is_a_fit_of_its_own(table: pd.DataFrame, library: list[mc.Study]) -> None:
    assert table["universe"].nunique() == 4
    for population, tau in product(CHOICES["population"], CHOICES["tau"]):
        spec = SPEC.model_copy(update={"population": tuple(population), "priors": {"tau": tau}})
        fit = mc.fit(spec, studies=library, draws=2000, seed=1, progress=False)
        expected = mc.summarize(fit).set_index("estimand")
        rows = table[(table["population"] == ", ".join(population)) & (table["tau"] == tau)]
        assert rows["estimand"].tolist() == [
            "median study", "population average", "next study", "tau",
        ]  # fmt: skip
        for row in rows.itertuples():
            assert row.median == expected.loc[row.estimand, "median"]
            assert row.upper == expected.loc[row.estimand, "upper"]
        declared = population[0] == "infused" and tau == "HalfNormal(1)"
        assert rows["declared"].tolist() == [declared] * 4
        assert (rows["studies"] == 4).all()


def test_universes_stand_in_the_order_of_their_answers(table: pd.DataFrame) -> None:
    shown = table[table["estimand"] == table.attrs["estimand"]]
    assert table.attrs["estimand"] == "population average"
    assert shown["universe"].tolist() == [1, 2, 3, 4]
    assert shown["median"].is_monotonic_increasing


def test_what_is_the_same_analysis_is_fitted_once(
    library: list[mc.Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reports of a cohort make no difference here, and a common effect has no prior of tau."""
    from metacart.inference import refits

    fitted: list[Any] = []
    real = refits.fit_again

    def counted(spec: Any, evidence: Any, **options: Any) -> Any:
        fitted.append(spec)
        return real(spec, evidence, **options)

    monkeypatch.setattr(refits, "fit_again", counted)
    table = mc.multiverse(
        SPEC,
        choices={
            "representative": ["primary", "largest", "latest"],
            "tau": ["HalfNormal(1)", "HalfNormal(2)"],
            "random_effects": ["normal", "none"],
        },
        studies=library,
        draws=2000,
        progress=False,
    )
    # beside the declared one: the wider prior, and the common effect
    assert len(fitted) == 2
    shown = table[table["estimand"] == "median study"]
    assert len(shown) == 12
    assert shown["declared"].sum() == 3
    assert shown.groupby(["tau", "random_effects"])["median"].nunique().eq(1).all()
    none = shown[shown["random_effects"] == "none"]
    assert np.ptp(none["median"]) == 0


def test_a_universe_that_cannot_be_is_a_row_with_its_reason(library: list[mc.Study]) -> None:
    choices = {
        "model": {
            "binomial": {"likelihood": "binomial"},
            "beta-binomial": {"likelihood": "beta_binomial"},
        },
        "random_effects": ["normal", "none"],
    }
    table = mc.multiverse(SPEC, choices=choices, studies=library, draws=2000, progress=False)
    both = table[(table["model"] == "beta-binomial") & (table["random_effects"] == "normal")]
    assert both["median"].isna().all()
    assert (
        both["computed"].str.startswith("cannot be fitted: random_effects: 'normal' beside").all()
    )
    assert (both["universe"] == 4).all(), table[["universe", "model", "computed"]]
    ranked = mc.rank_choices(table)
    assert ranked["share"].notna().all()


def test_thresholds_and_subsets_are_fits_of_the_rows_that_stay(library: list[mc.Study]) -> None:
    """Filters of several choices hold together, and beside those of the question."""
    car = library[3].arms[0].model_copy(update={"scfv": "human", "costimulation": "CD28"})
    studies = [*library[:3], library[3].model_copy(update={"arms": (car,)})]
    spec = SPEC.model_copy(update={"include": {"infusion": ("first",)}})
    choices = {
        "size": {
            "all": {},
            "20 patients": {"at_least": {"total": 20}},
            "90 patients": {"at_least": {"total": 90}},
        },
        "origin": {"any": {}, "murine": {"include": {"scfv": ["murine"]}}},
        "costimulation": {"any": {}, "CD28": {"include": {"costimulation": ["CD28"]}}},
    }
    table = mc.multiverse(spec, choices=choices, studies=studies, progress=False)
    rows = table[table["estimand"] == "population average"]
    rows = rows.set_index(["size", "origin", "costimulation"])
    assert rows.loc[("all", "any", "any"), "findings"] == 4
    assert rows.loc[("20 patients", "any", "any"), "findings"] == 3
    assert rows.loc[("all", "any", "CD28"), "findings"] == 1
    # no arm is both: the later filter does not replace the earlier one
    assert rows.loc[("all", "murine", "CD28"), "computed"].startswith("cannot be fitted: ")
    found = "cannot be fitted: at_least: no finding has a total of 90 or more"
    assert rows.loc[("90 patients", "any", "any"), "computed"] == found
    # the one of 18 patients is the human one: both choices come to the same fit
    numbers = ["median", "lower", "upper"]
    left, right = (
        rows.loc[key, numbers].tolist()
        for key in (("20 patients", "any", "any"), ("all", "murine", "any"))
    )
    assert left == right
    evidence = mc.tabulate(studies, spec).query("total >= 20").reset_index(drop=True)
    again = mc.fit(spec, evidence, draws=2000, seed=1, progress=False)
    own = mc.summarize(again).set_index("estimand").loc["population average", numbers]
    assert left == own.tolist()


def test_the_default_choices_of_a_question(library: list[mc.Study]) -> None:
    from metacart.records.priors import parse_prior
    from metacart.results.choices import declared_choices

    found = declared_choices(SPEC, parse_prior("HalfNormal(1)"))
    assert {choice.name: list(choice.options) for choice in found} == {
        "population": ["infused first", "evaluable first"],
        "report of a cohort": ["primary", "largest", "latest"],
        "quoted numbers": ["include", "exclude"],
        "prior of tau": ["as declared, HalfNormal(1)", "HalfNormal(0.5)", "HalfNormal(2)"],
        "model": ["normal effects", "Student-t effects", "common effect", "beta-binomial"],
    }
    bare = mc.ModelSpec(likelihood="normal", random_effects="none")
    assert declared_choices(bare, None) == []


# ---- ranking


def test_shares_are_those_of_a_regression_on_the_options() -> None:
    """R² of dummies of one choice alone, in a full factorial design."""
    rng = np.random.default_rng(2)
    rows = [
        {"universe": n + 1, "a": a, "b": b, "c": c, "estimand": "median study"}
        | {"median": {"x": 0.1, "y": 0.4, "z": 0.2}[a] + 0.1 * (b == "q") + rng.normal(0, 0.05)}
        for n, (a, b, c) in enumerate(product("xyz", "pq", "uv"))
    ]
    table = pd.DataFrame(rows)
    table.attrs = {"choices": {"c": [], "b": [], "a": []}, "estimand": "median study"}
    ranked = mc.rank_choices(table).set_index("choice")
    assert ranked.index.tolist() == ["a", "b", "c"]
    y = table["median"].to_numpy()
    for name, row in ranked.iterrows():
        x = pd.get_dummies(table[str(name)]).to_numpy(float)
        fitted = x @ np.linalg.lstsq(x, y, rcond=None)[0]
        assert row["share"] == pytest.approx(fitted.var() / y.var())
        others = [other for other in "abc" if other != name]
        pairs = [np.ptp(group["median"]) for _, group in table.groupby(others)]
        assert row["largest"] == pytest.approx(max(pairs))


# ---- what is refused


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        (
            {"poplation": ["infused", "evaluable"]},
            "choices['poplation']['infused']: poplation: this key is not known",
        ),
        (
            {"tau": ["HalfNormal(1)"]},
            (
                "choices['tau']: ['HalfNormal(1)']; allowed: two options or more: values of a key "
                "of the question, or a table of them"
            ),
        ),
        (
            {"representative": ["primary", "newest"]},
            (
                "choices['representative']['newest']: representative: 'newest' is not known; "
                "allowed: primary, largest, latest"
            ),
        ),
        (
            {"model": {"a": {"nu": 3}, "b": "student_t"}},
            "choices['model']['b']: 'student_t'; allowed: the keys of the question that it changes",
        ),
        (
            {"studies": {"a": {}, "b": {"random_effects": "none"}}},
            "choices['studies']: a column of the table; allowed: another name than universe",
        ),
        (
            {"size": {"all": {}, "large": {"at_least": {"total": "ten"}}}},
            "choices['size']['large']: at_least['total']: 'ten'; allowed: a number",
        ),
        (
            {"size": {"all": {}, "large": {"at_least": 10}}},
            (
                "choices['size']['large']: at_least: 10; allowed: a number by column, such as "
                '{"total": 10}'
            ),
        ),
        (
            {"size": {"all": {}, "large": {"at_least": {"totl": 10}}}},
            "choices['size']['large']: at_least: 'totl' is no column of numbers of the evidence",
        ),
        ({}, "choices: none; allowed: a choice of two options or more"),
        (["tau"], "choices: ['tau']; allowed: a table of choices by name"),
    ],
)
def test_choices_that_cannot_be(library: list[mc.Study], choices: Any, message: str) -> None:
    with pytest.raises(mc.InputError) as error:
        mc.multiverse(SPEC, choices=choices, studies=library, progress=False)
    assert message in str(error.value)


def test_every_fault_of_choices_at_once(library: list[mc.Study]) -> None:
    choices = {"representative": ["primary", "newest"], "tau": ["HalfNormal(1)"], "nu": [0.5, 4]}
    with pytest.raises(mc.InputError) as error:
        mc.multiverse(SPEC, choices=choices, studies=library, progress=False)
    assert len(error.value.faults) == 3


def test_another_table_and_unknown_options(table: pd.DataFrame) -> None:
    with pytest.raises(mc.InputError, match="a DataFrame without its choices"):
        mc.rank_choices(pd.DataFrame())
    with pytest.raises(mc.InputError, match="'mean' is not known; allowed: 'median study'"):
        mc.rank_choices(table, estimand="mean")
    with pytest.raises(mc.InputError, match=r"multiverse\(choice=…\): no such option"):
        mc.multiverse(SPEC, choice={})  # type: ignore[call-arg]


# ---- the figure


def test_the_curve_shows_the_table(table: pd.DataFrame, tmp_path: Path) -> None:
    pc = mc.plot_multiverse(table, backend="none")
    rows = [f"universe:{n}" for n in (1, 2, 3, 4)]
    for name in ("median", "interval", "chosen"):
        assert pc.viz[name].coords["row"].to_numpy().tolist() == rows
    assert pc.viz["chosen"].sizes["row"] == 4
    assert pc.viz["declared"].sizes["row"] == 1
    assert "population explains" in pc.viz.attrs["alt"]
    mc.plot_multiverse(table, estimand="next study", file=tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 10_000
    figure = mc.plot_multiverse(table).get_viz("figure")
    texts = {text.get_gid(): text for axes in figure.axes for text in axes.texts}
    heights = {
        name: texts[f"choice:{name}"].get_window_extent().y0 for name in ("population", "tau")
    }
    assert heights["population"] > heights["tau"]  # what moves the answer stands first


def test_universes_without_numbers_are_told(table: pd.DataFrame) -> None:
    """What is not drawn is said, with the options that all of it shares."""
    lost = table.copy()
    lost.attrs = table.attrs
    numbers = ["median", "lower", "upper"]
    lost.loc[lost["universe"] == 4, numbers] = np.nan
    said = mc.plot_multiverse(lost, backend="none").viz.attrs
    assert "4 universes" in said["title"]
    assert said["alt"].endswith(
        "1 of 4 universes has no numbers and is not drawn; the table says why."
    )
    option = table["population"].iloc[0]
    lost.loc[lost["population"] == option, numbers] = np.nan
    lost.loc[lost["population"] != option, numbers] = table.loc[
        table["population"] != option, numbers
    ]
    said = mc.plot_multiverse(lost, backend="none").viz.attrs["alt"]
    assert f"2 of 4 universes have no numbers and are not drawn, all with {option};" in said
