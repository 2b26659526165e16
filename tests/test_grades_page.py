"""The shipped question about grades: its page and its screen."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

import metacart as mc
from metacart.inference import fit as fitting
from metacart.inference import nuts


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the page of few draws, which the gate refuses, and its fit."""
    folder = tmp_path_factory.mktemp("page") / "page"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nuts, "TARGETS", (0.9,))
        patch.setattr(fitting, "fit", partial(fitting.fit, draws=150, tune=300))
        written = mc.report("crs_grades", out=folder, progress=False)
    return written, mc.load_fit(folder / "crs_grades" / "fit.nc")


def test_the_page_shows_each_study_and_says_what_it_does_not_show(made: Any) -> None:
    written, fit = made
    assert written.failed == ("crs_grades",)
    text = written.page.read_text("utf-8")
    folder = Path(written.page).parent / "crs_grades"
    for name in ("grades.svg", "grades.png", "grades.csv", "summary.csv", "flow.svg"):
        assert (folder / name).exists()
    for words in (
        "grade 3 or higher",
        "graded by Penn",
        "τ of the spacing</th>",
        "A forest plot",
        "P(grade ≥ g)",
    ):
        assert words in text
    assert int(fit["sample_stats"]["diverging"].sum()) == 0
    table = mc.grade_table(fit)
    of_gong = table[table["study"] == "gong2022"]
    assert of_gong["events"].tolist() == [50, 31, 17, 1, 0]


def test_the_shell_shows_the_rates_of_each_cut(
    made: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    from metacart.commands.fit_words import fit_tables, show_fit

    _, fit = made
    fit = fit.copy()
    fit.attrs["converged"] = 1
    studies = mc.load_studies()
    show_fit(fit, studies, fit_tables(fit, studies))
    shown = capsys.readouterr().out
    assert "Any grade:" in shown
    assert "Grade 3 or higher:" in shown
    assert "33 studies, 1731 patients" in shown
