# SPDX-License-Identifier: MIT
"""Intervals and verdicts. The unit of analysis is the block: what happens inside one is not independent.

Values come by block, `{block: values}`; a value may itself be a sequence, so that a block is a tree: boots,
their server starts, their iterations. A block counts by the mean of its boots, a boot by the mean of its
starts, and so on (Kalibera and Jones, "Rigorous benchmarking in reasonable time", ISMM 2013): what was
repeated more often weighs no more. Ratios are paired by block on the log scale, because the two cells of a
block ran close together on the same machine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

import numpy as np
import scipy

from kmlbench.stats import bootstrap
from kmlbench.stats.bootstrap import FLAT, Array

CONFIDENCE = 0.95

MOST_BLOCKS = 1000

PLANNED = np.arange(2, MOST_BLOCKS + 1, dtype=np.float64)

# From so many equal blocks on a figure is exact. Two cells that differ by nothing but chance differ alike in
# three blocks in about 3 % of cases, at worst (docs/decisions/0053).
EXACT_BLOCKS = 3

LARGEST_LOG = 100.0  # a ratio beyond e^100 is not a measurement, and bounds are clipped to it

Tree = float | Sequence["Tree"]

Blocks = Mapping[int, Tree]

Values = Mapping[int, Sequence[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An estimate with its interval. `low` and `high` are None if the variance is unknown.

    `blocks` counts those behind the estimate, of the smaller arm where two have blocks of their own. `exact`:
    all of them gave the same, and they are enough to say so. No variation was seen; there may be some.
    """

    estimate: float
    low: float | None
    high: float | None
    blocks: int
    confidence: float = CONFIDENCE
    exact: bool = False

    @property
    def unbounded(self) -> str:
        """Why there are no bounds; empty if there are."""
        if self.low is not None and self.high is not None:
            return ""
        if self.exact:
            return f"no variation in {self.blocks} blocks"
        return "one block: no interval" if self.blocks < 2 else "no variance: no interval"

    @property
    def log_half_width(self) -> float | None:
        """Half the width of a ratio's interval, of logs; None without bounds."""
        if self.low is None or self.high is None:
            return None
        return math.log(self.high / self.low) / 2

    @property
    def half_width(self) -> float | None:
        """The same as a relative change: 0.01 is ±1 %."""
        return None if self.log_half_width is None else math.expm1(self.log_half_width)

    @property
    def unchanged(self) -> bool:
        """Whether a ratio is one, but for rounding."""
        return abs(self.estimate - 1) <= FLAT


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """There is no estimate, and why."""

    reason: str


Estimate = Interval | Absent


class Verdict(StrEnum):
    """What a ratio's interval allows one to say."""

    DIFFERENCE = "difference"
    NO_DIFFERENCE = "no difference larger than the margin"
    EXACT = "exact"
    UNDECIDED = "undecided"


def mean_interval(values_by_block: Blocks, *, confidence: float = CONFIDENCE) -> Estimate:
    """The mean of the block means, in the unit of the values."""
    if not values_by_block:
        return Absent(reason="no value")
    means = block_means(values_by_block)
    scale = max(map(abs, means.values())) or 1.0
    scaled = np.array([mean / scale for mean in means.values()])
    flat = bool(np.ptp(scaled) <= FLAT)
    if flat:
        low = high = None
    else:
        low, high = _bounds(bootstrap.mean_bounds(scaled, confidence=confidence), scale)
    estimate = float(scaled.mean()) * scale
    return Interval(
        estimate=estimate,
        low=low,
        high=high,
        blocks=len(means),
        confidence=confidence,
        exact=flat and len(means) >= EXACT_BLOCKS,
    )


def ratio_interval(treated: Blocks, control: Blocks, *, confidence: float = CONFIDENCE) -> Estimate:
    """treated / control, the geometric mean of the blocks' ratios. Blocks without both cells do not count."""
    blocks = sorted(treated.keys() & control.keys())
    if not blocks:
        return Absent(reason="no block has both cells")
    arms = [{block: mean(arm[block]) for block in blocks} for arm in (treated, control)]
    if absent := _no_logs(*arms):
        return absent
    logs = np.array([*log_ratios(*arms).values()])
    flat = bool(np.ptp(logs) <= FLAT)
    bounds = None if flat else bootstrap.mean_bounds(logs, confidence=confidence)
    return _ratio(float(logs.mean()), bounds, len(blocks), confidence, flat=flat)


def independent_ratio(treated: Blocks, control: Blocks, *, confidence: float = CONFIDENCE) -> Estimate:
    """The ratio of the means of two arms that share no block: other campaigns, or boots in no order.

    Both must vary for an interval: equal blocks are no evidence of zero noise.
    """
    if not treated or not control:
        return Absent(reason="no value")
    arms = block_means(treated), block_means(control)
    if absent := _no_logs(*arms):
        return absent
    # Scaled, so that no mean can overflow.
    scales = [max(arm.values()) for arm in arms]
    scaled = [np.array([*arm.values()]) / scale for arm, scale in zip(arms, scales, strict=True)]
    logs = [math.log(arm.mean()) + math.log(scale) for arm, scale in zip(scaled, scales, strict=True)]
    fewest, bounds = min(map(len, scaled)), None
    spreads = [*map(np.ptp, scaled)]
    if fewest > 1 and min(spreads) > FLAT:
        shift = math.log(scales[0]) - math.log(scales[1])
        low, high = bootstrap.log_ratio_bounds(*scaled, confidence=confidence)
        bounds = low + shift, high + shift
    return _ratio(logs[0] - logs[1], bounds, fewest, confidence, flat=bool(max(spreads) <= FLAT))


