"""Risk of bias as tables: each item of each study, who decided it, and what stays open."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, get_args

from metacart.errors import named_options, refuse_unknown
from metacart.evidence.bias.hsct import comparisons
from metacart.evidence.bias.rules import RULES
from metacart.evidence.selection import StudySource, studies_of
from metacart.records.risk_of_bias import INSTRUMENTS, Tool
from metacart.records.spec import ModelSpec
from metacart.records.study import Study

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "BY",
    "TOOLS",
    "judgements",
    "lights_of",
    "risk_of_bias",
    "risk_of_bias_shares",
    "tool_for",
]

TOOLS: tuple[str, ...] = get_args(Tool)
BY = ("item", "study")
_COLUMNS = "study label tool item question judgement light why at decided_by"
_DECIDERS = ("reader", "record", "nobody")
_OPEN: dict[Tool, str] = {"jbi": "unclear", "minors": "not reported", "robins_i": "no information"}
_READ = {
    "abstract": "only the abstract was read",
    "abstract and tables": "only the abstract and tables were read",
    "quotations": "only what other publications quote was read",
}


@named_options
def risk_of_bias(studies: StudySource, *, tool: Tool = "jbi") -> pd.DataFrame:
    """Return the risk of bias of each study, item by item.

    Parameters
    ----------
    studies : Studies or path or sequence of paths
        The result of ``load_studies``, or folders and files of studies.
    tool : {"jbi", "minors", "robins_i"}
        The JBI checklist for case series, the MINORS items for studies without a comparison, or
        the domains of ROBINS-I for the comparison of transplanted with other patients.

    Returns
    -------
    DataFrame
        One row a study and item: study, label, tool, item, question, judgement (in the words of
        the tool), light (low, moderate, high, critical, unclear, not applicable), why, at,
        decided_by. ``reader``: a judgement of the study file, `at` being the place in the paper;
        ``record``: a rule on what the file holds, `at` being its key; ``nobody``: open, and why.
        With ``robins_i`` only studies that compare by transplant have rows.

    Raises
    ------
    InputError
        For an unknown tool, and for what are no studies.

    See Also
    --------
    risk_of_bias_shares : How many items are low, high or unclear.

    Notes
    -----
    A judgement of the file stands before any rule. A rule decides by what the record holds and
    never calls "no" what it merely lacks. Main arms are those that were not selected and whose
    patients are not among another arm of the paper.

    *JBI.* Consecutive inclusion: ``conduct.consecutive``. Complete inclusion: no where every arm
    was selected, where over 5 % of the enrolled were not infused, or where over 5 % of the infused
    are in no count of remission; yes where the numbers from enrolment (or of a consecutive
    series) to assessment are all known. Demographics: age of every main arm. Clinical
    information: transplant before CAR-T, or a comparison by a state before the infusion.
    Outcomes: outcomes of the paper's own with the length of follow-up, or a count of all enrolled
    or infused with its time. Site: centres and countries.

    *MINORS.* Consecutive patients as above. Prospective data: ``conduct.direction``, else the
    words of the design (a trial of a phase is prospective); inadequate when retrospective or
    registered after the start. Follow-up period: a median of 12 months where relapse, death or
    survival are reported, else of 1 month. Loss to follow-up: ``conduct.follow_up_complete``.

    *ROBINS-I.* For each outcome the best comparison counts, over the outcomes the worst.
    Confounding: moderate when adjusted for several covariates, serious when for one or none.
    Selection: serious when time-fixed (immortal time), moderate with a landmark, low with
    transplant as a time-dependent term.

    All other items are a reader's.

    Examples
    --------
    >>> import metacart as mc
    >>> table = mc.risk_of_bias(mc.load_studies(), tool="robins_i")
    >>> set(table.loc[table["item"] == "selection", "judgement"])  # doctest: +SKIP
    {'serious'}
    """
    import pandas as pd

    refuse_unknown("tool", tool, TOOLS)
    rows = [row for study in studies_of(studies) for row in judgements(study, tool)]
    return pd.DataFrame(rows, columns=pd.Index(_COLUMNS.split()))


@named_options
def risk_of_bias_shares(
    studies: StudySource, *, tool: Tool = "jbi", by: str = "item"
) -> pd.DataFrame:
    """Return how many items are at low or high risk of bias, and how many are unclear.

    Parameters
    ----------
    studies : Studies or path or sequence of paths
        The result of ``load_studies``, or folders and files of studies.
    tool : {"jbi", "minors", "robins_i"}
        As in ``risk_of_bias``.
    by : {"item", "study"}
        One row an item, or one a study.

    Returns
    -------
    DataFrame
        Columns item and question, or study and label; ``judged``, the number of judgements; one
        column for each light of the tool; ``unclear_share``, of 0 to 1; and reader, record and
        nobody, the number of judgements that each decided. The last row, ``all``, is over all.

    Raises
    ------
    InputError
        For an unknown option, and for what are no studies.

    Examples
    --------
    >>> import metacart as mc
    >>> shares = mc.risk_of_bias_shares(mc.load_studies(), by="study")
    >>> int(shares["judged"].iloc[-1]) == 10 * len(mc.load_studies())
    True
    """
    import pandas as pd

    refuse_unknown("by", by, BY)
    table = risk_of_bias(studies, tool=tool)
    names = ["item", "question"] if by == "item" else ["study", "label"]
    groups: list[tuple[tuple[str, str], pd.DataFrame]] = [
        ((str(first), str(second)), group)
        for (first, second), group in table.groupby(names, sort=False)
    ]
    groups.append((("all", f"all {'items' if by == 'item' else 'studies'}"), table))
    rows = []
    for words, group in groups:
        lights = {light: int((group["light"] == light).sum()) for light in lights_of(tool)}
        deciders = {name: int((group["decided_by"] == name).sum()) for name in _DECIDERS}
        rows.append(
            {
                **dict(zip(names, words, strict=True)),
                "judged": len(group),
                **lights,
                "unclear_share": lights["unclear"] / len(group) if len(group) else float("nan"),
                **deciders,
            }
        )
    return pd.DataFrame(rows)


def tool_for(spec: ModelSpec) -> Tool:
    """Return the tool for a question: ROBINS-I for one on transplant, else JBI."""
    return "robins_i" if spec.exposure == "hsct" else "jbi"


def lights_of(tool: Tool) -> tuple[str, ...]:
    """Return the lights that a tool has, in its order."""
    return tuple(dict.fromkeys(INSTRUMENTS[tool].lights.values()))


def judgements(study: Study, tool: Tool) -> Iterator[dict[str, Any]]:
    """Yield the rows of one study in the table of `risk_of_bias`."""
    if tool == "robins_i" and not comparisons(study):
        return
    instrument = INSTRUMENTS[tool]
    judged: dict[str, Any] = getattr(study.risk_of_bias, tool)
    for item, question in instrument.items.items():
        if (stored := judged.get(item)) is not None:
            judgement, why, at, who = stored.judgement, stored.why, stored.at or "", "reader"
        else:
            judgement, why, at, who = _by_rule(study, tool, item)
        yield {
            "study": study.id,
            "label": study.label,
            "tool": tool,
            "item": item,
            "question": question,
            "judgement": judgement,
            "light": instrument.lights[judgement],
            "why": why,
            "at": at,
            "decided_by": who,
        }


def _by_rule(study: Study, tool: Tool, item: str) -> tuple[str, str, str, str]:
    read = _READ.get(study.citation.read or "", "")
    rule = RULES[tool].get(item)
    if rule is None:
        return _OPEN[tool], read or "no reader has judged it", "", "nobody"
    verdict = rule(study)
    if verdict.judgement:
        return verdict.judgement, verdict.why, verdict.at, "record"
    return _OPEN[tool], "; ".join(filter(None, (verdict.why, read))), "", "nobody"
