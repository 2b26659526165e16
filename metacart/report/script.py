"""The Python that draws each figure of a report again, from the fits beside its page."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from metacart.evidence.library import BUNDLED
from metacart.records.spec import ModelSpec
from metacart.report.time_part import SIMULATED_PAPERS

if TYPE_CHECKING:
    from metacart.report.figures import Figure
    from metacart.report.section import Section

__all__ = ["SCRIPT", "figures_of", "script_of"]

SCRIPT = "figures.py"
# how the tables are made that stand on the page without a figure
_TABLES = {
    "influence": "mc.influence(fit, progress=False)",
    "conflict": "mc.conflict(fit, progress=False)",
    "cumulative": "mc.cumulative(fit, together=True, progress=False)",
}
# how the figure of a name is drawn; the rest of a name is an argument
_DRAWN = {
    "forest": "mc.plot_forest(fit, studies=studies, file=file)",
    "ppc": "mc.plot_ppc(fit, file=file)",
    "prior-posterior": "mc.plot_prior_posterior(fit, file=file)",
    "prior-sensitivity": ("mc.plot_prior_sensitivity(fit, mu=(1.0,), progress=False, file=file)"),
    "leave-one-out": "mc.plot_leave_one_out(fit, progress=False, file=file)",
    "flow": "mc.plot_flow(studies, spec, file=file)",
    "grades": "mc.plot_grades(fit, file=file)",
    "benefit-risk": "mc.plot_benefit_risk(fit, file=file)",
    "tipping-point": "mc.plot_tipping_point(fit, file=file)",
    "simulated-immortal-time": (
        "mc.plot_immortal_time(scenario={papers}, outcome={outcome!r}, file=file)"
    ),
    "regression": "mc.plot_regression(fit, {rest!r}, file=file)",
}


def figures_of(section: Section) -> Iterator[tuple[str, Figure]]:
    """Yield each figure of a section by the name of its file."""
    parts = (
        block.figure[1]
        for part in section.parts
        for block in part.blocks
        if block.figure is not None
    )
    for figure in (*section.figures.values(), *parts):
        name = figure.files["SVG"].rpartition("/")[2].removesuffix(".svg")
        yield name, figure


def script_of(
    sections: Sequence[Section], studies: Sequence[str], specs: dict[str, ModelSpec]
) -> str:
    """Return the text of the script.

    Parameters
    ----------
    sections : sequence of Section
        The questions, in order.
    studies : sequence of path
        The folders and files of studies as they were named; none for the bundled ones.
    specs : dict of str to ModelSpec
        The question of each name.
    """
    paths = [os.fspath(each) for each in studies if isinstance(each, str | os.PathLike)]
    named = ["mc.BUNDLED" if each == os.fspath(BUNDLED) else repr(each) for each in paths]
    read = f"studies = mc.load_studies({', '.join(named)})"
    if len(paths) < len(studies):
        read += "  # the report was made of studies in memory: put them here"
    lines = [
        '"""Draw the figures of this report again, from its fits."""',
        "",
        "from pathlib import Path",
        "",
        "import metacart as mc",
        "",
        "report = Path(__file__).resolve().parent",
        'again = report / "again"',
        read,
    ]
    for section in sections:
        lines += ["", f"# {section.title}".replace("\n", " ")]
        lines += [f"folder = again / {section.name!r}", "folder.mkdir(parents=True, exist_ok=True)"]
        if section.record:
            lines.append(f'fit = mc.load_fit(report / {section.name!r} / "fit.nc")')
        if "flow" in section.figures:
            text = specs[section.name].model_dump_json(exclude_defaults=True, by_alias=True)
            lines.append(f"spec = mc.ModelSpec.model_validate_json({text!r})")
        for name, _ in figures_of(section):
            kind = next(each for each in _DRAWN if name == each or name.startswith(f"{each}-"))
            lines.append(f"file = folder / {f'{name}.svg'!r}")
            lines.append(
                _DRAWN[kind].format(
                    papers=SIMULATED_PAPERS,
                    outcome=specs[section.name].outcome,
                    rest=name.removeprefix(f"{kind}-"),
                )
            )
        lines += [
            f"{verb}.to_csv(folder / {f'{name}.csv'!r}, index=False)"
            for name, verb in _TABLES.items()
            if f"{section.name}/{name}.csv" in section.files.values()
        ]
    return "\n".join(lines) + "\n"
