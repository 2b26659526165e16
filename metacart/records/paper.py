"""What a paper says of itself: where it is found, and how its study was run."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from metacart.errors import Fault, InputError
from metacart.records.base import Record
from metacart.records.shapes import Doi, Month, Pages, Pmcid, Pmid, Text, Unit, Words

__all__ = ["Citation", "Conduct", "Period", "Spread"]


def _year_can_be(year: int) -> int:
    latest = datetime.now(tz=UTC).year + 1
    if not 1989 <= year <= latest:
        raise InputError(
            Fault("", str(year), f"1989 (the first CAR) to {latest}", "the year of the paper")
        )
    return year


class Citation(Record):
    """Where the paper is found; one identifier at least.

    `label` names the paper in figures and tables, where first author and year are not enough.
    Volume and pages identify a paper together with its journal, as a reference list has them.
    `read` says what the numbers of the file were read in: the whole paper, its abstract alone, or
    tables and pages of others that quote it.
    """

    label: Text | None = None
    title: Text
    authors: Words
    journal: Text | None = None
    pages: Pages | None = None
    year: Annotated[int, AfterValidator(_year_can_be)]
    doi: Doi | None = None
    pmid: Pmid | None = None
    pmcid: Pmcid | None = None
    registrations: Words = ()
    abstract_number: Text | None = None
    publication: Literal["paper", "abstract", "registry", "thesis"] = "paper"
    read: Literal["full text", "abstract", "abstract and tables", "quotations"] | None = None

    def contradictions(self) -> list[Fault]:
        """Every paper but a thesis has an identifier."""
        names = ("doi", "pmid", "pmcid", "registrations", "abstract_number")
        if self.publication == "thesis" or any(getattr(self, name) for name in names):
            return []
        if self.journal and self.pages:
            return []
        allowed = f"one of {', '.join(names)}, or journal and pages"
        return [Fault("", "no identifier", allowed, "add the DOI of the paper")]


class Period(Record):
    """From when to when, as ``2019-01`` or ``2019``."""

    from_: Month | None = Field(default=None, alias="from")
    to: Month | None = None


class Spread(Record):
    """A median with its range or interval."""

    median: float
    lower: float | None = None
    upper: float | None = None
    unit: Unit | None = None
    interval: Literal["range", "ci", "iqr"] = "range"


class Conduct(Record):
    """How the study was run.

    `consecutive` is whether all eligible patients of the period were included, and
    `follow_up_complete` whether fewer than 5 % were lost, where the paper says so.
    """

    study_design: Text
    centres: Words = ()
    countries: Words = ()
    enrolment: Period = Period()
    data_cutoff: Month | None = None
    follow_up: Spread | None = None
    registered: Literal["prospectively", "retrospectively", "unreported"] = "unreported"
    direction: Literal["prospective", "retrospective"] | None = None
    consecutive: bool | None = None
    follow_up_complete: bool | None = None
