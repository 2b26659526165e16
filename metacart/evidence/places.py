"""Where a value stands in a TOML text: tomllib keeps no positions, so the lines are counted."""

from __future__ import annotations

import re

__all__ = ["Location", "Places", "location_of"]

Location = tuple[int | str, ...]

_OPAQUE = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}(?!")'
    r"|'''.*?'{3,5}(?!')"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
    r"|\#[^\n]*",
    re.DOTALL,
)
_BARE = re.compile(r"""(["'])([\w-]+)\1""")
_HEADER = re.compile(r"\s*(\[\[?)([^\[\]=]+)\]\]?\s*$")
_KEY = re.compile(r"\s*([\w-]+(?:\s*\.\s*[\w-]+)*)\s*=")


def _mask(match: re.Match[str]) -> str:
    """Blank out comments and strings, so that no bracket or equals sign inside them counts."""
    text = match[0]
    if text.startswith("#"):
        return ""
    if bare := _BARE.fullmatch(text):
        return f" {bare[2]} "
    return re.sub(r"[^\n]", "_", text)


def location_of(place: str) -> Location:
    """Return ``("findings", 3, "count")`` for ``findings[3].count``.

    Examples
    --------
    >>> location_of("findings[3].count.events")
    ('findings', 3, 'count', 'events')
    """
    return tuple(
        int(index) if index else key for key, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", place)
    )


class Places:
    r"""The lines of the tables and keys of a TOML text.

    Parameters
    ----------
    text : str
        A text that tomllib can read.
    headings : tuple of str
        Tables whose keys belong to the root, as ``[model]`` in a file of ``models/``.

    Examples
    --------
    >>> Places("[[arms]]\nid = 'a'\n[[arms]]\nid = 'b'").line(("arms", 1, "id"))
    4
    """

    def __init__(self, text: str, *, headings: tuple[str, ...] = ()) -> None:
        self._headings = headings
        self._lines: dict[Location, int] = {}
        self._tables: dict[Location, int] = {}
        depth = 0
        table: Location = ()
        for number, line in enumerate(_OPAQUE.sub(_mask, text).split("\n"), start=1):
            if depth == 0:
                if header := _HEADER.match(line):
                    table = self._open([part.strip() for part in header[2].split(".")], header[1])
                    self._lines.setdefault(table, number)
                elif key := _KEY.match(line):
                    place = table
                    for part in key[1].split("."):
                        place = (*place, part.strip())
                        self._lines.setdefault(place, number)
            depth += len(re.findall(r"[\[{]", line)) - len(re.findall(r"[\]}]", line))

    def _open(self, parts: list[str], bracket: str) -> Location:
        table: Location = ()
        for number, part in enumerate(parts, start=1):
            table = (*table, part)
            if bracket == "[[" and number == len(parts):
                self._tables[table] = self._tables.get(table, 0) + 1
            if table in self._tables:
                table = (*table, self._tables[table] - 1)
        return table

    def line(self, location: Location) -> int:
        """Return the line of the innermost table or key on the way to `location`, else 1."""
        starts: list[Location] = [(), *((heading,) for heading in self._headings)]
        depths = [
            (length, self._lines[place])
            for start in starts
            for length in range(len(location) + 1)
            if (place := (*start, *location[:length])) in self._lines and length
        ]
        return max(depths, key=lambda found: found[0])[1] if depths else 1
