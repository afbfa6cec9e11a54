# SPDX-License-Identifier: MIT
"""The interval of a median, by order statistics: it assumes nothing of the distribution.

Of n independent numbers, the k-th smallest and the k-th largest enclose the median of what they are drawn
from with the probability that a fair coin, tossed n times, shows heads at least k and at most n - k times
(Conover, Practical Nonparametric Statistics, 3.2).
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import scipy

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Median:
    """A median and its interval, from the least to the most where there are too few numbers (below six)."""

    median: float
    low: float
    high: float


def median_interval(values: Sequence[float]) -> Median:
    """Of one number or more, in any order. From six on, the level is at least CONFIDENCE."""
    ordered = sorted(values)
    # The largest k with P(X < k) <= (1 - CONFIDENCE) / 2.
    rank = int(scipy.stats.binom.ppf((1 - CONFIDENCE) / 2, len(ordered), 0.5))
    if rank > 0 and scipy.stats.binom.cdf(rank - 1, len(ordered), 0.5) > (1 - CONFIDENCE) / 2:
        rank -= 1
    index = max(rank - 1, 0)
    return Median(
        median=statistics.median(ordered),
        low=ordered[index],
        high=ordered[len(ordered) - 1 - index],
    )
