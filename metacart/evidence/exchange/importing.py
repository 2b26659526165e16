"""A spreadsheet of counts becomes study files; its faults are listed by row and column."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metacart.errors import Fault, InputError, named_options, nearest
from metacart.evidence.exchange.flat import (
    ATTRIBUTES,
    COLUMNS,
    Part,
    column_at,
    in_order,
    scalar_of,
    value_of,
)
from metacart.evidence.exchange.sheet import NEEDED, Sheet
from metacart.evidence.exchange.writing import faults_of_new, study_text, write_files
from metacart.evidence.gates import study_gates
from metacart.evidence.library import read_studies
from metacart.evidence.library_gates import library_gates
from metacart.evidence.places import location_of
from metacart.evidence.source import PathLike, as_path
from metacart.records.mending import hidden_faults
from metacart.records.study import KINDS, Study
from metacart.records.vocabulary import Outcome

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["import_studies"]


@named_options
def import_studies(table: PathLike | pd.DataFrame, *, out: PathLike) -> tuple[Path, ...]:
    """Write a study file for each study of a spreadsheet.

    Parameters
    ----------
    table : path or DataFrame
        A ``.csv`` with a row a finding, its first row the names of the columns; or a DataFrame.
        These columns are needed: ``study`` (its id), ``title``, ``authors``, ``year``, one of
        ``doi``, ``pmid``, ``pmcid``, ``registrations`` and ``abstract_number``, ``study_design``;
        ``arm`` (its id), ``disease``, ``infusion``, ``scfv``, and the number of patients in the
        population that is counted: ``enrolled``, ``infused``, ``evaluable`` or ``responders``;
        ``outcome``, ``population``, ``events``, ``total``, ``at`` (the place in the paper).
        Others are those of ``export_studies(format="csv")``, such as ``journal``, ``cohort``,
        ``targets``, ``timepoint``, ``printed`` and ``note``. Several entries in a cell are parted
        by semicolons. What holds for a study or an arm may stand in each of its rows, or in the
        first alone. ``attributes.NAME`` is a column of your own.
    out : path
        The folder; files that exist are not replaced.

    Returns
    -------
    tuple of Path
        The files, in the order of the table. ``check_studies`` finds no fault in them.

    Raises
    ------
    InputError
        With every fault of the table by row and column; then nothing is written. Rows are counted
        as a spreadsheet shows them, in a DataFrame from 1.

    Notes
    -----
    A column ``kind`` says what a row reports: count, which is the default, or grades, contrast,
    ratio, survival or quantile in the columns of the export. Discrepancies, judgements of bias and
    comments have no place in a table: add them to the files.

    Examples
    --------
    >>> import metacart as mc
    >>> files = mc.import_studies("counts.csv", out="my_studies")  # doctest: +SKIP
    """
    folder = as_path(out, name="out")
    sheet = Sheet.read(table)
    vocabulary, present = _beside(folder)
    drafts = list(_drafts(sheet))
    faults = [*sheet.faults]
    studies: list[Study] = []
    for draft in drafts:
        study, found = draft.study(vocabulary)
        faults += found
        studies += [] if study is None else [study]
    known = [*present, *studies]
    rows = {draft.name: draft for draft in drafts}
    for fault in library_gates(known):
        name, _, place = fault.place.partition(": ")
        if name in rows and fault.severity == "error":
            faults += rows[name].located([replace(fault, place=place)])
    files = [folder / f"{draft.name}.toml" for draft in drafts]
    faults += faults_of_new(files)
    if faults:
        raise InputError(sorted(dict.fromkeys(faults), key=sheet.row_of))
    texts = (study_text(draft.data) for draft in drafts)
    write_files(dict(zip(files, texts, strict=True)))
    return tuple(files)


def _beside(folder: Path) -> tuple[Mapping[str, Outcome], list[Study]]:
    """Return the vocabulary and the studies of the folder to write into."""
    holds_some = folder.is_dir() and any(folder.glob("*.toml"))
    studies, faults = read_studies((folder,) if holds_some else ())
    if errors := [fault for fault in faults if fault.severity == "error"]:
        raise InputError(errors)
    return studies.vocabulary, list(studies)


@dataclass
class _Draft:
    """The data of one study as a table gives it, and the rows that it comes from."""

    name: str
    sheet: Sheet
    data: dict[str, Any]
    rows: dict[tuple[int | str, ...], int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def study(self, vocabulary: Mapping[str, Outcome]) -> tuple[Study | None, list[Fault]]:
        """Return the study, if it has the form of one, and everything that is wrong in its rows."""

        def gates(study: Study) -> list[Fault]:
            faults = study_gates(study, vocabulary=vocabulary)
            return [fault for fault in faults if fault.severity == "error"]

        try:
            study = Study.from_mapping(self.data)
        except InputError as error:
            hidden = hidden_faults(Study, self.data, error.faults, gates)
            return None, [*self.faults, *self.located((*error.faults, *hidden))]
        return study, [*self.faults, *self.located(gates(study))]

    def located(self, faults: Iterable[Fault]) -> Iterator[Fault]:
        """Yield faults of a study at the rows and columns that they come from."""
        for fault in faults:
            location = location_of(fault.place)
            part, keys, row = self._part(location)
            column = column_at(part, keys) or ""
            if column and column not in self.sheet.columns and column in NEEDED:
                continue  # said of the column already
            there = self.sheet.fault(row, column, fault.found, fault.allowed, fault.attempt)
            if not column and keys:
                there = replace(there, place=f"{there.place}, {'.'.join(keys)}")
            if fault.found == "this key is missing":
                hint = "fill it in" if column in self.sheet.columns else "add this column"
                there = replace(there, found="nothing stands here", attempt=hint)
            yield replace(there, attempt=_in_a_table(there.attempt))

    def _part(self, location: tuple[int | str, ...]) -> tuple[Part, tuple[str, ...], int]:
        part: Part = "study"
        start = 0
        if len(location) > 1 and location[0] in ("arms", "findings"):
            part, start = ("arm" if location[0] == "arms" else "finding"), 2
        keys = tuple(str(key) for key in location[start:] if isinstance(key, str))
        return part, keys, self.rows[location[:start]]


def _in_a_table(hint: str) -> str:
    """Return a hint for a file in the words of a table."""
    hint = re.sub(r"add `(\w+) = …` to its patients", r"fill in column '\1'", hint)
    return hint.replace(" without quotes", "")


def _drafts(sheet: Sheet) -> Iterator[_Draft]:
    """Yield the studies of a table in its order."""
    drafts: dict[str, _Draft] = {}
    seen: dict[tuple[str, ...], tuple[int, str]] = {}
    for number, row in sheet.rows.items():
        name, arm = row.get("study", ""), row.get("arm", "")
        if absent := [key for key in ("study", "arm") if key in sheet.columns and key not in row]:
            sheet.faults += [
                sheet.fault(number, key, "nothing stands here", "an id") for key in absent
            ]
            continue
        if not name or not arm:
            continue
        if name not in drafts:
            drafts[name] = _Draft(name, sheet, {"schema": 1, "arms": [], "findings": []})
            drafts[name].rows[()] = number
        draft = drafts[name]
        known = [each["id"] for each in draft.data["arms"]]
        if arm not in known:
            draft.rows["arms", len(known)] = number
            draft.data["arms"].append({"id": arm})
            known.append(arm)
        holders: dict[Part, tuple[dict[str, Any], tuple[str, ...]]] = {
            "study": (draft.data, (name,)),
            "arm": (draft.data["arms"][known.index(arm)], (name, arm)),
        }
        for column, text in row.items():
            part = _part_of(column)
            if part not in holders:
                continue
            holder, whose = holders[part]
            first, earlier = seen.setdefault((*whose, column), (number, text))
            if earlier == text:
                _set(holder, column, text)
            else:
                allowed = f"{earlier!r}, as in row {first}: it is of the same {part}"
                draft.faults.append(sheet.fault(number, column, f"{text!r}", allowed))
        draft.rows["findings", len(draft.data["findings"])] = number
        draft.data["findings"].append(_finding(draft, number, row, arm))
    for draft in drafts.values():
        # tables that a record needs, so that each of their keys is missed by name
        draft.data = {"citation": {}, "conduct": {}, **draft.data}
        draft.data["citation"] = {"authors": [], **draft.data["citation"]}
        draft.data["arms"] = [{"patients": {}, **arm} for arm in draft.data["arms"]]
        draft.data = in_order(draft.data, Study)
        yield draft


def _part_of(column: str) -> Part | None:
    if column.startswith(ATTRIBUTES):
        return "arm"
    return COLUMNS[column].part if column in COLUMNS else None


def _finding(draft: _Draft, number: int, row: Mapping[str, str], arm: str) -> dict[str, Any]:
    kind = row.get("kind", "count")
    if kind not in KINDS:
        draft.faults.append(
            draft.sheet.fault(
                number, "kind", f"{kind!r} is not known", ", ".join(KINDS), nearest(kind, KINDS)
            )
        )
        kind = "count"
    finding: dict[str, Any] = {"arm": arm, kind: {}}
    for column, text in row.items():
        if _part_of(column) != "finding":
            continue
        path = COLUMNS[column].path(kind)
        if path[0] in KINDS and path[0] != kind:
            draft.faults.append(
                draft.sheet.fault(
                    number, column, f"{text!r}", f"nothing: this row is a {kind}", "clear the cell"
                )
            )
            continue
        _set(finding, column, text, kind)
    return finding


def _set(holder: dict[str, Any], column: str, text: str, kind: str = "") -> None:
    """Put a cell at its place in the data of a study, an arm or a finding."""
    if column.startswith(ATTRIBUTES):
        holder.setdefault("attributes", {})[column.removeprefix(ATTRIBUTES)] = scalar_of(text)
        return
    flat = COLUMNS[column]
    *above, key = flat.path(kind)
    for step in above:
        holder = holder.setdefault(step, {})
    holder[key] = value_of(text, flat.annotation(kind))
