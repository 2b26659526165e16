"""Words that not every reader of a page knows."""

from __future__ import annotations

import re

__all__ = ["terms_of"]

_TERMS: tuple[tuple[str, str], ...] = (
    (
        "ASTCT",
        (
            "a scale for the grades of cytokine release syndrome and neurotoxicity; Lee, Penn, "
            "MSKCC and CTCAE are others, and grade 3 is not the same on all of them"
        ),
    ),
    ("b", "the bias of immortal time, as the log of a factor on the hazard ratio"),
    ("B-ALL", "acute lymphoblastic leukaemia of B cells"),
    ("cohort", "patients whom several papers may share: each of them counts once"),
    ("CR, CRi", "complete remission, with full or incomplete (i) recovery of blood counts"),
    ("CRS", "cytokine release syndrome, a reaction to CAR-T cells graded 1 to 5"),
    ("hCART19s", "the humanized CD19 CAR-T cells of Chen 2021"),
    ("LFS", "leukaemia-free survival: alive without relapse, where a paper keeps to that"),
    (
        "median study, population average, next study",
        "three numbers that a pool can mean; see how to read the answers, above",
    ),
    ("MRD", "measurable residual disease: leukaemia that only sensitive methods find"),
    ("R̂", "agreement between runs of the sampler; 1.00 is full agreement"),
    ("scFv", "the part of a CAR that binds its target; from mice, humanized or human"),
    ("τ", "how much studies truly differ: the standard deviation of their true values"),
    ("θ", "the true value of one finding, on the model scale"),
    ("μ", "the middle of the studies' true values, on the model scale"),
)


def terms_of(text: str) -> list[tuple[str, str]]:
    """Return the terms that a text uses, each with its meaning.

    Examples
    --------
    >>> [term for term, _ in terms_of("The scFv of hCART19s is humanized.")]
    ['hCART19s', 'scFv']
    """
    return [(term, meaning) for term, meaning in _TERMS if _uses(text, term)]


def _uses(text: str, term: str) -> bool:
    # "CR" is not "cr", but a cohort may begin a sentence
    return any(
        re.search(rf"(?<!\w){re.escape(part)}s?(?!\w)", text, re.IGNORECASE * (len(part) > 4))
        for part in term.split(", ")
    )
