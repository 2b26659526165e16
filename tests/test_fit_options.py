"""The options of a fit, and what happens before anything is sampled."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import metacart as mc
from metacart import cli
from metacart.errors import InputError
from metacart.inference import fit as fit_room
from metacart.inference.arguments import LARGEST_SEED, run_numbers

TABLE = pd.DataFrame({"study": list("ABCD"), "events": [9, 5, 13, 2], "total": [10, 8, 19, 9]})
SPEC = mc.ModelSpec(likelihood="binomial")


class SampledError(Exception):
    """Instead of draws."""


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the engines were given; they draw nothing."""
    given: list[dict[str, Any]] = []

    class Engines:
        def __init__(self, **options: Any) -> None:
            given.append(options)
            self.seed, self.progress = options["seed"], options["progress"]

        def draw(self, spec: mc.ModelSpec, design: Any, **options: Any) -> None:
            given[-1]["findings"] = design.sizes["finding"]
            raise SampledError

    monkeypatch.setattr(fit_room, "Engines", Engines)
    return given


def message_of(*arguments: Any, **options: Any) -> str:
    with pytest.raises(InputError) as refusal:
        mc.fit(*arguments, **options)
    return str(refusal.value)


@pytest.mark.parametrize("seed", [-1, 1.5, 2**32, 2**70, "a", True, np.float64(3)])
def test_what_is_no_seed(seed: Any, engines: list[Any]) -> None:
    assert f"seed: {seed!r}; allowed: a whole number from 0 to 4294967295" in message_of(
        SPEC, TABLE, seed=seed
    )
    assert not engines


@pytest.mark.parametrize("kind", [int, np.int64, np.uint8])
def test_numbers_of_numpy_are_numbers(kind: Any, engines: list[Any]) -> None:
    with pytest.raises(SampledError):
        mc.fit(SPEC, TABLE, seed=kind(3), draws=kind(200), tune=kind(100), chains=kind(2))
    (options,) = engines
    numbers = {name: options[name] for name in ("seed", "draws", "tune", "chains")}
    assert numbers == {"seed": 3, "draws": 200, "tune": 100, "chains": 2}
    assert {type(number) for number in numbers.values()} == {int}


def test_a_seed_is_drawn_within_bounds() -> None:
    drawn = {run_numbers(seed=None)["seed"] for _ in range(20)}
    assert len(drawn) == 20
    assert all(0 <= seed <= LARGEST_SEED for seed in drawn)
    assert run_numbers(seed=LARGEST_SEED) == {"seed": LARGEST_SEED}


