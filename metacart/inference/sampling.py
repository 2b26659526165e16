"""Study effects drawn from their own distribution given the rest."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from metacart.inference.kernel_draws import hats, inverted, under_hats
from metacart.inference.lanes import (
    block_of,
    findings_of,
    rule_of,
    scratch,
    shared_out,
)
from metacart.inference.quadrature import SINH_REACH, Rules, Studies, terms_of, ways
from metacart.inference.threads import on_threads, slices

__all__ = ["by_inversion", "by_lanes", "by_rejection"]

Array = NDArray[np.float64]

_STUDIES = 4  # studies whose effects are drawn in one go
_STEP = 0.2  # of the rules whose distribution function is inverted
_TANGENT = 1.4  # where the tangents touch, in SDs from the mode: for a normal density sqrt(2)
_ABOVE = 1e-6  # by how much rounding lets a log-concave density pass its tangents


def by_lanes(studies: Studies, rng: np.random.Generator) -> Array | None:
    """Draw standard effects by compiled code; none where it does not know their likelihood."""
    if (some := findings_of(studies)) is None:
        return None
    draws, number = studies.shape
    result, rule = np.empty(studies.shape), rule_of(_STEP, SINH_REACH, ())
    if studies.effects != "normal":
        target = rng.uniform(size=studies.shape)

        def work(rows: slice) -> None:
            room = scratch(some, rule, rows.stop - rows.start)
            block = block_of(studies.rows(rows))
            inverted(some, block, rule, room, target[rows], result[rows])

        shared_out(work, studies.shape)
        return result
    block, parts = block_of(studies), slices(number, _STUDIES)

    def draw(part: tuple[slice, np.random.Generator]) -> None:
        chosen, own = part
        room, hat = scratch(some, rule, 1), np.empty((5, draws))
        for study in range(chosen.start, chosen.stop):
            waiting = np.arange(draws)
            right = hats(some, block, room, study, waiting, _TANGENT, hat)
            left = draws if right else -1
            while left > 0:
                uniform = own.uniform(size=(2, left))
                left = under_hats(
                    some, block, room, study, waiting[:left], uniform, _ABOVE, hat, result
                )
            if left < 0:
                result[:, [study]] = by_inversion(studies.columns(study, study + 1), own)

    # each with random numbers of its own, whatever thread it is on
    on_threads(draw, list(zip(parts, rng.spawn(len(parts)), strict=True)), worth=draws * number)
    return result


def by_rejection(studies: Studies, rng: np.random.Generator) -> Array:
    """Draw standard effects (draws, studies) whose densities are log-concave.

    Two tangents and a flat top lie above such a density; what is proposed from under them is kept
    where it falls below the density. One that passes them is not log-concave: by inversion then.
    """
    result = np.empty(studies.shape)
    for study in range(studies.shape[1]):
        one = studies.columns(study, study + 1)
        drawn = _under_tangents(one, rng)
        result[:, [study]] = by_inversion(one, rng) if drawn is None else drawn[:, None]
    return result


@dataclass(frozen=True)
class _Hat:
    """A flat top between exponential sides, each array (draws,).

    Attributes
    ----------
    top : array
        Its log height.
    left, right : array
        Where the top ends.
    rise, fall : array
        By how much the sides rise and fall, in nats a unit.
    """

    top: Array
    left: Array
    right: Array
    rise: Array
    fall: Array

    def draw(self, rows: NDArray[np.intp], rng: np.random.Generator) -> tuple[Array, Array]:
        """Return points under the hats of some rows, and the log heights of the hats there."""
        left, right, rise, fall = (
            values[rows] for values in (self.left, self.right, self.rise, self.fall)
        )
        place = (right - left + 1.0 / rise + 1.0 / fall) * rng.uniform(size=len(rows)) - 1.0 / rise
        # the share of a side's area between the top and the point, and how far down that is
        share = np.maximum(-place * rise, (place - (right - left)) * fall)
        down = -np.log1p(-np.clip(share, 0.0, 1.0 - 1e-16))
        z = np.clip(left + place, left, right) + down / np.where(place < 0.0, -rise, fall)
        return z, self.top[rows] - down


def _under_tangents(one: Studies, rng: np.random.Generator) -> Array | None:
    """Draw for one study; nothing where the density is above its tangents."""
    mode, width = one.peak()
    top = one.log_integrand(mode)
    ends, slopes = [], []
    for side in (-1.0, 1.0):
        z = mode + side * _TANGENT * width
        slope = one.slope(z) - z
        ends.append(z + (top - one.log_integrand(z)) / slope)
        slopes.append(-side * slope)
    hat = _Hat(*(values[:, 0] for values in (top, *ends, *slopes)))
    if not ((hat.rise > 0.0) & (hat.fall > 0.0) & (hat.left < hat.right)).all():
        return None
    drawn, waiting = np.empty(len(mode)), np.arange(len(mode))
    while len(waiting):
        z, height = hat.draw(waiting, rng)
        above = one.rows(waiting).log_integrand(z[:, None])[:, 0] - height
        if not (above < _ABOVE).all():
            return None
        kept = np.log(rng.uniform(size=len(waiting))) < above
        drawn[waiting[kept]] = z[kept]
        waiting = waiting[~kept]
    return drawn


def by_inversion(studies: Studies, rng: np.random.Generator) -> Array:
    """Draw standard effects (draws, studies) by their distribution functions."""
    result, target = np.empty(studies.shape), rng.uniform(size=studies.shape)
    for chosen, rules in ways(studies, _STEP):
        result[chosen] = _inverted(studies.rows(chosen), rules, target[chosen])
    return result


def _inverted(studies: Studies, rules: Rules, target: Array) -> Array:
    """Return where the distribution function of each effect reaches its target."""
    terms = terms_of(studies, rules, step=_STEP)
    height = np.concatenate([each.values for each in terms])
    height = np.exp(height - height.max(axis=0))
    # cells lie between neighbours of one rule
    last = np.cumsum([len(each.steps) for each in terms]) - 1
    first = np.delete(np.arange(len(height)), last)
    ends = 0.5 * (height[first] + height[first + 1])
    for before, end in pairwise(ends):  # faster than cumsum, whose axis is not the last
        end += before
    target = target * ends[-1]
    cell = np.minimum((ends < target).sum(axis=0), len(first) - 1)
    below = np.where(cell > 0, _at(ends, np.maximum(cell - 1, 0)), 0.0)
    left, right = _at(height, first[cell]), _at(height, first[cell] + 1)
    # the root in [0, 1] of left f + (right - left) f² / 2 = what is left to cover, written so
    # that equal ends do no harm
    rest = target - below
    root = np.sqrt(np.maximum(left**2 + 2.0 * (right - left) * rest, 0.0))
    fraction = 2.0 * rest / np.maximum(left + root, np.finfo(float).tiny)
    steps = np.concatenate([each.steps for each in terms])
    t = steps[first[cell]] + np.clip(fraction, 0.0, 1.0) * _STEP
    rule = np.searchsorted(last, first[cell])
    return np.asarray(_at(rules.centres, rule) + _at(rules.widths, rule) * np.sinh(t))


def _at(values: Array, position: NDArray[np.intp]) -> Array:
    return np.asarray(np.take_along_axis(values, position[None], axis=0)[0])
