"""The page: what it says, what it never says, and what it leaves alone."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tomlkit

from metacart.errors import InputError
from metacart.evidence.library import BUNDLED, list_models, load_model, load_studies
from metacart.inference import fit as fit_room
from metacart.inference.storage import load_fit
from metacart.records.spec import ModelSpec
from metacart.report import DEFAULT_SEED, build, words
from metacart.report.account_tables import (
    crude_table,
    exclusion_table,
    left_out,
    left_out_levels,
    studies_shown,
)
from metacart.report.build import Report, report
from metacart.report.files import check_out, staged
from metacart.report.questions import ask
from metacart.report.rules import reader_rule

EVIL = '<script>alert("x")</script> & <b>more</b>'
CONTRAST = ModelSpec(
    id="cr",
    title="Remission by origin",
    question="Does a humanized product do better?",
    outcome="complete_remission",
    likelihood="binomial",
    moderators=["scfv"],
    contrasts=[["scfv", "humanized", "murine"]],
    thresholds=[0.5, 0.7],
    notes=["Below 5 % of blasts <em>says</em> little."],
    random_effects="student_t",
)
TRANSPLANT = ModelSpec(
    id="os", outcome="overall_survival", exposure="hsct", likelihood="hsct", thresholds=[1.0]
)
SEVERE = ModelSpec(id="severe", outcome="severe_crs", likelihood="binomial")
NO_MURINE = ModelSpec(
    id="no_murine",
    outcome="complete_remission",
    likelihood="binomial",
    include={"infusion": ["retreatment"]},
    moderators=["scfv"],
    contrasts=[["scfv", "humanized", "murine"]],
)


def _study(name: str, year: int, arms: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {
        "schema": 1,
        "id": name,
        "citation": {
            "title": f"Study {name}",
            "authors": [f"{name[:-4].capitalize()} A"],
            "year": year,
            "doi": f"10.1000/{name}",
        },
        "conduct": {"study_design": "single-arm phase 1"},
        "arms": [
            {
                "disease": "B-ALL",
                "infusion": "first",
                "targets": ["CD19"],
                "patients": {"infused": 20},
                **arm,
            }
            for arm in arms
        ],
        **more,
    }


def _count(arm: str, events: int, total: int, **more: Any) -> dict[str, Any]:
    return {
        "arm": arm,
        "outcome": "complete_remission",
        "population": "infused",
        "at": "Table 2",
        "count": {"events": events, "total": total},
        **more,
    }


def _hazard(arm: str, estimate: float, lower: float, upper: float, handling: str) -> dict[str, Any]:
    return {
        "arm": arm,
        "outcome": "overall_survival",
        "population": "infused",
        "exposure": "hsct",
        "time_handling": handling,
        "at": "Figure 3",
        "ratio": {"measure": "hr", "estimate": estimate, "lower": lower, "upper": upper},
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three invented papers, one of which means harm."""
    doe = _study(
        "doe2020",
        2020,
        [{"id": "a", "scfv": "murine"}, {"id": "b", "scfv": "humanized"}],
        findings=[
            _count("a", 8, 20),
            _count("b", 16, 20, at=EVIL),
            _count("a", 2, 20, outcome="severe_crs"),
            _hazard("a", 0.4, 0.2, 0.8, "time-fixed"),
        ],
        discrepancies=[
            {"at": "Abstract", "printed": "9 of 20", "recorded": "8/20", "why": "Table 2 adds up"}
        ],
    )
    doe["citation"]["title"] = EVIL
    doe["arms"][0]["label"] = EVIL
    roe = _study(
        "roe2021",
        2021,
        [{"id": "a", "scfv": "humanized"}],
        findings=[
            _count("a", 15, 20),
            _count("a", 5, 20, outcome="severe_crs"),
            _hazard("a", 0.5, 0.25, 1.0, "time-fixed"),
        ],
    )
    roe["citation"]["title"] = "Study \u202e3202 \u0007roe2021"
    poe = _study(
        "poe2022",
        2022,
        [
            {"id": "again", "scfv": "humanized", "infusion": "retreatment"},
            {"id": "picked", "scfv": "murine", "infusion": "retreatment", "selected": "by chance"},
        ],
        findings=[_count("again", 6, 10), _count("picked", 1, 3)],
    )
    path = tmp_path_factory.mktemp("studies")
    for study in (doe, roe, poe):
        (path / f"{study['id']}.toml").write_text(tomlkit.dumps(study), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def fits() -> dict[str, Any]:
    """Fits by name, so that each model is compiled once."""
    return {}


class Quick:
    """Fits with few draws, each model once; the gate is passed unless a test says otherwise."""

    def __init__(self, fits: dict[str, Any]) -> None:
        self.fits = fits
        self.failed: dict[str, str] = {}
        self.calls: list[str] = []
        self._fit = partial(fit_room.fit, draws=250, tune=250, chains=2)

    def __call__(self, spec: ModelSpec, evidence: pd.DataFrame, **options: Any) -> Any:
        self.calls.append(spec.name)
        if spec.name not in self.fits:
            self.fits[spec.name] = self._fit(spec, evidence, **options)
        result = self.fits[spec.name].copy()
        gate = self.failed.get(spec.name, "")
        result.attrs |= {"converged": int(not gate), "gate": gate or "passed"}
        return result


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, fits: dict[str, Any]) -> Quick:
    made = Quick(fits)
    monkeypatch.setattr(fit_room, "fit", made)
    return made


