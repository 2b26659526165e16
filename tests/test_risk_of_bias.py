"""Risk of bias: what a reader judged, what the record decides, what stays open, and its figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt

import metacart as mc
from metacart.errors import InputError
from metacart.plots.lights import LOOKS
from metacart.records.risk_of_bias import INSTRUMENTS
from metacart.records.study import Study

SOURCE_PAPERS = ("an2022", "chen2021", "li2020", "scmc2023")
Data = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def library() -> mc.Studies:
    return mc.load_studies()


@pytest.fixture(scope="module")
def some(library: mc.Studies) -> mc.Studies:
    """Every fourth study and the source papers: figures take their time."""
    kept = [s for n, s in enumerate(library) if n % 4 == 0 or s.id in SOURCE_PAPERS]
    return mc.Studies(kept)


@pytest.fixture(autouse=True)
def _closed() -> Any:
    yield
    plt.close("all")


def one(data: dict[str, Any], item: str, tool: Any = "jbi") -> Any:
    """The row of one item of one study."""
    table = mc.risk_of_bias([Study.from_mapping(data)], tool=tool)
    return next(row for row in table.itertuples() if row.item == item)


def judged(data: dict[str, Any], item: str, tool: Any = "jbi") -> tuple[str, str]:
    row = one(data, item, tool)
    return row.judgement, row.decided_by


# --- the source papers --------------------------------------------------------------------------


@pytest.mark.parametrize("tool", INSTRUMENTS)
@pytest.mark.parametrize("study", SOURCE_PAPERS)
def test_each_source_paper_is_judged_on_every_item(
    library: mc.Studies, study: str, tool: Any
) -> None:
    table = mc.risk_of_bias([library[study]], tool=tool)
    assert list(table["item"]) == list(INSTRUMENTS[tool].items)
    assert set(table["decided_by"]) == {"reader"}
    assert (table["why"].str.len() > 8).all()
    assert (table["at"] != "").all()


def test_what_the_papers_are_known_for(library: mc.Studies) -> None:
    """Registered or reviewed in retrospect, patients excluded or lost, time that is immortal."""
    found = {
        (row.study, row.item): row.judgement
        for tool in INSTRUMENTS
        for row in mc.risk_of_bias(
            [library[each] for each in SOURCE_PAPERS], tool=tool
        ).itertuples()
    }
    for study in SOURCE_PAPERS:
        assert found[study, "prospective_data"] == "inadequate"
        assert found[study, "selection"] == "serious"  # every comparison is time-fixed
        assert found[study, "confounding"] == "serious"
    assert found["an2022", "complete_inclusion"] == "no"  # 2 of 21 excluded
    assert found["li2020", "complete_inclusion"] == "no"  # complete records required
    assert found["li2020", "follow_up_period"] == "inadequate"  # 9.5 months
    assert found["scmc2023", "loss_to_follow_up"] == "inadequate"  # 1 of 5 lost
    assert found["chen2021", "endpoints"] == "inadequate"  # survival without death as an event


def test_the_record_alone_agrees_with_the_readers_where_it_decides(library: mc.Studies) -> None:
    """A rule and a reader of the same paper may differ only where the reader saw more."""
    differ = {
        ("chen2021", "clinical_information"): "tables not read",
        ("chen2021", "outcomes"): "contradictions",
        ("li2020", "clinical_information"): "contradictions",
        ("li2020", "outcomes"): "no counts of relapse and death",
        ("scmc2023", "outcomes"): "contradictions",
    }
    for tool in INSTRUMENTS:
        for study in SOURCE_PAPERS:
            bare = library[study].model_copy(
                update={"risk_of_bias": type(library[study].risk_of_bias)()}
            )
            read = mc.risk_of_bias([library[study]], tool=tool).set_index("item")["judgement"]
            for row in mc.risk_of_bias([bare], tool=tool).itertuples():
                if row.decided_by == "record" and (study, row.item) not in differ:
                    assert row.judgement == read[row.item], (study, row.item)


# --- rules --------------------------------------------------------------------------------------


def test_a_bare_record_is_never_judged_badly(study_data: Data) -> None:
    """What a record lacks is open, with what is lacking; never a no."""
    data = study_data(arms=({"patients": {"infused": 20}},))
    for tool in ("jbi", "minors"):
        table = mc.risk_of_bias([Study.from_mapping(data)], tool=tool)
        assert "high" not in set(table["light"])
        still_open = table[table["decided_by"] == "nobody"]
        assert set(still_open["light"]) == {"unclear"}
        assert (still_open["why"] != "").all()


@pytest.mark.parametrize(
    ("stated", "jbi", "minors"), [(True, "yes", "adequate"), (False, "no", "inadequate")]
)
def test_consecutive_inclusion_is_what_the_paper_states(
    study_data: Data, stated: bool, jbi: str, minors: str
) -> None:
    data = study_data(conduct={"consecutive": stated})
    assert judged(data, "consecutive_inclusion") == (jbi, "record")
    assert judged(data, "consecutive_patients", "minors") == (minors, "record")
    assert one(data, "consecutive_inclusion").at == "conduct.consecutive"


def test_consecutive_inclusion_that_is_not_stated_is_open(study_data: Data) -> None:
    row = one(study_data(), "consecutive_inclusion")
    assert (row.judgement, row.decided_by) == ("unclear", "nobody")
    assert row.why == "whether inclusion was consecutive is not recorded"


@pytest.mark.parametrize(
    ("patients", "judgement", "why"),
    [
        ({"enrolled": 20, "infused": 20, "evaluable": 20}, "yes", "nobody was left out"),
        ({"enrolled": 21, "infused": 20, "evaluable": 20}, "yes", "1 of 21 enrolled"),  # 4.8 %
        ({"enrolled": 22, "infused": 20, "evaluable": 20}, "no", "2 of 22 enrolled were not infu"),
        ({"infused": 20, "evaluable": 20}, "unclear", "how many were enrolled or assessed"),
    ],
)  # fmt: skip
def test_complete_inclusion_follows_the_numbers_of_patients(
    study_data: Data, patients: dict[str, int], judgement: str, why: str
) -> None:
    row = one(study_data(arms=({"patients": patients},)), "complete_inclusion")
    assert row.judgement == judgement
    assert row.why.startswith(why)


def test_patients_without_assessment_are_lost_unless_a_count_holds_them(study_data: Data) -> None:
    arm = {"patients": {"infused": 20, "evaluable": 17}}
    evaluable = {"population": "evaluable", "count": {"events": 13, "total": 17}}
    row = one(study_data(evaluable, arms=(arm,)), "complete_inclusion")
    assert (row.judgement, row.why) == ("no", "3 of 20 infused are in no count of remission (15 %)")
    infused = {"count": {"events": 13, "total": 20}}
    consecutive = study_data(infused, arms=(arm,), conduct={"consecutive": True})
    assert judged(consecutive, "complete_inclusion") == ("yes", "record")


def test_a_study_of_selected_arms_is_not_complete(study_data: Data) -> None:
    row = one(study_data(arms=({"selected": "transplanted only"},)), "complete_inclusion")
    assert (row.judgement, row.why) == ("no", "patients selected: transplanted only")
    # an arm that was not selected beside it decides
    arms = (
        {"patients": {"enrolled": 20, "infused": 20, "evaluable": 20}},
        {"id": "b", "selected": "x"},
    )
    assert judged(study_data(arms=arms), "complete_inclusion") == ("yes", "record")


def test_demographics_need_the_age_of_every_main_arm(study_data: Data) -> None:
    age = {"age": {"median": 12, "lower": 1, "upper": 24, "unit": "year"}}
    row = one(study_data(arms=(age,)), "demographics")
    assert (row.judgement, row.why) == ("yes", "age, median 12 (1–24) years")
    row = one(study_data(arms=(age, {"id": "other", "label": "others"})), "demographics")
    assert (row.judgement, row.why) == ("unclear", "no age is recorded (others)")
    # a subgroup of the first arm needs none of its own
    sub = {"id": "sub", "shares_patients_with": ["car"]}
    assert judged(study_data(arms=(age, sub)), "demographics") == ("yes", "record")


def test_clinical_information_is_a_state_before_the_infusion(study_data: Data) -> None:
    before = {"prior_hsct": {"events": 8, "total": 20}}
    assert one(study_data(arms=(before,)), "clinical_information").why == (
        "transplant before CAR-T in 8/20"
    )
    contrast = {
        "exposure": "marrow_blasts",
        "contrast": {"exposed": {"events": 3, "total": 9}, "unexposed": {"events": 9, "total": 11}},
    }
    assert judged(study_data(contrast), "clinical_information") == ("yes", "record")
    after = contrast | {"exposure": "mrd_after"}
    assert judged(study_data(after), "clinical_information") == ("unclear", "nobody")


def test_outcomes_need_follow_up_or_a_time(study_data: Data) -> None:
    assert judged(study_data(), "outcomes") == ("unclear", "nobody")
    followed = study_data(conduct={"follow_up": {"median": 14, "unit": "month"}})
    assert judged(followed, "outcomes") == ("yes", "record")
    timed = {"timepoint": "day 28", "count": {"events": 13, "total": 20}}
    assert one(study_data(timed), "outcomes").why == (
        "complete remission of all infused, with its time (day 28)"
    )
    quoted = timed | {"reported_by": "10.1000/other"}
    assert judged(study_data(quoted), "outcomes") == ("unclear", "nobody")


def test_sites_are_centres_with_their_countries(study_data: Data) -> None:
    data = study_data(conduct={"centres": ["A", "B", "C"], "countries": ["US"]})
    assert one(data, "site").why == "A and 2 more, US"
    for lacking in ("centres", "countries"):
        conduct = {"centres": ["A"], "countries": ["US"]}
        del conduct[lacking]
        row = one(study_data(conduct=conduct), "site")
        assert (row.judgement, row.why) == ("unclear", f"no {lacking} are recorded")


@pytest.mark.parametrize(
    ("conduct", "judgement"),
    [
        ({"direction": "prospective"}, "adequate"),
        ({"direction": "retrospective"}, "inadequate"),
        ({"direction": "prospective", "registered": "retrospectively"}, "inadequate"),
        ({"study_design": "single-arm phase 2"}, "adequate"),
        ({"study_design": "retrospective cohort of a phase 1 trial"}, "inadequate"),
        ({"study_design": "post hoc of two phase 2 trials"}, "not reported"),
        ({"study_design": "registry"}, "not reported"),
        ({"study_design": "cohort", "registered": "prospectively"}, "adequate"),
        ({"study_design": "cohort", "registered": "retrospectively"}, "inadequate"),
        ({"study_design": "cohort"}, "not reported"),
    ],
)
def test_prospective_data(study_data: Data, conduct: dict[str, Any], judgement: str) -> None:
    assert one(study_data(conduct=conduct), "prospective_data", "minors").judgement == judgement


@pytest.mark.parametrize(
    ("follow_up", "outcome", "judgement"),
    [
        ({"median": 12, "unit": "month"}, "relapse", "adequate"),
        ({"median": 11.9, "unit": "month"}, "relapse", "inadequate"),
        ({"median": 1.1, "unit": "year"}, "death", "adequate"),
        ({"median": 366, "unit": "day"}, "overall_survival", "adequate"),
        ({"median": 300, "unit": "day"}, "relapse", "inadequate"),
        ({"median": 2, "unit": "month"}, "complete_remission", "adequate"),
        ({"median": 2, "unit": "week"}, "complete_remission", "inadequate"),
    ],
)
def test_follow_up_is_long_enough_for_what_is_reported(
    study_data: Data, follow_up: dict[str, Any], outcome: str, judgement: str
) -> None:
    finding: dict[str, Any] = {"outcome": outcome, "count": {"events": 3, "total": 20}}
    if outcome == "overall_survival":
        del finding["count"]
        finding |= {"survival": {"time": 6, "unit": "month", "estimate": 0.8}}
    data = study_data(finding, conduct={"follow_up": follow_up})
    assert one(data, "follow_up_period", "minors").judgement == judgement


@pytest.mark.parametrize(
    ("conduct", "judgement"),
    [
        ({"follow_up_complete": True}, "adequate"),
        ({"follow_up_complete": False}, "inadequate"),
        ({}, "not reported"),
    ],
)
def test_loss_to_follow_up(study_data: Data, conduct: dict[str, bool], judgement: str) -> None:
    assert one(study_data(conduct=conduct), "loss_to_follow_up", "minors").judgement == judgement


def comparison(handling: str, adjusted: list[str] | None = None, **changes: Any) -> dict[str, Any]:
    """A hazard ratio of transplant against none; of counts where nothing says of adjustment."""
    value: dict[str, Any] = {
        "contrast": {"exposed": {"events": 1, "total": 6}, "unexposed": {"events": 5, "total": 7}}
    }
    if adjusted is not None:
        value = {
            "ratio": {
                "measure": "hr",
                "estimate": 0.3,
                "lower": 0.1,
                "upper": 0.9,
                "adjusted_for": adjusted,
            }
        }
    return {
        "outcome": "relapse",
        "population": "responders",
        "exposure": "hsct",
        "time_handling": handling,
        **value,
        **changes,
    }  # fmt: skip


_SEVERAL = comparison("time-fixed", ["age", "MRD"])
_DEATHS = comparison("time-fixed", [], outcome="overall_survival")


@pytest.mark.parametrize(
    ("findings", "judgement"),
    [
        ([comparison("time-fixed")], "serious"),
        ([comparison("time-fixed", [])], "serious"),
        ([comparison("time-fixed", ["age"])], "serious"),
        ([_SEVERAL], "moderate"),
        # the best of an outcome, the worst of the outcomes
        ([comparison("time-fixed"), _SEVERAL], "moderate"),
        ([_SEVERAL, _DEATHS], "serious"),
        ([_SEVERAL, _DEATHS | {"set_aside": "x"}], "moderate"),
    ],
)  # fmt: skip
def test_confounding(study_data: Data, findings: list[dict[str, Any]], judgement: str) -> None:
    assert judged(study_data(*findings), "confounding", "robins_i") == (judgement, "record")


@pytest.mark.parametrize(
    ("handlings", "judgement", "who"),
    [
        (["time-fixed"], "serious", "record"),
        (["landmark"], "moderate", "record"),
        (["time-dependent"], "low", "record"),
        (["unclear"], "no information", "nobody"),
        (["time-fixed", "landmark"], "moderate", "record"),
    ],
)
def test_selection(study_data: Data, handlings: list[str], judgement: str, who: str) -> None:
    data = study_data(*[comparison(each) for each in handlings])
    assert judged(data, "selection", "robins_i") == (judgement, who)


def test_the_worst_outcome_is_named(study_data: Data) -> None:
    data = study_data(comparison("landmark"), comparison("time-fixed", outcome="death"))
    row = one(data, "selection", "robins_i")
    assert row.judgement == "serious"
    assert row.why.endswith("(death)")
    assert row.at == "findings[1]"


def test_only_studies_that_compare_by_transplant_have_domains(study_data: Data) -> None:
    assert mc.risk_of_bias([Study.from_mapping(study_data())], tool="robins_i").empty


# --- who decides --------------------------------------------------------------------------------


def test_a_reader_stands_before_the_record(study_data: Data) -> None:
    stored = {"judgement": "unclear", "why": "two pages disagree", "at": "Methods"}
    data = study_data(
        conduct={"consecutive": True}, risk_of_bias={"jbi": {"consecutive_inclusion": stored}}
    )
    row = one(data, "consecutive_inclusion")
    assert (row.judgement, row.why, row.at) == ("unclear", "two pages disagree", "Methods")
    assert (row.light, row.decided_by) == ("unclear", "reader")


@pytest.mark.parametrize(
    ("read", "why"),
    [
        ("abstract", "only the abstract was read"),
        ("quotations", "only what other publications quote was read"),
        ("full text", "no reader has judged it"),
    ],
)
def test_an_open_item_says_why(study_data: Data, read: str, why: str) -> None:
    data = study_data(citation={"read": read})
    assert one(data, "statistics").why == why
    if read == "abstract":
        assert one(data, "site").why == f"no centres are recorded; {why}"


def test_shares_are_the_sums_of_the_table(library: mc.Studies) -> None:
    for tool in INSTRUMENTS:
        table = mc.risk_of_bias(library, tool=tool)
        for by in ("item", "study"):
            shares = mc.risk_of_bias_shares(library, tool=tool, by=by)
            lights = list(dict.fromkeys(INSTRUMENTS[tool].lights.values()))
            assert (shares[lights].sum(axis=1) == shares["judged"]).all()
            assert (shares[["reader", "record", "nobody"]].sum(axis=1) == shares["judged"]).all()
            assert shares["judged"].iloc[-1] == len(table) == shares["judged"].iloc[:-1].sum()
            assert shares["unclear_share"].iloc[-1] == np.mean(table["light"] == "unclear")
            for row in shares.iloc[:-1].to_dict("records"):
                own = table[table[by] == row[by]]
                assert (
                    row["unclear"]
                    == (own["judgement"].isin(["unclear", "not reported", "no information"])).sum()
                )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: mc.risk_of_bias(mc.load_studies(), tool="jpi"),
            (
                "tool: 'jpi' is not known; allowed: 'jbi', 'minors', 'robins_i'; "
                "try: did you mean 'jbi'?"
            ),
        ),
        (
            lambda: mc.risk_of_bias_shares(mc.load_studies(), by="items"),
            "by: 'items' is not known; allowed: 'item', 'study'; try: did you mean 'item'?",
        ),
        (
            lambda: mc.plot_risk_of_bias(mc.load_studies(), kind="gird"),
            "kind: 'gird' is not known; allowed: 'summary', 'grid'; try: did you mean 'grid'?",
        ),
    ],
)
def test_unknown_options_are_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError) as error:
        call()
    assert str(error.value) == message


# --- figures ------------------------------------------------------------------------------------


def artists(pc: Any, name: str) -> dict[str, Any]:
    array = next(iter(pc.viz[name].dataset.data_vars.values()))
    return {str(row): np.ravel(array.sel(row=row).to_numpy())[0] for row in array["row"].to_numpy()}


@pytest.mark.parametrize("tool", INSTRUMENTS)
def test_bars_are_as_long_as_their_shares(some: mc.Studies, tool: Any) -> None:
    pc = mc.plot_risk_of_bias(some, tool=tool)
    shares = mc.risk_of_bias_shares(some, tool=tool).set_index("item")
    ends = dict.fromkeys(shares.index, 0.0)
    for light in dict.fromkeys(INSTRUMENTS[tool].lights.values()):
        name = f"bar_{light.replace(' ', '_')}"
        drawn = artists(pc, name) if name in pc.viz.children else {}
        for item, row in shares.iloc[:-1].iterrows():
            assert (item in drawn) == (row[light] > 0)
            if item in drawn:
                x = drawn[item].get_paths()[0].vertices[:, 0]
                assert x.min() == pytest.approx(ends[item])  # stacked
                assert x.max() - x.min() == pytest.approx(row[light] / row["judged"])
                ends[item] = x.max()
    assert all(ends[item] == pytest.approx(1.0) for item in shares.index[:-1])


@pytest.mark.parametrize("tool", INSTRUMENTS)
def test_lights_are_those_of_the_table(some: mc.Studies, tool: Any) -> None:
    pc = mc.plot_risk_of_bias(some, tool=tool, kind="grid")
    table = mc.risk_of_bias(some, tool=tool)
    items = list(INSTRUMENTS[tool].items)
    drawn: dict[tuple[str, int], str] = {}
    heights: dict[str, set[float]] = {}
    for light in LOOKS:
        name = f"light_{light.replace(' ', '_')}"
        for study, circles in (artists(pc, name) if name in pc.viz.children else {}).items():
            for x, y in circles.get_offsets():
                drawn[study, round(float(x), 4)] = light
                heights.setdefault(study, set()).add(round(float(y), 4))
    places = dict(zip(sorted({x for _, x in drawn}), items, strict=True))
    assert {(study, places[x]): light for (study, x), light in drawn.items()} == {
        (row.study, row.item): row.light for row in table.itertuples()
    }
    assert all(len(each) == 1 for each in heights.values())  # a study is one line


def test_lights_are_told_apart_without_colour() -> None:
    assert len({look.sign for look in LOOKS.values()}) == len(LOOKS)

    def luminance(colour: str) -> float:
        rgb = np.asarray(mpl.colors.to_rgb(colour))
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    for look in LOOKS.values():  # WCAG 2.1 asks 3:1 of what is no text
        pair = sorted((luminance(look.fill), luminance(look.ink)))
        assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 3.0
    fills = sorted(
        luminance(LOOKS[light].fill) for light in ("low", "moderate", "high", "critical")
    )
    assert min(np.diff(fills)) > 0.1  # and in grey


def test_the_share_of_unclear_is_printed(some: mc.Studies) -> None:
    table = mc.risk_of_bias(some)
    unclear = int((table["light"] == "unclear").sum())
    words = f"Unclear: {unclear} of {len(table)} judgements ({100 * unclear / len(table):.0f} %)."
    for kind in ("summary", "grid"):
        pc = mc.plot_risk_of_bias(some, kind=kind, backend="none")
        notes = next(iter(pc.viz["notes"].dataset.data_vars.values())).to_numpy().ravel()
        said = " ".join(each["string"].replace("\n", " ") for each in notes if each is not None)
        assert words in said
        assert words in pc.viz.attrs["alt"]


def test_a_figure_without_anything_to_judge_is_refused(study_data: Data) -> None:
    with pytest.raises(InputError) as error:
        mc.plot_risk_of_bias([Study.from_mapping(study_data())], tool="robins_i")
    assert str(error.value) == (
        "studies: none of them compares transplanted with other patients; allowed: a finding with "
        "exposure 'hsct'; try: tool='jbi' or tool='minors'"
    )
