# SPDX-License-Identifier: MIT
"""The random numbers that sysbench 1.0.20 gives its first thread for a seed.

Facts, each checked against the general log of a server (docs/decisions/0014): libc's srandom(seed), four
numbers of random() as the 128 bits of state, high half first, then xoroshiro128+ with its constants of 2016;
a double is the upper 53 bits. random() is glibc's additive feedback generator of 31 words.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

_MASK = (1 << 64) - 1
_WORDS = 31
_LAG = 3
_DISCARDED = 310


def libc_random(seed: int) -> Iterator[int]:
    """What glibc's random() returns after srandom(seed), for 0 < seed < 2**31."""
    words = [seed]
    for _ in range(_WORDS - 1):
        words.append(16807 * words[-1] % (2**31 - 1))
    for count in itertools.count(_LAG):
        index = count % _WORDS
        words[index] = (words[index] + words[index - _LAG]) % 2**32
        if count >= _LAG + _DISCARDED:
            yield words[index] >> 1


class Generator:
    """Uniform numbers and texts, in the order and with the values of sysbench's."""

    def __init__(self, seed: int) -> None:
        numbers = libc_random(seed)
        first, second, third, fourth = itertools.islice(numbers, 4)
        self._low, self._high = first << 32 | second, third << 32 | fourth

    def _bits(self) -> int:
        low, high = self._low, self._high
        mixed = low ^ high
        self._low = (low << 55 & _MASK | low >> 9) ^ mixed ^ (mixed << 14 & _MASK)
        self._high = mixed << 36 & _MASK | mixed >> 28
        return (low + high) & _MASK

    def uniform(self, first: int, last: int) -> int:
        """A number from `first` to `last`, both included."""
        return int(first + (self._bits() >> 11) * 2**-53 * (last - first + 1))

    def text(self, template: str) -> str:
        """The template with a digit in place of each '#'."""
        return "".join(chr(self.uniform(48, 57)) if sign == "#" else sign for sign in template)
