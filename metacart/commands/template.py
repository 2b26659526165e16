"""The start of a study file: every key that most papers give, with what may stand there.

What is not known yet stands empty or as a comment, so that `studies check` asks for it by name:
a number invented to make the file pass could end up in an answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["template"]


def template(name: str, citation: Mapping[str, Any]) -> str:
    """Return the text of a study file to fill in.

    Parameters
    ----------
    name : str
        The id.
    citation : mapping
        What is known of the paper, by key.
    """
    return "\n".join(_lines(name, citation)) + "\n"


def _lines(name: str, citation: Mapping[str, Any]) -> Iterator[str]:
    from metacart.records.paper import Citation, Conduct
    from metacart.records.study import Arm, Finding
    from metacart.records.value import Count
    from metacart.records.vocabulary import OUTCOMES

    yield "#:schema ./study.schema.json"
    yield "# Editors complete this file with the output of `metacart studies schema` beside it."
    yield f"# `metacart studies check {name}.toml` says what is still to fill in."
    yield "# A line that begins with # is a comment: take the # away where the paper gives the key."
    yield "schema = 1"
    yield f"id = {_toml(name)}"
    yield '# cohort = "…"  # a name that papers on the same patients share; the id without it'
    yield ""
    yield "[citation]"
    yield _key("title", citation, '""  # as printed')
    yield _key("authors", citation, '[]  # ["Surname AB", "Surname C"]')
    yield _key("journal", citation)
    yield _key("year", citation, hint="needed")
    yield '# pages = "…"  # volume and pages, such as 25:5595-607'
    yield "# one of the next five, or pages beside the journal"
    yield _key("doi", citation, hint="alone, without https://doi.org/")
    yield _key("pmid", citation)
    yield _key("pmcid", citation)
    yield _key("registrations", citation, example='["NCT…"]')
    yield _key("abstract_number", citation)
    yield _key("publication", citation, hint=_words(Citation, "publication"))
    yield _key("read", citation, hint=f"what the numbers were read in: {_words(Citation, 'read')}")
    yield ""
    yield "[conduct]"
    yield 'study_design = ""  # such as "single-arm phase 1"'
    yield '# centres = ["…"]'
    yield '# countries = ["…"]  # two letters: CN, US'
    yield '# enrolment = { from = "2019-01", to = "2020-11" }'
    yield '# data_cutoff = "2021-07"'
    yield '# follow_up = { median = …, lower = …, upper = …, unit = "month" }'
    yield f'# direction = "…"  # {_words(Conduct, "direction")}'
    yield f'# registered = "…"  # {_words(Conduct, "registered")}'
    yield ""
    yield "# One table for each treated group; copy it for more."
    yield "[[arms]]"
    yield 'id = "car"'
    yield '# label = "…"  # what figures call it'
    yield 'disease = ""  # such as "B-ALL"'
    yield f'infusion = ""  # {_words(Arm, "infusion")}'
    yield "# of a re-treatment:"
    yield f'# reason = "…"  # {_words(Arm, "reason")}'
    yield f'# prior_scfv = "…"  # of the first product: {_words(Arm, "scfv")}'
    yield "# same_product = …  # true or false: the product of the first infusion again"
    yield f'scfv = ""  # {_words(Arm, "scfv")}'
    yield f'# scfv_certainty = "…"  # {_words(Arm, "scfv_certainty")}'
    yield '# scfv_evidence = "…"  # what the paper says of it, and where'
    yield '# targets = ["CD19"]'
    yield '# costimulation = "…"  # such as "4-1BB"'
    yield '# vector = "…"  # such as "lentivirus"'
    yield "# the numbers that the paper gives: enrolled, infused, evaluable, responders"
    yield "patients = { }"
    yield '# age = { median = …, lower = …, upper = …, unit = "year" }'
    yield "# prior_hsct = { events = …, total = … }"
    yield ""
    yield "# One table for each reported number; copy it for more. Outcomes:"
    yield from _wrapped(", ".join(OUTCOMES))
    yield "[[findings]]"
    yield 'arm = "car"'
    yield 'outcome = ""'
    yield f'population = ""  # {_words(Finding, "population")}'
    yield '# timepoint = "…"  # day N, week N, month N, best, last follow-up'
    yield f'# grading = "…"  # of CRS and neurotoxicity: {_words(Finding, "grading")}'
    yield "# exactly one of these; printed is the percentage as the paper prints it"
    keys = [key for key, field in Count.model_fields.items() if field.is_required()]
    yield f'# count = {{ {", ".join(f"{key} = …" for key in keys)}, printed = "…" }}'
    yield "# grades = { 0 = …, 1-2 = …, 3-5 = … }"
    yield '# survival = { time = 12, unit = "month", estimate = 0.…, lower = 0.…, upper = 0.… }'
    yield 'at = ""  # the place in the paper, such as "Table 2"'


def _key(
    key: str,
    known: Mapping[str, Any],
    empty: str = "",
    *,
    example: str = '"…"',
    hint: str = "",
) -> str:
    """Return a key with its value, else as it waits for one."""
    if known.get(key):
        return f"{key} = {_toml(known[key])}"
    if empty:
        return f"{key} = {empty}"
    line = f"# {key} = {'…' if key == 'year' else example}"
    return f"{line}  # {hint}" if hint else line


def _toml(value: Any) -> str:
    import tomlkit

    text: str = tomlkit.item(value).as_string()
    return text


def _words(record: Any, key: str) -> str:
    from metacart.records.fields import annotation_at, literals_in

    return ", ".join(map(str, literals_in(annotation_at(record, (key,)))))


def _wrapped(text: str) -> Iterator[str]:
    import textwrap

    for line in textwrap.wrap(text, 98):
        yield f"# {line}"
