"""Text of one shape, and values of one kind: each with the words and the hint of its fault."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from metacart.errors import Fault, InputError, did_you_mean, shown

__all__ = [
    "Band",
    "Doi",
    "Id",
    "Month",
    "Pages",
    "Percentage",
    "Pmcid",
    "Pmid",
    "Scalar",
    "Shape",
    "Text",
    "Timepoint",
    "Unit",
    "Words",
    "is_id",
]


@dataclass(frozen=True, slots=True)
class Shape:
    """What text must look like: an annotation for pydantic.

    Attributes
    ----------
    pattern : str
        A regular expression for the whole text.
    words : str
        The pattern as a curator understands it.
    examples : tuple of str
        Two texts that differ.
    mended : callable
        From a text of another shape: what may have been meant.
    """

    pattern: str
    words: str
    examples: tuple[str, str]
    mended: Callable[[str], str]

    def fits(self, text: str) -> bool:
        """Return whether the text has this shape."""
        return re.fullmatch(self.pattern, text, re.ASCII) is not None

    def check(self, text: str) -> str:
        """Return the text; raises `InputError` unless it fits."""
        if self.fits(text):
            return text
        near = self.mended(text.strip())
        attempt = did_you_mean(near) if self.fits(near) else f"such as '{self.examples[0]}'"
        raise InputError(Fault("", shown(text), self.words, attempt))

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(schema) | {"pattern": f"^({self.pattern})$"}


def _plain(text: str) -> str:
    """Return the text in lower case, without accents."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def _as_id(text: str) -> str:
    return re.sub(r"[^a-z0-9_-]", "", _plain(text)).lstrip("0123456789_-")


def _as_timepoint(text: str) -> str:
    words = _plain(text)
    for word, timepoint in (("best", "best"), ("last", "last follow-up")):
        if word in words:
            return timepoint
    number = re.findall(r"\d+", words)
    unit = re.search(r"(?<![a-z])[dwmy]", words)
    if len(number) != 1 or unit is None:
        return ""
    if unit[0] == "y":
        return f"month {12 * int(number[0])}"
    return f"{ {'d': 'day', 'w': 'week', 'm': 'month'}[unit[0]] } {number[0]}"


def _as_month(text: str) -> str:
    if found := re.fullmatch(r"(\d{1,2})[-/. ](\d{4})", text):
        return f"{found[2]}-{found[1]:0>2}"
    if found := re.fullmatch(r"(\d{4})[-/. ](\d{1,2})(?:[-/. ](\d{1,2}))?", text):
        return "-".join(f"{part:0>2}" for part in found.groups() if part)
    return ""


def _as_band(text: str) -> str:
    band = re.sub(r"grades?|g|\s", "", _plain(text)).replace("–", "-")
    if found := re.fullmatch(r"(?:>=|≥)([0-4])|([0-4])\+", band):
        return f"{found[1] or found[2]}-5"
    return {"all": "total", "n": "total", "sum": "total"}.get(band, band)


def _as_percentage(text: str) -> str:
    number = re.search(r"\d+([.,]\d+)?", text)
    return f"{number[0].replace(',', '.')}%" if number else ""


def _found(pattern: str) -> Callable[[str], str]:
    def search(text: str) -> str:
        found = re.search(pattern, text)
        return found[0] if found else ""

    return search


Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
# TOML has lists where a frozen record wants tuples.
Words = Annotated[tuple[Text, ...], Field(strict=False)]

Unit = Literal["day", "week", "month", "year"]

_ID = Shape(
    r"[a-z][a-z0-9_-]*",
    "lower-case letters, digits, - and _, beginning with a letter",
    ("an2022", "li2020"),
    _as_id,
)
Id = Annotated[str, _ID]


def is_id(text: str) -> bool:
    """Return whether the text can be an id."""
    return _ID.fits(text)


Timepoint = Annotated[
    str,
    Shape(
        r"(day|week|month) \d+|best|last follow-up",
        "day N, week N, month N, best or last follow-up",
        ("day 28", "best"),
        _as_timepoint,
    ),
]
Month = Annotated[
    str,
    Shape(
        r"(19|20)\d\d(-(0[1-9]|1[0-2])(-\d\d)?)?",
        "a year, a month or a day: 2019, 2019-01 or 2019-01-31",
        ("2019-01", "2020-11"),
        _as_month,
    ),
]
Percentage = Annotated[
    str,
    Shape(
        r"\d+(\.\d+)? ?%",
        "a percentage as the paper prints it",
        ("68%", "68.4%"),
        _as_percentage,
    ),
]
Band = Annotated[
    str,
    Shape(
        r"[0-5](-[0-5])?|total",
        "a grade from 0 to 5, a range of grades such as 1-2, or total",
        ("1-2", "total"),
        _as_band,
    ),
]
Doi = Annotated[
    str,
    Shape(
        r"10\.\d{4,9}/\S+",
        "the DOI alone, without https://doi.org/",
        ("10.1186/s12885-022-09489-1", "10.1038/s41419-020-2388-1"),
        _found(r"10\.\d{4,9}/\S+"),
    ),
]
Pmid = Annotated[str, Shape(r"\d{1,9}", "the number alone", ("32231200", "1"), _found(r"\d{1,9}"))]
Pmcid = Annotated[
    str,
    Shape(
        r"PMC\d+",
        "PMC and a number",
        ("PMC7105502", "PMC1"),
        lambda text: f"PMC{_found(r'[0-9]+')(text)}",
    ),
]


Pages = Annotated[
    str,
    Shape(
        r"\d+[A-Za-z]?(\(\d+\))?:[A-Za-z]?\d+([-–][A-Za-z]?\d+)?",
        "volume and pages, as 25:5595-607",
        ("25:5595-607", "10:e004483"),
        lambda text: re.sub(r"^\d{4};|\s", "", text),
    ),
]


def _scalar(value: object) -> object:
    """Refuse in one message what is none of the kinds; pydantic has a message for each kind."""
    allowed, attempt = "text in quotes, a number, true or false", ""
    if isinstance(value, float) and not math.isfinite(value):
        attempt = "leave the key out where the paper does not say"
    elif isinstance(value, str | bool | int | float):
        return value
    elif not isinstance(value, dict | list | tuple):
        attempt = f'write "{value}"'
    raise InputError(Fault("", shown(value), allowed, attempt))


Scalar = Annotated[str | bool | int | float, BeforeValidator(_scalar)]
