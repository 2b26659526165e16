"""The page: what it says, what it never says, and what it leaves alone."""

import json
import os
import re
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
import xarray as xr

from metacart.errors import Fault, InputError
from metacart.evidence.library import BUNDLED, Studies, list_models, load_model, load_studies
from metacart.inference import fit as fit_room
from metacart.inference.storage import load_fit
from metacart.records.priors import parse_prior
from metacart.records.spec import ModelSpec
from metacart.report import DEFAULT_SEED, build, words
from metacart.report.account_tables import (
    crude_table,
    left_out,
    left_out_levels,
    studies_shown,
)
from metacart.report.basis import basis_of, compared_table, patients_of
from metacart.report.build import Report, report
from metacart.report.check_tables import attempts_table, attempts_words
from metacart.report.files import check_out, staged
from metacart.report.glossary import terms_of
from metacart.report.paper_tables import how_to_find, papers_of
from metacart.report.questions import ask, read_specs
from metacart.report.rules import reader_rule
from metacart.results.numbers import share_of_prior

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
            _count("a", 2, 20, outcome="severe_crs", caution="Half were children."),
            _count("a", 7, 20, outcome="hsct"),
            _hazard("a", 0.4, 0.2, 0.8, "time-fixed"),
        ],
        discrepancies=[
            {"at": "Abstract", "printed": "9 of 20", "recorded": "8/20", "why": "Table 2 adds up"}
            | {"bears_on": ["complete_remission"]},
            {"at": "Figure 9", "printed": "40 months", "recorded": "4", "why": "the axis says so"},
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
    """Fits of the exact engine, each model once; the gate is passed unless a test says otherwise.

    Draws are as many as refits need to pass it: fewer are handed to NUTS, which has to compile.
    """

    def __init__(self, fits: dict[str, Any]) -> None:
        self.fits = fits
        self.failed: dict[str, str] = {}
        self.calls: list[str] = []
        self._fit = partial(fit_room.fit, draws=2000, chains=2)

    def __call__(self, spec: ModelSpec, evidence: pd.DataFrame, **options: Any) -> Any:
        self.calls.append(spec.name)
        if spec.name not in self.fits:
            self.fits[spec.name] = self._fit(spec, evidence, **options | {"method": "exact"})
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


def _untied(page: str) -> str:
    """Return a page whose words are not tied at their hyphens."""
    return re.sub(r'<span class="tied">(.*?)</span>', r"\1", page)


class Page(HTMLParser):
    """The elements of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.raw = path.read_text(encoding="utf-8")
        self.feed(_untied(self.raw))
        self.text = " ".join(" ".join(self.words).replace("\u00a0", " ").split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def section(self, name: str) -> str:
        """The words of a question."""
        return self.part(name, "article")

    def part(self, name: str, tag: str = "section") -> str:
        """The words of a part of the page."""
        start = self.raw.index(f'<{tag} id="{name}"')
        part = Page.__new__(Page)
        HTMLParser.__init__(part)
        part.elements, part.words = [], []
        part.feed(_untied(self.raw[start : self.raw.index(f"</{tag}>", start)]))
        return " ".join(" ".join(part.words).replace("\u00a0", " ").split())


# --- the whole page -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page_file(fits: dict[str, Any], folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One page with an answer of each kind, for the tests that only read it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit_room, "fit", Quick(fits))
        out = tmp_path_factory.mktemp("pages") / "report"
        specs = [CONTRAST, TRANSPLANT, SEVERE, NO_MURINE]
        more: Any = {"formats": ("md", "csv", "docx"), "script": True}
        return report(specs, out=out, studies=folder, seed=1, **more).page


@pytest.fixture(scope="module")
def page(page_file: Path) -> Page:
    return Page(page_file)


def test_page_needs_no_other_file(page: Page) -> None:
    assert page.all("script") == [{}]  # it stands in the page
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
    assert page.raw.count("<script") == 1
    assert "alert(" not in page.raw[page.raw.rindex("<script>") :]
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
    own = {f"https://doi.org/10.1000/{name}" for name in names}
    guidelines = ("10.1038/s41562-021-01177-7", "10.1016/j.jclinepi.2004.08.010")
    guidelines += ("10.1037/met0000065", "10.1136/bmj.n71")
    assert papers == own | {f"https://doi.org/{doi}" for doi in guidelines}


def test_the_question_in_parts_and_its_methods_stand_in_the_section(page: Page) -> None:
    text = page.section("os")
    assert "Comparison Not transplanted Outcome Overall survival, that is time to death" in text
    assert "Methods, to paste We pooled two findings from two studies" in text
    assert "b ~ Normal(−0.45, 0.25)" in text[text.index("Methods, to paste") :]
    assert "Prior predictive: what the model would report before it sees these papers" in text
    appendix = page.part("guidelines")
    assert "1E Show what the priors predict before any data Answered The model of 1 2 3" in appendix
    assert "6 Sources of information, with dates Missing" in appendix
    assert '<a href="https://doi.org/10.1000/doe2020" rel="noreferrer">Figure 3</a>' in page.raw


def test_figures_have_descriptions_and_files(page: Page, page_file: Path) -> None:
    images = page.all("img")
    # a question without an answer has its flow alone, one of transplant two more
    assert len(images) == 6 * 3 + 1 + 2
    assert all(image["alt"] for image in images)
    files = [str(a["href"]) for a in page.all("a") if not str(a["href"]).startswith(("#", "http"))]
    assert all((page_file.parent / name).is_file() for name in files)
    for name in ("forest", "flow", "ppc", "prior-posterior"):
        assert (page_file.parent / "cr" / f"{name}.png").read_bytes()[:4] == b"\x89PNG"
        assert f"cr/{name}.svg" in files


def test_risk_of_bias_and_flow_stand_beside_the_answer(page: Page, page_file: Path) -> None:
    bias = pd.read_csv(page_file.parent / "cr" / "risk-of-bias.csv")
    assert set(bias["study"]) == {"doe2020", "roe2021", "poe2022"}
    assert "Risk of bias of three studies, JBI checklist for case series" in page.text
    share = f"{100 * (bias['light'] == 'unclear').mean():.0f}"
    start = page.text.index("All items")
    assert share in page.text[start : start + 60].split()
    flow = pd.read_csv(page_file.parent / "cr" / "flow.csv")
    assert flow["studies"].iloc[[0, -1]].tolist() == [3, 3]


def test_the_page_counts_papers_and_patients_that_carry_answers(
    page: Page, write_page: Callable[..., Report]
) -> None:
    start = page.text.index("All answers together rest on three papers, 70 patients in all")
    assert start < page.text.index("Medians with 95 % intervals")
    assert "What three papers on CAR-T therapy say" in page.text
    text = Page(write_page(SEVERE).page).text
    assert "What two papers on CAR-T therapy say" in text
    assert (
        "Three papers are recorded. The answer rests on two of them (Doe 2020, Roe 2021), "
        "40 patients in all, so the answers are wide. Poe 2022 enters no pooled number." in text
    )
    assert "not found by a systematic search" in text


def test_same_seed_same_page(write_page: Callable[..., Report], tmp_path: Path) -> None:
    pages = [
        write_page(SEVERE, out=tmp_path / name / "report").page.read_bytes() for name in ("a", "b")
    ]
    assert pages[0] == pages[1]


# --- answers ------------------------------------------------------------------------------------


def _error(draws: Any, quantile: float) -> float:
    import arviz as az

    method = {"method": "median"} if quantile == 0.5 else {"method": "quantile", "prob": quantile}
    return float(az.mcse(np.asarray(draws), **method))


def _rounded(draws: Any, quantile: float) -> str:
    """A quantile of ratios with two digits, or one where its Monte Carlo error asks for it."""
    value = float(np.quantile(draws, quantile))
    unit = 10.0 ** (np.floor(np.log10(value)) - 1)
    return f"{value:#.{1 if _error(draws, quantile) > 5 * unit else 2}g}".rstrip(".")


def test_rate_of_100_patients_is_that_of_the_draws(page: Page, fits: dict[str, Any]) -> None:
    # population average and next study, integrated here over a grid of normal quantiles
    posterior = fits["severe"]["posterior"]
    mu, tau = (posterior[name].to_numpy().ravel()[:, None] for name in ("mu", "tau"))
    from scipy.stats import norm

    z = norm.ppf((np.arange(2000) + 0.5) / 2000)
    average = (1 / (1 + np.exp(-(mu + tau * z)))).mean(axis=1)
    average = average.reshape(posterior["mu"].shape)
    lower, median, upper = (
        round(100 * np.quantile(average, q), -1 if _error(average, q) > 0.05 else None)
        for q in (0.025, 0.5, 0.975)
    )
    lower, median, upper = (f"{value:.0f}" for value in (lower, median, upper))
    text = page.section("severe")
    assert (
        f"Population average over studies like these: of 100 patients {median} have severe "
        f"cytokine release syndrome (95 % interval {lower} to {upper})." in text
    )
    assert "Two studies answer this, with 40 patients." in text
    assert "Doe 2020, 20 of the 40 patients: Half were children." in text
    assert "mostly the prior" in text
    assert "with the numbers of patients of the real ones" in text
    assert "this can hardly fail" in text
    assert (
        "In two single-arm trials (Doe 2020, Roe 2021), 7 of 40 patients had severe cytokine "
        "release syndrome; over studies like these the population average is estimated at "
        f"{median} of 100 (95 % interval {lower} to {upper}). To quote" in text
    )


def test_transplant_has_two_readings_side_by_side(page: Page, fits: dict[str, Any]) -> None:
    text = page.section("os")
    tree = fits["os"]
    for group, name in (("naive", "naive"), ("posterior", "immortal-time-adjusted")):
        ratios = np.exp(tree[group]["mu"].to_numpy())
        lower, median, upper = (_rounded(ratios, q) for q in (0.025, 0.5, 0.975))
        assert f"Median study, {name} {median} 95 % interval {lower} to {upper}" in text
    assert "Hazard ratio of death, patients transplanted against those not transplanted" in text
    assert "Printed ratios pooled with the priors; immortal time ignored." in text
    assert "Printed: Doe 2020 0.4 (0.2 to 0.8); Roe 2021 0.5 (0.25 to 1)." in text
    assert "(immortal time)" in text
    assert "not handled (time-fixed)" in text
    assert "HR 0.4 (0.2 to 0.8)" in text
    assert "with the standard errors of the real ones" in text
    assert "how many were transplanted is not stated for all" in text  # Roe does not say
    assert "20 7 13 not stated for both not stated" in text
    assert "bias-adjusted" not in page.text.lower()


def test_other_values_of_the_bias_and_the_prior_that_taking_it_off_leaves(
    page: Page, page_file: Path, fits: dict[str, Any]
) -> None:
    frame = pd.read_csv(page_file.parent / "os" / "tipping-point.csv")
    mu = fits["os"]["naive"]["mu"].to_numpy()
    grid = frame[(frame["row"] == "grid") & (frame["estimand"] == "median study")]
    for row in grid.itertuples():
        expected = np.exp(np.quantile(mu, [0.025, 0.5, 0.975]) - row.bias)
        np.testing.assert_allclose([row.lower, row.median, row.upper], expected, rtol=1e-5)
        assert row.p_below_one == pytest.approx((mu < row.bias).mean())
    text = page.section("os")
    for level in (0.95, 0.5):
        crossing = float(np.quantile(mu, level))
        alone = words.ratio(float(np.exp(crossing)))
        assert f"Median study {level:g} {words.decimals(crossing)} {alone}" in text
    assert "b ~ Normal(−0.45, 0.25), as declared" in text
    assert "b = 0 (naive)" in text
    assert "The naive draws are shifted; nothing is fitted again." in text
    # the invented papers give no counts of both groups
    assert "Cannot be fitted: no study gives the counts of both groups" in text
    assert "one of them, of the size of FELIX (hazard ratio 1, 0.52 to 1.94)" in text
    for name in ("bias-sensitivity", "selection-sensitivity", "immortal-time-adjusted-studies"):
        assert (page_file.parent / "os" / f"{name}.csv").is_file()
    assert "Immortal time and selection" not in page.section("severe")
    # Normal(0, 1.5) less Normal(-0.45, 0.25)
    assert "μ − b Normal(0.45, 1.521)" in text
    assert "a ratio of 0.080 to 31 in the median study" in text
    assert "is centred on 1.6, that of the naive one on 1.0" in text
    assert "it leans against patients transplanted" in text


def test_an_answer_of_one_study_looks_so(
    write_page: Callable[..., Report], fits: dict[str, Any]
) -> None:
    spec = TRANSPLANT.model_copy(update={"id": "alone", "include": {"study": ("doe2020",)}})
    result = write_page(spec)
    page = Page(result.page)
    text = page.section("alone")
    ratios = np.exp(fits["alone"]["posterior"]["theta"].to_numpy()[..., 0])
    lower, median, upper = (_rounded(ratios, q) for q in (0.025, 0.5, 0.975))
    printed = text.index("Doe 2020 as printed 0.4 95 % interval 0.2 to 0.8")
    own = text.index(f"Doe 2020, immortal-time-adjusted {median} 95 % interval {lower} to {upper}")
    assert printed < own < text.index("Median study, naive")
    drawn = words.ratio(float(np.exp(fits["alone"]["naive"]["theta"].median())))
    assert f"The priors draw this ratio to {drawn}; then the bias b" in text
    assert "What one paper on CAR-T therapy says" in page.text
    assert (
        "One study alone. Its own ratio, nothing pooled; Doe 2020, 20 patients (7 transplanted, "
        "13 not transplanted)" in page.text
    )
    assert [item["class"] for item in page.all("li") if item.get("class")][-1] == "answered alone"
    assert "One study answers this, Doe 2020 alone, with 20 patients: 7 transplanted" in text
    assert "In one single-arm trial (Doe 2020; 20 patients, 7 transplanted, 13 not" in text
    assert "is not randomised" in text


def four_papers() -> Studies:
    """Four papers of which every question and every figure is known."""
    names = ("an2022", "chen2021", "li2020", "scmc2023")
    return load_studies(*(BUNDLED / f"{name}.toml" for name in names))


def test_answers_say_who_was_compared() -> None:
    studies = four_papers()
    names = ["cr_rate", "hsct_benefit_os", "hsct_relapse"]
    bases = {}
    for question in ask([load_model(name) for name in names], studies):
        assert question.evidence is not None
        bases[question.spec.name] = basis_of(question.evidence, question.spec, studies)
    assert bases["cr_rate"].words() == "two studies, 67 patients"
    # the 13 and the 5 in remission whom An 2022 and the five-patient paper compare
    assert patients_of(bases.values()) == 67 + 13 + 5
    both = bases["hsct_benefit_os"]
    assert [(group.patients, group.exposed) for group in both.groups] == [
        (13, 11), (25, 10), (39, 17), (5, 3),
    ]  # fmt: skip
    assert both.words() == "four studies, 82 patients (41 transplanted, 41 not transplanted)"
    compared = compared_table(bases["hsct_relapse"], "relapse")
    assert compared is not None
    assert [row.cells[2:6] for row in compared.rows] == [
        ("13", "11", "2", "1 of 11 v 2 of 2"),
        ("25", "10", "15", "3 of 10 v 14 of 15"),
        ("5", "3", "2", "0 of 3 v 1 of 2"),
    ]
    assert compared.rows[1].cells[1] == "CART+HSCT against CART2 and CART1 together"
    (caution,) = [
        group.finding.caution for group in bases["cr_rate"].groups if group.study.id == "li2020"
    ]
    assert caution is not None
    assert caution.startswith("30 of its 39 patients had below 5 % marrow blasts")


def test_questions_of_a_folder_stand_in_their_order(tmp_path: Path) -> None:
    for name, order in (("a", ""), ("b", "[report]\norder = 2\n"), ("c", "[report]\norder = 1\n")):
        (tmp_path / f"{name}.toml").write_text(
            f'schema = 1\nid = "{name}"\noutcome = "relapse"\n{order}'
            '[model]\nlikelihood = "binomial"\n'
        )
    faults: list[Fault] = []
    assert [spec.name for spec in read_specs(None, tmp_path, faults)] == ["c", "b", "a"]
    assert [spec.name for spec in read_specs(["a", "c"], tmp_path, faults)] == ["a", "c"]
    shipped = [spec.name for spec in read_specs(None, None, faults)]
    assert shipped == [
        "cr_rate", "severe_crs", "crs_grades", "hsct_benefit_efs", "hsct_benefit_os",
        "hsct_relapse", "retreatment_cr", "retreatment_severe_crs", "mrd_negative_remission",
        "crs_any", "severe_neurotoxicity", "relapse", "cd22_cr", "os_12m", "benefit_risk",
        "efs_12m", "treatment_chain",
    ]  # fmt: skip
    assert faults == []


def test_share_of_prior_is_a_ratio_of_interval_widths() -> None:
    draws = np.linspace(0.0, 1.0, 1001)
    assert share_of_prior(draws, 2.0 * draws) == pytest.approx(0.5)
    stated = parse_prior("Normal(0, 1)")
    assert share_of_prior(draws, stated) == pytest.approx(0.95 / (2 * 1.959964), rel=1e-6)


def test_contrast_is_the_headline_with_its_cautions(page: Page, page_file: Path) -> None:
    text = page.section("cr")
    frame = pd.read_csv(page_file.parent / "cr" / "contrast-scfv-humanized-murine.csv")
    row = frame[frame["measure"] == "risk difference"].iloc[0]
    points = round(100 * row["median"])
    assert points > 0
    assert f"of 100 patients, {points} more reach complete remission where the scFv origin" in text
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
        "Left out: one finding of complete remission",
        "Its patients were selected: one finding",
        "by chance",
        "severe cytokine release syndrome (2), overall survival (2) and transplant after CAR-T (1)",
        "I²",
        "None of the",
        "Did the computation work? Passed.",
        "Hash of the evidence",
        "With a common effect the interval leaves out how studies differ.",
    ):
        assert part in text, part
    made = page.part("made")
    assert "by quadrature and the rest is drawn by importance sampling (the exact engine)" in made
    assert "Markov chain Monte Carlo takes over (NUTS)" in made
    assert "admit =" not in text  # words for those who write questions


def test_glossary_holds_what_the_page_uses(page: Page) -> None:
    glossary = page.text[page.text.rindex("Glossary") :]
    assert "scFv the part of a CAR" in glossary
    assert "τ how much studies truly differ" in glossary
    assert "hCART19s" not in glossary
    assert terms_of("LFSx, hcart19s and Cohorts") == [
        ("cohort", "patients whom several papers may share: each of them counts once"),
        ("hCART19s", "the humanized CD19 CAR-T cells of Chen 2021"),
    ]


# --- in a browser -------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [360, 768, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_of_the_page_is_wider_than_the_screen(
    browser: Any, page_file: Path, width: int, scheme: str
) -> None:
    browser.open(page_file, width=width, scheme=scheme)
    assert browser.run("document.documentElement.scrollWidth <= innerWidth")
    ground = browser.run("getComputedStyle(document.body).backgroundColor")
    light = sum(int(part) for part in ground[4:-1].split(",")) > 3 * 127
    assert light == (scheme == "light")
    # with everything unfolded, what is not inside its own scrolling box stays on the screen
    browser.run("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert browser.run("document.documentElement.scrollWidth <= innerWidth")
    beyond = browser.run(
        "[...document.querySelectorAll('main *')].filter(each => !each.closest('.scroll, thead')"
        " && each.getBoundingClientRect().right > innerWidth + 1).map(each => each.outerHTML)"
        ".map(text => text.slice(0, 80))"
    )
    assert beyond == []


def test_the_browser_has_no_complaint_and_draws_every_figure(browser: Any, page_file: Path) -> None:
    browser.errors.clear()
    browser.open(page_file, width=1440)
    drawn = browser.run(
        "Promise.all([...document.images].map(each => each.decode().then(() => each.naturalWidth)))"
    )
    assert len(drawn) == 21
    assert min(drawn) > 100
    assert browser.run(
        "[...document.querySelectorAll('a[href^=\"#\"]')]"
        ".every(each => document.getElementById(each.hash.slice(1)))"
    )
    dois = browser.run("[...document.querySelectorAll('a[href*=doi]')].map(each => each.href)")
    assert len(set(dois)) == 3 + 4
    assert all(re.fullmatch(r"https://doi\.org/10\.\d{4,}/\S+", each) for each in dois)
    assert browser.errors == []


def test_a_program_that_is_not_the_page_s_own_does_not_run(
    browser: Any, page_file: Path, tmp_path: Path
) -> None:
    forged = page_file.read_text("utf-8").replace(
        "</main>", "<script>document.title = 'forged'</script></main>"
    )
    (tmp_path / "forged.html").write_text(forged, encoding="utf-8")
    browser.open(tmp_path / "forged.html", width=768)
    assert browser.run("document.title") != "forged"
    assert any("Content Security Policy" in each for each in browser.errors)
    browser.errors.clear()


def test_tables_sort_by_a_click_and_come_back(browser: Any, page_file: Path) -> None:
    browser.open(page_file, width=1440)
    column = (
        "(() => {{ const table = [...document.querySelectorAll('#cr table')].find(each =>"
        " each.ariaLabel.startsWith('Evidence used'));"
        " const place = [...table.tHead.rows[0].cells].findIndex(each =>"
        " each.textContent.startsWith('Rate')); {}"
        " return [table.tHead.rows[0].cells[place].ariaSort, [...table.tBodies[0].rows]"
        ".map(each => each.cells[place].textContent)]; }})()"
    )
    _, first = browser.run(column.format(""))
    click = "table.tHead.rows[0].cells[place].querySelector('button').click();"
    seen = [browser.run(column.format(click)) for _ in range(3)]
    assert [order for order, _ in seen] == ["ascending", "descending", None]
    rates = [[float(cell.split()[0]) for cell in cells] for _, cells in seen]
    assert rates[0] == sorted(rates[0]) != rates[1] == sorted(rates[0], reverse=True)
    assert seen[2][1] == first


def test_a_figure_is_enlarged_and_escape_brings_it_back(browser: Any, page_file: Path) -> None:
    browser.open(page_file, width=768)
    wide = "document.querySelector('.plate img').getBoundingClientRect().width"
    before = browser.run(wide)
    browser.run("document.querySelector('.plate').click()")
    assert browser.run(wide) > before
    for kind in ("keyDown", "keyUp"):
        browser.call("Input.dispatchKeyEvent", type=kind, key="Escape")
    assert browser.run(wide) == before


def test_the_page_prints(browser: Any, page_file: Path) -> None:
    browser.open(page_file, width=1000, scheme="dark", media="print")
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.run("getComputedStyle(document.querySelector('nav')).display") == "none"
    # chromium draws a button in the head of a table on the table's first page alone
    heads = "[...document.querySelectorAll('thead .sort')]"
    assert browser.run(f"{heads}.length") > 0
    assert browser.run(f"{heads}.every(e => getComputedStyle(e).display === 'contents')")
    printed = browser.pdf()
    assert printed.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) > 4


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
    for word in ("P(", "95 % interval", "better is", "Population average"):
        assert word not in text
    assert not (result.page.parent / "no_murine" / "fit.nc").exists()
    account = pd.read_csv(result.page.parent / "no_murine" / "account.csv")
    assert account["used"].sum() == 1
    reasons = pd.read_csv(result.page.parent / "no_murine" / "reasons.csv")
    assert "humanized" in reasons["found"].iloc[0]
    assert "words of the program" not in text


def test_question_without_any_finding(write_page: Callable[..., Report]) -> None:
    spec = ModelSpec(id="none", outcome="gvhd", likelihood="binomial")
    text = Page(write_page(spec).page).section("none")
    assert "No finding passes the rules of the question." in text
    assert "No findings of graft-versus-host disease are recorded." in text
    assert "No finding of this outcome stands in an arm" in text


def of_cd19(spec: ModelSpec) -> ModelSpec:
    """The question of re-treatment for one target, of which no murine arm is in four papers."""
    return spec.model_copy(
        update={
            "include": {**spec.include, "target": ("CD19",)},
            "moderators": ("scfv", "same_product"),
            "reference": {},
        }
    )


def test_what_differs_only_together_is_not_answerable() -> None:
    """The one murine arm of the four papers is the one of two targets."""
    (question,) = ask([load_model("retreatment_cr")], four_papers())
    assert not question.answerable
    (reason,) = question.reasons
    assert reason == (
        "Moderator 'target': it follows exactly from scfv, so that their effects cannot be told "
        "apart."
    )


def test_a_retreatment_question_without_a_murine_arm_is_not_answerable() -> None:
    studies = four_papers()
    (question,) = ask([of_cd19(load_model("retreatment_cr"))], studies)
    assert not question.answerable
    (reason,) = question.reasons
    assert reason == (
        "The question compares humanized with murine (scFv origin). "
        "No arm that passes its rules is murine."
    )


def test_retreatment_rows_are_all_shown_with_why_they_are_not_comparable() -> None:
    studies = four_papers()
    (question,) = ask([of_cd19(load_model("retreatment_cr"))], studies)
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
        ("3/7", "43 (10 to 82)", "humanized", "humanized"),
        ("5/5", "100 (48 to 100)", "murine (inferred)", "not stated"),
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
        account, spec = question.account, question.spec
        names = spec.outcomes or (spec.outcome,)
        graded = [studies.vocabulary[name].graded_by for name in names if name]
        about = account["outcome"].isin(names) | (
            account["outcome"].isin(graded) & (account["kind"] == "grades")
        )
        assert sum(sizes) == left.count == (about & ~account["used"]).sum()
        reasons = [table.caption for table in left.tables]
        assert len(reasons) == len(set(reasons))
        rules = question.account.loc[~question.account["used"], ["study", "arm", "rule"]]
        for study, arm, rule in rules.itertuples(index=False):
            reason, _ = reader_rule(rule, studies[study], studies[study].arm(arm))
            # a rule without words of its own would come back as it is
            assert reason.casefold() != rule.casefold() or rule == "another outcome", rule
        for caption in reasons:
            assert "the question takes" not in caption
            for word in ("retreatment", "dual", "admit", "'", "_"):
                assert word not in caption, caption


def test_second_report_and_shared_patients_in_words() -> None:
    study = load_studies()["li2020"]
    arm = study.arms[0]
    shared, among = reader_rule(
        "its patients are among those of 'all' (admit = [\"li2020/cd19\"] lets it in)", study, arm
    )
    assert shared == "Its patients are counted already, in another arm"
    assert among == f"among those of {arm.label}"
    studies = load_studies()
    other = studies["gong2022"].arm("sscart19")
    rule = "its patients are among those of 'gong2022/sscart19' (admit = [] lets it in)"
    _, among = reader_rule(rule, study, arm, studies)
    assert among == f"among those of Gong 2022, {other.label}"
    second, which = reader_rule("evaluable; infused comes first", study, arm)
    assert second == "Another report on patients who are counted already"
    assert which == "evaluable; infused comes first"


def test_contradictions_stand_where_they_bear_on_the_answer(page: Page) -> None:
    assert "9 of 20 8/20 Table 2 adds up" in page.section("cr")
    assert "9 of 20" not in page.section("severe")
    papers = page.part("papers")
    for words_ in ("9 of 20", "40 months 4 the axis says so"):
        assert words_ in papers
        assert page.text.count(words_) == 1 + page.section("cr").count(words_)


def test_papers_have_a_baseline_table(page: Page) -> None:
    papers = page.part("papers")
    assert "Patients and products, as the study files record them" in papers
    assert "Roe 2021 a 20 B-ALL not stated not stated first CD19 humanized not stated" in papers
    # chosen patients stand among every arm only
    main = papers[: papers.index("Every arm of the study files")]
    assert "again" in main
    assert "picked" not in main
    assert "picked" in papers


def test_papers_in_words() -> None:
    studies = four_papers()
    about = papers_of(studies)
    rows = [[str(cell) for cell in row.cells] for row in about.baseline.rows]
    assert [(row[2], row[5], row[8]) for row in rows] == [
        ("19", "10 of 19 (53 %)", "human"),
        ("28", "not stated", "humanized"),
        ("7", "not stated", "humanized"),
        ("39", "not stated", "not stated"),
        ("5", "not stated", "murine (inferred)"),
    ]
    assert rows[2][6] == "re-treatment after a humanized product; reason: relapse"
    assert len(about.arms.rows) == sum(len(study.arms) for study in studies)
    misprints = [[str(cell) for cell in row.cells] for row in about.misprints.rows]
    assert len(misprints) == len(studies.warnings)
    first = misprints[0]
    assert first[:2] == ["Chen 2021", "MRD-negative remission, hCART19s, first infusion, evaluable"]
    assert first[2] == "74.7% is printed, but 20/27 is 74.07%"
    assert "findings[" not in str(misprints)
    assert [how_to_find(study) for study in studies][:3] == ["", "", ""]
    assert "registration ChiCTR2000032211; centres Shanghai" in how_to_find(studies["scmc2023"])


def test_runs_that_failed_are_told() -> None:
    first = {"method": "nuts", "settings": "target acceptance 0.95", "draws": 4000}
    runs = [first | {"failure": "3 divergent transitions"}, first | {"failure": "", "draws": 8000}]
    fit = xr.DataTree()
    fit.attrs["attempts"] = json.dumps(runs)
    assert attempts_words(fit) == (
        "Before the run shown, which passed, one run did not pass "
        "(NUTS, target acceptance 0.95: 3 divergent transitions)."
    )
    assert [row.cells[-2:] for row in attempts_table(fit).rows] == [
        ("4 000", "3 divergent transitions"),
        ("8 000", "passed"),
    ]
    for passed in (runs[1:], runs[1:] * 3):  # the parts of a chain are runs of their own
        fit.attrs["attempts"] = json.dumps(passed)
        assert attempts_words(fit) == ""
    assert attempts_words(xr.DataTree()) == ""


def test_cells_carry_their_heading_for_narrow_screens(page: Page) -> None:
    cells = page.all("td")
    tables = [each for each in cells if each.get("role") == "cell"]
    assert len(tables) > 100
    assert all(each["data-label"] for each in tables)


def test_every_figure_can_be_enlarged(page: Page) -> None:
    boxes = {each["id"] for each in page.all("input")}
    assert boxes == {each["for"] for each in page.all("label")}
    assert len(boxes) == len(page.all("img"))


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
    assert "Population average over" not in text
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


def test_markdown_holds_what_the_page_says(page_file: Path) -> None:
    text = (page_file.parent / "report.md").read_text("utf-8")
    assert text.startswith("# CAR-T evidence")
    assert "\n## Remission by origin\n" in text
    assert "| Doe 2020; doi:10.1000/doe2020 (<https://doi.org/10.1000/doe2020>) |" in text
    assert "<script" not in text
    assert "&lt;script&gt;alert" in text
    figures = re.findall(r"!\[.*?\]\(<(.*?)>\)", text)
    assert len(figures) == 21
    assert all((page_file.parent / name).is_file() for name in figures)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert all(row.endswith("|") for row in rows)


def test_one_long_table_holds_every_cell(page_file: Path) -> None:
    frame = pd.read_csv(page_file.parent / "report.csv", keep_default_na=False)
    assert frame.columns.tolist() == ["question", "table", "row", "column", "value"]
    used = frame[(frame["question"] == "severe") & frame["table"].str.startswith("Evidence used")]
    counts = used[used["column"] == "Events / patients"]["value"].tolist()
    assert counts == ["2/20", "5/20"]
    whole = frame[frame["question"] == ""]["table"].unique()
    assert "BARG: each item and where it is answered" in whole
    assert "Summary of findings: medians with 95 % intervals" in whole


def test_word_holds_tables_and_figures(page_file: Path) -> None:
    from docx import Document

    document = Document(str(page_file.parent / "report.docx"))
    words = [paragraph.text for paragraph in document.paragraphs]
    assert "Remission by origin" in words
    assert len(document.inline_shapes) == 21
    headings = [[cell.text for cell in table.rows[0].cells] for table in document.tables]
    assert ["Item", "What it asks", "State", "Where"] in [each[:4] for each in headings]


def test_a_format_whose_package_lacks_is_told_first(
    write_page: Callable[..., Report], quick: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"metacart\[docx\]"):
        write_page(SEVERE, formats=["md", "docx"])
    with pytest.raises(InputError, match="did you mean 'docx'"):
        write_page(SEVERE, formats="doc")
    with pytest.raises(InputError, match="one or more of html, md, csv, docx"):
        write_page(SEVERE, formats=[])
    assert quick.calls == []


def test_the_script_draws_every_figure_of_the_page(
    page_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The verbs are stood in for: that they draw is for the tests of figures."""
    import inspect
    import runpy

    import metacart

    drawn: list[Path] = []
    made: list[Path] = []

    def stand_in(verb: Callable[..., Any]) -> Callable[..., None]:
        def draw(*given: Any, file: Path, **more: Any) -> None:
            inspect.signature(verb).bind(*given, file=file, **more)
            drawn.append(file)

        return draw

    class Table:
        def to_csv(self, file: Path, *, index: bool) -> None:
            made.append(file)

    def tabled(verb: Callable[..., Any]) -> Callable[..., Table]:
        def table(*given: Any, **more: Any) -> Table:
            inspect.signature(verb).bind(*given, **more)
            return Table()

        return table

    for name in filter(lambda name: name.startswith("plot_"), metacart.__all__):
        monkeypatch.setattr(metacart, name, stand_in(getattr(metacart, name)), raising=False)
    for name in ("influence", "conflict", "cumulative"):
        monkeypatch.setattr(metacart, name, tabled(getattr(metacart, name)), raising=False)
    runpy.run_path(str(page_file.parent / "figures.py"))
    again = {path.relative_to(page_file.parent / "again") for path in drawn}
    folders = [path for path in page_file.parent.iterdir() if path.name != "again"]
    kept = {path for folder in folders for path in folder.glob("*.svg")}
    assert again == {path.relative_to(page_file.parent) for path in kept}
    assert len(again) == 21
    # what stands on the page without a figure is a table again
    tables = {path.relative_to(page_file.parent / "again").as_posix() for path in made}
    names = ("influence", "conflict", "cumulative")
    assert tables == {
        f"{section}/{name}.csv" for section in ("cr", "os", "severe") for name in names
    }
    shutil.rmtree(page_file.parent / "again")


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
        ({"seed": -1}, "a whole number from 0 to 4294967295"),
        ({"seed": True}, "a whole number from 0 to 4294967295"),
        ({"seed": 2**32}, "a whole number from 0 to 4294967295"),
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
from metacart.errors import Fault, InputError
from metacart.report.basis import basis_of, compared_table, patients_of
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
        (
            (None, None, None, ("md", "csv"), True),
            "metacart report --out o --format md --format csv --script --seed 7",
        ),
        (
            (SEVERE, None, None, ("md",), True),
            "metacart.report(specs, out='o', formats=('md',), script=True, seed=7)",
        ),
    ],
)
def test_command_that_writes_the_page_again(given: tuple[Any, ...], command: str) -> None:
    specs, studies, models, formats, script = (*given, ("html",), False)[:5]
    made = build._command(specs, Path("somewhere/o"), studies, models, formats, script, 7)
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
        (words.ratio(1.412), "1.4"),
        (words.ratio(0.998), "0.998"),
        (words.ratio(0.998, 0.006), "1.0"),
        (words.ratio(0.0996), "0.10"),
        (words.ratio(0.815, 0.02), "0.81"),
        (words.ratio(0.815, 0.06), "0.8"),
        (words.ratio(1234.5), "1 200"),
        (words.percent(0.683, 0.004), "68"),
        (words.percent(0.683, 0.013), "68"),
        (words.percent(0.683, 0.06), "70"),
        (words.probability(0.914, 0.06), "0.9"),
        (words.places_of(["CN", "US", "CN", "XX"]), "China, the United States and XX"),
        (
            words.designs_of(["a non-randomised phase 2", "randomised"]),
            "one trial and one randomised trial",
        ),
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
