"""The shell: what it prints, what it writes, and its exit status."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import platformdirs
import pytest
from markupsafe import Markup

import metacart as mc
from metacart import screen
from metacart.commands.fit_words import level_rows
from metacart.errors import Fault, InputError
from metacart.inference.records import evidence_text
from metacart.records.spec import FILTERS
from metacart.records.vocabulary import (
    EXPOSURES,
    GRADINGS,
    OUTCOMES,
    POPULATIONS,
    TIME_HANDLINGS,
)
from metacart.report import DEFAULT_SEED
from metacart.report.build import Report
from metacart.report.tables import Column, table_of
from metacart.report.words import count_of

Make = Callable[..., dict[str, Any]]
Write = Callable[..., Path]
Run = Any  # status, out, err: see the fixture

MODEL = """\
schema = 1
id = "by_origin"
title = "Complete remission by origin of the binder"
outcome = "complete_remission"
population = ["infused", "evaluable"]
[include]
study = ["chen2021", "li2020"]
infusion = ["first"]
[model]
likelihood = "binomial"
moderators = ["scfv"]
"""
HEAVY = ("pandas", "xarray", "scipy", "numba", "pymc", "arviz", "matplotlib", "nutpie", "numpy")


def in_process(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "metacart", *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        **options,
    )


# ---- starting


@pytest.mark.parametrize(
    "code", ["import metacart", "import metacart.cli; metacart.cli.main(['--help'])"]
)
def test_starting_imports_nothing_heavy(code: str) -> None:
    script = f"import sys\n{code}\nprint(*sys.modules, file=sys.stderr)"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert "metacart" in result.stderr.split()
    assert not set(HEAVY) & set(result.stderr.split())


def test_help_answers_in_half_a_second() -> None:
    # processor time, which other processes on the machine do not lengthen
    spent = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert in_process("--help").returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(spent) < 0.5


@pytest.mark.parametrize(
    "command",
    [
        (),
        ("studies",),
        ("studies", "check"),
        ("vocabulary",),
        ("account",),
        ("fit",),
        ("forest",),
        ("plot",),
        ("predict",),
        ("compare",),
        ("report",),
    ],
    ids=" ".join,
)
def test_help_shows_an_example(command: tuple[str, ...], run: Callable[..., Run]) -> None:
    result = run(*command, "--help")
    assert result.status == 0
    assert f"Example: {' '.join(('metacart', *command))}" in result.out


def test_a_file_is_no_folder_for_a_figure(run: Callable[..., Run], here: Path) -> None:
    (here / "notes").write_text("mine")
    result = run("forest", "cr_rate", "--out", "notes/forest.svg")
    assert result.status == 2
    words = " ".join(result.err.split())
    assert f"--out: '{here / 'notes'}' is a file; allowed: a folder; try: another place" in words


def test_a_list_of_commands_shows_whole_sentences(run: Callable[..., Run]) -> None:
    for command in ((), ("studies",)):
        commands = run(*command, "--help").out.partition("Commands:")[2]
        assert commands
        assert "..." not in commands


def test_version(run: Callable[..., Run]) -> None:
    assert run("--version") == (0, f"metacart {mc.__version__}\n", "")


def test_no_command_is_a_faulty_command_line(run: Callable[..., Run]) -> None:
    result = run()
    assert (result.status, result.out) == (2, "")
    assert "Usage: metacart" in result.err


# ---- command lines that cannot be right


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("fti",), "metacart: No such command 'fti'. Did you mean 'fit'?; try: metacart --help"),
        (("fit",), "metacart fit: Missing argument 'SPEC'; try: metacart fit --help"),
        (("fit", "cr_rate"), "metacart fit: Missing option '--out'"),
        (("fit", "cr_rate", "--ouf", "x.nc"), "metacart fit: No such option: --ouf"),
        (
            ("fit", "cr_rate", "--out", "x.nc", "--draws", "0"),
            "metacart fit: --draws: '0'; allowed: greater than or equal to 1",
        ),
        (
            ("fit", "cr_rate", "--out", "x.nc", "--draws", "1.5"),
            "metacart fit: --draws: '1.5'; allowed: a valid integer",
        ),
        *(
            ((*command, "--seed", seed), f"--seed: '{seed}'; allowed: {allowed}")
            for seed, allowed in (
                ("-1", "greater than or equal to 0"),
                ("4294967296", "less than or equal to 4294967295"),
                (26 * "9", "less than or equal to 4294967295"),
            )
            for command in (
                ("fit", "cr_rate", "--out", "x.nc"),
                ("forest", "cr_rate", "--out", "x.svg"),
                ("compare", "cr_rate", "a", "b", "c"),
                ("report", "cr_rate"),
            )
        ),
        (("compare", "cr_rate", "scfv", "human"), "Missing argument 'REFERENCE'"),
        (("studies", "chekc"), "metacart studies: No such command 'chekc'. Did you mean 'check'?"),
        (("studies", "--studies", "x", "check"), "--studies: stands before 'check'"),
        (
            ("fit", "cr_rat", "--out", "x.nc"),
            (
                f"model: 'cr_rat' is not known; allowed: {', '.join(mc.list_models())}; "
                "try: did you mean 'cr_rate'?"
            ),
        ),
        (("fit", "no/such.toml", "--out", "x.nc"), "no/such.toml: no such folder: no"),
        (("fit", "cr_rate", "--out", "x.nc", "--models", "no"), "no: no such file or folder"),
        (("fit", "cr_rate", "--out", "x.nc", "--studies", "no"), "no: no such file or folder"),
        (
            ("fit", "cr_rate", "--out", "x.csv"),
            "--out: 'x.csv'; allowed: a file ending in .nc; try: x.nc",
        ),
        (
            ("forest", "cr_rate", "--out", "x.sgv"),
            (
                "--out: 'x.sgv'; allowed: a file ending in .svg or .png or .pdf; "
                "try: did you mean '.svg'?"
            ),
        ),
        (("forest", "cr_rate", "--out", "file.txt/x.svg"), "--out: '"),
        (
            (
                *("forest", "cr_rate", "--out", "x.svg", "--layout", "bjm", "--sort", "yeer"),
                *("--axis", "logti", "--prediction", "violin"),
            ),
            (
                "--layout: 'bjm' is not known; allowed: 'default', 'revman', 'jama', 'bmj'; "
                "try: did you mean 'bmj'?\n"
                "--sort: 'yeer' is not known; allowed: 'name', 'year', 'effect', 'weight', "
                "'precision'; try: did you mean 'year'?\n"
                "--axis: 'logti' is not known; allowed: 'percent', 'logit', 'log', 'linear'; "
                "try: did you mean 'logit'?\n"
                "--prediction: 'violin' is not known; allowed: 'bar', 'density'"
            ),
        ),
        (
            ("forest", "cr_rate", "--out", "x.svg", "--columns", "study,wieght"),
            "--columns: 'wieght' is not known; allowed: study, arm, year, ",
        ),
        (("forest", "cr_rate", "--out", "x.svg", "--width", "wide"), "--width: 'wide'"),
        (
            ("compare", "cr_rate", "scfv", "humanized", "murine"),
            (
                "MODERATOR: 'scfv' is not in cr_rate; allowed: none: the model has no moderators; "
                "try: name it in the model's `moderators`"
            ),
        ),
        (
            ("compare", "by_origin.toml", "scvf", "humanized", "murine"),
            "MODERATOR: 'scvf' is not in by_origin; allowed: scfv; try: did you mean 'scfv'?",
        ),
        (
            ("compare", "by_origin.toml", "scfv", "humanised", "unreported"),
            (
                "LEVEL: 'humanised' is no level of scfv; allowed: humanized, unreported; "
                "try: did you mean 'humanized'?"
            ),
        ),
        (
            ("compare", "by_origin.toml", "scfv", "unreported", "unreported"),
            "LEVEL: 'unreported' against itself; allowed: two different levels",
        ),
        (("report", "cr_rat"), "model: 'cr_rat' is not known"),
        (("account", "cr_rat"), "model: 'cr_rat' is not known"),
        (("vocabulary", "--studies", "no"), "no: no such file or folder"),
        (("report", "--studies", "no"), "no: no such file or folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_faulty_command_line(
    arguments: tuple[str, ...], message: str, run: Callable[..., Run], here: Path
) -> None:
    (here / "file.txt").write_text("not a folder")
    (here / "by_origin.toml").write_text(MODEL)
    before = sorted(here.rglob("*"))
    result = run(*arguments)
    assert (result.status, result.out) == (2, "")
    assert message in result.err
    assert sorted(here.rglob("*")) == before


def test_every_fault_of_options_model_and_studies_at_once(
    run: Callable[..., Run], write: Write, study_data: Make, here: Path
) -> None:
    write(study_data({"count": {"events": 21, "total": 20}}))
    (here / "question.toml").write_text(MODEL.replace("by_origin", "question") + "draws = 3\n")
    result = run("fit", "question.toml", "--studies", "doe2020.toml", "--out", "fit.txt")
    assert result.status == 2
    lines = result.err.splitlines()
    assert lines[0] == "--out: 'fit.txt'; allowed: a file ending in .nc; try: fit.nc"
    assert lines[1].startswith("question.toml:12: draws: this key is not known")
    assert lines[2].startswith("doe2020.toml:")
    assert "21" in lines[2]
    assert len(lines) == 3


def test_every_fault_of_several_models_and_of_the_figure_at_once(
    run: Callable[..., Run], here: Path
) -> None:
    (here / "file.txt").write_text("not a folder")
    options = ("--out", "x.gif", "--width", "-3", "--cache", "file.txt", "--studies", "nix")
    result = run("forest", "cr_rat", "sever_crs", *options)
    assert (result.status, result.out) == (2, "")
    lines = result.err.splitlines()
    assert lines[:2] == [
        "--out: 'x.gif'; allowed: a file ending in .svg or .png or .pdf; try: x.svg",
        "--width: -3.0; allowed: inches, up to 40",
    ]
    places = ["--out", "--width", "--cache", "model", "nix", "model"]
    assert sorted(line.split(": ")[0] for line in lines) == sorted(places)


def test_a_model_that_is_named_twice_is_not_drawn_beside_itself(run: Callable[..., Run]) -> None:
    result = run("forest", "cd22_cr", "cd22_cr", "--out", "x.svg")
    assert (result.status, result.out) == (2, "")
    assert result.err == (
        "SPEC: 'cd22_cr' stands twice; allowed: each model once, under an id of its own\n"
    )


def test_folders_and_names_that_lead_nowhere(run: Callable[..., Run], here: Path) -> None:
    (here / "empty").mkdir()
    (here / "other.toml").write_text(MODEL)
    for arguments, message in (
        (("account", "empty"), "try: this is a folder: name a .toml file in it, or give it as the"),
        (("account", "cr_rate", "--models", "empty"), "in this folder; allowed: one file a quest"),
        (("account", "cr_rate", "--studies", "empty"), "in this folder; allowed: one file a paper"),
        (("account", "ohter.toml"), "try: did you mean 'other.toml'?"),
    ):
        result = run(*arguments)
        assert (result.status, result.out) == (2, "")
        assert message in result.err
    # what has its ending alone in common is not alike
    assert "did you mean" not in run("account", "zyx.toml").err


# ---- what bad input gets

GRADES = {"0": 1, "1": 10, "2": 5, "3": 2, "4": 1, "5": 0, "total": 20}
RATIO = {"measure": "hr", "estimate": 0.5, "lower": 0.6, "upper": 0.9}
BAD_STUDIES: dict[str, tuple[Callable[[Make], Any], str]] = {
    "malformed": (lambda make: "id = \n", "no TOML"),
    "unknown key": (lambda make: make({"count": {"events": 1, "totl": 20}}), "count.totl"),
    "too many events": (lambda make: make({"count": {"events": 21, "total": 20}}), "21"),
    "negative": (lambda make: make({"count": {"events": -1, "total": 20}}), "count.events"),
    "no locator": (
        lambda make: make({"count": {"events": 1, "total": 20}, "at": ""}),
        "findings[0].at",
    ),
    "percentage": (
        lambda make: make({"count": {"events": 13, "total": 20, "printed": "68%"}}),
        "68% is printed, but 13/20 is 65.0%",
    ),
    "grades": (
        lambda make: make({"grades": GRADES, "outcome": "crs", "grading": "ASTCT"}),
        "findings[0].grades",
    ),
    "interval": (
        lambda make: make({"ratio": RATIO, "exposure": "hsct", "time_handling": "landmark"}),
        "findings[0].ratio",
    ),
    "outcome": (
        lambda make: make({"count": {"events": 1, "total": 20}, "outcome": "complete_remision"}),
        "did you mean 'complete_remission'?",
    ),
    "arm": (lambda make: make({"count": {"events": 1, "total": 20}, "arm": "cra"}), "'cra'"),
    "not an integer": (
        lambda make: make({"count": {"events": 1.5, "total": 20}}),
        "1.5 is a number; allowed: a whole number",
    ),
    "doi": (
        lambda make: make(citation={"doi": "https://doi.org/10.1/x"}),
        "without https://doi.org/",
    ),
    "year": (lambda make: make(citation={"year": 2102}), "citation.year: 2102"),
    "version": (lambda make: make(schema=2), "schema: version 2 is not known"),
    "id": (lambda make: make(id="roe2020"), "'roe2020' in a file named doe2020.toml"),
    "empty": (lambda make: "", "the file is empty"),
    "not text": (lambda make: b"id = '\xff\xfe'", "not UTF-8"),
    "nan": (
        lambda make: make(arms=({"age": {"median": float("nan")}},)),
        "arms[0].age.median",
    ),
    "infinite": (
        lambda make: make(arms=({"age": {"median": float("inf")}},)),
        "arms[0].age.median",
    ),
}


@pytest.mark.parametrize(("content", "message"), BAD_STUDIES.values(), ids=BAD_STUDIES)
def test_a_faulty_study(
    content: Callable[[Make], Any],
    message: str,
    run: Callable[..., Run],
    write: Write,
    study_data: Make,
    here: Path,
) -> None:
    path = write(content(study_data), "doe2020.toml")
    before = path.read_bytes()
    checked = run("studies", "check", path)
    assert checked.status == 2
    faults = [line for line in checked.out.splitlines() if ": warning: " not in line]
    assert message in "\n".join(faults)
    assert all(line.startswith("doe2020.toml:") for line in faults)
    counted = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    assert checked.err.splitlines()[-1].startswith(counted)
    # every verb that reads it refuses it with the same lines, and writes nothing
    for verb in (
        ("fit", "cr_rate", "--out", "out/fit.nc"),
        ("forest", "cr_rate", "--out", "out/forest.svg"),
        ("report", "cr_rate", "--out", "out"),
    ):
        result = run(*verb, "--studies", path)
        assert (result.status, result.out) == (2, "")
        assert result.err.splitlines() == faults
    assert run("studies", "--studies", path).status == 2
    assert sorted(here.iterdir()) == [path]
    assert path.read_bytes() == before


def test_a_duplicate_id(run: Callable[..., Run], write: Write, study_data: Make) -> None:
    paths = [write(study_data(), f"{folder}/doe2020.toml").parent for folder in ("one", "two")]
    result = run("studies", "check", *paths)
    assert result.status == 2
    assert "doe2020" in result.out
    assert "one" in result.out
    assert "two" in result.out


def test_a_file_that_cannot_be_read_hides_no_other_fault(
    run: Callable[..., Run],
    write: Write,
    study_data: Make,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(study_data({"count": {"events": 21, "total": 20}}))
    locked = write(study_data(id="roe2021"))
    read = Path.read_bytes

    def refuse(path: Path) -> bytes:
        if path.name == locked.name:
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    # a superuser may read everything: what the system would say is put in its place
    monkeypatch.setattr(Path, "read_bytes", refuse)
    monkeypatch.setattr(os, "access", lambda path, _mode, **_: Path(path).name != locked.name)
    result = run("studies", "check", "roe2021.toml", "doe2020.toml")
    assert result.status == 2
    assert "roe2021.toml: cannot be read: Permission denied" in result.out
    assert re.search(r"doe2020\.toml:\d+: .*21", result.out)


def test_a_missing_file_and_a_faulty_one_are_both_listed(
    run: Callable[..., Run], write: Write, study_data: Make, here: Path
) -> None:
    write(study_data({"count": {"events": 21, "total": 20}}, {"count": {"events": 1}}))
    result = run("studies", "check", "doe2020.toml", "roe2021.toml")
    assert result.status == 2
    assert "roe2021.toml: no such file or folder" in result.out
    assert "findings[0].count" in result.out
    assert "findings[1].count.total" in result.out


BAD_MODELS = {
    "unknown prior": ('[priors]\nmu = "Nromal(0, 1)"', "did you mean 'Normal'"),
    "wrong support": ('[priors]\ntau = "Normal(0, 1)"', "tau"),
    "one level": ('[include]\nscfv = ["humanized"]', "the one level 'humanized'"),
    "missing values": ('moderators = ["reason"]', "moderator 'reason': no value in"),
    "empty selection": ('[include]\ndisease = ["CLL"]', "by_origin"),
    "unknown likelihood": ('likelihood = "binomal"', "did you mean 'binomial'?"),
    "unknown version": ("schema = 2", "schema"),
    "other id": ('id = "cr"', "'cr' in a file named by_origin.toml"),
}


@pytest.mark.parametrize(("change", "message"), BAD_MODELS.values(), ids=BAD_MODELS)
def test_a_faulty_model(change: str, message: str, run: Callable[..., Run], here: Path) -> None:
    key = change.split(" =")[0]
    if change.startswith("["):
        heading, line = change.split("\n")
        text = MODEL.replace(heading, change) if heading in MODEL else f"{MODEL}{change}\n"
        assert line in text
    else:
        text = re.sub(rf"^{key} = .*$", change, MODEL, flags=re.MULTILINE)
        assert text != MODEL
    model = here / "by_origin.toml"
    model.write_text(text)
    result = run("fit", model, "--out", "fit.nc")
    assert (result.status, result.out) == (2, "")
    assert message in result.err
    assert sorted(here.iterdir()) == [model]


def test_from_outside_a_fault_is_a_line_and_a_status(
    write: Write, study_data: Make, tmp_path: Path
) -> None:
    events = {"events": 21, "total": 20}
    write(study_data({"count": events}, {"count": {"events": 1}, "outcome": "crs" + 200 * "x"}))
    result = in_process(
        "fit", "cr_rate", "--studies", "doe2020.toml", "--out", "f.nc", cwd=tmp_path
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert "Traceback" not in result.stderr
    lines = result.stderr.splitlines()
    places = [re.match(r"doe2020\.toml:\d+: findings\[([01])\]\.", line) for line in lines]
    assert all(places)
    assert {place[1] for place in places if place} == {"0", "1"}
    assert [path.name for path in tmp_path.iterdir()] == ["doe2020.toml"]


# ---- words and accounts


def test_nothing_is_wider_than_120_columns_where_no_terminal_is(
    run: Callable[..., Run],
) -> None:
    for command in (("studies",), ("vocabulary",), ("account", "cr_rate")):
        assert max(map(len, run(*command).out.splitlines())) <= 120


def test_vocabulary_shows_every_word_and_those_of_a_folder(
    run: Callable[..., Run], write: Write, study_data: Make, here: Path
) -> None:
    result = run("vocabulary")
    words = set(re.findall(r"[\w-]+", result.out))
    known = (*OUTCOMES, *EXPOSURES, *POPULATIONS, *GRADINGS, *TIME_HANDLINGS, *FILTERS)
    assert result.status == 0
    assert set(known) <= words
    row = next(x.split() for x in result.out.splitlines() if x.startswith(" severe_crs "))
    assert row[1] == "lower"
    assert row[-1] == "crs"
    write(study_data(), "mine/doe2020.toml")
    own = '[outcomes.fever]\ntitle = "fever"\ndefinition = "above 38 °C"\nbetter = "lower"\n'
    write("schema = 1\n" + own, "mine/vocabulary.toml")
    assert "above 38 °C" in run("vocabulary", "--studies", "mine").out


_NUMBERS = {count_of(n, "x").split()[0]: n for n in range(1, 13)}


def test_account_shows_what_is_used_and_what_is_left_out(run: Callable[..., Run]) -> None:
    result = run("account", "cr_rate")
    table = mc.account(mc.load_studies(), mc.load_model("cr_rate"))
    left = table[(table["outcome"] == "complete_remission") & ~table["used"]]
    assert (result.status, result.err) == (0, "")
    used, *reasons = result.out.split("Left out. ")
    assert used.startswith(f"Used: {table['used'].sum()} findings")
    # a reason with the number of its findings is the caption of a table
    numbers = [re.search(r": (\w+) findings?\n", reason) for reason in reasons]
    assert sum(_NUMBERS.get(n[1], 0) or int(n[1]) for n in numbers if n) == len(left)
    rest = "".join(reasons)
    assert "25/28" in used
    assert "25/28" not in rest
    # a subgroup arm, and a comparison
    assert len(re.findall(r"^ Li 2020 .* 24/25 ", rest, re.MULTILINE)) == 2


def test_a_reader_that_has_left_sees_no_traceback() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run(
        [sys.executable, "-m", "metacart", "studies", "check"],
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)
    assert (result.returncode, result.stderr) == (141, b"")


# ---- fits: one, of so few draws that it cannot pass the gate


@pytest.fixture(scope="module")
def fitted(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[subprocess.CompletedProcess[str], Path]:
    folder = tmp_path_factory.mktemp("fit")
    (folder / "by_origin.toml").write_text(MODEL)
    options = ("--out", "new/fit.nc", "--draws", "20", "--seed", "1", "--cache", "kept")
    return in_process("fit", "by_origin.toml", *options, cwd=folder), folder


def test_a_fit_that_did_not_converge_is_saved_and_exits_1(
    fitted: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    result, folder = fitted
    assert result.returncode == 1
    assert result.stdout.startswith("Complete remission by origin of the binder\n")
    assert "Population average" in result.stdout
    assert "No answer: the computation failed its check." in result.stdout
    assert "of 100 patients" not in result.stdout
    lines = result.stderr.splitlines()
    assert lines[-1].startswith("not converged, must not be used: ")
    assert "wrote new/fit.nc" in lines
    # no progress bar, no warning of a library
    assert all(re.match(r"warning: surpris|wrote|not conv", line) for line in lines)
    assert [path.name for path in (folder / "new").iterdir()] == ["fit.nc"]
    fit = mc.load_fit(folder / "new" / "fit.nc")
    assert json.loads(fit.attrs["spec"])["id"] == "by_origin"
    assert fit.attrs["seed"] == 1


@pytest.fixture
def stored(
    fitted: tuple[subprocess.CompletedProcess[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    here: Path,
) -> dict[str, Any]:
    """Let `mc.fit` return the stored fit as one that converged; returns its keyword arguments."""
    asked: dict[str, Any] = {}

    def stored_fit(spec: mc.ModelSpec, evidence: Any, **options: Any) -> Any:
        fit = mc.load_fit(fitted[1] / "new" / "fit.nc")
        fit.attrs["converged"] = 1
        asked.update(options, spec=spec, evidence=evidence)
        return fit

    (here / "by_origin.toml").write_text(MODEL)
    monkeypatch.setattr(mc, "fit", stored_fit)
    return asked


def test_fit(run: Callable[..., Run], stored: dict[str, Any], here: Path) -> None:
    result = run("fit", "by_origin.toml", "--out", "a/fit.nc", "--draws", "7", "--seed", "3")
    assert result.status == 0
    assert {key: stored[key] for key in ("draws", "seed")} == {"draws": 7, "seed": 3}
    assert stored["spec"].id == "by_origin"
    fit = mc.load_fit(here / "a" / "fit.nc")
    summary = mc.summarize(fit).set_index("estimand")
    for name in ("median study", "population average", "next study"):
        row = summary.loc[name]
        shown = rf"^ {name.capitalize()} +(\d+) % \(>?(\d+) to >?(\d+)\)"
        found = re.search(shown, result.out, flags=re.MULTILINE)
        assert found
        # per cent as on the page, which shows no digit that the draws do not support
        wanted = [100 * row[end] for end in ("median", "lower", "upper")]
        assert [int(each) for each in found.groups()] == pytest.approx(wanted, abs=6)
    assert re.search(r"of 100 patients \d+ reach complete remission", " ".join(result.out.split()))


def lines_of(result: Run) -> list[str]:
    return result.out.splitlines()


def test_a_fit_says_what_it_rests_on(run: Callable[..., Run], stored: dict[str, Any]) -> None:
    result = run("fit", "by_origin.toml", "--out", "fit.nc")
    table = mc.account(mc.load_studies(), mc.load_model("by_origin.toml"))
    left = table[(table["outcome"] == "complete_remission") & ~table["used"]]
    for words in (
        "evidence  two studies, 67 patients: Chen 2021 25/28; Li 2020 36/39",
        f"left out  {len(left)} findings of complete remission, for ",
        "; `metacart account SPEC` says why",
        "mu ~ Normal(0, 1.5), tau ~ HalfNormal(1)",
        "seed      1, 4 chains of",
        "mostly the prior",
    ):
        assert words in re.sub(r"\n +(?=\S)", " ", result.out)
    assert stored["seed"] == DEFAULT_SEED == 1
    assert "Numeric moderators" not in result.out
    assert result.err.splitlines()[-1] == "wrote fit.nc"
    assert "about the studies" not in result.err


def test_notes_of_a_question_are_shown(
    run: Callable[..., Run], stored: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = mc.fit

    def noted(*given: Any, **options: Any) -> Any:
        fit = inner(*given, **options)
        fit.attrs["spec"] = json.dumps(json.loads(fit.attrs["spec"]) | {"notes": ["Mind the gap."]})
        return fit

    monkeypatch.setattr(mc, "fit", noted)
    assert "  - Mind the gap.\n" in run("fit", "by_origin.toml", "--out", "fit.nc").out


def test_where_the_prior_of_mu_holds_is_said_of_numeric_moderators(
    run: Callable[..., Run], here: Path
) -> None:
    (here / "by_year.toml").write_text(
        MODEL.replace("by_origin", "by_year").replace('"scfv"', '"year"')
        + "reference = {year = 2020}\n"
    )
    result = run("fit", "by_year.toml", "--out", "fit.nc", "--quiet")
    assert "mu is where year = 2020, and its prior holds there." in " ".join(result.out.split())


def test_forest(run: Callable[..., Run], stored: dict[str, Any], here: Path) -> None:
    result = run("forest", "by_origin.toml", "--out", "forest.svg")
    assert result.status == 0
    row = next(line for line in lines_of(result) if " 25/28 " in line)
    assert "89 (72 to 98)" in row  # the exact interval of Chen 2021
    assert "36/39" in result.out
    assert "next study" in result.out
    assert (here / "forest.svg").read_text().rstrip().endswith("</svg>")
    assert sorted(path.name for path in here.iterdir()) == ["by_origin.toml", "forest.svg"]


def test_forest_as_a_journal_prints_it_and_of_two_models(
    run: Callable[..., Run], stored: dict[str, Any], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Any, dict[str, Any]]] = []
    monkeypatch.setattr(mc, "plot_forest", lambda fit, **options: asked.append((fit, options)))
    (here / "other.toml").write_text(MODEL.replace("by_origin", "other"), encoding="utf-8")
    look = ("--layout", "bmj", "--sort", "year", "--width", "7", "--prediction", "density")
    columns = ("--columns", "study, scfv,forest,effect")
    result = run("forest", "by_origin.toml", "other.toml", "--out", "x.pdf", *look, *columns)
    assert result.status == 0
    ((fits, options),) = asked
    assert [*fits] == ["by_origin", "other"]  # the same title: told apart by their names
    del options["studies"]
    assert options == {
        "file": Path("x.pdf"),
        "columns": ["study", "scfv", "forest", "effect"],
        "width": 7.0,
        "layout": "bmj",
        "sort": "year",
        "axis": None,
        "prediction": "density",
    }
    assert result.out.count("next study") >= 2
    assert result.err.count("wrote x.pdf") == 1


def test_compare(run: Callable[..., Run], stored: dict[str, Any]) -> None:
    result = run("compare", "by_origin.toml", "scfv", "humanized", "unreported")
    assert result.status == 0
    rows = [line.split() for line in result.out.splitlines()]
    assert ["humanized", "Chen", "2021"] in [row[:3] for row in rows if row[-1:] == ["25/28"]]
    assert ["unreported", "Li", "2020"] in [row[:3] for row in rows if row[-1:] == ["36/39"]]
    assert "ScFv" not in result.out
    assert "scFv origin: humanized against unreported; risk differences" in result.out
    for words in ("odds ratio", "risk difference", "risk ratio", "P(humanized better)"):
        assert words in result.out
    assert "mostly the prior" in result.out
    assert "ecological, no study has both levels" in " ".join(result.out.split())


def test_arms_of_a_level_are_counted_together() -> None:
    evidence = pd.DataFrame(
        {
            "study": ["a", "b", "c"],
            "label": ["A 2020", "B 2021", "C 2022"],
            "arm_label": "car",
            "new": [True, False, True],
            "events": [1, 2, 3],
            "total": [4, 5, 6],
        }
    )
    fit = SimpleNamespace(attrs={"evidence": evidence_text(evidence)})
    rows = [row.cells for row in level_rows(fit, "new", "true", "false").rows]
    assert rows == [
        ("true", "A 2020", "car", "1/4"),
        ("true", "C 2022", "car", "3/6"),
        ("true", "together", "2 arms", "4/10"),
        ("false", "B 2021", "car", "2/5"),
    ]


@pytest.mark.parametrize(
    ("failed", "status", "notes"),
    [
        ((), 0, ["2 questions answered, seed 5", "warning: c: this evidence cannot answer it"]),
        (("b",), 1, ["2 questions answered", "warning: c: ", "b: not converged, must not be used"]),
    ],
)
def test_report(
    failed: tuple[str, ...],
    status: int,
    notes: list[str],
    run: Callable[..., Run],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: dict[str, Any] = {}

    def written(specs: Any = None, **options: Any) -> Report:
        asked.update(options, specs=specs)
        return Report(Path("page/index.html"), 5, ("a", "d"), failed, ("c",))

    monkeypatch.setattr(mc, "report", written)
    folders = ("--studies", "bundled", "--studies", "mine")
    result = run(
        "report", "a", "c", "--out", "page", *folders, "--models", "m", "--seed", "5", "--jobs", "1"
    )
    assert (result.status, result.out) == (status, "page/index.html\n")
    for line, note in zip(result.err.splitlines(), notes, strict=True):
        assert line.startswith(note)
    assert asked == {
        "specs": ["a", "c"],
        "out": "page",
        "studies": [mc.BUNDLED, "mine"],
        "models": Path("m"),
        "seed": 5,
        "executor": None,
        "formats": "html",
        "script": False,
        "cache": mc.Cache(platformdirs.user_cache_path()),
        "progress": None,
    }
    quiet = run("report", "--quiet", "--jobs", "1", "--cache", "mine", "--fresh")
    assert (quiet.status, quiet.out) == (status, "page/index.html\n")
    assert len(quiet.err.splitlines()) == len(failed)
    assert (asked["specs"], asked["studies"], asked["out"]) == (None, None, "report")
    assert asked["seed"] == DEFAULT_SEED
    assert asked["cache"] == mc.Cache(Path("mine"), fresh=True)


def test_quiet_leaves_results_alone(run: Callable[..., Run], stored: dict[str, Any]) -> None:
    result = run("fit", "by_origin.toml", "--out", "fit.nc", "--quiet")
    assert (result.status, result.err) == (0, "")
    assert "Population average" in result.out
    assert "Before you use this:" in result.out
    assert stored["progress"] is False


def test_an_existing_file_is_replaced_whole(
    run: Callable[..., Run], stored: dict[str, Any], here: Path
) -> None:
    (here / "fit.nc").write_text("old")
    assert run("fit", "by_origin.toml", "--out", "fit.nc").status == 0
    assert mc.load_fit(here / "fit.nc").attrs["converged"] == 1


def test_a_figure_that_fails_leaves_no_file(
    run: Callable[..., Run],
    stored: dict[str, Any],
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device", "forest.svg")

    monkeypatch.setattr(mc, "plot_forest", fail)
    result = run("forest", "by_origin.toml", "--out", "forest.svg", "--quiet")
    assert result == (2, "", "forest.svg: No space left on device\n")
    assert sorted(path.name for path in here.iterdir()) == ["by_origin.toml"]


def test_ctrl_c_is_quiet(run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(mc, "fit", interrupt)
    assert run("fit", "cr_rate", "--out", "fit.nc", "--quiet") == (130, "", "")


# ---- the screen


def test_a_table_is_aligned_and_one_without_rows_is_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    columns = [Column("name"), Column("at"), Column("n", "number")]
    screen.show_table(table_of("Title", columns, [("a", "", 1), ("b", None, 23)]))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Title"
    assert lines[2] == " name   n"
    assert lines[4:6] == [" a      1", " b     23"]
    screen.show_table(table_of("Title", columns, []))
    assert capsys.readouterr().out == ""


def test_a_paragraph_is_wrapped_under_its_lead(capsys: pytest.CaptureFixture[str]) -> None:
    screen.show_words(Markup("<b>7</b> to\u00a09 of 100"), lead="note  ")
    screen.show_words("word " * 30, lead="  - ")
    first, second, third = capsys.readouterr().out.splitlines()
    assert first == "note  7 to 9 of 100"
    assert len(second) <= 100
    assert second.startswith("  - word")
    assert third.startswith("    word")


def test_a_fault_stays_on_one_line_and_steers_no_terminal(
    run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise InputError(Fault("title", "two\nlines and \x1b[31mred", "é and –"))

    monkeypatch.setattr(mc, "load_studies", refuse)
    result = run("studies")
    assert result == (2, "", "title: two lines and \ufffd[31mred; allowed: é and –\n")


def test_a_terminal_gets_a_table_of_its_width() -> None:
    # a width in the environment would stand before that of the terminal
    command = f"stty cols 60; unset COLUMNS; exec '{sys.executable}' -m metacart studies"
    script = f"import pty; pty.spawn(['sh', '-c', {command!r}])"
    result = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        env=os.environ | {"TERM": "xterm", "NO_COLOR": "1"},
        check=True,
    )
    lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", result.stdout.decode()).splitlines()
    assert any("an2022" in line for line in lines)
    assert max(len(line.rstrip()) for line in lines if "warning" not in line) <= 60
