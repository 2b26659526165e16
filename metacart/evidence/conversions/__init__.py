"""From what papers print to what models take, each conversion with its assumption checked.

A conversion returns a number, or an `Effect` of two groups. It refuses what cannot be, with an
`InputError`, and warns with an `AssumptionWarning` where its assumption fails or cannot be shown.

Examples
--------
>>> import metacart as mc
>>> round(mc.conversions.interval_to_se(0.101, 0.769, estimate=0.279), 3)
0.518
"""

from metacart.evidence.conversions.counts import counts_to_effect, percentage_to_count
from metacart.evidence.conversions.effect import AssumptionWarning, Effect, Interval
from metacart.evidence.conversions.ratios import interval_to_se, p_to_se, reverse_ratio
from metacart.evidence.conversions.survival import landmarks_to_effect, medians_to_effect

__all__ = [
    "AssumptionWarning",
    "Effect",
    "Interval",
    "counts_to_effect",
    "interval_to_se",
    "landmarks_to_effect",
    "medians_to_effect",
    "p_to_se",
    "percentage_to_count",
    "reverse_ratio",
]
