"""Which questions become a section without an answer, and which are faults that stop a report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from metacart.errors import InputError
from metacart.evidence.library import Studies, load_studies
from metacart.records.spec import ModelSpec
from metacart.report.questions import Question, ask


@pytest.fixture
def studies(study_data: Callable[..., Any], write: Callable[..., Path]) -> Studies:
    """Two arms that differ in scFv and dose, one without a dose, and one of another disease."""
    arms: list[dict[str, Any]] = [
        {"id": "a", "scfv": "murine", "attributes": {"dose": 1.0}},
        {"id": "b", "scfv": "humanized", "attributes": {"dose": 2.0}},
        {"id": "c", "scfv": "human"},
        {"id": "d", "disease": "NHL", "attributes": {"centre": "X"}},
    ]
    count = {"count": {"events": 13, "total": 20}}
    findings = [count | {"arm": arm["id"]} for arm in arms]
    return load_studies(write(study_data(*findings, arms=arms)))


def asked(studies: Studies, **options: Any) -> Question:
    base = {"id": "q", "outcome": "complete_remission", "likelihood": "binomial"}
    (question,) = ask(
        [ModelSpec(**{**base, "include": {"disease": ["B-ALL"]}, **options})], studies
    )
    return question


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"moderators": ["scvf"]}, ["q: moderator 'scvf'", "did you mean 'scfv'?"]),
        (
            {"moderators": ["scfv"], "reference": {"scfv": "murin"}},
            ["q: reference.scfv", "did you mean 'murine'?"],
        ),
        (
            {"moderators": ["scfv"], "contrasts": [["scfv", "humanised", "murine"]]},
            ["q: contrasts[0]", "did you mean 'humanized'?"],
        ),
        (
            # once it is recoded, nothing is called human any more
            {
                "moderators": ["scfv"],
                "recode": {"scfv": {"humanized": ["human", "humanized"]}},
                "contrasts": [["scfv", "human", "murine"]],
            },
            ["'human' is no level of scfv", "murine, humanized"],
        ),
        ({"moderators": ["target"], "priors": {"tau": "HalfNormal(-1)"}}, ["q: priors.tau"]),
        ({"include": {"scfv": ["mixed"]}, "priors": {"mu": "Nrmal(0, 1)"}}, ["q: priors.mu"]),
        ({"moderators": ["target"], "priors": {"beta": {"traget": "Normal(0, 1)"}}}, ["'target'?"]),
        ({"scale": "log"}, ["q: scale"]),
        ({"moderators": ["label"], "contrasts": [["scfv", "a", "b"]]}, ["contrasts[0]"]),
    ],
)
def test_a_faulty_question_is_never_a_section(
    options: dict[str, Any], words: list[str], studies: Studies
) -> None:
    with pytest.raises(InputError) as refusal:
        asked(studies, **options)
    for word in words:
        assert word in str(refusal.value)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"include": {"scfv": ["mixed"]}}, "No finding passes the rules of the question."),
        ({"moderators": ["target"]}, "Target does not vary: three arms passed the rules"),
        ({"moderators": ["dose"]}, "is not stated for Doe 2020"),
        # only the arm of another disease has it
        ({"moderators": ["centre"]}, "is not stated for Doe 2020"),
        (
            {"moderators": ["scfv"], "contrasts": [["scfv", "mixed", "murine"]]},
            "No arm that passes its rules is mixed.",
        ),
        (
            {"moderators": ["scfv"], "reference": {"scfv": "mixed"}},
            "No arm that passes its rules is mixed.",
        ),
        ({"moderators": ["scfv", "arm"]}, "it follows exactly from scfv"),
    ],
)
def test_what_the_evidence_cannot_answer_is_a_section(
    options: dict[str, Any], reason: str, studies: Studies
) -> None:
    question = asked(studies, **options)
    assert not question.answerable
    assert reason in " ".join(question.reasons)
    assert all(fault.unanswerable for fault in question.faults)


def test_a_question_that_can_be_answered(studies: Studies) -> None:
    assert asked(studies, moderators=["scfv"]).answerable
