"""Text that others wrote, made safe to show."""

from __future__ import annotations

__all__ = ["printable"]


def printable(text: str, *, keep: str = "") -> str:
    r"""Return text without characters that steer what shows it.

    Parameters
    ----------
    text : str
        May hold control characters or overrides of the direction of writing.
    keep : str
        Characters that may stay although they do not print, such as a line break.

    Returns
    -------
    str
        With a space for each white space and U+FFFD for each other character that does not print.

    Examples
    --------
    >>> printable("one\ttwo\u202e")
    'one two\ufffd'
    """
    odd = {c for c in set(text) if not c.isprintable()} - set(keep)
    return text.translate({ord(c): " " if c.isspace() else "\ufffd" for c in odd})
