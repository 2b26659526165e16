"""Write the API reference and the gallery: python .ci/reference.py FOLDER.

Both come from the docstrings. ``metacart.html`` is every public name with what it takes and
returns; ``gallery.html`` runs the example of each figure and shows what it draws. It takes some
minutes, most of them for the questions that NUTS has to sample.
"""

from __future__ import annotations

import contextlib
import doctest
import html
import inspect
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import metacart as mc

SKIP = re.compile(r"\s*# doctest: \+SKIP")
_FIT = mc.fit


def examples(name: str) -> list[doctest.Example]:
    """Return the examples of a public name's docstring."""
    return doctest.DocTestParser().get_examples(inspect.getdoc(getattr(mc, name)) or "")


def source(name: str) -> str:
    """Return the code of these examples, as a reader would type it."""
    return "".join(SKIP.sub("", example.source) for example in examples(name))


def figures() -> list[str]:
    """Return the names of the verbs that draw."""
    return [name for name in mc.__all__ if name.startswith("plot_")]


@cache
def _shipped(name: str) -> Any:
    return _FIT(name, seed=1, progress=False)


def _fit(spec: Any, *given: Any, **options: Any) -> Any:
    """Fit each shipped question once; anything else as it is asked."""
    if isinstance(spec, str) and not (given or options):
        return _shipped(spec)
    return _FIT(spec, *given, **({"seed": 1, "progress": False} | options))


@contextlib.contextmanager
def _in(folder: str) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def drawn(name: str) -> str:
    """Run the example of a figure and return the SVG that it wrote."""
    code = re.sub(r"\.(?:png|pdf)\"", '.svg"', source(name))
    with tempfile.TemporaryDirectory() as folder, _in(folder), mock.patch.object(mc, "fit", _fit):
        exec(compile(code, name, "exec"), {})
        (file,) = Path().glob("*.svg")
        svg = file.read_text(encoding="utf-8")
    # identifiers are unique in a file, not among the files of one page
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", svg)
    return svg[svg.index("<svg") :]


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>metacart: gallery</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font-family: system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }}
svg {{ max-width: 100%; height: auto; background: #fff }}
pre {{ background: #f4f4f4; padding: .8rem; overflow-x: auto }}
section {{ margin-bottom: 3rem }}
</style></head><body>
<h1>Gallery</h1>
<p>Each figure with the code that drew it. <a href="metacart.html">API reference</a></p>
<p>{links}</p>
{body}
</body></html>
"""


def section(name: str) -> str:
    """Return the part of a figure in the gallery."""
    line = (inspect.getdoc(getattr(mc, name)) or "").split("\n")[0]
    return (
        f'<section id="{name}"><h2><a href="metacart.html#{name}">{name}</a></h2>'
        f"<p>{html.escape(line)}</p><pre>{html.escape(source(name))}</pre>{drawn(name)}</section>"
    )


def reference(folder: Path) -> None:
    """Write every public name with its docstring."""
    import pdoc

    for name in mc.__all__:
        getattr(mc, name)  # names are imported at first use; pdoc lists what is there
    pdoc.render.configure(docformat="numpy", show_source=False, search=False)
    pdoc.pdoc("metacart", "!metacart.", output_directory=folder)
    page = folder / "metacart.html"
    text = re.sub(r'\s*<span class="c1"># doctest: \+SKIP</span>', "", page.read_text("utf-8"))
    # how options and fits are checked is nothing that a caller types
    text = re.sub(r'<div class="decorator decorator-(?:named_options|of_\w+)">.*?</div>', "", text)
    text = re.sub(r"<h2>Submodules</h2>\s*<ul>\s*</ul>", "", text)
    page.write_text(text.replace(str(mc.BUNDLED.parent), "…"), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    out = Path(sys.argv[1]).resolve()
    out.mkdir(parents=True, exist_ok=True)
    reference(out)
    body = "\n".join(section(name) for name in figures())
    links = " · ".join(f'<a href="#{name}">{name}</a>' for name in figures())
    (out / "gallery.html").write_text(PAGE.format(body=body, links=links), encoding="utf-8")
