# SPDX-License-Identifier: MIT
"""Intervals and verdicts. The unit of analysis is the block: trials within a block are not independent.

Values come by block, `{block: values}`. Intervals are Student's t over block means; ratios are paired by
block on the log scale, because the two cells of a block share the hour and the machine's mood.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, stdev

from scipy import stats as scipy_stats

CONFIDENCE = 0.95
MOST_BLOCKS = 1000

Values = Mapping[int, Sequence[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An estimate and where it may lie. `low` and `high` are None when one block allows no interval."""

    estimate: float
    low: float | None
    high: float | None
    blocks: int
    confidence: float = CONFIDENCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """There is no estimate, and why."""

    reason: str


Estimate = Interval | Absent


class Verdict(StrEnum):
    """What a ratio's interval allows one to say."""

    DIFFERENCE = "difference"
    NO_DIFFERENCE = "no difference larger than the margin"
    UNDECIDED = "undecided"


def mean_interval(values_by_block: Values, *, confidence: float = CONFIDENCE) -> Estimate:
    """The mean of the block means, in the unit of the values."""
    if not values_by_block:
        return Absent(reason="no value")
    return _t_interval([fmean(values) for values in values_by_block.values()], confidence)


def ratio_interval(treated: Values, control: Values, *, confidence: float = CONFIDENCE) -> Estimate:
    """treated / control, the geometric mean of the blocks' ratios. Blocks without both cells do not count."""
    blocks = sorted(treated.keys() & control.keys())
    if not blocks:
        return Absent(reason="no block has both cells")
    if any(value <= 0 for block in blocks for value in (*treated[block], *control[block])):
        return Absent(reason="a value is zero: no ratio")
    logs = [math.log(ratio) for ratio in block_ratios(treated, control).values()]
    interval = _t_interval(logs, confidence)
    return Interval(
        estimate=math.exp(interval.estimate),
        low=None if interval.low is None else math.exp(interval.low),
        high=None if interval.high is None else math.exp(interval.high),
        blocks=interval.blocks,
        confidence=confidence,
    )


def block_ratios(treated: Values, control: Values) -> dict[int, float]:
    """The ratio of the means of every block that has both cells: the points behind `ratio_interval`."""
    blocks = sorted(treated.keys() & control.keys())
    return {block: fmean(treated[block]) / fmean(control[block]) for block in blocks}


def verdict(ratio: Interval, *, margin: float) -> Verdict:
    """What `ratio` says about a difference; `margin` is the smallest relative one that matters (0.01)."""
    if ratio.low is None or ratio.high is None:
        return Verdict.UNDECIDED
    if ratio.low > 1 or ratio.high < 1:
        return Verdict.DIFFERENCE
    if ratio.low >= 1 / (1 + margin) and ratio.high <= 1 + margin:
        return Verdict.NO_DIFFERENCE
    return Verdict.UNDECIDED


def blocks_to_decide(ratio: Interval, *, margin: float) -> int | None:
    """How many blocks as variable as these narrow the interval to the margin; None: unknown or too many."""
    if ratio.low is None or ratio.high is None:
        return None
    half_width = math.log(ratio.high / ratio.low) / 2
    deviation = half_width * math.sqrt(ratio.blocks) / _quantile(ratio.blocks, ratio.confidence)
    candidates = range(2, MOST_BLOCKS + 1)
    wanted = math.log1p(margin)
    return next(
        (n for n in candidates if _quantile(n, ratio.confidence) * deviation / math.sqrt(n) <= wanted), None
    )


def _quantile(blocks: int, confidence: float) -> float:
    return float(scipy_stats.t.ppf((1 + confidence) / 2, blocks - 1))


def _t_interval(means: Sequence[float], confidence: float) -> Interval:
    blocks = len(means)
    estimate = fmean(means)
    if blocks < 2:
        return Interval(estimate=estimate, low=None, high=None, blocks=blocks, confidence=confidence)
    half_width = _quantile(blocks, confidence) * stdev(means) / math.sqrt(blocks)
    return Interval(
        estimate=estimate,
        low=estimate - half_width,
        high=estimate + half_width,
        blocks=blocks,
        confidence=confidence,
    )
