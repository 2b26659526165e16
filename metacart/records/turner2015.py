"""Table IV of Turner 2015: how tau squared of log odds ratios spreads, by outcome and comparison.

Turner RM, Jackson D, Wei Y, Thompson SG, Higgins JPT. Predictive distributions for between-study
heterogeneity and simple methods for their application in Bayesian meta-analysis. Statistics in
Medicine 2015;34:984-998, doi 10.1002/sim.6381. From 14 886 meta-analyses of binary outcomes in the
Cochrane Database of Systematic Reviews. As the R packages bayesmeta 3.4 and rnmamod hold it, which
agree in every cell.
"""

from __future__ import annotations

__all__ = ["ANY", "COMPARISONS", "TABLE"]

# without regard to outcome and comparison, page 993
ANY = (-2.56, 1.74)
COMPARISONS = (
    "pharmacological_vs_control",
    "pharmacological_vs_pharmacological",
    "nonpharmacological_vs_control",
    "nonpharmacological_vs_pharmacological",
    "nonpharmacological_vs_nonpharmacological",
)
# mean and standard deviation of log(tau squared), in the order of the comparisons
_CELLS = """
all_cause_mortality        -3.95 1.34  -4.18 1.41  -4.17 1.55  -2.92 1.02  -3.50 1.26
obstetric_outcomes         -3.52 1.74  -3.75 1.79  -3.74 1.91  -2.49 1.50  -3.08 1.68
cause_specific_mortality   -3.71 1.74  -3.95 1.79  -3.93 1.91  -2.68 1.51  -3.27 1.68
resource_use               -2.34 1.74  -2.58 1.79  -2.56 1.91  -1.31 1.50  -1.90 1.68
surgical_success           -2.14 1.74  -2.37 1.79  -2.36 1.91  -1.11 1.50  -1.69 1.68
withdrawals                -2.99 1.74  -3.23 1.79  -3.21 1.91  -1.96 1.51  -2.55 1.68
structure_related_outcomes -2.71 1.74  -2.94 1.79  -2.93 1.92  -1.67 1.51  -2.26 1.68
general_physical_health    -2.29 1.53  -2.53 1.58  -2.51 1.72  -1.26 1.25  -1.85 1.46
adverse_events             -1.87 1.52  -2.10 1.58  -2.10 1.71  -0.84 1.24  -1.43 1.45
infection_or_new_disease   -2.49 1.52  -2.73 1.58  -2.71 1.71  -1.46 1.24  -2.05 1.45
signs_or_symptoms          -2.06 1.51  -2.29 1.58  -2.28 1.71  -1.03 1.24  -1.61 1.45
pain                       -1.83 1.52  -2.06 1.58  -2.05 1.71  -0.80 1.25  -1.38 1.45
quality_of_life            -2.54 1.54  -2.78 1.60  -2.77 1.73  -1.51 1.27  -2.10 1.47
mental_health              -2.12 1.53  -2.35 1.60  -2.34 1.72  -1.09 1.27  -1.67 1.47
biological_markers         -1.77 1.52  -2.00 1.58  -1.99 1.71  -0.74 1.24  -1.33 1.45
subjective_outcomes        -2.70 1.52  -2.93 1.58  -2.92 1.71  -1.67 1.25  -2.26 1.45
"""


def _read(line: str) -> tuple[str, dict[str, tuple[float, float]]]:
    outcome, *numbers = line.split()
    values = [float(number) for number in numbers]
    pairs = zip(values[::2], values[1::2], strict=True)
    return outcome, dict(zip(COMPARISONS, pairs, strict=True))


TABLE: dict[str, dict[str, tuple[float, float]]] = dict(
    _read(line) for line in _CELLS.strip().splitlines()
)
