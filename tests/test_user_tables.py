"""A user's own table: what it cannot be, each in words, with what to try; never a silent guess."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

import metacart as mc
from metacart.errors import InputError
from metacart.modelling.design import bind
from metacart.modelling.table import as_table

TABLE = pd.DataFrame({"study": list("ABCD"), "events": [9, 5, 13, 2], "total": [10, 8, 19, 9]})
RATIOS = pd.DataFrame(
    {
        "study": list("ABC"),
        "ratio": [0.5, 0.8, 1.2],
        "lower": [0.25, 0.4, 0.6],
        "upper": [1, 1.6, 2.4],
    }
)
ESTIMATES = pd.DataFrame({"study": list("ABC"), "estimate": [0.1, 0.2, 0.3], "se": [0.1, 0.1, 0.2]})
COUNTS = mc.ModelSpec(likelihood="binomial")
NORMAL = mc.ModelSpec(likelihood="normal", priors={"mu": "Normal(0, 1)", "tau": "HalfNormal(1)"})


def moderated(*names: str, **options: Any) -> mc.ModelSpec:
    return mc.ModelSpec(likelihood="binomial", moderators=names, **options)


def refused(spec: mc.ModelSpec, table: Any) -> list[str]:
    with pytest.raises(InputError) as refusal:
        bind(spec, table)
    return str(refusal.value).split("\n")


# --- what is no table ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("evidence", "words"),
    [
        (TABLE.to_dict("list"), ["evidence: a dict", "pandas.DataFrame(evidence)"]),
        (TABLE.to_dict("records"), ["evidence: a list", "pandas.DataFrame(evidence)"]),
        (TABLE.to_numpy(), ["evidence: a ndarray", "pandas.DataFrame(evidence)"]),
        (TABLE["events"], ["evidence: a Series", "columns of the likelihood"]),
        ("my.csv", ["evidence: a str", "pandas.read_csv('my.csv')"]),
        (TABLE.iloc[:0], ["evidence: no rows"]),
    ],
)
def test_evidence_that_is_no_table(evidence: Any, words: list[str]) -> None:
    with pytest.raises(InputError) as refusal:
        mc.fit(COUNTS, evidence)
    for word in words:
        assert word in str(refusal.value)


def test_studies_go_by_name() -> None:
    with pytest.raises(InputError, match=r"a Studies; .*fit\(spec, studies=studies\)"):
        mc.fit("cr_rate", mc.load_studies())


def test_a_frame_of_another_library_is_named_and_how_to_turn_it() -> None:
    class DataFrame:
        def to_pandas(self) -> None: ...

    DataFrame.__module__ = "polars.dataframe.frame"
    with pytest.raises(InputError) as refusal:
        mc.fit(COUNTS, DataFrame())
    assert str(refusal.value) == (
        "evidence: a polars DataFrame; allowed: a DataFrame of pandas; try: evidence.to_pandas()"
    )


def test_a_table_in_the_place_of_question_or_studies_says_where_it_belongs() -> None:
    with pytest.raises(InputError) as refusal:
        mc.fit(TABLE, COUNTS)
    assert str(refusal.value).startswith("model: a DataFrame is no path; ")
    assert str(refusal.value).endswith("its table second: fit(spec, evidence)")
    with pytest.raises(InputError, match=r"studies: a DataFrame; .*fit\(spec, table\)"):
        mc.fit("cr_rate", studies=TABLE)


def test_fits_side_by_side_go_by_name() -> None:
    with pytest.raises(InputError, match=r"fit: a list; .*a dict with a name for each"):
        mc.plot_forest([1, 2])


def test_what_a_terminal_shows_is_short_and_without_defaults() -> None:
    spec = mc.ModelSpec(likelihood="binomial", moderators=["scfv"])
    assert repr(spec) == "ModelSpec(likelihood='binomial', moderators=('scfv',))"
    assert repr(mc.load_studies()["an2022"]) == "Study(an2022: 4 arms, 35 findings)"
    assert repr(mc.LIKELIHOODS["two_arm"]).startswith("Likelihood('two_arm': ")
    assert repr(mc.LIKELIHOODS["joint"]).startswith("System('joint': ")
    assert all(len(repr(each)) < 120 for each in mc.LIKELIHOODS.values())


def test_a_column_that_stands_twice_is_named() -> None:
    twice = pd.concat([TABLE, TABLE[["events", "study"]]], axis=1)
    (line,) = refused(COUNTS, twice)
    assert line.startswith("columns: 'events', 'study' more than once")
    deep = TABLE.set_axis(pd.MultiIndex.from_product([["x"], TABLE.columns]), axis=1)
    (line,) = refused(COUNTS, deep)
    assert "names of 2 levels" in line
    assert "get_level_values(-1)" in line


# --- columns and cells --------------------------------------------------------------------------


def test_missing_columns_are_told_together_with_what_to_rename() -> None:
    lines = refused(COUNTS, TABLE.set_axis(["Study", "Events", "n"], axis=1))
    assert [line.split(":")[0] for line in lines] == [
        "column 'study'",
        "column 'events'",
        "column 'total'",
    ]
    assert "names are in lower case: rename 'Study' to 'study'" in lines[0]
    (line,) = refused(COUNTS, TABLE.set_index("study"))
    assert "table.reset_index()" in line
    assert lines[2].endswith("rename 'n' to 'total', if that is what it holds")
    lines = refused(COUNTS, TABLE.set_axis(["studlab", "n events", "Sample size"], axis=1))
    assert [line.split("try: ")[1].split(",")[0] for line in lines] == [
        "rename 'studlab' to 'study'",
        "rename 'n events' to 'events'",
        "rename 'Sample size' to 'total'",
    ]
    (line,) = refused(NORMAL, RATIOS.drop(columns="ratio"))
    assert line.startswith("column 'ratio': this column is missing")


def test_a_missing_column_hides_no_faulty_cell() -> None:
    table = TABLE.drop(columns=["study", "events"]).assign(total=[-1, "x", 0, 3])
    lines = refused(COUNTS, table)
    assert lines[0].startswith("column 'study'")
    assert lines[1].startswith("column 'events'")
    assert [line.split(",")[0] for line in lines[2:]] == ["row 1", "row 2", "row 3"]


@pytest.mark.parametrize(
    ("cells", "hint"),
    [
        (["9", "5", "13", "2"], "this is text: table['events'].astype(int)"),
        (["9/10", 5, 13, 2], "9 in the column of events, 10 in that of the total"),
        (["9 of 10", 5, 13, 2], "9 in the column of events, 10 in that of the total"),
        (["40 %", 5, 13, 2], "not the percentage: conversions.percentage_to_count finds them"),
        (["n.r.", 5, 13, 2], "leave the row out where the number is not reported"),
        (["9 CR", 5, 13, 2], "a number without words or signs"),
        ([True, False, True, False], "numbers instead of true and false"),
        ([None, None, 1, 2], "fill it in, or leave the row out"),
    ],
)
def test_cells_say_what_to_try(cells: list[Any], hint: str) -> None:
    lines = refused(COUNTS, TABLE.assign(events=pd.Series(cells, dtype=object)))
    assert lines[0].startswith("row 1 (A), column 'events': ")
    assert lines[0].endswith(hint)


@pytest.mark.parametrize("size", [2**63, 10**30, 1e19])
def test_counts_that_no_study_has(size: float) -> None:
    events = pd.Series([size, 1, 2, 3], dtype=object)
    lines = refused(COUNTS, TABLE.assign(events=events, total=events.map(lambda n: n + 1)))
    assert len(lines) == 2
    assert all("at most 1,000,000,000" in line for line in lines)


@pytest.mark.parametrize("se", [1e-300, 1e-160, 1e-9])
def test_standard_errors_that_no_estimate_has(se: float) -> None:
    lines = refused(NORMAL, ESTIMATES.assign(se=se))
    assert len(lines) == 3
    assert f"row 1 (A), column 'se': a standard error of {se:g}" in lines[0]
    assert "2e-07 or more" in lines[0]
    # small beside nothing but itself, and within bounds: a table in another unit
    bind(NORMAL, ESTIMATES.assign(estimate=ESTIMATES["estimate"] * 1e-6, se=ESTIMATES["se"] * 1e-6))
    (line,) = refused(NORMAL, ESTIMATES.iloc[:1].assign(se=1e-160))
    assert "1e-12 or more" in line


def test_every_row_of_ratios_is_read() -> None:
    table = RATIOS.assign(
        ratio=[-1, 0.5, 0.5], lower=[0.1, 0.9, 0.25], upper=[0.2, 0.2, 9], level=95
    )
    lines = refused(NORMAL, table)
    assert lines[0].startswith("row 1 (A), column 'ratio': -1")
    assert sum("column 'level': 95" in line for line in lines) == 3
    assert any("0.5 (0.9 to 0.2)" in line and "swapped" in line for line in lines)
    assert any("0.5 (0.25 to 9) is not symmetric" in line for line in lines)


def test_faults_of_spec_and_table_come_together() -> None:
    spec = moderated("age", "zz", priors={"mu": "Foo(1)", "tauu": "HalfNormal(1)"}, scale="log")
    table = TABLE.assign(events=[-1, 20, 1.5, 2], age=5)
    message = "\n".join(refused(spec, table))
    for words in (
        "scale: 'log' with the binomial likelihood",
        "priors.mu: the distribution 'Foo'",
        "priors.tauu: no parameter",
        "row 1 (A), column 'events': -1",
        "row 2 (B), columns 'events' and 'total': 20 events among 8",
        "moderator 'age': the evidence has the one value 5",
        "moderator 'zz': the evidence has no such column",
    ):
        assert words in message


def test_an_unknown_likelihood_hides_no_other_fault() -> None:
    spec = mc.ModelSpec(likelihood="binomal", moderators=["zz"], priors={"mu": "Foo(1)"})
    lines = refused(spec, TABLE.drop(columns="study"))
    assert [line.split(":")[0] for line in lines] == [
        "likelihood",
        "priors.mu",
        "column 'study'",
        "moderator 'zz'",
    ]


# --- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["", " ", "A", "B"], "no name in row 1, row 2"),
        (["A", None, "B", "C"], "no name in row 2"),
        (["A", "A ", "B", "C"], "blanks around the name in row 2 (A )"),
        (
            [1, "1", 2, 3],
            "whole numbers in row 1 (1), row 3 (2), row 4 (3), text in the other rows",
        ),
        ([1, 2, 3, 2.0], "2.0 in row 4 (2.0)"),
        ([["a"], ["b"], "c", "d"], "['a'], ['b'] in row 1"),
    ],
)
@pytest.mark.parametrize("column", ["study", "cohort"])
def test_names_that_are_none(column: str, names: list[Any], words: str) -> None:
    table = TABLE.assign(**{column: pd.Series(names, dtype=object)})
    message = "\n".join(refused(mc.ModelSpec(likelihood="binomial", group=column), table))
    assert f"column '{column}'" in message
    if column == "study":  # else the rows bear the names of the studies
        assert words in message


def test_whole_numbers_are_names() -> None:
    design = bind(COUNTS, TABLE.assign(study=[1, 2, 2, 3]))
    assert design["study"].to_numpy().tolist() == ["1", "2", "3"]


# --- moderators ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "words", "hint"),
    [
        (["10", "20", "35", "50"], "numbers as text, such as '10'", "table['x'].astype(float)"),
        ([1, "2", True, 3.0], "numbers in row 1 (A), row 4 (D); text in row 2 (B)", ".astype("),
        (pd.date_range("2020", periods=4), "Timestamp 2020-01-01", "table['x'].dt.year"),
        (pd.to_timedelta([1, 2, 3, 4], "D"), "Timedelta 1 days", "table['x'].dt.days"),
        ([1j, 2j, 3j, 4j], "complex 1j in row 1 (A)", ".astype(float)"),
        (["x", "x ", "y", "y"], "blanks around the level in row 2 (B)", "table['x'].str.strip()"),
        (["x", "", "y", " "], "no value in row 2 (B), row 4 (D)", "fill the value in"),
        ([1e300, 1e301, -1e300, 1e305], "-1e+300 to 1e+305", "another unit"),
        (
            [1e9, 1e9 + 1, 1e9 + 2, 1e9 + 3],
            "1000000000 to 1000000003",
            "distance from their middle",
        ),
    ],
)
def test_values_that_are_neither_levels_nor_numbers(values: Any, words: str, hint: str) -> None:
    (line,) = refused(moderated("x"), TABLE.assign(x=values))
    assert line.startswith("moderator 'x': ")
    assert words in line
    assert hint in line


def test_decimals_are_numbers() -> None:
    design = bind(moderated("x"), TABLE.assign(x=[Decimal(n) for n in (1, 2, 3, 5)]))
    assert design["coefficient"].to_numpy().tolist() == ["x"]
    assert design["x"].to_numpy()[:, 0].tolist() == [1, 2, 3, 5]


@pytest.mark.parametrize(
    ("a", "b"),
    [([1, 2, 3, 4], [2, 4, 6, 8]), (list("xxyy"), list("ppqq")), (list("xxyy"), [5, 5, 3, 3])],
)
def test_moderators_that_say_the_same(a: list[Any], b: list[Any]) -> None:
    (line,) = refused(moderated("a", "b"), TABLE.assign(a=a, b=b))
    assert line.startswith("moderator 'b': it follows exactly from a")
    assert line.endswith("drop one of them")


def test_the_sum_of_two_moderators_is_found_but_no_near_miss() -> None:
    table = TABLE.assign(a=[1, 2, 3, 5], b=[0.1, 0.7, 0.2, 0.3])
    total = table["a"] + table["b"]
    (line,) = refused(moderated("a", "b", "c"), table.assign(c=total))
    assert line.startswith("moderator 'c': it follows exactly from a, b")
    near = total.add([0, 0, 0, 0.01])
    assert bind(moderated("a", "b", "c"), table.assign(c=near)).sizes["coefficient"] == 3


@pytest.mark.parametrize("place", ["contrasts", "reference"])
def test_a_level_that_the_table_does_not_have(place: str) -> None:
    options: dict[str, Any] = {"contrasts": [["scfv", "humanised", "murine"]]}
    if place == "reference":
        options = {"reference": {"scfv": "humanised"}}
    table = TABLE.assign(scfv=["murine", "humanized", "murine", "humanized"])
    (line,) = refused(moderated("scfv", **options), table)
    assert line.startswith("contrasts[0]" if place == "contrasts" else "reference.scfv")
    assert "'humanised' is no level of scfv in the evidence" in line
    assert "did you mean 'humanized'?" in line


# --- the spec's selection upon a table ----------------------------------------------------------

RECODE = {"recode": {"scfv": {"humanized": ["humanized", "human"]}}}


def test_levels_are_recoded_as_the_spec_says() -> None:
    table = TABLE.assign(scfv=["human", "humanized", "murine", "human"])
    spec = moderated("scfv", **RECODE)
    once = as_table(spec, table)
    assert once["scfv"].tolist() == ["humanized", "humanized", "murine", "humanized"]
    assert as_table(spec, once)["scfv"].tolist() == once["scfv"].tolist()
    assert table["scfv"].tolist()[0] == "human"
    assert bind(spec, table)["coefficient"].to_numpy().tolist() == ["scfv[murine]"]


def test_a_recoding_that_is_no_one_step_is_refused() -> None:
    spec = moderated("scfv", recode={"scfv": {"a": ["b"], "b": ["a"]}})
    lines = refused(spec, TABLE.assign(scfv=["a", "b", "a", "b"]))
    assert lines[0].startswith("recode.scfv.a: 'a' is a new level and an old one of 'b'")


def test_rows_outside_of_the_question_are_refused_by_name() -> None:
    spec = mc.ModelSpec(
        likelihood="binomial", outcome="relapse", population=["infused"], include={"line": [2, 3]}
    )
    table = TABLE.assign(line=[1, 2, 3, 3], outcome="relapse", population="infused")
    (line,) = refused(spec, table)
    assert line.startswith("include.line: 1 in row 1 (A); allowed: 2, 3; try: leave these rows out")
    table = table.assign(line=2, outcome=["relapse"] * 3 + ["death"], population="evaluable")
    lines = refused(spec, table)
    assert lines[0].startswith("outcome: death in row 4 (D)")
    assert lines[1].startswith("population: evaluable in row 1 (A), row 2 (B)")
    bind(spec, table.assign(outcome="relapse", population="infused"))


def test_a_filter_without_its_column_is_refused() -> None:
    spec = mc.ModelSpec(likelihood="binomial", include={"infusion": ["first"]}, **RECODE)
    lines = refused(spec, TABLE)
    assert lines[0].startswith("include.infusion: the table has no column 'infusion'")
    assert lines[1].startswith("recode.scfv: the table has no column 'scfv'")


@pytest.mark.parametrize("name", mc.list_models())
def test_the_table_of_a_question_passes_its_own_rules_unchanged(name: str) -> None:
    spec = mc.load_model(name)
    table = mc.tabulate(mc.load_studies(), spec)
    pd.testing.assert_frame_equal(as_table(spec, table), table)
    bind(spec, table)


def test_a_filter_on_a_level_before_it_is_recoded_passes_its_own_table() -> None:
    spec = moderated("scfv", include={"scfv": ["human", "murine"]}, **RECODE)
    table = TABLE.assign(scfv=["humanized", "murine", "humanized", "murine"])
    assert bind(spec, table).sizes["coefficient"] == 1


def test_the_index_and_categories_of_a_table_do_not_matter() -> None:
    plain = bind(moderated("x"), TABLE.assign(x=["p", "q", "p", "q"]))
    odd = TABLE.assign(x=pd.Categorical(["p", "q", "p", "q"], categories=["q", "p", "z"]))
    other = bind(moderated("x"), odd.set_index(pd.Index([5, 5, "x", None])))
    assert np.array_equal(plain["x"].to_numpy(), other["x"].to_numpy())
