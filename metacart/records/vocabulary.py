"""The closed vocabulary of study files: outcomes, populations, gradings and the words for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

__all__ = [
    "EXPOSURES",
    "GRADINGS",
    "OUTCOMES",
    "POPULATIONS",
    "TIME_HANDLINGS",
    "Direction",
    "Grading",
    "Outcome",
    "Population",
    "TimeHandling",
]

Population = Literal["enrolled", "infused", "evaluable", "responders"]
Grading = Literal["ASTCT", "Lee", "Penn", "MSKCC", "CTCAE", "unreported"]
TimeHandling = Literal["time-fixed", "landmark", "time-dependent", "unclear"]
Direction = Literal["higher", "lower", "neither"]

POPULATIONS: tuple[str, ...] = get_args(Population)
GRADINGS: tuple[str, ...] = get_args(Grading)
TIME_HANDLINGS: tuple[str, ...] = get_args(TimeHandling)


@dataclass(frozen=True, slots=True)
class Outcome:
    """An outcome that a finding can report.

    Attributes
    ----------
    name : str
        The word in study files.
    title : str
        The words in tables and figures.
    definition : str
        What counts as an event.
    better : {"higher", "lower", "neither"}
        Which way a patient wants it.
    parent : str or None
        The outcome of which this one is a part: its events are never more than the parent's.
    graded_by : str or None
        The outcome whose table of grades gives this one.
    from_grade : int
        The lowest grade that counts, where grades give the events.
    counted_by : str or None
        The outcome that counts the events of this one, a survival.
    """

    name: str
    title: str
    definition: str
    better: Direction
    parent: str | None = None
    graded_by: str | None = None
    from_grade: int = 1
    counted_by: str | None = None


OUTCOMES: dict[str, Outcome] = {
    outcome.name: outcome
    for outcome in (
        Outcome(
            "complete_remission",
            "complete remission",
            "complete remission with or without full recovery of counts (CR or CRi)",
            "higher",
        ),
        Outcome(
            "mrd_negative_remission",
            "MRD-negative remission",
            "complete remission without measurable residual disease, mostly below 1 in 10,000",
            "higher",
            parent="complete_remission",
        ),
        Outcome(
            "crs",
            "cytokine release syndrome",
            "cytokine release syndrome of any grade",
            "lower",
            graded_by="crs",
        ),
        Outcome(
            "severe_crs",
            "severe cytokine release syndrome",
            "cytokine release syndrome of grade 3, 4 or 5 on the paper's grading system",
            "lower",
            parent="crs",
            graded_by="crs",
            from_grade=3,
        ),
        Outcome(
            "neurotoxicity",
            "neurotoxicity",
            "neurological toxicity or ICANS of any grade",
            "lower",
            graded_by="neurotoxicity",
        ),
        Outcome(
            "severe_neurotoxicity",
            "severe neurotoxicity",
            "neurological toxicity or ICANS of grade 3, 4 or 5, or severe as the paper defines it",
            "lower",
            parent="neurotoxicity",
            graded_by="neurotoxicity",
            from_grade=3,
        ),
        Outcome(
            "cytopenia",
            "haematologic toxicity",
            "haematologic toxicity of any grade",
            "lower",
            graded_by="cytopenia",
        ),
        Outcome(
            "severe_cytopenia",
            "severe haematologic toxicity",
            "haematologic toxicity of grade 3, 4 or 5",
            "lower",
            parent="cytopenia",
            graded_by="cytopenia",
            from_grade=3,
        ),
        Outcome("icu_admission", "intensive care", "admission to intensive care", "lower"),
        Outcome("infection", "infection", "infection of any grade", "lower"),
        Outcome("tocilizumab", "tocilizumab", "tocilizumab given for toxicity", "lower"),
        Outcome(
            "corticosteroids", "corticosteroids", "corticosteroids given for toxicity", "lower"
        ),
        Outcome(
            "gvhd", "graft-versus-host disease", "graft-versus-host disease of any grade", "lower"
        ),
        Outcome("b_cell_aplasia", "B-cell aplasia", "B-cell aplasia after the infusion", "neither"),
        Outcome(
            "hsct", "transplant after CAR-T", "allogeneic transplant after the infusion", "neither"
        ),
        Outcome(
            "relapse",
            "relapse",
            "relapse after remission; a death in remission is no event",
            "lower",
        ),
        Outcome(
            "cd19_negative_relapse",
            "CD19-negative relapse",
            "relapse with loss of CD19",
            "lower",
            parent="relapse",
        ),
        Outcome("death", "death", "death from any cause by the last follow-up", "lower"),
        Outcome(
            "non_relapse_death",
            "non-relapse death",
            "death without relapse, treatment-related death included",
            "lower",
            parent="death",
        ),
        Outcome(
            "overall_survival",
            "overall survival",
            "time to death from any cause",
            "higher",
            counted_by="death",
        ),
        Outcome(
            "event_free_survival",
            "event-free survival",
            "time to relapse or death, among responders or with no response as an event",
            "higher",
        ),
    )
}

# An exposure is what splits one arm into two groups that a finding compares.
EXPOSURES: dict[str, str] = {
    "hsct": "allogeneic transplant after CAR-T",
    "prior_hsct": "transplant before CAR-T",
    "prior_cd22_car": "CD22 CAR-T before",
    "age": "age",
    "sex": "sex",
    "prior_lines": "number of previous treatments",
    "refractory": "refractory disease",
    "relapsed": "relapsed disease",
    "marrow_blasts": "marrow blasts before infusion",
    "mrd_before": "MRD before infusion",
    "mrd_after": "MRD after infusion",
    "extramedullary_disease": "extramedullary disease",
    "cns_disease": "central nervous system disease",
    "bcr_abl1": "BCR::ABL1",
    "gene_mutation": "a gene mutation",
    "white_cells": "white cell count",
    "lymphodepletion": "lymphodepletion regimen",
    "target": "target antigen",
    "dose": "dose of CAR-T cells",
    "interval": "time since the previous CAR-T",
    "scfv": "origin of the scFv",
    "infusion_number": "first or later infusion",
    "other": "another exposure, named by `comparison`",
}