@pytest.fixture
def write_page(quick: Quick, folder: Path, tmp_path: Path) -> Callable[..., Report]:
    """Return a function that writes a report of the invented papers."""

    def write(*specs: ModelSpec, out: Path | None = None, **options: Any) -> Report:
        given = {"studies": folder, "seed": 1} | options
        return report(list(specs), out=out or tmp_path / "report", **given)

    return write


class Page(HTMLParser):
    """The elements of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.raw = path.read_text(encoding="utf-8")
        self.feed(self.raw)
        self.text = " ".join(" ".join(self.words).replace("\u00a0", " ").split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def section(self, name: str) -> str:
        """The words from a question to the next one."""
        start = self.raw.index(f'<article id="{name}"')
        part = Page.__new__(Page)
        HTMLParser.__init__(part)
        part.elements, part.words = [], []
        part.feed(self.raw[start : self.raw.index("</article>", start)])
        return " ".join(" ".join(part.words).replace("\u00a0", " ").split())


# --- the whole page -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page_file(fits: dict[str, Any], folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One page with an answer of each kind, for the tests that only read it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit_room, "fit", Quick(fits))
        out = tmp_path_factory.mktemp("pages") / "report"
        specs = [CONTRAST, TRANSPLANT, SEVERE, NO_MURINE]
        return report(specs, out=out, studies=folder, seed=1).page


@pytest.fixture(scope="module")
def page(page_file: Path) -> Page:
    return Page(page_file)


def test_page_needs_no_other_file(page: Page) -> None:
    assert not page.all("script")
    assert not page.all("link")
    assert not page.all("iframe")
    for tag, attributes in page.elements:
        for name in ("src", "srcset", "data", "action", "poster"):
            value = attributes.get(name)
            assert value is None or value.startswith("data:image/svg+xml;base64,"), (tag, value)
    style = page.raw[page.raw.index("<style>") : page.raw.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_text_of_study_files_is_shown_and_never_run(page: Page) -> None:
    assert "<script" not in page.raw
    assert "<b>more" not in page.raw
    assert page.text.count(EVIL) >= 3  # a title, an arm and a place in a paper
    assert "<em>says</em> little" in page.text


def test_nothing_steers_the_page(page: Page) -> None:
    assert "Study \ufffd3202 \ufffdroe2021" in page.text
    assert all(c.isprintable() or c in "\n\u00a0" for c in page.raw)


def test_links_resolve(page: Page) -> None:
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    addresses = [str(attributes["href"]) for attributes in page.all("a")]
    assert {address[1:] for address in addresses if address.startswith("#")} <= set(ids)
    papers = {address for address in addresses if address.startswith("http")}
    names = ("doe2020", "roe2021", "poe2022")
    assert papers == {f"https://doi.org/10.1000/{name}" for name in names}


def test_figures_have_descriptions_and_files(page: Page, page_file: Path) -> None:
    images = page.all("img")
    assert len(images) == 3 * 3
    assert all(image["alt"] for image in images)
    files = [str(a["href"]) for a in page.all("a") if not str(a["href"]).startswith(("#", "http"))]
    assert all((page_file.parent / name).is_file() for name in files)
    for name in ("forest", "ppc", "prior-posterior"):
        assert (page_file.parent / "cr" / f"{name}.png").read_bytes()[:4] == b"\x89PNG"
        assert f"cr/{name}.svg" in files


def test_the_width_of_answers_is_told_first(page: Page) -> None:
    start = page.text.index("All of this rests on three papers, so the answers are wide.")
    assert start < page.text.index("Medians with 95 % intervals")


def test_same_seed_same_page(write_page: Callable[..., Report], tmp_path: Path) -> None:
    pages = [
        write_page(SEVERE, out=tmp_path / name / "report").page.read_bytes() for name in ("a", "b")
    ]
    assert pages[0] == pages[1]


# --- answers ------------------------------------------------------------------------------------


def test_rate_of_100_patients_is_that_of_the_draws(page: Page, fits: dict[str, Any]) -> None:
    # population average and next study, integrated here over a grid of normal quantiles
    posterior = fits["severe"]["posterior"]
    mu, tau = (posterior[name].to_numpy().ravel()[:, None] for name in ("mu", "tau"))
    from scipy.stats import norm

    z = norm.ppf((np.arange(2000) + 0.5) / 2000)
    average = (1 / (1 + np.exp(-(mu + tau * z)))).mean(axis=1)
    lower, median, upper = (round(100 * q) for q in np.quantile(average, [0.025, 0.5, 0.975]))
    text = page.section("severe")
    assert (
        f"Of 100 patients in an average study population, {median} have severe cytokine release "
        f"syndrome (95 % interval {lower} to {upper})." in text
    )
    assert "Two studies answer this, with 40 patients." in text
    assert "mostly the prior" in text


def test_transplant_has_two_readings_side_by_side(page: Page, fits: dict[str, Any]) -> None:
    text = page.section("os")
    tree = fits["os"]
    for group, name in (("naive", "Naive"), ("posterior", "Bias-adjusted")):
        lower, median, upper = np.exp(np.quantile(tree[group]["mu"], [0.025, 0.5, 0.975]))
        ends = f"95 % interval {words.ratio(lower)} to {words.ratio(upper)}"
        assert f"{name} {words.ratio(median)} {ends}" in text
    assert "Hazard of death with allogeneic transplant after CAR-T" in text
    assert "(immortal time)" in text
    assert "not handled (time-fixed)" in text
    assert "HR 0.4 (0.2 to 0.8)" in text


def test_contrast_is_the_headline_with_its_cautions(page: Page, page_file: Path) -> None:
    text = page.section("cr")
    frame = pd.read_csv(page_file.parent / "cr" / "contrast-scfv-humanized-murine.csv")
    row = frame[frame["measure"] == "risk difference"].iloc[0]
    points = round(100 * row["median"])
    assert points > 0
    assert f"Of 100 patients, {points} more reach complete remission where the scFv origin" in text
    assert f"The probability that humanized is better is {row['p_better']:.2f}." in text
    assert "scFv origin: humanized" in text  # each level has its own estimands
    assert "the rest is ecological" in text
    assert "tails of a Student t (4 degrees of freedom)" in text


def test_sections_hold_evidence_model_and_checks(page: Page) -> None:
    text = page.section("cr")
    for part in (
        "8/20",
        "40 (19 to 64)",  # Clopper and Pearson's interval of 8 in 20
        "Below 5 % of blasts",
        "logit p i = θ i",
        "μ Normal(0, 1.5)",
        "HalfNormal(1)",
        "Where these papers contradict themselves",
        "9 of 20 8/20 Table 2 adds up",
        "Left out: one finding of complete remission",
        "Its patients were selected: one finding",
        "by chance",
        "severe cytokine release syndrome (2) and overall survival (2)",
        "I²",
        "None of the",
        "Did the computation work? Passed.",
        "Hash of the evidence",
    ):
        assert part in text, part
    assert "admit =" not in text  # words for those who write questions


# --- no answer ----------------------------------------------------------------------------------


def test_unanswerable_question_says_why_and_pools_nothing(
    write_page: Callable[..., Report],
) -> None:
    result = write_page(NO_MURINE, SEVERE)
    assert result.unanswered == ("no_murine",)
    assert result.answered == ("severe",)
    assert result.converged  # no fit failed
    text = Page(result.page).section("no_murine")
    assert "Not answerable from these three papers." in text
    assert "No arm that passes its rules is murine." in text
    assert "One murine finding is reported and left out (Poe 2022, picked: 1/3)" in text
    assert "6/10 60 (26 to 88) humanized Passes the rules, but no arm that does is murine." in text
    assert "1/3 33 (0.8 to 91) murine Its patients were selected: by chance." in text
    for word in ("P(", "95 % interval", "better is", "average study population"):
        assert word not in text
    assert not (result.page.parent / "no_murine" / "fit.nc").exists()
    account = pd.read_csv(result.page.parent / "no_murine" / "account.csv")
    assert account["used"].sum() == 1
    reasons = pd.read_csv(result.page.parent / "no_murine" / "reasons.csv")
    assert "murine" in reasons["found"].iloc[0]
    assert "words of the program" not in text


def test_question_without_any_finding(write_page: Callable[..., Report]) -> None:
    spec = ModelSpec(id="none", outcome="gvhd", likelihood="binomial")
    text = Page(write_page(spec).page).section("none")
    assert "No finding passes the rules of the question." in text
    assert "No findings of graft-versus-host disease are recorded." in text
    assert "No finding of this outcome stands in an arm" in text


def test_bundled_retreatment_question_is_not_answerable() -> None:
    studies = load_studies()
    (question,) = ask([load_model("retreatment_cr")], studies)
    assert not question.answerable
    (reason,) = question.reasons
    assert reason == (
        "The question compares humanized with murine (scFv origin). "
        "No arm that passes its rules is murine."
    )


def test_bundled_retreatment_rows_are_all_shown_with_why_they_are_not_comparable() -> None:
    studies = load_studies()
    (question,) = ask([load_model("retreatment_cr")], studies)
    table = crude_table(question, studies)
    headings = [column.heading for column in table.columns]
    rows = [dict(zip(headings, map(str, row.cells), strict=True)) for row in table.rows]
    shown = [
        (
            row["Reported"],
            row["Rate, % (exact 95 %)"],
            row["scFv origin"],
            row["scFv origin before"],
        )
        for row in rows
    ]
    assert shown == [
        ("13/19", "68 (43 to 87)", "human (counted as humanized)", "murine"),
        ("1/3", "33 (0.8 to 91)", "murine", "murine"),
        ("3/7", "43 (9.9 to 82)", "humanized", "humanized"),
        ("5/5", "100 (48 to 100)", "murine (inferred)", "unreported"),
    ]
    why = [row[headings[-1]] for row in rows]
    assert "no arm that does is murine" in why[0]
    assert "later needed another product" in why[1]
    assert "no arm that does is murine" in why[2]
    assert "Aimed at CD19 and CD22; the question is about CD19 alone" in why[3]
    (sentence,) = left_out_levels(question, studies)
    assert "Two murine findings are reported and left out (An 2022" in sentence
    assert "5/5, murine (inferred)" in sentence
    assert {study.id for study in studies_shown(question, studies)} == {
        "an2022",
        "chen2021",
        "scmc2023",
    }


def test_what_is_left_out_is_grouped_and_has_no_word_of_the_program() -> None:
    studies = load_studies()
    for name in list_models():
        (question,) = ask([load_model(name)], studies)
        left = left_out(question, studies)
        sizes = [len(table.rows) for table in left.tables]
        assert sizes == sorted(sizes, reverse=True)
        assert sum(sizes) == left.count == len(exclusion_table(question, studies).rows)
        reasons = [table.caption for table in left.tables]
        assert len(reasons) == len(set(reasons))
        for caption in reasons:
            assert "the question takes" not in caption or "ratios" in caption
            for word in ("retreatment", "dual", "admit", "'", "_"):
                assert word not in caption, caption


def test_second_report_and_shared_patients_in_words() -> None:
    study = load_studies()["li2020"]
    arm = study.arms[0]
    shared, among = reader_rule(
        "its patients are among those of 'all' (admit = [\"li2020/cd19\"] lets it in)", study, arm
    )
    assert shared == "Its patients are counted already, in another arm of the same paper"
    assert among == f"among those of {arm.label}"
    second, which = reader_rule("evaluable; infused comes first", study, arm)
    assert second == "Another report on patients who are counted already"
    assert which == "evaluable; infused comes first"


def test_moderator_that_does_not_vary_is_a_reason(folder: Path) -> None:
    spec = ModelSpec(
        id="one", outcome="complete_remission", likelihood="binomial", moderators=["target"]
    )
    (question,) = ask([spec], load_studies(folder))
    assert question.reasons == (
        "Target does not vary: four arms passed the rules, and for all of them it is CD19.",
    )


def test_failed_fit_has_a_banner_and_no_answer(
    write_page: Callable[..., Report], quick: Quick
) -> None:
    quick.failed["severe"] = "7 divergent transitions"
    result = write_page(SEVERE, TRANSPLANT)
    assert result.failed == ("severe",)
    assert not result.converged
    page = Page(result.page)
    text = page.section("severe")
    assert "This result must not be used." in text
    assert "7 divergent transitions" in text
    assert "average study population" not in text
    assert "No answer: the computation failed its check." in page.text
    assert "must not be used" not in page.section("os")


# --- files --------------------------------------------------------------------------------------


def test_fit_and_tables_stand_beside_the_page(
    write_page: Callable[..., Report], tmp_path: Path
) -> None:
    write_page(SEVERE)
    beside = tmp_path / "report" / "severe"
    assert load_fit(beside / "fit.nc").attrs["seed"] == 1
    evidence = pd.read_csv(beside / "evidence.csv")
    assert evidence[["events", "total"]].to_numpy().tolist() == [[2, 20], [5, 20]]
    for name in ("summary", "account", "diagnostics", "predictive-checks", "heterogeneity"):
        assert len(pd.read_csv(beside / f"{name}.csv")), name
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_other_files_of_the_folder_stay(write_page: Callable[..., Report], tmp_path: Path) -> None:
    out = tmp_path / "report"
    (out / "severe").mkdir(parents=True)
    (out / "notes.txt").write_text("mine")
    (out / "severe" / "mine.csv").write_text("mine")
    (out / "index.html").write_text("an old page")
    write_page(NO_MURINE)
    write_page(NO_MURINE, SEVERE)
    assert (out / "notes.txt").read_text() == "mine"
    assert (out / "severe" / "mine.csv").read_text() == "mine"
    assert (out / "severe" / "fit.nc").exists()
    assert 'id="severe"' in (out / "index.html").read_text(encoding="utf-8")


def test_report_of_other_questions_is_not_lost(
    write_page: Callable[..., Report], quick: Quick, tmp_path: Path
) -> None:
    write_page(SEVERE, NO_MURINE)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    fitted = len(quick.calls)
    with pytest.raises(InputError) as caught:
        write_page(SEVERE, TRANSPLANT)
    (fault,) = caught.value.faults
    assert "other questions too: no_murine" in fault.found
    assert "report-2" in fault.attempt
    assert len(quick.calls) == fitted
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    # what is no longer there cannot be lost
    for path in (tmp_path / "report" / "no_murine").iterdir():
        path.unlink()
    write_page(SEVERE)


def test_file_of_an_old_report_that_somebody_changed_stays(tmp_path: Path) -> None:
    out = tmp_path / "report"
    with staged(out) as folder:
        (folder / "kept.csv").write_text("a")
        (folder / "gone.csv").write_text("a")
    (out / "kept.csv").write_text("my own numbers")
    with staged(out) as folder:
        (folder / "index.html").write_text("new")
    assert sorted(path.name for path in out.iterdir()) == ["files.json", "index.html", "kept.csv"]


def test_listing_cannot_point_outside(tmp_path: Path) -> None:
    import hashlib

    out, outside = tmp_path / "report", tmp_path / "precious.txt"
    outside.write_text("a")
    out.mkdir()
    digest = hashlib.sha256(b"a").hexdigest()
    listed = {"files": {"../precious.txt": digest, str(outside): digest}}
    (out / "files.json").write_text(json.dumps(listed))
    with staged(out) as folder:
        (folder / "index.html").write_text("new")
    assert outside.read_text() == "a"


def test_nothing_is_left_of_a_report_that_breaks(
    write_page: Callable[..., Report], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def breaks(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fit_room, "fit", breaks)
    with pytest.raises(KeyboardInterrupt):
        write_page(SEVERE, out=tmp_path / "new" / "report")
    assert list(tmp_path.iterdir()) == []


# --- faults -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"specs": "cr_rat"}, "did you mean 'cr_rate'?"),
        ({"specs": []}, "one name of a model or more"),
        ({"specs": ["cr_rate", "cr_rate"]}, "'cr_rate' stands twice"),
        ({"specs": "cr_rate", "studies": "nowhere"}, "nowhere"),
        ({"models": "nowhere"}, "nowhere"),
        ({"seed": -1}, "a whole number of 0 or more"),
        ({"seed": True}, "a whole number of 0 or more"),
    ],
)
def test_faults_stop_before_anything_is_fitted(
    options: dict[str, Any], message: str, quick: Quick, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        report(**{"out": tmp_path / "report", **options})
    assert message in str(caught.value)
    assert quick.calls == []
    assert list(tmp_path.iterdir()) == []


def test_all_faults_come_at_once(
    write_page: Callable[..., Report], quick: Quick, tmp_path: Path
) -> None:
    wrong = [
        ModelSpec(id="a", outcome="complete_remision", likelihood="binomial"),
        ModelSpec(id="b", outcome="complete_remission", likelihood="binomal"),
        ModelSpec(id="c", outcome="severe_crs", likelihood="binomial", scale="log"),
        ModelSpec(
            id="d", outcome="severe_crs", likelihood="binomial", priors={"tau": "Normal(0, 1)"}
        ),
    ]
    with pytest.raises(InputError) as caught:
        write_page(*wrong, SEVERE)
    places = [fault.place for fault in caught.value.faults]
    assert places == ["a: outcome", "b: likelihood", "c: scale", "d: priors.tau"]
    assert quick.calls == []
    assert list(tmp_path.iterdir()) == []


def test_out_that_cannot_be_a_folder(write_page: Callable[..., Report], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputError, match="folder"):
            write_page(SEVERE, out=out)
    assert (tmp_path / "file").read_text() == "mine"


def test_out_in_whose_way_a_file_stands(tmp_path: Path) -> None:
    (tmp_path / "severe").write_text("mine")
    (tmp_path / "index.html").mkdir()
    with pytest.raises(InputError) as caught:
        check_out(tmp_path, ["severe"])
    assert [fault.found for fault in caught.value.faults] == [
        "'index.html' is a folder there",
        "'severe' is a file there",
    ]


def test_link_to_another_file_system_is_written(tmp_path: Path) -> None:
    shared = Path("/dev/shm")
    if not shared.is_dir() or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("one file system only")
    with tempfile.TemporaryDirectory(dir=shared) as elsewhere:
        whole, part = tmp_path / "whole", tmp_path / "part"
        whole.symlink_to(Path(elsewhere) / "new")
        part.mkdir()
        (part / "severe").symlink_to(elsewhere)
        for out in (whole, part):
            check_out(out, ["severe"])
            with staged(out) as folder:
                (folder / "severe").mkdir()
                (folder / "severe" / "fit.nc").write_text("fit")
                (folder / "index.html").write_text("page")
            assert (out / "severe" / "fit.nc").read_text() == "fit"
            assert sorted(path.name for path in out.iterdir()) == [
                "files.json",
                "index.html",
                "severe",
            ]
        assert sorted(path.name for path in Path(elsewhere).iterdir()) == ["fit.nc", "new"]


def test_link_that_leads_nowhere_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "severe").symlink_to(tmp_path / "gone")
    with pytest.raises(InputError, match="'severe' is a broken link there"):
        check_out(tmp_path, ["severe"])


_WITHOUT_PRIVILEGES = """
import sys
from pathlib import Path
from metacart.errors import InputError
from metacart.report.files import check_out, staged
out = Path(sys.argv[1])
try:
    check_out(out, ["severe"])
