"""The lights of risk of bias beside the rows of a forest plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from metacart.errors import Fault, InputError, refuse_unknown
from metacart.evidence.bias.judged import TOOLS, risk_of_bias, tool_for
from metacart.evidence.selection import StudySource, studies_of
from metacart.inference.records import evidence_of, spec_of
from metacart.plots.grid import Grid
from metacart.plots.lights import letters, light_key
from metacart.plots.page import Key
from metacart.plots.risk_of_bias import deciders
from metacart.records.risk_of_bias import INSTRUMENTS, Tool

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Bias", "bias_of"]


@dataclass(frozen=True, slots=True)
class Bias:
    """What a forest plot shows of risk of bias.

    Attributes
    ----------
    grid : Grid
        A letter for each item.
    lights : dict of str to dict of str to str
        By study the light of each item.
    key : list of Key
        The lights that occur.
    note : str
        What the letters stand for, how much is unclear, and who decided.
    """

    grid: Grid
    lights: dict[str, dict[str, str]]
    key: list[Key]
    note: str


def bias_of(
    fits: Sequence[xr.DataTree],
    studies: StudySource | None,
    tool: Tool | Literal[False] | None,
) -> Bias | None:
    """Return the lights of the studies of some fits, or nothing where none are to be drawn.

    A fit holds its evidence table, not the files of its studies: these come as `studies`. Without
    a choice of the tool it is that of the first fit's question.
    """
    if tool is not None:
        refuse_unknown("risk_of_bias", tool, [*TOOLS, False])
    if tool is False or (studies is None and tool is None):
        return None
    if studies is None:
        raise InputError(
            Fault(
                "risk_of_bias",
                f"'{tool}', but a fit holds its evidence table and not the files of its studies",
                "the studies that it was fitted to, beside it",
                f"plot_forest(fit, studies=load_studies(), risk_of_bias='{tool}')",
            )
        )
    chosen = tool or tool_for(spec_of(fits[0]))
    named = [study for fit in fits for study in evidence_of(fit)["study"].astype(str)]
    wanted = list(dict.fromkeys(named))
    collection = studies_of(studies)
    table = risk_of_bias(collection, tool=chosen)
    _check(wanted, collection.ids, set(table["study"]), chosen)
    table = table[table["study"].isin(wanted)]
    lights: dict[str, dict[str, str]] = {}
    for row in table.itertuples():
        lights.setdefault(str(row.study), {})[str(row.item)] = str(row.light)
    instrument = INSTRUMENTS[chosen]
    marks = letters([*instrument.items])
    # a letter stays with its item
    items = "; ".join(f"{marks[item]}\u00a0{text}" for item, text in instrument.items.items())
    return Bias(
        Grid("bias", "Risk of bias", marks),
        lights,
        light_key(chosen, {*table["light"]}),
        f"Risk of bias, {instrument.title}: {items}. {deciders(table)}",
    )


def _check(wanted: list[str], known: tuple[str, ...], judged: set[str], tool: Tool) -> None:
    faults = []
    for study in wanted:
        if study not in known:
            found = f"'{study}' of the fit is not among them"
            attempt = "load its folder too, or draw no lights: risk_of_bias=False"
            faults.append(Fault("studies", found, "the studies that were fitted", attempt))
        elif study not in judged:
            found = f"'{study}' does not compare transplanted with other patients"
            faults.append(
                Fault("risk_of_bias", f"'{tool}', but {found}", "'jbi', 'minors' or False")
            )
    if faults:
        raise InputError(faults)
