"""What is wrong with a text that TOML cannot read, in the words of who wrote it."""

from __future__ import annotations

import re

from metacart.errors import Fault, shown

__all__ = ["syntax_fault"]

_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_KEY = re.compile(r"\s*\[*\s*([^=\[\]]+?)\s*(?:=|\]|$)")
_DECIMAL_COMMA = re.compile(r"\b(\d+),(\d+)\b")
# What a line may hold, and what to write instead; the first that is found is shown.
_HINTS = (
    (re.compile("[“”„‘’«»]"), 'straight quotes: "…"'),
    (re.compile(r"^\s*[\w-]+\s*:"), "= in place of the colon"),
    (re.compile(r"=\s*="), "one ="),
    (re.compile(r"\d\s*[−–]\s*\d|=\s*[−–]"), "an ordinary minus: -"),
)
_REASONS = (
    ("Illegal character", "close the quotes before the line ends"),
    ('Expected "', "close the quotes"),
    ("Expected ']'", "close the bracket"),
    ("Expected '='", "key = value; a comment begins with #"),
    ("Unclosed inline table", "a comma between the entries, and { … } on one line"),
    ("Unclosed array", "a comma between the entries, and ] at the end"),
    ("Invalid value", 'text stands in quotes: "…"'),
)


def syntax_fault(error: Exception, text: str) -> Fault:
    r"""Return the fault of a text that tomllib refuses, with its line.

    Examples
    --------
    >>> import tomllib
    >>> text = "year = 2022\nyear = 2023"
    >>> try:
    ...     tomllib.loads(text)
    ... except tomllib.TOMLDecodeError as error:
    ...     print(syntax_fault(error, text).found)
    no TOML: a duplicate key: year
    """
    reason = str(error)
    place = _PLACE.search(reason)
    reason = _PLACE.sub("", reason)
    lines = text.rstrip("\n").split("\n")
    number, column = None, ""
    if place is not None:
        number = int(place[1]) if place[1] else len(lines)
        column = f" at column {place[2]}" if place[2] else " at the end of the file"
    line = lines[number - 1].rstrip("\r") if number is not None and number <= len(lines) else ""
    if (twice := _twice(reason, line)) is not None:
        return twice.at(line=number)
    found = f"no TOML: {reason[:1].lower()}{reason[1:]}{column}"
    if line.strip():
        found += f" of {shown(line.strip())}"
    return Fault("", found, "TOML: see https://toml.io", _hint(reason, line), line=number)


def _twice(reason: str, line: str) -> Fault | None:
    if found := re.fullmatch(r"Cannot declare \((.+)\) twice", reason):
        name = ".".join(re.findall(r"'([^']*)'", found[1]))
        attempt = f"[[{name}]] where there are several"
        return Fault("", f"no TOML: a duplicate table: [{name}]", "each table once", attempt)
    key = re.fullmatch(r"Duplicate inline table key '(.+)'", reason)
    if key is None and reason == "Cannot overwrite a value":
        key = _KEY.match(line)
    if key is None:
        return None
    return Fault(
        "", f"no TOML: a duplicate key: {key[1]}", "each key once", "delete one of the two"
    )


def _hint(reason: str, line: str) -> str:
    for pattern, hint in _HINTS:
        if pattern.search(line):
            return hint
    if reason.startswith("Expected newline") and (comma := _DECIMAL_COMMA.search(line)):
        return f"a decimal point: {comma[1]}.{comma[2]}"
    return next((hint for start, hint in _REASONS if reason.startswith(start)), "")
