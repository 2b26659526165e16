"""Studies as files of other programs: a tidy table, JSON, RevMan Web, metafor."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Literal, get_args

from metacart.errors import named_options, refuse_unknown
from metacart.evidence.collection import Studies
from metacart.evidence.exchange.flat import ATTRIBUTES, cells_of, columns_named
from metacart.evidence.exchange.library import (
    METAFOR_COLUMNS,
    REVMAN_COLUMNS,
    metafor_row,
    revman_rows,
)
from metacart.evidence.exchange.writing import write_files
from metacart.evidence.reported import Reported, reported_findings
from metacart.evidence.selection import StudySource, studies_of
from metacart.evidence.source import PathLike, as_path
from metacart.evidence.values import value_words
from metacart.records.spec import ModelSpec
from metacart.records.study import Arm, Finding, Study

__all__ = ["FORMATS", "Export", "ExportFormat", "export_studies", "exported"]

ExportFormat = Literal["csv", "json", "revman-csv", "metafor"]
FORMATS: tuple[str, ...] = get_args(ExportFormat)

# what identifies a row stands first
_FIRST = (
    *("study", "label", "arm", "finding", "outcome", "population", "timepoint", "kind", "value"),
    *("events", "total", "at"),
)


@dataclass(frozen=True, slots=True)
class Export:
    """The text of an export, with what stands in it and what the format has no place for."""

    text: str
    rows: int
    left_out: int


@named_options
def export_studies(
    studies: StudySource,
    *,
    out: PathLike | None = None,
    format: ExportFormat = "csv",  # noqa: A002 - the name of the option in the shell
    model: ModelSpec | PathLike | None = None,
) -> str:
    """Write what studies report in the format of another program.

    Parameters
    ----------
    studies : Studies, or path or sequence of paths
        The result of `load_studies`, or folders and files of studies.
    out : path, optional
        The file; one that exists is replaced.
    format : {"csv", "json", "revman-csv", "metafor"}
        ``csv``: a row a finding, with every key of its study, arm and value as a column; a list
        stands in one cell, its entries parted by semicolons. ``json``: the studies as they are.
        ``revman-csv``: comparisons as the data rows of RevMan Web. ``metafor``: the columns that
        ``escalc`` and ``rma`` take in R.
    model : ModelSpec or str or path, optional
        A question: then only the findings that it uses, with the counts that it reads from tables
        of grades, and its levels.

    Returns
    -------
    str
        The text of the file.

    Notes
    -----
    Columns for metafor: ``xi``, ``ni`` of a whole arm (``escalc(measure="PLO", xi=xi, ni=ni)``);
    ``ai``, ``bi``, ``ci``, ``di`` of a comparison, exposed before unexposed
    (``escalc(measure="OR", ai=ai, bi=bi, ci=ci, di=di)``); ``yi``, ``vi`` of a ratio with an
    interval, log(exposed / unexposed), or of survival, log(-log S) (``rma(yi, vi)``). Without a
    question every finding is a row, also such as must not be pooled together.

    RevMan compares two groups: single arms have no place there, and neither have tables of grades,
    survival and times. Its data rows are those of the data package, version 2.

    Examples
    --------
    >>> import metacart as mc
    >>> text = mc.export_studies(mc.load_studies(), model="cr_rate")
    >>> text.splitlines()[0][:31]
    'study,label,arm,finding,outcome'
    """
    made = exported(studies, format, model)
    if out is not None:
        write_files({as_path(out, name="out"): made.text}, replace=True)
    return made.text


def exported(studies: StudySource, wanted: str, model: ModelSpec | PathLike | None) -> Export:
    """Return what `export_studies` writes, with the numbers of rows and of findings left out."""
    refuse_unknown("format", wanted, FORMATS)
    collection = studies_of(studies)
    reported = list(reported_findings(collection, model))
    return _WRITERS[wanted](collection, reported)


def _csv(studies: Studies, reported: Sequence[Reported]) -> Export:
    own = dict.fromkeys(
        ATTRIBUTES + name for study in studies for arm in study.arms for name in arm.attributes
    )
    names = [*columns_named("finding"), *columns_named("arm"), *own, *columns_named("study")]
    columns = list(dict.fromkeys((*_FIRST, *names)))
    rows = [_tidy_row(each) for each in reported]
    return Export(_table(columns, rows), len(rows), 0)


def _tidy_row(each: Reported) -> dict[str, Any]:
    kind = each.finding.kind
    row = cells_of("study", _data(each.study)) | cells_of("arm", _data(each.arm))
    row |= cells_of("finding", _data(each.finding), kind)
    row |= {
        "label": each.study.label,
        "finding": each.number,
        "kind": kind,
        "value": value_words(each.finding),
    }
    # of a table of grades a question takes the count that it gives
    taken = ("outcome", "events", "total")
    return row | {name: each.evidence[name] for name in taken if name in each.evidence}


def _data(record: Study | Arm | Finding) -> dict[str, Any]:
    whole = {"arms", "findings", "discrepancies", "risk_of_bias"}
    return record.model_dump(mode="json", by_alias=True, exclude_none=True, exclude=whole)


def _json(studies: Studies, reported: Sequence[Reported]) -> Export:
    kept: dict[str, list[Reported]] = {}
    for each in reported:
        kept.setdefault(each.study.id, []).append(each)
    whole = sum(len(study.findings) for study in studies) == len(reported)
    data = [
        (study if whole else _reduced(study, kept[study.id])).model_dump(
            mode="json", by_alias=True, exclude_unset=True, exclude_none=True
        )
        for study in studies
        if whole or study.id in kept
    ]
    content = {"metacart": version("metacart"), "schema": 1, "studies": data}
    return Export(json.dumps(content, indent=2, ensure_ascii=False) + "\n", len(reported), 0)


def _reduced(study: Study, used: Iterable[Reported]) -> Study:
    """Return a study with the findings that a question uses, and their arms."""
    findings = tuple(each.finding for each in used)
    arms = {finding.arm for finding in findings}
    return study.model_copy(
        update={"findings": findings, "arms": tuple(a for a in study.arms if a.id in arms)}
    )


def _metafor(_: Studies, reported: Sequence[Reported]) -> Export:
    own = sorted({name for each in reported for name in each.arm.attributes})
    rows = [row for each in reported if (row := metafor_row(each)) is not None]
    columns = [*METAFOR_COLUMNS, *own]
    text = _table(columns, [{name: _for_r(row.get(name)) for name in columns} for row in rows])
    return Export(text, len(rows), len(reported) - len(rows))


def _for_r(value: Any) -> Any:
    # what R reads as missing, and as a logical value
    if value is None or value != value:
        return "NA"
    return str(value).upper() if isinstance(value, bool) else value


def _revman(studies: Studies, reported: Sequence[Reported]) -> Export:
    rows = list(revman_rows(reported, studies))
    return Export(_table(REVMAN_COLUMNS, rows), len(rows), len(reported) - len(rows))


_WRITERS: dict[str, Callable[[Studies, Sequence[Reported]], Export]] = {
    "csv": _csv,
    "json": _json,
    "revman-csv": _revman,
    "metafor": _metafor,
}


def _table(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow(_cell(row.get(name)) for name in columns)
    return text.getvalue()


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else value