def ratio_of_effects(treated: Blocks, control: Blocks, *, confidence: float = CONFIDENCE) -> Estimate:
    """The ratio of two effects that share no block, each given by its blocks' ratios: Welch's t of logs."""
    if not treated or not control:
        return Absent(reason="no block has both cells")
    arms = block_means(treated), block_means(control)
    if absent := _no_logs(*arms):
        return absent
    logs = [np.log([*arm.values()]) for arm in arms]
    fewest, bounds = min(map(len, logs)), None
    spreads = [*map(np.ptp, logs)]
    centre = logs[0].mean() - logs[1].mean()
    if fewest > 1 and min(spreads) > FLAT:
        squares = [arm.var(ddof=1) / len(arm) for arm in logs]
        half = bootstrap.welch(squares, [*map(len, logs)], confidence)
        bounds = centre - half, centre + half
    return _ratio(float(centre), bounds, fewest, confidence, flat=bool(max(spreads) <= FLAT))


def block_ratios(treated: Blocks, control: Blocks) -> dict[int, float]:
    """The ratio of the means of every block that has both cells: the points behind `ratio_interval`."""
    blocks = sorted(treated.keys() & control.keys())
    return {block: mean(treated[block]) / mean(control[block]) for block in blocks}


def log_ratios(treated: Blocks, control: Blocks) -> dict[int, float]:
    """The logs of `block_ratios`; all means must be positive."""
    blocks = sorted(treated.keys() & control.keys())
    return {block: math.log(mean(treated[block])) - math.log(mean(control[block])) for block in blocks}


def block_means(values_by_block: Blocks) -> dict[int, float]:
    """The mean of every block, in the order of blocks."""
    return {block: mean(values_by_block[block]) for block in sorted(values_by_block)}


def mean(tree: Tree) -> float:
    """The mean of the means of a tree's branches."""
    if isinstance(tree, int | float):
        return float(tree)
    # Blocks may hold many thousands of numbers: their types are not checked one by one.
    branches = cast(Sequence[float], tree) if set(map(type, tree)) == {float} else map(mean, tree)
    # Divided first: the sum of two large numbers may overflow.
    return math.fsum(branch / len(tree) for branch in branches)


def verdict(ratio: Interval, *, margin: float) -> Verdict:
    """What `ratio` says about a difference; `margin` is the smallest relative one that matters (0.01).

    An exact ratio is a verdict of its own, whatever its size.
    """
    if ratio.exact:
        return Verdict.EXACT
    if ratio.low is None or ratio.high is None:
        return Verdict.UNDECIDED
    if ratio.low > 1 or ratio.high < 1:
        return Verdict.DIFFERENCE
    if ratio.low >= 1 / (1 + margin) and ratio.high <= 1 + margin:
        return Verdict.NO_DIFFERENCE
    return Verdict.UNDECIDED


def log_deviation(ratio: Interval) -> float | None:
    """The standard deviation of the logs of single blocks' ratios, from the width of their interval."""
    if ratio.log_half_width is None:
        return None
    return ratio.log_half_width / float(bootstrap.half_width(1.0, ratio.blocks, ratio.confidence))


def smallest_effect(ratio: Interval, *, power: float = 0.8) -> float | None:
    """The relative effect that campaigns of the same length and variance detect with probability `power`."""
    deviation = log_deviation(ratio)
    if deviation is None:
        return None
    freedom = ratio.blocks - 1
    critical = float(bootstrap.quantile(freedom, ratio.confidence))
    noncentrality = scipy.optimize.brentq(
        lambda effect: float(scipy.stats.nct.sf(critical, freedom, effect)) - power, 0.0, 4 * critical + 8
    )
    return math.expm1(float(noncentrality) * deviation / math.sqrt(ratio.blocks))


def blocks_for(half_width: float, *, deviation: float | Array, confidence: float = CONFIDENCE) -> int | None:
    """The blocks that narrow a log ratio's interval to `half_width`; None: more than MOST_BLOCKS.

    `deviation` is that of a block's log ratio, or one for each of PLANNED.
    """
    blocks = PLANNED
    widths = bootstrap.half_width(deviation, blocks, confidence)
    enough = np.flatnonzero(widths <= half_width)
    return int(blocks[enough[0]]) if enough.size else None


def _no_logs(*arms: Mapping[int, float]) -> Absent | None:
    means = [mean for arm in arms for mean in arm.values()]
    if min(means) <= 0:
        return Absent(reason=f"a value is {'below zero' if min(means) < 0 else 'zero'}: no ratio")
    if math.log(max(means)) - math.log(min(means)) > LARGEST_LOG:
        return Absent(reason="the values are too far apart: no ratio")
    return None


def _bounds(pair: tuple[Array, Array], scale: float) -> tuple[float, float]:
    return float(pair[0]) * scale, float(pair[1]) * scale


def _ratio(
    log: float, bounds: tuple[Array, Array] | None, blocks: int, confidence: float, *, flat: bool
) -> Interval:
    low, high = (None, None) if bounds is None else map(_exp, bounds)
    return Interval(
        estimate=_exp(log),
        low=low,
        high=high,
        blocks=blocks,
        confidence=confidence,
        exact=flat and blocks >= EXACT_BLOCKS,
    )


def _exp(log: float | Array) -> float:
    return math.exp(min(max(float(log), -LARGEST_LOG), LARGEST_LOG))


MARGIN = 0.01  # the smallest relative difference that matters: the effect of 2005 was 3.35 %
