# SPDX-License-Identifier: MIT
"""Latencies in the buckets of an HDR histogram of three digits: 2,048 steps to each power of two."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

_BITS = 11


class Histogram:
    """Counts by the lowest nanosecond of each bucket, and the exact sum."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._counts: Counter[int] = Counter()
        self._sum = 0

    def record(self, nanoseconds: int) -> None:
        """Count one latency."""
        shift = max(0, nanoseconds.bit_length() - _BITS)
        self._counts[nanoseconds >> shift << shift] += 1
        self._sum += nanoseconds

    def lines(self) -> Iterator[str]:
        """As oltp/recorder.lua prints them."""
        yield f"{self._name}_sum {self._sum / 1e9:.9f}"
        for nanoseconds, count in sorted(self._counts.items()):
            yield f"{self._name} {nanoseconds} {count}"
