"""Figures as files: whole or not at all, the same bytes each time."""

from __future__ import annotations

import difflib
import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from metacart.errors import Fault, InputError
from metacart.plots.measure import COLOURS, style

if TYPE_CHECKING:
    from arviz_plots import PlotCollection

__all__ = [
    "FORMATS",
    "check_file",
    "close_figure",
    "deliver",
    "figure_bytes",
    "save_figure",
    "write_figure",
]

FORMATS = (".png", ".svg", ".pdf")


def check_file(file: str | os.PathLike[str]) -> Path:
    """Return the path of a figure's file, or refuse it before anything is drawn.

    Parameters
    ----------
    file : path
        Ends in ``.png``, ``.svg`` or ``.pdf``.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        For another suffix, or where no file can be.
    """
    path = Path(file)
    if path.suffix.lower() not in FORMATS:
        found = f"the suffix '{path.suffix}'" if path.suffix else "no suffix"
        hint = f"{path.stem or 'figure'}{_meant(path.suffix)}"
        raise InputError(Fault("file", found, ", ".join(FORMATS), hint, path=str(file)))
    with _told(path):
        if path.is_dir():
            raise InputError(Fault("file", "a folder", "the name of a file", path=str(file)))
        above = next((parent for parent in path.parents if parent.exists()), path.parent)
    if not above.is_dir():
        raise InputError(Fault("file", f"'{above}' is a file", "a folder", path=str(file)))
    return path


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Say in words what the machine refuses."""
    try:
        yield
    except OSError as error:
        found = f"'{path.parent}' takes no such file: {error.strerror or error}"
        raise InputError(Fault("file", found, "a place of yours", path=str(path))) from error


def _meant(suffix: str) -> str:
    close = difflib.get_close_matches(suffix.lower(), FORMATS, n=1, cutoff=0.5)
    return close[0] if close else ".svg"


def save_figure(collection: PlotCollection, file: str | os.PathLike[str]) -> Path:
    """Write a figure, whole or not at all.

    Parameters
    ----------
    collection : PlotCollection
        From one of the plots, drawn by matplotlib.
    file : path
        The suffix says the format: ``.png`` (300 dots an inch), ``.svg`` or ``.pdf``. Folders that
        do not exist are made, an existing file is replaced.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        For another suffix, where no file can be written, or a figure that was not drawn.

    Notes
    -----
    The same figure gives the same bytes: no date, no random identifiers. The description for
    readers who do not see it stands in the SVG's ``desc`` and in the metadata of PNG and PDF.
    """
    path = check_file(file)
    return write_figure(figure_bytes(collection, path.suffix.lower().removeprefix(".")), path)


def write_figure(content: bytes, path: Path) -> Path:
    """Write what ``figure_bytes`` returned, whole or not at all, and return the path."""
    partial = path.with_name(f".{path.name[:40]}.{os.getpid()}.partial")
    with _told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_bytes(content)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    return path


def deliver(
    collection: PlotCollection, *, title: str, alt: str, file: str | os.PathLike[str] | None
) -> PlotCollection:
    """Give a figure its description and, where a file is asked for, write it.

    A figure that went to a file is closed, so that a script that writes many keeps none open; it
    can still be changed and saved.
    """
    collection.viz.attrs |= {"title": title, "alt": alt}
    if file is not None:
        try:
            save_figure(collection, file)
        finally:
            close_figure(collection)
    return collection


def figure_bytes(collection: PlotCollection, form: str) -> bytes:
    """Return what the file of a figure holds: ``save_figure`` says when they are the same."""
    if collection.backend != "matplotlib":
        raise InputError(
            Fault("figure", f"backend '{collection.backend}' draws nothing", "'matplotlib'")
        )
    title = str(collection.viz.attrs.get("title", ""))
    alt = str(collection.viz.attrs.get("alt", ""))
    metadata: dict[str, dict[str, Any]] = {
        "png": {"Title": title, "Description": alt},
        "svg": {"Date": None, "Title": title, "Description": alt},
        "pdf": {"CreationDate": None, "Title": title, "Subject": alt},
    }
    options: dict[str, Any] = {"metadata": metadata[form]}
    if form == "png":  # beyond this a few bytes in a hundred cost as long as the drawing
        options["pil_kwargs"] = {"compress_level": 3}
    buffer = io.BytesIO()
    with style():
        collection.viz["figure"].item().savefig(
            buffer, format=form, dpi=300, facecolor=COLOURS["paper"], **options
        )
    content = buffer.getvalue()
    return _described(content, title, alt) if form == "svg" else content


def _described(content: bytes, title: str, alt: str) -> bytes:
    """Say in the SVG that it is an image, with its title and description as elements."""
    text = content.decode("utf-8")
    start = text.index("<svg ")
    end = text.index(">", start)
    # several figures may stand in one page: their identifiers differ
    own = f"figure-{hashlib.sha256(f'{title} {alt}'.encode()).hexdigest()[:8]}"
    head = f'{text[start:end]} role="img" aria-labelledby="{own}-title {own}-desc">'
    body = text[end + 1 :].replace(f"<title>{escape(title)}</title>", "", 1).lstrip("\n ")
    described = (
        f'\n <title id="{own}-title">{escape(title)}</title>'
        f'\n <desc id="{own}-desc">{escape(alt)}</desc>\n '
    )
    return (text[:start] + head + described + body).encode()


def close_figure(collection: PlotCollection) -> None:
    """Let pyplot forget the figure; it can still be saved."""
    if collection.backend == "matplotlib":
        from matplotlib import pyplot as plt

        plt.close(collection.viz["figure"].item())