def test_faults_of_options_come_together(engines: list[Any]) -> None:
    lines = message_of(
        "cr_rat", TABLE, method="nust", seed=-1, draws=0, studies=mc.load_studies()
    ).split("\n")
    assert [line.split(":")[0] for line in lines] == ["method", "draws", "seed", "studies", "model"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"studies": 3}, "studies: 3 is no Study"),
        ({"studies": []}, "studies: no studies"),
        ({"out": 3}, "out: 3 is no path"),
        ({"specs": 3}, "model: 3 is no path"),
        ({"seed": 2**32, "studies": "nowhere"}, "seed: 4294967296"),
        ({"seed": 2**32, "studies": "nowhere"}, "nowhere: no such file or folder"),
    ],
)
def test_a_report_of_what_is_none(options: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as refusal:
        mc.report(**{"specs": "cr_rate", "out": tmp_path / "out", **options})
    assert words in str(refusal.value)
    assert not list(tmp_path.iterdir())


def test_likelihoods_are_a_mapping(engines: list[Any]) -> None:
    message = message_of(SPEC, TABLE, likelihoods=3)
    assert message.startswith("likelihoods: a int; allowed: a mapping of names to Likelihood")


def test_studies_may_be_paths_or_records(engines: list[Any]) -> None:
    folder, loaded = mc.BUNDLED, mc.load_studies()
    for studies in (None, loaded, folder, str(folder), [folder], list(loaded)):
        with pytest.raises(SampledError):
            mc.fit("cr_rate", studies=studies)
    assert len({options["findings"] for options in engines}) == 1
    assert "leave it out: the bundled ones" in message_of("cr_rate", studies=[])
    for studies in ("nowhere", ["nowhere"], 3, [3]):
        engines.clear()
        message = message_of("cr_rate", studies=studies)
        assert "nowhere: no such file or folder" in message or "studies: 3 is no Study" in message
        assert not engines


# --- faults of a file ---------------------------------------------------------------------------

QUESTION = """schema = 1
outcome = "complete_remision"
[include]
infusionn = ["first"]
[model]
likelihood = "binomal"
moderators = ["scvf"]
[priors]
mu = "Nrmal(0, 1)"
"""


def test_every_fault_of_a_question_has_its_file_and_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engines: list[Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(QUESTION)
    lines = message_of("mine.toml").split("\n")
    assert [line.split(": ")[:2] for line in lines] == [
        ["mine.toml:2", "outcome"],
        ["mine.toml:4", "include.infusionn"],
        ["mine.toml:6", "likelihood"],
        ["mine.toml:9", "priors.mu"],
        ["mine.toml:7", "moderator 'scvf'"],
    ]


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ('"scfv"', '"target"', "mine.toml:5: moderator 'target': the evidence has the one level"),
        ('["infused"]', '["responders"]', "mine.toml: evidence of mine: no finding answers"),
        ('"murine"]', '"human"]', "mine.toml:6: contrasts[0]: 'human' is no level of scfv"),
        ('["infused"]', '["infusd"]', "mine.toml:3: population[0]: 'infusd' is not known"),
    ],
)
def test_what_the_evidence_refuses_has_its_file_and_line(
    old: str,
    new: str,
    where: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    write: Any,
    study_data: Any,
    engines: list[Any],
) -> None:
    arms = [{"id": "a", "scfv": "murine"}, {"id": "b", "scfv": "humanized"}]
    count = {"count": {"events": 13, "total": 20}}
    write(study_data(count | {"arm": "a"}, count | {"arm": "b"}, arms=arms))
    monkeypatch.chdir(tmp_path)
    text = (
        'schema = 1\noutcome = "complete_remission"\npopulation = ["infused"]\n'
        'likelihood = "binomial"\nmoderators = ["scfv"]\n'
        'contrasts = [["scfv", "humanized", "murine"]]\n'
    )
    assert old in text
    if new == '"target"':
        text = text.replace('contrasts = [["scfv", "humanized", "murine"]]\n', "")
    Path("mine.toml").write_text(text.replace(old, new))
    (line,) = message_of("mine.toml", studies="doe2020.toml").split("\n")
    assert line.startswith(where)
    Path("mine.toml").write_text(text)
    with pytest.raises(SampledError):
        mc.fit("mine.toml", studies="doe2020.toml")


def test_a_spec_is_the_same_wherever_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('schema = 1\nlikelihood = "binomial"\n')
    spec = mc.load_model(path)
    assert spec.path == path
    assert spec == mc.ModelSpec(id="mine", likelihood="binomial")
    assert "path" not in spec.model_dump()


@pytest.mark.parametrize("verb", ["fit", "forest", "account", "compare", "report"])
def test_every_command_tells_all_faults_of_a_question_with_file_and_line(
    verb: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(QUESTION)
    options = {
        "fit": ["--out", "fit.nc"],
        "forest": ["--out", "f.svg"],
        "report": ["--out", "out"],
        "compare": ["scfv", "human", "murine"],
    }
    assert cli.main([verb, "mine.toml", *options.get(verb, [])]) == 2
    places = re.findall(r"^mine\.toml:(\d+): (.+?): ", capsys.readouterr().err, re.MULTILINE)
    assert places == [
        ("2", "outcome"),
        ("4", "include.infusionn"),
        ("6", "likelihood"),
        ("9", "priors.mu"),
        ("7", "moderator 'scvf'"),
    ]
    assert [entry.name for entry in tmp_path.iterdir()] == ["mine.toml"]


VERBS = [name for name in mc.__all__ if inspect.isfunction(getattr(mc, name))]


@pytest.mark.parametrize("verb", VERBS)
def test_an_unknown_option_is_refused_by_name(verb: str) -> None:
    with pytest.raises(InputError) as refusal:
        getattr(mc, verb)(zzz=1)
    assert str(refusal.value).startswith(f"{verb}(zzz=…): no such option; allowed: ")
    assert isinstance(refusal.value, TypeError)


def test_the_nearest_option_is_named(engines: list[Any]) -> None:
    message = message_of(SPEC, TABLE, studes=3, sed=1)
    assert "fit(studes=…): no such option" in message
    assert "did you mean 'studies'?" in message
    assert "did you mean 'seed'?" in message
    with pytest.raises(TypeError, match=r"load_studies\(folder=…\): no such option"):
        mc.load_studies(folder="x")
