"""Compiled mean of a rate over effects."""

from __future__ import annotations

from metacart.inference.arrays import Array
from metacart.inference.vectors import compiled, exp

__all__ = ["add_rates"]

_TOGETHER = 1024  # they stay in the processor's nearest cache


@compiled
def add_rates(linear: Array, tau: Array, nodes: Array, weights: Array, out: Array) -> None:
    """Add the weighted rates at log odds linear + tau node."""
    for start in range(0, linear.size, _TOGETHER):
        end = min(start + _TOGETHER, linear.size)
        m, sd, total = linear[start:end], tau[start:end], out[start:end]
        for k in range(nodes.size):
            node, weight = nodes[k], weights[k]
            for i in range(m.size):
                total[i] += weight / (1.0 + exp(-(m[i] + sd[i] * node)))
