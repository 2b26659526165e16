"""The look of every figure, and how wide its text is."""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

__all__ = [
    "COLOURS",
    "GAP",
    "LINE",
    "MARGIN",
    "SIZE",
    "SMALL",
    "SMALL_LINE",
    "drawable",
    "style",
    "text_width",
    "warn_of_letters",
    "wrap",
]

# Okabe and Ito's palette: told apart with any colour vision, and in print by lightness.
COLOURS: Mapping[str, str] = {
    "ink": "#1a1a1a",
    "muted": "#595959",
    "rule": "#8c8c8c",
    "shade": "#f3f4f6",
    "crude": "#4d4d4d",
    "model": "#0072B2",
    "pooled": "#004a75",
    "next": "#D55E00",
    "warning": "#b30000",
    "paper": "#ffffff",
}
SIZE = 8.0  # points
SMALL = 7.5
LINE = 0.135  # inches from one line of a wrapped cell to the next
SMALL_LINE = 0.13
GAP = 0.16  # between columns
MARGIN = 0.12


@contextmanager
def style() -> Iterator[None]:
    """Draw with settings of our own, whatever the user's are, and leave theirs as they were."""
    import matplotlib as mpl
    import matplotlib.style

    with mpl.style.context("default"), mpl.rc_context(_settings()):
        yield
        # a notebook's backend turns interactive drawing on at the first figure, which is here:
        # were that undone with the rest, a notebook would show its first figure and no other
        interactive = mpl.is_interactive()
    mpl.interactive(interactive)


def _settings() -> dict[Any, Any]:
    return {
        "font.family": _families(),
        "font.size": SIZE,
        "text.parse_math": False,  # a dollar in a name is a dollar
        "axes.unicode_minus": True,
        "figure.constrained_layout.use": False,
        # TrueType in PDF: text can be searched and edited. In SVG outlines: columns were measured
        # with this font, and a viewer's substitute would let them overlap; the words stand in the
        # description instead.
        "pdf.fonttype": 42,
        "svg.fonttype": "path",
        "svg.hashsalt": "metacart",
    }


_FALLBACKS = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "Microsoft YaHei",
    "PingFang SC",
    "Hiragino Sans GB",
    "WenQuanYi Zen Hei",
    "Arial Unicode MS",
    "Noto Sans CJK JP",
    "Noto Sans CJK KR",
    "Malgun Gothic",
    "Noto Emoji",
    "Segoe UI Symbol",
    "Apple Symbols",
    "Symbola",
)
_BOX = "□"


@cache
def _families() -> list[str]:
    # DejaVu Sans comes with matplotlib: the same figure on every machine. Names in scripts that
    # it lacks take the first font that this machine has.
    if not _installed():
        _add_new_fonts()
    return ["DejaVu Sans", *_installed()]


def _installed() -> list[str]:
    from matplotlib.font_manager import fontManager

    have = {entry.name for entry in fontManager.ttflist}
    return [name for name in _FALLBACKS if name in have]


def _add_new_fonts() -> None:
    """Take the fonts that were installed since matplotlib wrote its list of them."""
    from matplotlib.font_manager import findSystemFonts, fontManager

    known = {Path(entry.fname).name for entry in fontManager.ttflist}
    for file in findSystemFonts():
        if Path(file).name not in known:
            with suppress(OSError, RuntimeError):  # no font that matplotlib can read
                fontManager.addfont(file)


@cache
def _letters() -> frozenset[int]:
    """Return every letter of every font that a figure uses."""
    from matplotlib.font_manager import findfont, get_font

    return frozenset().union(*(get_font(findfont(name)).get_charmap() for name in _families()))


def drawable(text: str) -> str:
    """Return text with a box for each letter that no font here has."""
    if text.isascii():
        return text
    known = _letters()
    return "".join(letter if letter.isspace() or ord(letter) in known else _BOX for letter in text)


def warn_of_letters(texts: Iterable[str]) -> None:
    """Say once which texts of a figure have letters that no font here has."""
    lacking = {" ".join(text.split()): None for text in texts if drawable(text) != text}
    if not lacking:
        return
    first, *others = lacking
    letters = dict.fromkeys(
        letter for text in lacking for letter in text if drawable(letter) != letter
    )
    more = f" and {len(others)} more" if others else ""
    shown = "".join(letters) if len(letters) <= 8 else f"{''.join([*letters][:8])}…"
    warnings.warn(
        f"the figure shows {_BOX} for letters that no font of this machine has: {shown} in "
        f"'{first}'{more}; install one that has them, such as Noto Sans CJK SC or Noto Emoji",
        skip_file_prefixes=(str(Path(__file__).parents[1]),),
    )


@cache
def text_width(text: str, *, size: float = SIZE, bold: bool = False) -> float:
    """Return the width of a line of text in inches."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextToPath

    text = drawable(text)
    font = FontProperties(family="DejaVu Sans", size=size, weight="bold" if bold else "normal")
    narrow = "".join(letter for letter in text if unicodedata.east_asian_width(letter) not in "WF")
    measure: Any = TextToPath()
    width, _, _ = measure.get_text_width_height_descent(narrow, font, ismath=False)
    # characters of East Asian scripts are as wide as the font is high, in every font
    return (float(width) + size * (len(text) - len(narrow))) / 72.0


def wrap(text: str, width: float, *, size: float = SIZE, bold: bool = False) -> str:
    """Break text into lines no wider than `width` inches; nothing is left out.

    Parameters
    ----------
    text : str
        May hold line breaks of its own.
    width : float
        In inches.
    size : float
        In points.
    bold : bool
        Whether the text is bold.

    Returns
    -------
    str
        With line breaks.
    """

    def fits(line: str) -> bool:
        return text_width(line, size=size, bold=bold) <= width

    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            longer = f"{line} {word}" if line else word
            if fits(longer):
                line = longer
                continue
            if line:
                lines.append(line)
            line = word
            while not fits(line) and len(line) > 1:
                cut = next((n for n in range(len(line) - 1, 1, -1) if fits(line[:n])), 1)
                lines.append(line[:cut])
                line = line[cut:]
        lines.append(line)
    return "\n".join(lines)
