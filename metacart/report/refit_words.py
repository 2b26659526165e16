"""Why a part of the evidence gives no answer, in the words of a reader."""

from __future__ import annotations

import re

from metacart.report.words import column_words, join, level_word

__all__ = ["no_answer_words"]

_LEVEL = r"reference\.\w+: '(?P<level>.*)' is no level of (?P<name>\w+) in the evidence"
_ALIKE = r"moderator '(?P<name>\w+)': the evidence has the one level '(?P<level>.*)'"
_FOLLOWS = r"moderator '(?P<name>\w+)': it follows exactly from (?P<others>[\w, ]+), so that .*"


def no_answer_words(computed: str) -> str:
    """Return why a refit has no numbers, without names of keys and columns.

    Parameters
    ----------
    computed : str
        What a table of refits holds in ``computed``; what is not known here stays as it is.

    Examples
    --------
    >>> no_answer_words(
    ...     "cannot be fitted: moderator 'scfv': the evidence has the one level 'human'"
    ... )
    'nothing to compare, for every arm has “scFv origin: human”'
    """
    reason = computed.removeprefix("cannot be fitted: ")
    if found := re.fullmatch(_LEVEL, reason):
        return f"nothing to compare with, for no arm has {_level(found)}"
    if found := re.fullmatch(_ALIKE, reason):
        return f"nothing to compare, for every arm has {_level(found)}"
    if found := re.fullmatch(_FOLLOWS, reason):
        name = column_words(found["name"])
        others = join(f"“{column_words(each)}”" for each in found["others"].split(", "))
        return f"“{name}” follows from {others} here: their effects cannot be told apart"
    return computed


def _level(found: re.Match[str]) -> str:
    return f"“{column_words(found['name'])}: {level_word(found['level'])}”"