except InputError as error:
    sys.exit(str(error))
with staged(out) as folder:
    (folder / "index.html").write_text("page")
"""


def _as_anybody(out: Path) -> subprocess.CompletedProcess[str]:
    """Stage a page with the rights of the files alone: root may write anywhere."""
    drop = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]
    command = [sys.executable, "-c", _WITHOUT_PRIVILEGES, str(out)]
    return subprocess.run(
        [*(drop if os.geteuid() == 0 else []), *command],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(
    os.name != "posix" or (os.geteuid() == 0 and shutil.which("setpriv") is None),
    reason="cannot give up the rights of root",
)
def test_what_counts_is_the_folder_not_the_one_above(tmp_path: Path) -> None:
    out = tmp_path / "above" / "out"
    (out / "severe").mkdir(parents=True)
    try:
        out.parent.chmod(0o555)
        done = _as_anybody(out)
        assert (done.returncode, done.stderr) == (0, "")
        assert (out / "index.html").read_text() == "page"
        fresh = out.parent / "new"
        refused = _as_anybody(fresh)
        assert refused.returncode == 1
        assert f"'{out.parent}' cannot be written to: Permission denied" in refused.stderr
        (out / "severe").chmod(0o555)
        refused = _as_anybody(out)
        assert refused.returncode == 1
        assert f"'{out / 'severe'}' cannot be written to" in refused.stderr
    finally:
        out.parent.chmod(0o755)
        (out / "severe").chmod(0o755)


# --- the rest -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "command"),
    [
        ((None, None, None), "metacart report --out o --seed 7"),
        (
            (["cr_rate", Path("a b.toml")], [BUNDLED], "m"),
            "metacart report cr_rate 'a b.toml' --out o --studies bundled --models m --seed 7",
        ),
        ((SEVERE, None, None), "metacart.report(specs, out='o', seed=7)"),
    ],
)
def test_command_that_writes_the_page_again(given: tuple[Any, Any, Any], command: str) -> None:
    specs, studies, models = given
    made = build._command(specs, Path("somewhere/o"), studies, models, 7)
    assert made == command


def test_names_are_looked_up_and_the_command_printed(
    write_page: Callable[..., Report], folder: Path, tmp_path: Path
) -> None:
    models = tmp_path / "models"
    models.mkdir()
    (models / "severe.toml").write_text(
        'schema = 1\nid = "severe"\noutcome = "severe_crs"\n[model]\nlikelihood = "binomial"\n'
    )
    result = report(out=tmp_path / "out", studies=[folder], models=models, seed=1)
    assert result.answered == ("severe",)
    text = Page(result.page).text
    assert f"metacart report --out out --studies {folder} --models {models} --seed 1" in text


def test_every_shipped_question_can_be_asked() -> None:
    questions = ask([load_model(name) for name in list_models()], load_studies())
    assert [question.spec.name for question in questions] == list(list_models())


def test_the_default_seed_is_that_of_the_shell_and_printed(folder: Path, tmp_path: Path) -> None:
    written = report(NO_MURINE, out=tmp_path / "out", studies=load_studies(folder))
    assert written.seed == DEFAULT_SEED
    assert f"seed={DEFAULT_SEED}" in Page(written.page).text


def test_progress_is_quiet_unless_asked_for(
    write_page: Callable[..., Report], capsys: pytest.CaptureFixture[str]
) -> None:
    write_page(NO_MURINE)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""
    write_page(NO_MURINE, progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "1/1 no_murine: not answerable" in captured.err


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (words.percent(0.683), "68"),
        (words.percent(0.004), "0.4"),
        (words.percent(0.9996), ">99.9"),
        (words.percent(0.0001), "<0.1"),
        (words.percent(1.0), "100"),
        (words.ratio(0.0396), "0.040"),
        (words.ratio(1.412), "1.41"),
        (words.ratio(1234.5), "1 234"),
        (words.decimals(-0.449), "−0.45"),
        (words.decimals(-0.001), "0.00"),
        (words.probability(0.9999), ">0.99"),
        (words.probability(0.001), "<0.01"),
        (words.count_of(1, "study"), "one study"),
        (words.count_of(4, "study"), "four studies"),
        (words.count_of(30, "paper"), "30 papers"),
        (words.join(["a", "b", "c"]), "a, b and c"),
        (words.capital("scFv origin"), "scFv origin"),
        (words.capital("target"), "Target"),
        (words.level_word(True), "yes"),
    ],
)
def test_numbers_and_words(shown: str, text: str) -> None:
    assert shown == text
